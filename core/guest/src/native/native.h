/* What the files of the PC's machine offer each other. */
#pragma once
#include "../kernel.h"

#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10

static inline u8 native_in8(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline u16 native_in16(u16 port)
{
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline u32 native_in32(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
    return v;
}
static inline void native_out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
static inline void native_out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" ::"a"(value), "Nd"(port) : "memory"); }
static inline void native_out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" ::"a"(value), "Nd"(port) : "memory"); }

/* -- processor.c */
u64 native_read_msr(u32 msr);
void native_write_msr(u32 msr, u64 value);
u64 native_read_cr8(void);
void native_write_cr8(u64 value);
/** Resets the machine. */
void native_triple_fault(void);

/* -- entry.S, multiboot.c */
_Noreturn void native_resume(struct frame *frame);
void native_main(u32 magic, u64 information);
void native_read_loader(void);

/* -- serial.c: COM1 */
void native_console_start(void);
void native_console_write(const char *text, size_t length);
void native_console_listen(void);
void native_console_poll(void);
bool native_console_polled(void);
const char *native_console_name(void);

/* -- acpi.c, interrupt.c: PIC or APIC */
void native_acpi_start(void);
void native_interrupt_start(void);
void native_interrupt_register(int irq, void (*handler)(void));
void native_interrupt_dispatch(u64 vector);
const char *native_interrupt_controller(void);
bool native_has_apic(void);
u32 native_apic_read(u32 offset);
void native_apic_write(u32 offset, u32 value);

/* -- timer.c, rtc.c */
void native_timer_start(void);
const char *native_timer_name(void);
/** Of the divided count; 0: the PIT ticks. */
u32 native_timer_apic_hz(void);
/** Only the APIC's timer can do that. */
void native_timer_pause(u64 until);
void native_timer_resume(void);
bool native_date(struct date *date);

/* -- power.c */
void native_power_start(void);
void native_power_off(void);
void native_reset(void);
