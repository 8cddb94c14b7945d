"""`sallyport doctor identity`: each honest mistake is found and its fix is said. The provider is the real one (npm oidc-provider); what it cannot
be brought to do, a small hostile one does."""

import base64
import contextlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
from email.utils import formatdate

import pytest

from kit import capture
from kit.parts import Gateway, Oidc, http_connection
from kit.paths import sallyport
from kit.person import LOGIN_ENV, with_login
from kit.pki import Authority
from kit.process import free_port
from kit.saml import SamlIdp


class Double:
    """An OpenID Connect provider that answers what it is told to."""

    def __init__(self, tls: Authority | None = None, san: str = "IP:127.0.0.1"):
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                path = self.path.split("?")[0]
                status, body, headers = double.answers.get(path, (404, b"no such page", {}))
                if callable(body):
                    body = body()
                self.send_response_only(status)
                for name, value in {"Date": formatdate(time.time() + double.ahead, usegmt=True), "Content-Type": "application/json",
                                    "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *args):
                pass

        self.ahead = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls.issue("idp", san))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.issuer = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}"
        self.answers = {}
        self.discovery()
        self.answers["/jwks"] = (200, json.dumps({"keys": []}).encode(), {})
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def discovery(self, path="/.well-known/openid-configuration", **changes):
        document = {"issuer": self.issuer, "jwks_uri": self.issuer + "/jwks", "authorization_endpoint": self.issuer + "/authorize",
                    "token_endpoint": self.issuer + "/token", **changes}
        self.answers[path] = (200, json.dumps({k: v for k, v in document.items() if v is not None}).encode(), {})

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def double():
    part = Double()
    yield part
    part.stop()


@pytest.fixture(scope="module")
def port(oidc):
    return oidc.first_port()


@pytest.fixture
def doctor(tmp, oidc, port):
    """Runs it: (exit code, findings as {(name, check): [finding]}, all that was printed)."""
    def run(*argv, changes=None, env=None, at=None, json_too=True):
        def all_changes(config):
            with_login(config)
            if changes:
                changes(config)
        gateway = Gateway(tmp / "gateway", oidc, [http_connection("tools", "http://127.0.0.1:1/mcp")], port=at or port, start=False,
                          changes=all_changes)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SALLYPORT_")}
        command = [str(sallyport()), "doctor", "identity", "--config", str(gateway.config_path), *map(str, argv)]
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60,
                              env=clean | {"TEST_UPSTREAM_TOKEN": "x"} | (LOGIN_ENV if env is None else env))
        capture.received(done.stdout + done.stderr)
        plain = subprocess.run(command, capture_output=True, text=True, timeout=60, env=clean | {"TEST_UPSTREAM_TOKEN": "x"} | (LOGIN_ENV if env is None else env))
        assert plain.returncode == done.returncode
        found = {}
        for line in done.stdout.splitlines():
            finding = json.loads(line)
            assert finding["v"] == 1 and (finding["level"] == "ok" or finding["fix"]), finding
            assert finding["fix"] in plain.stdout
            found.setdefault((finding["provider"], finding["check"]), []).append(finding)
        return done.returncode, found, done.stdout + done.stderr + plain.stdout
    return run


def only(found, name, check, level="failure"):
    assert (name, check) in found, found
    assert found[name, check][0]["level"] == level, found
    return found[name, check][0]


def at_double(double, **more):
    def change(config):
        config["identity"]["providers"][0]["oidc"].update({"issuer": double.issuer, **more})
    return change


def test_all_is_well(doctor, oidc, tmp):
    (tmp / "token").write_text(oidc.token_of("tester", groups=["testers"]) + "\n")
    code, found, text = doctor("--token-file", tmp / "token", "--connection", "tools")
    assert code == 0, found
    assert {c for n, c in found if n == "corp"} == {"issuer", "clock", "keys", "redirect", "client"}
    assert {c for n, c in found if n == "token"} == {"token", "groups"} and "testers" in only(found, "token", "groups", "ok")["says"]
    assert LOGIN_ENV["TEST_OIDC_SECRET"] not in text and (tmp / "token").read_text().split(".")[2].strip() not in text


def test_wrong_audience(doctor, oidc, port, tmp):
    (tmp / "token").write_text(oidc.token_of("tester", groups=["testers"], aud="https://other.example.com"))
    code, found, _ = doctor("--token-file", tmp / "token")
    finding = only(found, "token", "audience")
    assert code == 3 and "https://other.example.com" in finding["says"] and oidc.audience in finding["says"] and "oidc.audience" in finding["fix"]
    (tmp / "token").write_text(oidc.token_of("tester", groups=["testers"], aud=f"http://127.0.0.1:{port}/mcp/elsewhere"))
    assert doctor("--token-file", tmp / "token")[0] == 0, "good somewhere"
    code, found, _ = doctor("--token-file", tmp / "token", "--connection", "tools")
    assert code == 3 and "/mcp/tools" in only(found, "token", "audience")["says"]


@pytest.mark.parametrize("ahead", [-900, 900])
def test_clock_skew(doctor, double, ahead):
    double.ahead = ahead
    code, found, _ = doctor(changes=at_double(double))
    finding = only(found, "corp", "clock")
    assert code == 1 and ("ahead of" if ahead > 0 else "behind") in finding["says"] and "chronyc" in finding["fix"]
    double.ahead = 30
    assert only(doctor(changes=at_double(double))[1], "corp", "clock", "warning")


def test_a_token_from_the_future_and_one_of_yesterday(doctor, oidc, tmp):
    now = int(time.time())
    (tmp / "token").write_text(oidc.token_of("tester", groups=["testers"], iat=now + 600, nbf=now + 600, exp=now + 1200))
    code, found, _ = doctor("--token-file", tmp / "token")
    assert code == 3 and any(f"begins {m} min from now" in only(found, "token", "time")["says"] for m in (9, 10))
    (tmp / "token").write_text(oidc.token_of("tester", groups=["testers"], iat=now - 90000, exp=now - 86400))
    code, found, _ = doctor("--token-file", tmp / "token")
    assert code == 3 and "ended 24 h ago" in only(found, "token", "time")["says"]


def test_missing_groups(doctor, oidc, tmp):
    (tmp / "token").write_text(oidc.token_of("tester", roles=["testers"], realm_access={"roles": ["x"]}))
    code, found, _ = doctor("--token-file", tmp / "token")
    finding = only(found, "token", "groups")
    assert code == 3 and 'no claim "groups"' in finding["says"] and "roles, realm_access.roles" in finding["fix"]
    (tmp / "token").write_text(oidc.token_of("tester", groups=[f"g{i}" for i in range(100)]))
    assert "not whole" in only(doctor("--token-file", tmp / "token")[1], "token", "groups")["says"]
    (tmp / "token").write_text(oidc.token_of("tester", _claim_names={"groups": "src1"}, _claim_sources={"src1": {"endpoint": "https://x"}}))
    assert "not whole" in only(doctor("--token-file", tmp / "token")[1], "token", "groups")["says"]
    (tmp / "token").write_text(oidc.token_of("tester", groups=[]))
    assert only(doctor("--token-file", tmp / "token")[1], "token", "groups", "warning")


def test_untrusted_authority(doctor, tmp):
    authority, other = Authority(tmp / "a"), Authority(tmp / "b", "other")
    double = Double(authority)
    try:
        for ca in (None, other.cert):
            code, found, _ = doctor(changes=at_double(double, **({"ca": str(ca)} if ca else {}), allow_addresses=["127.0.0.1/32"]))
            assert code == 4 and "oidc.ca" in only(found, "corp", "certificate")["fix"]
        code, found, _ = doctor(changes=at_double(double, ca=str(authority.cert), allow_addresses=["127.0.0.1/32"]))
        assert ("corp", "certificate") not in found and only(found, "corp", "issuer", "ok")
    finally:
        double.stop()
    named = Double(authority, san="DNS:idp.example.com")
    try:
        code, found, _ = doctor(changes=at_double(named, ca=str(authority.cert), allow_addresses=["127.0.0.1/32"]))
        assert code == 4 and "another name" in only(found, "corp", "certificate")["fix"]
    finally:
        named.stop()


def test_provider_down(doctor, scratch):
    part = Oidc(scratch, "https://unused.example.com", "away")
    try:
        part.mode("down")
        code, found, _ = doctor(changes=at_double(part))
        assert code == 4 and "503" in only(found, "corp", "reach")["says"]
        part.mode("hang")
        begun = time.monotonic()
        assert doctor(changes=at_double(part))[0] == 4 and time.monotonic() - begun < 15
    finally:
        part.stop()
    code, found, _ = doctor(changes=at_double(part))
    assert code == 4 and "firewall" in only(found, "corp", "reach")["fix"]


def test_redirect_mismatch_and_our_registration(doctor, oidc):
    other = free_port()
    code, found, _ = doctor(at=other)
    finding = only(found, "corp", "redirect")
    assert code == 1 and f"http://127.0.0.1:{other}/login/callback" in finding["fix"], finding
    code, found, _ = doctor(env={"TEST_OIDC_SECRET": "not-the-secret"})
    assert code == 1 and "client_secret" in only(found, "corp", "client")["fix"] and only(found, "corp", "redirect", "ok")
    code, found, text = doctor(changes=lambda c: c["identity"]["providers"][0]["oidc"].update(client_id="nobody"))
    assert code == 1 and "nobody" in only(found, "corp", "client")["says"]


def test_issuer_spelled_otherwise(doctor, oidc, tmp):
    code, found, _ = doctor(changes=lambda c: c["identity"]["providers"][0]["oidc"].update(issuer=oidc.issuer + "/"))
    assert code == 1 and f"write oidc.issuer: {oidc.issuer} " in only(found, "corp", "issuer")["fix"]
    code, found, _ = doctor(changes=lambda c: c["identity"]["providers"][0]["oidc"].update(issuer=oidc.issuer + "/realms/corp"))
    assert code == 1 and "realm" in only(found, "corp", "issuer")["fix"]
    (tmp / "token").write_text(oidc.token_of("tester", iss=oidc.issuer + "/"))
    code, found, _ = doctor("--token-file", tmp / "token")
    assert code == 3 and f"write oidc.issuer: {oidc.issuer}/ " in only(found, "token", "issuer")["fix"]
    (tmp / "token").write_text(oidc.token_of("tester", iss="https://login.example.com"))
    assert "identity.providers" in only(doctor("--token-file", tmp / "token")[1], "token", "issuer")["fix"]


def test_discovery_of_another_issuer(doctor, double):
    double.discovery(issuer="https://evil.example.com")
    code, found, _ = doctor(changes=at_double(double))
    finding = only(found, "corp", "issuer")
    assert code == 1 and "https://evil.example.com" in finding["says"] and "another party" in finding["fix"]
    assert ("corp", "keys") not in found and ("corp", "redirect") not in found, "nothing is asked of it"


def test_no_keys(doctor, double):
    code, found, _ = doctor(changes=at_double(double))
    assert code == 1 and "no key at all" in only(found, "corp", "keys")["says"]
    weak = {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}
    double.answers["/jwks"] = (200, json.dumps({"keys": [weak]}).encode(), {})
    assert "can be used" in only(doctor(changes=at_double(double))[1], "corp", "keys")["says"]
    double.discovery(jwks_uri="https://keys.example.com/jwks")
    assert "oidc.jwks_uri: https://keys.example.com/jwks" in only(doctor(changes=at_double(double))[1], "corp", "keys")["fix"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b"null", b'{"issuer":7}', b'{"issuer":' + b"[" * 50000, b"x" * (2 << 20),
                                  b'{"issuer":"a","issuer":"b"}', b"\xff\xfe"], ids=range(10))
def test_a_hostile_provider(doctor, double, body):
    double.answers["/.well-known/openid-configuration"] = (200, body, {})
    code, found, _ = doctor(changes=at_double(double))
    assert code in (1, 4) and any(f[0]["level"] == "failure" for f in found.values()), found


def test_hostile_endpoints(doctor, double):
    """Redirects are not followed, what it says is printed without what a terminal would act on."""
    double.answers["/authorize"] = (302, b"", {"Location": "http://127.0.0.1:1/\x1b[2J"})
    double.answers["/token"] = (400, json.dumps({"error": "\x1b]0;owned\x07"}).encode(), {})
    code, found, text = doctor(changes=at_double(double))
    assert "\x1b" not in text.replace("\\u001b", "") and "\x07" not in text
    double.discovery(authorization_endpoint="file:///etc/passwd", token_endpoint="http://169.254.169.254/token")
    code, found, text = doctor(changes=at_double(double))
    assert code in (1, 4) and "root:" not in text


@pytest.mark.parametrize("token, check", [("nonsense", "kind"), ("a.b.c", "kind"), ("e30.e30.", "kind"), ("x" * 20000, "kind")], ids=range(4))
def test_what_is_no_token(doctor, tmp, token, check):
    (tmp / "token").write_text(token)
    code, found, text = doctor("--token-file", tmp / "token")
    assert code == 3 and only(found, "token", check)


def test_forged_tokens_are_refused_by_the_gates_own_verdict(doctor, oidc, tmp):
    good = oidc.token_of("tester", groups=["testers"])
    head, body, mark = good.split(".")
    (tmp / "token").write_text(".".join([head, body, ("A" if mark[0] != "A" else "B") + mark[1:]]))
    code, found, _ = doctor("--token-file", tmp / "token")
    assert code == 3 and only(found, "token", "signature")
    (tmp / "token").write_text("sps_" + "A" * 49)
    code, found, text = doctor("--token-file", tmp / "token")
    assert code == 0 and "whoami" in only(found, "token", "kind", "ok")["says"] + found["token", "kind"][0]["fix"]


def test_saml(doctor, tmp, port):
    idp = SamlIdp(tmp / "idp", f"http://127.0.0.1:{port}")
    try:
        def saml(config):
            config["identity"]["providers"].append({"name": "legacy", "saml": {"metadata": {"file": str(idp.metadata_file)}}})
        (tmp / "response").write_text(idp.response("_q1"))
        code, found, _ = doctor("--provider", "legacy", "--saml-response", tmp / "response", changes=saml)
        assert code == 0 and only(found, "legacy", "response", "ok"), found
        idp.write_metadata("next")
        code, found, _ = doctor("--provider", "legacy", "--saml-response", tmp / "response", changes=saml)
        assert code == 1 and "metadata anew" in only(found, "legacy", "certificate")["fix"], found
        idp.metadata_file.write_text(idp.metadata("idp").replace("entityID=", 'validUntil="2020-01-01T00:00:00Z" entityID='))
        code, found, _ = doctor("--provider", "legacy", changes=saml)
        assert code == 1 and "anew" in only(found, "legacy", "metadata")["fix"]
        idp.metadata_file.write_text(idp.metadata())
        assert only(doctor("--provider", "legacy", changes=saml)[1], "legacy", "certificate")
        for broken in ("", "<x/>", "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>"):
            idp.metadata_file.write_text(broken)
            code, found, text = doctor("--provider", "legacy", changes=saml)
            assert code == 1 and only(found, "legacy", "metadata") and "root:" not in text
        idp.metadata_file.unlink()
        code, found, _ = doctor("--provider", "legacy", changes=saml)
        assert code == 1 and only(found, "legacy", "metadata")
    finally:
        idp.stop()


def test_usage(doctor, tmp):
    assert doctor("--provider", "nobody")[0] == 2
    assert doctor("--token-file", tmp / "not-there")[0] == 2
    (tmp / "bad.yaml").write_text("version: 7\n")
    done = subprocess.run([sallyport(), "doctor", "identity", "--config", tmp / "bad.yaml"], capture_output=True)
    assert done.returncode == 78
