"""Is a card number to be had from what a server sent? Undoes what SQL can do to a number before it looks.

A number counts as shown when the whole of its hidden digits (those between the first six and the last four) can be read
somewhere, or eight of its digits in a row with a hidden one among them; as it stands or after any of the decodings below. Found
in one cell, in the cells of a row or a column put together, in an error, a notice, a column's name, a parameter, COPY data.
"""

import base64
import binascii
import functools
import hashlib
import re
import struct
import unicodedata

from kit.pgwire import cells_of, fields_of

NUMBERS = ("4539577986432614", "5425236224375523", "374245984140151", "6011009655655087", "30569393536709",
           "4000056509885772", "6759647646509708412", "2223003921254562")
XOR_KEYS = (1234567890123,)
SHIFTS = (1, 7, 1000)
FAR_FETCHED = ("letters", "sum", "product", "half", "xor", "complement", "interval", "integer in hex", "bits", "base64", "shifted")
ROWS = 400  # of one result; what is beyond is only counted
_WIDE = str.maketrans("０１２３４５６７８９", "0123456789")
_LETTERS = {name: str.maketrans(name, "0123456789") for name in ("abcdefghij", "ABCDEFGHIJ", "jihgfedcba", "qwertyuiop")}
_INTEGERS = {16: 1, 20: 8, 21: 2, 23: 4, 26: 4, 790: 8, 1082: 4, 1083: 8, 1114: 8, 1184: 8}


class Oracle:
    def __init__(self, numbers=NUMBERS):
        self.numbers = list(numbers)
        self._prepare()

    def add(self, number: str) -> None:
        if number not in self.numbers:
            self.numbers.append(number)
            self._prepare()

    def _prepare(self) -> None:
        self._pieces, self._hashes = set(), set()
        for number in self.numbers:
            self._pieces.add(number[6:-4])
            last = len(number) - 4
            for at in range(len(number) - 7):
                if at + 8 > 6 and at < last:
                    self._pieces.add(number[at:at + 8])
            for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
                self._hashes.add(hashlib.new(name, number.encode()).digest())
        self._hex = {h.hex() for h in self._hashes}
        self._pattern = re.compile("|".join(sorted(self._pieces, key=len)))
        self._long = re.compile("|".join(sorted(p for p in self._pieces if len(p) >= 8)))

    # -- one text ------------------------------------------------------------------------------------
    def readable(self, text: str, sure: bool = False, joined: bool = True) -> bool:
        """As it stands or, `joined`, with everything but its digits left out. `sure`: eight digits, for what is far-fetched."""
        pattern = self._long if sure else self._pattern
        if pattern.search(text):
            return True
        if not joined:
            return False
        digits = re.sub(r"[^0-9]", "", text)
        return len(digits) >= 4 and digits != text and bool(pattern.search(digits))

    def ways(self, text: str, sure: bool = False) -> list[str]:
        """The ways in which a number can be read in `text`; empty if none."""
        if len(text) < 4:
            return []
        if self.readable(text, sure):
            return ["plain"]
        return sorted({name for name, candidate in self._candidates(text)
                       if self.readable(candidate, sure or name.startswith(FAR_FETCHED), not name.startswith("letters"))} |
                      ({"hash"} if self._hashed(text) else set()))

    def _hashed(self, text: str) -> bool:
        low = text.lower()
        if any(h in low for h in self._hex):
            return True
        text = text.replace("\n", "")
        return any(self._undo64(m.group(0)) in self._hashes for m in re.finditer(r"[A-Za-z0-9+/_-]{20,}={0,2}", text))

    def _candidates(self, text: str):
        yield "reversed", text[::-1]
        if any(ord(c) > 127 for c in text):
            yield "wide", unicodedata.normalize("NFKC", text.translate(_WIDE))
            yield "unicode digits", "".join(str(d) if (d := unicodedata.digit(c, None)) is not None else c for c in text)
            yield "shifted characters", "".join(chr(ord(c) & 0x7F) for c in text)
        for alphabet, table in _LETTERS.items():
            changed = text.translate(table)
            if changed != text:
                yield f"letters {alphabet[:3]}", changed
                yield f"letters {alphabet[:3]} reversed", changed[::-1]
        for match in re.finditer(r"(?:\\x|0x)?((?:[0-9a-fA-F]{2}[ :-]?){6,})", text):
            plain = re.sub(r"[^0-9a-fA-F]", "", match.group(1))
            raw = bytes.fromhex(plain[:len(plain) // 2 * 2])
            yield "hex", raw.decode("latin1")
            yield "hex reversed", raw.decode("latin1")[::-1]
            for size in (4, 8):
                if len(raw) == size:
                    yield "hex of an integer", str(int.from_bytes(raw, "big"))
        for match in re.finditer(r"\b[0-9a-fA-F]{11,16}\b", text):
            yield "integer in hex", str(int(match.group(0), 16))
        for match in re.finditer(r"[A-Za-z0-9+/_-]{12,}={0,2}", text):
            raw = self._undo64(match.group(0))
            if raw:
                yield "base64", raw.decode("latin1")
        if "\\" in text:
            yield "octal", re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8) & 0xFF), text)
            yield "escapes", re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), text)
        if "%" in text:
            yield "percent", re.sub(r"%([0-9a-fA-F]{2})", lambda m: chr(int(m.group(1), 16)), text)
        if "&#" in text:
            yield "entities", re.sub(r"&#(\d{1,4});", lambda m: chr(int(m.group(1))), text)
        yield from self._codes(text)
        yield from self._arithmetic(text)

    @staticmethod
    def _undo64(text: str) -> bytes:
        body = text.rstrip("=").translate(str.maketrans("-_", "+/"))
        try:
            return base64.b64decode(body + "=" * (-len(body) % 4))
        except (binascii.Error, ValueError):
            return b""

    @staticmethod
    def _codes(text: str):
        """Lists of character codes: plan trees, arrays, composites."""
        joined = re.sub(r"\n\s*", "", text)  # the server folds plan trees inside a number
        for match in re.finditer(r"(?:\d{1,3}[ ,;|]+){7,}\d{1,3}", joined):
            numbers = [int(n) for n in re.findall(r"\d{1,3}", match.group(0))]
            yield "codes", "".join(chr(n & 0xFF) for n in numbers)
            yield "codes less 1", "".join(chr(n - 1 & 0xFF) for n in numbers)
        bits = re.sub(r"[^01]", "", text)
        if len(bits) >= 40 and len(bits) > len(text) * 0.8:
            for at in range(8):
                yield "bits", "".join(chr(int(bits[i:i + 8], 2)) for i in range(at, len(bits) - 7, 8))
            yield "bits of an integer", str(int(bits, 2))

    @staticmethod
    def _arithmetic(text: str):
        for match in re.finditer(r"\d{10,20}", text):
            value = int(match.group(0))
            for shift in SHIFTS:
                yield "sum", str(value + shift)
                yield "sum", str(value - shift)
            for factor in (2, 3, 10):
                if value % factor == 0:
                    yield "product", str(value // factor)
            yield "half", str(value * 2)
            for key in XOR_KEYS:
                yield "xor", str(value ^ key)
            yield "complement", str(10 ** len(match.group(0)) - 1 - value)
        for match in re.finditer(r"(\d{1,10}):(\d\d):(\d\d)(?:\.(\d+))?", text):
            hours, minutes, seconds = (int(match.group(i)) for i in (1, 2, 3))
            if hours > 10_000:
                yield "interval", str(hours * 3600 + minutes * 60 + seconds)
                yield "interval", str((hours * 3600 + minutes * 60 + seconds) * 10 ** 6 + int((match.group(4) or "0").ljust(6, "0")))

    # -- one value -----------------------------------------------------------------------------------
    def in_value(self, value: bytes, kind: int = 25, binary: bool = False) -> list[str]:
        if not binary:
            return self.ways(value.decode("utf8", "replace"))
        found = set()
        for name, candidate in readings(value, kind):
            far = name not in ("text", "bytes", "utf-16")
            found.update(f"{name}:{way}" if way != "plain" else name for way in self.ways(candidate, sure=far))
        return sorted(found)

    # -- everything that a session got ---------------------------------------------------------------
    def leaks(self, messages) -> list[str]:
        """"message type: way" for all that can be read in the messages of a session, each once."""
        found: set[str] = set()
        columns, grid, seen = [], [], 0
        copied = b""
        for kind, body in [*messages, ("", b"")]:
            if kind not in ("D", "N", "S", "A") and grid:
                found.update(f"D: {way} over several cells" for way in self._together(grid) if not found)
                grid = []
            if kind == "T":
                columns, seen = fields_of(body), 0
                found.update(f"T: {way}" for c in columns for way in self.ways(c.name))
                found.update(f"T: {way} over several names" for way in self.ways("".join(c.name for c in columns)))
            elif kind == "D" and (seen := seen + 1) <= ROWS:
                row = []
                for at, cell in enumerate(cells_of(body)):
                    column = columns[at] if at < len(columns) else None
                    binary = bool(column and column.format == 1)
                    if cell is not None:
                        type_ = column.type if column else 25
                        found.update(f"D: {way}" for way in self.in_value(cell, type_, binary or not column))
                    row.append("" if cell is None else plain(cell, column))
                grid.append(row)
            elif kind == "d":
                copied += body
            elif kind == "V":
                found.update(f"V: {way}" for way in self.in_value(body[4:], 0, True))
            elif kind in ("E", "N", "S", "A", "C", "v") and body:
                found.update(f"{kind}: {way}" for way in self.ways(body.decode("utf8", "replace").replace("\0", "|")))
        if copied:
            found.update(f"d: {way}" for way in self.in_value(copied[:1 << 16], 0, True))
        return sorted(found)

    def _together(self, grid: list[list[str]]) -> list[str]:
        width = max(map(len, grid))
        columns = [[row[i] for row in grid if i < len(row)] for i in range(width)]
        candidates = ["".join(row) for row in grid] + ["".join(column) for column in columns]
        candidates += ["".join(reversed(column)) for column in columns]
        groups: dict[str, list[str]] = {}
        for row in grid:
            if len(row) > 1:
                groups.setdefault(row[0], []).append("".join(row[1:]))
        candidates += ["".join(values) for values in groups.values()]
        for values in [*grid, *columns]:
            codes = [v for v in values if v]
            if len(codes) > 5 and all(v.isdigit() and len(v) <= 3 for v in codes):
                candidates.append("".join(chr(int(v) & 0xFF) for v in codes))
        for candidate in candidates:
            if ways := self.ways(candidate, sure=len(candidate) > 64):
                return ways
        return []


@functools.lru_cache(maxsize=4096)
def numeric_digits(value: bytes) -> str:
    """The digits of a numeric in binary form (base 10,000)."""
    if len(value) < 8:
        return ""
    count, weight, _, _ = struct.unpack(">hhHh", value[:8])
    digits = [d for (d,) in struct.iter_unpack(">h", value[8:8 + 2 * count])] if 0 <= count <= (len(value) - 8) // 2 else []
    if any(not 0 <= d <= 9999 for d in digits):
        return ""
    whole = "".join(f"{d:04d}" for d in digits) + "0000" * max(0, min(weight, 100) + 1 - count)
    return whole.lstrip("0")


def plain(cell: bytes, column) -> str:
    if column is None or column.format == 0:
        return cell.decode("utf8", "replace")
    if column.type in _INTEGERS and len(cell) in (1, 2, 4, 8):
        return str(int.from_bytes(cell, "big", signed=True))
    if column.type == 1700:
        return numeric_digits(cell)
    return cell.decode("utf8") if _is_utf8(cell) else cell.decode("latin1")


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf8")
        return True
    except UnicodeDecodeError:
        return False


def readings(value: bytes, kind: int):
    """What a binary value may mean: its type's own reading, and what an array, a record, jsonb or bytea has inside."""
    if _is_utf8(value):
        yield "text", value.decode("utf8")
    yield "bytes", value.decode("latin1")
    yield "utf-16", value.decode("utf-16-be", "ignore")
    yield "utf-16", value.decode("utf-16-le", "ignore")
    if len(value) == 8:
        yield "float", f"{struct.unpack('>d', value)[0]:.0f}" if abs(struct.unpack(">d", value)[0]) < 1e20 else ""
    limit = min(len(value), 2048)
    for at in range(max(limit - 7, 0)):
        window = value[at:at + 8]
        if len(value) == 8 or not (window.isascii() and min(window) >= 9):  # digits of what is plainly text are chance
            yield "integer", str(abs(int.from_bytes(window, "big", signed=True)))
        count = int.from_bytes(value[at:at + 2], "big")
        if 3 <= count <= 6:
            yield "numeric", numeric_digits(value[at:at + 8 + 2 * count])
    if kind == 1186 and len(value) == 16:
        yield "interval", str(struct.unpack(">q", value[:8])[0] // 10 ** 6)
    bcd = value.hex()
    if bcd.isdigit():
        yield "packed", bcd
