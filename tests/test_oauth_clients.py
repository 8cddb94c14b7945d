"""The gateway as a client of an OAuth server without a stored secret (RFC 7523): it signs with the key of a file, or with its own as an
issuer, which the server finds by discovery. And where such a server has its metadata (RFC 8414)."""

import base64
import concurrent.futures
import json
import subprocess
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler

import pytest
from test_upstream_credentials import TokenFront, echo, secrets_nowhere

from kit.cloud import Front, _Server, header, payload, verify_rs256
from kit.parts import Upstream, get, http_connection, post_json
from kit.process import eventually

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


class SignedFront(TokenFront):
    """Takes the real provider's tokens for a client of that name."""

    def __init__(self, port, oidc, client):
        self.client = client
        super().__init__(port, oidc)

    def judge(self, request):
        kind, _, token = request["head"].get("authorization", "").partition(" ")
        claims = payload(token) if kind == "Bearer" and token.count(".") == 2 else {}
        if token and token not in self.given:
            self.given.append(token)
        good = claims.get("iss") == self.oidc.issuer and claims.get("client_id") == self.client and claims.get("aud") == self.resource
        self.refusals += not good
        return None if good else (401, {})


def own_key(directory, algorithm, name) -> tuple[str, dict]:
    """A private key's file, and its public JWK."""
    file = directory / f"keep-{name}.pem"
    options = {"RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
               "EdDSA": ["ED25519"]}[algorithm]
    subprocess.run(["openssl", "genpkey", "-algorithm", *options, "-out", file], check=True, capture_output=True)
    file.chmod(0o600)
    der = subprocess.run(["openssl", "pkey", "-in", file, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    text = subprocess.run(["openssl", "pkey", "-in", file, "-pubout", "-noout", "-text"], check=True, capture_output=True, text=True).stdout

    def b64(data):
        return base64.urlsafe_b64encode(data).decode().rstrip("=")
    common = {"use": "sig", "alg": algorithm, "kid": f"kid-{name}"}
    if algorithm == "ES256":
        return str(file), {**common, "kty": "EC", "crv": "P-256", "x": b64(der[-64:-32]), "y": b64(der[-32:])}
    if algorithm == "EdDSA":
        return str(file), {**common, "kty": "OKP", "crv": "Ed25519", "x": b64(der[-32:])}
    modulus = bytes.fromhex("".join(text.split("Modulus:")[1].split("Exponent:")[0].split()).replace(":", "")).lstrip(b"\0")
    return str(file), {**common, "kty": "RSA", "n": b64(modulus), "e": "AQAB"}


def signed(front, **auth) -> dict:
    connection = http_connection("cloud", front.front.origin + "/mcp")
    connection["mcp"]["http"]["auth"] = {"oauth": {"issuer": front.oidc.issuer, "client_id": front.client, "client_auth": "private_key_jwt",
                                                   "scope": "mcp", "resource": front.resource, **auth}}
    return connection


def register(oidc, client, algorithm, **how):
    post_json(oidc.issuer + "/admin/client", {"client_id": client, "token_endpoint_auth_method": "private_key_jwt",
                                              "token_endpoint_auth_signing_alg": algorithm, **how})


def test_the_gates_own_key_and_no_secret(tmp, start_gateway, oidc, plain):
    """The real provider fetches the key from the gateway."""
    front = SignedFront(plain.port, oidc, "signs-by-issuer")
    gateway = start_gateway(tmp, oidc, [signed(front)])
    register(oidc, front.client, "RS256", jwks_uri=gateway.public_url + "/.well-known/jwks.json")
    callers = [gateway.client("cloud", who) for who in ("tester", "tester2") for _ in range(6)]
    before = oidc.stats()["token"]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert list(pool.map(echo, callers)) == ["hi"] * 12
    assert oidc.stats()["token"] - before == 1 == len(front.given) and front.refusals == 0
    front.front.stop()


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA"])
def test_a_key_of_its_own(tmp, start_gateway, oidc, plain, algorithm):
    front = SignedFront(plain.port, oidc, f"signs-{algorithm.lower()}")
    file, jwk = own_key(tmp, algorithm, algorithm.lower())
    register(oidc, front.client, algorithm, jwks={"keys": [jwk]})
    gateway = start_gateway(tmp, oidc, [signed(front, client_key={"file": file}, client_key_id=jwk["kid"])])
    assert echo(gateway.client("cloud")) == "hi" and front.refusals == 0
    assert get(gateway.public_url + "/.well-known/jwks.json")[0] == 404, "the gateway is no issuer for it"
    front.front.stop()


def test_another_key_is_refused_and_said(tmp, start_gateway, oidc, plain):
    front = SignedFront(plain.port, oidc, "signs-wrongly")
    _, jwk = own_key(tmp, "ES256", "right")
    file, _ = own_key(tmp, "ES256", "wrong")
    register(oidc, front.client, "ES256", jwks={"keys": [jwk]})
    gateway = start_gateway(tmp, oidc, [signed(front, client_key={"file": file})])
    client = gateway.client("cloud")
    for _ in range(10):
        assert "no credential for the upstream" in client.call("echo", {"message": "x"}).body.decode()
    assert "the token endpoint answered HTTP 401 invalid_client" in gateway.process.err and front.front.seen == []
    front.front.stop()


class OauthServer(_Server):
    """A double that follows RFC 8414, RFC 6749 and RFC 7523: an issuer with a path, metadata between host and path."""

    def __init__(self, port):
        double = self
        self.mode, self.paths, self.assertions, self.gate, self.stolen = "good", [], [], None, []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, value):
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                double.paths.append(self.path)
                self.reply(*double.metadata(self.path))

            def do_POST(self):
                form = dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode(), strict_parsing=True))
                if self.path != "/tenant/one/token":
                    double.stolen.append(form)
                self.reply(*double.token(form, self.headers))

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}"
        self.issuer = self.url + "/tenant/one"
        self.front = Front(port, lambda r: None if r["head"].get("authorization") == "Bearer given-canary-71" else (401, {}))

    def metadata(self, path):
        good = {"issuer": self.issuer, "token_endpoint": self.issuer + "/token"}
        if path == "/tenant/one/.well-known/openid-configuration":
            return {"down": (503, {}), "both": (200, {**good, "issuer": self.url})}.get(self.mode, (404, {}))
        if path != "/.well-known/oauth-authorization-server/tenant/one":
            return 404, {}
        return {"slash": (200, {**good, "issuer": self.issuer + "/"}), "other": (200, {**good, "issuer": self.url}),
                "elsewhere": (200, {**good, "token_endpoint": self.url.replace("127.0.0.1", "localhost") + "/token"}),
                "none": (404, {})}.get(self.mode, (200, good))

    def token(self, form, headers):
        assert form["grant_type"] == "client_credentials" and form["client_id"] == "gate" and headers["authorization"] is None
        assert form["client_assertion_type"] == ASSERTION and "client_secret" not in form
        jwt = form["client_assertion"]
        claims = verify_rs256(jwt, json.loads(get(self.gate + "/.well-known/jwks.json")[1]))
        self.assertions.append(jwt)
        assert claims["iss"] == claims["sub"] == "gate" and claims["aud"] == self.issuer and header(jwt)["typ"] == "JWT"
        assert 0 < claims["exp"] - time.time() <= 60 and set(claims) == {"iss", "sub", "aud", "iat", "exp", "jti"}
        return 200, {"access_token": "given-canary-71", "token_type": "Bearer", "expires_in": 8}


@pytest.fixture
def server(plain):
    part = OauthServer(plain.port)
    yield part
    part.front.stop()
    part.stop()


@pytest.fixture
def make(tmp, start_gateway, oidc, server):
    def make():
        connection = http_connection("cloud", server.front.origin + "/mcp")
        connection["mcp"]["http"]["auth"] = {"oauth": {"issuer": server.issuer, "client_id": "gate", "client_auth": "private_key_jwt"}}
        part = start_gateway(tmp, oidc, [connection], start=False)
        server.gate = part.public_url
        return part.start()
    return make


def test_metadata_of_an_oauth_server(make, server):
    gateway = make()
    client = gateway.client("cloud")
    end = time.monotonic() + 8
    while time.monotonic() < end:
        assert echo(client) == "hi"
        time.sleep(0.3)
    assert server.paths[:2] == ["/tenant/one/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/tenant/one"]
    jtis = [payload(a)["jti"] for a in server.assertions]
    assert len(jtis) == len(set(jtis)) >= 2, "each assertion is shown once"
    secrets_nowhere(gateway, "given-canary-71", *(a.split(".")[2] for a in server.assertions))


@pytest.mark.parametrize("mode, why", [
    ("other", "the metadata is not of the configured issuer"), ("slash", "the metadata is not of the configured issuer"),
    ("both", "the metadata is not of the configured issuer"), ("elsewhere", "token_endpoint is not on the issuer's origin"),
    ("none", "the issuer answered HTTP 404 for its metadata"), ("down", "the issuer answered HTTP 503 for its metadata")])
def test_metadata_of_somebody_else(make, server, mode, why):
    """Nothing is signed for it. A provider that is down is not replaced by another document."""
    server.mode = mode
    gateway = make()
    client = gateway.client("cloud")
    assert "no credential for the upstream" in client.call("echo", {"message": "x"}).body.decode()
    assert why in gateway.process.err and server.assertions == [] and server.stolen == [] and server.front.seen == []
    server.mode = "good"
    assert eventually(lambda: b"hi" in client.call("echo", {"message": "hi"}).body, 12, 0.3)
