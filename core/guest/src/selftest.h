/* The frame of the self-test: a test returns true, or fails with a reason. */
#pragma once
#include "kernel.h"

struct test {
    const char *name;
    bool (*run)(void);
    /** Why there is nothing to test on a para machine; null: there is. */
    const char *not_para;
};
/** Notes why; returns false. */
bool test_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Notes that the test cannot say anything here, and why; returns false. */
bool test_skip(const char *why);
/** QEMU's TCG is known to differ from the manual in some places: true if we run on it. */
bool test_on_tcg(void);
#define CHECK(x) \
    do \
        if (!(x)) \
            return test_fail("%s does not hold", #x); \
    while (0)
#define CHECK_EQUAL(a, b) \
    do { \
        u64 a_ = (u64)(a), b_ = (u64)(b); \
        if (a_ != b_) \
            return test_fail("%s is 0x%lx, not %s = 0x%lx", #a, a_, #b, b_); \
    } while (0)

extern const struct test test_exceptions[], test_memory[], test_threads[];
extern const int test_exceptions_count, test_memory_count, test_threads_count;
