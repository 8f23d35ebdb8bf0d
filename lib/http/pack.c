/*
 * A request that stays for long is made small: see pack.h.
 *
 * What parses a request takes blocks that are large beside it, and leaves in
 * them arrays that were outgrown; a browser's takes two or three kilobytes in
 * this way, of which it fills one.  So each string is copied once, into the
 * exchange itself as far as there is room.
 */
#include "http/pack.h"

/* The path and the query are usually parts of the target: then they move with
 * it and take no place of their own. */
static bool is_part(struct lh_str s, struct lh_str of)
{
    return s.p && of.p && s.p >= of.p && s.p + s.n <= of.p + of.n;
}

static void pack_text(struct lh_arena_pack *pack, struct lh_str *s)
{
    if (s->p)
        s->p = lh_arena_pack_add(pack, s->p, s->n, 1);
}

static void pack_part(struct lh_arena_pack *pack, struct lh_str *s,
                      struct lh_str of, struct lh_str now)
{
    if (is_part(*s, of))
        s->p = now.p + (s->p - of.p);
    else
        pack_text(pack, s);
}

/* A usual name needs no copy. */
static void pack_name(struct lh_arena_pack *pack, struct lh_str *name)
{
    for (int i = 0; i < LH_USUAL_NAMES; i++) {
        if (lh_str_equal(*name, lh_usual_names[i])) {
            *name = lh_usual_names[i];
            return;
        }
    }
    pack_text(pack, name);
}

static void pack_array(struct lh_arena_pack *pack, struct lh_fields *f)
{
    f->room = f->n;
    f->v = f->n ? lh_arena_pack_add(pack, f->v, f->n * sizeof(*f->v),
                                    alignof(struct lh_field))
                : NULL;
}

static void pack_texts(struct lh_arena_pack *pack, const struct lh_fields *f)
{
    struct lh_field *v = lh_arena_pack_aside(pack, f->v);

    for (unsigned i = 0; i < f->n; i++) {
        pack_name(pack, &v[i].name);
        pack_text(pack, &v[i].value);
    }
}

/* Twice, see arena.h.  What is longest goes first: short pieces fill what that
 * leaves. */
static void pack_all(struct lh_arena_pack *pack, struct lh_exchange *ex,
                     struct lh_str *part)
{
    struct lh_request *r = &ex->request;
    struct lh_str target = r->target, path = r->path;

    pack_array(pack, &r->fields);
    pack_array(pack, &r->trailers);
    pack_array(pack, &ex->response.trailers);
    pack_texts(pack, &r->fields);
    pack_texts(pack, &r->trailers);
    pack_texts(pack, &ex->response.trailers);
    pack_text(pack, &r->method);
    pack_text(pack, &r->scheme);
    pack_text(pack, &r->authority);
    pack_text(pack, &r->target);
    pack_part(pack, &r->path, target, r->target);
    pack_part(pack, &r->query, target, r->target);
    if (is_part(*part, path))
        part->p = r->path.p + (part->p - path.p);
    if (ex->id)
        ex->id = lh_arena_pack_add(pack, ex->id, strlen(ex->id) + 1, 1);
}

/* Is nothing on its way into the arena, or out of it?  What is lent may be in
 * it, for all we know here. */
static bool may_move(const struct lh_exchange *ex)
{
    const struct lh_response *r = &ex->response;
    bool head_waits = r->state != LH_RESPONSE_NONE && !r->head_left;

    return !head_waits && !r->interim && !r->lent_n &&
           (ex->body_state != LH_BODY_OPEN || ex->upgraded);
}

void lh_exchange_pack(struct lh_exchange *ex, struct lh_str *part)
{
    struct lh_arena_pack pack;

    if (!ex->arena.loose || !may_move(ex))
        return;
    lh_arena_pack_init(&pack, &ex->arena);
    pack_all(&pack, ex, part);
    if (!lh_arena_pack_begin(&pack))
        return;
    pack_all(&pack, ex, part);
    lh_arena_pack_end(&pack);
    ex->response.fields = (struct lh_fields){.n = 0};
}
