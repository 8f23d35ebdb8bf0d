/* A TLS client for tests: see tls_client.h. */
#include "lib/tls_client.h"

#include "net/pem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void start_chain(const br_x509_class **self, const char *name)
{
    struct test_believer *b = (struct test_believer *)(void *)self;

    (void)name;
    b->is_leaf = true;
    br_x509_decoder_init(&b->decoder, NULL, NULL);
}

static void start_cert(const br_x509_class **self, uint32_t n)
{
    (void)self;
    (void)n;
}

static void append(const br_x509_class **self, const unsigned char *p, size_t n)
{
    struct test_believer *b = (struct test_believer *)(void *)self;

    if (b->is_leaf)
        br_x509_decoder_push(&b->decoder, p, n);
}

static void end_cert(const br_x509_class **self)
{
    ((struct test_believer *)(void *)self)->is_leaf = false;
}

static unsigned end_chain(const br_x509_class **self)
{
    struct test_believer *b = (struct test_believer *)(void *)self;

    return (unsigned)br_x509_decoder_last_error(&b->decoder);
}

static const br_x509_pkey *get_pkey(const br_x509_class *const *self,
                                    unsigned *usages)
{
    const struct test_believer *b = (const struct test_believer *)(void *)self;

    if (usages)
        *usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
    return &b->decoder.pkey;
}

static const br_x509_class believer_class = {
    .context_size = sizeof(struct test_believer),
    .start_chain = start_chain,
    .start_cert = start_cert,
    .append = append,
    .end_cert = end_cert,
    .end_chain = end_chain,
    .get_pkey = get_pkey,
};

void test_tls_client_init(struct test_tls_client *c, int fd)
{
    static const unsigned char seed[32] = "not random, but this is a test";
    br_x509_minimal_context unused;

    memset(c, 0, sizeof(*c));
    c->fd = fd;
    br_ssl_client_init_full(&c->ssl, &unused, NULL, 0);
    c->believer.vtable = &believer_class;
    br_ssl_engine_set_x509(&c->ssl.eng, &c->believer.vtable);
    br_ssl_engine_inject_entropy(&c->ssl.eng, seed, sizeof(seed));
}

void test_tls_client_start(struct test_tls_client *c, const char *server_name,
                           bool resume, size_t buffer_bytes)
{
    size_t in = sizeof(c->input), out = sizeof(c->output);

    if (buffer_bytes)
        in = out = buffer_bytes;
    c->eof = false;
    c->got_n = 0;
    br_ssl_engine_set_buffers_bidi(&c->ssl.eng, c->input, in, c->output, out);
    int ok = br_ssl_client_reset(&c->ssl, server_name, resume);
    assert(ok);
    (void)ok;
}

bool test_tls_client_pump(struct test_tls_client *c)
{
    br_ssl_engine_context *e = &c->ssl.eng;
    bool moved = false;
    unsigned char *p;
    size_t n;

    if ((p = br_ssl_engine_sendrec_buf(e, &n))) {
        if (c->piece && n > c->piece)
            n = c->piece;
        ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0)
            br_ssl_engine_sendrec_ack(e, (size_t)sent);
        moved |= sent > 0;
    }
    if ((p = br_ssl_engine_recvrec_buf(e, &n))) {
        ssize_t got = recv(c->fd, p, n, MSG_DONTWAIT);
        if (got > 0)
            br_ssl_engine_recvrec_ack(e, (size_t)got);
        c->eof |= got == 0;
        moved |= got > 0;
    } else if (br_ssl_engine_current_state(e) == BR_SSL_CLOSED) {
        /* It takes no more, but the FIN comes all the same. */
        uint8_t octet;
        c->eof |= recv(c->fd, &octet, 1, MSG_DONTWAIT) == 0;
    }
    while (c->got_n < sizeof(c->got) &&
           (p = br_ssl_engine_recvapp_buf(e, &n))) {
        if (n > sizeof(c->got) - c->got_n)
            n = sizeof(c->got) - c->got_n;
        memcpy(c->got + c->got_n, p, n);
        c->got_n += n;
        br_ssl_engine_recvapp_ack(e, n);
        moved = true;
    }
    return moved;
}

size_t test_tls_client_write(struct test_tls_client *c, const void *from,
                             size_t n)
{
    size_t room;
    unsigned char *p = br_ssl_engine_sendapp_buf(&c->ssl.eng, &room);

    if (!p)
        return 0;
    if (n > room)
        n = room;
    memcpy(p, from, n);
    br_ssl_engine_sendapp_ack(&c->ssl.eng, n);
    br_ssl_engine_flush(&c->ssl.eng, 0);
    return n;
}

bool test_tls_client_open(struct test_tls_client *c)
{
    size_t n;

    return br_ssl_engine_sendapp_buf(&c->ssl.eng, &n);
}

static int take_object(void *context, const struct lh_pem_object *object)
{
    struct test_pair *pair = context;

    if (strcmp(object->label, "CERTIFICATE") == 0) {
        br_x509_certificate *to = &pair->chain[pair->chain_n++];
        to->data = malloc(object->n);
        memcpy(to->data, object->der, object->n);
        to->data_len = object->n;
    } else if (strstr(object->label, "PRIVATE KEY")) {
        br_skey_decoder_push(&pair->key, object->der, object->n);
    }
    return 0;
}

void test_pair_read(struct test_pair *pair, const char *name)
{
    static char text[16384];
    const char *const kinds[] = {"pem", "key"};
    char path[512];
    struct lh_err err;

    memset(pair, 0, sizeof(*pair));
    br_skey_decoder_init(&pair->key);
    for (size_t i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), TEST_DATA "/tls/%s.%s", name, kinds[i]);
        FILE *file = fopen(path, "rb");
        assert(file);
        size_t n = fread(text, 1, sizeof(text), file);
        fclose(file);
        int r = lh_pem_each(text, n, take_object, pair, &err);
        assert(r == 0);
        (void)r;
    }
    assert(br_skey_decoder_last_error(&pair->key) == 0);
}

void test_pair_free(struct test_pair *pair)
{
    for (size_t i = 0; i < pair->chain_n; i++)
        free(pair->chain[i].data);
}
