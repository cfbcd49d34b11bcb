/* Code that comes into being while the program runs: what a translator is asked for again and again. */
#define _GNU_SOURCE
#include "bench.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { FUNCTIONS = 1500, ROOM = 96 };
typedef uint32_t (*function)(uint32_t);

static uint8_t *code;

/* Writes function `i`: a loop of a few additions, rotations and exclusive ors, of constants of its own. */
static function write_function(uint32_t i, uint32_t *state) {
  uint8_t *start = code + i * ROOM, *p = start;
  uint32_t steps = 2 + draw(state) % 6;
#if __x86_64__
  *p++ = 0x89, *p++ = 0xf8; /* mov eax, edi */
#else
  memcpy(p, "\x8b\x44\x24\x04", 4), p += 4; /* mov eax, [esp + 4] */
#endif
  *p++ = 0xb9, *p++ = 20, *p++ = 0, *p++ = 0, *p++ = 0; /* mov ecx, 20 */
  uint8_t *top = p;
  for (uint32_t k = 0; k < steps; k++) {
    uint32_t word = draw(state);
    if (k & 1) {
      *p++ = 0xc1, *p++ = 0xc0, *p++ = (uint8_t)(1 + word % 31); /* rol eax, imm8 */
    } else {
      *p++ = word & 64 ? 0x05 : 0x35; /* add, xor eax, imm32 */
      memcpy(p, &word, 4), p += 4;
    }
  }
  *p++ = 0x83, *p++ = 0xe9, *p++ = 1; /* sub ecx, 1 */
  *p++ = 0x75, *p = (uint8_t)(top - p - 1), p++; /* jnz top */
  *p++ = 0xc3;
  return (function)(uintptr_t)start;
}

static int map_code(void) {
  if (code) return 1;
  code = mmap(0, FUNCTIONS * ROOM, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (code != MAP_FAILED) return 1;
  code = 0;
  return 0;
}

/* Functions that are written, called some hundred times, and written anew at the same place. */
uint32_t newcode(int part) {
  uint32_t state = 1597334677, sum = 0;
  if (!map_code()) return 0;
  for (long n = rounds(6000, part); n > 0; n--) {
    function f = write_function((uint32_t)n % 600, &state);
    for (uint32_t i = 0; i < 200; i++) sum = f(sum + i);
  }
  return sum;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/*
 * How long the program is held up: it reads its clock in a loop, and between two readings calls a function for a microsecond or so, one of
 * many, each of which becomes hot at some time. The checksum is none; what it found is printed:
 * GAPS longest (ms), and how many were above 1, 5 and 20 ms.
 */
uint32_t gaps(int part) {
  uint32_t state = 2654435769u, sum = 0, above[3] = {0, 0, 0};
  double longest = 0;
  function f[FUNCTIONS];
  char line[96];
  if (!map_code()) return 0;
  for (uint32_t i = 0; i < FUNCTIONS; i++) f[i] = write_function(i, &state);
  double before = now();
  for (long n = rounds(4000, part); n > 0; n--)
    for (uint32_t i = 0; i < FUNCTIONS; i++) {
      sum = f[i](sum);
      double after = now(), gap = after - before;
      before = after;
      if (gap > longest) longest = gap;
      for (int k = 0; k < 3; k++) above[k] += gap > (const double[]){1e-3, 5e-3, 20e-3}[k];
    }
  int length = snprintf(line, sizeof line, "GAPS %.3f %u %u %u\n", longest * 1e3, above[0], above[1], above[2]);
  return write(1, line, (size_t)length) == length ? sum : 0;
}
