import { describe, expect, it } from 'vitest';
import { fixture } from './fixture.ts';
import { Rtc } from './mc146818.ts';

function rtc(start = Date.UTC(2024, 1, 29, 23, 59, 58)) {
  const f = fixture();
  const d = new Rtc(f.buffer, 0, f.clock, f.line, { startTime: start, ramLow: 256 << 20, ramHigh: 0, vcpus: 2 });
  d.reset();
  const get = (register: number): number => {
    d.writePort(0x70, 1, register);
    return d.readPort(0x71);
  };
  const set = (register: number, value: number): void => {
    d.writePort(0x70, 1, register);
    d.writePort(0x71, 1, value);
  };
  const pass = (ns: number): void => {
    const end = f.clock.time + ns;
    for (let at = d.deadline(); at <= end; at = d.deadline()) {
      f.clock.time = Math.max(f.clock.time, at);
      d.tick(f.clock.time);
    }
    f.clock.time = end;
  };
  return { ...f, d, get, set, pass };
}

describe('MC146818', () => {
  it('tells the time in BCD, over the end of a leap year’s February', () => {
    const { get, clock } = rtc();
    expect([9, 8, 7, 4, 2, 0].map(get)).toEqual([0x24, 0x02, 0x29, 0x23, 0x59, 0x58]);
    expect(get(0x32)).toBe(0x20);
    clock.advance(2.1e9);
    expect([9, 8, 7, 4, 2, 0].map(get)).toEqual([0x24, 0x03, 0x01, 0x00, 0x00, 0x00]);
  });

  it('tells it in binary and in 12 hours', () => {
    const { get, set } = rtc();
    set(11, 0x04);
    expect(get(4)).toBe(0x80 | 11);
    expect(get(0)).toBe(58);
  });

  it('can be set', () => {
    const { get, set, clock } = rtc();
    set(11, 0x82);
    [[9, 0x30], [8, 0x12], [7, 0x31], [4, 0x08], [2, 0x15], [0, 0x00]].forEach(([r, v]) => set(r!, v!)); // prettier-ignore
    clock.advance(5e9);
    expect(get(0)).toBe(0);
    set(11, 0x02);
    clock.advance(10.1e9);
    expect([9, 8, 7, 4, 2, 0].map(get)).toEqual([0x30, 0x12, 0x31, 0x08, 0x15, 0x10]);
  });

  it('shows an update coming', () => {
    const { get, clock } = rtc();
    clock.advance(0.5e9);
    expect(get(10) & 0x80).toBe(0);
    clock.advance(0.4999e9);
    expect(get(10) & 0x80).toBe(0x80);
  });

  it('interrupts periodically, once until register C is read', () => {
    const { get, set, pass, line } = rtc();
    set(11, 0x42); // PIE; 1024 Hz
    pass(10e6);
    expect(line.edges).toBe(1);
    expect(get(12)).toBe(0xc0);
    expect(get(12)).toBe(0);
    expect(line.level).toBe(false);
    let served = 0;
    for (let i = 0; i < 1000; i++) {
      pass(1e6);
      if (get(12) & 0x40) served++;
    }
    expect(served).toBeGreaterThan(950);
  });

  it('interrupts at updates and at the alarm', () => {
    const { get, set, pass, line } = rtc();
    set(11, 0x12);
    pass(1.5e9);
    expect(line.edges).toBe(1);
    expect(get(12) & 0x90).toBe(0x90);
    set(11, 0x22);
    set(5, 0xc0);
    set(3, 0x00);
    set(1, 0x01);
    pass(1e9);
    expect(get(12) & 0x20).toBe(0);
    pass(1e9);
    expect(get(12) & 0xa0).toBe(0xa0);
  });

  it('knows the memory and how many processors there are', () => {
    const { get } = rtc();
    expect(get(0x15) | (get(0x16) << 8)).toBe(640);
    expect((get(0x34) | (get(0x35) << 8)) * 65536 + (16 << 20)).toBe(256 << 20);
    expect(get(0x5f)).toBe(1);
    expect(get(13)).toBe(0x80);
  });
});
