"""The log from outside: verify, prove, search, tail, replay; tampering; the Go verifier."""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import time

import pytest

from kit import pans
from kit.mcp import MODERN
from kit.parts import Gateway, http_connection, run
from kit.paths import TESTS
from kit.process import eventually


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    policies = [{"id": "testers", "effect": "allow", "who": ["group:testers", "agent:agent-refunds"], "on": {"connection": "up", "tools": ["*"]}},
                {"id": "no-export", "effect": "deny", "who": ["any"], "on": {"connection": "up", "tools": ["export_*"]}}]
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], policies)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def story(gateway):
    """A bit of everything, once: what the tests below look for."""
    tester = gateway.client("up", "tester")
    tester.call("card_text")
    tester.call("echo", {"message": "canary-in-arguments"})
    tester.call("export_all")
    tester.call("no_such_tool")
    tester.call("fails")
    gateway.client("up", "agent-refunds").call("get_order", {"id": "o_1"})
    legacy = gateway.client("up", "tester2", "2025-11-25").start()
    legacy.call("progress", {"steps": 2}, progress_token="p")
    legacy.close()
    gateway.client("up", token="garbage").call("echo")
    assert eventually(lambda: len(gateway.audit("call.outcome")) >= 5, 5, step=0.2)
    return gateway


@pytest.fixture
def copy(story, tmp):
    """A copy of the data directory whose log covers everything, to be damaged."""
    target = tmp / "copy"
    for _ in range(20):  # a copy that was made while nothing was written
        before = eventually(lambda: covered(story), 20, step=0.1)
        shutil.rmtree(target, ignore_errors=True)
        try:
            shutil.copytree(story.data_dir, target)
        except shutil.Error:  # a file was replaced meanwhile
            continue
        if before and covered(story) == before:
            return target
    pytest.fail("the log does not come to rest")


def covered(gateway) -> int:
    """The size of the log, once a checkpoint covers all of it; else 0."""
    size = gateway.log_size()
    return size if size == int(gateway.metric("sallyport_ledger_entries")) else 0


def verify(directory, *options):
    return run("audit", "verify", directory, *options, timeout=120)


def vkey(gateway) -> str:
    """The verifier key, from wherever the data directory keeps the public half."""
    for file in sorted(gateway.data_dir.rglob("*")):
        if file.is_file() and file.stat().st_size < 400:
            match = re.search(r"^(tests\.example\.com/log\+[0-9a-f]{8}\+\S+)$", file.read_text(errors="replace"), re.M)
            if match:
                return match.group(1)
    pytest.fail("no verifier key in the data directory")


# -- entries -------------------------------------------------------------------------------------
def test_every_entry_says_who_what_when_where_why(story):
    intent = story.audit("call.intent", resource="card_text")[-1]
    assert intent["who"] == {**intent["who"], "issuer": story.oidc.issuer, "subject": "tester", "name": "tess@example.com"}
    assert (intent["connection"], intent["method"]) == ("up", "tools/call")
    assert intent["from"]["address"] == "127.0.0.1"
    assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$", intent["time"])
    assert intent["rules"] == ["testers"] and len(intent["policy_version"]) == 16
    assert intent["session"].startswith("s_")
    agent = story.audit("call.intent", resource="get_order")[-1]
    assert agent["who"]["agent"] == "agent-refunds" and agent["who"]["owner"] == "group:payments-platform"
    outcome = [e for e in story.entries() if e.get("intent") == intent["index"] and e["event"] == "call.outcome"][0]
    assert outcome["ok"] is True and outcome["duration_us"] > 0 and outcome["index"] > intent["index"]


def test_every_kind_of_event_is_there(story):
    events = {e["event"] for e in story.entries()}
    assert {"log.init", "log.start", "config.loaded", "auth.success", "auth.failure", "call.intent", "call.outcome", "call.denied"} <= events


def test_a_denied_call_and_a_hidden_one(story):
    denied = story.audit("call.denied", resource="export_all")[-1]
    assert denied["reason"] == "rule-deny" and denied["rules"] == ["no-export"] and denied["decision_id"].startswith("d_")
    # allowed by name, and the upstream has no such tool: asked for and answered, never called
    assert story.audit("call.intent", resource="no_such_tool")
    ends = story.audit("call.outcome", resource="no_such_tool")
    assert ends and ends[-1]["ok"] is False


def test_entries_are_numbered_without_gaps(story):
    indices = [e["index"] for e in story.entries()]
    assert indices == list(range(len(indices)))


def test_no_card_number_in_any_entry(story):
    assert pans.shown_in(json.dumps(story.entries())) == []


# -- search and tail -----------------------------------------------------------------------------
@pytest.mark.parametrize("options, check", [
    (["--person", "tess@example.com"], lambda e: e["who"]["subject"] == "tester"),
    (["--agent", "agent-refunds"], lambda e: e["who"]["agent"] == "agent-refunds" or e["who"]["client_id"] == "agent-refunds"),
    (["--tool", "card_text"], lambda e: e["resource"] == "card_text"),
    (["--decision", "deny"], lambda e: e["verdict"] == "deny"),
    (["--event", "auth.failure"], lambda e: e["event"] == "auth.failure"),
    (["--reason", "rule-deny"], lambda e: e["reason"] == "rule-deny"),
    (["--connection", "up", "--tool", "echo"], lambda e: e["resource"] == "echo"),
])
def test_search(story, options, check):
    found = story.entries(*options)
    assert found and all(check(e) for e in found), found[:3]


def test_search_by_time_and_session(story):
    entries = story.entries()
    middle = entries[len(entries) // 2]
    later = story.entries("--from", middle["time"])
    assert later[0]["index"] >= middle["index"] - 1 and len(later) < len(entries)
    assert all(e["index"] <= middle["index"] for e in story.entries("--to", middle["time"]))
    session = story.audit("call.intent", resource="echo")[-1]["session"]
    assert {e["session"] for e in story.entries("--session", session) if "session" in e} == {session}


def test_search_for_people_and_with_bad_options(story):
    plain = story.run("audit", "search", "--data-dir", story.data_dir, "--tool", "export_all")
    assert plain.returncode == 0 and "export_all" in plain.stdout and "rule-deny" in plain.stdout
    assert story.run("audit", "search", "--data-dir", story.data_dir, "--from", "yesterday").returncode == 2
    assert story.run("audit", "search", "--data-dir", "/nonexistent").returncode in (1, 4)
    assert story.run("audit", "search", "--nonsense").returncode == 2


def test_tail(story):
    done = story.run("audit", "tail", "--data-dir", story.data_dir, "-n", "3", "--json")
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3
    follower = subprocess.Popen([str(run.__globals__["sallyport"]()), "audit", "tail", "--data-dir", str(story.data_dir), "--follow", "--json", "-n", "1"],
                                stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.5)
        story.client("up").call("echo", {"message": "followed"})
        deadline = time.monotonic() + 8
        seen = ""
        while "followed" not in seen and time.monotonic() < deadline:
            seen += follower.stdout.readline()
        assert "followed" in seen
    finally:
        follower.terminate()
        follower.wait(5)


def test_every_reading_is_an_entry(story):
    before = len(story.audit("evidence.read"))
    story.run("audit", "search", "--data-dir", story.data_dir, "--tool", "echo")
    assert eventually(lambda: len(story.audit("evidence.read")) > before + 1, 6, step=0.5)


def test_index_can_be_rebuilt(copy):
    log_files = {p.relative_to(copy) for p in (copy / "log").rglob("*") if p.is_file()}
    for path in copy.iterdir():
        if re.search(r"index|search", path.name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = run("audit", "search", "--data-dir", copy, "--tool", "card_text", "--json")
    assert done.returncode == 0 and "card_text" in done.stdout
    assert {p.relative_to(copy) for p in (copy / "log").rglob("*") if p.is_file()} == log_files


# -- verify --------------------------------------------------------------------------------------
def test_verify(copy, story):
    done = verify(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify(copy, "--key", vkey(story)).returncode == 0
    report = json.loads(verify(copy, "--json").stdout)
    assert report["size" if "size" in report else "entries"] >= 20


def test_verify_wants_the_right_key(copy, story):
    key = vkey(story)
    other = key[:-6] + ("AAAAAA" if not key.endswith("AAAAAA") else "BBBBBB")
    assert verify(copy, "--key", other).returncode in (2, 3)
    assert verify(copy, "--key", "nonsense").returncode == 2


def test_verify_needs_no_secret(copy):
    for path in copy.rglob("*"):
        if path.is_file() and not path.is_relative_to(copy / "log") and re.search(r"key|secret", path.name) and not path.name.endswith((".pub", ".vkey")):
            path.unlink()
    assert verify(copy).returncode == 0


def log_files(directory) -> list[pathlib.Path]:
    return sorted(p for p in (directory / "log").rglob("*") if p.is_file() and p.stat().st_size)


def test_every_changed_byte_is_found(copy, story):
    """Some hundreds of random changes here; 100,000 in the unit tests."""
    chooser = random.Random(7)
    files = log_files(copy)
    needed = [f for f in files if f.name == "checkpoint" or "entries" in f.parts or "tile" in f.parts]
    assert needed
    for round in range(int(os.environ.get("SALLYPORT_MUTATIONS", "120"))):
        target = chooser.choice(needed)
        data = target.read_bytes()
        kind = chooser.choice(["flip", "cut", "insert", "delete", "zero"])
        at = chooser.randrange(len(data))
        changed = {"flip": data[:at] + bytes([data[at] ^ (1 << chooser.randrange(8))]) + data[at + 1:],
                   "cut": data[:at], "insert": data[:at] + b"\x41" + data[at:], "delete": data[:at] + data[at + 1:],
                   "zero": data[:at] + bytes(len(data) - at)}[kind]
        if changed == data:
            continue
        target.write_bytes(changed)
        done = verify(copy, "--key", vkey(story))
        target.write_bytes(data)
        assert done.returncode == 3, f"{kind} at {at} of {target.relative_to(copy)} was not found: {done.stdout}{done.stderr}"
    assert verify(copy).returncode == 0


@pytest.mark.parametrize("kind", ["newest entries file", "newest tile", "checkpoint"])
def test_missing_parts_are_found(copy, kind):
    if kind == "checkpoint":
        (copy / "log" / "checkpoint").unlink()
    else:
        where = copy / "log" / "tile" / ("entries" if kind.startswith("newest entries") else "0")
        sorted((p for p in where.rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime)[-1].unlink()
    assert verify(copy).returncode in (1, 3)


def test_rollback_is_found_with_an_older_checkpoint(story, copy, tmp):
    """An old copy of the whole log is sound in itself; the checkpoint somebody kept shows the cut."""
    for _ in range(5):
        story.client("up").call("echo", {"message": "later"})
    time.sleep(0.4)
    kept = tmp / "kept.checkpoint"
    shutil.copy(story.data_dir / "log" / "checkpoint", kept)
    assert verify(copy).returncode == 0
    assert verify(copy, "--checkpoint", kept).returncode == 3
    old = tmp / "old.checkpoint"
    shutil.copy(copy / "log" / "checkpoint", old)
    newer = tmp / "newer"
    shutil.rmtree(newer, ignore_errors=True)
    shutil.copytree(story.data_dir, newer)
    assert verify(newer, "--checkpoint", old).returncode == 0


def test_rewritten_history_is_found_with_an_older_checkpoint(story, tmp, start_gateway, oidc, upstream):
    """A log begun anew under the same origin is not a continuation of the one whose checkpoint was kept."""
    kept = tmp / "kept.checkpoint"
    shutil.copy(story.data_dir / "log" / "checkpoint", kept)
    other = start_gateway(tmp / "forged", oidc, [http_connection("up", upstream.url)])
    for _ in range(40):
        other.client("up").call("echo", {"message": "x"})
    other.stop()
    assert verify(other.data_dir).returncode == 0
    assert verify(other.data_dir, "--checkpoint", kept).returncode == 3


def test_not_a_log(tmp):
    assert verify(tmp / "nothing").returncode in (1, 2, 3, 4)
    (tmp / "empty").mkdir()
    assert verify(tmp / "empty").returncode in (1, 3, 4)


# -- proofs --------------------------------------------------------------------------------------
def test_prove(story, tmp):
    index = story.audit("call.intent")[0]["index"]
    done = story.run("audit", "prove", index, "--data-dir", story.data_dir)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("c2sp.org/tlog-proof@v1\n") and f"index {index}\n" in done.stdout
    assert "tests.example.com/log" in done.stdout
    out = tmp / "proof"
    assert story.run("audit", "prove", index, "--data-dir", story.data_dir, "--out", out).returncode == 0
    assert out.read_text().startswith("c2sp.org/tlog-proof@v1\n")
    assert story.run("audit", "prove", 10 ** 9, "--data-dir", story.data_dir).returncode in (1, 3)
    assert story.run("audit", "prove", "x", "--data-dir", story.data_dir).returncode == 2


@pytest.mark.timeout(600)  # the first check builds the program
def test_go_sumdb_confirms_the_log(copy, story, tmp):
    """golang.org/x/mod/sumdb knows nothing of us: it checks signature, root and inclusion."""
    def check(*proofs):
        return subprocess.run([str(TESTS / "verify" / "run.sh"), "--check", str(copy), vkey(story), *proofs], capture_output=True,
                              text=True, timeout=400)
    proofs = []
    for index in (0, 3, story.audit("call.intent")[0]["index"]):
        proof = tmp / f"{index}.tlog-proof"
        assert run("audit", "prove", index, "--data-dir", copy, "--out", proof).returncode == 0
        proofs.append(f"{index}:{proof}")
    done = check(*proofs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert check(f"1:{tmp / '0.tlog-proof'}").returncode == 1, "a proof was taken for another entry's"
    # the bundle that the checkpoint covers is the longest one; older partial ones may lie beside it
    target = max((f for f in log_files(copy) if "entries" in f.parts), key=lambda f: f.stat().st_size)
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(bytes(data))
    assert check().returncode == 1


# -- replay --------------------------------------------------------------------------------------
def test_replay(story):
    session = story.audit("call.intent", resource="card_text")[-1]["session"]
    other = next(e for e in story.audit("call.intent", resource="echo") if "canary-in-arguments" in json.dumps(e))["session"]
    text = story.run("replay", session, "--data-dir", story.data_dir)
    assert text.returncode == 0
    for word in ("tess@example.com", "card_text", pans.masked_last4(pans.pan("text"))):
        assert word in text.stdout, word
    assert "canary-in-arguments" in story.run("replay", other, "--data-dir", story.data_dir).stdout
    assert pans.shown_in(text.stdout) == []
    lines = [json.loads(line) for line in story.run("replay", session, "--data-dir", story.data_dir, "--format", "jsonl").stdout.splitlines()]
    assert len(lines) >= 4 and pans.shown_in(json.dumps(lines)) == []
    assert story.run("replay", session, "--data-dir", story.data_dir, "--format", "jsonl").stdout == \
        story.run("replay", session, "--data-dir", story.data_dir, "--format", "jsonl").stdout
    assert story.run("replay", "s_0000000000000000", "--data-dir", story.data_dir).returncode == 1
    assert story.run("replay", session, "--data-dir", story.data_dir, "--format", "cinema").returncode == 2


@pytest.mark.parametrize("durability", ["group", "strict"])
def test_durability(start_gateway, tmp, oidc, upstream, durability):
    def changes(config):
        config["evidence"]["durability"] = durability
    gateway = start_gateway(tmp, oidc, [http_connection("up", upstream.url)], changes=changes)
    for i in range(20):
        assert gateway.client("up").call("echo", {"message": str(i)}).status == 200
        if durability == "strict":
            # a signed checkpoint with every commit: what was answered is covered at once
            assert gateway.log_size() >= 2 * (i + 1)
    time.sleep(0.3)  # group: at least one every 100 ms
    assert gateway.log_size() >= 40
    gateway.stop()
    assert gateway.verify().returncode == 0
