# For musl, with its wrapper of gcc and the libraries of libraries.sh.
set(LHTTPD_MUSL_ROOT ${CMAKE_CURRENT_LIST_DIR}/../../build/musl-root
    CACHE PATH "What cmake/musl/libraries.sh has built")
get_filename_component(musl_root ${LHTTPD_MUSL_ROOT} ABSOLUTE)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES
     LHTTPD_MUSL_ROOT LHTTPD_MUSL_STATIC)

option(LHTTPD_MUSL_STATIC "Executables need no library at run time" ON)

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${CMAKE_HOST_SYSTEM_PROCESSOR})
set(CMAKE_C_COMPILER musl-gcc)
set(CMAKE_C_FLAGS_INIT "-isystem ${musl_root}/include")
set(CMAKE_FIND_ROOT_PATH ${musl_root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
set(ENV{PKG_CONFIG_LIBDIR} ${musl_root}/lib/pkgconfig)
if(LHTTPD_MUSL_STATIC)
    set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
endif()
