/* The mailbox, with several threads that post. */
#include "base/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define POSTERS  4
#define MESSAGES 20000

struct message {
    struct lh_mailbox_node node; /* first */
    int poster, number;
};

static struct message messages[POSTERS][MESSAGES];
static struct lh_mailbox box;
static atomic_ulong wakes;

static struct message *message_of(struct lh_mailbox_node *node)
{
    return (struct message *)(void *)node;
}

static void test_oldest_first(void **state)
{
    struct message m[3] = {{.number = 0}, {.number = 1}, {.number = 2}};

    (void)state;
    lh_mailbox_init(&box);
    assert_null(lh_mailbox_take(&box));
    assert_true(lh_mailbox_post(&box, &m[0].node));
    assert_false(lh_mailbox_post(&box, &m[1].node));
    assert_false(lh_mailbox_post(&box, &m[2].node));
    struct lh_mailbox_node *node = lh_mailbox_take(&box);
    for (int i = 0; i < 3; i++, node = node->next) {
        assert_non_null(node);
        assert_int_equal(message_of(node)->number, i);
    }
    assert_null(node);
    assert_null(lh_mailbox_take(&box));
    assert_true(lh_mailbox_post(&box, &m[1].node)); /* empty again */
    node = lh_mailbox_take(&box);
    assert_ptr_equal(node, &m[1].node);
    assert_null(node->next);
}

static void *post_all(void *arg)
{
    struct message *mine = arg;

    for (int i = 0; i < MESSAGES; i++)
        wakes += lh_mailbox_post(&box, &mine[i].node);
    return NULL;
}

/* Nothing is lost or doubled, each thread's messages stay in order, and there
 * is one "was empty" for each time that something was taken. */
static void test_many_posters(void **state)
{
    pthread_t threads[POSTERS];
    int next[POSTERS] = {0}, got = 0;
    unsigned long takes = 0;

    (void)state;
    lh_mailbox_init(&box);
    for (int p = 0; p < POSTERS; p++) {
        for (int i = 0; i < MESSAGES; i++) {
            messages[p][i].poster = p;
            messages[p][i].number = i;
        }
        assert_int_equal(
            pthread_create(&threads[p], NULL, post_all, messages[p]), 0);
    }
    while (got < POSTERS * MESSAGES) {
        struct lh_mailbox_node *node = lh_mailbox_take(&box);
        takes += node != NULL;
        if (!node)
            sched_yield();
        for (; node; node = node->next, got++) {
            struct message *m = message_of(node);
            assert_int_equal(m->number, next[m->poster]);
            next[m->poster]++;
        }
    }
    for (int p = 0; p < POSTERS; p++)
        pthread_join(threads[p], NULL);
    assert_null(lh_mailbox_take(&box));
    assert_int_equal(wakes, takes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_first),
        cmocka_unit_test(test_many_posters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
