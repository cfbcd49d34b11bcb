/* Threads and the scheduler: one run queue, first in first out, a time slice of one tick. */
#include "kernel.h"

static struct spinlock lock;
static struct list ready = {&ready, &ready};
static struct list sleepers = {&sleepers, &sleepers};
struct list thread_all = {&thread_all, &thread_all};
static int next_id = 1;
static int ready_threads;
static u64 switches;

bool sched_lock(void) { return spin_lock(&lock); }
void sched_unlock(bool interrupts) { spin_unlock(&lock, interrupts); }
struct thread *thread_current(void) { return this_cpu()->current; }
int thread_ready_count(void) { return ready_threads; }
u64 thread_switch_count(void) { return switches; }

/** The thread that runs kernel_main becomes the idle thread. */
void thread_start(void)
{
    static struct thread idle;
    struct cpu *cpu = this_cpu();
    copy_string(idle.name, "idle", sizeof idle.name);
    idle.state = THREAD_RUNNING;
    list_init(&idle.run);
    list_init(&idle.sleep);
    list_append(&thread_all, &idle.all);
    cpu->idle = cpu->current = &idle;
    cpu->switched_at = machine_tsc();
}

static void make_ready(struct thread *t)
{
    t->state = THREAD_READY;
    list_append(&ready, &t->run);
    ready_threads++;
}

static void thread_free(struct thread *t)
{
    kernel_unmap((void *)t->stack, KERNEL_STACK / PAGE);
    heap_free(t);
}

/** The rest of a switch, on the new thread's stack. */
static void switched(void)
{
    struct cpu *cpu = this_cpu();
    struct thread *previous = cpu->previous;
    bool dead = previous->state == THREAD_DEAD;
    sched_unlock(false);
    if (dead) {
        if (cpu->fpu_owner == previous)
            cpu->fpu_owner = NULL;
        thread_free(previous);
    }
}

/** Gives the processor away. The lock is held; it is not afterwards. */
static void schedule(void)
{
    struct cpu *cpu = this_cpu();
    struct thread *previous = cpu->current, *next = cpu->idle;
    cpu->reschedule = false;
    if (previous->state == THREAD_RUNNING && previous != cpu->idle)
        make_ready(previous);
    if (!list_empty(&ready)) {
        next = CONTAINER_OF(ready.next, struct thread, run);
        list_remove(&next->run);
        ready_threads--;
    }
    next->state = THREAD_RUNNING;
    if (next == previous) {
        sched_unlock(false);
        return;
    }
    if (previous == cpu->idle)
        machine->timer_resume();
    u64 now = machine_tsc();
    previous->run_time += now - cpu->switched_at;
    cpu->switched_at = now;
    next->switches++;
    switches++;
    cpu->current = next;
    cpu->previous = previous;
    if (previous->process && previous->state != THREAD_DEAD)
        machine_save_fpu(previous->fpu);
    if (next->process) {
        machine->begin_batch();
        machine->set_kernel_stack(cpu, next->stack + KERNEL_STACK);
        if (machine_space() != next->process->space.root)
            machine_load_space(next->process->space.root);
        machine->end_batch();
        /* A kernel thread leaves the registers alone: a program that comes back after one finds its own. */
        if (cpu->fpu_owner != next) {
            machine_load_fpu(next->fpu);
            cpu->fpu_owner = next;
        }
    }
    machine_switch(&previous->rsp, next->rsp);
    switched();
}

_Static_assert(sizeof(struct frame) % 16 == 0, "stacks are aligned");

static void first_run(void *entry, void *argument)
{
    switched();
    machine_enable();
    ((void (*)(void *))entry)(argument);
    thread_exit();
}

struct thread *thread_create(const char *name, void (*entry)(void *), void *argument, struct process *process)
{
    struct thread *t = heap_alloc_zero(sizeof *t);
    void *stack = t ? kernel_map(KERNEL_STACK / PAGE) : NULL;
    if (!stack) {
        heap_free(t);
        return NULL;
    }
    t->stack = (u64)stack;
    t->process = process;
    copy_string(t->name, name, sizeof t->name);
    list_init(&t->sleep);
    machine_fresh_fpu(t->fpu);
    /* Above it, a program's first frame is laid while this stack is in use. */
    t->rsp = machine_prepare(t->stack + KERNEL_STACK - sizeof(struct frame), first_run, entry, argument);
    bool on = sched_lock();
    t->id = next_id++;
    list_append(&thread_all, &t->all);
    if (process)
        process->threads++;
    make_ready(t);
    this_cpu()->reschedule |= this_cpu()->current == this_cpu()->idle;
    sched_unlock(on);
    return t;
}

_Noreturn void thread_exit(void)
{
    struct thread *t = thread_current();
    struct process *p = t->process;
    if (p) {
        /* The program's address space may go now: stand on the kernel's, and never be switched back to the other. */
        bool on = sched_lock();
        t->process = NULL;
        machine_load_space(kernel_root);
        bool last = --p->threads == 0;
        sched_unlock(on);
        if (last)
            process_leave(p);
    }
    sched_lock();
    list_remove(&t->all);
    t->state = THREAD_DEAD;
    schedule();
    panic("a dead thread ran");
}

void thread_yield(void)
{
    bool on = sched_lock();
    schedule();
    machine_restore(on);
}

void thread_preempt(void)
{
    sched_lock();
    schedule();
}

void thread_wake(struct thread *t)
{
    if (t->state != THREAD_WAITING)
        return;
    list_remove(&t->run);
    list_remove(&t->sleep);
    make_ready(t);
    struct cpu *cpu = this_cpu();
    if (cpu->current == cpu->idle)
        cpu->reschedule = true;
}

void thread_tick(void)
{
    struct cpu *cpu = this_cpu();
    bool on = sched_lock();
    if (!list_empty(&sleepers)) {
        u64 now = clock_now();
        while (!list_empty(&sleepers)) {
            struct thread *t = CONTAINER_OF(sleepers.next, struct thread, sleep);
            if (t->wake_at > now)
                break;
            t->timed_out = true;
            thread_wake(t);
        }
    }
    if (!list_empty(&ready))
        cpu->reschedule = true;
    sched_unlock(on);
}

static bool being_killed(const struct thread *t) { return t->process && t->process->dying; }

bool queue_wait(struct queue *q, u64 until)
{
    struct thread *t = thread_current();
    if (being_killed(t))
        return false;
    t->state = THREAD_WAITING;
    t->timed_out = false;
    list_append(&q->waiters, &t->run);
    if (until) {
        t->wake_at = until;
        struct list *at = sleepers.next;
        while (at != &sleepers && CONTAINER_OF(at, struct thread, sleep)->wake_at <= until)
            at = at->next;
        list_insert(at, &t->sleep);
    }
    schedule();
    sched_lock();
    return !t->timed_out && !being_killed(t);
}

void queue_wake_one(struct queue *q)
{
    if (!list_empty(&q->waiters))
        thread_wake(CONTAINER_OF(q->waiters.next, struct thread, run));
}

void queue_wake_all(struct queue *q)
{
    while (!list_empty(&q->waiters))
        queue_wake_one(q);
}

bool thread_sleep(u64 nanoseconds)
{
    static struct queue nobody = QUEUE_INIT(nobody);
    u64 until = clock_now() + nanoseconds;
    bool killed = false;
    bool on = sched_lock();
    while (!killed && clock_now() < until) {
        queue_wait(&nobody, until);
        killed = being_killed(thread_current());
    }
    sched_unlock(on);
    return !killed;
}

_Noreturn void thread_idle(void)
{
    for (;;) {
        machine_disable();
        if (this_cpu()->reschedule || ready_threads)
            thread_preempt();
        else {
            if (!machine->console_polled())
                machine->timer_pause(list_empty(&sleepers) ? 0 : CONTAINER_OF(sleepers.next, struct thread, sleep)->wake_at);
            machine->wait();
        }
    }
}
