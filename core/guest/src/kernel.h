/* What the files of the kernel offer each other, one section a file. */
#pragma once
#include "common/calls.h"
#include "common/string.h"
#include "common/types.h"
#include "machine.h"

#define CORNER_VERSION "1.0"

#define KERNEL_BASE 0xffffffff80000000ul
#define DIRECT_BASE 0xffff880000000000ul  /* all of RAM */
#define DYNAMIC_BASE 0xffffc90000000000ul /* heap, stacks, devices */
#define USER_END 0x00007ffffffff000ul
#define KERNEL_STACK (4 * PAGE)

static inline void *direct(u64 physical) { return (void *)(physical + DIRECT_BASE); }
static inline u64 direct_physical(const void *p) { return (u64)p - DIRECT_BASE; }
static inline u64 image_address(u64 physical) { return physical + KERNEL_BASE; }

/** The start of the kernel, on a stack, with the direct map and the image mapped (main.c). */
_Noreturn void kernel_main(const struct machine *machine);

/* -- lists: a head is a link to itself */
struct list {
    struct list *next, *prev;
};
static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_insert(struct list *before, struct list *l)
{
    l->prev = before->prev;
    l->next = before;
    before->prev->next = l;
    before->prev = l;
}
static inline void list_append(struct list *head, struct list *l) { list_insert(head, l); }
static inline void list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}
/** `item` may not be removed meanwhile, unless the loop is left. */
#define LIST_FOR(type, item, head, field)                                                            \
    for (type *item = CONTAINER_OF((head)->next, type, field); &item->field != (head);               \
         item = CONTAINER_OF(item->field.next, type, field))

/* -- print.c */
void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** The same, unless `quiet` is on the command line. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void panic(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Exactly these bytes. */
void print_text(const char *text, size_t length);
void print_frame(const struct frame *frame);
#define ASSERT(x) ((x) ? (void)0 : panic("assertion failed: %s", #x))
extern bool print_quiet;

/* -- input.c */
/** From the machine: a byte was typed. */
void console_typed(char c);
/** Waits for a byte; -1 if the caller is being killed. */
int console_read(void);

/* -- console.c */
/** Reads a line with editing; `history` offers earlier ones. False if interrupted by Ctrl-C. */
bool console_line(const char *prompt, char *line, size_t size, bool history);
/** Called for every Ctrl-C that is typed; true: it has done its work and is not for the line editor. */
bool console_interrupt(void);
/** Ctrl-C was typed since the last line was read. */
bool console_interrupted(void);
struct process;
/** The program that Ctrl-C kills, or null. */
void console_foreground(struct process *process);

/* -- loader.c: what the loader told */
#define MEMORY_MAX_RANGES 32
struct memory_range {
    u64 start, end;
};
extern struct memory_range memory_ranges[MEMORY_MAX_RANGES];
extern int memory_range_count;
extern char command_line[512];
extern u64 memory_total;
void loader_start(void);
/** For the machine: memory that may be allocated, and what of it may not. */
void memory_add(u64 start, u64 end);
void memory_remove(u64 start, u64 end);
/** The value of `key=` on the command line (quotes removed), or false. */
bool command_line_value(const char *key, char *value, size_t size);
bool command_line_flag(const char *word);

/* -- page.c: physical pages */
void page_start(void);
/** Physical address of a page that nobody uses, or 0. */
u64 page_alloc(void);
u64 page_alloc_zero(void);
void page_get(u64 physical);
/** Drops one reference; the page is free after the last. */
void page_put(u64 physical);
u32 page_references(u64 physical);
u64 page_free_count(void);
u64 page_total_count(void);

/* -- paging.c: kernel address space, and the walk */
void paging_start(void);
extern u64 kernel_root;
/** The 4 KiB entry for `address`, or null; `create` makes missing tables (null then: no memory). */
u64 *paging_entry(u64 root, u64 address, bool create);
/** The 2 MiB entry, with tables made that are missing; null: no memory. */
u64 *paging_large_entry(u64 root, u64 address);
/** A page that is a table, or 0; the way back. */
u64 table_alloc(void);
void table_free(u64 table);
/** `pages` fresh kernel pages with an unmapped one below; null if memory is out. */
void *kernel_map(size_t pages);
void kernel_unmap(void *at, size_t pages);
/** Maps device registers, uncached. */
void *device_map(u64 physical, size_t size);

/* -- heap.c */
void *heap_alloc(size_t size);
void *heap_alloc_zero(size_t size);
void heap_free(void *p);
u64 heap_used(void);

/* -- thread.c */
enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_DEAD };
struct fault {
    u64 vector, error, address, rip;
};
struct thread {
    u8 fpu[512] __attribute__((aligned(16)));
    struct list run, all, sleep;
    u64 rsp, stack;
    struct process *process; /* null: a kernel thread */
    int id;
    char name[24];
    enum thread_state state;
    u64 wake_at; /* clock, 0: none */
    bool timed_out;
    u64 run_time; /* TSC ticks */
    u64 switches;
    struct frame *user_frame;
    /* Exceptions of the kernel itself that this thread expects (machine_attempt); true: `frame` has been changed to go on. */
    bool (*expect)(struct frame *frame, void *argument);
    void *expect_argument;
};
struct queue {
    struct list waiters;
};
#define QUEUE_INIT(q) {{&(q).waiters, &(q).waiters}}

/** Protects run queue, queues, threads and processes. Taken with interrupts off. */
bool sched_lock(void);
void sched_unlock(bool interrupts);

void thread_start(void);
struct thread *thread_current(void);
struct thread *thread_create(const char *name, void (*entry)(void *), void *argument, struct process *process);
_Noreturn void thread_exit(void);
void thread_yield(void);
/** Lets others run if the processor asked for it; interrupts are off. */
void thread_preempt(void);
/** From the timer: wakes sleepers, ends time slices. */
void thread_tick(void);
/** False: woken early because the program is being killed. */
bool thread_sleep(u64 nanoseconds);
_Noreturn void thread_idle(void);
int thread_ready_count(void);
u64 thread_switch_count(void);
extern struct list thread_all;

/* With the scheduler's lock held. False: killed, or `until` (clock; 0: never) passed. */
bool queue_wait(struct queue *q, u64 until);
void queue_wake_one(struct queue *q);
void queue_wake_all(struct queue *q);
void thread_wake(struct thread *t);

/* -- sync.c */
struct spinlock {
    u32 locked;
};
bool spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l, bool interrupts);
struct semaphore {
    int count;
    struct queue queue;
};
#define SEMAPHORE_INIT(s, n) {n, QUEUE_INIT((s).queue)}
void semaphore_init(struct semaphore *s, int count);
/** False: the caller is being killed. */
bool semaphore_down(struct semaphore *s);
void semaphore_up(struct semaphore *s);
struct mutex {
    struct thread *owner;
    struct queue queue;
};
void mutex_init(struct mutex *m);
void mutex_lock(struct mutex *m);
void mutex_unlock(struct mutex *m);

/* -- space.c: address spaces of programs */
#define SPACE_REGIONS 24
struct region {
    u64 start, end;
    bool write, execute;
    u64 image, image_end; /* physical pages of the kernel image behind the start of the region; 0: zero pages */
};
struct space {
    u64 root;
    struct spinlock lock;
    struct region regions[SPACE_REGIONS];
    int count;
    u64 next_map;
    u64 pages, copies;
};
bool space_create(struct space *s);
void space_destroy(struct space *s);
bool space_copy(struct space *to, struct space *from);
bool space_add(struct space *s, u64 start, u64 end, bool write, bool execute, u64 image, u64 image_end);
u64 space_map(struct space *s, u64 size, bool write, bool execute);
bool space_unmap(struct space *s, u64 start);
/** Makes `address` present as the access in `error` (FAULT_*) asks; false if it is not allowed. */
bool space_fault(struct space *s, u64 address, u64 error);
bool space_read(struct space *s, void *to, u64 from, size_t size);
bool space_write(struct space *s, u64 to, const void *from, size_t size);

/* -- process.c */
struct process {
    struct list all;
    int id, parent;
    char name[24];
    struct space space;
    int threads;
    bool dying, ended, quiet, background;
    int status; /* exit status, or 256 + vector */
    struct fault fault;
    bool killed; /* by an exception: see fault */
    bool interrupted;
    struct queue end;
    u64 entry, stack, argument;
};
extern struct list process_all;
struct program {
    char name[16];
    u64 start, size;
};
extern const struct program programs[];
extern const int program_count;
const struct program *program_find(const char *name);
#define PROCESS_QUIET 1
#define PROCESS_BACKGROUND 2
/** Starts a program; null with a message printed if that is not possible. */
struct process *process_start(int argc, char **argv, int flags);
/** Waits for the end, copies the final state to `result` (may be null) and forgets the process. */
void process_wait(struct process *p, struct process *result);
/** Runs in the foreground to the end. */
bool process_run(int argc, char **argv, int flags, struct process *result);
void process_kill(struct process *p, int status);
_Noreturn void process_exit(int status);
/** The calling program caused `fault`: it ends. */
_Noreturn void process_fault(const struct fault *fault);
int process_fork(struct frame *frame);
int process_wait_child(int id);
int process_thread(u64 entry, u64 stack, u64 argument);
/** The last thread of `p` is gone. */
void process_leave(struct process *p);
struct process *process_find(int id);

/* -- trap.c, syscall.c */
void trap(struct frame *frame);
void syscall(struct frame *frame);
const char *exception_name(u64 vector);

/* -- timer.c */
#define TIMER_HZ 100
void timer_start(void);
/** From the machine. */
void timer_tick(void);
/** Nanoseconds since boot. */
u64 clock_now(void);
u64 clock_from_tsc(u64 ticks);
/** When the kernel began, in TSC ticks; ticks in a second. */
extern u64 boot_tsc, tsc_hz;
extern volatile u64 timer_ticks;
void delay(u64 nanoseconds);

/* -- native/acpi.c: all zero on a machine without it */
struct acpi_override {
    u8 irq;
    u32 gsi;
    u16 flags;
};
struct acpi {
    bool found, s5, madt;
    char oem[7];
    u16 sci;
    u32 pm1a_event, pm1b_event, pm1a_control, pm1b_control, smi_command;
    u8 acpi_enable, s5_a, s5_b, pm1_length;
    u32 apic_address, ioapic_address, ioapic_base;
    int cpus, override_count;
    struct acpi_override overrides[16];
};
extern struct acpi acpi;

/* -- power.c */
void power_start(void);
/** From the machine: the power button was pressed. */
void power_button(void);
_Noreturn void power_off(void);
_Noreturn void power_reset(void);

/* -- shell.c and what it calls */
void shell(void *unused);
void shell_run(char *line);
struct command {
    const char *name, *arguments, *help;
    void (*run)(int argc, char **argv);
};
extern const struct command commands[];
extern const int command_count;
void command_selftest(int argc, char **argv);
void command_bench(int argc, char **argv);
void command_exits(int argc, char **argv);
void command_threads(int argc, char **argv);
void command_cpu(int argc, char **argv);
void cpu_brand(char brand[49]);

/* -- attempt.c: expected exceptions */
/** Runs fn(argument); true if it raised an exception, which is then in *fault. */
bool attempt(void (*fn)(void *), void *argument, struct fault *fault);
