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

static struct lh_err err;

static int count_objects(void *context, const struct lh_pem_object *o)
{
    char *seen = context;

    assert_non_null(o->der);
    snprintf(seen + strlen(seen), 80, "%s %zu;", o->label, o->n);
    if (o->encrypted)
        strncat(seen, "!", 2);
    return strcmp(o->label, "STOP") == 0 ? 42 : 0;
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
    assert_int_equal(
        lh_pem_each(text, sizeof(text) - 1, count_objects, seen, &err), 0);
    assert_string_equal(seen, "ONE 4;TWO 3;");
    seen[0] = '\0';
    assert_int_equal(
        lh_pem_each(stop, sizeof(stop) - 1, count_objects, seen, &err), 42);
    assert_string_equal(seen, "STOP 3;");
    assert_int_equal(
        lh_pem_each(bad, sizeof(bad) - 1, count_objects, seen, &err),
        LHTTPD_ECERT);
    assert_int_equal(lh_pem_each("", 0, count_objects, seen, &err), 0);
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
        int code = lh_pem_each(text, n, count_objects, seen, &err);
        assert_true(code == 0 || code == LHTTPD_ECERT);
        assert_true(seen[0] == '\0' || strcmp(seen, "ONE 8;") == 0);
        if (n + 3 >= sizeof(text))
            assert_string_equal(seen, "ONE 8;");
    }
}

static void is(const char *text, const char *wanted)
{
    char seen[512] = "";

    if (lh_pem_each(text, strlen(text), count_objects, seen, &err))
        fail_msg("%s: %s", text, err.text);
    assert_string_equal(seen, wanted);
}

static void is_refused(const char *text, const char *words)
{
    char seen[512] = "";

    assert_int_equal(lh_pem_each(text, strlen(text), count_objects, seen, &err),
                     LHTTPD_ECERT);
    assert_string_equal(err.text, words);
}

#define B(label) "-----BEGIN " label "-----"
#define E(label) "-----END " label "-----"

static void takes_any_layout(void **state)
{
    (void)state;
    is(B("A") E("A"), "A 0;");
    is(B("A") "AA==" E("A") B("B") "AAA=" E("B") "x", "A 1;B 2;");
    is("\xef\xbb\xbf" B("A") "A A\tA\vA\f" E("A"), "A 3;");
    is(B(" A  B ") "\rAAAA\r" E("A  B"), "A  B 3;");
    is(B("K") "\nProc-Type: 4,ENCRYPTED\nDEK-Info: X,1\n\nAAAA\n" E("K"),
       "K 3;!");
    is(B("K") "\r\nComment: x\r\n\r\nAAAA\r\n" E("K") "ENCRYPTED: no", "K 3;");
    is(B("A") "AAAA-----END A------BEGIN B-----AA==" E("B"), "A 3;B 1;");
    is(B("A") "AAAA-----END A-----BEGIN B-----AA==" E("B"), "A 3;B 1;");
    is("-- BEGIN -----beginning ---BEGIN", "");
}

static void says_where_it_is_damaged(void **state)
{
    static const char not_base64[] = "this is not base64: the text is damaged";
    char words[128];
    static const char *const bad[] = {
        "A",    "AA",   "AAA",   "AA=",  "A===",   "====",     "AA=A",
        "=AAA", "A-==", "AAAA=", "\xef", "AAAA==", "AAAA====", "AA_A"};
    char text[128];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "\r\n\r\n" B("A") "%s" E("A"), bad[i]);
        snprintf(words, sizeof(words), "line 3: %s", not_base64);
        is_refused(text, words);
    }
    is_refused("\n\r" B("A") "\rAAAA\n\nA%AA" E("A"),
               "line 6: this is not base64: the text is damaged");
    is_refused(B("A") E("A") "\n" E("A"),
               "line 2: '-----END' with no '-----BEGIN' before it");
    is_refused(B("A") "\n" E("B"),
               "line 2: this is not the end of what began before it");
    is_refused("\n" B(""),
               "line 2: '-----BEGIN' with no name and dashes after it");
    is_refused("-----BEGIN",
               "line 1: '-----BEGIN' with no name and dashes after it");
    is_refused(B("A") "BEGIN B-----" E("A"),
               "line 1: what begins here has no '-----END' after it; the text "
               "is damaged or cut short");
    is_refused(B("A") "BEGIN AAA" E("A"),
               "line 1: what begins here has no '-----END' after it; the text "
               "is damaged or cut short");
    is_refused(B("A") "---BEGIN B: C\n" E("A"),
               "line 1: what begins here has no '-----END' after it; the text "
               "is damaged or cut short");
    is_refused(B("A\x1b[2J") E("A"),
               "line 1: '-----BEGIN' with no name and dashes after it");
}

static void needs_memory(void **state)
{
    char seen[64] = "";

    (void)state;
    test_heap_install();
    test_heap_fail_at(1);
    assert_int_equal(lh_pem_each("x", 1, count_objects, seen, &err),
                     LHTTPD_ENOMEM);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_pem),
        cmocka_unit_test(is_never_fooled_by_a_cut),
        cmocka_unit_test(takes_any_layout),
        cmocka_unit_test(says_where_it_is_damaged),
        cmocka_unit_test(needs_memory),
    };

    return cmocka_run_group_tests_name("pem", tests, NULL, NULL);
}
