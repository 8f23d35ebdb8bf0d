/*
 * Handles, see handle.h.  A handle is a place in the table and the place's
 * serial number, which is odd while a handle is open there.  Taking it is one
 * step: the serial number becomes the next, even one.
 */
#include "base/handle.h"

#include <stdatomic.h>
#include <stddef.h>

#define PLACE_BITS 15
_Static_assert(LH_HANDLES_MAX == 1 << PLACE_BITS, "a place fits its bits");

struct place {
    _Atomic uintptr_t serial;
    _Atomic(void *) object;
    _Atomic uint32_t next_free; /* a place + 1; 0: it is the last */
};

static struct place places[LH_HANDLES_MAX];
static _Atomic uint32_t used; /* places that were ever taken */

/* The first free place + 1, and above it a count of changes: a place that was
 * taken and given back meanwhile is not taken for one that has not moved. */
static _Atomic uint64_t free_places;

static uint64_t with_first(uint64_t head, uint32_t first)
{
    return ((head >> 32) + 1) << 32 | first;
}

static void give_back_place(uint32_t place)
{
    uint64_t head = atomic_load(&free_places);

    do {
        atomic_store(&places[place].next_free, (uint32_t)head);
    } while (!atomic_compare_exchange_weak(&free_places, &head,
                                           with_first(head, place + 1)));
}

/* One that was never used; LH_HANDLES_MAX: there is none. */
static uint32_t new_place(void)
{
    uint32_t n = atomic_load(&used);

    while (n < LH_HANDLES_MAX &&
           !atomic_compare_exchange_weak(&used, &n, n + 1))
        continue;
    return n;
}

static uint32_t take_place(void)
{
    uint64_t head = atomic_load(&free_places);

    while ((uint32_t)head != 0) {
        uint32_t place = (uint32_t)head - 1;
        uint32_t next = atomic_load(&places[place].next_free);
        if (atomic_compare_exchange_weak(&free_places, &head,
                                         with_first(head, next)))
            return place;
    }
    return new_place();
}

uintptr_t lh_handle_new(void *object)
{
    uint32_t place = take_place();

    if (place == LH_HANDLES_MAX)
        return 0;
    struct place *p = &places[place];
    uintptr_t serial = atomic_load(&p->serial) + 1;
    atomic_store(&p->object, object);
    atomic_store(&p->serial, serial);
    return serial << PLACE_BITS | place;
}

void *lh_handle_take(uintptr_t handle)
{
    uint32_t place = (uint32_t)(handle & (LH_HANDLES_MAX - 1));
    struct place *p = &places[place];
    uintptr_t serial = handle >> PLACE_BITS;
    const uintptr_t fits = UINTPTR_MAX >> PLACE_BITS;
    uintptr_t now = atomic_load(&p->serial);

    /* Where the numbers are narrow their upper bits are lost. */
    if (serial % 2 == 0 || (now & fits) != serial ||
        !atomic_compare_exchange_strong(&p->serial, &now, now + 1))
        return NULL;
    void *object = atomic_load(&p->object);
    give_back_place(place);
    return object;
}
