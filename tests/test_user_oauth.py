"""Upstreams that work with each person's own account (`auth: { user_oauth: … }`): linked once in a browser, kept encrypted, renewed, dropped.

Real parts: the authorization server is npm oidc-provider, behind the hop that verifies its tokens is the real MCP server. What an answer on its
way back can be changed to is changed in the browser's address, as an attacker would."""

import concurrent.futures
import pathlib
import time
import urllib.parse

import pytest

from conftest import run_dir
from kit.accounts import SECRET, AccountsFront, AccountsServer, authorize, link, link_of, open_page, press
from kit.mcp import MODERN
from kit.parts import ALLOW_TESTERS, Gateway, Upstream
from kit.person import LOGIN_ENV, Browser, with_login
from kit.process import eventually

SESSION_ERA = "2025-11-25"
NEEDED = "upstream-link-needed"
OPENS_URLS = {"elicitation": {"url": {}}}


def connection(name, url, **oauth):
    return {"name": name, "labels": {"env": "test"}, "mcp": {"pin_tools": "off", "http": {"url": url, "auth": {"user_oauth": oauth}}}}


def ours(server, **more) -> dict:
    return {"issuer": server.issuer, "client_id": "gate", "client_secret": {"env": "ACCOUNTS_SECRET"}, "scope": "read", **more}


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def redirect(oidc):
    return lambda name: f"{oidc.audience}/upstream-link/callback/{name}"


@pytest.fixture(scope="module")
def accounts(scratch, redirect):
    part = AccountsServer(scratch, [redirect("own"), redirect("other")])
    yield part
    part.stop()


@pytest.fixture(scope="module")
def short(scratch, redirect):
    """Its tokens live for four seconds."""
    part = AccountsServer(scratch, [redirect("short")], ttl=4, name="short")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def fronts(plain, accounts, short):
    parts = {"own": AccountsFront(plain.port, accounts), "other": AccountsFront(plain.port, accounts), "short": AccountsFront(plain.port, short)}
    yield parts
    for part in parts.values():
        part.stop()


def changed_config(config):
    with_login(config)
    config["server"]["limits"] = {"approval_hold": "2s"}


@pytest.fixture(scope="module")
def gateway(scratch, oidc, fronts, accounts, short):
    part = Gateway(scratch / "gateway", oidc,
                   [connection("own", fronts["own"].url, **ours(accounts)), connection("other", fronts["other"].url, **ours(accounts)),
                    connection("short", fronts["short"].url, **ours(short))],
                   [ALLOW_TESTERS, {"id": "leads", "effect": "approve", "approval": "leads-one", "who": ["group:payments-leads"], "on": {"connection": "other", "tools": ["*"]}}],
                   changes=changed_config, env={**LOGIN_ENV, "ACCOUNTS_SECRET": SECRET})
    yield part
    part.stop()


@pytest.fixture
def front(fronts):
    part = fronts["own"]
    yield part
    part.wider, part.always, part.scope = {}, None, "read"


def call(gateway, who="tester", name="own", version=MODERN, text="hi", **how):
    client = gateway.client(name, who, version=version, **how)
    if version != MODERN:
        client.start()
    return client.call("echo", {"message": text})


def echoed(reply) -> bool:
    return "isError" not in reply.result and reply.text().startswith("Echo: ")


def needs_link(reply) -> bool:
    return reply.result.get("isError") is True and reply.gateway["reason"] == NEEDED


def linked(gateway, who, account, name="own") -> Browser:
    """Links anew, whatever was before."""
    browser = Browser()
    page = link(browser, f"{gateway.public_url}/upstream-link?connection={name}", who, account, gateway)
    assert page.status == 200 and "Your account is linked" in page.text, page
    return browser


def unlink(gateway, who, name="own"):
    browser = Browser()
    page = open_page(browser, f"{gateway.public_url}/upstream-link?connection={name}", who)
    if "Unlink</button>" in page.text:
        browser.submit(page, 1, decision="unlink")


def test_nothing_is_sent_for_who_has_linked_nothing(gateway, front):
    before = len(front.front.seen)
    for version in (MODERN, SESSION_ERA):
        reply = call(gateway, "tester2", version=version)
        assert needs_link(reply), reply
        assert reply.gateway["link_url"] == link_of(reply.text(), gateway)
    assert len(front.front.seen) == before
    gateway.recorded(event="call.outcome", reason=NEEDED)


def test_clients_that_open_addresses_are_asked_to(gateway, front):
    client = gateway.client("own", "tester2", capabilities=OPENS_URLS)
    asked = client.call("echo", {"message": "hi"}).result
    assert asked["resultType"] == "input_required"
    question = asked["inputRequests"]["link"]
    assert question["method"] == "elicitation/create" and question["params"]["mode"] == "url"
    assert question["params"]["url"] == link_of(question["params"]["url"], gateway)
    # Who does not want to is told plainly; a state of another call is none of this one.
    declined = client.request("tools/call", {"name": "echo", "arguments": {"message": "hi"}, "requestState": asked["requestState"],
                                             "inputResponses": {"link": {"action": "decline"}}})
    assert needs_link(declined), declined
    moved = client.request("tools/call", {"name": "echo", "arguments": {"message": "ho"}, "requestState": asked["requestState"],
                                          "inputResponses": {"link": {"action": "accept"}}})
    assert moved.error["data"]["gateway"]["reason"] == "state-invalid"
    # The repeated call waits for the link and goes on.
    def again():
        params = {"name": "echo", "arguments": {"message": "hi"}, "requestState": asked["requestState"], "inputResponses": {"link": {"action": "accept"}}}
        for _ in range(8):
            reply = client.request("tools/call", params)
            if reply.result.get("resultType") != "input_required":
                return reply
            assert "inputRequests" not in reply.result, "asked once"
            params = {"name": "echo", "arguments": {"message": "hi"}, "requestState": reply.result["requestState"]}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(again)
        page = link(Browser(), question["params"]["url"], "tester2", "tom", gateway)
        assert "Your account is linked" in page.text, page
        assert echoed(waiting.result(20))
    unlink(gateway, "tester2")
    old = gateway.client("own", "tester2", version=SESSION_ERA, capabilities=OPENS_URLS).start()
    error = old.call("echo", {"message": "hi"}).error
    assert error["code"] == -32042
    assert error["data"]["elicitations"][0]["url"] == link_of(str(error), gateway) and error["data"]["gateway"]["reason"] == NEEDED


def test_two_people_are_two_accounts(gateway, front, accounts, oidc):
    tess = Browser()
    page = open_page(tess, link_of(call(gateway, "tester").text(), gateway), "tester")
    for shown in (urllib.parse.urlsplit(front.url).netloc, accounts.issuer, "tess@example.com", "read"):
        assert shown in page.text, shown
    page = tess.get(authorize(tess, press(tess, page), "tess", gateway), site="cross-site")
    assert "Your account is linked" in page.text, page
    linked(gateway, "tester2", "tom")
    front.tokens.clear()
    assert echoed(call(gateway, "tester")) and echoed(call(gateway, "tester2")) and echoed(call(gateway, "tester", version=SESSION_ERA))
    of = {account: {token for name, token in front.tokens if name == account} for account in ("tess", "tom")}
    assert len(of["tess"]) == 1 and len(of["tom"]) == 1 and not of["tess"] & of["tom"]
    # What callers and browsers show the gateway is seen nowhere else.
    for request in front.front.seen:
        for own in (oidc.token("tester"), oidc.token("tester2"), *tess.cookies[urllib.parse.urlsplit(gateway.public_url).netloc].values()):
            assert own not in str(request["headers"]) + request["body"].decode()
    entry = [e for e in gateway.recorded(event="upstream.linked") if e.get("ok", True)][-1]
    assert entry["access"]["who"] and entry["connection"] == "own" and entry["access"]["why"] == accounts.issuer


def test_tokens_are_renewed_once_and_rotated(gateway, fronts, short):
    linked(gateway, "tester", "tess", "short")
    front = fronts["short"]
    front.tokens.clear()
    until = time.monotonic() + 7
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        while time.monotonic() < until:
            assert all(echoed(r) for r in pool.map(lambda _: call(gateway, name="short"), range(8)))
            time.sleep(0.3)
    assert 2 <= len(dict.fromkeys(token for _, token in front.tokens)) <= 4
    stats = short.stats()
    assert stats["refused"].get("refresh_token", 0) == 0 and 1 <= stats["granted"]["refresh_token"] <= 3
    time.sleep(4.2)  # nobody calls: the token ends, and the next call has to wait for another
    assert echoed(call(gateway, name="short"))


def test_a_server_that_is_down_is_no_reason_to_link_again(gateway, short):
    linked(gateway, "tester", "tess", "short")
    short.mode("down")
    try:
        time.sleep(4.2)
        reply = call(gateway, name="short")
        assert "no credential for the upstream" in reply.body.decode(), reply
        failed = gateway.recorded(event="upstream.refresh_failed", reason="upstream-credential-failed")[-1]
        assert "HTTP 503" in failed["detail"] and "secret words" not in str(failed)
    finally:
        short.mode("up")
    assert eventually(lambda: "result" in (reply := call(gateway, name="short")).answer and echoed(reply), 10, step=0.5)


def test_revoked_at_the_server_means_linking_again(gateway, fronts, short):
    linked(gateway, "tester", "tess", "short")
    assert echoed(call(gateway, name="short"))
    short.revoke("tess")
    time.sleep(2.1)  # what is younger is not asked for again
    assert needs_link(call(gateway, name="short"))
    gateway.recorded(event="upstream.refresh_failed", reason=NEEDED)
    assert gateway.recorded(event="upstream.unlinked")[-1]["access"]["by"] == "provider"
    linked(gateway, "tester", "tess", "short")
    assert echoed(call(gateway, name="short"))


def refused(gateway, page, reason, before):
    assert page.status >= 400 and reason in page.text, page
    assert len([e for e in gateway.audit(event="upstream.linked", reason=reason)]) > before, "it is in the log"


def failures(gateway, reason) -> int:
    return len(gateway.audit(event="upstream.linked", reason=reason))


def changed(url: str, **changes) -> str:
    at = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(at.query)) | changes
    return urllib.parse.urlunsplit(at._replace(query=urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})))


def begun(gateway, who="tester", account="tess", name="own") -> tuple[Browser, str]:
    """A browser that is about to go back to the gateway, and where."""
    browser = Browser()
    page = open_page(browser, f"{gateway.public_url}/upstream-link?connection={name}", who)
    return browser, authorize(browser, press(browser, page), account, gateway)


def test_the_answer_of_one_browser_is_worth_nothing_in_another(gateway, front):
    unlink(gateway, "tester2")
    tess, back = begun(gateway)
    tom, before = Browser(), failures(gateway, "state-invalid")
    tom.sign_in(gateway, "tester2")
    refused(gateway, tom.get(back, site="cross-site"), "state-invalid", before)
    same = Browser()  # the same person, elsewhere
    same.sign_in(gateway, "tester")
    refused(gateway, same.get(back, site="cross-site"), "state-invalid", before + 1)
    nobody = Browser().get(back, site="cross-site")
    assert nobody.status == 401, nobody
    assert needs_link(call(gateway, "tester2"))
    assert "Your account is linked" in tess.get(back, site="cross-site").text  # not used up by any of them
    assert echoed(call(gateway, "tester"))


def test_a_state_counts_once_and_only_where_it_was_made(gateway):
    tess, back = begun(gateway)
    before = failures(gateway, "state-invalid")
    refused(gateway, tess.get(changed(back, state="x" * 32), site="cross-site"), "state-invalid", before)
    refused(gateway, tess.get(changed(back, state=None), site="cross-site"), "state-invalid", before + 1)
    # Mix-up: the answer is led to the place of another connection.
    refused(gateway, tess.get(back.replace("/callback/own", "/callback/other"), site="cross-site"), "state-invalid", before + 2)
    assert tess.get(back, site="cross-site").status == 200
    refused(gateway, tess.get(back, site="cross-site"), "state-invalid", before + 3)


@pytest.mark.parametrize("change, reason", [
    ({"iss": "https://evil.example.com"}, "token-issuer-unknown"), ({"iss": None}, "token-issuer-unknown"), ({"iss": "SLASH"}, "token-issuer-unknown"),
    ({"code": None}, "request-malformed"), ({"code": "wrong"}, "upstream-credential-failed"),
    ({"code": None, "error": "access_denied"}, "login-denied"), ({"code": None, "error": "<script>words</script>"}, "login-denied")])
def test_an_answer_that_is_not_right_links_nothing(gateway, accounts, change, reason):
    unlink(gateway, "tester")
    tess, back = begun(gateway)
    before, granted = failures(gateway, reason), accounts.stats()["granted"].get("authorization_code", 0)
    if change.get("iss") == "SLASH":
        change = {"iss": accounts.issuer + "/"}
    page = tess.get(changed(back, **change), site="cross-site")
    refused(gateway, page, reason, before)
    assert "<script>" not in page.text and "words" not in str(gateway.audit(event="upstream.linked"))
    assert needs_link(call(gateway)) and accounts.stats()["granted"].get("authorization_code", 0) == granted
    assert tess.get(back, site="cross-site").status >= 400, "the state is used up"


def test_twice_in_one_answer_is_refused(gateway):
    tess, back = begun(gateway)
    before = failures(gateway, "request-malformed")
    refused(gateway, tess.get(back + "&iss=https%3A%2F%2Fevil.example.com", site="cross-site"), "request-malformed", before)


def test_a_link_is_for_its_person(gateway):
    unlink(gateway, "tester")
    page = open_page(Browser(), link_of(call(gateway, "tester").text(), gateway), "tester2")
    assert page.status == 403 and "identity-mismatch" in page.text, page
    gateway.recorded(event="auth.failure", reason="identity-mismatch")


def test_only_its_own_page_begins_or_ends_a_link(gateway):
    browser = Browser()
    page = open_page(browser, f"{gateway.public_url}/upstream-link?connection=own", "tester")
    _, fields = page.form()
    body = lambda **more: urllib.parse.urlencode({**fields, "decision": "link", **more}).encode()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    at = gateway.public_url + "/upstream-link"
    for site, origin in (("cross-site", "https://evil.example.com"), ("same-site", None), ("", None)):
        assert browser.ask("POST", at, body(), kind, site=site, origin=origin).status == 403
    assert browser.ask("POST", at, body(form="x"), kind, site="same-origin", origin=gateway.public_url).status == 403
    # Another server than the page showed, another connection, an address to go to afterwards.
    assert browser.ask("POST", at, body(server="https://evil.example.com"), kind, site="same-origin", origin=gateway.public_url).status in (400, 403)
    assert browser.ask("POST", at, body(connection="none"), kind, site="same-origin", origin=gateway.public_url).status == 404
    good = browser.ask("POST", at + "?next=//evil.example.com", body(next="//evil.example.com"), kind, site="same-origin", origin=gateway.public_url)
    assert good.status == 200 and "evil" not in good.header("refresh")
    assert "frame-ancestors 'none'" in good.header("content-security-policy")


def test_who_may_not_use_a_connection_is_not_told_of_it(gateway):
    browser = Browser()
    for name in ("own", "none"):
        page = open_page(browser, f"{gateway.public_url}/upstream-link?connection={name}", "contractor")
        assert page.status == 404 and "no such connection" in page.text, page
    assert "connection=" not in open_page(browser, f"{gateway.public_url}/upstream-link", "contractor").text


def test_unlinking_and_the_end_of_access_drop_the_tokens(gateway, front, accounts, oidc):
    for who, account in (("tester", "tess"), ("tester2", "tom")):
        linked(gateway, who, account)
        assert echoed(call(gateway, who))
    _, token = [pair for pair in front.tokens if pair[0] == "tess"][-1]
    unlink(gateway, "tester")
    assert needs_link(call(gateway, "tester")) and accounts.whose(token) == {}, "the server was told"
    gateway.recorded(event="upstream.unlinked")
    admin = Browser()
    admin.sign_in(gateway, "admin")
    # The end of one session is not the end of the account.
    browser = Browser()
    browser.sign_in(gateway, "tester2")
    browser.api(gateway.public_url, "POST", "/logout")
    assert echoed(call(gateway, "tester2"))
    ended = admin.api(gateway.public_url, "POST", "/api/v1/revocations", {"issuer": oidc.issuer, "subject": "tester2", "reason": "has left"})
    assert ended.status in (200, 201, 204), ended
    assert eventually(lambda: any(e["access"]["by"] == "revocation" for e in gateway.audit(event="upstream.unlinked")))


def test_access_that_ends_while_the_code_is_redeemed(gateway, accounts, oidc):
    unlink(gateway, "lead", "other")
    browser, back = begun(gateway, "lead", "mallory", "other")
    admin = Browser()
    admin.sign_in(gateway, "admin")
    accounts.mode("slow")
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(browser.get, back, site="cross-site")
            time.sleep(0.5)
            assert admin.api(gateway.public_url, "POST", "/api/v1/revocations", {"issuer": oidc.issuer, "subject": "lead", "reason": "has left"}).status == 200
            page = answer.result(20)
    finally:
        accounts.mode("up")
    assert page.status >= 400 and "session-ended" in page.text, page
    gateway.recorded(event="upstream.linked", reason="session-ended")
    again = open_page(Browser(), f"{gateway.public_url}/upstream-link?connection=other", "lead")
    assert "Link your own account?" in again.text, again


def test_a_crash_after_a_rotation_loses_nothing(gateway, short):
    """A refresh token that was used counts as stolen there: with the old one the whole grant would end."""
    linked(gateway, "tester", "tess", "short")
    before = short.stats()["granted"].get("refresh_token", 0)
    refused = short.stats()["refused"].get("refresh_token", 0)
    assert eventually(lambda: echoed(call(gateway, name="short")) and short.stats()["granted"].get("refresh_token", 0) > before, 10, step=0.1)
    assert echoed(call(gateway, name="short"))
    time.sleep(0.3)
    gateway.process.kill_hard()
    gateway.start()
    time.sleep(4.2)
    assert echoed(call(gateway, name="short")) and short.stats()["refused"].get("refresh_token", 0) == refused


def test_a_restart_keeps_links_and_no_file_shows_a_token(gateway, fronts, accounts, short):
    linked(gateway, "tester", "tess")
    linked(gateway, "tester", "tess", "short")
    assert echoed(call(gateway)) and echoed(call(gateway, name="short"))
    assert gateway.stop() == 0
    gateway.start()
    front = fronts["own"]
    front.tokens.clear()
    assert echoed(call(gateway)) and echoed(call(gateway, name="short"))
    gateway.ops("/metrics")
    tokens = {token for part in fronts.values() for _, token in part.tokens}
    tokens |= {token for part in (accounts, short) for token in part.stats()["refreshTokens"]} | {SECRET}
    assert len(tokens) > 4
    found = []
    for file in [*pathlib.Path(gateway.directory).rglob("*"), *(run_dir() / "capture").glob("*.bin")]:
        if file.is_file():
            data = file.read_bytes()
            found += [f"{file.name}: {t[:6]}…" for t in tokens if t.encode() in data]
    assert found == []


def test_another_upstream_of_the_same_name_gets_no_token(gateway, fronts):
    """An operator who changes `url`, issuer or client of a connection sends nobody's tokens there."""
    linked(gateway, "tester", "tess", "other")
    assert echoed(call(gateway, name="other"))
    front, http = fronts["own"], gateway.config["connections"][1]["mcp"]["http"]
    before, kept = len(front.front.seen), http["url"]
    gateway.stop()
    http["url"] = front.url
    gateway.write_config()
    gateway.start()
    try:
        assert needs_link(call(gateway, name="other")) and len(front.front.seen) == before
        assert gateway.recorded(event="upstream.unlinked")[-1]["access"]["by"] == "configuration"
    finally:
        gateway.stop()
        http["url"] = kept
        gateway.write_config()
        gateway.start()
    assert needs_link(call(gateway, name="other"))


def test_no_approval_is_asked_for_what_cannot_run(gateway):
    """The person links first: an approval counts once."""
    unlink(gateway, "lead2", "other")
    assert needs_link(call(gateway, "lead2", "other"))
    assert gateway.recorded(event="request.refused", reason=NEEDED) and not gateway.audit(event="approval.requested")
    linked(gateway, "lead2", "mallory", "other")
    client = gateway.client("other", "lead2", version=SESSION_ERA).start()
    held = client.call("echo", {"message": "hi"})
    assert held.gateway["reason"] == "approval-required", held
