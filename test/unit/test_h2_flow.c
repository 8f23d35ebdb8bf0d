/*
 * Flow control of HTTP/2, both ways (RFC 9113, 5.2 and 6.9): the client's
 * windows are never exceeded, ours follow what the handlers have read.
 */
#include "base/num.h"
#include "lib/h2client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the handlers of one test are to do. */
static size_t answer_bytes;
static bool lends, reads, holds;
static uint8_t pattern[1 << 20];

static void write_some(struct test_task *task, struct lh_exchange *ex)
{
    size_t done = (size_t)(uintptr_t)task->data;
    struct lh_fields none = {.n = 0};

    if (ex->response.state == LH_RESPONSE_NONE)
        assert_int_equal(lh_exchange_start(ex, 200, &none), 0);
    while (done < answer_bytes && !ex->response.lent_n) {
        size_t n = lends ? answer_bytes : lh_exchange_room(ex);
        if (n > answer_bytes - done)
            n = answer_bytes - done;
        if (n == 0)
            break;
        assert_int_equal(lends ? lh_exchange_lend(ex, pattern + done, n)
                               : lh_exchange_write(ex, pattern + done, n),
                         0);
        done += n;
    }
    task->data = (void *)(uintptr_t)done;
    if (done < answer_bytes || ex->response.lent_n)
        return;
    lh_exchange_end(ex);
    test_done(ex);
}

/* Of a body all is read at once, or nothing. */
static void handler(struct test_driver *d, struct lh_exchange *ex)
{
    struct test_task *task = test_task_of(ex);
    static uint8_t sink[1 << 20];

    (void)d;
    if (ex->gone) {
        test_done(ex);
        return;
    }
    if (holds)
        return;
    if (reads) {
        while (lh_exchange_read(ex, sink, sizeof(sink)))
            ;
    }
    lh_exchange_want_body(ex, reads && ex->body_state == LH_BODY_OPEN);
    if (ex->body_state != LH_BODY_OPEN)
        write_some(task, ex);
}

static void begin(struct test_h2 *h, size_t bytes, bool lend, bool read)
{
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 7 + i / 251);
    answer_bytes = bytes;
    lends = lend;
    reads = read;
    holds = false;
    test_h2_init(h, handler, 0);
    test_h2_hello(h);
}

/* --- sending -------------------------------------------------------------- */

static void test_initial_window_of_one(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 5, false, false);
    memcpy(pattern, "hello", 5);
    test_h2_say(&h, "SETTINGS - 0 x0004 u1\nHEADERS eh 1 GET");
    assert_true(test_h2_got(&h, "DATA 1 'h'\n"));
    assert_int_equal(h.data_bytes, 1);
    for (int i = 0; i < 4; i++)
        test_h2_say(&h, "WINDOW_UPDATE - 1 u1");
    assert_string_equal(h.body, "hello");
    assert_true(test_h2_got(&h, "DATA 1 end 'o'\n"));
    test_h2_deinit(&h);
}

/* 6.9.2: a setting in mid-stream moves the window, below zero as well. */
static void test_settings_in_mid_stream(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 100000, false, false);
    test_h2_say(&h, "SETTINGS - 0 x0004 u10\nHEADERS eh 1 GET");
    assert_int_equal(h.data_bytes, 10);
    test_h2_say(&h, "SETTINGS - 0 x0004 u4"); /* now -6 */
    test_h2_say(&h, "WINDOW_UPDATE - 1 u6");  /* 0 */
    assert_int_equal(h.data_bytes, 10);
    test_h2_say(&h, "WINDOW_UPDATE - 1 u1");
    assert_int_equal(h.data_bytes, 11);
    test_h2_say(&h, "SETTINGS - 0 x0004 u100"); /* 96 more */
    assert_int_equal(h.data_bytes, 107);
    test_h2_say(&h, "SETTINGS - 0 x0004 u0\nSETTINGS - 0 x0004 u101");
    assert_int_equal(h.data_bytes, 108);
    test_h2_deinit(&h);
}

static void test_connection_window(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 100000, false, false);
    test_h2_say(&h, "SETTINGS - 0 x0004 u1000000\n"
                    "HEADERS eh 1 GET\nHEADERS eh 3 GET");
    assert_int_equal(h.data_bytes, 65535);
    assert_false(test_driver_status(&h.d) & LH_PROTO_HAS_OUTPUT);
    test_h2_say(&h, "HEADERS eh 5 HEAD"); /* needs no window */
    assert_true(test_h2_got(&h, "HEADERS 5 end"));
    test_h2_say(&h, "WINDOW_UPDATE - 0 u1000000");
    assert_int_equal(h.data_bytes, 200000);
    assert_true(test_h2_got(&h, "DATA 1 end"));
    assert_true(test_h2_got(&h, "DATA 3 end"));
    test_h2_deinit(&h);
}

/* Lent bytes go the same way, in frames of every size. */
static void test_octets_are_right(void **state)
{
    static const size_t rooms[] = {1, 10, 1032, 1033, 4096, 16384, 65536};
    struct test_h2 h;

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(rooms) / sizeof(rooms[0]); i++) {
        begin(&h, 50000, i % 2, false);
        h.d.pull_room = rooms[i / 2];
        test_h2_say(&h, "HEADERS eh 1 GET");
        assert_int_equal(h.data_bytes, 50000);
        assert_memory_equal(h.body, pattern, 50000);
        assert_int_equal(test_h2_count(&h, "DATA 1 end"), 1);
        test_h2_deinit(&h);
    }
}

/* A record's room is used to its end: 16,375 octets and a head. */
static void test_frames_fill_records(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 60000, true, false);
    h.d.pull_room = 16384;
    test_h2_say(&h, "HEADERS eh 1 GET");
    assert_true(test_h2_count(&h, "DATA 1 #16375\n") >= 2);
    assert_true(test_h2_count(&h, "DATA 1") <= 5);
    test_h2_deinit(&h);
}

/* --- what is drawn -------------------------------------------------------- */

#define DRAWN_BYTES 200000

/* One for each request; every fourth time it is dry. */
struct pattern_source {
    struct lh_body_source source;
    size_t at;
    unsigned asked;
};

static struct pattern_source sources[2];

static size_t draw_pattern(struct lh_body_source *source, uint8_t *out,
                           size_t n)
{
    struct pattern_source *s = LH_OF(source, struct pattern_source, source);

    if (++s->asked % 4 == 0)
        return 0;
    n = lh_min(n, 5000);
    memcpy(out, pattern + s->at, n);
    s->at += n;
    return n;
}

/* Where its source is dry it writes an octet itself. */
static void drawing_handler(struct test_driver *d, struct lh_exchange *ex)
{
    struct pattern_source *s = &sources[ex->request.path.p[1] - '0'];
    struct lh_fields fields;

    (void)d;
    if (ex->response.state == LH_RESPONSE_NONE) {
        fields = test_fields(ex, "content-length", "200000", (char *)NULL);
        *s = (struct pattern_source){.source.draw = draw_pattern};
        assert_int_equal(lh_exchange_start(ex, 200, &fields), 0);
    }
    if (ex->response.source || ex->response.state != LH_RESPONSE_STARTED)
        return;
    if (s->at < DRAWN_BYTES)
        assert_int_equal(lh_exchange_write(ex, pattern + s->at++, 1), 0);
    if (s->at < DRAWN_BYTES) {
        assert_int_equal(
            lh_exchange_draw_from(ex, &s->source, DRAWN_BYTES - s->at), 0);
        return;
    }
    lh_exchange_end(ex);
    test_done(ex);
}

/* In records of every size.  Who is dry keeps nobody from being served. */
static void test_drawn(void **state)
{
    static const size_t rooms[] = {10, 1033, 16384, 65536};
    struct test_h2 h;

    (void)state;
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        begin(&h, 0, false, false);
        h.d.handler = drawing_handler;
        h.d.pull_room = rooms[i];
        test_h2_say(&h, "SETTINGS - 0 x0004 u1000000\n"
                        "WINDOW_UPDATE - 0 u1000000\n"
                        "HEADERS eh 1 GET/0\nHEADERS eh 3 GET/1");
        assert_int_equal(h.data_bytes, 2 * DRAWN_BYTES);
        assert_int_equal(test_h2_count(&h, "DATA 1 end"), 1);
        assert_int_equal(test_h2_count(&h, "DATA 3 end"), 1);
        assert_false(test_h2_got(&h, "RST_STREAM"));
        test_h2_deinit(&h);
    }
}

/* No octet is drawn that the client's window does not take. */
static void test_drawn_as_windows_allow(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 0, false, false);
    h.d.handler = drawing_handler;
    test_h2_say(&h, "SETTINGS - 0 x0004 u10\nHEADERS eh 1 GET/0");
    assert_int_equal(h.data_bytes, 10);
    assert_int_equal(sources[0].at, 10);
    test_h2_say(&h, "WINDOW_UPDATE - 1 u1");
    assert_int_equal(sources[0].at, 11);
    assert_memory_equal(h.body, pattern, 11);
    test_h2_say(&h, "RST_STREAM - 1 u8");
    assert_int_equal(sources[0].asked, 2);
    test_h2_deinit(&h);
}

/* --- what a client says as it takes a download -----------------------------
 */

/* Takes a megabyte in frames of 16,384 octets.  For each of them the client
 * gives both windows back by pieces of 1,024 and says `more`.  The budget,
 * which only time would refill, is used up before. */
static void take_megabyte(const char *more)
{
    static const char both[] = "WINDOW_UPDATE - 0 u1024\n"
                               "WINDOW_UPDATE - 1 u1024\n";
    char lines[2048];
    struct test_h2 h;
    size_t n = 0;

    begin(&h, sizeof(pattern), true, false);
    h.d.pull_room = LH_H2_HEAD_BYTES + LH_H2_FRAME_BYTES;
    for (int i = 0; i < 1000; i++)
        test_h2_say(&h, "PING - 0 *8");
    test_h2_forget(&h);
    for (int piece = 0; piece < 16; piece++, n += sizeof(both) - 1)
        memcpy(lines + n, both, sizeof(both));
    snprintf(lines + n, sizeof(lines) - n, "%s", more);
    test_h2_say(&h, "HEADERS eh 1 GET");
    for (int i = 0; i < 64; i++)
        test_h2_say(&h, lines);
    if (h.data_bytes != sizeof(pattern))
        fail_msg("cut after %u octets with %s", (unsigned)h.data_bytes, more);
    assert_false(test_h2_got(&h, "GOAWAY"));
    assert_memory_equal(h.body, pattern, sizeof(pattern));
    test_h2_deinit(&h);
}

static void test_download_in_pieces(void **state)
{
    (void)state;
    take_megabyte("");
    take_megabyte("PING - 0 *8"); /* measures the link */
    take_megabyte("PING - 0 *8\nSETTINGS - 0 x0004 u2000000\n"
                  "PRIORITY_UPDATE - 0 u1 'u=1'\nPRIORITY - 1 u0 x01\nT99 - 0");
}

/* Who cancels what it has got some of has paid for it; ... */
static void test_downloads_cancelled(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 100000, true, false);
    test_h2_say(&h, "SETTINGS - 0 x0004 u1000");
    for (unsigned id = 1; id < 6001; id += 2) {
        test_h2_forget(&h);
        test_h2_sayf(&h,
                     "HEADERS eh %u GET\n-\nRST_STREAM - %u u8\n"
                     "WINDOW_UPDATE - 0 u1000",
                     id, id);
        if (test_h2_got(&h, "GOAWAY") || h.data_bytes != 1000)
            fail_msg("cut at stream %u", id);
    }
    test_h2_deinit(&h);
}

/* ... and what was got before does not buy a flood of any length. */
static void test_flood_after_download(void **state)
{
    struct test_h2 h;
    unsigned n = 0;

    (void)state;
    begin(&h, 100000, true, false);
    test_h2_say(&h, "SETTINGS - 0 x0004 u100000\nWINDOW_UPDATE - 0 u100000\n"
                    "HEADERS eh 1 GET");
    assert_true(test_h2_got(&h, "DATA 1 end"));
    while (n < 4000 && !h.d.stopped) {
        test_h2_say(&h, "PING - 0 *8");
        n++;
    }
    assert_in_range(n, 1000 + 100000 / 128, 1000 + 100000 / 128 + 50);
    assert_true(test_h2_got(&h, "GOAWAY 1 ENHANCE_YOUR_CALM"));
    test_h2_deinit(&h);
}

/* --- scheduling ----------------------------------------------------------- */

static size_t first_of(const struct test_h2 *h, const char *line)
{
    const char *at = strstr(h->log, line);

    assert_non_null(at);
    return (size_t)(at - h->log);
}

static void test_urgent_first(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 20000, false, false);
    test_h2_say(&h, "HEADERS eh 1 GET {priority: u=5}\n"
                    "HEADERS eh 3 GET {priority: u=1}\n"
                    "HEADERS eh 5 GET");
    assert_true(first_of(&h, "DATA 3 end") < first_of(&h, "DATA 5"));
    assert_true(first_of(&h, "DATA 5 end") < first_of(&h, "DATA 1"));
    test_h2_deinit(&h);
}

static void test_priority_updates(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 20000, false, false);
    h.d.holds = true;
    test_h2_say(&h, "PRIORITY_UPDATE - 0 u5 'u=6'\n" /* before its request */
                    "HEADERS eh 1 GET\nHEADERS eh 3 GET\nHEADERS eh 5 GET\n"
                    "PRIORITY_UPDATE - 0 u3 'u=0'");
    h.d.holds = false;
    test_h2_run(&h);
    test_h2_say(&h, "WINDOW_UPDATE - 0 u100000");
    assert_true(first_of(&h, "DATA 3 end") < first_of(&h, "DATA 1"));
    assert_true(first_of(&h, "DATA 1 end") < first_of(&h, "DATA 5"));
    test_h2_deinit(&h);
}

static void test_incremental_alternate(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 32768, true, false);
    h.d.holds = true;
    test_h2_say(&h, "HEADERS eh 1 GET {priority: i}\n"
                    "HEADERS eh 3 GET {priority: i}");
    h.d.holds = false;
    test_h2_say(&h, "WINDOW_UPDATE - 0 u100000");
    assert_true(first_of(&h, "DATA 3") < first_of(&h, "DATA 1 end"));
    test_h2_deinit(&h);
}

/* Streams that their client holds back are not in another's way. */
static void test_stalled_streams(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 1000, false, false);
    test_h2_say(&h, "SETTINGS - 0 x0004 u0\n"
                    "HEADERS eh 1 GET\nHEADERS eh 3 GET\nHEADERS eh 5 GET\n"
                    "HEADERS eh 7 GET\nHEADERS eh 9 GET\nHEADERS eh 11 GET\n"
                    "WINDOW_UPDATE - 11 u1000");
    assert_true(test_h2_got(&h, "DATA 11 end"));
    assert_int_equal(h.data_bytes, 1000);
    test_h2_deinit(&h);
}

/* --- receiving ------------------------------------------------------------ */

static unsigned update_of(const struct test_h2 *h, unsigned stream)
{
    char line[64];
    unsigned sum = 0;

    snprintf(line, sizeof(line), "WINDOW_UPDATE %u +", stream);
    for (const char *at = h->log; (at = strstr(at, line)) != NULL; at++)
        sum += (unsigned)strtoul(at + strlen(line), NULL, 10);
    return sum;
}

/* A handler that does not read holds its own client back, and no other. */
static void test_unread_body(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 5, false, false);
    test_h2_say(&h, "HEADERS h 1 POST\nHEADERS h 3 POST");
    for (int i = 0; i < 4; i++)
        test_h2_say(&h, "DATA - 1 *16384");
    assert_int_equal(update_of(&h, 1), 0);
    test_h2_say(&h, "DATA - 1 'x'"); /* past the window */
    assert_true(test_h2_got(&h, "RST_STREAM 1 FLOW_CONTROL_ERROR"));
    test_h2_say(&h, "DATA e 3 *16384");
    assert_true(test_h2_got(&h, "DATA 3 end"));
    test_h2_deinit(&h);
}

/* Sends frames of 16,384 octets on stream 1 as far as its window allows, of
 * which `window` octets are left; says how many octets that were. */
static unsigned upload(struct test_h2 *h, unsigned window)
{
    unsigned sent = 0;

    for (int i = 0; i < 100; i++) {
        unsigned left = window + update_of(h, 1) - sent,
                 n = left < 16384 ? left : 16384;
        if (n == 0)
            break;
        test_h2_sayf(h, "DATA - 1 *%u", n);
        sent += n;
    }
    return sent;
}

/* A client that had filled its window when the answer came may go on as far
 * as its body is discarded, and then learns that it need not. */
static void discards(uint64_t linger_bytes)
{
    struct test_h2 h;

    begin(&h, 5, false, false);
    h.t.limits.linger_bytes = linger_bytes;
    holds = true;
    test_h2_say(&h, "HEADERS h 1 POST");
    assert_int_equal(upload(&h, 65536), 65536);
    test_answer(h.d.tasks[0].ex, 403, "no");
    test_h2_run(&h);
    assert_true(test_h2_got(&h, "DATA 1 end 'no'"));
    assert_int_equal(upload(&h, 0), linger_bytes);
    assert_false(test_h2_got(&h, "RST"));
    test_h2_advance(&h, 200);
    assert_true(test_h2_got(&h, "RST_STREAM 1 NO_ERROR"));
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_deinit(&h);
}

static void test_discarded_bodies(void **state)
{
    (void)state;
    discards(1);
    discards(1000);
    discards(65536);
    discards(1000000);
}

static void test_windows_follow_reading(void **state)
{
    struct test_h2 h;
    struct lh_exchange *ex;
    static uint8_t sink[40000];

    (void)state;
    begin(&h, 5, false, false);
    test_h2_say(&h, "HEADERS h 1 POST");
    for (int i = 0; i < 4; i++)
        test_h2_say(&h, "DATA - 1 *16384");
    ex = h.d.tasks[0].ex;
    assert_int_equal(ex->body.n, 65536);
    lh_exchange_read(ex, sink, 30000); /* not half of it */
    test_h2_run(&h);
    assert_int_equal(update_of(&h, 1), 0);
    lh_exchange_read(ex, sink, 10000);
    test_h2_run(&h);
    assert_int_equal(update_of(&h, 1), 40000);
    test_h2_deinit(&h);
}

/* Whose handler keeps up gets more; padding counts and comes back. */
static void test_window_grows(void **state)
{
    struct test_h2 h;
    unsigned sent = 0;

    (void)state;
    begin(&h, 5, false, true);
    test_h2_say(&h, "HEADERS h 1 POST");
    for (int i = 0; i < 1000; i++) {
        test_h2_say(&h, "DATA p 1 xff *15000 *255");
        sent += 15256;
    }
    assert_false(test_h2_got(&h, "RST"));
    assert_false(test_h2_got(&h, "GOAWAY"));
    /* A megabyte is free when all was read, less what is not told yet. */
    assert_true(update_of(&h, 1) + 65536 - sent > (1 << 19));
    assert_true(update_of(&h, 1) + 65536 - sent <= (1 << 20));
    assert_true(update_of(&h, 0) + 524288 - sent > 1 << 20);
    test_h2_deinit(&h);
}

/* The connection's window is given back whatever becomes of the octets. */
static void test_dropped_octets_come_back(void **state)
{
    struct test_h2 h;
    int64_t window = 524288, most = window;
    unsigned id = 1;

    (void)state;
    begin(&h, 5, false, false);
    for (; id < 2001; id += 2) {
        test_h2_advance(&h, 20); /* the budget of resets is another test's */
        test_h2_sayf(&h,
                     "HEADERS h %u POST\nDATA - %u *16384\n"
                     "RST_STREAM - %u u8\nDATA - %u *100",
                     id, id, id, id);
        window -= 16484;
        window += update_of(&h, 0);
        assert_false(test_h2_got(&h, "GOAWAY"));
        test_h2_forget(&h);
        assert_true(window > 0 && window <= most);
    }
    assert_true(window > most / 2);
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    test_h2_deinit(&h);
}

/* Bodies that nobody reads do not hold back one whose handler waits for it: the
 * window, of 512 KiB, grows then, and not before. */
static void test_unread_bodies(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 5, false, false);
    for (unsigned id = 1; id <= 2 * 8; id += 2)
        test_h2_sayf(&h,
                     "HEADERS h %u POST\nDATA - %u *16384\nDATA - %u *16384\n"
                     "DATA - %u *16384\nDATA - %u *16383",
                     id, id, id, id, id);
    assert_int_equal(update_of(&h, 0), 0);
    test_h2_say(&h, "HEADERS h 17 POST\nDATA e 17 *7"); /* one is left */
    assert_int_equal(update_of(&h, 0), 0);
    reads = true;
    test_h2_say(&h, "HEADERS h 19 POST");
    assert_int_equal(update_of(&h, 0), 65536 + 7);
    test_h2_say(&h, "DATA - 19 *16384\n-\nDATA e 19 *16384");
    assert_true(test_h2_got(&h, "DATA 19 end"));
    test_h2_deinit(&h);
}

static void send_bodies(struct test_h2 *h)
{
    for (unsigned id = 1; id <= 2 * 8; id += 2)
        test_h2_sayf(h,
                     "HEADERS h %u POST {content-length: 65000}\n"
                     "DATA - %u *16384\nDATA - %u *16384\nDATA - %u *16384\n"
                     "DATA e %u *15848",
                     id, id, id, id, id);
}

/* Eight whole bodies, of which four have handlers, which hold them. */
static void begin_held(struct test_h2 *h)
{
    begin(h, 5, false, false);
    holds = true;
    send_bodies(h);
    assert_int_equal(update_of(h, 0), 0);
}

static void read_held(struct test_h2 *h)
{
    static uint8_t sink[65000];

    for (unsigned i = 0; i < 4; i++)
        lh_exchange_read(h->d.tasks[i].ex, sink, sizeof(sink));
    test_h2_run(h);
}

/* A body that has come whole counts until it is read, not until its handler
 * ends, which may wait for something else for long ... */
static void test_whole_bodies_are_read(void **state)
{
    struct test_h2 h;

    (void)state;
    begin_held(&h);
    read_held(&h);
    assert_int_equal(update_of(&h, 0), 4 * 65000);
    test_h2_deinit(&h);
}

/* ... also where the stream is closed already, since its answer has left. */
static void test_bodies_of_closed_streams_are_read(void **state)
{
    struct test_h2 h;

    (void)state;
    begin_held(&h);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(
            lh_exchange_start(h.d.tasks[i].ex, 200, &(struct lh_fields){0}), 0);
        lh_exchange_end(h.d.tasks[i].ex);
    }
    test_h2_run(&h);
    assert_int_equal(test_h2_count(&h, "HEADERS"), 4);
    assert_int_equal(update_of(&h, 0), 0);
    read_held(&h);
    assert_int_equal(update_of(&h, 0), 4 * 65000);
    test_h2_deinit(&h);
}

/* ... or until its handler ends, who has read nothing ... */
static void test_whole_bodies(void **state)
{
    struct test_h2 h;

    (void)state;
    begin_held(&h);
    holds = false;
    for (unsigned i = 0; i < 4; i++)
        h.d.tasks[i].news = true;
    test_h2_run(&h);
    assert_true(update_of(&h, 0) >= 4 * 65000);
    assert_int_equal(test_h2_count(&h, "DATA"), 4);
    test_h2_deinit(&h);
}

/* ... and is dropped once its handler has ended, whatever the response waits
 * for. */
static void test_bodies_of_ended_handlers(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 5, false, false);
    test_h2_say(&h, "SETTINGS - 0 x0004 u0");
    send_bodies(&h);
    assert_int_equal(test_h2_count(&h, "HEADERS"), 8);
    assert_int_equal(test_h2_count(&h, "DATA"), 0);
    assert_int_equal(lh_buf_pools_out(&h.t.ctx.bufs), 8); /* the responses */
    test_h2_deinit(&h);
}

/* Many uploads side by side arrive whole and separate. */
static void test_parallel_uploads(void **state)
{
    struct test_h2 h;

    (void)state;
    begin(&h, 5, false, true);
    for (unsigned id = 1; id < 100; id += 2)
        test_h2_sayf(&h, "HEADERS h %u POST {content-length: 98304}", id);
    for (int i = 0; i < 6; i++) {
        for (unsigned id = 1; id < 100; id += 2)
            test_h2_sayf(&h, "DATA %s %u *16384", i == 5 ? "e" : "-", id);
    }
    assert_int_equal(test_h2_count(&h, "HEADERS"), 50);
    assert_false(test_h2_got(&h, "RST"));
    assert_int_equal(h.t.ctx.counters.exchanges, 0);
    test_h2_deinit(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_window_of_one),
        cmocka_unit_test(test_settings_in_mid_stream),
        cmocka_unit_test(test_connection_window),
        cmocka_unit_test(test_octets_are_right),
        cmocka_unit_test(test_frames_fill_records),
        cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_drawn_as_windows_allow),
        cmocka_unit_test(test_download_in_pieces),
        cmocka_unit_test(test_downloads_cancelled),
        cmocka_unit_test(test_flood_after_download),
        cmocka_unit_test(test_urgent_first),
        cmocka_unit_test(test_priority_updates),
        cmocka_unit_test(test_incremental_alternate),
        cmocka_unit_test(test_stalled_streams),
        cmocka_unit_test(test_unread_body),
        cmocka_unit_test(test_discarded_bodies),
        cmocka_unit_test(test_windows_follow_reading),
        cmocka_unit_test(test_window_grows),
        cmocka_unit_test(test_dropped_octets_come_back),
        cmocka_unit_test(test_unread_bodies),
        cmocka_unit_test(test_whole_bodies_are_read),
        cmocka_unit_test(test_bodies_of_closed_streams_are_read),
        cmocka_unit_test(test_whole_bodies),
        cmocka_unit_test(test_bodies_of_ended_handlers),
        cmocka_unit_test(test_parallel_uploads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
