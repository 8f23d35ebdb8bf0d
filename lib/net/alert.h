/* Names of TLS alerts and versions, for the operator. */
#ifndef LH_NET_ALERT_H
#define LH_NET_ALERT_H

#include "net/hello.h"

#include <stdbool.h>

/* "handshake failure" for 40 (RFC 5246, 7.2 and later ones). */
const char *lh_alert_name(int number);

/* Says which versions the client can speak, if none of them is spoken here,
 * which are TLS 1.2 and all up to `newest`, as 0x0304; false: one is, or
 * `hello` is NULL. */
bool lh_blame_versions(char *out, size_t room, const struct lh_hello *hello,
                       unsigned newest);

#endif
