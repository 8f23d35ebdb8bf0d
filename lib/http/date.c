/* Dates in fields: see date.h. */
#include "http/date.h"

#define DAY_S INT64_C(86400)

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "SunMonTueWedThuFriSat";
static const char *const long_days[] = {"Sunday",    "Monday",   "Tuesday",
                                        "Wednesday", "Thursday", "Friday",
                                        "Saturday"};

struct moment {
    unsigned year, month, day, hour, minute, second; /* month from 0 */
};

/* The number of the three letters at p in a list of such; -1: none. */
static int name_at(const char *list, struct lh_str s, size_t at)
{
    for (size_t i = 0; list[i * 3]; i++)
        if (s.n >= at + 3 && memcmp(list + i * 3, s.p + at, 3) == 0)
            return (int)i;
    return -1;
}

/* Compares with a form, in which "0" stands for a digit, "_" for a digit or a
 * blank, and "*" for anything. */
static bool has_form(struct lh_str s, const char *form)
{
    if (s.n != strlen(form))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (form[i] == '0'   ? !digit
            : form[i] == '_' ? !digit && s.p[i] != ' '
                             : form[i] != '*' && form[i] != s.p[i])
            return false;
    }
    return true;
}

/* Of digits, as has_form() has found them. */
static unsigned number_at(struct lh_str s, size_t at, size_t n)
{
    unsigned value = 0;

    for (size_t i = at; i < at + n; i++)
        value = value * 10 + (s.p[i] == ' ' ? 0 : (unsigned)(s.p[i] - '0'));
    return value;
}

static void set_time(struct moment *m, struct lh_str s, size_t at)
{
    m->hour = number_at(s, at, 2);
    m->minute = number_at(s, at + 3, 2);
    m->second = number_at(s, at + 6, 2);
}

/* Since the first day of the year 1, by today's calendar. */
static int64_t days_before_year(int64_t year)
{
    int64_t y = year - 1;

    return y * 365 + y / 4 - y / 100 + y / 400;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned days_of(unsigned month, unsigned year)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30,
                                      31, 31, 30, 31, 30, 31};

    return lengths[month] + (month == 1 && is_leap(year) ? 1U : 0U);
}

/* A leap second is taken as the one before. */
static bool to_unix(const struct moment *m, int64_t *unix_s)
{
    int64_t day = days_before_year(m->year) - days_before_year(1970);

    if (m->year == 0 || m->day == 0 || m->day > days_of(m->month, m->year) ||
        m->hour > 23 || m->minute > 59 || m->second > 60)
        return false;
    for (unsigned i = 0; i < m->month; i++)
        day += days_of(i, m->year);
    day += m->day - 1;
    *unix_s = day * DAY_S + (int64_t)m->hour * 3600 + (int64_t)m->minute * 60 +
              (m->second == 60 ? 59 : m->second);
    return true;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf(struct lh_str s, struct moment *m)
{
    int month = name_at(months, s, 8);

    if (!has_form(s, "***, 00 *** 0000 00:00:00 GMT") || month < 0 ||
        name_at(days, s, 0) < 0)
        return false;
    *m = (struct moment){.year = number_at(s, 12, 4),
                         .month = (unsigned)month,
                         .day = number_at(s, 5, 2)};
    set_time(m, s, 17);
    return true;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(struct lh_str s, struct moment *m)
{
    int month = name_at(months, s, 4);

    if (!has_form(s, "*** *** _0 00:00:00 0000") || month < 0 ||
        name_at(days, s, 0) < 0)
        return false;
    *m = (struct moment){.year = number_at(s, 20, 4),
                         .month = (unsigned)month,
                         .day = number_at(s, 8, 2)};
    set_time(m, s, 11);
    return true;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT".  A year of two digits that would be more
 * than 50 years ahead is the last one with these (RFC 9110, 5.6.7). */
static bool read_rfc850(struct lh_str s, int64_t now_s, struct moment *m)
{
    int month = -1;
    const struct moment january = {.year = 2000, .day = 1};
    int64_t start_s = 0;

    for (size_t i = 0; i < 7; i++) {
        size_t n = strlen(long_days[i]);
        if (s.n <= n || memcmp(s.p, long_days[i], n) != 0)
            continue;
        s.p += n;
        s.n -= n;
        month = name_at(months, s, 5);
        break;
    }
    if (month < 0 || !has_form(s, ", 00-***-00 00:00:00 GMT"))
        return false;
    to_unix(&january, &start_s);
    /* Years of 365.2425 days are exact enough to tell centuries apart. */
    int64_t now_year = 2000 + (now_s - start_s) / 31556952;
    int64_t year = now_year - now_year % 100 + number_at(s, 9, 2);
    if (year > now_year + 50)
        year -= 100;
    *m = (struct moment){.year = year > 0 ? (unsigned)year : 0,
                         .month = (unsigned)month,
                         .day = number_at(s, 2, 2)};
    set_time(m, s, 12);
    return true;
}

/* Only the first form is written any more; the others have to be read all the
 * same (RFC 9110, 5.6.7). */
bool lh_date_parse(struct lh_str text, int64_t now_s, int64_t *unix_s)
{
    struct moment m;

    return (read_imf(text, &m) || read_rfc850(text, now_s, &m) ||
            read_asctime(text, &m)) &&
           to_unix(&m, unix_s);
}
