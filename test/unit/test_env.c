/* The two tables that a handler gets. */
#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

/* Everything that pairs() shows, sorted. */
static const char listing[] =
    "local function list(t)\n"
    "  local keys = {}\n"
    "  for k in pairs(t) do keys[#keys + 1] = k end\n"
    "  table.sort(keys)\n"
    "  for _, k in ipairs(keys) do\n"
    "    httpd.write(nil, k .. '=' .. t[k] .. '\\n') end\n"
    "end\n"
    "httpd.register_handler('/env', function(env) list(env) end)\n"
    "httpd.register_handler('/header', function(_, header) list(header) end)\n"
    "httpd.register_handler('/types', function(env) for _, v in pairs(env) do\n"
    "  assert(type(v) == 'string' or type(v) == 'number') end end)";

static void env_lists(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start(&s, listing);
    test_script_expect(&s, "/env", 200,
                       "CLIENT_ADDR=192.0.2.1\n"
                       "CLIENT_PORT=49152\n"
                       "DATE_UTC=Tue, 24 Nov 2026 03:15:00 GMT\n"
                       "HANDLER_NAME=/env\n"
                       "SCRIPT_FILENAME=test.lua\n"
                       "SCRIPT_PREFIX=/\n"
                       "SERVER_ADDR=192.0.2.80\n"
                       "SERVER_PORT=80\n"
                       "SERVER_PROTOCOL=HTTP/1.1\n"
                       "SERVER_SOFTWARE=test\n");
    test_script_expect(&s, "/types?", 200, "");
    l = test_script_request(&s, "GET", "/env?", NULL, false);
    l->ex->request.accepts_push = true;
    l->ex->request.version = LH_HTTP_2;
    test_script_run(&s);
    assert_non_null(strstr(l->body, "QUERY_INFO=\n"));
    assert_non_null(strstr(l->body, "PUSH_PROMISE=1\n"));
    assert_non_null(strstr(l->body, "SERVER_PROTOCOL=HTTP/2\n"));
    test_script_deinit(&s);
}

/* The date and the addresses are remembered, but not for too long. */
static void env_changes(void **state)
{
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start(&s, listing);
    (void)test_script_request(&s, "GET", "/env", NULL, false);
    test_script_run(&s);
    test_script_done(&s);
    s.t.ctx.unix_s++;
    memcpy(s.t.ctx.date, "Tue, 24 Nov 2026 03:15:01 GMT", 30);
    strcpy(s.t.peer->client_addr, "2001:db8::1");
    strcpy(s.t.peer->server_addr, "unix");
    l = test_script_request(&s, "GET", "/env", NULL, false);
    l->ex->request.version = LH_HTTP_1_0;
    test_script_run(&s);
    assert_non_null(strstr(l->body, "DATE_UTC=Tue, 24 Nov 2026 03:15:01"));
    assert_non_null(strstr(l->body, "CLIENT_ADDR=2001:db8::1\n"));
    assert_non_null(strstr(l->body, "SERVER_ADDR=unix\n"));
    assert_non_null(strstr(l->body, "SERVER_PROTOCOL=HTTP/1.0\n"));
    test_script_deinit(&s);
}

static const char by_name[] =
    "httpd.register_handler('/cgi/*', function(env)\n"
    "  for _, n in ipairs{'REQUEST_METHOD', 'REQUEST_URI', 'PATH_INFO',\n"
    "    'QUERY_STRING', 'CONTENT_LENGTH', 'CONTENT_TYPE', 'SCRIPT_NAME',\n"
    "    'SERVER_NAME', 'REMOTE_ADDR', 'REMOTE_PORT',\n"
    "    'PEER_ADDR', 'PEER_PORT', 'HTTPS',\n"
    "    'SSL_PROTOCOL', 'SSL_CIPHER', 'SSL_SERVER_NAME', 'WORKER',\n"
    "    'REQUEST_ID', 'NO_SUCH', 1} do\n"
    "    httpd.write(nil, n .. '=' .. tostring(env[n]) .. '\\n')\n"
    "  end\n"
    "end)\n"
    "httpd.register_handler('/keep', function(env) kept = env end)\n"
    "httpd.register_handler('/other', function(env)\n"
    "  httpd.write(nil, tostring(kept.REQUEST_URI) .. kept.HANDLER_NAME ..\n"
    "    env.REQUEST_URI .. type(env.WORKER)) end)";

static void env_by_name(void **state)
{
    static const char *const fields[] = {"content-type", "text/x", NULL};
    struct lh_vm_config config = {.prefix = "/app",
                                  .name = "test.lua",
                                  .source = by_name,
                                  .source_bytes = sizeof(by_name) - 1};
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_init(&s);
    test_script_load_as(&s, &config);
    l = test_script_request(&s, "POST", "/cgi/a%20b?x=1", fields, false);
    l->ex->request.content_length = 12;
    l->ex->request.authority = LH_STR("[2001:db8::2]:8443");
    s.t.ctx.ids = (struct lh_ids){.key = {{1, 2}}, .has_key = true};
    s.t.peer->secure = true;
    s.t.peer->tls_protocol = "TLSv1.2";
    s.t.peer->tls_cipher = "TLS_X";
    test_script_run(&s);
    assert_string_equal(l->body, "REQUEST_METHOD=POST\n"
                                 "REQUEST_URI=/cgi/a%20b?x=1\n"
                                 "PATH_INFO=a b\n"
                                 "QUERY_STRING=x=1\n"
                                 "CONTENT_LENGTH=12\n"
                                 "CONTENT_TYPE=text/x\n"
                                 "SCRIPT_NAME=/app/cgi\n"
                                 "SERVER_NAME=[2001:db8::2]\n"
                                 "REMOTE_ADDR=192.0.2.1\n"
                                 "REMOTE_PORT=49152\n"
                                 "PEER_ADDR=192.0.2.1\n"
                                 "PEER_PORT=49152\n"
                                 "HTTPS=on\n"
                                 "SSL_PROTOCOL=TLSv1.2\n"
                                 "SSL_CIPHER=TLS_X\n"
                                 "SSL_SERVER_NAME=nil\n"
                                 "WORKER=0\n"
                                 "REQUEST_ID="
                                 "b6ea9c3a1980c7cbfbc8a86debb0ee00\n"
                                 "NO_SUCH=nil\n"
                                 "1=nil\n");
    s.t.peer->secure = false;
    s.t.peer->tls_protocol = s.t.peer->tls_cipher = NULL;
    l = test_script_request(&s, "GET", "/cgi/", NULL, false);
    test_script_run(&s);
    assert_non_null(strstr(l->body, "QUERY_STRING=\nCONTENT_LENGTH=nil\n"
                                    "CONTENT_TYPE=nil\n"));
    assert_non_null(strstr(l->body, "SERVER_NAME=loopback.test\n"));
    l = test_script_request(&s, "GET", "/cgi/", NULL, false);
    l->ex->request.authority = (struct lh_str){NULL, 0};
    test_script_run(&s);
    assert_non_null(strstr(l->body, "SERVER_NAME=192.0.2.80\n"));
    assert_non_null(strstr(l->body, "HTTPS=nil\nSSL_PROTOCOL=nil\n"));
    test_script_deinit(&s);
}

/* Another request's table does not answer for the one that runs. */
static void env_of_another(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start(&s, by_name);
    test_script_expect(&s, "/keep", 200, "");
    test_script_expect(&s, "/other", 200, "nil/keep/othernumber");
    test_script_deinit(&s);
}

static void header_lists(void **state)
{
    static const char *const fields[] = {
        "accept",      "*/*",  "x-a",  "1",     "method", "FORGED",
        "x-a",         "2",    "path", "/x",    "scheme", "ftp",
        "cookie",      "a=1",  "x-a",  "3",     "cookie", "b=2",
        "authority",   "evil", "host", "other", "x",      "",
        "accept-char", "u",    NULL,
    };
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start(&s, listing);
    l = test_script_request(&s, "GET", "/header?q", fields, false);
    test_script_run(&s);
    assert_string_equal(l->body, ":authority=loopback.test\n"
                                 ":method=GET\n"
                                 ":path=/header?q\n"
                                 ":scheme=http\n"
                                 "accept=*/*\n"
                                 "accept-char=u\n"
                                 "cookie=a=1; b=2\n"
                                 "x=\n"
                                 "x-a=1, 2, 3\n");
    l = test_script_request(&s, "GET", "/header", NULL, false);
    l->ex->request.authority = (struct lh_str){NULL, 0};
    test_script_run(&s);
    assert_string_equal(l->body, ":method=GET\n:path=/header\n:scheme=http\n");
    test_script_deinit(&s);
}

static void header_by_name(void **state)
{
    static const char *const fields[] = {"content-length", "3", NULL};
    struct test_script s;
    struct test_loopback *l;

    (void)state;
    test_script_start(
        &s, "httpd.register_handler('/', function(env, h)\n"
            "  httpd.write(nil, {h['Content-Length'], h['content-length'],\n"
            "    h.method, h.Method, h.path, h.scheme, h.authority, h.host,\n"
            "    h.Host, h[':method'], tostring(h.nope),\n"
            "    tostring(h[1]), tostring(h[('x'):rep(1000)])})\n"
            "end)");
    l = test_script_request(&s, "PUT", "/?a", fields, false);
    test_script_run(&s);
    assert_string_equal(l->body, "33PUTPUT/?ahttploopback.testloopback.test"
                                 "loopback.testPUTnilnilnil");
    test_script_deinit(&s);
}

/* Nothing is made that a handler cannot see. */
static void arguments_that_are_named(void **state)
{
    static const char source[] =
        "local function kinds(...)\n"
        "  httpd.write(nil, {select('#', ...), type((...)),\n"
        "    type((select(2, ...))), type((select(3, ...)))})\n"
        "end\n"
        "local reg = httpd.register_handler\n"
        "reg('/none', function() httpd.write(nil, 'none') end)\n"
        "reg('/env', function(env) httpd.write(nil, env.REQUEST_URI) end)\n"
        "reg('/both', function(env, header)\n"
        "  httpd.write(nil, env.WORKER .. header.path) end)\n"
        "reg('/three', function(env, header, body)\n"
        "  kinds(env, header, body) end)\n"
        "reg('/rest', function(...) kinds(...) end)\n"
        "reg('/some', function(env, ...) kinds(env, ...) end)\n"
        "reg('/c', httpd.closed)\n"
        "debug.getinfo = nil\n"
        "reg('/bare', function(...) kinds(...) end)\n";
    static const char all[] = "2tabletablenil";
    struct test_script s;

    (void)state;
    test_script_start(&s, source);
    for (int i = 0; i < 2; i++) {
        test_script_expect(&s, "/none", 200, "none");
        test_script_expect(&s, "/env?x", 200, "/env?x");
        test_script_expect(&s, "/both", 200, "0/both");
        test_script_expect(&s, "/three", 200, "3tabletablenil");
        test_script_expect(&s, "/rest", 200, all);
        test_script_expect(&s, "/some", 200, all);
        test_script_expect(&s, "/c", 200, "");
        test_script_expect(&s, "/bare", 200, all);
    }
    test_script_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(env_lists),
        cmocka_unit_test(env_changes),
        cmocka_unit_test(env_by_name),
        cmocka_unit_test(env_of_another),
        cmocka_unit_test(header_lists),
        cmocka_unit_test(header_by_name),
        cmocka_unit_test(arguments_that_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
