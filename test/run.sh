#!/bin/sh
#
# Installs what the tests need (Debian 12), builds every variant and runs the
# whole suite.  The last line is a line of totals.
#
# Usage: test/run.sh [variant ...]
#
# Variants, all of them by default but format and packages:
#   format   no more than what comes before all others: packages, clang-format
#   dev      LuaJIT, gcc, address and undefined-behaviour sanitizers
#   lua5.4   the same on PUC Lua 5.4
#   lua5.3   the unit tests of lua/ on PUC Lua 5.3; serving, files
#   lua5.1   the same as dev on PUC Lua 5.1
#   openssl  the same as dev with OpenSSL instead of BearSSL
#   clang    LuaJIT, clang, the same sanitizers; clang-tidy
#   tsan     LuaJIT, the thread sanitizer: what several threads take part in
#   release  as it is shipped: no warnings, end-to-end tests
#   parts    small builds, each without something, and what they then serve
#   packages Debian packages, installed and purged on a fresh system; needs root,
#            debootstrap and lintian, and is passed over where they are missing;
#            it takes minutes and the network, so it has to be asked for
#   musl     the static binary and the unit tests by musl, LuaJIT; examples on 5.4
#   processors  arm64 and s390x by qemu-user, i386 without: unit tests; HTTP/1, TLS,
#            HTTP/2
#   clients  the release build with real clients and proxies, test/clients/run

set -eu
cd "$(dirname "$0")/.."

packages='gcc g++ clang libclang-rt-14-dev clang-format clang-tidy cmake ninja-build
pkg-config libbearssl-dev libssl-dev libnghttp2-dev liburing-dev libcmocka-dev libuv1-dev
libglib2.0-dev
liblua5.4-dev liblua5.3-dev liblua5.1-0-dev curl openssl wrk nghttp2-client strace python3
binutils procps util-linux groff-base man-db python3-prometheus-client
python3-websockets python3-h2 nodejs node-ws redis-server lua-cjson'

# What only the variant `clients` needs.
client_packages='wget aria2 golang-go golang-golang-x-net-dev
openjdk-17-jdk-headless python3-requests python3-httpx
python3-aiohttp python3-grpcio haproxy nginx-light chromium chromium-driver'

# Prints those of $1 that are not installed.
missing() {
    for package in $1; do
        dpkg -s "$package" >/dev/null 2>&1 || echo "$package"
    done
}

# What only the variant `musl` needs; cmake/musl/libraries.sh gets the rest.
musl_packages='musl-tools dpkg-dev make'

# The two LuaJITs exclude each other: take the one that is there.
missing_luajit() {
    dpkg -s libluajit-5.1-dev >/dev/null 2>&1 ||
        dpkg -s libluajit2-5.1-dev >/dev/null 2>&1 || echo libluajit-5.1-dev
}

install_packages() {
    install=$({ missing "$1" && missing_luajit; } | tr '\n' ' ')
    [ -n "${install% }" ] || return 0
    echo "installing: $install"
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -q
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -q -y \
        --no-install-recommends $install
}

# A browser takes the machine for most of a minute: the variant `clients` asks
# for it.
export LHTTPD_BROWSER=no

passed=0
failed=0
unsteady=0 # failed, and passed when it was run again

# Counts one check: what it is, then the command.
check() {
    what=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
    fi
}

format() {
    find . -path ./build -prune -o -name '*.[ch]' -exec \
        clang-format --dry-run -Werror {} +
}

# What clang-tidy says of the code that build/$1 compiles; its analyzer, which
# takes very long, is left out.
tidy() {
    # What this build is made of: files for another C library are not.
    sed -n "s|^ *\"file\": \"\($PWD/lib/.*\.c\)\".*|\\1|p" \
        "build/$1/compile_commands.json" |
        xargs -P "$(nproc)" -n 4 clang-tidy --quiet \
            --checks='-clang-analyzer-*' -p "build/$1" \
            >"build/$1-tidy.log" 2>&1 && return 0
    grep -A 3 -E 'error:|warning:' "build/$1-tidy.log" || cat "build/$1-tidy.log"
    return 1
}

# build DIRECTORY PRESET [option ...]
build() {
    directory=build/$1
    preset=$2
    shift 2
    cmake --preset "$preset" -B "$directory" "$@" >"$directory.log" 2>&1 &&
        cmake --build "$directory" >>"$directory.log" 2>&1 && return 0
    cat "$directory.log"
    return 1
}

# told LOG PATTERN: what failed, at least once, and so not the lines of PATTERN.
told() {
    echo "$1, without what passed at once:"
    grep -v -E "$2" "$1" || true
    unsteady=$((unsteady + $(grep -c '^UNSTEADY ' "$1" || true)))
}

# unit VARIANT [option of ctest ...]: runs the unit tests of build/VARIANT; adds
# to the totals.
unit() {
    variant=$1
    shift
    log=build/$variant-unit.log
    ctest --test-dir "build/$variant" "$@" --output-on-failure --timeout 300 \
        --repeat until-pass:2 -j "$(nproc)" >"$log" 2>&1 || true
    grep -q -F '***' "$log" &&
        told "$log" '^ *(Start|([0-9]+/[0-9]+ )?Test .* Passed) '
    good=$(grep -c -E 'Test +#[0-9]+: .* Passed ' "$log" || true)
    bad=$(sed -n 's/.*% tests passed, \([0-9]*\) tests failed.*/\1/p' "$log" |
        grep . || echo 1)
    again=$(sed -n 's/.*Test *#[0-9]*: \([^ ]*\) .*\*\*\*.*/\1/p' "$log" |
        sort -u | wc -l)
    [ "$again" -le "$bad" ] || unsteady=$((unsteady + again - bad))
    echo "$variant: unit tests: $good passed, $bad failed"
    passed=$((passed + good))
    failed=$((failed + bad))
}

# Runs the end-to-end tests on the binary of build/$1; adds to the totals.
e2e() {
    [ -x test/e2e/run ] || return 0
    variant=$1
    shift
    log=build/$variant-e2e.log
    run_and_add "$variant: end-to-end tests" "$log" \
        test/e2e/run --again "build/$variant" "$@"
}

# What calls can break that the kernel refuses.
tests_of_calls='^test_(aio|away|beneath|child|fd|file|lines|log|opened|pipe|popen'
tests_of_calls=$tests_of_calls'|process|serving|sock)$'

# The same tests, and unit tests, where what is newer than Linux 4.14 fails.
refused() {
    variant=$1
    shift
    run_and_add "$variant: end-to-end tests, calls refused" \
        "build/$variant-refused.log" test/e2e/run --again --refuse "build/$variant" "$@"
    check "unit tests, calls refused" python3 test/e2e/confine.py old-kernel -- \
        ctest --test-dir "build/$variant" -Q --timeout 300 \
        -R "$tests_of_calls"
}

# Runs the real clients, a browser among them, on the binary of build/$1; adds to
# the totals.
clients() {
    install_packages "$client_packages"
    LHTTPD_BROWSER=yes e2e "$1" test_browser
    run_and_add "$1: clients" "build/$1-clients.log" \
        test/clients/run "build/$1"
}

# What a VM that is much like another one can break.
tests_of_lua='^test_(allocator|api|env|file|gc|handler|kill|lhttpd|native|popen'
tests_of_lua=$tests_of_lua'|process|reload|subscription|task|traces|turn|vm)'

# What the C library can break: files, processes, signals, sockets, TLS.
musl() {
    install_packages "$musl_packages"
    cmake/musl/libraries.sh && build musl musl -DLHTTPD_TESTS=ON \
        -DLHTTPD_WERROR=ON && unit musl &&
        e2e musl test_command test_examples test_files test_tls test_h2 &&
        check 'a static binary of at most 2.5 MB' \
            [ "$(stat -c %s build/musl/lhttpd)" -le 2500000 ] &&
        build musl-lua5.4 musl -DLHTTPD_WERROR=ON -DLHTTPD_LUA=lua5.4 &&
        e2e musl-lua5.4 test_examples
}

# What looks at sources alone; and what takes an emulator minutes, its time is
# short, or its threads or descriptors are counted.
of_sources='layers|circles|covered|headers|manual|docs'
not_emulated='test_(allocator|file|gc|handler|kill|loop|opened|popen|publish|serving)'

# Another processor: what byte order, the sizes of words and the VM can break.
processor() {
    install_packages "$2"
    cmake/processors/libraries.sh "$1" && build "$1" "$1" -DLHTTPD_TESTS=ON \
        -DLHTTPD_WERROR=ON -DLHTTPD_CHECKS=ON -DCMAKE_BUILD_TYPE=Debug &&
        unit "$1" -E "^($3)\$" &&
        e2e "$1" test_serve test_files.Large test_tls.Handshake \
            test_tls.Resumption test_h2.SameAnswers test_h2.Messages test_h2.Flow
}

# What can be left out, one by one and all of it; then with the checks of every
# step, which a build for release does not have.
parts() {
    for without in TLS=none HTTP2=OFF FILES=OFF \
        'TLS=none -DLHTTPD_HTTP2=OFF -DLHTTPD_FILES=OFF -DLHTTPD_CHECKS=ON'; do
        # shellcheck disable=SC2086
        build parts minsize -DLHTTPD_WERROR=ON -DLHTTPD_TLS=bearssl \
            -DLHTTPD_HTTP2=ON -DLHTTPD_FILES=ON -DLHTTPD_CHECKS=OFF \
            -DLHTTPD_$without &&
            e2e parts test_parts test_serve || return 1
    done
}

# run_and_add WHAT LOG COMMAND ...: the last line it prints has its totals.
run_and_add() {
    what=$1
    log=$2
    shift 2
    if ! "$@" >"$log" 2>&1; then
        tail -n 1 "$log" | grep -q ' passed, .* failed' ||
            failed=$((failed + 1))
        told "$log" '^(ok|skipped) '
    elif grep -q '^UNSTEADY ' "$log"; then
        told "$log" '^(ok|skipped) '
    fi
    totals=$(tail -n 1 "$log")
    echo "$what: $totals"
    passed=$((passed + $(echo "$totals" | sed -n 's/^\([0-9]*\) passed.*/\1/p' |
        grep . || echo 0)))
    failed=$((failed + $(echo "$totals" |
        sed -n 's/.* \([0-9]*\) failed.*/\1/p' | grep . || echo 0)))
}

run_variant() {
    case $1 in
    format) ;;
    dev)
        build dev dev && unit dev && e2e dev &&
            LHTTPD_E2E_PROGRAM=loop/lhttpd e2e dev test_serve test_tls test_h2 \
                test_files test_stop test_reload test_channels test_command \
                test_client_certs test_statistics test_host test_log &&
            refused dev test_files test_host test_service test_stop
        ;;
    lua5.4 | lua5.1)
        build "$1" dev -DLHTTPD_LUA="$1" && unit "$1" && e2e "$1"
        ;;
    lua5.3)
        build lua5.3 dev -DLHTTPD_LUA=lua5.3 && unit lua5.3 -R "$tests_of_lua" &&
            e2e lua5.3 test_serve test_files
        ;;
    openssl)
        build openssl openssl && unit openssl && e2e openssl
        ;;
    clang)
        build clang dev -DCMAKE_C_COMPILER=clang && unit clang &&
            check clang-tidy tidy clang
        ;;
    tsan)
        build tsan tsan && unit tsan -L threads &&
            LHTTPD_E2E_PROGRAM=loop/lhttpd e2e tsan test_serve test_stop
        ;;
    release)
        build release release -DLHTTPD_WERROR=ON && e2e release
        ;;
    parts) parts ;;
    packages)
        if command -v debootstrap >/dev/null && command -v lintian >/dev/null &&
            [ "$(id -u)" = 0 ]; then
            check packages test/packages.sh
        else
            echo 'packages: passed over: no root, debootstrap or lintian'
        fi
        ;;
    musl) musl ;;
    processors)
        processor arm64 'gcc-aarch64-linux-gnu qemu-user-static' \
            "$of_sources|$not_emulated" &&
            processor s390x 'gcc-s390x-linux-gnu qemu-user-static' \
                "$of_sources|$not_emulated" &&
            processor i386 gcc-i686-linux-gnu "$of_sources"
        ;;
    clients)
        build release release -DLHTTPD_WERROR=ON && clients release
        ;;
    *)
        echo "test/run.sh: there is no variant '$1'"
        return 1
        ;;
    esac
}

install_packages "$packages"
mkdir -p build
check format format
for asked in ${*:-dev lua5.4 lua5.3 lua5.1 openssl clang tsan release parts musl \
    processors clients}; do
    began=$(date +%s)
    if ! run_variant "$asked"; then
        echo "FAILED: $asked"
        failed=$((failed + 1))
    fi
    echo "$asked: $(($(date +%s) - began)) s"
done
[ "$unsteady" = 0 ] ||
    echo "$unsteady of what passed had failed at first: a fault as well, see above"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
