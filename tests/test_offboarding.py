"""People who leave: what an identity provider says ends all that they have open, and nobody can say it in its name."""

import json
import os
import threading
import time

import pytest
from test_kill import MANY, SECOND, SQL, TOOLS, Everything, Source, server  # noqa: F401  (a fixture)

from kit.parts import Oidc, http_connection
from kit.person import LOGIN_ENV, Browser, Person, with_login
from kit.pg_gate import PgGateway, database
from kit.pgwire import Where, Wire
from kit.process import eventually

PASSWORD = "kill-password"
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
SSF = "https://schemas.openid.net/secevent/ssf/event-type/"
HELD = {"id": "held", "effect": "approve", "approval": "leads-one", "who": ["group:testers"],
        "on": {"connection": "tools", "tools": ["refund_order"]}}
PUSH_TOKEN = "push-token-4f2b61c07d1e"


@pytest.fixture(scope="module")
def transmitter(scratch):
    """Signs the events: an issuer of its own, with its own keys."""
    part = Oidc(scratch / "ssf", "https://unused.test", "ssf")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, transmitter, upstream, server):  # noqa: F811
    def changes(config):
        with_login(config)
        provider = config["identity"]["providers"][0]
        provider["email_subjects"] = True
        provider["sends"] = ["backchannel-logout", "global-token-revocation"]
        provider["ssf"] = {"issuer": transmitter.issuer, "jwks_uri": transmitter.issuer + "/jwks", "push_token": {"env": "TEST_PUSH_TOKEN"}}
        config["server"]["limits"] = {"streams_per_caller": 1000, "sessions_per_caller": 1000, "calls_per_caller": 1000,
                                      "approval_hold": "1s", "postgres": {"sessions_per_caller": MANY + 20}}
    part = PgGateway(scratch / "gateway", oidc, [database("lab", server, "lab", "app"), http_connection("tools", upstream.url)],
                     [SQL, HELD, TOOLS], PASSWORD, changes=changes, env={**LOGIN_ENV, "TEST_PUSH_TOKEN": PUSH_TOKEN})
    yield part
    part.stop()


def fresh() -> str:
    return os.urandom(8).hex()


# -- Global Token Revocation ---------------------------------------------------------------------
def request_token(gateway, header=None, key="es", oidc=None, **claims) -> str:
    """What authenticates a request to revoke, as Okta makes it."""
    oidc, now = oidc or gateway.oidc, int(time.time())
    payload = {"iss": oidc.issuer, "aud": gateway.public_url + "/global-token-revocation", "sub": "sallyport-console", "iat": now,
               "nbf": now - 300, "exp": now + 300, "jti": fresh(), **claims}
    return oidc.mint({k: v for k, v in payload.items() if v is not None}, header or {"typ": "global-token-revocation+jwt"}, key)


def sub_id(gateway, subject: str) -> dict:
    return {"sub_id": {"format": "iss_sub", "iss": gateway.oidc.issuer, "sub": subject}}


def revoke(gateway, token: str | None, body, kind="application/json"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": kind, "Authorization": f"Bearer {token}" if token is not None else None}
    return Browser().ask("POST", gateway.public_url + "/global-token-revocation", data, headers, site="")


# -- security events -----------------------------------------------------------------------------
def event(gateway, transmitter, kind: str, subject: dict | None, payload: dict | None = None, header=None, key="es", oidc=None, **claims) -> str:
    token = {"iss": transmitter.issuer, "aud": gateway.public_url, "iat": int(time.time()), "jti": fresh(), "sub_id": subject,
             "events": {kind: payload or {}}, **claims}
    return (oidc or transmitter).mint({k: v for k, v in token.items() if v is not None}, header or {"typ": "secevent+jwt"}, key)


def push(gateway, token, authorization: str | None = f"Bearer {PUSH_TOKEN}", kind="application/secevent+jwt", provider="corp"):
    data = token if isinstance(token, bytes) else token.encode()
    return Browser().ask("POST", f"{gateway.public_url}/ssf/events/{provider}", data,
                         {"Content-Type": kind, "Accept": "application/json", "Authorization": authorization}, site="")


def iss_sub(gateway, subject: str) -> dict:
    return {"format": "iss_sub", "iss": gateway.oidc.issuer, "sub": subject}


class Somebody:
    """A person with a PostgreSQL session by a token of the provider."""

    def __init__(self, gateway, name="", email=""):
        self.gateway, self.subject = gateway, name or f"somebody-{fresh()}"
        self.token = gateway.oidc.token_of(self.subject, email, ["testers"])
        self.wire = Wire(Where(gateway.pg_port, "token", self.token, "lab"))

    def works(self) -> bool:
        return self.wire.rows("SELECT 1") == [["1"]]

    def is_out(self) -> bool:
        try:
            self.works()
            return False
        except Exception:
            return self.gateway.client("tools", token=self.token).request("tools/list").status == 401

    def close(self):
        self.wire.terminate()


@pytest.fixture
def somebody(gateway):
    made = []

    def make(*args, **how):
        made.append(Somebody(gateway, *args, **how))
        return made[-1]
    yield make
    for one in made:
        try:
            one.close()
        except Exception:
            pass


# -- all of it within a second -------------------------------------------------------------------
class GlobalRevocation(Source):
    def fire(self) -> float:
        token = request_token(self.gateway)
        began = time.time()
        assert revoke(self.gateway, token, sub_id(self.gateway, self.subject)).status == 204
        return began


class PushedEvent(Source):
    transmitter = None

    def fire(self) -> float:
        token = event(self.gateway, self.transmitter, RISC + "account-disabled", iss_sub(self.gateway, self.subject))
        began = time.time()
        answer = push(self.gateway, token)
        assert answer.status == 202 and answer.body == b"", answer
        return began


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("source, label", [(GlobalRevocation, "global-token-revocation"), (PushedEvent, "ssf")])
def test_everything_is_cut_within_a_second(gateway, server, transmitter, tmp, source, label):  # noqa: F811
    PushedEvent.transmitter = transmitter
    before = gateway.metric("sallyport_kill_seconds_count", source=label)
    cause = source(gateway, tmp)
    spared = Wire(Where(gateway.pg_port, "token", gateway.oidc.token("support"), "lab"))
    had = Everything(gateway, server, cause.token)
    had.cut_within(cause.fire(), SECOND)
    assert spared.rows("SELECT 1") == [["1"]], "another person is cut too"
    spared.terminate()
    assert gateway.quiet(), "a session is left"
    had.refused_now()
    assert eventually(lambda: gateway.metric("sallyport_kill_seconds_count", source=label) == before + 1, 5)
    killed = gateway.recorded(event="session.killed")[-1]["access"]
    assert killed["postgres"] == MANY and killed["mcp"] >= MANY and killed["by"] == label, killed


def test_a_session_of_login_ends_and_a_new_one_may_begin(gateway, tmp):
    person = Person(gateway, tmp / "tess", "tester")
    person.login()
    assert person.run("whoami").returncode == 0
    assert revoke(gateway, request_token(gateway), sub_id(gateway, "tester")).status == 204
    done = person.run("whoami")
    assert done.returncode == 4 and "session-ended" in done.stderr, done
    person.login()
    assert person.run("whoami").returncode == 0


@pytest.mark.parametrize("how", ["global token revocation", "an event"])
def test_approvals_that_wait_are_withdrawn(gateway, transmitter, somebody, how):
    person = somebody()
    asked = gateway.client("tools", token=person.token).call("refund_order", {"order": f"order-{fresh()}", "amount": 10})
    assert asked.result["resultType"] == "input_required", asked
    ident = gateway.recorded(event="approval.requested")[-1]["approval_id"]
    if how == "an event":
        assert push(gateway, event(gateway, transmitter, RISC + "account-disabled", iss_sub(gateway, person.subject))).status == 202
    else:
        assert revoke(gateway, request_token(gateway), sub_id(gateway, person.subject)).status == 204
    gone = gateway.recorded(event="approval.withdrawn", approval_id=ident)
    assert gone, "an approval of somebody who has left still waits"
    killed = eventually(lambda: [e for e in gateway.audit("session.killed") if e["access"]["who"]["subject"] == person.subject], 5)
    assert killed[-1]["access"]["approvals"] == 1, killed


# -- who may revoke, and whom --------------------------------------------------------------------
def test_a_request_to_revoke_is_good_once(gateway, somebody):
    first, second = somebody(), somebody()
    token = request_token(gateway)
    assert revoke(gateway, token, sub_id(gateway, first.subject)).status == 204
    assert first.is_out()
    again = revoke(gateway, token, sub_id(gateway, second.subject))
    assert again.status == 401 and again.json["code"] == "token-used", again
    assert second.works()
    token = request_token(gateway)  # also one that did not find anybody
    assert revoke(gateway, token, {"sub_id": {"format": "email", "email": "nobody@example.com"}}).status == 404
    assert revoke(gateway, token, sub_id(gateway, second.subject)).status == 401
    assert second.works()


def test_a_restart_does_not_make_it_good_again(gateway, somebody):
    token, body = request_token(gateway), sub_id(gateway, "nobody-yet")
    assert revoke(gateway, token, body).status == 204
    gateway.stop()
    gateway.start()
    again = revoke(gateway, token, body)
    assert again.status == 401 and again.json["code"] == "token-used", again


def test_requests_that_authenticate_nobody(gateway, transmitter, somebody):
    victim = somebody()
    body, now = sub_id(gateway, victim.subject), int(time.time())
    access = gateway.oidc.token_of("mallory", groups=["testers"], aud=gateway.public_url + "/global-token-revocation")
    good = request_token(gateway)
    head, payload, signature = good.split(".")
    cases = {
        "nothing": (None, "token-missing"),
        "an access token for this very address": (access, "token-type-wrong"),
        "typ JWT": (request_token(gateway, {"typ": "JWT"}), "token-type-wrong"),
        "a typ that is null": (request_token(gateway, {"typ": None}), "token-malformed"),
        "a logout token": (request_token(gateway, {"typ": "logout+jwt"}), "token-type-wrong"),
        "an event": (request_token(gateway, {"typ": "secevent+jwt"}), "token-type-wrong"),
        "another audience": (request_token(gateway, aud="https://other.test/global-token-revocation"), "token-audience-wrong"),
        "two audiences": (request_token(gateway, aud=[gateway.public_url, "https://other.test"]), "token-audience-wrong"),
        "no audience": (request_token(gateway, aud=None), "token-audience-wrong"),
        "an issuer that nobody knows": (request_token(gateway, iss="https://evil.test"), "token-issuer-unknown"),
        "another party's key": (request_token(gateway, oidc=transmitter, iss=gateway.oidc.issuer), "token-key-unknown"),
        "no jti": (request_token(gateway, jti=None), "token-claims-invalid"),
        "no iat": (request_token(gateway, iat=None), "token-claims-invalid"),
        "a day long": (request_token(gateway, exp=now + 86_400), "token-claims-invalid"),
        "over": (request_token(gateway, iat=now - 700, exp=now - 400), "token-expired"),
        "of tomorrow": (request_token(gateway, iat=now + 500, exp=now + 600), "token-not-yet-valid"),
        "a changed signature": (f"{head}.{payload}.{'A' * len(signature)}", "token-signature-invalid"),
        "unsigned": (f"{head}.{payload}.", "token-malformed"),
        "garbage": ("x", "token-malformed"),
    }
    for name, (token, reason) in cases.items():
        answer = revoke(gateway, token, body)
        assert (answer.status, answer.json["code"]) == (401, reason), (name, answer)
    assert victim.works(), "something ended"
    assert gateway.recorded(event="auth.failure", method="global-token-revocation", reason="token-type-wrong")
    assert revoke(gateway, good, body).status == 204 and victim.is_out(), "the good one is good"


def test_a_provider_names_its_own_people_only(gateway, transmitter, somebody):
    victim = somebody()
    foreign = {"sub_id": {"format": "iss_sub", "iss": transmitter.issuer, "sub": victim.subject}}
    answer = revoke(gateway, request_token(gateway), foreign)
    assert (answer.status, answer.json["code"]) == (403, "identity-mismatch"), answer
    token = event(gateway, transmitter, CAEP + "session-revoked", foreign["sub_id"])
    answer = push(gateway, token)
    assert (answer.status, answer.json["err"]) == (400, "access_denied"), answer
    assert victim.works()


def test_bodies_that_name_nobody(gateway, somebody):
    victim = somebody()
    good = sub_id(gateway, victim.subject)
    cases = {
        "empty": (b"", 400), "no JSON": (b"{", 400), "a list": (b"[]", 400), "no sub_id": ({}, 400), "an old draft": ({"subject": good["sub_id"]}, 400),
        "no format": ({"sub_id": {"iss": gateway.oidc.issuer, "sub": victim.subject}}, 400),
        "a telephone": ({"sub_id": {"format": "phone_number", "phone_number": "+12065550100"}}, 400),
        "several": ({"sub_id": {"format": "aliases", "identifiers": [good["sub_id"]]}}, 400),
        "a number": ({"sub_id": {"format": "opaque", "id": 7}}, 400),
        "twice": (b'{"sub_id":{"format":"opaque","id":"a","id":"b"}}', 400),
        "deep": (b'{"sub_id":' + b"[" * 50 + b"]" * 50 + b"}", 400),
        "huge": (b'{"sub_id":{"format":"opaque","id":"' + b"a" * 100_000 + b'"}}', 413),
    }
    for name, (body, status) in cases.items():
        answer = revoke(gateway, request_token(gateway), body)
        assert answer.status == status, (name, answer)
    assert revoke(gateway, request_token(gateway), good, "text/plain").status == 400
    assert victim.works()
    megabytes = b'{"sub_id":"' + b"a" * (64 << 20) + b'"}'
    try:
        assert revoke(gateway, None, megabytes).status in (401, 413)
    except OSError:
        pass  # closed while it was being sent
    assert gateway.alive() and victim.works()


def test_addresses_are_never_a_guess(gateway, somebody):
    address = f"Pat.{fresh()}@example.com"
    pat = somebody(email=address)
    answer = revoke(gateway, request_token(gateway), {"sub_id": {"format": "email", "email": f"x{address}"}})
    assert (answer.status, answer.json["code"]) == (404, "not-found"), answer
    other = somebody(email=address.lower())
    body = {"sub_id": {"format": "email", "email": address}}
    answer = revoke(gateway, request_token(gateway), body)
    assert (answer.status, answer.json["code"]) == (422, "identity-mismatch"), answer
    assert pat.works() and other.works()
    alone = f"alone.{fresh()}@example.com"
    lone = somebody(email=alone)
    assert revoke(gateway, request_token(gateway), {"sub_id": {"format": "email", "email": alone.upper()}}).status == 204
    assert lone.is_out() and pat.works()


def test_opaque_ids_are_subjects_of_the_provider(gateway, somebody):
    person = somebody()
    assert revoke(gateway, request_token(gateway), {"sub_id": {"format": "opaque", "id": person.subject}}).status == 204
    assert person.is_out()


def test_a_flood_of_requests_is_turned_away(gateway, somebody):
    spared = somebody()
    token = "x.y.z"
    codes = []

    def storm():
        for _ in range(700):
            codes.append(revoke(gateway, token, {}).status)
    threads = [threading.Thread(target=storm) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert set(codes) == {401, 429} and codes.count(429) > 100, {c: codes.count(c) for c in set(codes)}
    assert spared.works()
    gateway.stop()
    gateway.start()


# -- events: what each does ----------------------------------------------------------------------
ENDS = [(CAEP + "session-revoked", {}), (CAEP + "credential-change", {"change_type": "delete", "credential_type": "password"}),
        (CAEP + "credential-change", {"change_type": "update"}), (CAEP + "device-compliance-change", {"current_status": "not-compliant"}),
        (RISC + "account-disabled", {"reason": "hijacking"}), (RISC + "account-purged", {}), (RISC + "credential-compromise", {}),
        (RISC + "sessions-revoked", {})]
ENDS_NOTHING = [(CAEP + "credential-change", {"change_type": "create"}), (CAEP + "device-compliance-change", {"current_status": "compliant"}),
                (RISC + "account-enabled", {}), (SSF + "verification", {"state": "abc"}), (SSF + "stream-updated", {"status": "paused"}),
                ("https://example.com/an-event-of-tomorrow", {})]


def test_events_that_end_access(gateway, transmitter, somebody):
    for kind, payload in ENDS:
        person = somebody()
        answer = push(gateway, event(gateway, transmitter, kind, iss_sub(gateway, person.subject), payload))
        assert answer.status == 202, (kind, answer)
        assert person.is_out(), kind
    def reasons():
        return [e["access"]["why"] for e in gateway.recorded(event="session.killed") if e["access"]["by"] == "ssf"]
    for part in ("account-disabled", "sessions-revoked", "change_type delete"):
        assert eventually(lambda p=part: any(p in why for why in reasons()), 5), (part, reasons())


def test_events_that_end_nothing_are_recorded(gateway, transmitter, somebody):
    person = somebody()
    for kind, payload in ENDS_NOTHING:
        assert push(gateway, event(gateway, transmitter, kind, iss_sub(gateway, person.subject), payload)).status == 202, kind
    assert push(gateway, event(gateway, transmitter, SSF + "verification", None, {"state": "no subject"})).status == 202
    assert person.works()
    told = [e["detail"] for e in gateway.recorded(event="signal.received", method="ssf")]
    for name in ("verification", "stream-updated, status paused", "unknown", "account-enabled"):
        assert any(t.startswith(name) for t in told), (name, told)


def test_subjects_of_events(gateway, transmitter, somebody):
    inside, opaque, complex_, address = somebody(), somebody(), somebody(), f"e.{fresh()}@example.com"
    by_mail = somebody(email=address)
    kind = CAEP + "session-revoked"
    for person, subject in ((opaque, {"format": "opaque", "id": opaque.subject}), (by_mail, {"format": "email", "email": address}),
                            (complex_, {"format": "complex", "user": iss_sub(gateway, complex_.subject),
                                        "device": {"format": "opaque", "id": "laptop"}})):
        assert push(gateway, event(gateway, transmitter, kind, subject)).status == 202, subject
        assert person.is_out(), subject
    assert push(gateway, event(gateway, transmitter, kind, None, {"subject": iss_sub(gateway, inside.subject)})).status == 202
    assert inside.is_out()
    two = somebody()
    answer = push(gateway, event(gateway, transmitter, kind, iss_sub(gateway, two.subject), {"subject": iss_sub(gateway, "another")}))
    assert (answer.status, answer.json["err"]) == (400, "invalid_request") and two.works()
    lonely = {"format": "complex", "device": {"format": "opaque", "id": "laptop"}}
    assert push(gateway, event(gateway, transmitter, CAEP + "device-compliance-change", lonely, {"current_status": "not-compliant"})).status == 202


def test_an_event_that_is_sent_again_changes_nothing(gateway, transmitter, tmp):
    person = Person(gateway, tmp / "tess", "tester2")
    person.login()
    token = event(gateway, transmitter, CAEP + "session-revoked", iss_sub(gateway, "tester2"))
    assert push(gateway, token).status == 202
    assert person.run("whoami").returncode == 4
    person.login()
    assert push(gateway, token).status == 202, "a transmitter that did not hear the answer sends it again"
    assert person.run("whoami").returncode == 0
    gateway.stop()
    gateway.start()
    assert push(gateway, token).status == 202 and person.run("whoami").returncode == 0, "a restart does not make it new"


def test_events_that_are_none(gateway, transmitter, somebody):
    victim = somebody()
    kind, whom, now = RISC + "account-disabled", iss_sub(gateway, victim.subject), int(time.time())

    def made(**how):
        return event(gateway, transmitter, kind, whom, **how)
    head, payload, signature = made().split(".")
    logout = {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}, "sub": victim.subject}
    cases = {
        "typ JWT": (made(header={"typ": "JWT"}), "invalid_request"),
        "a logout token": (made(header={"typ": "logout+jwt"}, **logout), "invalid_request"),
        "a logout event": (made(**logout), "invalid_request"),
        "a request to revoke": (request_token(gateway), "invalid_key"),
        "the provider's own issuer": (made(oidc=gateway.oidc, iss=gateway.oidc.issuer), "invalid_issuer"),
        "the provider's keys": (made(oidc=gateway.oidc), "invalid_key"),
        "another audience": (made(aud="https://other.test"), "invalid_audience"),
        "no audience": (made(aud=None), "invalid_audience"),
        "of tomorrow": (made(iat=now + 500), "invalid_request"),
        "with an end": (made(exp=now + 500), "invalid_request"),
        "without id": (made(jti=None), "invalid_request"),
        "without events": (made(events={}), "invalid_request"),
        "a format of tomorrow": (event(gateway, transmitter, kind, {"format": "did", "url": "did:x"}), "invalid_request"),
        "nobody": (event(gateway, transmitter, kind, None), "invalid_request"),
        "a changed signature": (f"{head}.{payload}.{'A' * len(signature)}", "invalid_key"),
        "unsigned": (f"{head}.{payload}.", "invalid_request"),
        "garbage": (b"\x00\xff", "invalid_request"),
        "empty": (b"", "invalid_request"),
        "huge": (b"a" * 200_000, "invalid_request"),
    }
    for name, (token, err) in cases.items():
        answer = push(gateway, token)
        assert (answer.status, answer.json["err"]) == (400, err), (name, answer)
    good = made()
    for authorization in (None, "Bearer x", "Bearer ", f"Basic {PUSH_TOKEN}", f"Bearer {PUSH_TOKEN}x"):
        answer = push(gateway, good, authorization)
        assert (answer.status, answer.json["err"]) == (400, "authentication_failed"), (authorization, answer)
    assert push(gateway, good, kind="application/jwt").status == 400
    assert push(gateway, good, provider="other").status == 404 and push(gateway, good, provider="..").status == 404
    bearer = gateway.client("tools", token=good).request("tools/list")
    assert bearer.status == 401, "an event is no credential"
    assert victim.works(), "something ended"
    assert gateway.recorded(event="auth.failure", method="ssf")
    old = made(iat=now - 27 * 3600)
    assert push(gateway, old).status == 202 and victim.works(), "nothing that it was about can be alive"
    assert push(gateway, good).status == 202 and victim.is_out()


# -- RFC 7009 ------------------------------------------------------------------------------------
def test_whoever_holds_a_token_may_end_it(gateway, tmp):
    def end(body: str, kind="application/x-www-form-urlencoded"):
        return Browser().ask("POST", gateway.public_url + "/oauth/revoke", body.encode(), {"Content-Type": kind}, site="")
    person = Person(gateway, tmp / "tess", "tester")
    person.login()
    token = person.token
    for body in (f"token={token[:-1]}{'A' if token[-1] != 'A' else 'B'}", "token=sps_x", "token=unknown", f"token=x&token_type_hint=refresh_token"):
        assert end(body).status == 200, "what is not known is ended already"
    assert person.run("whoami").returncode == 0, gateway.audit("session.killed")[-1]
    assert end("").status == 400 and end(f"token={token}&token={token}").status == 400 and end("{}", "application/json").status == 400
    foreign = end(f"token={gateway.oidc.token('support')}")
    assert foreign.status == 400 and foreign.json["error"] == "unsupported_token_type"
    answer = end(f"token={token}&token_type_hint=access_token")
    assert answer.status == 200 and answer.body == b""
    assert "session-ended" in person.run("whoami").stderr
    assert end(f"token={token}").status == 200
    killed = gateway.recorded(event="session.killed")[-1]["access"]
    assert killed["why"] == "revoked by who holds the token" and killed["session"]
