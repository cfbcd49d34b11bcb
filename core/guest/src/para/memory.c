/*
 * Memory under Xen's PV interface. What the kernel calls physical is pseudo-physical here: page tables hold machine frames. A page that
 * is a table is mapped read-only everywhere, and written by hypercalls.
 */
#include "para.h"

#define DIRECT_SLOT 272 /* of the root: DIRECT_BASE */
#define KERNEL_SLOT 511
#define XEN_PTE_KERNEL (1ul << 52) /* a page of the kernel's, which Xen makes a user's for the processor */
#define PTE_FLAGS (0xffful | PTE_NX)
#define CALLS 128
#define ITEMS 128

extern u8 image_physical[], image_physical_end[];

static const u64 *p2m;
static u64 pages;
/* The direct map's tables: all of level 1, of level 2, and one of level 3, by pseudo-physical page numbers. */
static u64 tables, level2, level3;

static struct {
    int depth, calls, updates, operations;
    struct multicall_entry call[CALLS];
    struct mmu_update update[ITEMS];
    struct mmuext_op operation[ITEMS];
} batch;

static u64 page_of_image(const void *at) { return ((u64)at - KERNEL_BASE) / PAGE; }

u64 para_machine_frame(u64 physical) { return p2m[physical / PAGE]; }

static u64 machine_address(const u64 *entry) { return para_machine_frame(direct_physical(entry)) * PAGE + ((u64)entry & PAGE_MASK); }

static u64 to_machine(u64 entry)
{
    return entry & PTE_PRESENT ? (entry & ~PTE_ADDRESS) | para_machine_frame(entry & PTE_ADDRESS) * PAGE : entry;
}

u64 para_entry(const u64 *entry)
{
    u64 value = *(const volatile u64 *)entry;
    if (!(value & PTE_PRESENT))
        return value;
    u64 flags = value & PTE_FLAGS & ~(PTE_GLOBAL | (value & XEN_PTE_KERNEL ? PTE_USER : 0));
    return flags | MACHINE_TO_PHYSICAL[(value & PTE_ADDRESS) / PAGE] * PAGE;
}

/* -- batches: a list of hypercalls, in which neighbours that take lists themselves become one */
static void flush(void)
{
    int calls = batch.calls;
    batch.calls = batch.updates = batch.operations = 0;
    if (!calls)
        return;
    const u64 *a = batch.call[0].args;
    if (calls == 1) {
        para_do(batch.call[0].op, a[0], a[1], a[2], a[3]);
        return;
    }
    para_do(HYPERVISOR_multicall, (u64)batch.call, calls, 0, 0);
    for (int i = 0; i < calls; i++)
        if (batch.call[i].result < 0)
            panic("hypercall %lu in a multicall: error %ld", batch.call[i].op, batch.call[i].result);
}

void para_later(u32 number, u64 a, u64 b, u64 c, u64 d)
{
    bool on = machine_disable();
    if (batch.calls == CALLS)
        flush();
    batch.call[batch.calls++] = (struct multicall_entry){number, 0, {a, b, c, d}};
    if (!batch.depth)
        flush();
    machine_restore(on);
}

/** `item` is the next of the list that hypercall `number` takes. */
static void later_in_list(u32 number, const void *item)
{
    if (batch.calls && batch.call[batch.calls - 1].op == number)
        batch.call[batch.calls - 1].args[1]++;
    else
        para_later(number, (u64)item, 1, 0, DOMID_SELF);
}

static void update(u64 machine_address, u64 value)
{
    bool on = machine_disable();
    if (batch.updates == ITEMS || batch.calls == CALLS)
        flush();
    struct mmu_update *u = &batch.update[batch.updates++];
    *u = (struct mmu_update){machine_address, value};
    later_in_list(HYPERVISOR_mmu_update, u);
    machine_restore(on);
}

static void operate(u32 command, u64 argument)
{
    bool on = machine_disable();
    if (batch.operations == ITEMS || batch.calls == CALLS)
        flush();
    struct mmuext_op *o = &batch.operation[batch.operations++];
    *o = (struct mmuext_op){command, argument, 0};
    later_in_list(HYPERVISOR_mmuext_op, o);
    machine_restore(on);
}

void para_begin_batch(void) { batch.depth++; }

void para_end_batch(void)
{
    flush();
    batch.depth--;
}

/* -- entries and tables */
void para_set_entry(u64 *entry, u64 value)
{
    update(machine_address(entry), to_machine(value));
}

void para_invalidate(u64 address) { operate(MMUEXT_INVLPG_LOCAL, address); }
void para_invalidate_programs(void) { operate(MMUEXT_TLB_FLUSH_LOCAL, 0); }

static void map_page(u64 address, u64 entry) { para_later(HYPERVISOR_update_va_mapping, address, entry, UVMF_INVLPG, 0); }

/* Not the guest's: it takes the place of a page of the image. The loader's space ends before long, so para_load_kernel does it again. */
static u64 shared_info_entry(void) { return para_start_info.shared_info | PTE_PRESENT | PTE_WRITE | PTE_NX; }
void para_map_shared_info(void) { map_page((u64)&para_shared_info, shared_info_entry()); }

void para_show_frame(void *page, u64 mfn) { map_page((u64)page, mfn * PAGE | PTE_PRESENT | PTE_WRITE | PTE_NX); }

void *para_shared_page(u64 mfn) { return direct(MACHINE_TO_PHYSICAL[mfn] * PAGE); }

void para_protect(const void *page) { map_page((u64)page, to_machine(page_of_image(page) * PAGE | PTE_PRESENT | PTE_NX)); }

void para_begin_table(u64 page) { map_page((u64)direct(page), to_machine(page | PTE_PRESENT | PTE_NX)); }
void para_end_table(u64 page) { map_page((u64)direct(page), to_machine(page | PTE_PRESENT | PTE_WRITE | PTE_NX)); }
void para_begin_space(u64 root) { operate(MMUEXT_PIN_L4_TABLE, para_machine_frame(root)); }
void para_end_space(u64 root) { operate(MMUEXT_UNPIN_TABLE, para_machine_frame(root)); }

void para_map_direct(u64 root, u64 top)
{
    (void)top; /* all of it is there already */
    para_begin_space(root);
    para_set_entry((u64 *)direct(root) + DIRECT_SLOT, level3 * PAGE | PTE_PRESENT | PTE_WRITE | PTE_USER);
}

void para_load_kernel(u64 root)
{
    update(machine_address(paging_entry(root, (u64)&para_shared_info, false)), shared_info_entry());
    operate(MMUEXT_NEW_BASEPTR, para_machine_frame(root));
    operate(MMUEXT_UNPIN_TABLE, p2m[page_of_image((void *)para_start_info.pt_base)]);
}

/* The kernel stays in its own space: what changes is the programs'. */
void para_load_space(u64 root) { operate(MMUEXT_NEW_USER_BASEPTR, root == kernel_root ? 0 : para_machine_frame(root)); }

/* -- start of day */
static u64 window[PAGE / 8] __attribute__((aligned(PAGE)));

static void show_in_window(u64 page) { map_page((u64)window, p2m[page] * PAGE | PTE_PRESENT | PTE_WRITE | PTE_NX); }

/** The loader's tables, the ones made here and the descriptors: nobody may write to them. */
static bool read_only(u64 page)
{
    extern const u64 para_gdt[];
    u64 loaders = page_of_image((void *)para_start_info.pt_base);
    return page >= tables || (page >= loaders && page < loaders + para_start_info.nr_pt_frames) || page == page_of_image(para_gdt);
}

/** `entries` pages from `first` on, named by the tables from `table` on. */
static void fill_tables(u64 table, u64 first, u64 entries, u64 flags)
{
    for (u64 i = 0; i < entries; i++) {
        if (i % 512 == 0) {
            show_in_window(table + i / 512);
            memset(window, 0, PAGE);
        }
        u64 page = first + i;
        window[i % 512] = p2m[page] * PAGE | flags | (flags & PTE_NX && read_only(page) ? 0 : PTE_WRITE);
    }
}

/** Nothing but the image stays at the kernel's place: else pages could not become tables. */
static void unmap_loaders(void)
{
    u64 root = page_of_image((void *)para_start_info.pt_base) * PAGE;
    bool on = machine_disable();
    para_begin_batch();
    for (u64 page = 0;; page++) {
        u64 *entry = paging_entry(root, KERNEL_BASE + page * PAGE, false);
        if (!entry || !(*entry & PTE_PRESENT))
            break;
        if (page < MIB / PAGE || page >= (u64)image_physical_end / PAGE)
            para_set_entry(entry, 0);
    }
    para_invalidate_programs();
    para_end_batch();
    machine_restore(on);
}

void para_memory_start(void)
{
    pages = para_start_info.nr_pages;
    p2m = (u64 *)para_start_info.mfn_list;
    u64 count1 = ROUND_UP(pages, 512ul) / 512, count2 = ROUND_UP(count1, 512ul) / 512;
    level3 = pages - 1;
    level2 = level3 - count2;
    tables = level2 - count1;
    u64 flags = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY;
    fill_tables(tables, 0, pages, flags | PTE_NX);
    fill_tables(level2, tables, count1, flags | PTE_USER);
    fill_tables(level3, level2, count2, flags | PTE_USER);
    show_in_window(page_of_image(window));
    u64 root = p2m[page_of_image((void *)para_start_info.pt_base)] * PAGE;
    update(root + DIRECT_SLOT * 8, p2m[level3] * PAGE | PTE_PRESENT | PTE_WRITE | PTE_USER);
    p2m = direct(para_start_info.mfn_list - KERNEL_BASE);
    unmap_loaders();
}

void para_read_loader(void)
{
    const struct start_info *s = &para_start_info;
    copy_string(command_line, s->cmd_line, sizeof command_line);
    memory_total = pages * PAGE;
    memory_add(0, memory_total);
    memory_remove(0, (u64)image_physical_end);
    memory_remove(s->mfn_list - KERNEL_BASE, s->mfn_list - KERNEL_BASE + pages * 8);
    memory_remove(s->pt_base - KERNEL_BASE, s->pt_base - KERNEL_BASE + s->nr_pt_frames * PAGE);
    memory_remove(tables * PAGE, pages * PAGE);
    if (s->flags & SIF_INITDOMAIN)
        return;
    u64 shared[] = {MACHINE_TO_PHYSICAL[s->console.mfn], MACHINE_TO_PHYSICAL[s->store_mfn]};
    for (u64 i = 0; i < ARRAY_SIZE(shared); i++)
        memory_remove(shared[i] * PAGE, shared[i] * PAGE + PAGE);
}
