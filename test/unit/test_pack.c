/* A request that stays for long is made small, and says what it said. */
#include "http/pack.h"

#include "lib/heap.h"
#include "lib/loopback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct test_context t;
static struct test_loopback l;

static struct lh_str copied(const char *s)
{
    return lh_arena_copy(&l.ex->arena, s, strlen(s));
}

static void on_nothing(struct lh_exchange *ex)
{
    (void)ex;
}

/* As parsers leave it: all in the arena, in arrays that were outgrown. */
static void begin(unsigned fields, bool has_body)
{
    char name[32], value[64];

    test_context_init(&t);
    test_loopback_request(&l, &t, "GET", "/a/b?c=d", NULL, has_body);
    struct lh_request *r = &l.ex->request;
    l.ex->on_news = on_nothing;
    r->method = copied("GET");
    r->scheme = copied("https");
    r->authority = copied("example.org");
    r->target = copied("/a/b?c=d");
    r->path = (struct lh_str){r->target.p, 4};
    r->query = (struct lh_str){r->target.p + 5, 3};
    r->fields = (struct lh_fields){.n = 0};
    for (unsigned i = 0; i < fields; i++) {
        snprintf(name, sizeof(name), "x-field-%u", i);
        snprintf(value, sizeof(value), "the value of the field %u", i);
        assert_true(lh_fields_add(&r->fields, &l.ex->arena,
                                  copied(i ? name : "user-agent"),
                                  copied(value)));
    }
}

static void end(void)
{
    lh_exchange_let_go_handler(l.ex);
    test_loopback_deinit(&l);
    test_context_deinit(&t);
}

static void expect_text(struct lh_str is, const char *text)
{
    assert_int_equal(is.n, strlen(text));
    assert_memory_equal(is.p, text, is.n);
}

static void expect_request(unsigned fields)
{
    const struct lh_request *r = &l.ex->request;
    char name[32], value[64];

    expect_text(r->method, "GET");
    expect_text(r->scheme, "https");
    expect_text(r->authority, "example.org");
    expect_text(r->target, "/a/b?c=d");
    expect_text(r->path, "/a/b");
    expect_text(r->query, "c=d");
    assert_int_equal(r->fields.n, fields);
    for (unsigned i = 0; i < fields; i++) {
        snprintf(name, sizeof(name), "x-field-%u", i);
        snprintf(value, sizeof(value), "the value of the field %u", i);
        expect_text(r->fields.v[i].name, i ? name : "user-agent");
        expect_text(r->fields.v[i].value, value);
    }
}

static void test_a_long_request(void **state)
{
    (void)state;
    begin(14, false);
    struct lh_str part = {l.ex->request.path.p + 2, 2};
    l.ex->id = lh_arena_copy(&l.ex->arena, "an-id", 6).p;
    size_t before = l.ex->arena.allocated;
    assert_true(before > 2000);
    lh_exchange_pack(l.ex, &part);
    expect_request(14);
    expect_text(part, "/b");
    assert_ptr_equal(part.p, l.ex->request.path.p + 2);
    assert_string_equal(l.ex->id, "an-id");
    /* 14 fields of 32 octets, and some 400 of text, 288 of all for nothing. */
    assert_true(l.ex->arena.allocated < 800);
    /* Twice is once, and it can be added to. */
    size_t packed = l.ex->arena.allocated;
    lh_exchange_pack(l.ex, &part);
    assert_int_equal(l.ex->arena.allocated, packed);
    assert_true(lh_fields_add(&l.ex->request.fields, &l.ex->arena,
                              copied("x-field-14"),
                              copied("the value of the field 14")));
    expect_request(15);
    lh_exchange_pack(l.ex, &part);
    expect_request(15);
    assert_true(l.ex->arena.allocated < packed + 100);
    end();
}

/* The exchange itself has room for it. */
static void test_a_short_request(void **state)
{
    /* Where pointers are short its room is for one more. */
    const unsigned fields = sizeof(void *) == 8 ? 4 : 5;
    struct lh_str part = {NULL, 0};

    (void)state;
    begin(fields, false);
    assert_true(l.ex->arena.allocated > 0);
    lh_exchange_pack(l.ex, &part);
    expect_request(fields);
    assert_null(part.p);
    assert_int_equal(l.ex->arena.allocated, 0);
    end();
}

static void test_what_must_stay(void **state)
{
    struct lh_str part = {NULL, 0};
    struct lh_fields fields = {.n = 0};

    (void)state;
    begin(14, true);
    size_t before = l.ex->arena.allocated;
    lh_exchange_pack(l.ex, &part); /* more of its body may come */
    assert_int_equal(l.ex->arena.allocated, before);
    test_loopback_body_end(&l);
    assert_true(lh_fields_add(&fields, &l.ex->arena, copied("a"), copied("b")));
    assert_int_equal(lh_exchange_start(l.ex, 200, &fields), 0);
    lh_exchange_pack(l.ex, &part); /* its answer's header has not left */
    assert_true(l.ex->arena.allocated >= before);
    lh_exchange_release(l.ex);
    test_loopback_pump(&l, 100);
    assert_string_equal(l.fields, "a: b\n");
    lh_exchange_pack(l.ex, &part);
    assert_true(l.ex->arena.allocated < 800);
    expect_request(14);
    end();
}

static void test_pack_without_memory(void **state)
{
    struct lh_str part = {NULL, 0};

    (void)state;
    begin(14, false);
    size_t before = l.ex->arena.allocated;
    test_heap_fail_at(1);
    lh_exchange_pack(l.ex, &part);
    assert_int_equal(l.ex->arena.allocated, before);
    expect_request(14);
    lh_exchange_pack(l.ex, &part);
    assert_true(l.ex->arena.allocated < before);
    expect_request(14);
    end();
}

static int set_up(void **state)
{
    (void)state;
    test_heap_install();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_heap_uninstall();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_long_request),
        cmocka_unit_test(test_a_short_request),
        cmocka_unit_test(test_what_must_stay),
        cmocka_unit_test(test_pack_without_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
