/*
 * Makes a VM's state: libraries, the httpd module, the program's setup, the
 * script.  Everything that may raise runs protected.
 */
#include "lua/alloc.h"
#include "lua/api.h"
#include "lua/boot.h"
#include "lua/spawn.h"
#include "lua/subscription.h"
#include "lua/file.h"
#include "lua/form.h"
#include "lua/gc.h"
#include "lua/kill.h"
#include "lua/process.h"
#include "lua/raise.h"
#include "lua/traces.h"
#include "lua/wait_any.h"
#include "lua/socket.h"
#include "lua/websocket.h"

#include "base/mem.h"
#include "os/entropy.h"

#include <assert.h>
#include <stdio.h>

/* What the protected part works on. */
struct load {
    struct lh_vm *vm;
    const struct lh_vm_config *config;
    bool in_setup; /* runs the program's function now */
};

/* --- the httpd module ----------------------------------------------------- */

/* Pushes a new table that the registry keeps too; returns its index. */
static int new_table(lua_State *L, int *reference)
{
    lua_newtable(L);
    lua_pushvalue(L, -1);
    *reference = luaL_ref(L, LUA_REGISTRYINDEX);
    return lua_gettop(L);
}

/* Pushes a metatable whose __index is the C function, with the VM for its
 * upvalue. */
static void push_index_metatable(lua_State *L, struct lh_vm *vm,
                                 lua_CFunction index)
{
    lua_createtable(L, 0, 1);
    lua_pushlightuserdata(L, vm);
    lua_pushcclosure(L, index, 1);
    lua_setfield(L, -2, "__index");
}

/* Pushes the module.  It is a global, and what require "httpd" gives. */
static void open_httpd(lua_State *L, struct lh_vm *vm)
{
    lua_newtable(L);
    lh_api_register(L, vm, lh_handler_functions);
    lh_api_register(L, vm, lh_header_functions);
    lh_api_register(L, vm, lh_write_functions);
    lh_api_register(L, vm, lh_sleep_functions);
    lh_api_register(L, vm, lh_stats_functions);
    lh_api_register(L, vm, lh_tool_functions);
    lh_api_register(L, vm, lh_key_functions);
    lh_api_register(L, vm, lh_cookie_functions);
    lh_api_register(L, vm, lh_subscription_functions);
    lh_api_register(L, vm, lh_job_functions);
    lh_api_register(L, vm, lh_websocket_functions);
    lua_pushfstring(L, "%d.%d.%d", LHTTPD_VERSION_MAJOR, LHTTPD_VERSION_MINOR,
                    LHTTPD_VERSION_PATCH);
    lua_setfield(L, -2, "_VERSION");
    lua_pushvalue(L, -1);
    lua_setglobal(L, "httpd");
    lua_getglobal(L, "package");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "loaded");
        if (lua_istable(L, -1)) {
            lua_pushvalue(L, -3);
            lua_setfield(L, -2, "httpd");
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

/* For a state without the base library. */
static int set_metatable(lua_State *L)
{
    lua_settop(L, 2);
    lua_setmetatable(L, 1);
    return 1;
}

static const luaL_Reg load_begins[] = {
    {"setmetatable", set_metatable},
    {NULL, NULL},
};

/* Runs boot.lua with httpd at `httpd`; leaves what it returns. */
static void run_boot(lua_State *L, struct lh_vm *vm, int httpd, int constants)
{
    if (luaL_loadbuffer(L, lh_boot_source, strlen(lh_boot_source), "=httpd"))
        lua_error(L);
    lua_pushvalue(L, httpd);
    lua_newtable(L);
    lh_api_register(L, vm, lh_gc_begins);
    lh_api_register(L, vm, load_begins);
    lh_api_register(L, vm, lh_coroutine_begins);
    lh_kill_register(L, vm);
    lh_api_register(L, vm, lh_failure_begins);
    lh_api_register(L, vm, lh_raise_begins);
    lua_rawgeti(L, LUA_REGISTRYINDEX, vm->failure);
    lua_setfield(L, -2, "failures");
    lh_api_register(L, vm, lh_read_begins);
    lh_api_register(L, vm, lh_write_begins);
    lh_api_register(L, vm, lh_sleep_begins);
    lh_api_register(L, vm, lh_subscription_begins);
    lh_api_register(L, vm, lh_websocket_begins);
    lh_api_register(L, vm, lh_form_begins);
    lh_api_register(L, vm, lh_socket_begins);
    lh_api_register(L, vm, lh_connect_begins);
    lh_api_register(L, vm, lh_wait_any_begins);
    lh_api_register(L, vm, lh_shared_begins);
    lh_api_register(L, vm, lh_serve_begins);
    lh_api_register(L, vm, lh_spawn_begins);
    lh_files_add(L, vm);
    lua_pushlightuserdata(L, lh_api_tag());
    lua_pushlightuserdata(L, lh_api_refused());
    lua_pushvalue(L, constants);
    push_index_metatable(L, vm, lh_env_index);
    lua_call(L, 6, 1);
}

/* Makes the turn's function with its tables; it is what this leaves. */
static void make_turn(lua_State *L, struct lh_vm *vm)
{
    int threads = new_table(L, &vm->threads);
    int handlers = new_table(L, &vm->handlers);
    int constants = new_table(L, &vm->constants);

    lh_env_constants(L, vm);
    new_table(L, &vm->anchors);
    new_table(L, &vm->failure);
    lua_pop(L, 2);
    lh_subscription_prepare(L, vm);
    lh_websocket_prepare(L, vm);
    lh_form_prepare(L, vm);
    lh_socket_prepare(L, vm);
    open_httpd(L, vm);
    lua_pushlightuserdata(L, vm);
    lua_pushvalue(L, threads);
    lua_pushvalue(L, handlers);
    lua_pushvalue(L, constants);
    run_boot(L, vm, constants + 1, constants);
    push_index_metatable(L, vm, lh_header_index);
    lua_pushcclosure(L, lh_vm_turn, 1 + LH_AT_LAST);
}

/* --- the surroundings ----------------------------------------------------- */

/* What no C function of every VM does. */
static void save_debug(lua_State *L)
{
    lua_getglobal(L, "debug");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "traceback");
        lua_setfield(L, LUA_REGISTRYINDEX, "lhttpd.traceback");
        lua_getfield(L, -1, "getinfo");
        lua_setfield(L, LUA_REGISTRYINDEX, "lhttpd.getinfo");
    }
    lua_pop(L, 1);
}

/* Each VM's numbers are its own.  The seed fits the smallest kind of integer.
 */
static void seed_random(lua_State *L)
{
    unsigned seed = 0;

    if (lh_entropy(&seed, sizeof(seed)))
        luaL_error(L, "the system gives no random numbers");
    lua_getglobal(L, "math");
    if (lua_istable(L, -1)) {
        lua_getfield(L, -1, "randomseed");
        lua_pushinteger(L, (lua_Integer)(seed & 0x7FFFFFFF));
        lua_call(L, 1, 0);
    }
    lua_pop(L, 1);
}

/* Puts the script's directory first in package.path. */
static void set_path(lua_State *L, const char *name)
{
    const char *slash = name ? strrchr(name, '/') : NULL;

    if (!slash)
        return;
    lua_getglobal(L, "package");
    if (lua_istable(L, -1)) {
        lua_pushlstring(L, name, (size_t)(slash - name) + 1);
        lua_pushliteral(L, "?.lua;");
        lua_getfield(L, -3, "path");
        if (!lua_isstring(L, -1)) {
            lua_pop(L, 1);
            lua_pushliteral(L, "");
        }
        lua_concat(L, 3);
        lua_setfield(L, -2, "path");
    }
    lua_pop(L, 1);
}

/* The program's own, with its context and the worker's number. */
static void run_setup(lua_State *L, struct lh_vm *vm)
{
    const lhttpd_vm_factory_t *factory = vm->factory;

    if (!factory || !factory->setup)
        return;
    lua_pushcfunction(L, factory->setup);
    lua_pushlightuserdata(L, factory->context);
    lua_pushinteger(L, (lua_Integer)vm->ctx->worker);
    lua_call(L, 2, 0);
}

/* As from a file, for all VMs: without a mark of UTF-8, and without a first
 * line for the system ("#!"), whose end stays so that lines keep their number.
 */
static struct lh_str plain_source(const struct lh_vm_config *config)
{
    struct lh_str s = {config->source, config->source_bytes};
    const char *end;

    if (s.n >= 3 && memcmp(s.p, "\xEF\xBB\xBF", 3) == 0)
        s = (struct lh_str){s.p + 3, s.n - 3};
    if (s.n == 0 || s.p[0] != '#')
        return s;
    end = memchr(s.p, '\n', s.n);
    if (!end)
        return LH_STR("");
    if (end + 1 < s.p + s.n && end[1] == LUA_SIGNATURE[0])
        end++;
    return (struct lh_str){end, s.n - (size_t)(end - s.p)};
}

/* Source or bytecode, named so that errors say where. */
static void run_script(lua_State *L, const struct lh_vm_config *config)
{
    struct lh_str source;

    if (!config->source)
        return;
    source = plain_source(config);
    lua_pushfstring(L, "@%s", config->name);
    if (luaL_loadbuffer(L, source.p, source.n, lua_tostring(L, -1)))
        lua_error(L);
    lua_call(L, 0, 0);
    lua_pop(L, 1);
}

/* All that may raise, in one protected call. */
static int load_state(lua_State *L)
{
    struct load *load = lua_touserdata(L, 1);
    struct lh_vm *vm = load->vm;

    luaL_checkstack(L, LUA_MINSTACK, NULL);
    if (!vm->factory || !vm->factory->create)
        lh_state_open_libs(L, vm->remains);
    lh_traces_prepare(L);
    /* LuaJIT does not survive an allocation that is refused in one. */
    if (vm->alloc)
        lh_traces_off(L);
    save_debug(L);
    seed_random(L);
    make_turn(L, vm);
    lua_setfield(L, LUA_REGISTRYINDEX, "lhttpd.turn");
    lua_pushlightuserdata(L, vm);
    lua_setfield(L, LUA_REGISTRYINDEX, "lhttpd.vm");
    lh_gc_prepare(L, vm);
    set_path(L, vm->name);
    vm->loading = true;
    load->in_setup = true;
    run_setup(L, vm);
    load->in_setup = false;
    run_script(L, load->config);
    vm->loading = false;
    vm->hook_mask = lua_gethookmask(L);
    return 0;
}

/* --- all of it ------------------------------------------------------------ */

static int new_state(struct lh_vm *vm, struct lh_err *err)
{
    const lhttpd_vm_factory_t *factory = vm->factory;

    if (factory && factory->lua_version == 0)
        return lh_err_set(err, LHTTPD_ESCRIPT,
                          "the VM factory's lua_version is not set; it is the "
                          "program's LUA_VERSION_NUM");
    if (factory && factory->lua_version != LUA_VERSION_NUM)
        return lh_err_set(err, LHTTPD_ESCRIPT,
                          "the VM factory was built for Lua %d.%d, the library "
                          "for %d.%d (" LHTTPD_LUA_NAME ")",
                          factory->lua_version / 100,
                          factory->lua_version % 100, LUA_VERSION_NUM / 100,
                          LUA_VERSION_NUM % 100);
    if (!factory || !factory->create) {
        vm->L = lh_state_new();
        if (!vm->L)
            return lh_err_memory(err);
        vm->remains = lh_state_remains(vm->L);
        return 0;
    }
    vm->L = factory->create(factory->context, vm->ctx->worker);
    if (!vm->L)
        return lh_err_set(err, LHTTPD_ESCRIPT,
                          "the VM factory's create made no state");
    return 0;
}

/* An error of a C function does not say where: whose setup it was. */
static void say_setup(const struct load *load, struct lh_err *err)
{
    char where[LH_ERR_TEXT_BYTES];
    const char *prefix = load->config->prefix;

    if (!load->in_setup)
        return;
    snprintf(where, sizeof(where), "setup of '%s'", *prefix ? prefix : "/");
    lh_err_prefix(err, where);
}

/* The limit that was met, of which Lua says nothing. */
static void say_limit(const struct lh_vm *vm, struct lh_err *err)
{
    char what[LH_ERR_TEXT_BYTES];

    snprintf(what, sizeof(what),
             "%.300s: to load it takes more than vm_memory_bytes=%llu",
             vm->name ? vm->name : "setup", (unsigned long long)vm->bytes_max);
    lh_err_prefix(err, what);
}

/* The error object is at the top; it becomes the words of the failure.  A lack
 * of memory is a string as any other where a script was compiled, or has caught
 * the error and raises it again. */
static int load_error(const struct load *load, int status, struct lh_err *err)
{
    struct lh_vm *vm = load->vm;
    lua_State *L = vm->L;
    bool limit_met = vm->over_limit;
    struct lh_str text;

    if (status == LUA_ERRMEM) {
        status = lh_err_memory(err);
    } else if (lua_type(L, -1) == LUA_TSTRING) {
        text.p = lua_tolstring(L, -1, &text.n);
        lh_log_clean(err->text, sizeof(err->text), text);
        limit_met = limit_met && strstr(err->text, "not enough memory");
        say_setup(load, err);
        status = LHTTPD_ESCRIPT;
    } else {
        limit_met = false;
        status =
            lh_err_set(err, LHTTPD_ESCRIPT, "%s: the error is a %s value",
                       vm->name ? vm->name : "setup", luaL_typename(L, -1));
    }
    if (limit_met)
        say_limit(vm, err);
    return status;
}

int lh_vm_load(struct lh_vm *vm, const struct lh_vm_config *config,
               struct lh_err *err)
{
    struct load what = {.vm = vm, .config = config};
    int status = new_state(vm, err);

    if (status)
        return status;
    lua_settop(vm->L, 0);
    lh_kill_begin(vm);
    lh_gc_limit(vm);
    lh_gc_note_stopped(vm->L, vm);
    status = lh_lua_cpcall(vm->L, load_state, &what);
    if (status)
        return load_error(&what, status, err);
    /* Once, not by each worker. */
    if (vm->known_n == 0 && vm->ctx->worker == 0)
        lh_task_log(vm, NULL, LHTTPD_LOG_WARNING,
                    LH_STR("no handler is registered: what the prefix leads "
                           "here is answered with 404"));
    lua_settop(vm->L, 0);
    lua_getfield(vm->L, LUA_REGISTRYINDEX, "lhttpd.turn");
    for (int i = 1; i <= LH_AT_LAST; i++)
        lua_getupvalue(vm->L, LH_TURN, 1 + i);
    /* What loading left behind goes now, not beside the first requests. */
    lh_gc_collect(vm);
    lh_handlers_registered(vm);
    return 0;
}
