"""kill -9 under load: no acknowledged call without its entries, and the log always verifies.

A short run here; SALLYPORT_KILLS=1000 for the long one (./dev crash).
"""

import json
import os
import random
import threading
import time

import pytest

from kit.parts import http_connection
from kit.process import eventually

KILLS = int(os.environ.get("SALLYPORT_KILLS", "12"))


class Load:
    """Callers that note which of their calls were answered, until told to stop."""

    def __init__(self, gateway, token, workers=4):
        self.acknowledged = set()
        self.refused = 0
        self._stop = threading.Event()
        self._gateway = gateway
        self._threads = [threading.Thread(target=self._run, args=(n, token), daemon=True) for n in range(workers)]
        for thread in self._threads:
            thread.start()

    def _run(self, worker, token):
        count = 0
        while not self._stop.is_set():
            client = self._gateway.client("up", token=token, timeout=5)
            marker = f"mark-{os.getpid()}-{worker}-{count}"
            count += 1
            try:
                reply = client.call("echo", {"message": marker})
                if reply.status == 200 and reply.text() == f"Echo: {marker}":
                    self.acknowledged.add(marker)
            except (OSError, AssertionError, ValueError, __import__("http").client.HTTPException):
                self.refused += 1
                time.sleep(0.02)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


@pytest.mark.slow
@pytest.mark.timeout(max(300, KILLS * 3))
@pytest.mark.parametrize("durability", ["group", "strict"])
def test_kill_under_load(start_gateway, tmp, oidc, upstream, durability):
    def changes(config):
        config["evidence"]["durability"] = durability
    gateway = start_gateway(tmp, oidc, [http_connection("up", upstream.url)], changes=changes)
    token = oidc.token("tester")
    chooser = random.Random(KILLS)
    load = Load(gateway, token)
    kept_size = 0
    try:
        for round in range(KILLS):
            time.sleep(chooser.uniform(0.05, 0.6))
            gateway.process.kill_hard()
            done = gateway.verify()
            assert done.returncode == 0, f"after kill {round}: {done.stdout}{done.stderr}"
            size = gateway.log_size()
            assert size >= kept_size, "the published log shrank"
            kept_size = size
            gateway.start()
    finally:
        load.stop()
    assert len(load.acknowledged) > KILLS, "there was no load"
    gateway.stop()
    assert gateway.verify().returncode == 0
    entries = gateway.entries()
    intents = {}
    for entry in entries:
        if entry["event"] == "call.intent" and entry["resource"] == "echo":
            text = json.dumps(entry["request"])
            start = text.index("mark-")
            end = start
            while text[end] not in '"\\':
                end += 1
            intents[text[start:end]] = entry["index"]
    outcomes = {entry["intent"] for entry in entries if entry["event"] == "call.outcome"}
    missing = [m for m in load.acknowledged if m not in intents or intents[m] not in outcomes]
    assert missing == [], f"{len(missing)} of {len(load.acknowledged)} acknowledged calls have no entries"
    # and the other way round: nothing reached the upstream without an intent
    arrived = {c["args"]["message"] for c in upstream.calls("echo") if str(c["args"].get("message", "")).startswith("mark-")}
    assert arrived <= set(intents), "a call went upstream before its intent was in the log"
    assert [e["index"] for e in entries] == list(range(len(entries)))
    assert len([e for e in entries if e["event"] == "log.start"]) == KILLS + 1
    upstream.reset()
