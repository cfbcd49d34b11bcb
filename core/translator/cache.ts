/**
 * The machine's translations as they lie in its memory (core/state/translation.ts): slots, and modules in a ring. Several threads may use them at
 * a time; each keeps nothing of its own.
 */
import { handlerCount } from '../processor/handlers.ts';
import {
  BlockHeader, CachedModule, CodePage, Control, CPU_STRIDE, Cpu, Dependent, HANDLER_COUNT, MODULE_ALIGN, NO_PAGE, Record, REGION_PAGES, Slot,
  TRANSLATIONS, Translations,
} from '../state/index.ts'; // prettier-ignore
import { whileLocked } from './codelock.ts';
import type { Region } from './region.ts';
import { counter, type Counter } from './statistics.ts';

const S = Slot.offsets;
const M = CachedModule.offsets;
const D = Dependent.offsets;
const HANDLER = Record.offsets.handler;
/** One in so many slots is kept for what is installed while others wait to be free. */
const RESERVE = 8;
/** What is postponed has to be entered this fraction of the times that make a block hot. */
const MORE = 4;
const HEADER_ENTRIES = BlockHeader.offsets.entries - BlockHeader.size;

/** A translation that is to be installed. */
export interface Candidate {
  /** The entry's first record. */
  readonly record: number;
  /** The record's handler before: HANDLER_COUNT, or another translation. */
  readonly replaces: number;
  /** RAM pages that it has code in, with the 64-byte chunks. */
  readonly pages: ReadonlyMap<number, bigint>;
  /** `Translations.clock` and `Control.generation` before anything was read for it. */
  readonly clock: number;
  readonly generation: number;
}

/** A module of which at least one function is not stale. */
export interface Materials {
  readonly serial: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** By export: the slot, or undefined if that function is stale. */
  readonly slots: readonly (number | undefined)[];
}

export class Cache {
  readonly count: Counter;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #control;
  readonly #state;

  constructor(buffer: ArrayBufferLike) {
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#control = Control.view(buffer, 0);
    this.#state = Translations.view(buffer, this.#control.translations);
    this.count = counter(buffer);
    whileLocked(this.#words, () => {
      if (this.#state.slotsEnd !== 0) return;
      this.#state.slotsEnd = TRANSLATIONS;
      this.#state.newest = this.#control.modules;
      this.#state.oldest = this.#control.modules;
      this.#state.epoch = 1;
    });
  }

  get clock(): number {
    return this.#state.clock;
  }

  get generation(): number {
    return this.#control.generation;
  }

  get epoch(): number {
    return Atomics.load(this.#words, (this.#control.translations + Translations.offsets.epoch) >> 2);
  }

  get liveModules(): number {
    return this.#state.liveModules;
  }

  /** Numbers of the modules of which a function may be entered. */
  liveSerials(): Set<number> {
    const serials = new Set<number>();
    for (let slot = 0; slot < this.#state.fresh; slot++) serials.add(this.serial(slot));
    return serials;
  }

  setWaiting(number: number): void {
    this.#state.waiting = number;
  }

  /** Counts the guest's code in a region that was installed. */
  countCode(region: Region): void {
    this.count('guestInstructions', region.instructions);
    for (const { instructions } of region.blocks) for (const { length } of instructions) this.count('guestBytes', length);
  }

  /** Whether nothing that a translation was made from has changed since. */
  isValid(candidate: Candidate): boolean {
    return whileLocked(this.#words, () => this.#isValid(candidate));
  }

  /** Of the module that has a slot's function; 0: it is stale, or there is none. */
  serial(slot: number): number {
    return this.#slot(slot, S.serial);
  }

  /** The module with the function that stands for a record now; undefined: there is none any more. */
  materials(record: number): Materials | undefined {
    return whileLocked(this.#words, () => {
      const slot = this.#get(record + HANDLER) - handlerCount();
      if (slot < 0) return undefined;
      const module = this.#slot(slot, S.module);
      const serial = this.#get(module + M.serial);
      const count = this.#get(module + M.slots);
      const begin = module + CachedModule.size + count * 4;
      const slots = Array.from({ length: count }, (_, i) => {
        const one = this.#get(module + CachedModule.size + i * 4);
        return one !== TRANSLATIONS && this.#slot(one, S.serial) === serial ? one : undefined;
      });
      return { serial, bytes: this.#bytes.slice(begin, begin + this.#get(module + M.length)), slots };
    });
  }

  /**
   * Puts a module into the cache and lets its functions be entered: those that are not overtaken by a change of what they were made from, and for
   * which there are slots. Returns its number, and which functions those are; undefined if none.
   */
  install(bytes: Uint8Array, candidates: readonly Candidate[]): { serial: number; installed: readonly boolean[] } | undefined {
    return whileLocked(this.#words, () => {
      const wanted = candidates.map((one) => this.#isValid(one));
      const number = wanted.filter(Boolean).length;
      this.count('overtaken', candidates.length - number);
      if (number === 0) return undefined;
      this.#tidy();
      this.#makeRoom(number);
      const slots = this.#take(number);
      const size = CachedModule.size + candidates.length * 4 + bytes.length;
      const module = slots.length > 0 ? this.#allocate(Math.ceil(size / MODULE_ALIGN) * MODULE_ALIGN) : undefined;
      if (module === undefined) {
        for (const slot of slots) this.#push('free', slot);
        candidates.forEach(({ record }, i) => wanted[i] && this.#set(record + HEADER_ENTRIES, 0));
        return undefined;
      }
      const serial = ++this.#state.serial;
      this.#set(module + M.serial, serial);
      this.#set(module + M.slots, candidates.length);
      this.#set(module + M.length, bytes.length);
      this.#set(module + M.live, slots.length);
      const table = module + CachedModule.size;
      this.#bytes.set(bytes, table + candidates.length * 4);
      this.#count(slots.length, bytes.length);
      const installed = candidates.map((one, i) => {
        const slot = wanted[i] ? slots.pop() : undefined;
        this.#set(table + i * 4, slot ?? TRANSLATIONS);
        if (slot === undefined) {
          if (wanted[i]) this.#set(one.record + HEADER_ENTRIES, 0);
          return false;
        }
        this.#link(slot, serial, module, one);
        return true;
      });
      return { serial, installed };
    });
  }

  /** A block that was asked for is not translated: the interpreter does it without counting, if that is for good, or counts anew. */
  refuse(block: Pick<Candidate, 'record' | 'generation'>, forGood: boolean): void {
    const { record } = block;
    this.#whileCounted(block, () => {
      if (forGood) this.#set(record + HANDLER, this.#get(record - BlockHeader.size + BlockHeader.offsets.original));
      else this.#set(record + HEADER_ENTRIES, 0);
    });
  }

  /** A block that was asked for is asked for again when it was entered some more. */
  postpone(block: Pick<Candidate, 'record' | 'generation'>): void {
    const { translateAfter } = this.#control;
    this.#whileCounted(block, () => this.#set(block.record + HEADER_ENTRIES, translateAfter - Math.ceil(translateAfter / MORE)));
  }

  /** If the block is one that counts how often it is entered. */
  #whileCounted({ record, generation }: Pick<Candidate, 'record' | 'generation'>, change: () => void): void {
    whileLocked(this.#words, () => {
      if (generation === this.#control.generation && this.#get(record + HANDLER) === HANDLER_COUNT) change();
    });
  }

  /** A function cannot be had in this thread: the interpreter does the block from now on. */
  abandon(record: number): void {
    whileLocked(this.#words, () => {
      const slot = this.#get(record + HANDLER) - handlerCount();
      if (slot < 0) return;
      this.#end(slot, this.#get(record - BlockHeader.size + BlockHeader.offsets.original));
      this.count('failures');
    });
  }

  #isValid({ record, replaces, pages, clock, generation }: Candidate): boolean {
    if (generation !== this.#control.generation || this.#get(record + HANDLER) !== replaces) return false;
    for (const page of pages.keys()) if (((this.#get(this.#page(page) + CodePage.offsets.generation) - clock) | 0) > 0) return false;
    return true;
  }

  #count(regions: number, bytes: number): void {
    this.count('regions', regions);
    this.count('liveRegions', regions);
    this.count('modules');
    this.count('liveModules');
    this.count('bytes', bytes);
    this.count('liveBytes', bytes);
  }

  #link(slot: number, serial: number, module: number, { record, replaces, pages }: Candidate): void {
    // (It may have had to make room meanwhile.)
    if (replaces !== HANDLER_COUNT && this.#get(record + HANDLER) === replaces) this.#end(replaces - handlerCount(), HANDLER_COUNT);
    const at = this.#at(slot);
    this.#set(at + S.serial, serial);
    this.#set(at + S.record, record);
    this.#set(at + S.module, module);
    const used = [...pages];
    if (used.length > REGION_PAGES)
      throw new Error(`a region has code in ${used.length} pages; more than ${REGION_PAGES} cannot be watched`);
    for (let i = 0; i < REGION_PAGES; i++) {
      const dependent = at + S.dependents + i * Dependent.size;
      const [page, chunks] = used[i] ?? [NO_PAGE, 0n];
      this.#set(dependent + D.page, page);
      this.#view.setBigUint64(dependent + D.chunks, chunks, true);
      if (page === NO_PAGE) continue;
      const code = this.#page(page);
      this.#set(dependent + D.next, this.#get(code + CodePage.offsets.dependents));
      this.#set(code + CodePage.offsets.dependents, slot * REGION_PAGES + i + 1);
      this.#set(code + CodePage.offsets.churn, this.#get(code + CodePage.offsets.churn) | 1);
    }
    // Last: from now on other threads enter it.
    Atomics.store(this.#words, (record + HANDLER) >> 2, handlerCount() + slot);
  }

  /** See `end` in processor/assembly/translations.ts. */
  #end(slot: number, handler: number): void {
    const at = this.#at(slot);
    const record = this.#get(at + S.record);
    if (this.#get(record + HANDLER) === handlerCount() + slot) {
      this.#set(record + HEADER_ENTRIES, 0);
      Atomics.store(this.#words, (record + HANDLER) >> 2, handler);
    }
    const module = this.#get(at + S.module);
    const live = this.#get(module + M.live) - 1;
    this.#set(module + M.live, live);
    this.#set(at + S.serial, 0);
    this.count('liveRegions', -1);
    if (live === 0) {
      this.count('liveModules', -1);
      this.count('liveBytes', -this.#get(module + M.length));
    }
    this.#push('ended', slot);
  }

  /** Retires slots that ended, and frees retired ones that no run can be in any more. */
  #tidy(): void {
    const state = this.#state;
    if (state.ended !== 0) {
      const epoch = Atomics.add(this.#words, (state.address + Translations.offsets.epoch) >> 2, 1) + 1;
      for (let slot; (slot = this.#pop('ended')) !== undefined;) {
        for (let i = 0; i < REGION_PAGES; i++) this.#unlink(slot, i);
        this.#set(this.#at(slot) + S.epoch, epoch);
        this.#set(this.#at(slot) + S.next, 0);
        if (state.retired === 0) state.retired = slot + 1;
        else this.#set(this.#at(state.retiredLast - 1) + S.next, slot + 1);
        state.retiredLast = slot + 1;
      }
    }
    const { cpus, vcpus } = this.#control;
    const running = Array.from({ length: vcpus }, (_, i) => Atomics.load(this.#words, (cpus + i * CPU_STRIDE + Cpu.offsets.epoch) >> 2));
    while (state.retired !== 0) {
      const slot = state.retired - 1;
      const epoch = this.#slot(slot, S.epoch);
      if (running.some((began) => began !== 0 && ((began - epoch) | 0) < 0)) break;
      this.#pop('retired');
      this.#push('free', slot);
    }
  }

  #unlink(slot: number, index: number): void {
    const dependent = this.#at(slot) + S.dependents + index * Dependent.size;
    const page = this.#get(dependent + D.page);
    if (page === NO_PAGE) return;
    const number = slot * REGION_PAGES + index + 1;
    let link = this.#page(page) + CodePage.offsets.dependents;
    for (let at = this.#get(link); at !== 0; at = this.#get(link)) {
      const one = this.#at(Math.floor((at - 1) / REGION_PAGES)) + S.dependents + ((at - 1) % REGION_PAGES) * Dependent.size;
      if (at === number) {
        this.#set(link, this.#get(one + D.next));
        break;
      }
      link = one + D.next;
    }
    this.#set(dependent + D.page, NO_PAGE);
  }

  /** Slots that end now are free only later: some have to be left. */
  #makeRoom(number: number): void {
    const state = this.#state;
    const most = state.slotsEnd - Math.ceil(state.slotsEnd / RESERVE) - number;
    while (state.liveRegions > most && state.ringUsed > 0) this.#evictOldest();
  }

  /** Up to `number` slots. */
  #take(number: number): number[] {
    const state = this.#state;
    const slots: number[] = [];
    while (slots.length < number) {
      const free = this.#pop('free') ?? (state.fresh < state.slotsEnd ? state.fresh++ : undefined);
      if (free === undefined) break;
      slots.push(free);
    }
    return slots;
  }

  /** Room in the ring; old modules go for it. undefined: it is not that large. */
  #allocate(size: number): number | undefined {
    const state = this.#state;
    const { modules, modulesEnd } = this.#control;
    if (size > modulesEnd - modules) return undefined;
    for (;;) {
      if (state.ringUsed === 0) {
        state.newest = modules;
        state.oldest = modules;
      }
      const wrapped = state.ringUsed > 0 && state.newest <= state.oldest;
      const room = (wrapped ? state.oldest : modulesEnd) - state.newest;
      if (size <= room) {
        const at = state.newest;
        this.#set(at + M.size, size);
        this.#advance(size);
        return at;
      }
      if (wrapped) this.#evictOldest();
      else {
        // The rest of the ring is too short: it is filled, and goes when its turn comes.
        for (const field of [M.serial, M.slots, M.live]) this.#set(state.newest + field, 0);
        this.#set(state.newest + M.size, room);
        this.#advance(room);
      }
    }
  }

  #advance(size: number): void {
    const state = this.#state;
    state.ringUsed += size;
    state.newest += size;
    if (state.newest === this.#control.modulesEnd) state.newest = this.#control.modules;
  }

  #evictOldest(): void {
    const state = this.#state;
    const module = state.oldest;
    const serial = this.#get(module + M.serial);
    if (this.#get(module + M.live) > 0)
      for (let i = 0; i < this.#get(module + M.slots); i++) {
        const slot = this.#get(module + CachedModule.size + i * 4);
        if (slot === TRANSLATIONS || this.#slot(slot, S.serial) !== serial) continue;
        this.#end(slot, HANDLER_COUNT);
        this.count('evicted');
      }
    const size = this.#get(module + M.size);
    state.ringUsed -= size;
    state.oldest += size;
    if (state.oldest === this.#control.modulesEnd) state.oldest = this.#control.modules;
  }

  #push(list: 'free' | 'ended', slot: number): void {
    this.#set(this.#at(slot) + S.next, this.#state[list]);
    this.#state[list] = slot + 1;
  }

  #pop(list: 'free' | 'ended' | 'retired'): number | undefined {
    const first = this.#state[list];
    if (first === 0) return undefined;
    this.#state[list] = this.#slot(first - 1, S.next);
    return first - 1;
  }

  #at(slot: number): number {
    return this.#control.slots + slot * Slot.size;
  }

  #page(page: number): number {
    return this.#control.codePages + page * CodePage.size;
  }

  #slot(slot: number, field: number): number {
    return this.#get(this.#at(slot) + field);
  }

  #get(at: number): number {
    return this.#words[at >> 2]! >>> 0;
  }

  #set(at: number, value: number): void {
    this.#words[at >> 2] = value;
  }
}
