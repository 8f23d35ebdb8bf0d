/*
 * What may last how long on an HTTP/1 connection.
 */
#ifndef LH_H1_TIME_H
#define LH_H1_TIME_H

#include "h1/h1_state.h"

uint64_t lh_h1_deadline(const void *c);
void lh_h1_expire(void *c);

/* The handler began or ceased to wait for the body, in the state BODY. */
void lh_h1_keep_pace(struct lh_h1 *c);

#endif
