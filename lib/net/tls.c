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

#include "net/early.h"
#include "net/engine.h"
#include "net/tls_context.h"
#include "net/tls_core.h"
#include "net/tls_failure.h"
#include "os/error.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define RECORD_ALERT 21 /* RFC 5246, A.1 */

/* Why a connection failed. */
#define NO_ALPN "no application protocol in common (ALPN)"

/* The record of an alert that is not whole yet. */
struct alert {
    uint8_t octets[LH_TLS_HEADER_BYTES + LH_TLS_ALERT_BYTES];
    uint8_t n;
};

struct tls {
    struct lh_tls_core core;
    struct lh_tls_context *context;
    br_ssl_engine_context *engine; /* the context's */
    struct alert alert;            /* looked at before the engine takes it */
    void *input, *output;          /* record buffers; NULL: not held */
};

#if LHTTPD_CHECKS

/* What always holds between two calls. */
static void tls_check(const struct tls *tls)
{
    enum lh_tls_phase phase = tls->core.phase;

    lh_tls_core_check(&tls->core);
    if (tls->core.base.away)
        return;
    /* The engine works in what is lent to this connection, and in no more. */
    assert(lh_engine_has_buffers(tls->engine, tls->input, tls->output));
    if (phase == LH_PHASE_FRESH || phase == LH_PHASE_PLAIN)
        assert(!tls->input && !tls->output);
    assert(phase != LH_PHASE_HANDSHAKE || (tls->input && tls->output));
    assert(tls->alert.n <= sizeof(tls->alert.octets));
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
        ssize_t sent = lh_net_send(&tls->core.base, p, n);
        if (sent < 0 && sent != LH_SYS_EAGAIN)
            return lh_tls_lose_socket(&tls->core, sent);
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
    struct lh_chunk *flight = &tls->core.ends.flight;
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

/* Sends what was gathered, and but for a handshake, whose steps gather, all
 * that waits in the engine. */
static enum lh_net engine_drain(struct tls *tls)
{
    enum lh_net sent = lh_tls_send_flight(&tls->core, false);

    if (sent != LH_NET_OK || tls->core.phase == LH_PHASE_HANDSHAKE)
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
    (void)lh_net_send(&tls->core.base, record, n);
}

/* The engine is closed: by an error, or after both sides said goodbye. */
static enum lh_net engine_ended(struct tls *tls)
{
    if (br_ssl_engine_last_error(tls->engine)) {
        send_alert(tls);
        return lh_tls_lose(&tls->core, NULL);
    }
    if (tls->core.phase != LH_PHASE_CLOSED)
        lh_tls_move(&tls->core, LH_PHASE_CLOSED);
    return LH_NET_EOF;
}

/* Is the handshake over, and with a client that we cannot serve?  Then why. */
static const char *handshake_fault(struct tls *tls, unsigned state)
{
    if (tls->core.phase != LH_PHASE_HANDSHAKE ||
        !(state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)))
        return NULL;
    if (!lh_tls_context_agrees(tls->context))
        return NO_ALPN;
    if (lh_tls_context_lacks_memory(tls->context))
        return LH_TLS_NO_MEMORY;
    lh_tls_move(&tls->core, LH_PHASE_OPEN);
    tls->core.agreed = true;
    lh_tls_context_settle(tls->context);
    return NULL;
}

/* Will the client send no more, by its own words? */
static bool has_ended(const struct tls *tls)
{
    return tls->core.base.ended || lh_engine_heard_close(tls->engine);
}

/* Copies as much as the engine wants next. */
static void feed_record(struct tls *tls)
{
    struct lh_chunk *raw = &tls->core.ends.raw;
    size_t n, have = raw->to - raw->from;
    uint8_t *to = br_ssl_engine_recvrec_buf(tls->engine, &n);

    if (n > have)
        n = have;
    memcpy(to, raw->p + raw->from, n);
    raw->from += n;
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
    const struct lh_chunk *raw = &tls->core.ends.raw;
    bool begins = raw->p[raw->from] == RECORD_ALERT;

    return (begins || tls->alert.n) && tls->core.phase == LH_PHASE_OPEN &&
           !tls->core.closing && input_rests(tls);
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
    struct lh_chunk *raw = &tls->core.ends.raw;
    struct alert *alert = &tls->alert;

    while (lh_chunk_waits(raw) && alert->n < alert_size(alert))
        alert->octets[alert->n++] = raw->p[raw->from++];
    if (alert->n < alert_size(alert))
        return;
    if (!lh_tls_context_is_goodbye(tls->context, alert->octets, alert->n)) {
        alert_pass_on(tls);
        return;
    }
    tls->core.base.ended = true;
    raw->from = raw->to; /* nothing counts that is behind it */
}

/* --- Feeding the engine ----------------------------------------------- */

/* Does the handshake go on with octets that have come? */
static bool takes_record(const struct tls *tls)
{
    unsigned state = br_ssl_engine_current_state(tls->engine);

    return state & BR_SSL_RECVREC &&
           !(state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) &&
           lh_chunk_waits(&tls->core.ends.raw) && !has_ended(tls);
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
    shake(LH_OF(job, struct tls, core.away.job));
}

/* Steps of the handshake, with their answers sent.  Where a helper has the
 * next the transport is away, and this goes on when it is back. */
static enum lh_net take_steps(struct tls *tls)
{
    enum lh_net sent;

    tls->core.stepped = false;
    while ((sent = lh_tls_send_flight(&tls->core, false)) == LH_NET_OK &&
           may_shake(tls)) {
        if (!lh_chunk_hold(tls->core.base.pools, &tls->core.ends.flight))
            return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
        if (tls->core.aside &&
            lh_away_go(&tls->core.base, &tls->core.away, shake_aside)) {
            tls->core.stepped = true;
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
        bool shaking = tls->core.phase == LH_PHASE_HANDSHAKE;
        enum lh_net sent = shaking ? take_steps(tls) : LH_NET_OK;
        if (sent == LH_NET_LOST || tls->core.base.away)
            return sent;
        unsigned state = br_ssl_engine_current_state(tls->engine);
        if (state & BR_SSL_CLOSED)
            return engine_ended(tls);
        const char *fault = handshake_fault(tls, state);
        if (fault)
            return lh_tls_lose(&tls->core, fault);
        if (state & BR_SSL_RECVAPP)
            return LH_NET_OK;
        if (has_ended(tls))
            return LH_NET_EOF;
        if (!lh_chunk_waits(&tls->core.ends.raw) || sent == LH_NET_AGAIN ||
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

    return tls->core.phase == LH_PHASE_OPEN && !tls->core.closing &&
           lh_chunk_waits(&tls->core.ends.raw) &&
           !(state & (BR_SSL_RECVREC | BR_SSL_RECVAPP));
}

/* --- Input ------------------------------------------------------------ */

static enum lh_net begin_handshake(struct tls *tls)
{
    struct lh_tls_core *core = &tls->core;
    struct lh_hello hello;
    enum lh_net got = lh_tls_begin(core, &hello);

    if (got != LH_NET_OK || core->phase == LH_PHASE_PLAIN)
        return got;
    if (!buffers_hold(tls))
        return lh_tls_lose(core, LH_TLS_NO_MEMORY);
    if (!lh_tls_context_start(worker_of(tls), tls->context, &hello, tls->input,
                              tls->output))
        return lh_tls_lose(core, br_ssl_engine_last_error(tls->engine)
                                     ? NULL
                                     : LH_TLS_NO_MEMORY);
    lh_tls_move(core, LH_PHASE_HANDSHAKE);
    core->aside =
        core->base.pools->crew && !lh_tls_context_may_resume(tls->context);
    return pump(tls);
}

static enum lh_net tls_receive(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->core.phase == LH_PHASE_OPEN && has_ended(tls))
        return LH_NET_EOF;
    enum lh_net got = lh_tls_fill(&tls->core);
    if (got != LH_NET_OK)
        return got;
    if (tls->core.phase == LH_PHASE_FRESH)
        got = begin_handshake(tls);
    else if (buffers_hold(tls))
        got = pump(tls);
    else
        got = lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    lh_tls_give_raw(&tls->core);
    return got;
}

/* Input is what the engine has deciphered, where it lies in the record. */
static const uint8_t *tls_peek(struct lh_transport *t, size_t *n)
{
    struct tls *tls = tls_of(t);

    *n = 0;
    if (!tls->core.agreed || tls->core.closing || !tls->input)
        return NULL;
    return br_ssl_engine_recvapp_buf(tls->engine, n);
}

/* A record that is used up makes room for the next, which may be in the chunk
 * already: so the engine is fed again at once. */
static void tls_consume(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);

    if (n == 0 || tls->core.closing) /* closing drops what was not consumed */
        return;
    br_ssl_engine_recvapp_ack(tls->engine, n);
    if (tls->core.phase == LH_PHASE_OPEN) /* what ends it, receive reports */
        (void)(output_hold(tls) ? pump(tls)
                                : lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY));
    lh_tls_give_raw(&tls->core);
}

/* --- Output ----------------------------------------------------------- */

static uint8_t *tls_buf(struct lh_transport *t, size_t *room)
{
    struct tls *tls = tls_of(t);

    *room = 0;
    if (tls->core.phase != LH_PHASE_OPEN || tls->core.closing)
        return NULL;
    if (!output_hold(tls)) {
        lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
        return NULL;
    }
    uint8_t *p = br_ssl_engine_sendapp_buf(tls->engine, room);
    *room = lh_early_room(*room, tls->core.written);
    return p;
}

/* The record is closed with what was written: waiting for more would hold an
 * answer back. */
static void tls_ack(struct lh_transport *t, size_t n)
{
    struct tls *tls = tls_of(t);

    if (n == 0)
        return;
    lh_early_count(&tls->core.written, n);
    br_ssl_engine_sendapp_ack(tls->engine, n);
    br_ssl_engine_flush(tls->engine, 0);
}

/* Before the ClientHello is whole, and after a failure, the engine has
 * nothing to say. */
static bool has_engine(const struct tls *tls)
{
    return tls->core.phase == LH_PHASE_HANDSHAKE ||
           tls->core.phase == LH_PHASE_OPEN;
}

/* Has the engine got a close_notify before we said ours?  Then it takes no more
 * output. */
static bool is_over(const struct tls *tls)
{
    return !tls->core.closing && (tls->core.phase == LH_PHASE_CLOSED ||
                                  (tls->core.phase == LH_PHASE_OPEN &&
                                   lh_engine_heard_close(tls->engine)));
}

/* Sends what waits and feeds the engine with what could not be taken before. */
static enum lh_net send_records(struct tls *tls)
{
    if (tls->core.phase == LH_PHASE_LOST)
        return LH_NET_LOST;
    if (tls->core.base.away || !has_engine(tls) ||
        (!tls->output && !lh_chunk_waits(&tls->core.ends.flight)))
        return LH_NET_OK;
    if (!input_hold(tls))
        return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    enum lh_net sent = engine_drain(tls);
    if (sent == LH_NET_AGAIN && is_stalled(tls))
        return lh_tls_lose(&tls->core, LH_TLS_UNREAD);
    if (sent == LH_NET_OK && (tls->core.phase == LH_PHASE_HANDSHAKE ||
                              lh_chunk_waits(&tls->core.ends.raw)))
        pump(tls); /* it waited for this */
    if (tls->core.base.away)
        return LH_NET_OK;
    lh_tls_give_raw(&tls->core);
    return tls->core.phase == LH_PHASE_LOST ? LH_NET_LOST : sent;
}

static enum lh_net tls_send(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    enum lh_net sent = send_records(tls);

    return sent == LH_NET_OK && is_over(tls) ? LH_NET_LOST : sent;
}

/* Both buffers: to close, the engine writes its alert and may read what has
 * come. */
static enum lh_net engine_close(struct tls *tls)
{
    if (!buffers_hold(tls))
        return lh_tls_lose(&tls->core, LH_TLS_NO_MEMORY);
    br_ssl_engine_close(tls->engine);
    return engine_drain(tls);
}

/* First all that was acked, then close_notify, then the FIN of the socket;
 * each may have to wait for the socket, and then the call is repeated.  After a
 * failure the FIN is all there is. */
static enum lh_net tls_shutdown(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);
    bool lost = tls->core.phase == LH_PHASE_LOST;
    enum lh_net sent = lost ? LH_NET_OK : send_records(tls);

    if (sent == LH_NET_OK && !tls->core.closing) {
        bool speaks = tls->core.phase == LH_PHASE_OPEN && !is_over(tls);
        tls->core.closing = true;
        if (speaks)
            sent = engine_close(tls);
    }
    return lh_tls_shut(&tls->core, sent);
}

/* Also true where nothing can leave any more, so that send is called and says
 * so. */
static bool tls_unsent(const struct lh_transport *t)
{
    const struct tls *tls = (const struct tls *)t;
    size_t n;

    if (tls->core.base.away)
        return false;
    if (tls->core.phase == LH_PHASE_LOST || is_over(tls))
        return !tls->core.shut;
    return has_engine(tls) &&
           (lh_chunk_waits(&tls->core.ends.flight) ||
            (tls->output && br_ssl_engine_sendrec_buf(tls->engine, &n)));
}

/* --- Beginning, rest and end ------------------------------------------ */

static void tls_rest(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->core.phase == LH_PHASE_CLOSED ||
        tls->core.phase == LH_PHASE_LOST) {
        input_give(tls);
        output_give(tls);
        lh_chunk_give(tls->core.base.pools, &tls->core.ends.raw);
        lh_chunk_give(tls->core.base.pools, &tls->core.ends.flight);
    }
    if (tls->core.phase != LH_PHASE_OPEN)
        return;
    if (tls->core.closing)
        lh_chunk_give(tls->core.base.pools, &tls->core.ends.raw);
    if (tls->output &&
        (tls->core.shut || lh_engine_writes_nothing(tls->engine)))
        output_give(tls);
    if (tls->input && (tls->core.closing || input_rests(tls)))
        input_give(tls);
}

/* What is lent goes back to the worker, the context with its secrets wiped. */
static void tls_free(struct lh_transport *t)
{
    struct tls *tls = tls_of(t);

    if (tls->core.base.away) {
        tls->core.base.unwanted = true;
        return;
    }
    input_give(tls);
    output_give(tls);
    lh_tls_context_give(worker_of(tls), tls->context);
    lh_tls_core_deinit(&tls->core);
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

const char *lh_tls_library(void)
{
    return "bearssl";
}

struct lh_transport *lh_tls_new(struct lh_net_pools *pools, int fd)
{
    struct tls *tls = lh_calloc(1, sizeof(*tls));

    if (!tls)
        return NULL;
    lh_tls_core_init(&tls->core, &tls_ops, pools, fd);
    tls->context = lh_tls_context_take(pools->tls);
    if (!tls->context) {
        lh_free(tls);
        return NULL;
    }
    tls->engine = &tls->context->server.eng;
    return &tls->core.base;
}

static const struct tls *const_tls(const struct lh_transport *t)
{
    assert(t->ops == &tls_ops);
    return (const struct tls *)t;
}

bool lh_tls_is_h2(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed && lh_tls_context_is_h2(tls->context);
}

const struct lh_client_cert *lh_tls_client(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed && tls->context->auth ? &tls->context->auth->cert
                                                  : NULL;
}

void lh_tls_forget_client(struct lh_transport *t)
{
    lh_tls_context_end_auth(tls_of(t)->context);
}

bool lh_tls_is_resumed(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed && !tls->context->session.is_new;
}

/* tls_context.c allows no other. */
const char *lh_tls_protocol(const struct lh_transport *t)
{
    return const_tls(t)->core.agreed ? "TLSv1.2" : "";
}

const char *lh_tls_cipher(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed ? lh_tls_context_cipher(tls->context) : "";
}

const char *lh_tls_server_name(const struct lh_transport *t)
{
    const struct tls *tls = const_tls(t);

    return tls->core.agreed ? br_ssl_engine_get_server_name(tls->engine) : "";
}

/* Why the engine has failed. */
static void bearssl_words(const struct tls *tls, char *out)
{
    const struct lh_tls_context *context = tls->context;
    const struct lh_client_auth *auth = context->auth;
    const struct lh_tls_circumstances known = {
        .hello = context->hello,
        .no_pair = context->policy.refused,
        .client = auth ? lh_client_fault_words(auth->cert.fault) : NULL,
        .is_garbage = tls->core.is_garbage,
    };

    lh_tls_failure_words(out, LH_TLS_FAILURE_BYTES,
                         br_ssl_engine_last_error(tls->engine), &known);
}

bool lh_tls_failure(const struct lh_transport *t,
                    char out[LH_TLS_FAILURE_BYTES])
{
    const struct tls *tls = (const struct tls *)t;

    out[0] = '\0';
    if (t->ops != &tls_ops || tls->core.phase != LH_PHASE_LOST)
        return false;
    if (!lh_tls_words(&tls->core, out))
        bearssl_words(tls, out);
    return true;
}
