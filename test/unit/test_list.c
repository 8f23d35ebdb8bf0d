/* Lists whose links live in the elements. */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct item {
    int number;
    struct lh_list link;
};

static struct item items[4];

static struct item *item_of(struct lh_list *l)
{
    return l ? LH_OF(l, struct item, link) : NULL;
}

static void fill(struct lh_list *list)
{
    lh_list_init(list);
    for (int i = 0; i < 4; i++) {
        items[i].number = i;
        lh_list_init(&items[i].link);
        lh_list_append(list, &items[i].link);
    }
}

static void test_first_in_first_out(void **state)
{
    struct lh_list list;

    (void)state;
    fill(&list);
    assert_false(lh_list_empty(&list));
    for (int i = 0; i < 4; i++) {
        struct item *item = item_of(lh_list_take(&list));
        assert_non_null(item);
        assert_int_equal(item->number, i);
        assert_false(lh_list_linked(&item->link));
    }
    assert_true(lh_list_empty(&list));
    assert_null(lh_list_take(&list));
}

static void test_remove(void **state)
{
    struct lh_list list;

    (void)state;
    fill(&list);
    lh_list_remove(&items[1].link);
    lh_list_remove(&items[1].link); /* not linked: nothing happens */
    lh_list_remove(&items[3].link);
    assert_ptr_equal(item_of(lh_list_take(&list)), &items[0]);
    assert_ptr_equal(item_of(lh_list_take(&list)), &items[2]);
    assert_null(lh_list_take(&list));
}

static void test_move(void **state)
{
    struct lh_list list, to;

    (void)state;
    fill(&list);
    lh_list_move(&to, &list);
    assert_true(lh_list_empty(&list));
    lh_list_remove(&items[0].link);
    lh_list_append(&list, &items[0].link);
    for (int i = 1; i < 4; i++)
        assert_ptr_equal(item_of(lh_list_take(&to)), &items[i]);
    assert_true(lh_list_empty(&to));
    assert_ptr_equal(item_of(lh_list_take(&list)), &items[0]);
    lh_list_move(&to, &list); /* nothing */
    assert_true(lh_list_empty(&to));
}

static void test_put_first(void **state)
{
    struct lh_list list, front;

    (void)state;
    fill(&list);
    lh_list_init(&front);
    lh_list_put_first(&list, &front); /* nothing */
    for (int i = 0; i < 2; i++)
        lh_list_append(&front, lh_list_take(&list));
    lh_list_put_first(&front, &list); /* before 0 and 1 */
    assert_true(lh_list_empty(&list));
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(item_of(lh_list_take(&front)), &items[(i + 2) % 4]);
    assert_true(lh_list_empty(&front));
    lh_list_append(&list, &items[0].link);
    lh_list_put_first(&front, &list); /* before nothing */
    assert_ptr_equal(item_of(lh_list_take(&front)), &items[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_in_first_out),
        cmocka_unit_test(test_remove),
        cmocka_unit_test(test_move),
        cmocka_unit_test(test_put_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
