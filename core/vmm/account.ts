/**
 * Where a vCPU's time went and why it left the guest, in shared memory, so that any thread can read it while another writes it. Time is
 * charged by time stamps when the state changes, never by sampling. All times are seconds of one monotonic clock.
 */
import { EXIT_REASONS, type ExitReason } from './exit.ts';

/** What a vCPU is doing. `running` is split into guest user, guest kernel and VMM when it is charged. */
export const BLOCKED = 0;
export const READY = 1;
export const RUNNING = 2;
export const HALTED = 3;
export type VcpuState = typeof BLOCKED | typeof READY | typeof RUNNING | typeof HALTED;

const REASONS = EXIT_REASONS.length;

// Cells of 8 bytes. `sequence` and `state` are Int32 in the first two cells' low words.
const SEQUENCE = 0;
const STATE = 1;
const SINCE = 2;
const GUEST_USER = 3;
const GUEST_KERNEL = 4;
const VMM = 5;
const READY_TIME = 6;
const BLOCKED_TIME = 7;
const HALTED_TIME = 8;
const INSTRUCTIONS = 9;
const COUNTS = 10;
const COSTS = COUNTS + REASONS;
const CELLS = COSTS + REASONS;

/** Bytes an account takes. */
export const ACCOUNT_SIZE = CELLS * 8;

/** Seconds, and the counts since the VM was started. */
export interface AccountTotals {
  readonly guestUser: number;
  readonly guestKernel: number;
  readonly vmm: number;
  readonly ready: number;
  readonly blocked: number;
  readonly halted: number;
  readonly instructions: number;
  readonly exits: Readonly<Record<ExitReason, { readonly count: number; readonly seconds: number }>>;
}

/** How a stretch of running is split: seconds in the VMM, and the part of the rest (0..1) that was guest user mode. */
export interface Split {
  vmm: number;
  user: number;
}

export class Account {
  readonly #words: Int32Array;
  readonly #cells: Float64Array;

  constructor(buffer: SharedArrayBuffer, address: number) {
    this.#words = new Int32Array(buffer, address, CELLS * 2);
    this.#cells = new Float64Array(buffer, address, CELLS);
  }

  get state(): VcpuState {
    return Atomics.load(this.#words, STATE * 2) as VcpuState;
  }

  /** Everything back to zero, in `state` from `now` on. */
  clear(state: VcpuState, now: number): void {
    this.#write(() => {
      this.#cells.fill(0, SINCE);
      this.#cells[SINCE] = now;
      this.#words[STATE * 2] = state;
    });
  }

  /** Charges the time since the last change to the state it was in, and enters `state`. Only whoever has the vCPU may call it. */
  enter(state: VcpuState, now: number, split?: Split): void {
    this.#write(() => {
      const cells = this.#cells;
      const passed = Math.max(0, now - cells[SINCE]!);
      switch (this.#words[STATE * 2]) {
        case RUNNING: {
          const vmm = Math.min(passed, split?.vmm ?? passed);
          const user = (passed - vmm) * (split?.user ?? 0);
          cells[VMM]! += vmm;
          cells[GUEST_USER]! += user;
          cells[GUEST_KERNEL]! += passed - vmm - user;
          break;
        }
        case READY:
          cells[READY_TIME]! += passed;
          break;
        case HALTED:
          cells[HALTED_TIME]! += passed;
          break;
        default:
          cells[BLOCKED_TIME]! += passed;
      }
      cells[SINCE] = now;
      this.#words[STATE * 2] = state;
    });
  }

  /** One exit, by its index in EXIT_REASONS, that took `seconds` in the VMM. */
  exit(reason: number, seconds: number): void {
    this.#cells[COUNTS + reason]! += 1;
    this.#cells[COSTS + reason]! += seconds;
  }

  /** All exits of a reason since the start, for those that are counted elsewhere. */
  setExits(reason: number, count: number, seconds: number): void {
    this.#cells[COUNTS + reason] = count;
    this.#cells[COSTS + reason] = seconds;
  }

  /** Instructions retired since the start. */
  set instructions(value: number) {
    this.#cells[INSTRUCTIONS] = value;
  }

  /** Seconds that it waited for a processor, and in HLT, up to the last change of its state. */
  get waited(): { readonly ready: number; readonly halted: number } {
    return { ready: this.#cells[READY_TIME]!, halted: this.#cells[HALTED_TIME]! };
  }

  /** What it all came to at `now`, the state it is in included: the parts add up to the time since `clear`. */
  totals(now: number): AccountTotals {
    for (let tries = 0; ; tries++) {
      const before = Atomics.load(this.#words, SEQUENCE);
      // A writer that died half-way leaves the number odd for ever: what it left is taken then.
      if ((before & 1) !== 0 && tries < 10_000) continue;
      const cells = this.#cells.slice();
      const state = this.#words[STATE * 2];
      if (Atomics.load(this.#words, SEQUENCE) !== before && tries < 10_000) continue;
      const open = Math.max(0, now - cells[SINCE]!);
      const more = (s: VcpuState): number => (state === s ? open : 0);
      const guest = cells[GUEST_USER]! + cells[GUEST_KERNEL]!;
      // A stretch of running that is not charged yet (a few ms): split as the vCPU's time was before.
      const user = guest > 0 ? cells[GUEST_USER]! / guest : 0;
      const exits = Object.fromEntries(
        EXIT_REASONS.map((reason, i) => [reason, { count: cells[COUNTS + i]!, seconds: cells[COSTS + i]! }]),
      ) as AccountTotals['exits'];
      return {
        guestUser: cells[GUEST_USER]! + more(RUNNING) * user,
        guestKernel: cells[GUEST_KERNEL]! + more(RUNNING) * (1 - user),
        vmm: cells[VMM]!,
        ready: cells[READY_TIME]! + more(READY),
        blocked: cells[BLOCKED_TIME]! + more(BLOCKED),
        halted: cells[HALTED_TIME]! + more(HALTED),
        instructions: cells[INSTRUCTIONS]!,
        exits,
      };
    }
  }

  /** A reader that sees an odd or changed sequence number tries again. */
  #write(change: () => void): void {
    Atomics.add(this.#words, SEQUENCE, 1);
    change();
    Atomics.add(this.#words, SEQUENCE, 1);
  }
}
