/* Certificates of test/data/tls, each with its key beside it. */
#ifndef TEST_LIB_PAIRS_H
#define TEST_LIB_PAIRS_H

#include "net/cred.h"

/* Adds NAME.pem with NAME.key, as "ec256". */
void test_pair_add(struct lh_creds *creds, const char *name);

#endif
