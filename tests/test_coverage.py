"""Completeness of the log from outside: outages, a clock that is set, samples that an assessor draws."""

import hashlib
import hmac
import json
import time

import pytest

from kit import c2sp
from kit.parts import ALLOW_TESTERS, Gateway, http_connection, run
from kit.process import eventually
from kit.shifted_clock import ShiftedClock


@pytest.fixture(scope="module")
def clock(scratch):
    return ShiftedClock(scratch / "clock" / "now")


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, clock):
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], [ALLOW_TESTERS], env=clock.env)
    yield part
    part.stop()


def coverage(gateway, *options) -> tuple[int, dict]:
    done = run("audit", "coverage", gateway.data_dir, "--json", *options)
    assert done.returncode in (0, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


def test_a_clock_that_is_set_is_an_entry_and_no_outage(gateway, clock):
    assert gateway.recorded(event="log.heartbeat", timeout=10)[0]["detail"].startswith(("clock", "the state"))
    for seconds in (3600, 0):
        seen = len(gateway.audit("clock.stepped"))
        clock.step(seconds)
        assert eventually(lambda: len(gateway.audit("clock.stepped")) > seen, 10, step=0.2)
    assert [e["detail"][:5] for e in gateway.audit("clock.stepped")] == ["by +3", "by -3"]
    code, found = coverage(gateway)
    assert code == 0 and found["whole"] and len(found["clock_steps"]) == 2, found
    assert gateway.verify().returncode == 0


def test_a_sample_can_be_drawn_by_whoever_knows_the_seed(gateway, tmp):
    client = gateway.client("up")
    for _ in range(15):
        client.call("echo")
    seed = "dice: 3 1 6 2 5 5"
    done = run("audit", "sample", gateway.data_dir, "--seed", seed, "--n", "12", "--out", tmp / "sample", check=True)
    drawn = [json.loads(line)["index"] for line in done.stdout.splitlines()]
    size = int(done.stderr.split(" of ")[1].split()[0])
    expected, number = [], 0
    while len(expected) < 12:
        index = int.from_bytes(hmac.digest(seed.encode(), str(number).encode(), hashlib.sha256)[:8], "big") % size
        number += 1
        if index not in expected:
            expected.append(index)
    assert drawn == expected
    key = (gateway.data_dir / "log" / "vkey").read_text().strip()
    for index in drawn:
        entry = (tmp / "sample" / f"{index}.entry").read_bytes()
        proof = (tmp / "sample" / f"{index}.tlog-proof").read_text()
        assert c2sp.included(proof, entry, key)
        with pytest.raises(AssertionError):
            c2sp.included(proof, entry.replace(b'"v":1', b'"v":2'), key)
    assert gateway.recorded(event="evidence.read", resource=seed)


def test_a_killed_gateway_leaves_an_outage_that_is_listed(gateway):
    assert gateway.client("up").call("echo")
    begin = time.time()
    gateway.process.kill_hard()
    time.sleep(16)  # longer than silence may be
    gateway.start()
    code, found = coverage(gateway)
    assert code == 3 and not found["whole"]
    outage, = found["outages"]
    assert "without a word" in outage["cause"] and 15 <= outage["seconds"] <= time.time() - begin + 11
    assert outage["after"] == outage["before"] + 1
    text = run("audit", "coverage", gateway.data_dir).stdout
    assert "OUTAGE" in text and "NOT covered" in text
    # What was asked for ends before it: nothing is missing there.
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin))
    code, found = coverage(gateway, "--to", moment)
    assert code == 0, found
    assert run("audit", "coverage", gateway.data_dir, "--from", "yesterday").returncode == 2
