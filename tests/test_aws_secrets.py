"""Secrets that lie in AWS Secrets Manager: what stands for it is a double that takes a request only if botocore signs it the same way."""

import json
import subprocess
import time
from http.server import BaseHTTPRequestHandler

import pytest

from kit.cloud import Aws, Front, _Server
from kit.parts import Upstream, http_connection
from kit.paths import sallyport
from kit.process import eventually
from test_upstream_credentials import echo, secrets_nowhere

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:payments/token-AbCdEf"


class SecretsManager(_Server):
    """A double of GetSecretValue (2017-10-17)."""

    def __init__(self):
        self.aws = Aws("secretsmanager", "eu-central-1")
        self.aws.front = self
        self.clock, self.mode, self.values, self.asked = 0, "up", {}, []
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                request = {"method": "POST", "target": self.path, "body": body, "headers": [(k.lower(), v) for k, v in self.headers.items()]}
                request["head"] = dict(request["headers"])
                status, answer = double.answer(request)
                text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.1")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}/"

    def answer(self, request):
        if self.mode != "up":
            return {"down": (503, b"aws-words-canary"), "garbage": (200, b'{"SecretString": "aws-words-canary')}[self.mode]
        if (verdict := self.aws.judge(request)) is not None:
            return 400, {"__type": verdict[1]["x-amzn-ErrorType"], "message": "aws-words-canary"}
        assert request["head"]["x-amz-target"] == "secretsmanager.GetSecretValue"
        id = json.loads(request["body"])["SecretId"]
        self.asked.append(id)
        if id not in self.values:
            return 400, {"__type": "ResourceNotFoundException", "Message": "aws-words-canary"}
        return 200, {"ARN": ARN, "Name": id, "VersionId": "1", "SecretString": self.values[id], "VersionStages": ["AWSCURRENT"]}


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture
def front(plain):
    part = Front(plain.port, lambda request: None)
    part.bearers = lambda: [r["head"].get("authorization", "").removeprefix("Bearer ") for r in list(part.seen)]
    yield part
    part.stop()


@pytest.fixture
def store():
    part = SecretsManager()
    yield part
    part.stop()


@pytest.fixture
def make(tmp, start_gateway, oidc, front, store):
    def make(ref, start=True, wrong="", token=False):
        id, secret, session = store.aws.add(token=token)
        cloud = http_connection("cloud", front.origin + "/mcp")
        cloud["mcp"]["http"]["auth"] = {"bearer": {"aws_secret": ref}}
        keys = {"access_key_id": id, "secret_access_key": {"env": "AWS_S"}, **({"session_token": {"env": "AWS_T"}} if token else {})}
        section = {"region": "eu-central-1", "url": store.url, "refresh": "1s", "credentials": keys}
        part = start_gateway(tmp, oidc, [cloud], start=start, env={"AWS_S": wrong + secret, "AWS_T": session},
                             changes=lambda config: config.update(aws_secrets=section))
        part.secret, part.key = secret, id
        return part
    return make


@pytest.mark.parametrize("ref, value", [({"id": "plain"}, "aws-canary-plain"), ({"id": ARN, "field": "token"}, '{"token": "aws-canary-member", "n": 1}')],
                         ids=["text", "member"])
@pytest.mark.parametrize("token", [False, True], ids=["key", "temporary key"])
def test_a_secret_and_a_member_of_one(make, store, front, ref, value, token):
    store.values[ref["id"]] = value
    gateway = make(ref, token=token)
    client = gateway.client("cloud")
    begin, before = time.monotonic(), len(store.asked)
    for _ in range(50):
        assert echo(client) == "hi"
    assert len(store.asked) - before <= time.monotonic() - begin + 2
    assert set(front.bearers()) == {json.loads(value)["token"] if "field" in ref else value}
    assert store.aws.refused == []
    store.values[ref["id"]] = value.replace("canary", "second")
    assert eventually(lambda: echo(client) == "hi" and "second" in front.bearers()[-1], 10, 0.3)
    secrets_nowhere(gateway, gateway.secret, "aws-canary", "aws-second")


@pytest.mark.parametrize("mode", ["down", "garbage"])
def test_an_outage_changes_nothing_and_a_deleted_secret_is_said(make, store, front, mode):
    store.values["plain"] = "aws-canary-plain"
    gateway = make({"id": "plain"})
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    store.mode = mode
    assert eventually(lambda: "secrets.not_renewed" in gateway.process.err, 8)
    time.sleep(6)
    assert echo(client) == "hi" and front.bearers()[-1] == "aws-canary-plain"
    store.mode = "up"
    del store.values["plain"]
    assert eventually(lambda: "secrets.withdrawn" in gateway.process.err, 12)
    assert "AWS answered HTTP 400 ResourceNotFoundException" in gateway.process.err
    secrets_nowhere(gateway, gateway.secret, "aws-words-canary", "aws-canary")


@pytest.mark.parametrize("mode", ["down", "garbage", "wrong key", "not there"])
def test_nothing_starts_without_its_secrets(make, store, mode):
    store.values["plain"] = "aws-canary-plain"
    if mode in ("down", "garbage"):
        store.mode = mode
    gateway = make({"id": "other" if mode == "not there" else "plain"}, start=False, wrong="x" if mode == "wrong key" else "")
    done = subprocess.run([sallyport(), "serve", "--config", gateway.config_path], env=gateway.env, capture_output=True, text=True, timeout=25)
    assert done.returncode > 0 and "aws_secret" in done.stderr, done
    for secret in ("aws-words-canary", "aws-canary", gateway.secret):
        assert secret not in done.stderr + done.stdout
    if mode == "wrong key":
        assert "InvalidSignatureException" in done.stderr and 1 <= len(store.aws.refused) <= 2
