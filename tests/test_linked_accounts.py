"""One person with accounts at two providers, OpenID Connect and SAML (`identity.persons`), tries to approve what they asked for themselves:
whichever account asks and whichever decides. And groups that a second provider names as the first one's administrators are named (row 24)."""

import concurrent.futures
import json
import urllib.error
import urllib.request

import pytest

from kit.approver import Approver
from kit.parts import Gateway, Oidc, http_connection
from kit.person import Browser, Person
from kit.process import free_port
from kit.refunds import ask, held, refund, rule_of
from kit.saml import SamlIdp, sign_in

RULES = [rule_of("corp", "corp", lte=10), rule_of("two", "two", gt=10, lte=100), rule_of("one", "one", gt=100)]
LEADS = ["payments-leads"]


@pytest.fixture(scope="module")
def idp(scratch, oidc):
    part = SamlIdp(scratch / "idp", oidc.audience)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, idp):
    def changes(config):
        config["server"]["limits"] = {"approval_hold": "200ms", "approvals_per_caller": 1000, "approvals_per_hour": 10000}
        identity = config["identity"]
        identity["providers"].append({"name": "legacy", "saml": {"metadata": {"file": str(idp.metadata_file)},
                                                                 "attributes": {"user": "mail", "groups": "memberOf"}, "group_prefix": "legacy/"}})
        identity["agents"].append({"name": "agent-lea", "match": {"provider": "corp", "client_id": "agent-other"}, "owner": "user:Lea"})
        identity["persons"] = [{"name": "Lea", "accounts": [{"provider": "corp", "subject": "lead"},
                                                            {"provider": "legacy", "subject": "Lea.Legacy"}]}]
        flow = {"approvers": ["group:payments-leads", "group:legacy/payments-leads"], "reason": "required", "ttl": "15m"}
        config["approvals"] = [{"name": "one", **flow, "need": 1}, {"name": "two", **flow, "need": 2},
                               {"name": "corp", **flow, "need": 1, "approvers": ["group:payments-leads"]}]
    part = Gateway(scratch / "gateway", oidc, [http_connection("orders", upstream.url)], RULES, changes=changes)
    yield part
    part.stop()


class SamlPerson:
    """Somebody who has signed in by SAML, with a browser; and with the command line, if a token is asked for."""

    def __init__(self, gateway, idp, directory, name_id: str):
        self.gateway, self.idp, self.directory = gateway, idp, directory
        self.values = {"name_id": name_id, "attributes": {"mail": [f"{name_id}@legacy.example".lower()], "memberOf": LEADS}}
        self.browser = Browser()
        assert sign_in(self.browser, gateway, idp, **self.values).status == 200

    def decide(self, request: dict, approve: bool = True) -> tuple[int, dict]:
        page = self.browser.api(self.gateway.public_url, "POST", f"/api/v1/approvals/{request['id']}/decision",
                                {"decision": "approve" if approve else "deny", "reason": "looked at", "digest": request["digest"]})
        return page.status, page.json

    def token(self) -> str:
        person = Person(self.gateway, self.directory, "")
        real = person.browser.get
        person.browser.get = lambda url, **how: (sign_in(person.browser, self.gateway, self.idp, url.removeprefix(self.gateway.public_url), **self.values)
                                                 if "/login/cli" in url else real(url, **how))
        person.login()
        return person.token


def reached(upstream, order: str) -> int:
    return sum(c["args"].get("order_id") == order for c in upstream.calls("refund_order"))


def refused(gateway, answer: tuple[int, dict], request: dict, why: str) -> None:
    status, said = answer
    assert status == 403 and said["code"] == "approver-ineligible" and why in said["detail"], answer
    found = gateway.recorded(event="approval.decided", approval_id=request["id"], reason="approver-ineligible", ok=False)
    assert any(why in e["detail"] for e in found), found


@pytest.mark.parametrize("name_id", ["Lea.Legacy", "lea.legacy", "LEA.LEGACY"])
def test_the_saml_account_decides(gateway, idp, tmp, upstream, order, name_id):
    """Providers repeat a NameID as it was typed: another case is no other person."""
    request = held(gateway, Approver(gateway, "lead2"), order, who="lead")
    lea = SamlPerson(gateway, idp, tmp, name_id)
    refused(gateway, lea.decide(request), request, "same-person")
    gateway.process.kill_hard()
    gateway.start()
    refused(gateway, SamlPerson(gateway, idp, tmp, name_id).decide(request), request, "same-person")
    assert ask(gateway, refund(order), who="lead")["reason"] == "approval-required" and reached(upstream, order) == 0


def test_the_saml_account_asks(gateway, idp, tmp, upstream, order):
    lea = SamlPerson(gateway, idp, tmp, "Lea.Legacy")
    request = held(gateway, Approver(gateway, "lead2"), order, token=lea.token())
    refused(gateway, lea.decide(request), request, "requester")
    refused(gateway, Approver(gateway, "lead").decide(request, True), request, "same-person")
    assert reached(upstream, order) == 0


def test_one_vote_of_two(gateway, idp, tmp, upstream, order):
    request = held(gateway, Approver(gateway, "lead2"), order, 50)
    assert Approver(gateway, "lead").decide(request, True)[0] == 200
    refused(gateway, SamlPerson(gateway, idp, tmp, "Lea.Legacy").decide(request), request, "voted")
    assert reached(upstream, order) == 0


def test_the_owner_of_an_agent(gateway, idp, tmp, upstream, order):
    request = held(gateway, Approver(gateway, "lead2"), order, who="agent-other")
    refused(gateway, SamlPerson(gateway, idp, tmp, "Lea.Legacy").decide(request), request, "agent-owner")
    assert reached(upstream, order) == 0


@pytest.mark.parametrize("name_id", ["Max.Legacy", "lead", "Lea.Legacy2"])
def test_somebody_else_by_saml_may(gateway, idp, tmp, upstream, order, name_id):
    """Who is linked to nobody; and a NameID that is another provider's subject is nobody's there."""
    request = held(gateway, Approver(gateway, "lead2"), order, who="lead")
    assert SamlPerson(gateway, idp, tmp, name_id).decide(request)[0] == 200
    assert ask(gateway, refund(order), who="lead") == {} and reached(upstream, order) == 1


def test_a_group_of_that_name_elsewhere_approves_nothing(gateway, idp, tmp, upstream, order):
    """payments-leads at the provider by SAML is legacy/payments-leads here."""
    request = held(gateway, Approver(gateway, "lead2"), order, 5)
    status, said = SamlPerson(gateway, idp, tmp, "Max.Legacy").decide(request)
    assert status in (403, 404) and said["code"] in ("approver-ineligible", "session-foreign"), said
    assert reached(upstream, order) == 0


# -- 24: administrators -------------------------------------------------------------------------------------------------------------
def me(gateway, token: str) -> dict:
    request = urllib.request.Request(gateway.public_url + "/api/v1/me?why", headers={"authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def test_groups_of_another_provider_make_no_administrator(start_gateway, tmp, oidc, upstream):
    """At the second provider somebody names a group as the administrators' group of the first."""
    second = Oidc(tmp, oidc.audience, name="second")
    try:
        def prefixed(config):
            config["identity"]["providers"][1]["oidc"]["group_prefix"] = "second/"
        rules = [{"id": "theirs", "effect": "allow", "who": ["group:second/testers"], "on": {"connection": "up", "tools": ["echo"]}}]
        part = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], rules, port=free_port(), changes=prefixed, extra_oidc=[second])
        assert me(part, oidc.token_of("adam", groups=["gate-admins"]))["roles"] == ["admin"]
        for groups in (["gate-admins"], ["second/gate-admins"], ["../gate-admins", "gate-admins "], ["payments-leads", "internal-audit"]):
            mallory = second.token_of("mallory", groups=groups)
            found = me(part, mallory)
            assert found["roles"] == [] and found["groups"] == [f"second/{g}" for g in groups], found
            request = urllib.request.Request(part.public_url + "/api/v1/revocations", json.dumps({"issuer": oidc.issuer, "subject": "adam", "reason": "x"}).encode(),
                                             {"authorization": f"Bearer {mallory}", "content-type": "application/json", "x-sallyport": "1"})
            with pytest.raises(urllib.error.HTTPError) as no:
                urllib.request.urlopen(request, timeout=10)
            assert no.value.code == 403
        tom = second.token_of("tom", groups=["testers"])
        assert part.client("up", token=tom).call("echo", {"message": "x"}).text() == "Echo: x", "the prefix is part of the name in rules"
        assert part.client("up", token=oidc.token_of("tim", groups=["testers"])).call("echo", {"message": "x"}).answer.get("error")
        # Without it `validate` says what could happen.
        assert "CFG-INSECURE" not in part.run("validate", part.config_path).stdout
        del part.config["identity"]["providers"][1]["oidc"]["group_prefix"]
        part.write_config()
        said = part.run("validate", part.config_path)
        assert said.returncode == 0 and "CFG-INSECURE" in said.stdout + said.stderr and "group_prefix" in said.stdout + said.stderr, said
    finally:
        second.stop()


def test_whoever_comes_first_is_no_administrator(start_gateway, tmp, oidc, upstream):
    """Roles stand in the configuration; a gate that nobody has ever used has no back door. Fifty at once."""
    part = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], port=free_port())
    tokens = [oidc.token_of(f"first-{n}", groups=["testers"], email="adam@example.com") for n in range(50)]
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        assert [f["roles"] for f in pool.map(lambda token: me(part, token), tokens)] == [[]] * 50
    assert me(part, oidc.token_of("adam", groups=["gate-admins"]))["roles"] == ["admin"]
