/*
 * The session cache: see session.h.  A table of fixed size, four entries to a
 * session id's place.  Each entry is a seqlock: `sequence` is odd while a
 * worker writes it.  Nobody waits: a writer that finds it odd gives up, and a
 * reader that finds it odd or changed has found nothing.  All words are atomic;
 * the release stores and acquire loads of the data keep them between the two
 * looks at `sequence`, so no fence is needed.
 */
#include "net/session.h"

#include "base/mem.h"
#include "base/str.h"
#include "os/clock.h"

#include <stdatomic.h>
#include <string.h>

#define ENTRIES 4096
#define WAYS    4

#define ID_BYTES 32

/* An entry's content, as it is copied in and out. */
struct content {
    uint8_t id[ID_BYTES];
    uint8_t master_secret[48];
    struct lh_session_name name;
    uint64_t made_ms;
    uint16_t version, suite;
    uint8_t used, unused[3];
    /* Only where clients have certificates: what is known of this one's. */
    struct {
        uint8_t verify, fault, unused[6];
        uint8_t fingerprint[br_sha256_SIZE];
        char subject[LH_SESSION_SUBJECT_BYTES];
    } client;
};

/* An entry is moved word by word, since one atomic operation cannot move
 * more. */
#define WORDS         (sizeof(struct content) / sizeof(uint64_t))
#define WORDS_NO_CERT (offsetof(struct content, client) / sizeof(uint64_t))

_Static_assert(sizeof(struct content) % sizeof(uint64_t) == 0 &&
                   offsetof(struct content, client) % sizeof(uint64_t) == 0,
               "an entry is copied in whole words");

/* An entry of the table: a seqlock and what it guards.  `sequence` counts up
 * by two with each session that is written; 0 says that there was none yet. */
struct entry {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[];
};

struct lh_sessions {
    size_t words; /* of each entry */
    _Atomic uint64_t entries[];
};

static struct entry *entry_at(struct lh_sessions *sessions, size_t i)
{
    return (struct entry *)(sessions->entries + i * (1 + sessions->words));
}

/* Names are hashed, so that entries have one size and nobody learns from
 * memory which hosts were asked for. */
struct lh_session_name lh_session_name(const char *server_name,
                                       const struct lh_client_ca *ca)
{
    struct lh_session_name name;
    br_sha256_context hash;

    br_sha256_init(&hash);
    for (const char *s = server_name; *s; s++) {
        char c = lh_lower(*s);
        br_sha256_update(&hash, &c, 1);
    }
    if (ca) {
        br_sha256_update(&hash, ca->optional ? "\0o" : "\0r", 2);
        br_sha256_update(&hash, ca->digest, sizeof(ca->digest));
    }
    br_sha256_out(&hash, name.hash);
    return name;
}

static size_t table_bytes(size_t words)
{
    return sizeof(struct lh_sessions) +
           ENTRIES * (1 + words) * sizeof(uint64_t);
}

struct lh_sessions *lh_sessions_new(bool clients)
{
    size_t words = clients ? WORDS : WORDS_NO_CERT;
    struct lh_sessions *sessions = lh_alloc(table_bytes(words));

    if (!sessions)
        return NULL;
    sessions->words = words;
    for (size_t i = 0; i < ENTRIES * (1 + words); i++)
        atomic_init(&sessions->entries[i], 0);
    return sessions;
}

/* The master secrets of the last hour are in it. */
void lh_sessions_free(struct lh_sessions *sessions)
{
    if (!sessions)
        return;
    explicit_bzero(sessions, table_bytes(sessions->words));
    lh_free(sessions);
}

/* The first entry of an id's place, by its number.  Ids that are saved are
 * random. */
static size_t place_of(const uint8_t *id)
{
    size_t place = (size_t)id[0] | (size_t)id[1] << 8;

    return place % (ENTRIES / WAYS) * WAYS;
}

/* A copy of the entry, or false: it is empty or was written meanwhile. */
static bool entry_read(struct entry *entry, size_t n, struct content *content)
{
    uint64_t words[WORDS];
    uint64_t before =
        atomic_load_explicit(&entry->sequence, memory_order_acquire);

    if (before & 1)
        return false;
    for (size_t i = 0; i < n; i++)
        words[i] = atomic_load_explicit(&entry->words[i], memory_order_acquire);
    if (atomic_load_explicit(&entry->sequence, memory_order_relaxed) != before)
        return false;
    memcpy(content, words, n * sizeof(uint64_t));
    return content->used;
}

/* Replaces the entry.  If somebody writes it already, this session is the one
 * that is lost, which costs its client a full handshake. */
static void entry_write(struct entry *entry, size_t n,
                        const struct content *content)
{
    uint64_t words[WORDS];
    uint64_t even =
        atomic_load_explicit(&entry->sequence, memory_order_relaxed);

    if (even & 1 || !atomic_compare_exchange_strong_explicit(
                        &entry->sequence, &even, even + 1, memory_order_acq_rel,
                        memory_order_relaxed))
        return;
    memcpy(words, content, n * sizeof(uint64_t));
    for (size_t i = 0; i < n; i++)
        atomic_store_explicit(&entry->words[i], words[i], memory_order_release);
    atomic_store_explicit(&entry->sequence, even + 2, memory_order_release);
}

/* Workers have clocks of their own turns: an entry may be younger than now,
 * which is no reason to drop it. */
static bool is_expired(const struct content *content, uint64_t now_ms)
{
    return now_ms - content->made_ms > LH_SESSION_LIFETIME_MS &&
           now_ms > content->made_ms;
}

/* Where a session goes: an entry that is free, else the oldest. */
static struct entry *victim_of(struct lh_sessions *sessions, size_t place,
                               uint64_t now_ms)
{
    struct entry *oldest = entry_at(sessions, place);
    uint64_t oldest_ms = UINT64_MAX;

    for (size_t i = 0; i < WAYS; i++) {
        struct entry *entry = entry_at(sessions, place + i);
        struct content content;
        if (!entry_read(entry, sessions->words, &content)) {
            if (atomic_load_explicit(&entry->sequence, memory_order_relaxed) ==
                0)
                return entry;
            continue;
        }
        if (is_expired(&content, now_ms))
            return entry;
        if (content.made_ms < oldest_ms) {
            oldest_ms = content.made_ms;
            oldest = entry;
        }
    }
    return oldest;
}

/* --- what is known of the client ------------------------------------------ */

/* False: it does not fit. */
static bool put_client(struct content *content,
                       const struct lh_client_cert *client)
{
    size_t n = strlen(client->subject) + 1;

    if (n > sizeof(content->client.subject))
        return false;
    content->client.verify = (uint8_t)client->verify;
    content->client.fault = (uint8_t)client->fault;
    memcpy(content->client.fingerprint, client->fingerprint,
           sizeof(client->fingerprint));
    memcpy(content->client.subject, client->subject, n);
    return true;
}

static void get_client(const struct content *content,
                       struct lh_client_cert *client)
{
    client->verify = (enum lh_client_verify)content->client.verify;
    client->fault = (enum lh_client_fault)content->client.fault;
    memcpy(client->fingerprint, content->client.fingerprint,
           sizeof(client->fingerprint));
    memcpy(client->subject, content->client.subject,
           sizeof(content->client.subject));
}

/* --- saving and loading --------------------------------------------------- */

/* The copy on the stack holds a master secret and is wiped as well. */
void lh_sessions_save(struct lh_sessions *sessions,
                      const br_ssl_session_parameters *params,
                      const struct lh_session_name *name,
                      const struct lh_client_cert *client, uint64_t now_ms)
{
    struct content content = {
        .name = *name,
        .made_ms = now_ms,
        .version = params->version,
        .suite = params->cipher_suite,
        .used = 1,
    };

    if (params->session_id_len != ID_BYTES ||
        (client && !put_client(&content, client)))
        return;
    memcpy(content.id, params->session_id, ID_BYTES);
    memcpy(content.master_secret, params->master_secret,
           sizeof(content.master_secret));
    entry_write(victim_of(sessions, place_of(content.id), now_ms),
                sessions->words, &content);
    explicit_bzero(&content, sizeof(content));
}

/* A session is found by its id and by the name it was made for, and only
 * while it has not expired. */
bool lh_sessions_load(struct lh_sessions *sessions,
                      br_ssl_session_parameters *params,
                      const struct lh_session_name *name,
                      struct lh_client_cert *client, uint64_t now_ms)
{
    size_t place = place_of(params->session_id);
    struct content content;
    bool found = false;

    if (params->session_id_len != ID_BYTES)
        return false;
    for (size_t i = 0; i < WAYS && !found; i++) {
        found = entry_read(entry_at(sessions, place + i), sessions->words,
                           &content) &&
                memcmp(content.id, params->session_id, ID_BYTES) == 0 &&
                memcmp(&content.name, name, sizeof(*name)) == 0 &&
                !is_expired(&content, now_ms);
    }
    if (found) {
        params->version = content.version;
        params->cipher_suite = content.suite;
        memcpy(params->master_secret, content.master_secret,
               sizeof(content.master_secret));
    }
    if (found && client)
        get_client(&content, client);
    explicit_bzero(&content, sizeof(content));
    return found;
}

static struct lh_session_name link_name(const struct lh_session_link *link)
{
    return lh_session_name(link->server_name,
                           link->client ? link->client->ca : NULL);
}

/* Called at the end of a full handshake only. */
static void link_save(const br_ssl_session_cache_class **self,
                      br_ssl_server_context *server,
                      const br_ssl_session_parameters *params)
{
    struct lh_session_link *link = (struct lh_session_link *)(void *)self;
    struct lh_client_auth *client = link->client;
    struct lh_session_name name = link_name(link);

    (void)server;
    link->is_new = true;
    lh_sessions_save(link->sessions, params, &name,
                     client ? &client->cert : NULL, lh_clock_ms());
}

unsigned lh_session_suite(const struct lh_session_link *link, const uint8_t *id,
                          size_t n)
{
    br_ssl_session_parameters params = {.session_id_len = (unsigned char)n};

    if (n != ID_BYTES)
        return 0;
    memcpy(params.session_id, id, n);
    struct lh_session_name name = link_name(link);
    bool known =
        lh_sessions_load(link->sessions, &params, &name, NULL, lh_clock_ms());
    unsigned suite = known ? params.cipher_suite : 0;
    explicit_bzero(&params, sizeof(params));
    return suite;
}

/* By then the server name must be known, which BearSSL has not read yet: see
 * hello.h. */
static int link_load(const br_ssl_session_cache_class **self,
                     br_ssl_server_context *server,
                     br_ssl_session_parameters *params)
{
    const struct lh_session_link *link = (struct lh_session_link *)(void *)self;
    struct lh_client_auth *client = link->client;
    struct lh_session_name name = link_name(link);

    (void)server;
    return lh_sessions_load(link->sessions, params, &name,
                            client ? &client->cert : NULL, lh_clock_ms());
}

static const br_ssl_session_cache_class link_class = {
    .context_size = sizeof(struct lh_session_link),
    .save = link_save,
    .load = link_load,
};

void lh_session_link_init(struct lh_session_link *link,
                          struct lh_sessions *sessions)
{
    *link =
        (struct lh_session_link){.vtable = &link_class, .sessions = sessions};
}
