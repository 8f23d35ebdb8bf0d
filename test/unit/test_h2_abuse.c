/*
 * Abuses of HTTP/2 and their ends: floods of what is useless, bombs, stalls,
 * slow clients, memory that runs out; and the two steps of a graceful end.
 */
#include "h2/h2_conn.h"
#include "h2/h2_core.h"
#include "lib/h2client.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool path_is(const struct lh_exchange *ex, const char *path)
{
    return lh_str_equal(ex->request.path, lh_str_of(path));
}

static void read_body(struct lh_exchange *ex)
{
    char sink[1000];

    while (lh_exchange_read(ex, sink, sizeof(sink)))
        ;
    lh_exchange_want_body(ex, ex->body_state == LH_BODY_OPEN);
    if (ex->body_state == LH_BODY_OPEN)
        return;
    test_answer(ex, ex->body_state == LH_BODY_ENDED ? 200 : 408, "read");
}

static void answer_long(struct lh_exchange *ex)
{
    char text[10001];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    test_answer(ex, 200, text);
}

/* Writes small pieces, as many as it may. */
static void answer_in_pieces(struct lh_exchange *ex)
{
    struct lh_fields none = {.n = 0};
    char piece[100] = {0};

    if (ex->response.state == LH_RESPONSE_NONE)
        assert_int_equal(lh_exchange_start(ex, 200, &none), 0);
    while (lh_exchange_room(ex) >= sizeof(piece))
        assert_int_equal(lh_exchange_write(ex, piece, sizeof(piece)), 0);
}

static void not_found(struct lh_exchange *ex)
{
    lh_exchange_fail(ex, 404);
    test_done(ex);
}

/* "/hold" never ends, "/stay" not even when its client is gone. */
static void handler(struct test_driver *d, struct lh_exchange *ex)
{
    (void)d;
    if (path_is(ex, "/stay"))
        return;
    if (ex->gone)
        test_done(ex);
    else if (path_is(ex, "/read"))
        read_body(ex);
    else if (path_is(ex, "/long"))
        answer_long(ex);
    else if (path_is(ex, "/pieces"))
        answer_in_pieces(ex);
    else if (path_is(ex, "/none"))
        not_found(ex);
    else if (!path_is(ex, "/hold"))
        test_answer(ex, 200, "hello");
}

static void begin(struct test_h2 *h)
{
    test_h2_init(h, handler, 0);
    test_h2_hello(h);
}

/* --- the budget ----------------------------------------------------------- */

struct flood {
    const char *name;
    const char *before; /* said once; NULL: nothing */
    const char *say;    /* again and again; %u: an odd number that grows */
};

static const struct flood floods[] = {
    {"rapid reset (CVE-2023-44487)", NULL,
     "HEADERS eh %u GET/hold\nRST_STREAM - %u u8"},
    {"provoked resets (CVE-2025-8671): WINDOW_UPDATE of 0", NULL,
     "HEADERS eh %u GET/hold\nWINDOW_UPDATE - %u u0"},
    {"provoked resets: a window that overflows", NULL,
     "HEADERS eh %u GET/hold\nWINDOW_UPDATE - %u u2147483647"},
    {"provoked resets: DATA after END_STREAM", NULL,
     "HEADERS eh %u GET/hold\nDATA - %u 'x'"},
    {"provoked resets: PRIORITY of 4 octets", NULL,
     "HEADERS eh %u GET/hold\nPRIORITY - %u *4"},
    {"PRIORITY of 4 octets on a closed stream", "HEADERS eh 1 GET\n-",
     "PRIORITY - 1 *4"},
    {"malformed requests", NULL, "HEADERS eh %u GET {A: b}"},
    {"PING (CVE-2019-9512)", NULL, "PING - 0 *8"},
    {"PING acks", NULL, "PING a 0 *8"},
    {"SETTINGS (CVE-2019-9515)", NULL, "SETTINGS - 0"},
    {"SETTINGS acks", NULL, "SETTINGS a 0"},
    {"empty DATA (CVE-2019-9518)", "HEADERS h 1 POST/hold", "DATA - 1"},
    {"nothing but padding", "HEADERS h 1 POST/hold", "DATA p 1 x05 *5"},
    {"empty DATA on a closed stream", "HEADERS h 1 GET {A: b}", "DATA - 1"},
    {"trailers on a closed stream", "HEADERS h 1 GET {A: b}",
     "HEADERS eh 1 {a: b}"},
    {"resets of a closed stream", "HEADERS eh 1 GET\n-", "RST_STREAM - 1 u8"},
    {"PRIORITY (CVE-2019-9513)", NULL, "PRIORITY - 1 u0 x01"},
    {"PRIORITY_UPDATE", NULL, "PRIORITY_UPDATE - 0 u1 'u=1'"},
    {"window updates", "HEADERS eh 1 GET/hold", "WINDOW_UPDATE - 1 u1"},
    {"window updates of the connection", NULL, "WINDOW_UPDATE - 0 u1"},
    {"window updates of a closed stream", "HEADERS eh 1 GET\n-",
     "WINDOW_UPDATE - 1 u1"},
    {"GOAWAY", NULL, "GOAWAY - 0 u0 u0"},
    {"unknown frames", NULL, "T99 - 0"},
    {"requests that are refused", NULL, "HEADERS eh %u TRACE"},
};

/* Ends after about a thousand, with memory as before. */
static void test_floods(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        struct test_h2 h;
        unsigned n = 0;
        begin(&h);
        if (floods[i].before)
            test_h2_say(&h, floods[i].before);
        for (; n < 1200 && !h.d.stopped; n++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            test_h2_sayf(&h, floods[i].say, 2 * n + 3, 2 * n + 3);
#pragma GCC diagnostic pop
        }
        if (n < 490 || n > 1010 || !strstr(h.log, "ENHANCE_YOUR_CALM"))
            fail_msg("%s: %u\n%s", floods[i].name, n, h.log);
        assert_int_equal(h.t.ctx.counters.exchanges, 0);
        test_h2_deinit(&h);
    }
}

/* Slowly it may be done for ever: 100 a second come back. */
static void test_budget_refills(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    for (unsigned i = 0; i < 5000; i++) {
        test_h2_advance(&h, 10);
        test_h2_say(&h, "PING - 0 *8");
    }
    assert_int_equal(test_h2_count(&h, "PING ack"), 5000);
    test_h2_deinit(&h);
}

/* Who gets answers may do more: each one earns a reset. */
static void test_answers_earn_budget(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    for (unsigned id = 1; id < 8000; id += 4)
        test_h2_sayf(&h,
                     "HEADERS eh %u GET\n-\nHEADERS eh %u GET/hold\n"
                     "RST_STREAM - %u u8",
                     id, id + 2, id + 2);
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_deinit(&h);
}

/* --- limits --------------------------------------------------------------- */

/* Counted until the stream is closed and its handler has ended. */
static void test_streams(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    h.t.limits.h2_streams = 3;
    test_h2_hello(&h);
    test_h2_say(&h, "HEADERS eh 1 GET/hold\nHEADERS eh 3 GET/hold\n"
                    "HEADERS eh 5 GET/stay\nHEADERS eh 7 GET/hold");
    assert_string_equal(h.log, "RST_STREAM 7 REFUSED_STREAM\n");
    test_h2_say(&h, "RST_STREAM - 5 u8\n-\nHEADERS eh 9 GET/hold");
    assert_true(test_h2_got(&h, "RST_STREAM 9 REFUSED_STREAM"));
    test_h2_say(&h, "RST_STREAM - 1 u8\n-\nHEADERS eh 11 GET");
    assert_true(test_h2_got(&h, "DATA 11 end"));
    test_h2_deinit(&h);
}

/* The client is told of so many streams. */
static void init_with_streams(struct test_h2 *h, unsigned streams)
{
    test_h2_init(h, handler, 0);
    test_driver_deinit(&h->d);
    h->t.limits.h2_streams = streams;
    test_driver_init(&h->d, &h->t, &lh_h2_protocol, lh_h2_new, handler);
}

/* Streams that were prioritised before they are opened count too (RFC 9218,
 * 7.1), until they are opened or passed over. */
static void test_prioritised_streams(void **state)
{
    struct test_h2 h;

    (void)state;
    init_with_streams(&h, 4);
    test_h2_hello(&h);
    test_h2_say(&h, "HEADERS eh 1 GET/hold\nPRIORITY_UPDATE - 0 u3 'u=1'\n"
                    "PRIORITY_UPDATE - 0 u5 'u=1'\n"
                    "PRIORITY_UPDATE - 0 u5 'u=2'\n"
                    "PRIORITY_UPDATE - 0 u9 'u=1'\n"
                    "PRIORITY_UPDATE - 0 u1 'u=1'");
    test_h2_say(&h, "HEADERS eh 5 GET/hold\nHEADERS eh 7 GET\n-\n"
                    "PRIORITY_UPDATE - 0 u11 'u=1'"); /* 1, 5, 9, 11 */
    assert_false(test_h2_got(&h, "GOAWAY"));
    assert_true(test_h2_got(&h, "DATA 7 end"));
    test_h2_say(&h, "PRIORITY_UPDATE - 0 u13 'u=1'");
    assert_true(test_h2_got(&h, "GOAWAY 7 PROTOCOL_ERROR"));
    test_h2_deinit(&h);
}

/* Who has not seen our settings cannot know how many may be open. */
static void test_prioritised_at_first(void **state)
{
    struct test_h2 h;

    (void)state;
    init_with_streams(&h, 2);
    test_h2_octets(&h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
    test_h2_say(&h, "SETTINGS - 0");
    for (unsigned id = 1; id < 9; id += 2)
        test_h2_sayf(&h, "PRIORITY_UPDATE - 0 u%u 'u=1'", id);
    test_h2_say(&h, "SETTINGS a 0\nHEADERS eh 1 GET");
    assert_true(test_h2_got(&h, "DATA 1 end"));
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_deinit(&h);
}

/* What a client was told holds for it, though there may be fewer now. */
static void test_prioritised_as_told(void **state)
{
    struct test_h2 h;

    (void)state;
    init_with_streams(&h, 4);
    test_h2_hello(&h);
    h.t.limits.h2_streams = 1;
    test_h2_say(&h, "HEADERS eh 1 GET/hold\n"
                    "PRIORITY_UPDATE - 0 u3 'u=1'\n"
                    "PRIORITY_UPDATE - 0 u5 'u=1'\n"
                    "PRIORITY_UPDATE - 0 u7 'u=1'");
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_say(&h, "PRIORITY_UPDATE - 0 u9 'u=1'");
    assert_true(test_h2_got(&h, "GOAWAY 1 PROTOCOL_ERROR"));
    test_h2_deinit(&h);
}

static void test_header_limits(void **state)
{
    struct test_h2 h;
    char many[4096] = "HEADERS eh 3 GET";

    (void)state;
    begin(&h);
    /* A bomb: an entry of 4,000 octets, named nine times. */
    test_h2_say(&h, "HEADERS eh 1 GET x40 x01 'x' x7fa11e *4000 "
                    "xbebebebebebebebebe");
    assert_true(test_h2_got(&h, "RST_STREAM 1") ||
                test_h2_got(&h, "HEADERS 1 :status=431"));
    for (int i = 0; i < 125; i++)
        strcat(many, " {a: b}");
    test_h2_say(&h, many); /* 129 fields with the pseudo-fields */
    assert_true(test_h2_got(&h, "HEADERS 3 :status=431"));
    test_h2_say(&h, "HEADERS eh 5 GET"); /* the tables are in step */
    assert_true(test_h2_got(&h, "DATA 5 end 'hello'"));
    test_h2_deinit(&h);
}

static size_t arenas_of(const struct test_h2 *h)
{
    size_t sum = 0;

    for (unsigned i = 0; i < TEST_DRIVER_EXCHANGES; i++) {
        if (h->d.tasks[i].ex)
            sum += h->d.tasks[i].ex->arena.allocated;
    }
    return sum;
}

/* A request with a field of 3,800 octets that goes into the table, as xbe. */
static void say_large(struct test_h2 *h, const char *what)
{
    char value[3801];

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    test_h2_sayf(h, "%s x40 x01 'x' x7fd91c '%s'", what, value);
}

/* A field of 3,800 octets is sent once and named eight times by each request.
 * What they hold together has a limit; who stays below it is served again. */
static void test_header_memory(void **state)
{
    struct test_h2 h;
    unsigned id = 3;

    (void)state;
    begin(&h);
    say_large(&h, "HEADERS eh 1 GET/hold");
    assert_int_equal(h.d.requests, 1);
    for (; id < 120 && !test_h2_got(&h, "RST_STREAM"); id += 2)
        test_h2_sayf(&h, "HEADERS eh %u GET/hold xbebebebebebebebe", id);
    assert_true(test_h2_got(&h, "RST_STREAM") &&
                strstr(h.log, " REFUSED_STREAM"));
    assert_in_range(arenas_of(&h), 512 << 10, 600 << 10);
    test_h2_sayf(&h,
                 "RST_STREAM - 1 u8\nRST_STREAM - 3 u8\n"
                 "RST_STREAM - 5 u8\nRST_STREAM - 7 u8\n-\n"
                 "HEADERS eh %u GET xbe",
                 id);
    assert_true(test_h2_got(&h, "DATA"));
    test_h2_deinit(&h);
}

/* What waits of responses, in blocks as they are taken from the system. */
static size_t taken_of(const struct lh_pool *pool)
{
    return pool->out * pool->block_bytes;
}

static size_t blocks_of(const struct test_h2 *h)
{
    const struct lh_buf_pools *pools = &h->t.ctx.bufs;

    return taken_of(&pools->tiny) + taken_of(&pools->small) +
           taken_of(&pools->large);
}

/* Header sections and responses that wait are bounded together, whichever comes
 * first: `pieces` says after how many requests with long header sections those
 * come whose handlers write until they have to wait. */
static void hold_much(unsigned pieces)
{
    struct test_h2 h;
    unsigned id = 3;

    begin(&h);
    test_h2_say(&h, "SETTINGS - 0 x0004 u0");
    say_large(&h, "HEADERS eh 1 GET/hold");
    for (; id < 1 + 2 * pieces; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u GET/hold xbebebebebebebebe", id);
    for (; id < 1 + 2 * pieces + 70; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u GET/pieces", id);
    for (; id < 120; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u GET/hold xbebebebebebebebe", id);
    assert_in_range(arenas_of(&h) + blocks_of(&h), 400 << 10, 620 << 10);
    test_h2_deinit(&h);
}

static void test_memory_together(void **state)
{
    (void)state;
    hold_much(0);
    hold_much(5);
    hold_much(24);
}

/* All that the requests of the connection hold. */
static size_t held_by(const struct test_h2 *h)
{
    const struct lh_context *ctx = &h->t.ctx;
    const struct lh_h2 *c = h->d.c;

    return taken_of(&ctx->exchanges) + taken_of(&ctx->arenas.small) +
           taken_of(&ctx->arenas.large) + taken_of(&c->streams) + blocks_of(h);
}

/* The smallest requests, whose fields are all in the tables, and whose answers
 * wait: each octet holds less than a hundred. */
static void hold_small(const char *path, unsigned fields)
{
    struct test_h2 h;
    const size_t sent = 9 + 4 + fields;
    size_t before;

    begin(&h);
    test_h2_say(&h, "SETTINGS - 0 x0004 u0");
    test_h2_sayf(&h, "HEADERS eh 1 x8286 x4109 'localhost' x44 x05 '%s'", path);
    before = held_by(&h);
    for (unsigned id = 3; id < 121; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u x8286bfbe%.*s", id, (int)fields * 2,
                     "90909090909090909090");
    assert_false(test_h2_got(&h, "RST_STREAM"));
    assert_in_range(held_by(&h) - before, 0, 100 * 59 * sent);
    test_h2_deinit(&h);
}

static void test_memory_for_each_octet(void **state)
{
    (void)state;
    hold_small("/hold", 0);
    hold_small("/none", 0);
    hold_small("/some", 0);
    hold_small("/hold", 1);
    hold_small("/none", 2);
    hold_small("/hold", 3);
}

/* Sixty requests of 13 octets whose handlers wait: as many run as were paid
 * for, and the end of one of them makes room for the next, as further octets
 * do. */
static void test_handlers_for_each_octet(void **state)
{
    struct test_h2 h;
    unsigned id, ran;

    (void)state;
    begin(&h);
    test_h2_say(&h, "HEADERS eh 1 x8286 x4109 'localhost' x44 x05 '/hold'");
    for (id = 3; id < 121; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u x8286bfbe", id);
    ran = h.d.requests;
    assert_in_range(ran, LH_H2_HANDLERS_LEAST, 20);
    assert_int_equal(((struct lh_h2 *)h.d.c)->waiting, 60 - ran);
    test_h2_say(&h, "RST_STREAM - 3 u8\n-\nRST_STREAM - 119 u8");
    assert_in_range(h.d.requests, ran + 1, ran + 4);
    say_large(&h, "HEADERS eh 121 GET");
    assert_true(test_h2_got(&h, "DATA 121 end"));
    assert_int_equal(h.d.requests, 60); /* 119 was never begun */
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_deinit(&h);
}

/* Trailers are no way around it, ... */
static void test_trailer_memory(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    h.t.limits.h2_header_bytes = 10000;
    test_h2_hello(&h);
    test_h2_say(&h, "HEADERS h 1 POST/hold {a: b}\nHEADERS h 3 POST/hold");
    say_large(&h, "HEADERS eh 1");
    assert_false(test_h2_got(&h, "RST_STREAM"));
    test_h2_say(&h, "HEADERS h 5 POST/hold xbebe");
    test_h2_say(&h, "HEADERS eh 3 xbe");
    assert_true(test_h2_got(&h, "RST_STREAM 3 ENHANCE_YOUR_CALM"));
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_deinit(&h);
}

/* ... and what is not kept does not count. */
static void test_header_memory_is_given_back(void **state)
{
    struct test_h2 h;
    char value[3000];

    (void)state;
    test_h2_init(&h, handler, 0);
    h.t.limits.h2_header_bytes = 10000;
    test_h2_hello(&h);
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    for (unsigned id = 1; id < 200; id += 6) {
        test_h2_sayf(&h, "HEADERS eh %u GET {a: %s}", id, value);
        test_h2_sayf(&h, "HEADERS eh %u GET {A: b} {a: %s}", id + 2, value);
        test_h2_sayf(&h,
                     "HEADERS eh %u GET/hold {a: %s}\n-\n"
                     "RST_STREAM - %u u8",
                     id + 4, value, id + 4);
    }
    assert_int_equal(test_h2_count(&h, "DATA"), 34);
    assert_null(strstr(h.log, "REFUSED"));
    test_h2_deinit(&h);
}

static void test_long_target(void **state)
{
    struct test_h2 h;
    char path[9000];

    (void)state;
    begin(&h);
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    test_h2_sayf(&h, "HEADERS eh 1 GET/%s", path);
    assert_true(test_h2_got(&h, "HEADERS 1 :status=414"));
    test_h2_deinit(&h);
}

static void test_trailer_limit(void **state)
{
    struct test_h2 h;
    char value[8200];

    (void)state;
    begin(&h);
    memset(value, 'x', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    test_h2_sayf(&h, "HEADERS h 1 POST/hold\nHEADERS eh 1 {a: %s}", value);
    assert_true(test_h2_got(&h, "RST_STREAM 1 PROTOCOL_ERROR"));
    test_h2_deinit(&h);
}

static void test_body_limit(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    h.t.limits.body_bytes = 10;
    test_h2_say(&h, "HEADERS h 1 POST {content-length: 11}");
    assert_true(test_h2_got(&h, "HEADERS 1 :status=413"));
    assert_int_equal(h.d.requests, 0);
    test_h2_say(&h, "HEADERS h 3 POST/read\nDATA - 3 '12345678901'");
    assert_true(test_h2_got(&h, "HEADERS 3 :status=408"));
    test_h2_deinit(&h);
}

static void test_settings_entries(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "SETTINGS - 0 *192");
    assert_true(test_h2_got(&h, "SETTINGS ack"));
    test_h2_say(&h, "SETTINGS - 0 *198");
    assert_true(test_h2_got(&h, "GOAWAY 0 ENHANCE_YOUR_CALM"));
    test_h2_deinit(&h);
}

/* Replies that a client does not take: reading stops. */
static void test_queued_replies(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    h.t.limits.h2_queued_reply_bytes = 4096;
    test_h2_hello(&h);
    h.d.holds = true;
    for (int i = 0; i < 900; i++)
        test_h2_say(&h, "PING - 0 *8");
    assert_true(h.d.in_n > 600 * 17);
    assert_false(test_driver_status(&h.d) & LH_PROTO_WANTS_INPUT);
    h.d.holds = false;
    test_h2_run(&h);
    assert_int_equal(test_h2_count(&h, "PING ack"), 900);
    test_h2_deinit(&h);
}

static void test_connection_requests(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    h.t.limits.connection_requests = 2;
    test_h2_say(&h, "HEADERS eh 1 GET");
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_say(&h, "HEADERS eh 3 GET");
    assert_true(test_h2_got(&h, "GOAWAY 2147483647 NO_ERROR"));
    assert_true(test_h2_got(&h, "DATA 3 end"));
    test_h2_deinit(&h);
}

/* --- time ----------------------------------------------------------------- */

static void test_slow_preface(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    test_h2_octets(&h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
    test_h2_advance(&h, 9999);
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "GOAWAY 0 ENHANCE_YOUR_CALM"));
    test_h2_deinit(&h);
}

static void test_slow_header_block(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "HEADERS e 1 GET");
    test_h2_advance(&h, 6000);
    test_h2_say(&h, "CONTINUATION - 1 {a: b}"); /* buys no time */
    test_h2_advance(&h, 4000);
    assert_true(test_h2_got(&h, "GOAWAY 1 ENHANCE_YOUR_CALM"));
    test_h2_deinit(&h);
}

static void test_idle(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_advance(&h, 50000);
    test_h2_say(&h, "HEADERS eh 1 GET/hold");
    test_h2_advance(&h, 100000);
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_say(&h, "RST_STREAM - 1 u8");
    assert_true(test_driver_status(&h.d) & LH_PROTO_IDLE);
    test_h2_advance(&h, 59999);
    test_h2_say(&h, "PING - 0 *8"); /* is no request */
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "GOAWAY 1 NO_ERROR"));
    assert_true(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_h2_deinit(&h);
}

/* Windows kept shut (CVE-2019-9517, -9511): the stream's, the connection's.  An
 * octet now and then is not enough, a kilobyte is. */
static void test_shut_windows(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "SETTINGS - 0 x0004 u0\nHEADERS eh 1 GET/long\n"
                    "HEADERS eh 3 GET/long\nHEADERS eh 5 GET/long");
    test_h2_advance(&h, 20000);
    test_h2_say(&h, "WINDOW_UPDATE - 3 u1\nWINDOW_UPDATE - 5 u1024");
    test_h2_advance(&h, 9999);
    assert_false(test_h2_got(&h, "RST_STREAM"));
    test_h2_say(&h, "WINDOW_UPDATE - 3 u1022");
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "RST_STREAM 1 CANCEL"));
    assert_true(test_h2_got(&h, "RST_STREAM 3 CANCEL"));
    assert_non_null(strstr(h.t.last_log, "stayed shut"));
    assert_false(test_h2_got(&h, "RST_STREAM 5"));
    test_h2_advance(&h, 19999);
    assert_false(test_h2_got(&h, "RST_STREAM 5"));
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "RST_STREAM 5 CANCEL"));
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    test_h2_deinit(&h);
}

static void test_shut_connection(void **state)
{
    static const char big[70000];
    struct test_h2 h;
    struct lh_exchange *ex;
    struct lh_fields none = {.n = 0};

    (void)state;
    begin(&h);
    test_h2_say(&h, "SETTINGS - 0 x0004 u100000\nHEADERS eh 1 GET/hold");
    ex = h.d.tasks[0].ex;
    assert_int_equal(lh_exchange_start(ex, 200, &none), 0);
    assert_int_equal(lh_exchange_lend(ex, big, sizeof(big)), 0);
    test_h2_run(&h);
    assert_int_equal(h.data_bytes, 65535);
    test_h2_advance(&h, 29999);
    assert_false(test_h2_got(&h, "RST"));
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "RST_STREAM 1 CANCEL"));
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    test_h2_deinit(&h);
}

static size_t untaken_bytes;

static size_t untaken(struct lh_protocol_host *host)
{
    (void)host;
    return untaken_bytes;
}

/* A client on a slow link does not know yet what it should open the window for:
 * it is waited for while it takes a kilobyte of that in each period. */
static void check_slow_link(const char *settings)
{
    static const char big[70000];
    static const struct {
        size_t untaken;
        bool goes_on;
    } looks[] = {{60000, true}, {40000, true}, {39000, false}};
    struct lh_fields none = {.n = 0};

    for (unsigned gone = 0; gone < 2; gone++) {
        struct test_h2 h;
        begin(&h);
        h.d.host.untaken = untaken;
        test_h2_say(&h, settings);
        struct lh_exchange *ex = h.d.tasks[0].ex;
        assert_int_equal(lh_exchange_start(ex, 200, &none), 0);
        assert_int_equal(lh_exchange_lend(ex, big, sizeof(big)), 0);
        test_h2_run(&h);
        assert_int_equal(h.data_bytes, 65535);
        for (unsigned i = 0; i < 3; i++) {
            untaken_bytes = gone && i ? 0 : looks[i].untaken;
            test_h2_advance(&h, 29999);
            assert_false(test_h2_got(&h, "RST"));
            test_h2_advance(&h, 1);
            if (gone ? i : !looks[i].goes_on)
                break;
            assert_false(test_h2_got(&h, "RST"));
        }
        assert_true(test_h2_got(&h, "RST_STREAM 1 CANCEL"));
        test_h2_deinit(&h);
    }
}

static void test_slow_link(void **state)
{
    (void)state;
    check_slow_link("WINDOW_UPDATE - 0 u100000\nHEADERS eh 1 GET/hold");
    check_slow_link("SETTINGS - 0 x0004 u100000\nHEADERS eh 1 GET/hold");
}

/* Each of the streams that wait for the connection's window needs some of it.
 */
static void test_connection_by_octets(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "SETTINGS - 0 x0004 u100000");
    for (unsigned id = 1; id < 16; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u GET/long", id);
    assert_int_equal(h.data_bytes, 65535); /* one is half sent, one is not */
    test_h2_advance(&h, 10000);
    test_h2_say(&h, "WINDOW_UPDATE - 0 u2048");
    test_h2_advance(&h, 20000); /* enough for two */
    assert_false(test_h2_got(&h, "RST_STREAM"));
    for (int i = 0; i < 3; i++) {
        test_h2_advance(&h, 7500);
        test_h2_say(&h, "WINDOW_UPDATE - 0 u1");
    }
    assert_false(test_h2_got(&h, "RST_STREAM"));
    test_h2_advance(&h, 7500);
    assert_int_equal(test_h2_count(&h, "RST_STREAM"), 2);
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    test_h2_deinit(&h);
}

/* While the handler waits for its body. */
static void test_slow_body(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "HEADERS h 1 POST/read\nHEADERS h 3 POST/read\n"
                    "HEADERS h 5 POST/hold");
    for (int i = 0; i < 6; i++) {
        test_h2_advance(&h, 4999);
        test_h2_say(&h, "DATA - 1 *100\nDATA - 3 *3000"); /* 20, 600 a second */
    }
    assert_false(test_h2_got(&h, "HEADERS"));
    test_h2_advance(&h, 10);
    assert_true(test_h2_got(&h, "HEADERS 1 :status=408"));
    assert_false(test_h2_got(&h, "HEADERS 3"));
    assert_false(test_h2_got(&h, "HEADERS 5")); /* it does not wait */
    test_h2_advance(&h, 30000);
    assert_true(test_h2_got(&h, "HEADERS 3 :status=408"));
    test_h2_deinit(&h);
}

/* --- the end -------------------------------------------------------------- */

static void test_drain(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "HEADERS eh 1 GET/hold");
    h.d.protocol->drain(h.d.c);
    test_h2_run(&h);
    assert_string_equal(h.log, "GOAWAY 2147483647 NO_ERROR\nPING\n");
    test_h2_say(&h, "HEADERS eh 3 GET\n-\nPING a 0 *8"); /* was under way */
    assert_true(test_h2_got(&h, "DATA 3 end"));
    assert_true(test_h2_got(&h, "GOAWAY 3 NO_ERROR"));
    test_h2_say(&h, "HEADERS eh 5 GET");
    assert_true(test_h2_got(&h, "RST_STREAM 5 REFUSED_STREAM"));
    assert_false(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_answer(h.d.tasks[0].ex, 200, "at last");
    test_h2_run(&h);
    assert_true(test_h2_got(&h, "DATA 1 end 'at last'"));
    assert_true(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_h2_deinit(&h);
}

/* A client that does not answer the PING. */
static void test_drain_alone(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "HEADERS eh 1 GET");
    assert_true(test_h2_got(&h, "DATA 1 end"));
    h.d.protocol->drain(h.d.c);
    h.d.protocol->drain(h.d.c);
    test_h2_run(&h);
    assert_true(test_h2_got(&h, "GOAWAY 2147483647 NO_ERROR\nPING\n"));
    test_h2_advance(&h, LH_PROTO_DRAIN_MS - 1);
    assert_false(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_h2_advance(&h, 1);
    assert_true(test_h2_got(&h, "GOAWAY 1 NO_ERROR\n"));
    assert_true(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_h2_deinit(&h);
}

/* One that has just connected would take a GOAWAY for a refusal. */
static void test_drain_before_the_first_request(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    h.d.protocol->drain(h.d.c);
    h.d.protocol->drain(h.d.c);
    test_h2_run(&h);
    assert_string_equal(h.log, "");
    test_h2_advance(&h, LH_PROTO_DRAIN_MS - 1);
    assert_string_equal(h.log, "");
    test_h2_say(&h, "HEADERS eh 1 GET");
    assert_true(test_h2_got(&h, "GOAWAY 2147483647 NO_ERROR\nPING\n"));
    assert_true(test_h2_got(&h, "DATA 1 end"));
    test_h2_say(&h, "PING a 0 *8");
    assert_true(test_h2_got(&h, "GOAWAY 1 NO_ERROR\n"));
    assert_true(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_h2_deinit(&h);
    begin(&h);
    h.d.protocol->drain(h.d.c);
    test_h2_advance(&h, LH_PROTO_DRAIN_MS);
    assert_string_equal(h.log, "GOAWAY 0 NO_ERROR\n");
    assert_true(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_h2_deinit(&h);
}

/* The client has gone: so has the reason for every handler's work. */
static void test_eof(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h);
    test_h2_say(&h, "HEADERS eh 1 GET/hold\nHEADERS h 3 POST/read\n"
                    "HEADERS e 5 GET");
    test_driver_eof(&h.d);
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    assert_true(test_driver_status(&h.d) & LH_PROTO_CLOSE);
    test_h2_deinit(&h);
}

/* --- memory --------------------------------------------------------------- */

/* A conversation with a bit of everything; true: it went as it should. */
static bool converse(struct test_h2 *h)
{
    static const char *const lines[] = {
        "HEADERS eh 1 GET {cookie: a=b}",
        "HEADERS h 3 POST/read {expect: 100-continue}",
        "DATA - 3 *5000",
        "HEADERS eh 3 {x-trailer: 1}",
        "HEADERS eh 5 GET/hold\nRST_STREAM - 5 u8",
        "SETTINGS - 0 x0001 u0 x0004 u3",
        "PRIORITY_UPDATE - 0 u7 'u=1'\nHEADERS eh 7 GET {a: b}",
        "PING - 0 *8",
        "WINDOW_UPDATE - 7 u100",
    };

    test_h2_octets(h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
    test_h2_say(h, "SETTINGS - 0\nSETTINGS a 0");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        test_h2_say(h, lines[i]);
    return test_h2_got(h, "DATA 1 end 'hello'") &&
           test_h2_got(h, "DATA 3 end 'read'") &&
           test_h2_got(h, "DATA 7 end 'lo'");
}

/* Whichever allocation fails, it is one stream's or the connection's end. */
static void test_no_memory(void **state)
{
    bool whole = false;

    (void)state;
    for (unsigned long n = 1; !whole; n++) {
        struct test_h2 h;
        assert_true(n < 1000);
        test_h2_init(&h, handler, 0);
        test_heap_install();
        test_heap_fail_at(n);
        bool good = converse(&h);
        whole = good && test_heap_count() < n;
        test_heap_uninstall();
        test_h2_deinit(&h);
    }
}

static void test_no_memory_at_first(void **state)
{
    struct test_context t;
    struct lh_protocol_host host = {0};
    void *c = NULL;

    (void)state;
    test_context_init(&t);
    host.ctx = &t.ctx;
    host.peer = t.peer;
    test_heap_install();
    for (unsigned long n = 1; !c; n++) {
        test_heap_fail_at(n);
        c = lh_h2_new(&host);
        assert_true(n < 10);
    }
    lh_h2_protocol.gone(c);
    lh_h2_protocol.free(c);
    test_heap_uninstall();
    test_context_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floods),
        cmocka_unit_test(test_budget_refills),
        cmocka_unit_test(test_answers_earn_budget),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_prioritised_streams),
        cmocka_unit_test(test_prioritised_at_first),
        cmocka_unit_test(test_prioritised_as_told),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_header_memory),
        cmocka_unit_test(test_memory_together),
        cmocka_unit_test(test_memory_for_each_octet),
        cmocka_unit_test(test_handlers_for_each_octet),
        cmocka_unit_test(test_trailer_memory),
        cmocka_unit_test(test_header_memory_is_given_back),
        cmocka_unit_test(test_long_target),
        cmocka_unit_test(test_trailer_limit),
        cmocka_unit_test(test_body_limit),
        cmocka_unit_test(test_settings_entries),
        cmocka_unit_test(test_queued_replies),
        cmocka_unit_test(test_connection_requests),
        cmocka_unit_test(test_slow_preface),
        cmocka_unit_test(test_slow_header_block),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_shut_windows),
        cmocka_unit_test(test_shut_connection),
        cmocka_unit_test(test_slow_link),
        cmocka_unit_test(test_connection_by_octets),
        cmocka_unit_test(test_slow_body),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_alone),
        cmocka_unit_test(test_drain_before_the_first_request),
        cmocka_unit_test(test_eof),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_memory_at_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
