/** The page tables that a guest finds at the start: pages of 4 KiB, as there are no others in this interface. */
import type { GuestMemory } from '../../bus/device.ts';
import { PAGE } from '../../state/index.ts';
import { TABLE_SHIFTS, machineFrame } from './plan.ts';

const PRESENT = 0x01;
const WRITABLE = 0x02;
const USER = 0x04;
const ACCESSED = 0x20;
const DIRTY = 0x40;
const TABLE = PRESENT | WRITABLE | USER | ACCESSED | DIRTY;
const ENTRY_SHIFTS = [12n, ...TABLE_SHIFTS] as const;

/** Frames are the guest's; what is written are machine frames. */
export class PageTables {
  readonly #memory: GuestMemory;
  readonly #top: number;
  readonly #next: () => number;
  /** By level and number of the region. */
  readonly #tables = new Map<string, number>();

  /** `next` gives frames for tables, zeroed; the first is the top one. */
  constructor(memory: GuestMemory, next: () => number) {
    this.#memory = memory;
    this.#next = next;
    this.#top = next();
  }

  map(address: bigint, frame: number, writable: boolean): void {
    let table = this.#top;
    for (let level = 4; level > 1; level--) {
      const name = `${level - 1}:${address >> TABLE_SHIFTS[level - 2]!}`;
      let below = this.#tables.get(name);
      if (below === undefined) {
        below = this.#next();
        this.#tables.set(name, below);
        this.#memory.write64(this.#place(table, level, address), machineFrame(below) * PAGE + TABLE);
      }
      table = below;
    }
    this.#memory.write64(this.#place(table, 1, address), machineFrame(frame) * PAGE + (PRESENT | ACCESSED) + (writable ? WRITABLE : 0));
  }

  #place(table: number, level: number, address: bigint): number {
    return machineFrame(table) * PAGE + 8 * Number((address >> ENTRY_SHIFTS[level - 1]!) & 511n);
  }
}
