/*
 * Certificates of clients, and of servers that we ask, by OpenSSL: see
 * handshake_openssl.h.  Where they are
 * optional, the handshake goes on with one that does not verify; the client has
 * to prove that it has its key all the same.
 */
#include "base/mem.h"
#include "net/anchors_openssl.h"
#include "net/certificate.h"
#include "net/client_ca.h"
#include "net/handshake_openssl.h"

#include <string.h>

#define CHAIN_CERTIFICATES 16
#define STRENGTH           2 /* OpenSSL's level: 112 bits, so RSA from 2048 on */

struct lh_handshake *lh_handshake_new(struct lh_creds *creds,
                                      const struct lh_hello *hello)
{
    struct lh_handshake *h = lh_calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    h->creds = lh_creds_share(creds);
    h->hello = *hello;
    return h;
}

void lh_handshake_free(struct lh_handshake *h)
{
    if (!h)
        return;
    lh_creds_free(h->creds);
    lh_free(h->client);
    OPENSSL_cleanse(&h->sealing, sizeof(h->sealing));
    lh_free(h);
}

/* The store is counted; the list of names has to be a copy. */
bool lh_handshake_ask(const struct lh_handshake *h, SSL *ssl)
{
    const struct lh_client_ca *ca = lh_creds_client_ca(h->creds);
    int must = ca && !ca->optional ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;

    if (!ca)
        return true;
    STACK_OF(X509_NAME) *names = SSL_dup_CA_list(ca->anchors->names);
    if (!names)
        return false;
    SSL_set0_CA_list(ssl, names);
    SSL_set_verify(ssl, SSL_VERIFY_PEER | must, NULL);
    return SSL_set1_verify_cert_store(ssl, ca->anchors->store) == 1;
}

/* --- faults --------------------------------------------------------------- */

static const struct {
    int error;
    enum lh_client_fault fault;
} verify_faults[] = {
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, LH_CLIENT_UNKNOWN_ISSUER},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, LH_CLIENT_UNKNOWN_ISSUER},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, LH_CLIENT_UNKNOWN_ISSUER},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, LH_CLIENT_UNKNOWN_ISSUER},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, LH_CLIENT_UNKNOWN_ISSUER},
    {X509_V_ERR_CERT_UNTRUSTED, LH_CLIENT_UNKNOWN_ISSUER},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, LH_CLIENT_BAD_SIGNATURE},
    {X509_V_ERR_INVALID_CA, LH_CLIENT_NOT_CA},
    {X509_V_ERR_KEYUSAGE_NO_CERTSIGN, LH_CLIENT_NOT_CA},
    {X509_V_ERR_PATH_LENGTH_EXCEEDED, LH_CLIENT_NOT_CA},
    {X509_V_ERR_INVALID_PURPOSE, LH_CLIENT_USAGE},
    {X509_V_ERR_EE_KEY_TOO_SMALL, LH_CLIENT_WEAK_KEY},
    {X509_V_ERR_CA_KEY_TOO_SMALL, LH_CLIENT_WEAK_KEY},
    {X509_V_ERR_CA_MD_TOO_WEAK, LH_CLIENT_UNSUPPORTED},
    {X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION, LH_CLIENT_EXTENSION},
    {X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM, LH_CLIENT_UNSUPPORTED},
    {X509_V_ERR_CERT_CHAIN_TOO_LONG, LH_CLIENT_TOO_LONG},
    {X509_V_ERR_OUT_OF_MEM, LH_CLIENT_NO_MEMORY},
};

static enum lh_client_fault fault_of_error(int error, int depth)
{
    if (error == X509_V_OK)
        return LH_CLIENT_OK;
    if (error == X509_V_ERR_CERT_HAS_EXPIRED)
        return depth ? LH_CLIENT_CHAIN_DATES : LH_CLIENT_EXPIRED;
    if (error == X509_V_ERR_CERT_NOT_YET_VALID)
        return depth ? LH_CLIENT_CHAIN_DATES : LH_CLIENT_NOT_YET_VALID;
    for (size_t i = 0; i < sizeof(verify_faults) / sizeof(verify_faults[0]);
         i++) {
        if (verify_faults[i].error == error)
            return verify_faults[i].fault;
    }
    return LH_CLIENT_DAMAGED;
}

/* What makes OpenSSL send the alert of this fault (client_cert.h). */
static int error_of_fault(enum lh_client_fault fault)
{
    switch (lh_client_fault_alert(fault)) {
    case SSL_AD_UNKNOWN_CA:
        return X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY;
    case SSL_AD_CERTIFICATE_EXPIRED:
        return X509_V_ERR_CERT_HAS_EXPIRED;
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
        return X509_V_ERR_INVALID_PURPOSE;
    case SSL_AD_INTERNAL_ERROR:
        return X509_V_ERR_OUT_OF_MEM;
    default:
        return X509_V_ERR_CERT_REJECTED;
    }
}

/* --- what it says --------------------------------------------------------- */

static enum lh_client_fault describe_der(const uint8_t *der, size_t n,
                                         struct lh_client_cert *out)
{
    struct lh_certificate leaf;

    if (!lh_certificate_read(der, n, &leaf))
        return LH_CLIENT_DAMAGED;
    if (lh_certificate_name(leaf.subject, out->subject, sizeof(out->subject)) ==
        SIZE_MAX) {
        out->subject[0] = '\0';
        return LH_CLIENT_TOO_LONG;
    }
    return leaf.for_clients ? LH_CLIENT_OK : LH_CLIENT_USAGE;
}

/* Its hash and its name are told of one that does not verify, too. */
static enum lh_client_fault describe_leaf(const X509 *leaf,
                                          struct lh_client_cert *out)
{
    uint8_t *der = NULL;
    int n = i2d_X509(leaf, &der);

    if (n < 0)
        return LH_CLIENT_NO_MEMORY;
    lh_sha256(der, (size_t)n, out->fingerprint);
    enum lh_client_fault fault = describe_der(der, (size_t)n, out);
    OPENSSL_free(der);
    return fault;
}

static void verdict(struct lh_client_cert *client, enum lh_client_fault fault)
{
    client->fault = fault;
    client->verify = fault ? LH_CLIENT_FAILED : LH_CLIENT_SUCCESS;
}

/* OpenSSL's word; it looks at all but what it does not know of us. */
static enum lh_client_fault judge_chain(X509_STORE_CTX *store)
{
    if (sk_X509_num(X509_STORE_CTX_get0_untrusted(store)) > CHAIN_CERTIFICATES)
        return LH_CLIENT_TOO_LONG;
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_CTX_get0_param(store),
                                     STRENGTH);
    int valid = X509_verify_cert(store);
    ERR_clear_error();
    if (valid < 0)
        return LH_CLIENT_NO_MEMORY;
    if (!valid)
        return fault_of_error(X509_STORE_CTX_get_error(store),
                              X509_STORE_CTX_get_error_depth(store));
    return LH_CLIENT_OK;
}

/* OpenSSL's word first, then what it does not look at. */
static enum lh_client_fault judge_client(X509_STORE_CTX *store,
                                         struct lh_client_cert *client)
{
    enum lh_client_fault own =
        describe_leaf(X509_STORE_CTX_get0_cert(store), client);
    enum lh_client_fault fault = judge_chain(store);

    return fault ? fault : own;
}

/* One that does not verify gets no ticket: it is judged each time. */
int lh_handshake_verify(X509_STORE_CTX *store, void *unused)
{
    SSL *ssl =
        X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct lh_handshake *h = lh_tls_bio_handshake(ssl);

    (void)unused;
    h->fault = LH_CLIENT_NO_MEMORY;
    if (!h->client)
        h->client = lh_calloc(1, sizeof(*h->client));
    if (h->client) {
        h->fault = judge_client(store, h->client);
        verdict(h->client, h->fault);
    }
    if (h->fault)
        SSL_set_num_tickets(ssl, 0);
    X509_STORE_CTX_set_error(store,
                             h->fault ? error_of_fault(h->fault) : X509_V_OK);
    return !h->fault || (lh_creds_client_ca(h->creds)->optional &&
                         h->fault != LH_CLIENT_NO_MEMORY);
}

/* A session that is resumed has its certificate, which verified then. */
bool lh_handshake_take_client(struct lh_handshake *h, SSL *ssl,
                              struct lh_client_cert **out)
{
    const X509 *leaf = SSL_get0_peer_certificate(ssl);

    *out = NULL;
    if (!lh_creds_client_ca(h->creds))
        return true;
    if (!h->client) {
        h->client = lh_calloc(1, sizeof(*h->client));
        if (!h->client)
            return false;
        if (leaf)
            verdict(h->client, describe_leaf(leaf, h->client));
    }
    *out = h->client;
    h->client = NULL;
    return (*out)->fault != LH_CLIENT_NO_MEMORY;
}

/* --- of a server ---------------------------------------------------------- */

static enum lh_client_fault judge_der(const uint8_t *der, size_t n,
                                      const struct lh_host *host)
{
    struct lh_certificate leaf;

    if (!lh_certificate_read(der, n, &leaf))
        return LH_CLIENT_DAMAGED;
    if (!leaf.for_servers)
        return LH_CLIENT_NOT_FOR_SERVERS;
    return lh_certificate_is_of(&leaf, host) ? LH_CLIENT_OK
                                             : LH_CLIENT_OTHER_NAME;
}

static enum lh_client_fault judge_server(X509_STORE_CTX *store,
                                         const struct lh_host *host)
{
    enum lh_client_fault fault = judge_chain(store);
    uint8_t *der = NULL;

    if (fault == LH_CLIENT_USAGE)
        return LH_CLIENT_NOT_FOR_SERVERS;
    if (fault)
        return fault;
    int n = i2d_X509(X509_STORE_CTX_get0_cert(store), &der);
    if (n < 0)
        return LH_CLIENT_NO_MEMORY;
    fault = judge_der(der, (size_t)n, host);
    OPENSSL_free(der);
    return fault;
}

enum lh_client_fault lh_handshake_verify_server(X509_STORE_CTX *store,
                                                const struct lh_host *host)
{
    enum lh_client_fault fault = judge_server(store, host);

    X509_STORE_CTX_set_error(store, fault ? error_of_fault(fault) : X509_V_OK);
    return fault;
}
