"""A real headless Chromium, driven over tests/node/browser.mjs."""

import json
import os
import pathlib
import queue
import shutil
import subprocess
import threading

from kit.paths import NODE, NODE_DIR, node_env


class Browser:
    """The one browser process; each Person is a browser of its own inside it (cookies, passkeys, window)."""

    def __init__(self, directory: pathlib.Path):
        if not (os.environ.get("SALLYPORT_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")):
            # A page that nobody looked at is not tested: this fails, it is no reason to skip.
            raise AssertionError("no Chromium: the tests of the pages need it (Debian: apt-get install chromium; ./dev test does)")
        self.errors = open(directory / "browser.err", "ab")
        self.popen = subprocess.Popen([str(NODE), str(NODE_DIR / "browser.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.errors, env=node_env(), text=True, start_new_session=True)
        self.lines: queue.Queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.number = 0
        ready = self.lines.get(timeout=60)
        assert ready and ready.get("ready"), f"Chromium did not start: {(directory / 'browser.err').read_text()[-2000:]}"
        self.version = ready["version"]

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def do(self, action: str, timeout: float = 60, **values):
        self.number += 1
        self.popen.stdin.write(json.dumps({"id": self.number, "do": action, **values}) + "\n")
        self.popen.stdin.flush()
        answer = self.lines.get(timeout=timeout)
        while answer is not None and answer["id"] < self.number:  # of an action that a test did not wait for
            answer = self.lines.get(timeout=timeout)
        assert answer is not None, "the browser has ended"
        assert answer["id"] == self.number, answer
        assert answer["ok"], f"{action} {values}: {answer['error']}"
        return answer["value"]

    def person(self, name: str, **how) -> "Person":
        self.do("person", name=name, **how)
        return Person(self, name)

    def stop(self):
        if self.popen.poll() is None:
            self.popen.stdin.close()
            try:
                self.popen.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, 9)
                self.popen.wait(5)
        self.errors.close()


class Person:
    """Somebody at a window of their own; every action of browser.mjs is a method."""

    def __init__(self, browser: Browser, name: str):
        self.browser = browser
        self.name = name

    def __getattr__(self, action: str):
        return lambda **values: self.browser.do(action, name=self.name, **values)

    def log_in(self, url: str, who: str) -> None:
        """Opens a page of the gate, and goes through the issuer's login when it asks."""
        self.goto(url=url)
        self.wait(selector="#login, main:not([aria-busy])")
        if "/interaction/" in self.url():
            self.fill(selector="#login", value=who)
            self.click(selector="#go")
            self.wait(selector="main:not([aria-busy])")

    def foreign(self, *origins: str) -> list[str]:
        """Requests that went anywhere else."""
        return [url for url in self.requests() if not url.startswith((*origins, "data:", "about:", "blob:"))]

    def wide(self) -> bool:
        """Whether the page has to be scrolled sideways."""
        scroll, client = self.width()
        return scroll > client


def register_passkey(lead: Person, gate, who: str = "lead") -> str:
    """Signs in anew, as the gate wants it for this, and registers a passkey of a new authenticator. The name that it got."""
    lead.authenticator()
    lead.log_in(gate.public_url + "/login?fresh&next=/passkeys", who)
    name = f"phone {lead.evaluate(script='document.querySelectorAll(`ul.pile > li`).length') + 1}"
    lead.fill(selector="#name", value=name)
    lead.click(selector="#add")
    lead.wait(text=name)
    return name
