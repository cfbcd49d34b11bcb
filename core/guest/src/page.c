/*
 * Physical pages. Those never used lie beyond a frontier that moves through the memory ranges; freed ones are chained through the
 * table, which also counts references. So nothing is done per page at boot, however much memory there is.
 */
#include "kernel.h"

#define PERMANENT 0xffffffffu /* the kernel image: never freed */

static u32 *table; /* by page number: references, or the next free page's number */
static u64 table_pages;
static u32 free_head;
static u64 free_chained, total, taken_at_frontier;
static int frontier_range;
static u64 frontier;
static struct spinlock lock;

void page_start(void)
{
    u64 top = 0;
    for (int i = 0; i < memory_range_count; i++)
        top = MAX(top, memory_ranges[i].end);
    table_pages = top / PAGE;
    u64 size = ROUND_UP(table_pages * sizeof *table, PAGE);
    for (int i = 0; i < memory_range_count && !table; i++) {
        struct memory_range *r = &memory_ranges[i];
        if (r->end - r->start >= size && r->end <= 4 * GIB) {
            table = direct(r->start);
            r->start += size;
        }
    }
    if (!table)
        panic("too little memory: %lu KiB", memory_total / KIB);
    for (int i = 0; i < memory_range_count; i++)
        total += (memory_ranges[i].end - memory_ranges[i].start) / PAGE;
    frontier = memory_range_count ? memory_ranges[0].start : 0;
    extern u8 image_physical_end[];
    for (u64 p = 0; p < (u64)image_physical_end / PAGE && p < table_pages; p++)
        table[p] = PERMANENT;
}

u64 page_alloc(void)
{
    u64 page = 0;
    bool on = spin_lock(&lock);
    if (free_head) {
        page = free_head;
        free_head = table[page];
        free_chained--;
    } else {
        while (frontier_range < memory_range_count && frontier >= memory_ranges[frontier_range].end)
            if (++frontier_range < memory_range_count)
                frontier = memory_ranges[frontier_range].start;
        if (frontier_range < memory_range_count) {
            page = frontier / PAGE;
            frontier += PAGE;
            taken_at_frontier++;
        }
    }
    if (page)
        table[page] = 1;
    spin_unlock(&lock, on);
    return page * PAGE;
}

u64 page_alloc_zero(void)
{
    u64 page = page_alloc();
    if (page)
        memset(direct(page), 0, PAGE);
    return page;
}

void page_get(u64 physical)
{
    bool on = spin_lock(&lock);
    if (table[physical / PAGE] != PERMANENT)
        table[physical / PAGE]++;
    spin_unlock(&lock, on);
}

void page_put(u64 physical)
{
    u64 page = physical / PAGE;
    bool on = spin_lock(&lock);
    if (table[page] != PERMANENT && --table[page] == 0) {
        table[page] = free_head;
        free_head = page;
        free_chained++;
    }
    spin_unlock(&lock, on);
}

u32 page_references(u64 physical) { return table[physical / PAGE]; }
u64 page_total_count(void) { return total; }
u64 page_free_count(void) { return total - taken_at_frontier + free_chained; }
