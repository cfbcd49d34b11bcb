/** The ways between regions: what each ends with, and what all regions of a machine call, built once for each engine. */
import { handlerCount } from '../processor/handlers.ts';
import { enterBlock, findBlock, jumpEntry, lookAround } from '../processor/jumps.ts';
import { Cpu, Jump, Record, Translations } from '../state/index.ts';
import { FunctionBuilder, i32, i64, ModuleBuilder, op, type Label, type LocalRef } from '../wasm/index.ts';
import { addFlush, flushLeft } from './flags.ts';
import { addSlow } from './slow.ts';

const O = Cpu.offsets;

/** Goes on with the region that `Cpu.jumps` has for `rip`; branches to `unknown` where it has none. */
function jump(f: FunctionBuilder, handlerType: number, cpu: LocalRef, rip: LocalRef, unknown: Label): void {
  const entry = f.let(jumpEntry(cpu, i32.wrap(rip)));
  f.brIfRarely(unknown, i64.ne(op('i64.load', [entry], O.jumps + Jump.offsets.rip), rip));
  f.brIfRarely(unknown, i32.ne(op('i32.load', [entry], O.jumps + Jump.offsets.stamp), op('i32.load', [cpu], O.jumpStamp)));
  const record = f.let(op('i32.load', [entry], O.jumps + Jump.offsets.record));
  const handler = f.let(op('i32.load', [record], Record.offsets.handler));
  // Stale by now, or the interpreter's again.
  f.brIfRarely(unknown, i32.lt_u(handler, i32.const(handlerCount())));
  f.do('i64.store', [cpu, i64.and(rip, i64.const(-4096))], O.ripBase);
  f.returnCallIndirect(handlerType, [cpu, record], handler);
}

/**
 * The end of a region that is left to `rip`: registers are written back, flags are in the vCPU's state or pending there. In the interest of its
 * length only what is usual is done here; `dispatch` does the rest.
 */
export function leaveRegion(
  f: FunctionBuilder,
  handlerType: number,
  cpu: LocalRef,
  budget: LocalRef,
  rip: LocalRef,
  dispatch: number,
): void {
  f.do('i32.store', [cpu, budget], O.budget);
  f.block((slow) => {
    f.brIfRarely(slow, i32.or(op('i32.load', [cpu], O.event), i32.shr_u(budget, i32.const(31))));
    jump(f, handlerType, cpu, rip, slow);
  });
  f.do('i64.store', [cpu, rip], O.rip);
  f.returnCall(dispatch, [cpu]);
}

/**
 * dispatch(cpu) -> i32: goes on at `rip` without a trip through the run loop, and returns where it is not known what is there or where anything
 * else has to be seen to first (see `prepare` in processor/assembly/run.ts, whose short way this is).
 */
function buildDispatch(handlerType: number, codeHash: number, flush: number): FunctionBuilder {
  const f = new FunctionBuilder(['i32'], ['i32']);
  const cpu = f.param(0);
  const flushAll = (): void => flushLeft(f, cpu, flush);
  f.block((away) => {
    const mode = f.let(op('i32.load', [cpu], O.codeSize));
    lookAround(f, cpu, mode, away);
    const rip = f.let(op('i64.load', [cpu], O.rip));
    const block = findBlock(f, cpu, rip, mode, i32.const(codeHash), away);
    // Regions take flags as they are.
    f.if(i32.lt_u(block.handler, i32.const(handlerCount())), flushAll);
    enterBlock(f, handlerType, cpu, rip, block);
  });
  flushAll();
  f.yield(i32.const(0));
  return f;
}

/**
 * Stands in each slot whose function is not there yet in this thread: has it fetched, and goes on with the record's handler as it is then. Flags may
 * be pending, as for any region; for the interpreter they must not.
 */
function buildAbsent(handlerType: number, materialize: number, flush: number): FunctionBuilder {
  const f = new FunctionBuilder(['i32', 'i32'], ['i32']);
  const [cpu, record] = [f.param(0), f.param(1)];
  f.call(materialize, [cpu, record]);
  const handler = f.let(op('i32.load', [record], Record.offsets.handler));
  f.if(i32.lt_u(handler, i32.const(handlerCount())), () => flushLeft(f, cpu, flush));
  f.returnCallIndirect(handlerType, [cpu, record], handler);
  return f;
}

/** left(handler): an instruction is left to the interpreter, which does it by this handler: counted, for it takes a region apart. */
function buildLeft(fallbacks: number): FunctionBuilder {
  const f = new FunctionBuilder(['i32'], []);
  f.drop(op('i32.atomic.rmw.add', [i32.shl(f.param(0), i32.const(2)), i32.const(1)], fallbacks));
  return f;
}

/** `codeHash`, `translations`: as in Control. Imports `host.materialize(cpu, record)`. */
export function buildGlue(codeHash: number, translations: number): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory();
  module.importTable();
  const materialize = module.importFunction('host', 'materialize', ['i32', 'i32'], []);
  const slow = addSlow(module);
  const type = module.type(['i32', 'i32'], ['i32']);
  const flush = addFlush(module);
  module.exportFunction('flush', flush);
  module.exportFunction('absent', module.function(buildAbsent(type, materialize, flush)));
  module.exportFunction('dispatch', module.function(buildDispatch(type, codeHash, flush)));
  module.exportFunction('left', module.function(buildLeft(translations + Translations.offsets.fallbacks)));
  slow();
  return module.encode();
}
