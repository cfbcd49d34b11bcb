/* Entries from traps and system calls, and the ways back; see machine.h. Offsets of struct frame and struct cpu are checked in trap.c. */
#define FRAME_VECTOR 120
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define FRAME_RSP 160
#define CPU_KERNEL_RSP 8
#define CPU_USER_RSP 16
#define MSR_GS_BASE 0xc0000101
#define USER_DATA 0x23
#define USER_CODE64 0x2b
#define VECTOR_SYSCALL 0x100
#define FLAG_TF_RF 0x10100
#define ERROR_NO_CALL -38

    .text

.macro SAVE
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
.endm

.macro RESTORE
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
.endm

    .balign 16
    .globl machine_entries
machine_entries:
    .set vector, 0
    .rept 256
    .balign 16
    /* Exceptions 8, 10..14, 17, 21, 29, 30 push an error code themselves. */
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    push $0
    .endif
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
    .globl machine_syscall
machine_syscall:
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
    .globl machine_syscall32
machine_syscall32:
    mov $ERROR_NO_CALL, %eax
    sysretl

    .globl machine_resume
machine_resume:
    mov %rdi, %rsp
    jmp resume

    .globl machine_switch
machine_switch:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .globl machine_begin
machine_begin:
    mov %r12, %rdi
    mov %r13, %rsi
    xor %ebp, %ebp
    call *%rbx
    ud2

/* int machine_attempt(fn, argument, landing) */
    .globl machine_attempt
    .globl machine_attempt_failed
machine_attempt:
    mov %rbx, (%rdx)
    mov %rbp, 8(%rdx)
    mov %r12, 16(%rdx)
    mov %r13, 24(%rdx)
    mov %r14, 32(%rdx)
    mov %r15, 40(%rdx)
    mov %rsp, 48(%rdx)
    sub $8, %rsp
    mov %rdi, %rax
    mov %rsi, %rdi
    call *%rax
    add $8, %rsp
    xor %eax, %eax
    ret
machine_attempt_failed:
    mov $1, %eax
    ret

    .globl machine_stepped
    .globl machine_stepped_nops
machine_stepped:
    pushfq
    orq $0x100, (%rsp)
    popfq
machine_stepped_nops:
    nop
    nop
    nop
    pushfq
    andq $~0x100, (%rsp)
    popfq
    ret

    .section .note.GNU-stack, "", @progbits
