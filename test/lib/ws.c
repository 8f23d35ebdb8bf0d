/* See ws.h. */
#include "lib/ws.h"

#include <stdlib.h>
#include <string.h>

static void add_octet(struct test_bytes *b, unsigned octet)
{
    uint8_t c = (uint8_t)octet;

    test_bytes_add(b, &c, 1);
}

static void add_length(struct test_bytes *b, size_t n)
{
    unsigned octets = n < 126 ? 0 : n <= 0xffff ? 2 : 8;

    add_octet(b, 0x80 | (octets == 0 ? (unsigned)n : octets == 2 ? 126 : 127));
    while (octets--)
        add_octet(b, (unsigned)((uint64_t)n >> 8 * octets & 0xff));
}

void test_ws_frame(struct test_bytes *b, unsigned first, const void *p,
                   size_t n)
{
    const uint8_t *octets = p;
    const uint8_t mask[4] = {(uint8_t)(n * 7 + 1), 0x37, (uint8_t)n, 0xfa};

    add_octet(b, first);
    add_length(b, n);
    test_bytes_add(b, mask, sizeof(mask));
    for (size_t i = 0; i < n; i++)
        add_octet(b, octets[i] ^ mask[i & 3]);
}

void test_ws_text(struct test_bytes *b, unsigned first, const char *text)
{
    test_ws_frame(b, first, text, strlen(text));
}

void test_ws_close(struct test_bytes *b, unsigned code, const char *reason)
{
    char payload[256] = {(char)(code >> 8), (char)code};
    size_t n = strlen(reason);

    memcpy(payload + 2, reason, n);
    test_ws_frame(b, 0x88, payload, 2 + n);
}

static void add_counting(struct test_bytes *b, unsigned first, size_t n)
{
    char *octets = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        octets[i] = (char)(first & 1 ? 'a' + i % 26 : i * 31 % 251);
    test_ws_frame(b, first, octets, n);
    free(octets);
}

static void add_hex(struct test_bytes *b, const char *hex)
{
    char pair[3] = {0};

    for (; hex[0] && hex[1]; hex += 2) {
        memcpy(pair, hex, 2);
        add_octet(b, (unsigned)strtoul(pair, NULL, 16));
    }
}

static void add_token(struct test_bytes *b, char *token)
{
    char *rest;

    if (*token == 'x') {
        add_hex(b, token + 1);
        return;
    }
    unsigned first = (unsigned)strtoul(token, &rest, 16);
    if (*rest == '*') {
        add_counting(b, first, strtoul(rest + 1, NULL, 10));
    } else if (*rest == '=') {
        unsigned code = (unsigned)strtoul(rest + 1, &rest, 10);
        test_ws_close(b, code, *rest ? rest + 1 : "");
    } else {
        test_ws_text(b, first, rest + 1);
    }
}

void test_ws_script(struct test_bytes *b, const char *script)
{
    char *copy = strdup(script), *state = NULL;

    for (char *token = strtok_r(copy, " ", &state); token;
         token = strtok_r(NULL, " ", &state))
        add_token(b, token);
    free(copy);
}
