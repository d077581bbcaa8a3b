#!/bin/bash
# Sweeps the simulated scenarios over seeds 1 to NIGHTLY_SEEDS (1000; of the large ones a part), in
# every variant, and then lets each suite judge the medians over the seeds of its file.
#
# The result goes to nightly-results/<date>-sim.txt: the commit, each variant with its range of
# seeds, how many runs failed, and for every failure the command that replays it.
# Exit 1 if a run failed.
#
#   scripts/simulate.sh [path to quicmesh]     default: build/release/bin/quicmesh
set -euo pipefail
cd "$(dirname "$0")/.."

export quicmesh=${1:-build/release/bin/quicmesh}
seeds=${NIGHTLY_SEEDS:-1000}
jobs=${JOBS:-$(nproc)}

# The scenario, the divisor of its seeds, and what is fixed of it; several values make variants.
sweeps=(
  "transfer-loss 1 loss=0%,2%,10%,25%"
  "path-switch 1 begin_on=relay,direct sender=dialler,acceptor mover=dialler,acceptor"
  "dead-path 1 begin_on=relay,direct sender=dialler,acceptor"
  "nat-rebinding 4 sender=dialler,acceptor"
  "many-nodes 100"
  "nat-pairs 100 pairs=1000"
  "dht-lookup 1 nodes=200 lookups=100 ask=record,node"
  "dht-blackout 10 nodes=200 lookups=100"
  "dht-attack 10 nodes=200 lookups=100 attack=sybils hostility=silent hostile=20"
  "dht-attack 10 nodes=500 lookups=200 attack=express hostile=20"
  "dht-calibrate 100 nodes=60 lookups=300 k=10 links=20"
)

# Prints each combination of the values of `name=a,b ...` on a line of its own.
variants() {
  if [[ $# -eq 0 ]]; then
    echo
    return
  fi
  local name=${1%%=*} values=${1#*=} value rest
  shift
  for value in ${values//,/ }; do
    while read -r rest; do
      echo "$name=$value${rest:+ $rest}"
    done < <(variants "$@")
  done
}

# One run: nothing if it went well, else a line with what it says, which names the replay command.
run_seed() {
  local scenario=$1 seed=$2 report status=0 set
  shift 2
  local flags=()
  for set in "$@"; do flags+=(--set "$set"); done
  report=$("$quicmesh" --json sim "$scenario" --seed "$seed" "${flags[@]}" 2>&1) || status=$?
  [[ $status -eq 0 ]] && return
  echo "  FAILED (exit $status): quicmesh sim $scenario --seed $seed ${flags[*]}"
  echo "    ${report:0:600}"
}
export -f run_seed

if ! "$quicmesh" sim list >/dev/null 2>&1; then
  echo "$quicmesh cannot simulate: build it with \`make build\`" >&2
  exit 1
fi

mkdir -p nightly-results
result=nightly-results/$(date -u +%Y%m%dT%H%M%SZ)-sim.txt
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[[ -z $(git status --porcelain 2>/dev/null) ]] || commit+=" with changes"
echo "commit $commit, $(date -u +%Y-%m-%dT%H:%M:%SZ)" | tee "$result"

failed=0
for sweep in "${sweeps[@]}"; do
  read -ra words <<<"$sweep"
  scenario=${words[0]} divisor=${words[1]}
  last=$((seeds / divisor > 0 ? seeds / divisor : 1))
  while read -r variant; do
    start=$SECONDS
    # shellcheck disable=SC2016,SC2086
    failures=$(seq "$last" | xargs -P "$jobs" -I '{}' \
      bash -c 'run_seed "$1" "$2" "${@:3}"' run_seed "$scenario" '{}' $variant)
    count=$(grep -c '^  FAILED' <<<"$failures" || true)
    failed=$((failed + count))
    echo "$scenario ${variant:-(no variants)}: seeds 1-$last, $count failed, $((SECONDS - start)) s" |
      tee -a "$result"
    [[ $count -eq 0 ]] || echo "$failures" | tee -a "$result"
  done < <(variants "${words[@]:2}")
done

for sweep in "${sweeps[@]}"; do
  read -r scenario _ _ <<<"$sweep"
  if report=$("$quicmesh" --json sim "$scenario" --seeds "$seeds" 2>&1); then
    echo "$scenario: the suite's bars hold" | tee -a "$result"
  else
    failed=$((failed + 1))
    printf '%s: the suite FAILED: quicmesh sim %s --seeds %s\n%s\n' \
      "$scenario" "$scenario" "$seeds" "$report" | tee -a "$result"
  fi
done
echo "$failed failures; $result"
[[ $failed -eq 0 ]]
