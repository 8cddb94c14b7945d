#!/usr/bin/env bash
# Has Go's golang.org/x/mod/sumdb confirm a log that sallyport wrote: signature, root, tiles, inclusion proofs;
# and has it refuse the log after one bit was changed. Needs golang-go and golang-golang-x-mod-dev.
# usage: run.sh LEDGER_SAMPLE            (the binary that writes a log)
#    or: run.sh --check DATA_DIR VKEY [INDEX:PROOF_FILE ...]
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

if [ "${1:-}" = --check ]; then
  shift
  "$work/verify" "$@"
  exit
fi

sample=$1
check() {  # check ENTRIES INDEX...
  local dir=$work/log-$1 entries=$1 proofs=() vkey
  shift
  vkey=$("$sample" "$dir" "$entries" "$@")
  for index in "$@"; do proofs+=("$index:$dir/proof-$index.tlog-proof"); done
  "$work/verify" "$dir" "$vkey" "${proofs[@]}"
}
check 1 0
check 256 0 255
check 70000 0 255 65535 65536 69999
root=$(sed -n 3p "$work/log-70000/log/checkpoint")
if [ "$root" != "o5IPun8jmgcam9EHIfE0Gt3vuu3ttBx+JEN6nRa98Ao=" ]; then
  echo "FAIL the root of 70,000 entries is $root"
  exit 1
fi

# The verifier itself must be able to fail.
vkey=$(cat "$work/log-256/log/vkey")
printf 'X' | dd of="$work/log-256/log/tile/entries/000" bs=1 seek=100 conv=notrunc status=none
if "$work/verify" "$work/log-256" "$vkey" >"$work/out"; then
  echo "FAIL a changed log was accepted"
  exit 1
fi
echo "a changed log is refused: $(cat "$work/out")"
