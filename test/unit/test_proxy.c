/*
 * PROXY headers, from their octets.  Each is fed whole, cut at every octet, and
 * with a client's octets behind it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/proxy.h"

#include <stdio.h>
#include <string.h>

struct text {
    uint8_t p[LH_PROXY_BYTES_MAX + 100];
    size_t n;
};

static void put(struct text *t, const void *p, size_t n)
{
    assert_true(n <= sizeof(t->p) - t->n);
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

/* The result does not depend on how the octets come; nor, once the header is
 * whole, on what follows.  Where in a bad one it shows may differ. */
static enum lh_proxy_result read_cut(const struct text *t,
                                     struct lh_proxy *proxy)
{
    struct text more = *t;
    struct lh_proxy cut;
    enum lh_proxy_result result = lh_proxy_read(t->p, t->n, proxy);

    for (size_t n = 0; n < t->n; n++) {
        enum lh_proxy_result early = lh_proxy_read(t->p, n, &cut);
        if (early == LH_PROXY_BAD) {
            assert_int_equal(result, LH_PROXY_BAD);
            assert_string_equal(cut.why, proxy->why);
        } else if (early == LH_PROXY_WHOLE) {
            fail_msg("whole at %zu of %zu", n, t->n);
        }
    }
    if (result == LH_PROXY_WHOLE) {
        put(&more, "GET / HTTP/1.1\r\n", 16);
        assert_int_equal(lh_proxy_read(more.p, more.n, &cut), LH_PROXY_WHOLE);
        assert_int_equal(cut.used, t->n);
        assert_int_equal(proxy->used, t->n);
    }
    return result;
}

static void assert_ends(const struct lh_proxy *proxy, const char *remote,
                        int remote_port, const char *local, int local_port)
{
    assert_true(proxy->conveys);
    assert_string_equal(proxy->ends.remote, remote);
    assert_int_equal(proxy->ends.remote_port, remote_port);
    assert_string_equal(proxy->ends.local, local);
    assert_int_equal(proxy->ends.local_port, local_port);
}

/* --- version 1 ------------------------------------------------------------ */

static enum lh_proxy_result read_line(const char *line, struct lh_proxy *proxy)
{
    struct text t = {.n = 0};

    put(&t, line, strlen(line));
    return read_cut(&t, proxy);
}

static void lines_convey_addresses(void **state)
{
    struct lh_proxy proxy;

    (void)state;
    assert_int_equal(
        read_line("PROXY TCP4 203.0.113.7 192.0.2.80 56324 443\r\n", &proxy),
        LH_PROXY_WHOLE);
    assert_ends(&proxy, "203.0.113.7", 56324, "192.0.2.80", 443);
    assert_int_equal(
        read_line("PROXY TCP6 2001:DB8::7 2001:db8::0:1 0 65535\r\n", &proxy),
        LH_PROXY_WHOLE);
    assert_ends(&proxy, "2001:db8::7", 0, "2001:db8::1", 65535);
    assert_int_equal(
        read_line("PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1 2\r\n", &proxy),
        LH_PROXY_WHOLE);
    assert_ends(&proxy, "1.2.3.4", 1, "5.6.7.8", 2);
}

static void the_longest_line_is_read(void **state)
{
    struct lh_proxy proxy;
    char line[200];

    (void)state;
    assert_int_equal(
        read_line("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                  &proxy),
        LH_PROXY_WHOLE);
    assert_false(proxy.conveys);
    assert_int_equal(proxy.used, 107);
    snprintf(line, sizeof(line), "PROXY UNKNOWN %0*d\r\n", 92, 0);
    assert_int_equal(strlen(line), 108);
    assert_int_equal(read_line(line, &proxy), LH_PROXY_BAD);
    assert_non_null(strstr(proxy.why, "107"));
}

static void unknown_conveys_nothing(void **state)
{
    struct lh_proxy proxy;

    (void)state;
    assert_int_equal(read_line("PROXY UNKNOWN\r\n", &proxy), LH_PROXY_WHOLE);
    assert_false(proxy.conveys);
    assert_int_equal(read_line("PROXY UNKNOWN what ever\r\n", &proxy),
                     LH_PROXY_WHOLE);
    assert_false(proxy.conveys);
}

static void bad_lines_are_refused(void **state)
{
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"GET / HTTP/1.1\r\n", "no PROXY header"},
        {"PROXYTCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY header"},
        {"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY header"},
        {"\x16\x03\x01", "no PROXY header"},
        {"PROXY \r\n", "family"},
        {"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "family"},
        {"PROXY TCP4\r\n", "address"},
        {"PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "family"},
        {"PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n", "address"},
        {"PROXY TCP4 1.1.1.1 2.2.2 1 2\r\n", "address"},
        {"PROXY TCP4 ::1 ::1 1 2\r\n", "address"},
        {"PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n", "address"},
        {"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "port"},
        {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "port"},
        {"PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n", "port"},
        {"PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n", "port"},
        {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "port"},
        {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "CR LF"},
        {"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rX", "CR LF"},
    };
    struct lh_proxy proxy;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (read_line(bad[i].line, &proxy) != LH_PROXY_BAD ||
            !strstr(proxy.why, bad[i].why))
            fail_msg("%s: %s", bad[i].line, proxy.why ? proxy.why : "taken");
    }
}

/* --- version 2 ------------------------------------------------------------ */

static const uint8_t signature[] = "\r\n\r\n\0\r\nQUIT\n";
static const uint8_t v4[] = {203, 0, 113, 7, 192, 0, 2, 80, 0xDC, 4, 1, 0xBB};

static struct text begin_v2(uint8_t command, uint8_t family)
{
    struct text t = {.n = 0};

    put(&t, signature, 12);
    put(&t, &command, 1);
    put(&t, &family, 1);
    put(&t, "\0", 2);
    return t;
}

static void set_length(struct text *t)
{
    t->p[14] = (uint8_t)((t->n - 16) >> 8);
    t->p[15] = (uint8_t)(t->n - 16);
}

static enum lh_proxy_result read_v2(struct text *t, struct lh_proxy *proxy)
{
    set_length(t);
    return read_cut(t, proxy);
}

static void put_tlv(struct text *t, uint8_t type, const void *value, size_t n)
{
    const uint8_t head[] = {type, (uint8_t)(n >> 8), (uint8_t)n};

    put(t, head, 3);
    put(t, value, n);
}

static void headers_convey_addresses(void **state)
{
    struct text t = begin_v2(0x21, 0x11);
    struct lh_proxy proxy;
    uint8_t v6[36] = {0x20, 1,    0xd,      0xb8, [15] = 7, [16] = 0x20, 1,
                      0xd,  0xb8, [31] = 1, 0,    80,       1,           0xBB};

    (void)state;
    put(&t, v4, sizeof(v4));
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
    assert_ends(&proxy, "203.0.113.7", 56324, "192.0.2.80", 443);
    assert_false(proxy.secure);
    t = begin_v2(0x21, 0x21);
    put(&t, v6, sizeof(v6));
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
    assert_ends(&proxy, "2001:db8::7", 80, "2001:db8::1", 443);
    t = begin_v2(0x21, 0x31);
    put(&t, (uint8_t[216]){'/'}, 216);
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
    assert_ends(&proxy, "unix", 0, "unix", 0);
}

/* A health check is the proxy's own connection, whatever stands in it. */
static void local_and_unspecified_convey_nothing(void **state)
{
    static const uint8_t heads[][2] = {
        {0x20, 0x00}, {0x20, 0x11}, {0x21, 0x00}};
    struct lh_proxy proxy;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct text t = begin_v2(heads[i][0], heads[i][1]);
        assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
        assert_false(proxy.conveys);
        put(&t, "anything at all", 15);
        assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
        assert_false(proxy.conveys);
    }
}

static struct text with_ssl(const char *version, size_t version_n)
{
    struct text t = begin_v2(0x21, 0x11), ssl = {.n = 0};

    put(&ssl, "\1\0\0\0\0", 5);
    put_tlv(&ssl, 0x21, version, version_n);
    put_tlv(&ssl, 0x23, "TLS_AES_128_GCM_SHA256", 22);
    put_tlv(&ssl, 0x22, "a name", 6);
    put(&t, v4, sizeof(v4));
    put_tlv(&t, 0x04, "\0\0", 2);
    put_tlv(&t, 0x02, "www.test", 8);
    put_tlv(&t, 0x20, ssl.p, ssl.n);
    put_tlv(&t, 0xEE, "", 0);
    return t;
}

static void assert_str(struct lh_str s, const char *text)
{
    assert_true(lh_str_equal(s, lh_str_of(text)));
}

static void the_clients_tls_is_told(void **state)
{
    struct text t = with_ssl("TLSv1.3", 7);
    struct lh_proxy proxy;

    (void)state;
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
    assert_true(proxy.secure);
    assert_str(proxy.protocol, "TLSv1.3");
    assert_str(proxy.cipher, "TLS_AES_128_GCM_SHA256");
    assert_str(proxy.server_name, "www.test");
    t = with_ssl("TLS\n1.3", 7); /* would break a line of somebody's log */
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
    assert_null(proxy.protocol.p);
}

static void checksums_are_checked(void **state)
{
    struct text t = begin_v2(0x21, 0x11);
    struct lh_proxy proxy;

    (void)state;
    put(&t, v4, sizeof(v4));
    put_tlv(&t, 0x03, "\x94\xf7\xec\x0b", 4);
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_WHOLE);
    t.p[16]++;
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_BAD);
    assert_non_null(strstr(proxy.why, "checksum"));
    t = begin_v2(0x21, 0x11);
    put(&t, v4, sizeof(v4));
    put_tlv(&t, 0x03, "\0\0\0", 3);
    assert_int_equal(read_v2(&t, &proxy), LH_PROXY_BAD);
}

static void assert_bad(struct text *t, const char *why)
{
    struct lh_proxy proxy;

    if (read_v2(t, &proxy) != LH_PROXY_BAD || !strstr(proxy.why, why))
        fail_msg("not \"%s\": %s", why, proxy.why ? proxy.why : "taken");
}

static void bad_headers_are_refused(void **state)
{
    static const struct {
        uint8_t command, family;
        const char *why;
    } bad[] = {
        {0x11, 0x11, "version"}, {0x31, 0x11, "version"},
        {0x22, 0x11, "command"}, {0x2F, 0x11, "command"},
        {0x21, 0x41, "family"},  {0x21, 0x13, "family"},
    };
    struct text t;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        t = begin_v2(bad[i].command, bad[i].family);
        put(&t, v4, sizeof(v4));
        assert_bad(&t, bad[i].why);
    }
    t = begin_v2(0x21, 0x11);
    t.p[11] = '\r';
    assert_bad(&t, "no PROXY header");
    t = begin_v2(0x21, 0x11);
    put(&t, v4, sizeof(v4) - 1);
    assert_bad(&t, "too short");
    t = begin_v2(0x21, 0x21);
    put(&t, v4, sizeof(v4));
    assert_bad(&t, "too short");
}

static void cut_information_is_refused(void **state)
{
    struct text t = begin_v2(0x21, 0x11), whole;

    (void)state;
    put(&t, v4, sizeof(v4));
    put(&t, "\4", 1);
    assert_bad(&t, "information is cut");
    put(&t, "\0\2x", 3);
    assert_bad(&t, "information is cut");
    t = begin_v2(0x21, 0x11);
    put(&t, v4, sizeof(v4));
    put_tlv(&t, 0x20, "\1\0\0\0", 4);
    assert_bad(&t, "on TLS is cut");
    t = begin_v2(0x21, 0x11);
    put(&t, v4, sizeof(v4));
    put_tlv(&t, 0x20, "\1\0\0\0\0\x21\0\2x", 9);
    assert_bad(&t, "on TLS is cut");
    whole = begin_v2(0x21, 0x11);
    whole.p[14] = 0x40; /* 16384 octets behind the first 16 */
    struct lh_proxy proxy;
    assert_int_equal(read_cut(&whole, &proxy), LH_PROXY_BAD);
    assert_non_null(strstr(proxy.why, "16 KiB"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_convey_addresses),
        cmocka_unit_test(the_longest_line_is_read),
        cmocka_unit_test(unknown_conveys_nothing),
        cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(headers_convey_addresses),
        cmocka_unit_test(local_and_unspecified_convey_nothing),
        cmocka_unit_test(the_clients_tls_is_told),
        cmocka_unit_test(checksums_are_checked),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(cut_information_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
