/*
 * A client's octets and what is made of them, by vectors: each is fed whole, in
 * two pieces cut at every octet, and octet by octet.
 */
#include "ws/ws_reader.h"

#include "lib/heap.h"
#include "lib/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIMIT ((size_t)1 << 17)

/* What was told so far, in words. */
struct told {
    struct lh_ws_reader r;
    char text[4096];
    size_t n;
};

__attribute__((format(printf, 2, 3))) static void tell(struct told *t,
                                                       const char *format, ...)
{
    va_list args;

    va_start(args, format);
    t->n +=
        (size_t)vsnprintf(t->text + t->n, sizeof(t->text) - t->n, format, args);
    va_end(args);
    assert_true(t->n < sizeof(t->text));
}

static unsigned sum(const uint8_t *p, size_t n)
{
    unsigned s = 0;

    for (size_t i = 0; i < n; i++)
        s = s * 31 + p[i];
    return s;
}

/* Long ones by their length and a sum. */
static void take_messages(struct told *t)
{
    const struct lh_ws_message *m;

    while ((m = t->r.first) && m->whole) {
        size_t n = m->n - m->at;
        if (n < 300)
            tell(t, "%s:%.*s|", m->text ? "text" : "binary", (int)n,
                 m->p ? (char *)m->p : "");
        else
            tell(t, "%s*%zu %u|", m->text ? "text" : "binary", n, sum(m->p, n));
        lh_ws_take(&t->r, n);
    }
}

static void take_event(struct told *t, enum lh_ws_event event)
{
    int n = t->r.control_n;
    const char *control = n ? (const char *)t->r.control : "";

    take_messages(t);
    switch (event) {
    case LH_WS_MORE:
    case LH_WS_FULL:
        break;
    case LH_WS_PINGED:
        tell(t, "ping:%.*s|", n, control);
        break;
    case LH_WS_PONGED:
        tell(t, "pong:%.*s|", n, control);
        break;
    case LH_WS_CLOSED:
        tell(t, "close %u %.*s|", t->r.code, n, control);
        break;
    case LH_WS_FAULTY:
        tell(t, "fault %u %s|", t->r.code, t->r.why);
        break;
    }
}

static void feed(struct told *t, const char *p, size_t n)
{
    size_t used;

    /* The copy ends where the piece does, so that ASan sees who reads on. */
    uint8_t *own = malloc(n + !n);
    if (n)
        memcpy(own, p, n);
    for (size_t at = 0; at < n; at += used) {
        enum lh_ws_event event =
            lh_ws_read(&t->r, own + at, n - at, SIZE_MAX, LIMIT, &used);
        assert_true(used > 0);
        take_event(t, event);
    }
    free(own);
}

/* Runs it cut into pieces of `first` octets, then `step` each. */
static void run(const struct test_bytes *b, size_t first, size_t step,
                const char *expected)
{
    struct told t = {.n = 0};

    feed(&t, b->p, first);
    for (size_t at = first; at < b->n; at += step)
        feed(&t, b->p + at, at + step < b->n ? step : b->n - at);
    assert_string_equal(t.text, expected);
    lh_ws_reader_deinit(&t.r);
    assert_int_equal(t.r.held, 0);
}

static void expect(const char *script, const char *expected)
{
    struct test_bytes b = {NULL, 0};

    test_ws_script(&b, script);
    run(&b, b.n, 1, expected);
    run(&b, 0, 1, expected);
    for (size_t cut = 1; cut < b.n && b.n < 1000; cut++)
        run(&b, cut, b.n, expected);
    free(b.p);
}

static void test_messages(void **state)
{
    (void)state;
    expect("81:hello", "text:hello|");
    expect("82:hello 81:", "binary:hello|text:|");
    expect("01:he 00:l 80:lo 81:x", "text:hello|text:x|");
    expect("02: 00: 80:", "binary:|");
    expect("01:a 80:b 02:c 80:d", "text:ab|binary:cd|");
    expect("81*125 81*126", /* both kinds of short length */
           "text:abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh"
           "ijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstu"
           "|text:abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefg"
           "hijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst"
           "uv|");
}

static void test_long_messages(void **state)
{
    struct test_bytes b = {NULL, 0};
    char expected[64];
    static uint8_t octets[70000];

    (void)state;
    for (size_t i = 0; i < sizeof(octets); i++)
        octets[i] = (uint8_t)(i * 31 % 251);
    snprintf(expected, sizeof(expected), "binary*70000 %u|",
             sum(octets, sizeof(octets)));
    test_ws_script(&b, "82*70000");
    run(&b, b.n, 1, expected);
    run(&b, 0, 1, expected);
    run(&b, 5, 4097, expected);
    free(b.p);
    b = (struct test_bytes){NULL, 0};
    test_ws_frame(&b, 0x02, octets, 1000);
    for (size_t at = 1000; at < sizeof(octets); at += 1000)
        test_ws_frame(&b, at + 1000 < sizeof(octets) ? 0x00 : 0x80, octets + at,
                      1000);
    run(&b, b.n, 1, expected);
    free(b.p);
}

static void test_control_frames_between_fragments(void **state)
{
    (void)state;
    expect("89:hi 8a: 81:x", "ping:hi|pong:|text:x|");
    expect("01:a 89:1 00:b 8a:2 89: 80:c", "ping:1|pong:2|ping:|text:abc|");
    expect("01:a 88=1000,bye", "close 1000 bye|");
}

static void test_closes(void **state)
{
    (void)state;
    expect("88:", "close 1005 |");
    expect("88=1000", "close 1000 |");
    expect("88=1001,going", "close 1001 going|");
    expect("88=4999,\xc3\xa4", "close 4999 \xc3\xa4|");
    /* What follows is not looked at. */
    expect("88=1000 81:x xffff", "close 1000 |");
    expect("88:x", "fault 1002 a close frame of one octet|");
    expect("88=999", "fault 1002 a close code that none may send|");
    expect("88=1005", "fault 1002 a close code that none may send|");
    expect("88=1006", "fault 1002 a close code that none may send|");
    expect("88=1015", "fault 1002 a close code that none may send|");
    expect("88=2999", "fault 1002 a close code that none may send|");
    expect("88=5000", "fault 1002 a close code that none may send|");
    expect("88=1000,\xff", "fault 1007 a close reason that is not UTF-8|");
    expect("88=1000,\xc3", "fault 1007 a close reason that is not UTF-8|");
}

static void test_faults(void **state)
{
    (void)state;
    expect("80:x", "fault 1002 a continuation of nothing|");
    expect("81:a 80:x", "text:a|fault 1002 a continuation of nothing|");
    expect("01:a 81:b", "fault 1002 a message inside another one|");
    expect("01:a 02:b", "fault 1002 a message inside another one|");
    expect("xc1", "fault 1002 a reserved bit is set|");
    expect("81:a x83", "text:a|fault 1002 an unknown opcode|");
    expect("09:a", "fault 1002 a control frame in fragments|");
    expect("x8101", "fault 1002 a frame without a mask|");
    expect("x89fe", "fault 1002 a control frame of more than 125 octets|");
}

static void test_text_is_utf_8(void **state)
{
    (void)state;
    expect("81:\xc3\xa4", "text:\xc3\xa4|");
    /* A character in two fragments, with a ping inside. */
    expect("01:\xe2\x82 89: 80:\xac", "ping:|text:\xe2\x82\xac|");
    expect("01:\xe2\x82 80:",
           "fault 1007 a text that ends inside a character|");
    expect("81:\xe2\x82", "fault 1007 a text that ends inside a character|");
    expect("01:\xed\xa0 80:\x80", "fault 1007 a text that is not UTF-8|");
    /* At once, though more of the frame and of the message is to come. */
    expect("01:ab xff x01fe1000010203040000ffee",
           "fault 1002 a reserved bit is set|");
    expect("x01fe100000000000 xff", "fault 1007 a text that is not UTF-8|");
    /* Binary is anything. */
    expect("82:\xff\xfe", "binary:\xff\xfe|");
    /* A text after one that was cut inside a character begins anew. */
    expect("81:\xc3\xa4 81:a", "text:\xc3\xa4|text:a|");
}

/* As soon as it is announced. */
static void test_messages_over_the_limit(void **state)
{
    struct test_bytes b = {NULL, 0};
    char expected[64];
    static char all[LIMIT];

    (void)state;
    expect("x82ff000000000002000100000000",
           "fault 1009 a message over its limit|");
    expect("x82ff7fffffffffffffff00000000",
           "fault 1009 a message over its limit|");
    memset(all, 'a', LIMIT);
    test_ws_frame(&b, 0x02, all, LIMIT);
    test_ws_text(&b, 0x80, "");
    snprintf(expected, sizeof(expected), "binary*%zu %u|", LIMIT,
             sum((uint8_t *)all, LIMIT));
    run(&b, b.n, 1, expected);
    free(b.p);
    b = (struct test_bytes){NULL, 0};
    test_ws_frame(&b, 0x02, all, LIMIT);
    test_ws_text(&b, 0x00, "a");
    run(&b, b.n, 1, "fault 1009 a message over its limit|");
    free(b.p);
}

/* Data waits outside, and control frames behind it; those before it do not. */
static void test_the_queue_is_full(void **state)
{
    struct lh_ws_reader r = {.held = 0};
    struct test_bytes b = {NULL, 0};
    size_t used, at;

    (void)state;
    test_ws_script(&b, "81:abcdef 89:p 82:gh");
    const uint8_t *p = (const uint8_t *)b.p;
    assert_int_equal(lh_ws_read(&r, p, b.n, 64 + 4, LIMIT, &used), LH_WS_FULL);
    assert_int_equal(used, 6 + 4);
    assert_int_equal(r.held, 64 + 4);
    assert_false(r.first->whole);
    /* A piece is taken. */
    lh_ws_take(&r, 3);
    at = used;
    assert_int_equal(lh_ws_read(&r, p + at, b.n - at, 64 + 9, LIMIT, &used),
                     LH_WS_PINGED);
    at += used;
    assert_true(r.first->whole);
    assert_memory_equal(r.first->p + r.first->at, "def", 3);
    /* The second one counts 64 more, so nothing of it fits. */
    assert_int_equal(lh_ws_read(&r, p + at, b.n - at, 64 + 9, LIMIT, &used),
                     LH_WS_FULL);
    at += used;
    lh_ws_take(&r, 3);
    assert_int_equal(lh_ws_read(&r, p + at, b.n - at, 64 + 9, LIMIT, &used),
                     LH_WS_MORE);
    assert_memory_equal(r.first->p, "gh", 2);
    lh_ws_take(&r, 2);
    assert_null(r.first);
    assert_int_equal(r.held, 0);
    lh_ws_reader_deinit(&r);
    free(b.p);
}

/* A message is given away before it is whole, and what was taken does not count
 * against the limit. */
static void test_pieces(void **state)
{
    struct lh_ws_reader r = {.held = 0};
    struct test_bytes b = {NULL, 0};
    size_t at = 0, used, taken = 0;

    (void)state;
    test_ws_script(&b, "81*70000");
    while (at < b.n) {
        enum lh_ws_event event = lh_ws_read(&r, (uint8_t *)b.p + at, b.n - at,
                                            1000, SIZE_MAX, &used);
        at += used;
        assert_true(event == LH_WS_FULL || event == LH_WS_MORE);
        size_t have = r.first->n - r.first->at;
        taken += have;
        for (size_t i = 0; i < have; i++)
            assert_int_equal(r.first->p[r.first->at + i],
                             'a' + (taken - have + i) % 26);
        if (!r.first->whole)
            lh_ws_take(&r, have);
    }
    assert_int_equal(taken, 70000);
    assert_true(r.first->whole);
    lh_ws_reader_deinit(&r);
    free(b.p);
}

/* Each allocation fails once: the connection is, and nothing is lost. */
static void test_without_memory(void **state)
{
    struct test_bytes b = {NULL, 0};
    unsigned long allocations = 1;

    (void)state;
    test_ws_script(&b, "02:a 80*300 82:c 8a:p");
    test_heap_install();
    for (unsigned long i = 0; i <= allocations; i++) {
        struct lh_ws_reader r = {.held = 0};
        size_t used;
        test_heap_fail_at(i);
        enum lh_ws_event event =
            lh_ws_read(&r, (uint8_t *)b.p, b.n, SIZE_MAX, LIMIT, &used);
        if (i == 0)
            allocations = test_heap_count();
        assert_int_equal(event, i ? LH_WS_FAULTY : LH_WS_PONGED);
        assert_int_equal(r.code, i ? LH_WS_OUR_ERROR : 0);
        lh_ws_reader_deinit(&r);
        assert_int_equal(test_heap_live(), 0);
    }
    test_heap_uninstall();
    assert_true(allocations >= 6);
    free(b.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_control_frames_between_fragments),
        cmocka_unit_test(test_closes),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_text_is_utf_8),
        cmocka_unit_test(test_messages_over_the_limit),
        cmocka_unit_test(test_the_queue_is_full),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
