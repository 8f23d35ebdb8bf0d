/*
 * A certificate chain and its private key, decoded and checked.  cred.c reads
 * and collects them; what a TLS library makes of them is in key.h.
 */
#ifndef LH_NET_KEYPAIR_H
#define LH_NET_KEYPAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LH_KEYPAIR_CHAIN_MAX 16

/* One certificate in DER. */
struct lh_chain_link {
    uint8_t *data;
    size_t data_len;
};

struct lh_key; /* key.h */

struct lh_keypair {
    struct lh_chain_link chain[LH_KEYPAIR_CHAIN_MAX]; /* leaf first */
    size_t chain_n;
    struct lh_key *key; /* NULL: there is none yet */
    char *names;        /* the leaf's, lower case: "a\0b\0\0" */
};

enum lh_keypair_fault {
    LH_KEYPAIR_OK,
    LH_KEYPAIR_NO_MEMORY,
    LH_KEYPAIR_TOO_LONG,    /* more certificates than fit */
    LH_KEYPAIR_BAD_CERT,    /* a certificate cannot be decoded */
    LH_KEYPAIR_CERT_KIND,   /* the leaf's key is of a kind we cannot use */
    LH_KEYPAIR_WEAK,        /* RSA under 2048 bits */
    LH_KEYPAIR_BAD_KEY,     /* the private key cannot be decoded or used */
    LH_KEYPAIR_OTHER_KEY,   /* it is not the leaf's */
    LH_KEYPAIR_WRONG_ORDER, /* it is that of another certificate here */
};

void lh_keypair_init(struct lh_keypair *pair);
void lh_keypair_deinit(struct lh_keypair *pair); /* wipes the key */

/* DER; copied.  Leaf first.  `trusted`: OpenSSL's form, with what the
 * certificate is trusted for behind it, which is left out. */
enum lh_keypair_fault lh_keypair_add(struct lh_keypair *pair,
                                     const uint8_t *der, size_t n,
                                     bool trusted);
/* DER: PKCS#1, SEC1 or PKCS#8. */
enum lh_keypair_fault lh_keypair_set_key(struct lh_keypair *pair,
                                         const uint8_t *der, size_t n);
/* Once all is added: checks it and reads the leaf's names. */
enum lh_keypair_fault lh_keypair_check(struct lh_keypair *pair);

/* Have both the same names (in any order and case) and type of key? */
bool lh_keypair_is_alike(const struct lh_keypair *a,
                         const struct lh_keypair *b);

/* Is one of its names this one (any case)?  With `wildcards`, "*.example.org"
 * stands for one label. */
bool lh_keypair_has_name(const struct lh_keypair *pair, const char *name,
                         bool wildcards);

#endif
