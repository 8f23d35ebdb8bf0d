/*
 * What a worker is inside of at the moment: a handler, a script that loads, a
 * collection that runs finalizers.  Its own thread says so; any other may ask,
 * since one that is in a script for ever tells nobody by itself.
 */
#ifndef LH_BASE_RUNNING_H
#define LH_BASE_RUNNING_H

#include "base/mailbox.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A client's name of its request, with a zero behind it. */
#define LH_RUN_ID_BYTES 136
#define LH_RUN_ID_WORDS (LH_RUN_ID_BYTES / sizeof(uint64_t))

/* All zero at first.  What the pointers lead to outlives every reader, see
 * lh_run_words_free(). */
struct lh_running {
    _Atomic uint64_t since_ms; /* monotonic */
    _Atomic(const char *) script;
    _Atomic(const char *) what; /* NULL: nothing runs */
    _Atomic int thread;         /* whose it is, as the system counts */
    _Atomic uint64_t request;   /* its number, see http/request_id.h; 0: none */
    _Atomic uint64_t told_of;   /* the request that a reader has told of */
    _Atomic uint64_t client_id[LH_RUN_ID_WORDS]; /* what its client calls it */
};

/* Words for `what` that do not last as long as the process. */
struct lh_run_words {
    struct lh_mailbox_node node; /* on its way to who may still read them */
    char text[];
};

/* A copy; NULL: no memory. */
struct lh_run_words *lh_run_words_new(const char *text);

/* Nothing that begins uses them any more.  `readers`: the mailbox of the thread
 * that looks at what runs, which frees them between two looks; NULL: nobody
 * looks.  NULL words are allowed. */
void lh_run_words_free(struct lh_run_words *words, struct lh_mailbox *readers);

/* The readers' part. */
void lh_run_words_free_all(struct lh_mailbox *readers);

/* One look at it. */
struct lh_run {
    uint64_t since_ms;
    const char *script; /* its name; NULL: it was given none */
    const char *what;   /* "handler /x (line 12)", "the loading" */
    uint64_t request;   /* 0: none */
    char client_id[LH_RUN_ID_BYTES];
};

/* In this order: see lh_running_look(). */
static inline void lh_running_begin(struct lh_running *r, const char *script,
                                    const char *what, uint64_t now_ms)
{
    atomic_store_explicit(&r->since_ms, now_ms, memory_order_release);
    atomic_store_explicit(&r->script, script, memory_order_release);
    atomic_store_explicit(&r->request, 0, memory_order_release);
    atomic_store_explicit(&r->what, what, memory_order_release);
}

static inline void lh_running_end(struct lh_running *r)
{
    atomic_store_explicit(&r->what, NULL, memory_order_release);
}

/* What has begun just now is a part of this request. */
static inline void lh_running_serves(struct lh_running *r, uint64_t request)
{
    atomic_store_explicit(&r->request, request, memory_order_release);
}

/* Likewise, where clients' names of their requests are believed; NULL: it has
 * none. */
void lh_running_called(struct lh_running *r, const char *client_id);

/* False: nothing runs, or another run began just now.  What was found belongs
 * together where the run began some milliseconds before the look, the grain of
 * the clock. */
bool lh_running_look(const struct lh_running *r, struct lh_run *run);

/* "handler /x (line 12) of script a.lua", with a zero at its end, cut to fit.
 */
void lh_run_text(char *to, size_t room, const struct lh_run *run);

#endif
