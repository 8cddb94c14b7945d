"""`user_oauth` with `discover: true`: who gives the tokens is said by the upstream, which may be hostile. What is believed, what is refused, and
how often an upstream can send people away."""

import json
import urllib.parse
from http.server import BaseHTTPRequestHandler

import pytest

from kit.accounts import SECRET, AccountsFront, AccountsServer, authorize, link, link_of, open_page, press
from kit.cloud import _Server
from kit.parts import Gateway, Upstream
from kit.person import LOGIN_ENV, Browser, with_login
from kit.process import eventually
from test_user_oauth import call, connection, echoed, linked, needs_link, unlink


class Liar(_Server):
    """An authorization server that says what a test wants; and whatever else listens where nobody should come."""

    def __init__(self):
        self.asked, self.document = [], {}
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do(self):
                liar.asked.append((self.command, self.path, self.rfile.read(int(self.headers.get("content-length") or 0))))
                known = self.path == "/.well-known/oauth-authorization-server" and liar.document
                text = json.dumps({**liar.good(), **liar.document}).encode() if known else b"{}"
                self.send_response(200 if known else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do

        super().__init__(Handler)
        self.issuer = f"http://127.0.0.1:{self.port}"

    def good(self):
        return {"issuer": self.issuer, "authorization_endpoint": self.issuer + "/authorize", "token_endpoint": self.issuer + "/token",
                "registration_endpoint": self.issuer + "/register", "code_challenge_methods_supported": ["S256"]}


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def accounts(scratch, oidc):
    part = AccountsServer(scratch, [f"{oidc.audience}/upstream-link/callback/pinned"])
    yield part
    part.stop()


@pytest.fixture(scope="module")
def elsewhere(scratch):
    part = AccountsServer(scratch, [], name="elsewhere")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def fronts(plain, accounts):
    parts = {name: AccountsFront(plain.port, accounts) for name in ("own", "pinned", "forced", "moved", "never")}
    yield parts
    for part in parts.values():
        part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, fronts, accounts):
    pinned = {"discover": True, "issuers": [accounts.issuer], "client_id": "gate", "client_secret": {"env": "ACCOUNTS_SECRET"}}
    part = Gateway(scratch / "gateway", oidc,
                   [connection(name, front.url, **(pinned if name == "pinned" else {"discover": True})) for name, front in fronts.items()],
                   changes=with_login, env={**LOGIN_ENV, "ACCOUNTS_SECRET": SECRET})
    yield part
    part.stop()


@pytest.fixture
def liar():
    part = Liar()
    yield part
    part.stop()


def page_of(gateway, name, who="tester"):
    return open_page(Browser(), f"{gateway.public_url}/upstream-link?connection={name}", who)


def test_it_finds_its_way_and_registers_once(gateway, fronts, accounts):
    assert needs_link(call(gateway))
    assert accounts.issuer in page_of(gateway, "own").text
    linked(gateway, "tester", "tess")
    linked(gateway, "tester2", "tom")
    assert echoed(call(gateway)) and echoed(call(gateway, "tester2"))
    assert {account for account, _ in fronts["own"].tokens} == {"tess", "tom"}
    assert accounts.stats()["registered"] == 1
    gateway.stop()
    gateway.start()
    linked(gateway, "tester", "tess")
    assert echoed(call(gateway)) and accounts.stats()["registered"] == 1


def test_a_configured_client_is_used_where_it_belongs(gateway, fronts, accounts, liar):
    before = accounts.stats()["registered"]
    fronts["pinned"].servers = [liar.issuer, accounts.issuer]
    linked(gateway, "tester", "tess", "pinned")
    assert echoed(call(gateway, name="pinned")) and accounts.stats()["registered"] == before
    assert accounts.whose(fronts["pinned"].tokens[-1][1])["client"] == "gate"
    assert liar.asked == [], "what is not allowed is not asked"


def test_more_scope_is_asked_for_on_top_of_what_there_was(gateway, fronts, accounts):
    front = fronts["own"]
    linked(gateway, "tester", "tess")
    front.wider = {"echo": "write"}
    try:
        reply = call(gateway)
        assert needs_link(reply), reply
        assert not gateway.client("own", "tester").call("test_simple_text", {}).result.get("isError"), "what the token allows goes on"
        browser = Browser()
        page = open_page(browser, link_of(reply.text(), gateway), "tester")
        back = authorize(browser, press(browser, page), "tess", gateway)
        assert "Your account is linked" in browser.get(back, site="cross-site").text
        assert echoed(call(gateway))
        assert set(accounts.whose(front.tokens[-1][1])["scope"].split()) >= {"read", "write"}
    finally:
        front.wider = {}


@pytest.mark.parametrize("status, scheme", [(403, 'Bearer error="insufficient_scope", scope="more-{}"'), (401, 'Bearer error="invalid_token"')])
def test_people_are_not_sent_round_for_ever(gateway, fronts, status, scheme):
    front = fronts["forced" if status == 403 else "never"]
    name = "forced" if status == 403 else "never"
    rounds = 0
    linked(gateway, "tester", "tess", name)
    while rounds < 10:
        front.always = (status, {"www-authenticate": scheme.format(rounds)})
        answers = [call(gateway, name=name) for _ in range(3)]  # asking again without linking changes nothing
        if not needs_link_or_error(answers[-1]):
            break
        assert all(needs_link_or_error(answer) for answer in answers)
        rounds += 1
        linked(gateway, "tester", "tess", name)
    assert rounds == 3
    assert "upstream-protocol" in answers[-1].body.decode()


def needs_link_or_error(reply) -> bool:
    """Of a call, or of the tool list that comes before it."""
    return "upstream-link-needed" in reply.body.decode()


def test_an_upstream_that_moves_to_another_server(gateway, fronts, accounts, elsewhere):
    front = fronts["moved"]
    linked(gateway, "tester", "tess", "moved")
    assert echoed(call(gateway, name="moved"))
    front.server, front.servers = elsewhere, [elsewhere.issuer]
    assert needs_link_or_error(call(gateway, name="moved"))
    assert elsewhere.issuer in page_of(gateway, "moved").text
    linked(gateway, "tester", "tess", "moved")
    assert echoed(call(gateway, name="moved"))
    assert elsewhere.stats()["registered"] == 1 and accounts.whose(front.tokens[-1][1]) == {}


def not_begun(gateway, name, words=""):
    """The person is told, nothing to go on with is shown, nobody is sent anywhere; what is linked can be taken back."""
    page = page_of(gateway, name)
    assert page.status == 502 and "upstream-credential-failed" in page.text and 'value="link"' not in page.text, page
    assert words in page.text and 'value="unlink"' in page.text, page


@pytest.fixture
def front(gateway, fronts, oidc):
    """Of a connection at which nothing was found out in the last half minute: refusing a token makes the gateway ask anew."""
    part = fronts["own"]
    linked(gateway, "tester", "tess")

    def forget():
        part.always = (401, {"www-authenticate": "Bearer"})
        call(gateway)
        part.always = None
    part.forget = forget
    yield part
    part.servers, part.metadata, part.challenge, part.always = [part.server.issuer], {}, None, None
    forget()


@pytest.mark.parametrize("changes, words", [
    ({"challenge": 'Bearer resource_metadata="https://evil.example.com/metadata"'}, "another origin"),
    ({"challenge": 'Bearer resource_metadata="LIAR/metadata"'}, "another origin"),
    ({"challenge": 'Bearer resource_metadata="file:///etc/passwd"'}, "another origin"),
    ({"metadata": {"resource": "https://evil.example.com/mcp"}}, "another resource"),
    ({"metadata": {"resource": "OWN-2"}}, "another resource"),
    ({"metadata": {"authorization_servers": []}}, "no authorization server"),
    ({"servers": ["http://login.example.com"]}, "not https"), ({"servers": ["file:///etc/passwd"]}, "not https"),
    ({"servers": ["javascript:alert(1)"]}, "not https"), ({"servers": ["https://user@login.example.com"]}, "not https"),
    ({"servers": ["https://10.255.255.1"]}, "metadata"), ({"servers": ["https://169.254.169.254"]}, "metadata"),
    ({"servers": ["https://[::ffff:10.0.0.1]"]}, "metadata"), ({"servers": ["https://0x7f000001:1"]}, "")])
def test_what_an_upstream_may_not_say(gateway, front, liar, changes, words):
    if "challenge" in changes:
        front.challenge = changes["challenge"].replace("LIAR", liar.issuer)
    front.metadata = {k: v.replace("OWN", front.url) if isinstance(v, str) else v for k, v in changes.get("metadata", {}).items()}
    front.servers = changes.get("servers", front.servers)
    front.forget()
    not_begun(gateway, "own", words)
    assert liar.asked == []


@pytest.mark.parametrize("document, words", [
    ({"issuer": "https://attacker.example.com"}, "another issuer"), ({"issuer": "SLASH"}, "another issuer"),
    ({"code_challenge_methods_supported": ["plain"]}, "PKCE"), ({"code_challenge_methods_supported": []}, "PKCE"),
    ({"authorization_endpoint": "javascript:alert(1)"}, "no usable endpoints"), ({"authorization_endpoint": "http://login.example.com/a"}, "no usable endpoints"),
    ({"token_endpoint": "http://10.0.0.1/token"}, "no usable endpoints"), ({"token_endpoint": None}, "no usable endpoints")])
def test_what_an_authorization_server_may_not_say(gateway, front, liar, document, words):
    liar.document = {k: (liar.issuer + "/" if v == "SLASH" else v) for k, v in document.items()}
    front.servers = [liar.issuer]
    front.forget()
    not_begun(gateway, "own", words)
    assert all(path.startswith("/.well-known/") for _, path, _ in liar.asked), "no endpoint of it is used"


def test_a_page_that_has_become_old_sends_nobody_elsewhere(gateway, front, liar):
    browser = Browser()
    page = open_page(browser, f"{gateway.public_url}/upstream-link?connection=own", "tester")
    liar.document = {"scopes_supported": ["read"]}
    front.servers = [liar.issuer]
    front.forget()
    sent = browser.submit(page, follow=False, decision="link")
    assert sent.status >= 400 and "state-invalid" in sent.text and not sent.header("refresh"), sent
    assert all(path.startswith("/.well-known/") for _, path, _ in liar.asked)
    assert liar.issuer in page_of(gateway, "own").text


def test_the_gateways_document_is_there_with_https_only(gateway):
    assert Browser().get(f"{gateway.public_url}/upstream-link/client/own").status == 404
