/*
 * A few helper threads of one worker, for work that would hold it.  Jobs go to
 * them through a bounded queue and come back when they are done; nobody waits
 * for anybody, and there is no lock.
 */
#ifndef LH_OS_CREW_H
#define LH_OS_CREW_H

#include "base/mailbox.h"

#include <stdbool.h>

/* Jobs that are given and not begun, at most; and helpers. */
#define LH_CREW_JOBS_MAX    256
#define LH_CREW_HELPERS_MAX 16

/* Embedded in its owner's struct.  From lh_crew_give() until it was taken it
 * belongs to the crew, with all that `run` uses. */
struct lh_crew_job {
    void (*run)(struct lh_crew_job *job); /* in a helper */
    struct lh_mailbox_node node;          /* inside */
};

struct lh_crew;

/* With so many helpers, or fewer where the system gives no more threads.  0 or
 * a negative errno. */
int lh_crew_new(struct lh_crew **crew, unsigned helpers);

/* Ends the helpers once they have done all that was given; gives what was not
 * taken, as lh_crew_take().  NULL allowed. */
struct lh_mailbox_node *lh_crew_free(struct lh_crew *crew);

unsigned lh_crew_helpers(const struct lh_crew *crew);

/* Readable while jobs that are done wait to be taken. */
int lh_crew_fd(const struct lh_crew *crew);

/* False: there is no room.  The helpers know of it from lh_crew_call() on,
 * which is one system call for all that were given. */
bool lh_crew_give(struct lh_crew *crew, struct lh_crew_job *job);
void lh_crew_call(struct lh_crew *crew);

/* The nodes of what is done, the first first, chained by `next`; NULL: none. */
struct lh_mailbox_node *lh_crew_take(struct lh_crew *crew);

#endif
