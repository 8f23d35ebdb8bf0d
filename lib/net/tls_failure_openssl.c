/*
 * OpenSSL's errors in words: see tls_failure_openssl.h.  A client's alert is
 * such an error too, by its number plus 1000.
 */
#include "net/tls_failure_openssl.h"

#include "net/alert.h"

#include <stdio.h>

/* Of several that belong together the last of TLS sums up; else the first. */
unsigned long lh_tls_take_error(void)
{
    unsigned long error, first = 0, last = 0;

    while ((error = ERR_get_error())) {
        if (!first)
            first = error;
        if (ERR_GET_LIB(error) == ERR_LIB_SSL)
            last = error;
    }
    return last ? last : first;
}

/* It has one octet; larger reasons are OpenSSL's own, as that there is no
 * memory. */
int lh_tls_alert_of(unsigned long error)
{
    int alert = ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;

    return ERR_GET_LIB(error) == ERR_LIB_SSL && alert >= 0 && alert <= UINT8_MAX
               ? alert
               : -1;
}

static const struct {
    int reason;
    const char *words;
} reasons[] = {
    {SSL_R_NO_SHARED_CIPHER, "no cipher suite in common"},
    {SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
     "no certificate here fits what the client can verify"},
    {SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
     "no certificate here fits what the client can verify"},
    {SSL_R_NO_SHARED_GROUPS, "no group for the key exchange in common"},
    {SSL_R_NO_SUITABLE_KEY_SHARE, "no group for the key exchange in common"},
    {SSL_R_UNSUPPORTED_PROTOCOL, "no TLS version in common"},
    {SSL_R_INAPPROPRIATE_FALLBACK,
     "the client was made to offer an older TLS version than it has"},
    {SSL_R_NO_APPLICATION_PROTOCOL, "no application protocol in common (ALPN)"},
    {SSL_R_WRONG_VERSION_NUMBER, "a record of another TLS version"},
    {SSL_R_PACKET_LENGTH_TOO_LONG, "a record of a wrong length"},
    {SSL_R_ENCRYPTED_LENGTH_TOO_LONG, "a record of a wrong length"},
    {SSL_R_DATA_LENGTH_TOO_LONG, "a record of a wrong length"},
    {SSL_R_LENGTH_TOO_SHORT, "a record of a wrong length"},
    {SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
     "a record that was changed on its way, or is not the client's"},
    {SSL_R_UNEXPECTED_MESSAGE, "a message that is not expected there"},
    {SSL_R_UNEXPECTED_RECORD, "a message that is not expected there"},
    {SSL_R_LENGTH_MISMATCH, "a handshake message that cannot be read"},
    {SSL_R_BAD_EXTENSION, "a handshake message that cannot be read"},
    {SSL_R_DIGEST_CHECK_FAILED, "the client's Finished message is wrong"},
    {SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE,
     "the client has sent no certificate"},
    {SSL_R_BAD_SIGNATURE,
     "the client has not shown that it has its certificate's key"},
    {SSL_R_WRONG_SIGNATURE_TYPE, "a curve or algorithm that was not agreed on"},
    {SSL_R_WRONG_CURVE, "a curve or algorithm that was not agreed on"},
};

static const char *words_of(int reason)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].reason == reason)
            return reasons[i].words;
    }
    return NULL;
}

static void own_words(char *out, size_t room, unsigned long error)
{
    const char *words = NULL, *library;
    int reason = ERR_GET_REASON(error);

    if (ERR_GET_LIB(error) == ERR_LIB_SSL)
        words = words_of(reason);
    if (reason == ERR_R_MALLOC_FAILURE)
        words = "no memory";
    library = words ? NULL : ERR_reason_error_string(error);
    if (words)
        snprintf(out, room, "%s", words);
    else
        snprintf(out, room, "OpenSSL: %s (%lx)", library ? library : "an error",
                 error);
}

/* An alert of the client says most; where a version is to blame, the hello says
 * which. */
void lh_tls_failure_words(char *out, size_t room, unsigned long error,
                          const struct lh_handshake *h, bool is_garbage)
{
    int alert = lh_tls_alert_of(error);

    if (alert >= 0)
        snprintf(out, room, "%s (alert %d) from the client",
                 lh_alert_name(alert), alert);
    else if (h && h->fault &&
             ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        snprintf(out, room, "the client's certificate: %s",
                 lh_client_fault_words(h->fault));
    else if (is_garbage)
        snprintf(out, room, "%s", LH_TLS_IS_GARBAGE);
    else if (lh_blame_versions(out, room, h ? &h->hello : NULL, TLS1_3_VERSION))
        return;
    else if (h && h->no_pair)
        snprintf(out, room, "%s",
                 words_of(h->no_suite ? SSL_R_NO_SHARED_CIPHER
                                      : SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM));
    else
        own_words(out, room, error);
}
