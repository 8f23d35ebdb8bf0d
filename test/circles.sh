#!/bin/sh
#
# Checks that the files of a folder of lib/ do not depend on each other in
# circles.  An arrow leads from a file to another one of its folder whose
# function or variable it uses, as the symbols of the object files tell.  First
# it proves on a planted circle that it finds one.  The same symbols tell that
# nothing is allocated but by base/mem.c.  Static functions, which have no symbol
# any more once they are inlined, are read from the sources: no two files of the
# library have one of the same name, so that a name in a backtrace is enough.
#
# Usage: test/circles.sh BUILD_DIRECTORY
#
# The commands of the environment variables CC and NM are used if they are set.

set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1
[ $# = 1 ] || {
    echo 'Usage: test/circles.sh BUILD_DIRECTORY'
    exit 2
}
build=$(cd "$1" && pwd) || exit 1

# Folders that have circles still.  One that has none any more has to leave
# this list, so that it only gets shorter.
pending=''

# file:symbol of arrows that do not count.  os/aio.c has the list of ways to do
# file operations, which call back into it; every way but this list is below.
excused='os/aio.c:lh_aio_all_ways'

# Prints "name files" for each static function that several of the files $2 of
# the directory $1 define.  A declaration before counts as the same file's.
twins() {
    (cd "$1" && awk '
        !/^static .*[(]/ { next }
        {
            name = $0
            sub(/[(].*/, "", name)
            if (name ~ /=/) next
            sub(/.*[ *]/, "", name)
            if (name != "" && !((name, FILENAME) in seen)) {
                seen[name, FILENAME] = 1
                files[name] = files[name] " " FILENAME
                count[name]++
            }
        }
        END { for (name in count) if (count[name] > 1) print name files[name] }
    ' $2 | sort)
}

# Prints the objects below the directory $1 whose sources are in the directory
# $2 still; a build directory keeps objects of files that were renamed.
objects() {
    (cd "$1" && find . -name '*.c.o' | sed 's|^\./||' | sort) |
        while read -r object; do
            [ -f "$2/${object%.o}" ] && echo "$object"
        done
}

# Prints "from to symbol" for each arrow inside a folder, from the directory of
# objects $1 with the sources $2.
arrows() {
    (cd "$1" && objects . "$2" | xargs "${NM:-nm}" -A -P -g) | awk '
        { file = $1; sub(/\.o:$/, "", file) }
        $3 ~ /^[TDBRCGS]$/ { home[$2] = file }
        $3 == "U" { uses[++n] = file " " $2 }
        function folder(path) { sub(/\/[^\/]*$/, "", path); return path }
        END {
            for (i = 1; i <= n; i++) {
                split(uses[i], use, " ")
                to = home[use[2]]
                if (to != "" && to != use[1] && folder(to) == folder(use[1]))
                    print use[1], to, use[2]
            }
        }' | sort
}

# Reads arrows, without those that are excused; prints a line a folder that has
# circles: its name, then the shortest circle, file by file with the symbols.
circles() {
    awk -v excused="$excused" '
        BEGIN {
            n = split(excused, list, " ")
            for (i = 1; i <= n; i++) no[list[i]] = 1
        }
        ($1 ":" $3) in no { next }
        !(($1, $2) in by) {
            by[$1, $2] = $3
            next_of[$1] = next_of[$1] " " $2
            if (!($1 in known)) { known[$1] = 1; files[++count] = $1 }
        }

        # The shortest way from a file back to itself, breadth first.
        function way_back(start,    queue, head, tail, prev, to, n, i, f, path) {
            queue[tail = 1] = start
            for (head = 1; head <= tail; head++) {
                n = split(next_of[queue[head]], to, " ")
                for (i = 1; i <= n; i++) {
                    if (to[i] in prev) continue
                    prev[to[i]] = queue[head]
                    queue[++tail] = to[i]
                }
            }
            if (!(start in prev)) return ""
            length_of_way = 0
            path = start
            f = start
            do {
                path = prev[f] " -[" by[prev[f], f] "]-> " path
                f = prev[f]
                length_of_way++
            } while (f != start)
            return path
        }

        END {
            for (f = 1; f <= count; f++) {
                way = way_back(files[f])
                if (way == "") continue
                folder = files[f]
                sub(/\/[^\/]*$/, "", folder)
                name = files[f]
                sub(/.*\//, "", name)
                inside[folder] = inside[folder] " " name
                if (!(folder in best) || length_of_way < best[folder]) {
                    best[folder] = length_of_way
                    shortest[folder] = way
                }
            }
            for (folder in best)
                print folder ": circle: " shortest[folder] \
                    "; all files that are in one:" inside[folder]
        }' | sort
}

# Prints "file symbol" for each use of the C library's heap, or of what gives
# away a block of it, by the objects below $1 with the sources $2; but for
# base/mem.c, and for os/stdio_musl.c, whose block the C library frees.
heap_uses() {
    (cd "$1" && objects . "$2" | xargs "${NM:-nm}" -A -P -g) | awk '
        $3 == "U" && $2 ~ /^(malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|memalign|posix_memalign|valloc|asprintf|vasprintf|getline|getdelim|open_memstream|scandir|realpath|luaL_newstate)$/ {
            file = $1
            sub(/\.o:$/, "", file)
            if ($2 != "luaL_newstate") own = "^(base/mem|os/stdio_musl)[.]c$"
            else own = "^lua/alloc[.]c$"
            if (file !~ own) print file, $2
        }' | sort
}

# Compiles each of the files of the directory $1 to an object beside it.
compile() {
    (cd "$1" && for file in */*.c; do
        ${CC:-cc} -c -o "$file.o" "$file" || exit 1
    done)
}

# plant EXPECTED FILE TEXT ...: what is found in these files must match.
planted=$(mktemp -d) || exit 1
trap 'rm -rf "$planted"' EXIT
plant() {
    expected=$1
    shift
    rm -rf "${planted:?}"/*
    while [ $# -gt 0 ]; do
        mkdir -p "$planted/$(dirname "$1")"
        printf '%s\n' "$2" >"$planted/$1"
        shift 2
    done
    compile "$planted" || exit 1
    seen=$(arrows "$planted" "$planted" | circles)
    case $seen in
    $expected) ;;
    *)
        echo "of the planted files was wanted '$expected', found '$seen'"
        exit 1
        ;;
    esac
}

plant 'x: circle: x/a.c -?b?-> x/b.c -?c?-> x/c.c -?a?-> x/a.c;*: a.c b.c c.c' \
    x/a.c 'int b(void); int a(void) { return b(); }' \
    x/b.c 'extern int (*c)(void); int d(void); int b(void) { return c() + d(); }' \
    x/c.c 'int a(void); int (*c)(void) = a;' \
    x/d.c 'int d(void) { return 0; }'
# Neither arrows that lead one way nor those between folders are circles.
plant '' x/a.c 'int b(void); int a(void) { return b(); }' \
    x/b.c 'int c(void); int b(void) { return c(); }' \
    x/c.c 'static int a(void) { return 1; } int c(void) { return a(); }'
plant '' x/a.c 'int b(void); int a(void) { return b(); }' \
    y/b.c 'int a(void); int b(void) { return a(); }'

# What does not ask base/mem.c is found, and nothing else is.
mkdir -p "$planted/base" "$planted/x"
echo 'void *malloc(unsigned long); void *a(void) { return malloc(7); }' |
    tee "$planted/base/mem.c" >"$planted/x/c.c"
compile "$planted" || exit 1
seen=$(heap_uses "$planted" "$planted")
[ "$seen" = 'x/c.c malloc' ] || {
    echo "of a planted use of the heap was found '$seen'"
    exit 1
}

tree=$build/CMakeFiles/lhttpd_objects.dir
if [ "$(objects "$tree" "$root" | wc -l)" -lt 50 ]; then
    echo "no object files of the library below $tree: build it first"
    exit 1
fi
found=$(arrows "$tree/lib" "$root/lib") || exit 1
wrong=0

for excuse in $excused; do
    if ! printf '%s\n' "$found" | grep -q "^${excuse%:*} .* ${excuse#*:}$"; then
        echo "no such arrow any more, take it off the list: $excuse"
        wrong=1
    fi
done

uses=$(heap_uses "$tree/lib" "$root/lib") || exit 1
if [ -n "$uses" ]; then
    printf 'past the program'"'"'s allocator (base/mem.h):\n%s\n' "$uses"
    wrong=1
fi

rings=$(printf '%s\n' "$found" | circles)
for folder in $(printf '%s\n' "$rings" | sed 's/:.*//'); do
    case " $pending " in
    *" $folder "*) ;;
    *)
        printf '%s\n' "$rings" | grep "^$folder:"
        wrong=1
        ;;
    esac
done
for folder in $pending; do
    [ -d "$tree/lib/$folder" ] || continue
    if ! printf '%s\n' "$rings" | grep -q "^$folder:"; then
        echo "$folder: no circle any more: take it off the list 'pending'"
        wrong=1
    fi
done
# Two of the same name are found, one that is declared before is not.
rm -rf "${planted:?}"/*
mkdir "$planted/x"
printf '%s\n' 'static int a(void);' 'static int a(void) { return 1; }' \
    'static int b[] = {(1)};' >"$planted/x/a.c"
printf '%s\n' 'static int b(void) { return a(2); }' \
    'static void *' >"$planted/x/b.c"
printf '%s\n' 'static const char *b(int n)' '{' >"$planted/x/c.c"
seen=$(twins "$planted" 'x/a.c x/b.c x/c.c')
[ "$seen" = 'b x/b.c x/c.c' ] || {
    echo "of planted static functions was found '$seen'"
    exit 1
}
sources=$(objects "$tree/lib" "$root/lib" | sed 's|\.o$||')
twins "$root/lib" "$sources" >"$planted/twins" || exit 1
while read -r name files; do
    echo "static functions of one name, $name: $files"
    wrong=1
done <"$planted/twins"

# A static function with a name of the C library's would mislead who reads a
# backtrace, and hide that function from its file.
libc=$("${CC:-cc}" -print-file-name=libc.so.6)
if [ -f "$libc" ]; then
    names=$(mktemp) || exit 1
    "${NM:-nm}" -D -P -g "$libc" | sed 's/[@ ].*//' | sort -u >"$names"
    grep -qx accept "$names" || {
        echo "no names found in $libc"
        wrong=1
    }
    taken=$(cd "$tree" && objects . "$root" | xargs "${NM:-nm}" -P |
        awk '$2 == "t" { print $1 }' | sort -u | comm -12 - "$names")
    rm "$names"
    if [ -n "$taken" ]; then
        echo "static functions with names of the C library:" $taken
        wrong=1
    fi
fi
[ $wrong = 0 ] || exit 1
echo "no circles${pending:+, but for those of: $pending}"
