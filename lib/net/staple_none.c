/* No OCSP responses: see staple.h.  One that lies there is left alone. */
#include "net/staple.h"

int lh_staple_read(struct lh_keypair *pair, const char *chain_file,
                   struct lh_err *err)
{
    (void)pair;
    (void)chain_file;
    (void)err;
    return 0;
}
