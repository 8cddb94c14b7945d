"""Single logout by SAML 2.0, from outside: the provider ends what it has signed in, a person signs out at the provider too, and what neither
a thief nor another provider can do. Messages of the provider are a double's (kit/saml.py); test_saml_browser.py has SimpleSAMLphp."""

import base64
import re
import subprocess
import urllib.parse
import zlib

import pytest

from kit.parts import Gateway, http_connection
from kit.person import Browser
from kit.process import free_port
from kit.saml import SamlIdp, begin, logout_message, post, sign_in, signed_query


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def idp(scratch, port):
    part = SamlIdp(scratch / "idp", f"http://127.0.0.1:{port}")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def other(scratch, port):
    part = SamlIdp(scratch / "other", f"http://127.0.0.1:{port}", "https://other.example.com/md")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, port, idp, other, upstream):
    def saml(config):
        config["identity"]["providers"] = [{"name": name, "saml": {"metadata": {"file": str(part.metadata_file)}, "attributes": {"user": "mail"}}}
                                           for name, part in (("legacy", idp), ("second", other))]

    part = Gateway(scratch / "gateway", None, [http_connection("tools", upstream.url)], port=port, changes=saml)
    yield part
    part.stop()


def signed_in(gateway, idp, **values):
    browser = Browser()
    assert sign_in(browser, gateway, idp, "/login?provider=legacy", **values).status == 200
    assert me(browser, gateway) == 200
    return browser


def me(browser, gateway):
    return browser.api(gateway.public_url, "GET", "/api/v1/me").status


def send(gateway, query):
    """From any browser, without a cookie: what counts is the signature."""
    return Browser().ask("GET", gateway.public_url + "/login/saml/logout?" + query)


def answer_of(page):
    """The gate's signed answer, checked with the certificate of its metadata."""
    to = urllib.parse.urlsplit(page.header("location"))
    raw, _, signature = to.query.partition("&Signature=")
    fields = dict(urllib.parse.parse_qsl(to.query))
    return to, raw, base64.b64decode(urllib.parse.unquote(signature)), zlib.decompress(base64.b64decode(fields.get("SAMLResponse") or fields["SAMLRequest"]), -15).decode(), fields


def verify(gateway, tmp, raw, signature):
    metadata = Browser().ask("GET", gateway.public_url + "/login/saml/metadata").text
    der = base64.b64decode(re.search(r"<ds:X509Certificate>([^<]+)<", metadata).group(1))
    (tmp / "us.pem").write_bytes(subprocess.run(["openssl", "x509", "-inform", "der", "-pubkey", "-noout"], input=der, check=True, capture_output=True).stdout)
    (tmp / "sig").write_bytes(signature)
    return subprocess.run(["openssl", "dgst", "-sha256", "-verify", tmp / "us.pem", "-signature", tmp / "sig"], input=raw.encode(), capture_output=True).returncode == 0


def refused(gateway, page, code):
    assert page.status >= 400 and "Nothing was signed out" in page.text and f"<code>{code}</code>" in page.text, page
    entry = gateway.recorded(event="auth.failure")[-1]
    assert (entry["reason"], entry["method"]) == (code, "saml-logout"), entry


# -- the provider signs out ---------------------------------------------------------------------------------------------------------------
def test_the_provider_ends_the_session_and_gets_a_signed_answer(gateway, idp, tmp):
    browser = signed_in(gateway, idp)
    xml = logout_message(idp, gateway.public_url)
    page = send(gateway, signed_query(idp, "SAMLRequest", xml, "st&te"))
    to, raw, signature, answer, fields = answer_of(page)
    assert (page.status, to.netloc, to.path, fields["RelayState"]) == (303, "idp.example.com", "/slo", "st&te")
    assert f'InResponseTo="{re.search(r" ID=.([^ ]+). ", xml).group(1)}"' in answer and "status:Success" in answer and 'Destination="https://idp.example.com/slo"' in answer
    assert verify(gateway, tmp, raw, signature) and not verify(gateway, tmp, raw + "x", signature)
    assert me(browser, gateway) == 401
    killed = gateway.recorded(event="session.killed")[-1]
    assert killed["access"]["by"] == "saml-logout" and killed["access"]["who"]["subject"] == "tess-1", killed


def test_only_the_named_sessions_or_all(gateway, idp):
    browser = signed_in(gateway, idp)
    assert send(gateway, signed_query(idp, "SAMLRequest", logout_message(idp, gateway.public_url, sessions=("_s9",)))).status == 303
    assert me(browser, gateway) == 200, "it came out of _s1"
    assert send(gateway, signed_query(idp, "SAMLRequest", logout_message(idp, gateway.public_url, who="somebody-else"))).status == 303
    assert me(browser, gateway) == 200
    assert send(gateway, signed_query(idp, "SAMLRequest", logout_message(idp, gateway.public_url, sessions=()))).status == 303
    assert me(browser, gateway) == 401


def test_by_the_post_binding(gateway, idp, tmp):
    browser = signed_in(gateway, idp)

    def form(xml):
        return Browser().ask("POST", gateway.public_url + "/login/saml/logout", urllib.parse.urlencode({"SAMLRequest": base64.b64encode(xml.encode()).decode()}).encode(),
                             {"Content-Type": "application/x-www-form-urlencoded"}, site="cross-site", origin="https://idp.example.com")

    def signed(key="idp", **values):
        xml = logout_message(idp, gateway.public_url, message_id="_m1" + key, **values)
        template = ('<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
                    '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
                    f'<ds:Reference URI="#_m1{key}"><ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>'
                    '<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
                    "<ds:DigestValue/></ds:Reference></ds:SignedInfo><ds:SignatureValue/></ds:Signature>")
        (tmp / "in.xml").write_text(xml.replace("</saml:Issuer>", "</saml:Issuer>" + template, 1))
        out = subprocess.run(["xmlsec1", "--sign", "--privkey-pem", idp.directory / f"{key}.key", "--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:LogoutRequest", tmp / "in.xml"],
                             check=True, capture_output=True, text=True).stdout
        return out[out.index("<samlp:"):].strip()

    refused(gateway, form(logout_message(idp, gateway.public_url)), "token-malformed")
    refused(gateway, form(signed("other")), "token-signature-invalid")
    genuine = signed()
    refused(gateway, form(genuine.replace("tess-1", "tess-2")), "token-signature-invalid")
    assert me(browser, gateway) == 200
    assert form(genuine).status == 303 and me(browser, gateway) == 401
    refused(gateway, form(genuine), "state-invalid")


@pytest.mark.parametrize("name, how, code", [
    ("other-key", {"key": "other"}, "token-signature-invalid"), ("sha1", {"algorithm": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}, "alg-refused"),
    ("old", {"sent": -500}, "token-expired"), ("future", {"sent": 200}, "token-not-yet-valid"), ("elsewhere", {"destination": "https://evil.example.com/"}, "token-audience-wrong"),
    ("issuer", {"issuer": "https://other.example.com/md"}, "token-issuer-unknown"), ("encrypted", {"body": "<saml:EncryptedID/>"}, "token-malformed"),
    ("not-a-logout", {"name": "AuthnRequest"}, "token-malformed"), ("response-as-request", {"name": "LogoutResponse"}, "token-malformed"),
    ("doctype", {"prefix": "<!DOCTYPE a [<!ENTITY b 'c'>]>"}, "token-malformed"),
])
def test_messages_that_count_for_nothing(gateway, idp, name, how, code):
    browser = signed_in(gateway, idp)
    about = {k: how.pop(k) for k in ("key", "algorithm") if k in how}
    prefix = how.pop("prefix", "")
    query = signed_query(idp, "SAMLRequest", prefix + logout_message(idp, gateway.public_url, **how), **about)
    page = send(gateway, query)
    refused(gateway, page, code)
    assert me(browser, gateway) == 200


def test_another_provider_signs_out_its_own_people_only(gateway, idp, other):
    browser = signed_in(gateway, idp)
    query = signed_query(other, "SAMLRequest", logout_message(other, gateway.public_url, sessions=()))
    assert send(gateway, query).status == 303, "it may sign out its own tess-1"
    assert me(browser, gateway) == 200
    lie = signed_query(other, "SAMLRequest", logout_message(other, gateway.public_url, issuer=idp.entity_id, sessions=()))
    refused(gateway, send(gateway, lie), "token-issuer-unknown")
    assert me(browser, gateway) == 200


def test_a_message_counts_once_and_unchanged(gateway, idp):
    query = signed_query(idp, "SAMLRequest", logout_message(idp, gateway.public_url), "s")
    assert send(gateway, query).status == 303
    browser = signed_in(gateway, idp)
    refused(gateway, send(gateway, query), "state-invalid")
    fresh = signed_query(idp, "SAMLRequest", logout_message(idp, gateway.public_url), "s")
    refused(gateway, send(gateway, fresh.replace("RelayState=s", "RelayState=t")), "token-signature-invalid")
    refused(gateway, send(gateway, fresh.partition("&SigAlg")[0]), "token-signature-invalid")
    refused(gateway, send(gateway, fresh + "&SAMLRequest=AAAA"), "token-malformed")
    refused(gateway, send(gateway, ""), "token-malformed")
    assert me(browser, gateway) == 200


# -- the person signs out -----------------------------------------------------------------------------------------------------------------
def test_signing_out_offers_the_way_out_at_the_provider(gateway, idp, tmp):
    browser = signed_in(gateway, idp, qualifier=idp.audience)
    page = browser.ask("POST", gateway.public_url + "/logout", b"", {"Content-Type": "application/x-www-form-urlencoded"}, site="same-origin", origin=gateway.public_url)
    assert page.status == 200 and me(browser, gateway) == 401
    url = re.search(r'href="(https://idp.example.com/slo[^"]+)"', page.text).group(1).replace("&amp;", "&")
    raw, _, signature = url.partition("?")[2].partition("&Signature=")
    fields = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    xml = zlib.decompress(base64.b64decode(fields["SAMLRequest"]), -15).decode()
    assert verify(gateway, tmp, raw, base64.b64decode(urllib.parse.unquote(signature)))
    assert f'SPNameQualifier="{idp.audience}" Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">tess-1</saml:NameID>' in xml
    assert "<samlp:SessionIndex>_s1</samlp:SessionIndex>" in xml
    message_id = re.search(r' ID="([^"]+)"', xml).group(1)
    status = '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{}"/></samlp:Status>'

    def answered(to, how="Success"):
        return send(gateway, signed_query(idp, "SAMLResponse", logout_message(idp, gateway.public_url, "LogoutResponse", status.format(how), more=f' InResponseTo="{to}"')))

    refused(gateway, answered("_other"), "state-invalid")
    done = answered(message_id)
    assert done.status == 200 and "at the identity provider too" in done.text
    refused(gateway, answered(message_id), "state-invalid")


def test_requests_are_signed_where_the_provider_wants_it(gateway, idp, tmp):
    try:
        idp.metadata_file.write_text(idp.metadata("idp").replace("<md:IDPSSODescriptor ", '<md:IDPSSODescriptor WantAuthnRequestsSigned="true" '))
        browser = Browser()
        asked = begin(browser, gateway, "/login?provider=legacy")
        raw, _, signature = asked.url.partition("?")[2].partition("&Signature=")
        assert verify(gateway, tmp, raw, base64.b64decode(urllib.parse.unquote(signature)))
        assert post(browser, gateway, idp.response(asked.id), asked.relay_state).status == 200 and me(browser, gateway) == 200
    finally:
        idp.write_metadata("idp")
    assert "Signature=" not in begin(Browser(), gateway, "/login?provider=legacy").url
