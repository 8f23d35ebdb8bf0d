/* TLS alerts: their names, and those of versions, for the operator; and those
 * that the library does not send. */
#ifndef LH_NET_ALERT_H
#define LH_NET_ALERT_H

#include "net/hello.h"
#include "net/transport.h"

#include <stdbool.h>

/* "handshake failure" for 40 (RFC 5246, 7.2 and later ones). */
const char *lh_alert_name(int number);

/* Says which versions the client can speak, if none of them is spoken here,
 * which are TLS 1.2 and all up to `newest`, as 0x0304; false: one is, or
 * `hello` is NULL. */
bool lh_blame_versions(char *out, size_t room, const struct lh_hello *hello,
                       unsigned newest);

/* Their numbers (RFC 8446, 6). */
enum lh_alert {
    LH_ALERT_UNEXPECTED_MESSAGE = 10,
    LH_ALERT_ILLEGAL_PARAMETER = 47,
};

/* Tells the client, in the clear, why it is lost, of which the library has not
 * heard. */
void lh_alert_send(struct lh_transport *t, enum lh_alert alert);

#endif
