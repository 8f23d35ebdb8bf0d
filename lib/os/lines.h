/*
 * Lines of one thread on their way to a file that all threads add to.  They are
 * collected, and leave in one operation a turn; while that is under way, the
 * next ones are collected.  Nobody waits: where the file does not take them,
 * lines are lost and counted.
 */
#ifndef LH_OS_LINES_H
#define LH_OS_LINES_H

#include "os/aio.h"
#include "os/log_file.h"

/* What may wait of a thread's lines. */
#define LH_LINES_BYTES ((size_t)1 << 20)

/* Memory for so much is kept, twice; what a flood needs besides is not. */
#define LH_LINES_KEPT_BYTES ((size_t)256 << 10)

/* Memory with lines; an octet in front is free for a newline. */
struct lh_lines_part {
    char *p;
    size_t at, n, room; /* what is left is from `at` to `n` */
    bool resumes;       /* its first line has left in part */
    uint64_t tells;     /* lost lines that lines before `told` tell of, but for
                           as many as these lines are */
    size_t told;
};

struct lh_lines {
    struct lh_log_file *file; /* NULL: no lines */
    struct lh_aio *aio;
    struct lh_aio_op op;
    bool busy;    /* `leaving` is under way */
    bool stalled; /* the last one who was asked took nothing */
    struct lh_lines_part waiting, leaving;
    uint64_t lost; /* lines, since somebody took that */
    int why;       /* the last loss: a negative errno, or 0: too many waited */
};

/* `file` NULL: there will be none. */
void lh_lines_init(struct lh_lines *l, struct lh_log_file *file,
                   struct lh_aio *aio);
void lh_lines_deinit(struct lh_lines *l); /* not while busy */

/* Room for a line of at most n octets, of which the caller fills some and gives
 * in; NULL: the line is lost, and counted. */
char *lh_lines_room(struct lh_lines *l, size_t n);
void lh_lines_give(struct lh_lines *l, size_t n);

/* Sends off what has been collected, if it can leave now.  Before
 * lh_aio_submit(). */
void lh_lines_leave(struct lh_lines *l);

/* From here on the log's lines of this thread, if they are for the same file,
 * are among these; NULL: they are written one by one. */
void lh_lines_of_thread(struct lh_lines *l);

/* A line of the log, which lh_log_to_file() makes: with the log's other ones of
 * this thread, or at once.  An octet in front of it is free for a newline.
 * `tells`: how many lost lines it tells of; 0: it is of something else.  Where
 * it is lost itself, file->sink counts those again, or it. */
void lh_lines_log(struct lh_log_file *file, char *line, size_t n,
                  uint64_t tells);

/* Counts in file->sink what this thread has lost of the log's lines. */
void lh_lines_count_lost(struct lh_log_file *file);

/* What has not left is lost; not while busy. */
void lh_lines_lose(struct lh_lines *l);

/* Has everything left? */
static inline bool lh_lines_have_left(const struct lh_lines *l)
{
    return l->waiting.n == l->waiting.at && !l->busy;
}

static inline size_t lh_lines_waiting(const struct lh_lines *l)
{
    return l->waiting.n - l->waiting.at;
}

/* Is there something to send off, and nothing under way? */
static inline bool lh_lines_may_leave(const struct lh_lines *l)
{
    return lh_lines_waiting(l) && !l->busy;
}

#endif
