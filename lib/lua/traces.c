/* LuaJIT's compiled traces: see traces.h. */
#include "lua/traces.h"

#include "base/mem.h"
#include "lua/vm.h"
#include "os/memory.h"

/* Asked once for each VM; the answer is the log's line. */
const char *lh_vm_no_traces(void)
{
    if (!LH_LUA_JIT)
        return NULL;
    if (lh_mem_is_given())
        return "scripts run without LuaJIT's compiled traces, slower: the "
               "program's allocator may refuse memory, and LuaJIT does not "
               "survive that in one";
    if (lh_memory_is_limited())
        return "scripts run without LuaJIT's compiled traces, slower: the "
               "memory of this process is limited (ulimit -v, -d), and LuaJIT "
               "does not survive a refusal in one";
    if (lh_memory_becomes_code())
        return NULL;
    return "scripts run without LuaJIT's compiled traces, slower: this system "
           "does not let memory become code (MemoryDenyWriteExecute, execmem)";
}

static int do_nothing(lua_State *L)
{
    (void)L;
    return 0;
}

/* A script that turns them on again would end the process. */
void lh_traces_off(lua_State *L)
{
    lh_lua_stop_compiling(L);
    lua_getglobal(L, "jit");
    if (lua_istable(L, -1)) {
        lua_pushcfunction(L, do_nothing);
        lua_setfield(L, -2, "on");
    }
    lua_pop(L, 1);
}

void lh_traces_prepare(lua_State *L)
{
    if (lh_vm_no_traces())
        lh_traces_off(L);
}
