/*
 * The checkers of the transports find faults.  What they check is private to
 * tcp.c and tls.c, so these are included here, in place of the library's.
 */
#include "net/tcp.c"
#include "net/tls.c"

#include "lib/faults.h"
#include "lib/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#if LHTTPD_CHECKS

static uint8_t octets[1];

TEST_FAULT(tcp_in_backwards, struct tcp, c->in.from = 1)
TEST_FAULT(tcp_in_held_for_nothing, struct tcp, c->in.p = octets)
TEST_FAULT(tcp_in_not_held, struct tcp, c->in.to = 1)
TEST_FAULT(tcp_in_too_long, struct tcp, c->in.p = octets;
           c->in.to = LH_NET_CHUNK_BYTES + 1)
TEST_FAULT(tcp_out_backwards, struct tcp, c->out.from = 1)
TEST_FAULT(tcp_out_not_held, struct tcp, c->out.to = 1)
TEST_FAULT(tcp_out_of_the_lost, struct tcp, c->lost = true; c->out.p = octets)

static void (*const tcp_faults[])(void *c) = {
    tcp_in_backwards,    tcp_in_held_for_nothing, tcp_in_not_held,
    tcp_in_too_long,     tcp_out_backwards,       tcp_out_not_held,
    tcp_out_of_the_lost,
};

TEST_FAULT(tls_raw_backwards, struct tls, c->core.ends.raw.from = 1)
TEST_FAULT(tls_raw_not_held, struct tls, c->core.ends.raw.to = 1)
TEST_FAULT(tls_flight_not_held, struct tls, c->core.ends.flight.to = 1)
TEST_FAULT(tls_no_phase, struct tls, c->core.phase = LH_PHASES)
TEST_FAULT(tls_others_input, struct tls, c->input = octets)
TEST_FAULT(tls_others_output, struct tls, c->output = octets)
TEST_FAULT(tls_fresh_with_buffer, struct tls, c->input = octets;
           lh_engine_lend_input(c->engine, octets))
TEST_FAULT(tls_fresh_and_agreed, struct tls, c->core.agreed = true)
TEST_FAULT(tls_hello_of_nothing, struct tls, c->core.hello.p = octets)
TEST_FAULT(tls_hello_not_held, struct tls, c->core.hello.n = 1)
TEST_FAULT(tls_plain_too_early, struct tls, c->core.plain = &c->core.base)
TEST_FAULT(tls_plain_and_held, struct tls, c->core.phase = LH_PHASE_PLAIN;
           c->core.ends.flight.p = octets)
TEST_FAULT(tls_stepped_too_early, struct tls, c->core.stepped = true)
TEST_FAULT(tls_open_not_agreed, struct tls, c->core.phase = LH_PHASE_OPEN)
TEST_FAULT(tls_shakes_without_buffers, struct tls,
           c->core.phase = LH_PHASE_HANDSHAKE)
TEST_FAULT(tls_alert_too_long, struct tls, c->alert.n = 99)
TEST_FAULT(tls_shut_unasked, struct tls, c->core.shut = true)
TEST_FAULT(tls_failure_not_lost, struct tls, c->core.failure = "x")
TEST_FAULT(tls_error_not_lost, struct tls, c->core.socket_error = -1)

static void (*const tls_faults[])(void *c) = {
    tls_raw_backwards,     tls_raw_not_held,
    tls_flight_not_held,   tls_no_phase,
    tls_others_input,      tls_others_output,
    tls_fresh_with_buffer, tls_fresh_and_agreed,
    tls_hello_of_nothing,  tls_hello_not_held,
    tls_plain_too_early,   tls_plain_and_held,
    tls_stepped_too_early, tls_open_not_agreed,
    tls_alert_too_long,    tls_shakes_without_buffers,
    tls_shut_unasked,      tls_failure_not_lost,
    tls_error_not_lost,
};

static void check_tcp(const void *c)
{
    tcp_check(c);
}

static void check_tls(const void *c)
{
    tls_check(c);
}

/* Plants all faults in a transport that nothing came for yet. */
static void find_all(struct lh_transport *t, void (*check)(const void *c),
                     void (*const faults[])(void *c), size_t n)
{
    assert_false(test_fault_is_found(test_no_fault, check, t));
    for (size_t i = 0; i < n; i++) {
        if (!test_fault_is_found(faults[i], check, t))
            fail_msg("fault %zu is not found", i);
    }
    t->ops->free(t);
}

static void test_tcp(void **state)
{
    struct lh_net_pools pools;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    lh_net_pools_init(&pools);
    find_all(lh_tcp_new(&pools, fds[0]), check_tcp, tcp_faults,
             sizeof(tcp_faults) / sizeof(tcp_faults[0]));
    lh_net_pools_deinit(&pools);
    close(fds[0]);
    close(fds[1]);
}

static void test_tls(void **state)
{
    struct lh_creds *creds = lh_creds_new();
    struct lh_tls_shared *shared;
    struct lh_net_pools pools;
    struct lh_err err;
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    test_pair_add(creds, "ec256");
    assert_int_equal(lh_tls_shared_new(&shared, creds, false, &err), 0);
    lh_net_pools_init(&pools);
    pools.tls = lh_tls_worker_new(shared);
    find_all(lh_tls_new(&pools, fds[0]), check_tls, tls_faults,
             sizeof(tls_faults) / sizeof(tls_faults[0]));
    lh_tls_worker_free(pools.tls);
    lh_net_pools_deinit(&pools);
    lh_tls_shared_free(shared);
    lh_creds_free(creds);
    close(fds[0]);
    close(fds[1]);
}

#endif

int main(void)
{
#if LHTTPD_CHECKS
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
#else
    return 0; /* there are no checks in this build */
#endif
}
