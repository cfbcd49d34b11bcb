/*
 * `bench`: what virtualization costs, operation by operation, after Adams and Agesen, "A comparison of software and hardware
 * techniques for x86 virtualization" (ASPLOS 2006), 6.3. `exits`: a fixed number of each operation that may leave the guest.
 */
#include "kernel.h"

#define BUDGET (20 * MILLISECOND)

static void report(const char *name, u64 ticks, u64 count)
{
    u64 tenths = ticks * 10 / count;
    print("  %-10s %8lu.%lu cycles  %8lu ns  (%lu times)\n", name, tenths / 10, tenths % 10, clock_from_tsc(ticks) / count, count);
}

/** Runs `fn(argument, count)` with growing counts until it takes BUDGET. */
static void measure(const char *name, void (*fn)(void *, u64), void *argument)
{
    for (u64 n = 64;; n *= 4) {
        u64 start = machine_tsc();
        fn(argument, n);
        u64 ticks = machine_tsc() - start;
        if (clock_from_tsc(ticks) >= BUDGET || n >= 1ul << 28) {
            report(name, ticks, n);
            return;
        }
    }
}

static void operation(void *argument, u64 count) { machine_repeat((u64)argument, count); }

static void measure_operation(enum machine_operation op) { measure(machine_operation_name(op), operation, (void *)op); }

static bool skip_divide(struct frame *frame, void *argument)
{
    (void)argument;
    if (frame->vector != VECTOR_DIVIDE)
        return false;
    frame->rip += DIVIDE_LENGTH;
    return true;
}

/* Touch an unmapped page; the handler maps it, the loop unmaps it again. */
struct page_fault_bench {
    volatile u8 *page;
    u64 *entry, value;
};

static bool map_page(struct frame *frame, void *argument)
{
    struct page_fault_bench *b = argument;
    if (frame->vector != VECTOR_PAGE_FAULT || machine_fault_address() != (u64)b->page)
        return false;
    machine_set_entry(b->entry, b->value);
    return true;
}

static void page_fault(void *argument, u64 count)
{
    struct page_fault_bench *b = argument;
    while (count--) {
        machine_set_entry(b->entry, 0);
        machine_invalidate((u64)b->page);
        (void)*b->page;
    }
}

static void change_entry(void *argument, u64 count)
{
    struct page_fault_bench *b = argument;
    while (count--) {
        machine_set_entry(b->entry, b->value ^ ((count & 1) << 9)); /* a bit that is free for software */
        machine_invalidate((u64)b->page);
        (void)*b->page;
    }
}

void command_bench(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct thread *t = thread_current();
    struct process result;
    char *nano[] = {"nano", NULL};
    if (!process_run(1, nano, 0, &result) || result.status || result.killed)
        return;
    measure_operation(OP_IN);
    measure_operation(OP_CR8_WRITE);
    measure_operation(OP_CALLRET);
    struct page_fault_bench b = {kernel_map(1), NULL, 0};
    if (!b.page) {
        print("no memory\n");
        return;
    }
    b.entry = paging_entry(kernel_root, (u64)b.page, false);
    b.value = *b.entry;
    t->expect = map_page;
    t->expect_argument = &b;
    measure("pgfault", page_fault, &b);
    t->expect = skip_divide;
    measure_operation(OP_DIVIDE);
    t->expect = NULL;
    measure("ptemod", change_entry, &b);
    machine_set_entry(b.entry, b.value);
    kernel_unmap((void *)b.page, 1);
}

void command_exits(int argc, char **argv)
{
    u64 n = 1000;
    if (argc > 2 || (argc == 2 && (!parse_number(argv[1], &n) || n < 1 || n > 1000000000))) {
        print("usage: exits [N]\n");
        return;
    }
    for (int op = 0; op < OP_CALLRET && !console_interrupted(); op++) {
        u64 count = op == OP_HLT ? MIN(n, 10ul) : n; /* each waits for an interrupt */
        u64 start = machine_tsc();
        machine_repeat(op, count);
        report(machine_operation_name(op), machine_tsc() - start, count);
    }
}
