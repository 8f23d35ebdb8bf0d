/*
 * A WebSocket client's frames, for tests.
 */
#ifndef TEST_LIB_WS_H
#define TEST_LIB_WS_H

#include "lib/vectors.h"

#include <stdint.h>

/* Adds a frame: `first` is its first octet (0x81: a whole text), masked by a
 * mask that is made of its length. */
void test_ws_frame(struct test_bytes *b, unsigned first, const void *p,
                   size_t n);

/* The same with a text. */
void test_ws_text(struct test_bytes *b, unsigned first, const char *text);

/* A close frame. */
void test_ws_close(struct test_bytes *b, unsigned code, const char *reason);

/* Adds a line of a script: tokens, separated by blanks: "81:hello" is a frame
 * whose first octet is 0x81 with the text, "82*70000" one of so many octets
 * that count up, "88=1001,bye" a close frame, and "x0180" octets in
 * hexadecimal that are no frame. */
void test_ws_script(struct test_bytes *b, const char *script);

#endif
