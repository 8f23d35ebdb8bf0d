/* The clocks. */
#ifndef LH_OS_CLOCK_H
#define LH_OS_CLOCK_H

#include <stdint.h>

uint64_t lh_clock_ms(void);     /* monotonic; cheap, to a few milliseconds */
uint64_t lh_clock_ns(void);     /* monotonic; exact */
int64_t lh_clock_unix_s(void);  /* seconds since 1970-01-01 UTC */
int64_t lh_clock_unix_us(void); /* microseconds since then */

/* All take times outside the years 0 to 9999 as the nearest inside. */

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7); out holds 30 bytes. */
void lh_clock_imf_date(int64_t unix_s, char out[30]);

/* "1994-11-06T08:49:37Z" (RFC 3339). */
#define LH_CLOCK_ISO_BYTES 21
void lh_clock_iso_date(int64_t unix_s, char out[LH_CLOCK_ISO_BYTES]);

/* "06/Nov/1994:08:49:37 +0000", as web servers' logs have it. */
#define LH_CLOCK_CLF_BYTES 27
void lh_clock_clf_date(int64_t unix_s, char out[LH_CLOCK_CLF_BYTES]);

#endif
