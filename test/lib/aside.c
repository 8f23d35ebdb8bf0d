/* Handshakes by a helper thread: see aside.h. */
#include "lib/aside.h"

#include "net/away.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WAIT_MS 60000

static void is_back(struct lh_transport *t)
{
    (void)t; /* who waits for it sees that */
}

void test_aside_begin(struct lh_net_pools *pools)
{
    pools->back = is_back;
    assert_int_equal(lh_crew_new(&pools->crew, 1), 0);
}

void test_aside_wait(struct lh_transport *t)
{
    lh_away_call(t->pools);
    while (t->away) {
        struct pollfd p = {.fd = lh_crew_fd(t->pools->crew), .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        lh_away_take(t->pools);
    }
}
