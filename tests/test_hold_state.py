"""What requests for approval live on: a kill -9 at every point of a life, the clock set forward and back, floods of one caller, and a
state that is full, locked or damaged. What cannot be known for sure is refused, with its reason and in the log."""

import sqlite3
import subprocess
import time

import pytest

from kit.approver import Approver
from kit.parts import Gateway, http_connection
from kit.process import eventually, free_port
from kit.refunds import ask, held, refund, rule_of
from kit.shifted_clock import ShiftedClock

SHORT = 3.0

RULES = [rule_of("short", "short", lte=10), rule_of("two", "two", gt=10, lte=100), rule_of("one", "one", gt=100),
         {"id": "others", "effect": "allow", "who": ["any"], "on": {"connection": "orders", "tools": ["echo"]}}]


def settings(config, **limits):
    config["server"]["limits"] = {"approval_hold": "200ms", **limits}
    flow = {"approvers": ["group:payments-leads"], "need": 1, "reason": "required", "ttl": "15m"}
    config["approvals"] = [{"name": "one", **flow}, {"name": "two", **flow, "need": 2},
                           {"name": "short", **flow, "ttl": f"{SHORT:.0f}s"}]


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    part = Gateway(scratch / "gate", oidc, [http_connection("orders", upstream.url)], RULES,
                   changes=lambda config: settings(config, approvals_per_caller=1000, approvals_per_hour=10000))
    yield part
    part.stop()


def reached(upstream, order: str) -> int:
    runs = sum(c["args"].get("order_id") == order for c in upstream.calls("refund_order"))
    if runs == 0:
        assert upstream.captured(order) == [], "bytes of the call went upstream"
    return runs


# ---- a restart at every point of a life

def crash(gateway):
    gateway.process.kill_hard()
    gateway.start()


def test_killed_while_it_waits(gateway, lead, upstream, order):
    request = held(gateway, lead, order)
    crash(gateway)
    found = next(r for r in lead.find(order))
    assert {k: found[k] for k in ("id", "state", "digest", "expires_at", "shown")} == \
        {k: request[k] for k in ("id", "state", "digest", "expires_at", "shown")}
    assert ask(gateway, refund(order))["approval_id"] == request["id"] and reached(upstream, order) == 0
    assert lead.decide(request, True)[0] == 200 and ask(gateway, refund(order)) == {}
    assert reached(upstream, order) == 1


def test_killed_between_two_votes(gateway, lead, upstream, order):
    request = held(gateway, lead, order, 50)
    assert lead.decide(request, True)[1]["state"] == "pending"
    crash(gateway)
    assert "voted" in lead.decide(request, True)[1]["detail"]
    assert ask(gateway, refund(order, 50))["approval_id"] == request["id"] and reached(upstream, order) == 0
    assert Approver(gateway, "lead2").decide(request, True)[1]["state"] == "approved"
    assert ask(gateway, refund(order, 50)) == {} and reached(upstream, order) == 1


def test_killed_after_the_approval_and_after_the_use(gateway, lead, upstream, order):
    request = held(gateway, lead, order)
    assert lead.decide(request, True)[0] == 200
    crash(gateway)
    assert lead.state(request["id"]) == "approved" and reached(upstream, order) == 0
    assert ask(gateway, refund(order, 901))["approval_id"] != request["id"]
    assert ask(gateway, refund(order)) == {} and reached(upstream, order) == 1
    crash(gateway)
    assert lead.state(request["id"]) == "redeemed"
    assert ask(gateway, refund(order))["approval_id"] != request["id"] and reached(upstream, order) == 1
    assert lead.decide(request, True)[1]["code"] == "approval-closed"


@pytest.mark.parametrize("end", ["denied", "withdrawn"])
def test_killed_after_an_end(gateway, lead, upstream, order, end):
    request = held(gateway, lead, order)
    if end == "denied":
        assert lead.decide(request, False)[0] == 200
    else:
        assert Approver(gateway, "tester").ask("POST", f"/api/v1/approvals/{request['id']}/withdraw", {})[0] == 200
        assert eventually(lambda: stored(gateway, request["id"]) == "withdrawn", 5, 0.1)  # written behind
    crash(gateway)
    assert lead.state(request["id"]) == end
    assert lead.decide(request, True)[1]["code"] == "approval-closed"
    said = ask(gateway, refund(order))
    assert (said["reason"], said["approval_id"] == request["id"]) == \
        (("approval-denied", True) if end == "denied" else ("approval-required", False)), said
    assert reached(upstream, order) == 0


def stored(gateway, ident: str) -> str:
    with sqlite3.connect(f"file:{gateway.data_dir}/state/state.db?mode=ro", uri=True) as db:
        return db.execute("SELECT state FROM approval WHERE id = ?", (ident,)).fetchone()[0]


@pytest.mark.parametrize("decided", [False, True])
def test_its_time_runs_while_the_gateway_is_down(gateway, lead, upstream, order, decided):
    request = held(gateway, lead, order, 5)
    assert not decided or lead.decide(request, True)[0] == 200
    gateway.process.kill_hard()
    time.sleep(SHORT)
    gateway.start()
    assert ask(gateway, refund(order, 5))["approval_id"] != request["id"]
    assert lead.decide(request, True)[1]["code"] == "approval-expired"
    assert gateway.recorded(event="approval.expired", approval_id=request["id"])
    assert reached(upstream, order) == 0


# ---- the clock

@pytest.fixture
def stepped(tmp, start_gateway, oidc, upstream):
    """A gateway at a clock of its own, and tokens that are good at every time that is tried here."""
    clock = ShiftedClock(tmp / "clock")
    part = start_gateway(tmp / "gate", oidc, [http_connection("orders", upstream.url)], RULES, port=free_port(), env=clock.env,
                         changes=settings)
    now = int(time.time())
    times = {"iat": now - 3 * 3600, "exp": now + 5 * 3600}
    part.clock = clock
    part.lead = Approver(part, token=oidc.token_of("lead", "lea@example.com", ["payments-leads"], **times))
    part.asker = {"token": oidc.token_of("tester", "tess@example.com", ["testers"], **times)}
    return part


def test_a_clock_that_is_put_forward(stepped, upstream, order):
    request = held(stepped, stepped.lead, order, **stepped.asker)
    approved = held(stepped, stepped.lead, order + "a-", **stepped.asker)
    assert stepped.lead.decide(approved, True)[0] == 200
    stepped.clock.step(15 * 60 + 1)
    assert stepped.lead.decide(request, True)[1]["code"] == "approval-expired"
    assert ask(stepped, refund(order + "a-"), **stepped.asker)["approval_id"] != approved["id"]
    assert eventually(lambda: stepped.lead.state(request["id"]) == "expired", 5, 0.1)
    assert stepped.recorded(event="approval.expired", approval_id=request["id"])
    stepped.clock.step(0)  # and back: what is over stays over
    time.sleep(0.1)
    assert stepped.lead.decide(request, True)[1]["code"] == "approval-expired"
    assert reached(upstream, order) == reached(upstream, order + "a-") == 0


def test_a_clock_that_is_put_back_gives_no_time(stepped, upstream, order):
    request = held(stepped, stepped.lead, order, 5, **stepped.asker)
    approved = held(stepped, stepped.lead, order + "a-", 5, **stepped.asker)
    assert stepped.lead.decide(approved, True)[0] == 200
    stepped.clock.step(-3600)
    time.sleep(SHORT + 0.3)
    assert stepped.lead.decide(request, True)[1]["code"] == "approval-expired"
    assert ask(stepped, refund(order + "a-", 5), **stepped.asker)["approval_id"] != approved["id"]
    assert reached(upstream, order) == reached(upstream, order + "a-") == 0


def test_a_clock_that_was_put_back_while_it_was_down(stepped, upstream, order):
    approved = held(stepped, stepped.lead, order, **stepped.asker)
    assert stepped.lead.decide(approved, True)[0] == 200
    stepped.process.kill_hard()
    stepped.clock.step(-3600)
    stepped.start()
    assert eventually(lambda: stepped.lead.state(approved["id"]) == "expired", 5, 0.1)
    assert ask(stepped, refund(order), **stepped.asker)["approval_id"] != approved["id"]
    assert reached(upstream, order) == 0


# ---- floods

def test_a_flood_of_one_caller(tmp, start_gateway, oidc, upstream, order):
    gateway = start_gateway(tmp / "gate", oidc, [http_connection("orders", upstream.url)], RULES, port=free_port(),
                            changes=lambda config: settings(config, approvals_per_hour=40))
    lead, tester = Approver(gateway), Approver(gateway, "tester")
    said = [ask(gateway, refund(f"{order}{n}-")) for n in range(30)]
    assert [s["reason"] for s in said] == ["approval-required"] * 20 + ["limit-exceeded"] * 10
    assert len(lead.find(order, "pending")) == 20
    assert len(gateway.recorded(event="call.denied", reason="limit-exceeded")) == 10
    assert ask(gateway, refund(order + "b-"), who="tester2")["reason"] == "approval-required"
    assert ask(gateway, refund(f"{order}0-"))["approval_id"] == said[0]["approval_id"]  # the same again is no more of them
    for n in range(30):  # taking back makes room, until the hour is used up
        for request in lead.find(f"{order}", "pending"):
            if request["requester"]["subject"] == "tester":
                assert tester.ask("POST", f"/api/v1/approvals/{request['id']}/withdraw", {})[0] == 200
        last = ask(gateway, refund(f"{order}again-{n}-"))
        if last["reason"] != "approval-required":
            break
    assert n == 20 and last["reason"] == "limit-exceeded", (n, last)
    assert reached(upstream, order) == 0 and gateway.verify().returncode == 0


# ---- a state that cannot be relied on

def unavailable(gateway, lead, upstream, request, approved, order):
    """Nothing is filed, decided or used; everything else goes on; it is said and recorded."""
    said = ask(gateway, refund(order + "new-"))
    assert said["reason"] == "state-unavailable", said
    assert lead.decide(request, True)[1]["code"] == "state-unavailable"
    said = ask(gateway, refund(approved))
    assert said["reason"] == "state-unavailable", said
    assert upstream.captured(order) == [] and reached(upstream, approved) == 0
    assert gateway.recorded(event="call.denied", reason="state-unavailable")
    assert gateway.client("orders").call("echo", {"message": "x"}).text() == "Echo: x"
    assert eventually(lambda: "FAIL state" in gateway.ops("/readyz")[1], 10) and gateway.ops("/readyz")[0] == 503
    assert gateway.metric("sallyport_state_unavailable") == 1


def goes_on(gateway, lead, upstream, request, approved, order):
    assert eventually(lambda: gateway.ops("/readyz")[0] == 200, 20), gateway.ops("/readyz")
    assert lead.decide(request, True)[0] == 200
    assert ask(gateway, refund(order)) == {} and ask(gateway, refund(approved)) == {}
    assert reached(upstream, order) == reached(upstream, approved) == 1
    assert ask(gateway, refund(order + "new-"))["reason"] == "approval-required"
    assert gateway.verify().returncode == 0


def test_a_locked_state(gateway, lead, upstream, order):
    """Another process holds the lock: what needs the state is refused until it lets go."""
    request, approved = held(gateway, lead, order), held(gateway, lead, f"approved-{order}")
    assert lead.decide(approved, True)[0] == 200
    lock = sqlite3.connect(gateway.data_dir / "state" / "state.db", timeout=1, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    try:
        unavailable(gateway, lead, upstream, request, f"approved-{order}", order)
        refused = gateway.audit(event="approval.redeemed", approval_id=approved["id"])
        assert [e.get("ok") for e in refused] == [None, False] or [e.get("ok") for e in refused] == [True, False], refused
    finally:
        lock.execute("ROLLBACK")
        lock.close()
    goes_on(gateway, lead, upstream, request, f"approved-{order}", order)


@pytest.fixture
def small_state(tmp):
    """A file system of 1 MiB for data_dir/state alone: the log has room."""
    mount = tmp / "gate" / "data" / "state"
    mount.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", mount], check=True)
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_full_state(tmp, small_state, start_gateway, oidc, upstream, order):
    gateway = start_gateway(tmp / "gate", oidc, [http_connection("orders", upstream.url)], RULES, port=free_port(),
                            changes=lambda config: settings(config, approvals_per_caller=1000))
    lead = Approver(gateway)
    request, approved = held(gateway, lead, order), held(gateway, lead, f"approved-{order}")
    assert lead.decide(approved, True)[0] == 200
    filler = small_state / "filler"
    with open(filler, "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"\0" * 512)
        except OSError:
            pass
    for n in range(200):  # what the write-ahead log has already is used up first
        said = ask(gateway, {**refund(f"fill-{n}-{order[6:]}"), "note": "x" * 4000})
        if said["reason"] != "approval-required":
            break
    unavailable(gateway, lead, upstream, request, f"approved-{order}", order)
    filler.unlink()
    goes_on(gateway, lead, upstream, request, f"approved-{order}", order)
    gateway.stop()


def test_a_damaged_state(tmp, start_gateway, oidc, upstream, order):
    gateway = start_gateway(tmp / "gate", oidc, [http_connection("orders", upstream.url)], RULES, port=free_port(), changes=settings)
    lead = Approver(gateway)
    request, approved = held(gateway, lead, order), held(gateway, lead, f"approved-{order}")
    assert lead.decide(approved, True)[0] == 200
    gateway.stop()
    (gateway.data_dir / "state" / "state.db").write_bytes(b"x" * 8192)
    for tail in ("-wal", "-shm"):
        (gateway.data_dir / "state" / f"state.db{tail}").unlink(missing_ok=True)
    gateway.launch()
    assert eventually(lambda: "FAIL state" in gateway.ops("/readyz")[1], 20)
    # Nobody knows any more who was revoked: tokens from before the start are worth nothing, nor what an issuer whose clock is
    # ahead by the skew (60 s) may have issued before it.
    time.sleep(3)
    fresh = oidc.token_of("tester", "tess@example.com", ["testers"], iat=int(time.time()) + 59)
    old = gateway.client("orders").call("refund_order", refund(order))
    assert "session-ended" in old.body.decode() or old.status == 401, old
    said = ask(gateway, refund(order), token=fresh)
    assert said["reason"] == "state-unavailable", said
    assert gateway.client("orders", token=fresh).call("echo", {"message": "x"}).text() == "Echo: x"
    assert reached(upstream, order) == reached(upstream, f"approved-{order}") == 0
    lead = Approver(gateway, token=oidc.token_of("lead", "lea@example.com", ["payments-leads"], iat=int(time.time()) + 59))
    assert lead.decide(request, True)[1]["code"] in ("state-unavailable", "not-found")


def test_the_log_holds(gateway):
    assert gateway.verify().returncode == 0
