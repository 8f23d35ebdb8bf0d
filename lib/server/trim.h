/*
 * Memory goes back to the system once a flood is over: the C library would keep
 * it for a load that may never come again.
 */
#ifndef LH_SERVER_TRIM_H
#define LH_SERVER_TRIM_H

#include "base/timer.h"

struct lh_worker;

struct lh_trim {
    struct lh_timer timer;
    unsigned peak;   /* of the load in this period */
    unsigned before; /* ... in those before, since memory was given back */
};

void lh_trim_init(struct lh_worker *w);

/* At the end of each turn. */
void lh_trim_look(struct lh_worker *w);

#endif
