/*
 * Names in the log what holds a worker: Lua cannot be interrupted, so a handler
 * that loops without a call of httpd keeps its worker from all others, and
 * nobody else could say which one it is.  One thread, which sleeps, looks at
 * what each worker is inside of (base/running.h).
 */
#ifndef LH_SERVER_WATCH_H
#define LH_SERVER_WATCH_H

#include "base/context.h"
#include "base/err.h"
#include "base/log_rate.h"
#include "base/running.h"
#include "os/evq.h"
#include "os/thread.h"
#include "server/notify.h"

#define LH_WATCH_TEXT_BYTES 1024

/* How long a script that loads has to return once the server is told to stop
 * and nothing else is left to wait for. */
#define LH_LOAD_STOP_MS 3000

/* One worker, as the thread knows it. */
struct lh_watched {
    struct lh_running *running;
    const struct lh_ids *ids;
    uint64_t since_ms; /* when what runs began; LH_NEVER: nothing runs */
    uint64_t late_ms;  /* when what ran for too long began, if it is late, */
    const char *script;
    char text[LH_WATCH_TEXT_BYTES]; /* ... and what it was, */
    char id[LH_RUN_ID_BYTES];       /* ... of which request; "": of none */
    bool is_late;
    bool told;         /* and the log says so */
    uint64_t stuck_ms; /* of what the log says that it cannot be interrupted:
                          when that began */
};

/* All zero: no thread.  The thread reads what is before it, and has to itself
 * what is behind it. */
struct lh_watch {
    const struct lh_log *log;
    _Atomic uint64_t limit_ms; /* handler_run_ms */
    struct lh_evq queue;
    bool is_on;
    _Atomic bool ends;
    _Atomic unsigned workers_n; /* that were added */
    struct lh_mailbox readers;  /* see lh_run_words_free() */
    struct lh_watched *workers;
    _Atomic uint64_t kill_ms; /* what runs longer is interrupted; 0: nothing */
    unsigned serving_n; /* who comes behind these loads scripts for them */
    _Atomic(struct lh_notify *)
        notify;      /* has a watchdog; NULL: there is none */
    uint64_t fed_ms; /* when it was told of the last time */
    _Atomic(struct lhttpd_server_t *) starts; /* loads its scripts now; or NULL
                                               */
    uint64_t leave_ms; /* when a stop ends that; LH_NEVER: none was asked for */
    struct lh_thread thread;

    struct lh_timers timers; /* of the log's rates alone */
    struct lh_log_rates rates;
};

/* Starts the thread for so many workers, and one that loads their scripts;
 * where `limit_ms` is unlimited it names nothing.  LHTTPD_ESYSTEM,
 * LHTTPD_ENOMEM. */
int lh_watch_begin(struct lh_watch *watch, const struct lh_log *log,
                   uint64_t limit_ms, unsigned workers, struct lh_err *err);

/* Looks at one more worker, number 0 first; `running`, the names in it and what
 * ids of its requests are made of stay where they are until the end. */
void lh_watch_add(struct lh_watch *watch, struct lh_running *running,
                  const struct lh_ids *ids);

/* From now on feeds the watchdog of a service manager as long as all workers
 * turn: one that has been in a script for half of the manager's time does not.
 * `notify` lasts until the end. */
void lh_watch_feed(struct lh_watch *watch, struct lh_notify *notify);

/* From now on what runs for longer is interrupted, until it ends.
 * LHTTPD_ESYSTEM. */
int lh_watch_kill(struct lh_watch *watch, uint64_t kill_ms, struct lh_err *err);

/* From now on a stop that finds the start of `s` inside of a script for too
 * long names the script in the log and calls s->leave; NULL: it has started. */
void lh_watch_start(struct lh_watch *watch, struct lhttpd_server_t *s);

/* How long handlers may run from now on.  Any thread. */
void lh_watch_set_limit(struct lh_watch *watch, uint64_t limit_ms);

/* Ends the thread after a last look, if there is one. */
void lh_watch_end(struct lh_watch *watch);

#endif
