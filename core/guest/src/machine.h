/*
 * The processor as the kernel sees it: every privileged or sensitive instruction is behind these functions (machine.c,
 * machine.S; boot.S is the way in), so that another way of running the kernel replaces these files and no others.
 */
#pragma once
#include "common/types.h"

#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10

#define FLAG_CF 0x1ul
#define FLAG_TF 0x100ul
#define FLAG_IF 0x200ul
#define FLAG_DF 0x400ul
#define FLAG_RF 0x10000ul
#define FLAG_AC 0x40000ul

#define VECTOR_DIVIDE 0
#define VECTOR_DEBUG 1
#define VECTOR_NMI 2
#define VECTOR_BREAKPOINT 3
#define VECTOR_UNDEFINED 6
#define VECTOR_DOUBLE_FAULT 8
#define VECTOR_STACK 12
#define VECTOR_PROTECTION 13
#define VECTOR_PAGE_FAULT 14
#define VECTOR_X87 16
#define VECTOR_ALIGNMENT 17
#define VECTOR_SIMD 19
#define VECTOR_IRQ 0x20 /* ISA lines: 0x20..0x2f, by the PIC or the I/O APIC */
#define VECTOR_TIMER 0x30
#define VECTOR_CALL 0x80
#define VECTOR_SPURIOUS 0xff
#define VECTOR_SYSCALL 0x100 /* not a vector: a frame made by SYSCALL */

/** Error code of a page fault. */
#define FAULT_PRESENT 1
#define FAULT_WRITE 2
#define FAULT_USER 4
#define FAULT_FETCH 16

/** What an interrupt, exception or system call leaves on the kernel stack. */
struct frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};

static inline bool frame_is_user(const struct frame *f) { return (f->cs & 3) == 3; }

struct tss {
    u32 reserved0;
    u64 rsp[3];
    u64 reserved1;
    u64 ist[7];
    u64 reserved2;
    u16 reserved3, io_map;
} __attribute__((packed));

struct thread;

/** Everything of one processor. machine.S knows the offsets of the first three fields. */
struct cpu {
    struct cpu *self;
    u64 kernel_rsp; /* where SYSCALL begins: the running thread's stack */
    u64 user_rsp;
    u32 index, apic_id;
    struct thread *current, *idle, *previous, *fpu_owner;
    bool reschedule;
    u32 interrupt_depth;
    u64 switched_at; /* TSC */
    u64 interrupts, exceptions, calls, ticks;
    u64 gdt[8] __attribute__((aligned(16)));
    struct tss tss __attribute__((aligned(16)));
};

/** Tables, control registers and model-specific registers of one processor; from then on traps arrive at trap(). */
void machine_start(struct cpu *cpu, u32 index);
struct cpu *this_cpu(void);

/* Interrupts. machine_disable returns whether they were on; machine_wait turns them on and halts until the next one. */
bool machine_disable(void);
void machine_enable(void);
void machine_restore(bool on);
bool machine_interrupts_on(void);
void machine_wait(void);
_Noreturn void machine_stop(void);
/** Resets the machine by a triple fault. */
_Noreturn void machine_triple_fault(void);

u8 machine_in8(u16 port);
u16 machine_in16(u16 port);
u32 machine_in32(u16 port);
void machine_out8(u16 port, u8 value);
void machine_out16(u16 port, u16 value);
void machine_out32(u16 port, u32 value);

struct cpuid {
    u32 eax, ebx, ecx, edx;
};
struct cpuid machine_cpuid(u32 leaf, u32 subleaf);
u64 machine_tsc(void);
u64 machine_read_msr(u32 msr);
void machine_write_msr(u32 msr, u64 value);

/* Paging. An entry of a page table that may be in use is written by machine_set_entry only. */
#define PTE_PRESENT 1ul
#define PTE_WRITE 2ul
#define PTE_USER 4ul
#define PTE_WRITE_THROUGH 8ul
#define PTE_NO_CACHE 0x10ul
#define PTE_ACCESSED 0x20ul
#define PTE_DIRTY 0x40ul
#define PTE_LARGE 0x80ul
#define PTE_GLOBAL 0x100ul
#define PTE_COW 0x200ul /* free for software: written to means copy */
#define PTE_NX (1ul << 63)
#define PTE_ADDRESS 0x000ffffffffff000ul

void machine_set_entry(u64 *entry, u64 value);
void machine_invalidate(u64 address);
/** Makes `root` (physical address of a PML4) the address space, forgetting all translations but global ones. */
void machine_load_space(u64 root);
u64 machine_space(void);
u64 machine_fault_address(void);
void machine_set_fault_address(u64 value);

/* Protections that the processor has (and machine_start has turned on). */
struct machine_features {
    bool nx, global, smep, smap, apic, syscall;
};
extern struct machine_features machine_features;

/* Threads and user mode. */
void machine_set_kernel_stack(struct cpu *cpu, u64 top);
/** Saves the caller's registers and stack in *save and goes on where `next` was saved. */
void machine_switch(u64 *save, u64 next);
/** A stack for machine_switch on which `entry(a, b)` starts; `top` is 16-byte aligned. */
u64 machine_prepare(u64 top, void (*entry)(void *, void *), void *a, void *b);
_Noreturn void machine_resume(struct frame *frame);
void machine_save_fpu(void *area);
void machine_load_fpu(const void *area);
void machine_fresh_fpu(void *area);

/* Exceptions that are expected: calls fn(argument); if machine_leave is applied to a frame below it, the call returns 1, else 0. */
struct landing {
    u64 rbx, rbp, r12, r13, r14, r15, rsp;
};
int machine_attempt(void (*fn)(void *), void *argument, struct landing *landing);
void machine_leave(struct frame *frame, const struct landing *landing);

/* For tests: three NOPs with the trap flag on, an instruction breakpoint and a data breakpoint, loads of segment registers. */
void machine_stepped(void);
extern char machine_stepped_nops[];
void machine_breakpoint(int number, u64 address, int kind, int length);
u64 machine_debug_status(void);
void machine_clear_debug(void);
void machine_load_ds(u16 selector);
void machine_overflow_stack(u64 top);
u64 machine_read_cr8(void);
void machine_write_cr8(u64 value);

/* For measurements: one operation, `count` times in a tight loop. */
enum machine_operation {
    OP_IN,
    OP_OUT,
    OP_CPUID,
    OP_RDTSC,
    OP_CR8_WRITE,
    OP_CR8_READ,
    OP_CR3_WRITE,
    OP_CR0_READ,
    OP_CR0_WRITE,
    OP_INVLPG,
    OP_CLI_STI,
    OP_PUSHF_POPF,
    OP_SGDT,
    OP_SIDT,
    OP_SLDT,
    OP_STR,
    OP_SMSW,
    OP_LGDT,
    OP_RDMSR,
    OP_WRMSR,
    OP_MOV_CS,
    OP_IRET,
    OP_HLT,
    OP_CALLRET,
    OP_DIVIDE, /* by zero, the handler skips the instruction */
    OP_COUNT
};
const char *machine_operation_name(enum machine_operation op);
void machine_repeat(enum machine_operation op, u64 count);
/** Bytes of the dividing instruction of OP_DIVIDE: what a handler adds to RIP. */
#define DIVIDE_LENGTH 2
