"""Keys from AWS's services for containers (ECS, EKS Pod Identity) and instances (IMDSv2): doubles that follow the published protocols; AWS
itself was not asked. The upstream is the real MCP server behind a double of AWS's front door."""

import datetime
import json
import secrets
import time
from http.server import BaseHTTPRequestHandler

import pytest
from test_upstream_credentials import echo, secrets_nowhere, signed_by

from kit.cloud import Aws, _Server
from kit.parts import Upstream
from kit.process import eventually

ROLES = "/latest/meta-data/iam/security-credentials/"


class Metadata(_Server):
    """Both services: /container with an authorization, /latest with a session token."""

    def __init__(self, aws):
        double = self
        self.aws, self.life, self.mode, self.authorization = aws, 3600, "good", "container-token-canary-1"
        self.asked, self.given, self.sessions, self.elsewhere = [], [], set(), []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def reply(self, status, text, headers=()):
                data = text.encode() if isinstance(text, str) else text
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    self.close_connection = True

            def do_PUT(self):
                double.asked.append(("PUT", self.path, dict(self.headers)))
                if self.path != "/latest/api/token" or not 1 <= int(self.headers["x-aws-ec2-metadata-token-ttl-seconds"]) <= 21600:
                    return self.reply(400, "")
                session = secrets.token_urlsafe(40)
                double.sessions.add(session)
                return self.reply(200, session if double.mode != "no session" else "a b\r\nc")

            def do_GET(self):
                double.asked.append(("GET", self.path, dict(self.headers)))
                if double.mode == "redirect":
                    return self.reply(307, "", [("location", "/elsewhere")])
                if self.path == "/elsewhere":
                    double.elsewhere.append(self.path)
                    return self.reply(200, double.key())
                if self.path.startswith("/container"):
                    return self.reply(200, double.key()) if self.headers["authorization"] == double.authorization else self.reply(401, "secret words")
                if self.headers["x-aws-ec2-metadata-token"] not in double.sessions:
                    return self.reply(401, "secret words")
                if self.path == ROLES:
                    return self.reply(200, "gate+role@x\nanother")
                return self.reply(200, double.key()) if self.path == ROLES + "gate%2Brole%40x" else self.reply(404, "")

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}"

    def key(self):
        id, secret, token = key = self.aws.add(self.life, token=True, id="ASIA" + secrets.token_hex(8).upper())
        self.given.append(key)
        end = datetime.datetime.fromtimestamp(time.time() + self.life, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {"Code": "Success", "AccessKeyId": id, "SecretAccessKey": secret, "Token": token, "Expiration": end}
        changed = {"failed": {"Code": "AssumeRoleUnauthorizedAccess"}, "injection": {"Token": "x\r\nX-Evil: secret-words"}, "no token": {"Token": ""},
                   "expired": {"Expiration": "2020-01-01T00:00:00Z"}, "no time": {"Expiration": "tomorrow"}, "number": {"SecretAccessKey": 7}}
        if self.mode == "garbage":
            return '{"AccessKeyId": "secret words'
        if self.mode == "huge":
            return json.dumps({**answer, "x": "A" * (1 << 20)})
        return json.dumps({**answer, **changed.get(self.mode, {})})


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
def metadata(aws):
    part = Metadata(aws)
    yield part
    part.stop()


@pytest.fixture
def make(tmp, start_gateway, oidc, aws, metadata):
    def make(**env):
        return start_gateway(tmp, oidc, [signed_by(aws.front.origin + "/mcp")], env=env)
    return make


@pytest.fixture
def container(tmp, metadata):
    file = tmp / "keep-authorization"
    file.write_text(metadata.authorization + "\n")
    return {"AWS_CONTAINER_CREDENTIALS_FULL_URI": metadata.url + "/container?x=1", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file)}


def test_the_containers_key_is_renewed_with_the_token_of_the_day(make, aws, metadata, container, tmp):
    metadata.life = 8
    gateway = make(**container)
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    metadata.authorization = "container-token-canary-2"
    (tmp / "keep-authorization").write_text(metadata.authorization)
    end = time.monotonic() + 9
    while time.monotonic() < end:
        assert echo(client) == "hi"
        time.sleep(0.25)
    assert aws.refused == [] and 2 <= len(metadata.given) <= 4
    assert {p for _, p, _ in metadata.asked} == {"/container?x=1"}
    secrets_nowhere(gateway, "container-token-canary-1", "container-token-canary-2", *(part for key in metadata.given for part in key[1:]))


def test_the_instances_key_by_a_session(make, aws, metadata):
    gateway = make(AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url + "/")
    assert echo(gateway.client("cloud")) == "hi" and aws.refused == []
    assert [(m, p) for m, p, _ in metadata.asked] == [("PUT", "/latest/api/token"), ("GET", ROLES), ("GET", ROLES + "gate%2Brole%40x")]
    assert all("x-aws-ec2-metadata-token" in {k.lower() for k in h} for m, _, h in metadata.asked if m == "GET"), "version 1 is not spoken"
    secrets_nowhere(gateway, *metadata.sessions, *(part for key in metadata.given for part in key[1:]))


@pytest.mark.parametrize("mode", ["failed", "injection", "no token", "expired", "no time", "number", "garbage", "huge", "redirect", "no session"])
def test_answers_that_are_no_key(make, aws, metadata, mode):
    metadata.mode = mode
    gateway = make(AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url)
    client = gateway.client("cloud")
    assert "no credential for the upstream" in client.call("echo", {"message": "x"}).body.decode()
    assert aws.front.seen == [] and metadata.elsewhere == []
    assert "credential.not_obtained" in gateway.process.err and "secret words" not in gateway.process.err
    if mode == "failed":
        metadata.mode = "good"
        assert eventually(lambda: b"hi" in client.call("echo", {"message": "hi"}).body, 12, 0.3)


@pytest.mark.parametrize("env, why", [
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://192.0.2.7/key"}, "the URL must be https"),
    ({"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2.example.com/key"}, "the URL must be https"),
    ({"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@192.0.2.7/key"}, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is no path"),
    ({"AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://192.0.2.7"}, "the URL must be https"),
    ({"AWS_EC2_METADATA_DISABLED": "true"}, "no AWS key"),
], ids=["plain elsewhere", "a name like it", "no path", "instance elsewhere", "switched off"])
def test_nobody_else_is_asked(make, aws, env, why):
    gateway = make(**env)
    assert "no credential for the upstream" in gateway.client("cloud").call("echo", {"message": "x"}).body.decode()
    assert why in gateway.process.err and aws.front.seen == []


def test_a_wrong_authorization_is_said_and_not_repeated(make, metadata, container, tmp):
    (tmp / "keep-authorization").write_text("stale-canary-66")
    gateway = make(**container)
    for _ in range(10):
        assert "no credential" in gateway.client("cloud").call("echo", {"message": "x"}).body.decode()
    assert "the container's credential service answered HTTP 401" in gateway.process.err and len(metadata.asked) <= 4
    secrets_nowhere(gateway, "stale-canary-66")
