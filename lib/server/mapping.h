/*
 * URL prefixes and what serves them: a script, a VM factory or both.  Set up
 * before start, read-only from then on.
 */
#ifndef LH_SERVER_MAPPING_H
#define LH_SERVER_MAPPING_H

#include "base/err.h"
#include "http/route.h"
#include "lua/vm.h"

struct lh_mapping {
    char *prefix; /* normalised: "" for the root */
    char *name;   /* the script's path or name; NULL: a factory alone */
    bool is_file; /* `source` is read by check and start */
    void *source; /* NULL: not read yet, or none */
    size_t source_bytes;
    bool has_factory;
    lhttpd_vm_factory_t factory;
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
void lh_mappings_deinit(struct lh_mappings *m);

/* Reads the script files, again if they were read before.  LHTTPD_ESCRIPT. */
int lh_mappings_read(struct lh_mappings *m, struct lh_err *err);

/* Makes the VM of mapping number `index`.  Errors as lh_vm_new(). */
int lh_mappings_vm(const struct lh_mappings *m, unsigned index,
                   struct lh_context *ctx, struct lh_list *ready,
                   struct lh_vm **vm, struct lh_err *err);

#endif
