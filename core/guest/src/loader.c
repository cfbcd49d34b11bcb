/* What the loader told: memory and the command line. */
#include "kernel.h"

struct memory_range memory_ranges[MEMORY_MAX_RANGES];
int memory_range_count;
char command_line[512];
u64 memory_total;

void memory_add(u64 start, u64 end)
{
    start = ROUND_UP(start, PAGE);
    end = ROUND_DOWN(end, PAGE);
    if (start < end && memory_range_count < MEMORY_MAX_RANGES)
        memory_ranges[memory_range_count++] = (struct memory_range){start, end};
}

void memory_remove(u64 start, u64 end)
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
            memory_add(end, after);
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

void loader_start(void)
{
    machine->read_loader();
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
