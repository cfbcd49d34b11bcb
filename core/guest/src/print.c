#include "kernel.h"

bool print_quiet;
static struct spinlock lock;

void print_text(const char *text, size_t length)
{
    bool on = spin_lock(&lock);
    machine->console_write(text, length);
    spin_unlock(&lock, on);
}

static void print_list(const char *fmt, va_list list)
{
    char text[512];
    print_text(text, format_list(text, sizeof text, fmt, list));
}

void print(const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    print_list(fmt, list);
    va_end(list);
}

void note(const char *fmt, ...)
{
    if (print_quiet)
        return;
    va_list list;
    va_start(list, fmt);
    print_list(fmt, list);
    va_end(list);
}

void print_frame(const struct frame *f)
{
    print("  rip %016lx  cs %04lx  rflags %08lx  rsp %016lx  ss %04lx\n", f->rip, f->cs, f->rflags, f->rsp, f->ss);
    print("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
    print("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
    print("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
    print("  r13 %016lx  r14 %016lx  r15 %016lx  cr3 %016lx\n", f->r13, f->r14, f->r15, machine_space());
}

/* Not through the lock: whoever panics may hold it. */
_Noreturn void panic(const char *fmt, ...)
{
    machine_disable();
    lock.locked = 0;
    char text[256];
    va_list list;
    va_start(list, fmt);
    format_list(text, sizeof text, fmt, list);
    va_end(list);
    print("\nPANIC: %s\n", text);
    print("  thread %s, up %lu ms. The system is halted.\n", this_cpu()->current ? this_cpu()->current->name : "(none)",
          clock_now() / MILLISECOND);
    machine_stop();
}
