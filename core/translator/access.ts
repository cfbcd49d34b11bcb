/**
 * Memory accesses of translated code. What the TLB serves is done in place: to have it done by functions that V8 inlines is no better, for it decides by
 * how often each was called when the optimizer came to it. For all else there is a function in the region's own module for each
 * kind of access, which goes on to `slow.ts`.
 */
import { tlbEntry } from '../processor/tlb-entry.ts';
import { SITE_BITS, TlbEntry } from '../state/index.ts';
import { call, FunctionBuilder, i32, i64, op, type Expr, type Late, type LocalRef, type OpName, type Type } from '../wasm/index.ts';
import type { Import } from './emitter/frame.ts';

/**
 * What is read or written: an integer of so many bits, or a vector. `aligned128` must be aligned (vol. 1, 10.4.1.1: the interpreter raises #GP(0)).
 * `low32`, `low64`: a vector's lowest lane, the rest is 0; only read.
 */
export type Item = 8 | 16 | 32 | 64 | 128 | 'aligned128' | 'low32' | 'low64';

interface Shape {
  readonly bytes: number;
  readonly type: Type;
  readonly load: OpName;
  readonly store: OpName;
}

const shape = (bytes: number, type: Type, load: OpName, store: OpName): Shape => ({ bytes, type, load, store });
const SHAPES: Record<Item, Shape> = {
  8: shape(1, 'i32', 'i32.load8_u', 'i32.store8'),
  16: shape(2, 'i32', 'i32.load16_u', 'i32.store16'),
  32: shape(4, 'i32', 'i32.load', 'i32.store'),
  64: shape(8, 'i64', 'i64.load', 'i64.store'),
  128: shape(16, 'v128', 'v128.load', 'v128.store'),
  aligned128: shape(16, 'v128', 'v128.load', 'v128.store'),
  low32: shape(4, 'v128', 'v128.load32_zero', 'i32.store'),
  low64: shape(8, 'v128', 'v128.load64_zero', 'i64.store'),
};

export const typeOf = (item: Item): Type => SHAPES[item].type;
export const bytesOf = (item: Item): number => SHAPES[item].bytes;
export const loadOf = (item: Item): OpName => SHAPES[item].load;
export const storeOf = (item: Item): OpName => SHAPES[item].store;

/**
 * `read`: (address, tlb, site) -> value. `write`: (address, value, tlb, site). `modify`: (address, tlb, site) -> host address for reading and
 * writing, which is in RAM or, for a page table of a para VM, the bounce buffer. Addresses are linear ones: i64 in 64-bit mode, else i32.
 */
export type AccessKind = 'read' | 'write' | 'modify';

export interface Access extends Late {
  readonly name: string;
  readonly params: readonly Type[];
  readonly results: readonly Type[];
  build(imports: Import): FunctionBuilder;
}

/** The access functions that a module needs. */
export class Accesses {
  readonly list: Access[] = [];

  find(kind: AccessKind, item: Item, long: boolean): Access {
    const name = `${kind}${item}${long ? '' : '_32'}`;
    const known = this.list.find((a) => a.name === name);
    if (known) return known;
    const { type } = SHAPES[item];
    const address: Type = long ? 'i64' : 'i32';
    const params: Type[] = kind === 'write' ? [address, type, 'i32', 'i32'] : [address, 'i32', 'i32'];
    const results: Type[] = { read: [type], write: [], modify: ['i32' as const] }[kind];
    const access = {
      name,
      params,
      results,
      index: undefined,
      build: (imports: Import) => buildAccess(kind, item, params, results, imports),
    };
    this.list.push(access);
    return access;
  }
}

export interface Lookup {
  /** Whether the TLB does not serve the access. */
  readonly missed: Expr;
  /** Where it goes otherwise. */
  readonly host: Expr;
}

/** Looks for `bytes` bytes at a linear address in the TLB. `aligned`: an address that is not a multiple of 16 misses. */
export function lookUp(f: FunctionBuilder, write: boolean, address: LocalRef, bytes: number, aligned: boolean, tlb: Expr): Lookup {
  const long = address.type === 'i64';
  const low = long ? i32.wrap(address) : address;
  const entry = f.let(tlbEntry(tlb, low));
  const tag = op('i64.load', [entry], write ? TlbEntry.offsets.writeTag : TlbEntry.offsets.readTag);
  // The page of the last byte: an access that crosses pages has it in another. One that is not aligned has an address like that of no page.
  const plus = aligned ? 0 : bytes - 1;
  const mask = aligned ? -4096 | 15 : -4096;
  const page = long
    ? i64.and(i64.add(address, i64.const(plus)), i64.const(mask))
    : i64.extend_u(i32.and(i32.add(address, i32.const(plus)), i32.const(mask)));
  return { missed: i64.ne(page, tag), host: i32.add(low, op('i32.load', [entry], TlbEntry.offsets.addend)) };
}

function buildAccess(kind: AccessKind, item: Item, params: readonly Type[], results: readonly Type[], imports: Import): FunctionBuilder {
  const { bytes, type, load, store } = SHAPES[item];
  const f = new FunctionBuilder(params, results, true);
  const address = f.param(0);
  const [tlb, site] = [f.param(params.length - 2), f.param(params.length - 1)];
  const long = address.type === 'i64';
  const low = long ? i32.wrap(address) : address;
  const aligned = item === 'aligned128';
  const wide = long ? address : i64.extend_u(address);
  const found = lookUp(f, kind !== 'read', address, bytes, aligned, tlb);
  const size = i32.const(bytes);
  const slow = (name: string): Expr => call(imports(name, ['i64', 'i32', 'i32'], ['i32']), 'i32', [wide, site, size]);
  const { host } = found;
  const missed = (then: () => void): void =>
    f.ifRarely(found.missed, () => {
      if (aligned)
        f.if(i32.and(low, i32.const(15)), () => f.call(imports('interpret', ['i32'], []), [i32.and(site, i32.const(~SITE_BITS))]));
      then();
    });
  if (kind === 'write') {
    const value = f.param(1);
    missed(() => {
      // As i64, or as a vector.
      const [name, sent] = type === 'v128' ? ['slowWriteVector', value] : ['slowWrite', type === 'i64' ? value : i64.extend_u(value)];
      f.call(imports(name as string, ['i64', (sent as Expr).type, 'i32', 'i32'], []), [wide, sent as Expr, site, size]);
      f.return();
    });
    f.do(store, [host, value]);
  } else if (kind === 'read') {
    missed(() => f.return(op(load, [slow('slowRead')])));
    f.yield(op(load, [host]));
  } else {
    missed(() => f.return(slow('slowModify')));
    f.yield(host);
  }
  return f;
}
