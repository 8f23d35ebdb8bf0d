/* Request targets and paths. */
#include "http/target.h"

#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char block[256];

struct path_case {
    const char *origin, *path, *query; /* path NULL: bad */
};

/* The dot segments are RFC 3986, 5.2.4 and 5.4; climbing above the root is
 * refused where that RFC would ignore it. */
static const struct path_case paths[] = {
    {"/", "/", NULL},
    {"*", "*", NULL},
    {"/?", "/", ""},
    {"?a", "/", "a"},
    {"/a/b/c/./../../g", "/a/g", NULL},
    {"/b/c/d;p?q", "/b/c/d;p", "q"},
    {"/b/c/./g", "/b/c/g", NULL},
    {"/b/c/.", "/b/c/", NULL},
    {"/b/c/./", "/b/c/", NULL},
    {"/b/c/..", "/b/", NULL},
    {"/b/c/../g", "/b/g", NULL},
    {"/b/c/../..", "/", NULL},
    {"/b/c/../../g", "/g", NULL},
    {"/b/c/../../../g", NULL, NULL},
    {"/..", NULL, NULL},
    {"/../", NULL, NULL},
    {"/.", "/", NULL},
    {"/g.", "/g.", NULL},
    {"/.g", "/.g", NULL},
    {"/g..", "/g..", NULL},
    {"/..g", "/..g", NULL},
    {"/...", "/...", NULL},
    {"//", "/", NULL},
    {"//a//b//", "/a/b/", NULL},
    {"/a//../b", "/b", NULL},
    {"/%61%20b", "/a b", NULL},
    {"/%2e%2E/", NULL, NULL},
    {"/a/%2e%2e/b", "/b", NULL},
    {"/a/.%2e", "/", NULL},
    {"/a%2fb", "/a%2fb", NULL},
    {"/a%2F..%2Fb", "/a%2F..%2Fb", NULL},
    {"/%2561", "/%61", NULL},
    {"/%c3%a4", "/\xc3\xa4", NULL},
    {"/a?b?c=%zz/../..", "/a", "b?c=%zz/../.."},
    {"/%", NULL, NULL},
    {"/%4", NULL, NULL},
    {"/%4/1", NULL, NULL},
    {"/%4g", NULL, NULL},
    {"/%00", NULL, NULL},
    {"/%%41", NULL, NULL},
    {"a", NULL, NULL},
    {"a/../b", NULL, NULL},
};

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct path_case *c = &paths[i];
        struct lh_arena a;
        struct lh_str path, query;
        lh_arena_init(&a, NULL, block, sizeof(block));
        enum lh_target_result r =
            lh_target_path(&a, lh_str_of(c->origin), &path, &query);
        if (r != (c->path ? LH_TARGET_OK : LH_TARGET_BAD))
            fail_msg("%s: result %d", c->origin, r);
        lh_arena_reset(&a);
        if (!c->path)
            continue;
        if (!lh_str_equal(path, lh_str_of(c->path)))
            fail_msg("%s: got %.*s", c->origin, (int)path.n, path.p);
        assert_int_equal(query.p != NULL, c->query != NULL);
        assert_true(lh_str_equal(query, lh_str_of(c->query)));
    }
}

static void test_copy_only_where_needed(void **state)
{
    struct lh_arena a;
    struct lh_str path, query, origin = LH_STR("/a/b.c?d");

    (void)state;
    lh_arena_init(&a, NULL, NULL, 0);
    assert_int_equal(lh_target_path(&a, origin, &path, &query), LH_TARGET_OK);
    assert_ptr_equal(path.p, origin.p);
    test_heap_install();
    test_heap_fail_at(1);
    assert_int_equal(lh_target_path(&a, LH_STR("/a/%41"), &path, &query),
                     LH_TARGET_MEMORY);
    test_heap_uninstall();
}

struct target_case {
    const char *raw, *authority, *origin; /* origin NULL: bad */
};

static const struct target_case targets[] = {
    {"/where?q=now", NULL, "/where?q=now"},
    {"/~a!", NULL, "/~a!"},
    {"*", NULL, "*"},
    {"http://www.example.org/pub/WWW/TheProject.html", "www.example.org",
     "/pub/WWW/TheProject.html"},
    {"HTTPS://a:8443", "a:8443", "/"},
    {"http://a?b", "a", "?b"},
    {"http://[::1]:80/x", "[::1]:80", "/x"},
    {"", NULL, NULL},
    {"**", NULL, NULL},
    {"a/b", NULL, NULL},
    {"www.example.com:80", NULL, NULL},
    {"ftp://a/", NULL, NULL},
    {"http:/a", NULL, NULL},
    {"http://", NULL, NULL},
    {"http:///a", NULL, NULL},
    {"http://me@a/", NULL, NULL},
    {"/a b", NULL, NULL},
    {"/a\tb", NULL, NULL},
    {"/a#b", NULL, NULL},
    {"/a\x7f", NULL, NULL},
    {"/\xc3\xa4", NULL, NULL},
};

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        const struct target_case *c = &targets[i];
        struct lh_target t;
        enum lh_target_result r = lh_target_parse(&t, lh_str_of(c->raw));
        if (r != (c->origin ? LH_TARGET_OK : LH_TARGET_BAD))
            fail_msg("%s: result %d", c->raw, r);
        if (!c->origin)
            continue;
        assert_true(lh_str_equal(t.origin, lh_str_of(c->origin)));
        assert_int_equal(t.authority.p != NULL, c->authority != NULL);
        assert_true(lh_str_equal(t.authority, lh_str_of(c->authority)));
        assert_int_equal(t.scheme.p != NULL, c->authority != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_copy_only_where_needed),
        cmocka_unit_test(test_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
