"""Bytes on a socket: what no HTTP library would send."""

import socket
import time

from kit import capture


def connect(port: int, timeout: float = 10) -> socket.socket:
    s = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def read_all(s: socket.socket, limit: int = 1 << 20, timeout: float = 10) -> bytes:
    """Reads until the peer closes, the limit, or silence for `timeout`."""
    s.settimeout(timeout)
    data = b""
    try:
        while len(data) < limit:
            piece = s.recv(65536)
            if not piece:
                break
            data += piece
    except (TimeoutError, ConnectionError):
        pass
    capture.received(data)
    return data


def read_response(s: socket.socket, timeout: float = 10) -> tuple[int, dict, bytes]:
    """One HTTP response with Content-Length, or up to the close."""
    s.settimeout(timeout)
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            piece = s.recv(65536)
            if not piece:
                break
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin1").split("\r\n")
        status = int(lines[0].split()[1]) if len(lines[0].split()) > 1 else 0
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        want = int(headers.get("content-length", "0"))
        while len(body) < want:
            piece = s.recv(65536)
            if not piece:
                break
            body += piece
    except (TimeoutError, ConnectionError):
        capture.received(data)
        return 0, {}, data
    capture.received(head + b"\r\n\r\n" + body)
    return status, headers, body


def exchange(port: int, data: bytes, timeout: float = 10) -> tuple[int, dict, bytes]:
    """Sends the bytes, reads one response."""
    with connect(port, timeout) as s:
        try:
            s.sendall(data)
        except ConnectionError:
            pass
        return read_response(s, timeout)


def request(path: str, body: bytes, headers: list[tuple[str, str]], method: str = "POST",
            version: str = "HTTP/1.1", length: bool = True) -> bytes:
    """A request head exactly as given, Content-Length added unless told otherwise."""
    lines = [f"{method} {path} {version}"] + [f"{name}: {value}" for name, value in headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body


def closed_by_peer(s: socket.socket, timeout: float = 5) -> bool:
    """Whether the peer closes within `timeout` (anything it still sends is read away)."""
    s.settimeout(0.2)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if not s.recv(65536):
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False
