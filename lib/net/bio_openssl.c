/* OpenSSL's view of a connection: see bio_openssl.h. */
#include "net/bio_openssl.h"

#include <string.h>

size_t lh_tls_ends_room(struct lh_tls_ends *ends)
{
    struct lh_chunk *flight = &ends->flight;

    if (flight->from) {
        memmove(flight->p, flight->p + flight->from, flight->to - flight->from);
        flight->to -= flight->from;
        flight->from = 0;
    }
    return LH_NET_CHUNK_BYTES - flight->to;
}

static struct lh_tls_ends *port_ends(BIO *bio)
{
    return ((struct lh_tls_port *)BIO_get_data(bio))->ends;
}

static int bio_read(BIO *bio, char *out, int n)
{
    struct lh_chunk *raw = &port_ends(bio)->raw;
    size_t have = raw->to - raw->from;
    size_t k = (size_t)n < have ? (size_t)n : have;

    BIO_clear_retry_flags(bio);
    if (k == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, raw->p + raw->from, k);
    raw->from += k;
    return (int)k;
}

/* Without memory for a chunk it fails for good. */
static int bio_write(BIO *bio, const char *p, int n)
{
    struct lh_tls_ends *ends = port_ends(bio);

    BIO_clear_retry_flags(bio);
    if (!lh_chunk_hold(ends->pools, &ends->flight))
        return -1;
    size_t room = lh_tls_ends_room(ends);
    size_t k = (size_t)n < room ? (size_t)n : room;
    if (k == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    memcpy(ends->flight.p + ends->flight.to, p, k);
    ends->flight.to += k;
    return (int)k;
}

/* All but flushing is unknown to it. */
static long bio_control(BIO *bio, int command, long number, void *p)
{
    struct lh_tls_port *port = BIO_get_data(bio);

    (void)number;
    (void)p;
    if (command != BIO_CTRL_FLUSH)
        return 0;
    port->held = port->flushes && lh_chunk_waits(&port->ends->flight);
    return port->held ? -1 : 1;
}

BIO_METHOD *lh_tls_bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "lhttpd");

    if (method) {
        BIO_meth_set_read(method, bio_read);
        BIO_meth_set_write(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

BIO *lh_tls_bio_new(const BIO_METHOD *method, struct lh_tls_port *port)
{
    BIO *bio = BIO_new(method);

    if (bio) {
        BIO_set_data(bio, port);
        BIO_set_init(bio, 1);
    }
    return bio;
}

struct lh_handshake *lh_tls_bio_handshake(const SSL *ssl)
{
    return ((struct lh_tls_port *)BIO_get_data(SSL_get_rbio(ssl)))->handshake;
}
