/* An HTTP/1 connection, driven on byte strings. */
#include "h1/h1_conn.h"

#include "base/num.h"
#include "lib/driver.h"
#include "lib/heap.h"
#include "lib/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define HEAD_END "\r\n\r\n"
#define GET      "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define OWN      "date: Tue, 24 Nov 2026 03:15:00 GMT\r\nserver: test\r\n"

/* --- handlers ------------------------------------------------------------- */

static void put_str(struct test_bytes *b, struct lh_str s)
{
    if (s.p)
        test_bytes_add(b, s.p, s.n);
    else
        test_bytes_add(b, "-", 1);
}

static void put_line(struct test_bytes *b, const char *lead,
                     const struct lh_fields *f)
{
    for (unsigned i = 0; i < f->n; i++) {
        test_bytes_add(b, lead, strlen(lead));
        put_str(b, f->v[i].name);
        test_bytes_add(b, ": ", 2);
        put_str(b, f->v[i].value);
        test_bytes_add(b, "\n", 1);
    }
}

/* What vectors.h says that the handler says. */
static void describe(struct test_bytes *b, const struct lh_request *r)
{
    const struct lh_str parts[] = {r->method, r->authority, r->target, r->path,
                                   r->query};

    for (int i = 0; i < 5; i++) {
        put_str(b, parts[i]);
        test_bytes_add(b, i < 4 ? " " : "\n", 1);
    }
    put_line(b, "", &r->fields);
}

static void answer_report(struct lh_exchange *ex, struct test_bytes *body)
{
    struct test_bytes report = {NULL, 0};
    struct lh_fields none = {.n = 0};

    describe(&report, &ex->request);
    if (body->n) {
        test_bytes_add(&report, "[", 1);
        test_bytes_add(&report, body->p, body->n);
        test_bytes_add(&report, "]\n", 2);
    }
    put_line(&report, "+", &ex->request.trailers);
    if (lh_exchange_start(ex, 200, &none) ||
        lh_exchange_write(ex, report.p, report.n))
        lh_exchange_fail(ex, 500);
    lh_exchange_end(ex);
    free(report.p);
}

/* Reads the whole body, then says what the request was. */
static void report(struct test_driver *d, struct lh_exchange *ex)
{
    struct test_task *task = test_task_of(ex);
    struct test_bytes *body = task->data;
    char piece[1000];
    size_t n;

    (void)d;
    if (!body)
        task->data = body = calloc(1, sizeof(*body));
    assert_non_null(body);
    while ((n = lh_exchange_read(ex, piece, sizeof(piece))))
        test_bytes_add(body, piece, n);
    lh_exchange_want_body(ex, ex->body_state == LH_BODY_OPEN);
    if (ex->body_state == LH_BODY_OPEN)
        return;
    if (ex->body_state == LH_BODY_ENDED)
        answer_report(ex, body);
    else if (ex->body_state == LH_BODY_TIMEOUT)
        lh_exchange_fail(ex, 408);
    else
        lh_exchange_fail(ex, 413);
    free(body->p);
    free(body);
    test_done(ex);
}

static void hello(struct test_driver *d, struct lh_exchange *ex)
{
    (void)d;
    test_answer(ex, 200, "hello\n");
}

/* Does nothing by itself: the test acts as the handler. */
static void idle_handler(struct test_driver *d, struct lh_exchange *ex)
{
    (void)d;
    (void)ex;
}

static struct lh_exchange *only_exchange(struct test_driver *d)
{
    assert_non_null(d->tasks[0].ex);
    return d->tasks[0].ex;
}

/* --- fixture -------------------------------------------------------------- */

struct fixture {
    struct test_context t;
    struct test_driver d;
};

static void begin(struct fixture *f, test_handler_fn *handler)
{
    test_context_init(&f->t);
    test_driver_init(&f->d, &f->t, &lh_h1_protocol, lh_h1_new, handler);
    assert_non_null(f->d.c);
}

static void end(struct fixture *f)
{
    test_driver_deinit(&f->d);
    test_context_deinit(&f->t);
}

static void expect_status(const struct fixture *f, unsigned expected)
{
    assert_int_equal(test_driver_status(&f->d), expected);
}

#define CLOSES  LH_PROTO_CLOSE
#define LINGERS (LH_PROTO_CLOSE | LH_PROTO_LINGER)
#define IDLES   (LH_PROTO_WANTS_INPUT | LH_PROTO_IDLE)

static void expect_error(const struct fixture *f, const char *line)
{
    assert_int_equal(strncmp(f->d.out, line, strlen(line)), 0);
    assert_non_null(strstr(f->d.out, "connection: close\r\n"));
}

/* --- vectors -------------------------------------------------------------- */

/* What the protocol refuses, or closes without a word, has a line in the log
 * that says the status; the vectors' handlers answer nothing but 200. */
static void check_log(const struct fixture *f, const struct test_vector *v)
{
    const char *refusal = strstr(f->d.out, "HTTP/1.1 4");
    char expected[64];

    if (!refusal)
        refusal = strstr(f->d.out, "HTTP/1.1 5");
    if (refusal)
        snprintf(expected, sizeof(expected), "HTTP/1: %.3s, ", refusal + 9);
    else if (v->closes && !v->eof && f->d.out_n == 0)
        strcpy(expected, "HTTP/1: closed without an answer, ");
    else
        return;
    if (strncmp(f->t.last_log, expected, strlen(expected)) != 0 ||
        strstr(f->t.last_log, "(null)"))
        fail_msg("%s: the log does not say '%s' but '%s'", v->name, expected,
                 f->t.last_log);
}

static void check_vector(const struct test_vector *v, size_t first, size_t step)
{
    struct fixture f;

    begin(&f, report);
    strcpy(f.t.ctx.date, TEST_VECTOR_DATE);
    f.t.ctx.software = "";
    test_driver_feed(&f.d, v->in.p, first, 0);
    test_driver_feed(&f.d, v->in.p + first, v->in.n - first, step);
    if (v->eof)
        test_driver_eof(&f.d);
    unsigned status = test_driver_status(&f.d);
    if (f.d.out_n != v->out.n || memcmp(f.d.out, v->out.p, v->out.n) != 0)
        fail_msg("%s (cut at %zu, step %zu)\n--- wanted\n%s\n--- got\n%s\n",
                 v->name, first, step, v->out.p, f.d.out);
    if (v->closes != !!(status & LH_PROTO_CLOSE) ||
        (v->lingers && !(status & LH_PROTO_LINGER)))
        fail_msg("%s (cut at %zu, step %zu): status %u", v->name, first, step,
                 status);
    check_log(&f, v);
    end(&f);
}

/* Whole, octet by octet, and in two pieces cut at each octet (of a long one at
 * every 97th: its repetitions are alike). */
static void check_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct test_vector v;
    unsigned n = 0;

    assert_non_null(file);
    for (; test_vector_read(file, &v); n++) {
        size_t every = v.in.n > 600 ? 97 : 1;
        check_vector(&v, 0, 0);
        check_vector(&v, 0, 1);
        for (size_t at = 1; at < v.in.n; at += every)
            check_vector(&v, at, 0);
        test_vector_deinit(&v);
    }
    assert_true(n > 10);
    fclose(file);
}

static void test_requests(void **state)
{
    (void)state;
    check_file(TEST_DATA "/h1/requests.txt");
}

static void test_refused(void **state)
{
    (void)state;
    check_file(TEST_DATA "/h1/refused.txt");
}

static void test_smuggling(void **state)
{
    (void)state;
    check_file(TEST_DATA "/h1/smuggling.txt");
}

/* --- pipelining and output ------------------------------------------------ */

static void test_sixteen_pipelined(void **state)
{
    struct fixture f;
    struct test_bytes in = {NULL, 0};

    (void)state;
    begin(&f, hello);
    f.d.keeps_back = true;
    for (int i = 0; i < 16; i++)
        test_bytes_add(&in, GET, strlen(GET));
    test_driver_feed(&f.d, in.p, in.n, 0);
    assert_int_equal(f.d.requests, 16);
    assert_int_equal(f.d.pulls, 1);
    assert_int_equal(f.t.ctx.counters.exchanges, 0);
    expect_status(&f, IDLES);
    free(in.p);
    end(&f);
}

/* Finished answers wait only up to a limit. */
static void test_pipelined_is_bounded(void **state)
{
    struct fixture f;
    static char large[20001];

    (void)state;
    memset(large, 'x', 20000);
    begin(&f, idle_handler);
    f.d.holds = true;
    for (int i = 0; i < 16; i++)
        test_driver_feed_str(&f.d, GET);
    unsigned answered = 0;
    while (f.d.tasks[0].ex) {
        test_answer(f.d.tasks[0].ex, 200, large);
        answered++;
        test_driver_run(&f.d);
    }
    assert_in_range(answered, 3, 5);
    assert_true(f.d.in_n > 0);
    assert_false(test_driver_status(&f.d) & LH_PROTO_WANTS_INPUT);
    f.d.holds = false;
    test_driver_run(&f.d);
    assert_non_null(f.d.tasks[0].ex);
    end(&f);
}

/* The next request waits for an unfinished answer. */
static void test_answers_in_order(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET GET);
    assert_int_equal(f.d.requests, 1);
    assert_false(test_driver_status(&f.d) & LH_PROTO_WANTS_INPUT);
    test_answer(only_exchange(&f.d), 200, "1");
    test_driver_run(&f.d);
    assert_int_equal(f.d.requests, 2);
    test_answer(only_exchange(&f.d), 200, "2");
    test_driver_run(&f.d);
    assert_non_null(strstr(f.d.out, "\r\n\r\n1HTTP/1.1 200 OK\r\n"));
    expect_status(&f, IDLES);
    end(&f);
}

static void write_str(struct lh_exchange *ex, const char *s)
{
    assert_int_equal(lh_exchange_write(ex, s, strlen(s)), 0);
}

static void start(struct lh_exchange *ex, unsigned status,
                  struct lh_fields fields)
{
    assert_int_equal(lh_exchange_start(ex, status, &fields), 0);
}

static size_t locate_piped(struct lh_body_source *source,
                           struct lh_place *place, size_t n)
{
    (void)source;
    *place = (struct lh_place){.fd = 3, .at = LH_PLACE_PIPE};
    return n;
}

static void moved_piped(struct lh_body_source *source, size_t n)
{
    (void)source;
    (void)n;
}

/* A response in pieces, trailers included, in pulls of any size; the second
 * piece is lent or comes from a pipe. */
static void stream(size_t room, bool piped, const char *request,
                   const char *expected, unsigned end_status)
{
    struct lh_body_source source = {.locate = locate_piped,
                                    .moved = moved_piped};
    struct fixture f;
    struct lh_fields trailers;

    begin(&f, idle_handler);
    f.d.pull_room = room;
    f.d.host.moves = piped;
    test_driver_feed_str(&f.d, request);
    struct lh_exchange *ex = only_exchange(&f.d);
    start(ex, 404, test_fields(ex, "X-Name", "v", (char *)NULL));
    write_str(ex, "one,");
    test_driver_run(&f.d);
    assert_int_equal(f.d.out_n, 0);
    lh_exchange_release(ex);
    test_driver_run(&f.d);
    assert_true(f.d.out_n > 0);
    f.d.pipe = "two two two two two,";
    int error = piped ? lh_exchange_draw_from(ex, &source, strlen(f.d.pipe))
                      : lh_exchange_lend(ex, f.d.pipe, strlen(f.d.pipe));
    assert_int_equal(error, 0);
    test_driver_run(&f.d);
    assert_int_equal(lh_exchange_out_bytes(ex), 0);
    write_str(ex, "three");
    trailers = test_fields(ex, "X-Sum", "12", (char *)NULL);
    assert_int_equal(lh_exchange_trailers(ex, &trailers), 0);
    lh_exchange_end(ex);
    test_driver_run(&f.d);
    assert_true(ex->sent);
    assert_string_equal(f.d.out, expected);
    test_done(ex);
    expect_status(&f, end_status);
    end(&f);
}

static void test_streaming(void **state)
{
    static const char chunked[] = "HTTP/1.1 404 Not Found\r\nX-Name: v\r\n" OWN
                                  "transfer-encoding: chunked\r\n\r\n"
                                  "4\r\none,\r\n14\r\ntwo two two two two,\r\n"
                                  "5\r\nthree\r\n0\r\nX-Sum: 12\r\n\r\n";
    static const char plain[] =
        "HTTP/1.1 404 Not Found\r\nX-Name: v\r\n" OWN
        "connection: close\r\n\r\none,two two two two two,three";

    (void)state;
    for (size_t i = 2; i < 600; i++) {
        stream(i / 2, i % 2, GET, chunked, IDLES);
        stream(i / 2, i % 2, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
               plain, LINGERS);
    }
}

/* Gives one octet less each time, and then has none. */
struct fading_source {
    struct lh_body_source source;
    const char *at;
    size_t n;
};

static size_t draw_fading(struct lh_body_source *source, uint8_t *out, size_t n)
{
    struct fading_source *s = LH_OF(source, struct fading_source, source);

    n = lh_min(n, s->n);
    memcpy(out, s->at, n);
    s->at += n;
    s->n -= s->n > 0;
    return n;
}

/* A body that is drawn, behind what was written and before what follows. */
static void test_drawn(void **state)
{
    (void)state;
    for (size_t room = 1; room < 200; room++) {
        struct fading_source s = {
            {.draw = draw_fading}, "two two two two two,", 8};
        struct fixture f;

        begin(&f, idle_handler);
        f.d.pull_room = room;
        test_driver_feed_str(&f.d, GET GET);
        struct lh_exchange *ex = only_exchange(&f.d);
        start(ex, 200, test_fields(ex, "content-length", "29", (char *)NULL));
        write_str(ex, "one,");
        const char *end_of = s.at + 20;
        while (s.at < end_of) {
            size_t left = (size_t)(end_of - s.at);
            assert_int_equal(lh_exchange_draw_from(ex, &s.source, left), 0);
            test_driver_run(&f.d);
            assert_null(ex->response.source);
            assert_int_equal(lh_exchange_out_bytes(ex), 0);
            s.n = 3;
        }
        write_str(ex, "three");
        lh_exchange_end(ex);
        test_driver_run(&f.d);
        assert_true(ex->sent);
        assert_non_null(
            strstr(f.d.out, "\r\n\r\none,two two two two two,three"));
        test_done(ex);
        end(&f);
    }
}

/* More is written while a chunk waits for a slow client: a further chunk. */
static void test_chunk_size_is_kept(void **state)
{
    struct fixture f;
    uint8_t out[300];
    size_t n = 0;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    f.d.holds = true;
    struct lh_exchange *ex = only_exchange(&f.d);
    start(ex, 200, test_fields(ex, (char *)NULL));
    write_str(ex, "first");
    lh_exchange_release(ex);
    while (n < 200 && (n < 2 || memcmp(out + n - 2, "fi", 2) != 0))
        n += f.d.protocol->pull(f.d.c, out + n, 1);
    assert_memory_equal(out + n - 2, "fi", 2);
    write_str(ex, "second");
    lh_exchange_end(ex);
    n += f.d.protocol->pull(f.d.c, out + n, sizeof(out) - n);
    static const char tail[] = "\r\n\r\n5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n";
    assert_true(n > strlen(tail));
    assert_memory_equal(out + n - strlen(tail), tail, strlen(tail));
    end(&f);
}

/* The whole response known before its head leaves, or not. */
static void test_trailers_need_chunks(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    struct lh_exchange *ex = only_exchange(&f.d);
    start(ex, 200, test_fields(ex, (char *)NULL));
    write_str(ex, "x");
    struct lh_fields trailers = test_fields(ex, "a", "b", (char *)NULL);
    lh_exchange_trailers(ex, &trailers);
    lh_exchange_end(ex);
    test_done(ex);
    test_driver_run(&f.d);
    assert_string_equal(f.d.out, "HTTP/1.1 200 OK\r\n" OWN
                                 "transfer-encoding: chunked\r\n\r\n"
                                 "1\r\nx\r\n0\r\na: b\r\n\r\n");
    end(&f);
}

struct response {
    const char *request;
    unsigned status;
    const char *name, *value; /* a field of the handler */
    const char *body;
    const char *expected; /* after the status line */
    unsigned end;
};

static const struct response responses[] = {
    {GET, 200, "Date", "mine", "x",
     "Date: mine\r\nserver: test\r\ncontent-length: 1\r\n\r\nx", IDLES},
    {GET, 200, "SERVER", "mine", "x",
     "SERVER: mine\r\ndate: Tue, 24 Nov 2026 03:15:00 GMT\r\n"
     "content-length: 1\r\n\r\nx",
     IDLES},
    {GET, 200, "Content-Length", "1", "x", OWN "content-length: 1\r\n\r\nx",
     IDLES},
    {GET, 200, "Connection", "Close", "x",
     OWN "content-length: 1\r\nconnection: close\r\n\r\nx", LINGERS},
    {GET, 200, "connection", "keep-alive", "x",
     OWN "content-length: 1\r\n\r\nx", IDLES},
    {GET, 426, "connection", "upgrade", "x",
     "connection: upgrade\r\n" OWN "content-length: 1\r\n\r\nx", IDLES},
    {GET, 200, "Transfer-Encoding", "chunked", "x",
     OWN "content-length: 1\r\n\r\nx", IDLES},
    {GET, 204, "a", "b", "dropped", "a: b\r\n" OWN "\r\n", IDLES},
    {GET, 204, "content-length", "0", "", OWN "\r\n", IDLES},
    {GET, 304, "content-length", "10", "", OWN "content-length: 10\r\n\r\n",
     IDLES},
    {GET, 304, "a", "b", "", "a: b\r\n" OWN "\r\n", IDLES},
    {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "content-length", "10", "",
     OWN "content-length: 10\r\n\r\n", IDLES},
    {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "a", "b", "1234",
     "a: b\r\n" OWN "content-length: 4\r\n\r\n", IDLES},
    {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", 200, "a", "b", "",
     "a: b\r\n" OWN "\r\n", IDLES},
    {GET, 599, "a", "b", "", "a: b\r\n" OWN "content-length: 0\r\n\r\n", IDLES},
};

static void test_response_heads(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        const struct response *r = &responses[i];
        struct fixture f;
        begin(&f, idle_handler);
        test_driver_feed_str(&f.d, r->request);
        struct lh_exchange *ex = only_exchange(&f.d);
        start(ex, r->status, test_fields(ex, r->name, r->value, (char *)NULL));
        write_str(ex, r->body);
        lh_exchange_end(ex);
        test_done(ex);
        test_driver_run(&f.d);
        const char *line = strstr(f.d.out, "\r\n");
        assert_non_null(line);
        assert_string_equal(line + 2, r->expected);
        expect_status(&f, r->end);
        end(&f);
    }
}

static void test_informational(void **state)
{
    struct fixture f;
    static const char *const requests[] = {GET, "GET / HTTP/1.0\r\n\r\n"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        begin(&f, idle_handler);
        test_driver_feed_str(&f.d, requests[i]);
        struct lh_exchange *ex = only_exchange(&f.d);
        struct lh_fields hints = test_fields(ex, "link", "</s>", (char *)NULL);
        assert_int_equal(lh_exchange_informational(ex, 103, &hints), 0);
        assert_int_equal(lh_exchange_promise(ex, &hints), 0);
        assert_true(test_driver_status(&f.d) & LH_PROTO_HAS_OUTPUT);
        test_driver_run(&f.d);
        assert_string_equal(
            f.d.out, i ? "" : "HTTP/1.1 103 Early Hints\r\nlink: </s>\r\n\r\n");
        assert_false(test_driver_status(&f.d) & LH_PROTO_HAS_OUTPUT);
        end(&f);
    }
}

/* An abort never looks like a whole response. */
static void test_abort(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    struct lh_exchange *ex = only_exchange(&f.d);
    start(ex, 200, test_fields(ex, "content-length", "10", (char *)NULL));
    write_str(ex, "12345");
    lh_exchange_release(ex);
    test_driver_run(&f.d);
    lh_exchange_end(ex);
    test_driver_run(&f.d);
    assert_true(ex->gone);
    expect_status(&f, CLOSES);
    end(&f);
}

/* Where only the end of the connection ends the body, that end is a reset. */
static void test_abort_until_close(void **state)
{
    static const char *const requests[] = {"GET / HTTP/1.0\r\n\r\n", GET};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        begin(&f, idle_handler);
        test_driver_feed_str(&f.d, requests[i]);
        struct lh_exchange *ex = only_exchange(&f.d);
        start(ex, 200, test_fields(ex, (char *)NULL));
        write_str(ex, "12345");
        lh_exchange_release(ex);
        test_driver_run(&f.d);
        assert_true(f.d.out_n > 0);
        lh_exchange_fail(ex, 500);
        test_driver_run(&f.d);
        expect_status(&f, i ? CLOSES : CLOSES | LH_PROTO_RESET);
        end(&f);
    }
}

/* So it is where the client is lost, or its request is not whole. */
static void test_cut_until_close(void **state)
{
    static const char post[] =
        "POST / HTTP/1.0\r\nContent-Length: 9\r\n\r\nhalf";

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        begin(&f, idle_handler);
        test_driver_feed_str(&f.d, post);
        struct lh_exchange *ex = only_exchange(&f.d);
        start(ex, 200, test_fields(ex, (char *)NULL));
        write_str(ex, "12345");
        lh_exchange_release(ex);
        test_driver_run(&f.d);
        if (i)
            f.d.protocol->gone(f.d.c);
        else
            test_driver_eof(&f.d);
        expect_status(&f, CLOSES | LH_PROTO_RESET);
        end(&f);
    }
}

static void test_abort_before_the_head(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    struct lh_exchange *ex = only_exchange(&f.d);
    start(ex, 200, test_fields(ex, "content-length", "10", (char *)NULL));
    write_str(ex, "12345");
    lh_exchange_end(ex);
    test_driver_run(&f.d);
    expect_error(&f, "HTTP/1.1 500 Internal Server Error\r\n");
    expect_status(&f, LINGERS);
    end(&f);
}

/* --- bodies --------------------------------------------------------------- */

#define POST(n) "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " #n "\r\n\r\n"
#define CHUNKED                                                                \
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#define EXPECT                                                                 \
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"                      \
    "Expect: 100-Continue\r\n\r\n"

static void test_continue(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, report);
    test_driver_feed_str(&f.d, EXPECT);
    assert_string_equal(f.d.out, "HTTP/1.1 100 Continue\r\n\r\n");
    test_driver_forget_output(&f.d);
    test_driver_feed_str(&f.d, "hello");
    assert_non_null(strstr(f.d.out, "[hello]"));
    assert_null(strstr(f.d.out, "connection: close"));
    assert_null(strstr(f.d.out, "100 Continue"));
    expect_status(&f, IDLES);
    end(&f);
}

/* A client that does not wait is not told to go on. */
static void test_continue_not_needed(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, report);
    test_driver_feed_str(&f.d, EXPECT "hello");
    assert_null(strstr(f.d.out, "100 Continue"));
    assert_non_null(strstr(f.d.out, "[hello]"));
    end(&f);
}

/* Nor is HTTP/1.0 (RFC 9110, 10.1.1), nor a request without a body. */
static void test_continue_ignored(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, report);
    test_driver_feed_str(&f.d, "POST / HTTP/1.1\r\nHost: a\r\n"
                               "Expect: 100-continue\r\n\r\n");
    assert_null(strstr(f.d.out, "100 Continue"));
    expect_status(&f, IDLES);
    test_driver_feed_str(&f.d, "POST / HTTP/1.0\r\nContent-Length: 5\r\n"
                               "Expect: 100-continue\r\n\r\n");
    assert_null(strstr(f.d.out, "100 Continue"));
    test_driver_feed_str(&f.d, "hello");
    assert_non_null(strstr(f.d.out, "[hello]"));
    end(&f);
}

/* Answered without reading: whether the body comes is not known. */
static void test_expected_body_unread(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_feed_str(&f.d, EXPECT);
    assert_non_null(strstr(f.d.out, "connection: close\r\n"));
    assert_null(strstr(f.d.out, "100 Continue"));
    expect_status(&f, LINGERS);
    end(&f);
}

/* A short rest of a body is discarded, then the next request is served. */
static void test_unread_body_short(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_feed_str(&f.d, POST(65536));
    assert_null(strstr(f.d.out, "connection: close\r\n"));
    expect_status(&f, LH_PROTO_WANTS_INPUT);
    char *body = calloc(1, 65536);
    test_driver_feed(&f.d, body, 65536, 1000);
    expect_status(&f, IDLES);
    free(body);
    test_driver_forget_output(&f.d);
    test_driver_feed_str(&f.d, GET);
    assert_non_null(strstr(f.d.out, "hello\n"));
    end(&f);
}

static void test_unread_body_long(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_feed_str(&f.d, POST(65537));
    assert_non_null(strstr(f.d.out, "connection: close\r\n"));
    expect_status(&f, LINGERS);
    end(&f);
}

static void test_unread_chunks(void **state)
{
    struct fixture f;
    char *piece = malloc(65536);

    (void)state;
    assert_non_null(piece);
    memset(piece, 'x', 65536);
    begin(&f, hello);
    test_driver_feed_str(&f.d, CHUNKED);
    test_driver_feed_str(&f.d, "5\r\nhello\r\n0\r\na: b\r\n\r\n" GET);
    assert_int_equal(f.d.requests, 2);
    expect_status(&f, IDLES);
    test_driver_feed_str(&f.d, CHUNKED "20000\r\n");
    expect_status(&f, LH_PROTO_WANTS_INPUT);
    test_driver_feed(&f.d, piece, 65536, 0);
    expect_status(&f, LH_PROTO_WANTS_INPUT);
    test_driver_feed(&f.d, piece, 1, 0);
    expect_status(&f, LINGERS);
    end(&f);
    begin(&f, hello);
    test_driver_feed_str(&f.d, CHUNKED);
    test_driver_feed_str(&f.d, "nonsense");
    expect_status(&f, LINGERS);
    end(&f);
    free(piece);
}

/* The head has left with a promise to go on: it cannot be kept. */
static void test_unread_body_after_streaming(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, POST(65537));
    struct lh_exchange *ex = only_exchange(&f.d);
    start(ex, 200, test_fields(ex, (char *)NULL));
    lh_exchange_release(ex);
    test_driver_run(&f.d);
    assert_null(strstr(f.d.out, "connection: close\r\n"));
    lh_exchange_end(ex);
    test_driver_run(&f.d);
    assert_true(ex->sent);
    expect_status(&f, LINGERS);
    end(&f);
}

/* A handler that does not read holds the client back. */
static void test_back_pressure(void **state)
{
    struct fixture f;
    char *body = calloc(1, 200000), out[50000];
    size_t n = 0, k;

    (void)state;
    assert_non_null(body);
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, POST(200000));
    test_driver_feed(&f.d, body, 200000, 0);
    struct lh_exchange *ex = only_exchange(&f.d);
    assert_int_equal(ex->body.n, 65536);
    assert_int_equal(f.d.in_n, 200000 - 65536);
    expect_status(&f, 0);
    while ((k = lh_exchange_read(ex, out, sizeof(out)))) {
        n += k;
        test_driver_run(&f.d);
    }
    assert_int_equal(n, 200000);
    assert_int_equal(ex->body_state, LH_BODY_ENDED);
    free(body);
    end(&f);
}

/* After 101 octets go both ways as they are, held back by who does not read and
 * limited by nothing else; a FIN ends the client's side alone. */
static void test_a_tunnel(void **state)
{
    struct fixture f;
    char octets[70000] = "\r\nGET", out[70000];

    (void)state;
    begin(&f, idle_handler);
    f.t.limits.body_bytes = 1;
    test_driver_feed_str(&f.d, GET);
    lh_h1_protocol.drain(f.d.c); /* which is not said of a tunnel */
    struct lh_exchange *ex = only_exchange(&f.d);
    struct lh_fields fields =
        test_fields(ex, "upgrade", "x", "connection", "Upgrade", NULL);
    assert_int_equal(lh_exchange_upgrade(ex, &fields), 0);
    assert_int_equal(lh_exchange_upgrade(ex, &fields), LHTTPD_ESTATE);
    test_driver_run(&f.d);
    assert_string_equal(f.d.out,
                        "HTTP/1.1 101 Switching Protocols\r\n"
                        "upgrade: x\r\nconnection: Upgrade\r\n" OWN "\r\n");
    test_driver_forget_output(&f.d);
    test_driver_feed(&f.d, octets, sizeof(octets), 1000);
    assert_int_equal(ex->body.n, 65536);
    expect_status(&f, 0);
    assert_int_equal(lh_h1_protocol.deadline(f.d.c), LH_NEVER);
    for (size_t n = 0; n < sizeof(octets); test_driver_run(&f.d))
        n += lh_exchange_read(ex, out + n, sizeof(out) - n);
    assert_memory_equal(out, octets, sizeof(octets));
    assert_int_equal(lh_exchange_write(ex, "HTTP", 4), 0);
    test_driver_eof(&f.d);
    assert_string_equal(f.d.out, "HTTP");
    assert_int_equal(ex->body_state, LH_BODY_ENDED);
    assert_false(ex->gone);
    lh_exchange_end(ex);
    test_done(ex);
    test_driver_run(&f.d);
    expect_status(&f, LINGERS);
    end(&f);
}

/* A client that shuts its side before the tunnel is there has ended that side
 * of it, and its handler does not wait for octets. */
static void test_a_tunnel_that_had_ended(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    test_driver_eof(&f.d);
    struct lh_exchange *ex = only_exchange(&f.d);
    struct lh_fields fields = test_fields(ex, NULL);
    assert_int_equal(lh_exchange_upgrade(ex, &fields), 0);
    test_driver_run(&f.d);
    assert_non_null(strstr(f.d.out, HEAD_END));
    assert_int_equal(ex->body_state, LH_BODY_ENDED);
    assert_false(ex->gone);
    lh_exchange_write(ex, "bye", 3);
    lh_exchange_end(ex);
    test_done(ex);
    test_driver_run(&f.d);
    assert_non_null(strstr(f.d.out, HEAD_END "bye"));
    expect_status(&f, LINGERS);
    end(&f);
}

/* ... though it asked for a close, by which another request may wait for its
 * answer, and what it sent before stands before the end. */
static void test_a_tunnel_whose_end_is_known(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, "GET / HTTP/1.1\r\nHost: a\r\n"
                               "Connection: close\r\n\r\n");
    struct lh_exchange *ex = only_exchange(&f.d);
    struct lh_fields fields = test_fields(ex, NULL);
    lh_h1_protocol.fin(f.d.c);
    assert_false(ex->fin);
    assert_int_equal(lh_exchange_upgrade(ex, &fields), 0);
    test_driver_run(&f.d);
    assert_true(ex->fin);
    lh_exchange_end(ex);
    test_done(ex);
    test_driver_run(&f.d);
    expect_status(&f, LINGERS);
    end(&f);
}

/* What comes after the handler has ended is dropped. */
static void test_a_tunnel_that_we_end(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    struct lh_exchange *ex = only_exchange(&f.d);
    struct lh_fields fields = test_fields(ex, NULL);
    assert_int_equal(lh_exchange_upgrade(ex, &fields), 0);
    test_driver_run(&f.d);
    f.d.holds = true;
    lh_exchange_write(ex, "bye", 3);
    lh_exchange_end(ex);
    test_done(ex);
    test_driver_feed_str(&f.d, "unread");
    assert_int_equal(f.d.in_n, 0);
    f.d.holds = false;
    test_driver_run(&f.d);
    assert_non_null(strstr(f.d.out, HEAD_END "bye"));
    expect_status(&f, LINGERS);
    end(&f);
}

/* A request with a body cannot become one, nor one that was answered. */
static void test_no_tunnel(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, POST(5));
    struct lh_exchange *ex = only_exchange(&f.d);
    struct lh_fields fields = test_fields(ex, NULL);
    assert_int_equal(lh_exchange_upgrade(ex, &fields), LHTTPD_ESTATE);
    test_driver_feed_str(&f.d, "hello");
    test_answer(ex, 200, "");
    end(&f);
}

static void test_body_too_large(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, report);
    f.t.limits.body_bytes = 10;
    test_driver_feed_str(&f.d, POST(10));
    test_driver_feed_str(&f.d, "0123456789");
    assert_int_equal(f.d.requests, 1);
    test_driver_forget_output(&f.d);
    test_driver_feed_str(&f.d, POST(11));
    expect_error(&f, "HTTP/1.1 413 Content Too Large\r\n");
    assert_int_equal(f.d.requests, 1);
    expect_status(&f, LINGERS);
    end(&f);
    begin(&f, report);
    f.t.limits.body_bytes = 10;
    test_driver_feed_str(&f.d, CHUNKED "a\r\n0123456789\r\n");
    expect_status(&f, LH_PROTO_WANTS_INPUT);
    test_driver_feed_str(&f.d, "1\r\nx\r\n0\r\n\r\n");
    expect_error(&f, "HTTP/1.1 413 Content Too Large\r\n");
    expect_status(&f, LINGERS);
    end(&f);
}

/* A limit may fall below what has come already. */
static void test_body_limit_is_lowered(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, report);
    test_driver_feed_str(&f.d, CHUNKED "a\r\n0123456789\r\n");
    f.t.limits.body_bytes = 5;
    test_driver_feed_str(&f.d, "1\r\nx\r\n0\r\n\r\n");
    expect_error(&f, "HTTP/1.1 413 Content Too Large\r\n");
    end(&f);
}

/* Bad framing after the answer began: no second answer. */
static void test_malformed_late(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, CHUNKED);
    struct lh_exchange *ex = only_exchange(&f.d);
    start(ex, 200, test_fields(ex, (char *)NULL));
    write_str(ex, "x");
    lh_exchange_release(ex);
    test_driver_run(&f.d);
    test_driver_forget_output(&f.d);
    test_driver_feed_str(&f.d, "zzz");
    assert_int_equal(f.d.out_n, 0);
    assert_int_equal(ex->body_state, LH_BODY_MALFORMED);
    assert_true(ex->gone);
    expect_status(&f, LINGERS);
    end(&f);
}

/* An answer that is whole is sent even so. */
static void test_malformed_after_the_answer(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, CHUNKED);
    f.d.holds = true;
    test_answer(only_exchange(&f.d), 200, "fine");
    test_driver_feed_str(&f.d, "zzz");
    f.d.holds = false;
    test_driver_run(&f.d);
    assert_non_null(strstr(f.d.out, "200 OK"));
    assert_non_null(strstr(f.d.out, "connection: close\r\n"));
    expect_status(&f, LINGERS);
    end(&f);
}

/* --- time ----------------------------------------------------------------- */

static void test_idle_timeout(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_advance(&f.d, 59999);
    expect_status(&f, IDLES);
    test_driver_feed_str(&f.d, GET);
    test_driver_forget_output(&f.d);
    test_driver_advance(&f.d, 59999);
    expect_status(&f, IDLES);
    test_driver_advance(&f.d, 1);
    expect_status(&f, CLOSES);
    assert_int_equal(f.d.out_n, 0);
    end(&f);
}

/* The whole section has its time, not each of its pieces. */
static void test_header_timeout(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_advance(&f.d, 30000);
    for (int i = 0; i < 10; i++) {
        test_driver_feed(&f.d, &GET[i], 1, 0);
        test_driver_advance(&f.d, 999);
    }
    expect_status(&f, LH_PROTO_WANTS_INPUT);
    test_driver_advance(&f.d, 10);
    expect_error(&f, "HTTP/1.1 408 Request Timeout\r\n");
    assert_string_equal(f.t.last_log,
                        "HTTP/1: 408, a request's head took too long");
    expect_status(&f, LINGERS);
    end(&f);
}

static void test_body_timeout(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, report);
    f.t.limits.body_rate = 1;
    test_driver_feed_str(&f.d, POST(1000));
    test_driver_advance(&f.d, 29999);
    test_driver_feed_str(&f.d, "0123456789012345678901234567890123456789");
    test_driver_advance(&f.d, 29999);
    assert_int_equal(f.d.out_n, 0);
    test_driver_advance(&f.d, 1);
    expect_error(&f, "HTTP/1.1 408 Request Timeout\r\n");
    expect_status(&f, LINGERS);
    end(&f);
}

static void test_body_rate(void **state)
{
    struct fixture f;
    static char piece[500];

    (void)state;
    begin(&f, report);
    test_driver_feed_str(&f.d, POST(1000000));
    for (int i = 0; i < 90; i++) {
        test_driver_feed(&f.d, piece, 500, 0);
        test_driver_advance(&f.d, 1000);
    }
    assert_int_equal(f.d.out_n, 0);
    for (int i = 0; i < 29; i++) {
        test_driver_feed(&f.d, piece, 499, 0);
        test_driver_advance(&f.d, 1000);
    }
    assert_int_equal(f.d.out_n, 0);
    test_driver_advance(&f.d, 1000);
    expect_error(&f, "HTTP/1.1 408 Request Timeout\r\n");
    end(&f);
}

/* A handler that does something else is not the client's fault. */
static void test_body_time_counts_while_wanted(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, POST(1000));
    struct lh_exchange *ex = only_exchange(&f.d);
    test_driver_advance(&f.d, 3600000);
    lh_exchange_want_body(ex, true);
    test_driver_advance(&f.d, 20000);
    lh_exchange_want_body(ex, false);
    test_driver_advance(&f.d, 3600000);
    lh_exchange_want_body(ex, true);
    test_driver_advance(&f.d, 9999);
    assert_int_equal(ex->body_state, LH_BODY_OPEN);
    test_driver_advance(&f.d, 1);
    assert_int_equal(ex->body_state, LH_BODY_TIMEOUT);
    end(&f);
}

/* Being called late does no harm: what was waited for is bounded. */
static void test_body_time_late(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, POST(1000));
    struct lh_exchange *ex = only_exchange(&f.d);
    lh_exchange_want_body(ex, true);
    f.t.ctx.now_ms += 100000;
    lh_exchange_want_body(ex, false);
    lh_exchange_want_body(ex, true);
    assert_int_equal(f.d.protocol->deadline(f.d.c), f.t.ctx.now_ms);
    test_driver_advance(&f.d, 0);
    assert_int_equal(ex->body_state, LH_BODY_TIMEOUT);
    end(&f);
}

/* The driver may have had its first octets before. */
static void test_head_time_from_the_first_octet(void **state)
{
    struct fixture f;
    uint64_t first;

    (void)state;
    begin(&f, hello);
    first = f.d.host.first_ms = f.t.ctx.now_ms;
    f.t.ctx.now_ms += 5000;
    test_driver_feed(&f.d, GET, 5, 0);
    assert_int_equal(f.d.protocol->deadline(f.d.c), first + 10000);
    test_driver_feed_str(&f.d, &GET[5]);
    test_driver_feed(&f.d, GET, 5, 0);
    assert_int_equal(f.d.protocol->deadline(f.d.c), f.t.ctx.now_ms + 10000);
    end(&f);
}

static void test_discard_timeout(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_feed_str(&f.d, POST(100));
    expect_status(&f, LH_PROTO_WANTS_INPUT);
    test_driver_advance(&f.d, 5000);
    expect_status(&f, LINGERS);
    end(&f);
}

/* The client is waited for while octets come, but not for ever. */
static void test_discard_goes_on(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_feed_str(&f.d, POST(100));
    for (int s = 0; s < 28; s += 4) {
        test_driver_advance(&f.d, 4000);
        test_driver_feed_str(&f.d, "x");
        expect_status(&f, LH_PROTO_WANTS_INPUT);
    }
    test_driver_advance(&f.d, 1999);
    expect_status(&f, LH_PROTO_WANTS_INPUT);
    test_driver_advance(&f.d, 1);
    expect_status(&f, LINGERS);
    end(&f);
}

/* A client that takes its answer slowly is given the time after that. */
static void test_discard_time_begins_late(void **state)
{
    struct fixture f;
    uint8_t out[500];

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, POST(100));
    f.d.holds = true;
    test_answer(only_exchange(&f.d), 200, "done");
    assert_true(f.d.protocol->pull(f.d.c, out, sizeof(out)) > 0);
    assert_true(f.d.protocol->deadline(f.d.c) == LH_NEVER);
    f.t.ctx.now_ms += 5000;
    f.d.protocol->sent(f.d.c);
    assert_int_equal(f.d.protocol->deadline(f.d.c), f.t.ctx.now_ms + 5000);
    end(&f);
}

/* --- ends ----------------------------------------------------------------- */

static void test_fin_while_answering(void **state)
{
    struct fixture f;
    static const char *const requests[] = {
        GET, "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        begin(&f, idle_handler);
        test_driver_feed_str(&f.d, requests[i]);
        struct lh_exchange *ex = only_exchange(&f.d);
        test_driver_eof(&f.d);
        assert_int_equal(ex->fin, i == 0);
        assert_int_equal(test_task_of(ex)->runs, i == 0 ? 2 : 1);
        assert_false(ex->gone);
        /* It may have half-closed, but not for ever. */
        test_driver_advance(&f.d, 29999);
        assert_int_equal(ex->fin, i == 0);
        test_driver_advance(&f.d, 1);
        assert_true(ex->fin && !ex->gone);
        assert_int_equal(test_task_of(ex)->runs, 2);
        test_answer(ex, 200, "late");
        test_driver_run(&f.d);
        assert_non_null(strstr(f.d.out, "connection: close\r\n\r\nlate"));
        expect_status(&f, LINGERS);
        end(&f);
    }
}

/* What came before the FIN is used up, for whom it does not matter. */
static void test_fin_behind_input(void **state)
{
    struct fixture f;
    uint8_t body[10];

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, POST(5) "he");
    struct lh_exchange *ex = only_exchange(&f.d);
    f.d.protocol->fin(f.d.c);
    assert_true(ex->fin && !ex->gone);
    assert_int_equal(ex->body_state, LH_BODY_OPEN);
    test_driver_feed_str(&f.d, "llo" GET);
    assert_int_equal(ex->body_state, LH_BODY_ENDED);
    assert_int_equal(lh_exchange_read(ex, body, sizeof(body)), 5);
    test_answer(ex, 200, "first");
    test_driver_run(&f.d);
    ex = only_exchange(&f.d);
    assert_true(ex->fin && !ex->gone);
    test_driver_eof(&f.d);
    test_answer(ex, 200, "second");
    test_driver_run(&f.d);
    assert_non_null(strstr(f.d.out, "first"));
    assert_non_null(strstr(f.d.out, "connection: close\r\n\r\nsecond"));
    expect_status(&f, LINGERS);
    end(&f);
}

static void test_connection_lost(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, CHUNKED "5\r\nhe");
    struct lh_exchange *ex = only_exchange(&f.d);
    f.d.protocol->gone(f.d.c);
    assert_true(ex->gone);
    assert_int_equal(ex->body_state, LH_BODY_CLOSED);
    assert_null(ex->protocol);
    start(ex, 200, test_fields(ex, (char *)NULL));
    write_str(ex, "nobody hears this");
    assert_int_equal(lh_exchange_out_bytes(ex), 0);
    end(&f);
}

/* Lost while its handler waits for the kernel to have the answer. */
static void test_lost_before_sent(void **state)
{
    struct fixture f;
    uint8_t out[500];

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    struct lh_exchange *ex = only_exchange(&f.d);
    f.d.holds = true;
    lh_exchange_end(ex);
    assert_true(f.d.protocol->pull(f.d.c, out, sizeof(out)) > 0);
    expect_status(&f, 0);
    f.d.protocol->gone(f.d.c);
    assert_true(ex->gone && !ex->sent);
    end(&f);
}

/* --- how requests end ----------------------------------------------------- */

static void fails_late(struct test_driver *d, struct lh_exchange *ex)
{
    (void)d;
    if (ex->response.head_left) {
        test_done(ex);
        return;
    }
    start(ex, 200, test_fields(ex, (char *)NULL));
    write_str(ex, "part");
    lh_exchange_release(ex); /* it is told once that has left */
}

static void fails(struct test_driver *d, struct lh_exchange *ex)
{
    (void)d;
    test_done(ex);
}

static void lose(struct test_driver *d)
{
    d->protocol->gone(d->c);
}

static void cut(struct test_driver *d)
{
    d->host.ends = LH_ENDED_CUT;
    d->protocol->gone(d->c);
}

static void is_late(struct test_driver *d)
{
    test_driver_advance(d, 10000);
}

/* A request ends once, and what is told of it is what the client has got. */
static void test_ends_of_requests(void **state)
{
    static const struct {
        test_handler_fn *handler;
        const char *in;
        void (*then)(struct test_driver *d);
        const char *ended;
    } cases[] = {
        {hello, GET, NULL, "complete 200 6"},
        {hello, GET GET GET, NULL,
         "complete 200 6, complete 200 6, complete 200 6"},
        {hello, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", NULL, "complete 200 0"},
        {idle_handler, GET, lose, "gone 0 0"},
        {idle_handler, GET, cut, "cut 0 0"},
        {idle_handler, POST(5) "he", test_driver_eof, "gone 0 0"},
        {fails, GET, NULL, "complete 500 163"},
        {fails_late, GET, NULL, "cut 200 4"},
        {hello, "", lose, ""},
        {hello, "GET / HT", lose, ""},
        {hello, "GET / HT", is_late, "complete 408 151"},
        {hello, "GET / HTTP/2.7\r\n", NULL, "complete 505 173"},
        {hello, "PRI * HTTP/2.0\r\n", NULL, ""},
        {hello, "\rx", NULL, "complete 400 143"},
        {idle_handler, CHUNKED "x", NULL, "complete 400 143"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        begin(&f, cases[i].handler);
        test_driver_feed_str(&f.d, cases[i].in);
        if (cases[i].then)
            cases[i].then(&f.d);
        test_driver_run(&f.d);
        if (strcmp(f.t.ended, cases[i].ended) != 0)
            fail_msg("%zu: '%s', not '%s'", i, f.t.ended, cases[i].ended);
        end(&f);
    }
}

/* What comes after the end changes nothing. */
static void test_after_the_end(void **state)
{
    struct fixture f;
    size_t used = 1;

    (void)state;
    begin(&f, hello);
    test_driver_feed_str(&f.d, "GET / HTTP/1.0\r\n\r\n");
    expect_status(&f, LINGERS);
    assert_true(f.d.protocol->feed(f.d.c, (const uint8_t *)GET, 5, &used) < 0);
    assert_int_equal(used, 0);
    f.d.protocol->eof(f.d.c);
    f.d.protocol->expire(f.d.c);
    f.d.protocol->drain(f.d.c);
    f.d.protocol->sent(f.d.c);
    expect_status(&f, LINGERS);
    end(&f);
}

static void test_fin_while_discarding(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    test_driver_feed_str(&f.d, POST(100));
    test_driver_eof(&f.d);
    expect_status(&f, CLOSES);
    end(&f);
}

static void test_drain(void **state)
{
    struct fixture f;

    (void)state;
    /* Nothing came yet, or nothing new: it may be on its way. */
    for (int i = 0; i < 2; i++) {
        begin(&f, hello);
        if (i)
            test_driver_feed_str(&f.d, GET);
        f.d.protocol->drain(f.d.c);
        test_driver_advance(&f.d, LH_PROTO_DRAIN_MS - 1);
        expect_status(&f, IDLES);
        test_driver_advance(&f.d, 1);
        expect_status(&f, CLOSES);
        end(&f);
        begin(&f, hello);
        if (i)
            test_driver_feed_str(&f.d, GET);
        f.d.protocol->drain(f.d.c);
        test_driver_feed_str(&f.d, GET GET);
        assert_non_null(strstr(f.d.out, "connection: close\r\n\r\nhello"));
        assert_int_equal(f.d.requests, i + 1);
        expect_status(&f, LINGERS);
        end(&f);
    }
    begin(&f, hello);
    test_driver_feed(&f.d, GET, 5, 0);
    f.d.protocol->drain(f.d.c);
    test_driver_feed_str(&f.d, &GET[5]);
    assert_non_null(strstr(f.d.out, "connection: close\r\n\r\nhello"));
    expect_status(&f, LINGERS);
    end(&f);
}

static void test_connection_requests(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    f.t.limits.connection_requests = 2;
    test_driver_feed_str(&f.d, GET);
    expect_status(&f, IDLES);
    test_driver_feed_str(&f.d, GET GET);
    assert_int_equal(f.d.requests, 2);
    assert_true(test_driver_status(&f.d) & LH_PROTO_CLOSE);
    end(&f);
}

/* The handler may wait until the kernel has everything. */
static void test_sent(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    struct lh_exchange *ex = only_exchange(&f.d);
    f.d.holds = true;
    lh_exchange_end(ex);
    test_driver_feed_str(&f.d, GET);
    assert_false(ex->sent);
    assert_int_equal(f.d.requests, 1);
    f.d.holds = false;
    test_driver_run(&f.d);
    assert_true(ex->sent);
    assert_int_equal(f.d.requests, 2);
    test_done(ex);
    end(&f);
}

/* It is not idle before that, and the next request, which may be there, has to
 * wait. */
static void test_idle_time_begins_late(void **state)
{
    struct fixture f;
    uint8_t out[500];

    (void)state;
    begin(&f, idle_handler);
    test_driver_feed_str(&f.d, GET);
    struct lh_exchange *ex = only_exchange(&f.d);
    f.d.holds = true;
    lh_exchange_end(ex);
    assert_true(f.d.protocol->pull(f.d.c, out, sizeof(out)) > 0);
    assert_true(f.d.protocol->deadline(f.d.c) == LH_NEVER);
    test_driver_advance(&f.d, 100000);
    assert_false(test_driver_status(&f.d) & LH_PROTO_CLOSE);
    f.d.protocol->drain(f.d.c);
    assert_true(f.d.protocol->deadline(f.d.c) == LH_NEVER);
    f.d.protocol->sent(f.d.c);
    assert_int_equal(f.d.protocol->deadline(f.d.c),
                     f.t.ctx.now_ms + LH_PROTO_DRAIN_MS);
    f.d.holds = false;
    test_driver_feed_str(&f.d, GET);
    assert_int_equal(f.d.requests, 2);
    test_done(ex);
    end(&f);
}

static void test_refuse_plain(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, hello);
    lh_h1_refuse_plain(f.d.c);
    expect_status(&f, IDLES);
    test_driver_feed_str(&f.d, GET);
    expect_error(&f, "HTTP/1.1 400 Bad Request\r\n");
    assert_non_null(strstr(f.d.out, "TLS"));
    expect_status(&f, LINGERS);
    assert_int_equal(f.d.requests, 0);
    end(&f);
}

/* --- lack of memory ------------------------------------------------------- */

/* Each allocation of this fails once: a whole answer, or a closed connection,
 * and nothing left behind. */
static void without_memory(const struct test_bytes *in, unsigned variant,
                           unsigned long at)
{
    struct test_context t;
    struct test_driver d;

    test_heap_fail_at(0); /* what was not used up */
    test_context_init(&t);
    test_heap_fail_at(at);
    test_driver_init(&d, &t, &lh_h1_protocol, lh_h1_new, report);
    if (d.c) {
        d.keeps_back = variant & 1;
        d.pull_room = variant & 2 ? 16 : 65536;
        test_driver_feed(&d, in->p, in->n, variant & 4 ? 0 : 7);
        if (!(test_driver_status(&d) & LH_PROTO_CLOSE))
            assert_int_equal(d.requests, 3);
    }
    test_driver_deinit(&d);
    test_context_deinit(&t);
}

/* `pad` moves what the arena's blocks end with. */
static struct test_bytes requests_for_memory(size_t pad)
{
    static const char rest[] = "Transfer-Encoding: chunked\r\n\r\n"
                               "5;x\r\nhello\r\n0\r\n";
    static const char field[] = "X-Name: a value of a usual length\r\n";
    struct test_bytes in = {NULL, 0};

    test_bytes_add(&in, GET, strlen(GET));
    test_bytes_add(&in, "POST http://a?/../b HTTP/1.1\r\nHost: a\r\n", 39);
    test_bytes_add(&in, "X-Pad: ", 7);
    for (size_t i = 0; i < pad; i++)
        test_bytes_add(&in, "x", 1);
    test_bytes_add(&in, "\r\n", 2);
    for (int i = 0; i < 60; i++)
        test_bytes_add(&in, field, strlen(field));
    test_bytes_add(&in, rest, strlen(rest));
    for (int i = 0; i < 50; i++)
        test_bytes_add(&in, field, strlen(field));
    test_bytes_add(&in, "\r\n" GET, strlen("\r\n" GET));
    return in;
}

static void test_without_memory(void **state)
{
    (void)state;
    test_heap_install();
    for (size_t pad = 0; pad < 4500; pad += 117) {
        struct test_bytes in = requests_for_memory(pad);
        unsigned variant = (unsigned)(pad % 8);
        without_memory(&in, variant, 0);
        unsigned long n = test_heap_count();
        assert_true(n > 5);
        for (unsigned long i = 1; i <= n + 3; i++)
            without_memory(&in, variant, i);
        free(in.p);
    }
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

/* Long targets, and paths that are rewritten, at the end of a block. */
static void test_target_without_memory(void **state)
{
    (void)state;
    test_heap_install();
    for (size_t pad = 900; pad < 1500; pad += 7) {
        struct test_bytes in = {NULL, 0};
        test_bytes_add(&in, "GET http://a?", 13);
        for (size_t i = 0; i < pad; i++)
            test_bytes_add(&in, i % 9 ? "x" : "%", 1);
        test_bytes_add(&in, " HTTP/1.0\r\n\r\n", 13);
        without_memory(&in, 0, 3);
        memcpy(in.p, "GET /%41//a/x", 13);
        for (size_t i = 13; i < 13 + pad; i++)
            in.p[i] = 'x';
        without_memory(&in, 0, 3);
        free(in.p);
    }
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_sixteen_pipelined),
        cmocka_unit_test(test_pipelined_is_bounded),
        cmocka_unit_test(test_answers_in_order),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_drawn),
        cmocka_unit_test(test_chunk_size_is_kept),
        cmocka_unit_test(test_trailers_need_chunks),
        cmocka_unit_test(test_response_heads),
        cmocka_unit_test(test_informational),
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_abort_until_close),
        cmocka_unit_test(test_cut_until_close),
        cmocka_unit_test(test_abort_before_the_head),
        cmocka_unit_test(test_continue),
        cmocka_unit_test(test_continue_not_needed),
        cmocka_unit_test(test_continue_ignored),
        cmocka_unit_test(test_expected_body_unread),
        cmocka_unit_test(test_unread_body_short),
        cmocka_unit_test(test_unread_body_long),
        cmocka_unit_test(test_unread_chunks),
        cmocka_unit_test(test_unread_body_after_streaming),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_a_tunnel),
        cmocka_unit_test(test_a_tunnel_that_had_ended),
        cmocka_unit_test(test_a_tunnel_whose_end_is_known),
        cmocka_unit_test(test_a_tunnel_that_we_end),
        cmocka_unit_test(test_no_tunnel),
        cmocka_unit_test(test_body_too_large),
        cmocka_unit_test(test_body_limit_is_lowered),
        cmocka_unit_test(test_malformed_late),
        cmocka_unit_test(test_malformed_after_the_answer),
        cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_header_timeout),
        cmocka_unit_test(test_body_timeout),
        cmocka_unit_test(test_body_rate),
        cmocka_unit_test(test_body_time_counts_while_wanted),
        cmocka_unit_test(test_body_time_late),
        cmocka_unit_test(test_head_time_from_the_first_octet),
        cmocka_unit_test(test_discard_timeout),
        cmocka_unit_test(test_discard_goes_on),
        cmocka_unit_test(test_discard_time_begins_late),
        cmocka_unit_test(test_fin_while_answering),
        cmocka_unit_test(test_fin_behind_input),
        cmocka_unit_test(test_connection_lost),
        cmocka_unit_test(test_lost_before_sent),
        cmocka_unit_test(test_ends_of_requests),
        cmocka_unit_test(test_after_the_end),
        cmocka_unit_test(test_fin_while_discarding),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_connection_requests),
        cmocka_unit_test(test_sent),
        cmocka_unit_test(test_idle_time_begins_late),
        cmocka_unit_test(test_refuse_plain),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_target_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
