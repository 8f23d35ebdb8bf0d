/* Alerts and their names: see alert.h. */
#include "net/alert.h"

#include <stdio.h>

#define TLS_1_2 0x0303u

/* RFC 5246, 7.2 and later ones; without those of TLS that nobody sends. */
static const struct {
    int number;
    const char *name;
} alerts[] = {
    {0, "close notify"},
    {10, "unexpected message"},
    {20, "bad record mac"},
    {21, "decryption failed"},
    {22, "record overflow"},
    {40, "handshake failure"},
    {42, "bad certificate"},
    {43, "unsupported certificate"},
    {44, "certificate revoked"},
    {45, "certificate expired"},
    {46, "certificate unknown"},
    {47, "illegal parameter"},
    {48, "unknown certificate authority"},
    {49, "access denied"},
    {50, "decode error"},
    {51, "decrypt error"},
    {70, "protocol version"},
    {71, "insufficient security"},
    {80, "internal error"},
    {86, "inappropriate fallback"},
    {90, "user canceled"},
    {100, "no renegotiation"},
    {109, "missing extension"},
    {110, "unsupported extension"},
    {112, "unrecognized name"},
    {113, "bad certificate status response"},
    {116, "certificate required"},
    {120, "no application protocol"},
};

/* Clients may send numbers that are not in the table. */
const char *lh_alert_name(int number)
{
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
        if (alerts[i].number == number)
            return alerts[i].name;
    }
    return "an unknown alert";
}

/* By the number in the protocol, where 0x0301 is TLS 1.0. */
static const char *version_name(unsigned version)
{
    switch (version) {
    case 0x0300:
        return "SSL 3.0";
    case 0x0301:
        return "TLS 1.0";
    case 0x0302:
        return "TLS 1.1";
    case 0x0303:
        return "TLS 1.2";
    case 0x0304:
        return "TLS 1.3";
    default:
        return "an unknown version";
    }
}

bool lh_blame_versions(char *out, size_t room, const struct lh_hello *hello,
                       unsigned newest)
{
    unsigned least = hello ? hello->version_min : 0;
    unsigned most = hello ? hello->version_max : 0;

    /* SSL 3.0 to TLS 1.3 and later have numbers in the order of their age. */
    if (least == 0 || (least <= newest && most >= TLS_1_2))
        return false;
    bool old = most < TLS_1_2;
    snprintf(out, room, "the client offers %s %s, and %s spoken here",
             old ? "at most" : "nothing before",
             version_name(old ? most : least),
             newest > TLS_1_2 ? "TLS 1.2 and 1.3 are" : "TLS 1.2 is");
    return true;
}

void lh_alert_send(struct lh_transport *t, enum lh_alert alert)
{
    /* An alert's record of TLS 1.2 (RFC 5246, 6.2.1 and 7.2): two octets, a
     * fatal one with its number. */
    const uint8_t record[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert};

    (void)lh_net_send(t, record, sizeof(record));
}
