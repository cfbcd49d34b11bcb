/*
 * System calls: the number in RAX, arguments in RDI, RSI, RDX; the result in RAX, negative on errors. SYSCALL (which
 * destroys RCX and R11) or INT 0x80; from 32-bit code INT 0x80 with arguments in EBX, ECX, EDX.
 */
#pragma once

#define CALL_EXIT 0    /* (status) ends the program */
#define CALL_WRITE 1   /* (text, length) to the console; the length written */
#define CALL_READ 2    /* (buffer, size) one line from the console, without its end */
#define CALL_YIELD 3   /* () */
#define CALL_SLEEP 4   /* (nanoseconds) */
#define CALL_PID 5     /* () */
#define CALL_CLOCK 6   /* () nanoseconds since the start */
#define CALL_MAP 7     /* (size, MAP_* flags) the address of fresh zero pages */
#define CALL_UNMAP 8   /* (address) a mapping that CALL_MAP returned */
#define CALL_FORK 9    /* () 0 in the copy; the copy's pid in the caller */
#define CALL_WAIT 10   /* (pid) waits for a copy; its exit status, or 256 + vector if an exception killed it */
#define CALL_THREAD 11 /* (entry, stack, argument) a thread in this program; argument arrives in RDI */
#define CALL_LEAVE 12  /* () ends the calling thread; the program ends with its last one */
#define CALL_INFO 13   /* (INFO_* number) */
#define CALL_COUNT 14

#define MAP_WRITE 1
#define MAP_EXECUTE 2

#define INFO_COPIES 0   /* pages copied on write for this program */
#define INFO_PAGES 1    /* pages of its own */
#define INFO_SWITCHES 2 /* times this thread was switched to */
#define INFO_TSC_HZ 3

#define ERROR_FAULT (-14)
#define ERROR_NO_MEMORY (-12)
#define ERROR_INVALID (-22)
#define ERROR_NO_CALL (-38)
#define ERROR_NO_CHILD (-10)
#define ERROR_INTERRUPTED (-4)

/* Selectors of user code, as the kernel's GDT has them. */
#define USER_CODE32 0x1b
#define USER_DATA 0x23
#define USER_CODE64 0x2b
