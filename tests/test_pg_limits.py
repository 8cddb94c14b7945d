"""What one session may get and hold: rows of a statement however it is fetched, names, requests inside COPY, bad credentials."""

import collections
import concurrent.futures
import time

import pytest

from kit.pg_gate import CALLER, PgGateway, certificate, database, rule
from kit.pgwire import Gone, Refused, ServerError, Where, Wire, errors, rows_of, tags
from kit.postgres import Postgres
from kit.process import eventually, free_port

PASSWORD = "limits-lab"
MOST = 10
TABLES = """
CREATE TABLE many(id int PRIMARY KEY, note text);
INSERT INTO many SELECT n, 'note ' || n FROM generate_series(1, 500) n;
CREATE TABLE written(id serial PRIMARY KEY, note text);
"""
RULES = [rule("rows", "lab", statements=["SELECT", "INSERT", "UPDATE", "DELETE", "COPY", "COPY FROM", "PREPARE", "EXECUTE", "DEALLOCATE",
                                         "DECLARE", "FETCH", "MOVE", "CLOSE", "SET"], relations=["public.*"],
              functions={"allow": ["pg_sleep", "nextval"]}, max_rows=MOST),
         rule("blocks", "lab", statements=["BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT"])]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, TABLES)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server):
    part = PgGateway(scratch / "limits", oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD, tls=certificate(scratch),
                     port=int(oidc.audience.rsplit(":", 1)[1]))
    yield part
    part.stop()


@pytest.fixture
def wire(gateway):
    with Wire(gateway.where("lab", CALLER)) as made:
        yield made
    assert gateway.process.alive()


@pytest.fixture
def written(server):
    """How many rows the database has kept."""
    own = Wire(Where(server.port, "app", PASSWORD, "lab"))
    own.rows("TRUNCATE written")
    yield lambda: int(own.rows("SELECT count(*) FROM written")[0][0])
    own.terminate()


def too_many(messages) -> ServerError:
    """The one error, that says what it is."""
    wrong = errors(messages)
    assert len(wrong) == 1, wrong
    assert wrong[0]["C"] == "54000" and "rows-exceeded" in wrong[0]["D"] and wrong[0]["H"], wrong[0]
    return wrong[0]


# -- rows ------------------------------------------------------------------------------------------------

def test_a_result_ends_at_the_limit(wire):
    got = wire.query("SELECT * FROM many")
    assert len(rows_of(got)) == MOST
    too_many(got)
    assert len(rows_of(wire.query(f"SELECT * FROM many LIMIT {MOST}"))) == MOST, "as many as are allowed"
    got = wire.extended("SELECT * FROM many")
    assert len(rows_of(got)) == MOST
    too_many(got)


def test_a_portal_fetched_in_pieces(wire):
    wire.query("BEGIN")
    wire.parse("SELECT * FROM many")
    wire.bind("p")
    wire.describe("P", "p")
    got = []
    for _ in range(8):
        wire.execute("p", 3)
        wire.sync()
        got += wire.until_ready()
        if errors(got):
            break
    assert len(rows_of(got)) == MOST
    too_many([m for m in got if m[0] != "E" or ServerError(m[1])["C"] != "34000"])
    assert wire.status == "E", "as any failed statement fails its transaction"


@pytest.mark.parametrize("hold", ["", " WITH HOLD"])
def test_a_cursor_fetched_in_pieces(wire, hold):
    wire.query("BEGIN")
    assert not errors(wire.query(f"DECLARE c CURSOR{hold} FOR SELECT * FROM many"))
    if hold:
        wire.query("COMMIT")
    got = []
    for _ in range(3):
        got += wire.query("FETCH 3 FROM c")
    assert len(rows_of(got)) == 9 and not errors(got)
    last = wire.query("FETCH 3 FROM c")
    assert len(rows_of(last)) == 1
    too_many(last)
    assert wire.status == ("I" if hold else "E")
    again = wire.extended("FETCH 3 FROM c")
    assert not rows_of(again) and errors(again), "nor in the other protocol"
    wire.query("ROLLBACK")
    wire.query("CLOSE ALL")
    wire.query("BEGIN")
    wire.query("DECLARE c CURSOR FOR SELECT * FROM many")
    assert len(rows_of(wire.query("FETCH 3 FROM c"))) == 3, "another cursor of the same name"


def test_a_cursor_executed_by_the_protocol(wire):
    wire.query("BEGIN")
    wire.query("DECLARE c CURSOR FOR SELECT * FROM many")
    got = wire.query("FETCH 6 FROM c")
    wire.describe("P", "c")
    wire.execute("c", 6)
    wire.sync()
    got += wire.until_ready()
    assert len(rows_of(got)) == MOST
    too_many(got)


def test_copy_ends_at_the_limit(wire):
    got = wire.query("COPY many TO STDOUT")
    assert len([1 for kind, _ in got if kind == "d"]) == MOST
    too_many(got)


# -- and what was done before ----------------------------------------------------------------------------

OVER = MOST + 1  # the server is done with so few rows before any cancel


def test_a_write_that_returns_too_much_is_undone(wire, written):
    for _ in range(5):
        got = wire.query(f"INSERT INTO written(note) SELECT note FROM many LIMIT {OVER} RETURNING id")
        assert len(rows_of(got)) == MOST and wire.status == "I"
        too_many(got)
        got = wire.extended(f"INSERT INTO written(note) SELECT note FROM many LIMIT {OVER} RETURNING id")
        assert len(rows_of(got)) == MOST
        too_many(got)
    assert written() == 0
    got = wire.query(f"INSERT INTO written(note) SELECT note FROM many LIMIT {MOST} RETURNING id, note")
    assert [kind for kind, _ in got] == ["T", *"D" * MOST, "C"], "what fits looks as ever"
    assert tags(got) == [f"INSERT 0 {MOST}"] and wire.status == "I"
    assert written() == MOST
    got = wire.query("INSERT INTO written(note) VALUES ('x'), ('y')")
    assert [kind for kind, _ in got] == ["C"]
    assert written() == MOST + 2


def test_a_write_that_fails_shows_the_error(wire, written):
    got = wire.query("INSERT INTO written(id, note) VALUES (1, 'x'), (1, 'y') RETURNING id")
    assert [kind for kind, _ in got if kind != "T"] == ["E"] and errors(got)[0]["C"] == "23505"
    assert written() == 0 and wire.status == "I"
    assert wire.rows("SELECT 1 AS one") == [["1"]]


@pytest.mark.parametrize("extended", [False, True])
def test_an_explicit_transaction_fails(wire, written, extended):
    ask = wire.extended if extended else wire.query
    for _ in range(5):
        ask("BEGIN")
        ask("INSERT INTO written(note) VALUES ('x')")
        too_many(ask(f"SELECT * FROM many LIMIT {OVER}"))
        assert wire.status == "E"
        assert tags(ask("COMMIT")) == ["ROLLBACK"]
        assert wire.status == "I"
    assert written() == 0
    ask("BEGIN")
    ask("INSERT INTO written(note) VALUES ('x')")
    ask("SAVEPOINT s")
    too_many(ask(f"SELECT * FROM many LIMIT {OVER}"))
    ask("ROLLBACK TO s")
    assert tags(ask("COMMIT")) == ["COMMIT"] and written() == 1, "a savepoint before it saves the rest"


def test_nothing_overtakes_the_answer(wire, written):
    """COMMIT is sent before anybody can know that the statement before it has too many rows."""
    for _ in range(5):
        for statement in ("BEGIN", "INSERT INTO written(note) VALUES ('x')", f"SELECT * FROM many LIMIT {OVER}", "COMMIT"):
            wire.send("Q", statement.encode() + b"\0")
        got = [wire.until_ready() for _ in range(4)]
        too_many(got[2])
        assert tags(got[3]) == ["ROLLBACK"]
        for statement in ("BEGIN", "INSERT INTO written(note) VALUES ('x')", f"SELECT * FROM many LIMIT {OVER}", "COMMIT"):
            wire.parse(statement)
            wire.bind()
            wire.describe()
            wire.execute()
        wire.sync()  # one Sync: what stands behind the failure is skipped
        too_many(wire.until_ready())
        assert wire.status == "E"
        wire.query("ROLLBACK")
        for statement in ("BEGIN", "INSERT INTO written(note) VALUES ('x')", f"SELECT * FROM many LIMIT {OVER}", "COMMIT"):
            wire.parse(statement)
            wire.bind()
            wire.execute()
            wire.sync()
        got = [wire.until_ready() for _ in range(4)]
        too_many(got[2])
        assert tags(got[3]) == ["ROLLBACK"] and wire.status == "I"
    assert written() == 0


def test_several_statements_of_one_text(wire, written):
    got = wire.query("INSERT INTO written(note) VALUES ('x'); SELECT * FROM many")
    assert [e["C"] for e in errors(got)] == ["42501"] and "one by one" in errors(got)[0]["M"]
    assert written() == 0
    assert not errors(wire.query("INSERT INTO written(note) VALUES ('x'); INSERT INTO written(note) VALUES ('y')"))
    assert written() == 2
    too_many(wire.query("SELECT 1 AS one; SELECT * FROM many"))


# -- names -----------------------------------------------------------------------------------------------

def test_prepared_statements_have_a_size(wire):
    long = "SELECT id FROM many /* " + "x" * (200 << 10) + " */ WHERE id = "
    kept = 0
    for n in range(200):
        wire.parse(long + str(n), f"s{n}")
        wire.sync()
        wrong = errors(wire.until_ready())
        if wrong:
            break
        kept += 1
    assert 20 < kept < 160, kept
    assert wrong[0]["C"] == "53400" and "limit-exceeded" in wrong[0]["D"] and "DEALLOCATE" in wrong[0]["H"], wrong[0]
    got = wire.query(f"PREPARE q AS {long} 1")
    assert [e["C"] for e in errors(got)] == ["53400"], "of SQL too"
    assert wire.rows("SELECT id FROM many WHERE id = 7") == [["7"]], "the session goes on"
    for n in range(3):
        wire.close_name("S", f"s{n}")
    wire.sync()
    assert not errors(wire.until_ready())
    assert not errors(wire.query(f"PREPARE q AS {long} 1")), "there is room again"
    assert not errors(wire.query("DEALLOCATE ALL"))
    wire.parse(long, "again")
    wire.sync()
    assert not errors([m for m in wire.until_ready() if ServerError(m[1]).get("C") == "53400"])


def test_many_names_in_one_text(wire):
    text = "; ".join(f"PREPARE p{n} AS SELECT {n}" for n in range(900)) + " /* " + "x" * (100 << 10) + " */"
    wrong = errors(wire.query(text))
    assert wrong and wrong[0]["C"] in ("53400", "42501"), "each would keep the whole text"
    assert wire.rows("SELECT 1 AS one") == [["1"]]


# -- COPY ------------------------------------------------------------------------------------------------

def test_requests_inside_copy_are_bounded(gateway, wire):
    wire.on_copy = False
    wire.parse("COPY written(note) FROM STDIN")
    wire.bind()
    wire.execute()
    wire.send("H")
    while wire.read()[0] != "G":
        pass
    begun = time.monotonic()
    with pytest.raises(Gone):
        for _ in range(10_000):
            wire.sync()
        while True:
            assert wire.read(10)[0] in "EZ"
    assert time.monotonic() - begun < 10
    assert errors(wire.seen)[-1]["C"] == "08P01", errors(wire.seen)
    assert eventually(lambda: gateway.sessions() == 0, 10)


def test_a_few_are_not(wire, written):
    wire.on_copy = False
    wire.parse("COPY written(note) FROM STDIN")
    wire.bind()
    wire.execute()
    wire.sync()
    wire.sync()
    while wire.read()[0] != "G":
        pass
    wire.send("d", b"a\nb\n")
    wire.send("c")
    wire.sync()
    assert tags(wire.until_ready()) == ["COPY 2"]
    assert written() == 2


# -- credentials -----------------------------------------------------------------------------------------

def bad_credential(port: int) -> str:
    """The SQLSTATE that a bad token gets."""
    try:
        Wire(Where(port, "token", "bad", "lab", keep=False)).terminate()
    except Refused as refused:
        return refused.error["C"]
    return "let in"


def test_a_storm_of_bad_credentials(scratch, oidc, server):
    """A gateway of its own: afterwards it turns this address away."""
    gateway = PgGateway(scratch / "storm", oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD,
                        port=free_port())
    try:
        Wire(gateway.where("lab", CALLER)).terminate()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            said = collections.Counter(pool.map(bad_credential, [gateway.pg_port] * 2600))
        assert set(said) == {"28P01", "53300"}, said
        assert 2000 <= said["28P01"] < 2500 and said["53300"] > 50, said
        kept = gateway.recorded(event="auth.failure", reason="rate-limited")
        assert len(kept) < 10 and all(e["count"] > 0 for e in kept), "one entry for many"
        assert len(gateway.audit("auth.failure")) - len(kept) == said["28P01"]
        assert eventually(lambda: not closed_out(gateway), 10), "the address is forgiven"
    finally:
        gateway.stop()


def closed_out(gateway) -> bool:
    try:
        Wire(gateway.where("lab", CALLER)).terminate()
    except Refused:
        return True
    return False
