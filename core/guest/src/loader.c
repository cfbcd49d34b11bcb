/* What a multiboot-1 loader passes: memory map, command line, modules (Multiboot Specification 0.6.96, 3.3). */
#include "kernel.h"

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

struct memory_range memory_ranges[MEMORY_MAX_RANGES];
int memory_range_count;
char command_line[512];
u64 memory_total;

static void add_range(u64 start, u64 end)
{
    start = ROUND_UP(start, PAGE);
    end = ROUND_DOWN(end, PAGE);
    if (start < end && memory_range_count < MEMORY_MAX_RANGES)
        memory_ranges[memory_range_count++] = (struct memory_range){start, end};
}

/** Takes [start, end) out of what may be allocated. */
static void remove_range(u64 start, u64 end)
{
    start = ROUND_DOWN(start, PAGE);
    end = ROUND_UP(end, PAGE);
    for (int i = 0; i < memory_range_count; i++) {
        struct memory_range *r = &memory_ranges[i];
        if (end <= r->start || start >= r->end)
            continue;
        u64 after = r->end;
        r->end = MAX(r->start, MIN(start, r->end));
        if (end < after)
            add_range(end, after);
    }
}

/** Ascending: the first pages given away must lie in the first 4 GiB, which is what boot.S maps. */
static void sort_ranges(void)
{
    for (int i = 1; i < memory_range_count; i++)
        for (int j = i; j > 0 && memory_ranges[j - 1].start > memory_ranges[j].start; j--) {
            struct memory_range swap = memory_ranges[j];
            memory_ranges[j] = memory_ranges[j - 1];
            memory_ranges[j - 1] = swap;
        }
}

void boot_read(u32 magic, u64 information)
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
                add_range(e->address, e->address + e->length);
                memory_total += e->length;
            }
            at += e->size + 4;
        }
    } else if (info->flags & INFO_MEMORY) {
        add_range(0, info->mem_lower * KIB);
        add_range(MIB, MIB + info->mem_upper * KIB);
        memory_total = info->mem_lower * KIB + info->mem_upper * KIB;
    }
    /* The first MiB stays the firmware's. */
    extern u8 image_physical_end[];
    remove_range(0, MIB);
    remove_range(MIB, (u64)image_physical_end);
    if (info->flags & INFO_MODULES) {
        const struct module *m = direct(info->mods_addr);
        for (u32 i = 0; i < info->mods_count; i++)
            remove_range(m[i].start, m[i].end);
    }
    sort_ranges();
}

/** The start of the value of `key=`, `key` itself for a word, or null. Words are parted by spaces outside of quotes. */
static const char *find_word(const char *key)
{
    size_t n = strlen(key);
    bool quoted = false, start = true;
    for (const char *p = command_line; *p; p++) {
        if (start && !quoted && strncmp(p, key, n) == 0 && (p[n] == '=' || p[n] == ' ' || p[n] == 0))
            return p[n] == '=' ? p + n + 1 : p;
        if (*p == '"')
            quoted = !quoted;
        start = *p == ' ';
    }
    return NULL;
}

bool command_line_value(const char *key, char *value, size_t size)
{
    const char *p = find_word(key);
    if (!p || p[-1] != '=')
        return false;
    bool quoted = false;
    size_t n = 0;
    for (; *p && (quoted || *p != ' '); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (n + 1 < size)
            value[n++] = *p;
    }
    value[n] = 0;
    return true;
}

bool command_line_flag(const char *word) { return find_word(word) != NULL; }
