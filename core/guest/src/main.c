/* The start of the kernel, in order. */
#include "kernel.h"

static struct cpu boot_cpu;

static void banner(void)
{
    char brand[49];
    cpu_brand(brand);
    print("\n");
    note("Corner %s, the built-in guest of Ringside\n\n", CORNER_VERSION);
    note("  machine    %s\n", machine->name);
    note("  processor  %s, %lu MHz\n", brand, (tsc_hz + 500000) / 1000000);
    note("  memory     %lu MiB, %lu MiB free\n", (memory_total + MIB / 2) / MIB, page_free_count() * PAGE / MIB);
    note("  clock      TSC, a tick every %d ms by the %s, interrupts by the %s\n", 1000 / TIMER_HZ, machine->timer_name(), machine->interrupt_controller());
    note("  console    %s\n", machine->console_name());
    note("  ACPI       %s\n", !acpi.found ? "none" : acpi.s5 ? "power button and power-off" : "no power-off");
    note("  up after   %lu.%lu ms\n\n", clock_now() / MILLISECOND, clock_now() / (MILLISECOND / 10) % 10);
    note("Type help to see what it can do.\n\n");
}

static void first_thread(void *unused)
{
    (void)unused;
    power_start();
    machine->console_listen();
    banner();
    shell(NULL);
}

_Noreturn void kernel_main(const struct machine *entered)
{
    machine = entered;
    boot_cpu.self = &boot_cpu;
    machine->start(&boot_cpu);
    loader_start();
    char value[16];
    print_quiet = command_line_flag("quiet");
    if (!command_line_value("console", value, sizeof value) || strncmp(value, machine->console, strlen(machine->console)) == 0)
        machine->console_start();
    page_start();
    paging_start();
    thread_start();
    machine->interrupt_start();
    timer_start();
    if (!thread_create("shell", first_thread, NULL, NULL))
        panic("no memory for the first thread");
    thread_idle();
}
