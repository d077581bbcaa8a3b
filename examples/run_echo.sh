#!/bin/sh
# Runs both roles of 01_echo on this machine: `run_echo.sh PATH_OF_01_ECHO`. Fails unless the
# greeting comes back.
set -eu
folder=$(mktemp -d)
"$1" > "$folder/address" &
server=$!
trap 'kill "$server"; rm -r "$folder"' EXIT
until [ -s "$folder/address" ]; do sleep 0.05; done
"$1" "$(head -n 1 "$folder/address")" | tee "$folder/answer"
grep -q '^hello$' "$folder/answer"
