/* Names of requests: see request_id.h. */
#include "http/request_id.h"

#include <stdarg.h>

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

static char *put_hex_word(char *to, uint64_t word)
{
    static const char digits[] = "0123456789abcdef";

    for (int bits = 60; bits >= 0; bits -= 4)
        *to++ = digits[word >> bits & 15];
    return to;
}

/* Two hashes of 64 bits, which differ by an octet behind the number, whose own
 * are in the same order on any processor. */
static void make_id(const struct lh_ids *ids, uint64_t number,
                    char id[LH_REQUEST_ID_BYTES])
{
    char octets[sizeof(number) + 1], *to = id;

    for (size_t i = 0; i < sizeof(number); i++)
        octets[i] = (char)(uint8_t)(number >> 8 * i);
    for (char half = 0; half < 2; half++) {
        octets[sizeof(number)] = half;
        to = put_hex_word(
            to, lh_hash(&ids->key, (struct lh_str){octets, sizeof(octets)}));
    }
    *to = '\0';
}

static const char *new_id(struct lh_exchange *ex)
{
    const struct lh_ids *ids = &ex->ctx->ids;
    char *id =
        ids->has_key ? lh_arena_alloc(&ex->arena, LH_REQUEST_ID_BYTES) : NULL;

    if (id)
        make_id(ids, ex->number, id);
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

/* --- for other threads ---------------------------------------------------- */

/* Clients' ids are told where these are believed, which costs nothing else. */
void lh_request_runs(struct lh_exchange *ex)
{
    struct lh_context *ctx = ex->ctx;

    lh_running_serves(&ctx->running, ex->number);
    if (ctx->ids.trusts_clients)
        lh_running_called(&ctx->running, lh_request_id(ex));
}

const char *lh_request_id_of_run(const struct lh_ids *ids,
                                 const struct lh_run *run,
                                 char id[LH_RUN_ID_BYTES])
{
    if (!run->request || !ids)
        return NULL;
    if (run->client_id[0]) {
        memcpy(id, run->client_id, LH_RUN_ID_BYTES);
        return id;
    }
    if (!ids->has_key)
        return NULL;
    make_id(ids, run->request, id);
    return id;
}

/* --- lines of the log ----------------------------------------------------- */

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
