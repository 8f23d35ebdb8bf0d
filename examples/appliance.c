/*
 * A device whose web interface is a Lua script: a VM factory gives the script
 * two C functions, device.temperature() and device.lamp([on]).
 *
 *     cc appliance.c $(pkg-config --cflags --libs lhttpd) -o appliance
 *     ./appliance appliance.lua [port]
 */
#include <lhttpd.h>

#include <lauxlib.h>
#include <lua.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Every worker thread has a VM, and all of them use the one device. */
struct device {
    _Atomic int lamp;
    _Atomic unsigned measured;
};

static struct device *device_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* The real thing would read a register.  Functions like this one run on the
 * worker threads, several at once, and must not block. */
static int temperature(lua_State *L)
{
    unsigned n = atomic_fetch_add(&device_of(L)->measured, 1);

    lua_pushnumber(L, 20.0 + (n % 10) / 10.0);
    return 1;
}

/* Tells whether the lamp is on; with an argument, switches it first. */
static int lamp(lua_State *L)
{
    struct device *device = device_of(L);

    if (!lua_isnoneornil(L, 1))
        atomic_store(&device->lamp, lua_toboolean(L, 1));
    lua_pushboolean(L, atomic_load(&device->lamp));
    return 1;
}

/* Called for each VM before its script, with the factory's context. */
static int setup(lua_State *L)
{
    void *device = lua_touserdata(L, 1);

    lua_newtable(L);
    lua_pushlightuserdata(L, device);
    lua_pushcclosure(L, temperature, 1);
    lua_setfield(L, -2, "temperature");
    lua_pushlightuserdata(L, device);
    lua_pushcclosure(L, lamp, 1);
    lua_setfield(L, -2, "lamp");
    lua_setglobal(L, "device");
    return 0;
}

static int start(lhttpd_server_t *server, struct device *device,
                 const char *script, int port)
{
    lhttpd_vm_factory_t factory = lhttpd_vm_factory_init();

    factory.lua_version = LUA_VERSION_NUM;
    factory.context = device;
    factory.setup = setup;
    int r = lhttpd_server_listen(server, "127.0.0.1", port, 0);
    if (r >= 0)
        r = lhttpd_server_register_vm_factory(server, "/", &factory);
    if (r >= 0)
        r = lhttpd_server_map_script(server, "/", script);
    return r < 0 ? r : lhttpd_server_start(server);
}

static lhttpd_server_t *server;

/* In any thread: shutdown begins the stop, for which wait waits. */
static void on_signal(int which)
{
    (void)which;
    lhttpd_server_shutdown(server, 1000);
}

int main(int argc, char *argv[])
{
    const char *script = argc > 1 ? argv[1] : "appliance.lua";
    int port = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 8080;
    struct device device = {0, 0};

    if (lhttpd_server_create(&server, NULL) < 0) {
        fprintf(stderr, "appliance: %s\n", lhttpd_server_error(NULL));
        return 1;
    }
    if (start(server, &device, script, port) < 0) {
        fprintf(stderr, "appliance: %s\n", lhttpd_server_error(server));
        lhttpd_server_destroy(server);
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("http://127.0.0.1:%d/\n", lhttpd_server_port(server, 0));
    fflush(stdout);
    lhttpd_server_wait(server);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    lhttpd_server_destroy(server);
    return 0;
}
