/*
 * A whole server in this process for one script, and what tests ask of it.
 * The script's handlers check things themselves and write "ok"; what the
 * server logs is printed when they do not.
 */
#ifndef TEST_LIB_LIVE_H
#define TEST_LIB_LIVE_H

#include "lhttpd.h"

#include <stddef.h>

struct test_live {
    lhttpd_server_t *server;
    int port;
    int fds; /* open before the start */
};

/* The source follows test_live_prelude: `test(name, fn)` registers a handler
 * that must not raise; DIR is the directory of the test's files. */
void test_live_start(struct test_live *live, unsigned workers,
                     const char *source);

/* One worker, and a script that is a file. */
void test_live_start_file(struct test_live *live, const char *path);

/* Stops it; no request may be cut, no descriptor stay open. */
void test_live_stop(struct test_live *live);

/* The body of the answer to a GET by HTTP/1.0, in a buffer of this file. */
const char *test_live_get(struct test_live *live, const char *path);
void test_live_expect(struct test_live *live, const char *path,
                      const char *body);

/* Each of these paths is answered with "ok"; the last one is NULL. */
void test_live_expect_all(struct test_live *live, const char *const *paths);

/* Sends a GET and does not wait for its answer; a connected socket. */
int test_live_ask(struct test_live *live, const char *path);

/* The last line that the servers have logged. */
const char *test_live_log(void);

/* A directory of the test's own, made by the first call; "a/path/in/it". */
const char *test_live_dir(void);
const char *test_live_path(const char *name);
void test_live_remove_dir(void);
int test_live_clean_up(void **state); /* that */

/* A file in it, last changed in 2020, at 00:00 on the 1st of January; and all
 * that is in it goes. */
void test_live_put(const char *name, const char *text);
void test_live_empty_dir(void);

/* How many descriptors are open, how many children there are. */
int test_live_fds(void);
int test_live_children(void);

/* Waits until the function says yes; fails the test when it never does. */
void test_live_until(int (*yes)(void *arg), void *arg);

#endif
