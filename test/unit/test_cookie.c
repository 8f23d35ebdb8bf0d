/* Cookies: those that a client sends, and those that a script makes. */
#include "http/cookie.h"

#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* "name=value|" of each. */
static void expect(const char *field, const char *expected)
{
    struct lh_str rest = lh_str_of(field), name, value;
    char found[256];
    int n = 0;

    found[0] = '\0';
    while (lh_cookie_next(&rest, &name, &value))
        n += snprintf(found + n, sizeof(found) - (size_t)n, "%.*s=%.*s|",
                      (int)name.n, name.p, (int)value.n, value.p);
    assert_string_equal(found, expected);
}

static void test_next(void **state)
{
    (void)state;
    expect("", "");
    expect("a=b", "a=b|");
    expect("a=b; c=d", "a=b|c=d|");
    expect("a=b;c=d;", "a=b|c=d|");
    expect(" a = b \t; ;; c=\"d e\"", "a=b|c=d e|");
    expect("a=\"; b=\"\"", "a=\"|b=|");
    expect("none; =x; a=", "a=|");
    expect("a=b=c==", "a=b=c==|");
    expect("none", "");
    expect("=", "");
}

static void test_octets(void **state)
{
    (void)state;
    assert_int_equal(lh_cookie_value_valid(LH_STR("aB9!~-_.=:/")), 11);
    assert_int_equal(lh_cookie_value_valid(LH_STR("")), 0);
    for (int c = 0; c < 256; c++) {
        char text[3] = {'a', (char)c, 'b'};
        bool fine = c > ' ' && c < 0x7f && c != '"' && c != ',' && c != ';' &&
                    c != '\\';
        struct lh_str s = {text, 3};
        assert_int_equal(lh_cookie_value_valid(s), fine ? 3 : 1);
        fine = c >= ' ' && c < 0x7f && c != ';';
        assert_int_equal(lh_cookie_attribute_valid(s), fine ? 3 : 1);
    }
}

static void run(const char *code, const char *const *fields)
{
    struct test_script s;

    test_script_start_handler(&s, code);
    const struct test_loopback *r =
        test_script_request(&s, "GET", "/", fields, false);
    test_script_run(&s);
    assert_string_equal(r->body, "ok");
    test_script_done(&s);
    test_script_deinit(&s);
}

/* HTTP/2 may split them; the first of a name counts. */
static void test_of_request(void **state)
{
    static const char *const fields[] = {"cookie", "a=1; b=2; a=3", "cookie",
                                         "c=\"4\"", NULL};

    (void)state;
    run("local c = httpd.cookies()\n"
        "local n = 0 for _ in pairs(c) do n = n + 1 end\n"
        "assert(n == 3 and c.a == '1' and c.b == '2' and c.c == '4')\n"
        "httpd.write(nil, 'ok')",
        fields);
    run("assert(next(httpd.cookies()) == nil) httpd.write(nil, 'ok')", NULL);
}

static void test_of_response(void **state)
{
    (void)state;
    run("local function same(a, b) if a ~= b then error(a, 2) end end\n"
        "same(httpd.cookie('a', 'b'), 'a=b')\n"
        "same(httpd.cookie('a', ''), 'a=')\n"
        "same(httpd.cookie('a', 12), 'a=12')\n"
        "same(httpd.cookie('a', 'b', {}), 'a=b')\n"
        "same(httpd.cookie('a', 'b', {max_age = 3600, path = '/x',\n"
        "  domain = 'example.org', secure = true, http_only = true,\n"
        "  same_site = 'lax'}), 'a=b; Path=/x; Domain=example.org; ' ..\n"
        "  'Max-Age=3600; Secure; HttpOnly; SameSite=Lax')\n"
        "same(httpd.cookie('a', 'b', {max_age = 0, secure = false}),\n"
        "  'a=b; Max-Age=0')\n"
        "same(httpd.cookie('a', 'b', {max_age = 0.5}), 'a=b; Max-Age=1')\n"
        "same(httpd.cookie('__Host-a', 'b', {path = '/', secure = true}),\n"
        "  '__Host-a=b; Path=/; Secure')\n"
        "same(httpd.cookie('a', 'b', {same_site = 'None', secure = true}),\n"
        "  'a=b; Secure; SameSite=None')\n"
        "httpd.write(nil, 'ok')",
        NULL);
}

/* A finalizer runs wherever anything allocates: here it changes the options
 * while they are read. */
static void test_options_that_change(void **state)
{
    (void)state;
    run("local function finalizer(fn)\n"
        "  if newproxy then\n"
        "    getmetatable(newproxy(true)).__gc = fn\n"
        "  else\n"
        "    setmetatable({}, {__gc = fn})\n"
        "  end\n"
        "end\n"
        "local options\n"
        "for i = 1, 5000 do\n"
        "  options = {path = '/', secure = true}\n"
        "  finalizer(function() options.path = true end)\n"
        "  local ok, text = pcall(httpd.cookie, '__Host-a', i, options)\n"
        "  if ok then\n"
        "    assert(text == '__Host-a=' .. i .. '; Path=/; Secure', text)\n"
        "  end\n"
        "end\n"
        "httpd.write(nil, 'ok')",
        NULL);
}

/* Injection, and what browsers would drop without a word. */
static void test_refused(void **state)
{
    (void)state;
    run("local function refused(what, ...)\n"
        "  local ok, why = pcall(httpd.cookie, ...)\n"
        "  if ok or not why:find(what, 1, true) then error(why, 2) end\n"
        "end\n"
        "refused('octet 2 of the value', 'a', 'b; Path=/')\n"
        "refused('octet 2 of the value', 'a', 'b\\r\\nset-cookie: c=d')\n"
        "refused('octet 1 of the value', 'a', '\\0')\n"
        "refused('octet 1 of the value', 'a', '\\195\\164')\n"
        "refused('octet 2 of the name', 'a=', 'b')\n"
        "refused('octet 2 of the name', 'a\\n', 'b')\n"
        "refused('the name is empty', '', 'b')\n"
        "refused('octet 2 of the path', 'a', 'b', {path = '/;x'})\n"
        "refused('octet 2 of the domain', 'a', 'b', {domain = 'x\\n'})\n"
        "refused('does not begin', 'a', 'b', {path = 'x'})\n"
        "refused('path is no string', 'a', 'b', {path = true})\n"
        "refused('no number of seconds', 'a', 'b', {max_age = 'soon'})\n"
        "refused('no number of seconds', 'a', 'b', {max_age = 0/0})\n"
        "refused('no number of seconds', 'a', 'b', {max_age = 1/0})\n"
        "refused('same_site is', 'a', 'b', {same_site = 'x'})\n"
        "refused('same_site is', 'a', 'b', {same_site = true})\n"
        "refused('needs secure', 'a', 'b', {same_site = 'none'})\n"
        "refused('needs secure', '__Secure-a', 'b')\n"
        "refused('needs path', '__Host-a', 'b', {secure = true})\n"
        /* What answers differently each time is not asked. */
        "local asked = 0\n"
        "local path = {[1] = '/', [2] = print}\n"
        "refused('needs path', '__Host-a', 'b', setmetatable({secure = true},\n"
        "  {__index = function(_, key)\n"
        "    if key == 'path' then asked = asked + 1 return path[asked] end\n"
        "  end}))\n"
        "assert(asked == 0)\n"
        "refused('needs path', '__host-a', 'b', {secure = true, path = '/',\n"
        "  domain = 'x'})\n"
        "refused(\"no option 'httponly'\", 'a', 'b', {httponly = true})\n"
        "refused('an option that is no name', 'a', 'b', {'secure'})\n"
        "refused('table expected', 'a', 'b', 'secure')\n"
        "refused('string expected, got nil', 'a', nil)\n"
        "refused('drop more than 4096', 'a', ('x'):rep(4096))\n"
        "httpd.write(nil, 'ok')",
        NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_octets),
        cmocka_unit_test(test_of_request),
        cmocka_unit_test(test_of_response),
        cmocka_unit_test(test_options_that_change),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
