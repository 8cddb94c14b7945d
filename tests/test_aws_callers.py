"""AWS sees the caller: each has a key of their own, got from STS for the gateway's token that names them.

STS and the upstream's front door are doubles that follow the published protocols (kit/cloud.py); STS verifies the token by the keys
that the gateway publishes. No AWS account was asked. Behind them stands the real MCP server.
"""

import concurrent.futures
import json
import re
import time

import pytest
from test_offboarding import request_token, revoke, sub_id
from test_upstream_credentials import echo, secrets_nowhere, signed_by

from kit.cloud import Aws, Sts, header, payload, verify_rs256
from kit.parts import Upstream, get
from kit.person import LOGIN_ENV, with_login
from kit.process import eventually

ROLE = "arn:aws:iam::123456789012:role/gate"
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "bedrock-agentcore:*", "Resource": "*"}]})
RULES = [{"id": "all", "effect": "allow", "who": ["group:testers", "agent:agent-refunds"], "on": {"connection": "cloud", "tools": ["*"]}}]
TAKEN = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
TAG = re.compile(r"[\w .:/=+@-]{0,256}", re.ASCII)


class StsByIssuer(Sts):
    """STS that trusts the gateway as an OpenID provider: it looks up the keys and notes whose each key is."""

    def __init__(self, aws):
        super().__init__(aws, None)
        self.issuer, self.audience, self.whose, self.refuse = None, "sts.amazonaws.com", {}, set()  # id of the key -> claims

    def judge(self, form):
        jwks = json.loads(get(json.loads(get(self.issuer + "/.well-known/openid-configuration")[1])["jwks_uri"])[1])
        claims = verify_rs256(form["WebIdentityToken"], jwks)
        assert claims["iss"] == self.issuer and claims["aud"] == self.audience and form["RoleArn"] == ROLE
        assert 0 < claims["exp"] - time.time() <= 300 and header(form["WebIdentityToken"])["typ"] == "JWT"
        tags = claims["https://aws.amazon.com/tags"]
        assert set(tags["transitive_tag_keys"]) <= set(tags["principal_tags"])
        assert all(len(v) == 1 and TAG.fullmatch(v[0]) and v[0] for v in tags["principal_tags"].values()), tags
        assert TAKEN.fullmatch(form["RoleSessionName"]) and TAKEN.fullmatch(claims["https://aws.amazon.com/source_identity"])
        return None if claims["sub"] not in self.refuse else "AccessDenied"

    def gave(self, form, key):
        self.whose[key[0]] = {**payload(form["WebIdentityToken"]), "session_name": form["RoleSessionName"]}


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture
def aws(plain):
    double = Aws()
    double.front_of(plain.port)
    yield double
    double.front.stop()


@pytest.fixture
def sts(aws):
    double = StsByIssuer(aws)
    yield double
    double.stop()


@pytest.fixture
def make(tmp, start_gateway, oidc, aws, sts):
    def make(changes=None, env=None, **more):
        connection = signed_by(aws.front.origin + "/mcp", {"web_identity": {
            "role_arn": ROLE, "token": "gate_jwt", "sts_url": sts.url, **more}})
        part = start_gateway(tmp, oidc, [connection], RULES, start=False, changes=changes, env=env)
        sts.issuer = part.public_url
        return part.start()
    return make


def used_for(aws, sts, text: str) -> list[dict]:
    """Whose keys signed the requests that hold this text."""
    keys = {r["head"]["authorization"].partition("Credential=")[2].partition("/")[0] for r in list(aws.front.seen) if text.encode() in r["body"]}
    return [sts.whose[key] for key in keys]


def test_each_caller_has_a_key_of_their_own(make, aws, sts, oidc):
    gateway = make(session_policy=POLICY, session_policy_arns=["arn:aws:iam::123456789012:policy/a", "arn:aws:iam::aws:policy/b"])
    names = ["tester", "tester2", "agent-refunds"] * 12
    clients = [gateway.client("cloud", who) for who in names]
    with concurrent.futures.ThreadPoolExecutor(36) as pool:
        assert list(pool.map(lambda pair: echo(pair[0], f"from {pair[1]}."), zip(clients, names))) == [f"from {n}." for n in names]
    assert aws.refused == [] and len(sts.given) == 3 == len(sts.asked), "one key for each, however many wait"
    for who, shown in {"tester": "tess@example.com", "tester2": "tom@example.com", "agent-refunds": "agent-refunds"}.items():
        [claims] = used_for(aws, sts, f"from {who}.")
        assert claims["sub"] == f"corp:{who}" and claims["https://aws.amazon.com/source_identity"] == f"corp,{who}"
        tags = claims["https://aws.amazon.com/tags"]["principal_tags"]
        assert tags["sallyport:person"] == [f"corp:{who}"]
        assert tags.get("sallyport:agent") == (["agent-refunds"] if who == "agent-refunds" else None)
        assert claims["session_name"].startswith(shown + ",")
    assert len({c["session_name"] for c in sts.whose.values()}) == 3
    for form in sts.asked:
        assert form["Policy"] == POLICY and form["DurationSeconds"] == "3600"
        assert [form["PolicyArns.member.1.arn"], form["PolicyArns.member.2.arn"]] == ["arn:aws:iam::123456789012:policy/a", "arn:aws:iam::aws:policy/b"]
    seen = str([r["headers"] for r in aws.front.seen]) + str(sts.asked)
    assert not any(oidc.token(who) in seen for who in set(names)), "nobody's own token goes to AWS"
    secrets_nowhere(gateway, *(form["WebIdentityToken"].split(".")[2] for form in sts.asked), *(part for key in sts.given for part in key[1:]))


def test_names_are_spelled_and_never_shared(make, aws, sts, oidc):
    """Who chooses a name, or a subject full of signs, gets no other one's place at AWS."""
    gateway = make()
    hostile = ["auth0|7", "auth0=7C7", "é漢 /:+,", "x" * 255, "x" * 254 + "y", "corp,tester"]
    for number, subject in enumerate(hostile):
        token = oidc.token_of(subject, "tess@example.com", ["testers"])
        assert echo(gateway.client("cloud", token=token), f"from {number}.") == f"from {number}."
    assert aws.refused == []
    found = [used_for(aws, sts, f"from {number}.")[0] for number in range(len(hostile))]
    assert [c["sub"] for c in found] == ["corp:" + s for s in hostile]
    for of in (lambda c: c["session_name"], lambda c: c["https://aws.amazon.com/source_identity"],
               lambda c: c["https://aws.amazon.com/tags"]["principal_tags"]["sallyport:person"][0]):
        assert len({of(c) for c in found}) == len(hostile), [of(c) for c in found]


def test_a_key_is_dropped_when_access_ends(make, aws, sts, oidc):
    def changes(config):
        with_login(config)
        config["identity"]["providers"][0]["sends"] = ["global-token-revocation"]
    gateway = make(changes, LOGIN_ENV)
    subject = "leaver"
    first = oidc.token_of(subject, "leaver@example.com", ["testers"])
    other = gateway.client("cloud", "tester2")
    assert echo(gateway.client("cloud", token=first), "before.") == "before." and echo(other) == "hi"
    assert len(sts.asked) == 2
    assert revoke(gateway, request_token(gateway), sub_id(gateway, subject)).status == 204
    assert gateway.client("cloud", token=first).request("tools/list").status == 401
    time.sleep(1.1)
    again = oidc.token_of(subject, "leaver@example.com", ["testers"], iat=int(time.time()) + 60)  # beyond doubt afterwards
    client = gateway.client("cloud", token=again)
    assert eventually(lambda: b"after." in client.call("echo", {"message": "after."}).body, 5, 0.3)
    assert echo(other) == "hi"
    assert [c["sub"] for c in (payload(f["WebIdentityToken"]) for f in sts.asked)] == [f"corp:{subject}", "corp:tester2", f"corp:{subject}"], "the old key went on"


def test_who_is_refused_does_not_hold_up_others(make, aws, sts):
    sts.refuse.add("corp:tester2")
    gateway = make()
    other, client = gateway.client("cloud", "tester2"), gateway.client("cloud")
    for _ in range(10):
        assert "no credential for the upstream" in other.call("echo", {"message": "x"}).body.decode()
        assert echo(client) == "hi"
    assert "STS answered HTTP 400 AccessDenied" in gateway.process.err
    assert {c["sub"] for c in sts.whose.values()} == {"corp:tester"} and len(sts.asked) <= 5, "not once per call"
    gateway.recorded(event="call.outcome", reason="upstream-credential-failed")


def test_a_refused_key_is_replaced_for_that_caller_alone(make, aws, sts):
    gateway = make()
    one, two = gateway.client("cloud"), gateway.client("cloud", "tester2")
    assert echo(one) == "hi" and echo(two) == "hi"
    [key] = [k for k, claims in sts.whose.items() if claims["sub"] == "corp:tester"]
    time.sleep(2.1)
    aws.keys[key] = (*aws.keys[key][:2], 0)  # has ended
    assert echo(one, "again") == "again" and echo(two) == "hi"
    assert aws.refused == ["ExpiredTokenException"] and len(sts.asked) == 3
    assert {c["sub"] for c in used_for(aws, sts, "again")} == {"corp:tester"}
