/*
 * Names of requests for logs: 128 random bits, made when somebody asks for the
 * first time, or what the client calls it where that is believed.
 */
#ifndef LH_HTTP_REQUEST_ID_H
#define LH_HTTP_REQUEST_ID_H

#include "http/exchange.h"

/* 32 hexadecimal digits, or the client's x-request-id, 128 characters at most;
 * NULL: no memory, or the system has no random octets.  It lives as long as the
 * exchange does. */
const char *lh_request_id(struct lh_exchange *ex);

/* lh_log_client() about one request, whose id the line has. */
void lh_log_request(struct lh_exchange *ex, enum lh_log_kind kind,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
