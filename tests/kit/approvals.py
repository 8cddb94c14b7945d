"""A gate with something to approve: an agent that refunds, an analyst at a database, leads who decide, a webhook."""

import json
import threading
import urllib.error
import urllib.request

from kit.mcp import MODERN, note
from kit.parts import UPSTREAM_SECRET, http_connection
from kit.pg_gate import PgGateway, database, rule
from kit.process import eventually

PASSWORD = "approvals-password"
HOOK_KEY = "whsec-of-the-tests"
SCHEMA = """
CREATE ROLE maker LOGIN PASSWORD 'approvals-password';
CREATE DATABASE shop OWNER maker;
\\c shop
SET ROLE maker;
CREATE TABLE payments(id int PRIMARY KEY, customer text, card_number text, amount numeric);
INSERT INTO payments SELECT g, 'customer ' || g, '4111111111111111', g FROM generate_series(1, 40) g;
"""
COLUMNS = [{"connection": "shop", "column": "public.payments.card_number", "detector": "pan"}]
RULES = [
    {"id": "refund-small", "effect": "allow", "who": ["agent:agent-refunds"],
     "on": {"connection": "payments", "tools": ["refund_order"], "args": {"amount": {"lte": 100}}}},
    {"id": "refund-large", "effect": "approve", "approval": "leads-one", "who": ["agent:agent-refunds", "group:payments-leads"],
     "on": {"connection": "payments", "tools": ["refund_order"], "args": {"amount": {"gt": 100}}}},
    {"id": "bulk", "effect": "approve", "approval": "leads-one", "who": ["group:analysts"],
     "on": {"connection": "shop", "sql": {"statements": ["SELECT"], "relations": ["public.payments"], "unbounded": True}}},
    rule("settings", "shop", who=("group:analysts",), statements=["SET", "SHOW"]),
]


class ApprovalGate(PgGateway):
    """Reached at http://localhost:PORT: passkeys need a name."""

    def __init__(self, directory, oidc, upstream, server, hook=None, ttl: str = "15m", need: int = 1, changes=None, **how):
        def all_changes(config):
            config["server"]["public_url"] = oidc.audience
            config["identity"]["providers"][0]["oidc"].update(
                client_id="sallyport-console", client_secret={"env": "TEST_OIDC_SECRET"}, scopes=["openid", "profile", "email", "groups"])
            config["approvals"][0].update(ttl=ttl, need=need)
            if hook:
                config["approvals"][0]["notify"] = [
                    {"webhook": {"url": {"env": "TEST_HOOK"}, "key": {"env": "TEST_HOOK_KEY"}, "allow_loopback_http": True}},
                    {"webhook": {"url": {"env": "TEST_HOOK"}, "format": "slack", "allow_loopback_http": True}}]
            if changes:
                changes(config)
        super().__init__(directory, oidc, [http_connection("payments", upstream.url), database("shop", server, "shop", "maker")],
                         RULES, PASSWORD, COLUMNS, changes=all_changes, port=int(oidc.audience.rsplit(":", 1)[1]),
                         env={"TEST_OIDC_SECRET": "sallyport-console-secret", "TEST_HOOK": hook.url if hook else "",
                              "TEST_HOOK_KEY": HOOK_KEY}, **how)
        self.public_url = oidc.audience

    def api(self, method: str, path: str, who: str | None, body=None, headers=None):
        """(status, JSON) of the API with the token of `who`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.public_url + path, data, {"content-type": "application/json", **(headers or {})}, method=method)
        if who:
            request.add_header("authorization", f"Bearer {self.oidc.token(who)}")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else text.decode(errors="replace")

    def waiting(self, who: str = "lead", resource: str = "refund_order", timeout: float = 10) -> dict:
        """The newest open request for that resource."""
        def find():
            status, found = self.api("GET", "/api/v1/approvals?state=pending", who)
            assert status == 200, found
            return [r for r in found["approvals"] if r["resource"] == resource]
        found = eventually(find, timeout, 0.1)
        assert found, "nothing waits"
        return found[0]

    def decide(self, who: str, request: dict, decision: str = "approve", **more):
        return self.api("POST", f"/api/v1/approvals/{request['id']}/decision", who,
                        {"decision": decision, "reason": "tests", "digest": request["digest"], **more})

    def ask(self, amount, order: str = "o_1a2b3c4d", who: str = "agent-refunds") -> "Asking":
        return Asking(self, {"order_id": order, "amount": amount, "currency": "EUR"}, who)


class Asking:
    """An agent that wants a refund and asks again, with the same arguments, as long as it is told to wait."""

    def __init__(self, gate: ApprovalGate, arguments: dict, who: str):
        self.gate, self.arguments, self.who = gate, arguments, who
        self.result: dict | None = None
        self.error: BaseException | None = None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            client = self.gate.client("payments", self.who, MODERN).start()
            while not self.stopped.is_set():
                result = client.call("refund_order", self.arguments).result
                if not result.get("isError") or note(result).get("reason") not in ("approval-required",):
                    self.result = result
                    return
                self.stopped.wait(0.3)
        except BaseException as error:  # noqa: B902 - the thread of the test has to see it
            self.error = error

    def wait(self, timeout: float = 60) -> dict:
        self.thread.join(timeout)
        assert self.error is None, self.error
        assert self.result is not None, "the call did not end"
        return self.result

    def stop(self):
        self.stopped.set()
        self.thread.join(60)


__all__ = ["ApprovalGate", "Asking", "COLUMNS", "HOOK_KEY", "PASSWORD", "RULES", "SCHEMA", "UPSTREAM_SECRET"]
