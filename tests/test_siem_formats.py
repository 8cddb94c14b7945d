"""The log as events of other systems: OCSF by its published schema, CEF and ECS by their rules, and what hostile text can do to them."""

import json
import re

import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
from jsonschema import Draft202012Validator

from kit import pans
from kit.parts import Gateway, http_connection, run
from kit.pg_gate import CALLER, PgGateway, database, rule
from kit.pgwire import Where, Wire, errors
from kit.postgres import Postgres
from kit.process import eventually

FORGED = ("x\n{\"index\":1}\r\nCEF:0|a|b|1|e|n|9|act=allow | \\ = \x1b[2J \x7f \u0085 \u2028 <13>1 - - - - - - forged "
          "4111 1111 1111 1111")
SCHEMA = get_ocsf_schema("1.8.0")
SCHEMAS = OcsfJsonSchemaEmbedded(SCHEMA)
_validators = {}


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    policies = [{"id": "testers", "effect": "allow", "who": ["group:testers"], "on": {"connection": "up", "tools": ["*"]}},
                {"id": "no-export", "effect": "deny", "who": ["any"], "on": {"connection": "up", "tools": ["export_*"]}},
                {"id": "held", "effect": "approve", "approval": "leads-one", "who": ["any"],
                 "on": {"connection": "up", "tools": ["refund_order"]}}]
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], policies,
                   changes=lambda c: c["server"].update(limits={"approval_hold": "100ms"}))
    yield part
    part.stop()


@pytest.fixture(scope="module")
def story(gateway):
    """A bit of everything, with text that was made to deceive."""
    tester = gateway.client("up", "tester")
    tester.call("card_text")
    tester.call("echo", {"message": FORGED})
    tester.call("echo", {"message": FORGED * 300})
    tester.call("export_all")
    tester.call(FORGED[:60])
    tester.call("refund_order", {"order": "o_1", "amount": 10})
    gateway.client("up", "agent-refunds").call("get_order", {"id": "o_1"})
    legacy = gateway.client("up", "tester2", "2025-11-25").start()
    legacy.call("progress", {"steps": 2}, progress_token="p")
    legacy.close()
    gateway.client("up", token="garbage").call("echo")
    gateway.reload()
    size = eventually(lambda: gateway.log_size() if gateway.log_size() == int(gateway.metric("sallyport_ledger_entries")) else 0, 10,
                      step=0.2)
    assert size > 20
    return gateway


def export(gateway, form: str, *more) -> list[str]:
    done = run("audit", "export", "--format", form, "--data-dir", gateway.data_dir, *more, check=True)
    lines = done.stdout.split("\n")
    assert lines.pop() == ""
    return lines


def uid(event: dict, form: str) -> str:
    return {"ocsf": lambda: event["metadata"]["uid"], "ecs": lambda: event["event"]["id"],
            "json": lambda: f"{event['origin']}:{event['index']}"}[form]()


def validate(event: dict) -> None:
    """Against the published schema of its class with its profiles, and the schema's constraints, which JSON Schema leaves out."""
    name = SCHEMAS.lookup_class_name_from_uid(event["class_uid"])
    profiles = event["metadata"].get("profiles", [])
    key = (name, tuple(profiles))
    if key not in _validators:
        _validators[key] = Draft202012Validator(SCHEMAS.get_class_schema(name, profiles))
    problems = [f"{'/'.join(map(str, e.absolute_path))}: {e.message[:300]}" for e in _validators[key].iter_errors(event)]
    assert problems == [], json.dumps(event)
    constraints(SCHEMA["classes"][name], event)
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000


def constraints(definition: dict, value: dict) -> None:
    for rule, names in (definition.get("constraints") or {}).items():
        there = [n for n in names if n in value]
        assert len(there) == 1 if rule == "just_one" else there, (definition.get("caption"), rule, names, value)
    for name, attribute in definition["attributes"].items():
        kind = attribute.get("object_type")
        if name in value and kind in SCHEMA["objects"]:
            for part in value[name] if isinstance(value[name], list) else [value[name]]:
                constraints(SCHEMA["objects"][kind], part)


def test_each_event_is_valid_ocsf(story):
    events = [json.loads(line) for line in export(story, "ocsf")]
    for event in events:
        validate(event)
    assert {1008, 6002, 3002, 6003, 3005} <= {e["class_uid"] for e in events}
    assert not [e for e in events if e["class_uid"] == 0], "an event of ours has no class"


def test_the_validator_can_fail(story):
    event = json.loads(export(story, "ocsf", "--from", "0", "--to", "1")[0])
    for change in ({"class_uid": 6003}, {"nonsense": 1}, {"severity_id": 7}, {"time": "now"}):
        with pytest.raises((AssertionError, KeyError)):
            validate({**event, **change})


@pytest.mark.parametrize("form", ["ocsf", "ecs", "json"])
def test_each_entry_is_one_line_with_its_place_in_the_log(story, form):
    lines = export(story, form)
    events = [json.loads(line) for line in lines]
    assert [uid(e, form) for e in events] == [f"tests.example.com/log:{i}" for i in range(len(events))]
    assert not [line for line in lines if re.search("[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029]", line)]
    leaves = {e["leaf_hash"] if form == "json" else e["unmapped" if form == "ocsf" else "sallyport"]["leaf_hash"] for e in events}
    assert len(leaves) == len(events)


def test_the_leaf_hash_is_that_of_the_log(story):
    import base64
    import hashlib
    bundle = (story.data_dir / "log/tile/entries").rglob("*")
    first = sorted((p for p in bundle if p.is_file()), key=lambda p: p.stat().st_size)[-1].read_bytes()
    size = int.from_bytes(first[:2], "big")
    want = base64.b64encode(hashlib.sha256(b"\0" + first[2:2 + size]).digest()).decode()
    assert json.loads(export(story, "json", "--to", "1")[0])["leaf_hash"] == want


def read_cef(line: str) -> tuple[list[str], dict]:
    """By the rules of the format: seven fields between bars, then members that begin behind a space and end at a bare '='."""
    fields, at = [""], 0
    while len(fields) < 8:
        if line[at] == "\\":
            at += 1
            fields[-1] += line[at]
        elif line[at] == "|":
            fields.append("")
        else:
            fields[-1] += line[at]
        at += 1
    members, rest = {}, line[at:]
    starts = [m for m in re.finditer(r"(?:^| )([A-Za-z0-9]+)=", rest)]
    for m, after in zip(starts, starts[1:] + [None]):
        assert m.group(1) not in members, line
        members[m.group(1)] = re.sub(r"\\(.)", lambda e: {"n": "\n", "r": "\r"}.get(e.group(1), e.group(1)),
                                     rest[m.end():after.start() if after else None])
    return fields, members


def test_cef_can_be_read_and_not_be_forged(story):
    lines = export(story, "cef")
    assert not [line for line in lines if re.search("[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029]", line)]
    for i, line in enumerate(lines):
        fields, members = read_cef(line)
        assert fields[:3] == ["CEF:0", "sallyport", "sallyport"] and re.fullmatch("[a-z.]+", fields[4]) and 0 <= int(fields[6]) <= 10
        assert members["externalId"] == f"tests.example.com/log:{i}" and len(members["cs1"]) == 44
        assert members.get("act") in (None, "allow", "deny", "approve")
    denied = [read_cef(line)[1] for line in lines if read_cef(line)[0][4] == "call.denied"]
    assert any(m["reason"] == "rule-deny" and m["request"] == "export_all" and m["suser"] == "tess@example.com" for m in denied)
    assert any("forged" in read_cef(line)[1].get("msg", "") for line in lines)


def test_ecs_says_who_and_what(story):
    events = [json.loads(line) for line in export(story, "ecs")]
    denied = next(e for e in events if e["event"]["action"] == "call.denied" and e["event"].get("reason") == "rule-deny")
    assert denied["event"] == {**denied["event"], "category": ["api"], "type": ["access", "denied"], "outcome": "failure"}
    assert denied["user"]["name"] == "tess@example.com" and denied["source"]["ip"] == "127.0.0.1"
    assert denied["rule"]["id"] == ["no-export"]
    assert all({"@timestamp", "ecs", "event", "sallyport"} <= set(e) for e in events)


@pytest.mark.parametrize("form", ["ocsf", "cef", "ecs", "json"])
def test_no_card_number_in_any_format(story, form):
    text = "\n".join(export(story, form))
    assert "forged" in text and pans.shown_in(text) == []


def test_a_part_of_the_log(story):
    everything = export(story, "json")
    assert export(story, "json", "--from", "3", "--to", "5") == everything[3:5]
    begin = json.loads(everything[7])["time"]
    assert export(story, "json", "--from", begin)[0] == everything[7]
    assert export(story, "json", "--to", begin)[:7] == everything[:7]
    assert export(story, "json", "--from", "999999999") == []
    assert story.run("audit", "export", "--from", "yesterday", "--data-dir", story.data_dir).returncode == 2
    assert story.run("audit", "export", "--format", "leef", "--data-dir", story.data_dir).returncode != 0
    missing = story.run("audit", "export", "--data-dir", story.directory / "nothing")
    assert missing.returncode == 1 and "holds no log" in missing.stderr


def test_an_export_is_in_the_log_itself(story):
    export(story, "ecs")
    read = eventually(lambda: story.audit("evidence.read", method="audit export", resource="ecs"), 5, step=0.3)
    assert read
    event = json.loads(export(story, "ocsf", "--from", str(read[-1]["index"]), "--to", str(read[-1]["index"] + 1))[0])
    assert (event["class_uid"], event["activity_id"]) == (1008, 3)


def test_statements_are_datastore_activity(scratch, oidc):
    server = Postgres(scram=True)
    server.sql("CREATE ROLE app LOGIN PASSWORD 'siem-lab'; CREATE DATABASE shop OWNER app")
    with Wire(Where(server.port, "app", "siem-lab", "shop")) as own:
        own.rows("CREATE TABLE cards(id int, note text)")
        own.rows("INSERT INTO cards VALUES (1, 'card 4111 1111 1111 1111')")
    rules = [rule("read", "shop", statements=["SELECT"], relations=["public.*"])]
    gateway = PgGateway(scratch / "pg", oidc, [database("shop", server, "shop", "app")], rules, "siem-lab")
    try:
        with Wire(gateway.where("shop", CALLER)) as wire:
            wire.rows("SELECT * FROM cards WHERE note <> '|\\=\n4111111111111111'")
            assert errors(wire.query("DELETE FROM cards"))
        assert gateway.recorded(event="call.denied") and gateway.recorded(event="session.close")
        events = [json.loads(line) for line in export(gateway, "ocsf")]
        for event in events:
            validate(event)
        statements = [e for e in events if e["class_uid"] == 6005]
        assert {e["unmapped"]["event"] for e in statements} == {"call.intent", "call.denied", "call.outcome"}
        first = next(e for e in statements if "SELECT" in e.get("query_info", {}).get("query_string", ""))
        assert first["database"]["name"] == "shop" and first["actor"]["user"]["name"] == "tess@example.com"
        assert first["action_id"] == 1 and {e["action_id"] for e in statements if e["unmapped"]["event"] == "call.denied"} == {2}
        assert any(e["unmapped"].get("masked", {}).get("pan") for e in statements)
        for form in ("ocsf", "cef", "ecs", "json"):
            assert pans.shown_in("\n".join(export(gateway, form))) == []
    finally:
        gateway.stop()
        server.stop()


@pytest.mark.parametrize("form", ["ocsf", "cef", "ecs", "json"])
def test_what_a_receiver_has_is_compared_with_the_log(story, tmp, form):
    def delivered(lines):
        (tmp / "received").write_text("".join(line + "\n" for line in lines))
        done = run("audit", "delivered", "--receiver", f"siem-{form}", "--received", tmp / "received", "--to", str(len(there)), "--json", "--data-dir", story.data_dir)
        return done.returncode, json.loads(done.stdout)
    there = export(story, form)
    code, report = delivered(["<110>1 - - - - - - " + line for line in there] + there[:3])
    assert code == 0 and report["whole"] and report["arrived"] == len(there) and report["repeated"] == 3, report
    code, report = delivered(there[:4] + there[6:])
    assert code == 3 and report["missing"] == [[4, 6]] and report["arrived"] == len(there) - 2, report
    leaf = json.loads(export(story, "json")[9])["leaf_hash"]
    forged = there[9].replace(leaf[:20], "A" * 20)
    assert forged != there[9]
    code, report = delivered(there[:9] + [forged] + there[10:] + ["no event"])
    assert code == 3 and report["changed"] == [9] and report["unread"] == 1, report
    entries = eventually(lambda: (found := story.audit("delivery.reported", resource=f"siem-{form}"))[2:] and found, 5, step=0.3)
    kept = [(e.get("outcome", {}).get("ok", True), e["facts"]["missing"], e["facts"]["changed"]) for e in entries]
    assert sorted(kept) == [(False, [], [9]), (False, [[4, 6]], []), (True, [], [])]
