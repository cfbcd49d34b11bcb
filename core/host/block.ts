/** The words through which the host's main thread and its pCPU threads speak while a vCPU runs, when messages would not be read. */
import { ACCOUNT_SIZE, Account } from '../vmm/account.ts';

/** Requests to a VM, bits of one word. PAUSE stays set while the VM must not run; the others are taken (and cleared) by the pCPU. */
export const REQUEST_PAUSE = 1;
export const REQUEST_POWER_BUTTON = 2;

const HEADER = 64;
const REQUESTS = 0;
const OUTPUT = 1;
/** Int32 index. */
const PCPU = 6;
/** Float64 index. */
const EPOCH = 2;

/** Shared by everyone who handles one running VM. */
export class VmBlock {
  readonly buffer: SharedArrayBuffer;
  readonly accounts: readonly Account[];
  readonly #words: Int32Array;
  readonly #times: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, HEADER / 4);
    this.#times = new Float64Array(buffer, 0, HEADER / 8);
    const vcpus = Math.floor((buffer.byteLength - HEADER) / ACCOUNT_SIZE);
    this.accounts = Array.from({ length: vcpus }, (_, i) => new Account(buffer, HEADER + i * ACCOUNT_SIZE));
  }

  static create(vcpus: number): VmBlock {
    return new VmBlock(new SharedArrayBuffer(HEADER + vcpus * ACCOUNT_SIZE));
  }

  request(bit: number): void {
    Atomics.or(this.#words, REQUESTS, bit);
  }

  withdraw(bit: number): void {
    Atomics.and(this.#words, REQUESTS, ~bit);
  }

  has(bit: number): boolean {
    return (Atomics.load(this.#words, REQUESTS) & bit) !== 0;
  }

  /** Takes a request: true if it was there. */
  take(bit: number): boolean {
    return (Atomics.and(this.#words, REQUESTS, ~bit) & bit) !== 0;
  }

  /** There is output to be drained: true if nobody had said so yet. */
  markOutput(): boolean {
    return Atomics.exchange(this.#words, OUTPUT, 1) === 0;
  }

  clearOutput(): void {
    Atomics.store(this.#words, OUTPUT, 0);
  }

  /** The pCPU that has the VM's vCPU now; -1: none. For other threads, to wake it. */
  get pcpu(): number {
    return Atomics.load(this.#words, PCPU) - 1;
  }

  set pcpu(index: number) {
    Atomics.store(this.#words, PCPU, index + 1);
  }

  /** Milliseconds of the common clock at which the guest's time was 0; moved on by as long as the VM was paused. */
  get epoch(): number {
    return this.#times[EPOCH]!;
  }

  set epoch(value: number) {
    this.#times[EPOCH] = value;
  }
}

const BELL = 0;
const PRESSED = 1;
const SUMMONED = 2;

/** Shared by the main thread and one pCPU. */
export class PcpuBlock {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(64)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** To be read before looking for work; `wait` returns at once if it rang since. */
  get bell(): number {
    return Atomics.load(this.#words, BELL);
  }

  ring(): void {
    Atomics.add(this.#words, BELL, 1);
    Atomics.notify(this.#words, BELL);
  }

  /** Sleeps until the bell rings, at most `ms` milliseconds. */
  wait(bell: number, ms: number): void {
    Atomics.wait(this.#words, BELL, bell, ms);
  }

  /** Someone waits for a turn: the vCPU must be given back at the end of its slice or when it halts. */
  get pressed(): boolean {
    return Atomics.load(this.#words, PRESSED) !== 0;
  }

  set pressed(on: boolean) {
    Atomics.store(this.#words, PRESSED, on ? 1 : 0);
  }

  /** Makes the pCPU end its turn now, because a message waits for it. */
  summon(): void {
    Atomics.store(this.#words, SUMMONED, 1);
    this.ring();
  }

  /** True once after each `summon`. */
  takeSummons(): boolean {
    return Atomics.load(this.#words, SUMMONED) !== 0 && Atomics.exchange(this.#words, SUMMONED, 0) !== 0;
  }
}
