/*
 * Shared by the workloads. Each does `part` percent of its full work and returns a checksum that depends on `part` alone: the same on every
 * machine, emulated or not.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

static inline long rounds(long full, int part) {
  long n = full * part / 100;
  return n > 0 ? n : 1;
}
/* xorshift32 */
static inline uint32_t draw(uint32_t *state) {
  uint32_t x = *state;
  x ^= x << 13, x ^= x >> 17, x ^= x << 5;
  return *state = x;
}
static inline uint32_t fold(uint32_t sum, uint32_t word) { return (sum << 7 | sum >> 25) + word * 0x9e3779b1u; }

/* computing.c */
uint32_t primes(int part), cipher(int part), sorting(int part), bytecode(int part), matrix(int part), filter(int part), text(int part),
    list(int part);
/* kernel.c */
uint32_t calls(int part), processes(int part), pages(int part), switches(int part);
/* code.c */
uint32_t newcode(int part), gaps(int part);
