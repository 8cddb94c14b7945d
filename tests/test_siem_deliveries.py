"""Exports from outside: nothing is lost, whatever the receiver, the network or a kill -9 does; the order stays; a receiver that is down
holds up nothing, unless the configuration says so. `SALLYPORT_CUTS=1000` for the long run."""

import collections
import concurrent.futures
import json
import os
import re
import socket
import time

import pytest

from kit import pans
from kit.parts import Gateway, http_connection
from kit.pki import Authority
from kit.process import Process, eventually, free_port
from kit.receivers import HecDouble, LinesReceiver, OtlpDouble, SyslogReceiver

CUTS = int(os.environ.get("SALLYPORT_CUTS", "200"))
RULES = [{"id": "testers", "effect": "allow", "who": ["group:testers"], "on": {"connection": "up", "tools": ["*"]}}]


@pytest.fixture(scope="module")
def authority(scratch):
    return Authority(scratch / "pki")


@pytest.fixture
def gate(start_gateway, tmp, oidc, upstream):
    """gate(exports…): a gateway of this test's own."""
    def start(*exports, env=None):
        return start_gateway(tmp / "gate", oidc, [http_connection("up", upstream.url)], RULES,
                             changes=lambda c: c.update(exports=list(exports)), env=env)
    return start


def fine(reply) -> bool:
    return reply.status == 200 and "result" in reply.answer and not reply.result.get("isError")


def calls(gateway, n: int, workers: int = 4) -> None:
    """n calls, and the card numbers that come with some."""
    def some(k):
        client = gateway.client("up", "tester")
        for i in range(k):
            client.call("card_text" if i % 5 == 0 else "echo", {} if i % 5 == 0 else {"message": "4111 1111 1111 1111 | = \\ \n <13>1 x"})
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(some, [n // workers] * workers))


def size(gateway) -> int:
    """Of the log, once all of it is published."""
    def settled():
        entries = int(gateway.metric("sallyport_ledger_entries"))
        return entries if entries == gateway.log_size() else 0
    return eventually(settled, 10, step=0.1)


def caught_up(gateway, name: str = "siem", timeout: float = 20) -> bool:
    return eventually(lambda: gateway.metric("sallyport_export_events_total", export=name) > 0 and
                      gateway.metric("sallyport_export_behind_entries", export=name) == 0, timeout, step=0.1)


def whole(indexes: list[int], end: int, window: int) -> dict:
    """Each index below `end` has arrived, for the first time in order, and none comes again later than `window` after it."""
    highest = -1
    for index in indexes:
        assert index <= highest + 1, f"{index} comes after {highest}: {highest + 1} was left out"
        assert index > highest - window - 1, f"{index} comes again after {highest}: beyond the window"
        highest = max(highest, index)
    assert highest + 1 >= end, (highest, end)
    return collections.Counter(indexes)


def leaves(gateway) -> list[str]:
    done = gateway.run("audit", "export", "--format", "json", "--data-dir", gateway.data_dir, check=True)
    return [json.loads(line)["leaf_hash"] for line in done.stdout.splitlines()]


# -- files ---------------------------------------------------------------------------------------
def test_a_file_that_is_rotated_under_load(gate, tmp):
    path = tmp / "events.jsonl"
    gateway = gate({"name": "siem", "format": "json", "to": {"file": {"path": str(path)}}})
    for n in range(1, 6):
        calls(gateway, 20)
        if path.exists():
            path.rename(tmp / f"events.{n}")
    calls(gateway, 4)
    assert caught_up(gateway)
    end = size(gateway)
    gateway.stop()
    files = sorted(tmp.glob("events.[0-9]")) + [path]
    events = [json.loads(line) for f in files for line in f.read_text().splitlines()]
    assert [e["index"] for e in events] == list(range(len(events))) and len(events) >= end
    assert [e["leaf_hash"] for e in events] == leaves(gateway)[:len(events)]
    assert events[-1]["event"] == "log.stop", "a stop delivers what is there"
    assert path.stat().st_mode & 0o777 == 0o600
    assert pans.shown_in("\n".join(map(json.dumps, events))) == []


def test_kill_9_between_sending_and_the_cursor(gate, tmp):
    path = tmp / "events.jsonl"
    gateway = gate({"name": "siem", "format": "json", "to": {"file": {"path": str(path)}}})
    for n in range(6):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            load = pool.submit(lambda: calls(gateway, 40))
            time.sleep(0.15 * n + 0.1)
            gateway.process.kill_hard()
            load.exception()  # cut off
        gateway.start()
    calls(gateway, 4)
    assert caught_up(gateway)
    lines = path.read_text().splitlines()
    whole([json.loads(line)["index"] for line in lines], size(gateway), 1024)
    assert gateway.verify().returncode == 0


# -- syslog --------------------------------------------------------------------------------------
def syslog_indexes(receiver) -> list[int]:
    assert receiver.problems == []
    return [json.loads(text)["metadata"]["sequence"] for text in receiver.texts()]


def test_syslog_over_tls_that_breaks_again_and_again(gate, authority):
    receiver = SyslogReceiver(authority.issue("siem"))
    resend = 300
    gateway = gate({"name": "siem", "format": "ocsf", "to": {"syslog": {
        "address": f"127.0.0.1:{receiver.port}", "protocol": "tls", "ca": str(authority.cert), "resend": resend}}})
    calls(gateway, 40)
    assert caught_up(gateway)
    receiver.cut_every = resend + 40  # more than is sent again: each connection gets somewhere
    while receiver.cuts < CUTS // 20:
        calls(gateway, 60)
    receiver.cut_every = 0
    calls(gateway, 8)
    assert caught_up(gateway, timeout=60)
    end = size(gateway)
    assert eventually(lambda: max(syslog_indexes(receiver)) >= end - 1, 10)
    whole(syslog_indexes(receiver), end, resend + 1024)
    assert all(len(m) < 8192 for m in receiver.messages)
    assert pans.shown_in(b"\n".join(receiver.messages).decode()) == []
    receiver.stop()


def test_a_syslog_receiver_that_is_not_who_it_says(gate, authority, scratch):
    other = SyslogReceiver(Authority(scratch / "pki", "other").issue("other"))
    wrong = SyslogReceiver(authority.issue("elsewhere", san="DNS:elsewhere.example"))
    old = SyslogReceiver(authority.issue("old", expired=True))
    receivers = {"other": other, "wrong": wrong, "old": old}
    gateway = gate(*({"name": name, "format": "cef", "to": {"syslog": {
        "address": f"127.0.0.1:{r.port}", "protocol": "tls", "ca": str(authority.cert)}}} for name, r in receivers.items()))
    calls(gateway, 4)
    for name in receivers:
        assert eventually(lambda: gateway.metric("sallyport_export_failures_total", export=name) > 0, 10)
    time.sleep(0.5)
    assert not any(r.messages for r in receivers.values())
    assert "TLS: " in gateway.process.err
    for r in receivers.values():
        r.stop()


def test_a_long_entry_is_a_short_line(gate):
    receiver = SyslogReceiver()
    gateway = gate({"name": "siem", "format": "json", "to": {"syslog": {"address": f"127.0.0.1:{receiver.port}", "protocol": "tcp"}}})
    gateway.client("up", "tester").call("echo", {"message": "\"\n\\x" * 10_000})
    assert caught_up(gateway)
    end = size(gateway)
    assert eventually(lambda: len(receiver.texts()) >= end, 10)
    assert all(len(m) < 8192 for m in receiver.messages) and receiver.problems == []
    events = [json.loads(t) for t in receiver.texts()]
    cut = [e for e in events if e.get("cut")]
    assert {e["event"] for e in cut} >= {"call.intent"} and all(e["leaf_hash"] and e["method"] for e in cut)
    receiver.stop()


@pytest.fixture
def rsyslog(authority, tmp):
    """Debian's rsyslog with TLS by GnuTLS, as a collector that writes what it got, message by message."""
    cert, key = authority.issue("rsyslog")
    port, out = free_port(), tmp / "collected.log"
    (tmp / "rsyslog.conf").write_text(f"""
global(workDirectory="{tmp}" maxMessageSize="64k"
  DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{authority.cert}"
  DefaultNetstreamDriverCertFile="{cert}" DefaultNetstreamDriverKeyFile="{key}"
  parser.escapeControlCharactersOnReceive="off")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
template(name="whole" type="string" string="%msgid%|%hostname%|%app-name%|%pri%|%msg%\\n")
ruleset(name="in") {{ action(type="omfile" file="{out}" template="whole") }}
input(type="imtcp" port="{port}" address="127.0.0.1" ruleset="in")
""")
    started = []

    def start():
        part = Process("rsyslog", ["rsyslogd", "-n", "-i", tmp / "rsyslog.pid", "-f", tmp / "rsyslog.conf"], tmp)
        started.append(part)
        assert eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 10), part.err
        return part
    start()
    yield port, out, start, started
    for part in started:
        part.stop()


def test_rsyslog_with_tls_and_restarts(gate, authority, rsyslog):
    port, out, start, started = rsyslog
    gateway = gate({"name": "siem", "format": "cef", "to": {"syslog": {
        "address": f"127.0.0.1:{port}", "protocol": "tls", "ca": str(authority.cert), "resend": 500}}})
    for _ in range(3):
        calls(gateway, 40)
        started[-1].stop()
        calls(gateway, 20)
        start()
    calls(gateway, 8)
    assert caught_up(gateway, timeout=60)
    end = size(gateway)

    def indexes():
        lines = out.read_text().splitlines()
        assert all(re.fullmatch(r"[a-z.]+\|tests\.example\.com\|sallyport\|\d+\| ?CEF:0\|sallyport\|.*", line) for line in lines)
        return [int(re.search(r"externalId=tests\.example\.com/log:(\d+) ", line).group(1)) for line in lines]
    assert eventually(lambda: out.exists() and max(indexes()) >= end - 1, 15, step=0.3)
    whole(indexes(), end, 1600)
    assert pans.shown_in(out.read_text()) == []


# -- HTTP ----------------------------------------------------------------------------------------
def test_the_event_collector_with_acknowledgement_that_fails_in_every_way(gate):
    """Each request fails in one of the ways in turn: busy, cut before it is taken and after."""
    hec = HecDouble("hec-t0ken")
    ways = [None, 503, "cut", "cut-after", None, 429, None]
    hec.fail = lambda n: ways[n % len(ways)] if n <= CUTS else None
    gateway = gate({"name": "siem", "format": "json", "to": {"splunk_hec": {
        "url": hec.url, "token": {"env": "HEC_TOKEN"}, "ack_timeout": "1s"}}}, env={"HEC_TOKEN": "hec-t0ken"})
    deadline = time.monotonic() + 20 + CUTS / 8
    while hec.requests < 40 and time.monotonic() < deadline:
        calls(gateway, 8)
    hec.fail = lambda n: None
    calls(gateway, 8)
    assert caught_up(gateway, timeout=40)
    end = size(gateway)
    assert hec.problems == [] and hec.requests >= 40
    whole([e["event"]["index"] for e in hec.events], end, 16 * 512)
    assert all(e["host"] == "tests.example.com/log" and e["fields"]["uid"].endswith(f":{e['event']['index']}") for e in hec.events)
    assert gateway.metric("sallyport_export_parked_total", export="siem") == 0
    text = json.dumps(hec.events)
    assert pans.shown_in(text) == [] and "hec-t0ken" not in text + gateway.process.err
    hec.stop()


def test_a_200_without_acknowledgement_moves_nothing(gate):
    hec = HecDouble("hec-t0ken", acknowledges=False)
    gateway = gate({"name": "siem", "to": {"splunk_hec": {"url": hec.url, "token": {"env": "HEC_TOKEN"}}}}, env={"HEC_TOKEN": "hec-t0ken"})
    calls(gateway, 4)
    assert eventually(lambda: "no indexer acknowledgement" in gateway.ops("/readyz?verbose")[1], 10)
    assert gateway.metric("sallyport_export_behind_entries", export="siem") >= gateway.log_size()
    assert gateway.ops("/readyz")[0] == 200
    hec.stop()


def test_an_event_collector_that_forgets_before_indexing(gate):
    """It has said 200 and given ackIds: once it drops a request, once it starts anew and counts from 0 on the same channel."""
    hec = HecDouble("hec-t0ken")
    hec.lag = 1_000_000
    gateway = gate({"name": "siem", "format": "json", "to": {"splunk_hec": {
        "url": hec.url, "token": {"env": "HEC_TOKEN"}, "ack_timeout": "1s"}}}, env={"HEC_TOKEN": "hec-t0ken"})
    calls(gateway, 20)
    assert eventually(lambda: hec.waiting, 10)
    hec.lose_everything()
    hec.lag = 1
    calls(gateway, 8)
    assert caught_up(gateway, timeout=30)
    hec.fail = lambda n, at=hec.requests: "drop" if n < at + 6 else None
    calls(gateway, 20)
    assert caught_up(gateway, timeout=30)
    end = size(gateway)
    assert eventually(lambda: {e["event"]["index"] for e in hec.events} >= set(range(end)), 10), "nothing lost; later ones came first"
    hec.stop()


def test_otlp_and_the_records_that_it_rejects(gate):
    """A partial success names a number and no record: the ones that are rejected on their own are parked, all others arrive."""
    otlp = OtlpDouble(reject="the-poisoned-one")
    gateway = gate({"name": "siem", "format": "ocsf", "to": {"otlp_http": {"url": otlp.url}}, "signals": ["logs"]})
    calls(gateway, 20)
    gateway.client("up", "tester").call("echo", {"message": "the-poisoned-one"})
    calls(gateway, 20)
    assert caught_up(gateway)
    end = size(gateway)
    assert otlp.problems == []
    parked = [json.loads(line) for line in (gateway.data_dir / "state/exports/siem.parked").read_text().splitlines()]
    gone = {p["index"] for p in parked}
    poisoned = {e["index"] for e in gateway.entries() if "the-poisoned-one" in json.dumps(e) and e["event"] == "call.intent"}
    assert gone == poisoned and gateway.metric("sallyport_export_parked_total", export="siem") == len(gone)
    arrived = {int(a["value"]["stringValue"]) for r in otlp.events for a in r["attributes"] if a["key"] == "sallyport.log.index"}
    assert arrived >= set(range(end)) - gone and not arrived & gone
    assert "export.parked" in gateway.process.err
    assert pans.shown_in(json.dumps(otlp.events)) == []
    otlp.stop()


def test_a_receiver_that_refuses_everything_parks_nothing(gate):
    hook = LinesReceiver()
    hook.fail = lambda n: 400
    gateway = gate({"name": "siem", "format": "json", "to": {"webhook": {"url": {"env": "HOOK"}}}}, env={"HOOK": hook.url + "/in"})
    calls(gateway, 8)
    assert eventually(lambda: "takes none of the events" in gateway.ops("/readyz?verbose")[1], 15)
    assert not (gateway.data_dir / "state/exports/siem.parked").exists()
    hook.fail = lambda n: None
    assert caught_up(gateway, timeout=40)
    whole([e["index"] for e in hook.events], size(gateway), 1024)
    hook.stop()


def test_a_webhook_is_signed_and_resumes_after_a_restart(gate):
    from kit.hook import Hook
    hook = LinesReceiver()
    gateway = gate({"name": "siem", "format": "ecs", "to": {"webhook": {
        "url": {"env": "HOOK"}, "key": {"env": "HOOK_KEY"}, "token": {"env": "HOOK_TOKEN"}}}},
        env={"HOOK": hook.url + "/in", "HOOK_KEY": "whsec", "HOOK_TOKEN": "bearer-of-the-hook"})
    calls(gateway, 12)
    gateway.stop()
    first = len(hook.events)
    gateway.start()
    calls(gateway, 12)
    assert caught_up(gateway)
    indexes = [e["event"]["sequence"] for e in hook.events]
    assert indexes == list(range(len(indexes))) and len(indexes) > first, "a clean restart sends nothing twice"
    checker = Hook("whsec")
    assert all(checker.signed({"headers": m, "body": m["body"]}) for m in hook.seen[-2:])
    assert hook.seen[0]["authorization"] == "Bearer bearer-of-the-hook"
    checker.stop()
    hook.stop()


# -- a receiver that is down ---------------------------------------------------------------------
def test_a_receiver_that_is_down_blocks_nothing_and_is_told_of(gate):
    port = free_port()
    gateway = gate({"name": "siem", "format": "json", "alarm_after": "2s",
                    "to": {"syslog": {"address": f"127.0.0.1:{port}", "protocol": "tcp"}}})
    calls(gateway, 40)
    assert eventually(lambda: gateway.audit("control.failed", resource="export siem"), 15, step=0.3)
    assert '"event":"control.failed"' in gateway.process.err
    status, text = gateway.ops("/readyz?verbose")
    assert status == 200 and re.search(r"export siem: \d+ entries and \d+ s behind: .*refused", text), text
    assert gateway.metric("sallyport_export_behind_seconds", export="siem") >= 2
    behind = gateway.metric("sallyport_export_behind_entries", export="siem")
    assert behind >= 80
    gateway.process.kill_hard()
    gateway.start()
    receiver = SyslogReceiver(port=port)
    assert caught_up(gateway, timeout=40)
    assert eventually(lambda: len(receiver.texts()) >= behind, 10)
    whole([json.loads(t)["index"] for t in receiver.texts()], int(behind), 1000)
    assert eventually(lambda: gateway.ops("/readyz?verbose")[1].count("export siem: 0 entries"), 10)
    receiver.stop()


def test_strict_stops_service_until_the_receiver_has_it(gate):
    port = free_port()
    gateway = gate({"name": "siem", "format": "json", "strict": {"behind": "5s"},
                    "to": {"syslog": {"address": f"127.0.0.1:{port}", "protocol": "tcp"}}})
    client = gateway.client("up", "tester")
    assert fine(client.call("echo", {"message": "x"}))
    assert eventually(lambda: gateway.ops("/readyz")[0] == 503, 20)
    assert "nothing is served until it has caught up (strict)" in gateway.ops("/readyz?verbose")[1]
    assert eventually(lambda: client.call("echo", {"message": "y"}).status == 503, 10, step=0.3)
    assert eventually(lambda: gateway.audit("call.denied", reason="ledger-unavailable"), 5, step=0.3)
    receiver = SyslogReceiver(port=port)
    assert eventually(lambda: gateway.ops("/readyz")[0] == 200, 60, step=0.2)
    assert eventually(lambda: client.call("echo", {"message": "z"}).status == 200, 10, step=0.3)
    receiver.stop()


def test_a_slow_receiver_gets_it_all(gate):
    receiver = SyslogReceiver()
    receiver.pace = 0.01
    gateway = gate({"name": "siem", "format": "json", "to": {"syslog": {"address": f"127.0.0.1:{receiver.port}", "protocol": "tcp"}}})
    calls(gateway, 200)
    assert fine(gateway.client("up", "tester").call("echo", {"message": "x"}))
    end = size(gateway)
    assert eventually(lambda: len(receiver.messages) >= end, 60, step=0.2)
    indexes = [json.loads(t)["index"] for t in receiver.texts()]
    assert indexes[:end] == list(range(end)), "nothing broke: nothing twice"
    receiver.stop()


def test_a_cursor_of_another_log_sends_nothing_and_says_so(gate, tmp):
    path = tmp / "events.jsonl"
    gateway = gate({"name": "siem", "format": "json", "to": {"file": {"path": str(path)}}})
    calls(gateway, 8)
    assert caught_up(gateway)
    gateway.stop()
    there = path.read_bytes()
    cursor = gateway.data_dir / "state/exports/siem.cursor"
    kept = json.loads(cursor.read_text())
    cursor.write_text(json.dumps({**kept, "next": kept["next"] - 2}))
    gateway.start()
    calls(gateway, 4)
    assert eventually(lambda: "stands behind another entry" in gateway.ops("/readyz?verbose")[1], 10)
    assert path.read_bytes() == there
