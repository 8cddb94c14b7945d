"""Statements that wait for a person: the notice with the link, the order of a pipeline, transactions, cancelling, going away; in
psql, psycopg, asyncpg and pgjdbc. The table counts: nothing before the approval, once after it, never after a refusal."""

import asyncio
import contextlib
import signal
import subprocess
import threading
import time

import asyncpg
import psycopg
import pytest

from kit import pgwire, refunds
from kit.parts import http_connection
from kit.pg_drivers import JDBC, PSQL, Dsn, _run
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Wire, errors, tags
from kit.paths import TESTS
from kit.postgres import Postgres
from kit.process import eventually

PASSWORD = "hold-password"
SCHEMA = """
CREATE ROLE app LOGIN PASSWORD 'hold-password';
CREATE DATABASE hold OWNER app;
\\c hold
CREATE TABLE marks(id serial PRIMARY KEY, mark text NOT NULL);
CREATE TABLE free(id serial PRIMARY KEY, mark text NOT NULL);
ALTER TABLE marks OWNER TO app; ALTER TABLE free OWNER TO app;
"""


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True, log_statement="all")
    part.sql(SCHEMA)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    rules = [
        {**rule("reads", "hold", statements=["SELECT", "SHOW", "SET", "INSERT"], relations=["public.free", "pg_catalog.*"],
                functions={"allow": ["pg_sleep"]})},
        {**rule("own", "hold", statements=["SELECT"], relations=["public.marks"])},
        {**rule("writes", "hold", effect="approve", statements=["INSERT", "DELETE"], relations=["public.marks"]), "approval": "leads-one"},
    ]

    def changes(config):
        config["server"]["limits"] = {"approvals_per_hour": 10000, "approvals_per_caller": 1000}
        config["approvals"].append({"name": "short", "approvers": ["group:payments-leads"], "need": 1, "ttl": "2s"})
        config["policies"].append({**rule("short", "hold", effect="approve", statements=["UPDATE"], relations=["public.marks"]),
                                   "approval": "short"})
    part = PgGateway(scratch / "gate", oidc, [database("hold", server, "hold", "app"), http_connection("orders", upstream.url)],
                     rules, PASSWORD, changes=changes, port=oidc.first_port())
    yield part
    part.stop()


@pytest.fixture(scope="module")
def direct(server):
    with Wire(pgwire.Where(server.port, "postgres", database="hold", keep=False)) as wire:
        yield wire


@pytest.fixture
def dsn(gateway, oidc):
    return Dsn(gateway.pg_port, "token", oidc.token("tester"), "hold", through_gate=True)


@pytest.fixture
def mark():
    return refunds.mark("mark")


def insert(mark: str) -> str:
    return f"INSERT INTO marks(mark) VALUES ('{mark}')"


def count(direct, mark: str) -> int:
    return int(direct.rows(f"SELECT count(*) FROM marks WHERE mark = '{mark}'")[0][0])


def reached(server, mark: str) -> bool:
    """The server has got a statement with this mark to run (its own log says so); those of the test itself do not count."""
    lines = (server.directory / "log").read_text(errors="replace").splitlines()
    return any(mark in line and "SELECT count(*) FROM marks WHERE" not in line for line in lines)


class Running:
    """A statement on a thread of its own."""

    def __init__(self, work):
        self.value = self.error = None
        self.done = threading.Event()

        def run():
            try:
                self.value = work()
            except BaseException as error:
                self.error = error
            self.done.set()
        threading.Thread(target=run, daemon=True).start()

    def get(self, timeout: float = 40):
        assert self.done.wait(timeout), "it did not come back"
        if self.error is not None:
            raise self.error
        return self.value


def connect(dsn, **how):
    how.setdefault("autocommit", True)
    c = psycopg.connect(**dsn.words(), **how)
    c.said = []
    c.add_notice_handler(lambda n: c.said.append(n.message_primary))
    return c


# ---- the notice, the answer, the refusal

def test_the_notice_comes_at_once_and_the_answer_when_it_is_approved(gateway, server, direct, lead, mark):
    with Wire(gateway.where("hold")) as wire:
        wire.send("Q", (insert(mark)).encode() + b"\0")
        kind, body = wire.read(5)
        assert kind == "N"
        said = pgwire.ServerError(body)
        request = lead.waiting(mark)
        assert f"{gateway.public_url}/approvals/{request['id']}" in said["M"] and request["id"] in said["D"], said
        assert not reached(server, mark) and count(direct, mark) == 0
        assert lead.decide(request, True)[0] == 200
        assert tags(wire.until_ready(20)) == ["INSERT 0 1"]
        assert count(direct, mark) == 1 and lead.state(request["id"]) == "redeemed"
        wire.send("Q", insert(mark).encode() + b"\0")  # used up: asked again
        assert wire.read(5)[0] == "N"
        assert count(direct, mark) == 1


def test_a_refusal(gateway, server, direct, lead, mark):
    with Wire(gateway.where("hold")) as wire:
        wire.send("Q", (insert(mark)).encode() + b"\0")
        request = lead.deny(mark, reason="not in the evening")
        said = errors(wire.until_ready(20))
        assert len(said) == 1 and said[0]["C"] == "42501" and "approval-denied" in said[0]["D"], said
        assert request["id"] in said[0]["D"] and "decision: d_" in said[0]["D"] and "not in the evening" in said[0]["M"]
        assert "lea@" not in str(said[0])
        assert wire.rows("SELECT 1") == [["1"]]
        again = errors(wire.query(insert(mark)))  # at once: the refusal holds
        assert again[0]["C"] == "42501" and "approval-denied" in again[0]["D"]
    assert not reached(server, mark) and count(direct, mark) == 0


def test_nobody_decides(gateway, server, direct, lead, mark):
    with Wire(gateway.where("hold")) as wire:
        begun = time.monotonic()
        wire.send("Q", (f"UPDATE marks SET mark = '{mark}' WHERE mark = 'nothing'").encode() + b"\0")
        said = errors(wire.until_ready(20))
        assert 1 < time.monotonic() - begun < 8
        assert said[0]["C"] == "42501" and "approval-expired" in said[0]["D"], said
    assert not reached(server, mark)


def test_others_go_on(gateway, lead, mark):
    with Wire(gateway.where("hold")) as held, Wire(gateway.where("hold")) as other:
        held.send("Q", insert(mark).encode() + b"\0")
        lead.waiting(mark)
        for n in range(50):
            assert other.rows(f"SELECT {n}") == [[str(n)]]
        lead.deny(mark)
        held.until_ready(20)


def test_two_sessions_one_approval(gateway, direct, lead, mark):
    """Both wait for the same request; one approval is one run."""
    with Wire(gateway.where("hold")) as a, Wire(gateway.where("hold")) as b:
        for wire in (a, b):
            wire.send("Q", (insert(mark)).encode() + b"\0")
            assert wire.read(5)[0] == "N"
        assert len(lead.find(mark, "pending")) == 1
        lead.approve(mark)
        assert eventually(lambda: count(direct, mark) == 1, 10, 0.05)
        lead.approve(mark)  # the other one has asked again
        for wire in (a, b):
            assert tags(wire.until_ready(20)) == ["INSERT 0 1"]
    assert count(direct, mark) == 2


# ---- transactions and pipelines

@pytest.mark.parametrize("approved", [True, False])
def test_in_a_transaction(gateway, direct, lead, mark, approved):
    with Wire(gateway.where("hold")) as wire:
        wire.query("BEGIN")
        wire.query(f"INSERT INTO free(mark) VALUES ('{mark}')")
        wire.send("Q", (insert(mark)).encode() + b"\0")
        (lead.approve if approved else lead.deny)(mark)
        wire.until_ready(20)
        assert wire.status == ("T" if approved else "E")
        assert tags(wire.query("COMMIT")) == ["COMMIT" if approved else "ROLLBACK"]
    assert count(direct, mark) == approved
    assert direct.rows(f"SELECT count(*) FROM free WHERE mark = '{mark}'") == [[str(int(approved))]]


@pytest.mark.parametrize("approved", [True, False])
def test_a_pipeline_keeps_its_order(gateway, server, direct, lead, mark, approved):
    with Wire(gateway.where("hold")) as wire:
        for statement, values in (("SELECT 1", []), ("INSERT INTO free(mark) VALUES ($1)", [mark]),
                                  ("INSERT INTO marks(mark) VALUES ($1)", [mark]), ("SELECT 4", [])):
            wire.parse(statement)
            wire.bind(values=[v.encode() for v in values])
            wire.execute()
        wire.sync()
        wire.parse("SELECT 5")
        wire.bind()
        wire.execute()
        wire.sync()
        request = lead.waiting(mark)
        assert direct.rows(f"SELECT count(*) FROM free WHERE mark = '{mark}'") == [["0"]]
        lead.decide(request, approved)
        first, second = wire.until_ready(20), wire.until_ready(20)
        assert tags(second) == ["SELECT 1"]
        if approved:
            assert tags(first) == ["SELECT 1", "INSERT 0 1", "INSERT 0 1", "SELECT 1"]
        else:
            assert tags(first) == ["SELECT 1", "INSERT 0 1"] or tags(first) == ["SELECT 1"], tags(first)
            assert [e["C"] for e in errors(first)] == ["42501"]
    assert count(direct, mark) == approved
    # One implicit transaction: what came before the refused statement is not kept either.
    assert direct.rows(f"SELECT count(*) FROM free WHERE mark = '{mark}'") == [[str(int(approved))]]


def test_parameters_are_part_of_what_is_approved(gateway, direct, lead, mark):
    with Wire(gateway.where("hold")) as wire:
        def ask(value):
            wire.parse("INSERT INTO marks(mark) VALUES ($1)")
            wire.bind(values=[value.encode()])
            wire.execute()
            wire.sync()
        ask(mark + "-a")
        first = lead.approve(mark + "-a")
        wire.until_ready(20)
        ask(mark + "-b")
        second = lead.waiting(mark + "-b")
        assert second["id"] != first["id"] and second["digest"] != first["digest"]
        lead.decide(second, False)
        assert errors(wire.until_ready(20))[0]["C"] == "42501"
    assert count(direct, mark + "-a") == 1 and count(direct, mark + "-b") == 0


def test_preparing_runs_nothing_and_is_not_held(gateway, direct, lead, mark):
    with Wire(gateway.where("hold")) as wire:
        wire.parse(insert(mark), name="p")
        wire.describe("S", "p")
        wire.sync()
        assert errors(wire.until_ready(10)) == []
        assert lead.find(mark) == [] and count(direct, mark) == 0
        wire.bind(name="p")
        wire.execute()
        wire.sync()
        lead.approve(mark)
        assert tags(wire.until_ready(20)) == ["INSERT 0 1"]


# ---- cancelling and going away

def test_cancel(gateway, server, direct, lead, mark):
    with Wire(gateway.where("hold")) as wire:
        wire.send("Q", (insert(mark)).encode() + b"\0")
        request = lead.waiting(mark)
        pgwire.cancel(gateway.where("hold"), wire.pid, wire.key)
        said = errors(wire.until_ready(20))
        assert said[0]["C"] == "57014", said
        assert lead.state(request["id"]) == "withdrawn"
        assert lead.decide(request, True)[0] != 200
        assert wire.rows("SELECT 2") == [["2"]]
    assert not reached(server, mark) and count(direct, mark) == 0


def test_a_client_that_goes_takes_it_back(gateway, server, direct, lead, mark):
    wire = Wire(gateway.where("hold"))
    wire.send("Q", (insert(mark)).encode() + b"\0")
    request = lead.waiting(mark)
    wire.drop()
    assert eventually(lambda: lead.state(request["id"]) == "withdrawn", 10, 0.05)
    assert not reached(server, mark) and count(direct, mark) == 0
    assert gateway.quiet()


def test_a_restart_leaves_it(gateway, direct, lead, mark):
    """The session is gone with the gateway; the request is not."""
    wire = Wire(gateway.where("hold"))
    wire.send("Q", (insert(mark)).encode() + b"\0")
    request = lead.waiting(mark)
    gateway.process.signal(signal.SIGKILL)
    gateway.process.popen.wait(10)
    gateway.start()
    assert lead.state(request["id"]) == "pending" and lead.decide(request, True)[0] == 200
    with Wire(gateway.where("hold")) as again:
        assert tags(again.query(insert(mark))) == ["INSERT 0 1"]
    assert count(direct, mark) == 1
    with contextlib.suppress(pgwire.Gone):
        wire.drop()


def test_a_stopping_gateway_lets_nobody_wait(gateway, direct, lead, mark):
    wire = Wire(gateway.where("hold"))
    wire.send("Q", (insert(mark)).encode() + b"\0")
    request = lead.waiting(mark)
    begun = time.monotonic()
    gateway.stop()
    assert time.monotonic() - begun < 10
    assert [e["C"] for e in errors(_rest(wire))] == ["57P01"]
    gateway.start()
    assert lead.state(request["id"]) == "pending" and count(direct, mark) == 0


def _rest(wire):
    messages = []
    with contextlib.suppress(pgwire.Gone):
        while True:
            messages.append(wire.read(5))
    return messages


# ---- drivers

def test_psql(gateway, dsn, direct, lead, mark):
    child = subprocess.Popen([PSQL, "-X", "-q", "-A", "-t", "-c", insert(mark), "-c", "SELECT 'after'"], env=dsn.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    request = lead.approve(mark)
    said = child.communicate(timeout=30)[0]
    assert child.returncode == 0 and f"/approvals/{request['id']}" in said and "NOTICE" in said and "after" in said, said
    assert count(direct, mark) == 1


def test_psql_interrupted(gateway, dsn, direct, lead, mark):
    child = subprocess.Popen([PSQL, "-X", "-q", "-A", "-t", "-c", insert(mark), "-c", "SELECT 'after'"], env=dsn.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    request = lead.waiting(mark)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=30)[0]
    assert "canceling statement due to user request" in said, said
    assert lead.state(request["id"]) == "withdrawn" and count(direct, mark) == 0


@pytest.mark.parametrize("how", ["simple", "parameters", "prepared"])
def test_psycopg(gateway, dsn, direct, lead, mark, how):
    with connect(dsn) as c:
        cursor = psycopg.ClientCursor(c) if how == "simple" else c.cursor()
        running = Running(lambda: cursor.execute("INSERT INTO marks(mark) VALUES (%s) RETURNING mark", (mark,),
                                                 prepare=how == "prepared").fetchone())
        request = lead.approve(mark)
        assert running.get() == (mark,)
        assert any(request["id"] in said for said in c.said), c.said
        refused = Running(lambda: cursor.execute("INSERT INTO marks(mark) VALUES (%s)", (mark + "-no",)))
        lead.deny(mark + "-no")
        with pytest.raises(psycopg.errors.InsufficientPrivilege) as error:
            refused.get()
        assert "approval-denied" in error.value.diag.message_detail
        assert c.execute("SELECT 1").fetchone() == (1,)
    assert count(direct, mark) == 1 and count(direct, mark + "-no") == 0


def test_psycopg_pipeline_and_transaction(gateway, dsn, direct, lead, mark):
    with connect(dsn, autocommit=False) as c:
        def work():
            with c.transaction(), c.pipeline():
                c.execute("INSERT INTO free(mark) VALUES (%s)", (mark,))
                c.execute("INSERT INTO marks(mark) VALUES (%s)", (mark,))
                last = c.execute("SELECT count(*) FROM free WHERE mark = %s", (mark,))
            return last.fetchone()
        running = Running(work)
        lead.approve(mark)
        assert running.get() == (1,)
    assert count(direct, mark) == 1


def test_psycopg_cancel(gateway, dsn, direct, lead, mark):
    with connect(dsn) as c:
        running = Running(lambda: c.execute(insert(mark)))
        request = lead.waiting(mark)
        c.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            running.get()
        assert lead.state(request["id"]) == "withdrawn"
        assert c.execute("SELECT 1").fetchone() == (1,)


def test_asyncpg(gateway, dsn, direct, lead, mark):
    words = dsn.words()

    async def work():
        c = await asyncpg.connect(host=words["host"], port=int(words["port"]), user=words["user"], password=words["password"],
                                  database=words["dbname"], ssl=False)
        said = []
        c.add_log_listener(lambda _, message: said.append(message.message))
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(c.fetchval("INSERT INTO marks(mark) VALUES ($1) RETURNING mark", mark))
        request = await loop.run_in_executor(None, lead.approve, mark)
        assert await task == mark
        assert any(request["id"] in s for s in said), said
        # Its own limit is a CancelRequest.
        with pytest.raises(asyncio.TimeoutError):
            await c.execute("INSERT INTO marks(mark) VALUES ($1)", mark + "-late", timeout=1.5)
        assert await c.fetchval("SELECT 7") == 7
        await c.close()
    asyncio.run(work())
    assert count(direct, mark) == 1 and count(direct, mark + "-late") == 0
    assert eventually(lambda: [r["state"] for r in lead.find(mark + "-late")] == ["withdrawn"], 10, 0.1)


def test_pgjdbc(gateway, dsn, direct, lead, mark):
    url = f"jdbc:postgresql://{dsn.host}:{dsn.port}/{dsn.database}?sslmode=disable"
    running = Running(lambda: _run(["java", "-cp", JDBC, TESTS / "java/PgHeld.java", url, dsn.user, mark], dsn, timeout=120))
    request = lead.approve(mark + "-yes", 60)
    lead.deny(mark + "-no", 60)
    late = lead.waiting(mark + "-late", 60)
    said = running.get(90)
    assert "inserted 1" in said and request["id"] in said and "refused 42501" in said and "late 57014" in said and "after 7" in said, said
    assert count(direct, mark + "-yes") == 1 and count(direct, mark + "-no") == 0 and count(direct, mark + "-late") == 0
    assert eventually(lambda: lead.state(late["id"]) == "withdrawn", 10, 0.1)


# ---- the record

def test_it_is_recorded(gateway, direct, lead, mark):
    with Wire(gateway.where("hold")) as wire:
        wire.send("Q", (insert(mark)).encode() + b"\0")
        request = lead.approve(mark)
        wire.until_ready(20)

    def events():
        return [e["event"] for e in gateway.entries() if request["id"] in str(e)]
    wanted = ["approval.requested", "call.denied", "approval.decided", "approval.redeemed", "call.intent"]
    assert eventually(lambda: [e for e in events() if e in wanted] == wanted, 10, 0.2), events()
