"""Callers without a stored secret: CI jobs, pods, cloud roles and SPIFFE workloads, with the token that their platform gives them. They
count only as a configured agent, matched by what nobody else can come to own; one token opens one session."""

import http.client
import json
import os
import subprocess
import time
import urllib.parse

import pytest

from kit.parts import Oidc, http_connection
from kit.paths import sallyport
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Refused, Wire
from kit.postgres import Postgres

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT = "urn:ietf:params:oauth:token-type:jwt"
PASSWORD = "workload-password"
AWS = "https://sts.amazonaws.com/"
GITHUB = {"sub": "repo:acme@31/shop@74:ref:refs/heads/main", "repository": "acme/shop", "repository_id": "74", "repository_owner_id": "31",
          "event_name": "push", "ref": "refs/heads/main", "run_id": "9001", "actor_id": "12", "environment": "production",
          "job_workflow_ref": "acme/shop/.github/workflows/ship.yml@refs/heads/main"}
GITLAB = {"sub": "project_path:acme/shop:ref_type:branch:ref:main", "project_id": "88", "namespace_id": "5", "project_path": "acme/shop",
          "ref": "main", "ref_protected": "true", "pipeline_id": "4711", "job_id": "17"}
POD = {"sub": "system:serviceaccount:ci:runner",
       "kubernetes.io": {"namespace": "ci", "serviceaccount": {"name": "runner", "uid": "3f1a"}, "pod": {"name": "runner-x", "uid": "77b0"}}}
ROLE = {"sub": "arn:aws:iam::210987654321:role/reports", AWS: {"aws_account": "210987654321", "org_id": "o-abc"}}
SPIFFE = {"sub": "spiffe://acme.example/ns/ci/sa/runner"}
KINDS = {"github": ("ci-workload", GITHUB, {"claims": {"repository_id": "74", "ref": "refs/heads/main"}}),
         "gitlab": ("ci-workload", GITLAB, {"claims": {"project_id": "88", "ref_protected": "true"}}),
         "cluster": ("k8s-sa", POD, {"subject": POD["sub"], "claims": {"kubernetes.io.serviceaccount.uid": "3f1a"}}),
         "aws": ("aws-webidentity", ROLE, {"subject": ROLE["sub"], "claims": {AWS + ".org_id": "o-abc"}}),
         "mesh": ("spiffe", SPIFFE, {"subject": SPIFFE["sub"]})}


@pytest.fixture(scope="module")
def issuers(scratch, oidc):
    parts = {}
    for name in KINDS:
        parts[name] = Oidc(scratch / name, oidc.audience, name="corp")
        parts[name].name = name
    yield parts
    for part in parts.values():
        part.stop()


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, "CREATE TABLE t(id int);\nINSERT INTO t VALUES (1)")
    yield part
    part.stop()


def configured(config):
    for provider in config["identity"]["providers"]:
        if provider["name"] in KINDS:
            provider["oidc"]["class"] = KINDS[provider["name"]][0]
    config["identity"]["agents"] = [{"name": f"job-{name}", "owner": "group:payments-platform", "match": {"provider": name, **match}}
                                    for name, (_, _, match) in KINDS.items()]


@pytest.fixture(scope="module")
def gateway(scratch, oidc, issuers, upstream, server):
    rules = [{"id": "jobs", "effect": "allow", "who": [f"agent:job-{name}" for name in KINDS], "on": {"connection": "up", "tools": ["echo"]}},
             rule("reads", "lab", who=tuple(f"agent:job-{name}" for name in KINDS), statements=["SELECT"], relations=["public.t"])]
    part = PgGateway(scratch / "gateway", oidc, [http_connection("up", upstream.url), database("lab", server, "lab", "app")], rules, PASSWORD,
                     port=oidc.first_port(), changes=configured, extra_oidc=list(issuers.values()))
    yield part
    part.stop()


def token(issuers, kind: str, **changes) -> str:
    now = int(time.time())
    claims = {"iss": issuers[kind].issuer, "aud": issuers[kind].audience, "iat": now, "nbf": now, "exp": now + 300, "jti": os.urandom(9).hex(),
              **KINDS[kind][1], **changes}
    return issuers[kind].mint({k: v for k, v in claims.items() if v is not None}, {"typ": "JWT"})


def exchange(gateway, given: str, **changes) -> tuple[int, dict]:
    form = {"grant_type": EXCHANGE, "subject_token": given, "subject_token_type": JWT, **changes}
    wire = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    wire.request("POST", "/token", urllib.parse.urlencode({k: v for k, v in form.items() if v is not None}),
                 {"content-type": "application/x-www-form-urlencoded"})
    answer = wire.getresponse()
    said = json.loads(answer.read())
    wire.close()
    return answer.status, said


def refused(gateway, said: tuple[int, dict], code: str, error: str = "invalid_request") -> None:
    status, answer = said
    assert (status, answer["code"], answer["error"]) == (400, code, error), said
    assert "access_token" not in answer


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_each_kind_opens_one_session(gateway, issuers, fresh, kind):
    given = token(issuers, kind)
    status, answer = exchange(gateway, given)
    assert status == 200 and answer["token_type"] == "Bearer" and answer["issued_token_type"].endswith(":access_token"), answer
    assert answer["access_token"].startswith("sps_") and 0 < answer["expires_in"] <= 4 * 3600
    client = gateway.client("up", token=answer["access_token"])
    assert client.call("echo", {"message": "from a job"}).text() == "Echo: from a job"
    with Wire(gateway.where("lab").but(password=answer["access_token"])) as wire:
        assert wire.rows("SELECT id FROM t") == [["1"]]
    refused(gateway, exchange(gateway, given), "token-used")
    assert client.call("echo", {"message": "x"}).text() == "Echo: x", "the session that it opened is not touched by that"
    # The record says who ran, and what.
    [opened] = [e for e in gateway.recorded(event="session.opened") if e["access"]["session"] == answer["session"]]
    assert opened["access"]["who"]["agent"] == f"job-{kind}" and opened["access"]["who"]["owner"] == "group:payments-platform", opened
    shown = {"github": "run_id=9001", "gitlab": "pipeline_id=4711", "cluster": "pod.name=runner-x", "aws": "aws_account=210987654321", "mesh": ""}
    assert shown[kind] in json.dumps(opened)
    assert [e for e in gateway.recorded(event="auth.failure", reason="token-used") if e.get("method") == "token-exchange"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_token_itself_is_a_credential_too(gateway, issuers, kind):
    given = token(issuers, kind)
    assert gateway.client("up", token=given).call("echo", {"message": "x"}).text() == "Echo: x"
    with Wire(gateway.where("lab").but(password=given)) as wire:
        assert wire.rows("SELECT id FROM t") == [["1"]]


OTHERS = {
    "another repository of the same name": ("github", {"repository_id": "75"}, "token-type-wrong"),
    "another branch": ("github", {"ref": "refs/heads/feature"}, "token-type-wrong"),
    "a stranger's code": ("github", {"event_name": "pull_request_target"}, "token-claims-invalid"),
    "a stranger's run": ("github", {"event_name": "workflow_run"}, "token-claims-invalid"),
    "an unprotected branch": ("gitlab", {"ref_protected": "false"}, "token-type-wrong"),
    "ids as numbers of another project": ("gitlab", {"project_id": 89}, "token-type-wrong"),
    "another account of the namespace": ("cluster", {"sub": "system:serviceaccount:ci:admin"}, "token-claims-invalid"),
    "the account made anew": ("cluster", {"kubernetes.io": {**POD["kubernetes.io"], "serviceaccount": {"name": "runner", "uid": "9999"}}},
                              "token-type-wrong"),
    "no pod's token": ("cluster", {"kubernetes.io": None}, "token-type-wrong"),
    "another role": ("aws", {"sub": "arn:aws:iam::210987654321:role/other"}, "token-type-wrong"),
    "another organisation": ("aws", {AWS: {"org_id": "o-xyz"}}, "token-type-wrong"),
    "another workload": ("mesh", {"sub": "spiffe://acme.example/ns/ci/sa/other"}, "token-type-wrong"),
    "a path with dots": ("mesh", {"sub": "spiffe://acme.example/ns/../ns/ci/sa/runner"}, "token-claims-invalid"),
    "for another gateway": ("github", {"aud": "https://another.example"}, "token-audience-wrong"),
    "over": ("github", {"iat": 1_000_000_000, "nbf": None, "exp": 1_000_000_300}, "token-expired"),
    "of a login": ("github", {"nonce": "n"}, "token-type-wrong"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_refused(gateway, issuers, fresh, what):
    kind, changes, code = OTHERS[what]
    given = token(issuers, kind, **changes)
    refused(gateway, exchange(gateway, given), code)
    assert gateway.client("up", token=given).call("echo", {"message": "x"}).status == 401
    with pytest.raises(Refused):
        Wire(gateway.where("lab").but(password=given))
    assert fresh.calls("echo") == []
    assert gateway.recorded(event="auth.failure", reason=code)


def test_the_name_may_change_and_the_id_may_not(gateway, issuers):
    renamed = token(issuers, "github", repository="acme/store", sub="repo:acme@31/store@74:ref:refs/heads/main")
    assert exchange(gateway, renamed)[0] == 200


def test_people_do_not_exchange(gateway, oidc):
    refused(gateway, exchange(gateway, oidc.token("tester", fresh=True)), "token-type-wrong")


def test_from_before_the_start(gateway, issuers):
    """The gateway forgets with a restart what was used: what is older than it is refused."""
    refused(gateway, exchange(gateway, token(issuers, "github", iat=int(time.time()) - 200, nbf=None, exp=int(time.time()) + 100)), "token-used")


def test_a_token_without_an_id_is_used_once_too(gateway, issuers):
    given = token(issuers, "mesh", jti=None)
    assert exchange(gateway, given)[0] == 200
    refused(gateway, exchange(gateway, given), "token-used")


@pytest.mark.parametrize("changes, code, error", [
    ({"grant_type": "client_credentials"}, "request-malformed", "unsupported_grant_type"),
    ({"grant_type": None}, "request-malformed", "invalid_request"),
    ({"subject_token": None}, "request-malformed", "invalid_request"),
    ({"subject_token": "x" * 20_000}, "request-malformed", "invalid_request"),
    ({"subject_token": "a.b.c"}, "token-malformed", "invalid_request"),
    ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "request-malformed", "invalid_request"),
    ({"requested_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "request-malformed", "invalid_request"),
    ({"audience": "https://another.example"}, "request-malformed", "invalid_target"),
    ({"resource": "https://another.example/mcp/up"}, "request-malformed", "invalid_target"),
    ({"scope": "admin"}, "request-malformed", "invalid_scope"),
    ({"actor_token": "x"}, "request-malformed", "invalid_request")])
def test_requests_that_are_none(gateway, issuers, changes, code, error):
    refused(gateway, exchange(gateway, token(issuers, "github"), **changes), code, error)


def test_not_without_a_form(gateway):
    wire = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    wire.request("POST", "/token", json.dumps({"grant_type": EXCHANGE}), {"content-type": "application/json"})
    answer = wire.getresponse()
    assert answer.status == 400 and json.loads(answer.read())["error"] == "invalid_request"
    wire.request("GET", "/token")
    assert wire.getresponse().status == 405
    wire.close()


@pytest.mark.parametrize("match", [{"claims": {"repository": "acme/shop"}}, {"subject": GITHUB["sub"]},
                                   {"claims": {"repository": "acme/shop", "ref": "refs/heads/main"}}])
def test_names_alone_are_no_match(gateway, tmp, match):
    config = json.loads(json.dumps(gateway.config))
    config["identity"]["agents"] = [{"name": "job", "owner": "group:payments-platform", "match": {"provider": "github", **match}}]
    config["policies"] = [{"id": "jobs", "effect": "allow", "who": ["agent:job"], "on": {"connection": "up", "tools": ["echo"]}}]
    file = tmp / "sallyport.yaml"
    file.write_text(json.dumps(config, indent=1))
    done = subprocess.run([str(sallyport()), "validate", str(file)], capture_output=True, text=True, env=gateway.env, timeout=20)
    assert done.returncode != 0 and "repository_id" in done.stdout + done.stderr, done
    assert "sallyport.yaml:" in done.stdout + done.stderr
