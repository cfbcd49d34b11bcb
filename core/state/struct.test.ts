import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layout, MIB, PAGE } from './machine.ts';
import { struct, type Scalar } from './struct.ts';

const WIDTHS: Record<Exclude<Scalar, 'v128' | 'f64'>, number> = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8 };
const names = Object.keys(WIDTHS) as (keyof typeof WIDTHS)[];

describe('struct', () => {
  test('fields are aligned, in order, and do not overlap; what is written is read, and nothing else changes', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 12 }), fc.nat(255), (types, fill) => {
        const s = struct('Sample', Object.fromEntries(types.map((t, i) => [`f${i}`, t])));
        let end = 0;
        types.forEach((t, i) => {
          const at = s.offsets[`f${i}`]!;
          expect(at % WIDTHS[t]).toBe(0);
          expect(at).toBeGreaterThanOrEqual(end);
          end = at + WIDTHS[t];
        });
        expect(s.size).toBeGreaterThanOrEqual(end);
        expect(s.size % s.align).toBe(0);

        const bytes = new Uint8Array(s.size + 16).fill(fill);
        const view = s.view(bytes.buffer, 8) as Record<string, number>;
        types.forEach((t, i) => {
          const before = bytes.slice();
          const value = t === 'i32' ? -5 - i : t === 'u64' ? 2 ** 40 + i : (i * 37 + 1) & 0xff;
          view[`f${i}`] = value;
          expect(view[`f${i}`]).toBe(value);
          const at = 8 + s.offsets[`f${i}`]!;
          bytes.forEach((b, k) => (k >= at && k < at + WIDTHS[t] ? 0 : expect(b).toBe(before[k])));
        });
      }),
    );
  });

  test('arrays and embedded structures', () => {
    const inner = struct('Inner', { a: 'u8', b: 'u32' });
    const outer = struct('Outer', { head: 'u8', cells: ['u16', 3], parts: [inner, 2], one: inner });
    const view = outer.view(new ArrayBuffer(outer.size), 0);
    view.cells.set(2, 0xbeef);
    view.parts[1]!.b = 7;
    view.one.a = 9;
    expect([view.cells.get(2), view.cells.length, view.parts[1]!.b, view.parts[0]!.b, view.one.a]).toEqual([0xbeef, 3, 7, 0, 9]);
    expect(() => view.cells.get(3)).toThrow('the array has 3 cells');
  });
});

describe('the layout of a machine', () => {
  test('regions follow each other, page-aligned, RAM last, for every size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 3584 }), (vcpus, mib) => {
        const l = layout(vcpus, mib * MIB);
        const order = [l.tlbs, l.devices, l.devicesEnd, l.codePages, l.records, l.recordsEnd, l.ram];
        order.forEach((at, i) => {
          if (i > 0) expect(at).toBeGreaterThanOrEqual(order[i - 1]!);
        });
        for (const at of [l.tlbs, l.devices, l.codeHash, l.codePages, l.records, l.ram]) expect(at % PAGE).toBe(0);
        expect(l.ram + l.ramSize).toBeLessThanOrEqual(l.pages * 0x10000);
        expect(l.ramLow).toBeLessThanOrEqual(0xc000_0000);
      }),
    );
  });
});
