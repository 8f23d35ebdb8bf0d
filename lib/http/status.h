/* Status codes (RFC 9110, 15), their phrases and the pages of our own errors.
 */
#ifndef LH_HTTP_STATUS_H
#define LH_HTTP_STATUS_H

#include <stddef.h>

/* "Not Found"; "" for a code without a registered phrase. */
const char *lh_status_phrase(unsigned status);

/* Does a response with this status carry no content?  1xx, 204, 304. */
int lh_status_has_no_body(unsigned status);

/* A small HTML page that names the status; returns its length, at most 512. */
#define LH_STATUS_PAGE_BYTES 512
size_t lh_status_page(unsigned status, char out[LH_STATUS_PAGE_BYTES]);

#endif
