/*
 * Lists of directories: see listing.h.
 *
 * Names are octets.  In a link they are written as such; what is shown has a
 * sign in the place of each octet that is no UTF-8 or would not be seen.  A
 * link is what it leads to, and is left out where it leads to nothing that a
 * request would get.
 */
#include "files/listing.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "http/escape.h"
#include "os/clock.h"
#include "os/error.h"
#include "os/fd.h"
#include "os/folder.h"

#include <stdlib.h>

struct entry {
    size_t name; /* where it begins among the names */
    uint64_t size;
    int64_t modified_s;
    bool is_folder;
};

/* Text that grows.  It fails once memory does, and then stays as it is, so that
 * only its end has to be asked. */
struct text {
    char *p;
    size_t n, room;
    bool failed;
};

struct list {
    struct lh_listing *of;
    struct text names; /* each with its end mark */
    struct entry *entries;
    size_t n, room;
    bool is_cut;
};

/* --- text ----------------------------------------------------------------- */

static void put(struct text *t, const char *p, size_t n)
{
    if (t->failed)
        return;
    if (t->room - t->n < n) {
        size_t room = t->room * 2 + n + 1024;
        char *more = lh_realloc(t->p, room);
        if (!more) {
            t->failed = true;
            return;
        }
        t->p = more;
        t->room = room;
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void put_str(struct text *t, const char *p)
{
    put(t, p, strlen(p));
}

/* How many octets the character takes that begins here; 0: it is none. */
static size_t character(const char *p, size_t n)
{
    struct lh_utf8 utf8 = {0};

    for (size_t i = 0; i < n && i < 4; i++) {
        if (!lh_utf8_feed(&utf8, (const uint8_t *)p + i, 1))
            return 0;
        if (lh_utf8_ends(&utf8))
            return i + 1;
    }
    return 0;
}

/* One that means something in HTML, or that nobody sees. */
static const char *instead_of(char c)
{
    if ((unsigned char)c < ' ' || c == 0x7f)
        return "\xef\xbf\xbd";
    return lh_escape_html(c);
}

/* What stands between two tags, or in an attribute. */
static void put_html(struct text *t, const char *p)
{
    size_t left = strlen(p);

    while (left) {
        size_t n = character(p, left);
        const char *other = n ? instead_of(*p) : "\xef\xbf\xbd";
        if (other)
            put_str(t, other);
        else
            put(t, p, n);
        p += n ? n : 1;
        left -= n ? n : 1;
    }
}

static void put_url(struct text *t, const char *p)
{
    char escaped[3];

    for (; *p; p++) {
        if (lh_escape_is_unreserved(*p)) {
            put(t, p, 1);
            continue;
        }
        lh_escape_octet(escaped, *p);
        put(t, escaped, sizeof(escaped));
    }
}

static void put_number(struct text *t, uint64_t value)
{
    char digits[20];

    put(t, digits, lh_u64_to_dec(digits, value));
}

/* --- what is there -------------------------------------------------------- */

/* What a request would get by that link. */
static int follow_link(const struct lh_listing *of, const char *name,
                       struct lh_found *found)
{
    size_t folder = strlen(of->path), n = strlen(name) + 1;
    char *path = lh_alloc(folder + n);

    if (!path)
        return LH_SYS_ENOMEM;
    memcpy(path, of->path, folder);
    memcpy(path + folder, name, n);
    int fd = lh_beneath_open(of->root, path, LH_BENEATH_READ);
    lh_free(path);
    if (fd < 0)
        return fd;
    int error = lh_beneath_stat(fd, found);
    lh_fd_close(fd);
    return error;
}

/* 0: it is shown; what lacks room is an error of the whole list, which would
 * look whole without it. */
static int look_at_name(const struct lh_listing *of, const char *name,
                        struct lh_found *found)
{
    int error = lh_folder_look(of->fd, name, found);

    if (error == 0 && found->kind == LH_FOUND_LINK)
        error = follow_link(of, name, found);
    if (error == 0 && found->kind != LH_FOUND_FILE &&
        found->kind != LH_FOUND_DIRECTORY)
        error = LH_SYS_ENOENT;
    return error;
}

/* Grows by doubling, up to LH_LISTING_NAMES. */
static bool has_room(struct list *list)
{
    if (list->n < list->room)
        return true;
    size_t room = list->room * 2 + 32;
    struct entry *more = lh_realloc(list->entries, room * sizeof(*more));
    if (!more)
        return false;
    list->entries = more;
    list->room = room;
    return true;
}

/* What has gone since its name was read is left out. */
static int add_name(struct list *list, const char *name)
{
    struct lh_found found;
    int error = look_at_name(list->of, name, &found);

    if (error)
        return lh_sys_is_no_room(error) ? error : 0;
    if (!has_room(list))
        return LH_SYS_ENOMEM;
    list->entries[list->n++] =
        (struct entry){list->names.n, found.size, found.modified_s,
                       found.kind == LH_FOUND_DIRECTORY};
    put(&list->names, name, strlen(name) + 1);
    return list->names.failed ? LH_SYS_ENOMEM : 0;
}

/* The time is looked at for each name, since each may wait for the disk. */
static int read_names(struct list *list)
{
    uint64_t until_ms = lh_clock_ms() + LH_LISTING_MS;
    struct lh_folder *folder;
    const char *name;
    int error = lh_folder_open(&folder, list->of->fd);

    if (error)
        return error;
    while ((error = lh_folder_next(folder, &name)) > 0) {
        list->is_cut = list->n == LH_LISTING_NAMES || lh_clock_ms() > until_ms;
        error = list->is_cut ? 0 : add_name(list, name);
        if (list->is_cut || error)
            break;
    }
    lh_folder_close(folder);
    return error;
}

/* --- in order ------------------------------------------------------------- */

/* Directories first, then by the octets of their names. */
static int compare(const struct list *list, const struct entry *a,
                   const struct entry *b)
{
    if (a->is_folder != b->is_folder)
        return a->is_folder ? -1 : 1;
    return strcmp(list->names.p + a->name, list->names.p + b->name);
}

/* Sinks the entry to its place in a heap, whose root is the last of all. */
static void sink(const struct list *list, size_t at, size_t n)
{
    struct entry *v = list->entries;

    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && compare(list, &v[child], &v[child + 1]) < 0)
            child++;
        if (compare(list, &v[at], &v[child]) >= 0)
            return;
        struct entry other = v[at];
        v[at] = v[child];
        v[child] = other;
    }
}

/* A heap sort: qsort() has no place for where the names are. */
static void sort_entries(const struct list *list)
{
    struct entry *v = list->entries;

    for (size_t i = list->n / 2; i > 0; i--)
        sink(list, i - 1, list->n);
    for (size_t n = list->n; n > 1; n--) {
        struct entry last = v[0];
        v[0] = v[n - 1];
        v[n - 1] = last;
        sink(list, 0, n - 1);
    }
}

/* --- the page ------------------------------------------------------------- */

/* One file that needs nothing else, legible on a telephone and in the dark.
 * Names may be long and in any direction of writing. */
static void put_head(struct text *t, const struct lh_listing *of)
{
    put_str(t, "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width\">"
               "<title>");
    put_html(t, of->title);
    put_str(t, "</title>\n<style>:root{color-scheme:light dark}"
               "body{font:16px/1.5 system-ui,sans-serif;margin:2em auto;"
               "max-width:60em;padding:0 1em}h1{font-size:1.3em;"
               "overflow-wrap:anywhere}table{border-collapse:collapse;"
               "width:100%}td,th{padding:.15em .6em;text-align:left}"
               "td{border-top:1px solid #8884}td:first-child{"
               "overflow-wrap:anywhere;unicode-bidi:isolate}"
               "td:nth-child(2),th:nth-child(2){text-align:right}"
               "td+td,th+th{white-space:nowrap;"
               "font-variant-numeric:tabular-nums}</style>\n<h1>");
    put_html(t, of->title);
    put_str(t, "</h1>\n<table>\n<tr><th>Name<th>Size<th>Modified (UTC)\n");
    if (!of->is_top)
        put_str(t, "<tr><td><a href=\"../\">../</a><td><td>\n");
}

/* The time is that of RFC 3339, without seconds and zone. */
static void put_entry(struct text *t, const struct list *list,
                      const struct entry *entry)
{
    const char *name = list->names.p + entry->name;
    char date[LH_CLOCK_ISO_BYTES];

    put_str(t, "<tr><td><a href=\"");
    put_url(t, name);
    put_str(t, entry->is_folder ? "/\">" : "\">");
    put_html(t, name);
    put_str(t, entry->is_folder ? "/</a><td><td>" : "</a><td>");
    if (!entry->is_folder) {
        put_number(t, entry->size);
        put_str(t, "<td>");
    }
    lh_clock_iso_date(entry->modified_s, date);
    put(t, date, 10);
    put_str(t, " ");
    put(t, date + 11, 5);
    put_str(t, "\n");
}

static struct text make_page(const struct list *list)
{
    struct text t = {.p = NULL};

    put_head(&t, list->of);
    for (size_t i = 0; i < list->n; i++)
        put_entry(&t, list, &list->entries[i]);
    put_str(&t, "</table>\n");
    if (list->is_cut)
        put_str(&t, "<p>There are more, which are not shown.\n");
    return t;
}

/* The names go as soon as the page is there. */
long lh_listing_make(struct lh_listing *of)
{
    struct list list = {.of = of};
    struct text page = {.failed = true};
    int error = read_names(&list);

    if (error == 0) {
        sort_entries(&list);
        page = make_page(&list);
        error = page.failed ? LH_SYS_ENOMEM : 0;
    }
    lh_free(list.names.p);
    lh_free(list.entries);
    if (error) {
        lh_free(page.p);
        return error;
    }
    of->page = page.p;
    return (long)page.n;
}
