/* A VM: loading scripts, finding handlers, the program's factory. */
#include "lib/heap.h"
#include "lib/script.h"
#include "lua/compat.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void load_errors(void **state)
{
    static const struct {
        const char *source, *text;
    } cases[] = {
        {"x =", "test.lua:1:"},
        {"\n\nerror('at load')", "test.lua:3: at load"},
        {"error({})", "test.lua: the error is a table value"},
        {"local x = nil\nx()", "test.lua:2: attempt to call"},
        {"httpd.register_handler(1, print)",
         "test.lua:1: bad argument #1 to 'httpd.register_handler' (string "
         "expected, got number)"},
        {"httpd.register_handler('/', 'x')",
         "test.lua:1: bad argument #2 to 'httpd.register_handler' (function "
         "expected, got string)"},
        {"httpd.register_handler('/\\0', print)",
         "test.lua:1: httpd.register_handler: a zero in the name"},
        {"coroutine.yield()", "yield"},
        {"require 'no.such.module'", "no.such.module"},
        {"\27Lua nonsense", "test.lua"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_script s;
        test_script_init(&s);
        test_script_load(&s, "test.lua", cases[i].source);
        assert_int_equal(s.error, LHTTPD_ESCRIPT);
        if (!strstr(s.err.text, cases[i].text))
            fail_msg("%s: %s", cases[i].source, s.err.text);
        test_script_deinit(&s);
    }
}

static int keep_code(lua_State *L, const void *p, size_t n, void *data)
{
    struct lh_str *all = data;
    char *grown = lh_realloc((char *)(uintptr_t)all->p, all->n + n);

    (void)L;
    if (!grown)
        return 1;
    memcpy(grown + all->n, p, n);
    all->p = grown;
    all->n += n;
    return 0;
}

static void bytecode(void **state)
{
    struct lh_str code = {NULL, 0};
    struct test_script s;
    lua_State *L = luaL_newstate();

    (void)state;
    assert_int_equal(luaL_loadstring(L,
                                     "httpd.register_handler('/', function()\n"
                                     "httpd.write(nil, 'compiled') end)"),
                     0);
#if LH_LUA_53
    assert_int_equal(lua_dump(L, keep_code, &code, 0), 0);
#else
    assert_int_equal(lua_dump(L, keep_code, &code), 0);
#endif
    lua_close(L);
    test_script_init(&s);
    struct lh_vm_config config = {
        .name = "x.luac", .source = code.p, .source_bytes = code.n};
    test_script_load_as(&s, &config);
    assert_int_equal(s.error, 0);
    test_script_expect(&s, "/", 200, "compiled");
    test_script_deinit(&s);
    lh_free((char *)(uintptr_t)code.p);
}

/* --- handlers ------------------------------------------------------------- */

static void finding(void **state)
{
    static const struct {
        const char *path, *body;
        unsigned status;
    } cases[] = {
        {"/", "root nil", 200},
        {"/ui", "/ui nil", 200},
        {"/ui/", "/ui/* ", 200},
        {"/ui/a/b", "/ui/* a/b", 200},
        {"/ui/x/a%20b", "/ui/x/* a b", 200},
        {"/plain", "/plain nil", 200},
        {"/none", "/notfound nil", 404},
        {"/notfound", "/notfound nil", 404},
    };
    struct test_script s;

    (void)state;
    test_script_start(&s, "local function show(env) httpd.write(nil,\n"
                          "  env.HANDLER_NAME .. ' ' ..\n"
                          "  tostring(env.PATH_INFO)) end\n"
                          "httpd.register_handler('/', function(env)\n"
                          "  httpd.write(nil, 'root nil') end)\n"
                          "for _, n in ipairs{'/ui', '/ui/*', '/ui/x/*',\n"
                          "  'plain', '/notfound'} do\n"
                          "  httpd.register_handler(n, show) end");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        test_script_expect(&s, cases[i].path, cases[i].status, cases[i].body);
    assert_true(lh_vm_has_root(s.vm));
    assert_true(lh_vm_not_found(s.vm) >= 0);
    struct lh_str path_info;
    assert_int_equal(lh_vm_find(s.vm, LH_STR(""), &path_info),
                     lh_vm_find(s.vm, LH_STR("/"), &path_info));
    assert_int_equal(lh_vm_find(s.vm, LH_STR("/nope"), &path_info), -1);
    test_script_deinit(&s);
}

static void not_found_statuses(void **state)
{
    static const struct {
        const char *code;
        unsigned status;
    } cases[] = {
        {"", 404},
        {"httpd.header{}", 404},
        {"httpd.header{status = 200}", 200},
        {"httpd.header{status = 410}", 410},
        {"httpd.finish()", 404},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_script s;
        char source[256];
        snprintf(source, sizeof(source),
                 "httpd.register_handler('/notfound', function() %s end)",
                 cases[i].code);
        test_script_start(&s, source);
        assert_false(lh_vm_has_root(s.vm));
        test_script_expect(&s, "/x", cases[i].status, "");
        test_script_deinit(&s);
    }
}

static void registered_twice(void **state)
{
    struct test_script s;

    (void)state;
    test_script_start(&s, "httpd.register_handler('/a', function()\n"
                          "  httpd.write(nil, 'first') end)\n"
                          "httpd.register_handler('a', function()\n"
                          "  httpd.write(nil, 'second') end)");
    assert_non_null(strstr(s.t.last_log, "a is registered already"));
    test_script_expect(&s, "/a", 200, "first");
    test_script_deinit(&s);
}

static void none_registered(void **state)
{
    struct test_script s;
    struct lh_str path_info;

    (void)state;
    test_script_start(&s, "");
    assert_int_equal(lh_vm_find(s.vm, LH_STR("/"), &path_info), -1);
    assert_int_equal(lh_vm_not_found(s.vm), -1);
    test_script_deinit(&s);
}

/* The handler that runs, for the log and a server that will not stop. */
static char seen_running[200];
static struct test_script *running_script;

static int look_running(lua_State *L)
{
    struct lh_run run;

    if (lh_running_look(&running_script->t.ctx.running, &run))
        lh_run_text(seen_running, sizeof(seen_running), &run);
    (void)L;
    return 0;
}

static int add_look(lua_State *L)
{
    assert_ptr_equal(lua_touserdata(L, 1), &seen_running);
    assert_int_equal(lua_tointeger(L, 2), 3);
    lua_pushcfunction(L, look_running);
    lua_setglobal(L, "look");
    return 0;
}

static void load_with(struct test_script *s, lhttpd_vm_factory_t *factory,
                      const char *source)
{
    struct lh_vm_config config = {.name = source ? "dir/test.lua" : NULL,
                                  .source = source,
                                  .source_bytes = source ? strlen(source) : 0,
                                  .factory = factory};

    test_script_load_as(s, &config);
}

static void running(void **state)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    struct test_script s;
    struct lh_run run;

    (void)state;
    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = add_look;
    factory.context = &seen_running;
    test_script_init(&s);
    s.t.ctx.worker = 3;
    load_with(&s, &factory,
              "\nhttpd.register_handler('/', function()\n look() end)");
    assert_int_equal(s.error, 0);
    running_script = &s;
    assert_false(lh_running_look(&s.t.ctx.running, &run));
    test_script_expect(&s, "/", 200, "");
    assert_string_equal(seen_running,
                        "handler / (line 2) of script dir/test.lua");
    assert_false(lh_running_look(&s.t.ctx.running, &run));
    test_script_deinit(&s);
}

/* --- the factory ---------------------------------------------------------- */

static int failing_setup(lua_State *L)
{
    return luaL_error(L, "no device");
}

static struct lua_State *no_state(void *context, unsigned worker)
{
    (void)context;
    (void)worker;
    return NULL;
}

static unsigned destroyed;

static struct lua_State *bare_state(void *context, unsigned worker)
{
    (void)context;
    (void)worker;
    return luaL_newstate();
}

static void count_destroy(void *context, struct lua_State *L)
{
    (void)context;
    destroyed++;
    lua_close(L);
}

static int only_base(lua_State *L)
{
    lua_getglobal(L, "httpd");
    lua_getfield(L, -1, "register_handler");
    lua_pushliteral(L, "/");
    lua_pushcfunction(L, look_running);
    lua_call(L, 2, 0);
    return 0;
}

static void factory_errors(void **state)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    struct test_script s;

    (void)state;
    factory.lua_version = LUA_VERSION_NUM + 1;
    test_script_init(&s);
    load_with(&s, &factory, "");
    assert_int_equal(s.error, LHTTPD_ESCRIPT);
    assert_non_null(strstr(s.err.text, "built for Lua"));
    test_script_deinit(&s);

    factory.lua_version = 0;
    test_script_init(&s);
    load_with(&s, &factory, "");
    assert_int_equal(s.error, LHTTPD_ESCRIPT);
    assert_non_null(strstr(s.err.text, "lua_version is not set"));
    test_script_deinit(&s);

    factory.lua_version = LUA_VERSION_NUM;
    factory.setup = failing_setup;
    test_script_init(&s);
    load_with(&s, &factory, "");
    assert_int_equal(s.error, LHTTPD_ESCRIPT);
    assert_string_equal(s.err.text, "setup of '/': no device");
    test_script_deinit(&s);

    factory.create = no_state;
    test_script_init(&s);
    load_with(&s, &factory, "");
    assert_int_equal(s.error, LHTTPD_ESCRIPT);
    assert_non_null(strstr(s.err.text, "create made no state"));
    test_script_deinit(&s);
}

/* A state without any library, and without a script. */
static void a_bare_state(void **state)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();
    struct test_script s;

    (void)state;
    factory.lua_version = LUA_VERSION_NUM;
    factory.create = bare_state;
    factory.setup = only_base;
    factory.destroy = count_destroy;
    destroyed = 0;
    test_script_init(&s);
    load_with(&s, &factory, NULL);
    if (s.error)
        fail_msg("%s", s.err.text);
    running_script = &s;
    test_script_expect(&s, "/", 200, "");
    assert_string_equal(seen_running,
                        "handler / (in C) of the program's setup");
    test_script_deinit(&s);
    assert_int_equal(destroyed, 1);
}

/* --- surroundings --------------------------------------------------------- */

static void modules_beside_the_script(void **state)
{
    char directory[] = "/tmp/lhttpd_test_XXXXXX", path[64], name[64];
    struct test_script s;
    FILE *f;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/beside.lua", directory);
    snprintf(name, sizeof(name), "%s/test.lua", directory);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs("return 'found'", f);
    fclose(f);
    test_script_init(&s);
    test_script_load(&s, name,
                     "local found = require 'beside'\n"
                     "httpd.register_handler('/', function(env)\n"
                     "  httpd.write(nil, found) end)");
    unlink(path);
    rmdir(directory);
    if (s.error)
        fail_msg("%s", s.err.text);
    test_script_expect(&s, "/", 200, "found");
    test_script_deinit(&s);
}

static void random_is_seeded(void **state)
{
    static const char source[] =
        "local n = math.random(2 ^ 30)\n"
        "httpd.register_handler('/', function() httpd.write(nil, n) end)";
    char first[32];

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct test_script s;
        struct test_loopback *l;
        test_script_start(&s, source);
        l = test_script_request(&s, "GET", "/", NULL, false);
        test_script_run(&s);
        if (i == 0)
            snprintf(first, sizeof(first), "%s", l->body);
        else
            assert_string_not_equal(first, l->body);
        test_script_deinit(&s);
    }
}

/* The n-th allocation of the library fails while a VM is made. */
static void memory(void **state)
{
    unsigned long n;

    (void)state;
    for (n = 1; n < 100; n++) {
        struct test_script s;
        test_script_init(&s);
        test_heap_install();
        test_heap_fail_at(n);
        test_script_load(&s, "test.lua",
                         "httpd.register_handler('/', print)\n"
                         "httpd.register_handler('/a/*', print)");
        bool all = test_heap_count() < n;
        test_heap_fail_at(0);
        if (all)
            assert_int_equal(s.error, 0);
        else
            assert_true(s.error == LHTTPD_ENOMEM || s.error == LHTTPD_ESCRIPT);
        if (s.vm)
            lh_vm_free(s.vm);
        s.vm = NULL;
        assert_int_equal(test_heap_live(), 0);
        test_heap_uninstall();
        test_script_deinit(&s);
        if (all)
            break;
    }
    assert_in_range(n, 5, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_errors),
        cmocka_unit_test(bytecode),
        cmocka_unit_test(finding),
        cmocka_unit_test(not_found_statuses),
        cmocka_unit_test(registered_twice),
        cmocka_unit_test(none_registered),
        cmocka_unit_test(running),
        cmocka_unit_test(factory_errors),
        cmocka_unit_test(a_bare_state),
        cmocka_unit_test(modules_beside_the_script),
        cmocka_unit_test(random_is_seeded),
        cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
