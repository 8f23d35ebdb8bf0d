/* Numeric addresses, and lists of networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ip.h"
#include "lib/heap.h"

#include <arpa/inet.h>
#include <sys/socket.h>

/* What the system's parser makes of the same text. */
static bool system_parse(const char *text, struct lh_ip *ip)
{
    uint8_t v4[4];

    if (inet_pton(AF_INET, text, v4) == 1) {
        *ip = lh_ip_of_v4(v4);
        return true;
    }
    return inet_pton(AF_INET6, text, ip->octets) == 1;
}

static void check_text(const char *text)
{
    struct lh_ip ours, theirs;
    bool valid = lh_ip_parse(lh_str_of(text), &ours);

    if (valid != system_parse(text, &theirs))
        fail_msg("\"%s\" is %s", text, valid ? "taken" : "refused");
    if (valid)
        assert_memory_equal(ours.octets, theirs.octets, 16);
}

static void addresses_are_read_as_the_system_reads_them(void **state)
{
    static const char *const texts[] = {
        "127.0.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "256.1.1.1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        "01.2.3.4",
        "1.2.3.4 ",
        "1.2.3.-4",
        "",
        ":",
        "::",
        ":::",
        "::1",
        "1::",
        "1:::2",
        "1::2::3",
        "1:2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8",
        "1::3:4:5:6:7:8",
        "1:2:3:4::5:6:7:8",
        "2001:db8::FfFf",
        "2001:db8::12345",
        "2001:db8::g",
        ":1::2",
        "1::2:",
        "::ffff:192.0.2.1",
        "::192.0.2.1",
        "1:2:3:4:5:6:192.0.2.1",
        "1:2:3:4:5:6:7:192.0.2.1",
        "1:2:3:4:5::192.0.2.1",
        "::192.0.2.1:1",
        "::192.0.2",
        "fe80::1%eth0",
        "[::1]",
        "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        check_text(texts[i]);
}

/* All that is made of a few characters, so that no rule is forgotten. */
static void short_texts_are_read_as_the_system_reads_them(void **state)
{
    static const char letters[] = "01f:.";
    char text[7] = "";

    (void)state;
    for (unsigned n = 0; n < 5 * 5 * 5 * 5 * 5 * 5; n++) {
        unsigned rest = n;
        for (int i = 0; i < 6; i++, rest /= 5)
            text[i] = letters[rest % 5];
        check_text(text);
    }
}

static void assert_written(const char *text, const char *wanted)
{
    struct lh_ip ip;
    char out[LH_IP_TEXT_BYTES];

    assert_true(lh_ip_parse(lh_str_of(text), &ip));
    lh_ip_text(&ip, out);
    assert_string_equal(out, wanted);
}

/* RFC 5952, 4.1 to 4.3. */
static void addresses_are_written_in_one_way(void **state)
{
    (void)state;
    assert_written("2001:0DB8::0001", "2001:db8::1");
    assert_written("2001:db8:0:0:0:0:2:1", "2001:db8::2:1");
    assert_written("2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1");
    assert_written("2001:0:0:1::1", "2001:0:0:1::1");
    assert_written("2001::1:0:0:0:1", "2001:0:0:1::1");
    assert_written("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
    assert_written("0:0:2c:0:0:2f:30:31", "::2c:0:0:2f:30:31");
    assert_written("0:0:0:0:0:0:0:0", "::");
    assert_written("1:0:0:0:0:0:0:0", "1::");
}

/* Which groups are zero decides where "::" stands.  Of several runs of one
 * length musl shortens the last, glibc the first, as RFC 5952 wants it. */
static void addresses_are_written_as_the_system_writes_them(void **state)
{
    (void)state;
    for (unsigned zeros = 0; zeros < 256; zeros++) {
        struct lh_ip ip = {{0}}, again;
        char ours[LH_IP_TEXT_BYTES], theirs[LH_IP_TEXT_BYTES];
        for (unsigned i = 0; i < 8; i++)
            ip.octets[2 * i + 1] = zeros >> i & 1 ? 0 : (uint8_t)(0x2a + i);
        ip.octets[0] = zeros & 1 ? 0 : 0x20;
        if ((zeros & 0x3F) == 0x3F && zeros != 0xFF)
            continue; /* inet_ntop() writes these as IPv4 */
        lh_ip_text(&ip, ours);
        assert_non_null(inet_ntop(AF_INET6, ip.octets, theirs, sizeof(theirs)));
#ifdef __GLIBC__
        assert_string_equal(ours, theirs);
#endif
        assert_true(lh_ip_parse(lh_str_of(ours), &again));
        assert_memory_equal(again.octets, ip.octets, 16);
    }
}

static void mapped_addresses_are_ipv4(void **state)
{
    struct lh_ip ip;
    char text[LH_IP_TEXT_BYTES];

    (void)state;
    assert_true(lh_ip_parse(LH_STR("::ffff:192.0.2.1"), &ip));
    lh_ip_text(&ip, text);
    assert_string_equal(text, "192.0.2.1");
}

static void networks_have_their_addresses(void **state)
{
    struct lh_networks n = {0};
    struct lh_err err;

    (void)state;
    assert_true(lh_networks_empty(&n));
    assert_int_equal(
        lh_networks_parse(&n, "192.0.2.1,10.0.0.0/9, 2001:db8::/33", &err), 0);
    assert_true(lh_networks_have_text(&n, "192.0.2.1"));
    assert_false(lh_networks_have_text(&n, "192.0.2.2"));
    assert_true(lh_networks_have_text(&n, "::ffff:10.127.255.255"));
    assert_false(lh_networks_have_text(&n, "10.128.0.0"));
    assert_true(lh_networks_have_text(&n, "2001:db8:7fff::1"));
    assert_false(lh_networks_have_text(&n, "2001:db8:8000::1"));
    assert_false(lh_networks_have_text(&n, "unix"));
    assert_false(lh_networks_have_text(&n, "nonsense"));
    assert_int_equal(lh_networks_parse(&n, "unix:,::/0", &err), 0);
    assert_true(lh_networks_have_text(&n, "unix"));
    assert_true(lh_networks_have_text(&n, "::1"));
    assert_false(lh_networks_have_text(&n, "192.0.2.1"));
    assert_int_equal(lh_networks_parse(&n, "0.0.0.0/0", &err), 0);
    assert_true(lh_networks_have_text(&n, "192.0.2.1"));
    assert_false(lh_networks_have_text(&n, "::1"));
    lh_networks_deinit(&n);
}

static void what_is_no_network_is_refused_in_words(void **state)
{
    static const struct {
        const char *text, *words;
    } wrong[] = {
        {"", "no address"},
        {" , ", "no address"},
        {"proxy.test", "\"proxy.test\" is no numeric address"},
        {"10.0.0.1 10.0.0.2", "is no numeric address"},
        {"10.0.0.0/33", "from 0 to 32"},
        {"10.0.0.0/", "from 0 to 32"},
        {"10.0.0.0/-1", "from 0 to 32"},
        {"::/129", "from 0 to 128"},
        {"/8", "\"/8\" is no numeric address"},
        {"1.2.3.4,10.0.0.1/8", "\"10.0.0.1/8\" is an address inside"},
        {"unix", "\"unix\" is no numeric address"},
    };
    struct lh_networks n = {0};
    struct lh_err err;

    (void)state;
    assert_int_equal(lh_networks_parse(&n, "192.0.2.1", &err), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(lh_networks_parse(&n, wrong[i].text, &err),
                         LHTTPD_EINVAL);
        if (!strstr(err.text, wrong[i].words))
            fail_msg("%s: %s", wrong[i].text, err.text);
    }
    assert_true(lh_networks_have_text(&n, "192.0.2.1"));
    lh_networks_deinit(&n);
}

static void lack_of_memory_changes_nothing(void **state)
{
    struct lh_networks n = {0};
    struct lh_err err;

    (void)state;
    test_heap_install();
    for (unsigned long n_th = 1; n_th <= 2; n_th++) {
        test_heap_fail_at(n_th);
        assert_int_equal(lh_networks_parse(&n, "192.0.2.1,10.0.0.0/8", &err),
                         LHTTPD_ENOMEM);
        assert_true(lh_networks_empty(&n));
    }
    assert_int_equal(test_heap_live(), 0);
    test_heap_uninstall();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_as_the_system_reads_them),
        cmocka_unit_test(short_texts_are_read_as_the_system_reads_them),
        cmocka_unit_test(addresses_are_written_in_one_way),
        cmocka_unit_test(addresses_are_written_as_the_system_writes_them),
        cmocka_unit_test(mapped_addresses_are_ipv4),
        cmocka_unit_test(networks_have_their_addresses),
        cmocka_unit_test(what_is_no_network_is_refused_in_words),
        cmocka_unit_test(lack_of_memory_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
