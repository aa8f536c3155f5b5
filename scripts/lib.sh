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

# What the build and the examples need; the tests and benchmarks need test_packages too.
build_packages() {
    local boost=libboost1.81-dev # Debian 12, whose libboost-dev is older than the library allows
    if grep -qs '^VERSION_ID="24.04"' /etc/os-release; then boost=libboost1.83-dev; fi
    echo g++ cmake ninja-build "$boost" libssl-dev nlohmann-json3-dev libcli11-dev libhiredis-dev libpqxx-dev \
        prometheus-cpp-dev
}
test_packages() {
    echo catch2 libbenchmark-dev libsqlite3-dev doxygen python3 redis-server redis-tools postgresql pgbouncer nginx
    # Ubuntu has them as snaps only; there the test of the page is skipped.
    if ! grep -qs '^ID=ubuntu' /etc/os-release; then echo chromium chromium-driver; fi
}

# Installs those of the named packages that are missing.
need() {
    local package missing=()
    if ! command -v apt-get >/dev/null; then
        say "This is neither Debian nor Ubuntu; going on as if these were installed: $*"
        return
    fi
    for package in "$@"; do
        dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then return; fi

    say "Installing ${missing[*]}"
    local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    as_root "${apt[@]}" update || fail "apt-get update failed (see above)"
    as_root "${apt[@]}" install -y --no-install-recommends "${missing[@]}" ||
        fail "could not install ${missing[*]} (see above); Debian 12 and Ubuntu 24.04 have them all"
}
