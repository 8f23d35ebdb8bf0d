/*
 * Pipes and child processes of scripts, in a whole server: httpd.read and
 * write on them, io.popen, httpd.popen, httpd.close.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/emulated.h"
#include "lib/client.h"
#include "lib/deny.h"
#include "lib/live.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static int no_children(void *arg)
{
    (void)arg;
    return test_live_children() == 0;
}

/* --- io.popen ------------------------------------------------------------- */

static const char shell[] =
    "local function ends(f, ok, kind, code)\n"
    "  local a, b, c = f:close()\n"
    "  same(a, ok) same(b, kind) same(c, code)\n"
    "end\n"
    "local loaded = io.popen('echo at load; exit 3')\n"
    "same(loaded:read('*l'), 'at load')\n"
    "ends(loaded, nil, 'exit', 3)\n"
    "test('read', function()\n"
    "  local p = assert(io.popen('echo one; echo two; printf rest'))\n"
    "  same(httpd.read(p, 'l'), 'one')\n"
    "  same(httpd.read(p, 2), 'tw')\n"
    "  same(httpd.read(p, 'L'), 'o\\n')\n"
    "  same(httpd.read(p, 'a'), 'rest')\n"
    "  same(httpd.read(p, 1), nil)\n"
    "  ends(p, true, 'exit', 0)\n"
    "end)\n"
    "test('mixed', function()\n"
    "  local p = io.popen('echo one; echo two; echo three; echo four')\n"
    "  same(p:read('*l'), 'one')\n"
    "  same(httpd.read(p, 'l'), 'two')\n"
    "  same(p:read(3), 'thr')\n"
    "  same(httpd.read(p, 2), 'ee')\n"
    "  same(p:read('*l'), '')\n"
    "  same(p:read('*a'), 'four\\n')\n"
    "  same(httpd.read(p), nil)\n"
    "  ends(p, true, 'exit', 0)\n"
    "end)\n"
    "test('status', function()\n"
    "  ends(io.popen('exit 7'), nil, 'exit', 7)\n"
    "  ends(io.popen('kill -9 $$'), nil, 'signal', 9)\n"
    "  ends(io.popen('sleep 0.1', 'w'), true, 'exit', 0)\n"
    "  ends(io.popen('/no/such/program 2>&-'), nil, 'exit', 127)\n"
    "end)\n"
    "test('write', function()\n"
    "  local p = io.popen('sleep 0.1; cat > ' .. DIR .. 'copy', 'w')\n"
    "  local s = string.rep('0123456789', 30000)\n"
    "  same(httpd.write(p, s), #s)\n"
    "  p:write('by io')\n"
    "  same(httpd.write(p, 'end'), 3)\n"
    "  ends(p, true, 'exit', 0)\n"
    "  same(contents('copy'), s .. 'by ioend')\n"
    "end)\n"
    "test('wrong', function()\n"
    "  local p, none, why, code = io.popen('true', 'w')\n"
    "  none, why, code = httpd.read(p, 1)\n"
    "  same(none, nil) same(why, 'Bad file descriptor') same(code, 9)\n"
    "  httpd.sleep(0.05)\n"
    "  while why ~= 'closed' do\n"
    "    none, why, code = httpd.write(p, 'nobody reads')\n"
    "  end\n"
    "  same(none, nil) same(code, 32)\n"
    "  ends(p, true, 'exit', 0)\n"
    "end)\n"
    "test('times', function()\n"
    "  local p = io.popen('printf ab; sleep 0.3; echo c')\n"
    "  local none, why = httpd.read(p, 'l', 0.1)\n"
    "  same(none, nil) same(why, 'timeout')\n"
    "  same(httpd.read(p, 'l'), 'abc')\n"
    "  ends(p, true, 'exit', 0)\n"
    "  p = io.popen('sleep 0.3')\n"
    "  none, why = httpd.close(p, 0.05)\n"
    "  same(none, nil) same(why, 'timeout')\n"
    "  same(httpd.close(p), true)\n"
    "end)\n"
    "test('closed', function()\n"
    "  local p = io.popen('true')\n"
    "  p:close()\n"
    "  p:close()\n"
    "end)\n"
    "test('scoped', function()\n"
    "  if _VERSION ~= 'Lua 5.4' then return end\n"
    "  local function scope(code, ...)\n"
    "    local f = assert(load('local f <close> = ... ' .. code))\n"
    "    return f(...), ...\n"
    "  end\n"
    "  local copy = 'sleep 0.1; cat > ' .. DIR .. 'copy'\n"
    "  local _, p = scope('httpd.write(f, [[abc]]) f:write([[de]])',\n"
    "                     io.popen(copy, 'w'))\n"
    "  same(io.type(p), 'closed file') same(contents('copy'), 'abcde')\n"
    "  scope('httpd.write(f, [[x]]) f:close()', io.popen(copy, 'w'))\n"
    "  local co = coroutine.create(function()\n"
    "    scope('httpd.write(f, [[y]]) coroutine.yield()', io.popen(copy, "
    "'w'))\n"
    "  end)\n"
    "  coroutine.resume(co)\n"
    "  same(coroutine.close(co), true)\n"
    "  for _ = 1, 3000 do\n"
    "    if contents('copy') == 'y' then break end\n"
    "    httpd.sleep(0.01)\n"
    "  end\n"
    "  same(contents('copy'), 'y')\n"
    "end)\n"
    "test('inner', function()\n"
    "  local lines = coroutine.wrap(function()\n"
    "    local p = io.popen('for i in 1 2 3; do echo $i; sleep 0.02; done')\n"
    "    for n in function() return httpd.read(p, 'l') end do\n"
    "      coroutine.yield(n)\n"
    "    end\n"
    "    ends(p, true, 'exit', 0)\n"
    "  end)\n"
    "  same(lines() .. lines() .. lines(), '123')\n"
    "  same(lines(), nil)\n"
    "end)\n";

static void processes_of_the_shell(void **state)
{
    static const char *const names[] = {"/read",  "/mixed", "/status", "/write",
                                        "/wrong", "/times", "/scoped", NULL};
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, shell);
    test_live_expect_all(&live, names);
    test_live_get(&live, "/closed");
    assert_non_null(strstr(test_live_log(), "closed file"));
    test_live_stop(&live);
}

/* 5.1 alone cannot suspend inside a "for" loop's iterator. */
static void processes_in_coroutines(void **state)
{
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, shell);
    const char *got = test_live_get(&live, "/inner");
    if (strcmp(got, "ok") != 0)
        assert_non_null(strstr(test_live_log(), "attempt to yield"));
    test_live_until(no_children, NULL);
    test_live_stop(&live);
}

/* --- httpd.popen ---------------------------------------------------------- */

static const char vectors[] =
    "local function run(argv, options)\n"
    "  local p = assert(httpd.popen(argv, options))\n"
    "  local text = httpd.read(p, 'a')\n"
    "  local ok, kind, code = httpd.close(p)\n"
    "  return text, ok, kind, code\n"
    "end\n"
    "test('argv', function()\n"
    "  local text, ok, kind, code = run{'printf', '%s|', 'a b', '$HOME', ''}\n"
    "  same(text, 'a b|$HOME||')\n"
    "  same(ok, true) same(kind, 'exit') same(code, 0)\n"
    "  same(select(4, run{'sh', '-c', 'exit 5'}), 5)\n"
    "end)\n"
    "test('options', function()\n"
    "  same(run({'sh', '-c', 'echo $A,$HOME'}, {env = {A = 'x'}}), 'x,\\n')\n"
    "  same(run({'pwd'}, {directory = '/usr'}), '/usr\\n')\n"
    "  local s = string.rep('text', 100000)\n"
    "  same(run({'cat'}, {stdin = s}), s)\n"
    "  same(run({'cat'}), '')\n"
    "  same(run({'sh', '-c', 'echo out; echo err >&2'},\n"
    "           {stderr = 'stdout'}), 'out\\nerr\\n')\n"
    "  local f = assert(io.open('/dev/null'))\n"
    "  same(run({'sh', '-c', 'ls /proc/self/fd | wc -l'}), '4\\n')\n"
    "  f:close()\n"
    "end)\n"
    "test('input', function()\n"
    "  local p = httpd.popen({'sh', '-c', 'cat > ' .. DIR .. 'in'},\n"
    "                        {mode = 'w'})\n"
    "  same(httpd.write(p, 'hello'), 5)\n"
    "  same(httpd.close(p), true)\n"
    "  same(contents('in'), 'hello')\n"
    "end)\n"
    "test('missing', function()\n"
    "  local p, why, code = httpd.popen{'/no/such/program'}\n"
    "  same(p, nil) same(code, 2)\n"
    "  same(why, '/no/such/program: No such file or directory')\n"
    "  p, why, code = httpd.popen({'true'}, {directory = '/no/such/place'})\n"
    "  same(p, nil) same(code, 2)\n"
    "  same(why, 'directory /no/such/place: No such file or directory')\n"
    "end)\n"
    "test('bound', function()\n"
    "  kept = httpd.popen{'sleep', '1000'}\n"
    "end)\n"
    "test('detached', function()\n"
    "  httpd.popen({'sh', '-c', 'sleep 0.2; echo done > ' .. DIR .. 'd'},\n"
    "              {detach = true})\n"
    "end)\n"
    "test('detached_done', function()\n"
    "  while not io.open(DIR .. 'd') do httpd.sleep(0.05) end\n"
    "end)\n"
    "local function bad(name, ...)\n"
    "  local args = {...}\n"
    "  test(name, function() httpd.popen(args[1], args[2]) end)\n"
    "end\n"
    "bad('bad1', 'ls') bad('bad2', {}) bad('bad3', {'ls', 5})\n"
    "bad('bad4', {'ls\\0'}) bad('bad5', {'ls'}, 1)\n"
    "bad('bad6', {'ls'}, {mode = 'x'}) bad('bad7', {'ls'}, {stderr = 'x'})\n"
    "bad('bad8', {'ls'}, {stdin = 'x', mode = 'w'})\n"
    "bad('bad9', {'ls'}, {env = 5})\n";

static void argument_vectors(void **state)
{
    static const char *const names[] = {
        "/argv",  "/options",  "/input",         "/missing",
        "/bound", "/detached", "/detached_done", NULL};
    static const char *const bad[] = {"/bad1", "/bad2", "/bad3",
                                      "/bad4", "/bad5", "/bad6",
                                      "/bad7", "/bad8", "/bad9"};
    struct test_live live;

    (void)state;
    test_not_emulated("it forks, so that no error of exec comes back");
    test_live_start(&live, 1, vectors);
    test_live_expect_all(&live, names);
    test_live_until(no_children, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        test_live_get(&live, bad[i]);
        if (!strstr(test_live_log(), "httpd.popen"))
            fail_msg("%s: %s", bad[i], test_live_log());
    }
    test_live_stop(&live);
}

/* A script that empties its own tables while they are read. */
static const char emptied[] =
    "local function finalize(fn)\n"
    "  if newproxy then getmetatable(newproxy(true)).__gc = fn\n"
    "  else setmetatable({}, {__gc = fn}) end\n"
    "end\n"
    "local function arguments()\n"
    "  local t = {'printf', '%s'}\n"
    "  for i = 3, 200 do t[i] = 'argument number ' .. i .. DIR end\n"
    "  return t\n"
    "end\n"
    "local function empty(t)\n"
    "  for i = 1, 200 do t[i] = nil end\n"
    "  if not emptying then\n"
    "    emptying = true\n"
    "    collectgarbage() collectgarbage()\n"
    "    emptying = false\n"
    "  end\n"
    "end\n"
    "test('index', function()\n"
    "  local t = arguments()\n"
    "  local p = assert(httpd.popen(t, setmetatable({}, {\n"
    "    __index = function() empty(t) end})))\n"
    "  same(httpd.read(p, 'L'):sub(1, 17), 'argument number 3')\n"
    "  same(p:close(), true)\n"
    "end)\n"
    /* As it is at the last allocation: all or none of the arguments. */
    "test('finalizer', function()\n"
    "  for i = 1, 200 do\n"
    "    local t = arguments()\n"
    "    collectgarbage('setpause', 10)\n"
    "    collectgarbage('setstepmul', 400)\n"
    "    finalize(function() empty(t) end)\n"
    "    local ok, p = pcall(httpd.popen, t, {env = {A = '1', B = DIR}})\n"
    "    if ok then\n"
    "      local text = httpd.read(p, 'a')\n"
    "      same(text:sub(1, 17), 'argument number 3')\n"
    "      p:close()\n"
    "    end\n"
    "  end\n"
    "end)\n";

static void emptied_tables(void **state)
{
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, emptied);
    test_live_expect(&live, "/index", "ok");
    test_live_expect(&live, "/finalizer", "ok");
    test_live_stop(&live);
}

/* --- children that the program collects ----------------------------------- */

static const char unknown[] =
    "local function unknown(f)\n"
    "  local ok, why, code = f:close()\n"
    "  same(ok, nil) same(code, 10)\n"
    "  if not why:find('not known', 1, true) then error(why) end\n"
    "end\n"
    "unknown(io.popen('exit 0'))\n"
    "test('unknown', function()\n"
    "  unknown(io.popen('exit 3'))\n"
    "  unknown(io.popen('kill -9 $$'))\n"
    "  unknown(io.popen('exit 0', 'w'))\n"
    "  local p = httpd.popen{'sleep', '1000'}\n"
    "  local none, why = httpd.close(p, 0.05)\n"
    "  same(none, nil) same(why, 'timeout')\n"
    "end)\n";

static void an_end_that_others_saw_is_no_success(void **state)
{
    struct test_live live;

    (void)state;
    signal(SIGCHLD, SIG_IGN);
    test_live_start(&live, 1, unknown);
    test_live_expect(&live, "/unknown", "ok");
    test_live_until(no_children, NULL);
    test_live_stop(&live);
    signal(SIGCHLD, SIG_DFL);
}

/* --- what never comes ----------------------------------------------------- */

static const char quiet[] =
    "result = 'none'\n"
    "local function note(...)\n"
    "  local a, b = ...\n"
    "  result = tostring(a) .. ' ' .. tostring(b)\n"
    "end\n"
    "test('hello', function() return 'hello' end)\n"
    "test('result', function() return result end)\n"
    "test('fifo', function()\n"
    "  local f = assert(io.open(DIR .. 'fifo', 'r+'))\n"
    "  note('waits')\n"
    "  note(httpd.read(f))\n"
    "end)\n"
    "test('timed', function()\n"
    "  local f = assert(io.open(DIR .. 'fifo', 'r+'))\n"
    "  note('waits')\n"
    "  local a, b = httpd.read(f, 1, 1000)\n"
    "  local _, c = httpd.read(f, 1, 0.01)\n"
    "  local p = httpd.popen{'sleep', '1000'}\n"
    "  local _, d = httpd.close(p, 0.01)\n"
    "  return b .. ' ' .. c .. ' ' .. d\n"
    "end)\n"
    "test('tail', function()\n"
    "  local p = io.popen('exec tail -f /dev/null')\n"
    "  note('waits')\n"
    "  note(httpd.read(p))\n"
    "end)\n"
    "test('terminal', function()\n"
    "  local f = assert(io.open(terminal, 'r+'))\n"
    "  note('waits')\n"
    "  note(httpd.write(f, string.rep('x', 200000)))\n"
    "  f:write(string.rep('y', 200000))\n"
    "  f:close()\n"
    "end)\n"
    "test('stubborn', function()\n"
    "  local p = io.popen(\"trap '' TERM; while :; do sleep 1; done\")\n"
    "  note('waits')\n"
    "  note(httpd.read(p))\n"
    "end)\n"
    "test('group', function()\n"
    "  local p = io.popen(\"(trap '' TERM; exec 3>\" .. DIR .. \"alive;\" ..\n"
    "    \"echo up; exec sleep 100) & wait\")\n"
    "  note(httpd.read(p, 'l') == 'up' and 'waits')\n"
    "  note(httpd.read(p))\n"
    "end)\n"
    "test('close', function()\n"
    "  local p = io.popen('exec sleep 1000')\n"
    "  note('waits')\n"
    "  note(p:close())\n"
    "end)\n"
    "test('finalized', function()\n"
    "  local p, o = io.popen('exec sleep 1000')\n"
    "  local function close() p:close() end\n"
    "  if newproxy then\n"
    "    o = newproxy(true)\n"
    "    getmetatable(o).__gc = close\n"
    "  else\n"
    "    o = setmetatable({}, {__gc = close})\n"
    "  end\n"
    "end)\n"
    "test('lost', function() io.popen('exec sleep 1000') end)\n"
    "test('lost_input', function()\n"
    "  local p = io.popen('cat > ' .. DIR .. 'lost', 'w')\n"
    "  httpd.write(p, 'it arrives')\n"
    "end)\n"
    "test('fails', function()\n"
    "  local p = httpd.popen{'sleep', '1000'}\n"
    "  httpd.read(p, 'l', 0.05)\n"
    "  error('on purpose')\n"
    "end)\n"
    "test('kept', function()\n"
    "  kept = kept or io.popen('echo a; sleep 1000')\n"
    "  return httpd.read(kept, 'l')\n"
    "end)\n"
    "test('keeps', function()\n"
    "  note('waits')\n"
    "  httpd.read(kept, 'l')\n"
    "end)\n"
    "test('hurries', function()\n"
    "  local line, why = httpd.read(kept, 'l', 0.05)\n"
    "  local ok, late = httpd.close(kept, 0.05)\n"
    "  return tostring(line) .. why .. tostring(ok) .. late\n"
    "end)\n"
    "test('slow', function()\n"
    "  local p = io.popen('sleep 0.3; cat > ' .. DIR .. 'slow', 'w')\n"
    "  note('waits')\n"
    "  note(httpd.write(p, string.rep('x', 200000)))\n"
    "  p:close()\n"
    "end)\n";

static struct test_live *of;

static int waits(void *arg)
{
    (void)arg;
    return strncmp(test_live_get(of, "/result"), "waits", 5) == 0;
}

static int result_is(void *arg)
{
    return strcmp(test_live_get(of, "/result"), arg) == 0;
}

/* The client has asked, the handler waits, a neighbour is served. */
static void handler_waits(struct test_live *live)
{
    of = live;
    test_live_until(waits, NULL);
    test_live_expect(live, "/hello", "hello");
}

static void leave(struct test_live *live, const char *path, char *result)
{
    int fd = test_live_ask(live, path);

    handler_waits(live);
    /* HTTP/1.0 allows a half-close, so this must be a reset. */
    struct linger at_once = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    close(fd);
    test_live_until(result_is, result);
}

static void waits_end_with_the_client(void **state)
{
    struct test_live live;

    (void)state;
    assert_int_equal(mkfifo(test_live_path("fifo"), 0600), 0);
    test_live_start(&live, 1, quiet);
    leave(&live, "/fifo", "nil closed");
    leave(&live, "/tail", "nil closed");
    leave(&live, "/close", "nil closed");
    test_live_until(no_children, NULL);
    leave(&live, "/stubborn", "nil closed");
    test_live_until(no_children, NULL);
    leave(&live, "/slow", "200000 nil");
    test_live_stop(&live);
}

/* How many x are there before the last y. */
static size_t read_terminal(int fd)
{
    size_t x = 0, y = 0;
    char some[4096];

    while (y < 200000) {
        ssize_t n = read(fd, some, sizeof(some));
        assert_true(n > 0);
        for (ssize_t i = 0; i < n; i++) {
            x += some[i] == 'x';
            y += some[i] == 'y';
        }
    }
    return x;
}

/* A terminal that is ready takes fewer octets than a pipe. */
static void a_slow_terminal_holds_up_nobody(void **state)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    char source[sizeof(quiet) + 128], name[64];
    struct test_live live;
    struct termios raw;

    (void)state;
    if (master < 0 || grantpt(master) || unlockpt(master) ||
        ptsname_r(master, name, sizeof(name)))
        skip();
    int slave = open(name, O_RDWR | O_NOCTTY);
    assert_int_equal(tcgetattr(slave, &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
    snprintf(source, sizeof(source), "terminal = '%s'\n%s", name, quiet);
    test_live_start(&live, 1, source);
    of = &live;
    int fd = test_live_ask(&live, "/terminal");
    test_live_until(waits, NULL);
    for (int i = 0; i < 20; i++)
        test_live_expect(&live, "/hello", "hello");
    assert_int_equal(read_terminal(master), 200000);
    test_live_expect(&live, "/result", "200000 nil");
    close(fd);
    test_live_stop(&live);
    close(slave);
    close(master);
}

/* The end of what nobody writes to any more. */
static int has_no_writer(void *arg)
{
    char octet;

    return read(*(int *)arg, &octet, 1) == 0;
}

/* One of the group ignores SIGTERM, its leader does not. */
static void the_whole_group_ends(void **state)
{
    struct test_live live;

    (void)state;
    assert_int_equal(mkfifo(test_live_path("alive"), 0600), 0);
    int alive = open(test_live_path("alive"), O_RDONLY | O_NONBLOCK);
    test_live_start(&live, 1, quiet);
    leave(&live, "/group", "nil closed");
    test_live_until(has_no_writer, &alive);
    test_live_until(no_children, NULL);
    test_live_stop(&live);
    close(alive);
}

/* What the client has sent besides is not looked at, and it just closes. */
static void a_client_leaves_more_behind(void **state)
{
    static const char get[] = "GET /tail HTTP/1.1\r\nhost: x\r\n\r\n"
                              "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"
                              "GET /he";
    static const char post[] = "POST /tail HTTP/1.1\r\nhost: x\r\n"
                               "content-length: 120000\r\n\r\n";
    static char body[120001];
    struct test_live live;

    (void)state;
    memset(body, 'x', sizeof(body) - 1);
    test_live_start(&live, 1, quiet);
    for (int i = 0; i < 2; i++) {
        int fd = test_client_connect(live.port);
        test_client_send(fd, i ? post : get);
        if (i)
            test_client_send(fd, body);
        handler_waits(&live);
        close(fd);
        test_live_until(result_is, "nil closed");
    }
    test_live_until(no_children, NULL);
    test_live_stop(&live);
}

static void nobody_waits_for_children(void **state)
{
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, quiet);
    test_live_expect(&live, "/finalized", "ok");
    test_live_expect(&live, "/lost", "ok");
    test_live_expect(&live, "/lost_input", "ok");
    test_live_get(&live, "/fails");
    test_live_until(no_children, NULL);
    test_live_expect(&live, "/kept", "a");
    assert_int_equal(test_live_children(), 1);
    test_live_expect(&live, "/hello", "hello");
    test_live_stop(&live);
}

static void a_stop_ends_timed_waits(void **state)
{
    struct test_live live;
    char answer[1024];

    (void)state;
    test_live_start(&live, 1, quiet);
    of = &live;
    int fd = test_live_ask(&live, "/timed");
    test_live_until(waits, NULL);
    assert_int_equal(lhttpd_server_stop(live.server, 20000), 0);
    test_client_read_all(fd, answer, sizeof(answer));
    close(fd);
    assert_non_null(strstr(answer, "\r\n\r\nstopping timeout timeout"));
    lhttpd_server_destroy(live.server);
    assert_int_equal(test_live_fds(), live.fds);
}

static void a_stop_cuts_the_others(void **state)
{
    static const char *const paths[] = {"/fifo", "/tail", "/close"};
    struct test_live live;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        test_live_start(&live, 1, quiet);
        of = &live;
        int fd = test_live_ask(&live, paths[i]);
        test_live_until(waits, NULL);
        assert_int_equal(lhttpd_server_stop(live.server, 50), LHTTPD_ECUT);
        close(fd);
        lhttpd_server_destroy(live.server);
        assert_int_equal(test_live_fds(), live.fds);
        assert_int_equal(test_live_children(), 0);
    }
}

/* One that another handler reads from is waited for, no longer than asked. */
static void a_shared_handle_has_turns(void **state)
{
    struct test_live live;

    (void)state;
    test_live_start(&live, 1, quiet);
    of = &live;
    test_live_expect(&live, "/kept", "a");
    int fd = test_live_ask(&live, "/keeps");
    test_live_until(waits, NULL);
    test_live_expect(&live, "/hurries", "niltimeoutniltimeout");
    int next = test_live_ask(&live, "/kept");
    close(fd);
    assert_int_equal(lhttpd_server_stop(live.server, 50), LHTTPD_ECUT);
    close(next);
    lhttpd_server_destroy(live.server);
    assert_int_equal(test_live_children(), 0);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(processes_of_the_shell),
    cmocka_unit_test(processes_in_coroutines),
    cmocka_unit_test(argument_vectors),
    cmocka_unit_test(emptied_tables),
    cmocka_unit_test(an_end_that_others_saw_is_no_success),
    cmocka_unit_test(waits_end_with_the_client),
    cmocka_unit_test(a_slow_terminal_holds_up_nobody),
    cmocka_unit_test(the_whole_group_ends),
    cmocka_unit_test(a_client_leaves_more_behind),
    cmocka_unit_test(nobody_waits_for_children),
    cmocka_unit_test(a_stop_ends_timed_waits),
    cmocka_unit_test(a_stop_cuts_the_others),
    cmocka_unit_test(a_shared_handle_has_turns),
};

static const struct CMUnitTest asking[] = {
    cmocka_unit_test(processes_of_the_shell),
    cmocka_unit_test(argument_vectors),
    cmocka_unit_test(an_end_that_others_saw_is_no_success),
    cmocka_unit_test(waits_end_with_the_client),
    cmocka_unit_test(the_whole_group_ends),
    cmocka_unit_test(nobody_waits_for_children),
    cmocka_unit_test(a_stop_cuts_the_others),
};

/* Where the kernel does not report the end of a process. */
static int run_without_reports(void)
{
    static const long calls[] = {SYS_pidfd_open, SYS_pidfd_send_signal,
                                 SYS_close_range, SYS_memfd_create};
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
            if (!test_deny(calls[i], TEST_ANY_ARGUMENT, ENOSYS))
                exit(0);
        exit(cmocka_run_group_tests_name("without reports", asking, NULL,
                                         test_live_clean_up));
    }
    waitpid(pid, &status, 0);
    return status != 0;
}

int main(void)
{
    int failed = run_without_reports();

    return cmocka_run_group_tests(tests, NULL, test_live_clean_up) + failed;
}
