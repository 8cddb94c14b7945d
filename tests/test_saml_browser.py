"""Signing in by SAML with real parts: SimpleSAMLphp as the identity provider, a headless Chromium as the browser; the provider and the gate are
two sites, so the browser's rules for cookies of other sites hold."""

import re
import time

import pytest

from kit.browser import Browser
from kit.person import Browser as Person
from kit.parts import Gateway, http_connection
from kit.process import free_port
from kit.simplesaml import SimpleSaml


@pytest.fixture(scope="module")
def gate_port():
    return free_port()


@pytest.fixture(scope="module")
def idp(scratch, gate_port):
    part = SimpleSaml(scratch / "idp", free_port(), f"http://127.0.0.1:{gate_port}")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, gate_port, idp, upstream):
    (scratch / "idp-metadata.xml").write_text(idp.metadata)

    def saml(config):
        config["identity"]["providers"] = [{"name": "legacy", "saml": {"metadata": {"file": str(scratch / "idp-metadata.xml")},
                                                                       "attributes": {"user": "mail", "groups": "memberOf"}}}]

    part = Gateway(scratch / "gateway", None, [http_connection("tools", upstream.url)], port=gate_port, changes=saml)
    metadata = Person().ask("GET", part.public_url + "/login/saml/metadata").text
    idp.trust(part.public_url, re.search(r"<ds:X509Certificate>([^<]+)<", metadata).group(1))
    yield part
    part.stop()


@pytest.fixture(scope="module")
def browser(scratch):
    part = Browser(scratch)
    yield part
    part.stop()


def test_login_in_a_real_browser(browser, gateway, idp):
    alice = browser.person("alice")
    alice.goto(url=gateway.public_url + "/sessions")
    alice.wait(selector="input[name=username], #username")
    assert alice.url().startswith(idp.url), alice.url()
    alice.fill(selector="input[name=username]", value="alice")
    alice.fill(selector="input[name=password]", value="pw")
    alice.click(selector="button[type=submit], #submit_button, input[type=submit]")
    alice.wait(selector="main:not([aria-busy])")
    assert alice.url() == gateway.public_url + "/sessions", alice.url()
    assert {c["name"]: c["sameSite"] for c in alice.cookies() if "127.0.0.1" in c["domain"]} == {"sallyport": "Lax"}
    who = alice.evaluate(script="fetch('/api/v1/me').then((r) => r.json())")
    assert (who["issuer"], who["subject"], who["name"], who["groups"]) == (idp.entity_id, "alice", "alice@example.com", ["testers", "dba"]), who
    opened = gateway.recorded(event="session.opened")[-1]["access"]
    assert opened["who"]["subject"] == "alice" and opened["who"]["issuer"] == idp.entity_id


def sign_in(page, gateway, path="/login?next=/sessions"):
    page.goto(url=gateway.public_url + path)
    page.wait(selector="input[name=username]")
    page.fill(selector="input[name=username]", value="alice")
    page.fill(selector="input[name=password]", value="pw")
    page.click(selector="button[type=submit], #submit_button, input[type=submit]")
    page.wait(selector="main:not([aria-busy])")
    assert page.url() == gateway.public_url + "/sessions", page.url()


ME = "fetch('/api/v1/me').then((r) => r.status)"


def test_single_logout_in_a_real_browser(browser, gateway, idp):
    """Both ways; every message is signed, and SimpleSAMLphp refuses ours if it is not."""
    alice = browser.person("alice-3")
    sign_in(alice, gateway)
    alice.goto(url=gateway.public_url + "/logout")  # typed in, so it asks
    alice.click(selector="form[action='/logout'] button")
    alice.wait(selector="a[href*='SAMLRequest']")
    alice.click(selector="a[href*='SAMLRequest']")
    alice.wait(selector="main h1")
    assert alice.url().startswith(gateway.public_url + "/login/saml/logout?SAMLResponse="), alice.url()
    assert "at the identity provider too" in alice.evaluate(script="document.body.innerText")
    sign_in(alice, gateway)  # with name and password: the provider's session is over
    assert alice.evaluate(script=ME) == 200
    alice.goto(url=idp.url + "/saml2/idp/SingleLogoutService.php?ReturnTo=" + idp.url + "/")
    deadline = time.monotonic() + 15
    while not gateway.recorded(event="session.killed") or gateway.recorded(event="session.killed")[-1]["access"]["by"] != "saml-logout":
        assert time.monotonic() < deadline, (alice.url(), gateway.recorded(event="auth.failure"))
        time.sleep(0.1)
    alice.goto(url=gateway.public_url + "/healthcheck-of-nothing")
    assert alice.evaluate(script=ME) == 401


def test_fresh_proof_in_a_real_browser(browser, gateway, idp):
    """The provider still has a session of alice, and asks her nevertheless."""
    alice = browser.person("alice-2")
    for path in ("/login?next=/sessions", "/login?fresh&next=/sessions"):
        alice.goto(url=gateway.public_url + path)
        alice.wait(selector="input[name=username]")
        alice.fill(selector="input[name=username]", value="alice")
        alice.fill(selector="input[name=password]", value="pw")
        alice.click(selector="button[type=submit], #submit_button, input[type=submit]")
        alice.wait(selector="main:not([aria-busy])")
        assert alice.url() == gateway.public_url + "/sessions", alice.url()
    assert len(gateway.recorded(event="session.opened")) >= 3
