"""Every place of an MCP message that can hold a card number, in both eras and over each kind of upstream."""

import base64
import json

import pytest

from kit import clients, pans
from kit.mcp import META, MODERN
from kit.parts import Gateway, http_connection, stdio_connection
from kit.process import eventually


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    connections = [
        http_connection("up", upstream.url),
        stdio_connection("stdio"),
        http_connection("cde", upstream.url, labels={"env": "test", "scope": "cde"}),
        http_connection("cde-images", upstream.url, labels={"env": "test", "scope": "cde"},
                        content=[{"type": "image/*", "action": "pass"}, {"type": "audio/*", "action": "strip"}]),
    ]
    part = Gateway(scratch / "gateway", oidc, connections)
    yield part
    part.stop()


EVERYTHING = {"elicitation": {}, "sampling": {}, "roots": {}}


@pytest.fixture(params=[(v, c) for c in ("up", "stdio") for v in (MODERN, "2025-11-25", "2025-06-18")], ids=lambda p: f"{p[1]}-{p[0]}")
def client(request, gateway):
    version, connection = request.param
    part = gateway.client(connection, version=version, capabilities=EVERYTHING)
    part.log_level = "debug"
    part.shared_process = connection == "stdio" and part.modern
    part.start()
    if not part.modern:
        part.request("logging/setLevel", {"level": "debug"})
    yield part
    part.close()


def masked(name) -> str:
    return pans.masked_last4(pans.pan(name))


def clean(reply) -> None:
    assert pans.shown_in(reply.body) == [], reply.body[:3000]


def test_text_and_json_in_text(client):
    reply = client.call("card_text")
    clean(reply)
    assert masked("text") in reply.text()
    assert pans.masked_last4("4485 2757 4230 8327") in reply.text() and pans.masked_last4("3056-930902-5904") in reply.text()
    inner = json.loads(reply.text(1))
    assert inner["card_number"] == masked("json_in_text") and inner["amount"] == 4200 and inner["order"] == "o_1"


def test_structured_content_still_fits_its_schema(client):
    schema = next(t for t in client.tools() if t["name"] == "card_structured")["outputSchema"]
    reply = client.call("card_structured")
    clean(reply)
    result = reply.result
    assert not result.get("isError"), result
    value = result["structuredContent"]
    kinds = schema["properties"]["card_number"]["type"]
    kinds = [kinds] if isinstance(kinds, str) else kinds
    kind = {int: "integer", str: "string", type(None): "null"}[type(value["card_number"])]
    assert kind in kinds, f"{value['card_number']!r} does not fit {kinds}"
    if kind == "integer":
        digits = str(value["card_number"])
        assert len(digits) == 16 and digits[0] == "7" and not luhn(digits)
    assert value["card"] == masked("structured_string") == value["nested"]["list"][0]["pan"]
    assert value["amount"] == 4200
    mirror = json.loads(result["content"][0]["text"])
    assert mirror["card"] == value["card"], "text and structuredContent say different things"


def luhn(digits: str) -> bool:
    total = 0
    for i, c in enumerate(reversed(digits)):
        n = int(c) * (1 + i % 2)
        total += n - 9 * (n > 9)
    return total % 10 == 0


def test_nullable_number_becomes_null_or_fits(client):
    reply = client.call("card_nullable")
    clean(reply)
    value = reply.result["structuredContent"]["card_number"]
    assert value is None or (isinstance(value, int) and str(value)[0] == "7" and not luhn(str(value)))


def test_embedded_resources_links_blobs_progress_and_logs(client):
    reply = client.call("card_everywhere", progress_token="p")
    clean(reply)
    text, resource, blob, link = reply.result["content"]
    assert masked("text") in text["text"]
    assert masked("embedded") in resource["resource"]["text"]
    assert masked("blob") in base64.b64decode(blob["resource"]["blob"]).decode()
    assert pans.pan("link")[-4:] in link["uri"] and link["uri"].startswith("https://orders.example.com/pay?card=") and link["uri"].endswith("&n=1")
    assert masked("link") in link["name"] and masked("link") in link["description"]
    progress = [n["params"] for n in reply.notifications if n["method"] == "notifications/progress"]
    assert progress and masked("progress") in progress[0]["message"]


def test_log_messages(client, gateway):
    if client.modern:
        reply = client.call("card_everywhere")
        logs = [n for n in reply.notifications if n["method"] == "notifications/message"]
        if client.shared_process:  # nothing in it says whose call it belongs to: nobody may have it
            assert logs == []
            return
    else:
        stream = client.stream("tools/call", {"name": "card_everywhere", "arguments": {}})
        logs = []
        while (message := stream.next()) is not None:
            if message.get("method") == "notifications/message":
                logs.append(message)
            if message.get("id") == stream.id:
                break
    assert logs, "the log message did not arrive"
    assert logs[0]["params"]["data"]["card"] == masked("log")


def test_errors(client):
    reply = client.call("card_error")
    clean(reply)
    assert reply.result["isError"] is True and masked("error") in reply.text()
    reply = client.call("card_protocol_error")
    clean(reply)
    assert masked("error") in reply.error["message"]
    assert reply.error["data"] == {"card": masked("error_data"), "code": 51}


def test_sensitive_authentication_data_is_removed(client):
    reply = client.call("card_sad")
    text = json.dumps(reply.answer)
    assert "737" not in text and "29121010000000000000" not in text and pans.pan("error") not in text
    # nothing of it remains, not even its last digits
    assert pans.pan("error")[-4:] not in text.split("swiped")[-1] or reply.result.get("isError")


def test_resources(client):
    reply = client.request("resources/read", {"uri": "card://order/1"})
    clean(reply)
    assert json.loads(reply.result["contents"][0]["text"]) == {"id": "o_1", "card": masked("resource")}
    reply = client.request("resources/read", {"uri": "card://order/2"})
    clean(reply)
    assert base64.b64decode(reply.result["contents"][0]["blob"]).decode() == f"order o_2 paid with {masked('resource_blob')}\n"


def test_prompts_and_completions(client):
    reply = client.request("prompts/get", {"name": "card_prompt"})
    clean(reply)
    assert masked("prompt") in reply.result["messages"][0]["content"]["text"]
    reply = client.request("completion/complete", {"ref": {"type": "ref/prompt", "name": "card_prompt"}, "argument": {"name": "card", "value": "4"}})
    clean(reply)
    assert reply.result["completion"]["values"] == [masked("completion")]


def test_descriptions_and_instructions(client):
    assert pans.shown_in(json.dumps(client.tools())) == []
    assert masked("instructions") in client.instructions


def answer_question(client, tool, result):
    """Calls a tool that asks back; returns (the question's params, the final reply's answer)."""
    if client.modern:
        first = client.call(tool).result
        (key, question), = first["inputRequests"].items()
        params = {"inputResponses": {key: result}}
        if "requestState" in first:
            params["requestState"] = first["requestState"]
        return question["params"], client.call(tool, params=params).answer
    stream = client.stream("tools/call", {"name": tool, "arguments": {}})
    question = stream.until(lambda m: "method" in m and "id" in m)
    assert client.http("POST", {"jsonrpc": "2.0", "id": question["id"], "result": result}).status == 202
    return question["params"], stream.answer()


def test_elicitations(client, upstream):
    question, answer = answer_question(client, "card_elicit", {"action": "accept", "content": {"card": "none of yours"}})
    assert pans.shown_in(json.dumps(question)) == []
    assert masked("elicit") in question["message"]
    assert question["requestedSchema"]["properties"]["card"]["default"] == masked("elicit_default")
    assert "none of yours" in json.dumps(answer)


def test_sampling_prompts(client):
    question, answer = answer_question(client, "card_sampling", {
        "role": "assistant", "content": {"type": "text", "text": "no idea"}, "model": "m", "stopReason": "endTurn"})
    assert pans.shown_in(json.dumps(question)) == []
    assert masked("sampling") in json.dumps(question)
    assert "no idea" in json.dumps(answer)


def test_arguments_are_masked_in_the_record(client, gateway):
    number = pans.pan("separated")
    reply = client.call("echo", {"message": f"please charge {number} today"})
    clean(reply)
    intent = gateway.recorded(event="call.intent", resource="echo")[-1]
    text = json.dumps(intent)
    assert number not in text and pans.masked_last4(number) in text
    outcome = eventually(lambda: [e for e in gateway.entries() if e.get("intent") == intent["index"] and e["event"] == "call.outcome"])
    assert pans.masked_last4(number) in json.dumps(outcome)
    assert number not in json.dumps(outcome)


def test_counts_of_what_was_masked(client, gateway):
    client.call("card_text")
    intent = gateway.recorded(event="call.intent", resource="card_text")[-1]
    outcome = eventually(lambda: [e for e in gateway.entries() if e.get("intent") == intent["index"] and e["event"] == "call.outcome"])[-1]
    total = sum(m["count"] for m in outcome["masked"])
    assert total == 4 and {m["kind"] for m in outcome["masked"]} == {"pan"}
    assert all("place" in m for m in outcome["masked"])


def test_many_offsets(client):
    reply = client.call("card_split", {"size": 3000})
    assert pans.shown_in(reply.body) == []
    lines = reply.text().split("\n")
    assert len(lines) == 3000 and all(line.endswith(masked("text")) for line in lines)


# -- content that cannot be looked into ----------------------------------------------------------
@pytest.mark.parametrize("tool", ["test_image_content", "test_audio_content", "card_archive"])
def test_opaque_content_is_refused_in_the_cardholder_environment(gateway, tool):
    reply = gateway.client("cde").call(tool)
    assert reply.result["isError"] is True
    assert reply.gateway["reason"] == "content-type-refused"
    assert b"iVBORw0KGgo" not in reply.body and b"UEsFB" not in reply.body
    assert gateway.audit("call.outcome", reason="content-type-refused", resource=tool)


def test_opaque_content_passes_elsewhere(gateway):
    assert gateway.client("up").call("test_image_content").result["content"][0]["type"] == "image"


def test_content_rules(gateway):
    client = gateway.client("cde-images")
    assert client.call("test_image_content").result["content"][0]["type"] == "image"
    stripped = client.call("test_audio_content")
    assert b"UklGR" not in stripped.body and not stripped.result.get("isError")
    assert client.call("card_archive").result["isError"] is True


def test_blob_that_is_text_is_looked_into_even_there(gateway):
    reply = gateway.client("cde").request("resources/read", {"uri": "card://order/2"})
    clean(reply)
    assert base64.b64decode(reply.result["contents"][0]["blob"]).decode().startswith("order o_2 paid with")


# -- with the real SDK clients -------------------------------------------------------------------
@pytest.mark.parametrize("major, era", [(1, "legacy"), (2, "modern")])
def test_sdk_clients_see_valid_masked_results(gateway, oidc, major, era):
    tools = ["card_text", "card_structured", "card_nullable", "card_everywhere", "card_error", "card_sad"]
    steps = [{"op": "list"}] + [{"op": "call", "name": name, "progress": True} for name in tools] + [
        {"op": "call", "name": "card_protocol_error"}, {"op": "call", "name": "card_elicit"}, {"op": "call", "name": "card_sampling"},
        {"op": "read", "uri": "card://order/1"}, {"op": "prompt", "name": "card_prompt"},
        {"op": "complete", "ref": {"type": "ref/prompt", "name": "card_prompt"}, "argument": {"name": "card", "value": "4"}}]
    ran = clients.sdk(major, steps, url=gateway.url("up"), token=oidc.token("tester"), era=era)
    everything = json.dumps([ran.steps, ran.end])
    assert pans.shown_in(everything) == []
    for index in range(1, 7):
        ran.result(index)  # the SDK threw nothing: schemas hold
