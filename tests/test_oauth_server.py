"""The gateway as the authorization server of MCP clients: the SDK's own OAuth, and what must not work."""

import base64
import json
import socket
import threading
import time
import urllib.parse

import pytest

from kit.oauth import TOOLS_CLIENT, Client, Documents, SdkClient, query_of, went_to, with_server
from kit.parts import Gateway, get, http_connection
from kit.person import LOGIN_ENV, Browser, Person, with_login

def rules(*connections: str) -> list[dict]:
    return [{"id": f"testers-{name}", "effect": "allow", "who": ["group:testers", "user:tess@example.com"],
             "on": {"connection": name, "tools": ["*"], "prompts": ["*"], "resources": ["*"]}} for name in connections]


LOOPBACK = "http://127.0.0.1:52163/callback"
WEB = "https://desk.example.com/callback"
KEEPER = {"client_id": "keeper", "client_secret": {"env": "TEST_KEEPER_SECRET"}, "redirect_uris": [WEB]}
ENV = {**LOGIN_ENV, "TEST_KEEPER_SECRET": "keeper secret+1"}
JAG = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@pytest.fixture(scope="module")
def documents():
    part = Documents()
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    def changed(config: dict) -> None:
        with_login(config)
        with_server(config, clients=[TOOLS_CLIENT, KEEPER], registration=True, allow_loopback_http=True, id_jag=["corp"])
    connections = [http_connection("tools", upstream.url), http_connection("other", upstream.url)]
    part = Gateway(scratch / "gateway", oidc, connections, rules("tools", "other"), changes=changed, env=ENV)
    yield part
    part.stop()


@pytest.fixture
def instead(gateway, scratch, oidc, upstream):
    """Another gateway in the place of this module's: the provider knows one address only."""
    parts = []

    def start(name: str, **server) -> Gateway:
        def changed(config: dict) -> None:
            with_login(config)
            with_server(config, **{k: v for k, v in server.items() if k != "sessions"})
            if "sessions" in server:
                config["sessions"] = server["sessions"]
        gateway.stop()
        parts.append(Gateway(scratch / name, oidc, [http_connection("tools", upstream.url)], rules("tools"), changes=changed, env=LOGIN_ENV,
                             port=gateway.port))
        return parts[-1]
    yield start
    for part in parts:
        part.stop()
    gateway.start()


@pytest.fixture
def browser():
    return Browser()


def well_known(gateway, path: str) -> dict:
    status, text = get(gateway.public_url + "/.well-known/" + path)
    assert status == 200, (status, text)
    return json.loads(text)


def refused(gateway, count: int, **where) -> list:
    """The refusals of that kind, of which there are more than `count`."""
    found = gateway.recorded(event="auth.failure", **where)
    assert len(found) > count, found
    return found


# -- the SDK -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("sdk", [1, 2])
def test_the_sdk_gets_its_own_token(gateway, browser, sdk):
    """401 → resource metadata → server metadata → PKCE → a token for this connection → a tool call → renewal."""
    client = SdkClient(sdk, f"{gateway.public_url}/mcp/tools", LOOPBACK, client={"client_id": "desk"})
    try:
        page = client.authorize(gateway, browser)
        assert "The desk" in page.text and "127.0.0.1" in page.text and "tools" in page.text and "tess@example.com" in page.text
        assert client.do("connect") == {"connected": True}
        assert "hi" in json.dumps(client.do("call", name="echo", arguments={"message": "hi"})["result"])
        state = client.do("state")
        tokens = state["tokens"]
        assert tokens["access_token"].startswith("sps_") and tokens["refresh_token"].startswith("spr_") and tokens["token_type"] == "Bearer"
        asked = [a["url"] for a in state["asked"]]
        assert any("/.well-known/oauth-protected-resource/mcp/tools" in u for u in asked)
        assert any("/.well-known/oauth-authorization-server" in u for u in asked) and not any("/register" in u for u in asked)
        assert not any("sps_" in u or "spr_" in u for u in asked), "a token stands in a URL"
        client.do("spoil", access_token="sps_" + "A" * 49)
        assert "again" in json.dumps(client.do("call", name="echo", arguments={"message": "again"}).get("result"))
        renewed = client.do("state")["tokens"]
        assert renewed["access_token"] != tokens["access_token"] and renewed["refresh_token"] != tokens["refresh_token"]
    finally:
        client.stop()
    opened = gateway.recorded(event="session.opened")[-1]
    assert opened["access"]["kind"] == "mcp" and opened["access"]["who"]["client_id"] == "desk", opened
    consent = gateway.recorded(event="consent.decided")[-1]
    assert consent["access"]["who"]["subject"] == "tester" and "client desk" in consent["access"]["why"]


@pytest.mark.parametrize("sdk", [1, 2])
def test_the_sdk_registers_itself(gateway, browser, sdk):
    client = SdkClient(sdk, f"{gateway.public_url}/mcp/tools", LOOPBACK, name="Claude (official)")
    try:
        page = client.authorize(gateway, browser)
        assert "nobody here knows" in page.text and "Claude (official) (nobody has checked that)" in page.text
        assert client.do("connect") == {"connected": True}
        assert "hi" in json.dumps(client.do("call", name="echo", arguments={"message": "hi"})["result"])
        state = client.do("state")
        assert state["client"]["client_id"].startswith("spc_") and any(a["url"].endswith("/oauth/register") for a in state["asked"])
    finally:
        client.stop()


@pytest.mark.parametrize("sdk", [1, 2])
def test_the_sdk_is_known_by_its_document(gateway, browser, documents, sdk):
    """The SDK takes https documents only, so it is told that it has registered under the URL already."""
    url = documents.put(f"/sdk{sdk}", {"client_name": "Not the bank"})
    client = SdkClient(sdk, f"{gateway.public_url}/mcp/tools", LOOPBACK, client={"client_id": url})
    try:
        page = client.authorize(gateway, browser)
        assert f"<dd>{documents.base.removeprefix('http://')}</dd>" in page.text and "Not the bank (nobody has checked that)" in page.text
        assert client.do("connect") == {"connected": True}
        assert "hi" in json.dumps(client.do("call", name="echo", arguments={"message": "hi"})["result"])
    finally:
        client.stop()
    assert documents.asked.count(f"/sdk{sdk}") == 1, "it is kept"


def test_a_client_that_may_only_read_asks_for_more(gateway, browser):
    """403 with all scopes at once; the SDK (version 2) asks its person again."""
    client = SdkClient(2, f"{gateway.public_url}/mcp/tools", LOOPBACK, client={"client_id": "desk"})
    ours = Client(gateway, redirect=LOOPBACK)
    try:
        token = ours.tokens(browser, scope="mcp:read")
        assert token["scope"] == "mcp:read"
        reply = gateway.client("tools", token=token["access_token"]).call("echo", {"message": "x"})
        assert reply.status == 403, reply
        field = reply.header("www-authenticate")
        assert 'error="insufficient_scope"' in field and 'scope="mcp:read mcp:write"' in field and "oauth-protected-resource/mcp/tools" in field
        client.authorize(gateway, browser)
        client.do("spoil", access_token=token["access_token"], scope="mcp:read")
        assert client.do("connect") == {"connected": True}
        answer = client.do("call", name="echo", arguments={"message": "more"})
        assert answer.get("authorize"), answer
        assert set(query_of(answer["authorize"])["scope"].split()) == {"mcp:read", "mcp:write"}
    finally:
        client.stop()


# -- metadata ----------------------------------------------------------------------------------------
def test_metadata(gateway, oidc):
    server = well_known(gateway, "oauth-authorization-server")
    assert server["issuer"] == gateway.public_url and server["code_challenge_methods_supported"] == ["S256"]
    assert server["authorization_response_iss_parameter_supported"] is True and server["client_id_metadata_document_supported"] is True
    assert "none" in server["token_endpoint_auth_methods_supported"] and "refresh_token" in server["grant_types_supported"]
    resource = well_known(gateway, "oauth-protected-resource/mcp/tools")
    assert resource["authorization_servers"] == [gateway.public_url, oidc.issuer]
    assert "offline_access" not in resource["scopes_supported"]


def test_without_the_section_nothing_is_there(scratch, oidc, upstream, gateway, start_gateway):
    part = start_gateway(scratch / "off", oidc, [http_connection("tools", upstream.url)], rules("tools"), changes=with_login, env=LOGIN_ENV)
    for path in ("/.well-known/oauth-authorization-server", "/oauth/authorize", "/oauth/consent", "/oauth/register"):
        assert get(part.public_url + path)[0] == 404, path
    assert well_known(part, "oauth-protected-resource/mcp/tools")["authorization_servers"] == [oidc.issuer]
    answer = Client(part).redeem("x")
    assert answer.status == 400 and answer.json["error"] == "unsupported_grant_type"


# -- tokens ------------------------------------------------------------------------------------------
def test_the_token_is_for_one_connection(gateway, browser):
    token = Client(gateway).tokens(browser)["access_token"]
    assert "echo" in gateway.client("tools", token=token).tool_names()
    reply = gateway.client("other", token=token).request("tools/list")
    assert reply.status == 401 and "token-audience-wrong" in reply.header("www-authenticate")
    api = Browser().ask("GET", gateway.public_url + "/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert api.status == 401 and api.json["code"] == "token-audience-wrong"
    # The gate's own URL: all of MCP, and nothing else.
    ours = Client(gateway)
    ours.resource = gateway.public_url
    token = ours.tokens(browser)["access_token"]
    for name in ("tools", "other"):
        assert "echo" in gateway.client(name, token=token).tool_names()
    assert Browser().ask("GET", gateway.public_url + "/api/v1/me", headers={"Authorization": f"Bearer {token}"}).status == 401
    page = Browser().ask("POST", f"{gateway.public_url}/mcp/tools?access_token={token}", b"{}", {"Content-Type": "application/json"}, site="")
    assert page.status == 401, "a token in a URL is none"


def test_renewing(gateway, browser, tmp):
    ours = Client(gateway)
    first = ours.tokens(browser)
    second = ours.refresh(first["refresh_token"]).json
    assert second["access_token"] != first["access_token"] and second["session"] == first["session"] and second["scope"] == first["scope"]
    assert 3500 < second["expires_in"] <= 3600
    for token in (first, second):
        assert gateway.client("tools", token=token["access_token"]).request("tools/list").status == 200, "calls may be on their way"
    # The answer got lost: the one before once more.
    third = ours.refresh(first["refresh_token"])
    assert third.status == 200, third
    assert gateway.client("tools", token=second["access_token"]).request("tools/list").status == 401
    # Whoever holds the lost one now, or the first again, has a copy.
    before = len(gateway.audit(event="auth.failure", method="oauth-refresh"))
    stolen = ours.refresh(second["refresh_token"])
    assert stolen.status == 400 and stolen.json["error"] == "invalid_grant" and stolen.json["code"] == "token-used"
    assert gateway.client("tools", token=third.json["access_token"]).request("tools/list").status == 401
    assert ours.refresh(third.json["refresh_token"]).json["error"] == "invalid_grant"
    refused(gateway, before, method="oauth-refresh")
    killed = [e for e in gateway.recorded(event="session.killed") if e["access"].get("session") == first["session"]]
    assert killed and killed[0]["access"]["why"] == "its refresh token was used twice"


def test_renewing_wants_the_same_client_and_survives_a_restart(gateway, browser):
    ours = Client(gateway)
    given = ours.tokens(browser)
    assert ours.refresh(given["refresh_token"], client_id="keeper").status == 401, "it did not show its secret"
    basic = base64.b64encode(b"keeper:keeper+secret%2B1").decode()
    foreign = ours.refresh(given["refresh_token"], client_id=None, headers={"Authorization": f"Basic {basic}"})
    assert foreign.status == 400 and foreign.json["error"] == "invalid_grant"
    assert ours.refresh(given["refresh_token"], resource=f"{ours.base}/mcp/other").json["error"] == "invalid_target"
    assert ours.refresh("spr_" + "A" * 67).json["error"] == "invalid_grant"
    gateway.stop()
    gateway.start()
    renewed = ours.refresh(given["refresh_token"])
    assert renewed.status == 200, renewed
    assert gateway.client("tools", token=renewed.json["access_token"]).request("tools/list").status == 200


def test_an_ended_session_is_not_renewed(gateway, browser, tmp):
    ours = Client(gateway)
    given = ours.tokens(browser)
    person = Person(gateway, tmp / "tess", "tester")
    person.login()
    assert person.run("sessions", "kill", given["session"]).returncode == 0
    assert gateway.client("tools", token=given["access_token"]).request("tools/list").status == 401
    again = ours.refresh(given["refresh_token"])
    assert again.status == 400 and again.json["error"] == "invalid_grant"


def test_a_refresh_token_is_given_back(gateway, browser):
    """RFC 7009: with it goes the session, and its access token."""
    given = Client(gateway).tokens(browser)
    server = well_known(gateway, "oauth-authorization-server")
    body = urllib.parse.urlencode({"token": given["refresh_token"], "token_type_hint": "refresh_token"}).encode()
    assert server["global_token_revocation_endpoint"] == gateway.public_url + "/global-token-revocation"
    assert Browser().ask("POST", server["revocation_endpoint"], body, {"Content-Type": "application/x-www-form-urlencoded"}, site="").status == 200
    assert gateway.client("tools", token=given["access_token"]).request("tools/list").status == 401
    assert Client(gateway).refresh(given["refresh_token"]).json["error"] == "invalid_grant"


def test_renewing_does_not_unlock(instead, browser):
    """Idle is idle: neither the renewal nor the new token is work (PCI DSS 8.2.8)."""
    part = instead("idle", sessions={"idle": "2s"})
    ours = Client(part)
    given = ours.tokens(browser)
    until = time.monotonic() + 3.5
    while time.monotonic() < until:
        given = ours.refresh(given["refresh_token"]).json
        time.sleep(0.5)
    answer = part.client("tools", token=given["access_token"]).call("echo", {"message": "x"})
    assert answer.gateway["reason"] == "session-locked", answer


# -- codes -------------------------------------------------------------------------------------------
def test_a_code_is_good_once(gateway, browser):
    ours = Client(gateway)
    code = ours.code(browser)
    given = ours.redeem(code)
    assert given.status == 200 and gateway.client("tools", token=given.json["access_token"]).request("tools/list").status == 200
    before = len(gateway.audit(event="auth.failure", method="oauth-code"))
    again = ours.redeem(code)
    assert again.status == 400 and again.json["error"] == "invalid_grant"
    assert gateway.client("tools", token=given.json["access_token"]).request("tools/list").status == 401, "what the first gave goes on"
    assert ours.refresh(given.json["refresh_token"]).json["error"] == "invalid_grant"
    refused(gateway, before, method="oauth-code")


@pytest.mark.parametrize("changes", [
    {"code_verifier": "x" * 43}, {"code_verifier": ""}, {"code_verifier": None}, {"redirect_uri": WEB + "/"}, {"redirect_uri": LOOPBACK},
    {"redirect_uri": None}, {"client_id": "keeper"}, {"client_id": "nobody"}, {"client_id": None},
    {"client_secret": "guess"}, {"resource": "other"}, {"grant_type": None}, {"grant_type": "password"}],
    ids=lambda c: "-".join(f"{k}-{v}"[:40] for k, v in c.items()))
def test_a_code_is_for_who_asked(gateway, browser, changes):
    ours = Client(gateway)
    code = ours.code(browser)
    if changes.get("resource"):
        changes = {"resource": f"{ours.base}/mcp/other"}
    answer = ours.redeem(code, **changes)
    assert answer.status in (400, 401) and "access_token" not in answer.text, answer
    assert answer.json["error"] in ("invalid_grant", "invalid_request", "invalid_client", "invalid_target", "unsupported_grant_type"), answer


def test_a_wrong_code_does_not_spoil_the_right_one(gateway, browser):
    ours = Client(gateway)
    code = ours.code(browser)
    assert ours.redeem(code[:-1] + ("A" if code[-1] != "A" else "B")).json["error"] == "invalid_grant"
    assert ours.redeem(code).status == 200


def test_a_client_with_a_secret(gateway, browser):
    ours = Client(gateway, client_id="keeper")
    for headers, fields in (({}, {}), ({}, {"client_secret": "wrong"}), ({"Authorization": "Basic a2VlcGVyOndyb25n"}, {"client_id": None})):
        answer = ours.redeem(ours.code(browser), headers=headers, **fields)
        assert answer.status == 401 and answer.json["error"] == "invalid_client", answer
    assert ours.redeem(ours.code(browser), client_secret=ENV["TEST_KEEPER_SECRET"]).status == 200
    refused(gateway, 0, method="oauth-client")


# -- the request -------------------------------------------------------------------------------------
OPEN_REDIRECTS = ["//evil.example", "/\\evil.example", "https:evil.example", "https://evil.example", "https://desk.example.com.evil.example/callback",
                  "https://desk.example.com@evil.example/callback", "https://evil.example/https://desk.example.com/callback",
                  "https://desk.example.com/callback%0d%0aX: y", "https://desk.example.com/callback\r\nX: y", "https://desk.example.com/callback#x",
                  "https://desk.example.com/callback/../x", "https://desk.example.com/callback?x=1", "https://desk.example.com/callback/",
                  "https://desk.example.com:443/callback", "http://desk.example.com/callback", "HTTPS://desk.example.com/callback",
                  "https://desk\u3002example\u3002com/callback", "https://desk.example.com./callback", "javascript:alert(1)",
                  "http://127.0.0.1.evil.example/callback", "http://localhost@evil.example/callback", "http://127.0.0.1:1@evil.example/callback",
                  "https://127.0.0.1:52163/callback", "http://127.0.0.1:52163/other", "http://127.0.0.2/callback", "http://localhost:52163/callback",
                  "http://2130706433/callback", "", "/callback"]


@pytest.mark.parametrize("redirect", OPEN_REDIRECTS)
def test_answers_go_to_registered_redirects_only(gateway, redirect):
    """Rows 13 and 14 of the threats: a page says it, and nobody is sent anywhere."""
    page = Browser().get(Client(gateway).url(redirect_uri=redirect), follow=False)
    assert page.status in (400, 404) and page.header("location") is None and page.header("refresh") is None, page
    assert "cannot be signed in" in page.text and "evil" not in page.text
    gateway.recorded(event="auth.failure", method="oauth")


def test_a_loopback_redirect_may_have_any_port(gateway, browser):
    for port in (52163, 1, 65535):
        ours = Client(gateway, redirect=f"http://127.0.0.1:{port}/callback")
        assert ours.redeem(ours.code(browser)).status == 200


@pytest.mark.parametrize("changes,error", [
    ({"code_challenge_method": "plain"}, "invalid_request"), ({"code_challenge_method": None}, "invalid_request"),
    ({"code_challenge": None}, "invalid_request"), ({"code_challenge": "short"}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"), ({"response_type": None}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"), ({"resource": None}, "invalid_target"),
    ({"resource": "https://elsewhere.example.com/mcp/tools"}, "invalid_target"), ({"resource": "GATE/mcp/nothing"}, "invalid_target"),
    ({"resource": "GATE/mcp/tools/"}, "invalid_target"), ({"resource": "GATE.evil.example/mcp/tools"}, "invalid_target"),
    ({"resource": "GATE/mcp/../api"}, "invalid_target"), ({"request": "e30."}, "request_not_supported"),
    ({"request_uri": "https://evil.example/r"}, "request_uri_not_supported"), ({"prompt": "none"}, "interaction_required")])
def test_what_else_is_wrong_is_told_to_the_client(gateway, changes, error):
    ours = Client(gateway)
    changes = {k: v.replace("GATE", ours.base) if v else v for k, v in changes.items()}
    page = Browser().get(ours.url(**changes), follow=False)
    answer = query_of(page.header("location"))
    assert page.status == 303 and page.header("location").startswith(WEB + "?") and answer["error"] == error, page
    assert answer["state"] == ours.state and answer["iss"] == gateway.public_url and "code" not in answer


def test_parameters_that_occur_twice(gateway):
    ours = Client(gateway)
    for name in ("client_id", "redirect_uri", "state"):
        page = Browser().get(ours.url() + f"&{name}=x", follow=False)
        assert page.status in (400, 404) and page.header("location") is None, (name, page)
    for name in ("resource", "code_challenge", "response_type", "scope"):
        page = Browser().get(ours.url(scope="mcp:read") + f"&{name}=x", follow=False)
        assert page.status == 303 and "error=" in page.header("location") and "code=" not in page.header("location"), (name, page)
    assert Browser().get(ours.url(client_id="nobody"), follow=False).status == 404


# -- consent -----------------------------------------------------------------------------------------
def test_consent_is_for_one_client_redirect_and_connection(gateway, browser):
    """Row 21: the yes to one is none to another, even with the same cookie."""
    ours = Client(gateway)
    ours.tokens(browser)
    again = ours.ask(browser)
    assert again.status == 303 and again.header("location").startswith(WEB), "the same again is not asked"
    fields = {"form-post": Client(gateway, client_id="keeper"), "connection": Client(gateway, connection="other"),
              "redirect": Client(gateway, redirect=LOOPBACK)}
    for what, other in fields.items():
        assert "/oauth/consent" in other.ask(browser).url, what
    assert "/oauth/consent" in ours.ask(browser, scope="mcp:read").url
    assert "/oauth/consent" in ours.ask(browser, prompt="consent").url
    assert "/oauth/consent" in ours.ask(Browser(), "tester2").url, "another person"
    # A program on the person's machine is never taken for the one that was agreed to.
    local = Client(gateway, redirect=LOOPBACK)
    local.tokens(browser)
    assert "/oauth/consent" in local.ask(browser).url


def test_saying_no(gateway, browser):
    ours = Client(gateway, redirect=LOOPBACK)
    back = ours.decide(browser, ours.ask(browser), "deny")
    answer = query_of(back)
    assert answer["error"] == "access_denied" and answer["state"] == ours.state and answer["iss"] == gateway.public_url
    entry = [e for e in gateway.recorded(event="consent.decided") if not e.get("ok", True)][-1]
    assert entry["reason"] == "login-denied" or entry.get("decision", {}).get("reason") == "login-denied"


def test_the_page_cannot_be_forged_or_framed(gateway, browser):
    ours = Client(gateway, redirect=LOOPBACK)
    page = ours.ask(browser)
    assert "frame-ancestors 'none'" in page.header("content-security-policy") and page.header("x-frame-options") == "DENY"
    action, fields = page.form()
    victim = Browser()
    ours.ask(victim, "tester2")

    def post(who, sent, **how):
        how = {"site": "same-origin", "origin": gateway.public_url, **how}
        return who.ask("POST", action, urllib.parse.urlencode(sent).encode(), {"Content-Type": "application/x-www-form-urlencoded"}, **how)
    allow = {**fields, "decision": "allow"}
    for who, sent, how in ((victim, allow, {}), (victim, {**allow, "form": ""}, {}), (browser, allow, {"site": "cross-site", "origin": "https://evil.example"}),
                           (browser, {k: v for k, v in allow.items() if k != "form"}, {}), (Browser(), allow, {})):
        answer = post(who, sent, **how)
        assert answer.status in (401, 403) and answer.header("refresh") is None and answer.header("location") is None, (sent, how, answer)
    assert post(browser, {**fields, "decision": "yes"}).status == 400
    assert went_to(post(browser, allow)).startswith(LOOPBACK)
    assert post(browser, allow).status == 400, "a request is answered once"
    assert Browser().get(f"{gateway.public_url}/oauth/consent?request=nonsense", follow=False).header("location").startswith("/login")


def test_the_person_signs_in_first(gateway):
    page = Browser().get(Client(gateway).url(), follow=False)
    assert page.status == 303 and page.header("location").startswith("/oauth/consent?request=")
    assert "state" not in page.header("location") and "redirect_uri" not in page.header("location"), "only a handle goes further"


# -- registration ------------------------------------------------------------------------------------
def register(gateway, body, **headers):
    return Browser().ask("POST", gateway.public_url + "/oauth/register", body if isinstance(body, bytes) else json.dumps(body).encode(),
                         {"Content-Type": "application/json", **headers}, site="")


def test_registration(instead, browser):
    registering = instead("registering", registration=True)
    good = register(registering, {"client_name": "<b>Bank</b>", "redirect_uris": ["https://evil.example/cb"], "token_endpoint_auth_method": "client_secret_post"})
    assert good.status == 201 and good.json["token_endpoint_auth_method"] == "none" and "client_secret" not in good.json
    ours = Client(registering, client_id=good.json["client_id"], redirect="https://evil.example/cb")
    # Nobody is sent to where an unknown client wants to have them without having seen it.
    page = Browser().get(ours.url(resource=None), follow=False)
    assert page.status == 400 and page.header("location") is None and "evil.example" in page.text
    page = ours.ask(browser)
    assert "&lt;b&gt;Bank" in page.text and "<b>Bank" not in page.text and "evil.example" in page.text and "nobody here knows" in page.text
    assert query_of(ours.decide(browser, page))["code"]
    tampered = good.json["client_id"][:-2] + ("AA" if good.json["client_id"][-2:] != "AA" else "BB")
    assert Browser().get(ours.url(client_id=tampered), follow=False).status == 404
    for uris in ([], ["http://evil.example/cb"], ["https://*.example.com/cb"], ["https://a.example/#x"], ["https://u@a.example/"], ["myapp:/cb"],
                 ["javascript:alert(1)"], ["https://a.example/" + "x" * 1100], "https://a.example/"):
        answer = register(registering, {"redirect_uris": uris})
        assert answer.status == 400 and answer.json["error"] in ("invalid_redirect_uri", "invalid_client_metadata"), (uris, answer)
    assert register(registering, b"{").status == 400 and register(registering, b"x" * 70000).status in (400, 413)
    statuses = [register(registering, {"redirect_uris": ["https://a.example/cb"]}).status for _ in range(25)]
    assert 429 in statuses and statuses[-1] == 429
    refused(registering, 0, method="oauth-register")


# -- documents ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("what", ["other-id", "redirect", "huge", "html", "no-json", "secret", "missing", "duplicate"])
def test_documents_that_are_not_taken(gateway, browser, documents, what):
    path = f"/bad-{what}"
    good = documents.put("/good")
    url = {"other-id": lambda: documents.put(path, {"client_id": good}), "redirect": lambda: documents.put(path, status=302, headers={"Location": good}),
           "huge": lambda: documents.put(path, {"pad": "x" * 70000}), "html": lambda: documents.put(path, headers={"Content-Type": "text/html"}),
           "no-json": lambda: documents.put(path, body=b"<html>"), "secret": lambda: documents.put(path, {"client_secret": "x"}),
           "missing": lambda: documents.base + path,
           "duplicate": lambda: documents.put(path, body=b'{"client_id":"a","client_id":"b"}')}[what]()
    before = len(documents.asked)
    page = Client(gateway, client_id=url, redirect=LOOPBACK).ask(browser)
    assert page.status >= 400 and "cannot be signed in" in page.text and page.header("location") is None, page
    assert documents.asked[before:] == [path], "and nothing else was asked for"


def test_documents_are_read_for_people_who_are_signed_in(gateway, documents):
    url = documents.put("/unseen")
    Client(gateway, client_id=url, redirect=LOOPBACK)
    page = Browser().get(Client(gateway, client_id=url, redirect=LOOPBACK).url(), follow=False)
    assert page.status == 303 and "/unseen" not in documents.asked


def test_no_address_inside_is_asked(instead, browser):
    """Row 11: the filter of addresses, also where somebody has put the host on the list; and hosts that are not."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        came = []

        def accept():
            try:
                while True:
                    came.append(listener.accept()[1])
            except OSError:
                pass
        threading.Thread(target=accept, daemon=True).start()

        part = instead("strict", client_id_hosts=["127.0.0.1", "169.254.169.254", "*.good.example"])
        port = listener.getsockname()[1]
        for url in (f"https://127.0.0.1:{port}/client", "https://169.254.169.254/latest/meta-data"):
            page = Client(part, client_id=url, redirect=LOOPBACK).ask(browser)
            assert page.status >= 400 and "no public address" in page.text, (url, page)
        for url in (f"http://127.0.0.1:{port}/client", f"https://localhost:{port}/client", "https://good.example/client", "https://evil-good.example/client",
                    "https://a.good.example.evil.example/client", "https://a.good.example", "https://a.good.example/", "https://a.good.example@127.0.0.1/x",
                    f"https://[::1]:{port}/client", "file:///etc/passwd"):
            page = Client(part, client_id=url, redirect=LOOPBACK).ask(browser)
            assert page.status in (400, 404) and page.header("location") is None, (url, page)
        listener.close()
    assert came == []


# -- ID-JAG ------------------------------------------------------------------------------------------
def id_jag(gateway, oidc, header=None, key="es", **changes):
    now = int(time.time())
    claims = {"iss": oidc.issuer, "sub": "tester", "aud": gateway.public_url, "client_id": "keeper", "jti": f"jag-{time.monotonic_ns()}",
              "resource": f"{gateway.public_url}/mcp/tools", "iat": now, "exp": now + 120, "email": "tess@example.com", "groups": ["testers"], **changes}
    return oidc.mint({k: v for k, v in claims.items() if v is not None}, {"typ": "oauth-id-jag+jwt", **(header or {})}, key)


def assert_by(gateway, assertion, **changes):
    fields = {"grant_type": JAG, "assertion": assertion, "client_id": "keeper", "client_secret": ENV["TEST_KEEPER_SECRET"], **changes}
    return Client(gateway).token(**fields)


def test_id_jag(gateway, oidc):
    assertion = id_jag(gateway, oidc)
    given = assert_by(gateway, assertion)
    assert given.status == 200 and "refresh_token" not in given.json, given
    assert "echo" in gateway.client("tools", token=given.json["access_token"]).tool_names()
    assert gateway.client("other", token=given.json["access_token"]).request("tools/list").status == 401
    again = assert_by(gateway, assertion)
    assert again.status == 400 and again.json["error"] == "invalid_grant" and again.json["code"] == "token-used"
    assert gateway.client("tools", token=assertion).request("tools/list").status == 401, "it is no access token"


@pytest.mark.parametrize("changes,reason", [
    ({"header": {"typ": "JWT"}}, "token-type-wrong"), ({"header": {"typ": "at+jwt"}}, "token-type-wrong"), ({"aud": "https://other.example.com"}, "token-audience-wrong"),
    ({"aud": ["GATE", "https://other.example.com"]}, "token-audience-wrong"), ({"aud": None}, "token-audience-wrong"), ({"client_id": "desk"}, "token-claims-invalid"),
    ({"client_id": None}, "token-claims-invalid"), ({"jti": None}, "token-claims-invalid"), ({"sub": None}, "token-claims-invalid"),
    ({"resource": None}, "token-claims-invalid"), ({"resource": "https://other.example.com/mcp/tools"}, "token-audience-wrong"), ({"exp": 1000, "iat": 900}, "token-expired"),
    ({"iss": "https://nobody.example.com"}, "token-issuer-unknown"), ({"cnf": {"jkt": "x"}}, "token-type-wrong")],
    ids=lambda c: json.dumps(c)[:50] if isinstance(c, dict) else c)
def test_id_jag_that_is_not_taken(gateway, oidc, changes, reason):
    if isinstance(changes.get("aud"), list):
        changes = {"aud": [gateway.public_url, changes["aud"][1]]}
    answer = assert_by(gateway, id_jag(gateway, oidc, **changes))
    assert answer.status == 400 and answer.json["code"] == reason and answer.json["error"] == "invalid_grant", answer


def test_id_jag_of_the_wrong_client(gateway, oidc, browser):
    assert assert_by(gateway, id_jag(gateway, oidc), client_secret=None).status == 401
    registered = register(gateway, {"redirect_uris": [LOOPBACK]}).json["client_id"]
    answer = assert_by(gateway, id_jag(gateway, oidc, client_id=registered), client_id=registered, client_secret=None)
    assert answer.status == 400 and answer.json["error"] == "unauthorized_client"
    refused(gateway, 0, method="oauth-id-jag")


# -- nothing is told ---------------------------------------------------------------------------------
def test_no_token_is_in_the_logs(gateway, browser):
    """Row 16."""
    ours = Client(gateway)
    given = ours.tokens(browser)
    given2 = ours.refresh(given["refresh_token"]).json
    said = gateway.process.out + gateway.process.err + json.dumps(gateway.entries())
    for secret in (given["access_token"], given["refresh_token"], given2["access_token"], given2["refresh_token"], "sps_", "spr_"):
        assert secret not in said
    assert not any("sps_" in to or "eyJ" in to for _, _, to in browser.seen if to.startswith(gateway.public_url) or to.startswith("/"))
