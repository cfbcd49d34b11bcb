/**
 * From one page to another within a region: linear addresses may mean something else by now. What a region makes sure of once holds as long as the
 * region is not left: nothing that it does itself changes what linear addresses mean, or who may execute what they lead to.
 */
import { tlbEntry } from '../processor/tlb-entry.ts';
import { PAGE, TlbEntry } from '../state/index.ts';
import { i32, i64, op, type Expr } from '../wasm/index.ts';
import { O } from './emitter/frame.ts';
import type { Machine } from './flow.ts';
import { isRouter, pageOf, successors, type Node, type Region } from './region.ts';

export class Crossings {
  readonly #region: Region;
  /** The page whose `ripBase` the vCPU has at the end of a node; undefined: one of several. */
  readonly #page = new Map<Node, number | undefined>();
  /** Pages that were seen to be where they should be on every way to the end of a node. */
  readonly #sure = new Map<Node, ReadonlySet<number>>();

  /** `nodes`: all blocks and routers, the entry first. */
  constructor(region: Region, nodes: readonly Node[]) {
    this.#region = region;
    if (region.pages.size === 1) return;
    const before = new Map<Node, Node[]>(nodes.map((n) => [n, []]));
    for (const n of nodes) for (const s of successors(n)) before.get(s)!.push(n);
    for (const n of nodes) {
      const pages = isRouter(n) ? new Set(before.get(n)!.map((b) => (isRouter(b) ? NaN : pageOf(b.offset)))) : new Set([pageOf(n.offset)]);
      this.#page.set(n, pages.size === 1 ? [...pages][0] : undefined);
    }
    const all = new Set(region.pages.keys());
    for (const n of nodes) this.#sure.set(n, all);
    for (let changed = true; changed;) {
      changed = false;
      for (const n of nodes) {
        const ways = before.get(n)!.map((b) => this.#sure.get(b)!);
        if (n === nodes[0]) ways.push(new Set([0]));
        const sure = new Set([...ways[0]!].filter((page) => ways.every((w) => w.has(page))));
        if (!isRouter(n)) sure.add(pageOf(n.offset));
        if (sure.size === this.#sure.get(n)!.size) continue;
        this.#sure.set(n, sure);
        changed = true;
      }
    }
  }

  /** Emits what is to be done on the way from one node to the next; `miss` leaves for the same place. */
  emit(machine: Machine, address: (offset: number) => Expr, from: Node, to: Node, miss: () => void): void {
    if (isRouter(to) || this.#region.pages.size === 1) return;
    const page = pageOf(to.offset);
    if (this.#page.get(from) === page) return;
    const { f, cpu, tlb } = machine;
    f.scope(() => {
      const linear = f.let(address(page * PAGE));
      if (!this.#sure.get(from)!.has(page)) {
        const entry = f.let(tlbEntry(tlb, i32.wrap(linear)));
        const other = i64.ne(op('i64.load', [entry], TlbEntry.offsets.execTag), linear);
        const frame = op('i32.load', [entry], TlbEntry.offsets.frame);
        const elsewhere = i32.ge_u(i32.xor(frame, i32.const(this.#region.pages.get(page)! << 12)), i32.const(PAGE));
        f.ifRarely(i32.or(other, elsewhere), miss);
      }
      f.do('i64.store', [cpu, linear], O.ripBase);
    });
  }
}
