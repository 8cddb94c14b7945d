"""The parts of the tests themselves, without the gateway: what fails here is not the gateway's fault."""

import json

import pytest

import conftest
from kit import capture, clients, pans
from kit.conformance import run_suite
from kit.mcp import LEGACY, MODERN, Mcp
from kit.parts import UPSTREAM_SECRET
from kit.paths import NODE, NODE_DIR
from kit.process import eventually
from raw_upstream import RawUpstream


@pytest.fixture(autouse=True)
def not_captured():
    """Nothing here comes through the gateway: the search for leaks must not see it."""
    capture.pause()
    yield
    capture.use(conftest.run_dir() / "capture")


@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
def test_upstream_passes_the_suite_directly(scratch, revision):
    from kit.parts import Upstream
    upstream = Upstream(scratch, bearer=None)
    try:
        outcome = run_suite(upstream.url, revision, scratch / f"direct-{revision}")
    finally:
        upstream.stop()
    assert outcome.failed_scored == []
    assert len(outcome.passed_scored) == {MODERN: 37, "2025-11-25": 30}[revision]


def test_upstream_wants_its_secret(upstream):
    assert Mcp(upstream.url, "wrong").request("server/discover").status == 401
    assert Mcp(upstream.url, UPSTREAM_SECRET).request("server/discover").result["supportedVersions"] == [MODERN]


@pytest.mark.parametrize("version", [MODERN, *LEGACY[:2]])
def test_python_client(fresh, version):
    client = Mcp(fresh.url, UPSTREAM_SECRET, version).start()
    assert "echo" in client.tool_names()
    assert client.call("echo", {"message": "hi"}).text() == "Echo: hi"
    assert client.call("card_text").text().startswith(f"The card {pans.pan('text')}")
    reply = client.call("progress", {"steps": 3}, progress_token="p")
    assert [n["params"]["progress"] for n in reply.notifications] == [1, 2, 3]
    if client.modern:
        stream = client.stream("tools/call", {"name": "cancel_me", "arguments": {"tag": "py"}}, progress_token="c")
        stream.next()
        stream.close()
        assert eventually(lambda: "py" in fresh.state()["cancelled"])


@pytest.mark.parametrize("major, era", [(1, "legacy"), (2, "modern"), (2, "legacy"), (2, "auto")])
def test_sdk_clients(fresh, major, era):
    steps = [{"op": "list"}, {"op": "call", "name": "echo", "args": {"message": "x"}}, {"op": "call", "name": "elicit"},
             {"op": "call", "name": "cancel_me", "args": {"tag": era}, "abort_after_ms": 200}, {"op": "wait", "ms": 100}]
    ran = clients.sdk(major, steps, url=fresh.url, token=UPSTREAM_SECRET, era=era)
    assert ran.result(1)["content"][0]["text"] == "Echo: x"
    assert ran.result(2)["content"][0]["text"] == "Hello, Ada!"
    assert eventually(lambda: era in fresh.state()["cancelled"])


def test_sdk_client_over_stdio():
    ran = clients.sdk(2, [{"op": "call", "name": "echo", "args": {"message": "x"}}],
                      command=[NODE, NODE_DIR / "upstream_stdio.mjs"])
    assert ran.result(0)["content"][0]["text"] == "Echo: x"


def test_issuer(oidc):
    assert oidc.token("tester").count(".") == 2
    forged = oidc.forge()
    assert len(forged["bad"]) > 90 and len(forged["good"]) == 7
    before = oidc.stats()["generation"]
    oidc.rotate(keep=False)
    assert oidc.stats()["generation"] == before + 1


def test_raw_upstream_is_a_server_at_all():
    upstream = RawUpstream()
    try:
        client = Mcp(upstream.url)
        assert client.call("fine").text() == "fine"
        assert pans.pan("text") in client.call("pan_split_byte_by_byte").text()
        assert client.call("pan_in_escapes").text() == f"card {pans.pan('text')} end"
    finally:
        upstream.stop()


def test_spellings_find_numbers_in_base64():
    import base64
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + pans.pan("text").encode() + b" and more").decode()
        assert pans.shown_in(encoded) == ["text"]
    assert pans.shown_in(json.dumps({"a": "no card 4111 1111 1111 1112"})) == []
    assert pans.masked_last4("4485 2757 4230 8327") == "**** **** **** 8327"


@pytest.mark.parametrize("revision", [MODERN, "2025-11-25"])
def test_the_hop_does_not_weaken_the_suite(scratch, upstream, revision):
    """Suite → hop → upstream: all still pass, DNS rebinding included."""
    from types import SimpleNamespace
    from kit.parts import Hop
    hop = Hop(scratch, SimpleNamespace(port=upstream.port), UPSTREAM_SECRET, f"hop-{revision}")
    try:
        outcome = run_suite(f"http://127.0.0.1:{hop.port}/mcp", revision, scratch / f"hop-{revision}")
    finally:
        hop.stop()
    assert outcome.failed_scored == [], outcome.why()
