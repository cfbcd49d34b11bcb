/* Memory: allocators, translations, string instructions over pages, code that changes. */
#include "selftest.h"

static bool pages(void)
{
    enum { N = 64 };
    u64 before = page_free_count(), page[N];
    for (int i = 0; i < N; i++) {
        page[i] = page_alloc();
        CHECK(page[i] && !(page[i] & PAGE_MASK));
        memset(direct(page[i]), i + 1, PAGE);
    }
    CHECK_EQUAL(page_free_count(), before - N);
    for (int i = 0; i < N; i++)
        for (u64 at = 0; at < PAGE; at++)
            if (((u8 *)direct(page[i]))[at] != i + 1)
                return test_fail("page %d holds another page's bytes", i);
    page_get(page[0]);
    CHECK_EQUAL(page_references(page[0]), 2);
    page_put(page[0]);
    for (int i = 0; i < N; i++)
        page_put(page[i]);
    CHECK_EQUAL(page_free_count(), before);
    u64 zero = page_alloc_zero();
    for (u64 at = 0; at < PAGE; at++)
        CHECK(((u8 *)direct(zero))[at] == 0);
    page_put(zero);
    return true;
}

static u32 random_state;
static u32 next_random(void)
{
    random_state = random_state * 1664525 + 1013904223;
    return random_state >> 8;
}

static bool heap(void)
{
    enum { N = 48, ROUNDS = 2000 };
    static struct {
        u8 *at;
        size_t size;
        u8 mark;
    } block[N];
    u64 before = heap_used();
    random_state = 1;
    for (int round = 0; round < ROUNDS + N; round++) {
        int i = round < ROUNDS ? next_random() % N : (u32)(round - ROUNDS);
        if (block[i].at) {
            for (size_t k = 0; k < block[i].size; k++)
                if (block[i].at[k] != block[i].mark)
                    return test_fail("a block of %lu bytes was overwritten", block[i].size);
            heap_free(block[i].at);
            block[i].at = NULL;
        } else if (round < ROUNDS) {
            block[i].size = next_random() % (next_random() % 8 ? 500 : 9000) + 1;
            block[i].mark = round;
            block[i].at = heap_alloc(block[i].size);
            CHECK(block[i].at && !((u64)block[i].at & 15));
            memset(block[i].at, block[i].mark, block[i].size);
        }
    }
    CHECK_EQUAL(heap_used(), before);
    return true;
}

static bool remap(void)
{
    volatile u64 *at = kernel_map(1);
    u64 other = page_alloc();
    CHECK(at && other);
    u64 *entry = paging_entry(kernel_root, (u64)at, false), first = machine_entry(entry);
    *at = 1;
    *(u64 *)direct(other) = 2;
    u64 sum = *at;
    for (int i = 0; i < 8; i++) {
        machine_set_entry(entry, i & 1 ? first : (first & ~PTE_ADDRESS) | other);
        machine_invalidate((u64)at);
        sum = sum * 10 + *at;
    }
    machine_set_entry(entry, first);
    machine_invalidate((u64)at);
    kernel_unmap((void *)at, 1);
    page_put(other);
    CHECK_EQUAL(sum, 121212121);
    return true;
}

static bool accessed_dirty(void)
{
    volatile u64 *at = kernel_map(1);
    CHECK(at);
    u64 *entry = paging_entry(kernel_root, (u64)at, false);
    machine_set_entry(entry, machine_entry(entry) & ~(PTE_ACCESSED | PTE_DIRTY));
    machine_invalidate((u64)at);
    (void)*at;
    u64 read = machine_entry(entry);
    *at = 1;
    u64 written = machine_entry(entry);
    kernel_unmap((void *)at, 1);
    CHECK_EQUAL(read & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED);
    CHECK_EQUAL(written & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY);
    return true;
}

static bool aliases(void)
{
    /* One page by two translations (of 4 KiB and of 2 MiB on a PC). */
    volatile u64 *at = kernel_map(1);
    CHECK(at);
    volatile u64 *same = direct(machine_entry(paging_entry(kernel_root, (u64)at, false)) & PTE_ADDRESS);
    for (u64 i = 0; i < PAGE / 8; i++) {
        at[i] = i * 0x9e3779b97f4a7c15ul;
        if (same[i] != at[i])
            return test_fail("word %lu differs", i);
        same[i] = ~i;
        if (at[i] != ~i)
            return test_fail("word %lu differs back", i);
    }
    kernel_unmap((void *)at, 1);
    return true;
}

/* A string instruction runs into a page that is not there; it must go on where it stopped once the page is. */
static struct {
    u64 *entry, value, address;
    struct frame at;
    int faults;
} string_fault;

static bool supply_page(struct frame *f, void *argument)
{
    (void)argument;
    if (f->vector != VECTOR_PAGE_FAULT)
        return false;
    string_fault.at = *f;
    string_fault.address = machine->fault_address();
    string_fault.faults++;
    machine_set_entry(string_fault.entry, string_fault.value);
    machine_invalidate(string_fault.address);
    return string_fault.faults < 4;
}

static void take_page(u8 *page)
{
    string_fault.faults = 0;
    string_fault.entry = paging_entry(kernel_root, (u64)page, false);
    string_fault.value = machine_entry(string_fault.entry);
    machine_set_entry(string_fault.entry, 0);
    machine_invalidate((u64)page);
}

static bool strings_restart(void)
{
    enum { N = 200 };
    struct thread *t = thread_current();
    u8 *pages = kernel_map(2), source[N];
    CHECK(pages);
    for (int i = 0; i < N; i++)
        source[i] = i ^ 0x55;
    u8 *to = pages + PAGE - 60;
    take_page(pages + PAGE);
    t->expect = supply_page;
    u64 si = (u64)source, di = (u64)to, cx = N;
    __asm__ volatile("rep movsb" : "+S"(si), "+D"(di), "+c"(cx)::"memory");
    t->expect = NULL;
    int faults = string_fault.faults, wrong = memcmp(to, source, N);
    struct frame f = string_fault.at;
    u64 address = string_fault.address;
    /* Downwards, by words, into the lower page. */
    memset(pages, 0, 2 * PAGE);
    take_page(pages);
    t->expect = supply_page;
    u64 down = (u64)(pages + PAGE + 36), count = 20, pattern = 0x1122334455667788;
    __asm__ volatile("std; rep stosq; cld" : "+D"(down), "+c"(count) : "a"(pattern) : "memory");
    t->expect = NULL;
    struct frame g = string_fault.at;
    int faults_down = string_fault.faults;
    u64 last = *(u64 *)(pages + PAGE + 36 - 19 * 8), before = *(u64 *)(pages + PAGE + 36 - 20 * 8), across = *(u64 *)(pages + PAGE - 4);
    kernel_unmap(pages, 2);
    CHECK_EQUAL(faults, 1);
    CHECK_EQUAL(wrong, 0);
    CHECK_EQUAL(address, (u64)pages + PAGE);
    CHECK_EQUAL(f.rdi, (u64)pages + PAGE);
    CHECK_EQUAL(f.rcx, N - 60);
    CHECK_EQUAL(f.rsi, (u64)source + 60);
    CHECK_EQUAL(cx, 0);
    CHECK_EQUAL(di, (u64)to + N);
    CHECK_EQUAL(faults_down, 1);
    CHECK_EQUAL(g.rcx, 15); /* five fit the upper page; the sixth lies across */
    CHECK_EQUAL(g.rdi, (u64)pages + PAGE - 4);
    CHECK_EQUAL(last, pattern);
    CHECK_EQUAL(across, pattern);
    CHECK_EQUAL(before, 0);
    return true;
}

static bool moves(void)
{
    enum { N = 3 * 4096 };
    u8 *a = heap_alloc(N + 64), *b = heap_alloc(N + 64);
    CHECK(a && b);
    static const u16 sizes[] = {0, 1, 7, 8, 9, 63, 64, 65, 4095, 4096, 4097, 8200};
    for (u64 s = 0; s < ARRAY_SIZE(sizes); s++)
        for (int offset = 0; offset < 9; offset += 4) {
            for (int i = 0; i < N; i++)
                a[i] = i * 7 + (i >> 8), b[i] = 0xee;
            memcpy(b + offset, a + 3, sizes[s]);
            CHECK(memcmp(b + offset, a + 3, sizes[s]) == 0 && b[offset + sizes[s]] == 0xee);
            memmove(a + offset + 5, a + offset, sizes[s]);
            for (int i = 0; i < sizes[s]; i++)
                CHECK(a[offset + 5 + i] == (u8)((offset + i) * 7 + ((offset + i) >> 8)));
        }
    heap_free(a);
    heap_free(b);
    return true;
}

static bool code_change(void)
{
    u8 *code = kernel_map(2);
    CHECK(code);
    for (int i = 0; i < 2; i++) {
        u64 *entry = paging_entry(kernel_root, (u64)code + i * PAGE, false);
        machine_set_entry(entry, machine_entry(entry) & ~PTE_NX);
        machine_invalidate((u64)code + i * PAGE);
    }
    bool good = true;
    /* mov $i, %eax; ret: at a page's start, in its middle, and with the number across two pages. */
    static const u16 places[] = {0, 1000, 4096 - 3};
    for (int place = 0; place < 3; place++) {
        u8 *p = code + places[place];
        for (u32 i = 0; i < 300; i++) {
            p[0] = 0xb8;
            memcpy(p + 1, &i, 4);
            p[5] = 0xc3;
            good &= ((u32(*)(void))p)() == i;
        }
    }
    /* An instruction that changes the next one: movb $0x40 + x, 1(%rip) -> the immediate of mov $0, %eax. */
    static const u8 next[] = {0x40, 0x88, 0x3d, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0, 0xc3}; /* mov %dil, 1(%rip); mov $0, %eax; ret */
    memcpy(code + 512, next, sizeof next);
    for (u32 i = 0; i < 100; i++)
        good &= ((u32(*)(u32))(code + 512))(i) == i;
    /* Through the direct map, that is by another address of the same page. */
    u8 *alias = direct(machine_entry(paging_entry(kernel_root, (u64)code, false)) & PTE_ADDRESS);
    for (u32 i = 0; i < 100; i++) {
        memcpy(alias + 1001, &i, 4);
        alias[1000] = 0xb8;
        alias[1005] = 0xc3;
        good &= ((u32(*)(void))(code + 1000))() == i;
    }
    kernel_unmap(code, 2);
    return good || test_fail("old code ran");
}

static bool programs_leave_nothing(void)
{
    char *words[] = {"probe", "copy-on-write", NULL};
    struct process end;
    process_run(2, words, PROCESS_QUIET, &end); /* what stays in the lists of the heap is there after the first */
    u64 pages = page_free_count(), heap = heap_used();
    for (int i = 0; i < 3; i++)
        CHECK(process_run(2, words, PROCESS_QUIET, &end));
    thread_sleep(2 * SECOND / TIMER_HZ); /* the last thread's stack goes when the next one runs */
    CHECK_EQUAL(heap_used(), heap);
    CHECK_EQUAL(page_free_count(), pages);
    return true;
}

const struct test test_memory[] = {
    {"page-allocator", pages, NULL},
    {"heap", heap, NULL},
    {"remap", remap, NULL},
    {"accessed-dirty", accessed_dirty, NULL},
    {"aliases", aliases, NULL},
    {"strings-restart", strings_restart, NULL},
    {"memory-moves", moves, NULL},
    {"kernel-code-change", code_change, NULL},
    {"no-leaks", programs_leave_nothing, NULL},
};
const int test_memory_count = ARRAY_SIZE(test_memory);
