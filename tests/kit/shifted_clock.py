"""The wall clock of one process, set to what a test wants while it runs (Debian: faketime); its steady clock goes on."""

import os
import pathlib
import time

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class ShiftedClock:
    """`env` is for the process; `step` and `freeze` count from the next time it asks."""

    def __init__(self, file: pathlib.Path):
        assert FAKETIME.exists(), "Debian: apt-get install faketime"
        self.file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        self.step(0)
        self.env = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1", "TZ": "UTC",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}

    def step(self, seconds: int) -> None:
        """So far from the true time, and running."""
        self._set(f"{seconds:+d}s")

    def freeze(self, at: int) -> None:
        """Standing at this second of the epoch, so that a bound can be tried to the second."""
        self._set(time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at)))

    def _set(self, text: str) -> None:
        fresh = self.file.with_suffix(f".{os.getpid()}")
        fresh.write_text(text + "\n")
        fresh.replace(self.file)
