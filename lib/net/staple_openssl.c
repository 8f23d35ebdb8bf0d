/*
 * OCSP responses: see staple.h.  Whether the file is one that can be sent is
 * checked; the signature is the client's to verify.  A response that is too
 * old, or about the certificate that was there before, waits for the next
 * without being sent: who renews a certificate need not have another response
 * at once.
 */
#include "net/staple_openssl.h"

#include "base/mem.h"
#include "net/handshake_openssl.h"
#include "os/error.h"
#include "os/read_file.h"

#include <stdio.h>
#include <string.h>

#define RESPONSE_BYTES_MAX ((size_t)64 << 10)

void lh_staple_free(struct lh_staple *staple)
{
    if (!staple)
        return;
    lh_free(staple->der);
    ASN1_TIME_free(staple->until);
    lh_free(staple);
}

/* A response names its certificate by a hash of its issuer, of whichever kind
 * the one who asked has chosen. */
static bool is_about(const OCSP_SINGLERESP *part, const X509 *leaf,
                     const X509 *issuer)
{
    const OCSP_CERTID *named = OCSP_SINGLERESP_get0_id(part);
    ASN1_OBJECT *kind = NULL;

    OCSP_id_get0_info(NULL, &kind, NULL, NULL, (OCSP_CERTID *)(uintptr_t)named);
    const EVP_MD *hash = EVP_get_digestbyobj(kind);
    OCSP_CERTID *own = hash ? OCSP_cert_to_id(hash, leaf, issuer) : NULL;
    bool same = own && OCSP_id_cmp(own, named) == 0;
    OCSP_CERTID_free(own);
    return same;
}

/* The part of it that is about this certificate; NULL: none is.  Without the
 * issuer in the chain the first one counts. */
static OCSP_SINGLERESP *find_own(OCSP_BASICRESP *basic,
                                 const struct lh_key *key)
{
    const X509 *issuer = sk_X509_value(key->others, 0);
    OCSP_SINGLERESP *part;

    for (int i = 0; (part = OCSP_resp_get0(basic, i)); i++) {
        if (!issuer || is_about(part, key->leaf, issuer))
            return part;
    }
    return NULL;
}

/* NULL: all is well. */
static const char *examine_basic(OCSP_BASICRESP *basic,
                                 const struct lh_key *key,
                                 struct lh_staple *staple)
{
    ASN1_GENERALIZEDTIME *until = NULL;
    OCSP_SINGLERESP *own = find_own(basic, key);

    if (!own)
        return NULL;
    if (OCSP_single_get0_status(own, NULL, NULL, NULL, &until) !=
        V_OCSP_CERTSTATUS_GOOD)
        return "it says that the certificate is revoked, or unknown";
    if (until && !(staple->until = ASN1_STRING_dup(until)))
        return "there is no memory for it";
    staple->fits = true;
    return NULL;
}

static const char *examine(const struct lh_key *key, struct lh_staple *staple)
{
    const uint8_t *p = staple->der;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &p, (long)staple->n);
    OCSP_BASICRESP *basic = NULL;
    const char *why = "it is no OCSP response in DER";

    if (response && p == staple->der + staple->n) {
        basic = OCSP_response_get1_basic(response);
        why = basic ? examine_basic(basic, key, staple)
                    : "the authority's answer is that it has none";
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return why;
}

static int staple_load(struct lh_staple *staple, const struct lh_key *key,
                       const char *path, struct lh_err *err)
{
    void *bytes;
    int code = lh_read_file(path, RESPONSE_BYTES_MAX, &bytes, &staple->n, err);

    if (code == LHTTPD_ENOMEM)
        return code;
    if (code) {
        lh_err_prefix(err, "OCSP response");
        return LHTTPD_ECERT;
    }
    staple->der = bytes;
    const char *why = examine(key, staple);
    return why ? lh_err_set(err, LHTTPD_ECERT, "OCSP response '%s': %s", path,
                            why)
               : 0;
}

int lh_staple_read(struct lh_keypair *pair, const char *chain_file,
                   struct lh_err *err)
{
    size_t room = strlen(chain_file) + sizeof(".ocsp");
    char *path = lh_alloc(room);
    int code = 0;

    if (!path)
        return lh_err_memory(err);
    snprintf(path, room, "%s.ocsp", chain_file);
    if (lh_read_try(path) != LH_SYS_ENOENT) {
        pair->key->staple = lh_calloc(1, sizeof(*pair->key->staple));
        code = pair->key->staple
                   ? staple_load(pair->key->staple, pair->key, path, err)
                   : lh_err_memory(err);
    }
    lh_free(path);
    return code;
}

/* One that has expired since is not sent: clients would take it for worse than
 * none.  OpenSSL frees the copy. */
int lh_staple_send(SSL *ssl, void *unused)
{
    const struct lh_handshake *h = lh_tls_bio_handshake(ssl);
    const struct lh_staple *staple = h && h->chosen ? h->chosen->staple : NULL;

    (void)unused;
    if (!staple || !staple->fits ||
        (staple->until && X509_cmp_current_time(staple->until) < 0))
        return SSL_TLSEXT_ERR_NOACK;
    void *copy = OPENSSL_memdup(staple->der, staple->n);
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->n);
    return SSL_TLSEXT_ERR_OK;
}
