/*
 * httpd.multipart: see form.h.  Octets go from the request's body through the
 * parser (http/multipart.h) into the form's input, as many as a call may use,
 * so that the client is held back as it is without a form.
 *
 * What always holds: `next` says that the header of a part has come which the
 * script has not been given yet, and then no octets of it were taken; `whole`,
 * that all of the part which it was given last have.  Behind the end of that
 * part the next header is read ahead, for where the script's next call cannot
 * wait (the iterator of a "for" loop of Lua 5.1).
 */
#include "lua/form.h"

#include "base/mem.h"
#include "base/num.h"
#include "http/multipart.h"
#include "lua/api.h"

#include <math.h>

#define STEP_BYTES ((size_t)4 << 10)

/* Unless the script says something else. */
static const struct lh_multipart_limits usual_limits = {
    .parts = 1000,
    .header_bytes = 8192,
    .name_bytes = 1024,
    .part_bytes = LHTTPD_UNLIMITED,
};

struct lh_form {
    struct lh_bound bound;
    struct lh_task *task;
    struct lh_multipart parser;
    struct lh_input input; /* octets of the part that were not read yet */
    double serial;         /* no other form of the VM has it */
    double given;          /* the part that the script has; 0: none yet */
    uint64_t timeout_ms;   /* of the iterator */
    bool begun;            /* the script has its iterator */
    bool next, whole;
    bool over, faulty;
    bool no_memory;
};

/* The userdata: which part it is, and what its header says. */
struct lh_part {
    double form, number;
    size_t name_n, filename_n, type_n;
    bool has_filename, has_type;
    char text[]; /* one behind the other */
};

/* --- the body ------------------------------------------------------------- */

/* What a read without a form has left comes first. */
static const uint8_t *peek_body(const struct lh_task *task, size_t *n)
{
    const struct lh_input *in = &task->input;

    *n = lh_input_bytes(in);
    if (*n)
        return (const uint8_t *)in->p + in->at;
    return lh_buf_peek(&task->ex->body, n);
}

static void drop_body(struct lh_task *task, size_t n)
{
    if (lh_input_bytes(&task->input))
        task->input.at += n;
    else
        lh_exchange_body_drop(task->ex, n);
}

/* Copies, since the body's octets go once they were parsed. */
static bool keep_data(struct lh_form *form)
{
    struct lh_str data = form->parser.data;

    if (!lh_input_room(&form->input, data.n))
        return false;
    memcpy(form->input.p + form->input.n, data.p, data.n);
    form->input.n += data.n;
    return true;
}

/* From here on it is the client's fault that there is no better answer. */
static void note_fault(struct lh_form *form)
{
    form->faulty = true;
    if (form->parser.status != 500)
        lh_exchange_blame_body(form->task->ex, form->parser.status);
}

/* `skips`: the part's octets are not wanted. */
static void take_form_event(struct lh_form *form, enum lh_multipart_event event,
                            bool skips)
{
    switch (event) {
    case LH_MULTIPART_MORE:
        break;
    case LH_MULTIPART_PART:
        form->next = true;
        break;
    case LH_MULTIPART_DATA:
        form->no_memory = !skips && !keep_data(form);
        break;
    case LH_MULTIPART_PART_END:
        form->whole = true;
        break;
    case LH_MULTIPART_END:
        form->over = true;
        break;
    case LH_MULTIPART_FAULT:
        note_fault(form);
        break;
    }
}

/* Nothing more is parsed until the script has taken what there is. */
static bool has_come_far(const struct lh_form *form)
{
    return form->next || form->over || form->faulty || form->no_memory;
}

/* Until there are `most` octets of the part, or all of it and what follows; or
 * no more have come.  With `most` 0 the part is skipped. */
static void parse_body(struct lh_form *form, size_t most)
{
    struct lh_task *task = form->task;
    bool skips = most == 0;
    size_t n, used;

    while (!has_come_far(form) &&
           (skips || lh_input_bytes(&form->input) < most)) {
        const uint8_t *p = peek_body(task, &n);
        if (n == 0 && task->ex->body_state != LH_BODY_ENDED)
            return;
        if (n == 0) {
            take_form_event(form, lh_multipart_finish(&form->parser), skips);
            continue;
        }
        if (!skips)
            n = lh_min(n, most - lh_input_bytes(&form->input));
        enum lh_multipart_event event =
            lh_multipart_read(&form->parser, p, n, &used);
        take_form_event(form, event, skips);
        drop_body(task, used);
    }
}

/* Why nothing more comes; PENDING: it may. */
static enum lh_outcome body_failure(const struct lh_task *task)
{
    enum lh_outcome outcome = lh_api_body_outcome(task->ex->body_state);

    if (outcome != LH_OUTCOME_PENDING && outcome != LH_OUTCOME_DONE)
        return outcome;
    if (task->cut)
        return LH_OUTCOME_CLOSED;
    return task->timed_out ? LH_OUTCOME_TIMEOUT : LH_OUTCOME_PENDING;
}

/* What becomes of a body without being the form's fault. */
static const struct {
    const char *text;
    unsigned status;
} failures[] = {
    [LH_OUTCOME_CLOSED] = {"closed", 400},
    [LH_OUTCOME_TIMEOUT] = {"timeout", 408},
    [LH_OUTCOME_TOO_LARGE] = {"too large", 413},
    [LH_OUTCOME_MALFORMED] = {"malformed", 400},
};

/* The handler is kept from the rest of the form, and not by its own fault. */
static void blame_failure(const struct lh_task *task)
{
    if (task->ex)
        lh_exchange_blame_body(task->ex, failures[task->outcome].status);
}

/* It has come after all: a time-out before is forgiven. */
static void forgive_body(struct lh_exchange *ex)
{
    if (ex)
        lh_exchange_forgive_body(ex);
}

static enum lh_outcome form_fault(const struct lh_form *form)
{
    if (form->no_memory || form->parser.status == 500)
        return LH_OUTCOME_MEMORY;
    return form->parser.status == 413 ? LH_OUTCOME_TOO_LARGE
                                      : LH_OUTCOME_MALFORMED;
}

/* Pushes what is wrong with the form. */
static void push_why(lua_State *L, const struct lh_form *form)
{
    if (form->parser.parts)
        lua_pushfstring(L, "part %d: %s", (int)form->parser.parts,
                        form->parser.why);
    else
        lua_pushstring(L, form->parser.why);
}

/* --- httpd.read(part) ----------------------------------------------------- */

/* As much as the call can use.  A line is looked for step by step. */
static void pull_part(struct lh_form *form, const struct lh_read *read)
{
    struct lh_input *in = &form->input;
    size_t seen = 0;

    if (read->mode != LH_READ_LINE && read->mode != LH_READ_LINE_END) {
        size_t wants = lh_read_wants(read, in);
        if (wants)
            parse_body(form, lh_input_bytes(in) + wants);
        return;
    }
    while (!lh_input_line(in, seen) && lh_input_bytes(in) <= LH_TEXT_MAX) {
        seen = lh_input_bytes(in);
        parse_body(form, seen + STEP_BYTES);
        if (lh_input_bytes(in) == seen)
            return;
    }
}

/* The part is whole, and the call gets the rest of it.  If that is the end,
 * what follows is waited for, as long as it may come. */
static enum lh_outcome whole_outcome(const struct lh_form *form)
{
    const struct lh_task *task = form->task;
    bool has_rest =
        lh_input_bytes(&form->input) && task->read.mode != LH_READ_ALL;

    if (has_rest || has_come_far(form) ||
        body_failure(task) != LH_OUTCOME_PENDING)
        return LH_OUTCOME_DONE;
    return LH_OUTCOME_PENDING;
}

/* Octets that are there win over a body that was cut, and over the time-out. */
static enum lh_outcome poll_part(struct lh_task *task, lua_State *L)
{
    struct lh_form *form = task->form;
    enum lh_outcome outcome;

    (void)L;
    if (!task->ex)
        return LH_OUTCOME_CLOSED;
    pull_part(form, &task->read);
    if (form->no_memory)
        return LH_OUTCOME_MEMORY;
    outcome = lh_read_enough(task->vm, &task->read, &form->input);
    if (outcome != LH_OUTCOME_PENDING)
        return outcome;
    if (form->whole)
        return whole_outcome(form);
    return form->faulty ? form_fault(form) : body_failure(task);
}

/* Is it that no more comes of the body?  A line may be too long in any. */
static bool body_has_failed(const struct lh_task *task)
{
    switch (task->outcome) {
    case LH_OUTCOME_CLOSED:
    case LH_OUTCOME_TIMEOUT:
        return true;
    case LH_OUTCOME_TOO_LARGE:
        return task->ex && task->ex->body_state == LH_BODY_TOO_LARGE;
    default:
        return false;
    }
}

/* What is wrong with the form is told in words, too. */
static int push_part_octets(lua_State *L, struct lh_task *task)
{
    struct lh_form *form = task->form;

    if (task->outcome == LH_OUTCOME_DONE) {
        if (!form->faulty)
            forgive_body(task->ex);
        return lh_read_push(L, &task->read, &form->input);
    }
    if (body_has_failed(task))
        blame_failure(task);
    int results = lh_api_answer(L, task, task->outcome);
    if (!form->faulty || form->whole || results != 2)
        return results;
    push_why(L, form);
    return 3;
}

static const struct lh_wait part_wait = {
    .poll = poll_part,
    .start = lh_task_start_body,
    .cancel = lh_task_stop_body,
    .finish = push_part_octets,
};

static struct lh_part *part_at(lua_State *L, int index)
{
    return lh_api_object(L, index, lh_vm_of(L)->part_meta);
}

bool lh_part_is_first(lua_State *L)
{
    return part_at(L, 1) != NULL;
}

int lh_part_read_begin(lua_State *L, struct lh_task *task)
{
    const struct lh_part *part = part_at(L, 1);
    const struct lh_form *form = task->form;

    if (!form || part->form != form->serial)
        return lh_api_error(L, "httpd.read: the part is another request's");
    if (part->number != form->given)
        return lh_api_error(L, "httpd.read: the part was left for the next "
                               "one");
    lh_read_mode(L, &task->read);
    return lh_api_begin(L, task, &part_wait,
                        lh_api_timeout(L, 3, "httpd.read"));
}

/* --- a part --------------------------------------------------------------- */

static const char *part_filename(const struct lh_part *part)
{
    return part->text + part->name_n;
}

static const char *part_type(const struct lh_part *part)
{
    return part_filename(part) + part->filename_n;
}

/* A new string each time: a part is read more often than it is asked. */
static int part_index(lua_State *L)
{
    const struct lh_part *part = part_at(L, 1);
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

    if (part && strcmp(key, "name") == 0)
        lua_pushlstring(L, part->text, part->name_n);
    else if (part && part->has_filename && strcmp(key, "filename") == 0)
        lua_pushlstring(L, part_filename(part), part->filename_n);
    else if (part && part->has_type && strcmp(key, "type") == 0)
        lua_pushlstring(L, part_type(part), part->type_n);
    else
        lua_pushnil(L);
    return 1;
}

static int part_text(lua_State *L)
{
    const struct lh_part *part = part_at(L, 1);

    lua_pushliteral(L, "part ");
    lua_pushlstring(L, part ? part->text : "", part ? part->name_n : 0);
    lua_concat(L, 2);
    return 1;
}

void lh_form_prepare(lua_State *L, struct lh_vm *vm)
{
    static const luaL_Reg meta[] = {
        {"__index", part_index},
        {"__tostring", part_text},
        {NULL, NULL},
    };

    lh_api_push_kind(L, vm, meta, "part");
    vm->part_meta = luaL_ref(L, LUA_REGISTRYINDEX);
}

static char *put_text(char *to, struct lh_str s)
{
    if (!s.p)
        return to;
    memcpy(to, s.p, s.n);
    return to + s.n;
}

/* The part whose header has come. */
static void push_part(lua_State *L, struct lh_form *form)
{
    const struct lh_multipart *m = &form->parser;
    size_t n = m->name.n + m->filename.n + m->type.n;
    struct lh_part *part = lua_newuserdata(L, sizeof(*part) + n);

    *part = (struct lh_part){
        .form = form->serial,
        .number = (double)m->parts,
        .name_n = m->name.n,
        .filename_n = m->filename.n,
        .type_n = m->type.n,
        .has_filename = m->filename.p != NULL,
        .has_type = m->type.p != NULL,
    };
    put_text(put_text(put_text(part->text, m->name), m->filename), m->type);
    lua_rawgeti(L, LUA_REGISTRYINDEX, form->task->vm->part_meta);
    lua_setmetatable(L, -2);
    form->given = part->number;
    form->next = form->whole = false;
}

/* --- httpd.multipart ------------------------------------------------------ */

/* The part before is skipped. */
static enum lh_outcome poll_next(struct lh_task *task, lua_State *L)
{
    struct lh_form *form = task->form;

    (void)L;
    if (!task->ex)
        return LH_OUTCOME_CLOSED;
    parse_body(form, 0);
    if (form->faulty || form->no_memory)
        return form_fault(form);
    return has_come_far(form) ? LH_OUTCOME_DONE : body_failure(task);
}

/* A loop over parts cannot tell a failure from the end but by an error. */
static int raise_failure(lua_State *L, struct lh_task *task)
{
    if (task->form->faulty && task->outcome != LH_OUTCOME_MEMORY) {
        push_why(L, task->form);
        return lh_api_error(L, "httpd.multipart: %s", lua_tostring(L, -1));
    }
    if (task->outcome == LH_OUTCOME_MEMORY)
        return lh_api_error(L, "not enough memory");
    blame_failure(task);
    return lh_api_error(L, "httpd.multipart: %s", failures[task->outcome].text);
}

static int push_next(lua_State *L, struct lh_task *task)
{
    struct lh_form *form = task->form;

    if (task->outcome != LH_OUTCOME_DONE)
        return raise_failure(L, task);
    forgive_body(task->ex);
    if (form->next)
        push_part(L, form);
    else
        lua_pushnil(L);
    return 1;
}

/* The first one is the iterator's to give. */
static int push_begun(lua_State *L, struct lh_task *task)
{
    if (task->outcome != LH_OUTCOME_DONE)
        return raise_failure(L, task);
    forgive_body(task->ex);
    task->form->begun = true;
    lua_pushboolean(L, 1);
    return 1;
}

static const struct lh_wait next_wait = {
    .poll = poll_next,
    .start = lh_task_start_body,
    .cancel = lh_task_stop_body,
    .finish = push_next,
};

static const struct lh_wait first_wait = {
    .poll = poll_next,
    .start = lh_task_start_body,
    .cancel = lh_task_stop_body,
    .finish = push_begun,
};

/* The handler has returned or failed. */
static void form_ended(struct lh_bound *bound)
{
    struct lh_form *form = LH_OF(bound, struct lh_form, bound);

    lh_list_remove(&form->bound.link);
    form->task->form = NULL;
    lh_multipart_deinit(&form->parser);
    lh_free(form->input.p);
    lh_free(form);
}

/* Key and value at the top; raises for what is no limit. */
static void take_limit(lua_State *L, struct lh_multipart_limits *limits)
{
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    lua_Number n = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : 0;
    bool fits = n >= 1 && n <= 9e15;

    if (strcmp(key, "parts") == 0)
        limits->parts = fits ? (uint64_t)n : 0;
    else if (strcmp(key, "part_bytes") == 0)
        limits->part_bytes = fits ? (uint64_t)n : 0;
    else if (strcmp(key, "header_bytes") == 0)
        limits->header_bytes = fits ? lh_to_size((uint64_t)n) : 0;
    else if (strcmp(key, "name_bytes") == 0)
        limits->name_bytes = fits ? lh_to_size((uint64_t)n) : 0;
    else
        lh_api_error(L, "bad argument #1 to 'httpd.multipart' (the limits are "
                        "parts, part_bytes, header_bytes and name_bytes)");
    if (!fits)
        lh_api_error(L,
                     "bad argument #1 to 'httpd.multipart' (%s is a number "
                     "from 1)",
                     key);
}

static void take_limits(lua_State *L, struct lh_multipart_limits *limits)
{
    *limits = usual_limits;
    if (lua_isnoneornil(L, 1))
        return;
    if (!lua_istable(L, 1))
        lh_api_argument_error(L, 1, "httpd.multipart", "table");
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        take_limit(L, limits);
        lua_pop(L, 1);
    }
}

/* What is in the way of a form is the client's fault, too. */
static struct lh_form *make_form(lua_State *L, struct lh_task *task,
                                 const struct lh_multipart_limits *limits)
{
    struct lh_exchange *ex = task->ex;
    bool failed = false;
    struct lh_str type = lh_fields_join(&ex->request.fields, &ex->arena,
                                        LH_STR("content-type"), &failed);
    struct lh_form *form = failed ? NULL : lh_calloc(1, sizeof(*form));

    if (!form) {
        lh_api_error(L, "not enough memory");
        return NULL;
    }
    if (!lh_multipart_init(&form->parser, type, limits)) {
        unsigned status = form->parser.status;
        const char *why = form->parser.why; /* it is for ever */
        lh_free(form);
        lh_exchange_blame_body(ex, status);
        lh_api_error(L, "httpd.multipart: %s", why);
        return NULL;
    }
    form->task = task;
    form->serial = ++task->vm->forms_n;
    form->bound.on_task_end = form_ended;
    lh_list_append(&task->bound, &form->bound.link);
    task->form = form;
    return form;
}

/* multipart_begin(limits, timeout): the first header has come, or there is no
 * part.  Again is allowed after a call that could not wait, or not for long
 * enough. */
static int multipart_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.multipart");
    struct lh_multipart_limits limits;

    if (!task)
        return lh_api_refuse(L);
    lua_settop(L, 2);
    take_limits(L, &limits);
    uint64_t timeout_ms = lh_api_timeout(L, 2, "httpd.multipart");
    if (task->form && task->form->begun)
        return lh_api_error(L, "httpd.multipart: called before");
    if (!task->ex || task->websocket)
        return lh_api_error(L, "httpd.multipart: there is no request body");
    struct lh_form *form =
        task->form ? task->form : make_form(L, task, &limits);
    if (form)
        form->timeout_ms = timeout_ms;
    return lh_api_begin(L, task, &first_wait, timeout_ms);
}

/* The iterator. */
static int part_begin(lua_State *L)
{
    struct lh_task *task = lh_api_task(L, "httpd.multipart");

    if (!task)
        return lh_api_refuse(L);
    struct lh_form *form = task->form;
    if (!form)
        return lh_api_error(L, "httpd.multipart: the form is another "
                               "request's");
    form->given = 0;
    form->input.at = form->input.n = 0;
    return lh_api_begin(L, task, &next_wait, form->timeout_ms);
}

const luaL_Reg lh_form_begins[] = {
    {"multipart_begin", multipart_begin},
    {"part_begin", part_begin},
    {NULL, NULL},
};
