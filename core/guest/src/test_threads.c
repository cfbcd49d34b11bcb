/* Threads, locks and time. */
#include "selftest.h"

#define WORKERS 4
/* What is too little, or takes too long, may be a busy host's doing: of several attempts one must be right. Too short is always wrong. */
#define ATTEMPTS 40

static struct semaphore done = SEMAPHORE_INIT(done, 0);
static volatile bool stop;

static bool start(const char *name, void (*fn)(void *), void *argument)
{
    return thread_create(name, fn, argument, NULL) || test_fail("no memory for a thread");
}

static void wait_for(int threads)
{
    while (threads--)
        semaphore_down(&done);
}

/* Each worker keeps numbers of its own in all registers and is preempted meanwhile. */
static u64 register_errors;
static void hold_registers(void *seed)
{
    u64 errors = 0;
    while (!stop) {
        u64 n = 20000, bad;
        __asm__ volatile("mov %[seed], %%rbx\n\t"
                         "lea 1(%%rbx), %%rdx\n\tlea 2(%%rbx), %%rsi\n\tlea 3(%%rbx), %%rdi\n\tlea 4(%%rbx), %%r8\n\t"
                         "lea 5(%%rbx), %%r9\n\tlea 6(%%rbx), %%r10\n\tlea 7(%%rbx), %%r11\n\tlea 8(%%rbx), %%r12\n\t"
                         "lea 9(%%rbx), %%r13\n\tlea 10(%%rbx), %%r14\n\tlea 11(%%rbx), %%r15\n"
                         "1:\tdec %%rcx\n\tjnz 1b\n\t"
                         "lea (%%rbx,%%rdx), %%rax\n\tadd %%rsi, %%rax\n\tadd %%rdi, %%rax\n\tadd %%r8, %%rax\n\tadd %%r9, %%rax\n\t"
                         "add %%r10, %%rax\n\tadd %%r11, %%rax\n\tadd %%r12, %%rax\n\tadd %%r13, %%rax\n\tadd %%r14, %%rax\n\t"
                         "add %%r15, %%rax\n\timul $12, %%rbx, %%rbx\n\tadd $66, %%rbx\n\tsub %%rbx, %%rax"
                         : "=&a"(bad), "+c"(n)
                         : [seed] "m"(seed)
                         : "rbx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc");
        errors += bad != 0;
    }
    __atomic_add_fetch(&register_errors, errors, __ATOMIC_SEQ_CST);
    semaphore_up(&done);
}

static bool kernel_registers(void)
{
    stop = false;
    register_errors = 0;
    for (u64 i = 0; i < WORKERS; i++)
        if (!start("hold", hold_registers, (void *)(0x1111111111111111 * (i + 1))))
            return false;
    thread_sleep(200 * MILLISECOND);
    stop = true;
    wait_for(WORKERS);
    CHECK_EQUAL(register_errors, 0);
    return true;
}

static volatile u64 counts[WORKERS];
static void count(void *index)
{
    while (!stop)
        counts[(u64)index]++;
    semaphore_up(&done);
}

/** Each gets its share of the processor, though none gives it up. */
static bool preemption(void)
{
    u64 least = 0, most = 0;
    for (int n = 0; n < ATTEMPTS; n++) {
        stop = false;
        for (u64 i = 0; i < WORKERS; i++) {
            counts[i] = 0;
            if (!start("count", count, (void *)i))
                return false;
        }
        thread_sleep(400 * MILLISECOND);
        stop = true;
        wait_for(WORKERS);
        least = most = counts[0];
        for (int i = 1; i < WORKERS; i++) {
            least = MIN(least, counts[i]);
            most = MAX(most, counts[i]);
        }
        if (least >= most / 5)
            return true;
    }
    return test_fail("one thread counted to %lu, another to %lu", least, most);
}

#define ROUNDS 500
static struct semaphore ping = SEMAPHORE_INIT(ping, 0), pong = SEMAPHORE_INIT(pong, 0);
static void echo(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        semaphore_down(&ping);
        semaphore_up(&pong);
    }
    semaphore_up(&done);
}

static bool semaphores(void)
{
    if (!start("echo", echo, NULL))
        return false;
    for (int i = 0; i < ROUNDS; i++) {
        semaphore_up(&ping);
        semaphore_down(&pong);
    }
    wait_for(1);
    CHECK_EQUAL(ping.count, 0);
    CHECK_EQUAL(pong.count, 0);
    return true;
}

static struct mutex mutex;
static volatile u64 shared;
static void add(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&mutex);
        u64 value = shared;
        if (i % 50 == 0)
            thread_yield(); /* in the middle of it, to invite the others */
        shared = value + 1;
        mutex_unlock(&mutex);
    }
    semaphore_up(&done);
}

static bool mutexes(void)
{
    mutex_init(&mutex);
    shared = 0;
    for (int i = 0; i < WORKERS; i++)
        if (!start("add", add, NULL))
            return false;
    wait_for(WORKERS);
    CHECK_EQUAL(shared, WORKERS * ROUNDS);
    return true;
}

static bool sleeping(void)
{
    static const u64 times[] = {15 * MILLISECOND, 50 * MILLISECOND, 80 * MILLISECOND};
    for (u64 i = 0; i < ARRAY_SIZE(times); i++) {
        u64 best = ~0ul;
        for (int n = 0; n < ATTEMPTS && best > times[i] + 3 * SECOND / TIMER_HZ; n++) {
            u64 before = clock_now();
            thread_sleep(times[i]);
            u64 slept = clock_now() - before;
            if (slept < times[i])
                return test_fail("slept %lu us instead of %lu us", slept / 1000, times[i] / 1000);
            best = MIN(best, slept);
        }
        if (best > times[i] + 3 * SECOND / TIMER_HZ)
            return test_fail("slept at least %lu us instead of %lu us", best / 1000, times[i] / 1000);
    }
    return true;
}

/** Over 50 ms, tick and TSC must agree. */
static bool ticks(void)
{
    u64 passed = 0, expected = TIMER_HZ / 20;
    for (int n = 0; n < ATTEMPTS; n++) {
        u64 tick = timer_ticks;
        while (timer_ticks == tick)
            __builtin_ia32_pause();
        u64 start = clock_now(), from = timer_ticks;
        while (clock_now() - start < 50 * MILLISECOND)
            __builtin_ia32_pause();
        passed = timer_ticks - from;
        if (passed + 1 >= expected && passed <= expected + 1)
            return true;
    }
    return test_fail("%lu ticks in 50 ms, not %lu", passed, expected);
}

/** The seconds of the real-time clock against the TSC: between two changes lies one second. */
static bool real_time_clock(void)
{
    enum { SECONDS = 5 };
    struct date d;
    u64 last = 0, ms = 0;
    CHECK(machine->date(&d));
    for (int i = 0; i < SECONDS; i++) {
        int second = d.second;
        u64 start = clock_now();
        while (d.second == second) {
            thread_sleep(MILLISECOND);
            if (!machine->date(&d) || clock_now() - start > 3 * SECOND)
                return test_fail("the real-time clock does not run");
        }
        ms = last ? (clock_now() - last) / MILLISECOND : 0;
        last = clock_now();
        if (ms >= 900 && ms <= 1100)
            return true;
    }
    return test_fail("a second of the real-time clock lasts %lu ms by the TSC", ms);
}

const struct test test_threads[] = {
    {"kernel-registers", kernel_registers, NULL},
    {"preemption", preemption, NULL},
    {"semaphores", semaphores, NULL},
    {"mutexes", mutexes, NULL},
    {"sleep", sleeping, NULL},
    {"tick-against-tsc", ticks, NULL},
    {"rtc-against-tsc", real_time_clock, NULL},
};
const int test_threads_count = ARRAY_SIZE(test_threads);
