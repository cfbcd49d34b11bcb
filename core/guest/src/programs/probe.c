/* probe NAME [SEED]: the self-test's part in user mode. Status 0: good; else the reason has been printed. */
#include "lib.h"

#define CHECK(x) \
    do \
        if (!(x)) { \
            print("probe: line %d: %s does not hold\n", __LINE__, #x); \
            return false; \
        } \
    while (0)

#include "probe_arithmetic.h"

static bool bits(void)
{
    for (int n = 0; n < 64; n++) {
        u64 v = 1ul << n, r, s;
        __asm__("bsf %1, %0" : "=r"(r) : "r"(v | 1ul << 63) : "cc");
        __asm__("bsr %1, %0" : "=r"(s) : "r"(v | 1) : "cc");
        CHECK(r == (u64)n && s == (u64)n);
        u8 c;
        u64 w = 0;
        __asm__("bts %2, %0; setc %1" : "+r"(w), "=q"(c) : "r"((u64)n) : "cc");
        CHECK(w == v && c == 0);
    }
    /* A bit string in memory: the bit number reaches beyond the word, below it too. */
    u64 string[4] = {0};
    __asm__ volatile("btsq %1, (%0)" ::"r"(string + 1), "r"(100l) : "memory", "cc");
    __asm__ volatile("btsq %1, (%0)" ::"r"(string + 1), "r"(-1l) : "memory", "cc");
    CHECK(string[2] == 1ul << 36 && string[0] == 1ul << 63 && !string[1] && !string[3]);
    u64 v = 0x0123456789abcdef;
    __asm__("bswap %0" : "+r"(v));
    CHECK(v == 0xefcdab8967452301);
    u32 low = 0xdeadbeef;
    __asm__("mov %1, %k0" : "=r"(v) : "r"(low), "0"(~0ul));
    CHECK(v == low); /* 32-bit results clear the upper half */
    __asm__("mov %b1, %b0" : "=q"(v) : "q"(0), "0"(~0ul));
    CHECK(v == 0xffffffffffffff00); /* 8-bit ones do not */
    s64 x;
    __asm__("movsbq %b1, %0" : "=r"(x) : "q"((s64)0x80));
    CHECK(x == -128);
    return true;
}

static bool atomics(void)
{
    u64 m = 5, old = 3;
    __asm__ volatile("lock xadd %0, %1" : "+r"(old), "+m"(m)::"memory", "cc");
    CHECK(old == 5 && m == 8);
    u64 expected = 7;
    u8 z;
    __asm__ volatile("lock cmpxchg %3, %1; setz %2" : "+a"(expected), "+m"(m), "=q"(z) : "r"(1l) : "memory", "cc");
    CHECK(!z && expected == 8 && m == 8);
    __asm__ volatile("lock cmpxchg %3, %1; setz %2" : "+a"(expected), "+m"(m), "=q"(z) : "r"(1l) : "memory", "cc");
    CHECK(z && m == 1);
    static u64 pair[2] __attribute__((aligned(16))) = {1, 2};
    u64 a = 1, d = 2;
    __asm__ volatile("lock cmpxchg16b %2; setz %3" : "+a"(a), "+d"(d), "+m"(pair), "=q"(z) : "b"(3l), "c"(4l) : "memory", "cc");
    CHECK(z && pair[0] == 3 && pair[1] == 4);
    __asm__ volatile("lock cmpxchg16b %2; setz %3" : "+a"(a), "+d"(d), "+m"(pair), "=q"(z) : "b"(9l), "c"(9l) : "memory", "cc");
    CHECK(!z && a == 3 && d == 4 && pair[0] == 3);
    __asm__ volatile("xchg %0, %1" : "+r"(a), "+m"(m)::"memory");
    CHECK(a == 1 && m == 3);
    return true;
}

static bool strings(void)
{
    /* Over pages that are not there yet: the kernel brings them one by one. */
    enum { N = 5 * 4096 + 123 };
    u8 *a = map(N, MAP_WRITE), *b = map(N + 16, MAP_WRITE);
    CHECK(a && b);
    for (int i = 0; i < N; i++)
        a[i] = i ^ i >> 8;
    void *d = b + 5, *s = a;
    u64 n = N;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    CHECK(n == 0 && d == b + 5 + N && s == a + N);
    d = b + 5, s = a, n = N;
    u8 z;
    __asm__ volatile("repe cmpsb; setz %3" : "+D"(d), "+S"(s), "+c"(n), "=q"(z)::"memory", "cc");
    CHECK(z && n == 0);
    b[5 + 9000] ^= 1;
    d = b + 5, s = a, n = N;
    __asm__ volatile("repe cmpsb; setz %3" : "+D"(d), "+S"(s), "+c"(n), "=q"(z)::"memory", "cc");
    CHECK(!z && n == N - 9001);
    memset(b, 'x', N);
    b[8191] = 'y';
    d = b, n = N;
    __asm__ volatile("repne scasb; setz %2" : "+D"(d), "+c"(n), "=q"(z) : "a"('y') : "memory", "cc");
    CHECK(z && d == b + 8192);
    d = b + N - 1, s = a + N - 1, n = N;
    __asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    CHECK(memcmp(a, b, N) == 0);
    u32 words[4] = {1, 2, 3, 4}, sum = 0;
    s = words;
    for (int i = 0; i < 4; i++) {
        u32 v;
        __asm__ volatile("lodsl" : "+S"(s), "=a"(v)::"memory");
        sum = sum * 10 + v;
    }
    CHECK(sum == 1234);
    /* Overlapping by one repeats a byte. */
    memset(b, 0, 64);
    b[0] = 7;
    d = b + 1, s = b, n = 63;
    __asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n)::"memory");
    CHECK(b[63] == 7);
    return true;
}

static bool x87(void)
{
    u8 third[10];
    static const u8 want[10] = {0xab, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xfd, 0x3f};
    int three = 3, two = 2;
    __asm__ volatile("fninit; fld1; fildl %1; fdivrp; fstpt %0" : "=m"(third) : "m"(three));
    if (memcmp(third, want, 10)) { /* assemblers disagree on which of FDIVP and FDIVRP this is */
        __asm__ volatile("fninit; fld1; fildl %1; fdivp; fstpt %0" : "=m"(third) : "m"(three));
        CHECK(memcmp(third, want, 10) == 0);
    }
    double root;
    __asm__ volatile("fildl %1; fsqrt; fstpl %0" : "=m"(root) : "m"(two));
    CHECK(*(u64 *)&root == 0x3ff6a09e667f3bcd);
    double x = 1e300, y = 2.5;
    int rounded;
    __asm__ volatile("fldl %1; fistpl %0" : "=m"(rounded) : "m"(y));
    CHECK(rounded == 2); /* to even */
    u16 status;
    __asm__ volatile("fldl %1; fldl %1; fmulp; fstpl %2; fnstsw %0" : "=a"(status) : "m"(x), "m"(x));
    CHECK(status & 8); /* overflow, on storing: 80 bits hold the product */
    u8 c, z;
    __asm__ volatile("fninit; fld1; fldz; fcomip %%st(1), %%st; setc %0; setz %1; fstp %%st(0)" : "=q"(c), "=q"(z)::"cc");
    CHECK(c && !z);
    return true;
}

typedef float v4f __attribute__((vector_size(16)));
typedef double v2d __attribute__((vector_size(16)));
typedef int v4i __attribute__((vector_size(16)));

static bool sse(void)
{
    v4f a = {1, 2, 3, 4}, b = {10, 20, 30, 40};
    v2d d = {2, 3};
    v4i x = {1, -1, 7, 9}, y = {1, 1, 7, 8};
    __asm__("addps %1, %0" : "+x"(a) : "x"(b));
    CHECK(a[0] == 11 && a[1] == 22 && a[2] == 33 && a[3] == 44);
    __asm__("shufps $0x1b, %0, %0" : "+x"(a));
    CHECK(a[0] == 44 && a[3] == 11);
    __asm__("sqrtpd %0, %0" : "+x"(d));
    CHECK(((u64 *)&d)[0] == 0x3ff6a09e667f3bcd && ((u64 *)&d)[1] == 0x3ffbb67ae8584caa);
    __asm__("pcmpeqd %1, %0" : "+x"(x) : "x"(y));
    CHECK(x[0] == -1 && x[1] == 0 && x[2] == -1 && x[3] == 0);
    u32 mask;
    __asm__("movmskps %1, %0" : "=r"(mask) : "x"(x));
    CHECK(mask == 5);
    double r;
    __asm__("cvtsi2sdq %1, %0" : "=x"(r) : "r"(-3l));
    CHECK(r == -3);
    s32 i;
    __asm__("cvttsd2si %1, %0" : "=r"(i) : "x"(-2.9));
    CHECK(i == -2);
    __asm__("cvttsd2si %1, %0" : "=r"(i) : "x"(1e10));
    CHECK(i == (s32)0x80000000);
    /* Unaligned, over two pages. */
    u8 *page = map(2 * PAGE, MAP_WRITE);
    CHECK(page);
    for (int k = 0; k < 16; k++)
        page[PAGE - 7 + k] = k;
    __asm__ volatile("movdqu (%0), %%xmm0; pshufd $0x4e, %%xmm0, %%xmm0; movdqu %%xmm0, (%0)" ::"r"(page + PAGE - 7) : "xmm0", "memory");
    for (int k = 0; k < 16; k++)
        CHECK(page[PAGE - 7 + k] == (k + 8) % 16);
    return true;
}

static bool syscalls(void)
{
    s64 pid = call(CALL_PID, 0, 0, 0);
    CHECK(pid > 0 && call_int80(CALL_PID, 0, 0, 0) == pid);
    CHECK(call(CALL_COUNT, 0, 0, 0) == ERROR_NO_CALL && call_int80(~0ul, 0, 0, 0) == ERROR_NO_CALL);
    CHECK(call(CALL_WRITE, 8, 4, 0) == ERROR_FAULT);
    CHECK(call(CALL_WRITE, 0xffffffff80100000, 4, 0) == ERROR_FAULT);
    CHECK(call(CALL_WRITE, 0x8000000000000000, 4, 0) == ERROR_FAULT);
    CHECK(call(CALL_UNMAP, 0x400000, 0, 0) == ERROR_INVALID && call(CALL_WAIT, 99999, 0, 0) == ERROR_NO_CHILD);
    u64 wrong;
    /* All but RAX, RCX and R11 stay as they are; those two hold RIP and RFLAGS. */
    __asm__ volatile("mov $5, %%eax\n\tmov $1, %%ebx\n\tmov $2, %%edx\n\tmov $3, %%esi\n\tmov $4, %%edi\n\t"
                     "mov $5, %%r8d\n\tmov $6, %%r9d\n\tmov $7, %%r10d\n\tmov $8, %%r12d\n\tmov $9, %%r13d\n\tmov $10, %%r14d\n\tmov $11, %%r15d\n\t"
                     "stc\n\tsyscall\n"
                     "1:\tsbb %%rax, %%rax\n\tinc %%rax\n\t" /* CF came back: 0 */
                     "lea 1b(%%rip), %%r9\n\tsub %%r9, %%rcx\n\tor %%rcx, %%rax\n\t"
                     "lea (%%rbx,%%rdx), %%r9\n\tadd %%rsi, %%r9\n\tadd %%rdi, %%r9\n\tadd %%r8, %%r9\n\tadd %%r10, %%r9\n\tadd %%r12, %%r9\n\t"
                     "add %%r13, %%r9\n\tadd %%r14, %%r9\n\tadd %%r15, %%r9\n\tsub $60, %%r9\n\tor %%r9, %%rax\n\t"
                     "not %%r11\n\tand $0x201, %%r11\n\tor %%r11, %%rax"
                     : "=a"(wrong)
                     :
                     : "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
    CHECK(wrong == 0);
    u64 before = clock_now();
    sleep(30 * MILLISECOND);
    CHECK(clock_now() - before >= 30 * MILLISECOND);
    return true;
}

/* 32-bit code, reached by a far jump. 0x40 is INC EAX here, and a REX prefix in 64-bit code. */
__asm__(".pushsection .text\n"
        "compat_code: .code32\n\t"
        "mov %esp, %ebp\n\t"
        "xor %eax, %eax\n\t"
        ".byte 0x40\n\t.byte 0x40\n\t"          /* inc %eax twice: 2 */
        "push %eax\n\t"
        "mov %ebp, %ecx\n\tsub %esp, %ecx\n\t" /* a push is 4 bytes */
        "pop %eax\n\t"
        "shl $8, %ecx\n\tor %ecx, %eax\n\t"    /* 0x402 */
        "mov $0xffffffff, %edx\n\tadd $1, %edx\n\tadc $0, %eax\n\t" /* 0x403: the carry leaves bit 31 */
        "push %eax\n\tmov $5, %eax\n\tint $0x80\n\t"                /* CALL_PID */
        "mov %eax, compat_pid\n\tpop %eax\n\t"
        "mov %eax, compat_result\n\t"
        "ljmp $0x2b, $compat_back\n"
        ".code64\n"
        "compat_entry: .long compat_code\n\t.word 0x1b\n"
        ".popsection");
u32 compat_pid, compat_result;
static u8 compat_stack[1024] __attribute__((aligned(16)));

static bool compat32(void)
{
    __asm__ volatile("push %%rbx\n\tpush %%rbp\n\t"
                     "mov %%rsp, %%r15\n\t"
                     "mov %0, %%rsp\n\t"
                     "ljmp *compat_entry\n"
                     "compat_back:\n\t"
                     "mov %%r15, %%rsp\n\tpop %%rbp\n\tpop %%rbx"
                     :
                     : "r"(compat_stack + sizeof compat_stack)
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory");
    CHECK(compat_result == 0x403);
    CHECK(compat_pid == call(CALL_PID, 0, 0, 0));
    return true;
}

static bool demand_zero(void)
{
    enum { PAGES = 600 }; /* more than one page table */
    u64 before = call(CALL_INFO, INFO_PAGES, 0, 0);
    u64 *m = map(PAGES * PAGE, MAP_WRITE);
    CHECK(m && (u64)call(CALL_INFO, INFO_PAGES, 0, 0) == before);
    for (u64 i = 0; i < PAGES; i += 2)
        CHECK(m[i * 512 + i % 512] == 0);
    for (u64 i = 0; i < PAGES; i++)
        m[i * 512 + i % 512] = i + 1;
    for (u64 i = 0; i < PAGES; i++)
        CHECK(m[i * 512 + i % 512] == i + 1 && m[i * 512 + (i + 1) % 512] == 0);
    CHECK((u64)call(CALL_INFO, INFO_PAGES, 0, 0) == before + PAGES);
    CHECK(call(CALL_UNMAP, (u64)m, 0, 0) == 0 && (u64)call(CALL_INFO, INFO_PAGES, 0, 0) == before);
    return true;
}

static u64 data[3 * 512] = {42};

static bool copy_on_write(void)
{
    u64 copies = call(CALL_INFO, INFO_COPIES, 0, 0);
    CHECK(data[0] == 42); /* no copy by reading */
    CHECK((u64)call(CALL_INFO, INFO_COPIES, 0, 0) == copies);
    data[600] = 1; /* the second page: one copy */
    CHECK((u64)call(CALL_INFO, INFO_COPIES, 0, 0) == copies + 1);
    data[601] = 2;
    CHECK((u64)call(CALL_INFO, INFO_COPIES, 0, 0) == copies + 1);
    s64 child = call(CALL_FORK, 0, 0, 0);
    CHECK(child >= 0);
    if (child == 0) {
        bool good = data[600] == 1 && data[0] == 42;
        data[600] = 100;
        yield();
        exit(good && data[600] == 100 && data[601] == 2 ? 7 : 8);
    }
    data[601] = 200;
    yield();
    CHECK(data[600] == 1 && data[601] == 200);
    CHECK(call(CALL_WAIT, child, 0, 0) == 7);
    CHECK(data[600] == 1 && data[601] == 200);
    /* A copy that is killed by an exception. */
    child = call(CALL_FORK, 0, 0, 0);
    if (child == 0)
        __asm__ volatile("ud2");
    CHECK(call(CALL_WAIT, child, 0, 0) == 256 + 6);
    return true;
}

static bool code_change(void)
{
    u8 *code = map(2 * PAGE, MAP_WRITE | MAP_EXECUTE);
    CHECK(code);
    static const u16 places[] = {0, 77, 4096 - 2};
    for (int place = 0; place < 3; place++)
        for (u32 i = 0; i < 300; i++) {
            u8 *p = code + places[place];
            p[0] = 0xb8; /* mov $i, %eax; ret */
            memcpy(p + 1, &i, 4);
            p[5] = 0xc3;
            CHECK(((u32(*)(void))p)() == i);
        }
    /* A loop that rewrites its own addend: for (; n; n--) { sum += addend; addend++ }. */
    static const u8 loop[] = {0x31, 0xc0,                   /* xor %eax, %eax */
                              0x05, 0x01, 0,    0,    0,    /* 2: add $1, %eax */
                              0xff, 0x05, 0xf6, 0xff, 0xff, 0xff, /* incl -10(%rip): the addend at 3 */
                              0xff, 0xcf,                   /* dec %edi */
                              0x75, 0xf1,                   /* jnz 2 */
                              0xc3};
    memcpy(code + 512, loop, sizeof loop);
    CHECK(((u32(*)(u32))(code + 512))(100) == 5050);
    return true;
}

static volatile u64 thread_sum;
static volatile u32 threads_left;
static void add(void *n)
{
    for (u64 i = 0; i < 1000; i++)
        __atomic_add_fetch(&thread_sum, (u64)n, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&threads_left, 1, __ATOMIC_SEQ_CST);
}

static bool user_threads(void)
{
    threads_left = 4;
    for (u64 i = 1; i <= 4; i++)
        CHECK(thread(add, (void *)i) > 0);
    for (u64 until = clock_now() + 5 * SECOND; threads_left && clock_now() < until;)
        yield();
    CHECK(thread_sum == 10000);
    return true;
}

static bool isolation(u64 seed)
{
    static volatile u64 cells[1024];
    volatile u64 *own = map(PAGE, MAP_WRITE);
    CHECK(own && (u64)own == 0x10000000); /* the same address in every program */
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 1024; i++)
            cells[i] = seed * 1000003 + i + round;
        *own = seed + round;
        if (round & 1)
            yield();
        else
            sleep(5 * MILLISECOND);
        for (int i = 0; i < 1024; i++)
            CHECK(cells[i] == seed * 1000003 + i + round);
        CHECK(*own == seed + round);
    }
    return true;
}

/** Registers of the x87 and SSE units and general ones hold over 200 ms of preemption beside others that do the same. */
static bool registers(u64 seed)
{
    u8 area[512] __attribute__((aligned(16))), after[512] __attribute__((aligned(16)));
    for (int i = 0; i < 16; i++)
        ((u64 *)(area + 160))[i * 2] = seed << 32 | i, ((u64 *)(area + 160))[i * 2 + 1] = ~(seed << 8 | i);
    u64 switches = call(CALL_INFO, INFO_SWITCHES, 0, 0);
    u64 until = clock_now() + 200 * MILLISECOND;
    while (clock_now() < until) {
        u64 seeds = seed * 0x0101010101010101, bad, n = 300000;
        int small = seed;
        __asm__ volatile("fninit\n\tfildl %[small]\n\tfld1\n\tfadd %%st(1)\n\t"
                         "movdqu 160(%[area]), %%xmm0\n\tmovdqu 176(%[area]), %%xmm1\n\tmovdqu 192(%[area]), %%xmm2\n\t"
                         "movdqu 208(%[area]), %%xmm3\n\tmovdqu 352(%[area]), %%xmm12\n\tmovdqu 400(%[area]), %%xmm15\n\t"
                         "mov %[seeds], %%r8\n\tmov %%r8, %%r9\n\tnot %%r9\n\tmov %%r8, %%r12\n\tmov %%r9, %%r15\n"
                         "1:\tdec %%rcx\n\tjnz 1b\n\t"
                         "fxsave64 (%[after])\n\t"
                         "mov %%r8, %[bad]\n\txor %[seeds], %[bad]\n\tnot %%r9\n\txor %%r12, %%r9\n\tor %%r9, %[bad]\n\t"
                         "not %%r15\n\txor %%r8, %%r15\n\tor %%r15, %[bad]"
                         : [bad] "=&r"(bad), "+c"(n)
                         : [seeds] "r"(seeds), [small] "m"(small), [area] "r"(area), [after] "r"(after)
                         : "r8", "r9", "r12", "r15", "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm12", "xmm15");
        CHECK(bad == 0);
        static const u8 used[] = {0, 1, 2, 3, 12, 15};
        for (u64 i = 0; i < ARRAY_SIZE(used); i++)
            CHECK(memcmp(after + 160 + used[i] * 16, area + 160 + used[i] * 16, 16) == 0);
        u64 st0 = *(u64 *)(after + 32), st1 = *(u64 *)(after + 48);
        u16 e0 = *(u16 *)(after + 40), e1 = *(u16 *)(after + 56);
        CHECK(st1 >> (63 - (e1 - 0x3fff)) == seed && st0 >> (63 - (e0 - 0x3fff)) == seed + 1);
    }
    CHECK((u64)call(CALL_INFO, INFO_SWITCHES, 0, 0) > switches);
    return true;
}

static void offend(const char *what)
{
    static u8 code[] = {0xc3};
    u64 zero = 0;
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) table = {0, 0};
#define IS(name) (strcmp(what, "user-" name) == 0)
    if (IS("divide"))
        __asm__ volatile("xor %%edx, %%edx; div %0" ::"r"(zero) : "rax", "rdx");
    if (IS("step"))
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc");
    if (IS("breakpoint"))
        __asm__ volatile("int3");
    if (IS("opcode"))
        __asm__ volatile("ud2");
    if (IS("cli"))
        __asm__ volatile("cli");
    if (IS("hlt"))
        __asm__ volatile("hlt");
    if (IS("in"))
        __asm__ volatile("inb $0x80, %%al" ::: "rax");
    if (IS("cr3"))
        __asm__ volatile("mov %%cr3, %%rax" ::: "rax");
    if (IS("msr"))
        __asm__ volatile("rdmsr" ::"c"(0x1b) : "rax", "rdx");
    if (IS("lidt"))
        __asm__ volatile("lidt %0" ::"m"(table));
    if (IS("gate"))
        __asm__ volatile("int $0x20");
    if (IS("selector"))
        __asm__ volatile("mov %0, %%ss" ::"r"(0x10));
    if (IS("canonical"))
        (void)*(volatile u8 *)0x8000000000000000;
    if (IS("null"))
        (void)*(volatile u8 *)zero;
    if (IS("read-kernel"))
        (void)*(volatile u8 *)0xffffffff80101000;
    if (IS("write-kernel"))
        *(volatile u8 *)0xffff880000200000 = 1;
    if (IS("write-code"))
        *(volatile u8 *)0x400000 = *(volatile u8 *)0x400000; /* read: it is there */
    if (IS("execute-data"))
        code[0] = 0xc3, ((void (*)(void))code)();
    if (IS("x87-fault")) {
        u16 control = 0x37b; /* division by zero not masked */
        __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivrp; fwait" ::"m"(control));
        __asm__ volatile("fninit; fldcw %0; fld1; fldz; fdivp; fwait" ::"m"(control));
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*run)(void);
    } probes[] = {
        {"flags", flags},       {"shifts", shifts},     {"multiply", multiply},       {"bits", bits},
        {"atomics", atomics},   {"strings", strings},   {"x87", x87},                 {"sse", sse},
        {"syscalls", syscalls}, {"compat32", compat32}, {"demand-zero", demand_zero}, {"copy-on-write", copy_on_write},
        {"code-change", code_change}, {"user-threads", user_threads},
    };
    u64 seed = 1;
    if (argc > 2)
        parse_number(argv[2], &seed);
    if (argc < 2) {
        print("usage: probe NAME [SEED]  (selftest runs it)\n");
        return 2;
    }
    if (!strcmp(argv[1], "isolation"))
        return !isolation(seed);
    if (!strcmp(argv[1], "registers"))
        return !registers(seed);
    for (u64 i = 0; i < ARRAY_SIZE(probes); i++)
        if (!strcmp(argv[1], probes[i].name))
            return !probes[i].run();
    offend(argv[1]);
    print("probe: %s did nothing\n", argv[1]);
    return 1;
}
