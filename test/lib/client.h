/*
 * A plain TCP client of a server on 127.0.0.1: what the tests of the whole
 * library in one process speak HTTP with.  Every wait is bounded; what goes
 * wrong fails the test.
 */
#ifndef TEST_LIB_CLIENT_H
#define TEST_LIB_CLIENT_H

#include <stddef.h>

int test_client_connect(int port);
void test_client_send(int fd, const char *text);

/* Reads until the server closes or `out` is full; terminates it; returns the
 * count. */
size_t test_client_read_all(int fd, char *out, size_t room);

/* Reads until `text` has arrived; fails when it never does. */
void test_client_read_until(int fd, char *out, size_t room, const char *text);

/* One request on a connection of its own: the whole answer. */
size_t test_client_ask(int port, const char *request, char *out, size_t room);

#endif
