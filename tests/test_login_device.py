"""`sallyport login --device` (RFC 8628): a program without a browser, a person with one elsewhere, and those who want in between."""

import json
import re
import time
import urllib.parse

import pytest

from kit.browser import Browser as Chromium
from kit.parts import Gateway, http_connection
from kit.paths import sallyport
from kit.person import LOGIN_ENV, Browser, Person, with_login
from kit.process import Process, eventually, free_port
from kit.shifted_clock import ShiftedClock


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    part = Gateway(scratch / "gateway", oidc, [http_connection("tools", upstream.url)], changes=with_login, env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture
def another(gateway, start_gateway, tmp, upstream):
    """A gate of the test's own at the same address, as the issuer knows only that one; the module's comes back afterwards."""
    gateway.stop()

    def start(**how):
        return start_gateway(tmp / "gate", gateway.oidc, [http_connection("tools", upstream.url)], changes=with_login,
                             env={**LOGIN_ENV, **how.pop("env", {})}, port=gateway.port, **how)
    started = []
    yield lambda **how: started.append(start(**how)) or started[-1]
    for part in started:
        part.stop()
    gateway.start()


@pytest.fixture
def tess(gateway):
    browser = Browser()
    browser.sign_in(gateway, "tester")
    return browser


def post(gateway, path: str, body, headers: dict | None = None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Browser().ask("POST", gateway.public_url + path, data, {"Content-Type": "application/json", **(headers or {})}, site="")


def begin(gateway, headers: dict | None = None, **body) -> dict:
    page = post(gateway, "/api/v1/device", body, headers)
    assert page.status == 200, page
    return page.json


def poll(gateway, begun: dict):
    return post(gateway, "/api/v1/device/token", {"device_code": begun["device_code"]})


def code_of(page) -> str:
    return page.json["code"]


def type_code(gateway, browser, code: str, **how):
    return browser.submit(browser.get(gateway.public_url + "/device"), code=code, **how)


def decide(gateway, browser, code: str, decision: str = "approve"):
    page = type_code(gateway, browser, code)
    assert page.status == 200 and "/device" in page.url, page
    return browser.submit(page, decision=decision)


def login(gateway, tmp, *more) -> tuple[Person, Process, str]:
    """The command, waiting, and the code that it shows."""
    person = Person(gateway, tmp / "tess", "tester")
    process = Process("login", [sallyport(), "login", "--device", "--json", *more], person.directory, person.env)
    assert process.wait_line(r"\S+/device$", stream="err").group(0).strip() == gateway.public_url + "/device"
    return person, process, process.wait_line(r"^\s+([A-Z]{4}-[A-Z]{4})$", stream="err").group(1)


# -- the way it is meant

def test_a_machine_without_a_browser(gateway, tess, tmp):
    person, process, code = login(gateway, tmp, "--reason", "nightly report")
    page = type_code(gateway, tess, code.replace("-", "").lower())
    assert page.status == 200 and code in page.text, page
    for words in ("127.0.0.1", "nightly report", "sallyport/", "tess@example.com", "started yourself"):
        assert words in page.text, words
    assert process.popen.poll() is None
    assert tess.submit(page, decision="approve").status == 200
    assert process.wait(30) == 0, process.err
    line = process.wait_json()
    process.stop()
    assert line["session"].startswith("u_") and "token" not in line
    assert (person.directory / "state/sallyport/session.json").stat().st_mode & 0o777 == 0o600
    me = json.loads(person.run("whoami", "--json").stdout)
    assert me["subject"] == "tester" and me["session"] == line["session"]
    mine = next(s for s in json.loads(person.run("sessions", "list", "--json").stdout)["sessions"] if s["this_one"])
    assert mine["kind"] == "cli" and mine["reason"] == "nightly report" and "let in from 127.0.0.1" in mine["client"]
    assert gateway.client("tools", token=person.token).request("tools/list").status == 200
    opened = gateway.recorded(event="session.opened")[-1]
    assert opened["access"]["session"] == line["session"] and opened["access"]["who"]["subject"] == "tester"
    assert person.run("logout").returncode == 0


def test_a_refusal_in_the_browser_ends_it(gateway, tess, tmp):
    person, process, code = login(gateway, tmp)
    assert "refused" in decide(gateway, tess, code, "deny").text
    assert process.wait(30) == 3 and "login-denied" in "".join(process.err), process.err
    process.stop()
    assert not (person.directory / "state/sallyport/session.json").exists()
    denied = gateway.recorded(event="auth.failure", reason="login-denied", method="device")
    assert any(e.get("access", {}).get("who", {}).get("subject") == "tester" for e in denied)


def test_usage(gateway, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    for limit in (["--only", "tool=a"], ["--for", "30m"]):
        assert person.run("login", "--device", *limit).returncode == 2, limit
    person.env["SALLYPORT_SERVER"] = f"http://127.0.0.1:{free_port()}"
    assert person.run("login", "--device").returncode == 4


def test_the_pages(gateway, scratch):
    chromium = Chromium(scratch)
    try:
        for scheme in ("light", "dark"):
            one = chromium.person(f"tess-{scheme}", scheme=scheme, width=360, height=740)
            begun = begin(gateway, reason="a reason that is long enough to need more than one line of a small screen", host="h" * 64)
            one.log_in(begun["verification_uri_complete"], "tester")
            for step, look in (("", "#code"), ("button", "dl"), ("button.no", "h1"), (None, "#code")):
                if step is None:
                    one.goto(url=gateway.public_url + "/device")
                    one.fill(selector="#code", value="BBBB-BBBB")
                    one.click(selector="button")
                    one.wait(selector="[role=alert]")
                elif step:
                    one.click(selector=step)
                one.wait(selector=look)
                assert one.axe() == [], (step, scheme)
                assert not one.wide(), (step, scheme, one.text(selector="body"))
            assert one.foreign(gateway.public_url + "/", gateway.oidc.issuer + "/") == []
            assert [line for line in one.console() if "400" not in line and "404" not in line] == []
            one.close()
    finally:
        chromium.stop()


# -- attacks

def test_a_link_confirms_nothing_by_itself(gateway, tess):
    """The attacker begins a login and sends the victim the whole link."""
    begun = begin(gateway, host="attacker")
    page = tess.get(begun["verification_uri_complete"], site="cross-site")
    assert page.status == 200 and begun["user_code"] in page.text
    assert code_of(poll(gateway, begun)) == "login-pending"
    for path in (f"/device/decision?code={begun['user_code']}&decision=approve", f"/device?code={begun['user_code']}&decision=approve"):
        tess.get(gateway.public_url + path)
    page = tess.submit(page)  # the first click shows who asks
    assert "attacker" in page.text and "127.0.0.1" in page.text
    time.sleep(5)
    assert code_of(poll(gateway, begun)) == "login-pending"
    assert Browser().get(begun["verification_uri_complete"], follow=False).status == 303  # to the login


def test_other_sites_and_other_browsers_cannot_confirm(gateway, tess):
    begun = begin(gateway)
    page = type_code(gateway, tess, begun["user_code"])
    action, fields = page.form()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = urllib.parse.urlencode({**fields, "decision": "approve"}).encode()
    for how in ({"site": "cross-site", "origin": "https://evil.test"}, {"site": "cross-site"}, {"site": ""}, {"site": "same-site"}):
        assert tess.ask("POST", action, body, form, **how).status == 403, how
    other = Browser()
    other.sign_in(gateway, "tester2")
    mixed = other.ask("POST", action, body, form, site="same-origin", origin=gateway.public_url)
    assert mixed.status == 403 and code_of(mixed) == "origin-refused", mixed  # the form of another session
    nobody = Browser().ask("POST", action, body, form, site="same-origin", origin=gateway.public_url)
    assert nobody.status == 401, nobody
    assert tess.ask("POST", action, urllib.parse.urlencode({**fields, "decision": "maybe"}).encode(), form, site="same-origin",
                    origin=gateway.public_url).status == 400
    assert code_of(poll(gateway, begun)) == "login-pending"
    assert tess.ask("POST", action, body, form, site="same-origin", origin=gateway.public_url).status == 200  # what they lacked
    again = tess.ask("POST", action, body, form, site="same-origin", origin=gateway.public_url)
    assert again.status == 400 and "login-code-unknown" in again.text


def test_a_code_is_used_once(gateway, tess):
    begun = begin(gateway)
    assert "signed in" in decide(gateway, tess, begun["user_code"]).text
    for decision in ("approve", "deny"):  # decided is decided, for everybody
        page = type_code(gateway, tess, begun["user_code"])
        assert page.status == 400 and "login-code-unknown" in page.text, (decision, page)
    first = poll(gateway, begun)
    assert first.status == 200 and first.header("cache-control") == "no-store", first
    token = first.json["token"]
    assert gateway.client("tools", token=token).request("tools/list").status == 200
    replay = poll(gateway, begun)
    assert replay.status == 400 and code_of(replay) == "login-code-unknown" and replay.json["error"] == "invalid_grant"
    after = gateway.client("tools", token=token).request("tools/list")
    assert after.status == 401 and "session-ended" in after.header("www-authenticate"), "two held the code"
    assert gateway.recorded(event="auth.failure", reason="login-code-unknown", method="device")


def test_guessing(gateway):
    begun = begin(gateway)
    eve, ana = Browser(), Browser()
    eve.sign_in(gateway, "tester2")
    ana.sign_in(gateway, "ana")
    for n in range(10):
        page = type_code(gateway, eve, f"BBBB-BBB{'BCDFGHJKLM'[n]}" if n else "not a code")
        assert page.status == 400 and "login-code-unknown" in page.text, page
    again = Browser()  # a new session of the same person
    again.sign_in(gateway, "tester2")
    for browser in (eve, again):
        page = type_code(gateway, browser, begun["user_code"])
        assert page.status == 429 and "rate-limited" in page.text and "Asked from" not in page.text, page
    assert type_code(gateway, ana, begun["user_code"]).status == 200
    assert len(gateway.recorded(event="auth.failure", reason="login-code-unknown", method="device")) >= 10
    limited = gateway.recorded(event="auth.failure", reason="rate-limited", method="device")
    assert limited[-1]["access"]["who"]["subject"] == "tester2"
    for bad in (begun["user_code"], "", "A" * 43, begun["device_code"] + "x"):
        assert code_of(post(gateway, "/api/v1/device/token", {"device_code": bad})) in ("login-code-unknown", "request-malformed")
    assert code_of(poll(gateway, begun)) == "login-pending"


def test_polling_too_fast(gateway, tess):
    begun = begin(gateway)
    assert begun["interval"] == 5 and begun["expires_in"] == 600
    page = poll(gateway, begun)
    assert page.status == 400 and (code_of(page), page.json["error"]) == ("login-pending", "authorization_pending")
    decide(gateway, tess, begun["user_code"])
    for _ in range(2):
        page = poll(gateway, begun)
        assert page.status == 400 and (code_of(page), page.json["error"]) == ("login-slow-down", "slow_down")
    time.sleep(5)
    assert code_of(poll(gateway, begun)) == "login-slow-down"  # fifteen seconds by now, and approved or not is not told
    assert gateway.recorded(event="auth.failure", reason="login-slow-down", method="device")


def test_it_expires(another, tmp):
    clock = ShiftedClock(tmp / "clock")
    gate = another(env=clock.env)
    tess = Browser()
    tess.sign_in(gate, "tester")
    late, shown, unfetched = begin(gate), begin(gate), begin(gate)
    page = type_code(gate, tess, shown["user_code"])
    decide(gate, tess, unfetched["user_code"])
    clock.step(601)
    eventually(lambda: code_of(poll(gate, late)) == "login-expired", 3)
    for begun in (late, unfetched):
        answer = poll(gate, begun)
        assert answer.status == 400 and (code_of(answer), answer.json["error"]) == ("login-expired", "expired_token"), answer
    answer = tess.submit(page, decision="approve")
    assert answer.status == 400 and "login-code-unknown" in answer.text
    assert type_code(gate, tess, late["user_code"]).status == 400
    assert gate.recorded(event="auth.failure", reason="login-expired", method="device")
    clock.step(0)


def test_a_restart_is_said(another, tmp):
    gate = another()
    _, process, code = login(gate, tmp)
    gate.stop()
    time.sleep(6)  # it asks meanwhile, and goes on asking
    assert process.popen.poll() is None
    gate.start()
    assert process.wait(40) == 1 and "begin again" in "".join(process.err) and "login-code-unknown" in "".join(process.err), process.err
    process.stop()
    tess = Browser()
    tess.sign_in(gate, "tester")
    assert type_code(gate, tess, code).status == 400


def test_a_flood(another):
    gate = another()
    first = begin(gate)
    found = [post(gate, "/api/v1/device", {"host": f"h{n}"}) for n in range(80)]
    assert [p.status for p in found] == [200] * 59 + [429] * 21
    assert {code_of(p) for p in found[59:]} == {"limit-exceeded"}
    assert len(gate.recorded(event="auth.failure", reason="limit-exceeded", method="device")) == 21
    codes = {p.json["user_code"] for p in found[:59]} | {first["user_code"]}
    assert len(codes) == 60 and all(re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", c) for c in codes)
    tess = Browser()
    tess.sign_in(gate, "tester")
    decide(gate, tess, first["user_code"])  # who waits already goes on
    assert poll(gate, first).status == 200


def test_what_a_program_says_of_itself(gateway, tess):
    begun = begin(gateway, {"User-Agent": "<script>alert(1)</script> \"'" + "u" * 300},
                  host="<img src=x onerror=alert(1)>", reason="</dd><h1>\u202eevil</h1> card 4111 1111 1111 1111")
    page = type_code(gateway, tess, begun["user_code"])
    assert page.status == 200 and "&lt;img src=x" in page.text and "&lt;script&gt;" in page.text
    for bad in ("<img", "<script", "<h1>\u202e", "\u202e", "4111 1111 1111 1111", "u" * 200):
        assert bad not in page.text, bad
    for bad in (b"", b"[]", b"{", b'{"host":1}', b'{"host":"' + b"h" * 65 + b'"}', b'{"reason":"' + b"r" * 201 + b'"}', b'{"host":"a\\u0000"}',
                b'{"host":"a","host":"b"}'):
        assert post(gateway, "/api/v1/device", bad).status == 400, bad
    for bad in ({}, {"device_code": 1}, {"device_code": "x" * 129}, []):
        page = post(gateway, "/api/v1/device/token", bad)
        assert page.status == 400 and page.json["error"], (bad, page)
    assert post(gateway, "/api/v1/device", {}, {"Origin": "https://evil.test"}).status == 403
    assert tess.ask("POST", gateway.public_url + "/api/v1/device", b"{}", {"Content-Type": "text/plain"}, site="same-origin").status == 400


def test_no_code_is_in_the_log(gateway, tess):
    begun = begin(gateway)
    decide(gateway, tess, begun["user_code"])
    token = poll(gateway, begun).json["token"]
    poll(gateway, begun)
    everything = json.dumps(gateway.entries()) + gateway.process.out + gateway.process.err
    for secret in (begun["device_code"], begun["user_code"], token):
        assert secret not in everything
