"""MCP clients that are a web page of another origin, in a real browser: metadata → registration → token → call. And what pages must not get:
the answers of a gate that has not listed them, anything by a cookie, a wildcard."""

import http.client
import http.server
import json
import threading
import urllib.parse

import pytest

from kit.browser import Browser as Chromium
from kit.oauth import with_server
from kit.parts import Gateway, http_connection
from kit.person import LOGIN_ENV, with_login
from kit.process import eventually

ASK = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type,mcp-protocol-version"}


class Site:
    """Empty pages at an origin of their own."""

    def __init__(self, host: str):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = b"<!doctype html><title>client</title><main>client</main>"
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://{host}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def sites():
    """A listed one, one that is not, and a listed one on the gate's own host: of the same site, as browsers see it."""
    parts = {"listed": Site("localhost"), "other": Site("localhost"), "neighbour": Site("127.0.0.1")}
    yield {name: part.origin for name, part in parts.items()}
    for part in parts.values():
        part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, sites):
    def changes(config):
        with_login(config)
        with_server(config, registration=True)
        config["server"]["allowed_origins"] = [sites["listed"], sites["neighbour"]]
    rules = [{"id": "tess", "effect": "allow", "who": ["user:tess@example.com"], "on": {"connection": "tools", "tools": ["*"]}}]
    part = Gateway(scratch / "gateway", oidc, [http_connection("tools", upstream.url)], rules, changes=changes, env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def chromium(scratch):
    part = Chromium(scratch)
    yield part
    part.stop()


def ask(gateway, method: str, path: str, headers: dict, body: bytes | None = None):
    """(status, headers in lower case, body)"""
    wire = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    wire.request(method, path, body, headers)
    answer = wire.getresponse()
    found = (answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    wire.close()
    return found


# -- in a browser --------------------------------------------------------------------------------------------------------------------
# What a client in a page does; every value is read by the page's own script.
BEGIN = """async ([mcp, back]) => {
  const first = await fetch(mcp, {method: 'POST', headers: {'content-type': 'application/json', accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2025-11-25'}, body: '{"jsonrpc":"2.0","id":1,"method":"ping"}'});
  const challenge = first.headers.get('www-authenticate');
  const about = await (await fetch(/resource_metadata="([^"]+)"/.exec(challenge)[1], {headers: {'mcp-protocol-version': '2025-11-25'}})).json();
  const server = await (await fetch(about.authorization_servers[0] + '/.well-known/oauth-authorization-server')).json();
  const registered = await (await fetch(server.registration_endpoint, {method: 'POST', headers: {'content-type': 'application/json'},
    body: JSON.stringify({client_name: 'A page', redirect_uris: [back], token_endpoint_auth_method: 'none'})})).json();
  const verifier = 'v'.repeat(50);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier)));
  const challenge2 = btoa(String.fromCharCode(...digest)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
  return {status: first.status, client: registered.client_id, resource: about.resource, to: server.authorization_endpoint + '?' + new URLSearchParams({
    response_type: 'code', client_id: registered.client_id, redirect_uri: back, code_challenge: challenge2, code_challenge_method: 'S256', state: 's',
    resource: about.resource}), token: server.token_endpoint, revoke: server.revocation_endpoint};
}"""
FINISH = """async ([mcp, back, begun]) => {
  const code = new URLSearchParams(location.search).get('code');
  const given = await (await fetch(begun.token, {method: 'POST', body: new URLSearchParams({grant_type: 'authorization_code', code, client_id: begun.client,
    redirect_uri: back, code_verifier: 'v'.repeat(50), resource: begun.resource})})).json();
  const send = async (method, message, session) => {
    const answer = await fetch(mcp, {method, headers: {authorization: 'Bearer ' + given.access_token, 'content-type': 'application/json',
      accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2025-11-25', ...(session ? {'mcp-session-id': session} : {})},
      body: message ? JSON.stringify({jsonrpc: '2.0', ...message}) : undefined});
    return [answer.status, answer.headers.get('mcp-session-id'), await answer.text()];
  };
  const opened = await send('POST', {id: 1, method: 'initialize', params: {protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {name: 'page', version: '1'}}});
  const session = opened[1];
  await send('POST', {method: 'notifications/initialized'}, session);
  const called = await send('POST', {id: 2, method: 'tools/call', params: {name: 'echo', arguments: {message: 'from a page'}}}, session);
  const ended = await send('DELETE', null, session);
  const revoked = await fetch(begun.revoke, {method: 'POST', body: new URLSearchParams({token: given.access_token})});
  const after = await send('POST', {id: 3, method: 'ping'});
  return {session, called, ended: ended[0], revoked: revoked.status, after: after[0]};
}"""


def run(page, script: str, *values):
    return page.evaluate(script=f"({script})({json.dumps(list(values))})")


def test_a_page_of_a_listed_origin_is_a_client(gateway, chromium, sites, fresh):
    page = chromium.person("client")
    mcp, back = f"{gateway.public_url}/mcp/tools", f"{sites['listed']}/callback"
    page.goto(url=sites["listed"])
    begun = run(page, BEGIN, mcp, back)
    assert begun["status"] == 401 and begun["resource"] == mcp, begun
    page.goto(url=begun["to"])
    page.fill(selector="#login", value="tester")
    page.click(selector="#go")
    page.wait(text="A page")
    page.click(selector="button[value=allow]")
    assert eventually(lambda: page.url().startswith(back + "?"), 10, 0.1), page.url()
    done = run(page, FINISH, mcp, back, begun)
    assert done["session"] and done["called"][0] == 200 and "Echo: from a page" in done["called"][2], done
    assert (done["ended"], done["revoked"], done["after"]) == (204, 200, 401) or done["ended"] in (200, 202, 204), done
    assert done["after"] == 401 and len(fresh.calls("echo")) == 1
    assert gateway.recorded(event="consent.decided")


def test_a_page_that_is_not_listed_reads_nothing(gateway, chromium, sites, fresh):
    """Neither with a token that it has from elsewhere."""
    page = chromium.person("stranger")
    page.goto(url=sites["other"])
    script = """async ([base, token]) => {
      const out = {};
      for (const [name, path, how] of [['metadata', '/.well-known/oauth-authorization-server', {}], ['resource', '/.well-known/oauth-protected-resource/mcp/tools', {}],
          ['register', '/oauth/register', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'}],
          ['token', '/token', {method: 'POST', body: new URLSearchParams({grant_type: 'authorization_code'})}],
          ['call', '/mcp/tools', {method: 'POST', headers: {authorization: 'Bearer ' + token, 'content-type': 'application/json'}, body: '{}'}],
          ['simple', '/mcp/tools', {method: 'POST', headers: {'content-type': 'text/plain'}, body: '{}'}]]) {
        try { out[name] = (await fetch(base + path, how)).status; } catch (error) { out[name] = error.name; }
      }
      return out;
    }"""
    done = run(page, script, gateway.public_url, gateway.oidc.token("tester"))
    assert set(done.values()) == {"TypeError"} and len(done) == 6, done
    assert fresh.captured() == [] and gateway.recorded(event="request.refused", reason="origin-refused")


def test_a_cookie_counts_for_nothing(gateway, chromium, sites):
    """A listed page of the same site: the browser sends the person's cookie along if the page asks for it."""
    page = chromium.person("tess")
    page.log_in(gateway.public_url + "/sessions", "tester")
    page.goto(url=sites["neighbour"])
    script = """async ([base]) => {
      const out = {};
      for (const [name, path, how] of [['me', '/api/v1/me', {}], ['sessions', '/api/v1/sessions', {}],
          ['end', '/api/v1/sessions', {method: 'DELETE', headers: {'x-sallyport': '1'}}],
          ['metadata', '/.well-known/oauth-authorization-server', {}], ['authorize', '/oauth/authorize?client_id=desk', {}],
          ['token', '/token', {method: 'POST', body: new URLSearchParams({grant_type: 'authorization_code'})}],
          ['call', '/mcp/tools', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'}]]) {
        try { out[name] = (await fetch(base + path, {credentials: 'include', ...how})).status; } catch (error) { out[name] = error.name; }
      }
      out.without = (await fetch(base + '/.well-known/oauth-authorization-server')).status;
      return out;
    }"""
    done = run(page, script, gateway.public_url)
    assert done.pop("without") == 200 and set(done.values()) == {"TypeError"}, done
    page.goto(url=gateway.public_url + "/sessions")
    assert page.evaluate(script="fetch('/api/v1/me').then((r) => r.status)") == 200, "the person is signed in all the while"


# -- on the wire -----------------------------------------------------------------------------------------------------------------------
OPEN = {"/mcp/tools": "POST", "/token": "POST", "/oauth/register": "POST", "/oauth/revoke": "POST", "/.well-known/oauth-authorization-server": "GET",
        "/.well-known/oauth-protected-resource/mcp/tools": "GET"}
CLOSED = {"/api/v1/me": "GET", "/api/v1/sessions": "GET", "/oauth/authorize": "GET", "/oauth/consent": "POST", "/login": "GET", "/login/callback": "GET",
          "/logout": "POST", "/passkeys": "GET", "/device": "GET", "/unlock": "GET", "/approvals": "GET", "/assets/app.js": "GET", "/nothing": "GET"}


@pytest.mark.parametrize("path", OPEN)
def test_preflights(gateway, sites, path):
    """Answered without a credential, for exactly the listed origins; nothing is said that is not asked."""
    before = len(gateway.audit(event="auth.failure"))
    status, headers, body = ask(gateway, "OPTIONS", path, {"Origin": sites["listed"], **ASK, "Access-Control-Request-Method": OPEN[path],
                                                           "Access-Control-Request-Headers": "authorization,cookie,mcp-param-region,x-evil,x-sallyport"})
    assert status == 204 and body == b"", (status, body)
    assert headers["access-control-allow-origin"] == sites["listed"] and "Origin" in headers["vary"]
    assert OPEN[path] in headers["access-control-allow-methods"]
    assert headers["access-control-allow-headers"] == "authorization, mcp-param-region"
    assert "access-control-allow-credentials" not in headers and "set-cookie" not in headers and "*" not in str(headers)
    assert len(gateway.audit(event="auth.failure")) == before
    for origin in (sites["other"], "null", "*", sites["listed"] + ".evil.example", sites["listed"] + "/", "https://localhost", "", f"{sites['listed']} {sites['other']}"):
        status, headers, _ = ask(gateway, "OPTIONS", path, {"Origin": origin, **ASK, "Access-Control-Request-Method": OPEN[path]})
        assert status == 403 and not [h for h in headers if h.startswith("access-control")], (origin, status, headers)
    assert gateway.recorded(event="request.refused", reason="origin-refused")


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("origin", ["listed", "other"])
def test_everything_else_is_for_our_own_pages(gateway, sites, path, origin):
    for method, more in (("OPTIONS", {**ASK, "Access-Control-Request-Method": CLOSED[path]}), (CLOSED[path], {})):
        status, headers, _ = ask(gateway, method, path, {"Origin": sites[origin], **more})
        assert status >= 400 and not [h for h in headers if h.startswith("access-control")], (method, status, headers)


def test_answers_and_refusals_can_be_read(gateway, sites, oidc):
    token = gateway.oidc.token("tester")
    for bearer, expected in ((None, 401), ("nonsense", 401), (token, 400)):
        status, headers, _ = ask(gateway, "POST", "/mcp/tools", {"Origin": sites["listed"], "Content-Type": "application/json",
                                                                 **({"Authorization": f"Bearer {bearer}"} if bearer else {})}, b"{}")
        assert status == expected and headers["access-control-allow-origin"] == sites["listed"]
        assert {"Mcp-Session-Id", "WWW-Authenticate"} <= {name.strip() for name in headers["access-control-expose-headers"].split(",")}
    # What a cache keeps of one origin is not given to another.
    assert "Origin" in ask(gateway, "GET", "/.well-known/oauth-authorization-server", {})[1]["vary"]
    body = urllib.parse.urlencode({"grant_type": "authorization_code", "code": "x", "client_id": "desk"}).encode()
    status, headers, _ = ask(gateway, "POST", "/token", {"Origin": sites["listed"], "Content-Type": "application/x-www-form-urlencoded"}, body)
    assert status in (400, 401) and headers["access-control-allow-origin"] == sites["listed"]
    # A program sends no Origin, and gets nothing of this.
    assert not [h for h in ask(gateway, "POST", "/mcp/tools", {"Content-Type": "application/json"}, b"{}")[1] if h.startswith("access-control")]


def test_the_list_is_read_again(gateway, sites):
    """An origin that is taken off the list is refused from the reload on."""
    before = gateway.config["server"]["allowed_origins"]
    try:
        gateway.config["server"]["allowed_origins"] = [sites["neighbour"]]
        gateway.write_config()
        gateway.reload()
        for path in OPEN:
            assert eventually(lambda: ask(gateway, "OPTIONS", path, {"Origin": sites["listed"], **ASK, "Access-Control-Request-Method": OPEN[path]})[0] == 403, 10, 0.2), path
            assert ask(gateway, "OPTIONS", path, {"Origin": sites["neighbour"], **ASK, "Access-Control-Request-Method": OPEN[path]})[0] == 204, path
    finally:
        gateway.config["server"]["allowed_origins"] = before
        gateway.write_config()
        gateway.reload()
        assert eventually(lambda: ask(gateway, "OPTIONS", "/token", {"Origin": sites["listed"], **ASK})[0] == 204, 10, 0.2)
