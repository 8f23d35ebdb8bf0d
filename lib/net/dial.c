/*
 * Connecting to the first address that answers: see dial.h.
 *
 * What always holds: an attempt that has a descriptor is in the event queue and
 * counted by `under_way`; addresses before `begun` are tried or have failed.
 * `done` is called last and may begin another dial or free this one, so whoever
 * has called dial_over() or try_next() looks at it no more.
 */
#include "net/dial.h"

#include "os/error.h"
#include "os/evq.h"
#include "os/sock.h"

/* A unix socket whose queue of clients is full is tried again so much later: no
 * event tells when there is room. */
#define AGAIN_MS 20

static void try_next(struct lh_dial *dial);

/* --- one attempt ---------------------------------------------------------- */

static void unwatch_attempt(struct lh_attempt *attempt)
{
    struct lh_dial *dial = attempt->dial;

    lh_evq_forget(dial->ctx->evq, attempt->fd);
    lh_slots_remove(dial->ctx->slots, attempt->tag);
    attempt->fd = -1;
    dial->under_way--;
}

static void end_attempt(struct lh_attempt *attempt)
{
    int fd = attempt->fd;

    unwatch_attempt(attempt);
    lh_sock_close(fd);
}

static void dial_over(struct lh_dial *dial, int fd)
{
    dial->fd = fd;
    lh_dial_end(dial);
    dial->done(dial);
}

/* That of an address which can be reached from here says more. */
static void note_dial_error(struct lh_dial *dial, int error)
{
    if (!dial->error || !lh_connect_error_is_vague(error))
        dial->error = error;
}

static void on_attempt_event(struct lh_source *source, unsigned ready)
{
    struct lh_attempt *attempt = LH_OF(source, struct lh_attempt, source);
    struct lh_dial *dial = attempt->dial;
    int fd = attempt->fd;
    int r = lh_connect_result(fd);

    (void)ready;
    if (r == LH_SYS_EINPROGRESS)
        r = lh_evq_change(dial->ctx->evq, fd, LH_EV_WRITE | LH_EV_ONESHOT,
                          attempt->tag);
    else if (r == 0) {
        unwatch_attempt(attempt);
        dial_over(dial, fd);
        return;
    }
    if (r == 0)
        return;
    note_dial_error(dial, r);
    end_attempt(attempt);
    try_next(dial);
}

/* 0, or why it cannot be waited for. */
static int watch_attempt(struct lh_attempt *attempt, int fd)
{
    struct lh_context *ctx = attempt->dial->ctx;
    int r = lh_slots_add(ctx->slots, &attempt->source, &attempt->tag);

    if (r < 0)
        return r;
    r = lh_evq_add(ctx->evq, fd, LH_EV_WRITE | LH_EV_ONESHOT, attempt->tag);
    if (r < 0) {
        lh_slots_remove(ctx->slots, attempt->tag);
        return r;
    }
    attempt->fd = fd;
    attempt->dial->under_way++;
    return 0;
}

/* --- all of them ---------------------------------------------------------- */

/* 1: it is under way; 0: connected, and *fd is that; or a negative errno. */
static int begin_attempt(struct lh_dial *dial, int *fd)
{
    struct lh_attempt *attempt = &dial->attempts[dial->begun];
    int r = lh_connect_begin(&dial->to.v[dial->begun], fd);

    if (r == 0)
        return 0;
    if (r == LH_SYS_EAGAIN)
        return r;
    dial->begun++;
    if (r != LH_SYS_EINPROGRESS)
        return r;
    r = watch_attempt(attempt, *fd);
    if (r < 0)
        lh_sock_close(*fd);
    return r < 0 ? r : 1;
}

static void arm_dial(struct lh_dial *dial, unsigned ms)
{
    lh_timer_arm(&dial->ctx->timers, &dial->timer,
                 lh_deadline(dial->ctx->now_ms, ms));
}

/* The next address that does not fail at once; without descriptors no other
 * would fare better. */
static void try_next(struct lh_dial *dial)
{
    bool room = true;
    int fd;

    while (dial->begun < dial->to.n && room) {
        int r = begin_attempt(dial, &fd);
        if (r == 0) {
            dial_over(dial, fd);
            return;
        }
        if (r > 0 || r == LH_SYS_EAGAIN) {
            arm_dial(dial, r > 0 ? LH_DIAL_NEXT_MS : AGAIN_MS);
            return;
        }
        note_dial_error(dial, r);
        room = !lh_sys_is_no_room(r);
    }
    if (dial->under_way == 0)
        dial_over(dial, -1);
}

static void next_is_due(struct lh_timer *timer)
{
    struct lh_dial *dial = LH_OF(timer, struct lh_dial, timer);

    if (dial->begun < dial->to.n)
        try_next(dial);
}

/* The first of the other family that was not taken yet. */
static unsigned next_of_family(const struct lh_resolved *from,
                               const bool taken[LH_RESOLVED_MAX], bool ipv6)
{
    unsigned first = from->n;

    for (unsigned i = 0; i < from->n; i++) {
        if (taken[i])
            continue;
        if (lh_address_is_ipv6(&from->v[i]) == ipv6)
            return i;
        if (first == from->n)
            first = i;
    }
    return first;
}

/* The system's order, but that the families take turns (RFC 8305, 4). */
static void alternate(struct lh_resolved *to, const struct lh_resolved *from)
{
    bool taken[LH_RESOLVED_MAX] = {false};
    bool ipv6 = lh_address_is_ipv6(&from->v[0]);

    for (to->n = 0; to->n < from->n; to->n++) {
        unsigned i = next_of_family(from, taken, ipv6);
        taken[i] = true;
        to->v[to->n] = from->v[i];
        ipv6 = !lh_address_is_ipv6(&from->v[i]);
    }
}

void lh_dial_begin(struct lh_dial *dial, struct lh_context *ctx,
                   const struct lh_resolved *to,
                   void (*done)(struct lh_dial *dial))
{
    *dial = (struct lh_dial){.ctx = ctx, .fd = -1, .done = done};
    lh_timer_init(&dial->timer, next_is_due);
    alternate(&dial->to, to);
    for (unsigned i = 0; i < LH_RESOLVED_MAX; i++) {
        dial->attempts[i].source.on_event = on_attempt_event;
        dial->attempts[i].dial = dial;
        dial->attempts[i].fd = -1;
    }
    try_next(dial);
}

void lh_dial_end(struct lh_dial *dial)
{
    dial->over = true;
    lh_timer_disarm(&dial->timer);
    for (unsigned i = 0; i < dial->begun; i++) {
        if (dial->attempts[i].fd >= 0)
            end_attempt(&dial->attempts[i]);
    }
}
