/* The exchange, with the loopback protocol on its other side. */
#include "http/exchange.h"

#include "base/num.h"
#include "lhttpd.h"
#include "lib/heap.h"
#include "lib/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct test_context t;
    struct test_loopback l;
    struct lh_exchange *ex;
    unsigned news;
};

static void on_news(struct lh_exchange *ex)
{
    ((struct fixture *)ex->handler)->news++;
}

static void begin(struct fixture *f, const char *method, bool has_body)
{
    test_context_init(&f->t);
    test_loopback_request(&f->l, &f->t, method, "/a%20b?q", NULL, has_body);
    f->ex = f->l.ex;
    f->ex->handler = f;
    f->ex->on_news = on_news;
    f->news = 0;
}

static void end(struct fixture *f)
{
    lh_exchange_let_go_handler(f->ex);
    test_loopback_deinit(&f->l);
    test_context_deinit(&f->t);
}

static const struct lh_fields none;

static int start(struct fixture *f, unsigned status)
{
    return lh_exchange_start(f->ex, status, &none);
}

static int start_with(struct fixture *f, const char *name, const char *value)
{
    struct lh_fields fields = {.n = 0};

    assert_true(lh_fields_add(&fields, &f->ex->arena, lh_str_of(name),
                              lh_str_of(value)));
    return lh_exchange_start(f->ex, 200, &fields);
}

static int write_str(struct fixture *f, const char *s)
{
    return lh_exchange_write(f->ex, s, strlen(s));
}

/* --- responses ------------------------------------------------------------ */

static void test_nothing_leaves_early(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(write_str(&f, "hello"), 0);
    test_loopback_pump(&f.l, 100);
    assert_false(f.l.started);
    assert_false(f.l.has_output);
    lh_exchange_release(f.ex);
    assert_true(f.l.has_output);
    assert_int_equal(test_loopback_pump(&f.l, 100), 5);
    assert_true(f.l.started && !f.l.ended);
    assert_int_equal(f.l.status, 200);
    assert_int_equal(write_str(&f, ", you"), 0);
    assert_true(f.l.has_output);
    lh_exchange_end(f.ex);
    assert_int_equal(test_loopback_pump(&f.l, 100), 5);
    assert_true(f.l.ended && !f.l.aborted);
    assert_true(f.ex->sent);
    assert_string_equal(f.l.body, "hello, you");
    end(&f);
}

static void test_end_without_start(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 100);
    assert_true(f.l.ended && !f.l.aborted);
    assert_int_equal(f.l.status, 200);
    assert_int_equal(f.l.body_n, 0);
    lh_exchange_end(f.ex);
    lh_exchange_fail(f.ex, 500);
    assert_int_equal(f.ex->response.state, LH_RESPONSE_ENDED);
    end(&f);
}

static void test_wrong_order(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(write_str(&f, "x"), LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_lend(f.ex, "x", 1), LHTTPD_ESTATE);
    lh_exchange_release(f.ex);
    assert_false(f.ex->response.released);
    assert_int_equal(start(&f, 199), LHTTPD_EINVAL);
    assert_int_equal(start(&f, 600), LHTTPD_EINVAL);
    assert_int_equal(lh_exchange_informational(f.ex, 200, &none),
                     LHTTPD_EINVAL);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(start(&f, 200), LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_informational(f.ex, 103, &none),
                     LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_lend(f.ex, "lent", 4), 0);
    assert_int_equal(write_str(&f, "x"), LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_lend(f.ex, "x", 1), LHTTPD_ESTATE);
    test_loopback_pump(&f.l, 100);
    lh_exchange_end(f.ex);
    assert_int_equal(write_str(&f, "x"), LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_trailers(f.ex, &none), LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_promise(f.ex, &none), LHTTPD_ESTATE);
    assert_int_equal(start(&f, 200), LHTTPD_ESTATE);
    end(&f);
}

static void test_content_length(void **state)
{
    static const char *const bad[] = {"",   "x",   "-1",
                                      "1 ", "0x1", "18446744073709551615"};
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(start_with(&f, "Content-Length", bad[i]),
                         LHTTPD_EINVAL);
    assert_int_equal(start_with(&f, "CONTENT-length", "5"), 0);
    assert_int_equal(f.ex->response.content_length, 5);
    assert_int_equal(f.ex->response.fields.n, 0);
    assert_int_equal(f.ex->response.fields.bytes, 0);
    assert_int_equal(write_str(&f, "123"), 0);
    assert_int_equal(write_str(&f, "456"), LHTTPD_EINVAL);
    assert_int_equal(lh_exchange_lend(f.ex, "456", 3), LHTTPD_EINVAL);
    assert_int_equal(f.ex->response.written, 3);
    assert_int_equal(write_str(&f, "45"), 0);
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 100);
    assert_string_equal(f.l.body, "12345");
    assert_false(f.l.aborted);
    end(&f);
}

static void test_different_content_lengths(void **state)
{
    struct fixture f;
    struct lh_fields fields = {.n = 0};
    struct lh_str name = LH_STR("content-length");

    (void)state;
    begin(&f, "GET", false);
    assert_true(lh_fields_add(&fields, &f.ex->arena, name, LH_STR("5")));
    assert_true(lh_fields_add(&fields, &f.ex->arena, LH_STR("a"), LH_STR("")));
    assert_true(lh_fields_add(&fields, &f.ex->arena, name, LH_STR("6")));
    assert_int_equal(lh_exchange_start(f.ex, 200, &fields), LHTTPD_EINVAL);
    end(&f);
}

static void test_short_is_aborted(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(start_with(&f, "content-length", "5"), 0);
    assert_int_equal(write_str(&f, "1234"), 0);
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 100);
    assert_true(f.l.aborted);
    end(&f);
}

/* HEAD and 304 may declare what they do not have. */
static void test_no_body(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "HEAD", false);
    assert_int_equal(start_with(&f, "content-length", "5"), 0);
    assert_int_equal(write_str(&f, "1234"), 0);
    assert_int_equal(lh_exchange_lend(f.ex, "56", 2), LHTTPD_EINVAL);
    assert_int_equal(lh_exchange_lend(f.ex, "5", 1), 0);
    assert_int_equal(f.ex->response.lent_n, 0);
    assert_int_equal(f.ex->response.written, 5);
    lh_exchange_release(f.ex);
    f.news = 0;
    test_loopback_pump(&f.l, 100);
    assert_int_equal(f.news, 1); /* the header has left */
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 100);
    assert_int_equal(f.l.body_n, 0);
    assert_true(f.l.ended && !f.l.aborted);
    end(&f);
    begin(&f, "GET", false);
    assert_int_equal(start(&f, 304), 0);
    assert_int_equal(write_str(&f, "dropped"), 0);
    assert_int_equal(lh_exchange_skip(f.ex, UINT64_C(1) << 40), 0);
    assert_int_equal(f.ex->response.written, (UINT64_C(1) << 40) + 7);
    lh_exchange_end(f.ex);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 0);
    end(&f);
}

static void test_fail(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(start_with(&f, "content-length", "5"), 0);
    assert_int_equal(write_str(&f, "123"), 0);
    lh_exchange_fail(f.ex, 500);
    test_loopback_pump(&f.l, 1000);
    assert_int_equal(f.l.status, 500);
    assert_string_equal(f.l.fields, "content-type: text/html; charset=utf-8\n");
    assert_non_null(strstr(f.l.body, "Internal Server Error"));
    assert_true(f.l.ended && !f.l.aborted);
    end(&f);
    begin(&f, "GET", false);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(write_str(&f, "123"), 0);
    lh_exchange_release(f.ex);
    test_loopback_pump(&f.l, 1000);
    lh_exchange_fail(f.ex, 500);
    test_loopback_pump(&f.l, 1000);
    assert_true(f.l.aborted);
    assert_int_equal(f.l.status, 200);
    end(&f);
}

/* No answer, or an error, because of the client. */
static void test_the_client_is_to_blame(void **state)
{
    static const struct {
        enum lh_body_state body;
        unsigned status;
    } cases[] = {
        {LH_BODY_TOO_LARGE, 413}, {LH_BODY_TIMEOUT, 408}, {LH_BODY_CLOSED, 0}};

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct fixture f;
        begin(&f, "POST", true);
        lh_exchange_body_end(f.ex, cases[i / 2].body);
        if (i % 2)
            lh_exchange_end(f.ex);
        else
            lh_exchange_fail(f.ex, 500);
        unsigned expected = cases[i / 2].status;
        if (!expected)
            expected = i % 2 ? 200 : 500;
        assert_int_equal(f.ex->response.status, expected);
        assert_int_equal(f.ex->response.state, LH_RESPONSE_ENDED);
        end(&f);
    }
}

static void test_interims_and_trailers(void **state)
{
    struct fixture f;
    struct lh_fields fields = {.n = 0};

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(lh_exchange_informational(f.ex, 100, &none), 0);
    assert_int_equal(lh_exchange_informational(f.ex, 103, &none), 0);
    assert_true(f.l.has_output);
    test_loopback_pump(&f.l, 100);
    assert_int_equal(f.l.interims, 2);
    assert_int_equal(f.l.last_interim, 103);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(lh_exchange_promise(f.ex, &none), 0);
    assert_true(lh_fields_add(&fields, &f.ex->arena, LH_STR("a"), LH_STR("b")));
    assert_int_equal(lh_exchange_trailers(f.ex, &fields), 0);
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 100);
    assert_int_equal(f.l.promises, 1);
    assert_string_equal(f.l.trailers, "a: b\n");
    end(&f);
}

/* --- buffers -------------------------------------------------------------- */

static char data[70000];

static void test_full_buffer_leaves(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(lh_exchange_room(f.ex), 65536);
    assert_int_equal(lh_exchange_write(f.ex, data, 65535), 0);
    assert_false(f.ex->response.released);
    assert_int_equal(lh_exchange_write(f.ex, data, 1), 0);
    assert_true(f.ex->response.released && f.l.has_output);
    assert_int_equal(lh_exchange_room(f.ex), 0);
    assert_int_equal(f.l.queued, 65536);
    f.news = 0;
    assert_int_equal(test_loopback_pump(&f.l, 1), 1);
    assert_int_equal(f.news, 1);
    assert_int_equal(lh_exchange_room(f.ex), 1);
    assert_int_equal(f.l.queued, 65535);
    test_loopback_pump(&f.l, 100000);
    assert_true(f.news >= 2);
    assert_int_equal(f.l.queued, 0);
    end(&f);
}

/* What the connection's other streams hold counts, but for 16 KiB, and for
 * 480 octets once they hold too much of that. */
static void test_connection_is_full(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(start(&f, 200), 0);
    f.l.queued = 262144 - 20000;
    assert_int_equal(lh_exchange_room(f.ex), 20000);
    f.l.queued = 262144 + 5;
    assert_int_equal(lh_exchange_room(f.ex), 16384);
    f.l.queued = 327680;
    assert_int_equal(lh_exchange_room(f.ex), 480);
    assert_int_equal(lh_exchange_write(f.ex, data, 480), 0);
    assert_int_equal(lh_exchange_room(f.ex), 0);
    assert_true(f.ex->response.released);
    lh_exchange_cancel(f.ex, LH_ENDED_GONE);
    assert_int_equal(f.l.queued, 327680);
    f.l.queued = 0;
    end(&f);
}

static void test_lend(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(write_str(&f, "copied,"), 0);
    assert_int_equal(lh_exchange_lend(f.ex, "lent", 4), 0);
    assert_true(f.l.has_output);
    assert_int_equal(f.l.queued, 7);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 11);
    assert_int_equal(test_loopback_pump(&f.l, 9), 9);
    f.news = 0;
    assert_int_equal(f.ex->response.lent_n, 2);
    assert_int_equal(test_loopback_pump(&f.l, 9), 2);
    assert_true(f.news > 0);
    assert_null(f.ex->response.lent);
    assert_string_equal(f.l.body, "copied,lent");
    lh_exchange_unlend(f.ex);
    assert_int_equal(f.ex->response.state, LH_RESPONSE_STARTED);
    assert_int_equal(lh_exchange_lend(f.ex, "more", 4), 0);
    lh_exchange_unlend(f.ex);
    assert_int_equal(f.ex->response.lent_n, 0);
    assert_null(f.ex->response.lent);
    test_loopback_pump(&f.l, 9);
    assert_true(f.l.aborted);
    end(&f);
}

/* Gives its text in pieces, and has nothing when it is at `dry`. */
struct text_source {
    struct lh_body_source source;
    const char *text;
    size_t at, piece, dry;
    unsigned asked;
};

static size_t draw_text(struct lh_body_source *source, uint8_t *out, size_t n)
{
    struct text_source *s = LH_OF(source, struct text_source, source);

    s->asked++;
    if (s->at == s->dry)
        return 0;
    n = lh_min(n, lh_min(s->piece, s->dry - s->at));
    memcpy(out, s->text + s->at, n);
    s->at += n;
    return n;
}

static void test_draw(void **state)
{
    struct text_source s = {{.draw = draw_text}, "0123456789", 0, 3, 10, 0};
    struct fixture f;
    size_t n;

    (void)state;
    begin(&f, "GET", false);
    assert_int_equal(start_with(&f, "content-length", "18"), 0);
    assert_int_equal(lh_exchange_draw_from(f.ex, &s.source, 19), LHTTPD_EINVAL);
    assert_int_equal(write_str(&f, "copied,"), 0);
    assert_int_equal(lh_exchange_draw_from(f.ex, &s.source, 10), 0);
    assert_true(f.l.has_output);
    assert_int_equal(f.l.queued, 7); /* the source's are nowhere yet */
    assert_int_equal(lh_exchange_out_bytes(f.ex), 17);
    assert_int_equal(write_str(&f, "x"), LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_lend(f.ex, "x", 1), LHTTPD_ESTATE);
    assert_int_equal(lh_exchange_draw_from(f.ex, &s.source, 1), LHTTPD_ESTATE);
    assert_int_equal(s.asked, 0);
    /* What was copied goes first. */
    assert_int_equal(test_loopback_pump(&f.l, 7), 7);
    assert_int_equal(s.asked, 0);
    assert_null(lh_exchange_out_peek(f.ex, &n));
    assert_int_equal(n, 0);
    assert_int_equal(test_loopback_pump(&f.l, 2), 2);
    assert_int_equal(test_loopback_pump(&f.l, 9), 3);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 5);
    assert_int_equal(test_loopback_pump(&f.l, 9), 3);
    f.news = 0;
    assert_int_equal(test_loopback_pump(&f.l, 9), 2);
    assert_true(f.news > 0);
    assert_null(f.ex->response.source);
    assert_int_equal(write_str(&f, "!"), 0);
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 9);
    assert_true(f.l.ended && !f.l.aborted);
    assert_string_equal(f.l.body, "copied,0123456789!");
    end(&f);
}

/* A response of ten octets, of which the first n are drawn. */
static void begin_drawn(struct fixture *f, struct text_source *s, size_t n)
{
    begin(f, "GET", false);
    assert_int_equal(start_with(f, "content-length", "10"), 0);
    assert_int_equal(lh_exchange_draw_from(f->ex, &s->source, n), 0);
}

/* What it could not give is the handler's again, which gives it otherwise. */
static void test_dry_source(void **state)
{
    struct text_source s = {{.draw = draw_text}, "0123456789", 0, 10, 4, 0};
    struct fixture f;

    (void)state;
    begin_drawn(&f, &s, 10);
    assert_int_equal(test_loopback_pump(&f.l, 100), 4);
    f.news = 0;
    assert_int_equal(test_loopback_pump(&f.l, 100), 0);
    assert_int_equal(f.news, 1);
    assert_null(f.ex->response.source);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 0);
    assert_int_equal(lh_exchange_body_sent(f.ex), 4);
    test_loopback_pump(&f.l, 100);
    assert_int_equal(s.asked, 2); /* and not again */
    assert_int_equal(write_str(&f, "456"), 0);
    s.dry = 10;
    s.at = 7;
    assert_int_equal(lh_exchange_draw_from(f.ex, &s.source, 3), 0);
    test_loopback_pump(&f.l, 100);
    test_loopback_pump(&f.l, 100);
    assert_string_equal(f.l.body, "0123456789");
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 100);
    assert_true(f.l.ended && !f.l.aborted);
    end(&f);
}

/* Who takes a source back in the middle cuts the response. */
static void test_source_taken_back(void **state)
{
    struct text_source s = {{.draw = draw_text}, "0123456789", 0, 4, 10, 0};
    struct fixture f;

    (void)state;
    begin_drawn(&f, &s, 10);
    assert_int_equal(test_loopback_pump(&f.l, 100), 4);
    lh_exchange_unlend(f.ex);
    assert_null(f.ex->response.source);
    test_loopback_pump(&f.l, 100);
    assert_true(f.l.aborted);
    end(&f);

    begin_drawn(&f, &s, 6);
    f.news = 0;
    test_loopback_gone(&f.l);
    assert_true(f.news > 0);
    assert_null(f.ex->response.source);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 0);
    assert_int_equal(s.asked, 1);
    end(&f);
}

/* --- what the kernel moves ------------------------------------------------ */

static size_t locate_text(struct lh_body_source *source, struct lh_place *place,
                          size_t n)
{
    struct text_source *s = LH_OF(source, struct text_source, source);

    s->asked++;
    *place = (struct lh_place){.fd = 7, .at = (int64_t)s->at};
    return lh_min(n, lh_min(s->piece, s->dry - s->at));
}

static void text_moved(struct lh_body_source *source, size_t n)
{
    struct text_source *s = LH_OF(source, struct text_source, source);

    s->at += n;
    if (n == 0)
        s->dry = s->at;
}

#define MOVED_TEXT                                                             \
    {                                                                          \
        {draw_text, locate_text, text_moved}, "0123456789", 0, 6, 10, 0        \
    }

/* Behind seven octets that were copied. */
static void begin_moved(struct fixture *f, struct text_source *s)
{
    begin(f, "GET", false);
    f->ex->moves = true;
    assert_int_equal(start_with(f, "content-length", "17"), 0);
    assert_int_equal(write_str(f, "copied,"), 0);
    assert_int_equal(lh_exchange_draw_from(f->ex, &s->source, 10), 0);
}

static void test_moved(void **state)
{
    struct text_source s = MOVED_TEXT;
    struct lh_place place;
    struct fixture f;
    uint8_t octet;

    (void)state;
    begin_moved(&f, &s);
    /* What was copied goes first, and nothing is drawn. */
    assert_int_equal(lh_exchange_out_locate(f.ex, &place), 0);
    assert_int_equal(test_loopback_pump(&f.l, 7), 7);
    assert_int_equal(lh_exchange_out_take(f.ex, &octet, 1), 0);
    assert_int_equal(s.asked, 0);
    assert_int_equal(lh_exchange_out_locate(f.ex, &place), 6);
    assert_int_equal(place.fd, 7);
    assert_int_equal(place.at, 0);
    lh_exchange_out_moved(f.ex, 4);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 6);
    assert_int_equal(lh_exchange_out_locate(f.ex, &place), 6);
    assert_int_equal(place.at, 4);
    f.news = 0;
    lh_exchange_out_moved(f.ex, 6);
    assert_int_equal(f.news, 1);
    assert_null(f.ex->response.source);
    assert_int_equal(lh_exchange_body_sent(f.ex), 17);
    end(&f);
}

/* It is not there: found before it is moved, or by moving it. */
static void test_not_there(void **state)
{
    (void)state;
    for (int found = 0; found < 2; found++) {
        struct text_source s = MOVED_TEXT;
        struct lh_place place;
        struct fixture f;

        begin_moved(&f, &s);
        test_loopback_pump(&f.l, 7);
        assert_int_equal(lh_exchange_out_locate(f.ex, &place), 6);
        lh_exchange_out_moved(f.ex, 6);
        f.news = 0;
        if (found) {
            assert_int_equal(lh_exchange_out_locate(f.ex, &place), 4);
            lh_exchange_out_moved(f.ex, 0);
        } else {
            s.dry = 6;
            assert_int_equal(lh_exchange_out_locate(f.ex, &place), 0);
        }
        assert_int_equal(f.news, 1);
        assert_null(f.ex->response.source);
        assert_int_equal(lh_exchange_body_sent(f.ex), 13);
        assert_int_equal(write_str(&f, "6789"), 0);
        end(&f);
    }
}

static void cannot_move(struct lh_body_source *source, size_t n)
{
    assert_int_equal(n, 0);
    source->locate = NULL;
}

/* The kernel cannot after all: what is there is drawn. */
static void test_cannot_move(void **state)
{
    struct text_source s = MOVED_TEXT;
    struct lh_place place;
    struct fixture f;

    (void)state;
    s.source.moved = cannot_move;
    begin_moved(&f, &s);
    test_loopback_pump(&f.l, 7);
    assert_int_equal(lh_exchange_out_locate(f.ex, &place), 6);
    f.news = 0;
    lh_exchange_out_moved(f.ex, 0);
    assert_int_equal(f.news, 0);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 10);
    assert_int_equal(lh_exchange_out_locate(f.ex, &place), 0);
    test_loopback_pump(&f.l, 100);
    test_loopback_pump(&f.l, 100);
    assert_string_equal(f.l.body, "copied,0123456789");
    assert_null(f.ex->response.source);
    assert_true(f.news > 0);
    end(&f);
}

/* The source goes first: what is left is copied, or the response cut. */
static void test_copied_source(void **state)
{
    struct text_source s = MOVED_TEXT;
    struct lh_place place;
    struct fixture f;

    (void)state;
    begin_moved(&f, &s);
    lh_exchange_copy_source(f.ex);
    assert_null(f.ex->response.source);
    assert_int_equal(lh_exchange_out_locate(f.ex, &place), 0);
    lh_exchange_copy_source(f.ex); /* there is none */
    test_loopback_pump(&f.l, 100);
    assert_string_equal(f.l.body, "copied,0123456789");
    end(&f);

    s = (struct text_source)MOVED_TEXT;
    s.dry = 7;
    begin_moved(&f, &s);
    lh_exchange_copy_source(f.ex);
    assert_null(f.ex->response.source);
    assert_int_equal(f.ex->response.state, LH_RESPONSE_ABORTED);
    end(&f);
}

/* --- the request's body --------------------------------------------------- */

static void test_body(void **state)
{
    struct fixture f;
    char out[70000];

    (void)state;
    begin(&f, "POST", true);
    assert_int_equal(test_loopback_body(&f.l, data, 70000), 65536);
    assert_int_equal(test_loopback_body(&f.l, data, 1), 0);
    assert_int_equal(f.news, 1);
    lh_exchange_want_body(f.ex, true);
    assert_true(f.l.has_output);
    f.l.has_output = false;
    lh_exchange_want_body(f.ex, true);
    assert_false(f.l.has_output);
    assert_int_equal(lh_exchange_read(f.ex, out, 36), 36);
    assert_true(f.l.has_output);
    assert_int_equal(lh_exchange_body_room(f.ex), 36);
    f.news = 0;
    test_loopback_body_end(&f.l);
    assert_int_equal(f.news, 1);
    lh_exchange_body_end(f.ex, LH_BODY_TIMEOUT);
    assert_int_equal(f.ex->body_state, LH_BODY_ENDED);
    assert_int_equal(lh_exchange_body_room(f.ex), 0);
    assert_true(lh_exchange_body(f.ex, data, 1));
    f.l.has_output = false;
    assert_int_equal(lh_exchange_read(f.ex, out, sizeof(out)), 65500);
    assert_true(f.l.has_output); /* it may be room for other bodies */
    assert_int_equal(lh_exchange_read(f.ex, out, sizeof(out)), 0);
    end(&f);
}

/* --- ends ----------------------------------------------------------------- */

static void test_gone(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "POST", true);
    assert_int_equal(start_with(&f, "content-length", "5"), 0);
    assert_int_equal(write_str(&f, "1"), 0);
    assert_int_equal(lh_exchange_lend(f.ex, "2", 1), 0);
    test_loopback_gone(&f.l);
    assert_int_equal(f.news, 1);
    assert_int_equal(f.ex->body_state, LH_BODY_CLOSED);
    assert_int_equal(f.ex->response.lent_n, 0);
    assert_int_equal(lh_exchange_out_bytes(f.ex), 0);
    assert_int_equal(write_str(&f, "more than was declared"), 0);
    assert_int_equal(lh_exchange_lend(f.ex, "x", 1), 0);
    assert_int_equal(f.ex->response.lent_n, 0);
    assert_int_equal(lh_exchange_informational(f.ex, 103, &none),
                     LHTTPD_ESTATE);
    assert_true(lh_exchange_room(f.ex) > 0);
    lh_exchange_end(f.ex);
    assert_int_equal(f.ex->response.state, LH_RESPONSE_ENDED);
    test_loopback_gone(&f.l);
    end(&f);
}

static void test_fin(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    test_loopback_fin(&f.l);
    test_loopback_fin(&f.l);
    assert_int_equal(f.news, 1);
    assert_true(f.ex->fin && !f.ex->gone);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(write_str(&f, "heard"), 0);
    lh_exchange_end(f.ex);
    test_loopback_pump(&f.l, 100);
    assert_string_equal(f.l.body, "heard");
    end(&f);
}

static void test_protocol_lets_go_first(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "POST", true);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(lh_exchange_lend(f.ex, data, 10), 0);
    lh_exchange_let_go_protocol(f.ex);
    f.l.ex = NULL;
    assert_int_equal(f.ex->response.lent_n, 0);
    assert_int_equal(f.ex->body_state, LH_BODY_CLOSED);
    assert_int_equal(f.news, 2);
    assert_int_equal(write_str(&f, "dropped"), 0);
    assert_int_equal(f.t.ctx.counters.exchanges, 1);
    end(&f);
}

static void test_handler_lets_go_unended(void **state)
{
    struct test_context t;
    struct test_loopback l;

    (void)state;
    test_context_init(&t);
    test_loopback_request(&l, &t, "GET", "/", NULL, false);
    lh_exchange_let_go_handler(l.ex);
    assert_true(l.has_output);
    test_loopback_pump(&l, 100);
    assert_true(l.aborted);
    test_loopback_deinit(&l);
    test_context_deinit(&t);
}

/* Any allocation may fail: an error, an abort, never a leak. */
static void use_all(void)
{
    struct test_context t;
    struct lh_fields fields = {.n = 0};

    test_context_init(&t);
    struct lh_exchange *ex = lh_exchange_new(&t.ctx, t.peer);
    if (ex) {
        (void)lh_exchange_body(ex, data, 10000);
        (void)lh_exchange_informational(ex, 103, &fields);
        for (int i = 0; i < 100; i++)
            (void)lh_fields_add(&fields, &ex->arena, LH_STR("a"), LH_STR("b"));
        (void)lh_exchange_start(ex, 200, &fields);
        int error = lh_exchange_write(ex, data, 10000);
        assert_int_equal(ex->response.written, error ? 0 : 10000);
        lh_exchange_fail(ex, 500);
        assert_int_equal(ex->response.state, LH_RESPONSE_ENDED);
        assert_int_equal(ex->response.status, 500);
        lh_exchange_let_go_handler(ex);
        lh_exchange_let_go_protocol(ex);
    }
    test_context_deinit(&t);
}

static void test_without_memory(void **state)
{
    (void)state;
    test_heap_install();
    test_heap_fail_at(0);
    use_all();
    unsigned long n = test_heap_count();
    assert_true(n > 5);
    for (unsigned long i = 2; i <= n; i++) { /* the first is the peer's */
        test_heap_fail_at(i);
        use_all();
    }
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

/* Its facts are there when its end is told, and whoever comes later changes
 * nothing. */
static void test_end_is_told_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "POST", true);
    f.ex->ctx->now_us = 5000;
    lh_exchange_accept(f.ex);
    assert_true(lh_exchange_body(f.ex, "abc", 3));
    assert_int_equal(start(&f, 201), 0);
    assert_int_equal(write_str(&f, "hello"), 0);
    assert_int_equal(lh_exchange_status(f.ex), 0);
    lh_exchange_release(f.ex);
    lh_exchange_head_leaves(f.ex);
    lh_exchange_out_drop(f.ex, 3);
    assert_string_equal(f.t.ended, "");
    lh_exchange_cancel(f.ex, LH_ENDED_TIMEOUT);
    assert_string_equal(f.t.ended, "timeout 201 3");
    assert_int_equal(f.ex->body_received, 3);
    assert_int_equal(f.ex->head_us, 5000);
    lh_exchange_cancel(f.ex, LH_ENDED_GONE);
    lh_exchange_sent(f.ex);
    lh_exchange_refuse(f.ex, 400, 10);
    end(&f);
    assert_string_equal(f.t.ended, "timeout 201 3");
}

/* What was lent and is taken back nobody has got. */
static void test_end_counts_what_left(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "GET", false);
    lh_exchange_accept(f.ex);
    assert_int_equal(start(&f, 200), 0);
    assert_int_equal(lh_exchange_lend(f.ex, "0123456789", 10), 0);
    lh_exchange_head_leaves(f.ex);
    lh_exchange_out_drop(f.ex, 4);
    lh_exchange_unlend(f.ex);
    end(&f);
    assert_string_equal(f.t.ended, "cut 200 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_leaves_early),
        cmocka_unit_test(test_end_without_start),
        cmocka_unit_test(test_wrong_order),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_different_content_lengths),
        cmocka_unit_test(test_short_is_aborted),
        cmocka_unit_test(test_no_body),
        cmocka_unit_test(test_fail),
        cmocka_unit_test(test_the_client_is_to_blame),
        cmocka_unit_test(test_interims_and_trailers),
        cmocka_unit_test(test_full_buffer_leaves),
        cmocka_unit_test(test_connection_is_full),
        cmocka_unit_test(test_lend),
        cmocka_unit_test(test_draw),
        cmocka_unit_test(test_dry_source),
        cmocka_unit_test(test_source_taken_back),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_cannot_move),
        cmocka_unit_test(test_copied_source),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_fin),
        cmocka_unit_test(test_protocol_lets_go_first),
        cmocka_unit_test(test_handler_lets_go_unended),
        cmocka_unit_test(test_end_is_told_once),
        cmocka_unit_test(test_end_counts_what_left),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
