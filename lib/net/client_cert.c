/* Why a certificate does not verify, in words and as an alert. */
#include "net/client_cert.h"

static const struct {
    const char *words;
    uint8_t alert;
} faults[] = {
    [LH_CLIENT_OK] = {"no fault", 80},
    [LH_CLIENT_UNKNOWN_ISSUER] = {"unknown issuer", 48},
    [LH_CLIENT_EXPIRED] = {"expired", 45},
    [LH_CLIENT_NOT_YET_VALID] = {"not yet valid", 45},
    [LH_CLIENT_CHAIN_DATES] = {"an intermediate certificate is expired or not "
                               "yet valid",
                               45},
    [LH_CLIENT_BAD_SIGNATURE] = {"a signature in its chain is wrong", 42},
    [LH_CLIENT_NOT_CA] = {"signed by a certificate that is no authority's", 42},
    [LH_CLIENT_USAGE] = {"its usage does not allow it for clients", 43},
    [LH_CLIENT_WEAK_KEY] = {"a key in its chain is too short", 42},
    [LH_CLIENT_EXTENSION] = {"a critical extension that is not understood", 43},
    [LH_CLIENT_UNSUPPORTED] = {"a key or signature of an unsupported kind", 43},
    [LH_CLIENT_TOO_LONG] = {"its chain or its subject is too long", 42},
    [LH_CLIENT_DAMAGED] = {"damaged", 42},
    [LH_CLIENT_OTHER_NAME] = {"it is for another name", 42},
    [LH_CLIENT_NOT_FOR_SERVERS] = {"its usage does not allow it for servers",
                                   43},
    [LH_CLIENT_NO_MEMORY] = {"no memory", 80},
};

const char *lh_client_fault_words(enum lh_client_fault fault)
{
    return faults[fault].words;
}

uint8_t lh_client_fault_alert(enum lh_client_fault fault)
{
    return faults[fault].alert;
}
