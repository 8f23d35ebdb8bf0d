/* A connection: drives a transport and a protocol on a socket, see conn.h. */
#include "server/conn.h"

#include "base/trace.h"
#include "h1/h1_conn.h"
#include "net/tls.h"
#include "server/dispatch.h"
#if LHTTPD_HTTP2
#include "h2/h2_conn.h"
#endif

#include <assert.h>
#include <stdio.h>

/* What one connection sends in a turn before the others have theirs: at first,
 * so that short answers pass the long ones; and in bulk. */
#define FIRST_BYTES_A_TURN ((size_t)64 << 10)
#define BULK_BYTES_A_TURN  ((size_t)256 << 10)

/* What a step of a connection costs beside the octets that it moves. */
#define FEED_COST  (LH_STEP_COST / 4)
#define WRITE_COST (LH_STEP_COST / 8)
#define FREE_COST  (LH_STEP_COST / 16)

/* A full TLS handshake holds its thread for a millisecond or two. */
#define HANDSHAKES_A_TURN 4

#define SPARE_PREPARED 8
#define SPARE_KEPT     64

/* How many connections are looked at to find one that may make room. */
#define IDLE_LOOKS 64

/* A client that has just come is given so long to say what it wants. */
#define FRESH_MS 1000

/* What came in time, but is read late, is given so long to be gone on with. */
#define SPARED_MS 1000

/* How often in send_timeout_ms a client is asked whether it takes anything. */
#define SEND_LOOKS 4

/* --- how far it is -------------------------------------------------------- */

#define TO(state) (1u << (state))

static const unsigned legal_moves[] = {
    [LH_CONN_SPARE] = TO(LH_CONN_HANDSHAKE) | TO(LH_CONN_SNIFF),
    [LH_CONN_HANDSHAKE] = TO(LH_CONN_OPEN) | TO(LH_CONN_CLOSED),
    [LH_CONN_SNIFF] = TO(LH_CONN_OPEN) | TO(LH_CONN_CLOSED),
    [LH_CONN_OPEN] = TO(LH_CONN_LINGER) | TO(LH_CONN_CLOSED),
    [LH_CONN_LINGER] = TO(LH_CONN_CLOSED),
    [LH_CONN_CLOSED] = 0,
};

static const char *const state_names[] = {
    [LH_CONN_SPARE] = "SPARE",   [LH_CONN_HANDSHAKE] = "HANDSHAKE",
    [LH_CONN_SNIFF] = "SNIFF",   [LH_CONN_OPEN] = "OPEN",
    [LH_CONN_LINGER] = "LINGER", [LH_CONN_CLOSED] = "CLOSED",
};

bool lh_conn_may(enum lh_conn_state from, enum lh_conn_state to)
{
    return legal_moves[from] & TO(to);
}

/* The only place that moves a connection on. */
static void set_state(struct lh_conn *c, enum lh_conn_state to)
{
    assert(lh_conn_may(c->state, to));
    lh_trace(&c->worker->ctx, c->host.peer->number, "conn", 0,
             state_names[c->state], state_names[to]);
    c->state = to;
}

/* --- queues and what follows from a connection's state -------------------- */

static unsigned status(const struct lh_conn *c)
{
    if (c->state == LH_CONN_OPEN)
        return c->protocol->status(c->p);
    return LH_PROTO_WANTS_INPUT;
}

static bool has_input(const struct lh_conn *c)
{
    size_t n;

    return c->transport->ops->peek(c->transport, &n) != NULL;
}

/* Is there input to use that no event will announce? */
static bool has_more(const struct lh_conn *c)
{
    return has_input(c) || (c->hung_up && !c->eof);
}

static void queue_fed(struct lh_conn *c)
{
    if (!lh_list_linked(&c->fed))
        lh_list_append(&c->worker->fed, &c->fed);
}

static void queue_dirty(struct lh_conn *c)
{
    struct lh_worker *w = c->worker;

    if (!lh_list_linked(&c->dirty))
        lh_list_append(c->bulk ? &w->bulk : &w->dirty, &c->dirty);
}

/* The protocol has news: an exchange's output, or room for input. */
static void wake(struct lh_protocol_host *host)
{
    struct lh_conn *c = LH_OF(host, struct lh_conn, host);

    if (c->state != LH_CONN_OPEN)
        return;
    queue_dirty(c);
    if (!c->feeding && has_more(c))
        queue_fed(c);
}

static void request(struct lh_protocol_host *host, struct lh_exchange *ex)
{
    struct lh_conn *c = LH_OF(host, struct lh_conn, host);

    lh_dispatch(c->worker, c->listener, ex);
}

static uint64_t min_deadline(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t deadline(const struct lh_conn *c)
{
    uint64_t at = min_deadline(c->state_deadline, c->send_deadline);

    if (c->state == LH_CONN_OPEN && !c->tail)
        at = min_deadline(at, c->protocol->deadline(c->p));
    return at;
}

/* The timer is only ever moved earlier: when it fires too early, it is armed
 * again, which is cheaper than moving it with every request. */
static void set_timer(struct lh_conn *c)
{
    uint64_t at = deadline(c);

    if (at < c->spared_until)
        at = c->spared_until;
    if (at == LH_NEVER ||
        (lh_timer_armed(&c->timer) && c->timer.deadline_ms <= at))
        return;
    lh_timer_arm(&c->worker->ctx.timers, &c->timer, at);
}

/* A paused connection keeps LH_EV_READ until an event finds it paused. */
static void set_interest(struct lh_conn *c, unsigned now)
{
    unsigned interest = c->interest & (LH_EV_READ | LH_EV_FIN);

    if (c->eof)
        interest = 0;
    else if (now & LH_PROTO_WANTS_INPUT)
        interest = LH_EV_READ;
    if (c->blocked)
        interest |= LH_EV_WRITE;
    if (interest == c->interest || c->hung_up)
        return;
    lh_evq_change(&c->worker->evq, c->fd, interest, c->tag);
    c->interest = interest;
}

/* May it be closed for room?  Not while something of it waits to be sent. */
static bool is_idle(const struct lh_conn *c, unsigned now)
{
    if (c->blocked || lh_list_linked(&c->dirty))
        return false;
    if (c->state < LH_CONN_OPEN)
        return !c->heard;
    return now & LH_PROTO_IDLE || c->state == LH_CONN_LINGER;
}

static void set_idle(struct lh_conn *c, unsigned now)
{
    bool idle = is_idle(c, now);

    if (idle == c->counts_idle)
        return;
    c->counts_idle = idle;
    if (idle)
        c->idle_ms = c->worker->ctx.now_ms;
    else
        c->used |= c->state == LH_CONN_OPEN;
    lh_list_remove(&c->all);
    lh_list_append(idle ? &c->worker->idle : &c->worker->busy, &c->all);
}

static void end_tail(struct lh_conn *c)
{
    c->tail = false;
    c->send_deadline = LH_NEVER;
}

/* Ends each step of a connection: queues, interest, timer and list follow
 * from where it has got to. */
static void settle(struct lh_conn *c)
{
    if (c->state == LH_CONN_CLOSED)
        return;
    unsigned now = status(c);
    c->wants_input = (now & LH_PROTO_WANTS_INPUT) != 0;
    if (c->tail && c->state == LH_CONN_OPEN && !(now & LH_PROTO_IDLE))
        end_tail(c);
    if (((now & LH_PROTO_WANTS_INPUT) && has_more(c)) ||
        (c->transport->ended && !c->eof))
        queue_fed(c);
    if (!c->blocked && (now & (LH_PROTO_HAS_OUTPUT | LH_PROTO_CLOSE) ||
                        c->pulled || c->transport->ops->unsent(c->transport)))
        queue_dirty(c);
    if (c->blocked || !(now & LH_PROTO_CLOSE))
        set_interest(c, now);
    set_idle(c, now);
    set_timer(c);
    if (!lh_list_linked(&c->fed) && !lh_list_linked(&c->dirty))
        c->transport->ops->rest(c->transport);
}

/* --- the end -------------------------------------------------------------- */

/* Closes without a further word.  What it holds is freed by lh_conns_reap(),
 * since a caller up the stack may still look at it. */
static void lose(struct lh_conn *c)
{
    struct lh_worker *w = c->worker;

    if (c->state == LH_CONN_CLOSED)
        return;
    if (c->state == LH_CONN_OPEN) {
        c->protocol->gone(c->p);
        if (c->protocol->status(c->p) & LH_PROTO_RESET)
            lh_sock_abort(c->fd);
    }
    set_state(c, LH_CONN_CLOSED);
    lh_timer_disarm(&c->timer);
    lh_list_remove(&c->fed);
    lh_list_remove(&c->dirty);
    lh_list_remove(&c->all);
    lh_list_append(&w->closed, &c->all);
    lh_evq_forget(&w->evq, c->fd);
    lh_slots_remove(&w->slots, c->tag);
}

static void look_again(struct lh_conn *c)
{
    uint64_t timeout = c->worker->ctx.limits->send_timeout_ms;
    uint64_t next = lh_deadline(c->worker->ctx.now_ms, timeout / SEND_LOOKS);

    c->send_deadline = min_deadline(next, lh_deadline(c->taken_ms, timeout));
}

static void begin_to_look(struct lh_conn *c)
{
    c->taken_ms = c->worker->ctx.now_ms;
    c->untaken = SIZE_MAX;
}

static void block(struct lh_conn *c)
{
    c->blocked = true;
    c->tail = false;
    begin_to_look(c);
    look_again(c);
}

/* Has the client taken anything of late?  For one that is looked at. */
static bool takes(struct lh_conn *c)
{
    uint64_t now = c->worker->ctx.now_ms;
    size_t untaken = lh_sock_untaken(c->fd);

    if (untaken < c->untaken) {
        c->untaken = untaken;
        c->taken_ms = now;
    }
    return now <
           lh_deadline(c->taken_ms, c->worker->ctx.limits->send_timeout_ms);
}

/* The socket has room again only once a third of its buffer is free, which may
 * be megabytes and take a slow client minutes.  So what counts is whether it
 * has taken anything since it was last looked at. */
static void look_whether_it_takes(struct lh_conn *c)
{
    if (takes(c))
        look_again(c);
    else
        lose(c);
}

/* The end of the last answer may still be in the system's buffers, megabytes,
 * when a connection's time is up.  Closing then could cut it: what the client
 * sends meanwhile, such as credit, would be answered with a reset.  So it has
 * more time, as long as it takes octets. */
static bool takes_its_tail(struct lh_conn *c)
{
    if (lh_sock_untaken(c->fd) == 0)
        return false;
    if (!c->tail)
        begin_to_look(c);
    c->tail = takes(c);
    return c->tail;
}

/* The client is given as long as it sends, within bounds. */
static void linger(struct lh_conn *c)
{
    const lhttpd_limits_t *limits = c->worker->ctx.limits;
    uint64_t now = c->worker->ctx.now_ms;

    if (c->linger_ends == 0)
        c->linger_ends = lh_deadline(now, limits->linger_timeout_ms);
    c->state_deadline =
        min_deadline(c->linger_ends, lh_deadline(now, limits->linger_idle_ms));
}

/* Shuts our side once everything has left, then waits for the client's side
 * if there is a reason to (RFC 9112, 9.6). */
static void shut(struct lh_conn *c)
{
    switch (c->transport->ops->shutdown(c->transport)) {
    case LH_NET_AGAIN:
        block(c);
        return;
    case LH_NET_OK:
        if (!c->lingers || c->eof)
            break;
        if (c->linger_ends == 0)
            linger(c);
        return;
    case LH_NET_EOF:
    case LH_NET_LOST:
        break;
    }
    lose(c);
}

static void begin_close(struct lh_conn *c, bool lingers)
{
    c->protocol->gone(c->p);
    if (c->tail)
        end_tail(c);
    set_state(c, LH_CONN_LINGER);
    c->lingers = lingers;
    shut(c);
}

/* Closing while the client sends would be a reset, which may take the answer
 * from it before it was read. */
static void discard(struct lh_conn *c)
{
    c->readable = false;
    switch (c->transport->ops->discard(c->transport)) {
    case LH_NET_OK:
        if (c->linger_ends)
            linger(c);
        break;
    case LH_NET_AGAIN:
        break;
    case LH_NET_EOF:
        c->eof = true;
        break;
    case LH_NET_LOST:
        lose(c);
        break;
    }
}

/* --- input ---------------------------------------------------------------- */

/* A handshake that begins while the server stops has its whole time. */
static void hear(struct lh_conn *c)
{
    const struct lh_context *ctx = &c->worker->ctx;

    if (!c->heard && ctx->stopping && c->state == LH_CONN_HANDSHAKE)
        c->state_deadline =
            lh_deadline(ctx->now_ms, ctx->limits->handshake_timeout_ms);
    c->heard = true;
}

static void receive(struct lh_conn *c)
{
    c->readable = false;
    if (has_input(c))
        return;
    hear(c);
    enum lh_net outcome = c->transport->ops->receive(c->transport);
    lh_worker_look(c->worker);
    switch (outcome) {
    case LH_NET_OK:
    case LH_NET_AGAIN:
        break;
    case LH_NET_EOF:
        c->eof = true;
        break;
    case LH_NET_LOST:
        c->transport->ops->send(c->transport); /* TLS says why in an alert */
        lose(c);
        break;
    }
}

static void open_protocol(struct lh_conn *c, const struct lh_protocol *protocol,
                          void *p)
{
    size_t used;

    if (!p) {
        lose(c);
        return;
    }
    c->protocol = protocol;
    c->p = p;
    set_state(c, LH_CONN_OPEN);
    c->state_deadline = LH_NEVER;
    if (c->worker->ctx.stopping)
        protocol->drain(p);
    if (c->sniffed)
        protocol->feed(p, c->sniff, c->sniffed, &used);
}

static void open_h1(struct lh_conn *c)
{
    open_protocol(c, &lh_h1_protocol, lh_h1_new(&c->host));
}

#if LHTTPD_HTTP2

static void open_h2(struct lh_conn *c)
{
    open_protocol(c, &lh_h2_protocol, lh_h2_new(&c->host));
}

/* The time that a header section may take counts from its first octet on. */
static void begin_header(struct lh_conn *c)
{
    c->host.first_ms = c->worker->ctx.now_ms;
    c->state_deadline =
        lh_deadline(c->host.first_ms, c->worker->ctx.limits->header_timeout_ms);
}

/* The client's preface tells HTTP/2 with prior knowledge (RFC 9113, 3.3); no
 * method of HTTP/1 begins with "PRI ". */
static void sniff(struct lh_conn *c)
{
    const char *preface = "PRI ";
    size_t n, same = 0;
    const uint8_t *p = c->transport->ops->peek(c->transport, &n);

    if (!p)
        return;
    while (same < n && c->sniffed + same < sizeof(c->sniff) &&
           p[same] == (uint8_t)preface[c->sniffed + same])
        same++;
    if (c->sniffed + same == sizeof(c->sniff)) {
        open_h2(c);
    } else if (same < n) {
        open_h1(c);
    } else {
        if (c->sniffed == 0)
            begin_header(c);
        memcpy(c->sniff + c->sniffed, p, n);
        c->sniffed = (uint8_t)(c->sniffed + n);
        c->transport->ops->consume(c->transport, n);
    }
}

#else

static void open_h2(struct lh_conn *c)
{
    lose(c); /* ALPN never offered it */
}

static void sniff(struct lh_conn *c)
{
    if (has_input(c))
        open_h1(c);
}

#endif

static void secured(struct lh_conn *c)
{
    struct lh_peer *peer = c->host.peer;

    peer->tls_protocol = "TLSv1.2";
    peer->tls_cipher = lh_tls_cipher(c->transport);
    if (!lh_peer_set_server_name(peer, lh_tls_server_name(c->transport)))
        lose(c);
    else if (lh_tls_is_h2(c->transport))
        open_h2(c);
    else
        open_h1(c);
}

static void handshake(struct lh_conn *c)
{
    switch (lh_tls_state(c->transport)) {
    case LH_TLS_HANDSHAKE:
        break;
    case LH_TLS_READY:
        secured(c);
        break;
    case LH_TLS_PLAIN_HTTP:
        open_h1(c);
        if (c->state == LH_CONN_OPEN)
            lh_h1_refuse_plain(c->p);
        break;
    }
}

/* Into the transport's buffer, not further; adds to *sum how much.  Returns the
 * status after it. */
static unsigned pull(struct lh_conn *c, size_t *sum)
{
    struct lh_transport *t = c->transport;
    size_t room, n = 1;
    unsigned now;

    while ((now = status(c)) & LH_PROTO_HAS_OUTPUT && n) {
        uint8_t *out = t->ops->buf(t, &room);
        if (!out)
            break;
        n = c->protocol->pull(c->p, out, room);
        c->pulled = true;
        if (n) /* else it is perhaps an end that needs no octets */
            t->ops->ack(t, n);
        *sum += n;
    }
    return now;
}

/* A pipelined request can only be used once the answer before it has been
 * pulled; so this pulls too, and one send takes all answers along. */
static void feed_protocol(struct lh_conn *c)
{
    const uint8_t *p;
    size_t n, used, pulled = 0;

    while ((p = c->transport->ops->peek(c->transport, &n)) != NULL) {
        if (!(pull(c, &pulled) & LH_PROTO_WANTS_INPUT))
            return;
        int r = c->protocol->feed(c->p, p, n, &used);
        c->transport->ops->consume(c->transport, used);
        if (r < 0 || used < n)
            return;
    }
}

static void tell_eof(struct lh_conn *c)
{
    if (c->state == LH_CONN_LINGER && c->blocked)
        return; /* until our end has left */
    if (c->state != LH_CONN_OPEN) {
        lose(c);
        return;
    }
    if (c->eof_told)
        return;
    c->eof_told = true;
    c->protocol->eof(c->p);
}

static void tell_fin(struct lh_conn *c)
{
    if (c->fin_told)
        return;
    c->fin_told = true;
    if (c->protocol->fin)
        c->protocol->fin(c->p);
}

static void feed(struct lh_conn *c)
{
    c->feeding = true;
    if (c->state == LH_CONN_LINGER)
        discard(c);
    else if (c->readable || has_more(c))
        receive(c);
    if (c->state == LH_CONN_HANDSHAKE)
        handshake(c);
    if (c->state == LH_CONN_SNIFF)
        sniff(c);
    if (c->state == LH_CONN_OPEN && c->fin_seen)
        tell_fin(c);
    if (c->state == LH_CONN_OPEN)
        feed_protocol(c);
    c->eof |= c->transport->ended;
    if (c->state != LH_CONN_CLOSED && c->eof && !has_input(c))
        tell_eof(c);
    c->feeding = false;
    settle(c);
}

/* The others do not wait for more than a few handshakes. */
static bool may_shake_hands(struct lh_worker *w)
{
    if (lh_step_over(&w->shaking, LH_STEP_COST))
        return false;
    return w->handshakes++ < HANDSHAKES_A_TURN;
}

void lh_conns_feed(struct lh_worker *w)
{
    struct lh_step step = {0};
    struct lh_list queue, *link;

    lh_list_move(&queue, &w->fed);
    while ((link = lh_list_take(&queue)) != NULL) {
        struct lh_conn *c = LH_OF(link, struct lh_conn, fed);
        if (c->state == LH_CONN_HANDSHAKE && !may_shake_hands(w))
            queue_fed(c);
        else
            feed(c);
        if (lh_step_over(&step, FEED_COST))
            break;
    }
    lh_list_put_first(&w->fed, &queue);
}

/* --- output --------------------------------------------------------------- */

/* False: the rest has to wait, or will never leave. */
static bool went(struct lh_conn *c, enum lh_net outcome)
{
    switch (outcome) {
    case LH_NET_OK:
        return true;
    case LH_NET_AGAIN:
        block(c);
        return false;
    case LH_NET_EOF:
    case LH_NET_LOST:
        break;
    }
    lose(c);
    return false;
}

/* What comes from a pipe without being pulled; adds to *n. */
static enum lh_net send_piped(struct lh_conn *c, size_t *n)
{
    enum lh_net outcome;
    size_t room, sent;
    int pipe;

    if (!c->host.splices || c->state != LH_CONN_OPEN || !c->protocol->piped)
        return LH_NET_OK;
    room = c->protocol->piped(c->p, &pipe);
    if (room == 0)
        return LH_NET_OK;
    outcome = c->transport->ops->splice(c->transport, pipe, room, &sent);
    if (sent)
        c->protocol->piped_left(c->p, sent);
    *n += sent;
    return outcome;
}

/* Pulls and sends until there is no more, the socket is full, or the share or
 * the step's time is used up; settle() then queues the connection again. */
static void send_output(struct lh_conn *c, size_t share, struct lh_step *step)
{
    struct lh_transport *t = c->transport;
    size_t sum = 0, n;
    bool more;

    c->bulk = true;
    do {
        n = 0;
        more = pull(c, &n) & LH_PROTO_HAS_OUTPUT;
        if (t->ops->unsent(t) && !went(c, t->ops->send(t)))
            return;
        if (!went(c, send_piped(c, &n)))
            return;
        if (c->pulled)
            c->protocol->sent(c->p);
        c->pulled = false;
        sum += n;
    } while (n && sum < share && !lh_step_over(step, n) && more);
    c->bulk = n && more;
}

static void write_out(struct lh_conn *c, size_t share, struct lh_step *step)
{
    if (c->blocked)
        return;
    if (c->state == LH_CONN_LINGER) {
        shut(c);
        return;
    }
    send_output(c, share, step);
    if (c->state != LH_CONN_OPEN || c->blocked)
        return;
    unsigned now = status(c);
    if (!(now & LH_PROTO_CLOSE) || now & LH_PROTO_HAS_OUTPUT)
        return;
    if (now & LH_PROTO_RESET) {
        lh_sock_abort(c->fd);
        lose(c);
    } else {
        begin_close(c, (now & LH_PROTO_LINGER) != 0);
    }
}

static void write_queue(struct lh_list *all, size_t share)
{
    struct lh_step step = {0};
    struct lh_list queue, *link;

    if (lh_list_empty(all))
        return;
    lh_list_move(&queue, all);
    while ((link = lh_list_take(&queue)) != NULL) {
        struct lh_conn *c = LH_OF(link, struct lh_conn, dirty);
        write_out(c, share, &step);
        settle(c);
        if (lh_step_over(&step, WRITE_COST))
            break;
    }
    lh_list_put_first(all, &queue);
}

void lh_conns_write(struct lh_worker *w)
{
    write_queue(&w->dirty, FIRST_BYTES_A_TURN);
    write_queue(&w->bulk, BULK_BYTES_A_TURN);
}

/* --- events and time ------------------------------------------------------ */

/* Level-triggered interest that nobody serves would spin.  The client's FIN is
 * worth knowing meanwhile, once. */
static void pause(struct lh_conn *c)
{
    unsigned interest = c->interest & LH_EV_WRITE;

    if (!c->fin_seen)
        interest |= LH_EV_FIN;
    lh_evq_change(&c->worker->evq, c->fd, interest, c->tag);
    c->interest = interest;
}

static void unblock(struct lh_conn *c)
{
    c->blocked = false;
    c->send_deadline = LH_NEVER;
    queue_dirty(c);
}

/* The client of a unix socket has closed it: nothing will be taken any more,
 * but its request may be there to be read, and is served as on TCP, where a
 * close looks like a half-close.  The report would come again and again. */
static void hang_up(struct lh_conn *c)
{
    lh_evq_forget(&c->worker->evq, c->fd);
    c->hung_up = c->fin_seen = true;
    if (c->blocked)
        unblock(c);
    queue_fed(c);
}

static void on_event(struct lh_source *source, unsigned ready)
{
    struct lh_conn *c = LH_OF(source, struct lh_conn, source);

    if (ready & LH_EV_LOST ||
        (ready & LH_EV_HANGUP && c->state == LH_CONN_LINGER)) {
        lose(c);
        return;
    }
    if (ready & LH_EV_HANGUP) {
        hang_up(c);
        return;
    }
    if (ready & LH_EV_WRITE)
        unblock(c);
    if (ready & LH_EV_FIN)
        c->fin_seen = true;
    if (!(ready & (LH_EV_READ | LH_EV_FIN)))
        return;
    if (c->wants_input || c->fin_seen) {
        c->readable = true;
        queue_fed(c);
    }
    if (!c->wants_input)
        pause(c);
}

/* A client is judged by what has come from it, which a worker that was busy for
 * long has yet to read.  So each deadline that has passed is postponed once if
 * something waits; not the last one of who lingers. */
static bool is_spared(struct lh_conn *c)
{
    uint64_t at = deadline(c), now = c->worker->ctx.now_ms;

    if (at > now || at == c->spared || at == c->send_deadline ||
        (c->linger_ends && now >= c->linger_ends))
        return false;
    if (!lh_list_linked(&c->fed) && lh_sock_unread(c->fd) == 0)
        return false;
    c->spared = at;
    c->spared_until = lh_deadline(now, SPARED_MS);
    return true;
}

static void state_is_due(struct lh_conn *c)
{
    if (c->state != LH_CONN_LINGER || !takes_its_tail(c)) {
        lose(c);
        return;
    }
    look_again(c);
    c->state_deadline = c->send_deadline;
    c->send_deadline = LH_NEVER;
}

static void protocol_is_due(struct lh_conn *c)
{
    if ((status(c) & LH_PROTO_IDLE) && takes_its_tail(c)) {
        look_again(c);
        return;
    }
    end_tail(c);
    c->protocol->expire(c->p);
}

static void is_due(struct lh_conn *c)
{
    uint64_t now = c->worker->ctx.now_ms;

    if (now >= c->state_deadline)
        state_is_due(c);
    else if (c->blocked && now >= c->send_deadline)
        look_whether_it_takes(c);
    else if (c->state == LH_CONN_OPEN && now >= c->protocol->deadline(c->p))
        protocol_is_due(c);
}

static void on_time(struct lh_timer *timer)
{
    struct lh_conn *c = LH_OF(timer, struct lh_conn, timer);

    if (!is_spared(c))
        is_due(c);
    settle(c);
}

/* --- life ----------------------------------------------------------------- */

void lh_conns_prepare(struct lh_worker *w)
{
    while (w->spare_n < SPARE_PREPARED) {
        struct lh_conn *c = lh_alloc(sizeof(*c));
        if (!c)
            return;
        lh_list_append(&w->spare, &c->all);
        w->spare_n++;
    }
}

static struct lh_conn *take_spare(struct lh_worker *w)
{
    struct lh_list *link = lh_list_take(&w->spare);

    if (!link)
        return lh_alloc(sizeof(struct lh_conn));
    w->spare_n--;
    return LH_OF(link, struct lh_conn, all);
}

static void give_spare(struct lh_worker *w, struct lh_conn *c)
{
    if (w->spare_n >= SPARE_KEPT) {
        lh_free(c);
        return;
    }
    lh_list_append(&w->spare, &c->all);
    w->spare_n++;
}

void lh_conns_free_spare(struct lh_worker *w)
{
    struct lh_list *link;

    while ((link = lh_list_take(&w->spare)) != NULL)
        lh_free(LH_OF(link, struct lh_conn, all));
    w->spare_n = 0;
}

static struct lh_peer *new_peer(const struct lh_sock_ends *ends)
{
    struct lh_peer *peer = lh_peer_new();

    if (!peer)
        return NULL;
    snprintf(peer->server_addr, sizeof(peer->server_addr), "%s", ends->local);
    snprintf(peer->client_addr, sizeof(peer->client_addr), "%s", ends->remote);
    peer->server_port = ends->local_port;
    peer->client_port = ends->remote_port;
    return peer;
}

static bool is_secure(const struct lh_listener *listener)
{
    return (listener->flags & LHTTPD_LISTEN_TLS) != 0;
}

static void init(struct lh_conn *c, struct lh_worker *w,
                 const struct lh_listener *listener, int fd)
{
    uint64_t timeout = is_secure(listener) ? w->ctx.limits->handshake_timeout_ms
                                           : w->ctx.limits->idle_timeout_ms;

    *c = (struct lh_conn){
        .source.on_event = on_event,
        .host = {.ctx = &w->ctx, .request = request, .wake = wake},
        .worker = w,
        .listener = listener,
        .fd = fd,
        .state = LH_CONN_SPARE,
        .interest = LH_EV_READ,
        .state_deadline = lh_deadline(w->ctx.now_ms, timeout),
        .send_deadline = LH_NEVER,
    };
    lh_list_init(&c->all);
    lh_list_init(&c->fed);
    lh_list_init(&c->dirty);
    lh_timer_init(&c->timer, on_time);
}

/* Peer, transport and slot; what was made is undone on failure. */
static bool equip(struct lh_conn *c, const struct lh_sock_ends *ends)
{
    struct lh_worker *w = c->worker;

    c->host.peer = new_peer(ends);
    if (!c->host.peer)
        return false;
    c->transport = is_secure(c->listener) ? lh_tls_new(&w->pools, c->fd)
                                          : lh_tcp_new(&w->pools, c->fd);
    if (!c->transport)
        goto err_after_peer;
    c->host.splices = c->transport->ops->splice != NULL;
    if (lh_slots_add(&w->slots, &c->source, &c->tag) < 0)
        goto err_after_transport;
    if (lh_evq_add(&w->evq, c->fd, c->interest, c->tag) < 0)
        goto err_after_slot;
    return true;

err_after_slot:
    lh_slots_remove(&w->slots, c->tag);
err_after_transport:
    c->transport->ops->free(c->transport);
err_after_peer:
    lh_peer_let_go(c->host.peer);
    return false;
}

static void count(struct lh_worker *w, int change)
{
    w->conns_n += (unsigned)change;
    w->ctx.counters.connections = w->conns_n;
    atomic_store(&w->load, w->conns_n);
}

void lh_conn_accept(struct lh_worker *w, const struct lh_listener *listener,
                    int fd, const struct lh_sock_ends *ends)
{
    struct lh_conn *c = take_spare(w);

    if (!c) {
        lh_sock_close(fd);
        return;
    }
    init(c, w, listener, fd);
    if (!equip(c, ends)) {
        lh_sock_close(fd);
        give_spare(w, c);
        return;
    }
    lh_list_append(&w->busy, &c->all);
    count(w, 1);
    c->host.peer->number = ++w->ctx.counters.connections_total;
    c->transport->number = c->host.peer->number;
    set_state(c, is_secure(listener) ? LH_CONN_HANDSHAKE : LH_CONN_SNIFF);
    settle(c);
}

static void free_conn(struct lh_conn *c)
{
    if (c->protocol)
        c->protocol->free(c->p);
    c->transport->ops->free(c->transport);
    lh_sock_close(c->fd);
    lh_peer_let_go(c->host.peer);
    give_spare(c->worker, c);
}

void lh_conns_reap(struct lh_worker *w)
{
    struct lh_step step = {0};
    struct lh_list *link;

    while ((link = lh_list_take(&w->closed)) != NULL) {
        free_conn(LH_OF(link, struct lh_conn, all));
        count(w, -1);
        if (lh_step_over(&step, FREE_COST))
            return;
    }
}

/* Its request may be on its way, or have come while its event has not, and the
 * last answer may still be on its way in the system.  What comes while it
 * lingers is nothing.
 */
static bool can_go(const struct lh_conn *c)
{
    bool fresh = c->worker->ctx.now_ms - c->idle_ms < FRESH_MS;

    if ((fresh && !c->used) || lh_sock_untaken(c->fd) > 0)
        return false;
    return c->state == LH_CONN_LINGER ||
           (!lh_list_linked(&c->fed) && lh_sock_unread(c->fd) == 0);
}

/* One that cannot is passed over and counts as idle from now on. */
bool lh_conns_find_idle(struct lh_worker *w)
{
    for (int i = 0; i < IDLE_LOOKS && !lh_list_empty(&w->idle); i++) {
        struct lh_conn *c = LH_OF(w->idle.next, struct lh_conn, all);
        if (can_go(c))
            return true;
        lh_list_remove(&c->all);
        lh_list_append(&w->idle, &c->all);
    }
    return false;
}

bool lh_conns_close_oldest_idle(struct lh_worker *w)
{
    if (!lh_conns_find_idle(w))
        return false;
    lose(LH_OF(w->idle.next, struct lh_conn, all));
    return true;
}

/* Who has connected and said nothing yet is given a moment, as the protocol
 * gives it to those who are further. */
static void drain(struct lh_conn *c)
{
    uint64_t soon = lh_deadline(c->worker->ctx.now_ms, LH_PROTO_DRAIN_MS);

    if (c->state == LH_CONN_OPEN)
        c->protocol->drain(c->p);
    else if (c->state < LH_CONN_OPEN && !c->heard)
        c->state_deadline = min_deadline(c->state_deadline, soon);
    settle(c);
}

static void for_all(struct lh_worker *w, void (*visit)(struct lh_conn *c))
{
    struct lh_list *lists[] = {&w->idle, &w->busy};

    for (int i = 0; i < 2; i++) {
        struct lh_list all, *link;
        lh_list_move(&all, lists[i]);
        while ((link = lh_list_take(&all)) != NULL) {
            struct lh_conn *c = LH_OF(link, struct lh_conn, all);
            lh_list_append(lists[i], link);
            visit(c);
        }
    }
}

void lh_conns_drain(struct lh_worker *w)
{
    for_all(w, drain);
}

bool lh_conns_cut(struct lh_worker *w)
{
    bool cut = false;

    for (struct lh_list *link = w->busy.next; link != &w->busy;
         link = link->next)
        cut |= LH_OF(link, struct lh_conn, all)->state == LH_CONN_OPEN;
    for_all(w, lose);
    return cut;
}
