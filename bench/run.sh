#!/usr/bin/env bash
# Runs the benchmarks: all of them, or those named. Tables here, JSON in build/bench/.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=build/bench/bench
mkdir -p build/bench/results

google() {  # google NAME: one Google Benchmark binary
  echo "== $1"
  "$bin/$1" --benchmark_out="build/bench/results/$1.json" --benchmark_out_format=json 2>/dev/null
}

names=("$@")
[ ${#names[@]} -gt 0 ] || names=(mcp pan rows policy sql ledger evidence identity memory pg pack whatif)
for name in "${names[@]}"; do
  case $name in
    mcp) python3 bench/end_to_end.py call ;;
    pg) python3 bench/pg_bench.py ;;
    memory) python3 bench/end_to_end.py memory ;;
    pan) google pan_scan_bench ;;
    rows) google row_mask_bench ;;
    policy) google policy_bench ;;
    sql) google sql_bench ;;
    identity) google identity_bench ;;
    pack)  # 30 days, 1,000,000 entries: the log, its pack, its verification
      echo "== pack_history"
      scratch=$(mktemp -d)
      "build/bench/src/evidence_pack/pack_history" "$scratch/data" 1000000 30 "$scratch/pack.zip" | tee build/bench/results/pack_history.txt
      rm -rf "$scratch" ;;
    whatif) echo "== policy whatif over 1,000,000 operations"; python3 bench/what_if.py ;;
    ledger) echo "== ledger_bench"; "$bin/ledger_bench" | tee build/bench/results/ledger_bench.txt ;;
    evidence) echo "== evidence_bench"; "$bin/evidence_bench" build/bench/results/evidence_bench.json build/bench ;;
    *) echo "bench/run.sh: no benchmark named $name (mcp pan rows policy sql ledger evidence identity memory pg pack whatif)" >&2; exit 2 ;;
  esac
done
