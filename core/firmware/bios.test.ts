import { beforeEach, describe, expect, it } from 'vitest';
import { BIOS_PORT, BiosServices, installBios } from './bios.ts';
import { type TestTarget, testTarget } from './fixture.ts';
import { type CpuView, RAX, RBX, RCX, RDI, RDX, RSP, cpuAt, enterReal, resetState } from './state.ts';

/** As if an INT had led to a stub that does its OUT. */
describe('BIOS services', () => {
  let target: TestTarget;
  let cpu: CpuView;
  let bios: BiosServices;
  const FLAGS = 0x20000 + 0x1004;
  const call = (service: number, registers: Record<number, number>): void => {
    for (const [register, value] of Object.entries(registers)) cpu.gpr.set(Number(register), value);
    bios.writePort(BIOS_PORT + service);
  };
  const carry = (): number => target.memory.read16(FLAGS) & 1;

  beforeEach(() => {
    target = testTarget();
    installBios(target, true);
    cpu = cpuAt(target.buffer, 0);
    resetState(target.buffer, 0);
    enterReal(target.buffer, cpu, 0xf000, 0xe000, 0x2000, 0x1000);
    bios = new BiosServices(target.memory, target, () => cpu, () => Date.UTC(2025, 11, 24, 18, 30, 59)); // prettier-ignore
    target.memory.write16(FLAGS, 0x0203);
  });

  it('lead from every vector to code in ROM', () => {
    for (let n = 0; n < 256; n++) expect(target.memory.read16(4 * n + 2)).toBe(0xf000);
    const stub = 0xf0000 + target.memory.read16(4 * 0x15);
    expect([...target.memory.bytes(stub, 3)]).toEqual([0xe6, BIOS_PORT + 4, 0xcf]);
    expect(target.memory.read8(0xffff0)).toBe(0xea);
    expect(target.memory.read16(0x413)).toBe(639);
  });

  it('walk the memory map', () => {
    let i = 0;
    const ranges: [number, number, number][] = [];
    do {
      call(4, { [RAX]: 0xe820, [RBX]: i, [RCX]: 20, [RDX]: 0x534d_4150, [RDI]: 0x100 });
      expect([cpu.gpr.get(RAX), cpu.gpr.get(RCX), carry()]).toEqual([0x534d_4150, 20, 0]);
      ranges.push([target.memory.read64(0x20100), target.memory.read64(0x20108), target.memory.read32(0x20110)]);
      i = cpu.gpr.get(RBX);
    } while (i !== 0);
    expect(ranges[0]).toEqual([0, 0x9fc00, 1]);
    expect(
      ranges
        .at(-1)!
        .slice(0, 2)
        .reduce((a, b) => a + b),
    ).toBe(64 << 20);
  });

  it('tell the memory in the older ways too', () => {
    call(4, { [RAX]: 0xe801 });
    expect([cpu.gpr.get(RAX), cpu.gpr.get(RBX)]).toEqual([0x3c00, 48 * 16 - 1]);
    call(4, { [RAX]: 0x8800 });
    expect(cpu.gpr.get(RAX)).toBe(63 * 1024 - 64);
    call(2, {});
    expect(cpu.gpr.get(RAX)).toBe(639);
  });

  it('say no to what is not there', () => {
    target.memory.write16(FLAGS, 0x0202);
    call(4, { [RAX]: 0x5300 });
    expect([cpu.gpr.get(RAX), carry()]).toEqual([0x8600, 1]);
    target.memory.write16(FLAGS, 0x0202);
    call(3, { [RAX]: 0x0201 });
    expect([cpu.gpr.get(RAX) >> 8, carry()]).toEqual([1, 1]);
    call(5, { [RAX]: 0x0100 });
    expect(target.memory.read16(FLAGS) & 0x40).toBe(0x40);
  });

  it('tell the time', () => {
    call(6, { [RAX]: 0x0200 });
    expect([cpu.gpr.get(RCX), cpu.gpr.get(RDX), carry()]).toEqual([0x1830, 0x5900, 0]);
    call(6, { [RAX]: 0x0400 });
    expect([cpu.gpr.get(RCX), cpu.gpr.get(RDX)]).toEqual([0x2025, 0x1224]);
    target.memory.write32(0x46c, 0x12345678);
    call(6, { [RAX]: 0 });
    expect([cpu.gpr.get(RCX), cpu.gpr.get(RDX)]).toEqual([0x1234, 0x5678]);
  });

  it('keep the upper halves of registers', () => {
    call(2, { [RAX]: 0x1234_0000 });
    expect(cpu.gpr.get(RAX)).toBe(0x1234_0000 + 639);
    expect(cpu.gpr.get(RSP)).toBe(0x1000);
  });

  it('answer to nobody but their stubs', () => {
    enterReal(target.buffer, cpu, 0x1000, 0, 0x2000, 0x1000);
    call(2, { [RAX]: 5 });
    expect(cpu.gpr.get(RAX)).toBe(5);
    enterReal(target.buffer, cpu, 0xf000, 0, 0x2000, 0x1000);
    cpu.cr0 = 0x11;
    call(2, { [RAX]: 5 });
    expect(cpu.gpr.get(RAX)).toBe(5);
  });
});
