#!/bin/sh
#
# Checks that each public header compiles alone, as C99 and as C++11, without a
# warning, that a program may include it twice and beside <string.h>, and that
# the program at the top of lhttpd.h compiles, that the test of forked
# children (test/unit/test_loop.c) calls all functions that take a server, and
# that what only Linux can do for tests has its stand-in for other systems.
#
# Usage: test/headers.sh
#
# The commands of the environment variables CC and CXX are used if they are set.

set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
flags='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only'

# compile COMPILER LANGUAGE STANDARD: the program is standard input.
compile() {
    # shellcheck disable=SC2086
    $1 -std="$3" $flags -I "$root/include" -x "$2" -
}

for header in "$root"/include/*.h; do
    name=$(basename "$header")
    for language in "${CC:-cc} c c99" "${CC:-cc} c c11" \
        "${CXX:-c++} c++ c++11" "${CXX:-c++} c++ c++17"; do
        # shellcheck disable=SC2086
        echo "#include <$name>" | compile $language
        # shellcheck disable=SC2086
        printf '#include <string.h>\n#include <%s>\n#include <%s>\n' \
            "$name" "$name" | compile $language
    done
done
# The program in the comment at the top of the header.
program() {
    sed -n '/^ \* A whole program/,/^ \* The order/ s/^ \*     //p' \
        "$root/include/lhttpd.h"
}
program | grep -q 'int main' || {
    echo 'lhttpd.h: no program at its top'
    exit 1
}
program | compile "${CC:-cc}" c c99

if echo 'int x = "no";' | compile "${CC:-cc}" c c99 2>/dev/null; then
    echo 'the compiler finds no mistake'
    exit 1
fi

# Names of functions whose first argument is a server.
of_server() {
    tr '\n' ' ' <"$root/include/lhttpd.h" |
        grep -oE 'lhttpd_[a-z_]+\( *(const )?lhttpd_server_t \*[a-z]' |
        sed 's/(.*//' | sort -u
}
in_child() {
    sed -n '/^static int calls_of_child/,/^}/p' "$root/test/unit/test_loop.c" |
        grep -oE 'lhttpd_[a-z_]+\(server' | sed 's/(.*//' | sort -u
}
of_server | grep -qx lhttpd_server_log || {
    echo 'lhttpd.h: no functions of a server are found'
    exit 1
}
missed=$(in_child | { of_server; cat; } | sort | uniq -u)
if [ -n "$missed" ]; then
    echo "not called in a forked child, by test_loop.c: $missed"
    exit 1
fi

for name in $(grep -oE '^(bool|void) test_[a-z_]+\(' "$root/test/lib/deny.h" \
    "$root/test/lib/uring.h" | sed 's/.* //'); do
    grep -q "^[a-z]* $name" "$root/test/lib/none.c" || {
        echo "test/lib/none.c has no $name)"
        exit 1
    }
done
echo 'the public headers stand alone'
