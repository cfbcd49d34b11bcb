/* The kernel's address space: image, direct map of all RAM, and the dynamic area (heap, stacks, devices). */
#include "kernel.h"

#define DYNAMIC_DEVICES DYNAMIC_BASE
#define DYNAMIC_PAGES (DYNAMIC_BASE + 64 * GIB)
#define FREE_RANGES 64

extern u8 image_physical[], text_start[], rodata_start[], data_start[], image_end[];

u64 kernel_root;
static u64 next_device = DYNAMIC_DEVICES, next_pages = DYNAMIC_PAGES;
static struct {
    u64 at;
    size_t pages;
} free_ranges[FREE_RANGES];
static struct spinlock lock;

static u64 nx(void) { return machine_features.nx ? PTE_NX : 0; }
static u64 global(void) { return machine_features.global ? PTE_GLOBAL : 0; }

u64 table_alloc(void)
{
    u64 page = page_alloc_zero();
    if (page)
        machine->begin_table(page);
    return page;
}

void table_free(u64 table)
{
    machine->end_table(table);
    page_put(table);
}

/** The table that `entry` names, made if need be; null: there is none. */
static u64 *next_table(u64 *entry, u64 flags, bool create)
{
    u64 value = machine_entry(entry);
    if (!(value & PTE_PRESENT)) {
        machine->begin_batch(); /* its end does what was begun before, too: tables can be walked at once */
        value = create ? table_alloc() : 0;
        if (value)
            machine_set_entry(entry, value | flags | PTE_PRESENT | PTE_WRITE);
        machine->end_batch();
        if (!value)
            return NULL;
    }
    return value & PTE_LARGE ? NULL : direct(value & PTE_ADDRESS);
}

/** The entry for `address` of the tables whose entries map 1 << last bytes. */
static u64 *walk(u64 root, u64 address, int last, bool create)
{
    u64 flags = address < USER_END ? PTE_USER : 0;
    u64 *table = direct(root);
    for (int shift = 39; shift > last; shift -= 9) {
        table = next_table(&table[address >> shift & 511], flags, create);
        if (!table)
            return NULL;
    }
    return &table[address >> last & 511];
}

u64 *paging_entry(u64 root, u64 address, bool create) { return walk(root, address, 12, create); }
u64 *paging_large_entry(u64 root, u64 address) { return walk(root, address, 21, true); }

static void map_image(const u8 *from, const u8 *to, u64 flags)
{
    for (u64 at = (u64)from; at < (u64)to; at += PAGE) {
        u64 *entry = paging_entry(kernel_root, at, true);
        if (!entry)
            panic("no memory for page tables");
        machine_set_entry(entry, (at - KERNEL_BASE) | flags | global() | PTE_PRESENT);
    }
}

void paging_start(void)
{
    kernel_root = table_alloc();
    u64 top = 0;
    for (int i = 0; i < memory_range_count; i++)
        top = MAX(top, memory_ranges[i].end);
    machine->map_direct(kernel_root, top);
    machine->begin_batch();
    map_image(text_start, rodata_start, 0);
    map_image(rodata_start, data_start, nx());
    map_image(data_start, image_end, PTE_WRITE | nx());
    machine->end_batch();
    /* Programs' address spaces copy the upper half of the root once: its tables must exist by then. */
    if (!paging_entry(kernel_root, DYNAMIC_BASE, true))
        panic("no memory for page tables");
    machine->load_kernel(kernel_root);
}

void *kernel_map(size_t pages)
{
    bool on = spin_lock(&lock);
    u64 at = 0;
    for (int i = 0; i < FREE_RANGES && !at; i++)
        if (free_ranges[i].pages == pages) {
            at = free_ranges[i].at;
            free_ranges[i].pages = 0;
        }
    if (!at) {
        at = next_pages + PAGE; /* after one that stays unmapped */
        next_pages = at + pages * PAGE;
    }
    size_t done = 0;
    machine->begin_batch();
    for (; done < pages; done++) {
        u64 *entry = paging_entry(kernel_root, at + done * PAGE, true);
        u64 page = entry ? page_alloc() : 0;
        if (!page)
            break;
        machine_set_entry(entry, page | PTE_PRESENT | PTE_WRITE | nx() | global());
    }
    machine->end_batch();
    spin_unlock(&lock, on);
    if (done < pages) {
        kernel_unmap((void *)at, pages);
        return NULL;
    }
    return (void *)at;
}

void kernel_unmap(void *from, size_t pages)
{
    bool on = spin_lock(&lock);
    machine->begin_batch();
    for (u64 at = (u64)from; at < (u64)from + pages * PAGE; at += PAGE) {
        u64 *entry = paging_entry(kernel_root, at, false);
        u64 value = entry ? machine_entry(entry) : 0;
        if (!(value & PTE_PRESENT))
            continue;
        machine_set_entry(entry, 0);
        machine_invalidate(at);
        page_put(value & PTE_ADDRESS);
    }
    machine->end_batch();
    for (int i = 0; i < FREE_RANGES; i++)
        if (!free_ranges[i].pages) {
            free_ranges[i].at = (u64)from;
            free_ranges[i].pages = pages;
            break;
        }
    spin_unlock(&lock, on);
}

void *device_map(u64 physical, size_t size)
{
    bool on = spin_lock(&lock);
    u64 offset = physical & PAGE_MASK, start = next_device;
    for (u64 at = physical - offset; at < physical + size; at += PAGE) {
        u64 *entry = paging_entry(kernel_root, next_device, true);
        if (!entry)
            panic("no memory for page tables");
        machine_set_entry(entry, at | PTE_PRESENT | PTE_WRITE | PTE_NO_CACHE | PTE_WRITE_THROUGH | nx() | global());
        next_device += PAGE;
    }
    spin_unlock(&lock, on);
    return (void *)(start + offset);
}
