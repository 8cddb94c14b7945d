#!/usr/bin/env bash
# Three verifiers judge the same honest and changed logs and proofs, and have to agree: ours, Go's golang.org/x/mod/sumdb, and
# docs/verify/verify.py, which needs Python alone.
# usage: agree.sh LEDGER_VERDICTS [CASES] [SEED]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
gopath=${SALLYPORT_GOPATH:-/usr/share/gocode}
if ! command -v go >/dev/null || [ ! -d "$gopath/src/golang.org/x/mod/sumdb/tlog" ]; then
  echo "skipped: install golang-go and golang-golang-x-mod-dev"
  exit 77
fi
work=$(mktemp -d)
mkdir -p "$here/../../build/go-cache"
trap 'rm -rf "$work"' EXIT
export GO111MODULE=off GOPATH=$gopath GOCACHE=$(realpath "$here/../../build/go-cache") GOFLAGS=
go build -o "$work/verify" "$here/verify.go"

cases=${2:-500}
vkey=$("$1" "$work/cases" "$cases" "${3:-1}")
for ((i = 0; i < cases; i++)); do cat "$work/cases/$i/verdicts"; done >"$work/ours"
"$work/verify" --judge "$work/cases" "$vkey" >"$work/go" &
python3 "$here/judge.py" "$work/cases" "$vkey" >"$work/python"
wait $!
[ "$(wc -l <"$work/ours")" = "$cases" ] && [ "$(wc -l <"$work/go")" = "$cases" ] && [ "$(wc -l <"$work/python")" = "$cases" ] ||
  { echo "FAIL: not every case was judged"; exit 1; }
failed=0
for other in go python; do
  if ! diff "$work/ours" "$work/$other" >"$work/diff"; then
    echo "FAIL: $other does not agree, line by line (ours <):"
    head -n 20 "$work/diff"
    failed=1
    if [ -n "${KEEP:-}" ]; then cp -r "$work/cases" "$KEEP"; fi
  fi
done
echo "$cases logs ($(grep -c '^ok' "$work/ours") sound) and $cases proofs ($(grep -c 'ok$' "$work/ours") sound): $([ $failed = 0 ] && echo "three verifiers agree" || echo "NO agreement")"
exit $failed
