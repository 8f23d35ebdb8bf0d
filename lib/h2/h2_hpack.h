/*
 * Header compression (RFC 7541) for one connection: nghttp2's inflater and
 * deflater, and nothing else of it.  Each is made when it is first needed; an
 * idle connection has neither.  nghttp2 limits neither the size nor the number
 * of fields of a block: that is counted here, and what is past the limits is
 * decoded still (the tables must stay in step) but not handed on.
 */
#ifndef LH_H2_HPACK_H
#define LH_H2_HPACK_H

#include "base/str.h"

struct lh_h2_hpack {
    struct nghttp2_hd_inflater *in;
    struct nghttp2_hd_deflater *out;
    size_t in_table_bytes;  /* what the client has acknowledged */
    size_t out_table_bytes; /* what the client allows, clamped */
    size_t out_table_least; /* ... the least of it before `out` was made */
    size_t out_table_max;   /* our own limit */
    uint64_t block_bytes;   /* of the block being decoded, 32 a field */
    uint64_t block_fields;  /* likewise; all of `cookie` are one */
    bool block_cookie;      /* one of them has come */
    bool over;              /* this block is past a limit */
};

enum lh_h2_hpack_result {
    LH_H2_HPACK_OK,
    LH_H2_HPACK_BAD,    /* COMPRESSION_ERROR */
    LH_H2_HPACK_MEMORY, /* the tables are lost: INTERNAL_ERROR */
};

/* Limits of one block. */
struct lh_h2_hpack_limits {
    uint64_t bytes, fields;
};

/* One decoded field; the strings are valid until it returns. */
typedef void lh_h2_hpack_sink(void *to, struct lh_str name,
                              struct lh_str value);

#define LH_H2_HPACK_TABLE_BYTES 4096 /* both ways until SETTINGS say else */

void lh_h2_hpack_init(struct lh_h2_hpack *h, size_t out_table_max);
void lh_h2_hpack_deinit(struct lh_h2_hpack *h);

/* Decodes a piece of a block; `last` ends it.  The first piece of a block
 * resets the counts and `over`. */
enum lh_h2_hpack_result
lh_h2_hpack_decode(struct lh_h2_hpack *h, const uint8_t *p, size_t n, bool last,
                   const struct lh_h2_hpack_limits *limits,
                   lh_h2_hpack_sink *sink, void *to);

/* Our SETTINGS_HEADER_TABLE_SIZE was acknowledged, or the client's came. */
enum lh_h2_hpack_result lh_h2_hpack_set_in_table(struct lh_h2_hpack *h,
                                                 size_t bytes);
enum lh_h2_hpack_result lh_h2_hpack_set_out_table(struct lh_h2_hpack *h,
                                                  size_t bytes);

struct lh_h2_nv {
    struct lh_str name, value;
    bool never_index; /* a secret */
};

/* An upper bound of the encoded size, before lh_h2_hpack_encode(). */
size_t lh_h2_hpack_bound(const struct lh_h2_nv *v, size_t n);

/* Encodes a whole block to out, which has at least the bound; *used is its
 * length.  After a failure the connection cannot go on. */
enum lh_h2_hpack_result lh_h2_hpack_encode(struct lh_h2_hpack *h,
                                           const struct lh_h2_nv *v, size_t n,
                                           uint8_t *out, size_t room,
                                           size_t *used);

#endif
