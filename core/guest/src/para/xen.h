/* Xen's 64-bit PV interface as far as the kernel uses it: numbers and structures of Xen 4.17's public headers (xen.h, arch-x86/xen.h, ..). */
#pragma once
#include "../common/types.h"

enum {
    HYPERVISOR_set_trap_table = 0,
    HYPERVISOR_mmu_update = 1,
    HYPERVISOR_set_gdt = 2,
    HYPERVISOR_stack_switch = 3,
    HYPERVISOR_set_debugreg = 8,
    HYPERVISOR_get_debugreg = 9,
    HYPERVISOR_multicall = 13,
    HYPERVISOR_update_va_mapping = 14,
    HYPERVISOR_xen_version = 17,
    HYPERVISOR_console_io = 18,
    HYPERVISOR_grant_table_op = 20,
    HYPERVISOR_vcpu_op = 24,
    HYPERVISOR_set_segment_base = 25,
    HYPERVISOR_mmuext_op = 26,
    HYPERVISOR_sched_op = 29,
    HYPERVISOR_callback_op = 30,
    HYPERVISOR_event_channel_op = 32,
};

#define FLAT_KERNEL_CS 0xe033
#define FLAT_KERNEL_SS 0xe02b
#define DOMID_SELF 0x7ff0
#define DOMID_HOST 0
#define MACHINE_TO_PHYSICAL ((const u64 *)0xffff800000000000)

struct arch_vcpu_info {
    u64 cr2, pad;
};
struct vcpu_time_info {
    u32 version, pad0;
    u64 tsc_timestamp, system_time;
    u32 tsc_to_system_mul;
    signed char tsc_shift;
    u8 flags, pad1[2];
};
struct vcpu_info {
    u8 evtchn_upcall_pending, evtchn_upcall_mask;
    u64 evtchn_pending_sel;
    struct arch_vcpu_info arch;
    struct vcpu_time_info time;
};
struct shared_info {
    struct vcpu_info vcpu_info[32];
    u64 evtchn_pending[64], evtchn_mask[64];
    u32 wc_version, wc_sec, wc_nsec, wc_sec_hi;
} __attribute__((aligned(4096))); /* it has a page of its own */
_Static_assert(sizeof(struct vcpu_info) == 64, "vcpu_info");

#define SIF_INITDOMAIN 2
struct start_info {
    char magic[32];
    u64 nr_pages, shared_info;
    u32 flags;
    u64 store_mfn;
    u32 store_evtchn;
    struct {
        u64 mfn;
        u32 evtchn;
    } console; /* not that of the first domain, which has none */
    u64 pt_base, nr_pt_frames, mfn_list, mod_start, mod_len;
    char cmd_line[1024];
};

struct trap_info {
    u8 vector, flags;
    u16 cs;
    u64 address;
};
#define TI_EVENTS_MASKED 4

#define CALLBACKOP_register 0
#define CALLBACKTYPE_event 0
#define CALLBACKTYPE_failsafe 1
#define CALLBACKTYPE_syscall 2
#define CALLBACKF_mask_events 1
struct callback_register {
    u16 type, flags;
    u64 address;
};

#define SEGBASE_GS_KERNEL 2

struct mmu_update {
    u64 ptr, val;
};
#define UVMF_INVLPG 2
#define MMUEXT_PIN_L4_TABLE 3
#define MMUEXT_UNPIN_TABLE 4
#define MMUEXT_NEW_BASEPTR 5
#define MMUEXT_TLB_FLUSH_LOCAL 6
#define MMUEXT_INVLPG_LOCAL 7
#define MMUEXT_NEW_USER_BASEPTR 15
struct mmuext_op {
    u32 cmd;
    u64 arg1, arg2;
};
struct multicall_entry {
    u64 op;
    s64 result;
    u64 args[6];
};

#define SCHEDOP_yield 0
#define SCHEDOP_block 1
#define SCHEDOP_shutdown 2
#define SHUTDOWN_poweroff 0
#define SHUTDOWN_reboot 1
#define SHUTDOWN_crash 3

#define VIRQ_TIMER 0
#define VIRQ_CONSOLE 2
#define EVTCHNOP_bind_virq 1
#define EVTCHNOP_send 4
#define EVTCHNOP_alloc_unbound 6
#define EVTCHNOP_unmask 9
struct evtchn_bind_virq {
    u32 virq, vcpu, port;
};
struct evtchn_alloc_unbound {
    u16 dom, remote_dom;
    u32 port;
};

#define VCPUOP_stop_periodic_timer 7
#define VCPUOP_set_singleshot_timer 8
struct vcpu_set_singleshot_timer {
    u64 timeout_abs_ns;
    u32 flags;
};

#define CONSOLEIO_write 0
#define CONSOLEIO_read 1
struct xencons_interface {
    char in[1024], out[2048];
    u32 in_cons, in_prod, out_cons, out_prod;
};
struct xenstore_domain_interface {
    char req[1024], rsp[1024];
    u32 req_cons, req_prod, rsp_cons, rsp_prod;
};

#define XS_DIRECTORY 1
#define XS_READ 2
#define XS_WATCH 4
#define XS_WRITE 11
#define XENBUS_INITIALISED 3
#define XENBUS_CONNECTED 4

#define GNTTABOP_setup_table 2
struct gnttab_setup_table {
    u16 dom;
    u32 nr_frames;
    short status;
    u64 frame_list;
};
#define GTF_permit_access 1
struct grant_entry {
    u16 flags, domid;
    u32 frame;
};

#define BLKIF_OP_READ 0
struct blkif_request_segment {
    u32 gref;
    u8 first_sect, last_sect;
};
struct blkif_request {
    u8 operation, nr_segments;
    u16 handle;
    u64 id, sector_number;
    struct blkif_request_segment seg[11];
};
struct blkif_response {
    u64 id;
    u8 operation;
    short status;
};
struct blkif_sring {
    u32 req_prod, req_event, rsp_prod, rsp_event;
    u8 pad[48];
    union {
        struct blkif_request request;
        struct blkif_response response;
    } slot[32];
};
_Static_assert(sizeof(struct blkif_request) == 112 && sizeof(struct blkif_sring) == 64 + 32 * 112, "blkif");
