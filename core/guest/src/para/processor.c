/* The processor of a para guest: the kernel runs at the privilege level of programs, and asks for the rest. */
#include "para.h"

struct start_info para_start_info;
struct shared_info para_shared_info; /* another frame is mapped here */

/* The order is that of a PC's; there are no segments of the kernel's own. A page, for the VMM lets nobody write to it. */
const u64 para_gdt[512] __attribute__((aligned(PAGE))) = {
    [USER_CODE32 / 8] = 0x00cffb000000ffff,
    [USER_DATA / 8] = 0x00cff3000000ffff,
    [USER_CODE64 / 8] = 0x00affb000000ffff,
};
#define GDT_ENTRIES 512

/* entry.S: of exceptions, 16 bytes each; of INT 0x80 and the rest. */
extern u8 para_entries[], para_entry_call[], para_entry_event[], para_entry_syscall[], para_entry_failsafe[];

void para_do(u32 number, u64 a, u64 b, u64 c, u64 d)
{
    s64 result = hypercall(number, a, b, c, d);
    if (result < 0)
        panic("hypercall %u: error %ld", number, result);
}

/** entry.S calls it. */
_Noreturn void para_main(const struct start_info *info)
{
    boot_tsc = machine_tsc();
    para_start_info = *info;
    kernel_main(&para_machine);
}

static struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    __asm__ volatile("ud2; .ascii \"xen\"; cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static bool interrupts_on(void) { return !*(volatile u8 *)&VCPU_INFO->evtchn_upcall_mask; }

static bool disable(void)
{
    bool on = interrupts_on();
    *(volatile u8 *)&VCPU_INFO->evtchn_upcall_mask = 1;
    __asm__ volatile("" ::: "memory");
    return on;
}

/* What came meanwhile is delivered on the way back of any hypercall. */
static void enable(void)
{
    __asm__ volatile("" ::: "memory");
    *(volatile u8 *)&VCPU_INFO->evtchn_upcall_mask = 0;
    __asm__ volatile("" ::: "memory");
    if (*(volatile u8 *)&VCPU_INFO->evtchn_upcall_pending)
        hypercall(HYPERVISOR_xen_version, 0, 0, 0, 0);
}

static void wait(void) { para_do(HYPERVISOR_sched_op, SCHEDOP_block, 0, 0, 0); }

static void shut_down(u32 reason) { hypercall(HYPERVISOR_sched_op, SCHEDOP_shutdown, (u64)&reason, 0, 0); }
static void shut_off(void) { shut_down(SHUTDOWN_poweroff); }
static void reset(void) { shut_down(SHUTDOWN_reboot); }

static _Noreturn void stop(void)
{
    for (;;)
        shut_down(SHUTDOWN_crash);
}

static void set_callback(u16 type, u16 flags, const u8 *entry)
{
    struct callback_register c = {type, flags, (u64)entry};
    para_do(HYPERVISOR_callback_op, CALLBACKOP_register, (u64)&c, 0, 0);
}

static void start(struct cpu *cpu)
{
    para_memory_start();
    para_map_shared_info();
    disable();

    struct trap_info traps[34];
    int n = 0;
    for (int i = 0; i < 32; i++)
        if (i != VECTOR_NMI)
            traps[n++] = (struct trap_info){i, TI_EVENTS_MASKED | (i == VECTOR_BREAKPOINT ? 3 : 0), FLAT_KERNEL_CS, (u64)para_entries + i * 16};
    traps[n++] = (struct trap_info){VECTOR_CALL, TI_EVENTS_MASKED | 3, FLAT_KERNEL_CS, (u64)para_entry_call};
    traps[n] = (struct trap_info){0, 0, 0, 0};
    para_do(HYPERVISOR_set_trap_table, (u64)traps, 0, 0, 0);
    set_callback(CALLBACKTYPE_event, 0, para_entry_event);
    set_callback(CALLBACKTYPE_failsafe, CALLBACKF_mask_events, para_entry_failsafe);
    set_callback(CALLBACKTYPE_syscall, CALLBACKF_mask_events, para_entry_syscall);

    para_protect(para_gdt);
    u64 frame = para_machine_frame((u64)para_gdt - KERNEL_BASE);
    para_do(HYPERVISOR_set_gdt, (u64)&frame, GDT_ENTRIES, 0, 0);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" ::"r"(USER_DATA));
    para_do(HYPERVISOR_set_segment_base, SEGBASE_GS_KERNEL, (u64)cpu, 0, 0);

    machine_features = (struct machine_features){.nx = cpuid(0x80000001, 0).edx >> 20 & 1, .syscall = true};
}

static u64 fault_address(void) { return VCPU_INFO->arch.cr2; }
static void set_fault_address(u64 value) { VCPU_INFO->arch.cr2 = value; }

static void set_kernel_stack(struct cpu *cpu, u64 top)
{
    cpu->kernel_rsp = top;
    para_later(HYPERVISOR_stack_switch, FLAT_KERNEL_SS, top, 0, 0);
}

static u64 debug_control = 0x400;

static void breakpoint(int number, u64 address, int kind, int length)
{
    u64 code = length == 8 ? 2 : length - 1; /* LEN: 1, 2, 8, 4 bytes */
    debug_control &= ~(0xful << (16 + number * 4));
    debug_control |= 2ul << (number * 2) | (kind | code << 2) << (16 + number * 4);
    para_do(HYPERVISOR_set_debugreg, number, address, 0, 0);
    para_do(HYPERVISOR_set_debugreg, 7, debug_control, 0, 0);
}

static u64 debug_status(void) { return hypercall(HYPERVISOR_get_debugreg, 6, 0, 0, 0); }

static void clear_debug(void)
{
    debug_control = 0x400;
    para_do(HYPERVISOR_set_debugreg, 7, debug_control, 0, 0);
    para_do(HYPERVISOR_set_debugreg, 6, 0xffff0ff0, 0, 0);
}

/** Hypercalls in place of instructions; there are none for ports, CR8, MSRs. */
static bool repeat(enum machine_operation op, u64 count)
{
    u64 frame = para_machine_frame((u64)para_gdt - KERNEL_BASE);
    switch (op) {
    case OP_IN:
    case OP_OUT:
    case OP_CR8_READ:
    case OP_CR8_WRITE:
    case OP_CR0_READ:
    case OP_CR0_WRITE:
    case OP_RDMSR:
    case OP_WRMSR:
        return false;
    case OP_CPUID:
        while (count--)
            cpuid(0, 0);
        break;
    case OP_CR3_WRITE:
        while (count--)
            para_load_space(machine_space());
        break;
    case OP_INVLPG:
        while (count--)
            para_invalidate((u64)&frame);
        break;
    case OP_CLI_STI: {
        bool on = interrupts_on();
        while (count--) {
            disable();
            enable();
        }
        if (!on)
            disable();
        break;
    }
    case OP_LGDT:
        while (count--)
            para_do(HYPERVISOR_set_gdt, (u64)&frame, GDT_ENTRIES, 0, 0);
        break;
    case OP_IRET:
        while (count--)
            __asm__ volatile("mov %%rsp, %%rax\n\t"
                             "pushq %0\n\t"
                             "pushq %%rax\n\t"
                             "pushfq\n\t"
                             "pushq %1\n\t"
                             "pushq $1f\n\t"
                             "pushq $0\n\t"
                             "jmp hypercall_page + 23 * 32\n"
                             "1:" ::"i"(FLAT_KERNEL_SS), "i"(FLAT_KERNEL_CS & ~3) : "rax", "memory");
        break;
    case OP_HLT:
        while (count--)
            wait();
        break;
    default:
        machine_repeat_unprivileged(op, count);
    }
    return true;
}

static void no_debug_exit(u32 value) { (void)value; }

const struct machine para_machine = {
    .name = "para",
    .console = "hvc0",
    .kernel_code = FLAT_KERNEL_CS & ~3, /* RPL 0 says that it is the kernel's */
    .kernel_data = FLAT_KERNEL_SS,
    .start = start,
    .cpuid = cpuid,
    .interrupts_on = interrupts_on,
    .disable = disable,
    .enable = enable,
    .wait = wait,
    .stop = stop,
    .fault_address = fault_address,
    .set_fault_address = set_fault_address,
    .set_kernel_stack = set_kernel_stack,
    .resume = para_resume,
    .breakpoint = breakpoint,
    .debug_status = debug_status,
    .clear_debug = clear_debug,
    .repeat = repeat,
    .entry = para_entry,
    .set_entry = para_set_entry,
    .invalidate = para_invalidate,
    .invalidate_programs = para_invalidate_programs,
    .begin_batch = para_begin_batch,
    .end_batch = para_end_batch,
    .begin_table = para_begin_table,
    .end_table = para_end_table,
    .begin_space = para_begin_space,
    .end_space = para_end_space,
    .map_direct = para_map_direct,
    .load_kernel = para_load_kernel,
    .load_space = para_load_space,
    .read_loader = para_read_loader,
    .console_start = para_console_start,
    .console_write = para_console_write,
    .console_listen = para_console_listen,
    .console_poll = para_console_poll,
    .console_polled = para_console_polled,
    .console_name = para_console_name,
    .interrupt_start = para_interrupt_start,
    .interrupt_dispatch = para_interrupt_dispatch,
    .interrupt_controller = para_interrupt_controller,
    .timer_start = para_timer_start,
    .timer_name = para_timer_name,
    .timer_pause = para_timer_pause,
    .timer_resume = para_timer_resume,
    .date = para_date,
    .power_start = para_power_start,
    .power_off = shut_off,
    .reset = reset,
    .debug_exit = no_debug_exit,
    .read_disk = para_read_disk,
};
