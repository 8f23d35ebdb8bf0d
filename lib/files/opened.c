/*
 * Open files and the store of them: see opened.h.
 *
 * What always holds: what is in the store was put there since the timer was
 * armed, and so was its root; so all of it goes together, and no root's address
 * is that of another one meanwhile.
 */
#include "files/opened.h"

#include "os/error.h"
#include "os/fd.h"

/* --- shares --------------------------------------------------------------- */

struct lh_opened *lh_opened_hold(struct lh_opened *opened)
{
    opened->refs++;
    return opened;
}

void lh_opened_drop(struct lh_opened *opened)
{
    if (!opened || --opened->refs)
        return;
    if (opened->fd >= 0)
        lh_fd_close(opened->fd);
    lh_free(opened);
}

/* FNV-1a, which spreads names well enough: a client's words reach the store
 * only as far as files of these names are there. */
static uint64_t hash_of(const struct lh_opened *root, enum lh_beneath_what what,
                        const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uintptr_t)root ^ what;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

int lh_opened_new(struct lh_opened **out, const struct lh_opened *root,
                  enum lh_beneath_what what, const char *name, int fd)
{
    size_t n = strlen(name) + 1;
    struct lh_opened *opened = lh_alloc(sizeof(*opened) + n);
    int error = LH_SYS_ENOMEM;

    if (opened) {
        *opened =
            (struct lh_opened){.refs = 1, .fd = fd, .root = root, .what = what};
        lh_list_init(&opened->link);
        opened->hash = hash_of(root, what, name);
        memcpy(opened->name, name, n);
        error = fd < 0 ? 0 : lh_beneath_stat(fd, &opened->found);
    }
    if (error == 0) {
        *out = opened;
        return 0;
    }
    if (fd >= 0)
        lh_fd_close(fd);
    lh_free(opened);
    return error;
}

/* --- the store ------------------------------------------------------------ */

void lh_opened_forget(struct lh_open_files *files)
{
    for (size_t i = 0; i < LH_OPENED_ROWS && files->n; i++) {
        struct lh_list *link;
        while ((link = lh_list_take(&files->rows[i])) != NULL) {
            lh_opened_drop(LH_OF(link, struct lh_opened, link));
            files->n--;
        }
    }
}

static void take_out(struct lh_open_files *files, struct lh_opened *opened)
{
    lh_list_remove(&opened->link);
    files->n--;
    lh_opened_drop(opened);
}

/* Another file of this name has taken a link from it, which is a change. */
static bool is_as_it_was(const struct lh_opened *opened)
{
    struct lh_found now, was = opened->found;

    if (opened->what == LH_BENEATH_DIRECTORY)
        return true;
    return lh_beneath_stat(opened->fd, &now) == 0 && now.links == was.links &&
           now.size == was.size && now.modified_s == was.modified_s &&
           now.modified_ns == was.modified_ns &&
           now.changed_s == was.changed_s && now.changed_ns == was.changed_ns;
}

struct lh_opened *lh_open_files_find(struct lh_open_files *files,
                                     const struct lh_opened *root,
                                     enum lh_beneath_what what,
                                     const char *name, bool or_absent)
{
    if (!files || !files->n)
        return NULL;
    uint64_t hash = hash_of(root, what, name);
    struct lh_list *row = &files->rows[hash % LH_OPENED_ROWS];
    for (struct lh_list *at = row->next; at != row; at = at->next) {
        struct lh_opened *opened = LH_OF(at, struct lh_opened, link);
        if (opened->hash != hash || opened->root != root ||
            opened->what != what || strcmp(opened->name, name) != 0)
            continue;
        if (opened->fd < 0 ? or_absent : is_as_it_was(opened))
            return lh_opened_hold(opened);
        take_out(files, opened);
        return NULL;
    }
    return NULL;
}

/* A root that is not in the store any more was found too long ago. */
void lh_open_files_keep(struct lh_open_files *files, struct lh_opened *opened)
{
    const struct lh_opened *root = opened->root;

    if (!files || files->n == LH_OPENED_MAX || opened->fd >= files->fd_end ||
        (root && !lh_list_linked(&root->link)))
        return;
    lh_open_files_forget_later(files);
    lh_list_append(&files->rows[opened->hash % LH_OPENED_ROWS], &opened->link);
    lh_opened_hold(opened);
    files->n++;
}
