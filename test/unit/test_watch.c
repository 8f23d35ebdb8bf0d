/* What holds a worker is named: by the watch alone, then in a server. */
#include "server/watch.h"

#include "http/request_id.h"
#include "lhttpd.h"
#include "lib/client.h"
#include "os/clock.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define GET "GET / HTTP/1.0\r\n\r\n"

/* What the log said; the words are there once their number is not 0. */
struct seen {
    _Atomic unsigned late, ended;
    char words[300], script[100], end_words[300];
    char id[64], end_id[64];
    bool wrong;       /* a level; looked at once the thread has ended */
    char flag[64];    /* a file that appears with the first warning */
    const char *what; /* the only one of interest: on a slow machine others may
                         be late, too; NULL: all */
};

static void note(void *context, const lhttpd_log_entry_t *entry)
{
    struct seen *seen = context;

    if (seen->what && !strstr(entry->message, seen->what))
        return;
    if (strstr(entry->message, "without a pause: nothing else")) {
        seen->wrong |= entry->level != LHTTPD_LOG_WARNING;
        snprintf(seen->words, sizeof(seen->words), "%s", entry->message);
        snprintf(seen->script, sizeof(seen->script), "%s",
                 entry->script ? entry->script : "");
        snprintf(seen->id, sizeof(seen->id), "%s",
                 entry->request_id ? entry->request_id : "");
        atomic_fetch_add(&seen->late, 1);
        if (seen->flag[0])
            close(open(seen->flag, O_CREAT | O_WRONLY, 0600));
    } else if (strstr(entry->message, " goes on: ")) {
        seen->wrong |= entry->level != LHTTPD_LOG_NOTICE;
        snprintf(seen->end_words, sizeof(seen->end_words), "%s",
                 entry->message);
        snprintf(seen->end_id, sizeof(seen->end_id), "%s",
                 entry->request_id ? entry->request_id : "");
        atomic_fetch_add(&seen->ended, 1);
    }
}

static void wait_for(const _Atomic unsigned *count)
{
    for (int i = 0; i < 6000 && atomic_load(count) == 0; i++)
        usleep(10000);
    assert_int_equal(atomic_load(count), 1);
}

/* --- the watch ------------------------------------------------------------ */

struct watched {
    struct seen seen;
    struct lh_log log;
    struct lh_watch watch;
    struct lh_running running[2];
    struct lh_ids ids;
    struct lh_err err;
};

static void begin(struct watched *t, uint64_t limit_ms)
{
    *t = (struct watched){.log = {.fn = note, .level = LHTTPD_LOG_NOTICE}};
    t->log.context = &t->seen;
    assert_int_equal(lh_watch_begin(&t->watch, &t->log, limit_ms, 2, &t->err),
                     0);
    lh_watch_add(&t->watch, &t->running[0], &t->ids);
    lh_watch_add(&t->watch, &t->running[1], &t->ids);
}

static void a_late_run_is_named_once(void **state)
{
    struct watched t;

    (void)state;
    begin(&t, 1000);
    lh_running_begin(&t.running[0], "b.lua", "the loading", lh_clock_ms());
    lh_running_begin(&t.running[1], "a.lua", "handler /x (line 3)",
                     lh_clock_ms() - 5100);
    lh_running_end(&t.running[0]);
    lh_evq_wake(&t.watch.queue);
    wait_for(&t.seen.late);
    lh_watch_end(&t.watch);
    assert_false(t.seen.wrong);
    assert_int_equal(atomic_load(&t.seen.late), 1);
    assert_int_equal(atomic_load(&t.seen.ended), 0);
    assert_non_null(strstr(t.seen.words, "worker 1 has been in handler /x "
                                         "(line 3) of script a.lua for "));
    assert_string_equal(t.seen.script, "a.lua");
}

/* Late at once, and whole before anybody can look at it. */
static void begin_request(struct lh_running *r, uint64_t number,
                          const char *client_id)
{
    lh_running_begin(r, "a.lua", NULL, lh_clock_ms() - 5100);
    lh_running_serves(r, number);
    lh_running_called(r, client_id);
    atomic_store(&r->what, "handler /x (line 3)");
}

/* The lines about a request have the id that its own thread would give it. */
static void a_request_is_named(void **state)
{
    char id[LH_RUN_ID_BYTES];
    struct lh_run run = {.request = 7};
    struct watched t;

    (void)state;
    begin(&t, 1000);
    t.ids = (struct lh_ids){.key = {{1, 2}}, .has_key = true};
    begin_request(&t.running[1], 7, NULL);
    lh_evq_wake(&t.watch.queue);
    wait_for(&t.seen.late);
    assert_string_equal(t.seen.id, lh_request_id_of_run(&t.ids, &run, id));
    assert_int_equal(strlen(id), 32);
    assert_int_equal(atomic_load(&t.running[1].told_of), 7);
    lh_running_end(&t.running[1]);
    lh_evq_wake(&t.watch.queue);
    wait_for(&t.seen.ended);
    assert_string_equal(t.seen.end_id, id);
    atomic_store(&t.seen.late, 0);
    begin_request(&t.running[1], 8, "client-1");
    lh_evq_wake(&t.watch.queue);
    wait_for(&t.seen.late);
    lh_watch_end(&t.watch);
    assert_string_equal(t.seen.id, "client-1");
}

/* A datagram at the manager's end, or "". */
static const char *told(int fd, int flags)
{
    static char text[64];
    ssize_t n = recv(fd, text, sizeof(text) - 1, flags);

    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* The line in the log and the watchdog come from the same looks. */
static void a_watchdog_is_fed_while_all_turn(void **state)
{
    struct lh_notify notify = {.manager = {.watchdog_ms = 100}};
    struct watched t;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    notify.manager.fd = ends[0];
    begin(&t, 1000);
    lh_running_begin(&t.running[1], "a.lua", "handler /x (line 3)",
                     lh_clock_ms() - 5000);
    lh_watch_feed(&t.watch, &notify);
    wait_for(&t.seen.late);
    assert_string_equal(told(ends[1], MSG_DONTWAIT), "");
    lh_running_end(&t.running[1]);
    assert_string_equal(told(ends[1], 0), "WATCHDOG=1");
    lh_evq_wake(&t.watch.queue); /* a look that comes early feeds nobody */
    assert_string_equal(told(ends[1], 0), "WATCHDOG=1");
    lh_watch_end(&t.watch);
    close(ends[0]);
    close(ends[1]);
}

/* Who loads scripts for a reload holds no client up. */
static void a_watchdog_is_fed_while_scripts_load(void **state)
{
    struct lh_notify notify = {.manager = {.watchdog_ms = 100}};
    struct lh_running loader = {0};
    struct watched t;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    notify.manager.fd = ends[0];
    begin(&t, 1000);
    lh_watch_add(&t.watch, &loader, NULL);
    lh_running_begin(&loader, "a.lua", "the loading", lh_clock_ms() - 5000);
    lh_watch_feed(&t.watch, &notify);
    assert_string_equal(told(ends[1], 0), "WATCHDOG=1");
    lh_watch_end(&t.watch);
    close(ends[0]);
    close(ends[1]);
}

static void its_end_is_said(void **state)
{
    struct watched t;

    (void)state;
    begin(&t, 1000);
    lh_running_begin(&t.running[0], NULL, "handler /y (in C)",
                     lh_clock_ms() - 5000);
    lh_evq_wake(&t.watch.queue);
    wait_for(&t.seen.late);
    lh_running_begin(&t.running[0], NULL, "handler /z (in C)", lh_clock_ms());
    lh_watch_end(&t.watch); /* after a last look */
    assert_int_equal(atomic_load(&t.seen.ended), 1);
    assert_non_null(strstr(t.seen.end_words,
                           "worker 0 goes on: handler /y (in C) of the "
                           "program's setup made a pause after at most "));
}

static void in_time_says_nothing(void **state)
{
    struct watched t;

    (void)state;
    begin(&t, LHTTPD_UNLIMITED - 1);
    lh_running_begin(&t.running[0], "a.lua", "handler /x (line 3)", 1);
    lh_evq_wake(&t.watch.queue);
    lh_watch_end(&t.watch);
    assert_int_equal(atomic_load(&t.seen.late), 0);
}

static void the_limit_may_change(void **state)
{
    struct watched t;

    (void)state;
    begin(&t, LHTTPD_UNLIMITED);
    lh_running_begin(&t.running[0], "a.lua", "handler /x (line 3)", 1);
    lh_watch_set_limit(&t.watch, 1000);
    wait_for(&t.seen.late);
    lh_watch_end(&t.watch);
    begin(&t, 1000);
    lh_watch_set_limit(&t.watch, LHTTPD_UNLIMITED);
    lh_running_begin(&t.running[0], "a.lua", "handler /x (line 3)", 1);
    lh_evq_wake(&t.watch.queue);
    lh_watch_end(&t.watch);
    assert_int_equal(atomic_load(&t.seen.late), 0);
}

/* --- in a server ---------------------------------------------------------- */

/* hold() returns once the log has named what calls it, and calls nothing of
 * httpd; it fails after a minute of the processor, if it is not named. */
static const char hold[] =
    "local function hold() local start = os.clock() repeat\n"
    "  assert(os.clock() - start < 60)\n"
    "until os.rename('%s', '%s') end\n%s";

static void make(struct seen *seen, lhttpd_server_t **s, const char *what,
                 const char *script)
{
    lhttpd_limits_t limits = lhttpd_limits_init();
    lhttpd_config_t config = lhttpd_config_init();
    char source[1024];

    *seen = (struct seen){.what = what};
    snprintf(seen->flag, sizeof(seen->flag), "test_watch.%d.flag",
             (int)getpid());
    unlink(seen->flag);
    snprintf(source, sizeof(source), hold, seen->flag, seen->flag, script);
    limits.handler_run_ms = 50;
    config.limits = &limits;
    config.workers = 1;
    config.log = note;
    config.log_context = seen;
    assert_int_equal(lhttpd_server_create(s, &config), 0);
    assert_int_equal(lhttpd_server_listen(*s, "127.0.0.1", 0, 0), 0);
    assert_int_equal(
        lhttpd_server_map_source(*s, "/", "hold.lua", source, strlen(source)),
        0);
}

/* All of the server's threads have ended. */
static void named(struct seen *seen)
{
    char text[200];

    unlink(seen->flag);
    assert_false(seen->wrong);
    assert_int_equal(atomic_load(&seen->late), 1);
    assert_int_equal(atomic_load(&seen->ended), 1);
    snprintf(text, sizeof(text), "worker 0 has been in %s of script hold.lua",
             seen->what);
    assert_non_null(strstr(seen->words, text));
    assert_string_equal(seen->script, "hold.lua");
}

static void stop(lhttpd_server_t *s)
{
    assert_int_equal(lhttpd_server_stop(s, 60000), 0);
    lhttpd_server_destroy(s);
}

static void a_handler(void **state)
{
    struct seen seen;
    lhttpd_server_t *s;
    char out[4096];

    (void)state;
    make(&seen, &s, "handler / (line 4)",
         "httpd.register_handler('/', function()\n"
         "  httpd.write(nil, 'begun ') httpd.flush() hold() end)");
    assert_int_equal(lhttpd_server_start(s), 0);
    test_client_ask(lhttpd_server_port(s, 0), GET, out, sizeof(out));
    wait_for(&seen.ended); /* and the server goes on */
    stop(s);
    named(&seen);
}

/* What fails is described by the script, which is no call of httpd either. */
static void the_words_of_an_error(void **state)
{
    struct seen seen;
    lhttpd_server_t *s;
    char out[4096];

    (void)state;
    make(&seen, &s, "handler /x (line 6)",
         "local e = setmetatable({}, {__tostring = function()\n"
         "  hold() return 'words' end})\n"
         "httpd.register_handler('/x', function() error(e) end)");
    assert_int_equal(lhttpd_server_start(s), 0);
    test_client_ask(lhttpd_server_port(s, 0), "GET /x HTTP/1.0\r\n\r\n", out,
                    sizeof(out));
    assert_non_null(strstr(out, " 500 "));
    stop(s);
    named(&seen);
}

static void a_script_that_loads(void **state)
{
    struct seen seen;
    lhttpd_server_t *s;

    (void)state;
    make(&seen, &s, "the loading",
         "hold() httpd.register_handler('/', function() end)");
    assert_int_equal(lhttpd_server_start(s), 0);
    stop(s);
    named(&seen);
}

static void a_script_that_is_checked(void **state)
{
    struct seen seen;
    lhttpd_server_t *s;

    (void)state;
    make(&seen, &s, "the loading", "hold()");
    assert_int_equal(lhttpd_server_check(s), 0);
    lhttpd_server_destroy(s);
    named(&seen);
}

/* newproxy is LuaJIT's and 5.1's, whose tables have no finalizers. */
#define KEPT                                                                   \
    "if newproxy then kept = newproxy(true) getmetatable(kept).__gc = hold\n"  \
    "else kept = setmetatable({}, {__gc = hold}) end\n"

static void a_finalizer_at_the_end(void **state)
{
    struct seen seen;
    lhttpd_server_t *s;

    (void)state;
    make(&seen, &s, "the last finalizers", KEPT);
    assert_int_equal(lhttpd_server_start(s), 0);
    stop(s);
    named(&seen);
}

static void a_finalizer_of_what_loading_left(void **state)
{
    struct seen seen;
    lhttpd_server_t *s;

    (void)state;
    make(&seen, &s, "the finalizers", KEPT "kept = nil");
    assert_int_equal(lhttpd_server_start(s), 0);
    stop(s);
    named(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_run_is_named_once),
        cmocka_unit_test(a_request_is_named),
        cmocka_unit_test(its_end_is_said),
        cmocka_unit_test(a_watchdog_is_fed_while_all_turn),
        cmocka_unit_test(a_watchdog_is_fed_while_scripts_load),
        cmocka_unit_test(in_time_says_nothing),
        cmocka_unit_test(the_limit_may_change),
        cmocka_unit_test(a_handler),
        cmocka_unit_test(the_words_of_an_error),
        cmocka_unit_test(a_script_that_loads),
        cmocka_unit_test(a_script_that_is_checked),
        cmocka_unit_test(a_finalizer_at_the_end),
        cmocka_unit_test(a_finalizer_of_what_loading_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
