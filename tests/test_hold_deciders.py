"""Who may not decide, when it is too late, and what an approval is good for: everything that is refused, with its reason and in the
log, and that the upstream got nothing of it. 50 who decide at once, 50 who use one approval at once."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import time

import pytest

from kit import pgwire
from kit.approver import Approver
from kit.mcp import MODERN
from kit.parts import http_connection
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Wire, errors, tags
from kit.postgres import Postgres
from kit.process import eventually
from kit.refunds import ask, held, refund, rule_of

PASSWORD = "deciders-password"
SHORT = 2.0
MANY = 50
LEADS = "group:payments-leads"


RULES = [rule_of("short", "short", lte=10), rule_of("two", "two", gt=10, lte=100), rule_of("one", "one", gt=100),
         {**rule("marks", "hold", effect="approve", statements=["INSERT"], relations=["public.marks"]), "approval": "one"}]


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True)
    part.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE hold OWNER app;\n\\c hold\n"
             "CREATE TABLE marks(id serial PRIMARY KEY, mark text NOT NULL); ALTER TABLE marks OWNER TO app;")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    def changes(config):
        config["server"]["limits"] = {"approval_hold": "200ms", "approvals_per_hour": 100000, "approvals_per_caller": 1000,
                                      "sessions_per_caller": 1000, "streams_per_caller": 1000, "calls_per_caller": 1000}
        identity = config["identity"]
        identity["agents"].append({"name": "agent-lea", "match": {"provider": "corp", "client_id": "agent-other"},
                                   "owner": "user:Lea"})
        identity["persons"] = [{"name": "Lea", "accounts": [{"provider": "corp", "subject": "lead"},
                                                            {"provider": "corp", "subject": "lea-private"}]}]
        flow = {"need": 1, "reason": "required", "ttl": "15m"}
        config["approvals"] = [{"name": "one", **flow, "approvers": [LEADS, "user:adam@example.com"]},
                               {"name": "two", **flow, "approvers": [LEADS], "need": 2},
                               {"name": "short", **flow, "approvers": [LEADS], "ttl": f"{SHORT:.0f}s"}]
    part = PgGateway(scratch / "gate", oidc, [database("hold", server, "hold", "app"), http_connection("orders", upstream.url)],
                     RULES, PASSWORD, changes=changes, port=oidc.first_port())
    yield part
    part.stop()


@pytest.fixture(scope="module")
def lead2(gateway):
    return Approver(gateway, "lead2")


def reached(upstream, order: str) -> int:
    runs = sum(c["args"].get("order_id") == order for c in upstream.calls("refund_order"))
    if runs == 0:
        assert upstream.captured(order) == [], "bytes of the call went upstream"
    return runs


def refused(gateway, answer: tuple[int, dict], request: dict, code: str, why: str = "", approve: bool = True) -> None:
    """The decision was refused with this reason, and the log says so."""
    status, said = answer
    assert status in (400, 403, 409, 410) and said["code"] == code, answer
    assert why in said.get("detail", ""), answer
    found = gateway.recorded(event="approval.decided", approval_id=request["id"], reason=code, ok=False)
    assert any(why in e.get("detail", "") and e["approval"]["by"]["subject"] for e in found), found
    assert all(e["approval"]["vote"] == ("approve" if approve else "deny") for e in found), found


# ---- when it is too late

def test_a_decision_after_the_time(gateway, lead, upstream, order):
    request = held(gateway, lead, order, 5)
    assert eventually(lambda: lead.state(request["id"]) == "expired", SHORT + 5, 0.1)
    refused(gateway, lead.decide(request, True), request, "approval-expired")
    assert gateway.recorded(event="approval.expired", approval_id=request["id"])
    assert ask(gateway, refund(order, 5))["approval_id"] != request["id"]
    assert reached(upstream, order) == 0


def test_an_approval_that_is_used_after_the_time(gateway, lead, upstream, order):
    request = held(gateway, lead, order, 5)
    assert lead.decide(request, True)[0] == 200
    time.sleep(SHORT + 0.2)
    said = ask(gateway, refund(order, 5))
    assert said["reason"] == "approval-required" and said["approval_id"] != request["id"], said
    assert reached(upstream, order) == 0
    assert gateway.recorded(event="approval.expired", approval_id=request["id"])
    assert not gateway.audit(event="approval.redeemed", approval_id=request["id"])


def test_an_approval_that_is_used_in_time(gateway, lead, upstream, order):
    """The other way round: the time is what made the difference above."""
    request = held(gateway, lead, order, 5)
    assert lead.decide(request, True)[0] == 200
    assert ask(gateway, refund(order, 5)) == {} and reached(upstream, order) == 1


@pytest.mark.parametrize("end", ["denied", "withdrawn", "redeemed"])
def test_a_decision_after_the_end(gateway, lead, lead2, upstream, order, end):
    request = held(gateway, lead, order)
    if end == "denied":
        assert lead.decide(request, False)[0] == 200
    elif end == "withdrawn":
        status, answer = Approver(gateway, "tester").ask("POST", f"/api/v1/approvals/{request['id']}/withdraw", {"reason": "no more"})
        assert status == 200 and answer["state"] == "withdrawn"
    else:
        assert lead.decide(request, True)[0] == 200 and ask(gateway, refund(order)) == {}
    runs = reached(upstream, order)
    refused(gateway, lead2.decide(request, True), request, "approval-closed")
    assert lead.state(request["id"]) == end
    if end != "redeemed":
        assert ask(gateway, refund(order))["reason"] == ("approval-denied" if end == "denied" else "approval-required")
    else:
        assert lead2.decide(request, False)[1]["code"] == "approval-closed"
        assert ask(gateway, refund(order))["approval_id"] != request["id"]
    assert reached(upstream, order) == runs == (end == "redeemed")


# ---- twice, and many at once

def test_a_quorum_counts_persons(gateway, oidc, lead, lead2, upstream, order):
    request = held(gateway, lead, order, 50)
    status, answer = lead.decide(request, True)
    assert status == 200 and answer["state"] == "pending" and ask(gateway, refund(order, 50))["approval_id"] == request["id"]
    refused(gateway, lead.decide(request, True), request, "approver-ineligible", "voted")
    linked = Approver(gateway, token=oidc.token_of("lea-private", "l.private@example.com", ["payments-leads"]))
    refused(gateway, linked.decide(request, True), request, "approver-ineligible", "voted")
    named = Approver(gateway, token=oidc.token_of("another-account", "LEA@example.com", ["payments-leads"]))
    refused(gateway, named.decide(request, True), request, "approver-ineligible", "voted")
    assert ask(gateway, refund(order, 50))["approval_id"] == request["id"] and reached(upstream, order) == 0
    status, answer = lead2.decide(request, True)
    assert status == 200 and answer["state"] == "approved" and [v["name"] for v in answer["votes"]] == ["lea@example.com", "luc@example.com"]
    refused(gateway, lead.decide(request, True), request, "approval-closed")
    assert ask(gateway, refund(order, 50)) == {} and reached(upstream, order) == 1


@pytest.mark.parametrize("amount, need", [(900, 1), (50, 2)])
def test_fifty_who_decide_at_once(gateway, oidc, lead, upstream, order, amount, need):
    request = held(gateway, lead, order, amount)
    crowd = [Approver(gateway, token=oidc.token_of(f"lead-{n}-{amount}", groups=["payments-leads"])) for n in range(MANY)]
    with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda one: one.decide(request, True), crowd))
    assert sum(status == 200 for status, _ in answers) == need, answers
    assert {answer["code"] for status, answer in answers if status != 200} == {"approval-closed"}
    votes = gateway.audit(event="approval.decided", approval_id=request["id"])
    assert sum(e.get("ok") is not False for e in votes) == need
    assert sum(e.get("ok") is False and e["reason"] == "approval-closed" for e in votes) == MANY - need
    assert ask(gateway, refund(order, amount)) == {} and ask(gateway, refund(order, amount))["approval_id"] != request["id"]
    assert reached(upstream, order) == 1


@pytest.mark.parametrize("version", [MODERN, "2025-11-25"])
def test_fifty_who_use_one_approval_at_once(gateway, lead, upstream, order, version):
    request = held(gateway, lead, order)
    clients = [gateway.client("orders", "tester", version, timeout=40).start() for _ in range(MANY)]
    assert lead.decide(request, True)[0] == 200
    with concurrent.futures.ThreadPoolExecutor(MANY) as pool:
        replies = list(pool.map(lambda client: client.call("refund_order", refund(order)), clients))
    for client in clients:
        client.close()
    ran = [r for r in replies if r.result.get("resultType") != "input_required" and not r.result.get("isError")]
    assert len(ran) == 1 and reached(upstream, order) == 1, (len(ran), reached(upstream, order))
    assert len(gateway.audit(event="approval.redeemed", approval_id=request["id"])) == 1
    assert len(gateway.audit(event="call.intent", approval_id=request["id"])) == 1
    # The others have asked again, all together once.
    assert len(lead.find(order)) == 2 and len(lead.find(order, "pending")) == 1


def test_fifty_statements_that_use_one_approval_at_once(gateway, server, lead, order):
    statement = f"INSERT INTO marks(mark) VALUES ('{order}')"
    direct = Wire(pgwire.Where(server.port, "postgres", database="hold", keep=False))
    wires = [Wire(gateway.where("hold")) for _ in range(MANY)]
    for wire in wires:
        wire.send("Q", statement.encode() + b"\0")
    request = lead.waiting(order)
    for wire in wires:
        assert wire.read(20)[0] == "N"
    assert direct.rows(f"SELECT count(*) FROM marks WHERE mark = '{order}'") == [["0"]]
    assert lead.decide(request, True)[0] == 200  # all of them are woken by it
    again = eventually(lambda: lead.find(order, "pending"), 20, 0.05)
    assert len(again) == 1 and again[0]["id"] != request["id"]
    assert eventually(lambda: direct.rows(f"SELECT count(*) FROM marks WHERE mark = '{order}'") == [["1"]], 10)
    assert lead.decide(again[0], False)[0] == 200
    said = [wire.until_ready(40) for wire in wires]
    direct_count = direct.rows(f"SELECT count(*) FROM marks WHERE mark = '{order}'")
    for wire in (*wires, direct):
        wire.terminate()
    assert sum(tags(m) == ["INSERT 0 1"] for m in said) == 1 and direct_count == [["1"]]
    assert sum("approval-denied" in errors(m)[0]["D"] for m in said if errors(m)) == MANY - 1
    assert len(gateway.audit(event="approval.redeemed", approval_id=request["id"])) == 1
    assert len(gateway.audit(event="call.intent", approval_id=request["id"])) == 1


# ---- of changed arguments, after other rules

@pytest.mark.parametrize("changed", [{"amount": 901}, {"amount": 900.0}, {"order_id": None}, {"currency": "USD"}, {"note": "x"}])
def test_changed_arguments(gateway, lead, upstream, order, changed):
    request = held(gateway, lead, order)
    assert lead.decide(request, True)[0] == 200
    args = {**refund(order), **changed}
    args["order_id"] = args["order_id"] or order + "other"
    said = ask(gateway, args)
    assert said["reason"] == "approval-required" and said["approval_id"] != request["id"], said
    assert reached(upstream, order) == 0 and lead.state(request["id"]) == "approved"
    # A decision about what was shown of the one is none about the other.
    other = next(r for r in lead.all("pending") if r["id"] == said["approval_id"])
    assert other["digest"] != request["digest"]
    refused(gateway, lead.decide({**other, "digest": request["digest"]}, True), other, "approval-mismatch")
    assert ask(gateway, dict(reversed(refund(order).items()))) == {}, "the order of members is none of the arguments"
    assert reached(upstream, order) == 1


def test_the_digest_is_over_the_exact_arguments(gateway, lead, order):
    """Computed once more from the gateway's key, as docs/formats/approval.md says."""
    request = held(gateway, lead, order)
    told = gateway.recorded(event="approval.requested", approval_id=request["id"])[0]["approval"]
    text = (gateway.data_dir / "state" / "state.key").read_text().strip()
    secret = hmac.digest(bytes(32), base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "sha256")
    key = hmac.digest(secret, b"sallyport state digest v1\x01", "sha256")
    exact = '{"arguments":' + json.dumps(refund(order), sort_keys=True, separators=(",", ":")) + "}"
    purpose = f"arguments of {request['id']}"
    over = f"{len(purpose)}:{purpose}{len(exact)}:{exact}".encode()
    assert told["binding"]["arguments"] == hmac.digest(key, over, "sha256").hex()
    bound = json.dumps(told["binding"], separators=(",", ":")).encode()
    assert told["digest"] == request["digest"] == hashlib.sha256(bound).hexdigest()
    assert told["binding"]["policy"] == request["policy_version"] and told["binding"]["subject"] == "tester"


def test_another_caller(gateway, lead, upstream, order):
    request = held(gateway, lead, order)
    assert lead.decide(request, True)[0] == 200
    assert ask(gateway, refund(order), who="tester2")["approval_id"] != request["id"]
    assert ask(gateway, refund(order), who="agent-refunds")["approval_id"] != request["id"]
    assert reached(upstream, order) == 0


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_other_rules_in_between(gateway, lead, upstream, how):
    def words(text):
        gateway.config["policies"][2]["message"] = text
        gateway.write_config()
        if how == "restart":
            gateway.stop()
            gateway.start()
        else:
            gateway.reload()
    waiting, approved = f"order-w-{how}-", f"order-a-{how}-"
    undecided, request = held(gateway, lead, waiting), held(gateway, lead, approved)
    assert lead.decide(request, True)[0] == 200
    words(f"Ask before the {how}.")
    for one in (undecided, request):
        assert eventually(lambda: lead.state(one["id"]) == "withdrawn", 10, 0.1)
        refused(gateway, lead.decide(one, True), one, "approval-closed")
        gone = gateway.recorded(event="approval.withdrawn", approval_id=one["id"])
        assert gone[0]["detail"] == "the rules have changed"
    again = ask(gateway, refund(approved))
    assert again["reason"] == "approval-required" and again["approval_id"] != request["id"], again
    assert reached(upstream, approved) == reached(upstream, waiting) == 0
    assert lead.decide(next(r for r in lead.find(approved, "pending")), True)[0] == 200
    assert ask(gateway, refund(approved)) == {} and reached(upstream, approved) == 1


# ---- who may not

def test_the_requester(gateway, lead, lead2, upstream, order):
    request = held(gateway, lead2, order, who="lead")
    refused(gateway, lead.decide(request, True), request, "approver-ineligible", "requester")
    assert lead.ask("GET", f"/api/v1/approvals/{request['id']}")[1]["may_not_because"] == "requester"
    assert ask(gateway, refund(order), who="lead")["approval_id"] == request["id"] and reached(upstream, order) == 0
    assert lead2.decide(request, True)[0] == 200 and ask(gateway, refund(order), who="lead") == {}


def test_an_administrator_who_asks(gateway, lead, upstream, order):
    """The administrator is among the approvers here; the role helps neither for one's own nor where one is none."""
    admin = Approver(gateway, "admin")
    request = held(gateway, lead, order, who="admin")
    refused(gateway, admin.decide(request, True), request, "approver-ineligible", "requester")
    other = held(gateway, lead, order + "b-", 50)
    refused(gateway, admin.decide(other, True), other, "approver-ineligible", "not-an-approver")
    third = held(gateway, lead, order + "c-")
    assert admin.decide(third, True)[0] == 200  # as an approver, for what somebody else asked
    assert reached(upstream, order) == reached(upstream, order + "b-") == 0


@pytest.mark.parametrize("subject, email", [("lea-private", "l.private@example.com"), ("third-account", "Lea@Example.com")],
                         ids=["linked", "same name"])
def test_a_second_account_of_the_requester(gateway, oidc, lead2, upstream, order, subject, email):
    request = held(gateway, lead2, order, who="lead")
    second = Approver(gateway, token=oidc.token_of(subject, email, ["payments-leads"]))
    refused(gateway, second.decide(request, True), request, "approver-ineligible", "same-person")
    # And the other way round.
    mirrored = held(gateway, lead2, order + "m-", token=oidc.token_of(subject, email, ["payments-leads"]))
    refused(gateway, Approver(gateway).decide(mirrored, True), mirrored, "approver-ineligible", "same-person")
    assert reached(upstream, order) == reached(upstream, order + "m-") == 0


def test_agents(gateway, oidc, lead, lead2, upstream, order):
    """An agent decides about nothing, its owner nothing that it asks for, nor it anything that its owner asks for."""
    own = held(gateway, lead2, order, who="agent-other")
    refused(gateway, lead.decide(own, True), own, "approver-ineligible", "agent-owner")
    refused(gateway, Approver(gateway, "agent-other").decide(own, True), own, "approver-ineligible", "not-a-person")
    linked = Approver(gateway, token=oidc.token_of("lea-private", "l.private@example.com", ["payments-leads"]))
    refused(gateway, linked.decide(own, True), own, "approver-ineligible", "agent-owner")
    of_owner = held(gateway, lead2, order + "o-", who="lead")
    as_lead = oidc.token_of("agent-other", "agent-other@example.com", ["payments-leads"], iat=int(time.time()))
    refused(gateway, Approver(gateway, token=as_lead).decide(of_owner, True), of_owner, "approver-ineligible", "not-a-person")
    # Owned by a group: none of its members.
    owned = held(gateway, lead, order + "g-", who="agent-refunds")
    member = Approver(gateway, token=oidc.token_of("pat", groups=["payments-leads", "payments-platform"]))
    refused(gateway, member.decide(owned, True), owned, "approver-ineligible", "agent-owner")
    assert all(reached(upstream, o) == 0 for o in (order, order + "o-", order + "g-"))
    assert lead2.decide(own, True)[0] == 200 and ask(gateway, refund(order), who="agent-other") == {}


def test_who_joined_the_group_after_the_request(gateway, oidc, lead, upstream, order):
    subject = f"late-{order}"
    before = Approver(gateway, token=oidc.token_of(subject, groups=["support"]))
    assert before.all() == []  # known from here on, as no approver
    request = held(gateway, lead, order)
    joined = Approver(gateway, token=oidc.token_of(subject, groups=["support", "payments-leads"]))
    refused(gateway, joined.decide(request, True), request, "approver-ineligible", "joined-late")
    gateway.process.kill_hard()
    gateway.start()  # what was seen when is not forgotten
    refused(gateway, joined.decide(request, True), request, "approver-ineligible", "joined-late")
    later = held(gateway, lead, order + "l-")
    assert joined.decide(later, True)[0] == 200
    assert reached(upstream, order) == 0 and ask(gateway, refund(order + "l-")) == {}


def test_a_list_of_groups_that_was_cut(gateway, oidc, lead, upstream, order):
    request = held(gateway, lead, order)
    cut = oidc.token_of("gus", groups=["payments-leads"], _claim_names={"groups": "src1"},
                        _claim_sources={"src1": {"endpoint": "https://graph.windows.net/x/getMemberObjects"}})
    refused(gateway, Approver(gateway, token=cut).decide(request, True), request, "approver-ineligible", "groups-incomplete")
    assert reached(upstream, order) == 0


def test_somebody_else(gateway, lead, upstream, order):
    request = held(gateway, lead, order)
    for who in ("support", "tester2", "agent-refunds"):
        refused(gateway, Approver(gateway, who).decide(request, True), request, "session-foreign")
    refused(gateway, Approver(gateway, "auditor").decide(request, True), request, "approver-ineligible", "not-an-approver")
    status, answer = lead.ask("POST", f"/api/v1/approvals/{request['id']}/decision", {"decision": "approve", "reason": " ",
                                                                                     "digest": request["digest"]})
    refused(gateway, (status, answer), request, "request-malformed", "reason")
    refused(gateway, lead.decide({**request, "digest": "0" * 64}, True), request, "approval-mismatch")
    assert lead.state(request["id"]) == "pending" and reached(upstream, order) == 0


def test_the_log_holds(gateway):
    assert gateway.verify().returncode == 0
    assert json.dumps(gateway.entries()[-1])
