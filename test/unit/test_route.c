/* Prefixes and handler names. */
#include "http/route.h"

#include "base/mem.h"
#include "lhttpd.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void test_normalise(void **state)
{
    static const char *const good[][2] = {
        {"/", ""},         {"", ""},        {"ui", "/ui"},
        {"/ui", "/ui"},    {"/ui/", "/ui"}, {"ui/", "/ui"},
        {"/a/b/", "/a/b"}, {"a b", "/a b"}, {"/.a/..b/", "/.a/..b"},
    };
    static const char *const bad[] = {"//",  "//ui", "ui//",   "a//b",
                                      ".",   "..",   "/a/./b", "/a/..",
                                      "a?b", "a#b",  "a\nb",   "a\x7f"};

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char *out = NULL;
        assert_int_equal(lh_prefix_normalise(good[i][0], &out), 0);
        assert_string_equal(out, good[i][1]);
        lh_free(out);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *out = NULL;
        if (lh_prefix_normalise(bad[i], &out) != LHTTPD_EINVAL)
            fail_msg("taken: %s", bad[i]);
    }
}

static void expect_prefix(const struct lh_prefixes *p, const char *path,
                          int index, const char *rest)
{
    struct lh_str left;
    const struct lh_prefix *x = lh_prefixes_find(p, lh_str_of(path), &left);

    if (index < 0) {
        assert_null(x);
        return;
    }
    assert_non_null(x);
    assert_int_equal(x->index, index);
    assert_true(lh_str_equal(left, lh_str_of(rest)));
}

static void test_prefixes(void **state)
{
    struct lh_prefixes p = {NULL, 0};

    (void)state;
    expect_prefix(&p, "/", -1, NULL);
    assert_int_equal(lh_prefixes_add(&p, "/ui", 0), 0);
    assert_int_equal(lh_prefixes_add(&p, "/ui/admin", 1), 0);
    assert_int_equal(lh_prefixes_add(&p, "/u", 2), 0);
    assert_int_equal(lh_prefixes_add(&p, "/ui", 3), LHTTPD_EINVAL);
    expect_prefix(&p, "/", -1, NULL);
    expect_prefix(&p, "/uix", -1, NULL);
    expect_prefix(&p, "*", -1, NULL);
    assert_int_equal(lh_prefixes_add(&p, "", 4), 0);
    expect_prefix(&p, "/ui", 0, "");
    expect_prefix(&p, "/ui/", 0, "/");
    expect_prefix(&p, "/ui/x", 0, "/x");
    expect_prefix(&p, "/ui/admin", 1, "");
    expect_prefix(&p, "/ui/admin/x", 1, "/x");
    expect_prefix(&p, "/ui/adminx", 0, "/adminx");
    expect_prefix(&p, "/uix", 4, "/uix");
    expect_prefix(&p, "/u/i", 2, "/i");
    expect_prefix(&p, "/", 4, "/");
    lh_prefixes_deinit(&p);
}

static void expect_name(const struct lh_names *n, const char *path, int index,
                        const char *path_info)
{
    struct lh_str info;

    assert_int_equal(lh_names_find(n, lh_str_of(path), &info), index);
    assert_int_equal(info.p != NULL, path_info != NULL);
    assert_true(lh_str_equal(info, lh_str_of(path_info)));
}

static void test_names(void **state)
{
    struct lh_names n = {.n = 0};

    (void)state;
    expect_name(&n, "/", -1, NULL);
    assert_int_equal(lh_names_add(&n, LH_STR("/")), 0);
    assert_int_equal(lh_names_add(&n, LH_STR("page")), 1);
    assert_int_equal(lh_names_add(&n, LH_STR("/page")), LHTTPD_EINVAL);
    assert_int_equal(lh_names_add(&n, LH_STR("/files/*")), 2);
    assert_int_equal(lh_names_add(&n, LH_STR("/files/deep/*")), 3);
    assert_int_equal(lh_names_add(&n, LH_STR("/files/*")), LHTTPD_EINVAL);
    assert_int_equal(lh_names_add(&n, LH_STR("/files/exact")), 4);
    assert_int_equal(lh_names_add(&n, LH_STR("/no*")), 5);
    assert_int_equal(lh_names_add(&n, LH_STR("")), LHTTPD_EINVAL);
    expect_name(&n, "/", 0, NULL);
    expect_name(&n, "/page", 1, NULL);
    expect_name(&n, "/page/", -1, NULL);
    expect_name(&n, "/files", -1, NULL);
    expect_name(&n, "/files/", 2, "");
    expect_name(&n, "/files/a/b", 2, "a/b");
    expect_name(&n, "/files/*", 2, "*");
    expect_name(&n, "/files/exact", 4, NULL);
    expect_name(&n, "/files/exact/", 2, "exact/");
    expect_name(&n, "/files/deep/x", 3, "x");
    expect_name(&n, "/files/deep", 2, "deep");
    expect_name(&n, "/nothing", -1, NULL);
    expect_name(&n, "/no*", 5, NULL);
    expect_name(&n, "", -1, NULL);
    lh_names_deinit(&n);
}

static void test_many_names(void **state)
{
    struct lh_names n = {.n = 0};
    char text[16];

    (void)state;
    for (int i = 0; i < 500; i++) {
        int length = snprintf(text, sizeof(text), "/%d", i);
        assert_int_equal(
            lh_names_add(&n, (struct lh_str){text, (size_t)length}), i);
    }
    for (int i = 0; i < 500; i++) {
        snprintf(text, sizeof(text), "/%d", i);
        expect_name(&n, text, i, NULL);
    }
    expect_name(&n, "/500", -1, NULL);
    assert_int_equal(lh_names_add(&n, LH_STR("*")), 500);
    expect_name(&n, "/500", 500, "500");
    lh_names_deinit(&n);
}

/* One allocation fails: the tables stay as they were, or as they should be. */
static void build_tables(void)
{
    struct lh_prefixes p = {NULL, 0};
    struct lh_names n = {.n = 0};
    char *text = NULL, name[2] = "a";
    unsigned added = 0;
    struct lh_str info;

    if (lh_prefix_normalise("/ui/", &text) == 0)
        (void)lh_prefixes_add(&p, text, 0);
    lh_free(text);
    (void)lh_prefixes_add(&p, "", 1);
    for (int i = 0; i < 20; i++) {
        name[0] = (char)('a' + i);
        int index = lh_names_add(&n, lh_str_of(name));
        assert_true(index == (int)added || index == LHTTPD_ENOMEM);
        added += index >= 0;
    }
    assert_true(added >= 19);
    assert_int_equal(n.n, added);
    assert_true(lh_names_find(&n, LH_STR("/s"), &info) >= 0 ||
                lh_names_find(&n, LH_STR("/t"), &info) >= 0);
    assert_true(p.n >= 1);
    lh_names_deinit(&n);
    lh_prefixes_deinit(&p);
}

static void test_without_memory(void **state)
{
    (void)state;
    test_heap_install();
    test_heap_fail_at(0);
    build_tables();
    unsigned long n = test_heap_count();
    for (unsigned long i = 1; i <= n; i++) {
        test_heap_fail_at(i);
        build_tables();
    }
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_many_names),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
