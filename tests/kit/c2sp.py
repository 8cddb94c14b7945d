"""Signed notes, cosignatures and proofs (c2sp.org) by the standard library and `openssl`: nothing of ours is asked."""

import base64
import hashlib
import pathlib
import subprocess
import tempfile

ED25519_SPKI = bytes.fromhex("302a300506032b6570032100")  # RFC 8410: what stands before the 32 bytes of a key


def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "key").write_bytes(ED25519_SPKI + public)
        (directory / "message").write_bytes(message)
        (directory / "signature").write_bytes(signature)
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", directory / "key", "-rawin",
                               "-in", directory / "message", "-sigfile", directory / "signature"],
                              capture_output=True, check=False).returncode == 0


def signatures(note: bytes, vkey: str) -> list[bytes]:
    """What the note has under this key, behind the key id."""
    name, key_id, _ = vkey.split("+", 2)
    lines = note[note.rindex(b"\n\n") + 2:].decode().splitlines()
    blobs = [base64.b64decode(line.split(" ")[2], validate=True) for line in lines if line.startswith(f"\u2014 {name} ")]
    return [blob[4:] for blob in blobs if blob[:4].hex() == key_id]


def public(vkey: str, kind: int) -> bytes:
    name, key_id, typed = vkey.split("+", 2)
    raw = base64.b64decode(typed, validate=True)
    assert raw[0] == kind and len(raw) == 33
    assert hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() == key_id
    return raw[1:]


def text(note: bytes) -> bytes:
    return note[:note.rindex(b"\n\n") + 1]


def signed(note: bytes, vkey: str) -> bool:
    return any(ed25519(public(vkey, 1), text(note), s) for s in signatures(note, vkey))


def cosigned(note: bytes, vkey: str) -> int | None:
    """When the witness says that it saw the note, seconds since the epoch."""
    for blob in signatures(note, vkey):
        seconds = int.from_bytes(blob[:8], "big")
        if ed25519(public(vkey, 4), b"cosignature/v1\ntime %d\n" % seconds + text(note), blob[8:]):
            return seconds
    return None


def head(note: bytes) -> tuple[str, int, bytes]:
    origin, size, root = text(note).decode().splitlines()
    return origin, int(size), base64.b64decode(root, validate=True)


def included(proof: str, entry: bytes, vkey: str) -> bytes:
    """Checks a .tlog-proof (RFC 9162 2.1.3.2); the note that it ends with."""
    lines = proof.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    index = int(lines[1].removeprefix("index "))
    end = lines.index("")
    hashes = [base64.b64decode(line, validate=True) for line in lines[2:end]]
    note = "\n".join(lines[end + 1:]).encode()
    assert signed(note, vkey)
    _, size, root = head(note)
    at, last = index, size - 1
    found = hashlib.sha256(b"\0" + entry).digest()
    for sibling in hashes:
        if at & 1 or at == last:
            found = hashlib.sha256(b"\1" + sibling + found).digest()
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\1" + found + sibling).digest()
        at, last = at >> 1, last >> 1
    assert last == 0 and found == root
    return note
