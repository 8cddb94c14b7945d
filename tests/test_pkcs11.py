"""The gateway's keys as an issuer live in a PKCS #11 token: SoftHSM, and in front of it a library that has faults on request."""

import concurrent.futures
import itertools
import json
import pathlib
import subprocess
import time

import pytest
from test_upstream_credentials import JwtFront, by_gate, echo, jose_verifies, secrets_nowhere

from kit.cloud import header, verify_rs256
from kit.parts import Upstream, get, run
from kit.pkcs11 import Token, build_faults
from kit.process import eventually
from kit.shifted_clock import ShiftedClock

DAY, HOUR = 86400, 3600


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def library(scratch):
    return build_faults(scratch / "pkcs11")


@pytest.fixture
def token(tmp, library):
    return Token(tmp / "token", library)


class Relying(JwtFront):
    """`clocks`: whether it looks at the times of a token."""
    clocks = True

    def judge(self, request):
        if self.clocks:
            return super().judge(request)
        token = request["head"]["authorization"].removeprefix("Bearer ")
        self.claims.append((verify_rs256(token, json.loads(get(self.issuer + "/.well-known/jwks.json")[1])), token))
        return None


@pytest.fixture
def relying(plain):
    part = Relying(plain.port, None)
    yield part
    part.front.stop()


@pytest.fixture
def make(tmp, start_gateway, oidc, token, relying):
    def make(start=True, env=None, shards=None, **more):
        def changes(config):
            config["issuer_keys"] = token.config(**more)
            if shards:
                config["server"]["shards"] = shards
        part = start_gateway(tmp / "gateway", oidc, [by_gate(relying)], start=False, changes=changes, env={**token.env, **(env or {})})
        relying.issuer = part.public_url
        return part.start() if start else part
    return make


def refused_start(gateway) -> str:
    """It says why on stderr, ends with 78, and never says the PIN."""
    process = gateway.launch()
    assert process.wait(15) == 78, process.err
    assert "cannot start: issuer_keys.pkcs11: " in process.err and "pin-canary" not in process.err, process.err
    return process.err.rsplit("issuer_keys.pkcs11: ", 1)[1]


def somebody(gateway, oidc, number) -> object:
    """A caller for whom nothing has been signed."""
    return gateway.client("cloud", token=oidc.token_of(f"somebody-{number}", groups=["testers"]))


def published(gateway) -> list[str]:
    return [k["kid"] for k in json.loads(get(gateway.public_url + "/.well-known/jwks.json")[1])["keys"]]


@pytest.mark.parametrize("fault", ["", "no-sha256"])
def test_the_token_signs(make, token, relying, fault):
    """Both mechanisms: the token's own SHA-256, and a hash of ours."""
    token.fault(fault)
    gateway = make()
    assert echo(gateway.client("cloud")) == "hi"
    claims, made = relying.claims[-1]
    assert [header(made)["kid"]] == published(gateway) and claims["sub"] == "corp:tester"
    assert jose_verifies(made, gateway.public_url, relying.audience)["sub"] == "corp:tester"
    assert len(token.objects()) == 2
    [key] = token.private_keys()
    assert key["CKA_SENSITIVE"] and key["CKA_NEVER_EXTRACTABLE"] and key["CKA_LOCAL"] and key["CKA_PRIVATE"] and not key["CKA_EXTRACTABLE"]
    assert not (gateway.data_dir / "state" / "issuer").exists()
    assert not any(b"PRIVATE KEY" in f.read_bytes() and b"log-ed25519" not in f.name.encode()
                   for f in pathlib.Path(gateway.data_dir).rglob("*") if f.is_file() and "ed25519" not in f.name)
    kid = published(gateway)
    assert gateway.stop() == 0
    gateway.start()
    assert published(gateway) == kid and token.logins() == ["ok", "ok"], "another start, the same key"
    assert echo(gateway.client("cloud")) == "hi"
    secrets_nowhere(gateway, token.pin)


def test_keys_rotate_in_the_token(make, token, relying, oidc, tmp):
    clock = ShiftedClock(tmp / "clock")
    gateway = make(env=clock.env)

    relying.clocks = False

    def signs(shift) -> str:
        now = int(time.time()) + shift
        who = oidc.token_of(f"at-{now}", groups=["testers"], iat=now, exp=now + 600)
        assert echo(gateway.client("cloud", token=who)) == "hi"
        return header(relying.claims[-1][1])["kid"]

    [first] = published(gateway)
    assert signs(0) == first
    clock.step(30 * DAY + 60)
    assert eventually(lambda: len(published(gateway)) == 2, 8), gateway.process.err
    second = published(gateway)[1]
    assert published(gateway) == [first, second] and len(token.private_keys()) == 2
    assert signs(30 * DAY + 60) == first, "the new one is published first"
    clock.step(30 * DAY + 2 * HOUR)
    assert eventually(lambda: signs(30 * DAY + 2 * HOUR) == second, 8) and published(gateway) == [first, second]
    token.fault("read-only")
    clock.step(31 * DAY + 3 * HOUR)
    assert eventually(lambda: published(gateway) == [second], 8), "it is not published, whether or not it could be destroyed"
    assert eventually(lambda: "CKR_TOKEN_WRITE_PROTECTED" in gateway.process.err, 5) and len(token.private_keys()) == 2
    token.fault()
    clock.step(31 * DAY + 4 * HOUR)
    assert eventually(lambda: len(token.objects()) == 2, 8), "destroyed: a key and its public half are left"
    assert signs(31 * DAY + 4 * HOUR) == second


def test_a_wrong_pin_is_shown_once(make, token):
    token.pin_file.write_text("pin-canary-wrong")
    gateway = make(start=False)
    gateway.write_config()
    done = run("validate", gateway.config_path, env=gateway.env)
    assert done.returncode == 0 and "issuer_keys.pkcs11 cannot be used here and now: the token refuses the login: CKR_PIN_INCORRECT" in done.stderr, done
    assert token.logins() == ["refused"]
    again = run("validate", gateway.config_path, env=gateway.env)
    assert "the token was shown a wrong PIN last" in again.stderr and token.logins() == ["refused"], "validate does not use up tries"
    assert "the token refuses the login: CKR_PIN_INCORRECT" in refused_start(gateway)
    assert token.logins() == ["refused"] * 2 and "pin-canary" not in done.stderr + again.stderr
    token.fault("final-try")
    assert "the next wrong PIN would lock the token" in refused_start(gateway)
    assert token.logins() == ["refused"] * 2, "the last try is left to a person"
    token.fault()
    token.pin_file.write_text(token.pin)
    gateway.start()
    assert run("validate", gateway.config_path, env=gateway.env, check=True).stderr.count("issuer_keys") == 0


@pytest.mark.parametrize("change, why", [
    ({"module": "/nowhere/library.so"}, "/nowhere/library.so: there is no such library"),
    ({"module": "/etc/passwd"}, "/etc/passwd is no library that can be loaded"),
    ({"module": "/usr/lib/x86_64-linux-gnu/libz.so.1"}, "is no PKCS #11 library"),
    ({"token_label": "another"}, "there is no token with this label"),
    ({"token_label": None, "slot": 4242}, "there is no token in this slot"),
    ({"pin": {"file": "/nowhere/pin"}}, "pin: "),
    ({"fault": "gone"}, "there is no token with this label"),
    ({"fault": "leaky"}, "the token makes keys that can leave it"),
    ({"fault": "read-only"}, "no key can be made: CKR_TOKEN_WRITE_PROTECTED"),
    ({"fault": "sign=0x05"}, "the token does not sign: CKR_GENERAL_ERROR"),
], ids=["no module", "no library", "no PKCS 11", "no token", "no slot", "no pin", "gone", "leaky", "read-only", "does not sign"])
def test_what_is_wrong_at_the_start_is_said(make, token, change, why):
    token.fault(change.pop("fault", ""))
    gateway = make(start=False, **change)
    process = gateway.launch()
    assert process.wait(15) in (1, 78) and why in process.err and "pin-canary" not in process.err, process.err
    assert token.objects() == [], "a key that cannot be used is not kept"
    if change or "no token" in why:
        done = run("validate", gateway.config_path, env=gateway.env)
        assert why in done.stderr and "issuer_keys" in done.stderr, done


def test_a_library_that_everybody_may_write_is_not_loaded(make, token, tmp):
    copy = tmp / "open.so"
    copy.write_bytes(pathlib.Path(token.module).read_bytes())
    copy.chmod(0o666)
    assert "everybody may write to this library" in refused_start(make(start=False, module=str(copy)))


def test_a_key_that_was_brought_in_is_refused(make, token, tmp):
    pem = tmp / "keep.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", pem], check=True, capture_output=True)
    token.util("--import", pem, "--token", token.label, "--label", "sallyport", "--id", b"1700000000-abc".hex(), "--pin", token.pin)
    gateway = make(start=False)
    why = refused_start(gateway)
    assert "was not made in the token" in why or "can leave the token" in why
    gateway = make(key_label="ours")
    assert len(published(gateway)) == 1 and published(gateway) != ["1700000000-abc"], "what has another label is not looked at"


def test_a_token_that_is_pulled_out(make, token, oidc):
    gateway = make()
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    token.fault("gone")
    body = somebody(gateway, oidc, 1).call("echo", {"message": "x"}).body.decode()
    assert "no credential for the upstream" in body, body
    gateway.recorded(event="call.outcome", reason="upstream-credential-failed")
    assert "the token cannot be signed: there is no token with this label" in gateway.process.err
    assert echo(client) == "hi", "what was signed before goes on"
    assert len(published(gateway)) == 1
    for number in range(2, 22):
        somebody(gateway, oidc, number).call("echo", {"message": "x"})
    assert gateway.process.err.count("credential.token_failed") <= 4, "not for each call"
    token.fault()
    assert eventually(lambda: b"hi" in somebody(gateway, oidc, 1).call("echo", {"message": "hi"}).body, 12, 0.3)
    assert token.logins().count("refused") == 0
    secrets_nowhere(gateway, token.pin)


@pytest.mark.parametrize("code", ["0xb3", "0x32", "0x101", "0x60"], ids=["session handle invalid", "device removed", "not logged in", "key handle invalid"])
def test_a_session_that_was_lost_is_opened_again(make, token, oidc, code):
    gateway = make()
    token.fault(f"sign-once={code}")
    assert echo(somebody(gateway, oidc, 1)) == "hi"
    assert "no credential" not in gateway.process.err and token.logins() == ["ok", "ok"]


def test_a_pin_that_was_changed(make, token, oidc):
    """The old one is shown once; when the new one is written down, it works."""
    gateway = make()
    token.pin_file.write_text("pin-canary-other")
    token.fault("gone")
    assert "no credential" in somebody(gateway, oidc, 1).call("echo", {"message": "x"}).body.decode()
    token.fault()
    assert eventually(lambda: token.logins() == ["ok", "refused"] or somebody(gateway, oidc, 2).call("echo", {"message": "x"}) is None, 10, 0.3)
    more = itertools.count(3)

    def again() -> bool:
        assert "no credential" in somebody(gateway, oidc, next(more)).call("echo", {"message": "x"}).body.decode()
        return "it is not shown again until it changes" in gateway.process.err
    assert eventually(again, 15, 0.3), gateway.process.err
    assert token.logins() == ["ok", "refused"], "a PIN that was refused is not shown again"
    token.pin_file.write_text(token.pin)
    assert eventually(lambda: b"hi" in somebody(gateway, oidc, 20).call("echo", {"message": "hi"}).body, 40, 0.5)
    assert token.logins() == ["ok", "refused", "ok"]
    secrets_nowhere(gateway, token.pin, "pin-canary-other")


def test_a_slow_token_holds_nobody_up(make, token, oidc):
    gateway = make(shards=1)
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    token.fault("slow=1500")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(echo, somebody(gateway, oidc, n)) for n in range(3)]
        time.sleep(0.3)
        begin = time.monotonic()
        for _ in range(5):
            assert echo(client) == "hi"
        assert time.monotonic() - begin < 1, "calls of others wait for the token"
        assert not any(w.done() for w in waiting)
        assert [w.result() for w in waiting] == ["hi"] * 3
    assert time.monotonic() - begin < 3, "the token is asked for one after the other"
