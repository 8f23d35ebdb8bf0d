/*
 * libFuzzer: PEM texts, and certificates and keys in them.  Checked: no crash,
 * that a text is either refused with words or read whole, every object that
 * begins in it, and that no certificate is left out of a chain.
 */
#include "net/cred.h"
#include "net/keypair.h"
#include "net/pem.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct count {
    size_t objects, certificates, octets;
};

/* An assert that release builds keep. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static int count(void *context, const struct lh_pem_object *object)
{
    struct count *c = context;

    check(object->line > 0 && strlen(object->label) > 0);
    c->objects++;
    c->certificates += strcmp(object->label, "CERTIFICATE") == 0 ||
                       strcmp(object->label, "X509 CERTIFICATE") == 0 ||
                       strcmp(object->label, "TRUSTED CERTIFICATE") == 0;
    c->octets += object->n;
    return 0;
}

static size_t begins(const uint8_t *p, size_t n)
{
    static const char mark[] = "-----BEGIN";
    const uint8_t *next;
    size_t found = 0;

    for (; n && (next = memmem(p, n, mark, sizeof(mark) - 1)); found++) {
        n -= (size_t)(next + 1 - p);
        p = next + 1;
    }
    return found;
}

static void add(const uint8_t *p, size_t n, const struct count *c)
{
    lhttpd_certificate_t from = lhttpd_certificate_init();
    struct lh_creds *creds = lh_creds_new();
    struct lh_err err = {""};

    from.chain = from.key = p;
    from.chain_size = from.key_size = n;
    int code = lh_creds_add(creds, &from, &err);
    check((code != 0) == (err.text[0] != '\0'));
    if (code == 0)
        check(lh_creds_at(creds, 0)->chain_n == c->certificates);
    lh_creds_free(creds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct count c = {0};
    struct lh_err err = {""};
    uint8_t *exact = malloc(n ? n : 1);

    memcpy(exact, data, n);
    int code = lh_pem_each(exact, n, count, &c, &err);
    check(code == 0 ? c.objects == begins(exact, n) : err.text[0] != '\0');
    check(c.octets <= n);
    add(exact, n, &c);
    free(exact);
    return 0;
}
