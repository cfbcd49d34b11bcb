/* The part of the C library's string.h that kernel and programs use. */
#pragma once
#include "types.h"

void *memcpy(void *to, const void *from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
/** Copies at most size - 1 characters and always ends the string. */
void copy_string(char *to, const char *from, size_t size);
/** Reads an unsigned decimal or 0x number; false if `s` is not wholly one. */
bool parse_number(const char *s, u64 *value);

/** snprintf with %s %c %d %u %x %lu %ld %lx %p %%, width, '-' and '0'. Returns the length, at most size - 1. */
int format(char *to, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int format_list(char *to, size_t size, const char *fmt, va_list list);
