"""A cancel that the gateway sends because a result has too many rows, and that is long on its way: it may hit what it was sent for, and
nothing that comes later. A proxy before the database holds cancels back."""

import struct
import time

import pytest

from kit.pg_gate import CALLER, PgGateway, database, rule
from kit.pg_tap import Tap, Tapped
from kit.pgwire import Gone, Wire, errors, tags
from kit.postgres import Postgres

PASSWORD = "late-lab"
OVER = "SELECT * FROM many LIMIT 11"
RULES = [rule("rows", "lab", statements=["SELECT"], relations=["public.*"], functions={"allow": ["pg_sleep"]}, max_rows=10),
         rule("blocks", "lab", statements=["BEGIN", "COMMIT", "ROLLBACK"])]


class SlowCancels(Tap):
    """Passes cancels on after `delay` seconds."""

    delay, passed = 0.0, 0

    def accepted(self, tapped: Tapped) -> None:
        real = tapped.to_server

        def to_server(piece: bytes) -> None:
            if len(piece) == 16 and struct.unpack(">II", piece[:8]) == (16, 80877102):
                time.sleep(self.delay)
                self.passed += 1
            real(piece)
        tapped.to_server = to_server


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, "CREATE TABLE many(id int);\nINSERT INTO many SELECT generate_series(1, 100);\n")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def tap(server):
    part = SlowCancels(server.port)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server, tap):
    connection = database("lab", server, "lab", "app")
    connection["postgres"]["upstream"] |= {"port": tap.port, "connect_timeout": "8s"}
    part = PgGateway(scratch / "gateway", oidc, [connection], RULES, PASSWORD)
    yield part
    part.stop()


@pytest.fixture
def wire(gateway):
    with Wire(gateway.where("lab", CALLER)) as made:
        yield made
    assert gateway.process.alive()


@pytest.mark.parametrize("delay", [0.0, 1.0])
def test_what_was_sent_behind_it(wire, tap, delay):
    """Pipelined: the client has sent all before it can know of the first answer."""
    tap.delay, before = delay, tap.passed
    for statement in ("BEGIN", OVER, "ROLLBACK", "SELECT 5, pg_sleep(1.5)"):
        wire.send("Q", statement.encode() + b"\0")
    got = [wire.until_ready() for _ in range(4)]
    assert errors(got[1])[0]["C"] == "54000" and tags(got[2]) == ["ROLLBACK"], got
    assert errors(got[3]) == [] and tags(got[3]) == ["SELECT 1"], errors(got[3])
    assert tap.passed == before + 1, "no cancel was on its way"


def test_a_commit_behind_it(wire, tap):
    tap.delay = 0.3
    for _ in range(3):
        for statement in ("BEGIN", OVER, "COMMIT", "SELECT 6, pg_sleep(0.6)"):
            wire.send("Q", statement.encode() + b"\0")
        got = [wire.until_ready() for _ in range(4)]
        assert tags(got[2]) == ["ROLLBACK"] and errors(got[3]) == [], got


def test_longer_than_five_seconds(wire, tap):
    tap.delay = 6.0
    begun = time.monotonic()
    assert errors(wire.query(OVER))[0]["C"] == "54000"
    got = wire.query("SELECT 7, pg_sleep(1.5)")
    assert errors(got) == [] and time.monotonic() - begun > 7, errors(got)


def test_longer_than_its_limit(gateway, tap):
    """Whether it is still to come cannot be known: the session ends, rather than that something else is cancelled."""
    tap.delay = 10.0
    wire = Wire(gateway.where("lab", CALLER))
    try:
        said = errors(wire.query(OVER))
        assert said[0]["C"] == "54000", said
        wire.query("SELECT 8, pg_sleep(4)")
        raise AssertionError("it went on")
    except Gone:
        pass
    tap.delay = 0.0
    with Wire(gateway.where("lab", CALLER)) as other:
        assert other.rows("SELECT 9") == [["9"]]
