"""Tokens that are bound to a key of their holder (RFC 9449): the real provider binds them, and a proof comes with each request."""

import base64
import json
import time

import pytest

from kit.parts import Gateway, get, http_connection, post_json


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url), http_connection("other", upstream.url)],
                   port=oidc.first_port(), changes=lambda c: c["identity"]["providers"][0]["oidc"].update(dpop="optional"))
    yield part
    part.stop()


@pytest.fixture(scope="module")
def holder(oidc):
    made = oidc.holder("tester")
    assert made.token_type == "DPoP"
    return made


def call(gateway, token: str, proof=None, scheme: str = "DPoP", connection: str = "up"):
    headers = {"Authorization": f"{scheme} {token}", **({"DPoP": proof} if proof is not None else {})}
    return gateway.client(connection, token="unused").call("echo", {"message": "x"}, headers=headers)


def test_a_bound_token_with_its_proof(gateway, holder):
    for _ in range(3):  # the second time the token is known, and the proof is looked at all the same
        assert call(gateway, holder.token, holder.proof("POST", gateway.url("up"))).text() == "Echo: x"


def test_a_bound_token_is_no_bearer(gateway, fresh, holder):
    proof = holder.proof("POST", gateway.url("up"))
    for shown in (None, proof):
        reply = call(gateway, holder.token, shown, scheme="Bearer")
        assert reply.status == 401, reply
        gateway.recorded(event="auth.failure", reason="token-type-wrong")
    assert fresh.calls() == []


@pytest.mark.parametrize("name, how", {
    "another method": {"method": "GET"},
    "another connection": {"path": "/mcp/other"},
    "another host": {"claims": {"htu": "http://127.0.0.1.evil.example/mcp/up"}},
    "two minutes old": {"claims": {"iat": -120}},
    "of tomorrow": {"claims": {"iat": 86400}},
    "another token": {"claims": {"ath": "x" * 43}},
    "no ath": {"drop": ["ath"]},
    "no jti": {"drop": ["jti"]},
    "no iat": {"drop": ["iat"]},
    "no htu": {"drop": ["htu"]},
    "no htm": {"drop": ["htm"]},
    "another type": {"header": {"typ": "at+jwt"}},
    "a key of somebody else": {"key": True},
    "garbage": {"proof": "a.b.c"},
    "nothing": {"proof": ""},
    "the token itself": {"proof": "token"},
}.items())
def test_wrong_proofs(gateway, fresh, oidc, holder, name, how):
    how = json.loads(json.dumps(how))
    by = oidc.holder("tester") if how.pop("key", False) else holder
    if "iat" in how.get("claims", {}):
        how["claims"]["iat"] += int(time.time())
    proof = how.pop("proof", None)
    if proof is None:
        by_token, by.token = by.token, holder.token
        proof = by.proof(how.pop("method", "POST"), gateway.public_url + how.pop("path", "/mcp/up"), **how)
        by.token = by_token
    reply = call(gateway, holder.token, holder.token if proof == "token" else proof)
    assert reply.status == 401, reply
    challenges = [value for key, value in reply.headers if key.lower() == "www-authenticate"]
    assert any(c.startswith("DPoP ") and 'error="invalid_dpop_proof"' in c and "ES256" in c for c in challenges), challenges
    assert gateway.audit(event="auth.failure", reason="token-proof-invalid") and fresh.calls() == []


def test_a_proof_is_good_once(gateway, fresh, holder):
    proof = holder.proof("POST", gateway.url("up"))
    assert call(gateway, holder.token, proof).text() == "Echo: x"
    assert call(gateway, holder.token, proof).status == 401
    assert len(fresh.calls("echo")) == 1


def test_two_proofs_are_none(gateway, holder):
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.putrequest("POST", "/mcp/up")
    for name, value in (("Authorization", f"DPoP {holder.token}"), ("DPoP", holder.proof("POST", gateway.url("up"))),
                        ("DPoP", holder.proof("POST", gateway.url("up"))), ("Content-Type", "application/json"), ("Content-Length", "2")):
        connection.putheader(name, value)
    connection.endheaders(b"{}")
    assert connection.getresponse().status == 401


def test_a_proof_makes_no_token_bound(gateway, oidc, fresh, holder):
    plain, taken = oidc.token("tester"), holder.token
    holder.token = plain
    proof = holder.proof("POST", gateway.url("up"))
    holder.token = taken
    assert call(gateway, plain, proof).status == 401
    assert gateway.audit(event="auth.failure", reason="token-proof-invalid") and fresh.calls() == []
    assert call(gateway, plain, scheme="Bearer").text() == "Echo: x"


def test_the_programming_interface_takes_proofs_too(gateway, oidc, holder):
    import urllib.error
    import urllib.request

    def me(**headers):
        try:
            with urllib.request.urlopen(urllib.request.Request(f"{gateway.public_url}/api/v1/me", headers=headers), timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
    url = f"{gateway.public_url}/api/v1/me"
    assert me(Authorization=f"DPoP {holder.token}", DPoP=holder.proof("GET", url)) == 200
    assert me(Authorization=f"DPoP {holder.token}", DPoP=holder.proof("POST", url)) == 401
    assert me(Authorization=f"Bearer {holder.token}") == 401


def test_the_metadata_says_that_proofs_are_understood(gateway):
    status, text = get(f"{gateway.public_url}/.well-known/oauth-protected-resource/mcp/up")
    assert status == 200 and "ES256" in json.loads(text)["dpop_signing_alg_values_supported"]


def test_opaque_tokens_can_be_bound_as_well(start_gateway, tmp, oidc, upstream):
    def change(config):
        config["identity"]["providers"][0]["oidc"]["introspection"] = {
            "client_id": "gate-introspects", "client_secret": {"env": "TEST_INTROSPECTION"}}
    gateway = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], changes=change,
                            env={"TEST_INTROSPECTION": "gate-introspects-secret"})
    made = oidc.holder("tester", f"{oidc.audience}?format=opaque")
    assert "." not in made.token
    assert call(gateway, made.token, made.proof("POST", gateway.url("up"))).text() == "Echo: x"
    assert call(gateway, made.token, scheme="Bearer").status == 401


def test_a_provider_can_demand_proofs(start_gateway, tmp, oidc, upstream, holder):
    gateway = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)],
                            changes=lambda c: c["identity"]["providers"][0]["oidc"].update(dpop="required"))
    reply = call(gateway, oidc.token("tester"), scheme="Bearer")
    assert reply.status == 401 and any(value.startswith("DPoP ") for key, value in reply.headers if key.lower() == "www-authenticate")
    assert call(gateway, holder.token, holder.proof("POST", gateway.url("up"))).text() == "Echo: x"
