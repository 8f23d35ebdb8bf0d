/* Trust anchors: see anchors_bearssl.h. */
#include "net/anchors_bearssl.h"

#include "base/mem.h"
#include "lhttpd.h"

#include <string.h>

const char lh_anchors_kinds[] =
    "RSA (2048 bits or more), or EC on P-256, P-384 or P-521";

struct lh_anchors *lh_anchors_new(void)
{
    return lh_calloc(1, sizeof(struct lh_anchors));
}

void lh_anchors_free(struct lh_anchors *anchors)
{
    if (!anchors)
        return;
    for (size_t i = 0; i < anchors->blocks_n; i++)
        lh_free(anchors->blocks[i]);
    lh_free(anchors->blocks);
    lh_free(anchors->list);
    lh_free(anchors);
}

static bool room_for_ca(struct lh_anchors *anchors, size_t more)
{
    size_t n = anchors->n + more;
    br_x509_trust_anchor *list =
        lh_realloc(anchors->list, n * sizeof(*anchors->list));

    if (list)
        anchors->list = list;
    return list;
}

static bool room_for_block(struct lh_anchors *anchors)
{
    void **blocks =
        lh_realloc(anchors->blocks, (anchors->blocks_n + 1) * sizeof(void *));

    if (blocks)
        anchors->blocks = blocks;
    return blocks;
}

/* Where the octets of a name are collected: a block that has room for all of
 * the certificate, and so for its name and its key. */
struct collected {
    uint8_t *p;
    size_t n;
};

static void collect(void *context, const void *p, size_t n)
{
    struct collected *to = context;

    memcpy(to->p + to->n, p, n);
    to->n += n;
}

static uint8_t *keep_copy(struct collected *to, const uint8_t *p, size_t n)
{
    uint8_t *kept = to->p + to->n;

    collect(to, p, n);
    return kept;
}

static void keep_key(struct collected *to, br_x509_pkey *key)
{
    if (key->key_type == BR_KEYTYPE_RSA) {
        key->key.rsa.n = keep_copy(to, key->key.rsa.n, key->key.rsa.nlen);
        key->key.rsa.e = keep_copy(to, key->key.rsa.e, key->key.rsa.elen);
    } else {
        key->key.ec.q = keep_copy(to, key->key.ec.q, key->key.ec.qlen);
    }
}

int lh_anchors_add(struct lh_anchors *anchors, const uint8_t *der, size_t n)
{
    br_x509_decoder_context decoder;
    struct collected block = {.p = lh_alloc(n)};

    if (!block.p || !room_for_ca(anchors, 1) || !room_for_block(anchors)) {
        lh_free(block.p);
        return LHTTPD_ENOMEM;
    }
    br_x509_decoder_init(&decoder, collect, &block);
    br_x509_decoder_push(&decoder, der, n);
    if (br_x509_decoder_last_error(&decoder)) {
        lh_free(block.p);
        return LHTTPD_ECERT;
    }
    br_x509_trust_anchor *anchor = &anchors->list[anchors->n++];
    *anchor = (br_x509_trust_anchor){
        .dn = {block.p, block.n},
        .flags = br_x509_decoder_isCA(&decoder) ? BR_X509_TA_CA : 0,
        .pkey = *br_x509_decoder_get_pkey(&decoder),
    };
    keep_key(&block, &anchor->pkey);
    anchors->blocks[anchors->blocks_n++] = block.p;
    return 0;
}

bool lh_anchors_join(struct lh_anchors *anchors, const struct lh_anchors *from)
{
    if (!room_for_ca(anchors, from->n))
        return false;
    memcpy(anchors->list + anchors->n, from->list,
           from->n * sizeof(*from->list));
    anchors->n += from->n;
    return true;
}

size_t lh_anchors_count(const struct lh_anchors *anchors)
{
    return anchors->n;
}

size_t lh_anchors_names_bytes(const struct lh_anchors *anchors)
{
    size_t bytes = 0;

    for (size_t i = 0; i < anchors->n; i++)
        bytes += anchors->list[i].dn.len + 2;
    return bytes;
}
