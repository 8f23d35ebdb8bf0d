/* Errors in words: see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that is too long is cut: its beginning says what failed. */
int lh_err_set(struct lh_err *err, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}

int lh_err_memory(struct lh_err *err)
{
    return lh_err_set(err, LHTTPD_ENOMEM, "out of memory");
}

void lh_err_prefix(struct lh_err *err, const char *what)
{
    char old[LH_ERR_TEXT_BYTES];

    memcpy(old, err->text, sizeof(old));
    /* Cutting an overlong text is what is wanted here. */
    int n = snprintf(err->text, sizeof(err->text), "%s: ", what);
    if (n < 0 || (size_t)n >= sizeof(err->text))
        return;
    size_t room = sizeof(err->text) - (size_t)n - 1;
    size_t len = strnlen(old, sizeof(old) - 1);
    if (len > room)
        len = room;
    memcpy(err->text + n, old, len);
    err->text[(size_t)n + len] = '\0';
}
