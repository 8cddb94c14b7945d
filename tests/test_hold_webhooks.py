"""Telling approvers: what a receiver can rely on, what it must refuse, and targets that are down, slow or wrong. None of it decides
anything, none holds anything up, and each outcome is in the log."""

import json
import time
import urllib.error
import urllib.request

import pytest

from kit.hook import Hook
from kit.parts import Gateway, http_connection
from kit.process import eventually, free_port
from kit.refunds import ask, refund

KEY = "whsec-of-these-tests"
RULES = [{"id": "refunds", "effect": "approve", "approval": "leads-one", "who": ["any"],
          "on": {"connection": "orders", "tools": ["refund_order"]}}]


@pytest.fixture(scope="module")
def hook():
    part = Hook(KEY)
    yield part
    part.stop()


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream, hook):
    def changes(config):
        config["server"]["limits"] = {"approval_hold": "200ms", "approvals_per_caller": 1000, "approvals_per_hour": 10000}
        config["approvals"][0]["notify"] = [
            {"webhook": {"url": {"env": "DOWN_HOOK"}, "key": {"env": "HOOK_KEY"}, "allow_loopback_http": True}},
            {"webhook": {"url": {"env": "HOOK"}, "key": {"env": "HOOK_KEY"}, "allow_loopback_http": True}},
            {"webhook": {"url": {"env": "PRIVATE_HOOK"}, "key": {"env": "HOOK_KEY"}}}]
    part = Gateway(scratch / "gate", oidc, [http_connection("orders", upstream.url)], RULES, changes=changes,
                   env={"HOOK": hook.url, "DOWN_HOOK": f"http://127.0.0.1:{free_port()}/hook", "HOOK_KEY": KEY,
                        "PRIVATE_HOOK": f"https://127.0.0.1:{free_port()}/hook"})
    yield part
    part.stop()


@pytest.fixture(autouse=True)
def well(hook):
    hook.status, hook.delay = 200, 0.0
    yield
    hook.status, hook.delay = 200, 0.0


def messages(hook, ident: str) -> list[dict]:
    return [m for m in list(hook.got) if ident.encode() in m["body"]]


def outcomes(gateway, ident: str, want: int, timeout: float = 15) -> dict:
    """What the log says of each target: {number of the webhook: delivered}."""
    def found():
        seen = {e["detail"]: e.get("ok") is not False for e in gateway.audit(event="approval.notified", approval_id=ident)}
        return seen if len(seen) >= want else None
    return eventually(found, timeout, 0.3) or {e["detail"]: e.get("ok") is not False for e in gateway.audit(event="approval.notified", approval_id=ident)}


def test_a_target_that_is_down_and_one_that_is_not_allowed(gateway, lead, hook, upstream, order):
    begun = time.monotonic()
    ident = ask(gateway, refund(order))["approval_id"]
    assert time.monotonic() - begun < 5
    assert eventually(lambda: messages(hook, ident), 10), "a target that is down held up another one"
    time.sleep(0.5)  # tried at once: this test is the first
    assert lead.decide(lead.find(order)[0], True)[0] == 200
    assert ask(gateway, refund(order)) == {}
    assert sum(c["args"].get("order_id") == order for c in upstream.calls("refund_order")) == 1
    told = outcomes(gateway, ident, 3)
    assert [told.get(f"leads-one/{n}") for n in (1, 2, 3)] == [False, True, False], told


def test_forged_and_replayed_messages(gateway, lead, hook, order):
    ident = ask(gateway, refund(order))["approval_id"]
    message = eventually(lambda: messages(hook, ident), 10)[0]
    assert hook.signed(message) and order.encode() not in message["body"]
    signature = message["headers"]["x-sallyport-signature"]
    when, mac = (p.partition("=")[2] for p in signature.split(","))

    def forged(body=message["body"], t=when, v1=mac) -> dict:
        return {**message, "body": body, "headers": {**message["headers"], "x-sallyport-signature": f"t={t},v1={v1}"}}
    assert hook.signed(forged())
    assert not hook.signed(forged(body=message["body"].replace(ident.encode(), b"a_0000000000000000")))
    assert not hook.signed(forged(t=str(int(when) + 1))), "an old message under a new time"
    assert not hook.signed(forged(v1="0" * 64))
    assert not hook.signed({**message, "headers": {}})
    other = Hook("another key")
    other.stop()
    assert not other.signed(message)
    now, time.time = time.time, lambda: float(when) + 301
    try:
        assert not hook.signed(message), "a replay after five minutes"
    finally:
        time.time = now
    # Sent to the gateway itself they are nothing: there is no way to decide by message.
    for path in (f"/api/v1/approvals/{ident}/decision", f"/approvals/{ident}", "/hook", "/api/v1/approvals"):
        body = json.dumps({**json.loads(message["body"]), "decision": "approve", "reason": "x", "digest": json.loads(message["body"])["digest"]})
        request = urllib.request.Request(gateway.public_url + path, body.encode(), method="POST", headers={
            "content-type": "application/json", "x-sallyport": "1", "x-sallyport-signature": signature,
            "x-sallyport-delivery": message["headers"]["x-sallyport-delivery"]})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code in (401, 403, 404, 405), (path, refused.value.code)
    assert lead.state(ident) == "pending"
    lead.decide(lead.find(order)[0], False)


def test_a_message_that_is_sent_again_can_be_recognised(gateway, lead, hook, order):
    hook.status = 503
    ident = ask(gateway, refund(order))["approval_id"]
    assert eventually(lambda: len(messages(hook, ident)) >= 2, 10, 0.1)
    hook.status = 200
    assert eventually(lambda: len(messages(hook, ident)) >= 3, 10, 0.1)
    again = messages(hook, ident)
    assert len({m["headers"]["x-sallyport-delivery"] for m in again}) == 1 and len({m["body"] for m in again}) == 1
    assert all(hook.signed(m) for m in again)
    assert len({m["headers"]["x-sallyport-signature"] for m in again}) >= 2, "each attempt has a time of its own"
    assert eventually(lambda: outcomes(gateway, ident, 1).get("leads-one/2"), 10)
    lead.decide(lead.find(order)[0], False)


def test_a_target_that_is_slow(gateway, lead, hook, upstream, order):
    hook.delay = 20
    begun = time.monotonic()
    idents = [ask(gateway, refund(f"{order}{n}-"))["approval_id"] for n in range(5)]
    assert eventually(lambda: messages(hook, idents[0]), 10)
    for n in range(5):
        assert lead.decide(lead.find(f"{order}{n}-")[0], True)[0] == 200
        assert ask(gateway, refund(f"{order}{n}-")) == {}
    assert time.monotonic() - begun < 15, "a slow target held up calls or decisions"
    assert len([c for c in upstream.calls("refund_order") if c["args"]["order_id"].startswith(order)]) == 5
    hook.delay = 0.0
    begun = time.monotonic()
    assert gateway.stop() == 0 and time.monotonic() - begun < 14, "a slow target held up the stop"
    gateway.start()
