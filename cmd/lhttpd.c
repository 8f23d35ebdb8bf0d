/* The server binary (docs/lhttpd.8): its command line becomes library calls. */
#include <err.h>
#include <getopt.h>
#include <lhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE    10000 /* ms for requests under way at the first signal */
#define ARGS_MAX 1024
#define DIGITS   "0123456789"
#define OPTIONS  "+l:s:c:k:a:p:u:r:w:o:fdtVh"

static const char help[] =
    "usage: lhttpd [options] -l prefix script [-s prefix directory ...]\n"
    "  -l prefix script  serve the URLs below prefix with a Lua script\n"
    "  -s prefix dir     ... with the files of a directory; repeatable too\n"
    "  -c file -k file   certificate chain and key: HTTPS; repeatable pair\n"
    "  -a address        a numeric address or unix:/path; default: all\n"
    "  -p port[hsr][p]   for HTTP (h), HTTPS (s), to redirect to it (r), with\n"
    "                    the PROXY protocol (p); default: 443s or 80h\n"
    "  -u user           become this user: name, uid or uid:gid\n"
    "  -r directory      chroot: scripts inside, certificates outside\n"
    "  -w workers        threads; default: one for each CPU\n"
    "  -f                stay in the foreground, log to standard error\n"
    "  -d [level]        log more: 1 clients' troubles, 2 (default) all\n"
    "  -o name=value     set a limit or setting; lhttpd(8) lists them\n"
    "  -t, -V, -h        test certificates and scripts; version; this help";
static const struct option words[] = {
    {"help", 0, NULL, 'h'}, {"version", 0, NULL, 'V'}, {NULL, 0, NULL, 0}};
static struct {
    char *v[ARGS_MAX + 1]; /* NULL at the end */
    unsigned n;
} given[128]; /* by option letter: its arguments; -l and -s have two each */
static lhttpd_config_t config = {.size = sizeof(config)};
static lhttpd_server_t *server;

static void add(int c, char *argument)
{
    if (given[c].n == ARGS_MAX)
        errx(2, "-%c is given more than %d times", c, ARGS_MAX);
    given[c].v[given[c].n++] = argument;
}

static char *last(int c)
{
    return given[c].n ? given[c].v[given[c].n - 1] : NULL;
}

static int number(int c, const char *text, int min, int max)
{
    const char *end = text + strspn(text, DIGITS);
    long n = strtol(text, NULL, 10);

    if (end == text || (*end && c != 'p') || n < min || n > max)
        errx(2, "-%c '%s': not a number from %d to %d", c, text, min, max);
    return (int)n;
}

static void check_port(const char *port)
{
    const char *end = port + strspn(port, DIGITS);

    number('p', port, 0, 65535);
    end += *end && strchr("hsr", *end);
    if (*end && strcmp(end, "p") != 0)
        errx(2, "-p '%s': behind a port stand h, s or r, and p", port);
    if (strpbrk(port, "sr") && !given['c'].n)
        errx(2, "-p %s: HTTPS, or a way to it, needs -c and -k", port);
}

/* Without h, s and r the certificate says what is spoken. */
static unsigned flags_of(const char *port)
{
    int tls = strchr(port, 's') || (given['c'].n && !strpbrk(port, "hr"));

    return (tls ? LHTTPD_LISTEN_TLS : 0) |
           (strchr(port, 'r') ? LHTTPD_LISTEN_REDIRECT : 0) |
           (strchr(port, 'p') ? LHTTPD_LISTEN_PROXY : 0);
}

static void take_option(int c, char *argv[])
{
    char *next = argv[optind];

    if (strchr("?hV", c)) /* ?: getopt has said why */
        exit(c == '?' ? 2
                      : puts(c == 'h' ? help : lhttpd_version()) < 0 ||
                            (c == 'V' && puts(lhttpd_features()) < 0));
    if (last(c) && strchr("durw", c))
        errx(2, "-%c is given twice", c);
    if (c == 'd') /* may be followed by a number */
        optarg = next && strspn(next, DIGITS) ? argv[optind++] : "2";
    add(c, optarg);
    if (!strchr("ls", c))
        return;
    if (!next || *next == '-' || *optarg == '-')
        errx(2, "-%c '%s': give two arguments: prefix and path", c, optarg);
    add(c, argv[optind++]); /* getopt knows of the first alone */
}

static void parse(int argc, char *argv[])
{
    int c;

    while ((c = getopt_long(argc, argv, OPTIONS, words, NULL)) != -1)
        take_option(c, argv);
    if (optind < argc)
        errx(2, "'%s': not an option (lhttpd -h shows all)", argv[optind]);
    if (given['c'].n != given['k'].n)
        errx(2, "each certificate (-c) needs its key (-k)");
    if (!given['l'].n && !given['s'].n)
        errx(2, "nothing to serve: give -l prefix script or -s prefix dir");
    for (unsigned i = 0; i < given['p'].n; i++)
        check_port(given['p'].v[i]);
    config.workers = last('w') ? (unsigned)number('w', last('w'), 1, 1024) : 0;
    c = LHTTPD_LOG_NOTICE + (last('d') ? number('d', last('d'), 0, 2) : 0);
    config.log_level = (lhttpd_log_level_t)c;
    config.syslog_name = given['f'].n || given['t'].n ? NULL : "lhttpd";
}

/* Status 2: only another command line helps.  Words may be without a server. */
static int need(int result)
{
    if (result < 0)
        errx(result == LHTTPD_EINVAL ? 2 : 1, "%s",
             lhttpd_server_error(*lhttpd_server_error(server) ? server : NULL));
    return result;
}

/* Before it forks: mistakes in -o show, and a manager knows this process. */
static void make_server(void)
{
    need(lhttpd_server_create(&server, &config));
    for (unsigned i = 0; i < given['a'].n && last('u'); i++)
        if (strncmp(given['a'].v[i], "unix:", 5) == 0)
            lhttpd_server_set(server, "unix_owner", last('u'));
    for (unsigned i = 0; i < given['o'].n; i++) { /* ps shows it: not cut */
        const char *o = given['o'].v[i], *value = o + strcspn(o, "=");
        char name[64]; /* none is so long */
        snprintf(name, sizeof(name), "%.*s", (int)(value - o), o);
        need(lhttpd_server_set(server, name, value + (*value != '\0')));
    }
    if (!given['t'].n && lhttpd_server_notify(server) < 0)
        lhttpd_server_log(server, LHTTPD_LOG_WARNING,
                          lhttpd_server_error(server));
    if (need(lhttpd_server_listen_fds(server, flags_of(""))) && !last('a') &&
        !last('p'))
        return;
    if (!last('a'))
        add('a', NULL); /* all addresses */
    if (!last('p'))
        add('p', given['c'].n ? "443" : "80");
}

/* Each address is served at each port, but a unix socket has none. */
static void set_up(void)
{
    unsigned ports = given['p'].n, n = given['a'].n * ports;
    unsigned check = given['t'].n ? LHTTPD_LISTEN_CHECK : 0;

    for (unsigned i = 0; i < n; i++) {
        const char *to = given['a'].v[i / ports], *p = given['p'].v[i % ports];
        if (i % ports == 0 || !to || strncmp(to, "unix:", 5) != 0)
            need(lhttpd_server_listen(server, to, (int)strtol(p, NULL, 10),
                                      flags_of(p) | check));
    }
    for (unsigned i = 0; i < given['c'].n; i++) {
        lhttpd_certificate_t pair = {.size = sizeof(pair),
                                     .chain_file = given['c'].v[i],
                                     .key_file = given['k'].v[i]};
        need(lhttpd_server_add_certificate(server, &pair));
    }
    need(lhttpd_process_confine(last('u'), last('r')));
    for (char **v = given['l'].v; *v; v += 2)
        need(lhttpd_server_map_script(server, v[0], v[1]));
    for (char **v = given['s'].v; *v; v += 2)
        need(lhttpd_server_map_directory(server, v[0], v[1], NULL));
}

int main(int argc, char *argv[])
{
    lhttpd_daemon_t d = lhttpd_daemon_init();

    need(lhttpd_process_prepare());
    setvbuf(stdout, NULL, _IOLBF, 0); /* print: a pipe gets lines at once */
    parse(argc, argv);
    make_server();
    need(config.syslog_name ? lhttpd_process_daemonize(&d)
                            : lhttpd_process_supervise());
    set_up();
    if (given['t'].n)
        return need(lhttpd_server_check(server)) != 0 ||
               puts("certificates and scripts can be used") < 0;
    int r = lhttpd_process_serve(server, config.syslog_name ? &d : NULL, GRACE);
    if (r != LHTTPD_ECUT && r != LHTTPD_ESTUCK)
        need(r);
    lhttpd_server_destroy(server);
    return r == LHTTPD_ESTUCK;
}
