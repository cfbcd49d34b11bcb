#include "kernel.h"

struct attempt {
    struct fault *fault;
    struct landing landing;
};

static bool expected(struct frame *frame, void *argument)
{
    struct attempt *a = argument;
    *a->fault = (struct fault){frame->vector, frame->error, machine->fault_address(), frame->rip};
    machine_leave(frame, &a->landing);
    return true;
}

bool attempt(void (*fn)(void *), void *argument, struct fault *fault)
{
    struct thread *t = thread_current();
    struct attempt a = {fault, {0}};
    bool (*before)(struct frame *, void *) = t->expect;
    void *before_argument = t->expect_argument;
    t->expect = expected;
    t->expect_argument = &a;
    bool failed = machine_attempt(fn, argument, &a.landing);
    t->expect = before;
    t->expect_argument = before_argument;
    return failed;
}
