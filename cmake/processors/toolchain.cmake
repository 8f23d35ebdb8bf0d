# For another processor, with Debian's cross compiler and what libraries.sh has got.
# arm64.cmake and the like set `name`, `triplet` and `qemu`, or instead of this one
# `loader` where the machine's own kernel runs the programs, and include this file.
set(LHTTPD_ROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/${name}-root
    CACHE PATH "What cmake/processors/libraries.sh has got")
get_filename_component(root ${LHTTPD_ROOT} ABSOLUTE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LHTTPD_ROOT)

set(CMAKE_SYSTEM_NAME Linux)
set(LHTTPD_CROSS_COMPILER gcc CACHE STRING "gcc, or clang with gcc's libraries")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LHTTPD_CROSS_COMPILER)
if(LHTTPD_CROSS_COMPILER STREQUAL clang)
    set(CMAKE_C_COMPILER clang)
    set(CMAKE_C_COMPILER_TARGET ${triplet})
    set(CMAKE_C_FLAGS_INIT --gcc-toolchain=/usr)
else()
    set(CMAKE_C_COMPILER ${triplet}-gcc)
endif()
set(CMAKE_FIND_ROOT_PATH ${root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)

# Either a whole system, or libraries beside that of the cross compiler.
set(ENV{PKG_CONFIG_LIBDIR} ${root}/lib/pkgconfig)
set(run_time /usr/${triplet})
if(EXISTS ${root}/usr/include)
    set(CMAKE_SYSROOT ${root})
    set(ENV{PKG_CONFIG_SYSROOT_DIR} ${root})
    file(GLOB directory ${root}/usr/lib/*/pkgconfig)
    set(ENV{PKG_CONFIG_LIBDIR} ${directory})
    set(run_time ${root})
endif()

# What runs programs of this build on this machine: for the tests.
set(CMAKE_CROSSCOMPILING_EMULATOR
    ${qemu} -L ${run_time} -E LHTTPD_EMULATED=1)
if(loader)
    file(GLOB directories ${root}/lib/*-linux-gnu ${root}/usr/lib/*-linux-gnu)
    list(JOIN directories ":" directories)
    set(CMAKE_CROSSCOMPILING_EMULATOR
        ${root}/${loader} --library-path ${directories})
endif()
