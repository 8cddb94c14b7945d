"""A person with a scripted browser: cookies, redirects, forms; and with the command line."""

import html
import http.client
import json
import os
import pathlib
import re
import subprocess
import urllib.parse

from kit import capture
from kit.paths import sallyport
from kit.process import Process

ROLES_AND_LOGIN = {"client_id": "sallyport-console", "client_secret": {"env": "TEST_OIDC_SECRET"},
                   "scopes": ["openid", "profile", "email", "groups"]}
LOGIN_ENV = {"TEST_OIDC_SECRET": "sallyport-console-secret"}


def with_login(config: dict) -> None:
    """People can sign in at the first provider of a configuration."""
    config["identity"]["providers"][0]["oidc"].update(ROLES_AND_LOGIN)


class Page:
    def __init__(self, url: str, status: int, headers: list, body: bytes):
        self.url, self.status, self.headers, self.body = url, status, headers, body
        self.text = body.decode(errors="replace")

    def header(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [v for k, v in self.headers if k.lower() == name.lower()]

    @property
    def json(self):
        return json.loads(self.body)

    def form(self, number: int = 0) -> tuple[str, dict]:
        """The action and the fields of a form."""
        found = re.findall(r"<form\b([^>]*)>(.*?)</form>", self.text, re.S)[number]
        action = re.search(r'action="([^"]*)"', found[0])
        fields = {}
        for tag in re.findall(r"<input\b[^>]*>", found[1]):
            name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
            if name:
                fields[html.unescape(name.group(1))] = html.unescape(value.group(1)) if value else ""
        return urllib.parse.urljoin(self.url, html.unescape(action.group(1)) if action else self.url), fields

    def __repr__(self):
        return f"<{self.status} {self.url} {self.text[:600]!r}>"


class Browser:
    """Keeps cookies per origin (ports count here, as two hosts would) and says where its requests come from, as browsers do."""

    def __init__(self):
        self.cookies: dict[str, dict[str, str]] = {}
        self.seen: list[tuple[str, int, str]] = []  # every URL gone to, with status and Location

    def ask(self, method: str, url: str, body: bytes | None = None, headers: dict | None = None, site: str = "none",
            origin: str | None = None) -> Page:
        """One exchange, no redirect followed. `site` is what Sec-Fetch-Site says; '' sends none."""
        at = urllib.parse.urlsplit(url)
        jar = self.cookies.setdefault(at.netloc, {})
        send = {"Accept": "text/html,application/json"}
        if jar:
            send["Cookie"] = "; ".join(f"{k}={v}" for k, v in jar.items())
        if site:
            send["Sec-Fetch-Site"] = site
        if origin:
            send["Origin"] = origin
        send.update(headers or {})
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=20)
        path = (at.path or "/") + (f"?{at.query}" if at.query else "")
        connection.request(method, path, body, {k: v for k, v in send.items() if v is not None})
        answer = connection.getresponse()
        page = Page(url, answer.status, answer.getheaders(), answer.read())
        connection.close()
        capture.received(repr(page.headers))
        capture.received(page.body)
        for cookie in page.all("set-cookie"):
            name, _, value = cookie.split(";")[0].partition("=")
            if not value or "max-age=0" in cookie.lower() or "expires=thu, 01 jan 1970" in cookie.lower():
                jar.pop(name, None)
            else:
                jar[name] = value
        self.seen.append((url, page.status, page.header("location") or ""))
        return page

    def follow(self, page: Page, most: int = 15, stop=None) -> Page:
        while page.status in (301, 302, 303, 307) and most > 0:
            most -= 1
            to = urllib.parse.urljoin(page.url, page.header("location"))
            if stop and stop(to):
                return page
            same = urllib.parse.urlsplit(to).netloc == urllib.parse.urlsplit(page.url).netloc
            page = self.ask("GET", to, site="same-origin" if same else "cross-site")
        return page

    def get(self, url: str, follow: bool = True, **how) -> Page:
        page = self.ask("GET", url, **how)
        return self.follow(page) if follow else page

    def submit(self, page: Page, number: int = 0, follow: bool = True, **values) -> Page:
        action, fields = page.form(number)
        fields.update(values)
        at = urllib.parse.urlsplit(page.url)
        sent = self.ask("POST", action, urllib.parse.urlencode(fields).encode(), {"Content-Type": "application/x-www-form-urlencoded"},
                        site="same-origin", origin=f"{at.scheme}://{at.netloc}")
        return self.follow(sent) if follow else sent

    def api(self, base: str, method: str, path: str, value=None, **how) -> Page:
        """As the pages' own scripts ask."""
        headers = {"Accept": "application/json"}
        if method != "GET":
            headers |= {"X-Sallyport": "1", "Content-Type": "application/json"}
            how.setdefault("origin", base)
        how.setdefault("site", "same-origin")
        headers |= how.pop("headers", {})
        return self.ask(method, base + path, json.dumps(value).encode() if value is not None else None, headers, **how)

    def sign_in(self, gateway, who: str, path: str = "/login") -> Page:
        """From a page of the gate over the provider's form and back."""
        page = self.get(gateway.public_url + path)
        if "/interaction/" in page.url:
            page = self.submit(page, login=who)
        return page


class Person:
    """A person with a browser and a command line of their own."""

    def __init__(self, gateway, directory: pathlib.Path, who: str):
        self.gateway, self.who, self.directory = gateway, who, directory
        directory.mkdir(parents=True, exist_ok=True)
        self.browser = Browser()
        self.env = {**os.environ, "XDG_STATE_HOME": str(directory / "state"), "SALLYPORT_SERVER": gateway.public_url}
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SALLYPORT_TOKEN"):
            self.env.pop(name, None)

    def run(self, *argv, timeout: float = 30) -> subprocess.CompletedProcess:
        done = subprocess.run([str(sallyport()), *map(str, argv)], capture_output=True, text=True, timeout=timeout, env=self.env)
        capture.received(done.stdout + done.stderr)
        return done

    @property
    def kept(self) -> dict:
        return json.loads((self.directory / "state/sallyport/session.json").read_text())

    @property
    def token(self) -> str:
        return self.kept["token"]

    def login(self, *argv) -> dict:
        """`sallyport login`: opens the address that it prints, signs in, agrees. What it prints at the end; `asked` is the page."""
        process = Process("login", [sallyport(), "login", "--json", *argv], self.directory, self.env)
        url = process.wait_line(r"http://\S+/login/cli\?\S+", stream="err").group(0)
        shown = process.wait_line(r"The page shows: (\S+)", stream="err").group(1)
        page = self.browser.get(url)
        if "/interaction/" in page.url:
            page = self.browser.submit(page, login=self.who)
        assert page.status == 200 and "/login/cli" in page.url and shown in page.text, page
        self.asked = page
        page = self.browser.submit(page)
        assert page.status == 200 and page.header("refresh"), page
        back = page.header("refresh").split("url=", 1)[1]
        assert self.browser.get(back).status == 200
        assert process.wait(15) == 0, process.err
        line = process.wait_json()
        process.stop()
        return line
