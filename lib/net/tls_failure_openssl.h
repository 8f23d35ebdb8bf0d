/* Why OpenSSL gave a connection up, in words for the operator. */
#ifndef LH_NET_TLS_FAILURE_OPENSSL_H
#define LH_NET_TLS_FAILURE_OPENSSL_H

#include "net/handshake_openssl.h"

#define LH_TLS_IS_GARBAGE "what the client sent first is not TLS"

/* Takes the error that says most from OpenSSL's queue, which is empty then. 0:
 * there was none. */
unsigned long lh_tls_take_error(void);

/* The number of the peer's alert that this error is; negative: it is none. */
int lh_tls_alert_of(unsigned long error);

/* error: one that was taken.  is_garbage: what came first was no ClientHello.
 *  `handshake`: NULL once it is over.  At most `room`
 * octets with the NUL. */
void lh_tls_failure_words(char *out, size_t room, unsigned long error,
                          const struct lh_handshake *handshake,
                          bool is_garbage);

#endif
