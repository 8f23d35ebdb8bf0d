/*
 * The log: formats one line and hands it to the program's callback, or to a
 * sink of our own.  Callable from every thread; keeps no state but a sink's
 * counts.
 */
#ifndef LH_BASE_LOG_H
#define LH_BASE_LOG_H

#include "base/str.h"
#include "lhttpd.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>

struct lh_log {
    lhttpd_log_fn fn; /* lh_log_to_..., or the program's */
    void *context;    /* of stderr and syslog: a struct lh_log_sink */
    lhttpd_log_level_t level;
};

/* What an entry is about; each may be NULL.  A request line has the client's
 * octets, zeroes among them perhaps. */
struct lh_log_about {
    const char *script, *client;
    struct lh_str request;
    const char *id; /* the request's: printable, short */
};

static inline bool lh_log_wants(const struct lh_log *log,
                                lhttpd_log_level_t level)
{
    return level <= log->level;
}

/* One line of printable text, with a zero at its end, of what somebody else has
 * written: newlines become "; ", and what is not a printable character in UTF-8
 * is escaped as \xNN, zeroes too.  What does not fit ends in "...". */
void lh_log_clean(char *to, size_t room, struct lh_str from);

/* `about` may be NULL.  A message over 4 KiB is cut, what it is about at 1 KiB,
 * and both are cleaned. */
void lh_log_text(const struct lh_log *log, lhttpd_log_level_t level,
                 const struct lh_log_about *about, struct lh_str text);

/* The same for words of ours; of a string that comes from outside, "%s" takes
 * what stands before its first zero. */
void lh_log(const struct lh_log *log, lhttpd_log_level_t level,
            const struct lh_log_about *about, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

void lh_log_args(const struct lh_log *log, lhttpd_log_level_t level,
                 const struct lh_log_about *about, const char *format,
                 va_list args) __attribute__((format(printf, 4, 0)));

/*
 * Where the log goes without a callback; in os/log_sink.c, since base/ makes no
 * system calls.  Both write a line now or not at all: whoever reads them may
 * stall, and no worker may wait for that.  Lines that were lost are counted,
 * and told with the next line that gets through.
 */
struct lh_log_sink {
    const char *name; /* who we are to the system's log */
    int fd;           /* its socket; -1: there is none */
    _Atomic uint64_t lost;
    _Atomic bool cut; /* standard error, or the file, ends within a line */
};

/* "2026-11-23T20:39:39Z warning: message [script] [client] [request] [id ...]".
 */
void lh_log_to_stderr(void *sink, const lhttpd_log_entry_t *entry);
/* The same without date and level, as the facility daemon. */
void lh_log_to_syslog(void *sink, const lhttpd_log_entry_t *entry);
/* As on standard error; the context is a struct lh_log_file (os/log_file.h). */
void lh_log_to_file(void *file, const lhttpd_log_entry_t *entry);

/* Opens the system's log, while its socket can be reached, that is before a
 * chroot; `name` NULL: standard error, for which nothing is opened.  `name`
 * must outlive the sink. */
void lh_log_sink_init(struct lh_log_sink *sink, const char *name);
void lh_log_sink_deinit(struct lh_log_sink *sink);

#endif
