/**
 * Structures in machine memory, written once: a definition gives offsets (for WebAssembly and AssemblyScript), sizes, typed views
 * (for TypeScript) and, through `describe`, documentation.
 */

const WIDTH = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, f64: 8, v128: 16 } as const;

export type Scalar = keyof typeof WIDTH;
/** A scalar, `[scalar, count]` for an array, or a structure (embedded), or `[structure, count]`. */
export type FieldType = Scalar | readonly [Scalar, number] | Struct | readonly [Struct, number];
export type Fields = Record<string, FieldType>;

type ViewOf<F extends FieldType> = F extends Scalar
  ? number
  : F extends readonly [infer S, number]
    ? S extends Struct<infer G>
      ? readonly View<G>[]
      : Cells
    : F extends Struct<infer G>
      ? View<G>
      : never;

/** An array field seen from TypeScript; `length` is the number of cells. */
export interface Cells {
  readonly length: number;
  get(index: number): number;
  set(index: number, value: number): void;
  fill(value: number): void;
}

/** A typed view: scalars are numbers (u64 as a double: exact to 2^53), arrays are `Cells`, structures are views. */
export type View<F extends Fields> = { -readonly [K in keyof F]: ViewOf<F[K]> } & { readonly address: number };

export interface Struct<F extends Fields = Fields> {
  readonly name: string;
  readonly fields: F;
  /** Bytes, a multiple of `align`. */
  readonly size: number;
  readonly align: number;
  /** Byte offset of each field from the start of the structure. */
  readonly offsets: { readonly [K in keyof F]: number };
  /** A view at byte `address` of a memory's buffer. Views of a shared memory stay valid: it never grows. */
  view(buffer: ArrayBufferLike, address: number): View<F>;
}

const isStruct = (t: unknown): t is Struct => typeof t === 'object' && t !== null && !Array.isArray(t);
const element = (t: FieldType): Scalar | Struct => (Array.isArray(t) ? (t[0] as Scalar | Struct) : (t as Scalar | Struct));
const count = (t: FieldType): number => (Array.isArray(t) ? (t[1] as number) : 1);
const sizeOf = (e: Scalar | Struct): number => (isStruct(e) ? e.size : WIDTH[e]);
const alignOf = (e: Scalar | Struct): number => (isStruct(e) ? e.align : WIDTH[e]);

const TWO32 = 0x1_0000_0000;

function read(v: DataView, type: Scalar, at: number): number {
  switch (type) {
    case 'u8':
      return v.getUint8(at);
    case 'u16':
      return v.getUint16(at, true);
    case 'u32':
      return v.getUint32(at, true);
    case 'i32':
      return v.getInt32(at, true);
    case 'f64':
      return v.getFloat64(at, true);
    case 'u64':
    case 'v128':
      return v.getUint32(at, true) + v.getUint32(at + 4, true) * TWO32;
  }
}

function write(v: DataView, type: Scalar, at: number, value: number): void {
  switch (type) {
    case 'u8':
      return v.setUint8(at, value);
    case 'u16':
      return v.setUint16(at, value, true);
    case 'u32':
      return v.setUint32(at, value, true);
    case 'i32':
      return v.setInt32(at, value, true);
    case 'f64':
      return v.setFloat64(at, value, true);
    case 'u64':
    case 'v128':
      v.setUint32(at, value >>> 0, true);
      return v.setUint32(at + 4, Math.floor(value / TWO32) >>> 0, true);
  }
}

/** Lays fields out in the order written, each at its natural alignment. */
export function struct<const F extends Fields>(name: string, fields: F): Struct<F> {
  const offsets: Record<string, number> = {};
  let at = 0;
  let align = 1;
  for (const [key, type] of Object.entries(fields)) {
    const e = element(type);
    const a = alignOf(e);
    align = Math.max(align, a);
    at = Math.ceil(at / a) * a;
    offsets[key] = at;
    at += sizeOf(e) * count(type);
  }
  const size = Math.ceil(at / align) * align;

  function view(buffer: ArrayBufferLike, address: number): View<F> {
    const data = new DataView(buffer, address, size);
    const result = { address };
    for (const [key, type] of Object.entries(fields)) {
      const e = element(type);
      const offset = offsets[key]!;
      if (isStruct(e)) {
        const views = Array.from({ length: count(type) }, (_, i) => e.view(buffer, address + offset + i * e.size));
        Object.defineProperty(result, key, { value: Array.isArray(type) ? views : views[0], enumerable: true });
      } else if (Array.isArray(type)) {
        const width = WIDTH[e];
        const length = count(type);
        const at = (index: number): number => {
          if (!(index >= 0 && index < length)) throw new RangeError(`${name}.${key}[${index}]: the array has ${length} cells`);
          return offset + index * width;
        };
        const cells: Cells = {
          length,
          get: (index) => read(data, e, at(index)),
          set: (index, value) => write(data, e, at(index), value),
          fill: (value) => {
            for (let i = 0; i < length; i++) write(data, e, offset + i * width, value);
          },
        };
        Object.defineProperty(result, key, { value: cells, enumerable: true });
      } else {
        Object.defineProperty(result, key, {
          enumerable: true,
          get: () => read(data, e, offset),
          set: (value: number) => write(data, e, offset, value),
        });
      }
    }
    return result as unknown as View<F>;
  }

  return { name, fields, size, align, offsets: offsets as { [K in keyof F]: number }, view };
}

/** What lies `offset` bytes into a structure, in words: `gpr[3]`, `reach[2].base`, `eflags+1`. */
export function fieldAt({ fields, offsets, size }: Struct, offset: number): string {
  let name: string | undefined;
  for (const key of Object.keys(fields)) if (offsets[key]! <= offset) name = key;
  if (name === undefined || offset >= size) return `+0x${offset.toString(16)}`;
  const type = fields[name]!;
  const e = element(type);
  const inside = offset - offsets[name]!;
  const index = Math.min(Math.floor(inside / sizeOf(e)), count(type) - 1);
  const rest = inside - index * sizeOf(e);
  const text = Array.isArray(type) ? `${name}[${index}]` : name;
  if (isStruct(e)) return `${text}.${fieldAt(e, rest)}`;
  return rest > 0 ? `${text}+${rest}` : text;
}
