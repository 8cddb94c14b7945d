#!/bin/sh
# at_rest.sh N: a log of N messages that carry card numbers, masked, in which two scanners that share
# nothing find none; and one that leaks, in which both find some.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
bin=$root/build/dev/src
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
corpus=$root/testdata/pan/corpus.jsonl

"$bin/gate/gate_at_rest" "$1" "$scratch/clean" "$corpus"
"$bin/app/sallyport" audit scan "$scratch/clean"
python3 "$root/docs/verify/scan.py" "$scratch/clean"

"$bin/gate/gate_at_rest" 20000 "$scratch/leaky" "$corpus" 1000
if "$bin/app/sallyport" audit scan "$scratch/leaky" > "$scratch/own"; then
  echo "audit scan found nothing in a log that leaks"
  exit 1
fi
if python3 "$root/docs/verify/scan.py" "$scratch/leaky" > "$scratch/second"; then
  echo "scan.py found nothing in a log that leaks"
  exit 1
fi
tail -n 1 "$scratch/own" "$scratch/second"
