/* Spinlocks, semaphores, mutexes. The last two sleep on queues, under the scheduler's lock. */
#include "kernel.h"

bool spin_lock(struct spinlock *l)
{
    bool on = machine_disable();
    while (__atomic_exchange_n(&l->locked, 1, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause();
    return on;
}

void spin_unlock(struct spinlock *l, bool interrupts)
{
    __atomic_store_n(&l->locked, 0, __ATOMIC_RELEASE);
    machine_restore(interrupts);
}

void semaphore_init(struct semaphore *s, int count)
{
    s->count = count;
    list_init(&s->queue.waiters);
}

bool semaphore_down(struct semaphore *s)
{
    bool on = sched_lock();
    while (s->count == 0)
        if (!queue_wait(&s->queue, 0)) {
            sched_unlock(on);
            return false;
        }
    s->count--;
    sched_unlock(on);
    return true;
}

void semaphore_up(struct semaphore *s)
{
    bool on = sched_lock();
    s->count++;
    queue_wake_one(&s->queue);
    sched_unlock(on);
}

void mutex_init(struct mutex *m)
{
    m->owner = NULL;
    list_init(&m->queue.waiters);
}

void mutex_lock(struct mutex *m)
{
    bool on = sched_lock();
    /* A killed program's thread still waits its turn: the holder always lets go. */
    while (m->owner)
        if (!queue_wait(&m->queue, 0) && m->owner) {
            sched_unlock(on);
            thread_yield();
            on = sched_lock();
        }
    m->owner = thread_current();
    sched_unlock(on);
}

void mutex_unlock(struct mutex *m)
{
    bool on = sched_lock();
    ASSERT(m->owner == thread_current());
    m->owner = NULL;
    queue_wake_one(&m->queue);
    sched_unlock(on);
}
