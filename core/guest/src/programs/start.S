/* Where a program begins: argc and argv are on the stack (System V ABI). */
    .text
    .globl _start
_start:
    xor %ebp, %ebp
    mov (%rsp), %rdi
    lea 8(%rsp), %rsi
    and $-16, %rsp
    call main
    mov %eax, %edi
    call exit

/* s64 call(number, a, b, c) */
    .globl call
call:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    syscall
    ret

    .globl call_int80
call_int80:
    mov %rdi, %rax
    mov %rsi, %rdi
    mov %rdx, %rsi
    mov %rcx, %rdx
    int $0x80
    ret

/* A thread of lib.c's: RDI points to {fn, argument} at the top of its stack. */
    .globl thread_entry
thread_entry:
    xor %ebp, %ebp
    mov (%rdi), %rax
    mov 8(%rdi), %rdi
    call *%rax
    mov $12, %eax                   /* CALL_LEAVE */
    syscall
    ud2

    .section .note.GNU-stack, "", @progbits
