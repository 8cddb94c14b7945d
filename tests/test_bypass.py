"""Who reaches a database without the gateway: seen in the server's own list of sessions, and later in its log of connections."""

import json
import subprocess

import pytest

from kit.parts import run
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Where, Wire
from kit.postgres import BIN, Postgres
from kit.process import eventually

PASSWORD = "bypass-test-pass"
CARD = "40000566" + "55665556"
RULES = [rule("read", "shop", statements=["SELECT", "SHOW"], relations=["public.*", "pg_catalog.*"])]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, "CREATE TABLE t (a int)", log_connections="on", log_timezone="UTC", timezone="UTC")
    part.sql(f"CREATE ROLE watcher LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE tunnel LOGIN PASSWORD '{PASSWORD}'")
    yield part
    part.stop()


def shop(server, **reconcile) -> list[dict]:
    login = {"user": "watcher", "password": {"env": "TEST_PG_PASSWORD"}}
    return [database("shop", server, "lab", "app", reconcile={"every": "1s", "login": login, **reconcile})]


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server):
    server.sql("GRANT pg_monitor TO watcher")
    part = PgGateway(scratch / "gateway", oidc, shop(server), RULES, PASSWORD)
    yield part
    part.stop()


def metric(gateway, name: str) -> float:
    return gateway.metric(name, connection="shop")


def looks(gateway, more: int = 2) -> None:
    """So many looks begin and end from now on."""
    before = metric(gateway, "sallyport_bypass_looks_total")
    assert eventually(lambda: metric(gateway, "sallyport_bypass_looks_total") >= before + more, 20, 0.1), gateway.process.err[-2000:]


def findings(gateway, ok: bool = False) -> list[dict]:
    return [e for e in gateway.audit("bypass.found") if (e.get("ok") is not False) == ok]


def psql(server, user: str, application: str, sql: str) -> subprocess.Popen:
    return subprocess.Popen([BIN / "psql", f"host=127.0.0.1 port={server.port} user={user} dbname=lab", "-c", sql], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env={"PGPASSWORD": PASSWORD, "PGAPPNAME": application, "PATH": "/usr/bin"})


def test_sessions_through_the_gate_are_no_findings(gateway):
    looks(gateway, 1)
    with Wire(gateway.where("shop")) as one, Wire(gateway.where("shop")) as two:
        for _ in range(4):
            assert one.rows("SELECT 1") == [["1"]] and two.rows("SELECT 2") == [["2"]]
            with Wire(gateway.where("shop")) as short:
                short.rows("SELECT 3")
            looks(gateway, 1)
    looks(gateway)
    assert findings(gateway) == [] and metric(gateway, "sallyport_bypass_sessions") == 0


def test_psql_around_the_gate_is_found_once_and_its_end_too(gateway, server):
    before = len(findings(gateway))
    around = psql(server, "tunnel", "card " + CARD, "select pg_sleep(60)")
    assert eventually(lambda: len(findings(gateway)) > before, 10, 0.1), gateway.process.err[-2000:]
    looks(gateway, 2)
    found = findings(gateway)[before:]
    assert len(found) == 1
    entry = found[0]
    facts = entry["facts"]
    assert entry["resource"] == entry["connection"] == "shop"
    assert (facts["user"], facts["address"], facts["kind"]) == ("tunnel", "127.0.0.1", "client backend")
    assert facts["application"].startswith("card *") and CARD not in json.dumps(entry)
    assert metric(gateway, "sallyport_bypass_sessions") == 1 and '"event":"pg.bypass"' in gateway.process.err
    gone = len(findings(gateway, ok=True))
    around.kill()
    around.wait()
    server.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'tunnel'")
    assert eventually(lambda: len(findings(gateway, ok=True)) == gone + 1, 10, 0.1)
    assert findings(gateway, ok=True)[-1]["count"] >= 1


def test_the_gates_own_login_from_elsewhere_is_found(gateway, server):
    """The credential that the gate uses, in other hands."""
    before = len(findings(gateway))
    with Wire(Where(server.port, "app", PASSWORD, "lab")) as stolen:
        stolen.rows("SELECT 1")
        assert eventually(lambda: len(findings(gateway)) == before + 1, 10, 0.1)
    assert findings(gateway)[-1]["facts"]["user"] == "app"


def test_who_may_not_see_says_so_and_never_none(scratch, oidc, server, gateway):
    server.sql("CREATE ROLE blind LOGIN PASSWORD '%s'" % PASSWORD)
    login = {"user": "blind", "password": {"env": "TEST_PG_PASSWORD"}}
    blind = PgGateway(scratch / "blind", oidc, shop(server, login=login, expected=["127.0.0.0/8"]), RULES, PASSWORD, name="blind")
    try:
        failed = blind.recorded(event="control.failed", timeout=10)
        assert failed[0]["resource"] == "reconcile shop" and "GRANT pg_monitor" in failed[0]["detail"]
        assert blind.ops("/readyz")[0] == 200 and metric(blind, "sallyport_bypass_looks_failed_total") >= 1
        doctor = blind.run("doctor", "postgres", "--config", blind.config_path)
        assert doctor.returncode == 1 and "GRANT pg_monitor TO blind;" in doctor.stdout
        server.sql("GRANT pg_monitor TO blind")
        assert blind.recorded(event="control.restored", timeout=10)[0]["resource"] == "reconcile shop"
        # From here on it sees, and what comes from an expected address is no finding.
        with Wire(Where(server.port, "app", PASSWORD, "lab")) as other:
            other.rows("SELECT 1")
            looks(blind, 2)
        assert findings(blind) == []
    finally:
        blind.stop()


def test_the_servers_log_of_connections_against_the_gates_sessions(scratch, oidc, server):
    gateway = PgGateway(scratch / "period", oidc, [database("shop", server, "lab", "app")], RULES, PASSWORD, name="period")
    begun = len((server.directory / "log").read_text().splitlines())
    for _ in range(5):
        with Wire(gateway.where("shop")) as one:
            one.rows("SELECT 1")
    assert gateway.quiet()
    gateway.stop()
    lines = scratch / "connections.log"

    def compared(*more) -> tuple[int, dict]:
        lines.write_text("\n".join((server.directory / "log").read_text(errors="replace").splitlines()[begun:]) + "\n")
        done = run("audit", "bypass", gateway.data_dir, "--connection-log", lines, "--connection", "shop", "--json", *more)
        return done.returncode, json.loads(done.stdout)

    code, found = compared("--config", gateway.config_path)
    assert found["matched"] == 5 and found["own_logins"] >= 1, found
    assert (code, [f for f in found["findings"] if f["user"] not in ("watcher", "blind")]) in ((0, []), (3, [])), found
    with Wire(Where(server.port, "tunnel", PASSWORD, "lab")) as around:
        around.rows("SELECT 1")
    assert eventually(lambda: "user=tunnel" in "\n".join((server.directory / "log").read_text().splitlines()[begun:]), 5)
    code, found = compared("--config", gateway.config_path)
    assert code == 3 and "tunnel" in [f["user"] for f in found["findings"]]
    # Nothing there: an error, not "nobody".
    empty = scratch / "empty.log"
    empty.write_text("2026-11-22 11:50:01 UTC [1] LOG:  checkpoint starting: time\n")
    done = run("audit", "bypass", gateway.data_dir, "--connection-log", empty)
    assert done.returncode == 1 and "log_connections" in done.stderr
    # A session of the gate matches one line, not two.
    doubled = scratch / "doubled.log"
    text = lines.read_text()
    doubled.write_text(text + text)
    done = run("audit", "bypass", gateway.data_dir, "--connection-log", doubled, "--json")
    assert json.loads(done.stdout)["matched"] == 5
