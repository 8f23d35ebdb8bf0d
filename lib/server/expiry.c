/* Certificates that expire: see expiry.h. */
#include "server/expiry.h"

#include "net/cred.h"
#include "net/tls.h"
#include "os/clock.h"
#include "server/worker.h"

/* The calendar's clock may be set meanwhile. */
#define LOOK_EACH_S 3600

/* Where none expires any more nothing is looked at. */
static void arm_expiry(struct lh_worker *w, const struct lh_creds *creds)
{
    int64_t now = w->expiry.told_s, next = lh_creds_next_end(creds, now);

    lh_timer_disarm(&w->expiry.timer);
    if (next == INT64_MAX)
        return;
    if (next > now + LOOK_EACH_S)
        next = now + LOOK_EACH_S;
    lh_timer_arm(&w->ctx.timers, &w->expiry.timer,
                 lh_deadline(w->ctx.now_ms, (uint64_t)(next - now) * 1000));
}

static void time_has_passed(struct lh_timer *timer)
{
    lh_expiry_look(LH_OF(timer, struct lh_worker, expiry.timer));
}

void lh_expiry_init(struct lh_worker *w)
{
    lh_timer_init(&w->expiry.timer, time_has_passed);
    w->expiry.told_s = lh_clock_unix_s();
}

void lh_expiry_look(struct lh_worker *w)
{
    if (w->number != 0 || !w->pools.tls)
        return;
    const struct lh_creds *creds = lh_tls_worker_creds(w->pools.tls);
    int64_t now = lh_clock_unix_s();
    lh_creds_tell_ended(creds, w->expiry.told_s, now, w->ctx.log);
    w->expiry.told_s = now;
    arm_expiry(w, creds);
}
