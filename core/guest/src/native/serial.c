/* COM1, a 16550A: output polled, input by interrupt, or by the timer where none arrives. */
#include "native.h"

#define COM1 0x3f8
#define COM1_IRQ 4
#define RBR (COM1 + 0)
#define THR (COM1 + 0)
#define IER (COM1 + 1)
#define IIR (COM1 + 2)
#define FCR (COM1 + 2)
#define LCR (COM1 + 3)
#define MCR (COM1 + 4)
#define LSR (COM1 + 5)
#define SCR (COM1 + 7)
#define IER_RECEIVED 1
#define IER_THR_EMPTY 2
#define IIR_FIFO 0xc0
#define FCR_ENABLE_CLEAR 7
#define LCR_8N1 3
#define LCR_DLAB 0x80
#define MCR_DTR_RTS_OUT2 0xb
#define LSR_DATA 1
#define LSR_THR_EMPTY 0x20
#define FIFO_SIZE 16
#define PATIENCE 100000

static volatile bool present, interrupts_work, polling;
static int burst = 1;

const char *native_console_name(void)
{
    return !present ? "none" : polling ? "ttyS0, polled" : "ttyS0";
}

void native_console_start(void)
{
    native_out8(SCR, 0x5a);
    present = native_in8(SCR) == 0x5a && native_in8(LSR) != 0xff;
    if (!present)
        return;
    native_out8(IER, 0);
    native_out8(LCR, LCR_DLAB | LCR_8N1);
    native_out8(COM1, 1); /* 115200 baud */
    native_out8(COM1 + 1, 0);
    native_out8(LCR, LCR_8N1);
    native_out8(FCR, FCR_ENABLE_CLEAR);
    native_out8(MCR, MCR_DTR_RTS_OUT2);
    if ((native_in8(IIR) & IIR_FIFO) == IIR_FIFO)
        burst = FIFO_SIZE;
}

static void wait_empty(void)
{
    for (int i = 0; i < PATIENCE && !(native_in8(LSR) & LSR_THR_EMPTY); i++)
        __builtin_ia32_pause();
}

void native_console_write(const char *text, size_t length)
{
    if (!present)
        return;
    int room = 0;
    for (size_t i = 0; i < length; i++) {
        int n = text[i] == '\n' ? 2 : 1;
        if (room < n) {
            wait_empty();
            room = burst;
        }
        if (n == 2) {
            native_out8(THR, '\r');
            if (burst == 1)
                wait_empty();
        }
        native_out8(THR, text[i]);
        room -= n;
    }
}

static void receive(void)
{
    while (native_in8(LSR) & LSR_DATA)
        console_typed(native_in8(RBR));
}

static void interrupt(void)
{
    interrupts_work = true;
    native_in8(IIR);
    receive();
}

/** Asks for an interrupt that comes at once, "transmitter empty", to see whether any come. */
void native_console_listen(void)
{
    if (!present)
        return;
    wait_empty();
    native_interrupt_register(COM1_IRQ, interrupt);
    native_out8(IER, IER_THR_EMPTY);
    for (u64 until = clock_now() + 5 * MILLISECOND; !interrupts_work && clock_now() < until;)
        __builtin_ia32_pause();
    native_out8(IER, IER_RECEIVED);
    polling = !interrupts_work;
}

bool native_console_polled(void) { return polling; }

void native_console_poll(void)
{
    if (polling)
        receive();
}
