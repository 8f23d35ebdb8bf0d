/* A server for one script: see live.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/client.h"
#include "lib/emulated.h"
#include "lib/live.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES ((size_t)4 << 20)
#define POLLS        2000
#define POLL_MS      10

static const char prelude[] =
    "DIR = os.getenv('LH_TEST_DIR') .. '/'\n"
    "function test(name, fn)\n"
    "  httpd.register_handler('/' .. name, function(env, header)\n"
    "    local text = fn(env, header)\n"
    "    httpd.write(nil, text or 'ok')\n"
    "  end)\n"
    "end\n"
    "function same(a, b)\n"
    "  if a ~= b then\n"
    "    error(tostring(a) .. ' is not ' .. tostring(b), 2)\n"
    "  end\n"
    "end\n"
    "function fill(name, text)\n"
    "  local f = assert(io.open(DIR .. name, 'w'))\n"
    "  f:write(text)\n"
    "  f:close()\n"
    "end\n"
    "function contents(name)\n"
    "  local f = assert(io.open(DIR .. name))\n"
    "  local text = f:read('*a')\n"
    "  f:close()\n"
    "  return text\n"
    "end\n";

static char dir[64], last_log[4096];
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void on_log(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    pthread_mutex_lock(&log_lock);
    snprintf(last_log, sizeof(last_log), "%s", entry->message);
    pthread_mutex_unlock(&log_lock);
}

const char *test_live_log(void)
{
    static char copy[sizeof(last_log)];

    pthread_mutex_lock(&log_lock);
    memcpy(copy, last_log, sizeof(copy));
    pthread_mutex_unlock(&log_lock);
    return copy;
}

int test_live_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

int test_live_children(void)
{
    DIR *d = opendir("/proc/self/task");
    struct dirent *entry;
    int n = 0;

    while ((entry = readdir(d)) != NULL) {
        char path[300], text[4096] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/children",
                 entry->d_name);
        FILE *f = fopen(path, "r");
        size_t got = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
        for (size_t i = 0; i < got; i++)
            n += text[i] == ' ';
        if (f)
            fclose(f);
    }
    closedir(d);
    return n;
}

const char *test_live_dir(void)
{
    if (!*dir) {
        snprintf(dir, sizeof(dir), "/tmp/lhttpd-test-XXXXXX");
        assert_non_null(mkdtemp(dir));
        setenv("LH_TEST_DIR", dir, 1);
    }
    return dir;
}

const char *test_live_path(const char *name)
{
    static char path[512];
    int n = snprintf(path, sizeof(path), "%s/%s", test_live_dir(), name);

    assert_in_range(n, 1, sizeof(path) - 1); /* it is whole */
    return path;
}

void test_live_put(const char *name, const char *text)
{
    const char *path = test_live_path(name);
    const struct timespec times[] = {{1577836800, 0}, {1577836800, 0}};
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

void test_live_empty_dir(void)
{
    char command[200];

    snprintf(command, sizeof(command), "rm -r %s/*", test_live_dir());
    assert_int_equal(system(command), 0);
}

int test_live_clean_up(void **state)
{
    (void)state;
    test_live_remove_dir();
    return 0;
}

void test_live_remove_dir(void)
{
    DIR *d = *dir ? opendir(dir) : NULL;
    struct dirent *entry;

    while (d && (entry = readdir(d)) != NULL)
        if (entry->d_name[0] != '.')
            remove(test_live_path(entry->d_name));
    if (d)
        closedir(d);
    rmdir(dir);
    dir[0] = '\0';
}

static void create(struct test_live *live, unsigned workers)
{
    lhttpd_config_t config = lhttpd_config_init();

    test_live_dir();
    live->fds = test_live_fds();
    live->server = NULL;
    config.log = on_log;
    config.workers = workers;
    assert_int_equal(lhttpd_server_create(&live->server, &config), 0);
    /* The machine may be busy, and tests of this limit set it. */
    lhttpd_server_set(live->server, "handler_run_ms", "unlimited");
    assert_int_equal(lhttpd_server_listen(live->server, "127.0.0.1", 0, 0), 0);
}

static void start(struct test_live *live)
{
    int r = lhttpd_server_start(live->server);

    if (r != 0)
        print_error("%s\n", lhttpd_server_error(live->server));
    assert_int_equal(r, 0);
    live->port = lhttpd_server_port(live->server, 0);
}

void test_live_start(struct test_live *live, unsigned workers,
                     const char *source)
{
    size_t room = sizeof(prelude) + strlen(source);
    char *text = malloc(room);

    assert_non_null(text);
    create(live, workers);
    snprintf(text, room, "%s%s", prelude, source);
    assert_int_equal(lhttpd_server_map_source(live->server, "/", "test.lua",
                                              text, strlen(text)),
                     0);
    free(text);
    start(live);
}

void test_live_start_file(struct test_live *live, const char *path)
{
    create(live, 1);
    assert_int_equal(lhttpd_server_map_script(live->server, "/", path), 0);
    start(live);
}

void test_live_stop(struct test_live *live)
{
    assert_int_equal(
        lhttpd_server_stop(live->server, (unsigned)test_patience_ms(20000)), 0);
    lhttpd_server_destroy(live->server);
    assert_int_equal(test_live_fds(), live->fds);
    assert_int_equal(test_live_children(), 0);
}

int test_live_ask(struct test_live *live, const char *path)
{
    int fd = test_client_connect(live->port);
    char request[512];

    snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    test_client_send(fd, request);
    return fd;
}

const char *test_live_get(struct test_live *live, const char *path)
{
    static char answer[ANSWER_BYTES];
    int fd = test_live_ask(live, path);

    test_client_read_all(fd, answer, sizeof(answer));
    close(fd);
    char *body = strstr(answer, "\r\n\r\n");
    return body ? body + 4 : "";
}

void test_live_expect(struct test_live *live, const char *path,
                      const char *body)
{
    const char *got;

    pthread_mutex_lock(&log_lock);
    last_log[0] = '\0';
    pthread_mutex_unlock(&log_lock);
    got = test_live_get(live, path);
    if (strcmp(got, body) != 0)
        print_error("%s: %s\n", path, test_live_log());
    assert_string_equal(got, body);
}

void test_live_expect_all(struct test_live *live, const char *const *paths)
{
    for (; *paths; paths++)
        test_live_expect(live, *paths, "ok");
}

void test_live_until(int (*yes)(void *arg), void *arg)
{
    for (int i = 0; i < test_patience_ms(POLLS); i++) {
        if (yes(arg))
            return;
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000}, NULL);
    }
    fail_msg("it never happened");
}
