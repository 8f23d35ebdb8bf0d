/* Whose event is it: see slots.h. */
#include "os/slots.h"

#include "base/mem.h"
#include "os/error.h"

#include <assert.h>

/* A slot is used again and again.  Its generation counts up each time that it
 * becomes free, which makes older tags of it unknown. */
struct lh_slot {
    struct lh_source *source; /* NULL: free */
    uint32_t generation;
    unsigned next_free; /* slot + 1 */
};

/* The generation is the upper half of a tag, the slot's number the lower. */
static uint64_t tag_of(uint32_t generation, unsigned slot)
{
    return (uint64_t)generation << 32 | slot;
}

/* Twice as many, the new ones in a list of free ones.  Tags stay valid: they
 * have numbers, no addresses. */
static int slots_grow(struct lh_slots *slots)
{
    unsigned room = slots->room ? slots->room * 2 : 64;
    struct lh_slot *v = lh_realloc(slots->v, room * sizeof(*v));

    if (!v)
        return LH_SYS_ENOMEM;
    for (unsigned i = slots->room; i < room; i++)
        v[i] = (struct lh_slot){.next_free = i + 1 < room ? i + 2 : 0};
    slots->v = v;
    slots->free = slots->room + 1;
    slots->room = room;
    return 0;
}

int lh_slots_add(struct lh_slots *slots, struct lh_source *source,
                 uint64_t *tag)
{
    if (!slots->free && slots_grow(slots) < 0)
        return LH_SYS_ENOMEM;
    unsigned i = slots->free - 1;
    struct lh_slot *slot = &slots->v[i];
    slots->free = slot->next_free;
    slot->source = source;
    *tag = tag_of(slot->generation, i);
    return 0;
}

/* NULL where the tag is of an earlier generation. */
static struct lh_slot *slot_find(const struct lh_slots *slots, uint64_t tag)
{
    uint32_t i = (uint32_t)tag;

    if (i >= slots->room || slots->v[i].generation != (uint32_t)(tag >> 32))
        return NULL;
    return &slots->v[i];
}

void lh_slots_remove(struct lh_slots *slots, uint64_t tag)
{
    struct lh_slot *slot = slot_find(slots, tag);

    assert(slot && slot->source);
    slot->source = NULL;
    slot->generation++;
    slot->next_free = slots->free;
    slots->free = (uint32_t)tag + 1;
}

struct lh_source *lh_slots_find(const struct lh_slots *slots, uint64_t tag)
{
    struct lh_slot *slot = slot_find(slots, tag);

    return slot ? slot->source : NULL;
}

void lh_slots_deinit(struct lh_slots *slots)
{
    lh_free(slots->v);
    *slots = (struct lh_slots){0};
}
