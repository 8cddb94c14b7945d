"""Calls that wait for a person, one rung of the ladder after the other, with real clients: those that declare it and those
that declare nothing. The upstream counts: nothing before the approval, once after it, never after a refusal."""

import contextlib
import json
import signal
import threading
import time

import pytest

from kit import clients
from kit.mcp import MODERN, note
from kit.parts import Gateway, http_connection
from kit.process import eventually
from kit.refunds import refund

AGENT = "agent-refunds"
HOLD = 2
POLICIES = [
    {"id": "refunds", "effect": "approve", "approval": "leads-one", "who": [f"agent:{AGENT}", "group:testers"],
     "on": {"connection": "orders", "tools": ["refund_order", "progress", "get_order"]}, "message": "Refunds need a lead."},
    {"id": "others", "effect": "allow", "who": ["any"], "on": {"connection": "orders", "tools": ["echo"]}},
]
TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
URL = {"elicitation": {"form": {}, "url": {}}}


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    def changes(config):
        config["server"]["limits"] = {"approval_hold": f"{HOLD}s", "approvals_per_hour": 10000, "approvals_per_caller": 1000}
    part = Gateway(scratch / "gateway", oidc, [http_connection("orders", upstream.url)], POLICIES, changes=changes)
    yield part
    part.stop()


def reached(upstream, order: str) -> int:
    """How many calls with this order came upstream; none of its bytes may be there otherwise."""
    calls = sum(c["args"].get("order_id") == order for c in upstream.calls("refund_order"))
    if calls == 0:
        assert not any(order in c["body"] for c in upstream.captured()), "bytes of the call went upstream"
    return calls


class Later:
    """Something that blocks, on a thread of its own."""

    def __init__(self, work, *args, **how):
        self._out = None
        self._thread = threading.Thread(target=self._run, args=(work, args, how), daemon=True)
        self._thread.start()

    def _run(self, work, args, how):
        try:
            self._out = (True, work(*args, **how))
        except BaseException as error:
            self._out = (False, error)

    def get(self, timeout: float = 60):
        self._thread.join(timeout)
        assert self._out is not None, "it did not come back"
        if not self._out[0]:
            raise self._out[1]
        return self._out[1]


def rounds(client, name: str, args: dict):
    """A client that asks again with the requestState it got, as 2026-07-28 wants it: (reply, rounds)."""
    reply = client.call(name, args)
    for n in range(1, 12):
        if reply.answer.get("result", {}).get("resultType") != "input_required":
            return reply, n
        reply = client.call(name, args, params={"requestState": reply.result["requestState"]})
    raise AssertionError("no end of input_required")


def assert_refunded(result: dict):
    assert not result.get("isError"), result
    assert result["content"][0]["text"].startswith("refunded 900"), result


def assert_refused(result: dict, reason: str):
    assert result["isError"] is True and note(result)["reason"] == reason, result
    assert note(result)["approval_id"].startswith("a_"), result


# ---- 5: park and redeem, any client

@pytest.mark.parametrize("version", [MODERN, "2025-11-25", "2025-03-26"])
def test_without_any_capability_the_answer_comes_in_time_and_the_same_call_redeems(gateway, lead, upstream, order, version):
    client = gateway.client("orders", AGENT, version).start()
    begun = time.monotonic()
    if version == MODERN:
        reply = client.call("refund_order", refund(order))
        assert reply.result["resultType"] == "input_required" and "inputRequests" not in reply.result
    else:
        reply = client.call("refund_order", refund(order))
        assert_refused(reply.result, "approval-required")
        text = reply.text()
        assert "/approvals/a_" in text and "same call again" in text, text
    assert HOLD - 0.3 < time.monotonic() - begun < HOLD + 8
    assert reached(upstream, order) == 0
    asked = lead.approve(order)
    again = client.call("refund_order", refund(order))
    assert_refunded(again.result)
    assert reached(upstream, order) == 1
    # Used up: the same call once more is another request.
    third = client.call("refund_order", refund(order))
    assert third.result.get("resultType") == "input_required" or note(third.result)["approval_id"] != asked["id"]
    assert reached(upstream, order) == 1


@pytest.mark.parametrize("era", ["v1", "v2-legacy", "v2-modern"])
def test_real_clients_that_declare_nothing(gateway, lead, upstream, order, era):
    """Approved while it waits: the answer comes as if the tool were slow."""
    token = gateway.oidc.token(AGENT)
    step = {"op": "call", "name": "refund_order", "args": refund(order)}
    how = {"url": gateway.url("orders"), "token": token, "capabilities": {}}
    if era != "v1":
        how["era"] = era.split("-")[1]
    running = Later(clients.sdk, int(era[1]), [step], **how)
    lead.waiting(order, 40)
    time.sleep(HOLD + 0.7 if era == "v2-modern" else 0.2)
    assert reached(upstream, order) == 0
    lead.approve(order)
    assert_refunded(running.get().result(0))
    assert reached(upstream, order) == 1


@pytest.mark.parametrize("era", ["v1", "v2-modern"])
def test_denials_reach_the_model(gateway, lead, upstream, order, era):
    step = {"op": "call", "name": "refund_order", "args": refund(order)}
    how = {"url": gateway.url("orders"), "token": gateway.oidc.token(AGENT), "capabilities": {}}
    if era != "v1":
        how["era"] = "modern"
    running = Later(clients.sdk, int(era[1]), [step, step], **how)
    lead.deny(order, 40, reason="the customer was paid already")
    ran = running.get()
    for result in (ran.result(0), ran.result(1)):  # the refusal holds for the same call again
        assert_refused(result, "approval-denied")
        assert "paid already" in result["content"][0]["text"] and "lea@example" not in json.dumps(result)
    assert reached(upstream, order) == 0


@pytest.mark.parametrize("era", [None, "modern"])
def test_the_inspector(gateway, lead, upstream, order, era):
    argv = ["--method", "tools/call", "--tool-name", "refund_order", "--tool-args-json", json.dumps(refund(order))]
    running = Later(clients.inspector, [gateway.url("orders")], *argv, token=gateway.oidc.token(AGENT), era=era)
    lead.waiting(order, 60)
    assert reached(upstream, order) == 0
    lead.approve(order)
    done = running.get(90)
    assert "refunded 900" in done.stdout, (done.stdout, done.stderr)
    assert reached(upstream, order) == 1


# ---- 4: progress

@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
def test_progress_while_it_waits_and_on_from_there(gateway, lead, upstream, version):
    client = gateway.client("orders", AGENT, version).start()
    stream = Later(client.stream, "tools/call", {"name": "progress", "arguments": {"steps": 3, "delay_ms": 1}},
                   progress_token="p-1").get()
    first = stream.next()
    assert first["method"] == "notifications/progress" and first["params"]["progressToken"] == "p-1"
    assert "/approvals/a_" in first["params"]["message"]
    lead.approve("steps")
    seen = [first]
    while "method" in seen[-1]:
        seen.append(stream.next())
    assert seen[-1]["result"]["content"][0]["text"] == "3 steps", seen[-1]
    values = [m["params"]["progress"] for m in seen[:-1]]
    assert values == sorted(set(values)) and values[-1] == 3, values


def test_a_client_that_lives_on_progress(gateway, lead, upstream, order):
    step = {"op": "call", "name": "refund_order", "args": refund(order), "progress": True, "reset": True, "timeout_ms": 6000}
    running = Later(clients.sdk, 1, [step], url=gateway.url("orders"), token=gateway.oidc.token(AGENT), capabilities={})
    lead.waiting(order, 40)
    time.sleep(0.5)
    lead.approve(order)
    ran = running.get()
    assert_refunded(ran.result(0))
    assert ran[0]["progress"], "no progress came"
    assert reached(upstream, order) == 1


# ---- 3: requestState

def test_request_state_rounds(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT)
    reply = client.call("refund_order", refund(order))
    state = reply.result["requestState"]
    assert reply.result.keys() <= {"resultType", "requestState", "_meta"}
    # The state is for this caller, this tool, these arguments.
    for other, args in ((gateway.client("orders", "tester"), refund(order)), (client, refund(order + "x"))):
        refused = other.call("refund_order", args, params={"requestState": state})
        assert refused.status == 400 and refused.error["data"]["gateway"]["reason"] == "state-invalid", refused
    running = Later(client.call, "refund_order", refund(order), params={"requestState": state})
    time.sleep(0.3)
    lead.approve(order)
    assert_refunded(running.get().result)
    # An old state gives no right: it only asks again.
    again = client.call("refund_order", refund(order), params={"requestState": state})
    assert again.result["resultType"] == "input_required"
    assert reached(upstream, order) == 1


def test_rounds_have_an_end(gateway, upstream, order):
    """Clients stop after ten rounds with an error of their own; the gateway's answer comes before that."""
    reply, n = rounds(gateway.client("orders", AGENT), "refund_order", refund(order))
    assert n <= 10
    assert_refused(reply.result, "approval-required")
    assert reached(upstream, order) == 0


def test_a_clients_own_input_responses_do_not_hide_the_call(gateway, lead, upstream, order):
    """What comes with the requestState of the gateway is not part of the call, and does not go upstream."""
    client = gateway.client("orders", AGENT)
    state = client.call("refund_order", refund(order)).result["requestState"]
    lead.approve(order)
    reply = client.call("refund_order", refund(order), params={
        "requestState": state, "inputResponses": {"approval": {"action": "accept"}, "other": {"action": "accept"}}})
    assert_refunded(reply.result)
    sent = [c["body"] for c in upstream.captured() if order in c["body"]]
    assert len(sent) == 1 and "inputResponses" not in sent[0] and "requestState" not in sent[0]


# ---- 2: the link, shown by the client

def test_url_elicitation(gateway, lead, upstream, order):
    step = {"op": "call", "name": "refund_order", "args": refund(order)}
    running = Later(clients.sdk, 2, [step], url=gateway.url("orders"), token=gateway.oidc.token(AGENT), era="modern",
                    capabilities=URL, elicit={"action": "accept"})
    asked = lead.approve(order, 40)
    ran = running.get()
    assert_refunded(ran.result(0))
    shown = ran.end["elicitations"]
    assert len(shown) == 1 and shown[0]["mode"] == "url", shown
    assert shown[0]["url"] == f"{gateway.public_url}/approvals/{asked['id']}"
    assert gateway.oidc.token(AGENT) not in json.dumps(shown)
    assert reached(upstream, order) == 1


def test_who_declines_the_link_takes_the_request_back(gateway, lead, upstream, order):
    step = {"op": "call", "name": "refund_order", "args": refund(order)}
    ran = clients.sdk(2, [step], url=gateway.url("orders"), token=gateway.oidc.token(AGENT), era="modern", capabilities=URL,
                      elicit={"action": "decline"})
    assert_refused(ran.result(0), "approval-closed")
    assert [r["state"] for r in lead.find(order)] == ["withdrawn"]
    assert reached(upstream, order) == 0


def test_url_elicitation_of_2025_11_25(gateway, lead, upstream, order):
    step = {"op": "call", "name": "refund_order", "args": refund(order)}
    running = Later(clients.sdk, 1, [step], url=gateway.url("orders"), token=gateway.oidc.token(AGENT), capabilities=URL,
                    elicit={"action": "accept"})
    lead.waiting(order, 40)
    time.sleep(0.5)
    asked = lead.approve(order)
    ran = running.get()
    assert_refunded(ran.result(0))
    assert [e["url"] for e in ran.end["elicitations"]] == [f"{gateway.public_url}/approvals/{asked['id']}"]


# ---- 1: tasks

def test_a_task(gateway, lead, upstream, order):
    running = Later(clients.tasks, gateway.url("orders"), gateway.oidc.token(AGENT), "refund_order", refund(order))
    lead.waiting(order, 40)
    assert reached(upstream, order) == 0
    lead.approve(order)
    done = running.get()
    assert "refunded 900" in json.dumps(done["outcome"]), done
    assert done["statuses"][0] == "working"
    assert reached(upstream, order) == 1


def test_a_task_that_is_denied_completes_with_an_error_for_the_model(gateway, lead, upstream, order):
    running = Later(clients.tasks, gateway.url("orders"), gateway.oidc.token(AGENT), "refund_order", refund(order))
    lead.deny(order, 40)
    done = json.dumps(running.get()["outcome"])
    assert '"isError": true' in done and "approval-denied" in done
    assert reached(upstream, order) == 0


def task_client(gateway, who=AGENT):
    return gateway.client("orders", who, capabilities=TASKS)


def test_a_task_is_its_callers_own(gateway, lead, upstream, order):
    made = task_client(gateway).call("refund_order", refund(order)).result
    assert made["resultType"] == "task" and made["status"] == "working" and "/approvals/a_" in made["statusMessage"]
    for params in ({"taskId": made["taskId"]}, {"taskId": made["taskId"] + "A"}, {"taskId": "task-1"}):
        who = "tester" if params["taskId"] == made["taskId"] else AGENT
        assert task_client(gateway, who).request("tasks/get", params).error["message"] == "Unknown task"
    no_extension = gateway.client("orders", AGENT).request("tasks/get", {"taskId": made["taskId"]})
    assert no_extension.error["code"] == -32021
    seen = task_client(gateway).request("tasks/get", {"taskId": made["taskId"]}).result
    assert seen["status"] == "working" and seen["taskId"] == made["taskId"]


def test_a_task_of_2025_11_25(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT, "2025-11-25").start()
    client.tools()
    made = client.call("refund_order", refund(order), params={"task": {"ttl": 60000}}).result["task"]
    assert made["status"] == "working" and "/approvals/a_" in made["statusMessage"] and {"ttl", "createdAt", "pollInterval"} <= made.keys()
    assert client.request("tasks/get", {"taskId": made["taskId"]}).result["status"] == "working"
    waiting = Later(client.request, "tasks/result", {"taskId": made["taskId"]})
    lead.approve(order)
    result = waiting.get().result
    assert_refunded(result)
    assert result["_meta"]["io.modelcontextprotocol/related-task"] == {"taskId": made["taskId"]} and "resultType" not in result
    assert client.request("tasks/get", {"taskId": made["taskId"]}).result["status"] == "completed"
    assert reached(upstream, order) == 1


def test_a_denied_and_a_cancelled_task_of_2025_11_25(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT, "2025-11-25").start()
    client.tools()
    denied = client.call("refund_order", refund(order + "-no"), params={"task": {}}).result["task"]["taskId"]
    lead.deny(order + "-no")
    assert_refused(client.request("tasks/result", {"taskId": denied}).result, "approval-denied")
    cancelled = client.call("refund_order", refund(order), params={"task": {}}).result["task"]["taskId"]
    assert client.request("tasks/cancel", {"taskId": cancelled}).result["status"] == "cancelled"
    assert [r["state"] for r in lead.find(order + '"')] == ["withdrawn"]
    assert reached(upstream, order) == reached(upstream, order + "-no") == 0


def test_a_cancelled_task_takes_the_request_back(gateway, lead, upstream, order):
    client = task_client(gateway)
    made = client.call("refund_order", refund(order)).result
    request = lead.waiting(order)
    assert client.request("tasks/cancel", {"taskId": made["taskId"]}).result["resultType"] == "complete"
    assert lead.state(request["id"]) == "withdrawn"
    assert client.request("tasks/get", {"taskId": made["taskId"]}).result["status"] == "cancelled"
    status, answer = lead.decide(request, True)
    assert status != 200, answer
    assert reached(upstream, order) == 0


def poll(client, task: str, timeout: float = 15) -> dict:
    return eventually(lambda: (lambda seen: seen if seen["status"] != "working" else None)(
        client.request("tasks/get", {"taskId": task}).result), timeout, 0.1)


@pytest.mark.parametrize("first", ["client", "lead"])
def test_a_task_outlives_the_gateway(gateway, lead, upstream, order, first):
    client = task_client(gateway)
    made = client.call("refund_order", refund(order)).result
    gateway.process.signal(signal.SIGKILL)
    gateway.process.popen.wait(10)
    gateway.start()
    if first == "client":
        assert client.request("tasks/get", {"taskId": made["taskId"]}).result["status"] == "working"
    assert reached(upstream, order) == 0
    lead.approve(order)
    ended = poll(client, made["taskId"])
    assert ended["status"] == "completed" and "refunded 900" in json.dumps(ended["result"]), ended
    assert reached(upstream, order) == 1


def test_an_answer_that_was_lost_is_not_made_again(gateway, lead, upstream, order):
    client = task_client(gateway)
    made = client.call("refund_order", refund(order)).result
    lead.approve(order)
    assert poll(client, made["taskId"])["status"] == "completed"
    gateway.process.signal(signal.SIGKILL)
    gateway.process.popen.wait(10)
    gateway.start()
    ended = poll(client, made["taskId"])
    assert ended["status"] == "failed" and "sent once" in ended["error"]["message"], ended
    assert reached(upstream, order) == 1


# ---- going away

def test_an_explicit_cancel_takes_the_request_back(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT, "2025-11-25").start()
    body = client.message("tools/call", {"name": "refund_order", "arguments": refund(order)})
    running = Later(client.http, "POST", body, client.headers(body))
    request = lead.waiting(order)
    client.notify("notifications/cancelled", {"requestId": body["id"], "reason": "the person pressed stop"})
    assert eventually(lambda: lead.state(request["id"]) == "withdrawn", 5, 0.05)
    running.get()
    assert reached(upstream, order) == 0


def test_a_client_that_has_waited_too_long_finds_its_request_again(gateway, lead, upstream, order):
    """SDKs cancel what their own limit ends; the next attempt finds the approval."""
    token = gateway.oidc.token(AGENT)
    step = {"op": "call", "name": "refund_order", "args": refund(order)}
    ran = clients.sdk(1, [{**step, "timeout_ms": 700}], url=gateway.url("orders"), token=token, capabilities={})
    assert "timed out" in ran[0]["error"]["message"]
    lead.approve(order)
    assert_refunded(clients.sdk(1, [step], url=gateway.url("orders"), token=token, capabilities={}).result(0))
    assert reached(upstream, order) == 1


def test_a_closed_stream_leaves_the_request(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT)
    stream = Later(client.stream, "tools/call", {"name": "refund_order", "arguments": refund(order)}, progress_token=7).get()
    stream.next()
    stream.close()
    lead.approve(order)
    time.sleep(0.4)
    assert reached(upstream, order) == 0, "a call ran that nobody waits for"
    assert_refunded(rounds(client, "refund_order", refund(order))[0].result)
    assert reached(upstream, order) == 1


def test_the_hold_survives_a_restart(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT)
    state = client.call("refund_order", refund(order)).result["requestState"]
    gateway.process.signal(signal.SIGKILL)
    gateway.process.popen.wait(10)
    gateway.start()
    lead.approve(order)
    assert_refunded(client.call("refund_order", refund(order), params={"requestState": state}).result)
    assert reached(upstream, order) == 1


def test_a_stopping_gateway_lets_nobody_wait(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT, "2025-11-25").start()
    running = Later(client.call, "refund_order", refund(order))
    lead.waiting(order)
    begun = time.monotonic()
    gateway.stop()
    assert time.monotonic() - begun < 10
    gateway.start()
    with contextlib.suppress(Exception):  # an answer or a closed connection, at once in any case
        running.get()
    assert reached(upstream, order) == 0


# ---- the record

def test_every_step_is_recorded(gateway, lead, upstream, order):
    client = gateway.client("orders", AGENT)
    client.call("refund_order", refund(order))
    request = lead.approve(order)
    assert_refunded(client.call("refund_order", refund(order)).result)
    ident = request["id"]

    def events():
        return [e["event"] for e in gateway.entries() if ident in json.dumps(e)]
    wanted = ["approval.requested", "call.denied", "approval.decided", "approval.redeemed", "call.intent"]
    assert eventually(lambda: [e for e in events() if e in wanted] == wanted, 10, 0.2), events()
    assert gateway.verify().returncode == 0
