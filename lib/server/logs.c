/* The files of logs: see logs.h. */
#include "server/logs.h"

#include "server/server.h"

enum { LOG, ACCESS, FILES };

/* --- settings ------------------------------------------------------------- */

static const char *syslog_name(const struct lhttpd_server_t *s)
{
    return s->syslog_name ? s->syslog_name : "lhttpd";
}

/* The log's own places are its sink's: standard error in the place of standard
 * output, and the system's log. */
static void use_sink(struct lhttpd_server_t *s, const char *name)
{
    lh_log_sink_deinit(&s->sink);
    lh_log_sink_init(&s->sink, name);
    s->log.context = &s->sink;
    s->log.fn = name ? lh_log_to_syslog : lh_log_to_stderr;
}

int lh_logs_set_log(struct lhttpd_server_t *s, const char *where,
                    struct lh_err *err)
{
    struct lh_log_file *before = s->log_file, *file = NULL;
    bool syslog = strcmp(where, "syslog") == 0;

    if (s->log.fn != lh_log_to_stderr && s->log.fn != lh_log_to_syslog &&
        s->log.fn != lh_log_to_file)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "the program has the log by a function of its own");
    if (syslog || strcmp(where, "-") == 0) {
        use_sink(s, syslog ? syslog_name(s) : NULL);
    } else {
        int r = lh_log_file_new(&file, where, syslog_name(s), err);
        if (r < 0)
            return r;
        s->log.context = file;
        s->log.fn = lh_log_to_file;
    }
    s->log_file = file;
    lh_log_file_free(before);
    return 0;
}

int lh_logs_set_access(struct lhttpd_server_t *s, const char *where,
                       struct lh_err *err)
{
    struct lh_log_file *file;
    int r = lh_log_file_new(&file, where, syslog_name(s), err);

    if (r < 0)
        return r;
    lh_log_file_free(s->access.file);
    s->access.file = file;
    return 0;
}

int lh_logs_set_format(struct lhttpd_server_t *s, const char *format,
                       struct lh_err *err)
{
    if (!lh_access_format_of(format, &s->access.format))
        return lh_err_set(err, LHTTPD_EINVAL, "common, combined or json");
    return 0;
}

/* --- opening again -------------------------------------------------------- */

static struct lh_log_file *file_of(const struct lhttpd_server_t *s, int i)
{
    return i == LOG ? s->log_file : s->access.file;
}

/* Who rotates logs should learn now that it will not work, not when the old
 * file is gone. */
void lh_logs_look(const struct lhttpd_server_t *s)
{
    struct lh_err why;

    for (int i = 0; i < FILES; i++) {
        const struct lh_log_file *file = file_of(s, i);
        if (file && !lh_log_file_opens_again(file, &why))
            lh_log(&s->log, LHTTPD_LOG_WARNING, NULL,
                   "a log cannot be opened again once it was moved away, by "
                   "this user and in this root directory: %s",
                   why.text);
    }
}

/* First all files are opened, then all are changed, which cannot fail: or one
 * log would go on in the new file and another one in the old. */
int lh_logs_reopen(struct lhttpd_server_t *s, struct lh_err *err)
{
    struct lh_log_opened opened[FILES];
    int n = 0, r = 0;

    for (; n < FILES && r == 0; n++) {
        opened[n].fd = -1;
        if (file_of(s, n))
            r = lh_log_file_open_again(file_of(s, n), &opened[n], err);
    }
    for (int i = 0; i < n; i++) {
        if (r == 0 && file_of(s, i))
            lh_log_file_change(file_of(s, i), &opened[i]);
        else
            lh_log_file_let_go(&opened[i]);
    }
    if (r < 0)
        lh_err_prefix(err, "reopen: the logs stay as they are");
    else
        lh_log(&s->log, LHTTPD_LOG_NOTICE, NULL, "logs are opened again");
    return r;
}

void lh_logs_free(struct lhttpd_server_t *s)
{
    lh_log_file_free(s->log_file);
    lh_log_file_free(s->access.file);
}
