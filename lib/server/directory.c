/* Directories of files: see directory.h. */
#include "server/directory.h"

#include "base/num.h"
#include "os/beneath.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/read_file.h"

#define MIME_TYPES_BYTES_MAX ((size_t)4 << 20)

static int check_cache_control(const char *value, struct lh_err *err)
{
    if (!value || lh_field_value_valid(lh_str_of(value)))
        return 0;
    return lh_err_set(err, LHTTPD_EINVAL,
                      "cache_control: not the value of a header field");
}

/* It is a name in the directory that was asked for. */
static int check_index(const char *index, struct lh_err *err)
{
    if (!index || !strchr(index, '/'))
        return 0;
    return lh_err_set(err, LHTTPD_EINVAL,
                      "index '%.100s': a file's name, without a slash", index);
}

static bool copy_string(char **to, const char *from)
{
    if (!from)
        return true;
    *to = lh_strdup(from);
    return *to != NULL;
}

int lh_directory_new(struct lh_directory **out, const char *path,
                     const lhttpd_directory_t *given, struct lh_err *err)
{
    int r = check_cache_control(given->cache_control, err);

    if (r == 0)
        r = check_index(given->index, err);
    if (r < 0)
        return r;
    struct lh_directory *d = lh_calloc(1, sizeof(*d));
    if (!d || !copy_string(&d->path, path) ||
        !copy_string(&d->index, given->index) ||
        !copy_string(&d->cache_control, given->cache_control)) {
        lh_directory_free(d);
        return lh_err_memory(err);
    }
    d->uncompressed = given->uncompressed != 0;
    d->listing = given->listing;
    *out = d;
    return 0;
}

void lh_directory_free(struct lh_directory *d)
{
    if (!d)
        return;
    lh_free(d->path);
    lh_free(d->index);
    lh_free(d->cache_control);
    lh_free(d);
}

int lh_directory_check(const struct lh_directory *d, struct lh_err *err)
{
    int fd = lh_beneath_open(LH_BENEATH_NOTHING, d->path, LH_BENEATH_DIRECTORY);

    if (fd < 0)
        return lh_err_set(err, LHTTPD_ESYSTEM, "directory '%s': %s", d->path,
                          lh_sys_text(fd));
    lh_fd_close(fd);
    return 0;
}

int lh_directory_begin(struct lh_directory *d,
                       const struct lh_directory_settings *settings,
                       struct lh_tallies *tallies, const char *prefix,
                       bool (*not_found)(struct lh_exchange *ex))
{
    const char *index = d->index ? d->index : "index.html";

    d->options = (struct lh_files_options){
        .directory = d->path,
        .remote = lh_beneath_is_remote(d->path),
        .index = *index ? index : NULL,
        .listing = d->listing ? d->listing > 0 : settings->listing,
        .compressed = !d->uncompressed,
        .media = &settings->media,
        .cache_control = lh_str_of(d->cache_control ? d->cache_control
                                                    : settings->cache_control),
    };
    d->options.not_found = not_found;
    d->tally = lh_tally_hold(tallies, prefix, d->path, "/*");
    return d->tally ? 0 : LHTTPD_ENOMEM;
}

/* --- settings ------------------------------------------------------------- */

int lh_directory_set_cache_control(struct lh_directory_settings *settings,
                                   const char *value, struct lh_err *err)
{
    char *copy = NULL;

    if (!lh_field_value_valid(lh_str_of(value)))
        return lh_err_set(err, LHTTPD_EINVAL,
                          "not the value of a header field");
    if (*value && !(copy = lh_strdup(value)))
        return lh_err_memory(err);
    lh_free(settings->cache_control);
    settings->cache_control = copy;
    return 0;
}

/* Of another form, as nginx has one, a part would be taken, and that without a
 * word. */
static int check_types(const struct lh_media *media, const char *path,
                       struct lh_err *err)
{
    for (size_t i = 0; i < media->n; i++) {
        struct lh_str type = media->v[i].type, end = media->v[i].extension;
        if (!memchr(type.p, ';', type.n) && !memchr(end.p, ';', end.n))
            continue;
        return lh_err_set(err, LHTTPD_ESYSTEM,
                          "'%s': '%.*s %.*s': it is not of the form of "
                          "/etc/mime.types, which has no ';'",
                          path, (int)lh_min(type.n, 60), type.p,
                          (int)lh_min(end.n, 60), end.p);
    }
    if (media->n)
        return 0;
    return lh_err_set(err, LHTTPD_ESYSTEM,
                      "'%s': it has no line with a type and the ends of "
                      "names, as /etc/mime.types has",
                      path);
}

/* Read at once, for what confine takes away may be needed to. */
int lh_directory_set_mime_types(struct lh_directory_settings *settings,
                                const char *path, struct lh_err *err)
{
    struct lh_media media;
    void *text;
    size_t n;
    int r = lh_read_file(path, MIME_TYPES_BYTES_MAX, &text, &n, err);

    if (r < 0)
        return r;
    if (lh_media_init(&media, text, n) < 0)
        return lh_err_memory(err);
    r = check_types(&media, path, err);
    if (r < 0) {
        lh_media_deinit(&media);
        return r;
    }
    lh_media_deinit(&settings->media);
    settings->media = media;
    return 0;
}

void lh_directory_settings_deinit(struct lh_directory_settings *settings)
{
    lh_free(settings->cache_control);
    lh_media_deinit(&settings->media);
}
