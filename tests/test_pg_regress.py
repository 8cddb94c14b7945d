"""PostgreSQL's own regression queries (Debian's source package, fetched by tests/setup.sh), for a role with nothing classified: what psql
prints through the gate is what it prints directly, byte for byte, but for digits that look like a card number: those are masked; for
what PostgreSQL's grammar does not read; and for the number of the line in front of a NOTICE.

SALLYPORT_PG_REGRESS=all runs every file of the schedule.
"""

import os
import re
import subprocess

import pytest

from kit.paths import ROOT
from kit.pg_drivers import PSQL
from kit.pg_gate import PgGateway, database
from kit.postgres import Postgres

REGRESS = ROOT / "build/pg-regress"
PASSWORD = "regress-password"
# In the order of PostgreSQL's schedule; the first one loads what others use.
FILES = """test_setup boolean char name varchar text int2 int4 int8 oid float4 float8 bit numeric txid uuid enum money rangetypes pg_lsn regproc
 strings numerology point lseg line box path polygon circle date time timetz timestamp timestamptz interval inet macaddr macaddr8
 multirangetypes geometry horology tstypes regex type_sanity opr_sanity misc_sanity comments expressions unicode xid mvcc database
 encoding euc_kr copy copyselect copydml insert insert_conflict create_misc create_operator create_procedure create_table create_type
 create_schema create_index create_view index_including index_including_gist create_aggregate create_function_sql create_cast constraints
 triggers select inherit typed_table vacuum drop_if_exists updatable_views roleattributes create_am hash_func errors infinite_recurse
 sanity_check select_into select_distinct select_distinct_on select_implicit select_having subselect union case join aggregates
 transactions random arrays btree_index hash_index update delete namespace prepared_xacts brin gin gist spgist privileges init_privs""".split()
# These touch the whole server, or need C code that Debian does not ship.
NOT_HERE = {"tablespace", "largeobject", "stats", "event_trigger", "create_function_c"}
# Of the first half of the schedule, what is not in FILES, and why.
DIFFERENT = {
    "portals": "a fault: FETCH from a cursor that a function has opened is refused, also where nothing is classified",
}
EVERYTHING = [{"id": "all", "effect": "allow", "who": ["group:testers"],
               "on": {"connection": "regression", "sql": {"statements": ["*"], "relations": ["*"], "functions": {"allow": ["*"]},
                                                         "require_where": False}}}]
# What the gate refuses by design, whoever asks: left out of the file for both, and the rest of it has to be the same.
WITHOUT = {
    # Its texts are read with this setting on.
    "strings": r"(?mis)^set standard_conforming_strings (?:to|=) off;.*?"
               r"^(?:reset standard_conforming_strings|set standard_conforming_strings = on);\n",
    # A COPY FROM STDIN beside other statements of one text, and its data.
    "copyselect": r"(?ms)^select 0\\; copy test3 from stdin.*?^2\n\\\.\n",
}
UNREADABLE = "refused: the SQL cannot be read with PostgreSQL's grammar"
NOTICE = re.compile(r"^(psql:\S+?):\d+:( NOTICE:)", re.M)
DIGITS = re.compile(r"(?<![0-9*])[0-9*](?:[ .-]?[0-9*]){12,18}(?![0-9*])")


@pytest.fixture(scope="module")
def server():
    assert (REGRESS / "sql").is_dir(), "tests/setup.sh fetches the source package of postgresql-15"
    part = Postgres(scram=True, autovacuum="off", max_connections=50)
    part.sql(f"CREATE ROLE app LOGIN SUPERUSER PASSWORD '{PASSWORD}'; CREATE DATABASE regression TEMPLATE template0 OWNER app; "
             "CREATE DATABASE directness TEMPLATE template0 OWNER app")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, server):
    part = PgGateway(scratch, oidc, [database("regression", server, "regression", "app")], EVERYTHING, PASSWORD, port=oidc.first_port())
    yield part
    part.stop()


def names() -> list[str]:
    if os.environ.get("SALLYPORT_PG_REGRESS") != "all":
        return FILES
    lines = (REGRESS / "parallel_schedule").read_text().splitlines()
    return [n for line in lines if line.startswith("test:") for n in line.split()[1:] if n not in NOT_HERE]


def printed(name: str, port: int, user: str, password: str, db: str) -> str:
    env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": db,
           "PGSSLMODE": "disable", "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY", "PGOPTIONS": "-c intervalstyle=postgres_verbose",
           "PG_ABS_SRCDIR": str(REGRESS), "PG_ABS_BUILDDIR": str(REGRESS), "PG_LIBDIR": "/usr/lib/postgresql/15/lib", "PG_DLSUFFIX": ".so",
           "LC_ALL": "C"}
    text = (REGRESS / f"sql/{name}.sql").read_bytes()
    if name in WITHOUT:
        text, cut = re.subn(WITHOUT[name].encode(), b"", text)
        assert cut, f"{name}.sql no longer holds what is left out of it"
    done = subprocess.run([PSQL, "-X", "-a", "-q", "-v", "HIDE_TABLEAM=on", "-v", "HIDE_TOAST_COMPRESSION=on", "-f", "-"],
                          env=env, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=170)
    # A name of the same length: psql pads columns to what stands in them.
    return done.stdout.decode(errors="replace").replace("directness", "regression")


def luhn(digits: str) -> bool:
    numbers = [int(c) for c in reversed(digits) if c.isdigit()]
    return sum(n if at % 2 == 0 else n * 2 - 9 * (n > 4) for at, n in enumerate(numbers)) % 10 == 0


def may_be_masked(digits: str) -> bool:
    """A card number as a whole, or before a decimal point."""
    whole = digits.partition(".")[0]
    return luhn(digits) or (13 <= sum(c.isdigit() for c in whole) <= 19 and luhn(whole))


def same_line(through: str, direct: str) -> bool:
    """Digits with the check digit of a card number may be masked: with stars, or in a number's place by another number."""
    return through == direct or (any(may_be_masked(m.group(0)) for m in DIGITS.finditer(direct)) and
                                 DIGITS.sub("#", through) == DIGITS.sub("#", direct))


def without_grammar(through: str, direct: str) -> tuple[str, str]:
    """What PostgreSQL's grammar does not read is refused by the gate in its own words: one error for another, at the same place."""
    for at in set(re.findall(rf"^(psql:\S+:\d+:) ERROR:  {re.escape(UNREADABLE)}$", through, re.M)):
        block = re.compile(rf"^{re.escape(at)} ERROR:  .*\n(?:(?:LINE \d+: .*\n *\^|(?:DETAIL|HINT|QUERY|CONTEXT):  .*)\n)*", re.M)
        through, direct = block.sub(f"{at} unreadable\n", through), block.sub(f"{at} unreadable\n", direct)
    return through, direct


def same(through: str, direct: str) -> bool:
    """The line of the script that psql puts before a NOTICE is the one it has read by then: while it sends COPY data that is chance, so
    it is left out. What the NOTICE says and where it is printed stay."""
    through, direct = (NOTICE.sub(r"\1:\2", text) for text in without_grammar(through, direct))
    left, right = through.splitlines(), direct.splitlines()
    return len(left) == len(right) and all(same_line(x, y) for x, y in zip(left, right))


@pytest.mark.parametrize("name", names())
def test_the_same_is_printed(gateway, server, oidc, name):
    direct = printed(name, server.port, "app", PASSWORD, "directness")
    through = printed(name, gateway.pg_port, "token", oidc.token("tester"), "regression")
    if not same(through, direct):
        at = next((i for i, (x, y) in enumerate(zip(through.splitlines(), direct.splitlines())) if not same_line(x, y)), -1)
        pytest.fail(f"from line {at + 1}:\ngate   {through.splitlines()[at:at + 4]}\ndirect {direct.splitlines()[at:at + 4]}")
