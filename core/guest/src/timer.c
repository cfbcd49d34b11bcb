/* Time: the TSC as the clock, measured against the PIT; the tick from the local APIC's timer or the PIT. */
#include "kernel.h"

#define PIT_COUNTER0 0x40
#define PIT_CONTROL 0x43
#define PIT_RATE_GENERATOR 0x34 /* counter 0, both bytes, mode 2 */
#define PIT_LATCH0 0
#define PIT_HZ 1193182
#define PIT_RELOAD (PIT_HZ / TIMER_HZ)
#define MEASURE PIT_RELOAD /* counts: one tick's length */
#define TSC_HZ_UNKNOWN 1000000000ul

#define APIC_LVT_TIMER 0x320
#define APIC_INITIAL_COUNT 0x380
#define APIC_CURRENT_COUNT 0x390
#define APIC_DIVIDE 0x3e0
#define APIC_DIVIDE_BY_16 3
#define LVT_PERIODIC 0x20000
#define LVT_MASKED 0x10000

extern u64 boot_tsc;
u64 tsc_hz;
volatile u64 timer_ticks;
static u64 clock_scale; /* nanoseconds per TSC tick, 32 bits of fraction */
static u32 apic_hz;     /* of the divided count */

u16 pit_count(void)
{
    machine_out8(PIT_CONTROL, PIT_LATCH0);
    u16 low = machine_in8(PIT_COUNTER0);
    return low | machine_in8(PIT_COUNTER0) << 8;
}

static void pit_start(void)
{
    machine_out8(PIT_CONTROL, PIT_RATE_GENERATOR);
    machine_out8(PIT_COUNTER0, PIT_RELOAD & 0xff);
    machine_out8(PIT_COUNTER0, PIT_RELOAD >> 8);
}

/** Measures the TSC (and the APIC's timer) over MEASURE counts of the PIT; false if the PIT stands still. */
static bool measure(void)
{
    pit_start();
    if (interrupt_has_apic()) {
        apic_write(APIC_DIVIDE, APIC_DIVIDE_BY_16);
        apic_write(APIC_LVT_TIMER, LVT_MASKED);
    }
    u16 last = pit_count();
    for (int tries = 0; pit_count() == last; tries++)
        if (tries == 100000)
            return false;
    last = pit_count();
    u64 start = machine_tsc();
    if (interrupt_has_apic())
        apic_write(APIC_INITIAL_COUNT, ~0u);
    u32 passed = 0;
    while (passed < MEASURE) {
        u16 now = pit_count();
        passed += now <= last ? last - now : last + PIT_RELOAD - now;
        last = now;
    }
    u64 ticks = machine_tsc() - start;
    u32 apic_ticks = interrupt_has_apic() ? ~apic_read(APIC_CURRENT_COUNT) : 0;
    tsc_hz = ticks * PIT_HZ / passed;
    apic_hz = (u64)apic_ticks * PIT_HZ / passed;
    return true;
}

void timer_start(void)
{
    if (!measure() || !tsc_hz) {
        tsc_hz = TSC_HZ_UNKNOWN;
        note("timer: the PIT does not count; times are guessed\n");
    }
    clock_scale = (SECOND << 32) / tsc_hz;
    if (apic_hz) {
        apic_write(APIC_LVT_TIMER, LVT_PERIODIC | VECTOR_TIMER);
        apic_write(APIC_INITIAL_COUNT, apic_hz / TIMER_HZ);
    } else {
        pit_start();
        interrupt_register(0, NULL);
    }
}

const char *timer_name(void) { return apic_hz ? "local APIC" : "PIT"; }
u32 timer_apic_hz(void) { return apic_hz; }

u64 clock_from_tsc(u64 ticks) { return (unsigned __int128)ticks * clock_scale >> 32; }
u64 clock_now(void) { return clock_from_tsc(machine_tsc() - boot_tsc); }

void delay(u64 nanoseconds)
{
    u64 until = clock_now() + nanoseconds;
    while (clock_now() < until)
        __builtin_ia32_pause();
}
