/*
 * What the C library keeps of an open FILE: the octets it has read ahead or
 * holds back, and its position.  With these a FILE and direct operations on
 * its descriptor can be mixed.
 */
#ifndef LH_OS_STDIO_H
#define LH_OS_STDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A second descriptor of a FILE, and what it is good for. */
struct lh_stdio_twin {
    int fd; /* close-on-exec */
    bool readable, writable;
    bool appends;
    bool on_disk;  /* a regular file, a directory, a block device */
    bool standard; /* one of the streams that other programs have too */
    bool shared;   /* likewise, for output, on a disk: its position moves */
};

/* A mode of fopen(), "r", "w" or "a", perhaps with "+" and "b": its usual form,
 * which lasts, and in *flags those of an open(2) that waits neither for a
 * FIFO's other end nor for a modem's carrier.  NULL: it is none. */
const char *lh_stdio_mode(const char *name, int *flags);

/* A FILE of a descriptor that is open for that mode, a usual form: from now on
 * its reads and writes may wait, and children do not get it.  0, or a negative
 * errno and nothing has changed; LH_SYS_EINVAL: it is not open for that. */
int lh_stdio_adopt(int fd, const char *mode, FILE **fp);

/* A FILE of what was opened so, with that mode: from now on its reads and
 * writes may wait.  0, or a negative errno and fd is closed. */
int lh_stdio_open(int fd, const char *mode, FILE **fp);

/* 0 or a negative errno. */
int lh_stdio_duplicate(FILE *fp, struct lh_stdio_twin *twin);

/* Writes what the FILE holds back.  *offset is then the FILE's position, which
 * the descriptor has too, and its buffer is empty; -1: it has no position, and
 * what was read ahead stays there.  0 or a negative errno. */
int lh_stdio_leave(FILE *fp, int64_t *offset);

/* Writes what the FILE holds back and leaves its position to the system, where
 * other threads and programs write too.  0 or a negative errno. */
int lh_stdio_flush(FILE *fp);

/* The descriptor's position. */
uint64_t lh_stdio_offset(int fd);

/* Moves it on by n octets, in one step: where those are for the caller to write
 * begins; or a negative errno. */
int64_t lh_stdio_claim(int fd, size_t n);

/* Octets of the file or block device, or a negative errno, which it is for a
 * directory. */
int64_t lh_stdio_size(int fd);

/* Octets held back, and all of them taken out, nothing written. */
size_t lh_stdio_behind(FILE *fp);
void lh_stdio_take_behind(FILE *fp, void *p);

/* Closes it without waiting for who reads a pipe: what it holds back is lost if
 * there is no room. */
void lh_stdio_close(FILE *fp);

/* Octets read ahead, and up to n of them taken out: never a system call. */
size_t lh_stdio_ahead(const FILE *fp);
size_t lh_stdio_take(FILE *fp, void *p, size_t n);

/* The counterpart of leave: the FILE goes on there (-1: where it was). */
void lh_stdio_resume(FILE *fp, int64_t offset);

/* Puts octets back, to be read first.  False: there is no memory. */
bool lh_stdio_unread(FILE *fp, const void *p, size_t n);

#endif
