/* lhttpd, the server binary: a command line turned into calls of liblhttpd, by
 * its public header alone.  docs/lhttpd.8 describes the options. */
#include <lhttpd.h>

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#define GRACE_MS 10000 /* for requests under way at the first signal */
#define ARGS_MAX 1024
#define DIGITS   "0123456789"

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

static const char *given[128]; /* by option letter: its argument */
static const char *mappings[ARGS_MAX], *settings[ARGS_MAX]; /* pairs */
static lhttpd_certificate_t certificates[ARGS_MAX];
static unsigned mappings_n, certificates_n, keys_n, settings_n;
static lhttpd_config_t config = {.size = sizeof(config)};
static lhttpd_server_t *server;
static volatile sig_atomic_t stops, stopping;

static int number(int option, int fallback, int min, int max)
{
    const char *text = given[option];
    long n = text ? strtol(text, NULL, 10) : fallback;

    if (text && (!*text || text[strspn(text, DIGITS)] || n < min || n > max))
        errx(2, "-%c '%s': not a number from %d to %d", option, text, min, max);
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
    if (c == '?') /* getopt has said why */
        exit(2);
    given[c] = optarg ? optarg : "";
    if (c == 'l')
        add_mapping(argv[optind++]);
    else if (c == 'c')
        certificates[certificates_n++].chain_file = optarg;
    else if (c == 'k')
        certificates[keys_n++].key_file = optarg;
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
    while ((c = getopt(argc, argv, "+l:c:k:a:p:u:r:w:o:fdtVh")) != -1)
        set_option(c, argv);
    if (optind < argc)
        errx(2, "'%s': not an option (lhttpd -h shows all)", argv[optind]);
    if (certificates_n != keys_n)
        errx(2, "each certificate (-c) needs its key (-k)");
    if (!mappings_n && !given['h'] && !given['V'])
        errx(2, "nothing to serve: give -l prefix script");
    config.workers = (unsigned)number('w', 0, 1, 1024);
    config.log_level =
        (lhttpd_log_level_t)(LHTTPD_LOG_NOTICE + number('d', 0, 0, 2));
}

static void log_to_syslog(void *context, const lhttpd_log_entry_t *e)
{
    (void)context; /* LHTTPD_LOG_ERROR is 1 and LOG_ERR 3, and so on */
    syslog((int)e->level + 2, "%s [%s] [%s]", e->message,
           e->client ? e->client : "", e->request ? e->request : "");
}

static void say(const char *words)
{
    config.log ? syslog(LOG_WARNING, "%s", words) : warnx("%s", words);
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

static void set_up(int port)
{
    make_server();
    if (!given['t'])
        need(lhttpd_server_listen(server, given['a'], port,
                                  keys_n ? LHTTPD_LISTEN_TLS : 0));
    for (unsigned i = 0; i < keys_n; i++) {
        certificates[i].size = sizeof(certificates[i]);
        need(lhttpd_server_add_certificate(server, &certificates[i]));
    }
    need(lhttpd_process_confine(given['u'], given['r']));
    for (unsigned i = 0; i < mappings_n; i += 2)
        need(lhttpd_server_map_script(server, mappings[i], mappings[i + 1]));
}

/* A first stop is remembered; a second ends the start, or cuts the grace. */
static void on_signal(int which)
{
    if (which == SIGPIPE || !stops++)
        return;
    if (!stopping)
        _exit(1);
    lhttpd_server_shutdown(server, 0);
}

static int serve(lhttpd_daemon_t *daemon)
{
    sigset_t set;
    int r, got;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (config.log)
        need(lhttpd_process_ready(daemon));
    while (!stops && sigwait(&set, &got) == 0 && got == SIGHUP)
        say("SIGHUP is ignored: restart lhttpd to load scripts anew");
    lhttpd_server_shutdown(server, GRACE_MS);
    stops = stopping = 1;
    sigdelset(&set, SIGHUP);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    r = lhttpd_server_wait(server);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* there is no server soon */
    if (r < 0)
        say(lhttpd_server_error(server));
    lhttpd_server_destroy(server);
    return r < 0 && r != LHTTPD_ECUT;
}

int main(int argc, char *argv[])
{
    lhttpd_daemon_t daemon = lhttpd_daemon_init();
    struct rlimit files;

    parse(argc, argv);
    if (given['h'] || given['V'])
        return puts(given['h'] ? help : lhttpd_version()) < 0;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0)
        setrlimit(RLIMIT_NOFILE,
                  &(struct rlimit){files.rlim_max, files.rlim_max});
    int port = number('p', keys_n ? 443 : 80, 0, 65535);
    make_server(); /* once more below: mistakes in -o are told at once */
    lhttpd_server_destroy(server);
    if (!given['f'] && !given['t']) {
        openlog("lhttpd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
        config.log = log_to_syslog;
        need(lhttpd_process_daemonize(&daemon));
    }
    set_up(port);
    signal(SIGPIPE, on_signal); /* not SIG_IGN: children would inherit that */
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    need((given['t'] ? lhttpd_server_check : lhttpd_server_start)(server));
    if (given['t'])
        return puts("certificates and scripts can be used") < 0;
    return serve(&daemon);
}
