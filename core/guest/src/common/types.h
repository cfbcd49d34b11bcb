/* Types and small macros that kernel and programs share. */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define PAGE 4096ul
#define PAGE_MASK (PAGE - 1)
#define KIB 1024ul
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define ROUND_UP(x, n) (((x) + (n) - 1) & ~((n) - 1))
#define ROUND_DOWN(x, n) ((x) & ~((n) - 1))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(p, type, field) ((type *)((char *)(p) - offsetof(type, field)))
#define SECOND 1000000000ul
#define MILLISECOND 1000000ul
