"""SAML responses of a test identity provider: honest ones and forged ones. A double, not a product: keys by openssl, signatures by xmlsec1.

Runs with the system's Python (Debian: python3-lxml, python3-lasso), one JSON request a line on standard input, one JSON answer a line.
"""

import base64
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import time

from lxml import etree

S, P, D = "urn:oasis:names:tc:SAML:2.0:assertion", "urn:oasis:names:tc:SAML:2.0:protocol", "http://www.w3.org/2000/09/xmldsig#"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{D}enveloped-signature"
SHA256, RSA256 = "http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def template(ref, transforms=None, digest=SHA256, method=RSA256, canonical=EXC, references=None, key_info=""):
    transforms = transforms if transforms is not None else f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXC}"/>'
    one = (f'<ds:Reference URI="{ref}"><ds:Transforms>{transforms}</ds:Transforms><ds:DigestMethod Algorithm="{digest}"/>'
           "<ds:DigestValue/></ds:Reference>")
    return (f'<ds:Signature xmlns:ds="{D}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{canonical}"/>'
            f'<ds:SignatureMethod Algorithm="{method}"/>{one * (references or 1)}</ds:SignedInfo><ds:SignatureValue/>{key_info}</ds:Signature>')


def response(o):
    """`o`: what is asked for; every part can be set to something else, or to None to leave it out."""
    now = o.get("now", time.time())

    def attribute(name, value):
        return "" if value is None else f' {name}="{value}"'

    def element(name, value, more=""):
        return "" if value is None else f"<saml:{name}{more}>{value}</saml:{name}>"

    get = o.get
    irt = get("request_id")
    data = "".join([attribute("Recipient", get("recipient", o["acs"])), attribute("InResponseTo", get("confirmation_request", irt)),
                    attribute("NotBefore", get("confirmation_from")), attribute("NotOnOrAfter", stamp(now + get("until", 300)))])
    attributes = "".join(f'<saml:Attribute Name="{name}">' + "".join(f"<saml:AttributeValue>{v}</saml:AttributeValue>" for v in values)
                         + "</saml:Attribute>" for name, values in get("attributes", {}).items())
    audience = get("audience_sent", o["audience"])
    restriction = "" if audience is None else f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
    signs = get("sign", ["Assertion"])
    how = get("signature", {})
    issuer = get("issuer_sent", o["issuer"])
    name_id = get("name_id", "tess-1")
    assertion = (
        f'<saml:Assertion xmlns:saml="{S}" ID="{get("assertion_id") or "_a" + base64.b16encode(get("salt", str(time.time_ns())).encode()).decode()}"'
        f' Version="{get("version", "2.0")}" IssueInstant="{stamp(now + get("issued", 0))}"><saml:Issuer>{issuer}</saml:Issuer>@A@'
        f'<saml:Subject>{element("NameID", name_id, attribute("Format", get("format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")) + attribute("SPNameQualifier", get("qualifier")))}'
        + ("" if get("confirmation", True) is None else f'<saml:SubjectConfirmation Method="{get("method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")}"><saml:SubjectConfirmationData{data}/></saml:SubjectConfirmation>')
        + f'</saml:Subject><saml:Conditions NotBefore="{stamp(now + get("from", -30))}" NotOnOrAfter="{stamp(now + get("conditions_until", 300))}">'
        f'{restriction}{get("condition", "")}</saml:Conditions><saml:AuthnStatement AuthnInstant="{stamp(now + get("authenticated", 0))}" SessionIndex="_s1"'
        f'{attribute("SessionNotOnOrAfter", get("session_until") and stamp(now + get("session_until")))}><saml:AuthnContext>'
        "<saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport</saml:AuthnContextClassRef></saml:AuthnContext>"
        f'</saml:AuthnStatement><saml:AttributeStatement>{attributes}</saml:AttributeStatement>{get("extra", "")}</saml:Assertion>')
    status = get("status", "urn:oasis:names:tc:SAML:2.0:status:Success")
    xml = (f'<samlp:Response xmlns:samlp="{P}" xmlns:saml="{S}" ID="_r1" Version="2.0" IssueInstant="{stamp(now)}"'
           f'{attribute("Destination", get("destination", o["acs"]))}{attribute("InResponseTo", irt)}><saml:Issuer>{issuer}</saml:Issuer>@R@'
           f'<samlp:Status><samlp:StatusCode Value="{status}"/></samlp:Status>{assertion}</samlp:Response>')
    root = etree.fromstring(xml.replace("@R@", "").replace("@A@", ""))
    ids = {"Response": root.get("ID"), "Assertion": root.find(f"{{{S}}}Assertion").get("ID")}
    for name in ("Assertion", "Response"):  # inner first
        mark = "@R@" if name == "Response" else "@A@"
        if name in signs:
            ref = how.get("ref", "#" + ids[name])
            xml = sign(xml.replace(mark, template(ref, **{k: v for k, v in how.items() if k != "ref"})), name, o["key"], mark)
        else:
            xml = xml.replace(mark, "")
    return xml


def sign(xml, name, key, mark):
    """Signs the element `name`; the other element's place for a signature stays where it is."""
    kept = "@R@" if mark == "@A@" else "@A@"
    with tempfile.TemporaryDirectory() as directory:
        source = pathlib.Path(directory) / "in.xml"
        # xmlsec1 wants XML; the mark is text between elements, which would be digested if it stood in the signed one: it does not.
        source.write_text(xml)
        ns = P if name == "Response" else S
        done = subprocess.run(["xmlsec1", "--sign", "--privkey-pem", key, "--id-attr:ID", f"{ns}:{name}",
                               "--node-xpath", f"/*[local-name()='Response']{'/*[local-name()=' + repr('Assertion') + ']' if name == 'Assertion' else ''}/*[local-name()='Signature']",
                               str(source)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-1500:] + xml
        out = done.stdout
    assert kept not in out or mark == "@A@"
    return out[out.index("<samlp:Response"):].strip()


def b64(xml):
    return base64.b64encode(xml.encode() if isinstance(xml, str) else xml).decode()


def evil(assertion, keep_signature=False):
    out = copy.deepcopy(assertion)
    out.set("ID", "_evil")
    if not keep_signature:
        for s in out.findall(f"{{{D}}}Signature"):
            out.remove(s)
    for n in out.iter(f"{{{S}}}NameID"):
        n.text = "admin"
    return out


def wrappings(xml):
    """XSW1 to XSW8 (Somorovsky et al., USENIX Security 2012), and their mirror images."""
    A, G = f"{{{S}}}Assertion", f"{{{D}}}Signature"

    def fresh():
        root = etree.fromstring(xml.encode())
        return root, root.find(A)

    def out(root):
        return etree.tostring(root)

    root, a = fresh()
    whole = root.find(G)
    if whole is not None:
        for name, position in (("xsw1", "in-signature"), ("xsw2", "before-signature")):
            root, a = fresh()
            original = copy.deepcopy(root)
            original.remove(original.find(G))
            signature = root.find(G)
            root.set("ID", "_evil_response")
            a.getparent().replace(a, evil(a))
            if position == "in-signature":
                etree.SubElement(signature, f"{{{D}}}Object").append(original)
                yield name, out(root)
                signature.remove(signature[-1])
                signature.append(original)
                yield name + "-bare", out(root)
            else:
                root.insert(list(root).index(signature), original)
                yield name, out(root)
    for name, index in (("xsw3-before", 0), ("xsw3-after", None)):
        root, a = fresh()
        root.insert(index, evil(a)) if index is not None else root.append(evil(a))
        yield name, out(root)
    root, a = fresh()
    e, i = evil(a), list(root).index(a)
    root.remove(a)
    e.append(a)
    root.insert(i, e)
    yield "xsw4-wrap", out(root)
    if a.find(G) is not None:
        for place in ("append", "wrap-in-signature", "object", "bare"):
            root, a = fresh()
            e, i, signature = evil(a), list(root).index(a), copy.deepcopy(a.find(G))
            original = copy.deepcopy(a)
            original.remove(original.find(G))
            root.remove(a)
            e.insert(1, signature)
            root.insert(i, e)
            if place == "append":
                root.append(original)
            elif place == "object":
                etree.SubElement(signature, f"{{{D}}}Object").append(original)
            elif place == "wrap-in-signature":
                signature.insert(0, original)
            else:
                signature.append(original)
            yield f"xsw56-{place}", out(root)
    for container in (f"{{{P}}}Extensions", f"{{{S}}}Advice", "{urn:x}Box", "Plain"):
        for before in (True, False):
            root, a = fresh()
            box = etree.Element(container)
            e = evil(a)
            root.replace(a, e)
            box.append(a)
            root.insert(1, box) if before else root.append(box)
            yield f"xsw7-{container.split('}')[-1]}-{'before' if before else 'after'}", out(root)
            root, a = fresh()
            box = etree.Element(container)
            box.append(evil(a))
            a.insert(1, box) if before else a.append(box)
            yield f"xsw8-in-assertion-{container.split('}')[-1]}-{'before' if before else 'after'}", out(root)


def generic(xml):
    """Of a response where both elements are signed: every element changed in every one of some ways. What KeyInfo says does not count."""
    tree = etree.fromstring(xml.encode())
    count = sum(1 for _ in tree.iter(etree.Element))

    def at(n):
        root = etree.fromstring(xml.encode())
        return root, list(root.iter(etree.Element))[n]

    for n in range(count):
        root, e = at(n)
        name = f"{n}-{etree.QName(e).localname}"
        e.text = (e.text or "") + "x"
        yield f"text-{name}", etree.tostring(root)
        root, e = at(n)
        e.insert(0, etree.Comment("x"))
        yield f"comment-{name}", etree.tostring(root)
        root, e = at(n)
        e.append(etree.ProcessingInstruction("x", "y"))
        yield f"pi-{name}", etree.tostring(root)
        root, e = at(n)
        e.set("added", "1")
        yield f"attribute-{name}", etree.tostring(root)
        if n:
            root, e = at(n)
            if not (e.tag == f"{{{D}}}Signature" and e.getparent() is root):  # the assertion's own is enough
                e.getparent().remove(e)
                yield f"without-{name}", etree.tostring(root)
            root, e = at(n)
            e.addnext(copy.deepcopy(e))
            yield f"twice-{name}", etree.tostring(root)


def mutations(o):
    base = dict(o)
    other = o["other_key"]
    for signs in (["Assertion"], ["Response"], ["Assertion", "Response"]):
        kind = "+".join(signs)
        xml = response(base | {"sign": signs})
        for name, forged in wrappings(xml):
            yield f"{kind}/{name}", forged
        root = etree.fromstring(xml.encode())
        for s in list(root.iter(f"{{{D}}}Signature")):
            s.getparent().remove(s)
        yield f"{kind}/stripped", etree.tostring(root)
        yield f"{kind}/other-key", response(base | {"sign": signs, "key": other})
        yield f"{kind}/dtd", b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + xml.encode()
        yield f"{kind}/dtd-empty", b"<!DOCTYPE r>" + xml.encode()
        yield f"{kind}/dtd-utf16", b"\xfe\xff" + ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE r [<!ENTITY x "y">]>' + xml).encode("utf-16-be")
        yield f"{kind}/utf16", b"\xff\xfe" + ('<?xml version="1.0" encoding="UTF-16"?>' + xml).encode("utf-16-le")
        yield f"{kind}/latin1", ('<?xml version="1.0" encoding="ISO-8859-1"?>' + xml).encode()
        yield f"{kind}/utf7", ('<?xml version="1.0" encoding="UTF-7"?>' + xml).encode()
        yield f"{kind}/xml11", ('<?xml version="1.1"?>' + xml).encode()
        yield f"{kind}/bom", b"\xef\xbb\xbf" + xml.encode()
        yield f"{kind}/trailing", xml.encode() + b"<x/>"
        yield f"{kind}/cut", xml.encode()[:-20]
        yield f"{kind}/nul", xml.encode().replace(b"tess-1", b"tess\0-1")
        yield f"{kind}/comment-in-name", xml.replace("tess-1", "tess<!---->-1")
        yield f"{kind}/cdata-in-name", xml.replace("tess-1", "<![CDATA[tess]]>-1")
        yield f"{kind}/deep", xml.replace("tess-1", "<x>" * 100 + "</x>" * 100)
    xml = response(base | {"sign": ["Assertion", "Response"]})
    for name, forged in generic(xml):
        yield f"both/{name}", forged
    wrong = {
        "expired": {"until": -120, "conditions_until": -120}, "confirmation-expired": {"until": -61}, "conditions-expired": {"conditions_until": -61},
        "not-yet": {"from": 90}, "issued-in-the-future": {"issued": 90}, "authenticated-in-the-future": {"authenticated": 90},
        "session-over": {"session_until": -61}, "other-sp": {"audience_sent": "https://other.example.com"}, "no-audience": {"audience_sent": None},
        "audience-prefix": {"audience_sent": o["audience"] + "/"}, "wrong-recipient": {"recipient": "https://other.example.com/acs"},
        "no-recipient": {"recipient": None}, "wrong-destination": {"destination": "https://other.example.com/acs"}, "no-destination": {"destination": None},
        "other-issuer": {"issuer_sent": "https://evil.example.com"}, "idp-initiated": {"request_id": None, "confirmation_request": None},
        "other-request": {"request_id": "_other"}, "confirmation-without-request": {"confirmation_request": None},
        "confirmation-of-other-request": {"confirmation_request": "_other"}, "transient": {"format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"},
        "no-name": {"name_id": None}, "empty-name": {"name_id": ""}, "blank-name": {"name_id": " tess "}, "long-name": {"name_id": "x" * 300},
        "name-of-other-sp": {"qualifier": "https://other.example.com"}, "holder-of-key": {"method": "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"},
        "no-confirmation": {"confirmation": None}, "confirmation-not-before": {"confirmation_from": stamp(time.time() - 5)},
        "status": {"status": "urn:oasis:names:tc:SAML:2.0:status:Responder"}, "saml-1.1": {"version": "1.1"},
        "unknown-condition": {"condition": "<saml:Condition/>"}, "advice": {"extra": "<saml:Advice/>"},
        "second-authn-statement": {"extra": '<saml:AuthnStatement AuthnInstant="2020-01-01T00:00:00Z"/>'},
    }
    for name, change in wrong.items():
        for signs in (["Assertion"], ["Response"]):
            yield f"signed/{name}/{signs[0]}", response(base | change | {"sign": signs})
    xpath = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>1</ds:XPath></ds:Transform>'
    two = f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXC}"/>'
    hows = {
        "sha1-signature": {"method": f"{D}rsa-sha1"}, "sha1-digest": {"digest": f"{D}sha1"},
        "inclusive-c14n": {"canonical": "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"}, "c14n-with-comments": {"canonical": EXC + "WithComments"},
        "transform-with-comments": {"transforms": f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXC}WithComments"/>'},
        "no-c14n-transform": {"transforms": f'<ds:Transform Algorithm="{ENVELOPED}"/>'}, "xpath": {"transforms": two + xpath},
        "xpath-first": {"transforms": xpath + two}, "third-transform": {"transforms": two + f'<ds:Transform Algorithm="{EXC}"/>'},
        "whole-document": {"ref": ""}, "two-references": {"references": 2}, "sha224": {"method": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha224"},
        "object": {"key_info": "<ds:Object/>"}, "two-key-infos": {"key_info": "<ds:KeyInfo/><ds:KeyInfo/>"},
    }
    for name, how in hows.items():
        try:
            yield f"signature/{name}", response(base | {"signature": how})
        except AssertionError:
            pass  # xmlsec1 does not make it
    honest = response(base)
    for name, old, new in (("hmac", RSA256, f"{D}hmac-sha1"), ("hmac256", RSA256, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"),
                           ("md5", RSA256, "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"), ("unknown", RSA256, "urn:x"),
                           ("external", 'URI="#', 'URI="http://127.0.0.1:9/#'), ("file", 'URI="#', 'URI="file:///etc/passwd#'),
                           ("xpointer", 'URI="#', 'URI="#xpointer(/)'), ("empty-value", "<ds:SignatureValue>", "<ds:SignatureValue/><ds:SignatureValue>")):
        yield f"signature/{name}", honest.replace(old, new, 1)
    cert = pathlib.Path(o["other_cert"]).read_text().replace("-----BEGIN CERTIFICATE-----", "").replace("-----END CERTIFICATE-----", "").strip()
    yield "signature/own-key-in-key-info", response(base | {"key": other, "signature": {"key_info": f"<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{cert}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"}})


def honest(o):
    for signs in (["Assertion"], ["Response"], ["Assertion", "Response"]):
        yield "+".join(signs), response(o | {"sign": signs})
    yield "sha512", response(o | {"signature": {"method": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "digest": "http://www.w3.org/2001/04/xmlenc#sha512"}})
    yield "within-skew-late", response(o | {"until": -50, "conditions_until": -50})
    yield "within-skew-early", response(o | {"from": 50})
    yield "no-session-end", response(o | {"session_until": None})
    yield "one-time-use", response(o | {"condition": "<saml:OneTimeUse/>"})


def lasso_verdicts(o):
    """Of a second implementation: whether it takes the answer. It is not told which request was asked, and looks at no clock here."""
    import lasso
    out = []
    for document in o["documents"]:
        server = lasso.Server.newFromBuffers(o["sp_metadata"], None, None, None)
        server.addProviderFromBuffer(lasso.PROVIDER_ROLE_IDP, o["idp_metadata"])
        login = lasso.Login(server)
        try:
            login.processAuthnResponseMsg(document)
            login.acceptSso()
            out.append(True)
        except Exception:  # every kind of refusal is one
            out.append(False)
    return out


def main():
    for line in sys.stdin:
        o = json.loads(line)
        if o["do"] == "response":
            answer = b64(response(o))
        elif o["do"] == "lasso":
            answer = lasso_verdicts(o)
        else:
            made = mutations(o) if o["do"] == "mutations" else honest(o)
            answer = [[name, b64(xml)] for name, xml in made]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
