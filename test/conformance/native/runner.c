/*
 * Executes single instructions on the real CPU, at ring 3. Built twice: -m64 and -m32 (both -static -no-pie, so that the code here can be
 * reached and its variables addressed without a register).
 *
 * Standard input, repeated:  u32 length, u32 count, u8 code[16], count images.
 * Standard output:           count images for each.
 * An image is the state before and after, as test/conformance/image.ts lays it out.
 * The instruction runs at CODE. It ends by falling through (exit 0), by a branch to CODE + 0x40 (exit 1) or CODE - 0x40 (exit 2),
 * or by a fault (vector).
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE 0x100200u
#define WINDOW 0x110800u
#define STACK 0x120800u
#define NO_VECTOR 0xffffffffu

struct image {
  uint64_t gpr[16];
  uint64_t flags;
  uint32_t exit, vector;
  uint64_t reserved[2];
  uint8_t window[128], stack[128];
  uint8_t fx[416];
};

/* What the assembly below reads and writes. */
uint64_t in_gpr[16], out_gpr[16], in_flags, out_flags;
uint8_t in_fx[512] __attribute__((aligned(16))), out_fx[512] __attribute__((aligned(16)));
uint32_t out_exit, default_mxcsr = 0x1f80;
uintptr_t host_sp, code_pointer = CODE;

void enter(void);
void leave0(void);
void leave1(void);
void leave2(void);

#ifdef __x86_64__
__asm__(".globl enter, leave0, leave1, leave2\n"
        "enter:\n"
        "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
        "  mov %rsp, host_sp\n"
        "  fxrstor in_fx\n"
        "  pushq in_flags; popfq\n"
        "  mov in_gpr+0, %rax; mov in_gpr+8, %rcx; mov in_gpr+16, %rdx; mov in_gpr+24, %rbx\n"
        "  mov in_gpr+40, %rbp; mov in_gpr+48, %rsi; mov in_gpr+56, %rdi\n"
        "  mov in_gpr+64, %r8; mov in_gpr+72, %r9; mov in_gpr+80, %r10; mov in_gpr+88, %r11\n"
        "  mov in_gpr+96, %r12; mov in_gpr+104, %r13; mov in_gpr+112, %r14; mov in_gpr+120, %r15\n"
        "  mov in_gpr+32, %rsp\n"
        "  jmp *code_pointer\n"
        "leave2:\n"
        "  movl $2, out_exit\n"
        "  jmp leave0\n"
        "leave1:\n"
        "  movl $1, out_exit\n"
        "leave0:\n"
        "  mov %rax, out_gpr+0; mov %rcx, out_gpr+8; mov %rdx, out_gpr+16; mov %rbx, out_gpr+24\n"
        "  mov %rsp, out_gpr+32; mov %rbp, out_gpr+40; mov %rsi, out_gpr+48; mov %rdi, out_gpr+56\n"
        "  mov %r8, out_gpr+64; mov %r9, out_gpr+72; mov %r10, out_gpr+80; mov %r11, out_gpr+88\n"
        "  mov %r12, out_gpr+96; mov %r13, out_gpr+104; mov %r14, out_gpr+112; mov %r15, out_gpr+120\n"
        "  mov host_sp, %rsp\n"
        "  pushfq; popq out_flags\n"
        "  fxsave out_fx\n"
        "  cld; fninit; ldmxcsr default_mxcsr\n"
        "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
        "  ret\n");
#else
__asm__(".globl enter, leave0, leave1, leave2\n"
        "enter:\n"
        "  push %ebx; push %ebp; push %esi; push %edi\n"
        "  mov %esp, host_sp\n"
        "  fxrstor in_fx\n"
        "  pushl in_flags; popfl\n"
        "  mov in_gpr+0, %eax; mov in_gpr+8, %ecx; mov in_gpr+16, %edx; mov in_gpr+24, %ebx\n"
        "  mov in_gpr+40, %ebp; mov in_gpr+48, %esi; mov in_gpr+56, %edi\n"
        "  mov in_gpr+32, %esp\n"
        "  jmp *code_pointer\n"
        "leave2:\n"
        "  movl $2, out_exit\n"
        "  jmp leave0\n"
        "leave1:\n"
        "  movl $1, out_exit\n"
        "leave0:\n"
        "  mov %eax, out_gpr+0; mov %ecx, out_gpr+8; mov %edx, out_gpr+16; mov %ebx, out_gpr+24\n"
        "  mov %esp, out_gpr+32; mov %ebp, out_gpr+40; mov %esi, out_gpr+48; mov %edi, out_gpr+56\n"
        "  mov host_sp, %esp\n"
        "  pushfl; popl out_flags\n"
        "  fxsave out_fx\n"
        "  cld; fninit; ldmxcsr default_mxcsr\n"
        "  pop %edi; pop %esi; pop %ebp; pop %ebx\n"
        "  ret\n");
#endif

static jmp_buf back;
static volatile uint32_t vector;

static void caught(int number, siginfo_t *info, void *context) {
  (void)number, (void)info;
  greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
#ifdef __x86_64__
  static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
  for (int i = 0; i < 16; i++) out_gpr[i] = (uint64_t)g[order[i]];
#else
  static const int order[8] = {REG_EAX, REG_ECX, REG_EDX, REG_EBX, REG_ESP, REG_EBP, REG_ESI, REG_EDI};
  for (int i = 0; i < 8; i++) out_gpr[i] = (uint32_t)g[order[i]];
#endif
  out_flags = (uint32_t)g[REG_EFL];
  vector = (uint32_t)g[REG_TRAPNO];
  _longjmp(back, 1);
}

static void all(int fd, void *data, size_t size, int writing) {
  uint8_t *at = data;
  while (size > 0) {
    ssize_t n = writing ? write(fd, at, size) : read(fd, at, size);
    if (n <= 0) exit(writing || at != data ? 1 : 0);
    at += n, size -= (size_t)n;
  }
}

static void jump(uint8_t *at, void (*target)(void)) {
  int32_t distance = (int32_t)((intptr_t)target - (intptr_t)(at + 5));
  at[0] = 0xe9;
  memcpy(at + 1, &distance, 4);
}

static void page(uintptr_t address, int protection) {
  void *got = mmap((void *)address, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  if (got != (void *)address) perror("mmap"), exit(1);
}

/* Runs the code under CODE once from the state of `m`, and stores the state after it there. */
static void execute(struct image *m) {
  memset((void *)(uintptr_t)(WINDOW & ~0xfffu), 0, 4096);
  memset((void *)(uintptr_t)(STACK & ~0xfffu), 0, 4096);
  memcpy((void *)(uintptr_t)WINDOW, m->window, sizeof m->window);
  memcpy((void *)(uintptr_t)STACK, m->stack, sizeof m->stack);
  memcpy(in_gpr, m->gpr, sizeof in_gpr);
  memcpy(in_fx, m->fx, sizeof m->fx);
  memcpy(out_fx, in_fx, sizeof out_fx);
  memset(out_gpr, 0, sizeof out_gpr);
  in_flags = m->flags;
  out_flags = 0;
  out_exit = 0;
  vector = NO_VECTOR;
  if (_setjmp(back) == 0) enter();
  else __asm__ volatile("fninit; ldmxcsr default_mxcsr; cld");
  memcpy(m->gpr, out_gpr, sizeof out_gpr);
  memcpy(m->fx, out_fx, sizeof m->fx);
  m->flags = out_flags;
  m->exit = out_exit;
  m->vector = vector;
  memcpy(m->window, (void *)(uintptr_t)WINDOW, sizeof m->window);
  memcpy(m->stack, (void *)(uintptr_t)STACK, sizeof m->stack);
}

int main(void) {
  page(CODE & ~0xfffu, PROT_READ | PROT_WRITE | PROT_EXEC);
  page(WINDOW & ~0xfffu, PROT_READ | PROT_WRITE);
  page(STACK & ~0xfffu, PROT_READ | PROT_WRITE);
  stack_t alternate = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  sigaltstack(&alternate, 0);
  struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  const int signals[] = {SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP};
  for (int i = 0; i < 5; i++) sigaction(signals[i], &action, 0);

  static struct image images[4096];
  for (;;) {
    struct { uint32_t length, count; uint8_t code[16]; } request;
    all(0, &request, sizeof request, 0);
    if (request.length > 15 || request.count > 4096) return 1;
    all(0, images, request.count * sizeof *images, 0);
    uint8_t *code = (uint8_t *)(uintptr_t)CODE;
    memset(code - 0x200, 0xcc, 0x400);
    memcpy(code, request.code, request.length);
    jump(code + request.length, leave0);
    jump(code + 0x40, leave1);
    jump(code - 0x40, leave2);
    for (uint32_t i = 0; i < request.count; i++) execute(&images[i]);
    all(1, images, request.count * sizeof *images, 1);
  }
}
