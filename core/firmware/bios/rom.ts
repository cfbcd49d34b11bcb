/** The BIOS as a system finds it in memory: interrupt vectors, data area, and short stubs in ROM that lead to the services. */
import { EBDA } from '../map.ts';
import type { BootTarget } from '../target.ts';
import * as at from './layout.ts';

const STUBS = 0xe000;
const STUB_SIZE = 0x20;
/** Entry points that IBM's BIOS has at these offsets. */
const BOOTSTRAP = 0xe6f2;
const EQUIPMENT_CHECK = 0xf84d;
const MEMORY_SIZE = 0xf841;
const TICK = 0xfea5;
const IRET_STUB = 0xff53;
const BOOT = 0xe200;
const NO_BOOT = 0xe240;
const EOI_MASTER = 0xe260;
const EOI_BOTH = 0xe270;
const RESET = 0xe280;

/** Coprocessor, 80x25 colour, PS/2 mouse. */
const EQUIPMENT = 0x26;
/** Mode 3, 80 columns, 25 rows, 16 lines a character. */
const VIDEO_MODE = 3;

const lowHigh = (value: number): [number, number] => [value & 0xff, value >> 8];

/** Calls the service, again and again while it asks for that; interrupts are on meanwhile. */
function stub(port: number): number[] {
  return [
    0xfb, // sti
    0xe6, port, // call: out port, al
    0x2e, 0x80, 0x3e, ...lowHigh(at.WAIT), at.WAIT_HALT, // cmp byte cs:[WAIT], WAIT_HALT
    0x72, 0x05, // jb done
    0x75, 0xf4, // jne call
    0xf4, // hlt
    0xeb, 0xf1, // jmp call
    0xcf, // done: iret
  ]; // prettier-ignore
}

/** push ds; mov ax, 40h; mov ds, ax; mov ax, [offset]; pop ds; iret */
const dataAreaWord = (offset: number): number[] => [0x1e, 0xb8, 0x40, 0x00, 0x8e, 0xd8, 0xa1, offset, 0x00, 0x1f, 0xcf];

/** Writes vectors, data area and ROM; for 16-bit systems also sets the interrupt controllers and the timer up. */
export function installBios(target: BootTarget, real: boolean): void {
  const { memory } = target;
  const rom = (offset: number, ...bytes: number[]): void => memory.write(at.ROM + offset, Uint8Array.from(bytes));
  const vector = (n: number, offset: number): void => memory.write32(4 * n, ((at.SEGMENT << 16) | offset) >>> 0);

  memory.write8(at.ROM + at.WAIT, at.WAIT_NONE);
  rom(IRET_STUB, 0xcf);
  at.SERVICES.forEach((service, i) => rom(STUBS + STUB_SIZE * i, ...stub(at.portOf(service))));
  rom(EQUIPMENT_CHECK, ...dataAreaWord(0x10));
  rom(MEMORY_SIZE, ...dataAreaWord(0x13));
  const [dayLow, dayHigh] = [lowHigh(at.TICKS_PER_DAY & 0xffff), lowHigh(at.TICKS_PER_DAY >> 16)];
  // prettier-ignore
  rom(TICK,
    0x1e, 0x50, // push ds; push ax
    0xb8, 0x40, 0x00, 0x8e, 0xd8, // mov ax, 40h; mov ds, ax
    0x66, 0xff, 0x06, 0x6c, 0x00, // inc dword [6ch]
    0x66, 0x81, 0x3e, 0x6c, 0x00, ...dayLow, ...dayHigh, // cmp dword [6ch], TICKS_PER_DAY
    0x72, 0x0e, // jb go
    0x66, 0xc7, 0x06, 0x6c, 0x00, 0, 0, 0, 0, // mov dword [6ch], 0
    0xc6, 0x06, 0x70, 0x00, 0x01, // mov byte [70h], 1
    0xcd, 0x1c, // go: int 1ch
    0xb0, 0x20, 0xe6, 0x20, // mov al, 20h; out 20h, al
    0x58, 0x1f, 0xcf, // pop ax; pop ds; iret
  );
  rom(EOI_MASTER, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf);
  rom(EOI_BOTH, 0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf);
  const boot = at.portOf(0x19);
  // prettier-ignore
  rom(BOOT,
    0xfa, 0xfc, 0x31, 0xc0, // cli; cld; xor ax, ax
    0x8e, 0xd0, 0xbc, ...lowHigh(at.BOOT_SECTOR), // mov ss, ax; mov sp, 7c00h
    0x8e, 0xd8, 0x8e, 0xc0, 0xfb, // mov ds, ax; mov es, ax; sti
    0xb0, at.BOOT_LOAD, 0xe6, boot, // mov al, BOOT_LOAD; out boot, al
    0x3d, ...lowHigh(at.BOOTABLE), // cmp ax, BOOTABLE
    0xb8, 0x00, 0x00, // mov ax, 0
    0x75, 0x05, // jne no
    0xea, ...lowHigh(at.BOOT_SECTOR), 0x00, 0x00, // jmp 0000:7c00
    0xcd, 0x18, // no: int 18h
  );
  // mov al, BOOT_FAILED; out boot, al; idle: sti; hlt; jmp idle
  rom(NO_BOOT, 0xb0, at.BOOT_FAILED, 0xe6, boot, 0xfb, 0xf4, 0xeb, 0xfc);
  rom(BOOTSTRAP, 0xe9, ...lowHigh((BOOT - BOOTSTRAP - 3) & 0xffff));
  // mov dx, 0xcf9; mov al, 6; out dx, al; hlt; jmp to the hlt
  rom(RESET, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4, 0xeb, 0xfd);
  // Length 8; model FC (AT), submodel 1; second PIC, real-time clock and extended BIOS data area are there.
  rom(at.SYSTEM_TABLE, 8, 0, 0xfc, 0x01, 0x00, 0x64, 0x00, 0x00, 0x00, 0x00);
  rom(0xfff0, 0xea, ...lowHigh(RESET), ...lowHigh(at.SEGMENT));
  rom(0xfff5, ...new TextEncoder().encode('01/01/26'));
  rom(0xfffe, 0xfc);

  for (let n = 0; n < 256; n++) vector(n, IRET_STUB);
  at.SERVICES.forEach((n, i) => vector(n, STUBS + STUB_SIZE * i));
  vector(0x08, TICK);
  for (let n = 0x09; n < 0x10; n++) vector(n, EOI_MASTER);
  for (let n = 0x70; n < 0x78; n++) vector(n, EOI_BOTH);
  vector(0x11, EQUIPMENT_CHECK);
  vector(0x12, MEMORY_SIZE);
  vector(0x18, NO_BOOT);
  vector(0x19, BOOTSTRAP);

  installDataArea(target);
  if (real) startInterrupts(target, 0xfa);
  else startInterrupts(target, 0xff);
}

/** Where a vCPU begins that boots from a disk. */
export const BOOT_ENTRY = BOOTSTRAP;

function installDataArea({ memory, serials, disks }: BootTarget): void {
  memory.write(at.BDA, new Uint8Array(0x100));
  [0x3f8, 0x2f8, 0x3e8, 0x2e8].slice(0, serials).forEach((port, i) => memory.write16(at.BDA_COM + 2 * i, port));
  memory.write16(at.BDA_EBDA, EBDA >> 4);
  memory.write16(at.BDA_EQUIPMENT, EQUIPMENT | (serials << 9));
  memory.write16(at.BDA_MEMORY, EBDA >> 10);
  memory.write16(at.BDA_KEY_HEAD, at.BDA_KEYS);
  memory.write16(at.BDA_KEY_TAIL, at.BDA_KEYS);
  memory.write16(at.BDA_KEYS_FIRST, at.BDA_KEYS);
  memory.write16(at.BDA_KEYS_LAST, at.BDA_KEYS_END);
  memory.write8(at.BDA_VIDEO_MODE, VIDEO_MODE);
  memory.write16(at.BDA_COLUMNS, 80);
  memory.write16(at.BDA_PAGE_SIZE, 0x1000);
  memory.write16(at.BDA_CURSOR_SHAPE, 0x0607);
  memory.write16(at.BDA_CRTC, 0x3d4);
  memory.write8(at.BDA_DISKS, disks);
  memory.write8(at.BDA_ROWS, 24);
  memory.write16(at.BDA_CHARACTER_HEIGHT, 16);
  memory.write8(EBDA, 1); // its size in KiB
}

/**
 * The interrupt controllers as a BIOS leaves them: vectors 0x08 and 0x70. Only 16-bit systems rely on the BIOS's interrupt handlers; others
 * would find theirs missing: they get everything masked and no timer.
 */
function startInterrupts(target: BootTarget, mask: number): void {
  const init = (base: number, first: number, cascade: number, masked: number): void => {
    target.writePort(base, 0x11);
    target.writePort(base + 1, first);
    target.writePort(base + 1, cascade);
    target.writePort(base + 1, 0x01);
    target.writePort(base + 1, masked);
  };
  init(0x20, 0x08, 0x04, mask);
  init(0xa0, 0x70, 0x02, 0xff);
  // PCI's interrupts and the SCI are level-triggered.
  target.writePort(0x4d1, 0x0e);
  if (mask !== 0xff) {
    target.writePort(0x43, 0x36);
    target.writePort(0x40, 0);
    target.writePort(0x40, 0);
  }
}
