/*
 * Vectors for a protocol in plain files: what a client sends and what it gets.
 *
 *      # a comment
 *      = name of the vector
 *      > octets sent; lines are put together as they are
 *      < octets received, exactly
 *      <ok TEXT       a 200 with this body, the connection stays
 *      <old TEXT      the same, said to HTTP/1.0
 *      <bye TEXT      a 200 with this body and "connection: close"
 *      <error N       our own answer with this status
 *      ! open | close | linger | eof
 *                     how it ends; eof: the client's FIN follows the input, and
 *                     then the connection closes
 *
 * Escapes: \r \n \t \0 \\ \{ \xNN; {TEXT*N} is TEXT N times.
 */
#ifndef TEST_LIB_VECTORS_H
#define TEST_LIB_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct test_bytes {
    char *p; /* terminated */
    size_t n;
};

struct test_vector {
    char name[128];
    struct test_bytes in, out;
    bool closes, lingers, eof;
};

/* The date that the expected answers have; there is no server field. */
#define TEST_VECTOR_DATE "D"

void test_bytes_add(struct test_bytes *b, const void *p, size_t n);

/* The next vector of a file; false at its end.  Free it with _deinit. */
bool test_vector_read(FILE *file, struct test_vector *v);
void test_vector_deinit(struct test_vector *v);

#endif
