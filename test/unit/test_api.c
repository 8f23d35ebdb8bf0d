/* The httpd module's functions, as docs/lua-api.md describes them. */
#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void hello(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start(&s, "httpd.register_handler('/', function(env, header)\n"
                          "  httpd.header{[':status'] = '200',\n"
                          "    ['content-type'] = 'text/plain'}\n"
                          "  httpd.write(nil, 'hello, ' .. env.HANDLER_NAME)\n"
                          "end)\n");
    test_script_expect(&s, "/", 200, "hello, /");
    test_script_expect(&s, "/", 200, "hello, /");
    test_script_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
