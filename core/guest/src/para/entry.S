/* A para guest's notes for its loader, start of day, hypercall page and entries. */
#include "../entry.h"

#define KERNEL_BASE 0xffffffff80000000
#define HYPERVISOR_iret 23
#define VECTOR_PROTECTION 13
#define VECTOR_CALL 0x80
#define VECTOR_EVENT 0xf3

#define XEN_ELFNOTE_ENTRY 1
#define XEN_ELFNOTE_HYPERCALL_PAGE 2
#define XEN_ELFNOTE_VIRT_BASE 3
#define XEN_ELFNOTE_PADDR_OFFSET 4
#define XEN_ELFNOTE_XEN_VERSION 5
#define XEN_ELFNOTE_GUEST_OS 6
#define XEN_ELFNOTE_LOADER 8
#define XEN_ELFNOTE_PAE_MODE 9
#define XEN_ELFNOTE_FEATURES 10

.macro NOTE type, directive, value:vararg
    .balign 4
    .long 4, 2f - 1f, \type
    .asciz "Xen"
1:  \directive \value
2:
.endm

    .section .note.Xen, "a", @note
    NOTE XEN_ELFNOTE_GUEST_OS, .asciz, "Corner"
    NOTE XEN_ELFNOTE_XEN_VERSION, .asciz, "xen-3.0"
    NOTE XEN_ELFNOTE_LOADER, .asciz, "generic"
    NOTE XEN_ELFNOTE_PAE_MODE, .asciz, "yes"
    NOTE XEN_ELFNOTE_FEATURES, .asciz, "!writable_page_tables|pae_pgdir_above_4gb"
    NOTE XEN_ELFNOTE_VIRT_BASE, .quad, KERNEL_BASE
    NOTE XEN_ELFNOTE_PADDR_OFFSET, .quad, 0
    NOTE XEN_ELFNOTE_ENTRY, .quad, para_start
    NOTE XEN_ELFNOTE_HYPERCALL_PAGE, .quad, hypercall_page

    .text
    .balign 4096
    .globl hypercall_page
hypercall_page:
    .skip 4096, 0xcc                /* the loader fills it */

/* In 64-bit code on the loader's page tables, RSI: struct start_info. */
    .globl para_start
para_start:
    cld
    mov $boot_stack_top, %rsp
    xor %ebp, %ebp
    mov %rsi, %rdi
    call para_main
    ud2

/* What arrives has RCX and R11 on top of a frame like a trap's, and IF in its RFLAGS says whether events were let through. */
.macro ENTRY vector
    pop %rcx
    pop %r11
    NO_ERROR \vector
    push $\vector
    jmp enter
.endm

    .balign 16
    .globl para_entries
para_entries:
    .set vector, 0
    .rept 32
    .balign 16
    ENTRY vector
    .set vector, vector + 1
    .endr

    .balign 16
    .globl para_entry_call
para_entry_call:
    ENTRY VECTOR_CALL

    .balign 16
    .globl para_entry_event
para_entry_event:
    ENTRY VECTOR_EVENT

    .balign 16
    .globl para_entry_syscall
para_entry_syscall:
    pop %rcx
    pop %r11
    movq $USER_CODE64, 8(%rsp)      /* what is there stands for any 64-bit code */
    movq $USER_DATA, 32(%rsp)
    push $0
    push $VECTOR_SYSCALL
    jmp enter

/* The return to a program failed, by its segments: RCX, R11, DS, ES, FS, GS lie on top of the frame. */
    .balign 16
    .globl para_entry_failsafe
para_entry_failsafe:
    mov (%rsp), %rcx
    mov 8(%rsp), %r11
    add $48, %rsp
    push $0
    push $VECTOR_PROTECTION

enter:
    SAVE
    cld
    movl $0, FRAME_CS + 4(%rsp)     /* the upcall mask, which IF tells too */
    mov %rsp, %rdi
    call trap
resume:
    RESTORE
    add $16, %rsp
    push $0                         /* RCX and R11 are to be restored */
    jmp hypercall_page + HYPERVISOR_iret * 32

    .globl para_resume
para_resume:
    mov %rdi, %rsp
    jmp resume

    .section .note.GNU-stack, "", @progbits
