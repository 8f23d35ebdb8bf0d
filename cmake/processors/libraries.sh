#!/bin/sh
# Gets what lhttpd needs of other projects for another processor: a system root,
# build/PROCESSOR-root if no directory is given.
#
#   cmake/processors/libraries.sh PROCESSOR [DIRECTORY]
#
# PROCESSOR is arm64, armhf, i386, s390x or riscv64, with Debian's cross compiler
# for it.  The libraries are Debian's packages of that processor, unpacked and not
# installed; those for riscv64, which Debian 12 has not, are built from the source
# packages.  A second run takes no time.  Then, for example:
#
#   cmake --preset arm64 && cmake --build build/arm64
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
lua=libluajit-5.1
case ${1:-} in
arm64) triplet=aarch64-linux-gnu ;;
armhf) triplet=arm-linux-gnueabihf ;;
i386) triplet=i686-linux-gnu ;;
s390x) triplet=s390x-linux-gnu lua=no ;;
riscv64) triplet=riscv64-linux-gnu ;;
*)
    echo "usage: $0 arm64|armhf|i386|s390x|riscv64 [DIRECTORY]" >&2
    exit 2
    ;;
esac
for_what=$1
mkdir -p "${2:-$project/build/$1-root}"
root=$(cd "${2:-$project/build/$1-root}" && pwd)
cc=$triplet-gcc
ar=$triplet-ar
toolchain="-DCMAKE_TOOLCHAIN_FILE=$project/cmake/processors/$1.cmake
-DLHTTPD_ROOT=$root"
tool_packages="gcc-$(echo $triplet | tr _ -) libc6-dev-riscv64-cross dpkg-dev cmake make"
. "$project/cmake/sources.sh"

packages='libc6 libc6-dev linux-libc-dev libcrypt1 libcrypt-dev libgcc-s1
liblua5.4-0 liblua5.4-dev liblua5.3-0 liblua5.3-dev liblua5.1-0 liblua5.1-0-dev
libbearssl0 libbearssl-dev libnghttp2-14
libnghttp2-dev liburing2 liburing-dev libcmocka0 libcmocka-dev'
[ $lua = no ] || packages="$packages $lua-2 $lua-dev"

# Symbolic links to absolute paths would leave the root.
keep_links_inside() {
    find "$root" -type l -lname '/*' | while read -r link; do
        ln -sfn "$root$(readlink "$link")" "$link"
    done
}

# Some of the packages' names have their library's version in it, not all of them
# are for this processor: apt knows.
unpack_packages() {
    mkdir -p "$root/apt/packages"
    : >"$root/apt/status"
    set -- -o APT::Architecture="$1" -o APT::Architectures::="$1" \
        -o Dir::State::status="$root/apt/status"
    prepare_apt deb "$@"
    # shellcheck disable=SC2086
    (cd "$root/apt/packages" && apt_get "$@" download $packages)
    for package in "$root"/apt/packages/*.deb; do
        dpkg -x "$package" "$root"
    done
    keep_links_inside
}

if [ "$1" = riscv64 ]; then
    need_tools $cc dpkg-source apt-get cmake make
    build_sources lua5.4 bearssl nghttp2 liburing cmocka
elif [ ! -e "$root/unpacked" ]; then
    need_tools $cc dpkg apt-get cmake
    echo "getting Debian's packages for $1"
    unpack_packages "$1"
    : >"$root/unpacked"
fi
