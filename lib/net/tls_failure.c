/*
 * Why a TLS connection failed: see tls_failure.h.  BearSSL gives one number for
 * three kinds of things: what it found wrong itself, the alert with which it
 * refused the client, and the alert with which the client refused us (plus 512
 * and 256).
 */
#include "net/tls_failure.h"

#include "net/alert.h"

#include <bearssl.h>
#include <stdio.h>

#define TLS_1_2 0x0303u

/* What we said no to. */
static const char *refusal_text(int alert, bool no_pair)
{
    switch (alert) {
    case BR_ALERT_HANDSHAKE_FAILURE:
        return no_pair ? "no certificate here fits what the client can verify"
                       : "no cipher suite in common";
    case BR_ALERT_PROTOCOL_VERSION:
        return "no TLS version in common";
    case 86: /* RFC 7507 */
        return "the client was made to offer an older TLS version than it has";
    case BR_ALERT_NO_APPLICATION_PROTOCOL:
        return "no application protocol in common (ALPN)";
    default:
        return NULL;
    }
}

/* What the engine found wrong in what the client sent, grouped as an operator
 * can use it; NULL: nothing that a client causes. */
static const char *engine_words(int error)
{
    switch (error) {
    case BR_ERR_UNSUPPORTED_VERSION:
    case BR_ERR_BAD_VERSION:
        return "a record of another TLS version";
    case BR_ERR_BAD_LENGTH:
    case BR_ERR_TOO_LARGE:
        return "a record of a wrong length";
    case BR_ERR_BAD_MAC:
        return "a record that was changed on its way, or is not the client's";
    case BR_ERR_NO_RANDOM:
        return "no random bytes to be had";
    case BR_ERR_UNKNOWN_TYPE:
        return "a record of an unknown type";
    case BR_ERR_UNEXPECTED:
        return "a message that is not expected there";
    case BR_ERR_BAD_PARAM: /* so it says of lengths that do not fit */
    case BR_ERR_BAD_HANDSHAKE:
    case BR_ERR_OVERSIZED_ID:
    case BR_ERR_BAD_SNI:
    case BR_ERR_BAD_FRAGLEN:
        return "a handshake message that cannot be read";
    case BR_ERR_BAD_SECRENEG:
        return "a renegotiation that is not secure";
    case BR_ERR_BAD_FINISHED:
        return "the client's Finished message is wrong";
    case BR_ERR_NO_CLIENT_AUTH:
        return "the client has sent no certificate";
    case BR_ERR_BAD_SIGNATURE:
        return "the client has not shown that it has its certificate's key";
    case BR_ERR_WRONG_KEY_USAGE:
        return "the client's certificate may not be used for signatures";
    case BR_ERR_INVALID_ALGORITHM:
        return "a curve or algorithm that was not agreed on";
    default:
        return NULL;
    }
}

/* An alert of the client says most.  Where nothing of TLS ever came that is
 * all there is to say, and where a version is to blame BearSSL's alert alone
 * would not tell which. */
void lh_tls_failure_words(char *out, size_t room, int error,
                          const struct lh_tls_circumstances *known)
{
    bool sent = error >= BR_ERR_SEND_FATAL_ALERT;
    bool received = !sent && error >= BR_ERR_RECV_FATAL_ALERT;
    int alert =
        error - (sent ? BR_ERR_SEND_FATAL_ALERT : BR_ERR_RECV_FATAL_ALERT);
    const char *words =
        sent ? refusal_text(alert, known->no_pair) : engine_words(error);

    if (received)
        snprintf(out, room, "%s (alert %d) from the client",
                 lh_alert_name(alert), alert);
    else if (error == BR_ERR_X509_NOT_TRUSTED && known->client)
        snprintf(out, room, "the client's certificate: %s", known->client);
    else if (known->is_garbage)
        snprintf(out, room, "what the client sent first is not TLS");
    else if (sent && lh_blame_versions(out, room, known->hello, TLS_1_2))
        return;
    else if (words)
        snprintf(out, room, "%s", words);
    else if (sent)
        snprintf(out, room, "%s (alert %d) to the client", lh_alert_name(alert),
                 alert);
    else
        snprintf(out, room, "error %d of BearSSL", error);
}
