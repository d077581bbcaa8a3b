#!/bin/bash
# Installs the Debian packages that Quicmesh is built from.
#
#   scripts/setup.sh [--build] [--tests] [--yes]
#     --build   what `make demo` needs: tools and libraries, ip and nft for its NATs (the default)
#     --tests   that, and what `make test` needs
#     --yes     do not ask, even if apt would remove packages (the same with CI=true)
#
# Says nothing and ends at once when nothing is missing. Debian 12 has ngtcp2 1.11 and Boost 1.83 in
# its backports only: that source is added, on the mirror that the machine's own apt sources name.
# No service of a package is started: a policy-rc.d stands in the way for as long as apt runs.
# Exit status: 0 all installed, 1 failed or refused, 2 wrong usage or a system that is not supported.
set -euo pipefail

build_packages=(make cmake ninja-build ccache pkg-config g++ git
  libngtcp2-dev libngtcp2-crypto-gnutls-dev libgnutls28-dev libsodium-dev libboost1.83-dev
  libcli11-dev libtomlplusplus-dev libfmt-dev libspdlog-dev libminiupnpc-dev libnatpmp-dev
  capnproto libcapnp-dev
  iproute2 nftables)
test_packages=(libgtest-dev libgmock-dev clang-19 libclang-rt-19-dev
  clang-format-19 clang-tidy-19 b3sum python3 procps tmux tshark
  coturn miniupnpd)
# On Debian 12 from backports, where apt does not look by itself.
backported=(libngtcp2-dev libngtcp2-crypto-gnutls-dev libboost1.83-dev)
ngtcp2_least=1.11
backports_list=/etc/apt/sources.list.d/quicmesh-bookworm-backports.list
policy=/usr/sbin/policy-rc.d

say() { echo "setup: $*"; }
die() {
  echo "setup: $1" >&2
  exit "${2:-1}"
}

wanted=("${build_packages[@]}")
assume_yes=${CI:-}
for argument in "$@"; do
  case $argument in
    --build) ;;
    --tests) wanted+=("${test_packages[@]}") ;;
    --yes) assume_yes=true ;;
    *) die "unknown option $argument (--build, --tests, --yes)" 2 ;;
  esac
done

# shellcheck source=/dev/null
system=$(. /etc/os-release 2>/dev/null && echo "${ID:-unknown} ${VERSION_ID:-unknown}") || system="unknown unknown"
case $system in
  "debian 12" | "debian 13") ;;
  *) die "this is '$system'; packages are known for Debian 12 (and, untested, 13) only.
Elsewhere install by hand: g++ 12 or later, cmake 3.25, ninja, ngtcp2 $ngtcp2_least with its GnuTLS
crypto library, GnuTLS 3.7, libsodium, Boost 1.83, CLI11, toml++, fmt, spdlog." 2 ;;
esac

# The packages of `wanted` that are not installed, or too old.
missing_packages() {
  local -A version=()
  local name status found
  while IFS='|' read -r name status found; do
    if [[ $status == installed ]]; then version[$name]=$found; fi
  done < <(dpkg-query -W -f '${Package}|${db:Status-Status}|${Version}\n' "${wanted[@]}" 2>/dev/null)
  for name in "${wanted[@]}"; do
    if [[ -z ${version[$name]:-} ]]; then
      echo "$name"
    elif [[ $name == libngtcp2* ]] && dpkg --compare-versions "${version[$name]}" lt $ngtcp2_least; then
      echo "$name"
    fi
  done
}

mapfile -t missing < <(missing_packages)
[[ ${#missing[@]} -eq 0 ]] && exit 0
say "missing: ${missing[*]}"

as_root=()
if [[ $(id -u) -ne 0 ]]; then
  command -v sudo >/dev/null || die "run it as root, or install sudo"
  as_root=(sudo)
fi
apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get "$@"; }

# Undoes what must not outlast this script, however it ends.
made_policy=
clean_up() {
  [[ -z $made_policy ]] || "${as_root[@]}" rm -f "$policy"
}
trap clean_up EXIT

from_backports() { [[ $system == "debian 12" && " ${backported[*]} " == *" $1 "* ]]; }

update_lists() { apt_get update -qq || die "apt-get update failed"; }

# Adds bookworm-backports on the mirror of bookworm itself, unless a source of it is there already.
# apt takes $(CODENAME) from the downloaded lists, so they must be there.
add_backports() {
  local sources mirror keyring=/usr/share/keyrings/debian-archive-keyring.gpg signed_by=
  # shellcheck disable=SC2016
  sources=$(apt-get indextargets --format '$(CODENAME) $(COMPONENT) $(SITE)' | sort -u)
  grep -q '^bookworm-backports main ' <<<"$sources" && return
  mirror=$(sed -n 's/^bookworm main //p' <<<"$sources" | head -n 1)
  [[ -n $mirror ]] || die "apt has no source of bookworm main, so no mirror to take backports from"
  if [[ -r $keyring ]]; then signed_by="[signed-by=$keyring] "; fi
  say "adding bookworm-backports from $mirror ($backports_list)"
  echo "deb ${signed_by}$mirror bookworm-backports main" | "${as_root[@]}" tee "$backports_list" >/dev/null
  update_lists
}

update_lists
targets=()
for name in "${missing[@]}"; do
  if from_backports "$name"; then
    targets+=("$name/bookworm-backports")
    add_backports
  else
    targets+=("$name")
  fi
done
if [[ $system == "debian 13" ]]; then
  say "Debian 13 should work (all packages are in main), but is untested"
fi

plan=$(apt_get -s install --no-install-recommends "${targets[@]}" 2>&1) || die "apt cannot install these:
$plan"
removed=$(sed -n 's/^Remv \([^ ]*\).*/\1/p' <<<"$plan" | tr '\n' ' ')
if [[ -n $removed ]]; then
  say "apt would REMOVE: $removed"
  if [[ $assume_yes != true ]]; then
    [[ -t 0 ]] || die "not removing packages unasked; run scripts/setup.sh --yes"
    read -r -p "setup: go on? [y/N] " answer
    [[ $answer == [yY]* ]] || die "stopped; nothing was changed"
  fi
fi

if [[ ! -e $policy ]]; then
  made_policy=yes
  # 101: "action not allowed" (invoke-rc.d's policy interface).
  printf '#!/bin/sh\n# Left by scripts/setup.sh of Quicmesh if apt was killed; it may be deleted.\nexit 101\n' |
    "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi

say "installing (this may take minutes)"
log=$(mktemp)
if ! apt_get install -y --no-install-recommends "${targets[@]}" >"$log" 2>&1; then
  tail -n 40 "$log" >&2
  die "apt-get install failed; its whole output is in $log"
fi
rm -f "$log"

mapfile -t missing < <(missing_packages)
[[ ${#missing[@]} -eq 0 ]] || die "still missing after apt-get: ${missing[*]}"
say "done"
