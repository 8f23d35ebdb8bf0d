/* Cipher suites: see suites_openssl.h. */
#include "net/suites_openssl.h"

#include <stdio.h>
#include <string.h>

#define SUITES_AES                                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"               \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define SUITES_CHACHA                                                          \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

#define SUITES13_AES    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"
#define SUITES13_CHACHA "TLS_CHACHA20_POLY1305_SHA256"

/* What OpenSSL has found out about the CPU, as "OPENSSL_ia32cap=0x...:0x...":
 * of x86 bits 57 of the first number (its CPUID), of ARM bit 2 say that there
 * are instructions for AES.  Other CPUs count as having some. */
static bool has_aes(void)
{
    const char *cpu = OPENSSL_info(OPENSSL_INFO_CPU_SETTINGS);
    unsigned long long bits;

    if (cpu && sscanf(cpu, "OPENSSL_ia32cap=0x%llx", &bits) == 1)
        return bits >> 57 & 1;
    if (cpu && sscanf(cpu, "OPENSSL_armcap=0x%llx", &bits) == 1)
        return bits >> 2 & 1;
    return true;
}

bool lh_suites_set(SSL_CTX *ctx)
{
    if (has_aes())
        return SSL_CTX_set_cipher_list(ctx, SUITES_AES ":" SUITES_CHACHA) &&
               SSL_CTX_set_ciphersuites(ctx, SUITES13_AES ":" SUITES13_CHACHA);
    return SSL_CTX_set_cipher_list(ctx, SUITES_CHACHA ":" SUITES_AES) &&
           SSL_CTX_set_ciphersuites(ctx, SUITES13_CHACHA ":" SUITES13_AES);
}

/* By number (RFC 5289, RFC 7905). */
bool lh_suites_have(const STACK_OF(SSL_CIPHER) * list, bool rsa)
{
    static const uint16_t by_ecdsa[] = {0xC02B, 0xC02C, 0xCCA9};
    static const uint16_t by_rsa[] = {0xC02F, 0xC030, 0xCCA8};
    const uint16_t *ours = rsa ? by_rsa : by_ecdsa;

    for (int i = 0; list && i < sk_SSL_CIPHER_num(list); i++) {
        uint16_t id = SSL_CIPHER_get_protocol_id(sk_SSL_CIPHER_value(list, i));
        if (id == ours[0] || id == ours[1] || id == ours[2])
            return true;
    }
    return false;
}
