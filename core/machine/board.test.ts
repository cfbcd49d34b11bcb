import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../bus/clock.ts';
import { Ring } from '../bus/ring.ts';
import { parseCpu } from '../spec/models.ts';
import { CPUS, CPU_STRIDE, Control, Cpu, EVENT_INIT, EVENT_INTERRUPT, EVENT_KICK, EVENT_NMI, EVENT_STARTUP } from '../state/index.ts';
import { Board, type BoardOptions } from './board.ts';
import { type CreatedMachine, attachMachine, createMachine } from './create.ts';
import { INPUT_RING, OUTPUT_RING, places } from './places.ts';

const CPU0 = CPUS;
const CPU1 = CPUS + CPU_STRIDE;
const APIC = 0xfee0_0000;

let machine: CreatedMachine;
let clock: ManualClock;
let log: unknown[];

const attach = (options: Partial<BoardOptions> = {}): Board =>
  new Board(machine.memory, {
    clock,
    serials: 2,
    disks: [],
    testDevices: true,
    rtcStart: Date.UTC(2026, 0, 1),
    notify: {
      serialOutput: (port) => log.push(['serial', port]),
      powerOff: () => log.push('off'),
      reset: () => log.push('reset'),
      debugExit: (code) => log.push(['exit', code]),
      note: (cpu, text) => log.push(['note', cpu, text]),
      wake: (cpu) => log.push(['wake', cpu]),
    },
    random: (into) => into.fill(1),
    ...options,
  });

const event = (index: number): number => Cpu.view(machine.memory.buffer, CPUS + index * CPU_STRIDE).event;
const clearEvents = (): void => {
  for (let i = 0; i < 2; i++) Cpu.view(machine.memory.buffer, CPUS + i * CPU_STRIDE).event = 0;
};

/** The controllers as an operating system sets them up: PIC at 0x20, nothing masked. */
function setUpPic(board: Board): void {
  for (const [base, vector, cascade] of [
    [0x20, 0x20, 4],
    [0xa0, 0x28, 2],
  ] as const) {
    // prettier-ignore
    board.writePort(CPU0, base, 1, 0x11);
    board.writePort(CPU0, base + 1, 1, vector);
    board.writePort(CPU0, base + 1, 1, cascade);
    board.writePort(CPU0, base + 1, 1, 1);
    board.writePort(CPU0, base + 1, 1, 0);
  }
}

beforeEach(() => {
  machine = createMachine({ memoryMiB: 8, vcpus: 2, cpu: parseCpu('') });
  clock = new ManualClock();
  log = [];
});

describe('a created machine', () => {
  it('knows itself', () => {
    const control = Control.view(machine.memory.buffer, 0);
    expect([control.vcpus, control.ramSize, control.ramLow]).toEqual([2, 8 << 20, 8 << 20]);
    expect(control.ram % 0x10000).toBe(0);
    const second = Cpu.view(machine.memory.buffer, CPU1);
    expect([second.index, second.apicId]).toEqual([1, 1]);
    expect(second.cpuidLeaves).toBeGreaterThan(5);
    expect(second.physicalMask).toBe(2 ** 40 - 1);
    expect(attachMachine(machine.memory).layout).toEqual(machine.layout);
    expect(machine.memory.buffer.byteLength).toBe(machine.layout.pages * 0x10000);
  });

  it('is refused in sizes that do not exist', () => {
    const cpu = parseCpu('');
    for (const memoryMiB of [0, 1, 1.5, 4000, Number.NaN]) expect(() => createMachine({ memoryMiB, vcpus: 1, cpu })).toThrow(RangeError);
    for (const vcpus of [0, 33, 1.5]) expect(() => createMachine({ memoryMiB: 8, vcpus, cpu })).toThrow(RangeError);
    expect(() => attachMachine(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }))).toThrow(/not that of a machine/);
  });

  it('has a place for every device’s state, none over another', () => {
    const most = places({ ...machine.layout, vcpus: 32 });
    const addresses = JSON.stringify(most).match(/\d+/g)!.map(Number);
    expect(new Set(addresses).size).toBe(addresses.length);
    expect(Math.max(...addresses)).toBeLessThan(machine.layout.devicesEnd);
  });
});

describe('board', () => {
  it('interrupts through the PIC and LINT0, and withdraws', () => {
    const board = attach();
    board.reset(true);
    setUpPic(board);
    board.writePort(CPU0, 0x2000 + 5, 1, 1);
    expect([event(0) & EVENT_INTERRUPT, event(1) & EVENT_INTERRUPT]).toEqual([EVENT_INTERRUPT, 0]);
    expect(log).toContainEqual(['wake', 0]);
    board.writePort(CPU0, 0x2000 + 5, 1, 0);
    expect(event(0) & EVENT_INTERRUPT).toBe(0);
    expect(board.acknowledgeInterrupt(CPU0)).toBe(-1);
    board.writePort(CPU0, 0x2000 + 5, 1, 1);
    expect(board.acknowledgeInterrupt(CPU0)).toBe(0x25);
    expect(event(0) & EVENT_INTERRUPT).toBe(0);
  });

  it('interrupts through the I/O APIC, the timer at pin 2', () => {
    const board = attach();
    board.reset(true);
    const io = (register: number, value: number): void => {
      board.writeMmio(CPU0, 0xfec0_0000, 0, 4, register);
      board.writeMmio(CPU0, 0xfec0_0010, 0, 4, value);
    };
    board.writeMmio(CPU1, APIC + 0xf0, 0, 4, 0x1ff);
    io(0x10 + 2 * 2 + 1, 0x0100_0000);
    io(0x10 + 2 * 2, 0x31);
    board.writePort(CPU0, 0x43, 1, 0x34);
    board.writePort(CPU0, 0x40, 1, 0x9c);
    board.writePort(CPU0, 0x40, 1, 0x2e);
    const deadline = board.nextDeadline();
    expect(deadline).toBeGreaterThan(9_000_000);
    expect(event(1)).toBe(0);
    clock.time = deadline;
    board.advance(deadline);
    expect(event(1) & EVENT_INTERRUPT).toBe(EVENT_INTERRUPT);
    expect(board.acknowledgeInterrupt(CPU1)).toBe(0x31);
    expect(board.readMmio(CPU1, APIC + 0x110, 0, 4)).toBe(1 << 17);
    expect(board.readMmio(CPU0, APIC + 0x110, 0, 4)).toBe(0);
  });

  it('gives CR8 and TPR as one', () => {
    const board = attach();
    board.reset(true);
    board.writeMmio(CPU0, APIC + 0x300, 0, 4, 0x4_4055); // self
    expect(event(0) & EVENT_INTERRUPT).toBe(EVENT_INTERRUPT);
    board.taskPriority(CPU0, 6);
    expect(board.readMmio(CPU0, APIC + 0x80, 0, 4)).toBe(0x60);
    expect(event(0) & EVENT_INTERRUPT).toBe(0);
    board.writeMmio(CPU0, APIC + 0x80, 0, 4, 0x10);
    expect(board.readTaskPriority(CPU0)).toBe(1);
    expect(board.acknowledgeInterrupt(CPU0)).toBe(0x55);
  });

  it('starts other processors', () => {
    const board = attach();
    board.reset(true);
    board.writeMmio(CPU0, APIC + 0x310, 0, 4, 0x0100_0000);
    board.writeMmio(CPU0, APIC + 0x300, 0, 4, 0x4500);
    expect(event(1)).toBe(EVENT_INIT);
    board.writeMmio(CPU0, APIC + 0x300, 0, 4, 0x469a);
    expect(event(1)).toBe(EVENT_INIT | EVENT_STARTUP);
    expect(Cpu.view(machine.memory.buffer, CPU1).startupVector).toBe(0x9a);
    board.writeMmio(CPU0, APIC + 0x300, 0, 4, 0xc_4400);
    expect([event(0), event(1) & EVENT_NMI]).toEqual([0, EVENT_NMI]);
  });

  it('makes the vCPU come out when a timer is armed that is due before what was announced', () => {
    const board = attach();
    board.reset(true);
    expect(board.runUntil(5_000_000)).toBe(5_000_000);
    clearEvents();
    board.writeMmio(CPU0, APIC + 0x320, 0, 4, 0x50);
    board.writeMmio(CPU0, APIC + 0x380, 0, 4, 100_000);
    expect(event(0)).toBe(EVENT_KICK);
    clearEvents();
    board.writeMmio(CPU0, APIC + 0x380, 0, 4, 900_000);
    expect(event(0)).toBe(0);
    expect(board.nextDeadline()).toBe(1_800_000);
  });

  it('makes the vCPU come out that reads a clock when a timer is due, or its time is over', () => {
    const board = attach();
    board.reset(true);
    board.writeMmio(CPU0, APIC + 0x320, 0, 4, 0x50);
    board.writeMmio(CPU0, APIC + 0x380, 0, 4, 1000);
    expect(board.runUntil(9000)).toBe(2000);
    clearEvents();
    clock.time = 1999;
    board.tsc(CPU1);
    expect([event(0), event(1)]).toEqual([0, 0]);
    clock.time = 2000;
    board.tsc(CPU1);
    expect([event(0), event(1)]).toEqual([0, EVENT_KICK]);
    clearEvents();
    board.advance(2000);
    expect(board.runUntil(9000)).toBe(9000);
    clearEvents();
    clock.time = 8999;
    board.readPort(CPU0, 0x608, 4);
    expect(event(0)).toBe(0);
    clock.time = 9000;
    board.readPort(CPU0, 0x608, 4);
    expect([event(0), event(1)]).toEqual([EVENT_KICK, 0]);
  });

  it('has a TSC of one tick a nanosecond, and a deadline timer on it', () => {
    const board = attach();
    board.reset(true);
    clock.time = 12_345;
    expect(board.tsc(CPU0)).toBe(12_345);
    Cpu.view(machine.memory.buffer, CPU0).tscOffset = 1000;
    board.writeMmio(CPU0, APIC + 0x320, 0, 4, 0x4_0060);
    board.apicMsr(CPU0, 0x6e0, 50_000, 0);
    expect(board.nextDeadline()).toBe(49_000);
    board.apicMsr(CPU0, 0x6e0, 0, 0);
    expect(board.nextDeadline()).toBe(Infinity);
  });

  it('goes off, resets, exits', () => {
    const board = attach();
    board.reset(true);
    board.writePort(CPU0, 0x604, 2, 0x3400);
    board.writePort(CPU0, 0x64, 1, 0xfe);
    board.writePort(CPU0, 0xcf9, 1, 6);
    board.writePort(CPU0, 0x92, 1, 1);
    board.writePort(CPU0, 0xf4, 1, 3);
    expect(log.filter((x) => !Array.isArray(x) || x[0] !== 'wake')).toEqual(['off', 'reset', 'reset', 'reset', ['exit', 7]]);
    const plain = attach({ testDevices: false });
    expect(plain.readPort(CPU0, 0xf4, 4)).toBe(0xffff_ffff);
  });

  it('presses the power button, level-triggered on IRQ 9', () => {
    const board = attach();
    board.reset(true);
    setUpPic(board);
    board.writePort(CPU0, 0x602, 2, 0x100);
    board.pressPowerButton();
    expect(board.acknowledgeInterrupt(CPU0)).toBe(0x29);
    board.writePort(CPU0, 0x600, 2, 0x100);
    expect(board.readPort(CPU0, 0x600, 2) & 0x100).toBe(0);
  });

  it('answers where there is nothing with all ones, and lets it be written', () => {
    const board = attach();
    board.reset(true);
    expect([1, 2, 4].map((size) => board.readMmio(CPU0, 0xd000_0000, 0, size))).toEqual([0xff, 0xffff, 0xffff_ffff]);
    expect(board.readMmio(CPU0, APIC, 1, 4)).toBe(0xffff_ffff);
    board.writeMmio(CPU0, 0xd000_0000, 0, 4, 1);
    board.writeMmio(CPU0, APIC | 0, -1, 4, 1);
    expect(board.readPort(CPU0, 0x5555, 2)).toBe(0xffff);
    board.writeMmio(CPU0, 0xb9000, 0, 2, 0x0741);
    expect(board.readMmio(CPU0, 0xb9000, 0, 4)).toBe(0x0741);
  });

  it('carries consoles between threads', () => {
    const board = attach();
    board.reset(true);
    for (const c of 'ok\n') board.writePort(CPU0, 0x3f8, 1, c.charCodeAt(0));
    board.writePort(CPU0, 0x2f8, 1, 0x32);
    expect(log).toEqual([['serial', 0], ['serial', 1]]); // prettier-ignore
    const { buffer } = machine.memory;
    const place = places(machine.layout).consoles[0]!;
    expect(new TextDecoder().decode(new Ring(buffer, place.output, OUTPUT_RING).read())).toBe('ok\n');
    board.writePort(CPU0, 0x3fc, 1, 3);
    new Ring(buffer, place.input, INPUT_RING).write(Uint8Array.from([0x41]));
    expect(board.readPort(CPU0, 0x3fd, 1) & 1).toBe(1);
    expect(board.readPort(CPU0, 0x3f8, 1)).toBe(0x41);
    board.writePort(CPU0, 0x3f8, 1, 0x42);
    board.reset();
    expect(new Ring(buffer, place.output, OUTPUT_RING).available()).toBe(1);
  });
});

describe('the same machine on another thread', () => {
  it('is in the same state: levels, timers, configuration', () => {
    const a = attach();
    a.reset(true);
    setUpPic(a);
    const b = attach();
    a.writePort(CPU0, 0x2000 + 5, 1, 1);
    expect(b.acknowledgeInterrupt(CPU0)).toBe(0x25);
    // A line raised on one is lowered on the other.
    b.writePort(CPU0, 0x2000 + 5, 1, 0);
    b.writePort(CPU0, 0x20, 1, 0x20);
    a.writePort(CPU0, 0x2000 + 5, 1, 1);
    expect(a.acknowledgeInterrupt(CPU0)).toBe(0x25);

    a.writeMmio(CPU0, APIC + 0x380, 0, 4, 1000);
    expect(b.nextDeadline()).toBe(2000);
  });

  it('sees PCI windows where the other put them', () => {
    const a = attach();
    a.reset(true);
    const b = attach();
    const config = (board: Board, offset: number, value?: number): number => {
      board.writePort(CPU0, 0xcf8, 4, (0x8000_0000 | (10 << 11) | offset) >>> 0);
      if (value !== undefined) board.writePort(CPU0, 0xcfc, 4, value);
      return board.readPort(CPU0, 0xcfc, 4);
    };
    expect(config(a, 0)).toBe(0x1044_1af4);
    const queues = (board: Board, base: number): number => board.readMmio(CPU0, base + 0x12, 0, 2);
    const first = config(a, 0x10);
    expect([queues(a, first), queues(b, first)]).toEqual([1, 1]);
    config(a, 0x10, 0xe800_0000);
    expect([queues(a, 0xe800_0000), queues(b, 0xe800_0000)]).toEqual([1, 1]);
    config(b, 0x10, 0xe900_0000);
    expect([queues(a, 0xe900_0000), queues(a, 0xe800_0000)]).toEqual([1, 0xffff]);
  });

  it('knows nothing of another machine', () => {
    const a = attach();
    a.reset(true);
    setUpPic(a);
    const first = machine;
    machine = createMachine({ memoryMiB: 4, vcpus: 1, cpu: parseCpu('') });
    const other = attach();
    other.reset(true);
    a.writePort(CPU0, 0x2000 + 5, 1, 1);
    expect(other.acknowledgeInterrupt(CPU0)).toBe(-1);
    expect(event(0)).toBe(0);
    machine = first;
    expect(event(0) & EVENT_INTERRUPT).toBe(EVENT_INTERRUPT);
  });
});
