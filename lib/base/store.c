/*
 * Shared values: see store.h.
 *
 * What always holds: each entry is in its slot and in `ages`, `n` and `bytes`
 * are the sums over all of them, and an entry whose time is over is gone before
 * anybody looks.  A value that is written is a new entry, so that one which
 * cannot be made leaves the old one as it was.
 */
#include "base/store.h"

#include "base/mem.h"
#include "lhttpd.h"

#define SLOTS_MIN 16

struct lh_entry {
    struct lh_entry *next; /* in its slot */
    struct lh_list age;
    struct lh_timer timer; /* when it ends */
    struct lh_store *store;
    uint64_t hash;
    struct lh_str key;
    struct lh_value value;
    char octets[]; /* of both */
};

/* Not as doubles, which above 2^53 stand for several integers each. */
static bool integer_equals(int64_t i, double d)
{
    return d >= -0x1p63 && d < 0x1p63 && (int64_t)d == i && (double)i == d;
}

bool lh_value_equal(const struct lh_value *a, const struct lh_value *b)
{
    if (a->kind == LH_VALUE_INTEGER && b->kind == LH_VALUE_NUMBER)
        return integer_equals(a->integer, b->number);
    if (a->kind == LH_VALUE_NUMBER && b->kind == LH_VALUE_INTEGER)
        return integer_equals(b->integer, a->number);
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case LH_VALUE_NONE:
        break;
    case LH_VALUE_TEXT:
        return lh_str_equal(a->text, b->text);
    case LH_VALUE_NUMBER:
        return a->number == b->number;
    case LH_VALUE_INTEGER:
        return a->integer == b->integer;
    case LH_VALUE_BOOLEAN:
        return a->boolean == b->boolean;
    }
    return true;
}

/* --- the table ------------------------------------------------------------ */

/* Its number of slots is a power of two. */
static struct lh_entry **entry_slot(const struct lh_store *s, uint64_t hash)
{
    return &s->slots[hash & (s->slots_n - 1)];
}

static struct lh_entry *find_entry(const struct lh_store *s, uint64_t hash,
                                   struct lh_str key)
{
    struct lh_entry *e = s->slots_n ? *entry_slot(s, hash) : NULL;

    while (e && (e->hash != hash || !lh_str_equal(e->key, key)))
        e = e->next;
    return e;
}

static void place_entry(struct lh_store *s, struct lh_entry *e)
{
    struct lh_entry **at = entry_slot(s, e->hash);

    e->next = *at;
    *at = e;
}

/* False: no memory, the table stays as it is. */
static bool resize_store(struct lh_store *s, size_t slots_n)
{
    struct lh_entry **slots = lh_calloc(slots_n, sizeof(struct lh_entry *));

    if (!slots)
        return false;
    lh_free(s->slots);
    s->slots = slots;
    s->slots_n = slots_n;
    for (struct lh_list *l = s->ages.next; l != &s->ages; l = l->next)
        place_entry(s, LH_OF(l, struct lh_entry, age));
    return true;
}

/* One slot at least; a table that cannot grow serves all the same. */
static bool has_slots(struct lh_store *s)
{
    if (s->n < s->slots_n)
        return true;
    return resize_store(s, s->slots_n ? s->slots_n * 2 : SLOTS_MIN) ||
           s->slots_n;
}

/* --- entries -------------------------------------------------------------- */

static size_t bytes_for(struct lh_str key, const struct lh_value *value)
{
    return sizeof(struct lh_entry) + key.n + value->text.n;
}

static size_t bytes_of(const struct lh_entry *e)
{
    return bytes_for(e->key, &e->value);
}

/* From its slot, the ages and the timers. */
static void remove_entry(struct lh_entry *e)
{
    struct lh_store *s = e->store;
    struct lh_entry **at = entry_slot(s, e->hash);

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    lh_list_remove(&e->age);
    lh_timer_disarm(&e->timer);
    s->n--;
    s->bytes -= bytes_of(e);
    lh_free(e);
}

/* Fired by whoever looks next, not by the worker's own timers. */
static void time_is_over(struct lh_timer *timer)
{
    remove_entry(LH_OF(timer, struct lh_entry, timer));
}

/* It is in no list yet.  Key and text lie behind it. */
static struct lh_entry *new_entry(struct lh_store *s, uint64_t hash,
                                  struct lh_str key,
                                  const struct lh_value *value)
{
    struct lh_entry *e = lh_alloc(bytes_for(key, value));

    if (!e)
        return NULL;
    *e = (struct lh_entry){.store = s, .hash = hash, .value = *value};
    lh_list_init(&e->age);
    lh_timer_init(&e->timer, time_is_over);
    if (key.n)
        memcpy(e->octets, key.p, key.n);
    e->key = (struct lh_str){e->octets, key.n};
    if (value->text.n)
        memcpy(e->octets + key.n, value->text.p, value->text.n);
    e->value.text.p = e->octets + key.n;
    return e;
}

/* The newest of all. */
static void link_entry(struct lh_store *s, struct lh_entry *e,
                       uint64_t deadline_ms)
{
    place_entry(s, e);
    lh_list_append(&s->ages, &e->age);
    lh_timer_arm(&s->timers, &e->timer, deadline_ms);
    s->n++;
    s->bytes += bytes_of(e);
}

/* Whoever writes pushes out what was written the longest ago: `bytes`, which
 * are no more than `most_bytes`, are to fit. */
static void evict_for(struct lh_store *s, size_t bytes, size_t most_bytes)
{
    while (s->n && s->bytes > most_bytes - bytes) {
        remove_entry(LH_OF(s->ages.next, struct lh_entry, age));
        s->evicted++;
    }
}

/* --- the store ------------------------------------------------------------ */

void lh_store_init(struct lh_store *s, uint64_t now_ms)
{
    *s = (struct lh_store){.slots = NULL};
    lh_list_init(&s->ages);
    lh_timers_init(&s->timers, now_ms);
}

void lh_store_deinit(struct lh_store *s)
{
    while (s->n)
        remove_entry(LH_OF(s->ages.next, struct lh_entry, age));
    lh_free(s->slots);
    s->slots = NULL;
    s->slots_n = 0;
}

/* Every function that looks lets time pass first. */
struct lh_value lh_store_get(struct lh_store *s, uint64_t now_ms, uint64_t hash,
                             struct lh_str key)
{
    lh_timers_fire(&s->timers, now_ms);
    const struct lh_entry *e = find_entry(s, hash, key);
    return e ? e->value : (struct lh_value){.kind = LH_VALUE_NONE};
}

/* What LH_STORE_KEEP_TIME stands for. */
static uint64_t deadline_after(const struct lh_entry *old, uint64_t given)
{
    if (given != LH_STORE_KEEP_TIME)
        return given;
    return old && lh_timer_armed(&old->timer) ? old->timer.deadline_ms
                                              : LH_NEVER;
}

/* The new entry is made first, for that may fail; then the old one goes, which
 * may be what makes room. */
int lh_store_set(struct lh_store *s, uint64_t now_ms, uint64_t hash,
                 struct lh_str key, const struct lh_value *value,
                 uint64_t deadline_ms, size_t most_bytes)
{
    size_t bytes = bytes_for(key, value);

    lh_timers_fire(&s->timers, now_ms);
    struct lh_entry *old = find_entry(s, hash, key), *e = NULL;
    if (value->kind != LH_VALUE_NONE) {
        if (bytes > most_bytes)
            return LHTTPD_EINVAL;
        if (!has_slots(s) || !(e = new_entry(s, hash, key, value)))
            return LHTTPD_ENOMEM;
        deadline_ms = deadline_after(old, deadline_ms);
    }
    if (old)
        remove_entry(old);
    if (!e)
        return 0;
    evict_for(s, bytes, most_bytes);
    link_entry(s, e, deadline_ms);
    return 0;
}

/* In the order in which they were written. */
bool lh_store_keys(struct lh_store *s, uint64_t now_ms, struct lh_str prefix,
                   bool (*see)(void *context, struct lh_str key), void *context)
{
    lh_timers_fire(&s->timers, now_ms);
    for (struct lh_list *l = s->ages.next; l != &s->ages; l = l->next) {
        const struct lh_entry *e = LH_OF(l, struct lh_entry, age);
        struct lh_str begin = {e->key.p, prefix.n};
        if (e->key.n >= prefix.n && lh_str_equal(begin, prefix) &&
            !see(context, e->key))
            return false;
    }
    return true;
}

/* In the same order, so that the copy drops the same ones first. */
int lh_store_copy(struct lh_store *from, uint64_t now_ms,
                  struct lh_store *(*to)(void *context, uint64_t hash),
                  void *context)
{
    lh_timers_fire(&from->timers, now_ms);
    for (struct lh_list *l = from->ages.next; l != &from->ages; l = l->next) {
        const struct lh_entry *e = LH_OF(l, struct lh_entry, age);
        struct lh_store *s = to(context, e->hash);
        if (!s ||
            lh_store_set(s, now_ms, e->hash, e->key, &e->value,
                         deadline_after(e, LH_STORE_KEEP_TIME), SIZE_MAX) < 0)
            return LHTTPD_ENOMEM;
    }
    return 0;
}
