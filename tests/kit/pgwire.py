"""A raw PostgreSQL client: every message in and out is the test's to write and to read. Nothing is hidden or retried."""

import base64
import hashlib
import hmac
import os
import re
import select
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field, replace

from kit import capture

PROTOCOL_3_0 = 3 << 16
PROTOCOL_3_2 = 3 << 16 | 2
SSL_REQUEST = struct.pack(">ii", 8, 80877103)
GSS_REQUEST = struct.pack(">ii", 8, 80877104)


class Gone(Exception):
    """The peer closed the connection, or said nothing for too long."""


class Refused(Exception):
    """The peer answered the start of the session with ErrorResponse."""

    def __init__(self, error: "ServerError", messages):
        super().__init__(str(error))
        self.error = error
        self.messages = messages


@dataclass
class Where:
    """How a session is opened. `auth` chooses what a SASL or cleartext request is answered with."""

    port: int
    user: str
    password: str = ""
    database: str = ""
    host: str = "127.0.0.1"
    tls: bool = False
    direct_tls: bool = False
    timeout: float = 20
    protocol: int = PROTOCOL_3_0
    startup: dict = field(default_factory=dict)
    keep: bool = True  # what comes is kept for the byte search at the end of the run

    def but(self, **changes) -> "Where":
        return replace(self, **changes)


class ServerError(dict):
    """The fields of an ErrorResponse or NoticeResponse by their letter. Only PostgreSQL itself knows a source routine."""

    def __init__(self, body: bytes):
        super().__init__((part[:1].decode("latin1"), part[1:].decode("utf8", "replace"))
                         for part in body.split(b"\0") if part)

    @property
    def of_the_server(self) -> bool:
        return "R" in self

    def __str__(self):
        return " ".join(f"{k}={self[k]!r}" for k in "SCMDH" if k in self)


@dataclass
class Field:
    name: str
    table: int
    column: int
    type: int
    format: int


def fields_of(body: bytes) -> list[Field]:
    out, at = [], 2
    for _ in range(struct.unpack(">h", body[:2])[0]):
        end = body.index(b"\0", at)
        table, column, kind, _, _, fmt = struct.unpack(">IhIhih", body[end + 1:end + 19])
        out.append(Field(body[at:end].decode("utf8", "replace"), table, column, kind, fmt))
        at = end + 19
    return out


def cells_of(body: bytes) -> list[bytes | None]:
    out, at = [], 2
    for _ in range(struct.unpack(">h", body[:2])[0]):
        size = struct.unpack(">i", body[at:at + 4])[0]
        at += 4
        out.append(None if size < 0 else body[at:at + size])
        at += max(size, 0)
    return out


def text(value) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class Wire:
    """One session. `seen` holds every message that came, as (type, body)."""

    def __init__(self, where: Where, login: bool = True):
        self.where = where
        self.seen: list[tuple[str, bytes]] = []
        self._in = b""
        self._at = 0
        self.segment = 0  # > 0: written in pieces of so many bytes
        self.pid, self.key = 0, b""
        self.parameters: dict[str, str] = {}
        self.status = "?"
        self.copy_data: list[bytes] | None = None  # given to the next CopyInResponse; None: CopyFail
        self.on_copy = True  # answers CopyInResponse by itself
        self.socket = self._open()
        if login:
            self.start()

    # -- bytes ---------------------------------------------------------------------------------------
    def _open(self):
        try:
            made = socket.create_connection((self.where.host, self.where.port), timeout=self.where.timeout)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.where.tls or self.where.direct_tls:
                if not self.where.direct_tls:
                    made.sendall(SSL_REQUEST)
                    if made.recv(1) != b"S":
                        raise Gone("no TLS there")
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                context.set_alpn_protocols(["postgresql"])
                made = context.wrap_socket(made, server_hostname=self.where.host)
            return made
        except OSError as error:
            raise Gone(str(error)) from error

    def write(self, data: bytes) -> None:
        try:
            if not self.segment:
                self.socket.sendall(data)
                return
            for at in range(0, len(data), self.segment):
                self.socket.sendall(data[at:at + self.segment])
        except OSError as error:
            raise Gone(str(error)) from error

    def send(self, kind: str, body: bytes = b"") -> None:
        self.write(kind.encode("latin1") + struct.pack(">i", len(body) + 4) + body)

    def _fill(self, timeout: float) -> None:
        self.socket.settimeout(timeout)
        try:
            data = self.socket.recv(1 << 18)
        except (TimeoutError, ssl.SSLWantReadError) as error:
            raise Gone("silence") from error
        except OSError as error:
            raise Gone(str(error)) from error
        if not data:
            raise Gone("closed")
        if self.where.keep:
            capture.received(data)
        self._in = self._in[self._at:] + data
        self._at = 0

    def read(self, timeout: float | None = None) -> tuple[str, bytes]:
        deadline = timeout or self.where.timeout
        while len(self._in) - self._at < 5:
            self._fill(deadline)
        size = struct.unpack_from(">i", self._in, self._at + 1)[0] + 1
        while len(self._in) - self._at < size:
            self._fill(deadline)
        kind = chr(self._in[self._at])
        body = self._in[self._at + 5:self._at + size]
        self._at += size
        self.seen.append((kind, body))
        if kind == "S":
            name, value = body.split(b"\0")[:2]
            self.parameters[name.decode()] = value.decode("utf8", "replace")
        elif kind == "Z":
            self.status = body.decode()
        elif kind == "G" and self.on_copy:
            self._answer_copy()
        return kind, body

    def _answer_copy(self) -> None:
        data, self.copy_data = self.copy_data, None
        if data is None:
            self.send("f", b"no data\0")
            return
        for chunk in data:
            self.send("d", chunk)
        self.send("c")

    # -- the start -----------------------------------------------------------------------------------
    def start(self, extra: dict | None = None) -> None:
        given = {"user": self.where.user, "database": self.where.database, "client_encoding": "UTF8",
                 **self.where.startup, **(extra or {})}
        body = b"".join(text(k) + b"\0" + text(v) + b"\0" for k, v in given.items()) + b"\0"
        self.write(struct.pack(">ii", len(body) + 8, self.where.protocol) + body)
        scram = None
        while True:
            kind, body = self.read()
            if kind == "E":
                raise Refused(ServerError(body), self.seen)
            if kind == "K":
                self.pid, self.key = struct.unpack(">I", body[:4])[0], body[4:]
            elif kind == "Z":
                return
            elif kind == "R":
                scram = self._authenticate(body, given["user"], scram)

    def _authenticate(self, body: bytes, user: str, scram):
        what = struct.unpack(">i", body[:4])[0]
        password = self.where.password
        if what == 3:
            self.send("p", text(password) + b"\0")
        elif what == 5:
            inner = hashlib.md5(text(password) + text(user)).hexdigest().encode()
            self.send("p", b"md5" + hashlib.md5(inner + body[4:8]).hexdigest().encode() + b"\0")
        elif what == 10:
            offered = body[4:].split(b"\0")
            if b"SCRAM-SHA-256" in offered:
                scram = Scram(password)
                first = scram.first()
                self.send("p", b"SCRAM-SHA-256\0" + struct.pack(">i", len(first)) + first)
            elif b"OAUTHBEARER" in offered:
                first = b"n,,\x01auth=Bearer " + text(password) + b"\x01\x01"
                self.send("p", b"OAUTHBEARER\0" + struct.pack(">i", len(first)) + first)
            else:
                raise Gone(f"no mechanism of ours among {offered}")
        elif what == 11:
            self.send("p", scram.final(body[4:]) if scram else b"\x01")
        elif what not in (0, 12):
            raise Gone(f"authentication {what}")
        return scram

    # -- messages ------------------------------------------------------------------------------------
    def parse(self, statement, name="", types=()) -> None:
        self.send("P", text(name) + b"\0" + text(statement) + b"\0" + struct.pack(f">h{len(types)}I", len(types), *types))

    def bind(self, portal="", name="", values=(), formats=(), results=()) -> None:
        body = text(portal) + b"\0" + text(name) + b"\0" + struct.pack(f">h{len(formats)}h", len(formats), *formats)
        body += struct.pack(">H", len(values))
        for value in values:
            body += struct.pack(">i", -1) if value is None else struct.pack(">i", len(text(value))) + text(value)
        self.send("B", body + struct.pack(f">h{len(results)}h", len(results), *results))

    def describe(self, what="P", name="") -> None:
        self.send("D", what.encode() + text(name) + b"\0")

    def execute(self, portal="", rows=0) -> None:
        self.send("E", text(portal) + b"\0" + struct.pack(">i", rows))

    def close_name(self, what, name) -> None:
        self.send("C", what.encode() + text(name) + b"\0")

    def sync(self) -> None:
        self.send("S")

    # -- whole turns ---------------------------------------------------------------------------------
    def until_ready(self, timeout: float | None = None) -> list[tuple[str, bytes]]:
        """Reads up to ReadyForQuery; everything that came, without it."""
        begin = len(self.seen)
        while self.read(timeout)[0] != "Z":
            pass
        return self.seen[begin:-1]

    def query(self, statement) -> list[tuple[str, bytes]]:
        self.send("Q", text(statement) + b"\0")
        return self.until_ready()

    def extended(self, statement, values=(), results=(), describe=True) -> list[tuple[str, bytes]]:
        self.parse(statement)
        self.bind(values=values, results=results)
        if describe:
            self.describe()
        self.execute()
        self.sync()
        return self.until_ready()

    def drain(self, seconds: float) -> None:
        """What comes by itself within so long."""
        deadline = time.monotonic() + seconds
        try:
            while (rest := deadline - time.monotonic()) > 0:
                if len(self._in) - self._at < 5 and not select.select([self.socket], [], [], rest)[0]:
                    return
                self.read(rest)
        except Gone:
            pass

    def rows(self, statement) -> list[list[str | None]]:
        """For the test's own questions: text rows, or AssertionError with the server's error."""
        got = self.query(statement)
        wrong = errors(got)
        assert not wrong, f"{statement[:200]}: {wrong[0]}"
        return [[None if c is None else c.decode("utf8", "replace") for c in cells_of(b)] for k, b in got if k == "D"]

    def terminate(self) -> None:
        try:
            self.send("X")
        except Gone:
            pass
        self.drop()

    def drop(self) -> None:
        try:
            self.socket.close()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.terminate()


def errors(messages) -> list[ServerError]:
    return [ServerError(body) for kind, body in messages if kind == "E"]


def rows_of(messages) -> list[list[bytes | None]]:
    return [cells_of(body) for kind, body in messages if kind == "D"]


def tags(messages) -> list[str]:
    return [body.rstrip(b"\0").decode() for kind, body in messages if kind == "C"]


def cancel(where: Where, pid: int, key: bytes) -> None:
    """A CancelRequest on a connection of its own; waits until the peer has closed it."""
    opened = Wire(where, login=False)
    opened.write(struct.pack(">iiI", 12 + len(key), 80877102, pid) + key)
    opened.socket.settimeout(5)
    try:
        while opened.socket.recv(64):
            pass
    except OSError:
        pass
    opened.drop()


class Scram:
    """The client's side of SCRAM-SHA-256 (RFC 7677), without channel binding."""

    def __init__(self, password: str):
        self._password = text(password)
        self._bare = b"n=,r=" + base64.b64encode(os.urandom(18))

    def first(self) -> bytes:
        return b"n,," + self._bare

    def final(self, server_first: bytes) -> bytes:
        said = dict(part.split(b"=", 1) for part in server_first.split(b","))
        salted = hashlib.pbkdf2_hmac("sha256", self._password, base64.b64decode(said[b"s"]), int(said[b"i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        bare = b"c=biws,r=" + said[b"r"]
        signed = self._bare + b"," + server_first + b"," + bare
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return bare + b",p=" + base64.b64encode(proof)


_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})|\\([0\\])|\{(\d+)\*([^}]*)\}")


def unescape(line: str) -> bytes:
    r"""\xNN, \0, \\ and {N*text} of the case files as bytes."""
    out, at = b"", 0
    for match in _ESCAPE.finditer(line):
        out += line[at:match.start()].encode()
        byte, special, count, piece = match.groups()
        if byte:
            out += bytes.fromhex(byte)
        elif special:
            out += b"\0" if special == "0" else b"\\"
        else:
            out += piece.encode() * int(count)
        at = match.end()
    return out + line[at:].encode()
