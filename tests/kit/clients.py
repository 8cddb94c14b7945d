"""Real MCP clients: the TypeScript SDK v1 and v2, the inspector's command line, mcp-remote."""

import json
import subprocess

from kit import capture
from kit.paths import BIN, NODE, NODE_DIR, node_env


class Ran:
    """What an SDK client printed: one entry per step, `end` with what came in between."""

    def __init__(self, lines: list[dict]):
        self.steps = [line for line in lines if line["step"] not in ("end", "connect")]
        self.end = next((line for line in lines if line["step"] == "end"), {})
        self.connect_error = next((line["error"] for line in lines if line["step"] == "connect"), None)

    def __getitem__(self, index) -> dict:
        assert self.connect_error is None, self.connect_error
        return self.steps[index]

    def result(self, index) -> dict:
        step = self[index]
        assert "result" in step, step
        return step["result"]


def sdk(version: int, steps: list[dict], url=None, token=None, command=None, era="auto", elicit=None, capabilities=None,
        timeout=60) -> Ran:
    """Runs a script in the TypeScript SDK client of major version 1 or 2."""
    script = {"url": url, "token": token, "command": [str(c) for c in command] if command else None, "era": era,
              "steps": steps}
    if elicit is not None:
        script["elicit"] = elicit
    if capabilities is not None:
        script["capabilities"] = capabilities
    done = subprocess.run([NODE, NODE_DIR / f"client_v{version}.mjs"], input=json.dumps(script), capture_output=True,
                          text=True, timeout=timeout, env=node_env())
    capture.received(done.stdout)
    assert done.stdout.strip(), done.stderr[-3000:]
    return Ran([json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")])


def tasks(url: str, token: str, name: str, args: dict, cancel_after_ms: int | None = None, timeout=60) -> dict:
    """One tool call by @modelcontextprotocol/ext-tasks on the SDK v2: what came of its task."""
    script = {"url": url, "token": token, "name": name, "args": args, "cancel_after_ms": cancel_after_ms}
    done = subprocess.run([NODE, NODE_DIR / "client_tasks.mjs"], input=json.dumps(script), capture_output=True, text=True,
                          timeout=timeout, env=node_env())
    capture.received(done.stdout)
    assert done.stdout.strip(), done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def inspector(target: list, *argv, token=None, http=True, era=None, timeout=90) -> subprocess.CompletedProcess:
    """`mcp-inspector --cli`; `target` is a URL or a command line."""
    line = [str(BIN / "mcp-inspector"), "--cli", *map(str, target)]
    if http:
        line += ["--transport", "http"]
    if token:
        line += ["--header", f"Authorization: Bearer {token}"]
    if era:
        line += ["--protocol-era", era]
    line += [str(a) for a in argv]
    done = subprocess.run(line, capture_output=True, text=True, timeout=timeout, env=node_env(), stdin=subprocess.DEVNULL)
    capture.received(done.stdout)
    capture.received(done.stderr.replace(token, "") if token else done.stderr)
    return done


def mcp_remote_command(url: str, token: str) -> list[str]:
    """The stdio command line that a desktop client would have in its configuration."""
    return [str(NODE), str(BIN / "mcp-remote"), url, "--transport", "http-only", "--allow-http", "--header",
            f"Authorization: Bearer {token}"]
