#!/bin/sh
# Builds what lhttpd needs of other projects for musl, from Debian's source
# packages, with musl-gcc (packages musl-tools and dpkg-dev):
#
#   cmake/musl/libraries.sh [DIRECTORY]      build/musl-root, if none is given
#
# Nothing outside of the directory changes: the list of source packages is one of
# its own, not /etc/apt's.  What is there already is not built again, so that a
# second run takes no time.  Then:
#
#   cmake --preset musl && cmake --build build/musl
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:-$project/build/musl-root}"
root=$(cd "${1:-$project/build/musl-root}" && pwd)
jobs=$(nproc)
cc=musl-gcc
packages='luajit lua5.4 bearssl nghttp2 liburing cmocka'

for tool in $cc dpkg-source apt-get cmake make; do
    command -v $tool >/dev/null || {
        echo "$0: $tool is not installed (Debian: musl-tools dpkg-dev cmake make)" >&2
        exit 1
    }
done

# --- the sources -----------------------------------------------------------------

apt_get() {
    apt-get -qq -o Dir::Etc::sourcelist="$root/apt/sources.list" \
        -o Dir::Etc::sourceparts=- -o Dir::State::lists="$root/apt/lists" \
        -o Dir::Cache="$root/apt/cache" -o APT::Sandbox::User=root "$@"
}

fetch() {
    [ ! -e "$root/src/$1.fetched" ] || return 0
    mkdir -p "$root/src/$1"
    (cd "$root/src/$1" && apt_get source "$1" >/dev/null)
    : >"$root/src/$1.fetched"
}

prepare_apt() {
    mkdir -p "$root/apt/lists/partial" "$root/apt/cache/archives/partial"
    . /etc/os-release
    echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]" \
        "http://deb.debian.org/debian $VERSION_CODENAME main" \
        >"$root/apt/sources.list"
    apt_get update
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

# musl-gcc sees musl's headers alone, not those of the kernel.
link_kernel_headers() {
    mkdir -p "$root/include"
    machine=$(gcc -print-multiarch)
    ln -sfn /usr/include/linux "$root/include/linux"
    ln -sfn /usr/include/asm-generic "$root/include/asm-generic"
    ln -sfn "/usr/include/$machine/asm" "$root/include/asm"
}

# By its own unwinder: gcc's, in libgcc_eh, needs glibc.
build_luajit() {
    make clean
    make -C src -j"$jobs" CC=$cc BUILDMODE=static \
        XCFLAGS='-fPIC -DLUAJIT_NO_UNWIND' libluajit.a
    mkdir -p "$root/include/luajit-2.1"
    cp src/lua.h src/luaconf.h src/lauxlib.h src/lualib.h src/luajit.h \
        "$root/include/luajit-2.1/"
    cp src/libluajit.a "$root/lib/libluajit-5.1.a"
    describe luajit 2.1 '-lluajit-5.1 -lm' luajit-2.1
}

# Its Makefile wants libtool, and Debian's own header the name of the machine.
build_lua5_4() {
    cd src
    header=lua5.4-deb-multiarch.h
    echo "#define DEB_HOST_MULTIARCH \"$(gcc -print-multiarch)\"" >$header
    for file in *.c; do
        case $file in lua.c | luac.c | ltests.c) continue ;; esac
        $cc -O2 -fPIC -DLUA_USE_LINUX -DLUA_COMPAT_5_3 -c "$file"
    done
    rm -f liblua5.4.a lua.o luac.o
    ar rcs liblua5.4.a ./*.o
    mkdir -p "$root/include/lua5.4"
    cp lua.h luaconf.h lauxlib.h lualib.h $header "$root/include/lua5.4/"
    cp liblua5.4.a "$root/lib/"
    describe lua5.4 5.4 '-llua5.4 -lm' lua5.4
}

build_bearssl() {
    make -j"$jobs" CC=$cc LD=$cc CFLAGS='-W -Wall -Os -fPIC' lib
    cp build/libbearssl.a "$root/lib/"
    cp inc/*.h "$root/include/"
}

with_cmake() {
    cmake -S . -B musl -DCMAKE_TOOLCHAIN_FILE="$project/cmake/musl/toolchain.cmake" \
        -DLHTTPD_MUSL_ROOT="$root" -DCMAKE_INSTALL_PREFIX="$root" \
        -DCMAKE_INSTALL_LIBDIR=lib -DCMAKE_BUILD_TYPE=Release \
        -DCMAKE_POSITION_INDEPENDENT_CODE=ON "$@"
    cmake --build musl -j "$jobs"
    cmake --install musl
}

build_nghttp2() {
    with_cmake -DENABLE_LIB_ONLY=ON -DENABLE_STATIC_LIB=ON \
        -DENABLE_SHARED_LIB=OFF
    [ -e "$root/lib/libnghttp2.a" ] ||
        ln -s libnghttp2_static.a "$root/lib/libnghttp2.a"
}

build_liburing() {
    ./configure --cc=$cc --prefix="$root" --libdir="$root/lib"
    make -C src -j"$jobs" CPPFLAGS="-isystem $root/include" liburing.a
    cp src/liburing.a "$root/lib/"
    cp -r src/include/* "$root/include/"
    make liburing.pc && cp liburing.pc "$root/lib/pkgconfig/"
}

build_cmocka() {
    with_cmake -DWITH_STATIC_LIB=ON -DWITH_EXAMPLES=OFF
    rm -f "$root"/lib/libcmocka.so*
    mv "$root/lib/libcmocka-static.a" "$root/lib/libcmocka.a"
}

build() {
    log=$root/$1.log
    [ ! -e "$root/$1.built" ] || return 0
    echo "building $1 for musl"
    fetch "$1"
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

mkdir -p "$root/lib/pkgconfig"
link_kernel_headers
for package in $packages; do
    [ -e "$root/src/$package.fetched" ] || {
        prepare_apt
        break
    }
done
for package in $packages; do
    build "$package"
done
