#!/bin/sh
#
# Checks that every .c file of lib/ has a unit test of its name, as lib/base/buf.c
# has test/unit/test_buf.c, or stands in test/unit/covered.txt with the test that
# covers it.  First it proves on planted mistakes that it finds them.
#
# Usage: test/covered.sh

set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
list=test/unit/covered.txt

# Prints what is wrong in the tree $1.
problems() {
    (
        cd "$1" || exit 1
        for file in $(cd lib && find . -name '*.c' | sed 's|^\./||' | sort); do
            name=test_$(basename "$file" .c)
            if [ -f "test/unit/$name.c" ]; then
                ! grep -q "^$file " $list ||
                    echo "$list: $file has a test of its name, $name"
            elif ! grep -q "^$file " $list; then
                echo "lib/$file: neither test/unit/$name.c nor a line in $list"
            fi
        done
        sed '/^#/d' $list | while read -r file by; do
            [ -f "lib/$file" ] || echo "$list: there is no lib/$file"
            case $by in
            e2e/*) [ -f "test/$by.py" ] ;;
            *) [ -f "test/unit/$by.c" ] ;;
            esac || echo "$list: $file: there is no test '$by'"
        done
    )
}

# plant COMMAND: after it, run in a copy of the tree, something must be wrong.
missed=0
plant() {
    dir=$(mktemp -d) || exit 1
    (cd "$root" && find lib test/unit test/e2e -type d) |
        (cd "$dir" && xargs mkdir -p) || exit 1
    (cd "$root" && find lib test/unit test/e2e -name '*.c' -o -name '*.py') |
        (cd "$dir" && xargs touch) || exit 1
    cp "$root/$list" "$dir/$list"
    (cd "$dir" && eval "$1")
    if [ -z "$(problems "$dir")" ]; then
        echo "not found: $1"
        missed=1
    fi
    rm -r "$dir"
}

found=$(problems "$root")
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit 1
fi
plant 'touch lib/base/new.c'
plant 'rm test/unit/test_buf.c'
plant 'rm lib/os/evq_epoll.c'
plant 'touch test/unit/test_evq_epoll.c'
plant "echo 'base/buf.c test_buf' >>$list"
plant "sed -i 's/test_watch\$/test_watsch/' $list"
plant "sed -i 's|e2e/test_h2\$|e2e/test_h3|' $list"
[ $missed = 0 ] || exit 1
echo 'every file of lib/ has its test'
