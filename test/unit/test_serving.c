/* Requests that are answered with files, on a loopback exchange: by what is
 * known at once, and by every kind of operation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "files/serving.h"
#include "lib/emulated.h"
#include "lib/heap.h"
#include "lib/live.h"
#include "lib/loopback.h"
#include "os/clock.h"
#include "os/error.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD_S  INT64_C(1577836800) /* 2020-01-01, when the files were made */
#define OLD    "Wed, 01 Jan 2020 00:00:00 GMT"
#define LONG_N 300000

static struct test_context t;
static struct lh_served served;
static struct test_loopback loop;
static struct lh_files_options options;
static uint64_t declared; /* the content-length, which the exchange takes out */
static unsigned others;   /* requests that "another" has answered */
static bool moves;        /* the connection lets the kernel move octets */

ssize_t __real_lh_aio_read_cached(int fd, void *p, size_t room,
                                  uint64_t offset);
ssize_t __wrap_lh_aio_read_cached(int fd, void *p, size_t room,
                                  uint64_t offset);

static unsigned refuse_cached; /* as if that many pieces were not in memory */

ssize_t __wrap_lh_aio_read_cached(int fd, void *p, size_t room, uint64_t offset)
{
    if (refuse_cached == 0)
        return __real_lh_aio_read_cached(fd, p, room, offset);
    refuse_cached--;
    return LH_SYS_EAGAIN;
}

bool __wrap_lh_splice_is_ready(int file, off_t at, size_t n);

static unsigned asked_ready, refuse_ready;

/* They are in memory: who made them has just written them. */
bool __wrap_lh_splice_is_ready(int file, off_t at, size_t n)
{
    (void)file;
    (void)at;
    (void)n;
    asked_ready++;
    refuse_ready -= refuse_ready > 0;
    return refuse_ready == 0;
}

static void put(const char *name, const char *text, size_t n)
{
    const char *path = test_live_path(name);
    struct timespec times[] = {{OLD_S, 0}, {OLD_S, 0}};
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    fclose(f);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

/* test_live_path() has one buffer. */
static void move(const char *from, const char *to)
{
    char old[200];

    snprintf(old, sizeof(old), "%s", test_live_path(from));
    assert_int_equal(rename(old, test_live_path(to)), 0);
}

static char long_text[LONG_N];

static int make_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(long_text); i++)
        long_text[i] = (char)('a' + i % 7 * 3 + i % 2);
    mkdir(test_live_path("sub"), 0755);
    mkdir(test_live_path("empty"), 0755);
    mkdir(test_live_path("odd"), 0755);
    mkdir(test_live_path("odd/index.html"), 0755);
    mkdir(test_live_path(".well-known"), 0755);
    put_text("a.txt", "0123456789");
    put_text("nothing.txt", "");
    put_text("index.html", "<p>top");
    put_text("sub/index.html", "<p>sub");
    put_text("sub/b.css", "b{}");
    put_text("c.js", "plain");
    put_text("c.js.gz", "gzipped");
    put_text("c.js.br", "brotli");
    put_text("stale.js", "new");
    put_text("stale.js.gz", "old");
    put_text(".hidden", "secret");
    put_text("sub/.hidden", "secret");
    put_text(".well-known/key", "known");
    put_text("\xc3\xa4 %41", "name");
    put_text("long", "");
    put("long", long_text, sizeof(long_text));
    put_text("no_access", "secret");
    chmod(test_live_path("no_access"), 0);
    mkfifo(test_live_path("fifo"), 0644);
    symlink("a.txt", test_live_path("in"));
    symlink("/etc/passwd", test_live_path("out"));
    symlink("ring", test_live_path("ring"));
    utimensat(AT_FDCWD, test_live_path("stale.js"), NULL, 0);
    return 0;
}

static int remove_files(void **state)
{
    char command[200];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", test_live_dir());
    return system(command);
}

/* --- one request ---------------------------------------------------------- */

static bool another(struct lh_exchange *ex)
{
    others++;
    lh_exchange_fail(ex, 410);
    lh_exchange_let_go_handler(ex);
    return true;
}

static void wait_for_operations(void)
{
    struct pollfd fd = {.fd = lh_aio_fd(t.ctx.aio), .events = POLLIN};

    lh_aio_submit(t.ctx.aio);
    assert_int_equal(poll(&fd, 1, test_patience_ms(20000)), 1);
    lh_aio_deliver(t.ctx.aio);
}

static void begin(const char *method, const char *target,
                  const char *const *fields)
{
    test_loopback_request(&loop, &t, method, target, fields, false);
    loop.ex->moves = moves;
    lh_served_begin(&served, loop.ex, &options, loop.ex->request.path);
}

/* At most `most` octets at a time. */
static void step(size_t most)
{
    declared = loop.ex->response.content_length;
    if (test_loopback_pump(&loop, most)) {
        lh_served_run(&served);
    } else if (!loop.ended && !loop.aborted) {
        if (lh_aio_pending(t.ctx.aio))
            wait_for_operations();
        lh_served_run(&served);
    }
}

static void finish(size_t most)
{
    while (!loop.ended && !loop.aborted)
        step(most);
}

/* Until the file is open, which may take operations, and its length is told. */
static void until_it_starts(void)
{
    while (!loop.started)
        step(1000);
}

static void set_up_context(const char *way, bool remote)
{
    struct lh_err err;

    test_context_init(&t);
    t.ctx.unix_s = lh_clock_unix_s() + 10;
    lh_list_init(&served.ready);
    assert_int_equal(lh_aio_new(&t.ctx.aio, way, &err), 0);
    options = (struct lh_files_options){.directory = test_live_dir(),
                                        .index = "index.html",
                                        .compressed = true,
                                        .remote = remote};
    others = 0;
}

static uint64_t operations_done(void)
{
    return lh_count_get(&t.ctx.counters.operations_done);
}

static void tear_down_context(void)
{
    assert_true(lh_list_empty(&served.ready));
    assert_int_equal(lh_aio_pending(t.ctx.aio), 0);
    assert_int_equal(lh_count_get(&t.ctx.counters.operations), 0);
    lh_aio_free(t.ctx.aio);
    test_context_deinit(&t);
}

/* --- the table ------------------------------------------------------------ */

struct row {
    const char *method, *target, *name, *value; /* a field, or NULL */
    unsigned status;
    const char *field; /* part of the answer's, or NULL */
    const char *body;  /* NULL: any */
};

static const struct row rows[] = {
    {"GET", "/a.txt", NULL, NULL, 200, "content-length: 10\n", "0123456789"},
    {"GET", "/a.txt", NULL, NULL, 200, "last-modified: " OLD "\n", NULL},
    {"GET", "/a.txt", NULL, NULL, 200,
     "content-type: text/plain; charset=utf-8\n", NULL},
    {"GET", "/a.txt?x=/../..", NULL, NULL, 200, NULL, "0123456789"},
    {"HEAD", "/a.txt", NULL, NULL, 200, "content-length: 10\n", ""},
    {"GET", "/nothing.txt", NULL, NULL, 200, "content-length: 0\n", ""},
    {"GET", "/", NULL, NULL, 200, "content-type: text/html", "<p>top"},
    {"GET", "/sub/", NULL, NULL, 200, "content-type: text/html", "<p>sub"},
    {"GET", "/sub/b.css", NULL, NULL, 200, "content-type: text/css", "b{}"},
    {"GET", "/sub?q", NULL, NULL, 308, "location: /sub/?q\n", ""},
    {"HEAD", "/sub", NULL, NULL, 308, "location: /sub/\n", ""},
    {"GET", "/sub/../a.txt", NULL, NULL, 200, NULL, "0123456789"},
    {"GET", "/empty/", NULL, NULL, 404, NULL, NULL},
    {"GET", "/odd/", NULL, NULL, 404, NULL, NULL},
    {"GET", "/a.txt/", NULL, NULL, 404, NULL, NULL},
    {"GET", "/a.txt/b", NULL, NULL, 404, NULL, NULL},
    {"GET", "/none", NULL, NULL, 404, NULL, NULL},
    {"GET", "/none/", NULL, NULL, 404, NULL, NULL},
    {"GET", "/in", NULL, NULL, 200, NULL, "0123456789"},
    {"GET", "/out", NULL, NULL, 403, NULL, NULL},
    {"GET", "/ring", NULL, NULL, 403, NULL, NULL},
    {"GET", "/fifo", NULL, NULL, 403, NULL, NULL},
    {"GET", "/.hidden", NULL, NULL, 404, NULL, NULL},
    {"GET", "/sub/.hidden", NULL, NULL, 404, NULL, NULL},
    {"GET", "/.well-known/key", NULL, NULL, 200, NULL, "known"},
    {"GET", "/.well-known/.key", NULL, NULL, 404, NULL, NULL},
    {"GET", "/.well-knownx", NULL, NULL, 404, NULL, NULL},
    {"GET", "/%2ehidden", NULL, NULL, 404, NULL, NULL},
    {"GET", "/sub%2Fb.css", NULL, NULL, 404, NULL, NULL},
    {"GET", "/sub%5Cb.css", NULL, NULL, 404, NULL, NULL},
    {"GET", "/sub/..%2Fa.txt", NULL, NULL, 404, NULL, NULL},
    {"GET", "/sub/%252e%252e/a.txt", NULL, NULL, 404, NULL, NULL},
    {"GET", "/%C3%A4%20%2541", NULL, NULL, 200,
     "content-type: application/octet-stream\n", "name"},
    {"POST", "/a.txt", NULL, NULL, 405, "allow: GET, HEAD\n", NULL},
    {"DELETE", "/none", NULL, NULL, 405, "allow: GET, HEAD\n", NULL},
    {"OPTIONS", "/a.txt", NULL, NULL, 405, "allow: GET, HEAD\n", NULL},
    /* Conditions. */
    {"GET", "/a.txt", "if-modified-since", OLD, 304, "etag: \"a-", ""},
    {"GET", "/a.txt", "if-unmodified-since", "Tue, 31 Dec 2019 23:59:59 GMT",
     412, NULL, NULL},
    {"GET", "/a.txt", "if-none-match", "*", 304, "last-modified: ", ""},
    {"GET", "/a.txt", "if-match", "\"x\"", 412, NULL, NULL},
    {"GET", "/none", "if-match", "*", 404, NULL, NULL},
    /* Ranges. */
    {"GET", "/a.txt", "range", "bytes=2-4", 206,
     "content-range: bytes 2-4/10\n", "234"},
    {"GET", "/a.txt", "range", "bytes=-3", 206, "content-length: 3\n", "789"},
    {"GET", "/a.txt", "range", "bytes=10-", 416, "content-range: bytes */10\n",
     NULL},
    {"GET", "/a.txt", "range", "bytes=3-2", 200, "accept-ranges: bytes\n",
     "0123456789"},
    {"HEAD", "/a.txt", "range", "bytes=2-4", 200, "content-length: 10\n", ""},
    {"GET", "/a.txt", "range", "bytes=0-0,9-9", 206,
     "content-type: multipart/byteranges; boundary=", NULL},
    {"GET", "/nothing.txt", "range", "bytes=0-", 416,
     "content-range: bytes */0\n", NULL},
    /* Codings. */
    {"GET", "/c.js", NULL, NULL, 200, "content-length: 5\n", "plain"},
    {"GET", "/c.js", "accept-encoding", "gzip", 200, "content-encoding: gzip\n",
     "gzipped"},
    {"GET", "/c.js", "accept-encoding", "gzip", 200, "vary: accept-encoding\n",
     NULL},
    {"GET", "/c.js", "accept-encoding", "gzip", 200,
     "content-type: text/javascript", NULL},
    {"GET", "/c.js", "accept-encoding", "gzip, br", 200,
     "content-encoding: br\n", "brotli"},
    {"GET", "/c.js", "accept-encoding", "gzip;q=0", 200, NULL, "plain"},
    {"GET", "/stale.js", "accept-encoding", "gzip", 200, NULL, "new"},
    {"GET", "/a.txt", "accept-encoding", "gzip, br", 200, NULL, "0123456789"},
};

static void check_row(const struct row *row)
{
    const char *const fields[] = {row->name, row->value, NULL};

    begin(row->method, row->target, fields);
    finish(SIZE_MAX);
    if (loop.status != row->status)
        fail_msg("%s %s: %u, not %u", row->method, row->target, loop.status,
                 row->status);
    if (row->field && strncmp(row->field, "content-length: ", 16) == 0)
        assert_int_equal(declared, strtoull(row->field + 16, NULL, 10));
    else if (row->field && !strstr(loop.fields, row->field))
        fail_msg("%s %s: no %s in\n%s", row->method, row->target, row->field,
                 loop.fields);
    if (row->body && strcmp(loop.body, row->body) != 0)
        fail_msg("%s %s: '%s', not '%s'", row->method, row->target, loop.body,
                 row->body);
    test_loopback_deinit(&loop);
}

static void check_rows(const char *way, bool remote)
{
    int fds = test_live_fds();

    set_up_context(way, remote);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_row(&rows[i]);
    tear_down_context();
    assert_int_equal(test_live_fds(), fds);
}

static void at_once(void **state)
{
    (void)state;
    check_rows("inline", false);
}

static void by_operations(void **state)
{
    (void)state;
    check_rows("inline", true);
    check_rows("threads", true);
}

static void by_uring(void **state)
{
    struct lh_aio *aio;
    struct lh_err err;

    (void)state;
    if (lh_aio_new(&aio, "uring", &err) < 0)
        skip();
    lh_aio_free(aio);
    check_rows("uring", true);
}

/* --- bodies --------------------------------------------------------------- */

static void assert_whole(void)
{
    assert_int_equal(loop.status, 200);
    assert_true(loop.ended);
    assert_int_equal(loop.body_n, LONG_N);
    assert_memory_equal(loop.body, long_text, LONG_N);
    test_loopback_deinit(&loop);
}

static const char *const long_range[] = {"range", "bytes=100-250000", NULL};

static void assert_long_range(void)
{
    assert_int_equal(loop.status, 206);
    assert_int_equal(loop.body_n, 249901);
    assert_memory_equal(loop.body, long_text + 100, 249901);
    test_loopback_deinit(&loop);
}

/* In pieces of any size. */
static void long_ones(void **state)
{
    static const size_t pieces[] = {SIZE_MAX, 65536, 4097, 1000};

    (void)state;
    set_up_context("threads", false);
    for (size_t i = 0; i < 4; i++) {
        begin("GET", "/long", NULL);
        finish(pieces[i]);
        assert_whole();
    }
    tear_down_context();
}

static void parts(void **state)
{
    const char *const fields[] = {"range", "bytes=10-19,-5,0-1", NULL};
    char expected[600];
    const char *boundary;

    (void)state;
    set_up_context("threads", false);
    begin("GET", "/long", fields);
    finish(7);
    assert_int_equal(loop.status, 206);
    boundary = strstr(loop.fields, "boundary=") + 9;
    int n =
        snprintf(expected, sizeof(expected),
                 "\r\n--%.32s\r\ncontent-type: application/octet-stream\r\n"
                 "content-range: bytes 10-19/300000\r\n\r\n%.10s"
                 "\r\n--%.32s\r\ncontent-type: application/octet-stream\r\n"
                 "content-range: bytes 299995-299999/300000\r\n\r\n%.5s"
                 "\r\n--%.32s\r\ncontent-type: application/octet-stream\r\n"
                 "content-range: bytes 0-1/300000\r\n\r\n%.2s\r\n--%.32s--\r\n",
                 boundary, long_text + 10, boundary, long_text + LONG_N - 5,
                 boundary, long_text, boundary);
    assert_string_equal(loop.body, expected);
    assert_int_equal(declared, n);
    test_loopback_deinit(&loop);
    tear_down_context();
}

/* A response that is under way is cut, and the log says why. */
static void becomes_shorter(off_t size)
{
    assert_int_equal(truncate(test_live_path("long"), size), 0);
    finish(SIZE_MAX);
    assert_true(loop.aborted);
    assert_non_null(strstr(t.last_log, "'long' became shorter"));
    test_loopback_deinit(&loop);
    put("long", long_text, sizeof(long_text));
}

/* Its length was said before: what became shorter is cut, what became longer is
 * not told. */
static void changing(void **state)
{
    (void)state;
    set_up_context("threads", false);
    begin("GET", "/long", NULL);
    until_it_starts();
    becomes_shorter(100000);

    begin("GET", "/long", NULL);
    until_it_starts();
    assert_int_equal(truncate(test_live_path("long"), LONG_N + 5), 0);
    finish(SIZE_MAX);
    assert_whole();

    /* Another one takes its name. */
    put("long", long_text, sizeof(long_text));
    begin("GET", "/long", NULL);
    until_it_starts();
    put_text("other", "other");
    move("other", "long");
    finish(SIZE_MAX);
    assert_whole();
    put("long", long_text, sizeof(long_text));
    tear_down_context();
}

/* --- what is read when it leaves ------------------------------------------ */

/* Skips where the page cache cannot be asked: there nothing is drawn. */
static void need_cache(void)
{
    char octet;
    int fd = open(test_live_path("long"), O_RDONLY | O_CLOEXEC);
    ssize_t n = lh_aio_read_cached(fd, &octet, 1, 0);

    close(fd);
    if (n < 0)
        skip();
}

/* Until the response offers the rest of a file. */
static void begin_drawn(const char *const *fields)
{
    begin("GET", "/long", fields);
    until_it_starts();
    assert_non_null(loop.ex->response.source);
}

/* Of a long body in the page cache little is held: it is read when it leaves,
 * and what the protocol does not take is not read. */
static void drawn(void **state)
{
    (void)state;
    need_cache();
    set_up_context("threads", false);
    begin_drawn(NULL);
    assert_true(loop.ex->response.bytes.n < 32768);
    finish(SIZE_MAX);
    assert_whole();

    begin_drawn(long_range);
    finish(5000);
    assert_long_range();
    tear_down_context();
}

/* What leaves the page cache meanwhile is read by an operation, and what comes
 * behind it is drawn again. */
static void drawn_in_part(void **state)
{
    (void)state;
    need_cache();
    set_up_context("threads", false);
    begin_drawn(NULL);
    uint64_t done = operations_done();
    refuse_cached = 2;
    finish(SIZE_MAX);
    assert_int_equal(refuse_cached, 0);
    assert_int_equal(lh_count_get(&t.ctx.counters.operations_done), done + 1);
    assert_whole();
    tear_down_context();
}

/* The client goes, the file shrinks, the server stops. */
static void drawn_in_vain(void **state)
{
    int fds = test_live_fds();

    (void)state;
    need_cache();
    set_up_context("threads", false);
    begin_drawn(NULL);
    test_loopback_gone(&loop);
    finish(SIZE_MAX);
    test_loopback_deinit(&loop);

    begin_drawn(NULL);
    becomes_shorter(50000);

    begin_drawn(NULL);
    test_loopback_deinit(&loop); /* the protocol lets go first */
    lh_served_run(&served);
    tear_down_context();
    assert_int_equal(test_live_fds(), fds);
}

/* --- what the kernel moves ------------------------------------------------ */

static void set_up_moving(bool remote)
{
    set_up_context("threads", remote);
    moves = true;
    asked_ready = refuse_ready = 0;
}

static void tear_down_moving(void)
{
    moves = false;
    tear_down_context();
}

/* From the file itself, whatever the socket takes; a part of it, too. */
static void moved(void **state)
{
    static const size_t pieces[] = {SIZE_MAX, 65536, 4097, 1000};

    (void)state;
    set_up_moving(false);
    for (size_t i = 0; i < 4; i++) {
        begin("GET", "/long", NULL);
        until_it_starts();
        assert_non_null(loop.ex->response.source);
        assert_int_equal(loop.ex->response.bytes.n, 0);
        uint64_t before = operations_done();
        finish(pieces[i]);
        assert_int_equal(operations_done(), before);
        assert_whole();
    }
    begin("GET", "/long", long_range);
    finish(5000);
    assert_long_range();
    tear_down_moving();
}

/* What is not in memory an operation brings, by a pipe or by copies; what comes
 * behind it is moved again. */
static void cold(void **state)
{
    (void)state;
    set_up_moving(false);
    for (int vanishes = 0; vanishes < 2; vanishes++) {
        begin("GET", "/long", NULL);
        until_it_starts();
        test_loopback_pump(&loop, 50000);
        uint64_t before = operations_done();
        loop.vanishes = vanishes != 0;
        refuse_ready = vanishes ? 0 : 2;
        finish(SIZE_MAX);
        assert_int_equal(loop.vanishes, 0);
        assert_true(operations_done() > before);
        assert_whole();
    }
    tear_down_moving();
}

/* Others' file systems wait for the network: only operations read them.  What
 * the system puts into the pipe and does not move is read from there. */
static void far_away(void **state)
{
    (void)state;
    set_up_moving(true);
    for (unsigned stuck = 0; stuck < 3; stuck++) {
        begin("GET", "/long", NULL);
        until_it_starts();
        loop.vanishes = stuck;
        finish(stuck ? 10000 : SIZE_MAX);
        assert_int_equal(loop.vanishes > 0, stuck == 2);
        assert_int_equal(asked_ready, 0);
        assert_whole();
    }
    tear_down_moving();
}

/* Those that clients need are not taken for pipes: copies do. */
static void few_descriptors(void **state)
{
    struct lh_open_files store;
    int open_now[2];

    (void)state;
    set_up_moving(true);
    lh_open_files_init(&store, &t.ctx);
    for (int few = 0; few < 2; few++) {
        if (few)
            store.pipes_max = 0;
        begin("GET", "/long", NULL);
        while (loop.body_n < 1000)
            step(1000);
        open_now[few] = test_live_fds();
        finish(SIZE_MAX);
        assert_whole();
        lh_open_files_forget(&store);
    }
    assert_int_equal(open_now[0], open_now[1] + 2);
    t.ctx.open_files = NULL;
    tear_down_moving();
}

/* Nobody is asked again what was in memory for the request before. */
static void warm(void **state)
{
    struct lh_open_files store;

    (void)state;
    set_up_moving(false);
    lh_open_files_init(&store, &t.ctx);
    for (unsigned i = 0; i < 3; i++) {
        asked_ready = 0;
        begin("GET", "/long", NULL);
        finish(70000);
        assert_int_equal(asked_ready > 0, i == 0);
        assert_whole();
    }
    lh_open_files_forget(&store);
    t.ctx.open_files = NULL;
    tear_down_moving();
}

/* The client goes, the file shrinks, the server stops. */
static void moved_in_vain(void **state)
{
    int fds = test_live_fds();

    (void)state;
    set_up_moving(false);
    begin("GET", "/long", NULL);
    until_it_starts();
    test_loopback_gone(&loop);
    finish(SIZE_MAX);
    test_loopback_deinit(&loop);

    begin("GET", "/long", NULL);
    until_it_starts();
    test_loopback_pump(&loop, 70000);
    becomes_shorter(50000);

    begin("GET", "/long", NULL);
    until_it_starts();
    test_loopback_deinit(&loop); /* the protocol lets go first */
    lh_served_run(&served);
    tear_down_moving();
    assert_int_equal(test_live_fds(), fds);
}

/* --- validators ----------------------------------------------------------- */

static const char *etag_of(const char *target)
{
    static char etag[80];
    const char *at, *end;

    begin("GET", target, NULL);
    finish(SIZE_MAX);
    at = strstr(loop.fields, "etag: ") + 6;
    end = strchr(at, '\n');
    snprintf(etag, sizeof(etag), "%.*s", (int)(end - at), at);
    test_loopback_deinit(&loop);
    return etag;
}

static void assert_status(const char *name, const char *value, unsigned status)
{
    const char *const fields[] = {name, value, "range", "bytes=0-0", NULL};

    begin("GET", "/a.txt", fields);
    finish(SIZE_MAX);
    assert_int_equal(loop.status, status);
    test_loopback_deinit(&loop);
}

static void entity_tags(void **state)
{
    char etag[80];

    (void)state;
    set_up_context("threads", false);
    snprintf(etag, sizeof(etag), "%s", etag_of("/a.txt"));
    assert_int_equal(etag[0], '"');
    assert_status("if-none-match", etag, 304);
    assert_status("if-match", etag, 206);
    assert_status("if-range", etag, 206);
    assert_status("if-range", "\"other\"", 200);
    assert_status("if-range", OLD, 206);
    assert_string_equal(etag_of("/in"), etag);
    assert_string_not_equal(etag_of("/c.js"), etag);
    put_text("a.txt", "0123456780"); /* same size and time, same file */
    assert_string_equal(etag_of("/a.txt"), etag);
    put_text("new", "0123456789");
    move("new", "a.txt");
    assert_string_not_equal(etag_of("/a.txt"), etag);
    /* What is young may change again within the same time. */
    utimensat(AT_FDCWD, test_live_path("a.txt"), NULL, 0);
    t.ctx.unix_s -= 10;
    snprintf(etag, sizeof(etag), "%s", etag_of("/a.txt"));
    assert_memory_equal(etag, "W/\"", 3);
    assert_status("if-none-match", etag, 304);
    assert_status("if-match", etag, 412);
    assert_status("if-range", etag, 200);
    put_text("a.txt", "0123456789");
    tear_down_context();
}

/* --- options -------------------------------------------------------------- */

static void with_options(void **state)
{
    (void)state;
    set_up_context("threads", false);
    options.cache_control = LH_STR("max-age=60");
    options.compressed = false;
    options.index = NULL;
    options.type = LH_STR("text/x-own");
    options.disposition = LH_STR("attachment");
    options.not_found = another;
    check_row(&(struct row){"GET", "/a.txt", NULL, NULL, 200,
                            "cache-control: max-age=60\n", NULL});
    check_row(&(struct row){"GET", "/a.txt", NULL, NULL, 200,
                            "content-type: text/x-own\n", NULL});
    check_row(&(struct row){"GET", "/a.txt", NULL, NULL, 200,
                            "content-disposition: attachment\n", NULL});
    check_row(&(struct row){"GET", "/a.txt", "if-none-match", "*", 304,
                            "cache-control: max-age=60\n", NULL});
    check_row(&(struct row){"GET", "/c.js", "accept-encoding", "gzip", 200,
                            NULL, "plain"});
    assert_int_equal(others, 0);
    check_row(&(struct row){"GET", "/none", NULL, NULL, 410, NULL, NULL});
    check_row(&(struct row){"GET", "/sub/", NULL, NULL, 410, NULL, NULL});
    assert_int_equal(others, 2);
    options.listing = true;
    check_row(&(struct row){"GET", "/sub/", NULL, NULL, 200,
                            "cache-control: no-cache\n", NULL});
    check_row(&(struct row){"GET", "/none/", NULL, NULL, 410, NULL, NULL});
    options.listing = false;
    options.directory = "/nonexistent";
    check_row(&(struct row){"GET", "/a.txt", NULL, NULL, 404, NULL, NULL});
    assert_non_null(strstr(t.last_log, "'/nonexistent': No such file"));
    tear_down_context();
}

static void check_list(const char *way, bool remote)
{
    int fds = test_live_fds();

    set_up_context(way, remote);
    options.listing = true;
    check_row(&(struct row){"GET", "/sub/", NULL, NULL, 200, NULL, "<p>sub"});
    check_row(
        &(struct row){"GET", "/sub", NULL, NULL, 308, "location: /sub/\n", ""});
    check_row(&(struct row){"HEAD", "/empty/", NULL, NULL, 200,
                            "content-type: text/html; charset=utf-8\n", ""});
    check_row(&(struct row){"POST", "/empty/", NULL, NULL, 405, NULL, NULL});
    check_row(&(struct row){"GET", "/none/", NULL, NULL, 404, NULL, NULL});
    check_row(&(struct row){"GET", "/a.txt/", NULL, NULL, 404, NULL, NULL});
    options.index = NULL;
    begin("GET", "/sub/", NULL);
    finish(100);
    assert_int_equal(loop.status, 200);
    assert_int_equal(loop.body_n, declared);
    assert_non_null(strstr(loop.body, "<h1>/sub/</h1>"));
    assert_non_null(strstr(loop.body, "<a href=\"b.css\">b.css</a>"));
    assert_null(strstr(loop.body, "hidden"));
    test_loopback_deinit(&loop);

    /* The client goes while the list is made. */
    begin("GET", "/sub/", NULL);
    test_loopback_gone(&loop);
    lh_served_run(&served);
    test_loopback_deinit(&loop);
    while (lh_aio_pending(t.ctx.aio))
        wait_for_operations();
    tear_down_context();
    assert_int_equal(test_live_fds(), fds);
}

static void lists(void **state)
{
    struct lh_aio *aio;
    struct lh_err err;

    (void)state;
    check_list("inline", false);
    check_list("threads", true);
    if (lh_aio_new(&aio, "uring", &err) < 0)
        return;
    lh_aio_free(aio);
    check_list("uring", false);
    check_list("uring", true);
}

/* Without a directory the path is the system's, and dots are the script's. */
static void any_path(void **state)
{
    struct lh_serving *s;
    const char *path = test_live_path(".hidden");

    (void)state;
    (void)s;
    set_up_context("threads", false);
    options.directory = NULL;
    test_loopback_request(&loop, &t, "GET", "/x", NULL, false);
    lh_served_begin(&served, loop.ex, &options, lh_str_of(path));
    finish(SIZE_MAX);
    assert_string_equal(loop.body, "secret");
    test_loopback_deinit(&loop);
    tear_down_context();
}

/* --- clients that go, memory that lacks ----------------------------------- */

/* At any time: what is under way is given up, and nothing stays open. */
static void clients_go(void **state)
{
    int fds = test_live_fds();

    (void)state;
    for (int turns = 0; turns < 8; turns++) {
        set_up_context("threads", true);
        begin("GET", "/long", NULL);
        for (int i = 0; i < turns; i++) {
            if (lh_aio_pending(t.ctx.aio))
                wait_for_operations();
            if (i % 2 == 0)
                lh_served_run(&served);
            until_it_starts();
        }
        test_loopback_gone(&loop);
        lh_served_run(&served);
        test_loopback_deinit(&loop);
        while (lh_aio_pending(t.ctx.aio))
            wait_for_operations();
        tear_down_context();
        assert_int_equal(test_live_fds(), fds);
    }
}

static void without_memory(void **state)
{
    const char *const fields[] = {"range", "bytes=0-9,20-29", "accept-encoding",
                                  "gzip", NULL};
    int fds = test_live_fds();

    (void)state;
    for (unsigned long at = 1; at < 40; at++) {
        set_up_context("threads", true);
        test_loopback_request(&loop, &t, "GET", "/long", fields, false);
        test_heap_install();
        test_heap_fail_at(at);
        lh_served_begin(&served, loop.ex, &options, loop.ex->request.path);
        while (lh_aio_pending(t.ctx.aio)) {
            wait_for_operations();
            lh_served_run(&served);
        }
        test_heap_fail_at(0);
        finish(SIZE_MAX);
        assert_true(loop.status == 206 || loop.status == 503 || loop.aborted);
        test_loopback_deinit(&loop);
        test_heap_uninstall();
        tear_down_context();
    }
    assert_int_equal(test_live_fds(), fds);
}

/* The length of several parts is said only if all that stands between them was
 * counted, or what is no whole answer would look like one. */
static void parts_without_memory(void **state)
{
    const char *const fields[] = {"range", "bytes=0-99999,100000-199999", NULL};
    static char type[1000];

    (void)state;
    for (size_t n = 100; n < sizeof(type); n += 100) {
        memset(type, 'x', n);
        for (unsigned long at = 1; at < 20; at++) {
            set_up_context("threads", false);
            options.type = (struct lh_str){type, n};
            test_loopback_request(&loop, &t, "GET", "/long", fields, false);
            test_heap_install();
            test_heap_fail_at(at);
            lh_served_begin(&served, loop.ex, &options, loop.ex->request.path);
            test_heap_fail_at(0);
            finish(1000);
            if (loop.status == 206)
                assert_true(loop.body_n > 200000 && !loop.aborted);
            else
                assert_int_equal(loop.status, 503);
            test_loopback_deinit(&loop);
            test_heap_uninstall();
            tear_down_context();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once),
        cmocka_unit_test(by_operations),
        cmocka_unit_test(by_uring),
        cmocka_unit_test(long_ones),
        cmocka_unit_test(parts),
        cmocka_unit_test(changing),
        cmocka_unit_test(drawn),
        cmocka_unit_test(drawn_in_part),
        cmocka_unit_test(drawn_in_vain),
        cmocka_unit_test(moved),
        cmocka_unit_test(cold),
        cmocka_unit_test(far_away),
        cmocka_unit_test(few_descriptors),
        cmocka_unit_test(warm),
        cmocka_unit_test(moved_in_vain),
        cmocka_unit_test(entity_tags),
        cmocka_unit_test(with_options),
        cmocka_unit_test(any_path),
        cmocka_unit_test(lists),
        cmocka_unit_test(clients_go),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(parts_without_memory),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
