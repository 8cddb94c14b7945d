"""The processes around a test: issuer, upstreams, the gateway itself."""

import base64
import contextlib
import copy
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from kit import capture
from kit.mcp import MODERN, Mcp
from kit.paths import NODE, NODE_DIR, node_env, sallyport
from kit.process import Process, eventually, free_port

UPSTREAM_SECRET = "upstream-secret-5d1f0c9ab27e"  # what the gateway shows to the upstream; never to a client


def get(url: str, timeout: float = 5) -> tuple[int, str]:
    """A plain GET: (status, body); (0, reason) when there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, urllib.error.URLError) as error:
        return 0, str(error)


def post_json(url: str, value, timeout: float = 20):
    request = urllib.request.Request(url, json.dumps(value).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.loads(answer.read())


class Oidc:
    """The real provider (npm oidc-provider) with a side door for keys, outages and forged tokens."""

    def __init__(self, directory: pathlib.Path, audience: str, name: str = "corp"):
        self.audience = audience
        self.name = name
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.process = Process(f"oidc-{name}", [NODE, NODE_DIR / "oidc.mjs", "--port", self.port,
                                                "--audience", audience, "--name", name], directory, node_env())
        self.process.wait_json()
        self._tokens = {}
        self._port_taken = False

    def token(self, who: str, audience: str | None = None, fresh: bool = False) -> str:
        """An access token by client_credentials, as an agent or a script gets it."""
        key = (who, audience or self.audience)
        if fresh or key not in self._tokens:
            basic = base64.b64encode(f"{who}:{who}-secret".encode()).decode()
            request = urllib.request.Request(
                f"{self.issuer}/token",
                f"grant_type=client_credentials&scope=mcp&resource={key[1]}".encode(),
                {"authorization": f"Basic {basic}", "content-type": "application/x-www-form-urlencoded"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                self._tokens[key] = json.loads(answer.read())["access_token"]
        return self._tokens[key]

    def holder(self, who: str, resource: str | None = None) -> "Holder":
        """A key, and a token of `who` that the provider has bound to it (RFC 9449)."""
        return Holder(self, post_json(f"{self.issuer}/admin/holder", {"who": who, "resource": resource or self.audience}))

    def first_port(self) -> int:
        """The port that the audience names, for the first gateway that asks; any free one for the others."""
        taken, self._port_taken = self._port_taken, True
        return free_port() if taken else int(self.audience.rsplit(":", 1)[1])

    def all_tokens(self) -> list[str]:
        return list(self._tokens.values())

    def stats(self) -> dict:
        return json.loads(get(f"{self.issuer}/admin/stats")[1])

    def rotate(self, keep: bool) -> None:
        post_json(f"{self.issuer}/admin/rotate", {"keep": keep})
        self._tokens.clear()

    def mode(self, mode: str) -> None:
        post_json(f"{self.issuer}/admin/mode", {"mode": mode})

    def leave(self, who: str, back: bool = False) -> None:
        """The account is disabled: its refresh tokens are worth nothing."""
        post_json(f"{self.issuer}/admin/leave", {"who": who, "back": back})

    def forge(self, **how) -> dict:
        return post_json(f"{self.issuer}/admin/forge", {"audience": self.audience, **how})

    def mint(self, payload: dict, header: dict | None = None, key: str = "es") -> str:
        return post_json(f"{self.issuer}/admin/mint",
                         {"payload": payload, "header": header or {}, "key": key})["token"]

    def token_of(self, subject: str, email: str = "", groups: list[str] | None = None, **claims) -> str:
        """An access token of anybody, as this provider would make it for a person with these groups."""
        now = int(time.time())
        return self.mint({"iss": self.issuer, "aud": self.audience, "sub": subject, "client_id": subject, "iat": now - 5,
                          "exp": now + 3600, "jti": os.urandom(12).hex(), "email": email or f"{subject}@example.com",
                          **({} if groups is None else {"groups": groups}), **claims})

    def stop(self):
        self.process.stop()


class Holder:
    """Somebody who has the key that a token is bound to."""

    def __init__(self, oidc: Oidc, made: dict):
        self.oidc, self.id, self.token, self.token_type = oidc, made["holder"], made["token"], made["token_type"]

    def proof(self, method: str, url: str, **how) -> str:
        """Of a request; `claims`, `header` and `drop` make it another."""
        return post_json(f"{self.oidc.issuer}/admin/proof",
                         {"holder": self.id, "token": self.token, "method": method, "url": url, **how})["proof"]


class Upstream:
    """Our MCP server over HTTP."""

    def __init__(self, directory: pathlib.Path, era: str = "dual", bearer: str | None = UPSTREAM_SECRET, port: int = 0):
        argv = [NODE, NODE_DIR / "upstream.mjs", "--era", era, "--port", port]
        if bearer:
            argv += ["--bearer", bearer]
        self.era = era
        self.process = Process(f"upstream-{era}", argv, directory, node_env())
        self.port = self.process.wait_json()["port"]
        self.url = f"http://127.0.0.1:{self.port}/mcp"

    def state(self) -> dict:
        return json.loads(get(f"http://127.0.0.1:{self.port}/admin/state")[1])

    def captured(self, holds: str = "") -> list[dict]:
        """What it has received, in order; with `holds` only what has that in its body."""
        return json.loads(get(f"http://127.0.0.1:{self.port}/admin/captured?{urllib.parse.quote(holds)}", timeout=20)[1])

    def set(self, **values) -> None:
        post_json(f"http://127.0.0.1:{self.port}/admin/set", values)

    def change(self, kind: str, uri: str | None = None) -> None:
        post_json(f"http://127.0.0.1:{self.port}/admin/change", {"kind": kind, "uri": uri})

    def forget(self) -> None:
        post_json(f"http://127.0.0.1:{self.port}/admin/forget", {})

    def reset(self) -> None:
        post_json(f"http://127.0.0.1:{self.port}/admin/reset", {})

    def calls(self, tool: str | None = None) -> list[dict]:
        return [c for c in self.state()["calls"] if tool in (None, c["tool"])]

    def stop(self):
        self.process.stop()


def http_connection(name: str, url: str, **more) -> dict:
    """A connection entry to an upstream that wants UPSTREAM_SECRET."""
    mcp = {"http": {"url": url, "auth": {"bearer": {"env": "TEST_UPSTREAM_TOKEN"}}}}
    labels = more.pop("labels", {"env": "test"})
    mcp.update(more)
    return {"name": name, "labels": labels, "mcp": mcp}


def stdio_connection(name: str, era: str = "dual", admin: int | None = None, crash_on: str | None = None, **more) -> dict:
    command = [str(NODE), str(NODE_DIR / "upstream_stdio.mjs"), "--era", era]
    if admin:
        command += ["--admin", str(admin)]
    if crash_on:
        command += ["--crash-on", crash_on]
    env = more.pop("env", {})
    labels = more.pop("labels", {"env": "test"})
    return {"name": name, "labels": labels, "mcp": {"stdio": {"command": command, "env": env}, **more}}


ALLOW_TESTERS = {"id": "testers", "effect": "allow", "who": ["group:testers"],
                 "on": {"labels": {"env": "test"}, "tools": ["*"], "prompts": ["*"], "resources": ["*"]}}


class Gateway:
    """`sallyport serve` with a configuration made for one module of tests.

    `config` is the whole configuration as a dict; it is written as JSON, which is YAML.
    """

    def __init__(self, directory: pathlib.Path, oidc: Oidc | None, connections: list[dict], policies: list[dict] | None = None,
                 port: int | None = None, changes=None, start: bool = True, env: dict | None = None, extra_oidc: list[Oidc] = (),
                 name: str = "gateway"):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.name = name
        self.port = port or (oidc.first_port() if oidc else free_port())
        self.ops_port = free_port(self.port)
        self.public_url = f"http://127.0.0.1:{self.port}"
        self.data_dir = directory / "data"
        self.config_path = directory / "sallyport.yaml"
        self.oidc = oidc
        self.audience = oidc.audience if oidc else self.public_url
        self.env = {**os.environ, "TEST_UPSTREAM_TOKEN": UPSTREAM_SECRET, **(env or {})}
        self.config = self.make_config([o for o in (oidc, *extra_oidc) if o], connections, policies or [ALLOW_TESTERS])
        if changes:
            changes(self.config)
        self.write_config()
        self.process: Process | None = None
        if start:
            self.start()

    def make_config(self, issuers, connections, policies) -> dict:
        return {
            "version": 1,
            "server": {
                "public_url": self.public_url,
                "listen": {"http": f"127.0.0.1:{self.port}", "ops": f"127.0.0.1:{self.ops_port}"},
                "data_dir": str(self.data_dir),
            },
            "identity": {
                "providers": [{
                    "name": o.name,
                    "oidc": {"issuer": o.issuer, "audience": self.oidc.audience, "allow_loopback_http": True,
                             "claims": {"user": "email", "groups": "groups"}},
                } for o in issuers],
                "agents": [{"name": "agent-refunds", "match": {"provider": "corp", "client_id": "agent-refunds"},
                            "owner": "group:payments-platform"}] if issuers else [],
                "roles": {"admin": ["group:gate-admins"], "approver": ["group:payments-leads"],
                          "auditor": ["group:internal-audit"]},
            },
            "connections": copy.deepcopy(connections),
            "masking": {"detectors": [
                {"name": "pan", "kind": "pan", "render": "last4"},
                {"name": "sad", "kind": "sad", "action": "mask"},
            ]},
            "approvals": [{"name": "leads-one", "approvers": ["group:payments-leads"], "need": 1,
                           "reason": "required", "ttl": "15m"}],
            "policies": copy.deepcopy(policies),
            "evidence": {"origin": "tests.example.com/log", "durability": "group"},
        }

    def write_config(self) -> None:
        self.config_path.write_text(json.dumps(self.config, indent=1) + "\n")

    # -- life --------------------------------------------------------------------------------------
    def start(self, timeout: float = 20, preexec=None) -> "Gateway":
        self.launch(preexec)
        self.wait_ready(timeout)
        return self

    def launch(self, preexec=None) -> Process:
        self.process = Process(self.name, [sallyport(), "serve", "--config", self.config_path], self.directory, self.env,
                               preexec=preexec)
        return self.process

    def wait_ready(self, timeout: float = 20) -> None:
        def ready():
            if not self.process.alive():
                raise AssertionError(f"the gateway ended with {self.process.popen.returncode}:\n"
                                     f"{self.process.out[-3000:]}\n{self.process.err[-3000:]}")
            return self.ops("/readyz")[0] == 200
        assert eventually(ready, timeout), f"not ready: {self.ops('/readyz')}\n{self.process.err[-3000:]}"

    def alive(self) -> bool:
        return self.process is not None and self.process.alive()

    def stop(self, timeout: float = 15) -> int | None:
        if self.process is None:
            return None
        with contextlib.suppress(Exception):
            status, text = self.ops("/metrics")
            (self.directory / f"{self.name}.metrics").write_text(text)
        code = self.process.stop(timeout)
        return code

    def reload(self) -> None:
        self.process.signal(signal.SIGHUP)

    # -- the outside -------------------------------------------------------------------------------
    def ops(self, path: str, timeout: float = 5) -> tuple[int, str]:
        return get(f"http://127.0.0.1:{self.ops_port}{path}", timeout)

    def metric(self, name: str, **labels) -> float:
        """The sum of a metric's samples whose labels contain `labels`."""
        total = 0.0
        for line in self.ops("/metrics")[1].splitlines():
            match = re.match(r"^(\w+)(?:\{(.*)\})?\s+(\S+)$", line)
            if match and match.group(1) == name:
                found = dict(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
                if all(found.get(k) == v for k, v in labels.items()):
                    total += float(match.group(3))
        return total

    def url(self, connection: str) -> str:
        return f"{self.public_url}/mcp/{connection}"

    def client(self, connection: str, who: str | None = "tester", version: str = MODERN, token: str | None = None, **how) -> Mcp:
        bearer = token if token is not None else (self.oidc.token(who) if who else None)
        return Mcp(self.url(connection), bearer, version, **how)

    # -- the evidence ------------------------------------------------------------------------------
    def run(self, *argv, check: bool = False, stdin: str | bytes | None = None, timeout: float = 60, env=None) -> subprocess.CompletedProcess:
        return run(*argv, check=check, stdin=stdin, timeout=timeout, env=env or self.env)

    def audit(self, event: str = "", reason: str = "", **where) -> list[dict]:
        """Entries of the log as `audit search` gives them, oldest first; `where` filters by exact values."""
        found = self.entries(*(["--event", event] if event else []), *(["--reason", reason] if reason else []))
        return [e for e in found if all(dig(e, k) == v for k, v in where.items())]

    def entries(self, *options) -> list[dict]:
        done = self.run("audit", "search", "--data-dir", self.data_dir, "--json", "--limit", "1000000", *options,
                        timeout=120)
        assert done.returncode == 0, done.stderr
        capture.received(done.stdout)
        return [flat(json.loads(line)) for line in done.stdout.splitlines() if line.strip()]

    def log_size(self) -> int:
        """The tree size of the newest checkpoint."""
        lines = (self.data_dir / "log" / "checkpoint").read_text().splitlines()
        return int(lines[1])

    def verify(self) -> subprocess.CompletedProcess:
        return self.run("audit", "verify", str(self.data_dir), timeout=120)

    def recorded(self, timeout: float = 5, **where) -> list[dict]:
        """Waits until an entry with these values is in the log."""
        found = eventually(lambda: self.audit(**where), timeout, step=0.15)
        assert found, f"no entry with {where}; last entries: {json.dumps(self.entries()[-5:], indent=1)[:3000]}"
        return found


def flat(entry: dict) -> dict:
    """An entry with what the tests ask for most at the top: who, session (id), from, reason, rules, decision_id,
    policy_version, ok, duration_us. Nothing is invented: a key is there if the entry has it."""
    session = entry.get("session", {})
    decision = entry.get("decision", {})
    found = {**entry}
    for key, value in (("who", session.get("who")), ("session", session.get("id")), ("from", session.get("from", entry.get("from"))),
                       ("reason", decision.get("reason")), ("rules", decision.get("rules")), ("decision_id", decision.get("id")),
                       ("verdict", decision.get("verdict")), ("policy_version", decision.get("policy_version")),
                       ("approval_id", decision.get("approval_id")), ("ok", entry.get("outcome", {}).get("ok")),
                       ("duration_us", entry.get("outcome", {}).get("duration_us"))):
        found.pop(key, None)
        if value is not None:
            found[key] = value
    found.setdefault("reason", entry.get("outcome", {}).get("code"))
    found.setdefault("resource", None)
    return found


def dig(value, dotted: str):
    for part in dotted.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def run(*argv, check=False, stdin=None, timeout=60, env=None) -> subprocess.CompletedProcess:
    """`sallyport …`; what it prints counts as seen by a client."""
    text = not isinstance(stdin, bytes)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run([str(sallyport()), *map(str, argv)], capture_output=True, timeout=timeout, env=env,
                          **({"input": data} if data is not None else {"stdin": subprocess.DEVNULL}))
    if text:  # not subprocess's own text mode: it changes line ends
        done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    capture.received(done.stdout)
    capture.received(done.stderr)
    if check:
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


class Hop:
    """Adds the bearer token for clients that cannot."""

    def __init__(self, directory: pathlib.Path, gateway: Gateway, token: str, name: str = "hop"):
        token_file = directory / f"{name}.token"
        directory.mkdir(parents=True, exist_ok=True)
        token_file.write_text(token)
        self.process = Process(name, [NODE, NODE_DIR / "auth_hop.mjs", "--to", f"127.0.0.1:{gateway.port}",
                                      "--token-file", token_file], directory, node_env())
        self.port = self.process.wait_json()["port"]
        token_file.unlink()

    def url(self, connection: str) -> str:
        return f"http://127.0.0.1:{self.port}/mcp/{connection}"

    def stop(self):
        self.process.stop()
