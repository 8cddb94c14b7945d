"""Rows of the table in docs/identity-threats.md that no other file shows: floods of key ids as fast as they come, keys that are taken
back, discovery documents that point elsewhere, tokens that are carried to the wrong place."""

import base64
import http.server
import json
import os
import socket
import threading
import time

import pytest

from kit.parts import Gateway, Oidc, http_connection
from kit.process import eventually, free_port
from raw_upstream import Listener

INTROSPECTION = {"client_id": "gate", "client_secret": {"env": "TEST_INTROSPECTION"}}


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def works(gateway, token: str) -> bool:
    return gateway.client("up", token=token).call("echo", {"message": "x"}).status == 200


@pytest.fixture
def lone(start_gateway, tmp, upstream):
    """An issuer and a gateway of this test's own, because the issuer is about to misbehave."""
    issuer = Oidc(tmp, f"http://127.0.0.1:{free_port()}")
    gateway = start_gateway(tmp, issuer, [http_connection("up", upstream.url)])
    yield gateway, issuer
    issuer.stop()


# -- 9: a flood of key ids -------------------------------------------------------------------------
class Flood(threading.Thread):
    """Many requests on one connection without waiting for answers; from an address of its own, so that no bound per address helps."""

    def __init__(self, port: int, number: int, tokens: list[str]):
        super().__init__()
        self.socket = socket.create_connection(("127.0.0.1", port), source_address=(f"127.0.1.{number + 1}", 0))
        self.socket.settimeout(60)
        self.bytes = b"".join(f"POST /mcp/up HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
                              "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".encode() for token in tokens)
        self.wanted, self.statuses, self.seconds = len(tokens), {}, 0.0

    def run(self):
        begun = time.monotonic()
        sender = threading.Thread(target=self.socket.sendall, args=(self.bytes,))
        sender.start()
        rest, answers = b"", 0
        while answers < self.wanted:
            data = self.socket.recv(1 << 18)
            if not data:
                break
            rest += data
            *whole, rest = rest.split(b"HTTP/1.1 ")
            for part in whole[0:]:
                if part[:3].isdigit():
                    self.statuses[int(part[:3])] = self.statuses.get(int(part[:3]), 0) + 1
                    answers += 1
            rest = b"HTTP/1.1 " + rest if rest else b""
            if rest.endswith(b"\r\n\r\n") or rest.endswith(b"}") or answers + 1 >= self.wanted:
                status = rest[9:12]
                if status.isdigit():
                    self.statuses[int(status)] = self.statuses.get(int(status), 0) + 1
                    answers += 1
                    rest = b""
        self.seconds = time.monotonic() - begun
        sender.join(5)
        self.socket.close()


def test_ten_thousand_key_ids(lone):
    """All at once, each well formed and with claims that could pass: one renewal, and good tokens go on."""
    gateway, issuer = lone
    good = issuer.token("tester")
    assert works(gateway, good)
    now = int(time.time())
    claims = {"iss": issuer.issuer, "aud": gateway.audience, "sub": "tester", "client_id": "tester", "iat": now, "exp": now + 300,
              "groups": ["testers"]}
    head, rest = issuer.mint(claims, {"kid": "KID"}).split(".", 1)
    head = base64.urlsafe_b64decode(head + "==").decode()
    time.sleep(11)  # so that a renewal out of turn is allowed, and is the one that is seen
    before = issuer.stats()["jwks"]
    floods = [Flood(gateway.port, n, [f"{b64(head.replace('KID', os.urandom(9).hex()).encode())}.{rest}" for _ in range(1000)])
              for n in range(10)]
    begun = time.monotonic()
    for flood in floods:
        flood.start()
    timings = []
    while any(flood.is_alive() for flood in floods):
        at = time.monotonic()
        assert works(gateway, good)
        timings.append(time.monotonic() - at)
    seconds = time.monotonic() - begun
    for flood in floods:
        flood.join()
    statuses = {}
    for flood in floods:
        for status, count in flood.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    assert set(statuses) <= {401, 429, 503} and sum(statuses.values()) >= 9_900, statuses
    assert issuer.stats()["jwks"] - before <= 1 + seconds / 10, (issuer.stats()["jwks"] - before, seconds)
    assert timings and max(timings) < 5, max(timings)
    assert works(gateway, good) and gateway.alive()


# -- 10: keys that are taken back --------------------------------------------------------------------
def test_a_key_that_is_taken_back_stops_at_the_next_renewal(lone):
    """Also for a token that was accepted before, and has not expired."""
    gateway, issuer = lone
    old = issuer.token("tester")
    assert works(gateway, old)
    issuer.rotate(keep=False)
    new = issuer.token("tester")  # its key is unknown: that asks for a renewal, at most one in ten seconds
    assert eventually(lambda: works(gateway, new), 30, step=0.5)
    assert not works(gateway, old)
    gateway.recorded(event="auth.failure", reason="token-key-unknown")


# -- 11: where discovery leads --------------------------------------------------------------------------
class HostileIssuer:
    """An issuer that answers discovery with what a test says."""

    def __init__(self):
        self.document, self.redirect, self.asked = {}, None, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                if outer.redirect:
                    self.send_response(302)
                    self.send_header("Location", outer.redirect)
                    self.end_headers()
                    return
                body = json.dumps(outer.document if "well-known" in self.path else {"keys": []}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.issuer = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()


@pytest.fixture
def hostile():
    part = HostileIssuer()
    yield part
    part.stop()


@pytest.fixture
def listener():
    part = Listener()
    yield part
    part.stop()


def beside(tmp, start_gateway, upstream, hostile, **oidc_options):
    """A gate with a good issuer and the hostile one."""
    good = Oidc(tmp, f"http://127.0.0.1:{free_port()}")

    def change(config):
        config["identity"]["providers"].append(
            {"name": "hostile", "oidc": {"issuer": hostile.issuer, "audience": good.audience, "allow_loopback_http": True, **oidc_options}})
    gateway = start_gateway(tmp / "gateway", good, [http_connection("up", upstream.url)], changes=change, start=False,
                            env={"TEST_INTROSPECTION": "introspection-secret-8bb1"})
    gateway.launch()
    assert eventually(lambda: gateway.ops("/livez")[0] == 200, 20)
    return gateway, good


@pytest.mark.parametrize("kind", ["jwks elsewhere", "jwks metadata service", "redirect", "another issuer", "jwks file", "jwks user info"])
def test_a_discovery_document_leads_nowhere_else(start_gateway, tmp, upstream, hostile, listener, kind):
    inside = listener.url.replace("http://", "")
    uri = {"jwks elsewhere": f"{listener.url}/keys", "jwks metadata service": "http://169.254.169.254/latest/keys",
           "jwks file": "file:///etc/passwd", "jwks user info": f"http://127.0.0.1:{hostile.port}@{inside}/keys"}.get(kind, f"{hostile.issuer}/jwks")
    hostile.document = {"issuer": f"{hostile.issuer}/" if kind == "another issuer" else hostile.issuer, "jwks_uri": uri}
    if kind == "redirect":
        hostile.redirect = f"{listener.url}/keys"
    gateway, good = beside(tmp, start_gateway, upstream, hostile)
    try:
        assert eventually(lambda: len(hostile.asked) >= 2, 20, 0.2), "it was not asked again"
        assert listener.connections == []
        assert works(gateway, good.token("tester")), "the other provider's people are not concerned"
        token = good.mint({"iss": hostile.issuer, "aud": good.audience, "sub": "tester", "iat": int(time.time()), "exp": int(time.time()) + 60})
        assert gateway.client("up", token=token).call("echo", {"message": "x"}).status in (401, 503)
    finally:
        good.stop()


@pytest.mark.parametrize("kind", ["elsewhere", "redirect"])
def test_an_opaque_token_and_our_secret_go_to_the_issuer_only(start_gateway, tmp, upstream, hostile, listener, kind):
    """A discovery document that names another host would else have every opaque token sent there."""
    hostile.document = {"issuer": hostile.issuer, "jwks_uri": f"{hostile.issuer}/jwks",
                        "introspection_endpoint": f"{listener.url if kind == 'elsewhere' else hostile.issuer}/introspect"}
    gateway, good = beside(tmp, start_gateway, upstream, hostile, introspection=INTROSPECTION)
    try:
        assert eventually(lambda: any("jwks" in path for path in hostile.asked), 20, 0.2)
        if kind == "redirect":
            hostile.document["introspection_endpoint"] = f"{hostile.issuer}/introspect"
        reply = gateway.client("up", token="opaque-token-of-somebody")
        if kind == "redirect":  # only what is asked from now on: the document itself was read
            answer = reply.call("echo", {"message": "x"})
            hostile.redirect = f"{listener.url}/introspect"
            time.sleep(1.2)
        answer = reply.call("echo", {"message": "x"})
        assert answer.status == 503 and answer.error["data"]["gateway"]["reason"] == "identity-provider-down", answer
        assert listener.connections == []
    finally:
        good.stop()


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "localhost.", "[::127.0.0.1]",
                                  "[64:ff9b::7f00:1]"])
def test_an_issuer_inside_is_not_connected_to(start_gateway, tmp, upstream, listener, host):
    """Without allow_addresses, in whatever spelling: the address is judged where the connection is made."""
    port = listener.url.rsplit(":", 1)[1]

    def change(config):
        config["identity"]["providers"] = [{"name": "inside", "oidc": {"issuer": f"https://{host}:{port}", "audience": "x", "allow_loopback_http": False}}]
        config["identity"]["agents"] = []
    gateway = start_gateway(tmp / "gateway", None, [http_connection("up", upstream.url)], changes=change, start=False)
    gateway.launch()
    # Refused at once by the configuration, or not reached: in no case connected to.
    ended = eventually(lambda: not gateway.alive() or "identity" in gateway.ops("/readyz")[1] or gateway.ops("/readyz")[0] == 503, 15)
    time.sleep(1.5)
    assert ended and listener.connections == []


# -- 12, 23: whose token it is ------------------------------------------------------------------------
def test_the_same_name_at_another_provider_is_somebody_else(start_gateway, tmp, upstream, oidc):
    """nOAuth: an e-mail address is what its owner writes into a provider; `user:` rules are for names, and say so, subjects decide."""
    second = Oidc(tmp, oidc.audience, name="second")
    try:
        policies = [{"id": "one", "effect": "allow", "who": [f"user:{oidc.issuer}|tess"], "on": {"connection": "up", "tools": ["echo"]}}]
        gateway = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], policies, extra_oidc=[second])
        assert gateway.client("up", token=oidc.token_of("tess", "tess@example.com")).call("echo", {"message": "x"}).text() == "Echo: x"
        for token in (second.token_of("tess", "tess@example.com"), oidc.token_of("mallory", "tess@example.com"),
                      second.token_of("mallory", f"{oidc.issuer}|tess"), second.token_of(f"{oidc.issuer}|tess", "tess@example.com")):
            reply = gateway.client("up", token=token).call("echo", {"message": "x"})
            assert reply.status == 401 or "error" in reply.answer, reply
    finally:
        second.stop()


# -- 6, 7: a token at the wrong door --------------------------------------------------------------------
def test_a_bound_token_is_not_exchanged_and_opens_no_database(lone):
    """What is bound to a key is worth nothing where no proof can be shown."""
    import urllib.error
    import urllib.parse
    import urllib.request
    gateway, issuer = lone
    holder = issuer.holder("tester")
    body = urllib.parse.urlencode({"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": holder.token,
                                   "subject_token_type": "urn:ietf:params:oauth:token-type:jwt"}).encode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{gateway.public_url}/token", body), timeout=10)
    assert refused.value.code in (400, 401)
