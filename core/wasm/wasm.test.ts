import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Bytes, call, FunctionBuilder, i32, i64, ModuleBuilder, op, select, v128, type Expr, type Type } from './index.ts';

/** Compiles one function of the given parameters and evaluates it. */
function evaluate(params: Type[], result: Type, body: (f: FunctionBuilder) => Expr, ...args: unknown[]): unknown {
  const module = new ModuleBuilder();
  const f = new FunctionBuilder(params, [result]);
  f.yield(body(f));
  module.exportFunction('f', module.function(f));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.encode()));
  return (instance.exports.f as (...a: unknown[]) => unknown)(...args);
}

describe('numbers', () => {
  test('constants of 32 and 64 bits are what they were', () => {
    fc.assert(
      fc.property(fc.integer(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger(), (a, b, c) => {
        expect(evaluate([], 'i32', () => i32.const(a))).toBe(a);
        expect(evaluate([], 'i64', () => i64.const(b))).toBe(b);
        expect(evaluate([], 'i64', () => i64.const(c))).toBe(BigInt(c));
      }),
      { numRuns: 200 },
    );
  });

  test('unsigned LEB128', () => {
    const b = new Bytes();
    b.u32(0);
    b.u32(127);
    b.u32(128);
    b.u32(624485);
    expect([...b.view()]).toEqual([0, 127, 0x80, 1, 0xe5, 0x8e, 0x26]);
  });
});

describe('expressions', () => {
  test('folding gives what execution gives', () => {
    const names = ['add', 'sub', 'mul', 'and', 'or', 'xor', 'shl', 'shr_u', 'shr_s', 'eq', 'ne'] as const;
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.integer(), fc.integer(), (name, a, b) => {
        const folded = evaluate([], 'i32', () => i32[name](i32.const(a), i32.const(b)));
        const executed = evaluate(['i32', 'i32'], 'i32', (f) => i32[name](f.param(0), f.param(1)), a, b);
        expect(folded).toBe(executed);
      }),
      { numRuns: 300 },
    );
  });

  test('operands of the wrong type or number are refused', () => {
    expect(() => i32.add(i32.const(1), i64.const(1))).toThrow('operand 1 is i64, not i32');
    expect(() => op('i32.add', [i32.const(1)])).toThrow('takes 2 operands');
    expect(() => op('i32.store', [i32.const(0), i32.const(1)])).toThrow('no result');
  });

  test('select and vectors', () => {
    expect(evaluate(['i32'], 'i32', (f) => select(f.param(0), i32.const(3), i32.const(4)), 1)).toBe(3);
    const bytes = Array.from({ length: 16 }, (_, i) => i);
    expect(evaluate([], 'i32', () => op('i8x16.extract_lane_u', [v128.const(bytes)], 9))).toBe(9);
  });
});

describe('functions', () => {
  test('loops, blocks and branches; locals are reused when released', () => {
    const sum = evaluate(
      ['i32'],
      'i32',
      (f) => {
        const total = f.local('i32');
        f.block((done) =>
          f.loop((again) => {
            f.brIf(done, i32.eqz(f.param(0)));
            f.set(total, i32.add(total, f.param(0)));
            f.set(f.param(0), i32.sub(f.param(0), i32.const(1)));
            f.br(again);
          }),
        );
        const t = f.local('i64');
        f.release(t);
        expect(f.local('i64')).toBe(t);
        return total;
      },
      100,
    );
    expect(sum).toBe(5050);
  });

  test('an exception is caught with the locals as they were when it was thrown', () => {
    const module = new ModuleBuilder();
    const tag = module.tag();
    const f = new FunctionBuilder([], ['i32']);
    const n = f.local('i32');
    f.try(
      () => {
        f.set(n, i32.const(5));
        f.throw(tag);
      },
      tag,
      () => f.set(n, i32.add(n, i32.const(2))),
    );
    f.yield(n);
    const g = new FunctionBuilder([], ['i32']);
    g.yield(i32.mul(call(module.function(f), 'i32', []), i32.const(6)));
    module.exportFunction('g', module.function(g));
    const { g: run } = new WebAssembly.Instance(new WebAssembly.Module(module.encode())).exports as { g: () => number };
    expect(run()).toBe(42);
  });
});

test('branches that are rare are named in a section of their own, by their places in the code', () => {
  const module = new ModuleBuilder();
  const f = new FunctionBuilder(['i32'], ['i32']);
  f.block((out) => {
    f.brIfRarely(out, f.param(0));
    f.ifRarely(i32.eq(f.param(0), i32.const(7)), () => f.return(i32.const(7)));
  });
  f.yield(i32.const(1));
  module.exportFunction('f', module.function(f));
  const bytes = module.encode();
  const compiled = new WebAssembly.Module(bytes);
  expect((new WebAssembly.Instance(compiled).exports.f as (n: number) => number)(0)).toBe(1);
  const [section] = WebAssembly.Module.customSections(compiled, 'metadata.code.branch_hint');
  // One function, of index 0, with two hints: place, one byte, not taken.
  const [functions, index, count, first, one, no, second, ...rest] = new Uint8Array(section!);
  expect([functions, index, count, one, no, ...rest]).toEqual([1, 0, 2, 1, 0, 1, 0]);
  const code = f.encode().view();
  expect([code[first!], code[second!]]).toEqual([0x0d, 0x04]);
});
