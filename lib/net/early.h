/*
 * How large the first records of a TLS connection are.  Nothing of a record can
 * be used before all of it is there, and TCP sends about 14 KiB before it has
 * heard from the client (RFC 6928).  So the first octets leave in smaller
 * records: else the client would see nothing of a larger first answer for a
 * whole round trip more.  Later ones are as large as they may be, which costs
 * least.
 */
#ifndef LH_NET_EARLY_H
#define LH_NET_EARLY_H

#include <stdbool.h>
#include <stddef.h>

#define LH_EARLY_RECORD_BYTES 4096  /* of application data */
#define LH_EARLY_BYTES        16384 /* that leave in such records */

/* How much of `room` the next record uses, where `written` octets have been in
 * records before; more than LH_EARLY_BYTES need not be counted. */
static inline size_t lh_early_room(size_t room, size_t written)
{
    bool early = written < LH_EARLY_BYTES && room > LH_EARLY_RECORD_BYTES;

    return early ? LH_EARLY_RECORD_BYTES : room;
}

static inline void lh_early_count(size_t *written, size_t n)
{
    if (*written < LH_EARLY_BYTES)
        *written += n;
}

#endif
