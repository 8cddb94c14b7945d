"""The log in CloudWatch Logs: what stands for it is a double of PutLogEvents (2014-03-28) that takes a request only if botocore signs it the
same way, and only within the limits that are published."""

import json
import time
from http.server import BaseHTTPRequestHandler

import pytest

from kit import pans
from kit.cloud import Aws, _Server
from kit.parts import http_connection
from kit.process import eventually

RULES = [{"id": "testers", "effect": "allow", "who": ["group:testers"], "on": {"connection": "up", "tools": ["*"]}}]
DAY = 86_400_000


class CloudWatch(_Server):
    def __init__(self):
        self.aws = Aws("logs", "eu-central-1")
        self.aws.front = self
        self.clock, self.streams, self.problems, self.too_old, self.fail, self.puts = 0, {}, [], 0, [], 0
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
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/x-amz-json-1.1")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        super().__init__(Handler)
        self.url = f"http://127.0.0.1:{self.port}/"

    def answer(self, request):
        if (verdict := self.aws.judge(request)) is not None:
            return 400, {"__type": verdict[1]["x-amzn-ErrorType"], "message": "aws-words-canary"}
        asked, operation = json.loads(request["body"]), request["head"]["x-amz-target"]
        if asked["logGroupName"] != "/sallyport/cde":
            return 400, {"__type": "ResourceNotFoundException", "message": "aws-words-canary"}
        stream = asked["logStreamName"]
        if operation == "Logs_20140328.CreateLogStream":
            self.streams.setdefault(stream, [])
            return 200, {}
        assert operation == "Logs_20140328.PutLogEvents", operation
        if self.fail:
            return self.fail.pop(0)
        if stream not in self.streams:
            return 400, {"__type": "ResourceNotFoundException", "message": "aws-words-canary"}
        events = asked["logEvents"]
        times = [e["timestamp"] for e in events]
        size = sum(len(e["message"].encode()) + 26 for e in events)
        if not events or len(events) > 10_000 or size > 1_048_576 or times != sorted(times) or times[-1] - times[0] >= DAY:
            self.problems.append((len(events), size, times[:1], times[-1:]))
            return 400, {"__type": "InvalidParameterException", "message": "aws-words-canary"}
        self.puts += 1
        old, self.too_old = min(self.too_old, len(events)), 0
        self.streams[stream] += events[old:]
        return 200, {"nextSequenceToken": "x"} | ({"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": old}} if old else {})


@pytest.fixture
def cloud():
    part = CloudWatch()
    yield part
    part.stop()


@pytest.fixture
def make(tmp, start_gateway, oidc, upstream, cloud):
    def make(group="/sallyport/cde", wrong=""):
        id, secret, session = cloud.aws.add(token=True)
        keys = {"access_key_id": id, "secret_access_key": {"env": "AWS_S"}, "session_token": {"env": "AWS_T"}}
        to = {"region": "eu-central-1", "group": group, "stream": "gate-1", "url": cloud.url, "credentials": keys}
        return start_gateway(tmp, oidc, [http_connection("up", upstream.url)], RULES, env={"AWS_S": wrong + secret, "AWS_T": session},
                             changes=lambda c: c.update(exports=[{"name": "cw", "format": "json", "alarm_after": "2s", "to": {"cloudwatch_logs": to}}]))
    return make


def indexes(cloud) -> list[int]:
    return [json.loads(e["message"])["index"] for e in cloud.streams.get("gate-1", [])]


def calls(gateway, n: int):
    client = gateway.client("up", "tester")
    for _ in range(n):
        client.call("echo", {"message": "4111 1111 1111 1111"})


def caught_up(gateway) -> bool:
    return eventually(lambda: gateway.metric("sallyport_export_events_total", export="cw") > 0 and
                      gateway.metric("sallyport_export_behind_entries", export="cw") == 0, 20, step=0.1)


def test_all_of_it_in_order_and_the_stream_is_made(make, cloud):
    gateway = make()
    calls(gateway, 5)
    cloud.fail = [(400, {"__type": "ThrottlingException"}), (503, {"__type": "ServiceUnavailableException"}),
                  (400, {"__type": "ExpiredTokenException"}), (200, "no answer of CloudWatch's")]
    calls(gateway, 40)
    assert caught_up(gateway), gateway.ops("/readyz?verbose")[1]
    got = indexes(cloud)
    assert sorted(set(got)) == list(range(max(got) + 1)) and len(got) >= 80
    assert [i for k, i in enumerate(got) if i not in got[:k]] == sorted(set(got)), "first arrivals are in order"
    assert cloud.problems == [] and pans.shown_in(json.dumps(cloud.streams)) == []
    assert "aws-words-canary" not in gateway.process.err


def test_what_is_too_old_is_parked_and_the_rest_goes_on(make, cloud):
    cloud.streams["gate-1"], cloud.too_old = [], 2
    gateway = make()
    calls(gateway, 10)
    assert caught_up(gateway), gateway.ops("/readyz?verbose")[1]
    parked = [json.loads(line) for line in (gateway.data_dir / "state/exports/cw.parked").read_text().splitlines()]
    gone = [p["index"] for p in parked]
    assert gone == [0, 1] and "too old" in parked[0]["why"]
    assert min(indexes(cloud)) == 2 and gateway.metric("sallyport_export_parked_total", export="cw") == 2


@pytest.mark.parametrize("how, said", [({"group": "/other"}, "ResourceNotFoundException"), ({"wrong": "x"}, "InvalidSignatureException")])
def test_a_group_that_is_not_there_and_a_wrong_key_are_named(make, cloud, how, said):
    gateway = make(**how)
    calls(gateway, 3)
    assert eventually(lambda: said in gateway.ops("/readyz?verbose")[1], 15), gateway.ops("/readyz?verbose")[1]
    assert gateway.ops("/readyz")[0] == 200 and "aws-words-canary" not in gateway.process.err
    assert eventually(lambda: any(e["event"] == "control.failed" and e["resource"] == "export cw" for e in gateway.entries()), 15)
