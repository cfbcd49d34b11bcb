/* nano: the part of `bench` that is measured in user mode. */
#include "lib.h"

#define BUDGET (20 * MILLISECOND)

static void by_syscall(u64 n)
{
    while (n--)
        call(CALL_PID, 0, 0, 0);
}

static void by_int80(u64 n)
{
    while (n--)
        call_int80(CALL_PID, 0, 0, 0);
}

/* A copy that ends at once, and the wait for its end. */
static void by_fork(u64 n)
{
    while (n--) {
        s64 child = call(CALL_FORK, 0, 0, 0);
        if (child == 0)
            exit(0);
        call(CALL_WAIT, child, 0, 0);
    }
}

static void measure(const char *name, void (*fn)(u64), u64 count)
{
    u64 hz = call(CALL_INFO, INFO_TSC_HZ, 0, 0);
    for (u64 n = count ? count : 64;; n *= 4) {
        u64 start = rdtsc();
        fn(n);
        u64 ticks = rdtsc() - start;
        if (count) {
            print("%s: %lu operations, %lu cycles\n", name, n, ticks);
            return;
        }
        if (ticks < hz / (SECOND / BUDGET) && n < 1ul << 28)
            continue;
        print("  %-10s %8lu.%lu cycles  %8lu ns  (%lu times)\n", name, ticks / n, ticks * 10 / n % 10,
              (u64)((double)ticks / n * 1e9 / hz), n);
        return;
    }
}

/* nano [NAME COUNT] */
int main(int argc, char **argv)
{
    const char *name = argc == 3 ? argv[1] : NULL;
    u64 count = 0;
    for (const char *digit = name ? argv[2] : ""; *digit; digit++)
        count = count * 10 + (*digit - '0');
    if (!name || strcmp(name, "syscall") == 0)
        measure("syscall", by_syscall, count);
    if (!name || strcmp(name, "int80") == 0)
        measure("int80", by_int80, count);
    if (!name || strcmp(name, "fork") == 0)
        measure("fork", by_fork, count);
    return 0;
}
