/* What always holds of a VM: each rule can be broken, and says so then. */
#include "lib/script.h"
#include "lua/vm_check.h"
#include "lua/file.h"
#include "lua/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#if LHTTPD_CHECKS

static const struct lh_wait keeping = {.keeps_handle = true};

/* --- what can be broken --------------------------------------------------- */

static void read_too_much(struct lh_input *in)
{
    in->at = in->n + 1;
}

static void overfull(struct lh_input *in)
{
    in->n = in->room + 1;
}

static void no_buffer(struct lh_input *in)
{
    in->p = NULL;
}

static void checks_inputs(void **state)
{
    static const struct {
        void (*spoil)(struct lh_input *in);
        const char *words;
    } cases[] = {
        {read_too_much, "an input: more was read than is there"},
        {overfull, "an input: more octets than room"},
        {no_buffer, "an input: room without a buffer"},
    };
    char octets[8];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lh_input in = {.p = octets, .at = 1, .n = 2, .room = 8};
        assert_null(lh_check_input(&in));
        cases[i].spoil(&in);
        assert_string_equal(lh_check_input(&in), cases[i].words);
    }
}

/* A pipe's file that a task waits for, with all that belongs to it. */
struct scene {
    struct lh_descriptor descriptor;
    struct lh_operation operation;
    struct lh_task task;
    struct lh_process process;
    struct lh_file file, other;
};

static void nobody_holds(struct scene *s)
{
    s->descriptor.refs = 0;
}

static void ours_without(struct scene *s)
{
    s->file.descriptor = NULL;
    s->file.pollable = false;
}

static void events_without(struct scene *s)
{
    s->file.descriptor = NULL;
    s->file.ours = false;
}

static void used_when_dead(struct scene *s)
{
    s->file.operation = NULL;
    s->file.dead = true;
}

static void events_and_position(struct scene *s)
{
    s->file.seekable = true;
}

static void other_operation(struct scene *s)
{
    s->operation.file = &s->other;
}

static void dead_operation(struct scene *s)
{
    s->file.dead = true;
}

static void other_task(struct scene *s)
{
    s->task.on.file = &s->other;
}

static void task_unaware(struct scene *s)
{
    s->task.on.attached = false;
}

static void other_process(struct scene *s)
{
    s->process.file = &s->other;
}

static void ahead_spoilt(struct scene *s)
{
    s->file.ahead.at = 1;
}

static void behind_spoilt(struct scene *s)
{
    s->file.behind.at = 1;
}

static void make_scene(struct scene *s)
{
    *s = (struct scene){.descriptor = {.fd = 9, .refs = 1}};
    s->operation.file = &s->file;
    s->task.on.file = &s->file;
    s->task.on.attached = true;
    s->process.file = &s->file;
    s->file = (struct lh_file){.descriptor = &s->descriptor,
                               .operation = &s->operation,
                               .task = &s->task,
                               .process = &s->process,
                               .ours = true,
                               .pollable = true};
}

static void checks_files(void **state)
{
    static const struct {
        void (*spoil)(struct scene *s);
        const char *words;
    } cases[] = {
        {nobody_holds, "a file: a descriptor that nobody holds"},
        {ours_without, "a file: ours without a descriptor"},
        {events_without, "a file: events without a descriptor"},
        {used_when_dead, "a file: a descriptor after its end"},
        {events_and_position, "a file: both events and a position"},
        {other_operation, "a file: its operation is another's"},
        {dead_operation, "a file: an operation after its end"},
        {other_task, "a file: its task has another one"},
        {task_unaware, "a file: its task does not know"},
        {other_process, "a file: its process is another's"},
        {ahead_spoilt, "an input: more was read than is there"},
        {behind_spoilt, "an input: more was read than is there"},
    };
    struct scene s;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_scene(&s);
        assert_null(lh_check_file(&s.file));
        cases[i].spoil(&s);
        assert_string_equal(lh_check_file(&s.file), cases[i].words);
    }
}

/* --- tasks and the VM ----------------------------------------------------- */

struct live_vm {
    struct test_script s;
    struct lh_task *sleeps, *rests; /* one that waits, one that is idle */
    struct lh_file file;
};

static void runs(struct live_vm *v)
{
    v->sleeps->state = LH_TASK_RUNNING;
}

static void new_without_request(struct live_vm *v)
{
    v->sleeps->state = LH_TASK_NEW;
    v->sleeps->ex = NULL;
}

static void drains_nothing(struct live_vm *v)
{
    v->sleeps->state = LH_TASK_DRAINING;
    v->sleeps->ex = NULL;
}

static void idle_with_request(struct live_vm *v)
{
    v->rests->ex = v->sleeps->ex;
}

static void idle_with_bound(struct live_vm *v)
{
    v->rests->bound.next = &v->sleeps->link;
}

static void idle_and_ready(struct live_vm *v)
{
    v->rests->ready_link.next = &v->s.vm->ready;
}

static void other_request(struct live_vm *v)
{
    v->sleeps->ex->handler = v->rests;
}

static void not_started(struct live_vm *v)
{
    v->sleeps->wait_step = LH_WAIT_BEGUN;
}

static void waits_for_nothing(struct live_vm *v)
{
    v->sleeps->wait = NULL;
}

static void no_coroutine(struct live_vm *v)
{
    v->sleeps->co = NULL;
}

static void not_anchored(struct live_vm *v)
{
    v->sleeps->wait = &keeping;
}

static void timer_without_wait(struct live_vm *v)
{
    v->rests->timer.link.next = &v->s.vm->ready;
}

static void on_file_without_wait(struct live_vm *v)
{
    v->rests->on.attached = true;
}

static void timer_without_file(struct live_vm *v)
{
    v->sleeps->on.late_timer.link.next = &v->s.vm->ready;
}

static void body_spoilt(struct live_vm *v)
{
    v->sleeps->input.at = v->sleeps->input.n + 1;
}

static void other_file(struct live_vm *v)
{
    v->sleeps->on.attached = true;
    v->sleeps->on.file = &v->file;
}

static void other_vm(struct live_vm *v)
{
    v->sleeps->vm = NULL;
}

static void wrong_list(struct live_vm *v)
{
    v->rests->state = LH_TASK_DRAINING;
    v->rests->ex = v->sleeps->ex;
    v->sleeps->ex->handler = v->rests;
    v->sleeps->ex = NULL;
}

static void tasks_miscounted(struct live_vm *v)
{
    v->s.vm->tasks_n++;
}

static void coroutines_miscounted(struct live_vm *v)
{
    v->s.vm->idle_coroutines++;
}

static void slots_miscounted(struct live_vm *v)
{
    v->s.vm->slots_n++;
}

static void has_current(struct live_vm *v)
{
    v->s.vm->current = v->sleeps;
}

static void has_batch(struct live_vm *v)
{
    v->s.vm->batch.next = &v->sleeps->link;
}

static void ready_and_forgotten(struct live_vm *v)
{
    v->s.vm->ready.next = &v->sleeps->link;
}

static void collects(struct live_vm *v)
{
    v->s.vm->collects = true;
}

static void checks_vms(void **state)
{
    static const struct {
        void (*spoil)(struct live_vm *v);
        const char *words;
    } cases[] = {
        {runs, "a task: it runs between two runs"},
        {new_without_request, "a task: new and without a request"},
        {drains_nothing, "a task: nothing to drain"},
        {idle_with_request, "a task: idle and with a request"},
        {idle_with_bound, "a task: idle, and something has not ended with it"},
        {idle_and_ready, "a task: idle and ready"},
        {other_request, "a task: its request is another's"},
        {not_started,
         "a task: it waits and nothing was started, or the reverse"},
        {waits_for_nothing, "a task: it waits for nothing, or does not wait"},
        {no_coroutine, "a task: it waits without a coroutine"},
        {not_anchored, "a task: what it keeps is not anchored"},
        {timer_without_wait, "a task: a timer without a wait"},
        {on_file_without_wait, "a task: on a file without a wait"},
        {timer_without_file,
         "a task: a timer for a file that it does not wait for"},
        {body_spoilt, "an input: more was read than is there"},
        {other_file, "a task: its file has another one"},
        {other_vm, "a VM: another's task"},
        {wrong_list, "a VM: a task in the list of another state"},
        {tasks_miscounted, "a VM: its count of tasks"},
        {coroutines_miscounted, "a VM: its count of coroutines"},
        {slots_miscounted, "a VM: its count of slots"},
        {has_current, "a VM: a task that runs between two runs"},
        {has_batch, "a VM: a batch between two runs"},
        {ready_and_forgotten, "a VM: ready tasks that nobody will run"},
        {collects, "a VM: a collection between two runs"},
    };
    struct live_vm v = {.sleeps = NULL};

    (void)state;
    test_script_start(&v.s, "httpd.register_handler('/sleep', function()\n"
                            "  httpd.sleep(9) end)\n"
                            "httpd.register_handler('/', function() end)");
    (void)test_script_request(&v.s, "GET", "/sleep", NULL, false);
    (void)test_script_request(&v.s, "GET", "/", NULL, false);
    test_script_run(&v.s);
    v.sleeps = LH_OF(v.s.vm->tasks.next, struct lh_task, link);
    v.rests = LH_OF(v.s.vm->idle.next, struct lh_task, link);
    assert_null(lh_check_vm(v.s.vm));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lh_vm vm = *v.s.vm;
        struct lh_task sleeps = *v.sleeps, rests = *v.rests;
        cases[i].spoil(&v);
        const char *words = lh_check_vm(v.s.vm);
        *v.s.vm = vm;
        *v.sleeps = sleeps;
        *v.rests = rests;
        v.sleeps->ex->handler = v.sleeps;
        assert_non_null(words);
        assert_string_equal(words, cases[i].words);
        assert_null(lh_check_vm(v.s.vm));
    }
    test_script_deinit(&v.s);
}

static void checks_processes(void **state)
{
    struct test_script s;
    struct lh_process p = {.id = 1};
    struct lh_file file = {.process = &p};
    struct lh_task task = {.state = LH_TASK_IDLE};

    (void)state;
    test_script_start(&s, "httpd.register_handler('/', function() end)");
    lh_list_init(&p.link);
    lh_list_append(&s.vm->processes, &p.link);
    p.file = &file;
    assert_null(lh_check_vm(s.vm));
    file.process = NULL;
    assert_string_equal(lh_check_vm(s.vm),
                        "a process: its handle is another's");
    file.process = &p;
    p.task = &task;
    assert_string_equal(lh_check_vm(s.vm), "a process: nobody waits for it");
    lh_list_remove(&p.link);
    test_script_deinit(&s);
}

#endif

/* --- moves ---------------------------------------------------------------- */

static void tasks_move_forward(void **state)
{
    (void)state;
    assert_true(lh_task_may(LH_TASK_IDLE, LH_TASK_NEW));
    assert_true(lh_task_may(LH_TASK_NEW, LH_TASK_RUNNING));
    assert_true(lh_task_may(LH_TASK_RUNNING, LH_TASK_WAITING));
    assert_true(lh_task_may(LH_TASK_WAITING, LH_TASK_RUNNING));
    assert_true(lh_task_may(LH_TASK_RUNNING, LH_TASK_DRAINING));
    assert_true(lh_task_may(LH_TASK_DRAINING, LH_TASK_IDLE));
    assert_false(lh_task_may(LH_TASK_NEW, LH_TASK_WAITING));
    assert_false(lh_task_may(LH_TASK_DRAINING, LH_TASK_RUNNING));
    assert_false(lh_task_may(LH_TASK_IDLE, LH_TASK_RUNNING));
    assert_false(lh_task_may(LH_TASK_IDLE, LH_TASK_IDLE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if LHTTPD_CHECKS
        cmocka_unit_test(checks_inputs),
        cmocka_unit_test(checks_files),
        cmocka_unit_test(checks_vms),
        cmocka_unit_test(checks_processes),
#endif
        cmocka_unit_test(tasks_move_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
