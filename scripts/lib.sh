# SPDX-License-Identifier: MIT

# Functions that the scripts share. Sourced, not run; it also changes to the root of the project.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\n== %s\n' "$*"; }

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

cores() { nproc; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "need root for: $* (run this as root, or install sudo)"
    fi
}

# The packages that the build and the examples need; the tests and benchmarks need test_packages too. `need` takes
# libboost-dev to mean any Boost that is new enough.
build_packages() {
    echo g++ cmake ninja-build libboost-dev libssl-dev nlohmann-json3-dev libcli11-dev libhiredis-dev libpqxx-dev \
        prometheus-cpp-dev
}
test_packages() {
    echo catch2 libbenchmark-dev libsqlite3-dev doxygen python3 redis-server redis-tools postgresql pgbouncer nginx spin prometheus
    # Ubuntu has them as snaps only; there the test of the page is skipped.
    if ! grep -qs '^ID=ubuntu' /etc/os-release; then echo chromium chromium-driver; fi
}

# The newest of the packages libboost1.NN-dev on standard input that is 1.81 or later; nothing if none is.
newest_boost() { awk -F '[.-]' '/^libboost1[.][0-9]+-dev$/ && $2 >= 81' | sort -V | tail -n 1; }

installed_boost() {
    { dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' 'libboost1.*-dev' 2>/dev/null || true; } |
        sed -n 's/^ii *//p' | newest_boost
}

# The distribution's default Boost if it is 1.81 or later, or else the newest that it has beside the default: Debian 12
# has 1.74 and 1.81.
available_boost() {
    local version
    version="$(apt-cache policy libboost-dev | sed -n 's/^ *Candidate: //p')"
    if dpkg --compare-versions "${version:-0}" ge 1.81; then
        echo libboost-dev
    else
        apt-cache search --names-only '^libboost1[.][0-9]+-dev$' | cut -d ' ' -f 1 | newest_boost
    fi
}

is_installed() {
    if [ "$1" = libboost-dev ]; then
        [ -n "$(installed_boost)" ]
    else
        dpkg -s "$1" 2>/dev/null | grep -q '^Status: install ok installed'
    fi
}

is_available() { apt-cache show "$1" >/dev/null 2>&1; }

# Installs those of the named packages that are missing.
need() {
    local package i missing=() unknown=()
    if ! command -v apt-get >/dev/null; then
        say "This is neither Debian nor Ubuntu; going on as if these were installed (Boost 1.81 or later): $*"
        return
    fi
    for package in "$@"; do
        is_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi

    say "Installing ${missing[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" update || fail "apt-get update failed (see above)"
    for i in "${!missing[@]}"; do
        if [ "${missing[i]}" = libboost-dev ]; then
            missing[i]="$(available_boost)"
            [ -n "${missing[i]}" ] || unknown+=("libboost-dev (1.81 or later)")
        elif ! is_available "${missing[i]}"; then
            unknown+=("${missing[i]}")
        fi
    done
    [ ${#unknown[@]} -eq 0 ] || fail "apt has no ${unknown[*]}; Debian 12 has all that the scripts need"
    as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
        fail "could not install ${missing[*]} (see above)"
}

# build_server TARGET: builds one executable in build/release.
build_server() {
    local options=(-DIDEMPO_BUILD_EXAMPLES=ON -DIDEMPO_WARNINGS_AS_ERRORS="${IDEMPO_WARNINGS_AS_ERRORS:-OFF}")
    # A new build does not need the packages of the tests; a build of scripts/test keeps them.
    [ -f build/release/build.ninja ] || options+=(-DIDEMPO_BUILD_TESTS=OFF -DIDEMPO_BUILD_BENCHMARKS=OFF)
    say "Building $1 in build/release"
    cmake --preset release "${options[@]}" >/dev/null
    cmake --build --preset release --target "$1" --parallel "$(cores)"
}
