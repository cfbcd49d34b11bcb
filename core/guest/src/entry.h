/* What the entries of both machines (native/entry.S, para/entry.S) have in common: struct frame, whose offsets trap.c checks. */
#define FRAME_RIP 136
#define FRAME_CS 144
#define FRAME_RFLAGS 152
#define USER_DATA 0x23
#define USER_CODE64 0x2b
#define VECTOR_SYSCALL 0x100

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

/* Exceptions 8, 10..14, 17, 21, 29, 30 come with an error code; the others get one. */
.macro NO_ERROR vector
    .if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17 || \vector == 21 || \vector == 29 || \vector == 30)
    push $0
    .endif
.endm
