/*
 * Header compression: see h2_hpack.h.  The tables of both sides change with
 * every block, in the order of the blocks; so each block is decoded to its
 * end, and after a failure of either side the connection cannot go on.
 */
#include "h2/h2_hpack.h"

#include "base/mem.h"

#include <nghttp2/nghttp2.h>

/* --- nghttp2's memory comes through our hook ------------------------------ */

static void *mem_alloc(size_t n, void *unused)
{
    (void)unused;
    return lh_alloc(n);
}

static void mem_free(void *p, void *unused)
{
    (void)unused;
    lh_free(p);
}

static void *mem_calloc(size_t count, size_t n, void *unused)
{
    (void)unused;
    return lh_calloc(count, n);
}

static void *mem_realloc(void *p, size_t n, void *unused)
{
    (void)unused;
    return lh_realloc(p, n);
}

/* Never written to.  nghttp2's manual says that the pointer is not used later,
 * but it is kept. */
static nghttp2_mem memory = {NULL, mem_alloc, mem_free, mem_calloc,
                             mem_realloc};

static enum lh_h2_hpack_result result_of(int code)
{
    if (code == 0)
        return LH_H2_HPACK_OK;
    return code == NGHTTP2_ERR_NOMEM ? LH_H2_HPACK_MEMORY : LH_H2_HPACK_BAD;
}

void lh_h2_hpack_init(struct lh_h2_hpack *h, size_t out_table_max)
{
    *h = (struct lh_h2_hpack){
        .in_table_bytes = LH_H2_HPACK_TABLE_BYTES,
        .out_table_bytes = LH_H2_HPACK_TABLE_BYTES,
        .out_table_least = LH_H2_HPACK_TABLE_BYTES,
        .out_table_max = out_table_max,
    };
}

void lh_h2_hpack_deinit(struct lh_h2_hpack *h)
{
    if (h->in)
        nghttp2_hd_inflate_del(h->in);
    if (h->out)
        nghttp2_hd_deflate_del(h->out);
    h->in = NULL;
    h->out = NULL;
}

/* --- decoding ------------------------------------------------------------- */

/* With the first block: a connection that never asks takes no memory for it.
 */
static enum lh_h2_hpack_result make_inflater(struct lh_h2_hpack *h)
{
    if (h->in)
        return LH_H2_HPACK_OK;
    if (nghttp2_hd_inflate_new2(&h->in, &memory) != 0)
        return LH_H2_HPACK_MEMORY;
    if (h->in_table_bytes == LH_H2_HPACK_TABLE_BYTES)
        return LH_H2_HPACK_OK;
    return result_of(
        nghttp2_hd_inflate_change_table_size(h->in, h->in_table_bytes));
}

enum lh_h2_hpack_result lh_h2_hpack_set_in_table(struct lh_h2_hpack *h,
                                                 size_t bytes)
{
    if (bytes == h->in_table_bytes)
        return LH_H2_HPACK_OK;
    h->in_table_bytes = bytes;
    if (!h->in)
        return LH_H2_HPACK_OK;
    return result_of(nghttp2_hd_inflate_change_table_size(h->in, bytes));
}

/* What a field adds to its block.  A client may split its cookies into many
 * fields, which stand for one, joined by "; " (RFC 9113, 8.2.3). */
static void count_field(struct lh_h2_hpack *h, struct lh_str name,
                        struct lh_str value)
{
    if (!lh_str_equal(name, LH_STR("cookie"))) {
        h->block_bytes += name.n + value.n + 32;
        h->block_fields++;
    } else if (h->block_cookie) {
        h->block_bytes += value.n + 2;
    } else {
        h->block_cookie = true;
        h->block_bytes += name.n + value.n + 32;
        h->block_fields++;
    }
}

/* What is past a limit is counted and dropped, since the tables need the rest
 * of the block all the same. */
static void emit_field(struct lh_h2_hpack *h, const nghttp2_nv *nv,
                       const struct lh_h2_hpack_limits *limits,
                       lh_h2_hpack_sink *sink, void *to)
{
    struct lh_str name = {(const char *)nv->name, nv->namelen};
    struct lh_str value = {(const char *)nv->value, nv->valuelen};

    count_field(h, name, value);
    if (h->block_bytes > limits->bytes || h->block_fields > limits->fields)
        h->over = true;
    if (!h->over)
        sink(to, name, value);
}

static void end_block(struct lh_h2_hpack *h)
{
    nghttp2_hd_inflate_end_headers(h->in);
    h->block_bytes = 0;
    h->block_fields = 0;
    h->block_cookie = false;
}

enum lh_h2_hpack_result
lh_h2_hpack_decode(struct lh_h2_hpack *h, const uint8_t *p, size_t n, bool last,
                   const struct lh_h2_hpack_limits *limits,
                   lh_h2_hpack_sink *sink, void *to)
{
    enum lh_h2_hpack_result made = make_inflater(h);

    if (made != LH_H2_HPACK_OK)
        return made;
    if (h->block_fields == 0)
        h->over = false;
    for (;;) {
        nghttp2_nv nv;
        int flags = 0;
        ssize_t used =
            nghttp2_hd_inflate_hd2(h->in, &nv, &flags, p, n, last ? 1 : 0);
        if (used < 0)
            return result_of((int)used);
        p += used;
        n -= (size_t)used;
        if (flags & NGHTTP2_HD_INFLATE_EMIT)
            emit_field(h, &nv, limits, sink, to);
        if (flags & NGHTTP2_HD_INFLATE_FINAL) {
            end_block(h);
            return LH_H2_HPACK_OK;
        }
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && n == 0)
            return LH_H2_HPACK_OK;
    }
}

/* --- encoding ------------------------------------------------------------- */

/* A table that the client made smaller and larger again before our first
 * block is announced with its least size first. */
static enum lh_h2_hpack_result make_deflater(struct lh_h2_hpack *h)
{
    if (h->out)
        return LH_H2_HPACK_OK;
    if (nghttp2_hd_deflate_new2(&h->out, h->out_table_max, &memory) != 0)
        return LH_H2_HPACK_MEMORY;
    if (h->out_table_bytes == LH_H2_HPACK_TABLE_BYTES &&
        h->out_table_least == LH_H2_HPACK_TABLE_BYTES)
        return LH_H2_HPACK_OK;
    /* Both are said in the first block (RFC 7541, 4.2). */
    int code = nghttp2_hd_deflate_change_table_size(h->out, h->out_table_least);
    if (code == 0)
        code = nghttp2_hd_deflate_change_table_size(h->out, h->out_table_bytes);
    return result_of(code);
}

enum lh_h2_hpack_result lh_h2_hpack_set_out_table(struct lh_h2_hpack *h,
                                                  size_t bytes)
{
    h->out_table_bytes = bytes;
    if (bytes < h->out_table_least)
        h->out_table_least = bytes;
    if (!h->out)
        return LH_H2_HPACK_OK;
    return result_of(nghttp2_hd_deflate_change_table_size(h->out, bytes));
}

/* nghttp2's own bound: six octets for each of the two lengths and the index of
 * a field, and two changes of the table's size in front. */
size_t lh_h2_hpack_bound(const struct lh_h2_nv *v, size_t n)
{
    size_t bound = 12;

    for (size_t i = 0; i < n; i++)
        bound += 12 + v[i].name.n + v[i].value.n;
    return bound;
}

#define NV_ON_STACK 64

/* nghttp2 wants its own struct for each field: up to 64 of them are made on
 * the stack. */
enum lh_h2_hpack_result lh_h2_hpack_encode(struct lh_h2_hpack *h,
                                           const struct lh_h2_nv *v, size_t n,
                                           uint8_t *out, size_t room,
                                           size_t *used)
{
    nghttp2_nv few[NV_ON_STACK], *nv = few;
    enum lh_h2_hpack_result made = make_deflater(h);

    *used = 0;
    if (made != LH_H2_HPACK_OK)
        return made;
    if (n > NV_ON_STACK && !(nv = lh_calloc(n, sizeof(*nv))))
        return LH_H2_HPACK_MEMORY;
    for (size_t i = 0; i < n; i++) {
        nv[i] = (nghttp2_nv){
            .name = (uint8_t *)(uintptr_t)v[i].name.p,
            .value = (uint8_t *)(uintptr_t)v[i].value.p,
            .namelen = v[i].name.n,
            .valuelen = v[i].value.n,
            .flags = v[i].never_index ? NGHTTP2_NV_FLAG_NO_INDEX
                                      : NGHTTP2_NV_FLAG_NONE,
        };
    }
    ssize_t length = nghttp2_hd_deflate_hd(h->out, out, room, nv, n);
    if (nv != few)
        lh_free(nv);
    if (length < 0)
        return LH_H2_HPACK_MEMORY; /* under whatever name */
    *used = (size_t)length;
    return LH_H2_HPACK_OK;
}
