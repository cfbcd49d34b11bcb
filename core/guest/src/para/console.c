/* The console: a ring shared with the host, or, in the first domain, a hypercall. */
#include "para.h"

#define PATIENCE 100000

static struct xencons_interface *ring;
static bool present, first_domain;

const char *para_console_name(void) { return !present ? "none" : first_domain ? "hvc0, by hypercall" : "hvc0"; }

void para_console_start(void)
{
    first_domain = para_start_info.flags & SIF_INITDOMAIN;
    if (!first_domain)
        ring = para_shared_page(para_start_info.console.mfn);
    present = true;
}

static void put(char c)
{
    u32 produced = ring->out_prod;
    for (int i = 0; produced - *(volatile u32 *)&ring->out_cons >= sizeof ring->out; i++) {
        if (i == PATIENCE)
            return;
        para_notify(para_start_info.console.evtchn);
        hypercall(HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0);
    }
    ring->out[produced % sizeof ring->out] = c;
    __atomic_store_n(&ring->out_prod, produced + 1, __ATOMIC_RELEASE);
}

void para_console_write(const char *text, size_t length)
{
    if (!present)
        return;
    if (first_domain) {
        hypercall(HYPERVISOR_console_io, CONSOLEIO_write, length, (u64)text, 0);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            put('\r');
        put(text[i]);
    }
    para_notify(para_start_info.console.evtchn);
}

static void receive(void)
{
    char c;
    if (first_domain) {
        while (hypercall(HYPERVISOR_console_io, CONSOLEIO_read, 1, (u64)&c, 0) == 1)
            console_typed(c);
        return;
    }
    u32 consumed = ring->in_cons;
    while (consumed != __atomic_load_n(&ring->in_prod, __ATOMIC_ACQUIRE)) {
        c = ring->in[consumed++ % sizeof ring->in];
        __atomic_store_n(&ring->in_cons, consumed, __ATOMIC_RELEASE);
        console_typed(c);
    }
    para_notify(para_start_info.console.evtchn); /* there is room again */
}

void para_console_listen(void)
{
    if (!present)
        return;
    if (first_domain)
        para_bind_virq(VIRQ_CONSOLE, receive);
    else
        para_bind(para_start_info.console.evtchn, receive);
    receive(); /* what was typed before */
}

void para_console_poll(void) {}
bool para_console_polled(void) { return false; }
