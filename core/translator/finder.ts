/**
 * Finds what is translated together: the instructions that branches, calls, returns and falling through reach from an entry, as far as they have been
 * decoded and are executed often. First come, first served: what is near the entry belongs to it most.
 */
import { HANDLER_END, PAGE, Record, REGION_PAGES, TlbEntry, TLB_SLOT_MASK, TLB_SLOT_SHIFT } from '../state/index.ts';
import type { Code } from './code.ts';
import { COMPARED, link } from './cut.ts';
import { pageOf, type Instruction, type Region } from './region.ts';

const R = Record.offsets;

export interface Limits {
  /** Instructions a region has at most: what a compilation takes grows faster than they do. */
  readonly instructions: number;
  /** Pages that it has code in: REGION_PAGES at most. */
  readonly pages: number;
  /** Instructions of a function that is repeated for each of its calls, and how deep such calls may be nested. */
  readonly repeated: number;
  readonly depth: number;
  /** A return of which more places are known to go to is not followed. */
  readonly returns: number;
  /** What another region begins with is left to that, but for functions that are called. */
  readonly apart: boolean;
}

/**
 * At first regions are small: most code is not executed for long, and there is much of it. They keep apart: where each has all that its branches lead
 * to, a starting system has every instruction translated three times over.
 */
export const SMALL: Limits = { instructions: 200, pages: 1, repeated: 8, depth: 1, returns: 1, apart: true };
/** Those that are entered very often are found anew, with what is around them. */
export const LARGE: Limits = { instructions: 600, pages: REGION_PAGES, repeated: 24, depth: 4, returns: 2, apart: false };

/** Where the entry is in linear addresses, for what lies in other pages: what a vCPU's TLB says of them now. The region's code makes sure of it. */
export interface Space {
  /** Byte address of the TLB in use. */
  readonly tlb: number;
  /** Linear address of the entry's page: its lower and upper half. */
  readonly low: number;
  readonly high: number;
}

/** The block that a region begins with. */
export interface Entry {
  readonly record: number;
  /** In RAM. */
  readonly page: number;
  readonly mode: number;
  /** Absent: the region stays in the page. */
  readonly space?: Space;
}

/** A stretch of the region with instructions of its own: everything at first; a function that is repeated for one of its calls. */
export interface Context {
  readonly parent: Context | undefined;
  /** Offsets of the function, and of where it returns to in the parent. */
  readonly entry: number;
  readonly after: number;
  readonly at: Map<number, Instruction>;
  /** Offsets at which blocks begin. */
  readonly leaders: Set<number>;
  /** Where branches go, but for returns from repeated functions. */
  readonly ways: Map<Instruction, Place[]>;
  readonly depth: number;
}

/** A place in a region. */
export interface Place {
  readonly context: Context;
  readonly offset: number;
}

function newContext(parent: Context | undefined, entry: number, after: number): Context {
  return { parent, entry, after, at: new Map(), leaders: new Set(), ways: new Map(), depth: parent ? parent.depth + 1 : 0 };
}

export class Finder {
  readonly #view: DataView;
  readonly #code: Code;

  constructor(memory: WebAssembly.Memory, code: Code) {
    this.#view = new DataView(memory.buffer);
    this.#code = code;
  }

  /** The region that begins with a block's first record; undefined if there is nothing to gain. */
  find(entry: Entry, limits: Limits, revisit?: number): Region | undefined {
    const first = this.#code.instruction(entry.record, entry.mode, 0);
    if (!first.row && !first.returns) return undefined;
    return { ...new Search(this.#view, this.#code, limits, entry).run(first.offset), revisit };
  }
}

class Search {
  readonly #view: DataView;
  readonly #code: Code;
  readonly #limits: Limits;
  readonly #entry: Entry;
  readonly #work: { context: Context; offset: number; record: number }[] = [];
  readonly #contexts: Context[] = [];
  /** RAM pages by distance: of those that the region has code in, and of all that were looked for. */
  readonly #used = new Map<number, number>();
  readonly #known = new Map<number, number | undefined>();
  readonly #sizes = new Map<number, number>();
  /** Offsets to which functions of the first context return, with the context that they return to. */
  readonly #returns = new Map<number, Place[]>();
  #count = 0;

  constructor(view: DataView, code: Code, limits: Limits, entry: Entry) {
    this.#view = view;
    this.#code = code;
    this.#limits = limits;
    this.#entry = entry;
    this.#known.set(0, entry.page);
  }

  run(offset: number): Omit<Region, 'revisit'> {
    const { record, mode, page } = this.#entry;
    const top = newContext(undefined, offset, 0);
    this.#contexts.push(top);
    top.leaders.add(offset);
    this.#work.push({ context: top, offset, record });
    // Its page may be one too many by now.
    for (let next; !this.#full && (next = this.#work.shift());)
      if (this.#hasRoom(pageOf(next.offset))) this.#walk(next.context, next.offset, next.record);
    const { blocks, routers } = link(this.#contexts, this.#returns);
    return { entry: record, mode, page, pages: this.#used, blocks, routers, instructions: this.#count };
  }

  get #full(): boolean {
    return this.#count >= this.#limits.instructions;
  }

  /** RAM page at a distance, as far as is known. */
  #pageAt(distance: number): number | undefined {
    if (!this.#known.has(distance)) this.#known.set(distance, this.#translate(distance));
    return this.#known.get(distance);
  }

  #translate(distance: number): number | undefined {
    const { space } = this.#entry;
    if (!space) return undefined;
    const v = this.#view;
    const entry = (page: number): number | undefined => {
      const sum = space.low + page * PAGE;
      const low = sum >>> 0;
      // Outside of 64-bit mode addresses are no longer than this.
      const high = space.high === 0 ? 0 : (space.high + Math.floor(sum / 0x1_0000_0000)) >>> 0;
      const at = space.tlb + ((low >>> TLB_SLOT_SHIFT) & TLB_SLOT_MASK);
      const tag = at + TlbEntry.offsets.execTag;
      if (v.getUint32(tag, true) !== low || v.getUint32(tag + 4, true) !== high) return undefined;
      return v.getUint32(at + TlbEntry.offsets.frame, true) >>> 12;
    };
    // Another address space than when the region was asked for?
    return entry(0) === this.#entry.page ? entry(distance) : undefined;
  }

  #hasRoom(distance: number): boolean {
    return this.#used.has(distance) || this.#used.size < this.#limits.pages;
  }

  /** The first record of the block at an offset, if it may be part of the region; else 0. */
  #lookup(offset: number): number {
    const distance = pageOf(offset);
    if (!this.#hasRoom(distance)) return 0;
    const page = this.#pageAt(distance);
    return page === undefined ? 0 : this.#code.lookup(page * PAGE + offset - distance * PAGE, this.#entry.mode);
  }

  /** Follows instructions from one to the next. */
  #walk(context: Context, begin: number, first: number): void {
    let record = first;
    let offset = begin;
    while (!this.#full) {
      const base = pageOf(offset) * PAGE;
      if (this.#view.getUint32(record + R.handler, true) === HANDLER_END) {
        offset = base + this.#view.getUint16(record + R.pageOffset, true);
        record = this.#after(context, base, offset);
        if (record === 0) return;
        continue;
      }
      const i = this.#code.instruction(record, this.#entry.mode, base);
      if (context.at.has(i.offset)) return;
      context.at.set(i.offset, i);
      this.#count++;
      this.#used.set(pageOf(i.offset), this.#pageAt(pageOf(i.offset))!);
      this.#branch(context, i);
      if (i.end) return;
      if (i.row?.row.end) {
        // The interpreter's block ends here; the region goes on.
        offset = i.offset + i.length;
        record = this.#after(context, base, offset);
        if (record === 0) return;
      } else record += Record.size;
    }
  }

  /** What follows where the decoder ended a block in the page at `base`: a record, or 0 if the region does not go on there, or has it already. */
  #after(context: Context, base: number, offset: number): number {
    // A block does not go on in another page.
    if (pageOf(offset) * PAGE !== base) context.leaders.add(offset);
    return context.at.has(offset) ? 0 : this.#lookup(offset);
  }

  #branch(context: Context, i: Instruction): void {
    const family = i.row?.row.helper ? undefined : i.row?.row.family;
    if (i.target !== undefined) this.#way(context, i, family === 'call', i.target);
    else if (family === 'jmp_rm') for (const target of this.#seen(i)) this.#way(context, i, false, target);
    else if (family === 'call_rm') for (const target of this.#seen(i).slice(0, COMPARED)) this.#way(context, i, true, target);
    else if (family === 'ret' && !context.parent) {
      const targets = this.#seen(i);
      if (targets.length <= this.#limits.returns) for (const target of targets) this.#way(context, i, false, target);
    }
  }

  /** Where a branch that is not direct has gone, as offsets. */
  #seen(i: Instruction): number[] {
    return this.#code.targets(i.record).map((distance) => pageOf(i.offset) * PAGE + distance);
  }

  #way(context: Context, i: Instruction, isCall: boolean, target: number): void {
    const callee = isCall ? this.#call(context, i, target) : this.#reach(context, target, this.#limits.apart) ? context : undefined;
    if (!callee) return;
    const ways = context.ways.get(i) ?? [];
    context.ways.set(i, ways);
    ways.push({ context: callee, offset: target });
  }

  /** What is at an offset belongs to the region, if it can; `apart`: and if no region begins with it. */
  #reach(context: Context, offset: number, apart = false): boolean {
    if (!context.at.has(offset)) {
      const record = this.#lookup(offset);
      if (record === 0 || (apart && this.#code.isTranslated(record))) return false;
      this.#work.push({ context, offset, record });
    }
    context.leaders.add(offset);
    return true;
  }

  /** The context in which a function is called; undefined if that is not in the region. */
  #call(context: Context, i: Instruction, target: number): Context | undefined {
    const after = i.offset + i.length;
    // Only to have the address.
    if (target === after) return this.#reach(context, target) ? context : undefined;
    // Where it would not come back to, there is no use in going along.
    if (!context.at.has(after) && this.#lookup(after) === 0) return undefined;
    const top = this.#contexts[0]!;
    const callee = this.#isRepeated(context, target) ? newContext(context, target, after) : top;
    if (!this.#reach(callee, target)) return undefined;
    this.#reach(context, after);
    if (callee !== top) this.#contexts.push(callee);
    else {
      const list = this.#returns.get(target);
      if (!list) this.#returns.set(target, [{ context, offset: after }]);
      else if (!list.some((r) => r.offset === after)) list.push({ context, offset: after });
    }
    return callee;
  }

  #isRepeated(context: Context, target: number): boolean {
    if (context.depth >= this.#limits.depth) return false;
    for (let c: Context | undefined = context; c; c = c.parent) if (c.entry === target) return false;
    return this.#size(target) <= this.#limits.repeated;
  }

  /** How many instructions a function has, without those it calls; Infinity if they are too many. */
  #size(entry: number): number {
    const known = this.#sizes.get(entry);
    if (known !== undefined) return known;
    const seen = new Set<number>();
    const work = [entry];
    for (let begin; (begin = work.pop()) !== undefined;) {
      let offset = begin;
      let record = this.#lookup(offset);
      while (record !== 0 && !seen.has(offset) && seen.size <= this.#limits.repeated) {
        const base = pageOf(offset) * PAGE;
        if (this.#view.getUint32(record + R.handler, true) === HANDLER_END) {
          offset = base + this.#view.getUint16(record + R.pageOffset, true);
          record = this.#lookup(offset);
          continue;
        }
        const i = this.#code.instruction(record, this.#entry.mode, base);
        seen.add(offset);
        const family = i.row?.row.family;
        const call = family === 'call' || family === 'call_rm';
        if (i.target !== undefined && !call) work.push(i.target);
        if (i.end && !call) break;
        offset += i.length;
        record = i.row?.row.end ? this.#lookup(offset) : record + Record.size;
      }
    }
    const size = seen.size <= this.#limits.repeated ? seen.size : Infinity;
    this.#sizes.set(entry, size);
    return size;
  }
}
