/* Runs a Lua script's handlers without a server: see script.h. */
#include "lib/script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>

#define TURNS_MAX 10000

void test_script_init(struct test_script *s)
{
    memset(s, 0, sizeof(*s));
    test_context_init(&s->t);
    s->t.limits.handler_run_ms = LHTTPD_UNLIMITED;
    lh_list_init(&s->ready);
    s->pump_bytes = SIZE_MAX;
}

void test_script_load_as(struct test_script *s,
                         const struct lh_vm_config *config)
{
    struct lh_vm_config own = *config;

    own.ctx = &s->t.ctx;
    own.ready = &s->ready;
    if (!own.prefix)
        own.prefix = "";
    s->error = lh_vm_new(&s->vm, &own, &s->err);
    if (s->error)
        s->vm = NULL;
}

void test_script_load(struct test_script *s, const char *name,
                      const char *source)
{
    struct lh_vm_config config = {
        .name = name, .source = source, .source_bytes = strlen(source)};

    test_script_load_as(s, &config);
}

void test_script_start(struct test_script *s, const char *source)
{
    test_script_init(s);
    test_script_load(s, "test.lua", source);
    if (s->error)
        fail_msg("%s", s->err.text);
}

void test_script_start_handler(struct test_script *s, const char *code)
{
    char source[8192];

    assert_true((size_t)snprintf(source, sizeof(source),
                                 "httpd.register_handler('/',"
                                 "function(env, header)\n%s\nend)",
                                 code) < sizeof(source));
    test_script_start(s, source);
}

static int open_all(lua_State *L)
{
    luaL_openlibs(L);
    return 0;
}

struct lua_State *test_script_new_state(lua_Alloc alloc)
{
    lua_State *L = lua_newstate(alloc, NULL);

    assert_non_null(L);
    assert_int_equal(lh_lua_cpcall(L, open_all, NULL), 0);
    return L;
}

void test_script_done(struct test_script *s)
{
    for (unsigned i = 0; i < s->requests_n; i++)
        test_loopback_deinit(&s->requests[i]);
    s->requests_n = 0;
}

void test_script_deinit(struct test_script *s)
{
    for (unsigned i = 0; i < s->requests_n; i++)
        if (s->requests[i].ex)
            test_loopback_gone(&s->requests[i]);
    if (s->vm)
        lh_vm_free(s->vm);
    test_script_done(s);
    assert_int_equal(s->t.ctx.counters.tasks, 0);
    test_context_deinit(&s->t);
}

struct test_loopback *test_script_request(struct test_script *s,
                                          const char *method,
                                          const char *target,
                                          const char *const *fields,
                                          bool has_body)
{
    struct test_loopback *l = &s->requests[s->requests_n];
    struct lh_str path_info = {NULL, 0};

    assert_true(s->requests_n < TEST_SCRIPT_REQUESTS);
    s->requests_n++;
    test_loopback_request(l, &s->t, method, target, fields, has_body);
    int handler = lh_vm_find(s->vm, l->ex->request.path, &path_info);
    if (handler < 0)
        handler = lh_vm_not_found(s->vm);
    assert_true(handler >= 0);
    assert_int_equal(lh_vm_serve(s->vm, handler, l->ex, path_info), 0);
    return l;
}

static bool pump_all(struct test_script *s)
{
    bool moved = false;

    for (unsigned i = 0; i < s->requests_n; i++) {
        struct test_loopback *l = &s->requests[i];
        bool news = l->has_output;
        if (l->ex && test_loopback_pump(l, s->pump_bytes) > 0)
            moved = true;
        moved |= news;
    }
    return moved;
}

unsigned test_script_turns(struct test_script *s, unsigned most)
{
    for (unsigned turn = 0; turn < most; turn++) {
        struct lh_list now, *link;
        bool ran = false;
        lh_list_move(&now, &s->ready);
        while ((link = lh_list_take(&now)) != NULL) {
            lh_vm_run(lh_vm_of_ready(link));
            ran = true;
        }
        if (!pump_all(s) && !ran)
            return turn;
    }
    return most;
}

void test_script_run(struct test_script *s)
{
    assert_true(test_script_turns(s, TURNS_MAX) < TURNS_MAX);
}

void test_script_advance(struct test_script *s, uint64_t ms)
{
    test_context_advance(&s->t, ms);
    test_script_run(s);
}

void test_script_expect(struct test_script *s, const char *target,
                        unsigned status, const char *body)
{
    struct test_loopback *l;

    test_script_done(s);
    l = test_script_request(s, "GET", target, NULL, false);
    test_script_run(s);
    if (l->status != status && s->t.logged)
        print_message("%s\n", s->t.last_log);
    assert_string_equal(l->body ? l->body : "", body);
    assert_int_equal(l->status, status);
    assert_true(l->ended);
    test_script_done(s);
}
