/* What a multiboot-1 loader passes: memory map, command line, modules (Multiboot Specification 0.6.96, 3.3). */
#include "native.h"

#define MULTIBOOT_LOADER_MAGIC 0x2badb002
#define INFO_MEMORY 1
#define INFO_COMMAND_LINE 4
#define INFO_MODULES 8
#define INFO_MEMORY_MAP 0x40
#define MEMORY_AVAILABLE 1

struct information {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
};
struct map_entry {
    u32 size;
    u64 address, length;
    u32 type;
} __attribute__((packed));
struct module {
    u32 start, end, string, reserved;
};

static u32 magic;
static u64 information;

/** boot.S calls it. */
void native_main(u32 loader_magic, u64 loader_information)
{
    magic = loader_magic;
    information = loader_information;
    kernel_main(&native_machine);
}

void native_read_loader(void)
{
    const struct information *info = direct(information);
    if (magic != MULTIBOOT_LOADER_MAGIC)
        return;
    if (info->flags & INFO_COMMAND_LINE)
        copy_string(command_line, direct(info->cmdline), sizeof command_line);
    if (info->flags & INFO_MEMORY_MAP) {
        for (u64 at = info->mmap_addr, end = at + info->mmap_length; at < end;) {
            const struct map_entry *e = direct(at);
            if (e->type == MEMORY_AVAILABLE) {
                memory_add(e->address, e->address + e->length);
                memory_total += e->length;
            }
            at += e->size + 4;
        }
    } else if (info->flags & INFO_MEMORY) {
        memory_add(0, info->mem_lower * KIB);
        memory_add(MIB, MIB + info->mem_upper * KIB);
        memory_total = info->mem_lower * KIB + info->mem_upper * KIB;
    }
    /* The first MiB stays the firmware's. */
    extern u8 image_physical_end[];
    memory_remove(0, MIB);
    memory_remove(MIB, (u64)image_physical_end);
    if (info->flags & INFO_MODULES) {
        const struct module *m = direct(info->mods_addr);
        for (u32 i = 0; i < info->mods_count; i++)
            memory_remove(m[i].start, m[i].end);
    }
}
