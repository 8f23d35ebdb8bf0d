/*
 * What a script may have its server do that concerns all workers: server/
 * fills it in.  A VM that nobody serves has none.
 */
#ifndef LH_BASE_HUB_H
#define LH_BASE_HUB_H

#include "base/hash.h"

struct lh_context;
struct lh_shared_call;

struct lh_hub {
    struct lh_hash_key key; /* of names and keys */

    /* Gives a message to every subscriber.  Any thread, never waits.
     * LHTTPD_ENOMEM; LHTTPD_EINVAL: the name or the data is too long. */
    int (*publish)(struct lh_hub *hub, struct lh_str channel,
                   struct lh_str data);

    /* Shared values, see base/shared.h.  `ctx` is that of the worker that
     * runs.  First: does it if the key is this worker's own; false: it is not.
     * Second: sends it to its owner, and on_answer is called on this thread
     * later, in any case; the call is allocated. */
    bool (*ask_own)(struct lh_hub *hub, struct lh_context *ctx,
                    struct lh_shared_call *call);
    void (*ask_owner)(struct lh_hub *hub, struct lh_context *ctx,
                      struct lh_shared_call *call);
    /* For a script that loads: waits.  answer->octets is to be freed.
     * LHTTPD_ENOMEM, LHTTPD_ESYSTEM, LHTTPD_ESTATE: the server stops. */
    int (*ask_and_wait)(struct lh_hub *hub, const struct lh_shared_call *what,
                        struct lh_shared_call *answer);
};

#endif
