/*
 * libFuzzer: PROXY headers.  The first two octets say where the rest is cut.
 * Checked: that the result does not depend on how much has come, that whole
 * headers end inside of the input, and that addresses are addresses.
 */
#include "base/ip.h"
#include "net/proxy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* An assert that release builds keep. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_address(const char *text)
{
    struct lh_ip ip;
    char again[LH_IP_TEXT_BYTES];

    if (strcmp(text, "unix") == 0)
        return;
    check(lh_ip_parse(lh_str_of(text), &ip));
    lh_ip_text(&ip, again);
    check(strcmp(text, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct lh_proxy all, part;

    if (n < 2)
        return 0;
    size_t cut = ((size_t)data[0] << 8 | data[1]) % (n - 1);
    data += 2;
    n -= 2;
    enum lh_proxy_result whole = lh_proxy_read(data, n, &all);
    enum lh_proxy_result early = lh_proxy_read(data, cut, &part);
    if (early != LH_PROXY_MORE)
        check(whole == early && part.used == all.used);
    if (whole == LH_PROXY_BAD)
        check(strlen(all.why) > 0);
    if (whole != LH_PROXY_WHOLE)
        return 0;
    check(all.used > 0 && all.used <= n);
    if (all.conveys) {
        check_address(all.ends.local);
        check_address(all.ends.remote);
    }
    return 0;
}
