/*
 * Keys of tickets: see ticket_keys.h.  Two slots, for the keys of even and of
 * odd periods: a new key overwrites the one before the last.  Each slot is a
 * seqlock, as the entries in session.c: `sequence` is odd while a thread
 * writes, nobody waits, and all words are atomic.
 */
#include "net/ticket_keys.h"

#include "base/mem.h"
#include "os/entropy.h"

#include <stdatomic.h>
#include <string.h>

#define KEY_WORDS (sizeof(struct lh_ticket_key) / sizeof(uint64_t))

_Static_assert(sizeof(struct lh_ticket_key) % sizeof(uint64_t) == 0,
               "a key is copied in whole words");

struct slot {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[KEY_WORDS];
};

struct lh_ticket_keys {
    struct slot slots[2];
};

struct lh_ticket_keys *lh_ticket_keys_new(void)
{
    struct lh_ticket_keys *keys = lh_alloc(sizeof(*keys));

    if (!keys)
        return NULL;
    for (size_t i = 0; i < 2; i++) {
        atomic_init(&keys->slots[i].sequence, 0);
        for (size_t k = 0; k < KEY_WORDS; k++)
            atomic_init(&keys->slots[i].words[k], 0);
    }
    return keys;
}

void lh_ticket_keys_free(struct lh_ticket_keys *keys)
{
    if (keys)
        explicit_bzero(keys, sizeof(*keys));
    lh_free(keys);
}

/* False: it is written at this moment.  *sequence: what a writer has to find.
 */
static bool slot_read(struct slot *slot, struct lh_ticket_key *key,
                      uint64_t *sequence)
{
    uint64_t words[KEY_WORDS];

    *sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
    if (*sequence & 1)
        return false;
    for (size_t i = 0; i < KEY_WORDS; i++)
        words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
    if (atomic_load_explicit(&slot->sequence, memory_order_relaxed) !=
        *sequence)
        return false;
    memcpy(key, words, sizeof(*key));
    explicit_bzero(words, sizeof(words));
    return true;
}

/* False: another thread was first. */
static bool slot_write(struct slot *slot, const struct lh_ticket_key *key,
                       uint64_t sequence)
{
    uint64_t words[KEY_WORDS];

    if (!atomic_compare_exchange_strong_explicit(
            &slot->sequence, &sequence, sequence + 1, memory_order_acq_rel,
            memory_order_relaxed))
        return false;
    memcpy(words, key, sizeof(*key));
    for (size_t i = 0; i < KEY_WORDS; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
    explicit_bzero(words, sizeof(words));
    return true;
}

static uint64_t period_of(uint64_t now_ms)
{
    return now_ms / LH_TICKET_PERIOD_MS + 1;
}

bool lh_ticket_keys_now(struct lh_ticket_keys *keys, uint64_t now_ms,
                        struct lh_ticket_key *key)
{
    uint64_t period = period_of(now_ms), sequence;
    struct slot *slot = &keys->slots[period % 2];

    if (!slot_read(slot, key, &sequence))
        return false;
    if (key->period == period)
        return true;
    if (lh_entropy(key, sizeof(*key)))
        return false;
    key->period = period;
    return slot_write(slot, key, sequence);
}

/* Workers have clocks of their own turns: a key may be of a period that has not
 * begun for this one. */
bool lh_ticket_keys_find(struct lh_ticket_keys *keys, uint64_t now_ms,
                         const uint8_t name[LH_TICKET_NAME_BYTES],
                         struct lh_ticket_key *key)
{
    uint64_t period = period_of(now_ms), sequence;

    for (size_t i = 0; i < 2; i++) {
        if (slot_read(&keys->slots[i], key, &sequence) && key->period &&
            memcmp(key->name, name, LH_TICKET_NAME_BYTES) == 0)
            return key->period + 1 >= period;
    }
    return false;
}
