/* Vectors in plain files: see vectors.h. */
#include "lib/vectors.h"

#include "base/str.h"
#include "http/status.h"
#include "lib/grow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

void test_bytes_add(struct test_bytes *b, const void *p, size_t n)
{
    b->p = test_grow(b->p, b->n, n + 1);
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = '\0';
}

/* One octet, escaped or not; moves *s past it. */
static char take_octet(const char **s)
{
    const char *at = *s;
    char c = *at++;

    if (c == '\\') {
        c = *at++;
        if (c == 'x') {
            c = (char)(lh_hex_digit(at[0]) * 16 + lh_hex_digit(at[1]));
            at += 2;
        } else {
            c = c == 'r'   ? '\r'
                : c == 'n' ? '\n'
                : c == 't' ? '\t'
                : c == '0' ? '\0'
                           : c;
        }
    }
    *s = at;
    return c;
}

static const char *add_repeated(struct test_bytes *b, const char *s)
{
    struct test_bytes piece = {NULL, 0};
    char *end;

    while (*s && *s != '*') {
        char c = take_octet(&s);
        test_bytes_add(&piece, &c, 1);
    }
    unsigned long times = strtoul(s + 1, &end, 10);
    assert_int_equal(*end, '}');
    for (unsigned long i = 0; i < times; i++)
        test_bytes_add(b, piece.p, piece.n);
    free(piece.p);
    return end + 1;
}

static void add_escaped(struct test_bytes *b, const char *s)
{
    while (*s) {
        if (*s == '{') {
            s = add_repeated(b, s + 1);
            continue;
        }
        char c = take_octet(&s);
        test_bytes_add(b, &c, 1);
    }
}

static void add_text(struct test_bytes *b, const char *s)
{
    test_bytes_add(b, s, strlen(s));
}

static void add_ok(struct test_bytes *b, const char *text, const char *more)
{
    struct test_bytes body = {NULL, 0};
    char head[128];

    test_bytes_add(&body, "", 0);
    add_escaped(&body, text);
    snprintf(head, sizeof(head),
             "HTTP/1.1 200 OK\r\ndate: " TEST_VECTOR_DATE
             "\r\ncontent-length: %zu\r\n%s\r\n",
             body.n, more);
    add_text(b, head);
    test_bytes_add(b, body.p, body.n);
    free(body.p);
}

static void add_error(struct test_bytes *b, const char *number)
{
    unsigned status = (unsigned)strtoul(number, NULL, 10);
    struct lh_str page = lh_status_page(status);
    char head[256];

    snprintf(head, sizeof(head),
             "HTTP/1.1 %u %s\r\ncontent-type: text/html; charset=utf-8\r\n"
             "date: " TEST_VECTOR_DATE
             "\r\ncontent-length: %zu\r\nconnection: close\r\n\r\n",
             status, lh_status_phrase(status), page.n);
    add_text(b, head);
    test_bytes_add(b, page.p, page.n);
}

static bool starts(const char *line, const char *prefix, const char **rest)
{
    size_t n = strlen(prefix);

    if (strncmp(line, prefix, n) != 0)
        return false;
    *rest = line + n;
    return true;
}

static void read_end(struct test_vector *v, const char *word)
{
    v->eof = strcmp(word, "eof") == 0;
    v->lingers = strcmp(word, "linger") == 0;
    v->closes = v->eof || v->lingers || strcmp(word, "close") == 0;
    assert_true(v->closes || strcmp(word, "open") == 0);
}

static void read_line(struct test_vector *v, const char *line)
{
    const char *rest;

    if (starts(line, "= ", &rest))
        assert_in_range(snprintf(v->name, sizeof(v->name), "%s", rest), 1,
                        sizeof(v->name) - 1);
    else if (starts(line, "> ", &rest))
        add_escaped(&v->in, rest);
    else if (starts(line, "< ", &rest))
        add_escaped(&v->out, rest);
    else if (starts(line, "<ok ", &rest))
        add_ok(&v->out, rest, "");
    else if (starts(line, "<old ", &rest))
        add_ok(&v->out, rest, "connection: keep-alive\r\n");
    else if (starts(line, "<bye ", &rest))
        add_ok(&v->out, rest, "connection: close\r\n");
    else if (starts(line, "<error ", &rest))
        add_error(&v->out, rest);
    else if (starts(line, "! ", &rest))
        read_end(v, rest);
    else if (*line && *line != '#')
        fail_msg("a vector's line is not understood: %s", line);
}

/* Each vector ends with its "!" line. */
bool test_vector_read(FILE *file, struct test_vector *v)
{
    char line[1024];
    bool ended = false;

    memset(v, 0, sizeof(*v));
    test_bytes_add(&v->in, "", 0);
    test_bytes_add(&v->out, "", 0);
    while (!ended && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        read_line(v, line);
        ended = line[0] == '!';
    }
    if (!ended)
        test_vector_deinit(v);
    return ended;
}

void test_vector_deinit(struct test_vector *v)
{
    free(v->in.p);
    free(v->out.p);
}
