/* Who is on the other side: counted, with a server name only where there is
 * one. */
#include "http/peer.h"

#include "lib/context.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_owners(void **state)
{
    (void)state;
    test_heap_install();
    struct lh_peer *peer = lh_peer_new();
    assert_non_null(peer);
    assert_string_equal(peer->tls_server_name, "");
    assert_null(peer->tls_protocol);
    assert_ptr_equal(lh_peer_hold(peer), peer);
    lh_peer_let_go(peer);
    assert_true(lh_peer_set_server_name(peer, ""));
    assert_int_equal(test_heap_live(), 1);
    assert_true(lh_peer_set_server_name(peer, "a.test"));
    assert_string_equal(peer->tls_server_name, "a.test");
    lh_peer_let_go(peer);
    lh_peer_let_go(NULL);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

static void test_without_memory(void **state)
{
    (void)state;
    test_heap_install();
    test_heap_fail_at(1);
    assert_null(lh_peer_new());
    struct lh_peer *peer = lh_peer_new();
    assert_non_null(peer);
    test_heap_fail_at(1);
    assert_false(lh_peer_set_server_name(peer, "a.test"));
    assert_string_equal(peer->tls_server_name, "");
    lh_peer_let_go(peer);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

/* Flooded by one kind of trouble, the log still has the others. */
static void test_log(void **state)
{
    struct test_context t;

    (void)state;
    test_context_init(&t);
    for (int i = 0; i < 100; i++)
        lh_log_client(&t.ctx, t.peer, LH_LOG_SLOW, "no header in %d s", i);
    assert_int_equal(t.logged, LH_LOG_RATE_LINES);
    assert_string_equal(t.last_log, "no header in 19 s");
    lh_log_client(&t.ctx, t.peer, LH_LOG_HANDSHAKES, "no TLS");
    assert_string_equal(t.last_log, "no TLS");
    test_context_advance(&t, LH_LOG_RATE_PERIOD_MS);
    assert_memory_equal(t.last_log, "80 more clients that were too slow", 34);
    t.log.level = LHTTPD_LOG_NOTICE;
    lh_log_client(&t.ctx, t.peer, LH_LOG_SLOW, "nobody listens");
    assert_int_equal(t.logged, LH_LOG_RATE_LINES + 2);
    test_context_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
