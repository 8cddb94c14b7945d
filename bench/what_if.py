#!/usr/bin/env python3
"""How long `sallyport policy whatif` takes over a log of 1,000,000 operations (or as many as argv[1] says), all with arguments of their own:
two hundred callers, three quarters tool calls, one quarter SQL. The log is one in form only: what-if verifies nothing.
"""

import base64
import json
import os
import pathlib
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = ROOT / "build/bench/src/app/sallyport"
CALLERS = 200
RULES = """version: 1
server: { public_url: "http://127.0.0.1:7300", listen: { http: "127.0.0.1:7300" }, data_dir: data }
identity:
  providers: [{ name: corp, oidc: { issuer: "https://idp.example.com", audience: "https://gate.example.com" } }]
  agents: [{ name: agent-refunds, match: { provider: corp, client_id: c }, owner: "group:x" }]
connections:
  - { name: up, mcp: { http: { url: "https://up.example.com/mcp" } } }
  - { name: db, postgres: { upstream: { host: db.example.com, database: d }, credentials: { user: u, password: { env: PG } } } }
approvals: [{ name: leads, approvers: ["group:leads"] }]
policies:
  - { id: a, effect: allow, who: ["group:testers", "group:analysts"], on: { connection: up, tools: [echo, get_order, "search_*"] } }
  - { id: small, effect: allow, who: ["group:testers", "group:analysts"], on: { connection: up, tools: [refund], args: { amount: { lte: 500 } } } }
  - { id: large, effect: approve, approval: leads, who: ["group:testers"], on: { connection: up, tools: [refund], args: { amount: { gt: 500 } } } }
  - { id: q, effect: allow, who: ["group:testers", "group:analysts"], on: { connection: db, sql: { statements: [SELECT], relations: [public.orders] } } }
"""
STATEMENTS = ["select id, total from public.orders where id = %d", "select * from orders where customer = 'c%d' limit 10",
              "update orders set total = %d where id = 7", "select count(*) from public.payments where amount > %d"]


def entries(operations: int):
    choose = random.Random(1)
    at = index = 0
    for i in range(CALLERS):
        who = {"iss": "https://idp.example.com", "sub": f"s{i}", "name": f"p{i}@example.com", "groups": ["testers" if i % 2 else "analysts"],
               "idp": "corp", "client": "c", "class": "access"}
        sql = i % 4 == 3
        yield {"v": 1, "e": "auth.success", "t": 1795200000000000000 + index, "sid": f"s_{i}", "who": who, "from": "10.0.0.1",
               "fe": "postgres" if sql else "mcp", "pv": "x", "c": "db" if sql else "up"}
        index += 1
    for n in range(operations):
        s = choose.randrange(CALLERS)
        at = 1795200000000000000 + index * 1000
        if s % 4 == 3:
            what = {"c": "db", "m": "query", "r": "db"}
            asked = {"sql": choose.choice(STATEMENTS) % choose.randrange(10**9)}
        else:
            what = {"c": "up", "m": "tools/call", "r": choose.choice(["echo", "get_order", "refund", "search_orders"])}
            asked = {"id": f"o_{choose.randrange(10**9)}", "amount": choose.randrange(1000), "currency": "EUR", "note": "please refund this"}
        yield {"v": 1, "e": "call.intent", "t": at, "s": s, "n": n + 1, **what, "d": f"d_{choose.getrandbits(64):016x}", "x": "allow",
               "rules": ["a"], "p": "0123456789abcdef", "req": {"b": 60, "json": asked}}
        yield {"v": 1, "e": "call.outcome", "t": at + 500, "s": s, "i": index, "us": 1234, "res": {"b": 200, "json": {"text": "x" * 150}}}
        index += 2


def write_log(directory: pathlib.Path, operations: int) -> int:
    """Entry bundles and a checkpoint (docs/formats/log.md)."""
    def write(bundle: list[bytes], number: int):
        parts = [f"{number % 1000:03d}"]
        while number := number // 1000:
            parts.insert(0, f"x{number % 1000:03d}")
        name = directory / "log/tile/entries" / ("/".join(parts) + ("" if len(bundle) == 256 else f".p/{len(bundle)}"))
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_bytes(b"".join(struct.pack(">H", len(b)) + b for b in bundle))

    bundle, total = [], 0
    for entry in entries(operations):
        bundle.append(json.dumps(entry, separators=(",", ":")).encode())
        total += 1
        if len(bundle) == 256:
            write(bundle, total // 256 - 1)
            bundle = []
    if bundle:
        write(bundle, total // 256)
    (directory / "wal").mkdir()
    root, signature = base64.b64encode(bytes(32)).decode(), base64.b64encode(bytes(68)).decode()
    (directory / "log/checkpoint").write_text(f"bench.example.com/log\n{total}\n{root}\n\n\u2014 bench.example.com/log {signature}\n")
    return total


def main():
    operations = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        total = write_log(scratch / "data", operations)
        (scratch / "rules.yaml").write_text(RULES)
        begin = time.monotonic()
        done = subprocess.run([os.environ.get("SALLYPORT_BIN", BINARY), "policy", "whatif", "--config", scratch / "rules.yaml",
                               "--against", scratch / "data", "--json"], capture_output=True, text=True)
        took, used = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 3, done.stderr or done.stdout[-2000:]
        result = {"operations": operations, "entries": total, "seconds": round(took, 2), "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
                  "operations_per_second": round(operations / took), "max_rss_mib": used.ru_maxrss // 1024}
        print(json.dumps(result))
        (ROOT / "build/bench/results/what_if.json").write_text(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
