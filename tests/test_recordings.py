"""What callers saw, sealed beside the log: read with the key, proven without it, damaged, destroyed, held, handed over."""

import base64
import json
import os
import shutil
import subprocess

import pytest

from kit.parts import Gateway, http_connection, run
from kit.process import eventually

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
    result = outcome(replay(gateway.data_dir, session))["result"]
    assert result["recording"]["sealed"] is True and "json" not in result and result["complete"] is True
    assert CANARY.encode() not in everything(gateway.data_dir / "recordings")
    opened = outcome(replay(gateway.data_dir, session, "--kek", kek))["result"]
    assert CANARY in json.dumps(opened["json"]) and "sealed" not in opened["recording"]
    assert outcome(replay(gateway.data_dir, session, "--config", gateway.config_path))["result"] == opened
    text = run("replay", session, "--data-dir", gateway.data_dir, "--kek", kek).stdout
    assert f'saw      {{"content":[{{"type":"text","text":"Echo: {CANARY}"}}]}}' in text
    assert "[sealed: give --config or --kek]" in run("replay", session, "--data-dir", gateway.data_dir).stdout
    found = run("audit", "search", "--data-dir", gateway.data_dir, "--json", "--event", "call.outcome", "--kek", kek)
    assert CANARY in found.stdout


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


def test_the_page_opens_it_itself(gateway, session, kek):
    done = eventually(lambda: (d := run("replay", session, "--data-dir", gateway.data_dir, "--format", "html", "--kek", kek)).returncode == 0 and d, 10)
    evidence = json.loads(done.stdout.split('id="evidence">')[1].split("</script>")[0])
    assert evidence["recordings"]
    for recording in evidence["recordings"].values():
        assert recording["session"] == session and len(base64.b64decode(recording["key"])) == 32


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
