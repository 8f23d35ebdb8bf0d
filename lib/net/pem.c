/*
 * PEM texts: see pem.h.  What people hand over was made by hand and by many
 * tools: files joined without a line's end between them, indented, with the
 * line ends of any system or a byte-order mark.  All that is read.  What is
 * left over then is damage, and nobody should believe that it was read.
 */
#include "net/pem.h"

#include "base/mem.h"
#include "base/str.h"

#include <string.h>

#define DASHES "-----"
#define BEGIN  DASHES "BEGIN"
#define END    DASHES "END"

struct walk {
    struct lh_str rest; /* not walked yet */
    const char *counted;
    unsigned line; /* of `counted` */
    struct lh_pem_object object;
    uint8_t *der;
    struct lh_err *err;
};

static const char *pem_find(struct lh_str in, const char *what)
{
    return in.n ? memmem(in.p, in.n, what, strlen(what)) : NULL;
}

/* Goes on at a place further on in the text. */
static void go_to(struct lh_str *rest, const char *to)
{
    rest->n -= (size_t)(to - rest->p);
    rest->p = to;
}

/* Counts on to `at`, which is never the text's end.  LF, CR and both are line
 * ends. */
static unsigned line_of(struct walk *w, const char *at)
{
    for (; w->counted < at; w->counted++) {
        const char *p = w->counted;
        w->line += *p == '\n' || (*p == '\r' && p[1] != '\n');
    }
    return w->line;
}

static int damaged(struct walk *w, const char *at, const char *why)
{
    return lh_err_set(w->err, LHTTPD_ECERT, "line %u: %s", line_of(w, at), why);
}

/* White space of ASCII, in every locale: it may stand anywhere in an object. */
static bool is_pem_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without white space at both ends. */
static struct lh_str trim(struct lh_str s)
{
    while (s.n && is_pem_space(s.p[0]))
        go_to(&s, s.p + 1);
    while (s.n && is_pem_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

/* From behind BEGIN or END, over the dashes at the line's end. */
static bool take_label(struct lh_str *rest, char label[LH_PEM_LABEL_BYTES])
{
    const char *dashes = pem_find(*rest, DASHES);

    if (!dashes)
        return false;
    struct lh_str name = {rest->p, (size_t)(dashes - rest->p)};
    name = lh_str_trim(name); /* all on one line */
    if (name.n == 0 || name.n >= LH_PEM_LABEL_BYTES)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < ' ' || name.p[i] > '~')
            return false;
        label[i] = name.p[i];
    }
    label[name.n] = '\0';
    go_to(rest, dashes + strlen(DASHES));
    return true;
}

/* Headers end with an empty line; only old private keys have some. */
static void skip_headers(struct lh_str *body, bool *encrypted)
{
    for (;;) {
        size_t n = 0;
        while (n < body->n && body->p[n] != '\n' && body->p[n] != '\r')
            n++;
        struct lh_str line = {body->p, n};
        bool header = pem_find(line, ":") != NULL;
        if (n == body->n || (!header && trim(line).n))
            return;
        *encrypted |= pem_find(line, "ENCRYPTED") != NULL;
        go_to(body, body->p + n + 1);
    }
}

/* 64: not of base64 (RFC 4648, 4). */
static unsigned digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "abcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *digit = c ? strchr(digits, c) : NULL;

    return digit ? (unsigned)(digit - digits) : 64;
}

/* Returns where it is no base64; NULL: all is well. */
static const char *base64_decode(struct lh_str body, uint8_t *to, size_t *n)
{
    unsigned bits = 0, digits = 0, pads = 0;

    for (; body.n; go_to(&body, body.p + 1)) {
        unsigned digit = digit_of(*body.p);
        if (is_pem_space(*body.p))
            continue;
        if (*body.p != '=' && (digit == 64 || pads))
            return body.p;
        pads += *body.p == '=';
        bits = bits << 6 | (digit & 63);
        if (++digits % 4)
            continue;
        for (unsigned i = 0; i < 3 && i + pads < 3; i++)
            to[(*n)++] = (uint8_t)(bits >> (16 - 8 * i));
    }
    return digits % 4 || pads > 2 ? body.p : NULL;
}

/* Before `end`, perhaps with the dashes that end the line of this one. */
static bool begins_another(const char *body, const char *end)
{
    const char *from = body - strlen(DASHES);

    return pem_find((struct lh_str){from, (size_t)(end - from)}, BEGIN) != NULL;
}

/* From the BEGIN that the walk is at to behind its END. */
static int take_object(struct walk *w)
{
    const char *begin = w->rest.p, *end, *bad;
    struct lh_pem_object *object = &w->object;
    char label[LH_PEM_LABEL_BYTES];

    *object = (struct lh_pem_object){.line = line_of(w, begin)};
    go_to(&w->rest, begin + strlen(BEGIN));
    if (!take_label(&w->rest, object->label))
        return damaged(w, begin,
                       "'" BEGIN "' with no name and dashes after it");
    struct lh_str body = w->rest;
    end = pem_find(body, DASHES);
    if (!end || pem_find(body, END) != end || begins_another(body.p, end))
        return damaged(w, begin,
                       "what begins here has no '" END "' after it; "
                       "the text is damaged or cut short");
    body.n = (size_t)(end - body.p);
    go_to(&w->rest, end + strlen(END));
    if (!take_label(&w->rest, label) || strcmp(label, object->label) != 0)
        return damaged(w, end, "this is not the end of what began before it");
    /* Where dashes were lost in joining texts, these begin the next object. */
    w->rest.p -= strlen(DASHES);
    w->rest.n += strlen(DASHES);
    skip_headers(&body, &object->encrypted);
    bad = base64_decode(body, w->der, &object->n);
    if (bad)
        return damaged(w, bad, "this is not base64: the text is damaged");
    object->der = w->der;
    return 0;
}

static int walk(struct walk *w, lh_pem_fn fn, void *context)
{
    for (;;) {
        const char *begin = pem_find(w->rest, BEGIN),
                   *end = pem_find(w->rest, END);
        if (end && (!begin || end < begin))
            return damaged(w, end, "'" END "' with no '" BEGIN "' before it");
        if (!begin)
            return 0;
        go_to(&w->rest, begin);
        int code = take_object(w);
        if (!code)
            code = fn(context, &w->object);
        if (code)
            return code;
    }
}

bool lh_pem_begins(const void *text, size_t n)
{
    return pem_find((struct lh_str){text, n}, BEGIN) != NULL;
}

int lh_pem_each(const void *text, size_t n, lh_pem_fn fn, void *context,
                struct lh_err *err)
{
    static const char wide[] = "B\0E\0G\0I\0N";
    struct walk w = {.rest = {text, n}, .counted = text, .line = 1, .err = err};

    if (n && memmem(text, n, wide, sizeof(wide) - 1))
        return lh_err_set(err, LHTTPD_ECERT,
                          "it is UTF-16 text; save it as UTF-8 or ASCII");
    w.der = lh_alloc(n + 1); /* never longer than the text */
    if (!w.der)
        return LHTTPD_ENOMEM;
    int code = walk(&w, fn, context);
    explicit_bzero(w.der, n + 1); /* it may have been a key */
    lh_free(w.der);
    return code;
}
