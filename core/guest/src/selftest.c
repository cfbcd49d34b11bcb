/* `selftest`: the kernel's own tests (test_*.c), then those in user mode, which the program `probe` runs. */
#include "selftest.h"

static char reason[160];

bool test_fail(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    format_list(reason, sizeof reason, fmt, list);
    va_end(list);
    return false;
}

static bool skipped;

bool test_skip(const char *why)
{
    skipped = true;
    return test_fail("%s", why);
}

bool test_on_tcg(void)
{
    /* Not by its hypervisor leaf: that is another's, where a hypervisor runs on it. */
    char brand[49];
    cpu_brand(brand);
    return memcmp(brand, "QEMU", 4) == 0;
}

/* Tests in user mode: they succeed by themselves, or cause exactly this exception. */
#define ENDS_WELL 256
#define ANY_ADDRESS 1
static const struct user_test {
    const char *name;
    u64 vector, error, address;
} user_tests[] = {
    {"flags", ENDS_WELL, 0, 0},
    {"shifts", ENDS_WELL, 0, 0},
    {"multiply", ENDS_WELL, 0, 0},
    {"bits", ENDS_WELL, 0, 0},
    {"atomics", ENDS_WELL, 0, 0},
    {"strings", ENDS_WELL, 0, 0},
    {"x87", ENDS_WELL, 0, 0},
    {"sse", ENDS_WELL, 0, 0},
    {"syscalls", ENDS_WELL, 0, 0},
    {"compat32", ENDS_WELL, 0, 0},
    {"demand-zero", ENDS_WELL, 0, 0},
    {"copy-on-write", ENDS_WELL, 0, 0},
    {"code-change", ENDS_WELL, 0, 0},
    {"user-threads", ENDS_WELL, 0, 0},
    {"user-divide", VECTOR_DIVIDE, 0, 0},
    {"user-step", VECTOR_DEBUG, 0, 0},
    {"user-breakpoint", VECTOR_BREAKPOINT, 0, 0},
    {"user-opcode", VECTOR_UNDEFINED, 0, 0},
    {"user-cli", VECTOR_PROTECTION, 0, 0},
    {"user-hlt", VECTOR_PROTECTION, 0, 0},
    {"user-in", VECTOR_PROTECTION, 0, 0},
    {"user-cr3", VECTOR_PROTECTION, 0, 0},
    {"user-msr", VECTOR_PROTECTION, 0, 0},
    {"user-lidt", VECTOR_PROTECTION, 0, 0},
    {"user-gate", VECTOR_PROTECTION, VECTOR_IRQ * 8 + 2, 0},
    {"user-selector", VECTOR_PROTECTION, 0x10, 0},
    {"user-canonical", VECTOR_PROTECTION, 0, 0},
    {"user-null", VECTOR_PAGE_FAULT, FAULT_USER, 0},
    {"user-read-kernel", VECTOR_PAGE_FAULT, FAULT_USER | FAULT_PRESENT, KERNEL_BASE + 0x101000},
    {"user-write-kernel", VECTOR_PAGE_FAULT, FAULT_USER | FAULT_PRESENT | FAULT_WRITE, DIRECT_BASE + 0x200000},
    {"user-write-code", VECTOR_PAGE_FAULT, FAULT_USER | FAULT_PRESENT | FAULT_WRITE, 0x400000},
    {"user-execute-data", VECTOR_PAGE_FAULT, FAULT_USER | FAULT_PRESENT | FAULT_FETCH, ANY_ADDRESS},
    {"user-x87-fault", VECTOR_X87, 0, 0},
};

static bool run_user_test(const struct user_test *t)
{
    char *words[] = {"probe", (char *)t->name, NULL};
    struct process end;
    if (t->error & FAULT_FETCH && t->vector == VECTOR_PAGE_FAULT && !machine_features.nx)
        return test_skip("this processor has no NX");
    if (!process_run(2, words, PROCESS_QUIET, &end))
        return test_fail("the program did not start");
    if (t->vector == ENDS_WELL)
        return !end.killed ? end.status == 0 || test_fail("see above")
                           : test_fail("killed: %s, error 0x%lx, address 0x%lx, rip 0x%lx", exception_name(end.fault.vector),
                                       end.fault.error, end.fault.address, end.fault.rip);
    if (!end.killed)
        return test_fail("no exception");
    CHECK_EQUAL(end.fault.vector, t->vector);
    if (t->vector == VECTOR_PROTECTION && t->error == VECTOR_IRQ * 8 + 2 && end.fault.error == VECTOR_IRQ * 16 + 2 && test_on_tcg())
        return test_skip("QEMU's TCG makes the error code of a gate with 16 times the vector");
    bool kernels = t->vector == VECTOR_PAGE_FAULT && t->address >= DIRECT_BASE && !machine_features.kernel_in_spaces;
    CHECK_EQUAL(end.fault.error, t->error & ~(kernels ? FAULT_PRESENT : 0));
    if (t->vector == VECTOR_PAGE_FAULT && t->address != ANY_ADDRESS)
        CHECK_EQUAL(end.fault.address, t->address);
    return true;
}

/** Several copies of `probe NAME SEED` at once. */
static bool run_together(const char *name, int copies)
{
    struct process *p[8], end;
    bool good = true;
    for (int i = 0; i < copies; i++) {
        char seed[12];
        format(seed, sizeof seed, "%d", i + 1);
        char *words[] = {"probe", (char *)name, seed, NULL};
        p[i] = process_start(3, words, PROCESS_QUIET);
    }
    for (int i = 0; i < copies; i++) {
        if (!p[i])
            return test_fail("a program did not start");
        process_wait(p[i], &end);
        good &= !end.killed && end.status == 0;
    }
    return good || test_fail("see above");
}

static bool test_isolation(void) { return run_together("isolation", 2); }
static bool test_registers(void) { return run_together("registers", 4); }

static const struct test together[] = {{"isolation", test_isolation, NULL}, {"user-registers", test_registers, NULL}};

static int passed, failed;

static void result(const char *name, bool good)
{
    if (good) {
        print("ok %s\n", name);
        passed++;
    } else if (skipped) {
        print("skip %s: %s\n", name, reason);
    } else {
        print("FAIL %s: %s\n", name, reason);
        failed++;
    }
    skipped = false;
}

static bool wanted(const char *name, const char *only) { return !console_interrupted() && (!only || strcmp(name, only) == 0); }

static void run_tests(const struct test *tests, int count, const char *only)
{
    for (int i = 0; i < count; i++) {
        if (!wanted(tests[i].name, only))
            continue;
        if (tests[i].not_para && machine == &para_machine)
            print("n/a %s: %s\n", tests[i].name, tests[i].not_para);
        else
            result(tests[i].name, tests[i].run());
    }
}

void command_selftest(int argc, char **argv)
{
    const char *only = argc > 1 ? argv[1] : NULL;
    passed = failed = 0;
    run_tests(test_exceptions, test_exceptions_count, only);
    run_tests(test_memory, test_memory_count, only);
    run_tests(test_threads, test_threads_count, only);
    for (u64 i = 0; i < ARRAY_SIZE(user_tests); i++)
        if (wanted(user_tests[i].name, only))
            result(user_tests[i].name, run_user_test(&user_tests[i]));
    run_tests(together, ARRAY_SIZE(together), only);
    if (only && passed + failed == 0)
        print("selftest: there is no test %s\n", only);
    else
        print("SELFTEST %d passed, %d failed\n", passed, failed);
}
