"""The official suite's client scenarios with the gateway as the client of the upstream: the scenario's server is an upstream of a gateway, a
client of the TypeScript SDK drives the calls through it, and the suite judges what the gateway sends. docs/conformance.md has the table."""

import json
import pathlib
import re
import subprocess
import sys

import pytest

from kit.conformance import SUITE
from kit.mcp import MODERN
from kit.paths import NODE, ROOT, TESTS, node_env

OLD = "2025-11-25"
SCORED = [(OLD, "initialize"), (OLD, "tools_call"), (OLD, "elicitation-sep1034-client-defaults"), (OLD, "sse-retry"),
          (MODERN, "tools_call"), (MODERN, "request-metadata"), (MODERN, "sep-2322-client-request-state"), (MODERN, "http-standard-headers"),
          (MODERN, "http-custom-headers"), (MODERN, "http-invalid-tool-headers"), (MODERN, "json-schema-ref-no-deref")]
BOTH = ["metadata-default", "metadata-var1", "metadata-var2", "metadata-var3", "basic-cimd", "scope-from-www-authenticate",
        "scope-from-scopes-supported", "scope-omitted-when-undefined", "scope-step-up", "scope-retry-limit", "token-endpoint-auth-basic",
        "token-endpoint-auth-post", "token-endpoint-auth-none", "pre-registration"]
NEW = ["resource-mismatch", "offline-access-scope", "offline-access-not-supported", "authorization-server-migration", "iss-supported",
       "iss-not-advertised", "iss-supported-missing", "iss-wrong-issuer", "iss-unexpected", "iss-normalized", "metadata-issuer-mismatch"]
SCORED += [(revision, f"auth/{name}") for name in BOTH for revision in (OLD, MODERN)] + [(MODERN, f"auth/{name}") for name in NEW]
UNSCORED = [(revision, f"auth/client-credentials-{how}") for revision in (OLD, MODERN) for how in ("basic", "jwt")]


@pytest.fixture(scope="module")
def run(scratch, oidc):
    def scenario(revision: str, name: str) -> list[dict]:
        """The checks of a scenario as the suite wrote them down."""
        out = scratch / "out" / revision / name.replace("/", "-")
        out.mkdir(parents=True, exist_ok=True)
        command = " ".join(map(str, [sys.executable, TESTS / "conformance_client.py", scratch, oidc.issuer, oidc.audience]))
        done = subprocess.run([NODE, SUITE, "client", "--command", command, "--scenario", name, "--spec-version", revision, "-o", out, "--force",
                               "--timeout", "50000"], capture_output=True, text=True, timeout=90,
                              env=node_env() | {"SCENARIO_TOKEN": oidc.token_of("tester", groups=["testers"])})
        found = sorted(out.rglob("checks.json"))
        assert found, done.stdout[-3000:] + done.stderr[-3000:]
        (out / "suite.txt").write_text(done.stdout + done.stderr)
        return json.loads(found[-1].read_text())
    return scenario


def failed(checks: list[dict]) -> list:
    return [(c["id"], c.get("errorMessage"), c.get("details")) for c in checks if c["status"] == "FAILURE"]


@pytest.mark.parametrize("revision, name", SCORED + UNSCORED)
def test_the_gateway_is_a_client_of_the_scenario(run, revision, name):
    checks = run(revision, name)
    assert failed(checks) == []
    assert [c["id"] for c in checks if c["status"] == "WARNING" and name.startswith("auth/")] == []
    assert any(c["status"] == "SUCCESS" for c in checks), "something was judged at all"


def test_the_table_has_every_scenario():
    """Each scenario that a revision asks of clients is either run here or has its reason in the table."""
    page = (ROOT / "docs/conformance.md").read_text()
    rows = {m.group(2): m.group(1) + m.group(3) for m in re.finditer(r"^\|(.*?)`([\w/-]+)`(.*)\|$", page, re.M)}
    for revision in (OLD, MODERN):
        listed = subprocess.run([NODE, SUITE, "list", "--requirements", revision], capture_output=True, text=True, env=node_env()).stdout
        part = listed[listed.index("Client scenarios"):]
        names = re.findall(r"^  - (\S+)$", part, re.M) + re.findall(r"^    - (\S+) \[client\]$", part, re.M)
        assert len(names) >= 18
        for name in names:
            assert name in rows, name
            passes = (revision, name) in SCORED + UNSCORED
            assert ("passes" in rows[name]) == passes or (not passes and "passes" not in rows[name]), (name, rows[name])
