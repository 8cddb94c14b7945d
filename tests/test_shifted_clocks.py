"""Clocks that differ: the gateway's wall clock stands ten minutes beside the provider's, or is frozen so that the bounds of tokens can be
tried to the second. Its steady clock goes on."""

import json
import time

import pytest

from kit.oauth import Client, with_server
from kit.parts import http_connection
from kit.person import LOGIN_ENV, Browser, with_login
from kit.process import eventually
from kit.shifted_clock import ShiftedClock

SKEW = 60  # seconds, as configured if nothing is said


@pytest.fixture
def shifted(tmp, start_gateway, oidc, upstream):
    """A gateway with a clock of its own."""
    clock = ShiftedClock(tmp / "clock")

    def dpop(config):
        config["identity"]["providers"][0]["oidc"]["dpop"] = "optional"
    part = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], changes=dpop, env=clock.env)
    part.clock = clock
    return part


def refusal(gateway, token: str) -> str | None:
    """Why a token is refused, if it is: the answer and the newest entry of the log say the same."""
    reply = gateway.client("up", token=token).call("echo", {"message": "x"})
    if reply.status == 200:
        assert reply.text() == "Echo: x"
        return None
    assert reply.status == 401, reply
    said = reply.error["data"]["gateway"]["reason"]
    assert gateway.recorded(event="auth.failure", reason=said)
    return said


def test_the_bounds_to_the_second(shifted, oidc, fresh):
    now = int(time.time())
    shifted.clock.freeze(now)

    def at(exp=300, iat=-300, **more):
        return oidc.token_of("tester", groups=["testers"], iat=now + iat, exp=now + exp, **{k: now + v for k, v in more.items()})
    for token, expected in {"exp -59": (at(exp=-59), None), "exp -60": (at(exp=-60), "token-expired"), "exp -61": (at(exp=-61), "token-expired"),
                            "nbf +59": (at(nbf=59), None), "nbf +60": (at(nbf=60), None), "nbf +61": (at(nbf=61), "token-not-yet-valid"),
                            "iat +59": (at(iat=59), None), "iat +60": (at(iat=60), None), "iat +61": (at(iat=61), "token-not-yet-valid"),
                            "iat +600": (at(iat=600, exp=900), "token-not-yet-valid")}.items():
        assert refusal(shifted, expected[0]) == expected[1], token
    assert len(fresh.calls("echo")) == 5, "what was refused went no further"
    # A token that was accepted and is known: it ends to the second too.
    known = at(exp=10)
    assert refusal(shifted, known) is None
    shifted.clock.freeze(now + 10 + SKEW - 1)
    assert refusal(shifted, known) is None
    shifted.clock.freeze(now + 10 + SKEW)
    assert refusal(shifted, known) == "token-expired"


def test_proofs_to_the_second(shifted, oidc, fresh):
    now = int(time.time())
    shifted.clock.freeze(now)
    holder = oidc.holder("tester")
    for shift, accepted in ((-59, True), (-61, False), (59, True), (61, False), (600, False)):
        proof = holder.proof("POST", shifted.url("up"), claims={"iat": now + shift})
        reply = shifted.client("up", token="x").call("echo", {"message": "x"}, headers={"Authorization": f"DPoP {holder.token}", "DPoP": proof})
        assert (reply.status == 200) is accepted, (shift, reply)
    assert shifted.recorded(event="auth.failure", reason="token-proof-invalid") and len(fresh.calls("echo")) == 2


@pytest.mark.parametrize("minutes", [10, -10])
def test_ten_minutes_beside_the_provider(shifted, oidc, fresh, minutes):
    """The provider's tokens as it makes them. `doctor identity` says whose clock is wrong and what to do."""
    shifted.clock.step(60 * minutes)
    now = int(time.time())
    short = oidc.token_of("tester", groups=["testers"], iat=now, exp=now + 300)
    long = oidc.token_of("tester", groups=["testers"], iat=now, exp=now + 3600)
    if minutes > 0:  # ahead: what lasts less than that is over before it begins
        assert refusal(shifted, short) == "token-expired"
        assert refusal(shifted, long) is None
    else:  # behind: nothing has begun yet
        assert refusal(shifted, short) == refusal(shifted, long) == "token-not-yet-valid"
        assert fresh.calls() == []
    file = shifted.directory / "token"
    file.write_text(short)
    done = shifted.run("doctor", "identity", "--config", shifted.config_path, "--token-file", file, "--json")
    found = {f["check"]: f for f in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 1 and found["clock"]["level"] == "failure", done.stdout + done.stderr
    where = "behind" if minutes > 0 else "ahead of"
    assert any(f"{n} s {where}" in found["clock"]["says"] for n in range(595, 606)), found["clock"]
    assert "chronyc" in found["clock"]["fix"] and found["time"]["level"] == "failure", found
    shifted.clock.step(0)  # as the fix says: nothing has to be started again
    assert refusal(shifted, short) is None


def test_a_refresh_token_of_before_is_good_for_a_minute(start_gateway, tmp, oidc, upstream):
    """Row 36: the answer may have been lost once; later on whoever shows the one before has a copy, and the session ends."""
    clock = ShiftedClock(tmp / "clock")

    def changes(config):
        with_login(config)
        with_server(config)
    rules = [{"id": "tess", "effect": "allow", "who": ["user:tess@example.com"], "on": {"connection": "tools", "tools": ["*"]}}]
    part = start_gateway(tmp / "gateway", oidc, [http_connection("tools", upstream.url)], rules, changes=changes, env={**LOGIN_ENV, **clock.env},
                         port=int(oidc.audience.rsplit(":", 1)[1]))
    for late, status in ((59, 200), (62, 400)):
        clock.step(0)
        client = Client(part)
        given = client.tokens(Browser())
        renewed = client.refresh(given["refresh_token"]).json
        clock.step(late)
        again = client.refresh(given["refresh_token"])
        assert again.status == status, (late, again)
        if status == 400:
            assert again.json["error"] == "invalid_grant" and again.json["code"] == "token-used"
            assert part.client("tools", token=renewed["access_token"]).request("tools/list").status == 401
            assert part.recorded(event="auth.failure", reason="token-used", method="oauth-refresh")
            assert [e for e in part.recorded(event="session.killed") if e["access"].get("session") == given["session"]]


def test_a_clock_that_is_set_while_it_runs(shifted, oidc, upstream):
    """A step of a day ends tokens, and nothing else: streams, the log and the steady clock go on; set back, the log is still whole."""
    token = oidc.token_of("tester", groups=["testers"])
    assert refusal(shifted, token) is None
    for step, expected in ((86400, "token-expired"), (-86400, "token-not-yet-valid"), (0, None)):
        shifted.clock.step(step)
        begun = time.monotonic()
        assert refusal(shifted, token) == expected
        slow = oidc.token_of("tester", groups=["testers"], iat=int(time.time()) + step - 5, exp=int(time.time()) + step + 300)
        assert refusal(shifted, slow) is None
        assert time.monotonic() - begun < 10 and shifted.ops("/readyz")[0] == 200
    assert eventually(lambda: shifted.verify().returncode == 0, 5, 0.5), shifted.verify().stdout
