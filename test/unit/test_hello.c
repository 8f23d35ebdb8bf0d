/* The server name and the versions in a ClientHello. */
#include "net/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text {
    uint8_t p[4096];
    size_t n;
};

static void put(struct text *t, const void *p, size_t n)
{
    assert_true(n <= sizeof(t->p) - t->n);
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void put_number(struct text *t, size_t value, size_t width)
{
    while (width--) {
        uint8_t octet = (uint8_t)(value >> 8 * width);
        put(t, &octet, 1);
    }
}

/* The same with its size in front. */
static void put_list(struct text *t, const void *p, size_t n, size_t width)
{
    put_number(t, n, width);
    put(t, p, n);
}

static void put_name(struct text *t, unsigned type, const char *name)
{
    put_number(t, type, 1);
    put_list(t, name, strlen(name), 2);
}

static void put_extension(struct text *t, unsigned type, const void *p,
                          size_t n)
{
    put_number(t, type, 2);
    put_list(t, p, n, 2);
}

/* server_name with one list of names, between two others. */
static struct text extensions_of(const struct text *names)
{
    struct text list = {.n = 0}, all = {.n = 0};

    put_list(&list, names->p, names->n, 2);
    put_extension(&all, 10, "\0\2\0\x1d", 4);
    if (names->n)
        put_extension(&all, 0, list.p, list.n);
    put_extension(&all, 21, "", 0);
    return all;
}

/* A message without extensions where `extensions` is NULL. */
static struct text message_of(const struct text *extensions)
{
    struct text body = {.n = 0}, message = {.n = 0};
    uint8_t octets[34] = {3, 3};

    put(&body, octets, 34);
    put_list(&body, octets, 32, 1); /* the session's id */
    put_list(&body, "\xc0\x2b\xc0\x2f", 4, 2);
    put_list(&body, "\0", 1, 1);
    if (extensions)
        put_list(&body, extensions->p, extensions->n, 2);
    put_number(&message, 1, 1);
    put_list(&message, body.p, body.n, 3);
    return message;
}

/* Records of at most `size` octets each. */
static struct text records_of(const struct text *message, size_t size)
{
    struct text t = {.n = 0};

    for (size_t at = 0; at < message->n; at += size) {
        size_t k = message->n - at < size ? message->n - at : size;
        put(&t, "\x16\3\1", 3);
        put_list(&t, message->p + at, k, 2);
    }
    return t;
}

/* Reads from a block of just that size, so that ASan sees a step too far. */
static enum lh_hello_result read_exactly(const struct text *t, size_t n,
                                         struct lh_hello *hello)
{
    uint8_t *exact = malloc(n ? n : 1);

    assert_non_null(exact);
    memcpy(exact, t->p, n);
    enum lh_hello_result result = lh_hello_read(exact, n, hello);
    free(exact);
    return result;
}

static void has_name(const struct text *message, const char *wanted)
{
    static const size_t sizes[] = {4000, 512, 100, 3, 1};
    struct lh_hello hello;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (message->n * (1 + 5 / sizes[i]) > sizeof(message->p))
            continue;
        struct text t = records_of(message, sizes[i]);
        for (size_t n = 0; n < t.n; n++) {
            assert_int_equal(read_exactly(&t, n, &hello), LH_HELLO_MORE);
            assert_string_equal(hello.name, "");
        }
        assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_WHOLE);
        assert_string_equal(hello.name, wanted);
        put(&t, "behind it", 9);
        assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_WHOLE);
        assert_string_equal(hello.name, wanted);
    }
}

static void has_name_by(const struct text *names, const char *wanted)
{
    struct text extensions = extensions_of(names);
    struct text message = message_of(&extensions);

    has_name(&message, wanted);
}

static void reads_the_name(void **state)
{
    static const struct {
        const char *sent, *read;
    } cases[] = {
        {"a.example", "a.example"},
        {"A.Example", "A.Example"},
        {"a.example.", "a.example"},
        {"a.example..", "a.example."},
        {".", ""},
        {"", ""},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct text names = {.n = 0};
        put_name(&names, 0, cases[i].sent);
        has_name_by(&names, cases[i].read);
    }
}

static void finds_it_among_others(void **state)
{
    struct text names = {.n = 0};

    (void)state;
    put_name(&names, 7, "of another type");
    put_name(&names, 0, "first.example");
    put_name(&names, 0, "last.example");
    put_name(&names, 7, "of another type");
    has_name_by(&names, "last.example");
}

static void takes_names_that_fit(void **state)
{
    char name[301];

    (void)state;
    memset(name, 'x', 300);
    for (size_t n = 254; n < 260; n++) {
        struct text names = {.n = 0};
        name[n] = '\0';
        put_name(&names, 0, name);
        struct text extensions = extensions_of(&names);
        struct text message = message_of(&extensions);
        struct text t = records_of(&message, 4000);
        struct lh_hello got;
        assert_int_equal(read_exactly(&t, t.n, &got), LH_HELLO_WHOLE);
        assert_string_equal(got.name, n < LH_HELLO_NAME_BYTES ? name : "");
        name[n] = 'x';
    }
}

static void there_may_be_none(void **state)
{
    struct text none = {.n = 0};
    struct text message = message_of(NULL);

    (void)state;
    has_name_by(&none, "");
    has_name(&message, "");
    message = message_of(&none);
    has_name(&message, "");
}

/* A warning may stand between; a client may send nothing for a while. */
static void passes_other_records_over(void **state)
{
    struct text names = {.n = 0}, t = {.n = 0};
    struct lh_hello hello;

    (void)state;
    put_name(&names, 0, "a.example");
    struct text extensions = extensions_of(&names);
    struct text message = message_of(&extensions);
    struct text records = records_of(&message, 80);
    put(&t, "\x15\3\1\0\2\1\x5a\x16\3\1\0\0", 12);
    put(&t, "\x16\3\1\0\4\0\0\0\0", 9); /* HelloRequest */
    put(&t, records.p, 85);
    put(&t, "\x15\3\1\0\2\1\x5a", 7);
    put(&t, records.p + 85, records.n - 85);
    for (size_t n = 0; n < t.n; n++)
        assert_int_equal(read_exactly(&t, n, &hello), LH_HELLO_MORE);
    assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_WHOLE);
    assert_string_equal(hello.name, "a.example");
}

/* At once: the engine has to say what is wrong. */
static void waits_for_records_only(void **state)
{
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {"\x80", 1},
        {"\0", 1},
        {"\x17", 1},
        {"\x14", 1},
        {"\x16\2", 2},
        {"\x16\3\1\x40\1", 5},
        {"\x16\3\1\0\0\x17", 6},
        {"\x15\3\1\0\2\2", 6},
        {"\x15\3\1\0\3\1", 6},
        {"\x16\3\1\0\4\2", 6},
        {"\x16\3\1\0\4\0\0\0\1", 9},
    };
    struct lh_hello hello;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct text t = {.n = 0};
        put(&t, bad[i].p, bad[i].n);
        assert_int_equal(read_exactly(&t, t.n - 1, &hello), LH_HELLO_MORE);
        assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_BAD);
    }
}

/* No other message is waited for, nor one that ends before its parts do. */
static void refuses_what_is_none(void **state)
{
    struct text names = {.n = 0};
    struct lh_hello hello;

    (void)state;
    put_name(&names, 0, "a.example");
    struct text extensions = extensions_of(&names);
    struct text message = message_of(&extensions);
    struct text t = records_of(&message, 4000);
    t.p[5] = 2;
    assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_BAD);
    t.p[5] = 1;
    for (size_t n = 1; n < message.n - 5; n++) {
        size_t says = message.n - 4 - n; /* fewer than its parts need */
        t.p[7] = (uint8_t)(says >> 8);
        t.p[8] = (uint8_t)says;
        enum lh_hello_result result = read_exactly(&t, t.n, &hello);
        /* Cut between two parts it is a message with fewer. */
        assert_int_not_equal(result, LH_HELLO_MORE);
        if (result == LH_HELLO_BAD)
            assert_string_equal(hello.name, "");
    }
}

/* The message says TLS 1.2; `octets` is what supported_versions says. */
static void offers(const char *octets, size_t n, unsigned least, unsigned most)
{
    struct text all = {.n = 0};
    struct lh_hello hello;

    put_extension(&all, 43, octets, n);
    put_extension(&all, 21, "", 0);
    struct text message = message_of(&all);
    struct text t = records_of(&message, 4000);
    assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_WHOLE);
    assert_int_equal(hello.version_min, least);
    assert_int_equal(hello.version_max, most);
}

static void reads_the_versions(void **state)
{
    struct text names = {.n = 0};
    struct lh_hello hello;

    (void)state;
    offers("\4\3\4\3\3", 5, 0x0303, 0x0304);
    offers("\2\3\4", 3, 0x0304, 0x0304);
    offers("\6\x0a\x0a\3\3\3\1", 7, 0x0301, 0x0303);
    offers("\2\x7f\x1c", 3, 0x0303, 0x0303); /* a draft */
    offers("", 0, 0x0303, 0x0303);
    offers("\6\3\4", 3, 0x0303, 0x0303); /* of another shape */
    offers("\3\3\4\3", 4, 0x0304, 0x0304);
    put_name(&names, 0, "old.example");
    struct text extensions = extensions_of(&names);
    struct text message = message_of(&extensions);
    message.p[5] = 1;
    struct text t = records_of(&message, 4000);
    assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_WHOLE);
    assert_int_equal(hello.version_min, 0x0301);
    assert_int_equal(hello.version_max, 0x0301);
}

static void reads_session_and_suites(void **state)
{
    struct text names = {.n = 0}, suites = {.n = 0};
    struct text extensions = extensions_of(&names);
    struct lh_hello hello;

    (void)state;
    struct text message = message_of(&extensions);
    memset(&message.p[4 + 34 + 1], 7, 32);
    struct text t = records_of(&message, 10);
    assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_WHOLE);
    assert_int_equal(hello.session_n, 32);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(hello.session[i], 7);
    assert_int_equal(hello.suites_n, 2);
    assert_int_equal(hello.suites[0], 0xC02B);
    assert_int_equal(hello.suites[1], 0xC02F);
    /* More of both than there is room for. */
    uint8_t body[34 + 1 + 200 + 2 + 4 * LH_HELLO_SUITES_MAX + 2] = {3, 3};
    body[34] = 200;
    body[34 + 201] = 4 * LH_HELLO_SUITES_MAX >> 8;
    body[34 + 202] = 4 * LH_HELLO_SUITES_MAX & 255;
    body[sizeof(body) - 2] = 1;
    put_number(&suites, 1, 1);
    put_list(&suites, body, sizeof(body), 3);
    t = records_of(&suites, 4000);
    assert_int_equal(read_exactly(&t, t.n, &hello), LH_HELLO_WHOLE);
    assert_int_equal(hello.session_n, 0);
    assert_int_equal(hello.suites_n, LH_HELLO_SUITES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_name),
        cmocka_unit_test(reads_the_versions),
        cmocka_unit_test(reads_session_and_suites),
        cmocka_unit_test(finds_it_among_others),
        cmocka_unit_test(takes_names_that_fit),
        cmocka_unit_test(there_may_be_none),
        cmocka_unit_test(passes_other_records_over),
        cmocka_unit_test(waits_for_records_only),
        cmocka_unit_test(refuses_what_is_none),
    };

    return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
