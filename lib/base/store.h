/*
 * The shared values that belong to one worker: strings, numbers and booleans by
 * key, some with a time to live.  All that they take has a bound; past it the
 * one that was written the longest ago goes first.  One thread at a time has
 * it.
 */
#ifndef LH_BASE_STORE_H
#define LH_BASE_STORE_H

#include "base/str.h"
#include "base/timer.h"

enum lh_value_kind {
    LH_VALUE_NONE,
    LH_VALUE_TEXT,
    LH_VALUE_NUMBER,
    LH_VALUE_INTEGER,
    LH_VALUE_BOOLEAN,
};

struct lh_value {
    enum lh_value_kind kind;
    double number;
    int64_t integer;
    bool boolean;
    struct lh_str text; /* of somebody else */
};

static inline bool lh_value_is_number(const struct lh_value *v)
{
    return v->kind == LH_VALUE_NUMBER || v->kind == LH_VALUE_INTEGER;
}

static inline double lh_value_number(const struct lh_value *v)
{
    return v->kind == LH_VALUE_INTEGER ? (double)v->integer : v->number;
}

/* As Lua compares them: 1 and 1.0 are equal, 2^53 + 1 and 2.0^53 are not. */
bool lh_value_equal(const struct lh_value *a, const struct lh_value *b);

struct lh_store {
    struct lh_entry **slots; /* a power of two of them, or none */
    size_t slots_n;
    size_t n;            /* entries */
    size_t bytes;        /* that they take */
    uint64_t evicted;    /* what had to go for others, so far */
    struct lh_list ages; /* entries, that written the longest ago first */
    struct lh_timers timers;
};

void lh_store_init(struct lh_store *store, uint64_t now_ms);
void lh_store_deinit(struct lh_store *store);

/* LH_VALUE_NONE: there is none.  The text is the store's, until the next call.
 * Here and below `hash` is that of the key, by one function for all. */
struct lh_value lh_store_get(struct lh_store *store, uint64_t now_ms,
                             uint64_t hash, struct lh_str key);

/* How long a value lives, in place of a deadline: as long as the one before. */
#define LH_STORE_KEEP_TIME 0

/* LH_VALUE_NONE takes it away.  `deadline_ms`: when it ends, LH_NEVER,
 * or LH_STORE_KEEP_TIME.  LHTTPD_EINVAL: it takes more than `most_bytes`
 * alone; LHTTPD_ENOMEM.  On failure nothing has changed. */
int lh_store_set(struct lh_store *store, uint64_t now_ms, uint64_t hash,
                 struct lh_str key, const struct lh_value *value,
                 uint64_t deadline_ms, size_t most_bytes);

/* Calls `see` with each key that begins so, until it gives false. */
bool lh_store_keys(struct lh_store *store, uint64_t now_ms,
                   struct lh_str prefix,
                   bool (*see)(void *context, struct lh_str key),
                   void *context);

/* The same entries again, each where `to` says by its hash (NULL: no memory).
 * LHTTPD_ENOMEM: some of them are there. */
int lh_store_copy(struct lh_store *from, uint64_t now_ms,
                  struct lh_store *(*to)(void *context, uint64_t hash),
                  void *context);

#endif
