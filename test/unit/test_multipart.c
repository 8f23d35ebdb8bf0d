/* Forms with files: the parser, fed whole, cut at every octet, and octet by
 * octet; what it tells must be the same. */
#include "http/multipart.h"

#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NORMAL "multipart/form-data; boundary=b"

static const struct lh_multipart_limits usual = {1000, 8192, 1024, UINT64_MAX};

/* What was told so far: "[name|filename|type]data." for each part, and at the
 * end "$", or "!" and why. */
struct told {
    struct lh_multipart m;
    char text[4096];
    size_t n;
    size_t part_at; /* where the last part begins, whose data may be cut */
};

static void tell(struct told *t, const void *p, size_t n)
{
    assert_true(t->n + n < sizeof(t->text));
    if (n)
        memcpy(t->text + t->n, p, n);
    t->n += n;
    t->text[t->n] = '\0';
}

static void tell_str(struct told *t, struct lh_str s)
{
    if (s.p)
        tell(t, s.p, s.n);
    else
        tell(t, "-", 1);
}

static void tell_event(struct told *t, enum lh_multipart_event event)
{
    switch (event) {
    case LH_MULTIPART_MORE:
        break;
    case LH_MULTIPART_PART:
        tell(t, "[", 1);
        tell_str(t, t->m.name);
        tell(t, "|", 1);
        tell_str(t, t->m.filename);
        tell(t, "|", 1);
        tell_str(t, t->m.type);
        tell(t, "]", 1);
        t->part_at = t->n;
        break;
    case LH_MULTIPART_DATA:
        assert_true(t->m.data.n > 0);
        tell_str(t, t->m.data);
        break;
    case LH_MULTIPART_PART_END:
        tell(t, ".", 1);
        break;
    case LH_MULTIPART_END:
        tell(t, "$", 1);
        break;
    case LH_MULTIPART_FAULT:
        /* How much of a part came before is no matter. */
        if (t->m.parts && t->n && t->text[t->n - 1] != '.')
            t->n = t->part_at;
        tell(t, "!", 1);
        tell_str(t, lh_str_of(t->m.why));
        break;
    }
}

/* Returns whether it is over. */
static bool feed(struct told *t, const char *p, size_t n)
{
    enum lh_multipart_event event = LH_MULTIPART_MORE;
    char *copy = malloc(n ? n : 1); /* nothing beyond it is looked at */
    size_t at = 0, used;

    assert_non_null(copy);
    memcpy(copy, p, n);
    while (at < n && event < LH_MULTIPART_END) {
        event = lh_multipart_read(&t->m, (uint8_t *)copy + at, n - at, &used);
        at += used;
        tell_event(t, event);
    }
    free(copy);
    return event >= LH_MULTIPART_END;
}

static void finish(struct told *t)
{
    enum lh_multipart_event event;

    do {
        event = lh_multipart_finish(&t->m);
        tell_event(t, event);
    } while (event < LH_MULTIPART_END);
}

/* In pieces: `first` octets, and then `step` each. */
static void run(const char *type, const struct lh_multipart_limits *limits,
                const char *body, size_t n, size_t first, size_t step,
                struct told *t)
{
    memset(t, 0, sizeof(*t));
    if (!lh_multipart_init(&t->m, lh_str_of(type), limits)) {
        tell_event(t, LH_MULTIPART_FAULT);
        return;
    }
    bool over = feed(t, body, first);
    for (size_t at = first; at < n && !over; at += step)
        over = feed(t, body + at, n - at < step ? n - at : step);
    if (!over)
        finish(t);
    lh_multipart_deinit(&t->m);
}

static void expect_limited(const char *type,
                           const struct lh_multipart_limits *limits,
                           const char *body, size_t n, unsigned status,
                           const char *expected)
{
    struct told t;

    run(type, limits, body, n, n, n, &t);
    assert_string_equal(t.text, expected);
    assert_int_equal(t.m.status, status);
    for (size_t cut = 0; cut < n; cut++) {
        run(type, limits, body, n, cut, n, &t);
        assert_string_equal(t.text, expected);
        assert_int_equal(t.m.status, status);
    }
    run(type, limits, body, n, 0, 1, &t);
    assert_string_equal(t.text, expected);
}

static void expect(const char *body, const char *expected)
{
    bool fault = strchr(expected, '!') != NULL;

    expect_limited(NORMAL, &usual, body, strlen(body), fault ? 400 : 0,
                   expected);
}

static void expect_type(const char *type, unsigned status, const char *expected)
{
    const char *body = "--b\r\ncontent-disposition: form-data; name=n\r\n\r\n"
                       "x\r\n--b--\r\n";

    expect_limited(type, &usual, body, strlen(body), status, expected);
}

/* One part with this header. */
static void expect_head(const char *head, const char *expected)
{
    char body[2048];

    snprintf(body, sizeof(body), "--b\r\n%s\r\n\r\nx\r\n--b--", head);
    expect(body, expected);
}

static void expect_name(const char *parameters, const char *expected)
{
    char head[1024];

    snprintf(head, sizeof(head), "Content-Disposition: form-data%s",
             parameters);
    expect_head(head, expected);
}

#define PART(name)                                                             \
    "\r\n--b\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n"

static void test_parts(void **state)
{
    (void)state;
    expect("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1" PART(
               "b") "2\r\n--b--\r\n",
           "[a|-|-]1.[b|-|-]2.$");
    expect("--b\r\ncontent-disposition: FORM-data; name=\"a\"; "
           "filename=\"f.txt\"\r\nContent-Type: text/plain\r\n"
           "X-Other: 1\r\n\r\nline\r\n\r\nline\r\n--b--",
           "[a|f.txt|text/plain]line\r\n\r\nline.$");
    /* Without a last line's end, and with text around. */
    expect("--b--", "$");
    expect("--b--\r\n", "$");
    expect("before\r\nand\r\n--b--\r\nbehind\r\n--b\r\n", "$");
    expect("\r\n\r\n--b--", "$");
    expect(PART("a") "\r\n--b--", "[a|-|-].$");
    expect(PART("a") "\r\n\r\n--b--", "[a|-|-]\r\n.$");
    /* A header and nothing behind it (RFC 2046, 5.1.1). */
    expect(PART("a") "--b--", "[a|-|-].$");
    expect(PART("a") "--b" PART("b") "--b--",
           "[a|-|-].!a line of its header is no field");
    /* Blanks behind a boundary. */
    expect("--b \t\r\nContent-Disposition: form-data; name=a\r\n\r\nx"
           "\r\n--b-- \r\n",
           "[a|-|-]x.$");
}

static void test_data_like_boundaries(void **state)
{
    (void)state;
    expect(PART("a") "--b--x\r\n--b--", "[a|-|-]--b--x.$");
    expect(PART("a") "x--b\r\n--b-\r\n--bb\r\n--\r\n-\r\n-b\r\n--B\r\n--b--",
           "[a|-|-]x--b\r\n--b-\r\n--bb\r\n--\r\n-\r\n-b\r\n--B.$");
    expect(PART("a") "\r\n--b--b\r\n--b-x\r\n--b--",
           "[a|-|-]\r\n--b--b\r\n--b-x.$");
    expect(PART("a") "\r\r\n\r\r\n--b--", "[a|-|-]\r\r\n\r.$");
    expect(PART("a") "\r\n-\r\n--\r\n--\r\n--b--",
           "[a|-|-]\r\n-\r\n--\r\n--.$");
    expect(PART("a") "\n--b--\r--b--\r\n--b--", "[a|-|-]\n--b--\r--b--.$");
    /* A prefix of the boundary at the very start of a part. */
    expect(PART("a") "--\r\n--b--", "[a|-|-]--.$");
    expect(PART("a") "-x\r\n--b--", "[a|-|-]-x.$");
    expect("x--b\r\n--b--", "$");
}

static void test_truncated(void **state)
{
    const char *first = "!the body ends before its first boundary";
    const char *last = "[a|-|-]!the body ends before its last boundary";

    (void)state;
    expect("", first);
    expect("--", first);
    expect("--b", first);
    expect("--b-", first);
    expect("hello", first);
    expect("--b\r\n", "!the body ends before its last boundary");
    expect("--b\r\nContent-Dis", "!the body ends before its last boundary");
    expect(PART("a"), last);
    expect(PART("a") "x", last);
    expect(PART("a") "x\r\n--b", last);
    expect(PART("a") "x\r\n--b-", last);
    expect(PART("a") "x\r\n--b--", "[a|-|-]x.$");
    expect(PART("a") "x\r\n--b\r",
           "[a|-|-]x.!the body ends before its last boundary");
}

static void test_boundary_lines(void **state)
{
    const char *why = "!the line of a boundary does not end with CR LF";
    char expected[128];

    (void)state;
    expect("--b\nContent-Disposition: form-data; name=a\n\nx\n--b--\n", why);
    expect("--b x\r\n", why);
    expect("--b \t-\r\n", why);
    expect("--b\rx", why);
    expect("--b\r \n", why);
    snprintf(expected, sizeof(expected), "[a|-|-]x.%s", why);
    expect(PART("a") "x\r\n--b\n", expected);
}

static void test_content_types(void **state)
{
    const char *no_form = "!the content-type is not multipart/form-data";
    const char *none = "!the boundary of the content-type is none";
    const char *malformed = "!the content-type is malformed";

    (void)state;
    expect_type("multipart/form-data;boundary=b", 0, "[n|-|-]x.$");
    expect_type("Multipart/Form-Data ; charset=utf-8 ;; BOUNDARY=\"b\" ;", 0,
                "[n|-|-]x.$");
    expect_type(NULL, 415, no_form);
    expect_type("", 415, no_form);
    expect_type("text/plain; boundary=b", 415, no_form);
    expect_type("multipart/mixed; boundary=b", 415, no_form);
    expect_type("multipart/form-datax; boundary=b", 415, no_form);
    expect_type("multipart/form-data", 400,
                "!the content-type has no boundary");
    expect_type("multipart/form-data; charset=b", 400,
                "!the content-type has no boundary");
    expect_type("multipart/form-data; boundary=b; boundary=c", 400,
                "!the content-type has two boundaries");
    expect_type("multipart/form-data; boundary=\"\"", 400, none);
    expect_type("multipart/form-data; boundary=\"b \"", 400, none);
    expect_type("multipart/form-data; boundary=\"b\\\"b\"", 400, none);
    expect_type("multipart/form-data; boundary=\xc3\xa4", 400, none);
    expect_type("multipart/form-data; boundary=a@b", 400, none);
    expect_type("multipart/form-data; boundary=", 400, malformed);
    expect_type("multipart/form-data; boundary=\"b", 400, malformed);
    expect_type("multipart/form-data; boundary=\"b\"c", 400, malformed);
    expect_type("multipart/form-data; boundary= b c", 400, malformed);
    expect_type("multipart/form-data; b=1; =b", 400, malformed);
    expect_type("multipart/form-data; boundary", 400, malformed);
}

/* The longest one, and all of its octets; curl's and browsers' own. */
static void test_boundaries(void **state)
{
    static const char longest[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ01234567";
    static const char *const fine[] = {
        longest,
        "----WebKitFormBoundary7MA4YWxkTrZu0gW",
        "---------------------------9051914041544843365972754266",
        "------------------------d74496d66958873e",
        "'()+_,-./:=?",
        "a b",
        "-",
        "--",
    };
    char type[256], body[512];

    (void)state;
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        snprintf(type, sizeof(type), "multipart/form-data; boundary=\"%s\"",
                 fine[i]);
        snprintf(body, sizeof(body),
                 "--%s\r\nContent-Disposition: form-data; name=a\r\n\r\n"
                 "\r\n--%.*s\r\n--%s--",
                 fine[i], (int)strlen(fine[i]) - 1, fine[i], fine[i]);
        char expected[128];
        snprintf(expected, sizeof(expected), "[a|-|-]\r\n--%.*s.$",
                 (int)strlen(fine[i]) - 1, fine[i]);
        expect_limited(type, &usual, body, strlen(body), 0, expected);
    }
    snprintf(type, sizeof(type), "multipart/form-data; boundary=%s8", fine[0]);
    expect_limited(type, &usual, body, strlen(body), 400,
                   "!the boundary of the content-type is none");
    /* What stands in a token is not needed without quotes either. */
    expect_type("multipart/form-data; boundary=b=/", 400,
                "!the body ends before its first boundary");
}

static void test_names(void **state)
{
    (void)state;
    expect_name("; name=\"a\"; filename=\"\"", "[a||-]x.$");
    expect_name("; name=\"\"", "[|-|-]x.$");
    expect_name(";name=a;filename=b.txt", "[a|b.txt|-]x.$");
    expect_name("; FileName=\"b\" ; NAME=\"a\";", "[a|b|-]x.$");
    expect_name("; name=\"a;b=c\"; filename=\"d, e; f\"",
                "[a;b=c|d, e; f|-]x.$");
    /* As browsers write them: these three, and nothing else. */
    expect_name("; name=\"a%22b%0D%0ac\"; filename=\"100%25%2F%7b%2\"",
                "[a\"b\r\nc|100%25%2F%7b%2|-]x.$");
    expect_name("; name=\"\xc3\xa4\xff\"", "[\xc3\xa4\xff|-|-]x.$");
    /* As curl and others do: quoted pairs; a backslash is one elsewhere. */
    expect_name("; name=\"a\\\"b\\\\c\"; filename=\"C:\\dir\\f\"",
                "[a\"b\\c|C:\\dir\\f|-]x.$");
    expect_name("; name=\"n\"; filename=\"end\\\"", "[n|end\\|-]x.$");
    /* RFC 8187; it is preferred, whichever comes first. */
    expect_name("; name=n; filename=e.txt; filename*=UTF-8''%e2%82%ac.txt",
                "[n|\xe2\x82\xac.txt|-]x.$");
    expect_name("; filename*=utf-8'en'a%20b; filename=\"e\"; name=n",
                "[n|a b|-]x.$");
}

static void test_bad_names(void **state)
{
    const char *malformed = "!its content-disposition is malformed";
    const char *not_utf8 = "!filename* is not UTF-8''...";

    (void)state;
    expect_name("", "!its content-disposition has no name");
    expect_name("; filename=a", "!its content-disposition has no name");
    expect_name("; name=a; name=b", "!two names");
    expect_name("; name=\"\"; name=\"\"", "!two names");
    expect_name("; name=a; filename=b; filename=c", "!two names of the file");
    expect_name("; name=a; filename*=UTF-8''b; filename*=UTF-8''c",
                "!two names of the file");
    expect_name("; name=\"a", malformed);
    expect_name("; name=\"a\"b", malformed);
    expect_name("; name=a b", malformed);
    expect_name("; name=a\"b", malformed);
    expect_name("; name", malformed);
    expect_name("; name=", malformed);
    expect_name("; =a", malformed);
    expect_name("; name =a", malformed);
    expect_name("; name=\"foo\\\"; filename=\"bar\"", malformed);
    expect_name("; name=a; filename*=ISO-8859-1''a", not_utf8);
    expect_name("; name=a; filename*=UTF-8''%ff", not_utf8);
    expect_name("; name=a; filename*=UTF-8''%e2%82", not_utf8);
    expect_name("; name=a; filename*=UTF-8''%00", not_utf8);
    expect_name("; name=a; filename*=UTF-8''%2", not_utf8);
    expect_name("; name=a; filename*=UTF-8''%zz", not_utf8);
    expect_name("; name=a; filename*=UTF-8'", not_utf8);
    expect_name("; name=a; filename*=UTF-8", not_utf8);
    expect_name("; name=a; filename*=\"UTF-8''a\"", not_utf8);
}

#define NAMED "Content-Disposition: form-data; name=n"

static void test_heads(void **state)
{
    const char *no_field = "!a line of its header is no field";
    const char *control = "!its header has a control character";

    (void)state;
    expect_head(NAMED "\r\ncontent-type:\t application/x; a=b ",
                "[n|-|application/x; a=b]x.$");
    expect_head("X-Empty:\r\n" NAMED, "[n|-|-]x.$");
    expect_head(NAMED "\r\nContent-Transfer-Encoding: BINARY", "[n|-|-]x.$");
    expect_head("Content-Type: text/plain",
                "!its header has no content-disposition");
    expect("--b\r\n\r\nx\r\n--b--", "!its header has no content-disposition");
    expect_head(NAMED "\r\n" NAMED, "!two content-dispositions");
    expect_head(NAMED "\r\nContent-Type: a/b\r\nContent-Type: a/b",
                "!two content-types");
    expect_head("Content-Disposition: attachment; name=n",
                "!its content-disposition is not form-data");
    expect_head(NAMED "\r\nContent-Type: Multipart/mixed; boundary=c",
                "!it is multipart itself, which no browser sends (RFC 7578, "
                "4.3)");
    expect_head(NAMED "\r\nContent-Transfer-Encoding: base64",
                "!it is encoded, which no browser does (RFC 7578, 4.7)");
    expect_head("nothing", no_field);
    expect_head(": x", no_field);
    expect_head("a b: x", no_field);
    expect_head("a : x", no_field);
    expect_head(NAMED ";\r\n filename=a", no_field); /* folded */
    expect_head(NAMED "\x01", control);
    expect_head("x: a\rb", control);
    expect_head(NAMED "\nx: a",
                "!a line of its header does not end with CR LF");
    expect("--b\r\n\nx", "!a line of its header does not end with CR LF");
    static const char zero[] = "--b\r\n" NAMED "\0\r\n\r\nx\r\n--b--";
    expect_limited(NORMAL, &usual, zero, sizeof(zero) - 1, 400, control);
}

/* One below each limit, and one above it. */
static void test_limits(void **state)
{
    static const char two[] = PART("a") "123" PART("b") "12345\r\n--b--";
    static const char whole[] = "[a|-|-]123.[b|-|-]12345.$";
    struct lh_multipart_limits l = usual;

    (void)state;
    l.parts = 2;
    expect_limited(NORMAL, &l, two, sizeof(two) - 1, 0, whole);
    l.parts = 1;
    expect_limited(NORMAL, &l, two, sizeof(two) - 1, 413,
                   "[a|-|-]123.!more parts than parts allows");
    l = usual;
    l.part_bytes = 5;
    expect_limited(NORMAL, &l, two, sizeof(two) - 1, 0, whole);
    l.part_bytes = 4;
    expect_limited(NORMAL, &l, two, sizeof(two) - 1, 413,
                   "[a|-|-]123.[b|-|-]!longer than part_bytes");
    l = usual;
    l.header_bytes = strlen("Content-Disposition: form-data; name=\"a\"") + 4;
    expect_limited(NORMAL, &l, two, sizeof(two) - 1, 0, whole);
    l.header_bytes--;
    expect_limited(NORMAL, &l, two, sizeof(two) - 1, 413,
                   "!its header is longer than header_bytes");
    l = usual;
    l.name_bytes = 3;
    static const char named[] = PART("abc") "\r\n--b--";
    static const char file[] = "--b\r\n" NAMED "; filename=abcd\r\n\r\n";
    expect_limited(NORMAL, &l, named, sizeof(named) - 1, 0, "[abc|-|-].$");
    expect_limited(NORMAL, &l, file, sizeof(file) - 1, 413,
                   "!its name is longer than name_bytes");
    l.name_bytes = 2;
    expect_limited(NORMAL, &l, named, sizeof(named) - 1, 413,
                   "!its name is longer than name_bytes");
    l = usual;
    l.header_bytes = 5;
    static const char before[] = "12345\r\n--b--", more[] = "123456\r\n--b--";
    expect_limited(NORMAL, &l, before, sizeof(before) - 1, 0, "$");
    expect_limited(NORMAL, &l, more, sizeof(more) - 1, 400,
                   "!no boundary within header_bytes");
}

/* What only begins like a boundary is told together: a body of it costs no more
 * than another one. */
static void test_many_line_ends(void **state)
{
    static const char *const patterns[] = {"\r", "\r\n", "\r\n--",
                                           "\r\n--a\r\n--"};
    static char body[60000];
    struct told t;

    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        size_t n = strlen(patterns[i]), used;
        for (size_t at = 0; at < sizeof(body); at++)
            body[at] = patterns[i][at % n];
        memset(&t, 0, sizeof(t));
        assert_true(lh_multipart_init(&t.m, lh_str_of(NORMAL), &usual));
        feed(&t, PART("a"), strlen(PART("a")));
        assert_int_equal(
            lh_multipart_read(&t.m, (const uint8_t *)body, sizeof(body), &used),
            LH_MULTIPART_DATA);
        assert_true(used >= sizeof(body) - 10);
        lh_multipart_deinit(&t.m);
    }
}

/* Without memory for a header that is a fault, and nothing is lost. */
static void test_memory(void **state)
{
    static const char body[] = PART("a") "x\r\n--b--";
    struct told t;

    (void)state;
    test_heap_install();
    test_heap_fail_at(1);
    run(NORMAL, &usual, body, sizeof(body) - 1, sizeof(body) - 1, 1, &t);
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
    assert_string_equal(t.text, "!not enough memory");
    assert_int_equal(t.m.status, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_data_like_boundaries),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_boundary_lines),
        cmocka_unit_test(test_content_types),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_many_line_ends),
        cmocka_unit_test(test_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
