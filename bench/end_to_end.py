#!/usr/bin/env python3
"""What the gate adds to an MCP call, beside calling directly and beside nginx as a plain reverse proxy.

  bench/end_to_end.py call      latency and throughput of a 1 KB tools/call at 1 and 32 connections
  bench/end_to_end.py memory    resident memory of the gate, idle and with 10,000 idle sessions

The upstream is a native responder (bench/responder.cc), faster than anything measured. Everything is on:
identity, policy, masking, recording. Each way is measured in turn, `--rounds` times, and the median is shown.
"cpu" is the processor time of the way itself, all its processes and threads, in microseconds per call: it varies
far less on a busy machine than the rate does. Binaries are taken from build/bench (`./dev bench` builds them), or from
the directory that SALLYPORT_BENCH_BUILD names. Results also go to its folder `results`.
"""
import argparse
import http.client
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("SALLYPORT_BENCH_BUILD", ROOT / "build" / "bench"))
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def call_body(tool):
    pad = "the quick brown fox jumps over the lazy dog; "
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": {"id": "o_1a2b3c4d", "message": ""}, "_meta": META}}
    size = len(json.dumps(body))
    body["params"]["arguments"]["message"] = (pad * 30)[: 1024 - size]
    return json.dumps(body)


def cpu_seconds(pid):
    """Processor time of a process and its children, in all their threads."""
    total = 0.0
    try:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0]) / 1e9
            total += sum(cpu_seconds(int(child)) for child in (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it ended meanwhile
    return total


class Bed:
    """Responder, nginx and the gate on loopback, for the time of a with block."""

    def __init__(self, durability="group"):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sallyport-bench-"))
        self.durability = durability
        self.children = []

    def spawn(self, *argv, **kwargs):
        child = subprocess.Popen([str(a) for a in argv], **kwargs)
        self.children.append(child)
        return child

    def __enter__(self):
        self.responder, self.nginx, self.gate, self.ops = (free_port() for _ in range(4))
        self.spawn(BUILD / "bench" / "responder", "--port", self.responder, "--size", "1024", stdout=subprocess.DEVNULL)
        self.start_nginx()
        self.start_gate()
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait(20)
        subprocess.run(["rm", "-rf", str(self.dir)], check=False)

    def start_nginx(self):
        (self.dir / "nginx").mkdir()
        conf = self.dir / "nginx.conf"
        conf.write_text(f"""
worker_processes auto; pid {self.dir}/nginx.pid; error_log {self.dir}/nginx.err; daemon off;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_body_temp_path {self.dir}/nginx; proxy_temp_path {self.dir}/nginx;
  fastcgi_temp_path {self.dir}/nginx; uwsgi_temp_path {self.dir}/nginx; scgi_temp_path {self.dir}/nginx;
  keepalive_requests 100000000;
  upstream u {{ server 127.0.0.1:{self.responder}; keepalive 64; keepalive_requests 100000000; }}
  server {{ listen 127.0.0.1:{self.nginx} reuseport;
    location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}""")
        nginx = "/usr/sbin/nginx"
        self.nginx_process = self.spawn(nginx, "-c", conf, "-p", self.dir, stderr=subprocess.DEVNULL)

    def start_gate(self):
        url, issuer = f"http://127.0.0.1:{self.gate}", "https://issuer.bench.example"
        self.token = subprocess.run([BUILD / "bench" / "bench_token", self.dir / "jwks.json", issuer, url],
                                    check=True, capture_output=True, text=True).stdout.strip()
        (self.dir / "credential").write_text("bench-upstream-credential\n")
        os.chmod(self.dir / "credential", 0o600)
        (self.dir / "sallyport.yaml").write_text(f"""
version: 1
server:
  public_url: {url}
  listen: {{ http: "127.0.0.1:{self.gate}", ops: "127.0.0.1:{self.ops}" }}
  data_dir: {self.dir}/data
  limits: {{ sessions_per_caller: 20000 }}
identity:
  providers:
    - name: bench
      oidc: {{ issuer: "{issuer}", audience: "{url}", jwks_file: {self.dir}/jwks.json }}
connections:
  - name: bench
    labels: {{ scope: cde }}
    mcp:
      http: {{ url: "http://127.0.0.1:{self.responder}/mcp", auth: {{ bearer: {{ file: {self.dir}/credential }} }} }}
      read_only: [echo]
masking:
  detectors:
    - {{ name: pan, kind: pan, render: last4 }}
    - {{ name: sad, kind: sad, action: block }}
policies:
  - {{ id: bench, effect: allow, who: ["group:bench"], on: {{ connection: bench, tools: ["*"] }} }}
evidence: {{ origin: bench.example/log, durability: {self.durability} }}
""")
        self.log = open(self.dir / "gate.log", "w")
        self.process = self.spawn(BUILD / "src" / "app" / "sallyport", "serve", "--config",
                                  self.dir / "sallyport.yaml", stderr=self.log)
        for _ in range(200):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.ops, timeout=1)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        sys.exit("the gate did not get ready:\n" + (self.dir / "gate.log").read_text())

    def load(self, port, path, connections, seconds, tool, gate=False):
        """One run; "cpu_us" includes the second of warming up, on both sides of the division."""
        body = self.dir / "body.json"
        body.write_text(call_body(tool))
        argv = [BUILD / "bench" / "load", "--port", port, "--path", path, "--connections", connections,
                "--warmup", "1", "--seconds", seconds, "--body-file", body, "--expect", '"complete"',
                "--header", "Content-Type: application/json", "--header", "Accept: application/json, text/event-stream",
                "--header", "MCP-Protocol-Version: 2026-07-28", "--header", "Mcp-Method: tools/call",
                "--header", f"Mcp-Name: {tool}"]
        if gate:
            argv += ["--header", f"Authorization: Bearer {self.token}"]
        process = {self.nginx: self.nginx_process, self.gate: self.process}.get(port)
        before = cpu_seconds(process.pid) if process else 0.0
        done = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"load failed: {done.stdout} {done.stderr}")
        result = json.loads(done.stdout)
        used = cpu_seconds(process.pid) - before if process else 0.0
        result["cpu_us"] = 1e6 * used / max(1.0, result["rps"] * (seconds + 1))
        return result


def bench_call(args):
    results = []
    with Bed() as bed:
        ways = [("direct", bed.responder, "/mcp", "echo", False), ("nginx", bed.nginx, "/mcp", "echo", False),
                ("sallyport, read (group)", bed.gate, "/mcp/bench", "echo", True),
                ("sallyport, write (strict)", bed.gate, "/mcp/bench", "store", True)]
        for connections in (1, 32):
            runs = {name: [] for name, *_ in ways}
            for _ in range(args.rounds):
                for name, port, path, tool, gate in ways:
                    runs[name].append(bed.load(port, path, connections, args.seconds, tool, gate))
            for name, *_ in ways:
                middle = {k: statistics.median(r[k] for r in runs[name]) for k in runs[name][0]
                          if isinstance(runs[name][0][k], (int, float))}
                results.append({"connections": connections, "way": name, **middle})
    print(f"\n1 KB tools/call, median of {args.rounds} rounds of {args.seconds} s")
    print(f"{'connections':>11}  {'way':<26} {'p50 us':>8} {'p99 us':>8} {'calls/s':>9} {'added p50':>10} {'of nginx':>9} {'cpu us':>7}")
    for r in results:
        base = next(x for x in results if x["connections"] == r["connections"] and x["way"] == "direct")
        nginx = next(x for x in results if x["connections"] == r["connections"] and x["way"] == "nginx")
        print(f"{r['connections']:>11}  {r['way']:<26} {r['p50_us']:>8.0f} {r['p99_us']:>8.0f} {r['rps']:>9.0f} "
              f"{r['p50_us'] - base['p50_us']:>10.0f} {r['rps'] / nginx['rps']:>9.2f} {r['cpu_us']:>7.1f}")
    return results


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024


def bench_memory(args):
    with Bed() as bed:
        idle = resident(bed.process.pid)
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}})
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                   "Authorization": f"Bearer {bed.token}"}
        connection = http.client.HTTPConnection("127.0.0.1", bed.gate)
        opened = 0
        for _ in range(args.sessions):
            connection.request("POST", "/mcp/bench", body, headers)
            response = connection.getresponse()
            response.read()
            opened += response.status == 200 and response.getheader("Mcp-Session-Id") is not None
        full = resident(bed.process.pid)
    result = {"idle_mib": idle, "sessions": opened, "with_sessions_mib": full,
              "kib_per_session": (full - idle) * 1024 / max(1, opened)}
    print(f"\nresident: idle {idle:.1f} MiB, with {opened} idle sessions {full:.1f} MiB, "
          f"{result['kib_per_session']:.1f} KiB each")
    return result


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["call", "memory"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=10_000)
    args = parser.parse_args()
    result = bench_call(args) if args.what == "call" else bench_memory(args)
    out = BUILD / "results"
    out.mkdir(exist_ok=True)
    (out / f"{args.what}.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
