# qemu-i386 7.2 gives the threads of a program each other's thread-local variables.
set(name i386)
set(triplet i686-linux-gnu)
set(loader lib/ld-linux.so.2)
set(CMAKE_SYSTEM_PROCESSOR i686)
include(${CMAKE_CURRENT_LIST_DIR}/toolchain.cmake)
