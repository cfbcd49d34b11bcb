/* What is typed, until somebody reads it. */
#include "kernel.h"

#define CTRL_C 3
#define INPUT_SIZE 1024

/* Under the scheduler's lock. */
static char input[INPUT_SIZE];
static u32 input_head, input_tail;
static struct queue readers = QUEUE_INIT(readers);

void console_typed(char c)
{
    if (c == CTRL_C && console_interrupt())
        return;
    bool on = sched_lock();
    if (c == CTRL_C)
        input_tail = input_head; /* what was typed before it does not count any more */
    if (input_head - input_tail < INPUT_SIZE)
        input[input_head++ % INPUT_SIZE] = c;
    queue_wake_one(&readers);
    sched_unlock(on);
}

int console_read(void)
{
    int c = -1;
    bool on = sched_lock();
    bool alive = true;
    while (alive && input_head == input_tail)
        alive = queue_wait(&readers, 0);
    if (alive)
        c = (u8)input[input_tail++ % INPUT_SIZE];
    sched_unlock(on);
    return c;
}
