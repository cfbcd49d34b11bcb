/* From a multiboot-1 loader (32-bit protected mode, no paging) to kernel_main in 64-bit mode. */
#define KERNEL_BASE 0xffffffff80000000
#define LOW(symbol) ((symbol) - KERNEL_BASE)

#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_MEMORY_INFO 2
#define MULTIBOOT_AOUT_KLUDGE 0x10000
#define FLAGS (MULTIBOOT_MEMORY_INFO | MULTIBOOT_AOUT_KLUDGE)

    .section .multiboot, "a"
    .balign 4
header:
    .long MULTIBOOT_HEADER_MAGIC, FLAGS, -(MULTIBOOT_HEADER_MAGIC + FLAGS)
    .long header, image_physical, data_physical_end, image_physical_end, start

    .section .boot, "ax"
    .code32
    .globl start
start:
    cld
    mov $LOW(boot_stack_top), %esp
    mov %eax, %edi                  /* the loader's magic */
    mov %ebx, %esi                  /* its information */

    rdtsc                           /* when the kernel began, for "up in" */
    mov %eax, LOW(boot_tsc)
    mov %edx, LOW(boot_tsc) + 4

    mov $0x80000000, %eax
    cpuid
    cmp $0x80000001, %eax
    jb no_long_mode
    mov $0x80000001, %eax
    cpuid
    bt $29, %edx                    /* LM */
    jnc no_long_mode

    /* The first 4 GiB by 2 MiB pages at 0, at the direct map and (1 GiB of it) at the kernel's place. */
    mov $LOW(boot_directories), %ebx
    mov $0x83, %eax                 /* present, writable, 2 MiB */
    xor %edx, %edx
1:  mov %eax, (%ebx, %edx, 8)
    movl $0, 4(%ebx, %edx, 8)
    add $0x200000, %eax
    inc %edx
    cmp $2048, %edx
    jne 1b
    lea 3(%ebx), %eax
    mov $LOW(boot_low), %ebx
    mov %eax, (%ebx)
    mov %eax, LOW(boot_high) + 510 * 8
    add $0x1000, %eax
    mov %eax, 8(%ebx)
    mov %eax, LOW(boot_high) + 511 * 8
    add $0x1000, %eax
    mov %eax, 16(%ebx)
    add $0x1000, %eax
    mov %eax, 24(%ebx)
    lea 3(%ebx), %eax
    mov %eax, LOW(boot_root)
    mov %eax, LOW(boot_root) + 272 * 8
    movl $LOW(boot_high) + 3, LOW(boot_root) + 511 * 8

    mov $LOW(boot_root), %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax                  /* PAE */
    mov %eax, %cr4
    mov $0xc0000080, %ecx           /* EFER */
    rdmsr
    or $0x100, %eax                 /* LME */
    wrmsr
    mov %cr0, %eax
    or $0x80010001, %eax            /* PG, WP, PE */
    mov %eax, %cr0
    lgdt LOW(boot_gdt_pointer)
    ljmp $8, $start64

no_long_mode:
    mov $LOW(no_long_mode_text), %esi
    mov $0x3f8, %dx
2:  lodsb
    test %al, %al
    jz 3f
    outb %al, %dx
    jmp 2b
3:  cli
    hlt
    jmp 3b

    .code64
start64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    movabs $start_high, %rax
    jmp *%rax

    .text
start_high:
    mov $boot_stack_top, %rsp
    xor %ebp, %ebp
    mov %edi, %edi
    mov %esi, %esi
    call native_main
4:  hlt
    jmp 4b

    .section .rodata
no_long_mode_text:
    .asciz "Corner needs a 64-bit processor (CPUID long mode is missing).\r\n"

    .data
    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    .word 23
    .long LOW(boot_gdt)

    .bss
    .balign 4096
boot_root:
    .skip 4096
boot_low:
    .skip 4096
boot_high:
    .skip 4096
boot_directories:
    .skip 4 * 4096
    .globl boot_stack_top
    .skip 16384
boot_stack_top:
