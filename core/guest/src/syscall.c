/* System calls; the numbers and arguments are in common/calls.h. */
#include "kernel.h"

#define CHUNK 256

static s64 call_write(u64 text, u64 length)
{
    char chunk[CHUNK];
    u64 done = 0;
    while (done < length) {
        size_t n = MIN(length - done, (u64)CHUNK);
        if (!space_read(&thread_current()->process->space, chunk, text + done, n))
            return done ? (s64)done : ERROR_FAULT;
        print_text(chunk, n);
        done += n;
    }
    return done;
}

static s64 call_read(u64 buffer, u64 size)
{
    struct process *p = thread_current()->process;
    char line[CHUNK];
    if (p->background || !size)
        return ERROR_INVALID;
    if (!console_line("", line, MIN(size, sizeof line), false))
        return ERROR_INTERRUPTED;
    size_t n = strlen(line);
    return space_write(&p->space, buffer, line, n + 1) ? (s64)n : ERROR_FAULT;
}

static s64 call_map(u64 size, u64 flags)
{
    if (flags & ~(MAP_WRITE | MAP_EXECUTE))
        return ERROR_INVALID;
    u64 at = space_map(&thread_current()->process->space, size, flags & MAP_WRITE, flags & MAP_EXECUTE);
    return at ? (s64)at : ERROR_NO_MEMORY;
}

static s64 call_info(u64 number)
{
    struct thread *t = thread_current();
    switch (number) {
    case INFO_COPIES:
        return t->process->space.copies;
    case INFO_PAGES:
        return t->process->space.pages;
    case INFO_SWITCHES:
        return t->switches;
    case INFO_TSC_HZ:
        return tsc_hz;
    }
    return ERROR_INVALID;
}

static s64 call(struct frame *f, u64 number, u64 a, u64 b, u64 c)
{
    switch (number) {
    case CALL_EXIT:
        process_exit(a & 0xff);
    case CALL_WRITE:
        return call_write(a, b);
    case CALL_READ:
        return call_read(a, b);
    case CALL_YIELD:
        thread_yield();
        return 0;
    case CALL_SLEEP:
        return thread_sleep(a) ? 0 : ERROR_INTERRUPTED;
    case CALL_PID:
        return thread_current()->process->id;
    case CALL_CLOCK:
        return clock_now();
    case CALL_MAP:
        return call_map(a, b);
    case CALL_UNMAP:
        return space_unmap(&thread_current()->process->space, a) ? 0 : ERROR_INVALID;
    case CALL_FORK:
        return process_fork(f);
    case CALL_WAIT:
        return process_wait_child(a);
    case CALL_THREAD:
        return process_thread(a, b, c);
    case CALL_LEAVE:
        thread_exit();
    case CALL_INFO:
        return call_info(a);
    }
    return ERROR_NO_CALL;
}

void syscall(struct frame *f)
{
    if (f->cs == USER_CODE32)
        f->rax = call(f, (u32)f->rax, (u32)f->rbx, (u32)f->rcx, (u32)f->rdx);
    else
        f->rax = call(f, f->rax, f->rdi, f->rsi, f->rdx);
}
