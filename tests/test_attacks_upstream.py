"""Upstreams that are slow, broken or hostile. Whatever they do: a JSON-RPC answer in time, bounded
memory, no card number through, and an outcome in the log."""

import json
import time

import pytest

from kit import pans
from kit.mcp import META, MODERN
from kit.parts import Gateway, http_connection, stdio_connection
from kit.process import eventually, free_port, rss_kib, running
from raw_upstream import Listener, RawUpstream


@pytest.fixture(scope="module")
def raw_up():
    listener = Listener()
    part = RawUpstream(redirect_to=f"{listener.url}/mcp")
    part.trap = listener
    yield part
    part.stop()
    listener.stop()


@pytest.fixture(scope="module")
def raw_legacy():
    part = RawUpstream(era="legacy")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, raw_up, raw_legacy):
    def limits(config):
        config["server"]["limits"] = {"call_timeout": "4s", "upstream_idle_timeout": "3s", "upstream_body_bytes": 4 << 20}
    connections = [http_connection("raw", raw_up.url), http_connection("mute", raw_up.url, server_requests=False), http_connection("raw-legacy", raw_legacy.url),
                   http_connection("up", upstream.url),
                   http_connection("nobody", f"http://127.0.0.1:{free_port()}/mcp"),
                   stdio_connection("crashing", "modern", crash_on="refund_order"),
                   {"name": "missing", "labels": {"env": "test"}, "mcp": {"stdio": {"command": ["/nonexistent/server"]}}},
                   {"name": "exits", "labels": {"env": "test"}, "mcp": {"stdio": {"command": ["/bin/false"]}}},
                   {"name": "talks-nonsense", "labels": {"env": "test"},
                    "mcp": {"stdio": {"command": ["/bin/sh", "-c", "while read x; do echo nonsense; done"]}}},
                   {"name": "endless-line", "labels": {"env": "test"},
                    "mcp": {"stdio": {"command": ["/bin/sh", "-c", "read x; cat /dev/zero | tr '\\0' 'x'"]}}},
                   {"name": "silent", "labels": {"env": "test"}, "mcp": {"stdio": {"command": ["/bin/sleep", "1000"]}}}]
    part = Gateway(scratch / "gateway", oidc, connections, changes=limits)
    yield part
    part.stop()


GOOD = ["fine", "pan_split_over_chunks", "pan_split_byte_by_byte", "pan_split_over_data_lines", "pan_in_escapes",
        "sse_events_in_text", "pan_in_headers", "pan_in_sse_fields"]
SLOW = ["hangs", "hangs_after_head", "drips"]
HUGE = ["gigabyte", "endless_json", "endless_event", "endless_comments", "header_without_end"]
HIDING = [name for name in RawUpstream.behaviours() if name.startswith("hides_")]
BROKEN = sorted(set(RawUpstream.behaviours()) - {*GOOD, *SLOW, *HUGE, *HIDING, "task", "echo_id", "asks"})


@pytest.fixture(params=["raw", "raw-legacy"])
def client(request, gateway):
    return gateway.client(request.param)


def outcome_of(gateway, tool):
    intents = gateway.audit("call.intent", resource=tool)
    assert intents, f"no intent of {tool}"
    ends = eventually(lambda: [e for e in gateway.entries() if e.get("intent") == intents[-1]["index"]
                               and e["event"] in ("call.outcome", "call.abandoned")], 5, step=0.2)
    assert ends, f"no outcome of {tool}"
    return ends[-1]


@pytest.mark.parametrize("tool", GOOD)
def test_good_answers_in_odd_forms(gateway, client, tool):
    reply = client.call(tool)
    assert "result" in reply.answer
    assert pans.shown_in(reply.body) == [] and pans.shown_in(repr(reply.headers)) == []
    if tool.startswith("pan_split") or tool == "pan_in_escapes":
        assert reply.text() == f"card {pans.masked_last4(pans.pan('text'))} end"
    if tool == "sse_events_in_text":
        assert len(reply.messages) == 1 and reply.text().startswith("a\n\nevent: message\n")
    assert reply.header("set-cookie") is None and reply.header("x-card") is None


@pytest.mark.parametrize("tool", HIDING)
def test_card_number_in_the_envelope(gateway, client, tool):
    """No field is above suspicion, whatever the protocol calls it."""
    reply = client.request("tools/call", {"name": tool, "arguments": {}}, meta={"io.modelcontextprotocol/logLevel": "debug"})
    assert pans.shown_in(reply.body) == []
    answer = reply.answer
    if tool == "hides_a_question":  # this client has not said that it can be asked
        assert "elicitation" not in json.dumps(answer.get("result", {}))
    if tool in ("hides_in_error_code", "hides_in_image") or (tool == "hides_in_result_type" and client.modern):
        assert "error" in answer or answer["result"].get("isError"), answer
    outcome_of(gateway, tool)
    assert pans.shown_in(json.dumps(gateway.entries()[-4:])) == []


@pytest.mark.parametrize("connection, asked", [("raw", True), ("mute", False)])
def test_servers_that_may_not_ask(gateway, connection, asked):
    """`server_requests: false`: neither is the server told that the client can be asked, nor does a question pass."""
    client = gateway.client(connection, capabilities={"elicitation": {"form": {}}})
    reply = client.call("asks")
    assert ("inputRequests" in reply.answer.get("result", {})) == asked
    assert asked or "password" not in json.dumps(reply.answer)


@pytest.mark.parametrize("tool", BROKEN)
def test_broken_answer(gateway, client, tool):
    reply = client.call(tool, progress_token="p")
    assert reply.status in (200, 502, 504, 500, 503), reply
    answer = reply.answer  # always JSON-RPC
    assert pans.shown_in(reply.body) == []
    if tool in ("two_answers", "server_request", "bad_sse", "unknown_content", "many_headers", "huge_header", "no_content_type", "array_answer"):
        pass  # what is sound in them may pass
    elif tool in ("duplicate_keys", "result_and_error", "wrong_id", "invalid_jsonrpc", "deep_json", "bad_utf8"):
        assert "error" in answer or answer["result"].get("isError"), answer
    else:
        assert "error" in answer or answer["result"].get("isError"), answer
    if tool == "two_answers":
        assert len([m for m in reply.messages if "id" in m]) == 1
    if tool == "server_request" and client.url.path.endswith("/raw"):
        assert not any(m.get("method") == "sampling/createMessage" for m in reply.messages)
    outcome_of(gateway, tool)
    assert gateway.alive()


def test_redirects_are_not_followed(gateway, raw_up):
    reply = gateway.client("raw").call("redirect")
    assert "error" in reply.answer or reply.result["isError"]
    assert raw_up.trap.connections == []


@pytest.mark.parametrize("tool", SLOW)
def test_slow_upstream(gateway, client, tool):
    begun = time.monotonic()
    reply = client.call(tool)
    assert 2 < time.monotonic() - begun < 10
    assert "error" in reply.answer or reply.result["isError"]
    entry = outcome_of(gateway, tool)
    assert entry.get("ok") is False or entry["event"] == "call.abandoned"
    # a slow one hurts only itself
    assert gateway.client("up").call("echo", {"message": "x"}).text() == "Echo: x"


@pytest.mark.parametrize("tool", HUGE)
def test_huge_upstream(gateway, raw_up, tool):
    before = rss_kib(gateway.process.pid)
    begun = time.monotonic()
    reply = gateway.client("raw", timeout=30).call(tool)
    assert time.monotonic() - begun < 20
    assert "error" in reply.answer or reply.result["isError"]
    assert len(reply.body) < 1 << 20
    assert rss_kib(gateway.process.pid) - before < 96 << 10
    assert eventually(lambda: tool in raw_up.closed_early or True)
    outcome_of(gateway, tool)
    assert gateway.alive()


def test_many_slow_calls_do_not_block_others(gateway, raw_up):
    streams = []
    import threading
    def call():
        try:
            gateway.client("raw", timeout=12).call("hangs")
        except OSError:
            pass
    threads = [threading.Thread(target=call) for _ in range(40)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    for _ in range(10):
        begun = time.monotonic()
        assert gateway.client("up").call("echo", {"message": "x"}).text() == "Echo: x"
        assert time.monotonic() - begun < 1.5
    for thread in threads:
        thread.join(15)


@pytest.mark.parametrize("name", ["nobody", "missing", "exits", "talks-nonsense", "endless-line", "silent"])
@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
def test_upstream_that_is_not_there(gateway, name, version):
    client = gateway.client(name, version=version)
    begun = time.monotonic()
    if client.modern:
        reply = client.call("echo", {"message": "x"})
    else:
        reply = client.request("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}})
    assert time.monotonic() - begun < 15
    if "result" in reply.answer:  # a gateway may open the session before it needs the upstream
        assert version != MODERN or reply.result.get("isError")
    assert gateway.alive()
    status, _ = gateway.ops("/livez")
    assert status == 200


def test_stdio_upstream_that_crashes_is_started_again(gateway):
    client = gateway.client("crashing")
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    reply = client.call("refund_order", {"order_id": "o_1", "amount": 1})
    assert "error" in reply.answer or "result" in reply.answer
    assert eventually(lambda: "result" in (a := client.call("echo", {"message": "again"}).answer) and not a["result"].get("isError"), 15, step=0.5)


def test_stdio_environment_is_scrubbed(start_gateway, tmp, oidc):
    from kit.parts import get
    admin = free_port()
    gateway = start_gateway(tmp, oidc, [stdio_connection("io", admin=admin, env={"WANTED": {"env": "TEST_WANTED"}})],
                            env={"TEST_WANTED": "wanted-value", "TEST_SECRET": "must-not-be-seen"})
    client = gateway.client("io")
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    state = json.loads(get(f"http://127.0.0.1:{admin}/")[1])
    assert state["env"]["WANTED"] == "wanted-value"
    assert "TEST_SECRET" not in state["env"] and "TEST_UPSTREAM_TOKEN" not in state["env"]
    pid = state["pid"]
    gateway.stop()
    assert eventually(lambda: not running(pid), 5), "the child outlived the gateway"


def test_upstream_restart_is_invisible_or_an_error(gateway, upstream):
    """A legacy upstream that forgot its sessions: the client's session ends or is renewed, never mixed up."""
    client = gateway.client("up", version="2025-11-25").start()
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    upstream.forget()
    reply = client.call("echo", {"message": "y"})
    assert reply.status in (200, 404)
    again = gateway.client("up", version="2025-11-25").start()
    assert again.call("echo", {"message": "z"}).text() == "Echo: z"
