"""Columns of a database that hold card numbers and that nobody classified: found by content, told, classified if so configured."""

import json

import pytest

from kit.pg_gate import CALLER, PgGateway, certificate, database, jit_database, rule
from kit.pgwire import Where, Wire, errors, rows_of
from kit.postgres import Postgres

PASSWORD = "columns-lab"
NUMBER = "4111111111111111"
TABLES = f"""
CREATE TABLE notes(id int PRIMARY KEY, body text, other text);
INSERT INTO notes SELECT n, '{NUMBER}', 'nothing' FROM generate_series(1, 20) n;
CREATE VIEW seen AS SELECT id, body AS shown FROM notes;
CREATE TABLE payments(id int PRIMARY KEY, card_number text);
INSERT INTO payments SELECT n, '{NUMBER}' FROM generate_series(1, 20) n;
"""
COLUMNS = [{"connection": "lab", "column": "public.payments.card_number", "detector": "pan"}]
RULES = [rule("read", "lab", who=("group:testers", "group:gate-admins"), statements=["SELECT", "SHOW", "PREPARE", "EXECUTE"],
              relations=["public.*"])]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, TABLES)
    yield part
    part.stop()


@pytest.fixture
def start(tmp, oidc, server):
    started = []

    def begin(pan_map: dict):
        def changes(config):
            config["masking"]["pan_map"] = pan_map
        started.append(PgGateway(tmp / "gate", oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD, COLUMNS,
                                 tls=certificate(tmp), changes=changes, port=int(oidc.audience.rsplit(":", 1)[1])))
        return started[-1]
    yield begin
    for gateway in started:
        gateway.stop()


def pan_map(gateway, who="admin") -> dict[str, list[str]]:
    with Wire(gateway.where("sallyport", who)) as admin:
        return {row[1]: row for row in admin.rows("SHOW pan_map")}


REVERSED = "SELECT reverse(body) FROM notes WHERE id = 1"


def test_found_columns_are_told_once(start):
    gateway = start({"report_at": 5})
    with Wire(gateway.where("lab", CALLER)) as wire:
        assert wire.rows("SELECT body FROM notes WHERE id < 5") == [["************1111"]] * 4
        assert pan_map(gateway)["public.notes.body"][2:] [0] == "4"
        assert not gateway.audit("column.found")
        wire.rows("SELECT other, body FROM notes WHERE id < 3; SELECT id, body FROM notes WHERE id = 9")
        wire.extended("SELECT body FROM notes WHERE id < 4", results=[1])
        wire.rows("SELECT card_number FROM payments")
        assert wire.rows(REVERSED) == [[NUMBER[::-1]]], "it is told, not classified"
    [entry] = gateway.recorded(event="column.found")
    assert entry["resource"] == "public.notes.body" and entry["connection"] == "lab" and entry["count"] == 6
    shown = pan_map(gateway)
    assert list(shown) == ["public.notes.body"], "what is classified already is not found"
    assert shown["public.notes.body"][0] == "lab" and shown["public.notes.body"][2] == "10"
    assert shown["public.notes.body"][5:] == ["t", "f"]
    assert pan_map(gateway, CALLER) == {}, "it is not for everybody"
    lines = [json.loads(line) for line in gateway.process.err.splitlines() if "pg.column_found" in line]
    assert [(one["column"], one["values"], one["classified"]) for one in lines] == [("public.notes.body", 6, False)]


def test_found_columns_are_classified_at_once(start):
    gateway = start({"report_at": 3, "classify": True})
    with Wire(gateway.where("lab", CALLER)) as other, Wire(gateway.where("lab", CALLER)) as wire:
        assert wire.rows(REVERSED) == [[NUMBER[::-1]]], "nobody knows yet"
        wire.parse(REVERSED, "early")
        wire.sync()
        wire.until_ready()
        assert len(wire.rows("SELECT body FROM notes WHERE id < 5")) == 4
        for each in (wire, other):
            assert each.rows(REVERSED) == [["1111************"]], "the database itself masks it now"
            assert each.rows("SELECT count(*) FROM notes WHERE body LIKE '4111%'") == [["0"]]
            assert each.rows("SELECT reverse(shown) FROM seen WHERE id = 1") == [["1111************"]], "so does the view"
        wire.bind(name="early")
        wire.execute()
        wire.sync()
        assert rows_of(wire.until_ready()) == [], "what was prepared before is judged again"
    assert pan_map(gateway)["public.notes.body"][5:] == ["t", "t"]
    gateway.stop()
    gateway.start()
    with Wire(gateway.where("lab", CALLER)) as wire:
        assert wire.rows(REVERSED) == [["1111************"]], "also after a restart"
    assert len(gateway.audit("column.found")) == 1, "told once"
    assert pan_map(gateway)["public.notes.body"][5:] == ["t", "t"]


def test_another_column_of_these_numbers_is_another(start, server):
    gateway = start({"report_at": 3, "classify": True})
    with Wire(gateway.where("lab", CALLER)) as wire:
        wire.rows("SELECT body FROM notes")
        assert wire.rows(REVERSED) == [["1111************"]]
    gateway.stop()
    with Wire(Where(server.port, "app", PASSWORD, "lab")) as own:
        own.rows("ALTER TABLE notes RENAME COLUMN body TO text")
    try:
        gateway.start()
        with Wire(gateway.where("lab", CALLER)) as wire:
            assert wire.rows("SELECT text || '' FROM notes WHERE id = 1") == [["************1111"]], "the content is looked at"
            assert wire.rows("SELECT reverse(text) FROM notes WHERE id = 1") == [[NUMBER[::-1]]]
            assert len(wire.rows("SELECT text FROM notes WHERE id < 5")) == 4
    finally:
        with Wire(Where(server.port, "app", PASSWORD, "lab")) as own:
            own.rows("ALTER TABLE notes RENAME COLUMN text TO body")


def test_a_relation_that_is_not_there(start, server):
    with Wire(Where(server.port, "app", PASSWORD, "lab")) as direct:
        direct.rows("CREATE SCHEMA IF NOT EXISTS vault; CREATE TABLE IF NOT EXISTS vault.kept(id int)")
    gateway = start({})
    with Wire(gateway.where("lab", CALLER)) as wire, Wire(Where(server.port, "app", PASSWORD, "lab")) as direct:
        for statement in ("SELECT * FROM nowhere", "SELECT 1 FROM notes JOIN public.\"No where\" USING (id)"):
            want = errors(direct.query(statement))[0]
            for got in (wire.query(statement), wire.extended(statement)):
                [said] = errors(got)
                assert (said["C"], said["M"]) == (want["C"], want["M"]) == ("42P01", want["M"])
                assert "decision: d_" in said["D"]
        there, not_there = (errors(wire.query(f"SELECT * FROM vault.{name}"))[0] for name in ("kept", "gone"))
        assert there["C"] == not_there["C"] == "42501", "where no rule lets the caller, the answer tells nothing"
        assert there["M"].replace("kept", "gone") == not_there["M"]


# -- columns that nobody may read, and a role that has no right to ---------------------------------------

KEEPER = """
CREATE TABLE kept(id int PRIMARY KEY, card_number text, cvv text, amount int DEFAULT 7);
INSERT INTO kept SELECT n, '4111111111111111', '123', n FROM generate_series(1, 9) n;
"""
HIDDEN = [{"connection": "own", "column": "public.kept.card_number", "detector": "pan"},
          {"connection": "own", "column": "public.kept.cvv", "detector": "sad"}]
CHANGES = [rule("change", "own", statements=["SELECT", "INSERT", "UPDATE", "DELETE", "COPY", "BEGIN", "ROLLBACK"], relations=["public.*"])]


@pytest.fixture(scope="module")
def own(scratch, oidc, server):
    server.sql(f"CREATE ROLE keeper LOGIN CREATEROLE PASSWORD '{PASSWORD}'; CREATE DATABASE own OWNER keeper")
    with Wire(Where(server.port, "keeper", PASSWORD, "own")) as admin:
        admin.rows(KEEPER)
    part = PgGateway(scratch / "own", oidc, [jit_database("own", server, "own", "keeper")], CHANGES, PASSWORD, HIDDEN,
                     tls=certificate(scratch / "own"), port=int(oidc.audience.rsplit(":", 1)[1]))
    yield part
    part.stop()


STAR = ["1", "************1111", None, "1"]


@pytest.mark.parametrize("statement, want", [
    ("SELECT * FROM kept WHERE id = 1", [STAR]),
    ("TABLE kept", None),
    ("SELECT k.*, 1 FROM kept k WHERE id = 1", [[*STAR, "1"]]),
    ("SELECT cvv FROM kept WHERE id = 1", [[None]]),
    ("SELECT count(cvv), count(*) FROM kept", [["0", "9"]]),
    ("SELECT k FROM kept k WHERE id = 1", [["(1,************1111,,1)"]]),
    ("UPDATE kept SET amount = 1 WHERE id = 1 RETURNING *", [STAR]),
    ("UPDATE kept k SET amount = 1 WHERE k.id = 1 RETURNING k.*, cvv", [[*STAR, None]]),
    ("UPDATE kept SET amount = 1 WHERE id = 1 RETURNING cvv, id", [[None, "1"]]),
    ("DELETE FROM kept WHERE id = 1 RETURNING *", [STAR]),
    ("DELETE FROM kept USING (VALUES (1)) v(n) WHERE id = n RETURNING kept.*", [STAR]),
    ("INSERT INTO kept VALUES (11, '5425236224375523', '321') RETURNING *", [["11", "************5523", None, "7"]]),
    ("INSERT INTO kept(id) VALUES (12) ON CONFLICT (id) DO UPDATE SET amount = 2 RETURNING *", [["12", None, None, "7"]]),
    ("WITH gone AS (DELETE FROM kept WHERE id = 1 RETURNING *) SELECT * FROM gone", [STAR]),
])
@pytest.mark.parametrize("extended", [False, True])
def test_columns_nobody_may_read(own, statement, want, extended):
    with Wire(own.where("own", CALLER)) as wire:
        wire.rows("BEGIN")
        got = wire.extended(statement) if extended else wire.query(statement)
        assert not errors(got), errors(got)
        rows = [[None if c is None else c.decode() for c in row] for row in rows_of(got)]
        if want is not None:
            assert rows == want
        assert rows and "123" not in {c for row in rows for c in row}
        wire.rows("ROLLBACK")
