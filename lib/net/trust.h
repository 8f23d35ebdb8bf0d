/* Where a system keeps the authorities that are trusted by its programs. */
#ifndef LH_NET_TRUST_H
#define LH_NET_TRUST_H

#define LH_TRUST_IS_NOWHERE                                                    \
    "the system has no file of authorities where they usually are: give one "  \
    "as `ca`"

/* `file`, or where that is NULL the file of the environment's SSL_CERT_FILE, or
 * the first of the usual ones that is there; NULL: there is none. */
const char *lh_trust_file(const char *file);

#endif
