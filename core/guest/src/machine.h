/*
 * The machine as the kernel sees it. `struct machine` has every operation that takes a privilege, of the processor and of what is around
 * it, and there are two of them: native/ for a PC, para/ for a guest of Xen's 64-bit PV interface, which has hypercalls instead. By which
 * of its entries the kernel was entered says which one it is; nothing else asks.
 */
#pragma once
#include "common/types.h"

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
#define VECTOR_EVENT 0xf3    /* not a vector either: the upcall of a para machine */
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

/** Everything of one processor. native/entry.S knows the offsets of the first three fields. */
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

struct cpuid {
    u32 eax, ebx, ecx, edx;
};
struct date {
    int year, month, day, hour, minute, second, weekday;
};

/* Entries of page tables, with addresses as the kernel counts them: the machine's own may be others (see machine_entry). */
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
/** Bytes of the dividing instruction of OP_DIVIDE: what a handler adds to RIP. */
#define DIVIDE_LENGTH 2

struct machine {
    /** "bare" or "para"; the console that it has if the command line does not name one. */
    const char *name, *console;
    /** Selectors of a frame that is the kernel's own. */
    u16 kernel_code, kernel_data;

    /* -- the processor. start: tables and protections of one; from then on traps arrive at trap(). */
    void (*start)(struct cpu *cpu);
    struct cpuid (*cpuid)(u32 leaf, u32 subleaf);
    /* disable returns whether interrupts were on; wait turns them on and halts until the next one. */
    bool (*interrupts_on)(void);
    bool (*disable)(void);
    void (*enable)(void);
    void (*wait)(void);
    void (*stop)(void) __attribute__((noreturn));
    /* Of the page fault that is being handled. */
    u64 (*fault_address)(void);
    void (*set_fault_address)(u64 value);
    /* Where traps out of programs put their frames; the way back of a frame. */
    void (*set_kernel_stack)(struct cpu *cpu, u64 top);
    void (*resume)(struct frame *frame) __attribute__((noreturn));
    /* Debug registers: an instruction breakpoint or a data breakpoint, DR6, all off. */
    void (*breakpoint)(int number, u64 address, int kind, int length);
    u64 (*debug_status)(void);
    void (*clear_debug)(void);
    /* False: it is not an operation of this machine. */
    bool (*repeat)(enum machine_operation op, u64 count);

    /* -- page tables. Entries that may be in use are read and written by these two only. */
    u64 (*entry)(const u64 *entry);
    void (*set_entry)(u64 *entry, u64 value);
    /* Forgets the translation of an address; those of all programs' addresses. */
    void (*invalidate)(u64 address);
    void (*invalidate_programs)(void);
    /* What is written and forgotten in between may be done as late as end_batch. Interrupts are off. */
    void (*begin_batch)(void);
    void (*end_batch)(void);
    /* A zero page becomes a table that entries may name; one that none names any more becomes a page. */
    void (*begin_table)(u64 page);
    void (*end_table)(u64 page);
    /* A table becomes the root of a program's space, and is it no more. */
    void (*begin_space)(u64 root);
    void (*end_space)(u64 root);
    /* Maps all of RAM at DIRECT_BASE of the kernel's space; then goes over to that space. */
    void (*map_direct)(u64 root, u64 top);
    void (*load_kernel)(u64 root);
    void (*load_space)(u64 root);

    /* -- what is around the processor. read_loader: memory and command line (loader.c). */
    void (*read_loader)(void);
    void (*console_start)(void);
    void (*console_write)(const char *text, size_t length);
    /* From now on what is typed is passed to console_typed(), if need be by console_poll, which the tick calls. */
    void (*console_listen)(void);
    void (*console_poll)(void);
    bool (*console_polled)(void);
    const char *(*console_name)(void);
    void (*interrupt_start)(void);
    void (*interrupt_dispatch)(u64 vector);
    const char *(*interrupt_controller)(void);
    /* Sets tsc_hz and begins to tick: timer_tick() TIMER_HZ times a second. */
    void (*timer_start)(void);
    const char *(*timer_name)(void);
    /* The processor is about to halt: one interrupt at `until` (clock; 0: nobody waits) is enough, if it can be set; ticks again. */
    void (*timer_pause)(u64 until);
    void (*timer_resume)(void);
    bool (*date)(struct date *date);
    void (*power_start)(void);
    void (*power_off)(void);
    void (*reset)(void);
    /* QEMU's isa-debug-exit. */
    void (*debug_exit)(u32 value);
    /* Reads `count` pages off the first disk, up to `depth` of them at a time. Null, or why not. */
    const char *(*read_disk)(u64 count, u32 depth);
};
extern const struct machine *machine;
extern const struct machine native_machine, para_machine;

/* Protections that the processor has (and machine->start has turned on). */
struct machine_features {
    bool nx, global, smep, smap, apic, syscall;
    /* The kernel is in the address spaces of programs too, out of their reach. */
    bool kernel_in_spaces;
};
extern struct machine_features machine_features;

static inline bool machine_disable(void) { return machine->disable(); }
static inline void machine_enable(void) { machine->enable(); }
static inline void machine_restore(bool on)
{
    if (on)
        machine->enable();
}
_Noreturn void machine_stop(void);
struct cpu *this_cpu(void);
u64 machine_tsc(void);
static inline struct cpuid machine_cpuid(u32 leaf, u32 subleaf) { return machine->cpuid(leaf, subleaf); }
static inline u64 machine_entry(const u64 *entry) { return machine->entry(entry); }
static inline void machine_set_entry(u64 *entry, u64 value) { machine->set_entry(entry, value); }
static inline void machine_invalidate(u64 address) { machine->invalidate(address); }
/** Makes `root` (physical address of a PML4) the address space, forgetting all translations but global ones. */
void machine_load_space(u64 root);
u64 machine_space(void);

/* Threads and user mode. */
/** Saves the caller's registers and stack in *save and goes on where `next` was saved. */
void machine_switch(u64 *save, u64 next);
/** A stack for machine_switch on which `entry(a, b)` starts; `top` is 16-byte aligned. */
u64 machine_prepare(u64 top, void (*entry)(void *, void *), void *a, void *b);
void machine_save_fpu(void *area);
void machine_load_fpu(const void *area);
void machine_fresh_fpu(void *area);

/* Exceptions that are expected: calls fn(argument); if machine_leave is applied to a frame below it, the call returns 1, else 0. */
struct landing {
    u64 rbx, rbp, r12, r13, r14, r15, rsp;
};
int machine_attempt(void (*fn)(void *), void *argument, struct landing *landing);
void machine_leave(struct frame *frame, const struct landing *landing);

/* For tests: three NOPs with the trap flag on, a load of DS, a push below `top`. */
void machine_stepped(void);
extern char machine_stepped_nops[];
void machine_load_ds(u16 selector);
void machine_overflow_stack(u64 top);

const char *machine_operation_name(enum machine_operation op);
/** The operations that need no privilege on any machine. */
void machine_repeat_unprivileged(enum machine_operation op, u64 count);
