/* Writing to a lent buffer of any size, to the queue, and without memory. */
#include "h1/h1_out.h"

#include "lib/context.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char expected[] = "HTTP/1.1 299 \r\na: b\r\nf\r\n"
                               "ffffffffffffffff\r\n0\r\nx: y\r\n\r\n";

static void put_all(struct lh_h1_out *o)
{
    struct lh_field field = {LH_STR("x"), LH_STR("y")};
    struct lh_fields trailers = {.v = &field, .n = 1};

    lh_h1_put_status(o, 299);
    lh_h1_put_field(o, LH_STR("a"), LH_STR("b"));
    lh_h1_put_chunk_size(o, 15);
    lh_h1_put_chunk_size(o, UINT64_MAX);
    lh_h1_put_last_chunk(o, &trailers);
}

static void test_lent(void **state)
{
    (void)state;
    for (size_t room = 0; room <= sizeof(expected); room++) {
        struct test_context t;
        struct lh_buf queue;
        struct lh_h1_out o;
        char out[sizeof(expected) + 1];
        test_context_init(&t);
        lh_buf_init(&queue, &t.ctx.bufs);
        lh_h1_out_init(&o, out, room, &queue);
        put_all(&o);
        size_t n = (size_t)(o.at - out);
        assert_true(n <= room && !o.failed);
        n += lh_buf_take(&queue, out + n, sizeof(out) - n);
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(out, expected, n);
        lh_buf_clear(&queue);
        test_context_deinit(&t);
    }
}

static void test_queued(void **state)
{
    (void)state;
    for (size_t room = 1; room <= sizeof(expected); room++) {
        struct test_context t;
        struct lh_buf queue;
        struct lh_h1_out o;
        char scratch[sizeof(expected)], out[sizeof(expected) + 1];
        test_context_init(&t);
        lh_buf_init(&queue, &t.ctx.bufs);
        lh_h1_out_to_queue(&o, scratch, room, &queue);
        put_all(&o);
        lh_h1_out_flush(&o);
        size_t n = lh_buf_take(&queue, out, sizeof(out));
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(out, expected, n);
        test_context_deinit(&t);
    }
}

/* What is there without memory is a beginning, with no gap. */
static void test_without_memory(void **state)
{
    struct test_context t;
    struct lh_buf queue;
    struct lh_h1_out o;
    char out[10];

    (void)state;
    test_context_init(&t);
    lh_buf_init(&queue, &t.ctx.bufs);
    test_heap_install();
    test_heap_fail_at(1);
    lh_h1_out_init(&o, out, sizeof(out), &queue);
    put_all(&o);
    test_heap_uninstall();
    assert_true(o.failed);
    assert_int_equal(queue.n, 0);
    assert_memory_equal(out, expected, sizeof(out));
    test_context_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lent),
        cmocka_unit_test(test_queued),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
