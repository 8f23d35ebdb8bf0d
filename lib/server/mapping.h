/*
 * URL prefixes and what serves them: a script, a VM factory or both, or the
 * files of a directory.  Set up
 * before start, read-only from then on.
 */
#ifndef LH_SERVER_MAPPING_H
#define LH_SERVER_MAPPING_H

#include "base/err.h"
#include "http/route.h"
#include "lua/vm.h"
#include "server/directory.h"

struct lh_mapping {
    char *prefix; /* normalised: "" for the root */
    char *name;   /* the script's path or name; NULL: a factory alone */
    bool is_file; /* `source` is read by check and start */
    void *source; /* NULL: not read yet, or none */
    size_t source_bytes;
    bool has_factory;
    lhttpd_vm_factory_t factory;
    struct lh_directory *directory; /* instead of all that; NULL: none */
};

struct lh_mappings {
    struct lh_mapping *v;
    unsigned n;
    struct lh_prefixes prefixes; /* index: into v */
    bool has_factory;            /* of those that have none of their own */
    lhttpd_vm_factory_t factory;
};

/* LHTTPD_EINVAL: a prefix that is none or is there already; LHTTPD_ENOMEM. */
int lh_mappings_add_script(struct lh_mappings *m, const char *prefix,
                           const char *path, struct lh_err *err);
int lh_mappings_add_source(struct lh_mappings *m, const char *prefix,
                           const char *name, const void *bytes, size_t n,
                           struct lh_err *err);
int lh_mappings_add_factory(struct lh_mappings *m, const char *prefix,
                            const lhttpd_vm_factory_t *factory,
                            struct lh_err *err);
int lh_mappings_add_directory(struct lh_mappings *m, const char *prefix,
                              const char *path, const lhttpd_directory_t *given,
                              struct lh_err *err);
void lh_mappings_deinit(struct lh_mappings *m);

/* Reads the script files, again if they were read before, and looks whether
 * directories are there.  LHTTPD_ESCRIPT, LHTTPD_ESYSTEM. */
int lh_mappings_read(struct lh_mappings *m, struct lh_err *err);

/* The settings are known, and no worker runs yet.  `not_found` answers for what
 * directories have not.  LHTTPD_ENOMEM. */
int lh_mappings_begin(struct lh_mappings *m,
                      const struct lh_directory_settings *settings,
                      struct lh_tallies *tallies,
                      bool (*not_found)(struct lh_exchange *ex),
                      struct lh_err *err);

/* Makes the VM of mapping number `index`, NULL for a directory.  Errors as
 * lh_vm_new(). */
int lh_mappings_vm(const struct lh_mappings *m, unsigned index,
                   struct lh_context *ctx, struct lh_list *ready,
                   struct lh_vm **vm, struct lh_err *err);

#endif
