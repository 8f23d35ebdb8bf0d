/*
 * Limits and their defaults: see limits.h.
 *
 * A row of the table is all that a limit needs: its name is that of its field
 * in lhttpd_limits_t, which lh_limits_set() and the binary's -o take.
 */
#include "base/limits.h"

#include "base/str.h"

enum last_set { BEFORE_START, RUNNING };

struct limit {
    const char *name;
    size_t offset;
    uint64_t fallback;      /* what 0, a field that was not set, stands for */
    enum last_set last_set; /* the latest state in which it may be set */
};

#define LIMIT(name, fallback, last_set)                                        \
    {                                                                          \
#name, offsetof(lhttpd_limits_t, name), fallback, last_set             \
    }

static const struct limit limits_table[] = {
    LIMIT(request_line_bytes, 8 << 10, RUNNING),
    LIMIT(header_bytes, 32 << 10, RUNNING),
    LIMIT(header_fields, 128, RUNNING),
    LIMIT(header_timeout_ms, 10000, RUNNING),
    LIMIT(chunk_line_bytes, 256, RUNNING),
    LIMIT(trailer_bytes, 8 << 10, RUNNING),
    LIMIT(body_bytes, LHTTPD_UNLIMITED, RUNNING),
    LIMIT(body_timeout_ms, 30000, RUNNING),
    LIMIT(body_rate, 500, RUNNING),
    LIMIT(send_timeout_ms, 30000, RUNNING),
    LIMIT(idle_timeout_ms, 60000, RUNNING),
    LIMIT(linger_timeout_ms, 30000, RUNNING),
    LIMIT(linger_bytes, 64 << 10, RUNNING),
    LIMIT(handshake_timeout_ms, 10000, RUNNING),
    LIMIT(connection_requests, LHTTPD_UNLIMITED, RUNNING),
    LIMIT(connections, 0, RUNNING),
    LIMIT(stream_buffer_bytes, 64 << 10, RUNNING),
    LIMIT(connection_buffer_bytes, 256 << 10, RUNNING),
    LIMIT(handler_run_ms, 5000, RUNNING),
    LIMIT(vm_memory_bytes, LHTTPD_UNLIMITED, RUNNING),
    LIMIT(h2_streams, 128, RUNNING),
    LIMIT(h2_continuations, 8, RUNNING),
    LIMIT(h2_useless, 1000, RUNNING),
    LIMIT(h2_useless_refill, 100, RUNNING),
    LIMIT(h2_queued_reply_bytes, 64 << 10, RUNNING),
    LIMIT(h2_settings, 32, RUNNING),
    LIMIT(hpack_table_bytes, 4 << 10, BEFORE_START),
    LIMIT(linger_idle_ms, 5000, RUNNING),
    LIMIT(h2_header_bytes, 512 << 10, RUNNING),
    LIMIT(channel_bytes, 1 << 20, RUNNING),
    LIMIT(shared_bytes, 1 << 20, RUNNING),
    LIMIT(spawned, 1000, RUNNING),
    LIMIT(ws_message_bytes, 1 << 20, RUNNING),
    LIMIT(ws_ping_ms, 30000, RUNNING),
    LIMIT(sockets, 256, RUNNING),
};

#define LIMITS (sizeof(limits_table) / sizeof(limits_table[0]))

/* A limit's field, found by its place in the struct. */
static uint64_t *value_of(lhttpd_limits_t *limits, const struct limit *limit)
{
    return (uint64_t *)(void *)((char *)limits + limit->offset);
}

lhttpd_limits_t lh_limits_resolve(const lhttpd_limits_t *given)
{
    lhttpd_limits_t all = lhttpd_limits_init();

    /* A program that was compiled with an older header has fewer fields. */
    if (given) {
        size_t n = given->size < sizeof(all) ? given->size : sizeof(all);
        memcpy(&all, given, n);
        all.size = sizeof(all);
    }
    for (size_t i = 0; i < LIMITS; i++) {
        uint64_t *value = value_of(&all, &limits_table[i]);
        if (*value == 0)
            *value = limits_table[i].fallback;
    }
    return all;
}

const char *lhttpd_limits_name(unsigned index)
{
    return index < LIMITS ? limits_table[index].name : NULL;
}

static const struct limit *find_limit(const char *name)
{
    for (size_t i = 0; i < LIMITS; i++) {
        if (strcmp(limits_table[i].name, name) == 0)
            return &limits_table[i];
    }
    return NULL;
}

bool lh_limits_is_name(const char *name)
{
    return find_limit(name) != NULL;
}

bool lh_limits_may_change(const char *name)
{
    const struct limit *limit = find_limit(name);

    return limit && limit->last_set == RUNNING;
}

int lh_limits_set(lhttpd_limits_t *limits, const char *name, const char *value,
                  struct lh_err *err)
{
    const struct limit *limit = find_limit(name);
    uint64_t v = LHTTPD_UNLIMITED;

    /* A name that the program's own struct has no field for is unknown, too. */
    if (!limit || limit->offset + sizeof(v) > limits->size)
        return lh_err_set(err, LHTTPD_EINVAL, "there is no such limit");
    /* 0 would be the default, which nobody means who writes a number. */
    if (strcmp(value, "unlimited") != 0 &&
        (!lh_str_to_u64(lh_str_of(value), LHTTPD_UNLIMITED - 1, &v) || v == 0))
        return lh_err_set(err, LHTTPD_EINVAL,
                          "not a decimal number from 1, or \"unlimited\"");
    *value_of(limits, limit) = v;
    return 0;
}
