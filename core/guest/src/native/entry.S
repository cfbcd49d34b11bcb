/* A PC's entries from traps and system calls, and the ways back. Offsets of struct frame and struct cpu are checked in trap.c. */
#include "../entry.h"

#define CPU_KERNEL_RSP 8
#define CPU_USER_RSP 16
#define MSR_GS_BASE 0xc0000101
#define FLAG_TF_RF 0x10100
#define ERROR_NO_CALL -38

    .text

    .balign 16
    .globl native_entries
native_entries:
    .set vector, 0
    .rept 256
    .balign 16
    NO_ERROR vector
    push $vector
    .if vector == 2 || vector == 8
    jmp enter_uncertain
    .else
    jmp enter
    .endif
    .set vector, vector + 1
    .endr

    .balign 16
enter:
    testb $3, 24(%rsp)              /* CS */
    jz 1f
    swapgs
1:  SAVE
    cld
    mov %rsp, %rdi
    call trap
resume:
    testb $3, FRAME_CS(%rsp)
    jz 2f
    swapgs
2:  RESTORE
    add $16, %rsp
    iretq

/* NMI and double fault may come between a change of privilege and its SWAPGS: GS itself tells. */
enter_uncertain:
    SAVE
    cld
    mov $MSR_GS_BASE, %ecx
    rdmsr
    xor %ebx, %ebx
    test %edx, %edx
    js 3f
    swapgs
    inc %ebx
3:  mov %rsp, %rdi
    call trap
    test %ebx, %ebx
    jz 4f
    swapgs
4:  RESTORE
    add $16, %rsp
    iretq

    .balign 16
    .globl native_syscall
native_syscall:
    swapgs
    mov %rsp, %gs:CPU_USER_RSP
    mov %gs:CPU_KERNEL_RSP, %rsp
    push $USER_DATA
    push %gs:CPU_USER_RSP
    push %r11
    push $USER_CODE64
    push %rcx
    push $0
    push $VECTOR_SYSCALL
    SAVE
    mov %rsp, %rdi
    call trap
    /* SYSRET can only go to a canonical address of a user's, in 64-bit code, without TF or RF. */
    mov FRAME_RIP(%rsp), %rcx
    mov %rcx, %rax
    shr $47, %rax
    jnz resume
    cmpq $USER_CODE64, FRAME_CS(%rsp)
    jne resume
    testl $FLAG_TF_RF, FRAME_RFLAGS(%rsp)
    jnz resume
    RESTORE
    mov 16(%rsp), %rcx
    mov 32(%rsp), %r11
    mov 40(%rsp), %rsp
    swapgs
    sysretq

/* SYSCALL from 32-bit code (AMD only): not offered. */
    .balign 16
    .globl native_syscall32
native_syscall32:
    mov $ERROR_NO_CALL, %eax
    sysretl

    .globl native_resume
native_resume:
    mov %rdi, %rsp
    jmp resume

    .section .note.GNU-stack, "", @progbits
