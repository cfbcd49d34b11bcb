/** Local APIC (Intel SDM vol. 3A, chapter 11; xAPIC mode), one per vCPU. */
import type { Clock, Device, MmioDevice, Timed } from '../bus/device.ts';
import { struct } from '../state/struct.ts';

/** `registers` are those of the MMIO page, one every 16 bytes there. */
export const ApicState = struct('Apic', {
  registers: ['u32', 64],
  /** `Clock.now()` at which the count began, and at which it ends. */
  timerStart: 'f64',
  timerEnd: 'f64',
  /** IA32_APIC_BASE. */
  baseLow: 'u32',
  baseHigh: 'u32',
  pendingErrors: 'u32',
  reserved: 'u32',
});

export const APIC_BASE = 0xfee0_0000;
export const APIC_BASE_ENABLE = 0x800;
export const APIC_BASE_BSP = 0x100;
/** The timer counts at this rate before division. */
export const APIC_TIMER_HZ = 1e9;

// Register numbers: offset in the page / 16.
const ID = 0x02;
const VERSION = 0x03;
const TPR = 0x08;
const APR = 0x09;
const PPR = 0x0a;
const EOI = 0x0b;
const LDR = 0x0d;
const DFR = 0x0e;
const SVR = 0x0f;
const ISR = 0x10;
const TMR = 0x18;
const IRR = 0x20;
const ESR = 0x28;
const ICR_LOW = 0x30;
const ICR_HIGH = 0x31;
const LVT_TIMER = 0x32;
const LVT_THERMAL = 0x33;
const LVT_PERFORMANCE = 0x34;
const LVT_LINT0 = 0x35;
const LVT_LINT1 = 0x36;
const LVT_ERROR = 0x37;
const TIMER_INITIAL = 0x38;
const TIMER_CURRENT = 0x39;
const TIMER_DIVIDE = 0x3e;

const SVR_ENABLE = 0x100;
const SVR_EOI_BROADCAST_OFF = 0x1000;
const LVT_MASKED = 1 << 16;
const TIMER_MODE = 3 << 17;
const TIMER_PERIODIC = 1 << 17;
const TIMER_TSC_DEADLINE = 2 << 17;
const ERROR_SEND_ILLEGAL_VECTOR = 1 << 5;
const ERROR_RECEIVE_ILLEGAL_VECTOR = 1 << 6;
const ERROR_ILLEGAL_REGISTER = 1 << 7;
/** Version 0x14, 6 LVT entries, EOI-broadcast suppression. */
const VERSION_VALUE = 0x14 | (5 << 16) | (1 << 24);

export const DELIVERY_FIXED = 0;
export const DELIVERY_LOWEST = 1;
export const DELIVERY_SMI = 2;
export const DELIVERY_NMI = 4;
export const DELIVERY_INIT = 5;
export const DELIVERY_STARTUP = 6;
export const DELIVERY_EXTINT = 7;

/** What a local APIC asks of its surroundings. */
export interface ApicHost {
  /** Whether an interrupt can be taken may have changed. */
  changed(index: number): void;
  nmi(index: number): void;
  /** The vCPU goes back to its state after INIT and waits for a startup message. */
  init(index: number): void;
  startup(index: number, vector: number): void;
  /** An interprocessor interrupt; shorthand 0: by destination, 1: self, 2: all, 3: all but self. */
  send(from: number, shorthand: number, destination: number, logical: boolean, mode: number, vector: number, level: boolean): void;
  /** A level-triggered interrupt was ended. */
  endOfInterrupt(vector: number): void;
  /** A deadline may have come nearer. */
  rearm(index: number): void;
}

const WRITABLE_LVT: Readonly<Record<number, number>> = {
  [LVT_TIMER]: 0x7_00ff,
  [LVT_THERMAL]: 0x1_07ff,
  [LVT_PERFORMANCE]: 0x1_07ff,
  [LVT_LINT0]: 0x1_a7ff,
  [LVT_LINT1]: 0x1_a7ff,
  [LVT_ERROR]: 0x1_00ff,
};

export class Apic implements Device, MmioDevice, Timed {
  readonly name = 'APIC';
  readonly index: number;
  readonly #r: Uint32Array;
  readonly #s;
  readonly #clock: Clock;
  readonly #host: ApicHost;

  constructor(buffer: ArrayBufferLike, address: number, index: number, clock: Clock, host: ApicHost) {
    this.#s = ApicState.view(buffer, address);
    this.#r = new Uint32Array(buffer, address, 64);
    this.index = index;
    this.#clock = clock;
    this.#host = host;
  }

  /** Power-on. The first vCPU's LINT0 is left as firmware leaves it: ExtINT, so that the PIC reaches it (virtual wire mode, MP 1.4, 3.6.2.2). */
  reset(): void {
    this.#s.baseLow = APIC_BASE + APIC_BASE_ENABLE + (this.index === 0 ? APIC_BASE_BSP : 0);
    this.#s.baseHigh = 0;
    this.init();
    this.#r[ID] = this.index << 24;
    if (this.index === 0) {
      this.#r[SVR] = 0x1ff;
      this.#r[LVT_LINT0] = DELIVERY_EXTINT << 8;
      this.#r[LVT_LINT1] = DELIVERY_NMI << 8;
    }
    this.#host.changed(this.index);
  }

  /** The state after INIT: everything but the ID and the base (SDM 11.4.7.3). */
  init(): void {
    const id = this.#r[ID]!;
    this.#r.fill(0);
    this.#r[ID] = id;
    this.#r[VERSION] = VERSION_VALUE;
    this.#r[DFR] = 0xffff_ffff;
    this.#r[SVR] = 0xff;
    for (let i = LVT_TIMER; i <= LVT_ERROR; i++) this.#r[i] = LVT_MASKED;
    this.#s.timerStart = 0;
    this.#s.timerEnd = Infinity;
    this.#s.pendingErrors = 0;
    this.#host.changed(this.index);
  }

  /** IA32_APIC_BASE was written. */
  setBase(low: number, high: number): void {
    const enabled = this.enabled;
    this.#s.baseLow = low >>> 0;
    this.#s.baseHigh = high >>> 0;
    if (enabled && !this.enabled) this.init();
    this.#host.changed(this.index);
  }

  /** By IA32_APIC_BASE: without it the processor behaves as if it had no APIC. */
  get enabled(): boolean {
    return (this.#s.baseLow & APIC_BASE_ENABLE) !== 0;
  }

  /** Guest-physical address of the page. */
  get base(): number {
    return (this.#s.baseLow & 0xffff_f000) >>> 0;
  }

  get id(): number {
    return this.#r[ID]! >>> 24;
  }

  /** Whether a message to `destination` is for this one (SDM 11.6.2). */
  matches(destination: number, logical: boolean): boolean {
    if (!this.enabled) return false;
    if (destination === 0xff) return true;
    if (!logical) return destination === this.id;
    const mine = this.#r[LDR]! >>> 24;
    if (this.#r[DFR]! >>> 28 === 0xf) return (mine & destination) !== 0;
    return mine >>> 4 === destination >>> 4 && (mine & destination & 15) !== 0;
  }

  get softwareEnabled(): boolean {
    return this.enabled && (this.#r[SVR]! & SVR_ENABLE) !== 0;
  }

  /** The priority class and subclass that arbitration for lowest-priority delivery compares. */
  get processorPriority(): number {
    const tpr = this.#r[TPR]! & 0xff;
    const served = this.#highest(ISR);
    const isrv = served < 0 ? 0 : served;
    return tpr >>> 4 >= isrv >>> 4 ? tpr : isrv & 0xf0;
  }

  /** A message for this APIC arrived. */
  accept(mode: number, vector: number, level: boolean): void {
    switch (mode) {
      case DELIVERY_FIXED:
      case DELIVERY_LOWEST:
        if (!this.softwareEnabled) return;
        if (vector < 16) {
          this.#error(ERROR_RECEIVE_ILLEGAL_VECTOR);
          return;
        }
        this.#set(IRR, vector);
        if (level) this.#set(TMR, vector);
        else this.#clear(TMR, vector);
        this.#host.changed(this.index);
        return;
      case DELIVERY_NMI:
        this.#host.nmi(this.index);
        return;
      case DELIVERY_INIT:
        this.init();
        this.#host.init(this.index);
        return;
      case DELIVERY_STARTUP:
        this.#host.startup(this.index, vector);
        return;
    }
  }

  /** The vector that the processor should take now, or -1. */
  pending(): number {
    if (!this.softwareEnabled) return -1;
    const vector = this.#highest(IRR);
    return vector >= 0 && vector >>> 4 > this.processorPriority >>> 4 ? vector : -1;
  }

  /** The processor takes it. */
  take(vector: number): void {
    this.#clear(IRR, vector);
    this.#set(ISR, vector);
    this.#host.changed(this.index);
  }

  /** Whether the PIC's request reaches this processor. */
  acceptsExternal(): boolean {
    if (!this.enabled) return this.index === 0;
    const lvt = this.#r[LVT_LINT0]!;
    return !(lvt & LVT_MASKED) && ((lvt >>> 8) & 7) === DELIVERY_EXTINT;
  }

  /** The PIC's output, wired to LINT0, went high: matters where LINT0 is programmed as an ordinary interrupt. */
  local0(): void {
    const lvt = this.#r[LVT_LINT0]!;
    if (!this.enabled || lvt & LVT_MASKED) return;
    const mode = (lvt >>> 8) & 7;
    if (mode !== DELIVERY_EXTINT) this.accept(mode, lvt & 0xff, false);
  }

  /** CR8. */
  get taskPriority(): number {
    return (this.#r[TPR]! & 0xff) >>> 4;
  }

  set taskPriority(value: number) {
    this.#r[TPR] = (value & 15) << 4;
    this.#host.changed(this.index);
  }

  // -- timer

  deadline(): number {
    return this.#s.timerEnd;
  }

  tick(now: number): void {
    const end = this.#s.timerEnd;
    if (now < end) return;
    const lvt = this.#r[LVT_TIMER]!;
    if ((lvt & TIMER_MODE) === TIMER_PERIODIC) {
      const period = this.#period();
      // Periods that went by unseen are one interrupt: the bit in IRR is set once.
      const missed = Math.floor((now - end) / period);
      this.#s.timerStart = end + missed * period;
      this.#s.timerEnd = this.#s.timerStart + period;
    } else {
      this.#s.timerEnd = Infinity;
    }
    if (!(lvt & LVT_MASKED)) this.accept(DELIVERY_FIXED, lvt & 0xff, false);
  }

  /** Whether IA32_TSC_DEADLINE works now; otherwise writes to it are ignored and it reads as 0. */
  get deadlineMode(): boolean {
    return (this.#r[LVT_TIMER]! & TIMER_MODE) === TIMER_TSC_DEADLINE;
  }

  /** IA32_TSC_DEADLINE was written: `at` is the clock time it means, Infinity disarms. */
  setDeadline(at: number): void {
    if (!this.deadlineMode) return;
    this.#s.timerEnd = at;
    this.#host.rearm(this.index);
  }

  #divisor(): number {
    const d = this.#r[TIMER_DIVIDE]!;
    return 1 << ((((d & 3) | ((d >> 1) & 4)) + 1) & 7);
  }

  #period(): number {
    return (this.#r[TIMER_INITIAL]! * this.#divisor() * 1e9) / APIC_TIMER_HZ;
  }

  #currentCount(): number {
    const end = this.#s.timerEnd;
    const now = this.#clock.now();
    if (this.deadlineMode || end === Infinity || now >= end) return 0;
    return Math.ceil((end - now) / ((this.#divisor() * 1e9) / APIC_TIMER_HZ));
  }

  // -- MMIO

  readMmio(offset: number, size: number): number {
    const n = offset >> 4;
    // Registers are 32 bits wide and aligned to 16 bytes; parts of one read as such, the space between as zero.
    const within = offset & 15;
    if (within > 3) return 0;
    const value = this.#read(n);
    if (size === 4) return value;
    return (value >>> (8 * within)) & ((1 << (8 * size)) - 1);
  }

  #read(n: number): number {
    switch (n) {
      case APR:
      case PPR:
        return this.processorPriority;
      case EOI:
        return 0;
      case TIMER_CURRENT:
        return this.#currentCount();
      default:
        if (n < ID || n > 0x3f) this.#error(ERROR_ILLEGAL_REGISTER);
        return this.#r[n & 63]!;
    }
  }

  writeMmio(offset: number, _size: number, value: number): void {
    if (offset & 15) return;
    const r = this.#r;
    const n = offset >> 4;
    switch (n) {
      case ID:
        r[ID] = value & 0xff00_0000;
        return;
      case TPR:
        r[TPR] = value & 0xff;
        this.#host.changed(this.index);
        return;
      case EOI:
        this.#endOfInterrupt();
        return;
      case LDR:
        r[LDR] = value & 0xff00_0000;
        return;
      case DFR:
        r[DFR] = value | 0x0fff_ffff;
        return;
      case SVR:
        r[SVR] = value & (0x1ff | SVR_EOI_BROADCAST_OFF);
        if (!(value & SVR_ENABLE)) for (let i = LVT_TIMER; i <= LVT_ERROR; i++) r[i]! |= LVT_MASKED;
        this.#host.changed(this.index);
        return;
      case ESR:
        // A write makes the errors since the last one visible (SDM 11.5.3).
        r[ESR] = this.#s.pendingErrors;
        this.#s.pendingErrors = 0;
        return;
      case ICR_LOW:
        r[ICR_LOW] = value & 0xc_cfff;
        this.#command(value);
        return;
      case ICR_HIGH:
        r[ICR_HIGH] = value & 0xff00_0000;
        return;
      case LVT_TIMER:
        this.#setTimerMode(value);
        return;
      case LVT_THERMAL:
      case LVT_PERFORMANCE:
      case LVT_LINT0:
      case LVT_LINT1:
      case LVT_ERROR:
        r[n] = this.#lvt(n, value);
        this.#host.changed(this.index);
        return;
      case TIMER_INITIAL:
        if (this.deadlineMode) return;
        r[TIMER_INITIAL] = value;
        this.#start();
        return;
      case TIMER_DIVIDE: {
        const left = this.#currentCount();
        r[TIMER_DIVIDE] = value & 0xb;
        if (left > 0) {
          this.#s.timerEnd = this.#clock.now() + left * this.#divisor();
          this.#host.rearm(this.index);
        }
        return;
      }
    }
  }

  #lvt(n: number, value: number): number {
    return (value & WRITABLE_LVT[n]!) | (this.#r[SVR]! & SVR_ENABLE ? 0 : LVT_MASKED);
  }

  #setTimerMode(value: number): void {
    const before = this.#r[LVT_TIMER]! & TIMER_MODE;
    this.#r[LVT_TIMER] = this.#lvt(LVT_TIMER, value);
    const after = value & TIMER_MODE;
    // Changing to or from deadline mode disarms the timer (SDM 11.5.4.1).
    if (before !== after && (before === TIMER_TSC_DEADLINE || after === TIMER_TSC_DEADLINE)) {
      this.#s.timerEnd = Infinity;
      this.#r[TIMER_INITIAL] = 0;
    }
  }

  #start(): void {
    const now = this.#clock.now();
    this.#s.timerStart = now;
    this.#s.timerEnd = this.#r[TIMER_INITIAL] === 0 ? Infinity : now + this.#period();
    this.#host.rearm(this.index);
  }

  #endOfInterrupt(): void {
    const vector = this.#highest(ISR);
    if (vector < 0) return;
    this.#clear(ISR, vector);
    if (this.#test(TMR, vector) && !(this.#r[SVR]! & SVR_EOI_BROADCAST_OFF)) this.#host.endOfInterrupt(vector);
    this.#host.changed(this.index);
  }

  #command(value: number): void {
    const mode = (value >> 8) & 7;
    const vector = value & 0xff;
    // INIT level de-assert does nothing on these processors (SDM 11.6.1).
    if (mode === DELIVERY_INIT && !(value & (1 << 14)) && value & (1 << 15)) return;
    if ((mode === DELIVERY_FIXED || mode === DELIVERY_LOWEST) && vector < 16) {
      this.#error(ERROR_SEND_ILLEGAL_VECTOR);
      return;
    }
    this.#host.send(this.index, (value >> 18) & 3, this.#r[ICR_HIGH]! >>> 24, (value & (1 << 11)) !== 0, mode, vector, false);
  }

  #error(bit: number): void {
    this.#s.pendingErrors |= bit;
    const lvt = this.#r[LVT_ERROR]!;
    // Through the bits themselves: a bad vector here must not raise another error.
    if (!(lvt & LVT_MASKED) && (lvt & 0xff) >= 16 && this.softwareEnabled) {
      this.#set(IRR, lvt & 0xff);
      this.#clear(TMR, lvt & 0xff);
      this.#host.changed(this.index);
    }
  }

  #set(bank: number, vector: number): void {
    this.#r[bank + (vector >> 5)]! |= 1 << (vector & 31);
  }

  #clear(bank: number, vector: number): void {
    this.#r[bank + (vector >> 5)]! &= ~(1 << (vector & 31));
  }

  #test(bank: number, vector: number): boolean {
    return (this.#r[bank + (vector >> 5)]! & (1 << (vector & 31))) !== 0;
  }

  #highest(bank: number): number {
    for (let i = 7; i >= 0; i--) {
      const word = this.#r[bank + i]!;
      if (word !== 0) return i * 32 + 31 - Math.clz32(word);
    }
    return -1;
  }
}
