"""Agents that reach a database by their certificate, with psql and no password; what a certificate of somebody else, of nobody or of another
authority gets; and that a certificate which a driver found at home makes nobody somebody else."""

import hashlib
import json
import os
import ssl
import subprocess
import time
import urllib.request

import pytest

from kit.pg_gate import PgGateway, database, rule
from kit.pki import Authority
from kit.postgres import Postgres
from kit.process import eventually, free_port

SVID = "spiffe://acme.example/ns/ci/sa/runner"
PASSWORD = "certificate-lab"
AGENTS = ("agent:batch", "agent:runner", "agent:brief", "agent:leaver")
RULES = [rule("reads", "lab", who=(*AGENTS, "group:testers"), statements=["SELECT"], relations=["public.t"], functions={"allow": ["pg_sleep"]})]


def fingerprint(pair) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair[0].read_text())).hexdigest()


@pytest.fixture(scope="module")
def authority(scratch):
    return Authority(scratch, "own")


@pytest.fixture(scope="module")
def pairs(scratch, authority):
    stranger = Authority(scratch, "stranger")
    made = {"batch": authority.issue("batch"), "other": authority.issue("other"), "svid": authority.issue("svid", f"URI:{SVID}"),
            "sibling": authority.issue("sibling", f"URI:{SVID}/x"), "two": authority.issue("two", f"URI:{SVID},URI:spiffe://acme.example/b"),
            "stranger": stranger.issue("stranger", f"URI:{SVID}"), "expired": authority.issue("expired", f"URI:{SVID}", expired=True),
            "leaver": authority.issue("leaver")}
    for _, key in made.values():
        key.chmod(0o600)
    return made


@pytest.fixture(scope="module")
def server():
    part = Postgres.lab(PASSWORD, "CREATE TABLE t(id int);\nINSERT INTO t VALUES (7);\n")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server, authority, pairs):
    def changes(config):
        config["server"]["tls"]["postgres_client_ca"] = str(authority.cert)
        config["identity"]["agents"] += [
            {"name": "batch", "owner": "group:ops", "match": {"certificate": "sha256:" + fingerprint(pairs["batch"])}},
            {"name": "leaver", "owner": "group:ops", "match": {"certificate": "sha256:" + fingerprint(pairs["leaver"])}},
            {"name": "brief", "owner": "group:ops", "match": {"certificate": "spiffe://acme.example/brief"}},
            {"name": "runner", "owner": "group:ops", "match": {"certificate": SVID}}]
    part = PgGateway(scratch / "gateway", oidc, [database("lab", server, "lab", "app")], RULES, PASSWORD, tls=authority.issue("gate"),
                     changes=changes, port=int(oidc.audience.rsplit(":", 1)[1]))
    yield part
    part.stop()


def command(gateway, authority, pair, user: str, sql: str, more: str = "") -> list[str]:
    shown = f"sslcert={pair[0]} sslkey={pair[1]}" if pair else "sslcert=/none sslkey=/none"
    return ["psql", "-XAtqw", f"host=127.0.0.1 port={gateway.pg_port} user={user} dbname=lab sslmode=verify-full sslrootcert={authority.cert} {shown} {more}",
            "-c", sql]


def psql(gateway, authority, pair, user: str, token: str = "", sql: str = "SELECT id FROM t", more: str = "") -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | ({"PGPASSWORD": token} if token else {})
    return subprocess.run(command(gateway, authority, pair, user, sql, more), env=env, capture_output=True, text=True, timeout=60)


def sessions(gateway) -> list[dict]:
    return [e["who"] for e in gateway.audit(event="auth.success", connection="lab")]


@pytest.mark.parametrize("name, agent, token_class", [("batch", "batch", "mtls"), ("svid", "runner", "spiffe")])
def test_an_agent_by_its_certificate_alone(gateway, authority, pairs, name, agent, token_class):
    done = psql(gateway, authority, pairs[name], agent)
    assert done.returncode == 0 and done.stdout == "7\n", done
    who = sessions(gateway)[-1]
    assert (who["agent"], who["token_class"], who["owner"]) == (agent, token_class, "group:ops"), who
    assert who["subject"] == (SVID if name == "svid" else "sha256:" + fingerprint(pairs[name]))


@pytest.mark.parametrize("name", ["stranger", "expired"])
def test_a_certificate_that_is_not_good_ends_the_handshake(gateway, authority, pairs, oidc, name):
    """Also with a good token: nobody learns of it, because it is not asked for."""
    before = len(sessions(gateway))
    for user, token in (("runner", ""), ("tester", oidc.token("tester"))):
        done = psql(gateway, authority, pairs[name], user, token)
        assert done.returncode == 2 and done.stdout == "" and ("alert" in done.stderr or "SSL" in done.stderr), done
    assert len(sessions(gateway)) == before and gateway.alive()
    assert gateway.recorded(event="auth.failure", method="login")


@pytest.mark.parametrize("name, user", [("other", "batch"), ("other", "runner"), ("sibling", "runner"), ("two", "runner"), ("batch", "runner"),
                                        ("svid", "batch"), ("batch", "token"), ("batch", "tester"), ("batch", "BATCH"), (None, "batch"), (None, "runner")])
def test_a_certificate_of_nobody_or_of_another(gateway, authority, pairs, name, user):
    """A password is asked for, and there is none."""
    before = len(sessions(gateway))
    done = psql(gateway, authority, pairs[name] if name else None, user)
    assert done.returncode == 2 and "no password supplied" in done.stderr, done
    assert len(sessions(gateway)) == before


@pytest.mark.parametrize("name", ["batch", "svid", "other", None])
def test_who_brings_a_token_is_who_it_says(gateway, authority, pairs, oidc, name):
    """Whatever certificate the driver found at home: neither more nor less."""
    done = psql(gateway, authority, pairs[name] if name else None, "tester", oidc.token("tester"))
    assert done.returncode == 0 and done.stdout == "7\n", done
    who = sessions(gateway)[-1]
    assert who["subject"] == "tester" and not who.get("agent"), who
    for user, token in (("batch", oidc.token("tester")), ("tester", "nonsense")):
        done = psql(gateway, authority, pairs["other"], user, token)
        assert done.returncode == 2 and done.stdout == "", done


def test_rules_count_for_it(gateway, authority, pairs):
    done = psql(gateway, authority, pairs["batch"], "batch", sql="SELECT relname FROM pg_catalog.pg_class LIMIT 1")
    assert done.returncode == 1 and "policy-default-deny" in done.stderr, done
    assert [e for e in gateway.recorded(event="call.denied", connection="lab") if e["who"]["agent"] == "batch"]


def test_not_without_tls(gateway, authority, pairs):
    done = psql(gateway, authority, pairs["batch"], "batch", more="sslmode=disable gssencmode=disable")
    assert done.returncode == 2 and "under TLS only" in done.stderr, done


def test_it_ends_with_the_certificate(gateway, authority):
    """Made while the test runs: it has eight seconds."""
    pair = authority.issue("short", "URI:spiffe://acme.example/brief", lasts=8)
    pair[1].chmod(0o600)
    begun = time.monotonic()
    done = psql(gateway, authority, pair, "brief", sql="SELECT pg_sleep(30)")
    assert done.returncode == 2 and time.monotonic() - begun < 15 and "FATAL" in done.stderr, done
    assert psql(gateway, authority, pair, "brief").returncode == 2


def test_it_ends_with_the_agent(gateway, authority, pairs, oidc, server):
    """An administrator ends the agent's access: what runs is cut, and the certificate opens nothing any more."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    running = subprocess.Popen(command(gateway, authority, pairs["leaver"], "leaver", "SELECT pg_sleep(60)"), env=env, stderr=subprocess.PIPE, text=True)
    assert eventually(lambda: server.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND usename = 'app'").strip() == "1", 10, 0.2)
    body = json.dumps({"issuer": "x509", "subject": "sha256:" + fingerprint(pairs["leaver"]), "reason": "it is gone"}).encode()
    request = urllib.request.Request(gateway.public_url + "/api/v1/revocations", body, {"authorization": f"Bearer {oidc.token('admin')}",
                                                                                       "content-type": "application/json", "x-sallyport": "1"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status in (200, 201)
    assert running.wait(10) == 2 and "FATAL" in running.stderr.read()
    done = psql(gateway, authority, pairs["leaver"], "leaver")
    assert done.returncode == 2 and "session has ended" in done.stderr, done
    assert gateway.recorded(event="auth.failure", reason="session-ended")
    assert psql(gateway, authority, pairs["batch"], "batch").returncode == 0, "others go on"


def test_it_is_not_asked_for_unless_it_is_said(tmp, oidc, server, authority, pairs):
    def changes(config):
        config["identity"]["agents"] += [{"name": "batch", "owner": "group:ops", "match": {"certificate": "sha256:" + fingerprint(pairs["batch"])}}]
        config["server"]["tls"]["client_ca"] = str(authority.cert)
    rules = [rule("reads", "lab", who=("agent:batch", "group:testers"), statements=["SELECT"], relations=["public.t"])]
    part = PgGateway(tmp / "gateway", oidc, [database("lab", server, "lab", "app")], rules, PASSWORD, tls=authority.issue("gate2"), changes=changes,
                     port=free_port())
    try:
        done = psql(part, authority, pairs["batch"], "batch")
        assert done.returncode == 2 and "no password supplied" in done.stderr, done
        assert psql(part, authority, pairs["stranger"], "tester", oidc.token("tester")).returncode == 0
    finally:
        part.stop()
