/* Messages to a service manager: see notify.h. */
#include "server/notify.h"

#include "os/clock.h"
#include "os/error.h"
#include "os/self.h"
#include "server/server.h"

#include <stdarg.h>
#include <stdio.h>

/* Who starts or reloads waits so long for a manager that is busy: it would take
 * a lost word for a server that hangs. */
#define PATIENCE_MS 1000

#define MESSAGE_BYTES 1024

void lh_notify_init(struct lh_notify *notify, const struct lh_log *log)
{
    notify->manager.fd = -1;
    notify->log = log;
}

void lh_notify_deinit(struct lh_notify *notify)
{
    lh_manager_close(&notify->manager);
}

int lh_notify_connect(struct lh_notify *notify, struct lh_err *err)
{
    struct lh_manager manager;
    int r = lh_manager_connect(&manager, err);

    if (r == 1) {
        lh_manager_close(&notify->manager);
        notify->manager = manager;
    }
    return r;
}

/* A manager that does not listen is the log's business, once: the clients of
 * the server are served all the same. */
static void tell_manager(struct lh_notify *notify, int patience_ms,
                         const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell_manager(struct lh_notify *notify, int patience_ms,
                         const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;

    if (notify->manager.fd < 0)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    int r = lh_manager_tell(&notify->manager, message, patience_ms);
    if (r < 0 && !atomic_exchange(&notify->failed, true))
        lh_log(notify->log, LHTTPD_LOG_WARNING, NULL,
               "the service manager (NOTIFY_SOCKET) cannot be told how the "
               "server is doing: %s",
               lh_sys_text(r));
}

/* "[::]:443, [::]:80 and 3 more". */
static void list_listeners(const struct lh_listeners *l, char *to, size_t room)
{
    const char *first = l->n > 0 ? l->v[0].where.text : "no listener";
    const char *second = l->n > 1 ? l->v[1].where.text : "";
    const char *comma = l->n > 1 ? ", " : "";

    if (l->n > 2)
        snprintf(to, room, "%s, %s and %u more", first, second, l->n - 2);
    else
        snprintf(to, room, "%s%s%s", first, comma, second);
}

/* The process is named since the manager may have started another one, which
 * went to the background or is a shell. */
void lh_notify_ready(struct lhttpd_server_t *s, const char *news)
{
    char list[300], text[LH_ERR_TEXT_BYTES] = "";

    if (news)
        lh_log_clean(text, sizeof(text), lh_str_of(news));
    list_listeners(&s->listeners, list, sizeof(list));
    tell_manager(&s->notify, PATIENCE_MS,
                 "READY=1\nMAINPID=%ld\nSTATUS=Serving on %s%s%s", lh_self_id(),
                 list, news ? ". " : "", text);
}

/* By its time a manager that has asked for the reload knows that it is that
 * one. */
void lh_notify_reloading(struct lhttpd_server_t *s)
{
    tell_manager(&s->notify, PATIENCE_MS,
                 "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
                 (unsigned long long)(lh_clock_ns() / 1000));
}

void lh_notify_stopping(struct lhttpd_server_t *s, uint64_t grace_ms)
{
    tell_manager(&s->notify, 0,
                 "STOPPING=1\nSTATUS=Stopping: requests under way have %llu ms",
                 (unsigned long long)grace_ms);
}

void lh_notify_alive(struct lh_notify *notify)
{
    tell_manager(notify, 0, "WATCHDOG=1");
}
