/** Translates hot blocks of one machine, in one thread: chosen by `find` (processor/assembly/run.ts), entered through the table of handlers. */
import type { TranslatorHost, TranslatorHooks } from '../processor/engine.ts';
import { HANDLERS } from '../processor/handlers.ts';
import {
  BlockHeader, CodePage, CODE_16, Control, Cpu, Dependent, HANDLER_COUNT, PAGE, Record, REGION_PAGES, Slot, TRANSLATIONS, Translations,
} from '../state/index.ts'; // prettier-ignore
import { whileLocked } from './codelock.ts';
import { buildModule } from './compile.ts';
import { buildGlue } from './glue.ts';
import { Finder } from './finder.ts';
import type { Region } from './region.ts';
import { counter, type Counter } from './statistics.ts';

const R = Record.offsets;

export interface TranslatorOptions {
  /** Times a block is entered before it is translated. */
  readonly after?: number;
  /** Regions that are compiled together, if they come in time. */
  readonly batch?: number;
  /** Told of every region, before it is compiled. */
  readonly onRegion?: (region: Region) => void;
}

const AFTER = 1000;
const BATCH = 16;

export class Translator implements TranslatorHooks {
  readonly #host: TranslatorHost;
  readonly #options: TranslatorOptions;
  readonly #view: DataView;
  readonly #control;
  readonly #translations;
  readonly #count: Counter;
  readonly #finder: Finder;
  readonly #glue: WebAssembly.Exports;
  readonly #words: Int32Array;
  #queue: { record: number; page: number; mode: number }[] = [];
  #slots = 0;
  readonly #id = 1 + Math.floor(Math.random() * 0xffff_fffe);

  constructor(host: TranslatorHost, options: TranslatorOptions = {}) {
    this.#host = host;
    this.#options = options;
    this.#view = new DataView(host.memory.buffer);
    this.#control = Control.view(host.memory.buffer, 0);
    this.#translations = Translations.view(host.memory.buffer, this.#control.translations);
    this.#count = counter(host.memory.buffer);
    this.#words = new Int32Array(host.memory.buffer);
    this.#finder = new Finder(host.memory);
    const { memory, table } = host;
    this.#glue = new WebAssembly.Instance(new WebAssembly.Module(buildGlue(this.#control.codeHash)), { env: { memory, table } }).exports;
  }

  /** Before a run of this engine: the last may have been another's, whose slots mean nothing here. */
  enter(): void {
    const control = this.#control;
    const full = this.#slots + 2 * (this.#options.batch ?? BATCH) > TRANSLATIONS;
    if (control.translator !== this.#id || full) {
      const began = control.translator !== 0 || full;
      control.translator = this.#id;
      control.translateAfter = this.#options.after ?? AFTER;
      if (began) this.#host.forget();
    }
  }

  forgotten(): void {
    this.#queue = [];
    for (let i = 0; i < this.#slots; i++) this.#host.table.set(HANDLERS + i, null);
    this.#slots = 0;
    this.#count.none();
  }

  request(cpu: number, record: number): void {
    const v = this.#view;
    const mode = v.getUint32(cpu + Cpu.offsets.codeSize, true);
    if (mode === CODE_16) return;
    const first = !this.#queue.some((q) => q.record === record);
    const page = v.getUint32(record - BlockHeader.size + BlockHeader.offsets.page, true);
    if (first) this.#queue.push({ record, page, mode });
    if (!first || this.#queue.length >= (this.#options.batch ?? BATCH)) this.#flush();
  }

  #flush(): void {
    const began = performance.now();
    const queue = this.#queue;
    this.#queue = [];
    const found: { region: Region; original: number }[] = [];
    for (const { record, page, mode } of queue) {
      if (this.#view.getUint32(record + R.handler, true) !== HANDLER_COUNT) continue;
      const region = this.#finder.find(record, page, mode);
      if (region) found.push({ region, original: this.#finder.handler(record) });
      // Not worth a translation, ever.
      else this.#view.setUint32(record + R.handler, this.#finder.handler(record), true);
    }
    if (found.length === 0 || this.#slots + found.length > TRANSLATIONS) return;
    for (const { region } of found) this.#options.onRegion?.(region);
    const searched = performance.now();
    const bytes = this.#build(found);
    const built = performance.now();
    if (bytes) this.#install(found, bytes);
    const done = performance.now();
    this.#count('finding', (searched - began) * 1000);
    this.#count('building', (built - searched) * 1000);
    this.#count('compiling', (done - built) * 1000);
    this.#count.hold((done - began) * 1000);
  }

  #build(found: { region: Region; original: number }[]): Uint8Array<ArrayBuffer> | undefined {
    try {
      return buildModule(found, this.#view);
    } catch (error) {
      this.#count('failures');
      if (found.length === 1) {
        const { entry } = found[0]!.region;
        this.#view.setUint32(entry + R.handler, found[0]!.original, true);
        this.#host.note?.(`a region could not be translated: ${error instanceof Error ? error.message : String(error)}`);
        return undefined;
      }
      // The others shall not suffer for one.
      for (const one of found.splice(0)) {
        const bytes = this.#build([one]);
        if (bytes) this.#install([one], bytes);
      }
      return undefined;
    }
  }

  #install(found: readonly { region: Region; original: number }[], bytes: Uint8Array<ArrayBuffer>): void {
    const { memory, table, trap, helpers } = this.#host;
    const module = new WebAssembly.Module(bytes);
    const helper = { ...helpers, ...this.#glue };
    const { exports } = new WebAssembly.Instance(module, { env: { memory, table }, trap, helper });
    found.forEach((_, i) => {
      table.set(HANDLERS + this.#slots + i, exports[String(i)]);
    });
    whileLocked(this.#words, () => {
      this.#translations.serial++;
      for (const { region } of found) this.#link(region, this.#slots++);
    });
    for (const { region } of found) {
      this.#count('regions');
      this.#count('liveRegions');
      this.#count('guestInstructions', region.instructions);
      for (const block of region.blocks) {
        const length = block.instructions.reduce((sum, instruction) => sum + instruction.length, 0);
        this.#count('guestBytes', length);
      }
    }
    this.#count('modules');
    this.#count('liveModules');
    this.#count('bytes', bytes.length);
    this.#count('liveBytes', bytes.length);
  }

  /** Enters a region in the directory, and in the lists of the pages it has code in. Under the code lock. */
  #link(region: Region, slot: number): void {
    const v = this.#view;
    const at = this.#control.slots + slot * Slot.size;
    v.setUint32(at + Slot.offsets.serial, this.#translations.serial, true);
    v.setUint32(at + Slot.offsets.record, region.entry, true);
    [...coverage(region)].forEach(([page, chunks], i) => {
      const dependent = at + Slot.offsets.dependents + i * Dependent.size;
      const head = this.#control.codePages + page * CodePage.size + CodePage.offsets.dependents;
      v.setUint32(dependent + Dependent.offsets.next, v.getUint32(head, true), true);
      v.setUint32(dependent + Dependent.offsets.page, page, true);
      v.setBigUint64(dependent + Dependent.offsets.chunks, chunks, true);
      v.setUint32(head, slot * REGION_PAGES + i + 1, true);
      const churn = head - CodePage.offsets.dependents + CodePage.offsets.churn;
      v.setUint32(churn, v.getUint32(churn, true) | 1, true);
    });
    v.setUint32(region.entry + R.handler, HANDLERS + slot, true);
  }
}

/** Pages that a region has code in, and which 64-byte chunks of them. */
function coverage(region: Region): Map<number, bigint> {
  let chunks = 0n;
  for (const { instructions } of region.blocks)
    for (const { offset, length } of instructions)
      for (let chunk = offset >> 6; chunk <= (offset + length - 1) >> 6; chunk++) chunks |= 1n << BigInt(chunk);
  return new Map([[region.page, chunks & ((1n << BigInt(PAGE / 64)) - 1n)]]);
}
