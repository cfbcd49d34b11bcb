/* ACPI tables (ACPI 6.4, 5.2): RSDP, RSDT or XSDT, FADT, MADT, and the \_S5 package of the DSDT. */
#include "native.h"

#define BIOS_START 0xe0000
#define BIOS_END 0x100000
#define EBDA_SEGMENT 0x40e

struct rsdp {
    char signature[8];
    u8 checksum;
    char oem[6];
    u8 revision;
    u32 rsdt;
    u32 length;
    u64 xsdt;
} __attribute__((packed));
struct header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[6], table[8];
    u32 oem_revision, creator, creator_revision;
} __attribute__((packed));

#define FADT_DSDT 40
#define FADT_SCI_INT 46
#define FADT_SMI_CMD 48
#define FADT_ACPI_ENABLE 52
#define FADT_PM1A_EVT 56
#define FADT_PM1B_EVT 60
#define FADT_PM1A_CNT 64
#define FADT_PM1B_CNT 68
#define FADT_PM1_EVT_LEN 88
#define MADT_ENTRIES 44
#define MADT_LOCAL_APIC 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2

#define AML_ZERO 0x00
#define AML_ONE 0x01
#define AML_NAME 0x08
#define AML_BYTE 0x0a
#define AML_WORD 0x0b
#define AML_PACKAGE 0x12
#define AML_ROOT 0x5c
#define AML_ONES 0xff

struct acpi acpi;

static bool sums_to_zero(const void *p, size_t n)
{
    u8 sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((const u8 *)p)[i];
    return sum == 0;
}

static const struct rsdp *search(u64 from, u64 to)
{
    for (u64 at = from; at + sizeof(struct rsdp) <= to; at += 16) {
        const struct rsdp *r = direct(at);
        if (memcmp(r->signature, "RSD PTR ", 8) == 0 && sums_to_zero(r, 20))
            return r;
    }
    return NULL;
}

/** A table by physical address, or null if it is none. Tables below 4 GiB are in the direct map. */
static const struct header *table_at(u64 physical)
{
    if (!physical || physical >= 4 * GIB)
        return NULL;
    const struct header *h = direct(physical);
    return h->length >= sizeof *h && h->length < MIB && sums_to_zero(h, h->length) ? h : NULL;
}

/** One element of a package: its value, and the next one's place; null if it is no small integer. */
static const u8 *package_integer(const u8 *p, u8 *value)
{
    switch (*p) {
    case AML_ZERO:
    case AML_ONE:
    case AML_ONES:
        *value = *p;
        return p + 1;
    case AML_BYTE:
        *value = p[1];
        return p + 2;
    case AML_WORD:
        *value = p[1];
        return p + 3;
    }
    return NULL;
}

static void find_s5(const struct header *t)
{
    const u8 *start = (const u8 *)t + sizeof *t, *end = (const u8 *)t + t->length - 12;
    for (const u8 *p = start; p < end; p++) {
        if (memcmp(p, "_S5_", 4) || p[4] != AML_PACKAGE || !(p[-1] == AML_NAME || (p[-1] == AML_ROOT && p[-2] == AML_NAME)))
            continue;
        const u8 *at = p + 5;
        at += (*at >> 6) + 1; /* PkgLength */
        at++;                 /* number of elements */
        u8 a, b = 0;
        at = package_integer(at, &a);
        if (!at)
            continue;
        package_integer(at, &b);
        acpi.s5_a = a;
        acpi.s5_b = b;
        acpi.s5 = true;
        return;
    }
}

static u32 field32(const void *t, int at)
{
    u32 v;
    memcpy(&v, (const u8 *)t + at, 4);
    return v;
}

static void read_fadt(const struct header *t)
{
    const u8 *b = (const u8 *)t;
    acpi.sci = b[FADT_SCI_INT] | b[FADT_SCI_INT + 1] << 8;
    acpi.smi_command = field32(t, FADT_SMI_CMD);
    acpi.acpi_enable = b[FADT_ACPI_ENABLE];
    acpi.pm1a_event = field32(t, FADT_PM1A_EVT);
    acpi.pm1b_event = field32(t, FADT_PM1B_EVT);
    acpi.pm1a_control = field32(t, FADT_PM1A_CNT);
    acpi.pm1b_control = field32(t, FADT_PM1B_CNT);
    acpi.pm1_length = b[FADT_PM1_EVT_LEN];
    const struct header *dsdt = table_at(field32(t, FADT_DSDT));
    if (dsdt && memcmp(dsdt->signature, "DSDT", 4) == 0)
        find_s5(dsdt);
}

static void read_madt(const struct header *t)
{
    const u8 *b = (const u8 *)t;
    acpi.madt = true;
    acpi.apic_address = field32(t, sizeof *t);
    for (u32 at = MADT_ENTRIES; at + 2 <= t->length && b[at + 1] >= 2; at += b[at + 1])
        switch (b[at]) {
        case MADT_LOCAL_APIC:
            acpi.cpus += b[at + 4] & 1;
            break;
        case MADT_IOAPIC:
            if (!acpi.ioapic_address) {
                acpi.ioapic_address = field32(b, at + 4);
                acpi.ioapic_base = field32(b, at + 8);
            }
            break;
        case MADT_OVERRIDE:
            if (acpi.override_count < (int)ARRAY_SIZE(acpi.overrides))
                acpi.overrides[acpi.override_count++] = (struct acpi_override){b[at + 3], field32(b, at + 4), b[at + 8] | b[at + 9] << 8};
            break;
        }
}

static void read_table(u64 physical)
{
    const struct header *t = table_at(physical);
    if (!t)
        return;
    if (memcmp(t->signature, "FACP", 4) == 0)
        read_fadt(t);
    else if (memcmp(t->signature, "APIC", 4) == 0)
        read_madt(t);
    else if (memcmp(t->signature, "SSDT", 4) == 0 && !acpi.s5)
        find_s5(t);
}

void native_acpi_start(void)
{
    u64 ebda = (u64)*(u16 *)direct(EBDA_SEGMENT) << 4;
    const struct rsdp *r = ebda >= 0x400 && ebda < 0xa0000 ? search(ebda, ebda + KIB) : NULL;
    if (!r)
        r = search(BIOS_START, BIOS_END);
    if (!r)
        return;
    acpi.found = true;
    memcpy(acpi.oem, r->oem, 6);
    const struct header *xsdt = r->revision >= 2 ? table_at(r->xsdt) : NULL;
    const struct header *root = xsdt ? xsdt : table_at(r->rsdt);
    if (!root)
        return;
    int width = xsdt ? 8 : 4;
    for (u32 at = sizeof *root; at + width <= root->length; at += width) {
        u64 physical = field32(root, at);
        if (xsdt)
            physical |= (u64)field32(root, at + 4) << 32;
        read_table(physical);
    }
}
