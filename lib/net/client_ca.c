/*
 * Authorities of clients: see client_ca.h.  A source is one file or one piece
 * of memory; sets that follow each other share those that were not read again.
 */
#include "net/client_ca.h"

#include "base/mem.h"
#include "net/anchors.h"
#include "net/cred.h"
#include "net/key.h"
#include "os/read_file.h"

#include <stdatomic.h>
#include <string.h>

/* The list of names goes to each client in one message, where its length has 16
 * bits (RFC 5246, 7.4.4). */
#define NAMES_BYTES_MAX 60000

struct ca_source {
    _Atomic unsigned shares;
    char *file; /* NULL: it was in memory */
    struct lh_anchors *anchors;
    uint8_t digest[LH_SHA256_BYTES]; /* of its certificates */
    bool unreadable;                 /* since privileges were given up */
};

/* --- one source ----------------------------------------------------------- */

static struct ca_source *source_share(struct ca_source *source)
{
    atomic_fetch_add(&source->shares, 1);
    return source;
}

static void source_free(struct ca_source *source)
{
    if (atomic_fetch_sub(&source->shares, 1) > 1)
        return;
    lh_anchors_free(source->anchors);
    lh_free(source->file);
    lh_free(source);
}

/* Octets go into a digest behind what is in it already.  By the digest of all
 * its authorities a session is resumed only with those that it began with. */
static void fold(uint8_t digest[LH_SHA256_BYTES], const uint8_t *p, size_t n)
{
    uint8_t both[2 * LH_SHA256_BYTES];

    memcpy(both, digest, LH_SHA256_BYTES);
    lh_sha256(p, n, both + LH_SHA256_BYTES);
    lh_sha256(both, sizeof(both), digest);
}

/* An authority's key is held to what those of its clients are. */
static int take_anchor(void *context, const uint8_t *der, size_t n)
{
    struct ca_source *source = context;

    if (lh_key_check_leaf(der, n) != LH_KEYPAIR_OK)
        return LHTTPD_ECERT;
    fold(source->digest, der, n);
    return lh_anchors_add(source->anchors, der, n);
}

static int source_make(struct ca_source **out, const lhttpd_client_ca_t *from,
                       struct lh_err *err)
{
    struct lh_cred_from certificates = {"client CA", from->file, from->pem,
                                        from->pem_size};
    struct ca_source *source = lh_calloc(1, sizeof(*source));
    int code = 0;

    if (!source)
        return lh_err_memory(err);
    atomic_init(&source->shares, 1);
    source->anchors = lh_anchors_new();
    if (!source->anchors)
        code = lh_err_memory(err);
    if (!code && from->file && !(source->file = lh_strdup(from->file)))
        code = lh_err_memory(err);
    if (!code)
        code = lh_cred_each(&certificates, take_anchor, source, err);
    if (code)
        source_free(source);
    else
        *out = source;
    return code;
}

/* --- sets ----------------------------------------------------------------- */

struct lh_client_ca *lh_client_ca_share(struct lh_client_ca *ca)
{
    if (ca)
        atomic_fetch_add(&ca->shares, 1);
    return ca;
}

void lh_client_ca_free(struct lh_client_ca *ca)
{
    if (!ca || atomic_fetch_sub(&ca->shares, 1) > 1)
        return;
    for (size_t i = 0; i < ca->sources_n; i++)
        source_free(ca->sources[i]);
    lh_free(ca->sources);
    lh_anchors_free(ca->anchors);
    lh_free(ca);
}

static struct lh_client_ca *set_with_room(size_t sources)
{
    struct lh_client_ca *ca = lh_calloc(1, sizeof(*ca));

    if (!ca)
        return NULL;
    atomic_init(&ca->shares, 1);
    ca->sources = lh_calloc(sources, sizeof(struct ca_source *));
    if (!ca->sources) {
        lh_free(ca);
        return NULL;
    }
    return ca;
}

static int check_names(const struct lh_client_ca *ca, struct lh_err *err)
{
    size_t bytes = lh_anchors_names_bytes(ca->anchors);

    if (bytes <= NAMES_BYTES_MAX)
        return 0;
    return lh_err_set(err, LHTTPD_ECERT,
                      "client CA: the names of %zu authorities have %zu "
                      "octets, and clients can be told %d",
                      lh_anchors_count(ca->anchors), bytes, NAMES_BYTES_MAX);
}

/* Once all sources are there: their anchors one behind the other. */
static int set_finish(struct lh_client_ca *ca, struct lh_err *err)
{
    ca->anchors = lh_anchors_new();
    if (!ca->anchors)
        return lh_err_memory(err);
    for (size_t i = 0; i < ca->sources_n; i++) {
        const struct ca_source *source = ca->sources[i];
        if (!lh_anchors_join(ca->anchors, source->anchors))
            return lh_err_memory(err);
        fold(ca->digest, source->digest, sizeof(source->digest));
    }
    return check_names(ca, err);
}

/* What was begun is given out, or freed. */
static int end_set(struct lh_client_ca **out, struct lh_client_ca *ca, int code,
                   struct lh_err *err)
{
    if (!code)
        code = set_finish(ca, err);
    if (code)
        lh_client_ca_free(ca);
    else
        *out = ca;
    return code;
}

int lh_client_ca_add(struct lh_client_ca **out, const struct lh_client_ca *old,
                     const lhttpd_client_ca_t *from, struct lh_err *err)
{
    size_t n = old ? old->sources_n : 0;
    struct lh_client_ca *ca = set_with_room(n + 1);

    if (!ca)
        return lh_err_memory(err);
    ca->optional = old && old->optional;
    for (size_t i = 0; i < n; i++)
        ca->sources[ca->sources_n++] = source_share(old->sources[i]);
    int code = source_make(&ca->sources[n], from, err);
    if (!code)
        ca->sources_n++;
    return end_set(out, ca, code, err);
}

/* --- files again ---------------------------------------------------------- */

void lh_client_ca_look(struct lh_client_ca *ca, const struct lh_log *log)
{
    for (size_t i = 0; ca && i < ca->sources_n; i++) {
        struct ca_source *source = ca->sources[i];
        int error = source->file ? lh_read_try(source->file) : 0;
        source->unreadable = error < 0;
        if (error < 0)
            lh_cred_log_unreadable(log, LHTTPD_LOG_NOTICE,
                                   "will not be read again by a reload, its "
                                   "certificates will stay as they are",
                                   source->file, error);
    }
}

/* 1: its file cannot be read and it stays as it was.  So does what was given in
 * memory, which is no fault, and 0. */
static int source_read_again(struct ca_source **out, struct ca_source *old,
                             const struct lh_log *log, struct lh_err *err)
{
    lhttpd_client_ca_t from = lhttpd_client_ca_init();
    int error = old->unreadable ? lh_read_try(old->file) : 0;

    if (error < 0)
        lh_cred_log_unreadable(log, LHTTPD_LOG_WARNING,
                               "is not read again, its certificates stay as "
                               "they were",
                               old->file, error);
    if (error < 0 || !old->file) {
        *out = source_share(old);
        return error < 0;
    }
    from.file = old->file;
    return source_make(out, &from, err);
}

int lh_client_ca_read_again(struct lh_client_ca **out,
                            const struct lh_client_ca *old,
                            const struct lh_log *log, struct lh_err *err)
{
    struct lh_client_ca *ca = set_with_room(old->sources_n);
    int r = 0, kept = 0;

    if (!ca)
        return lh_err_memory(err);
    ca->optional = old->optional;
    for (size_t i = 0; i < old->sources_n; i++) {
        r = source_read_again(&ca->sources[i], old->sources[i], log, err);
        if (r < 0)
            break;
        kept += r;
        ca->sources_n++;
    }
    r = end_set(out, ca, r < 0 ? r : 0, err);
    return r < 0 ? r : kept;
}
