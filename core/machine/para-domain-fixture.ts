/** For tests: a domain on a machine's memory without a processor. Its kernel has all of RAM mapped where RAM begins, and can write the frames of its own. */
import { ManualClock, SteadyClock } from '../bus/clock.ts';
import { Ring, ringSize } from '../bus/ring.ts';
import { createMachine } from './create.ts';
import { CPUS, Control, Cpu, EVENT_KICK, PAGE, PARA_GUEST, PARA_SHARED_INFO, Para, ParaVcpu } from '../state/index.ts';
import { parseCpu } from '../spec/models.ts';
import { Domain } from '../vmm/para/domain.ts';
import { HYPERCALL_ROWS } from '../vmm/para/rows.ts';
import { SHARED_INFO, VCPU_INFO } from '../vmm/para/shared.ts';
import type { Waited } from '../vmm/para/time.ts';

export const CONSOLE_FRAME = PARA_GUEST + 2;
/** A frame for arguments. */
export const ARGUMENTS = PARA_GUEST + 8;

export interface DomainFixtureOptions {
  readonly batching?: boolean;
  readonly outputSize?: number;
}

export class DomainFixture {
  readonly clock = new ManualClock(1000);
  readonly steady: SteadyClock;
  readonly buffer: ArrayBufferLike;
  readonly domain: Domain;
  readonly data: DataView;
  readonly para;
  readonly vcpu;
  readonly cpu;
  readonly output: Ring;
  readonly input: Ring;
  /** SHUTDOWN_* that the machine was told. */
  readonly ended: number[] = [];
  /** Frames with a reference as memory that is written. */
  readonly held: number[] = [];
  readonly free: number[] = [];
  waited: Waited = { ready: 0, halted: 0 };
  notified = 0;
  /** Linear addresses of pages that the kernel has not mapped. */
  readonly unmapped = new Set<bigint>();
  readonly #numbers = new Map(HYPERCALL_ROWS.map(({ name, number }) => [name, number]));

  constructor({ batching = true, outputSize = 4096 }: DomainFixtureOptions = {}) {
    const { memory } = createMachine({ memoryMiB: 4, vcpus: 1, cpu: parseCpu(''), para: { batching, asynchrony: false } });
    this.buffer = memory.buffer;
    this.data = new DataView(this.buffer);
    const control = Control.view(this.buffer, 0);
    this.para = Para.view(this.buffer, control.para);
    this.cpu = Cpu.view(this.buffer, CPUS);
    this.vcpu = this.cpu.para;
    const rings = new SharedArrayBuffer(2 * ringSize(65_536));
    this.output = new Ring(rings, 0, outputSize);
    this.input = new Ring(rings, ringSize(65_536), 4096);
    this.output.reset();
    this.input.reset();
    this.para.consoleFrame = CONSOLE_FRAME;
    this.para.storeFrame = PARA_GUEST + 1;
    this.para.totalPages = this.para.maxPages = this.para.guestFrames;
    this.vcpu.info = PARA_SHARED_INFO * PAGE;
    this.steady = new SteadyClock(this.clock, new SharedArrayBuffer(8), 0, () => (this.cpu.event |= EVENT_KICK));
    this.domain = new Domain({
      buffer: this.buffer,
      clock: this.steady,
      startTime: 1_700_000_000_250,
      output: this.output,
      input: this.input,
      outputNotify: () => void this.notified++,
      waited: () => this.waited,
      ended: (reason) => void this.ended.push(reason),
    });
    const isGuests = (frame: number): boolean => frame >= PARA_GUEST && frame < this.para.m2p;
    this.domain.connect({
      guestAddress: (_cpu, low, high, write) => {
        const linear = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
        const frame = Number(linear >> 12n);
        if (this.unmapped.has(linear & ~0xfffn) || frame >= this.para.frames || (write !== 0 && !isGuests(frame))) return 0;
        return control.ram + Number(linear);
      },
      getPageType: (_cpu, frame) => {
        if (!isGuests(frame)) return 0;
        this.held.push(frame);
        return 1;
      },
      putPageType: (_cpu, frame) => void this.held.splice(this.held.indexOf(frame), 1),
      releaseFrame: (_cpu, frame) => {
        if (!isGuests(frame) || this.free.includes(frame)) return -22;
        this.free.push(frame);
        return 0;
      },
      allocateFrame: () => this.free.pop() ?? 0,
      invalidateCode: () => {},
    });
    this.domain.reset();
    this.advance();
    // What a guest's kernel does first.
    this.sharedBytes(SHARED_INFO.vcpuInfo + VCPU_INFO.upcallMask)[0] = 1;
  }

  /** A hypercall by name; pointers are linear addresses. */
  call(name: string, ...args: (number | bigint)[]): number {
    return this.callNumber(this.#numbers.get(name)!, ...args);
  }

  callNumber(number: number, ...args: (number | bigint)[]): number {
    const at = CPUS + Cpu.offsets.para;
    for (let i = 0; i < 6; i++) this.data.setBigUint64(at + ParaVcpu.offsets.args + 8 * i, BigInt.asUintN(64, BigInt(args[i] ?? 0)), true);
    this.domain.hypercall(number);
    return Number(this.data.getBigInt64(at + ParaVcpu.offsets.result, true));
  }

  /** One whose arguments stand in memory: words of 32 bits, or bigints of 64. Returns what it comes to. */
  operate(name: string, command: number, words: readonly (number | bigint)[] = [], at = ARGUMENTS * PAGE): number {
    this.put(words, at);
    return this.call(name, command, at);
  }

  /** Words of 32 bits (numbers) and 64 (bigints) one after the other. */
  put(words: readonly (number | bigint)[], at = ARGUMENTS * PAGE): void {
    let offset = this.ram + at;
    for (const word of words) {
      if (typeof word === 'bigint') this.data.setBigUint64(offset, BigInt.asUintN(64, word), true);
      else this.data.setUint32(offset, word >>> 0, true);
      offset += typeof word === 'bigint' ? 8 : 4;
    }
  }

  u32(offset = 0, at = ARGUMENTS * PAGE): number {
    return this.data.getUint32(this.ram + at + offset, true);
  }

  u64(offset = 0, at = ARGUMENTS * PAGE): bigint {
    return this.data.getBigUint64(this.ram + at + offset, true);
  }

  get ram(): number {
    return Control.view(this.buffer, 0).ram;
  }

  frame(frame: number): Uint8Array {
    return new Uint8Array(this.buffer, this.ram + frame * PAGE, PAGE);
  }

  sharedBytes(offset: number): Uint8Array {
    return this.frame(PARA_SHARED_INFO).subarray(offset);
  }

  /** Ports that are pending; they are not any more. */
  take(): number[] {
    const pending = this.sharedBytes(SHARED_INFO.pending);
    const ports: number[] = [];
    for (let port = 0; port < 4096; port++) if (((pending[port >> 3]! >> (port & 7)) & 1) !== 0) ports.push(port);
    pending.fill(0, 0, 512);
    this.info.fill(0, 0, 1);
    this.info.fill(0, 8, 16);
    return ports;
  }

  setMask(port: number, on: boolean): void {
    const mask = this.sharedBytes(SHARED_INFO.mask);
    if (on) mask[port >> 3]! |= 1 << (port & 7);
    else mask[port >> 3]! &= ~(1 << (port & 7));
  }

  /** struct vcpu_info, where it is now. */
  get info(): Uint8Array {
    return new Uint8Array(this.buffer, this.ram + this.vcpu.info, VCPU_INFO.size);
  }

  /** Time passes, and the machine looks up. */
  advance(nanoseconds = 0): void {
    this.domain.advance(this.clock.advance(nanoseconds));
  }

  get halted(): boolean {
    return this.data.getUint32(CPUS + Cpu.offsets.halted, true) !== 0;
  }
}
