"""pgbench through the gate: for a role with nothing classified, what the server sends is byte for byte what arrives.

A proxy in front of both ways keeps the bytes. What has to differ is taken out, and nothing else: the way of logging in (the gate asks
for a token, the server for a proof), and BackendKeyData (the backend's process id, and a secret that is the gate's own).
"""

import os
import subprocess

import pytest

from kit.pg_gate import PgGateway, database
from kit.pg_tap import Tap
from kit.postgres import BIN, Postgres
from kit.process import eventually

PASSWORD = "bench-password"
EVERYTHING = [{"id": "all", "effect": "allow", "who": ["group:testers"],
               "on": {"connection": "bench", "sql": {"statements": ["*"], "relations": ["*"], "functions": {"allow": ["*"]},
                                                    "require_where": False}}}]
MODES = ("simple", "extended", "prepared")
# Refuses one in three values so that pgbench tries again, and one in five so that it does not.
MOODY = """
CREATE FUNCTION moody(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE 'asked for %', n;
  IF n % 3 = 0 THEN RAISE EXCEPTION 'not now: %', n USING ERRCODE = '40001', DETAIL = 'n is ' || n, HINT = 'again'; END IF;
  RETURN n * 2;
END $$;
"""
RETRIED = r"""
\set n random(1, 1000)
BEGIN;
SELECT abalance AS found FROM pgbench_accounts WHERE aid = :n \gset was_
UPDATE pgbench_accounts SET abalance = abalance + :n WHERE aid = :n;
SELECT moody(:n), :was_found AS before, NULL AS nothing, repeat('x', :n) AS long;
END;
"""
PIPELINED = r"""
\set n random(1, 1000)
\startpipeline
BEGIN;
INSERT INTO pgbench_history(tid, bid, aid, delta, mtime) VALUES (1, 1, :n, :n, '2026-01-01');
SELECT aid, bid, abalance, filler FROM pgbench_accounts WHERE aid BETWEEN :n AND :n + 5 ORDER BY aid;
SELECT moody(:n);
SELECT 'after', :n;
END;
\endpipeline
"""
COMBINED = r"""
\set n random(1, 1000)
SELECT 1 AS one, :n AS two \; SELECT 'a' AS a, 2 AS b UNION ALL SELECT 'c', 3 \; SELECT 3 AS three \aset
SELECT ARRAY[:n]::int[];
"""
FATAL = r"""
\set n random(1, 1000)
SELECT count(*) FROM pgbench_accounts WHERE aid < :n;
SELECT 1 / (:n - :n);
"""
SCRIPTS = {
    "tpcb": ("-b", "tpcb-like"), "simple-update": ("-N",), "select-only": ("-S",), "select-only-4": ("-S", "-c", "4"),
    "retried": RETRIED, "pipelined": PIPELINED, "combined": COMBINED, "fatal": FATAL,
}
# libpq has no pipelines of simple queries.
RUNS = [(name, mode) for name in SCRIPTS for mode in MODES if (name, mode) != ("pipelined", "simple")]


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True, autovacuum="off")
    part.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE model")
    env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(part.port), "PGUSER": "postgres", "PGDATABASE": "model"}
    subprocess.run([BIN / "pgbench", "-i", "-q", "-s", "1"], env=env, check=True, capture_output=True)
    subprocess.run([BIN / "psql", "-q"], env=env, check=True, text=True, input=MOODY + "".join(
        f"ALTER TABLE {t} OWNER TO app;" for t in ("pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history")))
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server):
    part = PgGateway(scratch, oidc, [database("bench", server, "bench", "app")], EVERYTHING, PASSWORD, port=oidc.first_port())
    yield part
    part.stop()


def bench(server, tmp, script, mode: str, port: int, user: str, password: str, count: int) -> tuple[str, list]:
    """What pgbench says, and each connection's bytes. The database is a fresh copy of the model, under the same name for both ways."""
    server.sql("DROP DATABASE IF EXISTS bench WITH (FORCE)")
    server.sql("CREATE DATABASE bench TEMPLATE model OWNER app")
    how = list(script) if isinstance(script, tuple) else ["-f", tmp / "script.sql"]
    if isinstance(script, str):
        (tmp / "script.sql").write_text(script)
    tap = Tap(port)
    env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(tap.port), "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": "bench",
           "PGSSLMODE": "disable", "PGGSSENCMODE": "disable"}
    done = subprocess.run([BIN / "pgbench", "-M", mode, "--random-seed=20261121", "-t", str(count), "--max-tries=3", *how],
                          env=env, capture_output=True, text=True, timeout=120)
    connections = tap.wait()
    tap.stop()
    said = [line for line in (done.stdout + done.stderr).splitlines()
            if line.startswith(("number of", "transaction type", "pgbench: error"))]
    return "\n".join(said), connections


def compared(messages) -> list:
    """Without authentication, and without what BackendKeyData says."""
    return [(kind, b"" if kind == "K" else body) for kind, body in messages
            if not (kind == "R" and body != b"\0\0\0\0")]


def asked(messages) -> list:
    return [(kind, body) for kind, body in messages if kind != "p"]


@pytest.mark.parametrize("name, mode", RUNS)
def test_the_bytes_are_the_servers(gateway, server, oidc, tmp, name, mode):
    count = 150
    direct_says, direct = bench(server, tmp, SCRIPTS[name], mode, server.port, "app", PASSWORD, count)
    through_says, through = bench(server, tmp, SCRIPTS[name], mode, gateway.pg_port, "token", oidc.token("tester"), count)
    assert through_says == direct_says
    assert len(direct) == len(through) >= 2
    total = 0
    for at, (a, b) in enumerate(zip(through, direct)):
        assert asked(a.messages("client")) == asked(b.messages("client")), f"connection {at}: pgbench asked something else"
        got, expected = compared(a.messages("server")), compared(b.messages("server"))
        for n, (x, y) in enumerate(zip(got, expected)):
            assert x == y, f"connection {at}, message {n}: {x!r} instead of {y!r}"
        assert len(got) == len(expected), f"connection {at}: {len(got)} messages instead of {len(expected)}"
        total += len(got)
    kinds = {kind for one in direct for kind, _ in one.messages("server")}
    ends = name == "fatal" or (name == "combined" and mode != "simple")  # pgbench gives up at its first error of that kind
    assert total > (30 if ends else count) and kinds >= {"C", "Z"}, (total, kinds)
    assert ("E" in kinds) == (ends or name in ("retried", "pipelined")), kinds
    assert eventually(lambda: gateway.sessions() == 0, 5)
