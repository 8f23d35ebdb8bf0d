#!/bin/sh
#
# Checks that each public header compiles alone, as C99 and as C++11, without a
# warning, and that a program may include it twice and beside <string.h>.
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
if echo 'int x = "no";' | compile "${CC:-cc}" c c99 2>/dev/null; then
    echo 'the compiler finds no mistake'
    exit 1
fi
echo 'the public headers stand alone'
