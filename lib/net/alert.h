/* TLS alerts: their names, and those of versions, for the operator; and one
 * that neither library sends. */
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

/* Tells the client that its ClientHello is too long (illegal_parameter, as the
 * libraries say it), of which neither has heard. */
void lh_alert_too_long(struct lh_transport *t);

#endif
