"""Opaque tokens: the gate asks the provider about them (RFC 7662), the real one, as seldom as it may."""

import json
import threading
import time
import urllib.parse
import urllib.request
import base64

import pytest

from kit.parts import Gateway, Oidc, http_connection
from kit.process import eventually, free_port


def opaque(oidc, who: str) -> str:
    """A token that says nothing by itself."""
    return oidc.token(who, f"{oidc.audience}?format=opaque", fresh=True)


def revoke(oidc, who: str, token: str) -> None:
    """By the client that it was issued to (RFC 7009)."""
    basic = base64.b64encode(f"{who}:{who}-secret".encode()).decode()
    body = urllib.parse.urlencode({"token": token}).encode()
    request = urllib.request.Request(f"{oidc.issuer}/token/revocation", body, {"authorization": f"Basic {basic}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def asking(**more):
    def change(config):
        config["identity"]["providers"][0]["oidc"]["introspection"] = {
            "client_id": "gate-introspects", "client_secret": {"env": "TEST_INTROSPECTION"}, **more}
    return change


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], port=oidc.first_port(), changes=asking(),
                   env={"TEST_INTROSPECTION": "gate-introspects-secret"})
    yield part
    part.stop()


def asked(oidc) -> int:
    return oidc.stats()["introspection"]


def test_the_provider_is_asked_once_for_many_calls(gateway, oidc):
    token, before = opaque(oidc, "tester"), asked(oidc)
    done = []

    def call():
        done.append(gateway.client("up", token=token).call("echo", {"message": "x"}).text())
    threads = [threading.Thread(target=call) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == ["Echo: x"] * 12
    assert asked(oidc) == before + 1
    who = gateway.recorded(event="auth.success")[-1]["who"]
    assert who["subject"] == "tester" and who["issuer"] == oidc.issuer, who


def test_rules_see_the_groups_that_the_provider_states(gateway, oidc, fresh):
    reply = gateway.client("up", token=opaque(oidc, "contractor")).call("echo", {"message": "x"})
    assert reply.error["message"] == "Unknown tool: echo" and fresh.calls() == []
    reply = gateway.client("up", token=opaque(oidc, "overage")).call("echo", {"message": "x"})
    assert reply.gateway["reason"] == "identity-incomplete" and fresh.calls() == []


def test_a_revoked_token_ends_within_half_a_minute(gateway, oidc, fresh):
    token = opaque(oidc, "tester2")
    client = gateway.client("up", token=token)
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    revoke(oidc, "tester2", token)
    begun = time.monotonic()
    assert eventually(lambda: client.call("echo", {"message": "x"}).status == 401, 33, step=0.5)
    assert time.monotonic() - begun <= 31.5
    gateway.recorded(event="auth.failure", reason="token-inactive")


def test_what_is_no_opaque_token_is_not_shown_to_the_provider(gateway, oidc):
    before = asked(oidc)
    for token in ("eyJhbGciOiJub25lIn0.e30.", "eyJ" + "a" * 60, "a.b.c", "short", "sps_" + "a" * 49, "x" * 5000):
        assert gateway.client("up", token=token).call("echo", {"message": "x"}).status == 401, token
    assert asked(oidc) == before


def test_invented_tokens_cost_the_provider_little(gateway, oidc):
    """1,500 of them, as fast as they come; a token that was good before is good all the time."""
    good = opaque(oidc, "tester")
    client = gateway.client("up", token=good)
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    before, begun, statuses = asked(oidc), time.monotonic(), []

    def invent(start):
        for i in range(start, start + 250):
            statuses.append(gateway.client("up", token=f"invented-{i:06}-{'z' * 20}").call("echo", {"message": "x"}).status)
    threads = [threading.Thread(target=invent, args=(n * 250,)) for n in range(6)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert client.call("echo", {"message": "x"}).text() == "Echo: x"
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begun
    assert set(statuses) <= {401, 429} and 401 in statuses, set(statuses)
    assert asked(oidc) - before <= 100 + 50 * seconds + 2, (asked(oidc) - before, seconds)


def test_a_provider_that_is_silent_is_named(start_gateway, tmp, oidc, upstream):
    silent = Oidc(tmp, oidc.audience, name="corp")
    try:
        gateway = start_gateway(tmp / "gateway", silent, [http_connection("up", upstream.url)], changes=asking(), port=free_port(),
                                env={"TEST_INTROSPECTION": "gate-introspects-secret"})
        token = opaque(silent, "tester")
        silent.mode("hang")
        begun = time.monotonic()
        reply = gateway.client("up", token=token).call("echo", {"message": "x"})
        assert reply.status == 503 and time.monotonic() - begun < 7
        assert reply.error["data"]["gateway"]["reason"] == "identity-provider-down", reply
        silent.mode("up")
        assert eventually(lambda: gateway.client("up", token=token).call("echo", {"message": "x"}).status == 200, 10, step=0.5)
    finally:
        silent.stop()


def test_a_wrong_secret_of_ours_is_no_fault_of_the_caller(start_gateway, tmp, oidc, upstream):
    gateway = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], changes=asking(), port=None,
                            env={"TEST_INTROSPECTION": "wrong"})
    reply = gateway.client("up", token=opaque(oidc, "tester")).call("echo", {"message": "x"})
    assert reply.status == 503 and reply.error["data"]["gateway"]["reason"] == "identity-provider-down", reply


def test_two_providers_that_could_be_asked_about_one_token_are_refused(gateway, tmp):
    config = json.loads(gateway.config_path.read_text())
    first = config["identity"]["providers"][0]
    second = json.loads(json.dumps(first))
    second["name"], second["oidc"]["issuer"] = "second", "https://second.example.com"
    config["identity"]["providers"].append(second)
    path = tmp / "two.yaml"
    path.write_text(json.dumps(config))
    done = gateway.run("validate", path)
    assert done.returncode != 0 and "CFG-CONFLICT" in done.stdout + done.stderr and "token_prefix" in done.stdout + done.stderr
    first["oidc"]["introspection"]["token_prefix"], second["oidc"]["introspection"]["token_prefix"] = "one_", "two_"
    path.write_text(json.dumps(config))
    assert gateway.run("validate", path, env={**gateway.env}).returncode == 0
