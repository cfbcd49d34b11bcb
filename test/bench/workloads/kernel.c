/* Work that the kernel does. */
#define _GNU_SOURCE
#include "bench.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* The shortest system call there is. */
uint32_t calls(int part) {
  long n = rounds(1000000, part), mine = syscall(SYS_getuid), same = 0;
  for (long i = 0; i < n; i++) same += syscall(SYS_getuid) == mine;
  return (uint32_t)same;
}

/* Processes that are made and end: copies of page tables, copy-on-write, TLB flushes. */
uint32_t processes(int part) {
  static volatile uint32_t mine[4096];
  uint32_t sum = 0;
  for (long n = rounds(400, part); n > 0; n--) {
    int status;
    pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < 4096; i += 1024) mine[i] = (uint32_t)n;
      _exit((int)(mine[1024] & 63));
    }
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return 0;
    sum = fold(sum, (uint32_t)WEXITSTATUS(status) + mine[1024]);
  }
  return sum;
}

/* Memory that is mapped, touched and given back: page faults. */
uint32_t pages(int part) {
  enum { PAGE = 4096, N = 200 };
  uint32_t sum = 0;
  for (long n = rounds(300, part); n > 0; n--) {
    volatile uint8_t *area = mmap(0, N * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) return 0;
    for (int i = 0; i < N; i++) area[i * PAGE + (n & 127)] = (uint8_t)(n + i);
    sum = fold(sum, area[n % N * PAGE + (n & 127)]);
    munmap((void *)area, N * PAGE);
  }
  return sum;
}

/* Two processes that hand each other a word through pipes: context switches. */
uint32_t switches(int part) {
  long n = rounds(10000, part);
  int there[2], back[2], status;
  uint32_t word, sum = 0;
  if (pipe(there) || pipe(back)) return 0;
  pid_t child = fork();
  if (child == 0) {
    while (n-- > 0) {
      if (read(there[0], &word, 4) != 4) _exit(1);
      word = word * 2891336453u + 1;
      if (write(back[1], &word, 4) != 4) _exit(1);
    }
    _exit(0);
  }
  for (long i = 0; i < n; i++) {
    word = (uint32_t)i;
    if (write(there[1], &word, 4) != 4 || read(back[0], &word, 4) != 4) return 0;
    sum = fold(sum, word);
  }
  if (waitpid(child, &status, 0) != child || status != 0) return 0;
  close(there[0]), close(there[1]), close(back[0]), close(back[1]);
  return sum;
}
