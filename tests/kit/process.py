"""Starting, watching and stopping the processes of a test."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time


def free_port(but: int | None = None) -> int:
    """A TCP port on loopback that was free a moment ago, outside the ephemeral range's hot end; not `but`, which is free and taken soon."""
    while True:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.0.0.1", 0))
            if s.getsockname()[1] != but:
                return s.getsockname()[1]


class Process:
    """One child in its own process group, its output in <directory>/<name>.{out,err}."""

    def __init__(self, name, argv, directory: pathlib.Path, env=None, stdin=subprocess.DEVNULL, preexec=None,
                 cwd=None):
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.out_path = directory / f"{name}.out"
        self.err_path = directory / f"{name}.err"
        self._out = open(self.out_path, "ab")
        self._err = open(self.err_path, "ab")
        self._from = (self._out.tell(), self._err.tell())  # a restart appends; what came before is not ours
        self.popen = subprocess.Popen([str(a) for a in argv], stdin=stdin, stdout=self._out, stderr=self._err,
                                      env=env, cwd=cwd, start_new_session=True, preexec_fn=preexec)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def out(self) -> str:
        return self.out_path.read_bytes()[self._from[0]:].decode(errors="replace")

    @property
    def err(self) -> str:
        return self.err_path.read_bytes()[self._from[1]:].decode(errors="replace")

    def alive(self) -> bool:
        return self.popen.poll() is None

    def wait_line(self, pattern: str, timeout: float = 20, stream: str = "out") -> re.Match:
        """The first line of the output that matches; fails with the output when the process ends."""
        deadline = time.monotonic() + timeout
        while True:
            text = self.out if stream == "out" else self.err
            match = re.search(pattern, text, re.M)
            if match:
                return match
            if not self.alive():
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.out[-3000:]}\n{self.err[-3000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: no {pattern!r} within {timeout} s:\n{self.out[-3000:]}\n{self.err[-3000:]}")
            time.sleep(0.02)

    def wait_json(self, timeout: float = 20) -> dict:
        """The first line that is a JSON object."""
        return json.loads(self.wait_line(r"^\{.*\}$", timeout).group(0))

    def signal(self, number: int) -> None:
        if self.alive():
            self.popen.send_signal(number)

    def wait(self, timeout: float = 15) -> int:
        return self.popen.wait(timeout)

    def kill_hard(self) -> None:
        """SIGKILL to this process alone (its children see the pipe close)."""
        self.popen.kill()
        self.popen.wait(10)
        self._close()

    def stop(self, timeout: float = 10) -> int | None:
        """SIGTERM, then SIGKILL to the group; the exit code."""
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait(5)
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self._close()
        return self.popen.returncode

    def _close(self) -> None:
        self._out.close()
        self._err.close()


def children_of(pid: int) -> list[int]:
    """All descendants of a process, from /proc."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents[int(entry.name)] = int(stat[stat.rindex(")") + 2:].split()[1])
    found, todo = [], [pid]
    while todo:
        parent = todo.pop()
        for child, its_parent in parents.items():
            if its_parent == parent:
                found.append(child)
                todo.append(child)
    return found


def running(pid: int) -> bool:
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def rss_kib(pid: int) -> int:
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))


def eventually(check, timeout: float = 5, step: float = 0.03):
    """Repeats `check` until it is true; returns its value, or the last one for the assertion to show."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value or time.monotonic() > deadline:
            return value
        time.sleep(step)
