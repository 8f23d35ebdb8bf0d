/* The files of logs: see logs.h. */
#include "server/logs.h"

#include "server/server.h"

enum { FILES = 1 };

/* --- settings ------------------------------------------------------------- */

static int set_file(struct lhttpd_server_t *s, struct lh_log_file **file,
                    const char *where, struct lh_err *err)
{
    const char *name = s->syslog_name ? s->syslog_name : "lhttpd";
    struct lh_log_file *other;
    int r = lh_log_file_new(&other, where, name, err);

    if (r < 0)
        return r;
    lh_log_file_free(*file);
    *file = other;
    return 0;
}

int lh_logs_set_access(struct lhttpd_server_t *s, const char *where,
                       struct lh_err *err)
{
    return set_file(s, &s->access.file, where, err);
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
    (void)i;
    return s->access.file;
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
    lh_log_file_free(s->access.file);
}
