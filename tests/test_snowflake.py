"""Servers at Snowflake: a programmatic access token, and the gateway's own token in the form of External OAuth.

In front of the real MCP server stands a double of Snowflake's door that follows its documentation and verifies tokens by the keys
that the gateway publishes; no Snowflake account was asked.
"""

import json
import time

import pytest
from test_upstream_credentials import echo, secrets_nowhere

from kit.cloud import Front, header, payload, verify_rs256
from kit.parts import Upstream, get, http_connection, run

ACCOUNT = "https://acme-main.snowflakecomputing.com"
TYPE = "x-snowflake-authorization-token-type"
RULES = [{"id": "all", "effect": "allow", "who": ["group:testers", "group:support", "agent:agent-refunds"],
          "on": {"connection": "cloud", "tools": ["*"]}}]


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


class Door:
    """Snowflake's side of a security integration of type EXTERNAL_OAUTH: users by LOGIN_NAME and the roles granted to each."""

    def __init__(self, port, claim="sub"):
        self.issuer, self.claim, self.users, self.seen, self.problems = None, claim, {}, [], []
        self.front = Front(port, self.judge)

    def judge(self, request):
        try:
            self.check(request)
            return None
        except (AssertionError, KeyError, StopIteration) as error:
            self.problems.append(repr(error))
            return 401, {"content-type": "application/json"}

    def check(self, request):
        assert request["head"][TYPE] == "OAUTH" and len([n for n, _ in request["headers"] if n == TYPE]) == 1
        kind, _, token = request["head"]["authorization"].partition(" ")
        jwks = json.loads(get(json.loads(get(self.issuer + "/.well-known/openid-configuration")[1])["jwks_uri"])[1])
        claims = verify_rs256(token, jwks)
        assert kind == "Bearer" and header(token)["alg"] == "RS256"
        assert claims["iss"] == self.issuer and claims["aud"] == ACCOUNT
        assert claims["exp"] - claims["iat"] <= 600 and time.time() < claims["exp"]
        scope = claims["scp"]
        assert isinstance(scope, str) and scope.startswith("session:role:"), scope
        login, role = claims[self.claim], scope.removeprefix("session:role:")
        assert role in self.users[login.upper()], (login, role)
        self.seen.append((request["body"], login, role, token))

    def who(self, text: str) -> set:
        return {(login, role) for body, login, role, _ in self.seen if text.encode() in body}


def external(door, **more):
    connection = http_connection("cloud", door.front.origin + "/mcp")
    connection["mcp"]["http"]["auth"] = {"snowflake_external_oauth": {"account_url": ACCOUNT, **more}}
    return connection


@pytest.fixture
def make(tmp, start_gateway, oidc, plain):
    doors = []

    def make(claim="sub", **more):
        door = Door(plain.port, claim)
        doors.append(door)
        gateway = start_gateway(tmp, oidc, [external(door, claim=claim, **more)], RULES, start=False)
        door.issuer = gateway.public_url
        return door, gateway.start()
    yield make
    for door in doors:
        door.front.stop()


def test_a_caller_is_a_user_there_and_has_the_role_of_a_group(make, oidc):
    door, gateway = make("name", login_name="name", provider="corp", ttl="10m", roles=[
        {"who": ["group:support"], "role": "SUPPORT_RO"}, {"who": ["user:tom@example.com"], "role": "ANALYST"},
        {"who": ["group:testers"], "role": "PUBLIC"}])
    door.users = {"TESS@EXAMPLE.COM": {"PUBLIC"}, "TOM@EXAMPLE.COM": {"PUBLIC", "ANALYST"}, "SUE@EXAMPLE.COM": {"SUPPORT_RO"}}
    sue = oidc.token_of("sue", "sue@example.com", ["testers", "support"])
    for name, token in {"tess": oidc.token("tester"), "tom": oidc.token("tester2"), "sue": sue}.items():
        assert echo(gateway.client("cloud", token=token), f"from {name}.") == f"from {name}."
    assert door.problems == []
    assert door.who("from tess.") == {("tess@example.com", "PUBLIC")}
    assert door.who("from tom.") == {("tom@example.com", "ANALYST")}
    assert door.who("from sue.") == {("sue@example.com", "SUPPORT_RO")}
    assert payload(door.seen[0][3])["sub"].startswith("corp:")
    assert len({token for _, _, _, token in door.seen}) == 3
    # Into a group, into its role, at once.
    door.users["SAM@EXAMPLE.COM"] = {"PUBLIC", "SUPPORT_RO"}
    for groups, role in ((["testers"], "PUBLIC"), (["testers", "support"], "SUPPORT_RO")):
        sam = gateway.client("cloud", token=oidc.token_of("sam", "sam@example.com", groups))
        assert echo(sam, f"as {role}.") == f"as {role}." and door.who(f"as {role}.") == {("sam@example.com", role)}
    # Out of the group, out of the role, although the earlier token would have been good for longer.
    demoted = oidc.token_of("sue", "sue@example.com", ["testers"])
    assert b'"error"' in gateway.client("cloud", token=demoted).call("echo", {"message": "demoted."}).body
    assert door.who("demoted.") == set() and "'PUBLIC' in {'SUPPORT_RO'}" in door.problems[-1].replace("\\", "")
    assert not any(oidc.token("tester") in str(r["headers"]) for r in door.front.seen)
    secrets_nowhere(gateway, *{token.split(".")[2] for _, _, _, token in door.seen})


def test_a_caller_without_a_role_sends_nothing(make, oidc):
    door, gateway = make(roles=[{"who": ["group:support"], "role": "SUPPORT_RO"}])
    door.users = {"TESTER": {"SUPPORT_RO"}}
    body = gateway.client("cloud").call("echo", {"message": "x"}).body.decode()
    assert "no credential for the upstream" in body and door.front.seen == []
    gateway.recorded(event="call.outcome", reason="upstream-credential-failed")


def test_one_role_for_all_and_the_subject_as_login_name(make, oidc):
    door, gateway = make(role="MCP_USER")
    door.users = {"TESTER": {"MCP_USER"}, "AGENT-REFUNDS": {"MCP_USER"}}
    assert echo(gateway.client("cloud"), "one.") == "one."
    assert echo(gateway.client("cloud", "agent-refunds"), "two.") == "two."
    assert door.who("one.") == {("tester", "MCP_USER")} and door.who("two.") == {("agent-refunds", "MCP_USER")}
    [token] = {t for body, _, _, t in door.seen if b"two." in body}
    assert payload(token)["act"] == {"sub": "agent:agent-refunds"} and door.problems == []


def test_a_programmatic_access_token(tmp, start_gateway, oidc, plain):
    secret = "pat-canary-61c0e7d2"
    front = Front(plain.port, lambda r: None if r["head"].get("authorization") == f"Bearer {secret}"
                  and r["head"].get(TYPE) == "PROGRAMMATIC_ACCESS_TOKEN" else (401, {}))
    connection = http_connection("cloud", front.origin + "/mcp")
    connection["mcp"]["http"]["auth"] = {"snowflake_pat": {"token": {"env": "SF_PAT"}}}
    gateway = start_gateway(tmp, oidc, [connection], env={"SF_PAT": secret})
    assert echo(gateway.client("cloud")) == "hi"
    assert get(gateway.public_url + "/.well-known/jwks.json")[0] == 404, "no issuer is needed for it"
    secrets_nowhere(gateway, secret)
    front.stop()


@pytest.mark.parametrize("url", ["https://acme_org-main.snowflakecomputing.com", "https://acme-my_account.snowflakecomputing.com/api/v2/x"])
def test_validate_says_hyphens(make, oidc, tmp, url):
    _, gateway = make(role="R")
    config = json.loads(gateway.config_path.read_text())
    http = config["connections"][0]["mcp"]["http"]
    if "/api" in url:
        http["url"] = url
    else:
        http["auth"]["snowflake_external_oauth"]["account_url"] = url
    file = tmp / "hyphens.yaml"
    file.write_text(json.dumps(config))
    done = run("validate", str(file))
    assert done.returncode == 78 and "hyphens where the account has underscores" in done.stderr, done
    assert url.split("/")[2].replace("_", "-") in done.stderr
