"""An upstream that works with each person's own account: its authorization server (npm oidc-provider), and in front of the real MCP server a
hop that takes that server's tokens only, each for the person it is of."""

import json
import pathlib
import re
import urllib.parse

from kit.cloud import Front
from kit.parts import get, post_json
from kit.paths import NODE, NODE_DIR, node_env
from kit.person import Browser, Page
from kit.process import Process, free_port

SECRET = "gate-at-upstream"


class AccountsServer:
    """Where people have their accounts: tess, tom, mallory."""

    def __init__(self, directory: pathlib.Path, redirects: list[str], ttl: int = 3600, name: str = "accounts"):
        self.port = free_port()
        argv = [NODE, NODE_DIR / "accounts_server.mjs", "--port", self.port, "--ttl", ttl]
        for redirect in redirects:
            argv += ["--redirect", redirect]
        self.process = Process(name, argv, directory, node_env())
        self.issuer = self.process.wait_json()["issuer"]

    def whose(self, token: str) -> dict:
        return json.loads(get(f"{self.issuer}/admin/whose?token={urllib.parse.quote(token, safe='')}")[1])

    def revoke(self, account: str) -> None:
        post_json(f"{self.issuer}/admin/revoke", {"account": account})

    def mode(self, token: str) -> None:
        post_json(f"{self.issuer}/admin/mode", {"token": token})

    def stats(self) -> dict:
        return json.loads(get(f"{self.issuer}/admin/stats")[1])

    def stop(self):
        self.process.stop()


class AccountsFront:
    """The upstream: 401 without a good token, 403 where `wider` names a scope that a tool needs and the token lacks."""

    def __init__(self, port: int, server: AccountsServer):
        self.server = server
        self.servers = [server.issuer]  # what the resource metadata names
        self.scope = "read"             # of the challenge
        self.wider: dict[str, str] = {}  # tool: scope
        self.always: tuple[int, dict] | None = None  # what every request with a token gets
        self.metadata: dict = {}        # changes to the resource metadata
        self.challenge: str | None = None  # instead of our own
        self.tokens: list[tuple[str, str]] = []  # (account, token) of what was let through
        self.front = Front(port, self.judge)
        self.url = self.front.origin + "/mcp"

    def judge(self, request):
        path = request["target"].partition("?")[0]
        if path.startswith("/.well-known/oauth-protected-resource"):
            document = {"resource": self.url, "authorization_servers": self.servers, "scopes_supported": ["read"], **self.metadata}
            return 200, {"content-type": "application/json"}, json.dumps(document).encode()
        if path != "/mcp":
            return 404, {}
        said = request["head"].get("authorization", "")
        ours = f'Bearer resource_metadata="{self.front.origin}/.well-known/oauth-protected-resource/mcp", scope="{self.scope}"'
        refusal = 401, {"www-authenticate": ours if self.challenge is None else self.challenge}
        if not said.startswith("Bearer "):
            return refusal
        if self.always:
            return self.always
        whose = self.server.whose(said.removeprefix("Bearer "))
        if not whose or whose["resource"] != self.url:
            return refusal
        message = json.loads(request["body"]) if request["body"] else {}
        needs = self.wider.get(message["params"]["name"], "") if message.get("method") == "tools/call" else ""
        if needs and needs not in whose["scope"].split():
            return 403, {"www-authenticate": f'Bearer error="insufficient_scope", scope="{needs}"'}
        self.tokens.append((whose["account"], said.removeprefix("Bearer ")))
        return None

    def stop(self):
        self.front.stop()


def link_of(text: str, gateway) -> str:
    """The page that an answer names."""
    found = re.search(re.escape(gateway.public_url) + r"/upstream-link\?[\w=&%.-]+", text)
    assert found, text
    return found.group(0)


def open_page(browser: Browser, url: str, who: str) -> Page:
    """The page of the gateway, signed in as `who`."""
    page = browser.get(url)
    if "/interaction/" in page.url:
        page = browser.submit(page, login=who)
    return page


def press(browser: Browser, page: Page, number: int = 0) -> str:
    """Where the gateway sends the browser after the button."""
    sent = browser.submit(page, number, follow=False, decision="link")
    assert sent.status == 200 and sent.header("refresh"), sent
    return sent.header("refresh").split("url=", 1)[1]


def authorize(browser: Browser, url: str, account: str, gateway) -> str:
    """Signs in at the upstream's server and agrees; the URL at which the answer comes back, not gone to."""
    page = browser.get(url, follow=False)
    back = lambda to: to.startswith(gateway.public_url + "/upstream-link/callback/")
    page = browser.follow(page, stop=back)
    if "/interaction/" in page.url and page.status == 200:
        page = browser.follow(browser.submit(page, follow=False, login=account), stop=back)
    assert page.status in (302, 303), page
    return page.header("location")


def link(browser: Browser, url: str, who: str, account: str, gateway) -> Page:
    """All of it: `who` of the gateway links `account`."""
    return browser.get(authorize(browser, press(browser, open_page(browser, url, who)), account, gateway), site="cross-site")
