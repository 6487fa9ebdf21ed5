#!/usr/bin/env bash
# Installs, with apt and as root, the programs of other people that some tests run against. Without one its tests skip.
# CI calls it, so that there they run.
set -euo pipefail

declare -A packages=([nginx]=nginx-light [prometheus]=prometheus [chromium]=chromium [dnsmasq]=dnsmasq-base)
export PATH="$PATH:/usr/sbin:/sbin"

missing=()
for program in "${!packages[@]}"; do
  command -v "$program" >/dev/null || missing+=("${packages[$program]}")
done
[ ${#missing[@]} -eq 0 ] && exit 0
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "not installed, and not installable here: ${missing[*]}; their tests will skip" >&2
  exit 0
fi

# Packages of servers start them; nothing should listen here but what a test starts.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get install -y -q --no-install-recommends "${missing[@]}" ||
  { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; }; } >&2 ||
  echo "apt could not install ${missing[*]}; their tests will skip" >&2
