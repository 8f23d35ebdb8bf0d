/*
 * A server in a program's own poll() loop: no thread but this one.  The program
 * has something else to do, too: it counts the lines of its standard input.
 *
 *     cc loop_poll.c $(pkg-config --cflags --libs lhttpd) -o loop_poll
 *     ./loop_poll [port]
 */
#include <lhttpd.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char script[] =
    "httpd.register_handler('/', function()\n"
    "    httpd.sleep(0.01) -- others are served meanwhile\n"
    "    httpd.write(nil, 'Hello from a poll loop.\\n')\n"
    "end)\n";

static lhttpd_server_t *server;

static void on_signal(int number)
{
    (void)number;
    lhttpd_server_shutdown(server, 1000);
}

static int start(int port)
{
    int r = lhttpd_server_listen(server, "127.0.0.1", port, 0);

    if (r >= 0)
        r = lhttpd_server_map_source(server, "/", "poll", script,
                                     strlen(script));
    return r < 0 ? r : lhttpd_server_attach(server);
}

int main(int argc, char *argv[])
{
    int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 8080, r = 1;
    unsigned long lines = 0;
    char text[4096];

    if (lhttpd_server_create(&server, NULL) < 0 || start(port) < 0) {
        fprintf(stderr, "loop_poll: %s\n", lhttpd_server_error(server));
        return 1;
    }
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    printf("http://127.0.0.1:%d/\n", lhttpd_server_port(server, 0));
    fflush(stdout);

    struct pollfd p[2] = {{lhttpd_server_fd(server), POLLIN, 0},
                          {STDIN_FILENO, POLLIN, 0}};
    while (r == 1) {
        if (poll(p, 2, -1) < 0)
            continue; /* a signal */
        if (p[1].revents) {
            ssize_t n = read(STDIN_FILENO, text, sizeof(text));
            for (ssize_t i = 0; i < n; i++)
                lines += text[i] == '\n';
            if (n <= 0)
                p[1].fd = -1;
        }
        if (p[0].revents)
            r = lhttpd_server_run_once(server, 0);
    }
    lhttpd_server_destroy(server);
    printf("%lu lines\n", lines);
    return r < 0;
}
