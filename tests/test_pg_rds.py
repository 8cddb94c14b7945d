"""Passwords of RDS by IAM: made for each connection, shown inside verified TLS only, and to nobody else.

A real PostgreSQL with TLS; what stands for RDS's own check of the token is a double (kit/rds.py).
"""

import concurrent.futures
import os
import pwd
import shutil
import time

import pytest

from kit.cloud import Aws, Sts
from kit.pg_gate import PgGateway, rule
from kit.pgwire import Refused, Where, Wire
from kit.pki import Authority
from kit.postgres import Postgres
from kit.process import eventually
from kit.rds import RdsIam
from test_upstream_credentials import secrets_nowhere

RULES = [rule("read", "shop", statements=["SELECT", "SHOW"], relations=["public.*", "pg_catalog.*"])]


@pytest.fixture(scope="module")
def authority(scratch):
    return Authority(scratch)


@pytest.fixture(scope="module")
def aws():
    return Aws()


@pytest.fixture(scope="module")
def iam(aws):
    double = RdsIam(aws.keys, "eu-central-1")
    yield double
    double.stop()


@pytest.fixture(scope="module")
def server(authority, iam):
    part = Postgres(scram=True)
    iam.database_port = part.port
    part.sql("CREATE ROLE app LOGIN; CREATE ROLE keeper LOGIN CREATEROLE; CREATE DATABASE shop OWNER keeper")
    part.sql("ALTER ROLE app IN DATABASE shop SET search_path = public")
    ask = f'ldap ldapserver=127.0.0.1 ldapport={iam.port} ldapprefix="cn=" ldapsuffix=",dc=rds"'
    data = part.directory / "data"
    (data / "pg_hba.conf").write_text("local all all trust\nhost all postgres 127.0.0.1/32 trust\n"
                                      f"hostssl all app,keeper 127.0.0.1/32 {ask}\nhostnossl all app,keeper 127.0.0.1/32 reject\n"
                                      "hostssl all all 127.0.0.1/32 scram-sha-256\n")
    cert, key = authority.issue("db")
    for source, target in ((cert, "server.crt"), (key, "server.key")):
        shutil.copy(source, data / target)
        os.chmod(data / target, 0o600)
        if os.geteuid() == 0:
            os.chown(data / target, *pwd.getpwnam("postgres")[2:4])
    part.sql("ALTER SYSTEM SET ssl = on")
    part.sql("SELECT pg_reload_conf()")
    assert eventually(lambda: part.sql("SHOW ssl").strip() == "on", 10)
    with Wire(Where(part.port, "postgres", database="shop", keep=False)) as own:
        own.rows("CREATE TABLE orders(id int); INSERT INTO orders VALUES (7); GRANT SELECT ON orders TO app;"
                 "GRANT SELECT ON orders TO keeper WITH GRANT OPTION")
    yield part
    part.stop()


@pytest.fixture(autouse=True)
def nothing_shown(iam):
    iam.shown.clear()


@pytest.fixture
def make(tmp, oidc, server, authority):
    """A gateway with these credentials; `upstream` changes how the database is reached."""
    parts = []

    def make(credentials, env=None, upstream=None, start=True):
        connection = {"name": "shop", "labels": {"env": "test", "scope": "cde"}, "postgres": {
            "upstream": {"host": "127.0.0.1", "port": server.port, "database": "shop", "ca": str(authority.cert), **(upstream or {})},
            "credentials": credentials}}
        parts.append(PgGateway(tmp / f"gateway{len(parts)}", oidc, [connection], RULES, "", start=start, env=env or {}))
        return parts[-1]
    yield make
    for part in parts:
        part.stop()


def order(gateway) -> str:
    with Wire(gateway.where("shop", keep=False)) as wire:
        return wire.rows("SELECT id FROM orders")[0][0]


def by_key(aws, **life) -> tuple[dict, dict, str]:
    id, secret, _ = aws.add(**life)
    return {"access_key_id": id, "secret_access_key": {"env": "RDS_SECRET"}}, {"RDS_SECRET": secret}, secret


def test_each_connection_shows_a_token_of_its_own(make, aws, iam):
    keys, env, secret = by_key(aws)
    gateway = make({"rds_iam": {"user": "app", "region": "eu-central-1", "credentials": keys}}, env)
    for _ in range(3):
        assert order(gateway) == "7"
        time.sleep(1.05)
    assert {user for user, _, _ in iam.shown} == {"app"} and all(good for _, _, good in iam.shown)
    tokens = {password for _, password, _ in iam.shown}
    assert len(tokens) >= 3, "signed anew, at its own second"
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert list(pool.map(lambda _: order(gateway), range(12))) == ["7"] * 12
    secrets_nowhere(gateway, secret, *(token.rpartition("=")[2] for token in tokens))


def test_a_session_outlives_its_token_and_a_role_for_each_can_be_made_with_one(make, aws, iam, server):
    keys, env, _ = by_key(aws)
    gateway = make({"jit_role": {"admin_user": "keeper", "rds_iam": {"region": "eu-central-1", "credentials": keys}}}, env)
    with Wire(gateway.where("shop")) as wire:
        assert wire.rows("SELECT current_user")[0][0].startswith("sallyport_")
        aws.keys.pop(keys["access_key_id"])
        assert wire.rows("SELECT id FROM orders") == [["7"]]
    assert {user for user, _, _ in iam.shown} == {"keeper"} and all(good for _, _, good in iam.shown)


def test_a_key_that_was_withdrawn_is_replaced_and_said(make, aws, iam, tmp):
    """The role's session is ended at AWS: the next token is refused, the one after is signed with a new key."""
    token = tmp / "keep-web-identity"
    token.write_text("eyJ.rds-web-identity-canary.sig\n")
    sts = Sts(aws, token)
    gateway = make({"rds_iam": {"user": "app", "region": "eu-central-1", "credentials": {"web_identity": {
        "role_arn": "arn:aws:iam::123456789012:role/gate", "token": {"file": str(token)}, "sts_url": sts.url}}}})
    assert order(gateway) == "7" and len(sts.given) == 1
    time.sleep(2.1)
    aws.keys.pop(sts.given[0][0])
    with pytest.raises(Refused) as refused:
        order(gateway)
    assert "upstream-login-failed" in str(refused.value), str(refused.value)
    assert order(gateway) == "7" and len(sts.given) == 2
    sts.mode = "down"
    time.sleep(2.1)
    aws.keys.pop(sts.given[1][0])
    with pytest.raises(Refused):
        order(gateway)
    with pytest.raises(Refused) as refused:
        order(gateway)
    assert "upstream-credential-failed" in str(refused.value), str(refused.value)
    gateway.recorded(event="request.refused", reason="upstream-credential-failed")
    assert "credential.not_obtained" in gateway.process.err
    sts.stop()
    secrets_nowhere(gateway, "rds-web-identity-canary", *(part for key in sts.given for part in key[1:]),
                    *(shown.rpartition("=")[2] for _, shown, _ in iam.shown))


def test_a_server_that_is_not_the_database_gets_no_token(make, aws, iam, scratch):
    keys, env, _ = by_key(aws)
    gateway = make({"rds_iam": {"user": "app", "region": "eu-central-1", "credentials": keys}}, env,
                   {"ca": str(Authority(scratch, "stranger").cert)})
    with pytest.raises(Refused):
        order(gateway)
    assert iam.shown == []


def test_a_wrong_secret_is_refused_by_the_database(make, aws, iam):
    keys, env, _ = by_key(aws)
    gateway = make({"rds_iam": {"user": "app", "region": "eu-central-1", "credentials": keys}}, {"RDS_SECRET": "other-" + env["RDS_SECRET"]})
    with pytest.raises(Refused) as refused:
        order(gateway)
    assert "upstream-login-failed" in str(refused.value)
    assert iam.shown and not any(good for _, _, good in iam.shown)


def test_a_password_is_found_again_when_it_has_changed(make, server, tmp):
    """Not of RDS: a password in a file is read again, so a rotation needs no restart."""
    server.sql("CREATE ROLE plain LOGIN PASSWORD 'first-canary'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain")
    with Wire(Where(server.port, "postgres", database="shop", keep=False)) as own:
        own.rows("GRANT SELECT ON orders TO plain")
    file = tmp / "keep-password"
    file.write_text("first-canary")
    gateway = make({"user": "plain", "password": {"file": str(file)}})
    assert order(gateway) == "7"
    server.sql("ALTER ROLE plain PASSWORD 'second-canary'")
    file.write_text("second-canary")

    def again():
        try:
            return order(gateway) == "7"
        except Refused:
            return False
    assert eventually(again, 8, 0.3)
    secrets_nowhere(gateway, "first-canary", "second-canary")
