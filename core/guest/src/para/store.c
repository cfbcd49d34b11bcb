/* As much of xenstore as the power button takes: a watch on control/shutdown. Messages are struct xsd_sockmsg and a payload (io/xs_wire.h). */
#include "para.h"

#define XS_READ 2
#define XS_WRITE 11
#define XS_WATCH 4
#define XS_WATCH_EVENT 15
#define PATH "control/shutdown"
#define PAYLOAD 256

struct message {
    u32 type, req_id, tx_id, len;
};

static struct xenstore_domain_interface *ring;

static void write_bytes(const void *from, u32 length)
{
    for (u32 i = 0; i < length; i++, ring->req_prod++)
        ring->req[ring->req_prod % sizeof ring->req] = ((const char *)from)[i];
}

/** Requests are few: there is always room. */
static void ask(u32 type, const void *payload, u32 length)
{
    struct message m = {type, 0, 0, length};
    write_bytes(&m, sizeof m);
    write_bytes(payload, length);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    para_notify(para_start_info.store_evtchn);
}

static void read_bytes(u32 at, void *to, u32 length)
{
    for (u32 i = 0; i < length; i++)
        ((char *)to)[i] = ring->rsp[(at + i) % sizeof ring->rsp];
}

static void answer(u32 type, const char *payload)
{
    if (type == XS_WATCH_EVENT)
        ask(XS_READ, PATH, sizeof PATH);
    if (type != XS_READ || !*payload)
        return;
    bool off = strcmp(payload, "poweroff") == 0 || strcmp(payload, "halt") == 0, again = strcmp(payload, "reboot") == 0;
    ask(XS_WRITE, PATH, sizeof PATH); /* an empty value: it has been seen */
    if (again)
        power_reset();
    if (off)
        power_button();
}

static void receive(void)
{
    struct message m;
    char payload[PAYLOAD];
    for (;;) {
        u32 there = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) - ring->rsp_cons;
        if (there < sizeof m)
            break;
        read_bytes(ring->rsp_cons, &m, sizeof m);
        if (there < sizeof m + m.len)
            break;
        u32 length = MIN(m.len, (u32)PAYLOAD - 1);
        read_bytes(ring->rsp_cons + sizeof m, payload, length);
        payload[length] = 0;
        __atomic_store_n(&ring->rsp_cons, ring->rsp_cons + sizeof m + m.len, __ATOMIC_RELEASE);
        answer(m.type, payload);
    }
}

void para_power_start(void)
{
    if (para_start_info.flags & SIF_INITDOMAIN || !para_start_info.store_evtchn)
        return;
    ring = para_shared_page(para_start_info.store_mfn);
    bool on = machine_disable();
    para_bind(para_start_info.store_evtchn, receive);
    ask(XS_WATCH, PATH "\0power", sizeof PATH "\0power");
    machine_restore(on);
}
