/**
 * Builds `interpreter.wasm`: one handler per row, operand size and form, in one table, and `run`, which executes blocks of records.
 * Done ahead of time (build/core.ts); nothing here runs while a guest does.
 */
import type { Row } from '../spec/row.ts';
import {
  BlockHeader, CHAIN_JUMP, CHAIN_RETURN, Control, Cpu, HANDLER_COUNT, HANDLER_END, HANDLER_STALE, HANDLER_TOO_LONG, HANDLER_UNDEFINED, Record, TRANSLATIONS,
} from '../state/index.ts'; // prettier-ignore
import { call, callIndirect, FunctionBuilder, i32, i64, ModuleBuilder, op, type Expr, type Type } from '../wasm/index.ts';
import { handlerCount, numberedRows, specialHandlers } from './handlers.ts';
import { InterpreterEmitter, type Import } from './interpreter-emitter.ts';
import { activityOf, enterBlock, findBlock, lookAround } from './jumps.ts';
import { perform } from './semantics/perform.ts';

const O = Cpu.offsets;
const R = Record.offsets;

/** CR0.EM | CR0.TS. */
const EM_TS = 12;
const OSFXSR = 1 << 9;

/** #NM and #UD of the floating-point units (vol. 3A, 2.5): inline where all is well, else the helper decides. */
function checkUnit(e: InterpreterEmitter): void {
  const { unit } = e.row;
  if (unit === 'integer') return;
  const blocked = i32.and(e.load32(O.cr0), i32.const(EM_TS));
  const bad = unit === 'simd' ? i32.or(blocked, i32.eqz(i32.and(e.load32(O.cr4), i32.const(OSFXSR)))) : blocked;
  e.f.ifRarely(bad, () => e.helper({ x87: 'checkX87', mmx: 'checkMmx', simd: 'checkSimd' }[unit], [e.record]));
}

/** Makes a handler; `callout`: VMM_*, if it is the call-out of the instruction. */
type Make = (row: Row, size: 0 | 16 | 32 | 64, memory: boolean, callout?: number) => FunctionBuilder;

function handler(e: InterpreterEmitter): FunctionBuilder {
  const { row } = e;
  checkUnit(e);
  if (row.helper) {
    if (row.end) e.store64(O.rip, e.nextRip());
    perform(e);
    // Translated code calls these handlers and goes on after them.
    if (row.end) e.leave();
    else e.next();
  } else {
    perform(e);
    e.next();
  }
  return e.f;
}

/** onward(cpu) -> i32: goes on at `rip` if it is known what is there and nothing else has to be seen to first; if not, returns to the run loop. */
function buildOnward(type: number, imports: Import): FunctionBuilder {
  const f = new FunctionBuilder(['i32'], ['i32']);
  const cpu = f.param(0);
  f.block((away) => {
    const mode = f.let(op('i32.load', [cpu], O.codeSize));
    lookAround(f, cpu, mode, away);
    const rip = f.let(op('i64.load', [cpu], O.rip));
    const block = findBlock(f, cpu, rip, mode, op('i32.load', [i32.const(0)], Control.offsets.codeHash), away);
    const chain = f.let(op('i32.load', [cpu], O.chain));
    f.if(chain, () => {
      f.do('i32.store', [cpu, i32.const(0)], O.chain);
      const distance = i64.sub(rip, op('i64.load', [cpu], O.ripBase));
      f.if(
        i32.and(chain, i32.const(CHAIN_RETURN | CHAIN_JUMP)),
        () => f.call(imports('noteTarget', ['i32', 'i64'], []), [chain, distance]),
        () => f.do('i32.store', [chain, block.record], R.target),
      );
    });
    enterBlock(f, type, cpu, rip, block);
  });
  f.yield(i32.const(0));
  return f;
}

/** Leaves the block at the address of this record, which was not executed. */
function leaveHere(onward: number): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const cpu = f.param(0);
  const record = f.param(1);
  const rip = i64.add(op('i64.load', [cpu], O.ripBase), op('i64.load16_u', [record], R.pageOffset));
  f.do('i64.store', [cpu, i64.and(rip, op('i64.load', [cpu], O.linearMask))], O.rip);
  f.do('i32.store', [cpu, i32.sub(op('i32.load', [cpu], O.budget), op('i32.load8_u', [record], R.position))], O.budget);
  f.returnCall(onward, [cpu]);
  f.unreachable();
  return f;
}

function faulting(imports: Import, helper: string, argument: Expr | 'record'): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const value = argument === 'record' ? f.param(1) : argument;
  f.do('i32.store', [f.param(0), f.param(1)], O.current);
  f.call(imports(helper, ['i32', value.type], []), [f.param(0), value]);
  f.unreachable();
  return f;
}

/** Bits of (entries - translateAfter) that are 0 when a block's translation is asked for: again and again, until it is there. */
const ASK = 0x8000_00ff | 0;

/** Enters a block that is not translated: counts, and asks for its translation when it has become hot. */
function counting(type: number, imports: Import): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const [cpu, record] = [f.param(0), f.param(1)];
  const header = f.let(i32.sub(record, i32.const(BlockHeader.size)));
  const entries = f.let(i32.add(op('i32.load', [header], BlockHeader.offsets.entries), i32.const(1)));
  f.do('i32.store', [header, entries], BlockHeader.offsets.entries);
  const more = i32.sub(entries, op('i32.load', [i32.const(0)], Control.offsets.translateAfter));
  f.if(i32.eqz(i32.and(more, i32.const(ASK))), () => {
    f.call(imports('hot', ['i32', 'i32'], []), [cpu, record]);
    // It may be there already.
    const now = f.let(op('i32.load', [record], R.handler));
    f.if(i32.ne(now, i32.const(HANDLER_COUNT)), () => f.returnCallIndirect(type, [cpu, record], now));
  });
  f.returnCallIndirect(type, [cpu, record], op('i32.load', [header], BlockHeader.offsets.original));
  return f;
}

/**
 * `run(cpu, budget) -> EXIT_*`. The loop of blocks: `prepare` (AssemblyScript) serves events and finds the next block's first record, or says
 * why to return; handlers then go on to each other by tail calls until one leaves the block. A guest fault is caught here and delivered by the next
 * `prepare`, so that a fault during delivery is caught as well.
 */
function runLoop(tag: number, handlerType: number, imports: Import): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const cpu = f.param(0);
  const record = f.local('i32');
  const slot = f.local('i32');
  f.do('i32.store', [cpu, f.param(1)], O.budget);
  f.do('i32.store', [cpu, f.param(1)], O.budgetMark);
  f.do('i32.store', [cpu, f.param(1)], O.shadowBudget);
  const prepare = imports('prepare', ['i32'], ['i32']);
  const caught = imports('caught', ['i32'], []);
  const find: Expr = call(prepare, 'i32', [cpu]);
  f.loop((outer) => {
    f.try(
      () =>
        f.loop((blocks) => {
          f.do('i32.store', [cpu, i32.const(0)], O.current);
          f.set(record, find);
          // A small number is an exit, not a record.
          f.if(i32.lt_u(record, i32.const(EXIT_LIMIT)), () => f.return(record));
          f.set(slot, op('i32.load', [record], R.handler));
          f.do('i32.store', [cpu, activityOf(slot)], O.activity);
          f.drop(callIndirect(handlerType, 'i32', [cpu, record], slot));
          f.br(blocks);
        }),
      tag,
      () => f.call(caught, [cpu]),
    );
    f.br(outer);
  });
  f.unreachable();
  return f;
}

/** Exits of `run` are below this; records' addresses are above. */
const EXIT_LIMIT = 256;

/** The module. It imports `env.memory`, the exception's tag `trap.fault`, and the AssemblyScript helpers from "helper". */
export function buildInterpreter(): Uint8Array<ArrayBuffer> {
  // Imports come first in a module, and which are needed is known only after all handlers were built: build twice.
  const names: { name: string; params: readonly Type[]; results: readonly Type[] }[] = [];
  let module = new ModuleBuilder();
  for (let pass = 0; ; pass++) {
    module = new ModuleBuilder();
    module.importMemory();
    const tag = module.importTag('trap', 'fault');
    for (const n of names) module.importFunction('helper', n.name, n.params, n.results);
    const before = names.length;
    const imports: Import = (name, params, results) => {
      const index = names.findIndex((n) => n.name === name);
      if (index >= 0) {
        const known = names[index]!;
        if (known.params.join() !== params.join() || known.results.join() !== results.join())
          throw new Error(
            `helper ${name}: (${params.join()}) -> (${results.join()}), elsewhere (${known.params.join()}) -> (${known.results.join()})`,
          );
        return index;
      }
      names.push({ name, params, results });
      return names.length - 1;
    };
    const type = module.type(['i32', 'i32'], ['i32']);
    const slots: (number | undefined)[] = Array.from({ length: handlerCount() + TRANSLATIONS });
    const onward = module.function(buildOnward(type, imports));
    const here = module.function(leaveHere(onward));
    slots[HANDLER_STALE] = here;
    slots[HANDLER_END] = here;
    slots[HANDLER_COUNT] = module.function(counting(type, imports));
    slots[HANDLER_UNDEFINED] = module.function(faulting(imports, 'undefinedInstruction', 'record'));
    slots[HANDLER_TOO_LONG] = module.function(faulting(imports, 'generalProtection', i32.const(0)));
    const make: Make = (row, size, memory, callout) => handler(new InterpreterEmitter(row, size, memory, type, onward, imports, callout));
    const special = specialHandlers();
    for (const { row, base, sizes, callout } of numberedRows())
      sizes.forEach((size, i) => {
        const put = (slot: number, memory: boolean): void => {
          slots[slot] = module.function(make(row, size, memory));
          if (callout) slots[slot + special.callouts - special.first] = module.function(make(row, size, memory, callout.reason));
        };
        const both = row.modrm && !row.form;
        if (row.form !== 'm') put(base + 2 * i, false);
        if (both || row.form === 'm') put(base + 2 * i + 1, true);
      });
    module.table(slots);
    module.exportTable();
    module.exportFunction('run', module.function(runLoop(tag, type, imports)));
    if (pass > 0 && names.length === before) break;
  }
  return module.encode();
}

/** The small module that owns the exception's tag: `fault`, and `raise`, which throws it. */
export function buildTrap(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const tag = module.tag();
  const f = new FunctionBuilder([], []);
  f.throw(tag);
  module.exportFunction('raise', module.function(f));
  module.exportTag('fault', tag);
  return module.encode();
}
