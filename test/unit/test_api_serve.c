/* httpd.serve_file, in a server that runs. */
#include "lhttpd.h"

#include "lib/client.h"
#include "lib/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* What serve_file has returned is told by the next request. */
static const char source[] =
    "local told = '?'\n"
    "local function serve(name, path, options)\n"
    "  httpd.register_handler('/' .. name, function(env)\n"
    "    told = 'nothing'\n"
    "    local status, why = httpd.serve_file(path, options)\n"
    "    told = tostring(status) .. ' ' .. tostring(why)\n"
    "    local _, closed = httpd.write(nil, 'more')\n"
    "    same(closed, 'closed')\n"
    "  end)\n"
    "end\n"
    "httpd.register_handler('/told', function() httpd.write(nil, told) end)\n"
    "fill('a.txt', 'a file')\n"
    "fill('.hidden', 'hidden')\n"
    "fill('gone.html', 'own page')\n"
    "fill('long', ('0123456789'):rep(200000))\n"
    "local root = {root = DIR}\n"
    "serve('a', DIR .. 'a.txt')\n"
    "serve('hidden', DIR .. '.hidden')\n"
    "serve('none', DIR .. 'none')\n"
    "serve('long', DIR .. 'long')\n"
    "fill('huge', '')\n"
    "serve('huge', DIR .. 'huge')\n"
    "serve('in', 'a.txt', root)\n"
    "serve('in2', '/a.txt', root)\n"
    "serve('dot', '.hidden', root)\n"
    "serve('up', '../etc/passwd', root)\n"
    "serve('up2', 'x/../../etc/passwd', root)\n"
    "serve('zero', 'a.txt\\0.html', root)\n"
    "serve('folder', '', root)\n"
    "serve('options', 'a.txt', {root = DIR, type = 'text/x-own',\n"
    "  cache_control = 'no-store', download = 'n\\195\\164me \"1\".txt',\n"
    "  compressed = false, index = false})\n"
    "serve('list', '', {root = DIR, index = false, listing = true})\n"
    "serve('status', 'a.txt', {root = DIR, status = 503})\n"
    "fill('page.html', 'a page')\n"
    "fill('page.html.gz', 'zipped')\n"
    "serve('page', 'page.html', {root = DIR, status = 404,\n"
    "  cache_control = 'no-cache', fields = {['X-Frame-Options'] = 'DENY'}})\n"
    "serve('fields', 'a.txt', {root = DIR, fields = {['x-one'] = ' 1 ',\n"
    "  ['x-two'] = 2, ['set-cookie'] = {'a=1', 'b=2'}}})\n"
    "serve('gone', 'no.txt', {root = DIR, fields = {['x-one'] = '1'}})\n"
    "httpd.register_handler('/files/*', function(env)\n"
    "  httpd.serve_file(env.PATH_INFO, root)\n"
    "end)\n"
    "httpd.register_handler('/notfound', function()\n"
    "  httpd.serve_file('gone.html', root)\n"
    "end)\n"
    "test('mistakes', function()\n"
    "  local function fails(words, ...)\n"
    "    local ok, why = pcall(httpd.serve_file, ...)\n"
    "    if ok or not why:find(words, 1, true) then error(why, 2) end\n"
    "  end\n"
    "  fails('string expected', 5)\n"
    "  fails('string expected')\n"
    "  fails('table expected', 'a', 'b')\n"
    "  fails(\"no option 'rot'\", 'a', {rot = '/'})\n"
    "  fails(\"no option '?'\", 'a', {'/'})\n"
    "  fails(\"'root' is a number\", 'a', {root = 5})\n"
    "  fails('zero byte', 'a', {root = 'a\\0b'})\n"
    "  fails('no field', 'a', {type = 'a\\nb'})\n"
    "  fails('200 to 599', 'a', {status = 99})\n"
    "  fails('200 to 599', 'a', {status = 200.5})\n"
    "  fails('has a slash', 'a', {index = 'a/b'})\n"
    "  fails(\"'listing' is a number\", 'a', {listing = 1})\n"
    "  fails(\"'compressed' is a string\", 'a', {compressed = 'no'})\n"
    "  fails(\"'fields' is a string\", 'a', {fields = 'a: b'})\n"
    "  fails('a field name is a string, not a number', 'a', {fields = {'a: "
    "b'}})\n"
    "  fails(\"'a b' is no field name\", 'a', {fields = {['a b'] = '1'}})\n"
    "  fails(\"the value of 'a' has a control character\", 'a', {fields = {a = "
    "'1\\r\\nb: 2'}})\n"
    "  fails(\"the value of 'a' is a boolean\", 'a', {fields = {a = true}})\n"
    "  fails(\"the value of 'a' is a table\", 'a', {fields = {a = {'1', "
    "{}}}})\n"
    "  fails(\"'ETag' is the answer's own\", 'a', {fields = {ETag = '1'}})\n"
    "end)\n"
    "httpd.register_handler('/late', function()\n"
    "  httpd.write(nil, 'x')\n"
    "  local ok, why = pcall(httpd.serve_file, 'a')\n"
    "  same(ok, false)\n"
    "  if not why:find('begun before', 1, true) then error(why) end\n"
    "end)\n"
    "httpd.register_handler('/nowhere', function()\n"
    "  local ok, why = pcall(table.sort, {2, 1}, function()\n"
    "    httpd.serve_file(DIR .. 'a.txt')\n"
    "  end)\n"
    "  same(ok, false)\n"
    "  if not why:find('cannot suspend', 1, true) then error(why) end\n"
    "  httpd.write(nil, 'ok')\n"
    "end)\n";

static struct test_live live;
static char answer[4096];

static int start(void **state)
{
    (void)state;
    test_live_dir();
    test_live_start(&live, 1, source);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    test_live_stop(&live);
    test_live_remove_dir();
    return 0;
}

/* The status line, or some other part of the whole answer. */
static void expect(const char *path, const char *part)
{
    char request[200];

    snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    test_client_ask(live.port, request, answer, sizeof(answer));
    if (!strstr(answer, part))
        fail_msg("%s: no %s in %s", path, part, answer);
}

static void whole_answers(void **state)
{
    (void)state;
    test_live_expect(&live, "/a", "a file");
    test_live_expect(&live, "/told", "200 nil");
    expect("/a", "content-length: 6\r\n");
    expect("/a", "content-type: text/plain; charset=utf-8\r\n");
    expect("/a", "etag: ");
    test_live_expect(&live, "/hidden", "hidden");
    expect("/none", "HTTP/1.1 404 ");
    test_live_expect(&live, "/told", "404 nil");
    assert_int_equal(strlen(test_live_get(&live, "/long")), 2000000);
    test_live_expect(&live, "/told", "200 nil");
}

static void beneath_a_root(void **state)
{
    (void)state;
    test_live_expect(&live, "/in", "a file");
    test_live_expect(&live, "/in2", "a file");
    test_live_expect(&live, "/files/a.txt", "a file");
    expect("/files/.hidden", "HTTP/1.1 404 ");
    expect("/dot", "HTTP/1.1 404 ");
    expect("/up", "HTTP/1.1 404 ");
    expect("/up2", "HTTP/1.1 404 ");
    expect("/zero", "HTTP/1.1 404 ");
    expect("/folder", "HTTP/1.1 404 ");
    assert_non_null(strstr(answer, "404 Not Found"));
    expect("/list", "HTTP/1.1 200 ");
    assert_non_null(strstr(answer, "<a href=\"a.txt\">a.txt</a>"));
}

static void options(void **state)
{
    (void)state;
    expect("/options", "content-type: text/x-own\r\n");
    expect("/options", "cache-control: no-store\r\n");
    expect("/options", "content-disposition: attachment; filename=\"n__me "
                       "_1_.txt\"; filename*=UTF-8''n%C3%A4me%20%221%22.txt"
                       "\r\n");
    expect("/status", "HTTP/1.1 503 ");
    expect("/status", "a file");
    expect("/no/such", "HTTP/1.1 404 ");
    expect("/no/such", "own page");
}

static void further_fields(void **state)
{
    (void)state;
    expect("/fields", "x-one: 1\r\n");
    expect("/fields", "x-two: 2\r\n");
    expect("/fields", "set-cookie: a=1\r\nset-cookie: b=2\r\n");
    expect("/fields", "accept-ranges: bytes\r\n");
    test_client_ask(live.port,
                    "GET /fields HTTP/1.0\r\nif-none-match: *\r\n\r\n", answer,
                    sizeof(answer));
    assert_non_null(strstr(answer, "HTTP/1.1 304 "));
    assert_non_null(strstr(answer, "x-one: 1\r\n"));
    expect("/gone", "HTTP/1.1 404 ");
    assert_null(strstr(answer, "x-one"));
}

/* A cache keeps a page with a status of its own as it does others. */
static void page_of_an_error(void **state)
{
    (void)state;
    test_client_ask(live.port,
                    "GET /page HTTP/1.0\r\naccept-encoding: gzip\r\n"
                    "range: bytes=0-1\r\n\r\n",
                    answer, sizeof(answer));
    assert_non_null(strstr(answer, "HTTP/1.1 404 "));
    assert_non_null(strstr(answer, "content-encoding: gzip\r\n"));
    assert_non_null(strstr(answer, "vary: accept-encoding\r\n"));
    assert_non_null(strstr(answer, "cache-control: no-cache\r\n"));
    assert_non_null(strstr(answer, "X-Frame-Options: DENY\r\n"));
    assert_non_null(strstr(answer, "zipped"));
    assert_null(strstr(answer, "accept-ranges"));
}

static void mistakes(void **state)
{
    (void)state;
    test_live_expect(&live, "/mistakes", "ok");
    test_live_expect(&live, "/late", "x");
    test_live_expect(&live, "/nowhere", "ok");
}

static void other_methods(void **state)
{
    (void)state;
    test_client_ask(live.port, "POST /a HTTP/1.0\r\ncontent-length: 1\r\n\r\nx",
                    answer, sizeof(answer));
    assert_non_null(strstr(answer, "HTTP/1.1 405 "));
    assert_non_null(strstr(answer, "allow: GET, HEAD\r\n"));
    test_client_ask(live.port, "HEAD /a HTTP/1.0\r\n\r\n", answer,
                    sizeof(answer));
    assert_non_null(strstr(answer, "content-length: 6\r\n"));
    assert_null(strstr(answer, "a file"));
}

/* The handler learns that nobody took the file. */
static int told_closed(void *arg)
{
    (void)arg;
    return strcmp(test_live_get(&live, "/told"), "nil closed") == 0;
}

static void client_goes(void **state)
{
    int fd;

    (void)state;
    /* More than any socket's buffer. */
    assert_int_equal(truncate(test_live_path("huge"), (off_t)1 << 28), 0);
    fd = test_live_ask(&live, "/huge");
    test_client_read_until(fd, answer, sizeof(answer), "HTTP/1.1 200");
    close(fd);
    test_live_until(told_closed, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_answers),    cmocka_unit_test(beneath_a_root),
        cmocka_unit_test(options),          cmocka_unit_test(further_fields),
        cmocka_unit_test(page_of_an_error), cmocka_unit_test(mistakes),
        cmocka_unit_test(other_methods),    cmocka_unit_test(client_goes),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
