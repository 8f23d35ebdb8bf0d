/*
 * One operation on a shared value, as it goes from who asks to the worker that
 * the key belongs to and back.  It owns what it carries, so that who has asked
 * may be gone when it comes back.
 */
#ifndef LH_BASE_SHARED_H
#define LH_BASE_SHARED_H

#include "base/mailbox.h"
#include "base/store.h"

enum lh_shared_op {
    LH_SHARED_GET,
    LH_SHARED_SET,  /* value */
    LH_SHARED_ADD,  /* value, where there is none */
    LH_SHARED_INCR, /* by value; `other`: in place of what is not there */
    LH_SHARED_CAS,  /* value, where there is `other` */
    LH_SHARED_DELETE,
    LH_SHARED_KEYS, /* `key` is a prefix; of all workers */
};

enum lh_shared_result {
    LH_SHARED_OK,     /* `answer` of get and incr, `octets` of keys */
    LH_SHARED_NO,     /* add: it is there; cas: another is; delete: none was */
    LH_SHARED_ABSENT, /* incr: there is none, and no `other` */
    LH_SHARED_NOT_NUMBER, /* incr: there is no number */
    LH_SHARED_TOO_LARGE,
    LH_SHARED_MEMORY,
    LH_SHARED_STOPPING, /* the worker has ended */
};

struct lh_shared_call {
    enum lh_shared_op op;
    struct lh_str key;
    struct lh_value value, other;
    uint64_t live_ms; /* set and add: how long it lives; LH_NEVER */
    bool doubles;     /* cas: who asks sees every number as a double */

    enum lh_shared_result result;
    struct lh_value answer;
    char *octets; /* of the answer's text; NULL: that is the store's own */
    size_t octets_n, octets_room;

    /* On its way, by server/. */
    struct lh_message message;
    struct lh_worker *asker;
    uint64_t hash;
    unsigned owner; /* the worker's number */
    void (*on_answer)(struct lh_shared_call *call);
};

/* A copy of `what` that owns its strings, the first member of a block of `head`
 * octets, the rest of them zero.  NULL: no memory. */
struct lh_shared_call *lh_shared_call_new(size_t head,
                                          const struct lh_shared_call *what);
void lh_shared_call_free(struct lh_shared_call *call); /* NULL allowed */

/* Does it, `hash` being the key's.  The text of an answer is the store's. */
void lh_shared_run(struct lh_shared_call *call, struct lh_store *store,
                   uint64_t now_ms, size_t most_bytes);

/* Makes the answer's text the call's own, or the result LH_SHARED_MEMORY. */
void lh_shared_keep(struct lh_shared_call *call);

/* The keys that were found, one after the other; *at begins with 0. */
bool lh_shared_next_key(const struct lh_shared_call *call, size_t *at,
                        struct lh_str *key);

#endif
