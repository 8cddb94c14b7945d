"""Values in clear: asked for with a call, held for a person, shown up to a number and a time to this caller once, and masked
everywhere else. What the caller got in clear is kept out of the byte search of the run; everything else is in it."""

import json
import re
import time

import pytest

from kit import capture, pans, refunds
from kit.mcp import MODERN, note
from kit.parts import Gateway, http_connection

HOLD = 2
META = "sallyport/unmask"
POLICIES = [
    {"id": "refunds", "effect": "approve", "approval": "leads-one", "who": ["group:testers"],
     "on": {"connection": "orders", "tools": ["refund_order"]}},
    {"id": "reads", "effect": "allow", "who": ["any"],
     "on": {"connection": "orders", "tools": ["get_order", "export_all", "card_*", "echo", "read_*"]}},
]
UNMASK = [
    {"who": ["user:tom@example.com"], "detectors": ["pan"], "approval": "leads-one", "max_values": 3, "ttl": "1s"},
    {"who": ["group:testers", "agent:agent-refunds"], "detectors": ["pan"], "approval": "leads-one", "max_values": 3, "ttl": "15m"},
]


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    def changes(config):
        config["server"]["limits"] = {"approval_hold": f"{HOLD}s", "approvals_per_hour": 10000, "approvals_per_caller": 1000}
        config["masking"]["unmask"] = UNMASK
        config["masking"]["detectors"].append({"name": "iban", "kind": "regex", "pattern": r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b", "render": "last4"})
    part = Gateway(scratch / "gateway", oidc, [http_connection("orders", upstream.url)], POLICIES, changes=changes)
    yield part
    part.stop()


@pytest.fixture
def mark():
    return refunds.mark("m")


def ask(client, tool, args, detectors=("pan",), reason="case 7", **how):
    return client.call(tool, args, meta={META: {"detectors": list(detectors), "reason": reason}}, **how)


def shown(client, tool, args, **how):
    """The answer after the approval, kept out of the byte search, and the planted numbers that stand in it."""
    with capture.aside():
        reply = ask(client, tool, args, **how)
    return reply, [name for name, digits in pans.all_pans().items()
                   if digits in re.sub(r"(?<=\d)[ -](?=\d)", "", reply.body.decode())]


def waits(reply, version=MODERN):
    if version == MODERN:
        assert reply.result.get("resultType") == "input_required", reply
    else:
        assert note(reply.result)["reason"] == "approval-required", reply


def outcome(gateway, approval_id):
    intent = gateway.recorded(event="call.intent", approval_id=approval_id)[0]
    return intent, gateway.recorded(event="call.outcome", intent=intent["index"])[0]


@pytest.mark.parametrize("version", [MODERN, "2025-11-25", "2025-03-26"])
def test_asked_held_approved_and_exactly_so_many_in_clear(gateway, lead, upstream, mark, version):
    client = gateway.client("orders", "tester", version).start()
    args = {"mark": mark}
    waits(ask(client, "export_all", args), version)
    assert not [c for c in upstream.captured() if mark in c["body"]]
    request = lead.waiting(mark)
    assert request["unmask"] == {"detectors": ["pan"], "max_values": 3, "ttl_seconds": 900, "person": "tess@example.com",
                                 "reason": "case 7"}
    assert "shows up to 3 values of pan in clear to tess@example.com" in request["effect_in_words"], request
    assert lead.decide(request, True)[0] == 200
    # Approved is this, with other arguments or without the wish it is something else.
    other = ask(client, "export_all", {"mark": mark + "x"})
    waits(other, version)
    plain = client.call("export_all", args)
    assert pans.shown_in(plain.body) == []
    reply, names = shown(client, "export_all", args)
    assert len(names) == 3, names
    text = reply.text()
    assert text.count("*") > 100 and text.splitlines()[0] == pans.pan("text")
    # Once: it is asked for again.
    waits(ask(client, "export_all", args), version)
    # Upstream there was nothing of it.
    sent = [c["body"] for c in upstream.captured() if mark in c["body"]]
    assert len(sent) == 2 and not any("unmask" in body for body in sent), sent
    # The log says what was shown, and shows none of it.
    intent, out = outcome(gateway, request["id"])
    assert intent["unmask"]["detectors"] == ["pan"] and intent["unmask"]["max_values"] == 3 and intent["unmask"]["until"]
    assert out["unmask"] == {"unmasked": 3, "places": 3}
    assert sum(m["count"] for m in out["masked"]) > 3 and pans.shown_in(json.dumps(out)) == []


def test_text_and_structured_content_look_alike(gateway, lead, mark):
    client = gateway.client("orders", "tester")
    waits(ask(client, "get_order", {"id": mark}))
    lead.approve(mark)
    reply, names = shown(client, "get_order", {"id": mark})
    assert names == ["text"]
    assert reply.result["structuredContent"]["card"] == pans.pan("text") and pans.pan("text") in reply.text()


def test_the_answer_comes_to_the_call_that_waits(gateway, lead, mark):
    from test_hold_mcp import Later
    client = gateway.client("orders", "tester")
    running = Later(lambda: shown(client, "get_order", {"id": mark}))
    lead.approve(mark)
    assert running.get()[1] == ["text"]


def test_an_approval_of_the_rule_and_of_the_values_is_one(gateway, lead, upstream, mark):
    client = gateway.client("orders", "tester")
    args = {"order_id": mark, "amount": 1}
    waits(ask(client, "refund_order", args))
    assert len(lead.find(mark)) == 1
    lead.approve(mark)
    assert "refunded" in ask(client, "refund_order", args).text()


def test_denied(gateway, lead, upstream, mark):
    client = gateway.client("orders", "tester")
    waits(ask(client, "get_order", {"id": mark}))
    lead.deny(mark)
    reply = ask(client, "get_order", {"id": mark})
    assert note(reply.result)["reason"] == "approval-denied", reply
    assert pans.shown_in(reply.body) == [] and not [c for c in upstream.captured() if mark in c["body"]]


def test_approved_but_too_late(gateway, lead, upstream, mark):
    client = gateway.client("orders", "tester2")
    waits(ask(client, "get_order", {"id": mark}))
    first = lead.approve(mark)
    time.sleep(1.2)
    waits(ask(client, "get_order", {"id": mark}))
    assert lead.state(first["id"]) == "withdrawn"
    assert not [c for c in upstream.captured() if mark in c["body"]]


def test_the_time_ends_while_the_tool_works(gateway, lead, mark):
    client = gateway.client("orders", "tester2")
    args = {"ms": 1500, "mark": mark}
    waits(ask(client, "card_slow", args))
    request = lead.approve(mark)
    reply = ask(client, "card_slow", args)
    assert "************" in reply.text() and pans.shown_in(reply.body) == []
    assert outcome(gateway, request["id"])[1]["unmask"] == {"unmasked": 0, "places": 0}


@pytest.mark.parametrize("who, detectors", [
    ("ana", ["pan"]),             # no entry speaks of her
    ("agent-refunds", ["pan"]),   # nobody is named who would see it: a group answers for the agent
    ("tester", ["sad"]), ("tester", ["pan", "sad"]), ("tester", ["iban"])])
def test_not_for_everybody_and_not_everything(gateway, lead, upstream, mark, who, detectors):
    reply = ask(gateway.client("orders", who), "get_order", {"id": mark}, detectors)
    assert note(reply.result)["reason"] == "unmask-denied", reply
    assert lead.find(mark) == [] and not [c for c in upstream.captured() if mark in c["body"]]
    denied = gateway.recorded(event="call.denied", reason="unmask-denied")
    assert any(mark in json.dumps(e) for e in denied)


def test_what_was_not_asked_for_stays_hidden(gateway, lead, mark):
    """The answer holds a value of another detector beside the card number."""
    client, args = gateway.client("orders", "tester"), {"message": f"{mark} DE89370400440532013000 and card {pans.pan('text')}"}
    waits(ask(client, "echo", args))
    lead.approve(mark)
    reply, names = shown(client, "echo", args)
    assert names == ["text"] and b"DE89370400440532013000" not in reply.body and b"3000 and card" in reply.body, reply


def test_authentication_data_never(gateway, lead, mark):
    """A number inside a track is a card number too, and stays hidden with it."""
    client = gateway.client("orders", "tester")
    waits(ask(client, "card_sad", {"mark": mark}))
    request = lead.approve(mark)
    reply = ask(client, "card_sad", {"mark": mark})  # inside the byte search
    assert pans.shown_in(reply.body) == [] and b"29121010000000000000" not in reply.body and b"737" not in reply.body
    assert outcome(gateway, request["id"])[1]["unmask"]["unmasked"] == 0


@pytest.mark.parametrize("asked", [True, [], {}, {"detectors": []}, {"detectors": "pan"}, {"detectors": ["pan"], "max_values": 100}])
def test_other_forms_are_refused(gateway, upstream, mark, asked):
    reply = gateway.client("orders", "tester").call("get_order", {"id": mark}, meta={META: asked})
    assert reply.error["data"]["gateway"]["reason"] == "request-malformed", reply
    assert not [c for c in upstream.captured() if mark in c["body"]]


def test_only_with_tools(gateway):
    reply = gateway.client("orders", "tester").request("tools/list", {}, meta={META: {"detectors": ["pan"]}})
    assert reply.error["data"]["gateway"]["reason"] == "request-malformed", reply


def test_not_in_a_task(gateway, lead, mark):
    """An answer in clear is not kept until somebody fetches it."""
    tasks = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    client = gateway.client("orders", "tester", capabilities=tasks)
    waits(ask(client, "get_order", {"id": mark}))
    old = gateway.client("orders", "tester", "2025-11-25").start()
    old.call("echo", {"message": "so that the list is known"})
    old.tools()
    reply = ask(old, "get_order", {"id": mark}, params={"task": {"ttl": 60000}})
    assert "unmask-denied" in reply.body.decode(), reply


def test_replay_shows_it_and_nothing_that_the_gate_keeps_has_a_number(gateway, lead, mark):
    client = gateway.client("orders", "tester")
    waits(ask(client, "get_order", {"id": mark}, reason=f"case {pans.pan('text')}"))
    request = lead.waiting(mark)
    assert request["unmask"]["reason"] == "case ************5709"
    lead.decide(request, True)
    assert shown(client, "get_order", {"id": mark})[1] == ["text"]
    intent, _ = outcome(gateway, request["id"])
    replayed = gateway.run("replay", "--data-dir", gateway.data_dir, intent["session"])
    assert replayed.returncode == 0, replayed.stderr
    assert "up to 3 values of pan until" in replayed.stdout and "1 values at 2 places" in replayed.stdout, replayed.stdout
    listed = gateway.run("audit", "verify", str(gateway.data_dir))
    assert listed.returncode == 0, listed.stdout + listed.stderr
    kept = [f for f in gateway.data_dir.rglob("*") if f.is_file() and f.parent.name != "reads"]  # a spool: it goes
    assert any(f.name == "state.db" for f in kept)
    blobs = {str(f): f.read_bytes() for f in kept} | {"metrics": gateway.ops("/metrics")[1].encode(),
                                                      "replay": replayed.stdout.encode(),
                                                      "log lines": (gateway.process.out + gateway.process.err).encode()}
    for name, data in blobs.items():
        assert pans.shown_in(data) == [], name
