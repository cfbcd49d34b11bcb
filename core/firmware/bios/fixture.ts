/** For tests of the BIOS: a machine whose vCPU has just come from an INT, with a terminal and disks that remember. */
import type { BlockBackend } from '../../bus/block.ts';
import { ManualClock } from '../../bus/clock.ts';
import { testTarget } from '../fixture.ts';
import { cpuAt, enterReal, resetState } from '../state.ts';
import { Frame } from './frame.ts';
import * as at from './layout.ts';
import { installBios } from './rom.ts';
import { BiosServices } from './services.ts';

export const DATA = 0x20000;
const SP = 0x1000;
/** In machine memory, where a real machine has constants that are of no use here. */
const STATE = 0x1000;
const FLAGS = DATA + SP + 4;

/** A disk in memory whose sectors begin with their number. */
export function memoryDisk(sectors: number, readonly = false): BlockBackend & { readonly data: Uint8Array } {
  const data = new Uint8Array(sectors * 512);
  const view = new DataView(data.buffer);
  for (let i = 0; i < sectors; i++) view.setUint32(512 * i, i, true);
  return {
    data,
    sectors,
    readonly,
    read: (sector, into) => into.set(data.subarray(512 * sector, 512 * sector + into.length)),
    write: (sector, from) => data.set(from, 512 * sector),
    flush: () => {},
  };
}

export function biosMachine(disks: readonly BlockBackend[] = []) {
  const target = { ...testTarget(), disks: disks.length };
  const cpu = cpuAt(target.buffer, 0);
  resetState(target.buffer, 0);
  installBios(target, true);
  enterReal(target.buffer, cpu, at.SEGMENT, 0xe000, DATA >> 4, SP);
  const clock = new ManualClock();
  const terminal = { claimed: false, output: '', input: [] as number[], space: Infinity };
  const decoder = new TextDecoder();
  const notes: string[] = [];
  const screen = new Uint8Array(0x1000);
  const written: [number, number][] = [];
  const bios = new BiosServices({
    buffer: target.buffer,
    state: STATE,
    memory: target.memory,
    ram: target,
    clock,
    wallTime: () => Date.UTC(2025, 11, 24, 18, 30, 59),
    current: () => cpu,
    disks,
    console: {
      get claimed() {
        return terminal.claimed;
      },
      room: () => terminal.space,
      put: (data) => void (terminal.output += decoder.decode(data)),
      take: () => terminal.input.shift() ?? -1,
    },
    screen,
    readPort: () => 0x60,
    writePort: (port, value) => written.push([port, value]),
    note: (text) => notes.push(text),
  });
  bios.reset();
  const frame = new Frame(cpu, target.buffer, target.memory);
  return {
    target,
    memory: target.memory,
    cpu,
    clock,
    terminal,
    screen,
    notes,
    written,
    bios,
    frame,
    /** As if an INT had led to the service's stub. Returns WAIT_*. */
    call(service: at.Service, registers: Readonly<Record<number, number>>): number {
      for (const [register, value] of Object.entries(registers)) frame.set32(Number(register), value);
      target.memory.write16(FLAGS, 0x0202);
      bios.writePort(at.portOf(service));
      return target.memory.read8(at.ROM + at.WAIT);
    },
    carry: () => target.memory.read16(FLAGS) & 1,
    zero: () => (target.memory.read16(FLAGS) >> 6) & 1,
    type: (text: string) => void terminal.input.push(...new TextEncoder().encode(text)),
    /** What was put out since the last time. */
    shown(): string {
      const text = terminal.output;
      terminal.output = '';
      return text;
    },
  };
}
