/*
 * A file that lines are added to for years: opened once, while the process may,
 * and again after somebody has moved it away.  Shared by all threads; what it
 * is open as changes under its descriptor, so nobody has to be told.
 */
#ifndef LH_OS_LOG_FILE_H
#define LH_OS_LOG_FILE_H

#include "base/err.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdbool.h>

/* How lines get there. */
enum lh_log_way {
    LH_LOG_WAY_FILE,   /* a file that is appended to: takes what it is given */
    LH_LOG_WAY_NOW,    /* a pipe, a terminal, a socket: takes what it can now */
    LH_LOG_WAY_SYSLOG, /* the system's log, line by line */
};

struct lh_log_file {
    char *where; /* a path, "-" or "syslog" */
    int fd;      /* the same one for good; -1: syslog */
    _Atomic int way;
    lhttpd_log_fn put_line;  /* syslog: one line, with &sink */
    struct lh_log_sink sink; /* of syslog; what was lost, and whether it is cut
                              */
};

/* What a path leads to now; -1: nothing is opened again. */
struct lh_log_opened {
    int fd, way;
};

/*
 * `where`: a path, whose file is made with mode 0640 where there is none; "-",
 * standard output; or "syslog", as `name`, which must outlive the file.
 * LHTTPD_EINVAL or LHTTPD_ESYSTEM with words, LHTTPD_ENOMEM.
 */
int lh_log_file_new(struct lh_log_file **file, const char *where,
                    const char *name, struct lh_err *err);
void lh_log_file_free(struct lh_log_file *file); /* NULL allowed */

/* Opens the path again, in two steps, of which only the first can fail: so that
 * several files are all opened anew or none.  `opened` is put into the file's
 * place, or let go. */
int lh_log_file_open_again(const struct lh_log_file *file,
                           struct lh_log_opened *opened, struct lh_err *err);
void lh_log_file_change(struct lh_log_file *file, struct lh_log_opened *opened);
void lh_log_file_let_go(struct lh_log_opened *opened);

/* Would that work, also once the file has been moved away?  Where the process
 * has given up its rights, or its root directory, meanwhile it may not; the
 * words say why. */
bool lh_log_file_opens_again(const struct lh_log_file *file,
                             struct lh_err *why);

#endif
