"""Every client revision against every kind of upstream, with real clients and real servers."""

import itertools
import json
import queue
import shlex

import pytest

from kit import clients, pans
from kit.mcp import LEGACY, MODERN, Mcp, encode_header
from kit.parts import Gateway, Upstream, get, http_connection, stdio_connection
from kit.paths import BIN, NODE, node_env
from kit.postgres import Postgres
from kit.process import Process, eventually, free_port

UPSTREAMS = ["modern", "legacy", "stdio-modern", "stdio-legacy"]
VERSIONS = [MODERN, *LEGACY]
ELICITATION = {"elicitation": {}, "sampling": {}, "roots": {}}


@pytest.fixture(scope="module")
def ups(scratch):
    """name -> something with state() for each upstream of the matrix."""
    parts = {"modern": Upstream(scratch, "modern"), "legacy": Upstream(scratch, "legacy")}
    admin = {"stdio-modern": free_port(), "stdio-legacy": free_port()}
    yield {**parts, **admin}
    for part in parts.values():
        part.stop()


@pytest.fixture(scope="module")
def everything(scratch):
    """server-everything over HTTP."""
    port = free_port()
    env = {**node_env(), "PORT": str(port)}
    process = Process("everything", [NODE, BIN / "mcp-server-everything", "streamableHttp"], scratch, env)
    assert eventually(lambda: get(f"http://127.0.0.1:{port}/mcp")[0] != 0, 15)
    yield f"http://127.0.0.1:{port}/mcp"
    process.stop()


@pytest.fixture(scope="module")
def dbhub(scratch):
    """dbhub over a real PostgreSQL that holds card numbers."""
    postgres = Postgres()
    postgres.sql(f"""create table cards(id int, holder text, card_number text, number_as_bigint bigint);
        insert into cards values (1, 'Ada', '{pans.pan("text")}', {pans.pan("structured_integer")}),
                                 (2, 'Bob', '{pans.pan("link")}', {pans.pan("structured_integer")});""")
    port = free_port()
    process = Process("dbhub", [NODE, BIN / "dbhub", "--transport", "http", "--host", "127.0.0.1", "--port", port,
                                "--dsn", postgres.dsn], scratch, node_env())
    assert eventually(lambda: get(f"http://127.0.0.1:{port}/mcp")[0] != 0, 20), process.err
    yield f"http://127.0.0.1:{port}/mcp"
    process.stop()
    postgres.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, ups, everything, dbhub):
    label = {"env": "test"}
    connections = [
        http_connection("modern", ups["modern"].url),
        http_connection("legacy", ups["legacy"].url),
        stdio_connection("stdio-modern", "modern", admin=ups["stdio-modern"]),
        stdio_connection("stdio-legacy", "legacy", admin=ups["stdio-legacy"]),
        {"name": "everything", "labels": label, "mcp": {"http": {"url": everything}}},
        {"name": "everything-stdio", "labels": label,
         "mcp": {"stdio": {"command": [str(NODE), str(BIN / "mcp-server-everything"), "stdio"]}}},
        {"name": "dbhub", "labels": label, "mcp": {
            "http": {"url": dbhub},
            "sql_arguments": [{"tool": "execute_sql", "path": "$.sql", "dialect": "postgresql"}]}},
    ]
    reads = {"id": "reads", "effect": "allow", "who": ["group:testers"],
             "on": {"connection": "dbhub", "tools": ["execute_sql"], "sql": {"statements": ["SELECT"], "relations": ["cards", "public.cards"]}}}
    allow = {"id": "testers", "effect": "allow", "who": ["group:testers"], "on": {
        "labels": {"env": "test"}, "tools": ["*"], "prompts": ["*"], "resources": ["*"]}}
    others = [{**allow, "id": f"testers-{c['name']}", "on": {**allow["on"], "connection": c["name"]}}
              for c in connections if c["name"] != "dbhub"]
    part = Gateway(scratch / "gateway", oidc, connections, [*others, reads])
    yield part
    part.stop()


def state(ups, name) -> dict:
    part = ups[name]
    return part.state() if isinstance(part, Upstream) else json.loads(get(f"http://127.0.0.1:{part}/")[1])


_tags = itertools.count()


@pytest.fixture(params=[(v, u) for v in VERSIONS for u in UPSTREAMS], ids=lambda p: f"{p[0]}-{p[1]}")
def cell(request, gateway, ups):
    """(client, upstream name) of one cell of the matrix; the client has opened its session."""
    version, name = request.param
    client = gateway.client(name, version=version, capabilities=ELICITATION)
    client.start()
    yield client, name
    client.close()


class TestMatrix:
    """{2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26} × {modern, legacy, stdio}."""

    def test_negotiation(self, cell):
        client, _ = cell
        assert client.modern or client.negotiated == client.version
        assert "Test upstream" in client.instructions

    def test_list(self, cell):
        client, _ = cell
        tools = {tool["name"]: tool for tool in client.tools()}
        assert {"echo", "refund_order", "card_text", "pinned_tool"} <= set(tools)
        assert tools["echo"]["inputSchema"]["required"] == ["message"]
        result = client.request("tools/list").result
        if client.modern:
            assert result["resultType"] == "complete"
            assert (result["cacheScope"], "ttlMs" in result) == ("private", True)
        assert client.request("resources/list").result["resources"]
        assert client.request("prompts/list").result["prompts"]
        assert client.request("resources/templates/list").result["resourceTemplates"]

    def test_call(self, cell):
        client, _ = cell
        reply = client.call("echo", {"message": "äöü 中文 \u2028 1e400"})
        assert reply.text() == "Echo: äöü 中文 \u2028 1e400"
        assert reply.result.get("resultType") == ("complete" if client.modern else None)
        read = client.request("resources/read", {"uri": "test://static-text"}).result
        assert read["contents"][0]["text"].startswith("This is")
        assert read.get("cacheScope") == ("private" if client.modern else None)  # what this caller may see, others may not
        region = "größe"  # mirrored in a header by the client, or for it where its era has none
        headers = {"Mcp-Param-Region": encode_header(region)} if client.modern else None
        assert client.call("test_x_mcp_header", {"region": region}, headers=headers).text() == f"region={region}"
        prompt = client.request("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": "b"}})
        assert "arg1='a'" in prompt.result["messages"][0]["content"]["text"]
        completion = client.request("completion/complete", {
            "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"}, "argument": {"name": "arg1", "value": "par"}})
        assert completion.result["completion"]["values"] == ["paris", "park", "party"]

    def test_card_numbers_are_masked(self, cell):
        client, _ = cell
        reply = client.call("card_text")
        assert pans.shown_in(reply.body) == []
        assert pans.masked_last4(pans.pan("text")) in reply.text()
        assert "**** **** **** 8327" in reply.text()

    def test_progress_passes_as_it_comes(self, cell):
        client, _ = cell
        stream = client.stream("tools/call", {"name": "progress", "arguments": {"steps": 4, "delay_ms": 150}}, progress_token="tok-1")
        seen = []
        while len(seen) < 4:
            message = stream.next()
            assert message is not None, seen
            if message.get("method") == "notifications/progress":
                assert message["params"]["progressToken"] == "tok-1"
                seen.append(message["params"]["progress"])
                if len(seen) == 1:  # the call runs on for another 450 ms: nothing else may be there yet
                    with pytest.raises(queue.Empty):
                        stream.next(timeout=0.05)
        assert seen == [1, 2, 3, 4]
        assert stream.answer()["result"]["content"][0]["text"] == "4 steps"

    def test_cancel(self, cell, ups):
        client, name = cell
        tag = f"tag-{next(_tags)}"
        stream = client.stream("tools/call", {"name": "cancel_me", "arguments": {"tag": tag}}, progress_token="c")
        assert eventually(lambda: tag in state(ups, name)["running"])
        if client.modern:
            stream.close()  # closing the stream is the cancellation
        else:
            note = client.http("POST", {"jsonrpc": "2.0", "method": "notifications/cancelled",
                                        "params": {"requestId": stream.id, "reason": "enough"}})
            assert note.status == 202
        assert eventually(lambda: tag in state(ups, name)["cancelled"], 8), state(ups, name)
        stream.close()
        assert client.call("echo", {"message": "still here"}).text() == "Echo: still here"

    def test_error(self, cell):
        client, _ = cell
        failed = client.call("fails").result
        assert failed["isError"] is True and failed["content"][0]["text"] == "it did not work"
        error = client.call("card_protocol_error").error
        assert error["code"] == -32603 and pans.shown_in(json.dumps(error)) == []
        unknown = client.call("no_such_tool").error
        assert (unknown["code"], unknown["message"]) == (-32602, "Unknown tool: no_such_tool")
        reply = client.request("no/such/method")
        assert reply.error["code"] == -32601
        assert reply.status == (404 if client.modern else 200)
        assert reply.answer["id"] is not None

    def test_ids_keep_their_type_and_bytes(self, cell):
        client, _ = cell
        for id in ("text-id", 7, 9007199254740991, "ü", ""):
            assert client.call("echo", {"message": "x"}, id=id).answer["id"] == id

    def test_elicitation(self, cell):
        client, name = cell
        if client.modern:
            first = client.call("elicit", {"message": "Who are you?"}).result
            assert first["resultType"] == "input_required"
            (key, question), = first["inputRequests"].items()
            assert question["params"]["message"] == "Who are you?"
            again = {"inputResponses": {key: {"action": "accept", "content": {"name": "Ada"}}}}
            if "requestState" in first:
                again["requestState"] = first["requestState"]
            assert client.call("elicit", {"message": "Who are you?"}, params=again).text() == "Hello, Ada!"
            return
        stream = client.stream("tools/call", {"name": "elicit", "arguments": {"message": "Who are you?"}})
        question = stream.until(lambda m: m.get("method") == "elicitation/create")
        assert question["params"]["message"] == "Who are you?"
        accepted = client.http("POST", {"jsonrpc": "2.0", "id": question["id"],
                                        "result": {"action": "accept", "content": {"name": "Ada"}}})
        assert accepted.status == 202, accepted
        assert stream.answer()["result"]["content"][0]["text"] == "Hello, Ada!"


@pytest.mark.parametrize("version", LEGACY)
def test_parameters_of_session_clients_are_mirrored(gateway, ups, version):
    """A server of 2026-07-28 gets the fields that it asks for (x-mcp-header) from clients that know no such fields."""
    client = gateway.client("modern", version=version).start()
    assert client.call("test_x_mcp_header", {"region": "größe"}).text() == "region=größe"
    sent = [s for s in ups["modern"].captured() if '"test_x_mcp_header"' in s["body"]][-1]
    headers = dict(zip([h.lower() for h in sent["headers"][::2]], sent["headers"][1::2]))
    assert headers["mcp-name"] == "test_x_mcp_header" and headers["mcp-param-region"] == encode_header("größe")
    client.close()


@pytest.mark.parametrize("name", UPSTREAMS)
def test_batch_of_2025_03_26(gateway, name):
    client = gateway.client(name, version="2025-03-26").start()
    reply = client.http("POST", [
        client.message("tools/call", {"name": "echo", "arguments": {"message": "one"}}, id="a"),
        {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "x", "progress": 1}},
        client.message("tools/call", {"name": "no_such_tool", "arguments": {}}, id="b"),
        client.message("tools/call", {"name": "card_text", "arguments": {}}, id="c"),
    ])
    assert reply.status == 200
    answers = {message["id"]: message for message in reply.messages if "id" in message}
    assert set(answers) == {"a", "b", "c"}
    assert answers["a"]["result"]["content"][0]["text"] == "Echo: one"
    assert answers["b"]["error"]["code"] == -32602
    assert pans.shown_in(reply.body) == []


@pytest.mark.parametrize("name", ["modern", "legacy", "stdio-modern"])
@pytest.mark.parametrize("major, era", [(1, "legacy"), (2, "modern"), (2, "legacy"), (2, "auto")])
def test_sdk_client(gateway, oidc, ups, name, major, era):
    tag = f"sdk-{next(_tags)}"
    ran = clients.sdk(major, [
        {"op": "list"},
        {"op": "call", "name": "echo", "args": {"message": "hi"}},
        {"op": "call", "name": "progress", "args": {"steps": 3}, "progress": True},
        {"op": "call", "name": "fails"},
        {"op": "call", "name": "elicit"},
        {"op": "call", "name": "card_structured"},
        {"op": "call", "name": "cancel_me", "args": {"tag": tag}, "abort_after_ms": 300},
        {"op": "call", "name": "echo", "args": {"message": "after"}},
        {"op": "read", "uri": "card://order/1"},
        {"op": "prompt", "name": "card_prompt"},
    ], url=gateway.url(name), token=oidc.token("tester"), era=era)
    assert "echo" in [tool["name"] for tool in ran.result(0)["tools"]]
    assert ran.result(1)["content"][0]["text"] == "Echo: hi"
    assert [p["progress"] for p in ran[2]["progress"]] == [1, 2, 3]
    assert ran.result(3)["isError"] is True
    assert ran.result(4)["content"][0]["text"] == "Hello, Ada!"
    # the client itself checks structuredContent against the outputSchema of the list, and throws if it does not fit
    structured = ran.result(5)
    assert "error" in ran[6]
    assert eventually(lambda: tag in state(ups, name)["cancelled"], 8)
    assert ran.result(7)["content"][0]["text"] == "Echo: after"
    assert pans.shown_in(json.dumps([structured, ran.result(8), ran.result(9), ran.end])) == []
    assert ran.end["version"] == {"legacy": "2025-11-25", "modern": MODERN, "auto": MODERN}[era]


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_inspector(gateway, oidc, era):
    url, token = gateway.url("modern"), oidc.token("tester")
    listed = clients.inspector([url], "--method", "tools/list", token=token, era=era)
    assert listed.returncode == 0, listed.stderr
    assert "card_text" in listed.stdout
    called = clients.inspector([url], "--method", "tools/call", "--tool-name", "card_text", token=token, era=era)
    assert called.returncode == 0, called.stderr
    assert pans.masked_last4(pans.pan("text")) in called.stdout and pans.shown_in(called.stdout) == []


def test_inspector_through_mcp_remote(gateway, oidc, tmp):
    # a script, because the inspector would take mcp-remote's own --transport and --header for its own
    script = tmp / "remote.sh"
    script.write_text("#!/bin/sh\nexec " + shlex.join(clients.mcp_remote_command(gateway.url("legacy"), oidc.token("tester"))))
    script.chmod(0o700)
    done = clients.inspector([script], "--method", "tools/call", "--tool-name", "echo", "--tool-arg", "message=hello",
                             http=False)
    script.unlink()
    assert "Echo: hello" in done.stdout, done.stdout + done.stderr


def test_mcp_remote_as_a_desktop_client_starts_it(gateway, oidc):
    ran = clients.sdk(1, [{"op": "list"}, {"op": "call", "name": "card_text"}, {"op": "call", "name": "elicit"}],
                      command=clients.mcp_remote_command(gateway.url("modern"), oidc.token("tester")))
    assert "card_text" in [tool["name"] for tool in ran.result(0)["tools"]]
    assert pans.masked_last4(pans.pan("text")) in ran.result(1)["content"][0]["text"]
    assert ran.result(2)["content"][0]["text"] == "Hello, Ada!"


@pytest.mark.parametrize("name", ["everything", "everything-stdio"])
@pytest.mark.parametrize("major, era", [(1, "legacy"), (2, "auto")])
def test_server_everything(gateway, oidc, name, major, era):
    ran = clients.sdk(major, [
        {"op": "list"},
        {"op": "call", "name": "echo", "args": {"message": f"card {pans.pan('text')}"}},
        {"op": "call", "name": "get-sum", "args": {"a": 2, "b": 3}},
        {"op": "call", "name": "trigger-long-running-operation", "args": {"duration": 1, "steps": 3}, "progress": True},
        {"op": "resources"},
        {"op": "prompts"},
    ], url=gateway.url(name), token=oidc.token("tester"), era=era)
    assert {"echo", "get-sum"} <= {tool["name"] for tool in ran.result(0)["tools"]}
    assert ran.result(1)["content"][0]["text"] == f"Echo: card {pans.masked_last4(pans.pan('text'))}"
    assert "5" in ran.result(2)["content"][0]["text"]
    assert len(ran[3]["progress"]) >= 3
    assert ran.result(4)["resources"] and ran.result(5)["prompts"]


@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
def test_dbhub_on_a_real_postgresql(gateway, version):
    client = gateway.client("dbhub", version=version).start()
    reply = client.call("execute_sql", {"sql": "select * from cards order by id"})
    assert pans.shown_in(reply.body) == []
    assert "Ada" in reply.text() and pans.masked_last4(pans.pan("text")) in reply.text()
    for refused in ("delete from cards", "select * from pg_authid", "select 1; drop table cards", "COMMIT; drop table cards"):
        reply = client.call("execute_sql", {"sql": refused})
        assert reply.result["isError"] is True, refused
        assert reply.gateway["decision"] == "deny"
    assert client.call("execute_sql", {"sql": "select count(*) from cards"}).result.get("isError") is not True
