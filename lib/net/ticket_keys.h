/*
 * The keys that session tickets (RFC 5077; RFC 8446, 4.6.1) are sealed with:
 * one for each twelve hours, random, shared by all workers without a lock.  A
 * ticket is good under the present key and the one before it.
 */
#ifndef LH_NET_TICKET_KEYS_H
#define LH_NET_TICKET_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_TICKET_PERIOD_MS  ((uint64_t)12 * 3600 * 1000)
#define LH_TICKET_NAME_BYTES 16
#define LH_TICKET_KEY_BYTES  32

struct lh_ticket_key {
    uint8_t name[LH_TICKET_NAME_BYTES]; /* stands in the ticket */
    uint8_t cipher[LH_TICKET_KEY_BYTES], mac[LH_TICKET_KEY_BYTES];
    uint64_t period; /* the number of its twelve hours, from 1 on */
};

struct lh_ticket_keys;

/* NULL: no memory. */
struct lh_ticket_keys *lh_ticket_keys_new(void);
void lh_ticket_keys_free(struct lh_ticket_keys *keys); /* NULL allowed; wipes */

/* The key to seal with at this time of lh_clock_ms(), which is made if nobody
 * has made it yet.  False: another thread makes it at this very moment, or the
 * kernel gives no random bytes. */
bool lh_ticket_keys_now(struct lh_ticket_keys *keys, uint64_t now_ms,
                        struct lh_ticket_key *key);

/* The key of this name, if it is the present one or the one before. */
bool lh_ticket_keys_find(struct lh_ticket_keys *keys, uint64_t now_ms,
                         const uint8_t name[LH_TICKET_NAME_BYTES],
                         struct lh_ticket_key *key);

#endif
