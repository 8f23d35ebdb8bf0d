/*
 * Status codes: see status.h.  The list is IANA's registry of November 2026
 * (HTTP Status Code Registry, RFC 9110, 16.2.1).
 *
 * There is one table a class, which the last two digits index; a gap is NULL,
 * and a code behind a table's end has no phrase.  418 is left out: RFC 9110
 * reserves it as unused.  The pages are literals too: an answer of ours that
 * nobody takes then holds no memory.
 */
#include "http/status.h"

/* A small page for a person who looks at it.  It has nothing of the request, so
 * there is nothing to escape. */
#define PAGE(title)                                                            \
    "<!DOCTYPE html>\n<html lang=\"en\"><head>"                                \
    "<meta charset=\"utf-8\"><title>" title "</title></head>\n"                \
    "<body><h1>" title "</h1></body></html>\n"

#define STATUS(code, phrase)                                                   \
    [(code) % 100] = {                                                         \
        phrase,                                                                \
        {PAGE(#code " " phrase), sizeof(PAGE(#code " " phrase)) - 1},          \
    }

struct lh_status_text {
    const char *phrase;
    struct lh_str page;
};

static const struct lh_status_text informational[] = {
    STATUS(100, "Continue"),
    STATUS(101, "Switching Protocols"),
    STATUS(102, "Processing"),
    STATUS(103, "Early Hints"),
};

static const struct lh_status_text successful[] = {
    STATUS(200, "OK"),
    STATUS(201, "Created"),
    STATUS(202, "Accepted"),
    STATUS(203, "Non-Authoritative Information"),
    STATUS(204, "No Content"),
    STATUS(205, "Reset Content"),
    STATUS(206, "Partial Content"),
    STATUS(207, "Multi-Status"),
    STATUS(208, "Already Reported"),
    STATUS(226, "IM Used"),
};

static const struct lh_status_text redirection[] = {
    STATUS(300, "Multiple Choices"),
    STATUS(301, "Moved Permanently"),
    STATUS(302, "Found"),
    STATUS(303, "See Other"),
    STATUS(304, "Not Modified"),
    STATUS(305, "Use Proxy"),
    STATUS(307, "Temporary Redirect"),
    STATUS(308, "Permanent Redirect"),
};

static const struct lh_status_text client_error[] = {
    STATUS(400, "Bad Request"),
    STATUS(401, "Unauthorized"),
    STATUS(402, "Payment Required"),
    STATUS(403, "Forbidden"),
    STATUS(404, "Not Found"),
    STATUS(405, "Method Not Allowed"),
    STATUS(406, "Not Acceptable"),
    STATUS(407, "Proxy Authentication Required"),
    STATUS(408, "Request Timeout"),
    STATUS(409, "Conflict"),
    STATUS(410, "Gone"),
    STATUS(411, "Length Required"),
    STATUS(412, "Precondition Failed"),
    STATUS(413, "Content Too Large"),
    STATUS(414, "URI Too Long"),
    STATUS(415, "Unsupported Media Type"),
    STATUS(416, "Range Not Satisfiable"),
    STATUS(417, "Expectation Failed"),
    STATUS(421, "Misdirected Request"),
    STATUS(422, "Unprocessable Content"),
    STATUS(423, "Locked"),
    STATUS(424, "Failed Dependency"),
    STATUS(425, "Too Early"),
    STATUS(426, "Upgrade Required"),
    STATUS(428, "Precondition Required"),
    STATUS(429, "Too Many Requests"),
    STATUS(431, "Request Header Fields Too Large"),
    STATUS(451, "Unavailable For Legal Reasons"),
};

static const struct lh_status_text server_error[] = {
    STATUS(500, "Internal Server Error"),
    STATUS(501, "Not Implemented"),
    STATUS(502, "Bad Gateway"),
    STATUS(503, "Service Unavailable"),
    STATUS(504, "Gateway Timeout"),
    STATUS(505, "HTTP Version Not Supported"),
    STATUS(506, "Variant Also Negotiates"),
    STATUS(507, "Insufficient Storage"),
    STATUS(508, "Loop Detected"),
    STATUS(511, "Network Authentication Required"),
};

#define CLASS(texts)                                                           \
    {                                                                          \
        (texts), sizeof(texts) / sizeof((texts)[0])                            \
    }

static const struct {
    const struct lh_status_text *texts;
    size_t n;
} classes[] = {
    CLASS(informational), CLASS(successful),   CLASS(redirection),
    CLASS(client_error),  CLASS(server_error),
};

/* NULL: the code has none.  Below 100 the class is huge, since it is unsigned,
 * and has no table. */
static const struct lh_status_text *text_of(unsigned status)
{
    unsigned class = status / 100 - 1, code = status % 100;

    if (class >= sizeof(classes) / sizeof(classes[0]) ||
        code >= classes[class].n || !classes[class].texts[code].phrase)
        return NULL;
    return &classes[class].texts[code];
}

const char *lh_status_phrase(unsigned status)
{
    const struct lh_status_text *text = text_of(status);

    return text ? text->phrase : "";
}

/* RFC 9110, 6.4.1; a 205 may have framing that says that it is empty. */
int lh_status_has_no_body(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

struct lh_str lh_status_page(unsigned status)
{
    const struct lh_status_text *text = text_of(status);

    return text ? text->page : LH_STR(PAGE("Error"));
}
