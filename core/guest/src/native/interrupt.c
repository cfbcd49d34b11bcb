/* Interrupt controllers: the 8259A pair, or local APIC and I/O APIC where the MADT lists them. ISA line n is vector 0x20 + n on both. */
#include "native.h"

#define PIC1_COMMAND 0x20
#define PIC1_DATA 0x21
#define PIC2_COMMAND 0xa0
#define PIC2_DATA 0xa1
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086 1
#define OCW2_EOI 0x20
#define OCW3_READ_ISR 0x0b
#define CASCADE 2

#define MSR_APIC_BASE 0x1b
#define APIC_BASE_ENABLE 0x800
#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_SVR_ENABLE 0x100
#define LVT_MASKED 0x10000
#define LVT_EXTINT 0x700
#define LVT_NMI 0x400

#define IOAPIC_SELECT 0
#define IOAPIC_WINDOW 0x10
#define IOAPIC_REDIRECTION 0x10
#define REDIRECTION_ACTIVE_LOW 0x2000
#define REDIRECTION_LEVEL 0x8000
#define REDIRECTION_MASKED 0x10000

static volatile u32 *apic, *ioapic;
static void (*handlers[16])(void);
static u16 pic_mask = 0xffff;

u32 native_apic_read(u32 offset) { return apic[offset / 4]; }
void native_apic_write(u32 offset, u32 value) { apic[offset / 4] = value; }
bool native_has_apic(void) { return apic; }

const char *native_interrupt_controller(void) { return ioapic ? "I/O APIC" : apic ? "PIC through the local APIC" : "PIC"; }

static void pic_write_mask(void)
{
    native_out8(PIC1_DATA, pic_mask);
    native_out8(PIC2_DATA, pic_mask >> 8);
}

static void pic_start(void)
{
    native_out8(PIC1_COMMAND, ICW1_INIT_ICW4);
    native_out8(PIC2_COMMAND, ICW1_INIT_ICW4);
    native_out8(PIC1_DATA, VECTOR_IRQ);
    native_out8(PIC2_DATA, VECTOR_IRQ + 8);
    native_out8(PIC1_DATA, 1 << CASCADE);
    native_out8(PIC2_DATA, CASCADE);
    native_out8(PIC1_DATA, ICW4_8086);
    native_out8(PIC2_DATA, ICW4_8086);
    pic_write_mask();
}

static void ioapic_write(u32 index, u32 value)
{
    ioapic[IOAPIC_SELECT / 4] = index;
    ioapic[IOAPIC_WINDOW / 4] = value;
}

void native_interrupt_start(void)
{
    native_acpi_start();
    pic_start();
    if (!machine_features.apic || !acpi.madt || command_line_flag("nolapic"))
        return;
    apic = device_map(acpi.apic_address, PAGE);
    native_write_msr(MSR_APIC_BASE, native_read_msr(MSR_APIC_BASE) | APIC_BASE_ENABLE);
    if (acpi.ioapic_address && !command_line_flag("noapic"))
        ioapic = device_map(acpi.ioapic_address, PAGE);
    native_apic_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
    native_apic_write(APIC_LVT_LINT0, ioapic ? LVT_MASKED : LVT_EXTINT);
    native_apic_write(APIC_LVT_LINT1, LVT_NMI);
    native_apic_write(APIC_LVT_ERROR, LVT_MASKED);
    native_apic_write(APIC_TPR, 0);
    this_cpu()->apic_id = native_apic_read(APIC_ID) >> 24;
}

static void ioapic_enable(int irq)
{
    u32 pin = irq - acpi.ioapic_base, low = VECTOR_IRQ + irq;
    for (int i = 0; i < acpi.override_count; i++) {
        const struct acpi_override *o = &acpi.overrides[i];
        if (o->irq != irq)
            continue;
        pin = o->gsi - acpi.ioapic_base;
        if ((o->flags & 3) == 3)
            low |= REDIRECTION_ACTIVE_LOW;
        if ((o->flags >> 2 & 3) == 3)
            low |= REDIRECTION_LEVEL;
    }
    ioapic_write(IOAPIC_REDIRECTION + pin * 2 + 1, this_cpu()->apic_id << 24);
    ioapic_write(IOAPIC_REDIRECTION + pin * 2, low);
}

void native_interrupt_register(int irq, void (*handler)(void))
{
    bool on = machine_disable();
    handlers[irq] = handler;
    if (ioapic) {
        ioapic_enable(irq);
    } else {
        pic_mask &= ~(1 << irq);
        if (irq >= 8)
            pic_mask &= ~(1 << CASCADE);
        pic_write_mask();
    }
    machine_restore(on);
}

/** Lines 7 and 15 also stand for "it went away": then nothing is in service. */
static bool pic_spurious(int irq)
{
    if (irq != 7 && irq != 15)
        return false;
    u16 port = irq == 7 ? PIC1_COMMAND : PIC2_COMMAND;
    native_out8(port, OCW3_READ_ISR);
    if (native_in8(port) & 0x80)
        return false;
    if (irq == 15)
        native_out8(PIC1_COMMAND, OCW2_EOI);
    return true;
}

void native_interrupt_dispatch(u64 vector)
{
    if (vector == VECTOR_TIMER) {
        timer_tick();
        native_apic_write(APIC_EOI, 0);
        return;
    }
    if (vector < VECTOR_IRQ || vector >= VECTOR_IRQ + 16)
        return; /* spurious */
    int irq = vector - VECTOR_IRQ;
    if (!ioapic && pic_spurious(irq))
        return;
    if (irq == 0)
        timer_tick();
    if (handlers[irq])
        handlers[irq]();
    if (ioapic) {
        native_apic_write(APIC_EOI, 0);
        return;
    }
    if (irq >= 8)
        native_out8(PIC2_COMMAND, OCW2_EOI);
    native_out8(PIC1_COMMAND, OCW2_EOI);
}
