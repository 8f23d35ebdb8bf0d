/* The objects of a PEM text (RFC 7468). */
#ifndef LH_NET_PEM_H
#define LH_NET_PEM_H

#include <stddef.h>
#include <stdint.h>

/* One object: `label` is "CERTIFICATE" and the like, the bytes are valid during
 * the call.  Not 0 ends the walk. */
typedef int (*lh_pem_fn)(void *context, const char *label, const uint8_t *der,
                         size_t n);

/* 0, what the function returned, LHTTPD_ENOMEM, or LHTTPD_ECERT where the text
 * is damaged or cut short.  Text around the objects is skipped. */
int lh_pem_each(const void *text, size_t n, lh_pem_fn fn, void *context);

#endif
