/*
 * Tallies of handlers: see tally.h.  A list that only grows, so that a reader
 * needs no lock: a tally is whole before the pointer to it is stored.
 */
#include "base/tally.h"

#include "base/mem.h"

#include <string.h>

void lh_tallies_init(struct lh_tallies *tallies, unsigned workers_n)
{
    *tallies = (struct lh_tallies){.workers_n = workers_n};
}

static void free_tally(struct lh_tally *tally)
{
    lh_free(tally->prefix);
    lh_free(tally->script);
    lh_free(tally->name);
    lh_free(tally);
}

void lh_tallies_deinit(struct lh_tallies *tallies)
{
    struct lh_tally *tally = atomic_load(&tallies->first);

    while (tally) {
        struct lh_tally *next = atomic_load(&tally->next);
        free_tally(tally);
        tally = next;
    }
}

const struct lh_tally *lh_tally_next(const struct lh_tally *tally)
{
    return atomic_load_explicit(&tally->next, memory_order_acquire);
}

/* One by one: that is done where a script loads, not where it serves. */
static struct lh_tally *find_tally(const struct lh_tallies *tallies,
                                   const char *prefix, const char *name)
{
    struct lh_tally *tally = atomic_load(&tallies->first);

    while (tally && (strcmp(tally->name, name) != 0 ||
                     strcmp(tally->prefix, prefix) != 0))
        tally = atomic_load(&tally->next);
    return tally;
}

static struct lh_tally *new_tally(unsigned workers_n, const char *prefix,
                                  const char *script, const char *name)
{
    size_t counts = workers_n * sizeof(struct lh_request_counts);
    struct lh_tally *tally = lh_calloc(1, sizeof(*tally) + counts);

    if (!tally)
        return NULL;
    tally->prefix = lh_strdup(prefix);
    tally->script = script ? lh_strdup(script) : NULL;
    tally->name = lh_strdup(name);
    if (tally->prefix && tally->name && (tally->script || !script))
        return tally;
    free_tally(tally);
    return NULL;
}

/* `last` is for who adds alone; readers go from `first`, by what is stored with
 * release here and loaded with acquire there. */
static void append_tally(struct lh_tallies *tallies, struct lh_tally *tally)
{
    atomic_store_explicit(tallies->last ? &tallies->last->next
                                        : &tallies->first,
                          tally, memory_order_release);
    tallies->last = tally;
    atomic_fetch_add(&tallies->n, 1);
}

/* A handler that is registered anew by a reload, or by another worker's VM,
 * goes on with its numbers. */
struct lh_tally *lh_tally_hold(struct lh_tallies *tallies, const char *prefix,
                               const char *script, const char *name)
{
    struct lh_tally *tally = find_tally(tallies, prefix, name);

    if (!tally) {
        tally = new_tally(tallies->workers_n, prefix, script, name);
        if (!tally)
            return NULL;
        append_tally(tallies, tally);
    }
    atomic_fetch_add(&tally->vms, 1);
    return tally;
}

void lh_tally_let_go(struct lh_tally *tally)
{
    if (tally)
        atomic_fetch_sub(&tally->vms, 1);
}

const struct lh_tally *lh_tally_at(const struct lh_tallies *tallies,
                                   unsigned index)
{
    const struct lh_tally *tally =
        atomic_load_explicit(&tallies->first, memory_order_acquire);

    while (tally && index--)
        tally = lh_tally_next(tally);
    return tally;
}
