"""Rows over 256 KiB pass through the gate in pieces, as rows and as COPY in each format: what stands in them is found as in short ones,
everything else comes as it is."""

import pytest

from kit.pg_gate import PgGateway, certificate, database, rule
from kit.pgwire import Where, Wire, errors, rows_of
from kit.postgres import Postgres

PASSWORD = "long-rows-password"
CARD = "4539577986432614"
FILLER = 300_000  # longer than what is held of a row
RULES = [rule("all", "lab", statements=["SELECT", "COPY"], relations=["public.*"], functions={"allow": ["*"]})]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, f"""
CREATE TABLE notes(id int PRIMARY KEY, body text, number int8);
INSERT INTO notes VALUES (1, 'card {CARD} of ' || repeat('abc ', {FILLER // 4}), {CARD}), (2, repeat('abc ', {FILLER // 4}), 17),
 (3, 'short, {CARD}', {CARD})""")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server):
    part = PgGateway(scratch / "gateway", oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD,
                     tls=certificate(scratch / "gateway"))
    yield part
    part.stop()


@pytest.fixture
def wire(gateway):
    with Wire(gateway.where("lab")) as wire:
        yield wire


def copied(wire, how):
    messages = wire.query(f"COPY (SELECT * FROM notes ORDER BY id) TO STDOUT (FORMAT {how})")
    assert not errors(messages), errors(messages)[0]
    return [body for kind, body in messages if kind == "d"]


def test_pieces_of_a_number_beside_a_long_text(wire, server):
    pieces = f"substr('{CARD}', 1, 8) AS a, substr('{CARD}', 9) AS b"
    for columns in (f"{pieces}, repeat('x', {FILLER}) AS c", f"repeat('x', {FILLER}) AS c, {pieces}"):
        messages = wire.query(f"SELECT {columns}, 'end'::text AS d")
        assert not errors(messages), errors(messages)[0]
        row = rows_of(messages)[0]
        assert sorted(map(len, row)) == [3, 8, 8, FILLER]
        assert row.count(b"*" * 8) == 2 and row.count(b"x" * FILLER) == 1
    other = wire.query(f"SELECT '45395779'::text AS a, '86432615'::text AS b, repeat('x', {FILLER}) AS c")
    assert rows_of(other)[0][:2] == [b"45395779", b"86432615"]  # no check digit


@pytest.mark.parametrize("how", ["text", "csv", "binary"])
def test_a_copy_of_long_rows(wire, server, how):
    with Wire(Where(server.port, "app", PASSWORD, "lab")) as own:
        raw = copied(own, how)
    seen = copied(wire, how)
    whole, through = b"".join(raw), b"".join(seen)
    assert CARD.encode() in whole and CARD.encode() not in through
    assert int(CARD).to_bytes(8, "big") not in through
    assert b"************2614 of abc" in through
    assert len(raw[0]) > FILLER and [len(part) for part in raw[:2]] == [len(part) for part in seen[:2]]
    assert raw[1] == seen[1]  # nothing in it
    assert through.count(b"abc ") == whole.count(b"abc ")
