/* No TLS as a client: see tls_client.h. */
#include "net/tls_client.h"

int lh_trust_new(struct lh_trust **out, const char *file, struct lh_err *err)
{
    (void)out;
    (void)file;
    return lh_err_set(err, LHTTPD_ECERT,
                      "TLS for sockets is not in this build");
}

void lh_trust_free(struct lh_trust *trust)
{
    (void)trust;
}

struct lh_transport *lh_tls_client_new(struct lh_net_pools *pools, int fd,
                                       const struct lh_trust *trust,
                                       const char *host)
{
    (void)pools;
    (void)fd;
    (void)trust;
    (void)host;
    return NULL;
}

enum lh_tls_client_state lh_tls_client_state(const struct lh_transport *t)
{
    (void)t;
    return LH_TLS_CLIENT_FAILED;
}

const char *lh_tls_client_failure(const struct lh_transport *t)
{
    (void)t;
    return "";
}
