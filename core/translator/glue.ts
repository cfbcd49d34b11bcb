/** The ways between regions: what each ends with, and what all regions of a machine call, built once for each engine. */
import { handlerCount } from '../processor/handlers.ts';
import { tlbEntry } from '../processor/tlb-entry.ts';
import {
  BlockHeader, CODE_64, CODE_HASH_ENTRIES, CodeHash, Cpu, CS, EVENT_INTERRUPT, Jump, JUMPS, Reach, Record, Segment, TlbEntry,
  Translations,
} from '../state/index.ts'; // prettier-ignore
import { FunctionBuilder, i32, i64, ModuleBuilder, op, type Expr, type Label, type LocalRef } from '../wasm/index.ts';
import { buildFlush } from './flags.ts';
import { addSlow } from './slow.ts';

const O = Cpu.offsets;
const EFLAGS_IF = 0x200;

/** The entry of `Cpu.jumps` for an address, of which `low` is the lower half; its fields are O.jumps further. */
function jumpEntry(cpu: LocalRef, low: Expr): Expr {
  // The upper bits of a product depend on all bits of the address.
  const product = i32.mul(low, i32.const(0x9e37_79b1));
  const bytes = JUMPS * Jump.size;
  return i32.add(cpu, i32.and(i32.shr_u(product, i32.const(32 - Math.log2(bytes))), i32.const(bytes - Jump.size)));
}

/** Goes on with the region that `Cpu.jumps` has for `rip`; branches to `unknown` where it has none. */
function jump(f: FunctionBuilder, handlerType: number, cpu: LocalRef, rip: LocalRef, unknown: Label): void {
  const low = f.let(i32.wrap(rip));
  const entry = f.let(jumpEntry(cpu, low));
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
 * dispatch(cpu) -> i32: goes on at `rip` where that is translated, without a trip through the run loop, and returns where it is not or where
 * anything else has to be seen to first (see `prepare` in processor/assembly/run.ts, whose short way this is).
 */
function buildDispatch(handlerType: number, codeHash: number, flush: number): FunctionBuilder {
  const f = new FunctionBuilder(['i32'], ['i32']);
  const cpu = f.param(0);
  const load = (offset: number): Expr => op('i32.load', [cpu], offset);
  const load64 = (offset: number): Expr => op('i64.load', [cpu], offset);
  f.block((away) => {
    // An interrupt that is masked may wait.
    const masked = i32.and(i32.eq(load(O.event), i32.const(EVENT_INTERRUPT)), i32.eqz(i32.and(load(O.eflags), i32.const(EFLAGS_IF))));
    const event = i32.and(load(O.event), i32.sub(masked, i32.const(1)));
    const debug = i32.and(load(O.dr + 7 * 8), i32.const(0xff));
    const waiting = [O.halted, O.interruptShadow, O.stepping].reduce((e, offset) => i32.or(e, load(offset)), i32.or(event, debug));
    f.brIfRarely(away, waiting);
    f.brIfRarely(away, i32.lt_s(load(O.budget), i32.const(0)));
    const rip = f.let(load64(O.rip));
    const mode = f.let(load(O.codeSize));
    f.if(i32.ne(mode, i32.const(CODE_64)), () => {
      f.brIfRarely(away, i32.ne(load(O.segments + CS * Segment.size + Segment.offsets.limit), i32.const(-1)));
      f.brIfRarely(away, i64.ne(load64(O.reach + CS * Reach.size + Reach.offsets.base), i64.const(0)));
    });
    f.block((unknown) => jump(f, handlerType, cpu, rip, unknown));
    const low = f.let(i32.wrap(rip));
    const entry = f.let(tlbEntry(load(O.tlb), low));
    f.brIfRarely(away, i64.ne(i64.and(rip, i64.const(-4096)), op('i64.load', [entry], TlbEntry.offsets.execTag)));
    const frame = f.let(op('i32.load', [entry], TlbEntry.offsets.frame));
    const known = f.let(jumpEntry(cpu, low));
    const record = f.local('i32');
    /** Goes on with `record`, if that is translated, and has it known. */
    const go = (): void => {
      const handler = f.let(op('i32.load', [record], Record.offsets.handler));
      f.brIfRarely(away, i32.lt_u(handler, i32.const(handlerCount())));
      f.do('i64.store', [known, rip], O.jumps + Jump.offsets.rip);
      f.do('i32.store', [known, load(O.jumpStamp)], O.jumps + Jump.offsets.stamp);
      f.do('i32.store', [known, record], O.jumps + Jump.offsets.record);
      f.do('i64.store', [cpu, i64.and(rip, i64.const(-4096))], O.ripBase);
      f.returnCallIndirect(handlerType, [cpu, record], handler);
    };
    // Translations of addresses may have been forgotten and have come out the same: that is seen without a look into the large hash.
    f.block((other) => {
      f.brIf(other, i64.ne(op('i64.load', [known], O.jumps + Jump.offsets.rip), rip));
      f.set(record, op('i32.load', [known], O.jumps + Jump.offsets.record));
      f.brIf(other, i32.eqz(record));
      const header = f.let(i32.sub(record, i32.const(BlockHeader.size)));
      f.brIf(other, i32.ne(op('i32.load', [header], BlockHeader.offsets.page), i32.shr_u(frame, i32.const(12))));
      f.brIf(other, i32.ne(op('i32.load', [header], BlockHeader.offsets.mode), mode));
      f.brIf(other, i32.lt_u(op('i32.load', [record], Record.offsets.handler), i32.const(handlerCount())));
      go();
    });
    const at = f.let(i32.or(i32.and(frame, i32.const(-4096)), i32.and(low, i32.const(0xfff))));
    const hash = i32.and(i32.xor(at, i32.shr_u(at, i32.const(14))), i32.const(CODE_HASH_ENTRIES - 1));
    const slot = f.let(i32.add(i32.const(codeHash), i32.mul(hash, i32.const(CodeHash.size))));
    f.brIfRarely(away, i32.ne(op('i32.load', [slot], CodeHash.offsets.key), at));
    f.brIfRarely(away, i32.ne(op('i32.load', [slot], CodeHash.offsets.key + 4), i32.add(mode, i32.const(1))));
    f.set(record, op('i32.load', [slot], CodeHash.offsets.record));
    go();
  });
  f.call(flush, [cpu, i32.const(0), i64.const(0), i64.const(0)]);
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
  f.if(i32.lt_u(handler, i32.const(handlerCount())), () => f.call(flush, [cpu, i32.const(0), i64.const(0), i64.const(0)]));
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
  const flush = module.function(buildFlush());
  module.exportFunction('flush', flush);
  module.exportFunction('absent', module.function(buildAbsent(type, materialize, flush)));
  module.exportFunction('dispatch', module.function(buildDispatch(type, codeHash, flush)));
  module.exportFunction('left', module.function(buildLeft(translations + Translations.offsets.fallbacks)));
  slow();
  return module.encode();
}
