"""How strongly, and how long ago, somebody signed in: roles and rules that want a second factor, and how one gets it without losing
what one was doing. The provider gives a second factor to whoever asks it for one (acr_values)."""

import http.client
import json
import re
import time

import pytest

from kit.parts import http_connection
from kit.person import LOGIN_ENV, Browser, Person, with_login
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Where, Wire, errors
from kit.postgres import Postgres

PASSWORD = "step-up-password"
STRONG = {"amr": ["pwd", "otp"]}


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, "CREATE TABLE t(id int);\nINSERT INTO t VALUES (1)")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    def change(config):
        with_login(config)
        config["server"]["limits"] = {"approval_hold": "100ms"}
        config["identity"]["mfa"] = {"require_for": ["admin", "approver"], "accept": ["mfa", "otp"], "acr_values": ["mfa"]}
    testers = {"who": ["group:testers"], "effect": "allow"}
    policies = [
        {"id": "easy", **testers, "on": {"connection": "up", "tools": ["echo"]}},
        {"id": "strong", **testers, "on": {"connection": "up", "tools": ["list_orders"]}, "require": {"mfa": True}},
        {"id": "fresh", **testers, "on": {"connection": "up", "tools": ["get_order"]}, "require": {"max_age": "5m"}},
        {"id": "held", "effect": "approve", "approval": "leads-one", "who": ["group:testers"],
         "on": {"connection": "up", "tools": ["refund_order"]}},
        {**rule("reads", "lab", statements=["SELECT"], relations=["public.t"]), "require": {"mfa": True, "max_age": "1h"}}]
    part = PgGateway(scratch / "gateway", oidc, [http_connection("up", upstream.url), database("lab", server, "lab", "app")], policies,
                     PASSWORD, changes=change, env=LOGIN_ENV, port=oidc.first_port())
    yield part
    part.stop()


def token_of_tester(gateway, **claims) -> str:
    return gateway.oidc.token_of("tester", "tess@example.com", ["testers"], **claims)


def reason(reply) -> str:
    result = reply.answer.get("result", {})
    return reply.gateway["reason"] if result.get("isError") else "ok"


@pytest.mark.parametrize("claims, expected", [
    ({}, "mfa-required"), ({"amr": ["pwd"]}, "mfa-required"), ({"amr": "otp"}, "ok"), ({"amr": ["pwd", "otp"]}, "ok"), ({"acr": "mfa"}, "ok"),
    ({"acr": "0"}, "mfa-required"), ({"amr": [7]}, "mfa-required"), ({"acr": ""}, "mfa-required"), ({"amr": ["MFA"]}, "mfa-required")])
def test_a_rule_can_want_a_second_factor(gateway, fresh, claims, expected):
    client = gateway.client("up", token=token_of_tester(gateway, **claims))
    assert reason(client.call("echo", {"message": "x"})) == "ok"
    reply = client.call("list_orders")
    assert reason(reply) == expected, reply
    if expected != "ok":
        assert fresh.calls("list_orders") == []
        denied = gateway.recorded(event="call.denied", reason="mfa-required")[-1]
        assert denied["resource"] == "list_orders"


@pytest.mark.parametrize("age, expected", [(10, "ok"), (299, "ok"), (310, "mfa-required"), (86400, "mfa-required"), (-300, "mfa-required"),
                                           (None, "mfa-required")])
def test_a_rule_can_want_a_fresh_sign_in(gateway, age, expected):
    claims = {} if age is None else {"auth_time": int(time.time()) - age}
    assert reason(gateway.client("up", token=token_of_tester(gateway, **claims)).call("get_order", {"id": "o_1"})) == expected


def test_a_session_steps_up_in_the_browser_and_its_token_stays(gateway, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    person.login()
    client = gateway.client("up", token=person.token)
    reply = client.call("list_orders")
    assert reason(reply) == "mfa-required"
    url = re.search(r"http://\S+/unlock\?\S+?(?=,)", reply.text()).group(0)
    page = person.browser.get(url)
    assert "/interaction/" in page.url, page
    page = person.browser.submit(page, login="tester")
    assert page.status == 200 and "second factor" in page.text, page
    page = person.browser.submit(page)
    assert page.status == 200, page
    assert reason(client.call("list_orders")) == "ok"
    me = json.loads(person.run("whoami", "--why", "--json").stdout)
    assert me["amr"] == ["pwd", "otp"] and me["acr"] == "mfa", me


def test_another_person_cannot_step_up_a_session(gateway, tmp):
    person, other = Person(gateway, tmp / "tess", "tester"), Browser()
    person.login()
    page = other.get(f"{gateway.public_url}/unlock?mfa&session={person.kept['session']}")
    page = other.submit(page, login="support")
    assert page.status >= 400 and "<form" not in page.text, page
    assert reason(gateway.client("up", token=person.token).call("list_orders")) == "mfa-required"


def test_a_database_says_so_with_a_hint(gateway):
    wire = Wire(Where(gateway.pg_port, "token", token_of_tester(gateway, auth_time=int(time.time())), "lab"))
    error = errors(wire.query("SELECT id FROM t"))[0]
    assert error["C"] == "42501" and "second factor" in error["H"], error
    wire.terminate()
    wire = Wire(Where(gateway.pg_port, "token", token_of_tester(gateway, auth_time=int(time.time()), **STRONG), "lab"))
    assert wire.rows("SELECT id FROM t") == [["1"]]
    wire.terminate()


def api(gateway, method: str, path: str, token: str, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request(method, path, json.dumps(body) if body is not None else None,
                       {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text), answer.getheader("WWW-Authenticate") or ""


def test_an_administrator_without_a_second_factor(gateway):
    body = {"issuer": "https://nobody.example.com", "subject": "nobody", "reason": "test"}
    weak = gateway.oidc.token_of("admin", groups=["gate-admins"], amr=["pwd"])
    status, problem, challenge = api(gateway, "POST", "/api/v1/revocations", weak, body)
    assert status == 401 and problem["code"] == "mfa-required", problem
    assert 'error="insufficient_user_authentication"' in challenge and 'acr_values="mfa"' in challenge and "max_age=" in challenge
    assert api(gateway, "GET", "/api/v1/sessions?all", weak)[0] == 401
    strong = gateway.oidc.token_of("admin", groups=["gate-admins"], **STRONG)
    assert api(gateway, "POST", "/api/v1/revocations", strong, body)[0] == 200
    # Who is no administrator is told that, whatever the factors.
    assert api(gateway, "POST", "/api/v1/revocations", token_of_tester(gateway, **STRONG), body)[1]["code"] == "policy-default-deny"


def test_an_approver_signs_in_again_with_a_second_factor(gateway, fresh):
    asker = gateway.client("up", token=token_of_tester(gateway))
    asker.call("refund_order", {"order_id": "o_1a2b3c4d", "amount": 7, "currency": "EUR"})
    lead = Browser()
    lead.sign_in(gateway, "lead")
    listed = lead.api(gateway.public_url, "GET", "/api/v1/approvals?state=pending").json["approvals"]
    request = listed[0]
    vote = {"decision": "approve", "reason": "looked at", "digest": request["digest"]}
    path = f"/api/v1/approvals/{request['id']}/decision"
    page = lead.api(gateway.public_url, "POST", path, vote)
    assert page.status == 401 and page.json["code"] == "mfa-required", page
    lead.sign_in(gateway, "lead", "/login?mfa&next=/approvals")
    page = lead.api(gateway.public_url, "POST", path, vote)
    assert page.status == 200 and page.json["state"] == "approved", page


def test_to_say_no_needs_no_second_factor(gateway, fresh):
    asker = gateway.client("up", token=token_of_tester(gateway))
    asker.call("refund_order", {"order_id": "o_5e6f7a8b", "amount": 8, "currency": "EUR"})
    weak = gateway.oidc.token_of("lead", groups=["payments-leads"], amr=["pwd"])
    request = api(gateway, "GET", "/api/v1/approvals?state=pending", weak)[1]["approvals"][0]
    status, answer, _ = api(gateway, "POST", f"/api/v1/approvals/{request['id']}/decision", weak,
                            {"decision": "deny", "reason": "no", "digest": request["digest"]})
    assert status == 200 and answer["state"] == "denied", answer


@pytest.mark.parametrize("require", [{}, {"mfa": False}, {"max_age": "0s"}, {"max_age": "2d"}, {"mfa": "yes"}, {"level": 2}, True])
def test_a_demand_that_says_nothing_is_refused(gateway, tmp, require):
    config = json.loads(gateway.config_path.read_text())
    config["policies"][1]["require"] = require
    path = tmp / "require.yaml"
    path.write_text(json.dumps(config))
    assert gateway.run("validate", path).returncode != 0


def test_a_session_of_a_strong_token_is_not_used_by_a_weak_one(gateway):
    """The older eras keep a session at the gate; it goes with what it was opened with."""
    strong = gateway.client("up", version="2025-11-25", token=token_of_tester(gateway, **STRONG)).start()
    assert strong.call("list_orders").status == 200
    strong.token = token_of_tester(gateway, amr=["pwd"])
    assert strong.call("list_orders").status == 404
