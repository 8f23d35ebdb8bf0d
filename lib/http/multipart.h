/*
 * A form with files as its octets come: multipart/form-data (RFC 7578; RFC
 * 2046, 5.1).  No I/O, and no more memory than a part's header takes.
 *
 * What is strict: lines end with CR LF; a boundary is one only where it is all
 * of its line, but for blanks behind it, else it is data; what a part's header
 * says must be readable.  What is lenient: text before the first boundary and
 * behind the last one, octets that a token could not have in a boundary without
 * quotes, fields of a part that nobody here knows.
 */
#ifndef LH_HTTP_MULTIPART_H
#define LH_HTTP_MULTIPART_H

#include "base/str.h"

/* The longest boundary (RFC 2046, 5.1.1). */
#define LH_MULTIPART_BOUNDARY_MAX 70

/* What one form may have. */
struct lh_multipart_limits {
    uint64_t parts;
    size_t header_bytes; /* of one part's header, and before the first one */
    size_t name_bytes;   /* of a name, and of a file's name */
    uint64_t part_bytes; /* of one part */
};

enum lh_multipart_event {
    LH_MULTIPART_MORE,     /* all octets were used */
    LH_MULTIPART_PART,     /* a part begins: `name` and so on are set */
    LH_MULTIPART_DATA,     /* the next octets of it are in `data` */
    LH_MULTIPART_PART_END, /* it is whole */
    LH_MULTIPART_END,      /* so is the form; it is told again and again */
    LH_MULTIPART_FAULT,    /* `why` and `status`; likewise */
};

enum lh_multipart_state {
    LH_MULTIPART_PREAMBLE, /* before the first boundary */
    LH_MULTIPART_PADDING,  /* behind a boundary, in its line */
    LH_MULTIPART_HEAD,
    LH_MULTIPART_BODY,
    LH_MULTIPART_OVER,
    LH_MULTIPART_FAULTY,
};

struct lh_multipart {
    struct lh_multipart_limits limits;
    enum lh_multipart_state state;
    /* "\r\n--boundary--", without the last two where it is not the last one. */
    char delimiter[4 + LH_MULTIPART_BOUNDARY_MAX + 2];
    uint8_t delimiter_n; /* without them */
    uint8_t matched;     /* octets of it that have come */
    uint8_t unsent;      /* ... of which the first so many did not */
    uint64_t parts;      /* that have begun */
    uint64_t part_bytes; /* of this one so far; of the preamble */
    char *head;          /* the part's header */
    size_t head_n, head_room, line_at;

    /* Of the part, valid until the next one begins; .p NULL: it says none.  The
     * name is there always. */
    struct lh_str name, filename, type;
    struct lh_str data;
    const char *why; /* words for "the form: WHY", with `parts` if there are */
    unsigned status; /* what fits as an answer: 400, 413, 415; 500: no memory */
};

/* For a request of this content-type (.p NULL: none).  False: it is no such
 * form; `why` and `status` tell. */
bool lh_multipart_init(struct lh_multipart *m, struct lh_str content_type,
                       const struct lh_multipart_limits *limits);
void lh_multipart_deinit(struct lh_multipart *m);

/* Takes octets up to the next event; *used of them are done with.  What `data`
 * has is in p, or the parser's own until the next call. */
enum lh_multipart_event lh_multipart_read(struct lh_multipart *m,
                                          const uint8_t *p, size_t n,
                                          size_t *used);

/* No more octets come: PART_END, and then END; or FAULT. */
enum lh_multipart_event lh_multipart_finish(struct lh_multipart *m);

#endif
