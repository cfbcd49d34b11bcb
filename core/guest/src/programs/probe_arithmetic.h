/* Part of probe.c: flags and results of integer arithmetic against models of the definitions. */
#pragma once

#define CF 0x001
#define PF 0x004
#define AF 0x010
#define ZF 0x040
#define SF 0x080
#define OF 0x800
#define ALL (CF | PF | AF | ZF | SF | OF)

static const u64 corners[] = {0,          1,          2,          0x0f,       0x10,       0x7f,       0x80,
                              0x81,       0xff,       0x7fff,     0x8000,     0xffff,     0x12345678, 0x7fffffff,
                              0x80000000, 0xffffffff, 0x123456789abcdef0, 0x7fffffffffffffff, 0x8000000000000000, ~0ul};

/** ZF, SF and PF of a result. */
static u64 result_flags(u64 r, int bits)
{
    u64 mask = bits == 64 ? ~0ul : (1ul << bits) - 1, f = 0;
    f |= (r & mask) == 0 ? ZF : 0;
    f |= r >> (bits - 1) & 1 ? SF : 0;
    f |= __builtin_parity(r & 0xff) ? 0 : PF;
    return f;
}

/** What ADD, ADC, SUB, SBB of `bits` bits give, from the definition of carry and overflow. */
static u64 model(bool subtract, u64 a, u64 b, u64 carry, int bits, u64 *flags)
{
    u64 mask = bits == 64 ? ~0ul : (1ul << bits) - 1, sign = 1ul << (bits - 1);
    a &= mask, b &= mask;
    u64 r = (subtract ? a - b - carry : a + b + carry) & mask;
    bool c = subtract ? a < b || (a == b && carry) : r < a || (r == a && carry);
    bool o = subtract ? (a ^ b) & (a ^ r) & sign : ~(a ^ b) & (a ^ r) & sign;
    *flags = (c ? CF : 0) | (o ? OF : 0) | ((a ^ b ^ r) & 0x10 ? AF : 0) | result_flags(r, bits);
    return r;
}

#define ARITHMETIC(op, suffix, type, carry_in) \
    ({ \
        u64 f_; \
        type r_ = a; \
        __asm__ volatile("bt $0, %k[c]\n\t" op suffix " %[b], %[r]\n\tpushfq\n\tpopq %[f]" \
                         : [r] "+r"(r_), [f] "=r"(f_) \
                         : [b] "q"((type)b), [c] "r"((u32)(carry_in)) \
                         : "cc"); \
        got = r_, got_flags = f_; \
    })

#define COMPARE(op, suffix, type, bits, subtract, carry) \
    do { \
        u64 got, got_flags, want_flags, want = model(subtract, a, b, carry, bits, &want_flags); \
        ARITHMETIC(op, suffix, type, carry); \
        if (got != want || (got_flags & ALL) != want_flags) { \
            print("probe: %s%s 0x%lx, 0x%lx, carry %d: 0x%lx flags %lx instead of 0x%lx flags %lx\n", op, suffix, a, b, (int)(carry), got, \
                  got_flags & ALL, want, want_flags); \
            return false; \
        } \
    } while (0)

#define ALL_SIZES(op, subtract, carry) \
    do { \
        COMPARE(op, "b", u8, 8, subtract, carry); \
        COMPARE(op, "w", u16, 16, subtract, carry); \
        COMPARE(op, "l", u32, 32, subtract, carry); \
        COMPARE(op, "q", u64, 64, subtract, carry); \
    } while (0)

static bool flags(void)
{
    for (u64 i = 0; i < ARRAY_SIZE(corners); i++)
        for (u64 j = 0; j < ARRAY_SIZE(corners); j++) {
            u64 a = corners[i], b = corners[j];
            ALL_SIZES("add", false, 0);
            ALL_SIZES("sub", true, 0);
            ALL_SIZES("adc", false, 0);
            ALL_SIZES("adc", false, 1);
            ALL_SIZES("sbb", true, 0);
            ALL_SIZES("sbb", true, 1);
            u64 f, r = a & b;
            __asm__ volatile("test %1, %2; pushfq; popq %0" : "=r"(f) : "r"(a), "r"(b) : "cc");
            CHECK((f & (ALL & ~AF)) == result_flags(r, 64));
            r = a;
            __asm__ volatile("xor %2, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "r"(b) : "cc");
            CHECK(r == (a ^ b) && (f & (ALL & ~AF)) == result_flags(r, 64));
        }
    /* INC, DEC and NEG; the first two keep CF. */
    for (u64 i = 0; i < ARRAY_SIZE(corners); i++) {
        u64 a = corners[i], f, want, r = a;
        __asm__ volatile("stc; inc %1; pushfq; popq %0" : "=r"(f), "+r"(r)::"cc");
        CHECK(r == model(false, a, 1, 0, 64, &want) && (f & ALL) == (want | CF));
        r = a;
        __asm__ volatile("clc; decl %k1; pushfq; popq %0" : "=r"(f), "+r"(r)::"cc");
        CHECK(r == model(true, a, 1, 0, 32, &want) && (f & ALL) == (want & ~CF));
        r = a;
        __asm__ volatile("neg %1; pushfq; popq %0" : "=r"(f), "+r"(r)::"cc");
        CHECK(r == model(true, 0, a, 0, 64, &want) && (f & ALL) == want);
    }
    return true;
}

static bool shifts(void)
{
    for (u64 i = 0; i < ARRAY_SIZE(corners); i++)
        for (int n = 1; n < 32; n++) {
            u32 a = corners[i], r = a;
            u64 f;
            __asm__ volatile("shl %%cl, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "c"(n) : "cc");
            CHECK(r == a << n && (f & CF) == (a >> (32 - n) & 1) && (f & (ZF | SF | PF)) == result_flags(r, 32));
            r = a;
            __asm__ volatile("shr %%cl, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "c"(n) : "cc");
            CHECK(r == a >> n && (f & CF) == (a >> (n - 1) & 1) && (f & (ZF | SF | PF)) == result_flags(r, 32));
            r = a;
            __asm__ volatile("sar %%cl, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "c"(n) : "cc");
            CHECK(r == (u32)((s32)a >> n) && (f & CF) == (a >> (n - 1) & 1));
            r = a;
            __asm__ volatile("rol %%cl, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "c"(n) : "cc");
            CHECK(r == (a << n | a >> (32 - n)) && (f & CF) == (r & 1));
            /* RCL through the carry: 33 bits turn. */
            u64 wide = (u64)a | 1ul << 32, turned = (wide << n | wide >> (33 - n)) & 0x1ffffffff;
            r = a;
            __asm__ volatile("stc; rcl %%cl, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "c"(n) : "cc");
            CHECK(r == (u32)turned && (f & CF) == turned >> 32);
            u32 b = 0x9abcdef1;
            r = a;
            __asm__ volatile("shld %%cl, %2, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "r"(b), "c"(n) : "cc");
            CHECK(r == (a << n | b >> (32 - n)));
        }
    /* A count of 0 (or 32, which is the same) changes no flag. */
    u64 f;
    u32 r = 5;
    __asm__ volatile("stc; shl %%cl, %1; pushfq; popq %0" : "=r"(f), "+r"(r) : "c"(32) : "cc");
    CHECK(r == 5 && (f & CF));
    return true;
}

static bool multiply(void)
{
    for (u64 i = 0; i < ARRAY_SIZE(corners); i++)
        for (u64 j = 0; j < ARRAY_SIZE(corners); j++) {
            u64 a = corners[i], b = corners[j], low = a, high, f;
            __asm__ volatile("mul %3; pushfq; popq %2" : "+a"(low), "=&d"(high), "=&r"(f) : "r"(b) : "cc");
            /* By halves, not by what is tested. */
            u64 al = (u32)a, ah = a >> 32, bl = (u32)b, bh = b >> 32;
            u64 middle = ah * bl + (al * bl >> 32), cross = al * bh + (u32)middle;
            u64 top = ah * bh + (middle >> 32) + (cross >> 32);
            CHECK(low == (cross << 32 | (u32)(al * bl)) && high == top && !(f & CF) == !top && !(f & OF) == !top);
            if (!b)
                continue;
            u64 q = a, r = 0;
            __asm__ volatile("div %2" : "+a"(q), "+d"(r) : "r"(b) : "cc");
            CHECK(q * b + r == a && r < b);
            s32 x = a, y = b, product = x;
            __asm__ volatile("imul %2, %1; pushfq; popq %0" : "=r"(f), "+r"(product) : "r"(y) : "cc");
            CHECK(product == (s32)((s64)x * y) && !(f & CF) == (product == (s64)x * y));
        }
    s64 q = -7, r = -1;
    __asm__ volatile("idiv %2" : "+a"(q), "+d"(r) : "r"(2l) : "cc");
    CHECK(q == -3 && r == -1);
    return true;
}
