"""Sessions with limits from outside: `login --only`, tools, tables, rows, arguments, uses, time; MCP and PostgreSQL."""

import json
import time
import urllib.parse
from datetime import datetime, timedelta

import pytest

from kit.parts import http_connection
from kit.person import LOGIN_ENV, Browser, Person, with_login
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Refused, ServerError, Where, Wire, errors, rows_of, tags
from kit.postgres import Postgres

PASSWORD = "grants-password"
SCHEMA = f"""
CREATE ROLE app LOGIN PASSWORD '{PASSWORD}';
CREATE DATABASE lab OWNER app;
\\c lab
CREATE TABLE orders AS SELECT n FROM generate_series(1, 30) n;
CREATE TABLE payments AS SELECT n FROM generate_series(1, 30) n;
ALTER TABLE orders OWNER TO app; ALTER TABLE payments OWNER TO app;
"""
RULES = [rule("reads", "lab", statements=["SELECT", "PREPARE", "EXECUTE", "SHOW", "SET", "DECLARE", "FETCH"], relations=["public.*"]),
         rule("writes", "lab", statements=["INSERT", "UPDATE", "DELETE"], relations=["public.orders"]),
         {"id": "testers", "effect": "allow", "who": ["group:testers"],
          "on": {"connection": "tools", "tools": ["echo", "refund_order"], "prompts": ["*"], "resources": ["*"]}}]


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True, max_connections=40)
    part.sql(SCHEMA)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    part = PgGateway(scratch / "gateway", oidc, [database("lab", server, "lab", "app"), http_connection("tools", upstream.url)], RULES,
                     PASSWORD, changes=with_login, env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture
def limited(gateway, tmp):
    """A person who signs in with what is given to `login`."""
    count = 0

    def sign_in(*argv) -> Person:
        nonlocal count
        count += 1
        person = Person(gateway, tmp / f"tess{count}", "tester")
        person.line = person.login(*argv)
        return person
    return sign_in


def wire(gateway, person) -> Wire:
    return Wire(Where(gateway.pg_port, "token", person.token, "lab"))


def refused_as(found, reason: str) -> bool:
    return len(found) == 1 and found[0]["C"] == "42501" and reason in found[0]["D"]


def refund(client, amount):
    return client.call("refund_order", {"order_id": "o_1", "amount": amount})


def test_a_tool_outside_is_refused_and_named(gateway, limited):
    person = limited("--only", "connection=tools tool=echo", "--reason", "looks at ticket twelve")
    client = gateway.client("tools", token=person.token)
    assert client.tool_names() == ["echo"], "lists show what the session may"
    assert not client.call("echo", {"message": "hi"}).result.get("isError")
    denied = refund(client, 1)
    assert denied.result["isError"] and denied.gateway["reason"] == "grant-exceeded", denied
    entry = gateway.recorded(event="call.denied", reason="grant-exceeded")[-1]
    assert entry["rules"] == ["grant:" + person.line["session"]], entry
    told = gateway.run("replay", entry["session"], "--data-dir", gateway.data_dir).stdout
    assert "login   " + person.line["session"] in told and "grant:" + person.line["session"] + ", grant-exceeded" in told, told
    opened = [e["access"] for e in gateway.recorded(event="session.opened") if e["access"]["session"] == person.line["session"]]
    assert opened[0]["limits"] == "connection=tools tool=echo" and opened[0]["why"] == "looks at ticket twelve"
    with pytest.raises(Refused) as outside:
        wire(gateway, person)
    assert outside.value.error["C"] == "3D000"
    full = gateway.client("tools", token=limited().token)
    assert set(full.tool_names()) == {"echo", "refund_order"} and not refund(full, 1).result.get("isError")


def test_it_is_shown(gateway, limited):
    spec = "connection=lab table=public.orders rows=10 uses=5"
    person = limited("--only", spec, "--only", "tool=echo", "--for", "30m", "--reason", "a report")
    page = person.asked.text
    for words in ("connection lab; table public.orders; at most 10 rows a result; at most 5 uses", "<li>tool echo</li>", "a report",
                  "30 minutes"):
        assert words in page, page
    me = json.loads(person.run("whoami", "--json").stdout)
    assert [limit["only"] for limit in me["limits"]] == [spec, "tool=echo"] and me["limits"][0]["used"] == 0 and me["reason"] == "a report"
    listed = json.loads(person.run("sessions", "list", "--json").stdout)["sessions"]
    mine = next(s for s in listed if s["this_one"])
    assert mine["limits"] == me["limits"] and mine["reason"] == "a report"
    browsers = [s["limits"] for s in listed if s["kind"] == "web"]
    assert browsers and not any(browsers), "the browser's own session is not limited with it"
    shown = person.run("whoami", "--why").stdout
    assert "at most 5 uses (0 used)" in shown and "a report" in shown
    plain = limited()
    assert "all that the rules let you do" in plain.asked.text
    assert json.loads(plain.run("whoami", "--json").stdout)["limits"] is None


def test_arguments(gateway, limited):
    client = gateway.client("tools", token=limited("--only", "tool=refund_order args.amount<=100", "--only", "tool=echo").token)
    assert not refund(client, 100).result.get("isError")
    for amount in (100.01, 1e30):
        assert refund(client, amount).gateway["reason"] == "grant-exceeded", amount
    assert client.call("refund_order", {"order_id": "o_1"}).gateway["reason"] == "grant-exceeded"
    assert not client.call("echo", {"message": "hi"}).result.get("isError")


def test_a_legacy_session_is_not_carried_over(gateway, limited):
    """What was begun without limits is not for a token with limits, nor the other way round."""
    full, narrow = limited(), limited("--only", "tool=echo")
    client = gateway.client("tools", token=full.token, version="2025-11-25").start()
    assert not refund(client, 1).result.get("isError")
    client.token = narrow.token
    assert refund(client, 1).status == 404
    other = gateway.client("tools", token=narrow.token, version="2025-11-25").start()
    assert refund(other, 1).gateway["reason"] == "grant-exceeded"


def test_uses_run_out_and_stay_out_after_a_restart(gateway, limited):
    person = limited("--only", "tool=echo uses=2", "--only", "connection=lab uses=2")
    client = gateway.client("tools", token=person.token)
    assert refund(client, 1).gateway["reason"] == "grant-exceeded", "uses nothing"
    assert not client.call("echo", {"message": "one"}).result.get("isError")
    with wire(gateway, person) as w:
        w.query("BEGIN")
        assert w.rows("SELECT count(*) FROM orders") == [["30"]]
        w.query("COMMIT")
    gateway.stop()
    gateway.start()
    client = gateway.client("tools", token=person.token)
    assert not client.call("echo", {"message": "two"}).result.get("isError")
    assert client.call("echo", {"message": "three"}).gateway["reason"] == "grant-exceeded"
    me = json.loads(person.run("whoami", "--json").stdout)
    assert [limit["used"] for limit in me["limits"]] == [2, 1]
    with wire(gateway, person) as w:
        assert rows_of(w.extended("SELECT count(*) FROM orders")) == [[b"30"]], "preparing and running it is one use"
        assert refused_as(errors(w.extended("SELECT count(*) FROM orders")), "grant-exceeded")
        assert refused_as(errors(w.query("SELECT 1")), "grant-exceeded")
        assert not errors(w.query("BEGIN; COMMIT")), "what only frames is no use"
    gateway.stop()
    gateway.start()
    client = gateway.client("tools", token=person.token)
    assert client.call("echo", {"message": "four"}).gateway["reason"] == "grant-exceeded"


def test_rows_are_cut(gateway, limited):
    with wire(gateway, limited("--only", "connection=lab rows=10")) as w:
        assert len(w.rows("SELECT n FROM orders LIMIT 10")) == 10
        for answer in (w.query("SELECT n FROM orders"), w.extended("SELECT n FROM orders")):
            assert len(rows_of(answer)) == 10 and "rows-exceeded" in errors(answer)[0]["D"], answer
    with wire(gateway, limited()) as w:
        assert len(w.rows("SELECT n FROM orders")) == 30


def test_tables(gateway, limited):
    with wire(gateway, limited("--only", "connection=lab table=public.orders")) as w:
        assert w.rows("SELECT count(*) FROM orders") == [["30"]]
        assert tags(w.query("BEGIN")) == ["BEGIN"] and tags(w.query("COMMIT")) == ["COMMIT"]
        assert tags(w.query("UPDATE orders SET n = n WHERE n = 1")) == ["UPDATE 1"]
        for text in ("SELECT n FROM payments", "SELECT n FROM public.payments", "SELECT o.n FROM orders o JOIN payments p USING (n)",
                     "SELECT n FROM orders; SELECT n FROM payments", "WITH x AS (SELECT n FROM payments) SELECT n FROM x",
                     "PREPARE p AS SELECT n FROM payments", "DECLARE c CURSOR WITH HOLD FOR SELECT n FROM payments"):
            answer = w.query(text)
            assert refused_as(errors(answer), "grant-exceeded") and not rows_of(answer), text
        for text in ("SELECT n FROM payments", "SELECT n FROM payments WHERE n = $1"):
            w.parse(text, "named")
            w.bind("", "named", [b"1"] if "$" in text else [])
            w.execute()
            w.sync()
            answer = w.until_ready()
            assert refused_as(errors(answer), "grant-exceeded") and not rows_of(answer), text
        assert rows_of(w.extended("SELECT count(*) FROM orders")) == [[b"30"]]


def test_reading_only(gateway, limited):
    with wire(gateway, limited("--only", "connection=lab effect=read")) as w:
        assert len(w.rows("SELECT n FROM payments")) == 30
        assert refused_as(errors(w.query("DELETE FROM orders WHERE n = 1")), "grant-exceeded")
        assert refused_as(errors(w.extended("DELETE FROM orders WHERE n = $1", [b"1"])), "grant-exceeded")
    with wire(gateway, limited("--only", "connection=lab", "--only", "tool=*")) as w:
        assert "policy-default-deny" in errors(w.query("DELETE FROM payments WHERE n = 1"))[0]["D"], "limits give nothing"


def test_time_ends_it(gateway, limited):
    person = limited("--for", "10s")
    streams = [gateway.client("tools", token=person.token, timeout=60).stream("subscriptions/listen", {"notifications": {"toolsListChanged": True}}),
               gateway.client("tools", token=person.token, version="2025-11-25", timeout=60).start().get()]
    assert [stream.status for stream in streams] == [200, 200]
    with wire(gateway, person) as w:
        assert w.rows("SELECT 1") == [["1"]]
        until = time.monotonic() + 12
        with pytest.raises(Refused) as over:
            while time.monotonic() < until:
                wire(gateway, person).terminate()
                time.sleep(0.5)
        assert "session-ended" in over.value.error["D"]
        kind, body = w.read(5)
        assert kind == "E" and "session-ended" in ServerError(body)["D"], "a connection that is open ends too"
    for stream in streams:
        said = []
        while (message := stream.next(10)) is not None:
            said.append(message)
        assert "session-ended" in json.dumps(said[-1]), said
    assert gateway.client("tools", token=person.token).request("tools/list").status == 401
    long = limited("--for", "24h")
    mine = next(s for s in json.loads(long.run("sessions", "list", "--json").stdout)["sessions"] if s["this_one"])
    lasts = datetime.fromisoformat(mine["expires_at"][:19]) - datetime.fromisoformat(mine["opened_at"][:19])
    assert lasts == timedelta(hours=4), "sessions.max_duration is the most"


def test_such_a_session_decides_and_ends_nothing_else(gateway, limited, tmp):
    person, other = limited("--only", "tool=*"), limited()
    done = person.run("sessions", "kill", other.line["session"])
    assert done.returncode == 3 and "grant-exceeded" in done.stderr, done
    admin = Person(gateway, tmp / "admin", "admin")
    admin.login("--only", "tool=*")
    done = admin.run("sessions", "kill", "--issuer", gateway.oidc.issuer, "--subject", "tester")
    assert done.returncode == 3 and "grant-exceeded" in done.stderr, done
    assert json.loads(other.run("whoami", "--json").stdout)["subject"] == "tester"
    assert person.run("logout").returncode == 0, "itself it may end"


def test_bad_limits(gateway, tmp):
    person = Person(gateway, tmp / "bad", "tester")
    for spec, says in (("tool=a tol=b", 'column 8: unknown key "tol"'), ("rows=0", "column 6"), ("", "column 1"), ("tool=a[", "column 6"),
                       ("args.a<x", "column 8"), ("args.pan=4111111111111111", "column 10"), ("tool=a\ntool=b", "one line")):
        done = person.run("login", "--only", spec)
        assert done.returncode == 2 and says in done.stderr, (spec, done)
    for time_ in ("soon", "0s", "-1m", "1000d"):
        assert person.run("login", f"--for={time_}").returncode == 2, time_
    browser = Browser()
    browser.sign_in(gateway, "tester")
    asked = {"port": "4444", "challenge": "A" * 43, "state": "A" * 16, "host": "x"}

    def page(extra: str):
        return browser.get(f"{gateway.public_url}/login/cli?{urllib.parse.urlencode(asked)}{extra}")
    assert page("&only=tool%3Da").status == 200
    for extra in ("&only=tol%3Da", "&only=tool%3Da&only=tool%3Db", "&for=0", "&for=x", "&for=1&for=2", "&reason=a%0Ab",
                  "&reason=" + "x" * 201, "&reason=4111+1111+1111+1111", "&only=tool%3Da%0A"):
        assert page(extra).status == 400, extra
    shown = page("&only=" + urllib.parse.quote('tool="<b>x</b>"') + "&reason=%3Cscript%3E")
    assert shown.status == 200 and "<b>x" not in shown.text and "<script>" not in shown.text
