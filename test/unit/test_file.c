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
#include "lib/live.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
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
    for (int i = 0; names[i]; i++)
        test_live_expect(&live, names[i], "ok");
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
    for (int i = 0; names[i]; i++)
        test_live_expect(&live, names[i], "ok");
    test_live_get(&live, "/closed");
    assert_non_null(strstr(test_live_log(), "httpd.read: the file is closed"));
    test_live_get(&live, "/wrong");
    assert_non_null(strstr(test_live_log(), "file or nil expected"));
    test_live_stop(&live);
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

static int clean_up(void **state)
{
    (void)state;
    test_live_remove_dir();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes),
        cmocka_unit_test(odd_files),
    };
    int failed = cmocka_run_group_tests_name("files by io_uring", tests,
                                             by_uring, clean_up);

    return failed + cmocka_run_group_tests_name("files by threads", tests,
                                                by_threads, clean_up);
}
