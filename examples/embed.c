/*
 * A program with a server inside: start, serve, stop.
 *
 *     cc embed.c $(pkg-config --cflags --libs lhttpd) -o embed
 *     ./embed [port]
 */
#include <lhttpd.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static const char script[] =
    "httpd.register_handler('/', function(env, header)\n"
    "    httpd.header { ['content-type'] = 'text/plain' }\n"
    "    httpd.write(nil, 'Hello from inside a C program.\\n')\n"
    "end)\n";

static int start(lhttpd_server_t *server, int port)
{
    int r = lhttpd_server_listen(server, "127.0.0.1", port, 0);

    if (r >= 0)
        r = lhttpd_server_map_source(server, "/", "embed", script,
                                     sizeof(script) - 1);
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
    int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8080;

    if (lhttpd_server_create(&server, NULL) < 0) {
        fprintf(stderr, "embed: %s\n", lhttpd_server_error(NULL));
        return 1;
    }
    if (start(server, port) < 0) {
        fprintf(stderr, "embed: %s\n", lhttpd_server_error(server));
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
