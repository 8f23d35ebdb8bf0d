/*
 * The TLS transport: see tls.h and transport.h.
 *
 * Socket input lands in a chunk of the worker's pool and is copied from there
 * into the engine's input record, one record at a time: a chunk is one system
 * call, a record would be two.  Application data is peeked at in that record.
 * Output is written into the engine's output record and sent from it; the next
 * can be written once it has left.  The small records of a handshake are
 * gathered into a chunk first, so that a flight is one system call as well.
 *
 * A helper thread may have a step of a handshake (net/away.h).  It works in the
 * engine and the two chunks, and in nothing else.
 *
 * The two record buffers are lent by the worker.  rest() gives each back while
 * its side of the engine is between records; the engine addresses them by
 * offsets, so that it does not notice when it later gets others.
 */
#include "net/tls.h"

#include "base/trace.h"
#include "net/away.h"
#include "net/chunk.h"
#include "net/early.h"
#include "net/engine.h"
#include "net/hello_part.h"
#include "net/tls_context.h"
#include "net/tls_failure.h"
#include "os/error.h"
#include "os/sock.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RECORD_ALERT 21 /* RFC 5246, A.1 */

/* Why a connection failed. */
#define NO_MEMORY "no memory"
#define NO_ALPN   "no application protocol in common (ALPN)"

/* RFC 5246, 7.3, seen from outside the engine. */
enum phase {
    PHASE_FRESH, /* the ClientHello is not whole: no buffers, no engine yet */
    PHASE_HANDSHAKE,
    PHASE_OPEN,   /* application data flows */
    PHASE_CLOSED, /* close_notify went both ways */
    PHASE_LOST,   /* the connection or the engine failed */
    PHASE_PLAIN,  /* it is HTTP without TLS */
    PHASES
};

static const char *const phase_names[PHASES] = {
    "FRESH", "HANDSHAKE", "OPEN", "CLOSED", "LOST", "PLAIN",
};

#define MOVE(phase) (1u << (phase))

static const unsigned legal_moves[PHASES] = {
    [PHASE_FRESH] =
        MOVE(PHASE_HANDSHAKE) | MOVE(PHASE_PLAIN) | MOVE(PHASE_LOST),
    [PHASE_HANDSHAKE] =
        MOVE(PHASE_OPEN) | MOVE(PHASE_CLOSED) | MOVE(PHASE_LOST),
    [PHASE_OPEN] = MOVE(PHASE_CLOSED) | MOVE(PHASE_LOST),
    [PHASE_CLOSED] = MOVE(PHASE_LOST),
};

/* The record of an alert that is not whole yet. */
struct alert {
    uint8_t octets[LH_TLS_HEADER_BYTES + LH_TLS_ALERT_BYTES];
    size_t n;
};

struct tls {
    struct lh_transport base;
    struct lh_tls_context *context;
    br_ssl_engine_context *engine; /* the context's */
    enum phase phase;
    bool agreed;                /* the handshake succeeded */
    bool closing;               /* our close_notify was asked for */
    bool shut;                  /* our FIN is sent */
    size_t written;             /* octets of application data: see early.h */
    struct lh_chunk raw;        /* what the engine did not take yet */
    struct lh_chunk flight;     /* what the handshake has to send */
    struct alert alert;         /* looked at before the engine takes it */
    void *input, *output;       /* record buffers; NULL: not held */
    struct lh_hello_part hello; /* PHASE_FRESH: what came of the ClientHello */
    struct lh_transport *plain; /* PHASE_PLAIN */
    struct lh_away away;
    bool aside;   /* steps of this handshake are for helpers */
    bool stepped; /* one went: what it has come to is to be looked at */
    /* PHASE_LOST: why, where it is not the engine's error; or NULL. */
    const char *failure;
    int socket_error; /* likewise, a negative errno; or 0 */
    bool is_garbage;  /* what came first was no ClientHello */
};

#if LHTTPD_CHECKS

static void chunk_check(const struct lh_chunk *chunk)
{
    assert(chunk->from <= chunk->to && chunk->to <= LH_NET_CHUNK_BYTES);
    assert(chunk->p || chunk->to == 0);
}

/* What always holds between two calls. */
static void tls_check(const struct tls *tls)
{
    enum phase phase = tls->phase;
    bool lost = phase == PHASE_LOST;

    assert(!tls->base.away || phase == PHASE_HANDSHAKE);
    assert(!tls->stepped || phase == PHASE_HANDSHAKE);
    if (tls->base.away)
        return;
    chunk_check(&tls->raw);
    chunk_check(&tls->flight);
    assert(phase < PHASES);
    /* The engine works in what is lent to this connection, and in no more. */
    assert(lh_engine_has_buffers(tls->engine, tls->input, tls->output));
    if (phase == PHASE_FRESH || phase == PHASE_PLAIN)
        assert(!tls->input && !tls->output && !tls->flight.p && !tls->agreed);
    assert(!tls->hello.p || phase == PHASE_FRESH || lost);
    assert(tls->hello.p ? tls->hello.n > 0 : tls->hello.n == 0);
    assert((tls->plain != NULL) == (phase == PHASE_PLAIN));
    assert(phase != PHASE_HANDSHAKE || !tls->agreed);
    assert(phase != PHASE_OPEN || tls->agreed);
    assert(phase != PHASE_HANDSHAKE || (tls->input && tls->output));
    assert(tls->alert.n <= sizeof(tls->alert.octets));
    assert(!tls->shut || tls->closing);
    assert(lost || (!tls->failure && !tls->socket_error));
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
    return tls->base.pools->tls;
}

static void set_phase(struct tls *tls, enum phase phase)
{
    bool legal = (legal_moves[tls->phase] & MOVE(phase)) != 0;

    assert(legal);
    (void)legal;
    if (tls->base.pools->ctx)
        lh_trace(tls->base.pools->ctx, tls->base.number, "tls", 0,
                 phase_names[tls->phase], phase_names[phase]);
    tls->phase = phase;
}

/* `why`: NULL where the engine knows. */
static enum lh_net tls_lose(struct tls *tls, const char *why)
{
    if (tls->phase != PHASE_LOST && tls->phase != PHASE_PLAIN) {
        tls->failure = why;
        set_phase(tls, PHASE_LOST);
    }
    return LH_NET_LOST;
}

static enum lh_net tls_lose_socket(struct tls *tls, ssize_t error)
{
    tls->socket_error = (int)error;
    return tls_lose(tls, NULL);
}

/* --- What is lent ----------------------------------------------------- */

static bool input_hold(struct tls *tls)
{
    if (!tls->input)
        tls->input = lh_pool_take(&worker_of(tls)->inputs);
    lh_engine_lend_input(tls->engine, tls->input);
    return tls->input;
}

static bool output_hold(struct tls *tls)
{
    if (!tls->output)
        tls->output = lh_pool_take(&worker_of(tls)->outputs);
    lh_engine_lend_output(tls->engine, tls->output);
    return tls->output;
}

/* Both, for the engine may use either when it handles an alert or a close. */
static bool buffers_hold(struct tls *tls)
{
    return input_hold(tls) && output_hold(tls);
}

static void input_give(struct tls *tls)
{
    if (tls->input)
        lh_pool_give(&worker_of(tls)->inputs, tls->input);
    tls->input = NULL;
    lh_engine_lend_input(tls->engine, NULL);
}

static void output_give(struct tls *tls)
{
    if (tls->output)
        lh_pool_give(&worker_of(tls)->outputs, tls->output);
    tls->output = NULL;
    lh_engine_lend_output(tls->engine, NULL);
}

/* Between records: the next header's five octets are expected. */
static bool input_rests(const struct tls *tls)
{
    size_t n;
    const uint8_t *p = br_ssl_engine_recvrec_buf(tls->engine, &n);

    return p && p == tls->input && n == 5;
}

/* --- The engine ------------------------------------------------------- */

/* Sends from the engine's record. */
static enum lh_net send_record(struct tls *tls)
{
    uint8_t *p;
    size_t n;

    while ((p = br_ssl_engine_sendrec_buf(tls->engine, &n))) {
        ssize_t sent = lh_net_send(&tls->base, p, n);
        if (sent < 0 && sent != LH_SYS_EAGAIN)
            return tls_lose_socket(tls, sent);
        if (sent > 0)
            br_ssl_engine_sendrec_ack(tls->engine, (size_t)sent);
        if (sent < (ssize_t)n)
            return LH_NET_AGAIN;
    }
    return LH_NET_OK;
}

/* Takes the records of a handshake's step out of the engine, which then makes
 * the next, into the chunk as far as there is room. */
static void flight_gather(struct tls *tls)
{
    struct lh_chunk *flight = &tls->flight;
    size_t n, room;
    uint8_t *p;

    while ((p = br_ssl_engine_sendrec_buf(tls->engine, &n))) {
        room = LH_NET_CHUNK_BYTES - flight->to;
        if (room == 0)
            return;
        if (n > room)
            n = room;
        memcpy(flight->p + flight->to, p, n);
        flight->to += n;
        br_ssl_engine_sendrec_ack(tls->engine, n);
    }
}

/* The chunk is given back once the socket has all of it. */
static enum lh_net flight_send(struct tls *tls)
{
    struct lh_chunk *flight = &tls->flight;

    if (lh_chunk_waits(flight)) {
        ssize_t sent = lh_net_send(&tls->base, flight->p + flight->from,
                                   flight->to - flight->from);
        if (sent < 0 && sent != LH_SYS_EAGAIN)
            return tls_lose_socket(tls, sent);
        if (sent > 0)
            flight->from += (size_t)sent;
        if (lh_chunk_waits(flight))
            return LH_NET_AGAIN;
    }
    lh_chunk_give(tls->base.pools, flight);
    return LH_NET_OK;
}

/* Sends what was gathered, and but for a handshake, whose steps gather, all
 * that waits in the engine. */
static enum lh_net engine_drain(struct tls *tls)
{
    enum lh_net sent = flight_send(tls);

    if (sent != LH_NET_OK || tls->phase == PHASE_HANDSHAKE)
        return sent;
    return send_record(tls);
}

/* BearSSL closes without a word where the client has made a mistake that its
 * handshake has no answer to. */
static void send_alert(struct tls *tls)
{
    uint8_t room[LH_ENGINE_MARGIN_BYTES + 2 + LH_ENGINE_MARGIN_BYTES];
    uint8_t *payload = room + LH_ENGINE_MARGIN_BYTES;
    int alert = lh_tls_context_alert(tls->context,
                                     br_ssl_engine_last_error(tls->engine));
    size_t n = 2;

    if (alert < 0 || lh_engine_owes(tls->engine))
        return;
    payload[0] = 2; /* fatal */
    payload[1] = (uint8_t)alert;
    const uint8_t *record =
        lh_engine_encrypt(tls->engine, RECORD_ALERT, payload, &n);
    (void)lh_net_send(&tls->base, record, n);
}

/* The engine is closed: by an error, or after both sides said goodbye. */
static enum lh_net engine_ended(struct tls *tls)
{
    if (br_ssl_engine_last_error(tls->engine)) {
        send_alert(tls);
        return tls_lose(tls, NULL);
    }
    if (tls->phase != PHASE_CLOSED)
        set_phase(tls, PHASE_CLOSED);
    return LH_NET_EOF;
}

/* Is the handshake over, and with a client that we cannot serve?  Then why. */
static const char *handshake_fault(struct tls *tls, unsigned state)
{
    if (tls->phase != PHASE_HANDSHAKE ||
        !(state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)))
        return NULL;
    if (!lh_tls_context_agrees(tls->context))
        return NO_ALPN;
    if (lh_tls_context_lacks_memory(tls->context))
        return NO_MEMORY;
    set_phase(tls, PHASE_OPEN);
    tls->agreed = true;
    lh_tls_context_settle(tls->context);
    return NULL;
}

/* Will the client send no more, by its own words? */
static bool has_ended(const struct tls *tls)
{
    return tls->base.ended || lh_engine_heard_close(tls->engine);
}

/* Copies as much as the engine wants next. */
static void feed_record(struct tls *tls)
{
    size_t n, have = tls->raw.to - tls->raw.from;
    uint8_t *to = br_ssl_engine_recvrec_buf(tls->engine, &n);

    if (n > have)
        n = have;
    memcpy(to, tls->raw.p + tls->raw.from, n);
    tls->raw.from += n;
    br_ssl_engine_recvrec_ack(tls->engine, n);
}

/* --- The client's goodbye ---------------------------------------------
 *
 * The engine answers a close_notify at once and takes no more output.  But a
 * client may close its side behind a request and wait for the answer (as TLS
 * 1.3 has it, RFC 8446, 6.1).  So an alert is gathered here first.  If it says
 * close_notify the engine never gets it: our own leaves with shutdown. */

static bool alert_comes(const struct tls *tls)
{
    bool begins = tls->raw.p[tls->raw.from] == RECORD_ALERT;

    return (begins || tls->alert.n) && tls->phase == PHASE_OPEN &&
           !tls->closing && input_rests(tls);
}

/* How much of it is gathered; an overlong one is the engine's to refuse. */
static size_t alert_size(const struct alert *alert)
{
    const uint8_t *p = alert->octets;
    size_t payload = 0;

    if (alert->n >= LH_TLS_HEADER_BYTES)
        payload = (size_t)p[3] << 8 | p[4];
    return LH_TLS_HEADER_BYTES + (payload > LH_TLS_ALERT_BYTES ? 0 : payload);
}

/* The engine gets it in the pieces that it asks for, header and payload. */
static void alert_pass_on(struct tls *tls)
{
    struct alert *alert = &tls->alert;
    size_t from = 0, n;
    uint8_t *to;

    while (from < alert->n &&
           (to = br_ssl_engine_recvrec_buf(tls->engine, &n))) {
        if (n > alert->n - from)
            n = alert->n - from;
        memcpy(to, alert->octets + from, n);
        from += n;
        br_ssl_engine_recvrec_ack(tls->engine, n);
    }
    alert->n = 0;
}

/* Octet by octet from the chunk, for it may come in several. */
static void alert_gather(struct tls *tls)
{
    struct alert *alert = &tls->alert;

    while (lh_chunk_waits(&tls->raw) && alert->n < alert_size(alert))
        alert->octets[alert->n++] = tls->raw.p[tls->raw.from++];
    if (alert->n < alert_size(alert))
        return;
    if (!lh_tls_context_is_goodbye(tls->context, alert->octets, alert->n)) {
        alert_pass_on(tls);
        return;
    }
    tls->base.ended = true;
    tls->raw.from = tls->raw.to; /* nothing counts that is behind it */
}

/* --- Feeding the engine ----------------------------------------------- */

/* Does the handshake go on with octets that have come? */
static bool takes_record(const struct tls *tls)
{
    unsigned state = br_ssl_engine_current_state(tls->engine);

    return state & BR_SSL_RECVREC &&
           !(state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) &&
           lh_chunk_waits(&tls->raw) && !has_ended(tls);
}

static bool may_shake(const struct tls *tls)
{
    size_t n;

    return br_ssl_engine_sendrec_buf(tls->engine, &n) || takes_record(tls);
}

/* A step of a handshake: as far as the octets reach that have come, and while
 * the chunk has room for the answers.  A helper may run it. */
static void shake(struct tls *tls)
{
    flight_gather(tls);
    while (takes_record(tls)) {
        feed_record(tls);
        flight_gather(tls);
    }
}

static void shake_aside(struct lh_crew_job *job)
{
    shake(LH_OF(job, struct tls, away.job));
}

/* Steps of the handshake, with their answers sent.  Where a helper has the
 * next the transport is away, and this goes on when it is back. */
static enum lh_net take_steps(struct tls *tls)
{
    enum lh_net sent;

    tls->stepped = false;
    while ((sent = flight_send(tls)) == LH_NET_OK && may_shake(tls)) {
        if (!lh_chunk_hold(tls->base.pools, &tls->flight))
            return tls_lose(tls, NO_MEMORY);
        if (tls->aside && lh_away_go(&tls->base, &tls->away, shake_aside)) {
            tls->stepped = true;
            return LH_NET_AGAIN;
        }
        shake(tls);
    }
    return sent;
}

/* Feeds the engine from the chunk until there is something to peek at, the
 * chunk is empty, or an end.  A handshake's answers are sent in between, for
 * the engine takes no more before they have left; later output is send's. */
static enum lh_net pump(struct tls *tls)
{
    for (;;) {
        bool shaking = tls->phase == PHASE_HANDSHAKE;
        enum lh_net sent = shaking ? take_steps(tls) : LH_NET_OK;
        if (sent == LH_NET_LOST || tls->base.away)
            return sent;
        unsigned state = br_ssl_engine_current_state(tls->engine);
        if (state & BR_SSL_CLOSED)
            return engine_ended(tls);
        const char *fault = handshake_fault(tls, state);
        if (fault)
            return tls_lose(tls, fault);
        if (state & BR_SSL_RECVAPP)
            return LH_NET_OK;
        if (has_ended(tls))
            return LH_NET_EOF;
        if (!lh_chunk_waits(&tls->raw) || sent == LH_NET_AGAIN ||
            !(state & BR_SSL_RECVREC))
            return LH_NET_AGAIN;
        if (alert_comes(tls))
            alert_gather(tls);
        else
            feed_record(tls);
    }
}

/* The engine wants to send before it takes more, but the socket is full: a
 * client that asks for answers (renegotiation) and does not read them. */
static bool is_stalled(const struct tls *tls)
{
    unsigned state = br_ssl_engine_current_state(tls->engine);

    return tls->phase == PHASE_OPEN && !tls->closing &&
           lh_chunk_waits(&tls->raw) &&
           !(state & (BR_SSL_RECVREC | BR_SSL_RECVAPP));
}

/* --- Input ------------------------------------------------------------ */

static enum lh_net hello_wait(struct tls *tls)
{
    const char *why = lh_hello_part_keep(&tls->hello, &tls->base, &tls->raw);

    return why ? tls_lose(tls, why) : LH_NET_AGAIN;
}

/* One read from the socket, behind what there is of a ClientHello; OK: there is
 * something in the chunk. */
static enum lh_net raw_receive(struct tls *tls)
{
    struct lh_chunk *raw = &tls->raw;

    if (!lh_chunk_hold(tls->base.pools, raw))
        return tls_lose(tls, NO_MEMORY);
    ssize_t n = lh_hello_part_receive(&tls->hello, &tls->base, raw);
    if (n > 0)
        return LH_NET_OK;
    if (n == 0)
        return LH_NET_EOF;
    return n == LH_SYS_EAGAIN ? LH_NET_AGAIN : tls_lose_socket(tls, n);
}

/* A record's first octet is 20 to 23 (RFC 5246, A.1), never a letter. */
static bool is_plain_http(const struct tls *tls)
{
    return tls->raw.p[0] >= 'A' && tls->raw.p[0] <= 'Z';
}

static enum lh_net begin_handshake(struct tls *tls)
{
    if (is_plain_http(tls)) {
        tls->plain = lh_tcp_new(tls->base.pools, tls->base.fd);
        if (!tls->plain)
            return tls_lose(tls, NO_MEMORY);
        set_phase(tls, PHASE_PLAIN);
        return LH_NET_OK;
    }
    struct lh_hello hello;
    enum lh_hello_result read = lh_hello_read(tls->raw.p, tls->raw.to, &hello);
    if (read == LH_HELLO_MORE)
        return hello_wait(tls);
    tls->is_garbage = read == LH_HELLO_BAD;
    if (!buffers_hold(tls))
        return tls_lose(tls, NO_MEMORY);
    if (!lh_tls_context_start(worker_of(tls), tls->context, &hello, tls->input,
                              tls->output))
        return tls_lose(tls, br_ssl_engine_last_error(tls->engine) ? NULL
                                                                   : NO_MEMORY);
    set_phase(tls, PHASE_HANDSHAKE);
    tls->aside =
        tls->base.pools->crew && !lh_tls_context_may_resume(tls->context);
    return pump(tls);
}

static enum lh_net tls_receive(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    enum lh_net got = LH_NET_OK;

    if (tls->plain)
        return tls->plain->ops->receive(tls->plain);
    if (tls->phase == PHASE_LOST)
        return LH_NET_LOST;
    if (tls->base.away)
        return LH_NET_AGAIN;
    if (tls->phase == PHASE_CLOSED ||
        (tls->phase == PHASE_OPEN && has_ended(tls)))
        return LH_NET_EOF;
    if (!lh_chunk_waits(&tls->raw) && !tls->stepped)
        got = raw_receive(tls);
    if (got != LH_NET_OK)
        return got;
    if (tls->phase == PHASE_FRESH)
        got = begin_handshake(tls);
    else
        got = buffers_hold(tls) ? pump(tls) : tls_lose(tls, NO_MEMORY);
    if (!tls->base.away)
        lh_chunk_give_if_empty(tls->base.pools, &tls->raw);
    return got;
}

/* The engine only has its close_notify to send; it gets nothing any more. */
static enum lh_net tls_discard(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    lh_chunk_give(tls->base.pools, &tls->raw);
    if (tls->plain)
        return tls->plain->ops->discard(tls->plain);
    return lh_net_discard(t);
}

/* Input is what the engine has deciphered, where it lies in the record; with
 * plain HTTP, the chunk. */
static const uint8_t *tls_peek(struct lh_transport *t, size_t *n)
{
    struct tls *tls = tls_of(t);

    *n = 0;
    if (tls->plain && tls->raw.p) {
        *n = tls->raw.to - tls->raw.from;
        return tls->raw.p + tls->raw.from;
    }
    if (tls->plain)
        return tls->plain->ops->peek(tls->plain, n);
    if (!tls->agreed || tls->closing || !tls->input)
        return NULL;
    return br_ssl_engine_recvapp_buf(tls->engine, n);
}

/* A record that is used up makes room for the next, which may be in the chunk
 * already: so the engine is fed again at once. */
static void tls_consume(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);

    if (n == 0 || tls->closing) /* closing drops what was not consumed */
        return;
    if (tls->plain && !tls->raw.p) {
        tls->plain->ops->consume(tls->plain, n);
        return;
    }
    if (tls->plain) {
        assert(n <= tls->raw.to - tls->raw.from);
        tls->raw.from += n;
    } else {
        br_ssl_engine_recvapp_ack(tls->engine, n);
        if (tls->phase == PHASE_OPEN) /* what ends it, receive reports */
            (void)(output_hold(tls) ? pump(tls) : tls_lose(tls, NO_MEMORY));
    }
    lh_chunk_give_if_empty(tls->base.pools, &tls->raw);
}

/* --- Output ----------------------------------------------------------- */

static uint8_t *tls_buf(struct lh_transport *t, size_t *room)
{
    struct tls *tls = tls_of(t);

    *room = 0;
    if (tls->plain)
        return tls->plain->ops->buf(tls->plain, room);
    if (tls->phase != PHASE_OPEN || tls->closing)
        return NULL;
    if (!output_hold(tls)) {
        tls_lose(tls, NO_MEMORY);
        return NULL;
    }
    uint8_t *p = br_ssl_engine_sendapp_buf(tls->engine, room);
    *room = lh_early_room(*room, tls->written);
    return p;
}

/* The record is closed with what was written: waiting for more would hold an
 * answer back. */
static void tls_ack(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);

    if (tls->plain) {
        tls->plain->ops->ack(tls->plain, n);
    } else if (n) {
        lh_early_count(&tls->written, n);
        br_ssl_engine_sendapp_ack(tls->engine, n);
        br_ssl_engine_flush(tls->engine, 0);
    }
}

/* Before the ClientHello is whole, and after a failure, the engine has
 * nothing to say. */
static bool has_engine(const struct tls *tls)
{
    return tls->phase == PHASE_HANDSHAKE || tls->phase == PHASE_OPEN;
}

/* Has the engine got a close_notify before we said ours?  Then it takes no more
 * output. */
static bool is_over(const struct tls *tls)
{
    return !tls->closing &&
           (tls->phase == PHASE_CLOSED ||
            (tls->phase == PHASE_OPEN && lh_engine_heard_close(tls->engine)));
}

/* Sends what waits and feeds the engine with what could not be taken before. */
static enum lh_net send_records(struct tls *tls)
{
    if (tls->phase == PHASE_LOST)
        return LH_NET_LOST;
    if (tls->base.away || !has_engine(tls) ||
        (!tls->output && !lh_chunk_waits(&tls->flight)))
        return LH_NET_OK;
    if (!input_hold(tls))
        return tls_lose(tls, NO_MEMORY);
    enum lh_net sent = engine_drain(tls);
    if (sent == LH_NET_AGAIN && is_stalled(tls))
        return tls_lose(tls, "the client does not read what it asks for");
    if (sent == LH_NET_OK &&
        (tls->phase == PHASE_HANDSHAKE || lh_chunk_waits(&tls->raw)))
        pump(tls); /* it waited for this */
    if (tls->base.away)
        return LH_NET_OK;
    lh_chunk_give_if_empty(tls->base.pools, &tls->raw);
    return tls->phase == PHASE_LOST ? LH_NET_LOST : sent;
}

static enum lh_net tls_send(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->plain)
        return tls->plain->ops->send(tls->plain);
    enum lh_net sent = send_records(tls);
    return sent == LH_NET_OK && is_over(tls) ? LH_NET_LOST : sent;
}

/* Both buffers: to close, the engine writes its alert and may read what has
 * come. */
static enum lh_net engine_close(struct tls *tls)
{
    if (!buffers_hold(tls))
        return tls_lose(tls, NO_MEMORY);
    br_ssl_engine_close(tls->engine);
    return engine_drain(tls);
}

/* First all that was acked, then close_notify, then the FIN of the socket;
 * each may have to wait for the socket, and then the call is repeated.  After a
 * failure the FIN is all there is. */
static enum lh_net tls_shutdown(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->plain)
        return tls->plain->ops->shutdown(tls->plain);
    enum lh_net sent = tls->phase == PHASE_LOST ? LH_NET_OK : send_records(tls);
    if (sent == LH_NET_OK && !tls->closing) {
        bool speaks = tls->phase == PHASE_OPEN && !is_over(tls);
        tls->closing = true;
        if (speaks)
            sent = engine_close(tls);
    }
    if (sent == LH_NET_OK && !tls->shut) {
        lh_sock_shutdown(t->fd);
        tls->shut = true;
    }
    return sent;
}

/* Also true where nothing can leave any more, so that send is called and says
 * so. */
static bool tls_unsent(const struct lh_transport *t)
{
    const struct tls *tls = (const struct tls *)t;
    size_t n;

    if (tls->plain)
        return tls->plain->ops->unsent(tls->plain);
    if (tls->base.away)
        return false;
    if (tls->phase == PHASE_LOST || is_over(tls))
        return !tls->shut;
    return has_engine(tls) &&
           (lh_chunk_waits(&tls->flight) ||
            (tls->output && br_ssl_engine_sendrec_buf(tls->engine, &n)));
}

/* --- Beginning, rest and end ------------------------------------------ */

static void tls_rest(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->plain) {
        tls->plain->ops->rest(tls->plain);
        return;
    }
    if (tls->phase == PHASE_CLOSED || tls->phase == PHASE_LOST) {
        input_give(tls);
        output_give(tls);
        lh_chunk_give(tls->base.pools, &tls->raw);
        lh_chunk_give(tls->base.pools, &tls->flight);
    }
    if (tls->phase != PHASE_OPEN)
        return;
    if (tls->closing)
        lh_chunk_give(tls->base.pools, &tls->raw);
    if (tls->output && (tls->shut || lh_engine_writes_nothing(tls->engine)))
        output_give(tls);
    if (tls->input && (tls->closing || input_rests(tls)))
        input_give(tls);
}

/* What is lent goes back to the worker, the context with its secrets wiped. */
static void tls_free(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->base.away) {
        tls->base.unwanted = true;
        return;
    }
    if (tls->plain)
        tls->plain->ops->free(tls->plain);
    lh_hello_part_forget(&tls->hello);
    lh_chunk_give(tls->base.pools, &tls->raw);
    lh_chunk_give(tls->base.pools, &tls->flight);
    input_give(tls);
    output_give(tls);
    lh_tls_context_give(worker_of(tls), tls->context);
    lh_free(tls);
}

static const struct lh_transport_ops tls_ops = {
    .receive = tls_receive,
    .discard = tls_discard,
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

const char *lh_tls_library(void)
{
    return "bearssl";
}

struct lh_transport *lh_tls_new(struct lh_net_pools *pools, int fd)
{
    struct tls *tls = lh_calloc(1, sizeof(*tls));

    if (!tls)
        return NULL;
    tls->base =
        (struct lh_transport){.ops = &tls_ops, .pools = pools, .fd = fd};
    tls->context = lh_tls_context_take(pools->tls);
    if (!tls->context) {
        lh_free(tls);
        return NULL;
    }
    tls->engine = &tls->context->server.eng;
    return &tls->base;
}

static const struct tls *const_tls(const struct lh_transport *t)
{
    assert(t->ops == &tls_ops);
    return (const struct tls *)t;
}

enum lh_tls_state lh_tls_state(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    if (tls->phase == PHASE_PLAIN)
        return LH_TLS_PLAIN_HTTP;
    return tls->agreed ? LH_TLS_READY : LH_TLS_HANDSHAKE;
}

bool lh_tls_is_h2(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed && lh_tls_context_is_h2(tls->context);
}

const struct lh_client_cert *lh_tls_client(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed && tls->context->auth ? &tls->context->auth->cert : NULL;
}

void lh_tls_forget_client(struct lh_transport *t)
{
    lh_tls_context_end_auth(tls_of(t)->context);
}

bool lh_tls_is_resumed(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed && !tls->context->session.is_new;
}

/* tls_context.c allows no other. */
const char *lh_tls_protocol(const struct lh_transport *t)
{
    return const_tls(t)->agreed ? "TLSv1.2" : "";
}

const char *lh_tls_cipher(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed ? lh_tls_context_cipher(tls->context) : "";
}

const char *lh_tls_server_name(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->agreed ? br_ssl_engine_get_server_name(tls->engine) : "";
}

/* The socket's error comes first: what follows from it says less. */
bool lh_tls_failure(const struct lh_transport *t,
                    char out[LH_TLS_FAILURE_BYTES])
{
    const struct tls *tls = const_tls(t);
    const struct lh_tls_circumstances known = {
        .hello = tls->context->hello,
        .no_pair = tls->context->policy.refused,
        .client = tls->context->auth
                      ? lh_client_fault_words(tls->context->auth->cert.fault)
                      : NULL,
        .is_garbage = tls->is_garbage,
    };

    out[0] = '\0';
    if (tls->phase != PHASE_LOST)
        return false;
    if (tls->socket_error)
        snprintf(out, LH_TLS_FAILURE_BYTES, "%s",
                 lh_sys_text(tls->socket_error));
    else if (tls->failure)
        snprintf(out, LH_TLS_FAILURE_BYTES, "%s", tls->failure);
    else
        lh_tls_failure_words(out, LH_TLS_FAILURE_BYTES,
                             br_ssl_engine_last_error(tls->engine), &known);
    return true;
}

bool lh_tls_is_cut(const struct lh_transport *t)
{
    return const_tls(t)->socket_error != 0;
}
