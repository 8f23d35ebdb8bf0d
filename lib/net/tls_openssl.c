/*
 * The TLS transport by OpenSSL: see tls.h and transport.h.
 *
 * Socket input lands in a chunk of the worker's pool; OpenSSL takes it from
 * there by a BIO of ours, and what it deciphers goes record by record into a
 * buffer that is lent for peek.  Output is written into another such buffer;
 * ack has it enciphered at once, into a chunk that several records fit into,
 * and send gives that to the socket.  So OpenSSL never waits for the socket
 * but while a handshake's flight is larger than a chunk.  The BIO is the
 * connection's own in its handshake, which a helper may work at, and then the
 * worker's, which turns from one connection to the next.
 *
 * A helper thread may have a step of a handshake (net/away.h).  It works in the
 * SSL object and the two chunks, and in nothing else.
 *
 * The SSL object is made when the ClientHello is whole.  rest() gives back what
 * is lent, and OpenSSL its own buffers when a record ends.
 *
 * Where the kernel is to encipher, OpenSSL writes into the socket by itself
 * from the moment on in which its flight of TLS 1.3 has left, and so hands the
 * keys of application data over.  That is then sent as on plain TCP, by the
 * chunk or from a file; OpenSSL still reads, and says goodbye.
 */
#include "net/alert.h"
#include "net/early.h"
#include "net/tls_context_openssl.h"
#include "net/tls_core.h"
#include "net/tls_failure_openssl.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* RFC 8446, B.1 and B.2. */
#define RECORD_ALERT       21
#define RECORD_HANDSHAKE   22
#define ALERT_RECORD_BYTES 7 /* not enciphered */
#define ALERT_AT           6 /* where its number is */

/* What records add to the octets in one buffer, even where the client wants
 * them small (RFC 6066, 4), and what OpenSSL may have to say besides. */
#define OVERHEAD_BYTES 4096

#define ASKS_FOR_KEYS "the client asks for new keys, as kernel_tls cannot have"
#define STOPPED       "the client stopped in the middle of a TLS message"

/* RFC 8446, 4.6.3: where a KeyUpdate message says what it asks for. */
#define KEY_UPDATE_BYTES 5
#define KEY_UPDATE_AT    4

struct tls {
    struct lh_tls_core core;
    SSL *ssl;        /* HANDSHAKE and later; NULL before */
    bool stalled;    /* OpenSSL has an answer that found no room */
    bool full;       /* the socket did not take all of the flight */
    bool direct;     /* OpenSSL writes into the socket by itself, */
    bool kernel;     /* and the kernel enciphers what is sent: OPEN */
    bool asks_keys;  /* the client has asked for new ones */
    bool said;       /* our close_notify is in the flight, or has left */
    int why;         /* a handshake's step has ended: SSL_get_error()'s */
    uint8_t *input;  /* a record; NULL: not held */
    size_t from, to; /* what was not consumed of it */
    uint8_t *output; /* what is being written; NULL: not held */
    struct lh_handshake *handshake; /* until it has succeeded, or NULL */
    char *server_name;              /* from then on; NULL: none was sent */
    struct lh_client_cert *client;  /* likewise; NULL: none was asked for */
    unsigned long error;            /* why it is lost: OpenSSL's, or 0 */
};

static const struct lh_transport_ops kernel_ops;

#if LHTTPD_CHECKS

/* What always holds between two calls. */
static void tls_check(const struct tls *tls)
{
    enum lh_tls_phase phase = tls->core.phase;

    lh_tls_core_check(&tls->core);
    if (tls->core.base.away)
        return;
    assert(tls->from <= tls->to && tls->to <= LH_TLS_RECORD_BYTES);
    assert(tls->input || tls->to == 0);
    if (phase == LH_PHASE_FRESH || phase == LH_PHASE_PLAIN)
        assert(!tls->ssl && !tls->input && !tls->output);
    assert(phase != LH_PHASE_HANDSHAKE || tls->handshake);
    assert(phase != LH_PHASE_OPEN || !tls->handshake);
    assert(phase == LH_PHASE_LOST || tls->core.stepped || !tls->error);
    assert(!tls->kernel || (tls->direct && tls->core.agreed && !tls->output));
}

#else

static inline void tls_check(const struct tls *tls)
{
    (void)tls;
}

#endif

/* Every call begins with it. */
static struct tls *tls_of(struct lh_transport *t)
{
    struct tls *tls = (struct tls *)t;

    tls_check(tls);
    return tls;
}

static struct lh_tls_worker *worker_of(const struct tls *tls)
{
    return tls->core.base.pools->tls;
}

/* The SSL object of an open connection, which works at its ends now.  What
 * others have left in the thread's list of errors would be taken for its own.
 */
static SSL *ssl_at_work(struct tls *tls)
{
    lh_tls_clear_errors();
    worker_of(tls)->port.ends = &tls->core.ends;
    return tls->ssl;
}

/* --- What is lent ----------------------------------------------------- */

static bool record_hold(struct tls *tls, uint8_t **record)
{
    if (!*record)
        *record = lh_pool_take(&worker_of(tls)->records);
    return *record;
}

static void record_give(struct tls *tls, uint8_t **record)
{
    if (*record)
        lh_pool_give(&worker_of(tls)->records, *record);
    *record = NULL;
}

/* The kernel makes a record of what it is given at once, of 16 KiB at most: so
 * the first octets are given to it by pieces. */
static enum lh_net send_early(struct tls *tls)
{
    struct lh_chunk *plain = &tls->core.ends.flight;

    while (lh_chunk_waits(plain) && tls->core.written < LH_EARLY_BYTES) {
        size_t n = lh_early_room(plain->to - plain->from, tls->core.written);
        ssize_t sent = lh_net_send(&tls->core.base, plain->p + plain->from, n);
        if (sent == LH_SYS_EAGAIN)
            return LH_NET_AGAIN;
        if (sent < 0)
            return lh_tls_lose_socket(&tls->core, sent);
        plain->from += (size_t)sent;
        lh_early_count(&tls->core.written, (size_t)sent);
    }
    return LH_NET_OK;
}

static enum lh_net flight_send(struct tls *tls, bool more_follows)
{
    enum lh_net sent = tls->kernel ? send_early(tls) : LH_NET_OK;

    if (sent == LH_NET_OK)
        sent = lh_tls_send_flight(&tls->core, more_follows);
    if (sent == LH_NET_OK)
        tls->stalled = false;
    tls->full = sent == LH_NET_AGAIN;
    return sent;
}

/* --- The handshake ---------------------------------------------------- */

/* OpenSSL gave up: what it has to say leaves if the socket takes it.  Where it
 * writes into the socket by itself and has no error, the client has gone. */
static enum lh_net lose_for_error(struct tls *tls)
{
    if (!tls->error && tls->direct)
        return lh_tls_lose_socket(&tls->core, LH_SYS_EPIPE);
    (void)lh_chunk_send(&tls->core.base, &tls->core.ends.flight, false);
    return lh_tls_lose(&tls->core, tls->error ? NULL : LH_TLS_NO_MEMORY);
}

static enum lh_net tls_lose_openssl(struct tls *tls)
{
    tls->error = lh_tls_take_error();
    return lose_for_error(tls);
}

/* The flight has left, and the keys of application data are next (RFC 8446,
 * 7.1).  From here on OpenSSL writes into the socket by itself, in this thread:
 * there it finds the kernel. */
static void offer_kernel(struct tls *tls)
{
    int fd = tls->core.base.fd;
    BIO *bio;

    if (!tls->handshake->port.flushes ||
        SSL_get_state(tls->ssl) != TLS_ST_SW_FINISHED ||
        SSL_version(tls->ssl) != TLS1_3_VERSION)
        return;
    bio = BIO_new_socket(fd, BIO_NOCLOSE);
    if (!bio)
        return;
    SSL_set0_wbio(tls->ssl, bio);
    tls->direct = true;
    tls->core.aside = false;
}

/* A KeyUpdate that asks for another one: OpenSSL would encipher that, and the
 * kernel what follows, each with keys of its own. */
static void look_at_message(int sent, int version, int type, const void *p,
                            size_t n, SSL *ssl, void *context)
{
    const uint8_t *message = p;
    struct tls *tls = context;

    (void)version;
    (void)ssl;
    if (!sent && type == SSL3_RT_HANDSHAKE && n == KEY_UPDATE_BYTES &&
        message[0] == SSL3_MT_KEY_UPDATE)
        tls->asks_keys = message[KEY_UPDATE_AT] == SSL_KEY_UPDATE_REQUESTED;
}

/* Has the kernel got the keys?  Then output goes another way. */
static void use_kernel(struct tls *tls)
{
    tls->kernel = tls->direct && BIO_get_ktls_send(SSL_get_wbio(tls->ssl)) != 0;
    tls->direct = tls->kernel;
    if (!tls->kernel)
        return;
    tls->core.base.ops = &kernel_ops;
    SSL_set_msg_callback(tls->ssl, look_at_message);
    SSL_set_msg_callback_arg(tls->ssl, tls);
}

/* Gives up what only the handshake needs. */
static enum lh_net handshake_end(struct tls *tls)
{
    struct lh_handshake *h = tls->handshake;

    if (!lh_handshake_take_client(h, tls->ssl, &tls->client))
        return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    if (h->hello.name[0] && !(tls->server_name = lh_strdup(h->hello.name)))
        return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    use_kernel(tls);
    lh_tls_ssl_settle(worker_of(tls), tls->ssl, tls->kernel);
    lh_handshake_free(h);
    tls->handshake = NULL;
    lh_tls_move(&tls->core, LH_PHASE_OPEN);
    tls->core.agreed = true;
    return LH_NET_OK;
}

/* A step of it: as far as the octets reach that have come, and while the chunk
 * has room for the answers.  A helper may run it, whose errors are its own. */
static void shake(struct tls *tls)
{
    lh_tls_clear_errors();
    tls->why = SSL_get_error(tls->ssl, SSL_do_handshake(tls->ssl));
    if (tls->why == SSL_ERROR_SYSCALL && tls->handshake->port.held)
        tls->why = SSL_ERROR_WANT_WRITE;
    tls->core.stepped = true;
    if (tls->why == SSL_ERROR_SSL || tls->why == SSL_ERROR_SYSCALL)
        tls->error = lh_tls_take_error();
}

static void shake_aside(struct lh_crew_job *job)
{
    shake(LH_OF(job, struct tls, core.away.job));
}

/* The next step.  False: it is away, and this goes on when it is back.  One
 * that only finds that nothing has come stays. */
static bool take_step(struct tls *tls)
{
    bool goes = tls->core.aside && (lh_chunk_waits(&tls->core.ends.raw) ||
                                    tls->why != SSL_ERROR_WANT_READ);

    if (goes && lh_chunk_hold(tls->core.base.pools, &tls->core.ends.flight) &&
        lh_away_go(&tls->core.base, &tls->core.away, shake_aside))
        return false;
    shake(tls);
    return true;
}

/* OpenSSL has more to say than there was room for. */
static enum lh_net send_rest(struct tls *tls)
{
    enum lh_net sent;

    if (tls->direct) { /* the socket is full */
        tls->stalled = true;
        return LH_NET_AGAIN;
    }
    sent = flight_send(tls, false);
    tls->handshake->port.held = false;
    if (sent == LH_NET_OK)
        offer_kernel(tls);
    return sent;
}

/* By TLS itself, so nothing counts behind it. */
static enum lh_net hear_goodbye(struct tls *tls)
{
    tls->core.base.ended = true;
    tls->core.ends.raw.from = tls->core.ends.raw.to;
    return LH_NET_EOF;
}

/* What has become of a step; its answers are sent.  AGAIN: nothing is to be
 * done until something comes, or leaves; OK: it goes on. */
static enum lh_net step_end(struct tls *tls)
{
    enum lh_net sent;

    tls->core.stepped = false;
    switch (tls->why) {
    case SSL_ERROR_WANT_X509_LOOKUP:
        tls->core.aside = true; /* a full one, now known */
        return LH_NET_OK;
    case SSL_ERROR_WANT_WRITE:
        return send_rest(tls);
    case SSL_ERROR_WANT_READ:
        sent = flight_send(tls, false);
        return sent == LH_NET_LOST ? sent : LH_NET_AGAIN;
    case SSL_ERROR_NONE:
        sent = flight_send(tls, false);
        return sent == LH_NET_LOST ? sent : handshake_end(tls);
    case SSL_ERROR_ZERO_RETURN: /* it has thought better of it */
        return hear_goodbye(tls);
    default:
        return lose_for_error(tls);
    }
}

static enum lh_net handshake_go_on(struct tls *tls)
{
    enum lh_net went = tls->core.base.ended ? LH_NET_EOF : LH_NET_OK;

    while (went == LH_NET_OK && tls->core.phase == LH_PHASE_HANDSHAKE) {
        if (!tls->core.stepped && !take_step(tls))
            return LH_NET_AGAIN;
        went = step_end(tls);
    }
    return went;
}

/* --- Input ------------------------------------------------------------ */

/* Deciphers the next record, if all of it is there and nothing is to be peeked
 * at.  What OpenSSL answers by itself (to a KeyUpdate) is sent by send. */
static enum lh_net read_record(struct tls *tls)
{
    if (tls->from < tls->to)
        return LH_NET_OK;
    if (tls->core.base.ended)
        return LH_NET_EOF;
    if (!record_hold(tls, &tls->input))
        return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    tls->from = tls->to = 0;
    int n = SSL_read(ssl_at_work(tls), tls->input, LH_TLS_RECORD_BYTES);
    if (tls->asks_keys)
        return lh_tls_lose(&tls->core, ASKS_FOR_KEYS);
    if (n > 0) {
        tls->to = (size_t)n;
        return LH_NET_OK;
    }
    switch (SSL_get_error(tls->ssl, n)) {
    case SSL_ERROR_WANT_WRITE:
        tls->stalled = true;
        return LH_NET_AGAIN;
    case SSL_ERROR_WANT_READ:
        return LH_NET_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return hear_goodbye(tls);
    default:
        return tls_lose_openssl(tls);
    }
}

/* Feeds OpenSSL until there is something to peek at, the chunk is empty, or an
 * end. */
static enum lh_net pump(struct tls *tls)
{
    enum lh_net got = LH_NET_OK;

    if (tls->core.phase == LH_PHASE_HANDSHAKE)
        got = handshake_go_on(tls);
    return got == LH_NET_OK ? read_record(tls) : got;
}

static enum lh_net begin_handshake(struct tls *tls,
                                   const struct lh_hello *hello)
{
    struct lh_tls_worker *worker = worker_of(tls);

    lh_tls_worker_take(worker);
    tls->handshake = lh_handshake_new(worker->held.creds, hello);
    if (!tls->handshake)
        return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    tls->handshake->pauses = tls->core.base.pools->crew != NULL;
    tls->ssl = lh_tls_ssl_new(worker, tls->handshake, &tls->core.ends);
    if (!tls->ssl)
        return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    lh_tls_move(&tls->core, LH_PHASE_HANDSHAKE);
    return pump(tls);
}

/* What is no ClientHello, and no other message of a handshake: OpenSSL would
 * wait for more of it, or take an alert for a message in the wrong place.  The
 * client is told (RFC 8446, 5), unless it sent an alert itself. */
static enum lh_net lose_stranger(struct tls *tls)
{
    const struct lh_chunk *raw = &tls->core.ends.raw;

    if (raw->p[0] != RECORD_ALERT)
        lh_alert_send(&tls->core.base, LH_ALERT_UNEXPECTED_MESSAGE);
    if (raw->p[0] != RECORD_ALERT || raw->to < ALERT_RECORD_BYTES)
        return lh_tls_lose(&tls->core, LH_TLS_IS_GARBAGE);
    tls->core.is_garbage = false;
    tls->error =
        ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + raw->p[ALERT_AT]);
    return lh_tls_lose(&tls->core, NULL);
}

static enum lh_net begin_tls(struct tls *tls)
{
    struct lh_tls_core *core = &tls->core;
    struct lh_hello hello;
    enum lh_net got = lh_tls_begin(core, &hello);

    if (got != LH_NET_OK || core->phase == LH_PHASE_PLAIN)
        return got;
    if (core->is_garbage && core->ends.raw.p[0] != RECORD_HANDSHAKE)
        return lose_stranger(tls);
    return begin_handshake(tls, &hello);
}

static enum lh_net tls_receive(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    enum lh_net got = lh_tls_fill(&tls->core);

    if (got != LH_NET_OK)
        return got;
    got = tls->core.phase == LH_PHASE_FRESH ? begin_tls(tls) : pump(tls);
    lh_tls_give_raw(&tls->core);
    return got;
}

static const uint8_t *tls_peek(struct lh_transport *t, size_t *n)
{
    struct tls *tls = tls_of(t);

    *n = 0;
    if (tls->core.closing || tls->from == tls->to)
        return NULL;
    *n = tls->to - tls->from;
    return tls->input + tls->from;
}

/* A record that is used up makes room for the next, which may be in the chunk
 * already; what ends it, receive reports. */
static void tls_consume(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);

    if (n == 0 || tls->core.closing) /* closing drops what was not consumed */
        return;
    assert(n <= tls->to - tls->from);
    tls->from += n;
    if (tls->core.phase == LH_PHASE_OPEN && lh_chunk_waits(&tls->core.ends.raw))
        (void)read_record(tls);
    lh_tls_give_raw(&tls->core);
}

/* --- Output ----------------------------------------------------------- */

/* None until the chunk has room for all that OpenSSL makes of a buffer; and
 * once the socket is full, not before all of it has left: else it might never
 * be empty, and nobody would be told that what was pulled is sent. */
static uint8_t *tls_buf(struct lh_transport *t, size_t *room)
{
    struct tls *tls = tls_of(t);

    *room = 0;
    if (tls->core.phase != LH_PHASE_OPEN || tls->said || tls->full ||
        lh_tls_ends_room(&tls->core.ends) <
            LH_TLS_RECORD_BYTES + OVERHEAD_BYTES)
        return NULL;
    if (!record_hold(tls, &tls->output) ||
        !lh_chunk_hold(tls->core.base.pools, &tls->core.ends.flight)) {
        lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
        return NULL;
    }
    *room = lh_early_room(LH_TLS_RECORD_BYTES, tls->core.written);
    return tls->output;
}

/* There is room for all of it.  But where a message of the client's has come in
 * part (a KeyUpdate, RFC 8446, 5.1) OpenSSL writes nothing before the rest. */
static void tls_ack(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);
    int written;

    if (n == 0)
        return;
    lh_early_count(&tls->core.written, n);
    written = SSL_write(ssl_at_work(tls), tls->output, (int)n);
    if (written == (int)n)
        return;
    if (SSL_get_error(tls->ssl, written) == SSL_ERROR_WANT_READ)
        lh_tls_lose(&tls->core, STOPPED);
    else
        tls_lose_openssl(tls);
}

/* Where the kernel enciphers: as on plain TCP. */
static uint8_t *kernel_buf(struct lh_transport *t, size_t *room)
{
    struct tls *tls = tls_of(t);
    struct lh_chunk *plain = &tls->core.ends.flight;

    *room = 0;
    if (tls->core.phase != LH_PHASE_OPEN || tls->core.closing)
        return NULL;
    if (!lh_chunk_hold(tls->core.base.pools, plain)) {
        lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
        return NULL;
    }
    *room = LH_NET_CHUNK_BYTES - plain->to;
    return *room ? plain->p + plain->to : NULL;
}

static void kernel_ack(struct lh_transport *t, size_t n)
{
    tls_of(t)->core.ends.flight.to += n;
}

/* A short count means that the socket is full, or that a file has become
 * shorter meanwhile: the next try tells. */
static enum lh_net kernel_move(struct lh_transport *t,
                               const struct lh_place *place, size_t n,
                               size_t *sent)
{
    struct tls *tls = tls_of(t);
    enum lh_net outcome =
        tls->core.phase == LH_PHASE_LOST ? LH_NET_LOST : flight_send(tls, true);

    *sent = 0;
    if (outcome != LH_NET_OK)
        return outcome;
    n = lh_early_room(n, tls->core.written);
    ssize_t moved = lh_net_move(t, place, n);
    if (moved < 0 && moved != LH_SYS_EAGAIN)
        return lh_tls_lose_socket(&tls->core, moved);
    *sent = moved > 0 ? (size_t)moved : 0;
    lh_early_count(&tls->core.written, *sent);
    return moved != 0 && *sent < n ? LH_NET_AGAIN : LH_NET_OK;
}

/* Behind all that was acked, for which the flight has room (see tls_buf).  Once
 * more it would ask for the client's. */
static void say_goodbye(struct tls *tls)
{
    if (tls->core.phase != LH_PHASE_OPEN || tls->said)
        return;
    tls->said = true;
    if (SSL_shutdown(ssl_at_work(tls)) < 0)
        tls_lose_openssl(tls);
}

/* Sends what waits and feeds OpenSSL with what could not be taken before.  A
 * client that asks for answers (KeyUpdate) and does not read them is lost. */
static enum lh_net tls_send(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    bool stalled = tls->stalled;

    if (t->last && !tls->kernel)
        say_goodbye(tls);
    if (tls->core.phase == LH_PHASE_LOST)
        return LH_NET_LOST;
    if (tls->core.base.away)
        return LH_NET_OK;
    enum lh_net sent = flight_send(tls, false);
    if (sent == LH_NET_AGAIN && stalled && tls->core.phase == LH_PHASE_OPEN)
        return lh_tls_lose(&tls->core, LH_TLS_UNREAD);
    if (sent != LH_NET_OK || tls->core.closing)
        return sent;
    if (tls->core.phase == LH_PHASE_HANDSHAKE ||
        (tls->core.phase == LH_PHASE_OPEN &&
         (stalled || lh_chunk_waits(&tls->core.ends.raw))))
        pump(tls); /* it waited for this */
    if (tls->core.base.away)
        return LH_NET_OK;
    lh_tls_give_raw(&tls->core);
    if (tls->direct && tls->stalled)
        sent = LH_NET_AGAIN;
    return tls->core.phase == LH_PHASE_LOST ? LH_NET_LOST : sent;
}

/* First all that was acked, then close_notify, then the FIN of the socket;
 * each may have to wait for the socket, and then the call is repeated.  After a
 * failure the FIN is all there is. */
static enum lh_net tls_shutdown(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (!tls->core.closing)
        say_goodbye(tls);
    tls->core.closing = true;
    enum lh_net sent =
        tls->core.phase == LH_PHASE_LOST ? LH_NET_OK : flight_send(tls, false);
    return lh_tls_shut(&tls->core, sent);
}

static enum lh_net kernel_goodbye(struct tls *tls)
{
    int r = SSL_shutdown(ssl_at_work(tls));

    if (r < 0 && SSL_get_error(tls->ssl, r) == SSL_ERROR_WANT_WRITE)
        return LH_NET_AGAIN;
    if (r < 0)
        return tls_lose_openssl(tls);
    tls->said = true;
    return LH_NET_OK;
}

/* As that.  close_notify is OpenSSL's to send, once all before it has left. */
static enum lh_net kernel_shutdown(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    enum lh_net sent = LH_NET_OK;

    tls->core.closing = true;
    if (tls->core.phase == LH_PHASE_OPEN && !tls->said) {
        sent = flight_send(tls, false);
        if (sent == LH_NET_OK)
            sent = kernel_goodbye(tls);
    }
    return lh_tls_shut(&tls->core,
                       tls->core.phase == LH_PHASE_LOST ? LH_NET_OK : sent);
}

static bool tls_unsent(const struct lh_transport *t)
{
    const struct tls *tls = (const struct tls *)t;

    if (tls->core.base.away)
        return false;
    if (tls->core.phase == LH_PHASE_LOST)
        return !tls->core.shut;
    return lh_chunk_waits(&tls->core.ends.flight) ||
           (tls->direct && tls->stalled);
}

/* --- Beginning, rest and end ------------------------------------------ */

static void tls_rest(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->core.base.away)
        return;
    if (tls->core.closing) {
        lh_chunk_give(tls->core.base.pools, &tls->core.ends.raw);
        tls->from = tls->to = 0;
    }
    if (tls->core.phase == LH_PHASE_LOST) /* what it had to say has left */
        lh_chunk_give(tls->core.base.pools, &tls->core.ends.flight);
    if (tls->from == tls->to) {
        tls->from = tls->to = 0;
        record_give(tls, &tls->input);
    }
    record_give(tls, &tls->output);
    lh_chunk_give_if_empty(tls->core.base.pools, &tls->core.ends.flight);
}

/* What is lent goes back to the worker. */
static void tls_free(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->core.base.away) {
        tls->core.base.unwanted = true;
        return;
    }
    lh_tls_ssl_free(worker_of(tls), tls->ssl);
    lh_tls_core_deinit(&tls->core);
    record_give(tls, &tls->input);
    record_give(tls, &tls->output);
    lh_handshake_free(tls->handshake);
    lh_free(tls->server_name);
    lh_free(tls->client);
    lh_free(tls);
}

static const struct lh_transport_ops tls_ops = {
    .receive = tls_receive,
    .discard = lh_tls_discard,
    .peek = tls_peek,
    .consume = tls_consume,
    .buf = tls_buf,
    .ack = tls_ack,
    .send = tls_send,
    .shutdown = tls_shutdown,
    .unsent = tls_unsent,
    .rest = tls_rest,
    .free = tls_free,
};

static const struct lh_transport_ops kernel_ops = {
    .receive = tls_receive,
    .discard = lh_tls_discard,
    .peek = tls_peek,
    .consume = tls_consume,
    .buf = kernel_buf,
    .ack = kernel_ack,
    .send = tls_send,
    .move = kernel_move,
    .shutdown = kernel_shutdown,
    .unsent = tls_unsent,
    .rest = tls_rest,
    .free = tls_free,
};

const char *lh_tls_library(void)
{
    return "openssl";
}

struct lh_transport *lh_tls_new(struct lh_net_pools *pools, int fd)
{
    struct tls *tls = lh_calloc(1, sizeof(*tls));

    if (!tls)
        return NULL;
    lh_tls_core_init(&tls->core, &tls_ops, pools, fd);
    return &tls->core.base;
}

/* --- What was agreed -------------------------------------------------- */

static bool is_tls(const struct lh_transport *t)
{
    return t->ops == &tls_ops || t->ops == &kernel_ops;
}

static const struct tls *const_tls(const struct lh_transport *t)
{
    assert(is_tls(t));
    return (const struct tls *)t;
}

bool lh_tls_is_h2(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);
    const unsigned char *name;
    unsigned n = 0;

    if (tls->core.agreed)
        SSL_get0_alpn_selected(tls->ssl, &name, &n);
    return n == 2 && memcmp(name, "h2", 2) == 0;
}

const struct lh_client_cert *lh_tls_client(const struct lh_transport *t)
{
    return const_tls(t)->client;
}

void lh_tls_forget_client(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    lh_free(tls->client);
    tls->client = NULL;
}

bool lh_tls_is_resumed(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed && SSL_session_reused(tls->ssl);
}

const char *lh_tls_protocol(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed ? SSL_get_version(tls->ssl) : "";
}

const char *lh_tls_cipher(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed
               ? SSL_CIPHER_standard_name(SSL_get_current_cipher(tls->ssl))
               : "";
}

const char *lh_tls_server_name(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->server_name ? tls->server_name : "";
}

bool lh_tls_failure(const struct lh_transport *t,
                    char out[LH_TLS_FAILURE_BYTES])
{
    const struct tls *tls = (const struct tls *)t;

    out[0] = '\0';
    if (!is_tls(t) || tls->core.phase != LH_PHASE_LOST)
        return false;
    if (!lh_tls_words(&tls->core, out))
        lh_tls_failure_words(out, LH_TLS_FAILURE_BYTES, tls->error,
                             tls->handshake, tls->core.is_garbage);
    return true;
}
