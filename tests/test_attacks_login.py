"""Attacks on signing in, on the browser's session and on the API, from outside: redirects, login CSRF and fixation, cross-site requests,
codes and verifiers, spoofed headers, tokens where they do not belong."""

import base64
import hashlib
import json
import os
import pathlib
import urllib.parse

import pytest

from kit.parts import Gateway, http_connection
from kit.person import LOGIN_ENV, Browser, Person, with_login
from kit.process import eventually


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    part = Gateway(scratch / "gateway", oidc, [http_connection("tools", upstream.url)], changes=with_login, env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture
def tess(gateway):
    browser = Browser()
    browser.sign_in(gateway, "tester")
    assert session_of(browser, gateway)
    return browser


def session_of(browser, gateway):
    return browser.cookies.get(f"127.0.0.1:{gateway.port}", {}).get("sallyport")


def me(browser, gateway, **how):
    return browser.api(gateway.public_url, "GET", "/api/v1/me", **how)


# -- redirects ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("next_", ["//evil.test", "/\\evil.test", "\\\\evil.test", "https:evil.test", "https://evil.test/", "///evil.test",
                                   "/%2f%2fevil.test", "/..//evil.test", "/\r\nX-Evil: 1", "%0d%0aX-Evil:1", "/。evil.test", "/@evil.test",
                                   "javascript:alert(1)", "/login/callback?code=x", "/logout", "/api/v1/sessions", "http://127.0.0.1.evil.test/",
                                   "//127.0.0.1:1/", "/a b", "/" + "a" * 5000, "evil"])
def test_no_open_redirect(gateway, next_):
    browser = Browser()
    page = browser.get(gateway.public_url + "/login?next=" + urllib.parse.quote(next_, safe=""))
    page = browser.submit(page, login="tester", follow=False)
    while page.status in (302, 303):
        to = urllib.parse.urljoin(page.url, page.header("location"))
        assert urllib.parse.urlsplit(to).netloc in (f"127.0.0.1:{gateway.port}", f"127.0.0.1:{gateway.oidc.port}"), to
        assert page.header("x-evil") is None
        if "/login/callback" in page.url:
            assert to == gateway.public_url + "/approvals", to
            return
        page = browser.ask("GET", to)
    raise AssertionError(f"no callback: {page}")


def test_a_page_of_ones_own_is_come_back_to(gateway):
    browser = Browser()
    page = browser.sign_in(gateway, "tester", "/login?next=" + urllib.parse.quote("/unlock?session=u_1", safe=""))
    assert any(url.startswith(gateway.public_url + "/unlock?session=u_1") for url, _, _ in browser.seen), page


# -- the login of another -----------------------------------------------------------------------------------------------------------------
def begin(gateway, browser, who="tester"):
    """Everything up to the way back to the gate, which is not gone."""
    page = browser.get(gateway.public_url + "/login")
    page = browser.submit(page, login=who, follow=False)
    page = browser.follow(page, stop=lambda to: "/login/callback" in to)
    return page.header("location")


def test_a_state_of_another_browser_is_refused_and_not_used_up(gateway):
    """Login CSRF: the attacker's answer in the victim's browser would sign the victim in as the attacker."""
    attacker, victim, empty = Browser(), Browser(), Browser()
    back = begin(gateway, attacker)
    victim.get(gateway.public_url + "/login")  # has a login of its own under way
    for browser in (victim, empty):
        page = browser.get(back, follow=False)
        assert page.status == 400 and "state-invalid" in page.text and not session_of(browser, gateway), page
    page = attacker.get(back, follow=False)
    assert page.status == 303 and session_of(attacker, gateway), "the login it belongs to goes on"
    again = attacker.get(back, follow=False)
    assert again.status == 400, "once"
    assert gateway.recorded(event="auth.failure", reason="state-invalid", method="login")


def test_states_that_are_none(gateway, tess):
    for query in ("", "state=x&code=y", "code=y", "state=" + "A" * 32 + "&code=y", "state=a&state=b&code=c", "error=access_denied",
                  "state=%00&code=%00", "state=" + "a" * 4000 + "&code=b"):
        page = Browser().get(gateway.public_url + "/login/callback?" + query, follow=False)
        assert page.status == 400 and not page.all("set-cookie"), (query, page)


def test_another_issuer_answers(gateway):
    browser = Browser()
    back = begin(gateway, browser)
    wrong = back.replace(urllib.parse.quote(gateway.oidc.issuer, safe=""), urllib.parse.quote("https://evil.test", safe=""))
    if wrong == back:
        wrong = back + "&iss=https%3A%2F%2Fevil.test" if "iss=" not in back else back.replace("iss=", "iss=x")
    page = browser.get(wrong, follow=False)
    assert page.status == 401 and "token-issuer-unknown" in page.text and not session_of(browser, gateway), page


def test_a_code_that_is_none_or_somebody_elses(gateway):
    one, two = Browser(), Browser()
    back_one, back_two = begin(gateway, one), begin(gateway, two, "tester2")
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(back_two).query)["code"][0]
    mine = urllib.parse.parse_qs(urllib.parse.urlsplit(back_one).query)["code"][0]
    page = one.get(back_one.replace(mine, code), follow=False)  # injected: bound to the other's verifier
    assert page.status == 400 and not session_of(one, gateway), page
    three = Browser()
    back = begin(gateway, three)
    used = urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"][0]
    assert three.get(back.replace(used, "A" * 43), follow=False).status == 400
    assert not session_of(three, gateway)


def test_the_session_changes_with_every_login(gateway):
    """Fixation: a cookie that was there before the login is worth nothing after it."""
    browser = Browser()
    browser.cookies[f"127.0.0.1:{gateway.port}"] = {"sallyport": "sps_" + "A" * 49}
    browser.sign_in(gateway, "tester")
    first = session_of(browser, gateway)
    assert first != "sps_" + "A" * 49 and me(browser, gateway).status == 200
    browser.sign_in(gateway, "tester")
    second = session_of(browser, gateway)
    assert second != first
    old = Browser().ask("GET", gateway.public_url + "/api/v1/me", headers={"Cookie": f"sallyport={first}"})
    assert old.status == 401 and old.json["code"] == "session-ended"
    fields = next(v for v in browser.get(gateway.public_url + "/login", follow=False).all("set-cookie"))
    assert "HttpOnly" in fields and "SameSite=Lax" in fields and "Path=/" in fields and "Domain" not in fields


# -- cross-site ------------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("headers, why", [
    ({"Origin": "https://evil.test", "Sec-Fetch-Site": "cross-site"}, "origin-refused"),
    ({"Origin": None, "Sec-Fetch-Site": "cross-site"}, "origin-refused"),
    ({"Origin": None, "Sec-Fetch-Site": "same-site"}, "origin-refused"),
    ({"Origin": None, "Sec-Fetch-Site": "none"}, "origin-refused"),
    ({"Origin": None, "Sec-Fetch-Site": None}, "origin-refused"),
    ({"Origin": "null", "Sec-Fetch-Site": None}, "origin-refused"),
    ({"X-Sallyport": None}, "header-invalid"),
    ({"X-Sallyport": "0"}, "header-invalid"),
    ({"Host": "evil.test"}, "host-refused"),
])
def test_cross_site_requests(gateway, tess, headers, why):
    session = me(tess, gateway).json["session"]
    page = tess.api(gateway.public_url, "DELETE", f"/api/v1/sessions/{session}", headers=headers)
    assert page.status in (400, 403) and page.json["code"] == why, page
    assert me(tess, gateway).status == 200, "it took effect"
    assert gateway.recorded(event="request.refused", reason=why)
    assert tess.api(gateway.public_url, "DELETE", f"/api/v1/sessions/{session}").status == 200
    assert me(tess, gateway).status == 401


def test_forms_of_other_sites(gateway, tess):
    """Top-level navigations carry the cookie (SameSite=Lax): none of them may do anything."""
    person_page = tess.get(gateway.public_url + "/login/cli?port=40000&state=abcdefgh&challenge=" + "A" * 43, site="cross-site")
    action, fields = person_page.form()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for how in ({"site": "cross-site", "origin": "https://evil.test"}, {"site": "cross-site"}, {"site": ""}):
        page = tess.ask("POST", action, urllib.parse.urlencode(fields).encode(), form, **how)
        assert page.status == 403 and not page.header("refresh"), page
    page = tess.ask("POST", action, urllib.parse.urlencode({**fields, "form": "x"}).encode(), form, site="same-origin")
    assert page.status == 403, "without the token of the form"
    page = tess.get(gateway.public_url + "/logout", site="cross-site")
    assert "<form" in page.text and me(tess, gateway).status == 200, "a link signed somebody out"
    page = tess.ask("POST", gateway.public_url + "/logout", b"", form, site="cross-site", origin="https://evil.test")
    assert page.status == 403 and me(tess, gateway).status == 200
    assert tess.get(gateway.public_url + "/logout", site="same-origin").status == 200
    assert me(tess, gateway).status == 401


def test_answers_say_what_browsers_may_do(gateway, tess):
    for path in ("/login/cli?port=40000&state=abcdefgh&challenge=" + "A" * 43, "/api/v1/me", "/nothing", "/assets/nothing.js", "/login/callback"):
        page = tess.ask("GET", gateway.public_url + path)
        policy = page.header("content-security-policy")
        assert policy and "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, page
        assert page.header("x-content-type-options") == "nosniff" and page.header("referrer-policy") == "same-origin"
        assert page.header("cross-origin-opener-policy") == "same-origin" and page.header("cross-origin-resource-policy") == "same-origin"
        assert page.header("cache-control") == "no-store" and page.header("access-control-allow-origin") is None
    preflight = tess.ask("OPTIONS", gateway.public_url + "/api/v1/sessions", headers={"Access-Control-Request-Method": "DELETE"},
                         origin="https://evil.test", site="cross-site")
    assert preflight.status in (403, 405) and preflight.header("access-control-allow-origin") is None


# -- the command line's code ------------------------------------------------------------------------------------------------------------
def grant(gateway, browser, verifier: str, port="40001") -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    page = browser.get(f"{gateway.public_url}/login/cli?port={port}&state=abcdefgh&challenge={challenge}")
    page = browser.submit(page)
    return urllib.parse.parse_qs(urllib.parse.urlsplit(page.header("refresh").split("url=")[1]).query)["code"][0]


def redeem(gateway, code, verifier):
    return Browser().ask("POST", gateway.public_url + "/api/v1/token", json.dumps({"code": code, "verifier": verifier}).encode(),
                         {"Content-Type": "application/json"}, site="")


def test_a_code_is_good_once_and_for_its_verifier(gateway, tess):
    verifier = "v" * 50
    code = grant(gateway, tess, verifier)
    first = redeem(gateway, code, verifier)
    assert first.status == 200 and gateway.client("tools", token=first.json["token"]).request("tools/list").status == 200
    again = redeem(gateway, code, verifier)
    assert again.status == 400 and again.json["code"] == "state-invalid"
    after = gateway.client("tools", token=first.json["token"]).request("tools/list")
    assert after.status == 401 and "session-ended" in after.header("www-authenticate"), "a code that was seen twice ends its session"
    code = grant(gateway, tess, verifier)
    assert redeem(gateway, code, "w" * 50).status == 400
    assert redeem(gateway, code, verifier).status == 400, "a wrong verifier burns the code"
    for bad in ({}, {"code": code}, {"code": 1, "verifier": []}, [], {"code": "x" * 300, "verifier": "y"}, {"code": "x", "verifier": "y\u0000"}):
        page = Browser().ask("POST", gateway.public_url + "/api/v1/token", json.dumps(bad).encode(), {"Content-Type": "application/json"}, site="")
        assert page.status == 400, (bad, page)
    assert gateway.recorded(event="auth.failure", reason="state-invalid", method="token")


@pytest.mark.parametrize("query", ["port=80", "port=99999", "port=1.2", "port=40000@evil.test", "port=", "challenge=x", "challenge=" + "!" * 43, "state=",
                                   "state=a%26b", "host=%3Cscript%3E", "port=40000%2F..%2Fx"])
def test_links_for_the_command_line(gateway, tess, query):
    given = {"port": "40000", "state": "abcdefgh", "challenge": "A" * 43, **dict([query.split("=", 1)])}
    page = tess.get(f"{gateway.public_url}/login/cli?" + "&".join(f"{k}={v}" for k, v in given.items()))
    assert page.status == 400 and "<form" not in page.text, page


# -- headers and tokens --------------------------------------------------------------------------------------------------------------------
def test_headers_are_nobody(gateway, tess):
    """No header of a client or proxy makes an identity."""
    spoof = {"X-Forwarded-User": "admin", "X_Forwarded_User": "admin", "X-Remote-User": "admin", "X-Forwarded-Email": "adam@example.com",
             "X-Forwarded-Groups": "gate-admins", "X-Forwarded-Uri": "/assets/x", "X-Original-URL": "/assets/x", "X-Rewrite-URL": "/assets/x",
             "Forwarded": "for=127.0.0.1;proto=https;host=evil.test", "X-Forwarded-Host": "evil.test", "X-Forwarded-Proto": "https",
             "Connection": "X-Forwarded-User", "X-HTTP-Method-Override": "DELETE"}
    nobody = Browser().ask("GET", gateway.public_url + "/api/v1/me", headers=spoof)
    assert nobody.status == 401
    who = me(tess, gateway, headers=spoof).json
    assert who["subject"] == "tester" and who["groups"] == ["testers"]
    page = tess.api(gateway.public_url, "POST", "/api/v1/revocations", {"issuer": gateway.oidc.issuer, "subject": "admin", "reason": "x"}, headers=spoof)
    assert page.status == 403
    page = Browser().get(gateway.public_url + "/login", follow=False, headers=spoof)
    assert "evil" not in page.header("location"), "URLs come of public_url, never of the request"


def test_two_credentials_at_once(gateway, tess):
    token = gateway.oidc.token("support")
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.putrequest("GET", "/api/v1/me")
    connection.putheader("Authorization", f"Bearer {token}")
    connection.putheader("Authorization", f"Bearer {gateway.oidc.token('lead')}")
    connection.endheaders()
    assert connection.getresponse().status == 400
    page = tess.ask("GET", gateway.public_url + "/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert page.json["subject"] == "support", "the header that says who asks wins over the cookie that comes by itself"
    for value in ("Basic dGVzdDp0ZXN0", "Bearer", "Bearer  ", "DPoP x", "bearer" + token):
        assert Browser().ask("GET", gateway.public_url + "/api/v1/me", headers={"Authorization": value}).status == 401, value
    for path in ("/api/v1/me?access_token=" + token, "/api/v1/me?token=" + token):
        assert Browser().ask("GET", gateway.public_url + path).status == 401


def test_bodies_of_the_api(gateway, tmp):
    admin = Person(gateway, tmp / "admin", "admin")
    admin.login()
    headers = {"Authorization": f"Bearer {admin.token}", "Content-Type": "application/json"}

    def post(body: bytes, **more):
        return Browser().ask("POST", gateway.public_url + "/api/v1/revocations", body, {**headers, **more}, site="")
    for body in (b"", b"[]", b"{}", b"null", b'{"issuer":"x"}', b'{"issuer":"x","subject":"","reason":"r"}', b'{"issuer":1,"subject":2,"reason":3}',
                 b'{"issuer":"x","issuer":"y","subject":"z","reason":"r"}', b"{" * 500, b'{"issuer":"x","subject":"\\u0000","reason":"r"}',
                 b'{"issuer":"x","subject":"' + b"s" * 300 + b'","reason":"r"}', b"\xff\xfe", b'{"issuer":"x","subject":"y"}'):
        page = post(body)
        assert page.status == 400 and page.json["code"].startswith("request-"), (body[:60], page)
        assert page.header("content-type") == "application/problem+json"
    assert post(b"{}", **{"Content-Type": "text/plain"}).json["code"] == "header-invalid"
    assert post(b'{"issuer":"' + b"x" * (300 << 10) + b'"}').status in (400, 413)
    assert gateway.alive()


def test_no_token_in_urls_logs_or_evidence(gateway, scratch, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    person.login()
    assert person.run("whoami", "--why").returncode == 0 and person.run("sessions", "list").returncode == 0
    gateway.client("tools", token=person.token).request("tools/list")
    cookie = session_of(person.browser, gateway)
    secrets = [person.token, cookie, person.token[4:24], cookie[4:24]]
    assert eventually(lambda: gateway.audit("session.opened"), 5)
    for url, _, location in person.browser.seen:
        assert "sps_" not in url + location and "eyJ" not in (url + location if str(gateway.port) in url else ""), (url, location)
    for file in [p for p in pathlib.Path(gateway.directory).rglob("*") if p.is_file()]:
        try:
            data = file.read_bytes()
        except FileNotFoundError:  # a note of who read the log, taken in meanwhile
            continue
        for secret in secrets:
            assert secret.encode() not in data, f"{file}: a token"
        if file.name.startswith("gateway."):
            assert b"sps_" not in data and b"eyJ" not in data, file
    listed = person.run("sessions", "list", "--json").stdout + person.run("whoami", "--why", "--json").stdout
    assert not any(s in listed for s in secrets)
    assert os.path.getsize(gateway.data_dir / "state/state.db") > 0
    assert gateway.verify().returncode == 0
