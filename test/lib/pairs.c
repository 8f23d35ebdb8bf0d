/* Certificates of test/data/tls: see pairs.h. */
#include "lib/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

void test_pair_add(struct lh_creds *creds, const char *name)
{
    lhttpd_certificate_t from = lhttpd_certificate_init();
    struct lh_err err;
    char chain[512], key[512];

    snprintf(chain, sizeof(chain), TEST_DATA "/tls/%s.pem", name);
    snprintf(key, sizeof(key), TEST_DATA "/tls/%s.key", name);
    from.chain_file = chain;
    from.key_file = key;
    assert_int_equal(lh_creds_add(creds, &from, &err), 0);
}
