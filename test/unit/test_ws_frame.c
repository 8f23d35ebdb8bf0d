/* Heads, masks and close codes of WebSocket frames. */
#include "ws/ws_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/ws.h"

static void test_heads_are_read_as_they_are_written(void **state)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct test_bytes b = {NULL, 0};
        struct lh_ws_head head;
        const char *why = NULL;
        char *zeroes = calloc(1, lengths[i] + 1);
        test_ws_frame(&b, 0x82, zeroes, lengths[i]);
        size_t all = b.n - lengths[i];
        for (size_t n = 0; n < all; n++)
            assert_int_equal(lh_ws_head_get(&head, (uint8_t *)b.p, n, &why), 0);
        assert_int_equal(lh_ws_head_get(&head, (uint8_t *)b.p, all, &why), all);
        assert_int_equal(head.opcode, LH_WS_BINARY);
        assert_true(head.fin);
        assert_int_equal(head.length, lengths[i]);
        uint8_t ours[LH_WS_OUR_HEAD_BYTES];
        size_t n = lh_ws_head_put(ours, LH_WS_BINARY, lengths[i]);
        assert_int_equal(n, all - 4);
        ours[1] |= 0x80;
        assert_memory_equal(ours, b.p, n);
        free(zeroes);
        free(b.p);
    }
}

/* What is wrong is told at the octet that makes it so. */
static void test_wrong_heads(void **state)
{
    static const struct {
        const char *octets, *why;
        size_t at;
    } wrong[] = {
        {"\xc1", "a reserved bit is set", 1},
        {"\xa1", "a reserved bit is set", 1},
        {"\x91", "a reserved bit is set", 1},
        {"\x83", "an unknown opcode", 1},
        {"\x87", "an unknown opcode", 1},
        {"\x8b", "an unknown opcode", 1},
        {"\x8f", "an unknown opcode", 1},
        {"\x09", "a control frame in fragments", 1},
        {"\x81\x05", "a frame without a mask", 2},
        {"\x89\xfe", "a control frame of more than 125 octets", 2},
        {"\x88\xff", "a control frame of more than 125 octets", 2},
        {"\x81\xfe\x00\x7d", "a length that is not said in the shortest way",
         4},
        {"\x81\xff\0\0\0\0\0\0\xff\xff",
         "a length that is not said in the shortest way", 10},
        {"\x81\xff\x80\0\0\0\0\1\0\0", "a length of more than 63 bits", 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct lh_ws_head head;
        const uint8_t *p = (const uint8_t *)wrong[i].octets;
        const char *why = "";
        for (size_t n = 0; n < wrong[i].at; n++)
            assert_int_equal(lh_ws_head_get(&head, p, n, &why), 0);
        assert_int_equal(lh_ws_head_get(&head, p, wrong[i].at, &why), -1);
        assert_string_equal(why, wrong[i].why);
    }
}

/* Any piece, at any place of its frame, in place or not. */
static void test_masks_come_off(void **state)
{
    const uint8_t mask[4] = {0x12, 0xff, 0x00, 0xa5};
    uint8_t plain[67], masked[67], out[67];

    (void)state;
    for (size_t i = 0; i < sizeof(plain); i++) {
        plain[i] = (uint8_t)(i * 37);
        masked[i] = plain[i] ^ mask[i & 3];
    }
    for (size_t from = 0; from < sizeof(plain); from++) {
        size_t n = sizeof(plain) - from;
        lh_ws_unmask(out, masked + from, n, mask, from);
        assert_memory_equal(out, plain + from, n);
        memcpy(out, masked + from, n);
        lh_ws_unmask(out, out, n, mask, (uint64_t)4 * UINT32_MAX + from + 4);
        assert_memory_equal(out, plain + from, n);
    }
}

static void test_close_codes(void **state)
{
    static const unsigned valid[] = {1000, 1001, 1002, 1003, 1007, 1008,
                                     1009, 1010, 1011, 1012, 1013, 1014,
                                     3000, 3999, 4000, 4999};
    unsigned n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++)
        assert_true(lh_ws_code_valid(valid[i]));
    for (unsigned code = 0; code < 3000; code++)
        n += lh_ws_code_valid(code);
    assert_int_equal(n, 12);
    assert_false(lh_ws_code_valid(5000));
    assert_false(lh_ws_code_valid(65535));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads_are_read_as_they_are_written),
        cmocka_unit_test(test_wrong_heads),
        cmocka_unit_test(test_masks_come_off),
        cmocka_unit_test(test_close_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
