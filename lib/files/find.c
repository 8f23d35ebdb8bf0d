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
#include "os/fd.h"

/* What is added ends where the path did with the next addition. */
static const char *path_with(struct lh_serving *s, const char *addition)
{
    memcpy(s->path + s->path_n, addition, strlen(addition) + 1);
    return s->path_n || *addition ? s->path : ".";
}

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

static void find_root(struct lh_serving *s, int fd)
{
    if (fd < 0) {
        lh_serving_error(s, fd);
        return;
    }
    s->open.root = fd;
    s->state = first_look(s);
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
        not_found(s);
}

/* What was opened, as the path or the index. */
static void look_at(struct lh_serving *s, int fd, bool is_index)
{
    int error = lh_beneath_stat(fd, &s->found);

    if (error == 0 && s->found.kind == LH_FOUND_FILE) {
        s->open.fd = fd;
        if (is_index)
            s->path_n += strlen(s->path + s->path_n);
        begin_variants(s);
        return;
    }
    lh_fd_close(fd);
    if (error)
        lh_serving_error(s, error);
    else if (s->found.kind != LH_FOUND_DIRECTORY)
        lh_serving_fail(s, 403);
    else if (is_index)
        not_found(s);
    else
        found_folder(s);
}

static bool is_absent(int error)
{
    return error == LH_SYS_ENOENT || error == LH_SYS_ENOTDIR ||
           error == LH_SYS_ENAMETOOLONG;
}

static void find_path(struct lh_serving *s, int fd, bool is_index)
{
    if (fd >= 0)
        look_at(s, fd, is_index);
    else if (!is_absent(fd))
        lh_serving_error(s, fd);
    else
        not_found(s);
}

/* One that cannot be opened is as good as none. */
static void find_variant(struct lh_serving *s, int fd)
{
    struct lh_found found;

    if (fd < 0)
        return;
    if (lh_beneath_stat(fd, &found) || found.kind != LH_FOUND_FILE ||
        found.modified_s < s->found.modified_s ||
        (found.modified_s == s->found.modified_s &&
         found.modified_ns < s->found.modified_ns)) {
        lh_fd_close(fd);
        return;
    }
    lh_fd_close(s->open.fd);
    s->open.fd = fd;
    s->found = found;
    s->coding = s->order[s->order_at - 1];
    s->order_at = s->order_n;
}

/* What is to be opened in this state. */
static int open_next(struct lh_serving *s)
{
    int root = s->open.root;

    switch (s->state) {
    case LH_SERVING_ROOT:
        return lh_fetch_open(s, LH_BENEATH_NOTHING, s->options->directory,
                             LH_BENEATH_DIRECTORY);
    case LH_SERVING_INDEX:
        return lh_fetch_open(s, root, path_with(s, s->options->index),
                             LH_BENEATH_READ);
    case LH_SERVING_VARIANT:
        return lh_fetch_open(
            s, root, path_with(s, lh_coding_suffix(s->order[s->order_at]).p),
            LH_BENEATH_READ);
    default:
        return lh_fetch_open(s, root, path_with(s, ""), LH_BENEATH_READ);
    }
}

bool lh_find_step(struct lh_serving *s)
{
    if (s->state == LH_SERVING_VARIANT && s->order_at == s->order_n) {
        s->path[s->path_n] = '\0';
        lh_answer_begin(s);
        return true;
    }
    int fd = open_next(s);
    if (fd == LH_SERVING_WAITS)
        return false;
    switch (s->state) {
    case LH_SERVING_ROOT:
        find_root(s, fd);
        break;
    case LH_SERVING_VARIANT:
        s->order_at++;
        find_variant(s, fd);
        break;
    default:
        find_path(s, fd, s->state == LH_SERVING_INDEX);
    }
    return true;
}
