/* The front end of the first block device (io/blkif.h, io/xenbus.h): a ring and pages that the host is granted, for reads of a page each. */
#include "para.h"

#define RING 32 /* requests in a ring of one page */
#define SECTORS (PAGE / 512)
#define PATIENCE (5 * SECOND)

/* Grants 0 to 7 are reserved. */
#define GRANT_RING 8
#define GRANT_PAGES 9

static struct grant_entry grants[PAGE / sizeof(struct grant_entry)] __attribute__((aligned(PAGE))); /* another frame is mapped here */
static struct blkif_sring *ring;
static u32 port, consumed, produced;
static u64 pages_of_disk;
static struct semaphore event = SEMAPHORE_INIT(event, 0);

static void grant(u32 reference, u64 physical)
{
    grants[reference].domid = DOMID_HOST;
    grants[reference].frame = para_machine_frame(physical);
    __atomic_store_n(&grants[reference].flags, GTF_permit_access, __ATOMIC_RELEASE);
}

static bool grant_table(void)
{
    u64 frame;
    struct gnttab_setup_table setup = {DOMID_SELF, 1, 0, (u64)&frame};
    if (hypercall(HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (u64)&setup, 1, 0) < 0 || setup.status)
        return false;
    para_show_frame(grants, frame);
    return true;
}

static void arrived(void) { semaphore_up(&event); }

/** Waits until the node says so. */
static bool reaches(const char *path, char state)
{
    char value[16] = "";
    for (u64 until = clock_now() + PATIENCE; clock_now() < until; thread_sleep(MILLISECOND))
        if (para_store_read(path, value, sizeof value) && value[0] == state)
            return true;
    return false;
}

static bool write_number(const char *directory, const char *name, u64 value)
{
    char path[80], text[24];
    format(path, sizeof path, "%s/%s", directory, name);
    format(text, sizeof text, "%lu", value);
    return para_store_write(path, text);
}

static bool connect(void)
{
    char device[80], number[32], node[128], back[80], text[24];
    if (!para_store_first("device/vbd", number, sizeof number))
        return false;
    format(device, sizeof device, "device/vbd/%s", number);
    format(node, sizeof node, "%s/backend", device);
    if (!para_store_read(node, back, sizeof back) || !grant_table())
        return false;
    struct evtchn_alloc_unbound channel = {DOMID_SELF, DOMID_HOST, 0};
    u64 page = page_alloc_zero();
    if (!page || hypercall(HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (u64)&channel, 0, 0) < 0)
        return false;
    port = channel.port;
    struct blkif_sring *made = direct(page);
    made->req_event = made->rsp_event = 1;
    grant(GRANT_RING, page);
    for (int i = 0; i < RING; i++) {
        u64 buffer = page_alloc();
        if (!buffer)
            return false;
        grant(GRANT_PAGES + i, buffer);
    }
    format(node, sizeof node, "%s/protocol", device);
    bool told = write_number(device, "ring-ref", GRANT_RING) && write_number(device, "event-channel", port) &&
                write_number(device, "feature-persistent", 1) && para_store_write(node, "x86_64-abi") &&
                write_number(device, "state", XENBUS_INITIALISED);
    format(node, sizeof node, "%s/state", back);
    if (!told || !reaches(node, '0' + XENBUS_CONNECTED))
        return false;
    para_bind(port, arrived);
    format(node, sizeof node, "%s/sectors", back);
    u64 sectors;
    if (!para_store_read(node, text, sizeof text) || !parse_number(text, &sectors) || sectors < SECTORS)
        return false;
    pages_of_disk = sectors / SECTORS;
    write_number(device, "state", XENBUS_CONNECTED);
    ring = made;
    return true;
}

static void put_request(u64 page)
{
    struct blkif_request *r = &ring->slot[produced % RING].request;
    *r = (struct blkif_request){.operation = BLKIF_OP_READ, .nr_segments = 1, .id = produced, .sector_number = page * SECTORS};
    r->seg[0] = (struct blkif_request_segment){GRANT_PAGES + produced % RING, 0, SECTORS - 1};
    produced++;
}

/** What was put in is the host's; it is told if it does not look by itself. */
static void push(void)
{
    u32 before = ring->req_prod;
    __atomic_store_n(&ring->req_prod, produced, __ATOMIC_SEQ_CST);
    if (produced - __atomic_load_n(&ring->req_event, __ATOMIC_SEQ_CST) < produced - before)
        para_notify(port);
}

/** Takes answers, at least half of those that are awaited; false: an error. */
static bool take(void)
{
    u32 wanted = consumed + (produced - consumed + 1) / 2;
    __atomic_store_n(&ring->rsp_event, wanted, __ATOMIC_SEQ_CST);
    while ((s32)(__atomic_load_n(&ring->rsp_prod, __ATOMIC_SEQ_CST) - wanted) < 0)
        semaphore_down(&event);
    bool good = true;
    for (; consumed != __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE); consumed++)
        good &= ring->slot[consumed % RING].response.status == 0;
    return good;
}

const char *para_read_disk(u64 count, u32 depth)
{
    if (!ring && !connect())
        return "there is no disk";
    depth = MIN(depth, (u32)RING);
    for (u64 asked = 0; asked < count || consumed != produced;) {
        for (; asked < count && produced - consumed < depth; asked++)
            put_request(asked % pages_of_disk);
        push();
        if (!take())
            return "the disk cannot be read";
    }
    return NULL;
}
