/*
 * A server: its configuration, listeners and scripts, and what its worker
 * threads share.  The shared things are all in here:
 *
 * - read-only while workers run: log, software, mappings, and the settings that
 *   can be set before start only; limits, other settings and creds are of those
 *   who hold `changes`, the workers have copies and shares;
 * - the listeners (listener.h);
 * - the workers' event queues, to arm a listener there or to wake, and their
 *   atomics `waiting` and `load`;
 * - one lock-free mailbox a worker;
 * - what each worker counts (base/stats.h), and the tallies of handlers;
 * - what each worker is inside of, for the thread that watches (watch.h);
 * - what is given to a worker while it runs (news.h);
 * - each worker's inbox of what is published (base/channel.h);
 * - the atomics below, and those of the log's sink and of files of logs;
 * - the TLS resumption cache (net/session).
 */
#ifndef LH_SERVER_SERVER_H
#define LH_SERVER_SERVER_H

#include "base/hub.h"
#include "net/tls.h"
#include "os/evq.h"
#include "os/thread.h"
#include "server/access.h"
#include "server/listener.h"
#include "server/mapping.h"
#include "server/notify.h"
#include "server/settings.h"
#include "server/watch.h"

#include <stdatomic.h>

#define LH_WORKERS_MAX 1024

/* The thread that reloads when a script asks for it. */
enum lh_reloader_state {
    LH_RELOADER_NONE,
    LH_RELOADER_BEGINS,
    LH_RELOADER_RUNS,
    LH_RELOADER_AGAIN, /* it runs, and was asked once more */
    LH_RELOADER_ENDED, /* it has not been joined yet */
    LH_RELOADER_CLOSED,
};

struct lh_reloader {
    _Atomic int state;
    struct lh_thread thread;
};

enum lh_server_state {
    LH_SERVER_SETUP,
    LH_SERVER_RUNNING,
    LH_SERVER_STOPPED,
    LH_SERVER_STUCK, /* a worker never ended: its memory stays behind */
};

struct lhttpd_server_t {
    struct lh_err err;
    _Atomic enum lh_server_state state;
    long process; /* that start was called in: its forked children have none of
                     the threads */
    lhttpd_limits_t limits;
    struct lh_settings settings;
    struct lh_log log;
    struct lh_log_sink sink; /* where the log goes without a callback */
    char *syslog_name;       /* of the system's log; NULL: standard error */
    struct lh_log_file *log_file; /* the log's; NULL: it goes elsewhere */
    struct lh_access access;      /* who is told of requests */
    char *software;
    unsigned workers_n;
    bool own_workers_n; /* the program has not said how many */
    /* In a program's own loop (loop.h): the one worker has no thread, and there
     * is nobody who watches it. */
    bool attached;
    /* Does the thread call that has attached it, between two turns? */
    bool (*in_loop)(const struct lhttpd_server_t *s);
    const void *loop_thread;   /* whose it is, an address of loop.c */
    uint64_t fed_ms;           /* when a watchdog was fed last */
    bool turns;                /* it is inside of lhttpd_server_run_once() */
    _Atomic bool reload_asked; /* by a script, for after the turn */
    struct lh_listeners listeners;
    struct lh_mappings mappings;
    struct lh_creds *creds;
    struct lh_tls_shared *tls; /* NULL without a TLS listener */
    struct lh_worker *workers; /* they and `done` last until destroy */
    struct lh_notify notify;   /* of how it is doing, a service manager */
    struct lh_watch watch;
    /* Ends the process where `stop_early`, a stop that is asked for before it
     * runs, finds it inside of a script that does not return; NULL: nobody may
     * do that. */
    void (*leave)(struct lhttpd_server_t *s);
    _Atomic bool stop_early;
    struct lh_hub hub;
    struct lh_store **stores; /* shared values, by worker; NULL: none yet */
    _Atomic uint64_t channel_bytes; /* the limit, for any thread */
    struct lh_tallies tallies;      /* of handlers, for good */
    struct lh_stats_source stats;
    struct lh_context loader; /* of who holds `changes`: VMs are made in it */
    struct lh_list loader_ready; /* what has work there; nobody runs it */
    struct lh_reloader reloader;
    struct lh_evq done;            /* woken by each worker that ends */
    struct lh_evq over;            /* readable once wait would return */
    _Atomic bool has_over;         /* somebody has asked for that */
    _Atomic uint64_t stop_at_ms;   /* LH_NEVER: no stop asked for */
    _Atomic unsigned workers_idle; /* at a stop: with nothing of their own */
    _Atomic unsigned workers_done;
    _Atomic uint64_t done_ms; /* when the last of them had; LH_NEVER */
    _Atomic unsigned cut;     /* requests that the end of the grace has cut */
    _Atomic uint64_t reloads; /* that succeeded */
    _Atomic uint64_t started_ms;                /* monotonic */
    _Atomic uint64_t stuck_ms, vm_memory_limit; /* of limits, for statistics */
    _Atomic bool stop_told; /* the log knows that it stops */
    bool changes_end;       /* who waits for the stop has `changes` */
    atomic_flag changes;    /* a thread changes what runs, or it has ended */
};

/* As the public functions; arguments and state were checked. */
int lh_server_check(struct lhttpd_server_t *s);
int lh_server_start(struct lhttpd_server_t *s);
void lh_server_shutdown(struct lhttpd_server_t *s, unsigned grace_ms);
int lh_server_wait(struct lhttpd_server_t *s);

/* A start without its threads: the workers are made, and the state is running.
 */
int lh_server_begin(struct lhttpd_server_t *s);
/* What an operator wants to see at every start. */
void lh_server_tell_start(struct lhttpd_server_t *s);
/* Is nothing left that runs, and can nothing begin to change it any more? */
bool lh_server_has_ended(struct lhttpd_server_t *s);
/* Then: frees what workers use, and tells how it went as wait does. */
int lh_server_end(struct lhttpd_server_t *s);
/* It has not ended in its time (lh_over_patience_ms()). */
int lh_server_give_up(struct lhttpd_server_t *s);

/* Frees what a server that has run still keeps: a late shutdown may come. */
void lh_server_close(struct lhttpd_server_t *s);

#endif
