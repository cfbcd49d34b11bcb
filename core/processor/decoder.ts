/** Writes decoded records into machine memory (core/state/code.ts), block by block. */
import type { Feature } from '../spec/cpuid.ts';
import { hasFeature } from '../spec/cpuid.ts';
import type { Operand } from '../spec/row.ts';
import {
  BlockHeader, CODE_16, CODE_64, CODE_HASH_ENTRIES, CodeHash, CodePage, Control, Cpu, CS, HANDLER_COUNT, HANDLER_END, HANDLER_TOO_LONG, HANDLER_UNDEFINED, PAGE,
  PREFIX_OPERAND, PREFIX_REP, PREFIX_REPNE, Reach, Record, Segment,
} from '../state/index.ts'; // prettier-ignore
import { Matcher, type Instruction } from './match.ts';

const O = Cpu.offsets;
const R = Record.offsets;
/** Instructions a block has at most: `position` must fit its byte, and interrupts must not wait. */
const BLOCK_MAX = 64;
const REGISTER_FORM = 0xffff;

/** What the decoder needs from the helpers: RAM offset of the byte at a linear address (may throw the guest's fault), and page protection. */
export interface DecoderHelpers {
  fetchAddress(cpu: number, linear: bigint): number;
  protectCodePage(page: number): void;
  /** Of how many entries a block in a page of that `churn` has to go short. */
  patience(churn: number): number;
  /** Forgets all decoded code. */
  forgetCode(): void;
}

/** What an undefined instruction is called in statistics: its mandatory prefix and opcode in hexadecimal, and modrm.reg. */
export function undefinedName(code: number): string {
  const prefixes = code >>> 24;
  const map = ['', '0f ', '0f 38 ', '0f 3a '][(code >> 8) & 3]!;
  const prefix = prefixes & PREFIX_REP ? 'f3 ' : prefixes & PREFIX_REPNE ? 'f2 ' : prefixes & PREFIX_OPERAND ? '66 ' : '';
  return `${prefix}${map}${(code & 0xff).toString(16).padStart(2, '0')} /${(code >> 19) & 7}`;
}

/** Something that the matcher cannot get at without leaving the page: the block ends before this instruction. */
const PAGE_END = new Error('the page ends');

export class Decoder {
  readonly #u8: Uint8Array;
  readonly #view: DataView;
  readonly #control;
  readonly #helpers: DecoderHelpers;
  readonly #matcher: Matcher;
  /** RAM address of the instruction being decoded, and how many of its bytes lie in the page. */
  #base = 0;
  #inPage = 0;
  /** Set while one instruction is decoded that may cross into the next page. */
  #crossing: { cpu: number; second: number } | undefined;
  /** Called after everything was forgotten. */
  onForget: () => void = () => {};

  constructor(memory: WebAssembly.Memory, helpers: DecoderHelpers) {
    this.#u8 = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
    this.#control = Control.view(memory.buffer, 0);
    this.#helpers = helpers;
    const words = Cpu.view(memory.buffer, this.#control.cpus).features;
    const features = Array.from({ length: words.length }, (_, i) => words.get(i));
    this.#matcher = new Matcher(
      (i) => this.#fetch(i),
      (feature: Feature) => hasFeature(features, feature),
    );
  }

  #fetch(i: number): number {
    if (i < this.#inPage) return this.#u8[this.#base + i]!;
    if (!this.#crossing) throw PAGE_END;
    const { cpu } = this.#crossing;
    if (this.#crossing.second < 0) {
      const rip = this.#view.getBigUint64(cpu + O.rip, true);
      const base = this.#view.getBigUint64(cpu + O.reach + CS * Reach.size, true);
      const linear = (rip + base + BigInt(this.#inPage)) & this.#view.getBigUint64(cpu + O.linearMask, true);
      const offset = this.#helpers.fetchAddress(cpu, BigInt.asIntN(64, linear));
      this.#crossing.second = this.#control.ram + (offset >>> 0);
    }
    return this.#u8[this.#crossing.second + i - this.#inPage]!;
  }

  /** Decodes the block that begins at RAM offset `at`; returns its first record. An instruction that crosses pages is not kept. */
  decode(cpu: number, at: number): number {
    const mode = this.#view.getUint32(cpu + O.codeSize, true);
    const control = this.#control;
    if (control.recordsNext + BlockHeader.size + (BLOCK_MAX + 1) * Record.size > control.recordsEnd) this.forget();
    const header = control.recordsNext;
    const first = header + BlockHeader.size;
    const page = at >>> 12;
    let offset = at & (PAGE - 1);
    let record = first;
    let position = 0;
    let ended = false;
    let length = 0;
    while (position < BLOCK_MAX && offset < PAGE) {
      this.#base = control.ram + page * PAGE + offset;
      this.#inPage = PAGE - offset;
      let found: Instruction;
      try {
        found = this.#matcher.match(mode);
      } catch (e) {
        if (e !== PAGE_END) throw e;
        break;
      }
      this.#write(record, found, position, offset);
      record += Record.size;
      position++;
      length = found.length;
      offset += length;
      if (!found.row || found.row.row.end) {
        ended = true;
        break;
      }
    }
    if (position === 0) return this.decodeOne(cpu, at);
    if (!ended) record = this.#end(record, position, offset);
    this.#enter(header, first, record, at, offset - 1, mode);
    control.recordsNext = record;
    control.decodedInstructions += position;
    return first;
  }

  /** Decodes one instruction into the vCPU's scratch block. */
  decodeOne(cpu: number, at: number): number {
    const mode = this.#view.getUint32(cpu + O.codeSize, true);
    const record = this.#control.records + this.#view.getUint32(cpu + O.index, true) * 2 * Record.size;
    const offset = at & (PAGE - 1);
    this.#base = this.#control.ram + at;
    this.#inPage = PAGE - offset;
    this.#crossing = { cpu, second: -1 };
    let found: Instruction;
    try {
      found = this.#matcher.match(mode);
    } finally {
      this.#crossing = undefined;
    }
    const rip = this.#view.getUint32(cpu + O.rip, true);
    const limit = this.#view.getUint32(cpu + O.segments + CS * Segment.size + Segment.offsets.limit, true);
    this.#write(record, found, 0, offset);
    if (mode !== CODE_64 && rip + found.length - 1 > limit) this.#view.setUint32(record + R.handler, HANDLER_TOO_LONG, true);
    this.#end(record + Record.size, 1, offset + found.length);
    return record;
  }

  #end(record: number, position: number, offset: number): number {
    const v = this.#view;
    v.setUint32(record + R.handler, HANDLER_END, true);
    v.setUint8(record + R.length, 0);
    v.setUint8(record + R.position, position);
    v.setUint16(record + R.pageOffset, offset, true);
    return record + Record.size;
  }

  /** Links a block into its page and the hash. */
  #enter(header: number, first: number, end: number, at: number, lastOffset: number, mode: number): void {
    const v = this.#view;
    const page = at >>> 12;
    const codePage = this.#control.codePages + page * CodePage.size;
    const blocks = v.getUint32(codePage + CodePage.offsets.blocks, true);
    v.setUint32(header + BlockHeader.offsets.next, blocks, true);
    v.setUint32(header + BlockHeader.offsets.page, page, true);
    v.setUint32(header + BlockHeader.offsets.count, (end - first) / Record.size, true);
    const churn = v.getUint32(codePage + CodePage.offsets.churn, true);
    v.setUint32(header + BlockHeader.offsets.entries, churn >> 2 === 0 ? 0 : this.#helpers.patience(churn), true);
    v.setUint32(header + BlockHeader.offsets.original, v.getUint32(first + R.handler, true), true);
    if (this.#control.translateAfter !== 0 && mode !== CODE_16) v.setUint32(first + R.handler, HANDLER_COUNT, true);
    v.setUint32(header + BlockHeader.offsets.mode, mode, true);
    v.setUint32(codePage + CodePage.offsets.blocks, header, true);
    for (let chunk = (at & (PAGE - 1)) >> 6; chunk <= lastOffset >> 6; chunk++) {
      const byte = codePage + CodePage.offsets.chunks + (chunk >> 3);
      this.#u8[byte] = this.#u8[byte]! | (1 << (chunk & 7));
    }
    if (blocks === 0) this.#helpers.protectCodePage(page);
    const slot = this.#control.codeHash + ((at ^ (at >>> 14)) & (CODE_HASH_ENTRIES - 1)) * CodeHash.size;
    v.setUint32(slot + CodeHash.offsets.key, at, true);
    v.setUint32(slot + CodeHash.offsets.key + 4, mode + 1, true);
    v.setUint32(slot + CodeHash.offsets.record, first, true);
  }

  /** Everything decoded is forgotten (when the array of records is full). No record is being executed. */
  forget(): void {
    this.#helpers.forgetCode();
    this.onForget();
  }

  #register(operand: Operand, number: number, rex: number): number {
    switch (operand.kind) {
      case 'xmm':
      case 'xmmrm':
        return O.xmm + number * 16;
      case 'mm':
      case 'mmrm':
        return O.fpr + (number & 7) * 16;
      default:
        return operand.size === 8 && !rex && number >= 4 && number < 8 ? O.gpr + (number - 4) * 8 + 1 : O.gpr + (number & 15) * 8;
    }
  }

  #write(record: number, found: Instruction, position: number, offset: number): void {
    const v = this.#view;
    const { row } = found;
    v.setUint8(record + R.length, found.length);
    v.setUint8(record + R.position, position);
    v.setUint16(record + R.pageOffset, offset, true);
    v.setUint32(record + R.target, 0, true);
    if (!row) {
      v.setUint32(record + R.handler, found.tooLong ? HANDLER_TOO_LONG : HANDLER_UNDEFINED, true);
      v.setUint32(record + R.immediate, (found.prefixes << 24) | (found.modrm << 16) | found.opcode, true);
      return;
    }
    const variant = found.size === 0 ? 0 : row.sizes.indexOf(found.size);
    v.setUint32(record + R.handler, row.base + 2 * variant + Number(found.memory), true);
    v.setUint8(record + R.prefixes, found.prefixes);
    v.setUint8(record + R.scale, found.scale);
    let extra = found.second;
    let reg: number = O.zero;
    let base: number = O.zero;
    for (const o of row.row.operands) {
      switch (o.kind) {
        case 'r':
        case 'xmm':
        case 'mm':
          reg = this.#register(o, found.reg, found.rex);
          break;
        case 'rm':
        case 'rr':
        case 'xmmrm':
        case 'mmrm':
          if (!found.memory) base = this.#register(o, found.rm, found.rex);
          break;
        case 'sreg':
        case 'cr':
        case 'dr':
          extra = found.reg;
          break;
        case 'sti':
          extra = found.modrm & 7;
          break;
      }
    }
    if (row.row.unit === 'x87' && !row.row.modrm) extra = found.opcode;
    let low = found.displacementLow;
    let high = found.displacementHigh;
    if (found.memory) {
      if (found.base === -2) {
        // RIP-relative: `ripBase` is RIP at offset 0 of this page.
        const sum = (low >>> 0) + offset + found.length;
        high = (high + (sum > 0xffff_ffff ? 1 : 0)) | 0;
        low = sum | 0;
        base = O.ripBase;
      } else base = found.base < 0 ? O.zero : O.gpr + found.base * 8;
    }
    const memory = !row.row.modrm || found.memory;
    v.setUint16(record + R.reg, reg, true);
    v.setUint16(record + R.base, base, true);
    v.setUint16(record + R.index, found.index < 0 ? O.zero : O.gpr + found.index * 8, true);
    v.setUint16(record + R.segment, memory ? O.reach + found.segment * Reach.size : REGISTER_FORM, true);
    v.setInt32(record + R.displacement, low, true);
    v.setInt32(record + R.displacement + 4, high, true);
    v.setInt32(record + R.immediate, found.immediateLow, true);
    v.setInt32(record + R.immediate + 4, found.immediateHigh, true);
    v.setInt32(record + R.addressMask, found.addressSize === 16 ? 0xffff : -1, true);
    v.setInt32(record + R.addressMask + 4, found.addressSize === 64 ? -1 : 0, true);
    v.setUint16(record + R.extra, extra, true);
  }
}
