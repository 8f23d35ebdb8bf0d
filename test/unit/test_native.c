/* C functions of a program that wait: lhttpd_task_begin, _suspend, _resume and
 * _wait_fd, called by scripts of a server with one worker. */
#include "lhttpd.h"
#include "lib/client.h"
#include "lib/heap.h"
#include "lib/live.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static lhttpd_server_t *server;
static int fds_before;
static char failures[4096];

/* --- the device ----------------------------------------------------------- */

/* What a thread of the program does for a handler. */
struct job {
    lhttpd_task_t *task;
    char text[64];
    int status; /* of the resume */
};

static _Atomic int jobs, dropped; /* alive; finished without a handler */
static _Atomic(lhttpd_task_t *) kept;

static struct job *new_job(lhttpd_task_t *task, const char *text)
{
    struct job *job = calloc(1, sizeof(*job));

    assert_non_null(job);
    job->task = task;
    snprintf(job->text, sizeof(job->text), "%s", text);
    atomic_fetch_add(&jobs, 1);
    return job;
}

static void free_job(struct job *job)
{
    free(job);
    atomic_fetch_sub(&jobs, 1);
}

/* Pushes the text and its length; a text that begins with "!" is an error. */
static int finish_job(lua_State *L, void *data)
{
    struct job job = *(struct job *)data;

    free_job(data);
    if (!L) {
        atomic_fetch_add(&dropped, 1);
        return 0;
    }
    if (lua_gettop(L) != 0)
        return luaL_error(L, "the stack is not empty");
    if (strcmp(job.text, "many") == 0) {
        for (int i = 0; i < 17; i++)
            lua_pushinteger(L, i);
        return lua_checkstack(L, 1) ? 17 : 0;
    }
    if (job.text[0] == '!')
        return luaL_error(L, "%s", job.text + 1);
    lua_pushstring(L, job.text);
    lua_pushinteger(L, (lua_Integer)strlen(job.text));
    return 2;
}

static void *resume_job(void *arg)
{
    struct job *job = arg;

    if (lhttpd_task_resume(job->task, finish_job, job) < 0)
        free_job(job);
    return NULL;
}

static void start_job(struct job *job)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, resume_job, job), 0);
    pthread_detach(thread);
}

static lhttpd_task_t *begin_wait(lua_State *L)
{
    lhttpd_task_t *task = lhttpd_task_begin(L);

    if (!task)
        luaL_error(L, "cannot wait here");
    return task;
}

/* ask(text): by a thread of its own. */
static int ask(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    lhttpd_task_t *task = begin_wait(L);

    start_job(new_job(task, text));
    return lhttpd_task_suspend(L, task, -1);
}

/* early(text): the resume comes first, and a second one is in vain. */
static int early(lua_State *L)
{
    const char *text = luaL_checkstring(L, 1);
    lhttpd_task_t *task = begin_wait(L);
    struct job *job = new_job(task, text);

    if (lhttpd_task_resume(task, finish_job, job) != 0 ||
        lhttpd_task_resume(task, finish_job, job) != LHTTPD_ESTATE)
        return luaL_error(L, "resumed wrongly");
    return lhttpd_task_suspend(L, task, -1);
}

/* keep([ms]): nobody resumes it, but for give(text). */
static int keep(lua_State *L)
{
    lhttpd_task_t *task = begin_wait(L);

    atomic_store(&kept, task);
    return lhttpd_task_suspend(L, task, (int)luaL_optinteger(L, 1, -1));
}

/* give(text): whether the resume was taken. */
static int give(lua_State *L)
{
    struct job *job = new_job(NULL, luaL_checkstring(L, 1));
    int r = lhttpd_task_resume(atomic_load(&kept), finish_job, job);

    if (r < 0)
        free_job(job);
    lua_pushinteger(L, r);
    return 1;
}

/* plain(): without results of its own. */
static int plain(lua_State *L)
{
    lhttpd_task_t *task = begin_wait(L);

    lhttpd_task_resume(task, NULL, NULL);
    return lhttpd_task_suspend(L, task, -1);
}

/* begun(): it does not wait after all. */
static int begun(lua_State *L)
{
    atomic_store(&kept, begin_wait(L));
    return 0;
}

/* again(): suspends what was suspended. */
static int again(lua_State *L)
{
    return lhttpd_task_suspend(L, atomic_load(&kept), -1);
}

/* --- descriptors ---------------------------------------------------------- */

static _Atomic int waits; /* whose finish has not run */

static int finish_fd(lua_State *L, int outcome, void *data)
{
    int fd = (int)(intptr_t)data;
    char c = 0;

    atomic_fetch_sub(&waits, 1);
    if (!L) {
        atomic_fetch_add(&dropped, 1);
        return 0;
    }
    if (outcome < 0) {
        lua_pushnil(L);
        lua_pushstring(L, lhttpd_strerror(outcome));
        return 2;
    }
    if (read(fd, &c, 1) < 0)
        return luaL_error(L, "nothing to read");
    lua_pushlstring(L, &c, 1);
    return 1;
}

/* get(fd [, ms [, events]]): one octet. */
static int get(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);

    atomic_fetch_add(&waits, 1);
    return lhttpd_task_wait_fd(
        L, fd, (unsigned)luaL_optinteger(L, 3, LHTTPD_WAIT_READ),
        (int)luaL_optinteger(L, 2, -1), finish_fd, (void *)(intptr_t)fd);
}

struct line {
    int fd;
    unsigned n;
    char text[16];
};

static int finish_line(lua_State *L, int outcome, void *data)
{
    struct line *line = data;

    if (L && outcome == 0 && read(line->fd, line->text + line->n, 1) == 1) {
        if (line->text[line->n] != '\n')
            return line->n++, lhttpd_task_wait_fd(L, line->fd, LHTTPD_WAIT_READ,
                                                  -1, finish_line, line);
        lua_pushlstring(L, line->text, line->n);
    } else if (L) {
        lua_pushnil(L);
    }
    free(line);
    return 1;
}

/* get_line(fd): a wait for each octet. */
static int get_line(lua_State *L)
{
    struct line *line = calloc(1, sizeof(*line));

    assert_non_null(line);
    line->fd = (int)luaL_checkinteger(L, 1);
    return lhttpd_task_wait_fd(L, line->fd, LHTTPD_WAIT_READ, -1, finish_line,
                               line);
}

static int finish_in_child(lua_State *L, int outcome, void *data)
{
    (void)L;
    *(int *)data = outcome;
    return 0;
}

/* What a forked child is told: it has no worker. */
static int calls_of_child(lua_State *L, lhttpd_task_t *begun)
{
    int outcome = 0;

    if (lhttpd_task_begin(L))
        return 1;
    if (lhttpd_task_resume(begun, NULL, NULL) != LHTTPD_ESTATE)
        return 2;
    lhttpd_task_wait_fd(L, 0, LHTTPD_WAIT_READ, -1, finish_in_child, &outcome);
    return outcome == LHTTPD_ESTATE ? 0 : 3;
}

/* fork(): the child's status. */
static int in_child(lua_State *L)
{
    lhttpd_task_t *begun = begin_wait(L);
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(calls_of_child(L, begun));
    if (child < 0 || waitpid(child, &status, 0) != child)
        return luaL_error(L, "no child");
    lua_pushinteger(L, status);
    return 1;
}

static int make_pipe(lua_State *L)
{
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    lua_pushinteger(L, fds[0]);
    lua_pushinteger(L, fds[1]);
    return 2;
}

static int put(lua_State *L)
{
    size_t n;
    const char *text = luaL_checklstring(L, 2, &n);

    lua_pushinteger(L, write((int)lua_tointeger(L, 1), text, n));
    return 1;
}

static int shut(lua_State *L)
{
    close((int)luaL_checkinteger(L, 1));
    return 0;
}

/* --- the server ----------------------------------------------------------- */

static int setup(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"ask", ask},        {"early", early}, {"keep", keep},
        {"give", give},      {"plain", plain}, {"begun", begun},
        {"get", get},        {"put", put},     {"shut", shut},
        {"pipe", make_pipe}, {"again", again}, {"get_line", get_line},
        {"fork", in_child}};

    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        lua_pushcfunction(L, functions[i].func);
        lua_setglobal(L, functions[i].name);
    }
    return 0;
}

static const char prelude[] =
    "function same(a, b)\n"
    "  if a ~= b then\n"
    "    error(tostring(a) .. ' is not ' .. tostring(b), 2)\n"
    "  end\n"
    "end\n"
    "YIELDABLE = jit or _VERSION ~= 'Lua 5.1'\n"
    "function test(name, fn)\n"
    "  httpd.register_handler('/' .. name, function(...)\n"
    "    httpd.write(nil, fn(...) or 'ok')\n"
    "  end)\n"
    "end\n";

static void on_log(void *context, const lhttpd_log_entry_t *entry)
{
    size_t n = strlen(failures);

    (void)context;
    snprintf(failures + n, sizeof(failures) - n, "%s\n", entry->message);
}

static void begin_server(const char *source)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    char text[16384];

    fds_before = test_live_fds();
    failures[0] = '\0';
    config.workers = 1;
    config.log = on_log;
    config.log_level = LHTTPD_LOG_ERROR;
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = setup;
    assert_int_equal(lhttpd_server_create(&server, &config), 0);
    assert_int_equal(lhttpd_server_listen(server, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_register_vm_factory(server, NULL, &factory),
                     0);
    int n = snprintf(text, sizeof(text), "%s%s", prelude, source);
    assert_true(n > 0 && (size_t)n < sizeof(text));
    assert_int_equal(
        lhttpd_server_map_source(server, "/", "test.lua", text, (size_t)n), 0);
    if (lhttpd_server_start(server) < 0)
        fail_msg("%s", lhttpd_server_error(server));
}

static int nothing_is_left(void *arg)
{
    (void)arg;
    return atomic_load(&jobs) == 0 && atomic_load(&waits) == 0 &&
           test_live_fds() == fds_before;
}

static void end_server(unsigned grace_ms)
{
    lhttpd_server_stop(server, grace_ms);
    lhttpd_server_destroy(server);
    /* A thread that resumes may be the last to leave. */
    test_live_until(nothing_is_left, NULL);
}

static int send_request(const char *path, const char *field)
{
    int fd = test_client_connect(lhttpd_server_port(server, 0));
    char request[256];

    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nhost: a\r\n%s\r\n",
             path, field);
    test_client_send(fd, request);
    return fd;
}

static int connect_to(const char *path)
{
    return send_request(path, "connection: close\r\n");
}

static const char *read_answer(int fd)
{
    static char out[8192];

    test_client_read_all(fd, out, sizeof(out));
    close(fd);
    char *body = strstr(out, "\r\n\r\n");
    return body ? body + 4 : out;
}

static void expect(const char *path, const char *body)
{
    const char *got = read_answer(connect_to(path));

    if (strcmp(got, body) != 0)
        print_error("%s: %s\n", path, failures);
    assert_string_equal(got, body);
}

static int is_kept(void *arg)
{
    (void)arg;
    return atomic_load(&kept) != NULL;
}

/* A handler that waits in keep(). */
static int ask_to_keep(const char *path)
{
    atomic_store(&kept, NULL);
    int fd = connect_to(path);
    test_live_until(is_kept, NULL);
    return fd;
}

/* The client leaves; on a connection that was to be kept, this is no half-close
 * behind the request. */
static void keep_and_leave(const char *path)
{
    atomic_store(&kept, NULL);
    int fd = send_request(path, "");
    test_live_until(is_kept, NULL);
    close(fd);
}

/* --- results -------------------------------------------------------------- */

static const char results_script[] =
    "test('ask', function()\n"
    "  local text, n, none = ask('abc')\n"
    "  same(text, 'abc') same(n, 3) same(none, nil)\n"
    "  same(select('#', ask('')), 2)\n"
    "end)\n"
    "test('early', function() same(early('x'), 'x') end)\n"
    "test('plain', function() same(plain(), true) end)\n"
    "test('many', function()\n"
    "  for i = 1, 100 do same(select(2, ask(('x'):rep(i % 60))), i % 60) end\n"
    "end)\n"
    "test('depth', function()\n"
    "  local inner = coroutine.wrap(function(a)\n"
    "    local b = coroutine.wrap(function() return ask(a) end)()\n"
    "    local c = coroutine.yield(b .. (ask('2')))\n"
    "    return c .. ask('4')\n"
    "  end)\n"
    "  same(inner('1'), '12') same(inner('3'), '34')\n"
    "  local co = coroutine.create(YIELDABLE and ask or function(...)\n"
    "    return ask(...) end)\n"
    "  local ok, text, n = coroutine.resume(co, 'abcd')\n"
    "  same(ok, true) same(text, 'abcd') same(n, 4)\n"
    "  same(coroutine.status(co), 'dead')\n"
    "end)\n"
    "test('pcall', function()\n"
    "  if not YIELDABLE then\n"
    "    local ok, why = pcall(ask, 'x')\n"
    "    same(ok, false) return why:find('cannot wait here') and 'ok' or why\n"
    "  end\n"
    "  local ok, text, n = pcall(ask, 'x')\n"
    "  same(ok, true) same(text, 'x') same(n, 1)\n"
    "  same(select(2, pcall(function() return ask('y') end)), 'y')\n"
    "  same(select(2, xpcall(function() return (ask('y')) end, print)), 'y')\n"
    "  local t = setmetatable({}, {__index = function(_, k)\n"
    "    return (ask(k)) end})\n"
    "  same(t.key, 'key')\n"
    "end)\n"
    "httpd.register_handler('/direct', function() return ask('a') end)\n"
    "httpd.register_handler('/itself', plain)\n"
    "test('callback', function()\n"
    "  local ok, why = pcall(table.sort, {2, 1}, function(a, b)\n"
    "    ask('x') return a < b end)\n"
    "  same(ok, false) assert(why:find('cannot wait here'), why)\n"
    "end)\n"
    "test('coroutine in a callback', function()\n"
    "  local why\n"
    "  table.sort({2, 1}, function(a, b)\n"
    "    why = select(2, coroutine.resume(coroutine.create(function()\n"
    "      local n = ask('x')\n"
    "      why = n\n"
    "    end)))\n"
    "    return a < b\n"
    "  end)\n"
    "  assert(tostring(why):find('test.lua:%d+: cannot suspend here'), why)\n"
    "  same(ask('y'), 'y')\n"
    "end)\n"
    "test('too many', function()\n"
    "  local co = coroutine.create(function() return ask('many') end)\n"
    "  local ok, why = coroutine.resume(co)\n"
    "  same(ok, false) assert(why:find('at most 16'), why)\n"
    "end)\n"
    "same(pcall(ask, 'x'), false)\n";

static void test_results(void **state)
{
    const char *const paths[] = {
        "/ask",       "/early", "/plain",    "/many",
        "/depth",     "/pcall", "/callback", "/coroutine%20in%20a%20callback",
        "/too%20many"};

    (void)state;
    begin_server(results_script);
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        expect(paths[i], "ok");
    expect("/direct", "");
    const char *itself = read_answer(connect_to("/itself"));
    bool plain51 = LUA_VERSION_NUM == 501 && !lhttpd_feature("luajit");
    assert_int_equal(strcmp(itself, "") != 0, plain51);
    end_server(20000);
    assert_true(atomic_load(&dropped) <= 1); /* of the callback's */
}

/* --- errors --------------------------------------------------------------- */

static const char errors_script[] =
    "local function fails(ok, why, pattern)\n"
    "  same(ok, false)\n"
    "  if not tostring(why):find(pattern) then error(tostring(why), 2) end\n"
    "end\n"
    "local after = 0\n"
    "local function in_coroutine(f)\n"
    "  return coroutine.resume(coroutine.create(f))\n"
    "end\n"
    "test('coroutine', function()\n"
    "  local ok, why = in_coroutine(function()\n"
    "    LINE = debug.getinfo(1, 'l').currentline + 1\n"
    "    local x = ask('!broken')\n"
    "    after = 1\n"
    "  end)\n"
    "  same(why, 'test.lua:' .. LINE .. ': broken') same(after, 0)\n"
    "  ok, why = in_coroutine(function() return ask('!tail') end)\n"
    "  fails(ok, why, 'tail$')\n"
    "  if YIELDABLE then\n"
    "    ok, why = coroutine.resume(coroutine.create(ask), '!itself')\n"
    "    fails(ok, why, 'itself$')\n"
    "  end\n"
    "  ok, why = in_coroutine(function()\n"
    "    return in_coroutine(function() return ask('!deep') end)\n"
    "  end)\n"
    "  same(ok, true) same(why, false)\n"
    "  ok, why = in_coroutine(function()\n"
    "    coroutine.wrap(function() return ask('!wrapped') end)()\n"
    "  end)\n"
    "  fails(ok, why, 'wrapped$')\n"
    "  same(ask('goes on'), 'goes on')\n"
    "end)\n"
    "test('pcall', function()\n"
    "  if not YIELDABLE then return end\n"
    "  local ok, why = pcall(ask, '!direct')\n"
    "  fails(ok, why, 'direct$')\n"
    "  ok, why = pcall(function() return ask('!tail') end)\n"
    "  fails(ok, why, 'tail$')\n"
    "  ok, why = pcall(function() local x = ask('!inside') after = 2 end)\n"
    "  fails(ok, why, '^test.lua:%d+: inside$') same(after, 0)\n"
    "  ok, why = pcall(pcall, ask, '!twice')\n"
    "  same(ok, true) same(why, false)\n"
    "  ok, why = xpcall(function() return ask('!handled') end, function(e)\n"
    "    return 'seen: ' .. e end)\n"
    "  fails(ok, why, '^seen: .*handled$')\n"
    "  ok, why = pcall(function()\n"
    "    coroutine.wrap(function() return ask('!wrapped') end)() end)\n"
    "  fails(ok, why, 'wrapped$')\n"
    "  for i = 1, 200 do\n"
    "    ok, why = pcall(ask, i % 3 == 0 and '!third' or 'fine')\n"
    "    same(ok, i % 3 ~= 0)\n"
    "  end\n"
    "  same(select(2, pcall(ask, 'goes on')), 'goes on')\n"
    "end)\n"
    "test('hooks', function()\n"
    "  if jit then return end\n"
    "  local n = 0\n"
    "  local co = coroutine.create(function()\n"
    "    debug.sethook(function() n = n + 1 end, '', 1)\n"
    "    local x = ask('!hooked')\n"
    "  end)\n"
    "  local ok, why = coroutine.resume(co)\n"
    "  fails(ok, why, 'hooked$')\n"
    "  assert(debug.gethook(co))\n"
    "end)\n"
    "test('raise', function() local x = ask('!uncaught') end)\n"
    "test('raise_tail', function() return ask('!uncaught') end)\n"
    "httpd.register_handler('/raise_c', function() return early('!uncaught') "
    "end)\n";

static void test_errors(void **state)
{
    (void)state;
    begin_server(errors_script);
    expect("/coroutine", "ok");
    expect("/pcall", "ok");
    expect("/hooks", "ok");
    assert_string_equal(failures, "");
    const char *const raising[] = {"/raise", "/raise_tail", "/raise_c"};
    for (size_t i = 0; i < 3; i++) {
        failures[0] = '\0';
        assert_non_null(strstr(read_answer(connect_to(raising[i])), "500"));
        assert_non_null(strstr(failures, "uncaught"));
    }
    end_server(20000);
}

/* --- the end of waits ----------------------------------------------------- */

static const char ends_script[] =
    "local last\n"
    "test('timeout', function()\n"
    "  local text, why = keep(20)\n"
    "  same(text, nil) same(why, 'timeout')\n"
    "  same(give('late'), -3)\n"
    "end)\n"
    "test('keep', function()\n"
    "  local text, why = keep() last = text or why\n"
    "  return text or why\n"
    "end)\n"
    "test('keep_long', function()\n"
    "  local text, why = keep(1000000) last = text or why\n"
    "  return text or why\n"
    "end)\n"
    "test('for_ever', function() while true do keep() end end)\n"
    "test('last', function() return tostring(last) end)\n"
    "test('give', function() return tostring(give('given')) end)\n"
    "test('begun', function() begun() end)\n"
    "test('begun_and_given', function() begun() same(give('x'), 0) end)\n"
    "test('twice', function()\n"
    "  early('x') begun() give('x')\n"
    "  same((again()), 'x')\n"
    "  local ok, why = pcall(again)\n"
    "  same(ok, false) assert(why:find('suspend'), why)\n"
    "end)\n";

static void test_time_out(void **state)
{
    (void)state;
    begin_server(ends_script);
    expect("/timeout", "ok");
    int fd = ask_to_keep("/keep");
    expect("/give", "0");
    assert_string_equal(read_answer(fd), "given");
    expect("/give", "-3");
    expect("/twice", "ok");
    end_server(20000);
}

static int was_closed(void *arg)
{
    (void)arg;
    return strcmp(read_answer(connect_to("/last")), "closed") == 0;
}

static void test_client_goes(void **state)
{
    (void)state;
    begin_server(ends_script);
    keep_and_leave("/keep");
    test_live_until(was_closed, NULL);
    expect("/give", "-3");
    /* It is not resumed for ever. */
    keep_and_leave("/for_ever");
    end_server(20000);
    assert_non_null(strstr(failures, "does not look"));
}

/* Without a wait: its handler has ended. */
static void test_only_begun(void **state)
{
    (void)state;
    begin_server(ends_script);
    expect("/begun", "ok");
    expect("/give", "-3");
    int before = atomic_load(&dropped);
    expect("/begun_and_given", "ok");
    end_server(20000);
    assert_int_equal(atomic_load(&dropped), before + 1);
}

static void test_stop(void **state)
{
    (void)state;
    begin_server(ends_script);
    int fd = ask_to_keep("/keep_long");
    lhttpd_server_shutdown(server, 20000);
    assert_string_equal(read_answer(fd), "stopping");
    end_server(20000);
    /* Without a time-out it is cut. */
    begin_server(ends_script);
    fd = ask_to_keep("/keep");
    lhttpd_task_t *task = atomic_load(&kept);
    assert_int_equal(lhttpd_server_stop(server, 1), LHTTPD_ECUT);
    close(fd);
    assert_int_equal(lhttpd_task_resume(task, NULL, NULL), LHTTPD_ESTATE);
    end_server(0);
    assert_int_equal(lhttpd_task_resume(task, NULL, NULL), LHTTPD_ESTATE);
}

static void test_reload(void **state)
{
    (void)state;
    begin_server(ends_script);
    int fd = ask_to_keep("/keep");
    assert_int_equal(lhttpd_server_reload(server), 0);
    expect("/last", "nil");
    expect("/give", "0");
    assert_string_equal(read_answer(fd), "given");
    fd = ask_to_keep("/keep_long");
    assert_int_equal(lhttpd_server_reload(server), 0);
    assert_string_equal(read_answer(fd), "stopping");
    assert_int_equal(lhttpd_server_set(server, "reload_grace_ms", "1"), 0);
    fd = ask_to_keep("/keep");
    assert_int_equal(lhttpd_server_reload(server), 0);
    assert_non_null(strstr(read_answer(fd), "503"));
    expect("/give", "-3");
    end_server(20000);
}

/* --- descriptors ---------------------------------------------------------- */

static const char fds_script[] =
    "local r, w = pipe()\n"
    "test('get', function() same(put(w, 'x'), 1) same(get(r), 'x') end)\n"
    "test('late', function()\n"
    "  local a = coroutine.wrap(function() return get(r) end)\n"
    "  httpd.flush()\n"
    "  return get(r)\n"
    "end)\n"
    "test('put', function() put(w, 'yz') end)\n"
    "test('line', function() put(w, 'one\\ntwo\\n')\n"
    "  same(get_line(r), 'one') same(get_line(r), 'two') end)\n"
    "test('timeout', function()\n"
    "  local c, why = get(r, 10)\n"
    "  same(c, nil) same(why, 'the time is over')\n"
    "end)\n"
    "test('wrong', function()\n"
    "  local c, why = get(12345)\n"
    "  same(c, nil) same(why, 'the operating system refused')\n"
    "  same(select(2, get(r, 1, 0)), 'invalid argument')\n"
    "  same(select(2, get(r, 1, 4)), 'invalid argument')\n"
    "  local why\n"
    "  table.sort({1, 2}, function(a, b) why = select(2, get(r)) end)\n"
    "  same(why, 'not possible in this state or on this thread')\n"
    "end)\n"
    "test('end', function()\n"
    "  local r, w = pipe()\n"
    "  shut(w)\n"
    "  same(get(r), '\\0')\n"
    "  shut(r)\n"
    "end)\n"
    "test('closed meanwhile', function()\n"
    "  local a, b = pipe()\n"
    "  shut_later = function() put(b, 'x') shut(b) end\n"
    "  local c = get(a)\n"
    "  shut(a)\n"
    "  same(c, 'x')\n"
    "end)\n"
    "test('shut', function() if not shut_later then return 'no' end\n"
    "  shut_later() end)\n"
    "test('fdopen', function()\n"
    "  local a, b = pipe()\n"
    "  local f = assert(httpd.fdopen(a))\n"
    "  same(select(3, httpd.fdopen(b, 'r')), 22)\n"
    "  local g = assert(httpd.fdopen(b, 'w'))\n"
    "  same(httpd.write(g, 'abc'), 3) same(httpd.read(f, 3), 'abc')\n"
    "  g:write('def') g:close()\n"
    "  same(f:read('*a'), 'def') f:close()\n"
    "  same(select(3, httpd.fdopen(a, 'r')), 9)\n"
    "  same(select(3, httpd.fdopen(-1)), 9)\n"
    "  same(select(3, httpd.fdopen(2^40)), 9)\n"
    "  same(pcall(httpd.fdopen, 'x'), false)\n"
    "  same(pcall(httpd.fdopen, 0, 'z'), false)\n"
    "end)\n"
    "local early, late = pipe()\n"
    "early = httpd.fdopen(early)\n"
    "test('loaded', function() put(late, 'x') same(httpd.read(early), 'x')\n"
    "  shut(late) early:close() end)\n"
    "test('done', function() shut(r) shut(w) end)\n";

static int shuts(void *arg)
{
    (void)arg;
    return strcmp(read_answer(connect_to("/shut")), "ok") == 0;
}

static void test_descriptors(void **state)
{
    (void)state;
    begin_server(fds_script);
    expect("/get", "ok");
    int first = connect_to("/late"), second = connect_to("/late");
    expect("/put", "ok");
    const char *got = read_answer(first);
    char one = got[0];
    got = read_answer(second);
    assert_int_equal(one + got[0], 'y' + 'z');
    expect("/line", "ok");
    expect("/timeout", "ok");
    expect("/wrong", "ok");
    expect("/end", "ok");
    expect("/fdopen", "ok");
    expect("/loaded", "ok");
    first = connect_to("/closed%20meanwhile");
    test_live_until(shuts, NULL);
    assert_string_equal(read_answer(first), "ok");
    /* Clients that go, and a handler that is cut. */
    close(connect_to("/late"));
    second = connect_to("/late");
    expect("/timeout", "ok");
    expect("/done", "ok");
    close(second);
    end_server(50);
}

/* --- lack of memory ------------------------------------------------------- */

/* Whatever allocation fails, a handler is answered, and nothing is left. */
static void test_no_memory(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 40; n++) {
        test_heap_install(); /* while no other thread uses the heap */
        begin_server(results_script);
        expect("/plain", "ok");
        test_heap_fail_at(n);
        close(connect_to("/early"));
        test_heap_fail_at(0);
        expect("/early", "ok");
        end_server(20000);
        assert_int_equal(test_heap_live(), 0);
        test_heap_uninstall();
    }
}

/* --- many ----------------------------------------------------------------- */

#define RESUMERS 4
#define CLIENTS  8

/* A place for each wait that nobody has resumed yet. */
static _Atomic(lhttpd_task_t *) places[64];
static _Atomic int resumers_end;
static _Atomic long taken, refused;

static int finish_count(lua_State *L, void *data)
{
    (void)data;
    atomic_fetch_sub(&jobs, 1);
    if (!L)
        return 0;
    lua_pushboolean(L, 1);
    return 1;
}

/* Resumes whatever it finds, sometimes twice. */
static void *resume_all(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;

    while (!atomic_load(&resumers_end)) {
        unsigned at = (seed = seed * 1103515245 + 12345) >> 16;
        lhttpd_task_t *task = atomic_exchange(&places[at % 64], NULL);
        if (!task)
            continue;
        atomic_fetch_add(&jobs, 1);
        if (lhttpd_task_resume(task, finish_count, NULL) == 0) {
            atomic_fetch_add(&taken, 1);
        } else {
            atomic_fetch_add(&refused, 1);
            atomic_fetch_sub(&jobs, 1);
        }
        if (at % 7 == 0 &&
            lhttpd_task_resume(task, finish_count, NULL) != LHTTPD_ESTATE)
            abort();
    }
    return NULL;
}

/* any(): waits for one of the threads. */
static int any(lua_State *L)
{
    static _Atomic unsigned next;
    lhttpd_task_t *task = begin_wait(L), *old;

    old = atomic_exchange(&places[atomic_fetch_add(&next, 1) % 64], task);
    if (old)
        lhttpd_task_resume(old, NULL, NULL);
    return lhttpd_task_suspend(L, task, 1000);
}

static int setup_any(lua_State *L)
{
    lua_pushcfunction(L, any);
    lua_setglobal(L, "any");
    return 0;
}

static const char many_script[] = "httpd.register_handler('/', function(env)\n"
                                  "  for i = 1, 20 do any() end\n"
                                  "  httpd.write(nil, 'ok')\n"
                                  "end)\n";

/* Asks, and leaves at once now and then. */
static void *be_client(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg * 7919;
    long rounds =
        getenv("LH_TEST_RESUMES") ? atol(getenv("LH_TEST_RESUMES")) : 4000;

    for (long i = 0; i < rounds / 20 / CLIENTS; i++) {
        int fd = send_request("/", i % 2 ? "" : "connection: close\r\n");
        seed = seed * 1103515245 + 12345;
        if (i % 2) {
            usleep((seed >> 16) % 1000);
            close(fd);
            continue;
        }
        char out[1024];
        test_client_read_all(fd, out, sizeof(out));
        close(fd);
        if (!strstr(out, "200"))
            abort();
    }
    return NULL;
}

static void test_many(void **state)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    pthread_t resumers[RESUMERS], clients[CLIENTS];

    (void)state;
    config.workers = 2;
    config.log_level = LHTTPD_LOG_ERROR;
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = setup_any;
    fds_before = test_live_fds();
    assert_int_equal(lhttpd_server_create(&server, &config), 0);
    assert_int_equal(lhttpd_server_listen(server, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_register_vm_factory(server, NULL, &factory),
                     0);
    assert_int_equal(lhttpd_server_map_source(server, "/", "many.lua",
                                              many_script,
                                              sizeof(many_script) - 1),
                     0);
    assert_int_equal(lhttpd_server_start(server), 0);
    atomic_store(&resumers_end, 0);
    for (uintptr_t i = 0; i < RESUMERS; i++)
        pthread_create(&resumers[i], NULL, resume_all, (void *)(i + 1));
    for (uintptr_t i = 0; i < CLIENTS; i++)
        pthread_create(&clients[i], NULL, be_client, (void *)(i + 1));
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    /* The threads go on resuming while it stops and is destroyed. */
    lhttpd_server_stop(server, 20000);
    lhttpd_server_destroy(server);
    atomic_store(&resumers_end, 1);
    for (int i = 0; i < RESUMERS; i++)
        pthread_join(resumers[i], NULL);
    print_message("%ld resumes were taken, %ld came too late\n",
                  atomic_load(&taken), atomic_load(&refused));
    assert_true(atomic_load(&taken) > 0);
    test_live_until(nothing_is_left, NULL);
}

/* --- a forked child ------------------------------------------------------- */

static void test_fork(void **state)
{
    (void)state;
    begin_server("test('fork', function() same(fork(), 0) end)\n");
    expect("/fork", "ok");
    end_server(20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),    cmocka_unit_test(test_errors),
        cmocka_unit_test(test_time_out),   cmocka_unit_test(test_client_goes),
        cmocka_unit_test(test_only_begun), cmocka_unit_test(test_stop),
        cmocka_unit_test(test_reload),     cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_many),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
