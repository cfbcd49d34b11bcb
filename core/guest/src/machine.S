/* What needs no privilege but assembly: thread switch, expected exceptions, single steps; see machine.h. */
    .text
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
