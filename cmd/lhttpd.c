/* The server binary (docs/lhttpd.8): its command line becomes library calls. */
#include <lhttpd.h>

#include <err.h>
#include <getopt.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_MS 10000 /* for requests under way at the first signal */
#define ARGS_MAX 1024
#define DIGITS   "0123456789"
#define OPTIONS  "+l:c:k:a:p:u:r:w:o:fdtVh"

static const char help[] =
    "usage: lhttpd [options] -l prefix script [-l prefix script ...]\n"
    "  -l prefix script  serve the URLs below prefix with a Lua script\n"
    "  -c file -k file   certificate chain and key: HTTPS; repeatable pair\n"
    "  -a address        a numeric address or unix:/path; default: all\n"
    "  -p port           default: 443 with a certificate, 80 without\n"
    "  -u user           become this user: name, uid or uid:gid\n"
    "  -r directory      chroot: scripts inside, certificates outside\n"
    "  -w workers        threads; default: one for each CPU\n"
    "  -f                stay in the foreground, log to standard error\n"
    "  -d [level]        log more: 1 clients' troubles, 2 (default) all\n"
    "  -o name=value     set a limit or setting; lhttpd(8) lists them\n"
    "  -t, -V, -h        test certificates and scripts; version; this help";
static const struct option words[] = {
    {"help", 0, NULL, 'h'}, {"version", 0, NULL, 'V'}, {NULL, 0, NULL, 0}};
static const char *given[128]; /* by option letter: its argument */
static const char *mappings[ARGS_MAX], *settings[ARGS_MAX]; /* pairs */
static const char *addresses[ARGS_MAX]; /* each is served at each of: */
static int ports[ARGS_MAX];
static lhttpd_certificate_t certificates[ARGS_MAX];
static unsigned mappings_n, settings_n, addresses_n, ports_n, pairs_n, keys_n;
static lhttpd_config_t config = {.size = sizeof(config)};
static lhttpd_server_t *server;
static _Atomic int hangups, stops, serving; /* a signal finds any thread */
static sem_t news; /* a signal came, in whatever thread */
static const int sigs[] = {SIGPIPE, SIGXFSZ, SIGHUP, SIGTERM, SIGINT, SIGUSR1};

static int number(int c, int min, int max)
{
    const char *text = given[c];
    long n = strtol(text, NULL, 10);

    if (!*text || text[strspn(text, DIGITS)] || n < min || n > max)
        errx(2, "-%c '%s': not a number from %d to %d", c, text, min, max);
    return (int)n;
}

/* -l has two arguments; getopt knows of the first alone. */
static void add_mapping(char *next)
{
    if (!next || *next == '-' || *given['l'] == '-')
        errx(2, "-l '%s': give two arguments: -l prefix script", optarg);
    mappings[mappings_n++] = optarg;
    mappings[mappings_n++] = next;
}

static void set_option(int c, char *argv[])
{
    if (strchr("?hV", c)) /* ?: getopt has said why */
        exit(c == '?' ? 2 : puts(c == 'h' ? help : lhttpd_version()) < 0);
    if (given[c] && strchr("durw", c))
        errx(2, "-%c is given twice", c);
    given[c] = optarg ? optarg : "";
    if (c == 'l')
        add_mapping(argv[optind++]);
    else if (c == 'c')
        certificates[pairs_n++].chain_file = optarg;
    else if (c == 'k')
        certificates[keys_n++].key_file = optarg;
    else if (c == 'a')
        addresses[addresses_n++] = optarg;
    else if (c == 'p')
        ports[ports_n++] = number(c, 0, 65535);
    else if (c == 'w')
        config.workers = (unsigned)number(c, 1, 1024);
    else if (c == 'o') {
        settings[settings_n++] = strsep(&optarg, "=");
        settings[settings_n++] = optarg ? optarg : "";
    } else if (c == 'd') /* may be followed by a number */
        given[c] =
            argv[optind] && strspn(argv[optind], DIGITS) ? argv[optind++] : "2";
}

static void parse(int argc, char *argv[])
{
    int c;

    if (argc > ARGS_MAX)
        errx(2, "more than %d arguments", ARGS_MAX);
    while ((c = getopt_long(argc, argv, OPTIONS, words, NULL)) != -1)
        set_option(c, argv);
    if (optind < argc)
        errx(2, "'%s': not an option (lhttpd -h shows all)", argv[optind]);
    if (pairs_n != keys_n)
        errx(2, "each certificate (-c) needs its key (-k)");
    if (!mappings_n)
        errx(2, "nothing to serve: give -l prefix script");
    c = LHTTPD_LOG_NOTICE + (given['d'] ? number('d', 0, 2) : 0);
    config.log_level = (lhttpd_log_level_t)c;
    addresses_n += !addresses_n; /* NULL: all addresses */
    if (!ports_n)
        ports[ports_n++] = keys_n ? 443 : 80;
}

/* The words are with the server, or with what failed without one. */
static void need(int result)
{
    if (result < 0)
        errx(1, "%s",
             lhttpd_server_error(*lhttpd_server_error(server) ? server : NULL));
}

static void make_server(void)
{
    need(lhttpd_server_create(&server, &config));
    if (given['u']) /* what is wrong with it, confine says */
        lhttpd_server_set(server, "unix_owner", given['u']);
    for (unsigned i = 0; i < settings_n; i += 2)
        if (lhttpd_server_set(server, settings[i], settings[i + 1]) < 0)
            errx(2, "-o %s", lhttpd_server_error(server));
}

static void set_up(void)
{
    for (unsigned i = 0; !given['t'] && i < addresses_n * ports_n; i++) {
        const char *address = addresses[i / ports_n];
        if (i % ports_n == 0 || !address || strncmp(address, "unix:", 5) != 0)
            need(lhttpd_server_listen(server, address, ports[i % ports_n],
                                      keys_n ? LHTTPD_LISTEN_TLS : 0));
    }
    for (unsigned i = 0; i < keys_n; i++) {
        certificates[i].size = sizeof(certificates[i]);
        need(lhttpd_server_add_certificate(server, &certificates[i]));
    }
    need(lhttpd_process_confine(given['u'], given['r']));
    for (unsigned i = 0; i < mappings_n; i += 2)
        need(lhttpd_server_map_script(server, mappings[i], mappings[i + 1]));
}

/* In any thread.  A second stop ends start or reload, or cuts the grace. */
static void on_signal(int which)
{
    hangups |= which == SIGHUP;
    if (which == SIGTERM || which == SIGINT) {
        if (stops && !serving)
            _Exit(1);
        lhttpd_server_shutdown(server, stops++ ? 0 : GRACE_MS);
    }
    sem_post(&news);
}

static int serve(lhttpd_daemon_t *daemon)
{
    serving = 1;
    if (config.syslog_name)
        need(lhttpd_process_ready(daemon));
    for (; !stops; sem_wait(&news))
        if (hangups) {
            serving = hangups = 0;
            if (lhttpd_server_reload(server) < 0)
                lhttpd_server_log(server, LHTTPD_LOG_ERROR,
                                  lhttpd_server_error(server));
            serving = 1;
        }
    lhttpd_server_shutdown(server, GRACE_MS);
    int r = lhttpd_server_wait(server);
    signal(SIGTERM, SIG_IGN); /* there is no server soon */
    signal(SIGINT, SIG_IGN);
    if (r < 0)
        lhttpd_server_log(server, LHTTPD_LOG_ERROR,
                          lhttpd_server_error(server));
    lhttpd_server_destroy(server);
    return r < 0 && r != LHTTPD_ECUT;
}

int main(int argc, char *argv[])
{
    lhttpd_daemon_t daemon = lhttpd_daemon_init();

    need(lhttpd_process_prepare());
    setvbuf(stdout, NULL, _IOLBF, 0); /* print: a pipe gets lines at once */
    parse(argc, argv);
    config.syslog_name = given['f'] || given['t'] ? NULL : "lhttpd";
    make_server(); /* before it forks: mistakes in -o are told at once */
    need(config.syslog_name ? lhttpd_process_daemonize(&daemon)
                            : lhttpd_process_supervise());
    sem_init(&news, 0, 0);
    for (unsigned i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++)
        signal(sigs[i], on_signal); /* children would inherit SIG_IGN */
    set_up();
    need((given['t'] ? lhttpd_server_check : lhttpd_server_start)(server));
    return given['t'] ? puts("certificates and scripts can be used") < 0
                      : serve(&daemon);
}
