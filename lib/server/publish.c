/*
 * Publishing: see publish.h.
 *
 * A worker is woken by one message of its own, `news`, which is in its mailbox
 * at most once: channels.told says so.  What is published itself lies in the
 * inbox of its channels, which has a bound.
 */
#include "server/publish.h"

/* What may wait for a worker, where no single message may be larger. */
#define INBOX_BYTES ((uint64_t)4 << 20)

/* Deliveries between two looks at the clock. */
#define DELIVERY_COST (LH_STEP_COST / 16)

/* --- the publisher -------------------------------------------------------- */

/* Four of the largest, but not less than that. */
static size_t inbox_bytes(const struct lhttpd_server_t *s)
{
    uint64_t most = atomic_load(&s->channel_bytes);

    most = most > SIZE_MAX / 4 ? SIZE_MAX : most * 4;
    return (size_t)(most > INBOX_BYTES ? most : INBOX_BYTES);
}

static bool anybody_hears(const struct lhttpd_server_t *s, uint64_t hash)
{
    for (unsigned i = 0; s->workers && i < s->workers_n; i++)
        if (lh_channels_hear(&s->workers[i].channels, hash))
            return true;
    return false;
}

static void post_to_all(struct lhttpd_server_t *s, struct lh_publication *p)
{
    size_t most = inbox_bytes(s);

    for (unsigned i = 0; i < s->workers_n; i++) {
        struct lh_worker *w = &s->workers[i];
        if (lh_channels_hear(&w->channels, p->hash) &&
            lh_channels_post(&w->channels, p, i, most))
            lh_worker_post(w, &w->published);
    }
}

int lh_publish(struct lhttpd_server_t *s, struct lh_str channel,
               struct lh_str data)
{
    uint64_t hash = lh_hash(&s->hub.key, channel);

    if (channel.n > LH_CHANNEL_NAME_MAX ||
        data.n > atomic_load(&s->channel_bytes))
        return LHTTPD_EINVAL;
    if (!anybody_hears(s, hash))
        return 0;
    struct lh_publication *p =
        lh_publication_new(hash, channel, data, s->workers_n);
    if (!p)
        return LHTTPD_ENOMEM;
    post_to_all(s, p);
    lh_publication_drop(p);
    return 0;
}

/* A script may publish while it loads: then nobody subscribes yet. */
static int publish_of_script(struct lh_hub *hub, struct lh_str channel,
                             struct lh_str data)
{
    return lh_publish(LH_OF(hub, struct lhttpd_server_t, hub), channel, data);
}

void lh_publish_init(struct lhttpd_server_t *s)
{
    s->hub.publish = publish_of_script;
    atomic_init(&s->channel_bytes, s->limits.channel_bytes);
}

/* --- a worker ------------------------------------------------------------- */

/* Lost before it was given out; what a subscriber's queue drops is its own
 * affair, and not told. */
static void tell_lost(struct lh_worker *w, uint64_t before)
{
    struct lh_context *ctx = &w->ctx;
    unsigned long long lost = lh_count_get(&w->channels.lost) - before;

    if (lost &&
        lh_log_rates_allow(&ctx->log_rates, LH_LOG_PUBLISHED, ctx->now_ms))
        lh_log(ctx->log, lh_log_kind_level(LH_LOG_PUBLISHED), NULL,
               "worker %u was too busy to take what is published: its "
               "subscribers lost up to %llu messages",
               ctx->worker, lost);
}

/* What there is no time for comes by another message, behind what else waits.
 */
static void deliver_published(struct lh_message *message, struct lh_worker *w)
{
    struct lh_channels *c = &w->channels;
    struct lh_step step = {0};
    uint64_t lost = lh_count_get(&c->lost);

    lh_channels_told(c);
    tell_lost(w, lost);
    while (lh_channels_deliver(c)) {
        if (!lh_step_over(&step, DELIVERY_COST))
            continue;
        if (!atomic_exchange(&c->told, true))
            lh_worker_post(w, message);
        return;
    }
}

void lh_publish_begin_worker(struct lh_worker *w)
{
    lh_channels_init(&w->channels, &w->server->hub.key);
    w->published.deliver = deliver_published;
    w->ctx.hub = &w->server->hub;
    w->ctx.channels = &w->channels;
}
