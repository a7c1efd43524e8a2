# shellcheck shell=bash
# What the scripts share: talking to the person and to Debian's package manager. Sourced, not run.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ROOT

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$1" >&2
    shift
    if [ $# -gt 0 ]; then printf '       %s\n' "$@" >&2; fi
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_root() { [ "$(id -u)" -eq 0 ]; }

can_apt() { is_root && have apt-get; }

# apt_install REASON PACKAGE...: as root on Debian installs, else says the command to run and stops.
# Package lists are refreshed only where the first try fails. No service is started by an installation.
apt_install() {
    local reason=$1 policy=/usr/sbin/policy-rc.d own_policy=false status=0
    shift
    if ! can_apt; then
        die "$reason" "Run this, then try again:" "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    fi
    say "$reason: installing $*"
    if [ ! -e "$policy" ]; then
        own_policy=true
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    try_apt "$@" || { apt-get update -qq >&2 && try_apt "$@"; } || status=$?
    if $own_policy; then rm -f "$policy"; fi
    if [ "$status" -ne 0 ]; then
        die "apt-get could not install $*" "Look at its message above; without a network, install the packages by hand."
    fi
}

try_apt() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}
