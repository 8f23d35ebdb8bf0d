/* Limits and their defaults: see limits.h. */
#include "base/limits.h"

#include "base/str.h"

struct limit {
    const char *name;
    size_t offset;
    uint64_t fallback;
};

#define LIMIT(name, fallback)                                                  \
    {                                                                          \
#name, offsetof(lhttpd_limits_t, name), fallback                       \
    }

static const struct limit limits_table[] = {
    LIMIT(request_line_bytes, 8 << 10),
    LIMIT(header_bytes, 32 << 10),
    LIMIT(header_fields, 128),
    LIMIT(header_timeout_ms, 10000),
    LIMIT(chunk_line_bytes, 256),
    LIMIT(trailer_bytes, 8 << 10),
    LIMIT(body_bytes, LHTTPD_UNLIMITED),
    LIMIT(body_timeout_ms, 30000),
    LIMIT(body_rate, 500),
    LIMIT(send_timeout_ms, 30000),
    LIMIT(idle_timeout_ms, 60000),
    LIMIT(linger_timeout_ms, 30000),
    LIMIT(linger_bytes, 64 << 10),
    LIMIT(handshake_timeout_ms, 10000),
    LIMIT(connection_requests, LHTTPD_UNLIMITED),
    LIMIT(connections, 0),
    LIMIT(stream_buffer_bytes, 64 << 10),
    LIMIT(connection_buffer_bytes, 256 << 10),
    LIMIT(handler_run_ms, 5000),
    LIMIT(vm_memory_bytes, LHTTPD_UNLIMITED),
    LIMIT(h2_streams, 128),
    LIMIT(h2_continuations, 8),
    LIMIT(h2_useless, 1000),
    LIMIT(h2_useless_refill, 100),
    LIMIT(h2_queued_reply_bytes, 64 << 10),
    LIMIT(h2_settings, 32),
    LIMIT(hpack_table_bytes, 4 << 10),
    LIMIT(linger_idle_ms, 5000),
    LIMIT(h2_header_bytes, 512 << 10),
};

#define LIMITS (sizeof(limits_table) / sizeof(limits_table[0]))

static uint64_t *value_of(lhttpd_limits_t *limits, const struct limit *limit)
{
    return (uint64_t *)(void *)((char *)limits + limit->offset);
}

lhttpd_limits_t lh_limits_resolve(const lhttpd_limits_t *given)
{
    lhttpd_limits_t all = lhttpd_limits_init();

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

static const struct limit *find(const char *name)
{
    for (size_t i = 0; i < LIMITS; i++) {
        if (strcmp(limits_table[i].name, name) == 0)
            return &limits_table[i];
    }
    return NULL;
}

int lhttpd_limits_set(lhttpd_limits_t *limits, const char *name,
                      const char *value)
{
    if (!limits || !name || !value)
        return LHTTPD_EINVAL;
    const struct limit *limit = find(name);
    uint64_t v = LHTTPD_UNLIMITED;
    if (!limit || limit->offset + sizeof(v) > limits->size)
        return LHTTPD_EINVAL;
    if (strcmp(value, "unlimited") != 0 &&
        (!lh_str_to_u64(lh_str_of(value), LHTTPD_UNLIMITED - 1, &v) || v == 0))
        return LHTTPD_EINVAL;
    *value_of(limits, limit) = v;
    return 0;
}
