"""A provider as companies have it: Keycloak, by OpenID Connect and by SAML 2.0, with people, groups, an agent, and signing out from there."""

import html
import re
import time

import pytest

from kit.keycloak import HOME, Keycloak
from kit.parts import Gateway, http_connection
from kit.person import LOGIN_ENV, ROLES_AND_LOGIN, Browser
from kit.process import free_port

pytestmark = pytest.mark.skipif(not (HOME / ".installed").exists(), reason="no Keycloak: tests/setup.sh could not install it")
POLICIES = [{"id": "testers", "effect": "allow", "who": ["group:testers", "agent:agent-refunds"], "on": {"connection": "tools", "tools": ["*"]}}]


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def keycloak(scratch, port):
    part = Keycloak(scratch / "keycloak", f"http://127.0.0.1:{port}")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, port, keycloak, upstream):
    (scratch / "metadata.xml").write_text(keycloak.saml_metadata())

    def changes(config):
        oidc = {"issuer": keycloak.issuer, "audience": f"http://127.0.0.1:{port}", "allow_loopback_http": True, "claims": {"user": "email", "groups": "groups"},
                **ROLES_AND_LOGIN, "scopes": ["openid", "profile", "email"]}
        config["identity"]["providers"] = [{"name": "corp", "oidc": oidc},
                                           {"name": "legacy", "saml": {"metadata": {"file": str(scratch / "metadata.xml")}, "attributes": {"user": "mail", "groups": "memberOf"}}}]
        config["identity"]["agents"] = [{"name": "agent-refunds", "match": {"provider": "corp", "client_id": "agent-refunds"}, "owner": "group:payments"}]

    part = Gateway(scratch / "gateway", None, [http_connection("tools", upstream.url)], POLICIES, port=port, changes=changes, env=LOGIN_ENV)
    certificate = re.search(r"<ds:X509Certificate>([^<]+)<", Browser().ask("GET", part.public_url + "/login/saml/metadata").text).group(1)
    keycloak.trust(part.public_url, certificate)
    yield part
    part.stop()


def sign_in(gateway, who: str, provider: str) -> Browser:
    browser = Browser()
    page = browser.get(gateway.public_url + f"/login?provider={provider}&next=/sessions")
    assert 'name="username"' in page.text, page
    page = browser.submit(page, username=who, password="pw")
    if "SAMLResponse" in page.text:  # the provider's form, which a browser sends on by itself
        kept = browser.cookies.pop(gateway.public_url.removeprefix("http://"))
        page = browser.submit(page, follow=False)
        browser.cookies[gateway.public_url.removeprefix("http://")] = kept
        page = browser.follow(page)
    assert page.url == gateway.public_url + "/sessions" and page.status == 200, page
    return browser


def me(browser, gateway):
    return browser.api(gateway.public_url, "GET", "/api/v1/me")


def until(condition, seconds: float = 10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_person_signs_in_by_openid_connect(gateway, keycloak):
    who = me(sign_in(gateway, "alice", "corp"), gateway).json
    assert (who["issuer"], who["subject"], who["name"]) == (keycloak.issuer, keycloak.user("alice")["id"], "alice@example.com")
    assert sorted(who["groups"]) == ["dba", "testers"]


def test_tokens_of_people_and_agents(gateway, keycloak):
    assert "echo" in gateway.client("tools", token=keycloak.person_token("alice")).tool_names()
    assert "echo" in gateway.client("tools", token=keycloak.agent_token()).tool_names()
    assert gateway.client("tools", token=keycloak.person_token("bob")).tool_names() == [], "bob is in no group"
    assert gateway.client("tools", token=keycloak.person_token("alice", "tokens-full-path")).tool_names() == [], "/testers is not testers"
    refused = Browser().ask("POST", gateway.url("tools"), b"{}", {"Authorization": "Bearer " + keycloak.person_token("alice", "tokens-of-others")}, site="")
    assert refused.status == 401 and gateway.recorded(event="auth.failure")[-1]["reason"] == "token-audience-wrong", refused


def test_signing_out_there_ends_it_here(gateway, keycloak):
    """Back-channel logout, from Keycloak's own administration."""
    alice, bob = sign_in(gateway, "alice", "corp"), sign_in(gateway, "bob", "corp")
    assert me(alice, gateway).status == me(bob, gateway).status == 200
    keycloak.admin("POST", f"/admin/realms/corp/users/{keycloak.user('alice')['id']}/logout")
    until(lambda: me(alice, gateway).status == 401)
    assert me(bob, gateway).status == 200
    assert gateway.recorded(event="session.killed")[-1]["access"]["by"] == "backchannel-logout"


def test_a_person_signs_in_by_saml(gateway, keycloak):
    who = me(sign_in(gateway, "alice", "legacy"), gateway).json
    assert (who["issuer"], who["name"], sorted(who["groups"])) == (keycloak.issuer, "alice@example.com", ["dba", "testers"]), who
    again = me(sign_in(gateway, "alice", "legacy"), gateway).json
    assert who["subject"] == again["subject"] and who["session"] != again["session"], "a persistent name"


def test_single_logout_by_saml(gateway, keycloak):
    browser = sign_in(gateway, "bob", "legacy")
    page = browser.ask("POST", gateway.public_url + "/logout", b"", {"Content-Type": "application/x-www-form-urlencoded"}, site="same-origin", origin=gateway.public_url)
    assert me(browser, gateway).status == 401
    url = html.unescape(re.search(r'href="(http[^"]+SAMLRequest[^"]+)"', page.text).group(1))
    done = browser.get(url)
    if "SAMLResponse" in done.text and "<form" in done.text.lower():
        done = browser.submit(done)
    assert done.url.startswith(gateway.public_url + "/login/saml/logout") and "at the identity provider too" in done.text, done
    asked = browser.get(gateway.public_url + "/login?provider=legacy")
    assert 'name="username"' in asked.text, "the session there is over: it asks again"
