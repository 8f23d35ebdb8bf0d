/*
 * Inside lib/lua: sockets, the streams of httpd.connect.  One is a userdata of
 * its script.  It is bound to the task whose handler made it, unless it is to
 * be kept; it ends with that, with httpd.close, or once it is collected.
 */
#ifndef LH_LUA_SOCKET_H
#define LH_LUA_SOCKET_H

#include "lua/task.h"
#include "net/outward.h"
#include "os/slots.h"

struct lh_connecting;

struct lh_socket {
    struct lh_bound bound;
    struct lh_vm *vm;
    struct lh_transport *transport; /* NULL: not yet, or not any more */
    struct lh_source source;
    uint64_t tag;
    struct lh_input ahead;            /* octets that were read, and not taken */
    struct lh_task *reader;           /* waits for octets, or to be connected */
    struct lh_task *writer;           /* waits to be rid of some */
    struct lh_connecting *connecting; /* connect.c's; NULL: that is over */
    void (*give_up)(struct lh_connecting *connecting);
    struct lh_timer pause; /* it has moved enough for one turn */
    size_t moved;          /* octets since the last wait */
    bool counted;          /* among the worker's */
    bool ended;            /* the peer has ended its side */
    bool shut;             /* we have ended ours */
    bool is_tls;
    bool lost;        /* it has failed */
    bool hears_first; /* who writes waits for octets, as TLS does */
};

extern const luaL_Reg lh_socket_begins[], lh_connect_begins[];

/* Makes the metatable.  It may raise; while the VM loads. */
void lh_socket_prepare(lua_State *L, struct lh_vm *vm);

/* The value at `index`, or NULL if it is none. */
struct lh_socket *lh_socket_at(lua_State *L, int index);

/* Pushes one that is not connected.  NULL, and nothing is pushed: no memory, or
 * (*too_many) there are as many as the limit allows. */
struct lh_socket *lh_socket_push(lua_State *L, struct lh_vm *vm,
                                 bool *too_many);

/* It is connected by that, whose descriptor is its own from now on; in any
 * case.  0 or a negative errno. */
int lh_socket_open(struct lh_socket *s, struct lh_transport *transport);

/* Gives back what only octets under way need. */
void lh_socket_rest(const struct lh_socket *s);

/* Its task is woken by the next event of these kinds (os/evq.h), and it rests
 * until then. */
void lh_socket_await(struct lh_socket *s, unsigned interest);

/* Twice is once.  Who waits learns it. */
void lh_socket_end(struct lh_socket *s);

/* --- its part of httpd.read, write and wait ------------------------------- */

int lh_socket_read_begin(lua_State *L, struct lh_task *task);
/* The string is in task->data and at index 2. */
int lh_socket_write_begin(lua_State *L, struct lh_task *task,
                          uint64_t timeout_ms);

/* Raises where another task reads it. */
void lh_socket_check_free(lua_State *L, const struct lh_socket *s,
                          const char *function);
/* Would httpd.read give something at once, or fail? */
bool lh_socket_readable(struct lh_task *task, struct lh_socket *s);
/* Who is told once it would; NULL: nobody. */
void lh_socket_watch(struct lh_socket *s, struct lh_task *reader);

#endif
