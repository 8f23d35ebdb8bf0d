/* What signals reach threads that run scripts, and what these start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/live.h"
#include "lhttpd.h"

#include <lauxlib.h>
#include <lua.h>

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char source[] =
    "local p = io.popen('exec true', 'w')\n"
    "repeat\n"
    "  local ok = p:write(('x'):rep(65536)) and p:flush()\n"
    "until not ok\n"
    /* Its last words find nobody, at the end. */
    "left = io.popen('exec true', 'w')\n"
    "left:write('x')\n"
    "httpd.register_handler('/service', function(env)\n"
    "  local name = os.tmpname()\n"
    "  os.execute('sleep 1000 & echo $! >' .. name)\n"
    "  httpd.write(nil, io.open(name):read('*a'))\n"
    "  os.remove(name)\n"
    "end)\n"
    "local function result(command)\n"
    "  local a, b, c = os.execute(command)\n"
    "  if type(a) == 'number' then\n"
    "    return a % 256 == 0 and 'exit ' .. a / 256 or 'signal ' .. a\n"
    "  end\n"
    "  return (a and 'true ' or '') .. b .. ' ' .. c\n"
    "end\n"
    "httpd.register_handler('/results', function(env)\n"
    "  httpd.write(nil, (result('exit 0'):gsub('true ', '')))\n"
    "  httpd.write(nil, ', ' .. result('exit 3'))\n"
    "  httpd.write(nil, ', ' .. result('kill -9 $$'))\n"
    "  local has = os.execute()\n"
    "  httpd.write(nil, (has == true or has == 1) and ', shell' or '')\n"
    "end)\n"
    "httpd.register_handler('/unknown', function(env)\n"
    "  local a, b, c = os.execute('exit 0')\n"
    "  httpd.write(nil, (a == -1 or a == nil and c == 10) and 'ok' or 'no')\n"
    "end)\n"
    "httpd.register_handler('/', function(env)\n"
    "  httpd.write(nil, masks())\n"
    "end)\n"
    "httpd.register_handler('/writes', function(env)\n"
    "  local p = io.popen('exec true', 'w')\n"
    "  local ok\n"
    "  for i = 1, 2000 do\n"
    "    ok = p:write(('x'):rep(65536)) and p:flush()\n"
    "    if not ok then break end\n"
    "  end\n"
    "  httpd.write(nil, ok and 'written' or 'refused')\n"
    "end)\n";

/* The signals up to 31, as a number. */
static unsigned blocked(void)
{
    sigset_t set;
    unsigned bits = 0;

    pthread_sigmask(SIG_SETMASK, NULL, &set);
    for (int number = 1; number < 32; number++)
        if (sigismember(&set, number) == 1)
            bits |= 1u << number;
    return bits;
}

/* Of what a C module starts, as system() does it: some shells open their mask
 * themselves. */
static unsigned of_program(void)
{
    char *const argv[] = {"grep", "SigBlk", "/proc/self/status", NULL};
    posix_spawn_file_actions_t actions;
    char text[128] = "";
    int fds[2];
    pid_t pid;

    if (pipe(fds) < 0)
        return 1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    int r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    ssize_t n = read(fds[0], text, sizeof(text) - 1);
    close(fds[0]);
    if (r != 0 || n <= 0)
        return 1;
    waitpid(pid, NULL, 0);
    return (unsigned)(strtoull(text + strlen("SigBlk:"), NULL, 16) << 1);
}

/* Of a child that goes on by itself. */
static unsigned of_fork(void)
{
    unsigned bits = 1;
    int fds[2];

    if (pipe(fds) < 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        bits = blocked();
        _exit(write(fds[1], &bits, sizeof(bits)) != sizeof(bits));
    }
    if (read(fds[0], &bits, sizeof(bits)) != sizeof(bits))
        bits = 1;
    close(fds[0]);
    close(fds[1]);
    waitpid(pid, NULL, 0);
    return bits;
}

static int masks(lua_State *L)
{
    lua_pushfstring(L, "%d %d %d", (int)blocked(), (int)of_program(),
                    (int)of_fork());
    return 1;
}

static int setup(lua_State *L)
{
    lua_pushcfunction(L, masks);
    lua_setglobal(L, "masks");
    return 0;
}

static void start(struct test_live *live)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();

    config.workers = 1;
    config.log_level = LHTTPD_LOG_ERROR;
    live->fds = test_live_fds();
    live->server = NULL;
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = setup;
    assert_int_equal(lhttpd_server_create(&live->server, &config), 0);
    lhttpd_server_t *s = live->server;
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_register_vm_factory(s, "/", &factory), 0);
    assert_int_equal(
        lhttpd_server_map_source(s, "/", "test.lua", source, strlen(source)),
        0);
    assert_int_equal(lhttpd_server_check(s), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    live->port = lhttpd_server_port(s, 0);
}

#define BIT(number) (1u << (number))

static void expect_masks(unsigned of_thread, unsigned of_forked)
{
    struct test_live live;
    char text[64];

    start(&live);
    snprintf(text, sizeof(text), "%u %u %u", of_thread, of_thread, of_forked);
    test_live_expect(&live, "/", text);
    test_live_stop(&live);
}

static void children_block_nothing_that_ends_them(void **state)
{
    (void)state;
    expect_masks(BIT(SIGPIPE) | BIT(SIGXFSZ), 0);
}

static atomic_uint caught;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&caught, 1);
}

/* Whoever catches what comes to writers has children that block nothing. */
static void caught_signals_need_no_block(void **state)
{
    (void)state;
    signal(SIGPIPE, on_signal);
    signal(SIGXFSZ, on_signal);
    expect_masks(0, 0);
    signal(SIGXFSZ, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
}

/* What the program waits for itself stays with it. */
static void the_programs_own_mask_is_kept(void **state)
{
    sigset_t set, before;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    expect_masks(BIT(SIGPIPE) | BIT(SIGXFSZ) | BIT(SIGTERM), 0);
    assert_int_equal(blocked(), BIT(SIGTERM));
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool runs(int pid)
{
    char path[64], text[256] = "";

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    if (!f)
        return false;
    size_t n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    return n > 0 && !strstr(text, ") Z ");
}

static void a_service_can_be_stopped(void **state)
{
    struct test_live live;
    sigset_t set, before;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    start(&live);
    int pid = (int)strtol(test_live_get(&live, "/service"), NULL, 10);
    assert_true(pid > 1);
    assert_true(runs(pid));
    assert_int_equal(kill(pid, SIGTERM), 0);
    for (int i = 0; i < 2000 && runs(pid); i++)
        usleep(10000);
    bool stopped = !runs(pid);
    if (!stopped)
        kill(pid, SIGKILL);
    assert_true(stopped);
    test_live_stop(&live);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void commands_end_as_ever(void **state)
{
    struct test_live live;

    (void)state;
    start(&live);
    test_live_expect(&live, "/results", "exit 0, exit 3, signal 9, shell");
    test_live_stop(&live);
    signal(SIGCHLD, SIG_IGN);
    start(&live);
    test_live_expect(&live, "/unknown", "ok");
    test_live_stop(&live);
    signal(SIGCHLD, SIG_DFL);
}

static void a_reader_that_left_ends_nobody(void **state)
{
    struct test_live live;

    (void)state;
    start(&live);
    test_live_expect(&live, "/writes", "refused");
    test_live_stop(&live);
    atomic_store(&caught, 0);
    signal(SIGPIPE, on_signal);
    start(&live);
    test_live_expect(&live, "/writes", "refused");
    test_live_stop(&live);
    signal(SIGPIPE, SIG_DFL);
    assert_true(atomic_load(&caught) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_block_nothing_that_ends_them),
        cmocka_unit_test(caught_signals_need_no_block),
        cmocka_unit_test(the_programs_own_mask_is_kept),
        cmocka_unit_test(a_service_can_be_stopped),
        cmocka_unit_test(commands_end_as_ever),
        cmocka_unit_test(a_reader_that_left_ends_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
