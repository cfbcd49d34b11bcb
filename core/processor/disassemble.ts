/** Decoded records as text, in the syntax of the Intel manuals: made from the rows, so that what has a row has a disassembly. */
import type { Operand, Row } from '../spec/row.ts';
import {
  Cpu, FS, HANDLER_END, HANDLER_FIRST, HANDLER_STALE, HANDLER_TOO_LONG, HANDLER_UNDEFINED, PREFIX_LOCK, PREFIX_REP, PREFIX_REPNE, Reach, Record,
} from '../state/index.ts'; // prettier-ignore
import { handlerRow, nativeHandler } from './handlers.ts';

const O = Cpu.offsets;
const R = Record.offsets;
const GPR_END = O.gpr + 16 * 8;
const LEGACY = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];
const BYTES = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'];
const HIGH = ['ah', 'ch', 'dh', 'bh'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];
const SIZES: Record<number, string> = { 8: 'byte', 16: 'word', 32: 'dword', 64: 'qword', 80: 'tbyte', 128: 'oword' };
const STRING = /^(MOVS|CMPS|STOS|LODS|SCAS|INS|OUTS)B?$/;
/** Mnemonics whose name the operand size decides: 16, 32, 64 bits. */
const BY_SIZE: Record<string, readonly [string, string, string]> = {
  CBW: ['cbw', 'cwde', 'cdqe'],
  CWD: ['cwd', 'cdq', 'cqo'],
  IRET: ['iretw', 'iret', 'iretq'],
};

/** A general register's name, of a width in bits. */
export function registerName(register: number, width: number, high = false): string {
  if (high) return HIGH[register]!;
  if (register >= 8) return `r${register}${{ 8: 'b', 16: 'w', 32: 'd' }[width] ?? ''}`;
  if (width === 8) return BYTES[register]!;
  return `${{ 16: '', 32: 'e' }[width] ?? 'r'}${LEGACY[register]!}`;
}

const hex = (value: bigint | number): string => (value < 0 ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`);

/** One record as it was decoded. */
class Text {
  readonly #view: DataView;
  readonly #record: number;
  readonly #row: Row;
  readonly #size: number;
  readonly #memory: boolean;
  /** Linear address of the instruction. */
  readonly #address: bigint;
  #immediates = 0;

  constructor(view: DataView, record: number, row: Row, size: number, memory: boolean, address: bigint) {
    this.#view = view;
    this.#record = record;
    this.#row = row;
    this.#size = size;
    this.#memory = memory;
    this.#address = address;
  }

  #u16(field: number): number {
    return this.#view.getUint16(this.#record + field, true);
  }
  #s64(field: number): bigint {
    return this.#view.getBigInt64(this.#record + field, true);
  }

  #width(o: Operand): number {
    if (o.size === 'v') return this.#size;
    if (o.size === 'z') return this.#size === 16 ? 16 : 32;
    if (o.size === 'y') return this.#size === 64 ? 64 : 32;
    return o.size === 'none' ? 0 : o.size;
  }

  #slot(slot: number, width: number): string {
    if (slot < GPR_END) return registerName((slot - O.gpr) >> 3, width, (slot & 7) === 1);
    if (slot >= O.fpr) return `mm${(slot - O.fpr) >> 4}`;
    return `xmm${(slot - O.xmm) >> 4}`;
  }

  #address_(): string {
    const [base, index, segment] = [this.#u16(R.base), this.#u16(R.index), this.#u16(R.segment)];
    const mask = this.#s64(R.addressMask);
    const width = mask === -1n ? 64 : mask === 0xffffn ? 16 : 32;
    const displacement = this.#s64(R.displacement);
    const parts: string[] = [];
    if (base < GPR_END) parts.push(this.#slot(base, width));
    if (index < GPR_END) parts.push(this.#slot(index, width) + ['', '*2', '*4', '*8'][this.#view.getUint8(this.#record + R.scale)]!);
    let text = parts.join('+');
    if (base === O.ripBase) text = `rel ${hex(BigInt.asUintN(64, this.#address - BigInt(this.#u16(R.pageOffset)) + displacement))}`;
    else if (text === '') text = hex(BigInt.asUintN(width, displacement));
    else if (displacement !== 0n) text += (displacement < 0n ? '' : '+') + hex(BigInt.asIntN(width, displacement));
    const stack = base === O.gpr + 4 * 8 || base === O.gpr + 5 * 8;
    const used = (segment - O.reach) / Reach.size;
    return `[${used >= FS || used !== (stack ? 2 : 3) ? `${SEGMENTS[used]}:` : ''}${text}]`;
  }

  operand(o: Operand): string {
    const width = this.#width(o);
    const memory = (): string => `${SIZES[width] ? `${SIZES[width]} ` : ''}${this.#address_()}`;
    switch (o.kind) {
      case 'fixed':
        return width === 8 && o.register >= 4 ? HIGH[o.register - 4]! : registerName(o.register, width);
      case 'r':
      case 'xmm':
      case 'mm':
        return this.#slot(this.#u16(R.reg), width);
      case 'rr':
        return this.#slot(this.#u16(R.base), width);
      case 'rm':
      case 'xmmrm':
      case 'mmrm':
        return this.#memory ? memory() : this.#slot(this.#u16(R.base), width);
      case 'm':
      case 'mptr':
      case 'moffs':
        return memory();
      case 'imm':
      case 'imms': {
        if (this.#immediates++ > 0) return hex(this.#u16(R.extra));
        return hex(o.kind === 'imms' ? this.#s64(R.immediate) : BigInt.asUintN(width, this.#s64(R.immediate)));
      }
      case 'rel': {
        const next = this.#address + BigInt(this.#view.getUint8(this.#record + R.length));
        return hex(BigInt.asUintN(64, next + this.#s64(R.immediate)));
      }
      case 'ptr':
        return `${hex(this.#u16(R.extra))}:${hex(BigInt.asUintN(32, this.#s64(R.immediate)))}`;
      case 'sreg':
        return SEGMENTS[this.#u16(R.extra) & 7] ?? '?';
      case 'cr':
      case 'dr':
        return `${o.kind}${this.#u16(R.extra)}`;
      case 'sti':
        return `st${this.#u16(R.extra) & 7}`;
      default:
        return o.text.toLowerCase();
    }
  }

  text(): string {
    const row = this.#row;
    const prefixes = this.#view.getUint8(this.#record + R.prefixes);
    let name = row.mnemonic.toLowerCase();
    const bySize = BY_SIZE[row.mnemonic];
    if (bySize) name = bySize[this.#size === 16 ? 0 : this.#size === 64 ? 2 : 1];
    else if (STRING.test(row.mnemonic)) {
      if (!row.mnemonic.endsWith('B')) name += { 16: 'w', 64: 'q' }[this.#size] ?? 'd';
      if (prefixes & PREFIX_REP) name = `rep ${name}`;
      if (prefixes & PREFIX_REPNE) name = `repne ${name}`;
    }
    if (prefixes & PREFIX_LOCK) name = `lock ${name}`;
    // The accumulator of CBW and CWD is in the name.
    const operands = bySize ? [] : row.operands.map((o) => this.operand(o));
    return operands.length > 0 ? `${name} ${operands.join(', ')}` : name;
  }
}

/**
 * The instruction of a record: `handler` is what the decoder put there (a translation may stand in its place by now), `address` the linear
 * address of its first byte.
 */
export function disassemble(view: DataView, record: number, handler: number, address: bigint): string {
  if (handler < HANDLER_FIRST)
    return (
      { [HANDLER_STALE]: '(stale)', [HANDLER_END]: '(end of block)', [HANDLER_UNDEFINED]: '(undefined)', [HANDLER_TOO_LONG]: '(too long)' }[
        handler
      ] ?? '(?)'
    );
  const found = handlerRow(handler);
  if (!found) return '(translated)';
  const slot = nativeHandler(handler) - found.base;
  return new Text(view, record, found.row, found.sizes[slot >> 1]!, (slot & 1) === 1, address).text();
}
