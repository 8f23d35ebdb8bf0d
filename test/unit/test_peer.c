/* Who is on the other side: counted, with a server name only where there is
 * one. */
#include "http/peer.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
