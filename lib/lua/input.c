/* Octets that wait to be read by a script: see input.h. */
#include "lua/input.h"

#include "base/mem.h"
#include "base/num.h"
#include "lua/api.h"
#include "lua/gc.h"

#include <math.h>

/* The most that a read without a length returns. */
#define SOME_BYTES ((size_t)64 << 10)

#define STEP_BYTES ((size_t)4 << 10)

/* More is no length, on any machine; one of 32 bits holds less. */
#define LENGTH_MAX 0x1p61

/* A larger buffer is not kept for a stream that may idle. */
#define KEEP_BYTES ((size_t)64 << 10)

size_t lh_input_bytes(const struct lh_input *in)
{
    return in->n - in->at;
}

/* The room doubles, so that octets which come one by one are not copied each
 * time; what was read already makes room first. */
bool lh_input_room(struct lh_input *in, size_t n)
{
    size_t room = in->room ? in->room : STEP_BYTES;

    if (in->at && in->room - in->n < n) {
        memmove(in->p, in->p + in->at, in->n - in->at);
        in->n -= in->at;
        in->at = 0;
    }
    while (room - in->n < n)
        room *= 2;
    if (room == in->room)
        return true;
    char *p = lh_realloc(in->p, room);
    if (!p)
        return false;
    in->p = p;
    in->room = room;
    return true;
}

/* The newline is found once: who calls again says what was searched. */
size_t lh_input_line(const struct lh_input *in, size_t from)
{
    const char *start, *newline;

    if (lh_input_bytes(in) <= from)
        return 0;
    start = in->p + in->at;
    newline = memchr(start + from, '\n', lh_input_bytes(in) - from);
    return newline ? (size_t)(newline - start) + 1 : 0;
}

/* --- what a call may have ------------------------------------------------- */

/* 0: it has what it can use.  A line's length is not known, so it is looked for
 * step by step. */
size_t lh_read_wants(const struct lh_read *read, const struct lh_input *in)
{
    size_t have = lh_input_bytes(in);

    switch (read->mode) {
    case LH_READ_BYTES:
        if (read->bytes == 0)
            return have ? 0 : STEP_BYTES;
        return have < read->bytes ? read->bytes - have : 0;
    case LH_READ_SOME:
        return have ? 0 : SOME_BYTES;
    case LH_READ_LINE:
    case LH_READ_LINE_END:
        return STEP_BYTES;
    case LH_READ_ALL:
        return have > LH_TEXT_MAX ? 0 : LH_TEXT_MAX + 1 - have;
    }
    return 0;
}

/* httpd.read(stream, 0). */
bool lh_read_asks(const struct lh_read *read)
{
    return read->mode == LH_READ_BYTES && read->bytes == 0;
}

/* Octets of the string that the call would get of what there is.  More may have
 * come for a call that found it too large. */
static size_t string_bytes(const struct lh_read *read,
                           const struct lh_input *in)
{
    size_t have = lh_input_bytes(in), line;

    switch (read->mode) {
    case LH_READ_BYTES:
        return lh_min(have, read->bytes);
    case LH_READ_SOME:
        return lh_min(have, SOME_BYTES);
    case LH_READ_LINE:
    case LH_READ_LINE_END:
        line = lh_input_line(in, 0);
        return line ? line : have;
    case LH_READ_ALL:
        break;
    }
    return have;
}

/* A string that the VM's memory would not hold is "too large" before it is
 * made. */
enum lh_outcome lh_read_enough(const struct lh_vm *vm,
                               const struct lh_read *read,
                               const struct lh_input *in)
{
    size_t have = lh_input_bytes(in), line;
    bool done = false;

    if (have > SOME_BYTES) {
        size_t n = string_bytes(read, in);
        if (n > SOME_BYTES && !lh_gc_allows(vm, n))
            return LH_OUTCOME_TOO_LARGE;
    }
    switch (read->mode) {
    case LH_READ_BYTES:
        done = have && have >= read->bytes;
        break;
    case LH_READ_SOME:
        done = have > 0;
        break;
    case LH_READ_LINE:
    case LH_READ_LINE_END:
        line = lh_input_line(in, 0);
        if (line ? line > LH_TEXT_MAX : have > LH_TEXT_MAX)
            return LH_OUTCOME_TOO_LARGE;
        done = line > 0;
        break;
    case LH_READ_ALL:
        if (have > LH_TEXT_MAX)
            return LH_OUTCOME_TOO_LARGE;
        break;
    }
    return done ? LH_OUTCOME_DONE : LH_OUTCOME_PENDING;
}

/* The first n octets as a string, of which `shown` are passed on. */
static int push_bytes(lua_State *L, struct lh_input *in, size_t n, size_t shown)
{
    lua_pushlstring(L, n ? in->p + in->at : "", shown);
    in->at += n;
    if (in->at == in->n)
        in->at = in->n = 0;
    return 1;
}

/* At the end of the input less than asked for is the answer, and nil if it is
 * nothing. */
int lh_read_push(lua_State *L, const struct lh_read *read, struct lh_input *in)
{
    size_t n = lh_input_bytes(in), line;

    if (read->mode == LH_READ_ALL)
        return push_bytes(L, in, n, n);
    if (n == 0) {
        lua_pushnil(L);
        return 1;
    }
    if (read->mode == LH_READ_BYTES || read->mode == LH_READ_SOME)
        n = string_bytes(read, in);
    if (read->mode == LH_READ_LINE || read->mode == LH_READ_LINE_END) {
        line = lh_input_line(in, 0);
        if (line)
            return push_bytes(L, in, line, line - (read->mode == LH_READ_LINE));
    }
    return push_bytes(L, in, n, n);
}

void lh_input_take_back(struct lh_vm *vm)
{
    if (vm->giving)
        *vm->giving = vm->given_octets;
    else
        lh_free(vm->given_octets.p);
    vm->given_octets = (struct lh_input){.p = NULL};
    vm->giving = NULL;
}

void lh_input_leave(struct lh_vm *vm, const struct lh_input *in)
{
    if (vm->giving == in)
        vm->giving = NULL;
}

int lh_read_push_held(lua_State *L, struct lh_vm *vm,
                      const struct lh_read *read, struct lh_input *in)
{
    struct lh_input *given = &vm->given_octets;

    lh_input_take_back(vm);
    *given = *in;
    *in = (struct lh_input){.p = NULL};
    vm->giving = in;
    int results = lh_read_push(L, read, given);
    if (!given->n && given->room > KEEP_BYTES)
        vm->giving = NULL;
    lh_input_take_back(vm);
    return results;
}

/* "l", "L", "a", as io has them, with or without the star of 5.1. */
static bool mode_from_name(struct lh_read *read, const char *name)
{
    if (*name == '*')
        name++;
    if (strcmp(name, "l") == 0)
        read->mode = LH_READ_LINE;
    else if (strcmp(name, "L") == 0)
        read->mode = LH_READ_LINE_END;
    else if (strcmp(name, "a") == 0)
        read->mode = LH_READ_ALL;
    else
        return false;
    return true;
}

void lh_read_mode(lua_State *L, struct lh_read *read)
{
    double n;

    if (lua_isnoneornil(L, 2)) {
        read->mode = LH_READ_SOME;
        return;
    }
    if (lua_type(L, 2) == LUA_TSTRING &&
        mode_from_name(read, lua_tostring(L, 2)))
        return;
    if (lua_type(L, 2) != LUA_TNUMBER)
        lh_api_argument_error(L, 2, "httpd.read", "number, 'l', 'L' or 'a'");
    n = (double)lua_tonumber(L, 2);
    if (!(n >= 0) || floor(n) != n || n > LENGTH_MAX)
        lh_api_error(L, "bad argument #2 to 'httpd.read' (not a length)");
    read->mode = LH_READ_BYTES;
    read->bytes = (size_t)fmin(n, (double)(SIZE_MAX / 8));
}
