/*
 * Channels: what is published under a name reaches every subscriber of that
 * name.  A publication is copied once and shared by reference.  Each worker has
 * a struct lh_channels: its subscribers, which it alone touches, and an inbox,
 * a mailbox where any thread posts.  A channel exists while somebody subscribes
 * to it.  What does not fit is dropped, the oldest first, and counted.
 */
#ifndef LH_BASE_CHANNEL_H
#define LH_BASE_CHANNEL_H

#include "base/hash.h"
#include "base/list.h"
#include "base/mailbox.h"
#include "base/stats.h"

/* Octets of a name. */
#define LH_CHANNEL_NAME_MAX 1024

/* Names are told apart before a worker is woken, and what is lost is counted,
 * by groups of their hashes. */
#define LH_CHANNEL_GROUPS 256

/* One worker's hold of a publication. */
struct lh_copy {
    struct lh_mailbox_node node;
    struct lh_publication *of;
};

struct lh_publication {
    _Atomic unsigned refs;
    uint64_t hash; /* of its channel's name */
    struct lh_str name, data;
    size_t bytes; /* what it takes of an inbox's bound */
    unsigned copies_n;
    struct lh_copy copies[]; /* one a worker; then name and data */
};

/* The publisher's copy, for so many workers; its share is dropped once it is
 * posted.  NULL: no memory. */
struct lh_publication *lh_publication_new(uint64_t hash, struct lh_str name,
                                          struct lh_str data, unsigned copies);
void lh_publication_hold(struct lh_publication *p);
void lh_publication_drop(struct lh_publication *p); /* NULL: nothing */

struct lh_subscriber {
    struct lh_list link;          /* in its channel */
    struct lh_channel *channel;   /* NULL: it has none */
    struct lh_publication **ring; /* `n` of them wait, from `first` on */
    unsigned first, n, room;
    unsigned most; /* that may wait */
    uint64_t dropped;
    void (*on_message)(struct lh_subscriber *s); /* subscribes to nothing */
};

struct lh_channels {
    /* The owner's. */
    const struct lh_hash_key *key;
    struct lh_channel **slots; /* a power of two of them, or none */
    size_t slots_n;
    size_t n;                        /* channels */
    lh_count open, subscribers;      /* for the statistics: the same, and all */
    struct lh_mailbox_node *pending; /* taken from the inbox */
    lh_count delivered;
    lh_count dropped; /* by subscribers' queues, */
    lh_count lost;    /* ... and before they got that far */
    /* Any thread's. */
    struct lh_mailbox inbox;
    _Atomic size_t inbox_bytes; /* `pending` counts too */
    _Atomic bool told;          /* the owner knows that there is something */
    _Atomic bool any_lost;
    _Atomic unsigned lost_of[LH_CHANNEL_GROUPS];
    _Atomic unsigned heard[LH_CHANNEL_GROUPS]; /* channels */
};

/* The key outlives it. */
void lh_channels_init(struct lh_channels *c, const struct lh_hash_key *key);

/* No subscriber is left; drops what waits. */
void lh_channels_deinit(struct lh_channels *c);

/* --- any thread ----------------------------------------------------------- */

/* May somebody here subscribe to a channel whose name has that hash? */
bool lh_channels_hear(const struct lh_channels *c, uint64_t hash);

/* Posts copy number `copy`.  Where more than `most_bytes` would wait, what does
 * is lost, and the newest stays.  True: the owner is to be told. */
bool lh_channels_post(struct lh_channels *c, struct lh_publication *p,
                      unsigned copy, size_t most_bytes);

/* --- the owner's thread --------------------------------------------------- */

/* `s` is all zero but for on_message.  LHTTPD_ENOMEM. */
int lh_channels_subscribe(struct lh_channels *c, struct lh_subscriber *s,
                          struct lh_str name, unsigned most);

/* Drops what it has not taken. Nothing happens the second time. */
void lh_channels_unsubscribe(struct lh_channels *c, struct lh_subscriber *s);

/* Gives out one publication, the oldest; false: there was none.  It begins with
 * lh_channels_told(), which accounts for what was lost. */
bool lh_channels_deliver(struct lh_channels *c);
void lh_channels_told(struct lh_channels *c);

/* What waits, the oldest first; NULL: nothing.  It is the subscriber's until
 * lh_subscriber_next(). */
struct lh_publication *lh_subscriber_first(const struct lh_subscriber *s);
void lh_subscriber_next(struct lh_subscriber *s);

#endif
