"""HTTP itself: request smuggling shapes, slow clients, floods. Raw sockets throughout."""

import json
import threading
import time

import pytest

from kit import raw
from kit.parts import Gateway, http_connection
from kit.process import eventually, rss_kib


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    def limits(config):
        config["server"]["limits"] = {"header_timeout": "2s", "body_timeout": "3s", "idle_timeout": "10s"}
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url)], changes=limits)
    yield part
    part.stop()


def head(gateway, *lines: str, first="POST /mcp/up HTTP/1.1") -> bytes:
    """A request head of exactly these lines after a good Host and a good token."""
    common = [first, f"Host: 127.0.0.1:{gateway.port}", f"Authorization: Bearer {gateway.oidc.token('tester')}",
              "Content-Type: application/json", "Accept: application/json, text/event-stream",
              "MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: echo"]
    return "\r\n".join([*common, *lines]).encode("latin1") + b"\r\n\r\n"


def body(gateway, message="x") -> bytes:
    return json.dumps(gateway.client("up").message("tools/call", {"name": "echo", "arguments": {"message": message}})).encode()


SMUGGLED = b"POST /mcp/up HTTP/1.1\r\nHost: x\r\n\r\n"


def shapes(gateway):
    data = body(gateway)
    n = len(data)
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (n, data)
    cl = f"Content-Length: {n}"
    te = "Transfer-Encoding: chunked"
    return {
        "length and chunked": head(gateway, cl, te) + chunked,
        "chunked and length": head(gateway, te, cl) + chunked,
        "length zero and chunked": head(gateway, "Content-Length: 0", te) + chunked,
        "two lengths, same": head(gateway, cl, cl) + data,
        "two lengths, different": head(gateway, cl, "Content-Length: 5") + data,
        "length list": head(gateway, f"Content-Length: {n}, {n}") + data,
        "length plus sign": head(gateway, f"Content-Length: +{n}") + data,
        "length negative": head(gateway, "Content-Length: -1") + data,
        "length hex": head(gateway, f"Content-Length: {n:#x}") + data,
        "length with space": head(gateway, f"Content-Length: {n} 0") + data,
        "length overflow": head(gateway, "Content-Length: 18446744073709551617") + data,
        "length empty": head(gateway, "Content-Length: ") + data,
        "chunked twice": head(gateway, te, te) + chunked,
        "chunked, identity": head(gateway, "Transfer-Encoding: chunked, identity") + chunked,
        "identity": head(gateway, "Transfer-Encoding: identity") + data,
        "gzip, chunked": head(gateway, "Transfer-Encoding: gzip, chunked") + chunked,
        "xchunked": head(gateway, "Transfer-Encoding: xchunked") + chunked,
        "chunked in quotes": head(gateway, 'Transfer-Encoding: "chunked"') + chunked,
        "chunked with vertical tab": head(gateway, "Transfer-Encoding: \x0bchunked") + chunked,
        "space before colon": head(gateway, f"Content-Length : {n}") + data,
        "tab before colon": head(gateway, f"Content-Length\t: {n}") + data,
        "TE with space before colon": head(gateway, "Transfer-Encoding : chunked") + chunked,
        "obs-fold": head(gateway, cl, "X-Note: a\r\n b") + data,
        "obs-fold of length": head(gateway, "Content-Length:\r\n " + str(n)) + data,
        "obs-fold of TE": head(gateway, "Transfer-Encoding:\r\n chunked") + chunked,
        "leading space line": head(gateway, cl).replace(b"\r\nHost", b"\r\n Host", 1) + data,
        "bare LF": head(gateway, cl).replace(b"\r\n", b"\n") + data,
        "one bare LF": head(gateway, cl, "X-A: b\nX-C: d") + data,
        "bare CR": head(gateway, cl, "X-A: b\rX-C: d") + data,
        "NUL in a value": head(gateway, cl, "X-A: b\0c") + data,
        "NUL in a name": head(gateway, cl, "X-A\0: b") + data,
        "no colon": head(gateway, cl, "X-A b") + data,
        "empty name": head(gateway, cl, ": b") + data,
        "non-token name": head(gateway, cl, "X(A): b") + data,
        "chunk size with sign": head(gateway, te) + b"+%x\r\n%s\r\n0\r\n\r\n" % (n, data),
        "chunk size with 0x": head(gateway, te) + b"0x%x\r\n%s\r\n0\r\n\r\n" % (n, data),
        "chunk size with space": head(gateway, te) + b" %x\r\n%s\r\n0\r\n\r\n" % (n, data),
        "chunk size overflow": head(gateway, te) + b"1%016x\r\n%s\r\n0\r\n\r\n" % (n, data),
        "chunk size empty": head(gateway, te) + b"\r\n%s\r\n0\r\n\r\n" % data,
        "chunk ended by LF": head(gateway, te) + b"%x\n%s\r\n0\r\n\r\n" % (n, data),
        "chunk data without CRLF": head(gateway, te) + b"%x\r\n%s0\r\n\r\n" % (n, data),
        "chunk longer than told": head(gateway, te) + b"%x\r\n%sXX\r\n0\r\n\r\n" % (n, data),
        "endless chunk extension": head(gateway, te) + b"%x;%s\r\n%s\r\n0\r\n\r\n" % (n, b"e" * (1 << 20), data),
        "trailer with length": head(gateway, te) + b"%x\r\n%s\r\n0\r\nContent-Length: 5\r\nHost: evil\r\n\r\n" % (n, data),
        "version 1.2": head(gateway, cl, first="POST /mcp/up HTTP/1.2") + data,
        "version 2.0": head(gateway, cl, first="POST /mcp/up HTTP/2.0") + data,
        "version nonsense": head(gateway, cl, first="POST /mcp/up HTTX/1.1") + data,
        "no version": head(gateway, cl, first="POST /mcp/up") + data,
        "two spaces": head(gateway, cl, first="POST  /mcp/up HTTP/1.1") + data,
        "tab in the line": head(gateway, cl, first="POST\t/mcp/up\tHTTP/1.1") + data,
        "space in the target": head(gateway, cl, first="POST /mcp/up /x HTTP/1.1") + data,
        "absolute target elsewhere": head(gateway, cl, first="POST http://evil.example/mcp/up HTTP/1.1") + data,
        "CONNECT": head(gateway, first="CONNECT evil.example:443 HTTP/1.1"),
        "TRACE": head(gateway, first="TRACE /mcp/up HTTP/1.1"),
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
        "upgrade h2c": head(gateway, cl, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__") + data,
        "two Hosts": head(gateway, cl, f"Host: 127.0.0.1:{gateway.port}") + data,
        "two Hosts, different": head(gateway, cl, "Host: evil.example") + data,
        "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500,
        "binary": bytes(range(256)) * 8,
    }


SHAPES = """length and chunked|chunked and length|length zero and chunked|two lengths, same|two lengths, different|length list|length plus sign
length negative|length hex|length with space|length overflow|length empty|chunked twice|chunked, identity|identity|gzip, chunked|xchunked
chunked in quotes|chunked with vertical tab|space before colon|tab before colon|TE with space before colon|obs-fold|obs-fold of length|obs-fold of TE
leading space line|bare LF|one bare LF|bare CR|NUL in a value|NUL in a name|no colon|empty name|non-token name|chunk size with sign
chunk size with 0x|chunk size with space|chunk size overflow|chunk size empty|chunk ended by LF|chunk data without CRLF|chunk longer than told
endless chunk extension|trailer with length|version 1.2|version 2.0|version nonsense|no version|two spaces|tab in the line|space in the target
absolute target elsewhere|CONNECT|TRACE|HTTP/2 preface|upgrade h2c|two Hosts|two Hosts, different|TLS hello|binary""".replace("\n", "|").split("|")

# Shapes that a strict server may also take without harm, as long as nothing is smuggled by them.
HARMLESS = {"trailer with length", "upgrade h2c"}


def test_shapes_are_all_listed(gateway):
    assert sorted(shapes(gateway)) == sorted(SHAPES)


@pytest.mark.parametrize("shape", SHAPES)
def test_smuggling_shape(gateway, fresh, shape):
    """Refused with the connection closed; what follows on the connection is never answered."""
    data = shapes(gateway)[shape]
    before = len(gateway.audit("request.refused"))
    with raw.connect(gateway.port) as s:
        try:
            s.sendall(data + SMUGGLED)
        except OSError:
            pass
        answer = raw.read_all(s, timeout=4)
    statuses = [int(line.split()[1]) for line in answer.decode("latin1").split("\r\n") if line.startswith("HTTP/1.1 ")]
    if shape in HARMLESS:
        assert all(status in (200, 400, 403) for status in statuses)
    else:
        assert statuses == [] or (len(statuses) == 1 and 400 <= statuses[0] < 600), answer[:500]
        assert fresh.calls("echo") == []
        assert eventually(lambda: len(gateway.audit("request.refused")) > before), "the refusal is not in the log"
    assert gateway.alive()
    assert gateway.client("up").call("echo", {"message": "still here"}).text() == "Echo: still here"


def test_good_pipelining_and_keep_alive(gateway):
    one, two = body(gateway, "one"), body(gateway, "two")
    data = b"".join(head(gateway, f"Content-Length: {len(b)}") + b for b in (one, two))
    with raw.connect(gateway.port) as s:
        s.sendall(data)
        first = raw.read_response(s)
        assert b"Echo: one" in first[2]
    chunked = head(gateway, "Transfer-Encoding: chunked") + b"".join(b"1\r\n%c\r\n" % byte for byte in one) + b"0\r\n\r\n"
    assert b"Echo: one" in raw.exchange(gateway.port, chunked)[2]


def test_head_too_large(gateway):
    for extra in (["X-A: " + "a" * (1 << 20)], [f"X-{i}: {i}" for i in range(5000)]):
        status, _, _ = raw.exchange(gateway.port, head(gateway, *extra, "Content-Length: 2") + b"{}")
        assert status in (431, 400)
    status, _, _ = raw.exchange(gateway.port, head(gateway, "Content-Length: 2", first="POST /mcp/up?" + "q" * (1 << 20) + " HTTP/1.1") + b"{}")
    assert status in (431, 414, 400)
    assert gateway.alive()


def test_slowloris_heads(gateway):
    """200 clients that send a head one byte at a time: each is cut off, others are served meanwhile."""
    sockets = [raw.connect(gateway.port) for _ in range(200)]
    data = head(gateway, "Content-Length: 2")
    for s in sockets:
        s.sendall(data[:10])
    stop = time.monotonic() + 4
    at = 10
    while time.monotonic() < stop:
        for s in sockets:
            try:
                s.sendall(data[at:at + 1])
            except OSError:
                pass
        at += 1
        begun = time.monotonic()
        assert gateway.client("up").call("echo", {"message": "x"}).status == 200
        assert time.monotonic() - begun < 2
        time.sleep(0.2)
    assert all(raw.closed_by_peer(s, 3) for s in sockets)
    for s in sockets:
        s.close()


def test_slow_body(gateway, fresh):
    data = body(gateway)
    with raw.connect(gateway.port) as s:
        s.sendall(head(gateway, f"Content-Length: {len(data)}") + data[:20])
        begun = time.monotonic()
        status, _, _ = raw.read_response(s, timeout=10)
        assert status in (408, 400, 0) and time.monotonic() - begun < 8
        assert raw.closed_by_peer(s)
    assert fresh.calls("echo") == []


def test_idle_connections_are_closed(gateway):
    with raw.connect(gateway.port) as s:
        assert raw.closed_by_peer(s, 15)


def test_slow_reader_hurts_only_itself(gateway, fresh):
    """A client that does not read a large answer: memory stays bounded, others are served."""
    before = rss_kib(gateway.process.pid)
    client = gateway.client("up")
    message = json.dumps(client.message("tools/call", {"name": "large", "arguments": {"kib": 8192}})).encode()
    sockets = []
    for _ in range(4):
        s = raw.connect(gateway.port)
        s.sendall(head(gateway, f"Content-Length: {len(message)}").replace(b"Mcp-Name: echo", b"Mcp-Name: large") + message)
        sockets.append(s)
    time.sleep(2)
    begun = time.monotonic()
    assert client.call("echo", {"message": "x"}).text() == "Echo: x"
    assert time.monotonic() - begun < 2
    assert rss_kib(gateway.process.pid) - before < 512 << 10
    for s in sockets:
        s.close()
    assert gateway.alive()


def test_clients_that_vanish(gateway, fresh):
    """Connections reset at every stage leave nothing behind."""
    data = head(gateway, f"Content-Length: {len(body(gateway))}") + body(gateway)
    for cut in range(0, len(data), max(1, len(data) // 60)):
        s = raw.connect(gateway.port)
        s.sendall(data[:cut])
        s.setsockopt(__import__("socket").SOL_SOCKET, __import__("socket").SO_LINGER, b"\1\0\0\0\0\0\0\0")
        s.close()
    assert gateway.client("up").call("echo", {"message": "x"}).text() == "Echo: x"
    assert gateway.alive()


def test_a_client_that_vanishes_in_a_call_leaves_an_entry(gateway, fresh):
    client = gateway.client("up")
    stream = client.stream("tools/call", {"name": "cancel_me", "arguments": {"tag": "gone"}}, progress_token="p")
    assert eventually(lambda: "gone" in fresh.state()["running"])
    stream.close()
    assert eventually(lambda: "gone" in fresh.state()["cancelled"], 8)
    intent = gateway.recorded(event="call.intent", resource="cancel_me")[-1]
    ends = eventually(lambda: [e for e in gateway.entries() if e.get("intent") == intent["index"]], 5, step=0.2)
    assert ends and ends[-1]["event"] in ("call.outcome", "call.abandoned")


def test_flood_of_connections(gateway):
    """More connections than anybody needs: the gateway lives and serves afterwards."""
    sockets = []
    try:
        for _ in range(2000):
            sockets.append(raw.connect(gateway.port, timeout=2))
    except OSError:
        pass
    results = []

    def call():
        try:
            results.append(gateway.client("up", timeout=10).call("echo", {"message": "x"}).status)
        except OSError:
            results.append(0)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(12)
    for s in sockets:
        s.close()
    assert gateway.alive()
    assert eventually(lambda: gateway.client("up").call("echo", {"message": "x"}).status == 200, 5)
