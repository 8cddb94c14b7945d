"""The ways in which a session of PostgreSQL ends or is disturbed: what the client is told, that nothing is left running on the server,
and that other sessions do not notice."""

import os
import select
import signal
import threading
import time

import pytest

from kit.pg_gate import CALLER, PgGateway, certificate, database, rule
from kit.pgwire import Gone, Refused, ServerError, Where, Wire, errors, tags
from kit.postgres import Postgres
from kit.process import eventually

PASSWORD = "endings-password"
MANY = 200  # sessions of one person that are cut at once
TABLES = """
CREATE TABLE t(id int PRIMARY KEY, note text);
INSERT INTO t SELECT n, 'note ' || n FROM generate_series(1, 1000) n;
"""
RULES = [rule("all", "lab", statements=["SELECT", "SELECT FOR UPDATE", "INSERT", "COPY", "COPY FROM", "DECLARE", "FETCH", "CLOSE", "SHOW", "SET"],
              relations=["public.*", "pg_catalog.*"], functions={"allow": ["pg_sleep"]})]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, TABLES, max_connections=MANY + 60)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def make(scratch, oidc, server):
    """A gateway in front of the server; all have one audience."""
    started = []

    def make(name: str, changes=None) -> PgGateway:
        def all_changes(config):
            config["server"].setdefault("limits", {})["postgres"] = {"sessions_per_caller": MANY + 50}
            config["server"]["drain_timeout"] = "3s"
            if changes:
                changes(config)
        started.append(PgGateway(scratch / name, oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD,
                                 tls=certificate(scratch / name), changes=all_changes))
        return started[-1]
    yield make
    for part in started:
        part.stop()


@pytest.fixture(scope="module")
def gateway(make):
    return make("gateway")


@pytest.fixture
def where(gateway, server) -> Where:
    """The way in. Afterwards others are served, and no session and no backend is left."""
    yield gateway.where("lab", CALLER)
    assert gateway.alive() and gateway.quiet(), "a session is left"
    with Wire(gateway.where("lab", CALLER)) as wire:
        assert wire.rows("SELECT 1") == [["1"]]
    assert eventually(lambda: backends(server) == 0, 30), "a backend is left"


def backends(server, which: str = "true") -> int:
    return int(server.sql(f"SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND {which}"))


def last_words(wire: Wire, within: float) -> tuple[ServerError, float]:
    """The FATAL with which the peer ends the session, and when it was there; the connection is closed behind it."""
    until, said, at = time.monotonic() + within, None, 0.0
    try:
        while True:
            kind, body = wire.read(max(until - time.monotonic(), 0.01))
            if kind == "E" and ServerError(body)["S"] == "FATAL":
                said, at = ServerError(body), time.time()
    except Gone as gone:
        assert str(gone) != "silence", f"still open after {within} s"
        assert said, f"ended without a word ({gone})"
    return said, at


def mint(oidc, seconds: float, who: str = CALLER) -> str:
    now = int(time.time())
    return oidc.mint({"iss": oidc.issuer, "aud": oidc.audience, "sub": who, "client_id": who, "iat": now, "exp": int(now + seconds),
                      "jti": os.urandom(8).hex(), "groups": ["testers"], "email": "tess@example.com"})


# -- the credential ends --------------------------------------------------------------------------------------------------------------
def test_a_token_that_expires_in_mid_query(where, server, oidc):
    before = time.time()
    token = mint(oidc, 4)
    busy, idle, waiting = (Wire(where.but(password=token)) for _ in range(3))
    other = Wire(where)
    waiting.query("BEGIN")
    waiting.rows("SELECT id FROM t WHERE id = 1 FOR UPDATE")
    busy.send("Q", b"SELECT pg_sleep(60)\0")
    for wire in (busy, idle, waiting):
        said, at = last_words(wire, 12)
        assert (said["C"], "token-expired" in said["D"], "H" in said) == ("28000", True, True), said
        assert before + 3 <= at <= before + 6.5, f"after {at - before:.2f} s"
    assert eventually(lambda: backends(server, "pid <> 0 AND query LIKE '%pg_sleep(60)%'") == 0, 2), "the query still runs"
    assert other.rows("SELECT count(*) FROM t") == [["1000"]], "the lock is gone, others are served"
    with pytest.raises(Refused) as refused:
        Wire(where.but(password=oidc.mint({"iss": oidc.issuer, "aud": oidc.audience, "sub": CALLER, "client_id": CALLER, "iat": 1, "exp": 2,
                                           "jti": "x", "groups": ["testers"]})))
    assert refused.value.error["C"] == "28P01" and "token-expired" in refused.value.error["D"]
    other.terminate()


class Expiry:
    """All sessions came with one token; its end is the end of all."""

    def __init__(self, gateway, oidc):
        self.at = int(time.time()) + 45
        self.token = mint(oidc, self.at - int(time.time()))
        self.state, self.reason = "28000", "token-expired"

    def fire(self) -> float:
        """The moment from which on the sessions have a second."""
        assert time.time() < self.at - 1, "the machine is too slow: the sessions were not open in time"
        time.sleep(self.at - time.time())
        return self.at


TRIGGERS = {"expiry": Expiry}  # another one has `token`, `state`, `reason` and fire()


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_all_sessions_of_a_person_are_cut_within_a_second(gateway, where, server, oidc, trigger):
    cut = TRIGGERS[trigger](gateway, oidc)
    wires = [Wire(where.but(password=cut.token, keep=False)) for _ in range(MANY)]
    spared = Wire(gateway.where("lab", "tester2"))
    for wire in wires:
        wire.send("Q", b"SELECT pg_sleep(600)\0")
    assert eventually(lambda: backends(server, "query LIKE '%pg_sleep(600)%' AND state = 'active'") == MANY, 10)
    began = cut.fire()
    open_, told = {wire.socket: wire for wire in wires}, {}
    until = time.monotonic() + 10
    while open_ and time.monotonic() < until:
        for ready in select.select(list(open_), [], [], 0.2)[0]:
            told[ready] = last_words(open_.pop(ready), 5)
    assert not open_, f"{len(open_)} sessions were not told"
    assert {(said["C"], said["D"]) for said, _ in told.values()} == {(cut.state, f"reason: {cut.reason}")}
    late = max(at for _, at in told.values()) - began
    gone = eventually(lambda: backends(server, "query LIKE '%pg_sleep(600)%'") == 0, 5, 0.02)
    ended = time.time() - began
    print(f"{MANY} sessions: the last one was told after {late:.2f} s, no query ran after {ended:.2f} s")
    assert gone and late < 1 and ended < 1.5, (late, ended)  # the second look at pg_stat_activity takes a while itself
    assert spared.rows("SELECT 1") == [["1"]]
    spared.terminate()


# -- limits, stops, changed rules --------------------------------------------------------------------------------------------------------
def test_a_session_that_does_nothing(make, server):
    gateway = make("idle", lambda config: config.update(sessions={"idle": "2s"}))
    idle, busy, inside = (Wire(gateway.where("lab")) for _ in range(3))
    inside.query("BEGIN")
    busy.send("Q", b"SELECT pg_sleep(5)\0")
    for wire in (idle, inside):
        said, _ = last_words(wire, 8)
        assert said["C"] == "57P05" and "session-ended" in said["D"], said
    assert tags(busy.until_ready(12)) == ["SELECT 1"], "what runs is not idle"
    for _ in range(6):
        time.sleep(0.5)
        assert busy.rows("SELECT 1") == [["1"]], "nor is what asks now and then"
    assert last_words(busy, 8)[0]["C"] == "57P05"
    assert gateway.quiet() and eventually(lambda: backends(server) == 0, 5)


def test_a_stop_with_live_sessions(make, server):
    """SIGTERM: who does nothing is told at once, who runs something may end within drain_timeout (3 s), then all is cut."""
    gateway = make("drained")
    idle, short, inside = (Wire(gateway.where("lab")) for _ in range(3))
    long = [Wire(gateway.where("lab")) for _ in range(30)]
    inside.query("BEGIN")
    short.send("Q", b"SELECT pg_sleep(1.5), 'in time'\0")
    for wire in long:
        wire.send("Q", b"SELECT pg_sleep(60)\0")
    time.sleep(0.3)
    began = time.monotonic()
    gateway.process.signal(signal.SIGTERM)
    said, _ = last_words(idle, 2)
    assert said["C"] == "57P01" and "draining" in said["D"], said
    with pytest.raises((Gone, Refused)):
        Wire(gateway.where("lab"))
    assert inside.rows("SELECT 'still'") == [["still"]], "a transaction may come to its end"
    assert tags(inside.query("COMMIT")) == ["COMMIT"]
    assert last_words(inside, 2)[0]["C"] == "57P01"
    assert tags(short.until_ready(5)) == ["SELECT 1"], "what ran has come to its end"
    assert last_words(short, 2)[0]["C"] == "57P01"
    for wire in long:
        said, _ = last_words(wire, 8)
        assert said["C"] == "57P01" and time.monotonic() - began > 2.5, said
    assert gateway.process.wait(15) == 0 and time.monotonic() - began < 10
    assert eventually(lambda: backends(server) == 0, 20), "a query still runs"
    gateway.verify()


def test_a_rule_that_goes_away_under_a_session(make):
    gateway = make("reloaded")
    wire, running = Wire(gateway.where("lab")), Wire(gateway.where("lab"))
    wire.query("BEGIN")
    wire.parse("SELECT * FROM t", "s")
    wire.bind("p", "s")
    wire.execute("p", 2)
    wire.sync()
    assert len([1 for kind, _ in wire.until_ready() if kind == "D"]) == 2
    wire.query("DECLARE c CURSOR FOR SELECT id FROM t")
    running.send("Q", b"SELECT pg_sleep(2), 'was allowed'\0")
    time.sleep(0.2)
    gateway.config["policies"] = [rule("none", "lab", statements=["SHOW"])]
    gateway.write_config()
    gateway.reload()
    with Wire(gateway.where("lab")) as probe:
        assert eventually(lambda: errors(probe.query("SELECT 1 FROM t")), 10), "the old rule is still used"
    ways = {"portal": lambda: wire.execute("p", 2), "statement": lambda: [wire.bind("q", "s"), wire.execute("q")],
            "cursor": lambda: wire.send("Q", b"FETCH 1 FROM c\0"), "query": lambda: wire.send("Q", b"SELECT id FROM t\0")}
    for name, ask in ways.items():
        wire.query("SAVEPOINT x")
        ask()
        if name in ("portal", "statement"):
            wire.sync()
        got = wire.until_ready()
        assert [e["C"] for e in errors(got)] == ["42501"] and "policy-default-deny" in errors(got)[0]["D"], (name, got)
        assert not [1 for kind, _ in got if kind == "D"], name
        assert not errors(wire.query("ROLLBACK TO x")), "the transaction can be left as PostgreSQL would have it"
    assert tags(wire.query("ROLLBACK")) == ["ROLLBACK"] and wire.status == "I"
    assert tags(running.until_ready(8)) == ["SELECT 1"], "what was permitted goes on"
    wire.terminate(), running.terminate()


# -- the server ------------------------------------------------------------------------------------------------------------------------
def test_a_backend_that_is_ended(where, server):
    busy, idle, other = (Wire(where) for _ in range(3))
    busy.send("Q", b"SELECT pg_sleep(60)\0")
    time.sleep(0.2)
    for wire in (busy, idle):
        server.sql(f"SELECT pg_terminate_backend({wire.pid})")
        said, _ = last_words(wire, 5)
        assert said["C"] == "57P01" and said.of_the_server, said
    assert other.rows("SELECT 1") == [["1"]]
    other.terminate()


def test_a_backend_that_is_killed(where, server):
    """PostgreSQL then restarts all of its processes: every session ends, the gateway goes on."""
    busy, idle = Wire(where), Wire(where)
    busy.send("Q", b"SELECT 1, pg_sleep(60)\0")
    time.sleep(0.2)
    os.kill(busy.pid, signal.SIGKILL)
    said, _ = last_words(busy, 8)
    assert said["C"] == "08006" and "upstream-closed" in said["D"], said
    said, _ = last_words(idle, 8)
    assert said["C"] in ("08006", "57P02"), said
    assert eventually(lambda: answers(where), 30), "it does not come back"


def answers(where) -> bool:
    try:
        with Wire(where) as wire:
            return wire.rows("SELECT 1") == [["1"]]
    except (Refused, Gone):
        return False


def test_a_server_that_stops_at_once(where, server):
    wires = [Wire(where) for _ in range(5)]
    wires[0].send("Q", b"SELECT pg_sleep(60)\0")
    wires[1].query("BEGIN")
    server._run("pg_ctl", "-D", server.directory / "data", "-w", "-m", "immediate", "-l", server.directory / "log", "restart")
    for wire in wires:
        assert last_words(wire, 8)[0]["C"] in ("08006", "57P02")
    assert eventually(lambda: answers(where), 20)


def test_a_backend_that_stalls(where, server, gateway):
    stalled, other = Wire(where), Wire(where)
    os.kill(stalled.pid, signal.SIGSTOP)
    try:
        stalled.send("Q", b"SELECT 1\0")
        began = time.monotonic()
        for _ in range(20):
            assert other.rows("SELECT count(*) FROM t") == [["1000"]]
        assert time.monotonic() - began < 5, "others are held up"
        with pytest.raises(Gone, match="silence"):
            stalled.read(0.5)
        stalled.drop()
        assert eventually(lambda: gateway.sessions() == 1, 10), "the session of a client that has gone waits for its backend"
    finally:
        os.kill(stalled.pid, signal.SIGCONT)
    other.terminate()


def test_a_server_that_stalls_at_the_login(where, server, gateway):
    other = Wire(where)
    postmaster = int((server.directory / "data/postmaster.pid").read_text().splitlines()[0])
    os.kill(postmaster, signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(Refused) as refused:
            Wire(where)
        assert refused.value.error["C"] == "08006" and "upstream-timeout" in refused.value.error["D"], refused.value
        assert 4 < time.monotonic() - began < 9
        assert other.rows("SELECT 1") == [["1"]]
    finally:
        os.kill(postmaster, signal.SIGCONT)
    other.terminate()


# -- others ----------------------------------------------------------------------------------------------------------------------------
def test_a_flood_of_starts_does_not_disturb_a_session(where, gateway):
    """Clients that say nothing, stop half-way, or come with a bad token, 12 at a time."""
    calm = Wire(where)
    over = threading.Event()
    met: list[str] = []

    def flood(n: int) -> None:
        while not over.is_set():
            try:
                wire = Wire(where.but(password="x.y.z", tls=n % 3 != 0, timeout=5, keep=False), login=n % 3 == 1)
                wire.write(b"\0\0\0\x30\0\3\0\0user")
                wire.drop()
            except Refused as refused:
                met.append(refused.error["C"])
            except Gone:
                met.append("gone")
    threads = [threading.Thread(target=flood, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    try:
        times = []
        for _ in range(60):
            began = time.monotonic()
            assert calm.rows("SELECT 1") == [["1"]]
            times.append(time.monotonic() - began)
            time.sleep(0.03)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert max(times) < 2 and sorted(times)[30] < 0.5, sorted(times)[-5:]
    assert met and set(met) <= {"28P01", "53300", "gone"}, set(met)
    calm.terminate()


# -- statements at the edge --------------------------------------------------------------------------------------------------------------
SHORT = 1 << 20
EDGES = {  # statement -> what is said: None for an answer
    "NUL inside": (b"SELECT 1\0; DROP TABLE t", "08P01"),
    "invalid UTF-8": (b"SELECT '\xc3\x28'", "42501"),
    "overlong UTF-8": (b"SELECT '\xc0\xaf'", "42501"),
    "a surrogate": (b"SELECT '\xed\xa0\x80'", "42501"),
    "10 MB": (b"SELECT '" + b"x" * (10 << 20) + b"'", None),
    "20 MB": (b"SELECT '" + b"x" * (20 << 20) + b"'", "54000"),
    "100,000 in a list": (b"SELECT count(*) FROM t WHERE id IN (" + b",".join(b"%d" % n for n in range(1, 100_001)) + b")", None),
    "5,000 parentheses": (b"SELECT " + b"(" * 5000 + b"1" + b")" * 5000, None),
    "a sum of 100,000": (b"SELECT " + b"+".join([b"1"] * 100_000), "42501"),
    "100,000 columns": (b"SELECT " + b",".join([b"1"] * 100_000), "54011"),
    "5,000 sub-selects": (b"SELECT * FROM " + b"(SELECT * FROM " * 5000 + b"t" + b") s" * 5000, "42501"),
    "50,000 times NOT": (b"SELECT " + b"NOT " * 50_000 + b"true", "42501"),
    "50,000 statements": (b"SELECT 1;" * 50_000, "42501"),
    "5,000 casts": (b"SELECT 1" + b"::int" * 5000, "42501"),
    "20,000 times OR": (b"SELECT id FROM t WHERE " + b" OR ".join([b"id = 1"] * 20_000), None),
    "5,000 unions": (b" UNION ALL ".join([b"SELECT 1"] * 5000), "42501"),
}


@pytest.fixture(scope="module")
def roomy(make):
    def changes(config):
        config["server"]["limits"]["postgres"]["statement_bytes"] = "16MiB"
    return make("roomy", changes)


@pytest.mark.parametrize("way", ["simple", "extended"])
@pytest.mark.parametrize("name", EDGES)
def test_statements_at_the_edge(roomy, name, way):
    """Answered, or refused with a reason; never a crash, and the session goes on."""
    statement, state = EDGES[name]
    with Wire(roomy.where("lab", timeout=60, keep=False)) as wire:
        got = wire.query(statement) if way == "simple" else wire.extended(statement)
        said = [e["C"] for e in errors(got)]
        print(name, way, errors(got)[:1])
        assert said == ([state] if state else []), (said, errors(got)[:1])
        assert wire.rows("SELECT count(*) FROM t") == [["1000"]], "the session goes on"
    assert roomy.alive()
