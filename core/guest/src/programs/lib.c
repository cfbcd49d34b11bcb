#include "lib.h"

#define THREAD_STACK (16 * KIB)

void print(const char *fmt, ...)
{
    char text[512];
    va_list list;
    va_start(list, fmt);
    int n = format_list(text, sizeof text, fmt, list);
    va_end(list);
    call(CALL_WRITE, (u64)text, n, 0);
}

_Noreturn void exit(int status)
{
    call(CALL_EXIT, status, 0, 0);
    __builtin_unreachable();
}

u64 clock_now(void) { return call(CALL_CLOCK, 0, 0, 0); }
void sleep(u64 nanoseconds) { call(CALL_SLEEP, nanoseconds, 0, 0); }
void yield(void) { call(CALL_YIELD, 0, 0, 0); }

void *map(u64 size, u64 flags)
{
    s64 at = call(CALL_MAP, size, flags, 0);
    return at > 0 ? (void *)at : NULL;
}

int thread(void (*fn)(void *), void *argument)
{
    extern u8 thread_entry[];
    char *stack = map(THREAD_STACK, MAP_WRITE);
    if (!stack)
        return ERROR_NO_MEMORY;
    u64 *top = (u64 *)(stack + THREAD_STACK) - 2;
    top[0] = (u64)fn;
    top[1] = (u64)argument;
    return call(CALL_THREAD, (u64)thread_entry, (u64)top, (u64)top);
}
