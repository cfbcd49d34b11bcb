/* The kernel's heap: blocks of 32 to 2048 bytes in powers of two, cut from pages and kept in lists; larger ones are mapped. */
#include "kernel.h"

#define SMALLEST 32
#define CLASSES 7
#define MAGIC 0x68656170

struct block {
    u32 magic, pages; /* pages 0: small */
    u64 size;         /* of the whole block */
};
struct free_block {
    struct free_block *next;
};

static struct free_block *lists[CLASSES];
static struct spinlock lock;
static u64 used;

static int class_of(size_t size)
{
    int c = 0;
    while ((size_t)SMALLEST << c < size)
        c++;
    return c;
}

void *heap_alloc(size_t size)
{
    size += sizeof(struct block);
    struct block *b;
    if (size > (size_t)SMALLEST << (CLASSES - 1)) {
        size_t pages = ROUND_UP(size, PAGE) / PAGE;
        b = kernel_map(pages);
        if (!b)
            return NULL;
        *b = (struct block){MAGIC, pages, pages * PAGE};
        __atomic_add_fetch(&used, b->size, __ATOMIC_RELAXED);
        return b + 1;
    }
    int c = class_of(size);
    size = (size_t)SMALLEST << c;
    bool on = spin_lock(&lock);
    if (!lists[c]) {
        u64 page = page_alloc();
        for (size_t at = 0; page && at < PAGE; at += size) {
            struct free_block *f = direct(page + at);
            f->next = lists[c];
            lists[c] = f;
        }
    }
    b = (struct block *)lists[c];
    if (b) {
        lists[c] = lists[c]->next;
        *b = (struct block){MAGIC, 0, size};
    }
    spin_unlock(&lock, on);
    if (!b)
        return NULL;
    __atomic_add_fetch(&used, size, __ATOMIC_RELAXED);
    return b + 1;
}

void *heap_alloc_zero(size_t size)
{
    void *p = heap_alloc(size);
    if (p)
        memset(p, 0, size);
    return p;
}

void heap_free(void *p)
{
    if (!p)
        return;
    struct block *b = (struct block *)p - 1;
    if (b->magic != MAGIC)
        panic("heap_free of %p, which is not a block", p);
    __atomic_sub_fetch(&used, b->size, __ATOMIC_RELAXED);
    b->magic = 0;
    if (b->pages) {
        kernel_unmap(b, b->pages);
        return;
    }
    int c = class_of(b->size);
    bool on = spin_lock(&lock);
    struct free_block *f = (struct free_block *)b;
    f->next = lists[c];
    lists[c] = f;
    spin_unlock(&lock, on);
}

u64 heap_used(void) { return used; }
