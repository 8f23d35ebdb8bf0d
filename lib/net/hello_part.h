/*
 * A ClientHello of which the rest has not come.  What there is of it waits in a
 * block of its own: a chunk of the pool is large for a client that is slow, or
 * means ill.
 */
#ifndef LH_NET_HELLO_PART_H
#define LH_NET_HELLO_PART_H

#include "net/chunk.h"

struct lh_hello_part {
    uint8_t *p; /* NULL: nothing waits */
    size_t n;
};

/* Moves what is in the chunk there, and gives the chunk back.  NULL, or why the
 * client is lost, who has been told if its message is too long. */
const char *lh_hello_part_keep(struct lh_hello_part *part,
                               struct lh_transport *t, struct lh_chunk *raw);

/* One read from the socket into the chunk, which is held and empty: behind what
 * waits, which is there too then.  As lh_net_receive(); where that gives
 * nothing the chunk is given back and the part waits on. */
ssize_t lh_hello_part_receive(struct lh_hello_part *part,
                              struct lh_transport *t, struct lh_chunk *raw);

/* The library has it, or nobody will want it any more. */
void lh_hello_part_forget(struct lh_hello_part *part);

#endif
