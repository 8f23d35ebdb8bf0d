/* Header compression: the examples of RFC 7541, appendix C, and our limits. */
#include "h2/h2_hpack.h"

#include "base/mem.h"
#include "lib/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct lh_h2_hpack_limits usual = {32 << 10, 128};

struct got {
    char text[4096]; /* "name: value\n" each */
    size_t n;
    unsigned fields;
};

static void collect(void *to, struct lh_str name, struct lh_str value)
{
    struct got *got = to;

    got->fields++;
    got->n += (size_t)snprintf(got->text + got->n, sizeof(got->text) - got->n,
                               "%.*s: %.*s\n", (int)name.n, name.p,
                               (int)value.n, value.p);
    if (got->n >= sizeof(got->text))
        got->n = sizeof(got->text) - 1;
}

static size_t from_hex(uint8_t *out, const char *hex)
{
    size_t n = 0;

    for (; *hex; hex++) {
        if (*hex == ' ')
            continue;
        out[n++] = (uint8_t)(lh_hex_digit(hex[0]) * 16 + lh_hex_digit(hex[1]));
        hex++;
    }
    return n;
}

/* Decodes one block, `step` octets at a time. */
static enum lh_h2_hpack_result decode(struct lh_h2_hpack *h, const char *hex,
                                      size_t step,
                                      const struct lh_h2_hpack_limits *limits,
                                      struct got *got)
{
    uint8_t block[1024];
    size_t n = from_hex(block, hex), at = 0;
    enum lh_h2_hpack_result r = LH_H2_HPACK_OK;

    memset(got, 0, sizeof(*got));
    do {
        size_t piece = n - at < step ? n - at : step;
        r = lh_h2_hpack_decode(h, block + at, piece, at + piece == n, limits,
                               collect, got);
        at += piece;
    } while (at < n && r == LH_H2_HPACK_OK);
    return r;
}

struct example {
    const char *hex, *fields;
};

/* Each list is decoded with one connection's table, whole and cut at each
 * octet. */
static void run(const struct example *v, size_t n, size_t table)
{
    for (size_t step = 1024; step; step /= 32) {
        struct lh_h2_hpack h;
        struct got got;
        lh_h2_hpack_init(&h, 4096);
        assert_int_equal(lh_h2_hpack_set_in_table(&h, table), 0);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(decode(&h, v[i].hex, step, &usual, &got),
                             LH_H2_HPACK_OK);
            assert_string_equal(got.text, v[i].fields);
        }
        lh_h2_hpack_deinit(&h);
    }
}

static void test_c2_representations(void **state)
{
    static const struct example v[] = {
        {"400a637573746f6d2d6b65790d637573746f6d2d686561646572",
         "custom-key: custom-header\n"},
        {"040c2f73616d706c652f70617468", ":path: /sample/path\n"},
        {"100870617373776f726406736563726574", "password: secret\n"},
        {"82", ":method: GET\n"},
    };

    (void)state;
    run(v, 4, 4096);
}

static void test_c3_requests(void **state)
{
    static const struct example v[] = {
        {"828684410f7777772e6578616d706c652e636f6d",
         ":method: GET\n:scheme: http\n:path: /\n"
         ":authority: www.example.com\n"},
        {"828684be58086e6f2d6361636865",
         ":method: GET\n:scheme: http\n:path: /\n"
         ":authority: www.example.com\ncache-control: no-cache\n"},
        {"828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
         ":method: GET\n:scheme: https\n:path: /index.html\n"
         ":authority: www.example.com\ncustom-key: custom-value\n"},
    };

    (void)state;
    run(v, 3, 4096);
}

static void test_c4_requests_huffman(void **state)
{
    static const struct example v[] = {
        {"828684418cf1e3c2e5f23a6ba0ab90f4ff",
         ":method: GET\n:scheme: http\n:path: /\n"
         ":authority: www.example.com\n"},
        {"828684be5886a8eb10649cbf",
         ":method: GET\n:scheme: http\n:path: /\n"
         ":authority: www.example.com\ncache-control: no-cache\n"},
        {"828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
         ":method: GET\n:scheme: https\n:path: /index.html\n"
         ":authority: www.example.com\ncustom-key: custom-value\n"},
    };

    (void)state;
    run(v, 3, 4096);
}

/* With a table of 256 octets, so that entries are evicted; its size is said
 * first (6.3), as an encoder must after such a change. */
static void test_c6_responses_evict(void **state)
{
    static const struct example v[] = {
        {"3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082"
         "a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
         ":status: 302\ncache-control: private\n"
         "date: Mon, 21 Oct 2013 20:13:21 GMT\n"
         "location: https://www.example.com\n"},
        {"4883640effc1c0bf", ":status: 307\ncache-control: private\n"
                             "date: Mon, 21 Oct 2013 20:13:21 GMT\n"
                             "location: https://www.example.com\n"},
        {"88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad"
         "94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f95873160"
         "65c003ed4ee5b1063d5007",
         ":status: 200\ncache-control: private\n"
         "date: Mon, 21 Oct 2013 20:13:22 GMT\n"
         "location: https://www.example.com\ncontent-encoding: gzip\n"
         "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; "
         "version=1\n"},
    };

    (void)state;
    run(v, 3, 256);
}

static void test_bad_blocks(void **state)
{
    static const char *const bad[] = {
        "80",                 /* index 0 */
        "be",                 /* past both tables */
        "0f2f00",             /* likewise, as a literal's name */
        "823fe11f",           /* a change of size that is not in front */
        "3fe21f",             /* a larger table than was allowed */
        "ffffffffffffffff7f", /* an integer that overflows */
        "00858fffffff0000",   /* EOS inside of a Huffman string */
        "008287ff00",         /* padding longer than seven bits */
        "0081fe00",           /* padding that is not of ones */
        "400a6375",           /* cut short */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (size_t step = 1024; step; step /= 32) {
            struct lh_h2_hpack h;
            struct got got;
            lh_h2_hpack_init(&h, 4096);
            if (decode(&h, bad[i], step, &usual, &got) != LH_H2_HPACK_BAD)
                fail_msg("%s was accepted", bad[i]);
            lh_h2_hpack_deinit(&h);
        }
    }
}

/* Past the limits nothing is handed on, and the table stays in step. */
static void test_limits(void **state)
{
    static const struct lh_h2_hpack_limits three = {1000, 3}, small = {90, 9};
    struct lh_h2_hpack h;
    struct got got;

    (void)state;
    lh_h2_hpack_init(&h, 4096);
    assert_int_equal(decode(&h,
                            "828684"
                            "410f7777772e6578616d706c652e636f6d",
                            1, &three, &got),
                     LH_H2_HPACK_OK);
    assert_true(h.over);
    assert_int_equal(got.fields, 3);
    assert_int_equal(decode(&h, "be", 1, &three, &got), LH_H2_HPACK_OK);
    assert_false(h.over);
    assert_string_equal(got.text, ":authority: www.example.com\n");
    /* 42 octets for ":method: GET", 43 for ":scheme: http". */
    assert_int_equal(decode(&h, "828682", 1, &small, &got), LH_H2_HPACK_OK);
    assert_true(h.over);
    assert_int_equal(got.fields, 2);
    lh_h2_hpack_deinit(&h);
}

/* A block of one large entry named over and over: a bomb. */
static void test_bomb_costs_nothing(void **state)
{
    static uint8_t block[3 + 3 + 4000 + 16000];
    struct lh_h2_hpack h;
    struct got got = {.n = 0};
    size_t n = 0;

    (void)state;
    block[n++] = 0x40;
    block[n++] = 1;
    block[n++] = 'x';
    block[n++] = 0x7f; /* 4000 = 127 + 3873 */
    block[n++] = 0xa1;
    block[n++] = 0x1e;
    memset(block + n, 'a', 4000);
    n += 4000;
    memset(block + n, 0xbe, sizeof(block) - n);
    lh_h2_hpack_init(&h, 4096);
    assert_int_equal(lh_h2_hpack_decode(&h, block, sizeof(block), true, &usual,
                                        collect, &got),
                     LH_H2_HPACK_OK);
    assert_true(h.over);
    assert_int_equal(got.fields, 8);
    lh_h2_hpack_deinit(&h);
}

static void round_trip(struct lh_h2_hpack *from, struct lh_h2_hpack *to,
                       const struct lh_h2_nv *v, size_t n, struct got *got)
{
    uint8_t out[4096];
    size_t used, bound = lh_h2_hpack_bound(v, n);

    assert_true(bound <= sizeof(out));
    assert_int_equal(lh_h2_hpack_encode(from, v, n, out, bound, &used),
                     LH_H2_HPACK_OK);
    memset(got, 0, sizeof(*got));
    assert_int_equal(
        lh_h2_hpack_decode(to, out, used, true, &usual, collect, got),
        LH_H2_HPACK_OK);
}

static void test_encode(void **state)
{
    const struct lh_h2_nv v[] = {
        {LH_STR(":status"), LH_STR("200"), false},
        {LH_STR("x-secret"), LH_STR("hunter2"), true},
        {LH_STR("content-type"), LH_STR("text/plain"), false},
    };
    struct lh_h2_hpack h, other;
    struct got got;
    uint8_t out[256];
    size_t first, second;

    (void)state;
    lh_h2_hpack_init(&h, 4096);
    lh_h2_hpack_init(&other, 4096);
    round_trip(&h, &other, v, 3, &got);
    assert_string_equal(
        got.text,
        ":status: 200\nx-secret: hunter2\ncontent-type: text/plain\n");
    assert_int_equal(lh_h2_hpack_encode(&h, v + 1, 1, out, 256, &first), 0);
    assert_int_equal(out[0], 0x10); /* never indexed (6.2.3) */
    assert_int_equal(lh_h2_hpack_encode(&h, v + 2, 1, out, 256, &second), 0);
    assert_int_equal(second, 1);
    lh_h2_hpack_deinit(&h);
    lh_h2_hpack_deinit(&other);
}

/* The client's SETTINGS_HEADER_TABLE_SIZE is clamped, and lower ones kept. */
static void test_table_sizes(void **state)
{
    const struct lh_h2_nv v[] = {
        {LH_STR("x-name"), LH_STR("some value"), false},
    };
    struct lh_h2_hpack h, other;
    struct got got;
    uint8_t out[256];
    size_t used;

    (void)state;
    lh_h2_hpack_init(&h, 4096);
    lh_h2_hpack_init(&other, 4096);
    assert_int_equal(lh_h2_hpack_set_out_table(&h, 1 << 30), 0);
    round_trip(&h, &other, v, 1, &got);
    assert_int_equal(lh_h2_hpack_set_out_table(&h, 0), 0);
    for (int i = 0; i < 2; i++) {
        round_trip(&h, &other, v, 1, &got);
        assert_string_equal(got.text, "x-name: some value\n");
        assert_int_equal(lh_h2_hpack_encode(&h, v, 1, out, 256, &used), 0);
        assert_true(used > 10); /* nothing is indexed */
    }
    lh_h2_hpack_deinit(&h);
    lh_h2_hpack_deinit(&other);
}

/* Of sizes that change before the first block, the least is said as well (RFC
 * 7541, 4.2): a strict client counts on it. */
static void test_table_sizes_at_first(void **state)
{
    const struct lh_h2_nv v[] = {
        {LH_STR("x-name"), LH_STR("some value"), false},
    };
    struct lh_h2_hpack h, other;
    struct got got = {.n = 0};

    (void)state;
    lh_h2_hpack_init(&h, 4096);
    lh_h2_hpack_init(&other, 4096);
    assert_int_equal(lh_h2_hpack_decode(&other, (const uint8_t *)"", 0, true,
                                        &usual, collect, &got),
                     0);
    for (size_t size = 0; size <= 4096; size += 4096) {
        assert_int_equal(lh_h2_hpack_set_out_table(&h, size), 0);
        assert_int_equal(lh_h2_hpack_set_in_table(&other, size), 0);
    }
    round_trip(&h, &other, v, 1, &got);
    assert_string_equal(got.text, "x-name: some value\n");
    lh_h2_hpack_deinit(&h);
    lh_h2_hpack_deinit(&other);
}

static bool talk(void)
{
    const struct lh_h2_nv v[] = {
        {LH_STR("x-name"), LH_STR("some value"), false},
        {LH_STR("y-name"), LH_STR("another value"), false},
    };
    struct lh_h2_hpack h, other;
    struct got got = {.n = 0};
    uint8_t out[512];
    size_t used;

    lh_h2_hpack_init(&h, 4096);
    lh_h2_hpack_init(&other, 4096);
    enum lh_h2_hpack_result r = lh_h2_hpack_encode(&h, v, 2, out, 512, &used);
    if (r == LH_H2_HPACK_OK)
        r = lh_h2_hpack_decode(&other, out, used, true, &usual, collect, &got);
    assert_int_not_equal(r, LH_H2_HPACK_BAD);
    lh_h2_hpack_deinit(&h);
    lh_h2_hpack_deinit(&other);
    return r == LH_H2_HPACK_OK;
}

static void test_no_memory(void **state)
{
    unsigned long n = 1;

    (void)state;
    test_heap_install();
    for (;; n++) {
        test_heap_fail_at(n);
        bool ok = talk();
        assert_int_equal(test_heap_live(), 0);
        if (ok)
            break;
    }
    test_heap_uninstall();
    assert_true(n > 4); /* nghttp2's allocations are ours as well */
}

static void test_many_fields(void **state)
{
    struct lh_h2_nv v[100];
    struct lh_h2_hpack h, other;
    struct got got;

    (void)state;
    for (size_t i = 0; i < 100; i++)
        v[i] = (struct lh_h2_nv){LH_STR("a"), LH_STR("b"), false};
    lh_h2_hpack_init(&h, 4096);
    lh_h2_hpack_init(&other, 4096);
    round_trip(&h, &other, v, 100, &got);
    assert_int_equal(got.fields, 100);
    lh_h2_hpack_deinit(&h);
    lh_h2_hpack_deinit(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_c2_representations),
        cmocka_unit_test(test_c3_requests),
        cmocka_unit_test(test_c4_requests_huffman),
        cmocka_unit_test(test_c6_responses_evict),
        cmocka_unit_test(test_bad_blocks),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_bomb_costs_nothing),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_table_sizes),
        cmocka_unit_test(test_table_sizes_at_first),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_many_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
