"""A network of the test's own (a Linux network namespace: needs root and Debian's iproute2): a name server that says what the test wants, a
web server at a public address, and traps at the addresses inside. Nothing in it reaches the real network."""

import ctypes
import http.server
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import threading

from kit.pki import Authority

PUBLIC = "93.184.215.14"  # public as every filter sees it; in this network it is ours
INSIDE = {"A": ["127.0.0.1", "10.7.7.7", "169.254.169.254"], "AAAA": ["::1", "fd00::7", "::ffff:127.0.0.1"]}
NEWNS, NEWNET, BIND, REC, PRIVATE = 0x20000, 0x40000000, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class OwnNetwork:
    """From `enter` to `leave` this thread, and what it starts, is in a network of its own."""

    def enter(self) -> "OwnNetwork":
        self._before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _check(_libc.unshare(NEWNET))
        self._ip("link", "set", "lo", "up")
        for address in (f"{PUBLIC}/32", "10.7.7.7/32", "169.254.169.254/32"):
            self._ip("addr", "add", address, "dev", "lo")
        self._ip("-6", "addr", "add", "fd00::7/128", "dev", "lo", "nodad")
        return self

    @staticmethod
    def _ip(*argv: str) -> None:
        subprocess.run(["ip", *argv], check=True)

    def leave(self) -> None:
        _check(_libc.setns(self._before, NEWNET))
        os.close(self._before)


def resolver_of(directory: pathlib.Path):
    """For a child before it becomes its program: 127.0.0.1 is its name server, in a mount namespace of its own."""
    files = {"/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n", "/etc/nsswitch.conf": "hosts: dns\n"}
    directory.mkdir(parents=True, exist_ok=True)
    pairs = []
    for path, text in files.items():
        ours = directory / pathlib.Path(path).name
        ours.write_text(text)
        pairs.append((str(ours).encode(), os.path.realpath(path).encode()))

    def prepare():
        _check(_libc.unshare(NEWNS))
        _check(_libc.mount(b"none", b"/", None, REC | PRIVATE, None))
        for ours, path in pairs:
            _check(_libc.mount(ours, path, None, BIND, None))
    return prepare


class Names:
    """A name server (RFC 1035) on 127.0.0.1:53. `say` queues answers for a name: each is given once, the last for ever."""

    TYPES = {1: "A", 28: "AAAA"}

    def __init__(self):
        self.asked: list[tuple[str, str, list[str]]] = []  # name, type, what was said
        self._queue: dict[tuple[str, str], list[list[str]]] = {}
        self._lock = threading.Lock()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def say(self, name: str, *answers: dict[str, list[str]]) -> None:
        with self._lock:
            for kind in self.TYPES.values():
                self._queue[name, kind] = [a.get(kind, []) for a in answers]

    def said_inside(self, name: str) -> int:
        """How often it has led to an address inside."""
        return sum(n == name and any(a in INSIDE[kind] for a in said) for n, kind, said in list(self.asked))

    def _serve(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while data[at]:
                labels.append(data[at + 1:at + 1 + data[at]].decode())
                at += 1 + data[at]
            name, kind = ".".join(labels).lower(), self.TYPES.get(struct.unpack(">H", data[at + 1:at + 3])[0])
            with self._lock:
                queue = self._queue.get((name, kind), [[]])
                said = queue.pop(0) if len(queue) > 1 else queue[0]
                self.asked.append((name, kind, said))
            records = b""
            for address in said:
                raw = socket.inet_pton(socket.AF_INET6 if kind == "AAAA" else socket.AF_INET, address)
                records += b"\xc0\x0c" + struct.pack(">HHIH", 28 if kind == "AAAA" else 1, 1, 0, len(raw)) + raw
            self.socket.sendto(data[:2] + struct.pack(">HHHHH", 0x8580, 1, len(said), 0, 0) + data[12:at + 5] + records, peer)

    def stop(self):
        self.socket.close()


class Traps:
    """Listeners at the addresses inside: nobody may come."""

    def __init__(self, port: int = 443):
        self.came: list[tuple[str, bytes]] = []
        self._sockets = []
        for address in [*INSIDE["A"], "::1", "fd00::7"]:
            part = socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
            self._sockets.append(part)
            threading.Thread(target=self._accept, args=(part, address), daemon=True).start()

    def _accept(self, part, address):
        while True:
            try:
                connection, _ = part.accept()
            except OSError:
                return
            self.came.append((address, b""))
            connection.close()

    def stop(self):
        for part in self._sockets:
            part.close()


class World:
    """An https server at the public address for all `names`. `pages` says what stands at (host, path); `seen` what was asked."""

    def __init__(self, authority: Authority, names: list[str]):
        self.pages: dict[tuple[str, str], object] = {}
        self.seen: list[tuple[str, str, bytes]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                at = (self.headers["host"], self.path)
                outer.seen.append((*at, body))
                page = outer.pages.get(at)
                answer = json.dumps(page(body) if callable(page) else page).encode()
                self.send_response(404 if page is None else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer((PUBLIC, 443), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*authority.issue("world", ",".join(f"DNS:{n}" for n in names)))
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def asked(self, host: str, path: str) -> int:
        return sum((h, p) == (host, path) for h, p, _ in list(self.seen))

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
