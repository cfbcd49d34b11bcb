/** Makes translations: from requests and decoded records, all read from the machine's memory, to modules in its cache. Runs no guest code. */
import { handlerCount } from '../processor/handlers.ts';
import { BlockHeader, PAGE, Record } from '../state/index.ts';
import { Cache, type Candidate } from './cache.ts';
import { Code } from './code.ts';
import { buildModule } from './compile.ts';
import { Finder, LARGE, SMALL, type Limits } from './finder.ts';
import { pageOf, type Instruction, type Region } from './region.ts';
import { Requests, type Request } from './requests.ts';

export interface CompilerOptions {
  /** Regions that become one module, if so many were asked for. */
  readonly batch?: number;
  /** Milliseconds that a request waits for others. */
  readonly patience?: number;
  /** How large regions may be, and those that are entered `revisit` times: a power of two. */
  readonly small?: Limits;
  readonly large?: Limits;
  readonly revisit?: number;
  /** Told of every region, before it is compiled. */
  readonly onRegion?: (region: Region) => void;
  /** Told of what should not happen. */
  readonly note?: (text: string) => void;
}

/** Regions of a module: fewer would cost more memory, more would keep each other waiting. */
export const BATCH = 16;
const REVISIT = 1 << 17;

type Found = Candidate & { readonly region: Region; readonly original: number };

export class Compiler {
  readonly #options: CompilerOptions;
  readonly #view: DataView;
  readonly #requests: Requests;
  readonly #cache: Cache;
  readonly #code: Code;
  readonly #finder: Finder;
  /** Taken, and not yet made. */
  #pending = new Map<number, Request>();
  /** When the first of those that wait for company came. */
  #since: number | undefined;
  /** As long as one of these refers to it, V8 keeps the native code, and gives it to every thread that compiles the same bytes. */
  readonly #modules = new Map<number, WebAssembly.Module>();

  constructor(memory: WebAssembly.Memory, options: CompilerOptions = {}) {
    this.#options = options;
    this.#view = new DataView(memory.buffer);
    this.#requests = new Requests(memory.buffer);
    this.#cache = new Cache(memory.buffer);
    this.#code = new Code(memory);
    this.#finder = new Finder(memory, this.#code);
  }

  /**
   * Makes one module of what is asked for most urgently, if that has waited long enough for company. Returns the milliseconds until there may be
   * more to do: 0 if it did something, Infinity if nothing was asked for.
   */
  work(): number {
    const now = performance.now();
    const { batch = BATCH, patience = 0 } = this.#options;
    const all = this.#requests.waiting + this.#pending.size;
    this.#cache.setWaiting(all);
    if (all === 0) return Infinity;
    // They are left where they are meanwhile: who asks need not wake anyone.
    this.#since ??= now;
    const wait = this.#since + patience - now;
    if (all < batch && wait > 0) return wait;
    this.#since = undefined;
    this.#take();
    const ranked = this.#ranked();
    // All was forgotten since they were asked for.
    if (ranked.length === 0) return Infinity;
    const found: Found[] = [];
    const covered = new Set<number>();
    for (const request of ranked) {
      if (found.length === batch) break;
      if (this.#postpone(request, covered)) continue;
      this.#pending.delete(request.record);
      const one = this.#find(request);
      if (!one) continue;
      found.push(one);
      for (const { offset } of instructionsOf(one.region)) covered.add(placeOf(one.region, offset));
    }
    this.#cache.setWaiting(this.#pending.size);
    this.#cache.count('finding', (performance.now() - now) * 1000);
    if (found.length > 0) this.#make(found);
    // Those as well that became hot meanwhile.
    this.#take();
    for (const request of this.#pending.values()) this.#postpone(request, covered);
    this.#sweep();
    return 0;
  }

  #take(): void {
    for (const request of this.#requests.take()) this.#pending.set(request.record, request);
  }

  /** Those that are entered most come first. */
  #ranked(): Request[] {
    const { generation } = this.#cache;
    const entries = ({ record }: Request): number => this.#view.getInt32(record - BlockHeader.size + BlockHeader.offsets.entries, true);
    const alive = [...this.#pending.values()].filter((request) => request.generation === generation);
    const ranked = alive.map((request) => ({ request, entries: entries(request) })).sort((a, b) => b.entries - a.entries);
    this.#pending = new Map(ranked.map(({ request }) => [request.record, request]));
    return [...this.#pending.values()];
  }

  /**
   * The blocks of a loop become hot together, and the region of one has the others inside: where `covered` (places in RAM) has the block, there is
   * no region for it before it has been entered some more, which only happens from outside.
   */
  #postpone(request: Request, covered: ReadonlySet<number>): boolean {
    const { record } = request;
    const page = this.#view.getUint32(record - BlockHeader.size + BlockHeader.offsets.page, true);
    if (!covered.has(page * PAGE + this.#view.getUint16(record + Record.offsets.pageOffset, true))) return false;
    this.#pending.delete(record);
    this.#cache.postpone(request);
    return true;
  }

  #find(request: Request): Found | undefined {
    const { record, generation } = request;
    const { clock } = this.#cache;
    const header = record - BlockHeader.size;
    const page = this.#view.getUint32(header + BlockHeader.offsets.page, true);
    const mode = this.#view.getUint32(header + BlockHeader.offsets.mode, true);
    const original = this.#code.handler(record);
    if (original === 0 || generation !== this.#cache.generation) return undefined;
    const { small = SMALL, large = LARGE, revisit = REVISIT } = this.#options;
    // One that is translated already is asked for again because it is entered so often.
    const handler = this.#view.getUint32(record + Record.offsets.handler, true);
    const entry = { record, page, mode, space: request };
    const region = handler < handlerCount() ? this.#finder.find(entry, small, revisit) : this.#finder.find(entry, large);
    if (!region) {
      this.#cache.refuse({ record, generation }, true);
      return undefined;
    }
    return { record, replaces: handler, pages: coverage(region), clock, generation, region, original };
  }

  /** Builds, compiles and installs; each for itself, if they cannot be built together. */
  #make(found: readonly Found[]): void {
    for (const { region } of found) this.#options.onRegion?.(region);
    const began = performance.now();
    let bytes: Uint8Array<ArrayBuffer>;
    let module: WebAssembly.Module;
    try {
      bytes = buildModule(found, this.#view);
      const built = performance.now();
      this.#cache.count('building', (built - began) * 1000);
      module = new WebAssembly.Module(bytes);
      this.#cache.count('compiling', (performance.now() - built) * 1000);
    } catch (error) {
      if (found.length > 1) for (const one of found) this.#make([one]);
      else this.#fail(found[0]!, error);
      return;
    }
    const done = this.#cache.install(bytes, found);
    if (!done) return;
    this.#modules.set(done.serial, module);
    found.forEach(({ region }, i) => done.installed[i] && this.#cache.countCode(region));
  }

  #fail(one: Found, error: unknown): void {
    // Whatever comes out of records that change meanwhile is nobody's fault.
    if (!this.#cache.isValid(one)) return this.#cache.refuse(one, false);
    this.#cache.count('failures');
    this.#cache.refuse(one, true);
    this.#options.note?.(`a region could not be translated: ${error instanceof Error ? error.message : String(error)}`);
  }

  /** Lets go of modules that are not entered any more. */
  #sweep(): void {
    if (this.#modules.size <= this.#cache.liveModules) return;
    const live = this.#cache.liveSerials();
    for (const serial of this.#modules.keys()) if (!live.has(serial)) this.#modules.delete(serial);
  }
}

const instructionsOf = ({ blocks }: Region): Instruction[] => blocks.flatMap(({ instructions }) => instructions);

/** In RAM. */
const placeOf = ({ pages }: Region, offset: number): number => pages.get(pageOf(offset))! * PAGE + offset - pageOf(offset) * PAGE;

/** RAM pages that a region has code in, and which 64-byte chunks of them. */
function coverage(region: Region): Map<number, bigint> {
  const pages = new Map<number, bigint>();
  for (const { offset, length } of instructionsOf(region)) {
    const page = region.pages.get(pageOf(offset))!;
    const first = offset - pageOf(offset) * PAGE;
    let chunks = pages.get(page) ?? 0n;
    for (let chunk = first >> 6; chunk <= (first + length - 1) >> 6; chunk++) chunks |= 1n << BigInt(chunk);
    pages.set(page, chunks);
  }
  return pages;
}
