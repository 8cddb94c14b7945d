"""Everything that any client received during the run, kept for the byte search at the end."""

import contextlib
import os
import pathlib
import threading

_lock = threading.Lock()
_dir: pathlib.Path | None = None


def use(directory: pathlib.Path) -> None:
    global _dir
    directory.mkdir(parents=True, exist_ok=True)
    _dir = directory


def pause() -> None:
    """For traffic that does not come through the gateway."""
    global _dir
    _dir = None


def received(data: bytes | str) -> None:
    """Keeps what a client saw. Each worker appends to its own file."""
    if _dir is None or not data:
        return
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    if len(data) > 4 << 20:
        data = data[: 4 << 20]
    name = os.environ.get("PYTEST_XDIST_WORKER", "main")
    with _lock, open(_dir / f"{name}.bin", "ab") as out:
        out.write(data)
        out.write(b"\n----\n")


@contextlib.contextmanager
def aside():
    """For what a client is meant to see in clear: an approved unmasked read. The test says itself what is in it."""
    global _dir
    was, _dir = _dir, None
    try:
        yield
    finally:
        _dir = was
