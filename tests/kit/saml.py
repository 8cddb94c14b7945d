"""A SAML identity provider for tests: a double that signs whatever it is told to (kit/saml_forge.py), and what plays the browser between
it and the gate."""

import base64
import json
import pathlib
import re
import secrets
import subprocess
import time
import urllib.parse
import zlib

SYSTEM_PYTHON = "/usr/bin/python3"  # has Debian's lxml and lasso


class SamlIdp:
    def __init__(self, directory: pathlib.Path, gate_url: str, entity_id: str = "https://idp.example.com/md"):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.entity_id = directory, entity_id
        self.audience, self.acs = gate_url + "/login/saml/metadata", gate_url + "/login/saml/acs"
        for name in ("idp", "next", "other"):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt",
                            "-subj", f"/CN={name}", "-days", "3650"], check=True, capture_output=True)
        self.metadata_file = directory / "idp-metadata.xml"
        self.write_metadata("idp")
        self.forge = subprocess.Popen([SYSTEM_PYTHON, str(pathlib.Path(__file__).with_name("saml_forge.py"))], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def certificate(self, name: str) -> str:
        return re.sub(r"-----[A-Z ]+-----|\s", "", (self.directory / f"{name}.crt").read_text())

    def spki(self, name: str = "idp") -> str:
        pem = subprocess.run(["openssl", "x509", "-in", self.directory / f"{name}.crt", "-pubkey", "-noout"], check=True, capture_output=True, text=True).stdout
        return re.sub(r"-----[A-Z ]+-----|\s", "", pem)

    def metadata(self, *keys: str) -> str:
        descriptors = "".join(f'<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{self.certificate(k)}</ds:X509Certificate>'
                              "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>" for k in keys)
        return ('<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" '
                f'entityID="{self.entity_id}">\n<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{descriptors}'
                '<md:SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/slo"/>'
                '<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso"/>'
                "</md:IDPSSODescriptor></md:EntityDescriptor>\n")

    def write_metadata(self, *keys: str) -> None:
        self.metadata_file.write_text(self.metadata(*keys))

    def ask(self, do: str, **values):
        base = {"do": do, "issuer": self.entity_id, "audience": self.audience, "acs": self.acs, "key": str(self.directory / "idp.key"),
                "other_key": str(self.directory / "other.key"), "other_cert": str(self.directory / "other.crt"),
                "attributes": {"mail": ["tess@example.com"], "memberOf": ["testers"]}}
        self.forge.stdin.write(json.dumps(base | values) + "\n")
        self.forge.stdin.flush()
        line = self.forge.stdout.readline()
        assert line, "the forge has ended"
        return json.loads(line)

    def response(self, request_id: str, **values) -> str:
        return self.ask("response", request_id=request_id, **values)

    def stop(self):
        self.forge.stdin.close()
        self.forge.wait(10)


def signed_query(idp: SamlIdp, kind: str, xml: str, relay_state: str | None = None, key: str = "idp",
                 algorithm: str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256") -> str:
    """A message as the redirect binding has it, signed by the provider."""
    deflate = zlib.compressobj(wbits=-15)
    fields = {kind: base64.b64encode(deflate.compress(xml.encode()) + deflate.flush()).decode()}
    if relay_state is not None:
        fields["RelayState"] = relay_state
    query = urllib.parse.urlencode(fields | {"SigAlg": algorithm})
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", idp.directory / f"{key}.key"], input=query.encode(), check=True, capture_output=True).stdout
    return query + "&" + urllib.parse.urlencode({"Signature": base64.b64encode(made).decode()})


def logout_message(idp: SamlIdp, gate_url: str, name: str = "LogoutRequest", body: str | None = None, who: str = "tess-1", sessions=("_s1",), sent: float = 0,
                   issuer: str | None = None, destination: str | None = None, message_id: str | None = None, more: str = "") -> str:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + sent))
    body = body if body is not None else (f"<saml:NameID>{who}</saml:NameID>" + "".join(f"<samlp:SessionIndex>{s}</samlp:SessionIndex>" for s in sessions))
    return (f'<samlp:{name} xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
            f'ID="{message_id or "_" + secrets.token_hex(12)}" Version="2.0" IssueInstant="{stamp}" Destination="{destination or gate_url + "/login/saml/logout"}"{more}>'
            f"<saml:Issuer>{issuer or idp.entity_id}</saml:Issuer>{body}</samlp:{name}>")


class Asked:
    """An AuthnRequest as it came to the provider."""

    def __init__(self, location: str):
        at = urllib.parse.urlsplit(location)
        query = urllib.parse.parse_qs(at.query)
        self.url, self.relay_state = location, query["RelayState"][0]
        self.xml = zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15).decode()
        self.id = re.search(r' ID="([^"]+)"', self.xml).group(1)


def begin(browser, gateway, path: str = "/login") -> Asked:
    """From a page of the gate to the provider's door."""
    page = browser.follow(browser.ask("GET", gateway.public_url + path), stop=lambda to: to.startswith("https://idp.example.com/"))
    assert page.status == 303, page
    return Asked(page.header("location"))


def post(browser, gateway, response: str | None, relay_state: str | None, follow: bool = True):
    """The provider's form, as a browser sends it: from another site, without the gate's cookies."""
    fields = {k: v for k, v in (("SAMLResponse", response), ("RelayState", relay_state)) if v is not None}
    netloc = urllib.parse.urlsplit(gateway.public_url).netloc
    kept, browser.cookies[netloc] = browser.cookies.get(netloc, {}), {}
    page = browser.ask("POST", gateway.public_url + "/login/saml/acs", urllib.parse.urlencode(fields).encode(),
                       {"Content-Type": "application/x-www-form-urlencoded"}, site="cross-site", origin="https://idp.example.com")
    assert not browser.cookies[netloc], "no cookie is set by what another site sends"
    browser.cookies[netloc] = kept
    return browser.follow(page) if follow else page


def sign_in(browser, gateway, idp: SamlIdp, path: str = "/login", **values):
    asked = begin(browser, gateway, path)
    return post(browser, gateway, idp.response(asked.id, **values), asked.relay_state)
