/*
 * A server in a program's own GLib loop, as GTK programs have one: no thread
 * but this one.  The program has something else to do, too: a timer counts.
 *
 *     cc loop_glib.c $(pkg-config --cflags --libs lhttpd glib-2.0) -o loop_glib
 *     ./loop_glib [port]
 */
#include <lhttpd.h>

#include <glib-unix.h>
#include <glib.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char script[] =
    "httpd.register_handler('/', function()\n"
    "    httpd.sleep(0.01) -- others are served meanwhile\n"
    "    httpd.write(nil, 'Hello from GLib.\\n')\n"
    "end)\n";

static lhttpd_server_t *server;
static unsigned long ticks;

static gboolean on_tick(gpointer data)
{
    (void)data;
    ticks++;
    return G_SOURCE_CONTINUE;
}

/* The descriptor covers times too, so there is nothing else to watch.  It is
 * closed by the stop, so this source ends first. */
static gboolean on_readable(gint fd, GIOCondition condition, gpointer loop)
{
    (void)fd;
    (void)condition;
    if (lhttpd_server_run_once(server, 0) == 1)
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

static gboolean on_signal(gpointer data)
{
    (void)data;
    lhttpd_server_shutdown(server, 1000);
    return G_SOURCE_CONTINUE;
}

static int start(int port)
{
    int r = lhttpd_server_listen(server, "127.0.0.1", port, 0);

    if (r >= 0)
        r = lhttpd_server_map_source(server, "/", "glib", script,
                                     strlen(script));
    return r < 0 ? r : lhttpd_server_attach(server);
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8080;
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);

    if (lhttpd_server_create(&server, NULL) < 0 || start(port) < 0) {
        fprintf(stderr, "loop_glib: %s\n", lhttpd_server_error(server));
        return 1;
    }
    g_unix_fd_add(lhttpd_server_fd(server), G_IO_IN, on_readable, loop);
    g_timeout_add(10, on_tick, NULL);
    g_unix_signal_add(SIGINT, on_signal, NULL);
    g_unix_signal_add(SIGTERM, on_signal, NULL);
    printf("http://127.0.0.1:%d/\n", lhttpd_server_port(server, 0));
    fflush(stdout);

    g_main_loop_run(loop);
    lhttpd_server_destroy(server);
    g_main_loop_unref(loop);
    printf("%lu ticks\n", ticks);
    return 0;
}
