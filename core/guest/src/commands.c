/* The shell's commands; those with a page of their own are in cpu.c, bench.c and selftest.c. */
#include "kernel.h"

static void command_help(int argc, char **argv)
{
    (void)argc, (void)argv;
    print("Commands:\n");
    for (int i = 0; i < command_count; i++) {
        char name[40];
        format(name, sizeof name, "%s %s", commands[i].name, commands[i].arguments);
        print("  %-28s %s\n", name, commands[i].help);
    }
    print("Programs (run in user mode, `run` may be left out; `&` after one: in the background):\n ");
    for (int i = 0; i < program_count; i++)
        print(" %s", programs[i].name);
    print("\nCtrl-C stops what runs. Several commands in a line are parted by `;`.\n");
}

static void command_mem(int argc, char **argv)
{
    (void)argc, (void)argv;
    print("memory       %lu KiB in all, %lu KiB for the kernel to give\n", memory_total / KIB, page_total_count() * PAGE / KIB);
    print("free         %lu KiB (%lu pages)\n", page_free_count() * PAGE / KIB, page_free_count());
    print("used         %lu KiB, of it heap %lu KiB\n", (page_total_count() - page_free_count()) * PAGE / KIB, heap_used() / KIB);
    print("ranges\n");
    for (int i = 0; i < memory_range_count; i++)
        if (memory_ranges[i].start < memory_ranges[i].end)
            print("  %012lx - %012lx  %10lu KiB\n", memory_ranges[i].start, memory_ranges[i].end - 1,
                  (memory_ranges[i].end - memory_ranges[i].start) / KIB);
}

static void command_ps(int argc, char **argv)
{
    (void)argc, (void)argv;
    static const char *const states[] = {"ready", "running", "waiting", "ended"};
    char text[96];
    print("thread  pid  state    cpu ms  switches  name\n");
    for (int index = 0;; index++) {
        /* The list may change while we print: find the index-th under the lock each time. */
        int i = 0, n = 0;
        bool on = sched_lock();
        LIST_FOR(struct thread, t, &thread_all, all)
        {
            if (i++ != index)
                continue;
            u64 run = t->run_time + (t == thread_current() ? machine_tsc() - this_cpu()->switched_at : 0);
            bool idle = t->state == THREAD_RUNNING && t != thread_current();
            n = format(text, sizeof text, "%6d  %3d  %-7s  %6lu  %8lu  %s%s\n", t->id, t->process ? t->process->id : 0,
                       states[idle ? THREAD_READY : t->state], clock_from_tsc(run) / MILLISECOND, t->switches, t->name, t->process ? "" : " (kernel)");
        }
        sched_unlock(on);
        if (!n)
            break;
        print_text(text, n);
    }
}

static bool seconds_argument(int argc, char **argv, u64 *seconds)
{
    *seconds = 10;
    if (argc <= 2 && (argc < 2 || (parse_number(argv[1], seconds) && *seconds <= 86400)))
        return true;
    print("usage: %s [SECONDS]\n", argv[0]);
    return false;
}

static void command_kspin(int argc, char **argv)
{
    u64 seconds, rounds = 0;
    if (!seconds_argument(argc, argv, &seconds))
        return;
    u64 until = clock_now() + seconds * SECOND;
    while (clock_now() < until && !console_interrupted()) {
        for (volatile int i = 0; i < 100000; i++)
            ;
        rounds++;
    }
    print("kspin: %lu rounds of 100000\n", rounds);
}

static void command_echo(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        print(i > 1 ? " %s" : "%s", argv[i]);
    print("\n");
}

static void command_uptime(int argc, char **argv)
{
    (void)argc, (void)argv;
    u64 now = clock_now(), s = now / SECOND;
    struct cpu *cpu = this_cpu();
    u64 idle = clock_from_tsc(cpu->idle->run_time);
    print("up %lu:%02lu:%02lu.%03lu, idle %lu %%\n", s / 3600, s / 60 % 60, s % 60, now / MILLISECOND % 1000, idle * 100 / now);
    print("%lu ticks, %lu interrupts, %lu exceptions, %lu system calls, %lu thread switches\n", cpu->ticks, cpu->interrupts, cpu->exceptions,
          cpu->calls, thread_switch_count());
}

static void command_date(int argc, char **argv)
{
    (void)argc, (void)argv;
    struct date d;
    if (machine->date(&d))
        print("%04d-%02d-%02d %02d:%02d:%02d\n", d.year, d.month, d.day, d.hour, d.minute, d.second);
    else
        print("the real-time clock does not answer\n");
}

static void command_sleep(int argc, char **argv)
{
    u64 seconds;
    if (!seconds_argument(argc, argv, &seconds))
        return;
    for (u64 until = clock_now() + seconds * SECOND; clock_now() < until && !console_interrupted();)
        thread_sleep(MIN(until - clock_now(), 100 * MILLISECOND));
}

static void command_kill(int argc, char **argv)
{
    u64 id;
    if (argc != 2 || !parse_number(argv[1], &id)) {
        print("usage: kill PID\n");
        return;
    }
    bool on = machine_disable(); /* it must not end in between */
    struct process *p = process_find(id);
    if (p)
        process_kill(p, 143);
    machine_restore(on);
    if (!p)
        print("kill: there is no program with pid %lu\n", id);
}

struct counter {
    volatile u64 *stop;
    volatile u64 count;
    struct semaphore *done;
};

static void count(void *argument)
{
    struct counter *c = argument;
    while (!*c->stop)
        c->count++;
    semaphore_up(c->done);
}

void command_threads(int argc, char **argv)
{
    enum { MOST = 64 };
    u64 n = 4;
    if (argc > 3 || (argc > 1 && (!parse_number(argv[1], &n) || n < 1 || n > MOST)) || (argc > 2 && strcmp(argv[2], "user"))) {
        print("usage: threads [N [user]]  (1 to %d)\n", MOST);
        return;
    }
    if (argc > 2) {
        struct process result;
        char *words[] = {"count", argv[1], NULL};
        process_run(2, words, 0, &result);
        return;
    }
    volatile u64 stop = 0;
    struct semaphore done;
    semaphore_init(&done, 0);
    struct counter *counters = heap_alloc_zero(n * sizeof *counters);
    u64 started = 0, before = thread_switch_count(), begin = clock_now();
    for (u64 i = 0; counters && i < n; i++) {
        char name[16];
        format(name, sizeof name, "count%lu", i);
        counters[i] = (struct counter){&stop, 0, &done};
        if (thread_create(name, count, &counters[i], NULL))
            started++;
    }
    while (clock_now() - begin < SECOND && !console_interrupted())
        thread_sleep(20 * MILLISECOND);
    stop = 1;
    for (u64 i = 0; i < started; i++)
        semaphore_down(&done);
    u64 least = ~0ul, most = 0, total = 0;
    for (u64 i = 0; i < started; i++) {
        least = MIN(least, counters[i].count);
        most = MAX(most, counters[i].count);
        total += counters[i].count;
    }
    for (u64 i = 0; i < started; i++)
        print("  thread %2lu  %12lu  %3lu %%\n", i, counters[i].count, counters[i].count * 100 / MAX(total, 1ul));
    print("%lu threads, %lu ms, %lu switches, least/most %lu %%\n", started, (clock_now() - begin) / MILLISECOND,
          thread_switch_count() - before, most ? least * 100 / most : 0);
    heap_free(counters);
}

static void command_panic(int argc, char **argv)
{
    (void)argc, (void)argv;
    panic("asked for on the command line");
}

static void command_reboot(int argc, char **argv)
{
    (void)argc, (void)argv;
    print("Restarting.\n");
    power_reset();
}

static void command_poweroff(int argc, char **argv)
{
    (void)argc, (void)argv;
    print("Powering off.\n");
    power_off();
}

static void command_exit(int argc, char **argv)
{
    u64 value = 0;
    if (argc > 2 || (argc == 2 && (!parse_number(argv[1], &value) || value > 127))) {
        print("usage: exit [0..127]\n");
        return;
    }
    machine->debug_exit(value);
    print("this machine has no debug exit device\n");
}

static void command_clear(int argc, char **argv)
{
    (void)argc, (void)argv;
    print("\033[H\033[2J");
}

static void command_ver(int argc, char **argv)
{
    (void)argc, (void)argv;
    print("Corner %s\n", CORNER_VERSION);
}

static void command_run(int argc, char **argv)
{
    (void)argc, (void)argv;
    print("usage: run PROGRAM [ARGUMENTS]\n");
}

const struct command commands[] = {
    {"help", "", "this list", command_help},
    {"ver", "", "the version", command_ver},
    {"mem", "", "memory: how much, used and free, and where", command_mem},
    {"cpu", "", "the processor, its features and clocks", command_cpu},
    {"ps", "", "threads and programs", command_ps},
    {"kill", "PID", "ends a program", command_kill},
    {"run", "PROGRAM [ARGUMENTS]", "runs a program", command_run},
    {"threads", "[N [user]]", "N threads count for a second: is it fair?", command_threads},
    {"kspin", "[SECONDS]", "load in the kernel (spin: in user mode)", command_kspin},
    {"sleep", "[SECONDS]", "waits, halted", command_sleep},
    {"exits", "[N]", "N times each of what leaves a virtual machine", command_exits},
    {"bench", "[NAME COUNT]", "nanobenchmarks, in cycles", command_bench},
    {"selftest", "[NAME]", "tests processor and kernel", command_selftest},
    {"echo", "TEXT", "prints it", command_echo},
    {"uptime", "", "time since the start, interrupts, switches", command_uptime},
    {"date", "", "the real-time clock", command_date},
    {"clear", "", "clears the screen", command_clear},
    {"panic", "", "stops the kernel with a panic", command_panic},
    {"reboot", "", "restarts the machine", command_reboot},
    {"poweroff", "", "turns the machine off", command_poweroff},
    {"exit", "[VALUE]", "isa-debug-exit with VALUE", command_exit},
};
const int command_count = ARRAY_SIZE(commands);
