/** ACPI machine language (ACPI 6.4, chapter 20) and resource descriptors (6.4): as much as a PC's DSDT takes. Each function returns bytes. */

export type Aml = readonly number[];

const word = (v: number): number[] => [v & 0xff, (v >>> 8) & 0xff];
const dword = (v: number): number[] => [v & 0xff, (v >>> 8) & 0xff, (v >>> 16) & 0xff, (v >>> 24) & 0xff];
const ascii = (text: string): number[] => [...text].map((c) => c.charCodeAt(0));

/** PkgLength (20.2.4) of what follows, itself included. */
function packageLength(content: number): number[] {
  if (content + 1 < 0x40) return [content + 1];
  for (let extra = 1; extra <= 3; extra++) {
    const total = content + 1 + extra;
    if (total < 2 ** (4 + 8 * extra)) {
      const bytes = [(extra << 6) | (total & 15)];
      for (let i = 0; i < extra; i++) bytes.push((total >>> (4 + 8 * i)) & 0xff);
      return bytes;
    }
  }
  throw new RangeError(`${content} bytes are too many for one AML package`);
}

const wrap = (opcode: readonly number[], content: readonly number[]): Aml => [...opcode, ...packageLength(content.length), ...content];

/** A name string: segments of up to four characters joined by dots, `\` first for the root. */
export function path(text: string): Aml {
  const root = text.startsWith('\\');
  const segments = (root ? text.slice(1) : text).split('.').map((s) => s.padEnd(4, '_'));
  for (const s of segments) if (!/^[A-Z_][A-Z0-9_]{3}$/.test(s)) throw new Error(`"${s}" is not an ACPI name`);
  const bytes = segments.flatMap(ascii);
  const prefix = segments.length === 1 ? [] : segments.length === 2 ? [0x2e] : [0x2f, segments.length];
  return [...(root ? [0x5c] : []), ...prefix, ...bytes];
}

export function integer(value: number): Aml {
  if (value === 0) return [0x00];
  if (value === 1) return [0x01];
  if (value < 0x100) return [0x0a, value];
  if (value < 0x1_0000) return [0x0b, ...word(value)];
  if (value <= 0xffff_ffff) return [0x0c, ...dword(value)];
  return [0x0e, ...dword(value % 2 ** 32), ...dword(Math.floor(value / 2 ** 32))];
}

export const text = (value: string): Aml => [0x0d, ...ascii(value), 0];

/** A compressed EISA identifier, as in "PNP0A03" (19.3.4). */
export function eisaId(id: string): Aml {
  const [a, b, c] = ascii(id).map((x) => x - 0x40) as [number, number, number];
  const vendor = (a << 10) | (b << 5) | c;
  const product = Number.parseInt(id.slice(3), 16);
  return [0x0c, vendor >> 8, vendor & 0xff, product >> 8, product & 0xff];
}

export const name = (at: string, value: Aml): Aml => [0x08, ...path(at), ...value];
export const scope = (at: string, ...content: Aml[]): Aml => wrap([0x10], [...path(at), ...content.flat()]);
export const device = (at: string, ...content: Aml[]): Aml => wrap([0x5b, 0x82], [...path(at), ...content.flat()]);
export const pack = (...elements: Aml[]): Aml => wrap([0x12], [elements.length, ...elements.flat()]);

const buffer = (bytes: readonly number[]): Aml => wrap([0x11], [...integer(bytes.length), ...bytes]);

/** A _CRS buffer of resource descriptors, with its end tag (checksum 0: none). */
export const resources = (...descriptors: Aml[]): Aml => buffer([...descriptors.flat(), 0x79, 0]);

/** A fixed range of I/O ports, 16-bit decode. */
export const ioPorts = (base: number, length: number): Aml => [0x47, 0x01, ...word(base), ...word(base), 1, length];

/** An edge-triggered, active-high interrupt. */
export const irq = (number: number): Aml => [0x22, ...word(1 << number)];

const RANGE_FIXED = 0x0c;

/** Bus numbers that a bridge decodes. */
export const busNumbers = (first: number, last: number): Aml => [
  0x88,
  ...word(13),
  2,
  RANGE_FIXED,
  0,
  ...[0, first, last, 0, last - first + 1].flatMap(word),
];

/** I/O ports that a bridge forwards. */
export const ioWindow = (first: number, last: number): Aml => [
  0x88,
  ...word(13),
  1,
  RANGE_FIXED,
  3,
  ...[0, first, last, 0, last - first + 1].flatMap(word),
];

/** Memory that a bridge forwards, non-cacheable and writable. */
export const memoryWindow = (first: number, last: number): Aml => [
  0x87,
  ...word(23),
  0,
  RANGE_FIXED,
  1,
  ...[0, first, last, 0, last - first + 1].flatMap(dword),
];
