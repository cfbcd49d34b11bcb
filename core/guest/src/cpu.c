/* What CPUID tells, for the banner and the `cpu` command. */
#include "kernel.h"

struct bit {
    u8 bit;
    char name[11];
};

static const struct bit leaf1_edx[] = {
    {0, "fpu"},   {1, "vme"},   {2, "de"},    {3, "pse"},  {4, "tsc"},   {5, "msr"},  {6, "pae"},   {7, "mce"}, {8, "cx8"},
    {9, "apic"},  {11, "sep"},  {12, "mtrr"}, {13, "pge"}, {14, "mca"},  {15, "cmov"}, {16, "pat"}, {17, "pse36"},
    {19, "clflush"}, {23, "mmx"}, {24, "fxsr"}, {25, "sse"}, {26, "sse2"}, {28, "htt"},
};
static const struct bit leaf1_ecx[] = {
    {0, "sse3"},    {1, "pclmulqdq"}, {3, "monitor"}, {5, "vmx"},    {9, "ssse3"},  {12, "fma"},   {13, "cx16"},
    {17, "pcid"},   {19, "sse4.1"},   {20, "sse4.2"}, {21, "x2apic"}, {22, "movbe"}, {23, "popcnt"}, {24, "tscdeadline"},
    {25, "aes"},    {26, "xsave"},    {27, "osxsave"}, {28, "avx"},  {29, "f16c"},  {30, "rdrand"}, {31, "hypervisor"},
};
static const struct bit leaf7_ebx[] = {
    {0, "fsgsbase"}, {3, "bmi1"}, {5, "avx2"}, {7, "smep"}, {8, "bmi2"}, {9, "erms"}, {10, "invpcid"}, {18, "rdseed"}, {19, "adx"}, {20, "smap"},
};
static const struct bit extended_edx[] = {{11, "syscall"}, {20, "nx"}, {26, "pdpe1gb"}, {27, "rdtscp"}, {29, "lm"}};
static const struct bit extended_ecx[] = {{0, "lahf"}, {2, "svm"}, {5, "lzcnt"}, {6, "sse4a"}};

void cpu_brand(char brand[49])
{
    copy_string(brand, "an unnamed x86-64", 49);
    if (machine_cpuid(0x80000000, 0).eax < 0x80000004)
        return;
    char text[49] = "";
    for (int i = 0; i < 3; i++) {
        struct cpuid c = machine_cpuid(0x80000002 + i, 0);
        memcpy(text + i * 16, &c, 16);
    }
    const char *p = text;
    while (*p == ' ')
        p++;
    size_t n = strlen(p);
    while (n && p[n - 1] == ' ')
        n--;
    if (n)
        copy_string(brand, p, n + 1);
}

static int column;

static void show_bits(u32 word, const struct bit *bits, int count)
{
    for (int i = 0; i < count; i++) {
        if (!(word >> bits[i].bit & 1))
            continue;
        int n = strlen(bits[i].name) + 1;
        if (column + n > 76) {
            print("\n             ");
            column = 13;
        }
        print("%s ", bits[i].name);
        column += n;
    }
}

#define SHOW(word, bits) show_bits(word, bits, ARRAY_SIZE(bits))

void command_cpu(int argc, char **argv)
{
    (void)argc, (void)argv;
    char brand[49], vendor[13] = "", host[13] = "";
    cpu_brand(brand);
    struct cpuid zero = machine_cpuid(0, 0), one = machine_cpuid(1, 0), e = machine_cpuid(0x80000001, 0);
    memcpy(vendor, &zero.ebx, 4);
    memcpy(vendor + 4, &zero.edx, 4);
    memcpy(vendor + 8, &zero.ecx, 4);
    u32 family = one.eax >> 8 & 15, model = one.eax >> 4 & 15;
    if (family == 15 || family == 6)
        model |= (one.eax >> 16 & 15) << 4;
    if (family == 15)
        family += one.eax >> 20 & 255;
    print("vendor       %s\n", vendor);
    print("name         %s\n", brand);
    print("signature    family %u, model %u, stepping %u\n", family, model, one.eax & 15);
    if (machine_cpuid(0x80000000, 0).eax >= 0x80000008) {
        u32 sizes = machine_cpuid(0x80000008, 0).eax;
        print("addresses    %u bits physical, %u bits virtual\n", sizes & 255, sizes >> 8 & 255);
    }
    if (one.ecx >> 31) {
        struct cpuid h = machine_cpuid(0x40000000, 0);
        memcpy(host, &h.ebx, 12);
        print("hypervisor   %s\n", host[0] ? host : "yes, unnamed");
    }
    print("features     ");
    column = 13;
    SHOW(one.edx, leaf1_edx);
    SHOW(one.ecx, leaf1_ecx);
    if (zero.eax >= 7)
        SHOW(machine_cpuid(7, 0).ebx, leaf7_ebx);
    SHOW(e.edx, extended_edx);
    SHOW(e.ecx, extended_ecx);
    print("\n");
    print("TSC          %lu.%03lu MHz\n", tsc_hz / 1000000, tsc_hz / 1000 % 1000);
    print("tick         %d Hz by the %s\n", TIMER_HZ, machine->timer_name());
    print("interrupts   %s\n", machine->interrupt_controller());
    print("processors   1 in use, %d listed by the firmware\n", MAX(acpi.cpus, 1));
}
