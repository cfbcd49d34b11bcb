import { describe, expect, it } from 'vitest';
import { GPE0, PM1A_CONTROL, PM1A_EVENT, PM_TIMER, PM_TIMER_HZ, PowerManagement, RESET_REGISTER, RESET_VALUE, S5_TYPE } from './acpi-pm.ts';
import { fixture } from './fixture.ts';

function power() {
  const f = fixture();
  const log: string[] = [];
  const p = new PowerManagement(f.buffer, 0, f.clock, f.line, { powerOff: () => log.push('off'), reset: () => log.push('reset') });
  p.reset();
  return { ...f, p, log };
}

describe('ACPI PM', () => {
  it('counts 3.579545 MHz in 24 bits', () => {
    const { p, clock } = power();
    clock.advance(1e9);
    expect(p.readPort(PM_TIMER, 4)).toBe(PM_TIMER_HZ);
    clock.advance(4e9);
    expect(p.readPort(PM_TIMER, 4)).toBe((5 * PM_TIMER_HZ) % 2 ** 24);
  });

  it('sets the carry twice a turn, and raises the SCI for it if asked', () => {
    const { p, clock, line } = power();
    expect(p.deadline()).toBe(Infinity);
    p.writePort(PM1A_EVENT + 2, 2, 1);
    const at = p.deadline();
    expect(at / 1e9).toBeCloseTo(2 ** 23 / PM_TIMER_HZ, 5);
    clock.advance(at);
    p.tick(at);
    expect(line.level).toBe(true);
    p.writePort(PM1A_EVENT, 2, 1);
    expect(line.level).toBe(false);
    expect(p.deadline()).toBeGreaterThan(at);
  });

  it('tells a guest that listens of the power button', () => {
    const { p, line } = power();
    p.pressPowerButton();
    expect(line.level).toBe(false);
    expect(p.listens).toBe(false);
    p.writePort(PM1A_EVENT + 2, 2, 0x100);
    expect(line.level).toBe(true);
    expect(p.readPort(PM1A_EVENT, 2)).toBe(0x100);
    p.writePort(PM1A_EVENT + 1, 1, 0x01);
    expect(line.level).toBe(false);
  });

  it('goes off for S5 only, and is always in ACPI mode', () => {
    const { p, log } = power();
    expect(p.readPort(PM1A_CONTROL, 2)).toBe(1);
    p.writePort(PM1A_CONTROL, 2, 0x2000 | (3 << 10));
    expect(log).toEqual([]);
    p.writePort(PM1A_CONTROL, 2, 0x2000 | (S5_TYPE << 10));
    expect(log).toEqual(['off']);
    p.writePort(PM1A_CONTROL, 2, 0);
    expect(p.readPort(PM1A_CONTROL, 2)).toBe(1);
  });

  it('resets through its register', () => {
    const { p, log } = power();
    p.writePort(RESET_REGISTER, 1, 0x02);
    expect(log).toEqual([]);
    p.writePort(RESET_REGISTER, 1, RESET_VALUE);
    expect(log).toEqual(['reset']);
  });

  it('has general-purpose events by byte and word', () => {
    const { p } = power();
    p.writePort(GPE0 + 2, 1, 0x12);
    p.writePort(GPE0 + 3, 1, 0x34);
    expect(p.readPort(GPE0 + 2, 2)).toBe(0x3412);
    expect(p.readPort(GPE0, 4)).toBe(0x3412_0000);
  });
});
