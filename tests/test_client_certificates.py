"""Client certificates at the https listener: agents whose whole credential one is (a fingerprint, or an X.509-SVID), and tokens that the
real provider has bound to one (RFC 8705)."""

import base64
import http.client
import json
import ssl
import subprocess
import urllib.parse
import urllib.request

import pytest

from kit.mcp import Mcp
from kit.parts import Gateway, http_connection
from kit.pki import Authority
from kit.process import free_port

SVID = "spiffe://acme.example/ns/ci/sa/runner"


class Tls(Mcp):
    """A caller with a certificate, or without."""

    def __init__(self, gateway, pair=None, token=None, authority=None):
        super().__init__(f"https://127.0.0.1:{gateway.https_port}/mcp/up", token)
        self.context = ssl.create_default_context(cafile=str(authority))
        self.context.check_hostname = False
        if pair:
            self.context.load_cert_chain(*map(str, pair))

    def open(self, method, body, headers):
        connection = http.client.HTTPSConnection(self.url.hostname, self.url.port, timeout=self.timeout, context=self.context)
        connection.request(method, self.url.path, body=body, headers=headers)
        connection.socket = connection.sock
        return connection, connection.getresponse()


@pytest.fixture(scope="module")
def authority(scratch):
    return Authority(scratch, "own")


@pytest.fixture(scope="module")
def pairs(scratch, authority):
    stranger = Authority(scratch, "stranger")
    return {"batch": authority.issue("batch"), "other": authority.issue("other"), "svid": authority.issue("svid", f"URI:{SVID}"),
            "sibling": authority.issue("sibling", f"URI:{SVID}/x"), "two": authority.issue("two", f"URI:{SVID},URI:spiffe://acme.example/b"),
            "bound": authority.issue("bound"), "stranger": stranger.issue("stranger", f"URI:{SVID}"),
            "expired": authority.issue("expired", f"URI:{SVID}", expired=True)}


def fingerprint(pair) -> str:
    der = ssl.PEM_cert_to_DER_cert(pair[0].read_text())
    import hashlib
    return hashlib.sha256(der).hexdigest()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, authority, pairs):
    port = free_port()

    def change(config):
        cert, key = authority.issue("gate")
        config["server"]["listen"]["https"] = f"127.0.0.1:{port}"
        config["server"]["allowed_hosts"] = [f"127.0.0.1:{port}"]
        config["server"]["tls"] = {"cert": str(cert), "key": {"file": str(key)}, "client_ca": str(authority.cert)}
        config["identity"]["agents"] += [
            {"name": "batch", "owner": "group:ops", "match": {"certificate": "sha256:" + fingerprint(pairs["batch"])}},
            {"name": "runner", "owner": "group:ops", "match": {"certificate": SVID}}]
    policies = [{"id": "machines", "effect": "allow", "who": ["agent:batch", "agent:runner", "group:testers"],
                 "on": {"connection": "up", "tools": ["*"]}}]
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], policies, changes=change)
    part.https_port = port
    yield part
    part.stop()


def bound_token(oidc, pair) -> str:
    """By client credentials, bound by the provider to the certificate that the client showed it."""
    request = urllib.request.Request(
        f"{oidc.issuer}/token", f"grant_type=client_credentials&scope=mcp&resource={oidc.audience}".encode(),
        {"authorization": "Basic " + base64.b64encode(b"bound:bound-secret").decode(), "content-type": "application/x-www-form-urlencoded",
         "x-client-certificate": urllib.parse.quote(pair[0].read_text())})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())["access_token"]


@pytest.mark.parametrize("name, agent, token_class, subject", [("batch", "batch", "mtls", "sha256:"), ("svid", "runner", "spiffe", SVID)])
def test_an_agent_by_its_certificate_alone(gateway, authority, pairs, name, agent, token_class, subject):
    caller = Tls(gateway, pairs[name], authority=authority.cert)
    assert caller.call("echo", {"message": "x"}).text() == "Echo: x"
    who = [e["who"] for e in gateway.audit(event="auth.success") if e["who"].get("agent") == agent][-1]
    assert who["subject"].startswith(subject) and who["token_class"] == token_class, who


@pytest.mark.parametrize("name", ["other", "sibling", "two", None])
def test_a_certificate_of_nobody_is_no_credential(gateway, fresh, authority, pairs, name):
    caller = Tls(gateway, pairs[name] if name else None, authority=authority.cert)
    reply = caller.call("echo", {"message": "x"})
    assert reply.status == 401 and "www-authenticate" in {key.lower() for key, _ in reply.headers} and fresh.calls() == []


@pytest.mark.parametrize("name", ["stranger", "expired"])
def test_a_certificate_that_is_not_good_ends_the_handshake(gateway, fresh, authority, pairs, name):
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        Tls(gateway, pairs[name], authority=authority.cert).call("echo", {"message": "x"})
    assert fresh.calls() == [] and gateway.alive()


def test_a_bound_token_over_its_certificate_only(gateway, oidc, fresh, authority, pairs):
    token = bound_token(oidc, pairs["bound"])
    good = Tls(gateway, pairs["bound"], token, authority.cert)
    for _ in range(2):
        assert good.call("echo", {"message": "x"}).text() == "Echo: x"
    fresh.reset()
    for pair, reason in ((None, "token-type-wrong"), (pairs["other"], "token-proof-invalid"), (pairs["batch"], "token-proof-invalid")):
        assert Tls(gateway, pair, token, authority.cert).call("echo", {"message": "x"}).status == 401
        gateway.recorded(event="auth.failure", reason=reason)
    # Nor at the plain listener, where there is no certificate.
    assert gateway.client("up", token=token).call("echo", {"message": "x"}).status == 401
    assert fresh.calls() == []


def test_a_header_is_no_certificate(gateway, oidc, fresh, pairs):
    """What a TLS terminator would say counts for nothing: there is none in front."""
    pem = urllib.parse.quote(pairs["batch"][0].read_text())
    for name in ("X-Client-Certificate", "X-Forwarded-Client-Cert", "Client-Cert", "SSL_CLIENT_CERT", "X-SSL-Cert"):
        assert gateway.client("up", who=None).call("echo", {"message": "x"}, headers={name: pem}).status == 401, name
    assert fresh.calls() == []


def test_a_token_counts_before_the_certificate(gateway, oidc, authority, pairs):
    """Whoever shows a token is who the token says, also where the token is refused."""
    caller = Tls(gateway, pairs["batch"], oidc.token("tester"), authority.cert)
    assert caller.call("echo", {"message": "x"}).text() == "Echo: x"
    caller.token = "not.a.token"
    assert caller.call("echo", {"message": "x"}).status == 401


def test_the_programming_interface_knows_the_agent(gateway, authority, pairs):
    caller = Tls(gateway, pairs["svid"], authority=authority.cert)
    connection = http.client.HTTPSConnection("127.0.0.1", gateway.https_port, timeout=10, context=caller.context)
    connection.request("GET", "/api/v1/me?why")
    answer = connection.getresponse()
    me = json.loads(answer.read())
    assert answer.status == 200 and me["subject"] == SVID and me["issuer"] == "spiffe://acme.example", me
    connection.close()
    connection.request("POST", "/api/v1/revocations", b"{}", {"Origin": "https://evil.example", "Content-Type": "application/json"})
    assert connection.getresponse().status == 403, "a certificate in a browser is no leave for other sites"


@pytest.mark.parametrize("match", [{"certificate": "sha256:12"}, {"certificate": "spiffe://acme.example"}, {"certificate": "CN=batch"},
                                   {"certificate": SVID, "subject": "x"}, {"certificate": ""}])
def test_a_match_that_names_no_certificate_is_refused(gateway, tmp, match):
    config = json.loads(gateway.config_path.read_text())
    config["identity"]["agents"][-1]["match"] = match
    path = tmp / "match.yaml"
    path.write_text(json.dumps(config))
    done = gateway.run("validate", path)
    assert done.returncode != 0, done.stdout


def test_authorities_that_cannot_be_read_stop_the_start(start_gateway, tmp, gateway):
    config = json.loads(gateway.config_path.read_text())
    config["server"]["tls"]["client_ca"] = str(tmp / "none.pem")
    (tmp / "none.pem").write_text("nothing\n")
    path = tmp / "ca.yaml"
    path.write_text(json.dumps(config))
    done = subprocess.run([str(gateway.process.popen.args[0]), "serve", "--config", str(path)], capture_output=True, text=True, timeout=20,
                          env=gateway.env)
    assert done.returncode != 0 and "client authorities" in done.stdout + done.stderr
