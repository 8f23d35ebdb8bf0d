/*
 * What a script may have its server do that concerns all workers: server/
 * fills it in.  A VM that is thrown away has none.
 */
#ifndef LH_BASE_HUB_H
#define LH_BASE_HUB_H

#include "base/hash.h"

struct lh_hub {
    struct lh_hash_key key; /* of names and keys */
    /* Gives a message to every subscriber.  Any thread, never waits.
     * LHTTPD_ENOMEM; LHTTPD_EINVAL: the name or the data is too long. */
    int (*publish)(struct lh_hub *hub, struct lh_str channel,
                   struct lh_str data);
};

#endif
