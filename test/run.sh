#!/bin/sh
#
# Installs what the tests need (Debian 12), builds, and runs the whole suite.
# The last line is a line of totals.
#
# Usage: test/run.sh

set -eu
cd "$(dirname "$0")/.."

packages='gcc g++ cmake ninja-build pkg-config clang-format libbearssl-dev
libnghttp2-dev liburing-dev libcmocka-dev curl openssl python3'

missing() {
    for package in $packages; do
        dpkg -s "$package" >/dev/null 2>&1 || echo "$package"
    done
    dpkg -s libluajit-5.1-dev >/dev/null 2>&1 ||
        dpkg -s libluajit2-5.1-dev >/dev/null 2>&1 || echo libluajit-5.1-dev
}

install=$(missing | tr '\n' ' ')
if [ -n "$install" ]; then
    echo "installing: $install"
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y \
        --no-install-recommends $install
fi

cmake --preset dev
cmake --build build/dev
log=build/dev/unit.log
status=0
ctest --test-dir build/dev --output-on-failure --timeout 300 -j 2 >"$log" \
    2>&1 || status=1
cat "$log"
failed=$(grep -c -E '\*\*\*(Failed|Timeout|Exception|Not Run)' "$log" || true)
passed=$(grep -c -E 'Test +#.* Passed ' "$log" || true)
echo "$passed passed, $failed failed"
exit $status
