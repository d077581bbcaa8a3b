# Sourced by the scripts that run several stages: names them, times them, stops at the first that
# fails, and closes with a table of what ran.
#
#   . scripts/stages.sh
#   stage "unit tests" ctest --preset asan
#   closing_words() { ...; }     optional: printed after the table
#
# The table is printed however the script ends, so that the last lines of a log tell the story.
# shellcheck shell=bash

stage_table=()

stage() {
  local name=$1 start=$SECONDS status=0
  shift
  echo "== $name"
  "$@" || status=$?
  local seconds=$((SECONDS - start))
  if [[ $status -eq 0 ]]; then
    stage_table+=("$(printf '%-34s %4d s  ok' "$name" $seconds)")
  else
    stage_table+=("$(printf '%-34s %4d s  FAILED (exit %d)' "$name" $seconds $status)")
    exit "$status"
  fi
}

print_stages() {
  local status=$?
  echo
  echo "== stages of $(basename "$0")"
  printf '%s\n' "${stage_table[@]}"
  if declare -F closing_words >/dev/null; then closing_words; fi
  return "$status"
}
trap print_stages EXIT
