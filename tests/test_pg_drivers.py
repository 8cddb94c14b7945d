"""Drivers through the gate, each with its own ways: the answers are those of the server itself, but for what is masked."""

import functools

import pytest

from kit import pg_drivers
from kit.pg_drivers import Dsn
from kit.pg_gate import PgGateway, certificate, database, rule
from kit.postgres import Postgres

PASSWORD = "drivers-password"
SCHEMA = """
CREATE ROLE app LOGIN PASSWORD 'drivers-password';
CREATE DATABASE drivers OWNER app;
\\c drivers
CREATE TABLE items(id int PRIMARY KEY, label text, qty int, price numeric(10,2), made timestamptz, tags text[], doc jsonb, raw bytea,
  big bigint);
INSERT INTO items SELECT g, 'label ' || g, g % 7, g * 1.25, timestamptz '2026-01-01 00:00:00+00' + g * interval '1 hour',
  ARRAY['a' || g, 'b'], jsonb_build_object('n', g), decode(lpad(to_hex(g), 8, '0'), 'hex'), g::bigint * 1000003 FROM generate_series(1, 5000) g;
CREATE TABLE cards(id int PRIMARY KEY, card_number text NOT NULL, cvv text);
INSERT INTO cards VALUES (1, '4111111111111111', '123'), (2, '5555-5555-5555-4444', '456'), (3, '378282246310005', '7890');
CREATE TABLE written(id int PRIMARY KEY, t text);
ALTER TABLE items OWNER TO app; ALTER TABLE cards OWNER TO app; ALTER TABLE written OWNER TO app;
"""
COLUMNS = [{"connection": "drivers", "column": "public.cards.card_number", "detector": "pan"},
           {"connection": "drivers", "column": "public.cards.cvv", "detector": "sad"}]
RULES = [
    rule("use", "drivers", statements=["SELECT", "INSERT", "UPDATE", "DELETE", "COPY", "COPY FROM", "DECLARE", "FETCH", "CLOSE", "PREPARE",
                                       "EXECUTE", "DEALLOCATE", "SHOW", "SET"],
         relations=["public.*", "pg_catalog.*", "information_schema.*"], functions={"allow": ["pg_sleep"]}),
    {"id": "reset", "effect": "allow", "who": ["group:testers"],
     "on": {"connection": "drivers", "sql": {"statements": ["SET TRANSACTION", "SET jit", "CLOSE ALL", "RESET", "UNLISTEN"]}}},
]
NUMBERS = ("4111111111111111", "5555-5555-5555-4444", "378282246310005", "5555555555554444")
MASKED = ("************1111", "****-****-****-4444", "***********0005")

DRIVERS = {"psql": pg_drivers.psql, "psycopg3": pg_drivers.psycopg3, "asyncpg": pg_drivers.asyncpg,
           "node-postgres": pg_drivers.node_postgres, "pgjdbc": pg_drivers.pgjdbc, "libpq18": pg_drivers.libpq18}
QUESTIONS = {
    "psql": "simple prepared several described gexec fetch_count copy_out copy_in large many tx_error cancel",
    "psycopg3": "simple prepared binary description batch copy_out copy_in cancel cancel_after large tx_error",
    "asyncpg": "simple prepared binary attributes batch copy_out copy_in cancel cancel_after large tx_error",
    "node-postgres": "simple prepared binary batch several cancel cancel_after large tx_error",
    "pgjdbc": "simple prepared binary batch batch_read copy_out copy_in cancel cancel_after large tx_error",
    "libpq18": "simple prepared sql_prepared binary batch rolled_back cancel large tx_error",
}


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True)
    part.sql(SCHEMA)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server):
    tls = certificate(scratch)
    part = PgGateway(scratch / "gate", oidc, [database("drivers", server, "drivers", "app")], RULES, PASSWORD, COLUMNS, tls=tls,
                     port=oidc.first_port())
    yield part
    part.stop()


@pytest.fixture(scope="module")
def answers(gateway, server, scratch, oidc):
    """(through the gate, direct) of one driver; asked once."""
    @functools.cache
    def of(driver: str) -> tuple[dict, dict]:
        through = Dsn(gateway.pg_port, "token", oidc.token("tester"), "drivers", ca=str(gateway.tls[0]), through_gate=True)
        direct = Dsn(server.port, "app", PASSWORD, "drivers")
        more = {"issuer": oidc.issuer} if driver == "libpq18" else {}
        return DRIVERS[driver](through, scratch, **more), DRIVERS[driver](direct, scratch)
    return of


@pytest.mark.parametrize("driver,question", [(d, q) for d, all_of in QUESTIONS.items() for q in all_of.split()])
def test_the_answer_is_the_servers(answers, driver, question):
    through, direct = answers(driver)
    assert through[question] == direct[question]


@pytest.mark.parametrize("driver", DRIVERS)
def test_cards_are_masked(answers, driver):
    through, direct = answers(driver)
    text, raw = repr(through["masked"]), repr(direct["masked"])
    assert all(n in raw for n in ("4111111111111111", "5555-5555-5555-4444", "378282246310005")), "direct shows them"
    assert not any(n in text for n in NUMBERS)
    assert all(m in text for m in MASKED), text
    assert "123" not in text and "7890" not in text, "the codes are gone"
