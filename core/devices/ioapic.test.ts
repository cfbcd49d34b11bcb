import { describe, expect, it } from 'vitest';
import { fixture } from './fixture.ts';
import { IoApic } from './ioapic.ts';

function ioapic() {
  const { buffer } = fixture();
  const sent: unknown[][] = [];
  const io = new IoApic(buffer, 0, (...message) => sent.push(message));
  io.reset();
  const set = (register: number, value: number): void => {
    io.writeMmio(0, 4, register);
    io.writeMmio(0x10, 4, value >>> 0);
  };
  const get = (register: number): number => {
    io.writeMmio(0, 4, register);
    return io.readMmio(0x10) >>> 0;
  };
  return { io, sent, set, get };
}

describe('82093AA', () => {
  it('has 24 pins, all masked', () => {
    const { get } = ioapic();
    expect((get(1) >> 16) & 0xff).toBe(23);
    for (let pin = 0; pin < 24; pin++) expect(get(0x10 + 2 * pin)).toBe(0x1_0000);
  });

  it('sends an edge once, and loses it while masked', () => {
    const { io, sent, set } = ioapic();
    io.setPin(4, true);
    set(0x19, 0x0300_0000);
    set(0x18, 0x0044);
    expect(sent).toEqual([]);
    io.setPin(4, false);
    io.setPin(4, true);
    io.setPin(4, true);
    expect(sent).toEqual([[3, false, 0, 0x44, false]]);
  });

  it('sends a level until its end, and again while it lasts', () => {
    const { io, sent, set, get } = ioapic();
    set(0x10 + 2 * 10, 0x8000 | 0x5a | 0x800);
    io.setPin(10, true);
    expect(get(0x10 + 2 * 10) & 0x4000).toBe(0x4000);
    io.setPin(10, false);
    io.setPin(10, true);
    expect(sent).toHaveLength(1);
    io.endOfInterrupt(0x5b);
    expect(sent).toHaveLength(1);
    io.endOfInterrupt(0x5a);
    expect(sent).toHaveLength(2);
    io.setPin(10, false);
    io.endOfInterrupt(0x5a);
    expect(sent).toHaveLength(2);
    expect(get(0x10 + 2 * 10) & 0x4000).toBe(0);
    expect(sent[0]).toEqual([0, true, 0, 0x5a, true]);
  });

  it('sees a level that was there when the pin is unmasked', () => {
    const { io, sent, set } = ioapic();
    set(0x10 + 2 * 11, 0x1_8000 | 0x60);
    io.setPin(11, true);
    expect(sent).toEqual([]);
    set(0x10 + 2 * 11, 0x8000 | 0x60);
    expect(sent).toHaveLength(1);
  });

  it('drops remote IRR when a pin is made edge-triggered', () => {
    const { io, set, get } = ioapic();
    set(0x10 + 2 * 9, 0x8000 | 0x61);
    io.setPin(9, true);
    set(0x10 + 2 * 9, 0x1_0061);
    expect(get(0x10 + 2 * 9) & 0x4000).toBe(0);
  });
});
