/* What the files of the para machine offer each other. */
#pragma once
#include "../kernel.h"
#include "xen.h"

extern u8 hypercall_page[]; /* entry.S; 32 bytes a number */
extern struct start_info para_start_info;
extern struct shared_info para_shared_info;
#define VCPU_INFO (&para_shared_info.vcpu_info[0])

static inline s64 hypercall(u32 number, u64 a, u64 b, u64 c, u64 d)
{
    s64 result;
    register u64 r10 __asm__("r10") = d;
    __asm__ volatile("call *%[entry]"
                     : "=a"(result), "+D"(a), "+S"(b), "+d"(c), "+r"(r10)
                     : [entry] "r"(hypercall_page + number * 32)
                     : "rcx", "r8", "r9", "r11", "memory");
    return result;
}
/** One that cannot fail unless the kernel is wrong. */
void para_do(u32 number, u64 a, u64 b, u64 c, u64 d);

/* -- entry.S */
_Noreturn void para_resume(struct frame *frame);

/* -- memory.c */
/** The direct map, made before anything else. */
void para_memory_start(void);
void para_read_loader(void);
void para_map_shared_info(void);
/** Has a page of the image show a frame that is not the guest's. */
void para_show_frame(void *page, u64 mfn);
/** A page of the guest's own that it shares with the host. */
void *para_shared_page(u64 mfn);
/** Nobody may write to this page of the image. */
void para_protect(const void *page);
u64 para_machine_frame(u64 physical);
/** A hypercall that may wait for the end of a batch. */
void para_later(u32 number, u64 a, u64 b, u64 c, u64 d);
u64 para_entry(const u64 *entry);
void para_set_entry(u64 *entry, u64 value);
void para_invalidate(u64 address);
void para_invalidate_programs(void);
void para_begin_batch(void);
void para_end_batch(void);
void para_begin_table(u64 page);
void para_end_table(u64 page);
void para_begin_space(u64 root);
void para_end_space(u64 root);
void para_map_direct(u64 root, u64 top);
void para_load_kernel(u64 root);
void para_load_space(u64 root);

/* -- events.c: event channels, timer, wall clock, power */
void para_bind(u32 port, void (*handler)(void));
void para_bind_virq(u32 virq, void (*handler)(void));
void para_notify(u32 port);
void para_interrupt_start(void);
void para_interrupt_dispatch(u64 vector);
const char *para_interrupt_controller(void);
void para_timer_start(void);
const char *para_timer_name(void);
void para_timer_pause(u64 until);
void para_timer_resume(void);
bool para_date(struct date *date);

/* -- console.c: the shared ring, or the first domain's console hypercall */
void para_console_start(void);
void para_console_write(const char *text, size_t length);
void para_console_listen(void);
void para_console_poll(void);
bool para_console_polled(void);
const char *para_console_name(void);

/* -- store.c: xenstore. False: there is no such node. first: of a directory's names. */
bool para_store_read(const char *path, char *to, u32 size);
bool para_store_first(const char *path, char *to, u32 size);
bool para_store_write(const char *path, const char *value);
void para_power_start(void);

/* -- disk.c */
const char *para_read_disk(u64 count, u32 depth);
