/** The BIOS services for 16-bit code: a stub in ROM writes to a private port, and the work is done here. */
import type { Device, PortDevice } from '../../bus/device.ts';
import { AX, DX, Frame } from './frame.ts';
import { Disks } from './disk.ts';
import { Keyboard } from './keyboard.ts';
import * as at from './layout.ts';
import type { BiosMachine } from './machine.ts';
import { serialPort } from './serial.ts';
import { System } from './system.ts';
import { NORMAL, Terminal } from './terminal.ts';
import { timeOfDay } from './time.ts';
import { Video } from './video.ts';

/** A call that shows something waits until the terminal has taken so much of what was shown before. */
const ROOM = 0x4000;

export class BiosServices implements Device, PortDevice {
  readonly name = 'BIOS';
  readonly #m: BiosMachine;
  readonly #s;
  readonly #video: Video;
  readonly #keyboard: Keyboard;
  readonly #disks: Disks;
  readonly #system: System;

  constructor(machine: BiosMachine) {
    const { memory, clock } = machine;
    this.#m = machine;
    this.#s = at.BiosState.view(machine.buffer, machine.state);
    this.#video = new Video(memory, machine.screen, new Terminal(machine.console, this.#s));
    this.#keyboard = new Keyboard(memory, machine.console, clock, this.#s);
    this.#disks = new Disks(memory, machine.disks, machine.note);
    this.#system = new System(memory, machine.ram, clock, this.#s);
  }

  reset(): void {
    const s = this.#s;
    s.until = s.escapeTime = s.pollTick = s.polls = s.held = 0;
    s.row = s.column = s.bottom = s.escape = s.parameter = 0;
    s.attribute = NORMAL;
    this.#video.reset();
  }

  readPort(): number {
    return 0xff;
  }

  writePort(port: number): void {
    const cpu = this.#m.current();
    // Only the stubs may call: anyone else would have registers and stack changed under them.
    if (cpu.cr0 % 2 === 1 || cpu.segments[1]!.base !== at.ROM) return;
    const service = at.SERVICES[port - at.BIOS_PORT];
    if (service === undefined) return;
    const wait = this.#serve(service, new Frame(cpu, this.#m.buffer, this.#m.memory));
    const flag = at.ROM + at.WAIT;
    if (this.#m.memory.read8(flag) !== wait) this.#m.memory.write8(flag, wait);
  }

  /** Returns WAIT_*. */
  #serve(service: at.Service, f: Frame): number {
    const { memory, console } = this.#m;
    if (service === 0x10 || service === 0x13) this.#keyboard.busy();
    switch (service) {
      case 0x10:
        if (console && !console.claimed && console.room() < ROOM) return at.WAIT_HALT;
        this.#video.call(f);
        break;
      case 0x13:
        this.#disks.call(f);
        break;
      case 0x14:
        serialPort(f, memory, this.#m);
        break;
      case 0x15:
        return this.#system.call(f);
      case 0x16:
        return this.#keyboard.call(f, () => this.#video.follow());
      case 0x19:
        this.#bootstrap(f);
        break;
      case 0x1a:
        timeOfDay(f, memory, this.#m.wallTime());
    }
    return at.WAIT_NONE;
  }

  #bootstrap(f: Frame): void {
    if (f.low(AX) === at.BOOT_FAILED) return this.#video.print('\r\nNo bootable disk.\r\n');
    this.#m.memory.write32(at.BDA_TICKS, at.ticksAt(this.#m.wallTime()));
    f.set(AX, this.#disks.loadBootSector() ? at.BOOTABLE : 0);
    f.set(DX, 0x80);
  }
}
