#!/usr/bin/env python3
"""Reads the table of layers out of ARCHITECTURE.md and checks every include of src/ against it.

A folder may include itself and every folder of a lower row; never a sibling of its own row, never a higher one.
"""
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
text = (root / "ARCHITECTURE.md").read_text()
block = re.search(r"<!-- layers -->\n```\n(.*?)```", text, re.S)
if not block:
    sys.exit("ARCHITECTURE.md has no table of layers")
rank = {}
for level, row in enumerate(block.group(1).strip().splitlines()):
    for folder in row.split("#")[0].split():
        rank[folder] = level  # 0 is the top

problems = []
for path in sorted((root / "src").rglob("*")):
    if path.suffix not in (".h", ".cc"):
        continue
    folder = path.relative_to(root / "src").parts[0]
    if folder not in rank:
        problems.append(f"{path.relative_to(root)}: folder {folder} is not in the table")
        continue
    for number, line in enumerate(path.read_text().splitlines(), 1):
        m = re.match(r'\s*#include "([a-z_0-9]+)/', line)
        if not m:
            continue
        target = m.group(1)
        if target == folder or target not in rank and target in ("openssl",):
            continue
        if target not in rank:
            problems.append(f"{path.relative_to(root)}:{number}: includes unknown folder {target}")
        elif rank[target] <= rank[folder]:
            problems.append(f"{path.relative_to(root)}:{number}: {folder} must not include {target}")
for problem in problems:
    print(problem)
print(f"layers: {'ok' if not problems else str(len(problems)) + ' problems'}")
sys.exit(1 if problems else 0)
