/* Reloads by a program: states, threads, VM factories, lack of memory. */
#include "lhttpd.h"
#include "lib/client.h"
#include "lib/heap.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 2

static lhttpd_server_t *server;
static _Atomic int made, destroyed; /* VMs */
static int fails;                   /* whether setup does */

static struct lua_State *create_vm(void *context, unsigned worker)
{
    lua_State *L = luaL_newstate();

    (void)context;
    (void)worker;
    luaL_openlibs(L);
    atomic_fetch_add(&made, 1);
    return L;
}

static void destroy_vm(void *context, struct lua_State *L)
{
    (void)context;
    lua_close(L);
    atomic_fetch_add(&destroyed, 1);
}

/* What a C function on a worker thread gets. */
static int try_it(lua_State *L)
{
    lua_pushinteger(L, lhttpd_server_reload(server) +
                           lhttpd_server_set(server, "body_bytes", "5"));
    return 1;
}

static int inner; /* what a call while a reload loads returns */

static int setup_vm(lua_State *L)
{
    if (fails)
        return luaL_error(L, "no such device");
    inner = lhttpd_server_reload(server);
    lua_pushcfunction(L, try_it);
    lua_setglobal(L, "try_it");
    lua_pushinteger(L, atomic_load(&made));
    lua_setglobal(L, "made");
    return 0;
}

static const char script[] =
    "local number = made\n"
    "httpd.register_handler('/', function() httpd.write(nil, number) end)\n"
    "httpd.register_handler('/try', function() httpd.write(nil, try_it()) "
    "end)\n"
    "httpd.register_handler('/wait', function()\n"
    "  httpd.write(nil, tostring(select(2, httpd.sleep(60)))) end)\n";

static void begin(void)
{
    lhttpd_config_t config = lhttpd_config_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();

    config.workers = WORKERS;
    config.log_level = LHTTPD_LOG_ERROR;
    factory.lua_version = LUA_VERSION_NUM;
    factory.create = create_vm;
    factory.setup = setup_vm;
    factory.destroy = destroy_vm;
    atomic_store(&made, 0);
    atomic_store(&destroyed, 0);
    assert_int_equal(lhttpd_server_create(&server, &config), 0);
    assert_int_equal(lhttpd_server_listen(server, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_register_vm_factory(server, NULL, &factory),
                     0);
    assert_int_equal(lhttpd_server_map_source(server, "/", "script.lua", script,
                                              sizeof(script) - 1),
                     0);
}

static void start(void)
{
    begin();
    assert_int_equal(lhttpd_server_start(server), 0);
}

static void end(void)
{
    assert_int_equal(lhttpd_server_stop(server, 20000), 0);
    lhttpd_server_destroy(server);
    assert_int_equal(atomic_load(&made), atomic_load(&destroyed));
}

/* The number in the answer to a GET. */
static int answer(const char *path)
{
    char request[64], out[4096];

    snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    test_client_ask(lhttpd_server_port(server, 0), request, out, sizeof(out));
    const char *body = strstr(out, "\r\n\r\n");
    int number = 0;
    assert_non_null(body);
    assert_int_equal(sscanf(body, "%d", &number), 1);
    return number;
}

static void wait_for(const _Atomic int *count, int n)
{
    for (int i = 0; atomic_load(count) < n; i++) {
        assert_true(i < 20000);
        usleep(1000);
    }
}

static void it_needs_a_server_that_runs(void **state)
{
    (void)state;
    begin();
    assert_int_equal(lhttpd_server_reload(NULL), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_reload(server), LHTTPD_ESTATE);
    assert_non_null(
        strstr(lhttpd_server_error(server), "only while the server runs"));
    assert_int_equal(lhttpd_server_start(server), 0);
    assert_int_equal(inner, LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_reload(server), 0);
    assert_int_equal(inner, LHTTPD_ESTATE); /* while another one loads */
    assert_int_equal(answer("/try"), 2 * LHTTPD_ESTATE);
    int client = test_client_connect(lhttpd_server_port(server, 0));
    char out[4096];
    test_client_send(client, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    test_client_read_until(client, out, sizeof(out), "\r\n\r\n");
    lhttpd_server_shutdown(server, 20000);
    assert_int_equal(lhttpd_server_reload(server), LHTTPD_ESTATE);
    assert_non_null(strstr(lhttpd_server_error(server), "stops"));
    close(client);
    assert_int_equal(lhttpd_server_wait(server), 0);
    assert_int_equal(lhttpd_server_reload(server), LHTTPD_ESTATE);
    lhttpd_server_destroy(server);
    assert_int_equal(atomic_load(&made), atomic_load(&destroyed));
}

/* From the return on, whatever the workers are at. */
static void new_requests_meet_new_vms(void **state)
{
    (void)state;
    start();
    for (int i = 1; i <= 50; i++) {
        assert_true(answer("/") > (i - 1) * WORKERS);
        assert_int_equal(lhttpd_server_reload(server), 0);
        assert_true(answer("/") > i * WORKERS);
        assert_int_equal(atomic_load(&made), (i + 1) * WORKERS);
    }
    wait_for(&destroyed, 50 * WORKERS);
    assert_int_equal(atomic_load(&destroyed), 50 * WORKERS);
    end();
}

static void a_setup_that_fails_changes_nothing(void **state)
{
    (void)state;
    start();
    fails = 1;
    assert_int_equal(lhttpd_server_reload(server), LHTTPD_ESCRIPT);
    fails = 0;
    assert_non_null(
        strstr(lhttpd_server_error(server), "reload: nothing has changed: "));
    assert_non_null(strstr(lhttpd_server_error(server), "no such device"));
    assert_true(answer("/") <= WORKERS);
    assert_int_equal(atomic_load(&destroyed), 1);
    end();
}

static void what_waits_is_told(void **state)
{
    char out[4096];

    (void)state;
    start();
    int client = test_client_connect(lhttpd_server_port(server, 0));
    test_client_send(client, "GET /wait HTTP/1.0\r\n\r\n");
    struct pollfd news = {.fd = client, .events = POLLIN};
    /* Whichever VM it begins in, the next reload ends it. */
    for (int i = 0; poll(&news, 1, 10) == 0; i++) {
        assert_true(i < 2000);
        assert_int_equal(lhttpd_server_reload(server), 0);
    }
    test_client_read_all(client, out, sizeof(out));
    assert_non_null(strstr(out, "stopping"));
    close(client);
    end();
}

static void *reload_often(void *count)
{
    for (int i = 0; i < 20; i++)
        if (lhttpd_server_reload(server) == 0)
            atomic_fetch_add((_Atomic int *)count, 1);
        else if (!strstr(lhttpd_server_error(server), "another change"))
            atomic_fetch_add((_Atomic int *)count, 1000);
    return NULL;
}

static void one_thread_at_a_time(void **state)
{
    _Atomic int done = 0;
    pthread_t threads[3];

    (void)state;
    start();
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reload_often, &done),
                         0);
    for (int i = 0; i < 100; i++)
        answer("/");
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_in_range(atomic_load(&done), 1, 60);
    assert_int_equal(atomic_load(&made), (atomic_load(&done) + 1) * WORKERS);
    end();
}

static void a_stop_waits_for_it(void **state)
{
    _Atomic int done = 0;
    pthread_t thread;

    (void)state;
    for (int i = 0; i < 10; i++) {
        start();
        assert_int_equal(pthread_create(&thread, NULL, reload_often, &done), 0);
        wait_for(&made, WORKERS + 1);
        assert_int_equal(lhttpd_server_stop(server, 20000), 0);
        pthread_join(thread, NULL);
        lhttpd_server_destroy(server);
        assert_int_equal(atomic_load(&made), atomic_load(&destroyed));
    }
}

static void every_allocation_may_fail(void **state)
{
    unsigned long n;
    int r = LHTTPD_ENOMEM;

    (void)state;
    test_heap_install();
    start();
    answer("/");
    for (n = 1; r; n++) {
        assert_true(n < 2000);
        test_heap_fail_at(n);
        r = lhttpd_server_reload(server);
        test_heap_fail_at(0);
        if (r && r != LHTTPD_ENOMEM && r != LHTTPD_ESCRIPT)
            fail_msg("%d: %s", r, lhttpd_server_error(server));
        answer("/");
    }
    assert_true(n > 10);
    end();
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_needs_a_server_that_runs),
        cmocka_unit_test(new_requests_meet_new_vms),
        cmocka_unit_test(a_setup_that_fails_changes_nothing),
        cmocka_unit_test(what_waits_is_told),
        cmocka_unit_test(one_thread_at_a_time),
        cmocka_unit_test(a_stop_waits_for_it),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
