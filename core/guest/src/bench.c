/*
 * `bench`: what virtualization costs, operation by operation, after Adams and Agesen, "A comparison of software and hardware
 * techniques for x86 virtualization" (ASPLOS 2006), 6.3; `bench NAME COUNT` does one of them so many times, for who counts exits
 * meanwhile. `exits`: a fixed number of each operation that may leave the guest.
 */
#include "kernel.h"

#define BUDGET (20 * MILLISECOND)

static void report(const char *name, u64 ticks, u64 count)
{
    u64 tenths = ticks * 10 / count;
    print("  %-10s %8lu.%lu cycles  %8lu ns  (%lu times)\n", name, tenths / 10, tenths % 10, clock_from_tsc(ticks) / count, count);
}

/** False: this machine has no such operation. */
typedef bool repeat_fn(void *argument, u64 count);

/** Runs `fn(argument, count)`; with a count of 0, with growing ones until it takes BUDGET. */
static void measure(const char *name, repeat_fn *fn, void *argument, u64 count)
{
    for (u64 n = count ? count : 64;; n *= 4) {
        u64 start = machine_tsc();
        bool there = fn(argument, n);
        u64 ticks = machine_tsc() - start;
        if (!there) {
            print("%s: not an operation of a %s guest\n", name, machine->name);
            return;
        }
        if (count) {
            print("%s: %lu operations, %lu cycles\n", name, n, ticks);
            return;
        }
        if (clock_from_tsc(ticks) >= BUDGET || n >= 1ul << 28) {
            report(name, ticks, n);
            return;
        }
    }
}

static bool operation(void *argument, u64 count) { return machine->repeat((u64)argument, count); }

static void measure_operation(enum machine_operation op, u64 count)
{
    measure(machine_operation_name(op), operation, (void *)op, count);
}

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
    if (frame->vector != VECTOR_PAGE_FAULT || machine->fault_address() != (u64)b->page)
        return false;
    machine_set_entry(b->entry, b->value);
    return true;
}

static bool page_fault(void *argument, u64 count)
{
    struct page_fault_bench *b = argument;
    while (count--) {
        machine_set_entry(b->entry, 0);
        machine_invalidate((u64)b->page);
        (void)*b->page;
    }
    return true;
}

static bool change_entry(void *argument, u64 count)
{
    struct page_fault_bench *b = argument;
    while (count--) {
        machine_set_entry(b->entry, b->value ^ ((count & 1) << 9)); /* a bit that is free for software */
        machine_invalidate((u64)b->page);
        (void)*b->page;
    }
    return true;
}

/* Entries of a page table changed at a stretch, as far as the machine takes them so. */
#define STRETCH 64

struct stretch_bench {
    volatile u8 *pages;
    u64 *entry[STRETCH], value[STRETCH];
};

static bool change_stretch(void *argument, u64 count)
{
    struct stretch_bench *b = argument;
    while (count--) {
        bool on = machine_disable();
        machine->begin_batch();
        for (int i = 0; i < STRETCH; i++) {
            machine_set_entry(b->entry[i], b->value[i] ^ ((count & 1) << 9));
            machine_invalidate((u64)b->pages + i * PAGE);
        }
        machine->end_batch();
        machine_restore(on);
        for (int i = 0; i < STRETCH; i++)
            (void)b->pages[i * PAGE];
    }
    return true;
}

static void measure_stretch(u64 count)
{
    static struct stretch_bench b;
    b.pages = kernel_map(STRETCH);
    if (!b.pages) {
        print("no memory\n");
        return;
    }
    for (int i = 0; i < STRETCH; i++) {
        b.entry[i] = paging_entry(kernel_root, (u64)b.pages + i * PAGE, false);
        b.value[i] = machine_entry(b.entry[i]);
    }
    measure("ptemods", change_stretch, &b, count);
    kernel_unmap((void *)b.pages, STRETCH);
}

/* Pages of a disk, one at a time or many under way. */
#define DEEP 32

static bool read_disk(void *depth, u64 count) { return !machine->read_disk(count, (u64)depth); }

static void measure_disk(const char *name, u64 depth, u64 count)
{
    const char *why = machine->read_disk(0, depth);
    if (why)
        print("%s: %s\n", name, why);
    else
        measure(name, read_disk, (void *)depth, count);
}

/** Those that are measured in user mode; by `name` only that one. */
static void measure_in_user_mode(char *name, char *count)
{
    struct process result;
    char *nano[] = {"nano", name, count, NULL};
    process_run(name ? 3 : 1, nano, 0, &result);
}

static void measure_page(const char *name, repeat_fn *fn, u64 count)
{
    struct page_fault_bench b = {kernel_map(1), NULL, 0};
    if (!b.page) {
        print("no memory\n");
        return;
    }
    b.entry = paging_entry(kernel_root, (u64)b.page, false);
    b.value = machine_entry(b.entry);
    struct thread *t = thread_current();
    t->expect = map_page;
    t->expect_argument = &b;
    measure(name, fn, &b, count);
    t->expect = NULL;
    machine_set_entry(b.entry, b.value);
    kernel_unmap((void *)b.page, 1);
}

static void measure_divide(u64 count)
{
    struct thread *t = thread_current();
    t->expect = skip_divide;
    measure_operation(OP_DIVIDE, count);
    t->expect = NULL;
}

void command_bench(int argc, char **argv)
{
    u64 count = 0;
    char *name = argc == 3 ? argv[1] : NULL;
    if (argc != 1 && (argc != 3 || !parse_number(argv[2], &count) || count < 1 || count > 1000000000)) {
        print("usage: bench [NAME COUNT]\n");
        return;
    }
#define CHOSEN(it) (!name || strcmp(name, it) == 0)
    bool user = CHOSEN("syscall") || CHOSEN("int80") || CHOSEN("fork"), any = user;
    if (user)
        measure_in_user_mode(name, argv[2]);
    static const u8 operations[] = {OP_IN, OP_CR8_WRITE, OP_CALLRET};
    for (u64 i = 0; i < sizeof operations; i++) {
        if (!CHOSEN(machine_operation_name(operations[i])))
            continue;
        measure_operation(operations[i], count);
        any = true;
    }
    if (CHOSEN("pgfault")) {
        measure_page("pgfault", page_fault, count);
        any = true;
    }
    if (CHOSEN("divzero")) {
        measure_divide(count);
        any = true;
    }
    if (CHOSEN("ptemod")) {
        measure_page("ptemod", change_entry, count);
        any = true;
    }
    if (CHOSEN("ptemods")) {
        measure_stretch(count);
        any = true;
    }
    if (CHOSEN("blkread")) {
        measure_disk("blkread", 1, count);
        any = true;
    }
    if (CHOSEN("blkreads")) {
        measure_disk("blkreads", DEEP, count);
        any = true;
    }
    if (!any)
        print("there is no benchmark \"%s\"\n", name);
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
        if (machine->repeat(op, count))
            report(machine_operation_name(op), machine_tsc() - start, count);
        else
            print("  %-10s not an operation of a %s guest\n", machine_operation_name(op), machine->name);
    }
}
