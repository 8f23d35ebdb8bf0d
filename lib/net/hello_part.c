/* A ClientHello of which the rest has not come: see hello_part.h. */
#include "net/hello_part.h"

#include "net/alert.h"

#include <string.h>

/* Octets of a ClientHello; usual are 200 to 2000. */
#define HELLO_BYTES_MAX (20 << 10)

const char *lh_hello_part_keep(struct lh_hello_part *part,
                               struct lh_transport *t, struct lh_chunk *raw)
{
    if (raw->to >= HELLO_BYTES_MAX) {
        lh_alert_send(t, LH_ALERT_ILLEGAL_PARAMETER); /* as the libraries */
        return "the client's first message is too long";
    }
    part->p = lh_memdup(raw->p, raw->to);
    if (!part->p)
        return "no memory";
    part->n = raw->to;
    lh_chunk_give(t->pools, raw);
    return NULL;
}

ssize_t lh_hello_part_receive(struct lh_hello_part *part,
                              struct lh_transport *t, struct lh_chunk *raw)
{
    ssize_t n =
        lh_net_receive(t, raw->p + part->n, LH_NET_CHUNK_BYTES - part->n);

    if (n <= 0) {
        lh_chunk_give(t->pools, raw);
        return n;
    }
    if (part->p)
        memcpy(raw->p, part->p, part->n);
    raw->from = 0;
    raw->to = part->n + (size_t)n;
    lh_hello_part_forget(part);
    return n;
}

void lh_hello_part_forget(struct lh_hello_part *part)
{
    lh_free(part->p);
    *part = (struct lh_hello_part){0};
}
