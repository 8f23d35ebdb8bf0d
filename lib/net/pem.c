/*
 * PEM texts: see pem.h.  BearSSL's decoder does the work; it reports events
 * between the bytes that it takes.
 */
#include "net/pem.h"

#include "base/mem.h"
#include "lhttpd.h"

#include <bearssl.h>
#include <stdbool.h>
#include <string.h>

#define LABEL_BYTES 128 /* as much as the decoder keeps */

struct walk {
    br_pem_decoder_context decoder;
    lh_pem_fn fn;
    void *context;
    uint8_t *der;
    size_t n;
    char label[LABEL_BYTES];
    bool inside; /* an object */
};

/* Never longer than the text, for which there is room. */
static void append(void *context, const void *bytes, size_t n)
{
    struct walk *w = context;

    memcpy(w->der + w->n, bytes, n);
    w->n += n;
}

/* With CRLF at the end of its line the decoder takes the dashes for a part of
 * the label. */
static void label_set(struct walk *w)
{
    memcpy(w->label, br_pem_decoder_name(&w->decoder), LABEL_BYTES);
    w->label[LABEL_BYTES - 1] = '\0';
    char *dashes = strstr(w->label, "-----");
    if (dashes)
        *dashes = '\0';
}

static int handle_event(struct walk *w)
{
    int code = 0;

    switch (br_pem_decoder_event(&w->decoder)) {
    case BR_PEM_BEGIN_OBJ:
        w->n = 0;
        w->inside = true;
        label_set(w);
        br_pem_decoder_setdest(&w->decoder, append, w);
        return 0;
    case BR_PEM_END_OBJ:
        code = w->fn(w->context, w->label, w->der, w->n);
        w->inside = false;
        return code;
    case BR_PEM_ERROR:
        return LHTTPD_ECERT;
    default:
        return 0;
    }
}

static int push(struct walk *w, const char *p, size_t n)
{
    while (n) {
        size_t used = br_pem_decoder_push(&w->decoder, p, n);
        int code = handle_event(w);
        if (code)
            return code;
        p += used;
        n -= used;
    }
    return 0;
}

int lh_pem_each(const void *text, size_t n, lh_pem_fn fn, void *context)
{
    struct walk w = {.fn = fn, .context = context, .der = lh_alloc(n)};

    if (!w.der)
        return LHTTPD_ENOMEM;
    br_pem_decoder_init(&w.decoder);
    int code = push(&w, text, n);
    if (!code)
        code = push(&w, "\n", 1); /* the last line may lack its end */
    if (!code && w.inside)
        code = LHTTPD_ECERT;
    explicit_bzero(w.der, n); /* it may have been a key */
    explicit_bzero(&w.decoder, sizeof(w.decoder));
    lh_free(w.der);
    return code;
}
