/*
 * The differences of the four VMs: LuaJIT 2.1, PUC Lua 5.4, 5.3 and 5.1.
 * Nothing else in this folder knows which one it is built with.
 */
#ifndef LH_LUA_COMPAT_H
#define LH_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* 5.3 and later: integers, and C functions that go on after a yield. */
#if LUA_VERSION_NUM >= 503
#define LH_LUA_53 1
#else
#define LH_LUA_53 0
#endif
/* 5.4 and later: variables that are closed, and warnings. */
#if LUA_VERSION_NUM >= 504
#define LH_LUA_54 1
#else
#define LH_LUA_54 0
#endif
#if defined(LUA_JITLIBNAME)
#define LH_LUA_JIT 1
#else
#define LH_LUA_JIT 0
#endif
#define LH_LUA_51 (!LH_LUA_53 && !LH_LUA_JIT)
#if LH_LUA_JIT
#include <luajit.h>
#endif

#if LH_LUA_53
#define lh_lua_len(L, i) ((size_t)lua_rawlen(L, i))
#else
#define lh_lua_len(L, i) lua_objlen(L, i)
#endif

/* Whole numbers; 32 bits of lua_Integer would be too few on some machines. */
static inline void lh_lua_push_count(lua_State *L, uint64_t n)
{
#if LH_LUA_53
    lua_pushinteger(L, (lua_Integer)n);
#else
    lua_pushnumber(L, (lua_Number)n);
#endif
}

/* How many values the coroutine left on its stack is in *results. */
static inline int lh_lua_resume(lua_State *co, lua_State *from, int args,
                                int *results)
{
#if LH_LUA_54
    return lua_resume(co, from, args, results);
#else
#if LH_LUA_53
    int status = lua_resume(co, from, args);
#else
    (void)from;
    int status = lua_resume(co, args);
#endif
    *results = lua_gettop(co);
    return status;
#endif
}

/* Calls fn(L) with `data` as its argument; allocates nothing outside of the
 * protected call. */
static inline int lh_lua_cpcall(lua_State *L, lua_CFunction fn, void *data)
{
#if LH_LUA_53
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, data);
    return lua_pcall(L, 1, 0, 0);
#else
    return lua_cpcall(L, fn, data);
#endif
}

/*
 * May the running coroutine be suspended?  5.1 does not tell, but a C function
 * on the stack or a "for" loop's iterator is a no, and so is a coroutine of
 * nothing but a C function; a metamethod stays undetected, there lua_yield()
 * itself raises.
 */
static inline bool lh_lua_can_yield(lua_State *L)
{
#if LH_LUA_51
    lua_Debug ar;
    int level = 1;
    for (; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sn", &ar);
        if (ar.what[0] == 'C' ||
            (ar.name && strcmp(ar.name, "(for generator)") == 0))
            return false;
    }
    bool main_state = lua_pushthread(L) != 0;
    lua_pop(L, 1);
    return !main_state && level > 1;
#else
    return lua_isyieldable(L) != 0;
#endif
}

/*
 * Suspends a C function with the top `results` values.  It returns what it is
 * resumed with: since 5.3 by what `then` makes of it, which finds it on the
 * stack and may raise.
 */
#define LH_LUA_CONTINUES LH_LUA_53
#if LH_LUA_53
static inline int lh_lua_then(lua_State *L, int status, lua_KContext then)
{
    (void)status;
    return ((lua_CFunction)then)(L);
}
#endif

static inline int lh_lua_yield_then(lua_State *L, int results,
                                    lua_CFunction then)
{
#if LH_LUA_53
    return lua_yieldk(L, results, (lua_KContext)then, lh_lua_then);
#else
    (void)then;
    return lua_yield(L, results);
#endif
}

/* Appends the stack of `co` to the string at the top of L. */
static inline void lh_lua_traceback(lua_State *L, lua_State *co)
{
#if LH_LUA_51
    int message = lua_gettop(L);

    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.traceback");
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    lua_pushvalue(L, message);
    if (lua_isfunction(L, message + 1) && lua_pcall(L, 2, 1, 0) == 0 &&
        lua_isstring(L, -1))
        lua_replace(L, message);
    lua_settop(L, message);
#else
    lua_pushliteral(L, "\n");
    luaL_traceback(L, co, NULL,
                   L == co); /* with a message it would stop at a zero */
    lua_concat(L, 3);
#endif
}

/* Has the script raised, or one of its finalizers?  5.3 tells these apart. */
static inline bool lh_lua_raised(int status)
{
#ifdef LUA_ERRGCMM
    if (status == LUA_ERRGCMM)
        return true;
#endif
    return status == LUA_ERRRUN;
}

/*
 * Does a finalizer run?  The collector rests meanwhile, as it does where the
 * script has stopped it (`stopped`).  5.1 tells nobody, but it calls no hook
 * in a finalizer (nor in a hook, which therefore passes for one): so a hook is
 * set for a call of nothing, and takes itself away if it is called.
 */
#if LH_LUA_51
static inline void lh_lua_hook_once(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    lua_sethook(L, NULL, 0, 0);
}

static inline int lh_lua_nothing(lua_State *L)
{
    (void)L;
    return 0;
}
#endif

/* Makes what the question needs; it may raise. */
static inline void lh_lua_prepare_finalizers(lua_State *L)
{
#if LH_LUA_51
    lua_pushcfunction(L, lh_lua_nothing);
    lua_setfield(L, LUA_REGISTRYINDEX, "lhttpd.nothing");
#else
    (void)L;
#endif
}

static inline bool lh_lua_in_finalizer(lua_State *L, bool stopped)
{
#if LH_LUA_51
    lua_Hook hook = lua_gethook(L);
    int mask = lua_gethookmask(L), count = lua_gethookcount(L);

    (void)stopped;
    lua_sethook(L, lh_lua_hook_once, LUA_MASKCALL, 0);
    lua_getfield(L, LUA_REGISTRYINDEX, "lhttpd.nothing");
    lua_call(L, 0, 0);
    bool silent = lua_gethook(L) == lh_lua_hook_once;
    lua_sethook(L, hook, mask, count);
    return silent;
#elif LH_LUA_JIT
    return !stopped && lua_gc(L, LUA_GCISRUNNING, 0) == 0;
#else
    int running = lua_gc(L, LUA_GCISRUNNING, 0);
    return running < 0 || (running == 0 && !stopped);
#endif
}

/*
 * Starts a coroutine whose function and `args` arguments are on `from`'s top.
 * Where variables are to be closed, an error leaves it as a result: only so may
 * their __close wait.  `describe` makes a message of it.
 */
static inline void lh_lua_give(lua_State *from, lua_State *co, int args,
                               lua_CFunction protect)
{
#if LH_LUA_54
    lua_pushcfunction(co, protect);
#else
    (void)protect;
#endif
    lua_xmove(from, co, args + 1);
}

/* What `protect` does: runs the function at index 1, which may wait. */
#if LH_LUA_54
static inline int lh_lua_ran(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)context;
    return status != LUA_OK && status != LUA_YIELD;
}

static inline int lh_lua_protect(lua_State *L, lua_CFunction describe)
{
    lua_pushcfunction(L, describe);
    lua_insert(L, 1);
    int status = lua_pcallk(L, lua_gettop(L) - 2, 0, 1, 0, lh_lua_ran);
    return lh_lua_ran(L, status, 0);
}
#else
static inline int lh_lua_protect(lua_State *L, lua_CFunction describe)
{
    (void)L;
    (void)describe;
    return 0;
}
#endif

/* Is the error that it left a message with a traceback? */
static inline bool lh_lua_is_described(lua_State *co)
{
#if LH_LUA_54
    return lua_status(co) == LUA_OK;
#else
    (void)co;
    return false;
#endif
}

/* Did the coroutine fail, once it has ended? */
static inline bool lh_lua_has_failed(int status, int results)
{
#if LH_LUA_54
    return status != LUA_OK || results > 0;
#else
    (void)results;
    return status != 0;
#endif
}

/* A hook stays: on LuaJIT every coroutine has it. */
static inline bool lh_lua_keeps_hook(lua_State *L, lua_State *co)
{
#if LH_LUA_JIT
    (void)L;
    (void)co;
    return false;
#else
    return lua_gethook(co) != lua_gethook(L);
#endif
}

static inline void lh_lua_unhook(lua_State *L, int mask)
{
#if LH_LUA_JIT
    if (lua_gethookmask(L) != mask)
        lua_sethook(L, NULL, 0, 0);
#else
    (void)L;
    (void)mask;
#endif
}

/* Lets a coroutine that failed close what it had open (5.4's <close>). */
static inline void lh_lua_abandon(lua_State *co)
{
#if LH_LUA_54
    lua_resetthread(co);
#else
    (void)co;
#endif
}

/* No traces are compiled from here on. */
static inline void lh_lua_stop_compiling(lua_State *L)
{
#if LH_LUA_JIT
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
#else
    (void)L;
#endif
}

/* Is the value an io library file? */
static inline bool lh_lua_is_file(lua_State *L, int index)
{
    if (!lua_touserdata(L, index) || !lua_getmetatable(L, index))
        return false;
    lua_getfield(L, LUA_REGISTRYINDEX, LUA_FILEHANDLE);
    bool file = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return file;
}

/* The FILE of an io library file; NULL: it is closed. */
static inline FILE *lh_lua_file(lua_State *L, int index)
{
#if LH_LUA_53
    const luaL_Stream *stream = lua_touserdata(L, index);
    return stream->closef ? stream->f : NULL;
#else
    FILE *const *file = lua_touserdata(L, index);
    return *file;
#endif
}

/* What closes the FILE of an open handle; NULL: the io library knows that of
 * all handles. */
static inline lua_CFunction lh_lua_file_closer(const void *handle)
{
#if LH_LUA_53
    return ((const luaL_Stream *)handle)->closef;
#else
    (void)handle;
    return NULL;
#endif
}

/* Makes a closed handle an open one. */
static inline void lh_lua_file_open(void *handle, FILE *fp,
                                    lua_CFunction closer)
{
#if LH_LUA_53
    luaL_Stream *stream = handle;
    stream->f = fp;
    stream->closef = closer;
#else
    FILE **file = handle;
    (void)closer;
    *file = fp;
#endif
}

/* Makes a handle a closed one.  Returns its FILE; NULL: it was closed. */
static inline FILE *lh_lua_file_take(void *handle)
{
#if LH_LUA_53
    luaL_Stream *stream = handle;
    FILE *fp = stream->closef ? stream->f : NULL;
    stream->f = NULL;
    stream->closef = NULL;
#else
    FILE **file = handle;
    FILE *fp = *file;
    *file = NULL;
#endif
    return fp;
}

/*
 * As luaL_newstate(): what a script says by warn() goes to standard error,
 * piece by piece, once it has said "@on".  lua_newstate() leaves that out.
 */
#if LH_LUA_54
static inline void lh_lua_warn_on(void *L, const char *text, int more);

static inline void lh_lua_warn_off(void *L, const char *text, int more)
{
    if (!more && strcmp(text, "@on") == 0)
        lua_setwarnf(L, lh_lua_warn_on, L);
}

static inline void lh_lua_warn_on_with(void *L, const char *text, int more)
{
    fprintf(stderr, more ? "%s" : "%s\n", text);
    lua_setwarnf(L, more ? lh_lua_warn_on_with : lh_lua_warn_on, L);
}

static inline void lh_lua_warn_on(void *L, const char *text, int more)
{
    if (!more && *text == '@') {
        if (strcmp(text, "@off") == 0)
            lua_setwarnf(L, lh_lua_warn_off, L);
        return;
    }
    fputs("Lua warning: ", stderr);
    lh_lua_warn_on_with(L, text, more);
}
#endif

static inline void lh_lua_warn_when_asked(lua_State *L)
{
#if LH_LUA_54
    lua_setwarnf(L, lh_lua_warn_off, L);
#else
    (void)L;
#endif
}

#endif
