"""Secrets that lie in Vault or OpenBao (a double: kit/vault_double.py): read without load, rotated without a restart, leases that end
with their session, and a Vault that is hostile or gone.
"""

import subprocess
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
import threading

import pytest

from kit.cloud import Front
from kit.parts import Upstream, http_connection
from kit.paths import sallyport
from kit.pg_gate import PgGateway, rule
from kit.pgwire import Gone, Refused, ServerError, Where, Wire
from kit.pki import Authority
from kit.postgres import Postgres
from kit.process import eventually
from kit.vault_double import Vault
from test_upstream_credentials import echo, secrets_nowhere

RULES = [{"id": "all", "effect": "allow", "who": ["group:testers"], "on": {"connection": "cloud", "tools": ["*"]}},
         rule("read", "shop", statements=["SELECT", "SHOW"], relations=["public.*", "pg_catalog.*"])]
PATH = "secret/data/payments"


@pytest.fixture(scope="module")
def authority(scratch):
    return Authority(scratch)


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.issue("vault")


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True)
    part.sql("CREATE DATABASE shop")
    with Wire(Where(part.port, "postgres", database="shop", keep=False)) as own:
        own.rows("CREATE TABLE orders(id int)")
        own.rows("INSERT INTO orders VALUES (7)")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def plain(scratch):
    part = Upstream(scratch, bearer=None)
    yield part
    part.stop()


@pytest.fixture
def front(plain):
    part = Front(plain.port, lambda request: None)
    part.bearers = lambda: [r["head"].get("authorization", "").removeprefix("Bearer ") for r in list(part.seen)]
    yield part
    part.stop()


@pytest.fixture
def vault(leaf, server):
    part = Vault(leaf, server, "shop")
    part.kv[PATH] = {"token": "kv-canary-one", "other": "kv-canary-other"}
    part.token = part.make_token()
    yield part
    part.stop()


@pytest.fixture
def make(tmp, oidc, server, authority, front, vault):
    parts = []

    def make(section=None, start=True, bearer=None, env=None, rules=RULES, **more):
        cloud = http_connection("cloud", front.origin + "/mcp")
        cloud["mcp"]["http"]["auth"] = {"bearer": {"vault": bearer or {"path": PATH, "field": "token"}}}
        shop = {"name": "shop", "labels": {"env": "test", "scope": "cde"}, "postgres": {
            "upstream": {"host": "127.0.0.1", "port": server.port, "database": "shop", "sslmode": "disable"},
            "credentials": {"vault_database": {"role": "reader"}}}}
        whole = {"address": vault.url, "ca": str(authority.cert), "auth": {"token": {"env": "VAULT_TOKEN"}}, "refresh": "1s", **(section or {}), **more}
        parts.append(PgGateway(tmp / f"gateway{len(parts)}", oidc, [cloud, shop], rules, "", start=start,
                               env={"VAULT_TOKEN": vault.token, **(env or {})}, changes=lambda config: config.update(vault=whole)))
        return parts[-1]
    yield make
    for part in parts:
        part.stop()


def row(gateway) -> str:
    with Wire(gateway.where("shop", keep=False)) as wire:
        return wire.rows("SELECT current_user::text")[0][0]


def refused(gateway) -> str:
    try:
        row(gateway)
    except Refused as error:
        return str(error)
    return ""


def roles(server) -> set:
    return set(server.sql("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-gate-%'").split())


# -- KV ------------------------------------------------------------------------------------------------
def test_a_secret_is_read_seldom_and_found_again_when_it_changes(make, vault, front):
    gateway = make()
    client = gateway.client("cloud")
    begin, before = time.monotonic(), vault.count(PATH)
    for _ in range(100):
        assert echo(client) == "hi"
    assert set(front.bearers()) == {"kv-canary-one"}
    assert vault.count(PATH) - before <= (time.monotonic() - begin) + 2, "by time, not by call"
    vault.kv[PATH] = {"token": "kv-canary-two"}
    assert eventually(lambda: echo(client) == "hi" and front.bearers()[-1] == "kv-canary-two", 10, 0.3)
    gateway.stop()
    assert vault.token in vault.tokens, "a token that was given is not ours to end"
    secrets_nowhere(gateway, *vault.given)


def test_version_1_and_a_number(make, vault, front):
    vault.kv["kv/team/payments"] = {"token": 123456}
    gateway = make(bearer={"path": "kv/team/payments", "field": "token"})
    assert echo(gateway.client("cloud")) == "hi"
    assert set(front.bearers()) == {"123456"}


@pytest.mark.parametrize("how", ["jwt", "kubernetes", "approle"])
def test_logins(make, vault, front, how, tmp):
    proof = tmp / "keep-proof"
    proof.write_text("eyJ.proof-canary-4410.sig\n")
    vault.namespace = "payments/gate"
    auth, mount = {how: {"role": "gate", "token": {"file": str(proof)}}}, how
    body = {"role": "gate", "jwt": "eyJ.proof-canary-4410.sig"}
    if how == "jwt":
        auth["jwt"]["mount"] = mount = "ci/jwt"
    if how == "approle":
        auth, body = {how: {"role_id": "r-1", "secret_id": {"file": str(proof)}}}, {"role_id": "r-1", "secret_id": "eyJ.proof-canary-4410.sig"}
    vault.logins[f"auth/{mount}/login"] = body
    vault.token_life = 6
    gateway = make(auth=auth, namespace="payments/gate")
    assert echo(gateway.client("cloud")) == "hi"
    time.sleep(8)
    assert echo(gateway.client("cloud")) == "hi"
    assert vault.count(f"auth/{mount}/login") == 1 and vault.count("auth/token/renew-self") >= 1
    row(gateway)
    gateway.stop()
    assert not any(own for _, own in vault.tokens.values()), "the token of the login ended with the gateway"
    assert not vault.leases
    secrets_nowhere(gateway, "proof-canary-4410", *vault.given)


def test_a_token_that_is_gone_is_replaced_and_a_path_that_is_forbidden_is_no_reason_for_one(make, vault, front, tmp):
    file = tmp / "keep-token"
    file.write_text(vault.token)
    gateway = make(auth={"token": {"file": str(file)}})
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    vault.forget_tokens()
    vault.kv[PATH] = {"token": "kv-canary-three"}
    file.write_text(vault.make_token())
    assert eventually(lambda: echo(client) == "hi" and front.bearers()[-1] == "kv-canary-three", 12, 0.3)
    vault.forbidden.add(PATH)
    assert eventually(lambda: "secrets.withdrawn" in gateway.process.err, 6)
    assert "vault answered HTTP 403 for secret/data/payments" in gateway.process.err
    assert refused(gateway) == ""


def test_a_forbidden_path_is_no_reason_to_log_in_anew(make, vault, front, tmp):
    """Another token would be revoked with all leases, and end the sessions that rest on them."""
    proof = tmp / "keep-proof"
    proof.write_text("proof-canary-77")
    vault.logins["auth/approle/login"] = {"role_id": "r-1", "secret_id": "proof-canary-77"}
    gateway = make(auth={"approle": {"role_id": "r-1", "secret_id": {"file": str(proof)}}})
    with Wire(gateway.where("shop")) as wire:
        user = wire.rows("SELECT current_user::text")
        vault.forbidden.add(PATH)
        before = vault.count(PATH)
        assert eventually(lambda: vault.count(PATH) >= before + 3, 15, 0.3)
        assert vault.count("auth/approle/login") == 1 and vault.count("auth/token/lookup-self") >= 1
        assert wire.rows("SELECT current_user::text") == user
    secrets_nowhere(gateway, "proof-canary-77", *vault.given)


# -- a Vault that does not serve ------------------------------------------------------------------------
HOSTILE = ["down", "sealed", "garbage", "huge", "slow", "redirect"]


class Elsewhere(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.tokens.append(self.headers.get("x-vault-token"))
        self.send_response(200)
        self.end_headers()
    do_POST = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def elsewhere(vault):
    server = HTTPServer(("127.0.0.1", 0), Elsewhere)
    server.tokens = []
    vault.elsewhere = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("mode", HOSTILE)
def test_what_was_read_goes_on_and_new_logins_fail_closed(make, vault, front, elsewhere, mode):
    gateway = make()
    client = gateway.client("cloud")
    assert echo(client) == "hi"
    row(gateway)
    vault.mode = mode
    assert eventually(lambda: "secrets.not_renewed" in gateway.process.err, 12, 0.2)
    assert echo(client) == "hi" and front.bearers()[-1] == "kv-canary-one"
    begin = time.monotonic()
    assert "upstream-credential-failed" in (said := refused(gateway)) or "upstream-timeout" in said, said
    assert time.monotonic() - begin < 17
    assert gateway.ops("/readyz")[0] == 200
    assert elsewhere.tokens == []
    vault.mode = "up"
    assert eventually(lambda: refused(gateway) == "", 20, 0.5)
    secrets_nowhere(gateway, "vault-words-canary", *vault.given)


@pytest.mark.parametrize("mode", ["down", "sealed", "garbage", "slow", "redirect", "wrong authority", "forbidden", "no such member"])
def test_nothing_starts_without_its_secrets(make, vault, elsewhere, scratch, mode):
    section, bearer = {}, {"path": PATH, "field": "token"}
    if mode == "wrong authority":
        section["ca"] = str(Authority(scratch, "stranger").cert)
    elif mode == "forbidden":
        vault.forbidden.add(PATH)
    elif mode == "no such member":
        bearer["field"] = "nothing"
    else:
        vault.mode = mode
    gateway = make(section, start=False, bearer=bearer)
    done = subprocess.run([sallyport(), "serve", "--config", gateway.config_path], env=gateway.env, capture_output=True, text=True, timeout=25)
    assert done.returncode not in (0, None) and done.returncode > 0, done
    assert "vault" in done.stderr
    for secret in ("vault-words-canary", "AAAAAAAA", *vault.given):
        assert secret not in done.stderr + done.stdout
    assert elsewhere.tokens == []


# -- logins of the database engine -----------------------------------------------------------------------
def test_a_login_for_each_session_that_ends_with_it(make, vault, server):
    gateway = make()
    with Wire(gateway.where("shop")) as one, Wire(gateway.where("shop", "tester2")) as two:
        users = {wire.rows("SELECT current_user::text")[0][0] for wire in (one, two)}
        assert len(users) == 2 and users < roles(server)
        assert one.rows("SELECT id FROM orders") == [["7"]]
    assert eventually(lambda: not users & roles(server), 10), "revoked at the end of the session"
    assert len(roles(server)) == 1, "the gateway's own, for the catalog"
    gateway.stop()
    assert not vault.leases and not roles(server)
    secrets_nowhere(gateway, *vault.given)


def test_a_lease_is_renewed_while_it_is_used(make, vault):
    vault.lease_life = 3
    gateway = make()
    with Wire(gateway.where("shop")) as wire:
        user = wire.rows("SELECT current_user::text")
        time.sleep(8)
        assert wire.rows("SELECT current_user::text") == user
    assert 2 <= vault.count("sys/leases/renew") <= 20


@pytest.mark.parametrize("how", ["down", "longest life", "not renewable", "revoked", "another lease"])
def test_a_session_ends_with_its_lease(make, vault, how):
    vault.lease_life = 5
    if how == "longest life":
        vault.lease_longest = 7
    if how == "not renewable":
        vault.renewable = False
    vault.renews_another = how == "another lease"
    gateway = make()
    with Wire(gateway.where("shop")) as wire:
        assert wire.rows("SELECT id FROM orders") == [["7"]]
        begin = time.monotonic()
        if how == "down":
            vault.mode = "down"
        if how == "revoked":
            vault.revoke_all()
        said = []
        with pytest.raises(Gone):
            while True:
                kind, body = wire.read(12)
                said += [ServerError(body)] if kind == "E" else []
        assert 2 < time.monotonic() - begin < {"longest life": 11}.get(how, 9)
        assert [error["S"] for error in said] == ["FATAL"] and "session-ended" in str(said[0]), said
    if how == "down":
        assert "upstream-credential-failed" in refused(gateway)
        gateway.recorded(event="request.refused", reason="upstream-credential-failed")
        vault.mode = "up"
    assert eventually(lambda: refused(gateway) == "", 15, 0.5)
    secrets_nowhere(gateway, *vault.given)


def test_an_unknown_role_is_said(make, vault):
    gateway = make(start=False)
    gateway.config["connections"][1]["postgres"]["credentials"]["vault_database"]["role"] = "writer"
    gateway.write_config()
    gateway.start()
    assert "upstream-credential-failed" in refused(gateway)
    assert "vault answered HTTP 400 for database/creds/writer" in gateway.process.err
