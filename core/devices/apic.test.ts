import { describe, expect, it } from 'vitest';
import { Apic, type ApicHost, DELIVERY_FIXED, DELIVERY_INIT, DELIVERY_NMI, DELIVERY_STARTUP } from './apic.ts';
import { fixture } from './fixture.ts';

function apic() {
  const f = fixture();
  const log: unknown[] = [];
  const host: ApicHost = {
    changed: () => {},
    nmi: (i) => log.push(['nmi', i]),
    init: (i) => log.push(['init', i]),
    startup: (i, vector) => log.push(['startup', i, vector]),
    send: (...message) => log.push(['send', ...message]),
    endOfInterrupt: (vector) => log.push(['eoi', vector]),
    rearm: () => log.push('rearm'),
  };
  const a = new Apic(f.buffer, 0, 0, f.clock, host);
  a.reset();
  const w = (offset: number, value: number): void => a.writeMmio(offset, 4, value);
  const r = (offset: number): number => a.readMmio(offset, 4) >>> 0;
  return { ...f, a, w, r, log };
}

describe('local APIC', () => {
  it('comes up as the virtual wire that firmware leaves', () => {
    const { a, r } = apic();
    expect(r(0x30) & 0xff).toBe(0x14);
    expect(a.acceptsExternal()).toBe(true);
    expect(r(0xf0)).toBe(0x1ff);
  });

  it('serves the most urgent class first and holds back the rest until EOI', () => {
    const { a, w, log } = apic();
    a.accept(DELIVERY_FIXED, 0x41, false);
    a.accept(DELIVERY_FIXED, 0x92, true);
    expect(a.pending()).toBe(0x92);
    a.take(0x92);
    expect(a.processorPriority).toBe(0x90);
    expect(a.pending()).toBe(-1);
    w(0xb0, 0);
    expect(log).toContainEqual(['eoi', 0x92]);
    expect(a.pending()).toBe(0x41);
    a.take(0x41);
    w(0xb0, 0);
    expect(log.filter((x) => Array.isArray(x) && x[0] === 'eoi')).toHaveLength(1); // edges are not broadcast
  });

  it('is held back by the task priority', () => {
    const { a, w } = apic();
    a.accept(DELIVERY_FIXED, 0x41, false);
    w(0x80, 0x4f);
    expect(a.pending()).toBe(-1);
    expect(a.taskPriority).toBe(4);
    a.taskPriority = 3;
    expect(a.pending()).toBe(0x41);
  });

  it('counts down once', () => {
    const { a, w, r, clock } = apic();
    w(0x3e0, 0x3); // by 16
    w(0x320, 0x50);
    w(0x380, 1000);
    clock.advance(8_000);
    expect(r(0x390)).toBe(500);
    expect(a.deadline()).toBe(16_000);
    clock.advance(8_000);
    a.tick(clock.now());
    expect(a.pending()).toBe(0x50);
    expect(a.deadline()).toBe(Infinity);
    expect(r(0x390)).toBe(0);
  });

  it('counts periodically, and missed periods are one interrupt', () => {
    const { a, w, clock } = apic();
    w(0x3e0, 0xb); // by 1
    w(0x320, 0x2_0050);
    w(0x380, 1_000);
    clock.advance(5_500);
    a.tick(clock.now());
    expect(a.pending()).toBe(0x50);
    expect(a.deadline()).toBe(6_000);
  });

  it('knows every divisor', () => {
    for (const [code, divisor] of [
      [0, 2],
      [1, 4],
      [2, 8],
      [3, 16],
      [8, 32],
      [9, 64],
      [10, 128],
      [11, 1],
    ] as const) {
      // prettier-ignore
      const { a, w } = apic();
      w(0x3e0, code);
      w(0x380, 100);
      expect(a.deadline()).toBe(100 * divisor);
    }
  });

  it('has a deadline mode that ignores the count', () => {
    const { a, w, clock } = apic();
    a.setDeadline(100);
    expect(a.deadline()).toBe(Infinity);
    w(0x320, 0x4_0060);
    w(0x380, 5);
    expect(a.deadline()).toBe(Infinity);
    a.setDeadline(100);
    clock.advance(100);
    a.tick(100);
    expect(a.pending()).toBe(0x60);
    expect(a.deadline()).toBe(Infinity);
  });

  it('sends what is written to ICR', () => {
    const { w, log } = apic();
    w(0x310, 0x0200_0000);
    w(0x300, 0x4500);
    w(0x300, 0x8500); // INIT level de-assert: nothing
    w(0x300, 0xc_4041);
    expect(log).toEqual([
      ['send', 0, 0, 2, false, 5, 0, false],
      ['send', 0, 3, 2, false, 0, 0x41, false],
    ]);
  });

  it('passes NMI, INIT and startup on', () => {
    const { a, log } = apic();
    a.accept(DELIVERY_NMI, 0, false);
    a.accept(DELIVERY_INIT, 0, false);
    a.accept(DELIVERY_STARTUP, 0x9a, false);
    expect(log).toEqual([
      ['nmi', 0],
      ['init', 0],
      ['startup', 0, 0x9a],
    ]);
    expect(a.softwareEnabled).toBe(false);
  });

  it('matches flat and cluster logical destinations', () => {
    const { a, w } = apic();
    w(0xd0, 0x0400_0000);
    expect(a.matches(0x06, true)).toBe(true);
    expect(a.matches(0x03, true)).toBe(false);
    w(0xe0, 0x0fff_ffff);
    w(0xd0, 0x2200_0000);
    expect(a.matches(0x23, true)).toBe(true);
    expect(a.matches(0x13, true)).toBe(false);
    expect(a.matches(0, false)).toBe(true);
    expect(a.matches(0xff, false)).toBe(true);
  });

  it('reports an illegal vector in ESR after it is written', () => {
    const { w, r } = apic();
    w(0x300, 0x0005);
    expect(r(0x280)).toBe(0);
    w(0x280, 0);
    expect(r(0x280)).toBe(0x20);
    w(0x280, 0);
    expect(r(0x280)).toBe(0);
  });

  it('masks every entry when it is switched off by software', () => {
    const { a, w, r } = apic();
    w(0x320, 0x50);
    w(0xf0, 0xff);
    expect(r(0x320)).toBe(0x1_0050);
    w(0x350, 0x700);
    expect(a.acceptsExternal()).toBe(false);
    a.accept(DELIVERY_FIXED, 0x50, false);
    expect(a.pending()).toBe(-1);
  });
});
