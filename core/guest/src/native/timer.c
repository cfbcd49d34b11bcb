/* The PC's timers: the TSC measured against the PIT; the tick from the local APIC's timer or the PIT. */
#include "native.h"

#define PIT_COUNTER0 0x40
#define PIT_CONTROL 0x43
#define PIT_RATE_GENERATOR 0x34 /* counter 0, both bytes, mode 2 */
#define PIT_LATCH0 0
#define PIT_HZ 1193182
#define PIT_RELOAD (PIT_HZ / TIMER_HZ)
#define MEASURE (PIT_RELOAD / 2) /* counts: 5 ms */
#define ATTEMPTS 20

#define APIC_LVT_TIMER 0x320
#define APIC_INITIAL_COUNT 0x380
#define APIC_CURRENT_COUNT 0x390
#define APIC_DIVIDE 0x3e0
#define APIC_DIVIDE_BY_16 3
#define LONGEST_PAUSE (10 * SECOND)
#define LVT_PERIODIC 0x20000
#define LVT_MASKED 0x10000

static u32 apic_hz; /* of the divided count */
static bool paused;

static u32 pit_count(void)
{
    native_out8(PIT_CONTROL, PIT_LATCH0);
    u16 low = native_in8(PIT_COUNTER0);
    return low | native_in8(PIT_COUNTER0) << 8;
}

static u32 apic_count(void) { return native_apic_read(APIC_CURRENT_COUNT); }

/** Counts down from `reload` over and over; 0 is 65536. */
static void pit_start(u16 reload)
{
    native_out8(PIT_CONTROL, PIT_RATE_GENERATOR);
    native_out8(PIT_COUNTER0, reload & 0xff);
    native_out8(PIT_COUNTER0, reload >> 8);
}

/** A counter and the TSC at the same moment: of some readings, the one that took least (a busy host may pause us in one). */
static u32 read_with_tsc(u32 (*counter)(void), u64 *tsc)
{
    u64 least = ~0ul;
    u32 count = 0;
    for (int i = 0; i < 5; i++) {
        u64 before = machine_tsc();
        u32 now = counter();
        u64 took = machine_tsc() - before;
        if (took < least) {
            least = took;
            count = now;
            *tsc = before + took / 2;
        }
    }
    return count;
}

/** Counts over and over from now on; false if the PIT stands still. */
static bool pit_counts(void)
{
    pit_start(0);
    u32 first = pit_count();
    for (int tries = 0; tries < 100000; tries++)
        if (pit_count() != first)
            return true;
    return false;
}

/**
 * Measures the TSC (and the APIC's timer) over MEASURE counts of the PIT, and takes what comes out if no measurement was shorter. False if something
 * held us up, which may have hidden a wrap of the PIT's.
 */
static bool measure(u64 *shortest)
{
    if (native_has_apic()) {
        native_apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_16);
        native_apic_write(APIC_LVT_TIMER, LVT_MASKED);
        native_apic_write(APIC_INITIAL_COUNT, ~0u);
    }
    u64 start = 0, end = 0, apic_start = 0, apic_end = 0, longest = 0;
    u16 first = read_with_tsc(pit_count, &start), last;
    u32 apic_first = native_has_apic() ? read_with_tsc(apic_count, &apic_start) : 0;
    end = start;
    do {
        u64 previous = end;
        last = read_with_tsc(pit_count, &end);
        longest = MAX(longest, end - previous);
    } while ((u16)(first - last) < MEASURE); /* modulo 65536, 55 ms: exact across a wrap */
    u32 apic_last = native_has_apic() ? read_with_tsc(apic_count, &apic_end) : 0;
    u64 took = end - start;
    if (took < *shortest) {
        *shortest = took;
        tsc_hz = took * PIT_HZ / (u16)(first - last);
        if (native_has_apic())
            apic_hz = (u64)(apic_first - apic_last) * tsc_hz / (apic_end - apic_start); /* it counts down */
    }
    return longest < took / 2;
}

void native_timer_start(void)
{
    u64 shortest = ~0ul;
    if (!pit_counts())
        note("timer: the PIT does not count; times are guessed\n");
    else
        for (int n = 1; !measure(&shortest) && n < ATTEMPTS; n++)
            ;
    if (apic_hz) {
        native_apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
        native_apic_write(APIC_INITIAL_COUNT, apic_hz / TIMER_HZ);
    } else {
        pit_start(PIT_RELOAD);
        native_interrupt_register(0, NULL);
    }
}

void native_timer_pause(u64 until)
{
    if (!apic_hz)
        return;
    u64 now = clock_now(), wait = until > now ? until - now : 0;
    wait = until ? MIN(wait, LONGEST_PAUSE) : LONGEST_PAUSE;
    if (wait < 2 * SECOND / TIMER_HZ && !paused)
        return; /* not worth it */
    native_apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    native_apic_write(APIC_INITIAL_COUNT, wait * apic_hz / SECOND + 1);
    paused = true;
}

void native_timer_resume(void)
{
    if (!paused)
        return;
    paused = false;
    native_apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
    native_apic_write(APIC_INITIAL_COUNT, apic_hz / TIMER_HZ);
}

const char *native_timer_name(void) { return apic_hz ? "local APIC" : "PIT"; }
u32 native_timer_apic_hz(void) { return apic_hz; }

