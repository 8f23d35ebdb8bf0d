/*
 * Operations on shared values: see shared.h.
 *
 * What always holds: a call's strings are its own or outlive it, and an
 * answer's text is the store's until lh_shared_keep().  An operation that fails
 * has changed nothing, and looks and writes in one piece: the store has one
 * thread.
 */
#include "base/shared.h"

#include "base/mem.h"
#include "lhttpd.h"

/* The first room for keys. */
#define KEYS_MIN 256

/* --- the call ------------------------------------------------------------- */

/* Copies a string to *at, which moves behind it. */
static void carry(struct lh_str *s, char **at)
{
    if (s->n)
        memcpy(*at, s->p, s->n);
    s->p = *at;
    *at += s->n;
}

struct lh_shared_call *lh_shared_call_new(size_t head,
                                          const struct lh_shared_call *what)
{
    size_t n = what->key.n + what->value.text.n + what->other.text.n;
    struct lh_shared_call *call = lh_alloc(head + n);

    if (!call)
        return NULL;
    char *at = (char *)call + head;
    memset(call, 0, head);
    *call = *what;
    carry(&call->key, &at);
    carry(&call->value.text, &at);
    carry(&call->other.text, &at);
    return call;
}

/* Of a call that lh_shared_call_new() has made. */
void lh_shared_call_free(struct lh_shared_call *call)
{
    if (!call)
        return;
    lh_free(call->octets);
    lh_free(call);
}

/* The store may change before the answer has arrived. */
void lh_shared_keep(struct lh_shared_call *call)
{
    struct lh_str *text = &call->answer.text;

    if (call->octets || !text->n)
        return;
    call->octets = lh_memdup(text->p, text->n);
    text->p = call->octets;
    if (call->octets)
        return;
    call->answer = (struct lh_value){.kind = LH_VALUE_NONE};
    call->result = LH_SHARED_MEMORY;
}

/* --- keys ----------------------------------------------------------------- */

/* Doubled, as nobody knows how many there are.  False: no memory. */
static bool grow_keys(struct lh_shared_call *call, size_t n)
{
    size_t room = call->octets_room ? call->octets_room : KEYS_MIN;
    char *octets;

    if (n <= call->octets_room)
        return true;
    while (room < n)
        room *= 2;
    octets = lh_realloc(call->octets, room);
    if (!octets)
        return false;
    call->octets = octets;
    call->octets_room = room;
    return true;
}

/* Each is its length, as a size_t, and its octets. */
static bool add_key(void *context, struct lh_str key)
{
    struct lh_shared_call *call = context;
    size_t n = call->octets_n, more = sizeof(key.n) + key.n;

    if (!grow_keys(call, n + more)) {
        call->result = LH_SHARED_MEMORY;
        return false;
    }
    memcpy(call->octets + n, &key.n, sizeof(key.n));
    if (key.n)
        memcpy(call->octets + n + sizeof(key.n), key.p, key.n);
    call->octets_n = n + more;
    return true;
}

/* Goes through what add_key has written. */
bool lh_shared_next_key(const struct lh_shared_call *call, size_t *at,
                        struct lh_str *key)
{
    if (*at >= call->octets_n)
        return false;
    memcpy(&key->n, call->octets + *at, sizeof(key->n));
    key->p = call->octets + *at + sizeof(key->n);
    *at += sizeof(key->n) + key->n;
    return true;
}

/* --- operations ----------------------------------------------------------- */

/* Where an operation is done. */
struct place {
    struct lh_shared_call *call;
    struct lh_store *store;
    uint64_t now_ms;
    size_t most_bytes;
};

/* Of the call's own key. */
static enum lh_shared_result write_value(const struct place *p,
                                         const struct lh_value *value,
                                         uint64_t deadline_ms)
{
    switch (lh_store_set(p->store, p->now_ms, p->call->hash, p->call->key,
                         value, deadline_ms, p->most_bytes)) {
    case 0:
        return LH_SHARED_OK;
    case LHTTPD_EINVAL:
        return LH_SHARED_TOO_LARGE;
    default:
        return LH_SHARED_MEMORY;
    }
}

/* Integers stay integers while they fit. */
static struct lh_value sum_of(const struct lh_value *a,
                              const struct lh_value *b)
{
    struct lh_value v = {.kind = LH_VALUE_INTEGER};

    if (a->kind == LH_VALUE_INTEGER && b->kind == LH_VALUE_INTEGER &&
        !__builtin_add_overflow(a->integer, b->integer, &v.integer))
        return v;
    v.kind = LH_VALUE_NUMBER;
    v.number = lh_value_number(a) + lh_value_number(b);
    return v;
}

/* The sum is the answer and the new value; its time to live stays. */
static enum lh_shared_result increase(const struct place *p,
                                      const struct lh_value *there)
{
    struct lh_shared_call *call = p->call;
    const struct lh_value *from =
        there->kind == LH_VALUE_NONE ? &call->other : there;

    if (from->kind == LH_VALUE_NONE)
        return LH_SHARED_ABSENT;
    if (!lh_value_is_number(from))
        return LH_SHARED_NOT_NUMBER;
    call->answer = sum_of(from, &call->value);
    return write_value(p, &call->answer, LH_STORE_KEEP_TIME);
}

/* Is it what the call has for `other`, as who asks would see it? */
static bool is_expected(const struct lh_shared_call *call,
                        const struct lh_value *there)
{
    struct lh_value seen = *there;

    if (call->doubles && lh_value_is_number(there))
        seen = (struct lh_value){.kind = LH_VALUE_NUMBER,
                                 .number = lh_value_number(there)};
    return lh_value_equal(&seen, &call->other);
}

/* `there` is what the key has now; its text is gone once something is written.
 */
static enum lh_shared_result operate(const struct place *p,
                                     struct lh_value there)
{
    struct lh_shared_call *call = p->call;
    const struct lh_value none = {.kind = LH_VALUE_NONE};

    switch (call->op) {
    case LH_SHARED_GET:
        call->answer = there;
        return LH_SHARED_OK;
    case LH_SHARED_ADD:
        if (there.kind != LH_VALUE_NONE)
            return LH_SHARED_NO;
        return write_value(p, &call->value,
                           lh_deadline(p->now_ms, call->live_ms));
    case LH_SHARED_SET:
        return write_value(p, &call->value,
                           lh_deadline(p->now_ms, call->live_ms));
    case LH_SHARED_INCR:
        return increase(p, &there);
    case LH_SHARED_CAS:
        if (!is_expected(call, &there))
            return LH_SHARED_NO;
        return write_value(p, &call->value, LH_STORE_KEEP_TIME);
    case LH_SHARED_DELETE:
        if (there.kind == LH_VALUE_NONE)
            return LH_SHARED_NO;
        return write_value(p, &none, LH_NEVER);
    case LH_SHARED_KEYS:
        break;
    }
    return LH_SHARED_OK;
}

void lh_shared_run(struct lh_shared_call *call, struct lh_store *store,
                   uint64_t now_ms, size_t most_bytes)
{
    struct place place = {call, store, now_ms, most_bytes};

    call->result = LH_SHARED_OK;
    if (call->op == LH_SHARED_KEYS)
        lh_store_keys(store, now_ms, call->key, add_key, call);
    else
        call->result =
            operate(&place, lh_store_get(store, now_ms, call->hash, call->key));
}
