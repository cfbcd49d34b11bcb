/* crash [WAY]: does what a program must not; the kernel ends it and lives on. */
#include "lib.h"

#pragma GCC diagnostic ignored "-Winfinite-recursion" /* that is the point */
static void overflow(volatile u8 *below)
{
    volatile u8 here[1024];
    here[0] = below ? below[0] : 0;
    overflow(here);
    here[1] = 1;
}

static const struct {
    const char *name, *what;
} ways[] = {
    {"null", "writes to address 0"},         {"kernel", "reads the kernel's memory"}, {"code", "writes to its own code"},
    {"jump", "jumps into its stack"},        {"divide", "divides by zero"},           {"opcode", "executes UD2"},
    {"privileged", "executes CLI"},          {"port", "reads a port"},                {"stack", "recurses without end"},
    {"canonical", "uses no canonical address"},
};

int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "null";
    volatile u64 zero = 0;
    u8 code[4] = {0xc3};
    if (!strcmp(way, "null"))
        *(volatile int *)zero = 1;
    else if (!strcmp(way, "kernel"))
        (void)*(volatile int *)0xffffffff80200000;
    else if (!strcmp(way, "code"))
        *(volatile u8 *)main = 0;
    else if (!strcmp(way, "jump"))
        ((void (*)(void))code)();
    else if (!strcmp(way, "divide"))
        __asm__ volatile("div %0" ::"r"(zero) : "rax", "rdx");
    else if (!strcmp(way, "opcode"))
        __asm__ volatile("ud2");
    else if (!strcmp(way, "privileged"))
        __asm__ volatile("cli");
    else if (!strcmp(way, "port"))
        __asm__ volatile("inb $0x64, %%al" ::: "rax");
    else if (!strcmp(way, "stack"))
        overflow(NULL);
    else if (!strcmp(way, "canonical"))
        (void)*(volatile int *)0x8000000000000000;
    else {
        print("usage: crash [WAY]\n");
        for (u64 i = 0; i < ARRAY_SIZE(ways); i++)
            print("  %-12s %s\n", ways[i].name, ways[i].what);
        return 2;
    }
    print("crash: still alive?\n");
    return 1;
}
