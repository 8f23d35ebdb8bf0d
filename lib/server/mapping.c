/*
 * URL prefixes and what serves them: see mapping.h.
 *
 * What always holds: `v` has one mapping a prefix, in the order in which they
 * were added, and its number there is the index that the sorted `prefixes`
 * give. All text here is a copy of what the program gave.
 */
#include "server/mapping.h"

#include "os/read_file.h"

/* More than any script needs; a wrong path may lead to a file without an end.
 */
#define SCRIPT_BYTES_MAX ((size_t)64 << 20)

/* By its normalised prefix; NULL: there is none. */
static struct lh_mapping *find_mapping(const struct lh_mappings *m,
                                       const char *prefix)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (strcmp(m->v[i].prefix, prefix) == 0)
            return &m->v[i];
    }
    return NULL;
}

/* Appends a mapping; takes over `prefix` when it succeeds. */
static int append(struct lh_mappings *m, char *prefix,
                  struct lh_mapping **added)
{
    struct lh_mapping *v = lh_realloc(m->v, (m->n + 1) * sizeof(*v));

    if (!v)
        return LHTTPD_ENOMEM;
    m->v = v;
    int r = lh_prefixes_add(&m->prefixes, prefix, m->n);
    if (r < 0)
        return r;
    *added = &v[m->n++];
    **added = (struct lh_mapping){.prefix = prefix};
    return 0;
}

/* The mapping of a prefix as given, made if it is not there. */
static int open_mapping(struct lh_mappings *m, const char *given,
                        struct lh_mapping **found, struct lh_err *err)
{
    char *prefix;
    int r = lh_prefix_normalise(given, &prefix);

    if (r == LHTTPD_EINVAL)
        return lh_err_set(err, r,
                          "prefix '%s': not a path; it may not contain '?', "
                          "'#', '.', '..' or empty segments",
                          given);
    if (r < 0)
        return lh_err_memory(err);
    *found = find_mapping(m, prefix);
    if (*found) {
        lh_free(prefix);
        return 0;
    }
    r = append(m, prefix, found);
    if (r < 0) {
        lh_free(prefix);
        return lh_err_memory(err);
    }
    return 0;
}

static int is_directory_already(const char *prefix,
                                const struct lh_mapping *mapping,
                                struct lh_err *err)
{
    return lh_err_set(err, LHTTPD_EINVAL,
                      "prefix '%s': it has a directory already, '%s'", prefix,
                      mapping->directory->path);
}

static int is_script_already(const char *prefix,
                             const struct lh_mapping *mapping,
                             struct lh_err *err)
{
    if (!mapping->name)
        return lh_err_set(err, LHTTPD_EINVAL,
                          "prefix '%s': it has a VM factory already", prefix);
    return lh_err_set(err, LHTTPD_EINVAL,
                      "prefix '%s': it has a script already, '%s'", prefix,
                      mapping->name);
}

/* A prefix may have a script and a factory, in any order of the calls, but one
 * script only: which of two should answer nobody could tell. */
static int set_script(struct lh_mappings *m, const char *prefix,
                      const char *name, struct lh_mapping **set,
                      struct lh_err *err)
{
    int r = open_mapping(m, prefix, set, err);

    if (r < 0)
        return r;
    if ((*set)->name)
        return is_script_already(prefix, *set, err);
    if ((*set)->directory)
        return is_directory_already(prefix, *set, err);
    (*set)->name = lh_strdup(name);
    return (*set)->name ? 0 : lh_err_memory(err);
}

int lh_mappings_add_script(struct lh_mappings *m, const char *prefix,
                           const char *path, struct lh_err *err)
{
    struct lh_mapping *mapping;
    int r = set_script(m, prefix, path, &mapping, err);

    if (r == 0)
        mapping->is_file = true;
    return r;
}

/* The copy is made first, so that a failure leaves no mapping without source.
 * No bytes at all are a script too, one that registers nothing. */
int lh_mappings_add_source(struct lh_mappings *m, const char *prefix,
                           const char *name, const void *bytes, size_t n,
                           struct lh_err *err)
{
    struct lh_mapping *mapping;
    void *source = lh_memdup(n ? bytes : "", n ? n : 1);

    if (!source)
        return lh_err_memory(err);
    int r = set_script(m, prefix, name, &mapping, err);
    if (r < 0) {
        lh_free(source);
        return r;
    }
    mapping->source = source;
    mapping->source_bytes = n;
    return 0;
}

/* Without a prefix it is the factory of all mappings that have none of their
 * own.  A second call replaces what the first one set. */
int lh_mappings_add_factory(struct lh_mappings *m, const char *prefix,
                            const lhttpd_vm_factory_t *factory,
                            struct lh_err *err)
{
    struct lh_mapping *mapping;

    if (!prefix) {
        m->factory = *factory;
        m->has_factory = true;
        return 0;
    }
    int r = open_mapping(m, prefix, &mapping, err);
    if (r < 0)
        return r;
    if (mapping->directory)
        return is_directory_already(prefix, mapping, err);
    mapping->factory = *factory;
    mapping->has_factory = true;
    return 0;
}

/* A prefix is a directory or a script's: who wants both gives the files a
 * prefix below, or serves them by the script. */
int lh_mappings_add_directory(struct lh_mappings *m, const char *prefix,
                              const char *path, const lhttpd_directory_t *given,
                              struct lh_err *err)
{
    struct lh_directory *directory;
    struct lh_mapping *mapping;
    int r = lh_directory_new(&directory, path, given, err);

    if (r < 0)
        return r;
    r = open_mapping(m, prefix, &mapping, err);
    if (r == 0 && mapping->directory)
        r = is_directory_already(prefix, mapping, err);
    else if (r == 0 && (mapping->name || mapping->has_factory))
        r = is_script_already(prefix, mapping, err);
    if (r == 0)
        mapping->directory = directory;
    else
        lh_directory_free(directory);
    return r;
}

void lh_mappings_deinit(struct lh_mappings *m)
{
    for (unsigned i = 0; i < m->n; i++) {
        lh_free(m->v[i].prefix);
        lh_free(m->v[i].name);
        lh_free(m->v[i].source);
        lh_directory_free(m->v[i].directory);
    }
    lh_free(m->v);
    lh_prefixes_deinit(&m->prefixes);
    *m = (struct lh_mappings){0};
}

static int read_script(struct lh_mapping *mapping, struct lh_err *err)
{
    lh_free(mapping->source);
    mapping->source = NULL;
    int r = lh_read_file(mapping->name, SCRIPT_BYTES_MAX, &mapping->source,
                         &mapping->source_bytes, err);
    if (r == 0)
        return 0;
    lh_err_prefix(err, "script");
    return r == LHTTPD_ENOMEM ? r : LHTTPD_ESCRIPT;
}

/* Each worker compiles the octets that are read here and reads no file itself,
 * so that all of them run the same script. */
int lh_mappings_read(struct lh_mappings *m, struct lh_err *err)
{
    int r = 0;

    for (unsigned i = 0; i < m->n && r == 0; i++) {
        if (m->v[i].is_file)
            r = read_script(&m->v[i], err);
        else if (m->v[i].directory)
            r = lh_directory_check(m->v[i].directory, err);
    }
    return r;
}

int lh_mappings_begin(struct lh_mappings *m,
                      const struct lh_directory_settings *settings,
                      struct lh_tallies *tallies,
                      bool (*not_found)(struct lh_exchange *ex),
                      struct lh_err *err)
{
    for (unsigned i = 0; i < m->n; i++) {
        struct lh_mapping *mapping = &m->v[i];
        if (mapping->directory &&
            lh_directory_begin(mapping->directory, settings, tallies,
                               *mapping->prefix ? mapping->prefix : "/",
                               not_found) < 0)
            return lh_err_memory(err);
    }
    return 0;
}

int lh_mappings_vm(const struct lh_mappings *m, unsigned index,
                   struct lh_context *ctx, struct lh_list *ready,
                   struct lh_vm **vm, struct lh_err *err)
{
    const struct lh_mapping *mapping = &m->v[index];
    struct lh_vm_config config = {
        .ctx = ctx,
        .ready = ready,
        .prefix = mapping->prefix,
        .name = mapping->name,
        .source = mapping->source,
        .source_bytes = mapping->source_bytes,
    };

    *vm = NULL;
    if (mapping->directory)
        return 0;
    if (mapping->has_factory)
        config.factory = &mapping->factory;
    else if (m->has_factory)
        config.factory = &m->factory;
    return lh_vm_new(vm, &config, err);
}
