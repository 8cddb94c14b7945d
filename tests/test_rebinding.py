"""A name that changes its address (row 11 of docs/identity-threats.md): it leads to a public server first, and to addresses inside the next
time it is asked, or to both at once. Nothing of the gateway's that follows a name given from outside may end up inside: listeners there see
no connection, while the name server shows that the gateway did ask."""

import json
import socket
import time

import pytest

from kit.approver import Approver
from kit.house import INSIDE, PUBLIC, Names, OwnNetwork, Traps, World, resolver_of
from kit.oauth import TOOLS_CLIENT, Client
from kit.parts import Gateway, Oidc, Upstream, get, http_connection
from kit.person import LOGIN_ENV, Browser, with_login
from kit.pki import Authority
from kit.process import eventually, free_port
from kit.refunds import ask, refund

LOGIN, KEYS, CLIENT, HOOK = "login.rebind.example", "keys.rebind.example", "client.rebind.example", "hook.rebind.example"
NOBODY = "93.184.215.15"  # public, and nothing is there
OUTSIDE = {"A": [PUBLIC]}
RULES = [{"id": "refunds", "effect": "approve", "approval": "leads-one", "who": ["any"], "on": {"connection": "orders", "tools": ["refund_order"]}},
         {"id": "others", "effect": "allow", "who": ["group:testers"], "on": {"connection": "orders", "tools": ["echo"]}}]


class House:
    """All parts, in a network of their own. The person's provider is on loopback, as it is allowed to; the others are outside."""

    def __init__(self, scratch):
        self.names, self.traps = Names(), Traps()
        authority = Authority(scratch)
        self.world = World(authority, [LOGIN, KEYS, CLIENT, HOOK])
        self.oidc = Oidc(scratch, f"http://127.0.0.1:{free_port()}")
        self.upstream = Upstream(scratch)
        keys = json.loads(get(f"{self.oidc.issuer}/jwks")[1])
        issuer = f"https://{LOGIN}"
        self.world.pages |= {
            (LOGIN, "/.well-known/openid-configuration"): {"issuer": issuer, "jwks_uri": f"{issuer}/jwks", "introspection_endpoint": f"{issuer}/introspect"},
            (LOGIN, "/jwks"): keys, (KEYS, "/jwks"): keys, (HOOK, "/hook"): {},
            (LOGIN, "/introspect"): {"active": True, "sub": "tester", "aud": self.oidc.audience, "groups": ["testers"], "exp": int(time.time()) + 3600},
            (KEYS, "/.well-known/openid-configuration"): {"issuer": f"https://{KEYS}", "jwks_uri": f"https://{KEYS}/jwks"}}
        for page in ("first", "0", "1", "2", "3"):
            self.world.pages[CLIENT, f"/{page}"] = {"client_id": f"https://{CLIENT}/{page}", "client_name": "A client",
                                                    "redirect_uris": ["http://127.0.0.1/callback"]}

        def changes(config):
            with_login(config)
            config["server"]["limits"] = {"approval_hold": "200ms"}
            ca = str(authority.cert)
            config["identity"]["providers"] += [
                {"name": "far", "oidc": {"issuer": issuer, "audience": self.oidc.audience, "ca": ca,
                                         "introspection": {"client_id": "gate", "client_secret": {"env": "TEST_INTROSPECTION"}, "token_prefix": "opq_"}}},
                {"name": "keys", "oidc": {"issuer": f"https://{KEYS}", "audience": self.oidc.audience, "ca": ca}}]
            config["identity"]["oauth_server"] = {"clients": [TOOLS_CLIENT], "client_id_hosts": [CLIENT], "ca": ca}
            config["approvals"][0]["notify"] = [{"webhook": {"url": {"env": "HOOK"}, "key": {"env": "HOOK_KEY"}, "ca": ca}}]
        self.gateway = Gateway(scratch / "gateway", self.oidc, [http_connection("orders", self.upstream.url)], RULES, changes=changes, start=False,
                               env={**LOGIN_ENV, "TEST_INTROSPECTION": "introspection-secret-71c2", "HOOK": f"https://{HOOK}/hook", "HOOK_KEY": "whsec-x"})
        self.names.say(LOGIN, OUTSIDE)
        self.names.say(KEYS, OUTSIDE, INSIDE)  # discovery outside; its keys, a moment later, inside
        self.gateway.launch(resolver_of(scratch / "etc"))
        assert eventually(lambda: self.gateway.ops("/livez")[0] == 200, 20), self.gateway.process.err

    def token(self, issuer: str, **header) -> str:
        now = int(time.time())
        return self.oidc.mint({"iss": issuer, "aud": self.oidc.audience, "sub": "tester", "iat": now, "exp": now + 300, "groups": ["testers"]}, header)

    def call(self, token: str):
        return self.gateway.client("orders", token=token).call("echo", {"message": "x"})

    def stop(self):
        self.gateway.stop()
        for part in (self.upstream, self.oidc, self.world, self.traps, self.names):
            part.stop()


@pytest.fixture(scope="module")
def house(scratch):
    network = OwnNetwork().enter()
    try:
        part = House(scratch)
        yield part
        part.stop()
    finally:
        network.leave()


def test_between_discovery_and_keys(house):
    """The document was good and came from outside; the address of the keys has changed since."""
    assert eventually(lambda: house.names.said_inside(KEYS) >= 2, 20), "it was not tried again"
    assert house.world.asked(KEYS, "/.well-known/openid-configuration") >= 1 and house.world.asked(KEYS, "/jwks") == 0
    reply = house.call(house.token(f"https://{KEYS}"))
    assert reply.status in (401, 503) and reply.error["data"]["gateway"]["reason"] == "identity-provider-down", reply
    assert house.gateway.recorded(event="auth.failure", reason="identity-provider-down")
    assert '"identity.keys_not_fetched"' in house.gateway.process.err and "no public address" in house.gateway.process.err
    house.names.say(KEYS, OUTSIDE)
    assert eventually(lambda: house.call(house.token(f"https://{KEYS}")).status == 200, 30, 0.5), "an honest address is used again"
    assert house.traps.came == []


def test_renewal_of_keys(house):
    """Keys that are known serve on; the renewal that a new key id asks for does not go inside."""
    good = house.token(f"https://{LOGIN}")
    assert eventually(lambda: house.call(good).status == 200, 20, 0.3)
    before = house.names.said_inside(LOGIN)
    house.names.say(LOGIN, INSIDE)
    assert eventually(lambda: house.call(house.token(f"https://{LOGIN}", kid=f"k{time.monotonic_ns()}")).status in (401, 503)
                      and house.names.said_inside(LOGIN) > before, 25, 1)
    assert house.call(good).status == 200
    assert house.traps.came == []
    house.names.say(LOGIN, OUTSIDE)


@pytest.mark.parametrize("how", ["inside", "a silent address outside first"])
def test_introspection(house, how):
    """Neither the token nor our secret goes inside."""
    house.names.say(LOGIN, OUTSIDE)
    assert eventually(lambda: house.call(f"opq_good-{len(how)}").status == 200, 20, 0.5)
    before, asked = house.names.said_inside(LOGIN), house.world.asked(LOGIN, "/introspect")
    house.names.say(LOGIN, INSIDE if how == "inside" else {"A": [NOBODY, "127.0.0.1", "10.7.7.7"], "AAAA": ["::1", "fd00::7"]})
    reply = house.call(f"opq_another-{len(how)}")
    assert reply.status == 503 and reply.error["data"]["gateway"]["reason"] == "identity-provider-down", reply
    assert house.gateway.recorded(event="auth.failure", reason="identity-provider-down")
    assert house.names.said_inside(LOGIN) > before and house.world.asked(LOGIN, "/introspect") == asked
    assert house.traps.came == []
    house.names.say(LOGIN, OUTSIDE)


def test_documents_of_clients(house):
    """Anybody can name a document of a host on the list; where its name leads is up to whoever runs that host."""
    browser = Browser()
    house.names.say(CLIENT, OUTSIDE)
    page = Client(house.gateway, client_id=f"https://{CLIENT}/first", redirect="http://127.0.0.1:5000/callback", connection="orders").ask(browser)
    assert page.status == 200 and "/oauth/consent" in page.url, page
    for number, answer in enumerate((INSIDE, {"A": ["127.0.0.1"]}, {"AAAA": ["::1"]}, {"A": ["169.254.169.254"]})):
        house.names.say(CLIENT, answer)  # a document that was not found is not asked for again at once: another each time
        page = Client(house.gateway, client_id=f"https://{CLIENT}/{number}", redirect="http://127.0.0.1:5000/callback", connection="orders").ask(browser)
        assert page.status >= 400 and "no public address" in page.text and page.header("location") is None, page
    assert [path for host, path, _ in house.world.seen if host == CLIENT] == ["/first"]
    assert house.names.said_inside(CLIENT) >= 4 and house.traps.came == []
    assert house.gateway.recorded(event="auth.failure", method="oauth")


def test_webhooks_of_approvals(house):
    house.names.say(HOOK, OUTSIDE, INSIDE)
    first = ask(house.gateway, refund("order-outside"))["approval_id"]
    assert house.gateway.recorded(event="approval.notified", approval_id=first)[0].get("ok") is not False and house.world.asked(HOOK, "/hook") == 1
    second = ask(house.gateway, refund("order-inside"))["approval_id"]
    assert eventually(lambda: house.names.said_inside(HOOK) >= 1, 10)
    lead = Approver(house.gateway)
    assert lead.decide(lead.find("order-inside")[0], False)[0] == 200  # else it is tried for a minute and a half
    told = house.gateway.recorded(timeout=20, event="approval.notified", approval_id=second)
    assert [e["ok"] for e in told] == [False] and house.world.asked(HOOK, "/hook") == 1
    assert house.names.said_inside(HOOK) >= 1 and house.traps.came == []


def test_the_traps_work(house):
    """Else none of this shows anything."""
    before = len(house.traps.came)
    for address in [*INSIDE["A"], "::1", "fd00::7"]:
        socket.create_connection((address, 443), timeout=5).close()
    assert eventually(lambda: len(house.traps.came) == before + 5, 5)
