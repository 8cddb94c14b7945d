"""Roles for sessions: nothing of them is left, whatever happened; they hold what the rules need, and cost little.

200 sessions here; SALLYPORT_SESSIONS=10000 for the long run.
"""

import os
import pathlib
import signal
import statistics
import threading
import time

import pytest

from kit.pg_gate import PgGateway, certificate, jit_database, rule
from kit.pgwire import Gone, Refused, Where, Wire
from kit.postgres import Postgres
from kit.process import eventually, rss_kib

SESSIONS = int(os.environ.get("SALLYPORT_SESSIONS", "200"))
PASSWORD = "keeper-password"
SETUP = f"""
CREATE ROLE keeper LOGIN CREATEROLE PASSWORD '{PASSWORD}';
CREATE DATABASE shop OWNER keeper;
"""
TABLES = """
CREATE TABLE orders(id serial PRIMARY KEY, note text);
CREATE TABLE payments(id int PRIMARY KEY, card_number text, cvv text);
CREATE TABLE secrets(id int);
INSERT INTO orders(note) SELECT 'order ' || n FROM generate_series(1, 100) n;
INSERT INTO payments VALUES (1, '4539577986432614', '111');
"""
RULES = [rule("read", "shop", statements=["SELECT", "SHOW", "SET"], relations=["public.orders", "public.payments", "pg_catalog.*"]),
         rule("write", "shop", statements=["INSERT", "CREATE TABLE", "DROP"], relations=["public.orders"])]
COLUMNS = [{"connection": "shop", "column": "public.payments.card_number", "detector": "pan"},
           {"connection": "shop", "column": "public.payments.cvv", "detector": "sad"}]
OURS = "rolname LIKE 'sallyport%'"


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True, max_connections=150)
    part.sql(SETUP)
    with Wire(Where(part.port, "keeper", PASSWORD, "shop")) as own:
        own.rows(TABLES)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def make(scratch, oidc, server):
    def make(name="gateway", **how):
        return PgGateway(scratch / name, oidc, [jit_database("shop", server, "shop", "keeper")], RULES, PASSWORD, columns=COLUMNS,
                         tls=certificate(scratch / name), port=int(oidc.audience.rsplit(":", 1)[1]), **how)
    return make


@pytest.fixture
def gateway(make):
    part = make()
    yield part
    part.stop()


def roles(server, where="true") -> list[str]:
    return server.sql(f"SELECT rolname FROM pg_roles WHERE {OURS} AND {where} ORDER BY 1").split()


def descriptors(gateway) -> int:
    return len(list(pathlib.Path(f"/proc/{gateway.process.pid}/fd").iterdir()))


def short_session(gateway) -> None:
    with Wire(gateway.where("shop", keep=False)) as wire:
        assert wire.rows("SELECT count(*) FROM orders")[0][0].isdigit()


def many(gateway, count: int, workers: int = 4) -> list[str]:
    """So many sessions one after the other, by several clients; what went wrong."""
    wrong, left, lock = [], [count], threading.Lock()

    def work():
        while True:
            with lock:
                if left[0] == 0:
                    return
                left[0] -= 1
            try:
                short_session(gateway)
            except (AssertionError, Gone, Refused) as error:
                wrong.append(str(error))
    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def test_a_role_holds_what_the_rules_need(gateway, server):
    with Wire(gateway.where("shop")) as wire:
        assert wire.rows("SELECT current_user")[0][0].startswith("sallyport_tests-example-com-log")
        (role,) = roles(server, "rolcanlogin")
        (group,) = roles(server, "NOT rolcanlogin")
        with Wire(Where(server.port, "postgres", database="shop", keep=False)) as admin:
            def may(what, *on):
                return admin.rows("SELECT has_" + what + "_privilege('" + "', '".join((role, *on)) + "')")[0][0] == "t"
            assert may("table", "orders", "SELECT") and may("table", "orders", "INSERT")
            assert may("sequence", "orders_id_seq", "USAGE")
            assert not may("table", "orders", "DELETE") and not may("table", "orders", "UPDATE")
            assert may("column", "payments", "card_number", "SELECT")
            assert not may("column", "payments", "cvv", "SELECT"), "a verification code may not even be read"
            assert not may("table", "secrets", "SELECT")
        assert wire.rows("INSERT INTO orders(note) VALUES ('mine') RETURNING note") == [["mine"]]
    assert eventually(lambda: not roles(server), 10), roles(server)
    assert group not in roles(server)


@pytest.mark.slow
@pytest.mark.timeout(120 + SESSIONS * 0.2)
def test_many_short_sessions_leave_nothing(gateway, server):
    assert many(gateway, 40) == []
    assert eventually(lambda: gateway.quiet() and not roles(server), 20), roles(server)
    time.sleep(12)  # the administrator's connections are closed when they idle
    before, warm = descriptors(gateway), rss_kib(gateway.process.pid)
    began = time.monotonic()
    assert many(gateway, SESSIONS) == []
    print(f"{SESSIONS} sessions, {1000 * (time.monotonic() - began) / SESSIONS:.1f} ms each")
    assert eventually(lambda: gateway.quiet() and not roles(server), 20), roles(server)
    assert gateway.metric("sallyport_postgres_roles") == 0
    assert server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'sallyport%'").strip() == "0"
    assert server.sql("SELECT count(*) FROM pg_shdepend WHERE refobjid NOT IN (SELECT oid FROM pg_authid) "
                      "AND refclassid = 'pg_authid'::regclass").strip() == "0"
    assert eventually(lambda: descriptors(gateway) <= before, 20), (before, descriptors(gateway))
    grown = rss_kib(gateway.process.pid) - warm
    assert grown < 8 * 1024 + SESSIONS // 10, f"{grown} KiB more than before"


def test_a_session_that_breaks_off_leaves_nothing(gateway, server):
    wires = [Wire(gateway.where("shop")) for _ in range(10)]
    for wire in wires[:5]:
        wire.query("BEGIN")
    for wire in wires[5:]:
        wire.send("Q", b"SELECT pg_sleep(60)\0")
    assert len(roles(server, "rolcanlogin")) == 10
    for wire in wires:
        wire.drop()
    assert eventually(lambda: not roles(server), 15), roles(server)
    assert server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'sallyport%'").strip() == "0"


def test_orphans_are_swept_at_the_next_start(make, server):
    first = make("killed")
    wires = [Wire(first.where("shop")) for _ in range(5)]
    wires[0].rows("SELECT count(*) FROM orders")
    assert len(roles(server, "rolcanlogin")) == 5
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.popen.wait()
    for wire in wires:
        wire.drop()
    left = roles(server)
    assert len(left) == 6, "a killed process cannot clean up"
    server.sql("CREATE ROLE sallyport_another_0000role LOGIN VALID UNTIL '2020-01-01'")
    second = make("killed")
    try:
        with Wire(second.where("shop")) as wire:  # while the sweep is under way
            assert eventually(lambda: not set(roles(server, "rolcanlogin")) & set(left), 15), roles(server)
            assert wire.rows("SELECT 1") == [["1"]], "a live session is not an orphan"
        assert eventually(lambda: roles(server) == ["sallyport_another_0000role"], 15), roles(server)
    finally:
        second.stop()
        server.sql("DROP ROLE sallyport_another_0000role")


def test_a_gateway_that_stops_takes_its_roles_along(make, server):
    part = make("stopped")
    wires = [Wire(part.where("shop")) for _ in range(3)]
    assert len(roles(server)) == 4
    part.stop()
    for wire in wires:
        wire.drop()
    assert roles(server) == []


def test_a_server_that_cannot_make_roles_is_told(make, server):
    server.sql("ALTER ROLE keeper NOCREATEROLE")
    part = make("powerless")
    try:
        with pytest.raises((Refused, Gone)) as refused:
            Wire(part.where("shop"))
        if refused.type is Refused:
            assert PASSWORD not in str(refused.value)
    finally:
        part.stop()
        server.sql("ALTER ROLE keeper CREATEROLE")
    assert roles(server) == []


@pytest.mark.slow
def test_what_a_role_costs(gateway, server):
    """No bound but a generous one: the machine may be busy. bench/pg_login_bench measures it."""
    direct, through = [], []
    for _ in range(30):
        began = time.monotonic()
        Wire(Where(server.port, "postgres", database="shop", keep=False)).terminate()
        direct.append(time.monotonic() - began)
        began = time.monotonic()
        wire = Wire(gateway.where("shop", keep=False))
        through.append(time.monotonic() - began)
        wire.terminate()
    more = 1000 * (statistics.median(through) - statistics.median(direct))
    print(f"login through the gate with a role of its own: {more:.1f} ms above a trusted one")
    assert more < 200
