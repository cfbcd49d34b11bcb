/* The MC146818 real-time clock. */
#include "native.h"

#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define RTC_SECONDS 0
#define RTC_MINUTES 2
#define RTC_HOURS 4
#define RTC_WEEKDAY 6
#define RTC_DAY 7
#define RTC_MONTH 8
#define RTC_YEAR 9
#define RTC_A 10
#define RTC_B 11
#define RTC_CENTURY 0x32
#define RTC_A_UPDATE 0x80
#define RTC_B_24H 2
#define RTC_B_BINARY 4
#define HOURS_PM 0x80
#define RTC_READS 1000
#define RTC_TRIES 100

static u8 cmos(u8 index)
{
    native_out8(CMOS_INDEX, index);
    return native_in8(CMOS_DATA);
}

static int decimal(u8 v, bool binary) { return binary ? v : (v >> 4) * 10 + (v & 15); }

static void read_once(u8 r[8])
{
    static const u8 registers[8] = {RTC_SECONDS, RTC_MINUTES, RTC_HOURS, RTC_WEEKDAY, RTC_DAY, RTC_MONTH, RTC_YEAR, RTC_CENTURY};
    for (int i = 0; i < 8; i++)
        r[i] = cmos(registers[i]);
}

bool native_date(struct date *d)
{
    u8 r[8], again[8];
    /* Two equal readings, none during an update (at most 2 ms). Time alone tells nothing: a busy host may pause us. */
    for (int n = 1;; n++) {
        u64 until = clock_now() + 20 * MILLISECOND;
        for (int i = 0; cmos(RTC_A) & RTC_A_UPDATE; i++)
            if (i > RTC_READS && clock_now() > until)
                return false;
        read_once(r);
        read_once(again);
        if (!memcmp(r, again, sizeof r))
            break;
        if (n == RTC_TRIES)
            return false;
    }
    u8 b = cmos(RTC_B);
    bool binary = b & RTC_B_BINARY;
    d->second = decimal(r[0], binary);
    d->minute = decimal(r[1], binary);
    d->hour = decimal(r[2] & ~HOURS_PM, binary);
    if (!(b & RTC_B_24H))
        d->hour = d->hour % 12 + (r[2] & HOURS_PM ? 12 : 0);
    d->weekday = decimal(r[3], binary);
    d->day = decimal(r[4], binary);
    d->month = decimal(r[5], binary);
    int century = decimal(r[7], binary);
    d->year = decimal(r[6], binary) + (century >= 19 && century <= 21 ? century * 100 : 2000);
    return d->month >= 1 && d->month <= 12 && d->day >= 1 && d->day <= 31;
}
