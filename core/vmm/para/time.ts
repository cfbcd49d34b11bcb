/**
 * A domain's time. System time is the guest's clock in nanoseconds, and its time-stamp counter is the same clock: so what a guest is told of time
 * (vcpu_time_info) never changes, and in a pause both stand still. All state is in machine memory.
 */
import type { Clock } from '../../bus/device.ts';
import { CPUS, Control, Cpu, PARA_SHARED_INFO, Para, ParaVcpu } from '../../state/index.ts';
import { EINVAL, ETIME, refuse } from './errno.ts';
import { type EventChannels, VIRQ_TIMER } from './events.ts';
import type { GuestMemory } from './guest-memory.ts';
import { Refusal } from './errno.ts';
import { SHARED_INFO, TIME_INFO, VCPU_INFO } from './shared.ts';

/** XEN_PVCLOCK_TSC_STABLE_BIT */
const TSC_STABLE = 1;
/** ticks * 2 * MUL / 2^32 nanoseconds: one a tick. */
const MUL = 0x8000_0000;
const SHIFT = 1;
/** Nanoseconds. A guest has a 100 Hz ticker until it says otherwise. */
const DEFAULT_PERIOD = 10_000_000;
const MIN_PERIOD = 1_000_000;
const MAX_PERIOD = 2 ** 50;
/** What lies further ahead is taken for a mistake, and fires soon: set_timer_op has it so for old guests. */
const FAR = 2 ** 50;
const SOON = 100_000_000;
/** Bytes of struct vcpu_runstate_info. */
const RUNSTATE_SIZE = 48;

/** Seconds that the vCPU waited for a processor, and that it was blocked, since the start. */
export interface Waited {
  readonly ready: number;
  readonly halted: number;
}

export interface TimeOptions {
  readonly buffer: ArrayBufferLike;
  readonly clock: Clock;
  /** Wall time at clock 0, milliseconds since 1970. */
  readonly startTime: number;
  readonly memory: GuestMemory;
  readonly events: EventChannels;
  /** Absent: never. */
  waited?(): Waited;
  /** A timer was set: the vCPU must not run beyond the nearest. */
  rearm(): void;
  /** A watchdog ran out. */
  watchdog(): void;
}

export class DomainTime {
  readonly #options: TimeOptions;
  readonly #para;
  readonly #vcpu;
  readonly #data: DataView;
  readonly #shared: number;
  readonly #runstateAddress: number;

  constructor(options: TimeOptions) {
    const { buffer } = options;
    this.#options = options;
    const control = Control.view(buffer, 0);
    this.#para = Para.view(buffer, control.para);
    const vcpu = CPUS + Cpu.offsets.para;
    this.#vcpu = ParaVcpu.view(buffer, vcpu);
    this.#data = new DataView(buffer);
    this.#shared = control.ram + PARA_SHARED_INFO * 4096;
    this.#runstateAddress = vcpu + ParaVcpu.offsets.runstateAddress;
  }

  now(): number {
    return this.#options.clock.now();
  }

  reset(): void {
    const vcpu = this.#vcpu;
    vcpu.singleshot = 0;
    vcpu.periodic = this.now() + DEFAULT_PERIOD;
    this.#para.period = DEFAULT_PERIOD;
    this.#para.watchdogs.fill(0);
    this.#para.polling = 0;
    this.#data.setBigUint64(this.#runstateAddress, 0n, true);
    vcpu.runstateSince = this.now();
    vcpu.runstateTime.fill(0);
    new Uint8Array(this.#options.buffer).set(new Uint8Array(this.timeInfo().buffer), this.#shared + SHARED_INFO.vcpuInfo + VCPU_INFO.time);
    this.#putWallClock();
  }

  /** struct vcpu_time_info. */
  timeInfo(): DataView {
    const data = new DataView(new ArrayBuffer(TIME_INFO.size));
    data.setUint32(TIME_INFO.version, 2, true);
    data.setUint32(TIME_INFO.mul, MUL, true);
    data.setInt8(TIME_INFO.shift, SHIFT);
    data.setUint8(TIME_INFO.flags, TSC_STABLE);
    return data;
  }

  // -- timers: each fires VIRQ_TIMER

  /** VCPUOP_set_singleshot_timer. `future`: refuse a time that has passed. */
  setSingleshot(time: number, future: boolean): void {
    const now = this.now();
    if (time <= now) {
      if (future) refuse(ETIME);
      this.#vcpu.singleshot = 0;
      return this.#options.events.sendVirq(VIRQ_TIMER);
    }
    this.#vcpu.singleshot = time;
    this.#options.rearm();
    return undefined;
  }

  stopSingleshot(): void {
    this.#vcpu.singleshot = 0;
  }

  /** set_timer_op: 0 stops it. */
  setTimer(time: bigint): void {
    if (time === 0n) return this.stopSingleshot();
    const now = this.now();
    const far = BigInt.asIntN(64, time) < 0n || Number(time) - now >= FAR;
    return this.setSingleshot(far ? now + SOON : Number(time), false);
  }

  setPeriodic(period: number): void {
    if (period < MIN_PERIOD || period > MAX_PERIOD) refuse(EINVAL);
    this.#para.period = period;
    this.#vcpu.periodic = this.now() + period;
    this.#options.rearm();
  }

  stopPeriodic(): void {
    this.#para.period = 0;
    this.#vcpu.periodic = 0;
  }

  /** SCHEDOP_watchdog: seconds. Returns its number. */
  setWatchdog(id: number, timeout: number): number {
    const { watchdogs } = this.#para;
    if (id > watchdogs.length) refuse(EINVAL);
    let index = id - 1;
    if (id === 0) {
      if (timeout === 0) refuse(EINVAL);
      index = Array.from({ length: watchdogs.length }, (_, i) => watchdogs.get(i)).indexOf(0);
      if (index < 0) refuse(EINVAL);
    } else if (watchdogs.get(index) === 0) refuse(EINVAL);
    watchdogs.set(index, timeout === 0 ? 0 : this.now() + timeout * 1e9);
    this.#options.rearm();
    return id === 0 ? index + 1 : 0;
  }

  /** The nearest of all; Infinity: none. */
  deadline(): number {
    const { singleshot, periodic } = this.#vcpu;
    const para = this.#para;
    let next = Infinity;
    if (singleshot !== 0 && singleshot < next) next = singleshot;
    if (periodic !== 0 && periodic < next) next = periodic;
    if (para.polling !== 0 && para.pollTimeout < next) next = para.pollTimeout;
    for (let i = 0; i < para.watchdogs.length; i++) {
      const time = para.watchdogs.get(i);
      if (time !== 0 && time < next) next = time;
    }
    return next;
  }

  /** Lets timers fire whose time has come. */
  tick(now: number): void {
    const vcpu = this.#vcpu;
    const para = this.#para;
    const { events } = this.#options;
    if (vcpu.singleshot !== 0 && vcpu.singleshot <= now) {
      vcpu.singleshot = 0;
      events.sendVirq(VIRQ_TIMER);
    }
    if (vcpu.periodic !== 0 && vcpu.periodic <= now) {
      const { period } = para;
      // Ticks that were missed are not made up for.
      vcpu.periodic += period * Math.ceil((now - vcpu.periodic + 1) / period);
      events.sendVirq(VIRQ_TIMER);
    }
    if (para.polling !== 0 && para.pollTimeout <= now) events.endPoll();
    for (let i = 0; i < para.watchdogs.length; i++) {
      const time = para.watchdogs.get(i);
      if (time === 0 || time > now) continue;
      para.watchdogs.set(i, 0);
      this.#options.watchdog();
    }
  }

  // -- where the vCPU's time went (vcpu.h): what it sees of itself, it sees while it runs

  /** VCPUOP_register_runstate_memory_area. */
  registerRunstate(address: bigint): void {
    this.#data.setBigUint64(this.#runstateAddress, address, true);
    this.#putRunstate();
  }

  /** The vCPU begins to run, perhaps after a wait: brings what the guest sees up to date. */
  update(): void {
    if (this.#data.getBigUint64(this.#runstateAddress, true) === 0n) return;
    const { ready, halted } = this.#waited();
    const { runstateTime } = this.#vcpu;
    if (ready === runstateTime.get(1) && halted === runstateTime.get(2)) return;
    this.#vcpu.runstateSince = this.now();
    this.#putRunstate();
  }

  /** struct vcpu_runstate_info, now. */
  runstate(): DataView {
    const now = this.now();
    const { ready, halted } = this.#waited();
    const { runstateTime } = this.#vcpu;
    runstateTime.set(0, Math.max(runstateTime.get(0), now - ready - halted));
    runstateTime.set(1, ready);
    runstateTime.set(2, halted);
    const data = new DataView(new ArrayBuffer(RUNSTATE_SIZE));
    data.setBigUint64(8, BigInt(Math.floor(this.#vcpu.runstateSince)), true);
    for (let i = 0; i < 4; i++) data.setBigUint64(16 + 8 * i, BigInt(Math.floor(runstateTime.get(i))), true);
    return data;
  }

  #waited(): Waited {
    const { ready, halted } = this.#options.waited?.() ?? { ready: 0, halted: 0 };
    return { ready: ready * 1e9, halted: halted * 1e9 };
  }

  #putRunstate(): void {
    try {
      this.#options.memory.write(this.#data.getBigUint64(this.#runstateAddress, true), this.runstate());
    } catch (error) {
      // The guest has unmapped it: its own loss.
      if (!(error instanceof Refusal)) throw error;
    }
  }

  /** Wall time at system time 0. */
  #putWallClock(): void {
    const data = this.#data;
    const at = this.#shared;
    const { startTime } = this.#options;
    const seconds = Math.floor(startTime / 1000);
    data.setUint32(at + SHARED_INFO.wcVersion, 2, true);
    data.setUint32(at + SHARED_INFO.wcSec, seconds >>> 0, true);
    data.setUint32(at + SHARED_INFO.wcSecHi, Math.floor(seconds / 2 ** 32), true);
    data.setUint32(at + SHARED_INFO.wcNsec, Math.floor((startTime - seconds * 1000) * 1e6), true);
  }
}
