/*
 * Who has which shared values: see owners.h.
 *
 * A call on its way lies in one mailbox, that of the owner or, once answered,
 * that of who has asked; its message says which.  One that is found by an owner
 * that has ended goes back with LH_SHARED_STOPPING.  The stores belong to the
 * server, not to the workers or their VMs, so they last over reloads.
 */
#include "server/owners.h"

#include "os/clock.h"

#include <limits.h>

/* From one look whether the owner has ended to the next. */
#define LOOK_MS 100

/* Other bits of the hash than those that choose a slot in the store. */
static unsigned owner_of(const struct lhttpd_server_t *s, uint64_t hash)
{
    return (unsigned)(hash >> 32) % s->workers_n;
}

/* Each owner has an equal share of the limit. */
static size_t share_of(const struct lhttpd_server_t *s, uint64_t shared_bytes)
{
    uint64_t share = shared_bytes == LHTTPD_UNLIMITED
                         ? SIZE_MAX
                         : shared_bytes / s->workers_n;

    return share < SIZE_MAX ? (size_t)share : SIZE_MAX;
}

/* Made by the first call. */
static struct lh_store *store_of(struct lhttpd_server_t *s, unsigned owner,
                                 uint64_t now_ms)
{
    struct lh_store **store = &s->stores[owner];

    if (*store)
        return *store;
    *store = lh_alloc(sizeof(**store));
    if (*store)
        lh_store_init(*store, now_ms);
    return *store;
}

/* By the thread that has the owner's values. */
static void count(struct lhttpd_server_t *s, unsigned owner)
{
    const struct lh_store *store = s->stores[owner];

    if (!store || !s->workers)
        return;
    struct lh_counters *c = &s->workers[owner].ctx.counters;
    lh_count_set(&c->shared_values, store->n);
    lh_count_set(&c->shared_bytes, store->bytes);
    lh_count_set(&c->shared_evicted, store->evicted);
}

/* Likewise. */
static void run(struct lhttpd_server_t *s, struct lh_shared_call *call,
                unsigned owner, uint64_t now_ms, uint64_t shared_bytes)
{
    struct lh_store *store = store_of(s, owner, now_ms);

    if (store)
        lh_shared_run(call, store, now_ms, share_of(s, shared_bytes));
    else
        call->result = LH_SHARED_MEMORY;
    count(s, owner);
}

/* The worker's own copy of the limit is the one that may be read here. */
static void run_on_worker(struct lh_worker *w, struct lh_shared_call *call)
{
    run(w->server, call, (unsigned)w->number, w->ctx.now_ms,
        w->limits.shared_bytes);
}

/* Before there are workers, or for keys of which each has some. */
static void run_everywhere(struct lhttpd_server_t *s,
                           struct lh_shared_call *call)
{
    bool is_keys = call->op == LH_SHARED_KEYS;
    unsigned first = is_keys ? 0 : owner_of(s, call->hash);
    unsigned last = is_keys ? s->workers_n - 1 : first;

    call->result = LH_SHARED_OK;
    for (unsigned i = first; i <= last && call->result == LH_SHARED_OK; i++)
        run(s, call, i, lh_clock_ms(), s->limits.shared_bytes);
}

/* --- on its way ----------------------------------------------------------- */

static struct lh_shared_call *call_of(struct lh_message *message)
{
    return LH_OF(message, struct lh_shared_call, message);
}

/* The one who has asked has ended: its tasks are told before they are freed. */
static void answer_dropped(struct lh_message *message)
{
    struct lh_shared_call *call = call_of(message);

    call->on_answer(call);
}

static void answer_arrived(struct lh_message *message, struct lh_worker *w)
{
    (void)w;
    answer_dropped(message);
}

/* To the worker that has asked, or to a thread that waits. */
static void send_back(struct lh_shared_call *call)
{
    call->message.deliver = answer_arrived;
    call->message.drop = answer_dropped;
    if (call->asker)
        lh_worker_post(call->asker, &call->message);
    else
        call->on_answer(call);
}

static void owner_has_ended(struct lh_message *message)
{
    call_of(message)->result = LH_SHARED_STOPPING;
    send_back(call_of(message));
}

static void call_arrived(struct lh_message *message, struct lh_worker *w);

/* It may be the sender itself, which then finds it in its next turn. */
static void send_to_owner(struct lhttpd_server_t *s,
                          struct lh_shared_call *call)
{
    call->message.deliver = call_arrived;
    call->message.drop = owner_has_ended;
    lh_worker_post(&s->workers[call->owner], &call->message);
}

/* Who asks for keys asks one owner after the other. */
static void call_arrived(struct lh_message *message, struct lh_worker *w)
{
    struct lh_shared_call *call = call_of(message);

    run_on_worker(w, call);
    lh_shared_keep(call);
    if (call->op == LH_SHARED_KEYS && call->result == LH_SHARED_OK &&
        ++call->owner < w->server->workers_n)
        send_to_owner(w->server, call);
    else
        send_back(call);
}

/* --- a handler asks ------------------------------------------------------- */

static struct lhttpd_server_t *server_of(struct lh_hub *hub)
{
    return LH_OF(hub, struct lhttpd_server_t, hub);
}

static bool ask_own(struct lh_hub *hub, struct lh_context *ctx,
                    struct lh_shared_call *call)
{
    struct lhttpd_server_t *s = server_of(hub);
    struct lh_worker *w = LH_OF(ctx, struct lh_worker, ctx);

    call->hash = lh_hash(&hub->key, call->key);
    if (call->op == LH_SHARED_KEYS)
        return false;
    call->owner = owner_of(s, call->hash);
    if (call->owner != (unsigned)w->number)
        return false;
    run_on_worker(w, call);
    return true;
}

/* Whoever asks and the owner are two workers here, or keys are asked for. */
static void ask_owner(struct lh_hub *hub, struct lh_context *ctx,
                      struct lh_shared_call *call)
{
    call->asker = LH_OF(ctx, struct lh_worker, ctx);
    send_to_owner(server_of(hub), call);
}

/* --- another thread asks -------------------------------------------------- */

/* Shared by two, who asks and the call on its way: the last one frees it. */
struct waiting_call {
    struct lh_shared_call call; /* first */
    struct lh_evq answered;
    _Atomic bool is_answered;
    _Atomic unsigned refs;
};

static void let_go_of_call(struct waiting_call *w)
{
    if (atomic_fetch_sub(&w->refs, 1) != 1)
        return;
    lh_evq_deinit(&w->answered);
    lh_shared_call_free(&w->call);
}

/* On the owner's thread; the queue is there until both have let go. */
static void wake_thread(struct lh_shared_call *call)
{
    struct waiting_call *w = LH_OF(call, struct waiting_call, call);

    atomic_store(&w->is_answered, true);
    lh_evq_wake(&w->answered);
    let_go_of_call(w);
}

/* An owner that had not ended when it was sent to answers, or its end does. */
static int wait_for_answer(struct lhttpd_server_t *s, struct waiting_call *w,
                           int timeout_ms)
{
    uint64_t until = timeout_ms < 0
                         ? LH_NEVER
                         : lh_deadline(lh_clock_ms(), (uint64_t)timeout_ms);
    struct lh_event none[1];

    while (!atomic_load(&w->is_answered)) {
        uint64_t now = lh_clock_ms();
        int left = lh_wait_ms(now, until);
        if (now >= until)
            return LHTTPD_ETIMEOUT;
        if (s->state != LH_SERVER_RUNNING ||
            atomic_load(&s->workers_done) == s->workers_n)
            return LHTTPD_ESTATE;
        lh_evq_wait(&w->answered, none, 1,
                    left < 0 || left > LOOK_MS ? LOOK_MS : left);
    }
    return w->call.result == LH_SHARED_STOPPING ? LHTTPD_ESTATE : 0;
}

/* The octets change hands. */
static void take_answer(struct lh_shared_call *call, struct lh_shared_call *to)
{
    to->result = call->result;
    to->answer = call->answer;
    to->octets = call->octets;
    to->octets_n = call->octets_n;
    call->octets = NULL;
}

/* An event queue for each call: who asks so does it seldom. */
static int ask_by_thread(struct lhttpd_server_t *s,
                         const struct lh_shared_call *what,
                         struct lh_shared_call *answer, int timeout_ms)
{
    struct lh_shared_call *call =
        lh_shared_call_new(sizeof(struct waiting_call), what);

    if (!call)
        return LHTTPD_ENOMEM;
    struct waiting_call *w = LH_OF(call, struct waiting_call, call);
    if (lh_evq_init(&w->answered) < 0) {
        lh_shared_call_free(call);
        return LHTTPD_ESYSTEM;
    }
    atomic_store(&w->refs, 2);
    call->on_answer = wake_thread;
    send_to_owner(s, call);
    int r = wait_for_answer(s, w, timeout_ms);
    if (r == 0)
        take_answer(call, answer);
    let_go_of_call(w);
    return r;
}

/* Nobody but the caller has the stores now. */
static bool may_act(const struct lhttpd_server_t *s)
{
    return s->state != LH_SERVER_RUNNING || (s->in_loop && s->in_loop(s));
}

int lh_owners_ask(struct lhttpd_server_t *s, const struct lh_shared_call *what,
                  struct lh_shared_call *answer, int timeout_ms)
{
    *answer = *what;
    answer->octets = NULL;
    answer->octets_n = answer->octets_room = 0;
    answer->asker = NULL;
    answer->hash = lh_hash(&s->hub.key, what->key);
    answer->owner = what->op == LH_SHARED_KEYS ? 0 : owner_of(s, answer->hash);
    if (!may_act(s))
        return ask_by_thread(s, answer, answer, timeout_ms);
    run_everywhere(s, answer);
    lh_shared_keep(answer);
    return 0;
}

/* A script that loads is done with when it has its answer, or the server stops:
 * the owner is no worker that waits for it. */
static int ask_of_script(struct lh_hub *hub, const struct lh_shared_call *what,
                         struct lh_shared_call *answer)
{
    return lh_owners_ask(server_of(hub), what, answer, -1);
}

/* --- the stores ----------------------------------------------------------- */

/* Some may never have been made. */
static void free_stores(struct lh_store **stores, unsigned n)
{
    for (unsigned i = 0; stores && i < n; i++) {
        if (stores[i])
            lh_store_deinit(stores[i]);
        lh_free(stores[i]);
    }
    lh_free(stores);
}

int lh_owners_init(struct lhttpd_server_t *s)
{
    s->hub.ask_own = ask_own;
    s->hub.ask_owner = ask_owner;
    s->hub.ask_and_wait = ask_of_script;
    s->stores = lh_calloc(s->workers_n, sizeof(struct lh_store *));
    return s->stores ? 0 : LHTTPD_ENOMEM;
}

void lh_owners_deinit(struct lhttpd_server_t *s)
{
    free_stores(s->stores, s->workers_n);
    s->stores = NULL;
}

void lh_owners_begin_worker(struct lh_worker *w)
{
    count(w->server, (unsigned)w->number);
}

static struct lh_store *store_for(void *context, uint64_t hash)
{
    struct lhttpd_server_t *s = context;

    return store_of(s, owner_of(s, hash), lh_clock_ms());
}

/* Into new stores, whose number is that of the workers. */
static int copy_all(struct lhttpd_server_t *s, struct lh_store **from,
                    unsigned from_n)
{
    int r = lh_owners_init(s);

    for (unsigned i = 0; r == 0 && i < from_n; i++)
        if (from[i])
            r = lh_store_copy(from[i], lh_clock_ms(), store_for, s);
    return r;
}

int lh_owners_begin_check(struct lhttpd_server_t *s, struct lh_store ***before)
{
    *before = s->stores;
    int r = copy_all(s, *before, s->workers_n);
    if (r < 0)
        lh_owners_end_check(s, *before);
    return r;
}

void lh_owners_end_check(struct lhttpd_server_t *s, struct lh_store **before)
{
    lh_owners_deinit(s);
    s->stores = before;
}

int lh_owners_share_out(struct lhttpd_server_t *s, unsigned workers_n)
{
    struct lh_store **before = s->stores;
    unsigned before_n = s->workers_n;

    s->workers_n = workers_n;
    int r = copy_all(s, before, before_n);
    if (r == 0) {
        free_stores(before, before_n);
        return 0;
    }
    lh_owners_deinit(s);
    s->stores = before;
    s->workers_n = before_n;
    return r;
}
