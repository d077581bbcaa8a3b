#!/bin/bash
# Everything that `make test` checks: installs what is missing, then the static checks, then all
# tests under ASan and UBSan, and those of what several threads use under TSan as well.
#
# Ends with the summary line of each ctest run; they are also in build/test-summary.txt.
# JOBS: how many compilers and tests run at once (default: one a core).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/stages.sh

jobs=${JOBS:-$(nproc)}
summary=build/test-summary.txt

# Runs ctest and keeps its summary line under `name`.
run_ctest() {
  local name=$1 status=0
  shift
  ctest "$@" --parallel "$jobs" 2>&1 | tee "build/ctest-$name.log" || status=$?
  echo "$name: $(grep -E 'tests passed|No tests were found' "build/ctest-$name.log" | tail -n 1)" >>"$summary"
  return "$status"
}

# Whether this machine can have the NAT laboratory (docs/guide/lab.md): root, network namespaces,
# TUN devices, nftables. Where it can, a test of it that does not run is a failure.
can_have_laboratory() {
  local probe=qm$$probe good=1
  [[ $(id -u) -eq 0 ]] && ip netns add "$probe" || return 1
  ip -n "$probe" tuntap add t0 mode tun && ip netns exec "$probe" nft add table inet probe || good=0
  ip netns del "$probe"
  [[ $good -eq 1 ]]
}

closing_words() {
  if [[ -s $summary ]]; then cat "$summary"; fi
}

rm -f "$summary"
stage "packages" scripts/setup.sh --tests
mkdir -p build
if can_have_laboratory 2>/dev/null; then
  export QUICMESH_NEED_NETNS=1
else
  echo "no NAT laboratory on this machine: its tests say why and are skipped"
fi
stage "configure asan" cmake --preset asan
stage "static checks" run_ctest static --preset asan --label-regex '^static$'
stage "build asan" cmake --build --preset asan --parallel "$jobs"
stage "configure tsan" cmake --preset tsan
stage "build tsan" cmake --build --preset tsan --target threaded_tests --parallel "$jobs"
stage "tests under tsan" run_ctest tsan --preset tsan
stage "tests under asan" run_ctest asan --preset asan --label-exclude '^static$'
