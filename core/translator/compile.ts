/** From a region to one WebAssembly function, and from functions to a module. */
import { families } from '../processor/semantics/index.ts';
import {
  CODE_64, Cpu, CS, DS, ES, Reach, Record, Segment, SS,
} from '../state/index.ts'; // prettier-ignore
import { callIndirect, FunctionBuilder, i32, i64, ModuleBuilder, op, type Expr, type Label, type Type } from '../wasm/index.ts';
import { TranslatorEmitter, type Frame, type Import } from './emitter.ts';
import { FLAGS_MEMORY } from './flags.ts';
import { successors, type Block, type Region } from './region.ts';
import { usage } from './registers.ts';

const O = Cpu.offsets;
const EM_TS = 12;
const OSFXSR = 1 << 9;
const WHOLE = i64.const(0x1_0000_0000);

/** Collects what a module imports; indices are in the order of first use. */
export class Imports {
  readonly list: { name: string; params: readonly Type[]; results: readonly Type[] }[] = [];
  readonly #index = new Map<string, number>();
  readonly find: Import = (name, params, results) => {
    const known = this.#index.get(name);
    if (known !== undefined) return known;
    this.list.push({ name, params, results });
    this.#index.set(name, this.list.length - 1);
    return this.list.length - 1;
  };
}

/** Part of a function in which blocks follow each other; a loop is one item of the part around it. */
type Item = { readonly first: number; readonly last: number; readonly loop: boolean };

/** Where the loops are that WebAssembly can have as loops: by header, the last block. Others go through the dispatcher. */
function findLoops(blocks: readonly Block[], index: ReadonlyMap<number, number>): { loops: Map<number, number>; dispatched: Set<number> } {
  const edges: [number, number][] = [];
  blocks.forEach((block, from) => {
    for (const offset of successors(block)) {
      const to = index.get(offset);
      if (to !== undefined) edges.push([from, to]);
    }
  });
  const loops = new Map<number, number>();
  for (const [from, to] of edges) if (to <= from) loops.set(to, Math.max(from, loops.get(to) ?? 0));
  // Loops lie within each other or apart.
  for (let changed = true; changed;) {
    changed = false;
    for (const [a, lastA] of loops)
      for (const [b, lastB] of loops)
        if (a < b && b <= lastA && lastB > lastA) {
          loops.set(a, lastB);
          changed = true;
        }
  }
  const dispatched = new Set<number>();
  for (let changed = true; changed;) {
    changed = false;
    const entries = [...edges, ...[...dispatched].map((to) => [-1, to] as [number, number])];
    for (const [header, last] of loops)
      if (entries.some(([from, to]) => to > header && to <= last && (from < header || from > last))) {
        loops.delete(header);
        dispatched.add(header);
        changed = true;
      }
  }
  return { loops, dispatched };
}

export function buildRegion(
  region: Region,
  view: DataView,
  imports: Import,
  handlerType: number,
  tag: number,
  original: number,
): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32'], ['i32'], true);
  const cpu = f.param(0);
  const long = region.mode === CODE_64;
  const { touched, written, simd, x87, segments } = usage(region, view);
  const { blocks } = region;
  const index = new Map(blocks.map((b, i) => [b.offset, i]));
  const gprType = long ? 'i64' : 'i32';
  const gpr = Array.from({ length: 16 }, (_, n) => (touched.has(n) ? f.local(gprType) : undefined));
  const [ripBase, rip, a, b] = [f.local('i64'), f.local('i64'), f.local('i64'), f.local('i64')];
  const [budget, tlb, kind] = [f.local('i32'), f.local('i32'), f.local('i32')];
  const [stale, state, next] = [f.local('i32'), f.local('i32'), f.local('i32')];

  // -- what must hold for this translation; else the interpreter does the block
  const load = (offset: number): Expr => op('i32.load', [cpu], offset);
  const load64 = (offset: number): Expr => op('i64.load', [cpu], offset);
  const doubts: Expr[] = [];
  if (simd || x87) doubts.push(i32.and(load(O.cr0), i32.const(EM_TS)));
  if (simd) doubts.push(i32.eqz(i32.and(load(O.cr4), i32.const(OSFXSR))));
  f.set(ripBase, load64(O.ripBase));
  if (!long) {
    doubts.push(i32.ne(load(O.segments + CS * Segment.size + Segment.offsets.limit), i32.const(-1)));
    doubts.push(i64.gt_u(ripBase, i64.const(0xffff_f000)));
    doubts.push(i32.ne(load(O.stackMask), i32.const(-1)));
    const used = new Set([...segments, O.reach + SS * Reach.size]);
    for (const s of [ES, CS, SS, DS]) {
      const at = O.reach + s * Reach.size;
      if (!used.has(at)) continue;
      doubts.push(i64.ne(load64(at + Reach.offsets.base), i64.const(0)), i64.ne(load64(at + Reach.offsets.readEnd), WHOLE));
      if (s !== CS) doubts.push(i64.ne(load64(at + Reach.offsets.writeEnd), WHOLE));
    }
    // A write through CS faults: the slow path is not asked where the TLB has the page.
    if ([...used].some((at) => at === O.reach + CS * Reach.size)) doubts.push(i32.const(1));
  }
  if (doubts.length > 0)
    f.if(
      doubts.reduce((x, y) => i32.or(x, y)),
      () => f.returnCallIndirect(handlerType, [cpu, f.param(1)], i32.const(original)),
    );

  for (const n of touched) f.set(gpr[n]!, op(long ? 'i64.load' : 'i32.load', [cpu], O.gpr + n * 8));
  f.set(budget, load(O.budget));
  f.set(tlb, load(O.tlb));

  const writeBack = (): void => {
    for (const n of written) f.do('i64.store', [cpu, long ? gpr[n]! : i64.extend_u(gpr[n]!)], O.gpr + n * 8);
    f.call(imports('flush', ['i32', 'i32', 'i64', 'i64'], []), [cpu, kind, a, b]);
  };

  f.block((tail) => {
    f.block((aside) => {
      f.block((away) => {
        f.try(
          () => body(tail, aside, away),
          tag,
          () => {
            writeBack();
            f.throw(tag);
          },
        );
        f.unreachable();
      });
      writeBack();
      f.do('i32.store', [cpu, budget], O.budget);
      f.do('i64.store', [cpu, rip], O.rip);
      f.returnCall(imports('dispatch', ['i32'], ['i32']), [cpu]);
    });
    // Outside of `try`: a string instruction that faults midway has changed registers.
    writeBack();
    f.do('i32.store', [cpu, budget], O.budget);
    f.drop(callIndirect(handlerType, 'i32', [cpu, next], state));
    f.returnCall(imports('dispatch', ['i32'], ['i32']), [cpu]);
  });
  writeBack();
  f.do('i32.store', [cpu, budget], O.budget);
  f.returnCallIndirect(handlerType, [cpu, next], op('i32.load', [next], Record.offsets.handler));
  return f;

  function body(tail: Label, aside: Label, away: Label): void {
    const { loops, dispatched } = findLoops(blocks, index);
    const labels: (Label | undefined)[] = [];
    const loopLabels: (Label | undefined)[] = [];
    let dispatcher: Label | undefined;
    /** The kinds of flags with which a block is entered, as far as emitted. */
    const kinds: Set<number | undefined>[] = blocks.map(() => new Set());
    kinds[0]!.add(FLAGS_MEMORY);
    let current = 0;

    const spend = (executed: number): void => {
      if (executed > 0) f.set(budget, i32.sub(budget, i32.const(executed)));
    };
    const leave = (executed: number, to: Expr): void => {
      f.set(rip, to);
      spend(executed);
      f.br(away);
    };
    const edge = (executed: number, offset: number): void => {
      const to = index.get(offset);
      if (to === undefined) return leave(executed, e.address(offset));
      spend(executed);
      kinds[to]!.add(e.known);
      if (to > current) return f.br(labels[to]!);
      // Back: here the budget is looked at.
      f.if(i32.lt_s(budget, i32.const(0)), () => {
        f.set(rip, e.address(offset));
        f.br(away);
      });
      if (loopLabels[to]) return f.br(loopLabels[to]);
      f.set(state, i32.const([...dispatched].indexOf(to) + 1));
      f.br(dispatcher!);
    };
    const frame: Frame = { f, mode: region.mode, import: imports, cpu, gpr, written, ripBase, budget, tlb, kind, a, b, stale, leave, edge };
    const e = new TranslatorEmitter(frame, view);

    const emitBlock = (i: number, fallsTo: number | undefined): void => {
      const block = blocks[i]!;
      current = i;
      const known = kinds[i]!;
      // A header is entered from code that is not emitted yet.
      e.known = loops.has(i) || dispatched.has(i) || known.size !== 1 ? undefined : [...known][0];
      let executed = 0;
      for (const instruction of block.instructions) {
        const { row } = instruction;
        if (!row) {
          spend(executed);
          // The handler takes the record's position from the budget, and its own.
          if (instruction.position > 0) f.set(budget, i32.add(budget, i32.const(instruction.position)));
          f.set(next, i32.const(instruction.record));
          // By its number: the record may be this region's own entry.
          if (instruction.returns) f.set(state, i32.const(instruction.handler));
          f.br(instruction.returns ? aside : tail);
          return;
        }
        e.emit(instruction, executed, () => {
          if (row.row.helper) e.helper(row.row.helper, [e.record]);
          else families[row.row.family]!(e);
        });
        executed++;
      }
      if (block.next === undefined) return;
      const to = index.get(block.next);
      if (to !== undefined && to === fallsTo) {
        spend(executed);
        kinds[to]!.add(e.known);
      } else edge(executed, block.next);
    };

    /** Blocks first..last, of which `header` is the loop's that is being emitted, if it is one. */
    const emitRange = (first: number, last: number, header: number | undefined): void => {
      const items: Item[] = [];
      for (let i = first; i <= last;) {
        const end = i === header ? undefined : loops.get(i);
        items.push({ first: i, last: end ?? i, loop: end !== undefined });
        i = (end ?? i) + 1;
      }
      const emitItem = (item: Item, following: number | undefined): void => {
        if (!item.loop) return emitBlock(item.first, following);
        f.loop((label) => {
          loopLabels[item.first] = label;
          emitRange(item.first, item.last, item.first);
        });
        loopLabels[item.first] = undefined;
        // Falling out of the end of a loop: its last block says where to by a branch.
        f.unreachable();
      };
      const nest = (n: number): void => {
        const item = items[n]!;
        const following = item.loop ? undefined : items[n + 1]?.first;
        if (n === 0) {
          if (first === 0 && header === undefined && dispatcher) {
            f.block((own) => f.brTable([own, ...[...dispatched].map((i) => labels[i] ?? own)], own, state));
          }
          return emitItem(item, following);
        }
        f.block((label) => {
          labels[item.first] = label;
          nest(n - 1);
        });
        emitItem(item, following);
      };
      nest(items.length - 1);
    };

    if (dispatched.size > 0) {
      f.loop((label) => {
        dispatcher = label;
        emitRange(0, blocks.length - 1, undefined);
      });
      f.unreachable();
    } else emitRange(0, blocks.length - 1, undefined);
  }
}

/** A module with regions as its exports, by number. */
export function buildModule(regions: readonly { region: Region; original: number }[], view: DataView): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory();
  module.importTable();
  const tag = module.importTag('trap', 'fault');
  const imports = new Imports();
  const type = module.type(['i32', 'i32'], ['i32']);
  const functions = regions.map(({ region, original }) => buildRegion(region, view, imports.find, type, tag, original));
  for (const i of imports.list) module.importFunction('helper', i.name, i.params, i.results);
  functions.forEach((f, i) => module.exportFunction(String(i), module.function(f)));
  return module.encode();
}
