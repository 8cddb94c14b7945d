"""Last of all: a byte search over what every client received, all logs, indexes, log lines and metrics.

No card number that an upstream planted or a test sent, no token, no upstream secret, in any spelling.
The search itself is checked first, on what it must find.
"""

import pathlib

import pytest

import conftest
from kit import pans
from kit.parts import UPSTREAM_SECRET

pytestmark = [pytest.mark.usefixtures("everything_done"), pytest.mark.timeout(1000)]


def needles() -> dict[str, list[bytes]]:
    found = {f"card number ({name})": pans.spellings(digits) for name, digits in pans.all_pans().items()}
    found["upstream secret"] = [UPSTREAM_SECRET.encode()]
    found["track data"] = [b"29121010000000000000"]
    tokens = conftest.run_dir() / "tokens.txt"
    for number, token in enumerate(sorted(set(tokens.read_text().split())) if tokens.exists() else []):
        # A JWT's signature is as good as the token for finding where it went; opaque ones have none.
        found[f"token {number}"] = [token.encode(), *(part.encode() for part in token.split(".")[2:3])]
    return found


def search(files, wanted) -> list[str]:
    hits = []
    for file in files:
        data = file.read_bytes()
        for name, spellings in wanted.items():
            for spelling in spellings:
                at = data.find(spelling)
                if at >= 0:
                    hits.append(f"{name} in {file.relative_to(conftest.run_dir())} at {at}: {data[max(0, at - 80):at + 60]!r}")
                    break
    return hits


def files_of(kind) -> list[pathlib.Path]:
    root = conftest.run_dir()
    if kind == "received":
        return sorted((root / "capture").glob("*.bin"))
    # everything that a gateway wrote lies beside its sallyport.yaml or under a --state directory
    homes = {p.parent for p in root.rglob("sallyport.yaml")}
    files = sorted({f for home in homes for f in home.rglob("*") if f.is_file()})
    # … but for the demo's own database: that is the upstream, and card numbers are what it is there for
    files = [f for f in files if "state/postgres/" not in f.as_posix()]
    if kind == "log lines":
        return [f for f in files if f.suffix in (".out", ".err") and f.stem in ("gateway", "dev", "screen", "ends", "again", "gone")]
    if kind == "metrics":
        return [f for f in files if f.suffix == ".metrics"]
    data = [f for f in files if "data" in f.relative_to(root).parts or "copy" in f.relative_to(root).parts]
    return [f for f in data if f.name not in ("payments-credential",)]


def test_the_search_finds_what_it_must(tmp_path):
    planted = tmp_path / "planted"
    wanted = needles()
    assert len(wanted) > 20
    planted.write_bytes(b"\n".join(s for spellings in wanted.values() for s in spellings))
    import os
    found = 0
    for name, spellings in wanted.items():
        for spelling in spellings:
            found += spelling in planted.read_bytes()
    assert found == sum(len(s) for s in wanted.values())


# What clients received directly from the parts (test_parts) and what the tests' own upstreams were told is not searched:
# test_parts runs without a gateway.
@pytest.mark.parametrize("kind", ["received", "data directories", "log lines", "metrics"])
def test_nothing_leaked(kind):
    files = files_of(kind)
    assert files, f"nothing to search: {kind}"
    assert sum(f.stat().st_size for f in files) > 0
    wanted = needles()
    hits = search(files, wanted)
    assert hits == [], "\n".join(hits[:20])
