/*
 * Channels without a server: who gets what, what is dropped and counted, what
 * memory failures cost; and publishers in threads against their model: each
 * one's messages come in order, and what does not come is counted.
 */
#include "base/channel.h"

#include "base/mem.h"
#include "lhttpd.h"
#include "lib/heap.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROOMY     ((size_t)1 << 20)
#define LISTENERS 4

static const struct lh_hash_key key = {{7, 9}};

static struct {
    struct lh_channels c;
    struct lh_subscriber s[LISTENERS];
    unsigned wakes[LISTENERS];
} t;

static void on_message(struct lh_subscriber *s)
{
    t.wakes[s - t.s]++;
}

static int set_up(void **state)
{
    (void)state;
    test_heap_install();
    memset(&t, 0, sizeof(t));
    lh_channels_init(&t.c, &key);
    for (int i = 0; i < LISTENERS; i++) {
        lh_list_init(&t.s[i].link);
        t.s[i].on_message = on_message;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < LISTENERS; i++)
        lh_channels_unsubscribe(&t.c, &t.s[i]);
    lh_channels_deinit(&t.c);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
    return 0;
}

static void listen_to(int i, const char *name, unsigned most)
{
    assert_int_equal(
        lh_channels_subscribe(&t.c, &t.s[i], lh_str_of(name), most), 0);
}

/* As a publisher does; false: there was no memory, or nobody hears it. */
static bool publish(struct lh_str name, struct lh_str data, size_t most)
{
    uint64_t hash = lh_hash(&key, name);

    if (!lh_channels_hear(&t.c, hash))
        return false;
    struct lh_publication *p = lh_publication_new(hash, name, data, 1);
    if (!p)
        return false;
    lh_channels_post(&t.c, p, 0, most);
    lh_publication_drop(p);
    return true;
}

static void say(const char *name, const char *text)
{
    assert_true(publish(lh_str_of(name), lh_str_of(text), ROOMY));
}

static void deliver(void)
{
    lh_channels_told(&t.c);
    while (lh_channels_deliver(&t.c))
        continue;
}

/* What waits for it is this, "-" between two. */
static void expect(int i, const char *all)
{
    const struct lh_publication *p;
    char got[256] = "";
    size_t n = 0;

    while ((p = lh_subscriber_first(&t.s[i])) != NULL) {
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%.*s", n ? "-" : "",
                              (int)p->data.n, p->data.p);
        lh_subscriber_next(&t.s[i]);
    }
    assert_string_equal(got, all);
}

/* --- who gets what -------------------------------------------------------- */

static void test_each_subscriber_gets_all_in_order(void **state)
{
    (void)state;
    listen_to(0, "a", 8);
    listen_to(1, "a", 8);
    listen_to(2, "b", 8);
    say("a", "1");
    say("b", "2");
    say("a", "3");
    assert_null(lh_subscriber_first(&t.s[0]));
    deliver();
    assert_int_equal(t.wakes[0], 2);
    assert_int_equal(t.wakes[2], 1);
    /* Both have the same copy. */
    assert_ptr_equal(lh_subscriber_first(&t.s[0]),
                     lh_subscriber_first(&t.s[1]));
    expect(0, "1-3");
    expect(1, "1-3");
    expect(2, "2");
}

static void test_nobody_hears_what_nobody_asked_for(void **state)
{
    (void)state;
    assert_false(publish(LH_STR("a"), LH_STR("x"), ROOMY));
    listen_to(0, "a", 8);
    assert_true(publish(LH_STR("a"), LH_STR("x"), ROOMY));
    lh_channels_unsubscribe(&t.c, &t.s[0]);
    assert_int_equal(t.c.n, 0);
    assert_false(publish(LH_STR("a"), LH_STR("x"), ROOMY));
    deliver(); /* who had subscribed has left */
    assert_int_equal(t.wakes[0], 0);
    listen_to(0, "a", 8);
    expect(0, "");
}

static void test_names_and_messages_are_octets(void **state)
{
    (void)state;
    assert_int_equal(lh_channels_subscribe(&t.c, &t.s[0], LH_STR("a\0b"), 8),
                     0);
    assert_int_equal(lh_channels_subscribe(&t.c, &t.s[1], LH_STR(""), 8), 0);
    listen_to(2, "a", 8);
    assert_true(publish(LH_STR("a\0b"), LH_STR("\0\xff"), ROOMY));
    assert_true(publish(LH_STR(""), LH_STR(""), ROOMY));
    deliver();
    assert_null(lh_subscriber_first(&t.s[2]));
    assert_true(
        lh_str_equal(lh_subscriber_first(&t.s[0])->data, LH_STR("\0\xff")));
    assert_int_equal(lh_subscriber_first(&t.s[1])->data.n, 0);
}

static void test_many_channels(void **state)
{
    struct lh_subscriber *all = calloc(1000, sizeof(*all));
    char name[16];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        lh_list_init(&all[i].link);
        snprintf(name, sizeof(name), "%d", i);
        assert_int_equal(
            lh_channels_subscribe(&t.c, &all[i], lh_str_of(name), 1), 0);
    }
    assert_int_equal(t.c.n, 1000);
    assert_true(t.c.slots_n >= 1000);
    for (int i = 0; i < 1000; i++)
        lh_channels_unsubscribe(&t.c, &all[i]);
    assert_int_equal(t.c.n, 0);
    assert_true(t.c.slots_n < 128); /* given back */
    free(all);
}

/* --- what does not fit ---------------------------------------------------- */

static void test_a_full_queue_drops_its_oldest(void **state)
{
    (void)state;
    listen_to(0, "a", 5);
    listen_to(1, "a", 1);
    for (const char *c = "1234567"; *c; c++)
        assert_true(publish(LH_STR("a"), (struct lh_str){c, 1}, ROOMY));
    deliver();
    assert_int_equal(t.s[0].dropped, 2);
    assert_int_equal(t.s[1].dropped, 6);
    assert_int_equal(t.c.dropped, 8);
    expect(0, "3-4-5-6-7");
    expect(1, "7");
    say("a", "8");
    deliver();
    expect(0, "8");
    assert_int_equal(t.s[0].dropped, 2);
}

/* An owner that does not come to take it: memory has a bound, the newest stays,
 * and each subscriber learns how many are gone. */
static void test_a_full_inbox_loses_what_waits(void **state)
{
    unsigned got = 0;
    long most = 0;

    (void)state;
    listen_to(0, "a", 8);
    for (unsigned i = 0; i < 100000; i++) {
        assert_true(publish(
            LH_STR("a"), (struct lh_str){(const char *)&i, sizeof(i)}, 4096));
        if (test_heap_live() > most)
            most = test_heap_live();
    }
    assert_true(most < 100);
    deliver();
    unsigned last = 0;
    for (; lh_subscriber_first(&t.s[0]); lh_subscriber_next(&t.s[0]), got++)
        memcpy(&last, lh_subscriber_first(&t.s[0])->data.p, sizeof(last));
    assert_int_equal(last, 99999);
    assert_int_equal(t.s[0].dropped + got, 100000);
    assert_int_equal(t.c.inbox_bytes, 0);
}

/* It may be as large as all that may wait together, and larger. */
static void test_one_message_always_fits(void **state)
{
    (void)state;
    listen_to(0, "a", 8);
    assert_true(publish(LH_STR("a"), LH_STR("first"), 1));
    assert_true(publish(LH_STR("a"), LH_STR("second"), 1));
    deliver();
    expect(0, "second");
    assert_int_equal(t.s[0].dropped, 1);
}

/* --- the end -------------------------------------------------------------- */

static void test_an_end_frees_what_waits(void **state)
{
    (void)state;
    listen_to(0, "a", 8);
    say("a", "in its queue");
    deliver();
    say("a", "in the inbox");
    lh_channels_unsubscribe(&t.c, &t.s[0]);
    lh_channels_unsubscribe(&t.c, &t.s[0]); /* nothing */
    lh_channels_deinit(&t.c);
    assert_int_equal(test_heap_live(), 0);
}

static void test_failing_allocations(void **state)
{
    (void)state;
    for (unsigned long n = 1; n <= 3; n++) {
        test_heap_fail_at(n);
        int r = lh_channels_subscribe(&t.c, &t.s[0], LH_STR("a"), 8);
        test_heap_fail_at(0);
        assert_int_equal(r, n <= 2 ? LHTTPD_ENOMEM : 0);
        assert_int_equal(t.c.n, r == 0);
    }
    test_heap_fail_at(1);
    assert_false(publish(LH_STR("a"), LH_STR("x"), ROOMY));
    assert_true(publish(LH_STR("a"), LH_STR("lost"), ROOMY));
    test_heap_fail_at(1); /* the queue cannot be made */
    deliver();
    test_heap_fail_at(0);
    assert_int_equal(t.s[0].dropped, 1);
    for (const char *c = "12345"; *c; c++) {
        assert_true(publish(LH_STR("a"), (struct lh_str){c, 1}, ROOMY));
        test_heap_fail_at(c[0] == '5'); /* it cannot grow */
        deliver();
        test_heap_fail_at(0);
    }
    expect(0, "2-3-4-5");
    assert_int_equal(t.s[0].dropped, 2);
}

/* --- threads -------------------------------------------------------------- */

#define PUBLISHERS 4
#define MESSAGES   20000

struct numbered {
    unsigned publisher, number;
};

static atomic_uint publishers_left;

static void *publish_all(void *arg)
{
    struct numbered m = {.publisher = *(unsigned *)arg};

    for (m.number = 1; m.number <= MESSAGES; m.number++)
        publish(LH_STR("a"), (struct lh_str){(const char *)&m, sizeof(m)},
                64 << 10);
    publishers_left--;
    return NULL;
}

/* Who keeps up with a queue of any size gets each publisher's messages in
 * order, and those that are missing are counted. */
static void test_publishers_keep_their_order(void **state)
{
    unsigned last[PUBLISHERS] = {0}, numbers[PUBLISHERS], got = 0;
    const struct lh_publication *p;
    pthread_t threads[PUBLISHERS];

    (void)state;
    listen_to(0, "a", 4096);
    listen_to(1, "b", 4);
    publishers_left = PUBLISHERS;
    for (unsigned i = 0; i < PUBLISHERS; i++) {
        numbers[i] = i;
        pthread_create(&threads[i], NULL, publish_all, &numbers[i]);
    }
    for (bool more = true; more;) {
        more = publishers_left > 0; /* before the look */
        deliver();
        while ((p = lh_subscriber_first(&t.s[0])) != NULL) {
            struct numbered m;
            memcpy(&m, p->data.p, sizeof(m));
            assert_true(m.number > last[m.publisher]);
            last[m.publisher] = m.number;
            got++;
            lh_subscriber_next(&t.s[0]);
        }
    }
    for (unsigned i = 0; i < PUBLISHERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(got + t.s[0].dropped, PUBLISHERS * MESSAGES);
    assert_int_equal(t.s[1].dropped, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_each_subscriber_gets_all_in_order),
        TEST(test_nobody_hears_what_nobody_asked_for),
        TEST(test_names_and_messages_are_octets),
        TEST(test_many_channels),
        TEST(test_a_full_queue_drops_its_oldest),
        TEST(test_a_full_inbox_loses_what_waits),
        TEST(test_one_message_always_fits),
        TEST(test_an_end_frees_what_waits),
        TEST(test_failing_allocations),
        TEST(test_publishers_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
