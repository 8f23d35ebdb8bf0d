/*
 * A TLS client for tests: BearSSL's, on a non-blocking socket, which believes
 * every certificate and remembers the first one.
 */
#ifndef TEST_LIB_TLS_CLIENT_H
#define TEST_LIB_TLS_CLIENT_H

#include <bearssl.h>
#include <stdbool.h>

struct test_believer {
    const br_x509_class *vtable; /* first: BearSSL casts */
    br_x509_decoder_context decoder;
    bool is_leaf;
};

struct test_tls_client {
    br_ssl_client_context ssl;
    struct test_believer believer;
    unsigned char input[BR_SSL_BUFSIZE_INPUT], output[BR_SSL_BUFSIZE_OUTPUT];
    int fd;
    size_t piece;       /* at most so many bytes are sent at once; 0: all */
    bool eof;           /* the server's FIN came */
    uint8_t got[65536]; /* application data received */
    size_t got_n;
};

/* A chain and its key, for a client that shows them. */
struct test_pair {
    br_x509_certificate chain[2];
    size_t chain_n;
    br_skey_decoder_context key;
};

/* From the PEM files of this name in test/data/tls, which have one or two
 * certificates. */
void test_pair_read(struct test_pair *pair, const char *name);
void test_pair_free(struct test_pair *pair);

/* Everything but its start; the caller may change suites, names and so on. */
void test_tls_client_init(struct test_tls_client *c, int fd);

/* `server_name` NULL: none.  `buffer_bytes` 0: full-sized records. */
void test_tls_client_start(struct test_tls_client *c, const char *server_name,
                           bool resume, size_t buffer_bytes);

/* Moves what can be moved, at most one piece out; received application data
 * goes to `got` (as far as there is room).  False: nothing moved. */
bool test_tls_client_pump(struct test_tls_client *c);

/* Takes up to n bytes to send; returns how many. */
size_t test_tls_client_write(struct test_tls_client *c, const void *p,
                             size_t n);

bool test_tls_client_open(struct test_tls_client *c);

#endif
