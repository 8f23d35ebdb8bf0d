#!/bin/sh
#
# Checks that the documentation says what the code says: limits and their
# defaults, the options of the binary, the public functions, those of the httpd
# module, and links between the documents.  First it proves on planted mistakes
# that it finds them.
#
# Usage: test/docs.sh

set -u
export LC_ALL=C
root=$(cd "$(dirname "$0")/.." && pwd) || exit 1

# name default, as lib/base/limits.c has them.
limits_of_code() {
    sed -n 's/^ *LIMIT(\([a-z0-9_]*\), \(.*\), [A-Z_]*),$/\1 \2/p' \
        lib/base/limits.c |
        while read -r name value; do
            case $value in
            LHTTPD_UNLIMITED) echo "$name unlimited" ;;
            0) echo "$name of the descriptors" ;;
            *) echo "$name $(($value))" ;;
            esac
        done
}

# The same from the tables of docs/limits.md, and the header's comments.
limits_of_docs() {
    sed '/^## Settings/,/^## Fixed/d' docs/limits.md |
        sed -n 's/^| `\([a-z0-9_]*\)` | \([^|]*\) | [^|]* |.*/\1 \2/p' |
        sed 's/ 90 % of the descriptor limit$/ of the descriptors/'
}

# name state, until when each limit and setting may be set.
states_of_code() {
    sed -n 's/^ *LIMIT(\([a-z0-9_]*\),.*, \([A-Z_]*\)),$/\1 \2/p' \
        lib/base/limits.c
    sed -n '/settings_table\[\] =/,/^}/p' lib/server/settings.c |
        sed -n 's/^ *{"\([a-z0-9_]*\)", \([A-Z_]*\),.*/\1 \2/p'
}

states_of_docs() {
    {
        sed '/^## Settings/,/^## Fixed/d' docs/limits.md |
            sed -n 's/^| `\([a-z0-9_]*\)` | [^|]* | \([^|]*\) |.*/\1 \2/p'
        sed -n '/^## Settings/,/^## Fixed/p' docs/limits.md |
            sed -n 's/^| `\([a-z0-9_]*\)` | \([^|]*\) |.*/\1 \2/p'
    } | sed 's/ before start$/ BEFORE_START/; s/ running$/ RUNNING/'
}

limits_of_header() {
    sed -n '/^typedef struct lhttpd_limits_t/,/^}/p' include/lhttpd.h |
        sed -n 's/^ *uint64_t \([a-z0-9_]*\);[ /*]*\([0-9a-z]*\).*/\1 \2/p' |
        sed 's/ 90$/ of the descriptors/'
}

settings_of_code() {
    sed -n '/settings_table\[\] =/,/^}/p' lib/server/settings.c |
        sed -n 's/^ *{"\([a-z0-9_]*\)",.*/\1/p'
}

settings_of_docs() {
    sed -n '/^## Settings/,/^## Fixed/p' docs/limits.md |
        sed -n 's/^| `\([a-z0-9_]*\)` .*/\1/p'
}

settings_of_header() {
    sed -n '/^ \* Sets what has a name/,/^ \*\//p' include/lhttpd.h |
        sed -n 's/^ \* - \([a-z0-9_]*\):.*/\1/p'
}

# Names alone: lhttpd.8 lists them for -o.
names_of_code() {
    limits_of_code | sed 's/ .*//'
    settings_of_code
}

names_of_page() {
    sed -n 's/^\.It Li \([a-z0-9_]*\) Ta .*/\1/p' docs/lhttpd.8
}

settings_of_library_page() {
    sed -n '/^\.Fn lhttpd_server_set$/,/^\.Pa /p' docs/liblhttpd.3 |
        sed -n 's/^\.Li \([a-z0-9_]*\).*/\1/p'
}

# differ WHAT OF WITH: says which lines only one of two lists has.
differ() {
    a=$(mktemp) && b=$(mktemp) || exit 1
    $2 | sort >"$a"
    $3 | sort >"$b"
    [ -s "$a" ] || echo "$1: nothing found"
    comm -23 "$a" "$b" | sed "s|^|$1: missing: |"
    comm -13 "$a" "$b" | sed "s|^|$1: too much or wrong: |"
    rm "$a" "$b"
}

# The letters in the first column of the help of cmd/lhttpd.c, and getopt's.
options_of_help() {
    sed -n 's/^ *"  \(-[A-Za-z].*\)/\1/p' cmd/lhttpd.c | sed 's/   *.*//' |
        grep -o '\-[A-Za-z]\>' | tr -d -
}

options_of_getopt() {
    sed -n 's/^#define OPTIONS  *"\([^"]*\)".*/\1/p' cmd/lhttpd.c |
        grep -o '[A-Za-z]'
}

options_of_page() {
    sed -n 's/^\.It Fl \([A-Za-z]\)\>.*/\1/p' docs/lhttpd.8
}

functions_of_header() {
    grep -o '\<lhttpd_[a-z0-9_]*(' include/lhttpd.h | tr -d '(' | sort -u
}

functions_of_page() {
    sed -n 's/^\.F[no] "*\(lhttpd_[a-z0-9_]*\).*/\1/p' docs/liblhttpd.3 |
        sort -u
}

# httpd's functions: from the lists in C, and those that boot.lua makes.
httpd_of_code() {
    for file in lib/lua/*.c; do
        sed -n '/^const luaL_Reg lh_[a-z_]*functions\[\]/,/^}/p' "$file"
    done | grep -o '{"[a-z0-9_]*"' | tr -d '{"'
    sed -n 's/^ *httpd\.\([a-z0-9_]*\) =.*/\1/p' lib/lua/boot.lua
}

# Whatever the document names.
httpd_of_docs() {
    grep -o '`httpd\.[a-z][a-z0-9_]*' docs/lua-api.md | sed 's/.*\.//' | sort -u
}

# The definitions for editors, and how the document writes each function first.
httpd_of_definitions() {
    sed -n 's/^function httpd\.\([a-z0-9_]*\)(.*/\1/p; s/^httpd\.\([a-z0-9_]*\) = {}/\1/p' \
        share/lhttpd/httpd.lua
}

signatures_of_definitions() {
    sed -n 's/^function httpd\.\(.*)\) end$/\1/p' share/lhttpd/httpd.lua | tr -d ' '
}

signatures_of_docs() {
    grep -o '`httpd\.[a-z0-9_.]*([^`]*)`' docs/lua-api.md | tr -d '`[] ' |
        sed 's/^httpd\.//' | awk -F '(' '!seen[$1]++'
}

# The files that a document links to, as it writes them.
links_of() {
    grep -o '](\([^)]*\))' "$1" | sed 's/^](//; s/)$//; s/#.*//' |
        grep -vE '^([a-z]+:|$)'
}

links() {
    find . -name '*.md' -not -path './build/*' | while read -r file; do
        links_of "$file" | while read -r link; do
            [ -e "$(dirname "$file")/$link" ] ||
                echo "$file: a link to nowhere: $link"
        done
    done
}

# What is installed links to what is installed beside it: manual pages, the header and
# what is for developers are not.
installed_links() {
    for file in README.md CHANGELOG.md SECURITY.md docs/*.md; do
        links_of "$file" | while read -r link; do
            case $(echo "$(dirname "$file")/$link" | sed 's|^\./||; s|^docs/\.\./||') in
            README.md | CHANGELOG.md | SECURITY.md | LICENSE) ;;
            docs/*.md | examples/*.lua) ;;
            *) echo "$file: a link to what is not installed: $link" ;;
            esac
        done
    done
}

# What documents for developers name must be somewhere in the code: a symbol,
# or a file of lib/ by its path or by its name alone.
symbols() {
    for file in CONTRIBUTING.md docs/architecture.md; do
        grep -oE '\blh_[a-z0-9_]*[a-z0-9]\b' "$file" | sort -u |
            while read -r name; do
                grep -rqw "$name" lib || echo "$file: not in lib/: $name"
            done
        grep -oE '`[a-z0-9_/]+\.[ch]`' "$file" | tr -d '`' | sort -u |
            while read -r name; do
                [ -n "$(find lib include cmd -path "*/$name")" ] ||
                    [ -e "$name" ] ||
                    echo "$file: no such file: $name"
            done
    done
}

# The recipes of packages: this version and licence, options that cmake has, and each
# TLS library that it takes.
recipes() (
    version=$(sed -n 's/^project(lhttpd VERSION \([0-9.]*\) .*/\1/p' CMakeLists.txt)
    cd share/packaging || exit 1
    openwrt=openwrt/lhttpd/Makefile
    yocto=yocto/lhttpd/lhttpd_$version.bb
    [ -e "$yocto" ] || { echo "there is no $yocto" && exit; }
    for line in "$openwrt:PKG_VERSION:=$version" "alpine/APKBUILD:pkgver=$version" \
        "$yocto:LIC_FILES_CHKSUM = \"file://LICENSE;md5=$(md5sum <../../LICENSE |
            sed 's/ .*//')\"" "debian/changelog:lhttpd ($version-1) unstable; urgency=medium"; do
        grep -qxF "${line#*:}" "${line%%:*}" ||
            echo "${line%%:*}: not as CMakeLists.txt and LICENSE have it: ${line#*:}"
    done
    for recipe in $openwrt "$yocto" alpine/APKBUILD; do
        grep -oE '[-]DLHTTPD_[A-Z0-9_]+' "$recipe" | sed 's/^-D//' | while read -r name; do
            grep -qE "^(option|set)\($name " ../../CMakeLists.txt ||
                echo "$recipe: cmake knows no $name"
        done
        for library in $(sed -n 's/.*LHTTPD_TLS PROPERTY STRINGS \(.*\))/\1/p' \
            ../../CMakeLists.txt); do
            grep -qw "$library" "$recipe" || echo "$recipe: no $library"
        done
    done
)

# Prints what is wrong in the tree $1.
problems() {
    (
        cd "$1" || exit 1
        differ docs/limits.md limits_of_code limits_of_docs
        differ docs/limits.md states_of_code states_of_docs
        differ include/lhttpd.h limits_of_code limits_of_header
        differ docs/limits.md settings_of_code settings_of_docs
        differ include/lhttpd.h settings_of_code settings_of_header
        differ docs/liblhttpd.3 settings_of_code settings_of_library_page
        differ 'the help' options_of_getopt options_of_help
        differ docs/lhttpd.8 options_of_help options_of_page
        differ docs/lhttpd.8 names_of_code names_of_page
        differ docs/liblhttpd.3 functions_of_header functions_of_page
        differ docs/lua-api.md httpd_of_code httpd_of_docs
        differ share/lhttpd/httpd.lua httpd_of_code httpd_of_definitions
        differ share/lhttpd/httpd.lua signatures_of_docs \
            signatures_of_definitions
        links
        installed_links
        symbols
        recipes
    )
}

# copied COMMAND...: what is wrong in a copy of the tree after the command has run there.
copied() {
    dir=$(mktemp -d) || exit 1
    (cd "$root" && cp -R CMakeLists.txt *.md LICENSE docs include cmd share lib test "$dir") ||
        exit 1
    (cd "$dir" && "$@")
    problems "$dir"
    rm -r "$dir"
}

# plant FILE SED-SCRIPT: in a copy of the tree, the edit must be found.
missed=0
plant() {
    if [ -z "$(copied sed -i "$2" "$1")" ]; then
        echo "not found in $1: $2"
        missed=1
    fi
}

found=$(problems "$root")
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit 1
fi
# A copy as it is has nothing wrong, or each mistake would seem to be found.
found=$(copied true)
if [ -n "$found" ]; then
    printf 'in a copy: %s\n' "$found"
    exit 1
fi
plant docs/limits.md '/^| `h2_settings`/d'
plant docs/limits.md 's/^| `idle_timeout_ms` | 60000/| `idle_timeout_ms` | 6000/'
plant docs/limits.md '$a | `no_limit` | 3 | past it |'
plant lib/base/limits.c 's/LIMIT(header_fields, 128,/LIMIT(header_fields, 64,/'
plant include/lhttpd.h 's|linger_bytes;  *\/\* 65536|linger_bytes; /* 6553|'
plant docs/limits.md '/^| `unix_owner`/d'
plant docs/limits.md 's/^\(| `unix_mode` |\) before start/\1 running/'
plant docs/limits.md 's/^\(| `idle_timeout_ms` .*|\) running/\1 before start/'
plant include/lhttpd.h 's/^ \* - unix_mode:/ * - unix_moed:/'
plant docs/lhttpd.8 '/^\.It Li unix_group/d'
plant docs/lhttpd.8 '/^\.It Fl w/d'
plant docs/lhttpd.8 's/^\.It Fl w/.It Fl W/'
plant docs/lhttpd.8 '/^\.It Li send_timeout_ms/d'
plant cmd/lhttpd.c 's/^\( *"  \)-w workers/\1-n workers/'
plant docs/liblhttpd.3 '/^\.F[no] lhttpd_server_adopt/d'
plant include/lhttpd.h '$a int lhttpd_new_function(void);'
plant docs/lua-api.md 's/httpd\.sleep/httpd.slep/g'
plant lib/lua/api_header.c 's/{"trailer"/{"trailers"/'
plant share/lhttpd/httpd.lua 's/^function httpd.sync/function httpd.fsync/'
plant share/lhttpd/httpd.lua 's/(path, mode, timeout)/(path, timeout)/'
plant docs/limits.md '$a See [this](nowhere.md#part).'
plant docs/limits.md '$a See [this](lhttpd.8).'
plant docs/limits.md '$a See [this](../CONTRIBUTING.md).'
plant CONTRIBUTING.md 's/`lh_tool_functions`/`lh_tools`/'
plant docs/architecture.md '$a The file `server/nowhere.c`.'
plant CMakeLists.txt 's/^project(lhttpd VERSION 0/project(lhttpd VERSION 1/'
plant CMakeLists.txt 's/LHTTPD_TLS PROPERTY STRINGS/& another/'
plant LICENSE 's/2026/2027/'
plant share/packaging/alpine/APKBUILD 's/-DLHTTPD_TLS/-DLHTTPD_SSL/'
[ $missed = 0 ] || exit 1
echo 'the documentation says what the code says'
