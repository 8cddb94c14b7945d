"""`login --only table=…` from outside: every way to a table that is not listed, under rules that let everything through."""

import pytest

from kit.person import LOGIN_ENV, Person, with_login
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Refused, Where, Wire, errors, rows_of, tags
from kit.postgres import Postgres

PASSWORD = "grants-tables-password"
SECRET = "other-peoples"
SCHEMA = f"""
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
CREATE DATABASE lab OWNER app;
\\c lab
SET ROLE app;
CREATE TABLE orders AS SELECT n, 'order ' || n AS note FROM generate_series(1, 3) n;
CREATE TABLE payments AS SELECT n, '{SECRET}'::text AS note FROM generate_series(1, 3) n;
CREATE VIEW through AS SELECT * FROM payments;
CREATE VIEW harmless AS SELECT * FROM orders;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM payments;
CREATE SCHEMA other;
CREATE TABLE other.orders AS SELECT * FROM payments;
CREATE SEQUENCE counter;
CREATE FUNCTION reads() RETURNS text LANGUAGE sql STABLE AS 'SELECT note FROM payments LIMIT 1';
CREATE FUNCTION computed(orders) RETURNS text LANGUAGE sql STABLE AS 'SELECT note FROM payments LIMIT 1';
CREATE FUNCTION lower(orders) RETURNS text LANGUAGE sql STABLE AS 'SELECT note FROM payments LIMIT 1';
CREATE FUNCTION beside(orders, int) RETURNS text LANGUAGE sql STABLE AS 'SELECT note FROM payments LIMIT 1';
CREATE OPERATOR @@@ (LEFTARG = orders, RIGHTARG = int, FUNCTION = beside);
CREATE TYPE own AS (n int);
CREATE FUNCTION cast_reads(own) RETURNS text LANGUAGE sql STABLE AS 'SELECT note FROM payments LIMIT 1';
CREATE CAST (own AS text) WITH FUNCTION cast_reads(own);
CREATE PROCEDURE does() LANGUAGE sql AS 'DELETE FROM payments';
"""
RULES = [rule("everything", "lab", statements=["*"], relations=["*.*"], functions={"allow": ["*"]}, require_where=False)]
LISTED = "connection=lab table=public.orders"


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True, max_connections=40)
    part.sql(SCHEMA)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server):
    part = PgGateway(scratch / "gateway", oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD, changes=with_login, env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def tokens(gateway, scratch):
    """The token of a session that is limited to one table, and that of one which is not."""
    found = []
    for n, argv in enumerate([["--only", LISTED], []]):
        person = Person(gateway, scratch / f"tess{n}", "tester")
        person.login(*argv)
        found.append(person.token)
    return found


@pytest.fixture
def limited(gateway, tokens):
    with Wire(Where(gateway.pg_port, "token", tokens[0], "lab")) as w:
        yield w


@pytest.fixture
def full(gateway, tokens):
    with Wire(Where(gateway.pg_port, "token", tokens[1], "lab")) as w:
        yield w


def copied(answer) -> bytes:
    return b"".join(body for kind, body in answer if kind == "d")


def refused(answer, *reasons: str) -> bool:
    """By the gate, for one of these reasons, and nothing came."""
    found = errors(answer)
    return len(found) == 1 and any(r in found[0].get("D", "") for r in reasons or ("grant-exceeded",)) and not rows_of(answer) \
        and not copied(answer)


ELSEWHERE = [
    "SELECT note FROM payments", "TABLE payments", "SELECT note FROM ONLY public.payments", 'SELECT note FROM "payments"',
    "SELECT o.n FROM orders o JOIN payments p USING (n)", "SELECT (SELECT note FROM payments LIMIT 1) FROM orders",
    "SELECT n FROM orders WHERE EXISTS (SELECT FROM payments)", "SELECT n FROM orders UNION SELECT n FROM payments",
    "WITH x AS (SELECT note FROM payments) SELECT note FROM x", "WITH orders AS (SELECT note FROM payments) SELECT note FROM orders",
    "WITH x AS (DELETE FROM payments RETURNING note) SELECT note FROM x", "SELECT n FROM orders; SELECT note FROM payments",
    "SELECT note FROM payments FOR UPDATE", "VALUES ((SELECT note FROM payments LIMIT 1))",
    "INSERT INTO orders SELECT n, note FROM payments", "UPDATE orders SET note = p.note FROM payments p WHERE p.n = orders.n",
    "UPDATE orders SET note = note WHERE n = 1 RETURNING (SELECT note FROM payments LIMIT 1)",
    "DELETE FROM orders USING payments p WHERE p.n = orders.n AND false", "DELETE FROM payments WHERE false",
    "MERGE INTO orders o USING payments p ON p.n = o.n WHEN MATCHED THEN UPDATE SET note = p.note",
    "EXPLAIN SELECT note FROM payments", "EXPLAIN ANALYZE SELECT note FROM payments",
    # views, also such that read nothing but the table that is listed
    "SELECT note FROM through", "SELECT note FROM harmless", "SELECT note FROM kept",
    # the same name in another schema
    "SELECT note FROM other.orders", "SET search_path = other", "SELECT set_config('search_path', 'other', false)",
    "CREATE TEMP TABLE orders AS SELECT * FROM payments", "SELECT note INTO TEMP taken FROM payments",
    # functions that look for themselves
    "SELECT reads()", "SELECT n, reads() FROM orders", "SELECT * FROM reads()", "CALL does()", "DO 'BEGIN DELETE FROM payments; END'",
    "SELECT query_to_xml('SELECT note FROM payments', true, true, '')", "SELECT table_to_xml('payments', true, true, '')",
    "SELECT lower(o) FROM orders o", "SELECT public.lower(o) FROM orders o", "SELECT nextval('counter')", "SELECT pg_sleep(0)",
    "SELECT o OPERATOR(public.@@@) 1 FROM orders o", "SELECT pg_read_file('postgresql.conf')",
    # COPY
    "COPY payments TO STDOUT", "COPY (SELECT note FROM payments) TO STDOUT", "COPY orders TO '/dev/null'", "COPY orders TO PROGRAM 'true'",
    # what the database knows of itself
    "SELECT * FROM pg_stats", "SELECT query FROM pg_stat_activity", "SELECT * FROM information_schema.tables", "SELECT last_value FROM counter",
    # definitions and rights
    "DROP TABLE orders", "TRUNCATE orders", "ALTER TABLE orders ADD COLUMN x int", "CREATE VIEW mine AS SELECT * FROM orders",
    "CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT * FROM payments", "GRANT SELECT ON payments TO public", "SET ROLE app",
    "SELECT (o).computed FROM orders o", "SELECT o.computed FROM orders o", "SELECT public.orders.computed FROM public.orders",
    "SELECT o @@@ 1 FROM orders o", "SELECT row(1)::own::text", "SELECT CAST(row(1)::own AS text)", "LOCK TABLE payments", "VACUUM payments", "NOTIFY x", "LISTEN x", "DISCARD ALL",
    # statements about names
    "PREPARE p AS SELECT note FROM payments", "DECLARE c CURSOR WITH HOLD FOR SELECT note FROM payments",
    "BEGIN; DECLARE c CURSOR FOR SELECT note FROM payments; FETCH ALL FROM c", "FETCH ALL FROM c", "MOVE c", "CREATE TABLE t AS EXECUTE p",
]


@pytest.mark.parametrize("text", ELSEWHERE)
def test_elsewhere_is_refused(limited, text):
    for answer in (limited.query(text), limited.extended(text) if ";" not in text else limited.query(text)):
        assert refused(answer), answer
    assert rows_of(limited.query("SELECT note FROM orders WHERE n = 1")) == [[b"order 1"]], "the session goes on"



@pytest.mark.parametrize("text", ["SELECT count(*) FROM orders", "SELECT upper(note) || 'x' FROM public.orders WHERE n BETWEEN 1 AND 2 ORDER BY n USING <",
                                  "WITH payments AS (SELECT note FROM orders) SELECT note FROM payments", "SELECT (o).note, o.n FROM orders o",
                                  "EXPLAIN SELECT * FROM orders", "COPY orders TO STDOUT", "SELECT 1", "SHOW TimeZone", "SET TimeZone = 'UTC'",
                                  "INSERT INTO orders VALUES (9, 'new')", "DELETE FROM orders WHERE n = 9", "BEGIN", "COMMIT"])
def test_the_table_itself_is_open(limited, text):
    assert not errors(limited.query(text)), text
    if "payments" not in text:
        assert not errors(limited.extended(text)), text


def test_the_limit_refuses_it_and_no_rule(full):
    """What is refused above runs without limits, so it is the limit that is looked at."""
    let_through = 0
    for text in ELSEWHERE:
        with_rules = errors(full.query("BEGIN; " + text + "; ROLLBACK" if text.startswith("BEGIN") is False else text))
        let_through += not any("decision:" in e.get("D", "") for e in with_rules)
        full.query("ROLLBACK")
    assert let_through > len(ELSEWHERE) * 0.8, let_through
    assert rows_of(full.query("SELECT reads()")) == [[SECRET.encode()]]


def test_names_stand_for_what_was_prepared_here(limited, full):
    """EXECUTE and FETCH are judged as what the name stands for in this session; nothing comes from another one."""
    for text in ("PREPARE theirs AS SELECT note FROM payments", "DECLARE cursor_of_theirs CURSOR WITH HOLD FOR SELECT note FROM payments"):
        assert not errors(full.query(text)), text
    full.parse("SELECT note FROM payments", "protocol_of_theirs")
    full.sync()
    assert not errors(full.until_ready())
    assert len(rows_of(full.query("EXECUTE theirs"))) == 3
    for text in ("EXECUTE theirs", "EXECUTE protocol_of_theirs", "FETCH ALL FROM cursor_of_theirs", "EXPLAIN ANALYZE EXECUTE theirs",
                 "CREATE TABLE t AS EXECUTE theirs"):
        answer = limited.query(text)
        assert errors(answer) and not rows_of(answer), text
    limited.bind("", "protocol_of_theirs")
    limited.execute()
    limited.sync()
    answer = limited.until_ready()
    assert errors(answer)[0]["C"] == "26000" and not rows_of(answer), "there is no such statement here"

    # Its own names: SQL and protocol, each through the other.
    assert tags(limited.query("PREPARE mine AS SELECT note FROM orders WHERE n = $1")) == ["PREPARE"]
    assert rows_of(limited.query("EXECUTE mine(2)")) == [[b"order 2"]]
    assert rows_of(limited.extended("EXECUTE mine(2)")) == [[b"order 2"]]
    limited.bind("", "mine", [b"3"])
    limited.execute()
    limited.sync()
    assert rows_of(limited.until_ready()) == [[b"order 3"]]
    for text in ("EXECUTE mine((SELECT n FROM payments LIMIT 1))", "EXECUTE mine(length(reads()))", "EXECUTE mine(nextval('counter')::int)"):
        answer = limited.query(text)
        assert errors(answer) and not rows_of(answer), text
    assert refused(limited.query("PREPARE replaced AS SELECT note FROM payments"))
    assert errors(limited.query("EXECUTE replaced")), "what was refused was not prepared"
    limited.query("DEALLOCATE mine")
    limited.parse("SELECT note FROM payments", "mine")
    limited.sync()
    assert refused(limited.until_ready())
    answer = limited.query("EXECUTE mine(1)")
    assert errors(answer) and not rows_of(answer), "neither the old meaning nor the refused one"


def test_in_one_batch_of_the_protocol(limited):
    """Parse, Bind and Execute sent at once, and cursors of the protocol read in steps."""
    limited.parse("SELECT n, note FROM orders ORDER BY n", "good")
    limited.parse("SELECT note FROM payments", "bad")
    limited.bind("p", "good")
    limited.bind("q", "bad")
    limited.execute("p", 1)
    limited.execute("q")
    limited.sync()
    answer = limited.until_ready()
    assert "grant-exceeded" in errors(answer)[0]["D"] and not rows_of(answer)
    limited.query("BEGIN")
    limited.parse("SELECT n FROM orders ORDER BY n", "steps")
    limited.bind("portal", "steps")
    limited.execute("portal", 1)
    limited.execute("portal", 1)
    limited.sync()
    assert rows_of(limited.until_ready()) == [[b"1"], [b"2"]]
    assert rows_of(limited.query("FETCH 1 FROM portal")) == [[b"3"]]
    assert not errors(limited.query("COMMIT"))


def test_settings_at_the_start_change_nothing(gateway, tokens):
    """Another search path would make `orders` another table."""
    for extra in ({"search_path": "other"}, {"options": "-c search_path=other"}, {"options": "--search_path=other"}, {"role": "postgres"}):
        wire = Wire(Where(gateway.pg_port, "token", tokens[0], "lab"), login=False)
        try:
            wire.start(extra)
        except Refused:
            continue
        assert SECRET.encode() not in b"".join(body for _, body in wire.query("SELECT note FROM orders")), extra
        wire.terminate()


@pytest.mark.parametrize("only,texts", [
    ("connection=lab table=other.orders", ["SELECT note FROM orders", "SELECT note FROM public.orders"]),
    ("connection=lab table=harmless", ["SELECT note FROM orders", "SELECT note FROM through"]),
    ("connection=lab table=orders rows=1", ["SELECT note FROM payments", "COPY payments TO STDOUT"]),
    ("connection=lab tool=x", ["SELECT note FROM orders", "SELECT 1", "BEGIN"]),
    ("connection=lab args.n=1", ["SELECT note FROM orders", "SELECT 1"]),
])
def test_other_limits(gateway, tmp, only, texts):
    person = Person(gateway, tmp / "tess", "tester")
    person.login("--only", only)
    try:
        with Wire(Where(gateway.pg_port, "token", person.token, "lab")) as w:
            for text in texts:
                assert refused(w.query(text)), text
            if "harmless" in only:
                assert len(w.rows("SELECT note FROM harmless")) == 3, "a view that is listed is open, with what it reads"
            if "other" in only:
                assert w.rows("SELECT note FROM other.orders LIMIT 1") == [[SECRET]]
            if "rows" in only:
                for answer in (w.query("COPY orders TO STDOUT"), w.query("SELECT note FROM orders")):
                    assert "rows-exceeded" in errors(answer)[0]["D"], answer
                    assert sum(1 for kind, _ in answer if kind in "dD") <= 1
                w.query("BEGIN; DECLARE c CURSOR FOR SELECT note FROM orders")
                assert len(rows_of(w.query("FETCH 1 FROM c"))) == 1
                assert "rows-exceeded" in errors(w.query("FETCH 1 FROM c"))[0]["D"], "all fetches count together"
    except Refused as closed:
        assert "tool" in only or "args" in only, closed
    finally:
        person.run("logout")
