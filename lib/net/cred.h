/*
 * Certificates and private keys: reading PEM and DER, checking that they belong
 * together, choosing one for a client.
 */
#ifndef LH_NET_CRED_H
#define LH_NET_CRED_H

#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Several chains with their keys, in the order in which they were added.  A set
 * does not change once it is shared: what runs gets another one. */
struct lh_creds;

struct lh_creds *lh_creds_new(void); /* one share; NULL: no memory */

/* One share more, or one less; the last one wipes the keys.  Any thread that
 * has a share.  lh_creds_free(): NULL allowed. */
struct lh_creds *lh_creds_share(struct lh_creds *creds);
void lh_creds_free(struct lh_creds *creds);

/* Reads, checks and adds one; all of it is copied.  LHTTPD_ECERT with words
 * ("certificate 'x.pem': the key in 'y.pem' does not match"), LHTTPD_ENOMEM. */
int lh_creds_add(struct lh_creds *creds, const lhttpd_certificate_t *from,
                 struct lh_err *err);

/* A new set: `old`, in which this one takes the place of the first that has the
 * same names and type of key, or is the last.  Errors as lh_creds_add(). */
int lh_creds_replace(struct lh_creds **out, const struct lh_creds *old,
                     const lhttpd_certificate_t *from, struct lh_err *err);

/* Logs which of their files cannot be read any more, as after privileges were
 * given up, and marks them. */
void lh_creds_look(struct lh_creds *creds, const struct lh_log *log);

/* Logs which of them are not within their time: they are used all the same, for
 * a device's clock may be wrong. */
void lh_creds_tell_time(const struct lh_creds *creds, const struct lh_log *log);

/* The first second at which one that is within its time now is so no more;
 * INT64_MAX: there is none. */
int64_t lh_creds_next_end(const struct lh_creds *creds, int64_t now);

/* Logs those whose time was over between then and now. */
void lh_creds_tell_ended(const struct lh_creds *creds, int64_t then,
                         int64_t now, const struct lh_log *log);

/* A new set: `old`, with every file read again.  Those that are marked and
 * still cannot be read stay as they were, and the log says so.  How many these
 * are, or errors as lh_creds_add(). */
int lh_creds_read_again(struct lh_creds **out, const struct lh_creds *old,
                        const struct lh_log *log, struct lh_err *err);

bool lh_creds_empty(const struct lh_creds *creds);

/* Adds what clients' certificates have to be from; before the set is shared, as
 * the next.  Errors as lh_creds_add(). */
int lh_creds_add_client_ca(struct lh_creds *creds,
                           const lhttpd_client_ca_t *from, struct lh_err *err);
void lh_creds_set_client_optional(struct lh_creds *creds, bool optional);
struct lh_client_ca;
/* NULL: clients are not asked for certificates. */
struct lh_client_ca *lh_creds_client_ca(const struct lh_creds *creds);

struct lh_keypair;

/* In cred.c: reads and checks what `from` says into a pair that was initialised
 * (keypair.h).  Errors as lh_creds_add(). */
int lh_cred_read(struct lh_keypair *pair, const lhttpd_certificate_t *from,
                 struct lh_err *err);

/* Certificates in PEM or DER: a file, or memory where `file` is NULL. */
struct lh_cred_from {
    const char *kind; /* what messages call it: "client CA" */
    const char *file;
    const void *p;
    size_t n;
};

/* In cred.c too: calls `take` for each certificate.  It returns 0,
 * LHTTPD_ENOMEM, or LHTTPD_ECERT where the certificate cannot be used.  Errors
 * as lh_creds_add(). */
typedef int (*lh_cred_take)(void *context, const uint8_t *der, size_t n);
int lh_cred_each(const struct lh_cred_from *from, lh_cred_take take,
                 void *context, struct lh_err *err);

/* What a reload cannot read, and what then. */
void lh_cred_log_unreadable(const struct lh_log *log, lhttpd_log_level_t level,
                            const char *words, const char *which, int error);

/* For policy.c: the i-th pair, NULL past the last. */
const struct lh_keypair *lh_creds_at(const struct lh_creds *creds, size_t i);

#endif
