"""Refunds that wait for a person: the rules, the call, and what the gateway says about it."""

import itertools
import time

from kit.mcp import note

_numbers = itertools.count(1)


def mark(what: str) -> str:
    """A name that no other contains. Its time is written in letters: digits may be a card number, and be masked."""
    return f"{what}-{next(_numbers)}-" + "".join(chr(97 + int(d)) for d in str(time.monotonic_ns())) + "-"


def rule_of(ident: str, flow: str, **amount) -> dict:
    """Refunds of so much wait for an approval of this flow."""
    return {"id": ident, "effect": "approve", "approval": flow, "who": ["any"],
            "on": {"connection": "orders", "tools": ["refund_order"], "args": {"amount": amount}}}


def refund(order: str, amount=900) -> dict:
    return {"order_id": order, "amount": amount, "currency": "EUR"}


def ask(gateway, args: dict, who: str = "tester", token: str | None = None) -> dict:
    """What the gateway says about a call of a client that declares nothing; {} if it ran."""
    client = gateway.client("orders", who, "2025-11-25", token=token).start()
    answer = client.call("refund_order", args).answer
    client.close()
    if "error" in answer:
        return answer["error"]["data"]["gateway"]
    return note(answer["result"]) if answer["result"].get("isError") else {}


def held(gateway, lead, order: str, amount=900, **caller) -> dict:
    """The request that this refund has become."""
    said = ask(gateway, refund(order, amount), **caller)
    assert said["reason"] == "approval-required", said
    return next(r for r in lead.find(order, "pending") if r["id"] == said["approval_id"])
