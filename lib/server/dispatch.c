/* From a request to its handler: see dispatch.h. */
#include "server/dispatch.h"

#include "server/forward.h"
#include "server/server.h"

#include <stdio.h>

/* The server is the handler here: it answers at once and lets go. */
static void answer(struct lh_exchange *ex, unsigned status)
{
    lh_exchange_fail(ex, status);
    lh_exchange_let_go_handler(ex);
}

/* OPTIONS * asks whether there is a server (RFC 9110, 9.3.7): there is. */
static void answer_no_content(struct lh_exchange *ex)
{
    struct lh_fields none = {0};

    if (lh_exchange_start(ex, 204, &none) == 0)
        lh_exchange_end(ex);
    else
        lh_exchange_fail(ex, 503);
    lh_exchange_let_go_handler(ex);
}

/* One string out of up to six in the exchange's arena; .p NULL: no memory. */
static struct lh_str concat(struct lh_exchange *ex, const struct lh_str *parts,
                            unsigned n)
{
    size_t length = 0;

    for (unsigned i = 0; i < n; i++)
        length += parts[i].n;
    char *text = lh_arena_alloc(&ex->arena, length);
    if (!text)
        return (struct lh_str){NULL, 0};
    char *at = text;
    for (unsigned i = 0; i < n; i++) {
        if (parts[i].n)
            memcpy(at, parts[i].p, parts[i].n);
        at += parts[i].n;
    }
    return (struct lh_str){text, length};
}

/* 308 (RFC 9110, 15.4.9): unlike 301 it keeps the method. */
static void redirect(struct lh_exchange *ex, struct lh_str location)
{
    struct lh_fields fields = {0};

    if (!location.p ||
        !lh_fields_add(&fields, &ex->arena, LH_STR("location"), location) ||
        lh_exchange_start(ex, 308, &fields) < 0) {
        answer(ex, 503);
        return;
    }
    lh_exchange_end(ex);
    lh_exchange_let_go_handler(ex);
}

/* The host of an authority, without its port. */
static struct lh_str host_of(struct lh_str authority)
{
    size_t n = authority.n;

    while (n && authority.p[n - 1] >= '0' && authority.p[n - 1] <= '9')
        n--;
    if (n && authority.p[n - 1] == ':')
        return (struct lh_str){authority.p, n - 1};
    return authority;
}

/* To the same target on the first TLS listener, of the host that the client
 * asked or else of the address that it came to.  A unix socket has none. */
static void redirect_to_tls(const struct lhttpd_server_t *s,
                            struct lh_exchange *ex)
{
    struct lh_str host = host_of(ex->request.authority);
    int port = lh_listeners_tls_port(&s->listeners);
    char port_text[16] = "";

    if (!host.n && ex->peer->server_port)
        host = lh_str_of(ex->peer->server_addr);
    if (!host.n) {
        answer(ex, 400);
        return;
    }
    if (port != 443)
        snprintf(port_text, sizeof(port_text), ":%d", port);
    bool literal = host.p[0] != '[' && memchr(host.p, ':', host.n);
    struct lh_str parts[] = {
        LH_STR("https://"),
        literal ? LH_STR("[") : LH_STR(""),
        host,
        literal ? LH_STR("]") : LH_STR(""),
        lh_str_of(port_text),
        ex->request.target,
    };
    redirect(ex, concat(ex, parts, 6));
}

/* "/ui" to "/ui/", so that relative links of its page work.  What begins with
 * two slashes, of either kind, would be another host's. */
static void redirect_to_slash(struct lh_exchange *ex)
{
    struct lh_str target = ex->request.target;

    while (target.n && (target.p[0] == '/' || target.p[0] == '\\')) {
        target.p++;
        target.n--;
    }
    const char *mark = memchr(target.p, '?', target.n);
    size_t n = mark ? (size_t)(mark - target.p) : target.n;
    struct lh_str parts[] = {
        LH_STR("/"),
        {target.p, n},
        LH_STR("/"),
        {target.p + n, target.n - n},
    };

    redirect(ex, concat(ex, parts, 4));
}

/* Without memory for a task the client is told to come again. */
static void serve(struct lh_vm *vm, int handler, struct lh_exchange *ex,
                  struct lh_str path_info)
{
    ex->handler_number = handler;
    if (lh_vm_serve(vm, handler, ex, path_info) < 0)
        answer(ex, 503);
}

static void serve_by_root(struct lh_worker *w, unsigned index,
                          struct lh_exchange *ex)
{
    struct lh_vm *vm = w->vms->v[index];
    struct lh_str none = {NULL, 0};

    ex->mapping_number = (int)index;
    serve(vm, lh_vm_not_found(vm), ex, none);
}

/* By the "/notfound" of the script, else by that of the root mapping. */
static void serve_not_found(struct lh_worker *w, struct lh_vm *vm,
                            struct lh_exchange *ex)
{
    struct lh_str rest, none = {NULL, 0};
    const struct lh_prefix *root =
        lh_prefixes_find(&w->server->mappings.prefixes, LH_STR("/"), &rest);

    if (vm && lh_vm_not_found(vm) >= 0)
        serve(vm, lh_vm_not_found(vm), ex, none);
    else if (root && lh_vm_not_found(w->vms->v[root->index]) >= 0)
        serve_by_root(w, root->index, ex);
    else
        answer(ex, 404);
}

/* The longest prefix that fits has the request; the rest of the path is looked
 * for among the handlers of its script. */
static void find_and_serve(struct lh_worker *w, struct lh_exchange *ex)
{
    struct lh_str rest, path_info;
    const struct lh_prefix *prefix = lh_prefixes_find(
        &w->server->mappings.prefixes, ex->request.path, &rest);

    if (!prefix) {
        serve_not_found(w, NULL, ex);
        return;
    }
    struct lh_vm *vm = w->vms->v[prefix->index];
    ex->mapping_number = (int)prefix->index;
    if (rest.n == 0 && prefix->n && lh_vm_has_root(vm)) {
        redirect_to_slash(ex);
        return;
    }
    int handler = lh_vm_find(vm, rest, &path_info);
    if (handler < 0)
        serve_not_found(w, vm, ex);
    else
        serve(vm, handler, ex, path_info);
}

/* What needs no script comes first, since it costs nothing. */
void lh_dispatch(struct lh_worker *w, const struct lh_listener *listener,
                 struct lh_exchange *ex)
{
    const struct lh_request *r = &ex->request;

    if (w->server->settings.forwarded && !lh_forward_apply(w, ex))
        answer(ex, 503);
    else if (lh_str_equal(r->method, LH_STR("CONNECT")) ||
             lh_str_equal(r->method, LH_STR("TRACE")))
        answer(ex, 501);
    else if (lh_str_equal(r->path, LH_STR("*"))) {
        if (lh_str_equal(r->method, LH_STR("OPTIONS")))
            answer_no_content(ex);
        else
            answer(ex, 400);
    } else if (listener->flags & LHTTPD_LISTEN_REDIRECT)
        redirect_to_tls(w->server, ex);
    else
        find_and_serve(w, ex);
}
