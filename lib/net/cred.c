/*
 * Credentials: see cred.h.  Here are the files, the PEM objects in them and the
 * words for a person; keypair.c decodes and checks.
 */
#include "net/cred.h"

#include "base/mem.h"
#include "base/str.h"
#include "net/anchors.h"
#include "net/der.h"
#include "net/key.h"
#include "net/pem.h"
#include "net/staple.h"
#include "os/error.h"
#include "os/read_file.h"

#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX ((size_t)1024 * 1024)

/* One of the two inputs of a certificate. */
struct source {
    const uint8_t *p;
    size_t n;
    uint8_t *owned;  /* a file's bytes: wiped and freed */
    char what[256];  /* "certificate 'x.pem'" */
    char where[240]; /* "'x.pem'" or "memory" */
};

/* Every refusal begins with what it is about, as "certificate 'x.pem'": who
 * starts a server has several files. */
static int refuse_source(struct lh_err *err, const struct source *source,
                         const char *why)
{
    return lh_err_set(err, LHTTPD_ECERT, "%s: %s", source->what, why);
}

/* The system's words in the middle of a sentence: they begin with a small
 * letter. */
static int refuse_system(struct lh_err *err, const struct source *source,
                         int error)
{
    const char *words = lh_sys_text(error);

    return lh_err_set(err, LHTTPD_ECERT, "%s: %c%s", source->what,
                      lh_lower(words[0]), words + 1);
}

/* One read of at most the limit: no second copy of a key is left behind. */
static int file_read(struct source *source, const char *path,
                     struct lh_err *err)
{
    source->owned = lh_alloc(FILE_BYTES_MAX + 1);
    if (!source->owned)
        return lh_err_memory(err);
    source->n = FILE_BYTES_MAX + 1; /* all is wiped if it cannot be read */
    int64_t n = lh_read_path(path, source->owned, FILE_BYTES_MAX + 1);
    if (n < 0)
        return refuse_system(err, source, (int)n);
    source->n = (size_t)n;
    source->p = source->owned;
    if (source->n > FILE_BYTES_MAX)
        return refuse_source(err, source, "the file is longer than 1 MiB");
    return 0;
}

static int source_open(struct source *source, const char *kind,
                       const char *path, const void *p, size_t n,
                       struct lh_err *err)
{
    *source = (struct source){.p = p, .n = n};
    snprintf(source->where, sizeof(source->where), path ? "'%s'" : "memory",
             path);
    snprintf(source->what, sizeof(source->what), path ? "%s %s" : "%s in %s",
             kind, source->where);
    if (!path)
        return p ? 0 : refuse_source(err, source, "none was given");
    return file_read(source, path, err);
}

/* Wiped whatever it was: a certificate may stand in one file with its key. */
static void source_close(struct source *source)
{
    if (source->owned)
        explicit_bzero(source->owned, source->n);
    lh_free(source->owned);
}

/* What is wrong with one of the two, in words. */
static int refuse_fault(struct lh_err *err, const struct source *source,
                        const struct source *key, enum lh_keypair_fault fault)
{
    switch (fault) {
    case LH_KEYPAIR_OK:
        return 0;
    case LH_KEYPAIR_NO_MEMORY:
        return lh_err_memory(err);
    case LH_KEYPAIR_TOO_LONG:
        return refuse_source(err, source, "it holds more than 16 certificates");
    case LH_KEYPAIR_BAD_CERT:
        return refuse_source(err, source, "the certificate is damaged");
    case LH_KEYPAIR_CERT_KIND:
        return lh_err_set(err, LHTTPD_ECERT, "%s: its key must be %s",
                          source->what, lh_key_kinds);
    case LH_KEYPAIR_WEAK:
        return refuse_source(err, source,
                             "its RSA key has less than 2048 bits");
    case LH_KEYPAIR_BAD_KEY:
        return lh_err_set(err, LHTTPD_ECERT, "%s: it is damaged, or is not %s",
                          key->what, lh_key_kinds);
    case LH_KEYPAIR_OTHER_KEY:
        return lh_err_set(err, LHTTPD_ECERT, "%s: the key in %s does not match",
                          source->what, key->where);
    case LH_KEYPAIR_WRONG_ORDER:
        return lh_err_set(err, LHTTPD_ECERT,
                          "%s: the key in %s belongs to a further "
                          "certificate; put that one first",
                          source->what, key->where);
    }
    return 0;
}

struct reading {
    struct lh_keypair *pair;
    enum lh_keypair_fault fault;
    unsigned found, encrypted;
    struct lh_err *err;
};

/* Labels are compared as they are; RFC 7468 knows no other case. */
static bool is_one_of(const char *label, const char *const *list)
{
    while (*list && strcmp(label, *list) != 0)
        list++;
    return *list != NULL;
}

static const char *const certificates[] = {"CERTIFICATE", "X509 CERTIFICATE",
                                           "TRUSTED CERTIFICATE", NULL};
static const char *const keys[] = {"PRIVATE KEY", "RSA PRIVATE KEY",
                                   "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY",
                                   NULL};

/* What often stands beside them and is needed for neither. */
static const char *const others[] = {
    "EC PARAMETERS",       "DH PARAMETERS",           "X9.42 DH PARAMETERS",
    "PUBLIC KEY",          "RSA PUBLIC KEY",          "X509 CRL",
    "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", NULL};

/* Anything else may hold what its owner believes to be served. */
static int refuse_object(const struct reading *r,
                         const struct lh_pem_object *object)
{
    return lh_err_set(r->err, LHTTPD_ECERT,
                      "line %u: a %s cannot be read; leave it out, or convert "
                      "it with openssl to a CERTIFICATE or a PRIVATE KEY",
                      object->line, object->label);
}

/* Called for each object of the file.  A key beside the certificates is
 * passed over: many keep both in one file. */
static int take_certificate(void *context, const struct lh_pem_object *object)
{
    struct reading *r = context;
    bool trusted = strcmp(object->label, "TRUSTED CERTIFICATE") == 0;

    if (is_one_of(object->label, keys) || is_one_of(object->label, others))
        return 0;
    if (!is_one_of(object->label, certificates))
        return refuse_object(r, object);
    r->found++;
    r->fault = lh_keypair_add(r->pair, object->der, object->n, trusted);
    return r->fault ? LHTTPD_ECERT : 0;
}

/* Called for each object of the file.  Certificates, parameters and the like
 * are passed over; further keys are only counted, and refused by keys_check().
 */
static int take_key(void *context, const struct lh_pem_object *object)
{
    struct reading *r = context;
    bool encrypted = object->encrypted ||
                     strcmp(object->label, "ENCRYPTED PRIVATE KEY") == 0;

    if (is_one_of(object->label, certificates) ||
        is_one_of(object->label, others))
        return 0;
    if (!is_one_of(object->label, keys))
        return refuse_object(r, object);
    r->encrypted += encrypted;
    if (r->found++ || encrypted)
        return 0;
    r->fault = lh_keypair_set_key(r->pair, object->der, object->n);
    return r->fault ? LHTTPD_ECERT : 0;
}

/* PFX (RFC 7292, 4): a SEQUENCE that begins with the number 3, which neither a
 * certificate nor a key does. */
static bool is_pkcs12(const struct source *source)
{
    const uint8_t *p = source->p;
    size_t head = 2;

    if (source->n > 2 && p[1] & 0x80)
        head += p[1] & 0x7F;
    return source->n >= head + 3 && p[0] == 0x30 &&
           memcmp(p + head, "\2\1\3", 3) == 0;
}

/* PEM, or DER, which begins with a SEQUENCE. */
static int read_with(const struct source *source, lh_pem_fn take,
                     const char *der_label, void *context, struct lh_err *err)
{
    struct lh_pem_object der = {.der = source->p, .n = source->n};

    if (is_pkcs12(source))
        return lh_err_set(err, LHTTPD_ECERT,
                          "it is PKCS #12; convert it to PEM (openssl pkcs12 "
                          "-in FILE -nodes -out NEW)");
    if (source->n == 0 || source->p[0] != 0x30 ||
        lh_pem_begins(source->p, source->n))
        return lh_pem_each(source->p, source->n, take, context, err);
    snprintf(der.label, sizeof(der.label), "%s", der_label);
    return take(context, &der);
}

/* The chain may be PEM with several certificates, or one in DER. */
static int chain_read(struct lh_keypair *pair, const struct source *chain,
                      struct lh_err *err)
{
    struct reading r = {.pair = pair, .err = err};
    int code = read_with(chain, take_certificate, "CERTIFICATE", &r, err);

    if (code == LHTTPD_ENOMEM)
        return lh_err_memory(err);
    if (r.fault)
        return refuse_fault(err, chain, NULL, r.fault);
    if (code)
        lh_err_prefix(err, chain->what);
    else if (!r.found)
        code = refuse_source(err, chain, "it holds no certificate");
    return code;
}

/* Which of several is the certificate's would be a guess. */
static int keys_check(const struct reading *r, const struct source *key,
                      struct lh_err *err)
{
    if (r->found > 1)
        return refuse_source(
            err, key,
            "it holds several private keys; leave the certificate's "
            "only");
    if (r->encrypted)
        return refuse_source(
            err, key,
            "it is encrypted; store it without a passphrase (openssl "
            "pkey -in KEY -out NEW)");
    return r->found ? 0 : refuse_source(err, key, "it holds no private key");
}

/* The key may be PEM, or one object in DER. */
static int key_read(struct lh_keypair *pair, const struct source *key,
                    struct lh_err *err)
{
    struct reading r = {.pair = pair, .err = err};
    int code = read_with(key, take_key, "PRIVATE KEY", &r, err);

    if (code == LHTTPD_ENOMEM)
        return lh_err_memory(err);
    if (r.fault)
        return refuse_fault(err, NULL, key, r.fault);
    if (code)
        lh_err_prefix(err, key->what);
    else
        code = keys_check(&r, key, err);
    return code;
}

struct each {
    lh_cred_take take;
    void *context;
    unsigned found;
    struct lh_err *err;
};

/* Without what it is trusted for, which stands behind it in OpenSSL's form.
 * What is no certificate at all is found by who takes it. */
static size_t certificate_bytes(const struct lh_pem_object *object)
{
    struct lh_der rest = {object->der, object->n}, content;

    return lh_der_expect(&rest, LH_DER_SEQUENCE, &content) ? object->n - rest.n
                                                           : object->n;
}

/* As take_certificate(), for who keeps no pairs. */
static int take_each(void *context, const struct lh_pem_object *object)
{
    struct each *each = context;
    struct reading r = {.err = each->err};

    if (is_one_of(object->label, keys) || is_one_of(object->label, others))
        return 0;
    if (!is_one_of(object->label, certificates))
        return refuse_object(&r, object);
    each->found++;
    int code =
        each->take(each->context, object->der, certificate_bytes(object));
    if (code == LHTTPD_ECERT)
        lh_err_set(each->err, code,
                   "the %u. certificate is damaged, or its key is not %s",
                   each->found, lh_anchors_kinds);
    return code;
}

int lh_cred_each(const struct lh_cred_from *from, lh_cred_take take,
                 void *context, struct lh_err *err)
{
    struct each each = {.take = take, .context = context, .err = err};
    struct source source;
    int code =
        source_open(&source, from->kind, from->file, from->p, from->n, err);

    if (!code) {
        code = read_with(&source, take_each, "CERTIFICATE", &each, err);
        if (code == LHTTPD_ENOMEM)
            lh_err_memory(err);
        else if (code)
            lh_err_prefix(err, source.what);
        else if (!each.found)
            code = refuse_source(err, &source, "it holds no certificate");
    }
    source_close(&source);
    return code;
}

void lh_cred_log_unreadable(const struct lh_log *log, lhttpd_log_level_t level,
                            const char *words, const char *which, int error)
{
    lh_log(log, level, NULL,
           "%s %s: %s; to renew it, restart, or let the user that the server "
           "has become read this path (inside of the root directory that it "
           "has entered)",
           which, words, lh_sys_text(error));
}

int lh_cred_read(struct lh_keypair *pair, const lhttpd_certificate_t *from,
                 struct lh_err *err)
{
    struct source chain, key = {0};
    int code = source_open(&chain, "certificate", from->chain_file, from->chain,
                           from->chain_size, err);

    if (!code)
        code = chain_read(pair, &chain, err);
    if (!code)
        code = source_open(&key, "key", from->key_file, from->key,
                           from->key_size, err);
    if (!code)
        code = key_read(pair, &key, err);
    if (!code)
        code = refuse_fault(err, &chain, &key, lh_keypair_check(pair));
    if (!code && from->chain_file)
        code = lh_staple_read(pair, from->chain_file, err);
    source_close(&key);
    source_close(&chain);
    return code;
}
