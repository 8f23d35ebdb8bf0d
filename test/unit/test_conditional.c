/* Conditional requests, by RFC 9110, 13. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/conditional.h"

#define DATE    "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER   "Sun, 06 Nov 1994 08:49:38 GMT"
#define DATE_S  INT64_C(784111777)
#define NOW_S   (DATE_S + 100)
#define FIELDS  4

static struct lh_field field_list[FIELDS];

/* Of "name: value" lines. */
static struct lh_request make_request(const char *method, const char *lines)
{
    struct lh_request r = {.method = lh_str_of(method)};

    r.head = strcmp(method, "HEAD") == 0;
    r.fields.v = field_list;
    for (const char *p = lines; *p; r.fields.n++) {
        const char *colon = strstr(p, ": "), *end = strchr(p, '\n');
        assert_true(colon && end && r.fields.n < FIELDS);
        field_list[r.fields.n] = (struct lh_field){
            {p, (size_t)(colon - p)}, {colon + 2, (size_t)(end - colon - 2)}};
        p = end + 1;
    }
    return r;
}

struct row {
    const char *method, *lines, *etag;
    unsigned status; /* 200: it holds */
};

#define INM "if-none-match: "
#define IMS "if-modified-since: "
#define IM  "if-match: "
#define IUS "if-unmodified-since: "

static const struct row rows[] = {
    {"GET", "", "\"a\"", 200},
    /* If-None-Match compares weakly. */
    {"GET", INM "\"a\"\n", "\"a\"", 304},
    {"HEAD", INM "\"a\"\n", "\"a\"", 304},
    {"PUT", INM "\"a\"\n", "\"a\"", 412},
    {"GET", INM "W/\"a\"\n", "\"a\"", 304},
    {"GET", INM "\"a\"\n", "W/\"a\"", 304},
    {"GET", INM "W/\"a\"\n", "W/\"a\"", 304},
    {"GET", INM "\"b\"\n", "\"a\"", 200},
    {"GET", INM "\"A\"\n", "\"a\"", 200},
    {"GET", INM "\"b\", \"a\"\n", "\"a\"", 304},
    {"GET", INM "\"b\",,W/\"a\"\n", "\"a\"", 304},
    {"GET", INM "\"b\"\n" INM "\"a\"\n", "\"a\"", 304},
    {"GET", INM "\"b\"\n" INM "\"c\"\n", "\"a\"", 200},
    {"GET", INM "*\n", "\"a\"", 304},
    {"PUT", INM "*\n", "\"a\"", 412},
    {"GET", INM "\"x, \"a\"\n", "\"a\"", 200},
    {"GET", INM "\"x,y\", \"a\"\n", "\"a\"", 304},
    {"GET", INM "a\n", "\"a\"", 200},
    {"GET", INM "\"a\n", "\"a\"", 200},
    {"GET", INM "w/\"a\"\n", "\"a\"", 200},
    {"GET", INM "\n", "\"a\"", 200},
    /* If-Modified-Since counts without it alone. */
    {"GET", IMS DATE "\n", "\"a\"", 304},
    {"HEAD", IMS DATE "\n", "\"a\"", 304},
    {"GET", IMS LATER "\n", "\"a\"", 304},
    {"GET", IMS EARLIER "\n", "\"a\"", 200},
    {"PUT", IMS DATE "\n", "\"a\"", 200},
    {"GET", IMS "yesterday\n", "\"a\"", 200},
    {"GET", IMS DATE "\n" IMS DATE "\n", "\"a\"", 200},
    {"GET", IMS "Sunday, 06-Nov-94 08:49:37 GMT\n", "\"a\"", 304},
    {"GET", INM "\"b\"\n" IMS DATE "\n", "\"a\"", 200},
    {"GET", INM "\"a\"\n" IMS EARLIER "\n", "\"a\"", 304},
    {"GET", INM "b\n" IMS DATE "\n", "\"a\"", 200},
    /* If-Match compares strongly. */
    {"GET", IM "\"a\"\n", "\"a\"", 200},
    {"GET", IM "\"b\", \"a\"\n", "\"a\"", 200},
    {"GET", IM "\"b\"\n", "\"a\"", 412},
    {"GET", IM "W/\"a\"\n", "\"a\"", 412},
    {"GET", IM "\"a\"\n", "W/\"a\"", 412},
    {"GET", IM "W/\"a\"\n", "W/\"a\"", 412},
    {"GET", IM "*\n", "W/\"a\"", 200},
    {"GET", IM "nonsense\n", "\"a\"", 412},
    {"PUT", IM "\"b\"\n", "\"a\"", 412},
    /* If-Unmodified-Since counts without it alone. */
    {"GET", IUS DATE "\n", "\"a\"", 200},
    {"GET", IUS LATER "\n", "\"a\"", 200},
    {"GET", IUS EARLIER "\n", "\"a\"", 412},
    {"GET", IUS "tomorrow\n", "\"a\"", 200},
    {"GET", IM "\"a\"\n" IUS EARLIER "\n", "\"a\"", 200},
    {"GET", IM "\"b\"\n" IUS LATER "\n", "\"a\"", 412},
    /* The order of 13.2.2. */
    {"GET", IM "\"a\"\n" INM "\"a\"\n", "\"a\"", 304},
    {"GET", IM "\"b\"\n" INM "\"a\"\n", "\"a\"", 412},
    {"GET", IUS EARLIER "\n" IMS LATER "\n", "\"a\"", 412},
    {"GET", IUS DATE "\n" IMS DATE "\n", "\"a\"", 304},
};

static void precedence(void **state)
{
    static const unsigned statuses[] = {200, 304, 412};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lh_request r = make_request(rows[i].method, rows[i].lines);
        struct lh_validators v = {lh_str_of(rows[i].etag), DATE_S};
        unsigned status = statuses[lh_condition_check(&r, &v, NOW_S)];
        if (status != rows[i].status)
            fail_msg("%s %s-> %u, not %u", rows[i].method, rows[i].lines,
                     status, rows[i].status);
    }
}

/* Without a tag only "*" matches, without a date no date does. */
static void no_validators(void **state)
{
    struct lh_validators v = {{NULL, 0}, LH_MODIFIED_UNKNOWN};
    struct lh_request r = make_request("GET", INM "\"a\"\n");

    (void)state;
    assert_int_equal(lh_condition_check(&r, &v, NOW_S), LH_CONDITION_HOLDS);
    r = make_request("GET", IM "*\n");
    assert_int_equal(lh_condition_check(&r, &v, NOW_S), LH_CONDITION_HOLDS);
    r = make_request("GET", IM "\"a\"\n");
    assert_int_equal(lh_condition_check(&r, &v, NOW_S), LH_CONDITION_FAILED);
    r = make_request("GET", IMS LATER "\n" IUS EARLIER "\n");
    assert_int_equal(lh_condition_check(&r, &v, NOW_S), LH_CONDITION_HOLDS);
    r = make_request("GET", "if-range: " DATE "\n");
    assert_false(lh_condition_allows_range(&r, &v, NOW_S));
}

static void if_range(void **state)
{
    static const struct {
        const char *value, *etag;
        int64_t now_s;
        bool allowed;
    } cases[] = {
        {"\"a\"", "\"a\"", NOW_S, true},
        {"\"b\"", "\"a\"", NOW_S, false},
        {"W/\"a\"", "\"a\"", NOW_S, false},
        {"W/\"a\"", "W/\"a\"", NOW_S, false},
        {"\"a\"", "W/\"a\"", NOW_S, false},
        {"\"a\", \"b\"", "\"a\"", NOW_S, false},
        {"*", "\"a\"", NOW_S, false},
        {DATE, "\"a\"", NOW_S, true},
        {DATE, "\"a\"", DATE_S + 1, false}, /* it may change again */
        {LATER, "\"a\"", NOW_S, false},
        {EARLIER, "\"a\"", NOW_S, false},
        {"nonsense", "\"a\"", NOW_S, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[80] = "if-range: ";
        struct lh_validators v = {lh_str_of(cases[i].etag), DATE_S};
        memcpy(line + 10, cases[i].value, strlen(cases[i].value));
        line[10 + strlen(cases[i].value)] = '\n';
        struct lh_request r = make_request("GET", line);
        if (lh_condition_allows_range(&r, &v, cases[i].now_s) !=
            cases[i].allowed)
            fail_msg("%s of %s", cases[i].value, cases[i].etag);
    }
    struct lh_request r = make_request("GET", "");
    struct lh_validators v = {LH_STR("\"a\""), DATE_S};
    assert_true(lh_condition_allows_range(&r, &v, NOW_S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(no_validators),
        cmocka_unit_test(if_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
