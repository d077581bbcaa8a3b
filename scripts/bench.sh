#!/bin/bash
# Runs every benchmark of `quicmesh bench list` on the release build. The results, one JSON object a
# line, go to bench-results/<date>-<commit>.jsonl; the first line says on what machine.
set -euo pipefail
cd "$(dirname "$0")/.."

make build
quicmesh=build/release/bin/quicmesh
mkdir -p bench-results
results=bench-results/$(date -u +%Y%m%dT%H%M%SZ)-$(git describe --always --dirty 2>/dev/null || echo tarball).jsonl
model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
echo "{\"machine\":\"${model:-unknown}\",\"cores\":$(nproc),\"kernel\":\"$(uname -r)\"}" >"$results"

names=$("$quicmesh" bench list | awk '{ print $1 }')
for name in $names; do
  echo "== bench $name"
  "$quicmesh" bench "$name" --json | tee -a "$results"
done
echo "results in $results"
