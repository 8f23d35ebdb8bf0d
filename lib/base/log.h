/*
 * The log: formats one line and hands it to the program's callback, or to
 * standard error.  Callable from every thread; keeps no state.
 */
#ifndef LH_BASE_LOG_H
#define LH_BASE_LOG_H

#include "lhttpd.h"

#include <stdbool.h>

struct lh_log {
    lhttpd_log_fn fn; /* lh_log_stderr for the default */
    void *context;
    lhttpd_log_level_t level;
};

/* What an entry is about; each may be NULL. */
struct lh_log_about {
    const char *script, *client, *request;
};

static inline bool lh_log_wants(const struct lh_log *log,
                                lhttpd_log_level_t level)
{
    return level <= log->level;
}

/* `about` may be NULL.  A message over 4 KiB is cut, what it is about at 1 KiB;
 * in both, newlines become "; ", and control characters and octets that are not
 * UTF-8 are escaped as \xNN. */
void lh_log(const struct lh_log *log, lhttpd_log_level_t level,
            const struct lh_log_about *about, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "2026-11-23T20:39:39Z warning: message [script] [client] [request]" in one
 * write to standard error.  It is in os/: base/ makes no system calls. */
void lh_log_stderr(void *context, const lhttpd_log_entry_t *entry);

#endif
