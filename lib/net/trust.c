/* Authorities of servers: see trust.h. */
#include "net/trust.h"

#include "net/cred.h"
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

/* The system's; .file NULL: there is none. */
static struct lh_cred_from system_file(void)
{
    const char *named = getenv("SSL_CERT_FILE");
    struct lh_cred_from from = {.kind = "the system's list of authorities"};

    if (named && *named)
        return (struct lh_cred_from){.kind = "SSL_CERT_FILE", .file = named};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        from.file = places[i];
        if (lh_read_try(from.file) == 0)
            return from;
    }
    from.file = NULL;
    return from;
}

static int add_one(void *context, const uint8_t *der, size_t n)
{
    return lh_anchors_add(context, der, n);
}

/* A system's list is made for all libraries. */
static int add_if_usable(void *context, const uint8_t *der, size_t n)
{
    int r = lh_anchors_add(context, der, n);

    return r == LHTTPD_ECERT ? 0 : r;
}

int lh_trust_read(struct lh_anchors **out, const char *file, struct lh_err *err)
{
    struct lh_cred_from from = {.kind = "ca", .file = file};
    struct lh_anchors *anchors;

    if (!file)
        from = system_file();
    if (!from.file)
        return lh_err_set(err, LHTTPD_ECERT,
                          "the system has no file of authorities where they "
                          "usually are: give one as `ca`");
    anchors = lh_anchors_new();
    if (!anchors)
        return lh_err_memory(err);
    int r = lh_cred_each(&from, file ? add_one : add_if_usable, anchors, err);
    if (r)
        lh_anchors_free(anchors);
    else
        *out = anchors;
    return r;
}
