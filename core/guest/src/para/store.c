/* Xenstore: requests and answers in a shared ring (io/xs_wire.h), and the power button, which is a watch on control/shutdown. */
#include "para.h"

#define XS_WATCH_EVENT 15
#define SHUTDOWN_PATH "control/shutdown"

struct message {
    u32 type, req_id, tx_id, len;
};

static struct xenstore_domain_interface *ring;
static struct mutex busy;
static struct semaphore answered = SEMAPHORE_INIT(answered, 0), changed = SEMAPHORE_INIT(changed, 0);
/* Of the request under way. */
static struct message request, answer;
static char *reply;
static u32 room;

static void put(const void *from, u32 length)
{
    for (u32 i = 0; i < length; i++, ring->req_prod++)
        ring->req[ring->req_prod % sizeof ring->req] = ((const char *)from)[i];
}

static void get(u32 at, void *to, u32 length)
{
    for (u32 i = 0; i < length; i++)
        ((char *)to)[i] = ring->rsp[(at + i) % sizeof ring->rsp];
}

static void receive(void)
{
    struct message m;
    for (;;) {
        u32 there = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) - ring->rsp_cons;
        if (there < sizeof m)
            break;
        get(ring->rsp_cons, &m, sizeof m);
        if (there < sizeof m + m.len)
            break;
        if (m.type == XS_WATCH_EVENT) {
            semaphore_up(&changed);
        } else if (m.req_id == request.req_id && reply) {
            u32 length = MIN(m.len, room - 1);
            get(ring->rsp_cons + sizeof m, reply, length);
            reply[length] = 0;
            reply = NULL;
            answer = m;
            semaphore_up(&answered);
        }
        __atomic_store_n(&ring->rsp_cons, ring->rsp_cons + sizeof m + m.len, __ATOMIC_RELEASE);
    }
}

/** `payload`: less than the ring. What is answered is put into `to`, with a zero behind it; false: an error is. */
static bool ask(u32 type, const void *payload, u32 length, char *to, u32 size)
{
    if (!ring)
        return false;
    mutex_lock(&busy);
    bool on = machine_disable();
    request = (struct message){type, request.req_id + 1, 0, length};
    reply = to;
    room = size;
    put(&request, sizeof request);
    put(payload, length);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    para_notify(para_start_info.store_evtchn);
    machine_restore(on);
    semaphore_down(&answered);
    bool good = answer.type == type;
    mutex_unlock(&busy);
    return good;
}

bool para_store_read(const char *path, char *to, u32 size) { return ask(XS_READ, path, strlen(path) + 1, to, size); }
bool para_store_first(const char *path, char *to, u32 size) { return ask(XS_DIRECTORY, path, strlen(path) + 1, to, size) && *to; }

bool para_store_write(const char *path, const char *value)
{
    char payload[256], none[16];
    u32 length = strlen(path) + 1, more = strlen(value);
    if (length + more > sizeof payload)
        return false;
    memcpy(payload, path, length);
    memcpy(payload + length, value, more);
    return ask(XS_WRITE, payload, length + more, none, sizeof none);
}

static void watch(void *unused)
{
    (void)unused;
    char value[16];
    ask(XS_WATCH, SHUTDOWN_PATH "\0power", sizeof SHUTDOWN_PATH "\0power", value, sizeof value);
    for (;;) {
        semaphore_down(&changed);
        if (!para_store_read(SHUTDOWN_PATH, value, sizeof value) || !*value)
            continue;
        para_store_write(SHUTDOWN_PATH, ""); /* it has been seen */
        if (strcmp(value, "reboot") == 0)
            power_reset();
        if (strcmp(value, "poweroff") == 0 || strcmp(value, "halt") == 0)
            power_button();
    }
}

void para_power_start(void)
{
    if (para_start_info.flags & SIF_INITDOMAIN || !para_start_info.store_evtchn)
        return;
    ring = para_shared_page(para_start_info.store_mfn);
    mutex_init(&busy);
    para_bind(para_start_info.store_evtchn, receive);
    thread_create("xenstore", watch, NULL, NULL);
}
