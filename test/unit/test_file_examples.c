/* The examples that work with files and processes, as their users run them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/client.h"
#include "lib/live.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIG 5000000

static char answer[BIG + 4096];

static void start(struct test_live *live, const char *example)
{
    char path[512];

    snprintf(path, sizeof(path), TEST_DATA "/../../examples/%s", example);
    setenv("UPLOADS", test_live_dir(), 1);
    setenv("DOWNLOAD", test_live_path("big"), 1);
    test_live_start_file(live, path);
}

static void ask(struct test_live *live, const char *request)
{
    test_client_ask(live->port, request, answer, sizeof(answer));
}

static char *big(size_t n)
{
    char *p = malloc(n + 1);

    assert_non_null(p);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + (i * i / 7) % 26);
    p[n] = '\0';
    return p;
}

static size_t slurp(const char *name)
{
    FILE *f = fopen(test_live_path(name), "r");
    size_t n = f ? fread(answer, 1, sizeof(answer) - 1, f) : 0;

    if (f)
        fclose(f);
    answer[n] = '\0';
    return n;
}

static int files(void)
{
    DIR *d = opendir(test_live_dir());
    struct dirent *entry;
    int n = 0;

    while ((entry = readdir(d)) != NULL)
        n += entry->d_name[0] != '.';
    closedir(d);
    return n;
}

static int only_one_file(void *arg)
{
    (void)arg;
    return files() == 1;
}

static void upload_stores_whole_bodies(void **state)
{
    struct test_live live;
    char head[200], *body = big(BIG);

    (void)state;
    start(&live, "upload.lua");
    snprintf(head, sizeof(head),
             "PUT /files/name.bin HTTP/1.0\r\ncontent-length: %d\r\n\r\n", BIG);
    int fd = test_client_connect(live.port);
    test_client_send(fd, head);
    test_client_send(fd, body);
    test_client_read_all(fd, answer, sizeof(answer));
    close(fd);
    if (!strstr(answer, " 201 "))
        fail_msg("%s %s", answer, test_live_log());
    assert_non_null(strstr(answer, "name.bin: 5000000 bytes"));
    assert_int_equal(slurp("name.bin"), BIG);
    assert_memory_equal(answer, body, BIG);
    fd = test_client_connect(live.port);
    test_client_send(fd, "PUT /files/half HTTP/1.1\r\nhost: x\r\n"
                         "content-length: 1000000\r\n\r\nthis is not all");
    close(fd);
    test_live_until(only_one_file, NULL);
    ask(&live, "PUT /files/..%2Fx HTTP/1.0\r\ncontent-length: 1\r\n\r\nx");
    assert_non_null(strstr(answer, " 400 "));
    ask(&live, "GET /files/name.bin HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(answer, " 405 "));
    test_live_stop(&live);
    free(body);
}

static void download_gives_the_same_octets(void **state)
{
    static const char *const paths[] = {"/pieces", "/file"};
    struct test_live live;
    char *body = big(BIG), request[200];
    FILE *f = fopen(test_live_path("big"), "w");

    (void)state;
    assert_non_null(f);
    assert_int_equal(fwrite(body, 1, BIG, f), BIG);
    fclose(f);
    start(&live, "download.lua");
    for (int i = 0; i < 2; i++) {
        snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", paths[i]);
        ask(&live, request);
        assert_non_null(strstr(answer, "content-length: 5000000\r\n"));
        char *got = strstr(answer, "\r\n\r\n") + 4;
        assert_int_equal(strlen(got), BIG);
        assert_memory_equal(got, body, BIG);
    }
    ask(&live, "GET /file HTTP/1.0\r\nrange: bytes=4000000-4000009\r\n\r\n");
    assert_non_null(strstr(answer, " 206 "));
    assert_non_null(
        strstr(answer, "content-range: bytes 4000000-4000009/5000000\r\n"));
    assert_memory_equal(strstr(answer, "\r\n\r\n") + 4, body + 4000000, 11 - 1);
    ask(&live, "GET /file HTTP/1.0\r\nrange: bytes=5000000-\r\n\r\n");
    assert_non_null(strstr(answer, " 416 "));
    ask(&live, "HEAD /file HTTP/1.0\r\n\r\n");
    assert_non_null(strstr(answer, "content-length: 5000000\r\n"));
    test_live_stop(&live);
    free(body);
}

static void process_shows_lines(void **state)
{
    struct test_live live;
    int lines = 0;

    (void)state;
    start(&live, "process.lua");
    ask(&live, "GET / HTTP/1.0\r\n\r\n");
    char *body = strstr(answer, "\r\n\r\n") + 4;
    for (char *p = body; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, 6);
    assert_non_null(strstr(body, "\n-- exit 0\n"));
    test_live_stop(&live);
}

/* The published script of the name upload.lua, in its essence: it gives
 * httpd.write what httpd.read returned, nil at the end included. */
static const char published[] =
    "httpd.register_handler('/', function(env, header)\n"
    "  local f = io.open(DIR .. 'published', 'wb')\n"
    "  local chunk\n"
    "  repeat\n"
    "    chunk = httpd.read(nil, 4096)\n"
    "    httpd.write(f, chunk)\n"
    "  until chunk == nil\n"
    "  f:close()\n"
    "  httpd.header({[':status'] = '200'})\n"
    "  httpd.write(nil, 'done')\n"
    "end)\n";

static void the_published_upload_works(void **state)
{
    struct test_live live;
    char *body = big(300000);

    (void)state;
    test_live_start(&live, 1, published);
    int fd = test_client_connect(live.port);
    test_client_send(fd, "POST / HTTP/1.0\r\ncontent-length: 300000\r\n\r\n");
    test_client_send(fd, body);
    test_client_read_all(fd, answer, sizeof(answer));
    close(fd);
    assert_non_null(strstr(answer, "\r\n\r\ndone"));
    assert_int_equal(slurp("published"), 300000);
    assert_memory_equal(answer, body, 300000);
    test_live_stop(&live);
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(upload_stores_whole_bodies,
                                  test_live_clean_up),
        cmocka_unit_test_teardown(download_gives_the_same_octets,
                                  test_live_clean_up),
        cmocka_unit_test_teardown(process_shows_lines, test_live_clean_up),
        cmocka_unit_test_teardown(the_published_upload_works,
                                  test_live_clean_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
