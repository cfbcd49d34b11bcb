/* Power-off (ACPI S5), the power button (a fixed event, by SCI) and reset. */
#include "native.h"

#define PM1_POWER_BUTTON 0x100
#define PM1_SCI_EN 1
#define PM1_SLP_EN 0x2000
#define PM1_SLP_TYP_SHIFT 10
#define I8042_STATUS 0x64
#define I8042_COMMAND 0x64
#define I8042_INPUT_FULL 2
#define I8042_PULSE_RESET 0xfe
#define RESET_CONTROL 0xcf9
#define RESET_CPU 6
#define PATIENCE 100000

static bool event_pending(u32 port)
{
    if (!port)
        return false;
    u16 status = native_in16(port);
    if (!(status & PM1_POWER_BUTTON))
        return false;
    native_out16(port, PM1_POWER_BUTTON);
    return true;
}

static void sci(void)
{
    bool a = event_pending(acpi.pm1a_event), b = event_pending(acpi.pm1b_event);
    if (a || b)
        power_button();
}

static void enable_event(u32 port)
{
    if (!port)
        return;
    native_out16(port, 0xffff);
    native_out16(port + acpi.pm1_length / 2, PM1_POWER_BUTTON);
}

void native_power_start(void)
{
    if (!acpi.pm1a_control)
        return;
    if (!(native_in16(acpi.pm1a_control) & PM1_SCI_EN) && acpi.smi_command && acpi.acpi_enable) {
        native_out8(acpi.smi_command, acpi.acpi_enable);
        for (int i = 0; i < PATIENCE && !(native_in16(acpi.pm1a_control) & PM1_SCI_EN); i++)
            __builtin_ia32_pause();
    }
    if (!acpi.pm1a_event || acpi.sci >= 16 || acpi.pm1_length < 4)
        return;
    enable_event(acpi.pm1a_event);
    enable_event(acpi.pm1b_event);
    native_interrupt_register(acpi.sci, sci);
}

void native_power_off(void)
{
    if (!acpi.s5 || !acpi.pm1a_control)
        return;
    native_out16(acpi.pm1a_control, acpi.s5_a << PM1_SLP_TYP_SHIFT | PM1_SLP_EN);
    if (acpi.pm1b_control)
        native_out16(acpi.pm1b_control, acpi.s5_b << PM1_SLP_TYP_SHIFT | PM1_SLP_EN);
    delay(100 * MILLISECOND);
}

void native_reset(void)
{
    for (int i = 0; i < PATIENCE && (native_in8(I8042_STATUS) & I8042_INPUT_FULL); i++)
        __builtin_ia32_pause();
    native_out8(I8042_COMMAND, I8042_PULSE_RESET);
    delay(50 * MILLISECOND);
    native_out8(RESET_CONTROL, RESET_CPU);
    delay(50 * MILLISECOND);
    native_triple_fault();
}
