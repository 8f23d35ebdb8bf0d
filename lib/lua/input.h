/*
 * Inside lib/lua: octets that wait to be read by a script, those of a request's
 * body and those of a file, and how much of them httpd.read may have.
 */
#ifndef LH_LUA_INPUT_H
#define LH_LUA_INPUT_H

#include "lua/wait.h"

struct lh_vm;

/* Octets of the request's body that were taken out of the exchange, or of a
 * file. */
struct lh_input {
    char *p;
    size_t at, n, room; /* p[at] to p[n - 1] were not read yet */
};

/* How much httpd.read wants. */
enum lh_read_mode {
    LH_READ_BYTES, /* exactly `read_bytes` */
    LH_READ_SOME,
    LH_READ_LINE,
    LH_READ_LINE_END, /* with its newline */
    LH_READ_ALL,
};

/* What a call wants. */
struct lh_read {
    enum lh_read_mode mode;
    size_t bytes; /* LH_READ_BYTES: so many, 0: is there anything? */
};

/* A line, or "a": more octets are "too large". */
#define LH_TEXT_MAX ((size_t)1 << 20)

/* Octets that wait. */
size_t lh_input_bytes(const struct lh_input *in);

/* Makes room for n more.  False: no memory. */
bool lh_input_room(struct lh_input *in, size_t n);

/* The length of the line at the input's start, newline included, of which the
 * first `from` octets are known to have no newline; 0: it is not there yet. */
size_t lh_input_line(const struct lh_input *in, size_t from);

/* Takes the second argument of httpd.read.  Raises if it is none. */
void lh_read_mode(lua_State *L, struct lh_read *read);

/* Does the call only ask whether there is something? */
bool lh_read_asks(const struct lh_read *read);

/* How many octets more it can use. */
size_t lh_read_wants(const struct lh_read *read, const struct lh_input *in);

/* May it have its answer of what waits?  DONE, TOO_LARGE or PENDING. */
enum lh_outcome lh_read_enough(const struct lh_vm *vm,
                               const struct lh_read *read,
                               const struct lh_input *in);

/* Pushes the answer and takes it out of the input. */
int lh_read_push(lua_State *L, const struct lh_read *read, struct lh_input *in);

/* The same of a stream that a script's finalizer may end, as one may that runs
 * while the string is made: so the VM has the octets meanwhile.  A large buffer
 * that is empty is not kept for a stream that may idle for hours. */
int lh_read_push_held(lua_State *L, struct lh_vm *vm,
                      const struct lh_read *read, struct lh_input *in);

/* What became no string, for lack of memory, is its stream's again: before
 * anything else is done with it. */
void lh_input_take_back(struct lh_vm *vm);

/* Its stream ends, and gets nothing back. */
void lh_input_leave(struct lh_vm *vm, const struct lh_input *in);

#endif
