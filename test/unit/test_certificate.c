/* What a certificate says: names as strings, times, purposes. */
#include "net/certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct octets {
    uint8_t p[4096];
    size_t n;
};

/* An element around what follows. */
static void put(struct octets *to, uint8_t tag, const void *p, size_t n)
{
    const uint8_t head[] = {tag, 0x82, (uint8_t)(n >> 8), (uint8_t)n};

    assert_true(to->n + n + 4 <= sizeof(to->p));
    memcpy(to->p + to->n, head, 4);
    memcpy(to->p + to->n + 4, p, n);
    to->n += n + 4;
}

static struct octets pair(const char *oid, uint8_t tag, const char *value,
                          size_t n)
{
    struct octets inner = {.n = 0}, outer = {.n = 0};

    put(&inner, LH_DER_OID, oid, strlen(oid));
    put(&inner, tag, value, n);
    put(&outer, LH_DER_SEQUENCE, inner.p, inner.n);
    return outer;
}

static void put_set(struct octets *name, const char *oid, uint8_t tag,
                    const char *value, size_t n)
{
    struct octets one = pair(oid, tag, value, n);

    put(name, LH_DER_SET, one.p, one.n);
}

static const char *text_of(const struct octets *name)
{
    static char text[1024];
    size_t n = lh_certificate_name((struct lh_der){name->p, name->n}, text,
                                   sizeof(text));

    if (n == SIZE_MAX)
        return "none";
    assert_int_equal(strlen(text), n);
    return text;
}

#define CN    "\x55\x04\x03"
#define O     "\x55\x04\x0A"
#define UTF8  0x0C
#define LATIN 0x14
#define BMP   0x1E
#define BITS  0x03

static const char *name_of(uint8_t tag, const char *value, size_t n)
{
    struct octets name = {.n = 0};

    put_set(&name, CN, tag, value, n);
    return text_of(&name);
}

#define ASSERT_NAME(tag, value, text)                                          \
    assert_string_equal(name_of(tag, value, sizeof(value) - 1), "CN=" text)

static void values_are_escaped(void **state)
{
    (void)state;
    ASSERT_NAME(UTF8, "", "");
    ASSERT_NAME(UTF8, "Ada", "Ada");
    ASSERT_NAME(UTF8, "a,b+c\"d\\e<f>g;h=i",
                "a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h=i");
    ASSERT_NAME(UTF8, " a b ", "\\ a b\\ ");
    ASSERT_NAME(UTF8, " ", "\\ ");
    ASSERT_NAME(UTF8, "#a#", "\\#a#");
    ASSERT_NAME(UTF8, "a\0b\nc\x7F", "a\\00b\\0Ac\\7F");
    ASSERT_NAME(UTF8, "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
                "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
    ASSERT_NAME(LATIN, "\xE9", "\xC3\xA9");
    ASSERT_NAME(BMP, "\0A\x20\xAC", "A\xE2\x82\xAC");
    ASSERT_NAME(0x1C, "\0\1\xF6\0", "\xF0\x9F\x98\x80");
}

/* What is no text is told as it is encoded, never as something else. */
static void other_values_are_hex(void **state)
{
    (void)state;
    ASSERT_NAME(UTF8, "\xC3", "#0C820001C3");
    ASSERT_NAME(UTF8, "ok\xC0\x80", "#0C8200046F6BC080");
    ASSERT_NAME(UTF8, "\xED\xA0\x80", "#0C820003EDA080");
    ASSERT_NAME(UTF8, "\xF4\x90\x80\x80", "#0C820004F4908080");
    ASSERT_NAME(BMP, "\xD8\0", "#1E820002D800");
    ASSERT_NAME(BMP, "A", "#1E82000141");
    ASSERT_NAME(BITS, "\0", "#0382000100");
}

static void names_are_told_backwards(void **state)
{
    struct octets name = {.n = 0}, set = {.n = 0};
    struct octets a = pair(CN, UTF8, "Ada", 3), b = pair(O, UTF8, "x", 1);

    (void)state;
    assert_string_equal(text_of(&name), "");
    put_set(&name, "\x55\x04\x06", UTF8, "DE", 2);
    put_set(&name, "\x09\x92\x26\x89\x93\xF2\x2C\x64\x01\x19", 0x16, "org", 3);
    put_set(&name, "\x2A\x03\xCE\x0F", UTF8, "y", 1);
    memcpy(set.p, a.p, a.n);
    memcpy(set.p + a.n, b.p, b.n);
    set.n = a.n + b.n;
    put(&name, LH_DER_SET, set.p, set.n);
    assert_string_equal(text_of(&name), "CN=Ada+O=x,1.2.3.9999=y,DC=org,C=DE");
}

static void damaged_names_are_refused(void **state)
{
    struct octets name = {.n = 0};
    char out[8];

    (void)state;
    put_set(&name, CN, UTF8, "Ada", 3);
    for (size_t n = 1; n < name.n; n++)
        assert_int_equal(
            lh_certificate_name((struct lh_der){name.p, n}, out, sizeof(out)),
            SIZE_MAX);
    struct lh_der whole = {name.p, name.n};
    assert_int_equal(lh_certificate_name(whole, out, 6), SIZE_MAX);
    assert_int_equal(lh_certificate_name(whole, out, 7), 6);
    name.n = 0;
    for (int i = 0; i < 65; i++)
        put(&name, LH_DER_SET, "", 0);
    assert_string_equal(text_of(&name), "none");
}

/* --- certificates --------------------------------------------------------- */

/* With these times, and these purposes (or NULL). */
static struct octets certificate(uint8_t tag, const char *begin,
                                 const char *until, const char *purpose)
{
    struct octets tbs = {.n = 0}, part = {.n = 0}, all = {.n = 0},
                  out = {.n = 0};

    put(&part, 2, "\2", 1);
    put(&tbs, LH_DER_VERSION, part.p, part.n);
    put(&tbs, 2, "\1", 1);
    put(&tbs, LH_DER_SEQUENCE, "", 0);
    put(&tbs, LH_DER_SEQUENCE, "", 0);
    part.n = 0;
    put(&part, tag, begin, strlen(begin));
    put(&part, tag, until, strlen(until));
    put(&tbs, LH_DER_SEQUENCE, part.p, part.n);
    part.n = 0;
    put_set(&part, CN, UTF8, "Ada", 3);
    put(&tbs, LH_DER_SEQUENCE, part.p, part.n);
    put(&tbs, LH_DER_SEQUENCE, "", 0);
    if (purpose) {
        struct octets oids = {.n = 0}, list = {.n = 0}, extension = {.n = 0};
        put(&oids, LH_DER_OID, purpose, strlen(purpose));
        put(&list, LH_DER_SEQUENCE, oids.p, oids.n);
        put(&extension, LH_DER_OID, "\x55\x1D\x25", 3);
        put(&extension, LH_DER_BOOLEAN, "\xFF", 1);
        put(&extension, LH_DER_OCTETS, list.p, list.n);
        oids.n = list.n = 0;
        put(&oids, LH_DER_SEQUENCE, extension.p, extension.n);
        put(&list, LH_DER_SEQUENCE, oids.p, oids.n);
        put(&tbs, LH_DER_EXTENSIONS, list.p, list.n);
    }
    put(&all, LH_DER_SEQUENCE, tbs.p, tbs.n);
    put(&out, LH_DER_SEQUENCE, all.p, all.n);
    return out;
}

static void times_are_read(void **state)
{
    struct octets c =
        certificate(LH_DER_UTC_TIME, "700101000000Z", "491231235959Z", NULL);
    struct lh_certificate read;

    (void)state;
    assert_true(lh_certificate_read(c.p, c.n, &read));
    assert_int_equal(read.not_before, 0);
    assert_int_equal(read.not_after, 2524607999);
    assert_true(read.for_clients);
    c = certificate(LH_DER_TIME, "19500228235959Z", "99991231235959Z", NULL);
    assert_true(lh_certificate_read(c.p, c.n, &read));
    assert_int_equal(read.not_before, -626054401);
    assert_int_equal(read.not_after, 253402300799);
    c = certificate(LH_DER_TIME, "20000229000000Z", "20000301000000Z", NULL);
    assert_true(lh_certificate_read(c.p, c.n, &read));
    assert_int_equal(read.not_before, 951782400);
    assert_int_equal(read.not_after - read.not_before, 86400);
}

static void other_times_are_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "700101000000",
                                      "7001010000Z",
                                      "701301000000Z",
                                      "700100000000Z",
                                      "700101000000+0100",
                                      "70010100000xZ",
                                      "700101000000.5Z"};
    struct lh_certificate read;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct octets c =
            certificate(LH_DER_UTC_TIME, bad[i], "491231235959Z", NULL);
        assert_false(lh_certificate_read(c.p, c.n, &read));
    }
}

static void purposes_are_read(void **state)
{
    static const struct {
        const char *oid;
        bool allowed;
    } purposes[] = {
        {"\x2B\x06\x01\x05\x05\x07\x03\x02", true},
        {"\x2B\x06\x01\x05\x05\x07\x03\x01", false},
    };
    struct lh_certificate read;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct octets c = certificate(LH_DER_TIME, "20000229000000Z",
                                      "20000301000000Z", purposes[i].oid);
        assert_true(lh_certificate_read(c.p, c.n, &read));
        assert_int_equal(read.for_clients, purposes[i].allowed);
        for (size_t n = 0; n < c.n; n++)
            assert_false(lh_certificate_read(c.p, n, &read));
    }
}

/* --- whose a server's is -------------------------------------------------- */

static bool is_of(const char *text)
{
    static const struct {
        uint8_t tag;
        const char *p;
        size_t n;
    } names[] = {
        {0x82, "a.test", 6},
        {0x82, "*.wild.test", 11},
        {0x82, "*", 1},
        {0x82, "*.", 2},
        {0x82, "", 0},
        {0x82, "zero.test\0.b", 12},
        {0x82, "w*.part.test", 12},
        {0x81, "mail.test", 9},
        {0x82, "192.0.2.9", 9},
        {0x87, "\xC0\x00\x02\x01", 4},
        {0x87, "\xC0\x00\x02", 3},
        {0x87, "\xFE\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16},
    };
    struct lh_certificate c = {.for_servers = true};
    struct octets list = {.n = 0};
    struct lh_host host;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        put(&list, names[i].tag, names[i].p, names[i].n);
    c.alternatives = (struct lh_der){list.p, list.n};
    lh_host_read(&host, text);
    return lh_certificate_is_of(&c, &host);
}

static void hosts_are_matched(void **state)
{
    static const char *const its[] = {"a.test",      "A.TEST.",
                                      "x.wild.test", "192.0.2.1",
                                      "fe80::1",     "::ffff:192.0.2.1"};
    static const char *const others[] = {
        "b.test",    "a.test..",  "wild.test", ".wild.test", "x.y.wild.test",
        "test",      "",          "*",         "zero.test",  "web.part.test",
        "mail.test", "192.0.2.9", "192.0.2.2", "fe80::2",    "x.test"};
    char many[400];

    (void)state;
    for (size_t i = 0; i < sizeof(its) / sizeof(its[0]); i++)
        assert_true(is_of(its[i]));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(is_of(others[i]));
    memset(many, 'a', sizeof(many));
    many[sizeof(many) - 1] = '\0';
    assert_false(is_of(many));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(other_values_are_hex),
        cmocka_unit_test(names_are_told_backwards),
        cmocka_unit_test(damaged_names_are_refused),
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(other_times_are_refused),
        cmocka_unit_test(purposes_are_read),
        cmocka_unit_test(hosts_are_matched),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
