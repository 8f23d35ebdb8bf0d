/* An HTTP/2 client for tests: see h2client.h. */
#include "lib/h2client.h"

#include "base/mem.h"
#include "h2/h2_conn.h"
#include "lib/grow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

void test_h2_init(struct test_h2 *h, test_handler_fn *handler, size_t step)
{
    memset(h, 0, sizeof(*h));
    test_context_init(&h->t);
    lh_h2_hpack_init(&h->hpack, 4096);
    h->step = step;
    h->heap = lh_realloc_hook;
    h->log = test_grow(NULL, 0, 1);
    h->log[0] = '\0';
    h->body = test_grow(NULL, 0, 1);
    h->body[0] = '\0';
    test_driver_init(&h->d, &h->t, &lh_h2_protocol, lh_h2_new, handler);
}

void test_h2_deinit(struct test_h2 *h)
{
    test_driver_deinit(&h->d);
    lh_h2_hpack_deinit(&h->hpack);
    test_context_deinit(&h->t);
    free(h->log);
    free(h->body);
}

void test_h2_hello(struct test_h2 *h)
{
    test_h2_octets(h, LH_H2_PREFACE, LH_H2_PREFACE_BYTES);
    test_h2_say(h, "SETTINGS - 0\nSETTINGS a 0");
    test_h2_forget(h);
}

/* --- saying --------------------------------------------------------------- */

struct frame {
    struct lh_h2_head head;
    uint8_t *p;
    size_t n, room;
};

static void put(struct frame *f, const void *p, size_t n)
{
    if (f->n + n > f->room) {
        f->room = 2 * (f->n + n);
        f->p = realloc(f->p, f->room);
        assert_non_null(f->p);
    }
    if (n && p)
        memcpy(f->p + f->n, p, n);
    else if (n)
        memset(f->p + f->n, 0, n);
    f->n += n;
}

static void put_string(struct frame *f, const char *p, size_t n)
{
    uint8_t octet = (uint8_t)(n < 127 ? n : 127);
    size_t rest = n - octet;

    put(f, &octet, 1); /* RFC 7541, 5.1 */
    if (octet == 127) {
        for (; rest >= 128; rest /= 128) {
            octet = (uint8_t)(rest % 128 + 128);
            put(f, &octet, 1);
        }
        octet = (uint8_t)rest;
        put(f, &octet, 1);
    }
    put(f, p, n);
}

static void put_field(struct frame *f, const char *name, size_t name_n,
                      const char *value, size_t value_n)
{
    put(f, "\0", 1);
    put_string(f, name, name_n);
    put_string(f, value, value_n);
}

static void put_field_str(struct frame *f, const char *name, const char *value)
{
    put_field(f, name, strlen(name), value, strlen(value));
}

static const char *put_request(struct frame *f, const char *at)
{
    size_t method = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    size_t path = strcspn(at + method, " \n");

    put_field(f, ":method", 7, at, method);
    put_field_str(f, ":scheme", "http");
    put_field(f, ":path", 5, path ? at + method : "/", path ? path : 1);
    put_field_str(f, ":authority", "example.com");
    return at + method + path;
}

static const char *put_braces(struct frame *f, const char *at)
{
    const char *colon = strstr(at + 2, ": ");
    const char *end = colon ? strchr(colon, '}') : NULL;

    assert_true(colon && end);
    put_field(f, at + 1, (size_t)(colon - at - 1), colon + 2,
              (size_t)(end - colon - 2));
    return end + 1;
}

static const char *put_hex(struct frame *f, const char *at)
{
    for (at++; lh_hex_digit(*at) >= 0; at += 2) {
        uint8_t octet =
            (uint8_t)(lh_hex_digit(at[0]) * 16 + lh_hex_digit(at[1]));
        put(f, &octet, 1);
    }
    return at;
}

static const char *put_piece(struct frame *f, const char *at)
{
    uint8_t four[4];
    char *end;

    switch (*at) {
    case '\'':
        put(f, at + 1, strcspn(at + 1, "'"));
        return at + 2 + strcspn(at + 1, "'");
    case '*':
        put(f, NULL, strtoul(at + 1, &end, 10));
        return end;
    case 'u':
        lh_h2_put_u32(four, (uint32_t)strtoul(at + 1, &end, 10));
        put(f, four, 4);
        return end;
    case 'x':
        return put_hex(f, at);
    case '{':
        return put_braces(f, at);
    default:
        return put_request(f, at);
    }
}

static uint8_t type_of(const char *at, size_t n)
{
    if (at[0] == 'T' && n < 5)
        return (uint8_t)strtoul(at + 1, NULL, 10);
    for (unsigned type = 0; type < 32; type++) {
        const char *name = lh_h2_type_name((uint8_t)type);
        if (strlen(name) == n && memcmp(name, at, n) == 0)
            return (uint8_t)type;
    }
    fail_msg("no such type: %s", at);
    return 0;
}

static uint8_t flag_of(char letter)
{
    switch (letter) {
    case 'a':
    case 'e':
        return LH_H2_FLAG_END_STREAM;
    case 'h':
        return LH_H2_FLAG_END_HEADERS;
    case 'p':
        return LH_H2_FLAG_PADDED;
    case 'y':
        return LH_H2_FLAG_PRIORITY;
    case 'x':
        return 0xd2;
    default:
        return 0;
    }
}

static void say_line(struct frame *f, const char *at)
{
    size_t n = strcspn(at, " ");
    char *end;

    f->head = (struct lh_h2_head){.type = type_of(at, n)};
    for (at += n + 1; *at != ' '; at++)
        f->head.flags |= flag_of(*at);
    f->head.stream = (uint32_t)strtoul(at, &end, 10);
    put(f, NULL, LH_H2_HEAD_BYTES);
    for (at = end; *at && *at != '\n';) {
        if (*at == ' ')
            at++;
        else
            at = put_piece(f, at);
    }
    f->head.length = (uint32_t)(f->n - LH_H2_HEAD_BYTES);
    lh_h2_head_put(f->p, &f->head);
}

void test_h2_octets(struct test_h2 *h, const void *p, size_t n)
{
    test_driver_feed(&h->d, p, n, h->step);
    test_h2_run(h);
}

/* All in one input, as from one segment, up to a pause. */
void test_h2_say(struct test_h2 *h, const char *lines)
{
    struct frame all = {.n = 0};

    while (lines) {
        struct frame f = {.n = 0};
        if (*lines == '-') {
            test_h2_octets(h, all.p, all.n);
            all.n = 0;
        } else {
            say_line(&f, lines);
            put(&all, f.p, f.n);
        }
        free(f.p);
        lines = strchr(lines, '\n');
        lines = lines && lines[1] ? lines + 1 : NULL;
    }
    test_h2_octets(h, all.p, all.n);
    free(all.p);
}

void test_h2_sayf(struct test_h2 *h, const char *format, ...)
{
    char lines[65536];
    va_list args;

    va_start(args, format);
    vsnprintf(lines, sizeof(lines), format, args);
    va_end(args);
    test_h2_say(h, lines);
}

/* --- hearing -------------------------------------------------------------- */

static void note(struct test_h2 *h, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct test_h2 *h, const char *format, ...)
{
    char text[70000];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof(text));
    h->log = test_grow(h->log, h->log_n, (size_t)n + 1);
    memcpy(h->log + h->log_n, text, (size_t)n + 1);
    h->log_n += (size_t)n;
}

static void hear_field(void *to, struct lh_str name, struct lh_str value)
{
    struct test_h2 *h = to;

    h->fields_n += (size_t)snprintf(
        h->fields + h->fields_n, sizeof(h->fields) - h->fields_n, " %.*s=%.*s",
        (int)name.n, name.p, (int)value.n, value.p);
    assert_true(h->fields_n < sizeof(h->fields));
}

static void hear_block(struct test_h2 *h, const struct lh_h2_head *head,
                       const uint8_t *p)
{
    static const struct lh_h2_hpack_limits limits = {UINT64_MAX, UINT64_MAX};

    if (head->type != LH_H2_CONTINUATION) {
        h->block_head = *head;
        h->block_n = 0;
    }
    assert_true(h->block_n + head->length <= sizeof(h->block));
    memcpy(h->block + h->block_n, p, head->length);
    h->block_n += head->length;
    if (!(head->flags & LH_H2_FLAG_END_HEADERS))
        return;
    const uint8_t *block = (const uint8_t *)h->block;
    size_t skip = h->block_head.type == LH_H2_PUSH_PROMISE ? 4 : 0;
    h->fields_n = 0;
    h->fields[0] = '\0';
    void *(*servers_heap)(void *, size_t) = lh_realloc_hook;
    lh_realloc_hook = h->heap;
    assert_int_equal(lh_h2_hpack_decode(&h->hpack, block + skip,
                                        h->block_n - skip, true, &limits,
                                        hear_field, h),
                     LH_H2_HPACK_OK);
    lh_realloc_hook = servers_heap;
    note(h, "%s %u", lh_h2_type_name(h->block_head.type), h->block_head.stream);
    if (skip)
        note(h, " promises %u", lh_h2_u32(block));
    else if (h->block_head.flags & LH_H2_FLAG_END_STREAM)
        note(h, " end");
    note(h, "%s\n", h->fields);
}

static void hear_data(struct test_h2 *h, const struct lh_h2_head *head,
                      const uint8_t *p)
{
    const char *end = head->flags & LH_H2_FLAG_END_STREAM ? " end" : "";

    h->body = test_grow(h->body, h->data_bytes, head->length + 1);
    memcpy(h->body + h->data_bytes, p, head->length);
    h->data_bytes += head->length;
    h->body[h->data_bytes] = '\0';
    if (head->length <= 64)
        note(h, "DATA %u%s '%.*s'\n", head->stream, end, (int)head->length,
             (const char *)p);
    else
        note(h, "DATA %u%s #%u\n", head->stream, end, head->length);
}

static void hear_settings(struct test_h2 *h, const struct lh_h2_head *head,
                          const uint8_t *p)
{
    struct lh_h2_setting s;

    note(h, "SETTINGS%s", head->flags & LH_H2_FLAG_ACK ? " ack" : "");
    for (uint32_t i = 0; i + 6 <= head->length; i += 6) {
        lh_h2_setting_get(&s, p + i);
        note(h, " %u=%u", s.id, s.value);
    }
    note(h, "\n");
}

static void hear(struct test_h2 *h, const struct lh_h2_head *head,
                 const uint8_t *p)
{
    switch (head->type) {
    case LH_H2_DATA:
        hear_data(h, head, p);
        break;
    case LH_H2_HEADERS:
    case LH_H2_PUSH_PROMISE:
    case LH_H2_CONTINUATION:
        hear_block(h, head, p);
        break;
    case LH_H2_SETTINGS:
        hear_settings(h, head, p);
        break;
    case LH_H2_RST_STREAM:
        note(h, "RST_STREAM %u %s\n", head->stream,
             lh_h2_error_name(lh_h2_u32(p)));
        break;
    case LH_H2_PING:
        note(h, "PING%s\n", head->flags & LH_H2_FLAG_ACK ? " ack" : "");
        break;
    case LH_H2_GOAWAY:
        note(h, "GOAWAY %u %s\n", lh_h2_u32(p),
             lh_h2_error_name(lh_h2_u32(p + 4)));
        break;
    case LH_H2_WINDOW_UPDATE:
        note(h, "WINDOW_UPDATE %u +%u\n", head->stream, lh_h2_u32(p));
        break;
    default:
        fail_msg("a frame of type %u from a server", head->type);
    }
}

void test_h2_run(struct test_h2 *h)
{
    struct lh_h2_head head;
    bool stream_only;

    test_driver_run(&h->d);
    while (h->d.out_n - h->read >= LH_H2_HEAD_BYTES) {
        const uint8_t *p = (const uint8_t *)h->d.out + h->read;
        lh_h2_head_get(&head, p);
        assert_int_equal(lh_h2_head_check(&head, 16384, &stream_only), 0);
        if (h->d.out_n - h->read < LH_H2_HEAD_BYTES + head.length)
            break;
        hear(h, &head, p + LH_H2_HEAD_BYTES);
        h->read += LH_H2_HEAD_BYTES + head.length;
    }
}

void test_h2_advance(struct test_h2 *h, uint64_t ms)
{
    test_driver_advance(&h->d, ms);
    test_h2_run(h);
}

void test_h2_forget(struct test_h2 *h)
{
    h->log_n = 0;
    h->log[0] = '\0';
    h->data_bytes = 0;
    h->body[0] = '\0';
}

unsigned test_h2_count(const struct test_h2 *h, const char *line)
{
    size_t n = strlen(line);
    unsigned count = 0;

    for (const char *at = h->log; at && *at;) {
        count += strncmp(at, line, n) == 0;
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    return count;
}

bool test_h2_got(const struct test_h2 *h, const char *line)
{
    return test_h2_count(h, line) > 0;
}
