/**
 * The board of a paravirtualized guest: no devices of a PC, but a domain's event channels, timers, console and backends (core/vmm/para). Everything that
 * lasts is in machine memory, so that any thread can attach to it and go on; one at a time works on it.
 */
import { SteadyClock } from '../bus/clock.ts';
import type { Clock } from '../bus/device.ts';
import { type Invalidate, MachineRam } from '../bus/memory.ts';
import type { ProcessorBus } from '../bus/processor.ts';
import { Ring } from '../bus/ring.ts';
import type { RawImage } from '../storage/raw.ts';
import { CPUS, Cpu, PAGE, Para, ParaVcpu, Control } from '../state/index.ts';
import { type ParaDisk, ParaDevices } from '../vmm/para/devices.ts';
import { Domain, type DomainProcessor } from '../vmm/para/domain.ts';
import { BACKEND_BLOCK, BACKEND_STORE, kick } from '../vmm/para/events.ts';
import { GrantTable } from '../vmm/para/grant-table-op.ts';
import { PREEMPTED } from '../vmm/para/memory.ts';
import { SHUTDOWN_POWEROFF, SHUTDOWN_REBOOT } from '../vmm/para/sched.ts';
import type { Waited } from '../vmm/para/time.ts';
import { attachMachine } from './create.ts';
import { INPUT_RING, OUTPUT_RING, type Places, places } from './places.ts';

export interface ParaNotify {
  /** A serial port has output where there was none: the console is the first. */
  serialOutput(port: number): void;
  powerOff(): void;
  reset(): void;
  /** The guest ended with SHUTDOWN_* (sched.h) of another kind. */
  shutdown(reason: number): void;
  note(cpu: number, text: string): void;
}

export interface ParaBoardOptions {
  readonly clock: Clock;
  /** Wall time at clock 0, milliseconds since the epoch. Must be the same on every thread. */
  readonly rtcStart: number;
  readonly notify: ParaNotify;
  /** What the guest's block devices are, at its start. */
  readonly disks: readonly ParaDisk[];
  /** Opens a disk image. Throws a StorageError. */
  open(path: string, readonly: boolean): RawImage;
  /** Wakes the thread that serves rings; absent: there is none, and requests are served at once. */
  readonly ring?: (() => void) | undefined;
  /** Makes decoded code stale. */
  readonly invalidate?: Invalidate;
  /** Seconds that the vCPU waited for a processor and was halted; absent: the guest is told that it never did. */
  waited?(): Waited;
}

const ALL_ONES = 0xffff_ffff;

export class ParaBoard implements ProcessorBus {
  readonly memory: MachineRam;
  readonly places: Places;
  readonly domain: Domain;
  readonly devices: ParaDevices;
  readonly vcpus: number;
  readonly #buffer: ArrayBufferLike;
  readonly #grants: GrantTable;
  readonly #clock: SteadyClock;
  readonly #options: ParaBoardOptions;

  /** Attaches to a machine. Only the first time, `reset` must follow when the system has been loaded. */
  constructor(machine: WebAssembly.Memory, options: ParaBoardOptions) {
    const { layout } = attachMachine(machine);
    const { buffer } = machine;
    this.#buffer = buffer;
    this.#options = options;
    this.vcpus = layout.vcpus;
    this.memory = new MachineRam(buffer, layout, options.invalidate ?? (() => {}));
    this.places = places(layout);
    const words = new Int32Array(buffer);
    this.#clock = new SteadyClock(options.clock, buffer, this.places.clock, () => kick(words));
    const { output, input } = this.places.consoles[0]!;
    this.domain = new Domain({
      buffer,
      clock: this.#clock,
      startTime: options.rtcStart,
      output: new Ring(buffer, output, OUTPUT_RING),
      input: new Ring(buffer, input, INPUT_RING),
      outputNotify: () => options.notify.serialOutput(0),
      waited: options.waited,
      ended: (reason) => this.#ended(reason),
    });
    const { events, memory } = this.domain;
    const invalidate: Invalidate = (page, first, last) => options.invalidate?.(page, first, last);
    this.devices = new ParaDevices({
      buffer,
      places: this.places.para,
      events: {
        send: (port) => events.send(port),
        bind: (port) => events.bindBackend(port, BACKEND_BLOCK),
        unbind: (port) => events.unbindBackend(port),
      },
      open: (path, readonly) => options.open(path, readonly),
      invalidate,
      note: (text) => options.notify.note(0, text),
      ring: options.ring,
    });
    events.attach(BACKEND_STORE, this.devices);
    events.attach(BACKEND_BLOCK, this.devices);
    this.#grants = new GrantTable({ buffer, memory, grants: this.devices.grants, invalidate });
    const rest = new BigUint64Array(buffer, CPUS + Cpu.offsets.para + ParaVcpu.offsets.args, 6);
    this.domain.serve('grant_table_op', (args) => {
      const left = this.#grants.operate(args.u32(0), args.pointer(1), args.u32(2));
      if (left === 0) return 0;
      rest[1] = left.pointer;
      rest[2] = BigInt(left.count);
      return PREEMPTED;
    });
  }

  /** There is a processor on this thread. */
  connect(processor: DomainProcessor): void {
    this.domain.connect(processor);
  }

  /** A system was loaded: the domain begins. Throws a StorageError if a disk cannot be opened. */
  reset(): void {
    new Float64Array(this.#buffer, this.places.clock, 1)[0] = 0;
    const { guestFrames } = Para.view(this.#buffer, Control.view(this.#buffer, 0).para);
    this.domain.reset();
    this.#grants.reset();
    this.devices.reset({ name: 'Ringside', memoryKiB: (guestFrames * PAGE) / 1024, disks: this.#options.disks });
  }

  /** The guest is asked to shut down (xenstore's control/shutdown). */
  pressPowerButton(): void {
    this.devices.shutdown('poweroff');
  }

  close(): void {
    this.devices.close();
  }

  // -- time

  nextDeadline(): number {
    return this.domain.deadline();
  }

  /** The vCPU is about to run until `most`, or until `advance` must be called, which is returned: from then on it comes out when the clock is read. */
  runUntil(most: number): number {
    const until = Math.min(most, this.domain.deadline());
    this.#clock.runUntil(until);
    return until;
  }

  advance(now: number): void {
    this.#clock.runUntil(NaN);
    this.domain.advance(now);
  }

  // -- ProcessorBus: there are no ports and no devices in memory

  readPort(_cpu: number, _port: number, size: number): number {
    return size === 4 ? ALL_ONES : (1 << (8 * size)) - 1;
  }

  writePort(): void {}

  readMmio(_cpu: number, _low: number, _high: number, size: number): number {
    return size === 4 ? ALL_ONES : (1 << (8 * size)) - 1;
  }

  writeMmio(): void {}

  acknowledgeInterrupt(): number {
    return -1;
  }

  tsc(): number {
    return Math.floor(this.#clock.now());
  }

  taskPriority(): void {}

  readTaskPriority(): number {
    return 0;
  }

  apicMsr(): void {}

  hypercall(_cpu: number, number: number): void {
    this.domain.hypercall(number);
  }

  note(cpu: number, text: string): void {
    this.#options.notify.note(cpu, text);
  }

  #ended(reason: number): void {
    const { notify } = this.#options;
    if (reason === SHUTDOWN_POWEROFF) notify.powerOff();
    else if (reason === SHUTDOWN_REBOOT) notify.reset();
    else notify.shutdown(reason);
  }
}
