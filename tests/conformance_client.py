"""The command that the conformance suite runs as "the client" of a scenario: a gateway with the scenario's server as its upstream, and a client
of the TypeScript SDK in front of it. The suite sees what the gateway sends. In the scenarios about authorization a person does what the
gateway's answers ask for: opens the link, presses the button, goes where the authorization server leads. Arguments: a directory for its files,
the issuer's URL, the audience of the token; last, by the suite, the server's URL. The token comes in the environment."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import types
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from kit import accounts, capture  # noqa: E402
from kit.parts import Gateway  # noqa: E402
from kit.paths import NODE, NODE_DIR, node_env  # noqa: E402
from kit.person import LOGIN_ENV, Browser, with_login  # noqa: E402

MOST_LINKS = 6  # a person's patience; scenarios count how often they are sent to the authorization server
DOCUMENT = "https://conformance-test.local/client-metadata.json"  # the name that auth/basic-cimd knows a client by


def get(url: str) -> dict:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.loads(answer.read())


def credentials(url: str, context: dict) -> dict:
    """What an operator writes down who was given a client id and a secret, or a key, for this server."""
    at = urllib.parse.urlsplit(url)
    resource = get(f"{at.scheme}://{at.netloc}/.well-known/oauth-protected-resource{at.path}")
    server = urllib.parse.urlsplit(resource["authorization_servers"][0])
    metadata = get(f"{server.scheme}://{server.netloc}/.well-known/oauth-authorization-server{server.path.rstrip('/')}")
    if "private_key_pem" in context:
        return {"oauth": {"issuer": resource["authorization_servers"][0], "client_id": context["client_id"], "client_auth": "private_key_jwt",
                          "client_key": {"env": "SCENARIO_KEY"}, "resource": resource["resource"]}}
    return {"oauth": {"token_url": metadata["token_endpoint"], "client_id": context["client_id"],
                      "client_secret": {"env": "SCENARIO_SECRET"}, "resource": resource["resource"]}}


def issuer_of(url: str) -> str:
    at = urllib.parse.urlsplit(url)
    return get(f"{at.scheme}://{at.netloc}/.well-known/oauth-protected-resource{at.path}")["authorization_servers"][0]


def own_accounts(scenario: str, url: str, context: dict) -> dict:
    """The upstream says who gives its tokens; written down is only what a scenario hands out."""
    auth = {"discover": True}
    if scenario == "auth/basic-cimd":
        auth["client_id"] = DOCUMENT
    if "client_secret" in context:  # it is for one server
        auth |= {"client_id": context["client_id"], "client_secret": {"env": "SCENARIO_SECRET"}, "issuers": [issuer_of(url)]}
    return {"user_oauth": auth}


def drive(gateway: Gateway, version: str) -> int:
    """Runs the client, and does what it is told to until it is told nothing any more."""
    browser = Browser()
    for _ in range(MOST_LINKS):
        done = subprocess.run([NODE, NODE_DIR / "client_scenario.mjs", "--url", gateway.url("scenario"), "--version", version],
                              input=os.environ["SCENARIO_TOKEN"], timeout=25, env=node_env(), capture_output=True, text=True)
        said = done.stdout + done.stderr
        print(said)
        if not re.search(r"/upstream-link\?", said):
            break
        page = accounts.open_page(browser, accounts.link_of(said, gateway), "tester")
        if page.status == 200:
            page = browser.get(accounts.authorize(browser, accounts.press(browser, page), "", gateway), site="cross-site")
        print(page)
        if page.status != 200:  # the person is told that it cannot go on
            return 1
    return done.returncode


def main() -> int:
    directory, issuer, audience, url = sys.argv[1:]
    scenario = os.environ["MCP_CONFORMANCE_SCENARIO"]
    context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}"))
    version = os.environ.get("MCP_CONFORMANCE_PROTOCOL_VERSION") or "2025-11-25"
    own = pathlib.Path(tempfile.mkdtemp(prefix=scenario.replace("/", "-") + "-", dir=directory))
    capture.use(pathlib.Path(directory) / "capture")
    http = {"url": url.replace("//localhost:", "//127.0.0.1:")}
    if scenario.startswith("auth/client-credentials"):
        http["auth"] = credentials(url, context)
    elif scenario.startswith("auth/"):
        http = {"url": url, "auth": own_accounts(scenario, url, context)}
    connection = {"name": "scenario", "labels": {"env": "test"}, "mcp": {"http": http, "pin_tools": "off"}}
    who = types.SimpleNamespace(name="corp", issuer=issuer, audience=audience)
    gateway = Gateway(own, who, [connection], port=urllib.parse.urlsplit(audience).port, changes=with_login,
                      env={**LOGIN_ENV, "SCENARIO_SECRET": context.get("client_secret", ""), "SCENARIO_KEY": context.get("private_key_pem", "")},
                      policies=[{"id": "all", "effect": "allow", "who": ["any"],
                                 "on": {"connection": "scenario", "tools": ["*"], "prompts": ["*"], "resources": ["*"]}}])
    try:
        return drive(gateway, version)
    finally:
        gateway.stop()


if __name__ == "__main__":
    sys.exit(main())
