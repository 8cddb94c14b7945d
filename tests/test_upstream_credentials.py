"""The credential that an upstream sees is the gateway's, is right, is fresh, and nobody else sees it.

Behind each kind stands the real MCP server; in front of it a hop that judges the credential (kit/cloud.py).
"""

import concurrent.futures
import json
import pathlib
import subprocess
import time
import urllib.parse

import pytest

from conftest import run_dir
from kit import sigv4
from kit.cloud import Aws, Front, Sts, header, payload, verify_rs256
from kit.mcp import LEGACY, MODERN
from kit.parts import Upstream, get, http_connection
from kit.paths import NODE, NODE_DIR, ROOT, node_env
from kit.process import eventually

ARN = urllib.parse.quote(sigv4.ARN, safe="")
PLACE = f"/runtimes/{ARN}/invocations?qualifier=DEFAULT&empty&b=2&a=1"


@pytest.fixture(scope="module")
def plain(scratch):
    """The real server, which asks for no credential itself."""
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture
def aws(plain):
    double = Aws()
    double.front_of(plain.port)
    yield double
    double.front.stop()


def signed_by(url, credentials=None, **more) -> dict:
    auth = {"sigv4": {"service": "bedrock-agentcore", "region": "us-east-1", **({"credentials": credentials} if credentials else {}), **more}}
    connection = http_connection("cloud", url)
    connection["mcp"]["http"]["auth"] = auth
    return connection


def echo(client, text="hi") -> str:
    if not client.modern and client.negotiated is None:
        client.start()
    return client.call("echo", {"message": text}).text().removeprefix("Echo: ")


def secrets_nowhere(gateway, *secrets):
    """Not in what the gateway wrote, not in what it said to anybody."""
    gateway.ops("/metrics")
    found = []
    for file in pathlib.Path(gateway.directory).rglob("*"):
        if file.is_file() and "keep-" not in file.name:
            data = file.read_bytes()
            found += [f"{file.name}: {s[:6]}…" for s in secrets if s and s.encode() in data]
    for file in (run_dir() / "capture").glob("*.bin"):
        data = file.read_bytes()
        found += [f"{file.name}: {s[:6]}…" for s in secrets if s and s.encode() in data]
    assert found == []


def test_the_vectors_are_what_botocore_says():
    """The unit test compares our signatures with this file; here: it is what the pinned botocore makes."""
    lines = [json.loads(line) for line in (ROOT / "testdata/sigv4/botocore.jsonl").read_text().splitlines()]
    assert lines == json.loads(json.dumps(list(sigv4.vectors())))


@pytest.mark.parametrize("version", [MODERN, LEGACY[0]])
@pytest.mark.parametrize("token", [False, True], ids=["static", "session"])
def test_sigv4_is_what_aws_takes(tmp, start_gateway, oidc, aws, version, token):
    id, secret, session = aws.add(token=token)
    gateway = start_gateway(tmp, oidc, [signed_by(aws.front.origin + PLACE, {
        "access_key_id": id, "secret_access_key": {"env": "AWS_S"}, **({"session_token": {"env": "AWS_T"}} if token else {})})],
        env={"AWS_S": secret, "AWS_T": session})
    client = gateway.client("cloud", version=version)
    for text in ["hi", "", "é漢字 \u2028 \"quoted\" %2F", "x" * 100_000]:
        assert echo(client, text) == text
    assert aws.refused == [] and aws.front.passed >= 4
    caller = oidc.token("tester")
    for request in aws.front.seen:
        assert caller not in str(request["headers"]) + request["body"].decode()
        assert request["target"] == PLACE
        assert request["head"]["authorization"].startswith(f"AWS4-HMAC-SHA256 Credential={id}/")
        assert len([n for n, _ in request["headers"] if n == "authorization"]) == 1
    secrets_nowhere(gateway, secret, session)


def test_a_stream_and_its_end_are_signed_too(tmp, start_gateway, oidc, aws):
    """GET and DELETE of a session of the older revisions: no body."""
    id, secret, _ = aws.add()
    gateway = start_gateway(tmp, oidc, [signed_by(aws.front.origin + "/mcp", {"access_key_id": id, "secret_access_key": {"env": "AWS_S"}})],
                            env={"AWS_S": secret})
    client = gateway.client("cloud", version=LEGACY[0])
    assert echo(client) == "hi"
    client.close()
    assert eventually(lambda: {"POST", "DELETE"} <= {r["method"] for r in aws.front.seen}), [r["method"] for r in aws.front.seen]
    assert aws.refused == []


def test_the_credentials_file_is_read_again(tmp, start_gateway, oidc, aws):
    first, second = aws.add(), aws.add()
    file = tmp / "keep-credentials"
    text = "# ours\n[default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n\n[ gate ]\naws_access_key_id={}\naws_secret_access_key = {}\n"
    file.write_text(text.format(*first))
    gateway = start_gateway(tmp, oidc, [signed_by(aws.front.origin + "/mcp", {"file": str(file), "profile": "gate"})])
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    file.write_text(text.format(*second))
    aws.keys[first[0]] = (first[1], "", 0)  # the old one has ended: the first refusal makes the gateway look again
    time.sleep(2.1)
    assert echo(client) == "hi"
    assert aws.refused == ["ExpiredTokenException"]
    secrets_nowhere(gateway, first[1], second[1])


def test_the_chain_takes_the_environment(tmp, start_gateway, oidc, aws):
    id, secret, session = aws.add(token=True)
    gateway = start_gateway(tmp, oidc, [signed_by(aws.front.origin + "/mcp")],
                            env={"AWS_ACCESS_KEY_ID": id, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": session})
    assert echo(gateway.client("cloud")) == "hi"
    assert aws.refused == []


def test_a_clock_that_is_off_is_corrected_once(tmp, start_gateway, oidc, aws):
    id, secret, _ = aws.add()
    aws.front.clock = 1200
    gateway = start_gateway(tmp, oidc, [signed_by(aws.front.origin + "/mcp", {"access_key_id": id, "secret_access_key": {"env": "AWS_S"}})],
                            env={"AWS_S": secret})
    client = gateway.client("cloud")
    for _ in range(3):
        assert echo(client) == "hi"
    assert aws.refused == ["InvalidSignatureException"]


def test_a_wrong_key_is_an_error_and_no_storm(tmp, start_gateway, oidc, aws):
    id, secret, _ = aws.add()
    gateway = start_gateway(tmp, oidc, [signed_by(aws.front.origin + "/mcp", {"access_key_id": id, "secret_access_key": {"env": "AWS_S"}})],
                            env={"AWS_S": "wrong" + secret})
    client = gateway.client("cloud")
    for _ in range(5):
        assert b'"error"' in client.call("echo", {"message": "x"}).body
    assert aws.front.passed == 0
    assert len(aws.refused) <= 5 * 4  # discover, initialize; none of it twice for the same key
    gateway.recorded(event="call.outcome", reason="upstream-protocol")
    secrets_nowhere(gateway, secret)


@pytest.fixture
def sts(tmp, aws):
    token = tmp / "keep-web-identity"
    token.write_text("eyJ.web-identity-canary-77c1.sig\n")
    double = Sts(aws, token)
    double.token_file = token
    yield double
    double.stop()


def by_web_identity(aws, sts, **more):
    return signed_by(aws.front.origin + "/mcp", {"web_identity": {
        "role_arn": "arn:aws:iam::123456789012:role/gate", "token": {"file": str(sts.token_file)}, "sts_url": sts.url, **more}})


def test_web_identity_is_exchanged_once_and_renewed_in_time(tmp, start_gateway, oidc, aws, sts):
    sts.life = 8
    gateway = start_gateway(tmp, oidc, [by_web_identity(aws, sts, session_name="gate-1")])
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        clients = [gateway.client("cloud") for _ in range(20)]
        assert list(pool.map(echo, clients)) == ["hi"] * 20
    assert len(sts.asked) == 1 and sts.asked[0]["RoleSessionName"] == "gate-1" and sts.asked[0]["DurationSeconds"] == "3600"
    end = time.monotonic() + 14
    while time.monotonic() < end:
        assert echo(clients[0]) == "hi"
        time.sleep(0.2)
    assert aws.refused == []  # nobody met the end of a key
    assert 2 <= len(sts.asked) <= 4
    secrets_nowhere(gateway, "web-identity-canary-77c1", *(part for key in sts.given for part in key[1:]))


def test_sts_down_is_said_and_what_is_at_hand_goes_on(tmp, start_gateway, oidc, aws, sts):
    sts.mode = "down"
    gateway = start_gateway(tmp, oidc, [by_web_identity(aws, sts)])
    client = gateway.client("cloud")
    reply = client.call("echo", {"message": "x"})
    assert "no credential for the upstream" in reply.body.decode(), reply
    assert aws.front.seen == []
    gateway.recorded(event="call.outcome", reason="upstream-credential-failed")
    for _ in range(30):
        client.call("echo", {"message": "x"})
    assert len(sts.asked) <= 4  # not once per call
    assert "secret words of STS" not in gateway.process.err and "web-identity-canary" not in gateway.process.err
    assert "credential.not_obtained" in gateway.process.err
    sts.mode, sts.life = "up", 20
    assert eventually(lambda: b"hi" in client.call("echo", {"message": "hi"}).body, 12, step=0.3)
    sts.mode = "down"
    time.sleep(15.5)  # past the time of renewal, before the end
    assert echo(client) == "hi"


def test_a_token_that_sts_refuses_is_never_repeated(tmp, start_gateway, oidc, aws, sts):
    stale = tmp / "keep-stale"
    stale.write_text("eyJ.stale-canary-5b.sig")
    gateway = start_gateway(tmp, oidc, [signed_by(aws.front.origin + "/mcp", {"web_identity": {
        "role_arn": "arn:aws:iam::123456789012:role/gate", "token": {"file": str(stale)}, "sts_url": sts.url}})])
    assert "no credential for the upstream" in gateway.client("cloud").call("echo", {"message": "x"}).body.decode()
    assert "STS answered HTTP 400 InvalidIdentityToken" in gateway.process.err
    secrets_nowhere(gateway, "stale-canary-5b")


# -- OAuth client credentials ------------------------------------------------------------------------

class TokenFront:
    """Takes what the provider gave to our client for this resource, as long as it lasts and is not called back."""

    def __init__(self, port, oidc, ttl=3600):
        self.oidc, self.given, self.bad, self.refusals = oidc, [], set(), 0
        self.front = Front(port, self.judge)
        self.resource = f"{self.front.origin}/mcp?ttl={ttl}"
        self.all_bad = False

    def judge(self, request):
        kind, _, token = request["head"].get("authorization", "").partition(" ")
        claims = payload(token) if kind == "Bearer" and token.count(".") == 2 else {}
        if token and token not in self.given:
            self.given.append(token)
        good = (claims.get("iss") == self.oidc.issuer and claims.get("aud") == self.resource and claims.get("client_id") == "agent-other"
                and claims.get("scope") == "mcp" and claims["exp"] > time.time() and token not in self.bad and not self.all_bad)
        self.refusals += not good
        return None if good else (401, {"www-authenticate": 'Bearer error="invalid_token"'})


@pytest.fixture
def resource(plain, oidc):
    part = TokenFront(plain.port, oidc)
    yield part
    part.front.stop()


def by_oauth(part, **more) -> dict:
    connection = http_connection("cloud", part.front.origin + "/mcp")
    auth = {"token_url": part.oidc.issuer + "/token", "client_id": "agent-other", "client_secret": {"env": "OAUTH_SECRET"},
            "scope": "mcp", "resource": part.resource, **more}
    connection["mcp"]["http"]["auth"] = {"oauth": {k: v for k, v in auth.items() if v is not None}}
    return connection


OAUTH_ENV = {"OAUTH_SECRET": "agent-other-secret"}


@pytest.mark.parametrize("how", [{}, {"client_auth": "post"}, {"issuer": "+", "token_url": None}], ids=["basic", "post", "issuer"])
def test_oauth_one_token_for_many_callers(tmp, start_gateway, oidc, resource, how):
    if how.get("issuer"):
        how = {**how, "issuer": oidc.issuer}
    gateway = start_gateway(tmp, oidc, [by_oauth(resource, **how)], env=OAUTH_ENV)
    callers = [gateway.client("cloud", who) for who in ("tester", "tester2") for _ in range(12)]
    before = oidc.stats()["token"]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        assert list(pool.map(echo, callers)) == ["hi"] * 24
    assert oidc.stats()["token"] - before == 1
    assert len(resource.given) == 1 and resource.refusals == 0
    own = {oidc.token("tester"), oidc.token("tester2")}
    assert not any(token in str(r["headers"]) + r["body"].decode() for r in resource.front.seen for token in own)
    secrets_nowhere(gateway, "agent-other-secret", resource.given[0], resource.given[0].split(".")[2])


def test_oauth_is_renewed_before_its_end(tmp, start_gateway, oidc, plain):
    part = TokenFront(plain.port, oidc, ttl=8)
    gateway = start_gateway(tmp, oidc, [by_oauth(part)], env=OAUTH_ENV)
    client = gateway.client("cloud")
    end = time.monotonic() + 14
    while time.monotonic() < end:
        assert echo(client) == "hi"
        time.sleep(0.2)
    assert part.refusals == 0
    assert 2 <= len(part.given) <= 4
    part.front.stop()


def test_oauth_a_refused_token_is_replaced_once(tmp, start_gateway, oidc, resource):
    gateway = start_gateway(tmp, oidc, [by_oauth(resource)], env=OAUTH_ENV)
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    time.sleep(2.1)
    before = oidc.stats()["token"]
    resource.bad.add(resource.given[0])
    clients = [gateway.client("cloud") for _ in range(16)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda c: echo(c, "again"), clients)) == ["again"] * 16
    assert oidc.stats()["token"] - before == 1 and len(resource.given) == 2
    passed = [r for r in resource.front.seen if r["verdict"] is None and b"again" in r["body"]]
    assert len(passed) == 16  # each once
    time.sleep(2.1)
    resource.all_bad = True  # nothing helps: one more attempt, then it is said
    seen, before = len(resource.front.seen), oidc.stats()["token"]
    assert b'"error"' in client.call("echo", {"message": "x"}).body
    assert oidc.stats()["token"] - before <= 1
    assert len([r for r in resource.front.seen[seen:] if b'"x"' in r["body"]]) == 2


def test_oauth_provider_down_or_refusing(tmp, start_gateway, oidc, resource):
    gateway = start_gateway(tmp, oidc, [by_oauth(resource)], env={"OAUTH_SECRET": "wrong-secret-canary-91"})
    client = gateway.client("cloud")
    assert "no credential for the upstream" in client.call("echo", {"message": "x"}).body.decode()
    assert resource.front.seen == []
    assert "the token endpoint answered HTTP 401 invalid_client" in gateway.process.err
    gateway.recorded(event="call.outcome", reason="upstream-credential-failed")
    before = oidc.stats()["token"]
    for _ in range(50):
        client.call("echo", {"message": "x"})
    assert oidc.stats()["token"] - before <= 4
    secrets_nowhere(gateway, "wrong-secret-canary-91")


# -- the gate's own token ------------------------------------------------------------------------------

class JwtFront:
    """A relying party: finds the keys through discovery and verifies each token."""

    def __init__(self, port, issuer, audience="https://upstream.example/mcp"):
        self.issuer, self.audience, self.claims = issuer, audience, []
        self.front = Front(port, self.judge)

    def judge(self, request):
        status, text = get(self.issuer + "/.well-known/openid-configuration")
        metadata = json.loads(text)
        assert status == 200 and metadata["issuer"] == self.issuer
        kind, _, token = request["head"].get("authorization", "").partition(" ")
        claims = verify_rs256(token, json.loads(get(metadata["jwks_uri"])[1]))
        assert kind == "Bearer" and claims["iss"] == self.issuer and claims["aud"] == self.audience
        assert claims["iat"] <= time.time() + 1 and time.time() < claims["exp"] <= time.time() + 121
        self.claims.append((claims, token))
        request["claims"] = claims, token
        return None


def by_gate(part) -> dict:
    connection = http_connection("cloud", part.front.origin + "/mcp")
    connection["mcp"]["http"]["auth"] = {"gate_jwt": {"audience": part.audience, "ttl": "2m"}}
    return connection


def jose_verifies(token, issuer, audience) -> dict:
    """What npm's jose makes of the token, with nothing but the issuer's URL."""
    script = """
        import { createRemoteJWKSet, jwtVerify } from 'jose';
        const [token, issuer, audience] = process.argv.slice(1);
        const metadata = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
        const options = { issuer, audience, typ: 'JWT', algorithms: metadata.id_token_signing_alg_values_supported };
        console.log(JSON.stringify((await jwtVerify(token, createRemoteJWKSet(new URL(metadata.jwks_uri)), options)).payload));
    """
    done = subprocess.run([NODE, "--input-type=module", "-e", script, token, issuer, audience], cwd=NODE_DIR, env=node_env(),
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", [MODERN, LEGACY[0]])
def test_gate_jwt_names_the_caller_and_the_agent(tmp, start_gateway, oidc, plain, version):
    part = JwtFront(plain.port, None)
    policy = [{"id": "all", "effect": "allow", "who": ["group:testers", "agent:agent-refunds"], "on": {"connection": "cloud", "tools": ["*"]}}]
    gateway = start_gateway(tmp, oidc, [by_gate(part)], policy, start=False)
    part.issuer = gateway.public_url
    gateway.start()
    who = {"tester": "tess@example.com", "tester2": "tom@example.com", "agent-refunds": None}
    tokens = {}
    for name, email in who.items():
        client = gateway.client("cloud", name, version=version)
        from_here = len(part.claims)
        assert echo(client, f"from {name}") == f"from {name}"
        claims, token = next(r["claims"] for r in part.front.seen if f"from {name}".encode() in r["body"])
        assert {c["sub"] for c, _ in part.claims[from_here:]} == {f"corp:{name}"}  # never another caller's
        assert claims["idp"] == {"iss": oidc.issuer, "sub": name}
        assert claims.get("name") == email or email is None
        assert claims.get("act") == ({"sub": "agent:agent-refunds"} if name == "agent-refunds" else None)
        tokens[name] = token
        assert oidc.token(name) not in str([r["headers"] for r in part.front.seen])
    assert len(set(tokens.values())) == 3
    seen = jose_verifies(tokens["tester"], gateway.public_url, part.audience)
    assert seen["sub"] == "corp:tester"
    secrets_nowhere(gateway, *(t.split(".")[2] for t in tokens.values()))
    part.front.stop()


def test_gate_jwt_keys_rotate(tmp, start_gateway, oidc, plain):
    part = JwtFront(plain.port, None)
    gateway = start_gateway(tmp, oidc, [by_gate(part)], start=False)
    part.issuer = gateway.public_url
    gateway.start()
    keys = gateway.data_dir / "state" / "issuer"

    def published():
        return [k["kid"] for k in json.loads(get(gateway.public_url + "/.well-known/jwks.json")[1])["keys"]]

    def signs(client) -> str:
        assert echo(client) == "hi"
        return header(part.claims[-1][1])["kid"]

    def age(kid, seconds):
        gateway.stop()
        file = keys / f"{kid}.pem"
        moved = file.with_name(f"{int(time.time()) - seconds}-{kid.partition('-')[2]}.pem")
        file.rename(moved)
        gateway.start()
        return moved.stem

    first = published()
    assert len(first) == 1 and signs(gateway.client("cloud")) == first[0]
    assert [oct(f.stat().st_mode & 0o777) for f in keys.iterdir()] == ["0o600"]
    old = age(first[0], 31 * 86400)
    both = published()
    assert len(both) == 2 and both[0] == old
    assert signs(gateway.client("cloud")) == old  # the new one is published first
    new = age(both[1], 3700)
    assert published() == [old, new] and signs(gateway.client("cloud")) == new
    new = age(new, 27 * 3600)
    assert published() == [new] and signs(gateway.client("cloud")) == new
    part.front.stop()


def test_no_issuer_where_no_upstream_wants_it(tmp, start_gateway, oidc, plain):
    gateway = start_gateway(tmp, oidc, [http_connection("cloud", plain.url)])
    assert get(gateway.public_url + "/.well-known/openid-configuration")[0] == 404
    assert get(gateway.public_url + "/.well-known/jwks.json")[0] == 404
    assert not (gateway.data_dir / "state" / "issuer").exists()
