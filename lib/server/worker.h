/*
 * A worker: one thread that owns everything it touches and goes round in
 * turns.  worker.c shows the turn.
 */
#ifndef LH_SERVER_WORKER_H
#define LH_SERVER_WORKER_H

#include "base/channel.h"
#include "files/files.h"
#include "files/opened.h"
#include "os/aio.h"
#include "os/slots.h"
#include "os/thread.h"
#include "server/expiry.h"
#include "server/news.h"
#include "server/server.h"
#include "server/step.h"
#include "server/trim.h"
#include "server/vms.h"

/* A worker's end of a listener. */
struct lh_acceptor {
    struct lh_source source;
    struct lh_worker *worker;
    struct lh_listener *listener;
    uint64_t tag;
    bool armed;      /* in our event queue, and it has not reported since */
    bool in_trouble; /* accept failed last time, and the log knows */
};

struct lh_worker {
    struct lhttpd_server_t *server;
    int number;
    struct lh_thread thread;
    bool launched;
    struct lh_context ctx;
    lhttpd_limits_t limits; /* ctx.limits */
    struct lh_evq evq;
    struct lh_slots slots;
    struct lh_aio *aio;
    struct lh_source aio_source; /* its completions */
    uint64_t aio_tag;
    const char *files_by; /* which way these go, also once it has ended */
    struct lh_source crew_source; /* handshakes by helpers, pools.crew */
    uint64_t crew_tag;
    bool submit_again; /* soon: the kernel did not take all */
    struct lh_access_writer access;
    struct lh_lines log_lines; /* of this thread, where the log is a file */
    struct lh_net_pools pools;
    struct lh_vms *vms;     /* one a mapping */
    struct lh_list old_vms; /* sets that serve what they have begun */
    bool old_vms_due;       /* there is one more to be freed */
    struct lh_acceptor acceptors[LH_LISTENERS_MAX];
    struct lh_timer accept_pause;
    bool accepting;
    struct lh_trim trim;
    struct lh_expiry expiry;

    struct lh_list busy, idle; /* connections; longest idle first */
    struct lh_list closed;     /* to be freed at the end of the turn */
    unsigned conns_n, conns_max;
    struct lh_list spare; /* connections that wait for their client */
    unsigned spare_n;

    struct lh_list fed;       /* connections with input to use */
    struct lh_list queue;     /* those whose handshake waits for a helper */
    unsigned called;          /* in fed: those that one is there for */
    struct lh_list dirty;     /* connections with output to send */
    struct lh_list bulk;      /* ... that have had a share and want another */
    struct lh_list ready_vms; /* VMs with work */
    struct lh_served served;  /* files for clients, likewise */
    struct lh_open_files open_files;
    unsigned handshakes;    /* steps of TLS handshakes in this turn, */
    struct lh_step shaking; /* ... and how long they took */
    bool cut;
    bool idle_told; /* counted in the server's workers_idle */

    struct lh_mailbox mailbox;
    struct lh_news news;
    struct lh_channels channels;
    struct lh_message published; /* there is something for them */
    struct lh_message stop;
    atomic_flag stop_posted;
    _Atomic bool waiting;         /* asleep in its event queue */
    _Atomic bool ended;           /* it delivers no mail any more */
    _Atomic unsigned load;        /* connections */
    int most_ms;                  /* no turn waits for longer; -1: any time */
    uint64_t rests_until_ms;      /* the event queue's timer */
    unsigned events_n, events_at; /* how many, and the next one to look at */
    struct lh_event events[LH_EVENTS_MAX];
};

/* A worker's context, also one for VMs that are thrown away. */
void lh_worker_context(struct lhttpd_server_t *s, struct lh_context *ctx,
                       unsigned worker);
void lh_worker_context_deinit(struct lh_context *ctx);

/* Makes everything but the thread, VMs included.  On failure too, the two
 * below free what was made: first what it served with; then its event queue,
 * since lh_worker_stop() may still be called from other threads until then. */
int lh_worker_init(struct lh_worker *w, struct lhttpd_server_t *s,
                   unsigned number, struct lh_err *err);
void lh_worker_deinit(struct lh_worker *w);
void lh_worker_close(struct lh_worker *w);

/* Starts the thread.  LHTTPD_ESYSTEM. */
int lh_worker_launch(struct lh_worker *w, struct lh_err *err);

/* Sends it a message, from any thread until lh_worker_close(). */
static inline void lh_worker_post(struct lh_worker *w,
                                  struct lh_message *message)
{
    if (lh_mailbox_post(&w->mailbox, &message->node))
        lh_evq_wake(&w->evq);
}

/* Instead of the thread, in a program's own loop: one turn in the calling
 * thread, which waits for at most so long (-1: until something happens). */
void lh_worker_turn(struct lh_worker *w, int most_ms);
/* Between two turns: its event queue becomes readable when there is work, and
 * after so long. */
void lh_worker_rest(struct lh_worker *w, int most_ms);
/* In how many milliseconds that is, if nothing happens; -1: never. */
int lh_worker_wait_ms(struct lh_worker *w, int most_ms);
/* Is nothing left that it would have to see to?  Then it is to be ended. */
bool lh_worker_finished(struct lh_worker *w);
void lh_worker_end(struct lh_worker *w);

/* Tells it that a stop was asked for, or asked for sooner.
 * Async-signal-safe. */
void lh_worker_stop(struct lh_worker *w);

/* Its share of the connections of all, by its limits. */
static inline void lh_worker_share(struct lh_worker *w)
{
    uint64_t share = w->limits.connections / w->server->workers_n;

    w->conns_max = share > UINT32_MAX ? UINT32_MAX
                   : share            ? (unsigned)share
                                      : 1;
}

/* Looks whether another thread has given it something (news.h).  Outside of
 * every call into a protocol, a VM or a transport. */
static inline void lh_worker_look(struct lh_worker *w)
{
    if (atomic_load_explicit(&w->news.any, memory_order_acquire))
        lh_news_take(w);
}

/* Is this thread one of the server's workers? */
bool lh_worker_is_current(const struct lhttpd_server_t *s);

#endif
