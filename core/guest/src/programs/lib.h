/* What programs are written with. */
#pragma once
#include "../common/calls.h"
#include "../common/string.h"
#include "../common/types.h"

/** A system call by SYSCALL. */
s64 call(u64 number, u64 a, u64 b, u64 c);
/** The same by INT 0x80. */
s64 call_int80(u64 number, u64 a, u64 b, u64 c);

void print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void exit(int status);
/** Nanoseconds since boot. */
u64 clock_now(void);
void sleep(u64 nanoseconds);
void yield(void);
/** Fresh zero pages (MAP_*), or null. */
void *map(u64 size, u64 flags);
/** A thread with its own mapped stack that runs fn(argument) and ends; negative: it could not be made. */
int thread(void (*fn)(void *), void *argument);

static inline u64 rdtsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (u64)high << 32 | low;
}
