/* What a worker is inside of: see running.h. */
#include "base/running.h"

#include "base/list.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

/* Word by word, so that a reader in another thread finds no octet half
 * written. */
void lh_running_called(struct lh_running *r, const char *client_id)
{
    uint64_t words[LH_RUN_ID_WORDS] = {0};

    if (client_id)
        snprintf((char *)words, sizeof(words), "%s", client_id);
    for (size_t i = 0; i < LH_RUN_ID_WORDS; i++)
        atomic_store_explicit(&r->client_id[i], words[i], memory_order_release);
}

static void look_at_id(const struct lh_running *r, struct lh_run *run)
{
    run->request = atomic_load_explicit(&r->request, memory_order_acquire);
    for (size_t i = 0; i < LH_RUN_ID_WORDS; i++) {
        uint64_t word =
            atomic_load_explicit(&r->client_id[i], memory_order_acquire);
        memcpy(run->client_id + i * sizeof(word), &word, sizeof(word));
    }
    run->client_id[LH_RUN_ID_BYTES - 1] = '\0';
}

/* A run that began meanwhile has stored its time before all else. */
bool lh_running_look(const struct lh_running *r, struct lh_run *run)
{
    run->since_ms = atomic_load_explicit(&r->since_ms, memory_order_acquire);
    run->what = atomic_load_explicit(&r->what, memory_order_acquire);
    run->script = atomic_load_explicit(&r->script, memory_order_acquire);
    look_at_id(r, run);
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
