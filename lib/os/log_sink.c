/*
 * Where the log goes by default, standard error or the system's log: see
 * base/log.h.  Nothing in here waits for a reader.
 */
#include "base/log.h"

#include "os/clock.h"
#include "os/fd.h"
#include "os/lines.h"
#include "os/write_now.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* ---- a line -------------------------------------------------------------- */

struct line {
    char bytes[8192 + 256]; /* an entry, and one about lost lines */
    size_t n;
};

/* What does not fit is left out: the line ends where the room does, and keeps
 * its newline. */
static void line_add(struct line *line, const char *before, const char *s,
                     const char *after)
{
    size_t room = sizeof(line->bytes) - 1 - line->n; /* but the newline */

    if (!s)
        return;
    int n = snprintf(line->bytes + line->n, room, "%s%s%s", before, s, after);
    if (n > 0)
        line->n += (size_t)n < room ? (size_t)n : room - 1;
}

static void line_add_entry(struct line *line, const lhttpd_log_entry_t *entry)
{
    line_add(line, "", entry->message, "");
    line_add(line, " [", entry->script, "]");
    line_add(line, " [", entry->client, "]");
    line_add(line, " [", entry->request, "]");
    line_add(line, " [id ", entry->request_id, "]");
}

#define NOT_READ    "nobody read them in time"
#define NOT_WRITTEN "the file did not take them"

/* What is said about lines that were lost, before the first that is not. */
static lhttpd_log_entry_t note_of_lost(uint64_t lost, const char *why,
                                       char text[100])
{
    snprintf(text, 100, "%llu lines of the log were lost: %s",
             (unsigned long long)lost, why);
    return (lhttpd_log_entry_t){.size = sizeof(lhttpd_log_entry_t),
                                .level = LHTTPD_LOG_WARNING,
                                .message = text};
}

/* Lines of several workers are counted together; who writes next tells them
 * all. */
static uint64_t take_lost(struct lh_log_sink *sink)
{
    return atomic_load(&sink->lost) ? atomic_exchange(&sink->lost, 0) : 0;
}

/* ---- standard error ------------------------------------------------------ */

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

/* With the date and the level in front, since whatever reads standard error
 * may add none. */
static void line_add_dated(struct line *line, const lhttpd_log_entry_t *entry)
{
    char date[LH_CLOCK_ISO_BYTES];

    lh_clock_iso_date(lh_clock_unix_s(), date);
    line_add(line, "", date, " ");
    line_add(line, "", level_name(entry->level), ": ");
    line_add_entry(line, entry);
    line->bytes[line->n++] = '\n';
}

/* In one write, so that lines of several workers do not mix. */
void lh_log_to_stderr(void *context, const lhttpd_log_entry_t *entry)
{
    struct lh_log_sink *sink = context;
    struct line line = {.n = 0};
    uint64_t lost = take_lost(sink);
    int old_errno = errno;
    char text[100];

    if (atomic_load(&sink->cut))
        line.bytes[line.n++] = '\n';
    if (lost) {
        lhttpd_log_entry_t first = note_of_lost(lost, NOT_READ, text);
        line_add_dated(&line, &first);
    }
    size_t told = line.n;
    line_add_dated(&line, entry);
    ssize_t r = lh_write_now(STDERR_FILENO, line.bytes, line.n);
    size_t done = r > 0 ? (size_t)r : 0;
    if (done)
        atomic_store(&sink->cut, done < line.n);
    if (done < line.n)
        atomic_fetch_add(&sink->lost, done < told ? lost + 1 : 1);
    errno = old_errno;
}

/* ---- a file -------------------------------------------------------------- */

/* Room for a newline, in front of the first line; others follow one. */
#define BEFORE_LINE 1

void lh_log_to_file(void *context, const lhttpd_log_entry_t *entry)
{
    struct lh_log_file *file = context;
    struct line line = {.n = BEFORE_LINE};
    int old_errno = errno;
    char text[100];

    lh_lines_count_lost(file);
    uint64_t lost = take_lost(&file->sink);
    if (lost) {
        lhttpd_log_entry_t first = note_of_lost(lost, NOT_WRITTEN, text);
        line_add_dated(&line, &first);
    }
    size_t told = line.n;
    line_add_dated(&line, entry);
    if (lost)
        lh_lines_log(file, line.bytes + BEFORE_LINE, told - BEFORE_LINE, lost);
    lh_lines_log(file, line.bytes + told, line.n - told, 0);
    errno = old_errno;
}

/* ---- the system's log ---------------------------------------------------- */

static bool syslog_reach(int fd)
{
    static const struct sockaddr_un log = {.sun_family = AF_UNIX,
                                           .sun_path = "/dev/log"};

    return connect(fd, (const struct sockaddr *)(const void *)&log,
                   sizeof(log)) == 0;
}

/* "<30>Nov 28 03:47:09 name[pid]: ", as syslog(3) writes it: months are English
 * in every locale. */
static void line_add_head(struct line *line, const char *name,
                          lhttpd_log_level_t level)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    time_t now = time(NULL);
    /* LHTTPD_LOG_ERROR is 1 and LOG_ERR 3, and so on. */
    int priority = LOG_DAEMON | ((int)level + LOG_ERR - LHTTPD_LOG_ERROR);

    localtime_r(&now, &tm);
    int n = snprintf(line->bytes, sizeof(line->bytes),
                     "<%d>%.3s %2d %02d:%02d:%02d %.100s[%d]: ", priority,
                     months + (size_t)3 * (size_t)tm.tm_mon, tm.tm_mday,
                     tm.tm_hour, tm.tm_min, tm.tm_sec, name, (int)getpid());
    line->n = n > 0 ? (size_t)n : 0;
}

static bool send_entry(const struct lh_log_sink *sink,
                       const lhttpd_log_entry_t *entry)
{
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    struct line line;

    line_add_head(&line, sink->name, entry->level);
    line_add_entry(&line, entry);
    if (send(sink->fd, line.bytes, line.n, flags) >= 0)
        return true;
    /* The one who listened there was restarted. */
    return errno != EAGAIN && syslog_reach(sink->fd) &&
           send(sink->fd, line.bytes, line.n, flags) >= 0;
}

void lh_log_to_syslog(void *context, const lhttpd_log_entry_t *entry)
{
    struct lh_log_sink *sink = context;
    uint64_t lost = take_lost(sink);
    int old_errno = errno;
    char text[100];
    lhttpd_log_entry_t first = note_of_lost(lost, NOT_READ, text);

    if (lost && !send_entry(sink, &first))
        atomic_fetch_add(&sink->lost, lost + 1);
    else if (!send_entry(sink, entry))
        atomic_fetch_add(&sink->lost, 1);
    errno = old_errno;
}

/* The name is syslog's; without it the lines go to standard error. */
void lh_log_sink_init(struct lh_log_sink *sink, const char *name)
{
    const int type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

    sink->name = name;
    sink->fd = -1;
    atomic_init(&sink->lost, 0);
    atomic_init(&sink->cut, false);
    if (!name)
        return;
    /* Who cannot be reached now may be when there is something to be said. */
    tzset();
    sink->fd = lh_fd_above(socket(AF_UNIX, type, 0));
    if (sink->fd >= 0)
        syslog_reach(sink->fd);
}

void lh_log_sink_deinit(struct lh_log_sink *sink)
{
    if (sink->fd >= 0)
        close(sink->fd);
    sink->fd = -1;
}
