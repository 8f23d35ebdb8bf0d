/*
 * What we know of BearSSL's engine that its interface does not tell: the
 * private members of br_ssl_engine_context and how it moves them, as of version
 * 0.6.  All of it is here and nowhere else (test/layers.sh), so that who brings
 * another version reads this file.
 */
#ifndef LH_NET_ENGINE_H
#define LH_NET_ENGINE_H

#include <bearssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The engine addresses its two record buffers by offsets.  Between records they
 * can be exchanged for others, or taken away, and it does not notice. */
static inline void lh_engine_lend_input(br_ssl_engine_context *engine, void *p)
{
    engine->ibuf = p;
}

static inline void lh_engine_lend_output(br_ssl_engine_context *engine, void *p)
{
    engine->obuf = p;
}

static inline bool lh_engine_has_buffers(const br_ssl_engine_context *engine,
                                         const void *input, const void *output)
{
    return engine->ibuf == input && engine->obuf == output;
}

/* Is nothing written into the next record of application data?  The state flags
 * do not tell; oxa is where the next octet goes, oxc where the first went. */
static inline bool lh_engine_writes_nothing(const br_ssl_engine_context *engine)
{
    size_t n;

    return br_ssl_engine_sendapp_buf(engine, &n) && engine->oxa == engine->oxc;
}

/* Has the client's close_notify reached the engine?  It takes no more output
 * then. */
static inline bool lh_engine_heard_close(const br_ssl_engine_context *engine)
{
    return engine->shutdown_recv;
}

/* The name that ALPN chose, by its number in the table of our names, from 1 on;
 * 0: none; 0xFFFF after a resumption: the client's names were all unknown. */
static inline unsigned lh_engine_alpn(const br_ssl_engine_context *engine)
{
    return engine->selected_protocol;
}

/* The version of the records that the client has to send, as 0x0303. */
static inline unsigned lh_engine_version(const br_ssl_engine_context *engine)
{
    return engine->version_in;
}

/* Decrypts a record's payload in place, as the next that comes, with a copy of
 * the keys and of the record's number: the engine stays as it is.  NULL: it is
 * not the client's; else where the *n octets of it are. */
static inline const uint8_t *
lh_engine_decrypt_copy(const br_ssl_engine_context *engine, uint8_t type,
                       uint8_t *payload, size_t *n)
{
    br_ssl_engine_context copy; /* only .in of it is used */

    if (!engine->in.vtable->check_length(&engine->in.vtable, *n))
        return NULL;
    copy.in = engine->in;
    const uint8_t *plain = copy.in.vtable->decrypt(
        &copy.in.vtable, type, engine->version_in, payload, n);
    explicit_bzero(&copy.in, sizeof(copy.in));
    return plain;
}

/* Has a record not left whole?  An engine that has failed knows it still, but
 * gives it to nobody. */
static inline bool lh_engine_owes(const br_ssl_engine_context *engine)
{
    return engine->oxc > engine->oxa;
}

/* What a record has at most before its payload (header, nonce), and behind. */
#define LH_ENGINE_MARGIN_BYTES 32

/* Makes a record of `payload`, where it lies, with the present keys, or without
 * any before there are some; also of an engine that has failed.  Gives where
 * its *n octets begin. */
static inline const uint8_t *lh_engine_encrypt(br_ssl_engine_context *engine,
                                               uint8_t type, uint8_t *payload,
                                               size_t *n)
{
    return engine->out.vtable->encrypt(&engine->out.vtable, type, BR_TLS12,
                                       payload, n);
}

/* The master secret is all that a former client leaves which matters: the
 * traffic keys are overwritten by the next handshake or by freeing. */
static inline void lh_engine_forget_secret(br_ssl_engine_context *engine)
{
    explicit_bzero(&engine->session, sizeof(engine->session));
}

/* What br_ssl_engine_get_server_name() gives from now on; at most 255 octets
 * before its NUL. */
static inline void lh_engine_set_server_name(br_ssl_engine_context *engine,
                                             const char *name)
{
    memcpy(engine->server_name, name, strlen(name) + 1);
}

static inline unsigned lh_engine_suite(const br_ssl_engine_context *engine)
{
    return engine->session.cipher_suite;
}

#endif
