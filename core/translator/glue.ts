/** What all regions of a machine call: built once for each engine. */
import { HANDLERS } from '../processor/handlers.ts';
import { tlbEntry } from '../processor/tlb-entry.ts';
import {
  CODE_64, CODE_HASH_ENTRIES, CodeHash, Cpu, CS, Reach, Record, Segment, TlbEntry,
} from '../state/index.ts'; // prettier-ignore
import { FunctionBuilder, i32, i64, ModuleBuilder, op, type Expr } from '../wasm/index.ts';
import { buildFlush } from './flags.ts';

const O = Cpu.offsets;

/**
 * dispatch(cpu) -> i32: goes on at `rip` where that is translated, without a trip through the run loop, and returns where it is not or where
 * anything else has to be seen to first (see `prepare` in processor/assembly/run.ts, whose short way this is).
 */
function buildDispatch(handlerType: number, codeHash: number): FunctionBuilder {
  const f = new FunctionBuilder(['i32'], ['i32']);
  const cpu = f.param(0);
  const load = (offset: number): Expr => op('i32.load', [cpu], offset);
  const load64 = (offset: number): Expr => op('i64.load', [cpu], offset);
  f.block((away) => {
    const debug = i32.and(load(O.dr + 7 * 8), i32.const(0xff));
    const waiting = [O.halted, O.interruptShadow, O.stepping].reduce((e, offset) => i32.or(e, load(offset)), i32.or(load(O.event), debug));
    f.brIf(away, waiting);
    f.brIf(away, i32.lt_s(load(O.budget), i32.const(0)));
    const rip = f.let(load64(O.rip));
    const mode = f.let(load(O.codeSize));
    const linear = f.variable(rip);
    f.if(i32.ne(mode, i32.const(CODE_64)), () => {
      f.brIf(away, i32.ne(load(O.segments + CS * Segment.size + Segment.offsets.limit), i32.const(-1)));
      f.set(linear, i64.and(i64.add(rip, load64(O.reach + CS * Reach.size + Reach.offsets.base)), load64(O.linearMask)));
    });
    const low = f.let(i32.wrap(linear));
    const entry = f.let(tlbEntry(load(O.tlb), low));
    f.brIf(away, i64.ne(i64.and(linear, i64.const(-4096)), op('i64.load', [entry], TlbEntry.offsets.execTag)));
    const offset = f.let(i32.and(low, i32.const(0xfff)));
    const at = f.let(i32.or(i32.shl(op('i32.load', [entry], TlbEntry.offsets.physicalPage), i32.const(12)), offset));
    const hash = i32.and(i32.xor(at, i32.shr_u(at, i32.const(14))), i32.const(CODE_HASH_ENTRIES - 1));
    const slot = f.let(i32.add(i32.const(codeHash), i32.mul(hash, i32.const(CodeHash.size))));
    f.brIf(away, i32.ne(op('i32.load', [slot], CodeHash.offsets.key), at));
    f.brIf(away, i32.ne(op('i32.load', [slot], CodeHash.offsets.key + 4), i32.add(mode, i32.const(1))));
    const record = f.let(op('i32.load', [slot], CodeHash.offsets.record));
    const handler = f.let(op('i32.load', [record], Record.offsets.handler));
    f.brIf(away, i32.lt_u(handler, i32.const(HANDLERS)));
    f.do('i64.store', [cpu, i64.sub(rip, i64.extend_u(offset))], O.ripBase);
    f.returnCallIndirect(handlerType, [cpu, record], handler);
  });
  f.yield(i32.const(0));
  return f;
}

/** `codeHash`: Control.codeHash. */
export function buildGlue(codeHash: number): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory();
  module.importTable();
  const type = module.type(['i32', 'i32'], ['i32']);
  module.exportFunction('flush', module.function(buildFlush()));
  module.exportFunction('dispatch', module.function(buildDispatch(type, codeHash)));
  return module.encode();
}
