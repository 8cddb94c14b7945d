"""A token for the upstream that stands for the caller (RFC 8693): each caller's own, got for a token of the gateway's, kept apart.

Behind it the real MCP server; the authorization server is a double that follows RFC 8693 and verifies what it is shown.
"""

import base64
import concurrent.futures
import json
import secrets
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

import pytest

from kit.cloud import Front, _Server, verify_rs256
from kit.parts import Upstream, get, http_connection
from kit.process import eventually
from test_upstream_credentials import echo, secrets_nowhere

SECRET = "exchange-client-canary"
RULES = [{"id": "all", "effect": "allow", "who": ["group:testers", "agent:agent-refunds"], "on": {"connection": "cloud", "tools": ["*"]}}]


class Exchange(_Server):
    """A double of an authorization server's token endpoint that does token exchange, and the upstream's judge of its tokens."""

    def __init__(self, port):
        self.issuer, self.life, self.mode, self.refuse, self.slow_for = None, 3600, "up", set(), 0
        self.asked, self.given, self.bad, self.elsewhere = [], {}, set(), []  # token -> subject
        self.lock = threading.Lock()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode(), strict_parsing=True))
                if self.path != "/token":
                    double.elsewhere.append(form)
                status, answer = double.answer(form, self.headers)
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                if double.mode == "redirect":
                    self.send_header("location", double.url + "/elsewhere")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                try:
                    self.wfile.write(text)
                except OSError:
                    self.close_connection = True

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}"
        self.front = Front(port, self.judge)

    def answer(self, form, headers):
        with self.lock:
            self.asked.append((form, dict(headers)))
        if self.mode == "slow":
            time.sleep(20)
        hostile = {"500": (500, b"exchange-words-canary"), "garbage": (200, b'{"access_token": "exchange-words-canary'),
                   "huge": (200, b'{"access_token":"' + b"A" * (4 << 20) + b'"}'), "redirect": (307, b""),
                   "injection": (200, {"access_token": "x\r\nX-Evil: exchange-words-canary", "token_type": "Bearer", "expires_in": 60}),
                   "expired": (200, {"access_token": "exchange-words-canary", "token_type": "Bearer", "expires_in": -1}),
                   "no bearer": (200, {"access_token": "exchange-words-canary", "token_type": "DPoP", "expires_in": 60}),
                   "other kind": (200, {"access_token": "exchange-words-canary", "token_type": "Bearer",
                                        "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}),
                   "refused": (400, {"error": "invalid_target", "error_description": "exchange-words-canary"})}
        if self.mode in hostile:
            return hostile[self.mode]
        basic = "Basic " + base64.b64encode(f"gate-client:{SECRET}".encode()).decode()
        if headers["authorization"] != basic:
            return 401, {"error": "invalid_client"}
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:token-exchange", form
        assert form["subject_token_type"] == "urn:ietf:params:oauth:token-type:jwt" and form["audience"] == "payments-api"
        jwks = json.loads(get(json.loads(get(self.issuer + "/.well-known/openid-configuration")[1])["jwks_uri"])[1])
        claims = verify_rs256(form["subject_token"], jwks)
        assert claims["iss"] == self.issuer and claims["aud"] == self.url + "/token" and claims["exp"] - time.time() < 62
        if claims["sub"] in self.refuse:
            return 400, {"error": "invalid_grant", "error_description": "exchange-words-canary"}
        time.sleep(self.slow_for)
        token = "xt-" + secrets.token_urlsafe(24)
        with self.lock:
            self.given[token] = claims["sub"] + "/" + claims.get("act", {}).get("sub", "")
        return 200, {"access_token": token, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer",
                     "expires_in": self.life}

    def judge(self, request):
        token = request["head"].get("authorization", "").removeprefix("Bearer ")
        good = token in self.given and token not in self.bad
        return None if good else (401, {"www-authenticate": 'Bearer error="invalid_token"'})

    def who(self, text: str) -> set:
        """For whom the requests that hold this text were made, as the upstream sees it."""
        return {self.given[r["head"]["authorization"].removeprefix("Bearer ")] for r in list(self.front.seen)
                if r["verdict"] is None and text.encode() in r["body"]}


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture
def server(plain):
    part = Exchange(plain.port)
    yield part
    part.front.stop()
    part.stop()


@pytest.fixture
def make(tmp, start_gateway, oidc, server):
    def make(**more):
        connection = http_connection("cloud", server.front.origin + "/mcp")
        connection["mcp"]["http"]["auth"] = {"exchange": {"token_url": server.url + "/token", "client_id": "gate-client",
                                                          "client_secret": {"env": "EXCHANGE_SECRET"}, "audience": "payments-api", **more}}
        part = start_gateway(tmp, oidc, [connection], RULES, start=False, env={"EXCHANGE_SECRET": SECRET})
        server.issuer = part.public_url
        return part.start()
    return make


def test_each_caller_has_a_token_of_their_own(make, server, oidc):
    server.slow_for = 0.2
    gateway = make(subject="gate_jwt")
    names = ["tester", "tester2", "agent-refunds"] * 12
    clients = [gateway.client("cloud", who) for who in names]
    with concurrent.futures.ThreadPoolExecutor(36) as pool:
        assert list(pool.map(lambda pair: echo(pair[0], f"from {pair[1]}."), zip(clients, names))) == [f"from {n}." for n in names]
    for who, stands_for in {"tester": "corp:tester/", "tester2": "corp:tester2/", "agent-refunds": "corp:agent-refunds/agent:agent-refunds"}.items():
        assert server.who(f"from {who}.") == {stands_for}
    assert len(server.given) == 3 == len(server.asked), "one exchange for each, however many wait"
    seen = str([r["headers"] for r in server.front.seen]) + str(server.asked)
    assert not any(oidc.token(who) in seen for who in set(names)), "nobody's own token goes anywhere"
    secrets_nowhere(gateway, SECRET, *server.given, *(form["subject_token"].split(".")[2] for form, _ in server.asked))


def test_a_token_is_renewed_before_its_end_and_replaced_once_when_it_is_refused(make, server):
    server.life = 8
    gateway = make()
    client = gateway.client("cloud")
    end = time.monotonic() + 12
    while time.monotonic() < end:
        assert echo(client) == "hi"
        time.sleep(0.2)
    assert 2 <= len(server.given) <= 4 and all(r["verdict"] is None for r in server.front.seen)
    server.life, before = 3600, len(server.given)
    assert eventually(lambda: echo(client) == "hi" and len(server.given) > before, 10, 0.3)
    time.sleep(2.1)
    before = len(server.given)
    server.bad.update(server.given)
    assert echo(client, "again") == "again"
    assert len(server.given) == before + 1
    assert len([r for r in server.front.seen if r["verdict"] is None and b"again" in r["body"]]) == 1


def test_who_is_refused_does_not_hold_up_others(make, server):
    server.refuse.add("corp:tester2")
    gateway = make()
    other, client = gateway.client("cloud", "tester2"), gateway.client("cloud")
    for _ in range(20):
        assert "no credential for the upstream" in other.call("echo", {"message": "x"}).body.decode()
        assert echo(client) == "hi"
    assert "the token endpoint answered HTTP 400 invalid_grant" in gateway.process.err
    assert set(server.given.values()) == {"corp:tester/"}
    assert len(server.asked) <= 6, "not once per call"
    gateway.recorded(event="call.outcome", reason="upstream-credential-failed")


@pytest.mark.parametrize("mode", ["500", "garbage", "huge", "redirect", "slow", "injection", "expired", "no bearer", "other kind", "refused"])
def test_a_hostile_server_gets_nothing_upstream(make, server, mode):
    server.mode = mode
    gateway = make()
    client = gateway.client("cloud")
    begin = time.monotonic()
    assert "no credential for the upstream" in (body := client.call("echo", {"message": "x"}).body.decode()) or "upstream-timeout" in body, body
    assert time.monotonic() - begin < 17
    assert server.front.seen == [] and server.elsewhere == []
    for _ in range(10):
        client.call("echo", {"message": "x"})
    assert len(server.asked) <= 6
    server.mode = "up"
    if mode in ("slow", "refused"):
        assert eventually(lambda: b"hi" in client.call("echo", {"message": "hi"}).body, 25, 0.5)
    secrets_nowhere(gateway, SECRET, "exchange-words-canary", *server.given)
