/* Names of requests: see request_id.h. */
#include "http/request_id.h"

#include <stdarg.h>

#define ID_BYTES     16
#define CLIENTS_MOST 128

/* --- what a client calls it ----------------------------------------------- */

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

/* Nothing that a log, a shell or a page could take for more than a name. */
static bool is_usable(struct lh_str id)
{
    if (id.n == 0 || id.n > CLIENTS_MOST)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        if (!is_letter_or_digit(id.p[i]) && !memchr("-._~+/=:@", id.p[i], 9))
            return false;
    }
    return true;
}

static const char *clients_id(struct lh_exchange *ex)
{
    const struct lh_field *f =
        lh_fields_find(&ex->request.fields, LH_STR("x-request-id"));

    if (!f || !is_usable(f->value))
        return NULL;
    char *id = lh_arena_alloc(&ex->arena, f->value.n + 1);
    if (id) {
        memcpy(id, f->value.p, f->value.n);
        id[f->value.n] = '\0';
    }
    return id;
}

/* --- our own -------------------------------------------------------------- */

/* Taken from the system for many ids at once, which costs one system call; each
 * octet is used once. */
static const uint8_t *take_random(struct lh_id_pool *pool)
{
    if (pool->left < ID_BYTES) {
        if (!pool->fill || pool->fill(pool->octets, sizeof(pool->octets)) < 0)
            return NULL;
        pool->left = sizeof(pool->octets);
    }
    pool->left -= ID_BYTES;
    return pool->octets + pool->left;
}

static const char *new_id(struct lh_exchange *ex)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *random = take_random(&ex->ctx->ids);
    char *id = random ? lh_arena_alloc(&ex->arena, 2 * ID_BYTES + 1) : NULL;

    if (!id)
        return NULL;
    char *to = id;
    for (size_t i = 0; i < ID_BYTES; i++) {
        *to++ = digits[random[i] >> 4];
        *to++ = digits[random[i] & 15];
    }
    *to = '\0';
    return id;
}

const char *lh_request_id(struct lh_exchange *ex)
{
    if (!ex->id && ex->ctx->ids.trusts_clients)
        ex->id = clients_id(ex);
    if (!ex->id)
        ex->id = new_id(ex);
    return ex->id;
}

void lh_log_request(struct lh_exchange *ex, enum lh_log_kind kind,
                    const char *format, ...)
{
    struct lh_context *ctx = ex->ctx;
    va_list args;

    if (!lh_log_rates_allow(&ctx->log_rates, kind, ctx->now_ms))
        return;
    struct lh_log_about about = {.client = ex->peer->client_addr,
                                 .id = lh_request_id(ex)};
    va_start(args, format);
    lh_log_args(ctx->log, lh_log_kind_level(kind), &about, format, args);
    va_end(args);
}
