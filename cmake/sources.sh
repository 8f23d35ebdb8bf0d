# Libraries that lhttpd needs, built from Debian's source packages for another C
# library or another processor.  The scripts libraries.sh read this file; before,
# they set
#
#   root       the directory that all of it goes into
#   cc, ar     the compiler and the archiver
#   for_what   its name for the user
#   toolchain  what tells CMake the same
#
# and then call build_sources with the names of source packages.  Nothing outside
# of `root` changes: the list of packages is one of its own, not /etc/apt's.  What
# is there already is not built again.
jobs=$(nproc)

need_tools() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || {
            echo "$0: $tool is not installed (Debian: $tool_packages)" >&2
            exit 1
        }
    done
}

# --- the sources -----------------------------------------------------------------

# Debian's keys are the user's; all else of apt's is in $root/apt.
apt_get() {
    apt-get -qq -o Dir::Etc::sourcelist="$root/apt/sources.list" \
        -o Dir::Etc::sourceparts=- -o Dir::State::lists="$root/apt/lists" \
        -o Dir::Cache="$root/apt/cache" -o APT::Sandbox::User=root "$@"
}

# prepare_apt TYPE [option of apt-get ...]: TYPE is deb or deb-src.
prepare_apt() {
    type=$1
    shift
    mkdir -p "$root/apt/lists/partial" "$root/apt/cache/archives/partial"
    . /etc/os-release
    echo "$type [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "http://deb.debian.org/debian $VERSION_CODENAME main" \
        >"$root/apt/sources.list"
    apt_get "$@" update
}

fetch_source() {
    [ ! -e "$root/src/$1.fetched" ] || return 0
    mkdir -p "$root/src/$1"
    (cd "$root/src/$1" && apt_get source "$1" >/dev/null)
    : >"$root/src/$1.fetched"
}

# --- one function builds one package, in the directory of its source -----------

# describe NAME VERSION LIBRARIES HEADERS: for pkg-config.
describe() {
    cat >"$root/lib/pkgconfig/$1.pc" <<END
Name: $1
Description: Lua
Version: $2
Libs: -L$root/lib $3
Cflags: -I$root/include/$4
END
}

# By its own unwinder: gcc's, in libgcc_eh, needs glibc.
build_luajit() {
    make clean
    make -C src -j"$jobs" CC="$cc" BUILDMODE=static \
        XCFLAGS='-fPIC -DLUAJIT_NO_UNWIND' libluajit.a
    mkdir -p "$root/include/luajit-2.1"
    cp src/lua.h src/luaconf.h src/lauxlib.h src/lualib.h src/luajit.h \
        "$root/include/luajit-2.1/"
    cp src/libluajit.a "$root/lib/libluajit-5.1.a"
    describe luajit 2.1 '-lluajit-5.1 -lm' luajit-2.1
}

# build_lua VERSION [flag ...]: its Makefile wants libtool, and Debian's own header
# the name of the machine.
build_lua() {
    name=lua$1
    version=$1
    shift
    cd src
    header=$name-deb-multiarch.h
    echo "#define DEB_HOST_MULTIARCH \"$($cc -print-multiarch)\"" >"$header"
    for file in *.c; do
        case $file in lua.c | luac.c | ltests.c | print.c) continue ;; esac
        $cc -O2 -fPIC -DLUA_USE_LINUX "$@" -c "$file"
    done
    rm -f "lib$name.a" lua.o luac.o
    $ar rcs "lib$name.a" ./*.o
    mkdir -p "$root/include/$name"
    cp lua.h luaconf.h lauxlib.h lualib.h "$header" "$root/include/$name/"
    cp "lib$name.a" "$root/lib/"
    describe "$name" "$version" "-l$name -lm" "$name"
}

build_lua5_4() {
    build_lua 5.4 -DLUA_COMPAT_5_3
}

build_lua5_1() {
    build_lua 5.1
}

build_bearssl() {
    make -j"$jobs" CC="$cc" LD="$cc" AR="$ar" CFLAGS='-W -Wall -Os -fPIC' lib
    cp build/libbearssl.a "$root/lib/"
    cp inc/*.h "$root/include/"
}

with_cmake() {
    # shellcheck disable=SC2086
    cmake -S . -B made $toolchain -DCMAKE_INSTALL_PREFIX="$root" \
        -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_POSITION_INDEPENDENT_CODE=ON "$@"
    cmake --build made -j "$jobs"
    cmake --install made
}

build_nghttp2() {
    with_cmake -DENABLE_LIB_ONLY=ON -DENABLE_STATIC_LIB=ON \
        -DENABLE_SHARED_LIB=OFF
    [ -e "$root/lib/libnghttp2.a" ] ||
        ln -s libnghttp2_static.a "$root/lib/libnghttp2.a"
}

# It has structs of its own for those of the kernel's headers that it does not find,
# and these would be defined twice.
build_liburing() {
    printf '#!/bin/sh\nexec %s -isystem %s "$@"\n' "$cc" "$root/include" >cc
    chmod +x cc
    ./configure --cc="$PWD/cc" --prefix="$root" --libdir="$root/lib"
    make -C src -j"$jobs" AR="$ar" CPPFLAGS="-isystem $root/include" liburing.a
    cp src/liburing.a "$root/lib/"
    cp -r src/include/* "$root/include/"
    make liburing.pc && cp liburing.pc "$root/lib/pkgconfig/"
}

build_cmocka() {
    with_cmake -DWITH_STATIC_LIB=ON -DWITH_EXAMPLES=OFF
    rm -f "$root"/lib/libcmocka.so*
    mv "$root/lib/libcmocka-static.a" "$root/lib/libcmocka.a"
}

build_source() {
    log=$root/$1.log
    [ ! -e "$root/$1.built" ] || return 0
    echo "building $1 for $for_what"
    fetch_source "$1"
    # In the background, where -e ends it at the first command that fails.
    (cd "$root/src/$1"/*/ && set -x && "build_$(echo "$1" | tr . _)") \
        >"$log" 2>&1 &
    wait $! || {
        tail -30 "$log" >&2
        echo "$0: $1 does not build; all of its words are in $log" >&2
        exit 1
    }
    : >"$root/$1.built"
}

build_sources() {
    mkdir -p "$root/lib/pkgconfig" "$root/include"
    for package in "$@"; do
        [ -e "$root/src/$package.fetched" ] || {
            prepare_apt deb-src
            break
        }
    done
    for package in "$@"; do
        build_source "$package"
    done
}
