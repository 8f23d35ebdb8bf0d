#!/bin/sh
#
# Installs what lhttpd needs (FreeBSD 13.1 and later), builds it and runs the
# tests.  What it prints is in build/freebsd.txt too: docs/porting.md.
#
# Usage: test/freebsd.sh [build]

set -eu
cd "$(dirname "$0")/.."

[ "$(uname -s)" = FreeBSD ] || {
    echo 'test/freebsd.sh: this is not FreeBSD; test/run.sh is for Debian' >&2
    exit 2
}

packages='cmake ninja pkgconf luajit libnghttp2 bearssl cmocka python3 curl'

# The command that makes root of us, if we are not.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        return
    fi
    command -v sudo || command -v doas
}

install_packages() {
    missing=''
    for package in $packages; do
        pkg info -e "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    echo "installing:$missing"
    # shellcheck disable=SC2046,SC2086
    $(as_root) pkg install -y $missing
}

# What makes one report comparable with another.
versions() {
    uname -a
    freebsd-version -ku
    cc --version | head -n 1
    # shellcheck disable=SC2086
    pkg query '%n %v' $packages
    git log -1 --format='lhttpd %h %cd' 2>/dev/null || echo 'lhttpd: no git'
    sysctl kern.ipc.soacceptqueue vfs.aio.max_aio_queue_per_proc
}

# Tests that do not compile do not keep the others from it (-k 0).
build() {
    cmake -G Ninja -B build/freebsd -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DLHTTPD_TESTS=ON -DLHTTPD_CHECKS=ON &&
        cmake --build build/freebsd -- -k 0
}

run_tests() {
    bad=0
    ctest --test-dir build/freebsd --output-on-failure --timeout 300 || bad=1
    test/e2e/run build/freebsd || bad=1
    return $bad
}

everything() {
    install_packages || return 1
    versions || true
    build || echo 'FAILED: the build'
    [ "$1" = build ] || run_tests || echo 'FAILED: tests'
}

mkdir -p build
everything "${1:-all}" 2>&1 | tee build/freebsd.txt
! grep -q '^FAILED: ' build/freebsd.txt
