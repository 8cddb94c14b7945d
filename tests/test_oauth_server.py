"""The gateway as the authorization server of MCP clients: the SDK's own OAuth, and what must not work."""

import json

import pytest

from kit.oauth import Client, SdkClient, query_of, went_to, with_server
from kit.parts import Gateway, http_connection
from kit.person import LOGIN_ENV, Browser, with_login

RULES = [{"id": "testers", "effect": "allow", "who": ["group:testers"],
          "on": {"connection": "*", "tools": ["*"], "prompts": ["*"], "resources": ["*"]}}]
LOOPBACK = "http://127.0.0.1:52163/callback"


def changed(config: dict) -> None:
    with_login(config)
    with_server(config)


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    connections = [http_connection("tools", upstream.url), http_connection("other", upstream.url)]
    part = Gateway(scratch / "gateway", oidc, connections, RULES, changes=changed, env=LOGIN_ENV)
    yield part
    part.stop()


@pytest.fixture
def browser():
    return Browser()


@pytest.mark.parametrize("sdk", [1, 2])
def test_the_sdk_gets_its_own_token(gateway, browser, sdk):
    """401 → resource metadata → server metadata → PKCE → a token for this connection → a tool call → renewal."""
    client = SdkClient(sdk, f"{gateway.public_url}/mcp/tools", LOOPBACK, client={"client_id": "desk"})
    try:
        page = client.authorize(gateway, browser)
        assert "The desk" in page.text and "127.0.0.1" in page.text and "tools" in page.text and "tess@example.com" in page.text
        assert client.do("connect") == {"connected": True}
        assert "hi" in json.dumps(client.do("call", name="echo", arguments={"text": "hi"})["result"])
        state = client.do("state")
        tokens = state["tokens"]
        assert tokens["access_token"].startswith("sps_") and tokens["refresh_token"].startswith("spr_") and tokens["token_type"] == "Bearer"
        asked = [a["url"] for a in state["asked"]]
        assert any("/.well-known/oauth-protected-resource/mcp/tools" in u for u in asked)
        assert any("/.well-known/oauth-authorization-server" in u for u in asked)
        assert not any("/interaction" in u or "/register" in u for u in asked)
        client.do("spoil", access_token="sps_" + "A" * 49)
        assert "again" in json.dumps(client.do("call", name="echo", arguments={"text": "again"}).get("result"))
        renewed = client.do("state")["tokens"]
        assert renewed["access_token"] != tokens["access_token"] and renewed["refresh_token"] != tokens["refresh_token"]
    finally:
        client.stop()
    opened = gateway.recorded(event="session.opened")[-1]
    assert opened["access"]["kind"] == "mcp" and opened["access"]["who"]["client_id"] == "desk"
    consent = gateway.recorded(event="consent.decided")[-1]
    assert consent["access"]["who"]["subject"] == "tester" and "client desk" in consent["access"]["why"]


def test_the_token_is_for_one_connection(gateway, browser):
    token = Client(gateway).tokens(browser)["access_token"]
    assert "echo" in gateway.client("tools", token=token).tool_names()
    reply = gateway.client("other", token=token).request("tools/list")
    assert reply.status == 401 and "token-audience-wrong" in reply.header("www-authenticate")
    api = Browser().ask("GET", gateway.public_url + "/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert api.status == 401 and api.json["code"] == "token-audience-wrong"
