/*
 * The hand-over of listeners between workers, in every order that their steps
 * can come in.
 *
 * handover.c is compiled here with its atomic operations replaced: each is a
 * step of a model, after which any other worker may go on.  A phase of a
 * worker's turn is a function of what its steps have read, so its state is the
 * list of these results.  To make one more step the phase is run from its
 * begin, is given the results so far, and is left by longjmp() before the step
 * after the next.  So states can be copied and compared, and the search visits
 * each that can be reached once.
 *
 * What must hold: where every worker sleeps or is inside of a handler, which
 * may last for ever, and one sleeps, there is a sleeping worker that the
 * listener is armed for.  Else a client would wait though somebody has time.
 * That the search finds such states is proved with mistakes that are made on
 * purpose.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/handover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX 3
#define STEPS_MAX   40 /* of one phase */
#define WAYS_MAX    256
#define FOR_EVER    UINT8_MAX /* turns */

/* --- the state ------------------------------------------------------------ */

/* Parts of a worker's turn: what it has done before does not matter in them. */
enum phase { TAKE, WAIT, WAKE_UP, WAKE_UP_TO_CLIENT, RUN };

/* What the next step of a worker is. */
enum step { PLAIN, CHOICE, SLEEP, POLL, HANDLER, NONE };

struct local {
    uint8_t results[STEPS_MAX]; /* of the phase's steps */
    uint8_t n;
    uint8_t turns; /* that are left */
    uint8_t phase; /* an enum phase */
    uint8_t next;  /* an enum step */
    bool armed;    /* the acceptor's flag when the phase began */
    bool sleeps;   /* this turn waits, and says so */
};

struct state {
    struct local workers[WORKERS_MAX];
    int8_t owner;
    bool waiting[WORKERS_MAX];
    bool armed[WORKERS_MAX]; /* in its event queue, and no event since */
};

/* What is left out or done in the wrong order. */
enum mistake {
    NO_MISTAKE,
    NO_LOOK_AFTER_GIVING,  /* whether the other still waits */
    NO_LOOK_AFTER_LEAVING, /* whether somebody waits by now */
    WAITS_TOO_LATE,        /* looks for listeners, then says that it waits */
    MISTAKES,
};

/* The results that were the first to lead to this exchange of the owner.  What
 * follows is the same whatever led to it, so the search goes on with these. */
struct way {
    uint8_t worker, phase;
    bool sleeps, armed;
    int expected, desired;
    uint8_t n, results[STEPS_MAX];
};

static struct {
    enum mistake mistake;
    struct lhttpd_server_t *server;
    struct lh_worker *workers;
    unsigned workers_n;

    /* The step that is being made. */
    struct state *state;
    struct local *local;
    unsigned worker, at;
    uint8_t outcome; /* of a choice, a sleep, a poll */
    bool made, armed_last, left_last;
    jmp_buf out;

    /* The search. */
    uint64_t *seen;
    size_t seen_n, seen_room;
    struct state *todo;
    size_t todo_n, todo_room;
    struct way ways[WAYS_MAX];
    unsigned ways_n;
} m;

/* --- steps ---------------------------------------------------------------- */

/* Gives a step's result if it was made before.  False: it is the one to make
 * now, and end_step() is called with its result. */
static bool replay(enum step kind, uint8_t *result)
{
    if (m.at < m.local->n) {
        *result = m.local->results[m.at++];
        return true;
    }
    if (m.made) {
        m.local->next = (uint8_t)kind;
        longjmp(m.out, 1);
    }
    return false;
}

static uint8_t end_step(uint8_t result)
{
    if (m.local->n == STEPS_MAX)
        fail_msg("a phase of more than %d steps", STEPS_MAX);
    m.local->results[m.local->n++] = result;
    m.at++;
    m.made = true;
    return result;
}

static uint8_t outcome_of(enum step kind)
{
    uint8_t result;

    if (replay(kind, &result))
        return result;
    if ((kind == SLEEP || kind == POLL) && m.outcome)
        m.state->armed[m.worker] = false;
    return end_step(m.outcome);
}

/* The mistakes: what would have been looked at is taken for granted. */
static bool is_left_out(void)
{
    return (m.mistake == NO_LOOK_AFTER_GIVING && m.armed_last) ||
           (m.mistake == NO_LOOK_AFTER_LEAVING && m.left_last);
}

static int load(const volatile void *p)
{
    uint8_t result;

    for (unsigned i = 0; i < m.workers_n; i++) {
        if (p == &m.workers[i].load)
            return 0; /* not what this is about */
        if (p != &m.workers[i].waiting)
            continue;
        if (is_left_out())
            return m.armed_last;
        m.armed_last = false;
        if (replay(PLAIN, &result))
            return result;
        return end_step(m.state->waiting[i]);
    }
    m.armed_last = m.left_last = false;
    if (replay(PLAIN, &result))
        return result - 8;
    return end_step((uint8_t)(m.state->owner + 8)) - 8;
}

static bool is_same_way(const struct way *a, const struct way *b)
{
    return a->worker == b->worker && a->phase == b->phase &&
           a->sleeps == b->sleeps && a->armed == b->armed &&
           a->expected == b->expected && a->desired == b->desired;
}

/* How a worker came to its exchange of the owner is forgotten. */
static void shorten_way(int expected, int desired)
{
    struct local *l = m.local;
    struct way way = {.worker = (uint8_t)m.worker,
                      .phase = l->phase,
                      .sleeps = l->sleeps,
                      .armed = l->armed,
                      .expected = expected,
                      .desired = desired,
                      .n = l->n};
    unsigned i = 0;

    while (i < m.ways_n && !is_same_way(&m.ways[i], &way))
        i++;
    if (i == m.ways_n) {
        assert_true(m.ways_n < WAYS_MAX);
        memcpy(way.results, l->results, sizeof(way.results));
        m.ways[m.ways_n++] = way;
    }
    memcpy(l->results, m.ways[i].results, sizeof(l->results));
    m.at = l->n = m.ways[i].n;
}

/* Of the owner. */
static bool swap(int *expected, int desired)
{
    uint8_t result;
    int before = *expected;

    if (!replay(PLAIN, &result)) {
        shorten_way(before, desired);
        result = (uint8_t)(m.state->owner + 8);
        if (m.state->owner == before)
            m.state->owner = (int8_t)desired;
        end_step(result);
    }
    *expected = result - 8;
    m.left_last = *expected == before && desired == LH_OWNER_NONE;
    return *expected == before;
}

static void set_waiting(bool waiting)
{
    uint8_t result;

    if (replay(PLAIN, &result))
        return;
    m.state->waiting[m.worker] = waiting;
    end_step(0);
}

/* Arms the listener in a worker's event queue. */
int lh_evq_arm(struct lh_evq *q, int fd, uint64_t tag)
{
    unsigned worker = 0;
    uint8_t result;

    (void)fd;
    (void)tag;
    while (q != &m.workers[worker].evq)
        worker++;
    if (!replay(PLAIN, &result)) {
        m.state->armed[worker] = true;
        end_step(0);
    }
    m.armed_last = worker != m.worker;
    return 0;
}

#undef atomic_load
#undef atomic_compare_exchange_strong
#define atomic_load(p) load(p)
#define atomic_compare_exchange_strong(p, expected, desired)                   \
    ((void)(p), swap(expected, desired))
#include "server/handover.c"

/* --- a turn --------------------------------------------------------------- */

/* What worker.c and accept.c do with listeners in a turn.  A worker that has
 * too much to do does not sleep, but looks what there is. */
static enum phase take(struct lh_worker *w)
{
    m.local->sleeps = outcome_of(CHOICE) || m.workers_n > 2;
    if (m.mistake == WAITS_TOO_LATE)
        lh_handover_take(w);
    if (m.local->sleeps)
        set_waiting(true);
    if (m.mistake != WAITS_TOO_LATE)
        lh_handover_take(w);
    return WAIT;
}

static enum phase wait(struct lh_worker *w)
{
    (void)w;
    return outcome_of(m.local->sleeps ? SLEEP : POLL) ? WAKE_UP_TO_CLIENT
                                                      : WAKE_UP;
}

static enum phase wake_up(struct lh_worker *w)
{
    (void)w;
    if (m.local->sleeps)
        set_waiting(false);
    return RUN;
}

static enum phase wake_up_to_client(struct lh_worker *w)
{
    if (m.local->sleeps)
        set_waiting(false);
    w->acceptors[0].armed = false;
    lh_handover(w, 0);
    return RUN;
}

static enum phase run(struct lh_worker *w)
{
    if (outcome_of(CHOICE)) {
        lh_handover_all(w);
        outcome_of(HANDLER);
    }
    return TAKE;
}

/* From here on a worker is as if it had done nothing before, but for what is
 * in its state. */
static void begin_phase(struct local *l, enum phase phase, bool armed)
{
    memset(l->results, 0, sizeof(l->results)); /* or equal states differ */
    l->n = 0;
    l->phase = (uint8_t)phase;
    l->armed = armed;
    if (phase != TAKE)
        return;
    l->sleeps = false;
    if (l->turns != FOR_EVER)
        l->turns--;
}

static void make_step(struct state *s, unsigned worker, uint8_t outcome)
{
    static enum phase (*const phases[])(struct lh_worker *) = {
        [TAKE] = take,       [WAIT] = wait,
        [WAKE_UP] = wake_up, [WAKE_UP_TO_CLIENT] = wake_up_to_client,
        [RUN] = run,
    };
    struct lh_worker *w = &m.workers[worker];

    m.state = s;
    m.worker = worker;
    m.local = &s->workers[worker];
    m.outcome = outcome;
    m.made = false;
    w->acceptors[0].armed = m.local->armed;
    if (setjmp(m.out))
        return;
    while (m.local->turns) {
        m.at = 0;
        m.armed_last = m.left_last = false;
        enum phase next = phases[m.local->phase](w);
        begin_phase(m.local, next, w->acceptors[0].armed);
    }
    m.local->next = NONE;
}

/* --- the search ----------------------------------------------------------- */

static uint64_t hash_of(const struct state *s)
{
    const unsigned char *p = (const unsigned char *)s;
    uint64_t h = 14695981039346656037u;

    for (size_t i = 0; i < sizeof(*s); i++)
        h = (h ^ p[i]) * 1099511628211u;
    return h ^ h >> 29 ? h ^ h >> 29 : 1;
}

static void grow(void)
{
    uint64_t *before = m.seen;
    size_t room = m.seen_room;

    m.seen_room = room ? room * 2 : 1 << 16;
    m.seen = calloc(m.seen_room, sizeof(*m.seen));
    assert_non_null(m.seen);
    for (size_t i = 0; i < room; i++) {
        size_t at = (size_t)before[i] & (m.seen_room - 1);
        while (before[i] && m.seen[at])
            at = (at + 1) & (m.seen_room - 1);
        if (before[i])
            m.seen[at] = before[i];
    }
    free(before);
}

/* Whether the state is new. */
static bool see(const struct state *s)
{
    uint64_t h = hash_of(s);

    if (m.seen_n * 2 >= m.seen_room)
        grow();
    size_t at = (size_t)h & (m.seen_room - 1);
    for (; m.seen[at]; at = (at + 1) & (m.seen_room - 1)) {
        if (m.seen[at] == h)
            return false;
    }
    m.seen[at] = h;
    m.seen_n++;
    return true;
}

/* Everybody sleeps or runs a handler, and no sleeper would hear of a client. */
static bool is_forgotten(const struct state *s)
{
    bool sleeps = false;

    for (unsigned i = 0; i < m.workers_n; i++) {
        enum step next = s->workers[i].next;
        if (next != SLEEP && next != HANDLER)
            return false;
        if (next == SLEEP && s->armed[i])
            return false;
        sleeps |= next == SLEEP;
    }
    return sleeps;
}

/* How many ways there are to go on.  A sleeper whose listener is armed may
 * hear of a client; each may wake for something else. */
static unsigned outcomes(const struct state *s, unsigned worker)
{
    switch ((enum step)s->workers[worker].next) {
    case CHOICE:
        return 2;
    case SLEEP:
    case POLL:
        return s->armed[worker] ? 2 : 1;
    case PLAIN:
    case HANDLER:
        return 1;
    case NONE:
        break;
    }
    return 0;
}

/* A choice is nobody else's business: nothing is lost if it is made at once.
 * Returns the worker that has one, or WORKERS_MAX. */
static unsigned find_choice(const struct state *s)
{
    unsigned i = 0;

    while (i < m.workers_n && s->workers[i].next != CHOICE)
        i++;
    return i < m.workers_n ? i : WORKERS_MAX;
}

static void push(const struct state *s)
{
    if (m.todo_n == m.todo_room) {
        m.todo_room = m.todo_room ? m.todo_room * 2 : 1024;
        m.todo = realloc(m.todo, m.todo_room * sizeof(*m.todo));
        assert_non_null(m.todo);
    }
    m.todo[m.todo_n++] = *s;
}

static void visit(const struct state *s)
{
    unsigned only = find_choice(s);

    for (unsigned i = 0; i < m.workers_n; i++) {
        if (only != WORKERS_MAX && i != only)
            continue;
        for (unsigned o = 0; o < outcomes(s, i); o++) {
            struct state next;
            memcpy(&next, s, sizeof(next));
            make_step(&next, i, (uint8_t)o);
            if (see(&next))
                push(&next);
        }
    }
}

/* Whether there is an order in which a client is forgotten.  Worker 0 has
 * taken a client and is about to run its handler; the others come to wait. */
static bool forgets(enum mistake mistake, unsigned workers, uint8_t turns)
{
    struct state s;
    bool found = false;

    memset(&s, 0, sizeof(s));
    s.owner = 0;
    m.mistake = mistake;
    m.server->workers_n = m.workers_n = workers;
    for (unsigned i = 0; i < workers; i++)
        s.workers[i] = (struct local){
            .turns = turns, .phase = i == 0 ? RUN : TAKE, .next = CHOICE};
    for (push(&s); m.todo_n && !found;) {
        s = m.todo[--m.todo_n];
        found = is_forgotten(&s);
        visit(&s);
    }
    print_message("%u workers, mistake %d: %zu states\n", workers, (int)mistake,
                  m.seen_n);
    free(m.todo);
    free(m.seen);
    m.todo = NULL;
    m.seen = NULL;
    m.todo_n = m.todo_room = m.seen_n = m.seen_room = 0;
    m.ways_n = 0;
    return found;
}

static int set_up(void **state)
{
    (void)state;
    memset(&m, 0, sizeof(m));
    m.server = calloc(1, sizeof(*m.server));
    m.workers = calloc(WORKERS_MAX, sizeof(*m.workers));
    assert_non_null(m.server);
    assert_non_null(m.workers);
    m.server->workers = m.workers;
    m.server->listeners.n = 1;
    for (int i = 0; i < WORKERS_MAX; i++) {
        m.workers[i].server = m.server;
        m.workers[i].number = i;
        m.workers[i].acceptors[0].listener = &m.server->listeners.v[0];
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(m.workers);
    free(m.server);
    return 0;
}

static void no_client_is_forgotten(void **state)
{
    (void)state;
    assert_false(forgets(NO_MISTAKE, 2, FOR_EVER));
    assert_false(forgets(NO_MISTAKE, 3, 1));
}

static void each_mistake_is_found(void **state)
{
    (void)state;
    for (enum mistake i = NO_MISTAKE + 1; i < MISTAKES; i++)
        assert_true(forgets(i, 2, FOR_EVER));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_client_is_forgotten, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(each_mistake_is_found, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
