"""Messages, headers, sessions and states that are wrong: each refused, recorded, and the gate stays up.

A modern request never gets a 4xx without a JSON-RPC error: a dual-era client would fall back to
`initialize` on anything else.
"""

import base64
import json
import threading

import pytest

from kit import raw
from kit.mcp import MODERN, META
from kit.parts import Gateway, http_connection, stdio_connection
from kit.process import eventually, rss_kib
from raw_upstream import RawUpstream

ELICITATION = {"elicitation": {}}


@pytest.fixture(scope="module")
def tasks_upstream():
    part = RawUpstream()
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, tasks_upstream):
    connections = [http_connection("up", upstream.url), http_connection("other", upstream.url),
                   http_connection("tasks", tasks_upstream.url)]
    part = Gateway(scratch / "gateway", oidc, connections)
    yield part
    part.stop()


def send(gateway, body: bytes, headers=None, drop=(), who="tester", connection="up", method="POST", version=MODERN):
    """One raw request with the usual headers, each replaceable; returns (status, headers, body)."""
    client = gateway.client(connection, who, version)
    base = {"Host": f"127.0.0.1:{gateway.port}", **client.headers({"method": "tools/call", "params": {"name": "echo"}})}
    for name in drop:
        base.pop(name, None)
    pairs = [(k, v) for k, v in base.items() if k not in (headers or {})]
    for name, value in (headers or {}).items():
        pairs += [(name, v) for v in (value if isinstance(value, list) else [value])]
    return raw.exchange(gateway.port, raw.request(f"/mcp/{connection}", body, pairs, method))


def error_of(body: bytes) -> dict:
    value = json.loads(body)
    assert value["jsonrpc"] == "2.0" and "error" in value, value
    return value["error"]


def echo_body(gateway, id=1, message="x") -> bytes:
    return json.dumps(gateway.client("up").message("tools/call", {"name": "echo", "arguments": {"message": message}}, id=id)).encode()


# -- JSON ----------------------------------------------------------------------------------------
BAD_JSON = {
    "empty": (b"", -32700),
    "space": (b"  ", -32700),
    "garbage": (b"hello", -32700),
    "cut": (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":', -32700),
    "two values": (b'{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"ping"}', -32700),
    "trailing": (b'{"jsonrpc":"2.0","id":1,"method":"ping"} x', -32700),
    "bad utf-8": (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\xff\xfe"}}', -32700),
    "byte order mark": (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}', -32700),
    "utf-16": ('{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"), -32700),
    "raw control": (b'{"jsonrpc":"2.0","id":1,"method":"pi\x01ng"}', -32700),
    "lone surrogate": (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}', None),
    "nan": (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700),
    "number": (b"17", -32600),
    "string": (b'"tools/call"', -32600),
    "null": (b"null", -32600),
    "no version": (b'{"id":1,"method":"tools/list"}', -32600),
    "wrong version": (b'{"jsonrpc":"1.0","id":1,"method":"tools/list"}', -32600),
    "no method": (b'{"jsonrpc":"2.0","id":1}', -32600),
    "method number": (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
    "id null": (b'{"jsonrpc":"2.0","id":null,"method":"tools/list"}', -32600),
    "id object": (b'{"jsonrpc":"2.0","id":{},"method":"tools/list"}', -32600),
    "id array": (b'{"jsonrpc":"2.0","id":[1],"method":"tools/list"}', -32600),
    "id bool": (b'{"jsonrpc":"2.0","id":true,"method":"tools/list"}', -32600),
    "id fraction": (b'{"jsonrpc":"2.0","id":1.5,"method":"tools/list"}', -32600),
    "params array": (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["echo"]}', None),
    "params string": (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"echo"}', None),
    "response": (b'{"jsonrpc":"2.0","id":1,"result":{}}', -32600),
    "method and result": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","result":{}}', -32600),
    "duplicate method": (b'{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"echo"}}', -32600),
    "duplicate id": (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}', -32600),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(gateway, fresh, name):
    body, code = BAD_JSON[name]
    before = len(gateway.audit("request.refused"))
    status, headers, answer = send(gateway, body)
    assert status == 400, answer
    error = error_of(answer)
    assert error["code"] in ((code,) if code else (-32600, -32602, -32700, -32020)), error
    if name.startswith("duplicate"):
        assert error["code"] in (-32600, -32700)
    assert [c for c in fresh.captured() if c["method"] == "POST" and '"echo"' in c["body"]] == []
    assert eventually(lambda: len(gateway.audit("request.refused")) > before)
    assert gateway.alive()


@pytest.mark.parametrize("where", [
    '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","name":"export_all","arguments":{{}},"_meta":{m}}}}}',
    '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"a","message":"b"}},"_meta":{m}}}}}',
    '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"a","\\u006dessage":"b"}},"_meta":{m}}}}}',
    '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{}},"arguments":{{"message":"x"}},"_meta":{m}}}}}',
    '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"x","d":[{{"k":1,"k":2}}]}},"_meta":{m}}}}}',
])
def test_duplicate_keys_at_any_depth(gateway, fresh, where):
    meta = json.dumps({META + "protocolVersion": MODERN, META + "clientCapabilities": {}})
    status, _, answer = send(gateway, where.format(m=meta).encode())
    assert status == 400 and error_of(answer)["code"] in (-32600, -32700)
    assert fresh.calls("echo") == [] and fresh.calls("export_all") == []
    assert gateway.recorded(event="request.refused", reason="request-duplicate-key")


@pytest.mark.parametrize("opening, closing", [("[", "]"), ('{"a":', "}")])
@pytest.mark.parametrize("depth", [200, 10_000, 400_000])
def test_deep_json(gateway, fresh, opening, closing, depth):
    deep = opening * depth + "1" + closing * depth
    body = f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"x","deep":{deep}}}}}}}'
    status, _, answer = send(gateway, body.encode())
    assert status in (400, 413), answer[:300]
    assert fresh.calls("echo") == []
    assert gateway.alive()
    assert gateway.recorded(event="request.refused", reason="request-too-deep") or status == 413


def test_deep_body_that_is_only_brackets(gateway):
    status, _, answer = send(gateway, b"[" * 10_000)
    assert status == 400 and gateway.alive()


def test_100_mb_body(gateway, fresh):
    """Refused by its length, before it is read; and while it is read when the length is not told."""
    before = rss_kib(gateway.process.pid)
    client = gateway.client("up")
    headers = [("Host", f"127.0.0.1:{gateway.port}"), *client.headers({"method": "tools/call", "params": {"name": "echo"}}).items()]
    with raw.connect(gateway.port) as s:
        s.sendall(raw.request("/mcp/up", b"", [*headers, ("Content-Length", str(100 << 20))], length=False))
        status, _, answer = raw.read_response(s)
        assert status == 413, answer
    piece = b"x" * 65536
    with raw.connect(gateway.port) as s:
        s.sendall(raw.request("/mcp/up", b"", [*headers, ("Transfer-Encoding", "chunked")], length=False))
        sent = 0
        try:
            while sent < 100 << 20:
                s.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent += len(piece)
        except OSError:
            pass
        assert sent < 100 << 20, "the gateway swallowed all of it"
    assert rss_kib(gateway.process.pid) - before < 64 << 10
    assert fresh.calls() == [] and gateway.alive()
    assert gateway.recorded(event="request.refused", reason="request-too-large")


def test_large_numbers_and_strings_arrive_as_sent(gateway, fresh):
    body = echo_body(gateway).replace(b'"message": "x"', b'"message": "x", "n": 12345678901234567890123, "f": 1e400, "z": -0.0')
    status, _, _ = send(gateway, body)
    assert status == 200
    sent = [c["body"] for c in fresh.captured() if '"echo"' in c["body"]][-1]
    assert "12345678901234567890123" in sent and "1e400" in sent and "-0.0" in sent


# -- headers -------------------------------------------------------------------------------------
def sentinel(value: str) -> str:
    return "=?base64?" + base64.b64encode(value.encode()).decode() + "?="


MISMATCH = {
    "method differs": {"Mcp-Method": "tools/list"},
    "method upper case": {"Mcp-Method": "TOOLS/CALL"},
    "method empty": {"Mcp-Method": ""},
    "method twice": {"Mcp-Method": ["tools/call", "tools/call"]},
    "method twice, different": {"Mcp-Method": ["tools/call", "tools/list"]},
    "method list": {"Mcp-Method": "tools/call, tools/list"},
    "name differs": {"Mcp-Name": "get_order"},
    "name case": {"Mcp-Name": "Echo"},
    "name empty": {"Mcp-Name": ""},
    "name twice": {"Mcp-Name": ["echo", "echo"]},
    "name twice, different": {"Mcp-Name": ["echo", "export_all"]},
    "name twice, different, other order": {"Mcp-Name": ["export_all", "echo"]},
    "name sentinel differs": {"Mcp-Name": sentinel("export_all")},
    "name sentinel bad padding": {"Mcp-Name": "=?base64?ZWNobw?="},
    "name sentinel bad characters": {"Mcp-Name": "=?base64?ZW!!bw==?="},
    "name sentinel upper case": {"Mcp-Name": "=?BASE64?ZWNobw==?="},
    "name sentinel unclosed": {"Mcp-Name": "=?base64?ZWNobw=="},
    "name percent encoded": {"Mcp-Name": "%65cho"},
    "name quoted": {"Mcp-Name": '"echo"'},
    "version differs": {"MCP-Protocol-Version": "2025-11-25"},
    "version twice": {"MCP-Protocol-Version": [MODERN, MODERN]},
    "version twice, different": {"MCP-Protocol-Version": [MODERN, "2025-11-25"]},
}


@pytest.mark.parametrize("name", MISMATCH)
def test_header_mismatch(gateway, fresh, name):
    status, _, answer = send(gateway, echo_body(gateway), MISMATCH[name])
    assert status == 400, answer
    error = error_of(answer)
    assert error["code"] in (-32020, -32600) if "version" not in name else error["code"] in (-32020, -32022, -32600)
    if name in ("method differs", "name differs", "name case", "name sentinel differs", "method upper case"):
        assert error["code"] == -32020
        assert json.loads(answer)["id"] == 1
    assert fresh.calls("echo") == []
    assert gateway.audit("request.refused")[-1]["reason"] in ("header-mismatch", "header-invalid", "version-unsupported", "request-malformed")


@pytest.mark.parametrize("missing", ["Mcp-Method", "Mcp-Name", "MCP-Protocol-Version"])
def test_header_missing(gateway, fresh, missing):
    status, _, answer = send(gateway, echo_body(gateway), drop=[missing])
    assert status == 400
    assert error_of(answer)["code"] == -32020
    assert fresh.calls("echo") == []


def test_sentinel_is_decoded(gateway):
    status, _, answer = send(gateway, echo_body(gateway), {"Mcp-Name": sentinel("echo")})
    assert status == 200 and b"Echo: x" in answer


@pytest.mark.parametrize("value, region, accepted", [
    ("eu", "eu", True), (sentinel("eu"), "eu", True), (" eu ", "eu", True), (sentinel("größe"), "größe", True),
    ("us", "eu", False), (None, "eu", False), (sentinel("us"), "eu", False), ("=?base64?ZXU?=", "eu", False),
    (["eu", "eu"], "eu", False), (["eu", "us"], "eu", False), ("eu", None, False),
])
def test_mirrored_parameter(gateway, fresh, value, region, accepted):
    """Mcp-Param-Region mirrors the argument `region` of test_x_mcp_header."""
    client = gateway.client("up")
    client.tools()  # what a client has always done before it sends such a header
    arguments = {"note": "n"} if region is None else {"region": region}
    body = json.dumps(client.message("tools/call", {"name": "test_x_mcp_header", "arguments": arguments})).encode()
    headers = {"Mcp-Name": "test_x_mcp_header"}
    if value is not None:
        headers["Mcp-Param-Region"] = value
    status, _, answer = send(gateway, body, headers)
    if accepted:
        assert status == 200, answer
        assert len(fresh.calls("test_x_mcp_header")) == 1
    else:
        assert status == 400 and error_of(answer)["code"] == -32020
        assert fresh.calls("test_x_mcp_header") == []


def test_mirrored_card_number_is_masked_in_header_and_body(gateway, fresh):
    """Whatever leaves for the upstream, header and body say the same."""
    from kit import pans
    client = gateway.client("up")
    client.tools()
    number = pans.pan("text")
    reply = client.call("test_x_mcp_header", {"region": number}, headers={"Mcp-Param-Region": number})
    assert reply.status in (200, 400)
    for sent in fresh.captured():
        if '"test_x_mcp_header"' in sent["body"]:
            header = dict(zip([h.lower() for h in sent["headers"][::2]], sent["headers"][1::2]))["mcp-param-region"]
            assert header == json.loads(sent["body"])["params"]["arguments"]["region"]
    assert pans.shown_in(json.dumps(gateway.entries()[-3:])) == []


@pytest.mark.parametrize("place", ["modern", "initialize", "no session", "unknown session", "session"])
def test_card_number_as_an_id_is_not_given_back(gateway, place):
    from kit import pans
    number = int(pans.pan("text"))
    client = gateway.client("up", version=MODERN if place == "modern" else "2025-11-25")
    if place == "session":
        client.start()
    if place == "unknown session":
        client.session = "0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    method = "initialize" if place == "initialize" else "tools/call"
    for id in (number, str(number), f"x {number}"):
        reply = client.request(method, {"name": "echo", "arguments": {"message": "x"}, "protocolVersion": "2025-11-25",
                                        "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}, id=id)
        assert reply.status in (400, 404) and pans.shown_in(reply.body) == []
    assert pans.shown_in(json.dumps(gateway.entries()[-4:])) == []


@pytest.mark.parametrize("text", ["x\r\nInjected: 1", "x\nInjected: 1", "x\rInjected: 1", "x\0y", "x\x7fy"])
def test_line_breaks_in_names_stay_out_of_headers(gateway, fresh, text):
    """The name of a prompt or a resource with CR LF in it goes as a sentinel or not at all."""
    client = gateway.client("up")
    body = json.dumps(client.message("prompts/get", {"name": text})).encode()
    send(gateway, body, {"Mcp-Method": "prompts/get", "Mcp-Name": sentinel(text)})
    for sent in fresh.captured():
        assert "injected" not in [h.lower() for h in sent["headers"][::2]]
        assert all(c not in value for value in sent["headers"] for c in "\r\n\0")
    assert gateway.alive()


@pytest.mark.parametrize("content_type, accepted", [
    ("application/json", True), ("application/json; charset=utf-8", True), ("Application/JSON", True),
    ("text/plain", False), ("application/x-www-form-urlencoded", False), ("multipart/form-data", False), (None, False)])
def test_content_type(gateway, fresh, content_type, accepted):
    headers = {"Content-Type": content_type} if content_type else {}
    status, _, answer = send(gateway, echo_body(gateway), headers, drop=["Content-Type"])
    assert status == (200 if accepted else 415) or (not accepted and status == 400), answer
    if not accepted:
        assert fresh.calls("echo") == [] and error_of(answer)


@pytest.mark.parametrize("version", ["2026-07-29", "1999-01-01", "v1", "2026-07-28 ", "", "2024-11-05", "*"])
def test_unknown_version(gateway, fresh, version):
    body = json.loads(echo_body(gateway))
    body["params"]["_meta"][META + "protocolVersion"] = version
    status, _, answer = send(gateway, json.dumps(body).encode(), {"MCP-Protocol-Version": version})
    if version == "2026-07-28 ":
        assert status == 400  # header value is trimmed, the body's is not: they differ
        return
    assert status == 400, answer
    error = error_of(answer)
    assert error["code"] in (-32022, -32020, -32600, -32000), error
    if error["code"] == -32022:
        assert MODERN in error["data"]["supported"]
    assert fresh.calls("echo") == []


def test_missing_meta(gateway, fresh):
    body = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "echo", "arguments": {"message": "x"}}}
    status, _, answer = send(gateway, json.dumps(body).encode())
    assert (status, error_of(answer)["code"], json.loads(answer)["id"]) == (400, -32602, 5)
    assert fresh.calls("echo") == []


# -- batch ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", [MODERN, "2025-11-25", "2025-06-18"])
def test_batch_in_an_era_without_it(gateway, fresh, version):
    client = gateway.client("up", version=version).start()
    batch = [client.message("tools/call", {"name": "echo", "arguments": {"message": "x"}}) for _ in range(2)]
    reply = client.http("POST", batch, client.headers(batch[0]))
    assert reply.status == 400 and reply.error["code"] == -32600
    assert fresh.calls("echo") == []
    assert gateway.recorded(event="request.refused", reason="batch-refused")


@pytest.mark.parametrize("batch", [[], [1, 2], [[]], [{}], [None]])
def test_malformed_batch_of_2025_03_26(gateway, batch):
    client = gateway.client("up", version="2025-03-26").start()
    reply = client.http("POST", batch)
    assert reply.status in (200, 400)
    assert all("error" in message for message in reply.messages) and reply.messages
    assert gateway.alive()


def test_batch_cannot_hide_an_initialize_or_exceed_bounds(gateway, fresh):
    client = gateway.client("up", version="2025-03-26").start()
    many = [client.message("tools/call", {"name": "echo", "arguments": {"message": "x"}}, id=i) for i in range(5000)]
    reply = client.http("POST", many)
    assert reply.status in (200, 400, 413, 429)
    assert gateway.alive()
    before = len(fresh.calls("echo"))
    reply = client.http("POST", [client.message("tools/call", {"name": "echo", "arguments": {"message": "x"}}, id=7)] * 2)
    assert reply.status == 400 and len(fresh.calls("echo")) == before, "two requests with one id"
    hidden = [client.message("initialize", {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}})]
    reply = client.http("POST", hidden)
    assert reply.status in (200, 400) and "error" in reply.answer


# -- era of the request --------------------------------------------------------------------------
def test_modern_requests_never_get_a_bare_4xx(gateway):
    """Whatever is wrong with it, the answer is JSON-RPC."""
    client = gateway.client("up")
    attempts = [
        ("no/such/method", {}), ("initialize", {}), ("ping", {}), ("tools/call", {"name": "nope"}), ("tools/call", {}),
        ("resources/read", {"uri": "x://nothing"}), ("prompts/get", {"name": "nope"}), ("logging/setLevel", {"level": "info"}),
        ("tasks/get", {"taskId": "nope"}), ("tools/call", {"name": "echo", "arguments": "text"}), ("tools/list", {"cursor": "bad"}),
        ("subscriptions/listen", {}), ("completion/complete", {}),
    ]
    for method, params in attempts:
        reply = client.request(method, params)
        assert reply.status < 500, (method, reply)
        assert "result" in reply.answer or "error" in reply.answer, (method, reply)
        assert (reply.header("content-type") or "").startswith(("application/json", "text/event-stream"))
    for method in ("GET", "DELETE", "PUT", "PATCH"):
        reply = client.http(method, None, client.headers())
        assert reply.status == 405, (method, reply)


@pytest.mark.parametrize("path, status", [
    ("/mcp/nothing", 404), ("/mcp/", 404), ("/mcp", 404), ("/mcp/up/", 404), ("/mcp/up/../other", 404), ("/mcp/%75p", 404),
    ("/mcp//up", 404), ("/mcp/up%00", 404), ("/mcp/up;x=1", 404), ("//mcp/up", 404), ("/MCP/up", 404), ("/admin/state", 404),
    ("/metrics", 404), ("/readyz", 404), ("/mcp/up?debug=1", None)])
def test_paths(gateway, fresh, path, status):
    client = gateway.client("up")
    body = echo_body(gateway)
    headers = [("Host", f"127.0.0.1:{gateway.port}"), *client.headers(json.loads(body)).items()]
    got, _, answer = raw.exchange(gateway.port, raw.request(path, body, headers))
    if status is None:
        assert got in (200, 400, 404)
        return
    assert got in (status, 400), answer
    assert fresh.calls("echo") == []


# -- Origin and Host -----------------------------------------------------------------------------
@pytest.mark.parametrize("origin", [
    "http://evil.example", "https://evil.example:8443", "null", "http://127.0.0.1.evil.example", "http://localhost.evil.example",
    "file://", "http://", "evil", "http://127.0.0.1@evil.example", "http://[::1].evil.example", ["http://127.0.0.1", "http://evil.example"],
    "http://gate.example.com"])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS"])
def test_origin_of_another_site(gateway, fresh, origin, method):
    status, headers, answer = send(gateway, echo_body(gateway) if method == "POST" else b"", {"Origin": origin}, method=method)
    assert status in (403, 400), answer
    assert "access-control-allow-origin" not in headers
    assert fresh.calls("echo") == []
    assert gateway.recorded(event="request.refused", reason="origin-refused") if status == 403 else True


def test_own_origin_is_accepted(gateway):
    status, _, answer = send(gateway, echo_body(gateway), {"Origin": gateway.public_url})
    assert status == 200, answer


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.1:1", "localhost@evil.example",
                                  "", "127.0.0.1:port", "[::1", ["127.0.0.1", "evil.example"], "169.254.169.254"])
def test_host_of_another_site(gateway, fresh, host):
    status, _, answer = send(gateway, echo_body(gateway), {"Host": host})
    assert status in (400, 403, 421), answer
    assert fresh.calls("echo") == []
    assert gateway.alive()


def test_host_is_required(gateway):
    status, _, _ = send(gateway, echo_body(gateway), drop=["Host"])
    assert status == 400


# -- what belongs to somebody else ---------------------------------------------------------------
def test_foreign_session(gateway, upstream):
    """tester2 uses tester's session, on every method; tester's own goes on."""
    mine = gateway.client("up", "tester", "2025-11-25").start()
    theirs = gateway.client("up", "tester2", "2025-11-25")
    theirs.session, theirs.negotiated = mine.session, mine.negotiated
    upstream.reset()
    assert theirs.call("echo", {"message": "stolen"}).status == 404
    assert theirs.http("GET", None, theirs.headers(extra={"Accept": "text/event-stream"})).status == 404
    assert theirs.http("POST", {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}).status == 404
    assert theirs.http("POST", {"jsonrpc": "2.0", "id": 1, "result": {}}).status == 404
    assert theirs.close().status == 404
    assert upstream.calls("echo") == []
    assert mine.call("echo", {"message": "mine"}).text() == "Echo: mine"
    assert gateway.recorded(event="request.refused", reason="session-foreign")
    mine.close()


def test_session_at_another_connection(gateway):
    mine = gateway.client("up", "tester", "2025-11-25").start()
    there = gateway.client("other", "tester", "2025-11-25")
    there.session, there.negotiated = mine.session, mine.negotiated
    assert there.call("echo", {"message": "x"}).status == 404
    mine.close()


@pytest.mark.parametrize("session", ["nothing", "a" * 4000, "../../x", "s_0000000000000000", "ü", "' or 1=1"])
def test_unknown_session(gateway, fresh, session):
    client = gateway.client("up", version="2025-11-25")
    client.session, client.negotiated = session, "2025-11-25"
    body = json.dumps(client.message("tools/call", {"name": "echo", "arguments": {}})).encode()
    status, _, answer = send(gateway, body, {"Mcp-Session-Id": session.encode().decode("latin1"), "MCP-Protocol-Version": "2025-11-25"},
                             drop=["Mcp-Method", "Mcp-Name"], version="2025-11-25")
    assert status in (404, 400), answer
    assert fresh.calls("echo") == []


def test_session_rules(gateway):
    client = gateway.client("up", version="2025-11-25").start()
    first = client.session
    assert first.isascii() and len(first) >= 16
    without = gateway.client("up", version="2025-11-25")
    without.negotiated = "2025-11-25"
    assert without.request("tools/list").status == 400
    twice = client.headers(extra={})
    body = json.dumps(client.message("tools/list")).encode()
    pairs = [("Host", f"127.0.0.1:{gateway.port}"), *twice.items(), ("Mcp-Session-Id", first)]
    assert raw.exchange(gateway.port, raw.request("/mcp/up", body, pairs))[0] in (400, 404)
    assert client.http("POST", client.message("tools/list"), client.headers(extra={"MCP-Protocol-Version": "nonsense"})).status == 400
    client.close()
    assert client.request("tools/list").status == 404
    second = gateway.client("up", version="2025-11-25").start()
    assert second.session != first
    second.close()


def test_session_needs_a_token_on_every_request(gateway, oidc):
    client = gateway.client("up", version="2025-11-25").start()
    client.token = None
    assert client.call("echo", {"message": "x"}).status == 401
    assert client.http("GET", None, client.headers(extra={"Accept": "text/event-stream"})).status == 401
    assert client.close().status == 401
    client.token = oidc.token("tester")
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    client.close()


def test_foreign_and_unknown_event_ids(gateway):
    """Last-Event-ID replays a stream of the same session only."""
    mine = gateway.client("up", "tester", "2025-11-25").start()
    stream = mine.stream("tools/call", {"name": "progress", "arguments": {"steps": 2}}, progress_token="p")
    stream.answer()
    ids = [event["id"] for event in stream.events if "id" in event]
    theirs = gateway.client("up", "tester2", "2025-11-25").start()
    for last in [*ids[:1], "nothing", "0", "-1", "9" * 400, "x\ty"]:
        reply = theirs.get(last_event_id=last)
        if reply.status == 200:  # an empty stream is fine, a replay is not
            got = []
            try:
                while (message := reply.next(timeout=0.4)) is not None:
                    got.append(message)
            except Exception:
                pass
            assert got == [], got
        else:
            assert reply.status in (400, 404, 405)
        reply.close()
    mine.close()
    theirs.close()


def test_foreign_cancel(gateway, upstream):
    """A request id is the caller's own: another caller's notification of the same id cancels nothing."""
    upstream.reset()
    mine = gateway.client("up", "tester", "2025-11-25").start()
    theirs = gateway.client("up", "tester2", "2025-11-25").start()
    stream = mine.stream("tools/call", {"name": "cancel_me", "arguments": {"tag": "mine"}}, id="same-id", progress_token="p")
    assert eventually(lambda: "mine" in upstream.state()["running"])
    theirs.http("POST", {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "same-id"}})
    assert not eventually(lambda: "mine" in upstream.state()["cancelled"], 0.7)
    mine.http("POST", {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "same-id"}})
    assert eventually(lambda: "mine" in upstream.state()["cancelled"])
    stream.close()
    mine.close()
    theirs.close()


def input_required(gateway, who="tester", tool="test_input_required_result_request_state"):
    client = gateway.client("up", who, capabilities=ELICITATION)
    first = client.call(tool).result
    assert first["resultType"] == "input_required" and first["requestState"]
    key = next(iter(first["inputRequests"]))
    return client, {"inputResponses": {key: {"action": "accept", "content": {"ok": True}}}, "requestState": first["requestState"]}


def test_request_state_of_another_person(gateway, fresh):
    _, answer = input_required(gateway, "tester")
    other = gateway.client("up", "tester2", capabilities=ELICITATION)
    before = len(fresh.calls())
    reply = other.call("test_input_required_result_request_state", params=answer)
    assert reply.error["code"] == -32602
    assert len(fresh.calls()) == before
    assert gateway.recorded(reason="state-invalid")


@pytest.mark.parametrize("change", ["tamper", "cut", "empty", "garbage", "other tool", "other arguments", "other connection", "upstream's own"])
def test_request_state_that_does_not_fit(gateway, fresh, change):
    client, answer = input_required(gateway)
    before = len(fresh.calls())
    tool, arguments = "test_input_required_result_request_state", {}
    state = answer["requestState"]
    if change == "tamper":
        middle = len(state) // 2
        answer["requestState"] = state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1:]
    elif change == "cut":
        answer["requestState"] = state[:-4]
    elif change == "empty":
        answer["requestState"] = ""
    elif change == "garbage":
        answer["requestState"] = "x" * 5000
    elif change == "other tool":
        tool = "test_input_required_result_tampered_state"
    elif change == "other arguments":
        arguments = {"more": 1}
    elif change == "other connection":
        client = gateway.client("other", capabilities=ELICITATION)
    else:
        from kit.mcp import Mcp
        from kit.parts import UPSTREAM_SECRET
        direct = Mcp(fresh.url, UPSTREAM_SECRET, capabilities=ELICITATION).call(tool).result
        answer["requestState"] = direct["requestState"]
        before += 1
    reply = client.call(tool, arguments, params=answer)
    assert reply.error["code"] == -32602, reply
    assert len(fresh.calls()) == before


def test_request_state_goes_upstream_as_the_upstream_made_it(gateway, fresh):
    client, answer = input_required(gateway)
    assert client.call("test_input_required_result_request_state", params=answer).text() == "state-ok"
    bodies = [json.loads(c["body"]) for c in fresh.captured() if "requestState" in c["body"]]
    assert bodies and all(body["params"]["requestState"] != answer["requestState"] for body in bodies)


def test_foreign_task(gateway, tasks_upstream):
    extension = {"extensions": {META + "tasks": {}}}
    mine = gateway.client("tasks", "tester", capabilities=extension)
    theirs = gateway.client("tasks", "tester2", capabilities=extension)
    created = mine.call("task").result
    assert created["resultType"] == "task"
    task = created["taskId"]
    for method in ("tasks/get", "tasks/cancel", "tasks/update"):
        params = {"taskId": task, **({"inputResponses": {}} if method == "tasks/update" else {})}
        refused = theirs.request(method, params)
        unknown = theirs.request(method, {**params, "taskId": "task-that-never-was"})
        assert refused.error["code"] == -32602 == unknown.error["code"], refused
        assert refused.error["message"] == unknown.error["message"] or task not in refused.error["message"]
    assert tasks_upstream.tasks.get(task, next(iter(tasks_upstream.tasks.values())))["status"] != "cancelled"
    result = eventually(lambda: (r := mine.request("tasks/get", {"taskId": task}).result)["status"] == "completed" and r)
    assert result, "the owner cannot read its own task"
    from kit import pans
    assert pans.shown_in(json.dumps(result)) == [] and "**** **** **** 5709".replace(" ", "") in json.dumps(result)
    assert gateway.recorded(reason="task-unknown")


def test_a_thousand_clients_with_the_same_id(gateway):
    """Answers never get mixed up between callers who all chose id 1."""
    wrong = []

    def many(worker):
        client = gateway.client("tasks", "tester" if worker % 2 else "tester2")
        for i in range(50):
            marker = f"{worker}-{i}"
            text = client.call("echo_id", {"marker": marker}, id=1).text()
            if json.loads(text)["marker"] != marker:
                wrong.append((marker, text))

    threads = [threading.Thread(target=many, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
