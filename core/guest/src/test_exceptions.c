/* Exceptions and interrupts as the kernel sees them. */
#include "native/native.h"
#include "selftest.h"

/** Labels inside a function are not reliable in C: instructions with a known address live in asm of their own. */
#define PROBE(name, instruction) \
    void probe_##name(void *); \
    extern char probe_##name##_at[], probe_##name##_next[]; \
    __asm__(".pushsection .text\nprobe_" #name ":\nprobe_" #name "_at: " instruction "\nprobe_" #name "_next: ret\n.popsection")

PROBE(divide, "xor %ecx, %ecx; div %ecx");
PROBE(opcode, "ud2");
PROBE(breakpoint, "int3");
PROBE(read, "mov (%rdi), %eax");
PROBE(write, "mov %eax, (%rdi)");
PROBE(call, "jmp *%rdi");
PROBE(stack, "mov %rdi, %rbp; mov (%rbp), %eax");

static bool raises(void (*fn)(void *), u64 argument, struct fault *f) { return attempt(fn, (void *)argument, f) || test_fail("no exception"); }

#define EXPECT(fn, argument, vector_, error_) \
    struct fault f; \
    if (!raises(fn, (u64)(argument), &f)) \
        return false; \
    CHECK_EQUAL(f.vector, vector_); \
    CHECK_EQUAL(f.error, error_)

static bool divide_zero(void)
{
    EXPECT(probe_divide, 0, VECTOR_DIVIDE, 0);
    CHECK_EQUAL(f.rip, probe_divide_at + 2);
    return true;
}

static bool invalid_opcode(void)
{
    EXPECT(probe_opcode, 0, VECTOR_UNDEFINED, 0);
    CHECK_EQUAL(f.rip, probe_opcode_at);
    return true;
}

static bool breakpoint(void)
{
    EXPECT(probe_breakpoint, 0, VECTOR_BREAKPOINT, 0);
    CHECK_EQUAL(f.rip, probe_breakpoint_next); /* a trap: after the instruction */
    return true;
}

static const char rodata_probe[] = "read only";

#define UNMAPPED 0xffffc97f00000000ul

static bool page_fault_read(void)
{
    machine->set_fault_address(0);
    EXPECT(probe_read, UNMAPPED + 0x123, VECTOR_PAGE_FAULT, 0);
    CHECK_EQUAL(f.address, UNMAPPED + 0x123);
    CHECK_EQUAL(f.rip, probe_read_at);
    return true;
}

static bool page_fault_write(void)
{
    EXPECT(probe_write, UNMAPPED, VECTOR_PAGE_FAULT, FAULT_WRITE);
    CHECK_EQUAL(f.address, UNMAPPED);
    return true;
}

static bool page_fault_fetch(void)
{
    EXPECT(probe_call, UNMAPPED + 16, VECTOR_PAGE_FAULT, machine_features.nx ? FAULT_FETCH : 0);
    CHECK_EQUAL(f.address, UNMAPPED + 16);
    CHECK_EQUAL(f.rip, UNMAPPED + 16);
    return true;
}

static bool page_fault_crossing(void)
{
    u8 *page = kernel_map(1);
    CHECK(page);
    u32 *last = (u32 *)(page + PAGE - 2);
    *(u16 *)last = 0x5aa5;
    struct fault f;
    bool raised = attempt(probe_write, last, &f);
    u16 after = *(u16 *)last;
    kernel_unmap(page, 1);
    CHECK(raised);
    CHECK_EQUAL(f.vector, VECTOR_PAGE_FAULT);
    CHECK_EQUAL(f.error, FAULT_WRITE);
    CHECK_EQUAL(f.address, (u64)page + PAGE); /* the first byte that faults */
    CHECK_EQUAL(after, 0x5aa5);               /* nothing was written */
    return true;
}

static bool write_protect(void)
{
    EXPECT(probe_write, rodata_probe, VECTOR_PAGE_FAULT, FAULT_WRITE | FAULT_PRESENT);
    CHECK_EQUAL(f.address, rodata_probe);
    return true;
}

static bool no_execute(void)
{
    static u8 data[16] = {0xc3};
    if (!machine_features.nx)
        return test_skip("this processor has no NX");
    EXPECT(probe_call, data, VECTOR_PAGE_FAULT, FAULT_FETCH | FAULT_PRESENT);
    CHECK_EQUAL(f.address, data);
    return true;
}

static bool not_canonical(void)
{
    EXPECT(probe_read, 0x0000800000000000ul, VECTOR_PROTECTION, 0);
    CHECK_EQUAL(f.rip, probe_read_at);
    return true;
}

static bool stack_not_canonical(void)
{
    struct fault f;
    if (!raises(probe_stack, 0x0000800000000010ul, &f)) /* RBP means SS */
        return false;
    if (f.vector == VECTOR_PROTECTION && test_on_tcg())
        return test_skip("QEMU's TCG raises #GP for any address that is not canonical");
    CHECK_EQUAL(f.vector, VECTOR_STACK);
    CHECK_EQUAL(f.error, 0);
    return true;
}

static void load_ds(void *selector) { machine_load_ds((u64)selector); }

static bool selector_beyond_table(void)
{
    EXPECT(load_ds, 0x1008, VECTOR_PROTECTION, 0x1008);
    return true;
}

static bool selector_of_code(void)
{
    /* On a PC a system segment (the TSS), else nothing. */
    EXPECT(load_ds, 0x30, VECTOR_PROTECTION, 0x30);
    return true;
}

static void overflow_stack(void *top) { machine_overflow_stack((u64)top); }

static bool double_fault(void)
{
    /* The push faults, and so does the delivery of the page fault: only the stack of the double fault's own is left. */
    EXPECT(overflow_stack, UNMAPPED, VECTOR_DOUBLE_FAULT, 0);
    return true;
}

static struct {
    int count;
    u64 rip[8], status[8];
} steps;

static bool step(struct frame *f, void *argument)
{
    (void)argument;
    if (f->vector != VECTOR_DEBUG)
        return false;
    if (steps.count < 8) {
        steps.rip[steps.count] = f->rip;
        steps.status[steps.count] = machine->debug_status();
    }
    if (++steps.count == 3)
        f->rflags &= ~FLAG_TF;
    f->rflags |= FLAG_RF;
    machine->clear_debug();
    return true;
}

static void with_step_handler(void (*fn)(void))
{
    struct thread *t = thread_current();
    steps.count = 0;
    machine->clear_debug();
    t->expect = step;
    fn();
    t->expect = NULL;
    machine->clear_debug();
}

static bool single_step(void)
{
    with_step_handler(machine_stepped);
    CHECK_EQUAL(steps.count, 3);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(steps.rip[i], machine_stepped_nops + i + 1);
        CHECK_EQUAL(steps.status[i] >> 14 & 1, 1); /* DR6.BS */
    }
    return true;
}

static u64 watched;

static void break_at_code(void)
{
    machine->breakpoint(0, (u64)probe_read_at, 0, 1);
    probe_read(&watched);
}

static void break_at_write(void)
{
    machine->breakpoint(1, (u64)&watched, 1, 8);
    probe_write(&watched);
}

static bool breakpoint_code(void)
{
    with_step_handler(break_at_code);
    CHECK_EQUAL(steps.count, 1);
    CHECK_EQUAL(steps.rip[0], probe_read_at); /* a fault: before the instruction */
    CHECK_EQUAL(steps.status[0] & 15, 1);
    return true;
}

static bool breakpoint_write(void)
{
    with_step_handler(break_at_write);
    CHECK_EQUAL(steps.count, 1);
    CHECK_EQUAL(steps.rip[0], probe_write_next); /* a trap: after it */
    CHECK_EQUAL(steps.status[0] & 15, 2);
    return true;
}

/** Whether a tick comes; a busy host may be late with it. */
static bool tick_comes(void)
{
    u64 before = timer_ticks;
    for (u64 until = clock_now() + SECOND; timer_ticks == before && clock_now() < until;)
        __builtin_ia32_pause();
    return timer_ticks != before;
}

static bool interrupt_flag(void)
{
    bool on = machine_disable();
    u64 before = timer_ticks;
    delay(3 * SECOND / TIMER_HZ);
    u64 during = timer_ticks;
    machine_enable();
    bool comes = tick_comes();
    if (!on)
        machine_disable();
    CHECK_EQUAL(during, before);
    CHECK(comes);
    return true;
}

static bool task_priority(void)
{
    if (!native_timer_apic_hz())
        return test_skip("the PIC's interrupts do not pass the local APIC's priority");
    u64 before = timer_ticks;
    native_write_cr8(15);
    u64 start = timer_ticks;
    delay(3 * SECOND / TIMER_HZ);
    u64 during = timer_ticks, read = native_read_cr8();
    native_write_cr8(0);
    bool comes = tick_comes();
    CHECK_EQUAL(read, 15);
    CHECK_EQUAL(during, start);
    CHECK(comes && start >= before);
    return true;
}

static bool smep(void)
{
    if (!machine_features.smep && !machine_features.smap)
        return test_skip("this processor has neither SMEP nor SMAP");
    /* A page of a user's at an address of the kernel's own tables: permission bits decide, not the half. */
    u8 *page = kernel_map(1);
    CHECK(page);
    *page = 0xc3;
    u64 *tables[4], *table = direct(kernel_root), saved[4];
    for (int i = 0, shift = 39; i < 4; i++, shift -= 9) {
        tables[i] = &table[(u64)page >> shift & 511];
        saved[i] = *tables[i];
        table = direct(*tables[i] & PTE_ADDRESS);
    }
    /* Only the way down to this page is opened to users, and nobody runs there meanwhile. */
    bool on = machine_disable();
    u64 *root = direct(machine_space()), *root_entry = &root[(u64)page >> 39 & 511], root_saved = *root_entry;
    machine_set_entry(root_entry, root_saved | PTE_USER);
    for (int i = 1; i < 4; i++)
        machine_set_entry(tables[i], (saved[i] | PTE_USER) & ~(i == 3 ? PTE_NX : 0));
    machine_invalidate((u64)page);
    struct fault fetch, read;
    bool fetch_raised = attempt(probe_call, page, &fetch), read_raised = attempt(probe_read, page, &read);
    machine_set_entry(root_entry, root_saved);
    for (int i = 1; i < 4; i++)
        machine_set_entry(tables[i], saved[i]);
    machine_invalidate((u64)page);
    machine_restore(on);
    kernel_unmap(page, 1);
    CHECK_EQUAL(fetch_raised, machine_features.smep);
    CHECK_EQUAL(read_raised, machine_features.smap);
    if (fetch_raised)
        CHECK_EQUAL(fetch.error, FAULT_PRESENT | FAULT_FETCH);
    if (read_raised)
        CHECK_EQUAL(read.error, FAULT_PRESENT);
    return true;
}

const struct test test_exceptions[] = {
    {"divide-error", divide_zero, NULL},
    {"invalid-opcode", invalid_opcode, NULL},
    {"breakpoint", breakpoint, NULL},
    {"page-fault-read", page_fault_read, NULL},
    {"page-fault-write", page_fault_write, NULL},
    {"page-fault-fetch", page_fault_fetch, NULL},
    {"page-fault-crossing", page_fault_crossing, NULL},
    {"write-protect", write_protect, NULL},
    {"no-execute", no_execute, NULL},
    {"not-canonical", not_canonical, NULL},
    {"stack-not-canonical", stack_not_canonical, NULL},
    {"selector-limit", selector_beyond_table, NULL},
    {"selector-type", selector_of_code, NULL},
    {"double-fault", double_fault, "an exception that cannot be delivered ends the virtual machine"},
    {"single-step", single_step, NULL},
    {"breakpoint-code", breakpoint_code, NULL},
    {"breakpoint-write", breakpoint_write, NULL},
    {"interrupt-flag", interrupt_flag, NULL},
    {"task-priority", task_priority, "there is no local APIC, and CR8 is not the guest's"},
    {"smep-smap", smep, "kernel and programs run at the same privilege level: SMEP and SMAP would forbid the kernel itself"},
};
const int test_exceptions_count = ARRAY_SIZE(test_exceptions);
