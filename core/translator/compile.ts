/** From a region to one WebAssembly function, and from functions to a module. */
import { registerName } from '../processor/disassemble.ts';
import {
  ACTIVITY_INTERPRETED, BlockHeader, CODE_64, Control, Cpu, CS, DS, ES, FACT_COMPRESSED, FACT_FLAT, FACT_SEGMENT, FACT_SIMD, FACT_X87, Reach, Record, SS,
} from '../state/index.ts'; // prettier-ignore
import { call, callIndirect, FunctionBuilder, i32, i64, ModuleBuilder, op, type Expr, type LocalRef, type Type } from '../wasm/index.ts';
import { Accesses } from './access.ts';
import type { Import } from './emitter/frame.ts';
import { emitFlow, type Machine } from './flow.ts';
import { STRING_REGISTERS } from './effects.ts';
import { flushLeft, FLUSH_PARAMETERS, leaveFlags } from './flags.ts';
import { leaveRegion } from './glue.ts';
import type { Region } from './region.ts';
import { usage } from './registers.ts';

const O = Cpu.offsets;

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

export function buildRegion(
  region: Region,
  view: DataView,
  imports: Import,
  accesses: Accesses,
  handlerType: number,
  tag: number,
  original: number,
): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32'], ['i32'], true);
  const cpu = f.param(0);
  const long = region.mode === CODE_64;
  const { touched, written, simd, x87, segments, repeats, callouts } = usage(region, view);
  const gprType = long ? 'i64' : 'i32';
  const gpr = Array.from({ length: 16 }, (_, n) => (touched.has(n) ? f.local(gprType, registerName(n, long ? 64 : 32)) : undefined));
  const locals = <T extends string>(type: Type, ...names: T[]) =>
    Object.fromEntries(names.map((n) => [n, f.local(type, n)])) as Record<T, LocalRef>;
  const { ripBase, rip, a, b, c } = locals('i64', 'ripBase', 'rip', 'a', 'b', 'c');
  const { budget, tlb, kind, stale, state, next, repeating, began } = locals(
    'i32', 'budget', 'tlb', 'kind', 'stale', 'state', 'next', 'repeating', 'began',
  ); // prettier-ignore

  // -- what must hold for this translation; else the interpreter does the block
  const load = (offset: number): Expr => op('i32.load', [cpu], offset);
  let facts = (simd ? FACT_SIMD : 0) | (x87 ? FACT_X87 : 0) | (callouts ? FACT_COMPRESSED : 0);
  if (!long) {
    facts |= FACT_FLAT | (FACT_SEGMENT << SS);
    for (const s of [ES, CS, DS]) if (segments.has(O.reach + s * Reach.size)) facts |= FACT_SEGMENT << s;
  }
  const flush = imports('flush', FLUSH_PARAMETERS, []);
  if (facts !== 0)
    f.ifRarely(i32.ne(i32.and(load(O.facts), i32.const(facts)), i32.const(facts)), () => {
      flushLeft(f, cpu, flush);
      f.do('i32.store', [cpu, i32.const(ACTIVITY_INTERPRETED)], O.activity);
      f.returnCallIndirect(handlerType, [cpu, f.param(1)], i32.const(original));
    });

  if (region.revisit) countEntry(f, cpu, region, imports);
  f.set(ripBase, op('i64.load', [cpu], O.ripBase));
  for (const n of touched) f.set(gpr[n]!, op(long ? 'i64.load' : 'i32.load', [cpu], O.gpr + n * 8));
  f.set(budget, load(O.budget));
  if (region.blocks[0]!.instructions[0]!.row?.row.helper === 'cli') f.set(began, budget);
  f.set(tlb, load(O.tlb));

  const writeBack = (which = (_n: number) => true): void => {
    for (const n of [...written].filter(which)) f.do('i64.store', [cpu, long ? gpr[n]! : i64.extend_u(gpr[n]!)], O.gpr + n * 8);
  };
  const writeAll = (): void => {
    writeBack();
    f.call(flush, [cpu, kind, a, b, c]);
  };

  const dispatch = imports('dispatch', ['i32'], ['i32']);
  const left = imports('left', ['i32'], []);
  const access: Machine['access'] = (kind, item, wide) => accesses.find(kind, item, wide);
  const machine: Machine = {
    f,
    mode: region.mode,
    import: imports,
    access,
    cpu,
    gpr,
    written,
    ripBase,
    budget,
    tlb,
    kind,
    a,
    b,
    c,
    stale,
    repeating,
    began,
    facts,
    bounces: view.getUint32(Control.offsets.para, true) !== 0,
    entry: region.entry,
  };
  f.block((tail) => {
    f.block((aside) => {
      f.block((away) => {
        f.try(
          () => emitFlow(region, view, machine, { rip, state, next }, { tail, aside, away }),
          tag,
          () => {
            // Midway through a string instruction its registers and the budget are where they belong.
            const apart = (n: number): boolean => repeats && STRING_REGISTERS.includes(n);
            writeBack((n) => !apart(n));
            f.if(repeats ? i32.eqz(repeating) : i32.const(1), () => {
              writeBack(apart);
              f.do('i32.store', [cpu, budget], O.budget);
            });
            f.call(flush, [cpu, kind, a, b, c]);
            // To the run loop, which would do no more had it caught this: to throw on costs more.
            f.if(load(O.faultPending), () => {
              f.call(imports('caught', ['i32'], []), [cpu]);
              f.return(i32.const(0));
            });
            // The interpreter is to do it (processor/assembly/translated.ts).
            f.do('i32.store', [cpu, i32.const(ACTIVITY_INTERPRETED)], O.activity);
            f.returnCallIndirect(handlerType, [cpu, load(O.current)], call(imports('currentHandler', ['i32'], ['i32']), 'i32', [cpu]));
          },
        );
        f.unreachable();
      });
      writeBack();
      leaveFlags(f, cpu, machine, flush);
      leaveRegion(f, handlerType, cpu, budget, rip, dispatch);
    });
    // Outside of `try`: what faults has changed what it may.
    f.call(left, [state]);
    writeAll();
    f.do('i32.store', [cpu, budget], O.budget);
    f.drop(callIndirect(handlerType, 'i32', [cpu, next], state));
    f.returnCall(dispatch, [cpu]);
  });
  f.call(left, [state]);
  writeAll();
  f.do('i32.store', [cpu, budget], O.budget);
  f.do('i32.store', [cpu, i32.const(ACTIVITY_INTERPRETED)], O.activity);
  f.returnCallIndirect(handlerType, [cpu, next], op('i32.load', [next], Record.offsets.handler));
  return f;
}

/** Counts how often the region is entered, and asks now and then for a larger one in its place. */
function countEntry(f: FunctionBuilder, cpu: LocalRef, region: Region, imports: Import): void {
  const entries = region.entry - BlockHeader.size + BlockHeader.offsets.entries;
  const zero = i32.const(0);
  const count = f.let(i32.add(op('i32.load', [zero], entries), i32.const(1)));
  f.do('i32.store', [zero, count], entries);
  f.ifRarely(i32.eqz(i32.and(count, i32.const(region.revisit! - 1))), () =>
    f.call(imports('hot', ['i32', 'i32'], []), [cpu, i32.const(region.entry)]),
  );
}

/** A module with regions as its exports, by number. */
export function buildModule(regions: readonly { region: Region; original: number }[], view: DataView): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory();
  module.importTable();
  const tag = module.importTag('trap', 'fault');
  const imports = new Imports();
  const accesses = new Accesses();
  const type = module.type(['i32', 'i32'], ['i32']);
  const functions = regions.map(({ region, original }) => buildRegion(region, view, imports.find, accesses, type, tag, original));
  const called = accesses.list.map((a) => a.build(imports.find));
  for (const i of imports.list) module.importFunction('helper', i.name, i.params, i.results);
  called.forEach((f, i) => (accesses.list[i]!.index = module.function(f)));
  functions.forEach((f, i) => module.exportFunction(String(i), module.function(f)));
  return module.encode();
}
