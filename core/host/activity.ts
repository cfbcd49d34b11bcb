/**
 * What vCPUs do, by looking: each says it in a word of the machine's memory (`Cpu.activity`), which is set only where that costs nothing.
 * docs/statistics.md says what the words mean and how exact this is.
 */
import {
  ACTIVITIES,
  ACTIVITY_COMPILING,
  ACTIVITY_DECODING,
  ACTIVITY_INTERPRETED,
  ACTIVITY_MMU,
  ACTIVITY_NONE,
  ACTIVITY_TRANSLATED,
} from '../state/index.ts';
import type { Activities } from './api.ts';

/** How often each activity was seen, since the machine was started. */
export type Looks = Float64Array;

/** A machine whose vCPUs can be looked at. */
export interface Watched {
  /** One of `looks` for each vCPU. */
  readonly looks: readonly Looks[];
  /** ACTIVITY_* of a vCPU now. */
  activity(cpu: number): number;
}

export const noLooks = (): Looks => new Float64Array(ACTIVITIES);

/** Milliseconds between looks, on average: irregular, for what the guest does at each tick of its clock would else be seen always or never. */
const INTERVAL = 10;
/** Where nothing was seen to be done for a while, and where there is nothing to be seen. */
const INTERVAL_IDLE = 100;
const INTERVAL_NOTHING = 250;
const IDLE_AFTER = 20;

/** Looks at the vCPUs of `machines` again and again; returns what ends it. */
export function watch(machines: () => Iterable<Watched>): () => void {
  let idle = 0;
  let timer: NodeJS.Timeout;
  const look = (): void => {
    let any = false;
    for (const machine of machines()) {
      any = true;
      idle++;
      for (const [cpu, looks] of machine.looks.entries()) {
        const doing = machine.activity(cpu);
        looks[doing]! += 1;
        if (doing !== ACTIVITY_NONE) idle = 0;
      }
    }
    const mean = !any ? INTERVAL_NOTHING : idle > IDLE_AFTER ? INTERVAL_IDLE : INTERVAL;
    timer = setTimeout(look, mean * (0.5 + Math.random()));
    timer.unref();
  };
  look();
  return () => clearTimeout(timer);
}

/** Guest time is made of these. */
const GUEST = [
  [ACTIVITY_INTERPRETED, 'interpreted'],
  [ACTIVITY_TRANSLATED, 'translated'],
  [ACTIVITY_MMU, 'mmu'],
  [ACTIVITY_DECODING, 'decoding'],
  [ACTIVITY_COMPILING, 'compiling'],
] as const;

/** How many looks in the guest `looks` has. */
export const guestLooks = (looks: ArrayLike<number>): number => GUEST.reduce((sum, [activity]) => sum + looks[activity]!, 0);

/** Seconds by activity: `guest` seconds shared out as `looks` says, and `vmm` seconds, which are the devices'. */
export function activitiesOf(looks: ArrayLike<number>, guest: number, vmm: number): Activities {
  const all = guestLooks(looks);
  const parts = GUEST.map(([activity, name]) => [name, all > 0 ? (guest * looks[activity]!) / all : 0]);
  return { ...(Object.fromEntries(parts) as Omit<Activities, 'devices'>), devices: vmm };
}

/** Fewer looks than this say little: those before count too. */
const ENOUGH = 20;

/** Of a vCPU's looks, those that tell of the time since the last call. */
export class RecentLooks {
  readonly #recent = noLooks();
  readonly #last = noLooks();

  since(looks: Looks): Looks {
    const seen = looks.map((count, i) => count - this.#last[i]!);
    // Less and less of what was before: in an idle guest a second has only a few.
    const old = Math.max(0, 1 - guestLooks(seen) / ENOUGH);
    this.#recent.forEach((count, i) => (this.#recent[i] = count * old + seen[i]!));
    this.#last.set(looks);
    return this.#recent;
  }
}
