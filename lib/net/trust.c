/* Where a system keeps its authorities: see trust.h. */
#include "net/trust.h"

#include "os/read_file.h"

#include <stdlib.h>

/* One file with all of them, PEM. */
static const char *const places[] = {
    "/etc/ssl/certs/ca-certificates.crt",     /* Debian, Alpine, OpenWrt */
    "/etc/pki/tls/certs/ca-bundle.crt",       /* Fedora */
    "/etc/ssl/ca-bundle.pem",                 /* openSUSE */
    "/etc/ssl/cert.pem",                      /* the BSDs */
    "/usr/local/share/certs/ca-root-nss.crt", /* FreeBSD's port */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
};

const char *lh_trust_file(const char *file)
{
    const char *named = file ? file : getenv("SSL_CERT_FILE");

    if (named && *named)
        return named;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (lh_read_try(places[i]) == 0)
            return places[i];
    }
    return NULL;
}
