import { describe, expect, it } from 'vitest';
import { fixture } from './fixture.ts';
import { PIT_HZ, Pit } from './i8254.ts';

function pit() {
  const f = fixture();
  const p = new Pit(f.buffer, 0, f.clock, f.line);
  p.reset();
  const w = (port: number, value: number): void => p.writePort(port, 1, value);
  const count = (channel: number): number => p.readPort(0x40 + channel) | (p.readPort(0x40 + channel) << 8);
  /** Lets time pass, and the timer act whenever it wants to. */
  const pass = (ns: number): void => {
    const end = f.clock.time + ns;
    while (p.deadline() <= end) {
      f.clock.time = Math.max(f.clock.time, p.deadline());
      p.tick(f.clock.time);
    }
    f.clock.time = end;
  };
  return { ...f, p, w, count, pass };
}

describe('i8254', () => {
  it.each([2, 3])('interrupts at its rate in mode %i', (mode) => {
    const { w, pass, line } = pit();
    w(0x43, 0x30 | (mode << 1));
    w(0x40, 11932 & 0xff);
    w(0x40, 11932 >> 8);
    const before = line.edges;
    pass(1e9);
    expect(line.edges - before).toBe(Math.floor(PIT_HZ / 11932));
  });

  it('never fires the same edge twice, whatever the rounding', () => {
    const { p, w, clock } = pit();
    w(0x43, 0x34);
    w(0x40, 1000 & 0xff);
    w(0x40, 1000 >> 8);
    let last = 0;
    for (let i = 0; i < 1000; i++) {
      const at = p.deadline();
      expect(at).toBeGreaterThan(last);
      last = clock.time = at;
      p.tick(at);
    }
  });

  it('takes many missed periods as one', () => {
    const { p, w, clock, line } = pit();
    w(0x43, 0x34);
    w(0x40, 0);
    w(0x40, 0x10);
    const before = line.edges;
    clock.advance(10e9);
    p.tick(clock.now());
    expect(line.edges - before).toBe(1);
    expect(p.deadline()).toBeGreaterThan(clock.now());
  });

  it('counts once in mode 0: low, then high at the terminal count', () => {
    const { w, line, pass, p } = pit();
    w(0x43, 0x30);
    expect(line.level).toBe(false);
    w(0x40, 100);
    w(0x40, 0);
    pass((99 * 1e9) / PIT_HZ);
    expect(line.level).toBe(false);
    pass((2 * 1e9) / PIT_HZ);
    expect(line.level).toBe(true);
    expect(p.deadline()).toBe(Infinity);
  });

  it('latches the count while it goes on', () => {
    const { w, count, clock } = pit();
    w(0x43, 0x34);
    w(0x40, 0);
    w(0x40, 0);
    clock.advance((100.5 * 1e9) / PIT_HZ);
    w(0x43, 0x00);
    clock.advance((50 * 1e9) / PIT_HZ);
    expect(count(0)).toBe(65536 - 100);
    expect(count(0)).toBe(65536 - 150);
  });

  it('reads back status and count together', () => {
    const { w, p } = pit();
    w(0x43, 0x34);
    w(0x43, 0xe2); // status of channel 0
    expect(p.readPort(0x40)).toBe(0x80 | 0x40 | 0x34); // OUT high, null count
    w(0x40, 10);
    w(0x40, 0);
    w(0x43, 0xc2); // both
    expect(p.readPort(0x40)).toBe(0x80 | 0x34);
    expect(p.readPort(0x40) | (p.readPort(0x40) << 8)).toBe(10);
  });

  it('lets port B gate channel 2 and see its output, as TSC calibration does', () => {
    const { w, p, clock } = pit();
    w(0x61, 1);
    w(0x43, 0xb0);
    w(0x42, 11932 & 0xff);
    w(0x42, 11932 >> 8);
    expect(p.readPort(0x61) & 0x20).toBe(0);
    clock.advance(9_999_000);
    expect(p.readPort(0x61) & 0x20).toBe(0);
    clock.advance(2_000);
    expect(p.readPort(0x61) & 0x20).toBe(0x20);
  });

  it('stands still while the gate is low in mode 0', () => {
    const { w, p, clock, count } = pit();
    w(0x61, 1);
    w(0x43, 0xb0);
    w(0x42, 0);
    w(0x42, 0x80);
    clock.advance((1000.5 * 1e9) / PIT_HZ);
    w(0x61, 0);
    const before = count(2);
    clock.advance(1e9);
    expect(count(2)).toBe(before);
    w(0x61, 1);
    clock.advance((100 * 1e9) / PIT_HZ);
    expect(before - count(2)).toBeGreaterThanOrEqual(99);
    expect(before - count(2)).toBeLessThanOrEqual(101);
    expect(p.readPort(0x61) & 1).toBe(1);
  });

  it('counts in BCD', () => {
    const { w, count, clock } = pit();
    w(0x43, 0x35);
    w(0x40, 0x00);
    w(0x40, 0x10); // 1000
    clock.advance((1.5 * 1e9) / PIT_HZ);
    expect(count(0)).toBe(0x0999);
  });

  it('toggles the refresh bit', () => {
    const { p, clock } = pit();
    const first = p.readPort(0x61) & 0x10;
    clock.advance(15_085);
    expect(p.readPort(0x61) & 0x10).not.toBe(first);
  });
});
