"""Random statements through the gate. Over the classified schema, an oracle that knows the numbers looks at all that arrives;
over tables without classified columns, the answer is the server's, byte by byte, in each protocol and format.

SALLYPORT_PG_RANDOM sets how many (./dev soak asks for 100,000), SALLYPORT_PG_SEED where they begin.
"""

import os
import random

import pytest

from kit.pg_cases import visible
from kit.pg_gate import CALLER, PgGateway, database
from kit.pg_lab import Lab
from kit.pg_oracle import Oracle
from kit.pg_random import classified, harmless
from kit.pgwire import Gone, Wire
from kit.postgres import Postgres
from test_pg_bypass import COLUMNS, RULES, SCHEMA

COUNT = int(os.environ.get("SALLYPORT_PG_RANDOM", "3000"))
SEED = int(os.environ.get("SALLYPORT_PG_SEED", "20261121"))
WAYS = ("simple", "text", "binary")
pytestmark = pytest.mark.timeout(600 + COUNT // 20)


@pytest.fixture(scope="module")
def lab():
    server = Postgres(scram=True, autovacuum="off")
    part = Lab(server, SCHEMA)
    yield part
    part.close()
    server.stop()


@pytest.fixture(scope="module", params=["lineage", "source"])
def gateway(request, scratch, oidc, lab):
    part = PgGateway(scratch / request.param, oidc, [database("lab", lab.server, "lab", "app", masking=request.param)], RULES, Lab.PASSWORD,
                     COLUMNS, port=int(oidc.audience.rsplit(":", 1)[1]))
    part.mode = request.param
    yield part
    part.stop()


def ask(wire: Wire, statement: str, way: str) -> list:
    if way == "simple":
        return wire.query(statement)
    return wire.extended(statement, results=(1,) if way == "binary" else ())


def test_no_number_in_any_answer(gateway):
    dice, oracle = random.Random(f"{SEED}/classified"), Oracle()
    count = COUNT if gateway.mode == "lineage" else COUNT // 4
    leaks, refused, answered, wire = [], 0, 0, None
    for turn in range(count):
        statement, way = classified(dice), dice.choice(WAYS)
        if turn % 500 == 0:  # many statements of one session, and several sessions
            if wire:
                wire.terminate()
            wire = Wire(gateway.where("lab", timeout=30).but(password=gateway.oidc.token(CALLER, fresh=True)))
        try:
            got = ask(wire, statement, way)
        except Gone as gone:
            pytest.fail(f"the session ended ({gone}) at: {statement}")
        found = oracle.leaks(got)
        if found and oracle.leaks(ask(wire, statement, way)):
            leaks.append(f"{way}: {statement} -> {found}")
        if any(kind == "E" for kind, _ in got):
            refused += 1
        else:
            answered += 1
        wire.seen.clear()
    wire.terminate()
    assert not leaks, f"{len(leaks)} of {count}:\n" + "\n".join(leaks[:20])
    assert answered > count // 4, f"only {answered} of {count} were answered, {refused} refused: this shows nothing"


def test_what_touches_nothing_classified_is_as_direct(gateway, lab):
    dice = random.Random(f"{SEED}/harmless")
    count = COUNT // 2 if gateway.mode == "lineage" else COUNT // 10
    different = []
    with Wire(gateway.where("lab")) as through, Wire(lab.as_app) as direct:
        for _ in range(count):
            statement, way = harmless(dice), dice.choice(WAYS)
            a, b = ask(through, statement, way), ask(direct, statement, way)
            if visible(a) != visible(b) or through.status != direct.status:
                different.append(f"{way}: {statement}\n  gate   {visible(a)[:3]}\n  direct {visible(b)[:3]}"[:1500])
            through.seen.clear(), direct.seen.clear()
    assert not different, f"{len(different)} of {count}:\n" + "\n".join(different[:10])


def test_the_oracle_sees_them_directly(lab):
    """Without the gate most of these statements leak."""
    dice, oracle = random.Random(f"{SEED}/classified"), Oracle()
    leaking = 0
    with Wire(lab.as_app) as wire:
        for _ in range(300):
            leaking += bool(oracle.leaks(ask(wire, classified(dice), "simple")))
            wire.seen.clear()
    assert leaking > 100
