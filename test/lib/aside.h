/* Handshakes by a helper thread, for tests of transports. */
#ifndef TEST_LIB_ASIDE_H
#define TEST_LIB_ASIDE_H

#include "net/transport.h"

/* From here on until lh_away_end(). */
void test_aside_begin(struct lh_net_pools *pools);

/* Waits until the transport, if it is away, is back. */
void test_aside_wait(struct lh_transport *t);

#endif
