#!/bin/bash
# Runs each fuzz target for FUZZ_SECONDS (60), at most two at once.
#
# New inputs go to build/fuzz/corpus/<name>/; the saved ones of tests/fuzz/corpus/<name>/ are read
# only. A finding is a file in build/fuzz/findings/: copied to tests/fuzz/corpus/<name>/ it is a
# regression test of the ordinary suite from then on.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${FUZZ_SECONDS:-60}

# One target: its log is shown only as far as it tells something.
fuzz_one() {
  local binary=$1 seconds=$2 name log status=0
  name=$(basename "$binary")
  name=${name#fuzz_}
  log=build/fuzz/logs/$name.log
  local own=build/fuzz/corpus/$name saved=tests/fuzz/corpus/$name
  mkdir -p "$own" build/fuzz/findings
  if [[ ! -d $saved ]]; then
    echo "fuzz $name: no corpus in $saved"
    return 1
  fi
  ASAN_OPTIONS=external_symbolizer_path=$(symbolizer) UBSAN_OPTIONS=print_stacktrace=1 \
    "$binary" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/findings/$name-" "$own" "$saved" >"$log" 2>&1 || status=$?
  local runs
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if [[ $status -ne 0 ]]; then
    grep -E -A 12 '==ERROR|runtime error|ALARM|out-of-memory' "$log" | head -n 40 || tail -n 20 "$log"
    echo "fuzz $name: FAILED after ${runs:-?} runs; log $log; the input is build/fuzz/findings/$name-*"
    return 1
  fi
  # A target that hardly ran has shown nothing.
  if [[ ${runs:-0} -lt 1000 ]]; then
    echo "fuzz $name: FAILED: only ${runs:-0} runs in $seconds s; see $log"
    return 1
  fi
  echo "fuzz $name: $runs runs in $seconds s, nothing found"
}
# What turns addresses into lines; addr2line comes with the compiler, llvm-symbolizer is faster.
symbolizer() { command -v llvm-symbolizer-19 || command -v addr2line; }
export -f fuzz_one symbolizer

# The packages of `--tests` have clang and its run-time libraries.
scripts/setup.sh --tests
# The binary of a target that is no more must not run again.
rm -rf build/fuzz/bin
cmake --preset fuzz
cmake --build --preset fuzz --target fuzz_targets --parallel "${JOBS:-$(nproc)}"

shopt -s nullglob
targets=(build/fuzz/bin/fuzz_*)
if [[ ${#targets[@]} -eq 0 ]]; then
  echo "no fuzz targets were built" >&2
  exit 1
fi
mkdir -p build/fuzz/logs
# shellcheck disable=SC2016
printf '%s\0' "${targets[@]}" |
  xargs -0 -P 2 -I '{}' bash -c 'fuzz_one "$1" "$2"' fuzz_one '{}' "$seconds"
