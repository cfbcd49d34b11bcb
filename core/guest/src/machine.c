/* The privileged half of the processor; see machine.h. */
#include "machine.h"
#include "common/calls.h"
#include "common/string.h"

#define MSR_APIC_BASE 0x1b
#define MSR_PAT 0x277
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

struct machine_features machine_features;

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

/* machine.S: 256 entries of 16 bytes. */
extern u8 machine_entries[];
extern u8 machine_syscall[], machine_syscall32[];

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
static inline void write_cr4(u64 v) { __asm__ volatile("mov %0, %%cr4" ::"r"(v) : "memory"); }

static void set_gate(int vector, u8 type, u8 ist)
{
    u64 at = (u64)machine_entries + vector * 16;
    idt[vector] = (struct gate){at, KERNEL_CODE, ist, type, at >> 16, at >> 32, 0};
}

void machine_start(struct cpu *cpu, u32 index)
{
    memset(cpu, 0, sizeof *cpu);
    cpu->self = cpu;
    cpu->index = index;

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

    u32 leaves = machine_cpuid(0, 0).eax;
    struct cpuid one = machine_cpuid(1, 0);
    struct cpuid seven = leaves >= 7 ? machine_cpuid(7, 0) : (struct cpuid){0};
    struct cpuid extended = machine_cpuid(0x80000001, 0);
    machine_features = (struct machine_features){
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
    machine_write_msr(MSR_EFER,
                      machine_read_msr(MSR_EFER) | (machine_features.nx ? EFER_NXE : 0) | (machine_features.syscall ? EFER_SCE : 0));
    if (machine_features.syscall) {
        machine_write_msr(MSR_STAR, (u64)(USER_CODE32) << 48 | (u64)KERNEL_CODE << 32);
        machine_write_msr(MSR_LSTAR, (u64)machine_syscall);
        machine_write_msr(MSR_CSTAR, (u64)machine_syscall32);
        machine_write_msr(MSR_SFMASK, FLAG_TF | FLAG_IF | FLAG_DF | FLAG_AC | 0x7000 /* NT, IOPL */);
    }
    machine_write_msr(MSR_GS_BASE, (u64)cpu);
    machine_write_msr(MSR_KERNEL_GS_BASE, 0);
}

struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

bool machine_interrupts_on(void)
{
    u64 flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags)::"memory");
    return flags & FLAG_IF;
}

bool machine_disable(void)
{
    bool on = machine_interrupts_on();
    __asm__ volatile("cli" ::: "memory");
    return on;
}

void machine_enable(void) { __asm__ volatile("sti" ::: "memory"); }

void machine_restore(bool on)
{
    if (on)
        machine_enable();
}

/* STI holds interrupts back for one instruction: none can slip in before HLT. */
void machine_wait(void) { __asm__ volatile("sti; hlt" ::: "memory"); }

_Noreturn void machine_stop(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" ::: "memory");
}

_Noreturn void machine_triple_fault(void)
{
    struct pointer none = {0, 0};
    __asm__ volatile("lidt %0; int3" ::"m"(none));
    machine_stop();
}

u8 machine_in8(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
u16 machine_in16(u16 port)
{
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
u32 machine_in32(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
void machine_out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
void machine_out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
void machine_out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory"); }

struct cpuid machine_cpuid(u32 leaf, u32 subleaf)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

u64 machine_tsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (u64)high << 32 | low;
}

u64 machine_read_msr(u32 msr)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}

void machine_write_msr(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" ::"c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

void machine_set_entry(u64 *entry, u64 value) { *(volatile u64 *)entry = value; }
void machine_invalidate(u64 address) { __asm__ volatile("invlpg (%0)" ::"r"(address) : "memory"); }
void machine_load_space(u64 root) { __asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory"); }

u64 machine_space(void)
{
    u64 v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v));
    return v & PTE_ADDRESS;
}

u64 machine_fault_address(void)
{
    u64 v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

void machine_set_fault_address(u64 value) { __asm__ volatile("mov %0, %%cr2" ::"r"(value)); }

void machine_set_kernel_stack(struct cpu *cpu, u64 top)
{
    cpu->kernel_rsp = top;
    cpu->tss.rsp[0] = top;
}

/* machine_switch pops six registers, then returns to machine_begin, which takes the entry and its arguments from them. */
extern u8 machine_begin[];

u64 machine_prepare(u64 top, void (*entry)(void *, void *), void *a, void *b)
{
    u64 *s = (u64 *)top;
    *--s = 0; /* two words: the entry's stack is aligned as after a call */
    *--s = 0;
    *--s = (u64)machine_begin;
    *--s = (u64)entry; /* rbx */
    *--s = 0;          /* rbp */
    *--s = (u64)a;     /* r12 */
    *--s = (u64)b;     /* r13 */
    *--s = 0;
    *--s = 0;
    return (u64)s;
}

void machine_save_fpu(void *area) { __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory"); }
void machine_load_fpu(const void *area) { __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory"); }

void machine_fresh_fpu(void *area)
{
    memset(area, 0, 512);
    *(u16 *)area = 0x37f;                  /* FCW: all exceptions masked, 64-bit precision */
    *(u32 *)((char *)area + 24) = 0x1f80; /* MXCSR: all masked */
}

void machine_leave(struct frame *frame, const struct landing *landing)
{
    extern u8 machine_attempt_failed[];
    frame->rbx = landing->rbx;
    frame->rbp = landing->rbp;
    frame->r12 = landing->r12;
    frame->r13 = landing->r13;
    frame->r14 = landing->r14;
    frame->r15 = landing->r15;
    frame->rsp = landing->rsp;
    frame->rip = (u64)machine_attempt_failed;
    frame->cs = KERNEL_CODE;
    frame->ss = KERNEL_DATA;
    frame->rflags &= ~(FLAG_TF | FLAG_DF | FLAG_AC | FLAG_RF);
}

void machine_breakpoint(int number, u64 address, int kind, int length)
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

u64 machine_debug_status(void)
{
    u64 v;
    __asm__ volatile("mov %%dr6, %0" : "=r"(v));
    return v;
}

void machine_clear_debug(void)
{
    __asm__ volatile("mov %0, %%dr7; mov %1, %%dr6" ::"r"(0x400ul), "r"(0xffff0ff0ul) : "memory");
}

void machine_load_ds(u16 selector) { __asm__ volatile("mov %0, %%ds; mov %1, %%ds" ::"r"((u32)selector), "r"(USER_DATA)); }

void machine_overflow_stack(u64 top) { __asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(top) : "memory"); }

u64 machine_read_cr8(void)
{
    u64 v;
    __asm__ volatile("mov %%cr8, %0" : "=r"(v));
    return v;
}

void machine_write_cr8(u64 value) { __asm__ volatile("mov %0, %%cr8" ::"r"(value) : "memory"); }

const char *machine_operation_name(enum machine_operation op)
{
    static const char *const names[OP_COUNT] = {
        "in",       "out",  "cpuid", "rdtsc", "cr8wr", "cr8rd", "cr3wr", "cr0rd", "cr0wr",  "invlpg", "clisti",  "pushfpopf", "sgdt",
        "sidt",     "sldt", "str",   "smsw",  "lgdt",  "rdmsr", "wrmsr", "movcs", "iret", "hlt",    "callret", "divzero",
    };
    return names[op];
}

#define PORT_DELAY 0x80
#define REPEAT(...) \
    while (count--) \
    __asm__ volatile(__VA_ARGS__)

void machine_repeat(enum machine_operation op, u64 count)
{
    struct pointer table;
    u64 cr0 = read_cr0(), cr3 = machine_space(), v = 0;
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
    case OP_RDTSC:
        REPEAT("rdtsc" ::: "rax", "rdx");
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
        bool on = machine_disable();
        machine_restore(on);
        REPEAT("cli; sti" ::: "memory");
        if (!on)
            machine_disable();
        break;
    }
    case OP_PUSHF_POPF:
        REPEAT("pushfq; popfq" ::: "memory");
        break;
    case OP_SGDT:
        REPEAT("sgdt %0" : "=m"(table));
        break;
    case OP_SIDT:
        REPEAT("sidt %0" : "=m"(table));
        break;
    case OP_SLDT:
        REPEAT("sldt %w0" : "=r"(v));
        break;
    case OP_STR:
        REPEAT("str %w0" : "=r"(v));
        break;
    case OP_SMSW:
        REPEAT("smsw %w0" : "=r"(v));
        break;
    case OP_LGDT:
        __asm__ volatile("sgdt %0" : "=m"(table));
        REPEAT("lgdt %0" ::"m"(table));
        break;
    case OP_RDMSR:
        REPEAT("rdmsr" ::"c"(MSR_LSTAR) : "rax", "rdx");
        break;
    case OP_WRMSR: {
        u64 lstar = machine_read_msr(MSR_LSTAR);
        REPEAT("wrmsr" ::"c"(MSR_LSTAR), "a"((u32)lstar), "d"((u32)(lstar >> 32)));
        break;
    }
    case OP_MOV_CS:
        REPEAT("mov %%cs, %0" : "=r"(v));
        break;
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
            machine_wait();
        break;
    case OP_CALLRET:
        REPEAT("call 2f; jmp 3f; 2: ret; 3:" ::: "memory");
        break;
    case OP_DIVIDE: {
        /* Written out: the handler skips DIVIDE_LENGTH bytes, which is what `div %ecx` takes. */
        REPEAT("div %%ecx" : : "a"(1), "d"(0), "c"(0));
        break;
    }
    case OP_COUNT:
        break;
    }
}
