"""Fixtures: scratch directories, the issuer, our upstreams, gateways; and the order of the run."""

import os
import pathlib
import shutil
import tempfile
import time
import zlib

import pytest

from kit import capture, refunds
from kit.approver import Approver
from kit.parts import Gateway, Oidc, Upstream
from kit.paths import ROOT
from kit.process import free_port

RUN_ENV = "SALLYPORT_TEST_RUN"


def run_dir() -> pathlib.Path:
    """One directory for everything this run leaves behind; all workers share it."""
    return pathlib.Path(os.environ[RUN_ENV])


def pytest_configure(config):
    if RUN_ENV not in os.environ:  # the controller, or a run without workers
        base = ROOT / "build" / "blackbox"
        # PostgreSQL does not run as root, and its user may not get through a home directory.
        if os.geteuid() == 0 and not all(p.stat().st_mode & 0o001 for p in ROOT.parents):
            base = pathlib.Path("/var/tmp/sallyport-blackbox")
        base.mkdir(parents=True, exist_ok=True)
        for old in base.iterdir():  # one run's remains are enough
            shutil.rmtree(old, ignore_errors=True)
        os.environ[RUN_ENV] = tempfile.mkdtemp(prefix="run-", dir=base)
        os.chmod(os.environ[RUN_ENV], 0o711)  # the user postgres has to get through to its own directories
    capture.use(run_dir() / "capture")
    (run_dir() / "done").mkdir(exist_ok=True)


def pytest_collection_modifyitems(items):
    """The leak search looks at what all others left: it comes last and waits for them."""
    order = {"test_leaks": 2, "test_conformance": -1, "test_kill9": -1}  # long ones early, for two workers
    items.sort(key=lambda item: order.get(item.module.__name__, 0))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report):
    if report.when == "teardown":
        (run_dir() / "done" / f"{zlib.crc32(report.nodeid.encode()):08x}-{zlib.adler32(report.nodeid.encode()):08x}").touch()


@pytest.fixture(scope="session")
def everything_done(request):
    """Waits until every other test of the run has ended, on whichever worker."""
    others = [item for item in request.session.items if item.module.__name__ != "test_leaks"]
    deadline = time.monotonic() + 900
    while time.monotonic() < deadline:
        if len(list((run_dir() / "done").iterdir())) >= len(others):
            return
        time.sleep(0.5)
    pytest.fail("other tests did not end")


@pytest.fixture(scope="module")
def scratch(request) -> pathlib.Path:
    """A directory of this module's own, kept until the next run."""
    directory = run_dir() / request.module.__name__
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="module")
def oidc(scratch):
    """The issuer of this module; its audience is the public URL of this module's gateway."""
    part = Oidc(scratch, f"http://127.0.0.1:{free_port()}")
    yield part
    with open(run_dir() / "tokens.txt", "a") as out:
        out.writelines(token + "\n" for token in part.all_tokens())
    part.stop()


@pytest.fixture(scope="module")
def upstream(scratch):
    part = Upstream(scratch)
    yield part
    part.stop()


@pytest.fixture
def fresh(upstream):
    """The upstream with nothing remembered."""
    upstream.reset()
    return upstream


@pytest.fixture
def tmp(request, scratch) -> pathlib.Path:
    """A directory of this test's own."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in request.node.name)[:80]
    directory = scratch / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@pytest.fixture(scope="module")
def lead(gateway) -> Approver:
    """Decides at this module's gateway."""
    return Approver(gateway)


@pytest.fixture
def order() -> str:
    """An order of this test's own."""
    return refunds.mark("order")


@pytest.fixture
def start_gateway(scratch):
    """Starts gateways that end with the test."""
    started = []

    def start(directory, *args, **kwargs) -> Gateway:
        gateway = Gateway(directory, *args, **kwargs)
        started.append(gateway)
        return gateway

    yield start
    for gateway in started:
        gateway.stop()
