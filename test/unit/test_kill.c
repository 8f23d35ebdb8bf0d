/*
 * Scripts that do not stop: each is ended by an error with its line, whatever
 * it does against it, and its worker goes on.
 */
#include "lhttpd.h"
#include "lib/client.h"
#include "os/interrupt.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static lhttpd_server_t *server;
static _Atomic int logged; /* lines that name the line of the script */
static char line[32];

/* The interpreter calls hooks, what LuaJIT has compiled does not. */
static int setup(lua_State *L)
{
    return luaL_dostring(L, "if jit then jit.off() end") ? lua_error(L) : 0;
}

static void on_log(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    if (strncmp(entry->message, line, strlen(line)) == 0 &&
        strstr(entry->message, "script_kill_ms=500"))
        atomic_fetch_add(&logged, 1);
}

/* Half a second: what may run is not ended where the machine is busy. */
static void begin(const char *script)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();

    config.workers = 1;
    config.log = on_log;
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = setup;
    atomic_store(&logged, 0);
    assert_int_equal(lhttpd_server_create(&server, &config), 0);
    assert_int_equal(lhttpd_server_listen(server, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_register_vm_factory(server, NULL, &factory),
                     0);
    assert_int_equal(
        lhttpd_server_map_source(server, "/", "s.lua", script, strlen(script)),
        0);
    assert_int_equal(lhttpd_server_set(server, "script_kill_ms", "500"), 0);
}

static int status_of(const char *path)
{
    char request[64], out[4096];
    int status = 0;

    snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    test_client_ask(lhttpd_server_port(server, 0), request, out, sizeof(out));
    assert_int_equal(sscanf(out, "HTTP/1.1 %d", &status), 1);
    return status;
}

/* The handler that the body makes is ended at that line of it, and the worker's
 * next request is as if nothing had been. */
static void ends_at(const char *where, const char *body)
{
    char script[2048];

    snprintf(script, sizeof(script),
             "httpd.register_handler('/', function()\n%s\nend)\n"
             "httpd.register_handler('/next', function()\n"
             "  local n = 0 for i = 1, 1000 do n = n + i end\n"
             "  local co = coroutine.wrap(function() coroutine.yield(n) end)\n"
             "  if co() == 500500 then httpd.write(nil, 'fine') end end)\n",
             body);
    snprintf(line, sizeof(line), "%s", where);
    begin(script);
    assert_int_equal(lhttpd_server_start(server), 0);
    assert_int_equal(status_of("/"), 500);
    if (atomic_load(&logged) != 1)
        fail_msg("no line begins with %s: %s", where, body);
    for (int i = 0; i < 3; i++)
        assert_int_equal(status_of("/next"), 200);
    lhttpd_stats_t stats = lhttpd_stats_init();
    assert_int_equal(lhttpd_server_stats(server, &stats), 0);
    assert_int_equal(stats.scripts_ended, 1);
    assert_int_equal(lhttpd_server_stop(server, 5000), 0);
    lhttpd_server_destroy(server);
}

static void loops_end(void **state)
{
    (void)state;
    ends_at("s.lua:2:", "while true do end");
    ends_at("s.lua:3:", "local n = 0\nrepeat n = n + 1 until n < 0");
    ends_at("s.lua:2:", "local function f() return f() end f()");
    ends_at("s.lua:2:", "for i = 1, math.huge do string.rep('x', 10) end");
}

/* The error is raised again for whoever has caught it. */
static void loops_that_catch_the_error_end(void **state)
{
    (void)state;
    ends_at("s.lua:2:", "while true do pcall(function() while true do end end) "
                        "end");
    ends_at("s.lua:2:", "while true do pcall(error) end");
    ends_at("s.lua:2:", "load(function() return ' ' end) while true do end");
    ends_at("s.lua:2:",
            "while true do xpcall(error, function() while true do end end) "
            "end");
    ends_at("s.lua:2:", "local function loop() while true do end end "
                        "while true do xpcall(loop, loop) end");
    ends_at("s.lua:", "local function f() pcall(f) end\n"
                      "while true do pcall(function() while true do f() end "
                      "end) end");
    /* 5.3 and 5.4 allow pcalls inside each other without end. */
    ends_at("s.lua:2:",
            "local function f() pcall(f) while true do pcall(f) end end f()");
}

static void loops_in_coroutines_end(void **state)
{
    (void)state;
    ends_at("s.lua:2:", "coroutine.wrap(function() while true do end end)()");
    ends_at("s.lua:", "local co = coroutine.wrap(function()\n"
                      "while true do coroutine.yield() end end)\n"
                      "while true do co() end");
    ends_at("s.lua:",
            "while true do pcall(coroutine.wrap(function() "
            "coroutine.wrap(function() while true do end end)() end)) end");
    ends_at("s.lua:3:", "for i = 1, 300 do coroutine.wrap(function() end)() "
                        "end\nwhile true do coroutine.wrap(function() end)() "
                        "end");
    ends_at("s.lua:3:", "httpd.sleep(0.01)\nwhile true do end");
}

static void what_comes_after_a_handler_ends(void **state)
{
    (void)state;
    ends_at("s.lua:2:",
            "error(setmetatable({}, {__tostring = function() while true do "
            "end end}))");
}

/* Who makes pauses may take as long as he likes. */
static void a_handler_that_waits_is_not_ended(void **state)
{
    (void)state;
    begin("httpd.register_handler('/', function()\n"
          "  for i = 1, 20 do httpd.sleep(0.03) end\n"
          "  httpd.write(nil, 'done') end)\n");
    assert_int_equal(lhttpd_server_start(server), 0);
    assert_int_equal(status_of("/"), 200);
    assert_int_equal(lhttpd_server_set(server, "script_kill_ms", "1"),
                     LHTTPD_ESTATE);
    lhttpd_server_destroy(server);
}

static void loading_ends(void **state)
{
    (void)state;
    begin("\nwhile true do end");
    assert_int_equal(lhttpd_server_check(server), LHTTPD_ESCRIPT);
    assert_non_null(
        strstr(lhttpd_server_error(server),
               "s.lua:2: it ran for longer than script_kill_ms=500"));
    assert_int_equal(lhttpd_server_start(server), LHTTPD_ESCRIPT);
    assert_non_null(strstr(lhttpd_server_error(server), "s.lua:2: it ran"));
    lhttpd_server_destroy(server);
}

/* --- the signal ----------------------------------------------------------- */

static _Atomic int programs, ours;

static void on_urgent(int number)
{
    (void)number;
    atomic_fetch_add(&programs, 1);
}

static void act(void *data)
{
    atomic_fetch_add((_Atomic int *)data, 1);
}

static void *be_interrupted(void *arg)
{
    atomic_store((_Atomic int *)arg, lh_interrupt_enter(act, &ours));
    while (atomic_load(&ours) == 0)
        usleep(1000);
    lh_interrupt_enter(NULL, NULL);
    return NULL;
}

static void interrupt_a_thread(void)
{
    _Atomic int number = 0;
    pthread_t thread;

    atomic_store(&ours, 0);
    pthread_create(&thread, NULL, be_interrupted, (void *)&number);
    while (atomic_load(&number) == 0)
        usleep(1000);
    lh_interrupt_send(atomic_load(&number));
    pthread_join(thread, NULL);
    lh_interrupt_send(atomic_load(&number)); /* nobody is there */
    assert_int_equal(atomic_load(&ours), 1);
}

static void the_signal_is_the_programs(void **state)
{
    struct sigaction action = {.sa_handler = on_urgent}, now;

    (void)state;
    assert_int_equal(sigaction(SIGURG, &action, NULL), 0);
    assert_false(lh_interrupt_is_taken());
    assert_int_equal(lh_interrupt_take(), 0);
    assert_int_equal(lh_interrupt_take(), 0);
    interrupt_a_thread();
    assert_int_equal(atomic_load(&programs), 0);
    raise(SIGURG);
    kill(getpid(), SIGURG);
    assert_int_equal(atomic_load(&programs), 2);
    lh_interrupt_give_back();
    assert_true(lh_interrupt_is_taken());
    lh_interrupt_give_back();
    assert_int_equal(sigaction(SIGURG, NULL, &now), 0);
    assert_true(now.sa_handler == on_urgent);
    /* One that the program sets meanwhile stays. */
    action.sa_handler = SIG_IGN;
    assert_int_equal(lh_interrupt_take(), 0);
    assert_int_equal(sigaction(SIGURG, &action, NULL), 0);
    lh_interrupt_give_back();
    assert_int_equal(sigaction(SIGURG, NULL, &now), 0);
    assert_true(now.sa_handler == SIG_IGN);
    action.sa_handler = SIG_DFL;
    sigaction(SIGURG, &action, NULL);
}

/* Nothing is taken of a program that has not asked for it, or not any more; and
 * a mask that blocks the signal keeps no script alive. */
static void the_signal_is_taken_while_it_runs(void **state)
{
    sigset_t set;

    (void)state;
    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    ends_at("s.lua:2:", "while true do end");
    assert_false(lh_interrupt_is_taken());
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    assert_int_equal(sigismember(&set, SIGURG), 1);
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loops_end),
        cmocka_unit_test(loops_that_catch_the_error_end),
        cmocka_unit_test(loops_in_coroutines_end),
        cmocka_unit_test(what_comes_after_a_handler_ends),
        cmocka_unit_test(a_handler_that_waits_is_not_ended),
        cmocka_unit_test(loading_ends),
        cmocka_unit_test(the_signal_is_the_programs),
        cmocka_unit_test(the_signal_is_taken_while_it_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
