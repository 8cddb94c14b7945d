"""Rows of the table in docs/identity-threats.md that no other file shows: what an approval is good for (26, 27), what one caller leaves behind
in a database for the next (30), ways into the database without TLS (37). And that the table names tests that there are."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

from kit.approver import Approver
from kit.parts import http_connection
from kit.paths import ROOT
from kit.pg_gate import PgGateway, certificate, database, rule
from kit.pgwire import GSS_REQUEST, Gone, Refused, Where, Wire, errors
from kit.postgres import Postgres
from kit.process import eventually
from kit.refunds import refund

PASSWORD = "rows-password"
STATEMENTS = ["SELECT", "SET", "SHOW", "PREPARE", "EXECUTE", "CREATE", "CREATE TABLE", "LISTEN", "NOTIFY", "RESET", "DECLARE"]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, "CREATE TABLE t(id int);\nINSERT INTO t VALUES (1);\n")
    part.sql("CREATE ROLE owner_of_all SUPERUSER; GRANT owner_of_all TO app")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    def changes(config):
        config["server"]["limits"] = {"approval_hold": "200ms"}
    orders = [{"id": f"refunds-{name}", "effect": "approve", "approval": "leads-one", "who": ["group:testers"],
               "on": {"connection": name, "tools": ["refund_order"]}} for name in ("orders", "archive")]
    part = PgGateway(scratch / "gateway", oidc, [database("lab", server, "lab", "app"), http_connection("orders", upstream.url),
                                                 http_connection("archive", upstream.url)],
                     [*orders, rule("sql", "lab", statements=STATEMENTS, relations=["public.*", "pg_catalog.*"],
                                    functions={"allow": ["pg_advisory_lock", "pg_try_advisory_lock", "pg_backend_pid", "current_setting"]})],
                     PASSWORD, tls=certificate(scratch), changes=changes, port=int(oidc.audience.rsplit(":", 1)[1]))
    yield part
    part.stop()


# -- the table itself ----------------------------------------------------------------------------------------------------------------
def test_the_table_names_tests_that_there_are():
    page = (ROOT / "docs" / "identity-threats.md").read_text()
    rows = dict(re.findall(r"^\| (\d+) \| .*? \| .*? \|(.*)\|$", page, re.M))
    assert sorted(map(int, rows)) == list(range(1, 39)), "every row of the list of threats"
    for number, shown in rows.items():
        files = re.findall(r"`((?:test_\w+\.py)|(?:\w+/\w+_test\.cc))", shown)
        assert files or number == "38", number  # several gates: what is not there
        for file in files:
            assert (ROOT / ("tests" if file.endswith(".py") else "src") / file).exists(), (number, file)
    for file, names in re.findall(r"`(test_\w+\.py)::(test_\w+)", page):
        text = (ROOT / "tests" / file).read_text()
        assert re.search(rf"^def {names}", text, re.M), (file, names)


# -- 26: what was approved is what runs ------------------------------------------------------------------------------------------------
def ask_at(gateway, connection: str, order: str, token: str | None = None) -> dict:
    """The answer to a call of a client that declares nothing."""
    client = gateway.client(connection, version="2025-11-25", token=token).start()
    answer = client.call("refund_order", refund(order)).answer
    client.close()
    return answer


def reached(upstream, order: str) -> int:
    return sum(c["args"].get("order_id") == order for c in upstream.calls("refund_order"))


def test_another_target(gateway, lead, upstream, order):
    """The same person, tool and arguments at another connection, which here is even the same server."""
    ask_at(gateway, "orders", order)
    request = lead.waiting(order)
    assert lead.decide(request, True)[0] == 200
    ask_at(gateway, "archive", order)
    assert reached(upstream, order) == 0 and lead.state(request["id"]) == "approved"
    other = lead.waiting(order)
    assert other["id"] != request["id"] and other["connection"] == "archive"
    assert gateway.recorded(event="call.denied", connection="archive", approval_id=other["id"])
    ask_at(gateway, "orders", order)
    assert reached(upstream, order) == 1
    assert gateway.recorded(event="approval.redeemed", approval_id=request["id"])


def test_another_role(gateway, oidc, lead, upstream, order):
    """Approved, and then the caller is no member any more of the group that might ask."""
    ask_at(gateway, "orders", order, oidc.token_of("pat", groups=["testers"]))
    request = lead.waiting(order)
    assert lead.decide(request, True)[0] == 200
    answer = ask_at(gateway, "orders", order, oidc.token_of("pat", groups=["guests"]))
    assert answer["error"]["code"] == -32602 and reached(upstream, order) == 0, "the tool is not there for them"
    assert not gateway.audit(event="approval.redeemed", approval_id=request["id"])
    assert [e for e in gateway.recorded(event="call.denied", reason="policy-default-deny") if e["who"]["subject"] == "pat"]


# -- 27: decisions come from the page alone ------------------------------------------------------------------------------------------------
def test_a_button_of_a_chat(gateway, lead, upstream, order):
    """What Slack would send for a button that somebody has made: there is nothing that reads it."""
    ask_at(gateway, "orders", order)
    request = lead.waiting(order)
    payload = json.dumps({"type": "block_actions", "user": {"id": "U1", "username": "lea"}, "token": "x",
                          "actions": [{"action_id": "approve", "value": request["id"]}], "response_url": "https://hooks.slack.example/x"})
    body = urllib.parse.urlencode({"payload": payload}).encode()
    for path in ("/slack/actions", "/slack", "/hook", "/approvals", f"/approvals/{request['id']}", f"/api/v1/approvals/{request['id']}/decision"):
        for signed in ({}, {"x-slack-signature": "v0=" + "0" * 64, "x-slack-request-timestamp": "1700000000"}):
            sent = urllib.request.Request(gateway.public_url + path, body, {"content-type": "application/x-www-form-urlencoded", **signed})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(sent, timeout=10)
            assert refused.value.code in (400, 401, 403, 404, 405), path
    assert lead.state(request["id"]) == "pending" and reached(upstream, order) == 0
    assert not [e for e in gateway.audit(event="approval.decided", approval_id=request["id"])]
    assert lead.decide(request, False)[0] == 200


# -- 30: nothing is left behind ---------------------------------------------------------------------------------------------------------------
def test_the_next_caller_finds_nothing(gateway, oidc, server):
    """Settings, prepared statements, locks and channels of one caller; the database login is the same for both."""
    one = Wire(gateway.where("lab", "tester"))
    pid = one.rows("SELECT pg_backend_pid()")[0][0]
    one.rows("SET statement_timeout = '77s'")
    one.rows("PREPARE mine AS SELECT 42")
    assert one.rows("EXECUTE mine") == [["42"]]
    one.rows("SELECT pg_advisory_lock(4711)")
    with Wire(gateway.where("lab", "tester2")) as beside:
        assert beside.rows("SELECT pg_try_advisory_lock(4711)") == [["f"]], "the lock is held"
    one.terminate()
    assert eventually(lambda: server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}").strip() == "0", 10, 0.1), "its backend is gone"
    with Wire(gateway.where("lab", "tester2")) as two:
        assert two.rows("SELECT pg_backend_pid()")[0][0] != pid
        assert two.rows("SHOW statement_timeout") != [["77s"]]
        assert two.rows("SELECT pg_try_advisory_lock(4711)") == [["t"]]
        assert two.rows("SELECT name FROM pg_prepared_statements") == []
        assert errors(two.query("EXECUTE mine"))
    found = [e["who"]["subject"] for e in gateway.audit(event="auth.success", connection="lab")]
    assert {"tester", "tester2"} <= set(found)


@pytest.mark.parametrize("text", ["SET ROLE owner_of_all", "SET LOCAL ROLE owner_of_all", "SET SESSION ROLE owner_of_all", "set role to 'owner_of_all'",
                                  "SET SESSION AUTHORIZATION owner_of_all", "RESET ROLE", "RESET ALL", "RESET SESSION AUTHORIZATION", "DISCARD ALL",
                                  "SELECT set_config('role', 'owner_of_all', false)", "SET \"role\" = 'owner_of_all'",
                                  "DO $$ BEGIN SET ROLE owner_of_all; END $$", "BEGIN; SET LOCAL ROLE owner_of_all; COMMIT"])
def test_nobody_becomes_another_role(gateway, text):
    """The login of the database is a member of a superuser's role; no caller gets there."""
    before = len(gateway.audit(event="call.denied"))
    with Wire(gateway.where("lab", "tester")) as wire:
        said = errors(wire.query(text))
        assert said and said[0]["C"] in ("42501", "0A000"), said
        wire.query("ROLLBACK")
        assert wire.rows("SELECT current_user") == [["app"]]
    assert eventually(lambda: len(gateway.audit(event="call.denied")) > before, 5, 0.2), "the refusal is not in the log"


# -- 37: no credential without TLS -----------------------------------------------------------------------------------------------------------
def test_no_credential_without_tls(gateway, oidc):
    token = oidc.token("tester")
    plain = Where(gateway.pg_port, "tester", token, "lab")
    for where in (plain, plain.but(startup={"sallyport.auth": "oauthbearer"}), plain.but(startup={"options": "-c sallyport.auth=oauthbearer"})):
        wire = Wire(where, login=False)
        with pytest.raises((Refused, Gone)) as refused:
            wire.start()
        assert refused.value.error["C"] == "28000" and "TLS" in refused.value.error["M"]
        assert [kind for kind, _ in wire.seen] == ["E"], "it was asked for nothing"
    assert gateway.recorded(event="auth.failure", reason="capability-missing", method="login")
    assert token.encode() not in gateway.process.err_path.read_bytes()
    wire = Wire(plain, login=False)
    wire.write(GSS_REQUEST)
    assert wire.socket.recv(1) == b"N", "no encryption but TLS"
    wire.socket.close()


@pytest.mark.parametrize("mode, code", [("disable", 2), ("allow", 2), ("prefer", 0), ("require", 0)])
def test_psql(gateway, oidc, mode, code):
    """`allow` begins without TLS, is refused, and goes on with it."""
    done = subprocess.run(["psql", "-XAtq", f"host=127.0.0.1 port={gateway.pg_port} user=tester dbname=lab sslmode={mode} gssencmode=disable",
                           "-c", "SELECT id FROM t"], env={**os.environ, "PGPASSWORD": oidc.token("tester")}, capture_output=True, text=True, timeout=30)
    if mode == "allow":
        assert done.returncode in (0, 2), done
    else:
        assert done.returncode == code, done
    if done.returncode == 0:
        assert done.stdout.strip() == "1"
    else:
        assert "under TLS only" in done.stderr and "sslmode" in done.stderr, done.stderr
