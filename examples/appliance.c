/*
 * A device whose web interface is a Lua script: a VM factory gives the script
 * the C functions device.temperature(), device.lamp([on]), device.power() and
 * device.modem(command).
 *
 * The last two take their time, and hold nobody up meanwhile: each suspends the
 * handler that has called it.  power() is answered by a thread of this program,
 * modem() by whatever is at the other end of a serial line.
 *
 * What happens without being asked for is published: a thread that measures the
 * temperature tells all browsers each reading by one call.
 *
 *     cc appliance.c $(pkg-config --cflags --libs lhttpd) -o appliance
 *     ./appliance appliance.lua [port]
 */
#define _XOPEN_SOURCE 700 /* for the pseudo-terminal */

#include <lhttpd.h>

#include <lauxlib.h>
#include <lua.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* How long our hardware thinks about a question, and how often it measures. */
#define ANSWER_MS  300
#define MEASURE_MS 500

/* Every worker thread has a VM, and all of them use the one device. */
struct device {
    _Atomic int lamp;

    /* The thermometer: a thread that measures and tells everybody. */
    lhttpd_server_t *server;
    pthread_t thermometer;
    _Atomic double celsius;
    atomic_bool over;

    /* The meter: a thread that answers one question after the other. */
    pthread_t meter;
    int questions[2]; /* a pipe of struct question * */

    /* The modem: a serial line for one conversation at a time. */
    pthread_t modem;
    int line, far_end;
    atomic_flag line_in_use;
};

static struct device *device_of(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* The last reading.  Functions like this one run on the worker threads, several
 * at once, and must not block. */
static int temperature(lua_State *L)
{
    lua_pushnumber(L, atomic_load(&device_of(L)->celsius));
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

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

/* --- a thread that tells everybody -----------------------------------------
 */

/* The real thing would read a sensor, and block in that as long as it likes.
 * Publishing never does; while the server does not serve, nobody is told. */
static void *run_thermometer(void *arg)
{
    struct device *device = arg;
    char text[40];

    for (unsigned n = 1; !atomic_load(&device->over); n++) {
        double celsius = 20.0 + (n % 50) / 10.0;
        int length = snprintf(text, sizeof(text), "temperature %.1f", celsius);
        atomic_store(&device->celsius, celsius);
        lhttpd_server_publish(device->server, "device", text, (size_t)length);
        sleep_ms(MEASURE_MS);
    }
    return NULL;
}

/* --- a thread that knows the answer ----------------------------------------
 */

struct question {
    lhttpd_task_t *task;
    long asked_ms;
    double watts;
};

static long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Runs on the worker again: what it pushes are the results of power().  With L
 * NULL the handler has gone meanwhile. */
static int push_power(lua_State *L, void *data)
{
    struct question *question = data;

    if (L)
        lua_pushnumber(L, question->watts);
    free(question);
    return 1;
}

/* Every question has its answer ANSWER_MS after it was asked, however many
 * there are. */
static void *run_meter(void *arg)
{
    struct device *device = arg;
    struct question *q;

    while (read(device->questions[0], &q, sizeof(q)) == sizeof(q)) {
        long wait = q->asked_ms + ANSWER_MS - now_ms();
        if (wait > 0)
            sleep_ms(wait);
        q->watts = atomic_load(&device->lamp) ? 7.5 : 0.5;
        if (lhttpd_task_resume(q->task, push_power, q) < 0)
            free(q); /* nobody waits any more */
    }
    return NULL;
}

/* power(): in watts, or nil and why not. */
static int power(lua_State *L)
{
    struct device *device = device_of(L);
    lhttpd_task_t *task = lhttpd_task_begin(L);
    struct question *question = task ? malloc(sizeof(*question)) : NULL;

    if (!question)
        return luaL_error(L, "power: cannot wait here");
    *question = (struct question){task, now_ms(), 0};
    if (write(device->questions[1], &question, sizeof(question)) < 0) {
        free(question);
        return luaL_error(L, "power: the meter has no time");
    }
    return lhttpd_task_suspend(L, task, 5000);
}

/* --- a serial line ---------------------------------------------------------
 */

struct conversation {
    struct device *device;
    size_t n;
    char answer[80];
};

/* Collects the answer up to its end of line, as it comes. */
static int hear_modem(lua_State *L, int outcome, void *data)
{
    struct conversation *talk = data;
    struct device *device = talk->device;
    char *end = NULL;

    if (L && outcome == 0) {
        size_t room = sizeof(talk->answer) - talk->n;
        ssize_t n = read(device->line, talk->answer + talk->n, room);
        talk->n += n > 0 ? (size_t)n : 0;
        end = memchr(talk->answer, '\n', talk->n);
        if (!end && n > 0 && talk->n < sizeof(talk->answer))
            return lhttpd_task_wait_fd(L, device->line, LHTTPD_WAIT_READ, 5000,
                                       hear_modem, talk);
    }
    atomic_flag_clear(&device->line_in_use);
    if (L && end)
        lua_pushlstring(L, talk->answer, (size_t)(end - talk->answer));
    else if (L)
        lua_pushnil(L);
    free(talk);
    if (!L || end)
        return 1;
    lua_pushstring(L, outcome ? lhttpd_strerror(outcome) : "no answer");
    return 2;
}

/* modem(command): its answer, or nil and why not. */
static int modem(lua_State *L)
{
    struct device *device = device_of(L);
    const char *command = luaL_checkstring(L, 1);
    struct conversation *talk;

    if (atomic_flag_test_and_set(&device->line_in_use)) {
        lua_pushnil(L);
        lua_pushstring(L, "busy");
        return 2;
    }
    talk = calloc(1, sizeof(*talk));
    if (!talk || write(device->line, command, strlen(command)) < 0 ||
        write(device->line, "\n", 1) < 0) {
        atomic_flag_clear(&device->line_in_use);
        free(talk);
        return luaL_error(L, "modem: the line is dead");
    }
    talk->device = device;
    tcdrain(device->line);
    return lhttpd_task_wait_fd(L, device->line, LHTTPD_WAIT_READ, 5000,
                               hear_modem, talk);
}

/* The far end of the line; a real device is a real one. */
static void *run_modem(void *arg)
{
    const struct device *device = arg;
    char command[80];
    ssize_t n;

    while ((n = read(device->far_end, command, sizeof(command))) > 0) {
        static const char signal[] = "+CSQ: 17,0\n", unknown[] = "ERROR\n";
        int known = n >= 6 && memcmp(command, "AT+CSQ", 6) == 0;
        sleep_ms(ANSWER_MS);
        if (write(device->far_end, known ? signal : unknown,
                  known ? sizeof(signal) - 1 : sizeof(unknown) - 1) < 0)
            break;
    }
    return NULL;
}

/* A pseudo-terminal: what is written to one end is read at the other. */
static int open_line(struct device *device)
{
    struct termios raw;

    device->far_end = posix_openpt(O_RDWR | O_NOCTTY);
    if (device->far_end < 0 || grantpt(device->far_end) < 0 ||
        unlockpt(device->far_end) < 0)
        return -1;
    device->line = open(ptsname(device->far_end),
                        O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (device->line < 0 || tcgetattr(device->line, &raw) < 0)
        return -1;
    raw.c_iflag = raw.c_oflag = raw.c_lflag = 0;
    return tcsetattr(device->line, TCSANOW, &raw);
}

/* Signals are for the main thread. */
static int start_device(struct device *device)
{
    sigset_t all, before;
    int r = -1;

    atomic_store(&device->celsius, 20.0);
    atomic_flag_clear(&device->line_in_use);
    if (pipe(device->questions) < 0 || open_line(device) < 0)
        return -1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (pthread_create(&device->meter, NULL, run_meter, device) == 0 &&
        pthread_create(&device->modem, NULL, run_modem, device) == 0 &&
        pthread_create(&device->thermometer, NULL, run_thermometer, device) ==
            0)
        r = 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

/* Before the server goes: nothing is published from here on. */
static void stop_telling(struct device *device)
{
    atomic_store(&device->over, true);
    pthread_join(device->thermometer, NULL);
}

/* After the server: nobody asks any more.  What was asked is answered still, to
 * nobody. */
static void stop_device(struct device *device)
{
    close(device->questions[1]);
    pthread_join(device->meter, NULL);
    close(device->questions[0]);
    close(device->line); /* the modem's read fails */
    pthread_join(device->modem, NULL);
    close(device->far_end);
}

/* --- the server ------------------------------------------------------------
 */

/* Called for each VM before its script, with the factory's context. */
static int setup(lua_State *L)
{
    void *device = lua_touserdata(L, 1);

    static const luaL_Reg functions[] = {{"temperature", temperature},
                                         {"lamp", lamp},
                                         {"power", power},
                                         {"modem", modem}};

    lua_newtable(L);
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        lua_pushlightuserdata(L, device);
        lua_pushcclosure(L, functions[i].func, 1);
        lua_setfield(L, -2, functions[i].name);
    }
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
    static struct device device;

    if (lhttpd_server_create(&server, NULL) < 0) {
        fprintf(stderr, "appliance: %s\n", lhttpd_server_error(NULL));
        return 1;
    }
    device.server = server;
    if (start_device(&device) < 0) {
        perror("appliance: the device");
        return 1;
    }
    if (start(server, &device, script, port) < 0) {
        fprintf(stderr, "appliance: %s\n", lhttpd_server_error(server));
        stop_telling(&device);
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
    stop_telling(&device);
    lhttpd_server_destroy(server);
    stop_device(&device);
    return 0;
}
