/*
 * The server name in a TLS client's first message, ClientHello, read before the
 * engine gets it: BearSSL asks whether a session may be resumed when it has not
 * read the name yet, which stands further back in the same message.
 */
#ifndef LH_NET_HELLO_H
#define LH_NET_HELLO_H

#include <stddef.h>
#include <stdint.h>

#define LH_HELLO_NAME_BYTES                                                    \
    256 /* with its NUL; a longer name counts as none                          \
         */

enum lh_hello_result {
    LH_HELLO_MORE,  /* the message is not whole yet */
    LH_HELLO_WHOLE, /* `name` is the host name; "": the client sent none */
    LH_HELLO_BAD,   /* it is no ClientHello: `name` is "" */
};

/* p: what the client has sent so far, TLS records (RFC 5246, 6.2.1), of which
 * the message may fill several.  The name (RFC 6066, 3) is as it was sent, but
 * for a dot at its end.  Whether the message is sound is the engine's to say.
 */
enum lh_hello_result lh_hello_read(const uint8_t *p, size_t n,
                                   char name[LH_HELLO_NAME_BYTES]);

#endif
