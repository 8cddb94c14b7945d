"""`sallyport dev`: everything on loopback with nothing to configure."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from kit import capture
from kit.mcp import MODERN, Mcp
from kit.parts import get, run
from kit.paths import sallyport
from kit.process import Process, children_of, eventually, free_port, running

PAN = re.compile(rb"(?<!\d)(?:4\d{15}|5[1-5]\d{14}|3[47]\d{13}|6011\d{12})(?!\d)")


def port_base() -> int:
    """The first of ten ports, below those that the system gives out by itself."""
    return 20000 + (free_port() % 1270) * 10


@pytest.fixture(scope="module")
def dev(scratch):
    """`sallyport dev --json`, ready: (process, the ready line)."""
    process = Process("dev", [sallyport(), "dev", "--json", "--port-base", port_base(), "--state", scratch / "state"], scratch)
    ready = process.wait_json(40)
    yield process, ready
    process.stop()


def luhn(digits: str) -> bool:
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = int(c) * (1 + i % 2)
        total += n - 9 * (n > 9)
    return total % 10 == 0


def shows_a_card(data: bytes) -> bool:
    return any(luhn(match.decode()) for match in PAN.findall(data))


def caller(ready, who, version=MODERN) -> Mcp:
    return Mcp(ready["mcp"]["payments"], ready["tokens"][who], version).start()


def test_ready_line(dev):
    process, ready = dev
    assert {"public_url", "mcp", "postgres", "issuer", "token_endpoint", "ops", "state_dir", "ca", "config", "vkey", "tokens"} <= set(ready)
    assert set(ready["tokens"]) >= {"agent-refunds", "ana", "support", "lead", "auditor", "contractor"}
    assert ready["postgres"] is None or set(ready["postgres"]) >= {"host", "port", "database"}
    assert ready["ca"] is None or pathlib.Path(ready["ca"]).exists()
    assert pathlib.Path(ready["config"]).exists() and pathlib.Path(ready["state_dir"]).is_dir()
    assert len([line for line in process.out.splitlines() if line.strip()]) == 1, "more than one line on stdout"
    assert run("validate", ready["config"]).returncode == 0
    assert re.match(r"^\S+\+[0-9a-f]{8}\+\S+$", ready["vkey"])
    assert get(ready["ops"] + "/readyz")[0] == 200


@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
def test_support(dev, version):
    client = caller(dev[1], "support", version)
    assert {"get_order", "list_orders", "search_orders"} <= set(client.tool_names())
    assert "export_all" not in client.tool_names() and "refund_order" not in client.tool_names()
    for tool, args in (("get_order", {"id": "o_1a2b3c4d"}), ("list_orders", {}), ("search_orders", {"query": "a"})):
        reply = client.call(tool, args)
        assert not reply.result.get("isError"), (tool, reply)
        assert not shows_a_card(reply.body), tool
    assert re.search(rb"\*{4}[ *-]*\d{4}", client.call("get_order", {"id": "o_1a2b3c4d"}).body)
    assert client.call("refund_order", {"order_id": "o_1a2b3c4d", "amount": 1, "currency": "EUR"}).error["code"] == -32602


def test_agent(dev):
    client = caller(dev[1], "agent-refunds")
    assert not client.call("refund_order", {"order_id": "o_1a2b3c4d", "amount": 40, "currency": "EUR"}).result.get("isError")
    client.capabilities = {"elicitation": {"url": {}}}  # shown the page at once
    large = client.call("refund_order", {"order_id": "o_1a2b3c4d", "amount": 900, "currency": "EUR"}).result
    assert large["resultType"] == "input_required" and "/approvals/a_" in large["inputRequests"]["approval"]["params"]["url"]


@pytest.mark.parametrize("who", ["agent-refunds", "ana", "support", "lead", "auditor", "contractor"])
def test_nobody_may_export(dev, who):
    reply = caller(dev[1], who).call("export_all")
    assert "error" in reply.answer or reply.result["isError"]
    assert not shows_a_card(reply.body)


def test_contractor_is_unknown(dev):
    client = caller(dev[1], "contractor")
    assert client.tool_names() == []
    assert client.call("get_order", {"id": "o_1a2b3c4d"}).error["message"] == "Unknown tool: get_order"


def test_analyst_sql(dev):
    client = caller(dev[1], "ana")
    if "execute_sql" in client.tool_names():
        reply = client.call("execute_sql", {"sql": "select * from orders"})
        assert not shows_a_card(reply.body)
        refused = client.call("execute_sql", {"sql": "select 1; drop table orders"}).result
        assert refused["isError"] is True


def test_token_endpoint_issues_working_tokens(dev):
    ready = dev[1]
    status, text = get(ready["issuer"] + "/.well-known/openid-configuration")
    assert status == 200 and json.loads(text)["token_endpoint"] == ready["token_endpoint"]
    metadata = json.loads(get(ready["public_url"] + "/.well-known/oauth-protected-resource/mcp/payments")[1])
    assert metadata["authorization_servers"] == [ready["issuer"]]


def test_without_a_token(dev):
    assert Mcp(dev[1]["mcp"]["payments"]).call("get_order").status == 401


def test_the_log_verifies_and_has_it_all(dev):
    ready = dev[1]
    data_dir = pathlib.Path(ready.get("data_dir") or pathlib.Path(ready["state_dir"]) / "data")
    caller(ready, "support").call("export_all")
    time.sleep(0.4)
    done = run("audit", "verify", data_dir, "--key", ready["vkey"])
    assert done.returncode == 0, done.stdout + done.stderr
    found = run("audit", "search", "--data-dir", data_dir, "--json").stdout
    assert "export_all" in found and not shows_a_card(found.encode())
    for path in data_dir.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not shows_a_card(data), path
            for token in ready["tokens"].values():
                assert token.encode() not in data, path


def test_first_screen_is_plain_when_piped(tmp):
    base = port_base()
    process = Process("screen", [sallyport(), "dev", "--port-base", base, "--state", tmp / "state"], tmp)
    try:
        assert eventually(lambda: get(f"http://127.0.0.1:{base}/")[0] != 0 or not process.alive(), 40)
        assert eventually(lambda: all(word in process.out for word in ("export_all", "401", "verif")), 30), process.out + process.err
        screen = process.out
        capture.received(screen)
        assert "\x1b" not in screen and "\r" not in screen
        assert re.search(r"\*{4}[ *-]*\d{4}", screen) and not shows_a_card(screen.encode())
        for word in ("denied", "contractor", "claude", "mcp"):
            assert word.lower() in screen.lower(), word
        assert max(len(line) for line in screen.splitlines() if "eyJ" not in line) < 400
        screen_tokens = re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", screen)
        assert len(screen_tokens) <= 2  # at most those to paste: into an MCP client, into psql
    finally:
        process.signal(signal.SIGINT)
        assert process.wait(15) == 0
        process.stop()


def test_sigterm_stops_everything(tmp):
    base = port_base()
    state = tmp / "state"
    process = Process("ends", [sallyport(), "dev", "--json", "--port-base", base, "--state", state], tmp)
    ready = process.wait_json(40)
    children = children_of(process.pid)
    process.signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert not [pid for pid in children if running(pid)]
    for url in (ready["public_url"], ready["issuer"], ready["ops"]):
        assert get(url)[0] == 0, url
    process.stop()
    # state lasts: a second start continues the same log
    again = Process("again", [sallyport(), "dev", "--json", "--port-base", base, "--state", state], tmp)
    second = again.wait_json(40)
    assert second["vkey"] == ready["vkey"]
    assert not caller(second, "support").call("get_order", {"id": "o_1a2b3c4d"}).result.get("isError")
    again.stop()
    data_dir = pathlib.Path(second.get("data_dir") or state / "data")
    assert run("audit", "verify", data_dir, "--key", ready["vkey"]).returncode == 0


def test_state_is_removed_unless_it_was_asked_for(tmp):
    process = Process("gone", [sallyport(), "dev", "--json", "--port-base", port_base()], tmp)
    ready = process.wait_json(40)
    assert pathlib.Path(ready["state_dir"]).is_dir()
    process.stop(15)
    assert not pathlib.Path(ready["state_dir"]).exists()


def test_ports_in_use_are_said(dev, tmp):
    base = int(dev[1]["public_url"].rsplit(":", 1)[1])
    process = Process("busy", [sallyport(), "dev", "--json", "--port-base", base, "--state", tmp / "other"], tmp)
    assert process.wait(20) != 0
    assert str(base) in process.err or "in use" in process.err, process.err
    process.stop()
