"""Names that stand for something else later: a prepared FETCH or EXECUTE whose cursor or statement has been made anew, cursors that a
function has opened."""

import pytest

from kit.pg_gate import CALLER, PgGateway, certificate, database, rule
from kit.pgwire import Wire, errors, rows_of, tags
from kit.postgres import Postgres

PASSWORD = "names-lab"
SECRET = "Xq-77-Zulu"  # no content mask knows it
TABLES = f"""
CREATE TABLE payments(id text PRIMARY KEY, note text, card_number text);
INSERT INTO payments VALUES ('one', 'plain', '{SECRET}');
CREATE TABLE hidden(id text);
INSERT INTO hidden VALUES ('{SECRET}');
CREATE FUNCTION opens(c refcursor, cards boolean) RETURNS refcursor LANGUAGE plpgsql AS
$$ BEGIN IF cards THEN OPEN c FOR SELECT card_number FROM payments; ELSE OPEN c FOR SELECT note FROM payments; END IF; RETURN c; END $$;
"""
RULES = [rule("read", "lab", statements=["SELECT", "DECLARE", "FETCH", "MOVE", "CLOSE", "PREPARE", "EXECUTE", "DEALLOCATE"],
              relations=["public.payments"], functions={"allow": ["public.opens"]})]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, TABLES)
    yield part
    part.stop()


@pytest.fixture(scope="module", params=["classified", "nothing-classified"])
def lab(request, scratch, oidc, server):
    columns = [{"connection": "lab", "column": "public.payments.card_number", "detector": "pan"}]
    where = scratch / request.param
    part = PgGateway(where, oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD, columns * (request.param == "classified"),
                     tls=certificate(where), port=int(oidc.audience.rsplit(":", 1)[1]))
    part.classified = request.param == "classified"
    yield part
    part.stop()


@pytest.fixture
def wire(lab):
    with Wire(lab.where("lab", CALLER)) as wire:
        yield wire


def run(wire, name: str) -> list:
    """Binds and runs a prepared statement, and looks at what the portal shows."""
    wire.bind("", name)
    wire.describe("P", "")
    wire.execute("")
    wire.sync()
    return wire.until_ready()


@pytest.mark.parametrize("first", ["SELECT note FROM payments", "SELECT 'a'::text", "SELECT upper(note) FROM payments"])
@pytest.mark.parametrize("then", ["SELECT card_number FROM payments", "SELECT card_number AS note FROM payments",
                                  "SELECT upper(card_number) FROM payments", "SELECT id FROM hidden"])
def test_a_prepared_fetch_of_another_cursor(lab, wire, first, then):
    wire.query("BEGIN")
    wire.query(f"DECLARE c CURSOR FOR {first}")
    wire.parse("FETCH ALL FROM c", "s")
    wire.sync()
    assert not errors(wire.until_ready())
    assert len(rows_of(run(wire, "s"))) == 1
    wire.query("CLOSE c")
    said = wire.query(f"DECLARE c CURSOR FOR {then}")
    seen = said + run(wire, "s") + wire.query("FETCH ALL FROM c")
    assert (SECRET.lower() in repr(seen).lower()) == ("hidden" not in then and not lab.classified), seen


@pytest.mark.parametrize("then", ["SELECT card_number FROM payments", "SELECT card_number AS note FROM payments",
                                  "SELECT upper(card_number) FROM payments", "SELECT id FROM hidden"])
def test_a_prepared_execute_of_another_statement(lab, wire, then):
    wire.query("PREPARE p AS SELECT note FROM payments")
    wire.parse("EXECUTE p", "s")
    wire.sync()
    assert not errors(wire.until_ready())
    assert len(rows_of(run(wire, "s"))) == 1
    wire.query("DEALLOCATE p")
    seen = wire.query(f"PREPARE p AS {then}") + run(wire, "s") + wire.query("EXECUTE p")
    assert (SECRET.lower() in repr(seen).lower()) == ("hidden" not in then and not lab.classified), seen


def test_a_cursor_of_a_function(lab, wire):
    wire.query("BEGIN")
    said = wire.query("SELECT opens('c', true)")
    seen = said + wire.query("FETCH ALL FROM c")
    if lab.classified:
        assert SECRET not in repr(seen), seen
    else:
        assert not errors(seen) and rows_of(seen) == [[b"c"], [SECRET.encode()]], seen


def test_a_name_of_a_failed_text(lab, wire):
    """It may be another's: what is not sure is not fetched."""
    wire.query("BEGIN")
    wire.query("DECLARE c CURSOR WITH HOLD FOR SELECT note FROM payments")
    wire.query("COMMIT")
    wire.query("CLOSE c; DECLARE c CURSOR WITH HOLD FOR SELECT id FROM payments; SELECT 1/0")
    [error] = errors(wire.query("FETCH ALL FROM c"))
    assert "sql-" in error["D"], error
    assert tags(wire.query("SELECT note FROM payments")) == ["SELECT 1"]
