/*
 * Channels: see channel.h.
 *
 * What always holds: a channel in the table has a subscriber, and is counted in
 * `heard` of its hash's group; `inbox_bytes` is what waits in the inbox and in
 * `pending`, or is about to.  Each copy that is posted holds one share of its
 * publication, each place of a ring another.
 *
 * Whoever finds the inbox full takes all of it, as its owner would, and posts
 * behind that; so what is lost is older than what arrives, whoever published
 * it, and each publisher's order is kept.
 */
#include "base/channel.h"

#include "base/mem.h"
#include "lhttpd.h"

#include <assert.h>

#define SLOTS_MIN 16
#define RING_MIN  4

struct lh_channel {
    struct lh_channel *next; /* in its slot */
    uint64_t hash;
    struct lh_list subscribers;
    struct lh_str name;
};

/* --- publications --------------------------------------------------------- */

/* One block for all of it: head, a copy for each worker, name, data. */
struct lh_publication *lh_publication_new(uint64_t hash, struct lh_str name,
                                          struct lh_str data, unsigned copies)
{
    size_t head =
        sizeof(struct lh_publication) + copies * sizeof(struct lh_copy);
    struct lh_publication *p;

    if (data.n > SIZE_MAX - head - name.n)
        return NULL;
    p = lh_alloc(head + name.n + data.n);
    if (!p)
        return NULL;
    char *octets = (char *)p + head;
    memcpy(octets, name.p, name.n);
    if (data.n)
        memcpy(octets + name.n, data.p, data.n);
    *p = (struct lh_publication){
        .hash = hash,
        .name = {octets, name.n},
        .data = {octets + name.n, data.n},
        .bytes = head + name.n + data.n,
        .copies_n = copies,
    };
    atomic_init(&p->refs, 1);
    return p;
}

void lh_publication_hold(struct lh_publication *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
}

void lh_publication_drop(struct lh_publication *p)
{
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
        lh_free(p);
}

static struct lh_publication *publication_at(struct lh_mailbox_node *node)
{
    return LH_OF(node, struct lh_copy, node)->of;
}

/* --- the inbox ------------------------------------------------------------ */

static unsigned name_group(uint64_t hash)
{
    return (unsigned)(hash >> 32) % LH_CHANNEL_GROUPS;
}

bool lh_channels_hear(const struct lh_channels *c, uint64_t hash)
{
    return atomic_load(&c->heard[name_group(hash)]) > 0;
}

/* Counted by groups, since no thread but the owner may look at a subscriber. */
static void lose_inbox(struct lh_channels *c)
{
    struct lh_mailbox_node *node = lh_mailbox_take(&c->inbox);

    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct lh_publication *p = publication_at(node);
        atomic_fetch_add(&c->lost_of[name_group(p->hash)], 1);
        atomic_fetch_sub(&c->inbox_bytes, p->bytes);
        lh_publication_drop(p);
        node = next;
    }
    atomic_store(&c->any_lost, true);
}

/* Memory has a bound, but for what several publishers add at the same moment.
 */
bool lh_channels_post(struct lh_channels *c, struct lh_publication *p,
                      unsigned copy, size_t most_bytes)
{
    size_t before = atomic_fetch_add(&c->inbox_bytes, p->bytes);

    assert(copy < p->copies_n);
    if (before > most_bytes || p->bytes > most_bytes - before)
        lose_inbox(c);
    p->copies[copy].of = p;
    lh_publication_hold(p);
    lh_mailbox_post(&c->inbox, &p->copies[copy].node);
    return !atomic_exchange(&c->told, true);
}

/* --- the table ------------------------------------------------------------ */

static struct lh_channel **channel_slot(const struct lh_channels *c,
                                        uint64_t hash)
{
    return &c->slots[hash & (c->slots_n - 1)];
}

/* Where the channel is linked, or would be. */
static struct lh_channel **find_channel(const struct lh_channels *c,
                                        uint64_t hash, struct lh_str name)
{
    struct lh_channel **at = channel_slot(c, hash);

    while (*at && ((*at)->hash != hash || !lh_str_equal((*at)->name, name)))
        at = &(*at)->next;
    return at;
}

/* Without memory the table stays as it is, and slots have more channels. */
static void resize_channels(struct lh_channels *c, size_t slots_n)
{
    struct lh_channels old = {.slots = c->slots, .slots_n = c->slots_n};
    struct lh_channel **slots = lh_calloc(slots_n, sizeof(struct lh_channel *));

    if (!slots)
        return;
    c->slots = slots;
    c->slots_n = slots_n;
    for (size_t i = 0; i < old.slots_n; i++) {
        struct lh_channel *channel = old.slots[i], *next;
        for (; channel; channel = next) {
            next = channel->next;
            struct lh_channel **at = channel_slot(c, channel->hash);
            channel->next = *at;
            *at = channel;
        }
    }
    lh_free(old.slots);
}

/* Its name lies behind it. */
static struct lh_channel *new_channel(uint64_t hash, struct lh_str name)
{
    struct lh_channel *channel = lh_alloc(sizeof(*channel) + name.n);

    if (!channel)
        return NULL;
    memcpy(channel + 1, name.p, name.n);
    *channel = (struct lh_channel){
        .hash = hash,
        .name = {(const char *)(channel + 1), name.n},
    };
    lh_list_init(&channel->subscribers);
    return channel;
}

/* The channel of that name, made if there is none. */
static struct lh_channel *open_channel(struct lh_channels *c, uint64_t hash,
                                       struct lh_str name)
{
    if (c->n >= c->slots_n)
        resize_channels(c, c->slots_n ? c->slots_n * 2 : SLOTS_MIN);
    if (!c->slots_n)
        return NULL;
    struct lh_channel **at = find_channel(c, hash, name);
    if (*at)
        return *at;
    *at = new_channel(hash, name);
    if (!*at)
        return NULL;
    lh_count_set(&c->open, ++c->n);
    atomic_fetch_add(&c->heard[name_group(hash)], 1);
    return *at;
}

/* The last subscriber has left. */
static void close_channel(struct lh_channels *c, struct lh_channel *channel)
{
    *find_channel(c, channel->hash, channel->name) = channel->next;
    atomic_fetch_sub(&c->heard[name_group(channel->hash)], 1);
    lh_free(channel);
    lh_count_set(&c->open, --c->n);
    if (c->slots_n > SLOTS_MIN && c->n < c->slots_n / 8)
        resize_channels(c, c->slots_n / 4);
}

/* --- subscribers ---------------------------------------------------------- */

struct lh_publication *lh_subscriber_first(const struct lh_subscriber *s)
{
    return s->n ? s->ring[s->first] : NULL;
}

/* Its share of the publication goes; the last one frees it. */
void lh_subscriber_next(struct lh_subscriber *s)
{
    struct lh_publication *p = s->ring[s->first];

    s->first = (s->first + 1) % s->room;
    s->n--;
    lh_publication_drop(p);
}

/* The ring grows as it is needed: most subscribers keep up. */
static bool grow_ring(struct lh_subscriber *s)
{
    unsigned room = s->room ? s->room * 2 : RING_MIN;
    struct lh_publication **ring;

    if (s->room == s->most)
        return false;
    if (room > s->most)
        room = s->most;
    ring = lh_alloc(room * sizeof(struct lh_publication *));
    if (!ring)
        return false;
    for (unsigned i = 0; i < s->n; i++)
        ring[i] = s->ring[(s->first + i) % s->room];
    lh_free(s->ring);
    s->ring = ring;
    s->room = room;
    s->first = 0;
    return true;
}

/* Without memory for a ring that has never been made the message itself is
 * dropped, else the oldest one. */
static void give_to(struct lh_channels *c, struct lh_subscriber *s,
                    struct lh_publication *p)
{
    bool fits = s->n < s->room || grow_ring(s);

    s->dropped += !fits;
    if (!fits)
        lh_count_add(&c->dropped, 1);
    if (!fits && s->n)
        lh_subscriber_next(s);
    if (!s->room)
        return;
    s->ring[(s->first + s->n++) % s->room] = p;
    lh_publication_hold(p);
    s->on_message(s);
}

int lh_channels_subscribe(struct lh_channels *c, struct lh_subscriber *s,
                          struct lh_str name, unsigned most)
{
    struct lh_channel *channel = open_channel(c, lh_hash(c->key, name), name);

    if (!channel)
        return LHTTPD_ENOMEM;
    s->channel = channel;
    s->most = most;
    lh_list_append(&channel->subscribers, &s->link);
    lh_count_add(&c->subscribers, 1);
    return 0;
}

/* What it has not read goes with it. */
void lh_channels_unsubscribe(struct lh_channels *c, struct lh_subscriber *s)
{
    struct lh_channel *channel = s->channel;

    if (!channel)
        return;
    while (s->n)
        lh_subscriber_next(s);
    lh_free(s->ring);
    s->ring = NULL;
    s->room = 0;
    s->channel = NULL;
    lh_list_remove(&s->link);
    lh_count_sub(&c->subscribers, 1);
    if (lh_list_empty(&channel->subscribers))
        close_channel(c, channel);
}

/* --- delivering ----------------------------------------------------------- */

/* Which of them the lost ones were for nobody knows but by their group. */
static void tell_subscribers(const struct lh_channel *channel,
                             const unsigned *lost_of)
{
    unsigned lost = lost_of[name_group(channel->hash)];

    for (struct lh_list *l = channel->subscribers.next;
         lost && l != &channel->subscribers; l = l->next)
        LH_OF(l, struct lh_subscriber, link)->dropped += lost;
}

void lh_channels_told(struct lh_channels *c)
{
    unsigned lost_of[LH_CHANNEL_GROUPS];

    /* An exchange, so that what was posted before the owner was told is seen.
     */
    atomic_exchange(&c->told, false);
    if (!atomic_exchange(&c->any_lost, false))
        return;
    for (unsigned i = 0; i < LH_CHANNEL_GROUPS; i++) {
        lost_of[i] = atomic_exchange(&c->lost_of[i], 0);
        lh_count_add(&c->lost, lost_of[i]);
    }
    for (size_t i = 0; i < c->slots_n; i++)
        for (struct lh_channel *ch = c->slots[i]; ch; ch = ch->next)
            tell_subscribers(ch, lost_of);
}

/* The inbox is taken as a whole, but given out one by one, so that a turn may
 * end in between. */
static struct lh_publication *take_published(struct lh_channels *c)
{
    struct lh_mailbox_node *node;
    struct lh_publication *p;

    if (!c->pending)
        c->pending = lh_mailbox_take(&c->inbox);
    node = c->pending;
    if (!node)
        return NULL;
    c->pending = node->next;
    p = publication_at(node);
    atomic_fetch_sub(&c->inbox_bytes, p->bytes);
    return p;
}

/* Nobody subscribes or leaves meanwhile. */
bool lh_channels_deliver(struct lh_channels *c)
{
    struct lh_publication *p = take_published(c);
    struct lh_channel *channel;

    if (!p)
        return false;
    channel = c->slots_n ? *find_channel(c, p->hash, p->name) : NULL;
    if (channel) {
        struct lh_list *all = &channel->subscribers;
        for (struct lh_list *l = all->next; l != all; l = l->next)
            give_to(c, LH_OF(l, struct lh_subscriber, link), p);
    }
    lh_publication_drop(p);
    lh_count_add(&c->delivered, 1);
    return true;
}

/* --- all of it ------------------------------------------------------------ */

void lh_channels_init(struct lh_channels *c, const struct lh_hash_key *key)
{
    *c = (struct lh_channels){.key = key};
    lh_mailbox_init(&c->inbox);
}

/* Called once more, it drops what came meanwhile. */
void lh_channels_deinit(struct lh_channels *c)
{
    struct lh_publication *p;

    assert(c->n == 0);
    while ((p = take_published(c)) != NULL)
        lh_publication_drop(p);
    lh_free(c->slots);
    c->slots = NULL;
    c->slots_n = 0;
}
