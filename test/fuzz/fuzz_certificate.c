/*
 * libFuzzer: what a client's certificate says.  Checked: no crash, that names
 * are one line of text that fits, and that a part of a certificate is none.
 */
#include "net/certificate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* An assert that release builds keep. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_name(struct lh_der name)
{
    static char out[1024];
    size_t n = lh_certificate_name(name, out, sizeof(out));

    if (n == SIZE_MAX)
        return;
    check(n < sizeof(out) && strlen(out) == n);
    for (size_t i = 0; i < n; i++)
        check((unsigned char)out[i] >= ' ' && out[i] != 0x7F);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct lh_certificate whole, part;

    check_name((struct lh_der){data, n});
    if (!lh_certificate_read(data, n, &whole))
        return 0;
    check_name(whole.subject);
    check(whole.subject.p >= data &&
          whole.subject.p + whole.subject.n <= data + n);
    struct lh_der rest = {data, n}, content;
    check(lh_der_expect(&rest, LH_DER_SEQUENCE, &content));
    check(!lh_certificate_read(data, n - rest.n - 1, &part));
    return 0;
}
