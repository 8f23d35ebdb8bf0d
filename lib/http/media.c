/*
 * Media types: see media.h.
 *
 * The built-in table comes first: what a browser has to run or to show must not
 * depend on what a system has installed.  Both tables are sorted by extension.
 */
#include "http/media.h"

#include "base/mem.h"

#include <stdlib.h>

#define EXTENSION_MAX 16 /* longer ones have no type */

struct built_in {
    const char *extension, *type;
};

/* Sorted. */
static const struct built_in table[] = {
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apk", "application/vnd.android.package-archive"},
    {"apng", "image/apng"},
    {"atom", "application/atom+xml"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/plain; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"deb", "application/vnd.debian.binary-package"},
    {"eot", "application/vnd.ms-fontobject"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"h", "text/plain; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/x-icon"},
    {"ics", "text/calendar; charset=utf-8"},
    {"iso", "application/x-iso9660-image"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"log", "text/plain; charset=utf-8"},
    {"lua", "text/plain; charset=utf-8"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mkv", "video/x-matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpd", "application/dash+xml"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"rar", "application/vnd.rar"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"svg", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tgz", "application/gzip"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"ts", "video/mp2t"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"vtt", "text/vtt; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
};

/* By length last, as strcmp() does. */
static int compare_extensions(struct lh_str a, struct lh_str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n ? memcmp(a.p, b.p, n) : 0;

    return r ? r : (a.n > b.n) - (a.n < b.n);
}

static int find_built_in(const void *key, const void *entry)
{
    const struct built_in *e = entry;

    return compare_extensions(*(const struct lh_str *)key,
                              lh_str_of(e->extension));
}

static int compare_types(const void *a, const void *b)
{
    const struct lh_media_type *x = a, *y = b;
    int r = compare_extensions(x->extension, y->extension);

    /* The order of the file, where the last one counts. */
    return r ? r
             : (x->extension.p > y->extension.p) -
                   (x->extension.p < y->extension.p);
}

/* --- the system's --------------------------------------------------------- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool take_word(struct lh_str *line, struct lh_str *word)
{
    size_t from = 0, to;

    while (from < line->n && is_space(line->p[from]))
        from++;
    to = from;
    while (to < line->n && !is_space(line->p[to]))
        to++;
    *word = (struct lh_str){line->p + from, to - from};
    line->p += to;
    line->n -= to;
    return word->n > 0;
}

/* What could not stand in a field is no type. */
static bool is_type(struct lh_str type)
{
    for (size_t i = 0; i < type.n; i++) {
        if (type.p[i] < '!' || type.p[i] > '~')
            return false;
    }
    return memchr(type.p, '/', type.n) != NULL;
}

/* Adds what a line has, or counts it where there is no room yet. */
static void read_type_line(struct lh_media *media, struct lh_str line,
                           bool adds)
{
    struct lh_str type, extension;

    if (!take_word(&line, &type) || !is_type(type))
        return;
    while (take_word(&line, &extension)) {
        if (adds)
            media->v[media->n] = (struct lh_media_type){extension, type};
        media->n++;
    }
}

static void read_type_lines(struct lh_media *media, const char *text, size_t n,
                            bool adds)
{
    media->n = 0;
    while (n) {
        const char *end = memchr(text, '\n', n);
        size_t length = end ? (size_t)(end - text) : n;
        const char *comment = memchr(text, '#', length);
        size_t used = comment ? (size_t)(comment - text) : length;
        read_type_line(media, (struct lh_str){text, used}, adds);
        length += end != NULL;
        text += length;
        n -= length;
    }
}

int lh_media_init(struct lh_media *media, char *text, size_t n)
{
    *media = (struct lh_media){.text = text};
    for (size_t i = 0; i < n; i++)
        text[i] = lh_lower(text[i]);
    read_type_lines(media, text, n, false);
    if (media->n == 0)
        return 0;
    media->v = lh_calloc(media->n, sizeof(*media->v));
    if (!media->v) {
        lh_media_deinit(media);
        return LHTTPD_ENOMEM;
    }
    read_type_lines(media, text, n, true);
    qsort(media->v, media->n, sizeof(*media->v), compare_types);
    return 0;
}

void lh_media_deinit(struct lh_media *media)
{
    lh_free(media->v);
    lh_free(media->text);
    *media = (struct lh_media){0};
}

/* --- looking up ----------------------------------------------------------- */

/* The last of those that are equal. */
static struct lh_str find_added(const struct lh_media *media,
                                struct lh_str extension)
{
    size_t low = 0, high = media ? media->n : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_extensions(media->v[middle].extension, extension) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low && compare_extensions(media->v[low - 1].extension, extension) == 0)
        return media->v[low - 1].type;
    return LH_STR("application/octet-stream");
}

struct lh_str lh_media_type(const struct lh_media *media, struct lh_str name)
{
    char lower[EXTENSION_MAX];
    size_t n = 0;

    while (n < name.n && n < EXTENSION_MAX && name.p[name.n - 1 - n] != '.' &&
           name.p[name.n - 1 - n] != '/')
        n++;
    if (n == 0 || n == name.n || n == EXTENSION_MAX ||
        name.p[name.n - 1 - n] != '.')
        return LH_STR("application/octet-stream");
    for (size_t i = 0; i < n; i++)
        lower[i] = lh_lower(name.p[name.n - n + i]);
    struct lh_str key = {lower, n};
    const struct built_in *known =
        bsearch(&key, table, sizeof(table) / sizeof(table[0]), sizeof(table[0]),
                find_built_in);
    return known ? lh_str_of(known->type) : find_added(media, key);
}
