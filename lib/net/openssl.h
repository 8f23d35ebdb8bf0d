/*
 * OpenSSL's headers, all that are used of them, and nowhere else
 * (test/layers.sh): they define names with our prefix, old ones of their hash
 * table, which are taken away again here.
 */
#ifndef LH_NET_OPENSSL_H
#define LH_NET_OPENSSL_H

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/ocsp.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/sslerr.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#undef lh_error
#undef lh_new
#undef lh_free
#undef lh_insert
#undef lh_delete
#undef lh_retrieve
#undef lh_doall
#undef lh_doall_arg
#undef lh_strhash
#undef lh_num_items
#undef lh_stats
#undef lh_node_stats
#undef lh_node_usage_stats
#undef lh_stats_bio
#undef lh_node_stats_bio
#undef lh_node_usage_stats_bio

#endif
