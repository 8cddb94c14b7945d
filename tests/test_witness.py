"""Witnesses of the log: cosigned heads, a quorum that is missing, a log that is rolled back, witnesses that lie."""

import contextlib
import http.server
import shutil
import threading
import time

import pytest

from kit import c2sp
from kit.parts import ALLOW_TESTERS, http_connection, run
from kit.paths import sallyport
from kit.process import Process, eventually, free_port


class Witness:
    """`sallyport witness`, following the log of one gateway."""

    def __init__(self, directory, name: str, log: str, port: int | None = None):
        self.directory, self.name, self.log = directory, name, log
        self.port = port or free_port()
        self.process: Process | None = None
        self.key = ""
        self.start()

    def start(self):
        self.process = Process(self.name, [sallyport(), "witness", "--name", f"{self.name}.example/w", "--state", self.directory / self.name,
                                           "--log", self.log, "--listen", f"127.0.0.1:{self.port}", "--json"], self.directory)
        self.key = self.process.wait_json()["key"]

    def stop(self):
        self.process.stop()

    def peer(self, **more) -> dict:
        return {"name": self.key.split("+")[0], "url": f"http://127.0.0.1:{self.port}", "key": self.key, **more}


@pytest.fixture
def witnessed(tmp, oidc, upstream, start_gateway):
    """A gateway with three witnesses; `options` goes into evidence.witnessing."""
    witnesses = []

    def make(**options):
        gateway = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], [ALLOW_TESTERS])
        gateway.stop()
        log = (gateway.data_dir / "log" / "vkey").read_text().strip()
        witnesses.extend(Witness(tmp, f"w{i}", log) for i in range(3))
        gateway.config["evidence"] |= {
            "witnesses": [w.peer() for w in witnesses],
            "witnessing": {"quorum": 2, "interval": "100ms", "within": "1s", **options}}
        gateway.write_config()
        gateway.start()
        return gateway, witnesses

    yield make
    for witness in witnesses:
        witness.stop()


def cosigned(gateway) -> bytes:
    file = gateway.data_dir / "log" / "checkpoint.cosigned"
    return file.read_bytes() if file.exists() else b""


def log_key(gateway) -> str:
    return (gateway.data_dir / "log" / "vkey").read_text().strip()


def covers_all(gateway) -> bool:
    return bool(cosigned(gateway)) and c2sp.head(cosigned(gateway))[1] == int(gateway.metric("sallyport_ledger_entries"))


def test_heads_are_cosigned_and_proven(witnessed, tmp):
    gateway, witnesses = witnessed()
    client = gateway.client("up")
    for _ in range(5):
        assert works(client)
    assert eventually(lambda: covers_all(gateway), 10), gateway.process.err[-2000:]
    # By tools that are not ours: at least two of three cosigned, within the last minute.
    note = cosigned(gateway)
    assert c2sp.signed(note, log_key(gateway))
    times = [t for w in witnesses if (t := c2sp.cosigned(note, w.key))]
    assert len(times) >= 2 and all(abs(t - time.time()) < 60 for t in times)
    # At rest the checkpoint itself has them.
    assert eventually(lambda: sum(c2sp.cosigned((gateway.data_dir / "log" / "checkpoint").read_bytes(), w.key) is not None
                                  for w in witnesses) >= 2, 10)
    # An entry's proof ends with the cosigned head.
    entry = gateway.audit("call.outcome")[-1]
    proof = run("audit", "prove", entry["index"], "--data-dir", gateway.data_dir, check=True).stdout
    proven = proof[proof.index("\n\n") + 2:].encode()
    assert sum(c2sp.cosigned(proven, w.key) is not None for w in witnesses) >= 2
    # The policy that the gateway wrote is what `audit verify` holds it against.
    policy = gateway.data_dir / "witness" / "policy"
    done = run("audit", "verify", gateway.data_dir, "--policy", policy)
    assert done.returncode == 0 and "w0.example/w at 20" in done.stdout, done.stdout
    # The end of a gateway is witnessed too.
    gateway.stop()
    assert c2sp.head(cosigned(gateway))[1] == gateway.log_size()
    done = run("audit", "verify", gateway.data_dir, "--policy", policy, "--json")
    assert done.returncode == 0 and '"quorum":true' in done.stdout


def test_a_policy_of_somebody_else_is_not_met(witnessed, tmp):
    gateway, witnesses = witnessed()
    assert eventually(lambda: covers_all(gateway), 10)
    stranger = Witness(tmp, "stranger", log_key(gateway))
    stranger.stop()
    policy = tmp / "policy"
    policy.write_text(f"log {log_key(gateway)}\nwitness a {witnesses[0].key}\nwitness x {stranger.key}\ngroup both all a x\nquorum both\n")
    done = run("audit", "verify", gateway.data_dir, "--policy", policy)
    assert done.returncode == 3 and "not cosigned by a quorum" in done.stdout, done.stdout
    # Another log's policy is not this log's.
    policy.write_text(f"log {witnesses[0].key.replace('w0', 'other')}\nquorum none\n")
    done = run("audit", "verify", gateway.data_dir, "--policy", policy)
    assert done.returncode == 2 and "line 1" in done.stderr


def test_a_missing_quorum_is_an_alarm(witnessed):
    gateway, witnesses = witnessed()
    assert eventually(lambda: covers_all(gateway), 10)
    for witness in witnesses[:2]:
        witness.stop()
    failed = gateway.recorded(event="control.failed", timeout=15)[0]
    assert failed["resource"] == "witnesses" and "no quorum" in failed["detail"]
    assert "FAIL witnesses" in gateway.ops("/readyz?verbose")[1]
    assert gateway.ops("/readyz")[0] == 200
    assert works(gateway.client("up"))  # an alarm, not a refusal
    witnesses[0].start()
    restored = gateway.recorded(event="control.restored", timeout=15)[0]
    assert restored["resource"] == "witnesses" and restored["count"] >= 1


def test_without_a_quorum_nothing_is_admitted(witnessed):
    gateway, witnesses = witnessed(unmet="refuse")
    client = gateway.client("up")
    assert eventually(lambda: works(client), 10, step=0.2)
    for witness in witnesses:
        witness.stop()
    assert eventually(lambda: gateway.ops("/readyz")[0] == 503, 15, step=0.2)
    assert eventually(lambda: b"ledger-unavailable" in client.call("echo").body, 5, step=0.2)
    denied = gateway.audit("call.denied")[-1]
    assert denied["reason"] == "ledger-unavailable"
    for witness in witnesses[1:]:
        witness.start()
    assert eventually(lambda: works(client), 15, step=0.2)


def test_a_log_that_is_rolled_back_is_found(witnessed, tmp):
    """The attacker has the machine and the signing key, and puts an older state back; not the witnesses."""
    gateway, witnesses = witnessed(unmet="refuse")
    assert eventually(lambda: covers_all(gateway), 10)
    gateway.stop()
    backup = tmp / "backup"
    shutil.copytree(gateway.data_dir, backup)
    gateway.start()
    client = gateway.client("up")
    assert eventually(lambda: works(client), 10, step=0.2)
    assert eventually(lambda: covers_all(gateway), 10)
    gateway.stop()
    remembered = tmp / "head.txt"
    remembered.write_bytes(cosigned(gateway))
    shutil.rmtree(gateway.data_dir)
    shutil.copytree(backup, gateway.data_dir)
    # In itself the older state is sound; with a head that a witness has, it is not.
    assert run("audit", "verify", gateway.data_dir).returncode == 0
    done = run("audit", "verify", gateway.data_dir, "--checkpoint", remembered)
    assert done.returncode == 3 and "rollback" in done.stdout
    # And going on with it is refused from the first second.
    gateway.launch()
    assert eventually(lambda: "witness.diverged" in gateway.process.err, 15), gateway.process.err[-2000:]
    assert eventually(lambda: gateway.ops("/readyz")[0] == 503, 5)
    assert not works(gateway.client("up"))
    proof = next((gateway.data_dir / "witness").glob("diverged-*.txt")).read_bytes()
    assert c2sp.signed(proof, log_key(gateway)) and c2sp.head(proof)[1] == c2sp.head(remembered.read_bytes())[1]
    # A witness has never signed two histories.
    heads = [(w.directory / w.name) for w in witnesses]
    for state in heads:
        note = next(f for f in state.iterdir() if len(f.name) == 64).read_bytes()
        assert c2sp.head(note)[1] == c2sp.head(remembered.read_bytes())[1]


def test_what_witnesses_saw_must_be_there_at_start(witnessed, tmp):
    gateway, _ = witnessed()
    assert eventually(lambda: covers_all(gateway), 10)
    gateway.stop()
    backup = tmp / "backup"
    shutil.copytree(gateway.data_dir, backup)
    gateway.start()
    gateway.client("up").call("echo")
    gateway.stop()
    newest = cosigned(gateway)
    shutil.rmtree(gateway.data_dir)
    shutil.copytree(backup, gateway.data_dir)
    (gateway.data_dir / "log" / "checkpoint.cosigned").write_bytes(newest)
    process = gateway.launch()
    assert process.wait() == 1
    assert "witnesses have seen" in process.err and "rolled back" in process.err


def works(client, tool: str = "echo") -> bool:
    """Whether a call reaches the upstream."""
    reply = client.call(tool)
    return any("result" in m and not m["result"].get("isError") for m in reply.messages)


class Liar:
    """A witness double that answers whatever it was told to."""

    def __init__(self):
        self.status, self.body, self.wait, self.asked = 500, b"", 0.0, 0
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                liar.asked += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer()

            def do_GET(self):
                self.answer()

            def answer(self):
                time.sleep(liar.wait)
                self.send_response(liar.status)
                self.send_header("Content-Length", str(len(liar.body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(liar.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_a_witness_that_lies_changes_nothing(witnessed):
    """One of three, and the quorum is two: service goes on, nothing false is kept, and it is said."""
    gateway, witnesses = witnessed(unmet="refuse")
    assert eventually(lambda: covers_all(gateway), 10)
    witnesses[2].stop()
    liar = Liar()
    gateway.stop()
    gateway.config["evidence"]["witnesses"][2]["url"] = f"http://127.0.0.1:{liar.server.server_port}"
    gateway.write_config()
    gateway.start()
    client = gateway.client("up")
    assert eventually(lambda: works(client), 10, step=0.2)
    note = cosigned(gateway)
    anothers = note[note.index("\u2014 w0".encode()):].split(b"\n")[0] + b"\n"
    lies = {"far ahead": (409, b"999999\n", 0), "no continuation": (422, b"no\n", 0), "another's word": (200, anothers, 0),
            "garbage": (200, b"\0\1\2", 0), "huge": (200, b"x" * 10_000_000, 0), "silent": (200, b"", 1.5), "redirect": (302, b"", 0)}
    for what, (liar.status, liar.body, liar.wait) in lies.items():
        before = liar.asked
        assert eventually(lambda: works(client) and liar.asked >= before + 2, 15), what
        assert eventually(lambda: covers_all(gateway), 10), what
        assert c2sp.cosigned(cosigned(gateway), witnesses[2].key) is None, what
        assert gateway.ops("/readyz")[0] == 200, what
    assert "witness.not_cosigned" in gateway.process.err
    assert "witness.diverged" not in gateway.process.err and not list((gateway.data_dir / "witness").glob("diverged-*"))
    liar.server.shutdown()


def test_a_witness_that_dies_forgets_nothing(witnessed):
    """kill -9 while it cosigns: what it said before, it still knows."""
    gateway, witnesses = witnessed()
    client = gateway.client("up")
    for _ in range(5):
        for _ in range(3):
            client.call("echo")
        victim = witnesses[0]
        victim.process.kill_hard()
        seen = max((c2sp.head(f.read_bytes())[1] for f in (victim.directory / victim.name).iterdir() if len(f.name) == 64), default=0)
        shown = cosigned(gateway)
        if c2sp.cosigned(shown, victim.key):
            assert seen >= c2sp.head(shown)[1]
        victim.start()
    assert eventually(lambda: covers_all(gateway), 10)
    assert eventually(lambda: c2sp.cosigned(cosigned(gateway), witnesses[0].key), 10)
