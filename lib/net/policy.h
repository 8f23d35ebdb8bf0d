/*
 * Which credentials a client gets, and the signature with their key: BearSSL's
 * server policy.  One object for each context, for when the engine asks for a
 * signature it does not say for which connection.
 */
#ifndef LH_NET_POLICY_H
#define LH_NET_POLICY_H

#include "net/client_cert.h"
#include "net/cred.h"

#include <bearssl.h>
#include <stdbool.h>

struct lh_policy {
    const br_ssl_server_policy_class *vtable; /* first: BearSSL casts */
    struct lh_creds *creds; /* a share, from the begin of a handshake to its end
                             */
    const char *server_name; /* the present client's, as long as the share */
    const struct lh_keypair *chosen;
    struct lh_client_cert *client; /* the present one's; NULL: none is asked for
                                    */
    bool refused;                  /* none fitted the present client */
};

void lh_policy_init(struct lh_policy *policy);

/* A handshake begins, or it has ended in any way. */
void lh_policy_begin(struct lh_policy *policy, struct lh_creds *creds,
                     const char *server_name);
void lh_policy_end(struct lh_policy *policy);

#endif
