/* The smallest protocol there is: see loopback.h. */
#include "lib/loopback.h"

#include "base/num.h"
#include "http/target.h"
#include "lib/grow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void on_output(struct lh_exchange *ex)
{
    ((struct test_loopback *)ex->protocol)->has_output = true;
}

static void fill_request(struct lh_exchange *ex, const char *method,
                         const char *target, const char *const *fields)
{
    struct lh_request *r = &ex->request;

    r->version = LH_HTTP_1_1;
    r->method = lh_str_of(method);
    r->scheme = LH_STR("http");
    r->authority = LH_STR("loopback.test");
    r->target = lh_str_of(target);
    r->head = strcmp(method, "HEAD") == 0;
    assert_int_equal(lh_target_path(&ex->arena, r->target, &r->path, &r->query),
                     LH_TARGET_OK);
    for (; fields && fields[0]; fields += 2)
        assert_true(lh_fields_add(&r->fields, &ex->arena, lh_str_of(fields[0]),
                                  lh_str_of(fields[1])));
}

void test_loopback_request(struct test_loopback *l, struct test_context *t,
                           const char *method, const char *target,
                           const char *const *fields, bool has_body)
{
    memset(l, 0, sizeof(*l));
    l->body = test_grow(NULL, 0, 1);
    l->body[0] = '\0';
    l->ex = lh_exchange_new(&t->ctx, t->peer);
    assert_non_null(l->ex);
    l->ex->protocol = l;
    l->ex->on_output = on_output;
    l->ex->connection_queued = &l->queued;
    fill_request(l->ex, method, target, fields);
    if (!has_body)
        test_loopback_body_end(l);
}

size_t test_loopback_body(struct test_loopback *l, const void *p, size_t n)
{
    size_t room = lh_exchange_body_room(l->ex);

    if (n > room)
        n = room;
    return lh_exchange_body(l->ex, p, n) ? n : 0;
}

void test_loopback_body_end(struct test_loopback *l)
{
    lh_exchange_body_end(l->ex, LH_BODY_ENDED);
}

static void write_fields(char *out, size_t room, const struct lh_fields *f)
{
    size_t at = 0;

    for (unsigned i = 0; i < f->n; i++) {
        const struct lh_field *x = &f->v[i];
        int n = snprintf(out + at, room - at, "%.*s: %.*s\n", (int)x->name.n,
                         x->name.p, (int)x->value.n, x->value.p);
        if (n < 0 || (size_t)n >= room - at)
            return;
        at += (size_t)n;
    }
}

static void take_interims(struct test_loopback *l)
{
    struct lh_interim *interim;

    while ((interim = lh_exchange_take_interim(l->ex))) {
        l->interims += interim->status != 0;
        l->promises += interim->status == 0;
        l->last_interim = interim->status;
    }
}

/* What a kernel does with a socket. */
static size_t move_body(struct test_loopback *l, size_t most)
{
    struct lh_place place;
    size_t n = lh_min(most, lh_exchange_out_locate(l->ex, &place));
    ssize_t moved;

    if (n == 0)
        return 0;
    if (l->vanishes) {
        l->vanishes--;
        moved = 0;
    } else if (place.at == LH_PLACE_PIPE) {
        moved = read(place.fd, l->body + l->body_n, n);
    } else {
        moved = pread(place.fd, l->body + l->body_n, n, (off_t)place.at);
    }
    assert_true(moved >= 0);
    lh_exchange_out_moved(l->ex, (size_t)moved);
    return (size_t)moved;
}

static size_t take_body(struct test_loopback *l, size_t most)
{
    size_t n = lh_min(most, lh_exchange_out_bytes(l->ex));

    if (n == 0 || !lh_exchange_out_waits(l->ex))
        return 0;
    l->body = test_grow(l->body, l->body_n, n + 1);
    size_t taken =
        lh_exchange_out_take(l->ex, (uint8_t *)l->body + l->body_n, n);
    if (taken == 0 && l->ex->moves)
        taken = move_body(l, n);
    n = taken;
    l->body_n += n;
    l->body[l->body_n] = '\0';
    return n;
}

size_t test_loopback_pump(struct test_loopback *l, size_t most)
{
    struct lh_exchange *ex = l->ex;

    l->has_output = false;
    if (!ex || l->ended)
        return 0;
    take_interims(l);
    if (ex->response.state == LH_RESPONSE_ABORTED) {
        l->aborted = l->ended = true;
        return 0;
    }
    if (!l->started && lh_exchange_head_ready(ex)) {
        l->started = true;
        lh_exchange_head_leaves(ex);
        l->status = ex->response.status;
        write_fields(l->fields, sizeof(l->fields), &ex->response.fields);
    }
    if (!l->started)
        return 0;
    size_t taken = take_body(l, most);
    if (lh_exchange_complete(ex) && lh_exchange_out_bytes(ex) == 0) {
        l->ended = true;
        write_fields(l->trailers, sizeof(l->trailers), &ex->response.trailers);
        lh_exchange_sent(ex);
    }
    return taken;
}

void test_loopback_gone(struct test_loopback *l)
{
    if (l->ex)
        lh_exchange_cancel(l->ex, LH_ENDED_GONE);
}

void test_loopback_fin(struct test_loopback *l)
{
    lh_exchange_fin(l->ex);
}

void test_loopback_deinit(struct test_loopback *l)
{
    if (l->ex)
        lh_exchange_let_go_protocol(l->ex);
    assert_int_equal(l->queued, 0);
    l->ex = NULL;
    free(l->body);
    l->body = NULL;
}
