/* Characters that mean something where a text is put: in HTML, in a URL. */
#ifndef LH_HTTP_ESCAPE_H
#define LH_HTTP_ESCAPE_H

#include <stdbool.h>

/* What stands for the character in HTML's text and in attributes with either
 * kind of quotes: "&lt;".  NULL: it stands for itself. */
const char *lh_escape_html(char c);

/* Does it need no escape anywhere in a URL?  (RFC 3986, 2.3: "unreserved") */
bool lh_escape_is_unreserved(char c);

/* "%2F", without an end mark (RFC 3986, 2.1). */
void lh_escape_octet(char out[3], char c);

#endif
