/* Status codes (RFC 9110, 15), their phrases and the pages of our own errors.
 */
#ifndef LH_HTTP_STATUS_H
#define LH_HTTP_STATUS_H

#include "base/str.h"

/* "Not Found"; "" for a code without a registered phrase. */
const char *lh_status_phrase(unsigned status);

/* Does a response with this status carry no content?  1xx, 204, 304. */
int lh_status_has_no_body(unsigned status);

/* A small HTML page that names the status, which lasts for ever. */
struct lh_str lh_status_page(unsigned status);

#endif
