SUMMARY = "HTTP server with Lua handlers that never block"
DESCRIPTION = "Serves pages that are functions in Lua over HTTP/1 and HTTP/2, \
with and without TLS, as a library for C programs and as a small server."
LICENSE = "BSD-2-Clause"
LIC_FILES_CHKSUM = "file://LICENSE;md5=587fe59fddd686f2a5270863fabec2e1"

# The layer fills in where releases are.
SRC_URI = "file://lhttpd-${PV}.tar.gz"
S = "${WORKDIR}/lhttpd-${PV}"

inherit cmake pkgconfig systemd useradd

DEPENDS = "lua liburing"

# TLS: openssl or bearssl, of which the layer has to have a recipe, or neither.
PACKAGECONFIG ??= "openssl http2 files"
PACKAGECONFIG[openssl] = ",,openssl,,ca-certificates,bearssl"
PACKAGECONFIG[bearssl] = ",,bearssl,,ca-certificates,openssl"
PACKAGECONFIG[http2] = "-DLHTTPD_HTTP2=ON,-DLHTTPD_HTTP2=OFF,nghttp2"
PACKAGECONFIG[files] = "-DLHTTPD_FILES=ON,-DLHTTPD_FILES=OFF"

EXTRA_OECMAKE = "-DLHTTPD_LUA=auto -DBUILD_SHARED_LIBS=ON \
    -DLHTTPD_TLS=${@bb.utils.filter('PACKAGECONFIG', 'openssl bearssl', d) or 'none'}"

do_install:append() {
    install -d ${D}${sysconfdir}/lhttpd
    install -m 0644 ${S}/share/packaging/debian/main.lua ${D}${sysconfdir}/lhttpd/
    # The build puts units below the prefix, where not every distribution has them.
    if [ ${systemd_system_unitdir} != ${prefix}/lib/systemd/system ]; then
        install -d ${D}${systemd_system_unitdir}
        mv ${D}${prefix}/lib/systemd/system/* ${D}${systemd_system_unitdir}/
        rm -r ${D}${prefix}/lib/systemd
    fi
}

USERADD_PACKAGES = "${PN}"
USERADD_PARAM:${PN} = "--system --no-create-home --home-dir /var/lib/lhttpd \
    --shell /sbin/nologin --user-group lhttpd"
SYSTEMD_SERVICE:${PN} = "lhttpd.service"
SYSTEMD_AUTO_ENABLE:${PN} = "disable"

PACKAGES =+ "lib${BPN}"
FILES:lib${BPN} = "${libdir}/liblhttpd.so.*"
FILES:${PN} += "${systemd_system_unitdir} ${datadir}/lhttpd \
    ${datadir}/bash-completion"
CONFFILES:${PN} = "${sysconfdir}/lhttpd/main.lua"
