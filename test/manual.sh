#!/bin/sh
#
# Checks the manual: every function of the header has a page of its own name,
# which says what the header says, examples with their lines; no page makes the
# formatter complain or changes a heading; and the programs in the pages compile.
# First it proves that it finds a missing page.
#
# Usage: test/manual.sh
#
# The command of the environment variable CC is used if it is set.

set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/man3"
awk -f "$root/docs/pages.awk" -v out="$work/man3" "$root/include/lhttpd.h" ||
    exit 1

# The functions of the header on standard input: those of the library, and its
# inline ones.
functions() {
    sed -n '/^LHTTPD_API/,/;/p; s/^static inline .* \(lhttpd_[a-z_]*(\)/\1/p' |
        sed 's|/\*.*||' | grep -o '\<lhttpd_[a-z0-9_]*(' | tr -d '(' | sort -u
}

# The page of a function: its own, or the one that its file leads to.
page_of() {
    link=$(sed -n 's/^\.so //p' "$work/man3/$1.3")
    echo "$work/${link:-man3/$1.3}"
}

# Prints what is missing for the header on standard input.
problems() {
    for name in $(functions); do
        if [ ! -f "$work/man3/$name.3" ]; then
            echo "$name: no page"
        elif ! sed -n '/^\.Sh NAME/,/^\.Nd/p' "$(page_of "$name")" |
            grep -q "^\.Nm $name\( ,\)*$"; then
            echo "$name: its page does not name it"
        elif ! grep -q "$name(" "$(page_of "$name")"; then
            echo "$name: its page does not declare it"
        fi
    done
}

wrong=$(problems <"$root/include/lhttpd.h")
[ "$(functions <"$root/include/lhttpd.h" | wc -l)" -gt 25 ] ||
    wrong="hardly a function was found in the header"
if [ -z "$(echo 'LHTTPD_API int lhttpd_new(void);' | problems)" ]; then
    wrong='a missing page is not found'
fi

# An example in a comment of a header keeps its lines.
cat >"$work/example.h" <<'EOF'
/* --- waiting --- */

/*
 * It is its last statement:
 *
 *     static int ask(void)
 *     {
 *         begin();
 *
 *         return 1;
 *     }
 *
 * Then it waits.
 */
LHTTPD_API int lhttpd_x(void);
EOF
mkdir "$work/example"
awk -f "$root/docs/pages.awk" -v out="$work/example" "$work/example.h"
example=$(sed -n '/^It is/,/^Then/p' "$work/example/lhttpd_x.3")
[ "$example" = 'It is its last statement:
.Bd -literal -offset indent
static int ask(void)
{
    begin();

    return 1;
}
.Ed
.Pp
Then it waits.' ] || wrong="$wrong
an example does not keep its lines: $example"

# groff's complaints, but for those of links, which want an installed page.
if command -v groff >/dev/null; then
    awk -f "$root/docs/markdown.awk" -v name=lhttpd-lua -v section=7 \
        "$root/docs/lua-api.md" >"$work/lhttpd-lua.7" || exit 1
    for page in "$work"/man3/*.3 "$work"/*.7 "$root"/docs/*.[0-9]; do
        grep -q '^\.so ' "$page" && continue
        said=$(groff -ww -mandoc -Tascii "$page" 2>&1 >/dev/null)
        [ -z "$said" ] || wrong="$wrong
$page: $said"
    done
fi

# Headings are words: one that is a macro too, as In, is printed as another thing.
for page in "$work"/man3/*.3 "$root"/docs/*.[0-9]; do
    said=$(grep -E '^\.S[hs] (.* )?(Ad|An|Ap|At|Bx|Em|In|No|Ns|St|Sy)( |$)' "$page") &&
        wrong="$wrong
$page: a word of a heading is a macro: $said"
done

# What stands between .Bd and .Ed, as it was before it was a manual page.
literals() {
    awk '/^\.Ed/ { inside = 0 } inside; /^\.Bd -literal/ { inside = 1 }' "$1" |
        sed "s/^\\\\&//; s/\\\\e/\\\\/g"
}

lua=$(pkg-config --cflags "${LUA:-luajit}")
for page in "$root"/docs/*.3; do
    literals "$page" | grep -q 'int main' || continue
    # shellcheck disable=SC2086
    said=$(literals "$page" | ${CC:-cc} -x c -std=c99 -D_GNU_SOURCE -Wall \
        -Wextra -Werror -fsyntax-only -I "$root/include" $lua - 2>&1) ||
        wrong="$wrong
$page: $said"
done

if [ -n "$wrong" ]; then
    printf '%s\n' "$wrong"
    exit 1
fi
echo 'the manual is whole'
