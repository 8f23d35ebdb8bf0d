/* Event tags: what was removed is never found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "lhttpd.h"
#include "os/slots.h"

#include "os/error.h"

#define MANY 300

static void finds_what_was_added(void **state)
{
    static struct lh_source sources[MANY];
    struct lh_slots slots = {0};
    uint64_t tags[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(lh_slots_add(&slots, &sources[i], &tags[i]), 0);
    for (int i = 0; i < MANY; i++)
        assert_ptr_equal(lh_slots_find(&slots, tags[i]), &sources[i]);
    lh_slots_deinit(&slots);
}

static void a_late_report_finds_nothing(void **state)
{
    struct lh_source first = {0}, second = {0};
    struct lh_slots slots = {0};
    uint64_t old, new;

    (void)state;
    assert_int_equal(lh_slots_add(&slots, &first, &old), 0);
    lh_slots_remove(&slots, old);
    assert_null(lh_slots_find(&slots, old));
    assert_int_equal(lh_slots_add(&slots, &second, &new), 0);
    assert_int_equal((uint32_t)old, (uint32_t) new); /* the slot is reused */
    assert_null(lh_slots_find(&slots, old));
    assert_ptr_equal(lh_slots_find(&slots, new), &second);
    assert_null(lh_slots_find(&slots, UINT64_MAX));
    lh_slots_deinit(&slots);
}

static void *no_memory(void *old, size_t n)
{
    (void)old;
    (void)n;
    return NULL;
}

static void lack_of_memory_adds_nothing(void **state)
{
    void *(*hook)(void *, size_t) = lh_realloc_hook;
    struct lh_source source = {0};
    struct lh_slots slots = {0};
    uint64_t tag;

    (void)state;
    lh_realloc_hook = no_memory;
    assert_int_equal(lh_slots_add(&slots, &source, &tag), LH_SYS_ENOMEM);
    lh_realloc_hook = hook;
    assert_int_equal(lh_slots_add(&slots, &source, &tag), 0);
    lh_slots_deinit(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_was_added),
        cmocka_unit_test(a_late_report_finds_nothing),
        cmocka_unit_test(lack_of_memory_adds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
