#!/bin/sh
#
# Compiles all that belongs to FreeBSD, the unit tests too, against its headers, and
# looks whether its libraries have the functions that are called: docs/porting.md.
# Nothing is linked or run.
#
# Usage: test/freebsd_types.sh SYSTEM HEADERS
#
# SYSTEM is a directory with FreeBSD's usr/include and lib (base.txz), HEADERS one
# with bearssl.h, cmocka.h and the directory nghttp2; LuaJIT's are this machine's.

set -eu
[ $# = 2 ] || { sed -n 's/^# \(Usage.*\)/\1/p' "$0" >&2 && exit 2; }
system=$(cd "$1" && pwd)
headers=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
build=build/freebsd-types

cmake --preset dev -B $build -DCMAKE_SYSTEM_NAME=FreeBSD -DCMAKE_SYSROOT="$system" \
    -DCMAKE_C_COMPILER=clang -DCMAKE_C_COMPILER_TARGET=x86_64-unknown-freebsd14 \
    -DCMAKE_TRY_COMPILE_TARGET_TYPE=STATIC_LIBRARY -DLHTTPD_SANITIZE= \
    -DCMAKE_C_FLAGS="-isystem $headers" -DLHTTPD_BEARSSL_INCLUDE_DIR="$headers" \
    -DLHTTPD_BEARSSL_LIBRARY=bearssl >$build.log || { cat $build.log && exit 1; }
objects=$(ninja -C $build -t targets all | sed -n 's/^\(.*\.o\): C_COMPILER.*/\1/p')
# shellcheck disable=SC2086
ninja -C $build -k 0 $objects >$build.log || { grep -A 5 error $build.log && exit 1; }

# Others' functions, what the start files have, and what the tests wrap.
others='^(lua_|luaL_|luaJIT_|br_|nghttp2_|__real_|environ$|print_(error|message)$'
others=$others'|cmocka_|mock_assert$|_(cmocka|assert|will|expect|mock|fail|skip|check)_?)'
names=$(mktemp)
trap 'rm -f "$names"' EXIT
(cd $build && nm -D --defined-only "$system"/lib/lib*.so &&
    echo "$objects" | xargs nm --defined-only) |
    sed -n 's/.* \([A-Za-z0-9_]*\)\(@.*\)\{0,1\}$/\1/p' | sort -u >"$names"
missing=$(cd $build && echo "$objects" | xargs nm -u | sed -n 's/^ *U //p' | sort -u |
    comm -23 - "$names" | grep -vE "$others" || true)
[ -z "$missing" ] || { echo "FreeBSD has not: $missing" && exit 1; }
echo "$(echo "$objects" | wc -l) files are FreeBSD's"
