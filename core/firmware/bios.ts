/** BIOS services for 16-bit code: short stubs in ROM that write to a private port, behind which the work is done here. */
import type { GuestMemory } from '../bus/device.ts';
import { SS } from '../state/cpu.ts';
import { ACPI_SIZE, EBDA, HIGH_RAM, type RamSize, memoryMap } from './map.ts';
import { type CpuView, RAX, RBX, RCX, RDI, RDX, RSP } from './state.ts';
import type { BootTarget } from './target.ts';

/** One port a service, in the order of SERVICES. */
export const BIOS_PORT = 0xa8;
const SERVICES = [0x10, 0x11, 0x12, 0x13, 0x15, 0x16, 0x1a] as const;
export const BIOS_PORTS = SERVICES.length;

const SEGMENT = 0xf000;
const STUBS = 0xe000;
const IRET_STUB = 0xff53;
const TICK = 0xfea5;
const EOI_MASTER = 0xfec0;
const EOI_BOTH = 0xfed0;
const RESET = 0xe0c0;
const BDA = 0x400;

const CARRY = 0x01;
const ZERO = 0x40;

/** Writes interrupt vectors, BIOS data area and ROM; for 16-bit systems also sets the interrupt controllers and the timer up. */
export function installBios(target: BootTarget, real: boolean): void {
  const { memory } = target;
  const rom = (offset: number, ...bytes: number[]): void => memory.write(SEGMENT * 16 + offset, Uint8Array.from(bytes));
  const vector = (n: number, offset: number): void => memory.write32(4 * n, ((SEGMENT << 16) | offset) >>> 0);

  rom(IRET_STUB, 0xcf);
  SERVICES.forEach((_, i) => rom(STUBS + 4 * i, 0xe6, BIOS_PORT + i, 0xcf)); // out imm8, al; iret
  // push ds; push ax; mov ax, 0x40; mov ds, ax; inc dword [0x6c]; mov al, 0x20; out 0x20, al; pop ax; pop ds; iret
  rom(TICK, 0x1e, 0x50, 0xb8, 0x40, 0x00, 0x8e, 0xd8, 0x66, 0xff, 0x06, 0x6c, 0x00, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0x1f, 0xcf);
  rom(EOI_MASTER, 0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf);
  rom(EOI_BOTH, 0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf);
  // mov dx, 0xcf9; mov al, 6; out dx, al; hlt; jmp to the hlt
  rom(RESET, 0xba, 0xf9, 0x0c, 0xb0, 0x06, 0xee, 0xf4, 0xeb, 0xfd);
  rom(0xfff0, 0xea, RESET & 0xff, RESET >> 8, SEGMENT & 0xff, SEGMENT >> 8);
  rom(0xfff5, ...new TextEncoder().encode('01/01/26'));
  rom(0xfffe, 0xfc);

  for (let n = 0; n < 256; n++) vector(n, IRET_STUB);
  SERVICES.forEach((n, i) => vector(n, STUBS + 4 * i));
  vector(0x08, TICK);
  for (let n = 0x09; n < 0x10; n++) vector(n, EOI_MASTER);
  for (let n = 0x70; n < 0x78; n++) vector(n, EOI_BOTH);

  memory.write(BDA, new Uint8Array(0x100));
  [0x3f8, 0x2f8, 0x3e8, 0x2e8].slice(0, target.serials).forEach((port, i) => memory.write16(BDA + 2 * i, port));
  memory.write16(BDA + 0x0e, EBDA >> 4);
  memory.write16(BDA + 0x10, EQUIPMENT | (target.serials << 9));
  memory.write16(BDA + 0x13, EBDA >> 10);
  memory.write16(BDA + 0x49, 0x5003); // video mode 3, 80 columns
  memory.write16(BDA + 0x63, 0x3d4);
  memory.write8(EBDA, 1); // its size in KiB

  // The interrupt controllers as a BIOS leaves them: vectors 0x08 and 0x70.
  const init = (base: number, first: number, cascade: number, mask: number): void => {
    target.writePort(base, 0x11);
    target.writePort(base + 1, first);
    target.writePort(base + 1, cascade);
    target.writePort(base + 1, 0x01);
    target.writePort(base + 1, mask);
  };
  // Only 16-bit systems rely on the BIOS's interrupt handlers; others would find theirs missing.
  init(0x20, 0x08, 0x04, real ? 0xfa : 0xff);
  init(0xa0, 0x70, 0x02, 0xff);
  // PCI's interrupts and the SCI are level-triggered.
  target.writePort(0x4d1, 0x0e);
  if (real) {
    target.writePort(0x43, 0x36);
    target.writePort(0x40, 0);
    target.writePort(0x40, 0);
  }
}

/** Coprocessor, 80x25 colour, PS/2 mouse. */
const EQUIPMENT = 0x26;

/** Serves the private ports. */
export class BiosServices {
  readonly #memory: GuestMemory;
  readonly #ram: RamSize;
  readonly #current: () => CpuView;
  readonly #wallTime: () => number;

  /** `current` is the vCPU that does the access; `wallTime` milliseconds since the epoch, as the guest sees it. */
  constructor(memory: GuestMemory, ram: RamSize, current: () => CpuView, wallTime: () => number) {
    this.#memory = memory;
    this.#ram = ram;
    this.#current = current;
    this.#wallTime = wallTime;
  }

  readPort(): number {
    return 0xff;
  }

  writePort(port: number): void {
    const cpu = this.#current();
    // Only the stubs may call: anyone else would have registers and stack changed under them.
    if (cpu.cr0 % 2 === 1 || cpu.segments[1]!.base !== SEGMENT * 16) return;
    switch (SERVICES[port - BIOS_PORT]) {
      case 0x10:
        return this.#video(cpu);
      case 0x11:
        return setLow(cpu, RAX, this.#memory.read16(BDA + 0x10));
      case 0x12:
        return setLow(cpu, RAX, EBDA >> 10);
      case 0x13:
        setHigh8(cpu, RAX, 0x01);
        return this.#flags(cpu, CARRY, CARRY);
      case 0x15:
        return this.#system(cpu);
      case 0x16:
        return this.#keyboard(cpu);
      case 0x1a:
        return this.#time(cpu);
    }
  }

  /** Changes flags in the image that IRET will pop. */
  #flags(cpu: CpuView, mask: number, value: number): void {
    const at = cpu.segments[SS]!.base + ((cpu.gpr.get(RSP) + 4) & 0xffff);
    this.#memory.write16(at, (this.#memory.read16(at) & ~mask) | value);
  }

  #video(cpu: CpuView): void {
    const ax = low(cpu, RAX);
    switch (ax >> 8) {
      case 0x03: // cursor
        setLow(cpu, RCX, 0x0607);
        setLow(cpu, RDX, 0);
        return;
      case 0x0f: // mode 3, 80 columns, page 0
        setLow(cpu, RAX, 0x5003);
        setLow(cpu, RBX, low(cpu, RBX) & 0xff);
        return;
      case 0x4f: // no VBE
        setLow(cpu, RAX, 0x0100);
    }
  }

  #system(cpu: CpuView): void {
    const eax = cpu.gpr.get(RAX) % 2 ** 32;
    const { ramLow } = this.#ram;
    const done = (): void => this.#flags(cpu, CARRY, 0);
    switch (eax & 0xffff) {
      case 0xe820: {
        if (cpu.gpr.get(RDX) % 2 ** 32 !== 0x534d_4150 || low(cpu, RCX) < 20) break;
        const map = memoryMap(this.#ram);
        const i = low(cpu, RBX);
        const range = map[i];
        if (!range) break;
        const at = cpu.segments[0]!.base + low(cpu, RDI);
        this.#memory.write64(at, range.base);
        this.#memory.write64(at + 8, range.length);
        this.#memory.write32(at + 16, range.type);
        cpu.gpr.set(RAX, 0x534d_4150);
        cpu.gpr.set(RCX, 20);
        cpu.gpr.set(RBX, i + 1 < map.length ? i + 1 : 0);
        return done();
      }
      case 0xe801: {
        const end = Math.min(ramLow - ACPI_SIZE, HIGH_RAM);
        const kib = Math.min(0x3c00, (end - 0x10_0000) >>> 10);
        const blocks = Math.max(0, Math.floor((end - 0x100_0000) / 0x10000));
        setLow(cpu, RAX, kib);
        setLow(cpu, RCX, kib);
        setLow(cpu, RBX, blocks);
        setLow(cpu, RDX, blocks);
        return done();
      }
      case 0x2400:
      case 0x2401:
        setHigh8(cpu, RAX, 0);
        return done();
      case 0x2402:
        setLow(cpu, RAX, 1);
        return done();
      case 0x2403:
        setHigh8(cpu, RAX, 0);
        setLow(cpu, RBX, 3);
        return done();
    }
    if ((eax >> 8) % 256 === 0x88) {
      setLow(cpu, RAX, Math.min(0xfc00, (ramLow - ACPI_SIZE - 0x10_0000) >>> 10));
      return done();
    }
    setHigh8(cpu, RAX, 0x86);
    this.#flags(cpu, CARRY, CARRY);
  }

  /** Nobody types. */
  #keyboard(cpu: CpuView): void {
    const ah = low(cpu, RAX) >> 8;
    if (ah === 0x01 || ah === 0x11) this.#flags(cpu, ZERO, ZERO);
    else if (ah === 0x02 || ah === 0x12 || ah === 0x00 || ah === 0x10) setLow(cpu, RAX, 0);
  }

  #time(cpu: CpuView): void {
    const ah = low(cpu, RAX) >> 8;
    const date = new Date(this.#wallTime());
    const bcd = (value: number): number => (Math.floor(value / 10) << 4) | (value % 10);
    switch (ah) {
      case 0x00: {
        const ticks = this.#memory.read32(BDA + 0x6c);
        setLow(cpu, RCX, ticks >>> 16);
        setLow(cpu, RDX, ticks & 0xffff);
        setLow(cpu, RAX, ah << 8);
        return;
      }
      case 0x02:
        setLow(cpu, RCX, (bcd(date.getUTCHours()) << 8) | bcd(date.getUTCMinutes()));
        setLow(cpu, RDX, bcd(date.getUTCSeconds()) << 8);
        return this.#flags(cpu, CARRY, 0);
      case 0x04:
        setLow(cpu, RCX, (bcd(Math.floor(date.getUTCFullYear() / 100)) << 8) | bcd(date.getUTCFullYear() % 100));
        setLow(cpu, RDX, (bcd(date.getUTCMonth() + 1) << 8) | bcd(date.getUTCDate()));
        return this.#flags(cpu, CARRY, 0);
      default:
        setHigh8(cpu, RAX, 0x81);
        this.#flags(cpu, CARRY, CARRY);
    }
  }
}

const low = (cpu: CpuView, register: number): number => cpu.gpr.get(register) % 0x1_0000;

function setLow(cpu: CpuView, register: number, value: number): void {
  const before = cpu.gpr.get(register);
  cpu.gpr.set(register, before - (before % 0x1_0000) + (value & 0xffff));
}

function setHigh8(cpu: CpuView, register: number, value: number): void {
  setLow(cpu, register, (low(cpu, register) & 0xff) | (value << 8));
}
