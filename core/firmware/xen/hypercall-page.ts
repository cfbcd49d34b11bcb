/** The hypercall page of a 64-bit guest: for each number 32 bytes of code (Xen's public header arch-x86/xen-x86_64.h says what registers they keep). */
import { HYPERCALLS, PAGE } from '../../state/index.ts';

const ENTRY = 32;
const IRET = 23;
const PUSH_RCX = [0x51];
const PUSH_R11 = [0x41, 0x53];
const PUSH_RAX = [0x50];
const MOV_EAX = [0xb8];
const SYSCALL = [0x0f, 0x05];
const POP_R11 = [0x41, 0x5b];
const POP_RCX = [0x59];
const RET = [0xc3];
const INT3 = 0xcc;

export function hypercallPage(): Uint8Array {
  const page = new Uint8Array(PAGE).fill(INT3);
  for (let number = 0; number < HYPERCALLS; number++) {
    const call = [...MOV_EAX, number, 0, 0, 0, ...SYSCALL];
    // iret does not come back: its frame begins with RAX, R11 and RCX (struct iret_context).
    page.set(
      number === IRET
        ? [...PUSH_RCX, ...PUSH_R11, ...PUSH_RAX, ...call]
        : [...PUSH_RCX, ...PUSH_R11, ...call, ...POP_R11, ...POP_RCX, ...RET],
      number * ENTRY,
    );
  }
  return page;
}
