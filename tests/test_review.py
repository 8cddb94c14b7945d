"""The daily review: made of what the log says of a day, made up when it was missed, signed by a person who may."""

import datetime
import json
import time

import pytest

from kit.parts import ALLOW_TESTERS, Gateway, http_connection
from kit.process import eventually
from kit.shifted_clock import ShiftedClock

DAY = 86400


def date(days: int = 0) -> str:
    """So many days from today, UTC."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y-%m-%d")


@pytest.fixture(scope="module")
def clock(scratch):
    return ShiftedClock(scratch / "clock" / "now")


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, clock):
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], [ALLOW_TESTERS], env=clock.env,
                   changes=lambda c: c.update(review={"at": "00:00"}))
    yield part
    part.stop()


def reviews(gateway, day: str) -> list[dict]:
    return [e for e in gateway.audit("review.made") if e["resource"] == day]


def shown(gateway, day: str) -> dict:
    return json.loads(gateway.run("review", "show", day, "--data-dir", gateway.data_dir, "--json", check=True).stdout)


@pytest.fixture(scope="module")
def today(gateway, clock) -> str:
    """A day with some work in it, of which it is tomorrow since."""
    day = date()
    client = gateway.client("up")
    for _ in range(5):
        client.call("echo")
    assert gateway.client("up", who="ana").call("echo")
    eventually(lambda: gateway.audit("call.denied"), 3)
    not_over = gateway.run("review", "make", "--date", day, "--config", gateway.config_path)
    assert not_over.returncode == 1 and "not over" in not_over.stderr
    gateway.stop()
    clock.step(2 * DAY)
    gateway.start()
    assert eventually(lambda: reviews(gateway, day), 20, 0.2), gateway.process.err[-3000:]
    return day


def test_missed_days_are_made_up_at_the_start(gateway, today):
    facts = reviews(gateway, today)[0]["facts"]
    assert facts["date"] == today and facts["figures"]["operations"] >= 5 and facts["figures"]["sessions"] >= 1
    assert facts["events"]["call.outcome"] >= 5 and facts["compared_days"] == 0
    assert reviews(gateway, today)[0]["detail"] == "made up later"
    # The day after, when nothing ran, is there too.
    assert eventually(lambda: reviews(gateway, date(1)), 10)
    assert reviews(gateway, date(1))[0]["detail"] == "daily"
    # From the stop to midnight nobody wrote: the one silence of that day.
    assert [i["kind"] for i in facts["deviations"]].count("coverage") == 1
    gateway.stop()
    gateway.start()
    time.sleep(2)
    assert len(reviews(gateway, today)) == 1  # once is enough


def test_it_is_shown_as_markdown_and_listed(gateway, today):
    text = gateway.run("review", "show", today, "--data-dir", gateway.data_dir, check=True).stdout
    assert text.startswith("# Review of ") and "| operations |" in text and "By nobody yet." in text
    listed = gateway.run("review", "list", "--data-dir", gateway.data_dir)
    assert listed.returncode == 3 and f"{today}  not signed" in listed.stdout
    assert gateway.recorded(event="evidence.read", method="review show")
    for bad, code in (("yesterday", 2), ("2026-02-30", 2), ("../state", 2), ("2020-01-01", 1)):
        assert gateway.run("review", "show", bad, "--data-dir", gateway.data_dir).returncode == code, bad


def test_only_a_person_who_may_signs(gateway, today, oidc, clock, tmp):
    clock.step(0)  # tokens are of the true time

    def sign(who: str, day: str, note: str = "looked at it, card 4000 0566 5566 5556") -> object:
        token = tmp / f"{who}.token"
        token.write_text(oidc.token(who))
        return gateway.run("review", "sign", day, "--note", note, "--server", gateway.public_url, "--token-file", token)

    for who in ("tester", "lead", "agent-refunds"):
        assert sign(who, today).returncode == 3, who
    assert sign("auditor", "2020-01-01").returncode != 0
    assert gateway.audit("review.signed") == []
    done = sign("auditor", today)
    assert done.returncode == 0, done.stderr
    entry = gateway.recorded(event="review.signed")[0]
    assert entry["resource"] == today and entry["access"]["by"] == "audrey@example.com"
    assert "4000" not in json.dumps(entry) and entry["facts"]["date"] == today
    assert [s["by"] for s in shown(gateway, today)["signed"]] == ["audrey@example.com"]


def test_it_can_be_asked_for_again(gateway, today, clock):
    clock.step(2 * DAY)
    before = len(reviews(gateway, today))
    asked = gateway.run("review", "make", "--date", today, "--config", gateway.config_path)
    assert asked.returncode == 0, asked.stderr
    assert eventually(lambda: len(reviews(gateway, today)) == before + 1, 10, 0.2)
    assert gateway.run("review", "make", "--date", "nonsense", "--config", gateway.config_path).returncode == 2
    assert gateway.verify().returncode == 0


def test_whom_the_configuration_names_signs_and_nobody_else(scratch, oidc, upstream, tmp):
    part = Gateway(scratch / "named", oidc, [http_connection("up", upstream.url)], [ALLOW_TESTERS],
                   changes=lambda c: c.update(review={"who": ["group:testers"]}))

    def sign(who: str) -> object:
        token = tmp / f"{who}.token"
        token.write_text(oidc.token(who))
        return part.run("review", "sign", "2020-01-01", "--note", "seen", "--server", part.public_url, "--token-file", token)
    try:
        refused = sign("auditor")  # the role is not enough where somebody is named
        assert refused.returncode == 3 and "review.who does not name you" in refused.stderr, refused.stderr
        let_in = sign("tester")  # gets as far as the review, which is not there
        assert "review.who" not in let_in.stderr and "2020-01-01" in let_in.stderr, let_in.stderr
    finally:
        part.stop()
