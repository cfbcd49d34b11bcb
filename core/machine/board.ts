/** A PC's board: puts the devices together on a machine's memory and answers the processor. Everything that lasts is in that memory, so
 *  that any thread can attach to the machine and go on. One thread at a time works on a board. */
import type { BlockBackend } from '../bus/block.ts';
import { SteadyClock } from '../bus/clock.ts';
import type { Clock, Device, Timed } from '../bus/device.ts';
import { LineBank } from '../bus/lines.ts';
import { type Invalidate, MachineRam } from '../bus/memory.ts';
import { MmioMap } from '../bus/mmio.ts';
import { PortMap } from '../bus/ports.ts';
import type { ProcessorBus } from '../bus/processor.ts';
import { Ring } from '../bus/ring.ts';
import * as pm from '../devices/acpi-pm.ts';
import { APIC_BASE, Apic, type ApicHost, DELIVERY_LOWEST } from '../devices/apic.ts';
import { KBD_DATA, KBD_STATUS, KeyboardController } from '../devices/i8042.ts';
import { PIT_PORT, PORT_B, Pit } from '../devices/i8254.ts';
import { ELCR1, PIC_MASTER, PIC_SLAVE, Pic } from '../devices/i8259.ts';
import { IOAPIC_BASE, IOAPIC_PINS, IoApic } from '../devices/ioapic.ts';
import { RTC_INDEX, Rtc } from '../devices/mc146818.ts';
import * as misc from '../devices/misc.ts';
import { CONFIG_ADDRESS, CONFIG_DATA, PciFunction, PciHost, intxInterrupt } from '../devices/pci.ts';
import { SERIAL_PORTS, Serial } from '../devices/uart16550.ts';
import { virtioBlock } from '../devices/virtio-blk.ts';
import { VirtioPci, type VirtioModel } from '../devices/virtio-pci.ts';
import { virtioEntropy } from '../devices/virtio-rng.ts';
import { BIOS_PORT, BIOS_PORTS } from '../firmware/bios/layout.ts';
import { BiosServices } from '../firmware/bios/services.ts';
import { type CpuView, cpuAt } from '../firmware/state.ts';
import type { BootTarget } from '../firmware/target.ts';
import { CPU_STRIDE, CPUS, Cpu, EVENT_INIT, EVENT_INTERRUPT, EVENT_KICK, EVENT_NMI, EVENT_STARTUP } from '../state/index.ts';
import { attachMachine } from './create.ts';
import { DISKS_MAX, INPUT_RING, OUTPUT_RING, type Places, places } from './places.ts';

export interface BoardNotify {
  /** A serial port has output where there was none. */
  serialOutput(port: number): void;
  powerOff(): void;
  reset(): void;
  debugExit(code: number): void;
  note(cpu: number, text: string): void;
  /** An event was set for a vCPU that may be halted or on another thread. */
  wake?(cpu: number): void;
}

export interface BoardOptions {
  readonly clock: Clock;
  /** 0 to 4. */
  readonly serials: number;
  /** At most DISKS_MAX. */
  readonly disks: readonly BlockBackend[];
  readonly testDevices: boolean;
  /** Wall time at clock 0, milliseconds since the epoch. Must be the same on every thread. */
  readonly rtcStart: number;
  readonly notify: BoardNotify;
  /** Fills an array from the host's source of randomness; absent: no virtio-rng. */
  readonly random?: (into: Uint8Array<ArrayBuffer>) => void;
  /** Makes decoded code stale after DMA. */
  readonly invalidate?: Invalidate;
}

const DELIVERY_EXTINT = 7;
const ALL_ONES = 0xffff_ffff;

export class Board implements ProcessorBus {
  readonly memory: MachineRam;
  readonly ports = new PortMap();
  readonly mmio = new MmioMap();
  readonly places: Places;
  readonly serials: readonly Serial[];
  readonly vcpus: number;
  readonly #buffer: ArrayBufferLike;
  readonly #options: BoardOptions;
  readonly #clock: SteadyClock;
  readonly #ram: { readonly ram: number; readonly ramSize: number; readonly ramLow: number };
  readonly #lines: LineBank;
  readonly #pic: Pic;
  readonly #ioapic: IoApic;
  readonly #apics: readonly Apic[];
  readonly #pci: PciHost;
  readonly #power: pm.PowerManagement;
  readonly #devices: Device[] = [];
  readonly #timed: Timed[] = [];
  readonly #virtio: VirtioPci[] = [];
  readonly #cpus: readonly CpuView[];
  /** Int32 indices of each vCPU's `event` word. */
  readonly #events: Int32Array;
  readonly #tscPerNs: number;
  /** The vCPU whose access is being served. */
  #current = 0;

  /** Attaches to a machine. Only the first time, `reset` must follow. */
  constructor(machine: WebAssembly.Memory, options: BoardOptions) {
    const { layout } = attachMachine(machine);
    const { buffer } = machine;
    this.#buffer = buffer;
    this.#options = options;
    this.#ram = layout;
    this.vcpus = layout.vcpus;
    this.memory = new MachineRam(buffer, layout, options.invalidate ?? (() => {}));
    this.places = places(layout);
    this.#cpus = Array.from({ length: layout.vcpus }, (_, i) => cpuAt(buffer, i));
    this.#events = new Int32Array(buffer);
    this.#tscPerNs = 1;

    const { notify } = options;
    const at = this.places;
    const clock = new SteadyClock(options.clock, buffer, at.clock, () =>
      Atomics.or(this.#events, this.#eventWord(this.#current), EVENT_KICK),
    );
    this.#clock = clock;
    const rearm = (device: Timed): void => clock.armed(device.deadline());
    this.#lines = new LineBank(buffer, at.lines, (line, level) => this.#line(line, level));
    this.#pic = new Pic(buffer, at.pic, (level) => this.#picOutput(level));
    this.#ioapic = new IoApic(buffer, at.ioapic, (destination, logical, mode, vector, level) =>
      this.#message(destination, logical, mode, vector, level),
    );
    this.#apics = at.apics.map((place, i) => new Apic(buffer, place, i, clock, this.#apicHost()));
    const line = (n: number) => this.#lines.source(n);
    const pit = new Pit(buffer, at.pit, clock, line(0), rearm);
    const rtc = new Rtc(
      buffer,
      at.rtc,
      clock,
      line(8),
      { startTime: options.rtcStart, ramLow: layout.ramLow, ramHigh: layout.ramSize - layout.ramLow, vcpus: layout.vcpus },
      rearm,
    );
    const keyboard = new KeyboardController(buffer, at.i8042, line(1), line(12), { reset: () => notify.reset(), a20: () => {} });
    const port92 = new misc.Port92(buffer, at.misc, keyboard, () => notify.reset());
    const post = new misc.PostPort(buffer, at.misc);
    this.#power = new pm.PowerManagement(buffer, at.pm, clock, line(pm.SCI), notify, rearm);
    const video = new misc.VideoMemory(buffer, at.video);
    this.serials = SERIAL_PORTS.slice(0, options.serials).map(({ base, irq }, i) => {
      const place = at.consoles[i]!;
      const ends = {
        output: new Ring(buffer, place.output, OUTPUT_RING),
        input: new Ring(buffer, place.input, INPUT_RING),
        notify: () => notify.serialOutput(i),
      };
      const serial = new Serial(buffer, place.state, base, clock, line(irq), ends, rearm);
      this.ports.map(base, 8, serial);
      return serial;
    });

    this.ports.map(PIC_MASTER, 2, this.#pic);
    this.ports.map(PIC_SLAVE, 2, this.#pic);
    this.ports.map(ELCR1, 2, this.#pic);
    this.ports.map(PIT_PORT, 4, pit);
    this.ports.map(PORT_B, 1, pit);
    this.ports.map(RTC_INDEX, 2, rtc);
    this.ports.map(KBD_DATA, 1, keyboard);
    this.ports.map(KBD_STATUS, 1, keyboard);
    this.ports.map(0x92, 1, port92);
    this.ports.map(0x80, 16, post);
    this.ports.map(pm.PM1A_EVENT, 12, this.#power, 4);
    this.ports.map(pm.GPE0, pm.GPE0_SIZE, this.#power, 4);
    this.ports.map(pm.RESET_REGISTER, 1, this.#power);
    const bios = new BiosServices({
      buffer,
      state: at.bios,
      memory: this.memory,
      ram: layout,
      clock,
      wallTime: () => options.rtcStart + clock.now() / 1e6,
      current: () => this.#cpus[this.#current]!,
      disks: options.disks,
      console: this.serials[0],
      screen: video.text,
      readPort: (port) => this.ports.read(port, 1),
      writePort: (port, value) => this.ports.write(port, 1, value),
      note: (text) => notify.note(this.#current, text),
    });
    this.ports.map(BIOS_PORT, BIOS_PORTS, bios);
    this.mmio.map(misc.VideoMemory.BASE, misc.VideoMemory.SIZE, video);
    this.mmio.map(IOAPIC_BASE, 0x1000, this.#ioapic);

    this.#pci = new PciHost(buffer, at.pciHost);
    this.ports.map(CONFIG_ADDRESS, 1, this.#pci, 4);
    this.ports.map(CONFIG_DATA, 4, this.#pci, 4);
    this.#pci.add(
      new PciFunction(buffer, at.hostBridge, 'i440FX', 0, { vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x06_00_00 }),
    );
    this.#pci.add(
      new PciFunction(buffer, at.isaBridge, 'PIIX3', 1, { vendor: 0x8086, device: 0x7000, revision: 0, classCode: 0x06_01_00 }),
    );
    const note = (text: string): void => notify.note(this.#current, text);
    if (options.disks.length > DISKS_MAX) throw new RangeError(`a machine has at most ${DISKS_MAX} disks`);
    options.disks.forEach((disk, i) => this.#addVirtio(i, virtioBlock(this.memory, disk, `ringside-${i}`, note), note));
    if (options.random) this.#addVirtio(DISKS_MAX, virtioEntropy(this.memory, options.random), note);

    if (options.testDevices) {
      const exit = new misc.DebugExit((code) => notify.debugExit(code));
      const test = new misc.TestDevice(
        buffer,
        at.misc,
        at.testMemory,
        Array.from({ length: misc.TESTDEV_IRQS }, (_, i) => line(i)),
      );
      this.ports.map(misc.DEBUG_EXIT_PORT, 4, exit, 4);
      this.ports.map(misc.TESTDEV_IOPORT, 12, test, 4);
      this.ports.map(misc.TESTDEV_IRQ, misc.TESTDEV_IRQS, test, 4);
      this.mmio.map(misc.TESTDEV_MMIO, misc.TESTDEV_MMIO_SIZE, test);
      this.#devices.push(test);
    }
    this.#devices.push(pit, rtc, keyboard, port92, post, this.#power, video, ...this.serials, bios);
    this.#timed.push(pit, rtc, this.#power, ...this.#apics, ...this.serials);
  }

  /** Power-on state of every device. The consoles' rings keep what is in them, except at the first reset, when they are made. */
  reset(first = false): void {
    if (first) {
      new Float64Array(this.#buffer, this.places.clock, 1)[0] = 0;
      for (const place of this.places.consoles) {
        new Ring(this.#buffer, place.output, OUTPUT_RING).reset();
        new Ring(this.#buffer, place.input, INPUT_RING).reset();
      }
    }
    this.#lines.reset();
    this.#pic.reset();
    this.#ioapic.reset();
    for (const apic of this.#apics) apic.reset();
    for (const device of this.#devices) device.reset();
    this.#pci.reset();
    for (const device of this.#virtio) device.powerOn();
  }

  /** For core/firmware. */
  bootTarget(longMode: boolean): BootTarget {
    return {
      buffer: this.#buffer,
      memory: this.memory,
      ramLow: this.#ram.ramLow,
      ramSize: this.#ram.ramSize,
      vcpus: this.vcpus,
      serials: this.serials.length,
      disks: this.#options.disks.length,
      longMode,
      writePort: (port, value) => this.ports.write(port, 1, value),
    };
  }

  pressPowerButton(): void {
    this.#power.pressPowerButton();
  }

  // -- time

  /** When `advance` must next be called, in the clock's nanoseconds; Infinity: not before something else happens. */
  nextDeadline(): number {
    let next = Infinity;
    for (const timed of this.#timed) {
      const deadline = timed.deadline();
      if (deadline < next) next = deadline;
    }
    return next;
  }

  /** A vCPU is about to run until `most`, or until `advance` must be called, which is returned: from then on it comes out when the clock is read. */
  runUntil(most: number): number {
    const until = Math.min(most, this.nextDeadline());
    this.#clock.runUntil(until);
    return until;
  }

  /** Lets every device act whose time has come, and takes in what the consoles were given. */
  advance(now: number): void {
    this.#clock.runUntil(NaN);
    for (const timed of this.#timed) if (timed.deadline() <= now) timed.tick(now);
    for (const serial of this.serials) serial.poll();
  }

  // -- ProcessorBus

  readPort(cpu: number, port: number, size: number): number {
    this.#current = this.#index(cpu);
    return this.ports.read(port & 0xffff, size);
  }

  writePort(cpu: number, port: number, size: number, value: number): void {
    this.#current = this.#index(cpu);
    this.ports.write(port & 0xffff, size, value);
  }

  readMmio(cpu: number, low: number, high: number, size: number): number {
    const address = low >>> 0;
    const index = this.#index(cpu);
    this.#current = index;
    if (high !== 0) return this.#absent(size);
    // Every processor sees its own local APIC at the same address.
    const apic = this.#apics[index]!;
    if (address >= APIC_BASE && address - apic.base < 0x1000 && apic.enabled) return apic.readMmio(address - apic.base, size) >>> 0;
    this.#pci.sync();
    return this.mmio.read(address, size);
  }

  writeMmio(cpu: number, low: number, high: number, size: number, value: number): void {
    const address = low >>> 0;
    const index = this.#index(cpu);
    this.#current = index;
    if (high !== 0) return;
    const apic = this.#apics[index]!;
    if (address >= APIC_BASE && address - apic.base < 0x1000 && apic.enabled) {
      if (size === 4) apic.writeMmio(address - apic.base, size, value >>> 0);
      return;
    }
    this.#pci.sync();
    this.mmio.write(address, size, value);
  }

  acknowledgeInterrupt(cpu: number): number {
    const index = this.#index(cpu);
    this.#current = index;
    const apic = this.#apics[index]!;
    const vector = apic.pending();
    if (vector >= 0) {
      apic.take(vector);
      return vector;
    }
    if (apic.acceptsExternal() && this.#pic.output()) return this.#pic.acknowledge();
    this.#update(index);
    return -1;
  }

  tsc(cpu: number): number {
    this.#current = this.#index(cpu);
    return Math.floor(this.#clock.now() * this.#tscPerNs);
  }

  taskPriority(cpu: number, value: number): void {
    this.#apics[this.#index(cpu)]!.taskPriority = value;
  }

  readTaskPriority(cpu: number): number {
    return this.#apics[this.#index(cpu)]!.taskPriority;
  }

  apicMsr(cpu: number, msr: number, low: number, high: number): void {
    const index = this.#index(cpu);
    this.#current = index;
    const apic = this.#apics[index]!;
    if (msr === 0x1b) {
      apic.setBase(low, high);
      return;
    }
    // The guest's TSC is the machine's plus an offset of 64 bits.
    const data = new DataView(this.#buffer);
    const offset = data.getBigInt64(this.#cpus[index]!.address + Cpu.offsets.tscOffset, true);
    const value = (high >>> 0) * 2 ** 32 + (low >>> 0);
    apic.setDeadline(value === 0 ? Infinity : Math.max(0, value - Number(offset)) / this.#tscPerNs);
  }

  note(cpu: number, text: string): void {
    this.#options.notify.note(this.#index(cpu), text);
  }

  // -- interrupts

  #line(line: number, level: boolean): void {
    if (line < 16 && line !== 2) this.#pic.setPin(line, level);
    // The timer is at pin 2, where the cascade would be.
    if (line < IOAPIC_PINS && line !== 2) this.#ioapic.setPin(line === 0 ? 2 : line, level);
  }

  #picOutput(level: boolean): void {
    if (level) for (const apic of this.#apics) apic.local0();
    for (let i = 0; i < this.vcpus; i++) this.#update(i);
  }

  #message(destination: number, logical: boolean, mode: number, vector: number, level: boolean): void {
    if (mode === DELIVERY_EXTINT) return; // the PIC reaches the processor through LINT0
    if (mode === DELIVERY_LOWEST) {
      let best: Apic | undefined;
      for (const apic of this.#apics)
        if (apic.matches(destination, logical) && (!best || apic.processorPriority < best.processorPriority)) best = apic;
      best?.accept(mode, vector, level);
      return;
    }
    for (const apic of this.#apics) if (apic.matches(destination, logical)) apic.accept(mode, vector, level);
  }

  #apicHost(): ApicHost {
    return {
      changed: (index) => this.#update(index),
      nmi: (index) => this.#raise(index, EVENT_NMI),
      init: (index) => this.#raise(index, EVENT_INIT),
      startup: (index, vector) => {
        this.#cpus[index]!.startupVector = vector;
        this.#raise(index, EVENT_STARTUP);
      },
      send: (from, shorthand, destination, logical, mode, vector, level) => {
        if (shorthand === 0) this.#message(destination, logical, mode, vector, level);
        else
          for (const apic of this.#apics)
            if ((apic.index === from) === (shorthand === 1) || shorthand === 2) apic.accept(mode, vector, level);
      },
      endOfInterrupt: (vector) => this.#ioapic.endOfInterrupt(vector),
      rearm: (index) => this.#clock.armed(this.#apics[index]!.deadline()),
    };
  }

  /** Tells a vCPU whether there is an interrupt for it. */
  #update(index: number): void {
    // Called while the board is being put together, before anything can be pending.
    const apic = this.#apics?.[index];
    if (!apic) return;
    if (apic.pending() >= 0 || (apic.acceptsExternal() && this.#pic.output())) this.#raise(index, EVENT_INTERRUPT);
    else Atomics.and(this.#events, this.#eventWord(index), ~EVENT_INTERRUPT);
  }

  #raise(index: number, event: number): void {
    const before = Atomics.or(this.#events, this.#eventWord(index), event);
    if (!(before & event)) this.#options.notify.wake?.(index);
  }

  #eventWord(index: number): number {
    return (CPUS + index * CPU_STRIDE + Cpu.offsets.event) >> 2;
  }

  /** The processor names a vCPU by the address of its state, the VMM by its index: no index is as large as an address. */
  #index(cpu: number): number {
    return cpu < CPUS ? cpu : ((cpu - CPUS) / CPU_STRIDE) | 0;
  }

  #absent(size: number): number {
    return size === 4 ? ALL_ONES : (1 << (8 * size)) - 1;
  }

  #addVirtio(place: number, model: VirtioModel, note: (text: string) => void): void {
    const slot = place + 2;
    const device = new VirtioPci(this.#buffer, this.places.virtio[place]!, slot, model, {
      memory: this.memory,
      line: this.#lines.source(intxInterrupt(slot)),
      mmio: this.mmio,
      msi: (low, _high, data) => {
        // SDM vol. 3A, 11.11: destination in bits 12..19, logical in bit 2.
        if ((low & 0xfff0_0000) >>> 0 !== APIC_BASE) return;
        this.#message((low >>> 12) & 0xff, (low & 4) !== 0, (data >> 8) & 7, data & 0xff, (data & 0x8000) !== 0);
      },
      note,
    });
    this.#virtio.push(device);
    this.#pci.add(device.function);
  }
}
