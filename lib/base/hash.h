/*
 * A keyed hash for tables whose keys clients choose: SipHash-2-4 (Aumasson and
 * Bernstein, 2012).  Who does not know the key cannot find keys that fall into
 * one slot.
 */
#ifndef LH_BASE_HASH_H
#define LH_BASE_HASH_H

#include "base/str.h"

struct lh_hash_key {
    uint64_t k[2]; /* random */
};

uint64_t lh_hash(const struct lh_hash_key *key, struct lh_str s);

#endif
