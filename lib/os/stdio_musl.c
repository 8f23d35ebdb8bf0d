/*
 * What musl keeps of an open FILE: see stdio_libc.h.  <stdio_ext.h> tells most
 * of it.  The rest are the first members of struct _IO_FILE, which have not
 * moved since musl 0.9; the unit test of stdio.h shows where they would.
 *
 * ungetc() takes no more than the buffer has room for, 1032 octets.  So what is
 * put back becomes the buffer itself: a block that is larger, which fclose()
 * frees with the FILE, since it hangs where fgetln() keeps its line.  Nobody
 * else calls that.
 */
#include "os/stdio.h"
#include "os/stdio_libc.h"

#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define FLAG_EOF 16u

/* Octets in front of the buffer, for ungetc(). */
#define UNGET 8

struct musl_file {
    unsigned flags;
    unsigned char *rpos, *rend; /* what was read ahead */
    int (*close)(FILE *);
    unsigned char *wend, *wpos;
    unsigned char *must_be_zero_1;
    unsigned char *wbase; /* from here to wpos: what waits to be written */
    size_t (*read)(FILE *, unsigned char *, size_t);
    size_t (*write)(FILE *, const unsigned char *, size_t);
    off_t (*seek)(FILE *, off_t, int);
    unsigned char *buf;
    size_t buf_size;
    FILE *prev, *next;
    int fd;
    int pipe_pid;
    long lock_count;
    int mode;
    volatile int lock;
    int lbf;
    void *cookie;
    off_t off;
    char *line; /* fgetln()'s, freed by fclose() */
};

static struct musl_file *musl(FILE *fp)
{
    return (struct musl_file *)(void *)fp;
}

void lh_stdio_empty_buffer(FILE *fp)
{
    __fpurge(fp);
}

/* It asks the system each time. */
void lh_stdio_forget_position(FILE *fp)
{
    (void)fp;
}

void lh_stdio_forget_end(FILE *fp)
{
    musl(fp)->flags &= ~FLAG_EOF;
}

size_t lh_stdio_behind(FILE *fp)
{
    return __fpending(fp);
}

const void *lh_stdio_pending(FILE *fp)
{
    return musl(fp)->wbase;
}

size_t lh_stdio_ahead(const FILE *fp)
{
    return __freadahead((FILE *)(void *)fp);
}

bool lh_stdio_unread(FILE *fp, const void *p, size_t n)
{
    struct musl_file *file = musl(fp);
    size_t ahead = lh_stdio_ahead(fp), room = n + ahead;

    if (room < file->buf_size)
        room = file->buf_size;
    unsigned char *block = malloc(UNGET + room);
    if (!block)
        return false;
    memcpy(block + UNGET, p, n);
    if (ahead)
        memcpy(block + UNGET + n, file->rpos, ahead);
    __fpurge(fp);
    free(file->line);
    file->line = (char *)block;
    file->buf = block + UNGET;
    file->buf_size = room;
    file->rpos = file->buf;
    file->rend = file->buf + n + ahead;
    lh_stdio_forget_end(fp);
    return true;
}
