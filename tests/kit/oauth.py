"""The gateway as an authorization server: clients that are scripted here, and those of the SDK with their own OAuth."""

import base64
import hashlib
import http.server
import json
import secrets
import subprocess
import threading
import urllib.parse

from kit import capture
from kit.paths import NODE, NODE_DIR, node_env
from kit.person import Browser, Page

TOOLS_CLIENT = {"client_id": "desk", "name": "The desk", "redirect_uris": ["https://desk.example.com/callback", "http://127.0.0.1/callback"]}


def with_server(config: dict, **more) -> None:
    """The gateway is an authorization server."""
    config["identity"]["oauth_server"] = {"clients": [TOOLS_CLIENT], **more}


def query_of(url: str) -> dict:
    """The parameters of a redirect; each once."""
    fields = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query, keep_blank_values=True)
    assert all(len(v) == 1 for v in fields.values()), url
    return {k: v[0] for k, v in fields.items()}


def went_to(page: Page) -> str:
    """Where an answer of /oauth/… sends the browser."""
    if page.status == 303:
        return page.header("location")
    assert page.header("refresh"), page
    return page.header("refresh").split("url=", 1)[1]


class Client:
    """What an MCP client does, step by step, so that each can be wrong."""

    def __init__(self, gateway, client_id: str = "desk", redirect: str = "https://desk.example.com/callback", connection: str = "tools"):
        self.gateway, self.client_id, self.redirect = gateway, client_id, redirect
        self.base = gateway.public_url
        self.resource = f"{self.base}/mcp/{connection}"
        self.verifier = secrets.token_urlsafe(48)
        self.state = secrets.token_urlsafe(12)

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")

    def parameters(self, **changes) -> dict:
        """Of the authorization request; None leaves one out."""
        fields = {"response_type": "code", "client_id": self.client_id, "redirect_uri": self.redirect, "code_challenge": self.challenge,
                  "code_challenge_method": "S256", "state": self.state, "resource": self.resource, **changes}
        return {k: v for k, v in fields.items() if v is not None}

    def url(self, **changes) -> str:
        return f"{self.base}/oauth/authorize?{urllib.parse.urlencode(self.parameters(**changes))}"

    def ask(self, browser: Browser, who: str = "tester", url: str | None = None, **changes) -> Page:
        """The person comes to the page that asks, or wherever the request leads."""
        def elsewhere(to: str) -> bool:
            return not to.startswith((self.base, self.gateway.oidc.issuer))
        page = browser.follow(browser.get(url or self.url(**changes), follow=False), stop=elsewhere)
        if "/interaction/" in page.url:
            page = browser.follow(browser.submit(page, follow=False, login=who), stop=elsewhere)
        return page

    def decide(self, browser: Browser, page: Page, decision: str = "allow") -> str:
        """Presses a button of the page; where it leads."""
        assert page.status == 200 and "/oauth/consent" in page.url, page
        return went_to(browser.submit(page, follow=False, decision=decision))

    def code(self, browser: Browser, who: str = "tester", **changes) -> str:
        """From the request to a code, with a person who agrees."""
        page = self.ask(browser, who, **changes)
        back = went_to(page) if page.status == 303 else self.decide(browser, page)
        answer = query_of(back)
        assert back.startswith(self.redirect) and answer["state"] == self.state and answer["iss"] == self.base, back
        return answer["code"]

    def token(self, headers: dict | None = None, **fields) -> Page:
        """POST /token; None leaves a field out."""
        body = urllib.parse.urlencode({k: v for k, v in fields.items() if v is not None}).encode()
        return Browser().ask("POST", f"{self.base}/token", body, {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}, site="")

    def redeem(self, code: str, **changes) -> Page:
        return self.token(**{"grant_type": "authorization_code", "code": code, "client_id": self.client_id, "redirect_uri": self.redirect,
                             "code_verifier": self.verifier, "resource": self.resource, **changes})

    def refresh(self, token: str, **changes) -> Page:
        return self.token(**{"grant_type": "refresh_token", "refresh_token": token, "client_id": self.client_id, **changes})

    def tokens(self, browser: Browser, who: str = "tester", **changes) -> dict:
        answer = self.redeem(self.code(browser, who, **changes))
        assert answer.status == 200, answer
        return answer.json


class SdkClient:
    """The SDK's client in a process of its own (tests/node/oauth_client.mjs)."""

    def __init__(self, sdk: int, url: str, redirect: str, **more):
        self.redirect = redirect
        self.process = subprocess.Popen([NODE, NODE_DIR / "oauth_client.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=node_env())
        self._write({"sdk": sdk, "url": url, "redirect": redirect, **more})

    def _write(self, line: dict) -> None:
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def do(self, what: str, **more) -> dict:
        self._write({"do": what, **more})
        line = self.process.stdout.readline()
        assert line, "the client has ended"
        capture.received(line)
        return json.loads(line)

    def authorize(self, gateway, browser: Browser, who: str = "tester") -> Page:
        """Connects, is sent to the gateway, and its person agrees; the page that asked."""
        answer = self.do("connect")
        assert answer.get("authorize"), answer
        client = Client(gateway)
        page = client.ask(browser, who, url=answer["authorize"])
        back = client.decide(browser, page)
        assert back.startswith(self.redirect + "?"), back
        done = self.do("finish", callback=back)
        assert done == {"finished": True}, done
        return page

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)


class Documents:
    """An HTTP server of client ID metadata documents: `pages` says what stands at a path, `asked` what was asked for."""

    def __init__(self):
        self.pages: dict[str, tuple[int, dict, bytes]] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                status, headers, body = outer.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, path: str, changes: dict | None = None, status: int = 200, headers: dict | None = None, body: bytes | None = None) -> str:
        """A document; its client_id."""
        document = {"client_id": self.base + path, "client_name": "A client", "redirect_uris": ["http://127.0.0.1/callback"],
                    "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none",
                    **(changes or {})}
        self.pages[path] = (status, headers or {}, json.dumps(document).encode() if body is None else body)
        return self.base + path

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
