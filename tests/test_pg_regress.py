"""PostgreSQL's own regression queries (Debian's source package, fetched by tests/setup.sh), for a role with nothing classified: what psql
prints through the gate is what it prints directly, byte for byte, but for digits that look like a card number: those are masked; for
what PostgreSQL's grammar does not read; and for the number of the line in front of a NOTICE.
"""

import itertools
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
# These touch the whole server, or need C code that Debian does not ship.
NOT_HERE = {"tablespace", "largeobject", "stats", "event_trigger", "create_function_c"}
EVERYTHING = [{"id": "all", "effect": "allow", "who": ["group:testers"],
               "on": {"connection": "regression", "sql": {"statements": ["*"], "relations": ["*"], "functions": {"allow": ["*"]},
                                                         "require_where": False}}}]
STRINGS = r"(?mis)^set standard_conforming_strings (?:to|=) off;.*?^(?:reset standard_conforming_strings|set standard_conforming_strings = on);\n"
# What the gate refuses by design, whoever asks: left out of the file for both, and the rest of it has to be the same.
WITHOUT = {
    # Its texts are read with this setting on.
    "strings": STRINGS,
    "plpgsql": STRINGS,
    # A COPY FROM STDIN beside other statements of one text, and its data.
    "copyselect": r"(?ms)^select 0\\; copy test3 from stdin.*?^2\n\\\.\n",
    # What psql keeps of an error (SQLSTATE, message) where the grammar does not read the text; a COPY FROM STDIN as above.
    "psql": r"(?ms)^-- syntax error\nSELECT 1 UNION;.*?(?=^-- other query error\n)|^\\set VERBOSITY terse\nSELECT 1 UNION;.*?^\n|"
            r"^-- \\gdesc with an error\nSELECT 4 AS .*?^\n|^-- miscellaneous SQL commands\n.*?^\\\.\n",
}
UNREADABLE = "refused: the SQL cannot be read with PostgreSQL's grammar"
NOTICE = re.compile(r"^(psql:\S+?):\d+:( NOTICE:)", re.M)
DIGITS = re.compile(r"(?<![0-9*])[0-9*](?:[ .-]?[0-9*]){12,18}(?![0-9*])")


@pytest.fixture(scope="module")
def server():
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
    """In the order of the schedule: the first ones load what others use."""
    lines = (REGRESS / "parallel_schedule").read_text().splitlines()
    return [n for line in lines if line.startswith("test:") for n in line.split()[1:] if n not in NOT_HERE]


def printed(name: str, port: int, user: str, password: str, db: str) -> str:
    env = {**os.environ, "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": user, "PGPASSWORD": password, "PGDATABASE": db,
           "PGSSLMODE": "disable", "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY", "PGOPTIONS": "-c intervalstyle=postgres_verbose",
           "PG_ABS_SRCDIR": str(REGRESS), "PG_ABS_BUILDDIR": str(REGRESS), "PG_LIBDIR": "/usr/lib/postgresql/15/lib", "PG_DLSUFFIX": ".so",
           "LC_ALL": "C"}
    text = (REGRESS / f"sql/{name}.sql").read_bytes()
    text = re.sub(rb'\bregression(?=\.")|(?<=DATABASE )regression\b', db.encode(), text)
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


def difference(through: str, direct: str) -> str:
    """The line of the script that psql puts before a NOTICE is the one it has read by then: while it sends COPY data that is chance, so
    it is left out. What the NOTICE says and where it is printed stay."""
    through, direct = (NOTICE.sub(r"\1:\2", text) for text in without_grammar(through, direct))
    left, right = through.splitlines(), direct.splitlines()
    at = next((i for i, (x, y) in enumerate(itertools.zip_longest(left, right, fillvalue="")) if not same_line(x, y)), None)
    return "" if at is None else f"from line {at + 1}:\ngate   {left[at:at + 4]}\ndirect {right[at:at + 4]}"


@pytest.mark.parametrize("name", names())
def test_the_same_is_printed(gateway, server, oidc, name):
    direct = printed(name, server.port, "app", PASSWORD, "directness")
    through = printed(name, gateway.pg_port, "token", oidc.token("tester"), "regression")
    assert not difference(through, direct)
