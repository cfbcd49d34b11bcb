/* The processor of a PC. */
#include "native.h"

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_CSTAR 0xc0000083
#define MSR_SFMASK 0xc0000084
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#define EFER_SCE 1ul
#define EFER_NXE 0x800ul
#define CR0_MP 2ul
#define CR0_EM 4ul
#define CR0_TS 8ul
#define CR0_NE 0x20ul
#define CR0_WP 0x10000ul
#define CR0_AM 0x40000ul
#define CR4_PGE 0x80ul
#define CR4_OSFXSR 0x200ul
#define CR4_OSXMMEXCPT 0x400ul
#define CR4_SMEP 0x100000ul
#define CR4_SMAP 0x200000ul

#define TSS_SELECTOR 0x30
#define IST_DOUBLE_FAULT 1
#define IST_NMI 2
#define IST_STACK 4096
#define DEBUG_EXIT 0xf4

struct gate {
    u16 offset0, selector;
    u8 ist, type;
    u16 offset1;
    u32 offset2, reserved;
};
static struct gate idt[256] __attribute__((aligned(16)));
static u8 double_fault_stack[IST_STACK] __attribute__((aligned(16)));
static u8 nmi_stack[IST_STACK] __attribute__((aligned(16)));

struct pointer {
    u16 limit;
    u64 base;
} __attribute__((packed));

/* entry.S: 256 entries of 16 bytes. */
extern u8 native_entries[], native_syscall[], native_syscall32[];

static inline u64 read_cr0(void)
{
    u64 v;
    __asm__ volatile("mov %%cr0, %0" : "=r"(v));
    return v;
}
static inline void write_cr0(u64 v) { __asm__ volatile("mov %0, %%cr0" ::"r"(v) : "memory"); }
static inline u64 read_cr4(void)
{
    u64 v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}
static inline u64 read_cr3(void)
{
    u64 v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}
static inline void write_cr4(u64 v) { __asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory"); }

static struct cpuid cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static void set_gate(int vector, u8 type, u8 ist)
{
    u64 at = (u64)native_entries + vector * 16;
    idt[vector] = (struct gate){at, KERNEL_CODE, ist, type, at >> 16, at >> 32, 0};
}

static void start(struct cpu *cpu)
{
    /* Order fixed by SYSRET: user CS32, user data, user CS64. */
    cpu->gdt[1] = 0x00af9b000000ffff;
    cpu->gdt[2] = 0x00cf93000000ffff;
    cpu->gdt[3] = 0x00cffb000000ffff;
    cpu->gdt[4] = 0x00cff3000000ffff;
    cpu->gdt[5] = 0x00affb000000ffff;
    u64 tss = (u64)&cpu->tss;
    cpu->gdt[6] = (sizeof cpu->tss - 1) | (tss & 0xffffff) << 16 | 0x89ul << 40 | (tss >> 24 & 0xff) << 56;
    cpu->gdt[7] = tss >> 32;
    cpu->tss.io_map = sizeof cpu->tss;
    cpu->tss.ist[IST_DOUBLE_FAULT - 1] = (u64)double_fault_stack + IST_STACK;
    cpu->tss.ist[IST_NMI - 1] = (u64)nmi_stack + IST_STACK;
    struct pointer gdt = {sizeof cpu->gdt - 1, (u64)cpu->gdt};
    __asm__ volatile("lgdt %0\n\t"
                     "pushq %1\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmov %2, %%ss\n\t"
                     "mov %3, %%ds\n\t" /* 64-bit code does not look at them; 32-bit programs need a segment there */
                     "mov %3, %%es\n\t"
                     "xor %%eax, %%eax\n\t"
                     "mov %%eax, %%fs\n\t"
                     "mov %%eax, %%gs"
                     :
                     : "m"(gdt), "i"(KERNEL_CODE), "r"(KERNEL_DATA), "r"(USER_DATA)
                     : "rax", "memory");
    __asm__ volatile("ltr %w0" ::"r"(TSS_SELECTOR));

    for (int i = 0; i < 256; i++)
        set_gate(i, 0x8e, 0);
    set_gate(VECTOR_BREAKPOINT, 0xee, 0);
    set_gate(VECTOR_CALL, 0xee, 0);
    set_gate(VECTOR_DOUBLE_FAULT, 0x8e, IST_DOUBLE_FAULT);
    set_gate(VECTOR_NMI, 0x8e, IST_NMI);
    struct pointer table = {sizeof idt - 1, (u64)idt};
    __asm__ volatile("lidt %0" ::"m"(table));

    u32 leaves = cpuid(0, 0).eax;
    struct cpuid one = cpuid(1, 0);
    struct cpuid seven = leaves >= 7 ? cpuid(7, 0) : (struct cpuid){0};
    struct cpuid extended = cpuid(0x80000001, 0);
    machine_features = (struct machine_features){
        .kernel_in_spaces = true,
        .nx = extended.edx >> 20 & 1,
        .global = one.edx >> 13 & 1,
        .smep = seven.ebx >> 7 & 1,
        .smap = seven.ebx >> 20 & 1,
        .apic = one.edx >> 9 & 1,
        .syscall = extended.edx >> 11 & 1,
    };

    write_cr0((read_cr0() & ~(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE | CR0_WP | CR0_AM);
    u64 cr4 = read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT;
    if (machine_features.global)
        cr4 |= CR4_PGE;
    if (machine_features.smep)
        cr4 |= CR4_SMEP;
    if (machine_features.smap)
        cr4 |= CR4_SMAP;
    write_cr4(cr4);
    native_write_msr(MSR_EFER,
                      native_read_msr(MSR_EFER) | (machine_features.nx ? EFER_NXE : 0) | (machine_features.syscall ? EFER_SCE : 0));
    if (machine_features.syscall) {
        native_write_msr(MSR_STAR, (u64)(USER_CODE32) << 48 | (u64)KERNEL_CODE << 32);
        native_write_msr(MSR_LSTAR, (u64)native_syscall);
        native_write_msr(MSR_CSTAR, (u64)native_syscall32);
        native_write_msr(MSR_SFMASK, FLAG_TF | FLAG_IF | FLAG_DF | FLAG_AC | 0x7000 /* NT, IOPL */);
    }
    native_write_msr(MSR_GS_BASE, (u64)cpu);
    native_write_msr(MSR_KERNEL_GS_BASE, 0);
}

static bool interrupts_on(void)
{
    u64 flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags)::"memory");
    return flags & FLAG_IF;
}

static void enable(void) { __asm__ volatile("sti" ::: "memory"); }

static bool disable(void)
{
    bool on = interrupts_on();
    __asm__ volatile("cli" ::: "memory");
    return on;
}

/* STI holds interrupts back for one instruction: none can slip in before HLT. */
static void wait(void) { __asm__ volatile("sti; hlt" ::: "memory"); }

static _Noreturn void stop(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}

static u64 get_entry(const u64 *entry) { return *(const volatile u64 *)entry; }
static void set_entry(u64 *entry, u64 value) { *(volatile u64 *)entry = value; }
static void invalidate(u64 address) { __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory"); }
static void load_space(u64 root) { __asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory"); }
static void invalidate_programs(void) { load_space(machine_space()); }

/* A program's space has the kernel's half of the root, whose tables exist from the start. */
static void begin_space(u64 root) { memcpy((u64 *)direct(root) + 256, (u64 *)direct(kernel_root) + 256, PAGE / 2); }

/** By 2 MiB pages, and all below 4 GiB: firmware tables are there. */
static void map_direct(u64 root, u64 top)
{
    u64 flags = PTE_LARGE | PTE_PRESENT | PTE_WRITE | (machine_features.global ? PTE_GLOBAL : 0) | (machine_features.nx ? PTE_NX : 0);
    for (u64 at = 0; at < MAX(top, 4 * GIB); at += 2 * MIB) {
        u64 *entry = paging_large_entry(root, DIRECT_BASE + at);
        if (!entry)
            panic("no memory for page tables");
        set_entry(entry, at | flags);
    }
}

static u64 fault_address(void)
{
    u64 v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

static void set_fault_address(u64 value) { __asm__ volatile("mov %0, %%cr2" ::"r"(value)); }

static void set_kernel_stack(struct cpu *cpu, u64 top)
{
    cpu->kernel_rsp = top;
    cpu->tss.rsp[0] = top;
}

static void breakpoint(int number, u64 address, int kind, int length)
{
    if (number == 0)
        __asm__ volatile("mov %0, %%dr0" ::"r"(address));
    else
        __asm__ volatile("mov %0, %%dr1" ::"r"(address));
    u64 dr7;
    __asm__ volatile("mov %%dr7, %0" : "=r"(dr7));
    u64 code = length == 8 ? 2 : length - 1; /* LEN: 1, 2, 8, 4 bytes */
    dr7 &= ~(0xful << (16 + number * 4));
    dr7 |= 2ul << (number * 2) | (kind | code << 2) << (16 + number * 4);
    __asm__ volatile("mov %0, %%dr7" ::"r"(dr7) : "memory");
}

static u64 debug_status(void)
{
    u64 v;
    __asm__ volatile("mov %%dr6, %0" : "=r"(v));
    return v;
}

static void clear_debug(void)
{
    __asm__ volatile("mov %0, %%dr7; mov %1, %%dr6" ::"r"(0x400ul), "r"(0xffff0ff0ul) : "memory");
}

u64 native_read_cr8(void)
{
    u64 v;
    __asm__ volatile("mov %%cr8, %0" : "=r"(v));
    return v;
}

void native_write_cr8(u64 value) { __asm__ volatile("mov %0, %%cr8" ::"r"(value) : "memory"); }

u64 native_read_msr(u32 msr)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}

void native_write_msr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

#define REPEAT(...) \
    while (count--) \
    __asm__ volatile(__VA_ARGS__)

/** Those that a PC has and not every machine. */
static bool repeat(enum machine_operation op, u64 count)
{
    struct pointer table;
    u64 cr0 = read_cr0(), cr3 = read_cr3(), v = 0;
    switch (op) {
    case OP_IN:
        REPEAT("inb $0x80, %%al" ::: "rax");
        break;
    case OP_OUT:
        REPEAT("outb %%al, $0x80" ::"a"(0));
        break;
    case OP_CPUID:
        REPEAT("cpuid" ::"a"(0) : "rbx", "rcx", "rdx");
        break;
    case OP_CR8_WRITE:
        REPEAT("mov %0, %%cr8" ::"r"(v));
        break;
    case OP_CR8_READ:
        REPEAT("mov %%cr8, %0" : "=r"(v));
        break;
    case OP_CR3_WRITE:
        REPEAT("mov %0, %%cr3" ::"r"(cr3) : "memory");
        break;
    case OP_CR0_READ:
        REPEAT("mov %%cr0, %0" : "=r"(v));
        break;
    case OP_CR0_WRITE:
        REPEAT("mov %0, %%cr0" ::"r"(cr0) : "memory");
        break;
    case OP_INVLPG:
        REPEAT("invlpg (%0)" ::"r"(&table) : "memory");
        break;
    case OP_CLI_STI: {
        bool on = disable();
        enable();
        REPEAT("cli; sti" ::: "memory");
        if (!on)
            disable();
        break;
    }
    case OP_LGDT:
        __asm__ volatile("sgdt %0" : "=m"(table));
        REPEAT("lgdt %0" ::"m"(table));
        break;
    case OP_RDMSR:
        REPEAT("rdmsr" ::"c"(MSR_LSTAR) : "rax", "rdx");
        break;
    case OP_WRMSR: {
        u64 lstar = native_read_msr(MSR_LSTAR);
        REPEAT("wrmsr" ::"c"(MSR_LSTAR), "a"((u32)lstar), "d"((u32)(lstar >> 32)));
        break;
    }
    case OP_IRET:
        REPEAT("mov %%rsp, %%rax\n\t"
               "pushq %0\n\t"
               "pushq %%rax\n\t"
               "pushfq\n\t"
               "pushq %1\n\t"
               "leaq 1f(%%rip), %%rax\n\t"
               "pushq %%rax\n\t"
               "iretq\n"
               "1:" ::"i"(KERNEL_DATA), "i"(KERNEL_CODE) : "rax", "memory");
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

static void nothing(void) {}
static void nothing_to(u64 page) { (void)page; }
static void debug_exit(u32 value) { native_out32(DEBUG_EXIT, value); }

static const char *no_disk(u64 count, u32 depth)
{
    (void)count, (void)depth;
    return "not an operation of a bare guest";
}

void native_triple_fault(void)
{
    struct pointer none = {0, 0};
    __asm__ volatile("lidt %0; int3" ::"m"(none));
}

const struct machine native_machine = {
    .name = "bare",
    .console = "ttyS0",
    .kernel_code = KERNEL_CODE,
    .kernel_data = KERNEL_DATA,
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
    .resume = native_resume,
    .breakpoint = breakpoint,
    .debug_status = debug_status,
    .clear_debug = clear_debug,
    .repeat = repeat,
    .entry = get_entry,
    .set_entry = set_entry,
    .invalidate = invalidate,
    .invalidate_programs = invalidate_programs,
    .begin_batch = nothing,
    .end_batch = nothing,
    .begin_table = nothing_to,
    .end_table = nothing_to,
    .begin_space = begin_space,
    .end_space = nothing_to,
    .map_direct = map_direct,
    .load_kernel = machine_load_space,
    .load_space = load_space,
    .read_loader = native_read_loader,
    .console_start = native_console_start,
    .console_write = native_console_write,
    .console_listen = native_console_listen,
    .console_poll = native_console_poll,
    .console_polled = native_console_polled,
    .console_name = native_console_name,
    .interrupt_start = native_interrupt_start,
    .interrupt_dispatch = native_interrupt_dispatch,
    .interrupt_controller = native_interrupt_controller,
    .timer_start = native_timer_start,
    .timer_name = native_timer_name,
    .timer_pause = native_timer_pause,
    .timer_resume = native_timer_resume,
    .date = native_date,
    .power_start = native_power_start,
    .power_off = native_power_off,
    .reset = native_reset,
    .debug_exit = debug_exit,
    .read_disk = no_disk,
};
