"""A throw-away PostgreSQL 15 (Debian's), run as the postgres user, with card numbers in a table."""

import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from kit.pgwire import Where, Wire
from kit.process import free_port

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")


class Postgres:
    """`scram`: everybody but the superuser has to show a password. `settings` go to the server's command line."""

    def __init__(self, scram: bool = False, **settings):
        self.port = free_port()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-pg-"))
        self._as_root = os.geteuid() == 0
        if self._as_root:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
        data = self.directory / "data"
        self._run("initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C")
        if scram:
            (data / "pg_hba.conf").write_text("local all all trust\nhost all postgres 127.0.0.1/32 trust\n"
                                              "host all all 127.0.0.1/32 scram-sha-256\n")
        more = "".join(f" -c {name}={value}" for name, value in settings.items())
        self._run("pg_ctl", "-D", data, "-w", "-l", self.directory / "log", "-o",
                  f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.directory} -c fsync=off{more}",
                  "start")
        self.dsn = f"postgres://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"

    @classmethod
    def lab(cls, password: str, tables: str = "", **settings) -> "Postgres":
        """With a database `lab` of a role `app`, and what the statements of `tables` (one behind the other, each ending a line) make there."""
        part = cls(scram=True, **settings)
        part.sql(f"CREATE ROLE app LOGIN PASSWORD '{password}'; CREATE DATABASE lab OWNER app")
        with Wire(Where(part.port, "app", password, "lab")) as own:
            for statement in filter(None, tables.strip().split(";\n")):
                own.rows(statement)
        return part

    def _run(self, tool, *argv):
        line = [str(BIN / tool), *map(str, argv)]
        if self._as_root:
            line = ["runuser", "-u", "postgres", "--", *line]
        # Not captured by pipe: the started server would keep it open.
        with open(self.directory.parent / f"{self.directory.name}.out", "ab") as out:
            done = subprocess.run(line, stdout=out, stderr=out, timeout=60, cwd="/")
        assert done.returncode == 0, (self.directory.parent / f"{self.directory.name}.out").read_text()[-2000:]

    def sql(self, text: str) -> str:
        done = subprocess.run([str(BIN / "psql"), self.dsn, "-v", "ON_ERROR_STOP=1", "-At", "-q"], input=text,
                              capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self):
        try:
            self._run("pg_ctl", "-D", self.directory / "data", "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
            (self.directory.parent / f"{self.directory.name}.out").unlink(missing_ok=True)
