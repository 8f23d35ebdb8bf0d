/* The default log, standard error: see base/log.h. */
#include "base/log.h"

#include "os/clock.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const char *level_name(lhttpd_log_level_t level)
{
    switch (level) {
    case LHTTPD_LOG_ERROR:
        return "error";
    case LHTTPD_LOG_WARNING:
        return "warning";
    case LHTTPD_LOG_INFO:
        return "info";
    case LHTTPD_LOG_DEBUG:
        return "debug";
    case LHTTPD_LOG_NOTICE:
    case LHTTPD_LOG_DEFAULT:
        break;
    }
    return "notice";
}

struct line {
    char bytes[8192];
    size_t n;
};

static void add(struct line *line, const char *before, const char *s,
                const char *after)
{
    size_t room = sizeof(line->bytes) - 1 - line->n; /* but the newline */

    if (!s)
        return;
    int n = snprintf(line->bytes + line->n, room, "%s%s%s", before, s, after);
    if (n > 0)
        line->n += (size_t)n < room ? (size_t)n : room - 1;
}

void lh_log_stderr(void *context, const lhttpd_log_entry_t *entry)
{
    struct line line = {.n = 0};
    char date[LH_CLOCK_ISO_BYTES];
    int old_errno = errno;

    (void)context;
    lh_clock_iso_date(lh_clock_unix_s(), date);
    add(&line, "", date, " ");
    add(&line, "", level_name(entry->level), ": ");
    add(&line, "", entry->message, "");
    add(&line, " [", entry->script, "]");
    add(&line, " [", entry->client, "]");
    add(&line, " [", entry->request, "]");
    line.bytes[line.n++] = '\n';
    /* Nobody is left to be told when standard error cannot be written. */
    if (write(STDERR_FILENO, line.bytes, line.n) < 0)
        errno = old_errno;
}
