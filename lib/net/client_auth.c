/*
 * Client certificates: see client_auth.h.
 *
 * Every octet goes to three places: to BearSSL's validator, which knows the
 * authorities, for the first certificate to its decoder, which gives the key
 * whatever becomes of the chain, and to a copy for what neither of them tells:
 * dates, purposes and the subject's name.
 */
#include "net/client_auth.h"

#include "base/mem.h"
#include "net/anchors_bearssl.h"
#include "net/certificate.h"
#include "os/clock.h"

#include <stdatomic.h>
#include <string.h>

/* What is longer is refused while it comes, before it costs memory or looks at
 * signatures. */
#define CHAIN_CERTIFICATES 16
#define CHAIN_BYTES        65536
#define RSA_BYTES_MIN      256 /* 2048 bits */

#define DAYS_TO_1970 719528 /* BearSSL counts from the year 0 on */
#define DAY_S        86400

/* --- faults --------------------------------------------------------------- */

/* BearSSL has one number for both ends of a certificate's time, and none for
 * whose it was. */
static enum lh_client_fault date_fault(const struct lh_client_auth *auth)
{
    struct lh_certificate leaf;

    if (!lh_certificate_read(auth->der, auth->der_n, &leaf))
        return LH_CLIENT_DAMAGED;
    if (auth->now_s < leaf.not_before)
        return LH_CLIENT_NOT_YET_VALID;
    return auth->now_s > leaf.not_after ? LH_CLIENT_EXPIRED
                                        : LH_CLIENT_CHAIN_DATES;
}

static enum lh_client_fault fault_of(const struct lh_client_auth *auth,
                                     unsigned error)
{
    switch (error) {
    case 0:
        return LH_CLIENT_OK;
    case BR_ERR_X509_NOT_TRUSTED:
    case BR_ERR_X509_DN_MISMATCH:
        return LH_CLIENT_UNKNOWN_ISSUER;
    case BR_ERR_X509_EXPIRED:
        return date_fault(auth);
    case BR_ERR_X509_BAD_SIGNATURE:
        return LH_CLIENT_BAD_SIGNATURE;
    case BR_ERR_X509_NOT_CA:
        return LH_CLIENT_NOT_CA;
    case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
        return LH_CLIENT_USAGE;
    case BR_ERR_X509_WEAK_PUBLIC_KEY:
        return LH_CLIENT_WEAK_KEY;
    case BR_ERR_X509_CRITICAL_EXTENSION:
        return LH_CLIENT_EXTENSION;
    case BR_ERR_X509_UNSUPPORTED:
    case BR_ERR_X509_WRONG_KEY_TYPE:
        return LH_CLIENT_UNSUPPORTED;
    case BR_ERR_X509_LIMIT_EXCEEDED:
        return LH_CLIENT_TOO_LONG;
    default:
        return LH_CLIENT_DAMAGED;
    }
}

/* --- what BearSSL calls --------------------------------------------------- */

static void begin_chain(const br_x509_class **self, const char *server_name)
{
    struct lh_client_auth *auth = (struct lh_client_auth *)(void *)self;

    (void)server_name;
    auth->now_s = lh_clock_unix_s();
    int64_t days = auth->now_s / DAY_S;
    br_x509_minimal_set_time(&auth->chain, (uint32_t)(days + DAYS_TO_1970),
                             (uint32_t)(auth->now_s % DAY_S));
    auth->chain.vtable->start_chain(&auth->chain.vtable, NULL);
    br_x509_decoder_init(&auth->leaf, NULL, NULL);
}

static bool is_too_long(const struct lh_client_auth *auth)
{
    return auth->octets > CHAIN_BYTES ||
           auth->certificates > CHAIN_CERTIFICATES;
}

static void begin_certificate(const br_x509_class **self, uint32_t n)
{
    struct lh_client_auth *auth = (struct lh_client_auth *)(void *)self;

    auth->certificates++;
    auth->octets = n > CHAIN_BYTES ? CHAIN_BYTES + 1 : auth->octets + n;
    if (is_too_long(auth))
        return;
    if (auth->certificates == 1) {
        auth->der = lh_alloc((size_t)n + 1); /* never none at all */
        auth->der_room = auth->der ? n : 0;
    }
    auth->chain.vtable->start_cert(&auth->chain.vtable, n);
}

static void take_message_octets(const br_x509_class **self,
                                const unsigned char *p, size_t n)
{
    struct lh_client_auth *auth = (struct lh_client_auth *)(void *)self;

    if (is_too_long(auth))
        return;
    auth->chain.vtable->append(&auth->chain.vtable, p, n);
    if (auth->certificates > 1)
        return;
    br_x509_decoder_push(&auth->leaf, p, n);
    if (n <= auth->der_room - auth->der_n) {
        memcpy(auth->der + auth->der_n, p, n);
        auth->der_n += n;
    }
}

static void end_certificate(const br_x509_class **self)
{
    struct lh_client_auth *auth = (struct lh_client_auth *)(void *)self;

    if (!is_too_long(auth))
        auth->chain.vtable->end_cert(&auth->chain.vtable);
}

/* Its hash and its name are told of one that does not verify, too. */
static enum lh_client_fault describe(struct lh_client_auth *auth)
{
    struct lh_client_cert *cert = &auth->cert;
    struct lh_certificate leaf;
    br_sha256_context hash;

    br_sha256_init(&hash);
    br_sha256_update(&hash, auth->der, auth->der_n);
    br_sha256_out(&hash, cert->fingerprint);
    if (!lh_certificate_read(auth->der, auth->der_n, &leaf))
        return LH_CLIENT_DAMAGED;
    if (lh_certificate_name(leaf.subject, cert->subject,
                            sizeof(cert->subject)) == SIZE_MAX) {
        cert->subject[0] = '\0';
        return LH_CLIENT_TOO_LONG;
    }
    if (auth->ca)
        return leaf.for_clients ? LH_CLIENT_OK : LH_CLIENT_USAGE;
    if (!leaf.for_servers)
        return LH_CLIENT_NOT_FOR_SERVERS;
    return lh_certificate_is_of(&leaf, &auth->host) ? LH_CLIENT_OK
                                                    : LH_CLIENT_OTHER_NAME;
}

/* BearSSL's word first, then what it does not look at. */
static enum lh_client_fault judge(struct lh_client_auth *auth)
{
    unsigned error = auth->chain.vtable->end_chain(&auth->chain.vtable);

    if (is_too_long(auth) && !auth->der)
        return LH_CLIENT_TOO_LONG;
    if (!auth->der)
        return LH_CLIENT_NO_MEMORY;
    enum lh_client_fault own = describe(auth);
    if (is_too_long(auth))
        return LH_CLIENT_TOO_LONG;
    enum lh_client_fault fault = error ? fault_of(auth, error) : own;
    return fault == LH_CLIENT_USAGE && !auth->ca ? LH_CLIENT_NOT_FOR_SERVERS
                                                 : fault;
}

/* 0: the handshake goes on, and the client has to prove that it has the key of
 * its certificate.  That holds for one that does not verify, as far as its key
 * can be read; where it cannot, BearSSL goes on without the proof. */
static unsigned end_chain(const br_x509_class **self)
{
    struct lh_client_auth *auth = (struct lh_client_auth *)(void *)self;
    enum lh_client_fault fault = judge(auth);

    lh_free(auth->der);
    auth->der = NULL;
    auth->cert.fault = fault;
    auth->cert.verify = fault ? LH_CLIENT_FAILED : LH_CLIENT_SUCCESS;
    if (!fault)
        return 0;
    if (!auth->ca || !auth->ca->optional ||
        br_x509_decoder_last_error(&auth->leaf))
        return BR_ERR_X509_NOT_TRUSTED;
    auth->uses_leaf = true;
    return 0;
}

/* The validator has no key where it has found a fault; the decoder has it all
 * the same. */
static const br_x509_pkey *get_key(const br_x509_class *const *self,
                                   unsigned *usages)
{
    struct lh_client_auth *auth = (struct lh_client_auth *)(uintptr_t)self;

    if (!auth->uses_leaf)
        return auth->chain.vtable->get_pkey(&auth->chain.vtable, usages);
    if (usages)
        *usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
    return br_x509_decoder_get_pkey(&auth->leaf);
}

static const br_x509_class auth_class = {
    .context_size = sizeof(struct lh_client_auth),
    .start_chain = begin_chain,
    .start_cert = begin_certificate,
    .append = take_message_octets,
    .end_cert = end_certificate,
    .end_chain = end_chain,
    .get_pkey = get_key,
};

/* --- of one handshake ----------------------------------------------------- */

/* What certificates are signed with: as we sign, nothing below SHA-256. */
static void set_up_chain(br_x509_minimal_context *chain,
                         const struct lh_anchors *anchors)
{
    br_x509_minimal_init(chain, &br_sha256_vtable, anchors->list, anchors->n);
    br_x509_minimal_set_hash(chain, br_sha256_ID, &br_sha256_vtable);
    br_x509_minimal_set_hash(chain, br_sha384_ID, &br_sha384_vtable);
    br_x509_minimal_set_hash(chain, br_sha512_ID, &br_sha512_vtable);
    br_x509_minimal_set_rsa(chain, br_rsa_pkcs1_vrfy_get_default());
    br_x509_minimal_set_ecdsa(chain, br_ec_get_default(),
                              br_ecdsa_vrfy_asn1_get_default());
    br_x509_minimal_set_minrsa(chain, RSA_BYTES_MIN);
}

static struct lh_client_auth *auth_new(const struct lh_anchors *anchors)
{
    struct lh_client_auth *auth = lh_calloc(1, sizeof(*auth));

    if (!auth)
        return NULL;
    auth->vtable = &auth_class;
    set_up_chain(&auth->chain, anchors);
    return auth;
}

struct lh_client_auth *lh_client_auth_new(struct lh_client_ca *ca)
{
    struct lh_client_auth *auth = auth_new(ca->anchors);

    if (auth)
        auth->ca = lh_client_ca_share(ca);
    return auth;
}

struct lh_client_auth *lh_server_auth_new(const struct lh_anchors *anchors,
                                          const char *host)
{
    struct lh_client_auth *auth = auth_new(anchors);

    if (auth)
        lh_host_read(&auth->host, host);
    return auth;
}

void lh_client_auth_free(struct lh_client_auth *auth)
{
    if (!auth)
        return;
    lh_client_ca_free(auth->ca);
    lh_free(auth->der);
    lh_free(auth);
}
