"""Tools that a caller may not know of, that changed, that lie; arguments that policy judges; SQL in arguments."""

import json
import re
import time

import pytest

from kit import pans
from kit.mcp import LEGACY, MODERN
from kit.parts import Gateway, http_connection
from kit.process import eventually


@pytest.fixture(scope="module")
def policies():
    return [
        {"id": "support-read", "effect": "allow", "who": ["agent:agent-refunds", "group:support"],
         "on": {"connection": "payments", "tools": ["get_order", "list_orders", "search_*"]}},
        {"id": "refund-small", "effect": "allow", "who": ["agent:agent-refunds"],
         "on": {"connection": "payments", "tools": ["refund_order"], "args": {"amount": {"lte": 100}, "currency": {"in": ["EUR", "USD"]}}}},
        {"id": "refund-large", "effect": "approve", "approval": "leads-one", "who": ["agent:agent-refunds"],
         "on": {"connection": "payments", "tools": ["refund_order"], "args": {"amount": {"gt": 100}}}},
        {"id": "no-export", "effect": "deny", "who": ["any"], "on": {"labels": {"scope": "cde"}, "tools": ["export_*", "dump_*"]},
         "message": "Bulk export leaves the cardholder data environment."},
        {"id": "try-export", "effect": "allow", "who": ["group:testers"], "on": {"connection": "payments", "tools": ["*"]}},
        {"id": "limited", "effect": "allow", "who": ["group:support"], "on": {"connection": "slow-lane", "tools": ["echo"]},
         "rate": {"calls": 3, "per": "1m"}},
        {"id": "analyst-sql", "effect": "allow", "who": ["group:analysts"],
         "on": {"connection": "payments", "tools": ["execute_sql"],
                "sql": {"statements": ["SELECT"], "relations": ["public.orders"], "columns": {"deny": ["public.orders.cvv"]}}}},
        {"id": "analyst-write", "effect": "allow", "who": ["group:internal-audit"],
         "on": {"connection": "payments", "tools": ["execute_sql"],
                "sql": {"statements": ["UPDATE", "DELETE"], "relations": ["public.orders"], "require_where": True}}},
        {"id": "pinned", "effect": "allow", "who": ["group:testers"], "on": {"labels": {"pinned": "yes"}, "tools": ["*"]}},
    ]


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, policies):
    connections = [
        http_connection("payments", upstream.url, labels={"env": "prod", "scope": "cde"},
                        sql_arguments=[{"tool": "execute_sql", "path": "$.sql", "dialect": "postgresql"}]),
        http_connection("slow-lane", upstream.url),
        http_connection("plain", upstream.url, labels={"pinned": "yes"}),
        http_connection("review", upstream.url, labels={"pinned": "yes"}, pin_tools="review"),
        http_connection("deny", upstream.url, labels={"pinned": "yes"}, pin_tools="deny"),
    ]
    part = Gateway(scratch / "gateway", oidc, connections, policies,
                   changes=lambda config: config["server"].update(limits={"approval_hold": "100ms"}))
    yield part
    part.stop()


@pytest.fixture(params=[MODERN, "2025-11-25"])
def version(request):
    return request.param


def denial(reply) -> dict:
    result = reply.result
    assert result["isError"] is True and reply.status == 200
    assert result.get("resultType") in (None, "complete")
    note = reply.gateway
    assert note["decision"] in ("deny", "approve") and note["decision_id"].startswith("d_"), note
    return note


# -- lists and what is hidden --------------------------------------------------------------------
def test_other_lists_show_what_the_caller_may_use(start_gateway, tmp, oidc, upstream, version):
    """Prompts, resources and templates are filtered like tools, and what is not shown cannot be had."""
    names = {"prompts": ["test_simple_*"], "resources": ["test://static-text", "test://template/*"]}
    rule = {"id": "some", "effect": "allow", "who": ["group:testers"], "on": {"connection": "some", **names}}
    gateway = start_gateway(tmp, oidc, [http_connection("some", upstream.url), http_connection("none", upstream.url)], [rule])
    seen = {}
    for connection in ("some", "none"):
        client = gateway.client(connection, version=version).start()
        seen[connection] = [[entry[key] for entry in client.request(method).result[member]] for method, member, key in (
            ("prompts/list", "prompts", "name"), ("resources/list", "resources", "uri"),
            ("resources/templates/list", "resourceTemplates", "uriTemplate"), ("tools/list", "tools", "name"))]
    assert seen["some"] == [["test_simple_prompt"], ["test://static-text"], ["test://template/{id}/data"], []]
    assert seen["none"] == [[], [], [], []]
    client = gateway.client("some", version=version).start()
    assert client.request("prompts/get", {"name": "test_prompt_with_arguments", "arguments": {"arg1": "a", "arg2": "b"}}).error
    assert client.request("resources/read", {"uri": "test://static-binary"}).error
    assert client.request("resources/read", {"uri": "test://static-text"}).result["contents"]


@pytest.mark.parametrize("who, seen", [
    ("support", {"get_order", "list_orders", "search_orders"}),
    ("agent-refunds", {"get_order", "list_orders", "search_orders", "refund_order"}),
    ("ana", {"execute_sql"}), ("contractor", set()), ("agent-other", set())])
def test_lists_show_what_the_caller_may_use(gateway, version, who, seen):
    client = gateway.client("payments", who, version).start()
    assert set(client.tool_names()) == seen
    if client.modern:
        result = client.request("tools/list").result
        assert result["cacheScope"] == "private"


def test_lists_are_per_caller_and_ordered(gateway):
    orders = [gateway.client("payments", "agent-refunds").tool_names() for _ in range(5)]
    assert all(order == orders[0] for order in orders)
    assert gateway.client("payments", "support").tool_names() != orders[0]


def test_lists_with_pages(gateway, fresh):
    fresh.set(extraTools=25, pageSize=10)
    client = gateway.client("review")
    names = client.tool_names()
    assert len(names) == len(set(names)) and "extra_0024" in names


def test_hidden_and_unknown_are_the_same_bytes(gateway, fresh, version):
    client = gateway.client("payments", "support", version).start()
    hidden = client.call("secret_tool", id=1)
    unknown = client.call("no_such_tool_", id=1)
    assert hidden.status == unknown.status
    assert hidden.body.replace(b"secret_tool", b"@") == unknown.body.replace(b"no_such_tool_", b"@")
    assert hidden.error == {"code": -32602, "message": "Unknown tool: secret_tool"}
    strip = lambda reply: [(k, v) for k, v in reply.headers if k.lower() not in ("date", "content-length")]
    assert strip(hidden) == strip(unknown)
    assert fresh.calls() == []
    assert gateway.recorded(event="call.denied", resource="secret_tool")


@pytest.mark.parametrize("name", ["GET_ORDER", "get_order ", " get_order", "get_order\0", "get_ordеr", "get_order\u200b", "get_order/../export_all",
                                  "", "*", "search_", "ｇet_order", "x" * 5000])
def test_names_are_exact(gateway, fresh, name):
    reply = gateway.client("payments", "support").call(name, {"id": "o"})
    assert reply.status in (200, 400)
    if name != "search_":
        assert "error" in reply.answer
    assert [c for c in fresh.calls() if c["tool"] != "search_"] == []


def test_the_contractor_knows_nothing(gateway, fresh):
    client = gateway.client("payments", "contractor")
    assert client.tool_names() == []
    assert client.call("get_order", {"id": "o"}).error["message"] == "Unknown tool: get_order"
    assert fresh.calls() == []


# -- decisions -----------------------------------------------------------------------------------
def test_denied_export(gateway, fresh, version):
    client = gateway.client("payments", "tester", version).start()
    reply = client.call("export_all")
    note = denial(reply)
    assert note["reason"] == "rule-deny" and note["rule"] == "no-export"
    assert "Bulk export leaves" in reply.text()
    assert fresh.calls("export_all") == []
    entry = gateway.recorded(event="call.denied", decision_id=note["decision_id"])[0]
    assert entry["rules"] == ["no-export"] and entry["who"]["subject"] == "tester"


@pytest.mark.parametrize("args, decision", [
    ({"order_id": "o", "amount": 40, "currency": "EUR"}, "allow"),
    ({"order_id": "o", "amount": 100, "currency": "USD"}, "allow"),
    ({"order_id": "o", "amount": 100.0, "currency": "EUR"}, "allow"),
    ({"order_id": "o", "amount": 1e2, "currency": "EUR"}, "allow"),
    ({"order_id": "o", "amount": 100.01, "currency": "EUR"}, "approve"),
    ({"order_id": "o", "amount": 900, "currency": "EUR"}, "approve"),
    ({"order_id": "o", "amount": 40, "currency": "GBP"}, "deny"),
    ({"order_id": "o", "amount": 40}, "deny"),
    # another type than the rules speak of: the one that allows does not match, the one that asks does (docs/policy.md)
    ({"order_id": "o", "amount": "40", "currency": "EUR"}, "approve"),
    ({"order_id": "o", "amount": [40], "currency": "EUR"}, "approve"),
    ({"order_id": "o", "amount": None, "currency": "EUR"}, "approve"),
    ({"order_id": "o", "amount": True, "currency": "EUR"}, "approve"),
    ({"order_id": "o", "currency": "EUR"}, "deny"),
    ({}, "deny"),
])
def test_typed_arguments(gateway, fresh, args, decision):
    reply = gateway.client("payments", "agent-refunds").patient_call("refund_order", args)
    if decision == "allow":
        assert reply.text().startswith("refunded") and len(fresh.calls("refund_order")) == 1
        return
    note = denial(reply)
    assert note["decision"] == decision
    assert fresh.calls("refund_order") == []
    if decision == "approve":
        assert note["reason"] == "approval-required"
        assert "a_" in json.dumps(reply.result)


def test_denial_texts_hold_no_arguments(gateway):
    number = pans.pan("text")
    reply = gateway.client("payments", "agent-refunds").patient_call("refund_order", {"order_id": number, "amount": 9000, "currency": "canary-9137"})
    assert number.encode() not in reply.body and b"canary-9137" not in reply.body


def test_rate_limit(gateway, fresh, version):
    who = "support"
    client = gateway.client("slow-lane", who, version).start()
    statuses = []
    for _ in range(6):
        reply = client.call("echo", {"message": "x"})
        statuses.append(reply.status)
        if reply.status == 429:
            assert int(reply.header("retry-after")) >= 1
            assert not -32768 <= reply.error["code"] <= -32000
    assert 429 in statuses and len(fresh.calls("echo")) <= 3
    assert gateway.recorded(reason="rate-limited")


# -- SQL in an argument --------------------------------------------------------------------------
@pytest.mark.parametrize("sql, allowed", [
    ("select id from public.orders", True),
    ("SELECT count(*) FROM public.orders WHERE id = 1", True),
    ("select * from (select id from public.orders) x", True),
    ("select 1; drop table public.orders", False),
    ("drop table public.orders", False),
    ("select cvv from public.orders", False),
    ("select * from public.payments", False),
    ("select * from public.orders, public.payments", False),
    ("with x as (delete from public.orders returning *) select * from x", False),
    ("select * from public.orders where id in (select id from public.payments)", False),
    ("explain analyze delete from public.orders", False),
    ("copy public.orders to '/tmp/x'", False),
    ("do $$ begin delete from public.orders; end $$", False),
    ("select pg_read_file('/etc/passwd')", False),
    ("select * into t from public.orders", False),
    ("select * from public.orders for update", None),
    ("commit; drop table public.orders", False),
    ("sel" + "ect * from", False),
    ("", None),  # no statement: nothing happens
    ("/* only a comment */", None),
    ("/* only a comment */ drop table public.orders", False),
    ("select " + "(" * 5000 + "1" + ")" * 5000, None),  # a constant
    ("select " + "(" * 5000 + "cvv" + ")" * 5000 + " from public.orders", False),
    ("select " + "(select " * 3000 + "1" + ")" * 3000, False),
    ("select id from \"public\".\"orders\"", True),
    ("select id from PUBLIC.ORDERS", True),
    ("select * from public.orders", False),  # holds the denied column
    ("select id from \"PUBLIC\".\"ORDERS\"", False),
    ("select * from orders", None),
    ("select\u00a0* from public.payments", False),
    (7, False), (None, False), (["select 1"], True), (["select 1", "drop table public.orders"], False), (["select 1", 7], False),
    ({"a": 1}, False),
])
def test_sql_argument(gateway, fresh, sql, allowed):
    arguments = {} if sql is None else {"sql": sql}
    reply = gateway.client("payments", "ana").call("execute_sql", arguments)
    if allowed is None:
        assert gateway.alive()
    elif allowed:
        assert reply.text().startswith("ran:"), reply
        assert pans.shown_in(reply.body) == []
    else:
        assert denial(reply)["decision"] == "deny"
        assert fresh.calls("execute_sql") == []


@pytest.mark.parametrize("sql, allowed", [
    ("delete from public.orders where id = 1", True), ("update public.orders set note = 'x' where id = 1", True),
    ("delete from public.orders", False), ("update public.orders set note = 'x'", False), ("truncate public.orders", False)])
def test_sql_without_where(gateway, fresh, sql, allowed):
    reply = gateway.client("payments", "auditor").call("execute_sql", {"sql": sql})
    if allowed:
        assert reply.text().startswith("ran:")
    else:
        assert denial(reply)["decision"] == "deny" and fresh.calls("execute_sql") == []


# -- pinned definitions --------------------------------------------------------------------------
MUTATIONS = ["description", "schema", "annotations", "output", "title", "renamed"]


@pytest.fixture
def pinned(upstream):
    upstream.reset()
    yield upstream
    upstream.reset()


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("connection", ["review", "deny"])
def test_changed_tool_is_quarantined(start_gateway, tmp, oidc, policies, pinned, connection, mutation):
    mode = connection
    gateway = start_gateway(tmp, oidc, [http_connection(connection, pinned.url, labels={"pinned": "yes"}, pin_tools=mode)],
                            policies[-1:])
    client = gateway.client(connection)
    assert "pinned_tool" in client.tool_names()
    assert client.call("pinned_tool", {"id": "1"}).text() == "pinned 1"
    assert gateway.recorded(event="tool.pinned")
    pinned.set(mutate=mutation)
    pinned.change("tools")
    name = "pinned_tool_v2" if mutation == "renamed" else "pinned_tool"
    assert eventually(lambda: name not in client.tool_names(), 5), "the changed definition is shown"
    before = len(pinned.calls(name))
    reply = client.call(name, {"id": "2"})
    assert len(pinned.calls(name)) == before, "the changed tool was called"
    if "result" in reply.answer:
        assert denial(reply)["reason"] == "tool-quarantined"
    else:
        assert reply.error["code"] == -32602
    assert gateway.recorded(event="tool.changed")
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"  # the others go on


def test_new_tool_and_changed_instructions(start_gateway, tmp, oidc, policies, pinned):
    gateway = start_gateway(tmp, oidc, [http_connection("review", pinned.url, labels={"pinned": "yes"}, pin_tools="review")], policies[-1:])
    client = gateway.client("review").start()
    original = client.instructions
    assert client.call("pinned_tool", {"id": "1"}).text() == "pinned 1"
    pinned.set(mutate="added")
    pinned.change("tools")
    client.tool_names()
    reply = client.call("late_tool")
    assert pinned.calls("late_tool") == [] or "result" not in reply.answer or reply.result.get("isError")
    pinned.set(mutate="instructions")
    gateway.stop()
    gateway.start()  # forgets what the upstream said of itself
    for version in (MODERN, LEGACY[0]):
        again = gateway.client("review", version=version).start()
        assert again.instructions is None, "changed instructions reached the model"
    assert any(e["detail"].startswith("instructions") for e in gateway.recorded(event="tool.changed"))
    shown = gateway.run("pins", "review", "--config", gateway.config_path).stdout
    assert re.search(r"^waiting    instructions [0-9a-f]{16} \(changed\)$", shown, re.M), shown
    pinned.reset()
    gateway.stop()
    gateway.start()
    assert original and gateway.client("review").start().instructions == original


def test_pins_survive_a_restart_and_are_accepted_by_command(start_gateway, tmp, oidc, policies, pinned):
    gateway = start_gateway(tmp, oidc, [http_connection("review", pinned.url, labels={"pinned": "yes"}, pin_tools="review")], policies[-1:])
    assert gateway.client("review").call("pinned_tool", {"id": "1"}).text() == "pinned 1"
    gateway.stop()
    pinned.set(mutate="description")
    gateway.start()
    client = gateway.client("review")
    assert "pinned_tool" not in client.tool_names()
    assert eventually(lambda: "pinned_tool" not in client.tool_names())
    shown = gateway.run("pins", "review", "--config", gateway.config_path)
    assert shown.returncode == 0 and "pinned_tool" in shown.stdout
    accepted = gateway.run("pins", "review", "--config", gateway.config_path, "--accept")
    assert accepted.returncode == 0, accepted.stderr
    assert eventually(lambda: gateway.reload() or "pinned_tool" in gateway.client("review").tool_names(), 8, step=0.5)


def test_denied_changes_cannot_be_accepted(start_gateway, tmp, oidc, policies, pinned):
    """pin_tools: deny. Nobody lets the change in; the tool comes back with its accepted definition."""
    gateway = start_gateway(tmp, oidc, [http_connection("deny", pinned.url, labels={"pinned": "yes"}, pin_tools="deny")], policies[-1:])
    client = gateway.client("deny")
    assert client.call("pinned_tool", {"id": "1"}).text() == "pinned 1"
    pinned.set(mutate="description")
    pinned.change("tools")
    assert eventually(lambda: "pinned_tool" not in client.tool_names(), 5)
    refused = client.call("pinned_tool", {"id": "2"})
    assert denial(refused)["reason"] == "tool-quarantined" and "denied here" in refused.text()
    shown = gateway.run("pins", "deny", "--config", gateway.config_path)
    assert shown.returncode == 0 and "denied     pinned_tool (changed)" in shown.stdout
    accepted = gateway.run("pins", "deny", "--config", gateway.config_path, "--accept")
    assert accepted.returncode == 3 and "pin_tools: deny" in accepted.stderr
    assert "pinned_tool" not in client.tool_names()
    pinned.reset()
    pinned.change("tools")
    assert eventually(lambda: "pinned_tool" in client.tool_names(), 5)
    assert client.call("pinned_tool", {"id": "3"}).text() == "pinned 3"
    nobody = gateway.run("pins", "nobody", "--config", gateway.config_path)
    assert nobody.returncode == 2 and "nobody" in nobody.stderr


def test_tools_with_impossible_headers_are_not_shown(gateway, fresh):
    """A tool whose x-mcp-header annotation breaks the rules is dropped from the list, the others stay."""
    fresh.set(mutate="bad-headers")
    fresh.change("tools")
    names = eventually(lambda: (n := gateway.client("plain", "tester").tool_names()) and [x for x in n if x.startswith("bad_header_")] == [] and n)
    assert names and "echo" in names and "test_x_mcp_header" in names
    reply = gateway.client("plain", "tester").call("bad_header_crlf", {"x": "y"}, headers={"Mcp-Param-A": "y"})
    assert "error" in reply.answer or reply.result.get("isError")
    for sent in fresh.captured():
        assert "injected" not in [h.lower() for h in sent["headers"][::2]]


def test_poisoned_description_has_no_card_number(gateway):
    tools = gateway.client("review").tools()
    assert pans.shown_in(json.dumps(tools)) == []
    described = next(t for t in tools if t["name"] == "described_card")
    assert pans.masked_last4(pans.pan("description")) in described["description"]
