/* Time: the TSC is the clock; the machine says how fast it is, and ticks. */
#include "kernel.h"

#define TSC_HZ_UNKNOWN 1000000000ul

u64 boot_tsc, tsc_hz;
volatile u64 timer_ticks;
static u64 clock_scale; /* nanoseconds per TSC tick, 32 bits of fraction */

void timer_start(void)
{
    machine->timer_start();
    if (!tsc_hz)
        tsc_hz = TSC_HZ_UNKNOWN;
    clock_scale = (SECOND << 32) / tsc_hz;
}

void timer_tick(void)
{
    timer_ticks++;
    this_cpu()->ticks++;
    machine->console_poll();
    thread_tick();
}

u64 clock_from_tsc(u64 ticks) { return (unsigned __int128)ticks * clock_scale >> 32; }
u64 clock_now(void) { return clock_from_tsc(machine_tsc() - boot_tsc); }

void delay(u64 nanoseconds)
{
    u64 until = clock_now() + nanoseconds;
    while (clock_now() < until)
        __builtin_ia32_pause();
}
