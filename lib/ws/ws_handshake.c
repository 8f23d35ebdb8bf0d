/* How a WebSocket begins: see ws_handshake.h. */
#include "ws/ws_handshake.h"

#include "base/digest.h"

#include <string.h>

/* 16 octets in base64 (RFC 6455, 4.1). */
#define KEY_BYTES 24

/* What the key is proved with (1.3). */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* All of a list's fields; "" where there is none. */
static struct lh_str all_of(struct lh_exchange *ex, struct lh_str name)
{
    bool failed = false;
    struct lh_str all =
        lh_fields_join(&ex->request.fields, &ex->arena, name, &failed);

    return all.p ? all : LH_STR("");
}

static bool has_element(struct lh_exchange *ex, struct lh_str name,
                        struct lh_str wanted)
{
    struct lh_str list = all_of(ex, name), element;

    while (lh_str_next_element(&list, &element)) {
        if (lh_str_equal_nocase(element, wanted))
            return true;
    }
    return false;
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '+' || c == '/';
}

/* Nobody wants its octets: the proof is made of the text. */
static bool key_valid(struct lh_str key)
{
    if (key.n != KEY_BYTES || memcmp(key.p + KEY_BYTES - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_BYTES - 2; i++) {
        if (!is_base64(key.p[i]))
            return false;
    }
    return true;
}

static unsigned no(unsigned status, const char **why, const char *words)
{
    *why = words;
    return status;
}

/* A plain request, or what an old client or another protocol's says. */
static unsigned check_upgrade(struct lh_exchange *ex, const char **why)
{
    const struct lh_request *r = &ex->request;

    if (!has_element(ex, LH_STR("upgrade"), LH_STR("websocket")))
        return no(400, why, "the request does not ask for a websocket");
    if (r->version != LH_HTTP_1_1 || !lh_str_equal(r->method, LH_STR("GET")) ||
        !has_element(ex, LH_STR("connection"), LH_STR("upgrade")))
        return no(400, why,
                  "a websocket needs a GET of HTTP/1.1 with 'connection: "
                  "upgrade'");
    if (ex->body_state != LH_BODY_ENDED || ex->body.n)
        return no(400, why, "a websocket's request has no body");
    if (!key_valid(all_of(ex, LH_STR("sec-websocket-key"))))
        return no(400, why, "sec-websocket-key is not 16 octets in base64");
    return 0;
}

/* The section itself was checked where it came (h2/h2_request.c). */
static unsigned check_connect(const struct lh_exchange *ex, const char **why)
{
    if (!ex->request.to_websocket)
        return no(400, why, "the request does not ask for a websocket");
    if (ex->body_state != LH_BODY_OPEN)
        return no(400, why, "the client's side of the stream has ended");
    return 0;
}

unsigned lh_ws_handshake_check(struct lh_exchange *ex, const char **why)
{
    unsigned status = ex->request.version == LH_HTTP_2 ? check_connect(ex, why)
                                                       : check_upgrade(ex, why);

    if (status == 0 &&
        !lh_str_equal(all_of(ex, LH_STR("sec-websocket-version")),
                      LH_STR("13")))
        status = no(426, why, "sec-websocket-version is not 13");
    return status;
}

bool lh_ws_offers(struct lh_exchange *ex, struct lh_str protocol)
{
    struct lh_str list = all_of(ex, LH_STR("sec-websocket-protocol")), element;

    while (lh_str_next_element(&list, &element)) {
        if (lh_str_equal(element, protocol))
            return true;
    }
    return false;
}

/* RFC 6455, 4.2.2.  .p NULL: no memory. */
static struct lh_str proof(struct lh_exchange *ex)
{
    struct lh_str key = all_of(ex, LH_STR("sec-websocket-key"));
    char text[KEY_BYTES + sizeof(guid)], base64[28];
    uint8_t sha1[LH_SHA1_BYTES];

    memcpy(text, key.p, KEY_BYTES);
    memcpy(text + KEY_BYTES, guid, sizeof(guid));
    lh_sha1(text, KEY_BYTES + sizeof(guid) - 1, sha1);
    return lh_arena_copy(&ex->arena, base64,
                         lh_base64(sha1, sizeof(sha1), base64));
}

/* HTTP/2 needs no proof, for a CONNECT with a protocol says all (RFC 8441, 5).
 */
int lh_ws_accept(struct lh_exchange *ex, struct lh_str protocol)
{
    struct lh_fields fields = {.n = 0};
    struct lh_arena *a = &ex->arena;
    bool ok = true;

    if (ex->request.version != LH_HTTP_2) {
        struct lh_str made = proof(ex);
        ok =
            made.p &&
            lh_fields_add(&fields, a, LH_STR("upgrade"), LH_STR("websocket")) &&
            lh_fields_add(&fields, a, LH_STR("connection"),
                          LH_STR("Upgrade")) &&
            lh_fields_add(&fields, a, LH_STR("sec-websocket-accept"), made);
    }
    if (protocol.p)
        ok = ok && lh_fields_add(&fields, a, LH_STR("sec-websocket-protocol"),
                                 protocol);
    return ok ? lh_exchange_upgrade(ex, &fields) : LHTTPD_ENOMEM;
}
