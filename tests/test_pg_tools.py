"""PostgreSQL for people: `sallyport dev` with its database, db env and connect, doctor, policy explain; metrics, reload, drain."""

import json
import os
import re
import signal
import subprocess

import pytest

from kit import capture, pgwire
from kit.parts import get, run
from kit.paths import sallyport
from kit.pg_drivers import PSQL
from kit.pg_gate import PgGateway, certificate, database, jit_database, rule
from kit.pgwire import Refused, Where, Wire
from kit.postgres import Postgres
from kit.process import Process, eventually, free_port, running

PASSWORD = "tools-password"
SCHEMA = """
CREATE ROLE maker LOGIN CREATEROLE PASSWORD 'tools-password'; GRANT pg_signal_backend TO maker;
CREATE ROLE plain LOGIN PASSWORD 'tools-password';
CREATE DATABASE shop OWNER maker;
\\c shop
SET ROLE maker;
CREATE TABLE payments(id int PRIMARY KEY, card_number text, cvv text, amount numeric);
INSERT INTO payments SELECT g, '4111111111111111', '123', g FROM generate_series(1, 50) g;
CREATE TABLE customers(id int PRIMARY KEY, name text);
INSERT INTO customers VALUES (1, 'Ann'), (2, 'Bob');
GRANT SELECT ON customers TO plain;
"""
COLUMNS = [{"connection": c, "column": "public.payments.card_number", "detector": "pan"} for c in ("shop", "roles")] + \
          [{"connection": c, "column": "public.*.cvv", "detector": "sad"} for c in ("shop", "roles")]
RULES = [rule(f"read-{c}", c, statements=["SELECT", "SHOW"], relations=["public.*"]) for c in ("shop", "roles")]


@pytest.fixture(scope="module")
def dev(scratch):
    base = 20000 + (free_port() % 1270) * 10
    process = Process("dev", [sallyport(), "dev", "--json", "--port-base", base, "--state", scratch / "state"], scratch)
    ready = process.wait_json(60)
    assert ready["postgres"], process.err
    yield process, ready
    process.stop(20)


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True)
    part.sql(SCHEMA)
    yield part
    part.stop()


@pytest.fixture
def gateway(tmp, oidc, server, start_pg):
    return start_pg(tmp / "gate", oidc, [database("shop", server, "shop", "maker"), jit_database("roles", server, "shop", "maker")], RULES,
                    PASSWORD, COLUMNS, tls=certificate(tmp), port=int(oidc.audience.rsplit(":", 1)[1]))


@pytest.fixture
def start_pg():
    started = []

    def start(*args, **how):
        started.append(PgGateway(*args, **how))
        return started[-1]
    yield start
    for gateway in started:
        gateway.stop()


def psql(ready: dict, who: str, *statements) -> str:
    at = ready["postgres"]
    env = {**os.environ, "PGHOST": at["host"], "PGPORT": str(at["port"]), "PGDATABASE": at["database"], "PGUSER": "token",
           "PGPASSWORD": ready["tokens"][who]}
    done = subprocess.run([PSQL, "-X", "-A", "-t", *[w for s in statements for w in ("-c", s)]], env=env, capture_output=True, text=True,
                          timeout=60)
    capture.received(done.stdout + done.stderr)
    return done.stdout + done.stderr


def test_dev_shows_masked_cards_and_denies(dev):
    process, ready = dev
    rows = psql(ready, "ana", "SELECT card_number, cvv FROM payments WHERE id <= 8")
    assert len(rows.split()) == 8 and all(re.fullmatch(r"\*{10,12}\d{4}\|", row) for row in rows.split()), rows
    assert psql(ready, "ana", "SELECT count(*) FROM payments").strip() == "3000"
    for statement in ("DROP TABLE payments", "DELETE FROM payments", "UPDATE payments SET amount = 0", "SELECT 1; DROP TABLE payments"):
        said = psql(ready, "ana", statement)
        assert "ERROR:  " in said and "DETAIL:  " in said and "HINT:  " in said, said
    assert psql(ready, "ana", "SELECT count(*) FROM payments").strip() == "3000", "nothing of it took effect"
    assert "ERROR" in psql(ready, "contractor", "SELECT count(*) FROM payments") or "FATAL" in psql(ready, "contractor", "SELECT 1")


def test_dev_session_replays(dev):
    process, ready = dev
    psql(ready, "ana", "SELECT card_number FROM payments WHERE id = 4", "DROP TABLE payments")
    data = ready["data_dir"]

    def found():
        done = run("audit", "search", "--data-dir", data, "--connection", "orders-db", "--json")
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        return [e for e in entries if e.get("session", {}).get("id")]
    session = eventually(found, 10)[-1]["session"]["id"]
    replay = run("replay", session, "--data-dir", data).stdout
    assert "SELECT card_number FROM payments" in replay and "DROP TABLE payments" in replay, replay
    assert re.search(r"\*{12}\d{4}", replay), "the masked rows are in the replay"
    assert run("audit", "verify", data).returncode == 0


def test_dev_says_what_it_shows(tmp):
    base = 20000 + (free_port() % 1270) * 10
    process = Process("screen", [sallyport(), "dev", "--port-base", base, "--state", tmp / "state"], tmp)
    process.wait_line("Running until Ctrl-C", 90)
    screen = process.out
    assert "psql as ana" in screen and f"port={base + 4} dbname=orders-db" in screen
    assert screen.count("ERROR:") == 2 and re.search(r"\*{10,12}\d{4}", screen) and screen.count("Replay of session") == 2
    assert process.stop(20) == 0
    assert not get(f"http://127.0.0.1:{base + 5}/", 1)[0], "the database has gone too"


def test_dev_ends_its_database(tmp):
    base = 20000 + (free_port() % 1270) * 10
    process = Process("dev", [sallyport(), "dev", "--json", "--port-base", base, "--state", tmp / "state"], tmp)
    process.wait_json(60)
    pid = int((tmp / "state/postgres/data/postmaster.pid").read_text().split()[0])
    assert running(pid)
    process.kill_hard()
    assert eventually(lambda: not running(pid), 10), "kill -9 of sallyport ends PostgreSQL"


def test_db_env_and_connect(gateway):
    env = {**gateway.env, "SALLYPORT_TOKEN": gateway.oidc.token("tester")}
    said = gateway.run("db", "env", "shop", "--config", gateway.config_path, "--ca", gateway.tls[0], env=env).stdout
    assert f"export PGPORT={gateway.pg_port}\n" in said and "export PGSSLMODE=verify-full\n" in said and "export PGUSER=token\n" in said
    assert env["SALLYPORT_TOKEN"] not in said
    shell = f"eval \"$({sallyport()} db env shop --config {gateway.config_path} --ca {gateway.tls[0]})\" && {PSQL} -XAtc 'SELECT name FROM customers WHERE id = 1'"
    done = subprocess.run(["bash", "-c", shell], env=env, capture_output=True, text=True, timeout=30)
    assert done.stdout == "Ann\n", done.stderr
    argv = ["db", "connect", "shop", "--config", gateway.config_path, "--ca", gateway.tls[0], "--client", PSQL, "--", "-XAtc",
            "SELECT card_number FROM payments WHERE id = 1"]
    assert gateway.run(*argv, env=env).stdout == "************1111\n"
    no_token = gateway.run(*argv)
    assert no_token.returncode == 2 and "SALLYPORT_TOKEN" in no_token.stderr
    assert gateway.run("db", "env", "nowhere", "--config", gateway.config_path, env=env).returncode == 2


def test_doctor_finds_nothing_wrong(gateway):
    done = gateway.run("doctor", "postgres", "--config", gateway.config_path, "--json")
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert {f["connection"] for f in findings} == {"shop", "roles"}
    assert {"login", "version", "privileges", "catalog", "columns"} <= {f["check"] for f in findings}
    assert not [f for f in findings if f["level"] == "failure"]


@pytest.mark.parametrize("fault,code,check", [("port", 4, "reach"), ("password", 1, "login"), ("column", 1, "columns"),
                                              ("createrole", 1, "privileges"), ("tls", 1, "login")])
def test_doctor_says_the_fix(tmp, server, fault, code, check):
    connection = jit_database("roles", server, "shop", "plain" if fault == "createrole" else "maker")
    columns = [{"connection": "roles", "column": "public.payments.kard_number" if fault == "column" else "public.payments.card_number",
                "detector": "pan"}]
    if fault == "port":
        connection["postgres"]["upstream"]["port"] = free_port()
    if fault == "tls":
        connection["postgres"]["upstream"]["sslmode"] = "verify-full"
    gateway = PgGateway(tmp, None, [connection], [], "wrong" if fault == "password" else PASSWORD, columns, start=False)
    done = gateway.run("doctor", "postgres", "--config", gateway.config_path, "--json")
    wrong = [f for line in done.stdout.splitlines() if (f := json.loads(line))["level"] == "failure"]
    assert done.returncode == code and len(wrong) == 1 and wrong[0]["check"] == check and wrong[0]["fix"], done.stdout + done.stderr


def test_sessions_are_counted_and_drained(gateway):
    wire = Wire(gateway.where("shop"))
    assert wire.rows("SELECT name FROM customers ORDER BY id") == [["Ann"], ["Bob"]]
    assert gateway.sessions() == 1
    gateway.process.signal(signal.SIGTERM)
    wire.drain(10)
    said = pgwire.errors(wire.seen)
    assert said and said[-1]["C"] == "57P01", "an idle session is told"
    assert gateway.process.wait(20) == 0


def test_roles_are_gone_after_a_stop(gateway, server):
    wires = [Wire(gateway.where("roles")) for _ in range(5)]
    assert all(w.rows("SELECT count(*) FROM payments") == [["50"]] for w in wires)
    roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'sallyport\\_%'"
    assert int(server.sql(roles)) >= 5
    gateway.stop()
    assert int(server.sql(roles)) == 0


def test_a_reload_of_other_columns_is_refused(gateway):
    columns = gateway.config["masking"]["columns"]
    gateway.config["masking"]["columns"] = columns[1:]
    gateway.write_config()
    gateway.reload()
    assert gateway.recorded(event="config.refused", timeout=8), "columns that are hidden no more, or only after a restart"
    gateway.config["masking"]["columns"] = columns
    gateway.write_config()


def test_a_reload_changes_rules_for_open_sessions(gateway):
    with Wire(gateway.where("shop")) as wire:
        assert wire.rows("SELECT count(*) FROM customers") == [["2"]]
        gateway.config["policies"] = [rule("none", "shop", statements=["SHOW"])]
        gateway.write_config()
        gateway.reload()
        assert eventually(lambda: pgwire.errors(wire.query("SELECT count(*) FROM customers")), 10), "the old rule is still used"
        assert wire.status == "I"


def test_a_wrong_token_and_an_unknown_database(gateway):
    with pytest.raises(Refused) as refused:
        Wire(gateway.where("shop").but(password="nonsense"))
    assert refused.value.error["C"] in ("28P01", "28000") and "D" in refused.value.error
    with pytest.raises(Refused) as refused:
        Wire(gateway.where("nowhere"))
    assert refused.value.error["C"] in ("3D000", "42501", "28000")
