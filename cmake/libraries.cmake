# Finds what lhttpd needs of other projects, or says in words what is missing.  All
# that is found is cached as LHTTPD_*: a parent may look for the same.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# Other systems call their pkg-config modules otherwise than Debian; OpenWrt and
# Yocto say "lua" of the version that they have.
pkg_check_modules(LHTTPD_PLAIN_LUA QUIET lua)
function(lhttpd_vm_modules vm modules)
    string(REGEX REPLACE "^lua([0-9])" "lua-\\1" dashed ${vm})
    string(REPLACE "." "" plain ${vm})
    set(names ${vm} ${dashed} ${plain})
    list(REMOVE_DUPLICATES names)
    string(REGEX REPLACE "^lua" "" version ${vm})
    string(FIND "${LHTTPD_PLAIN_LUA_VERSION}" "${version}" at)
    if(at EQUAL 0)
        list(APPEND names lua)
    endif()
    set(${modules} ${names} PARENT_SCOPE)
endfunction()

# The word for a VM that was asked for and is not there: what else is.
function(lhttpd_vm_missing vm)
    foreach(other ${LHTTPD_VMS})
        lhttpd_vm_modules(${other} modules)
        pkg_search_module(LHTTPD_OTHER QUIET ${modules})
        if(LHTTPD_OTHER_FOUND)
            string(APPEND words "\n  ${other} is there: -DLHTTPD_LUA=${other}")
        endif()
        unset(LHTTPD_OTHER_FOUND CACHE)
    endforeach()
    message(FATAL_ERROR "LHTTPD_LUA=${vm}: pkg-config knows no such Lua "
        "(Debian: libluajit-5.1-dev, liblua5.4-dev, liblua5.3-dev or "
        "liblua5.1-0-dev).${words}")
endfunction()

# The VM, the best one first: its name in LHTTPD_VM_NAME.
set(LHTTPD_VMS luajit lua5.4 lua5.3 lua5.1)
set(wanted ${LHTTPD_LUA})
if(wanted STREQUAL auto)
    set(wanted ${LHTTPD_VMS})
elseif(NOT wanted IN_LIST LHTTPD_VMS)
    message(FATAL_ERROR "LHTTPD_LUA=${LHTTPD_LUA}: there is no such choice; take "
        "luajit, lua5.4, lua5.3, lua5.1 or auto")
endif()
foreach(vm ${wanted})
    set(LHTTPD_VM_NAME ${vm})
    lhttpd_vm_modules(${vm} modules)
    unset(LHTTPD_VM_FOUND CACHE) # another may have been asked for before
    pkg_search_module(LHTTPD_VM QUIET IMPORTED_TARGET GLOBAL ${modules})
    if(LHTTPD_VM_FOUND)
        break()
    endif()
endforeach()
if(NOT LHTTPD_VM_FOUND)
    lhttpd_vm_missing(${LHTTPD_LUA})
endif()
message(STATUS "Lua: ${LHTTPD_VM_NAME} ${LHTTPD_VM_VERSION}")

if(CMAKE_SYSTEM_NAME STREQUAL Linux)
    pkg_check_modules(LHTTPD_URING QUIET IMPORTED_TARGET GLOBAL liburing)
    if(NOT LHTTPD_URING_FOUND)
        message(FATAL_ERROR "pkg-config knows no liburing (Debian: liburing-dev)")
    endif()
endif()
if(LHTTPD_HTTP2)
    pkg_check_modules(LHTTPD_NGHTTP2 QUIET IMPORTED_TARGET GLOBAL libnghttp2)
    if(NOT LHTTPD_NGHTTP2_FOUND)
        message(FATAL_ERROR "pkg-config knows no libnghttp2, which HTTP/2 needs "
            "(Debian: libnghttp2-dev); -DLHTTPD_HTTP2=OFF does without")
    endif()
endif()
function(lhttpd_find_bearssl)
    find_path(LHTTPD_BEARSSL_INCLUDE_DIR bearssl.h)
    find_library(LHTTPD_BEARSSL_LIBRARY bearssl)
    if(NOT LHTTPD_BEARSSL_INCLUDE_DIR OR NOT LHTTPD_BEARSSL_LIBRARY)
        message(FATAL_ERROR "There is no BearSSL (Debian: libbearssl-dev); "
            "-DLHTTPD_TLS=none does without TLS")
    endif()
endfunction()
if(LHTTPD_TLS STREQUAL bearssl)
    lhttpd_find_bearssl()
    set(LHTTPD_TLS_INCLUDE_DIR ${LHTTPD_BEARSSL_INCLUDE_DIR})
    set(LHTTPD_TLS_LIBRARY ${LHTTPD_BEARSSL_LIBRARY})
elseif(LHTTPD_TLS STREQUAL openssl)
    pkg_check_modules(LHTTPD_OPENSSL QUIET IMPORTED_TARGET GLOBAL
        openssl>=3.0)
    if(NOT LHTTPD_OPENSSL_FOUND)
        message(FATAL_ERROR "pkg-config knows no OpenSSL from 3.0 on (Debian: "
            "libssl-dev); -DLHTTPD_TLS=bearssl and =none do without")
    endif()
    set(LHTTPD_TLS_LIBRARY PkgConfig::LHTTPD_OPENSSL)
elseif(NOT LHTTPD_TLS STREQUAL none)
    message(FATAL_ERROR "LHTTPD_TLS=${LHTTPD_TLS}: there is no such choice; take "
        "bearssl, openssl or none")
endif()

# Some processors, as riscv64, have no instruction for atomics of an octet.
include(CheckCSourceCompiles)
check_c_source_compiles([[
#include <stdatomic.h>
static _Atomic unsigned char octet;
static _Atomic unsigned long long word;
int main(void)
{
    return atomic_exchange(&octet, 1) + (int)atomic_fetch_add(&word, 1);
}
]] LHTTPD_HAS_ATOMICS)
set(LHTTPD_ATOMIC_LIBRARY)
if(NOT LHTTPD_HAS_ATOMICS)
    set(LHTTPD_ATOMIC_LIBRARY atomic)
endif()
