/* Work that stays in user mode. */
#include "bench.h"
#include <stdlib.h>
#include <string.h>

/* Sieve over the odd numbers below 4 Mi, a bit each: strided read-modify-writes, short loops. */
uint32_t primes(int part) {
  enum { LIMIT = 1 << 22, WORDS = LIMIT / 64 };
  uint32_t *composite = malloc(WORDS * sizeof *composite), sum = 0;
  for (long n = rounds(12, part); n > 0; n--) {
    memset(composite, 0, WORDS * sizeof *composite);
    uint32_t found = 1;
    for (uint32_t i = 3; i < LIMIT; i += 2) {
      if (composite[i >> 6] >> (i >> 1 & 31) & 1) continue;
      found++;
      if (i < 2048)
        for (uint32_t k = i * i; k < LIMIT; k += 2 * i) composite[k >> 6] |= 1u << (k >> 1 & 31);
    }
    sum = fold(sum, found);
  }
  free(composite);
  return sum;
}

#define TURN(x, n) ((x) << (n) | (x) >> (32 - (n)))
#define QUARTER(a, b, c, d)                                                                                                          \
  (a += b, d = TURN(d ^ a, 16), c += d, b = TURN(b ^ c, 12), a += b, d = TURN(d ^ a, 8), c += d, b = TURN(b ^ c, 7))

/* ChaCha20 (RFC 8439) key stream: 32-bit additions and rotations, sixteen live values. */
uint32_t cipher(int part) {
  uint32_t sum = 0, key[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11};
  for (long n = rounds(420000, part); n > 0; n--) {
    uint32_t x[16];
    memcpy(x, key, sizeof x);
    for (int i = 0; i < 10; i++) {
      QUARTER(x[0], x[4], x[8], x[12]), QUARTER(x[1], x[5], x[9], x[13]);
      QUARTER(x[2], x[6], x[10], x[14]), QUARTER(x[3], x[7], x[11], x[15]);
      QUARTER(x[0], x[5], x[10], x[15]), QUARTER(x[1], x[6], x[11], x[12]);
      QUARTER(x[2], x[7], x[8], x[13]), QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++) sum = fold(sum, x[i] + key[i]);
    key[12]++;
  }
  return sum;
}

static void merge(uint32_t *v, uint32_t *spare, size_t n) {
  if (n < 12) {
    for (size_t i = 1; i < n; i++) {
      uint32_t x = v[i];
      size_t k = i;
      for (; k > 0 && v[k - 1] > x; k--) v[k] = v[k - 1];
      v[k] = x;
    }
    return;
  }
  size_t half = n / 2, a = 0, b = half, to = 0;
  merge(v, spare, half), merge(v + half, spare, n - half);
  while (a < half && b < n) spare[to++] = v[a] <= v[b] ? v[a++] : v[b++];
  while (a < half) spare[to++] = v[a++];
  memcpy(v, spare, to * sizeof *v);
}

/* Merge sort of 256 Ki words: branches that cannot be foreseen, calls and returns. */
uint32_t sorting(int part) {
  enum { N = 1 << 18 };
  uint32_t *v = malloc(2 * N * sizeof *v), state = 2463534242u, sum = 0;
  for (long n = rounds(12, part); n > 0; n--) {
    for (size_t i = 0; i < N; i++) v[i] = draw(&state);
    merge(v, v + N, N);
    for (size_t i = 0; i < N; i += 511) sum = fold(sum, v[i]);
    for (size_t i = 1; i < N; i++)
      if (v[i - 1] > v[i]) return 0;
  }
  free(v);
  return sum;
}

/* A stack machine that computes Collatz lengths: an indirect jump for each of its instructions. */
uint32_t bytecode(int part) {
  enum { PUSH, DUP, ADD, MUL, HALVE, ODD, JUMP, IF, COUNT, ONE, END };
  static const int8_t code[] = {
      /* 0 */ DUP, ONE, IF, 21, DUP, ODD, IF, 12, HALVE, COUNT, JUMP, 0,
      /* 12 */ PUSH, 3, MUL, PUSH, 1, ADD, COUNT, JUMP, 0, /* 21 */ END,
  };
  uint32_t sum = 0;
  for (long n = rounds(60000, part); n > 0; n--) {
    uint32_t stack[8] = {(uint32_t)n + 1}, *top = stack, count = 0;
    for (const int8_t *pc = code;;) {
      switch (*pc++) {
      case PUSH: *++top = (uint32_t)*pc++; continue;
      case DUP: top[1] = *top, top++; continue;
      case ADD: top--, *top += top[1]; continue;
      case MUL: top--, *top *= top[1]; continue;
      case HALVE: *top >>= 1; continue;
      case ODD: *top &= 1; continue;
      case JUMP: pc = code + *pc; continue;
      case IF: pc = *top-- ? code + *pc : pc + 1; continue;
      case COUNT: count++; continue;
      case ONE: *top = *top == 1 || count > 400; continue;
      default: break;
      }
      break;
    }
    sum = fold(sum, count);
  }
  return sum;
}

/* Products of small whole numbers in doubles, exact in x87 and SSE alike: x87 in the 32-bit build, SSE2 in the 64-bit one. */
uint32_t matrix(int part) {
  enum { N = 128 };
  static double a[N][N], b[N][N], c[N][N];
  uint32_t state = 88675123, sum = 0;
  /* A program that computes has rounded something before. */
  volatile double third = 1;
  third /= 3;
  for (int i = 0; i < N * N; i++) a[i / N][i % N] = draw(&state) & 255, b[i / N][i % N] = draw(&state) & 255;
  for (long n = rounds(24, part); n > 0; n--) {
    for (int i = 0; i < N; i++)
      for (int k = 0; k < N; k++) {
        double s = 0;
        for (int j = 0; j < N; j++) s += a[i][j] * b[j][k];
        c[i][k] = s;
      }
    for (int i = 0; i < N; i++) sum = fold(sum, (uint32_t)c[i][n % N]);
    a[n % N][n * 5 % N] += 1;
  }
  return sum;
}

/* A 32-tap filter over 16-bit samples, four lanes at a time: integer SSE2 in both builds. */
__attribute__((target("sse2"))) uint32_t filter(int part) {
  enum { N = 16384, TAPS = 32 };
  typedef int32_t lanes __attribute__((vector_size(16), aligned(4), may_alias));
  static int32_t samples[N + TAPS], output[N];
  int32_t taps[TAPS];
  uint32_t state = 521288629, sum = 0;
  for (int i = 0; i < N + TAPS; i++) samples[i] = (int32_t)(draw(&state) >> 16) - 32768;
  for (int i = 0; i < TAPS; i++) taps[i] = (int32_t)(draw(&state) & 63) - 32;
  for (long n = rounds(260, part); n > 0; n--) {
    for (int i = 0; i < N; i += 4) {
      lanes s = {0, 0, 0, 0};
      for (int k = 0; k < TAPS; k++) {
        lanes x = *(const lanes *)(samples + i + k);
        /* SSE2 has no product of 32-bit lanes: shifts and additions. */
        s += taps[k] < 0 ? (x >> 3) - x : (x << 2) + x;
      }
      *(lanes *)(output + i) = s;
    }
    for (int i = 0; i < N; i += 61) sum = fold(sum, (uint32_t)output[i]);
    samples[n % N]++;
  }
  return sum;
}

/* Copies, searches and lengths by the C library, which takes what the processor offers. */
uint32_t text(int part) {
  enum { N = 1 << 19 };
  char *from = malloc(N + 1), *to = malloc(N + 1);
  uint32_t state = 5783321, sum = 0;
  for (size_t i = 0; i < N; i++) from[i] = (char)('a' + draw(&state) % 25);
  from[N] = 0;
  for (long n = rounds(700, part); n > 0; n--) {
    size_t at = draw(&state) % (N - 256);
    memcpy(to, from, N + 1);
    to[at] = 'z';
    sum = fold(sum, (uint32_t)((char *)memchr(to, 'z', N) - to));
    sum = fold(sum, (uint32_t)strlen(to + (n & 63)));
    sum = fold(sum, memcmp(from, to, N) < 0);
    from[at] = to[at + 1] == 'a' ? 'b' : 'a';
  }
  free(from), free(to);
  return sum;
}

/* A ring of 64-byte nodes in random order, 8 MiB of them: loads that miss caches and TLBs. */
uint32_t list(int part) {
  enum { N = 1 << 17 };
  struct node {
    struct node *next;
    uint32_t value;
    char rest[64 - sizeof(void *) - 4];
  } *nodes = malloc(N * sizeof *nodes), *at;
  uint32_t *order = malloc(N * sizeof *order), state = 362436069, sum = 0;
  for (uint32_t i = 0; i < N; i++) {
    uint32_t k = draw(&state) % (i + 1);
    order[i] = order[k], order[k] = i;
  }
  for (uint32_t i = 0; i < N; i++) nodes[order[i]] = (struct node){.next = nodes + order[(i + 1) % N], .value = i};
  at = nodes;
  for (long n = rounds(6000000, part); n > 0; n--) sum += at->value ^ (uint32_t)n, at = at->next;
  sum = fold(sum, at->value);
  free(order), free(nodes);
  return sum;
}
