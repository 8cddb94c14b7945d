"""A tool call and the statements that it causes carry the same trace id, and a replay of one shows the other."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from kit.mcp import MODERN
from kit.pg_gate import CALLER, PgGateway, database, rule
from kit.pgwire import Where, Wire, errors
from kit.postgres import Postgres

PASSWORD = "trace-lab"
TABLES = "CREATE TABLE customers(id int PRIMARY KEY, name text);\nINSERT INTO customers VALUES (1, 'Ann');\n"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def gateway(scratch, oidc):
    server = Postgres(scram=True)
    server.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE shop OWNER app")
    with Wire(Where(server.port, "app", PASSWORD, "shop")) as own:
        for statement in TABLES.strip().split(";\n"):
            own.rows(statement)
    token = scratch / "pg-token"
    token.write_text(oidc.token("tester2"))
    script = pathlib.Path(__file__).parent / "pg_mcp_server.py"
    tool = {"name": "tools", "labels": {"env": "test"}, "mcp": {"stdio": {
        "command": [sys.executable, str(script)], "env": {"PG_PORT": {"env": "TEST_PG_PORT"}, "PG_TOKEN_FILE": {"env": "TEST_PG_TOKEN_FILE"}}}}}
    rules = [rule("read", "shop", statements=["SELECT", "SET"], relations=["public.*"]),
             {"id": "tools", "effect": "allow", "who": ["group:testers"], "on": {"connection": "tools", "tools": ["*"]}}]
    part = PgGateway(scratch / "gate", oidc, [database("shop", server, "shop", "app"), tool], rules, PASSWORD,
                     port=int(oidc.audience.rsplit(":", 1)[1]), start=False, env={"TEST_PG_TOKEN_FILE": str(token)})
    part.env["TEST_PG_PORT"] = str(part.pg_port)
    part.start()
    yield part
    part.stop()
    server.stop()


def call(gateway, version=MODERN, headers=None, meta=None, **arguments) -> dict:
    client = gateway.client("tools", version=version)
    if version != MODERN:
        client.start()
    reply = client.request("tools/call", {"name": "customer", "arguments": arguments, **({"_meta": meta} if meta else {})}, headers=headers)
    assert not reply.result.get("isError"), reply
    return json.loads(reply.text())


def traced(gateway, trace: str) -> list[dict]:
    gateway.recorded(event="call.outcome", trace=trace)
    return [e for e in gateway.entries() if e.get("trace") == trace]


@pytest.mark.parametrize("how", ["comment", "name"])
@pytest.mark.parametrize("version", [MODERN, "2025-06-18"])
def test_a_call_and_its_statement(gateway, how, version):
    said = call(gateway, version, how=how)
    assert said["name"] == "Ann"
    trace = re.fullmatch(r"00-([0-9a-f]{32})-[0-9a-f]{16}-01", said["trace"]).group(1)
    found = traced(gateway, trace)
    assert [(e["event"], e["connection"]) for e in found] == [
        ("call.intent", "tools"), ("call.intent", "shop"), ("call.outcome", "shop"), ("call.outcome", "tools")]
    sessions = {e["connection"]: e["session"] for e in found}
    assert sessions["tools"] != sessions["shop"] and {e["who"]["name"] for e in found} == {"tess@example.com", "tom@example.com"}
    shown = gateway.run("replay", sessions["tools"], "--data-dir", gateway.data_dir).stdout
    lines = shown.splitlines()
    asked = [n for n, line in enumerate(lines) if "tools/call customer" in line]
    query = [n for n, line in enumerate(lines) if "SELECT name FROM customers" in line]
    assert len(asked) >= 1 and len(query) >= 1 and asked[-1] < query[-1], shown
    assert f"[shop, tom@example.com, {sessions['shop']}]" in lines[query[-1] - 2] + lines[query[-1] - 1], shown
    other = gateway.run("replay", sessions["shop"], "--data-dir", gateway.data_dir, "--format", "jsonl").stdout
    assert '"tools/call"' in other, "and the other way round"


def test_the_clients_trace_is_kept(gateway):
    assert call(gateway, meta={"traceparent": PARENT})["trace"] == PARENT
    assert {e["connection"] for e in traced(gateway, TRACE)} == {"tools", "shop"}
    header = PARENT.replace(TRACE, "1" + TRACE[1:])
    assert call(gateway, headers={"traceparent": header})["trace"] == header, "a header goes into _meta"
    assert call(gateway, headers={"traceparent": header}, meta={"traceparent": PARENT})["trace"] == PARENT, "_meta goes first"


@pytest.mark.parametrize("bad", ["nonsense", PARENT.upper(), "00-" + "0" * 32 + "-b7ad6b7169203331-01", PARENT + "x",
                                 "00-4111111111111111aaaaaaaaaaaaaaaa-b7ad6b7169203331-01"])
def test_what_is_no_trace_is_replaced(gateway, bad):
    said = call(gateway, meta={"traceparent": bad})["trace"]
    assert said != bad and re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", said)


def test_statements_by_themselves(gateway):
    with Wire(gateway.where("shop", CALLER)) as wire:
        wire.rows("SELECT name FROM customers /* nothing here */")
        wire.rows(f"SELECT 'traceparent={PARENT}' AS x /* not in a comment */")
        wire.rows(f"SET application_name = 'traceparent={PARENT}'")
        wire.rows("SELECT name FROM customers WHERE id = 2")
        wire.parse("SELECT name FROM customers WHERE id = $1", "p")
        wire.sync()
        wire.until_ready()
        other = PARENT.replace(TRACE, "2" + TRACE[1:])
        wire.rows(f"SET application_name = 'traceparent={other}'")
        wire.bind(name="p", values=["1"])
        wire.execute()
        wire.sync()
        assert not errors(wire.until_ready())
        card = PARENT.replace(TRACE, "4111111111111111" + "a" * 16)
        wire.rows(f"SELECT name FROM customers WHERE id = 3 /*traceparent='{card}'*/")
    entries = [e for e in gateway.recorded(event="call.intent", connection="shop") if e["who"]["name"] == "tess@example.com"]
    traces = [e.get("trace") for e in entries]
    assert traces == [None, None, None, TRACE, TRACE, TRACE, "2" + TRACE[1:], "2" + TRACE[1:]], list(zip(traces, [e["request"] for e in entries]))
