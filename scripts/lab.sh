#!/bin/bash
# The whole NAT laboratory (docs/guide/lab.md): every kind of NAT verified, then the matrix of all pairs,
# then the network changing in the middle of transfers. Needs root, network namespaces and TUN devices.
#
#   REPEATS=10       runs of each pair (default 1; 10 for the published table)
#   PAIRS=a:b,c      only these pairs, or all with the kind c
#   LAB_JOBS=2       pairs at the same time (default 1)
#   LAB_PRESET=asan  the build to try (default release)
#   LAB_PARTS=matrix of: verify, matrix, scenarios, nftables (default: all)
#
# The matrix is left in lab-results/. Stops at the first part that fails, the matrix of which is one
# whose pairs are worse than the rule.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/stages.sh

preset=${LAB_PRESET:-release}
parts=${LAB_PARTS:-verify matrix scenarios nftables}
export QUICMESH_BINARY=$PWD/build/$preset/bin/quicmesh
export QUICMESH_NATLAB_ROUTER=$PWD/build/$preset/bin/natlab_router
export QUICMESH_NEED_NETNS=1 QUICMESH_LAB=full

wanted() { [[ " $parts " == *" $1 "* ]]; }
run_test() { python3 -B "tests/netns/$1_test.py"; }
matrix() {
  python3 -B tests/netns/matrix.py --repeats "${REPEATS:-1}" --pairs "${PAIRS:-}" --jobs "${LAB_JOBS:-1}"
}

stage "packages" scripts/setup.sh --tests
stage "configure $preset" cmake --preset "$preset"
stage "build $preset" cmake --build --preset "$preset" --target quicmesh natlab_router --parallel "${JOBS:-$(nproc)}"
if wanted verify; then
  stage "it leaves nothing behind" run_test lab
  stage "every NAT is what it says" run_test verify
fi
if wanted matrix; then stage "matrix" matrix; fi
if wanted scenarios; then stage "changes in mid-transfer" run_test scenarios; fi
if wanted nftables; then stage "real NATs (nftables)" run_test nat; fi
