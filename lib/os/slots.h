/*
 * Whose event is it?  The user data of an event is a slot number and the
 * slot's generation, so that a late report for something that is gone finds
 * nothing, where a pointer would find freed memory.
 */
#ifndef LH_OS_SLOTS_H
#define LH_OS_SLOTS_H

#include <stdint.h>

/* Whatever takes events: embedded in a connection, an acceptor. */
struct lh_source {
    void (*on_event)(struct lh_source *source, unsigned ready);
};

struct lh_slots {
    struct lh_slot *v;
    unsigned room;
    unsigned free; /* first free slot + 1; 0: none */
};

/* Gives the source a tag.  0 or LH_SYS_ENOMEM. */
int lh_slots_add(struct lh_slots *slots, struct lh_source *source,
                 uint64_t *tag);
void lh_slots_remove(struct lh_slots *slots, uint64_t tag);

/* NULL: it is gone. */
struct lh_source *lh_slots_find(const struct lh_slots *slots, uint64_t tag);
void lh_slots_deinit(struct lh_slots *slots);

#endif
