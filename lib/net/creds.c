/*
 * Sets of credentials: see cred.h.  Sets that follow each other share the pairs
 * that have not changed, and what uses a set holds a share of it, so that its
 * keys last as long as the handshakes that began with them.
 */
#include "base/mem.h"
#include "net/certificate.h"
#include "net/client_ca.h"
#include "net/cred.h"
#include "net/keypair.h"
#include "os/clock.h"
#include "os/read_file.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* A chain with its key, and where it is from. */
struct pair {
    _Atomic unsigned shares;
    struct lh_keypair keys;
    char *chain_file, *key_file; /* NULL: it was in memory */
    bool unreadable;             /* since privileges were given up */
};

struct lh_creds {
    _Atomic unsigned shares;
    struct pair **pairs;
    size_t n;
    struct lh_client_ca *client_ca; /* a share, or NULL */
};

/* --- sets ----------------------------------------------------------------- */

static struct lh_creds *creds_with_room(size_t n)
{
    struct lh_creds *creds = lh_calloc(1, sizeof(*creds));

    if (!creds)
        return NULL;
    atomic_init(&creds->shares, 1);
    creds->pairs = lh_calloc(n + 1, sizeof(struct pair *));
    if (!creds->pairs) {
        lh_free(creds);
        return NULL;
    }
    return creds;
}

struct lh_creds *lh_creds_new(void)
{
    return creds_with_room(0);
}

static struct pair *pair_new(void)
{
    struct pair *pair = lh_calloc(1, sizeof(*pair));

    if (!pair)
        return NULL;
    atomic_init(&pair->shares, 1);
    lh_keypair_init(&pair->keys);
    return pair;
}

/* Sets are made and dropped by different threads, so shares are counted
 * atomically. */
static struct pair *pair_share(struct pair *pair)
{
    atomic_fetch_add(&pair->shares, 1);
    return pair;
}

/* The last share wipes the key. */
static void pair_free(struct pair *pair)
{
    if (atomic_fetch_sub(&pair->shares, 1) > 1)
        return;
    lh_keypair_deinit(&pair->keys);
    lh_free(pair->chain_file);
    lh_free(pair->key_file);
    lh_free(pair);
}

struct lh_creds *lh_creds_share(struct lh_creds *creds)
{
    atomic_fetch_add(&creds->shares, 1);
    return creds;
}

void lh_creds_free(struct lh_creds *creds)
{
    if (!creds || atomic_fetch_sub(&creds->shares, 1) > 1)
        return;
    for (size_t i = 0; i < creds->n; i++)
        pair_free(creds->pairs[i]);
    lh_client_ca_free(creds->client_ca);
    lh_free(creds->pairs);
    lh_free(creds);
}

bool lh_creds_empty(const struct lh_creds *creds)
{
    return creds->n == 0;
}

const struct lh_keypair *lh_creds_at(const struct lh_creds *creds, size_t i)
{
    return i < creds->n ? &creds->pairs[i]->keys : NULL;
}

/* --- adding --------------------------------------------------------------- */

static int pair_note_files(struct pair *pair, const lhttpd_certificate_t *from,
                           struct lh_err *err)
{
    if (from->chain_file && !(pair->chain_file = lh_strdup(from->chain_file)))
        return lh_err_memory(err);
    if (from->key_file && !(pair->key_file = lh_strdup(from->key_file)))
        return lh_err_memory(err);
    return 0;
}

static int pair_make(struct pair **out, const lhttpd_certificate_t *from,
                     struct lh_err *err)
{
    struct pair *pair = pair_new();

    if (!pair)
        return lh_err_memory(err);
    int code = pair_note_files(pair, from, err);
    if (!code)
        code = lh_cred_read(&pair->keys, from, err);
    if (code)
        pair_free(pair);
    else
        *out = pair;
    return code;
}

int lh_creds_add(struct lh_creds *creds, const lhttpd_certificate_t *from,
                 struct lh_err *err)
{
    size_t room = (creds->n + 1) * sizeof(struct pair *);
    struct pair **pairs = lh_realloc(creds->pairs, room);

    if (!pairs)
        return lh_err_memory(err);
    creds->pairs = pairs;
    int code = pair_make(&pairs[creds->n], from, err);
    if (!code)
        creds->n++;
    return code;
}

int lh_creds_replace(struct lh_creds **out, const struct lh_creds *old,
                     const lhttpd_certificate_t *from, struct lh_err *err)
{
    struct lh_creds *creds = creds_with_room(old->n + 1);
    struct pair *pair;
    bool placed = false;

    /* There is room for one more than before, so nothing behind the reading of
     * the new pair can fail. */
    if (!creds)
        return lh_err_memory(err);
    int code = pair_make(&pair, from, err);
    if (code) {
        lh_creds_free(creds);
        return code;
    }
    for (size_t i = 0; i < old->n; i++) {
        bool goes =
            !placed && lh_keypair_is_alike(&old->pairs[i]->keys, &pair->keys);
        creds->pairs[creds->n++] = goes ? pair : pair_share(old->pairs[i]);
        placed |= goes;
    }
    if (!placed)
        creds->pairs[creds->n++] = pair;
    creds->client_ca = lh_client_ca_share(old->client_ca);
    *out = creds;
    return 0;
}

int lh_creds_add_client_ca(struct lh_creds *creds,
                           const lhttpd_client_ca_t *from, struct lh_err *err)
{
    struct lh_client_ca *ca;
    int code = lh_client_ca_add(&ca, creds->client_ca, from, err);

    if (code)
        return code;
    lh_client_ca_free(creds->client_ca);
    creds->client_ca = ca;
    return 0;
}

void lh_creds_set_client_optional(struct lh_creds *creds, bool optional)
{
    if (creds->client_ca)
        creds->client_ca->optional = optional;
}

struct lh_client_ca *lh_creds_client_ca(const struct lh_creds *creds)
{
    return creds->client_ca;
}

/* --- their time ----------------------------------------------------------- */

/* NULL: it is within its time.  *at: when that begins, or was over. */
static const char *fault_of_time(const struct lh_certificate *c, int64_t now,
                                 int64_t *at)
{
    *at = now < c->not_before ? c->not_before : c->not_after;
    if (now < c->not_before)
        return "it is not valid before";
    return now > c->not_after ? "it has expired at" : NULL;
}

/* Of a chain the leaf counts: further certificates may be there for clients of
 * another age. */
static void tell_time(const struct pair *pair, int64_t now,
                      const struct lh_log *log)
{
    char at[LH_CLOCK_ISO_BYTES], clock[LH_CLOCK_ISO_BYTES];
    const struct lh_chain_link *leaf = &pair->keys.chain[0];
    const char *file = pair->chain_file, *fault;
    struct lh_certificate certificate;
    int64_t then;

    if (!lh_certificate_read(leaf->data, leaf->data_len, &certificate) ||
        !(fault = fault_of_time(&certificate, now, &then)))
        return;
    lh_clock_iso_date(then, at);
    lh_clock_iso_date(now, clock);
    lh_log(log, LHTTPD_LOG_WARNING, NULL,
           "certificate %s%s%s: %s %s, by the clock it is %s: clients will "
           "refuse it",
           file ? "'" : "in ", file ? file : "memory", file ? "'" : "", fault,
           at, clock);
}

void lh_creds_tell_time(const struct lh_creds *creds, const struct lh_log *log)
{
    int64_t now = lh_clock_unix_s();

    for (size_t i = 0; i < creds->n; i++)
        tell_time(creds->pairs[i], now, log);
}

/* The first second that is none of the leaf's; INT64_MAX: it cannot be read. */
static int64_t end_of(const struct pair *pair)
{
    const struct lh_chain_link *leaf = &pair->keys.chain[0];
    struct lh_certificate certificate;

    return lh_certificate_read(leaf->data, leaf->data_len, &certificate)
               ? certificate.not_after + 1
               : INT64_MAX;
}

int64_t lh_creds_next_end(const struct lh_creds *creds, int64_t now)
{
    int64_t next = INT64_MAX;

    for (size_t i = 0; i < creds->n; i++) {
        int64_t end = end_of(creds->pairs[i]);
        if (end > now && end < next)
            next = end;
    }
    return next;
}

void lh_creds_tell_ended(const struct lh_creds *creds, int64_t then,
                         int64_t now, const struct lh_log *log)
{
    for (size_t i = 0; i < creds->n; i++) {
        int64_t end = end_of(creds->pairs[i]);
        if (end > then && end <= now)
            tell_time(creds->pairs[i], now, log);
    }
}

/* --- files again ---------------------------------------------------------- */

/* Tries, and reads nothing.  0, or the negative errno of the one that cannot be
 * opened. */
static int files_open(const struct pair *pair, const char **which)
{
    const char *const paths[] = {pair->chain_file, pair->key_file};

    for (size_t i = 0; i < 2; i++) {
        int error = paths[i] ? lh_read_try(paths[i]) : 0;
        if (error < 0) {
            *which = paths[i];
            return error;
        }
    }
    return 0;
}

void lh_creds_look(struct lh_creds *creds, const struct lh_log *log)
{
    const char *which;

    for (size_t i = 0; i < creds->n; i++) {
        struct pair *pair = creds->pairs[i];
        int error = files_open(pair, &which);
        pair->unreadable = error != 0;
        if (error)
            lh_cred_log_unreadable(log, LHTTPD_LOG_NOTICE,
                                   "will not be read again by a reload, its "
                                   "certificate will stay as it is",
                                   which, error);
    }
    lh_client_ca_look(creds->client_ca, log);
}

/* 1: its files cannot be read and it stays as it was.  So does what was given
 * in memory, which is no fault, and 0. */
static int pair_read_again(struct pair **out, struct pair *old,
                           const struct lh_log *log, struct lh_err *err)
{
    lhttpd_certificate_t from = lhttpd_certificate_init();
    const char *which;
    int error = old->unreadable ? files_open(old, &which) : 0;

    if (error)
        lh_cred_log_unreadable(
            log, LHTTPD_LOG_WARNING,
            "is not read again, its certificate stays as it was", which, error);
    if (error || !old->chain_file || !old->key_file) {
        *out = pair_share(old);
        return error != 0;
    }
    from.chain_file = old->chain_file;
    from.key_file = old->key_file;
    return pair_make(out, &from, err);
}

/* All of it or nothing, but for what is marked: a server does not go on with
 * half of what its operator has changed. */
int lh_creds_read_again(struct lh_creds **out, const struct lh_creds *old,
                        const struct lh_log *log, struct lh_err *err)
{
    struct lh_creds *creds = creds_with_room(old->n);
    int kept = 0;

    if (!creds)
        return lh_err_memory(err);
    for (size_t i = 0; i < old->n; i++) {
        int r = pair_read_again(&creds->pairs[i], old->pairs[i], log, err);
        if (r < 0) {
            lh_creds_free(creds);
            return r;
        }
        kept += r;
        creds->n++;
    }
    int r = 0;
    if (old->client_ca)
        r = lh_client_ca_read_again(&creds->client_ca, old->client_ca, log,
                                    err);
    if (r < 0) {
        lh_creds_free(creds);
        return r;
    }
    *out = creds;
    return kept + r;
}
