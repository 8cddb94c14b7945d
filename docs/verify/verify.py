#!/usr/bin/env python3
"""Verifies a sallyport log, a proof of an entry, and cosignatures of witnesses, with Python's standard library alone.

    verify.py log DATA_DIR VKEY [--witness VKEY ...]
    verify.py proof PROOF_FILE ENTRY_FILE VKEY [--witness VKEY ...]

VKEY is the verifier key that you were given ("name+hash+base64"). Formats: c2sp.org/{tlog-tiles,tlog-checkpoint,signed-note,
tlog-cosignature,tlog-proof}, RFC 6962 (hashes), RFC 8032 (Ed25519). Exit code 0: verified. 1: not, and why. Nothing here is
shared with the program that wrote the log; read it in one sitting.
"""

import base64
import hashlib
import pathlib
import sys


class Wrong(Exception):
    """What does not hold."""


# Ed25519, RFC 8032 section 6: slow, short, for public data only.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def recover(y: int, sign: int):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else (0, y, 1, 0)
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P:
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def times(n: int, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point = add(point, point)
        n >>= 1
    return total


def decode(encoded: bytes):
    y = int.from_bytes(encoded, "little")
    return recover(y & ((1 << 255) - 1), y >> 255)


BASE = recover(4 * pow(5, P - 2, P) % P, 0)


def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r, s = decode(public), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# Texts of C2SP.
def canonical(text: str, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Wrong(f"{what} is not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise Wrong(f"{what} is base64 in another spelling")
    return raw


def decimal(text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or (text[0] == "0" and text != "0"):
        raise Wrong(f"{what} is not a plain number")
    return int(text)


def read_key(vkey: str, kind: int) -> tuple[str, bytes, bytes]:
    """Name, id and public key of "name+hash+base64"."""
    name, _, rest = vkey.partition("+")
    digest, _, encoded = rest.partition("+")
    typed = canonical(encoded, "the key")
    ident = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    if ident.hex() != digest or len(typed) != 33 or typed[0] != kind:
        raise Wrong(f"{name}: not a key of this kind, or its hash does not match")
    return name, ident, typed[1:]


def signatures(note: bytes, vkey: str, kind: int) -> tuple[bytes, list[bytes], bytes]:
    """The text of a signed note, what it has under this key, and the public key."""
    name, ident, public = read_key(vkey, kind)
    if any(c < 0x20 and c != 0x0A or c == 0x7F for c in note):
        raise Wrong("the checkpoint has control characters")
    split = note.rfind(b"\n\n")
    if split < 0 or not note.endswith(b"\n"):
        raise Wrong("the checkpoint is not a signed note")
    found = []
    try:
        lines = note[split + 2:].decode().split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise Wrong("the checkpoint is not text") from error
    if len(lines) > 64:
        raise Wrong("the checkpoint has too many signatures")
    for line in lines:
        mark, _, rest = line.partition(" ")
        signer, _, blob = rest.partition(" ")
        if mark != "\u2014" or not signer or not blob:
            raise Wrong("a signature line is malformed")
        raw = canonical(blob, "a signature")
        if len(raw) < 5:
            raise Wrong("a signature is too short")
        if signer == name and raw[:4] == ident:
            found.append(raw[4:])
    return note[:split + 1], found, public


def checkpoint(note: bytes, vkey: str) -> tuple[int, bytes]:
    """Size and root of a checkpoint that this key has signed."""
    text, found, public = signatures(note, vkey, 1)
    if len(found) != 1 or not ed25519(public, text, found[0]):
        raise Wrong("the checkpoint is not signed by the given key")
    lines = text.decode().split("\n")
    if len(lines) != 4 or lines[0] != vkey.partition("+")[0]:
        raise Wrong("the checkpoint is of another log, or has more lines than three")
    root = canonical(lines[2], "the root")
    if len(root) != 32:
        raise Wrong("the root is not a hash")
    return decimal(lines[1], "the size"), root


def cosigned(note: bytes, vkey: str) -> int:
    """When the witness with this key says that it saw the checkpoint, seconds since the epoch."""
    text, found, public = signatures(note, vkey, 4)
    for blob in found:
        seconds = int.from_bytes(blob[:8], "big")
        if len(blob) == 72 and ed25519(public, b"cosignature/v1\ntime %d\n" % seconds + text, blob[8:]):
            return seconds
    raise Wrong(f"not cosigned by {vkey.partition('+')[0]}")


# The tree.
def leaf(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def root_of(hashes: list[bytes]) -> bytes:
    if not hashes:
        return hashlib.sha256(b"").digest()
    stack: list[tuple[int, bytes]] = []  # sizes and roots of perfect subtrees
    for one in hashes:
        size = 1
        while stack and stack[-1][0] == size:
            one, size = node(stack.pop()[1], one), size * 2
        stack.append((size, one))
    total = stack.pop()[1]
    while stack:
        total = node(stack.pop()[1], total)
    return total


def number(n: int) -> str:
    text = f"{n % 1000:03d}"
    while n >= 1000:
        n //= 1000
        text = f"x{n % 1000:03d}/{text}"
    return text


def read_tile(log: pathlib.Path, level: str, n: int, width: int) -> bytes:
    path = log / "tile" / level / (number(n) + ("" if width == 256 else f".p/{width}"))
    if not path.exists() and width < 256:
        path = log / "tile" / level / number(n)  # the full one has taken its place
    try:
        return path.read_bytes()
    except OSError as error:
        raise Wrong(f"{path} cannot be read") from error


def read_entries(log: pathlib.Path, size: int) -> list[bytes]:
    entries: list[bytes] = []
    for n in range((size + 255) // 256):
        width = min(256, size - 256 * n)
        bundle, at = read_tile(log, "entries", n, width), 0
        for _ in range(width):
            length = int.from_bytes(bundle[at:at + 2], "big")
            if len(bundle) < at + 2 + length or len(bundle) < at + 2:
                raise Wrong(f"bundle {n} ends inside entry {len(entries)}")
            entries.append(bundle[at + 2:at + 2 + length])
            at += 2 + length
        if at != len(bundle) and width == min(256, len(bundle)):
            raise Wrong(f"bundle {n} is longer than its entries")
        if at != len(bundle) and (log / "tile" / "entries" / (number(n) + f".p/{width}")).exists():
            raise Wrong(f"bundle {n} is longer than its entries")
    return entries


def verify_log(log: pathlib.Path, vkey: str) -> tuple[int, bytes, bytes]:
    """Size, root and checkpoint of a log whose entries, tiles and signature agree."""
    note = (log / "checkpoint").read_bytes()
    size, root = checkpoint(note, vkey)
    hashes = [leaf(entry) for entry in read_entries(log, size)]
    if root_of(hashes) != root:
        raise Wrong("the entries give another root than the signed one")
    level = 0
    while hashes:
        for n in range((len(hashes) + 255) // 256):
            wanted = hashes[256 * n:256 * n + 256]
            stored = read_tile(log, str(level), n, len(wanted))
            if stored[:32 * len(wanted)] != b"".join(wanted) or len(stored) not in (32 * len(wanted), 8192):
                raise Wrong(f"tile {level}/{n} does not hold the hashes of its entries")
        hashes = [root_of(hashes[256 * n:256 * n + 256]) for n in range(len(hashes) // 256)]
        level += 1
    return size, root, note


def verify_proof(proof: bytes, entry: bytes, vkey: str) -> tuple[int, int, bytes]:
    """Index, size and checkpoint of a .tlog-proof that puts the entry into the signed log (RFC 9162 section 2.1.3.2)."""
    head, split, note = proof.partition(b"\n\n")
    try:
        lines = head.decode().split("\n")
    except UnicodeDecodeError as error:
        raise Wrong("the proof is not text") from error
    if lines[0] != "c2sp.org/tlog-proof@v1" or not split:
        raise Wrong("not a tlog-proof")
    if lines[1:] and lines[1].startswith("extra "):
        canonical(lines.pop(1)[6:], "the extra line")
    if len(lines) < 2 or not lines[1].startswith("index "):
        raise Wrong("the proof has no index")
    index = decimal(lines[1][6:], "the index")
    path = [canonical(line, "a hash") for line in lines[2:]]
    size, root = checkpoint(note, vkey)
    if index >= size or any(len(one) != 32 for one in path):
        raise Wrong("the proof is not one of this log")
    at, last, found = index, size - 1, leaf(entry)
    for sibling in path:
        if last == 0:
            raise Wrong("the proof is too long")
        if at & 1 or at == last:
            found = node(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, sibling)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise Wrong(f"the entry is not at index {index} of the signed log")
    return index, size, note


def main(arguments: list[str]) -> int:
    witnesses = [arguments[i + 1] for i, word in enumerate(arguments[:-1]) if word == "--witness"]
    plain = arguments[:arguments.index("--witness")] if "--witness" in arguments else arguments
    try:
        if len(plain) == 3 and plain[0] == "log":
            directory = pathlib.Path(plain[1])
            size, root, note = verify_log(directory / "log" if (directory / "log").is_dir() else directory, plain[2])
            print(f"verified: {size} entries, root {base64.b64encode(root).decode()}")
            kept = directory / "log" / "checkpoint.cosigned"
            if witnesses and kept.exists():
                note = kept.read_bytes()
                older, older_root = checkpoint(note, plain[2])
                if older > size or root_of([leaf(e) for e in read_entries(directory / "log", size)][:older]) != older_root:
                    raise Wrong("the log does not continue the cosigned checkpoint")
        elif len(plain) == 4 and plain[0] == "proof":
            index, size, note = verify_proof(pathlib.Path(plain[1]).read_bytes(), pathlib.Path(plain[2]).read_bytes(), plain[3])
            print(f"verified: entry {index} of {size}")
        else:
            print(__doc__, file=sys.stderr)
            return 2
        for witness in witnesses:
            print(f"cosigned by {witness.partition('+')[0]}, {cosigned(note, witness)} seconds after the epoch")
    except (Wrong, OSError) as problem:
        print(f"NOT verified: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
