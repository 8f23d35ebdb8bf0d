/*
 * Doubly linked lists whose links live in the elements.  A list's head is a
 * link of its own; an element that is in no list points to itself.
 */
#ifndef LH_BASE_LIST_H
#define LH_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct lh_list {
    struct lh_list *next, *prev;
};

/* The struct that a link is a member of. */
#define LH_OF(link, type, member)                                              \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void lh_list_init(struct lh_list *l)
{
    l->next = l->prev = l;
}

static inline bool lh_list_empty(const struct lh_list *l)
{
    return l->next == l;
}

/* Is this element in a list?  The same test, asked of an element. */
static inline bool lh_list_linked(const struct lh_list *l)
{
    return l->next != l;
}

static inline void lh_list_append(struct lh_list *list, struct lh_list *l)
{
    l->prev = list->prev;
    l->next = list;
    list->prev->next = l;
    list->prev = l;
}

static inline void lh_list_remove(struct lh_list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    lh_list_init(l);
}

/* Takes the first element out; NULL when the list is empty. */
static inline struct lh_list *lh_list_take(struct lh_list *list)
{
    struct lh_list *l = list->next;

    if (l == list)
        return NULL;
    lh_list_remove(l);
    return l;
}

/* Moves every element to `to`, which is initialised by this. */
static inline void lh_list_move(struct lh_list *to, struct lh_list *from)
{
    lh_list_init(to);
    if (lh_list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to->prev->next = to;
    lh_list_init(from);
}

/* Puts every element of `from` in front of those of `list`. */
static inline void lh_list_put_first(struct lh_list *list, struct lh_list *from)
{
    if (lh_list_empty(from))
        return;
    from->prev->next = list->next;
    list->next->prev = from->prev;
    list->next = from->next;
    from->next->prev = list;
    lh_list_init(from);
}

#endif
