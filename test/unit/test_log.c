/* The log: one clean line, whatever is in it. */
#include "base/log_rate.h"

#include "lib/deny.h"
#include "lib/forked.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static lhttpd_log_entry_t seen;
static char message[5000], script[2000], client[2000], request[2000];
static unsigned calls;

static const char *keep(char *to, const char *s)
{
    if (s)
        memcpy(to, s, strlen(s) + 1);
    return s ? to : NULL;
}

static void remember(void *context, const lhttpd_log_entry_t *entry)
{
    calls++;
    assert_ptr_equal(context, &calls);
    seen = *entry;
    seen.message = keep(message, entry->message);
    seen.script = keep(script, entry->script);
    seen.client = keep(client, entry->client);
    seen.request = keep(request, entry->request);
}

static const struct lh_log log_notice = {remember, &calls, LHTTPD_LOG_NOTICE};

static void test_levels(void **state)
{
    (void)state;
    calls = 0;
    lh_log(&log_notice, LHTTPD_LOG_INFO, NULL, "no");
    lh_log(&log_notice, LHTTPD_LOG_DEBUG, NULL, "no");
    assert_int_equal(calls, 0);
    assert_false(lh_log_wants(&log_notice, LHTTPD_LOG_INFO));
    lh_log(&log_notice, LHTTPD_LOG_NOTICE, NULL, "%d of %s", 3, "four");
    assert_int_equal(calls, 1);
    assert_string_equal(seen.message, "3 of four");
    assert_int_equal(seen.level, LHTTPD_LOG_NOTICE);
    assert_int_equal(seen.size, sizeof(seen));
    assert_null(seen.script);
    assert_null(seen.client);
    assert_null(seen.request);
    lh_log(&log_notice, LHTTPD_LOG_ERROR, NULL, "%s", "");
    assert_int_equal(calls, 2);
    assert_string_equal(seen.message, "");
}

static void test_escapes(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain ~ text", "plain ~ text"},
        {"one\ntwo\r\nthree\n", "one; two; three"},
        {"\n\n", ""},
        {"a\rb\tc\x1b[2Jd\x7f", "a\\x0db\\x09c\\x1b[2Jd\\x7f"},
        {"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"\xc2\x9b[2J", "\\xc2\\x9b[2J"}, /* a control: CSI */
        {"\xc2\x9f", "\\xc2\\x9f"},
        {"\xc2\xa0", "\xc2\xa0"},            /* the first that is none */
        {"\xc0\x8a", "\\xc0\\x8a"},          /* overlong newline */
        {"\xe0\x80\x8a", "\\xe0\\x80\\x8a"}, /* the same, longer */
        {"\xf0\x80\x80\x8a", "\\xf0\\x80\\x80\\x8a"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* U+110000 */
        {"\xff\xe2\x82", "\\xff\\xe2\\x82"},          /* cut off */
        {"\xe2\x82 \xac", "\\xe2\\x82 \\xac"},
        {"trace:\n\t\tone\n\ttwo\t!", "trace:; one; two\\x09!"},
        {"a\xe2\x80\xae.b", "a\\xe2\\x80\\xae.b"}, /* right to left */
        {"a\xe2\x80\xa8.b", "a\\xe2\\x80\\xa8.b"}, /* ends a line */
        {"a\xe2\x81\xa9.b", "a\\xe2\\x81\\xa9.b"},
        {"a\xe2\x80\xa7.b", "a\xe2\x80\xa7.b"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lh_log(&log_notice, LHTTPD_LOG_ERROR, NULL, "%s", cases[i].in);
        assert_string_equal(seen.message, cases[i].out);
    }
}

static void test_about_is_cleaned_too(void **state)
{
    const struct lh_log_about about = {
        "a.lua\n", "::1\x01", LH_STR("GET /\r\nforged: line HTTP/1.1"), NULL};

    (void)state;
    lh_log(&log_notice, LHTTPD_LOG_WARNING, &about, "m");
    assert_string_equal(seen.script, "a.lua");
    assert_string_equal(seen.client, "::1\\x01");
    assert_string_equal(seen.request, "GET /; forged: line HTTP/1.1");
}

/* Nothing hides behind a zero. */
static void test_zeroes(void **state)
{
    const struct lh_log_about about = {.request =
                                           LH_STR("GET /a\0/b HTTP/1.1")};

    (void)state;
    lh_log_text(&log_notice, LHTTPD_LOG_ERROR, &about,
                LH_STR("\0one\0two\0\n"));
    assert_string_equal(seen.message, "\\x00one\\x00two\\x00");
    assert_string_equal(seen.request, "GET /a\\x00/b HTTP/1.1");
}

/* All lengths round the limit; what is cut ends in dots, never in the middle
 * of an escape or a character. */
static void test_cut(void **state)
{
    static const char *const units[] = {"a", "\xc3\xa4", "\xf0\x9f\x98\x80",
                                        "\x01", "\nx"};
    static char in[3 * 4096 + 10];
    struct lh_log_about about = {.request = {in, 0}};

    (void)state;
    for (size_t u = 0; u < 5; u++) {
        size_t n = strlen(units[u]);
        for (size_t length = 4000; length < 4200; length++) {
            size_t at = 0;
            for (; at + n <= length; at += n)
                memcpy(in + at, units[u], n);
            memcpy(in + at, "!", 2);
            about.request.n = at + 1;
            lh_log(&log_notice, LHTTPD_LOG_ERROR, &about, "%s", in);
            size_t got = strlen(seen.message);
            assert_true(got <= 4096);
            assert_true(strlen(seen.request) < 1024);
            if (seen.message[got - 1] == '!')
                continue;
            assert_string_equal(seen.message + got - 3, "...");
            if (u == 1 || u == 2)
                assert_int_equal((got - 3) % n, 0);
            else if (u == 3)
                assert_int_equal((got - 3) % 4, 0);
        }
    }
    memset(in, 'b', 3 * 4096);
    in[3 * 4096] = '\0';
    lh_log(&log_notice, LHTTPD_LOG_ERROR, NULL, "%s", in);
    assert_true(strlen(seen.message) > 4080);
}

/* Runs lh_log_to_stderr() with a pipe as standard error. */
static size_t on_stderr(lhttpd_log_level_t level,
                        const struct lh_log_about *about, const char *words,
                        char *out, size_t room)
{
    struct lh_log_sink sink;
    const struct lh_log log = {lh_log_to_stderr, &sink, LHTTPD_LOG_DEBUG};
    int ends[2], old = dup(STDERR_FILENO);

    lh_log_sink_init(&sink, NULL);
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    lh_log(&log, level, about, "%s", words);
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    close(old);
    close(ends[1]);
    ssize_t n = read(ends[0], out, room - 1);
    close(ends[0]);
    assert_true(n > 0);
    out[n] = '\0';
    return (size_t)n;
}

static void test_stderr(void **state)
{
    struct lh_log_about about = {"a.lua", "127.0.0.1", LH_STR("GET / HTTP/1.1"),
                                 "0af3"};
    static char out[20000], longest[5000];
    const size_t date = strlen("2026-11-23T20:39:39Z");

    (void)state;
    on_stderr(LHTTPD_LOG_WARNING, &about, "it rains", out, sizeof(out));
    assert_string_equal(
        out + date, " warning: it rains [a.lua] [127.0.0.1] [GET / HTTP/1.1] "
                    "[id 0af3]\n");
    assert_int_equal(out[4], '-');
    assert_int_equal(out[10], 'T');
    assert_int_equal(out[date - 1], 'Z');
    about.client = NULL;
    on_stderr(LHTTPD_LOG_WARNING, &about, "it rains", out, sizeof(out));
    assert_string_equal(out + date,
                        " warning: it rains [a.lua] [GET / HTTP/1.1] "
                        "[id 0af3]\n");
    on_stderr(LHTTPD_LOG_WARNING, NULL, "", out, sizeof(out));
    assert_string_equal(out + date, " warning: \n");
    memset(longest, 'x', sizeof(longest) - 1);
    about = (struct lh_log_about){longest, longest, lh_str_of(longest), NULL};
    size_t n = on_stderr(LHTTPD_LOG_WARNING, &about, longest, out, sizeof(out));
    assert_true(n > 4096 + 3 * 1000);
    assert_int_equal(out[n - 1], '\n');
    assert_null(memchr(out, '\n', n - 1));
}

static void test_stderr_levels(void **state)
{
    static const char *const names[] = {"notice", "error", "warning",
                                        "notice", "info",  "debug"};
    char out[100], expected[20];

    (void)state;
    for (unsigned i = LHTTPD_LOG_DEFAULT; i <= LHTTPD_LOG_DEBUG; i++) {
        on_stderr((lhttpd_log_level_t)i, NULL, "m", out, sizeof(out));
        snprintf(expected, sizeof(expected), " %s: m\n", names[i]);
        assert_string_equal(out + strlen("2026-11-23T20:39:39Z"), expected);
    }
}

/* Logging when nobody listens any more is no error and keeps errno. */
static void test_stderr_closed(void **state)
{
    const lhttpd_log_entry_t entry = {
        .size = sizeof(entry), .level = LHTTPD_LOG_ERROR, .message = "m"};
    struct lh_log_sink sink;
    int old = dup(STDERR_FILENO);

    (void)state;
    lh_log_sink_init(&sink, NULL);
    close(STDERR_FILENO);
    errno = ERANGE;
    lh_log_to_stderr(&sink, &entry);
    int after = errno;
    assert_true(dup2(old, STDERR_FILENO) >= 0);
    close(old);
    assert_int_equal(after, ERANGE);
}

/* ---- readers that stall -------------------------------------------------- */

/* In children cmocka's own checks would return into the parent's tests. */
#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            dprintf(told, "line %d: %s\n", __LINE__, #what);                   \
            test_forked_end(1);                                                \
        }                                                                      \
    } while (0)

static int told; /* the test's own standard error */

/* What standard error may be: reader and writer. */
static void open_pipe(int fds[2])
{
    CHECK(pipe(fds) == 0);
}

static void open_fifo(int fds[2])
{
    char path[] = "/tmp/lhttpd-log-XXXXXX";

    CHECK(mkdtemp(path) && rmdir(path) == 0 && mkfifo(path, 0600) == 0);
    fds[0] = open(path, O_RDONLY | O_NONBLOCK);
    fds[1] = open(path, O_WRONLY);
    unlink(path);
}

static void open_socket(int fds[2])
{
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
}

static void open_terminal(int fds[2])
{
    fds[0] = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(fds[0] >= 0 && grantpt(fds[0]) == 0 && unlockpt(fds[0]) == 0);
    fds[1] = open(ptsname(fds[0]), O_RDWR | O_NOCTTY);
    CHECK(fds[1] >= 0);
}

static void none(void)
{
}

/* As in a jail without /proc, on a kernel without RWF_NOWAIT for pipes. */
static void no_way_of_its_own(void)
{
    if (!test_deny(SYS_pwritev2, TEST_ANY_ARGUMENT, EOPNOTSUPP) ||
        !test_deny(SYS_openat, TEST_ANY_ARGUMENT, EACCES))
        test_forked_end(TEST_CANNOT);
}

static char text[8 << 20];
static size_t text_n;

static void read_more(int fd)
{
    struct pollfd now = {.fd = fd, .events = POLLIN};

    while (text_n + 1 < sizeof(text) && poll(&now, 1, 10) == 1) {
        ssize_t r = read(fd, text + text_n, sizeof(text) - 1 - text_n);
        if (r <= 0)
            break;
        text_n += (size_t)r;
    }
    text[text_n] = '\0';
}

#define LINE "line %06u %0300d"

static bool is_whole(const char *line)
{
    char expected[400];
    unsigned number;
    const char *at = strstr(line, " error: line ");

    if (!at || sscanf(at, " error: line %6u", &number) != 1)
        return false;
    snprintf(expected, sizeof(expected), " error: " LINE, number, 1);
    return strcmp(at, expected) == 0;
}

/* How many lines there are in `text`, and in its words about lost ones. */
static unsigned count(void)
{
    unsigned n = 0, lost;

    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) {
        const char *at = strstr(line, " warning: ");
        line[strcspn(line, "\r")] = '\0';
        n += is_whole(line);
        if (at && sscanf(at, " warning: %u lines of the log were", &lost) == 1)
            n += lost;
    }
    return n;
}

static void fill_and_go_on(int reader)
{
    struct lh_log_sink sink;
    const struct lh_log log = {lh_log_to_stderr, &sink, LHTTPD_LOG_DEBUG};
    unsigned lines = 0;
    char last[30];

    lh_log_sink_init(&sink, NULL);
    /* Would end by SIGALRM where a line waits. */
    for (; lines < 200000 && atomic_load(&sink.lost) < 100; lines++)
        lh_log(&log, LHTTPD_LOG_ERROR, NULL, LINE, lines, 1);
    CHECK(atomic_load(&sink.lost) >= 100);
    CHECK(!(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK));
    do { /* a terminal may need a moment until it takes more */
        read_more(reader);
        lh_log(&log, LHTTPD_LOG_ERROR, NULL, LINE, lines, 1);
        read_more(reader);
        snprintf(last, sizeof(last), " error: line %06u", lines++);
    } while (!strstr(text, last) || atomic_load(&sink.lost));
    CHECK(strstr(text, " lines of the log were lost: nobody read them"));
    CHECK(count() >= lines); /* one that lost its newline alone counts twice */
}

struct stall {
    void (*open_ends)(int fds[2]);
    void (*forbid)(void);
};

static int with_stalled_reader(void *arg)
{
    const struct stall *stall = arg;
    int fds[2];

    told = dup(STDERR_FILENO);
    stall->open_ends(fds);
    CHECK(dup2(fds[1], STDERR_FILENO) >= 0);
    stall->forbid();
    fill_and_go_on(fds[0]);
    return 0;
}

static void stalled_reader(void (*open_ends)(int fds[2]), void (*forbid)(void))
{
    struct stall stall = {open_ends, forbid};

    assert_int_equal(test_forked(with_stalled_reader, &stall), 0);
}

static void test_stalled_reader(void **state)
{
    (void)state;
    stalled_reader(open_pipe, none);
    stalled_reader(open_fifo, none);
    stalled_reader(open_socket, none);
    stalled_reader(open_terminal, none);
}

static void test_stalled_reader_in_a_jail(void **state)
{
    (void)state;
    stalled_reader(open_pipe, no_way_of_its_own);
    stalled_reader(open_fifo, no_way_of_its_own);
    stalled_reader(open_terminal, no_way_of_its_own);
}

/* ---- the system's log ---------------------------------------------------- */

/* Like the system's log, but that nobody listens at /dev/log. */
static void test_syslog(void **state)
{
    struct lh_log_sink sink;
    const struct lh_log log = {lh_log_to_syslog, &sink, LHTTPD_LOG_DEBUG};
    const struct lh_log_about about = {"a.lua", NULL, LH_STR("GET /"), NULL};
    char out[300], expected[100];
    int fds[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    sink = (struct lh_log_sink){.name = "name", .fd = fds[1]};
    lh_log(&log, LHTTPD_LOG_WARNING, &about, "it rains");
    ssize_t n = recv(fds[0], out, sizeof(out) - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    out[n] = '\0';
    assert_memory_equal(out, "<28>", 4);
    snprintf(expected, sizeof(expected), " name[%d]: it rains [a.lua] [GET /]",
             (int)getpid());
    assert_string_equal(out + 4 + strlen("Nov 28 03:47:09"), expected);
    for (int i = 0; i < 100000 && atomic_load(&sink.lost) < 10; i++)
        lh_log(&log, LHTTPD_LOG_ERROR, NULL, "line %d", i);
    assert_int_equal(atomic_load(&sink.lost), 10);
    while (recv(fds[0], out, sizeof(out), MSG_DONTWAIT) > 0)
        continue;
    lh_log(&log, LHTTPD_LOG_ERROR, NULL, "the next one");
    n = recv(fds[0], out, sizeof(out) - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    out[n] = '\0';
    assert_non_null(strstr(out, "]: 10 lines of the log were lost"));
    close(fds[0]);
    lh_log_sink_deinit(&sink);
    assert_int_equal(sink.fd, -1);
}

/* The head of a line is for machines: a program's language is none of it. */
static void test_syslog_in_another_language(void **state)
{
    static const char *const languages[] = {"fr_FR.UTF-8", "ja_JP.UTF-8",
                                            "ru_RU.UTF-8"};
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct lh_log_sink sink;
    const struct lh_log log = {lh_log_to_syslog, &sink, LHTTPD_LOG_DEBUG};
    const char *language = NULL;
    char out[300] = "", month[4] = "";
    int fds[2], day, hour, minute, second;

    (void)state;
    for (size_t i = 0; i < 3 && !language; i++)
        language = setlocale(LC_TIME, languages[i]);
    if (!language)
        skip(); /* the system has none of them */
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    sink = (struct lh_log_sink){.name = "name", .fd = fds[1]};
    lh_log(&log, LHTTPD_LOG_NOTICE, NULL, "it rains");
    setlocale(LC_TIME, "C");
    assert_true(recv(fds[0], out, sizeof(out) - 1, MSG_DONTWAIT) > 0);
    assert_int_equal(sscanf(out, "<29>%3s %2d %2d:%2d:%2d name[", month, &day,
                            &hour, &minute, &second),
                     5);
    assert_non_null(strstr(months, month));
    assert_int_equal(strlen(month), 3);
    close(fds[0]);
    lh_log_sink_deinit(&sink);
}

/* ---- how many lines ------------------------------------------------------ */

static void test_rate(void **state)
{
    struct lh_timers timers;
    struct lh_log_rates rates;
    uint64_t now = 1000;
    unsigned said = 0;

    (void)state;
    lh_timers_init(&timers, now);
    lh_log_rates_init(&rates, &log_notice, &timers);
    calls = 0;
    for (int i = 0; i < 1000; i++)
        said += lh_log_rates_allow(&rates, LH_LOG_FAILURES, now);
    assert_int_equal(said, LH_LOG_RATE_LINES);
    /* Each kind for itself; what nobody wants to see is not left out. */
    assert_true(lh_log_rates_allow(&rates, LH_LOG_OVERRUNS, now));
    assert_false(lh_log_rates_allow(&rates, LH_LOG_CLIENTS, now));
    now += LH_LOG_RATE_PERIOD_MS - 1;
    lh_timers_fire(&timers, now);
    assert_int_equal(calls, 0);
    assert_false(lh_log_rates_allow(&rates, LH_LOG_FAILURES, now));
    lh_timers_fire(&timers, ++now);
    assert_int_equal(calls, 1); /* without another line of the kind */
    assert_int_equal(seen.level, LHTTPD_LOG_ERROR);
    assert_memory_equal(seen.message, "981 more failed requests were not", 33);
    assert_true(lh_log_rates_allow(&rates, LH_LOG_FAILURES, now));
    /* Few lines are never counted twice, nor told. */
    now += 2 * LH_LOG_RATE_PERIOD_MS;
    lh_timers_fire(&timers, now);
    assert_true(lh_log_rates_allow(&rates, LH_LOG_FAILURES, now));
    lh_log_rates_tell(&rates);
    assert_int_equal(calls, 1);
}

static void test_rate_of_everything(void **state)
{
    const struct lh_log all = {remember, &calls, LHTTPD_LOG_DEBUG};
    struct lh_timers timers;
    struct lh_log_rates rates;

    (void)state;
    lh_timers_init(&timers, 1);
    lh_log_rates_init(&rates, &all, &timers);
    for (int i = 0; i < 1000; i++)
        assert_true(lh_log_rates_allow(&rates, LH_LOG_CLIENTS, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_about_is_cleaned_too),
        cmocka_unit_test(test_zeroes),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_stderr),
        cmocka_unit_test(test_stderr_levels),
        cmocka_unit_test(test_stderr_closed),
        cmocka_unit_test(test_stalled_reader),
        cmocka_unit_test(test_stalled_reader_in_a_jail),
        cmocka_unit_test(test_syslog),
        cmocka_unit_test(test_syslog_in_another_language),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_rate_of_everything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
