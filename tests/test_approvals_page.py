"""The approver's side: pages in a real Chromium with a passkey, the API, the command line, webhooks."""

import json
import os
import pathlib
import re
import subprocess
import threading

import pytest

from kit.approvals import HOOK_KEY, SCHEMA, ApprovalGate
from kit.browser import Browser, register_passkey
from kit.hook import Hook
from kit.parts import Oidc
from kit.paths import ROOT
from kit.pg_drivers import PSQL
from kit.postgres import Postgres
from kit.process import eventually, free_port

SHOTS = ROOT / "docs" / "images" if os.environ.get("SALLYPORT_SCREENSHOTS") else None


@pytest.fixture(scope="module")
def oidc(scratch):
    part = Oidc(scratch, f"http://localhost:{free_port()}")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True)
    part.sql(SCHEMA)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def hook():
    part = Hook(HOOK_KEY)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gate(scratch, oidc, upstream, server, hook):
    part = ApprovalGate(scratch / "gate", oidc, upstream, server, hook)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def browser(scratch):
    part = Browser(scratch)
    yield part
    part.stop()


@pytest.fixture
def person(browser, request):
    """Makes people at windows of their own, gone at the end of the test."""
    people = []

    def make(**how):
        one = browser.person(f"{request.node.name}-{len(people)}", **how)
        people.append(one)
        return one

    yield make
    for one in people:
        one.close()


@pytest.fixture
def asks(gate):
    """Agents that ask for a refund; what is left waiting is denied at the end."""
    asking = []

    def ask(amount, **how):
        asking.append(gate.ask(amount, **how))
        return asking[-1]

    yield ask
    for one in asking:
        one.stopped.set()
    for request in gate.api("GET", "/api/v1/approvals?state=pending", "lead2")[1]["approvals"]:
        gate.decide("lead2", request, "deny")
    for one in asking:
        one.stop()


def shot(one, name: str, **how) -> None:
    if SHOTS:
        SHOTS.mkdir(parents=True, exist_ok=True)
        one.screenshot(path=str(SHOTS / name), **how)


# ---- the story: an agent, a person with a passkey, and what the upstream saw


def test_a_refund_waits_for_a_person_with_a_passkey(gate, person, asks, fresh, hook):
    lead = person(width=390, height=844, mobile=True)
    register_passkey(lead, gate)
    asking = asks(900)
    request = gate.waiting()
    assert fresh.calls("refund_order") == []

    def told():
        return [m for m in hook.got if request["id"].encode() in m["body"]]
    signed = eventually(lambda: [m for m in told() if hook.signed(m)], 20)
    assert signed, told()
    assert not hook.signed({**signed[0], "body": signed[0]["body"] + b" "})
    told = told()
    # As a word: a digest or an id may have these digits by chance.
    assert not any(re.search(rb"\b900\b|o_1a2b3c4d", m["body"]) for m in told), "arguments went to a chat"
    assert all(f"{gate.public_url}/approvals/{request['id']}".encode() in m["body"] for m in told)

    lead.goto(url=f"{gate.public_url}/approvals/{request['id']}")
    lead.wait(selector="#approve")
    shown = lead.text(selector="main")
    for words in ("agent-refunds", "refund_order", "900", "EUR", "o_1a2b3c4d", "refund-large", "group:payments-platform"):
        assert words in shown, words
    lead.click(selector="#approve")  # no reason: the flow asks for one
    lead.wait(text="the flow asks for a reason")
    assert fresh.calls("refund_order") == []
    lead.fill(selector="#reason", value="The customer called; card 4111 1111 1111 1111")
    lead.click(selector="#approve")
    lead.wait(selector="#done")

    result = asking.wait()
    assert not result.get("isError"), result
    calls = fresh.calls("refund_order")
    assert len(calls) == 1 and calls[0]["args"] == {"order_id": "o_1a2b3c4d", "amount": 900, "currency": "EUR"}, calls

    events = [e for e in gate.entries() if e.get("approval_id") == request["id"]]
    names = [e["event"] for e in events]
    for name in ("approval.requested", "approval.notified", "approval.viewed", "approval.decided", "approval.redeemed"):
        assert name in names, (name, names)
    assert names.index("approval.requested") < names.index("approval.decided") < names.index("approval.redeemed")
    decided = next(e for e in events if e["event"] == "approval.decided")
    assert "4111 1111 1111 1111" not in json.dumps(events)

    done = gate.run("audit", "verify-approval", str(decided["index"]), "--data-dir", gate.data_dir, "--json")
    proof = json.loads(done.stdout)
    assert done.returncode == 0 and proof["ok"], done.stdout
    assert proof["decision"] == "approve" and proof["digest"] == request["digest"] and proof["by"]["subject"] == "lead"
    assert proof["binding"]["id"] == request["id"] and proof["binding"]["resource"] == "refund_order"
    other = next(e for e in events if e["event"] == "approval.requested")
    assert gate.run("audit", "verify-approval", str(other["index"]), "--data-dir", gate.data_dir).returncode == 3
    assert gate.verify().returncode == 0


def test_a_bulk_select_in_psql(gate, person, server, fresh):
    lead = person()
    register_passkey(lead, gate)
    rows: list = []

    def analyst():
        for _ in range(60):
            done = subprocess.run([PSQL, f"host=127.0.0.1 port={gate.pg_port} dbname=shop user=token sslmode=disable", "-At", "-c",
                                   "SELECT id, card_number FROM public.payments"],
                                  env={**os.environ, "PGPASSWORD": gate.oidc.token("ana")}, capture_output=True, text=True, timeout=120)
            rows.append(done)
            if done.returncode == 0:
                return
            if stop.wait(0.5):
                return

    stop = threading.Event()
    thread = threading.Thread(target=analyst, daemon=True)
    thread.start()
    try:
        request = gate.waiting(resource="shop", timeout=20)
        lead.goto(url=f"{gate.public_url}/approvals/{request['id']}")
        lead.wait(selector="#approve")
        assert "SELECT id, card_number FROM public.payments" in lead.text(selector="pre.sql")
        assert lead.evaluate(script="document.querySelectorAll('pre.sql .k').length") >= 2
        shot(lead, "approval-sql.png")
        lead.fill(selector="#reason", value="monthly report")
        lead.click(selector="#approve")
        lead.wait(selector="#done")
        thread.join(90)
    finally:
        stop.set()
        thread.join(30)
    assert rows and rows[-1].returncode == 0, rows[-1].stderr if rows else "psql did not run"
    lines = rows[-1].stdout.splitlines()
    assert len(lines) == 40 and all(re.fullmatch(r"\d+\|\*+1111", line) for line in lines), lines[:3]
    intents = [e for e in gate.entries() if e["event"] == "call.intent" and e.get("approval_id") == request["id"]]
    assert len(intents) == 1


# ---- what the pages are like


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_accessible_and_at_home(gate, person, asks, oidc, scheme):
    asks(900, order=f"o_page_{scheme}")
    request = gate.waiting()
    lead = person(scheme=scheme)
    lead.log_in(gate.public_url + "/approvals", "lead")
    stranger = person(scheme=scheme)
    stranger.log_in(gate.public_url + f"/approvals/{request['id']}", "support")
    stranger.wait(text="Not for you to see")
    pages = [(lead, "/approvals", "inbox"), (lead, f"/approvals/{request['id']}", "request"), (lead, "/passkeys", "passkeys"), (lead, "/sessions", "sessions"), (lead, "/logout", "logout"),
             (lead, f"/approvals/{request['id']}?lang=de", "request-de"), (lead, "/approvals/a_0000000000000000", "missing"),
             (stranger, "/approvals", "empty"), (stranger, f"/approvals/{request['id']}", "not-permitted")]
    for one, path, name in pages:
        one.look(width=1200, height=900)
        one.goto(url=gate.public_url + path)
        one.wait(selector="main:not([aria-busy])")
        assert one.axe() == [], (name, scheme)
        one.look(width=360, height=740)
        assert one.axe() == [], (name, scheme, 360)
        assert not one.wide(), f"{name} scrolls sideways at 360 px"
        if name in ("inbox", "request"):
            shot(one, f"approval-{name}-{scheme}-phone.png")
            one.look(width=1200, height=900)
            shot(one, f"approval-{name}-{scheme}.png")
    for one in (lead, stranger):
        assert one.foreign(gate.public_url + "/", oidc.issuer + "/") == []
        wrong = [line for line in one.console() if "404" not in line and "403" not in line]
        assert wrong == [], wrong
    ours = [r for r in lead.responses() if r["url"].startswith(gate.public_url)]
    for answer in ours:
        csp = answer["headers"].get("content-security-policy", "")
        if answer["type"] == "document" and answer["status"] == 200:
            assert "default-src 'none'" in csp and "frame-ancestors 'none'" in csp and "unsafe" not in csp, answer["url"]
        assert answer["headers"].get("x-content-type-options") == "nosniff", answer["url"]
    asset = next(r for r in ours if r["url"].endswith("/assets/request.js"))
    assert re.fullmatch(r'"[\w-]{20}"', asset["headers"].get("etag", "")), asset


def test_a_decision_by_keyboard_alone(gate, person, asks, fresh):
    asking = asks(700, order="o_keys")
    lead = person()
    lead.log_in(gate.public_url + "/approvals", "lead2")
    lead.wait(selector="a.mine")
    lead.evaluate(script="document.body.focus()")

    def tab_to(found, most=40):
        for _ in range(most):
            lead.keys(keys=["Tab"])
            at = lead.focused()
            assert at["outline"] != "none" or at["tag"] == "BODY", f"the focus does not show on {at}"
            if found(at):
                return
        raise AssertionError("not reached by Tab")

    request = gate.waiting()
    tab_to(lambda at: at["href"].startswith(f"/approvals/{request['id']}"))
    lead.keys(keys=["Enter"])
    lead.wait(selector="#reason")
    tab_to(lambda at: at["id"] == "reason")
    lead.type(text="known customer")
    tab_to(lambda at: at["id"] == "approve")
    lead.keys(keys=["Enter"])
    lead.wait(selector="#done")
    assert lead.focused()["id"] == "done"
    assert not asking.wait().get("isError")
    assert len(fresh.calls("refund_order")) == 1


def test_pages_are_live(gate, person, asks):
    lead, other = person(), person()
    lead.log_in(gate.public_url + "/approvals", "lead")
    other.log_in(gate.public_url + "/approvals", "lead2")
    asking = asks(650, order="o_live")
    lead.wait(text="o_live")  # by itself
    assert lead.title().startswith("(")
    request = gate.waiting()
    other.goto(url=f"{gate.public_url}/approvals/{request['id']}")
    other.wait(selector="#deny")
    other.fill(selector="#reason", value="half a sentence")
    lead.goto(url=f"{gate.public_url}/approvals/{request['id']}")
    lead.wait(selector="#deny")
    lead.fill(selector="#reason", value="not this one")
    lead.click(selector="#deny")
    lead.wait(selector="#done")
    other.wait(text="Denied")
    other.wait(selector="#deny", gone=True)
    result = asking.wait()
    assert result["isError"] and "not this one" in json.dumps(result)


def test_a_lost_connection_is_said(gate, person):
    lead = person()
    lead.log_in(gate.public_url + "/approvals", "lead")
    lead.wait(text="Approvals")
    gate.stop()
    lead.wait(selector="#stale", timeout=25000)
    gate.start()  # the session and what waits are still there
    lead.wait(selector="#stale", gone=True, timeout=40000)
    assert "Approvals" in lead.text(selector="main")


# ---- what is refused


def test_passkeys_cannot_be_forged_or_replayed(gate, person, asks):
    lead = person()
    register_passkey(lead, gate)
    asks(810, order="o_first")
    first = gate.waiting()
    asks(820, order="o_second")
    second = eventually(lambda: next((r for r in gate.api("GET", "/api/v1/approvals?state=pending", "lead")[1]["approvals"]
                                      if r["id"] != first["id"] and "o_second" in json.dumps(r["shown"])), None), 10, 0.1)
    sign = """async (id) => { const {sign} = await import('/assets/passkey.js'); return sign(id, 'approve'); }"""
    send = """async ([id, digest, assertion]) => { const answer = await fetch(`/api/v1/approvals/${id}/decision`, {method: 'POST',
      headers: {'x-sallyport': '1', 'content-type': 'application/json'}, body: JSON.stringify({decision: 'approve', reason: 'x', digest, assertion})});
      return [answer.status, await answer.json()]; }"""
    lead.goto(url=f"{gate.public_url}/approvals/{first['id']}")
    lead.wait(selector="#approve")
    made = lead.evaluate(script=f"({sign})({json.dumps(first['id'])})")

    def refused(request, assertion, code):
        status, answer = lead.evaluate(script=f"({send})({json.dumps([request['id'], request['digest'], assertion])})")
        assert status == 403 and answer["code"] == code, answer
    refused(second, made, "passkey-invalid")                                     # of another request
    refused(first, {**made, "signature": made["signature"][:-4] + "AAAA"}, "passkey-invalid")
    refused(first, None, "passkey-required")                                     # a stolen cookie is not enough
    refused(first, {**made, "credential": "AAAA"}, "passkey-invalid")
    status, answer = lead.evaluate(script=f"({send})({json.dumps([first['id'], first['digest'], made])})")
    assert status == 200 and answer["state"] == "approved", answer
    refused(second, made, "passkey-invalid")
    assert len([e for e in gate.audit(event="approval.decided") if e.get("reason") in ("passkey-invalid", "passkey-required")]) >= 5


def test_who_may_not_decide(gate, asks):
    asks(910, order="o_duties", who="lead")
    request = gate.waiting("lead2")
    for who, code in (("lead", "approver-ineligible"), ("agent-refunds", None), ("ana", None), ("admin", "approver-ineligible")):
        status, answer = gate.decide(who, request)
        assert status in (403, 404), (who, answer)
        if code:
            assert answer["code"] == code, (who, answer)
    assert gate.api("GET", f"/api/v1/approvals/{request['id']}", "lead")[1]["may_not_because"] == "requester"
    assert gate.decide("lead2", {**request, "digest": "0" * 64})[1]["code"] == "approval-mismatch"
    assert gate.api("GET", "/api/v1/approvals", None)[0] == 401
    status, answer = gate.decide("lead2", request, "deny")
    assert status == 200 and answer["state"] == "denied"
    assert gate.decide("lead2", request)[1]["code"] in ("approval-closed", "approver-ineligible")


def test_other_pages_cannot_decide(gate, person, asks):
    """A page elsewhere makes the browser send the cookie: it is not enough."""
    asks(920, order="o_cross")
    request = gate.waiting()
    lead = person()
    lead.log_in(gate.public_url + "/approvals", "lead2")
    cookie = next(c for c in lead.cookies() if "sallyport" in c["name"] and c["httpOnly"])
    assert cookie["sameSite"] in ("Lax", "Strict")
    body = {"decision": "approve", "reason": "x", "digest": request["digest"]}
    path = f"/api/v1/approvals/{request['id']}/decision"
    for headers in ({}, {"x-sallyport": "1"}, {"origin": "https://evil.example", "x-sallyport": "1"},
                    {"origin": gate.public_url}, {"sec-fetch-site": "cross-site", "x-sallyport": "1"}):
        status, answer = gate.api("POST", path, None, body, {"cookie": f"{cookie['name']}={cookie['value']}", **headers})
        assert status in (400, 403), (headers, answer)
    assert gate.api("GET", f"/api/v1/approvals/{request['id']}", "lead2")[1]["state"] == "pending"
    for why in ("origin-refused", "header-invalid"):
        assert gate.recorded(event="request.refused", reason=why)
    ours = {"origin": gate.public_url, "x-sallyport": "1", "cookie": f"{cookie['name']}={cookie['value']}"}
    assert gate.api("POST", path, None, {**body, "decision": "deny"}, ours)[0] == 200  # what the refused ones lacked


# ---- the same on the command line


def test_command_line(gate, asks, tmp, fresh):
    for who in ("lead2", "agent-refunds"):
        (tmp / who).write_text(gate.oidc.token(who))
        (tmp / who).chmod(0o600)

    def cli(who, *argv):
        return gate.run(*argv, "--server", gate.public_url, "--token-file", tmp / who)

    asking = asks(930, order="o_cli")
    request = gate.waiting()
    listed = cli("lead2", "approvals", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert request["id"] in [json.loads(line)["id"] for line in listed.stdout.splitlines()]
    shown = cli("lead2", "approvals", "show", request["id"])
    assert shown.returncode == 0 and "o_cli" in shown.stdout and "agent-refunds" in shown.stdout
    assert cli("agent-refunds", "approvals", "approve", request["id"], "--reason", "mine").returncode == 3
    assert cli("lead2", "approvals", "approve", request["id"]).returncode == 3  # no reason
    done = cli("lead2", "approvals", "approve", request["id"], "--reason", "known")
    assert done.returncode == 0, done.stderr
    assert not asking.wait().get("isError")
    assert fresh.calls("refund_order")[-1]["args"]["order_id"] == "o_cli"

    again = asks(940, order="o_back")
    waits = eventually(lambda: [json.loads(line) for line in cli("agent-refunds", "requests", "list", "--json").stdout.splitlines()], 10, 0.3)
    assert len(waits) == 1 and waits[0]["requester"]["agent"] == "agent-refunds"
    again.stopped.set()
    taken = cli("agent-refunds", "requests", "withdraw", waits[0]["id"])
    assert taken.returncode == 0 and "withdrawn" in taken.stdout, taken.stderr
    assert cli("lead2", "approvals", "approve", waits[0]["id"], "--reason", "late").returncode == 3
    assert cli("lead2", "approvals", "show", "a_0000000000000000").returncode == 3
    assert gate.run("approvals", "list", "--server", "http://127.0.0.1:9", "--token-file", tmp / "lead2").returncode == 4
    assert gate.run("approvals", "show", "../../etc").returncode == 2


# ---- webhooks


def test_a_webhook_that_fails_is_recorded_and_holds_up_nothing(gate, asks, hook):
    hook.status = 500
    try:
        asking = asks(950, order="o_hook")
        request = gate.waiting()
        posted = eventually(lambda: [m for m in hook.got if request["id"].encode() in m["body"]], 10)
        assert posted
        assert gate.decide("lead2", request)[0] == 200
        assert not asking.wait(30).get("isError")
    finally:
        hook.status = 200
