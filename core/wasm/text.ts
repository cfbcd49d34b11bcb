/** A function's code as text: WebAssembly's folded text format, one statement a line. */
import { OPS } from './ops.ts';

/** What the binary does not say. */
export interface Names {
  local?(index: number): string | undefined;
  function?(index: number): { readonly name: string; readonly params: number; readonly result: boolean } | undefined;
  /** Of the function type that an indirect call names. */
  type?(index: number): { readonly params: number; readonly result: boolean } | undefined;
}

export interface Line {
  /** Of the statement's first byte, in the body (after the locals). */
  readonly offset: number;
  /** How many constructs it is in. */
  readonly depth: number;
  readonly text: string;
}

const BY_CODE = new Map(
  Object.entries(OPS).map(([name, [code, signature, immediate]]) => [code as number, { name, signature, immediate }]),
);
const CONSTRUCTS: Record<number, string> = { 0x02: 'block', 0x03: 'loop', 0x04: 'if', 0x06: 'try' };
const TYPES: Record<number, string> = { 0x7f: 'i32', 0x7e: 'i64', 0x7d: 'f32', 0x7c: 'f64', 0x7b: 'v128' };

class Reader {
  readonly bytes: Uint8Array;
  at = 0;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  u8(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new Error('the code ends in the midst of an instruction');
    return byte;
  }
  u32(): number {
    let value = 0;
    for (let shift = 1; ; shift *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  }
  s64(): bigint {
    let value = 0n;
    for (let shift = 0n; ;) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return byte & 0x40 ? value - (1n << shift) : value;
    }
  }
}

/** The statements of a code entry as `FunctionBuilder.encode` writes it (core spec, 5.5.13, without the size); throws where it is malformed. */
export function functionText(code: Uint8Array, names: Names = {}): Line[] {
  const r = new Reader(code);
  for (let runs = r.u32(); runs > 0; runs--) {
    r.u32();
    r.u8();
  }
  const start = r.at;
  const lines: Line[] = [];
  const stack: { text: string; offset: number }[] = [];
  const open: string[] = [];
  const number = (value: bigint): string => (value >= -9n && value <= 9n ? String(value) : value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`); // prettier-ignore
  const label = (depth: number): string => open[open.length - 1 - depth] ?? 'return';
  const localName = (index: number): string => `$${names.local?.(index) ?? index}`;
  let offset = 0;
  let labels = 0;

  const take = (count: number): string => {
    const taken = stack.splice(stack.length - count, count);
    if (taken.length < count) throw new Error(`operands are missing at ${r.at}`);
    if (taken.length > 0) offset = Math.min(offset, taken[0]!.offset);
    return taken.map((t) => ` ${t.text}`).join('');
  };
  const flush = (): void => {
    for (const s of stack.splice(0)) lines.push({ offset: s.offset, depth: open.length, text: s.text });
  };
  const put = (text: string): void => {
    flush();
    lines.push({ offset, depth: open.length, text });
  };
  const instruction = (name: string, pops: number, pushes: boolean, immediate = ''): void => {
    const operands = take(pops);
    const text = `${name}${immediate ? ` ${immediate}` : ''}${operands}`;
    if (pushes) stack.push({ text: operands || immediate ? `(${text})` : text, offset });
    else put(text);
  };

  while (r.at < code.length) {
    offset = r.at - start;
    const byte = r.u8();
    const construct = CONSTRUCTS[byte];
    if (construct) {
      const type = r.u8();
      const condition = byte === 0x04 ? take(1) : '';
      const name = `@${++labels}`;
      put(`${construct} ${name}${type === 0x40 ? '' : ` (result ${TYPES[type]})`}${condition}`);
      open.push(name);
      continue;
    }
    switch (byte) {
      case 0x00:
        put('unreachable');
        break;
      case 0x05:
      case 0x0b:
      case 0x07: {
        flush();
        const name = open.pop();
        if (byte === 0x0b) {
          if (name !== undefined) put('end');
          break;
        }
        put(byte === 0x05 ? 'else' : `catch ${r.u32()}`);
        open.push(name!);
        break;
      }
      case 0x08:
        put(`throw ${r.u32()}`);
        break;
      case 0x0c:
        put(`br ${label(r.u32())}`);
        break;
      case 0x0d:
        instruction('br_if', 1, false, label(r.u32()));
        break;
      case 0x0e: {
        const targets = Array.from({ length: r.u32() + 1 }, () => 0).map(() => label(r.u32()));
        instruction('br_table', 1, false, targets.join(' '));
        break;
      }
      case 0x0f:
        put(`return${take(stack.length)}`);
        break;
      case 0x10:
      case 0x12: {
        const index = r.u32();
        const f = names.function?.(index);
        if (!f) throw new Error(`nothing is known of function ${index}`);
        instruction(byte === 0x10 ? 'call' : 'return_call', f.params, byte === 0x10 && f.result, `$${f.name}`);
        break;
      }
      case 0x11:
      case 0x13: {
        const index = r.u32();
        r.u32();
        const f = names.type?.(index);
        if (!f) throw new Error(`nothing is known of type ${index}`);
        instruction(byte === 0x11 ? 'call_indirect' : 'return_call_indirect', f.params + 1, byte === 0x11 && f.result);
        break;
      }
      case 0x1a:
        instruction('drop', 1, false);
        break;
      case 0x1b:
        instruction('select', 3, true);
        break;
      case 0x1c:
        instruction('select', 3, true, `(result ${Array.from({ length: r.u32() }, () => TYPES[r.u8()]).join(' ')})`);
        break;
      case 0x20:
        stack.push({ text: localName(r.u32()), offset });
        break;
      case 0x21:
        instruction('local.set', 1, false, localName(r.u32()));
        break;
      case 0x22:
        instruction('local.tee', 1, true, localName(r.u32()));
        break;
      case 0x41:
      case 0x42:
        stack.push({ text: `${byte === 0x41 ? '' : 'i64:'}${number(r.s64())}`, offset });
        break;
      case 0x43:
      case 0x44: {
        const view = new DataView(code.buffer, code.byteOffset + r.at, 8);
        stack.push({ text: byte === 0x43 ? `f32:${view.getFloat32(0, true)}` : `f64:${view.getFloat64(0, true)}`, offset });
        r.at += byte === 0x43 ? 4 : 8;
        break;
      }
      default: {
        const opcode = byte >= 0xfc ? (byte << 8) | r.u32() : byte;
        if (opcode === 0xfd0c) {
          const value = Array.from({ length: 16 }, () => r.u8().toString(16).padStart(2, '0'));
          stack.push({ text: `v128:${value.reverse().join('')}`, offset });
          break;
        }
        const found = BY_CODE.get(opcode);
        if (!found) throw new Error(`unknown opcode ${opcode.toString(16)} at ${r.at}`);
        let immediate = '';
        if (found.immediate === 'm') {
          r.u32();
          const at = r.u32();
          if (at > 0) immediate = `+0x${at.toString(16)}`;
        } else if (found.immediate === 'l') immediate = String(r.u8());
        else if (found.immediate === 's') immediate = Array.from({ length: 16 }, () => r.u8()).join(' ');
        const arrow = found.signature.indexOf('>');
        instruction(found.name, arrow, arrow + 1 < found.signature.length, immediate);
      }
    }
  }
  return lines;
}
