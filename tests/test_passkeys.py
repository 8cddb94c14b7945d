"""Passkeys that are lost: who may take one away, and that nobody gets past a passkey by taking it away."""

import json

import pytest

from kit.approvals import SCHEMA, ApprovalGate
from kit.browser import Browser, register_passkey
from kit.parts import Oidc
from kit.postgres import Postgres
from kit.process import eventually, free_port

ASK = """async ([method, path, body]) => { const answer = await fetch(path, {method, headers: {'x-sallyport': '1', 'content-type': 'application/json'},
  body: body === null ? undefined : JSON.stringify(body)}); return [answer.status, await answer.json()]; }"""
SIGN = """async ([id, decision]) => { const {sign} = await import('/assets/passkey.js'); return sign(id, decision); }"""


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
def gate(scratch, oidc, upstream, server):
    part = ApprovalGate(scratch / "gate", oidc, upstream, server)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def browser(scratch):
    part = Browser(scratch)
    yield part
    part.stop()


@pytest.fixture
def person(browser, gate, request):
    people = []

    def make(**how):
        one = browser.person(f"{request.node.name}-{len(people)}", **how)
        people.append(one)
        return one

    yield make
    for one in people:
        one.close()
    # Nobody keeps a passkey from one test to the next; that they had one stays.
    for who in ("lead", "lead2"):
        for key in keys_of(gate, who):
            assert remove(gate, "admin", key["id"], who, "end of the test")[0] == 200


@pytest.fixture
def asks(gate):
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


def ask(one, method: str, path: str, body=None) -> tuple[int, dict]:
    """As a script of the gate's own pages asks."""
    status, answer = one.evaluate(script=f"({ASK})({json.dumps([method, path, body])})")
    return status, answer


def keys_of(gate, who: str) -> list[dict]:
    status, answer = gate.api("GET", f"/api/v1/passkeys?issuer={gate.oidc.issuer}&subject={who}", "admin")
    assert status == 200, answer
    return answer["passkeys"]


def remove(gate, by: str, ident: str, whose: str, reason: str = "lost"):
    return gate.api("POST", "/api/v1/passkeys/remove", by, {"id": ident, "issuer": gate.oidc.issuer, "subject": whose, "reason": reason})


def again(one, who: str = "lead") -> None:
    """The provider asks who it is once more."""
    one.wait(selector="#login")
    one.fill(selector="#login", value=who)
    one.click(selector="#go")
    one.wait(selector="main:not([aria-busy])")


def pending(gate, order: str) -> dict:
    found = eventually(lambda: [r for r in gate.api("GET", "/api/v1/approvals?state=pending", "lead")[1]["approvals"]
                                if order in json.dumps(r["shown"])], 10, 0.1)
    assert found, "nothing waits"
    return found[0]


def test_a_lost_passkey_is_removed_on_the_page(gate, person, asks, fresh):
    lead = person(width=360, height=740)
    lead.authenticator()
    lead.log_in(gate.public_url + "/passkeys", "lead")  # the provider was not asked for fresh proof: adding one asks
    lead.fill(selector="#name", value="blue <key>")
    lead.click(selector="#add")
    again(lead)
    assert lead.evaluate(script="document.getElementById('name').value") == "blue <key>"
    lead.click(selector="#add")
    lead.wait(selector="ul.pile > li")
    assert "blue <key>" in lead.text(selector="ul.pile > li") and "Not used yet" in lead.text(selector="ul.pile > li")

    asking = asks(900, order="o_lost")
    request = pending(gate, "o_lost")
    lead.goto(url=f"{gate.public_url}/approvals/{request['id']}")
    lead.wait(selector="#approve")
    lead.fill(selector="#reason", value="known")
    lead.click(selector="#approve")
    lead.wait(selector="#done")
    assert not asking.wait().get("isError")

    lead.goto(url=gate.public_url + "/login")  # through the provider's session: no fresh proof
    lead.goto(url=gate.public_url + "/passkeys")
    lead.wait(text="Last used")
    assert lead.axe() == [] and not lead.wide()
    lead.click(selector="ul.pile button.no")
    lead.wait(text="It is your only one")
    assert lead.axe() == [] and not lead.wide()
    lead.click(selector="ul.pile button.no")
    again(lead)
    lead.wait(text="It is your only one")  # what was begun is offered again, and done by a click only
    assert len(keys_of(gate, "lead")) == 1
    lead.click(selector="ul.pile button.no")
    lead.wait(text="You have no passkey yet")
    lead.wait(text="Your passkey was removed")
    assert lead.axe() == [] and not lead.wide()
    assert keys_of(gate, "lead") == []

    removed = gate.recorded(event="passkey.removed", ok=None)[-1]
    assert removed["approval"]["by"]["subject"] == "lead" and removed["access"]["who"]["subject"] == "lead", removed
    decided = gate.recorded(event="approval.decided", approval_id=request["id"])[-1]
    assert removed["approval"]["proof"] == {"credential": decided["approval"]["proof"]["credential"],
                                            "registered": decided["approval"]["proof"]["registered"]}, removed
    # What it has signed stays proven, without the gate.
    done = gate.run("audit", "verify-approval", str(decided["index"]), "--data-dir", gate.data_dir, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["ok"], done.stdout

    asks(910, order="o_after")
    request = pending(gate, "o_after")
    lead.goto(url=f"{gate.public_url}/approvals/{request['id']}")
    lead.wait(selector="#deny")
    assert lead.evaluate(script="document.querySelector('#approve')") is None
    assert "add another" in lead.text(selector="main") and lead.axe() == [] and not lead.wide()
    lead.fill(selector="#reason", value="without a passkey")
    lead.click(selector="#deny")
    lead.wait(selector="#done")


def test_what_a_removed_passkey_signed_counts_no_more(gate, person, asks):
    lead = person()
    register_passkey(lead, gate)
    key = keys_of(gate, "lead")[0]
    asking = asks(920, order="o_signed")
    request = pending(gate, "o_signed")
    signed = lead.evaluate(script=f"({SIGN})({json.dumps([request['id'], 'approve'])})")  # before it was removed
    assert signed["credential"] == key["id"]
    status, begun = ask(lead, "POST", "/api/v1/passkeys/options", {})
    assert status == 200
    status, answer = ask(lead, "POST", "/api/v1/passkeys/remove", {"id": key["id"]})
    assert status == 200, answer
    path, vote = f"/api/v1/approvals/{request['id']}/decision", {"decision": "approve", "reason": "x", "digest": request["digest"]}
    for restarted in (False, True):
        if restarted:
            gate.stop()
            gate.start()
        status, answer = ask(lead, "POST", path, {**vote, "assertion": signed})
        assert (status, answer["code"]) == (403, "passkey-invalid"), answer
        status, answer = ask(lead, "POST", path, vote)
        assert (status, answer["code"]) == (403, "passkey-required"), answer
        assert "/passkeys" in answer["detail"]
        assert gate.decide("lead", request)[1]["code"] == "passkey-required"  # a token of the provider gets no further
        assert keys_of(gate, "lead") == []
        status, answer = ask(lead, "POST", "/api/v1/passkeys/register",
                             {"name": "x", "client_data": signed["client_data"], "authenticator_data": signed["authenticator_data"]})
        assert status == 403 and answer["code"] == ("login-stale" if restarted else "passkey-invalid"), answer
    assert gate.api("GET", f"/api/v1/approvals/{request['id']}", "lead2")[1]["state"] == "pending"
    assert asking.result is None
    assert begun["challenge"]


def test_a_session_alone_changes_no_passkey(gate, person, asks):
    """Somebody has got hold of the lead's session: of its cookie, or of the unlocked screen."""
    lead = person()
    register_passkey(lead, gate)
    key = keys_of(gate, "lead")[0]
    before = len(gate.audit(event="passkey.removed", reason="login-stale"))
    lead.goto(url=gate.public_url + "/login")  # the provider lets them through without a question
    lead.wait(selector="main:not([aria-busy])")
    for path, body in (("remove", {"id": key["id"]}), ("remove", {"id": key["id"], "issuer": gate.oidc.issuer, "subject": "lead", "reason": "x"}),
                       ("options", {}), ("register", {"name": "theirs", "client_data": "AAAA", "authenticator_data": "AAAA"})):
        status, answer = ask(lead, "POST", "/api/v1/passkeys/" + path, body)
        assert (status, answer["code"]) == (403, "login-stale"), (path, answer)
    assert len(gate.recorded(event="passkey.removed", reason="login-stale")) == before + 2
    assert gate.recorded(event="passkey.registered", reason="login-stale")
    cookie = next(c for c in lead.cookies() if "sallyport" in c["name"] and c["httpOnly"])
    lead.goto(url=gate.public_url + "/login?fresh&next=/passkeys")
    again(lead)
    fresh_cookie = next(c for c in lead.cookies() if "sallyport" in c["name"] and c["httpOnly"])
    assert fresh_cookie["value"] != cookie["value"]
    body = {"id": key["id"]}
    for headers in ({}, {"x-sallyport": "1"}, {"origin": "https://evil.example", "x-sallyport": "1"}, {"origin": gate.public_url},
                    {"sec-fetch-site": "cross-site", "x-sallyport": "1"}, {"sec-fetch-site": "same-site", "x-sallyport": "1"}):
        status, answer = gate.api("POST", "/api/v1/passkeys/remove", None, body,
                                  {"cookie": f"{fresh_cookie['name']}={fresh_cookie['value']}", **headers})
        assert status in (400, 403) and answer["code"] in ("origin-refused", "header-invalid"), (headers, answer)
    ours = {"origin": gate.public_url, "x-sallyport": "1"}
    status, answer = gate.api("POST", "/api/v1/passkeys/remove", None, body, {"cookie": f"{cookie['name']}={cookie['value']}", **ours})
    assert status == 401, answer  # the session from before the login is over
    assert [k["id"] for k in keys_of(gate, "lead")] == [key["id"]]
    status, answer = gate.api("POST", "/api/v1/passkeys/remove", None, body, {"cookie": f"{fresh_cookie['name']}={fresh_cookie['value']}", **ours})
    assert status == 200, answer  # what the others lacked


def test_passkeys_of_others(gate, person, asks, tmp):
    lead, other = person(), person()
    name = register_passkey(lead, gate)
    register_passkey(other, gate, "lead2")
    key, theirs = keys_of(gate, "lead")[0], keys_of(gate, "lead2")[0]
    for ident, code in ((key["id"], "not-found"), ("A" * 43, "not-found"), ("", "request-malformed"), ("A" * 9000, "request-malformed")):
        status, answer = ask(other, "POST", "/api/v1/passkeys/remove", {"id": ident})
        assert answer["code"] == code, (ident, answer)
    assert gate.recorded(event="passkey.removed", reason="not-found")
    whose = {"id": key["id"], "issuer": gate.oidc.issuer, "subject": "lead", "reason": "x"}
    status, answer = ask(other, "POST", "/api/v1/passkeys/remove", whose)
    assert (status, answer["code"]) == (403, "policy-default-deny"), answer
    for who in ("support", "agent-refunds", "auditor", "lead"):
        status, answer = remove(gate, who, key["id"], "lead")
        assert status in (401, 403), (who, answer)
    assert remove(gate, "admin", key["id"], "lead", "")[1]["code"] == "request-malformed"     # no reason
    assert remove(gate, "admin", key["id"], "lead2")[1]["code"] == "not-found"                # not that person's
    assert remove(gate, "admin", key["id"], "admin")[1]["code"] == "token-type-wrong"         # for themselves: on the page
    assert gate.api("POST", "/api/v1/passkeys/remove", "admin", {"id": key["id"], "subject": "lead", "reason": "x"})[0] == 400
    assert gate.api("GET", f"/api/v1/passkeys?issuer={gate.oidc.issuer}&subject=lead", "support")[0] == 403
    assert [k["id"] for k in keys_of(gate, "lead")] == [key["id"]]

    asks(930, order="o_admin")
    request = pending(gate, "o_admin")
    for who in ("admin", "support"):
        (tmp / who).write_text(gate.oidc.token(who))
        (tmp / who).chmod(0o600)

    def cli(who, *argv):
        return gate.run("passkeys", argv[0], "--server", gate.public_url, "--token-file", tmp / who, *argv[1:])

    listed = cli("admin", "list", "--issuer", gate.oidc.issuer, "--subject", "lead")
    assert listed.returncode == 0 and key["id"] in listed.stdout and name in listed.stdout, listed
    at = ["--issuer", gate.oidc.issuer, "--subject", "lead", "--reason", "lost with card 4111 1111 1111 1111"]
    assert cli("support", "remove", *at, "--", key["id"]).returncode == 3
    assert cli("admin", "remove", "--", key["id"]).returncode == 2
    done = cli("admin", "remove", *at, "--", key["id"])
    assert done.returncode == 0, done.stderr
    assert keys_of(gate, "lead") == [] and [k["id"] for k in keys_of(gate, "lead2")] == [theirs["id"]]
    entry = gate.recorded(event="passkey.removed", ok=None)[-1]
    assert entry["approval"]["by"]["subject"] == "admin" and entry["access"]["who"]["subject"] == "lead", entry
    assert entry["approval"]["reason"].startswith("lost with card") and "4111 1111 1111 1111" not in json.dumps(entry)

    # It has given nobody the power to approve: not the administrator, and not who has the lead's token.
    assert gate.decide("admin", request)[1]["code"] == "approver-ineligible"
    assert gate.decide("lead", request)[1]["code"] == "passkey-required"
    assert gate.decide("lead2", request)[1]["code"] == "passkey-required"
    lead = person()
    register_passkey(lead, gate)  # whoever can prove to be the lead
    lead.goto(url=f"{gate.public_url}/approvals/{request['id']}")
    lead.wait(selector="#approve")
    lead.fill(selector="#reason", value="known")
    lead.click(selector="#approve")
    lead.wait(selector="#done")
