/*
 * An HTTP/2 connection: what it answers to what, section by section of RFC
 * 9113.  Each case is fed whole and cut at each octet, and pulled into rooms of
 * several sizes; the answer must be the same.
 */
#include "h2/h2_conn.h"
#include "h2/h2_stream.h"
#include "lib/h2client.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool path_is(const struct lh_exchange *ex, const char *path)
{
    return lh_str_equal(ex->request.path, lh_str_of(path));
}

/* "/echo": the body comes back once it is whole, and its trailers. */
static void echo(struct lh_exchange *ex)
{
    static char body[65536];
    size_t n;

    if (ex->body_state == LH_BODY_OPEN) {
        lh_exchange_want_body(ex, true);
        return;
    }
    lh_exchange_want_body(ex, false);
    n = lh_exchange_read(ex, body, sizeof(body) - 1);
    body[n] = '\0';
    lh_exchange_trailers(ex, &ex->request.trailers);
    test_answer(ex, ex->body_state == LH_BODY_ENDED ? 200 : 408, body);
}

/* "/fields": the request as it reached the handler. */
static void show(struct lh_exchange *ex)
{
    static char text[65536];
    const struct lh_request *q = &ex->request;
    size_t n = (size_t)snprintf(
        text, sizeof(text), "%.*s %.*s://%.*s %.*s ? %.*s\n", (int)q->method.n,
        q->method.p, (int)q->scheme.n, q->scheme.p, (int)q->authority.n,
        q->authority.p, (int)q->path.n, q->path.p, (int)q->query.n,
        q->query.p ? q->query.p : "");

    for (unsigned i = 0; i < q->fields.n && n < sizeof(text); i++) {
        const struct lh_field *x = &q->fields.v[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s: %.*s\n",
                              (int)x->name.n, x->name.p, (int)x->value.n,
                              x->value.p);
    }
    test_answer(ex, 200, text);
}

/* "/tunnel": what comes goes back, as it comes. */
static void tunnel(struct lh_exchange *ex)
{
    struct lh_fields none = {.n = 0};
    char octets[1000];
    size_t n;

    if (!ex->upgraded && lh_exchange_upgrade(ex, &none)) {
        test_answer(ex, 409, "");
        return;
    }
    while ((n = lh_exchange_read(ex, octets, sizeof(octets))) > 0)
        lh_exchange_write(ex, octets, n);
    if (ex->body_state == LH_BODY_OPEN)
        return;
    lh_exchange_end(ex);
    test_done(ex);
}

/* "/short": a tunnel that our side ends at once. */
static void close_tunnel(struct lh_exchange *ex)
{
    struct lh_fields none = {.n = 0};

    assert_int_equal(lh_exchange_upgrade(ex, &none), 0);
    assert_int_equal(lh_exchange_write(ex, "bye", 3), 0);
    lh_exchange_end(ex);
    test_done(ex);
}

/* "/nothing". */
static void end_without_answer(struct lh_exchange *ex)
{
    lh_exchange_end(ex);
    test_done(ex);
}

/* "/hold": nothing, until the client is gone. */
static void handler(struct test_driver *d, struct lh_exchange *ex)
{
    d->data = ex;
    if (ex->gone)
        test_done(ex);
    else if (path_is(ex, "/echo"))
        echo(ex);
    else if (path_is(ex, "/tunnel"))
        tunnel(ex);
    else if (path_is(ex, "/short"))
        close_tunnel(ex);
    else if (path_is(ex, "/fields"))
        show(ex);
    else if (path_is(ex, "/nothing"))
        end_without_answer(ex);
    else if (!path_is(ex, "/hold"))
        test_answer(ex, 200, "hello");
}

struct way {
    size_t step, pull_room;
};

static const struct way ways[] = {
    {0, 65536}, {1, 65536}, {0, 1}, {0, 16384}, {7, 100},
};

#define WAYS (sizeof(ways) / sizeof(ways[0]))

/* `expect` begins a line of the answer; "": no error. */
struct test_case {
    const char *name, *say, *expect;
};

/* Each error that the client has caused has a line in the log. */
static void check_log(const struct test_case *t, const struct test_h2 *h)
{
    bool ours = strstr(t->expect, "NO_ERROR") || strstr(t->expect, "INTERNAL");
    const char *frame = strstr(t->expect, "GOAWAY") ? "GOAWAY" : "RST_STREAM";
    char expected[32];

    if (ours || !strstr(t->expect, frame))
        return;
    snprintf(expected, sizeof(expected), "HTTP/2: %s ", frame);
    if (strncmp(h->t.last_log, expected, strlen(expected)) != 0 ||
        strstr(h->t.last_log, "(null)"))
        fail_msg("%s: the log does not say '%s' but '%s'", t->name, expected,
                 h->t.last_log);
}

/* Runs a case in every way.  After GOAWAY the connection must close, after
 * anything else it must still answer. */
static void run_case(const struct test_case *t)
{
    for (size_t i = 0; i < WAYS; i++) {
        struct test_h2 h;
        test_h2_init(&h, handler, ways[i].step);
        h.d.pull_room = ways[i].pull_room;
        test_h2_hello(&h);
        test_h2_say(&h, t->say);
        bool errors = test_h2_got(&h, "RST") || test_h2_got(&h, "GOAWAY");
        if (*t->expect ? !test_h2_got(&h, t->expect) : errors)
            fail_msg("%s (%zu): no '%s' in\n%s", t->name, i, t->expect, h.log);
        bool closes = test_driver_status(&h.d) & LH_PROTO_CLOSE;
        if (closes != test_h2_got(&h, "GOAWAY"))
            fail_msg("%s (%zu): closes %d after\n%s", t->name, i, closes,
                     h.log);
        check_log(t, &h);
        test_h2_forget(&h);
        if (!closes)
            test_h2_say(&h, "PING - 0 'pingpong'");
        if (!closes && !test_h2_got(&h, "PING ack"))
            fail_msg("%s (%zu): no life after it\n%s", t->name, i, h.log);
        test_h2_deinit(&h);
    }
}

#define OPEN "HEADERS h 1 POST/hold\n"
#define HALF "HEADERS eh 1 GET/hold\n"
#define DONE "HEADERS eh 1 GET\n-\n"
#define PAST "HEADERS h 1 POST/hold\nRST_STREAM - 1 u8\n"

static const struct test_case framing[] = {
    {"4.1 unknown type", "T22 x 0 *10\nT250 x 77 *10", ""},
    {"4.1 undefined flags", "PING x 0 *8", "PING ack"},
    {"4.1 reserved bit", "HEADERS eh 2147483649 GET", "HEADERS 1"},
    {"4.2 the largest frame", "HEADERS h 1 POST/echo\nDATA e 1 *16384",
     "HEADERS 1"},
    {"4.2 DATA too large", OPEN "DATA e 1 *16385", "GOAWAY 1 FRAME_SIZE_ERROR"},
    {"4.2 HEADERS too large", "HEADERS eh 1 GET *16385",
     "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"4.3 broken block", "HEADERS eh 1 x80", "GOAWAY 1 COMPRESSION_ERROR"},
    {"4.3 cut block", "HEADERS eh 1 x400a6375", "GOAWAY 1 COMPRESSION_ERROR"},
    {"4.3 PRIORITY in a block", "HEADERS e 1 GET\nPRIORITY - 1 u0 x0f",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"4.3 another stream's HEADERS in a block",
     "HEADERS e 1 GET\nHEADERS eh 3 GET", "GOAWAY 1 PROTOCOL_ERROR"},
    {"4.3 an unknown frame in a block", "HEADERS e 1 GET\nT22 - 1 *1",
     "GOAWAY 1 PROTOCOL_ERROR"},
};

static const struct test_case states[] = {
    {"5.1 idle: DATA", "DATA e 1 'x'", "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.1 idle: RST_STREAM", "RST_STREAM - 1 u8", "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.1 idle: WINDOW_UPDATE", "WINDOW_UPDATE - 1 u1",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.1 idle: CONTINUATION", "CONTINUATION h 1 GET",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.1 idle: PRIORITY", "PRIORITY - 1 u0 x0f", ""},
    {"5.1 idle, ours: WINDOW_UPDATE", "WINDOW_UPDATE - 2 u1",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.1 idle, ours: DATA", "DATA - 2 'x'", "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.1 half-closed (remote): DATA", HALF "DATA e 1 'x'",
     "RST_STREAM 1 STREAM_CLOSED"},
    {"5.1 half-closed (remote): HEADERS", HALF "HEADERS eh 1 GET",
     "RST_STREAM 1 STREAM_CLOSED"},
    {"5.1 half-closed (remote): CONTINUATION", HALF "CONTINUATION eh 1 GET",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"5.1 half-closed (remote): WINDOW_UPDATE, PRIORITY",
     HALF "WINDOW_UPDATE - 1 u1\nPRIORITY - 1 u0 x0f", ""},
    {"5.1 half-closed (remote): RST_STREAM", HALF "RST_STREAM - 1 u8", ""},
    {"5.1 closed by the client's reset: DATA", PAST "DATA e 1 'x'",
     "RST_STREAM 1 STREAM_CLOSED"},
    {"5.1 closed by the client's reset: HEADERS", PAST "HEADERS eh 1 GET",
     "RST_STREAM 1 STREAM_CLOSED"},
    {"5.1 closed by the client's reset: CONTINUATION",
     PAST "CONTINUATION h 1 GET", "GOAWAY 1 PROTOCOL_ERROR"},
    {"5.1 closed: DATA", DONE "DATA e 1 'x'", "RST_STREAM 1 STREAM_CLOSED"},
    {"5.1 closed: PRIORITY", DONE "PRIORITY - 1 u0 x0f", "DATA 1 end"},
    {"5.1 closed: WINDOW_UPDATE", DONE "WINDOW_UPDATE - 1 u1", "DATA 1 end"},
    {"5.1 closed: RST_STREAM", DONE "RST_STREAM - 1 u8", "DATA 1 end"},
    {"5.1 closed: HEADERS", DONE "HEADERS eh 1 GET", "GOAWAY 1 STREAM_CLOSED"},
    {"5.1 closed: CONTINUATION", DONE "CONTINUATION h 1 GET",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"5.1.1 an even number", "HEADERS eh 2 GET", "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.1.1 a lower number", "HEADERS eh 5 GET/hold\nHEADERS eh 3 GET",
     "GOAWAY 5 PROTOCOL_ERROR"},
    {"5.3 HEADERS that depend on themselves", "HEADERS ehy 1 u1 xff GET",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"5.3 PRIORITY that depends on itself", HALF "PRIORITY - 1 u1 xff",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"5.3 likewise, closed", DONE "PRIORITY - 1 u1 xff",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"5.3 likewise, idle", "PRIORITY - 1 u1 xff", "GOAWAY 0 PROTOCOL_ERROR"},
    {"5.3 HEADERS with the old priority", "HEADERS ehy 1 u0 xff GET",
     "DATA 1 end 'hello'"},
};

static const struct test_case frames[] = {
    {"6.1 DATA on stream 0", "DATA e 0 'x'", "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.1 DATA with padding",
     "HEADERS h 1 POST/echo {content-length: 3}\nDATA ep 1 x05 'abc' *5",
     "DATA 1 end 'abc'"},
    {"6.1 nothing but padding",
     "HEADERS h 1 POST/echo\nDATA p 1 xff *255\nDATA ep 1 x00",
     "HEADERS 1 end"},
    {"6.1 more padding than payload", OPEN "DATA ep 1 x06 'abc'",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"6.2 HEADERS on stream 0", "HEADERS eh 0 GET", "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.2 HEADERS with padding", "HEADERS ehp 1 x03 GET *3",
     "DATA 1 end 'hello'"},
    {"6.2 padding and priority", "HEADERS ehpy 1 x03 u0 x10 GET *3",
     "DATA 1 end 'hello'"},
    {"6.2 more padding than payload", "HEADERS ehp 1 xff GET",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.3 PRIORITY on stream 0", "PRIORITY - 0 u1 x00",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.3 PRIORITY of 4 octets", HALF "PRIORITY - 1 u3",
     "RST_STREAM 1 FRAME_SIZE_ERROR"},
    {"6.3 likewise, closed", DONE "PRIORITY - 1 u3",
     "RST_STREAM 1 FRAME_SIZE_ERROR"},
    {"6.3 likewise, idle", "PRIORITY - 1 u3", "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"6.4 RST_STREAM on stream 0", "RST_STREAM - 0 u8",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.4 RST_STREAM of 3 octets", HALF "RST_STREAM - 1 *3",
     "GOAWAY 1 FRAME_SIZE_ERROR"},
    {"6.4 an unknown error code", HALF "RST_STREAM - 1 u255", ""},
    {"6.5 SETTINGS ACK with payload", "SETTINGS a 0 x0001 u1",
     "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"6.5 SETTINGS on a stream", "SETTINGS - 1", "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.5 SETTINGS of 5 octets", "SETTINGS - 0 *5",
     "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"6.5.2 ENABLE_PUSH 2", "SETTINGS - 0 x0002 u2", "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.5.2 a window too large", "SETTINGS - 0 x0004 u2147483648",
     "GOAWAY 0 FLOW_CONTROL_ERROR"},
    {"6.5.2 a frame size too small", "SETTINGS - 0 x0005 u16383",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.5.2 a frame size too large", "SETTINGS - 0 x0005 u16777216",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"RFC 9218 NO_RFC7540_PRIORITIES 2", "SETTINGS - 0 x0009 u2",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"RFC 9218 NO_RFC7540_PRIORITIES 0, 1", "SETTINGS - 0 x0009 u0 x0009 u1",
     "SETTINGS ack"},
    {"6.5.2 an unknown setting", "SETTINGS - 0 x00ff u1", "SETTINGS ack"},
    {"6.5.3 in their order", "SETTINGS - 0 x0004 u100 x0004 u1\n" DONE,
     "DATA 1 'h'"},
    {"6.6 PUSH_PROMISE", OPEN "PUSH_PROMISE h 1 u2 GET",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"6.7 PING ACK", "PING a 0 *8", ""},
    {"6.7 PING on a stream", "PING - 1 *8", "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.7 PING of 6 octets", "PING - 0 *6", "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"6.8 GOAWAY on a stream", "GOAWAY - 1 u0 u0", "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.8 GOAWAY", HALF "GOAWAY - 0 u0 u255 'why'", ""},
    {"6.8 answers go on", "GOAWAY - 0 u0 u0\n" DONE, "DATA 1 end"},
    {"6.9 WINDOW_UPDATE of 0", "WINDOW_UPDATE - 0 u0",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"6.9 WINDOW_UPDATE of 0 on a stream", HALF "WINDOW_UPDATE - 1 u0",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"6.9 WINDOW_UPDATE of 3 octets", "WINDOW_UPDATE - 0 *3",
     "GOAWAY 0 FRAME_SIZE_ERROR"},
    {"6.9.1 the window overflows",
     "WINDOW_UPDATE - 0 u2147483647\nWINDOW_UPDATE - 0 u2147483647",
     "GOAWAY 0 FLOW_CONTROL_ERROR"},
    {"6.9.1 a stream's window overflows",
     HALF "WINDOW_UPDATE - 1 u2147483647\nWINDOW_UPDATE - 1 u2147483647",
     "RST_STREAM 1 FLOW_CONTROL_ERROR"},
    {"6.9.2 a stream's window overflows by SETTINGS",
     HALF "WINDOW_UPDATE - 1 u1000\nSETTINGS - 0 x0004 u2147483647",
     "GOAWAY 1 FLOW_CONTROL_ERROR"},
    {"6.10 CONTINUATIONs",
     "HEADERS e 1\nCONTINUATION - 1 GET\nCONTINUATION - 1 {a: b}\n"
     "CONTINUATION h 1",
     "DATA 1 end"},
    {"6.10 another frame in between",
     "HEADERS e 1 GET\nCONTINUATION - 1 {a: b}\nDATA e 1 'x'",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"6.10 on stream 0", "HEADERS e 1 GET\nCONTINUATION h 0 {a: b}",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"6.10 after END_HEADERS", HALF "CONTINUATION h 1 {a: b}",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"6.10 after CONTINUATION with END_HEADERS",
     "HEADERS e 1 GET/hold\nCONTINUATION h 1 {a: b}\nCONTINUATION h 1 {a: b}",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"6.10 after DATA", OPEN "DATA - 1 'x'\nCONTINUATION h 1 {a: b}",
     "GOAWAY 1 PROTOCOL_ERROR"},
    {"6.10 nine of them",
     "HEADERS e 1 GET\nCONTINUATION - 1\nCONTINUATION - 1\nCONTINUATION - 1\n"
     "CONTINUATION - 1\nCONTINUATION - 1\nCONTINUATION - 1\nCONTINUATION - 1\n"
     "CONTINUATION - 1\nCONTINUATION h 1",
     "GOAWAY 1 ENHANCE_YOUR_CALM"},
    {"RFC 9218 PRIORITY_UPDATE of stream 0", "PRIORITY_UPDATE - 0 u0 'u=1'",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"RFC 9218 PRIORITY_UPDATE on a stream", "PRIORITY_UPDATE - 1 u1 'u=1'",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"RFC 9218 PRIORITY_UPDATE of no push", "PRIORITY_UPDATE - 0 u2 'u=1'",
     "GOAWAY 0 PROTOCOL_ERROR"},
    {"RFC 9218 PRIORITY_UPDATE", "PRIORITY_UPDATE - 0 u1 'u=1'\n" DONE,
     "DATA 1 end"},
};

#define BASE "{:method: GET}{:scheme: http}{:path: /}{:authority: a}"
#define EXTENDED(path)                                                         \
    "{:method: CONNECT}{:protocol: websocket}{:scheme: http}{:path: " path     \
    "}{:authority: a}"

static const struct test_case messages[] = {
    {"8.1 HEADERS again, without END_STREAM", OPEN "HEADERS h 1 {a: b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1 trailers",
     "HEADERS h 1 POST/echo\nDATA - 1 'abc'\nHEADERS eh 1 {x-sum: 6}",
     "HEADERS 1 end x-sum=6"},
    {"8.1 trailers that are for a header",
     "HEADERS h 1 POST/echo\nDATA - 1 'abc'\n"
     "HEADERS eh 1 {content-length: 7}{host: b}{x-sum: 6}",
     "HEADERS 1 end x-sum=6"},
    {"8.1 HEADERS after trailers",
     "HEADERS h 1 POST/hold\nHEADERS eh 1 {a: b}\nHEADERS eh 1 {a: b}",
     "RST_STREAM 1 STREAM_CLOSED"},
    {"8.2.1 an upper-case name", "HEADERS eh 1 GET {X-Name: b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.1 a space in a name", "HEADERS eh 1 GET {x name: b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.1 an empty name", "HEADERS eh 1 GET x00000162",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.1 a colon in a name", "HEADERS eh 1 GET x0003613a620162",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.1 CR LF in a value", "HEADERS eh 1 GET x00016104620d0a62",
     "RST_STREAM 1"},
    {"8.2.1 NUL in a value", "HEADERS eh 1 GET x00016103620062",
     "RST_STREAM 1"},
    {"8.2.1 a space in front of a value", "HEADERS eh 1 GET {a:  b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.2 connection", "HEADERS eh 1 GET {connection: keep-alive}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.2 transfer-encoding", "HEADERS eh 1 GET {transfer-encoding: chunked}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.2 upgrade", "HEADERS eh 1 GET {upgrade: h2c}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.2 te", "HEADERS eh 1 GET {te: trailers, deflate}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.2.2 te: trailers", "HEADERS eh 1 GET {te: trailers}", "DATA 1 end"},
    {"8.3 an unknown pseudo-field", "HEADERS eh 1 GET {:test: b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3 a response's pseudo-field", "HEADERS eh 1 GET {:status: 200}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3 a pseudo-field in trailers", OPEN "HEADERS eh 1 {:method: GET}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3 a pseudo-field after a regular one",
     "HEADERS eh 1 {a: b}{:method: GET}{:scheme: http}{:path: /}"
     "{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 an empty :path",
     "HEADERS eh 1 {:method: GET}{:scheme: http}{:path: }{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 no :method",
     "HEADERS eh 1 {:scheme: http}{:path: /}{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 no :scheme", "HEADERS eh 1 {:method: GET}{:path: /}{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 no :path",
     "HEADERS eh 1 {:method: GET}{:scheme: http}{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 neither :authority nor host",
     "HEADERS eh 1 {:method: GET}{:scheme: http}{:path: /}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 two :method", "HEADERS eh 1 " BASE "{:method: GET}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 two :scheme", "HEADERS eh 1 " BASE "{:scheme: http}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 two :path", "HEADERS eh 1 " BASE "{:path: /}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 two :authority", "HEADERS eh 1 " BASE "{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 a path that is none",
     "HEADERS eh 1 {:method: GET}{:scheme: http}{:path: x}{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 an absolute path",
     "HEADERS eh 1 {:method: GET}{:scheme: http}{:path: http://a/}"
     "{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 * without OPTIONS", "HEADERS eh 1 GET*",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 userinfo in :authority",
     "HEADERS eh 1 {:method: GET}{:scheme: http}{:path: /}{:authority: u@a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 host says something else", "HEADERS eh 1 " BASE "{host: b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.3.1 two hosts",
     "HEADERS eh 1 {:method: GET}{:scheme: http}{:path: /}{host: a}{host: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 content-length without DATA",
     "HEADERS eh 1 POST {content-length: 1}", "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 more DATA than content-length",
     "HEADERS h 1 POST/hold {content-length: 1}\nDATA - 1 'test'",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 less, in two frames",
     "HEADERS h 1 POST/hold {content-length: 5}\nDATA - 1 'te'\nDATA e 1 'st'",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 less, with trailers",
     "HEADERS h 1 POST/hold {content-length: 5}\nDATA - 1 'te'\n"
     "HEADERS eh 1 {a: b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 another one after the answer",
     "HEADERS h 1 POST {content-length: 1}\nDATA e 1 'test'",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 two content-lengths",
     "HEADERS h 1 POST {content-length: 1}{content-length: 2}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 no number", "HEADERS h 1 POST {content-length: +1}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"8.1.1 the same twice",
     "HEADERS h 1 POST/echo {content-length: 1}{content-length: 1}\n"
     "DATA e 1 'x'",
     "DATA 1 end 'x'"},
    {"8.5 CONNECT", "HEADERS h 1 {:method: CONNECT}{:authority: a:443}",
     "HEADERS 1 :status=501"},
    {"8.5 CONNECT with a path", "HEADERS h 1 CONNECT",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    /* RFC 8441. */
    {"extended CONNECT",
     "HEADERS h 1 " EXTENDED("/tunnel") "\nDATA - 1 'a'\n-\nDATA e 1 'c'",
     "DATA 1 'a'"},
    {"extended CONNECT, the head", "HEADERS h 1 " EXTENDED("/tunnel"),
     "HEADERS 1 :status=200"},
    {"extended CONNECT that has ended", "HEADERS eh 1 " EXTENDED("/tunnel"),
     "HEADERS 1 end :status=409"},
    {"extended CONNECT answered by a page", "HEADERS h 1 " EXTENDED("/"),
     "HEADERS 1 :status=501"},
    {"extended CONNECT without an answer", "HEADERS h 1 " EXTENDED("/nothing"),
     "HEADERS 1 :status=501"},
    {"another request without an answer", "HEADERS eh 1 GET/nothing",
     "HEADERS 1 end :status=200"},
    {"extended CONNECT without a path",
     "HEADERS h 1 {:method: CONNECT}{:protocol: websocket}{:scheme: http}"
     "{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"extended CONNECT without a scheme",
     "HEADERS h 1 {:method: CONNECT}{:protocol: websocket}{:path: /}"
     "{:authority: a}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {":protocol twice",
     "HEADERS h 1 " EXTENDED("/tunnel") "{:protocol: websocket}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {":protocol that is no token", "HEADERS h 1 CONNECT {:protocol: a b}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {":protocol without CONNECT", "HEADERS eh 1 " BASE "{:protocol: websocket}",
     "RST_STREAM 1 PROTOCOL_ERROR"},
    {"TRACE", "HEADERS eh 1 TRACE", "HEADERS 1 :status=501"},
    {"a bad escape", "HEADERS eh 1 GET/%zz", "HEADERS 1 :status=400"},
    {"an expectation", "HEADERS eh 1 GET {expect: 200-ok}",
     "HEADERS 1 :status=417"},
};

static void run_all(const struct test_case *t, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run_case(&t[i]);
}

#define RUN(table) run_all(table, sizeof(table) / sizeof(table[0]))

static void test_framing(void **state)
{
    (void)state;
    RUN(framing);
}

static void test_states(void **state)
{
    (void)state;
    RUN(states);
}

static void test_frames(void **state)
{
    (void)state;
    RUN(frames);
}

static void test_messages(void **state)
{
    (void)state;
    RUN(messages);
}

/* --- what a table does not show ------------------------------------------- */

static void test_get(void **state)
{
    struct test_h2 h;

    (void)state;
    for (size_t i = 0; i < WAYS; i++) {
        test_h2_init(&h, handler, ways[i].step);
        h.d.pull_room = ways[i].pull_room;
        test_h2_octets(&h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
        test_h2_say(&h, "SETTINGS - 0");
        assert_string_equal(h.log, "SETTINGS 3=128 4=65536 6=32768 8=1 9=1\n"
                                   "WINDOW_UPDATE 0 +458753\n"
                                   "SETTINGS ack\n");
        test_h2_forget(&h);
        test_h2_say(&h, "HEADERS eh 1 GET");
        assert_string_equal(
            h.log, "HEADERS 1 :status=200 date=Tue, 24 Nov 2026 03:15:00 GMT "
                   "server=test content-length=5 content-type=text/plain\n"
                   "DATA 1 end 'hello'\n");
        assert_true(test_driver_status(&h.d) & LH_PROTO_IDLE);
        assert_int_equal(h.t.ctx.counters.exchanges, 0);
        test_h2_forget(&h);
        test_h2_say(&h, "HEADERS eh 3 HEAD");
        assert_true(test_h2_got(&h, "HEADERS 3 end :status=200"));
        test_h2_deinit(&h);
    }
}

/* What a tunnel gives has no length that is said (RFC 9110, 9.3.6), also where
 * all of it is known before the head leaves. */
static void test_short_tunnel(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    test_h2_hello(&h);
    test_h2_say(&h, "HEADERS h 1 " EXTENDED("/short"));
    assert_true(test_h2_got(&h, "HEADERS 1 :status=200"));
    assert_true(test_h2_got(&h, "DATA 1 end 'bye'"));
    assert_null(strstr(h.log, "content-length"));
    test_h2_deinit(&h);
}

static void test_preface(void **state)
{
    struct test_h2 h;

    (void)state;
    for (size_t step = 0; step < 2; step++) {
        test_h2_init(&h, handler, step);
        test_h2_octets(&h, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", 24);
        assert_true(test_h2_got(&h, "GOAWAY 0 PROTOCOL_ERROR"));
        assert_true(test_driver_status(&h.d) & LH_PROTO_CLOSE);
        test_h2_deinit(&h);

        test_h2_init(&h, handler, step);
        test_h2_octets(&h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
        test_h2_say(&h, "PING - 0 *8");
        assert_true(test_h2_got(&h, "GOAWAY 0 PROTOCOL_ERROR"));
        test_h2_deinit(&h);

        test_h2_init(&h, handler, step);
        test_h2_octets(&h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
        test_h2_say(&h, "SETTINGS a 0");
        assert_true(test_h2_got(&h, "GOAWAY 0 PROTOCOL_ERROR"));
        test_h2_deinit(&h);
    }
}

/* What was under way when we reset a stream is ignored, and its block decoded:
 * the tables stay in step. */
static void test_after_our_reset(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    test_h2_hello(&h);
    test_h2_say(&h, "HEADERS h 1 GET {A: b}"); /* malformed */
    assert_true(test_h2_got(&h, "RST_STREAM 1 PROTOCOL_ERROR"));
    test_h2_forget(&h);
    /* x-name: indexed; then named by its index. */
    test_h2_say(&h, "DATA - 1 'abc'\n"
                    "HEADERS eh 1 x4006 'x-name' x01 'y'\n"
                    "WINDOW_UPDATE - 1 u1\nRST_STREAM - 1 u0\n"
                    "HEADERS eh 3 GET/fields xbe");
    assert_true(test_h2_got(&h, "HEADERS 3 :status=200"));
    assert_non_null(strstr(h.body, "\nx-name: y\n"));
    assert_false(test_h2_got(&h, "RST_STREAM"));
    test_h2_deinit(&h);
}

/* ... though all streams that there may be were reset at once. */
static void test_after_many_resets(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    test_h2_hello(&h);
    for (unsigned i = 0; i < h.t.ctx.limits->h2_streams; i++)
        test_h2_sayf(&h, "HEADERS h %u GET {A: b}", 2 * i + 1);
    test_h2_forget(&h);
    test_h2_say(&h, "HEADERS eh 1 {a: b}");
    assert_false(test_h2_got(&h, "GOAWAY"));
    test_h2_deinit(&h);
}

/* ... and however many were opened since, for the client may be slow: that it
 * was one of its streams is known. */
static void test_long_after_a_reset(void **state)
{
    struct test_h2 h;

    (void)state;
    test_h2_init(&h, handler, 0);
    test_h2_hello(&h);
    test_h2_say(&h, "HEADERS h 1 GET {A: b}");
    for (unsigned id = 3; id < 2 * LH_H2_PASTS + 7; id += 2)
        test_h2_sayf(&h, "HEADERS eh %u GET\n-", id);
    test_h2_forget(&h);
    test_h2_say(&h, "HEADERS eh 1 {a: b}\nHEADERS eh 1001 GET\n-");
    assert_true(test_h2_got(&h, "RST_STREAM 1 STREAM_CLOSED"));
    assert_true(test_h2_got(&h, "DATA 1001 end 'hello'"));
    /* It has passed over this one. */
    test_h2_say(&h, "HEADERS eh 999 {a: b}");
    assert_true(test_h2_got(&h, "GOAWAY 1001 PROTOCOL_ERROR"));
    test_h2_deinit(&h);
}

static void test_fields_arrive(void **state)
{
    struct test_h2 h;

    (void)state;
    for (size_t step = 0; step < 2; step++) {
        test_h2_init(&h, handler, step);
        test_h2_hello(&h);
        /* A never-indexed literal (RFC 7541, 6.2.3), cookie crumbs, a block in
         * three frames, cut within a field. */
        test_h2_say(&h, "HEADERS e 1 GET/x/../fields?a=%20b "
                        "{host: EXAMPLE.com} x100d 'authoriz'\n"
                        "CONTINUATION - 1 'ation' x06 'sec'\n"
                        "CONTINUATION h 1 'r3t' {cookie: a=1}{cookie: b=2}");
        assert_string_equal(h.body, "GET http://example.com /fields ? a=%20b\n"
                                    "authorization: secr3t\n"
                                    "cookie: a=1; b=2\n");
        test_h2_deinit(&h);
    }
}

/* A handler is told what the connection is, whatever the client calls it. */
static void test_scheme_is_the_connections(void **state)
{
    struct test_h2 h;

    (void)state;
    for (int secure = 0; secure < 2; secure++) {
        test_h2_init(&h, handler, 0);
        h.t.peer->secure = secure;
        test_h2_hello(&h);
        test_h2_say(&h, secure ? "HEADERS eh 1 {:method: GET}{:scheme: http}"
                                 "{:path: /fields}{:authority: a}"
                               : "HEADERS eh 1 {:method: GET}{:scheme: https}"
                                 "{:path: /fields}{:authority: a}");
        assert_string_equal(h.body, secure ? "GET https://a /fields ? \n"
                                           : "GET http://a /fields ? \n");
        test_h2_deinit(&h);
    }
}

/* Clients split their cookies into as many fields as there are: they are one,
 * wherever the others stand, in what arrives and in what counts. */
static void test_cookies(void **state)
{
    char lines[16384] = "HEADERS eh 1 GET/fields", expected[8192];
    size_t n = strlen(lines), k;
    struct test_h2 h;

    (void)state;
    k = (size_t)snprintf(expected, sizeof(expected),
                         "GET http://example.com /fields ? \ncookie: ");
    for (int i = 0; i < 300; i++) {
        n += (size_t)snprintf(lines + n, sizeof(lines) - n,
                              " {cookie: c%d=v}%s", i, i % 3 ? "" : " {x: y}");
        k += (size_t)snprintf(expected + k, sizeof(expected) - k, "%sc%d=v",
                              i ? "; " : "", i);
    }
    snprintf(expected + k, sizeof(expected) - k, "\nx: y\n");
    test_h2_init(&h, handler, 0);
    test_h2_hello(&h);
    test_h2_say(&h, lines);
    assert_true(test_h2_got(&h, "HEADERS 1 :status=200"));
    h.body[strlen(expected)] = '\0'; /* "x: y" follows 99 times more */
    assert_string_equal(h.body, expected);
    test_h2_deinit(&h);
}

/* By octets: each after the first costs its own and two, as if it were sent as
 * one.  The pseudo-fields are 176. */
static void test_cookie_limit(void **state)
{
    struct test_h2 h;

    (void)state;
    for (uint64_t room = 5 + 41; room >= 5 + 40; room--) {
        test_h2_init(&h, handler, 0);
        h.t.limits.header_bytes = 176 + room;
        test_h2_hello(&h);
        test_h2_say(&h, "HEADERS eh 1 GET {cookie: a=1} {cookie: b=2}");
        assert_true(test_h2_got(&h, room == 46 ? "HEADERS 1 :status=200"
                                               : "HEADERS 1 :status=431"));
        test_h2_say(&h, "HEADERS eh 3 GET {cookie: a=1}"); /* counted anew */
        assert_true(test_h2_got(&h, "HEADERS 3 :status=200"));
        test_h2_deinit(&h);
    }
}

/* A request ends once, whoever ends its stream. */
static void test_ends_of_requests(void **state)
{
    static const struct {
        const char *say, *ended;
        bool lost;
        unsigned ms;
    } cases[] = {
        {"HEADERS eh 1 GET", "complete 200 5", false, 0},
        {"HEADERS eh 1 HEAD\nHEADERS eh 3 GET",
         "complete 200 0, complete 200 5", false, 0},
        {"HEADERS eh 1 GET/hold\nRST_STREAM - 1 u8", "gone 0 0", false, 0},
        {"HEADERS eh 1 GET/hold\nPING - 0 'x'", "cut 0 0", false, 0},
        {"HEADERS eh 1 GET/hold", "gone 0 0", true, 0},
        {"HEADERS eh 1 GET {x:y: z}", "", false, 0},
        {"HEADERS eh 1 GET {expect: cake}", "complete 417 157", false, 0},
        {"SETTINGS - 0 x000400000003\nHEADERS eh 1 GET", "timeout 200 3", false,
         30000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_h2 h;
        test_h2_init(&h, handler, 0);
        test_h2_hello(&h);
        test_h2_say(&h, cases[i].say);
        if (cases[i].ms)
            test_h2_advance(&h, cases[i].ms);
        if (cases[i].lost)
            h.d.protocol->gone(h.d.c);
        if (strcmp(h.t.ended, cases[i].ended) != 0)
            fail_msg("%zu: '%s', not '%s'\n%s", i, h.t.ended, cases[i].ended,
                     h.log);
        test_h2_deinit(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_short_tunnel),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_preface),
        cmocka_unit_test(test_after_our_reset),
        cmocka_unit_test(test_after_many_resets),
        cmocka_unit_test(test_long_after_a_reset),
        cmocka_unit_test(test_fields_arrive),
        cmocka_unit_test(test_scheme_is_the_connections),
        cmocka_unit_test(test_cookies),
        cmocka_unit_test(test_cookie_limit),
        cmocka_unit_test(test_ends_of_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
