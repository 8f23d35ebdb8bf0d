/* From a request to its handler: see dispatch.h. */
#include "server/dispatch.h"

#include "http/redirect.h"
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
    lh_redirect(ex, lh_arena_join(&ex->arena, parts, 6));
    lh_exchange_let_go_handler(ex);
}

/* Without memory for a task the client is told to come again. */
static void serve(struct lh_vm *vm, int handler, struct lh_exchange *ex,
                  struct lh_str path_info)
{
    ex->handler_number = handler;
    if (lh_vm_serve(vm, handler, ex, path_info) < 0)
        answer(ex, 503);
}

/* By the "/notfound" of the script at the root; false: there is none. */
static bool serve_by_root(struct lh_worker *w, struct lh_exchange *ex)
{
    struct lh_str rest, none = {NULL, 0};
    const struct lh_prefix *root =
        lh_prefixes_find(&w->server->mappings.prefixes, LH_STR("/"), &rest);
    struct lh_vm *vm = root ? w->vms->v[root->index] : NULL;

    if (!vm || lh_vm_not_found(vm) < 0)
        return false;
    ex->mapping_number = (int)root->index;
    serve(vm, lh_vm_not_found(vm), ex, none);
    return true;
}

/* By the "/notfound" of the script, else by that of the root mapping. */
static void serve_not_found(struct lh_worker *w, struct lh_vm *vm,
                            struct lh_exchange *ex)
{
    struct lh_str none = {NULL, 0};

    if (vm && lh_vm_not_found(vm) >= 0)
        serve(vm, lh_vm_not_found(vm), ex, none);
    else if (!serve_by_root(w, ex))
        answer(ex, 404);
}

bool lh_dispatch_not_found(struct lh_exchange *ex)
{
    return serve_by_root(LH_OF(ex->ctx, struct lh_worker, ctx), ex);
}

static void serve_directory(struct lh_worker *w, struct lh_directory *d,
                            struct lh_exchange *ex, struct lh_str path)
{
    ex->counts = &d->tally->of_worker[w->number];
    lh_served_begin(&w->served, ex, &d->options, path);
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
    if (rest.n == 0 && prefix->n && (!vm || lh_vm_has_root(vm))) {
        /* So that relative links of its page work. */
        lh_redirect_to_slash(ex);
        lh_exchange_let_go_handler(ex);
        return;
    }
    if (!vm) {
        serve_directory(w, w->server->mappings.v[prefix->index].directory, ex,
                        rest);
        return;
    }
    int handler = lh_vm_find(vm, rest, &path_info);
    if (handler < 0)
        serve_not_found(w, vm, ex);
    else
        serve(vm, handler, ex, path_info);
}

/* An extended CONNECT (RFC 8441) is a handler's, where it is for what handlers
 * can speak. */
static bool is_not_served(const struct lh_request *r)
{
    if (lh_str_equal(r->method, LH_STR("CONNECT")))
        return !r->to_websocket;
    return lh_str_equal(r->method, LH_STR("TRACE"));
}

/* What needs no script comes first, since it costs nothing. */
void lh_dispatch(struct lh_worker *w, const struct lh_listener *listener,
                 struct lh_exchange *ex)
{
    const struct lh_request *r = &ex->request;

    if (w->server->settings.forwarded && !lh_forward_apply(w, ex))
        answer(ex, 503);
    else if (is_not_served(r))
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
