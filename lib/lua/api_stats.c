/*
 * httpd.stats: the statistics of the whole server as tables.  What is read is
 * a copy, so a script that fails for lack of memory half-way leaves nothing.
 */
#include "lua/api.h"

#include <stddef.h>

/* Which number of the struct is which field of which table; "": of the one that
 * is returned.  Those of a table stand together. */
struct place {
    const char *table, *name;
    size_t at;
};

#define AT(field) offsetof(lhttpd_stats_t, field)

static const struct place places[] = {
    {"", "uptime_ms", AT(uptime_ms)},
    {"", "children", AT(children)},
    {"workers", "count", AT(workers)},
    {"workers", "stuck", AT(workers_stuck)},
    {"workers", "present_turn_ms", AT(present_turn_ms)},
    {"workers", "longest_turn_ms", AT(longest_turn_ms)},
    {"workers", "scripts_ended", AT(scripts_ended)},
    {"workers", "turns", AT(turns)},
    {"workers", "long_turns", AT(long_turns)},
    {"connections", "open", AT(connections)},
    {"connections", "idle", AT(connections_idle)},
    {"connections", "tcp", AT(connections_tcp)},
    {"connections", "tls", AT(connections_tls)},
    {"connections", "unix", AT(connections_unix)},
    {"accepted", "tcp", AT(accepted_tcp)},
    {"accepted", "tls", AT(accepted_tls)},
    {"accepted", "unix", AT(accepted_unix)},
    {"refused", "limit", AT(refused_limit)},
    {"refused", "system", AT(refused_system)},
    {"refused", "memory", AT(refused_memory)},
    {"refused", "closed_for_room", AT(closed_for_room)},
    {"octets", "received", AT(octets_in)},
    {"octets", "sent", AT(octets_out)},
    {"tls", "full", AT(tls_full)},
    {"tls", "resumed", AT(tls_resumed)},
    {"tls", "failed", AT(tls_failed)},
    {"tasks", "running", AT(tasks_running)},
    {"tasks", "waiting", AT(tasks_waiting)},
    {"vms", "count", AT(vms)},
    {"vms", "memory_bytes", AT(vm_memory_bytes)},
    {"vms", "memory_limit", AT(vm_memory_limit)},
    {"vms", "memory_hits", AT(vm_memory_hits)},
    {"vms", "reloads", AT(reloads)},
    {"files", "pending", AT(files_pending)},
    {"files", "done", AT(files_done)},
    {"files", "by_uring", AT(files_by_uring)},
    {"files", "by_threads", AT(files_by_threads)},
    {"log", "left_out", AT(log_lines_left_out)},
    {"log", "access_lost", AT(access_lost)},
    {"protocols", "http10", AT(requests_http10)},
    {"protocols", "http11", AT(requests_http11)},
    {"protocols", "http2", AT(requests_http2)},
    {"channels", "open", AT(channels)},
    {"channels", "subscribers", AT(channel_subscribers)},
    {"channels", "messages", AT(channel_messages)},
    {"channels", "dropped", AT(channel_dropped)},
    {"channels", "lost", AT(channel_lost)},
    {"shared", "values", AT(shared_values)},
    {"shared", "bytes", AT(shared_bytes)},
    {"shared", "evicted", AT(shared_evicted)},
    {"sockets", "open", AT(sockets_open)},
    {"sockets", "connected", AT(sockets_connected)},
    {"sockets", "failed", AT(sockets_failed)},
};

#define IN(field) offsetof(lhttpd_requests_t, field)

static const struct place of_requests[] = {
    {"", "status_2xx", IN(status_2xx)},
    {"", "status_3xx", IN(status_3xx)},
    {"", "status_4xx", IN(status_4xx)},
    {"", "status_5xx", IN(status_5xx)},
    {"", "unanswered", IN(unanswered)},
    {"", "complete", IN(complete)},
    {"", "gone", IN(gone)},
    {"", "timed_out", IN(timed_out)},
    {"", "cut", IN(cut)},
};

/* Into the table at the top.  What is unlimited is not there. */
static void set_stat(lua_State *L, const char *name, uint64_t n)
{
    if (n == LHTTPD_UNLIMITED)
        return;
    lh_lua_push_count(L, n);
    lua_setfield(L, -2, name);
}

static uint64_t stat_at(const void *base, const struct place *place)
{
    const char *at = (const char *)base + place->at;

    return *(const uint64_t *)(const void *)at;
}

static void set_numbers(lua_State *L, const void *base,
                        const struct place *place, size_t n)
{
    for (; n && !*place->table; place++, n--)
        set_stat(L, place->name, stat_at(base, place));
    while (n) {
        const char *table = place->table;
        lua_newtable(L);
        for (; n && strcmp(place->table, table) == 0; place++, n--)
            set_stat(L, place->name, stat_at(base, place));
        lua_setfield(L, -2, table);
    }
}

static void set_latency(lua_State *L, const char *name,
                        const lhttpd_latency_t *latency)
{
    lua_createtable(L, LHTTPD_LATENCY_BUCKETS, 1);
    for (int i = 0; i < LHTTPD_LATENCY_BUCKETS; i++) {
        lh_lua_push_count(L, latency->counts[i]);
        lua_rawseti(L, -2, i + 1);
    }
    set_stat(L, "sum_us", latency->sum_us);
    lua_setfield(L, -2, name);
}

/* Into the table at the top. */
static void set_requests(lua_State *L, const lhttpd_requests_t *requests)
{
    set_numbers(L, requests, of_requests,
                sizeof(of_requests) / sizeof(of_requests[0]));
    set_latency(L, "head", &requests->head);
    set_latency(L, "whole", &requests->end);
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static void set_handlers(lua_State *L, const struct lh_stats_source *source)
{
    lhttpd_handler_stats_t handler = lhttpd_handler_stats_init();

    lua_newtable(L);
    for (unsigned i = 0; source->read_handler(source->server, i, &handler) == 0;
         i++) {
        lua_newtable(L);
        set_text(L, "prefix", handler.prefix);
        set_text(L, "script", handler.script);
        set_text(L, "name", handler.name);
        set_stat(L, "vms", handler.vms);
        set_requests(L, &handler.requests);
        lua_rawseti(L, -2, (int)i + 1);
        handler = lhttpd_handler_stats_init();
    }
    lua_setfield(L, -2, "handlers");
}

/* stats(): as lhttpd_server_stats(). */
static int stats(lua_State *L)
{
    const struct lh_stats_source *source = lh_vm_of(L)->ctx->stats;
    lhttpd_stats_t all = lhttpd_stats_init();

    if (source)
        source->read(source->server, &all);
    lua_newtable(L);
    set_numbers(L, &all, places, sizeof(places) / sizeof(places[0]));
    lua_newtable(L);
    set_stat(L, "open", all.requests_open);
    set_requests(L, &all.requests);
    lua_setfield(L, -2, "requests");
    if (source)
        set_handlers(L, source);
    return 1;
}

const luaL_Reg lh_stats_functions[] = {
    {"stats", stats},
    {NULL, NULL},
};
