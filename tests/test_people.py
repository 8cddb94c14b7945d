"""People's sessions from outside: signing in with a real OpenID provider, the command line, locking and unlocking, ending."""

import json
import time

import pytest

from kit.browser import Browser as Chromium
from kit.parts import http_connection
from kit.paths import sallyport
from kit.person import LOGIN_ENV, Browser, Person, with_login
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Refused, ServerError, Where, Wire
from kit.postgres import Postgres
from kit.process import Process

PASSWORD = "people-password"
RULES = [rule("all", "lab", statements=["SELECT"], relations=["public.*"], functions={"allow": ["pg_sleep"]}),
         {"id": "testers", "effect": "allow", "who": ["group:testers"],
          "on": {"connection": "tools", "tools": ["*"], "prompts": ["*"], "resources": ["*"]}}]


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, max_connections=40)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    part = PgGateway(scratch / "gateway", oidc, [database("lab", server, "lab", "app"), http_connection("tools", upstream.url)], RULES,
                     PASSWORD, changes=lambda c: (with_login(c), c["identity"]["roles"]["auditor"].extend(["user:ada@example.com", f"user:{oidc.issuer}|grace"])), env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture
def tess(gateway, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    person.login()
    return person


def psql(gateway, token) -> Where:
    return Where(gateway.pg_port, "token", token, "lab")


def test_login_whoami_logout(gateway, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    assert person.run("whoami").returncode == 4, "nobody is signed in"
    line = person.login()
    assert line["session"].startswith("u_") and "token" not in line
    assert (tmp / "tess/state/sallyport/session.json").stat().st_mode & 0o777 == 0o600
    assert person.token.startswith("sps_") and len(person.token) == 53
    me = json.loads(person.run("whoami", "--why", "--json").stdout)
    assert (me["name"], me["subject"], me["issuer"]) == ("tess@example.com", "tester", gateway.oidc.issuer)
    assert me["groups"] == ["testers"] and me["session"] == line["session"] and me["token_class"] == "session"
    assert me["groups_complete"] and me["groups_from"].startswith('claim "groups" at the login of 20'), me
    assert {r["id"] for r in me["rules"]} == {"all", "testers"} and me["rules"][0]["because"] == ["group:testers"]
    shown = person.run("whoami", "--why")
    assert "group:testers" in shown.stdout and "tess@example.com" in shown.stdout and person.token not in shown.stdout
    listed = json.loads(person.run("sessions", "list", "--json").stdout)["sessions"]
    assert {(s["kind"], s["this_one"]) for s in listed} == {("cli", True), ("web", False)}
    token = person.token
    done = person.run("logout")
    assert done.returncode == 0 and not (tmp / "tess/state/sallyport/session.json").exists(), done
    refused = gateway.client("tools", token=token).request("tools/list")
    assert refused.status == 401 and "session-ended" in refused.header("www-authenticate")
    assert {e["access"]["kind"] for e in gateway.recorded(event="session.opened")} == {"cli", "web"}
    killed = gateway.recorded(event="session.killed")[-1]
    assert killed["access"]["session"] == line["session"] and killed["access"]["why"] == "signed out"
    assert killed["access"]["who"]["subject"] == "tester"


def test_whoami_why_of_a_providers_own_token(gateway, oidc, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    (tmp / "token").write_text(oidc.token_of("tester", groups=["testers"]))
    me = json.loads(person.run("whoami", "--why", "--json", "--token-file", tmp / "token").stdout)
    assert me["token_class"] == "access" and me["groups_from"] == 'claim "groups" of this token' and me["session"] is None
    assert "groups_note" not in me and {r["id"] for r in me["rules"]} == {"all", "testers"}
    (tmp / "cut").write_text(oidc.token_of("tester", groups=[f"g{i}" for i in range(100)]))
    me = json.loads(person.run("whoami", "--why", "--json", "--token-file", tmp / "cut").stdout)
    assert not me["groups_complete"] and "100" in me["groups_note"], me
    shown = person.run("whoami", "--why", "--token-file", tmp / "cut").stdout
    assert "the provider cut the list" in shown and "groups cut" in shown and "groups from" in shown and "access" in shown


def test_a_role_is_not_given_to_whoever_calls_themselves_so(gateway, oidc):
    """nOAuth: the name in a token is what people choose at some providers; the account is the issuer and the subject."""
    def roles(subject, email):
        page = Browser().api(gateway.public_url, "GET", "/api/v1/me?why", headers={"Authorization": "Bearer " + oidc.token_of(subject, email)})
        assert page.status == 200, page
        return page.json["roles"]

    assert roles("thief", "ada@example.com") == roles("thief-2", f"{oidc.issuer}|grace") == []
    assert roles("grace", "whatever@example.com") == ["auditor"]


def test_the_forms_work_in_a_real_browser(gateway, scratch, tmp):
    """What a browser says of where a form comes from is its own business: headers of the page have a part in it."""
    chromium = Chromium(scratch)
    try:
        one = chromium.person("tess")
        person = Person(gateway, tmp / "tess", "tester")
        process = Process("login", [sallyport(), "login", "--json"], person.directory, person.env)
        one.log_in(process.wait_line(r"http://\S+/login/cli\?\S+", stream="err").group(0), "tester")
        one.click(selector="button")
        one.wait(text="You are signed in")  # on the loopback page of the program
        assert process.wait(15) == 0, process.err
        process.stop()
        assert person.run("whoami").returncode == 0
        one.goto(url=gateway.public_url + "/logout")
        one.click(selector="button")
        one.wait(text="You are signed out")
    finally:
        chromium.stop()


def test_the_token_is_good_for_mcp_and_postgresql(gateway, tess):
    assert "echo" in gateway.client("tools", token=tess.token).tool_names()
    legacy = gateway.client("tools", token=tess.token, version="2025-11-25").start()
    assert not legacy.call("echo", {"text": "hi"}).result.get("isError")
    with Wire(psql(gateway, tess.token)) as wire:
        assert wire.rows("SELECT 1") == [["1"]]
    who = [e["who"] for e in gateway.audit("auth.success") if e["who"].get("token_class") == "session"]
    assert who and {w["subject"] for w in who} == {"tester"}


def test_a_session_survives_a_restart(gateway, tess):
    gateway.stop()
    gateway.start()
    assert json.loads(tess.run("whoami", "--json").stdout)["subject"] == "tester"
    with Wire(psql(gateway, tess.token)) as wire:
        assert wire.rows("SELECT 1") == [["1"]]
    assert tess.run("logout").returncode == 0


def test_garbage_and_foreign_session_tokens(gateway, tess):
    for token, reason in (("sps_", "token-malformed"), ("sps_" + "A" * 49, "token-malformed"), (tess.token[:-1], "token-malformed"),
                          (tess.token + "A", "token-malformed"), (tess.token[:-1] + ("A" if tess.token[-1] != "A" else "B"), "token-malformed")):
        reply = gateway.client("tools", token=token).request("tools/list")
        assert reply.status == 401 and reason in reply.header("www-authenticate"), (token, reply)
        with pytest.raises(Refused) as refused:
            Wire(psql(gateway, token))
        assert reason in refused.value.error["D"]
    cookie = next(v for k, v in tess.browser.cookies[f"127.0.0.1:{gateway.port}"].items() if k == "sallyport")
    reply = gateway.client("tools", token=cookie).request("tools/list")
    assert reply.status == 401 and "token-type-wrong" in reply.header("www-authenticate"), "a browser's session is for the browser"
    page = Browser().ask("GET", gateway.public_url + "/api/v1/me", headers={"Cookie": f"sallyport={tess.token}"})
    assert page.status == 401 and page.json["code"] == "token-type-wrong", "and the command line's is none for a browser"


def test_idle_locks_and_unlocking_in_the_browser_goes_on(scratch, tmp, server, upstream, gateway):
    """2 s stand for the 15 minutes here; that keepalives are no work and what the clocks do is in access_test."""
    part = PgGateway(scratch / "idle", gateway.oidc, [database("lab", server, "lab", "app"), http_connection("tools", upstream.url)], RULES,
                     PASSWORD, changes=lambda c: (with_login(c), c.update(sessions={"idle": "3s"})), env=LOGIN_ENV, port=gateway.port, start=False)
    gateway.stop()
    try:
        part.start()
        person = Person(part, tmp / "tess", "tester")
        session = person.login()["session"]
        token = person.token
        busy = Wire(psql(part, token))
        busy.send("Q", b"SELECT pg_sleep(7)\0")
        mcp = part.client("tools", token=token, version="2025-11-25").start()
        stream = mcp.get()
        until = time.monotonic() + 6
        while time.monotonic() < until:  # a running query is work: the token goes on
            assert mcp.request("ping").status == 200
            time.sleep(0.5)
        busy.until_ready(10)
        deadline = time.monotonic() + 12
        locked = None
        while time.monotonic() < deadline:  # pings are none
            reply = mcp.request("ping")
            if "error" in reply.answer:
                locked = reply
                break
            time.sleep(0.25)
        assert locked is not None, "pings kept the session awake"
        assert locked.status == 200 and "session-locked" in json.dumps(locked.error) and f"/unlock?session={session}" in locked.error["message"]
        answer = mcp.call("echo", {"text": "x"})
        assert answer.result["isError"] and answer.gateway["reason"] == "session-locked" and "/unlock?session=" in answer.text()
        modern = part.client("tools", token=token).call("echo", {"text": "x"})
        assert modern.result["isError"] and modern.gateway["reason"] == "session-locked", modern
        said = None
        while said is None or said["S"] != "FATAL":
            kind, body = busy.read(5)
            said = ServerError(body) if kind == "E" else said
        assert "/unlock?session=" in said["M"] + said.get("D", "") and said["C"] == "57P05", said
        with pytest.raises(Refused) as refused:
            Wire(psql(part, token))
        assert "session-locked" in refused.value.error["D"] and f"/unlock?session={session}" in refused.value.error["D"]
        assert stream.ended.wait(5), "a stream of a locked session goes on"
        assert part.recorded(event="session.locked")

        # Another person cannot; the person can, after a fresh login.
        other = Browser()
        other.sign_in(part, "tester2")
        page = other.get(part.public_url + f"/unlock?session={session}")
        if "/interaction/" in page.url:
            page = other.submit(page, login="tester2")
        assert page.status == 404 and "no such session" in page.text
        cookie_before = person.browser.cookies[f"127.0.0.1:{part.port}"]["sallyport"]
        page = person.browser.get(part.public_url + f"/unlock?session={session}")
        assert "/interaction/" in page.url, "unlocking wants a fresh login"
        page = person.browser.submit(page, login="tester")
        assert page.status == 200 and session in page.text, page
        cookie = dict(person.browser.cookies[f"127.0.0.1:{part.port}"])
        assert cookie["sallyport"] != cookie_before, "the browser's session of before is not carried over"
        assert person.browser.submit(page).status == 200
        assert cookie["sallyport"] == person.browser.cookies[f"127.0.0.1:{part.port}"]["sallyport"]
        assert not mcp.call("echo", {"text": "again"}).result.get("isError"), "the same token, the same session"
        with Wire(psql(part, token)) as wire:
            assert wire.rows("SELECT 1") == [["1"]]
        assert part.recorded(event="session.unlocked")
    finally:
        part.stop()
        gateway.start()


def test_a_session_that_somebody_ends(gateway, tess, tmp):
    other = Person(gateway, tmp / "tom", "tester2")
    other.login()
    mine = tess.kept["session"]
    done = other.run("sessions", "kill", mine)
    assert done.returncode == 3 and "session-unknown" in done.stderr, "another's session is none of one's business"
    assert other.run("sessions", "list", "--all").returncode == 3
    assert tess.run("sessions", "kill", "nonsense!").returncode == 2
    assert other.run("sessions", "kill", "--issuer", gateway.oidc.issuer, "--subject", "tester").returncode == 3
    admin = Person(gateway, tmp / "admin", "admin")
    admin.login()
    assert mine in admin.run("sessions", "list", "--all").stdout
    assert admin.run("sessions", "kill", mine, "--reason", "lost laptop").returncode == 0
    done = tess.run("whoami")
    assert done.returncode == 4 and "session-ended" in done.stderr, done
    killed = [e for e in gateway.recorded(event="session.killed") if e["access"].get("session") == mine]
    assert killed[0]["access"]["by"] == "adam@example.com" and killed[0]["access"]["why"] == "lost laptop"


def test_json_facts_and_exit_codes(gateway, tmp):
    person = Person(gateway, tmp / "nobody", "tester")
    assert person.run("login", "--help").returncode == 0
    assert person.run("logout").returncode == 4
    (tmp / "token").write_text("sps_x")
    assert person.run("whoami", "--server", "http://127.0.0.1:1", "--token-file", tmp / "token").returncode == 4
