/*
 * What glibc keeps of an open FILE: see stdio_libc.h.  The members of struct
 * _IO_FILE are part of its ABI.  By its functions alone it does not go:
 * fseeko() would read synchronously, and would go on to use octets of the
 * buffer that the file does not have any more.
 */
#include "os/stdio.h"
#include "os/stdio_libc.h"

#include <stdio_ext.h>

/* In _flags: the buffer holds output. */
#define PUTTING 0x0800

void lh_stdio_empty_buffer(FILE *fp)
{
    __fpurge(fp);
    fp->_IO_read_base = fp->_IO_read_ptr = fp->_IO_read_end = fp->_IO_buf_base;
    fp->_IO_write_base = fp->_IO_write_ptr = fp->_IO_write_end =
        fp->_IO_buf_base;
    fp->_flags &= ~PUTTING;
    lh_stdio_forget_position(fp);
}

void lh_stdio_forget_position(FILE *fp)
{
    fp->_offset = -1;
}

void lh_stdio_forget_end(FILE *fp)
{
    fp->_flags &= ~_IO_EOF_SEEN;
}

size_t lh_stdio_behind(FILE *fp)
{
    return __fpending(fp);
}

const void *lh_stdio_pending(FILE *fp)
{
    return fp->_IO_write_base;
}

size_t lh_stdio_ahead(const FILE *fp)
{
    return (size_t)(fp->_IO_read_end - fp->_IO_read_ptr);
}

/* Its buffer for what is put back grows as needed. */
bool lh_stdio_unread(FILE *fp, const void *p, size_t n)
{
    const unsigned char *octets = p;

    while (n > 0)
        if (ungetc(octets[--n], fp) == EOF)
            return false;
    return true;
}
