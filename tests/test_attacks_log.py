"""No evidence, no access: a full disk, a read-only log directory, a damaged log at start."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

from kit.parts import Gateway, http_connection
from kit.process import eventually


@pytest.fixture
def gateway(start_gateway, tmp, oidc, upstream):
    """A gateway that has served one call and is stopped, its log whole."""
    part = start_gateway(tmp, oidc, [http_connection("up", upstream.url)])
    for i in range(5):
        assert part.client("up").call("echo", {"message": f"before {i}"}).status == 200
    return part


@pytest.fixture
def small_disk(tmp):
    """A file system of 3 MiB of its own, for a data directory."""
    mount = tmp / "disk"
    mount.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mount], check=True)
    yield mount
    keep = tmp / "disk-copy"
    shutil.copytree(mount, keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("filler"))
    subprocess.run(["umount", "-l", mount], check=True)


def test_full_disk_stops_service_and_space_brings_it_back(start_gateway, tmp, oidc, upstream, small_disk):
    def on_small_disk(config):
        config["server"]["data_dir"] = str(small_disk / "data")
    gateway = start_gateway(tmp, oidc, [http_connection("up", upstream.url)], changes=on_small_disk)
    gateway.data_dir = small_disk / "data"
    client = gateway.client("up")
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    filler = small_disk / "filler"
    with open(filler, "wb", buffering=0) as out:  # a buffer would be written once more when it is closed
        try:
            while True:
                out.write(b"\0" * 65536)
        except OSError:
            pass
    refused = None
    for i in range(3000):  # what is preallocated is used up first
        before = len(upstream.calls("echo"))
        reply = client.call("echo", {"message": f"fill {i}"})
        if "error" in reply.answer or reply.result.get("isError"):
            refused = reply
            break
    assert refused is not None, "service went on without a log"
    assert refused.answer["error"]["code"] == -32603 or refused.status >= 500
    for _ in range(5):
        calls = len(upstream.calls("echo"))
        reply = client.call("echo", {"message": "must not arrive"})
        assert "error" in reply.answer
        assert len(upstream.calls("echo")) == calls, "a call went upstream that is not in the log"
    assert gateway.alive() and gateway.ops("/livez")[0] == 200
    assert gateway.ops("/readyz")[0] == 503
    filler.unlink()
    if not eventually(lambda: gateway.ops("/readyz")[0] == 200, 5):
        gateway.stop()  # "service stops": a restart is what brings it back
        gateway.start()
    assert gateway.client("up").call("echo", {"message": "again"}).text() == "Echo: again"
    assert gateway.verify().returncode == 0


def test_read_only_log_directory_at_start(gateway, tmp):
    gateway.stop()
    log = gateway.data_dir / "log"
    # root ignores permission bits: a read-only mount over the directory is what really refuses
    subprocess.run(["mount", "--bind", log, log], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", log], check=True)
        process = gateway.launch()
        assert eventually(lambda: not process.alive() or gateway.ops("/readyz")[0] == 503, 10)
        if process.alive():
            reply = gateway.client("up").call("echo", {"message": "x"})
            assert reply.status >= 500 or "error" in reply.answer
        else:
            assert process.popen.returncode in (1, 78)
            assert re.search(r"read-only|log|permission", process.err, re.I), process.err
    finally:
        gateway.process.stop()
        subprocess.run(["umount", "-l", log], check=True)
    gateway.start()
    assert gateway.verify().returncode == 0


def test_log_directory_becomes_read_only_while_serving(gateway, upstream):
    log = gateway.data_dir / "log"
    subprocess.run(["mount", "--bind", log, log], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", log], check=True)
        # Open files of the old mount stay writable, so calls may go on for a while. The one in progress when the
        # ledger fails may have gone upstream on its recorded intent (its result is withheld); no later one may.
        failed = False
        for _ in range(20):
            calls = len(upstream.calls("echo"))
            reply = gateway.client("up").call("echo", {"message": "x"})
            if failed:
                assert "error" in reply.answer
                assert len(upstream.calls("echo")) == calls
            failed = failed or "error" in reply.answer
    finally:
        subprocess.run(["umount", "-l", log], check=True)
    assert gateway.alive()
    gateway.stop()
    assert gateway.verify().returncode == 0


def newest_files(directory: pathlib.Path) -> list[pathlib.Path]:
    return sorted((p for p in directory.rglob("*") if p.is_file() and p.stat().st_size), key=lambda p: p.stat().st_mtime, reverse=True)


@pytest.mark.parametrize("damage", ["bit flipped", "zeroed", "cut", "garbage after", "half a frame after"])
def test_torn_tail_at_start(gateway, damage):
    """What a power cut leaves of the write-ahead log: mended, said, and what was published is never lost."""
    eventually(lambda: gateway.log_size() >= 10)
    gateway.process.kill_hard()
    size = gateway.log_size()
    target = sorted((gateway.data_dir / "wal").glob("*.wal"))[-1]
    data = target.read_bytes()
    used = len(data.rstrip(b"\0"))  # the files are filled with zeros beforehand
    assert used > 100
    if damage == "bit flipped":
        changed = data[:used - 1] + bytes([data[used - 1] ^ 4]) + data[used:]
    elif damage == "zeroed":
        changed = data[:used - 20] + bytes(len(data) - used + 20)
    elif damage == "cut":
        changed = data[:used - 7]
    elif damage == "garbage after":
        changed = data[:used] + os.urandom(500) + data[used + 500:]
    else:
        changed = data[:used] + data[:60] + data[used + 60:]
    target.write_bytes(changed)
    process = gateway.launch()
    assert eventually(lambda: not process.alive() or gateway.ops("/readyz")[0] == 200, 15)
    if process.alive():
        assert gateway.client("up").call("echo", {"message": "after"}).text() == "Echo: after"
        assert gateway.log_size() >= size
        gateway.stop()
        done = gateway.verify()
        assert done.returncode == 0, done.stdout + done.stderr
    else:
        assert process.popen.returncode in (1, 3, 78) and process.err.strip(), "it ended without a word"


@pytest.mark.parametrize("what", ["checkpoint", "entries", "tile"])
def test_damaged_committed_part_at_start(gateway, what):
    """A change in what was already published is not mended: the gateway refuses to go on with it."""
    gateway.stop()
    log = gateway.data_dir / "log"
    if what == "checkpoint":
        target = log / "checkpoint"
    elif what == "entries":
        target = newest_files(log / "tile" / "entries")[0]
    else:
        target = newest_files(log / "tile" / "0")[0]
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(bytes(data))
    assert gateway.verify().returncode == 3
    process = gateway.launch()
    assert eventually(lambda: not process.alive() or gateway.ops("/readyz")[0] == 200, 15)
    if process.alive():  # it may rebuild a tile from its journal: then all is whole again
        gateway.stop()
        assert gateway.verify().returncode == 0, f"{what}: went on with a damaged log"
    else:
        assert process.popen.returncode in (1, 3, 78) and process.err.strip()


def test_missing_log_with_state_left_is_not_a_fresh_start(gateway):
    """Deleting the log while its key and other state stay is noticed, or at least starts a log that says so."""
    gateway.stop()
    shutil.rmtree(gateway.data_dir / "log")
    process = gateway.launch()
    assert eventually(lambda: not process.alive() or gateway.ops("/readyz")[0] == 200, 15)
    if process.alive():
        assert gateway.audit("log.init"), "a new log without its first entry"
    else:
        assert process.err.strip()


def test_two_gateways_never_write_one_log(gateway, tmp, start_gateway, oidc, upstream):
    def same(config):
        config["server"]["data_dir"] = str(gateway.data_dir)
    second = start_gateway(tmp / "second", oidc, [http_connection("up", upstream.url)], changes=same, start=False)
    process = second.launch()
    assert eventually(lambda: not process.alive(), 10), "a second process opened the same log"
    assert process.popen.returncode != 0 and process.err.strip()
    assert gateway.client("up").call("echo", {"message": "x"}).text() == "Echo: x"
