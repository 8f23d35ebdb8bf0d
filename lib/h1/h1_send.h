/*
 * Output of an HTTP/1 connection: responses, and answers of our own.
 */
#ifndef LH_H1_SEND_H
#define LH_H1_SEND_H

#include "h1/h1_out.h"
#include "h1/h1_state.h"

/* Queues an answer of our own and closes.  `page` NULL: the usual one. */
void lh_h1_refuse(struct lh_h1 *c, unsigned status, const char *page,
                  bool no_body);

/* The same for a fault of the client's, which is logged: `why` says what was
 * wrong, and where. */
void lh_h1_refuse_client(struct lh_h1 *c, unsigned status, const char *why,
                         bool no_body);

/* May a whole response be put into the queue, to make place for the next
 * request?  And do it. */
bool lh_h1_can_queue(const struct lh_h1 *c);
void lh_h1_queue_response(struct lh_h1 *c);

bool lh_h1_has_output(const struct lh_h1 *c);
size_t lh_h1_pull(void *c, uint8_t *out, size_t room);
size_t lh_h1_locate(void *c, struct lh_place *place);
void lh_h1_moved(void *c, size_t n);

#endif
