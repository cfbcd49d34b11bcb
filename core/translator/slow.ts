/**
 * Where accesses of translated code go that the TLB does not serve: part of the glue. Which vCPU it is is said once for each run, so that it
 * need not be said at each access.
 */
import { Cpu } from '../state/index.ts';
import { call, FunctionBuilder, globalValue, i32, type Expr, type ModuleBuilder, type Type } from '../wasm/index.ts';

/** Name of the glue's global variable. */
export const RUNNING = 'running';

const READ: readonly Type[] = ['i32', 'i64', 'i32', 'i32'];

/** Before any function of the module is made. Returns what adds the functions. */
export function addSlow(module: ModuleBuilder): () => void {
  const helper = (name: string): number => module.importFunction('helper', name, READ, ['i32']);
  const read = helper('translatedRead');
  const store = helper('translatedStore');
  const modify = helper('translatedModify');
  const commit = module.importFunction('helper', 'commitWrite', ['i32'], []);
  const interpret = module.importFunction('helper', 'interpretFrom', ['i32', 'i32'], []);
  const cpu = globalValue('i32', module.global('i32', RUNNING));

  const address = (name: string, index: number): void => {
    const f = new FunctionBuilder(['i64', 'i32', 'i32'], ['i32']);
    f.yield(call(index, 'i32', [cpu, f.param(0), f.param(1), f.param(2)]));
    module.exportFunction(name, module.function(f));
  };
  /** (linear, value, site, bytes) */
  const write = (name: string, type: Type, put: (f: FunctionBuilder, host: Expr, value: Expr, bytes: Expr) => void): void => {
    const f = new FunctionBuilder(['i64', type, 'i32', 'i32'], []);
    const host = f.let(call(store, 'i32', [cpu, f.param(0), f.param(2), f.param(3)]));
    put(f, host, f.param(1), f.param(3));
    f.if(i32.eq(host, i32.add(cpu, i32.const(Cpu.offsets.bounce))), () => f.call(commit, [cpu]));
    module.exportFunction(name, module.function(f));
  };
  return () => {
    address('slowRead', read);
    address('slowModify', modify);
    write('slowWrite', 'i64', (f, host, value, bytes) => {
      f.if(
        i32.ge_u(bytes, i32.const(4)),
        () =>
          f.if(
            i32.eq(bytes, i32.const(4)),
            () => f.do('i64.store32', [host, value]),
            () => f.do('i64.store', [host, value]),
          ),
        () =>
          f.if(
            i32.eq(bytes, i32.const(1)),
            () => f.do('i64.store8', [host, value]),
            () => f.do('i64.store16', [host, value]),
          ),
      );
    });
    write('slowWriteVector', 'v128', (f, host, value) => f.do('v128.store', [host, value]));
    const f = new FunctionBuilder(['i32'], []);
    f.call(interpret, [cpu, f.param(0)]);
    module.exportFunction('interpret', module.function(f));
  };
}
