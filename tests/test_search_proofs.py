"""Searches that prove what they find: each result with its proof, which verifiers that are not ours accept; tables; limits."""

import json
import subprocess
import sys

import pytest

from kit import c2sp
from kit.parts import Gateway, http_connection, run
from kit.paths import TESTS

RULES = [{"id": "testers", "effect": "allow", "who": ["group:testers"], "on": {"connection": "up", "tools": ["*"]}},
         {"id": "sql", "effect": "allow", "who": ["group:testers"],
          "on": {"connection": "up", "tools": ["execute_sql"], "sql": {"statements": ["SELECT", "UPDATE"]}}}]
SQL = ["select id from orders where id = 1", "select id from public.orders", "select 'orders'", "select 1 from reporting.orders",
       'select * from "Orders"', "with o as (select 1) select * from payments, orders", "this is no sql about orders", "select from orders where ((",
       "update payments set note = 'orders' where id = 2"]


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    connection = http_connection("up", upstream.url, sql_arguments=[{"tool": "execute_sql", "path": "$.sql", "dialect": "postgresql"}])
    part = Gateway(scratch / "gateway", oidc, [connection], RULES)
    tester = part.client("up")
    for text in SQL:
        tester.call("execute_sql", {"sql": text})
    for n in range(5):
        part.client("up", "tester2").call("echo", {"n": n})
    part.client("up", "ana").call("echo", {"n": 9})
    part.recorded(event="call.denied")
    yield part
    part.stop()


def search(gateway, *options):
    done = run("audit", "search", "--data-dir", gateway.data_dir, "--json", *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def texts(gateway, table):
    found, _ = search(gateway, "--table", table)
    asked = [e["request"]["json"]["sql"] for e in found if e["event"] in ("call.intent", "call.denied")]
    assert all(e["event"] != "call.outcome" or e["resource"] == "execute_sql" for e in found)
    return asked, len(found)


def test_tables_are_found_by_what_sql_names(gateway):
    in_public = [SQL[0], SQL[1], SQL[5], SQL[7]]  # the last cannot be read: its words say so
    asked, found = texts(gateway, "public.orders")
    assert asked == in_public
    assert found > len(in_public), "their outcomes are not there"
    assert texts(gateway, "orders")[0] == [*in_public[:2], SQL[3], *in_public[2:]]
    assert texts(gateway, "reporting.orders")[0] == [SQL[3], SQL[7]]
    assert texts(gateway, "payments")[0] == [SQL[5], SQL[8]]
    assert texts(gateway, '"Orders"')[0] == [SQL[4], SQL[7]]
    assert texts(gateway, "nothing")[0] == []
    assert run("audit", "search", "--data-dir", gateway.data_dir, "--table", "...").returncode == 2


def test_each_result_is_proven_under_one_checkpoint(gateway, tmp):
    found, said = search(gateway, "--person", "tom@example.com", "--prove", tmp / "found")
    assert len(found) > 10 and "under one checkpoint" in said
    key = (gateway.data_dir / "log" / "vkey").read_text().strip()
    notes = set()
    for entry in found:
        proof = tmp / "found" / f"{entry['index']}.tlog-proof"
        assert entry["proof"]["file"] == str(proof)
        raw = tmp / "found" / f"{entry['index']}.entry"
        note = c2sp.included(proof.read_text(), raw.read_bytes(), key)
        notes.add(note)
        assert c2sp.head(note)[1] == entry["proof"]["size"]
    assert len(notes) == 1
    one = found[-1]["index"]
    files = tmp / "found" / f"{one}.tlog-proof", tmp / "found" / f"{one}.entry"
    verify = TESTS.parent / "docs" / "verify" / "verify.py"
    assert subprocess.run([sys.executable, verify, "proof", *files, key], capture_output=True, check=False).returncode == 0
    assert run("audit", "verify-proof", *files, "--key", key).returncode == 0
    other = tmp / "found" / f"{found[0]['index']}.entry"
    for proof, entry in ((files[0], other), (files[1], files[0])):
        assert run("audit", "verify-proof", proof, entry, "--key", key).returncode == 3
    assert run("audit", "verify-proof", *files).returncode == 2
    assert run("audit", "verify-proof", files[0], tmp / "nothing", "--key", key).returncode == 1
    assert run("audit", "verify-proof", *files, "--key", "gate+1+xx").returncode != 0
    damaged = tmp / "damaged.tlog-proof"
    damaged.write_text(files[0].read_text().replace("index ", "index 1", 1))
    assert run("audit", "verify-proof", damaged, files[1], "--key", key).returncode == 3


def test_what_was_written_just_now_is_proven_too(gateway, tmp):
    gateway.client("up").call("echo", {"n": "the newest"})
    found, _ = search(gateway, "--tool", "echo", "--limit", 2, "--prove", tmp / "now")
    assert len(found) == 2 and all("proof" in e for e in found)


def test_a_limit_is_never_silent(gateway):
    everything, said = search(gateway, "--agent", "", "--event", "call.")
    assert "match" not in said
    found, said = search(gateway, "--event", "call.", "--limit", 3)
    assert len(found) == 3 and f"{len(everything)} entries match, the newest 3 are shown" in said
    assert [e["index"] for e in found] == [e["index"] for e in everything[-3:]]
    found, said = search(gateway, "--table", "orders", "--limit", 1)
    assert len(found) == 1 and "entries match, the newest 1 are shown" in said

