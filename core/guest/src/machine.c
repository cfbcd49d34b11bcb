/* What no machine needs a privilege for; see machine.h. */
#include "kernel.h"

struct machine_features machine_features;
const struct machine *machine;
static u64 space;

struct cpu *this_cpu(void)
{
    struct cpu *cpu;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

u64 machine_tsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (u64)high << 32 | low;
}

_Noreturn void machine_stop(void) { machine->stop(); }

void machine_load_space(u64 root)
{
    space = root;
    machine->load_space(root);
}

u64 machine_space(void) { return space; }

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
    frame->cs = machine->kernel_code;
    frame->ss = machine->kernel_data;
    frame->rflags &= ~(FLAG_TF | FLAG_DF | FLAG_AC | FLAG_RF);
}

void machine_load_ds(u16 selector) { __asm__ volatile("mov %0, %%ds; mov %1, %%ds" ::"r"((u32)selector), "r"(USER_DATA)); }

void machine_overflow_stack(u64 top) { __asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(top) : "memory"); }

const char *machine_operation_name(enum machine_operation op)
{
    static const char *const names[OP_COUNT] = {
        "in",       "out",  "cpuid", "rdtsc", "cr8wr", "cr8rd", "cr3wr", "cr0rd", "cr0wr",  "invlpg", "clisti",  "pushfpopf", "sgdt",
        "sidt",     "sldt", "str",   "smsw",  "lgdt",  "rdmsr", "wrmsr", "movcs", "iret", "hlt",    "callret", "divzero",
    };
    return names[op];
}

#define REPEAT(...) \
    while (count--) \
    __asm__ volatile(__VA_ARGS__)

void machine_repeat_unprivileged(enum machine_operation op, u64 count)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) table;
    u64 v = 0;
    switch (op) {
    case OP_RDTSC:
        REPEAT("rdtsc" ::: "rax", "rdx");
        break;
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
    case OP_MOV_CS:
        REPEAT("mov %%cs, %0" : "=r"(v));
        break;
    case OP_CALLRET:
        REPEAT("call 2f; jmp 3f; 2: ret; 3:" ::: "memory");
        break;
    case OP_DIVIDE: {
        /* Written out: the handler skips DIVIDE_LENGTH bytes, which is what `div %ecx` takes. */
        REPEAT("div %%ecx" : : "a"(1), "d"(0), "c"(0));
        break;
    }
    default:
        break;
    }
}
