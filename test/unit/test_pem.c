/* PEM texts (RFC 7468). */
#include "net/pem.h"

#include "lib/heap.h"
#include "lhttpd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int count_objects(void *context, const char *label, const uint8_t *der,
                         size_t n)
{
    char *seen = context;

    assert_non_null(der);
    snprintf(seen + strlen(seen), 64, "%s %zu;", label, n);
    return strcmp(label, "STOP") == 0 ? 42 : 0;
}

/* RFC 7468, 2: text around objects is skipped; the last line may lack its end.
 */
static void walks_pem(void **state)
{
    static const char text[] = "subject=x\n-----BEGIN ONE-----\r\nAAECAw==\r\n"
                               "-----END ONE-----\r\nbetween\n"
                               "-----BEGIN TWO-----\nAAEC\n-----END TWO-----";
    static const char stop[] =
        "-----BEGIN STOP-----\nAAEC\n-----END STOP-----\n"
        "-----BEGIN TWO-----\nAAEC\n-----END TWO-----";
    static const char bad[] = "-----BEGIN ONE-----\nA!EC\n-----END ONE-----\n";
    char seen[256] = "";

    (void)state;
    assert_int_equal(lh_pem_each(text, sizeof(text) - 1, count_objects, seen),
                     0);
    assert_string_equal(seen, "ONE 4;TWO 3;");
    seen[0] = '\0';
    assert_int_equal(lh_pem_each(stop, sizeof(stop) - 1, count_objects, seen),
                     42);
    assert_string_equal(seen, "STOP 3;");
    assert_int_equal(lh_pem_each(bad, sizeof(bad) - 1, count_objects, seen),
                     LHTTPD_ECERT);
    assert_int_equal(lh_pem_each("", 0, count_objects, seen), 0);
}

/* A text cut anywhere has all its objects or an error, never a part of one. */
static void is_never_fooled_by_a_cut(void **state)
{
    static const char text[] = "-----BEGIN ONE-----\r\nAAECAwQFBgc=\r\n"
                               "-----END ONE-----\r\n";
    char seen[256];

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        seen[0] = '\0';
        int code = lh_pem_each(text, n, count_objects, seen);
        assert_true(code == 0 || code == LHTTPD_ECERT);
        assert_true(seen[0] == '\0' || strcmp(seen, "ONE 8;") == 0);
        if (n + 3 >= sizeof(text))
            assert_string_equal(seen, "ONE 8;");
    }
}

static void needs_memory(void **state)
{
    char seen[64] = "";

    (void)state;
    test_heap_install();
    test_heap_fail_at(1);
    assert_int_equal(lh_pem_each("x", 1, count_objects, seen), LHTTPD_ENOMEM);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_pem),
        cmocka_unit_test(is_never_fooled_by_a_cut),
        cmocka_unit_test(needs_memory),
    };

    return cmocka_run_group_tests_name("pem", tests, NULL, NULL);
}
