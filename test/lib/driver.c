/* Drives a protocol on byte strings: see driver.h. */
#include "lib/driver.h"

#include "lib/grow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* More steps than any test needs: something spins. */
#define STEPS_MAX 1000000

static void on_news(struct lh_exchange *ex)
{
    test_task_of(ex)->news = true;
}

static void on_request(struct lh_protocol_host *host, struct lh_exchange *ex)
{
    struct test_driver *d = (struct test_driver *)(void *)host;

    d->requests++;
    for (int i = 0; i < TEST_DRIVER_EXCHANGES; i++) {
        struct test_task *task = &d->tasks[i];
        if (task->ex)
            continue;
        *task = (struct test_task){.driver = d, .ex = ex, .news = true};
        ex->handler = task;
        ex->on_news = on_news;
        return;
    }
    fail_msg("more than %d exchanges", TEST_DRIVER_EXCHANGES);
}

static void on_wake(struct lh_protocol_host *host)
{
    ((struct test_driver *)(void *)host)->wakes++;
}

void test_driver_init(struct test_driver *d, struct test_context *t,
                      const struct lh_protocol *protocol,
                      void *(*new_connection)(struct lh_protocol_host *),
                      test_handler_fn *handler)
{
    memset(d, 0, sizeof(*d));
    d->host = (struct lh_protocol_host){.ctx = &t->ctx,
                                        .peer = t->peer,
                                        .request = on_request,
                                        .wake = on_wake};
    d->t = t;
    d->protocol = protocol;
    d->handler = handler;
    d->pull_room = 65536;
    d->c = new_connection(&d->host);
    d->out = test_grow(NULL, 0, 1);
    d->out[0] = '\0';
}

static bool run_tasks(struct test_driver *d)
{
    bool any = false;

    for (int i = 0; i < TEST_DRIVER_EXCHANGES; i++) {
        struct test_task *task = &d->tasks[i];
        if (!task->ex || !task->news)
            continue;
        task->news = false;
        task->runs++;
        d->handler(d, task->ex);
        any = true;
    }
    return any;
}

void test_driver_deinit(struct test_driver *d)
{
    if (d->c) {
        d->protocol->gone(d->c);
        assert_false(test_driver_status(d) & LH_PROTO_WANTS_INPUT);
        for (int i = 0; i < STEPS_MAX && run_tasks(d); i++)
            ;
        d->protocol->free(d->c);
    }
    for (int i = 0; i < TEST_DRIVER_EXCHANGES; i++) {
        if (d->tasks[i].ex)
            test_done(d->tasks[i].ex);
    }
    free(d->in);
    free(d->out);
}

unsigned test_driver_status(const struct test_driver *d)
{
    return d->protocol->status(d->c);
}

static bool offer(struct test_driver *d)
{
    size_t used;

    if (!d->in_n || !(test_driver_status(d) & LH_PROTO_WANTS_INPUT))
        return false;
    /* An exact copy, so that a read past it is seen. */
    uint8_t *copy = malloc(d->in_n);
    assert_non_null(copy);
    memcpy(copy, d->in, d->in_n);
    d->stopped = d->protocol->feed(d->c, copy, d->in_n, &used) < 0;
    free(copy);
    assert_true(used <= d->in_n);
    d->in_n -= used;
    memmove(d->in, d->in + used, d->in_n);
    /* Fewer than n means "not now". */
    if (d->stopped || d->in_n)
        assert_false(test_driver_status(d) & LH_PROTO_WANTS_INPUT);
    return used > 0;
}

/* What is not pulled, but comes from a pipe. */
static size_t move(struct test_driver *d, uint8_t *out)
{
    struct lh_place place;
    size_t n = d->host.moves ? d->protocol->locate(d->c, &place) : 0;

    if (n > d->pull_room)
        n = d->pull_room;
    if (n == 0)
        return 0;
    memcpy(out, d->pipe, n);
    d->pipe += n;
    d->protocol->moved(d->c, n);
    return n;
}

static bool pull(struct test_driver *d)
{
    bool any = false;

    if (d->holds)
        return false;
    for (int i = 0; test_driver_status(d) & LH_PROTO_HAS_OUTPUT; i++) {
        uint8_t *lent = malloc(d->pull_room);
        assert_non_null(lent);
        size_t n = d->protocol->pull(d->c, lent, d->pull_room);
        assert_true(n <= d->pull_room);
        n = n ? n : move(d, lent);
        assert_true(i < STEPS_MAX);
        d->pulls += n > 0;
        d->out = test_grow(d->out, d->out_n, n + 1);
        memcpy(d->out + d->out_n, lent, n);
        d->out_n += n;
        d->out[d->out_n] = '\0';
        free(lent);
        any = true;
        if (!(test_driver_status(d) & LH_PROTO_HAS_OUTPUT))
            d->protocol->sent(d->c);
    }
    return any;
}

static bool step(struct test_driver *d)
{
    bool fed = offer(d), ran = run_tasks(d);

    if (d->keeps_back && (fed || ran))
        return true;
    if (pull(d) || fed || ran)
        return true;
    if (!d->eof_waits)
        return false;
    d->eof_waits = false;
    d->protocol->eof(d->c);
    return true;
}

void test_driver_run(struct test_driver *d)
{
    int steps = 0;

    while (step(d))
        assert_true(++steps < STEPS_MAX);
}

static void add_input(struct test_driver *d, const uint8_t *p, size_t n)
{
    d->in = realloc(d->in, d->in_n + n + 1);
    assert_non_null(d->in);
    memcpy(d->in + d->in_n, p, n);
    d->in_n += n;
    test_driver_run(d);
}

void test_driver_feed(struct test_driver *d, const void *p, size_t n,
                      size_t step_n)
{
    const uint8_t *at = p;

    if (step_n == 0)
        step_n = n;
    while (n) {
        size_t k = n < step_n ? n : step_n;
        add_input(d, at, k);
        at += k;
        n -= k;
    }
}

void test_driver_feed_str(struct test_driver *d, const char *s)
{
    test_driver_feed(d, s, strlen(s), 0);
}

void test_driver_eof(struct test_driver *d)
{
    d->eof_waits = true;
    test_driver_run(d);
}

void test_driver_advance(struct test_driver *d, uint64_t ms)
{
    test_context_advance(d->t, ms);
    if (d->t->ctx.now_ms >= d->protocol->deadline(d->c))
        d->protocol->expire(d->c);
    assert_true(d->t->ctx.now_ms < d->protocol->deadline(d->c));
    test_driver_run(d);
}

void test_driver_forget_output(struct test_driver *d)
{
    d->out_n = 0;
    d->out[0] = '\0';
    d->pulls = 0;
}

struct test_task *test_task_of(struct lh_exchange *ex)
{
    return ex->handler;
}

void test_done(struct lh_exchange *ex)
{
    test_task_of(ex)->ex = NULL;
    lh_exchange_let_go_handler(ex);
}

struct lh_fields test_fields(struct lh_exchange *ex, ...)
{
    struct lh_fields fields = {.n = 0};
    const char *name;
    va_list args;

    va_start(args, ex);
    while ((name = va_arg(args, const char *))) {
        const char *value = va_arg(args, const char *);
        /* Without memory the field is missing. */
        (void)lh_fields_add(&fields, &ex->arena, lh_str_of(name),
                            lh_str_of(value));
    }
    va_end(args);
    return fields;
}

void test_answer(struct lh_exchange *ex, unsigned status, const char *body)
{
    struct lh_fields fields =
        test_fields(ex, "content-type", "text/plain", (char *)NULL);

    if (lh_exchange_start(ex, status, &fields) ||
        lh_exchange_write(ex, body, strlen(body)))
        lh_exchange_fail(ex, 500);
    else
        lh_exchange_end(ex);
    test_done(ex);
}
