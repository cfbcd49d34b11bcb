import { describe, expect, it } from 'vitest';
import { fixture } from './fixture.ts';
import { Pic } from './i8259.ts';

function pic() {
  const { buffer } = fixture();
  let output = false;
  const p = new Pic(buffer, 0, (level) => (output = level));
  p.reset();
  const w = (port: number, value: number): void => p.writePort(port, 1, value);
  for (const [base, vector, cascade] of [
    [0x20, 0x30, 4],
    [0xa0, 0x38, 2],
  ] as const) {
    w(base, 0x11);
    w(base + 1, vector);
    w(base + 1, cascade);
    w(base + 1, 1);
    w(base + 1, 0);
  }
  return { p, w, output: () => output };
}

describe('i8259', () => {
  it('delivers by priority and nests only more urgent requests', () => {
    const { p, w, output } = pic();
    p.setPin(4, true);
    p.setPin(1, true);
    expect(output()).toBe(true);
    expect(p.acknowledge()).toBe(0x31);
    expect(output()).toBe(false);
    p.setPin(0, true);
    expect(p.acknowledge()).toBe(0x30);
    w(0x20, 0x20);
    expect(output()).toBe(false);
    w(0x20, 0x20);
    expect(p.acknowledge()).toBe(0x34);
  });

  it('takes the slave through pin 2, and needs an EOI at both', () => {
    const { p, w, output } = pic();
    p.setPin(8, true);
    expect(p.acknowledge()).toBe(0x38);
    w(0x20, 0x0b);
    w(0xa0, 0x0b);
    expect(p.readPort(0x20)).toBe(0x04);
    expect(p.readPort(0xa0)).toBe(0x01);
    p.setPin(9, true);
    w(0x20, 0x20);
    expect(output()).toBe(false); // pin 8 is still being served
    w(0xa0, 0x20);
    expect(p.acknowledge()).toBe(0x39);
  });

  it('sees an edge once, a level as long as it lasts', () => {
    const { p, w, output } = pic();
    p.setPin(3, true);
    p.acknowledge();
    w(0x20, 0x20);
    expect(output()).toBe(false);
    w(0x4d1, 0x0c);
    expect(p.readPort(0x4d1)).toBe(0x0c);
    p.setPin(10, true);
    expect(p.acknowledge()).toBe(0x3a);
    w(0xa0, 0x20);
    w(0x20, 0x20);
    expect(output()).toBe(true);
    p.setPin(10, false);
    expect(output()).toBe(false);
  });

  it('answers a withdrawn request with the spurious vector, and puts nothing in service', () => {
    const { p, w } = pic();
    p.setPin(5, true);
    p.setPin(5, false);
    expect(p.acknowledge()).toBe(0x37);
    w(0x20, 0x0b);
    expect(p.readPort(0x20)).toBe(0);
  });

  it('masks, and keeps a masked edge', () => {
    const { p, w, output } = pic();
    w(0x21, 0x10);
    p.setPin(4, true);
    expect(output()).toBe(false);
    w(0x21, 0);
    expect(p.acknowledge()).toBe(0x34);
  });

  it('polls, rotates and honours the ELCR mask', () => {
    const { p, w } = pic();
    p.setPin(6, true);
    w(0x20, 0x0c);
    expect(p.readPort(0x20)).toBe(0x86);
    w(0x20, 0xa0); // rotate on non-specific EOI: 7 is now first
    p.setPin(0, true);
    p.setPin(7, true);
    expect(p.acknowledge()).toBe(0x37);
    w(0x4d0, 0xff);
    expect(p.readPort(0x4d0)).toBe(0xf8);
  });

  it('ends by itself in automatic EOI mode', () => {
    const { p, w } = pic();
    w(0x20, 0x11);
    w(0x21, 0x20);
    w(0x21, 4);
    w(0x21, 3);
    p.setPin(1, true);
    expect(p.acknowledge()).toBe(0x21);
    w(0x20, 0x0b);
    expect(p.readPort(0x20)).toBe(0);
  });
});
