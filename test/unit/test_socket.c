/* httpd.connect: what test/e2e/test_connect.py cannot bring about.  The peer is
 * the server itself. */
#include "lib/client.h"
#include "lib/deny.h"
#include "lib/forked.h"
#include "lib/heap.h"
#include "lib/live.h"

#include <errno.h>
#include <lua.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const char script[] =
    "local function connect(env)\n"
    "  return assert(httpd.connect('127.0.0.1', env.SERVER_PORT))\n"
    "end\n"
    "test('plain', function() end)\n"
    "test('ask', function(env)\n"
    "  local s = connect(env)\n"
    "  assert(httpd.write(s, 'GET /plain HTTP/1.0\\r\\n\\r\\n'))\n"
    "  local all = assert(httpd.read(s, 'a'))\n"
    "  same(all:sub(-2), 'ok')\n"
    "end)\n"
    "test('named', function(env)\n"
    "  assert(httpd.connect('localhost', env.SERVER_PORT))\n"
    "end)\n"
    /* A finalizer runs wherever anything allocates, and does what it should
     * not: it ends the socket while its octets become a string. */
    "test('gc', function(env)\n"
    "  local s = connect(env)\n"
    "  local finish = getmetatable(s).__gc\n"
    "  httpd.write(s, 'GET /plain HTTP/1.0\\r\\n\\r\\n')\n"
    "  for i = 1, 2000 do\n"
    "    local p = newproxy and newproxy(true) or\n"
    "              setmetatable({}, {__gc = function() finish(s) end})\n"
    "    if newproxy then\n"
    "      getmetatable(p).__gc = function()\n"
    "        finish(s)\n"
    "        local r, why = httpd.connect('127.0.0.1', 1)\n"
    "        if r or why ~= 'not in a finalizer' then BAD = tostring(why) end\n"
    "        httpd.read(s)\n"
    "        httpd.write(s, 'x')\n"
    "        httpd.close(s)\n"
    "      end\n"
    "    end\n"
    "    p = nil\n"
    "    local data, why = httpd.read(s, 1)\n"
    "    if not data then break end\n"
    "  end\n"
    "  collectgarbage()\n"
    "  same(BAD, nil)\n"
    "  local data, why = httpd.read(s, 1)\n"
    "  same(data, nil)\n"
    "end)\n"
    "test('foreign', function()\n"
    "  local ok, why = pcall(httpd.close, {})\n"
    "  same(ok, false)\n"
    "  local mt = getmetatable(io.stdout)\n"
    "  same(pcall(httpd.read, setmetatable({}, {})), false)\n"
    "end)\n";

static struct test_live live;

static void test_asks_itself(void **state)
{
    static const char *const paths[] = {"/plain",   "/ask", "/gc",
                                        "/foreign", "/ask", NULL};

    (void)state;
    test_live_start(&live, 1, script);
    test_live_expect_all(&live, paths);
    test_live_stop(&live);
}

/* The thread of a look-up has told its outcome a moment before it lets go of
 * what it told it by. */
static int is_all_back(void *arg)
{
    (void)arg;
    return test_live_fds() == live.fds && test_heap_live() == 0;
}

static void stop_after_look_ups(void)
{
    assert_int_equal(lhttpd_server_stop(live.server, 20000), 0);
    lhttpd_server_destroy(live.server);
    test_live_until(is_all_back, NULL);
}

static void fail_each(const char *path, unsigned long most)
{
    for (unsigned long n = 1; n < most; n++) {
        test_heap_install(); /* while no other thread uses the heap */
        test_live_start(&live, 1, script);
        test_live_expect(&live, "/plain", "ok");
        test_heap_fail_at(n);
        int fd = test_live_ask(&live, path);
        char answer[4096];
        while (read(fd, answer, sizeof(answer)) > 0)
            continue;
        close(fd);
        test_heap_fail_at(0);
        test_live_expect(&live, path, "ok");
        stop_after_look_ups();
        test_heap_uninstall();
    }
}

static void test_allocations_fail(void **state)
{
    (void)state;
    fail_each("/ask", 60);
}

static void test_allocations_of_a_look_up_fail(void **state)
{
    (void)state;
    fail_each("/named", 40);
}

/* --- TLS ------------------------------------------------------------------ */

#define PAIR TEST_DATA "/tls/ec256"

static const char tls_script[] =
    "httpd.register_handler('/plain', function()\n"
    "  httpd.write(nil, 'ok')\n"
    "end)\n"
    "httpd.register_handler('/ask', function()\n"
    "  local s = assert(httpd.connect('127.0.0.1', TLS, {tls = true,\n"
    "    ca = '" TEST_DATA "/tls/root.pem', server_name = 'a.example.org'}))\n"
    "  assert(httpd.write(s, 'GET /plain HTTP/1.0\\r\\n\\r\\n'))\n"
    "  local all = assert(httpd.read(s, 'a'))\n"
    "  assert(all:sub(-2) == 'ok')\n"
    "  httpd.write(nil, 'ok')\n"
    "end)\n";

static void start_with_tls(void)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_certificate_t pair = lhttpd_certificate_init();
    char script_text[2048];

    live.fds = test_live_fds();
    config.workers = 1;
    pair.chain_file = PAIR ".pem";
    pair.key_file = PAIR ".key";
    assert_int_equal(lhttpd_server_create(&live.server, &config), 0);
    assert_int_equal(lhttpd_server_listen(live.server, "127.0.0.1", 0, 0), 0);
    assert_int_equal(
        lhttpd_server_listen(live.server, "127.0.0.1", 0, LHTTPD_LISTEN_TLS),
        1);
    assert_int_equal(lhttpd_server_add_certificate(live.server, &pair), 0);
    snprintf(script_text, sizeof(script_text), "TLS = %d\n%s",
             lhttpd_server_port(live.server, 1), tls_script);
    assert_int_equal(lhttpd_server_map_source(live.server, "/", "tls.lua",
                                              script_text, strlen(script_text)),
                     0);
    assert_int_equal(lhttpd_server_start(live.server), 0);
    live.port = lhttpd_server_port(live.server, 0);
}

static void test_allocations_of_tls_fail(void **state)
{
    (void)state;
    for (unsigned long n = 1; n < 60; n++) {
        test_heap_install(); /* while no other thread uses the heap */
        start_with_tls();
        test_live_expect(&live, "/plain", "ok");
        test_heap_fail_at(n);
        int fd = test_live_ask(&live, "/ask");
        char answer[4096];
        while (read(fd, answer, sizeof(answer)) > 0)
            continue;
        close(fd);
        test_heap_fail_at(0);
        test_live_expect(&live, "/ask", "ok");
        stop_after_look_ups();
        test_heap_uninstall();
    }
}

/* --- events that cannot be waited for ------------------------------------- */

#define EPOLL_MOD  3 /* EPOLL_CTL_MOD; of its two bits, the others have one */
#define OP         1 /* the argument of epoll_ctl() that says it */
#define GIVES_UP_S 20

/* A TLS peer that accepts nobody: the kernel connects all the same. */
static const char lost_script[] =
    "httpd.register_handler('/plain', function()\n"
    "  httpd.write(nil, 'ok')\n"
    "end)\n"
    "httpd.register_handler('/ask', function()\n"
    "  deny()\n"
    "  local s, why, code = httpd.connect('127.0.0.1', SILENT, {tls = true,\n"
    "    ca = '" TEST_DATA "/tls/root.pem', timeout = 600})\n"
    "  httpd.write(nil, tostring(s) .. ' ' .. why .. ' ' .. tostring(code))\n"
    "end)\n";

/* For the worker's thread alone, in which handlers run. */
static int deny_changes(lua_State *L)
{
    (void)L;
    if (!test_deny_bits(SYS_epoll_ctl, OP, EPOLL_MOD, ENOMEM))
        _exit(TEST_CANNOT);
    return 0;
}

static int give_deny(lua_State *L)
{
    lua_pushcfunction(L, deny_changes);
    lua_setglobal(L, "deny");
    return 0;
}

static int listen_on(int *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t n = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&address, n) || listen(fd, 1) ||
        getsockname(fd, (struct sockaddr *)&address, &n))
        _exit(1);
    *port = ntohs(address.sin_port);
    return fd;
}

static void start_with_deny(int silent)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    char text[2048];

    config.workers = 1;
    config.log_level = LHTTPD_LOG_ERROR;
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = give_deny;
    snprintf(text, sizeof(text), "SILENT = %d\n%s", silent, lost_script);
    if (lhttpd_server_create(&live.server, &config) ||
        lhttpd_server_listen(live.server, "127.0.0.1", 0, 0) ||
        lhttpd_server_map_source(live.server, "/", "lost.lua", text,
                                 strlen(text)) ||
        lhttpd_server_register_vm_factory(live.server, NULL, &factory) ||
        lhttpd_server_start(live.server))
        _exit(1);
    live.port = lhttpd_server_port(live.server, 0);
}

static int lose_what_is_watched(void *unused)
{
    int port, listener = listen_on(&port);
    char expected[80];

    (void)unused;
    alarm(GIVES_UP_S);
    start_with_deny(port);
    test_live_expect(&live, "/plain", "ok");
    snprintf(expected, sizeof(expected), "nil 127.0.0.1: %s %d",
             strerror(ENOMEM), ENOMEM);
    test_live_expect(&live, "/ask", expected);
    close(listener);
    return 0;
}

static void a_handshake_that_cannot_wait_ends(void **state)
{
    (void)state;
    assert_int_equal(test_forked(lose_what_is_watched, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asks_itself),
        cmocka_unit_test(test_allocations_fail),
        cmocka_unit_test(test_allocations_of_a_look_up_fail),
        cmocka_unit_test(test_allocations_of_tls_fail),
        cmocka_unit_test(a_handshake_that_cannot_wait_ends),
    };
    int r = cmocka_run_group_tests(tests, NULL, NULL);

    test_live_remove_dir();
    return r;
}
