/* Everything that enters the kernel passes here. */
#include "kernel.h"

_Static_assert(offsetof(struct frame, rip) == 136 && offsetof(struct frame, cs) == 144 && offsetof(struct frame, rflags) == 152, "entry.h");
_Static_assert(offsetof(struct cpu, kernel_rsp) == 8 && offsetof(struct cpu, user_rsp) == 16, "native/entry.S");

const char *exception_name(u64 vector)
{
    static const char *const names[] = {
        "divide error",     "debug trap",          "NMI",
        "breakpoint",       "overflow",            "bound range exceeded",
        "invalid opcode",   "no coprocessor",      "double fault",
        "exception 9",      "invalid TSS",         "segment not present",
        "stack fault",      "general protection",  "page fault",
        "exception 15",     "x87 floating point",  "alignment check",
        "machine check",    "SIMD floating point",
    };
    return vector < ARRAY_SIZE(names) ? names[vector] : "exception";
}

static void exception(struct frame *f)
{
    struct thread *t = thread_current();
    this_cpu()->exceptions++;
    u64 address = f->vector == VECTOR_PAGE_FAULT ? machine->fault_address() : 0;
    if (frame_is_user(f) && f->vector != VECTOR_NMI && f->vector != VECTOR_DOUBLE_FAULT) {
        machine_enable();
        if (f->vector == VECTOR_PAGE_FAULT && address < USER_END && space_fault(&t->process->space, address, f->error)) {
            machine_disable();
            return;
        }
        process_fault(&(struct fault){f->vector, f->error, address, f->rip});
    }
    if (t && t->expect && t->expect(f, t->expect_argument))
        return;
    if (f->vector == VECTOR_NMI)
        return;
    print("\nKernel exception %lu: %s, error 0x%lx, address 0x%lx\n", f->vector, exception_name(f->vector), f->error, address);
    print_frame(f);
    panic("%s in the kernel", exception_name(f->vector));
}

void trap(struct frame *f)
{
    if (f->vector < 32) {
        exception(f);
        if (f->vector == VECTOR_NMI || f->vector == VECTOR_DOUBLE_FAULT)
            return; /* on a stack of its own */
    } else if (f->vector == VECTOR_CALL || f->vector == VECTOR_SYSCALL) {
        this_cpu()->calls++;
        machine_enable();
        syscall(f);
        machine_disable();
    } else {
        this_cpu()->interrupts++;
        machine->interrupt_dispatch(f->vector);
    }
    if (frame_is_user(f)) {
        if (this_cpu()->reschedule)
            thread_preempt();
        if (thread_current()->process->dying) {
            machine_enable();
            thread_exit();
        }
    } else if ((f->rflags & FLAG_IF) && this_cpu()->reschedule) {
        thread_preempt();
    }
}
