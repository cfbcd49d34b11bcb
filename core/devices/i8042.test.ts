import { describe, expect, it } from 'vitest';
import { ProbeLine, fixture } from './fixture.ts';
import { KeyboardController } from './i8042.ts';

function controller() {
  const { buffer } = fixture();
  const keyboard = new ProbeLine();
  const mouse = new ProbeLine();
  const log: string[] = [];
  const c = new KeyboardController(buffer, 0, keyboard, mouse, { reset: () => log.push('reset'), a20: (on) => log.push(`a20 ${on}`) });
  c.reset();
  const command = (...bytes: number[]): void => {
    c.writePort(0x64, 1, bytes[0]!);
    for (const b of bytes.slice(1)) c.writePort(0x60, 1, b);
  };
  /** Everything in the output buffer: [from the mouse, byte]. */
  const drain = (): [boolean, number][] => {
    const result: [boolean, number][] = [];
    for (let status = c.readPort(0x64); status & 1; status = c.readPort(0x64)) result.push([(status & 0x20) !== 0, c.readPort(0x60)]);
    return result;
  };
  const bytes = (): number[] => drain().map(([, b]) => b);
  return { c, keyboard, mouse, log, command, drain, bytes };
}

describe('i8042', () => {
  it('passes the tests that a driver makes', () => {
    const { command, bytes, drain } = controller();
    command(0xaa);
    expect(bytes()).toEqual([0x55]);
    command(0xab);
    command(0xa9);
    expect(bytes()).toEqual([0, 0]);
    command(0x60, 0x30);
    command(0x20);
    expect(bytes()).toEqual([0x30]);
    command(0xa8);
    command(0x20);
    expect(bytes()).toEqual([0x10]);
    command(0xd3, 0x5a); // the mouse's port echoes
    expect(drain()).toEqual([[true, 0x5a]]);
  });

  it('has a keyboard', () => {
    const { c, bytes, command } = controller();
    c.writePort(0x60, 1, 0xff);
    expect(bytes()).toEqual([0xfa, 0xaa]);
    command(0x60, 0x05); // no translation
    c.writePort(0x60, 1, 0xf2);
    expect(bytes()).toEqual([0xfa, 0xab, 0x83]);
    c.writePort(0x60, 1, 0xed);
    c.writePort(0x60, 1, 0x07);
    expect(bytes()).toEqual([0xfa, 0xfa]);
    c.writePort(0x60, 1, 0xee);
    expect(bytes()).toEqual([0xee]);
    c.writePort(0x60, 1, 0x01);
    expect(bytes()).toEqual([0xfe]);
  });

  it('has a mouse', () => {
    const { command, drain } = controller();
    command(0xd4, 0xff);
    expect(drain()).toEqual([
      [true, 0xfa],
      [true, 0xaa],
      [true, 0],
    ]);
    command(0xd4, 0xf3);
    command(0xd4, 40);
    command(0xd4, 0xf4);
    drain();
    command(0xd4, 0xe9);
    expect(drain().map(([, b]) => b)).toEqual([0xfa, 0x20, 2, 40]);
  });

  it('interrupts once a byte, from the right line', () => {
    const { command, keyboard, mouse, c, bytes } = controller();
    command(0x60, 0x47);
    c.writePort(0x60, 1, 0xff);
    expect(keyboard.level).toBe(true);
    bytes();
    expect(keyboard.edges).toBe(2);
    expect(keyboard.level).toBe(false);
    command(0xd4, 0xf4);
    expect(mouse.level).toBe(true);
    bytes();
    expect(mouse.level).toBe(false);
  });

  it('resets the machine and switches A20', () => {
    const { command, log, c } = controller();
    command(0xfe);
    expect(log).toEqual(['reset']);
    command(0xd1, 0xdd);
    expect(c.a20).toBe(false);
    command(0xd1, 0xdf);
    expect(c.a20).toBe(true);
    command(0xff); // pulses nothing
    expect(log.filter((x) => x === 'reset')).toHaveLength(1);
  });
});
