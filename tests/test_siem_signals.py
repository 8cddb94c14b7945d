"""Traces and metrics for an OpenTelemetry collector: spans are made out of the log, so none is lost; metrics are pushed."""

import json

import pytest

from kit import pans
from kit.parts import http_connection
from kit.process import eventually
from kit.receivers import OtlpDouble

RULES = [{"id": "testers", "effect": "allow", "who": ["group:testers"], "on": {"connection": "up", "tools": ["echo", "card_text"]}}]
TRACE = "0af7651916cd43dd8448eb211c80319c"


def attributes(record) -> dict:
    return {a["key"]: next(iter(a["value"].values())) for a in record["attributes"]}


@pytest.fixture
def otlp():
    double = OtlpDouble()
    yield double
    double.stop()


@pytest.fixture
def gateway(start_gateway, tmp, oidc, upstream, otlp):
    export = {"name": "otel", "to": {"otlp_http": {"url": otlp.url, "metrics_every": "1s"}}, "signals": ["traces", "metrics", "logs"]}
    return start_gateway(tmp, oidc, [http_connection("up", upstream.url)], RULES, changes=lambda c: c.update(exports=[export]))


def spans_of(otlp) -> list:
    return [s for request in otlp.signals.get("trace", []) for s in request]


def test_each_operation_is_a_span_by_the_conventions(gateway, otlp):
    client = gateway.client("up", "tester")
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    client.call("card_text", {})
    assert client.call("refund_nobody", {}).answer  # not a tool of the caller's
    otlp.fail = lambda n: 503 if n % 3 == 0 else None
    for i in range(40):
        client.call("echo", {"message": "4111 1111 1111 1111"})
    otlp.fail = lambda n: None
    ends = [e for e in gateway.entries() if e["event"] in ("call.outcome", "call.denied", "call.abandoned")]
    assert len(ends) >= 43
    arrived = eventually(lambda: {attributes(s)["sallyport.log.index"] for s in spans_of(otlp)} >= {str(e["index"]) for e in ends}, 20)
    assert otlp.problems == [] and arrived
    spans = {int(attributes(s)["sallyport.log.index"]): s for s in spans_of(otlp)}
    for end in ends:
        span = spans[end["index"]]
        said = attributes(span)
        assert said["mcp.method.name"] == "tools/call" and said["gen_ai.operation.name"] == "execute_tool"
        assert said["gen_ai.tool.name"] == end["resource"] and span["name"] == f"tools/call {end['resource']}"
        assert said["user.id"] == end["who"]["subject"]
        assert int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"]) == end.get("outcome", {}).get("duration_us", 0) * 1000
        assert (span["traceId"] == end["trace"]) if "trace" in end else len(span["traceId"]) == 32
        failed = end["event"] != "call.outcome" or not end["outcome"]["ok"]
        assert ("error.type" in said) == failed == ("status" in span), span
    assert len({s["spanId"] for s in spans.values()}) == len(spans)
    assert {a for s in spans.values() for a in attributes(s)}.isdisjoint({"gen_ai.tool.call.arguments", "gen_ai.tool.call.result"})
    assert pans.shown_in(json.dumps(list(spans.values()))) == []


def test_metrics_by_their_names_in_the_conventions(gateway, otlp):
    client = gateway.client("up", "tester")
    for i in range(5):
        client.call("echo", {"message": "x"})

    def pushed():
        for request in reversed(otlp.signals.get("metrics", [])):
            by_name = {m["name"]: m for m in request}
            points = by_name.get("mcp.server.operation.duration", {}).get("histogram", {}).get("dataPoints", [])
            calls = [p for p in points if attributes(p).get("mcp.method.name") == "tools/call" and "error.type" not in attributes(p)]
            if calls and int(calls[0]["count"]) == 5:
                return by_name
        return None
    metrics = eventually(pushed, 10)
    assert otlp.problems == [] and metrics
    call = next(p for p in metrics["mcp.server.operation.duration"]["histogram"]["dataPoints"] if attributes(p)["mcp.method.name"] == "tools/call")
    assert sum(int(b) for b in call["bucketCounts"]) == 5 and len(call["bucketCounts"]) == len(call["explicitBounds"]) + 1
    assert call["sum"] > 0 and attributes(call)["sallyport.connection"] == "up"
    assert metrics["sallyport_ledger_entries"]["gauge"]["dataPoints"][0]["asDouble"] > 0
    assert metrics["sallyport_mcp_calls_total"]["sum"]["isMonotonic"] is True


def test_a_collector_that_is_down_for_metrics_is_told_once_and_holds_up_nothing(gateway, otlp):
    otlp.fail = lambda n: 500
    client = gateway.client("up", "tester")
    for i in range(3):
        assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    assert eventually(lambda: "otel.metrics" in gateway.process.err, 10)
    assert gateway.ops("/readyz")[0] == 200
    otlp.fail = lambda n: None
    assert eventually(lambda: otlp.signals.get("metrics"), 10)
    assert eventually(lambda: spans_of(otlp), 20)
