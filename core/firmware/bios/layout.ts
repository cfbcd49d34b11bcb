/** Where the BIOS lies and what it shares with its stubs and with the systems it serves. */
import { struct } from '../../state/struct.ts';

/** One port a service, in the order of SERVICES: a write to it is the call. */
export const BIOS_PORT = 0xa8;
/** Interrupt vectors whose work is done behind the ports. */
export const SERVICES = [0x10, 0x13, 0x14, 0x15, 0x16, 0x19, 0x1a] as const;
export type Service = (typeof SERVICES)[number];
export const BIOS_PORTS = SERVICES.length;
export const portOf = (service: Service): number => BIOS_PORT + SERVICES.indexOf(service);

/** The real-mode segment of the ROM. */
export const SEGMENT = 0xf000;
export const ROM = SEGMENT * 16;

/** Offset in the ROM of the byte that tells a stub how to go on when its service returns: WAIT_*. */
export const WAIT = 0xdfc0;
/** Done: return to the caller. */
export const WAIT_NONE = 0;
/** Halt until an interrupt, then call the service again. */
export const WAIT_HALT = 1;
/** Call the service again at once. */
export const WAIT_SPIN = 2;

/** INT 15h AH=C0h: the system configuration table. */
export const SYSTEM_TABLE = 0xe6f5;
/** What INT 19h's stub finds in AX when there is a boot sector at 0000:7C00. */
export const BOOTABLE = 0xaa55;
export const BOOT_SECTOR = 0x7c00;
/** AL with which the stubs of INT 19h and INT 18h write to INT 19h's port. */
export const BOOT_LOAD = 0;
export const BOOT_FAILED = 1;

/** The BIOS data area, guest-physical; what follows are offsets from it (IBM's Technical Reference, "BIOS Data Area"). */
export const BDA = 0x400;
export const BDA_COM = BDA + 0x00;
export const BDA_EBDA = BDA + 0x0e;
export const BDA_EQUIPMENT = BDA + 0x10;
export const BDA_MEMORY = BDA + 0x13;
export const BDA_SHIFT = BDA + 0x17;
export const BDA_KEY_HEAD = BDA + 0x1a;
export const BDA_KEY_TAIL = BDA + 0x1c;
export const BDA_KEYS = 0x1e;
export const BDA_KEYS_END = 0x3e;
export const BDA_VIDEO_MODE = BDA + 0x49;
export const BDA_COLUMNS = BDA + 0x4a;
export const BDA_PAGE_SIZE = BDA + 0x4c;
/** Eight words: column and row on each page. */
export const BDA_CURSOR = BDA + 0x50;
export const BDA_CURSOR_SHAPE = BDA + 0x60;
export const BDA_PAGE = BDA + 0x62;
export const BDA_CRTC = BDA + 0x63;
export const BDA_TICKS = BDA + 0x6c;
export const BDA_MIDNIGHT = BDA + 0x70;
export const BDA_DISK_STATUS = BDA + 0x74;
export const BDA_DISKS = BDA + 0x75;
export const BDA_KEYS_FIRST = BDA + 0x80;
export const BDA_KEYS_LAST = BDA + 0x82;
export const BDA_ROWS = BDA + 0x84;
export const BDA_CHARACTER_HEIGHT = BDA + 0x85;

/** Ticks of the 18.2 Hz timer in a day. */
export const TICKS_PER_DAY = 0x1800b0;
const DAY_MS = 86_400_000;
/** The BIOS's tick count at a time of day; `time` in milliseconds since the epoch. */
export const ticksAt = (time: number): number => Math.floor(((time % DAY_MS) / DAY_MS) * TICKS_PER_DAY);

/** What the BIOS must remember beyond the data area: in machine memory, so that any thread can go on. */
export const BiosState = struct('Bios', {
  /** INT 15h AH=86h: when the wait ends, in the clock's nanoseconds; 0: nobody waits. */
  until: 'f64',
  /** When the last ESC came in, in the clock's nanoseconds. */
  escapeTime: 'f64',
  /** Tick count at the first of a row of fruitless looks at the keyboard, and how many there were. */
  pollTick: 'u32',
  polls: 'u32',
  /** 1 while such a look is being held back. */
  held: 'u32',
  /** The terminal's cursor and colours, as far as what was sent to it tells. */
  row: 'u8',
  column: 'u8',
  attribute: 'u8',
  /** The lowest line of the screen that the terminal is known to have. */
  bottom: 'u8',
  /** Where in an escape sequence the input is (keyboard.ts), and its parameter so far. */
  escape: 'u8',
  parameter: 'u8',
});
