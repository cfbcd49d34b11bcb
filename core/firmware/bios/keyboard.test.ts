import { beforeEach, describe, expect, it } from 'vitest';
import { biosMachine } from './fixture.ts';
import { AX, BX, CX, DX } from './frame.ts';
import { keyOf } from './keyboard.ts';
import { BDA_TICKS, WAIT_HALT, WAIT_NONE } from './layout.ts';

describe('INT 16h', () => {
  let m: ReturnType<typeof biosMachine>;
  const key = (ah = 0x10): number => (m.call(0x16, { [AX]: ah << 8 }) === WAIT_NONE ? m.frame.get(AX) : -1);
  const keys = (ah?: number): number[] => {
    const all: number[] = [];
    for (let k = key(ah); k >= 0; k = key(ah)) all.push(k);
    return all;
  };
  beforeEach(() => {
    m = biosMachine();
  });

  it('has a scan code for every character of a US keyboard', () => {
    const codes = new Set<number>();
    for (let c = 0x20; c < 0x7f; c++) {
      const k = keyOf(c);
      expect(k & 0xff).toBe(c);
      expect(k >> 8).toBeGreaterThan(0);
      codes.add(k >> 8);
    }
    expect(codes.size).toBe(48);
    expect([keyOf(0x61), keyOf(0x41), keyOf(0x01), keyOf(0x0d), keyOf(0x7f)]).toEqual([0x1e61, 0x1e41, 0x1e01, 0x1c0d, 0x0e08]);
  });

  it('waits for a key, and gives each once', () => {
    expect(m.call(0x16, { [AX]: 0 })).toBe(WAIT_HALT);
    m.type('a\r');
    m.call(0x16, { [AX]: 0x0100 });
    expect([m.zero(), m.frame.get(AX)]).toEqual([0, 0x1e61]);
    expect(keys()).toEqual([0x1e61, 0x1c0d]);
    m.call(0x16, { [AX]: 0x1100 });
    expect(m.zero()).toBe(1);
  });

  it('reads escape sequences as keys', () => {
    m.type('\x1b[A\x1b[B\x1bOC\x1b[3~\x1b[21~\x1b[1;5D\x1b[99~x');
    expect(keys()).toEqual([0x48e0, 0x50e0, 0x4de0, 0x53e0, 0x4400, 0x4be0, 0x2d78]);
    m.type('\x1b[A');
    expect(keys(0)).toEqual([0x4800]);
  });

  it('reads a lone ESC as the key, once it is clear that nothing follows', () => {
    m.type('\x1b');
    expect(keys()).toEqual([]);
    m.clock.advance(150_000_000);
    expect(keys()).toEqual([0x011b]);
    m.type('\x1bq');
    expect(keys()).toEqual([0x011b, 0x1071]);
  });

  it('loses nothing that is typed ahead', () => {
    const text = 'the quick brown fox jumps over the lazy dog\x1b[A\x1b\x1b\x1b[B';
    m.type(text);
    m.clock.advance(1e9);
    const codes = keys().map((k) => k & 0xff);
    expect(String.fromCharCode(...codes.slice(0, 43))).toBe(text.slice(0, 43));
    expect(codes.slice(43)).toEqual([0xe0, 0x1b, 0x1b, 0xe0].slice(0, codes.length - 43));
    expect(codes.length).toBe(47);
  });

  it('takes keys that programs put there, as many as there is room for', () => {
    const stored = Array.from({ length: 16 }, (_, i) => (m.call(0x16, { [AX]: 0x0500, [CX]: 0x1e61 + i }), m.frame.low(AX)));
    expect(stored).toEqual([...Array.from({ length: 15 }, () => 0), 1]);
    expect(keys()).toHaveLength(15);
    m.memory.write16(0x41a, 0xffff);
    expect(keys().length).toBeLessThan(16);
  });

  it('halts a caller that looks again and again, while the timer ticks', () => {
    const look = (): number => m.call(0x16, { [AX]: 0x0100 });
    for (let i = 0; i < 100; i++) expect(look()).toBe(WAIT_NONE);
    m.memory.write32(BDA_TICKS, 5);
    expect([look(), look(), look()]).toEqual([WAIT_HALT, WAIT_NONE, WAIT_NONE]);
    m.memory.write32(BDA_TICKS, 6);
    expect([look(), look()]).toEqual([WAIT_HALT, WAIT_NONE]);
    m.memory.write32(BDA_TICKS, 7);
    m.call(0x10, { [AX]: 0x0e41, [BX]: 7 });
    expect(look()).toBe(WAIT_NONE);
  });

  it('shows the cursor where one types, and leaves the port to a system that uses it', () => {
    m.call(0x10, { [AX]: 0x0200, [BX]: 0, [DX]: 0x0005 });
    expect(m.shown()).toBe('');
    m.call(0x16, { [AX]: 0x0100 });
    expect(m.shown()).toBe('\x1b[5C');
    m.type('b');
    m.call(0x16, { [AX]: 0x0200 });
    m.call(0x16, { [AX]: 0x0305 });
    expect(m.terminal.input.splice(0)).toHaveLength(1);
    m.terminal.claimed = true;
    m.type('a');
    expect([keys(), m.terminal.input.length]).toEqual([[], 1]);
  });
});
