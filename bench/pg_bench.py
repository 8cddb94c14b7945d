#!/usr/bin/env python3
"""What the gate adds to PostgreSQL, beside the server itself and beside pgbouncer (session pooling).

  bench/pg_bench.py [tps] [bulk] [login] [memory] [strict]      all of them if none is named

tps     pgbench -S, simple, extended and prepared, 1, 8 and 32 clients: transactions/s
bulk    1,000,000 rows of six columns: whole time and first row, without and with one masked column; a 1 GB value
login   a session opened and closed: static credential, a role for each session
memory  the gate's resident memory per idle session
strict  one client, writes and reads, with durability strict beside group

Identity, policy, masking and recording are on. The ways are measured in turn, `--rounds` times, in another order each time; shown are
medians, and the median of the rounds' ratios to pgbouncer. Client, gate and server share the machine. Binaries come from build/bench
(`./dev bench pg` builds them) or from the directory that SALLYPORT_BENCH_BUILD names; results also go to its folder `results`.
"""
import argparse
import json
import os
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from kit.pgwire import Where, Wire  # noqa: E402
from kit.postgres import BIN, Postgres  # noqa: E402
from kit.process import eventually, free_port, rss_kib  # noqa: E402
from kit.parts import get  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SALLYPORT_BENCH_BUILD", ROOT / "build" / "bench"))
MODES, CLIENTS = ("simple", "extended", "prepared"), (1, 8, 32)
ROWS = 1_000_000


class Bed:
    """Server, pgbouncer and the gate on loopback, for the time of a with block."""

    def __init__(self, durability="group"):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-pgbench-"))
        os.chmod(self.dir, 0o755)
        self.durability = durability
        self.children = []

    def __enter__(self):
        self.server = Postgres(max_connections=2400, shared_buffers="512MB")
        self.server.sql("CREATE ROLE app LOGIN SUPERUSER; CREATE ROLE maker LOGIN CREATEROLE; GRANT pg_signal_backend TO maker; "
                        "CREATE DATABASE bench OWNER maker")
        subprocess.run([BIN / "pgbench", "-i", "-q", "-s", "10", "-h", "127.0.0.1", "-p", str(self.server.port), "-U", "maker", "bench"],
                       check=True, capture_output=True)
        self.admin = Wire(Where(self.server.port, "postgres", database="bench", keep=False, timeout=120))
        self.admin.rows("CREATE TABLE wide(id int, card_number text, name text, amount numeric(12,2), at timestamptz, note text); "
                        f"INSERT INTO wide SELECT g, lpad((g * 7919::bigint % 10000000000000000)::text, 16, '4'), 'customer ' || g, g / 100.0, "
                        f"timestamptz '2026-01-01' + g * interval '1 second', md5(g::text) FROM generate_series(1, {ROWS}) g; "
                        "ALTER TABLE wide OWNER TO maker; ANALYZE; CHECKPOINT")
        self.start_bouncer()
        self.start_gate()
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
        self.server.stop()
        subprocess.run(["rm", "-rf", str(self.dir)], check=False)

    def start_bouncer(self):
        self.bouncer = free_port()
        config = self.dir / "pgbouncer.ini"
        config.write_text(f"""[databases]
bench = host=127.0.0.1 port={self.server.port} dbname=bench
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.bouncer}
unix_socket_dir =
auth_type = any
pool_mode = session
max_client_conn = 1000
default_pool_size = 300
logfile = {self.dir}/pgbouncer.log
pidfile = {self.dir}/pgbouncer.pid
""")
        config.write_text(config.read_text().replace("dbname=bench", "dbname=bench user=app"))
        subprocess.run(["chown", "-R", "postgres", str(self.dir)], check=True)
        self.spawn("runuser", "-u", "postgres", "--", "/usr/sbin/pgbouncer", "-q", config)
        assert eventually(lambda: (self.dir / "pgbouncer.pid").exists(), 10)

    def spawn(self, *argv, **how):
        child = subprocess.Popen([str(a) for a in argv], **how)
        self.children.append(child)
        return child

    def start_gate(self):
        self.gate, self.ops = free_port(), free_port()
        url, issuer = f"http://127.0.0.1:{free_port()}", "https://issuer.bench.example"
        self.token = subprocess.run([BUILD / "bench" / "bench_token", self.dir / "jwks.json", issuer, url], check=True,
                                    capture_output=True, text=True).stdout.strip()
        upstream = f"{{ host: 127.0.0.1, port: {self.server.port}, database: bench, sslmode: disable }}"
        (self.dir / "sallyport.yaml").write_text(f"""
version: 1
server:
  public_url: {url}
  listen: {{ postgres: "127.0.0.1:{self.gate}", ops: "127.0.0.1:{self.ops}" }}
  data_dir: {self.dir}/data
  limits: {{ postgres: {{ sessions_per_caller: 5000 }} }}
identity:
  providers:
    - name: bench
      oidc: {{ issuer: "{issuer}", audience: "{url}", jwks_file: {self.dir}/jwks.json }}
connections:
  - name: bench
    postgres: {{ upstream: {upstream}, credentials: {{ user: app, password: {{ env: BENCH_PASSWORD }} }} }}
  - name: roles
    postgres: {{ upstream: {upstream}, credentials: {{ jit_role: {{ admin_user: maker, admin_password: {{ env: BENCH_PASSWORD }} }} }} }}
masking:
  detectors:
    - {{ name: pan, kind: pan, render: last4 }}
    - {{ name: sad, kind: sad, action: block }}
  columns:
    - {{ connection: bench, column: public.wide.card_number, detector: pan }}
policies:
  - {{ id: bench, effect: allow, who: ["group:bench"], on: {{ connection: bench, sql: {{ statements: ["*"], relations: ["*"], functions: {{ allow: ["*"] }} }} }} }}
  - {{ id: roles, effect: allow, who: ["group:bench"], on: {{ connection: roles, sql: {{ statements: [SELECT], relations: ["public.*"] }} }} }}
evidence: {{ origin: bench.example/log, durability: {self.durability} }}
""")
        self.process = self.spawn(BUILD / "src" / "app" / "sallyport", "serve", "--config", self.dir / "sallyport.yaml",
                                  stderr=open(self.dir / "gate.log", "w"), env={**os.environ, "BENCH_PASSWORD": "x"})
        if not eventually(lambda: get(f"http://127.0.0.1:{self.ops}/readyz")[0] == 200, 20):
            sys.exit("the gate did not get ready:\n" + (self.dir / "gate.log").read_text())

    def where(self, way: str, database: str = "bench") -> Where:
        if way == "sallyport":
            return Where(self.gate, "token", self.token, database, keep=False, timeout=300)
        return Where(self.server.port if way == "direct" else self.bouncer, "app", "x", "bench", keep=False, timeout=300)

    def pgbench(self, way: str, mode: str, clients: int, seconds: int, script="-S") -> float:
        where = self.where(way)
        env = {**os.environ, "PGHOST": where.host, "PGPORT": str(where.port), "PGUSER": where.user, "PGPASSWORD": where.password,
               "PGDATABASE": where.database, "PGSSLMODE": "disable"}
        done = subprocess.run([BIN / "pgbench", *script.split(), "-n", "-M", mode, "-c", str(clients), "-j", str(min(clients, 2)), "-T",
                               str(seconds)], env=env, capture_output=True, text=True)
        found = re.search(r"^tps = ([\d.]+)", done.stdout, re.M)
        if done.returncode != 0 or not found:
            sys.exit(f"pgbench by {way}, {mode}, {clients} clients: {done.stdout[-500:]} {done.stderr[-1500:]}")
        return float(found.group(1))


WAYS = ("direct", "pgbouncer", "sallyport")


def in_turn(rounds, measure):
    """{way: [values]}, each round in another order."""
    values, dice = {way: [] for way in WAYS}, random.Random(7)
    for _ in range(rounds):
        order = list(WAYS)
        dice.shuffle(order)
        for way in order:
            values[way].append(measure(way))
    return values


def summary(values):
    median = {way: statistics.median(v) for way, v in values.items()}
    ratio = statistics.median(a / b for a, b in zip(values["sallyport"], values["pgbouncer"]))
    return {**median, "ratio": ratio, "rounds": values}


def tps(bed, args):
    print(f"\npgbench -S, transactions/s, median of {args.rounds} interleaved rounds of {args.seconds} s")
    print(f"{'mode':9} {'clients':>7} {'direct':>9} {'pgbouncer':>10} {'sallyport':>10} {'× pgbouncer':>12} {'× direct':>9}")
    results = []
    for mode in MODES:
        for clients in CLIENTS:
            row = summary(in_turn(args.rounds, lambda way: bed.pgbench(way, mode, clients, args.seconds)))
            results.append({"mode": mode, "clients": clients, **row})
            print(f"{mode:9} {clients:7} {row['direct']:9.0f} {row['pgbouncer']:10.0f} {row['sallyport']:10.0f} {row['ratio']:12.2f} "
                  f"{row['sallyport'] / row['direct']:9.2f}", flush=True)
    return results


def drain(where, statement):
    """(seconds to the first row, seconds in all, bytes); nothing is parsed but the end."""
    with Wire(where) as wire:
        wire.query("SELECT 1")
        begin = time.perf_counter()
        wire.send("Q", statement.encode() + b"\0")
        first, total, tail, buffer = 0.0, 0, b"", memoryview(bytearray(1 << 18))
        while True:
            n = wire.socket.recv_into(buffer)
            if n == 0:
                sys.exit(f"the session ended in: {statement}")
            total += n
            tail = (tail + bytes(buffer[max(0, n - 16):n]))[-16:]
            if not first and (total > 400 or b"D" in bytes(buffer[:n])):
                first = time.perf_counter() - begin
            if tail[-6:-1] == b"Z\0\0\0\5":
                return first, time.perf_counter() - begin, total


def bulk(bed, args):
    print(f"\n{ROWS:,} rows, seconds (and milliseconds to the first), median of {args.rounds} interleaved rounds")
    print(f"{'query':34} {'direct':>16} {'pgbouncer':>16} {'sallyport':>16} {'× pgbouncer':>12}")
    results = []
    for name, columns in (("five columns, none classified", "id, name, amount, at, note"), ("six columns, one masked", "*")):
        both = {way: [] for way in WAYS}
        values = in_turn(args.rounds, lambda way: both[way].append(drain(bed.where(way), f"SELECT {columns} FROM wide")) or both[way][-1][1])
        row = {"query": name, **summary(values), "first": {w: statistics.median(f for f, _, _ in both[w]) for w in WAYS}}
        results.append(row)
        cells = [f"{row[w]:7.3f} ({row['first'][w] * 1000:5.1f})" for w in WAYS]
        print(f"{name:34} {cells[0]:>16} {cells[1]:>16} {cells[2]:>16} {row['ratio']:12.2f}", flush=True)
    before = rss_kib(bed.process.pid)
    peak = [before]
    import threading
    done = threading.Event()

    def watch():
        while not done.wait(0.01):
            peak[0] = max(peak[0], rss_kib(bed.process.pid))
    watcher = threading.Thread(target=watch)
    watcher.start()
    size = drain(bed.where("sallyport"), "SELECT repeat('x', 1000000000)")[2]
    done.set()
    watcher.join()
    print(f"a value of {size / 1e9:.2f} GB: the gate grew by {peak[0] - before} KiB at most")
    return {"queries": results, "large_value": {"bytes": size, "grown_kib": peak[0] - before}}


def login(bed, args):
    def opened(where):
        begin = time.perf_counter()
        with Wire(where):
            return (time.perf_counter() - begin) * 1000
    ways = {"direct, trust": bed.where("direct"), "pgbouncer": bed.where("pgbouncer"), "sallyport, static": bed.where("sallyport"),
            "sallyport, role for the session": bed.where("sallyport", "roles")}
    values = {name: [] for name in ways}
    for _ in range(args.rounds * 8):
        for name, where in ways.items():
            values[name].append(opened(where))
    print("\nopening a session, milliseconds to ReadyForQuery")
    for name, v in values.items():
        print(f"{name:34} median {statistics.median(v):7.2f}   p95 {sorted(v)[int(len(v) * 0.95)]:7.2f}")
    return {name: statistics.median(v) for name, v in values.items()}


def memory(bed, args):
    wires = []
    Wire(bed.where("sallyport")).terminate()
    before = rss_kib(bed.process.pid)
    for _ in range(2000):
        wires.append(Wire(bed.where("sallyport")))
    time.sleep(3)
    each = (rss_kib(bed.process.pid) - before) / len(wires)
    for wire in wires:
        wire.terminate()
    print(f"\n{len(wires)} idle sessions: {each:.1f} KiB each (before: {before} KiB)")
    return {"sessions": len(wires), "kib_each": each, "base_kib": before}


def strict(args):
    out = {}
    print("\none client, transactions/s, by durability")
    for durability in ("group", "strict"):
        with Bed(durability) as bed:
            out[durability] = {"read": statistics.median(bed.pgbench("sallyport", "prepared", 1, args.seconds) for _ in range(3)),
                               "write": statistics.median(bed.pgbench("sallyport", "prepared", 1, args.seconds, "-N") for _ in range(3))}
        print(f"{durability:8} read {out[durability]['read']:9.0f}   write {out[durability]['write']:9.0f}", flush=True)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["tps", "bulk", "login", "memory", "strict", []], default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    args = parser.parse_args()
    parts = args.parts or ["tps", "bulk", "login", "memory", "strict"]
    results = {"rounds": args.rounds, "seconds": args.seconds}
    if set(parts) - {"strict"}:
        with Bed() as bed:
            for part in ("tps", "bulk", "login", "memory"):
                if part in parts:
                    results[part] = globals()[part](bed, args)
    if "strict" in parts:
        results["strict"] = strict(args)
    folder = BUILD / "bench" / "results"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pg_bench.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"\nwritten to {folder / 'pg_bench.json'}")


if __name__ == "__main__":
    main()
