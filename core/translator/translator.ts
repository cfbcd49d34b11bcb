/**
 * Translation as one vCPU's thread sees it: it asks for what is hot, and takes over modules that were compiled, here or in another thread, when it
 * first comes to one of their functions.
 */
import type { TranslatorHost, TranslatorHooks } from '../processor/engine.ts';
import { handlerCount } from '../processor/handlers.ts';
import { ACTIVITY_COMPILING, ACTIVITY_TRANSLATED, BlockHeader, Control, Cpu, Record, TRANSLATIONS } from '../state/index.ts';
import { Cache } from './cache.ts';
import { BATCH, Compiler, type CompilerOptions } from './compiler.ts';
import { buildGlue } from './glue.ts';
import { COMPANY, Requests } from './requests.ts';
import { RUNNING } from './slow.ts';

export interface TranslatorOptions extends CompilerOptions {
  /** Times a block is entered before its translation is asked for. */
  readonly after?: number;
  /** Wakes who compiles. Absent: this thread compiles, while the vCPU waits. */
  readonly wake?: () => void;
}

/** Chosen by how long Linux takes to start: with 1000, compiling takes more from vCPUs than it gives; with 4000, too much is interpreted. */
const AFTER = 2000;
/** What waits for company that does not come is compiled by itself after so many more entries. */
const PATIENCE = 256;
/** Entries after which a request that was lost is made again. */
const AGAIN = 0xffff;
const ENTRIES = BlockHeader.offsets.entries - BlockHeader.size;

export class Translator implements TranslatorHooks {
  readonly #host: TranslatorHost;
  readonly #options: TranslatorOptions;
  readonly #words: Int32Array;
  readonly #control;
  readonly #cache: Cache;
  readonly #requests: Requests;
  readonly #compiler: Compiler | undefined;
  /** What a module imports. */
  readonly #imports: WebAssembly.Imports;
  readonly #absent: WebAssembly.ExportValue;
  /** The vCPU that is being run (slow.ts). */
  readonly #running: WebAssembly.Global<'i32'>;
  /** The module of which this thread's table has a function, by slot. */
  readonly #present = new Map<number, number>();
  #epoch = 0;
  #asked = 0;

  constructor(host: TranslatorHost, options: TranslatorOptions = {}) {
    const { memory, table, trap, helpers } = host;
    this.#host = host;
    this.#options = options;
    this.#words = new Int32Array(memory.buffer);
    const control = Control.view(memory.buffer, 0);
    this.#control = control;
    control.translateAfter = options.after ?? AFTER;
    this.#cache = new Cache(memory.buffer);
    this.#requests = new Requests(memory.buffer);
    this.#compiler = options.wake ? undefined : new Compiler(memory, { note: host.note, ...options });
    const env = { memory, table };
    const glue = new WebAssembly.Instance(new WebAssembly.Module(buildGlue(control.codeHash, control.translations)), {
      env,
      helper: helpers,
      host: { materialize: (cpu: number, record: number) => this.#materialize(cpu, record >>> 0) },
    }).exports;
    this.#imports = { env, trap, helper: { ...helpers, ...(glue as WebAssembly.ModuleImports) } };
    this.#absent = glue['absent']!;
    this.#running = glue[RUNNING] as WebAssembly.Global<'i32'>;
    for (let slot = 0; slot < TRANSLATIONS; slot++) table.set(handlerCount() + slot, this.#absent);
  }

  enter(cpu: number): void {
    this.#running.value = cpu;
    const at = (cpu + Cpu.offsets.epoch) >> 2;
    let epoch: number;
    do {
      epoch = this.#cache.epoch;
      Atomics.store(this.#words, at, epoch);
    } while (this.#cache.epoch !== epoch);
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    for (const [slot, serial] of this.#present)
      if (this.#cache.serial(slot) !== serial) {
        this.#host.table.set(handlerCount() + slot, this.#absent);
        this.#present.delete(slot);
      }
  }

  leave(cpu: number): void {
    Atomics.store(this.#words, (cpu + Cpu.offsets.epoch) >> 2, 0);
  }

  request(cpu: number, record: number): void {
    const more = (this.#words[(record + ENTRIES) >> 2]! - this.#control.translateAfter) | 0;
    const translated = this.#words[(record + Record.offsets.handler) >> 2]! >= handlerCount();
    if (!this.#compiler) {
      if (more !== 0 && (more & AGAIN) !== 0 && !translated) return;
      const waiting = this.#requests.put(cpu, record);
      if (waiting === 0) this.#cache.refuse({ record, generation: this.#cache.generation }, false);
      // In between, who compiles waits for company for the first, or is at work.
      else if (waiting === 1 || waiting === COMPANY) this.#options.wake!();
      return;
    }
    const began = performance.now();
    if (more < PATIENCE || this.#asked === 0 || translated) {
      this.#requests.put(cpu, record);
      this.#asked++;
    }
    if (more < PATIENCE && this.#asked < (this.#options.batch ?? BATCH)) return;
    this.#asked = 0;
    while (this.#compiler.work() === 0);
    this.#cache.count.hold((performance.now() - began) * 1000);
  }

  /** Puts functions into the table where `record` needs one. Afterwards its handler is one that can be called. */
  #materialize(cpu: number, record: number): void {
    const began = performance.now();
    const activity = (cpu + Cpu.offsets.activity) >> 2;
    this.#words[activity] = ACTIVITY_COMPILING;
    try {
      const materials = this.#cache.materials(record);
      if (!materials) return;
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(materials.bytes), this.#imports);
      materials.slots.forEach((slot, i) => {
        if (slot === undefined) return;
        this.#host.table.set(handlerCount() + slot, exports[String(i)]);
        this.#present.set(slot, materials.serial);
      });
      this.#cache.count('materialized');
    } catch (error) {
      this.#cache.abandon(record);
      this.#host.note?.(`a translation cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    }
    const took = (performance.now() - began) * 1000;
    this.#cache.count('materializing', took);
    this.#cache.count.hold(took);
    this.#words[activity] = ACTIVITY_TRANSLATED;
  }
}
