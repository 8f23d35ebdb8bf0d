/*
 * Names of hosts: see resolve.h.
 *
 * A look-up is in `waiting`, the worker's alone; or in `running`, when its
 * thread owns the name and the outcome until the message has come back; or it
 * was left, in no list, and whoever gets the message frees it.
 */
#include "os/resolve.h"

#include "base/mem.h"
#include "os/error.h"
#include "os/port.h"
#include "os/signals.h"
#include "os/thread.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* Enough for the modules that nsswitch.conf may name. */
#define STACK_BYTES ((size_t)512 << 10)

struct lh_lookup {
    struct lh_list link;
    struct lh_resolver *resolver; /* NULL: its worker has ended */
    struct lh_port_message message;
    struct lh_port *port; /* a share, while its thread runs */
    void (*done)(void *owner, const struct lh_resolved *found);
    void *owner; /* NULL: it was left */
    struct lh_resolved found;
    int number; /* the port's */
    bool begun; /* it is the thread's, and a message will come */
    char host[];
};

/* --- the question itself -------------------------------------------------- */

static const char *fault_words(int fault)
{
    switch (fault) {
    case EAI_NONAME:
#if defined(EAI_NODATA) && EAI_NODATA != EAI_NONAME
    case EAI_NODATA:
#endif
#ifdef EAI_ADDRFAMILY
    case EAI_ADDRFAMILY:
#endif
        return "no such host";
    case EAI_AGAIN:
        return "no name server answers";
    default:
        return "the name cannot be looked up";
    }
}

static void keep_found(const struct addrinfo *list, struct lh_resolved *out)
{
    for (; list && out->n < LH_RESOLVED_MAX; list = list->ai_next) {
        struct lh_address *to = &out->v[out->n];
        if ((list->ai_family != AF_INET && list->ai_family != AF_INET6) ||
            list->ai_addrlen > sizeof(to->octets))
            continue;
        memcpy(to->octets, list->ai_addr, list->ai_addrlen);
        to->n = (unsigned)list->ai_addrlen;
        out->n++;
    }
}

static void ask_system(const char *host, int port, int flags,
                       struct lh_resolved *out)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = flags | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char service[12];

    out->n = 0;
    out->why = NULL;
    out->error = 0;
    snprintf(service, sizeof(service), "%d", port);
    int fault = getaddrinfo(host, service, &hints, &list);
    if (fault == 0) {
        keep_found(list, out);
        freeaddrinfo(list);
        out->why = out->n ? NULL : fault_words(EAI_NONAME);
    } else if (fault == EAI_MEMORY) {
        out->error = -ENOMEM;
    } else if (fault == EAI_SYSTEM && errno) {
        out->error = -errno;
    } else {
        out->why = fault_words(fault);
    }
}

bool lh_resolve_numeric(const char *host, int port, struct lh_resolved *out)
{
    ask_system(host, port, AI_NUMERICHOST, out);
    return out->n > 0;
}

/* --- its thread ----------------------------------------------------------- */

/* From the post on nothing here is ours but the port's share. */
static void *look_up(void *arg)
{
    struct lh_lookup *lookup = arg;
    struct lh_port *port = lookup->port;

    ask_system(lookup->host, lookup->number, 0, &lookup->found);
    lh_port_post(port, &lookup->message);
    lh_port_drop(port);
    return NULL;
}

static int start_look_up(struct lh_lookup *lookup)
{
    struct lh_thread thread;
    sigset_t before;

    lookup->port = lookup->resolver->port;
    lh_port_hold(lookup->port);
    lh_signals_for_helpers(&before);
    int r = lh_thread_start(&thread, STACK_BYTES, look_up, lookup);
    lh_signals_restore(&before);
    if (r < 0)
        lh_port_drop(lookup->port);
    else
        lh_thread_detach(&thread);
    return r;
}

/* --- the worker's side ---------------------------------------------------- */

static void tell_owner(struct lh_lookup *lookup)
{
    lh_list_remove(&lookup->link);
    if (lookup->owner)
        lookup->done(lookup->owner, &lookup->found);
    lh_free(lookup);
}

/* As many threads as there may be.  Where there can be none the outcome comes
 * in the same way, not inside of the call that has begun. */
static void run_waiting(struct lh_resolver *r)
{
    while (r->running_n < LH_LOOKUPS_MAX && !lh_list_empty(&r->waiting)) {
        struct lh_lookup *lookup =
            LH_OF(r->waiting.next, struct lh_lookup, link);
        lh_list_remove(&lookup->link);
        lh_list_append(&r->running, &lookup->link);
        r->running_n++;
        lookup->begun = true;
        int error = start_look_up(lookup);
        if (error == 0)
            continue;
        lookup->found.error = error;
        lh_port_post(r->port, &lookup->message);
    }
}

/* On the worker's thread, or after its end on the look-up's own. */
static void deliver_lookup(struct lh_port_message *message)
{
    struct lh_lookup *lookup = LH_OF(message, struct lh_lookup, message);
    struct lh_resolver *r = lookup->resolver;

    tell_owner(lookup);
    if (!r)
        return;
    r->running_n--;
    run_waiting(r);
}

void lh_resolver_init(struct lh_resolver *r, struct lh_port *port)
{
    *r = (struct lh_resolver){.port = port};
    lh_list_init(&r->waiting);
    lh_list_init(&r->running);
}

void lh_resolver_deinit(struct lh_resolver *r)
{
    struct lh_list *link;

    while ((link = lh_list_take(&r->waiting)) != NULL)
        lh_free(LH_OF(link, struct lh_lookup, link));
    while ((link = lh_list_take(&r->running)) != NULL) {
        struct lh_lookup *lookup = LH_OF(link, struct lh_lookup, link);
        lookup->owner = NULL;
        lookup->resolver = NULL;
    }
}

struct lh_lookup *
lh_lookup_new(struct lh_resolver *r, const char *host, int port,
              void (*done)(void *owner, const struct lh_resolved *found),
              void *owner)
{
    size_t n = strlen(host) + 1;
    struct lh_lookup *lookup = lh_calloc(1, sizeof(*lookup) + n);

    if (!lookup)
        return NULL;
    memcpy(lookup->host, host, n);
    lookup->resolver = r;
    lookup->number = port;
    lookup->done = done;
    lookup->owner = owner;
    lookup->message.deliver = deliver_lookup;
    lh_list_append(&r->waiting, &lookup->link);
    run_waiting(r);
    return lookup;
}

/* Its place among those that run is free once the system has answered. */
void lh_lookup_leave(struct lh_lookup *lookup)
{
    if (lookup->begun) {
        lookup->owner = NULL;
        return;
    }
    lh_list_remove(&lookup->link);
    lh_free(lookup);
}
