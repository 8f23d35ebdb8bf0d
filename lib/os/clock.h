/* The clocks. */
#ifndef LH_OS_CLOCK_H
#define LH_OS_CLOCK_H

#include <stdint.h>

uint64_t lh_clock_ms(void);    /* monotonic; cheap, to a few milliseconds */
uint64_t lh_clock_ns(void);    /* monotonic; exact */
int64_t lh_clock_unix_s(void); /* seconds since 1970-01-01 UTC */

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7); out holds 30 bytes. */
void lh_clock_imf_date(int64_t unix_s, char out[30]);

#endif
