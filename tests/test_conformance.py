"""The official suite through the gateway, with identity, policy, masking and recording on.

The suite cannot send a token, so a hop adds it; the hop keeps Host and Origin, so that the DNS
rebinding scenario meets the gateway's own protection and not the hop's.
"""

import pytest

from kit.conformance import run_suite
from kit.mcp import MODERN
from kit.parts import Gateway, Hop, http_connection

SCORED = {MODERN: 37, "2025-11-25": 30}


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    part = Gateway(scratch / "gateway", oidc, [http_connection("conformance", upstream.url)])
    yield part
    part.stop()


@pytest.fixture(scope="module")
def hop(scratch, gateway, oidc):
    part = Hop(scratch, gateway, oidc.token("tester"))
    yield part
    part.stop()


@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
def test_every_scored_scenario_passes(scratch, hop, gateway, revision):
    before = gateway.log_size()
    outcome = run_suite(hop.url("conformance"), revision, scratch / f"out-{revision}")
    assert outcome.failed_scored == [], outcome.why()
    assert len(outcome.passed_scored) == SCORED[revision]
    assert "dns-rebinding-protection" in outcome.passed_scored
    # identity, policy and recording were on: each call left its intent and its outcome, under its name
    assert gateway.log_size() > before + SCORED[revision]
    calls = gateway.audit(event="call.intent", resource="test_simple_text")
    assert calls and all(call["who"]["subject"] == "tester" for call in calls)


@pytest.mark.parametrize("revision, scenarios", [
    (MODERN, ["http-header-validation", "http-custom-header-server-validation", "json-schema-2020-12"]),
    ("2025-11-25", ["server-session-lifecycle", "json-schema-2020-12", "server-sse-polling"]),
])
def test_unscored_scenarios_that_we_claim(scratch, hop, revision, scenarios):
    outcome = run_suite(hop.url("conformance"), revision, scratch / f"again-{revision}")
    assert [s for s in scenarios if s not in outcome.passed_unscored] == [], outcome.why(scenarios)


def test_without_the_hop_there_is_no_way_in(scratch, gateway):
    outcome = run_suite(gateway.url("conformance"), "2025-11-25", scratch / "no-token")
    assert outcome.passed_scored == []
