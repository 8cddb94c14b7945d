"""Where things are: the checkout, the Node parts, the binary under test."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
NODE_DIR = TESTS / "node"
BIN = NODE_DIR / "node_modules" / ".bin"
NODE = BIN / "node"


def sallyport() -> pathlib.Path:
    """The binary under test: $SALLYPORT_BIN, or the newest of the release and the dev build."""
    given = os.environ.get("SALLYPORT_BIN")
    if given:
        return pathlib.Path(given)
    for candidate in (ROOT / "build/release/sallyport", ROOT / "build/release/src/app/sallyport",
                      ROOT / "build/dev/src/app/sallyport"):
        if candidate.exists():
            return candidate
    raise FileNotFoundError("no sallyport binary: build it (./dev build) or set SALLYPORT_BIN")


def node_env() -> dict:
    """The environment for Node parts: our Node 22 first, nothing that phones home."""
    env = dict(os.environ)
    env["PATH"] = f"{BIN}:{env['PATH']}"
    env["NO_UPDATE_NOTIFIER"] = "1"
    env.pop("NODE_OPTIONS", None)
    return env
