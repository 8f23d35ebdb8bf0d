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
};

/* An entry is moved word by word, since one atomic operation cannot move
 * more. */
#define WORDS (sizeof(struct content) / sizeof(uint64_t))

_Static_assert(sizeof(struct content) % sizeof(uint64_t) == 0,
               "an entry is copied in whole words");

/* An entry of the table: a seqlock and what it guards.  `sequence` counts up
 * by two with each session that is written; 0 says that there was none yet. */
struct entry {
    _Atomic uint64_t sequence;
    _Atomic uint64_t words[WORDS];
};

struct lh_sessions {
    struct entry entries[ENTRIES];
};

/* Names are hashed, so that entries have one size and nobody learns from
 * memory which hosts were asked for. */
struct lh_session_name lh_session_name(const char *server_name)
{
    struct lh_session_name name;
    br_sha256_context hash;

    br_sha256_init(&hash);
    for (const char *s = server_name; *s; s++) {
        char c = lh_lower(*s);
        br_sha256_update(&hash, &c, 1);
    }
    br_sha256_out(&hash, name.hash);
    return name;
}

struct lh_sessions *lh_sessions_new(void)
{
    struct lh_sessions *sessions = lh_alloc(sizeof(*sessions));

    if (!sessions)
        return NULL;
    for (size_t i = 0; i < ENTRIES; i++) {
        atomic_init(&sessions->entries[i].sequence, 0);
        for (size_t k = 0; k < WORDS; k++)
            atomic_init(&sessions->entries[i].words[k], 0);
    }
    return sessions;
}

/* The master secrets of the last hour are in it. */
void lh_sessions_free(struct lh_sessions *sessions)
{
    if (!sessions)
        return;
    explicit_bzero(sessions, sizeof(*sessions));
    lh_free(sessions);
}

/* The first entry of an id's place.  Ids that are saved are random. */
static struct entry *place_of(struct lh_sessions *sessions, const uint8_t *id)
{
    size_t place = (size_t)id[0] | (size_t)id[1] << 8;

    return &sessions->entries[place % (ENTRIES / WAYS) * WAYS];
}

/* A copy of the entry, or false: it is empty or was written meanwhile. */
static bool entry_read(struct entry *entry, struct content *content)
{
    uint64_t words[WORDS];
    uint64_t before =
        atomic_load_explicit(&entry->sequence, memory_order_acquire);

    if (before & 1)
        return false;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&entry->words[i], memory_order_acquire);
    if (atomic_load_explicit(&entry->sequence, memory_order_relaxed) != before)
        return false;
    memcpy(content, words, sizeof(words));
    return content->used;
}

/* Replaces the entry.  If somebody writes it already, this session is the one
 * that is lost, which costs its client a full handshake. */
static void entry_write(struct entry *entry, const struct content *content)
{
    uint64_t words[WORDS];
    uint64_t even =
        atomic_load_explicit(&entry->sequence, memory_order_relaxed);

    if (even & 1 || !atomic_compare_exchange_strong_explicit(
                        &entry->sequence, &even, even + 1, memory_order_acq_rel,
                        memory_order_relaxed))
        return;
    memcpy(words, content, sizeof(words));
    for (size_t i = 0; i < WORDS; i++)
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
static struct entry *victim_of(struct entry *place, uint64_t now_ms)
{
    struct entry *oldest = place;
    uint64_t oldest_ms = UINT64_MAX;

    for (size_t i = 0; i < WAYS; i++) {
        struct content content;
        if (!entry_read(&place[i], &content)) {
            if (atomic_load_explicit(&place[i].sequence,
                                     memory_order_relaxed) == 0)
                return &place[i];
            continue;
        }
        if (is_expired(&content, now_ms))
            return &place[i];
        if (content.made_ms < oldest_ms) {
            oldest_ms = content.made_ms;
            oldest = &place[i];
        }
    }
    return oldest;
}

/* The copy on the stack holds a master secret and is wiped as well. */
void lh_sessions_save(struct lh_sessions *sessions,
                      const br_ssl_session_parameters *params,
                      const struct lh_session_name *name, uint64_t now_ms)
{
    struct content content = {
        .name = *name,
        .made_ms = now_ms,
        .version = params->version,
        .suite = params->cipher_suite,
        .used = 1,
    };

    if (params->session_id_len != ID_BYTES)
        return;
    memcpy(content.id, params->session_id, ID_BYTES);
    memcpy(content.master_secret, params->master_secret,
           sizeof(content.master_secret));
    entry_write(victim_of(place_of(sessions, content.id), now_ms), &content);
    explicit_bzero(&content, sizeof(content));
}

/* A session is found by its id and by the name it was made for, and only
 * while it has not expired. */
bool lh_sessions_load(struct lh_sessions *sessions,
                      br_ssl_session_parameters *params,
                      const struct lh_session_name *name, uint64_t now_ms)
{
    struct entry *place = place_of(sessions, params->session_id);
    struct content content;
    bool found = false;

    if (params->session_id_len != ID_BYTES)
        return false;
    for (size_t i = 0; i < WAYS && !found; i++) {
        found = entry_read(&place[i], &content) &&
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
    explicit_bzero(&content, sizeof(content));
    return found;
}

/* Called at the end of a full handshake only. */
static void link_save(const br_ssl_session_cache_class **self,
                      br_ssl_server_context *server,
                      const br_ssl_session_parameters *params)
{
    struct lh_session_link *link = (struct lh_session_link *)(void *)self;
    struct lh_session_name name = lh_session_name(link->server_name);

    (void)server;
    link->is_new = true;
    lh_sessions_save(link->sessions, params, &name, lh_clock_ms());
}

/* By then the server name must be known, which BearSSL has not read yet: see
 * hello.h. */
static int link_load(const br_ssl_session_cache_class **self,
                     br_ssl_server_context *server,
                     br_ssl_session_parameters *params)
{
    const struct lh_session_link *link = (struct lh_session_link *)(void *)self;
    struct lh_session_name name = lh_session_name(link->server_name);

    (void)server;
    return lh_sessions_load(link->sessions, params, &name, lh_clock_ms());
}

static const br_ssl_session_cache_class link_class = {
    .context_size = sizeof(struct lh_session_link),
    .save = link_save,
    .load = link_load,
};

void lh_session_link_init(struct lh_session_link *link,
                          struct lh_sessions *sessions, const char *server_name)
{
    *link = (struct lh_session_link){.vtable = &link_class,
                                     .sessions = sessions,
                                     .server_name = server_name};
}
