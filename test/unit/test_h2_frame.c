/* The codec of HTTP/2's frames (RFC 9113, 4 and 6). */
#include "h2/h2_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_head(void **state)
{
    static const uint8_t octets[LH_H2_HEAD_BYTES] = {
        0x12, 0x34, 0x56, 0x09, 0xa5, 0x81, 0x02, 0x03, 0x04};
    struct lh_h2_head h;
    uint8_t out[LH_H2_HEAD_BYTES];

    (void)state;
    lh_h2_head_get(&h, octets);
    assert_int_equal(h.length, 0x123456);
    assert_int_equal(h.type, LH_H2_CONTINUATION);
    assert_int_equal(h.flags, 0xa5);
    assert_int_equal(h.stream, 0x01020304); /* the reserved bit is ignored */
    lh_h2_head_put(out, &h);
    assert_int_equal(out[5], 0x01);
    out[5] |= 0x80;
    assert_memory_equal(out, octets, sizeof(out));
}

struct check {
    struct lh_h2_head head;
    enum lh_h2_error error;
    bool stream_only;
};

#define OK   LH_H2_NO_ERROR
#define BAD  LH_H2_PROTOCOL_ERROR
#define SIZE LH_H2_FRAME_SIZE_ERROR

static const struct check checks[] = {
    {{16384, LH_H2_DATA, 0, 1}, OK, false},
    {{16385, LH_H2_DATA, 0, 1}, SIZE, false},
    {{0, LH_H2_DATA, 0, 1}, OK, false},
    {{0, LH_H2_DATA, LH_H2_FLAG_PADDED, 1}, SIZE, false},
    {{1, LH_H2_DATA, LH_H2_FLAG_PADDED, 1}, OK, false},
    {{0, LH_H2_DATA, 0, 0}, BAD, false},
    {{0, LH_H2_HEADERS, 0, 3}, OK, false},
    {{0, LH_H2_HEADERS, 0, 0}, BAD, false},
    {{16385, LH_H2_HEADERS, 0, 1}, SIZE, false},
    {{4, LH_H2_HEADERS, LH_H2_FLAG_PRIORITY, 3}, SIZE, false},
    {{5, LH_H2_HEADERS, LH_H2_FLAG_PRIORITY, 3}, OK, false},
    {{5, LH_H2_HEADERS, LH_H2_FLAG_PRIORITY | LH_H2_FLAG_PADDED, 3},
     SIZE,
     false},
    {{6, LH_H2_HEADERS, LH_H2_FLAG_PRIORITY | LH_H2_FLAG_PADDED, 3}, OK, false},
    {{5, LH_H2_PRIORITY, 0, 3}, OK, false},
    {{4, LH_H2_PRIORITY, 0, 3}, SIZE, true},
    {{6, LH_H2_PRIORITY, 0, 3}, SIZE, true},
    {{5, LH_H2_PRIORITY, 0, 0}, BAD, false},
    {{4, LH_H2_RST_STREAM, 0, 3}, OK, false},
    {{3, LH_H2_RST_STREAM, 0, 3}, SIZE, false},
    {{4, LH_H2_RST_STREAM, 0, 0}, BAD, false},
    {{0, LH_H2_SETTINGS, 0, 0}, OK, false},
    {{12, LH_H2_SETTINGS, 0, 0}, OK, false},
    {{11, LH_H2_SETTINGS, 0, 0}, SIZE, false},
    {{6, LH_H2_SETTINGS, LH_H2_FLAG_ACK, 0}, SIZE, false},
    {{0, LH_H2_SETTINGS, LH_H2_FLAG_ACK, 0}, OK, false},
    {{0, LH_H2_SETTINGS, 0, 1}, BAD, false},
    {{8, LH_H2_PUSH_PROMISE, 0, 1}, OK, false},
    {{8, LH_H2_PING, 0, 0}, OK, false},
    {{7, LH_H2_PING, 0, 0}, SIZE, false},
    {{9, LH_H2_PING, LH_H2_FLAG_ACK, 0}, SIZE, false},
    {{8, LH_H2_PING, 0, 1}, BAD, false},
    {{8, LH_H2_GOAWAY, 0, 0}, OK, false},
    {{7, LH_H2_GOAWAY, 0, 0}, SIZE, false},
    {{100, LH_H2_GOAWAY, 0, 0}, OK, false},
    {{8, LH_H2_GOAWAY, 0, 1}, BAD, false},
    {{4, LH_H2_WINDOW_UPDATE, 0, 0}, OK, false},
    {{4, LH_H2_WINDOW_UPDATE, 0, 1}, OK, false},
    {{5, LH_H2_WINDOW_UPDATE, 0, 1}, SIZE, false},
    {{0, LH_H2_CONTINUATION, 0, 1}, OK, false},
    {{0, LH_H2_CONTINUATION, 0, 0}, BAD, false},
    {{4, LH_H2_PRIORITY_UPDATE, 0, 0}, OK, false},
    {{3, LH_H2_PRIORITY_UPDATE, 0, 0}, SIZE, false},
    {{4, LH_H2_PRIORITY_UPDATE, 0, 1}, BAD, false},
    {{3, 10, 0xff, 0}, OK, false},  /* ALTSVC and what else is unknown */
    {{3, 255, 0xff, 7}, OK, false}, /* is for the receiver to ignore */
    {{16385, 255, 0xff, 7}, SIZE, false},
};

static void test_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        bool stream_only;
        enum lh_h2_error error =
            lh_h2_head_check(&checks[i].head, 16384, &stream_only);
        if (error != checks[i].error || stream_only != checks[i].stream_only)
            fail_msg("%zu: %s, %d", i, lh_h2_error_name(error), stream_only);
    }
}

static void test_padding(void **state)
{
    static const uint8_t prefix[6] = {3, 0x80, 0, 0, 1, 15};
    struct lh_h2_head h = {10, LH_H2_DATA, LH_H2_FLAG_PADDED, 1};
    uint32_t content, padding;

    (void)state;
    assert_int_equal(lh_h2_prefix_bytes(&h), 1);
    assert_true(lh_h2_unpad(&h, prefix, &content, &padding));
    assert_int_equal(content, 6);
    assert_int_equal(padding, 3);
    h.length = 4; /* nothing but padding */
    assert_true(lh_h2_unpad(&h, prefix, &content, &padding));
    assert_int_equal(content, 0);
    h.length = 3;
    assert_false(lh_h2_unpad(&h, prefix, &content, &padding));
    h = (struct lh_h2_head){20, LH_H2_HEADERS,
                            LH_H2_FLAG_PADDED | LH_H2_FLAG_PRIORITY, 1};
    assert_int_equal(lh_h2_prefix_bytes(&h), 6);
    assert_true(lh_h2_unpad(&h, prefix, &content, &padding));
    assert_int_equal(content, 11);
    h.flags = LH_H2_FLAG_PRIORITY;
    assert_int_equal(lh_h2_prefix_bytes(&h), 5);
    assert_true(lh_h2_unpad(&h, prefix, &content, &padding));
    assert_int_equal(content, 15);
    assert_int_equal(padding, 0);
    /* The same bit means nothing elsewhere. */
    h = (struct lh_h2_head){8, LH_H2_PING, LH_H2_FLAG_PADDED, 0};
    assert_int_equal(lh_h2_prefix_bytes(&h), 0);
}

static void test_whole_frames(void **state)
{
    static const uint8_t rst[] = {0, 0, 4, 3, 0, 0, 0, 0, 5, 0, 0, 0, 8};
    static const uint8_t update[] = {0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    static const uint8_t ping[] = {0, 0, 8, 6, 1, 0, 0, 0, 0,
                                   1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t goaway[] = {0, 0, 8, 7, 0, 0, 0, 0, 0,
                                     0, 0, 0, 9, 0, 0, 0, 11};
    static const uint8_t settings[] = {0, 0, 12, 4,   0, 0, 0, 0, 0, 0, 3,
                                       0, 0, 0,  128, 0, 4, 0, 1, 0, 0};
    static const struct lh_h2_setting two[] = {
        {LH_H2_SET_MAX_CONCURRENT_STREAMS, 128},
        {LH_H2_SET_INITIAL_WINDOW_SIZE, 65536},
    };
    struct lh_h2_setting back;
    uint8_t out[64];

    (void)state;
    assert_int_equal(lh_h2_put_rst(out, 5, LH_H2_CANCEL), sizeof(rst));
    assert_memory_equal(out, rst, sizeof(rst));
    assert_int_equal(lh_h2_put_update(out, 0, 65536), sizeof(update));
    assert_memory_equal(out, update, sizeof(update));
    assert_int_equal(lh_h2_put_ping(out, LH_H2_FLAG_ACK, ping + 9),
                     sizeof(ping));
    assert_memory_equal(out, ping, sizeof(ping));
    assert_int_equal(lh_h2_put_goaway(out, 9, LH_H2_ENHANCE_YOUR_CALM),
                     sizeof(goaway));
    assert_memory_equal(out, goaway, sizeof(goaway));
    assert_int_equal(lh_h2_put_settings(out, two, 2, false), sizeof(settings));
    assert_memory_equal(out, settings, sizeof(settings));
    lh_h2_setting_get(&back, out + 15);
    assert_int_equal(back.id, LH_H2_SET_INITIAL_WINDOW_SIZE);
    assert_int_equal(back.value, 65536);
    assert_int_equal(lh_h2_put_settings(out, NULL, 0, true), 9);
    assert_int_equal(out[4], LH_H2_FLAG_ACK);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(lh_h2_error_name(0), "NO_ERROR");
    assert_string_equal(lh_h2_error_name(0xd), "HTTP_1_1_REQUIRED");
    assert_string_equal(lh_h2_error_name(0xe), "unknown");
    assert_string_equal(lh_h2_type_name(LH_H2_PRIORITY_UPDATE),
                        "PRIORITY_UPDATE");
    assert_string_equal(lh_h2_type_name(12), "unknown");
    assert_string_equal(lh_h2_type_name(200), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),    cmocka_unit_test(test_check),
        cmocka_unit_test(test_padding), cmocka_unit_test(test_whole_frames),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
