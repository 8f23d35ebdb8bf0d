/*
 * What an HTTP/2 connection makes of handlers' answers: header sections,
 * informational responses, trailers, pushes (RFC 9113, 8).
 */
#include "lib/h2client.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

typedef void act_fn(struct lh_exchange *ex);

static act_fn *act; /* what the handler of "/" does */

static bool path_is(const struct lh_exchange *ex, const char *path)
{
    return lh_str_equal(ex->request.path, lh_str_of(path));
}

static void handler(struct test_driver *d, struct lh_exchange *ex)
{
    (void)d;
    if (ex->gone)
        test_done(ex);
    else if (path_is(ex, "/"))
        act(ex);
    else if (!path_is(ex, "/hold"))
        test_answer(ex, 200, "other");
}

static void begin(struct test_h2 *h, act_fn *fn)
{
    act = fn;
    test_h2_init(h, handler, 0);
    h->t.ctx.software = "";
    test_h2_hello(h);
}

#define DATE "date=Tue, 24 Nov 2026 03:15:00 GMT"

/* One request, one answer. */
static void answers(act_fn *fn, const char *request, const char *expect)
{
    static const size_t rooms[] = {65536, 1};

    for (size_t i = 0; i < 2; i++) {
        struct test_h2 h;
        begin(&h, fn);
        h.d.pull_room = rooms[i];
        test_h2_say(&h, request);
        assert_string_equal(h.log, expect);
        test_h2_deinit(&h);
    }
}

/* --- header sections ------------------------------------------------------ */

static void end_with(struct lh_exchange *ex, unsigned status,
                     struct lh_fields fields, const char *body)
{
    assert_int_equal(lh_exchange_start(ex, status, &fields), 0);
    if (*body)
        assert_int_equal(lh_exchange_write(ex, body, strlen(body)), 0);
    lh_exchange_end(ex);
    test_done(ex);
}

static void mixed_case(struct lh_exchange *ex)
{
    end_with(ex, 200,
             test_fields(ex, "Content-Type", "Text/Plain", "Connection",
                         "close", "Keep-Alive", "5", "Set-Cookie", "a=1",
                         "Set-Cookie", "b=2", "Date", "now", NULL),
             "x");
}

static void no_content(struct lh_exchange *ex)
{
    end_with(ex, 204, test_fields(ex, "content-length", "0", NULL), "");
}

static void not_modified(struct lh_exchange *ex)
{
    end_with(ex, 304, test_fields(ex, "etag", "\"x\"", NULL), "");
}

static void not_modified_with_length(struct lh_exchange *ex)
{
    end_with(ex, 304, test_fields(ex, "content-length", "77", NULL), "");
}

static void declared(struct lh_exchange *ex)
{
    end_with(ex, 200, test_fields(ex, "Content-Length", "3", NULL), "abc");
}

static void empty(struct lh_exchange *ex)
{
    end_with(ex, 200, test_fields(ex, NULL), "");
}

static void short_of_declared(struct lh_exchange *ex)
{
    end_with(ex, 200, test_fields(ex, "content-length", "4", NULL), "abc");
}

static void nothing(struct lh_exchange *ex)
{
    test_done(ex);
}

static void test_heads(void **state)
{
    (void)state;
    answers(mixed_case, "HEADERS eh 1 GET",
            "HEADERS 1 :status=200 content-length=1 content-type=Text/Plain "
            "set-cookie=a=1 set-cookie=b=2 date=now\nDATA 1 end 'x'\n");
    answers(no_content, "HEADERS eh 1 GET",
            "HEADERS 1 end :status=204 " DATE "\n");
    answers(not_modified, "HEADERS eh 1 GET",
            "HEADERS 1 end :status=304 " DATE " etag=\"x\"\n");
    answers(not_modified_with_length, "HEADERS eh 1 GET",
            "HEADERS 1 end :status=304 " DATE " content-length=77\n");
    answers(declared, "HEADERS eh 1 GET",
            "HEADERS 1 :status=200 " DATE " content-length=3\n"
            "DATA 1 end 'abc'\n");
    answers(declared, "HEADERS eh 1 HEAD",
            "HEADERS 1 end :status=200 " DATE " content-length=3\n");
    answers(empty, "HEADERS eh 1 GET",
            "HEADERS 1 end :status=200 " DATE " content-length=0\n");
    answers(empty, "HEADERS eh 1 HEAD", "HEADERS 1 end :status=200 " DATE "\n");
    answers(short_of_declared, "HEADERS eh 1 GET",
            "RST_STREAM 1 INTERNAL_ERROR\n");
    answers(nothing, "HEADERS eh 1 GET", "RST_STREAM 1 INTERNAL_ERROR\n");
}

/* More than a frame: HEADERS and CONTINUATIONs, nothing in between. */
static void large_head(struct lh_exchange *ex)
{
    static char value[20001];

    memset(value, '~', 20000); /* ~ has 13 bits in the Huffman code */
    end_with(ex, 200, test_fields(ex, "a", value, "b", value, NULL), "x");
}

static void test_large_head(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, large_head);
    test_h2_say(&h, "HEADERS eh 1 GET\nHEADERS eh 3 GET");
    assert_int_equal(test_h2_count(&h, "HEADERS"), 2);
    assert_true(test_h2_got(&h, "DATA 3 end 'x'"));
    assert_true(h.block_n > 40000);
    test_h2_deinit(&h);
}

/* The client's SETTINGS_MAX_HEADER_LIST_SIZE. */
static void test_head_too_large_for_client(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, large_head);
    test_h2_say(&h, "SETTINGS - 0 x0006 u4000\nHEADERS eh 1 GET");
    assert_true(test_h2_got(&h, "RST_STREAM 1 INTERNAL_ERROR"));
    test_h2_say(&h, "HEADERS eh 3 GET/other");
    assert_true(test_h2_got(&h, "HEADERS 3 :status=200"));
    test_h2_deinit(&h);
}

/* --- trailers, informational responses ------------------------------------ */

static void trailers(struct lh_exchange *ex)
{
    struct lh_fields t = test_fields(ex, "X-Sum", "7", NULL);

    assert_int_equal(lh_exchange_trailers(ex, &t), 0);
    end_with(ex, 200, test_fields(ex, NULL), "abc");
}

static void trailers_alone(struct lh_exchange *ex)
{
    struct lh_fields t = test_fields(ex, "x-sum", "0", NULL);

    assert_int_equal(lh_exchange_trailers(ex, &t), 0);
    end_with(ex, 200, test_fields(ex, NULL), "");
}

static void no_real_trailers(struct lh_exchange *ex)
{
    struct lh_fields t = test_fields(ex, "Connection", "close", NULL);

    assert_int_equal(lh_exchange_trailers(ex, &t), 0);
    end_with(ex, 200, test_fields(ex, NULL), "abc");
}

static void test_trailers(void **state)
{
    (void)state;
    answers(trailers, "HEADERS eh 1 GET",
            "HEADERS 1 :status=200 " DATE "\nDATA 1 'abc'\n"
            "HEADERS 1 end x-sum=7\n");
    answers(trailers_alone, "HEADERS eh 1 GET",
            "HEADERS 1 :status=200 " DATE "\nHEADERS 1 end x-sum=0\n");
    answers(no_real_trailers, "HEADERS eh 1 GET",
            "HEADERS 1 :status=200 " DATE "\nDATA 1 'abc'\nDATA 1 end ''\n");
}

static void hints(struct lh_exchange *ex)
{
    struct lh_fields one = test_fields(ex, "Link", "</a>", NULL);
    struct lh_fields two = test_fields(ex, "link", "</b>", NULL);

    assert_int_equal(lh_exchange_informational(ex, 103, &one), 0);
    assert_int_equal(lh_exchange_informational(ex, 103, &two), 0);
    end_with(ex, 200, test_fields(ex, NULL), "abc");
}

static void test_hints(void **state)
{
    (void)state;
    answers(hints, "HEADERS eh 1 GET",
            "HEADERS 1 :status=103 link=</a>\nHEADERS 1 :status=103 link=</b>\n"
            "HEADERS 1 :status=200 " DATE " content-length=3\n"
            "DATA 1 end 'abc'\n");
}

static void read_all(struct lh_exchange *ex)
{
    char sink[100];

    while (lh_exchange_read(ex, sink, sizeof(sink)))
        ;
    lh_exchange_want_body(ex, ex->body_state == LH_BODY_OPEN);
    if (ex->body_state != LH_BODY_OPEN)
        end_with(ex, 200, test_fields(ex, NULL), "");
}

/* On the first read, unless something has come. */
static void test_expect_continue(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, read_all);
    test_h2_say(&h, "HEADERS h 1 POST {expect: 100-continue}");
    assert_string_equal(h.log, "HEADERS 1 :status=100\n");
    test_h2_say(&h, "DATA e 1 'abc'");
    assert_true(test_h2_got(&h, "HEADERS 1 end :status=200"));
    test_h2_forget(&h);
    test_h2_say(&h, "HEADERS h 3 POST {expect: 100-Continue}\nDATA - 3 'a'");
    assert_string_equal(h.log, "");
    test_h2_deinit(&h);
}

/* --- pushes (8.4) --------------------------------------------------------- */

static const char *push_path;

static void pushes(struct lh_exchange *ex)
{
    struct lh_fields promise =
        test_fields(ex, ":path", push_path, "X-Further", "1", NULL);

    assert_int_equal(lh_exchange_promise(ex, &promise), 0);
    end_with(ex, 200, test_fields(ex, NULL),
             ex->request.accepts_push ? "y" : "n");
}

static void test_push(void **state)
{
    (void)state;
    push_path = "/other";
    answers(pushes, "HEADERS eh 1 GET",
            "PUSH_PROMISE 1 promises 2 :method=GET :scheme=http "
            ":authority=example.com :path=/other x-further=1\n"
            "HEADERS 1 :status=200 " DATE " content-length=1\n"
            "DATA 1 end 'y'\n"
            "HEADERS 2 :status=200 " DATE
            " content-length=5 content-type=text/plain\n"
            "DATA 2 end 'other'\n");
    answers(pushes, "SETTINGS - 0 x0002 u0\nHEADERS eh 1 GET",
            "SETTINGS ack\nHEADERS 1 :status=200 " DATE " content-length=1\n"
            "DATA 1 end 'n'\n");
    answers(pushes, "GOAWAY - 0 u0 u0\nHEADERS eh 1 GET",
            "HEADERS 1 :status=200 " DATE " content-length=1\n"
            "DATA 1 end 'y'\n");
    push_path = "not/a/path";
    answers(pushes, "HEADERS eh 1 GET",
            "HEADERS 1 :status=200 " DATE " content-length=1\n"
            "DATA 1 end 'y'\n");
    push_path = ""; /* promises "/", whose handler would promise again */
    answers(pushes, "HEADERS eh 1 GET",
            "HEADERS 1 :status=200 " DATE " content-length=1\n"
            "DATA 1 end 'y'\n");
    push_path = "/"; /* a promised request makes no promises */
    answers(pushes, "HEADERS eh 1 GET",
            "PUSH_PROMISE 1 promises 2 :method=GET :scheme=http "
            ":authority=example.com :path=/ x-further=1\n"
            "HEADERS 1 :status=200 " DATE " content-length=1\n"
            "DATA 1 end 'y'\n"
            "HEADERS 2 :status=200 " DATE " content-length=1\n"
            "DATA 2 end 'n'\n");
}

/* The client does not want it. */
static void test_push_is_cancelled(void **state)
{
    struct test_h2 h;

    (void)state;
    push_path = "/hold";
    begin(&h, pushes);
    test_h2_say(&h, "HEADERS eh 1 GET");
    assert_int_equal(h.d.requests, 2);
    assert_int_equal(h.t.ctx.counters.exchanges, 1);
    test_h2_say(&h, "RST_STREAM - 2 u8");
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    test_h2_say(&h, "PRIORITY_UPDATE - 0 u2 'u=1'\nWINDOW_UPDATE - 2 u1");
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_say(&h, "DATA - 2 'x'");
    assert_true(test_h2_got(&h, "RST_STREAM 2 STREAM_CLOSED"));
    test_h2_deinit(&h);
}

/* A promised stream cannot be sent to. */
static void test_data_on_a_push(void **state)
{
    struct test_h2 h;

    (void)state;
    push_path = "/hold";
    begin(&h, pushes);
    test_h2_say(&h, "HEADERS eh 1 GET");
    test_h2_say(&h, "WINDOW_UPDATE - 2 u1\nPRIORITY - 2 u0 x01");
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_say(&h, "DATA - 2 'x'");
    assert_true(test_h2_got(&h, "GOAWAY 1 PROTOCOL_ERROR"));
    test_h2_deinit(&h);
}

static void test_push_limit(void **state)
{
    struct test_h2 h;

    (void)state;
    push_path = "/hold";
    begin(&h, pushes);
    test_h2_say(&h, "SETTINGS - 0 x0003 u2");
    for (unsigned id = 1; id < 9; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u GET", id);
    assert_int_equal(test_h2_count(&h, "PUSH_PROMISE"), 2);
    test_h2_say(&h, "RST_STREAM - 2 u8\nHEADERS eh 9 GET");
    assert_int_equal(test_h2_count(&h, "PUSH_PROMISE"), 3);
    assert_true(test_h2_got(&h, "PUSH_PROMISE 9 promises 6"));
    test_h2_deinit(&h);
}

/* For a request of a few octets a handler may promise much. */
static void pushes_many(struct lh_exchange *ex)
{
    struct lh_fields promise = test_fields(ex, ":path", "/hold", NULL);

    for (int i = 0; i < 100; i++)
        assert_int_equal(lh_exchange_promise(ex, &promise), 0);
    test_answer(ex, 200, "many");
}

static void test_many_pushes(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, pushes_many);
    test_h2_say(&h, "HEADERS eh 1 GET");
    assert_int_equal(test_h2_count(&h, "PUSH_PROMISE"), 16);
    assert_true(test_h2_got(&h, "DATA 1 end"));
    test_h2_deinit(&h);
    /* What could not leave is not promised. */
    begin(&h, pushes_many);
    test_h2_say(&h, "SETTINGS - 0 x0004 u0\nHEADERS eh 1 GET");
    assert_int_equal(test_h2_count(&h, "PUSH_PROMISE"), 0);
    test_h2_deinit(&h);
}

static void posts(struct lh_exchange *ex)
{
    struct lh_fields promise =
        test_fields(ex, ":method", "POST", ":path", "/other", NULL);
    struct lh_fields head =
        test_fields(ex, ":path", "/other", ":method", "HEAD", ":authority",
                    "b.example", "accept", "*/*", NULL);

    assert_int_equal(lh_exchange_promise(ex, &promise), 0);
    assert_int_equal(lh_exchange_promise(ex, &head), 0);
    end_with(ex, 200, test_fields(ex, NULL), "");
}

/* Only safe methods; and what the handler says goes before what is missing. */
static void test_promised_methods(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, posts);
    test_h2_say(&h, "HEADERS eh 1 GET");
    assert_int_equal(test_h2_count(&h, "PUSH_PROMISE"), 1);
    assert_true(test_h2_got(&h, "PUSH_PROMISE 1 promises 4 :method=HEAD "
                                ":scheme=http :authority=b.example "
                                ":path=/other accept=*/*"));
    assert_true(test_h2_got(&h, "HEADERS 4 end :status=200"));
    test_h2_deinit(&h);
}

/* Asks for everything at once and takes what it gets. */
static void all_kinds(struct lh_exchange *ex)
{
    struct lh_fields fields = test_fields(ex, "X-Name", "y", NULL);
    struct lh_fields promise =
        test_fields(ex, ":path", "/other", "X-Further", "1", NULL);

    (void)lh_exchange_informational(ex, 103, &fields);
    (void)lh_exchange_promise(ex, &promise);
    (void)lh_exchange_start(ex, 200, &fields);
    (void)lh_exchange_write(ex, "abc", 3);
    (void)lh_exchange_trailers(ex, &fields);
    lh_exchange_end(ex);
    test_done(ex);
}

/* Whichever allocation fails, in whichever block of an arena. */
static void test_no_memory(void **state)
{
    bool whole = false;
    char padding[3000] = "";

    (void)state;
    for (size_t pad = 0; pad < sizeof(padding) - 1; pad += 650) {
        memset(padding, 'x', pad);
        whole = false;
        for (unsigned long n = 1; !whole; n++) {
            struct test_h2 h;
            assert_true(n < 1000);
            begin(&h, all_kinds);
            test_heap_install();
            test_heap_fail_at(n);
            test_h2_sayf(&h, "HEADERS eh 1 GET {a: x%s}\nHEADERS eh 3 GET",
                         padding);
            whole = test_heap_count() < n;
            test_heap_uninstall();
            if (whole) {
                assert_true(test_h2_got(&h, "HEADERS 1 :status=103 x-name=y"));
                assert_true(test_h2_got(&h, "DATA 4 end 'other'"));
                assert_true(test_h2_got(&h, "HEADERS 3 end x-name=y"));
            }
            test_h2_deinit(&h);
        }
    }
}

/* --- the rest of a request's body ----------------------------------------- */

static void test_unread_rest(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, empty);
    test_h2_say(&h, "HEADERS h 1 POST\nHEADERS h 3 POST\nHEADERS h 5 POST");
    assert_int_equal(test_h2_count(&h, "HEADERS"), 3);
    test_h2_say(&h, "DATA - 1 *16384\nDATA e 1 *16384"); /* whole in time */
    assert_false(test_h2_got(&h, "RST"));
    test_h2_say(&h, "DATA - 3 *16384\nDATA - 3 *16384\nDATA - 3 *16384\n"
                    "DATA - 3 *16383");
    assert_false(test_h2_got(&h, "RST"));
    test_h2_say(&h, "DATA - 3 'x'"); /* 64 KiB */
    test_h2_advance(&h, 199);
    assert_false(test_h2_got(&h, "RST"));
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "RST_STREAM 3 NO_ERROR"));
    assert_int_equal(h.t.ctx.counters.exchanges, 1);
    test_h2_advance(&h, 29799);
    assert_false(test_h2_got(&h, "RST_STREAM 5"));
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "RST_STREAM 5 NO_ERROR"));
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    test_h2_deinit(&h);
}

/* The client stops in the middle of the frame that is too much. */
static void test_unread_rest_in_mid_frame(void **state)
{
    static const uint8_t head[] = {0, 0x40, 0, LH_H2_DATA, 0, 0, 0, 0, 1};
    static const uint8_t octets[16383];
    struct test_h2 h;

    (void)state;
    begin(&h, empty);
    h.t.limits.linger_bytes = 10000;
    test_h2_say(&h, "HEADERS h 1 POST");
    test_h2_octets(&h, head, sizeof(head));
    test_h2_octets(&h, octets, sizeof(octets));
    test_h2_run(&h);
    test_h2_advance(&h, 199);
    assert_false(test_h2_got(&h, "RST"));
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "RST_STREAM 1 NO_ERROR"));
    test_h2_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_large_head),
        cmocka_unit_test(test_head_too_large_for_client),
        cmocka_unit_test(test_trailers),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_expect_continue),
        cmocka_unit_test(test_push),
        cmocka_unit_test(test_push_is_cancelled),
        cmocka_unit_test(test_data_on_a_push),
        cmocka_unit_test(test_push_limit),
        cmocka_unit_test(test_many_pushes),
        cmocka_unit_test(test_promised_methods),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_unread_rest),
        cmocka_unit_test(test_unread_rest_in_mid_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
