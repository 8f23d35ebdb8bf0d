/*
 * What only the C library knows of an open FILE: its buffer.  One file for each
 * library, which CMake chooses: stdio_glibc.c, stdio_musl.c or stdio_bsd.c.
 */
#ifndef LH_OS_STDIO_LIBC_H
#define LH_OS_STDIO_LIBC_H

#include <stdio.h>

/* The buffer has neither octets read ahead nor such that wait to be written,
 * and the library does not believe to know the position. */
void lh_stdio_empty_buffer(FILE *fp);

/* It does not believe to know the position, or a later seek would move it
 * back. */
void lh_stdio_forget_position(FILE *fp);

/* Its end was not met. */
void lh_stdio_forget_end(FILE *fp);

/* Where the octets are that wait to be written; as many as lh_stdio_behind()
 * says. */
const void *lh_stdio_pending(FILE *fp);

#endif
