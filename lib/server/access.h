/*
 * The access log, and the program's own function: what is told of each request
 * that has ended, by its worker.
 */
#ifndef LH_SERVER_ACCESS_H
#define LH_SERVER_ACCESS_H

#include "http/exchange.h"
#include "os/lines.h"
#include "server/access_line.h"

/* Who wants to know, of a server; does not change while it runs. */
struct lh_access {
    lhttpd_access_fn fn; /* NULL: the program does not */
    void *context;
    struct lh_log_file *file; /* NULL: there is no log */
    enum lh_access_format format;
};

/* A worker's part of it. */
struct lh_access_writer {
    const struct lh_access *access; /* NULL: nobody wants to know */
    struct lh_context *ctx;
    int64_t unix_s;   /* when `epoch_us` was found out, as ctx->unix_s */
    int64_t epoch_us; /* the calendar's time when ctx->now_us was 0 */
    struct lh_access_dates dates;
    struct lh_lines lines;
    uint64_t since_ms; /* when the first line came of those that wait */
    uint64_t untold;   /* lines that were lost, and the log does not know yet */
    struct lh_timer tells; /* armed while there are some */
    uint64_t told_ms;      /* when it last did */
};

void lh_access_init(struct lh_access_writer *a, const struct lh_access *access,
                    struct lh_context *ctx);
void lh_access_deinit(struct lh_access_writer *a);

/* A request has ended.  `prefix`: of its mapping, "" for the root, or NULL. */
void lh_access_add(struct lh_access_writer *a, struct lh_exchange *ex,
                   const char *prefix);

/* Once a turn, before lh_aio_submit(): lines leave once there are many, or
 * after a few milliseconds; `now`: at once. */
void lh_access_leave(struct lh_access_writer *a, bool now);

/* When that wants to be called again, in milliseconds; -1: what comes by itself
 * is soon enough. */
int lh_access_wait_ms(const struct lh_access_writer *a, bool now);

/* Nothing more comes: what has not left is lost, and told. */
void lh_access_end(struct lh_access_writer *a);

#endif
