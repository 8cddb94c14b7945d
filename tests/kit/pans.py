"""The card numbers that the test upstream plants, read from the file that the upstream itself uses."""

import base64
import functools
import json
import re
import subprocess

from kit.paths import NODE, NODE_DIR


@functools.cache
def _data() -> dict:
    return json.loads(subprocess.run([NODE, NODE_DIR / "pans.mjs"], capture_output=True, check=True).stdout)


def pan(name: str) -> str:
    """One planted number as digits."""
    return re.sub(r"\D", "", str(_data()["pans"][name]))


def all_pans() -> dict[str, str]:
    return {name: pan(name) for name in _data()["pans"]}


def sad() -> dict[str, str]:
    return dict(_data()["sad"])


def spellings(digits: str) -> list[bytes]:
    """The ways a number may stand in bytes: plain, grouped, in base64 at each of three offsets."""
    groups = [digits]
    if len(digits) == 16:
        groups += [sep.join(digits[i:i + 4] for i in range(0, 16, 4)) for sep in (" ", "-", ".")]
    if len(digits) == 15:
        groups += [sep.join((digits[:4], digits[4:10], digits[10:])) for sep in (" ", "-")]
    if len(digits) == 14:
        groups += [sep.join((digits[:4], digits[4:10], digits[10:])) for sep in (" ", "-")]
    found = [g.encode() for g in groups]
    raw = digits.encode()
    for shift in range(3):
        # base64 of the number wherever it stands in a text: drop the characters that neighbours touch
        encoded = base64.b64encode(b"\0" * shift + raw).rstrip(b"=")
        start = -(-shift * 8 // 6)
        end = (shift + len(raw)) * 8 // 6
        found.append(encoded[start:end])
    return found


def shown_in(data: bytes | str) -> list[str]:
    """The names of the planted numbers that can be read in `data`."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogatepass")
    return [name for name, digits in all_pans().items() if any(s in data for s in spellings(digits))]


def masked_last4(text: str) -> str:
    """The house form: separators kept, every digit but the last four hidden."""
    total = len(re.sub(r"\D", "", text))
    seen = 0
    out = []
    for c in text:
        if c.isdigit():
            seen += 1
            out.append(c if seen > total - 4 else "*")
        else:
            out.append(c)
    return "".join(out)
