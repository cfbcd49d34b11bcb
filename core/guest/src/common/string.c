#include "string.h"

/* The string instructions, not loops: they are what a virtual machine should be good at. */
void *memcpy(void *to, const void *from, size_t n)
{
    void *d = to;
    size_t words = n / 8, rest = n % 8;
    __asm__ volatile("rep movsq" : "+D"(d), "+S"(from), "+c"(words)::"memory");
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(from), "+c"(rest)::"memory");
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    if ((u64)to - (u64)from >= n)
        return memcpy(to, from, n);
    char *d = (char *)to + n - 1;
    const char *s = (const char *)from + n - 1;
    __asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    return to;
}

void *memset(void *to, int value, size_t n)
{
    void *d = to;
    size_t words = n / 8, rest = n % 8;
    u64 pattern = (u8)value * 0x0101010101010101ul;
    __asm__ volatile("rep stosq" : "+D"(d), "+c"(words) : "a"(pattern) : "memory");
    __asm__ volatile("rep stosb" : "+D"(d), "+c"(rest) : "a"(pattern) : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *p = a, *q = b;
    for (; n; n--, p++, q++)
        if (*p != *q)
            return *p - *q;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n])
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
    for (; n; n--, a++, b++)
        if (*a != *b || !*a)
            return (u8)*a - (u8)*b;
    return 0;
}

void copy_string(char *to, const char *from, size_t size)
{
    size_t i = 0;
    for (; i + 1 < size && from[i]; i++)
        to[i] = from[i];
    to[i] = 0;
}

bool parse_number(const char *s, u64 *value)
{
    u64 n = 0, base = 10;
    if (s[0] == '0' && s[1] == 'x')
        base = 16, s += 2;
    if (!*s)
        return false;
    for (; *s; s++) {
        u64 digit = *s >= '0' && *s <= '9' ? *s - '0' : *s >= 'a' && *s <= 'f' ? *s - 'a' + 10 : 16;
        if (digit >= base || n > (~0ul - digit) / base)
            return false;
        n = n * base + digit;
    }
    *value = n;
    return true;
}

struct out {
    char *to;
    size_t size, length;
};

static void put(struct out *o, char c)
{
    if (o->length + 1 < o->size)
        o->to[o->length++] = c;
}

static void put_padded(struct out *o, const char *s, int length, int width, bool left, char pad)
{
    if (!left)
        for (int i = length; i < width; i++)
            put(o, pad);
    for (int i = 0; i < length; i++)
        put(o, s[i]);
    if (left)
        for (int i = length; i < width; i++)
            put(o, ' ');
}

int format_list(char *to, size_t size, const char *fmt, va_list list)
{
    struct out o = {to, size, 0};
    for (; *fmt; fmt++) {
        if (*fmt != '%') {
            put(&o, *fmt);
            continue;
        }
        bool left = false, wide = false, negative = false;
        char pad = ' ';
        int width = 0, n = 0;
        char digits[24];
        for (fmt++; *fmt == '-' || *fmt == '0'; fmt++)
            if (*fmt == '-')
                left = true;
            else
                pad = '0';
        if (*fmt == '*')
            width = va_arg(list, int), fmt++;
        for (; *fmt >= '0' && *fmt <= '9'; fmt++)
            width = width * 10 + *fmt - '0';
        for (; *fmt == 'l'; fmt++)
            wide = true;
        u64 value, base = 10;
        switch (*fmt) {
        case 's': {
            const char *s = va_arg(list, const char *);
            put_padded(&o, s, strlen(s), width, left, ' ');
            continue;
        }
        case 'c':
            digits[0] = va_arg(list, int);
            put_padded(&o, digits, 1, width, left, ' ');
            continue;
        case 'd': {
            s64 v = wide ? va_arg(list, s64) : va_arg(list, int);
            negative = v < 0;
            value = negative ? -(u64)v : (u64)v;
            break;
        }
        case 'p':
            wide = true; /* fall through */
        case 'x':
            base = 16; /* fall through */
        case 'u':
            value = wide ? va_arg(list, u64) : va_arg(list, unsigned);
            break;
        default:
            put(&o, *fmt);
            continue;
        }
        do
            digits[sizeof digits - ++n] = "0123456789abcdef"[value % base];
        while (value /= base);
        if (negative)
            digits[sizeof digits - ++n] = '-';
        put_padded(&o, digits + sizeof digits - n, n, width, left, pad);
    }
    if (size)
        to[o.length] = 0;
    return o.length;
}

int format(char *to, size_t size, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    int n = format_list(to, size, fmt, list);
    va_end(list);
    return n;
}
