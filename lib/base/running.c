/* What a worker is inside of: see running.h. */
#include "base/running.h"

#include "base/list.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* A run that began meanwhile has stored its time before all else. */
bool lh_running_look(const struct lh_running *r, struct lh_run *run)
{
    run->since_ms = atomic_load_explicit(&r->since_ms, memory_order_acquire);
    run->what = atomic_load_explicit(&r->what, memory_order_acquire);
    run->script = atomic_load_explicit(&r->script, memory_order_acquire);
    return run->what &&
           run->since_ms ==
               atomic_load_explicit(&r->since_ms, memory_order_acquire);
}

void lh_run_text(char *to, size_t room, const struct lh_run *run)
{
    if (run->script)
        snprintf(to, room, "%s of script %s", run->what, run->script);
    else
        snprintf(to, room, "%s of the program's setup", run->what);
}

struct lh_run_words *lh_run_words_new(const char *text)
{
    size_t n = strlen(text) + 1;
    struct lh_run_words *words = lh_alloc(sizeof(*words) + n);

    if (words)
        memcpy(words->text, text, n);
    return words;
}

void lh_run_words_free(struct lh_run_words *words, struct lh_mailbox *readers)
{
    if (words && readers)
        lh_mailbox_post(readers, &words->node);
    else
        lh_free(words);
}

void lh_run_words_free_all(struct lh_mailbox *readers)
{
    struct lh_mailbox_node *node = lh_mailbox_take(readers);

    while (node) {
        struct lh_mailbox_node *next = node->next;
        lh_free(LH_OF(node, struct lh_run_words, node));
        node = next;
    }
}
