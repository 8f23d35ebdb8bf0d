/*
 * What the engine does not tell of a TLS client's first message, ClientHello,
 * read before the engine gets it: the server name, since BearSSL asks whether a
 * session may be resumed when it has not read the name yet, which stands
 * further back in the same message; the session's id and the suites, to know
 * before whether there is much to do; and the versions, to say why there is no
 * handshake.
 */
#ifndef LH_NET_HELLO_H
#define LH_NET_HELLO_H

#include <stddef.h>
#include <stdint.h>

/* With its NUL; a longer name counts as none. */
#define LH_HELLO_NAME_BYTES    256
#define LH_HELLO_SESSION_BYTES 32
#define LH_HELLO_SUITES_MAX    64

struct lh_hello {
    char
        name[LH_HELLO_NAME_BYTES]; /* the host name; "": the client sent none */
    /* The lowest and the highest version that the client names, as 0x0303 is
     * TLS 1.2 (RFC 8446, 4.2.1); 0: not known. */
    unsigned version_min, version_max;
    /* The id of the session that is to be resumed; of 0 octets: none. */
    uint8_t session[LH_HELLO_SESSION_BYTES];
    size_t session_n;
    uint16_t suites[LH_HELLO_SUITES_MAX]; /* the first that it offers */
    size_t suites_n;
};

enum lh_hello_result {
    LH_HELLO_MORE,  /* the message is not whole yet */
    LH_HELLO_WHOLE, /* *hello is filled in */
    LH_HELLO_BAD,   /* it is no ClientHello: *hello says nothing */
};

/* p: what the client has sent so far, TLS records (RFC 5246, 6.2.1), of which
 * the message may fill several.  The name (RFC 6066, 3) is as it was sent, but
 * for a dot at its end.  Whether the message is sound is the engine's to say.
 */
enum lh_hello_result lh_hello_read(const uint8_t *p, size_t n,
                                   struct lh_hello *hello);

#endif
