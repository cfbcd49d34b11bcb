/** What the translator makes of a file of machine code, which is decoded and never executed. */
import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { ProcessorBus } from '../bus/processor.ts';
import { UserError } from '../host/api.ts';
import { engineModules } from '../host/assets.ts';
import { causeOf } from '../host/cause.ts';
import { createMachine } from '../machine/create.ts';
import { createEngine, type EngineModules } from '../processor/engine.ts';
import { handlerRow } from '../processor/handlers.ts';
import { parseCpu, type CpuChoice } from '../spec/models.ts';
import {
  BlockHeader, CODE_32, CODE_64, CODE_HASH_ENTRIES, CodeHash, Control, Cpu, CPUS, CS, HANDLER_COUNT, HANDLER_END, MIB, PAGE, Record, TLB_SLOT_MASK, TLB_SLOT_SHIFT,
  TlbEntry,
} from '../state/index.ts'; // prettier-ignore
import { LARGE, listRegion, Translator, type Region } from '../translator/index.ts';

/** Bytes that a file has at most. */
const SIZE_MAX = MIB;
/** Where the code lies in RAM: beyond what is special to a PC. */
const PLACE = MIB;
/** INT3, which ends a region: what follows the file. */
const FILLER = 0xcc;
const R = Record.offsets;

export interface FileRequest {
  readonly file: string;
  readonly bits: 64 | 32;
  /** Linear addresses: of the file's first byte, and of the region's entry. */
  readonly base: bigint;
  readonly at: bigint;
  readonly cpu: string;
}

async function codeOf(file: string): Promise<Uint8Array> {
  const name = path.resolve(file);
  let code: Uint8Array;
  try {
    const { size } = await stat(name);
    if (size > SIZE_MAX) throw new UserError(`${name} has ${size} bytes; a file of code has at most ${SIZE_MAX}.`);
    code = await readFile(name);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`The code ${name} cannot be read: ${causeOf(error)}.`);
  }
  if (code.length === 0) throw new UserError(`${name} is empty: there is no code in it.`);
  return code;
}

function cpuOf(text: string): CpuChoice {
  try {
    return parseCpu(text);
  } catch (error) {
    throw new UserError(`${(error as Error).message}.`, 'cpu');
  }
}

/** The listing of the region that begins at `at`. Throws UserErrors. */
export async function translateFile({ file, bits, base, at, cpu }: FileRequest): Promise<string> {
  const code = await codeOf(file);
  const hex = (n: bigint): string => `0x${n.toString(16)}`;
  const end = base + BigInt(code.length);
  if (bits === 32 && end > 1n << 32n) throw new UserError(`The code would end at ${hex(end)}, and 32-bit addresses end at 0x100000000.`);
  if (at < base || at >= end)
    throw new UserError(`--at ${hex(at)} is outside of the code, which lies from ${hex(base)} to ${hex(end - 1n)}.`);
  const machine = new CodeMachine(code, bits, base, cpuOf(cpu), (await engineModules()) as unknown as EngineModules);
  const text = machine.translate(Number(at - base));
  if (text === undefined) {
    throw new UserError(`At ${hex(at)} there is nothing to translate: its first instruction is left to the interpreter, or is none.`);
  }
  return text;
}

const NO_BUS: ProcessorBus = {
  readPort: () => 0,
  writePort: () => {},
  readMmio: () => 0,
  writeMmio: () => {},
  acknowledgeInterrupt: () => -1,
  tsc: () => 0,
  taskPriority: () => {},
  readTaskPriority: () => 0,
  apicMsr: () => {},
  note: () => {},
};

/** A machine whose RAM holds the code, and whose vCPU stands where it begins. */
class CodeMachine {
  readonly #view: DataView;
  readonly #control;
  readonly #cpu;
  readonly #mode: number;
  readonly #base: bigint;
  readonly #length: number;
  /** RAM offset of the code's first byte: as far into its page as the linear address is. */
  readonly #place: number;
  readonly #helpers: { decodeBlock(cpu: number, at: number, mode: number): number };
  readonly #translator: Translator;
  #found: Region | undefined;

  constructor(code: Uint8Array, bits: 64 | 32, base: bigint, cpu: CpuChoice, modules: EngineModules) {
    const { memory } = createMachine({ memoryMiB: 4, vcpus: 1, cpu });
    this.#view = new DataView(memory.buffer);
    this.#control = Control.view(memory.buffer, 0);
    this.#cpu = Cpu.view(memory.buffer, CPUS);
    this.#base = base;
    this.#length = code.length;
    this.#place = PLACE + Number(base % BigInt(PAGE));
    let made: Translator | undefined;
    const engine = createEngine(memory, NO_BUS, modules, {
      translator: (host) => (made = new Translator(host, { batch: 1, small: LARGE, onRegion: (region) => (this.#found = region) })),
    });
    this.#translator = made!;
    this.#helpers = engine.helpers as unknown as { decodeBlock(cpu: number, at: number, mode: number): number };
    engine.helpers.resetCpu(CPUS);
    this.#mode = bits === 64 ? CODE_64 : CODE_32;
    const pages = Math.ceil((this.#place + code.length) / PAGE) + 1 - PLACE / PAGE;
    const bytes = new Uint8Array(memory.buffer, this.#control.ram + PLACE, pages * PAGE);
    bytes.fill(FILLER);
    bytes.set(code, this.#place - PLACE);
    const codeSegment = this.#cpu.segments[CS]!;
    Object.assign(codeSegment, { base: 0, limit: 0xffff_ffff, attributes: bits === 64 ? 0xa09b : 0xc09b });
    this.#cpu.cr0 = 0x11;
    this.#cpu.efer = bits === 64 ? 0xd00 : 0;
    engine.helpers.updateReach(CPUS);
    engine.helpers.updateTlbMode(CPUS);
    this.#map(pages);
  }

  /** The TLB says where the pages of the code are, as if it were running at its linear addresses. */
  #map(pages: number): void {
    const first = this.#base - (this.#base % BigInt(PAGE));
    for (let n = 0; n < pages; n++) {
      const linear = BigInt.asUintN(64, first + BigInt(n * PAGE));
      const entry = this.#cpu.tlb + ((Number(linear & 0xffff_ffffn) >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
      this.#view.setBigUint64(entry + TlbEntry.offsets.execTag, linear, true);
      this.#view.setUint32(entry + TlbEntry.offsets.frame, PLACE + n * PAGE, true);
    }
  }

  translate(offset: number): string | undefined {
    this.#decodeFrom(offset);
    const record = this.#recordAt(offset);
    // The linear address of the page that the entry lies in: where it would lie if it ran.
    const entry = this.#base + BigInt(offset);
    const page = entry - (entry % BigInt(PAGE));
    this.#view.setBigUint64(CPUS + Cpu.offsets.ripBase, page, true);
    this.#translator.request(CPUS, record);
    return this.#found && listRegion(this.#found, this.#view, page);
  }

  /** Decodes what direct branches and falling through reach, and calls all of it hot. */
  #decodeFrom(first: number): void {
    const hot = this.#control.translateAfter;
    const seen = new Set<number>();
    const work = [first];
    for (let offset; (offset = work.pop()) !== undefined;) {
      if (offset < 0 || offset >= this.#length || seen.has(offset)) continue;
      seen.add(offset);
      const at = this.#place + offset;
      let record = this.#helpers.decodeBlock(CPUS, at, this.#mode) >>> 0;
      // An instruction that crosses into the next page is in no region.
      if (record === 0) continue;
      const header = record - BlockHeader.size;
      this.#view.setInt32(header + BlockHeader.offsets.entries, hot, true);
      for (let n = this.#view.getUint32(header + BlockHeader.offsets.count, true); n > 0; n--, record += Record.size) {
        const place = at - (at % PAGE) + this.#view.getUint16(record + R.pageOffset, true) - this.#place;
        let handler = this.#view.getUint32(record + R.handler, true);
        if (handler === HANDLER_COUNT) handler = this.#view.getUint32(header + BlockHeader.offsets.original, true);
        if (handler === HANDLER_END) work.push(place);
        const row = handlerRow(handler)?.row;
        if (row === undefined) continue;
        const next = place + this.#view.getUint8(record + R.length);
        if (row.operands.some(({ kind }) => kind === 'rel')) work.push(next + this.#view.getInt32(record + R.immediate, true));
        // After a call, a branch not taken, an instruction that the interpreter does.
        if (row.end && row.family !== 'jmp' && row.family !== 'ret') work.push(next);
      }
    }
  }

  /** The first record of the block decoded at an offset. */
  #recordAt(offset: number): number {
    const at = this.#place + offset;
    const slot = this.#control.codeHash + ((at ^ (at >>> 14)) & (CODE_HASH_ENTRIES - 1)) * CodeHash.size;
    return this.#view.getUint32(slot + CodeHash.offsets.record, true);
  }
}
