/* Ids of requests: random, or the client's where it is believed. */
#include "http/request_id.h"

#include "lib/context.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct test_context t;
    struct lh_exchange *ex;
};

static void begin(struct fixture *f)
{
    test_context_init(&f->t);
    f->t.ctx.ids = (struct lh_ids){.key = {{1, 2}}, .has_key = true};
}

static void request(struct fixture *f, const char *id)
{
    f->ex = lh_exchange_new(&f->t.ctx, f->t.peer);
    assert_non_null(f->ex);
    if (id)
        assert_true(lh_fields_add(&f->ex->request.fields, &f->ex->arena,
                                  LH_STR("x-request-id"), lh_str_of(id)));
}

static void request_ends(struct fixture *f)
{
    lh_exchange_let_go_handler(f->ex);
    lh_exchange_let_go_protocol(f->ex);
}

static void test_made_once(void **state)
{
    struct fixture f;
    char seen[200][33];

    (void)state;
    begin(&f);
    for (unsigned i = 0; i < 200; i++) {
        request(&f, "client");
        const char *id = lh_request_id(f.ex);
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
        assert_ptr_equal(lh_request_id(f.ex), id);
        memcpy(seen[i], id, 33);
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(seen[k], id);
        request_ends(&f);
    }
    test_context_deinit(&f.t);
}

static void test_the_clients(void **state)
{
    static const char long_one[] =
        "0123456789012345678901234567890123456789012345678901234567890123"
        "0123456789012345678901234567890123456789012345678901234567890123x";
    static const char *const refused[] = {"",    "a b", "a\"",      "a'",
                                          "<b>", "a;b", "\xc3\xa4", long_one};
    struct fixture f;

    (void)state;
    begin(&f);
    f.t.ctx.ids.trusts_clients = true;
    request(&f, "Ab-9._~+/=:@");
    assert_string_equal(lh_request_id(f.ex), "Ab-9._~+/=:@");
    request_ends(&f);
    request(&f, long_one + 1);
    assert_string_equal(lh_request_id(f.ex), long_one + 1);
    request_ends(&f);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        request(&f, refused[i]);
        assert_int_equal(strlen(lh_request_id(f.ex)), 32);
        assert_string_not_equal(lh_request_id(f.ex), refused[i]);
        request_ends(&f);
    }
    test_context_deinit(&f.t);
}

/* A system without random octets, or memory: no id, and no harm. */
static void test_none(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    f.t.ctx.ids.has_key = false;
    request(&f, NULL);
    assert_null(lh_request_id(f.ex));
    lh_log_request(f.ex, LH_LOG_REFUSED, "all the same");
    assert_string_equal(f.t.last_log, "all the same");
    f.t.ctx.ids.has_key = true;
    assert_non_null(lh_request_id(f.ex));
    request_ends(&f);
    request(&f, NULL);
    while (f.ex->arena.at + 33 <= f.ex->arena.end)
        assert_non_null(lh_arena_alloc(&f.ex->arena, 1));
    test_heap_install();
    test_heap_fail_at(1);
    assert_null(lh_request_id(f.ex));
    test_heap_fail_at(0);
    assert_non_null(lh_request_id(f.ex));
    request_ends(&f);
    test_context_deinit(&f.t);
    test_heap_uninstall();
}

/* What another thread finds out of the worker, whose handler does not return.
 */
static const char *found(const struct fixture *f, char id[LH_RUN_ID_BYTES])
{
    struct lh_run run;

    assert_true(lh_running_look(&f->t.ctx.running, &run));
    return lh_request_id_of_run(&f->t.ctx.ids, &run, id);
}

/* By the same name, whoever asks first. */
static void test_from_outside(void **state)
{
    struct fixture f;
    char id[LH_RUN_ID_BYTES];

    (void)state;
    begin(&f);
    request(&f, "client");
    lh_running_begin(&f.t.ctx.running, "a.lua", "handler /x", 1);
    assert_null(found(&f, id)); /* none is said to run */
    lh_request_runs(f.ex);
    assert_string_equal(found(&f, id), lh_request_id(f.ex));
    request_ends(&f);
    request(&f, "client");
    lh_request_runs(f.ex);
    assert_false(lh_request_has_id(f.ex));
    atomic_store(&f.t.ctx.running.told_of, f.ex->number);
    assert_true(lh_request_has_id(f.ex));
    request_ends(&f);
    f.t.ctx.ids.trusts_clients = true;
    request(&f, "client");
    lh_request_runs(f.ex);
    assert_string_equal(found(&f, id), "client");
    request_ends(&f);
    f.t.ctx.ids = (struct lh_ids){.has_key = false};
    request(&f, NULL);
    lh_request_runs(f.ex);
    lh_running_called(&f.t.ctx.running, NULL);
    assert_null(found(&f, id));
    request_ends(&f);
    test_context_deinit(&f.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_the_clients),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_from_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
