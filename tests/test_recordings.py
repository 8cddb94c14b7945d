"""What callers saw, sealed beside the log: read with the key, proven without it, damaged, destroyed, held, handed over."""

import base64
import contextlib
import json
import os
import shutil
import subprocess

import pytest

from kit.browser import Browser
from kit.parts import Gateway, Oidc, http_connection, run
from kit.pg_drivers import PSQL
from kit.pg_gate import PgGateway, database, rule
from kit.postgres import Postgres
from kit.process import eventually, free_port
from kit.replay_page import file_with, look, rebuilt
from kit.shifted_clock import ShiftedClock

CANARY = "canary-of-the-recordings"


def key_file(directory, name: str = "kek"):
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(base64.b64encode(os.urandom(32)).decode() + "\n")
    path.chmod(0o600)
    return path


def sealed(kek, *previous, **recording):
    def change(config):
        config["evidence"]["encrypt"] = {"kek": {"file": str(kek)}, **({"previous": [{"file": str(p)} for p in previous]} if previous else {})}
        if recording:
            config["recording"] = recording
    return change


@pytest.fixture(scope="module")
def kek(scratch):
    return key_file(scratch)


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, kek):
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], changes=sealed(kek))
    yield part
    part.stop()


def talk(gateway, text: str) -> str:
    """One session that says `text`; its id, once its end is recorded."""
    client = gateway.client("up", "tester", "2025-11-25").start()
    client.call("echo", {"message": text})
    client.close()
    found = eventually(lambda: [e for e in gateway.audit("call.outcome") if e["resource"] == "echo"], 5, step=0.1)
    return found[-1]["session"]


@pytest.fixture(scope="module")
def session(gateway):
    return talk(gateway, CANARY)


def replay(data_dir, session, *options):
    return run("replay", session, "--data-dir", data_dir, "--format", "jsonl", *options)


@contextlib.contextmanager
def no_key_here(kek):
    """As where the data directory was copied to another machine."""
    away = kek.with_suffix(".away")
    kek.rename(away)
    try:
        yield
    finally:
        away.rename(kek)


def outcome(done) -> dict:
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return next(e for e in events if e["event"] == "call.outcome" and e.get("resource") == "echo")


def everything(directory) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file())


def covered(gateway, tmp):
    """A copy of the data directory whose log covers all of it."""
    target = tmp / "copy"

    def still():
        size = gateway.log_size()
        if size != int(gateway.metric("sallyport_ledger_entries")):
            return False
        shutil.rmtree(target, ignore_errors=True)
        try:
            shutil.copytree(gateway.data_dir, target, symlinks=True)
        except shutil.Error:
            return False
        return size == gateway.log_size()
    assert eventually(still, 20, step=0.1)
    return target


def test_the_text_is_nowhere_in_clear(gateway, session, kek):
    """Not the result; the request stands in its entry, as it is short."""
    with no_key_here(kek):
        result = outcome(replay(gateway.data_dir, session))["result"]
    assert result["recording"]["sealed"] is True and "json" not in result and result["complete"] is True
    assert CANARY.encode() not in everything(gateway.data_dir / "recordings")
    opened = outcome(replay(gateway.data_dir, session, "--kek", kek))["result"]
    assert CANARY in json.dumps(opened["json"]) and "sealed" not in opened["recording"]
    assert outcome(replay(gateway.data_dir, session, "--config", gateway.config_path))["result"] == opened
    assert outcome(replay(gateway.data_dir, session))["result"] == opened, "the file that the gateway uses, as we may read it"
    text = run("replay", session, "--data-dir", gateway.data_dir, "--kek", kek).stdout
    assert f'saw      {{"content":[{{"type":"text","text":"Echo: {CANARY}"}}]}}' in text
    with no_key_here(kek):
        assert "[sealed: give --config or --kek]" in run("replay", session, "--data-dir", gateway.data_dir).stdout
    found = run("audit", "search", "--data-dir", gateway.data_dir, "--json", "--event", "call.outcome", "--kek", kek)
    assert CANARY in found.stdout
    exported = run("audit", "export", "--format", "json", "--data-dir", gateway.data_dir, "--kek", kek)
    assert exported.returncode == 0 and f"Echo: {CANARY}" in exported.stdout
    with no_key_here(kek):
        assert f"Echo: {CANARY}" not in run("audit", "export", "--format", "json", "--data-dir", gateway.data_dir).stdout


def test_the_key_is_recorded_and_the_log_verifies(gateway, session, kek, tmp):
    assert len(gateway.audit("key.created")) == 1
    copy = covered(gateway, tmp)
    for options in ([], ["--kek", kek]):
        done = run("audit", "verify", copy, *options)
        assert done.returncode == 0 and "recordings of" in done.stdout, done.stdout


def test_another_key_opens_nothing(gateway, session, scratch):
    other = key_file(scratch, "other")
    done = replay(gateway.data_dir, session, "--kek", other)
    assert done.returncode == 0 and outcome(done)["result"]["recording"]["sealed"] is True


@pytest.mark.parametrize("damage", ["flip", "cut", "gone", "swap", "keys"])
def test_damage_is_found_without_a_key(gateway, session, kek, tmp, damage):
    talk(gateway, "another text")
    copy = covered(gateway, tmp)
    assert run("audit", "verify", copy).returncode == 0
    file = sorted((copy / "recordings").glob("*/*.rec"))[0]
    content = file.read_bytes()
    blob = outcome(replay(copy, session))["result"]["recording"]
    begin, end = blob["offset"], blob["offset"] + blob["length"]
    if damage == "flip":
        file.write_bytes(content[:begin + 20] + bytes([content[begin + 20] ^ 1]) + content[begin + 21:])
    elif damage == "cut":
        file.write_bytes(content[:end - 1])
    elif damage == "gone":
        file.unlink()
    elif damage == "swap":
        file.write_bytes(content[end:] + content[:end] if begin == 0 else content[begin:] + content[:begin])
    else:
        keys = file.parent / "sessions.keys"
        keys.write_bytes(bytes(len(keys.read_bytes())))
    done = run("audit", "verify", copy)
    assert done.returncode == 3 and "PROBLEM recordings/" in done.stdout, done.stdout
    shown = replay(copy, session, "--kek", kek)
    assert shown.returncode == 3 and outcome(shown)["result"]["recording"]["damaged"], shown.stdout


def test_a_wrong_key_is_refused_at_the_start(gateway, session, oidc, upstream, scratch, tmp):
    copy = covered(gateway, tmp)
    other = Gateway(tmp / "other", oidc, [http_connection("up", upstream.url)], changes=sealed(key_file(tmp)), start=False)
    shutil.copytree(copy, other.data_dir)
    process = other.launch()
    assert process.wait(15) != 0
    assert "recording-unavailable" in process.err and "evidence.encrypt.kek is not the key" in process.err


def test_the_page_opens_it_itself(gateway, session, kek, scratch, tmp):
    """In Chromium; and who changes a recording, leaves its last chunk away, or brings another key, is found, whatever digests fit."""
    def page(*options):
        return eventually(lambda: (d := run("replay", session, "--data-dir", gateway.data_dir, "--format", "html", *options)).returncode == 0 and d, 10).stdout
    original = page("--kek", kek)
    browser = Browser(scratch)
    viewer = browser.person("assessor")
    try:
        kind, words = look(viewer, file_with(tmp / "page.html", original.encode()))
        assert kind == "good", words
        assert CANARY in viewer.text(selector="#shell") and CANARY not in original.split('"recordings"')[1]
        with no_key_here(kek):
            without = page()
        kind, words = look(viewer, file_with(tmp / "without.html", without.encode()))
        assert kind == "good" and "sealed: no key was at hand" in viewer.text(selector="#shell")

        def flipped(evidence, member, at):
            for recording in evidence["recordings"].values():
                content = bytearray(base64.b64decode(recording[member]))
                content[at] ^= 1
                recording[member] = base64.b64encode(content).decode()
            return evidence
        for member, at in (("bytes", 30), ("bytes", 3), ("bytes", -1), ("key", 0)):
            kind, words = look(viewer, file_with(tmp / "forged.html", rebuilt(original, lambda e: flipped(e, member, at)).encode()))
            assert kind != "good" and "recording" in words, (member, at, words)
    finally:
        browser.stop()


def test_a_large_result_is_whole(gateway, kek):
    """Beyond what an entry can hold, and in more than one chunk."""
    message = "x" * 200_000
    client = gateway.client("up", "tester", "2025-11-25").start()
    client.call("echo", {"message": message})
    client.close()
    assert eventually(lambda: any(e.get("result", {}).get("recording", {}).get("chunks", 0) > 3 for e in gateway.audit("call.outcome")), 5, step=0.1)
    entry = next(e for e in gateway.audit("call.outcome") if e.get("result", {}).get("recording", {}).get("chunks", 0) > 3)
    found = run("audit", "search", "--data-dir", gateway.data_dir, "--json", "--session", entry["session"], "--event", "call.outcome", "--kek", kek)
    result = json.loads(found.stdout.splitlines()[-1])["result"]
    assert result["complete"] is True and message in json.dumps(result["json"])


def test_a_full_disk_stops_service(oidc, upstream, scratch, tmp, kek):
    """Nothing is released that could not be recorded, and nothing is begun after it."""
    disk = tmp / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        part = Gateway(tmp / "gate", oidc, [http_connection("up", upstream.url)], changes=sealed(kek), start=False)
        part.data_dir.mkdir(parents=True)
        (part.data_dir / "recordings").symlink_to(disk)
        part.start()
        client = part.client("up", "tester", "2025-11-25").start()
        client.call("echo", {"message": "fits"})
        seen = client.call("echo", {"message": "y" * 100_000})
        assert "yyyy" not in json.dumps(seen.__dict__, default=str)
        assert eventually(lambda: part.ops("/readyz?verbose")[0] == 503 and "recordings" in part.ops("/readyz?verbose")[1], 5)
        calls = len(upstream.calls("echo"))
        refused = client.call("echo", {"message": "z"})
        assert "recording-unavailable" in json.dumps(refused.__dict__, default=str)
        assert len(upstream.calls("echo")) == calls
        part.stop()
    finally:
        subprocess.run(["umount", "-l", disk])


# -- Held, destroyed, handed over --------------------------------------------------------------------


def recordings(gateway, *argv):
    return gateway.run("recordings", *argv, "--config", gateway.config_path)


def test_a_session_is_shredded_and_its_proofs_hold(gateway, kek, tmp):
    mine, other = talk(gateway, "to be forgotten"), talk(gateway, "to stay")
    entry = [e for e in gateway.audit("call.outcome", resource="echo") if e["session"] == mine][0]
    before = eventually(lambda: (d := run("audit", "prove", str(entry["index"]), "--data-dir", gateway.data_dir)).returncode == 0 and d, 10).stdout
    done = recordings(gateway, "shred", mine, "--reason", "erasure request of card 4111 1111 1111 1111")
    assert done.returncode == 0 and "destroyed 1 key of " + mine in done.stdout, done.stderr
    (entry_of_it,) = [e for e in gateway.audit("key.destroyed") if e["access"].get("session") == mine]
    assert entry_of_it["count"] == 1 and "uid" in entry_of_it["access"]["by"]
    assert "erasure request" in entry_of_it["access"]["why"] and "4111 1111" not in json.dumps(entry_of_it)
    shown = replay(gateway.data_dir, mine, "--kek", kek)
    assert shown.returncode == 0 and outcome(shown)["result"]["recording"]["destroyed"] is True
    assert "[its key was destroyed]" in run("replay", mine, "--data-dir", gateway.data_dir, "--kek", kek).stdout
    assert "to stay" in replay(gateway.data_dir, other, "--kek", kek).stdout
    copy = covered(gateway, tmp)
    assert run("audit", "verify", copy, "--kek", kek).returncode == 0
    after = run("audit", "prove", str(entry["index"]), "--data-dir", gateway.data_dir).stdout
    assert before.splitlines()[1:2] == after.splitlines()[1:2] and after
    assert recordings(gateway, "shred", mine, "--reason", "again").returncode == 1
    for name in ("../../etc", "s_/../../../x", "", "2026-02-30", "s_" + "x" * 40):
        assert recordings(gateway, "hold", name, "--reason", "x").returncode != 0, name
    assert not list((gateway.data_dir / "recordings").glob("holds/*"))


def test_a_key_that_is_gone_without_an_entry_is_a_problem(gateway, kek, tmp):
    """What the log does not say was destroyed must be there: also where the record looks like a destroyed one."""
    mine = talk(gateway, "quietly")
    copy = covered(gateway, tmp)
    file = sorted((copy / "recordings").glob("*/sessions.keys"))[0]
    content = bytearray(file.read_bytes())
    at = content.index(mine.encode()) - 28
    content[at + 4] = 2
    content[at + 60:at + 140] = bytes(80)
    file.write_bytes(content)
    done = run("audit", "verify", copy)
    assert done.returncode == 3 and "no entry says that it was destroyed" in done.stdout, done.stdout
    assert replay(copy, mine, "--kek", kek).returncode == 3


def test_what_is_held_is_not_destroyed(gateway, kek):
    mine = talk(gateway, "evidence in a case")
    assert recordings(gateway, "hold", mine, "--reason", "case 2026-4").returncode == 0
    refused = recordings(gateway, "shred", mine, "--reason", "by mistake")
    assert refused.returncode == 3 and "is held" in refused.stderr
    days = [json.loads(line) for line in recordings(gateway, "list", "--json").stdout.splitlines()]
    assert len(days) == 1 and days[0]["held"] == [mine] and days[0]["sessions"] > 0
    assert recordings(gateway, "shred", days[0]["day"], "--reason", "today").returncode == 3
    assert recordings(gateway, "release", mine, "--reason", "case closed").returncode == 0
    assert [e["resource"] for e in gateway.audit("recording.held")] == [mine]
    assert [e["resource"] for e in gateway.audit("recording.released")] == [mine]
    assert recordings(gateway, "release", mine, "--reason", "twice").returncode == 1
    assert recordings(gateway, "shred", mine, "--reason", "now").returncode == 0


def test_a_session_for_an_assessor(gateway, tmp):
    mine = talk(gateway, "for the assessor")
    identity = tmp / "key.txt"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    to = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout.strip()
    out = tmp / "session.age"
    done = recordings(gateway, "export", mine, "--to", to, "--out", out)
    assert done.returncode == 0, done.stderr
    assert b"for the assessor" not in out.read_bytes() and out.stat().st_mode & 0o77 == 0
    opened = subprocess.run(["age", "-d", "-i", identity, out], check=True, capture_output=True, text=True)
    assert "for the assessor" in outcome(opened)["result"]["json"]["content"][0]["text"]
    exported = gateway.audit("recording.exported", resource=mine)
    assert len(exported) == 1 and to in exported[0]["access"]["why"]
    assert recordings(gateway, "export", mine, "--to", to[:-1] + ("q" if to[-1] != "q" else "p"), "--out", tmp / "no").returncode == 2
    assert not (tmp / "no").exists()


def test_without_a_gateway_orders_wait_and_nothing_is_exported(oidc, upstream, tmp, kek):
    part = Gateway(tmp / "gate", oidc, [http_connection("up", upstream.url)], changes=sealed(kek))
    mine = talk(part, "before the stop")
    part.stop()
    waits = recordings(part, "shred", mine, "--reason", "later")
    assert waits.returncode == 3 and "by the next one that starts" in waits.stderr
    subprocess.run(["age-keygen", "-o", tmp / "key.txt"], check=True, capture_output=True)
    to = subprocess.run(["age-keygen", "-y", tmp / "key.txt"], check=True, capture_output=True, text=True).stdout.strip()
    assert recordings(part, "export", mine, "--to", to, "--out", tmp / "out.age").returncode == 3
    assert not (tmp / "out.age").exists()
    part.start()
    assert eventually(lambda: part.audit("key.destroyed"), 5, step=0.1)
    assert not part.audit("recording.exported")
    part.stop()


def test_another_key_wraps_at_the_next_start(oidc, upstream, tmp, kek):
    new = key_file(tmp, "new")
    part = Gateway(tmp / "gate", oidc, [http_connection("up", upstream.url)], changes=sealed(kek))
    mine = talk(part, "under the old key")
    part.stop()
    sealed(new, kek)(part.config)
    part.write_config()
    part.start()
    rotated = part.audit("key.rotated")
    assert len(rotated) == 1 and rotated[0]["count"] == 1
    assert "under the old key" in replay(part.data_dir, mine, "--kek", new).stdout
    assert outcome(replay(part.data_dir, mine, "--kek", kek))["result"]["recording"]["sealed"] is True
    part.stop()
    sealed(new)(part.config)  # the old one can go
    part.write_config()
    part.start()
    assert len(part.audit("key.rotated")) == 1
    part.stop()


def test_what_is_too_old_is_destroyed_unless_it_is_held(oidc, upstream, tmp, kek):
    """After 100 days it lies in the archive; after 400 nothing of it opens, and every proof holds."""
    clock = ShiftedClock(tmp / "clock")
    part = Gateway(tmp / "gate", oidc, [http_connection("up", upstream.url)], changes=sealed(kek, archive=str(tmp / "cold")), env=clock.env)
    mine = talk(part, "a year ago")
    day = outcome(replay(part.data_dir, mine))["result"]["recording"]["file"].split("/")[0]
    assert recordings(part, "hold", mine, "--reason", "case").returncode == 0
    head = eventually(lambda: covered(part, tmp), 10) and (part.data_dir / "log" / "checkpoint").read_text()
    part.stop()
    clock.step(100 * 86400)
    part.start()
    assert eventually(lambda: (part.data_dir / "recordings" / day).is_symlink(), 5)
    assert "a year ago" in replay(part.data_dir, mine, "--kek", kek).stdout
    part.stop()
    clock.step(400 * 86400)
    part.start()
    assert not part.audit("key.destroyed") and "a year ago" in replay(part.data_dir, mine, "--kek", kek).stdout
    assert recordings(part, "release", mine, "--reason", "closed").returncode == 0
    part.stop()
    part.start()
    destroyed = eventually(lambda: part.audit("key.destroyed"), 5, step=0.1)
    assert destroyed[0]["resource"] == day and "retention" in destroyed[0]["detail"] and destroyed[0]["count"] == 1
    assert eventually(lambda: not (part.data_dir / "recordings" / day).exists(), 5)
    assert not (tmp / "cold" / day).exists()
    shown = replay(part.data_dir, mine, "--kek", kek)
    assert shown.returncode == 0 and outcome(shown)["result"]["recording"]["destroyed"] is True
    part.stop()
    older = tmp / "older"
    older.write_text(head)
    done = run("audit", "verify", part.data_dir, "--checkpoint", older)
    assert done.returncode == 0, done.stdout

# -- PostgreSQL --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(scratch, upstream, kek):
    server = Postgres(scram=True)
    server.sql("CREATE ROLE maker LOGIN PASSWORD 'recordings-password'; CREATE DATABASE shop OWNER maker;\n\\c shop\nSET ROLE maker;\n"
               "CREATE TABLE items(id int PRIMARY KEY, card text, note text);\n"
               "INSERT INTO items SELECT g, '4111111111111111', repeat('n', 600) || g FROM generate_series(1, 2000) g;")
    issuer = Oidc(scratch / "pg", f"http://127.0.0.1:{free_port()}")
    part = PgGateway(scratch / "pg-gate", issuer, [database("shop", server, "shop", "maker")],
                     [rule("read", "shop", statements=["SELECT", "SET", "SHOW", "COPY"])], "recordings-password",
                     [{"connection": "shop", "column": "public.items.card", "detector": "pan"}], changes=sealed(kek, max_bytes="512KiB"))
    yield part
    part.stop()
    issuer.stop()
    server.stop()


def select(shop, sql: str) -> str:
    done = subprocess.run([PSQL, f"host=127.0.0.1 port={shop.pg_port} dbname=shop user=token sslmode=disable", "-At", "-c", sql],
                          env={**os.environ, "PGPASSWORD": shop.oidc.token("tester")}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def result_of(shop, kek, sql: str) -> dict:
    seen = select(shop, sql)
    wanted = json.dumps(sql)

    def find():
        lines = shop.run("audit", "search", "--data-dir", shop.data_dir, "--json", "--kek", kek).stdout.splitlines()
        events = [json.loads(line) for line in lines]
        asked = [e["index"] for e in events if e["event"] == "call.intent" and wanted in json.dumps(e.get("request", {}).get("json", {}))]
        return [e for e in events if e["event"] == "call.outcome" and e.get("intent") in asked]
    found = eventually(find, 10, step=0.2)
    assert found
    return {**found[-1]["result"], "seen": seen}


def test_rows_are_whole_with_their_long_cells(shop, kek):
    result = result_of(shop, kek, "SELECT id, card, note FROM items WHERE id <= 300 ORDER BY id")
    assert result["complete"] is True and result["rows"] == 300 and "rows_missing" not in result
    assert [row[0] for row in result["json"]["data"]] == [str(i) for i in range(1, 301)]
    assert result["json"]["data"][299] == ["300", "************1111", "n" * 600 + "300"]
    assert result["recording"]["chunks"] > 2 and "4111111111111111" not in json.dumps(result)


def test_what_is_beyond_the_limit_is_counted(shop, kek):
    result = result_of(shop, kek, "SELECT id, card, note FROM items ORDER BY id")
    assert result["complete"] is False and result["rows"] == 2000
    kept = len(result["json"]["data"])
    assert 500 < kept < 1000 and result["rows_missing"] == 2000 - kept and result["json"]["cut"] is True
    assert result["seen"].count("\n") == 2000  # the caller had all of them


def test_copied_rows_are_kept_too(shop, kek):
    result = result_of(shop, kek, "COPY (SELECT id, card FROM items WHERE id <= 200 ORDER BY id) TO STDOUT")
    assert result["complete"] is True and result["rows"] == 200 and len(result["json"]["data"]) == 200
    assert CANARY.encode() not in everything(shop.data_dir / "recordings") and b"nnnnnnnn" not in everything(shop.data_dir)
