/* Helper threads: every job is done once, and comes back. */
#include "os/crew.h"

#include "base/list.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define JOBS (4 * LH_CREW_JOBS_MAX)

struct job {
    struct lh_crew_job job;
    int begun, back;
};

static struct job jobs[JOBS];
static int gate[2];

static void run(struct lh_crew_job *job)
{
    LH_OF(job, struct job, job)->begun++;
}

static void run_at_gate(struct lh_crew_job *job)
{
    char octet;

    assert_int_equal(read(gate[0], &octet, 1), 1);
    run(job);
}

static size_t note_back(struct lh_mailbox_node *node)
{
    size_t n = 0;

    while (node) {
        struct lh_mailbox_node *next = node->next;
        struct job *job = LH_OF(node, struct job, job.node);
        assert_int_equal(job->begun, 1);
        job->back++;
        node = next;
        n++;
    }
    return n;
}

static void prepare(void (*f)(struct lh_crew_job *job))
{
    for (size_t i = 0; i < JOBS; i++)
        jobs[i] = (struct job){.job.run = f};
}

static void each_comes_back_once(void **state)
{
    static const unsigned helpers[] = {1, 4, LH_CREW_HELPERS_MAX};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct lh_crew *crew;
        size_t given = 0, back = 0;
        prepare(run);
        assert_int_equal(lh_crew_new(&crew, helpers[i]), 0);
        assert_int_equal(lh_crew_helpers(crew), helpers[i]);
        while (back < JOBS) {
            struct pollfd p = {.fd = lh_crew_fd(crew), .events = POLLIN};
            while (given < JOBS && lh_crew_give(crew, &jobs[given].job))
                given++;
            lh_crew_call(crew);
            assert_int_equal(poll(&p, 1, 60000), 1);
            back += note_back(lh_crew_take(crew));
        }
        assert_null(lh_crew_free(crew));
        for (size_t k = 0; k < JOBS; k++)
            assert_int_equal(jobs[k].back, 1);
    }
}

/* One that runs, and as many as there is room for behind it; the end waits for
 * all of them. */
static void the_end_gives_the_rest(void **state)
{
    struct lh_crew *crew;
    size_t n = 0;

    (void)state;
    assert_int_equal(pipe(gate), 0);
    prepare(run);
    jobs[0].job.run = run_at_gate;
    assert_int_equal(lh_crew_new(&crew, 1), 0);
    while (n < JOBS && lh_crew_give(crew, &jobs[n].job))
        n++;
    assert_int_equal(n, LH_CREW_JOBS_MAX);
    lh_crew_call(crew);
    assert_null(lh_crew_take(crew));
    assert_int_equal(write(gate[1], "", 1), 1);
    assert_int_equal(note_back(lh_crew_free(crew)), n);
    close(gate[0]);
    close(gate[1]);
}

static void none_is_freed(void **state)
{
    (void)state;
    assert_null(lh_crew_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_comes_back_once),
        cmocka_unit_test(the_end_gives_the_rest),
        cmocka_unit_test(none_is_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
