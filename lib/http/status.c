/*
 * Status codes: see status.h.  The list is IANA's registry of November 2026
 * (HTTP Status Code Registry, RFC 9110, 16.2.1).
 *
 * There is one table a class, which the last two digits index; a gap is NULL,
 * and a code behind a table's end has no phrase.  418 is left out: RFC 9110
 * reserves it as unused.
 */
#include "http/status.h"

#include <stdio.h>

static const char *const informational[] = {
    "Continue",
    "Switching Protocols",
    "Processing",
    "Early Hints",
};

static const char *const successful[] = {
    "OK",
    "Created",
    "Accepted",
    "Non-Authoritative Information",
    "No Content",
    "Reset Content",
    "Partial Content",
    "Multi-Status",
    "Already Reported",
    [26] = "IM Used",
};

static const char *const redirection[] = {
    "Multiple Choices",
    "Moved Permanently",
    "Found",
    "See Other",
    "Not Modified",
    "Use Proxy",
    [7] = "Temporary Redirect",
    [8] = "Permanent Redirect",
};

static const char *const client_error[] = {
    [0] = "Bad Request",
    [1] = "Unauthorized",
    [2] = "Payment Required",
    [3] = "Forbidden",
    [4] = "Not Found",
    [5] = "Method Not Allowed",
    [6] = "Not Acceptable",
    [7] = "Proxy Authentication Required",
    [8] = "Request Timeout",
    [9] = "Conflict",
    [10] = "Gone",
    [11] = "Length Required",
    [12] = "Precondition Failed",
    [13] = "Content Too Large",
    [14] = "URI Too Long",
    [15] = "Unsupported Media Type",
    [16] = "Range Not Satisfiable",
    [17] = "Expectation Failed",
    [21] = "Misdirected Request",
    [22] = "Unprocessable Content",
    [23] = "Locked",
    [24] = "Failed Dependency",
    [25] = "Too Early",
    [26] = "Upgrade Required",
    [28] = "Precondition Required",
    [29] = "Too Many Requests",
    [31] = "Request Header Fields Too Large",
    [51] = "Unavailable For Legal Reasons",
};

static const char *const server_error[] = {
    [0] = "Internal Server Error",
    [1] = "Not Implemented",
    [2] = "Bad Gateway",
    [3] = "Service Unavailable",
    [4] = "Gateway Timeout",
    [5] = "HTTP Version Not Supported",
    [6] = "Variant Also Negotiates",
    [7] = "Insufficient Storage",
    [8] = "Loop Detected",
    [11] = "Network Authentication Required",
};

#define CLASS(phrases)                                                         \
    {                                                                          \
        (phrases), sizeof(phrases) / sizeof((phrases)[0])                      \
    }

static const struct {
    const char *const *phrases;
    size_t n;
} classes[] = {
    CLASS(informational), CLASS(successful),   CLASS(redirection),
    CLASS(client_error),  CLASS(server_error),
};

/* Below 100 the class is huge, since it is unsigned, and has no table. */
const char *lh_status_phrase(unsigned status)
{
    unsigned class = status / 100 - 1, code = status % 100;
    const char *phrase = NULL;

    if (class < sizeof(classes) / sizeof(classes[0]) && code < classes[class].n)
        phrase = classes[class].phrases[code];
    return phrase ? phrase : "";
}

/* RFC 9110, 6.4.1; a 205 may have framing that says that it is empty. */
int lh_status_has_no_body(unsigned status)
{
    return status < 200 || status == 204 || status == 304;
}

/* A small page for a person who looks at it.  It has nothing of the request, so
 * there is nothing to escape. */
size_t lh_status_page(unsigned status, char out[LH_STATUS_PAGE_BYTES])
{
    const char *phrase = lh_status_phrase(status);
    const char *space = *phrase ? " " : "";
    int n = snprintf(out, LH_STATUS_PAGE_BYTES,
                     "<!DOCTYPE html>\n<html lang=\"en\"><head>"
                     "<meta charset=\"utf-8\"><title>%u%s%s</title></head>\n"
                     "<body><h1>%u%s%s</h1></body></html>\n",
                     status, space, phrase, status, space, phrase);

    return n > 0 && n < LH_STATUS_PAGE_BYTES ? (size_t)n : 0;
}
