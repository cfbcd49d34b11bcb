/*
 * What a guest runs to show that it computes as the bare host does: each part prints `CHECK name checksum`, and a checksum depends on
 * nothing but the part. Built statically for 64 and 32 bit; the same binary runs natively to get the expected lines.
 * About twenty million instructions in all.
 */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t seed;
static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u; }
static uint32_t mix(uint32_t h, uint32_t v) { return (h ^ v) * 16777619u; }

/* Wide products, quotients and remainders, rotates, carries. */
static uint32_t integers(void) {
  uint32_t h = 1;
  uint64_t a = 0x0123456789abcdefu, b = 3;
  for (int i = 0; i < 60000; i++) {
    uint64_t n = (uint64_t)next() << 32 | next(), d = (next() >> (i & 31)) + 1u;
    a += n * d;
    b ^= n / d + n % d;
    a = a << (i & 63) | a >> (-i & 63);
    h = mix(h, (uint32_t)(a >> 32) ^ (uint32_t)b ^ (uint32_t)((int64_t)n / (int64_t)d));
  }
  return h;
}

/* CRC-32 of the polynomial 0xedb88320, bit by bit and by table: both must agree. */
static uint32_t crc(void) {
  static uint32_t table[256];
  static uint8_t data[20000];
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    table[i] = c;
  }
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(next() >> 24);
  uint32_t fast = ~0u, slow = ~0u;
  for (int round = 0; round < 10; round++)
    for (size_t i = 0; i < sizeof data; i++) fast = table[(fast ^ data[i]) & 255] ^ fast >> 8;
  for (size_t i = 0; i < sizeof data; i++) {
    slow ^= data[i];
    for (int k = 0; k < 8; k++) slow = slow & 1 ? 0xedb88320u ^ slow >> 1 : slow >> 1;
  }
  return mix(fast, slow);
}

static int compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

static uint32_t sorting(void) {
  enum { N = 20000 };
  uint32_t *v = malloc(N * sizeof *v), h = 1;
  for (int i = 0; i < N; i++) v[i] = next();
  qsort(v, N, sizeof *v, compare);
  for (int i = 0; i < N; i++) h = mix(h, v[i] + (i > 0 && v[i - 1] > v[i]));
  free(v);
  return h;
}

/* Only operations that IEEE 754 rounds exactly, and each result stored: x87 and SSE agree. */
static uint32_t floats(void) {
  volatile double x = 1.5, y = 0.1;
  volatile float f = 0.3f;
  uint32_t h = 1;
  for (int i = 0; i < 40000; i++) {
    x = x * 1.0000001 + y;
    y = sqrt(x) - y / 3;
    f = (float)(x - (double)(long)x) + f * 0.5f;
    if (x > 1e6) x = 1;
    double stored = y;
    uint64_t bits;
    memcpy(&bits, &stored, 8);
    /* x87 rounds twice: keep what both have in common. */
    h = mix(h, sizeof(void *) == 8 ? (uint32_t)bits ^ (uint32_t)(bits >> 32) : (uint32_t)(bits >> 40));
    h = mix(h, (uint32_t)(int32_t)(f * 1024));
  }
  return h;
}

static uint32_t strings(void) {
  static char a[8192], b[8192];
  uint32_t h = 1;
  for (size_t i = 0; i < sizeof a - 1; i++) a[i] = (char)('a' + next() % 26);
  for (int i = 0; i < 300; i++) {
    size_t from = next() % 4000, length = next() % 4000;
    memmove(b, a + from, length);
    b[length] = 0;
    memmove(a + from / 2, a + from, length / 2);
    h = mix(h, (uint32_t)strlen(b));
    h = mix(h, (uint32_t)(memchr(b, 'q', length) ? (char *)memchr(b, 'q', length) - b : -1));
    h = mix(h, (uint32_t)(memcmp(a, b, length) < 0));
    memset(b + length / 2, 'z', 100);
  }
  for (size_t i = 0; i < sizeof a; i++) h = mix(h, (uint8_t)a[i]);
  return h;
}

/* Processes, pipes, copy-on-write. */
static uint32_t processes(void) {
  static volatile uint32_t page[2048];
  uint32_t h = 1;
  for (int i = 0; i < 20; i++) {
    int ends[2], status;
    if (pipe(ends)) return 0;
    page[i] = (uint32_t)i;
    pid_t pid = fork();
    if (pid == 0) {
      page[i] += 7;
      uint32_t word = page[i] * 3;
      if (write(ends[1], &word, 4) != 4) _exit(1);
      _exit(i);
    }
    uint32_t word = 0;
    if (read(ends[0], &word, 4) != 4 || waitpid(pid, &status, 0) != pid) return 0;
    close(ends[0]), close(ends[1]);
    h = mix(mix(mix(h, word), (uint32_t)WEXITSTATUS(status)), page[i]);
  }
  return h;
}

static sigjmp_buf out;
static void *volatile where;
static void trapped(int number, siginfo_t *info, void *context) {
  (void)context;
  where = info->si_addr;
  siglongjmp(out, number);
}

/* Faults that the program takes itself: pages without access, division by zero, an undefined opcode. */
static uint32_t faults(void) {
  volatile uint32_t h = 1;
  struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigaction(SIGSEGV, &action, 0), sigaction(SIGFPE, &action, 0), sigaction(SIGILL, &action, 0);
  volatile uint8_t *p = mmap(0, 16 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (volatile int i = 0; i < 60; i++) {
    volatile uint8_t *page = p + (i & 15) * 4096;
    int number = sigsetjmp(out, 1);
    if (number == 0) {
      if (i % 3 == 0) {
        mprotect((void *)page, 4096, i & 1 ? PROT_READ : PROT_NONE);
        page[i] = 1;
      } else if (i % 3 == 1) {
        volatile int zero = 0;
        h = mix(h, (uint32_t)(i / zero));
      } else __asm__ volatile("ud2");
      return (uint32_t)i;
    }
    h = mix(h, (uint32_t)number);
    if (number == SIGSEGV) {
      h = mix(h, (uint32_t)((uint8_t *)where - p));
      mprotect((void *)page, 4096, PROT_READ | PROT_WRITE);
      page[i] = (uint8_t)i;
      h = mix(h, page[i]);
    }
  }
  munmap((void *)p, 16 * 4096);
  return h;
}

/* Code written at run time, rewritten, and run again at the same address. */
static uint32_t rewriting(void) {
  uint8_t *code = mmap(0, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uint32_t h = 1;
  for (uint32_t i = 0; i < 2000; i++) {
    /* mov eax, imm32; ret, sometimes across the page boundary */
    uint8_t *at = code + (i % 7 == 0 ? 4093 : 16 * (i % 5));
    at[0] = 0xb8;
    memcpy(at + 1, &i, 4);
    at[5] = 0xc3;
    h = mix(h, ((uint32_t(*)(void))(uintptr_t)at)());
    at[2] ^= 0x5a;
    h = mix(h, ((uint32_t(*)(void))(uintptr_t)at)());
  }
  return h;
}

static volatile sig_atomic_t ticks;
static void tick(int number) { (void)number, ticks++; }

/* The timer interrupts a busy loop; its registers must survive. */
static uint32_t timer(void) {
  struct itimerval every = {{0, 5000}, {0, 5000}}, never = {{0, 0}, {0, 0}};
  signal(SIGALRM, tick);
  setitimer(ITIMER_REAL, &every, 0);
  uint32_t rounds = 0, first = 0, wrong = 0;
  while (ticks < 4 || rounds < 20) {
    uint32_t s = 12345, h = 1;
    for (int i = 0; i < 20000; i++) h = mix(h, s = s * 1664525u + 1013904223u);
    if (rounds++ == 0) first = h;
    wrong += h != first;
  }
  setitimer(ITIMER_REAL, &never, 0);
  return mix(first, wrong);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    uint32_t (*run)(void);
  } parts[] = {{"integers", integers}, {"crc", crc}, {"sorting", sorting}, {"floats", floats}, {"strings", strings},
               {"processes", processes}, {"faults", faults}, {"rewriting", rewriting}, {"timer", timer}};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (argc > 1 && strcmp(argv[1], parts[i].name)) continue;
    seed = 42;
    printf("CHECK %s %08x\n", parts[i].name, parts[i].run());
    fflush(stdout);
  }
  return 0;
}
