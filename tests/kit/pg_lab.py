"""The database behind the bypass corpus: loaded once, compared after every case, put back when a case changed it."""

import time

from kit.postgres import Postgres
from kit.pgwire import Gone, Where, Wire

NUMBER_1 = "4539577986432614"  # of payments row 1: the one that @world replaces

OBJECTS = r"""
WITH s AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'sallyport')),
     r AS (SELECT c.oid, c.relname, c.relkind, s.nspname, c.relowner FROM pg_class c JOIN s ON s.oid = c.relnamespace
           WHERE c.relkind <> 't')
SELECT md5(string_agg(x, E'\n' ORDER BY x COLLATE "C")) FROM (
  SELECT 's ' || nspname x FROM s
  UNION ALL SELECT concat_ws(' ', 'r', nspname, relname, relkind, relowner) FROM r
  UNION ALL SELECT concat_ws(' ', 'a', r.nspname, r.relname, attname, attnum, atttypid::regtype)
            FROM pg_attribute a JOIN r ON r.oid = attrelid WHERE attnum > 0 AND NOT attisdropped
  UNION ALL SELECT concat_ws(' ', 'f', s.nspname, proname, md5(prosrc)) FROM pg_proc p JOIN s ON s.oid = pronamespace
  UNION ALL SELECT concat_ws(' ', 'u', rulename, ev_class::regclass) FROM pg_rewrite JOIN r ON r.oid = ev_class
  UNION ALL SELECT concat_ws(' ', 't', tgname, tgrelid::regclass) FROM pg_trigger JOIN r ON r.oid = tgrelid WHERE NOT tgisinternal
  UNION ALL SELECT 'e ' || extname FROM pg_extension
  UNION ALL SELECT concat_ws(' ', 'p', rolname, rolsuper, rolcreaterole, rolcanlogin) FROM pg_authid WHERE rolname = 'app'
  UNION ALL SELECT concat_ws(' ', 'c', setconfig) FROM pg_db_role_setting) z"""

DATA = r"""
WITH s AS (SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'sallyport')),
     r AS (SELECT c.relname, c.relkind, s.nspname FROM pg_class c JOIN s ON s.oid = c.relnamespace)
SELECT md5(string_agg(x, E'\n' ORDER BY x COLLATE "C")) FROM (
  SELECT concat_ws(' ', nspname, relname,
    query_to_xml(format('SELECT * FROM %I.%I t ORDER BY t::text', nspname, relname), true, false, '')::text) x
    FROM r WHERE relkind IN ('r', 'm')
  UNION ALL SELECT concat_ws(' ', nspname, relname,
    query_to_xml(format('SELECT last_value, is_called FROM %I.%I', nspname, relname), true, false, '')::text)
    FROM r WHERE relkind = 'S'
  UNION ALL SELECT 'lo ' || oid FROM pg_largeobject_metadata
  UNION ALL SELECT 'pw ' || md5(coalesce(rolpassword, '')) FROM pg_authid WHERE rolname = 'app') z"""


class Lab:
    """`schema` in database "lab" of a server of its own. Role app (static password) is what the gateway logs in as;
    `as_app` is the same login without the gateway."""

    PASSWORD = "lab-app-password"

    def __init__(self, server: Postgres, schema: str, database: str = "lab"):
        self.server, self.schema, self.database = server, schema, database
        server.sql(f"CREATE ROLE app LOGIN PASSWORD '{self.PASSWORD}'; CREATE DATABASE {database}")
        self.as_admin = Where(server.port, "postgres", database=database, keep=False)
        self.as_app = Where(server.port, "app", self.PASSWORD, database, keep=False)
        self._wire = Wire(self.as_admin)
        self.on_objects_changed = lambda: None  # the gateway gets the chance to see it
        self._written, self._state = "", ("", "")
        self._load()
        self._verifier = self.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'app'")[0][0]

    def sql(self, text: str) -> list[list[str | None]]:
        return self._wire.rows(text)

    def _load(self) -> None:
        for attempt in range(5):  # a session that has just ended may hold locks still
            try:
                self.sql("SET lock_timeout = '4s'; " + self.schema)
                break
            except AssertionError:
                self.sql("ROLLBACK")
                if attempt == 4:
                    raise
                time.sleep(0.3)
        self.baseline = self.objects, self.data = self.state()

    def _read(self, text: str) -> str:
        return self.sql(text)[0][0]

    def state(self) -> tuple[str, str]:
        """Looked at again only if a transaction has written since (reading assigns no transaction id), or a sequence
        has moved, which no transaction takes back."""
        now = self.sql("SELECT pg_snapshot_xmax(pg_current_snapshot()) || ' ' || coalesce((SELECT string_agg("
                       "concat_ws('.', schemaname, sequencename, last_value), ' ' ORDER BY schemaname, sequencename) "
                       "FROM pg_sequences), '')")[0][0]
        if now != self._written:
            self._state = self._read(OBJECTS), self._read(DATA)
            self._written = now
        return self._state

    def restore(self) -> None:
        """Back to the baseline; objects are made anew (with other OIDs) only if some changed."""
        objects, data = self.state()
        if (objects, data) == self.baseline:
            return
        if data != self.data:
            self.sql("SELECT lo_unlink(oid) FROM pg_largeobject_metadata")
            self.sql(f"ALTER ROLE app PASSWORD '{self._verifier}'")
        if objects != self.objects:
            for (name,) in self.sql("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN "
                                    "('public', 'information_schema', 'sallyport')"):
                self.sql(f'DROP SCHEMA "{name}" CASCADE')
            self.sql("ALTER ROLE app RESET ALL; ALTER ROLE app NOSUPERUSER NOCREATEROLE LOGIN")
            self._load()
            self.on_objects_changed()
        else:
            self._reload_data()
        assert self.state() == self.baseline, "the laboratory is not as it was"

    def _reload_data(self) -> None:
        inserts = "\n".join(line for line in self.schema.splitlines() if line.startswith(("INSERT", "REFRESH")))
        tables = ", ".join(f'"{n}"' for (n,) in self.sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"))
        self.sql(f"SET lock_timeout = '4s'; SET session_replication_role = replica; TRUNCATE {tables} RESTART IDENTITY; "
                 f"{inserts} SET session_replication_role = origin")
        for (name,) in self.sql("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'm'"):
            self.sql(f"REFRESH MATERIALIZED VIEW {name}")
        self.sql("SELECT setval('lseq', 1, false)")

    def prepare(self, statements: list[str]) -> None:
        before = self.state()[0]
        for statement in statements:
            self.sql(statement)
        if self.state()[0] != before:
            self.on_objects_changed()

    def codes(self) -> set[tuple[int, int]]:
        """(table, column) of every verification code, under whatever name."""
        return {(int(t), int(c)) for t, c in self.sql(
            "SELECT attrelid, attnum FROM pg_attribute WHERE attname IN ('cvv', 'harmless') AND attnum > 0 "
            "AND attrelid IN (SELECT oid FROM pg_class WHERE relname IN ('payments', 'payments_2024'))")}

    def world(self, number: str) -> None:
        self.sql("SET session_replication_role = replica")
        for table in ("payments", "refunds", "payments_part", "dropcol"):
            where = " WHERE id = 1" if table != "dropcol" else ""
            self.sql(f"UPDATE {table} SET card_number = '{number}'{where}")
        self.sql("SET session_replication_role = origin; REFRESH MATERIALIZED VIEW mv_pay; ANALYZE payments")

    def close(self) -> None:
        try:
            self._wire.terminate()
        except Gone:
            pass
