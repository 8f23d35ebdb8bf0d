/*
 * What FreeBSD's C library keeps of an open FILE: see stdio_libc.h.  The
 * members of struct __sFILE are public.  While octets that were put back are
 * read, they are the buffer, and _up and _ur say where the real one goes on.
 */
#include "os/stdio.h"
#include "os/stdio_libc.h"

void lh_stdio_empty_buffer(FILE *fp)
{
    fpurge(fp);
    lh_stdio_forget_position(fp);
}

void lh_stdio_forget_position(FILE *fp)
{
    fp->_flags &= (short)~__SOFF;
}

void lh_stdio_forget_end(FILE *fp)
{
    fp->_flags &= (short)~__SEOF;
}

size_t lh_stdio_behind(FILE *fp)
{
    return fp->_flags & __SWR ? (size_t)(fp->_p - fp->_bf._base) : 0;
}

const void *lh_stdio_pending(FILE *fp)
{
    return fp->_bf._base;
}

size_t lh_stdio_ahead(const FILE *fp)
{
    int n = fp->_r + (fp->_ub._base ? fp->_ur : 0);

    return fp->_flags & __SRD && n > 0 ? (size_t)n : 0;
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
