/* httpd.sha256, hmac, equal, base64, unbase64 and basic_auth, by a script. */
#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char code[] =
    "local ok, why = pcall(function()\n"
    "local function hex(s) return (s:gsub('.', function(c)\n"
    "  return ('%02x'):format(c:byte()) end)) end\n"
    "local function same(a, b) if a ~= b then\n"
    "  error(('%q is not %q'):format(tostring(a), tostring(b)), 2) end end\n"
    "local function refused(what, f, ...)\n"
    "  local ok, why = pcall(f, ...)\n"
    "  same(ok, false)\n"
    "  if not why:find(what, 1, true) then error(why, 2) end end\n"
    "same(hex(httpd.sha256('abc')), 'ba7816bf8f01cfea414140de5dae2223' ..\n"
    "  'b00361a396177a9cb410ff61f20015ad')\n"
    "same(httpd.sha256(12), httpd.sha256('12'))\n"
    "same(hex(httpd.hmac('Jefe', 'what do ya want for nothing?')),\n"
    "  '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843')\n"
    "same(#httpd.hmac('', ''), 32)\n"
    "same(httpd.equal('a', 'a'), true) same(httpd.equal('', ''), true)\n"
    "same(httpd.equal('a', 'b'), false) same(httpd.equal('a', 'ab'), false)\n"
    "same(httpd.base64('\\251\\255'), '+/8=')\n"
    "same(httpd.base64('\\251\\255', 'url'), '-_8')\n"
    "same(httpd.base64('\\255\\255\\255', 'url'), '____')\n"
    "same(httpd.base64('', 'url'), '')\n"
    "for n = 0, 100 do\n"
    "  local s = httpd.random(n)\n"
    "  same(httpd.unbase64(httpd.base64(s)), s)\n"
    "  same(httpd.unbase64(httpd.base64(s, 'url')), s) end\n"
    "for _, s in ipairs{'A', 'Zg=', 'Zm 9v', 'Zh==', '*'} do\n"
    "  local r, why = httpd.unbase64(s)\n"
    "  same(r, nil) same(why, 'malformed') end\n"
    "refused(\"#1 to 'httpd.sha256' (string expected, got no value)\",\n"
    "  httpd.sha256)\n"
    "refused(\"#2 to 'httpd.hmac' (string expected, got table)\",\n"
    "  httpd.hmac, 'a', {})\n"
    "refused(\"#1 to 'httpd.equal' (string expected, got nil)\",\n"
    "  httpd.equal, nil, 'a')\n"
    "refused('\"url\" or nothing', httpd.base64, 'a', 'hex')\n"
    "refused('\"url\" or nothing', httpd.base64, 'a', true)\n"
    "local function login(text, user, password, why)\n"
    "  local a, b = httpd.basic_auth(text)\n"
    "  if why then same(a, nil) same(b, why) else\n"
    "  same(a, user) same(b, password) end end\n"
    "login('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==', 'Aladdin', 'open sesame')\n"
    "login('basic   ' .. httpd.base64('a:b:c'), 'a', 'b:c')\n"
    "login('BASIC ' .. httpd.base64(':'), '', '')\n"
    "login('Basic', nil, nil, 'malformed')\n"
    "login('Basic ' .. httpd.base64('nocolon'), nil, nil, 'malformed')\n"
    "login('Basic ' .. httpd.base64('a\\n:b'), nil, nil, 'malformed')\n"
    "login('Basic ' .. httpd.base64('a:b\\0'), nil, nil, 'malformed')\n"
    "login('Basic *', nil, nil, 'malformed')\n"
    "login('Bearer abc') login('Basically abc') login('') login(nil)\n"
    "login({}) login(header, 'u', 'p')\n"
    "refused('string expected, got boolean', httpd.basic_auth, true)\n"
    "end)\n"
    "httpd.write(nil, ok and 'ok' or why)\n";

static void test_keys(void **state)
{
    static const char *const fields[] = {"authorization", "Basic dTpw", NULL};
    struct test_script s;

    (void)state;
    test_script_start_handler(&s, code);
    const struct test_loopback *r =
        test_script_request(&s, "GET", "/", fields, false);
    test_script_run(&s);
    assert_string_equal(r->body, "ok");
    test_script_done(&s);
    test_script_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
