/* The power button, power-off and reset. */
#include "kernel.h"

static struct semaphore button = SEMAPHORE_INIT(button, 0);

void power_button(void) { semaphore_up(&button); }

static void wait_for_button(void *unused)
{
    (void)unused;
    semaphore_down(&button);
    print("\nPower button pressed: powering off.\n");
    power_off();
}

void power_start(void)
{
    machine->power_start();
    thread_create("power", wait_for_button, NULL, NULL);
}

_Noreturn void power_off(void)
{
    machine_disable();
    machine->power_off();
    print("This machine has no power switch that software can reach; it may be turned off now.\n");
    machine_stop();
}

_Noreturn void power_reset(void)
{
    machine_disable();
    machine->reset();
    machine_stop();
}
