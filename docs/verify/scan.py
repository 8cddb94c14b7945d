#!/usr/bin/env python3
"""Searches every byte of files for card numbers and sensitive authentication data, with Python's standard library alone.

    scan.py [--json] PATH ...

A second opinion on `sallyport audit scan`: nothing here is shared with the program that wrote the files; read it in one sitting.
Exit code 0: nothing was found. 1: something was, and where. 2: something could not be opened.

What is a finding
  pan    12 to 19 digits that begin as a payment network's numbers do, have a length of that network and a right check digit
         (Luhn), written as one run of digits, or in groups that cards are written in, with one and the same separator.
  track  magnetic stripe data: %B<number>^<name>^<digits>, ;<number>=<digits>
  cvv    a name of a card verification code with three or four digits as its value; pin: the same of a PIN or PIN block
Looked at are the bytes as they are, digits, spaces and dashes of other scripts, JSON, URL and HTML escapes, UTF-16, and what comes out
of base64, of digits written as hexadecimal ASCII, of gzip, zlib, bzip2, xz, zip, and zstd where the `zstd` command is there.

What is not, though it has the digits (one in ten random numbers passes Luhn); each is counted and told, no file is left out:
  hash   part of a hexadecimal word of a length that digests, keys and trace ids have (16, 20, 32, 40, 48, 56, 64, 96, 128), or of a
         UUID; a word of digits alone is never taken for one
  id     part of an identifier with a prefix that names its kind, "s_0123456789abcdef"
  real   the digits behind the point of a number: 0.4111111111111111
  maestro12  twelve digits of Maestro, or its rarer ranges, with no word for a card in the 48 bytes before
"""

import argparse
import base64
import bz2
import collections
import gzip
import io
import json
import lzma
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unicodedata
import zipfile
import zlib

CHUNK, OVERLAP, MOST, DEPTH = 16 << 20, 4096, 4 << 30, 3

# First digits, lengths. From the networks' public documents.
NETWORKS = [
    ("visa", range(4, 5), 1, (13, 16, 19)),
    ("mastercard", range(51, 56), 2, (16,)),
    ("mastercard", range(2221, 2721), 4, (16,)),
    ("amex", (34, 37), 2, (15,)),
    ("discover", (6011, *range(6440, 6500)), 4, range(16, 20)),
    ("discover", (65,), 2, range(16, 20)),
    ("jcb", range(3528, 3590), 4, range(16, 20)),
    ("diners", (*range(300, 306), 309), 3, range(14, 20)),
    ("diners", (36, 38, 39), 2, range(14, 20)),
    ("unionpay", (62, 81), 2, range(16, 20)),
    ("mir", range(2200, 2205), 4, range(16, 20)),
    ("rupay", (508, 608, 817, 820), 3, (16,)),
    ("elo", (5066, 5067, 5090, 6277, 6362, 6363), 4, (16,)),
    ("hipercard", (6062, 3841), 4, (16, 19)),
    ("verve", (5060, 5061, 5078, 5079), 4, (16, 18, 19)),
    ("dankort", (5019,), 4, (16,)),
    ("naranja", (5895,), 4, (16,)),
    ("switch", (6331, 6333, 6334, 4903, 4905), 4, (16, 18, 19)),
    ("uatp", (1354, 1220), 4, (15,)),
    ("troy", (9792,), 4, (16,)),
]
MAESTRO = re.compile(r"(5018|5020|5038|5893|6304|6759|676[123])\d{8,15}$")
CARD_WORD = re.compile(rb"(?i)card|\bpan\b|maestro|account|konto|karte")
GROUPINGS = {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 4, 4, 4, 2), (4, 4, 4, 4, 1), (4, 6, 5), (4, 6, 4), (4, 4, 5), (4, 4, 4), (8, 8), (6, 13),
             (6, 10), (6, 9), (4, 4, 4, 3), (5, 5, 5), (4, 12), (4, 5, 6), (4, 3, 3, 3), (8, 11), (3, 4, 4, 4), (4, 4, 4, 2), (2,) * 8}

RUN = re.compile(rb"[0-9](?:(?:\r?\n|[ \t]{1,2}|[\-./_+])?[0-9]){11,120}")
TRACK = re.compile(rb"%?[Bb]\d{12,19}\^[^^\r\n]{2,26}\^\d{7}|;\d{12,19}=\d{7}")
CODE = re.compile(rb"(?i)[\"'\\\s,{(;&?<](?:card_?)?(cvv2?|cvc2?|cvn2?|csc|card_?(?:verification|security)_?(?:code|value)|"
                  rb"security_?code|verification_?value)[\\\"']*\s*(?:[:=>]|is)\s*[\\\"']*(\d{3,4})(?![0-9*A-Za-z.\-])")
PIN = re.compile(rb"(?i)[\"'\\\s,{(;&?](pin|pin_?code|pin_?block)[\\\"']*\s*[:=]\s*[\\\"']*(\d{4,6}|[0-9A-F]{16})(?![0-9A-Za-z*.\-])")
# Base64 of nine digits in a row, at any offset: 0011dddd 0011dddd 0011dddd in four letters.
BASE64 = re.compile(rb"(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){3,}")
LETTER = re.compile(rb"[A-Za-z0-9+/_-]")
WIDE = re.compile(rb"(?:[0-9]\x00){11,}[0-9]?")  # UTF-16 of either order
ESCAPE = re.compile(r"\\\\*u([0-9a-fA-F]{4})|%([2-3][0-9a-fA-F])|&#(\d{2,5});|&#x([0-9a-fA-F]{2,4});|&(nbsp);|(?<=\d)\\\\*([ntr/])(?=\d)")
FOLD = {}  # digits of every script to those of ASCII, every space and dash to one, what has no width to nothing
for point in range(0x80, 0x20000):
    category = unicodedata.category(chr(point))
    if unicodedata.digit(chr(point), None) is not None:
        FOLD[point] = str(unicodedata.digit(chr(point)))
    elif category == "Zs":
        FOLD[point] = " "
    elif category == "Pd" or point == 0x2212:
        FOLD[point] = "-"
    elif point in (0xB7, 0x2022, 0x2027):
        FOLD[point] = "."
    elif category == "Cf":
        FOLD[point] = ""
FOLDED = re.compile("[%s]" % "".join(re.escape(chr(point)) for point in FOLD))
WORD = re.compile(rb"(?i)card|\bpan\b|maestro|account|konto|karte")
GROUPINGS = {(4, 4, 4, 4), (4, 4, 4, 4, 3), (4, 4, 4, 4, 2), (4, 4, 4, 4, 1), (4, 6, 5), (4, 6, 4), (4, 4, 5), (4, 4, 4), (8, 8), (6, 13),
             (6, 10), (6, 9), (4, 4, 4, 3), (5, 5, 5), (4, 12), (4, 5, 6), (4, 3, 3, 3), (8, 11), (3, 4, 4, 4), (4, 4, 4, 2), (2,) * 8}

RUN = re.compile(rb"[0-9](?:(?:\r?\n|[ \t]{1,2}|[\-./_+])?[0-9]){11,120}")
TRACK = re.compile(rb"%?[Bb]\d{12,19}\^[^^\r\n]{2,26}\^\d{7}|;\d{12,19}=\d{7}")
CODE = re.compile(rb"(?i)[\"'\\\s,{(;&?<](?:card_?)?(cvv2?|cvc2?|cvn2?|csc|card_?(?:verification|security)_?(?:code|value)|"
                  rb"security_?code|verification_?value)[\\\"']*\s*(?:[:=>]|is)\s*[\\\"']*(\d{3,4})(?![0-9*A-Za-z.\-])")
PIN = re.compile(rb"(?i)[\"'\\\s,{(;&?](pin|pin_?code|pin_?block)[\\\"']*\s*[:=]\s*[\\\"']*(\d{4,6}|[0-9A-F]{16})(?![0-9A-Za-z*.\-])")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{18,8192}={0,2}")
WIDE = re.compile(rb"(?:[0-9]\x00){11,}[0-9]?")  # UTF-16 of either order
ESCAPED = re.compile(rb"(?:(?:\\u00|%)3[0-9]|[0-9]){12,}")
# Digits of other scripts as UTF-8: full-width, Arabic-Indic, Persian, Devanagari, Bengali, Thai.
SCRIPTS = [(0xFF10, 3), (0x0660, 2), (0x06F0, 2), (0x0966, 3), (0x09E6, 3), (0x0E50, 3)]
OTHER_DIGIT = re.compile(b"|".join(re.escape(chr(first + i).encode()) for first, _ in SCRIPTS for i in range(10)))
DIGIT_OF = {chr(first + i).encode(): b"%d" % i for first, _ in SCRIPTS for i in range(10)}
WORD = re.compile(rb"[A-Za-z0-9_]+")
HEX_LENGTHS = {16, 20, 32, 40, 48, 56, 64, 96, 128}
UUID = re.compile(rb"(?i)^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$")


def luhn(digits: str) -> bool:
    total = 0
    for i, c in enumerate(reversed(digits)):
        d = int(c) * (1 + i % 2)
        total += d - 9 if d > 9 else d
    return total % 10 == 0


def network(digits: str) -> str | None:
    if len(set(digits)) == 1:
        return None
    for name, firsts, width, lengths in NETWORKS:
        if len(digits) in lengths and int(digits[:width]) in firsts:
            return name if luhn(digits) else None
    if 12 <= len(digits) <= 19 and MAESTRO.match(digits) and luhn(digits):
        return "maestro"
    return None


def unescape(m: re.Match) -> str:
    wide, url, decimal, hexadecimal, space, short = m.groups()
    if space or short:
        return "/" if short == "/" else " "
    return chr(int(wide or url or hexadecimal, 16) if not decimal else int(decimal) & 0xFFFF)


class Scan:
    def __init__(self):
        self.findings, self.rejected, self.unopened = [], collections.Counter(), []
        self.files = self.bytes = self.inner = 0
        self.place = ""
        self.seen = set()

    def found(self, kind: str, what: str, at: int, shown: str):
        if (self.place, kind, at) not in self.seen:
            self.seen.add((self.place, kind, at))
            self.findings.append({"file": self.place, "offset": at, "kind": kind, "what": what, "shown": shown})

    # -- one number

    def context(self, data: bytes, start: int, end: int, digits: str, name: str) -> str | None:
        """Why these digits are no card number, by what stands around them; None: they are one."""
        left, right = start, end
        while left > 0 and start - left < 140 and WORD.match(data, left - 1):
            left -= 1
        while right < len(data) and right - end < 140 and WORD.match(data, right):
            right += 1
        word = data[left:right]
        if word != data[start:end]:
            if len(word) in HEX_LENGTHS and re.fullmatch(rb"[0-9a-f]+|[0-9A-F]+", word):
                return "hash"
            if re.fullmatch(rb"[a-z]{1,4}_(?=[0-9]*[a-z])[0-9a-z]{16,40}", word):
                return "id"
        for at in range(max(0, start - 36), start + 1):
            if UUID.match(data[at:at + 36]) and at + 36 >= end:
                return "hash"
        before = data[max(0, left - 5):left]
        if data[left:left + len(digits)] == digits.encode() and re.search(rb"(?:^|[^0-9.])-?\d{1,3}\.$", before) and not \
                re.match(rb"[.\-]\d", data[end:end + 2]):
            return "real"
        if name == "maestro" and (len(digits) == 12 or not digits.startswith(("5018", "6759"))) and not \
                CARD_WORD.search(data[max(0, start - 48):start]):
            return "maestro12"
        return None

    def judge(self, data: bytes, start: int, end: int, digits: str, base: int):
        name = network(digits)
        if name is None:
            return
        why = self.context(data, start, end, digits, name)
        if why:
            self.rejected[why] += 1
        else:
            self.found("pan", name, base + start, f"{digits[0]}{'*' * (len(digits) - 5)}{digits[-4:]}")

    def run(self, data: bytes, m: re.Match, base: int):
        """A run of digits with single separators: each group alone, and groups as cards have them."""
        text, at = m.group(), m.start()
        groups = [(g.start(), g.end()) for g in re.finditer(rb"[0-9]+", text)]
        for a, b in groups:
            n = b - a
            if 12 <= n <= 19:
                self.judge(data, at + a, at + b, text[a:b].decode(), base)
            elif 24 <= n <= 38:  # two numbers without a border, or hexadecimal ASCII
                for cut in range(max(12, n - 19), min(19, n - 12) + 1):
                    if network(text[a:a + cut].decode()) and network(text[a + cut:b].decode()):
                        self.found("pan", "two", base + at + a, f"{n} digits")
                if n % 2 == 0 and all(c == 0x33 for c in text[a:b:2]):
                    digits = text[a + 1:b:2].decode()
                    if network(digits):
                        self.found("pan", "hexadecimal ASCII", base + at + a, f"{n} digits")
        for i in range(len(groups)):
            separator, mixed = text[groups[i][1]:groups[i][1] + 1], False
            shape = [groups[i][1] - groups[i][0]]
            for j in range(i + 1, min(i + 20, len(groups))):
                mixed |= text[groups[j - 1][1]:groups[j - 1][1] + 1] != separator
                shape.append(groups[j][1] - groups[j][0])
                if sum(shape) > 19:
                    break
                if sum(shape) >= 12 and (shape == [4, 4, 4, 4] or not mixed and (tuple(shape) in GROUPINGS or set(shape) == {1})):
                    a, b = groups[i][0], groups[j][1]
                    self.judge(data, at + a, at + b, re.sub(rb"[^0-9]", b"", text[a:b]).decode(), base)

    # -- bytes

    def plain(self, data: bytes, base: int = 0):
        for m in RUN.finditer(data):
            if m.group().isdigit() and m.group()[:1] in (b"0", b"7") or len(m.group()) == 19 and m.group()[:1] == b"1":
                continue  # no network; times in nanoseconds, nearly always
            self.run(data, m, base)
        for m in TRACK.finditer(data):
            if any(network(d) for d in re.findall(r"\d{12,19}", m.group().decode("latin-1"))[:1]):
                self.found("track", "magnetic stripe", base + m.start(), f"{len(m.group())} bytes")
        for m in CODE.finditer(data):
            self.found("cvv", m.group(1).decode(), base + m.start(), f"{len(m.group(2))} digits")
        for m in PIN.finditer(data):
            self.found("pin", m.group(1).decode(), base + m.start(), f"{len(m.group(2))} characters")

    def look(self, data: bytes, base: int = 0):
        self.plain(data, base)
        text = data.decode("utf-8", "replace")
        spots = [m.span() for m in ESCAPE.finditer(text)] if "\\" in text or "%" in text or "&" in text else []
        if not text.isascii():
            spots += [m.span() for m in FOLDED.finditer(text)]
        windows = []  # what stands around them
        for a, b in sorted(spots):
            if windows and a - windows[-1][1] < 160:
                windows[-1][1] = b
            else:
                windows.append([a, b])
        for a, b in windows:
            folded = ESCAPE.sub(unescape, text[max(0, a - 80):b + 80]).translate(FOLD)
            self.plain(folded.encode("utf-8", "replace"), base + max(0, a - 80))
        for m in WIDE.finditer(data):
            self.plain(m.group().replace(b"\x00", b""), base + m.start())
        for m in BASE64.finditer(data):
            start, end = m.span()
            while start >= 4 and m.start() - start < 64 and all(LETTER.match(data, start - k) for k in (1, 2, 3, 4)):
                start -= 4
            while end < len(data) and end - m.end() < 64 and LETTER.match(data, end):
                end += 1
            piece = data[start:end].translate(bytes.maketrans(b"-_", b"+/"))
            piece = piece[:-1] if len(piece) % 4 == 1 else piece
            self.plain(base64.b64decode(piece + b"=" * (-len(piece) % 4)), base + start)

    def stream(self, reader, depth: int):
        """A file, or what came out of one, in pieces that overlap."""
        tail, base, total = b"", 0, 0
        while piece := reader.read(CHUNK):
            total += len(piece)
            if total > MOST:
                self.unopened.append(f"{self.place}: longer than {MOST} bytes inside")
                return
            data = tail + piece
            self.look(data, base)
            tail = data[-OVERLAP:]
            base += len(data) - len(tail)
            self.bytes += len(piece)

    def inside(self, place: str, reader, depth: int):
        """What a file holds; and, where it is packed, what it unpacks to."""
        self.place = place
        head = reader.read(16)
        reader.seek(0)
        self.stream(reader, depth)
        if depth == 0:
            return
        reader.seek(0)
        try:
            if head[:4] == b"PK\3\4":
                with zipfile.ZipFile(reader) as packed:
                    for info in packed.infolist():
                        self.inner += 1
                        with packed.open(info) as one:
                            self.inside(f"{place}!{info.filename}", io.BytesIO(one.read(MOST)), depth - 1)
                return
            opened = None
            if head[:2] == b"\x1f\x8b":
                opened = gzip.GzipFile(fileobj=reader)
            elif head[:3] == b"BZh":
                opened = bz2.BZ2File(reader)
            elif head[:6] == b"\xfd7zXZ\0":
                opened = lzma.LZMAFile(reader)
            elif head[:4] == b"\x28\xb5\x2f\xfd":
                if shutil.which("zstd") is None:
                    self.unopened.append(f"{place}: zstd, and there is no zstd command")
                    return
                done = subprocess.run(["zstd", "-dcq"], input=reader.read(), capture_output=True)
                if done.returncode != 0:
                    raise OSError("zstd: " + done.stderr.decode(errors="replace").strip())
                opened = io.BytesIO(done.stdout)
            elif head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
                opened = io.BytesIO(zlib.decompress(reader.read()))
            if opened is not None:
                self.inner += 1
                self.inside(f"{place}!", io.BytesIO(opened.read(MOST)), depth - 1)
        except (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, ValueError) as e:
            self.unopened.append(f"{place}: it looks packed, and cannot be unpacked ({e})")

    def file(self, path: pathlib.Path):
        self.files += 1
        name = str(path)
        self.place = name
        self.plain(os.fsencode(path.name) + b"\n")  # a name is bytes at rest, too
        try:
            with open(path, "rb") as reader:
                self.inside(name, reader, DEPTH)
        except OSError as e:
            self.unopened.append(f"{name}: {e.strerror}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=pathlib.Path)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args()
    scan = Scan()
    for path in args.paths:
        if path.is_dir():
            for directory, names, files in os.walk(path):
                names.sort()
                for file in sorted(files):
                    one = pathlib.Path(directory, file)
                    if one.is_file() and not one.is_symlink():
                        scan.file(one)
        else:
            scan.file(path)
    if args.json:
        print(json.dumps({"files": scan.files, "unpacked": scan.inner, "bytes": scan.bytes, "findings": scan.findings,
                          "told_apart": dict(sorted(scan.rejected.items())), "unopened": scan.unopened}))
    else:
        for f in scan.findings[:1000]:
            print(f"{f['file']} at {f['offset']}: {f['kind']} ({f['what']}) {f['shown']}")
        for line in scan.unopened:
            print(f"NOT OPENED {line}")
        told = ", ".join(f"{n} {why}" for why, n in sorted(scan.rejected.items())) or "none"
        print(f"{len(scan.findings)} findings in {scan.bytes} bytes of {scan.files} files; told apart by context: {told}")
    return 1 if scan.findings else 2 if scan.unopened else 0


if __name__ == "__main__":
    sys.exit(main())
