/*
 * Which file answers a request: see serving.h.
 *
 * A path that ends with a slash is a directory, whose index is looked for at
 * once; one without a slash that leads to a directory is redirected, so that
 * relative links of its page work.  A compressed file counts if it is not older
 * than the one that it was made of.
 */
#include "files/serving.h"

#include "http/redirect.h"
#include "os/error.h"

/* What is added ends where the path did with the next addition. */
static const char *path_with(struct lh_serving *s, const char *addition)
{
    memcpy(s->path + s->path_n, addition, strlen(addition) + 1);
    return s->path_n || *addition ? s->path : ".";
}

/* The path of the directory itself is empty. */
static bool is_folder_path(const struct lh_serving *s)
{
    return s->path_n == 0 || s->path[s->path_n - 1] == '/';
}

/* Where to go on once there is a directory to look in. */
static enum lh_serving_state first_look(const struct lh_serving *s)
{
    return is_folder_path(s) && s->options->index ? LH_SERVING_INDEX
                                                  : LH_SERVING_PATH;
}

void lh_find_begin(struct lh_serving *s)
{
    s->state = s->options->directory ? LH_SERVING_ROOT : first_look(s);
}

static void not_found(struct lh_serving *s)
{
    const struct lh_files_options *options = s->options;

    if (options->not_found && options->not_found(s->ex)) {
        s->ex = NULL; /* it is another's now */
        s->state = LH_SERVING_ENDED;
    } else {
        lh_serving_fail(s, 404);
    }
}

/* Which compressed ones the client would like. */
static void begin_variants(struct lh_serving *s)
{
    struct lh_coding_wishes wishes;

    s->coding = LH_CODING_IDENTITY;
    s->state = LH_SERVING_VARIANT;
    if (!s->options->compressed)
        return;
    lh_coding_read(&wishes, &s->ex->request.fields);
    s->order_n = lh_coding_order(&wishes, s->order);
}

/* A directory that has no page, if it is one. */
static void no_index(struct lh_serving *s)
{
    if (s->options->listing)
        s->state = LH_SERVING_FOLDER;
    else
        not_found(s);
}

/* A directory, whose path has no slash yet. */
static void found_folder(struct lh_serving *s)
{
    struct lh_str path = s->ex->request.path;

    if (!is_folder_path(s) && path.n && path.p[path.n - 1] != '/') {
        lh_redirect_to_slash(s->ex);
        s->state = LH_SERVING_ENDED;
        return;
    }
    if (!is_folder_path(s))
        s->path[s->path_n++] = '/';
    if (s->options->index)
        s->state = LH_SERVING_INDEX;
    else
        no_index(s);
}

/* What was opened, as the path or the index. */
static void look_at(struct lh_serving *s, struct lh_opened *opened,
                    bool is_index)
{
    enum lh_found_kind kind = opened->found.kind;

    if (kind == LH_FOUND_FILE) {
        s->file = opened;
        if (is_index)
            s->path_n += strlen(s->path + s->path_n);
        begin_variants(s);
        return;
    }
    lh_opened_drop(opened);
    if (kind != LH_FOUND_DIRECTORY)
        lh_serving_fail(s, 403);
    else if (is_index)
        no_index(s);
    else
        found_folder(s);
}

static bool is_older(const struct lh_found *a, const struct lh_found *b)
{
    return a->modified_s < b->modified_s ||
           (a->modified_s == b->modified_s && a->modified_ns < b->modified_ns);
}

/* One that cannot be opened is as good as none. */
static void find_variant(struct lh_serving *s, struct lh_opened *opened)
{
    s->order_at++;
    if (!opened)
        return;
    if (opened->fd < 0 || opened->found.kind != LH_FOUND_FILE ||
        is_older(&opened->found, &s->file->found)) {
        lh_opened_drop(opened);
        return;
    }
    lh_opened_drop(s->file);
    s->file = opened;
    s->coding = s->order[s->order_at - 1];
    s->order_at = s->order_n;
}

/* What the state looks for; beneath the root, once there is one. */
static const char *next_name(struct lh_serving *s)
{
    switch (s->state) {
    case LH_SERVING_ROOT:
        return s->options->directory;
    case LH_SERVING_INDEX:
        return path_with(s, s->options->index);
    case LH_SERVING_VARIANT:
        return path_with(s, lh_coding_suffix(s->order[s->order_at]).p);
    default:
        return path_with(s, "");
    }
}

static bool is_absent(int error)
{
    return error == LH_SYS_ENOENT || error == LH_SYS_ENOTDIR ||
           error == LH_SYS_ENAMETOOLONG;
}

/* Files are kept for the next request, and the directory, and that there is no
 * variant; but no folder, which can be listed by whoever asks next. */
static bool is_worth_keeping(const struct lh_serving *s,
                             const struct lh_opened *opened)
{
    return s->state == LH_SERVING_ROOT || opened->fd < 0 ||
           opened->found.kind == LH_FOUND_FILE;
}

/* 0, a negative error, or LH_SERVING_WAITS.  A result that is there is taken
 * first: it is that of the operation for the same name. */
static int open_next(struct lh_serving *s, struct lh_opened **opened)
{
    struct lh_open_files *files =
        s->options->remote ? NULL : s->ex->ctx->open_files;
    bool is_root = s->state == LH_SERVING_ROOT;
    bool or_absent = s->state == LH_SERVING_VARIANT;
    enum lh_beneath_what what =
        is_root ? LH_BENEATH_DIRECTORY : LH_BENEATH_READ;
    const char *name = next_name(s);

    if (!s->has_result &&
        (*opened = lh_open_files_find(files, s->root, what, name, or_absent)))
        return 0;
    int fd = lh_fetch_open(s, name, what);
    if (fd < 0 && !(or_absent && is_absent(fd)))
        return fd;
    int error = lh_opened_new(opened, s->root, what, name, fd < 0 ? -1 : fd);
    if (error == 0 && is_worth_keeping(s, *opened))
        lh_open_files_keep(files, *opened);
    return error;
}

/* That a file may not be read is told; that there is none may be another's to
 * answer.  A directory that is not there at all is an error of the server. */
static void not_opened(struct lh_serving *s, int error)
{
    if (s->state == LH_SERVING_VARIANT)
        find_variant(s, NULL);
    else if (s->state == LH_SERVING_ROOT || !is_absent(error))
        lh_serving_error(s, error);
    else if (s->state == LH_SERVING_INDEX)
        no_index(s);
    else
        not_found(s);
}

static void open_folder(struct lh_serving *s, struct lh_opened *opened)
{
    s->file = opened;
    s->state = LH_SERVING_LIST;
    if (opened->found.kind != LH_FOUND_DIRECTORY)
        not_found(s);
}

/* Takes over the share. */
static void found(struct lh_serving *s, struct lh_opened *opened)
{
    switch (s->state) {
    case LH_SERVING_ROOT:
        s->root = opened;
        s->state = first_look(s);
        break;
    case LH_SERVING_VARIANT:
        find_variant(s, opened);
        break;
    case LH_SERVING_FOLDER:
        open_folder(s, opened);
        break;
    default:
        look_at(s, opened, s->state == LH_SERVING_INDEX);
    }
}

bool lh_find_step(struct lh_serving *s)
{
    struct lh_opened *opened;

    if (s->state == LH_SERVING_VARIANT && s->order_at == s->order_n) {
        s->path[s->path_n] = '\0';
        lh_answer_begin(s);
        return true;
    }
    int error = open_next(s, &opened);
    if (error == LH_SERVING_WAITS)
        return false;
    if (error)
        not_opened(s, error);
    else
        found(s, opened);
    return true;
}
