/*
 * A server in a program's own libuv loop: no thread but this one.  The program
 * has something else to do, too: a timer counts.
 *
 *     cc loop_uv.c $(pkg-config --cflags --libs lhttpd libuv) -o loop_uv
 *     ./loop_uv [port]
 */
#include <lhttpd.h>

#include <uv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char script[] =
    "httpd.register_handler('/', function()\n"
    "    httpd.sleep(0.01) -- others are served meanwhile\n"
    "    httpd.write(nil, 'Hello from libuv.\\n')\n"
    "end)\n";

static lhttpd_server_t *server;
static unsigned long ticks;

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    ticks++;
}

/* The descriptor covers times too, so there is nothing else to watch. */
static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    if (lhttpd_server_run_once(server, 0) != 1)
        uv_stop(handle->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    lhttpd_server_shutdown(server, 1000);
}

static int start(int port)
{
    int r = lhttpd_server_listen(server, "127.0.0.1", port, 0);

    if (r >= 0)
        r = lhttpd_server_map_source(server, "/", "uv", script, strlen(script));
    return r < 0 ? r : lhttpd_server_attach(server);
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8080;
    uv_loop_t *loop = uv_default_loop();
    uv_signal_t interrupted, terminated;
    uv_timer_t timer;
    uv_poll_t ready;

    if (lhttpd_server_create(&server, NULL) < 0 || start(port) < 0) {
        fprintf(stderr, "loop_uv: %s\n", lhttpd_server_error(server));
        return 1;
    }
    uv_poll_init(loop, &ready, lhttpd_server_fd(server));
    uv_poll_start(&ready, UV_READABLE, on_readable);
    uv_timer_init(loop, &timer);
    uv_timer_start(&timer, on_tick, 10, 10);
    uv_signal_init(loop, &interrupted);
    uv_signal_start(&interrupted, on_signal, SIGINT);
    uv_signal_init(loop, &terminated);
    uv_signal_start(&terminated, on_signal, SIGTERM);
    printf("http://127.0.0.1:%d/\n", lhttpd_server_port(server, 0));
    fflush(stdout);

    uv_run(loop, UV_RUN_DEFAULT);
    uv_poll_stop(&ready); /* before the descriptor is closed */
    lhttpd_server_destroy(server);
    printf("%lu ticks\n", ticks);
    return 0;
}
