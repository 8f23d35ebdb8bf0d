/* Directories that are mapped, beside scripts, in a server that runs. */
#include "lhttpd.h"

#include "lib/client.h"
#include "lib/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_BYTES ((size_t)3 << 20)

static lhttpd_server_t *s;
static char answer[LONG_BYTES + 4096];

static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(test_live_path(name), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void quiet(void *context, const lhttpd_log_entry_t *entry)
{
    (void)context;
    (void)entry;
}

static void create(void)
{
    lhttpd_config_t config = lhttpd_config_init();

    config.workers = 2;
    config.log = quiet;
    assert_int_equal(lhttpd_server_create(&s, &config), 0);
}

static void start(void)
{
    assert_true(lhttpd_server_listen(s, "127.0.0.1", 0, 0) > 0 ||
                lhttpd_server_port(s, 0) > 0);
    if (lhttpd_server_start(s) < 0)
        fail_msg("%s", lhttpd_server_error(s));
}

static void map_script(const char *prefix, const char *source)
{
    assert_int_equal(lhttpd_server_map_source(s, prefix, "script.lua", source,
                                              strlen(source)),
                     0);
}

static void stop(void)
{
    assert_int_equal(lhttpd_server_stop(s, 5000), 0);
    lhttpd_server_destroy(s);
}

static size_t ask(const char *path)
{
    char request[200];

    snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    return test_client_ask(lhttpd_server_port(s, 0), request, answer,
                           sizeof(answer));
}

static void expect(const char *path, int status, const char *body)
{
    char line[20];

    ask(path);
    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    if (strncmp(answer, line, strlen(line)) != 0 || !strstr(answer, body))
        fail_msg("%s -> %.200s", path, answer);
}

static int make_files(void **state)
{
    (void)state;
    mkdir(test_live_path("www"), 0755);
    write_text("www/a.txt", "a file");
    write_text("www/index.html", "the index");
    write_text("www/start.html", "the start");
    write_text("www/odd.xyz", "odd");
    write_text("types", "application/x-odd xyz\n");
    write_text("other-types", "types {\n"
                              "    text/plain                  txt;\n"
                              "    application/x-odd xyz;\n"
                              "}\n");
    write_text("no-types", "# none\napplication/x-odd\nodd xyz\n");
    return 0;
}

static int remove_files(void **state)
{
    char command[200];

    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", test_live_dir());
    return system(command);
}

static void mistakes(void **state)
{
    lhttpd_directory_t d = lhttpd_directory_init();

    (void)state;
    create();
    assert_int_equal(lhttpd_server_map_directory(NULL, "/", "/", NULL),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_map_directory(s, NULL, "/", NULL),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_map_directory(s, "/", NULL, NULL),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_map_directory(s, "/a/../b", "/", NULL),
                     LHTTPD_EINVAL);
    d.index = "a/b";
    assert_int_equal(lhttpd_server_map_directory(s, "/", "/", &d),
                     LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "without a slash"));
    d = lhttpd_directory_init();
    d.cache_control = "max-age=1\r\nx: y";
    assert_int_equal(lhttpd_server_map_directory(s, "/", "/", &d),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_set(s, "cache_control", "a\nb"),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_set(s, "mime_types", "/nonexistent"),
                     LHTTPD_ESYSTEM);
    assert_non_null(strstr(lhttpd_server_error(s), "/nonexistent"));
    assert_int_equal(
        lhttpd_server_set(s, "mime_types", test_live_path("no-types")),
        LHTTPD_ESYSTEM);
    assert_non_null(strstr(lhttpd_server_error(s), "no-types': it has no"));
    assert_int_equal(
        lhttpd_server_set(s, "mime_types", test_live_path("other-types")),
        LHTTPD_ESYSTEM);
    assert_non_null(strstr(lhttpd_server_error(s),
                           "other-types': 'text/plain txt;': it is not of "));
    lhttpd_server_destroy(s);
}

static void one_of_a_prefix(void **state)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();

    (void)state;
    create();
    assert_int_equal(lhttpd_server_map_directory(s, "/x", "/one", NULL), 0);
    assert_int_equal(lhttpd_server_map_directory(s, "x/", "/two", NULL),
                     LHTTPD_EINVAL);
    assert_non_null(strstr(lhttpd_server_error(s), "/one"));
    assert_int_equal(lhttpd_server_map_script(s, "/x", "x.lua"), LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_register_vm_factory(s, "/x", &factory),
                     LHTTPD_EINVAL);
    map_script("/y", "");
    assert_int_equal(lhttpd_server_map_directory(s, "/y", "/one", NULL),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_check(s), LHTTPD_ESYSTEM);
    assert_non_null(strstr(lhttpd_server_error(s), "directory '/one'"));
    lhttpd_server_destroy(s);
}

static const char script[] =
    "httpd.register_handler('/', function() httpd.write(nil, 'script') end)\n"
    "httpd.register_handler('/notfound', function()\n"
    "    httpd.write(nil, 'own page') end)\n";

static void beside_scripts(void **state)
{
    lhttpd_directory_t d = lhttpd_directory_init();
    char www[100];

    (void)state;
    create();
    snprintf(www, sizeof(www), "%s", test_live_path("www"));
    d.index = "start.html";
    d.cache_control = "no-cache";
    assert_int_equal(lhttpd_server_set(s, "cache_control", "max-age=60"), 0);
    assert_int_equal(
        lhttpd_server_set(s, "mime_types", test_live_path("types")), 0);
    map_script("/", script);
    map_script("/files/deep", script);
    assert_int_equal(lhttpd_server_map_directory(s, "/files", www, NULL), 0);
    assert_int_equal(lhttpd_server_map_directory(s, "/other", www, &d), 0);
    start();
    expect("/", 200, "script");
    expect("/files/a.txt", 200, "a file");
    expect("/files/", 200, "the index");
    expect("/files", 308, "location: /files/\r\n");
    expect("/files/deep/", 200, "script");
    expect("/filesx", 404, "own page");
    expect("/files/none", 404, "own page");
    expect("/files/a.txt", 200, "cache-control: max-age=60\r\n");
    expect("/files/odd.xyz", 200, "content-type: application/x-odd\r\n");
    expect("/other/", 200, "the start");
    expect("/other/", 200, "cache-control: no-cache\r\n");
    stop();
}

/* What a directory says itself counts more than the setting. */
static void listed(void **state)
{
    lhttpd_directory_t d = lhttpd_directory_init();
    char www[100];

    (void)state;
    create();
    snprintf(www, sizeof(www), "%s", test_live_path("www"));
    assert_int_equal(lhttpd_server_set(s, "directory_listing", "yes"),
                     LHTTPD_EINVAL);
    assert_int_equal(lhttpd_server_set(s, "directory_listing", "on"), 0);
    d.index = "";
    assert_int_equal(lhttpd_server_map_directory(s, "/as_set", www, &d), 0);
    d.listing = -1;
    assert_int_equal(lhttpd_server_map_directory(s, "/not", www, &d), 0);
    start();
    expect("/as_set/", 200, "<a href=\"a.txt\">a.txt</a>");
    expect("/not/", 404, "");
    stop();
    create();
    d.listing = 1;
    assert_int_equal(lhttpd_server_map_directory(s, "/own", www, &d), 0);
    start();
    expect("/own/", 200, "<a href=\"a.txt\">a.txt</a>");
    stop();
}

/* The tally of the directory. */
static void counted(void **state)
{
    lhttpd_handler_stats_t h = lhttpd_handler_stats_init();

    (void)state;
    create();
    assert_int_equal(
        lhttpd_server_map_directory(s, "/", test_live_path("www"), NULL), 0);
    assert_int_equal(lhttpd_server_check(s), 0);
    start();
    expect("/a.txt", 200, "a file");
    expect("/none", 404, "");
    assert_int_equal(lhttpd_server_handler_stats(s, 0, &h), 0);
    assert_string_equal(h.prefix, "/");
    assert_string_equal(h.script, test_live_path("www"));
    assert_string_equal(h.name, "/*");
    assert_int_equal(h.requests.status_2xx, 1);
    assert_int_equal(h.requests.status_4xx, 1);
    stop();
}

/* The kernel moves its pages, and each octet arrives. */
static void long_file(void **state)
{
    char *text = malloc(LONG_BYTES + 1);

    (void)state;
    for (size_t i = 0; i < LONG_BYTES; i++)
        text[i] = (char)('a' + i % 11 + i / 4096 % 5);
    text[LONG_BYTES] = '\0';
    write_text("www/long", text);
    create();
    assert_int_equal(
        lhttpd_server_map_directory(s, "/", test_live_path("www"), NULL), 0);
    start();
    size_t n = ask("/long");
    assert_true(n > LONG_BYTES);
    assert_memory_equal(answer + n - LONG_BYTES, text, LONG_BYTES);
    free(text);
    stop();
}

/* What was open for the next request is forgotten within a second. */
static int is_gone(void *arg)
{
    (void)arg;
    ask("/a.txt");
    return strstr(answer, " 404 ") != NULL;
}

/* Its path counts, whatever it leads to; and a reload, which sees it at once,
 * wants it to be there. */
static void replaced(void **state)
{
    char link[200], one[200];

    (void)state;
    snprintf(link, sizeof(link), "%s", test_live_path("current"));
    snprintf(one, sizeof(one), "%s", test_live_path("www"));
    mkdir(test_live_path("www2"), 0755);
    write_text("www2/a.txt", "newer");
    assert_int_equal(symlink(one, link), 0);
    create();
    assert_int_equal(lhttpd_server_map_directory(s, "/", link, NULL), 0);
    start();
    expect("/a.txt", 200, "a file");
    assert_int_equal(unlink(link), 0);
    test_live_until(is_gone, NULL);
    assert_int_equal(lhttpd_server_reload(s), LHTTPD_ESYSTEM);
    assert_int_equal(symlink(one, link), 0);
    expect("/a.txt", 200, "a file");
    assert_int_equal(unlink(link), 0);
    assert_int_equal(symlink(test_live_path("www2"), link), 0);
    assert_int_equal(lhttpd_server_reload(s), 0);
    expect("/a.txt", 200, "newer");
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes),       cmocka_unit_test(one_of_a_prefix),
        cmocka_unit_test(beside_scripts), cmocka_unit_test(counted),
        cmocka_unit_test(listed),         cmocka_unit_test(long_file),
        cmocka_unit_test(replaced),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
