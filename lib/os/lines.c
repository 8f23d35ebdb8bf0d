/*
 * Lines on their way: see lines.h.  What leaves begins with a whole line, after
 * a newline where the file ends within one of ours that was lost; so a disk
 * that was full has damaged one line at most.
 *
 * file->sink.cut says that it ends so, whichever thread's line that was.  Who
 * takes it puts the newline there, and raises it again if that does not leave.
 */
#include "os/lines.h"

#include "base/mem.h"
#include "base/num.h"
#include "os/error.h"
#include "os/write_now.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

#define PART_BYTES ((size_t)16 << 10) /* at first */

/* In front of the lines: a newline, sometimes. */
#define HEAD_BYTES 1

/* --- parts ---------------------------------------------------------------- */

static size_t left_of(const struct lh_lines_part *part)
{
    return part->n - part->at;
}

/* What a flood has made large is given back. */
static void empty_part(struct lh_lines_part *part)
{
    part->at = part->n = HEAD_BYTES;
    part->resumes = false;
    part->tells = 0;
    if (part->room <= LH_LINES_KEPT_BYTES)
        return;
    lh_free(part->p);
    part->p = NULL;
    part->room = 0;
}

/* Moves what is left to the front, once that is less than what has left. */
static void compact(struct lh_lines_part *part)
{
    size_t left = left_of(part);

    if (part->at - HEAD_BYTES <= left)
        return;
    memmove(part->p + HEAD_BYTES, part->p + part->at, left);
    if (part->tells)
        part->told -= part->at - HEAD_BYTES;
    part->at = HEAD_BYTES;
    part->n = HEAD_BYTES + left;
}

static bool grow_lines(struct lh_lines_part *part, size_t n)
{
    size_t room = part->room ? part->room : PART_BYTES;

    while (room - part->n < n)
        room *= 2;
    if (room == part->room)
        return true;
    char *p = lh_realloc(part->p, room);
    if (!p)
        return false;
    part->p = p;
    part->room = room;
    return true;
}

/* --- their beginning and end ---------------------------------------------- */

void lh_lines_init(struct lh_lines *l, struct lh_log_file *file,
                   struct lh_aio *aio)
{
    *l = (struct lh_lines){.file = file, .aio = aio};
    empty_part(&l->waiting);
    empty_part(&l->leaving);
}

void lh_lines_deinit(struct lh_lines *l)
{
    assert(!l->busy);
    lh_free(l->waiting.p);
    lh_free(l->leaving.p);
    l->waiting.p = l->leaving.p = NULL;
}

static void lose_line(struct lh_lines *l, int why)
{
    l->lost++;
    l->why = why;
}

/* The newline in front has not left: it is the next one's to put there. */
static void take_newline_back(const struct lh_lines *l,
                              struct lh_lines_part *part)
{
    if (part->at >= HEAD_BYTES)
        return;
    part->at = HEAD_BYTES;
    atomic_store(&l->file->sink.cut, true);
}

/* Whatever has not left of them is lost. */
static void lose_part(struct lh_lines *l, struct lh_lines_part *part, int why)
{
    take_newline_back(l, part);
    const char *p = part->p + part->at, *end = part->p + part->n;

    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        lose_line(l, why);
        p++;
    }
    l->lost += part->tells;
    empty_part(part);
}

void lh_lines_lose(struct lh_lines *l)
{
    assert(!l->busy);
    if (left_of(&l->waiting))
        lose_part(l, &l->waiting, 0);
}

char *lh_lines_room(struct lh_lines *l, size_t n)
{
    size_t held = left_of(&l->waiting) + left_of(&l->leaving);

    if (held >= LH_LINES_BYTES || n > LH_LINES_BYTES - held) {
        lose_line(l, 0);
        return NULL;
    }
    compact(&l->waiting);
    if (!grow_lines(&l->waiting, n)) {
        lose_line(l, LH_SYS_ENOMEM);
        return NULL;
    }
    return l->waiting.p + l->waiting.n;
}

void lh_lines_give(struct lh_lines *l, size_t n)
{
    l->waiting.n += n;
    assert(l->waiting.n <= l->waiting.room &&
           l->waiting.p[l->waiting.n - 1] == '\n');
}

/* --- the log's ------------------------------------------------------------ */

static _Thread_local struct lh_lines *of_thread;

/* Those who have lines of their own tell what they have lost by then. */
static void drop_lines(struct lh_log_file *file, struct lh_lines *l)
{
    if (!l->lost)
        return;
    atomic_fetch_add(&file->sink.lost, l->lost);
    l->lost = 0;
}

void lh_lines_of_thread(struct lh_lines *l)
{
    if (of_thread && of_thread->file)
        drop_lines(of_thread->file, of_thread);
    of_thread = l;
}

static struct lh_lines *lines_for(const struct lh_log_file *file)
{
    return of_thread && of_thread->file == file ? of_thread : NULL;
}

void lh_lines_count_lost(struct lh_log_file *file)
{
    struct lh_lines *l = lines_for(file);

    if (l)
        drop_lines(file, l);
}

static bool log_later(struct lh_lines *l, const char *line, size_t n)
{
    char *room = lh_lines_room(l, n);

    if (room) {
        memcpy(room, line, n);
        lh_lines_give(l, n);
    }
    return room != NULL;
}

/* The line that was just given tells of lost ones: should it be lost in its
 * turn they are counted again, in its place. */
static void keep_told(struct lh_lines_part *part, uint64_t tells)
{
    if (tells < 2)
        return;
    part->tells += tells - 1;
    part->told = part->n;
}

/* True: it ended within a line, and who asks ends that. */
static bool takes_cut(struct lh_log_file *file)
{
    return atomic_load(&file->sink.cut) &&
           atomic_exchange(&file->sink.cut, false);
}

/* Of a thread that has no lines: none may wait for it to come by again. */
static bool log_now(struct lh_log_file *file, char *line, size_t n)
{
    bool was_cut = takes_cut(file);

    if (was_cut) {
        *--line = '\n';
        n++;
    }
    ssize_t r = lh_write_now(file->fd, line, n);
    if (r > 0 ? line[r - 1] != '\n' : was_cut)
        atomic_store(&file->sink.cut, true);
    return r > 0 && (size_t)r == n;
}

/* What is collected counts its own losses, which the log itself tells. */
void lh_lines_log(struct lh_log_file *file, char *line, size_t n,
                  uint64_t tells)
{
    struct lh_lines *l = lines_for(file);

    if (!l) {
        if (!log_now(file, line, n))
            atomic_fetch_add(&file->sink.lost, tells ? tells : 1);
        return;
    }
    if (log_later(l, line, n))
        keep_told(&l->waiting, tells);
    else
        l->lost += tells ? tells - 1 : 0;
    drop_lines(file, l);
}

/* --- to a file ------------------------------------------------------------ */

/* So much of a part is with the reader. */
static void file_moved(struct lh_lines *l, struct lh_lines_part *part, size_t n)
{
    part->at += n;
    bool within = part->p[part->at - 1] != '\n';
    if (within || part->resumes)
        atomic_store(&l->file->sink.cut, within);
    part->resumes = within;
    if (part->at >= part->told)
        part->tells = 0;
}

static void begin_lines(const struct lh_lines *l, struct lh_lines_part *part)
{
    if (!part->resumes && takes_cut(l->file))
        part->p[--part->at] = '\n';
}

static void add_operation(struct lh_lines *l)
{
    struct lh_lines_part *part = &l->leaving;

    l->op.fd = l->file->fd;
    l->op.p = part->p + part->at;
    l->op.n = left_of(part);
    l->busy = true;
    lh_aio_add(l->aio, &l->op);
}

/* What was written in part is tried again, to learn what is wrong. */
static void complete_write(struct lh_aio_op *op)
{
    struct lh_lines *l = LH_OF(op, struct lh_lines, op);
    struct lh_lines_part *part = &l->leaving;

    l->busy = false;
    if (op->result > 0)
        file_moved(l, part, (size_t)op->result);
    if (!left_of(part))
        empty_part(part);
    else if (op->result > 0)
        add_operation(l);
    else
        lose_part(l, part, op->result ? (int)op->result : LH_SYS_EIO);
}

static void leave_by_operation(struct lh_lines *l)
{
    struct lh_lines_part part = l->leaving;

    l->leaving = l->waiting;
    l->waiting = part;
    l->stalled = false; /* that was a pipe's reader, in the file's place */
    begin_lines(l, &l->leaving);
    l->op.kind = LH_AIO_WRITE;
    l->op.offset = LH_AIO_NO_OFFSET;
    l->op.complete = complete_write;
    add_operation(l);
}

/* --- to who takes what it can --------------------------------------------- */

/* As many whole lines as several writers may put into a pipe at once without
 * mixing them, or one that is longer. */
static size_t next_piece(const struct lh_lines_part *part)
{
    const char *p = part->p + part->at;
    size_t n = lh_min(left_of(part), PIPE_BUF), k = n;

    while (k && p[k - 1] != '\n')
        k--;
    if (k)
        return k;
    const char *end = memchr(p + n, '\n', left_of(part) - n);
    return end ? (size_t)(end + 1 - p) : left_of(part);
}

static void leave_now(struct lh_lines *l)
{
    struct lh_lines_part *part = &l->waiting;

    begin_lines(l, part);
    while (left_of(part)) {
        size_t n = next_piece(part);
        ssize_t r = lh_write_now(l->file->fd, part->p + part->at, n);
        l->stalled = r == -EAGAIN || r == -EINTR || (r > 0 && (size_t)r < n);
        if (r > 0)
            file_moved(l, part, (size_t)r);
        if (l->stalled) {
            take_newline_back(l, part);
            return;
        }
        if (r <= 0) {
            lose_part(l, part, r ? (int)r : LH_SYS_EIO);
            return;
        }
    }
    empty_part(part);
}

/* --- to the system's log -------------------------------------------------- */

/* It counts what it loses by itself. */
static void leave_to_syslog(struct lh_lines *l)
{
    struct lh_lines_part *part = &l->waiting;
    lhttpd_log_entry_t entry = {.size = sizeof(entry),
                                .level = LHTTPD_LOG_INFO};

    while (left_of(part)) {
        char *line = part->p + part->at;
        char *end = memchr(line, '\n', left_of(part));
        *end = '\0';
        entry.message = line;
        l->file->put_line(&l->file->sink, &entry);
        part->at += (size_t)(end + 1 - line);
    }
    empty_part(part);
}

void lh_lines_leave(struct lh_lines *l)
{
    if (l->waiting.n == l->waiting.at || l->busy)
        return;
    switch (atomic_load(&l->file->way)) {
    case LH_LOG_WAY_FILE:
        leave_by_operation(l);
        break;
    case LH_LOG_WAY_SYSLOG:
        leave_to_syslog(l);
        break;
    default:
        leave_now(l);
        break;
    }
}
