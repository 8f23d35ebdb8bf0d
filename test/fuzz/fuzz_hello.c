/*
 * libFuzzer: the server name of a ClientHello.  The first octet says how the
 * rest is cut into records; 0: it is records already.  Checked: that what was
 * found does not depend on how much of the input has come, and that it is what
 * BearSSL finds in every message that it accepts.
 */
#include "net/hello.h"
#include "net/tls_context.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define INPUT_MAX   4096
#define RECORDS_MAX (6 * INPUT_MAX) /* of one octet each */

/* An assert that release builds keep. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

/* --- what BearSSL finds --------------------------------------------------- */

static char found[LH_HELLO_NAME_BYTES];
static bool accepted;

/* Called once a message was read to its end and is sound. */
static int choose(const br_ssl_server_policy_class **self,
                  const br_ssl_server_context *cc,
                  br_ssl_server_choices *choices)
{
    (void)self;
    (void)choices;
    accepted = true;
    strcpy(found, br_ssl_engine_get_server_name(&cc->eng));
    size_t end = strlen(found);
    if (end && found[end - 1] == '.')
        found[end - 1] = '\0';
    return 0;
}

static const br_ssl_server_policy_class spy_class = {
    .context_size = sizeof(spy_class),
    .choose = choose,
};
static const br_ssl_server_policy_class *spy = &spy_class;

static struct lh_tls_worker *worker;

static struct lh_tls_context *context_make(void)
{
    static struct lh_creds *creds; /* kept, so that nothing leaks */
    static struct lh_tls_shared *shared;
    struct lh_err err;

    creds = lh_creds_new();
    check(lh_tls_shared_new(&shared, creds, true, &err) == 0);
    worker = lh_tls_worker_new(shared);
    struct lh_tls_context *context = lh_tls_context_take(worker);
    check(context != NULL);
    br_ssl_server_set_policy(&context->server, &spy);
    return context;
}

static void ask_engine(const uint8_t *p, size_t n)
{
    static uint8_t input[BR_SSL_BUFSIZE_INPUT], output[BR_SSL_BUFSIZE_OUTPUT];
    static struct lh_tls_context *context;
    const struct lh_hello hello = {.name = ""};
    uint8_t *to;
    size_t room;

    if (!context)
        context = context_make();
    accepted = false;
    br_ssl_engine_context *engine = &context->server.eng;
    engine->server_name[0] = '\0';
    check(lh_tls_context_start(worker, context, &hello, input, output));
    while (n && !accepted && (to = br_ssl_engine_recvrec_buf(engine, &room))) {
        room = room < n ? room : n;
        memcpy(to, p, room);
        br_ssl_engine_recvrec_ack(engine, room);
        p += room;
        n -= room;
    }
}

/* --- what we find --------------------------------------------------------- */

/* In a block of just that size, so that a step too far is seen. */
static enum lh_hello_result read_exactly(const uint8_t *p, size_t n,
                                         struct lh_hello *hello)
{
    uint8_t *exact = calloc(n ? n : 1, 1);

    memcpy(exact, p, n);
    enum lh_hello_result result = lh_hello_read(exact, n, hello);
    free(exact);
    return result;
}

static void check_cuts(const uint8_t *p, size_t n, enum lh_hello_result whole,
                       const char *name)
{
    static const size_t steps[] = {1, 7, 64, 1000};
    struct lh_hello part;

    for (size_t cut = 0, i = 0; cut < n; cut += steps[i++ / 8 % 4]) {
        enum lh_hello_result result = read_exactly(p, cut, &part);
        check(result == LH_HELLO_MORE ||
              (result == whole && strcmp(part.name, name) == 0));
        check(result == LH_HELLO_WHOLE || part.name[0] == '\0');
    }
}

static size_t cut_into_records(uint8_t *to, const uint8_t *p, size_t n,
                               size_t size)
{
    uint8_t *end = to;

    for (size_t at = 0; at < n; at += size) {
        size_t k = n - at < size ? n - at : size;
        uint8_t header[] = {22, 3, 1, (uint8_t)(k >> 8), (uint8_t)k};
        memcpy(end, header, sizeof(header));
        memcpy(end + sizeof(header), p + at, k);
        end += sizeof(header) + k;
    }
    return (size_t)(end - to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t records[RECORDS_MAX];
    struct lh_hello hello;

    if (n == 0 || n > INPUT_MAX)
        return 0;
    if (data[0]) {
        n = cut_into_records(records, data + 1, n - 1, (size_t)data[0] * 8 - 7);
    } else {
        n--;
        memcpy(records, data + 1, n);
    }
    enum lh_hello_result result = read_exactly(records, n, &hello);
    check_cuts(records, n, result, hello.name);
    ask_engine(records, n);
    if (accepted) {
        check(result == LH_HELLO_WHOLE);
        check(strcmp(found, hello.name) == 0);
    }
    return 0;
}
