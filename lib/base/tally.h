/*
 * How the requests of each handler went, for as long as the server lives: one
 * tally a handler, by its name, with a part for each worker.  Loads add
 * tallies, one thread at a time; any thread reads them meanwhile.
 */
#ifndef LH_BASE_TALLY_H
#define LH_BASE_TALLY_H

#include "base/stats.h"

#include <stdbool.h>
#include <stddef.h>

struct lh_tally {
    _Atomic(struct lh_tally *) next;
    char *prefix, *script, *name; /* "/app", "app.lua" or NULL, "/list" */
    _Atomic unsigned vms;         /* that have this handler now */
    struct lh_request_counts of_worker[];
};

struct lh_tallies {
    _Atomic(struct lh_tally *) first;
    struct lh_tally *last;
    _Atomic unsigned n;
    unsigned workers_n;
};

void lh_tallies_init(struct lh_tallies *tallies, unsigned workers_n);
void lh_tallies_deinit(struct lh_tallies *tallies);

/* The tally of a handler, made where there is none, for one more VM.  NULL: no
 * memory. */
struct lh_tally *lh_tally_hold(struct lh_tallies *tallies, const char *prefix,
                               const char *script, const char *name);
void lh_tally_let_go(struct lh_tally *tally); /* a VM ends; NULL allowed */

/* Number `index` in the order of their first load; NULL: past the last. */
const struct lh_tally *lh_tally_at(const struct lh_tallies *tallies,
                                   unsigned index);
const struct lh_tally *lh_tally_next(const struct lh_tally *tally);

#endif
