#!/bin/sh
# Builds what lhttpd needs of other projects for musl, from Debian's source
# packages, with musl-gcc (packages musl-tools and dpkg-dev):
#
#   cmake/musl/libraries.sh [DIRECTORY]      build/musl-root, if none is given
#
# A second run takes no time.  Then:
#
#   cmake --preset musl && cmake --build build/musl
set -eu
project=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:-$project/build/musl-root}"
root=$(cd "${1:-$project/build/musl-root}" && pwd)
for_what=musl
cc=musl-gcc
ar=ar
toolchain="-DCMAKE_TOOLCHAIN_FILE=$project/cmake/musl/toolchain.cmake
-DLHTTPD_MUSL_ROOT=$root"
tool_packages='musl-tools dpkg-dev cmake make'
. "$project/cmake/sources.sh"

# musl-gcc sees musl's headers alone, not those of the kernel.
link_kernel_headers() {
    mkdir -p "$root/include"
    machine=$(gcc -print-multiarch)
    ln -sfn /usr/include/linux "$root/include/linux"
    ln -sfn /usr/include/asm-generic "$root/include/asm-generic"
    ln -sfn "/usr/include/$machine/asm" "$root/include/asm"
}

need_tools $cc dpkg-source apt-get cmake make
link_kernel_headers
build_sources luajit lua5.4 lua5.1 bearssl nghttp2 liburing cmocka
