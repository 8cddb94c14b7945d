"""A gateway in front of a PostgreSQL of the test's own: its configuration, and how a client reaches it."""

import pathlib
import subprocess

from kit.parts import Gateway, Oidc
from kit.pgwire import Where
from kit.postgres import Postgres
from kit.process import eventually, free_port

CALLER = "tester"  # of the issuer: group testers


def database(name: str, server: Postgres, upstream: str, user: str, labels=None, **more) -> dict:
    """A connection with one static credential, whose password is in the variable TEST_PG_PASSWORD."""
    return {"name": name, "labels": labels or {"env": "test", "scope": "cde"},
            "postgres": {"upstream": {"host": "127.0.0.1", "port": server.port, "database": upstream, "sslmode": "disable"},
                         "credentials": {"user": user, "password": {"env": "TEST_PG_PASSWORD"}}, **more}}


def jit_database(name: str, server: Postgres, upstream: str, admin: str, labels=None, **more) -> dict:
    """The same with a role for each session."""
    made = database(name, server, upstream, admin, labels, **more)
    made["postgres"]["credentials"] = {"jit_role": {"admin_user": admin, "admin_password": {"env": "TEST_PG_PASSWORD"}}}
    return made


def rule(ident: str, connection: str, who=("group:testers",), effect: str = "allow", **sql) -> dict:
    return {"id": ident, "effect": effect, "who": list(who), "on": {"connection": connection, "sql": sql}}


def certificate(directory: pathlib.Path, name: str = "gate", host: str = "127.0.0.1") -> tuple[pathlib.Path, pathlib.Path]:
    """A self-signed certificate for loopback and its key."""
    directory.mkdir(parents=True, exist_ok=True)
    cert, key = directory / f"{name}.crt", directory / f"{name}.key"
    done = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                           "-subj", f"/CN={host}", "-addext", f"subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key,
                           "-out", cert], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return cert, key


class PgGateway(Gateway):
    """`sallyport serve` with a PostgreSQL listener, with TLS if `tls` is (certificate, key)."""

    def __init__(self, directory: pathlib.Path, oidc: Oidc | None, connections: list[dict], policies: list[dict], password: str,
                 columns: list[dict] = (), tls=None, changes=None, **how):
        self.pg_port = free_port(how.get("port"))
        self.tls = tls

        def all_changes(config):
            config["server"]["listen"]["postgres"] = f"127.0.0.1:{self.pg_port}"
            if tls:
                config["server"]["tls"] = {"cert": str(tls[0]), "key": {"file": str(tls[1])}}
            config["masking"]["columns"] = list(columns)
            if changes:
                changes(config)
        super().__init__(directory, oidc, connections, policies, changes=all_changes,
                         env={"TEST_PG_PASSWORD": password, **how.pop("env", {})}, **how)

    def where(self, connection: str, who: str = CALLER, **more) -> Where:
        return Where(self.pg_port, "token", self.oidc.token(who), connection, tls=bool(self.tls), **more)

    def sessions(self) -> float:
        return self.metric("sallyport_postgres_sessions")

    def quiet(self, timeout: float = 10) -> bool:
        """No session is left."""
        return bool(eventually(lambda: self.sessions() == 0, timeout, 0.05))
