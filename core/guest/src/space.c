/* Address spaces of programs: regions, pages on demand, copy on write. */
#include "kernel.h"

#define MAP_START 0x10000000ul
#define MAP_END 0x70000000ul /* below 4 GiB, so that 32-bit code reaches it */

static u8 zero_page[PAGE] __attribute__((aligned(PAGE)));

bool space_create(struct space *s)
{
    memset(s, 0, sizeof *s);
    s->root = table_alloc();
    if (!s->root)
        return false;
    machine->begin_space(s->root);
    s->next_map = MAP_START;
    return true;
}

static void free_tables(u64 table, int level)
{
    u64 *entries = direct(table);
    for (int i = 0; i < (level == 4 ? 256 : 512); i++) {
        u64 entry = machine_entry(&entries[i]);
        if (!(entry & PTE_PRESENT))
            continue;
        if (level > 1)
            free_tables(entry & PTE_ADDRESS, level - 1);
        else
            page_put(entry & PTE_ADDRESS);
    }
    table_free(table);
}

/** Nobody may be on it. */
void space_destroy(struct space *s)
{
    if (s->root) {
        bool on = machine_disable();
        machine->begin_batch();
        machine->end_space(s->root);
        free_tables(s->root, 4);
        machine->end_batch();
        machine_restore(on);
    }
    s->root = 0;
}

static struct region *find(struct space *s, u64 address)
{
    for (int i = 0; i < s->count; i++)
        if (address >= s->regions[i].start && address < s->regions[i].end)
            return &s->regions[i];
    return NULL;
}

bool space_add(struct space *s, u64 start, u64 end, bool write, bool execute, u64 image, u64 image_end)
{
    if (s->count == SPACE_REGIONS || start >= end || end > USER_END)
        return false;
    s->regions[s->count++] = (struct region){start, end, write, execute, image, image_end};
    return true;
}

u64 space_map(struct space *s, u64 size, bool write, bool execute)
{
    size = ROUND_UP(size, PAGE);
    bool on = spin_lock(&s->lock);
    u64 start = s->next_map;
    bool fits = size && size < MAP_END - start && space_add(s, start, start + size, write, execute, 0, 0);
    if (fits)
        s->next_map += size + PAGE;
    spin_unlock(&s->lock, on);
    return fits ? start : 0;
}

bool space_unmap(struct space *s, u64 start)
{
    bool on = spin_lock(&s->lock);
    struct region *r = find(s, start);
    if (!r || r->start != start || start < MAP_START || start >= MAP_END) {
        spin_unlock(&s->lock, on);
        return false;
    }
    machine->begin_batch();
    for (u64 at = r->start; at < r->end; at += PAGE) {
        u64 *entry = paging_entry(s->root, at, false);
        u64 value = entry ? machine_entry(entry) : 0;
        if (!(value & PTE_PRESENT))
            continue;
        machine_set_entry(entry, 0);
        machine_invalidate(at);
        page_put(value & PTE_ADDRESS);
        s->pages--;
    }
    machine->end_batch();
    *r = s->regions[--s->count];
    spin_unlock(&s->lock, on);
    return true;
}

bool space_copy(struct space *to, struct space *from)
{
    if (!space_create(to))
        return false;
    bool on = spin_lock(&from->lock), done = true;
    memcpy(to->regions, from->regions, sizeof to->regions);
    to->count = from->count;
    to->next_map = from->next_map;
    to->pages = from->pages;
    machine->begin_batch();
    for (int i = 0; i < from->count && done; i++)
        for (u64 at = from->regions[i].start; at < from->regions[i].end; at += PAGE) {
            u64 *entry = paging_entry(from->root, at, false);
            u64 value = entry ? machine_entry(entry) : 0;
            if (!(value & PTE_PRESENT))
                continue;
            u64 *copy = paging_entry(to->root, at, true);
            if (!copy) {
                done = false;
                break;
            }
            if (value & PTE_WRITE) {
                value = (value & ~PTE_WRITE) | PTE_COW;
                machine_set_entry(entry, value);
            }
            page_get(value & PTE_ADDRESS);
            machine_set_entry(copy, value & ~(PTE_ACCESSED | PTE_DIRTY));
        }
    if (machine_space() == from->root)
        machine->invalidate_programs(); /* those that were writable */
    machine->end_batch();
    spin_unlock(&from->lock, on);
    if (!done)
        space_destroy(to);
    return done;
}

/** A page of its own with the contents of `source` (kernel address; null: zero). */
static bool own_page(struct space *s, u64 *entry, const void *source, u64 flags)
{
    u64 page = page_alloc();
    if (!page)
        return false;
    if (source)
        memcpy(direct(page), source, PAGE);
    else
        memset(direct(page), 0, PAGE);
    machine_set_entry(entry, page | flags);
    s->pages++;
    return true;
}

static bool fault_locked(struct space *s, u64 address, u64 error)
{
    const struct region *r = find(s, address);
    bool write = error & FAULT_WRITE;
    if (!r || (write && !r->write) || ((error & FAULT_FETCH) && !r->execute))
        return false;
    u64 *entry = paging_entry(s->root, address, true);
    if (!entry)
        return false;
    u64 flags = PTE_PRESENT | PTE_USER | (r->write ? PTE_WRITE : 0) | (!r->execute && machine_features.nx ? PTE_NX : 0);
    u64 shared = (flags & ~PTE_WRITE) | (r->write ? PTE_COW : 0);
    u64 value = machine_entry(entry);
    if (value & PTE_PRESENT) {
        if (write && (value & PTE_COW)) {
            u64 page = value & PTE_ADDRESS;
            if (page_references(page) == 1) {
                machine_set_entry(entry, page | flags); /* the other copies are gone */
            } else {
                if (!own_page(s, entry, direct(page), flags))
                    return false;
                s->pages--; /* own_page counts it again */
                s->copies++;
                page_put(page);
            }
        }
        machine_invalidate(address);
        return true;
    }
    u64 offset = ROUND_DOWN(address, PAGE) - r->start;
    u64 image = r->image && r->image + offset < r->image_end ? r->image + offset : 0;
    if (write) {
        s->copies += image != 0;
        return own_page(s, entry, image ? direct(image) : NULL, flags);
    }
    machine_set_entry(entry, (image ? image : (u64)zero_page - KERNEL_BASE) | shared);
    s->pages++;
    return true;
}

bool space_fault(struct space *s, u64 address, u64 error)
{
    bool on = spin_lock(&s->lock);
    machine->begin_batch();
    bool done = fault_locked(s, address, error);
    machine->end_batch();
    spin_unlock(&s->lock, on);
    return done;
}

/** The kernel's view of the program's bytes at `address`, up to the end of their page; null: not the program's. */
static void *reach(struct space *s, u64 address, bool write)
{
    if (address >= USER_END)
        return NULL;
    for (int tries = 0; tries < 2; tries++) {
        u64 *entry = paging_entry(s->root, address, false);
        u64 need = PTE_PRESENT | PTE_USER | (write ? PTE_WRITE : 0);
        u64 value = entry ? machine_entry(entry) : 0;
        if ((value & need) == need)
            return (char *)direct(value & PTE_ADDRESS) + (address & PAGE_MASK);
        if (!space_fault(s, address, FAULT_USER | (write ? FAULT_WRITE : 0)))
            return NULL;
    }
    return NULL;
}

bool space_read(struct space *s, void *to, u64 from, size_t size)
{
    while (size) {
        size_t n = MIN(size, PAGE - (from & PAGE_MASK));
        void *p = reach(s, from, false);
        if (!p)
            return false;
        memcpy(to, p, n);
        to = (char *)to + n;
        from += n;
        size -= n;
    }
    return true;
}

bool space_write(struct space *s, u64 to, const void *from, size_t size)
{
    while (size) {
        size_t n = MIN(size, PAGE - (to & PAGE_MASK));
        void *p = reach(s, to, true);
        if (!p)
            return false;
        memcpy(p, from, n);
        from = (const char *)from + n;
        to += n;
        size -= n;
    }
    return true;
}
