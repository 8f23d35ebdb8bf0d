/* Whose request a proxy says that it is, from its fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/forwarded.h"

#include <stdio.h>

#define TRUSTED "10.0.0.0/8, 2001:db8:1::/48, unix:"

/* "addr port scheme", of fields that are given as "name: value" lines. */
static const char *read_fields(enum lh_forwarded_by by, const char *lines)
{
    static char text[128];
    struct lh_networks trusted = {0};
    struct lh_fields fields = {0};
    struct lh_field v[64];
    struct lh_forwarded out;
    struct lh_err err;

    assert_int_equal(lh_networks_parse(&trusted, TRUSTED, &err), 0);
    for (const char *p = lines; *p; fields.n++) {
        const char *colon = strstr(p, ": "), *end = strchr(p, '\n');
        assert_true(colon && end && fields.n < 64);
        v[fields.n].name = (struct lh_str){p, (size_t)(colon - p)};
        v[fields.n].value =
            (struct lh_str){colon + 2, (size_t)(end - colon - 2)};
        p = end + 1;
    }
    fields.v = v;
    lh_forwarded_read(&fields, by, &trusted, &out);
    lh_networks_deinit(&trusted);
    snprintf(text, sizeof(text), "%s %d %.*s", out.addr, out.port,
             (int)out.scheme.n, out.scheme.p ? out.scheme.p : "");
    return text;
}

struct vector {
    const char *lines, *result;
};

static void check_all(enum lh_forwarded_by by, const struct vector *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *result = read_fields(by, v[i].lines);
        if (strcmp(result, v[i].result) != 0)
            fail_msg("%s-> \"%s\", not \"%s\"", v[i].lines, result,
                     v[i].result);
    }
}

#define CHECK_ALL(by, v) check_all(by, v, sizeof(v) / sizeof((v)[0]))
#define NOTHING          " 0 "

/* The last one that is not trusted is the client; before it, anything. */
static void x_forwarded_for(void **state)
{
    static const struct vector v[] = {
        {"", NOTHING},
        {"forwarded: for=192.0.2.1;proto=https\n", NOTHING},
        {"x-forwarded-for: 192.0.2.1\n", "192.0.2.1 0 "},
        {"x-forwarded-for: 192.0.2.1, 192.0.2.2\n", "192.0.2.2 0 "},
        {"x-forwarded-for: 192.0.2.1,10.0.0.1 ,\t10.0.0.2\n", "192.0.2.1 0 "},
        {"x-forwarded-for: <script>, \", 192.0.2.2\n", "192.0.2.2 0 "},
        {"x-forwarded-for: 6.6.6.6\nx-forwarded-for: 192.0.2.2\n",
         "192.0.2.2 0 "},
        {"x-forwarded-for: 192.0.2.1\nx-forwarded-for: 10.0.0.9\n",
         "192.0.2.1 0 "},
        {"x-forwarded-for: 10.0.0.1, 10.0.0.2\n", "10.0.0.1 0 "},
        {"x-forwarded-for: 192.0.2.1:4711\n", "192.0.2.1 4711 "},
        {"x-forwarded-for: 2001:DB8::1\n", "2001:db8::1 0 "},
        {"x-forwarded-for: [2001:db8::1]:4711\n", "2001:db8::1 4711 "},
        {"x-forwarded-for: [2001:db8::1]\n", "2001:db8::1 0 "},
        {"x-forwarded-for: 192.0.2.1, 2001:db8:1::5\n", "192.0.2.1 0 "},
        {"x-forwarded-for: 192.0.2.1, ::ffff:10.1.1.1\n", "192.0.2.1 0 "},
        {"x-forwarded-for: 192.0.2.1, unix:\n", "192.0.2.1 0 "},
        {"x-forwarded-for: , 192.0.2.1 ,,\n", "192.0.2.1 0 "},
    };

    (void)state;
    CHECK_ALL(LH_FORWARDED_X, v);
}

/* Then what is known stays: the nearest hop, or the connection. */
static void the_walk_stops_at_the_unknown(void **state)
{
    static const struct vector v[] = {
        {"x-forwarded-for: unknown\n", NOTHING},
        {"x-forwarded-for: 192.0.2.1, unknown, 10.0.0.1\n", "10.0.0.1 0 "},
        {"x-forwarded-for: 192.0.2.1, _secret, 10.0.0.1\n", "10.0.0.1 0 "},
        {"x-forwarded-for: unknown:80\nx-forwarded-proto: https\n", " 0 https"},
    };

    (void)state;
    CHECK_ALL(LH_FORWARDED_X, v);
}

static void malformed_fields_are_ignored(void **state)
{
    static const struct vector v[] = {
        {"x-forwarded-for: client.test\nx-forwarded-proto: https\n", NOTHING},
        {"x-forwarded-for: 192.0.2.1, x, 10.0.0.1\n", NOTHING},
        {"x-forwarded-for: 192.0.2.1 192.0.2.2\n", NOTHING},
        {"x-forwarded-for: 192.0.2.256\n", NOTHING},
        {"x-forwarded-for: 192.0.2.1:\n", NOTHING},
        {"x-forwarded-for: 192.0.2.1:99999\n", NOTHING},
        {"x-forwarded-for: [192.0.2.1]\n", NOTHING},
        {"x-forwarded-for: [2001:db8::1\n", NOTHING},
        {"x-forwarded-for: [2001:db8::1]x\n", NOTHING},
        {"x-forwarded-for: \"192.0.2.1\"\n", NOTHING},
        {"x-forwarded-for: _\n", NOTHING},
        {"x-forwarded-for: _a/b\n", NOTHING},
        {"x-forwarded-for: []\n", NOTHING},
    };

    (void)state;
    CHECK_ALL(LH_FORWARDED_X, v);
}

static void x_forwarded_proto(void **state)
{
    static const struct vector v[] = {
        {"x-forwarded-proto: https\n", " 0 https"},
        {"x-forwarded-proto: HTTP\n", " 0 http"},
        {"x-forwarded-proto: gopher\n", NOTHING},
        {"x-forwarded-for: 192.0.2.1\nx-forwarded-proto: https\n",
         "192.0.2.1 0 https"},
        /* the client's own word comes first, the proxy's last */
        {"x-forwarded-for: 6.6.6.6, 192.0.2.1\n"
         "x-forwarded-proto: https\nx-forwarded-proto: http\n",
         "192.0.2.1 0 http"},
        /* two hops, each of which has added its own */
        {"x-forwarded-for: 192.0.2.1, 10.0.0.1\n"
         "x-forwarded-proto: https, http\n",
         "192.0.2.1 0 https"},
        /* two hops, of which one has set it */
        {"x-forwarded-for: 192.0.2.1, 10.0.0.1\nx-forwarded-proto: https\n",
         "192.0.2.1 0 https"},
    };

    (void)state;
    CHECK_ALL(LH_FORWARDED_X, v);
}

static void forwarded(void **state)
{
    static const struct vector v[] = {
        {"x-forwarded-for: 192.0.2.1\nx-forwarded-proto: https\n", NOTHING},
        {"forwarded: for=192.0.2.1\n", "192.0.2.1 0 "},
        {"forwarded: For=192.0.2.1;PROTO=HTTPS;by=10.0.0.1\n",
         "192.0.2.1 0 https"},
        {"forwarded: for=\"192.0.2.1:4711\";proto=http\n",
         "192.0.2.1 4711 http"},
        {"forwarded: for=\"[2001:db8:cafe::17]:4711\"\n",
         "2001:db8:cafe::17 4711 "},
        {"forwarded: for=\"192.0.2.1:_port\"\n", "192.0.2.1 0 "},
        {"forwarded: for=192.0.2.1, for=10.0.0.1\n", "192.0.2.1 0 "},
        {"forwarded: for=192.0.2.1;proto=https,for=10.0.0.1;proto=http\n",
         "192.0.2.1 0 https"},
        {"forwarded: for=192.0.2.1\nforwarded: for=10.0.0.1\n", "192.0.2.1 0 "},
        {"forwarded: for=6.6.6.6;proto=https, for=192.0.2.1\n", "192.0.2.1 0 "},
        {"forwarded: for=\"_x, for=6.6.6.6;y=\", for=192.0.2.1\n",
         "192.0.2.1 0 "},
        {"forwarded: for=192.0.2.1;x=\"a\\\"b,c\", for=10.0.0.1\n",
         "192.0.2.1 0 "},
        /* a line of the client's, and then one of the proxy's */
        {"forwarded: for=\"\nforwarded: for=192.0.2.1\n", "192.0.2.1 0 "},
        {"forwarded: for=_hidden;proto=https\n", " 0 https"},
        {"forwarded: for=unknown, for=10.0.0.1\n", "10.0.0.1 0 "},
        {"forwarded: proto=https\n", " 0 https"},
        {"forwarded: ;for=192.0.2.1; ;proto=https;,\n", "192.0.2.1 0 https"},
        {"forwarded: for=192.0.2.1 ; proto=https\n", "192.0.2.1 0 https"},
    };

    (void)state;
    CHECK_ALL(LH_FORWARDED_RFC7239, v);
}

static void malformed_forwarded_is_ignored(void **state)
{
    static const struct vector v[] = {
        {"forwarded: 192.0.2.1\n", NOTHING},
        {"forwarded: for=\n", NOTHING},
        {"forwarded: for=192.0.2.1:80\n", NOTHING},
        {"forwarded: for=[2001:db8::1]\n", NOTHING},
        {"forwarded: for=\"2001:db8::1\"\n", NOTHING},
        {"forwarded: for =192.0.2.1\n", NOTHING},
        {"forwarded: for=192.0.2.1;for=192.0.2.2\n", NOTHING},
        {"forwarded: for=\"192.0.2.1\n", NOTHING},
        {"forwarded: for=\"192.0.2.1\\\n", NOTHING},
        {"forwarded: for=\"192.0.2.1\"x\n", NOTHING},
        {"forwarded: for=\"\", for=192.0.2.1\n", "192.0.2.1 0 "},
        {"forwarded: for=\"\"\n", NOTHING},
        {"forwarded: for=192.0.2.1, for=\"10.0.0.1\n", NOTHING},
        {"forwarded: for=\"192.0.2.1\\0\"\n", NOTHING},
    };

    (void)state;
    CHECK_ALL(LH_FORWARDED_RFC7239, v);
}

/* So many proxies are nonsense; but only what is walked counts. */
static void hops_are_bounded(void **state)
{
    char lines[4096] = "x-forwarded-for: 192.0.2.1";

    (void)state;
    for (int i = 0; i < LH_FORWARDED_HOPS - 1; i++)
        strcat(lines, ",10.0.0.1");
    strcat(lines, "\n");
    assert_string_equal(read_fields(LH_FORWARDED_X, lines), "192.0.2.1 0 ");
    strcpy(strchr(lines, '\n'), ",10.0.0.2\n");
    assert_string_equal(read_fields(LH_FORWARDED_X, lines), NOTHING);
    strcpy(strchr(lines, '\n'), ",192.0.2.2\n");
    assert_string_equal(read_fields(LH_FORWARDED_X, lines), "192.0.2.2 0 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x_forwarded_for),
        cmocka_unit_test(the_walk_stops_at_the_unknown),
        cmocka_unit_test(malformed_fields_are_ignored),
        cmocka_unit_test(x_forwarded_proto),
        cmocka_unit_test(forwarded),
        cmocka_unit_test(malformed_forwarded_is_ignored),
        cmocka_unit_test(hops_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
