/* Authorities: see anchors_openssl.h.  OpenSSL counts who uses them. */
#include "net/anchors_openssl.h"

#include "base/mem.h"
#include "lhttpd.h"
#include "net/key_openssl.h"

const char lh_anchors_kinds[] =
    "RSA (2048 bits or more), EC on P-256, P-384 or P-521, or Ed25519";

struct lh_anchors *lh_anchors_new(void)
{
    struct lh_anchors *anchors = lh_calloc(1, sizeof(*anchors));

    if (!anchors)
        return NULL;
    anchors->list = sk_X509_new_null();
    anchors->names = sk_X509_NAME_new_null();
    anchors->store = X509_STORE_new();
    if (!anchors->list || !anchors->names || !anchors->store) {
        lh_anchors_free(anchors);
        ERR_clear_error();
        return NULL;
    }
    /* What is named as an authority need not be signed by itself. */
    X509_STORE_set_flags(anchors->store, X509_V_FLAG_PARTIAL_CHAIN);
    return anchors;
}

void lh_anchors_free(struct lh_anchors *anchors)
{
    if (!anchors)
        return;
    sk_X509_pop_free(anchors->list, X509_free);
    sk_X509_NAME_pop_free(anchors->names, X509_NAME_free);
    X509_STORE_free(anchors->store);
    lh_free(anchors);
}

int lh_anchors_add(struct lh_anchors *anchors, const uint8_t *der, size_t n)
{
    const uint8_t *p = der;
    X509 *certificate = d2i_X509(NULL, &p, (long)n);
    int code = 0;

    if (!certificate || !lh_key_type_of(X509_get0_pubkey(certificate)))
        code = LHTTPD_ECERT;
    else if (!sk_X509_push(anchors->list, certificate))
        code = LHTTPD_ENOMEM;
    if (code) {
        X509_free(certificate);
        ERR_clear_error();
    }
    return code;
}

static bool join_one(struct lh_anchors *anchors, X509 *certificate)
{
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));

    if (!name || !sk_X509_NAME_push(anchors->names, name)) {
        X509_NAME_free(name);
        return false;
    }
    return X509_STORE_add_cert(anchors->store, certificate);
}

bool lh_anchors_join(struct lh_anchors *anchors, const struct lh_anchors *from)
{
    bool joined = true;

    for (int i = 0; joined && i < sk_X509_num(from->list); i++)
        joined = join_one(anchors, sk_X509_value(from->list, i));
    if (!joined)
        ERR_clear_error();
    return joined;
}

size_t lh_anchors_count(const struct lh_anchors *anchors)
{
    return (size_t)sk_X509_NAME_num(anchors->names);
}

size_t lh_anchors_names_bytes(const struct lh_anchors *anchors)
{
    size_t bytes = 0;

    for (int i = 0; i < sk_X509_NAME_num(anchors->names); i++)
        bytes +=
            (size_t)i2d_X509_NAME(sk_X509_NAME_value(anchors->names, i), NULL) +
            2;
    return bytes;
}
