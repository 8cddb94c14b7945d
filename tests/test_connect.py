"""`sallyport connect`: MCP clients that start it see what they would see over HTTP, and it outlives what happens to the gate."""

import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time

import pytest

from kit import capture, clients, pans
from kit.mcp import META, MODERN
from kit.parts import Gateway, http_connection
from kit.paths import sallyport
from kit.person import LOGIN_ENV, Person, with_login
from kit.process import eventually, free_port

POLICIES = [{"id": "held", "effect": "approve", "approval": "leads-one", "who": ["group:testers"],
             "on": {"connection": "up", "tools": ["refund_order"]}},
            {"id": "no-export", "effect": "deny", "who": ["any"], "on": {"connection": "up", "tools": ["export_all"]}, "message": "Not for you."},
            {"id": "testers", "effect": "allow", "who": ["group:testers"],
             "on": {"connection": "up", "tools": ["*"], "prompts": ["*"], "resources": ["*"]}}]
HOLD = 1


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    def changes(config):
        with_login(config)
        config["server"]["limits"] = {"approval_hold": f"{HOLD}s", "approvals_per_hour": 10000, "approvals_per_caller": 1000}
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], POLICIES, changes=changes, env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture
def token_file(gateway, oidc, tmp):
    file = tmp / "token"
    file.write_text(oidc.token("tester"))
    return file


def command(gateway, *more) -> list:
    return [sallyport(), "connect", "up", "--server", gateway.public_url, *more]


class Shim:
    """`sallyport connect` and a client that says just what the test says."""

    def __init__(self, argv, env=None, deaf=False):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SALLYPORT_")} | {"XDG_STATE_HOME": "/nonexistent"}
        self.popen = subprocess.Popen([str(a) for a in argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      env=env or clean)
        self.lines, self.words, self.raw = queue.Queue(), [], b""
        self._threads = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._hear, daemon=True)]
        for thread in self._threads[1 if deaf else 0:]:
            thread.start()

    def _read(self):
        for line in self.popen.stdout:
            self.raw += line
            capture.received(line)
            self.lines.put(line)
        self.lines.put(None)

    def _hear(self):
        for line in self.popen.stderr:
            self.words.append(line.decode())

    def say(self, value) -> None:
        self.popen.stdin.write((value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n")
        self.popen.stdin.flush()

    def next(self, timeout=15):
        line = self.lines.get(timeout=timeout)
        assert line is not None, f"it ended with {self.popen.wait(5)}: {self.words}"
        return json.loads(line)

    def ask(self, method: str, params: dict | None = None, id=1, timeout=15):
        self.say({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}})
        return self.until(id, timeout)

    def until(self, id, timeout=15):
        while True:
            message = self.next(timeout)
            if message.get("id") == id and "method" not in message:
                return message

    def start(self, version="2025-11-25", capabilities=None):
        answer = self.ask("initialize", {"protocolVersion": version, "capabilities": capabilities or {},
                                         "clientInfo": {"name": "raw", "version": "1"}}, id="init")
        if "result" in answer:
            self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    def call(self, tool: str, args: dict | None = None, id=2, timeout=15):
        return self.ask("tools/call", {"name": tool, "arguments": args or {}}, id, timeout)

    def stop(self) -> int:
        self.popen.stdin.close()
        code = self.popen.wait(5)
        for thread in self._threads:
            thread.join(5)
        return code


@pytest.fixture
def shim(gateway, token_file):
    part = Shim(command(gateway, "--token-file", token_file))
    yield part
    if part.popen.poll() is None:
        part.popen.kill()


def modern(params: dict | None = None) -> dict:
    return {**(params or {}), "_meta": {META + "protocolVersion": MODERN, META + "clientInfo": {"name": "raw", "version": "1"},
                                        META + "clientCapabilities": {}}}


SCRIPT = [
    {"op": "list"},
    {"op": "call", "name": "echo", "args": {"message": f"card {pans.pan('text')}"}},
    {"op": "call", "name": "progress", "args": {"steps": 3}, "progress": True},
    {"op": "call", "name": "fails"},
    {"op": "call", "name": "elicit"},
    {"op": "call", "name": "card_structured"},
    {"op": "call", "name": "card_text"},
    {"op": "call", "name": "export_all"},
    {"op": "call", "name": "no_such_tool"},
    {"op": "call", "name": "large", "args": {"kib": 1024}},
    {"op": "resources"},
    {"op": "read", "uri": "card://order/1"},
    {"op": "prompts"},
    {"op": "prompt", "name": "card_prompt"},
    {"op": "call", "name": "test_x_mcp_header", "args": {"region": "größe"}},
]


def same(value):
    """What two runs have in common: times, ids of decisions and traces are their own."""
    own = {"at", "ms", "decision_id", "traceparent"}
    if isinstance(value, dict):
        return {k: same(v) for k, v in value.items() if k not in own}
    if isinstance(value, list):
        return [same(v) for v in value]
    if isinstance(value, str) and "ecision" in value:
        return value.split("ecision")[0]
    return value


@pytest.mark.parametrize("major, era", [(1, "legacy"), (2, "legacy"), (2, "modern"), (2, "auto")])
def test_an_sdk_client_sees_the_same_as_over_http(gateway, oidc, token_file, major, era):
    script = SCRIPT + ([{"op": "call", "name": "test_sampling", "args": {"prompt": "6 * 9?"}}] if era == "legacy" else
                       [{"op": "call", "name": "test_input_required_result_sampling"}])
    direct = clients.sdk(major, script, url=gateway.url("up"), token=oidc.token("tester"), era=era)
    through = clients.sdk(major, script, command=command(gateway, "--token-file", token_file), era=era)
    for i, step in enumerate(script):
        assert same(through[i]) == same(direct[i]), step
    assert through.end["version"] == (direct.end["version"] if major == 2 else through.end["version"])
    assert same(through.end["elicitations"]) == same(direct.end["elicitations"]) != []
    assert same(through.end["samplings"]) == same(direct.end["samplings"]) != []
    assert len(through.result(9)["content"][0]["text"]) == 1 << 20
    assert [p["progress"] for p in through[2]["progress"]] == [1, 2, 3]
    assert through.result(7)["isError"] and "no-export" in json.dumps(through.result(7)), "denied"
    assert pans.masked_last4(pans.pan("text")) in json.dumps(through.result(1)) and pans.shown_in(json.dumps(through.steps)) == []


@pytest.mark.parametrize("major, era", [(1, "legacy"), (2, "modern")])
def test_cancelling(gateway, upstream, token_file, major, era):
    tag = f"shim-{major}-{time.monotonic_ns()}".translate(str.maketrans("0123456789", "abcdefghij"))
    ran = clients.sdk(major, [{"op": "call", "name": "cancel_me", "args": {"tag": tag}, "abort_after_ms": 400},
                              {"op": "wait", "ms": 500}, {"op": "call", "name": "echo", "args": {"message": "after"}}],
                      command=command(gateway, "--token-file", token_file), era=era)
    assert "error" in ran[0] and ran.result(2)["content"][0]["text"] == "Echo: after"
    assert eventually(lambda: tag in upstream.state()["cancelled"], 8)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_held_for_approval(gateway, upstream, lead, order, token_file, era):
    approving = threading.Thread(target=lambda: lead.approve(order), daemon=True)
    approving.start()
    ran = clients.sdk(2, [{"op": "call", "name": "refund_order", "args": {"order_id": order, "amount": 900, "currency": "EUR"}}],
                      command=command(gateway, "--token-file", token_file), era=era, capabilities={})
    approving.join(20)
    assert not ran.result(0).get("isError"), ran[0]
    assert sum(c["args"].get("order_id") == order for c in upstream.calls("refund_order")) == 1
    other = order + "later"
    ran = clients.sdk(2, [{"op": "call", "name": "refund_order", "args": {"order_id": other, "amount": 900, "currency": "EUR"}}],
                      command=command(gateway, "--token-file", token_file), era=era, capabilities={})
    assert ran.result(0)["isError"] and "approval-required" in json.dumps(ran.result(0)) and "/approvals" in json.dumps(ran.result(0))


def test_what_mcp_config_prints_works_in_the_inspector(gateway, tmp, oidc):
    person = Person(gateway, tmp / "tess", "tester")
    person.login()
    told = person.run("mcp", "config", "--client", "inspector", "--connection", "up", "--form", "stdio")
    value = json.loads(told.stdout)
    value["mcpServers"]["up"]["env"] = {"XDG_STATE_HOME": person.env["XDG_STATE_HOME"]}
    (tmp / "mcp.json").write_text(json.dumps(value))
    done = clients.inspector(["--config", tmp / "mcp.json", "--server", "up"], "--method", "tools/call", "--tool-name", "echo",
                             "--tool-arg", "message=hello", http=False)
    assert "Echo: hello" in done.stdout, done.stdout + done.stderr


def test_nobody_is_signed_in_then_somebody_is(gateway, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    shim = Shim([sallyport(), "connect", "up"], person.env)
    refused = shim.start()["error"]
    assert refused["code"] == 401 and f"sallyport login --server {gateway.public_url}" in refused["message"]
    assert refused["data"]["gateway"]["reason"] == "token-missing" and shim.popen.poll() is None
    session = person.login()["session"]
    assert "result" in shim.start() and shim.call("echo", {"message": "one"})["result"]["content"][0]["text"] == "Echo: one"
    # The session is ended, the person signs in again: the same process, and the client's session goes on by itself.
    assert person.run("sessions", "kill", session).returncode == 0
    refused = shim.call("echo", {"message": "two"}, id=3)["error"]
    assert refused["code"] == 401 and refused["data"]["gateway"]["reason"] == "session-ended", refused
    assert refused["data"]["gateway"]["login"] == f"sallyport login --server {gateway.public_url}"
    person.login()
    assert shim.call("echo", {"message": "three"}, id=4)["result"]["content"][0]["text"] == "Echo: three"
    listed = shim.ask("tools/list", modern(), id=5)
    assert "echo" in [t["name"] for t in listed["result"]["tools"]]
    assert eventually(lambda: any("sallyport login" in w for w in shim.words))
    assert shim.stop() == 0
    for text in (shim.raw.decode(), "".join(shim.words)):
        assert person.token not in text and "sps_" not in text


def test_a_locked_session_says_where_to_unlock_it(scratch, tmp, gateway, upstream):
    part = Gateway(scratch / "idle", gateway.oidc, [http_connection("up", upstream.url)], POLICIES, env=LOGIN_ENV, port=gateway.port,
                   changes=lambda c: (with_login(c), c.update(sessions={"idle": "2s"})), start=False)
    gateway.stop()
    try:
        part.start()
        person = Person(part, tmp / "tess", "tester")
        session = person.login()["session"]
        shim = Shim([sallyport(), "connect", "up"], person.env)
        assert "result" in shim.start()
        asked = iter(range(10, 100))
        locked = eventually(lambda: "error" in (a := shim.ask("ping", id=next(asked))) and a["error"], 12, 0.3)
        assert "session-locked" in json.dumps(locked) and f"/unlock?session={session}" in locked["message"]
        answer = shim.call("echo", {"message": "x"}, id=200)
        assert answer["result"]["isError"] and f"/unlock?session={session}" in json.dumps(answer)
        page = person.browser.get(part.public_url + f"/unlock?session={session}")
        page = person.browser.submit(page, login="tester")
        assert person.browser.submit(page).status == 200
        assert shim.call("echo", {"message": "again"}, id=201)["result"]["content"][0]["text"] == "Echo: again"
        assert shim.stop() == 0
    finally:
        part.stop()
        gateway.start()


def test_the_gate_restarts_under_a_session(gateway, shim, upstream):
    shim.start(capabilities={"roots": {}})
    assert "result" in shim.call("echo", {"message": "one"})
    gateway.stop()
    shim.say({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "two"}}})
    gateway.start()
    assert shim.until(3)["result"]["content"][0]["text"] == "Echo: two", "tried until it was there, in a session of its own"
    upstream.change("tools")  # the stream of the new session is there as well
    assert eventually(lambda: shim.next(10).get("method") == "notifications/tools/list_changed", 10)


def test_the_gate_is_down(gateway, token_file):
    shim = Shim([sallyport(), "connect", "up", "--server", f"http://127.0.0.1:{free_port()}", "--token-file", token_file])
    refused = shim.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}})
    assert refused["error"]["code"] == -32603 and refused["error"]["data"]["gateway"]["reason"] == "upstream-unreachable"
    assert shim.stop() == 0


class Cutter:
    """A hop that cuts the connection behind the second report of progress, `cuts` times in all."""

    def __init__(self, port: int, cuts: int):
        self.port, self.left, self.cuts = port, cuts, 0
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.own = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        gate = socket.create_connection(("127.0.0.1", self.port))

        def up():
            while data := client.recv(65536):
                self.seen.append(data)
                gate.sendall(data.replace(f"127.0.0.1:{self.own}".encode(), f"127.0.0.1:{self.port}".encode()))
            gate.close()
        threading.Thread(target=self._quiet, args=(up,), daemon=True).start()
        told = 0
        try:
            while data := gate.recv(65536):
                client.sendall(data)
                told += len(data)
                if b'"progress":2' in data and self.cuts < self.left:
                    self.cuts += 1
                    break
        except OSError:
            pass
        for side in (client, gate):
            self._quiet(lambda s=side: s.shutdown(socket.SHUT_RDWR))
            side.close()

    @staticmethod
    def _quiet(work):
        try:
            work()
        except OSError:
            pass

    def stop(self):
        self.listener.close()


def test_a_stream_that_breaks_goes_on_where_it_broke(gateway, token_file):
    cutter = Cutter(gateway.port, cuts=1)
    shim = Shim([sallyport(), "connect", "up", "--server", f"http://127.0.0.1:{cutter.own}", "--token-file", token_file])
    shim.start()
    shim.say({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
              "params": {"name": "progress", "arguments": {"steps": 5, "delay_ms": 100}, "_meta": {"progressToken": "p"}}})
    seen = []
    while (message := shim.next(20)).get("id") != 2:
        if message.get("method") == "notifications/progress":
            seen.append(message["params"]["progress"])
    assert "result" in message and seen == [1, 2, 3, 4, 5], "nothing lost, nothing twice"
    assert cutter.cuts == 1 and any(b"Last-Event-ID" in s for s in cutter.seen)
    assert shim.stop() == 0
    cutter.stop()


def test_a_modern_stream_that_breaks_is_an_error_and_not_a_second_call(gateway, token_file, upstream):
    cutter = Cutter(gateway.port, cuts=1)
    shim = Shim([sallyport(), "connect", "up", "--server", f"http://127.0.0.1:{cutter.own}", "--token-file", token_file])
    before = len(upstream.calls("progress"))
    params = modern({"name": "progress", "arguments": {"steps": 5, "delay_ms": 100}})
    params["_meta"]["progressToken"] = "p"
    answer = shim.ask("tools/call", params, id=7, timeout=20)
    assert answer["error"]["code"] == -32603 and "may have run" in answer["error"]["message"], answer
    assert len(upstream.calls("progress")) == before + 1
    assert shim.ask("tools/call", modern({"name": "echo", "arguments": {"message": "x"}}), id=8)["result"]["content"][0]["text"] == "Echo: x"
    assert shim.stop() == 0
    cutter.stop()


def test_headers_of_tools_that_were_never_listed(shim):
    """A client of stdio sends no headers: the shim makes them, and looks the tool up where it does not know it."""
    answer = shim.ask("tools/call", modern({"name": "test_x_mcp_header", "arguments": {"region": "größe"}}))
    assert answer["result"]["content"][0]["text"] == "region=größe", answer
    again = shim.ask("tools/call", modern({"name": "test_x_mcp_header", "arguments": {"region": "=?base64?x"}}), id=2)
    assert again["result"]["content"][0]["text"] == "region==?base64?x"


def test_modern_subscriptions(shim, upstream):
    shim.say({"jsonrpc": "2.0", "id": "sub", "method": "subscriptions/listen",
              "params": modern({"notifications": {"toolsListChanged": True}})})
    assert shim.next()["method"] == "notifications/subscriptions/acknowledged"
    upstream.change("tools")
    message = shim.next()
    assert message["method"] == "notifications/tools/list_changed", message
    shim.say({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "sub"}})
    assert "result" in shim.ask("tools/list", modern(), id=9)


def test_bounds_and_garbage(shim):
    shim.start()
    for garbage in (b"nonsense", b"\0\xff", b"[1,", b'{"jsonrpc":"2.0"', b'{"a":1,"a":2}', b"[" * 100000):
        shim.say(garbage)
        assert shim.next()["error"]["code"] == -32700, garbage
    for odd in (b"1", b'"x"', b"null", b'{"id":1}', b'{"jsonrpc":"1.0","id":1,"method":"ping"}', b'{"jsonrpc":"2.0","id":{},"method":"ping"}'):
        shim.say(odd)
        assert shim.next()["error"]["code"] == -32600, odd
    shim.say(b'{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","arguments":{"message":"' + b"x" * (17 << 20) + b'"}}}')
    assert "16 MiB" in shim.next(30)["error"]["message"]
    shim.say(b"  \r")
    shim.say(b"")
    shim.say(b'{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}\r')
    assert b'"id":9007199254740993' in shim.lines.get(timeout=10), "ids go through as they are"
    # the gate's own limit of a request is an answer as well
    big = shim.call("echo", {"message": "y" * (6 << 20)}, id=6, timeout=30)
    assert "error" in big, "4 MiB at the gate"
    assert "result" in shim.call("echo", {"message": "still here"}, id=7)
    shim.say({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {"name": "slow", "arguments": {"ms": 700}}})
    assert shim.ask("ping", id=8)["error"]["message"] == "the id is in use"
    assert shim.stop() == 0
    for line in shim.raw.splitlines():
        assert json.loads(line)["jsonrpc"] == "2.0", line


def test_a_batch_of_2025_03_26(shim):
    shim.start("2025-03-26")
    shim.say([{"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "one"}}},
              {"jsonrpc": "2.0", "id": "b", "method": "ping"}])
    assert {shim.next()["id"], shim.next()["id"]} == {"a", "b"}


@pytest.mark.parametrize("how", ["end of input", "SIGTERM", "output closed"])
def test_every_end_ends_the_session_at_the_gate(gateway, token_file, how):
    cutter = Cutter(gateway.port, cuts=0)  # only looks
    deaf = how == "output closed"
    shim = Shim([sallyport(), "connect", "up", "--server", f"http://127.0.0.1:{cutter.own}", "--token-file", token_file], deaf=deaf)
    if deaf:
        shim.say({"jsonrpc": "2.0", "id": 1, "method": "initialize",
                  "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}})
        shim.popen.stdout.readline()
    else:
        shim.start()
    shim.say({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "slow", "arguments": {"ms": 20000}}})
    time.sleep(0.3)
    begun = time.monotonic()
    if how == "end of input":
        shim.popen.stdin.close()
    elif how == "SIGTERM":
        shim.popen.send_signal(signal.SIGTERM)
    else:
        shim.popen.stdout.close()
        shim.say({"jsonrpc": "2.0", "id": 4, "method": "ping"})
    assert shim.popen.wait(6) == 0 and time.monotonic() - begun < 3
    assert eventually(lambda: any(s.startswith(b"DELETE /mcp/up ") for s in cutter.seen)), "the gate was told"
    cutter.stop()


def test_answers_of_a_pipe_that_closes_at_once(gateway, token_file):
    """`echo … | sallyport connect up`: the end of the input is not the end of what was asked."""
    done = subprocess.run(command(gateway, "--token-file", token_file), capture_output=True, timeout=15,
                          input=json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": modern()}).encode())
    assert done.returncode == 0 and json.loads(done.stdout)["id"] == 1


def test_usage(gateway, tmp):
    assert subprocess.run([sallyport(), "connect"], capture_output=True).returncode == 2
    assert subprocess.run([sallyport(), "connect", "../x"], capture_output=True).returncode == 2
    (tmp / "old").write_text("sps_" + "A" * 49)
    shim = Shim([sallyport(), "connect", "up", "--server", "http://gate.example.com", "--token-file", tmp / "old"])
    assert "https only" in shim.start()["error"]["message"], "a token in clear over a network"
    assert shim.stop() == 0
    shim = Shim(command(gateway, "--token-file", tmp / "old"))
    refused = shim.start()["error"]
    assert refused["code"] == 401 and "login" not in refused["data"]["gateway"] and str(tmp / "old") in refused["message"]
    assert shim.stop() == 0
