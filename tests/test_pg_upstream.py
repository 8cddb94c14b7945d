"""What stands behind the gate: a server that follows the protocol and then breaks it (a double in front of a real one), a server with
the wrong certificate, and the ways of logging in to a right one. And TLS towards the client, by psql with sslmode=verify-full."""

import os
import pwd
import shutil
import struct
import subprocess
import time

import pytest

from kit import capture
from kit.pg_drivers import PSQL
from kit.pg_gate import CALLER, PgGateway, certificate, database
from kit.pg_tap import Tap
from kit.pgwire import Gone, Refused, ServerError, Wire, errors
from kit.pki import Authority
from kit.postgres import Postgres
from kit.process import eventually, rss_kib

PASSWORD = "upstream-password"
NUMBER = "4539577986432614"
RULES = [{"id": "all", "effect": "allow", "who": ["group:testers"],
          "on": {"labels": {"env": "test"}, "sql": {"statements": ["SELECT", "COPY", "SHOW"], "relations": ["public.*"]}}}]


def message(kind: str, body: bytes = b"", length: int | None = None) -> bytes:
    return kind.encode("latin1") + struct.pack(">I", 4 + len(body) if length is None else length) + body


def described(*names: bytes) -> bytes:
    return message("T", struct.pack(">H", len(names)) + b"".join(n + b"\0" + struct.pack(">IhIhih", 0, 0, 25, -1, -1, 0) for n in names))


def row(*cells: bytes) -> bytes:
    return message("D", struct.pack(">H", len(cells)) + b"".join(struct.pack(">i", len(c)) + c for c in cells))


# What the double says in place of an answer to SELECT 'break: NAME'. A number in it may not reach the client.
CARD = NUMBER.encode()
NONSENSE = {
    "rows without a description": row(CARD),
    "more cells than columns": described(b"a") + row(b"x", CARD),
    "fewer cells than columns": described(b"a", b"b") + row(CARD),
    "a cell longer than its row": described(b"a") + message("D", b"\0\1" + struct.pack(">i", 99) + CARD),
    "a cell of a negative length": described(b"a") + message("D", b"\0\1" + struct.pack(">i", -7) + CARD),
    "bytes behind the last cell": described(b"a") + message("D", b"\0\1" + struct.pack(">i", 1) + b"x" + CARD),
    "a row of no length": described(b"a") + message("D", b"", 3),
    "a message of no length": message("C", b"", 0),
    "a message of 2 GB": message("D", CARD, 0x7FFFFFFF),
    "a negative length": message("T", CARD, 0xFFFFFFFF),
    "an error of 1 GB": message("E", b"SERROR\0C22000\0M" + CARD, 1 << 30),
    "an unknown type": message("\x01", CARD),
    "a request": message("Q", b"SELECT " + CARD + b"\0"),
    "authentication": message("R", struct.pack(">I", 3)),
    "a key": message("K", struct.pack(">II", 1, 2)),
    "another version": message("v", struct.pack(">II", 3 << 16, 0)),
    "ready at once": message("Z", b"I"),
    "ready twice": described(b"a") + message("C", b"SELECT 0\0") + message("Z", b"I") + message("Z", b"I"),
    "ready in no state": described(b"a") + message("C", b"SELECT 0\0") + message("Z", b""),
    "a description that lies": message("T", b"\0\5a\0"),
    "a description of 65,535 columns": message("T", b"\xff\xff" + CARD),
    "answers to Parse": message("1") + message("2") + message("n") + message("C", b"SELECT 0\0") + message("Z", b"I"),
    "a COPY that nobody asked for": message("H", b"\0\0\0") + message("d", CARD + b"\n") + message("c"),
    "a wish for COPY data": message("G", b"\0\0\0"),
    "both ways at once": message("W", b"\0\0\0"),
    "COPY data": message("d", CARD),
    "an error without an end": message("E", b"SERROR\0C22000\0M" + CARD),
    "an error of no fields": message("E"),
    "a notice without an end": message("N", b"SNOTICE\0C00000\0M" + CARD),
    "other strings from now on": message("S", b"standard_conforming_strings\0off\0"),
    "another encoding from now on": message("S", b"client_encoding\0SJIS\0"),
    "another user from now on": message("S", b"session_authorization\0postgres\0"),
    "half a row": described(b"a") + row(CARD)[:12],
    "half a head": described(b"a") + b"D\0\0",
    "text of another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n" + CARD,
    "nothing at all": b"",
}


class Double(Tap):
    """A real server until a statement names something of NONSENSE: then that is the answer, and the end if `closes`."""

    def __init__(self, target: int):
        super().__init__(target)
        self.closes = True

    def accepted(self, tapped) -> None:
        passes = tapped.sockets["server"].sendall

        def send(piece: bytes) -> None:
            at = piece.find(b"break: ")
            if at < 0:
                return passes(piece)
            name = piece[at + 7:piece.index(b"'", at)].decode()
            tapped.sockets["client"].sendall(NONSENSE[name])
            if self.closes:
                tapped.sockets["client"].shutdown(2)
        tapped.to_server = send


@pytest.fixture(scope="module")
def plain():
    part = Postgres.lab(PASSWORD, f"CREATE TABLE cards(card_number text);\nINSERT INTO cards VALUES ('{NUMBER}')")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def double(plain):
    part = Double(plain.port)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, plain, double):
    broken = database("lab", plain, "lab", "app")
    broken["postgres"]["upstream"]["port"] = double.port
    part = PgGateway(scratch / "gateway", oidc, [broken], RULES, PASSWORD, tls=certificate(scratch / "gateway"),
                     columns=[{"connection": "lab", "column": "public.cards.card_number", "detector": "pan"}], port=oidc.first_port())
    yield part
    part.stop()


def everything(wire: Wire, seconds: float) -> tuple[list, str]:
    """What came, and how it ended: by the peer, or in silence."""
    got, until = [], time.monotonic() + seconds
    try:
        while True:
            got.append(wire.read(max(until - time.monotonic(), 0.01)))
    except Gone as gone:
        return got, str(gone)


# The rest may come yet, or it is dropped, or it is no offence: the client waits, and may cancel or go.
WAITS = {"nothing at all", "half a row", "half a head", "a message of 2 GB", "ready at once", "a notice without an end"}


@pytest.mark.parametrize("closes", [True, False], ids=["then closes", "then waits"])
@pytest.mark.parametrize("name", NONSENSE)
def test_a_server_that_breaks_the_protocol(gateway, double, name, closes):
    double.closes = closes
    other, wire = Wire(gateway.where("lab")), Wire(gateway.where("lab"))
    before = rss_kib(gateway.process.pid)
    try:
        wire.send("Q", f"SELECT 'break: {name}'\0".encode())
        waits = not closes and name in WAITS
        got, end = everything(wire, 1 if waits else 8)
        if not waits:
            said = [e for e in errors(got) if e["S"] == "FATAL"]
            assert end and end != "silence", (shape(got), end)
            assert [e["C"] for e in said] and said[-1]["C"] in ("08P01", "08006", "42501"), (shape(got), said)
        shown = b"".join(body for _, body in got)
        assert CARD not in shown and CARD[6:12] not in shown, got
        assert rss_kib(gateway.process.pid) - before < 16 << 10
        assert other.rows("SELECT card_number FROM cards") == [["*" * 12 + NUMBER[-4:]]], "others are served"
    finally:
        wire.drop(), other.terminate()
    assert gateway.alive() and gateway.quiet(), "a session is left"


def shape(messages) -> list:
    return [(kind, ServerError(body).get("C")) if kind in "EN" else kind for kind, body in messages]


# -- TLS to the server ---------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def authority(scratch):
    return Authority(scratch)


def with_tls(authority: Authority, leaf: tuple) -> Postgres:
    """A server with that certificate: app by SCRAM, certified by a client certificate alone; nobody without TLS."""
    part = Postgres(scram=True)
    part.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE certified LOGIN; CREATE DATABASE lab OWNER app")
    data = part.directory / "data"
    (data / "pg_hba.conf").write_text("local all all trust\nhost all postgres 127.0.0.1/32 trust\n"
                                      "hostssl all certified 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
    user = pwd.getpwnam("postgres")
    for name, source in (("server.crt", leaf[0]), ("server.key", leaf[1]), ("root.crt", authority.cert)):
        shutil.copy(source, data / name)
        os.chmod(data / name, 0o600)
        os.chown(data / name, user.pw_uid, user.pw_gid)
    part.sql("ALTER SYSTEM SET ssl_ca_file = 'root.crt'")
    part.sql("ALTER SYSTEM SET ssl = on")
    part.sql("SELECT pg_reload_conf()")
    assert eventually(lambda: part.sql("SHOW ssl").strip() == "on", 10)
    return part


@pytest.fixture(scope="module")
def servers(authority):
    parts = {"right": with_tls(authority, authority.issue("right")),
             "expired": with_tls(authority, authority.issue("expired", expired=True)),
             "other host": with_tls(authority, authority.issue("other", san="DNS:db.example.com,IP:127.0.0.2"))}
    yield parts
    for part in parts.values():
        part.stop()


@pytest.fixture(scope="module")
def secured(scratch, oidc, servers, authority):
    """Connections to them, each in its own way."""
    stranger = Authority(scratch, "stranger")
    client = authority.issue("certified", san="")
    foreign = stranger.issue("certified", san="")

    def connection(name, server, mode="verify-full", ca=authority.cert, user="app", cert=None):
        made = database(name, servers[server], "lab", user)
        made["postgres"]["upstream"].update({"sslmode": mode, **({"ca": str(ca)} if ca else {})})
        if cert:
            made["postgres"]["upstream"].update({"client_cert": str(cert[0]), "client_key": {"file": str(cert[1])}})
            del made["postgres"]["credentials"]["password"]
        return made
    connections = [
        connection("right", "right"), connection("ca-only", "right", "verify-ca"), connection("encrypted", "right", "require", None),
        connection("plain", "right", "disable", None), connection("stranger", "right", ca=stranger.cert), connection("system", "right", ca=None),
        connection("expired", "expired"), connection("expired-ca", "expired", "verify-ca"), connection("other-host", "other host"),
        connection("other-host-ca", "other host", "verify-ca"), connection("certificate", "right", user="certified", cert=client),
        connection("foreign-certificate", "right", user="certified", cert=foreign),
        connection("no-certificate", "right", user="certified"),
    ]
    part = PgGateway(scratch / "secured", oidc, connections, RULES, PASSWORD, tls=certificate(scratch / "secured"), port=oidc.first_port())
    yield part
    part.stop()


@pytest.mark.parametrize("name, user", [("right", "app"), ("ca-only", "app"), ("encrypted", "app"), ("other-host-ca", "app"), ("certificate", "certified")])
def test_what_is_right_is_used(secured, servers, name, user):
    with Wire(secured.where(name)) as wire:
        assert wire.rows("SELECT current_user::text, 1") == [[user, "1"]]
        server = servers["other host" if name.startswith("other") else "right"]
        assert server.sql(f"SELECT ssl, version FROM pg_stat_ssl WHERE pid = {wire.pid}").strip() == "t|TLSv1.3"


def test_the_channel_is_bound(secured, servers):
    """A server that offers SCRAM-SHA-256-PLUS gets it: its log says so."""
    servers["right"].sql("ALTER SYSTEM SET log_connections = on")
    servers["right"].sql("SELECT pg_reload_conf()")
    time.sleep(0.3)
    with Wire(secured.where("right")) as wire:
        wire.rows("SELECT 1")
    said = (servers["right"].directory / "log").read_text()
    assert "method=scram-sha-256" in said, said[-500:]


@pytest.mark.parametrize("name, reason", [
    ("stranger", "upstream-unreachable"), ("system", "upstream-unreachable"), ("expired", "upstream-unreachable"),
    ("expired-ca", "upstream-unreachable"), ("other-host", "upstream-unreachable"), ("plain", "upstream-login-failed"),
    ("foreign-certificate", "upstream-"), ("no-certificate", "upstream-login-failed"),
])
def test_what_is_wrong_is_refused(secured, name, reason):
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        Wire(secured.where(name))
    said = refused.value.error
    assert said["S"] == "FATAL" and said["C"] in ("08006", "08004") and reason in said["D"], said
    assert PASSWORD not in str(said) and time.monotonic() - began < 4
    with Wire(secured.where("right")) as wire:
        assert wire.rows("SELECT 1") == [["1"]]


# -- TLS to the client -----------------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def certified(scratch, oidc, plain, authority):
    """A gate whose own certificate is of the authority, and one whose certificate is for another name."""
    made = {}
    for name, san in (("right", "DNS:localhost,IP:127.0.0.1"), ("wrong-name", "DNS:gate.example.com")):
        made[name] = PgGateway(scratch / f"tls-{name}", oidc, [database("lab", plain, "lab", "app")], RULES, PASSWORD,
                               tls=authority.issue(f"gate-{name}", san=san), port=oidc.first_port())
    yield made
    for part in made.values():
        part.stop()


def psql(gateway, authority, **parameters) -> subprocess.CompletedProcess:
    conninfo = {"host": "localhost", "port": gateway.pg_port, "dbname": "lab", "user": "token", "sslmode": "verify-full",
                "sslrootcert": authority.cert, **parameters}
    done = subprocess.run([PSQL, "-X", "-A", "-t", "-d", " ".join(f"{k}={v}" for k, v in conninfo.items()), "-c", "SELECT 40 + 2"],
                          env={**os.environ, "PGPASSWORD": gateway.oidc.token(CALLER)}, capture_output=True, text=True, timeout=30)
    capture.received(done.stdout + done.stderr)
    return done


def test_psql_verifies_the_gate(certified, authority, scratch):
    assert psql(certified["right"], authority).stdout.strip() == "42"
    assert psql(certified["right"], authority, host="127.0.0.1").stdout.strip() == "42"
    assert psql(certified["right"], authority, ssl_min_protocol_version="TLSv1.3").stdout.strip() == "42"
    assert psql(certified["right"], authority, ssl_max_protocol_version="TLSv1.2").stdout.strip() == "42"
    for refused, why in ((psql(certified["wrong-name"], authority), "does not match host name"),
                         (psql(certified["right"], Authority(scratch, "unknown")), "certificate verify failed"),
                         (psql(certified["right"], authority, ssl_min_protocol_version="TLSv1", ssl_max_protocol_version="TLSv1.1"), "SSL error"),
                         (psql(certified["right"], authority, sslmode="disable"), "TLS only")):
        assert refused.returncode == 2 and why in refused.stderr, refused.stderr


def test_channel_binding_cannot_be_had_with_a_token(certified, authority):
    """A client that insists on it is told by libpq itself, and sends no token."""
    done = psql(certified["right"], authority, channel_binding="require")
    assert done.returncode == 2 and "channel binding" in done.stderr, done.stderr
