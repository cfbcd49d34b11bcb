import { describe, expect, it } from 'vitest';
import { ProbeLine, fixture } from './fixture.ts';
import { DebugExit, Port92, TestDevice, VideoMemory } from './misc.ts';

describe('port 0x92', () => {
  it('opens A20 and resets on a rising bit 0', () => {
    const { buffer } = fixture();
    const a20 = { a20: true, setA20: (on: boolean) => void (a20.a20 = on) };
    let resets = 0;
    const p = new Port92(buffer, 0, a20, () => resets++);
    p.reset();
    p.writePort(0x92, 1, 0);
    expect(p.readPort()).toBe(0);
    p.writePort(0x92, 1, 2);
    expect(p.readPort()).toBe(2);
    p.writePort(0x92, 1, 3);
    p.writePort(0x92, 1, 3);
    expect(resets).toBe(1);
  });
});

describe('isa-debug-exit', () => {
  it('ends with (value << 1) | 1', () => {
    const codes: number[] = [];
    const d = new DebugExit((code) => codes.push(code));
    d.writePort(0xf4, 1, 0);
    d.writePort(0xf4, 4, 0x10);
    expect(codes).toEqual([1, 0x21]);
  });
});

describe('pc-testdev', () => {
  it('keeps data in every width, drives lines, and has memory', () => {
    const { buffer } = fixture();
    const lines = [new ProbeLine(), new ProbeLine()];
    const big = new SharedArrayBuffer(0x20000);
    new Uint8Array(big).set(new Uint8Array(buffer).subarray(0, 64));
    const t = new TestDevice(big, 0, 0x10000, lines);
    t.reset();
    t.writePort(0xe0, 4, 0x11223344);
    expect([t.readPort(0xe0, 1), t.readPort(0xe0, 2), t.readPort(0xe0, 4)]).toEqual([0x44, 0x3344, 0x11223344]);
    t.writePort(0xe8, 1, 0xff);
    expect(t.readPort(0xe0, 4)).toBe(0x112233ff);
    t.writePort(0x2001, 1, 1);
    expect(lines.map((l) => l.level)).toEqual([false, true]);
    t.writeMmio(0xfffc, 4, 0xdeadbeef);
    expect(t.readMmio(0xfffe, 2)).toBe(0xdead);
    t.writeMmio(0xfffe, 4, 1);
    expect(t.readMmio(0xfffe, 4)).toBe(0);
  });
});

describe('video memory', () => {
  it('reads back what was written', () => {
    const buffer = new SharedArrayBuffer(VideoMemory.SIZE);
    const v = new VideoMemory(buffer, 0);
    v.writeMmio(0x18000, 2, 0x0741);
    expect(v.readMmio(0x18000, 1)).toBe(0x41);
    expect(v.readMmio(0x18000, 4)).toBe(0x0741);
    v.reset();
    expect(v.readMmio(0x18000, 4)).toBe(0);
  });
});
