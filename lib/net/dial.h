/*
 * Connecting to the first of several addresses that answers (RFC 8305, "happy
 * eyeballs"): IPv6 and IPv4 take turns, each gets a quarter of a second before
 * the next is tried beside it, and one that fails makes room at once.
 */
#ifndef LH_NET_DIAL_H
#define LH_NET_DIAL_H

#include "base/context.h"
#include "os/resolve.h"
#include "os/slots.h"

struct lh_dial;

struct lh_attempt {
    struct lh_source source;
    struct lh_dial *dial;
    uint64_t tag;
    int fd; /* -1: it is not under way */
};

struct lh_dial {
    struct lh_context *ctx;
    struct lh_resolved to; /* in the order in which they are tried */
    struct lh_attempt attempts[LH_RESOLVED_MAX];
    unsigned begun, under_way;
    struct lh_timer timer;
    bool over;
    int fd;    /* once it is over: connected, the owner's to close; or */
    int error; /* a negative errno, that of the address which says most */
    void (*done)(struct lh_dial *dial);
};

/* From the next attempt to the one beside it (RFC 8305, 5). */
#define LH_DIAL_NEXT_MS 250

/* Begins.  `done` is called once, from an event, a timer, or this call. */
void lh_dial_begin(struct lh_dial *dial, struct lh_context *ctx,
                   const struct lh_resolved *to,
                   void (*done)(struct lh_dial *dial));

/* Ends what is under way; `done` is not called any more.  Again is allowed. */
void lh_dial_end(struct lh_dial *dial);

#endif
