/*
 * The clocks: see clock.h.  The calendar is computed here since the C library's
 * conversion takes a lock for the time zone.
 */
#include "os/clock.h"

#include <string.h>
#include <time.h>

#define DAY_S 86400

/* The days of 4, 100 and 400 years that begin on 1 March: a leap day is the
 * last of its 4 or 400 years then. */
enum { DAYS_1 = 365, DAYS_4 = 1461, DAYS_100 = 36524, DAYS_400 = 146097 };

#define DAYS_BEFORE_1970 INT64_C(719468)       /* from 0000-03-01 */
#define FIRST_S          INT64_C(-62167219200) /* 0000-01-01T00:00:00Z */
#define LAST_S           INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t = {0, 0};

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t lh_clock_ms(void)
{
    return now_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}

uint64_t lh_clock_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

int64_t lh_clock_unix_s(void)
{
    struct timespec t = {0, 0};

    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return (int64_t)t.tv_sec;
}

int64_t lh_clock_unix_us(void)
{
    return (int64_t)(now_ns(CLOCK_REALTIME) / 1000);
}

struct calendar {
    unsigned year, month, day; /* month and day from 0 */
    unsigned weekday;          /* from 0, Sunday */
    unsigned hour, minute, second;
};

static unsigned at_most(unsigned n, unsigned max)
{
    return n < max ? n : max;
}

static void set_date(struct calendar *c, unsigned days)
{
    /* From March, as `days` counts; February never needs its length. */
    static const uint8_t month_days[] = {31, 30, 31, 30, 31, 31,
                                         30, 31, 30, 31, 31};
    unsigned month = 0;

    c->year = days / DAYS_400 * 400;
    days %= DAYS_400;
    unsigned centuries = at_most(days / DAYS_100, 3);
    c->year += centuries * 100;
    days -= centuries * DAYS_100;
    c->year += days / DAYS_4 * 4;
    days %= DAYS_4;
    unsigned years = at_most(days / DAYS_1, 3);
    c->year += years;
    days -= years * DAYS_1;
    while (month < sizeof(month_days) && days >= month_days[month])
        days -= month_days[month++];
    c->year += month >= 10;
    c->month = (month + 2) % 12;
    c->day = days;
}

static void to_calendar(struct calendar *c, int64_t unix_s)
{
    if (unix_s < FIRST_S)
        unix_s = FIRST_S;
    if (unix_s > LAST_S)
        unix_s = LAST_S;
    /* One more 400 years, which the calendar repeats after, so that January
     * and February of year 0 do not become negative. */
    uint64_t s = (uint64_t)(unix_s + (DAYS_BEFORE_1970 + DAYS_400) * DAY_S);
    unsigned days = (unsigned)(s / DAY_S), rest = (unsigned)(s % DAY_S);
    set_date(c, days);
    c->year -= 400;
    c->weekday = (days + 3) % 7; /* 0000-03-01 was a Wednesday */
    c->hour = rest / 3600;
    c->minute = rest / 60 % 60;
    c->second = rest % 60;
}

/* Writes the value with zeros in front, and returns where it ends. */
static char *put_digits(char *out, unsigned width, unsigned value)
{
    for (unsigned i = width; i-- > 0; value /= 10)
        out[i] = (char)('0' + value % 10);
    return out + width;
}

static char *put_letters(char *out, const char *s, size_t n)
{
    memcpy(out, s, n);
    return out + n;
}

static char *put_time(char *out, const struct calendar *c)
{
    out = put_digits(out, 2, c->hour);
    *out++ = ':';
    out = put_digits(out, 2, c->minute);
    *out++ = ':';
    return put_digits(out, 2, c->second);
}

/* Names of days and months are English in every locale. */
static char *put_month(char *out, const struct calendar *c)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    return put_letters(out, months + (size_t)3 * c->month, 3);
}

void lh_clock_imf_date(int64_t unix_s, char out[30])
{
    static const char weekdays[] = "SunMonTueWedThuFriSat";
    struct calendar c;

    to_calendar(&c, unix_s);
    out = put_letters(out, weekdays + (size_t)3 * c.weekday, 3);
    out = put_letters(out, ", ", 2);
    out = put_digits(out, 2, c.day + 1);
    *out++ = ' ';
    out = put_month(out, &c);
    *out++ = ' ';
    out = put_digits(out, 4, c.year);
    *out++ = ' ';
    out = put_time(out, &c);
    put_letters(out, " GMT", sizeof(" GMT"));
}

void lh_clock_iso_date(int64_t unix_s, char out[LH_CLOCK_ISO_BYTES])
{
    struct calendar c;

    to_calendar(&c, unix_s);
    out = put_digits(out, 4, c.year);
    *out++ = '-';
    out = put_digits(out, 2, c.month + 1);
    *out++ = '-';
    out = put_digits(out, 2, c.day + 1);
    *out++ = 'T';
    out = put_time(out, &c);
    put_letters(out, "Z", sizeof("Z"));
}

void lh_clock_clf_date(int64_t unix_s, char out[LH_CLOCK_CLF_BYTES])
{
    struct calendar c;

    to_calendar(&c, unix_s);
    out = put_digits(out, 2, c.day + 1);
    *out++ = '/';
    out = put_month(out, &c);
    *out++ = '/';
    out = put_digits(out, 4, c.year);
    *out++ = ':';
    out = put_time(out, &c);
    put_letters(out, " +0000", sizeof(" +0000"));
}
