/* httpd.websocket and httpd.wait, without a server: the octets of both sides
 * are a loopback's bodies. */
#include "lhttpd.h"

#include "lib/channels.h"
#include "lib/heap.h"
#include "lib/script.h"
#include "lib/ws.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct test_script s;
static struct test_channels channels;
static uint64_t vm_bytes = LHTTPD_UNLIMITED; /* of the next one */

/* "said" collects what the handler has seen; "/said" tells it. */
static void start(const char *code)
{
    char all[8192];

    snprintf(all, sizeof(all),
             "local said = ''\n"
             "local function say(...)\n"
             "  for i = 1, select('#', ...) do\n"
             "    said = said .. tostring((select(i, ...))) .. ' '\n"
             "  end\n"
             "  said = said .. '|'\n"
             "end\n"
             "local function try(...)\n"
             "  local ok, why = pcall(...)\n"
             "  say((tostring(why):gsub('^[^:]*:%%d*: ', '')))\n"
             "end\n"
             "httpd.register_handler('/said', function()\n"
             "  httpd.write(nil, said)\n"
             "end)\n"
             "httpd.register_handler('/', function(env, header)\n%s\nend)\n",
             code);
    test_channels_init(&channels, &s);
    s.t.limits.vm_memory_bytes = vm_bytes;
    test_script_load(&s, "test.lua", all);
    if (s.error)
        fail_msg("%s", s.err.text);
}

static void end(void)
{
    test_script_deinit(&s);
    test_channels_deinit(&channels);
}

static struct test_loopback *get(const char *target, const char *const *fields)
{
    struct test_loopback *l =
        test_script_request(&s, "GET", target, fields, false);

    test_script_run(&s);
    return l;
}

static const char *const upgrade[] = {"connection",
                                      "Upgrade",
                                      "upgrade",
                                      "websocket",
                                      "sec-websocket-version",
                                      "13",
                                      "sec-websocket-key",
                                      "dGhlIHNhbXBsZSBub25jZQ==",
                                      "sec-websocket-protocol",
                                      "b, c",
                                      NULL};

static struct test_loopback *open_one(void)
{
    struct test_loopback *l = get("/", upgrade);

    assert_int_equal(l->status, 101);
    return l;
}

static void expect_said(const char *text)
{
    struct test_loopback *l = get("/said", NULL);

    assert_string_equal(l->body, text);
}

/* The client sends what the script of test_ws_script() says. */
static void send(struct test_loopback *l, const char *script)
{
    struct test_bytes b = {NULL, 0};

    test_ws_script(&b, script);
    for (size_t at = 0, n; at < b.n; at += n) {
        n = test_loopback_body(l, b.p + at, b.n - at);
        test_script_run(&s);
        if (n == 0)
            break;
    }
    free(b.p);
}

/* Everything that the client has got since the handshake. */
static void expect_octets(struct test_loopback *l, const char *octets, size_t n)
{
    assert_int_equal(l->body_n, n);
    assert_memory_equal(l->body, octets, n);
}

#define EXPECT(l, octets) expect_octets(l, octets, sizeof(octets) - 1)

/* --- the handshake -------------------------------------------------------- */

static void test_the_handshake(void **state)
{
    (void)state;
    start("local ws = httpd.websocket{protocols = {'a', 'c', 'b'}}\n"
          "say(ws, ws.protocol, ws.code, ws.other)\n"
          "httpd.read(ws)");
    struct test_loopback *l = open_one();
    assert_string_equal(l->fields,
                        "upgrade: websocket\n"
                        "connection: Upgrade\n"
                        "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\n"
                        "sec-websocket-protocol: c\n");
    expect_said("websocket (open) c nil nil |");
    end();
}

/* Each field of a good one made bad, or left out. */
static void test_what_is_no_handshake(void **state)
{
    static const struct {
        unsigned at;
        const char *value;
        unsigned status;
    } bad[] = {
        {1, "close", 400},
        {3, "h2c", 400},
        {5, "12", 426},
        {5, "13, 13", 426},
        {7, "dGhlIHNhbXBsZSBub25jZQ=", 400},
        {7, "dGhlIHNhbXBsZSBub25jZQ===", 400},
        {7, "dGhlIHNhbXBsZSBub25j*Q==", 400},
    };

    (void)state;
    start("local ws, why = httpd.websocket()\n"
          "say(ws, type(why))");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *fields[sizeof(upgrade) / sizeof(upgrade[0])];
        memcpy(fields, upgrade, sizeof(upgrade));
        fields[bad[i].at] = bad[i].value;
        struct test_loopback *l = get("/", fields);
        assert_int_equal(l->status, bad[i].status);
        if (bad[i].status == 426)
            assert_non_null(strstr(l->fields, "sec-websocket-version: 13\n"));
        test_script_done(&s);
    }
    assert_int_equal(get("/", NULL)->status, 400);
    assert_int_equal(
        test_script_request(&s, "POST", "/", upgrade, true)->status, 0);
    test_script_run(&s);
    assert_int_equal(s.requests[1].status, 400);
    expect_said("nil string |nil string |nil string |nil string |nil string |"
                "nil string |nil string |nil string |nil string |");
    end();
}

/* The script's own answer wins. */
static void test_a_page_instead(void **state)
{
    (void)state;
    start("if not httpd.websocket() then\n"
          "  httpd.header{status = 200}\n"
          "  httpd.write(nil, 'page')\n"
          "end");
    struct test_loopback *l = get("/", NULL);
    assert_int_equal(l->status, 200);
    assert_string_equal(l->body, "page");
    end();
}

static void test_wrong_uses(void **state)
{
    (void)state;
    start("try(httpd.websocket, 1)\n"
          "try(httpd.websocket, {protocols = 'a'})\n"
          "try(httpd.websocket, {protocols = {'a b'}})\n"
          "try(httpd.websocket, {message_bytes = 0})\n"
          "local ws = httpd.websocket()\n"
          "try(httpd.websocket)\n"
          "try(httpd.header, {})\n"
          "try(httpd.read, nil)\n"
          "try(httpd.write, nil, 'x')\n"
          "try(httpd.finish)\n"
          "try(httpd.read, ws, 0)\n"
          "try(httpd.read, ws, 'a')\n"
          "try(httpd.write, ws, 'x', 'blob')\n"
          "try(httpd.write, ws, '\\255')\n"
          "try(httpd.write, ws, true)\n"
          "try(httpd.close, ws, 1005)\n"
          "try(httpd.close, ws, 1000, ('x'):rep(124))\n"
          "try(httpd.wait, ws)\n"
          "try(httpd.wait, {})\n"
          "try(httpd.wait, {ws, 1})");
    EXPECT(open_one(), "\x88\x02\x03\xe8");
    expect_said(
        "bad argument #1 to 'httpd.websocket' (table expected, got number) |"
        "bad argument #1 to 'httpd.websocket' (protocols is an array) |"
        "bad argument #1 to 'httpd.websocket' (protocol 1 is no token) |"
        "bad argument #1 to 'httpd.websocket' (message_bytes is a number from "
        "1) |"
        "httpd.websocket: the request has one already |"
        "header already sent |"
        "httpd.read: the request is a websocket now |"
        "httpd.write: the request is a websocket now |"
        "httpd.finish: the request is a websocket now |"
        "bad argument #2 to 'httpd.read' (of a websocket: how many bytes, from "
        "1) |"
        "bad argument #2 to 'httpd.read' (of a websocket: how many bytes, from "
        "1) |"
        "bad argument #3 to 'httpd.write' ('text' or 'binary' expected) |"
        "httpd.write: the text is not UTF-8; send it as 'binary' |"
        "bad argument #2 to 'httpd.write' (string, number or array expected, "
        "got boolean) |"
        "bad argument #2 to 'httpd.close' (not a close code) |"
        "bad argument #3 to 'httpd.close' (a reason is UTF-8 of at most 123 "
        "bytes) |"
        "bad argument #1 to 'httpd.wait' (array of streams expected, got "
        "websocket) |"
        "httpd.wait: the array has no streams |"
        "bad argument #1 to 'httpd.wait' (an array of sockets, websockets, "
        "subscriptions and one file expected) |");
    end();
}

/* A metamethod of its options is not asked, which could open another one. */
static void test_options_with_a_metatable(void **state)
{
    (void)state;
    start("local other\n"
          "local function open(_, key)\n"
          "  if key == 'protocols' then other = httpd.websocket() end\n"
          "end\n"
          "local ws = httpd.websocket(setmetatable({}, {__index = open}))\n"
          "say(other, httpd.write(ws, 'x'))");
    EXPECT(open_one(), "\x81\x01x\x88\x02\x03\xe8");
    expect_said("nil 1 |");
    end();
}

/* --- messages ------------------------------------------------------------- */

static const char echo[] = "local ws = httpd.websocket()\n"
                           "while true do\n"
                           "  local text, kind = httpd.read(ws)\n"
                           "  if not text then\n"
                           "    say(kind, ws.code, ws.reason)\n"
                           "    say(httpd.read(ws))\n"
                           "    say(httpd.write(ws, 'x'))\n"
                           "    return\n"
                           "  end\n"
                           "  say(text, kind)\n"
                           "  say(httpd.write(ws, text, kind))\n"
                           "end";

static void test_messages_both_ways(void **state)
{
    (void)state;
    start(echo);
    struct test_loopback *l = open_one();
    send(l, "81:a 02:b 89:p 80:c 82: 88=1000,bye 81:late");
    /* The ping is found before the handler has read. */
    EXPECT(l, "\x8a\x01p\x81\x01"
              "a\x82\x02"
              "bc\x82\x00\x88\x02\x03\xe8");
    assert_true(l->ended);
    assert_false(l->aborted);
    expect_said("a text |1 |bc binary |2 | binary |0 |nil 1000 bye |"
                "nil closed |nil closed |");
    end();
}

static void test_a_client_that_breaks_rules(void **state)
{
    (void)state;
    start(echo);
    struct test_loopback *l = open_one();
    send(l, "81:\xff");
    EXPECT(l, "\x88\x1a\x03\xef"
              "a text that is not UTF-8");
    assert_true(l->ended);
    expect_said("malformed 1007 a text that is not UTF-8 |nil closed |nil "
                "closed |");
    end();
}

static void test_a_client_that_vanishes(void **state)
{
    (void)state;
    start(echo);
    struct test_loopback *l = open_one();
    send(l, "81:a");
    test_loopback_gone(l);
    test_script_run(&s);
    expect_said("a text |1 |closed 1006  |nil closed |nil closed |");
    /* What came before is read first. */
    l = open_one();
    struct test_bytes b = {NULL, 0};
    test_ws_script(&b, "81:b 81:c");
    test_loopback_body(l, b.p, b.n);
    test_loopback_body_end(l);
    test_script_run(&s);
    free(b.p);
    expect_said("a text |1 |closed 1006  |nil closed |nil closed |"
                "b text |1 |c text |1 |closed 1006  |nil closed |nil closed |");
    end();
}

static void test_messages_over_the_limit(void **state)
{
    (void)state;
    start("local ws = httpd.websocket{message_bytes = 200}\n"
          "say(#httpd.read(ws))\n"
          "say(httpd.read(ws))\n"
          "say(ws.code)");
    struct test_loopback *l = open_one();
    send(l, "81*200 01*100 80*101");
    assert_true(l->ended);
    expect_said("200 |nil too large |1009 |");
    end();
}

/* What has come before it is asked for has the same limit, wherever the handler
 * was meanwhile, and whatever came behind it. */
static void test_messages_over_the_limit_that_wait(void **state)
{
    static const char *const waits[] = {
        "httpd.sleep(1)", "httpd.wait({ws, httpd.subscribe('a')})",
        "say(#httpd.read(ws)) httpd.sleep(1)"};
    static const char *const behind[] = {
        "82*201", "02*100 80*101", "82*201 88:", "82*201 83:", "82*201 82*5"};
    char code[256];

    (void)state;
    for (size_t i = 0; i < 15; i++) {
        bool first = i / 5 == 2;
        snprintf(code, sizeof(code),
                 "local ws = httpd.websocket{message_bytes = 200}\n%s\n"
                 "say(httpd.read(ws)) say(ws.code) say(httpd.read(ws))",
                 waits[i / 5]);
        start(code);
        struct test_loopback *l = open_one();
        if (first)
            send(l, "81*200");
        send(l, behind[i % 5]);
        test_script_advance(&s, 1000);
        assert_true(l->ended);
        expect_said(first ? "200 |nil too large |1009 |nil closed |"
                          : "nil too large |1009 |nil closed |");
        end();
    }
}

/* A head is enough, also for a handler that waits for several streams. */
static void test_a_length_over_the_limit(void **state)
{
    static const uint8_t head[] = {0x82, 0xfe, 0, 201, 1, 2, 3, 4};

    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        start(waits ? "local ws = httpd.websocket{message_bytes = 200}\n"
                      "httpd.wait{ws} say(httpd.read(ws))"
                    : "local ws = httpd.websocket{message_bytes = 200}\n"
                      "say(httpd.read(ws))");
        struct test_loopback *l = open_one();
        test_loopback_body(l, head, sizeof(head));
        test_script_run(&s);
        assert_true(l->ended);
        expect_said("nil too large |");
        end();
    }
}

/* Of any length, and each as soon as it is there. */
static void test_pieces_of_messages(void **state)
{
    (void)state;
    start("local ws = httpd.websocket{message_bytes = 100}\n"
          "repeat\n"
          "  local piece, kind, more = httpd.read(ws, 100)\n"
          "  say(piece and #piece, kind, more)\n"
          "until not piece");
    struct test_loopback *l = open_one();
    send(l, "01*99");
    expect_said("");
    send(l, "00:x");
    expect_said("100 text true |");
    send(l, "80: 82*250 88:");
    expect_said("100 text true |0 text nil |100 binary true |100 binary true |"
                "50 binary nil |nil nil nil |");
    end();
}

/* A message that is longer than the buffers is lent, and its head stands before
 * it. */
static void test_long_messages_to_a_slow_client(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "say(httpd.write(ws, ('x'):rep(200000), 'binary'))\n"
          "say(httpd.write(ws, {'y', 'z'}))\n"
          "collectgarbage()");
    s.pump_bytes = 1000;
    struct test_loopback *l = open_one();
    assert_true(l->ended);
    assert_int_equal(l->body_n, 10 + 200000 + 4 + 4);
    assert_memory_equal(l->body, "\x82\x7f\0\0\0\0\0\x03\x0d\x40xx", 12);
    assert_memory_equal(l->body + 10 + 200000, "\x81\x02yz\x88\x02\x03\xe8", 8);
    expect_said("200000 |2 |");
    end();
}

static void test_a_write_with_a_time_out(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "local n, ok, why = 0\n"
          "repeat\n"
          "  ok, why = httpd.write(ws, ('x'):rep(10000), nil, 1)\n"
          "  n = n + (ok and 1 or 0)\n"
          "until not ok\n"
          "say(n > 5, why)\n");
    s.pump_bytes = 0;
    get("/", upgrade);
    test_script_advance(&s, 1000);
    s.pump_bytes = SIZE_MAX;
    expect_said("true timeout |");
    end();
}

/* --- while the handler does something else -------------------------------- */

/* A client that does not read gets no queue of answers. */
static void test_pings_are_answered_meanwhile(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "httpd.sleep(100)\n"
          "say(httpd.read(ws))");
    struct test_loopback *l = open_one();
    send(l, "81:a 89:1 89:2 82:b 89:3");
    EXPECT(l, "\x8a\x01"
              "3");
    expect_said("");
    test_script_advance(&s, 100000);
    expect_said("a text |");
    end();
}

/* What a browser says of itself, which its request is kept for. */
static const char *const browser[] = {
    "connection",
    "Upgrade",
    "pragma",
    "no-cache",
    "cache-control",
    "no-cache",
    "user-agent",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36",
    "upgrade",
    "websocket",
    "origin",
    "http://localhost:8080",
    "sec-websocket-version",
    "13",
    "accept-encoding",
    "gzip, deflate, br",
    "accept-language",
    "en-US,en;q=0.9",
    "cookie",
    "session=0123456789abcdef0123456789abcdef; theme=dark",
    "sec-websocket-key",
    "dGhlIHNhbXBsZSBub25jZQ==",
    NULL};

/* An idle one holds what its handler can ask for, and the log at its end; no
 * blocks that its request was read into. */
static void test_an_idle_one_is_small(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "say(httpd.read(ws))\n"
          "say(header['user-agent']:sub(1, 7), header.cookie:sub(-4),\n"
          "    env.QUERY_INFO, header[':path'], #header.accept_encoding)");
    struct test_loopback *l = get("/?a=b", browser);
    assert_int_equal(l->status, 101);
    send(l, "89:1");
    EXPECT(l, "\x8a\x01"
              "1");
    assert_true(l->ex->arena.allocated < 600);
    assert_false(l->ex->arena.loose);
    send(l, "81:a");
    end();
}

/* Little is taken of what nobody reads. */
static void test_a_handler_that_does_not_read(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "httpd.sleep(1)\n"
          "say(#httpd.read(ws))");
    struct test_loopback *l = open_one();
    send(l, "82*100000");
    assert_int_equal(lh_exchange_body_room(l->ex), 0);
    assert_in_range(l->ex->body_received, 64 << 10, 96 << 10);
    end();
}

static void test_silence_is_pinged(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "say(httpd.read(ws))\n"
          "say(ws.code, ws.reason)");
    s.t.limits.ws_ping_ms = 10000;
    struct test_loopback *l = open_one();
    test_script_advance(&s, 9999);
    assert_int_equal(l->body_n, 0);
    test_script_advance(&s, 1);
    EXPECT(l, "\x89\x00");
    send(l, "8a:");
    test_script_advance(&s, 10000); /* something came meanwhile */
    EXPECT(l, "\x89\x00");
    test_script_advance(&s, 10000);
    EXPECT(l, "\x89\x00\x89\x00");
    expect_said("");
    test_script_advance(&s, 10000);
    assert_true(l->aborted);
    expect_said("nil closed |1006 no pong |");
    end();
}

/* --- the end -------------------------------------------------------------- */

static void test_a_close_of_ours(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "say(httpd.close(ws, 4000, 'why'), httpd.close(ws, 4001))\n"
          "say(httpd.write(ws, 'x'))\n"
          "say(httpd.read(ws))\n"
          "say(httpd.read(ws))\n"
          "say(ws.code, ws.reason)");
    struct test_loopback *l = open_one();
    EXPECT(l, "\x88\x05\x0f\xa0why");
    assert_false(l->ended);
    send(l, "81:a 88=4000,yes");
    EXPECT(l, "\x88\x05\x0f\xa0why");
    assert_true(l->ended);
    expect_said("true true |nil closed |a text |nil |4000 yes |");
    /* One that does not answer. */
    l = open_one();
    test_script_advance(&s, 30000);
    assert_true(l->ended);
    end();
}

/* Who has said that it goes is not kept for what it sent before and nobody
 * reads; it can be read yet. */
static void test_a_close_behind_what_nobody_reads(void **state)
{
    (void)state;
    start("local ws, a = httpd.websocket(), httpd.subscribe('a')\n"
          "say(httpd.read(a))\n"
          "say(httpd.write(ws, 'y'))\n"
          "say(httpd.read(ws))\n"
          "say(httpd.read(ws))\n"
          "say(ws.code)");
    struct test_loopback *l = open_one();
    test_script_advance(&s, 20000);
    send(l, "81:x 88=4000,");
    test_script_advance(&s, 29999);
    EXPECT(l, "");
    test_script_advance(&s, 1);
    EXPECT(l, "\x88\x02\x0f\xa0");
    assert_true(l->ended);
    expect_said("nil closed |nil closed |x text |nil |4000 |");
    end();
}

/* ... but for one that reads as it can. */
static void test_a_close_behind_what_is_read_slowly(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "for _ = 1, 3 do\n"
          "  httpd.sleep(20)\n"
          "  local text = httpd.read(ws)\n"
          "  say(text, text and httpd.write(ws, text))\n"
          "end");
    struct test_loopback *l = open_one();
    send(l, "81:1 81:2 88:");
    test_script_advance(&s, 20000);
    EXPECT(l, "\x81\x01"
              "1");
    test_script_advance(&s, 20000);
    EXPECT(l, "\x81\x01"
              "1\x81\x01"
              "2\x88\x00");
    assert_true(l->ended);
    test_script_advance(&s, 20000);
    expect_said("1 1 |2 1 |nil nil |");
    end();
}

static void test_the_end_of_the_handler(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "local text = httpd.read(ws)\n"
          "if text == 'fail' then error('on purpose') end");
    struct test_loopback *l = open_one();
    send(l, "81:a");
    EXPECT(l, "\x88\x02\x03\xe8");
    assert_true(l->ended);
    l = open_one();
    send(l, "81:fail");
    EXPECT(l, "\x88\x02\x03\xf3");
    assert_true(l->ended);
    end();
}

/* The handler is told once, and 1001 is what the client is. */
static void test_a_stop(void **state)
{
    (void)state;
    start("local ws = httpd.websocket()\n"
          "say(httpd.read(ws))\n"
          "say(httpd.stopping())\n"
          "say(httpd.read(ws))\n");
    struct test_loopback *l = open_one();
    lh_vm_stopping(s.vm);
    test_script_run(&s);
    EXPECT(l, "");
    send(l, "81:a");
    EXPECT(l, "\x88\x02\x03\xe9");
    assert_true(l->ended);
    expect_said("nil stopping |true |a text |");
    l = open_one();
    lh_vm_cut_off(s.vm);
    test_script_run(&s);
    EXPECT(l, "\x88\x02\x03\xe9");
    assert_true(l->ended);
    end();
}

/* What the script loses is closed. */
static void test_one_that_is_collected(void **state)
{
    (void)state;
    start("httpd.websocket()\n"
          "collectgarbage() collectgarbage()\n"
          "httpd.sleep(1)");
    struct test_loopback *l = open_one();
    EXPECT(l, "\x88\x02\x03\xe8");
    assert_true(l->ended);
    end();
}

/* --- httpd.wait ----------------------------------------------------------- */

static void test_a_websocket_and_a_channel(void **state)
{
    (void)state;
    start("local ws, a = httpd.websocket(), httpd.subscribe('a')\n"
          "local streams = {ws, a}\n"
          "while true do\n"
          "  local which, why = httpd.wait(streams, 5)\n"
          "  if which == a then httpd.write(ws, httpd.read(a))\n"
          "  elseif which == ws then\n"
          "    local text = httpd.read(ws)\n"
          "    if not text then break end\n"
          "    say(text)\n"
          "  else say(which, why) end\n"
          "  if why == 'stopping' then break end\n"
          "end");
    struct test_loopback *l = open_one();
    send(l, "81:1");
    test_channels_publish(&channels, "2");
    send(l, "81:3 81:4");
    EXPECT(l, "\x81\x01"
              "2");
    expect_said("1 |3 |4 |");
    test_script_advance(&s, 5000);
    expect_said("1 |3 |4 |nil timeout |");
    send(l, "88:");
    assert_true(l->ended);
    assert_int_equal(channels.of_worker.n, 0);
    l = open_one();
    lh_vm_stopping(s.vm);
    test_script_run(&s);
    EXPECT(l, "\x88\x02\x03\xe9");
    expect_said("1 |3 |4 |nil timeout |nil stopping |");
    end();
}

/* That the server stops is told before the client's close frame, and does not
 * take its place. */
static void test_a_stop_and_a_close(void **state)
{
    struct test_bytes b = {NULL, 0};

    (void)state;
    start("local ws = httpd.websocket()\n"
          "say(httpd.read(ws))\n"
          "say(select('#', httpd.read(ws)), ws.code)\n"
          "say(httpd.read(ws))");
    struct test_loopback *l = open_one();
    lh_vm_stopping(s.vm);
    test_ws_script(&b, "88=1000,bye");
    test_loopback_body(l, b.p, b.n);
    free(b.p);
    test_script_run(&s);
    expect_said("nil stopping |1 1000 |nil closed |");
    end();
}

/* Without a websocket the client's end is told, and so is what is there. */
static void test_waits_of_channels_alone(void **state)
{
    (void)state;
    start("local a, b = httpd.subscribe('a'), httpd.subscribe('b')\n"
          "httpd.publish('b', 'x')\n"
          "say(httpd.wait{b, a} == b, httpd.read(b))\n"
          "say(httpd.wait{a, b})");
    struct test_loopback *l = get("/", NULL);
    test_channels_publish(&channels, "");
    expect_said("true x |subscription (open) |");
    test_script_done(&s);
    l = get("/", NULL);
    test_loopback_gone(l);
    test_script_run(&s);
    assert_int_equal(channels.of_worker.n, 0);
    end();
}

/* A handler that waits for other streams than its websocket learns of the
 * client's end as any other does. */
static void test_a_wait_without_its_websocket(void **state)
{
    (void)state;
    start("local ws, a = httpd.websocket(), httpd.subscribe('a')\n"
          "say(httpd.wait{a})");
    struct test_loopback *l = open_one();
    test_loopback_gone(l);
    test_script_run(&s);
    expect_said("nil closed |");
    assert_int_equal(channels.of_worker.n, 0);
    l = open_one();
    send(l, "88:");
    assert_true(l->ended);
    expect_said("nil closed |nil closed |");
    end();
}

/* A websocket may be ended by whoever finds its metatable, as 5.4 does at the
 * end of a block, while its handler waits for it. */
static void test_one_that_ends_while_it_is_waited_for(void **state)
{
    (void)state;
    start("if kept then debug.getmetatable(kept).__gc(kept) return end\n"
          "kept = httpd.websocket()\n"
          "say(httpd.wait{kept} == kept, httpd.read(kept))");
    struct test_loopback *l = open_one();
    get("/", NULL);
    expect_said("true nil closed |");
    assert_true(l->ended);
    end();
}

/* A finalizer runs wherever anything allocates: here it ends the websocket
 * while its words become strings.  Each step of the collector is a whole
 * collection. */
static void test_one_that_ends_while_it_is_asked(void **state)
{
    const char *fields[sizeof(upgrade) / sizeof(upgrade[0])];

    (void)state;
    memcpy(fields, upgrade, sizeof(upgrade));
    fields[9] = "chat";
    start("local ws = httpd.websocket{protocols = {('tahc'):reverse()}}\n"
          "httpd.read(ws)\n"
          "asked = asked == 'reason' and 'protocol' or 'reason'\n"
          "local finish, key = debug.getmetatable(ws).__gc, asked\n"
          "local function finalizer(fn)\n"
          "  if newproxy then\n"
          "    getmetatable(newproxy(true)).__gc = fn\n"
          "  else\n"
          "    setmetatable({}, {__gc = fn})\n"
          "  end\n"
          "end\n"
          "local ended = false\n"
          "local function finish_it() finish(ws) ended = true end\n"
          "collectgarbage('setpause', 0)\n"
          "collectgarbage('setstepmul', 1000000)\n"
          "collectgarbage()\n"
          "finalizer(finish_it)\n"
          "local function ask(a, b, c, d, e, f) return #(ws[key] or '') end\n"
          "for i = 1, 100000 do\n"
          "  local n = ask(1, 2, 3, 4, 5, 6)\n"
          "  if n ~= 0 and n ~= 4 then say(n) end\n"
          "  if ended then break end\n"
          "end\n"
          "say(ended)\n");
    for (int i = 0; i < 2; i++) {
        struct test_loopback *l = get("/", fields);
        assert_int_equal(l->status, 101);
        send(l, "88=1000,bye!");
        test_script_done(&s);
    }
    expect_said("true |true |");
    end();
}

/* Who waits has not said yet how it will read. */
static void test_pieces_after_a_wait(void **state)
{
    (void)state;
    start("local ws = httpd.websocket{message_bytes = 1000}\n"
          "local n = 0\n"
          "repeat\n"
          "  httpd.wait{ws}\n"
          "  local piece, kind, more = httpd.read(ws, 500)\n"
          "  n = n + #(piece or '')\n"
          "until not more\n"
          "say(n)");
    struct test_loopback *l = open_one();
    send(l, "82*5000");
    expect_said("5000 |");
    (void)l;
    end();
}

/* --- memory --------------------------------------------------------------- */

/* Each allocation of a conversation fails once: that ends the websocket at
 * most, and nothing is lost.  On 5.4 the websocket is closed by its block. */
static const char whole_conversation[] =
    "local function talk(ws)\n"
    "  local a = httpd.subscribe('a')\n"
    "  while true do\n"
    "    local r = httpd.wait{ws, a}\n"
    "    local text, kind, more = httpd.read(r, r == ws and 3 or nil)\n"
    "    if not text then break end\n"
    "    if r == ws then httpd.write(ws, text, kind) end\n"
    "  end\n"
    "  httpd.close(ws, 4000, 'because')\n"
    "end\n"
    "local open = function(f, options) f(httpd.websocket(options)) end\n"
    "if _VERSION == 'Lua 5.4' then\n"
    "  open = load('local f, options = ...; local ws <close> = '..\n"
    "              'httpd.websocket(options); f(ws)')\n"
    "end\n"
    "pcall(open, talk, {protocols = {'c'}})\n"
    "httpd.read()\n";

static void test_each_allocation_fails(void **state)
{
    bool failed = true;

    (void)state;
    for (unsigned long n = 1; failed && n < 400; n++) {
        test_heap_install();
        start(whole_conversation);
        struct test_loopback *l =
            test_script_request(&s, "GET", "/", upgrade, false);
        test_heap_fail_at(n);
        test_script_run(&s);
        if (l->ex && l->status == 101)
            send(l, "01:one 89:ping 80:two 82*5000 88=1001,bye");
        failed = test_heap_count() >= n;
        test_heap_fail_at(0);
        test_script_run(&s);
        assert_true(l->ended || l->aborted);
        end();
        assert_int_equal(test_heap_live(), 0);
        test_heap_uninstall();
    }
    assert_false(failed);
}

#if !LH_LUA_51 /* which cannot wait inside of pcall */
/* A message for which the VM has no room, in a block of 5.4 that closes the
 * websocket: the message is freed. */
static void test_a_message_without_room(void **state)
{
    (void)state;
    test_heap_install();
    vm_bytes = 4 << 20;
    start("local read = function(ws) return httpd.read(ws) end\n"
          "if _VERSION == 'Lua 5.4' then\n"
          "  read = load('local w <close> = ...; return httpd.read(w)')\n"
          "end\n"
          "local ws = httpd.websocket{message_bytes = 1e8}\n"
          "local ok, why = pcall(read, ws)\n"
          "say(ok, why)\n"
          "debug.getmetatable(ws).__gc(ws)\n");
    vm_bytes = LHTTPD_UNLIMITED;
    struct test_loopback *l = open_one();
    send(l, "82*5000000");
    assert_true(l->ended);
    expect_said("false not enough memory |");
    end();
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_handshake),
        cmocka_unit_test(test_what_is_no_handshake),
        cmocka_unit_test(test_a_page_instead),
        cmocka_unit_test(test_wrong_uses),
        cmocka_unit_test(test_options_with_a_metatable),
        cmocka_unit_test(test_messages_both_ways),
        cmocka_unit_test(test_a_client_that_breaks_rules),
        cmocka_unit_test(test_a_client_that_vanishes),
        cmocka_unit_test(test_messages_over_the_limit),
        cmocka_unit_test(test_messages_over_the_limit_that_wait),
        cmocka_unit_test(test_a_length_over_the_limit),
        cmocka_unit_test(test_pieces_of_messages),
        cmocka_unit_test(test_long_messages_to_a_slow_client),
        cmocka_unit_test(test_a_write_with_a_time_out),
        cmocka_unit_test(test_pings_are_answered_meanwhile),
        cmocka_unit_test(test_an_idle_one_is_small),
        cmocka_unit_test(test_a_handler_that_does_not_read),
        cmocka_unit_test(test_silence_is_pinged),
        cmocka_unit_test(test_a_close_of_ours),
        cmocka_unit_test(test_a_close_behind_what_nobody_reads),
        cmocka_unit_test(test_a_close_behind_what_is_read_slowly),
        cmocka_unit_test(test_the_end_of_the_handler),
        cmocka_unit_test(test_a_stop),
        cmocka_unit_test(test_one_that_is_collected),
        cmocka_unit_test(test_a_websocket_and_a_channel),
        cmocka_unit_test(test_a_stop_and_a_close),
        cmocka_unit_test(test_waits_of_channels_alone),
        cmocka_unit_test(test_a_wait_without_its_websocket),
        cmocka_unit_test(test_one_that_ends_while_it_is_waited_for),
        cmocka_unit_test(test_one_that_ends_while_it_is_asked),
        cmocka_unit_test(test_pieces_after_a_wait),
        cmocka_unit_test(test_each_allocation_fails),
#if !LH_LUA_51
        cmocka_unit_test(test_a_message_without_room),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
