/* Programs: loading, threads, ends. A program is an ELF file in the kernel image whose pages are used in place until written to. */
#include "kernel.h"

#define STACK_TOP 0x7ffffff00000ul
#define STACK_SIZE (256 * KIB)
#define ARGUMENTS 16

struct elf {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum;
};
struct segment {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};
#define PT_LOAD 1
#define PF_X 1
#define PF_W 2

struct list process_all = {&process_all, &process_all};
static int next_id = 1;

const struct program *program_find(const char *name)
{
    for (int i = 0; i < program_count; i++)
        if (strcmp(programs[i].name, name) == 0)
            return &programs[i];
    return NULL;
}

static bool load(struct process *p, const struct program *program)
{
    const struct elf *elf = (const struct elf *)program->start;
    u64 image = program->start - KERNEL_BASE;
    if (program->size < sizeof *elf || memcmp(elf->ident, "\177ELF\2", 5))
        return false;
    const struct segment *s = (const struct segment *)(program->start + elf->phoff);
    for (int i = 0; i < elf->phnum; i++, s++) {
        if (s->type != PT_LOAD)
            continue;
        u64 start = ROUND_DOWN(s->vaddr, PAGE), file = image + ROUND_DOWN(s->offset, PAGE);
        u64 file_end = s->filesz ? file + ROUND_UP(s->vaddr + s->filesz - start, PAGE) : 0;
        if (!space_add(&p->space, start, ROUND_UP(s->vaddr + s->memsz, PAGE), s->flags & PF_W, s->flags & PF_X, s->filesz ? file : 0,
                       file_end))
            return false;
    }
    p->entry = elf->entry;
    return space_add(&p->space, STACK_TOP - STACK_SIZE, STACK_TOP, true, false, 0, 0);
}

/** argc, the pointers and the strings, as the System V ABI lays them on the stack. */
static bool push_arguments(struct process *p, int argc, char **argv)
{
    u64 table[ARGUMENTS + 2], at = STACK_TOP;
    argc = MIN(argc, ARGUMENTS);
    table[0] = argc;
    for (int i = argc - 1; i >= 0; i--) {
        size_t n = strlen(argv[i]) + 1;
        at -= n;
        if (!space_write(&p->space, at, argv[i], n))
            return false;
        table[i + 1] = at;
    }
    table[argc + 1] = 0;
    size_t size = (argc + 2) * 8;
    at = ROUND_DOWN(at - size, 16ul);
    p->stack = at;
    return space_write(&p->space, at, table, size);
}

/** The first thing a program's thread does. */
static void enter(void *unused)
{
    (void)unused;
    struct thread *t = thread_current();
    struct frame *f = (struct frame *)(t->stack + KERNEL_STACK) - 1;
    struct frame *start = t->user_frame;
    machine_disable();
    *f = *start;
    heap_free(start);
    t->user_frame = NULL;
    machine->resume(f);
}

static struct thread *add_thread(struct process *p, const struct frame *frame)
{
    struct frame *copy = heap_alloc(sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *frame;
    bool on = machine_disable(); /* not before user_frame is set */
    struct thread *t = thread_create(p->name, enter, NULL, p);
    if (t)
        t->user_frame = copy;
    else
        heap_free(copy);
    machine_restore(on);
    return t;
}

static struct frame fresh_frame(u64 entry, u64 stack, u64 argument)
{
    return (struct frame){
        .rip = entry, .rsp = stack, .rdi = argument, .cs = USER_CODE64, .ss = USER_DATA, .rflags = FLAG_IF | 2, .vector = VECTOR_CALL};
}

static struct process *process_new(const char *name)
{
    struct process *p = heap_alloc_zero(sizeof *p);
    if (!p)
        return NULL;
    copy_string(p->name, name, sizeof p->name);
    list_init(&p->end.waiters);
    bool on = sched_lock();
    p->id = next_id++;
    list_append(&process_all, &p->all);
    sched_unlock(on);
    return p;
}

static void process_free(struct process *p)
{
    bool on = sched_lock();
    list_remove(&p->all);
    sched_unlock(on);
    space_destroy(&p->space);
    heap_free(p);
}

struct process *process_start(int argc, char **argv, int flags)
{
    const struct program *program = program_find(argv[0]);
    if (!program) {
        print("%s: no such program\n", argv[0]);
        return NULL;
    }
    struct process *p = process_new(argv[0]);
    if (p && space_create(&p->space) && load(p, program) && push_arguments(p, argc, argv)) {
        p->quiet = flags & PROCESS_QUIET;
        p->background = flags & PROCESS_BACKGROUND;
        struct frame f = fresh_frame(p->entry, p->stack, 0);
        if (add_thread(p, &f))
            return p;
    }
    if (p)
        process_free(p);
    print("%s: not enough memory\n", argv[0]);
    return NULL;
}

void process_wait(struct process *p, struct process *result)
{
    bool on = sched_lock();
    while (!p->ended)
        queue_wait(&p->end, 0);
    sched_unlock(on);
    if (result)
        *result = *p;
    process_free(p);
}

bool process_run(int argc, char **argv, int flags, struct process *result)
{
    struct process *p = process_start(argc, argv, flags);
    if (!p)
        return false;
    console_foreground(p);
    if (console_interrupted()) /* before it was in the foreground */
        process_kill(p, 130);
    bool on = sched_lock();
    while (!p->ended)
        queue_wait(&p->end, 0);
    console_foreground(NULL);
    sched_unlock(on);
    process_wait(p, result);
    return true;
}

struct process *process_find(int id)
{
    struct process *found = NULL;
    bool on = sched_lock();
    LIST_FOR(struct process, p, &process_all, all) if (p->id == id) found = p;
    sched_unlock(on);
    return found;
}

void process_kill(struct process *p, int status)
{
    bool on = sched_lock();
    if (!p->dying) {
        p->dying = true;
        p->status = status;
    }
    LIST_FOR(struct thread, t, &thread_all, all) if (t->process == p) thread_wake(t);
    sched_unlock(on);
}

_Noreturn void process_exit(int status)
{
    process_kill(thread_current()->process, status);
    thread_exit();
}

_Noreturn void process_fault(const struct fault *fault)
{
    struct process *p = thread_current()->process;
    if (!p->dying) {
        p->killed = true;
        p->fault = *fault;
        if (!p->quiet && fault->vector == VECTOR_PAGE_FAULT)
            print("%s[%d]: killed: page fault, %s 0x%lx (%s), at rip 0x%lx, error 0x%lx\n", p->name, p->id,
                  fault->error & FAULT_FETCH ? "executing"
                  : fault->error & FAULT_WRITE ? "writing to"
                                               : "reading",
                  fault->address, fault->error & FAULT_PRESENT ? "not permitted" : "not mapped", fault->rip, fault->error);
        else if (!p->quiet)
            print("%s[%d]: killed: %s, at rip 0x%lx, error 0x%lx\n", p->name, p->id, exception_name(fault->vector), fault->rip, fault->error);
    }
    process_exit(256 + fault->vector);
}

/** Children of `id` have nobody to wait for them any more. */
static void orphan(int id)
{
    for (bool again = true; again;) {
        struct process *gone = NULL;
        bool on = sched_lock();
        LIST_FOR(struct process, p, &process_all, all)
        {
            if (p->parent != id)
                continue;
            p->parent = 0;
            if (p->ended)
                gone = p;
            else
                p->background = p->quiet = true;
            if (gone)
                break;
        }
        sched_unlock(on);
        again = gone;
        if (gone)
            process_free(gone);
    }
}

void process_leave(struct process *p)
{
    orphan(p->id);
    space_destroy(&p->space);
    if (p->background) {
        if (!p->quiet)
            print("[%d] %s ended with status %d\n", p->id, p->name, p->status);
        process_free(p);
        return;
    }
    bool on = sched_lock();
    p->ended = true;
    queue_wake_all(&p->end);
    sched_unlock(on);
}

int process_fork(struct frame *frame)
{
    struct process *parent = thread_current()->process, *p = process_new(parent->name);
    if (!p)
        return ERROR_NO_MEMORY;
    p->parent = parent->id;
    p->quiet = parent->quiet;
    if (!space_copy(&p->space, &parent->space)) {
        process_free(p);
        return ERROR_NO_MEMORY;
    }
    struct frame f = *frame;
    f.rax = 0;
    int id = p->id;
    bool on = machine_disable(); /* the copy does not run before it has the caller's x87 and SSE registers */
    struct thread *t = add_thread(p, &f);
    if (t)
        machine_save_fpu(t->fpu);
    machine_restore(on);
    if (t)
        return id;
    process_free(p);
    return ERROR_NO_MEMORY;
}

int process_wait_child(int id)
{
    struct process *p = process_find(id), result;
    if (!p || p->parent != thread_current()->process->id)
        return ERROR_NO_CHILD;
    bool on = sched_lock();
    while (!p->ended)
        if (!queue_wait(&p->end, 0)) {
            sched_unlock(on);
            return ERROR_INTERRUPTED;
        }
    sched_unlock(on);
    process_wait(p, &result);
    return result.status;
}

int process_thread(u64 entry, u64 stack, u64 argument)
{
    if (entry >= USER_END || stack >= USER_END)
        return ERROR_INVALID;
    struct frame f = fresh_frame(entry, stack, argument);
    struct thread *t = add_thread(thread_current()->process, &f);
    return t ? t->id : ERROR_NO_MEMORY;
}
