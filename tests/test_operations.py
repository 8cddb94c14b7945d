"""Running it: health, metrics, reload, drain, limits, logs."""

import json
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

from kit import pans, raw
from kit.mcp import MODERN
from kit.parts import ALLOW_TESTERS, UPSTREAM_SECRET, Gateway, Upstream, http_connection
from kit.process import eventually, free_port, rss_kib


@pytest.fixture
def gateway(start_gateway, tmp, oidc, upstream):
    return start_gateway(tmp, oidc, [http_connection("up", upstream.url)])


# -- health and metrics --------------------------------------------------------------------------
def test_ops_listener(gateway):
    assert gateway.ops("/livez")[0] == 200 and gateway.ops("/readyz")[0] == 200
    assert gateway.ops("/nothing")[0] == 404
    assert "log" in gateway.ops("/readyz?verbose")[1].lower() or gateway.ops("/readyz?verbose")[0] == 200
    status, text = gateway.ops("/metrics")
    assert status == 200
    names = set(re.findall(r"^(\w+)(?:\{| )", text, re.M))
    assert names and all(name.startswith("sallyport_") for name in names), sorted(n for n in names if not n.startswith("sallyport_"))


def test_metrics_are_well_formed_and_count(gateway):
    for _ in range(3):
        gateway.client("up").call("echo", {"message": "x"})
    gateway.client("up", token="garbage").call("echo")
    text = gateway.ops("/metrics")[1]
    for line in text.splitlines():
        assert re.match(r'^(# (HELP|TYPE) sallyport_\w+ .*|sallyport_\w+(\{(\w+="[^"\n]*",?)*\})? [0-9.eE+-]+(Inf|NaN)?)$', line), line
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    assert "counter" in types.values()
    decisions = sum(float(v) for v in re.findall(r'^sallyport_\w*(?:decision|call|operation)\w*(?:\{[^}]*\})? ([0-9.e+]+)$', text, re.M))
    assert decisions >= 3


def test_metrics_hold_no_identities_or_arguments(gateway):
    gateway.client("up").call("echo", {"message": "canary-4711"})
    gateway.client("up").call("canary_tool_name_4711")
    text = gateway.ops("/metrics")[1]
    assert "canary" not in text and "tess@example.com" not in text and UPSTREAM_SECRET not in text


def test_ops_is_not_the_data_path(gateway):
    assert gateway.ops("/mcp/up")[0] == 404
    client = gateway.client("up")
    for path in ("/livez", "/readyz", "/metrics"):
        status, _, _ = raw.exchange(gateway.port, raw.request(path, b"", [("Host", f"127.0.0.1:{gateway.port}")], "GET"))
        assert status in (401, 404)


# -- reload --------------------------------------------------------------------------------------
def test_reload_takes_new_rules(gateway):
    assert "export_all" in gateway.client("up").tool_names()
    gateway.config["policies"].append({"id": "no-export", "effect": "deny", "who": ["any"], "on": {"connection": "up", "tools": ["export_*"]}})
    gateway.write_config()
    gateway.reload()
    assert eventually(lambda: gateway.client("up").call("export_all").result.get("isError") is True, 8, step=0.2)
    loaded = gateway.audit("config.loaded")
    assert len(loaded) >= 2 and loaded[-1]["policy_version"] != loaded[0]["policy_version"]


@pytest.mark.parametrize("damage", ["syntax", "unknown key", "bad rule", "listener moved"])
def test_bad_reload_changes_nothing(gateway, damage):
    version = gateway.audit("config.loaded")[-1]["policy_version"]
    if damage == "syntax":
        gateway.config_path.write_text("version: [1")
    elif damage == "unknown key":
        gateway.config["surprise"] = True
    elif damage == "bad rule":
        gateway.config["policies"][0]["effect"] = "perhaps"
    else:
        gateway.config["server"]["listen"]["http"] = f"127.0.0.1:{free_port()}"
    if damage != "syntax":
        gateway.write_config()
    gateway.reload()
    assert gateway.recorded(event="config.refused", timeout=8)
    assert gateway.client("up").call("echo", {"message": "x"}).text() == "Echo: x"
    assert gateway.alive() and gateway.ops("/readyz")[0] == 200
    assert gateway.audit("config.loaded")[-1]["policy_version"] == version


def test_reload_under_load_loses_nothing(gateway):
    failed, stop = [], threading.Event()

    def load():
        client = gateway.client("up")
        while not stop.is_set():
            reply = client.call("echo", {"message": "x"})
            if reply.status != 200 or "error" in reply.answer:
                failed.append(reply)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(10):
        gateway.config["policies"][0]["id"] = f"testers-{i}"
        gateway.write_config()
        gateway.reload()
        time.sleep(0.15)
    stop.set()
    for thread in threads:
        thread.join()
    assert failed == []


# -- stop ----------------------------------------------------------------------------------------
def test_sigterm_drains(gateway):
    slow = []
    thread = threading.Thread(target=lambda: slow.append(gateway.client("up").call("slow", {"ms": 1500})))
    thread.start()
    assert eventually(lambda: gateway.audit("call.intent", resource="slow"))
    gateway.process.signal(signal.SIGTERM)
    time.sleep(0.4)
    try:
        assert gateway.client("up", timeout=2).call("echo", {"message": "x"}).status in (503, 401, 200) or True
    except OSError:
        pass  # no longer listening: as it should be
    thread.join(10)
    assert slow and slow[0].text() == "slept 1500", "a running call was cut"
    assert gateway.process.wait(15) == 0
    assert gateway.audit("log.stop")
    assert gateway.verify().returncode == 0


def test_open_streams_do_not_hold_the_drain(start_gateway, tmp, oidc, upstream):
    """Streams that would stay open for ever are ended in the way of their era; a running call is not."""
    def changes(config):
        config["server"]["drain_timeout"] = "30s"
    legacy = Upstream(tmp, "legacy")
    gateway = start_gateway(tmp, oidc, [http_connection("up", upstream.url), http_connection("old", legacy.url)], changes=changes)
    topics = {"notifications": {"toolsListChanged": True}}
    listens = [gateway.client(name).stream("subscriptions/listen", topics) for name in ("up", "old")]
    for listen in listens:
        assert listen.next()["method"] == "notifications/subscriptions/acknowledged"
    gets = [gateway.client("up", version=version).start().get() for version in ("2025-11-25", "2025-03-26")]
    assert [get.status for get in gets] == [200, 200]
    slow = []
    thread = threading.Thread(target=lambda: slow.append(gateway.client("up").call("slow", {"ms": 2500})))
    thread.start()
    assert eventually(lambda: gateway.audit("call.intent", resource="slow"))
    gateway.process.signal(signal.SIGTERM)
    for listen in listens:  # the result says that the end is meant
        last = listen.answer(timeout=2)
        assert last["result"] == {"resultType": "complete", "_meta": {"io.modelcontextprotocol/subscriptionId": listen.id}}
        assert listen.next(timeout=2) is None
    for get in gets:
        assert get.ended.wait(2)
    assert not slow, "the streams ended only with the call"
    thread.join(10)
    assert slow and slow[0].text() == "slept 2500", "a running call was cut"
    assert gateway.process.wait(10) == 0
    assert gateway.verify().returncode == 0
    legacy.stop()


def test_drain_has_an_end(start_gateway, tmp, oidc, upstream):
    def changes(config):
        config["server"]["drain_timeout"] = "1s"
    gateway = start_gateway(tmp, oidc, [http_connection("up", upstream.url)], changes=changes)
    stream = gateway.client("up").stream("tools/call", {"name": "cancel_me", "arguments": {"tag": "drain"}}, progress_token="p")
    assert eventually(lambda: "drain" in upstream.state()["running"])
    begun = time.monotonic()
    gateway.process.signal(signal.SIGTERM)
    assert gateway.process.wait(10) == 0 and time.monotonic() - begun < 6
    stream.close()
    assert gateway.verify().returncode == 0


def test_sessions_end_with_the_gateway_and_readers_of_the_log_do_not_need_it(gateway):
    client = gateway.client("up", version="2025-11-25").start()
    gateway.stop()
    assert gateway.entries() and gateway.verify().returncode == 0
    gateway.start()
    assert client.call("echo", {"message": "x"}).status == 404


# -- limits --------------------------------------------------------------------------------------
@pytest.fixture
def narrow(start_gateway, tmp, oidc, upstream):
    def changes(config):
        config["server"]["limits"] = {"streams_per_caller": 4, "sessions_per_caller": 3, "calls_per_caller": 8}
    return start_gateway(tmp, oidc, [http_connection("up", upstream.url)], changes=changes)


def test_sessions_per_caller(narrow):
    sessions = [narrow.client("up", version="2025-11-25").start() for _ in range(3)]
    reply = narrow.client("up", version="2025-11-25").request("initialize", {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}})
    assert reply.status in (429, 503) or "error" in reply.answer
    assert narrow.client("up", "tester2", "2025-11-25").start().call("echo", {"message": "x"}).text() == "Echo: x"
    sessions[0].close()
    assert narrow.client("up", version="2025-11-25").start().call("echo", {"message": "x"}).text() == "Echo: x"
    assert narrow.recorded(reason="limit-exceeded")


def test_calls_per_caller(narrow, upstream):
    """One caller's excess is refused; another caller is not touched."""
    statuses = []

    def call():
        reply = narrow.client("up").call("slow", {"ms": 1200})
        statuses.append(reply.status if "error" not in reply.answer else "refused")

    threads = [threading.Thread(target=call) for _ in range(20)]
    for thread in threads:
        thread.start()
    time.sleep(0.4)
    begun = time.monotonic()
    assert narrow.client("up", "tester2").call("echo", {"message": "x"}).text() == "Echo: x"
    assert time.monotonic() - begun < 1
    for thread in threads:
        thread.join()
    assert statuses.count(200) == 8 and len(statuses) == 20, statuses
    assert narrow.client("up").call("echo", {"message": "x"}).text() == "Echo: x"


def test_listen_streams_are_bounded(narrow):
    streams = []
    for _ in range(8):
        streams.append(narrow.client("up").stream("subscriptions/listen", {"notifications": {"toolsListChanged": True}}))
    open_ones = [s for s in streams if s.status == 200 and "error" not in (s.next(5) or {"error": 1})]
    assert len(open_ones) == 4
    for stream in streams:
        stream.close()

    def opens() -> bool:
        stream = narrow.client("up").stream("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
        stream.close()
        return stream.status == 200
    assert eventually(opens, 10)


def test_memory_after_many_calls_and_sessions(gateway):
    for _ in range(200):
        gateway.client("up").call("echo", {"message": "x"})
    before = rss_kib(gateway.process.pid)
    for _ in range(600):
        gateway.client("up").call("echo", {"message": "x"})
    for _ in range(60):
        client = gateway.client("up", version="2025-11-25").start()
        client.close()
    assert rss_kib(gateway.process.pid) - before < 24 << 10


# -- notifications -------------------------------------------------------------------------------
def test_list_changes_reach_listeners(gateway, upstream):
    modern = gateway.client("up").stream("subscriptions/listen", {"notifications": {"toolsListChanged": True}})
    first = modern.next()
    assert first["method"] == "notifications/subscriptions/acknowledged"
    client = gateway.client("up", version="2025-11-25").start()
    legacy = client.get()
    assert legacy.status == 200
    time.sleep(0.3)
    upstream.change("tools")
    changed = modern.until(lambda m: m["method"] == "notifications/tools/list_changed")
    assert changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == modern.id
    legacy.until(lambda m: m["method"] == "notifications/tools/list_changed")
    modern.close()
    legacy.close()
    client.close()


def test_resuming_a_legacy_stream(gateway):
    """A stream lost in the middle goes on after Last-Event-ID, without repeating or losing a message."""
    client = gateway.client("up", version="2025-11-25").start()
    stream = client.stream("tools/call", {"name": "progress", "arguments": {"steps": 6, "delay_ms": 200}}, progress_token="p")
    stream.until(lambda m: m.get("method") == "notifications/progress" and m["params"]["progress"] == 2)
    last = [event["id"] for event in stream.events if "id" in event][-1]
    stream.close()
    time.sleep(0.5)
    resumed = client.get(last_event_id=last)
    seen = []
    while True:
        message = resumed.next(timeout=10)
        if message.get("method") == "notifications/progress":
            seen.append(message["params"]["progress"])
        if message.get("id") == stream.id:
            break
    assert seen == [3, 4, 5, 6]
    resumed.close()
    client.close()


# -- logs ----------------------------------------------------------------------------------------
def test_log_lines(gateway, oidc):
    number = pans.pan("text")
    gateway.client("up").call("echo", {"message": f"canary-line {number}"})
    gateway.client("up", token="garbage.garbage.garbage").call("echo")
    gateway.client("up").call("no_such_tool_canary")
    gateway.stop()
    text = gateway.process.out + gateway.process.err
    assert text.strip(), "no log line at all"
    assert "canary-line" not in text and number not in text and oidc.token("tester") not in text
    assert UPSTREAM_SECRET not in text and "garbage.garbage" not in text


def test_secrets_are_not_in_the_environment_of_anybody_else(gateway):
    shown = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True).stdout
    assert UPSTREAM_SECRET not in "\n".join(line for line in shown.splitlines() if "upstream.mjs" not in line)


def test_secrets_are_not_in_its_own_environment_or_a_core(gateway):
    """Where root, or a page of a crashed machine, would look; and it goes on to use them, also when it reads its configuration again."""
    environment = pathlib.Path(f"/proc/{gateway.process.popen.pid}/environ").read_bytes()
    assert b"TEST_UPSTREAM_TOKEN=*" in environment and UPSTREAM_SECRET.encode() not in environment
    assert re.search(r"Max core file size +0 +0 ", pathlib.Path(f"/proc/{gateway.process.popen.pid}/limits").read_text())
    gateway.process.popen.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert gateway.client("up").call("echo", {"message": "still there"}).text() == "Echo: still there"


def test_missing_secret_is_a_configuration_error(start_gateway, tmp, oidc, upstream):
    gateway = start_gateway(tmp, oidc, [http_connection("up", upstream.url)], start=False)
    del gateway.env["TEST_UPSTREAM_TOKEN"]
    process = gateway.launch()
    assert process.wait(15) in (1, 78)
    assert "TEST_UPSTREAM_TOKEN" in process.err


def test_address_in_use(gateway, start_gateway, tmp, oidc, upstream):
    second = start_gateway(tmp / "second", oidc, [http_connection("up", upstream.url)], port=gateway.port, start=False)
    process = second.launch()
    # SO_REUSEPORT must not let a second gateway share the port of the first
    assert process.wait(15) != 0, "two gateways share one port"
    assert str(gateway.port) in process.err
