/*
 * An HTTP/2 client for tests: says frames that are written down as text, right
 * or wrong ones, to a connection of h2/ under the driver, and writes down the
 * frames of its answer.
 *
 * A frame to say is a line "TYPE flags stream payload...":
 *
 *      HEADERS eh 1 GET {accept: text/html}
 *      DATA e 3 'abc' *100 x00ff
 *      WINDOW_UPDATE - 0 u100
 *
 * flags: "-" none, e END_STREAM, h END_HEADERS, p PADDED, y PRIORITY, a ACK, x
 * all that mean nothing.  Payload: 'octets', *count of zero octets, xhex, u a
 * 32-bit number, {name: value} a field as a literal that is not indexed; GET,
 * HEAD and POST stand for the four pseudo-fields, for the path "/" or one that
 * follows in the same word (GET/page).  A type may also be a number (T12).  A
 * line "-" is a pause: what was said so far is answered first.
 *
 * The answer reads "HEADERS 1 end :status=200 content-type=text/plain ...",
 * "DATA 1 'hello'", "DATA 1 #16384" for longer ones, "RST_STREAM 1 CANCEL",
 * "WINDOW_UPDATE 0 +100", "PING ack", "GOAWAY 3 NO_ERROR", "SETTINGS ...".
 */
#ifndef TEST_LIB_H2CLIENT_H
#define TEST_LIB_H2CLIENT_H

#include "h2/h2_frame.h"
#include "h2/h2_hpack.h"
#include "lib/driver.h"

struct test_h2 {
    struct test_context t;
    struct test_driver d;
    struct lh_h2_hpack hpack;
    size_t step; /* octets of a feed; 0: all at once */
    char *log;   /* the answer, a line a frame; terminated */
    size_t log_n;
    size_t read; /* octets of d.out that are in the log */
    char block[65536];
    size_t block_n;
    struct lh_h2_head block_head;
    void *(*heap)(void *, size_t); /* the client's own never fails */
    char fields[65536];            /* of the block being decoded */
    size_t fields_n;
    size_t data_bytes; /* of all DATA frames, without padding */
    char *body;        /* all of them, one after the other */
};

/* Without the preface said. */
void test_h2_init(struct test_h2 *h, test_handler_fn *handler, size_t step);
void test_h2_deinit(struct test_h2 *h);

/* The preface, empty SETTINGS and the ACK; then the log is empty. */
void test_h2_hello(struct test_h2 *h);

/* Says frames, each line one. */
void test_h2_say(struct test_h2 *h, const char *lines);
void test_h2_sayf(struct test_h2 *h, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void test_h2_octets(struct test_h2 *h, const void *p, size_t n);

/* Lets things happen and brings the log up to date. */
void test_h2_run(struct test_h2 *h);
void test_h2_advance(struct test_h2 *h, uint64_t ms);
void test_h2_forget(struct test_h2 *h); /* empties the log */

/* The log has a line that begins so. */
bool test_h2_got(const struct test_h2 *h, const char *line);
unsigned test_h2_count(const struct test_h2 *h, const char *line);

#endif
