"""The program, its configuration and certificates are those that were loaded, or a control fails (PCI DSS 11.5.2)."""

import hashlib
import pathlib
import shutil

import pytest

from kit.parts import ALLOW_TESTERS, Gateway, http_connection
from kit.paths import sallyport
from kit.process import Process, eventually


@pytest.fixture
def gateway(tmp, oidc, upstream, start_gateway):
    watched = tmp / "unit.service"
    watched.write_text("[Service]\n")

    def changes(config):
        config["integrity"] = {"every": "1s", "files": [str(watched)]}
    part = start_gateway(tmp / "gateway", oidc, [http_connection("up", upstream.url)], [ALLOW_TESTERS], changes=changes)
    part.watched = watched
    return part


def failures(gateway) -> list[dict]:
    return gateway.audit("control.failed", resource="integrity")


def test_what_is_on_disk_is_what_was_loaded(gateway):
    entry = gateway.recorded(event="integrity.checked")[0]
    files = {f["what"]: f for f in entry["facts"]["files"]}
    program = pathlib.Path(sallyport()).resolve()
    assert files["program"]["sha256"] == hashlib.sha256(program.read_bytes()).hexdigest()
    assert files["configuration"]["sha256"] == hashlib.sha256(gateway.config_path.read_bytes()).hexdigest()
    assert entry.get("ok") is not False and entry["facts"]["detectors"]
    assert failures(gateway) == []


def test_a_configuration_that_was_not_loaded_is_a_failure_until_it_is(gateway):
    gateway.recorded(event="integrity.checked")
    gateway.config_path.write_text(gateway.config_path.read_text() + "# slipped in\n")
    failed = gateway.recorded(event="control.failed", resource="integrity", timeout=10)
    assert "configuration" in failed[0]["detail"]
    bad = [e for e in gateway.audit("integrity.checked") if e.get("ok") is False]
    assert bad and [f["what"] for f in bad[-1]["facts"]["files"] if f.get("changed")] == ["configuration"]
    assert gateway.ops("/readyz")[0] == 200  # an alarm, and service goes on
    gateway.reload()
    assert gateway.recorded(event="control.restored", resource="integrity", timeout=10)


def test_a_listed_file_that_changes_or_goes_is_told(gateway):
    gateway.recorded(event="integrity.checked")
    gateway.watched.unlink()
    assert "file " in gateway.recorded(event="control.failed", resource="integrity", timeout=10)[0]["detail"]
    gateway.watched.write_text("[Service]\n")  # as it was
    assert gateway.recorded(event="control.restored", resource="integrity", timeout=10)


def test_a_program_that_was_replaced_is_told_while_the_old_one_runs(tmp, gateway):
    gateway.stop()
    program = tmp / "sallyport"
    shutil.copy(pathlib.Path(sallyport()).resolve(), program)
    process = Process("replaced", [program, "serve", "--config", gateway.config_path], tmp, env=gateway.env)
    try:
        seen = len(gateway.audit("log.start"))
        assert eventually(lambda: len([e for e in gateway.audit("integrity.checked")]) > 0 and
                          len(gateway.audit("log.start")) >= seen, 20, 0.2)
        fresh = tmp / "fresh"
        fresh.write_bytes(program.read_bytes() + b"\0")
        fresh.chmod(0o755)
        fresh.replace(program)  # as a package manager does
        failed = eventually(lambda: [e for e in failures(gateway) if "program" in e["detail"]], 15, 0.2)
        assert failed, process.err[-2000:]
    finally:
        process.stop()
