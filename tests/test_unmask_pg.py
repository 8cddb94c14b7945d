"""Values in clear for PostgreSQL clients: asked for with a setting of the gateway, held like any other statement, shown up to a
number and a time to this caller once. What the caller got in clear is kept out of the byte search of the run."""

import psycopg
import pytest

from kit import capture, pans, refunds
from kit.parts import http_connection
from kit.pg_drivers import Dsn
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Wire, errors, rows_of, tags
from kit.postgres import Postgres
from test_hold_pg import Running

PASSWORD = "hold-password"
NAMES = ["text", "json_in_text", "structured_string", "embedded", "blob"]
SCHEMA = """
CREATE ROLE app LOGIN PASSWORD 'hold-password';
CREATE DATABASE hold OWNER app;
\\c hold
CREATE TABLE cards(id int PRIMARY KEY, card text, note text, cvv text, n bigint);
ALTER TABLE cards OWNER TO app;
"""


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True, log_statement="all")
    values = ",".join(f"({i}, '{pans.pan(n)}', 'paid with {pans.pan(n)}', '737', {pans.pan(n)})" for i, n in enumerate(NAMES))
    part.sql(SCHEMA + f"INSERT INTO cards VALUES {values};")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    def changes(config):
        config["server"]["limits"] = {"approvals_per_hour": 10000, "approvals_per_caller": 1000}
        config["masking"]["unmask"] = [
            {"who": ["user:tom@example.com"], "detectors": ["pan"], "approval": "leads-one", "max_values": 3, "ttl": "1s"},
            {"who": ["group:testers"], "detectors": ["pan"], "approval": "leads-one", "max_values": 3}]
    columns = [{"connection": "hold", "column": "public.cards.card", "detector": "pan"},
               {"connection": "hold", "column": "public.cards.cvv", "detector": "sad"}]
    part = PgGateway(scratch / "gate", oidc, [database("hold", server, "hold", "app"), http_connection("orders", upstream.url)],
                     [rule("reads", "hold", who=("any",), statements=["SELECT", "SHOW", "SET", "COPY"], relations=["public.cards"],
                           functions={"allow": ["pg_sleep"]})],
                     PASSWORD, columns=columns, changes=changes, port=oidc.first_port())
    yield part
    part.stop()


@pytest.fixture
def wire(gateway):
    with Wire(gateway.where("hold")) as one:
        assert tags(one.query("SET sallyport.unmask_reason = 'case 7'")) == ["SET"]
        yield one


@pytest.fixture
def mark():
    return refunds.mark("mark")


def text_of(messages) -> str:
    return "\n".join("|".join("-" if c is None else c.decode() for c in row) for row in rows_of(messages))


def approved(lead, mark, work):
    """What the statement brings after the approval, kept out of the byte search."""
    with capture.aside():
        running = Running(work)
        request = lead.approve(mark)
        return request, running.get()


def reached(server, mark) -> int:
    return sum(mark in line and "execute" not in line for line in (server.directory / "log").read_text(errors="replace").splitlines())


def outcome(gateway, approval_id):
    intent = gateway.recorded(event="call.intent", approval_id=approval_id)[0]
    return intent, gateway.recorded(event="call.outcome", intent=intent["index"])[0]


def test_the_setting_is_the_gateways_own(gateway, server, wire):
    assert text_of(wire.query("SHOW sallyport.unmask")) == ""
    assert tags(wire.query("set sallyport.unmask to pan;")) == ["SET"]
    shown = wire.query("SHOW sallyport.unmask")
    assert tags(shown) == ["SHOW"] and text_of(shown) == "pan"
    assert text_of(wire.query("SHOW sallyport.unmask_reason")) == "case 7"
    assert tags(wire.extended("RESET sallyport.unmask")) == ["RESET"]
    assert text_of(wire.extended("SHOW sallyport.unmask")) == ""
    assert tags(wire.extended("SET sallyport.unmask = 'pan'")) == ["SET"]
    assert text_of(wire.extended("SHOW sallyport.unmask")) == "pan"
    for text in ("SET sallyport.unmask = 'a;b'", "SET LOCAL sallyport.unmask = 'pan'", "SET sallyport.other = 'x'",
                 "SET sallyport.unmask = 'pan'; SELECT 1"):
        assert errors(wire.query(text)), text
    assert text_of(wire.query("SHOW sallyport.unmask")) == "pan"
    log = (server.directory / "log").read_text(errors="replace")
    assert "SET sallyport" not in log and "set sallyport" not in log and "RESET sallyport" not in log


@pytest.mark.parametrize("extended", [False, True])
def test_asked_held_approved_and_exactly_so_many_in_clear(gateway, server, lead, wire, mark, extended):
    ask = wire.extended if extended else wire.query
    statement = f"SELECT id, card, note, '{mark}' FROM cards ORDER BY id"
    assert pans.shown_in(text_of(ask(statement))) == []  # not asked for
    before = reached(server, mark)
    wire.query("SET sallyport.unmask = 'pan'")
    with capture.aside():
        running = Running(lambda: ask(statement))
        request = lead.waiting(mark)
        assert reached(server, mark) == before
        assert request["unmask"]["max_values"] == 3 and request["unmask"]["reason"] == "case 7"
        assert "shows up to 3 values of pan in clear to tess@example.com" in request["effect_in_words"]
        lead.decide(request, True)
        rows = [[c and c.decode() for c in row] for row in rows_of(running.get())]
    for i, name in enumerate(NAMES):
        number = pans.pan(name)
        hidden = "*" * 12 + number[-4:]
        assert rows[i] == [str(i), number if i < 3 else hidden, f"paid with {number if i < 3 else hidden}", mark], rows[i]
    intent, out = outcome(gateway, request["id"])
    assert intent["unmask"]["detectors"] == ["pan"] and intent["unmask"]["max_values"] == 3
    assert out["unmask"] == {"unmasked": 3, "places": 6}
    assert pans.shown_in(str(out)) == []
    # Once; and masked again after RESET.
    running = Running(lambda: ask(statement))
    lead.deny(mark)
    assert errors(running.get())
    wire.query("RESET sallyport.unmask")
    assert pans.shown_in(text_of(ask(statement))) == []


def test_psycopg_with_parameters(gateway, oidc, lead, mark):
    dsn = Dsn(gateway.pg_port, "token", oidc.token("tester"), "hold", through_gate=True)
    with psycopg.connect(**dsn.words(), autocommit=True) as c:
        c.execute("SET sallyport.unmask = 'pan'")
        asked = lambda n: c.execute("SELECT card FROM cards WHERE id = %s AND %s = 'x' || %s", (n, "x" + mark, mark)).fetchone()
        _, row = approved(lead, mark, lambda: asked(0))
        assert row == (pans.pan("text"),)
        running = Running(lambda: asked(1))  # another parameter
        lead.deny(mark)
        with pytest.raises(psycopg.Error):
            running.get()


def test_expressions_numbers_and_codes(gateway, lead, wire, mark):
    wire.query("SET sallyport.unmask = 'pan'")
    _, got = approved(lead, mark, lambda: wire.query(
        f"SELECT n, note, cvv, '{mark}' FROM cards WHERE id = 0"))
    number = pans.pan("text")
    assert text_of(got) == f"{number}|paid with {number}|-|{mark}"


def test_approved_but_the_time_is_over(gateway, lead, mark):
    with Wire(gateway.where("hold", "tester2")) as wire:
        wire.query("SET sallyport.unmask = 'pan'")
        running = Running(lambda: wire.query(f"SELECT card, '{mark}' FROM cards, pg_sleep(1.5) WHERE id < 2 ORDER BY id"))
        request = lead.approve(mark)
        got = text_of(running.get())
        assert got.count("************") == 2 and pans.shown_in(got) == []
        assert outcome(gateway, request["id"])[1]["unmask"] == {"unmasked": 0, "places": 0}


@pytest.mark.parametrize("who, detectors", [("ana", "pan"), ("agent-refunds", "pan"), ("tester", "sad"), ("tester", "pan,sad")])
def test_not_for_everybody_and_not_everything(gateway, server, lead, mark, who, detectors):
    with Wire(gateway.where("hold", who)) as wire:
        assert tags(wire.query(f"SET sallyport.unmask = '{detectors}'")) == ["SET"]
        refused = errors(wire.query(f"SELECT card, '{mark}' FROM cards"))
        assert refused and "unmask-denied" in str(refused[0]), refused
        assert lead.find(mark) == [] and reached(server, mark) == 0


def test_copy_shows_nothing(gateway, server, lead, wire, mark):
    wire.query("SET sallyport.unmask = 'pan'")
    refused = errors(wire.query(f"COPY (SELECT note, '{mark}' FROM cards) TO STDOUT"))
    assert refused and "unmask-denied" in str(refused[0]), refused
    assert reached(server, mark) == 0


def test_nothing_that_the_gate_keeps_has_a_number(gateway, lead, wire, mark):
    wire.query(f"SET sallyport.unmask_reason = 'case {pans.pan('text')}'")
    wire.query("SET sallyport.unmask = 'pan'")
    request, got = approved(lead, mark, lambda: wire.query(f"SELECT card, '{mark}' FROM cards WHERE id = 0"))
    assert pans.pan("text") in text_of(got) and request["unmask"]["reason"] == "case ************5709"
    outcome(gateway, request["id"])
    kept = [f for f in gateway.data_dir.rglob("*") if f.is_file() and f.parent.name != "reads"]  # a spool: it goes
    blobs = {str(f): f.read_bytes() for f in kept} | {"metrics": gateway.ops("/metrics")[1].encode(),
                                                      "log lines": (gateway.process.out + gateway.process.err).encode()}
    for name, data in blobs.items():
        assert pans.shown_in(data) == [], name
