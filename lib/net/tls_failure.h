/* Why a TLS connection failed, in words for the operator. */
#ifndef LH_NET_TLS_FAILURE_H
#define LH_NET_TLS_FAILURE_H

#include "net/hello.h"

#include <stdbool.h>
#include <stddef.h>

/* What is known besides the engine's error. */
struct lh_tls_circumstances {
    const struct lh_hello *hello; /* or NULL: the handshake is over */
    const char *client; /* what is wrong with its certificate; or NULL */
    bool no_pair;       /* policy.c found no certificate that fits the client */
    bool is_garbage;    /* what came first was no ClientHello */
};

/* error: as br_ssl_engine_last_error() gives it, not 0.  At most `room` octets
 * with the NUL; the longest words have 100. */
void lh_tls_failure_words(char *out, size_t room, int error,
                          const struct lh_tls_circumstances *known);

#endif
