"""`policy whatif`: what a log holds, judged again by other rules. The oracle is a gateway that has these rules and gets the same calls."""

import copy
import json
import shutil

import pytest

from kit.parts import Gateway, http_connection, run
from kit.process import eventually

TESTERS = [{"id": "testers", "effect": "allow", "who": ["group:testers"],
            "on": {"connection": "up", "tools": ["echo", "slow", "hello_world"]}}]
TIGHTER = [
    {"id": "short", "effect": "allow", "who": ["group:testers"],
     "on": {"connection": "up", "tools": ["echo"], "args": {"n": {"lte": 5}}}},
    {"id": "longer", "effect": "approve", "approval": "leads-one", "who": ["group:testers"],
     "on": {"connection": "up", "tools": ["echo"], "args": {"n": {"gt": 5, "lte": 8}}}},
    {"id": "other", "effect": "allow", "who": ["user:tom@example.com"], "on": {"connection": "up", "tools": ["slow", "stranger"]}},
    {"id": "not-this", "effect": "deny", "who": ["any"], "on": {"connection": "up", "tools": ["echo"], "args": {"text": {"eq": "no"}}}},
]
CALLS = [("echo", {"text": f"t{n}", "n": n}) for n in range(12)] + \
    [("echo", {"text": "no", "n": 1}), ("echo", {"n": "many"}), ("echo", {}), ("stranger", {}), ("echo", {"text": "t1", "n": 1})]
CARD = "4111 1111 1111 1111"


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], TESTERS)
    for who in ("tester", "tester2", "ana"):
        play(part, who)
    part.client("up").call("echo", {"text": "beside it: " + CARD, "n": 1})
    part.client("up").call("echo", {"text": CARD, "n": 1})
    part.recorded(event="call.outcome")
    yield part
    part.stop()


def play(gateway, who):
    client = gateway.client("up", who)
    for tool, arguments in CALLS:
        client.request("tools/call", {"name": tool, "arguments": arguments})


def whatif(gateway, policies, *options, data_dir=None):
    config = copy.deepcopy(gateway.config)
    config["policies"] = policies
    path = gateway.directory / "other.yaml"
    path.write_text(json.dumps(config))
    done = run("policy", "whatif", "--config", path, "--against", data_dir or gateway.data_dir, "--json", *options)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def decided(gateway):
    """Verdicts of the tool calls, by caller and in their order."""
    return [(e["who"]["name"], e["resource"], e["verdict"]) for e in gateway.audit()
            if e["event"] in ("call.intent", "call.denied") and e["method"] == "tools/call"]


def test_the_rules_that_decided_decide_the_same(gateway):
    code, found = whatif(gateway, TESTERS)
    assert code == 0 and found["different"] == 0 and found["cannot_tell"] == 0, found
    assert found["operations"] == found["same"] == found["same_rules"] >= 3 * len(CALLS) + 2
    assert gateway.recorded(event="evidence.read", method="policy whatif")


def test_it_says_what_a_gateway_with_these_rules_does(gateway, scratch, oidc, upstream):
    other = Gateway(scratch / "other", oidc, [http_connection("up", upstream.url)], TIGHTER,
                    changes=lambda config: config["server"].update(limits={"approval_hold": "100ms"}))
    for who in ("tester", "tester2", "ana"):
        play(other, who)
    before, after = decided(gateway)[:3 * len(CALLS)], decided(other)
    other.stop()
    expected = {}
    for was, now in zip(before, after, strict=True):
        assert was[:2] == now[:2]
        if was[2] != now[2]:
            key = f"{was[2]}_to_{now[2]}"
            expected[key] = expected.get(key, 0) + 1
    code, found = whatif(gateway, TIGHTER, "--to", after_all(gateway, 3 * len(CALLS)), "--examples", 100)
    assert code == 3 and found["changes"] == expected and found["cannot_tell"] == 0, (found, expected)
    assert {"allow_to_deny", "allow_to_approve", "deny_to_allow"} <= set(expected)
    shown = [e for e in gateway.audit() if e["index"] == found["examples"][0]["index"]]
    assert shown[0]["verdict"] == found["examples"][0]["was"]["verdict"]
    assert "t11" not in json.dumps(found), "an argument's value"


def after_all(gateway, calls):
    """The time of the first tool call behind `calls` others."""
    return [e for e in gateway.audit() if e["event"] in ("call.intent", "call.denied") and e["method"] == "tools/call"][calls]["time"]


def test_what_a_masked_value_decides_cannot_be_told(gateway):
    by_text = [{"id": "t", "effect": "allow", "who": ["group:testers"],
                "on": {"connection": "up", "tools": ["echo"], "args": {"text": {"eq": "t1"}}}}]
    code, found = whatif(gateway, by_text, "--from", after_all(gateway, 3 * len(CALLS)))
    assert found["unknown"] == {"masked-value": 2} and found["different"] == 0 and code == 0, found
    assert whatif(gateway, by_text, "--from", after_all(gateway, 3 * len(CALLS)), "--allow-unknown", 1)[0] == 3
    assert whatif(gateway, by_text, "--from", after_all(gateway, 3 * len(CALLS)), "--allow-unknown", 2)[0] == 0
    # Beside it nothing decides: it can be told.
    code, found = whatif(gateway, TIGHTER[:1], "--from", after_all(gateway, 3 * len(CALLS)))
    assert found["cannot_tell"] == 0 and found["same"] >= 2, found


def test_a_gate_for_changes(gateway):
    nobody = [{"id": "nobody", "effect": "deny", "who": ["any"], "on": {"connection": "up"}}]
    code, found = whatif(gateway, nobody)
    assert code == 3 and found["different"] > 20
    assert whatif(gateway, nobody, "--allow", found["different"])[0] == 0
    assert whatif(gateway, nobody, "--allow", found["different"] - 1)[0] == 3
    assert [r for r in found["rules"] if r["rule"] == "nobody"][0]["now"] > 20


def test_bad_questions(gateway, tmp):
    assert whatif(gateway, TESTERS, data_dir=tmp)[0] == 1
    code, error = whatif(gateway, TESTERS, "--from", "2099-01-01")
    assert code == 1 and "nothing was judged" in error
    assert whatif(gateway, TESTERS, "--from", "yesterday")[0] == 2
    assert whatif(gateway, [{"id": "x", "effect": "perhaps", "who": ["any"]}])[0] == 78
    assert run("policy", "whatif", "--config", gateway.config_path).returncode == 2


def test_a_copy_of_a_log_is_enough(gateway, tmp):
    for part in ("log", "wal"):
        shutil.copytree(gateway.data_dir / part, tmp / "copy" / part)
    code, found = whatif(gateway, TESTERS, data_dir=tmp / "copy")
    assert code == 0 and found["different"] == 0


def test_versions_of_the_rules_have_names(gateway):
    def versions():
        done = run("policy", "log", gateway.data_dir, "--json", check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]
    first, = versions()
    assert first["author"] == first["approver"] == "not stated" and first["rules"] == len(TESTERS)
    gateway.config["change"] = {"author": "ana@example.com", "approver": "tom@example.com", "ticket": "CHG-7"}
    gateway.config["policies"] = TIGHTER
    gateway.write_config()
    for _ in range(2):
        seen = len(gateway.audit("policy.adopted"))
        gateway.reload()
        assert eventually(lambda before=seen: len(gateway.audit("policy.adopted")) > before, 10, step=0.2)
    second = versions()[-1]
    assert (second["author"], second["approver"], second["ticket"]) == ("ana@example.com", "tom@example.com", "CHG-7")
    assert second["policy_version"] != first["policy_version"] and second["rules"] == len(TIGHTER)
    assert len(versions()) == 2, "the same again is no version"
    gateway.config["change"]["approver"] = "ANA@example.com"
    gateway.write_config()
    done = run("validate", gateway.config_path, "--json")
    assert done.returncode == 78 and "CFG-CONFLICT" in done.stdout
    assert run("policy", "log", gateway.directory).returncode == 1
