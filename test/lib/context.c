/* A worker's context for tests: see context.h. */
#include "lib/context.h"

#include "base/buf.h"
#include "http/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void keep_log(void *context, const lhttpd_log_entry_t *entry)
{
    struct test_context *t = context;

    t->logged++;
    snprintf(t->last_log, sizeof(t->last_log), "%s", entry->message);
}

static void keep_end(struct lh_exchange *ex)
{
    static const char *const names[] = {
        [LH_ENDED_GONE] = "gone",
        [LH_ENDED_TIMEOUT] = "timeout",
        [LH_ENDED_CUT] = "cut",
        [LH_ENDED_COMPLETE] = "complete",
    };
    struct test_context *t = LH_OF(ex->ctx, struct test_context, ctx);
    size_t n = strlen(t->ended);

    snprintf(t->ended + n, sizeof(t->ended) - n, "%s%s %u %llu", n ? ", " : "",
             names[ex->ending], lh_exchange_status(ex),
             (unsigned long long)lh_exchange_body_sent(ex));
}

void test_context_init(struct test_context *t)
{
    struct lh_context *ctx = &t->ctx;

    memset(t, 0, sizeof(*t));
    t->limits = lh_limits_resolve(NULL);
    t->log = (struct lh_log){keep_log, t, LHTTPD_LOG_INFO};
    ctx->limits = &t->limits;
    ctx->log = &t->log;
    ctx->software = "test";
    ctx->now_ms = 1000;
    ctx->unix_s = 1795490100;
    ctx->request_ends = keep_end;
    memcpy(ctx->date, "Tue, 24 Nov 2026 03:15:00 GMT", 30);
    lh_timers_init(&ctx->timers, ctx->now_ms);
    lh_log_rates_init(&ctx->log_rates, ctx->log, &ctx->timers);
    lh_buf_pools_init(&ctx->bufs, 16);
    lh_arena_pools_init(&ctx->arenas, 16);
    lh_pool_init(&ctx->exchanges, sizeof(struct lh_exchange), 4);
    t->peer = lh_peer_new();
    assert_non_null(t->peer);
    t->peer->server_port = 80;
    t->peer->client_port = 49152;
    strcpy(t->peer->server_addr, "192.0.2.80");
    strcpy(t->peer->client_addr, "192.0.2.1");
}

void test_context_deinit(struct test_context *t)
{
    struct lh_context *ctx = &t->ctx;

    assert_int_equal(ctx->counters.exchanges, 0);
    assert_int_equal(ctx->exchanges.out, 0);
    assert_int_equal(ctx->counters.requests_begun,
                     lh_requests_ended(&ctx->counters));
    assert_int_equal(lh_buf_pools_out(&ctx->bufs), 0);
    assert_int_equal(t->peer->owners, 1);
    lh_buf_pools_deinit(&ctx->bufs);
    lh_arena_pools_deinit(&ctx->arenas);
    lh_pool_deinit(&ctx->exchanges);
    lh_peer_let_go(t->peer);
}

void test_context_advance(struct test_context *t, uint64_t ms)
{
    t->ctx.now_ms += ms;
    lh_timers_fire(&t->ctx.timers, t->ctx.now_ms);
}
