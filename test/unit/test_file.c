/*
 * httpd.read and httpd.write on files, in a whole server, by both ways of
 * asynchronous operations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/client.h"
#include "lib/heap.h"
#include "lib/deny.h"
#include "lib/forked.h"
#include "lib/live.h"
#include "lib/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const char basics[] =
    "fill('lines', 'one\\ntwo\\n\\nfour')\n"
    "fill('big', string.rep('0123456789abcdef', 65536))\n"
    "test('lengths', function()\n"
    "  local f = assert(io.open(DIR .. 'lines'))\n"
    "  same(httpd.read(f, 3), 'one')\n"
    "  same(httpd.read(f, 0), '')\n"
    "  same(httpd.read(f, 100), '\\ntwo\\n\\nfour')\n"
    "  same(httpd.read(f, 1), nil)\n"
    "  same(select('#', httpd.read(f, 1)), 1)\n"
    "  same(httpd.read(f, 0), nil)\n"
    "  same(httpd.read(f), nil)\n"
    "  same(httpd.read(f, 'a'), '')\n"
    "  f:close()\n"
    "end)\n"
    "test('lines', function()\n"
    "  local f = assert(io.open(DIR .. 'lines'))\n"
    "  same(httpd.read(f, 'l'), 'one')\n"
    "  same(httpd.read(f, 'L'), 'two\\n')\n"
    "  same(httpd.read(f, '*l'), '')\n"
    "  same(httpd.read(f, 'L'), 'four')\n"
    "  same(httpd.read(f, 'l'), nil)\n"
    "  f:close()\n"
    "end)\n"
    "test('all', function()\n"
    "  local f = assert(io.open(DIR .. 'big'))\n"
    "  local all = httpd.read(f, 'a')\n"
    "  same(#all, 1048576)\n"
    "  f:close()\n"
    "  f = assert(io.open(DIR .. 'big', 'a'))\n"
    "  f:write('x')\n"
    "  f:close()\n"
    "  f = assert(io.open(DIR .. 'big'))\n"
    "  local none, why = httpd.read(f, 'a')\n"
    "  same(none, nil) same(why, 'too large')\n"
    "  same(httpd.read(f, 1048577), all .. 'x')\n"
    "  f:close()\n"
    "end)\n"
    "test('steps', function()\n"
    "  local f, n = assert(io.open(DIR .. 'big')), 0\n"
    "  while true do\n"
    "    local s = httpd.read(f, 65536)\n"
    "    if not s then break end\n"
    "    if #s == 65536 then same(s:sub(1, 16), '0123456789abcdef') end\n"
    "    n = n + #s\n"
    "  end\n"
    "  same(n, 1048577)\n"
    "  f:seek('set', 0)\n"
    "  same(#httpd.read(f, 1e9), 1048577)\n"
    "  f:seek('set', 5)\n"
    "  same(httpd.read(f):sub(1, 3), '567')\n"
    "  f:close()\n"
    "end)\n"
    "test('write', function()\n"
    "  local f = assert(io.open(DIR .. 'new', 'w'))\n"
    "  same(httpd.write(f, 'hello '), 6)\n"
    "  same(httpd.write(f, 42), 2)\n"
    "  same(httpd.write(f, {' a', 'b', 1}), 4)\n"
    "  same(httpd.write(f, ''), 0)\n"
    "  same(httpd.write(f, nil), nil)\n"
    "  f:close()\n"
    "  same(contents('new'), 'hello 42 ab1')\n"
    "end)\n"
    "test('write_big', function()\n"
    "  local f = assert(io.open(DIR .. 'new', 'w+'))\n"
    "  local s = string.rep('x', 3000000) .. 'end'\n"
    "  same(httpd.write(f, s), #s)\n"
    "  same(f:seek(), #s)\n"
    "  f:seek('set', 0)\n"
    "  same(httpd.read(f, 4e6), s)\n"
    "  f:close()\n"
    "end)\n"
    "test('mixed', function()\n"
    "  local f = assert(io.open(DIR .. 'mix', 'w+'))\n"
    "  f:write('abcdefghij')\n"
    "  same(httpd.write(f, 'KLM'), 3)\n"
    "  f:write('nop')\n"
    "  same(f:seek('set', 2), 2)\n"
    "  same(f:read(2), 'cd')\n"
    "  same(httpd.read(f, 2), 'ef')\n"
    "  same(f:read(2), 'gh')\n"
    "  same(httpd.write(f, 'XY'), 2)\n"
    "  same(f:read(3), 'KLM')\n"
    "  same(f:seek('set', 0), 0)\n"
    "  same(f:read('*a'), 'abcdefghXYKLMnop')\n"
    "  same(httpd.read(f, 1), nil)\n"
    "  same(f:seek('cur', -3), 13)\n"
    "  same(httpd.read(f, 'a'), 'nop')\n"
    "  f:seek('set', 0)\n"
    "  same(httpd.write(f, 'ABC'), 3)\n"
    "  f:seek('set', 0)\n"
    "  same(f:read(5), 'ABCde')\n"
    "  httpd.write(f, '1\\n2\\n3\\n') f:seek('set', 5)\n"
    "  same(httpd.read(f, 'l'), '1')\n"
    "  same(f:seek(), 7)\n"
    "  for line in f:lines() do\n"
    "    same(line, '2')\n"
    "    same(httpd.read(f, 'l'), '3')\n"
    "    break\n"
    "  end\n"
    "  same(httpd.write(f, '!'), 1)\n"
    "  f:close()\n"
    "  same(contents('mix'), 'ABCde1\\n2\\n3\\n!Mnop')\n"
    "end)\n"
    "test('append', function()\n"
    "  fill('log', 'first\\n')\n"
    "  local f = assert(io.open(DIR .. 'log', 'a+'))\n"
    "  same(httpd.write(f, 'second\\n'), 7)\n"
    "  same(f:seek(), 13)\n"
    "  f:seek('set', 0)\n"
    "  same(httpd.read(f, 'l'), 'first')\n"
    "  same(httpd.write(f, 'third\\n'), 6)\n"
    "  f:write('fourth\\n')\n"
    "  same(httpd.write(f, 'fifth\\n'), 6)\n"
    "  f:close()\n"
    "  same(contents('log'), 'first\\nsecond\\nthird\\nfourth\\nfifth\\n')\n"
    "end)\n"
    "test('grows', function()\n"
    "  local w = assert(io.open(DIR .. 'grow', 'w'))\n"
    "  local r = assert(io.open(DIR .. 'grow'))\n"
    "  same(httpd.read(r), nil)\n"
    "  httpd.write(w, 'abc')\n"
    "  same(httpd.read(r), 'abc')\n"
    "  same(httpd.read(r, 'l'), nil)\n"
    "  httpd.write(w, 'd\\n')\n"
    "  same(httpd.read(r, 'l'), 'd')\n"
    "  w:close()\n"
    "  w = assert(io.open(DIR .. 'grow', 'w'))\n"
    "  same(httpd.read(r, 10), nil)\n"
    "  w:close() r:close()\n"
    "end)\n"
    "test('far', function()\n"
    "  local f = assert(io.open(DIR .. 'sparse', 'w+'))\n"
    "  same(f:seek('set', 5000000000), 5000000000)\n"
    "  same(httpd.write(f, 'far away'), 8)\n"
    "  same(f:seek(), 5000000008)\n"
    "  f:seek('set', 4999999998)\n"
    "  same(httpd.read(f, 100), '\\0\\0far away')\n"
    "  f:close()\n"
    "  os.remove(DIR .. 'sparse')\n"
    "end)\n";

static void reads_and_writes(void **state)
{
    static const char *const names[] = {
        "/lengths", "/lines",  "/all",   "/steps", "/write", "/write_big",
        "/mixed",   "/append", "/grows", "/far",   NULL};
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, basics);
    test_live_expect_all(&live, names);
    test_live_stop(&live);
}

static const char odd[] =
    "local function fails(f, wanted, ...)\n"
    "  local none, why, code = ...\n"
    "  same(none, nil) same(why, wanted[1]) same(code, wanted[2])\n"
    "  f:close()\n"
    "end\n"
    "local EBADF = {'Bad file descriptor', 9}\n"
    "test('proc', function()\n"
    "  local f = assert(io.open('/proc/self/status'))\n"
    "  same(httpd.read(f, 5), 'Name:')\n"
    "  assert(httpd.read(f, 'l'))\n"
    "  assert(#httpd.read(f, 'a') > 500)\n"
    "  f:close()\n"
    "end)\n"
    "test('directory', function()\n"
    "  local f = assert(io.open(DIR))\n"
    "  fails(f, {'Is a directory', 21}, httpd.read(f, 10))\n"
    "end)\n"
    "test('modes', function()\n"
    "  fill('x', 'x')\n"
    "  local f = assert(io.open(DIR .. 'x'))\n"
    "  fails(f, EBADF, httpd.write(f, 'data'))\n"
    "  f = assert(io.open(DIR .. 'x', 'a'))\n"
    "  fails(f, EBADF, httpd.read(f, 1))\n"
    "end)\n"
    "test('devices', function()\n"
    "  local f = assert(io.open('/dev/zero', 'r+'))\n"
    "  same(httpd.read(f, 5), '\\0\\0\\0\\0\\0')\n"
    "  same(#httpd.read(f, 300000), 300000)\n"
    "  same(httpd.write(f, 'x'), 1)\n"
    "  f:close()\n"
    "  f = assert(io.open('/dev/null', 'r+'))\n"
    "  same(httpd.read(f, 5), nil)\n"
    "  same(httpd.write(f, 'gone'), 4)\n"
    "  f:close()\n"
    "  f = assert(io.open('/dev/urandom'))\n"
    "  same(#httpd.read(f, 100), 100)\n"
    "  same(#f:read(100), 100)\n"
    "  f:close()\n"
    "  f = assert(io.open('/dev/full', 'w'))\n"
    "  fails(f, {'No space left on device', 28}, httpd.write(f, 'data'))\n"
    "end)\n"
    "test('closed', function()\n"
    "  local f = assert(io.open(DIR .. 'x', 'w'))\n"
    "  f:close()\n"
    "  httpd.read(f, 1)\n"
    "end)\n"
    "test('wrong', function() httpd.read(42, 1) end)\n"
    "test('many', function()\n"
    "  for i = 1, 3000 do\n"
    "    local f = assert(io.open(DIR .. 'x'))\n"
    "    httpd.read(f, 1)\n"
    "  end\n"
    "end)\n"
    "test('inner', function()\n"
    "  fill('inner', string.rep('a\\n', 1000))\n"
    "  local f = assert(io.open(DIR .. 'inner', 'r+'))\n"
    "  local step = coroutine.wrap(function()\n"
    "    for i = 1, 1000 do\n"
    "      local line = httpd.read(f, 'l')\n"
    "      if i % 100 == 0 then httpd.write(f, '') end\n"
    "      coroutine.yield(line)\n"
    "    end\n"
    "  end)\n"
    "  for i = 1, 1000 do same(step(), 'a') end\n"
    "  f:close()\n"
    "end)\n";

static void odd_files(void **state)
{
    static const char *const names[] = {
        "/proc", "/directory", "/modes", "/devices", "/many", "/inner", NULL};
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, odd);
    test_live_expect_all(&live, names);
    test_live_get(&live, "/closed");
    assert_non_null(strstr(test_live_log(), "httpd.read: the file is closed"));
    test_live_get(&live, "/wrong");
    assert_non_null(strstr(test_live_log(),
                           "file, socket, subscription, websocket, part or nil "
                           "expected"));
    test_live_stop(&live);
}

/* --- open, sync, sendfile ------------------------------------------------- */

static const char opened[] =
    "local function fails(wanted, code, ...)\n"
    "  local none, why, number = ...\n"
    "  same(none, nil) same(why, wanted) same(number, code)\n"
    "end\n"
    "test('open', function()\n"
    "  local f = assert(httpd.open(DIR .. 'o', 'w'))\n"
    "  same(io.type(f), 'file')\n"
    "  same(httpd.write(f, 'by httpd '), 9)\n"
    "  f:write('by io')\n"
    "  same(httpd.sync(f), true)\n"
    "  same(contents('o'), 'by httpd by io')\n"
    "  same(httpd.close(f), true)\n"
    "  same(io.type(f), 'closed file')\n"
    "  f = assert(httpd.open(DIR .. 'o', 'ab+'))\n"
    "  same(httpd.write(f, '!'), 1)\n"
    "  f:seek('set', 0)\n"
    "  same(httpd.read(f, 'a'), 'by httpd by io!')\n"
    "  f:close()\n"
    "  f = assert(httpd.open(DIR .. 'o'))\n"
    "  same(f:read('*a'), 'by httpd by io!')\n"
    "  fails('Bad file descriptor', 9, httpd.write(f, 'x'))\n"
    "  f:close()\n"
    "  fails('/no/file: No such file or directory', 2,\n"
    "        httpd.open('/no/file', 'r', 10))\n"
    "  fails('/no/file: No such file or directory', 2,\n"
    "        httpd.open('/no/file', 'w'))\n"
    "  fails(DIR .. ': Is a directory', 21, httpd.open(DIR, 'r+'))\n"
    "end)\n"
    "test('positions', function()\n"
    "  fill('p', 'some text')\n"
    "  for _, mode in ipairs{'r', 'a', 'r+', 'a+', 'ab', 'w', 'w+'} do\n"
    "    local f = assert(httpd.open(DIR .. 'p', mode))\n"
    "    local g = assert(io.open(DIR .. 'p', mode))\n"
    /* C libraries do not agree on what fopen() does. */
    "    local at_end = mode == 'a' or mode == 'ab'\n"
    "    same(f:seek(), g:seek(at_end and 'end' or 'cur'))\n"
    "    g:close()\n"
    "    if mode:sub(1, 1) == 'a' then\n"
    "      same(httpd.write(f, '!'), 1)\n"
    "      same(f:seek(), f:seek('end'))\n"
    "    end\n"
    "    f:close()\n"
    "  end\n"
    "end)\n"
    "test('fifo', function()\n"
    "  local r = assert(httpd.open(DIR .. 'pipe'))\n"
    "  local w = assert(httpd.open(DIR .. 'pipe', 'w'))\n"
    "  fails('timeout', nil, httpd.read(r, 1, 0.01))\n"
    "  same(httpd.write(w, 'hello'), 5)\n"
    "  same(httpd.read(r), 'hello')\n"
    "  w:close()\n"
    "  same(httpd.read(r), nil)\n"
    "  r:close()\n"
    "end)\n"
    "test('sends', function(env)\n"
    "  local f = assert(io.open(DIR .. 'data'))\n"
    "  f:read(3)\n"
    "  same(httpd.sendfile(f, 1000000, 10), 10)\n"
    "  same(httpd.sendfile(f, 5000000), 0)\n"
    "  same(httpd.sendfile(f), 3000000)\n"
    "  same(httpd.sendfile(DIR .. 'data', 2999990), 10)\n"
    "  same(httpd.sendfile(DIR .. 'data', 0, 0), 0)\n"
    "  same(httpd.read(f, 3), '345')\n"
    "  f:close()\n"
    "  return ''\n"
    "end)\n"
    "test('send_fails', function()\n"
    "  fails('/no/file: No such file or directory', 2,\n"
    "        httpd.sendfile('/no/file'))\n"
    "  fails('Is a directory', 21, httpd.sendfile(DIR))\n"
    "  local p = io.popen('true')\n"
    "  same(select(3, httpd.sendfile(p)), 29)\n" /* ESPIPE */
    "  p:close()\n"
    "end)\n"
    "test('declared', function()\n"
    "  httpd.header{['content-length'] = 10}\n"
    "  httpd.sendfile(DIR .. 'data')\n"
    "end)\n"
    "test('bad1', function() httpd.open(nil) end)\n"
    "test('bad2', function() httpd.open('x', 'rw') end)\n"
    "test('bad10', function() httpd.open('x', {}) end)\n"
    "test('bad3', function() httpd.open('x\\0y') end)\n"
    "test('bad4', function() httpd.sync('x') end)\n"
    "test('bad5', function() httpd.sendfile(5) end)\n"
    "test('bad6', function() httpd.sendfile('/dev/null', -1) end)\n"
    "test('bad7', function() httpd.sendfile('/dev/null', 0, 'x') end)\n"
    "test('bad8', function() httpd.close(nil) end)\n"
    "test('bad9', function() httpd.read(io.stdin, 'x') end)\n";

static void fill_data(size_t n)
{
    FILE *f = fopen(test_live_path("data"), "w");

    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        putc('0' + (int)(i % 10), f);
    fclose(f);
}

static void opens_and_sends(void **state)
{
    static const char *const bad[] = {"/bad1", "/bad2", "/bad3", "/bad4",
                                      "/bad5", "/bad6", "/bad7", "/bad8",
                                      "/bad9", "/bad10"};
    struct test_live live;

    (void)state;
    fill_data(3000000);
    mkfifo(test_live_path("pipe"), 0600);
    test_live_start(&live, 1, opened);
    test_live_expect(&live, "/open", "ok");
    test_live_expect(&live, "/positions", "ok");
    test_live_expect(&live, "/fifo", "ok");
    test_live_expect(&live, "/send_fails", "ok");
    const char *got = test_live_get(&live, "/sends");
    assert_int_equal(strlen(got), 3000020);
    for (size_t i = 0; i < 3000020; i++)
        assert_int_equal(got[i], '0' + (int)(i % 10));
    got = test_live_get(&live, "/declared");
    assert_true(strlen(got) < 3000000);
    assert_non_null(strstr(test_live_log(), "httpd.sendfile: more than"));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        test_live_get(&live, bad[i]);
        if (strncmp(test_live_log(), "test.lua:", 9) != 0 ||
            (!strstr(test_live_log(), "bad argument") &&
             !strstr(test_live_log(), "httpd.open:")))
            fail_msg("%s: %s", bad[i], test_live_log());
    }
    test_live_stop(&live);
}

static int has_given_up(void *unused)
{
    (void)unused;
    return access(test_live_path("gave_up"), F_OK) == 0;
}

/* What was counted as sent is sent, though the call has given up, and what is
 * written next follows. */
static void a_slow_client_is_given_up(void **state)
{
    static const char source[] =
        "test('slow', function()\n"
        "  local n, why = httpd.sendfile(DIR .. 'data', 0, nil, 0.1)\n"
        "  same(n, nil)\n"
        "  same(why, 'timeout')\n"
        "  io.open(DIR .. 'gave_up', 'w'):close()\n"
        "  return 'end'\n"
        "end)\n";
    enum { SIZE = 24000000 };
    struct test_live live;
    char *answer = malloc(SIZE);

    (void)state;
    assert_non_null(answer);
    fill_data(SIZE);
    test_live_start(&live, 1, source);
    int fd = test_live_ask(&live, "/slow");
    test_live_until(has_given_up, NULL);
    test_client_read_all(fd, answer, SIZE);
    close(fd);
    char *body = strstr(answer, "\r\n\r\n");
    assert_non_null(body);
    size_t n = strlen(body += 4);
    assert_true(n > 100000 && n < SIZE - 1000);
    assert_string_equal(body + n - 3, "end");
    for (size_t i = 0; i < n - 3; i++)
        assert_int_equal(body[i], '0' + (int)(i % 10));
    free(answer);
    test_live_stop(&live);
}

/* --- responses without a body ----------------------------------------------
 */

/* Nothing of /dev/zero has an end of its own. */
static const char bodiless[] =
    "local s = string.rep('x', 10000)\n"
    "last = 'none'\n"
    "test('last', function() return last end)\n"
    "local function ends(name, fn)\n"
    "  test(name, function(env, header)\n"
    "    last = 'begun'\n"
    "    if header[':method'] == 'GET' then\n"
    "      httpd.header{status = env.QUERY_STRING}\n"
    "    end\n"
    "    last = fn()\n"
    "    return ''\n"
    "  end)\n"
    "end\n"
    "ends('strings', function()\n"
    "  local n, more, why = 0\n"
    "  repeat\n"
    "    more, why = httpd.write(nil, s)\n"
    "    n = n + (more or 0)\n"
    "  until not more\n"
    "  return why .. ' ' .. n .. ' ' .. tostring(httpd.closed())\n"
    "end)\n"
    "ends('pieces', function()\n"
    "  local f = assert(httpd.open('/dev/zero'))\n"
    "  local ok, why\n"
    "  repeat ok, why = httpd.write(nil, httpd.read(f, 65536)) until not ok\n"
    "  f:close()\n"
    "  return why\n"
    "end)\n"
    "ends('sends', function()\n"
    "  return tostring(httpd.sendfile('/dev/zero'))\n"
    "end)\n"
    "ends('counts', function()\n"
    "  local f = assert(io.open(DIR .. 'data'))\n"
    "  local a = httpd.sendfile(f, 10)\n"
    "  local b = httpd.sendfile(f, 10, 20)\n"
    "  local c = httpd.sendfile(f, 5000)\n"
    "  f:close()\n"
    "  local _, why = httpd.sendfile(DIR)\n"
    "  return table.concat({a, b, c, why}, ' ')\n"
    "end)\n"
    "ends('loses', function()\n"
    "  local n = httpd.write(nil, 'x')\n"
    "  httpd.flush()\n"
    "  httpd.sleep(0.01)\n"
    "  return tostring(httpd.closed()) .. select(2, httpd.write(nil, s))\n"
    "end)\n";

static void expect_without_body(struct test_live *live, const char *path,
                                const char *last)
{
    static const char *const lines[] = {"HEAD %s HTTP/1.0\r\n\r\n",
                                        "GET %s?204 HTTP/1.0\r\n\r\n",
                                        "GET %s?304 HTTP/1.0\r\n\r\n"};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char request[256], answer[1024];
        snprintf(request, sizeof(request), lines[i], path);
        test_client_ask(live->port, request, answer, sizeof(answer));
        const char *end = strstr(answer, "\r\n\r\n");
        assert_non_null(end);
        assert_string_equal(end + 4, "");
        test_live_expect(live, "/last", last);
    }
}

static void no_body_no_reading(void **state)
{
    struct test_live live;

    (void)state;
    fill_data(1000);
    test_live_start(&live, 1, bodiless);
    expect_without_body(&live, "/sends", "0");
    expect_without_body(&live, "/counts", "990 20 0 Is a directory");
    expect_without_body(&live, "/pieces", "closed");
    expect_without_body(&live, "/strings", "closed 1050000 true");
    expect_without_body(&live, "/loses", "trueclosed");
    test_live_stop(&live);
}

/* --- files in finalizers ----------------------------------------------------
 */

/* The state that httpd keeps of a file may be finalized before an object of the
 * script that has the file too. */
static const char finalized[] =
    "local kept = {}\n"
    "local function finalizer(fn)\n"
    "  if newproxy then\n"
    "    local o = newproxy(true)\n"
    "    getmetatable(o).__gc = fn\n"
    "    return o\n"
    "  end\n"
    "  return setmetatable({}, {__gc = fn})\n"
    "end\n"
    "local function use(f)\n"
    "  local calls = {\n"
    "    function() return httpd.read(f, 1, 0) end,\n"
    "    function() return httpd.write(f, 'x', 0) end,\n"
    "    function() return httpd.sync(f, 0) end,\n"
    "  }\n"
    "  for i = 1, #calls do pcall(calls[i]) end\n"
    "end\n"
    "local function lose(name)\n"
    "  local before, after\n"
    "  local f = assert(io.open(DIR .. name, 'r+'))\n"
    "  before = finalizer(function() kept[#kept + 1] = f use(f) end)\n"
    "  httpd.read(f, 1, 0)\n"
    "  after = finalizer(function() use(f) end)\n"
    "end\n"
    "test('lose', function()\n"
    "  fill('f', 'some text')\n"
    "  for i = 1, 20 do lose('f') lose('pipe') end\n"
    "  collectgarbage()\n"
    "  collectgarbage()\n"
    "  same(#kept, 40)\n"
    "end)\n"
    /* A finalizer runs wherever anything allocates: here it closes the file
     * while its octets become a string. */
    "test('close', function()\n"
    "  fill('f', string.rep('x', 10000))\n"
    "  local f = assert(io.open(DIR .. 'f'))\n"
    "  local finish = getmetatable(f).__gc\n"
    "  local pause = collectgarbage('setpause', 0)\n"
    "  collectgarbage()\n"
    "  for i = 1, 1000 do\n"
    "    finalizer(function() pcall(finish, f) end)\n"
    "    local ok, data = pcall(httpd.read, f, 10)\n"
    "    if not ok then break end\n"
    "    same(data, 'xxxxxxxxxx')\n"
    "  end\n"
    "  collectgarbage('setpause', pause)\n"
    "  same(pcall(httpd.read, f, 10), false)\n"
    "end)\n"
    /* ... or before httpd has used it at all. */
    "test('first', function()\n"
    "  local f, finish\n"
    "  for i = 1, 3000 do\n"
    "    finalizer(function() pcall(finish, f) end)\n"
    "    f = assert(io.open(DIR .. 'f'))\n"
    "    finish = getmetatable(f).__gc\n"
    "    local ok, data, why = pcall(httpd.read, f, 10)\n"
    "    if ok then same(data or why, 'xxxxxxxxxx') end\n"
    "    pcall(f.close, f)\n"
    "  end\n"
    "end)\n"
    "test('use', function()\n"
    "  for i = 1, #kept do use(kept[i]) end\n"
    "  httpd.sleep(0.01)\n"
    "end)\n";

static void finalized_files_are_dead(void **state)
{
    struct test_live live;

    (void)state;
    mkfifo(test_live_path("pipe"), 0600);
    test_live_start(&live, 1, finalized);
    test_live_expect(&live, "/lose", "ok");
    test_live_expect(&live, "/use", "ok");
    test_live_expect(&live, "/close", "ok");
    test_live_expect(&live, "/first", "ok");
    test_live_stop(&live);
}

/* --- descriptors -----------------------------------------------------------
 */

static const char tidy[] =
    "collectgarbage('stop')\n"
    "test('raises', function()\n"
    "  httpd.header{['content-length'] = 10}\n"
    "  httpd.sendfile(DIR .. 'data')\n"
    "end)\n"
    "test('wrong', function() httpd.sendfile(DIR .. 'data', -1) end)\n"
    "test('fails', function()\n"
    "  same(httpd.sendfile(DIR), nil)\n"
    "  same(httpd.sendfile(DIR .. 'pipe'), nil)\n"
    "  httpd.sendfile(DIR .. 'data', 0, 1, 0)\n"
    "end)\n"
    "test('refused', function()\n"
    "  local ok, why = pcall(table.sort, {1, 2, 3}, function(a, b)\n"
    "    httpd.open(DIR .. 'data')\n"
    "    return a < b\n"
    "  end)\n"
    "  assert(not ok and why:find('cannot suspend here'), why)\n"
    "  ok = httpd.open(DIR .. 'data', 'r', 0)\n"
    "  if ok then ok:close() end\n"
    "end)\n";

/* Nothing is left for the collector to close. */
static void failures_leave_no_descriptor(void **state)
{
    static const char *const names[] = {"/raises", "/wrong", "/fails",
                                        "/refused"};
    struct test_live live;

    (void)state;
    fill_data(100000);
    mkfifo(test_live_path("pipe"), 0600);
    test_live_start(&live, 1, tidy);
    test_live_get(&live, "/fails");
    int before = test_live_fds();
    for (int i = 0; i < 40; i++)
        test_live_get(&live, names[i % 4]);
    test_live_expect(&live, "/refused", "ok");
    assert_in_range(test_live_fds(), 1, before + 5);
    test_live_stop(&live);
}

/* --- pipes that nobody reads -----------------------------------------------
 */

static const char full_pipes[] =
    "local big = string.rep('x', 300000)\n"
    "local function fill_up(p)\n"
    "  local n, why = httpd.write(p, big, 0.01)\n"
    "  same(n, nil) same(why, 'timeout')\n"
    "end\n"
    "test('close', function()\n"
    "  local p = assert(io.popen('exec sleep 1000', 'w'))\n"
    "  fill_up(p)\n"
    "  p:write('held back')\n"
    "  local ok, why = httpd.close(p, 0.05)\n"
    "  same(ok, nil) same(why, 'timeout')\n"
    "  ok, why = httpd.close(p, 0.05)\n"
    "  same(ok, nil) same(why, 'timeout')\n"
    "end)\n"
    "test('lose', function()\n"
    "  local p = assert(io.popen('exec sleep 1000', 'w'))\n"
    "  fill_up(p)\n"
    "  p:write('held back')\n"
    "  p = nil\n"
    "  collectgarbage()\n"
    "end)\n"
    "test('write', function()\n"
    "  local r = assert(httpd.open(DIR .. 'fifo'))\n"
    "  local w = assert(httpd.open(DIR .. 'fifo', 'w'))\n"
    "  fill_up(w)\n"
    "  w:write('held back')\n"
    "  local n, why = httpd.write(w, 'more', 0.01)\n"
    "  same(n, nil) same(why, 'timeout')\n"
    "  local m = 0\n"
    "  while true do\n"
    "    local s, why = httpd.read(r, 4096, 0)\n"
    "    if why then break end\n"
    "    m = m + #s\n"
    "  end\n"
    "  same(httpd.write(w, 'last'), 4)\n"
    "  w:write(' words')\n"
    "  same(w:close(), true)\n"
    "  local rest = httpd.read(r, 'a')\n"
    "  assert(rest:find('xheld backlast words$') or\n"
    "         rest == 'held backlast words', rest)\n"
    "  r:close()\n"
    "end)\n"
    "test('arrives', function()\n"
    "  local p = assert(io.popen('sleep 0.1; cat > ' .. DIR .. 'in', 'w'))\n"
    "  p:write('first ')\n"
    "  same(httpd.write(p, big), #big)\n"
    "  p:write('last')\n"
    "  same(httpd.close(p), true)\n"
    "  same(contents('in'), 'first ' .. big .. 'last')\n"
    "end)\n"
    "test('broken', function()\n"
    "  local p = assert(io.popen('exec sleep 0.05', 'w'))\n"
    "  p:write('nobody reads this')\n"
    "  same(httpd.close(p), true)\n"
    "end)\n";

static void full_pipes_hold_up_nobody(void **state)
{
    static const char *const names[] = {"/close", "/lose", "/write", "/arrives",
                                        "/broken"};
    struct test_live live;

    (void)state;
    mkfifo(test_live_path("fifo"), 0600);
    test_live_start(&live, 1, full_pipes);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        test_live_expect(&live, names[i], "ok");
    test_live_stop(&live);
}

/* --- errors ----------------------------------------------------------------
 */

/* Wrapped functions name the script's line and what the script has called. */
static const char wrong[] =
    "test('errors', function()\n"
    "  fill('e', 'text')\n"
    "  local f = assert(io.open(DIR .. 'e'))\n"
    "  httpd.read(f, 1)\n"
    "  local closed = assert(io.open(DIR .. 'e'))\n"
    "  closed:close()\n"
    "  local wrong = {\n"
    "    {\"#1 to 'read'\", function() local x = f:read('?') end},\n"
    "    {\"#1 to 'write'\", function() f:write({}) end},\n"
    "    {\"#1 to 'seek'\", function() f:seek('nowhere') end},\n"
    "    {\"#1 to 'setvbuf'\", function() f:setvbuf('x') end},\n"
    "    {\"#1 to 'read'\", function() local x = io.read('?') end},\n"
    "    {\"#1 to 'write'\", function() io.write({}) end},\n"
    "    {\"#1 to 'open'\", function() io.open({}) end},\n"
    "    {'closed file', function() closed:read() end},\n"
    "    {'closed file', function() closed:close() end},\n"
    "    {'is closed', function() httpd.read(closed) end},\n"
    "    {\"#2 to 'httpd.open'\", function() httpd.open('x', {}) end},\n"
    "    {\"#2 to 'httpd.close'\", function() httpd.close(f, {}) end},\n"
    "    {\"#3 to 'httpd.sendfile'\",\n"
    "     function() httpd.sendfile('x', 1, -1) end},\n"
    "    {\"'read' on bad self\", function() f.read(5) end},\n"
    "    {\"#1 to 'close'\", function() io.close(5) end},\n"
    "  }\n"
    "  for i, case in ipairs(wrong) do\n"
    "    local ok, why = pcall(case[2])\n"
    "    local line = debug.getinfo(case[2], 'S').linedefined\n"
    "    assert(not ok)\n"
    "    assert(why:find('test.lua:' .. line .. ': ', 1, true) == 1 and\n"
    "           why:find(case[1], 1, true), i .. ' ' .. why)\n"
    "  end\n"
    "  f:close()\n"
    "end)\n";

static void errors_name_the_script(void **state)
{
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, wrong);
    test_live_expect(&live, "/errors", "ok");
    test_live_stop(&live);
}

/* --- a stop ----------------------------------------------------------------
 */

static const char told[] =
    "running = 0\n"
    "test('running', function() return tostring(running) end)\n"
    "local function count(wait)\n"
    "  running = running + 1\n"
    "  local seen = {timeout = 0, stopping = 0}\n"
    "  repeat\n"
    "    local _, why = wait()\n"
    "    seen[why] = seen[why] + 1\n"
    "  until seen.stopping > 0\n"
    "  for i = 1, 5 do\n"
    "    local _, why = wait()\n"
    "    seen[why] = seen[why] + 1\n"
    "  end\n"
    "  assert(seen.timeout >= 5)\n"
    "  return 'stopping ' .. seen.stopping\n"
    "end\n"
    "test('read', function()\n"
    "  local p = assert(io.popen('exec sleep 1000'))\n"
    "  return count(function() return httpd.read(p, 1, 0.01) end)\n"
    "end)\n"
    "test('close', function()\n"
    "  local p = assert(io.popen('exec sleep 1000', 'w'))\n"
    "  return count(function() return httpd.close(p, 0.01) end)\n"
    "end)\n";

static int two_run(void *arg)
{
    return strcmp(test_live_get(arg, "/running"), "2") == 0;
}

/* Whoever waits in a loop would not wait any more, up to the end. */
static void a_stop_is_told_once(void **state)
{
    struct test_live live;
    char answer[512];
    int fds[2];

    (void)state;
    test_live_start(&live, 1, told);
    fds[0] = test_live_ask(&live, "/read");
    fds[1] = test_live_ask(&live, "/close");
    test_live_until(two_run, &live);
    lhttpd_server_shutdown(live.server, 60000);
    for (int i = 0; i < 2; i++) {
        test_client_read_all(fds[i], answer, sizeof(answer));
        close(fds[i]);
        assert_non_null(strstr(answer, "\r\n\r\nstopping 1"));
    }
    test_live_stop(&live);
}

/* --- many, and clients that leave ----------------------------------------- */

static const char crowd[] =
    "written, running = 0, 0\n"
    "test('written', function() return tostring(written) end)\n"
    "test('running', function() return tostring(running) end)\n"
    "test('read', function(env)\n"
    "  local f, n = assert(httpd.open(DIR .. 'data')), 0\n"
    "  while true do\n"
    "    local s = httpd.read(f, 7000)\n"
    "    if not s then break end\n"
    "    n = n + #s\n"
    "  end\n"
    "  f:close()\n"
    "  return tostring(n)\n"
    "end)\n"
    "test('send', function()\n"
    "  running = running + 1\n"
    "  httpd.sendfile(DIR .. 'data')\n"
    "  running = running - 1\n"
    "  return ''\n"
    "end)\n"
    "test('write', function(env)\n"
    "  running = running + 1\n"
    "  local name = DIR .. 'out' .. running\n"
    "  local f, n = assert(httpd.open(name, 'w')), 0\n"
    "  for i = 1, 20 do\n"
    "    n = n + httpd.write(f, string.rep('x', 50000))\n"
    "    httpd.sync(f)\n"
    "  end\n"
    "  f:close()\n"
    "  os.remove(name)\n"
    "  written = written + n\n"
    "  running = running - 1\n"
    "  return tostring(n)\n"
    "end)\n";

#define CROWD 500

static void five_hundred_at_once(void **state)
{
    struct test_live live;
    char answer[512];
    int fds[CROWD];

    (void)state;
    fill_data(100000);
    test_live_start(&live, 1, crowd);
    for (int i = 0; i < CROWD; i++)
        fds[i] = test_live_ask(&live, "/read");
    for (int i = 0; i < CROWD; i++) {
        test_client_read_all(fds[i], answer, sizeof(answer));
        close(fds[i]);
        assert_non_null(strstr(answer, "\r\n\r\n100000"));
    }
    test_live_stop(&live);
}

static struct test_live *of;

static int all_written(void *arg)
{
    (void)arg;
    return strcmp(test_live_get(of, "/written"), "20000000") == 0;
}

static int none_running(void *arg)
{
    (void)arg;
    return strcmp(test_live_get(of, "/running"), "0") == 0;
}

static void reset(int fd)
{
    struct linger at_once = {1, 0};

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
}

static void writes_go_on_when_clients_leave(void **state)
{
    struct test_live live;
    int fds[20];

    (void)state;
    fill_data(3000000);
    test_live_start(&live, 1, crowd);
    of = &live;
    for (int i = 0; i < 20; i++)
        fds[i] = test_live_ask(&live, "/write");
    test_live_get(&live, "/running");
    for (int i = 0; i < 20; i++)
        reset(fds[i]);
    test_live_until(all_written, NULL);
    for (int i = 0; i < 20; i++)
        fds[i] = test_live_ask(&live, "/send");
    test_live_get(&live, "/running");
    for (int i = 0; i < 20; i++)
        reset(fds[i]);
    test_live_until(none_running, NULL);
    test_live_stop(&live);
}

static void a_cut_waits_for_the_kernel(void **state)
{
    static const char *const paths[] = {"/write", "/send", "/read"};
    struct test_live live;
    int fds[30];

    (void)state;
    fill_data(3000000);
    for (unsigned grace_ms = 0; grace_ms < 12; grace_ms += 3) {
        test_live_start(&live, 2, crowd);
        for (int i = 0; i < 30; i++)
            fds[i] = test_live_ask(&live, paths[i % 3]);
        test_live_get(&live, "/running");
        lhttpd_server_stop(live.server, grace_ms);
        for (int i = 0; i < 30; i++)
            close(fds[i]);
        lhttpd_server_destroy(live.server);
        assert_int_equal(test_live_fds(), live.fds);
    }
}

/* --- time-outs ------------------------------------------------------------ */

static const char hasty[] =
    "late = 0\n"
    "local s = string.rep('0123456789', 200000)\n"
    "test('late', function() assert(late > 0) end)\n"
    "test('write', function()\n"
    "  local f = assert(io.open(DIR .. 'hasty', 'w'))\n"
    "  local n, why = httpd.write(f, s, 0)\n"
    "  if n then\n"
    "    f:close()\n"
    "  else\n"
    "    same(why, 'timeout')\n"
    "    late = late + 1\n"
    "    f:seek('set', 0)\n"
    "  end\n"
    "end)\n"
    "test('waits', function()\n"
    "  local f = assert(io.open(DIR .. 'hasty', 'w'))\n"
    "  httpd.write(f, s, 0)\n"
    "  httpd.sleep(0.5)\n"
    "  f:write('end')\n"
    "  f:close()\n"
    "  assert(#contents('hasty') >= 1000003)\n"
    "end)\n"
    "test('read', function()\n"
    "  fill('hasty', s)\n"
    "  local f, got = assert(io.open(DIR .. 'hasty')), {}\n"
    "  httpd.read(f, 3, 0)\n"
    "  f:seek('set', 0)\n"
    "  repeat\n"
    "    local part, why = httpd.read(f, 300000, 0)\n"
    "    if part then got[#got + 1] = part end\n"
    "  until not part and not why\n"
    "  same(table.concat(got), s)\n"
    "  f:close()\n"
    "end)\n"
    "test('open', function()\n"
    "  for i = 1, 20 do\n"
    "    local f, why = httpd.open(DIR .. 'hasty', 'r', 0)\n"
    "    if f then f:close() else same(why, 'timeout') end\n"
    "    httpd.sendfile(DIR .. 'hasty', 0, 0, 0)\n"
    "  end\n"
    "end)\n"
    "test('sync', function()\n"
    "  local f = assert(io.open(DIR .. 'hasty', 'r+'))\n"
    "  local ok, why = httpd.sync(f, 0)\n"
    "  assert(ok or why == 'timeout')\n"
    "end)\n";

/* Whether an operation or its time-out is first is not known. */
static void time_runs_out(void **state)
{
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, hasty);
    for (int i = 0; i < 20; i++) {
        test_live_expect(&live, "/write", "ok");
        test_live_expect(&live, "/read", "ok");
        test_live_expect(&live, "/open", "ok");
        test_live_expect(&live, "/sync", "ok");
    }
    test_live_expect(&live, "/waits", "ok");
    test_live_expect(&live, "/late", "ok");
    test_live_stop(&live);
}

/* --- a full disk ---------------------------------------------------------- */

static const char full[] =
    "test('full', function()\n"
    "  local f = assert(httpd.open(DIR .. 'small/file', 'w'))\n"
    "  local n, why, code = 0\n"
    "  repeat\n"
    "    local moved\n"
    "    moved, why, code = httpd.write(f, string.rep('x', 100000))\n"
    "    n = n + (moved or 0)\n"
    "  until not moved\n"
    "  f:close()\n"
    "  assert(n >= 400000)\n"
    "  return why .. ' ' .. code\n"
    "end)\n";

static void a_full_disk(void **state)
{
    struct test_live live;
    char path[256];

    (void)state;
    snprintf(path, sizeof(path), "%s", test_live_path("small"));
    mkdir(path, 0700);
    if (!test_mount(path, 512)) {
        rmdir(path);
        skip();
    }
    test_live_start(&live, 1, full);
    test_live_expect(&live, "/full", "No space left on device 28");
    test_live_stop(&live);
    test_unmount(path);
    rmdir(path);
}

/* --- no memory ------------------------------------------------------------ */

static const char frugal[] =
    "test('all', function()\n"
    "  local f = assert(httpd.open(DIR .. 'scarce', 'w+'))\n"
    "  httpd.write(f, string.rep('x', 200000))\n"
    "  httpd.sync(f)\n"
    "  f:seek('set', 0)\n"
    "  httpd.read(f, 'l')\n"
    "  httpd.sendfile(f)\n"
    "  f:close()\n"
    "  local p = httpd.popen{'echo', 'hello'}\n"
    "  if p then httpd.read(p, 'a') httpd.close(p) end\n"
    "  return ''\n"
    "end)\n"
    "test('sync', function() httpd.sync(assert(httpd.open(DIR))) end)\n"
    "test('kernel', function()\n"
    "  httpd.read(io.open('/proc/kmsg'), 16777216)\n"
    "end)\n"
    "test('hello', function() return 'hello' end)\n";

/* Every allocation of ours fails once while the request is served. */
static void no_memory(void **state)
{
    struct test_live live;
    unsigned long n = 0;

    (void)state;
    test_heap_install();
    test_live_start(&live, 1, frugal);
    do {
        test_heap_fail_at(++n);
        test_live_get(&live, "/all");
        unsigned long used = test_heap_count();
        test_heap_fail_at(0);
        test_live_expect(&live, "/hello", "hello");
        if (used < n)
            break;
    } while (n < 1000);
    assert_in_range(n, 10, 999);
    test_live_stop(&live);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

/* Nothing else wakes the worker. */
static void a_kernel_without_memory_is_asked_again(void **state)
{
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, frugal);
    test_uring_refuse(3);
    test_live_expect(&live, "/sync", "ok");
    test_live_stop(&live);
}

/* In a process of its own, since a thread stays behind. */
static int stop_amid_an_operation(void *limit)
{
    struct test_live live;

    test_live_start(&live, 1, frugal);
    test_live_ask(&live, "/kernel");
    test_live_expect(&live, "/hello", "hello");
    int r = lhttpd_server_set(live.server, "handler_run_ms", limit);
    if (r == 0)
        r = lhttpd_server_stop(live.server, 0);
    int named = strstr(lhttpd_server_error(live.server), "file operation") != 0;
    lhttpd_server_destroy(live.server);
    return r != LHTTPD_ESTUCK ? 2 : !named ? 3 : 0;
}

/* The kernel's messages are a regular file that makes its readers wait. */
static void a_stop_does_not_wait_for_ever(void **state)
{
    int fd = open("/proc/kmsg", O_RDONLY | O_NONBLOCK);
    char text[8192], some[] = "5000", any[] = "unlimited";

    (void)state;
    if (fd < 0 || (read(fd, text, sizeof(text)) < 0 && errno != EAGAIN))
        skip();
    close(fd);
    test_live_dir(); /* which is ours to remove */
    assert_int_equal(test_forked(stop_amid_an_operation, some), 0);
    assert_int_equal(test_forked(stop_amid_an_operation, any), 0);
}

static int by_uring(void **state)
{
    (void)state;
    setenv("LHTTPD_AIO", "uring", 1);
    return 0;
}

static int by_threads(void **state)
{
    (void)state;
    setenv("LHTTPD_AIO", "threads", 1);
    return 0;
}

/* A group's test cannot be skipped before it has begun, so that they are left
 * out. */
static int run_by_uring(const struct CMUnitTest *tests, size_t n,
                        const char *name)
{
    if (test_uring_is_there())
        return _cmocka_run_group_tests(name, tests, n, by_uring,
                                       test_live_clean_up);
    print_message("%s: skipped, this system refuses io_uring\n", name);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),
        cmocka_unit_test(odd_files),
        cmocka_unit_test(opens_and_sends),
        cmocka_unit_test(no_body_no_reading),
        cmocka_unit_test(finalized_files_are_dead),
        cmocka_unit_test(failures_leave_no_descriptor),
        cmocka_unit_test(a_stop_is_told_once),
        cmocka_unit_test(errors_name_the_script),
        cmocka_unit_test(full_pipes_hold_up_nobody),
        cmocka_unit_test(a_slow_client_is_given_up),
        cmocka_unit_test(five_hundred_at_once),
        cmocka_unit_test(writes_go_on_when_clients_leave),
        cmocka_unit_test(a_cut_waits_for_the_kernel),
        cmocka_unit_test(time_runs_out),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(a_kernel_without_memory_is_asked_again),
    };
    const struct CMUnitTest slow[] = {
        cmocka_unit_test(a_stop_does_not_wait_for_ever),
    };
    int failed = run_by_uring(tests, sizeof(tests) / sizeof(tests[0]),
                              "files by io_uring");

    failed += run_by_uring(slow, sizeof(slow) / sizeof(slow[0]),
                           "files that never come");
    return failed + cmocka_run_group_tests_name("files by threads", tests,
                                                by_threads, test_live_clean_up);
}
