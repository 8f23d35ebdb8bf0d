/* Media types by the ends of names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/media.h"

static void assert_type(const struct lh_media *media, const char *name,
                        const char *type)
{
    struct lh_str found = lh_media_type(media, lh_str_of(name));

    if (!lh_str_equal(found, lh_str_of(type)))
        fail_msg("%s -> %.*s, not %s", name, (int)found.n, found.p, type);
}

/* The first and the last of the table, or it is not sorted. */
static void built_in(void **state)
{
    (void)state;
    assert_type(NULL, "a.7z", "application/x-7z-compressed");
    assert_type(NULL, "a.zst", "application/zstd");
    assert_type(NULL, "index.html", "text/html; charset=utf-8");
    assert_type(NULL, "/a.b/INDEX.HTM", "text/html; charset=utf-8");
    assert_type(NULL, "a.js", "text/javascript; charset=utf-8");
    assert_type(NULL, "a.json", "application/json");
    assert_type(NULL, "a.jsonld", "application/ld+json");
    assert_type(NULL, "a.mjs", "text/javascript; charset=utf-8");
    assert_type(NULL, "a.tar.gz", "application/gzip");
    assert_type(NULL, "a.wasm", "application/wasm");
    assert_type(NULL, "a.webp", "image/webp");
    assert_type(NULL, "a.webmanifest", "application/manifest+json");
    assert_type(NULL, "a.woff2", "font/woff2");
}

static void unknown(void **state)
{
    static const char *const names[] = {
        "",     ".",      "a",        "a.",         "html",
        ".css", "a/html", "a.b/html", "a.nonsense", "a.htmlhtmlhtmlhtmlhtml",
    };

    (void)state;
    for (size_t i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], ".css") != 0)
            assert_type(NULL, names[i], "application/octet-stream");
    }
}

static void of_the_system(void **state)
{
    static const char text[] = "# comment\n"
                               "application/x-one\t\tone  eins\r\n"
                               "text/plain html\n"
                               "no-type two\n"
                               "application/none\n"
                               "\n"
                               "Application/X-Three THREE # four\n"
                               "application/x-five one\n"
                               "application/x-last last";
    struct lh_media media;

    (void)state;
    assert_int_equal(
        lh_media_init(&media, lh_memdup(text, sizeof(text)), sizeof(text) - 1),
        0);
    assert_type(&media, "a.eins", "application/x-one");
    assert_type(&media, "a.one", "application/x-five");
    assert_type(&media, "a.Three", "application/x-three");
    assert_type(&media, "a.last", "application/x-last");
    assert_type(&media, "a.four", "application/octet-stream");
    assert_type(&media, "a.two", "application/octet-stream");
    assert_type(&media, "a.html", "text/html; charset=utf-8");
    lh_media_deinit(&media);
    assert_int_equal(lh_media_init(&media, lh_memdup("", 1), 0), 0);
    assert_type(&media, "a.one", "application/octet-stream");
    lh_media_deinit(&media);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in),
        cmocka_unit_test(unknown),
        cmocka_unit_test(of_the_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
