"""Providers that tell nothing by themselves: events are fetched, and people are asked about.

Takes a minute: the stated bounds, seconds here, are waited for."""

import json
import os
import sqlite3
import time

import pytest
from test_offboarding import CAEP, RISC, event, iss_sub

from kit.parts import ALLOW_TESTERS, Gateway, Oidc, http_connection
from kit.person import LOGIN_ENV, Person, with_login
from kit.process import eventually, free_port
from kit.ssf import Stream

TOKEN = "poll-token-07d1e4f2b61c"


@pytest.fixture(scope="module")
def transmitter(scratch):
    part = Oidc(scratch / "ssf", "https://unused.test", "ssf")
    yield part
    part.stop()


@pytest.fixture
def stream():
    part = Stream(TOKEN)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def people(scratch):
    """A provider of its own: people sign in, and leave."""
    part = Oidc(scratch / "people", f"http://127.0.0.1:{free_port()}", "corp")
    yield part
    part.stop()


def made(scratch, oidc, upstream, name, changes):
    def all_changes(config):
        with_login(config)
        changes(config["identity"]["providers"][0])
    return Gateway(scratch / f"{name}-{os.urandom(3).hex()}", oidc, [http_connection("tools", upstream.url)], [ALLOW_TESTERS],
                   changes=all_changes, env={**LOGIN_ENV, "TEST_POLL_TOKEN": TOKEN})


@pytest.fixture
def polling(scratch, oidc, upstream, transmitter, stream):
    """Events are fetched every second."""
    def changes(provider):
        provider["ssf"] = {"issuer": transmitter.issuer, "jwks_uri": transmitter.issuer + "/jwks", "push": False,
                           "poll": {"endpoint": stream.url, "token": {"env": "TEST_POLL_TOKEN"}, "every": "1s"}}
    part = made(scratch, oidc, upstream, "events", changes)
    yield part
    part.stop()


def works(gateway, token) -> bool:
    return gateway.client("tools", token=token).request("tools/list").status == 200


def put(gateway, transmitter, stream, kind, subject, **how) -> str:
    jti = os.urandom(8).hex()
    stream.events[jti] = event(gateway, transmitter, kind, subject, jti=jti, **how)
    return jti


def test_events_are_fetched_and_acknowledged_once_they_have_taken_effect(polling, transmitter, stream):
    token = polling.oidc.token_of("leaver", groups=["testers"])
    assert works(polling, token)
    began = time.time()
    jti = put(polling, transmitter, stream, RISC + "account-disabled", iss_sub(polling, "leaver"))
    assert eventually(lambda: jti in stream.acked, 10, 0.02), "not acknowledged"
    print("from the event to its acknowledgement", round(time.time() - began, 2))
    assert not works(polling, token), "acknowledged before it took effect"
    killed = polling.recorded(event="session.killed")[-1]["access"]
    assert killed["by"] == "ssf-poll"
    assert polling.metric("sallyport_kill_seconds_count", source="ssf-poll") == 1
    strange = put(polling, transmitter, stream, "https://example.com/of-tomorrow", iss_sub(polling, "nobody"))
    forged = os.urandom(8).hex()
    stream.events[forged] = event(polling, transmitter, RISC + "account-disabled", iss_sub(polling, "support"), jti=forged, oidc=polling.oidc)
    assert eventually(lambda: strange in stream.acked, 10)
    # A key that nobody has may be a new one that is not there yet: it stays with the transmitter.
    time.sleep(1.5)
    assert forged in stream.events and works(polling, polling.oidc.token("tester"))
    assert eventually(lambda: stream.errors.get(forged) == "invalid_key", 15), "it would keep others from being fetched"
    other = os.urandom(8).hex()
    stream.events[other] = event(polling, transmitter, CAEP + "session-revoked", {"format": "did", "url": "did:x"}, jti=other)
    assert eventually(lambda: stream.errors.get(other) == "invalid_request", 10)
    assert polling.recorded(event="auth.failure", method="ssf-poll")
    assert stream.asked < 40, "it is not asked in a circle"


def test_a_hundred_events_at_once(polling, transmitter, stream):
    made_ = [put(polling, transmitter, stream, RISC + "account-disabled", iss_sub(polling, f"many-{n}")) for n in range(100)]
    assert eventually(lambda: len(set(stream.acked)) == len(made_), 20)
    assert stream.events == {}


def test_a_transmitter_that_fails_is_asked_again_and_nothing_is_lost(polling, transmitter, stream):
    token = polling.oidc.token_of("later", groups=["testers"])
    assert works(polling, token)
    for mode in ("down", "garbage"):
        stream.mode, asked = mode, stream.asked
        assert eventually(lambda: stream.asked > asked, 15)
    jti = put(polling, transmitter, stream, CAEP + "session-revoked", iss_sub(polling, "later"))
    assert works(polling, token)
    stream.mode = "up"
    assert eventually(lambda: jti in stream.acked, 20) and not works(polling, token)
    assert polling.metric("sallyport_ssf_poll_age_seconds", provider="corp") < 5


def test_a_gate_that_dies_before_the_acknowledgement_hears_of_it_again(polling, transmitter, stream):
    token = polling.oidc.token_of("crash", groups=["testers"])
    assert works(polling, token)
    jti = put(polling, transmitter, stream, RISC + "account-purged", iss_sub(polling, "crash"))
    polling.process.popen.kill()
    polling.process.wait(5)
    polling.start()
    assert eventually(lambda: jti in stream.acked, 15) and not works(polling, token)


# -- people who are asked about --------------------------------------------------------------------
@pytest.fixture(scope="module")
def asking(scratch, people, upstream):
    def changes(provider):
        provider["poll"] = {"every": "5s", "unreachable_for": "12s"}
    part = made(scratch, people, upstream, "asking", changes)
    yield part
    part.stop()


def grants(gateway) -> list:
    with sqlite3.connect(f"file:{gateway.data_dir}/state/state.db?mode=ro", uri=True) as db:
        return db.execute("SELECT subject, sealed FROM kept_grant").fetchall()


def test_who_has_left_is_out_within_the_bound(asking, tmp):
    stays, leaves = Person(asking, tmp / "stays", "tester2"), Person(asking, tmp / "leaves", "tester")
    stays.login()
    leaves.login()
    assert {subject for subject, _ in grants(asking)} == {"tester", "tester2"}
    before = dict(grants(asking))
    assert eventually(lambda: asking.metric("sallyport_person_polls_total", answer="there") >= 2, 15)
    assert dict(grants(asking))["tester"] != before["tester"], "a rotated token is kept"
    asking.oidc.leave("tester")
    try:
        began = time.time()
        assert eventually(lambda: leaves.run("whoami").returncode == 4, 15, 0.2)
        took = time.time() - began
        print("from leaving to the end", round(took, 1))
        assert took < 5 + 5 + 1
        assert stays.run("whoami").returncode == 0
        killed = asking.recorded(event="session.killed")[-1]["access"]
        assert killed["by"] == "poll" and "does not let the person in" in killed["why"]
        assert asking.metric("sallyport_kill_seconds_count", source="poll") == 1
        assert eventually(lambda: {subject for subject, _ in grants(asking)} == {"tester2"}, 5), "a token is left"
    finally:
        asking.oidc.leave("tester", back=True)


def test_no_answer_is_no_still_there(asking, tmp):
    person = Person(asking, tmp / "tess", "tester")
    person.login()
    asking.oidc.mode("dark")
    try:
        time.sleep(6)
        assert person.run("whoami").returncode == 0, "an outage of seconds ends nothing"
        assert eventually(lambda: person.run("whoami").returncode == 4, 25, 0.5), "it goes on for ever"
        why = [e["access"]["why"] for e in asking.recorded(event="session.killed") if e["access"]["by"] == "poll"]
        assert any("did not say for too long" in w for w in why), why
    finally:
        asking.oidc.mode("up")


def test_a_provider_without_refresh_tokens_is_asked_with_the_access_token(asking, tmp):
    asking.oidc.leave("refresh_token")  # the name of what is not given any more
    try:
        person = Person(asking, tmp / "ola", "tester2")
        person.login()
        before = asking.metric("sallyport_person_polls_total", answer="there")
        assert eventually(lambda: asking.metric("sallyport_person_polls_total", answer="there") > before, 12)
        assert person.run("whoami").returncode == 0
        asking.oidc.leave("tester2")
        assert eventually(lambda: person.run("whoami").returncode == 4, 12, 0.3)
    finally:
        asking.oidc.leave("tester2", back=True)
        asking.oidc.leave("refresh_token", back=True)


def test_refresh_tokens_stand_nowhere_in_clear(asking, tmp):
    person = Person(asking, tmp / "tess", "tester2")
    person.login()
    sealed = dict(grants(asking))["tester2"]
    assert len(sealed) > 40 and sealed[0] == 1
    for path in asking.data_dir.rglob("*"):
        if path.is_file():
            assert b"refresh_token" not in path.read_bytes(), path


def test_the_worst_case_is_shown(asking, polling, tmp):
    person = Person(asking, tmp / "tess", "tester2")
    person.login()
    worst = json.loads(person.run("whoami", "--why", "--json").stdout)["offboarding"]
    assert (worst["within_seconds"], worst["by"], worst["unreachable_seconds"]) == (11, "poll", 23), worst
    assert "within 11 seconds" in person.run("whoami", "--why").stdout
    noted = asking.run("validate", asking.config_path)
    assert noted.returncode == 0 and 'offboarding at "corp"' in noted.stdout and "11 seconds (poll)" in noted.stdout, noted
    noted = polling.run("validate", polling.config_path)
    assert "7 seconds (security events (poll))" in noted.stdout, noted
    assert asking.metric("sallyport_offboarding_seconds", provider="corp", what="session") == 11
    assert polling.metric("sallyport_offboarding_seconds", provider="corp", what="token") == 7
