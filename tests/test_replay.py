"""The replay of a session as a file that verifies itself, in a real Chromium; as asciicast; and what shows when a byte is changed."""

import json
import os
import random
import subprocess
import threading

import pytest

from kit.approvals import SCHEMA, ApprovalGate
from kit.browser import Browser
from kit.parts import Oidc, run
from kit.pg_drivers import PSQL
from kit.postgres import Postgres
from kit.process import eventually, free_port
from kit.replay_page import file_with, look, rebuilt


@pytest.fixture(scope="module")
def oidc(scratch):
    part = Oidc(scratch, f"http://localhost:{free_port()}")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True)
    part.sql(SCHEMA)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gate(scratch, oidc, upstream, server):
    part = ApprovalGate(scratch / "gate", oidc, upstream, server)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def viewer(scratch):
    browser = Browser(scratch)
    yield browser.person("assessor")
    browser.stop()


@pytest.fixture(scope="module")
def sessions(gate) -> dict[str, str]:
    """The refund and the bulk SELECT that waited for a person: the sessions that they ran in."""
    asking = gate.ask(900)
    assert gate.decide("lead", gate.waiting())[0] == 200
    assert not asking.wait().get("isError")
    asking.stop()

    rows = {}

    def select():
        rows["done"] = subprocess.run([PSQL, f"host=127.0.0.1 port={gate.pg_port} dbname=shop user=token sslmode=disable", "-At", "-c",
                                       "SELECT id, card_number FROM public.payments"],
                                      env={**os.environ, "PGPASSWORD": gate.oidc.token("ana")}, capture_output=True, text=True, timeout=60)
    thread = threading.Thread(target=select)
    thread.start()
    assert gate.decide("lead", gate.waiting(resource="shop"))[0] == 200
    thread.join(60)
    assert rows["done"].returncode == 0, rows["done"].stderr

    def of(resource):
        return next((e["session"] for e in gate.audit("call.outcome") if e["resource"] == resource and e.get("ok", True)), None)
    assert eventually(lambda: of("refund_order") and of("shop") and gate.audit("session.close"), 10, step=0.2)
    return {"refund": of("refund_order"), "select": of("shop")}


def page(gate, session: str, tmp):
    done = eventually(lambda: (d := run("replay", session, "--data-dir", gate.data_dir, "--format", "html")).returncode == 0 and d, 10)
    assert done
    file = tmp / f"{session}.html"
    file.write_text(done.stdout)
    return file


def test_the_refund(gate, sessions, viewer, tmp):
    before = viewer.console()
    kind, words = look(viewer, page(gate, sessions["refund"], tmp))
    assert viewer.console() == before
    assert kind == "good" and "tests.example.com/log" in words, words
    shown = viewer.text(selector="#shell")
    for expected in ("agent-refunds on payments", "refund_order", '"amount": 900', "o_1a2b3c4d", "needs approval", "approval.decided", "approve by " + gate.audit("approval.decided")[0]["approval"]["by"]["name"],
                     "refund-large", "group:payments-platform", "asked".upper(), "seen".upper(), gate_key(gate)):
        assert expected in shown, expected
    assert viewer.requests() == [] or all(u.startswith("file:") for u in viewer.requests())
    assert viewer.axe() == []


def gate_key(gate) -> str:
    return (gate.data_dir / "log" / "vkey").read_text().strip()


def test_the_bulk_select(gate, sessions, viewer, tmp):
    kind, words = look(viewer, page(gate, sessions["select"], tmp))
    assert kind == "good", words
    assert viewer.evaluate(script="document.querySelectorAll('table tbody tr').length") == 40
    cells = viewer.evaluate(script="[...document.querySelectorAll('table tbody tr:first-child td')].map((c) => c.textContent)")
    assert cells == ["1", "************1111"]
    assert viewer.evaluate(script="document.querySelectorAll('td mark').length") == 40
    shown = viewer.text(selector="#shell")
    assert "SELECT id, card_number FROM public.payments" in shown and "bulk" in shown and "4111111111111111" not in shown
    buttons = viewer.evaluate(script="[...document.querySelectorAll('#filters button')].map((b) => b.textContent)")
    assert any(b.startswith("Approvals") for b in buttons) and any(b.startswith("Masked") for b in buttons)


def test_one_changed_byte_shows(gate, sessions, viewer, tmp):
    """Whatever is shown or run: evidence, words, style, script. The few bytes around them do nothing."""
    original = page(gate, sessions["refund"], tmp).read_bytes()
    begin, end = original.index(b"<style>") + 7, original.rindex(b"</script>")
    policy = original.index(b'content="default-src')
    places = [random.Random(1).randrange(begin, end) for _ in range(40)]
    places += [original.index(b"sha256-", policy) + 9, original.index(b"default-src") + 14, original.rindex(b"sha256-", policy, begin) + 9, original.index(b"NOT verified") + 1,
               original.index(b'"entry"') + 12, original.index(b'"key"') + 20, original.index(b"parts = {") + 2]
    file = tmp / "changed.html"
    assert look(viewer, file_with(file, original))[0] == "good"
    for at in places:
        changed = bytearray(original)
        changed[at] = ord("x") if changed[at] != ord("x") else ord("y")
        kind, words = look(viewer, file_with(file, bytes(changed)))
        assert kind != "good", (at, original[at - 30:at + 30])


def edited(evidence, old: str, new: str):
    import base64
    hits = 0
    for one in evidence["entries"]:
        text = base64.b64decode(one["entry"]).decode()
        hits += old in text
        one["entry"] = base64.b64encode(text.replace(old, new).encode()).decode()
    assert hits
    return evidence


def dropped(evidence, event: str):
    import base64
    before = len(evidence["entries"])
    evidence["entries"] = [e for e in evidence["entries"] if f'"e":"{event}"'.encode() not in base64.b64decode(e["entry"])]
    assert len(evidence["entries"]) < before
    return evidence


@pytest.mark.parametrize("forgery", ["nothing", "amount", "denied call left out", "another session", "another key", "moved entry"])
def test_a_forger_who_writes_a_new_file(gate, sessions, viewer, tmp, forgery):
    original = page(gate, sessions["refund"], tmp).read_text()

    def change(evidence):
        if forgery == "amount":
            return edited(evidence, '"amount": 900', '"amount": 100')
        if forgery == "denied call left out":
            return dropped(evidence, "call.denied")
        if forgery == "another session":
            return {**evidence, "session": sessions["select"]}
        if forgery == "another key":
            return {**evidence, "key": evidence["key"][:-6] + "AAAAA="}
        if forgery == "moved entry":
            evidence["entries"][1]["index"] += 1
        return evidence
    kind, words = look(viewer, file_with(tmp / "forged.html", rebuilt(original, change).encode()))
    assert (kind == "good") == (forgery == "nothing"), words


def test_asciicast(gate, sessions):
    lines = [json.loads(line) for line in run("replay", sessions["select"], "--data-dir", gate.data_dir, "--format", "cast", check=True).stdout.splitlines()]
    assert lines[0]["version"] == 2 and lines[0]["width"] and lines[0]["timestamp"]
    times = [t for t, kind, _ in lines[1:]]
    assert times == sorted(times) and times[0] == 0 and all(kind == "o" for _, kind, _ in lines[1:])
    text = "".join(data for _, _, data in lines[1:])
    assert "SELECT id, card_number" in text and "\x1b" not in text and "4111111111111111" not in text


def test_looking_is_recorded(gate, sessions, tmp):
    page(gate, sessions["refund"], tmp)
    assert gate.recorded(event="evidence.read", resource=sessions["refund"], timeout=10)
