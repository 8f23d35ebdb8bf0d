/*
 * Runs a Lua script's handlers without a server: a VM, its worker's context and
 * loopback requests.  `test_script_run` does what a worker's turns would do
 * until nothing changes.
 */
#ifndef TEST_LIB_SCRIPT_H
#define TEST_LIB_SCRIPT_H

#include "lib/context.h"
#include "lib/loopback.h"
#include "lua/compat.h"
#include "lua/vm.h"

#define TEST_SCRIPT_REQUESTS 8

struct test_script {
    struct test_context t;
    struct lh_list ready;
    struct lh_vm *vm; /* NULL: it did not load, see err */
    struct lh_err err;
    int error; /* of lh_vm_new */
    struct test_loopback requests[TEST_SCRIPT_REQUESTS];
    unsigned requests_n;
    size_t pump_bytes; /* what a client takes in a turn: SIZE_MAX */
};

/* The limits and the rest of the context may be changed between the two.
 * handler_run_ms is unlimited: it is the only limit in real time, which a busy
 * machine may stretch. */
void test_script_init(struct test_script *s);
void test_script_load(struct test_script *s, const char *name,
                      const char *source);
void test_script_load_as(struct test_script *s,
                         const struct lh_vm_config *config);
void test_script_deinit(struct test_script *s);

/* Both at once; fails the test with the message if it does not load. */
void test_script_start(struct test_script *s, const char *source);

/* The same with one handler, "/", whose code that is; env and header are its
 * arguments. */
void test_script_start_handler(struct test_script *s, const char *code);

/* A state with all libraries, for the factories of tests that lend it their
 * memory. */
struct lua_State *test_script_new_state(lua_Alloc alloc);

/* Sends a request to the handler its path leads to. */
struct test_loopback *test_script_request(struct test_script *s,
                                          const char *method,
                                          const char *target,
                                          const char *const *fields,
                                          bool has_body);

/* Turns, at most `most` of them; returns how many. */
unsigned test_script_turns(struct test_script *s, unsigned most);
void test_script_run(struct test_script *s);
void test_script_advance(struct test_script *s, uint64_t ms);

/* The request is over: frees what it collected. */
void test_script_done(struct test_script *s);

/* A GET, run to its end; fails the test unless it is answered so. */
void test_script_expect(struct test_script *s, const char *target,
                        unsigned status, const char *body);

#endif
