/* Answers that send the client elsewhere.  The exchange's handler gives them,
 * and the response has ended afterwards. */
#ifndef LH_HTTP_REDIRECT_H
#define LH_HTTP_REDIRECT_H

#include "http/exchange.h"

/* 308 to the location, which lives as long as the exchange; .p NULL: there was
 * no memory for it. */
void lh_redirect(struct lh_exchange *ex, struct lh_str location);

/* To the request's own target with a slash behind its path. */
void lh_redirect_to_slash(struct lh_exchange *ex);

#endif
