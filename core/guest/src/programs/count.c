/* count [N]: N threads of one program count for a second; are they treated alike? */
#include "lib.h"

#define MOST 20

static struct counter {
    volatile u64 count;
    u8 apart[56];
} counters[MOST];
static volatile bool stop;
static volatile u32 running;

static void work(void *argument)
{
    struct counter *c = argument;
    while (!stop)
        c->count++;
    __atomic_sub_fetch(&running, 1, __ATOMIC_SEQ_CST);
}

int main(int argc, char **argv)
{
    u64 n = 4, least = ~0ul, most = 0, total = 0;
    if (argc > 2 || (argc == 2 && (!parse_number(argv[1], &n) || n < 1 || n > MOST))) {
        print("usage: count [N]  (1 to %d)\n", MOST);
        return 2;
    }
    u64 start = clock_now();
    for (u64 i = 0; i < n; i++) {
        __atomic_add_fetch(&running, 1, __ATOMIC_SEQ_CST);
        if (thread(work, &counters[i]) < 0) {
            print("count: no memory\n");
            return 1;
        }
    }
    sleep(SECOND);
    stop = true;
    while (running)
        yield();
    for (u64 i = 0; i < n; i++) {
        least = MIN(least, counters[i].count);
        most = MAX(most, counters[i].count);
        total += counters[i].count;
    }
    for (u64 i = 0; i < n; i++)
        print("  thread %2lu  %12lu  %3lu %%\n", i, counters[i].count, counters[i].count * 100 / MAX(total, 1ul));
    print("%lu user threads, %lu ms, least/most %lu %%\n", n, (clock_now() - start) / MILLISECOND, most ? least * 100 / most : 0);
    return 0;
}
