/*
 * The binary's main(), serving from a poll() loop of its own instead of by
 * threads: built as loop/lhttpd, where this file's functions take the place of
 * those of the library that cmd/lhttpd.c calls.  The end-to-end tests run on it
 * too (LHTTPD_E2E_PROGRAM=loop/lhttpd).
 *
 * It ends with status 3 where the process ever had another thread.  Files are
 * read in place (aio=inline) unless LHTTPD_AIO says otherwise, for helpers of
 * io_uring are threads of the process, too.
 */
#undef lhttpd_server_create
#undef lhttpd_process_serve
#include "lhttpd.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int loop_create(lhttpd_server_t **server, const lhttpd_config_t *config);
int loop_serve(lhttpd_server_t *server, lhttpd_daemon_t *daemon,
               unsigned grace_ms);

/* The thread sanitizer has a thread of its own. */
#ifdef __SANITIZE_THREAD__
#define THREADS 2
#else
#define THREADS 1
#endif

static lhttpd_server_t *volatile served; /* NULL: not any more */
static volatile sig_atomic_t stops, reload, reopen;
static unsigned grace;

static void on_signal(int number)
{
    if (number == SIGHUP)
        reload = 1;
    else if (number == SIGUSR1)
        reopen = 1;
    else if (number != SIGPIPE && number != SIGXFSZ && served)
        lhttpd_server_shutdown(served, stops++ ? 0 : grace);
}

static void catch_signals(void)
{
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGXFSZ};
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART; /* a script that loads may wait in open() */
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

/* Its tests ask for some number of workers. */
int loop_create(lhttpd_server_t **server, const lhttpd_config_t *config)
{
    lhttpd_config_t one = *config;

    one.workers = 1;
    int r = lhttpd_server_create(server, &one);
    if (r == 0 && !getenv("LHTTPD_AIO"))
        lhttpd_server_set(*server, "aio", "inline");
    return r;
}

static int count_threads(void)
{
    DIR *d = opendir("/proc/self/task");
    const struct dirent *entry;
    int n = 0;

    while (d && (entry = readdir(d)) != NULL)
        n += entry->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

/* Logs why something failed. */
static void expect_done(int r)
{
    if (r < 0)
        lhttpd_server_log(served, LHTTPD_LOG_ERROR,
                          lhttpd_server_error(served));
}

static void do_wishes(void)
{
    if (reload) {
        reload = 0;
        expect_done(lhttpd_server_reload(served));
    }
    if (reopen) {
        reopen = 0;
        expect_done(lhttpd_server_reopen(served));
    }
}

/* A signal between a look at the wishes and poll() is not missed for long. */
static int run_loop(void)
{
    struct pollfd p = {.fd = lhttpd_server_fd(served), .events = POLLIN};
    unsigned turns = 0;
    int r;

    do {
        poll(&p, 1, 1000);
        do_wishes();
        if (turns++ % 16 == 0 && !getenv("LHTTPD_AIO") &&
            count_threads() > THREADS) {
            fprintf(stderr, "loop: there is another thread\n");
            exit(3);
        }
        /* By the descriptor alone: what it does not tell is not done. */
        r = p.revents ? lhttpd_server_run_once(served, 0) : 1;
    } while (r == 1);
    return r;
}

int loop_serve(lhttpd_server_t *server, lhttpd_daemon_t *daemon,
               unsigned grace_ms)
{
    served = server;
    grace = grace_ms;
    catch_signals();
    int r = lhttpd_server_attach(server);
    if (r < 0)
        return r;
    if (stops) /* which came too early to be told */
        lhttpd_server_shutdown(server, grace);
    if (daemon)
        lhttpd_process_ready(daemon);
    r = run_loop();
    served = NULL;
    return r;
}
