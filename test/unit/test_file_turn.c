/* Handlers of one worker that use the same file, in a whole server. */
#include "lib/client.h"
#include "lib/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HANDLERS 40

static const char lines[] =
    "local shared, n = assert(io.open(DIR .. 'shared', 'w')), 0\n"
    "local function letter(k) return string.char(97 + k % 26) end\n"
    "test('line', function()\n"
    "  local s = letter(n):rep(70000) .. '\\n'\n"
    "  n = n + 1\n"
    "  same(httpd.write(shared, s), #s)\n"
    "  same(shared:write('.\\n') and 1, 1)\n"
    "end)\n"
    "test('whole', function()\n"
    "  httpd.sync(shared)\n"
    "  shared:flush()\n"
    "  local whole, dots = 0, 0\n"
    "  for l in io.lines(DIR .. 'shared') do\n"
    "    if l == '.' then\n"
    "      dots = dots + 1\n"
    "    else\n"
    "      same(l, letter(whole):rep(70000))\n"
    "      whole = whole + 1\n"
    "    end\n"
    "  end\n"
    "  same(whole, n) same(dots, n)\n"
    "end)\n";

/* Whatever they do with it: all get their turn, in the order of their calls. */
static void all_write_whole_lines(void **state)
{
    struct test_live live;
    char answer[1024];
    int fds[HANDLERS];

    (void)state;
    test_live_start(&live, 1, lines);
    for (int i = 0; i < HANDLERS; i++)
        fds[i] = test_live_ask(&live, "/line");
    for (int i = 0; i < HANDLERS; i++) {
        test_client_read_all(fds[i], answer, sizeof(answer));
        close(fds[i]);
        assert_non_null(strstr(answer, "\r\n\r\nok"));
    }
    test_live_expect(&live, "/whole", "ok");
    test_live_stop(&live);
}

/* /hold fills a pipe, and has it until /empty reads. */
static const char held[] =
    "local pipe, waiting = assert(io.open(DIR .. 'pipe', 'r+')), 0\n"
    "local function waited(a, b)\n"
    "  waiting = waiting - 1\n"
    "  return tostring(a) .. ' ' .. tostring(b)\n"
    "end\n"
    "local function wait(f, ...)\n"
    "  waiting = waiting + 1\n"
    "  return waited(f(...))\n"
    "end\n"
    "test('waiting', function() return tostring(waiting) end)\n"
    "test('hold', function()\n"
    "  return wait(httpd.write, pipe, string.rep('x', 300000))\n"
    "end)\n"
    "test('write', function() return wait(httpd.write, pipe, 'later') end)\n"
    "test('timed', function()\n"
    "  return wait(httpd.write, pipe, 'never', 0.05)\n"
    "end)\n"
    "test('timed_close', function()\n"
    "  return wait(httpd.close, pipe, 0.05)\n"
    "end)\n"
    "local function has_its_time(open)\n"
    "  return function()\n"
    "    local _, why = httpd.write(pipe, 'never', 0.01)\n"
    "    same(why, 'timeout')\n"
    "    local files = {}\n"
    "    for i = 1, 100 do\n"
    "      files[i], why = open(DIR .. 'new' .. i, 'w')\n"
    "      same(why, nil)\n"
    "      same(select(2, httpd.write(files[i], ('x'):rep(70000))), nil)\n"
    "    end\n"
    "    for i = 1, 100 do files[i]:close() end\n"
    "  end\n"
    "end\n"
    "test('open', has_its_time(httpd.open))\n"
    "test('io_open', has_its_time(io.open))\n"
    "test('drain', function()\n"
    "  local f = assert(io.open(DIR .. 'pipe'))\n"
    "  same(#httpd.read(f, 300000), 300000)\n"
    "  f:close()\n"
    "end)\n"
    "test('stoppable', function()\n"
    "  return wait(httpd.write, pipe, 'never', 1000)\n"
    "end)\n"
    "test('read', function() return wait(httpd.read, pipe, 1) end)\n"
    "test('buffered', function()\n"
    "  return wait(function()\n"
    "    return pipe:write('b') and 'buffered'\n"
    "  end)\n"
    "end)\n"
    "test('flushed', function()\n"
    "  return wait(function()\n"
    "    pipe:write('b')\n"
    "    return pipe:flush() and 'flushed'\n"
    "  end)\n"
    "end)\n"
    "test('close', function()\n"
    "  return wait(function()\n"
    "    return pipe:close() and 'shut'\n"
    "  end)\n"
    "end)\n"
    "test('nowait', function()\n"
    "  if _VERSION ~= 'Lua 5.1' or jit then return 'cannot suspend' end\n"
    "  local t = setmetatable({}, {__index = function()\n"
    "    return pipe:write('x')\n"
    "  end})\n"
    "  return select(2, pcall(function() return t.x end))\n"
    "end)\n"
    "test('collect', function()\n"
    "  return select(2, pcall(getmetatable(pipe).__gc, pipe))\n"
    "end)\n"
    "test('empty', function()\n"
    "  local f = assert(io.open(DIR .. 'pipe'))\n"
    "  same(httpd.read(f, 300006):sub(-7), 'xlaterb')\n"
    "  f:close()\n"
    "end)\n";

struct waiting {
    struct test_live *live;
    const char *count;
};

static int that_many_wait(void *arg)
{
    const struct waiting *w = arg;

    return strcmp(test_live_get(w->live, "/waiting"), w->count) == 0;
}

static void until_waiting(struct test_live *live, const char *count)
{
    struct waiting w = {live, count};

    test_live_until(that_many_wait, &w);
}

static int ask_and_wait(struct test_live *live, const char *path,
                        const char *count)
{
    int fd = test_live_ask(live, path);

    until_waiting(live, count);
    return fd;
}

static void expect_answer(int fd, const char *text)
{
    char answer[1024];

    test_client_read_all(fd, answer, sizeof(answer));
    close(fd);
    if (!strstr(answer, text))
        print_error("%s\n", answer);
    assert_non_null(strstr(answer, text));
}

static void hold(struct test_live *live, int *fd)
{
    mkfifo(test_live_path("pipe"), 0600);
    test_live_start(live, 1, held);
    *fd = ask_and_wait(live, "/hold", "1");
}

static void the_order_of_calls(void **state)
{
    struct test_live live;
    int fds[5];

    (void)state;
    hold(&live, &fds[0]);
    fds[1] = ask_and_wait(&live, "/write", "2");
    test_live_expect(&live, "/timed", "nil timeout");
    test_live_expect(&live, "/timed_close", "nil timeout");
    fds[2] = ask_and_wait(&live, "/buffered", "3");
    fds[3] = ask_and_wait(&live, "/close", "4");
    fds[4] = ask_and_wait(&live, "/write", "5");
    test_live_expect(&live, "/empty", "ok");
    expect_answer(fds[0], "\r\n\r\n300000 nil");
    expect_answer(fds[1], "\r\n\r\n5 nil");
    expect_answer(fds[2], "\r\n\r\nbuffered");
    expect_answer(fds[3], "\r\n\r\nshut");
    expect_answer(fds[4], "500 Internal Server Error");
    assert_non_null(strstr(test_live_log(), "httpd.write: the file is closed"));
    test_live_stop(&live);
}

/* What a call has waited for its turn is no other call's time. */
static void another_file_has_its_own_time(void **state)
{
    struct test_live live;
    int fd;

    (void)state;
    hold(&live, &fd);
    test_live_expect(&live, "/open", "ok");
    test_live_expect(&live, "/io_open", "ok");
    test_live_expect(&live, "/drain", "ok");
    expect_answer(fd, "\r\n\r\n300000 nil");
    test_live_stop(&live);
}

/* A reader of a pipe ends with its client, a writer does not. */
static void clients_leave(void **state)
{
    struct test_live live;
    const struct linger at_once = {1, 0};
    int fds[4];

    (void)state;
    hold(&live, &fds[0]);
    fds[1] = ask_and_wait(&live, "/write", "2");
    fds[2] = ask_and_wait(&live, "/read", "3");
    for (int i = 1; i < 3; i++) {
        setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(fds[i]);
    }
    until_waiting(&live, "2");
    fds[3] = ask_and_wait(&live, "/flushed", "3");
    test_live_expect(&live, "/empty", "ok");
    expect_answer(fds[0], "\r\n\r\n300000 nil");
    expect_answer(fds[3], "\r\n\r\nflushed");
    test_live_stop(&live);
}

static void a_stop(void **state)
{
    struct test_live live;
    int fds[3];

    (void)state;
    hold(&live, &fds[0]);
    fds[1] = ask_and_wait(&live, "/write", "2");
    fds[2] = ask_and_wait(&live, "/stoppable", "3");
    assert_int_equal(lhttpd_server_stop(live.server, 300), LHTTPD_ECUT);
    expect_answer(fds[2], "\r\n\r\nnil stopping");
    close(fds[0]);
    close(fds[1]);
    lhttpd_server_destroy(live.server);
    assert_int_equal(test_live_fds(), live.fds);
}

/* On 5.1 nothing waits behind a metamethod, and nowhere what is there for the
 * collector. */
static void where_nothing_can_wait(void **state)
{
    struct test_live live;
    int fds[2];

    (void)state;
    hold(&live, &fds[0]);
    const char *why = test_live_get(&live, "/nowait");
    if (!strstr(why, "cannot suspend"))
        print_error("%s\n", why);
    assert_non_null(strstr(why, "cannot suspend"));
    assert_non_null(strstr(test_live_get(&live, "/collect"),
                           "an operation on the file is under way"));
    fds[1] = ask_and_wait(&live, "/write", "2");
    int fd = ask_and_wait(&live, "/flushed", "3");
    test_live_expect(&live, "/empty", "ok");
    expect_answer(fds[0], "\r\n\r\n300000 nil");
    expect_answer(fds[1], "\r\n\r\n5 nil");
    expect_answer(fd, "\r\n\r\nflushed");
    test_live_stop(&live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_write_whole_lines),
        cmocka_unit_test(the_order_of_calls),
        cmocka_unit_test(another_file_has_its_own_time),
        cmocka_unit_test(clients_leave),
        cmocka_unit_test(a_stop),
        cmocka_unit_test(where_nothing_can_wait),
    };

    return cmocka_run_group_tests(tests, NULL, test_live_clean_up);
}
