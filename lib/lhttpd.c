/*
 * The public functions (include/lhttpd.h): they check arguments and state and
 * call server/ and os/.
 *
 * What always holds: nothing that a program passes wrongly ends its process; a
 * call that refuses an argument or comes in a wrong state has changed nothing
 * and leaves words that say what was wrong.  State
 * is checked before anything else of the server is touched, for a server that
 * runs belongs to its workers.
 */
#include "lhttpd.h"

#include "base/limits.h"
#include "base/mem.h"
#include "base/num.h"
#include "http/field.h"
#include "os/daemon.h"
#include "os/entropy.h"
#include "os/self.h"
#include "os/user.h"
#include "server/logs.h"
#include "server/owners.h"
#include "server/passed.h"
#include "server/loop.h"
#include "server/over.h"
#include "server/publish.h"
#include "server/reload.h"
#include "server/server.h"
#include "server/stats.h"
#include "server/worker.h"

#include <stdio.h>

/* The words of this thread's last failed call that had no server, or one that
 * was running, since several threads may call that at once. */
static _Thread_local struct lh_err own_err;
static _Thread_local const struct lhttpd_server_t *own_err_of;

/* Where the words of a call that fails go. */
static struct lh_err *words(struct lhttpd_server_t *s)
{
    own_err_of = s->state == LH_SERVER_RUNNING ? s : NULL;
    return own_err_of ? &own_err : &s->err;
}

/* For calls of any thread: the server's own words are of the thread that sets
 * it up. */
static struct lh_err *words_of_thread(const struct lhttpd_server_t *s)
{
    own_err_of = s;
    return &own_err;
}

/* A call of any thread is refused; the words name it and the rule. */
static int refuse_any(const struct lhttpd_server_t *s, int code,
                      const char *function, const char *rule)
{
    return lh_err_set(words_of_thread(s), code, "%s: %s", function, rule);
}

/* There is none that could hold the words. */
static int no_server(void)
{
    own_err_of = NULL;
    return lh_err_set(&own_err, LHTTPD_EINVAL, "the server is NULL");
}

/* LHTTPD_ESTATE, with words that name the call and the rule that it broke. */
static int bad_state(struct lhttpd_server_t *s, const char *function,
                     const char *rule)
{
    return lh_err_set(words(s), LHTTPD_ESTATE, "%s: %s", function, rule);
}

/* In a forked child of the process that runs it there is nothing to talk to. */
static bool runs_elsewhere(const struct lhttpd_server_t *s)
{
    return s->state == LH_SERVER_RUNNING && s->process != lh_self_id();
}

/* Most of what a server is made of is fixed once it has started: its workers
 * read that without asking anybody. */
static int need_setup(struct lhttpd_server_t *s, const char *function)
{
    if (s->state != LH_SERVER_SETUP)
        return bad_state(s, function, "only before start");
    words(s); /* what the call fails with from here on goes there */
    return 0;
}

/* --- changes while it runs ------------------------------------------------ */

/* Before start, or while it runs by one thread at a time; 0 is to be followed
 * by end_change(). */
static int begin_change(struct lhttpd_server_t *s, const char *function)
{
    if (s->state == LH_SERVER_SETUP)
        return need_setup(s, function);
    if (s->state != LH_SERVER_RUNNING)
        return bad_state(s, function, "the server does not run any more");
    if (runs_elsewhere(s))
        return bad_state(s, function, "it runs in another process");
    if (lh_worker_is_current(s))
        return bad_state(s, function, "not on a worker thread");
    if (atomic_flag_test_and_set(&s->changes))
        return bad_state(s, function,
                         "another change of this server is under way, or it "
                         "stops");
    return 0;
}

static int end_change(struct lhttpd_server_t *s, int result)
{
    if (s->state == LH_SERVER_RUNNING) {
        atomic_flag_clear(&s->changes);
        lh_evq_wake(&s->done); /* who waits for the stop may wait for us */
    }
    return result;
}

/* NULL for an argument that must be there is LHTTPD_EINVAL, not a crash: many
 * programs get paths and names from a configuration that may lack them. */
static int need_argument(struct lhttpd_server_t *s, const void *argument,
                         const char *function, const char *name)
{
    if (argument)
        return 0;
    return lh_err_set(words(s), LHTTPD_EINVAL, "%s: %s is NULL", function,
                      name);
}

/* --- structs -------------------------------------------------------------- */

/* Every public struct begins with its size as the program's compiler saw it, so
 * that fields can be added at the end without breaking older programs. */
void lhttpd_struct_init(void *any, size_t size)
{
    if (!any || size < sizeof(size))
        return;
    memset(any, 0, size);
    memcpy(any, &size, sizeof(size));
}

/* Both begin with their size; `to` keeps its own.  An older program's struct
 * ends earlier: the rest stays as the initialiser of `to` made it. */
static void copy_struct(void *to, const void *from)
{
    size_t room, n;

    memcpy(&room, to, sizeof(room));
    memcpy(&n, from, sizeof(n));
    memcpy(to, from, n < room ? n : room);
    memcpy(to, &room, sizeof(room));
}

/* As copy_struct(); a struct without a size was never initialised. */
static int take_struct(struct lhttpd_server_t *s, void *to, const void *from,
                       const char *function, const char *type)
{
    size_t n;

    memcpy(&n, from, sizeof(n));
    if (n < sizeof(n))
        return lh_err_set(words(s), LHTTPD_EINVAL,
                          "%s: size is not set; start from lhttpd_%s_init()",
                          function, type);
    copy_struct(to, from);
    return 0;
}

/* --- memory --------------------------------------------------------------- */

/* There may be no server yet, so the words are the thread's. */
int lhttpd_allocator(const lhttpd_allocator_t *allocator)
{
    lhttpd_allocator_t all = lhttpd_allocator_init();

    own_err_of = NULL;
    if (!allocator || allocator->size < sizeof(allocator->size))
        return lh_err_set(&own_err, LHTTPD_EINVAL, "lhttpd_allocator: %s",
                          allocator ? "size is not set; start from "
                                      "lhttpd_allocator_init()"
                                    : "allocator is NULL");
    copy_struct(&all, allocator);
    if (!all.alloc || !all.realloc || !all.free)
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "lhttpd_allocator: alloc, realloc and free belong "
                          "together; one is NULL");
    if (!lh_mem_give(&all))
        return lh_err_set(&own_err, LHTTPD_ESTATE,
                          "lhttpd_allocator: only once, and before the first "
                          "server is made");
    return 0;
}

/* --- limits --------------------------------------------------------------- */

int lhttpd_limits_set(lhttpd_limits_t *limits, const char *name,
                      const char *value)
{
    char what[200];

    own_err_of = NULL;
    if (!limits || !name || !value)
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "lhttpd_limits_set: limits, name or value is NULL");
    int r = lh_limits_set(limits, name, value, &own_err);
    if (r < 0) {
        snprintf(what, sizeof(what), "%.80s=%.100s", name, value);
        lh_err_prefix(&own_err, what);
    }
    return r;
}

/* --- create and destroy --------------------------------------------------- */

static lhttpd_config_t config_copy(const lhttpd_config_t *from)
{
    lhttpd_config_t to = lhttpd_config_init();

    if (from)
        copy_struct(&to, from);
    return to;
}

/* There is no server yet that could hold the words of a failure. */
static int config_check(const lhttpd_config_t *c)
{
    if (c->workers > LH_WORKERS_MAX)
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "config: %u workers are more than %u", c->workers,
                          (unsigned)LH_WORKERS_MAX);
    if ((int)c->log_level < 0 || c->log_level > LHTTPD_LOG_DEBUG)
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "config: there is no log level %d",
                          (int)c->log_level);
    if (c->limits && c->limits->size < sizeof(size_t))
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "config: limits.size is not set; start from "
                          "lhttpd_limits_init()");
    if (c->server_name && *c->server_name &&
        !lh_field_value_valid(lh_str_of(c->server_name)))
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "config: server_name is no field value");
    return 0;
}

/* The program's own function wins, then syslog, then standard error.  What is
 * logged before start goes there too. */
static void init_log(struct lhttpd_server_t *s, const lhttpd_config_t *c)
{
    s->log.level = c->log_level ? c->log_level : LHTTPD_LOG_NOTICE;
    s->log.fn = c->log           ? c->log
                : c->syslog_name ? lh_log_to_syslog
                                 : lh_log_to_stderr;
    s->log.context = c->log ? c->log_context : &s->sink;
    if (!c->log)
        lh_log_sink_init(&s->sink, s->syslog_name);
}

/* The strings are copied: the program may free its own at once.  A failure is
 * cleaned up by free_server(), which bears that parts are missing. */
static int init(struct lhttpd_server_t *s, const lhttpd_config_t *c)
{
    s->limits = lh_limits_resolve(c->limits);
    lh_settings_init(&s->settings);
    s->workers_n = c->workers ? c->workers : lh_self_cpus();
    s->own_workers_n = c->workers == 0;
    lh_stats_init(s);
    atomic_init(&s->stop_at_ms, LH_NEVER);
    atomic_init(&s->done_ms, LH_NEVER);
    atomic_flag_clear(&s->changes);
    lh_publish_init(s);
    if (lh_entropy(&s->hub.key, sizeof(s->hub.key)))
        return lh_err_set(&own_err, LHTTPD_ESYSTEM,
                          "the system gives no random octets");
    s->software = lh_strdup(c->server_name ? c->server_name : "lhttpd");
    s->syslog_name = c->syslog_name ? lh_strdup(c->syslog_name) : NULL;
    s->creds = lh_creds_new();
    if (lh_owners_init(s) < 0 || !s->software || !s->creds ||
        (c->syslog_name && !s->syslog_name))
        return lh_err_memory(&own_err);
    init_log(s, c);
    s->access.fn = c->access;
    s->access.context = c->access_context;
    lh_listeners_init(&s->listeners, &s->log);
    return 0;
}

static void free_server(struct lhttpd_server_t *s)
{
    lh_notify_deinit(&s->notify);
    lh_owners_deinit(s);
    lh_creds_free(s->creds);
    lh_settings_deinit(&s->settings);
    lh_logs_free(s);
    lh_log_sink_deinit(&s->sink);
    lh_free(s->syslog_name);
    lh_free(s->software);
    lh_free(s);
}

int lhttpd_server_create(lhttpd_server_t **server,
                         const lhttpd_config_t *config)
{
    own_err_of = NULL;
    if (!server || (config && config->size < sizeof(size_t)))
        return lh_err_set(&own_err, LHTTPD_EINVAL, "lhttpd_server_create: %s",
                          server ? "config->size is not set; start from "
                                   "lhttpd_config_init()"
                                 : "server is NULL");
    *server = NULL;
    lhttpd_config_t c = config_copy(config);
    int r = config_check(&c);
    if (r < 0)
        return r;
    lh_mem_settle();
    struct lhttpd_server_t *s = lh_calloc(1, sizeof(*s));
    if (!s)
        return lh_err_memory(&own_err);
    s->sink.fd = -1;
    lh_notify_init(&s->notify, &s->log);
    r = init(s, &c);
    if (r < 0) {
        free_server(s);
        return r;
    }
    *server = s;
    return 0;
}

/* A server that runs is cut off first.  Where that is not possible (another
 * process runs it, or this is one of its own workers) nothing is done: memory
 * that is not freed is better than memory that is still used. */
void lhttpd_server_destroy(lhttpd_server_t *s)
{
    if (!s || runs_elsewhere(s) ||
        (s->state == LH_SERVER_RUNNING && lh_worker_is_current(s)) ||
        (s->state == LH_SERVER_RUNNING && s->attached && !lh_loop_is_ours(s)))
        return;
    if (s->state == LH_SERVER_RUNNING)
        lhttpd_server_stop(s, 0);
    if (s->state == LH_SERVER_STUCK)
        return; /* a thread still uses all of it */
    lh_server_close(s);
    lh_listeners_close(&s->listeners);
    lh_mappings_deinit(&s->mappings);
    lh_tallies_deinit(&s->tallies);
    free_server(s);
}

/* --- set up --------------------------------------------------------------- */

int lhttpd_server_set(lhttpd_server_t *s, const char *name, const char *value)
{
    const char *function = "lhttpd_server_set";

    if (!s)
        return no_server();
    int r = need_argument(s, name, function, "name");
    if (r == 0)
        r = need_argument(s, value, function, "value");
    if (r == 0)
        r = begin_change(s, function);
    return r < 0 ? r : end_change(s, lh_settings_set(s, name, value, words(s)));
}

static int check_listener(struct lhttpd_server_t *s, unsigned flags,
                          const char *function)
{
    int r = need_setup(s, function);

    if (r < 0)
        return r;
    r = lh_listener_check(flags, &s->err);
    if (r < 0)
        lh_err_prefix(&s->err, function);
    return r;
}

int lhttpd_server_listen(lhttpd_server_t *s, const char *address, int port,
                         unsigned flags)
{
    if (!s)
        return no_server();
    int r =
        check_listener(s, flags & ~LHTTPD_LISTEN_CHECK, "lhttpd_server_listen");
    if (r < 0)
        return r;
    if (port < 0 || port > 65535)
        return lh_err_set(&s->err, LHTTPD_EINVAL,
                          "port %d: not between 0 and 65535", port);
    struct lh_sock_access access = lh_settings_access(&s->settings);
    return lh_listeners_listen(&s->listeners, address, port, flags, &access,
                               &s->err);
}

int lhttpd_server_adopt(lhttpd_server_t *s, int fd, unsigned flags)
{
    if (!s)
        return no_server();
    int r = check_listener(s, flags, "lhttpd_server_adopt");
    return r < 0 ? r : lh_listeners_adopt(&s->listeners, fd, flags, &s->err);
}

int lhttpd_server_listen_fds(lhttpd_server_t *s, unsigned flags)
{
    if (!s)
        return no_server();
    int r = check_listener(s, flags, "lhttpd_server_listen_fds");
    return r < 0 ? r : lh_passed_listen(&s->listeners, flags, &s->err);
}

int lhttpd_server_notify(lhttpd_server_t *s)
{
    if (!s)
        return no_server();
    int r = need_setup(s, "lhttpd_server_notify");
    return r < 0 ? r : lh_notify_connect(&s->notify, &s->err);
}

static int need_listener(const struct lhttpd_server_t *s, int listener,
                         const char *function)
{
    if (!s)
        return no_server();
    if (listener < 0 || (unsigned)listener >= s->listeners.n)
        return refuse_any(s, LHTTPD_EINVAL, function,
                          "there is no such listener");
    if (runs_elsewhere(s))
        return refuse_any(s, LHTTPD_ESTATE, function,
                          "it runs in another process");
    return 0;
}

/* With port 0 the system chooses one; the program asks here which it was. */
int lhttpd_server_port(const lhttpd_server_t *s, int listener)
{
    int r = need_listener(s, listener, "lhttpd_server_port");

    if (r < 0)
        return r;
    return s->listeners.v[listener].where.port;
}

/* As soon as it stops, its workers may close it at any moment. */
int lhttpd_server_listener_fd(const lhttpd_server_t *s, int listener)
{
    const char *function = "lhttpd_server_listener_fd";
    int r = need_listener(s, listener, function);

    if (r < 0)
        return r;
    if (s->state >= LH_SERVER_STOPPED ||
        atomic_load(&s->stop_at_ms) != LH_NEVER)
        return refuse_any(s, LHTTPD_ESTATE, function,
                          "it stops or has stopped");
    if (s->listeners.v[listener].flags & LHTTPD_LISTEN_CHECK)
        return refuse_any(s, LHTTPD_ESTATE, function, "it was not opened");
    return s->listeners.v[listener].fd;
}

/* While the server runs, the set of its certificates is replaced as a whole,
 * for handshakes read it without a lock. */
static int add_certificate(struct lhttpd_server_t *s,
                           const lhttpd_certificate_t *certificate,
                           struct lh_err *err)
{
    struct lh_creds *creds;

    if (s->state == LH_SERVER_SETUP)
        return lh_creds_add(s->creds, certificate, err);
    int r = lh_creds_replace(&creds, s->creds, certificate, err);
    if (r < 0)
        return r;
    lh_news_give_creds(s, creds);
    lh_creds_tell_time(s->creds, &s->log);
    return 0;
}

int lhttpd_server_add_certificate(lhttpd_server_t *s,
                                  const lhttpd_certificate_t *certificate)
{
    const char *function = "lhttpd_server_add_certificate";
    lhttpd_certificate_t all = lhttpd_certificate_init();

    if (!s)
        return no_server();
    int r = need_argument(s, certificate, function, "certificate");
    if (r == 0)
        r = take_struct(s, &all, certificate, function, "certificate");
    if (r < 0)
        return r;
    r = begin_change(s, function);
    return r < 0 ? r : end_change(s, add_certificate(s, &all, words(s)));
}

int lhttpd_server_add_client_ca(lhttpd_server_t *s,
                                const lhttpd_client_ca_t *ca)
{
    const char *function = "lhttpd_server_add_client_ca";
    lhttpd_client_ca_t all = lhttpd_client_ca_init();

    if (!s)
        return no_server();
    int r = need_setup(s, function);
    if (r == 0)
        r = need_argument(s, ca, function, "ca");
    if (r == 0)
        r = take_struct(s, &all, ca, function, "client_ca");
    return r < 0 ? r : lh_settings_add_client_ca(s, &all, &s->err);
}

/* What all that map something have alike: a prefix, and what is mapped, which
 * is called `name`. */
static int need_mapping(lhttpd_server_t *s, const char *prefix,
                        const char *mapped, const char *function,
                        const char *name)
{
    if (!s)
        return no_server();
    int r = need_setup(s, function);
    if (r == 0)
        r = need_argument(s, prefix, function, "prefix");
    return r ? r : need_argument(s, mapped, function, name);
}

int lhttpd_server_map_script(lhttpd_server_t *s, const char *prefix,
                             const char *path)
{
    int r = need_mapping(s, prefix, path, "lhttpd_server_map_script", "path");

    return r < 0 ? r
                 : lh_mappings_add_script(&s->mappings, prefix, path, &s->err);
}

int lhttpd_server_map_source(lhttpd_server_t *s, const char *prefix,
                             const char *name, const void *bytes, size_t size)
{
    const char *function = "lhttpd_server_map_source";
    int r = need_mapping(s, prefix, name, function, "name");

    if (r == 0 && size)
        r = need_argument(s, bytes, function, "bytes");
    return r < 0 ? r
                 : lh_mappings_add_source(&s->mappings, prefix, name, bytes,
                                          size, &s->err);
}

int lhttpd_server_map_directory(lhttpd_server_t *s, const char *prefix,
                                const char *directory,
                                const lhttpd_directory_t *options)
{
    const char *function = "lhttpd_server_map_directory";
    lhttpd_directory_t all = lhttpd_directory_init();
    int r = need_mapping(s, prefix, directory, function, "directory");

    if (r == 0 && options)
        r = take_struct(s, &all, options, function, "directory");
    return r < 0 ? r
                 : lh_mappings_add_directory(&s->mappings, prefix, directory,
                                             &all, &s->err);
}

int lhttpd_server_register_vm_factory(lhttpd_server_t *s, const char *prefix,
                                      const lhttpd_vm_factory_t *factory)
{
    const char *function = "lhttpd_server_register_vm_factory";
    lhttpd_vm_factory_t all = lhttpd_vm_factory_init();

    if (!s)
        return no_server();
    int r = need_setup(s, function);
    if (r == 0)
        r = need_argument(s, factory, function, "factory");
    if (r == 0)
        r = take_struct(s, &all, factory, function, "vm_factory");
    return r < 0 ? r
                 : lh_mappings_add_factory(&s->mappings, prefix, &all, &s->err);
}

/* --- run ------------------------------------------------------------------ */

int lhttpd_server_check(lhttpd_server_t *s)
{
    if (!s)
        return no_server();
    int r = need_setup(s, "lhttpd_server_check");
    return r < 0 ? r : lh_server_check(s);
}

int lhttpd_server_start(lhttpd_server_t *s)
{
    if (!s)
        return no_server();
    int r = need_setup(s, "lhttpd_server_start");
    return r < 0 ? r : lh_server_start(s);
}

int lhttpd_server_reload(lhttpd_server_t *s)
{
    const char *function = "lhttpd_server_reload";

    if (!s)
        return no_server();
    if (s->state == LH_SERVER_SETUP)
        return bad_state(s, function, "only while the server runs");
    int r = begin_change(s, function);
    return r < 0 ? r : end_change(s, lh_server_reload(s, words(s)));
}

int lhttpd_server_reopen(lhttpd_server_t *s)
{
    if (!s)
        return no_server();
    int r = begin_change(s, "lhttpd_server_reopen");
    return r < 0 ? r : end_change(s, lh_logs_reopen(s, words(s)));
}

/* --- in a program's own loop ---------------------------------------------- */

int lhttpd_server_attach(lhttpd_server_t *s)
{
    if (!s)
        return no_server();
    int r = need_setup(s, "lhttpd_server_attach");
    return r < 0 ? r : lh_loop_attach(s);
}

/* Is it attached, and by the thread that calls, which is not inside of it? */
static int need_loop(const struct lhttpd_server_t *s, const char *function)
{
    if (!s)
        return no_server();
    if (s->state == LH_SERVER_RUNNING && !runs_elsewhere(s) &&
        lh_loop_is_ours(s))
        return 0;
    return refuse_any(s, LHTTPD_ESTATE, function,
                      "only of a server that this thread has attached and that "
                      "has not stopped, and not inside of run_once");
}

int lhttpd_server_fd(const lhttpd_server_t *s)
{
    if (!s)
        return no_server();
    if (s->state != LH_SERVER_RUNNING || runs_elsewhere(s) || !s->attached)
        return refuse_any(
            s, LHTTPD_ESTATE, "lhttpd_server_fd",
            "only of a server that is attached and has not stopped");
    return lh_loop_fd(s);
}

int lhttpd_server_next_timeout(const lhttpd_server_t *s)
{
    int r = need_loop(s, "lhttpd_server_next_timeout");

    return r < 0 ? r : lh_loop_next_timeout(s);
}

int lhttpd_server_run_once(lhttpd_server_t *s, int timeout_ms)
{
    int r = need_loop(s, "lhttpd_server_run_once");

    if (r < 0)
        return r;
    own_err_of = NULL;
    return lh_loop_run_once(s, timeout_ms);
}

/* --- the stop ------------------------------------------------------------- */

/* It may run in a signal handler, so it has no words and locks nothing. */
void lhttpd_server_shutdown(lhttpd_server_t *s, unsigned grace_ms)
{
    if (s && s->state == LH_SERVER_RUNNING && !runs_elsewhere(s))
        lh_server_shutdown(s, grace_ms);
}

/* A worker cannot wait for its own end, and a forked child has no workers. */
int lhttpd_server_wait(lhttpd_server_t *s)
{
    if (!s)
        return no_server();
    if (s->state == LH_SERVER_RUNNING && lh_worker_is_current(s))
        return bad_state(s, "lhttpd_server_wait", "not on a worker thread");
    if (runs_elsewhere(s))
        return bad_state(s, "lhttpd_server_wait",
                         "it runs in the process that started it, not in its "
                         "forked child");
    if (s->state != LH_SERVER_RUNNING)
        return bad_state(s, "lhttpd_server_wait", "it does not run");
    if (s->attached && !lh_loop_is_ours(s))
        return bad_state(s, "lhttpd_server_wait",
                         "only in the thread that has attached it");
    own_err_of = NULL;
    return s->attached ? lh_loop_wait(s) : lh_server_wait(s);
}

int lhttpd_server_wait_fd(lhttpd_server_t *s)
{
    const char *function = "lhttpd_server_wait_fd";

    if (!s)
        return no_server();
    if (s->state != LH_SERVER_RUNNING || runs_elsewhere(s) || s->attached)
        return bad_state(s, function,
                         "only of a server with threads that runs here");
    int fd = lh_over_fd(s);
    return fd >= 0
               ? fd
               : lh_err_set(words(s), fd, "%s: too many open files?", function);
}

int lhttpd_server_stop(lhttpd_server_t *s, unsigned grace_ms)
{
    if (!s)
        return no_server();
    if (!lh_worker_is_current(s))
        lhttpd_server_shutdown(s, grace_ms);
    return lhttpd_server_wait(s);
}

/* --- what handlers share -------------------------------------------------- */

static int need_running(struct lhttpd_server_t *s, const char *function)
{
    if (s->state == LH_SERVER_RUNNING && !runs_elsewhere(s))
        return 0;
    return lh_err_set(words_of_thread(s), LHTTPD_ESTATE, "%s: %s", function,
                      s->state == LH_SERVER_RUNNING
                          ? "it runs in another process"
                          : "only while the server runs");
}

int lhttpd_server_publish(lhttpd_server_t *s, const char *channel,
                          const void *data, size_t n)
{
    const char *function = "lhttpd_server_publish";

    if (!s)
        return no_server();
    int r = need_running(s, function);
    if (r == 0)
        r = need_argument(s, channel, function, "channel");
    if (r == 0 && n)
        r = need_argument(s, data, function, "data");
    if (r < 0)
        return r;
    r = lh_publish(s, lh_str_of(channel), (struct lh_str){data, n});
    if (r == LHTTPD_ENOMEM)
        return lh_err_memory(words_of_thread(s));
    if (r == LHTTPD_EINVAL)
        return lh_err_set(words_of_thread(s), r,
                          "%s: the channel's name is longer than %d octets, or "
                          "the message than channel_bytes=%llu",
                          function, LH_CHANNEL_NAME_MAX,
                          (unsigned long long)atomic_load(&s->channel_bytes));
    return 0;
}

/* Kinds have one order in both. */
static int take_value(struct lhttpd_server_t *s, const lhttpd_value_t *from,
                      const char *function, struct lh_value *to)
{
    lhttpd_value_t v = lhttpd_value_init();
    int r = take_struct(s, &v, from, function, "value");

    if (r < 0)
        return r;
    if ((int)v.kind < LHTTPD_NONE || v.kind > LHTTPD_BOOLEAN)
        return lh_err_set(words(s), LHTTPD_EINVAL, "%s: there is no kind %d",
                          function, (int)v.kind);
    if (v.kind == LHTTPD_TEXT && v.text_bytes)
        r = need_argument(s, v.text, function, "value->text");
    *to = (struct lh_value){
        .kind = (enum lh_value_kind)v.kind,
        .number = v.number,
        .integer = v.integer,
        .boolean = v.boolean != 0,
    };
    if (v.kind == LHTTPD_TEXT)
        to->text = (struct lh_str){v.text, v.text_bytes};
    return r;
}

/* The program's struct may be an older, shorter one. */
static void give_value(const struct lh_value *from, lhttpd_value_t *to)
{
    lhttpd_value_t v = lhttpd_value_init();

    copy_struct(&v, to);
    v.kind = (lhttpd_kind_t)from->kind;
    v.number = from->number;
    v.integer = from->integer;
    v.boolean = from->boolean;
    v.text = NULL;
    v.text_bytes = from->text.n;
    if (v.room && from->text.n) {
        memcpy(v.room, from->text.p, lh_min(from->text.n, v.room_bytes));
        v.text = v.room;
    }
    copy_struct(to, &v);
}

/* Whoever asks waits for the worker that has the key, which is none of them
 * itself. */
static int may_ask(struct lhttpd_server_t *s, const char *key,
                   const void *value, const char *function)
{
    if (s->state != LH_SERVER_SETUP) {
        int r = need_running(s, function);
        if (r < 0)
            return r;
        if (lh_worker_is_current(s))
            return lh_err_set(words_of_thread(s), LHTTPD_ESTATE,
                              "%s: not on a worker thread", function);
    }
    int r = need_argument(s, key, function, "key");
    return r < 0 ? r : need_argument(s, value, function, "value");
}

static int ask(struct lhttpd_server_t *s, const struct lh_shared_call *what,
               struct lh_shared_call *answer, int timeout_ms,
               const char *function)
{
    int r = lh_owners_ask(s, what, answer, timeout_ms);
    bool unset = s->state == LH_SERVER_SETUP;
    struct lh_err *err = unset ? &s->err : words_of_thread(s);

    if (r == 0 && answer->result == LH_SHARED_MEMORY)
        r = LHTTPD_ENOMEM;
    if (r == 0 && answer->result == LH_SHARED_TOO_LARGE)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "%s: the value takes more than a worker's share of "
                          "shared_bytes",
                          function);
    if (r == LHTTPD_ENOMEM)
        return lh_err_memory(err);
    return r < 0 ? lh_err_set(err, r, "%s: %s", function, lhttpd_strerror(r))
                 : 0;
}

int lhttpd_server_shared_set(lhttpd_server_t *s, const char *key,
                             const lhttpd_value_t *value, unsigned seconds,
                             int timeout_ms)
{
    const char *function = "lhttpd_server_shared_set";
    struct lh_shared_call what = {.op = LH_SHARED_SET, .live_ms = LH_NEVER};
    struct lh_shared_call answer;

    if (!s)
        return no_server();
    int r = may_ask(s, key, value, function);
    if (r == 0)
        r = take_value(s, value, function, &what.value);
    if (r < 0)
        return r;
    what.key = lh_str_of(key);
    if (seconds)
        what.live_ms = (uint64_t)seconds * 1000;
    return ask(s, &what, &answer, timeout_ms, function);
}

int lhttpd_server_shared_get(lhttpd_server_t *s, const char *key,
                             lhttpd_value_t *value, int timeout_ms)
{
    const char *function = "lhttpd_server_shared_get";
    struct lh_shared_call what = {.op = LH_SHARED_GET}, answer;
    lhttpd_value_t copy = lhttpd_value_init();

    if (!s)
        return no_server();
    int r = may_ask(s, key, value, function);
    if (r == 0) /* for its size */
        r = take_struct(s, &copy, value, function, "value");
    if (r < 0)
        return r;
    what.key = lh_str_of(key);
    r = ask(s, &what, &answer, timeout_ms, function);
    if (r == 0) {
        give_value(&answer.answer, value);
        lh_free(answer.octets);
    }
    return r;
}

/* --- statistics ----------------------------------------------------------- */

/* A struct of any kind begins with its size; NULL: there is none. */
static int need_stats(const struct lhttpd_server_t *s, const size_t *size,
                      const char *function)
{
    if (!s)
        return no_server();
    if (!size || *size < sizeof(*size))
        return refuse_any(s, LHTTPD_EINVAL, function,
                          "stats is NULL, or its size is not set");
    if (runs_elsewhere(s))
        return refuse_any(s, LHTTPD_ESTATE, function,
                          "it runs in another process");
    return 0;
}

/* Makes all of it, and gives as much as the program's struct has room for. */
int lhttpd_server_stats(const lhttpd_server_t *s, lhttpd_stats_t *stats)
{
    lhttpd_stats_t all = lhttpd_stats_init();
    int r = need_stats(s, stats ? &stats->size : NULL, "lhttpd_server_stats");

    if (r < 0)
        return r;
    lh_server_stats(s, &all);
    copy_struct(stats, &all);
    return 0;
}

int lhttpd_server_handler_stats(const lhttpd_server_t *s, unsigned index,
                                lhttpd_handler_stats_t *stats)
{
    const char *function = "lhttpd_server_handler_stats";
    lhttpd_handler_stats_t all = lhttpd_handler_stats_init();
    int r = need_stats(s, stats ? &stats->size : NULL, function);

    if (r < 0)
        return r;
    if (lh_server_handler_stats(s, index, &all) < 0)
        return refuse_any(s, LHTTPD_EINVAL, function,
                          "there is no such handler");
    copy_struct(stats, &all);
    return 0;
}

/* --- the process ---------------------------------------------------------- */

int lhttpd_process_prepare(void)
{
    return lh_daemon_prepare(&own_err);
}

int lhttpd_process_supervise(void)
{
    return lh_daemon_supervise(&own_err);
}

int lhttpd_process_confine(const char *user, const char *root_directory)
{
    return lh_user_confine(user, root_directory, &own_err);
}

int lhttpd_process_daemonize(lhttpd_daemon_t *daemon)
{
    if (!daemon || daemon->size < sizeof(*daemon))
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "lhttpd_process_daemonize: start from "
                          "lhttpd_daemon_init()");
    return lh_daemon_start(daemon, &own_err);
}

int lhttpd_process_ready(lhttpd_daemon_t *daemon)
{
    if (!daemon || daemon->size < sizeof(*daemon))
        return lh_err_set(&own_err, LHTTPD_EINVAL,
                          "lhttpd_process_ready: not a daemon");
    return lh_daemon_ready(daemon, &own_err);
}

/* --- words ---------------------------------------------------------------- */

void lhttpd_server_log(const lhttpd_server_t *s, lhttpd_log_level_t level,
                       const char *message)
{
    if (s && message && !runs_elsewhere(s))
        lh_log_text(&s->log, level, NULL, lh_str_of(message));
}

/* General words for a code; lhttpd_server_error() says what was the matter. */
const char *lhttpd_strerror(int error)
{
    switch (error) {
    case LHTTPD_OK:
        return "no error";
    case LHTTPD_ENOMEM:
        return "out of memory";
    case LHTTPD_EINVAL:
        return "invalid argument";
    case LHTTPD_ESTATE:
        return "not possible in this state or on this thread";
    case LHTTPD_ESYSTEM:
        return "the operating system refused";
    case LHTTPD_EADDRESS:
        return "the address cannot be listened on";
    case LHTTPD_ECERT:
        return "the certificate or key cannot be used";
    case LHTTPD_ESCRIPT:
        return "a script or VM factory failed";
    case LHTTPD_EUSER:
        return "the user is not known or not permitted";
    case LHTTPD_ECUT:
        return "the grace ran out and requests were cut";
    case LHTTPD_ESTUCK:
        return "a script or a file operation does not return";
    case LHTTPD_ETIMEOUT:
        return "the time is over";
    case LHTTPD_ECLOSED:
        return "the client has gone";
    case LHTTPD_ESTOPPING:
        return "the server stops";
    }
    return "unknown error";
}

const char *lhttpd_server_error(const lhttpd_server_t *s)
{
    return s && s != own_err_of ? s->err.text : own_err.text;
}

#define TEXT(x)    #x
#define VERSION(x) TEXT(x)

const char *lhttpd_version(void)
{
    return VERSION(LHTTPD_VERSION_MAJOR) "." VERSION(
        LHTTPD_VERSION_MINOR) "." VERSION(LHTTPD_VERSION_PATCH);
}

/* What this build of the library has, whatever the header was compiled for. */
const char *lhttpd_features(void)
{
    return LHTTPD_FEATURES;
}

/* One of the words of these. */
int lhttpd_feature(const char *name)
{
    const char *word = LHTTPD_FEATURES;

    for (size_t n; name && *word; word += n + (word[n] == ' ')) {
        n = strcspn(word, " ");
        if (strlen(name) == n && memcmp(word, name, n) == 0)
            return 1;
    }
    return 0;
}
