/** RAM as a program finds it: kernel, page tables, code, data. */
import { numbers } from '../../core/translator/testing.ts';
import type { Layout } from './assembler.ts';
import { kernel, type Bits, type EntrySize } from './kernel.ts';
import * as P from './places.ts';
import type { Program } from './program.ts';

const PRESENT = 1;
const USER_READ = 0x25;
const USER_WRITE = 0x27;
const SUPERVISOR_WRITE = 0x63;
/** Bit 63 of an 8-byte entry. */
const NO_EXECUTE = 0x8000_0000;

interface Entry {
  readonly low: number;
  readonly high: number;
}

/** Entries by page number, of one of the two address spaces. */
function entries(wide: boolean, other: boolean): Map<number, Entry> {
  const out = new Map<number, Entry>();
  const map = (linear: number, physical: number, bits: number, noExecute = false): void => {
    out.set(linear >>> 12, { low: physical | bits, high: noExecute && wide ? NO_EXECUTE : 0 });
  };
  for (let at = P.IDT; at < P.CODE; at += P.PAGE) map(at, at, SUPERVISOR_WRITE);
  map(P.CONTROL, P.CONTROL, USER_WRITE);
  map(P.CONTROL_ALIAS, P.CONTROL, SUPERVISOR_WRITE, true);
  map(P.KERNEL_STACK - P.PAGE, P.KERNEL_STACK - P.PAGE, SUPERVISOR_WRITE);
  for (let i = 0; i < P.CODE_PAGES; i++) {
    const at = P.CODE + i * P.PAGE;
    // Fetches meet one that is absent at first.
    map(at, at, i === 3 && !other ? USER_WRITE & ~PRESENT : USER_WRITE);
    map(P.CODE_ALIAS + i * P.PAGE, at, USER_WRITE, true);
    map(P.EXECUTE_ALIAS + i * P.PAGE, P.CODE + ((i + Number(other)) % P.CODE_PAGES) * P.PAGE, USER_READ);
  }
  for (let i = 0; i < 10; i++) {
    const at = P.DATA + i * P.PAGE;
    map(at, other && i < 4 ? P.DATA + (3 - i) * P.PAGE : at, i === 1 ? 7 : USER_WRITE, i === 0);
    map(P.DATA_ALIAS + i * P.PAGE, at, USER_WRITE);
  }
  map(P.FIXED_WRITE, P.FIXED_WRITE, USER_READ);
  map(P.FIXED_ABSENT, P.FIXED_ABSENT, other ? USER_WRITE : USER_WRITE & ~PRESENT);
  map(P.SUPERVISOR, P.SUPERVISOR, SUPERVISOR_WRITE);
  map(P.READ_ONLY, P.READ_ONLY, USER_READ);
  out.delete(P.ABSENT >>> 12);
  map(P.STACK - P.PAGE, P.STACK - P.PAGE, USER_WRITE & ~PRESENT);
  for (let at = P.STACK; at < P.STACK + 2 * P.PAGE; at += P.PAGE) map(at, at, USER_WRITE, true);
  map(P.MMIO, 0xa0000, USER_WRITE);
  return out;
}

function tables(put: (at: number, ...words: number[]) => void, bits: Bits, size: EntrySize, other: boolean): void {
  const root = P.TABLES + (other ? 0x4000 : 0);
  const last = root + 0x3000;
  if (bits === 64) {
    put(root, (root + 0x1000) | 7, 0);
    // The upper half shows the same.
    put(root + 256 * 8, (root + 0x1000) | 7, 0);
    put(root + 0x1000, (root + 0x2000) | 7, 0);
    put(root + 0x2000, last | 7, 0);
  } else if (size === 8) {
    put(root, (root + 0x2000) | 1, 0);
    put(root + 0x2000, last | 7, 0);
  } else put(root, last | 7);
  for (const [page, { low, high }] of entries(size === 8, other)) put(last + page * size, ...(size === 8 ? [low, high] : [low]));
}

/** What a handler adds to the entry of a page that was missing: or 0. */
const FIXES: readonly (readonly [number, number])[] = [
  [P.FIXED_WRITE, 7],
  [P.FIXED_ABSENT, 7],
  [P.STACK - P.PAGE, 7],
  [P.CODE + 3 * P.PAGE, 7],
];

function fixed(bits: Bits, size: EntrySize): Uint8Array {
  const bytes = new Uint8Array(P.USED);
  const view = new DataView(bytes.buffer);
  const put = (at: number, ...words: number[]): void => words.forEach((w, i) => view.setUint32(at + i * 4, w, true));
  for (const { at, bytes: piece } of kernel(bits, size).pieces) bytes.set(piece, at);
  tables(put, bits, size, false);
  tables(put, bits, size, true);
  const first = entries(size === 8, false);
  FIXES.forEach(([page, fix], i) => {
    bytes[P.FIX + (page >>> 12)] = fix;
    put(P.UNFIX + i * 8, page >>> 12, first.get(page >>> 12)!.low);
  });
  return bytes;
}

const cache = new Map<string, Uint8Array>();
/** Data to begin with: numbers that matter to somebody. */
const pool = ((): Uint8Array => {
  const random = numbers(1);
  const bytes = new Uint8Array(0x10000);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += 8) {
    const put32 = (value: number): void => {
      view.setUint32(at, value, true);
      view.setUint32(at + 4, random(4) ? 0 : random(0x1_0000_0000), true);
    };
    switch (random(6)) {
      case 0:
        view.setFloat64(at, (random(2000) - 1000) / [1, 3, 7, 1e300, 1e-300][random(5)]!, true);
        break;
      case 1:
        view.setFloat32(at, (random(2000) - 1000) / [1, 3, 1e30, 1e-38][random(4)]!, true);
        view.setFloat32(at + 4, [0, 1, Infinity, NaN, -0][random(5)]!, true);
        break;
      case 2:
        put32([0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x8000, 0xff, 0x7f800000][random(8)]!);
        break;
      case 3:
        put32(random(256));
        break;
      default:
        view.setUint32(at, random(0x1_0000_0000), true);
        view.setUint32(at + 4, random(0x1_0000_0000), true);
    }
  }
  return bytes;
})();

const scratch = new Uint8Array(P.USED);

/** Valid until the next call. */
export function image(program: Program, code: Layout): Uint8Array {
  const { bits, pae, fill, cr0, cr4 } = program.settings;
  const size = bits === 64 || pae ? 8 : 4;
  const key = `${bits} ${size}`;
  let base = cache.get(key);
  if (!base) cache.set(key, (base = fixed(bits, size)));
  scratch.set(base);
  scratch.set(code.bytes, P.CODE);
  const from = (fill % 0x500) * 16;
  scratch.set(pool.subarray(from, from + 0xa000), P.DATA);
  scratch.set(pool.subarray(from, from + 0x2000), P.STACK);
  const view = new DataView(scratch.buffer);
  view.setUint32(P.CR0_DEFAULT, cr0, true);
  view.setUint32(P.CR4_DEFAULT, cr4, true);
  for (const { at, label } of program.pointers) view.setUint32(at, code.labels.get(label) ?? P.CODE, true);
  return scratch;
}
