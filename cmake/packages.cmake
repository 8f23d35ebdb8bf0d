# Debian packages by CPack, for a build that is configured for /usr:
#
#     cmake --preset debian && cmake --build build/debian && cpack --config build/debian/CPackConfig.cmake
#
# What CPack cannot make of an installation (conffiles, compressed pages, changelogs)
# does share/packaging/debian/finish.sh, before the packages are put together.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME lhttpd)
set(CPACK_PACKAGE_VENDOR "the lhttpd authors")
# Who answers for the packages: whom Debian's tools take, too.
set(CPACK_PACKAGE_CONTACT "lhttpd authors <lhttpd@localhost>")
if(NOT "$ENV{DEBEMAIL}" STREQUAL "")
    set(CPACK_PACKAGE_CONTACT "$ENV{DEBFULLNAME} <$ENV{DEBEMAIL}>")
endif()
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each package has its own
set(CPACK_SET_DESTDIR ON) # what is installed names itself by its prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL server library development)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_BINARY_DIR}/finish.cmake)
file(CONFIGURE OUTPUT finish.cmake @ONLY CONTENT [[
execute_process(COMMAND sh "@PROJECT_SOURCE_DIR@/share/packaging/debian/finish.sh"
        "${CPACK_TEMPORARY_DIRECTORY}" "@PROJECT_SOURCE_DIR@"
        "@CPACK_PACKAGE_CONTACT@"
    COMMAND_ERROR_IS_FATAL ANY)
]])

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)

set(debian ${PROJECT_SOURCE_DIR}/share/packaging/debian)
set(CPACK_DEBIAN_SERVER_PACKAGE_NAME lhttpd)
set(CPACK_DEBIAN_SERVER_PACKAGE_SECTION httpd)
set(CPACK_DEBIAN_SERVER_PACKAGE_DEPENDS
    "procps, systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA ${debian}/postinst
    ${debian}/prerm ${debian}/postrm ${debian}/conffiles)
set(CPACK_DEBIAN_SERVER_PACKAGE_SUGGESTS "logrotate, lua-cjson | lua-dkjson")
set(CPACK_COMPONENT_SERVER_DESCRIPTION "HTTP server with Lua handlers
lhttpd serves pages that are functions in Lua, over HTTP/1 and HTTP/2, with
and without TLS.  A handler that waits costs a coroutine, not a thread.

This package has the server, with units for systemd.")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME liblhttpd${LHTTPD_SOVERSION})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA
    ${PROJECT_BINARY_DIR}/debian/symbols ${PROJECT_BINARY_DIR}/debian/shlibs
    ${PROJECT_BINARY_DIR}/debian/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION "HTTP server for programs, with Lua handlers
liblhttpd makes a program a server of HTTP/1 and HTTP/2, with and without TLS,
whose pages are functions in Lua, C functions of the program among them.

This package has the shared library.")

# Whom scripts trust that connect by TLS.
if(NOT LHTTPD_TLS STREQUAL none)
    set(CPACK_DEBIAN_SERVER_PACKAGE_RECOMMENDS ca-certificates)
    set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS ca-certificates)
endif()

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME liblhttpd-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SHLIBDEPS OFF)
set(packages_luajit libluajit-5.1-dev)
set(packages_lua5.4 liblua5.4-dev)
set(packages_lua5.3 liblua5.3-dev)
set(packages_lua5.1 liblua5.1-0-dev)
set(needs "liblhttpd${LHTTPD_SOVERSION} (= ${PROJECT_VERSION}-1)"
    ${packages_${LHTTPD_VM_NAME}} liburing-dev)
if(LHTTPD_HTTP2)
    list(APPEND needs libnghttp2-dev)
endif()
if(LHTTPD_TLS STREQUAL openssl)
    list(APPEND needs libssl-dev)
elseif(LHTTPD_TLS STREQUAL bearssl)
    list(APPEND needs libbearssl-dev)
endif()
list(JOIN needs ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
    "HTTP server for programs: header, static library, manual
liblhttpd makes a program a server of HTTP/1 and HTTP/2, with and without TLS,
whose pages are functions in Lua, C functions of the program among them.

This package has what programs are built with, and the manual.")

# What dpkg-shlibdeps asks who is linked with the library: each function is there
# since the first version.
file(STRINGS include/lhttpd.h names REGEX "^LHTTPD_API|^ *lhttpd_[a-z_]*\\(")
string(REGEX MATCHALL "lhttpd_[a-z0-9_]*\\(" names "${names}")
list(REMOVE_DUPLICATES names)
list(SORT names)
set(symbols "liblhttpd.so.${LHTTPD_SOVERSION} liblhttpd${LHTTPD_SOVERSION} #MINVER#\n")
foreach(name ${names})
    string(REPLACE "(" "" name ${name})
    string(APPEND symbols " ${name}@Base 0.1.0\n")
endforeach()
file(WRITE ${PROJECT_BINARY_DIR}/debian/symbols ${symbols})
file(WRITE ${PROJECT_BINARY_DIR}/debian/shlibs
    "liblhttpd ${LHTTPD_SOVERSION} liblhttpd${LHTTPD_SOVERSION} (>= ${PROJECT_VERSION})\n")
file(WRITE ${PROJECT_BINARY_DIR}/debian/triggers "activate-noawait ldconfig\n")
include(CPack)
