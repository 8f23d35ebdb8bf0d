/*
 * The public interface, used as an embedding program would: states, words of
 * errors, several servers, the VM factory, stops; and every allocation failing
 * once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/client.h"
#include "lib/deny.h"
#include "lib/forked.h"
#include "lib/heap.h"
#include "lhttpd.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define HELLO                                                                  \
    "httpd.register_handler('/', function()\n"                                 \
    "  httpd.header{['content-type'] = 'text/plain'}\n"                        \
    "  httpd.write(nil, 'hello\\n')\n"                                         \
    "end)\n"

#define GET "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"

struct impatient {
    lhttpd_server_t *s;
    atomic_bool enough;
};

static void no_log(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    (void)entry;
}

static lhttpd_config_t quiet(unsigned workers)
{
    lhttpd_config_t config = lhttpd_config_init();

    config.log = no_log;
    config.workers = workers;
    return config;
}

static lhttpd_server_t *make(const char *source, unsigned workers)
{
    lhttpd_config_t config = quiet(workers);
    lhttpd_server_t *s = NULL;

    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 0);
    if (source)
        assert_int_equal(lhttpd_server_map_source(s, "/", "test.lua", source,
                                                  strlen(source)),
                         0);
    return s;
}

static lhttpd_server_t *run(const char *source, unsigned workers)
{
    lhttpd_server_t *s = make(source, workers);

    int r = lhttpd_server_start(s);
    if (r != 0)
        print_error("%s\n", lhttpd_server_error(s));
    assert_int_equal(r, 0);
    return s;
}

static void ask(lhttpd_server_t *s, const char *request, char *out, size_t room)
{
    test_client_ask(lhttpd_server_port(s, 0), request, out, room);
}

static void serves_and_stops(void **state)
{
    lhttpd_server_t *s = run(HELLO, 2);
    char out[4096];

    (void)state;
    ask(s, GET, out, sizeof(out));
    assert_non_null(strstr(out, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(out, "\r\n\r\nhello\n"));
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    assert_int_equal(lhttpd_server_stop(s, 1000), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESTATE);
    lhttpd_server_destroy(s);
}

static void two_servers_do_not_know_of_each_other(void **state)
{
    lhttpd_server_t *a = run(HELLO, 1), *b = run(NULL, 1);
    char out[4096];

    (void)state;
    ask(a, GET, out, sizeof(out));
    assert_non_null(strstr(out, "hello"));
    ask(b, GET, out, sizeof(out));
    assert_non_null(strstr(out, "HTTP/1.1 404 Not Found\r\n"));
    lhttpd_server_destroy(a);
    ask(b, GET, out, sizeof(out));
    assert_non_null(strstr(out, "404"));
    lhttpd_server_destroy(b);
}

/* One server's clients are all held to the same. */
static void client_authorities_are_checked(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);
    lhttpd_client_ca_t ca = lhttpd_client_ca_init();

    (void)state;
    assert_int_equal(lhttpd_server_add_client_ca(NULL, &ca), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_add_client_ca(s, NULL), LHTTPD_EINVAL);
    ca.size = 0;
    assert_int_equal(lhttpd_server_add_client_ca(s, &ca), LHTTPD_EINVAL);
    ca = lhttpd_client_ca_init();
    assert_int_equal(lhttpd_server_add_client_ca(s, &ca), LHTTPD_ECERT);
    assert_int_equal(lhttpd_server_check(s), 0);
    ca.file = TEST_DATA "/tls/root.pem";
    assert_int_equal(lhttpd_server_add_client_ca(s, &ca), 0);
    ca.optional = 1;
    assert_int_equal(lhttpd_server_add_client_ca(s, &ca), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "were required before"));
    assert_int_equal(lhttpd_server_check(s), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "no listener speaks TLS"));
    lhttpd_server_destroy(s);
    s = make(HELLO, 1);
    assert_int_equal(lhttpd_server_set(s, "client_verify", "optional"), 0);
    assert_int_equal(lhttpd_server_check(s), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_add_client_ca(s, &ca), 0);
    lhttpd_server_destroy(s);
}

static void create_refuses_impossible_structs(void **state)
{
    lhttpd_config_t config = quiet(1);
    lhttpd_limits_t limits = lhttpd_limits_init();
    lhttpd_server_t *s;

    (void)state;
    assert_int_equal(lhttpd_server_create(NULL, NULL), LHTTPD_EINVAL);
    config.size = 3;
    assert_int_equal(lhttpd_server_create(&s, &config), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(NULL), "lhttpd_config_init"));
    config = quiet(100000);
    assert_int_equal(lhttpd_server_create(&s, &config), LHTTPD_EINVAL);
    config = quiet(1);
    config.log_level = (lhttpd_log_level_t)99;
    assert_int_equal(lhttpd_server_create(&s, &config), LHTTPD_EINVAL);
    config = quiet(1);
    config.server_name = "bad\r\nname: x";
    assert_int_equal(lhttpd_server_create(&s, &config), LHTTPD_EINVAL);
    config = quiet(1);
    limits.size = 0;
    config.limits = &limits;
    assert_int_equal(lhttpd_server_create(&s, &config), LHTTPD_EINVAL);
    lhttpd_server_destroy(NULL);
}

/* A program that was compiled when the struct had two members. */
static void an_older_struct_is_read_no_further(void **state)
{
    struct {
        size_t size;
        unsigned workers;
    } older = {sizeof(older), 1};
    lhttpd_server_t *s = NULL;

    (void)state;
    assert_int_equal(
        lhttpd_server_create(&s, (const lhttpd_config_t *)(void *)&older), 0);
    lhttpd_server_destroy(s);
}

static void words_say_what_is_wrong(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);

    (void)state;
    assert_int_equal(lhttpd_server_map_source(s, "", "again.lua", "", 0),
                     LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "test.lua"));
    assert_int_equal(lhttpd_server_map_script(s, "/a/../b", "x.lua"),
                     LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "/a/../b"));
    assert_int_equal(lhttpd_server_map_script(s, "/x", NULL), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 70000, 0),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_listen(s, "no.such.host", 0, 0),
                     LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "no.such.host"));
    assert_int_equal(lhttpd_server_listen(s, NULL, 0, 128), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_wait(s), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_map_script(s, "/y", "/no/such.lua"), 0);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESCRIPT);
    assert_non_null(strstr(lhttpd_server_error(s), "/no/such.lua"));
    lhttpd_server_destroy(s);
}

static void assert_not_set(lhttpd_server_t *s, const char *name,
                           const char *value, int error, const char *words)
{
    assert_int_equal(lhttpd_server_set(s, name, value), error);
    if (!strstr(lhttpd_server_error(s), words))
        fail_msg("%s: %s", name, lhttpd_server_error(s));
}

#define FOUR "POST / HTTP/1.0\r\ncontent-length: 4\r\n\r\nfour"

static void expect_words(lhttpd_server_t *s, int result, int error,
                         const char *begin)
{
    const char *text = lhttpd_server_error(s);

    assert_int_equal(result, error);
    if (strncmp(text, begin, strlen(begin)) != 0)
        fail_msg("'%s' does not begin with '%s'", text, begin);
}

/* Those that any thread may call have words too, which do not stay in the way
 * of those of the next call. */
static void words_are_of_the_last_call(void **state)
{
    lhttpd_stats_t stats = {0};
    lhttpd_handler_stats_t of_one = lhttpd_handler_stats_init();
    lhttpd_server_t *s = make("error('no device')", 1);

    (void)state;
    expect_words(s, lhttpd_server_publish(s, "a", "b", 1), LHTTPD_ESTATE,
                 "lhttpd_server_publish: ");
    expect_words(s, lhttpd_server_start(s), LHTTPD_ESCRIPT, "test.lua:1: ");
    expect_words(s, lhttpd_server_fd(s), LHTTPD_ESTATE, "lhttpd_server_fd: ");
    expect_words(s, lhttpd_server_attach(s), LHTTPD_ESCRIPT, "test.lua:1: ");
    expect_words(s, lhttpd_server_next_timeout(s), LHTTPD_ESTATE,
                 "lhttpd_server_next_timeout: ");
    expect_words(s, lhttpd_server_port(s, 1), LHTTPD_EINVAL,
                 "lhttpd_server_port: ");
    expect_words(s, lhttpd_server_listener_fd(s, -1), LHTTPD_EINVAL,
                 "lhttpd_server_listener_fd: ");
    expect_words(s, lhttpd_server_set(s, "aio", "x"), LHTTPD_EINVAL, "aio=x: ");
    expect_words(s, lhttpd_server_stats(s, &stats), LHTTPD_EINVAL,
                 "lhttpd_server_stats: ");
    expect_words(s, lhttpd_server_handler_stats(s, 7, &of_one), LHTTPD_EINVAL,
                 "lhttpd_server_handler_stats: ");
    lhttpd_server_destroy(s);
}

/* Those of an earlier call would say what is not so. */
static void words_without_a_server_are_of_the_last_call(void **state)
{
    lhttpd_limits_t limits = lhttpd_limits_init();
    lhttpd_server_t *s;

    (void)state;
    expect_words(NULL, lhttpd_limits_set(&limits, "body_rat", "1"),
                 LHTTPD_EINVAL, "body_rat=1: there is no such limit");
    expect_words(NULL, lhttpd_limits_set(&limits, "body_rate", "fast"),
                 LHTTPD_EINVAL, "body_rate=fast: not a decimal number");
    expect_words(NULL, lhttpd_limits_set(&limits, NULL, "1"), LHTTPD_EINVAL,
                 "lhttpd_limits_set: ");
    expect_words(NULL, lhttpd_server_start(NULL), LHTTPD_EINVAL,
                 "the server is NULL");
    expect_words(NULL, lhttpd_server_create(NULL, NULL), LHTTPD_EINVAL,
                 "lhttpd_server_create: ");
    expect_words(NULL, lhttpd_server_port(NULL, 0), LHTTPD_EINVAL,
                 "the server is NULL");
    s = make(HELLO, 1);
    expect_words(s, lhttpd_server_port(s, 9), LHTTPD_EINVAL,
                 "lhttpd_server_port: ");
    lhttpd_server_destroy(s);
}

/* Neither the system's other way nor that of another system. */
static void file_operations_are_as_the_system_has_them(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);

    (void)state;
    assert_not_set(s, "aio", "posix uring", LHTTPD_EINVAL,
                   "aio=posix uring: not auto, ");
#if defined(__linux__)
    assert_not_set(s, "aio", "posix", LHTTPD_EINVAL,
                   "aio=posix: not auto, uring, threads or inline");
#endif
    setenv("LHTTPD_AIO", "fast", 1);
    expect_words(s, lhttpd_server_check(s), LHTTPD_EINVAL,
                 "LHTTPD_AIO=fast: not auto, ");
    expect_words(s, lhttpd_server_start(s), LHTTPD_EINVAL, "LHTTPD_AIO=fast: ");
    setenv("LHTTPD_AIO", "", 1);
    assert_int_equal(lhttpd_server_check(s), 0);
    setenv("LHTTPD_AIO", "fast", 1); /* what is set goes before it */
    assert_int_equal(lhttpd_server_set(s, "aio", "threads"), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    unsetenv("LHTTPD_AIO");
    lhttpd_server_destroy(s);
}

static void settings_and_limits_are_set_by_name(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);
    char where[64], out[4096];

    (void)state;
    assert_int_equal(lhttpd_server_set(NULL, "body_bytes", "1"), LHTTPD_EINVAL);
    assert_not_set(s, NULL, "1", LHTTPD_EINVAL, "name is NULL");
    assert_not_set(s, "body_bytes", NULL, LHTTPD_EINVAL, "value is NULL");
    assert_not_set(s, "body_byte", "1", LHTTPD_EINVAL,
                   "body_byte: there is no such");
    assert_not_set(s, "body_bytes", "3M", LHTTPD_EINVAL,
                   "body_bytes=3M: not a decimal number");
    assert_not_set(s, "body_bytes", "0", LHTTPD_EINVAL, "body_bytes=0: ");
    assert_not_set(s, "unix_mode", "0888", LHTTPD_EINVAL, "unix_mode=0888: ");
    assert_not_set(s, "unix_mode", "01000", LHTTPD_EINVAL, "up to 0777");
    assert_not_set(s, "unix_mode", "", LHTTPD_EINVAL, "unix_mode=: ");
    assert_not_set(s, "unix_owner", "no such user", LHTTPD_EUSER,
                   "unix_owner=no such user: ");
    assert_not_set(s, "unix_group", "no such group", LHTTPD_EUSER,
                   "unix_group=no such group: ");
    assert_int_equal(lhttpd_server_set(s, "unix_group", "0"), 0);
    assert_int_equal(lhttpd_server_set(s, "body_bytes", "unlimited"), 0);
    assert_int_equal(lhttpd_server_set(s, "body_bytes", "3"), 0);
    assert_int_equal(lhttpd_server_set(s, "unix_mode", "0600"), 0);
    snprintf(where, sizeof(where), "unix:test_lhttpd.%d.sock", (int)getpid());
    assert_int_equal(lhttpd_server_listen(s, where, 0, 0), 1);
    assert_not_set(s, "unix_mode", "0660", LHTTPD_ESTATE, where);
    assert_int_equal(lhttpd_server_start(s), 0);
    assert_not_set(s, "hpack_table_bytes", "4", LHTTPD_ESTATE,
                   "hpack_table_bytes=4: it can be set before start only");
    assert_not_set(s, "unix_mode", "0600", LHTTPD_ESTATE, "before start");
    assert_not_set(s, "body_byte", "4", LHTTPD_EINVAL, "there is no such");
    assert_not_set(s, "body_bytes", "four", LHTTPD_EINVAL, "not a decimal");
    ask(s, FOUR, out, sizeof(out));
    assert_non_null(strstr(out, " 413 "));
    for (int i = 0; i < 100; i++) { /* whatever the workers do meanwhile */
        const char *most = i % 2 ? "3" : "4";
        assert_int_equal(lhttpd_server_set(s, "body_bytes", most), 0);
        ask(s, FOUR, out, sizeof(out));
        assert_non_null(strstr(out, i % 2 ? " 413 " : " 200 "));
    }
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    assert_not_set(s, "body_bytes", "4", LHTTPD_ESTATE, "does not run");
    assert_int_equal(access(where + 5, F_OK), -1);
    lhttpd_server_destroy(s);
}

static void the_server_s_name_is_set(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);
    char out[4096];

    (void)state;
    assert_not_set(s, "server_name", "a\r\nb: c", LHTTPD_EINVAL,
                   "header field");
    assert_int_equal(lhttpd_server_set(s, "server_name", ""), 0);
    assert_int_equal(lhttpd_server_set(s, "server_name", "box/2"), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    ask(s, "GET / HTTP/1.0\r\n\r\n", out, sizeof(out));
    assert_non_null(strstr(out, "server: box/2\r\n"));
    assert_not_set(s, "server_name", "", LHTTPD_ESTATE, "before start");
    lhttpd_server_destroy(s);
    s = make(HELLO, 1);
    assert_int_equal(lhttpd_server_set(s, "server_name", ""), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    ask(s, "GET / HTTP/1.0\r\n\r\n", out, sizeof(out));
    assert_null(strstr(out, "server:"));
    lhttpd_server_destroy(s);
}

static void a_script_that_does_not_load_stops_the_start(void **state)
{
    lhttpd_server_t *s = make("httpd.register_handler(\n\n+)", 1);

    (void)state;
    assert_int_equal(lhttpd_server_check(s), LHTTPD_ESCRIPT);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESCRIPT);
    assert_non_null(strstr(lhttpd_server_error(s), "test.lua:3"));
    lhttpd_server_destroy(s);
}

static void tls_needs_a_certificate(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);

    (void)state;
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, LHTTPD_LISTEN_TLS),
                     1);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_EINVAL);
    lhttpd_server_destroy(s);
}

/* Another one there would only be in use, for ever. */
static void an_address_is_listened_on_once(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);
    char where[64];

    (void)state;
    assert_int_equal(
        lhttpd_server_listen(s, "127.0.0.1", lhttpd_server_port(s, 0), 0),
        LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "127.0.0.1:"));
    assert_non_null(strstr(lhttpd_server_error(s), "already"));
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 1);
    snprintf(where, sizeof(where), "unix:test_lhttpd.%d.sock", (int)getpid());
    assert_int_equal(lhttpd_server_listen(s, where, 0, 0), 2);
    assert_int_equal(lhttpd_server_listen(s, where, 0, 0), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), where));
    lhttpd_server_destroy(s);
    assert_int_equal(access(where + 5, F_OK), -1);
}

/* For a check nothing has to be opened. */
static void listeners_may_be_for_a_check_alone(void **state)
{
    const unsigned check = LHTTPD_LISTEN_CHECK;
    lhttpd_server_t *s = NULL;

    (void)state;
    assert_int_equal(lhttpd_server_create(&s, NULL), 0);
    assert_int_equal(lhttpd_server_listen(s, "here", 0, check), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_listen(s, "unix:/no/such/s", 0, check), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 80,
                                          check | LHTTPD_LISTEN_REDIRECT),
                     1);
    assert_int_equal(lhttpd_server_port(s, 1), 80);
    assert_int_equal(lhttpd_server_listener_fd(s, 1), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_check(s), LHTTPD_EINVAL);
    assert_string_equal(lhttpd_server_error(s), "listener 127.0.0.1:80: there "
                                                "is no TLS port to redirect "
                                                "to");
    assert_int_equal(lhttpd_server_start(s), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "LHTTPD_LISTEN_CHECK"));
    assert_int_equal(lhttpd_server_adopt(s, 0, check), LHTTPD_EINVAL);
    lhttpd_server_destroy(s);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Whatever was wrong: it is mended, and the next start finds the rest. */
static void a_start_that_failed_is_repeated(void **state)
{
    lhttpd_certificate_t certificate = lhttpd_certificate_init();
    lhttpd_server_t *s = make(NULL, 2);
    struct rlimit before, few;
    char path[64], out[4096];

    (void)state;
    snprintf(path, sizeof(path), "test_lhttpd.%d.lua", (int)getpid());
    assert_int_equal(lhttpd_server_map_script(s, "/", path), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, LHTTPD_LISTEN_TLS),
                     1);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_EINVAL);
    certificate.chain_file = TEST_DATA "/tls/ec256.pem";
    certificate.key_file = TEST_DATA "/tls/ec256.key";
    assert_int_equal(lhttpd_server_add_certificate(s, &certificate), 0);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESCRIPT); /* no file */
    write_file(path, "error('not yet')");
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESCRIPT);
    assert_non_null(strstr(lhttpd_server_error(s), "not yet"));
    write_file(path, HELLO);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 8;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESYSTEM);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    ask(s, GET, out, sizeof(out));
    assert_non_null(strstr(out, "hello"));
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    lhttpd_server_destroy(s);
    assert_int_equal(unlink(path), 0);
}

/* As the header's table says: what has stopped has stopped for good. */
static void after_the_stop_nothing_is_set_up(void **state)
{
    lhttpd_certificate_t certificate = lhttpd_certificate_init();
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    lhttpd_server_t *s = run(HELLO, 1);
    int port = lhttpd_server_port(s, 0);

    (void)state;
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    assert_int_equal(lhttpd_server_set(s, "body_bytes", "1"), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_add_certificate(s, &certificate),
                     LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_listen(s, NULL, 0, 0), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_adopt(s, 0, 0), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_map_script(s, "/a", "a"), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_map_source(s, "/a", "a", "", 0),
                     LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_register_vm_factory(s, "/a", &factory),
                     LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_check(s), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_wait(s), LHTTPD_ESTATE);
    assert_int_equal(lhttpd_server_port(s, 0), port);
    lhttpd_server_shutdown(s, 0);
    lhttpd_server_log(s, LHTTPD_LOG_NOTICE, "still logs");
    lhttpd_server_destroy(s);
}

/* Symbols for those who cannot use inline functions; the size is theirs. */
static void structs_are_made_ready(void **state)
{
    lhttpd_config_t config;
    lhttpd_daemon_t daemon;
    size_t older = offsetof(lhttpd_config_t, server_name);

    (void)state;
    memset(&config, 'x', sizeof(config));
    lhttpd_struct_init(&config, older);
    assert_int_equal(config.size, older);
    assert_null(config.log);
    assert_true(((unsigned char *)&config)[older] == 'x');
    lhttpd_struct_init(&config, sizeof(config.size) - 1);
    assert_int_equal(config.size, older);
    lhttpd_struct_init(NULL, sizeof(config));
    lhttpd_struct_init(&daemon, sizeof(daemon));
    assert_int_equal(lhttpd_process_ready(&daemon), LHTTPD_ESTATE);
}

static void redirect_needs_a_tls_listener(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1);
    char where[64];

    (void)state;
    assert_int_equal(
        lhttpd_server_listen(s, "127.0.0.1", 0, LHTTPD_LISTEN_REDIRECT), 1);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_EINVAL);
    /* One on a unix socket has no port to go to. */
    snprintf(where, sizeof(where), "unix:test_lhttpd.%d.sock", (int)getpid());
    assert_int_equal(lhttpd_server_listen(s, where, 0, LHTTPD_LISTEN_TLS), 2);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "redirect"));
    lhttpd_server_destroy(s);
}

static void a_socket_is_adopted_once(void **state)
{
    lhttpd_server_t *s = make(HELLO, 1), *other = make(HELLO, 1);
    struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0), again;

    (void)state;
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(fd, 5), 0);
    again = dup(fd);
    assert_int_equal(lhttpd_server_adopt(s, fd, 0), 1);
    assert_int_equal(lhttpd_server_adopt(s, fd, 0), LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "listener 1 already"));
    assert_int_equal(lhttpd_server_adopt(s, again, 0), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_adopt(other, again, 0), 1);
    assert_int_equal(lhttpd_server_adopt(s, -1, 0), LHTTPD_EADDRESS);
    lhttpd_server_destroy(s);
    lhttpd_server_destroy(other);
}

static void ask_unix(const char *path, const char *request, char *out,
                     size_t room)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(where.sun_path, sizeof(where.sun_path), "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&where, sizeof(where)), 0);
    test_client_send(fd, request);
    test_client_read_all(fd, out, room);
    close(fd);
}

static void a_redirect_needs_a_host(void **state)
{
    lhttpd_certificate_t certificate = lhttpd_certificate_init();
    lhttpd_server_t *s = make(HELLO, 1);
    char where[64], expected[64], out[4096];

    (void)state;
    certificate.chain_file = TEST_DATA "/tls/ec256.pem";
    certificate.key_file = TEST_DATA "/tls/ec256.key";
    assert_int_equal(lhttpd_server_add_certificate(s, &certificate), 0);
    snprintf(where, sizeof(where), "unix:test_lhttpd.%d.sock", (int)getpid());
    assert_int_equal(lhttpd_server_listen(s, where, 0, LHTTPD_LISTEN_REDIRECT),
                     1);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, LHTTPD_LISTEN_TLS),
                     2);
    assert_int_equal(lhttpd_server_start(s), 0);
    ask_unix(where + 5, "GET /x HTTP/1.0\r\nhost: a.example\r\n\r\n", out,
             sizeof(out));
    snprintf(expected, sizeof(expected), "location: https://a.example:%d/x\r\n",
             lhttpd_server_port(s, 2));
    assert_non_null(strstr(out, expected));
    ask_unix(where + 5, "GET /x HTTP/1.0\r\n\r\n", out, sizeof(out));
    assert_non_null(strstr(out, "HTTP/1.1 400 Bad Request\r\n"));
    assert_null(strstr(out, "location"));
    lhttpd_server_destroy(s);
}

static atomic_int given_up, in_trouble;
static atomic_ulong turns;

static void count_troubles(void *context, const lhttpd_log_entry_t *entry)
{
    const char *n = strstr(entry->message, " requests in all; ");

    (void)context;
    given_up += strstr(entry->message, "takes no clients any more: ") != NULL;
    in_trouble += strstr(entry->message, "no client can be accepted: ") != NULL;
    if (n)
        turns += strtoul(n + strlen(" requests in all; "), NULL, 10);
}

static lhttpd_config_t troubled(unsigned workers)
{
    lhttpd_config_t config = quiet(workers);

    config.log = count_troubles;
    config.log_level = LHTTPD_LOG_DEBUG;
    given_up = in_trouble = 0;
    turns = 0;
    return config;
}

/* A worker that tried again at once would turn a few hundred thousand times. */
#define TURNS_MAX 2000

/* A filter of system calls, say, refuses every accept: that is said once, and
 * tried again after a while.  In a process of its own, which keeps the filter.
 */
static int without_accept(void *unused)
{
    lhttpd_config_t config = troubled(1);
    lhttpd_server_t *s;

    (void)unused;
    if (lhttpd_server_create(&s, &config) ||
        lhttpd_server_listen(s, "127.0.0.1", 0, 0))
        return 1;
    if (!test_deny(SYS_accept4, TEST_ANY_ARGUMENT, EPERM))
        return TEST_CANNOT;
    if (lhttpd_server_start(s))
        return 2;
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    for (int i = 0; i < 1000 && !in_trouble; i++)
        usleep(10000);
    usleep(500000);
    close(fd);
    lhttpd_server_stop(s, 0);
    lhttpd_server_destroy(s);
    return in_trouble != 1 ? 3 : turns > TURNS_MAX ? 4 : 0;
}

static void an_accept_that_fails_is_not_tried_at_once(void **state)
{
    (void)state;
    assert_int_equal(test_forked(without_accept, NULL), 0);
}

/* Somebody who has the socket too has shut it down: that is said once, and the
 * other listener serves on. */
static void a_listener_may_break(void **state)
{
    lhttpd_config_t config = troubled(2);
    struct sockaddr_in any = {.sin_family = AF_INET};
    lhttpd_server_t *s;
    char out[4096];

    (void)state;
    int fd = socket(AF_INET, SOCK_STREAM, 0), again = dup(fd);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 0);
    assert_int_equal(lhttpd_server_adopt(s, fd, 0), 1);
    assert_int_equal(
        lhttpd_server_map_source(s, "/", "x", HELLO, strlen(HELLO)), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    assert_int_equal(shutdown(again, SHUT_RD), 0);
    for (int i = 0; i < 1000 && !given_up; i++)
        usleep(10000);
    for (int i = 0; i < 8; i++) {
        ask(s, GET, out, sizeof(out));
        assert_non_null(strstr(out, "hello"));
    }
    assert_int_equal(given_up, 1);
    usleep(300000);
    close(again);
    lhttpd_server_destroy(s);
    assert_in_range(turns, 2, TURNS_MAX);
}

static void routes_by_prefix_and_name(void **state)
{
    static const char ui[] =
        "local function say(t) return function(env)\n"
        "  httpd.write(nil, t .. ':' .. env.HANDLER_NAME) end end\n"
        "httpd.register_handler('/', say 'root')\n"
        "httpd.register_handler('/a', say 'a')\n"
        "httpd.register_handler('/w/*', say 'wild')\n"
        "httpd.register_handler('/notfound', say 'nope')\n";
    static const struct {
        const char *request, *answer;
    } cases[] = {
        {"GET /ui/a HTTP/1.0\r\n\r\n", "a:/a"},
        {"GET /ui/ HTTP/1.0\r\n\r\n", "root:/"},
        {"GET /ui HTTP/1.0\r\n\r\n", "location: /ui/\r\n"},
        {"GET /ui?x=1 HTTP/1.0\r\n\r\n", "location: /ui/?x=1\r\n"},
        {"GET /ui/w/x/y HTTP/1.0\r\n\r\n", "wild:/w/*"},
        {"GET /ui/zzz HTTP/1.0\r\n\r\n", "404 Not Found"},
        {"GET /uix HTTP/1.0\r\n\r\n", "404 Not Found"},
        {"TRACE /ui/a HTTP/1.0\r\n\r\n", "501 Not Implemented"},
        {"OPTIONS * HTTP/1.0\r\n\r\n", "204 No Content"},
        {"GET * HTTP/1.0\r\n\r\n", "400 Bad Request"},
    };
    lhttpd_server_t *s = make(NULL, 1);
    char out[4096];

    (void)state;
    assert_int_equal(
        lhttpd_server_map_source(s, "ui", "ui.lua", ui, sizeof(ui) - 1), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ask(s, cases[i].request, out, sizeof(out));
        if (!strstr(out, cases[i].answer))
            fail_msg("%s: %s", cases[i].request, out);
    }
    lhttpd_server_destroy(s);
}

static void sixteen_pipelined_requests_are_answered_in_order(void **state)
{
    static const char script[] =
        "local n = 0\n"
        "httpd.register_handler('/', function()\n"
        "  n = n + 1 httpd.write(nil, 'answer ' .. n .. ';')\n"
        "end)\n";
    lhttpd_server_t *s = run(script, 1);
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    char out[8192], requests[2048] = "";

    (void)state;
    for (int i = 0; i < 16; i++)
        strncat(requests, "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
                sizeof(requests) - strlen(requests) - 1);
    test_client_send(fd, requests);
    test_client_read_until(fd, out, sizeof(out), "answer 16;");
    const char *at = out;
    for (int i = 1; i <= 16; i++) {
        char text[32];
        snprintf(text, sizeof(text), "answer %d;", i);
        at = strstr(at, text);
        assert_non_null(at);
    }
    close(fd);
    lhttpd_server_destroy(s);
}

/* --- the VM factory ------------------------------------------------------- */

static int made, destroyed;

static struct lua_State *create_vm(void *context, unsigned worker)
{
    lua_State *L = luaL_newstate();

    (void)worker;
    assert_ptr_equal(context, &made);
    if (L)
        luaL_openlibs(L);
    made++;
    return L;
}

static int device(lua_State *L)
{
    lua_pushinteger(L, 42);
    return 1;
}

static int setup_vm(lua_State *L)
{
    assert_ptr_equal(lua_touserdata(L, 1), &made);
    lua_pushcfunction(L, device);
    lua_setglobal(L, "device");
    return luaL_dostring(L, "httpd.register_handler('/', function()"
                            " httpd.write(nil, 'device ' .. device()) end)");
}

static void destroy_vm(void *context, struct lua_State *L)
{
    (void)context;
    lua_close(L);
    destroyed++;
}

static int setup_fails(lua_State *L)
{
    return luaL_error(L, "no such device");
}

static void a_vm_factory_alone_serves(void **state)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    lhttpd_server_t *s = make(NULL, 2);
    char out[4096];

    (void)state;
    factory.lua_version = LUA_VERSION_NUM;
    factory.context = &made;
    factory.create = create_vm;
    factory.setup = setup_vm;
    factory.destroy = destroy_vm;
    assert_int_equal(lhttpd_server_register_vm_factory(s, "/", &factory), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    assert_int_equal(made, 2);
    ask(s, GET, out, sizeof(out));
    assert_non_null(strstr(out, "device 42"));
    lhttpd_server_destroy(s);
    assert_int_equal(destroyed, 2);
}

static void a_factory_of_another_lua_is_an_error(void **state)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    lhttpd_server_t *s = make(HELLO, 1);

    (void)state;
    factory.lua_version = 500;
    assert_int_equal(lhttpd_server_register_vm_factory(s, NULL, &factory), 0);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESCRIPT);
    lhttpd_server_destroy(s);
}

static void an_error_in_setup_is_the_start_s(void **state)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    lhttpd_server_t *s = make(HELLO, 1);

    (void)state;
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = setup_fails;
    assert_int_equal(lhttpd_server_register_vm_factory(s, NULL, &factory), 0);
    assert_int_equal(lhttpd_server_start(s), LHTTPD_ESCRIPT);
    assert_non_null(strstr(lhttpd_server_error(s), "no such device"));
    lhttpd_server_destroy(s);
}

/* Its last octet has left before the response ends: the end itself has none. */
static void a_response_may_end_without_octets(void **state)
{
    static const char script[] =
        "httpd.register_handler('/', function()\n"
        "  httpd.header{['content-length'] = 5}\n"
        "  httpd.write(nil, 'whole') httpd.flush() httpd.sleep(0.01)\n"
        "  finished = httpd.finish()\n"
        "end)\n"
        "httpd.register_handler('/then', function()\n"
        "  httpd.write(nil, 'finished: ' .. tostring(finished))\n"
        "end)\n";
    lhttpd_server_t *s = run(script, 1);
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    char out[4096];

    (void)state;
    test_client_send(fd, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    test_client_read_until(fd, out, sizeof(out), "whole");
    test_client_send(fd, "GET /then HTTP/1.1\r\nhost: x\r\n\r\n");
    test_client_read_until(fd, out, sizeof(out), "finished: true");
    close(fd);
    lhttpd_server_destroy(s);
}

/* --- stopping ------------------------------------------------------------- */

#define SLOW                                                                   \
    "httpd.register_handler('/', function()\n"                                 \
    "  httpd.header{} httpd.write(nil, 'begun ') httpd.flush()\n"              \
    "  httpd.sleep(0.3)\n"                                                     \
    "  httpd.write(nil, 'ended')\n"                                            \
    "end)\n"

static void a_request_under_way_is_answered(void **state)
{
    lhttpd_server_t *s = run(SLOW, 1);
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    char out[4096];

    (void)state;
    test_client_send(fd, GET);
    test_client_read_until(fd, out, sizeof(out), "begun");
    lhttpd_server_shutdown(s, 10000);
    test_client_read_all(fd, out, sizeof(out));
    assert_non_null(strstr(out, "ended"));
    close(fd);
    assert_int_equal(lhttpd_server_wait(s), 0);
    lhttpd_server_destroy(s);
}

/* The stop wakes handlers on every worker in the turn in which it leaves the
 * listeners: what runs then must not arm them for others any more. */
static void workers_stop_in_the_midst_of_work(void **state)
{
    static const char script[] =
        "httpd.register_handler('/', function()\n"
        "  httpd.header{} httpd.write(nil, 'begun ') httpd.flush()\n"
        "  httpd.sleep(60, 60)\n"
        "  httpd.write(nil, 'ended')\n"
        "end)\n";
    int fd[8];
    char out[4096];

    (void)state;
    for (int round = 0; round < 10; round++) {
        lhttpd_server_t *s = run(script, 4);
        for (int i = 0; i < 8; i++) {
            fd[i] = test_client_connect(lhttpd_server_port(s, 0));
            test_client_send(fd[i], GET);
            test_client_read_until(fd[i], out, sizeof(out), "begun");
        }
        lhttpd_server_shutdown(s, 10000);
        for (int i = 0; i < 8; i++) {
            test_client_read_all(fd[i], out, sizeof(out));
            assert_non_null(strstr(out, "ended"));
            close(fd[i]);
        }
        assert_int_equal(lhttpd_server_wait(s), 0);
        lhttpd_server_destroy(s);
    }
}

static void past_the_grace_it_is_cut(void **state)
{
    static const char script[] =
        "httpd.register_handler('/', function()\n"
        "  httpd.header{} httpd.write(nil, 'begun ') httpd.flush()\n"
        "  httpd.read(nil, 5)\n"
        "  httpd.write(nil, 'ended')\n"
        "end)\n";
    lhttpd_server_t *s = run(script, 1);
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    char out[4096];

    (void)state;
    test_client_send(fd, "POST / HTTP/1.1\r\nhost: x\r\n"
                         "content-length: 5\r\n\r\n");
    test_client_read_until(fd, out, sizeof(out), "begun");
    lhttpd_server_shutdown(s, 60000);
    lhttpd_server_shutdown(s, 0); /* a further call only shortens */
    lhttpd_server_shutdown(s, 60000);
    assert_int_equal(lhttpd_server_wait(s), LHTTPD_ECUT);
    test_client_read_all(fd, out, sizeof(out));
    assert_null(strstr(out, "ended"));
    close(fd);
    lhttpd_server_destroy(s);
}

static void idle_clients_do_not_hold_up_a_stop(void **state)
{
    lhttpd_server_t *s = run(HELLO, 1);
    int silent = test_client_connect(lhttpd_server_port(s, 0));
    int idle = test_client_connect(lhttpd_server_port(s, 0));
    char out[4096];

    (void)state;
    test_client_send(idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    test_client_read_until(idle, out, sizeof(out), "hello");
    assert_int_equal(lhttpd_server_stop(s, 20000), 0);
    assert_int_equal(test_client_read_all(silent, out, sizeof(out)), 0);
    assert_int_equal(test_client_read_all(idle, out, sizeof(out)), 0);
    close(silent);
    close(idle);
    lhttpd_server_destroy(s);
}

static lhttpd_server_t *to_stop;

static int stop_it(lua_State *L)
{
    lua_pushinteger(L, lhttpd_server_stop(to_stop, 0));
    lhttpd_server_destroy(to_stop); /* ignored on a worker thread */
    lhttpd_server_shutdown(to_stop, 5000);
    return 1;
}

static int setup_stop(lua_State *L)
{
    lua_pushcfunction(L, stop_it);
    lua_setglobal(L, "stop_it");
    return 0;
}

static void a_handler_may_shut_down_its_server(void **state)
{
    static const char script[] = "httpd.register_handler('/', function()"
                                 " httpd.write(nil, 'stop ' .. stop_it()) end)";
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    char out[4096], expected[32];

    (void)state;
    to_stop = make(script, 2);
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = setup_stop;
    assert_int_equal(lhttpd_server_register_vm_factory(to_stop, "/", &factory),
                     0);
    assert_int_equal(lhttpd_server_start(to_stop), 0);
    ask(to_stop, GET, out, sizeof(out));
    snprintf(expected, sizeof(expected), "stop %d", LHTTPD_ESTATE);
    assert_non_null(strstr(out, expected));
    assert_int_equal(lhttpd_server_wait(to_stop), 0);
    lhttpd_server_destroy(to_stop);
}

static void *shut_down_often(void *arg)
{
    struct impatient *who = arg;

    while (!atomic_load(&who->enough))
        lhttpd_server_shutdown(who->s, 100000);
    return NULL;
}

/* A second signal may come while the first one's stop ends. */
static void shutdown_comes_late_too(void **state)
{
    char out[4096];

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct impatient who = {.s = run(HELLO, 1)};
        pthread_t thread;
        ask(who.s, GET, out, sizeof(out));
        assert_int_equal(pthread_create(&thread, NULL, shut_down_often, &who),
                         0);
        assert_int_equal(lhttpd_server_wait(who.s), 0);
        lhttpd_server_shutdown(who.s, 0);
        atomic_store(&who.enough, true);
        pthread_join(thread, NULL);
        lhttpd_server_destroy(who.s);
    }
}

static lhttpd_server_t *run_with_limit(const char *name, const char *value)
{
    lhttpd_config_t config = quiet(1);
    lhttpd_limits_t limits = lhttpd_limits_init();
    lhttpd_server_t *s;

    assert_int_equal(lhttpd_limits_set(&limits, name, value), 0);
    config.limits = &limits;
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_listen(s, "127.0.0.1", 0, 0), 0);
    assert_int_equal(
        lhttpd_server_map_source(s, "/", "x", HELLO, strlen(HELLO)), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    return s;
}

/* One that comes closes one that is idle, no more. */
static void room_for_one_client_costs_one(void **state)
{
    lhttpd_server_t *s = run_with_limit("connections", "3");
    int fd[4];
    char out[4096];

    (void)state;
    for (int i = 0; i < 4; i++) {
        fd[i] = test_client_connect(lhttpd_server_port(s, 0));
        test_client_send(fd[i], "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        test_client_read_until(fd[i], out, sizeof(out), "hello");
    }
    assert_int_equal(test_client_read_all(fd[0], out, sizeof(out)), 0);
    for (int i = 1; i < 4; i++) {
        test_client_send(fd[i], GET);
        test_client_read_until(fd[i], out, sizeof(out), "hello");
    }
    for (int i = 0; i < 4; i++)
        close(fd[i]);
    lhttpd_server_destroy(s);
}

/* Nothing was cut when a client that has said nothing is let go; the grace may
 * be shorter than the second that it has. */
static void silent_clients_are_no_reason_to_cut(void **state)
{
    (void)state;
    for (unsigned grace_ms = 100; grace_ms <= 20000; grace_ms *= 200) {
        lhttpd_server_t *s = run(HELLO, 1);
        int silent = test_client_connect(lhttpd_server_port(s, 0));
        int idle = test_client_connect(lhttpd_server_port(s, 0));
        char out[4096];

        test_client_send(idle, "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        test_client_read_until(idle, out, sizeof(out), "hello");
        assert_int_equal(lhttpd_server_stop(s, grace_ms), 0);
        assert_int_equal(test_client_read_all(silent, out, sizeof(out)), 0);
        assert_int_equal(test_client_read_all(idle, out, sizeof(out)), 0);
        close(silent);
        close(idle);
        lhttpd_server_destroy(s);
    }
}

/* Its handler only yields, so the worker has always something to do. */
static void a_worker_that_never_sleeps_accepts(void **state)
{
    static const char script[] =
        "httpd.register_handler('/', function()\n"
        "  httpd.header{} httpd.write(nil, 'begun ')\n"
        "  httpd.flush()\n"
        "  while not enough do coroutine.yield() end\n"
        "  httpd.write(nil, 'ended')\n"
        "end)\n"
        "httpd.register_handler('/enough', function()\n"
        "  enough = true httpd.write(nil, 'hello')\n"
        "end)\n";
    lhttpd_server_t *s = run(script, 1);
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    char out[4096];

    (void)state;
    test_client_send(fd, GET);
    test_client_read_until(fd, out, sizeof(out), "begun ");
    ask(s, "GET /none HTTP/1.0\r\n\r\n", out, sizeof(out));
    assert_non_null(strstr(out, "404"));
    ask(s, "GET /enough HTTP/1.0\r\n\r\n", out, sizeof(out));
    assert_non_null(strstr(out, "hello"));
    test_client_read_until(fd, out, sizeof(out), "ended");
    close(fd);
    assert_int_equal(lhttpd_server_stop(s, 5000), 0);
    lhttpd_server_destroy(s);
}

static _Atomic bool named_while_it_runs;
static char id_while_it_runs[64]; /* set before */

static void note_name(void *context, const lhttpd_log_entry_t *entry)
{
    static const char name[] =
        "worker 0 has been in handler / (line 1) of script stuck.lua for ";

    (void)context;
    if (strstr(entry->message, name) && entry->script &&
        strcmp(entry->script, "stuck.lua") == 0 && entry->request_id) {
        snprintf(id_while_it_runs, sizeof(id_while_it_runs), ", request %s;",
                 entry->request_id);
        atomic_store(&named_while_it_runs, true);
    }
}

/* In a process of its own, since a thread stays behind. */
static int stop_what_does_not_return(void *unused)
{
    lhttpd_config_t config = quiet(1);
    lhttpd_limits_t limits = lhttpd_limits_init();
    lhttpd_server_t *s;
    char where[64], begun[64], script[256];

    (void)unused;
    snprintf(begun, sizeof(begun), "test_lhttpd.%d.begun", (int)getpid());
    snprintf(
        script, sizeof(script),
        "httpd.register_handler('/', function() io.open('%s', 'w'):close() "
        "while true do end end)",
        begun);
    snprintf(where, sizeof(where), "unix:test_lhttpd.%d.sock", (int)getpid());
    limits.handler_run_ms = 100;
    config.limits = &limits;
    config.log = note_name;
    if (lhttpd_server_create(&s, &config) ||
        lhttpd_server_listen(s, "127.0.0.1", 0, 0) ||
        lhttpd_server_listen(s, where, 0, 0) != 1 ||
        lhttpd_server_map_source(s, "/", "stuck.lua", script, strlen(script)) ||
        lhttpd_server_start(s))
        return 1;
    int fd = test_client_connect(lhttpd_server_port(s, 0));
    test_client_send(fd, GET);
    for (int i = 0; i < 2000 && access(begun, F_OK) < 0; i++)
        usleep(10000);
    unlink(begun);
    for (int i = 0; i < 2000 && !atomic_load(&named_while_it_runs); i++)
        usleep(10000);
    if (!atomic_load(&named_while_it_runs))
        return 6;
    int r = lhttpd_server_stop(s, 0);
    int named = strstr(lhttpd_server_error(s),
                       "handler / (line 1) of script stuck.lua") &&
                strstr(lhttpd_server_error(s), id_while_it_runs);
    int port = lhttpd_server_port(s, 0), gone = access(where + 5, F_OK) < 0;
    lhttpd_server_destroy(s);
    int free_port = lhttpd_server_create(&s, &config) == 0 &&
                    lhttpd_server_listen(s, "127.0.0.1", port, 0) == 0;
    return r != LHTTPD_ESTUCK ? 2 : !named ? 3 : !gone ? 4 : !free_port ? 5 : 0;
}

static void a_script_that_does_not_return_is_named(void **state)
{
    (void)state;
    assert_int_equal(test_forked(stop_what_does_not_return, NULL), 0);
}

/* --- other processes, other limits ---------------------------------------- */

static int use_what_is_the_parent_s(void *arg)
{
    lhttpd_server_t *s = arg;
    int wrong = 0;

    lhttpd_server_shutdown(s, 0); /* the parent's goes on */
    wrong |= (lhttpd_server_stop(s, 0) != LHTTPD_ESTATE) << 0;
    wrong |= (lhttpd_server_wait(s) != LHTTPD_ESTATE) << 1;
    wrong |= !strstr(lhttpd_server_error(s), "forked child") << 2;
    wrong |= (lhttpd_server_start(s) != LHTTPD_ESTATE) << 3;
    wrong |= (lhttpd_server_port(s, 0) != LHTTPD_ESTATE) << 4;
    wrong |= (lhttpd_server_set(s, "connections", "3") != LHTTPD_ESTATE) << 5;
    lhttpd_server_destroy(s);
    wrong |= (lhttpd_server_wait(s) != LHTTPD_ESTATE) << 6; /* it is there */
    if (wrong)
        fprintf(stderr, "wrong in the child: %x\n", (unsigned)wrong);
    return wrong != 0;
}

static void a_forked_child_leaves_the_server_alone(void **state)
{
    lhttpd_server_t *s = run(HELLO, 2);
    char out[4096];

    (void)state;
    assert_int_equal(test_forked(use_what_is_the_parent_s, s), 0);
    ask(s, GET, out, sizeof(out));
    assert_non_null(strstr(out, "hello"));
    assert_int_equal(lhttpd_server_stop(s, 1000), 0);
    lhttpd_server_destroy(s);
}

/* Counts the lines with certain words. */
struct search {
    const char *words;
    unsigned found;
};

static void look_for(void *context, const lhttpd_log_entry_t *entry)
{
    struct search *search = context;

    search->found += strstr(entry->message, search->words) != NULL;
}

/* A server with so many descriptors: what came of it. */
enum room { REFUSED, WARNED, FINE, WRONG };

static bool is_about_descriptors(const char *words)
{
    return strstr(words, strerror(EMFILE)) || strstr(words, "open files");
}

static int with_descriptors(void *arg)
{
    const unsigned *most = arg;
    struct search search = {.words = "the limit of open files, "};
    lhttpd_config_t config = quiet(1);
    lhttpd_server_t *s;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = *most;
    config.log = look_for;
    config.log_context = &search;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 ||
        lhttpd_server_create(&s, &config) < 0)
        return WRONG;
    int r = lhttpd_server_listen(s, "127.0.0.1", 0, 0);
    if (r == 0)
        r = lhttpd_server_map_source(s, "/", "x", HELLO, sizeof(HELLO) - 1);
    if (r == 0)
        r = lhttpd_server_start(s);
    enum room room = search.found ? WARNED : FINE;
    if (r < 0) /* it has one worker, and cannot have fewer */
        room = is_about_descriptors(lhttpd_server_error(s)) &&
                       !strstr(lhttpd_server_error(s), "fewer")
                   ? REFUSED
                   : WRONG;
    lhttpd_server_destroy(s);
    return (int)room;
}

static void too_few_descriptors_are_said(void **state)
{
    unsigned seen[4] = {0, 0, 0, 0}, last = REFUSED;
    int fds[2];
    struct rlimit before;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(pipe(fds), 0);
    for (unsigned most = (unsigned)fds[1]; most < (unsigned)fds[1] + 40;
         most++) {
        unsigned room = (unsigned)test_forked(with_descriptors, &most);
        assert_true(room >= last && room < WRONG);
        last = room;
        seen[room]++;
    }
    assert_true(seen[REFUSED] >= 2 && seen[WARNED] >= 10 && seen[FINE] >= 2);
    close(fds[0]);
    close(fds[1]);
}

static void nothing_to_do_is_said(void **state)
{
    struct search search = {.words = "404"};
    lhttpd_config_t config = quiet(2);
    lhttpd_server_t *s;

    (void)state;
    config.log = look_for;
    config.log_context = &search;
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_check(s), 0);
    assert_int_equal(search.found, 1); /* nothing is mapped */
    assert_int_equal(lhttpd_server_map_source(s, "/", "x", "", 0), 0);
    assert_int_equal(lhttpd_server_check(s), 0);
    assert_int_equal(search.found, 2); /* nothing is registered */
    search.words = "there is no listener";
    assert_int_equal(lhttpd_server_start(s), 0);
    assert_int_equal(search.found, 3);
    lhttpd_server_destroy(s);
    search.words = "404";
    s = NULL;
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
    assert_int_equal(lhttpd_server_map_source(s, "/", "x", "", 0), 0);
    assert_int_equal(lhttpd_server_start(s), 0);
    assert_int_equal(search.found, 4); /* once, for all workers */
    lhttpd_server_destroy(s);
}

static void no_more_clients_than_the_limit(void **state)
{
    lhttpd_server_t *s = run_with_limit("connections", "4");
    char out[4096];
    int idle[8];

    (void)state;
    for (int i = 0; i < 8; i++) {
        idle[i] = test_client_connect(lhttpd_server_port(s, 0));
        test_client_send(idle[i], "GET / HTTP/1.1\r\nhost: x\r\n\r\n");
        test_client_read_until(idle[i], out, sizeof(out), "hello");
    }
    /* The first ones were closed to make room. */
    assert_int_equal(test_client_read_all(idle[0], out, sizeof(out)), 0);
    test_client_send(idle[7], GET);
    test_client_read_until(idle[7], out, sizeof(out), "hello");
    for (int i = 0; i < 8; i++)
        close(idle[i]);
    lhttpd_server_destroy(s);
}

/* --- every allocation fails once ------------------------------------------ */

/* From create to the first answer with the n-th allocation failing.  Returns
 * false once no allocation failed any more. */
static int survive(unsigned long n)
{
    lhttpd_config_t config = quiet(1);
    lhttpd_server_t *s = NULL;
    char out[4096];

    test_heap_fail_at(n);
    if (lhttpd_server_create(&s, &config) == 0 &&
        lhttpd_server_listen(s, "127.0.0.1", 0, 0) == 0 &&
        lhttpd_server_map_source(s, "/", "x", HELLO, strlen(HELLO)) == 0 &&
        lhttpd_server_start(s) == 0) {
        int fd = test_client_connect(lhttpd_server_port(s, 0));
        send(fd, GET, strlen(GET), MSG_NOSIGNAL);
        test_client_read_all(fd, out, sizeof(out));
        close(fd);
        assert_true(out[0] == '\0' || strstr(out, "hello") ||
                    strstr(out, "HTTP/1.1 50"));
        lhttpd_server_stop(s, 5000);
    }
    lhttpd_server_destroy(s);
    int went_on = test_heap_count() >= n;
    test_heap_fail_at(0);
    return went_on;
}

static void every_allocation_may_fail(void **state)
{
    unsigned long n = 1;

    (void)state;
    test_heap_install();
    while (n < 5000 && survive(n))
        n++;
    assert_true(n > 20 && n < 5000);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

/* Whole words, and no others. */
static void features_are_words(void **state)
{
    char words[200], *rest = words, *word;
    const char *const none[] = {"", "lua", "tl", "tls bearssl", "tlss", "ls"};

    (void)state;
    snprintf(words, sizeof(words), "%s", lhttpd_features());
    while ((word = strtok_r(rest, " ", &rest)) != NULL)
        assert_true(lhttpd_feature(word));
    assert_true(lhttpd_feature("tls"));
    assert_true(lhttpd_feature("files"));
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(lhttpd_feature(none[i]));
    assert_false(lhttpd_feature(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_and_stops),
        cmocka_unit_test(two_servers_do_not_know_of_each_other),
        cmocka_unit_test(client_authorities_are_checked),
        cmocka_unit_test(create_refuses_impossible_structs),
        cmocka_unit_test(an_older_struct_is_read_no_further),
        cmocka_unit_test(words_say_what_is_wrong),
        cmocka_unit_test(words_are_of_the_last_call),
        cmocka_unit_test(words_without_a_server_are_of_the_last_call),
        cmocka_unit_test(file_operations_are_as_the_system_has_them),
        cmocka_unit_test(settings_and_limits_are_set_by_name),
        cmocka_unit_test(the_server_s_name_is_set),
        cmocka_unit_test(a_script_that_does_not_load_stops_the_start),
        cmocka_unit_test(tls_needs_a_certificate),
        cmocka_unit_test(an_address_is_listened_on_once),
        cmocka_unit_test(listeners_may_be_for_a_check_alone),
        cmocka_unit_test(a_start_that_failed_is_repeated),
        cmocka_unit_test(after_the_stop_nothing_is_set_up),
        cmocka_unit_test(structs_are_made_ready),
        cmocka_unit_test(redirect_needs_a_tls_listener),
        cmocka_unit_test(a_socket_is_adopted_once),
        cmocka_unit_test(a_listener_may_break),
        cmocka_unit_test(an_accept_that_fails_is_not_tried_at_once),
        cmocka_unit_test(a_redirect_needs_a_host),
        cmocka_unit_test(routes_by_prefix_and_name),
        cmocka_unit_test(sixteen_pipelined_requests_are_answered_in_order),
        cmocka_unit_test(a_response_may_end_without_octets),
        cmocka_unit_test(a_vm_factory_alone_serves),
        cmocka_unit_test(a_factory_of_another_lua_is_an_error),
        cmocka_unit_test(an_error_in_setup_is_the_start_s),
        cmocka_unit_test(a_request_under_way_is_answered),
        cmocka_unit_test(workers_stop_in_the_midst_of_work),
        cmocka_unit_test(past_the_grace_it_is_cut),
        cmocka_unit_test(idle_clients_do_not_hold_up_a_stop),
        cmocka_unit_test(a_handler_may_shut_down_its_server),
        cmocka_unit_test(shutdown_comes_late_too),
        cmocka_unit_test(room_for_one_client_costs_one),
        cmocka_unit_test(silent_clients_are_no_reason_to_cut),
        cmocka_unit_test(a_worker_that_never_sleeps_accepts),
        cmocka_unit_test(a_script_that_does_not_return_is_named),
        cmocka_unit_test(a_forked_child_leaves_the_server_alone),
        cmocka_unit_test(too_few_descriptors_are_said),
        cmocka_unit_test(nothing_to_do_is_said),
        cmocka_unit_test(no_more_clients_than_the_limit),
        cmocka_unit_test(features_are_words),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
