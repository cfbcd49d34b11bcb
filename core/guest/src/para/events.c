/* Event channels, and the clocks that come by them. */
#include "para.h"

#define PORTS 64
#define PERIOD (SECOND / TIMER_HZ)
#define LONGEST_PAUSE (10 * SECOND)

static void (*handlers[PORTS])(void);
static u64 next_tick; /* system time */
static bool paused;

void para_bind(u32 port, void (*handler)(void))
{
    if (port >= PORTS)
        panic("event channel %u", port);
    handlers[port] = handler;
    para_do(HYPERVISOR_event_channel_op, EVTCHNOP_unmask, (u64)&port, 0, 0);
}

void para_bind_virq(u32 virq, void (*handler)(void))
{
    struct evtchn_bind_virq bind = {virq, 0, 0};
    para_do(HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, (u64)&bind, 0, 0);
    para_bind(bind.port, handler);
}

void para_notify(u32 port) { para_do(HYPERVISOR_event_channel_op, EVTCHNOP_send, (u64)&port, 0, 0); }

void para_interrupt_start(void)
{
    for (int i = 0; i < 64; i++)
        para_shared_info.evtchn_mask[i] = ~0ul;
}

const char *para_interrupt_controller(void) { return "event channels"; }

void para_interrupt_dispatch(u64 vector)
{
    (void)vector;
    while (__atomic_exchange_n(&VCPU_INFO->evtchn_upcall_pending, 0, __ATOMIC_SEQ_CST)) {
        u64 words = __atomic_exchange_n(&VCPU_INFO->evtchn_pending_sel, 0, __ATOMIC_SEQ_CST);
        for (; words; words &= words - 1) {
            int word = __builtin_ctzl(words);
            u64 mask = para_shared_info.evtchn_mask[word];
            u64 ports = __atomic_fetch_and(&para_shared_info.evtchn_pending[word], mask, __ATOMIC_SEQ_CST) & ~mask;
            for (; ports; ports &= ports - 1) {
                int port = word * 64 + __builtin_ctzl(ports);
                if (port < PORTS && handlers[port])
                    handlers[port]();
            }
        }
    }
}

/** Nanoseconds of Xen's time, as the shared page gives them. */
static u64 system_time(void)
{
    const volatile struct vcpu_time_info *t = &VCPU_INFO->time;
    u32 version;
    u64 time;
    do {
        version = t->version;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        u64 ticks = machine_tsc() - t->tsc_timestamp;
        ticks = t->tsc_shift < 0 ? ticks >> -t->tsc_shift : ticks << t->tsc_shift;
        time = t->system_time + (u64)((unsigned __int128)ticks * t->tsc_to_system_mul >> 32);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((version & 1) || version != t->version);
    return time;
}

static void set_timer(u64 at)
{
    struct vcpu_set_singleshot_timer timer = {at, 0};
    para_do(HYPERVISOR_vcpu_op, VCPUOP_set_singleshot_timer, 0, (u64)&timer, 0);
}

static void timer_event(void)
{
    timer_tick();
    if (paused)
        return;
    u64 now = system_time();
    next_tick = next_tick + PERIOD > now ? next_tick + PERIOD : now + PERIOD;
    set_timer(next_tick);
}

void para_timer_start(void)
{
    const struct vcpu_time_info *t = &VCPU_INFO->time;
    u64 hz = (SECOND << 32) / t->tsc_to_system_mul;
    tsc_hz = t->tsc_shift < 0 ? hz << -t->tsc_shift : hz >> t->tsc_shift;
    hypercall(HYPERVISOR_vcpu_op, VCPUOP_stop_periodic_timer, 0, 0, 0);
    para_bind_virq(VIRQ_TIMER, timer_event);
    paused = true;
    para_timer_resume();
}

const char *para_timer_name(void) { return "single-shot timer"; }

void para_timer_pause(u64 until)
{
    u64 now = clock_now(), wait = until > now ? until - now : 0;
    wait = until ? MIN(wait, LONGEST_PAUSE) : LONGEST_PAUSE;
    if (wait < 2 * PERIOD && !paused)
        return; /* not worth it */
    set_timer(system_time() + wait);
    paused = true;
}

void para_timer_resume(void)
{
    if (!paused)
        return;
    paused = false;
    next_tick = system_time() + PERIOD;
    set_timer(next_tick);
}

/** The wall clock is what it was when system time began, plus system time. */
bool para_date(struct date *d)
{
    const volatile struct shared_info *s = &para_shared_info;
    u32 version;
    u64 since;
    do {
        version = s->wc_version;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        since = ((u64)s->wc_sec_hi << 32 | s->wc_sec) + (s->wc_nsec + system_time()) / SECOND;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((version & 1) || version != s->wc_version);
    u64 day = since / 86400, second = since % 86400;
    d->hour = second / 3600;
    d->minute = second / 60 % 60;
    d->second = second % 60;
    d->weekday = (day + 4) % 7 + 1; /* 1 January 1970 was a Thursday; 1 is Sunday */
    /* Years that begin in March, from 0000-03-01: the leap day is their last one. */
    u64 z = day + 719468, era = z / 146097, in_era = z % 146097;
    u64 year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    u64 in_year = in_era - (365 * year + year / 4 - year / 100), month = (5 * in_year + 2) / 153;
    d->day = in_year - (153 * month + 2) / 5 + 1;
    d->month = month < 10 ? month + 3 : month - 9;
    d->year = year + era * 400 + (d->month <= 2);
    return true;
}
