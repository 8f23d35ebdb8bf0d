/*
 * Parameters behind a field's value, as in "form-data; name=a; filename=b"
 * (RFC 9110, 5.6.6; RFC 2183, 2), and what browsers make of names in them.
 */
#ifndef LH_HTTP_PARAMETER_H
#define LH_HTTP_PARAMETER_H

#include "base/str.h"

struct lh_parameter {
    struct lh_str name, value;
    bool quoted; /* the value is what stood between quotes, escapes and all */
};

/* Takes what stands before the first parameter; *rest is what follows. */
struct lh_str lh_parameter_subject(struct lh_str *rest);

/* The next one; *rest moves past it.  1; 0: there is none left; -1: what there
 * is is none. */
int lh_parameter_next(struct lh_str *rest, struct lh_parameter *parameter);

/* What the value stands for, without the escapes of a quoted string: \" and \\.
 * Any other backslash is one, as browsers send it.  Returns its length, at most
 * that of the value; `out` may be where the value is. */
size_t lh_parameter_text(char *out, const struct lh_parameter *parameter);

/* The name of a form's field or file, in which browsers have written %22, %0D
 * and %0A, and nothing else, for what would end it (HTML, "multipart/form-data
 * encoding algorithm").  As above. */
size_t lh_parameter_form_name(char *out, struct lh_str text);

/* An extended value: UTF-8''%E2%82%AC (RFC 8187, 3.2).  As above; false: it is
 * none, is not UTF-8 or has control characters. */
bool lh_parameter_extended(char *out, struct lh_str value, size_t *n);

#endif
