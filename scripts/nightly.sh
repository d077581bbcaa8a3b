#!/bin/bash
# What takes hours: the whole test suite, the tests with threads, sockets and simulations until they
# fail or have passed NIGHTLY_REPEATS (20) times, each fuzz target for FUZZ_SECONDS (600), the
# simulated scenarios with NIGHTLY_SEEDS (1000) seeds (simulate.sh), a DHT of a million nodes with
# full tables, one that NIGHTLY_JOINING (100000) nodes join and leave, the grid of goal D4 with three
# seeds, the demo ten times, and all benchmarks. The log goes to nightly-results/<date>.log.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p nightly-results
exec > >(tee "nightly-results/$(date -u +%Y%m%dT%H%M%SZ).log") 2>&1
. scripts/stages.sh

jobs=${JOBS:-$(nproc)}
repeats=${NIGHTLY_REPEATS:-20}
joining=${NIGHTLY_JOINING:-100000}
export FUZZ_SECONDS=${FUZZ_SECONDS:-600}

repeat_demo() {
  local run
  for run in $(seq 10); do
    echo "demo $run of 10"
    build/release/bin/quicmesh demo --ci || return
  done
}

stage "make test" make test
stage "repeated $repeats times" ctest --preset asan --label-regex '^(sim|io|real)$' \
  --repeat "until-fail:$repeats" --parallel "$jobs"
stage "fuzzing, $FUZZ_SECONDS s a target" scripts/fuzz.sh
stage "release build" make build
stage "simulation sweep" scripts/simulate.sh
stage "a DHT of a million nodes" build/release/bin/quicmesh sim dht-lookup --nodes 1000000 \
  --set variant=full --set lookups=2000 --set warm_up=1
stage "a DHT that $joining nodes join" build/release/bin/quicmesh sim dht-million \
  --nodes "$joining"
stage "fixed and adaptive settings" build/release/bin/quicmesh sim dht-churn --seeds 3 \
  --set grid=true
stage "200 nodes, packet by packet" build/release/bin/quicmesh sim dht-calibrate --seeds 3
stage "demo, ten times" repeat_demo
stage "benchmarks" scripts/bench.sh
