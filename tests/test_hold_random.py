"""Held calls in random order of events: approved, denied, left to expire, cancelled, clients that go and come back, the same call
several times at once, decisions at any moment, and the gateway killed (kill -9) or stopped and started again in between.

What must hold in every order, by what the upstreams have received: not a byte before an approval was sent and none after a
refusal, never more runs than approvals, exactly one where the caller kept asking and the gateway stayed; every acknowledged
decision is in the log, and every run has an intent, a redemption and, before these, a decision there.

    SALLYPORT_HOLD_ROUNDS=1000 ../build/venv/bin/python -m pytest -q test_hold_random.py --timeout 7200
"""

import collections
import contextlib
import http.client
import json
import os
import random
import re
import threading
import time

import pytest

from kit import pgwire
from kit.approver import Approver
from kit.mcp import MODERN, note
from kit.parts import http_connection
from kit.pg_gate import PgGateway, database, rule
from kit.pgwire import Wire, errors, tags
from kit.postgres import Postgres

ROUNDS = int(os.environ.get("SALLYPORT_HOLD_ROUNDS", "48"))
SEED = int(os.environ.get("SALLYPORT_HOLD_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)
AT_ONCE = 12
PATIENCE = 25.0
TTL = 8.0
PASSWORD = "random-password"
KINDS = ("2025-11-25", "progress", "rounds", "task", "sql")
PLANS = ("approve",) * 5 + ("deny",) * 3 + ("expire", "cancel")
REFUSALS = {"approval-denied", "approval-expired", "approval-closed"}


@pytest.fixture(scope="module")
def server():
    part = Postgres(scram=True, log_statement="all")
    part.sql("CREATE ROLE app LOGIN PASSWORD 'random-password'; CREATE DATABASE hold OWNER app;\n\\c hold\n"
             "CREATE TABLE marks(id serial PRIMARY KEY, mark text NOT NULL); ALTER TABLE marks OWNER TO app;")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, server):
    flow = {"effect": "approve", "approval": "soon"}
    rules = [{"id": "refunds", "who": ["any"], "on": {"connection": "orders", "tools": ["refund_order"]}, **flow},
             {**rule("marks", "hold", statements=["INSERT"], relations=["public.marks"]), **flow}]

    def changes(config):
        config["server"]["limits"] = {"approval_hold": "800ms", "approvals_per_hour": 100000, "approvals_per_caller": 1000}
        config["approvals"] = [{"name": "soon", "approvers": ["group:payments-leads"], "need": 1, "ttl": f"{TTL:.0f}s"}]
    part = PgGateway(scratch / "gate", oidc, [database("hold", server, "hold", "app"), http_connection("orders", upstream.url)],
                     rules, PASSWORD, changes=changes, port=oidc.first_port())
    yield part
    part.stop()


class Case:
    def __init__(self, world, number: int):
        self.world, self.number = world, number
        self.random = random.Random(SEED * 1000003 + number)
        self.kind = self.random.choice(KINDS)
        self.plan = self.random.choice(PLANS)
        self.at_once = self.random.choice((1, 1, 1, 2, 3))
        letters = "".join(chr(97 + int(d)) for d in str(SEED))  # digits may look like a card number
        self.mark = f"mark-{letters}-{number}-"  # none begins with another
        self.patience = PATIENCE if self.plan in ("approve", "deny") else TTL + 4
        self.answers = []      # "ok" or a reason, of callers that got one
        self.decided = []      # (id, approved) acknowledged
        self.before = None     # whether the upstream had something of it when the first approval was sent
        self.left = False      # a caller went away in the middle
        self.lost = False      # with the call that had used the approval
        self.problems = []
        self.error = ""        # the last one of a caller, to be told
        self.over = threading.Event()
        self.cancelled = threading.Event()

    def __str__(self):
        return (f"case {self.number} ({self.kind}, {self.plan}, {self.at_once} at once): answers {self.answers}, "
                f"decided {self.decided}, problems {self.problems}, last error {self.error}")

    # -- the one who decides
    def decide(self):
        time.sleep(self.random.uniform(0, 1.6))
        approver = Approver(self.world.gateway)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not self.over.is_set():
            try:
                found = approver.find(self.mark, "pending") if self.wanted(approver) else []
                if found:
                    if self.before is None:
                        self.before = self.world.reached(self)
                    status, _ = approver.decide(found[0], self.plan == "approve")
                    if status == 200:
                        self.decided.append((found[0]["id"], self.plan == "approve"))
            except (OSError, ValueError, http.client.HTTPException):
                pass  # the gateway is away
            time.sleep(0.1)

    def wanted(self, approver: Approver) -> bool:
        """One approval for one run. More are needed only when an answer was lost with the gateway, or when this machine was so
        slow that nobody used the approval in its time."""
        return not self.decided or self.world.killed.is_set() or approver.state(self.decided[-1][0]) == "expired"

    # -- those who ask
    def ask(self, caller: random.Random):
        deadline = time.monotonic() + self.patience
        state = {}
        while time.monotonic() < deadline and not self.over.is_set():
            try:
                answer = getattr(self, "ask_" + {"2025-11-25": "session", "progress": "session"}.get(self.kind, self.kind))(caller, state)
            except (OSError, ValueError, http.client.HTTPException, AssertionError, pgwire.Gone, pgwire.Refused) as error:
                if isinstance(error, AssertionError) and self.world.gateway.alive() and "Wrong" in str(error):
                    self.problems.append(repr(error))
                    return
                self.error = repr(error)[:500]
                time.sleep(0.2)
                continue
            if answer is not None:
                self.answers.append(answer)
                return

    def client(self, version):
        caps = {"extensions": {"io.modelcontextprotocol/tasks": {}}} if self.kind == "task" else {}
        return self.world.gateway.client("orders", "tester", version, capabilities=caps, timeout=10)

    def arguments(self):
        return {"name": "refund_order", "arguments": {"order_id": self.mark, "amount": 1, "currency": "EUR"}}

    def judge(self, answer: dict):
        if "error" in answer:
            return None if answer["error"]["code"] in (-32603, 429) else f"error {answer['error']}"
        result = answer["result"]
        if result.get("isError"):
            reason = note(result)["reason"]
            return None if reason == "approval-required" else reason
        return "ok"

    def ask_session(self, caller, state):
        client = self.client("2025-11-25").start()
        try:
            return self.ask_in(client, caller)
        finally:
            with contextlib.suppress(OSError, http.client.HTTPException):
                client.close()

    def ask_in(self, client, caller):
        token = {"progress_token": caller.randrange(1 << 20)} if self.kind == "progress" else {}
        if caller.random() < 0.2:  # goes away, and comes back
            stream = client.stream("tools/call", self.arguments(), **({"progress_token": 1} if not token else token))
            time.sleep(caller.uniform(0, 0.5))
            stream.close()
            self.left = True
            return None
        if self.plan == "cancel" and not self.cancelled.is_set():
            body = client.message("tools/call", self.arguments())

            def stop():
                with contextlib.suppress(OSError, http.client.HTTPException):  # the gateway may be away
                    client.notify("notifications/cancelled", {"requestId": body["id"], "reason": "stop"})
            threading.Timer(caller.uniform(0.1, 0.6), stop).start()
            client.http("POST", body, client.headers(body))
            self.cancelled.set()
            return "cancelled"
        return self.judge(client.request("tools/call", self.arguments(), **token).answer)

    def ask_rounds(self, caller, state):
        client = self.client(MODERN)
        params = {**self.arguments(), **({"requestState": state["s"]} if "s" in state and caller.random() < 0.9 else {})}
        if caller.random() < 0.15:
            stream = client.stream("tools/call", params, progress_token=5)
            time.sleep(caller.uniform(0, 0.4))
            stream.close()
            self.left = True
            return None
        if self.plan == "cancel":
            return "cancelled" if not state.setdefault("n", 0) and client.request("tools/call", params) else None
        answer = client.request("tools/call", params).answer
        if answer.get("result", {}).get("resultType") == "input_required":
            state["s"] = answer["result"]["requestState"]
            return None
        return self.judge(answer)

    def ask_task(self, caller, state):
        client = self.client(MODERN)
        if "id" not in state:
            result = client.request("tools/call", self.arguments()).result
            if result.get("resultType") != "task":
                return self.judge({"result": result})
            state["id"] = result["taskId"]
        time.sleep(0.15)
        if self.plan == "cancel":
            client.request("tasks/cancel", {"taskId": state["id"]})
            return "cancelled"
        seen = client.request("tasks/get", {"taskId": state["id"]}).result
        if seen["status"] == "working":
            return None
        if seen["status"] == "completed":
            answer = self.judge({"result": seen["result"]})
            if answer is None:  # another call of the same caller used the approval: a task of one's own again
                del state["id"]
            return answer
        if seen["status"] == "failed" and self.world.killed.is_set():
            return "lost"
        if seen["status"] == "failed":
            del state["id"]  # used by another call of this caller
            return None
        return seen["status"]

    def ask_sql(self, caller, state):
        with Wire(self.world.gateway.where("hold", keep=False)) as wire:
            wire.send("Q", (f"INSERT INTO marks(mark) VALUES ('{self.mark}')").encode() + b"\0")
            if caller.random() < 0.15:
                time.sleep(caller.uniform(0, 0.5))
                wire.drop()
                self.left = True
                return None
            if self.plan == "cancel":
                time.sleep(caller.uniform(0, 0.4))
                pgwire.cancel(self.world.gateway.where("hold"), wire.pid, wire.key)
                wire.until_ready(10)
                return "cancelled"
            messages = wire.until_ready(20)
            if tags(messages) == ["INSERT 0 1"]:
                return "ok"
            said = errors(messages)[0]
            reason = said["D"].split("reason: ")[1].split(";")[0]
            return None if reason in ("approval-required", "approval-closed") else reason

    def run(self):
        threads = [threading.Thread(target=self.ask, args=(random.Random(self.random.random()),), daemon=True)
                   for _ in range(self.at_once)]
        decider = None
        if self.plan in ("approve", "deny"):
            decider = threading.Thread(target=self.decide, daemon=True)
            decider.start()
        for thread in threads:
            thread.start()
        # One run ends the case for all callers, also when the one that had it went away.
        deadline, ran = time.monotonic() + self.patience + 5, None
        while time.monotonic() < deadline and any(t.is_alive() for t in threads):
            if self.plan == "approve" and not self.world.killed.is_set() and self.world.runs(self):
                ran = ran or time.monotonic()
                if time.monotonic() > ran + 2:
                    break
            time.sleep(0.1)
        self.over.set()
        for thread in [*threads, *([decider] if decider else [])]:
            thread.join(30)


class World:
    def __init__(self, gateway, upstream, server):
        self.gateway, self.upstream, self.server = gateway, upstream, server
        self.killed = threading.Event()
        self._direct = Wire(pgwire.Where(server.port, "postgres", database="hold", keep=False))
        self._lock = threading.Lock()

    def runs(self, case: Case) -> int:
        if case.kind == "sql":
            with self._lock:
                return int(self._direct.rows(f"SELECT count(*) FROM marks WHERE mark = '{case.mark}'")[0][0])
        return sum(c["args"].get("order_id") == case.mark for c in self.upstream.calls("refund_order"))

    def reached(self, case: Case) -> bool:
        """Whether the upstream has got a byte of the call; `runs` says what it has run."""
        if case.kind != "sql":
            return any(case.mark in c["body"] for c in self.upstream.captured(case.mark))
        lines = (self.server.directory / "log").read_text(errors="replace").splitlines()
        return any(case.mark in line and "SELECT count(*) FROM marks WHERE" not in line for line in lines)

    def restart(self, hard: bool):
        self.killed.set()
        if hard:
            self.gateway.process.kill_hard()
        else:
            self.gateway.stop()
        self.gateway.start()


def check(world: World, case: Case, killed: bool):
    runs, approved = world.runs(case), sum(yes for _, yes in case.decided)
    assert not case.problems, str(case)
    assert not case.before, f"{case}: bytes went upstream before the first approval"
    assert runs <= approved, f"{case}: {runs} runs, {approved} approvals"
    # Tasks of the same call of the same caller stand for one request, one run and one result.
    answered = min(1, case.answers.count("ok")) if case.kind == "task" else case.answers.count("ok")
    assert answered <= runs, f"{case}: {runs} runs"
    if case.plan != "approve":
        assert runs == 0 and "ok" not in case.answers and not world.reached(case), str(case)
    elif not killed:
        # Who goes away between the use of the approval and the upstream cancels the call; the log has to say so.
        case.lost = case.left and runs == 0
        assert approved and (runs == 1 or case.lost), f"{case}: {runs} runs"
    if not killed and case.plan == "deny":
        assert case.decided and case.answers and set(case.answers) <= REFUSALS, str(case)


def check_log(world: World, cases: list[Case]) -> dict:
    """What the log says about the cases; how many restarts met a request that was open."""
    mark_of, decided, redeemed, intents, told = {}, {}, {}, {}, collections.defaultdict(set)
    lost, ident_of, cancelled = 0, {}, set()
    open_at_restart: collections.Counter = collections.Counter()
    started = 0
    for entry in world.gateway.entries():
        ident, event, at = entry.get("approval_id"), entry["event"], entry["index"]
        if event == "log.start":
            started = at
            open_at_restart.update("approved" if i in decided else "pending" for i in mark_of if not told[i])
        if event == "call.outcome" and entry.get("intent") in ident_of and entry["reason"] == "cancelled":
            cancelled.add(mark_of[ident_of[entry["intent"]]])
        if not ident:
            continue
        if event == "approval.requested":
            mark_of[ident] = re.search(r"mark-[a-j]+-\d+-", json.dumps(entry)).group(0)
        elif event == "approval.decided" and entry.get("ok") is not False:
            yes = entry["approval"]["vote"] == "approve"
            decided[ident] = (at, yes)
            if not yes:
                told[ident].add("denied")
        elif event in ("approval.expired", "approval.withdrawn"):
            told[ident].add(event)
        elif event == "approval.redeemed" and entry.get("ok") is not False:
            # A gateway that died between the entry and the state: its step took no effect, and is made again.
            assert redeemed.get(ident, -1) < started and ident not in intents, f"{ident} was used twice"
            lost += ident in redeemed
            redeemed[ident] = at
            told[ident].add(event)
        elif event == "call.intent":
            assert ident not in intents, f"{ident} ran twice"
            intents[ident] = at
            ident_of[at] = ident
    for ident, at in intents.items():
        assert decided[ident][1] and decided[ident][0] < redeemed[ident] < at, ident
    assert all(case.mark in cancelled for case in cases if case.lost), [str(case) for case in cases if case.lost]
    intended = collections.Counter(mark_of[ident] for ident in intents)
    for case in cases:
        for ident, yes in case.decided:
            assert decided.get(ident, (0, None))[1] == yes, f"an acknowledged decision is not in the log: {case}"
        assert world.runs(case) <= intended[case.mark], f"{case}: {world.runs(case)} runs, {intended[case.mark]} intents"
    return {"requests": len(mark_of), "decided": len(decided), "redeemed": len(redeemed), "redeemed again after a crash": lost, "runs": sum(map(world.runs, cases)),
            "cancelled by who went away": sum(case.lost for case in cases),
            "open at a restart": dict(open_at_restart)}


@pytest.mark.slow
@pytest.mark.timeout(max(300, ROUNDS * 8))
def test_interleavings(gateway, upstream, server):
    print(f"SALLYPORT_HOLD_SEED={SEED}")
    world = World(gateway, upstream, server)
    cases, outcomes, restarts, begun = [], collections.Counter(), 0, time.monotonic()
    chaos = random.Random(SEED)
    for begin in range(0, ROUNDS, AT_ONCE):
        world.killed.clear()
        batch = [Case(world, n) for n in range(begin, min(ROUNDS, begin + AT_ONCE))]
        threads = [threading.Thread(target=case.run, daemon=True) for case in batch]
        for thread in threads:
            thread.start()
        if chaos.random() < 0.4 or begin // AT_ONCE % 4 == 1:
            for _ in range(chaos.choice((1, 1, 2))):
                time.sleep(chaos.uniform(0.2, 2.5))
                world.restart(chaos.random() < 0.8)
                restarts += 1
        for thread in threads:
            thread.join(PATIENCE + 40)
            assert not thread.is_alive(), "a caller hangs"
        killed = world.killed.is_set()
        time.sleep(0.3)
        for case in batch:
            check(world, case, killed)
            outcomes[(case.plan, "killed" if killed else "", tuple(sorted(set(case.answers))))] += 1
        cases += batch
    assert gateway.verify().returncode == 0
    figures = {"rounds": len(cases), "restarts": restarts, "seconds": round(time.monotonic() - begun), **check_log(world, cases)}
    print(json.dumps({**{str(k): v for k, v in sorted(outcomes.items(), key=str)}, **figures}, indent=1))
