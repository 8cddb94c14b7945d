"""The official conformance suite (@modelcontextprotocol/conformance), server mode, and its outcome."""

import json
import pathlib
import re
import subprocess

from kit import capture
from kit.paths import NODE, NODE_DIR, node_env

SUITE = NODE_DIR / "node_modules/@modelcontextprotocol/conformance/dist/index.js"


class Outcome:
    """Scored and unscored scenarios, each passed or failed, and the checks that failed."""

    def __init__(self, output: str, directory: pathlib.Path):
        summary = output[output.index("=== SUMMARY ==="):]
        marks = dict((name, mark == "✓") for mark, name in re.findall(r"^([✓✗]) ([\w-]+):", summary, re.M))
        unscored = set(re.findall(r"^  [✓✗] ([\w-]+) \(", summary, re.M))
        self.passed_scored = [name for name, passed in marks.items() if passed and name not in unscored]
        self.failed_scored = [name for name, passed in marks.items() if not passed and name not in unscored]
        self.passed_unscored = [name for name in unscored if marks.get(name)]
        self.failed_unscored = [name for name in unscored if not marks.get(name)]
        self.directory = directory

    def why(self, scenarios=None) -> str:
        """The failed checks of the given scenarios (default: the failed scored ones), for the reader of a failure."""
        lines = []
        for scenario in scenarios if scenarios is not None else self.failed_scored:
            for file in sorted(self.directory.glob(f"server-{scenario}-*/checks.json")):
                for check in json.loads(file.read_text()):
                    if check["status"] == "FAILURE":
                        lines.append(f"{scenario}: {check['id']}: {check.get('errorMessage', '')}"[:600])
        return "\n".join(lines)


def run_suite(url: str, revision: str, directory: pathlib.Path, timeout: float = 150) -> Outcome:
    """Runs exactly what the revision requires; the exit code must agree with the summary."""
    directory.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([NODE, SUITE, "server", "--url", url, "--requirements", revision, "-o", directory],
                          capture_output=True, text=True, timeout=timeout, env=node_env())
    (directory / "output.txt").write_text(done.stdout + done.stderr)
    capture.received(done.stdout)
    for file in directory.glob("server-*/checks.json"):
        capture.received(file.read_bytes())
    outcome = Outcome(done.stdout, directory)
    assert (done.returncode == 0) == (outcome.failed_scored == []), done.stdout[-3000:]
    return outcome
