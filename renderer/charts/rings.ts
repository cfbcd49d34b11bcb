/** Who is in which ring of the processor, by technique, and which part of the load is theirs. */
import type { Technique } from '../../electron/ipc.ts';
import type { LoadState } from '../stores/load-history.ts';

export interface Place {
  /** 0 to 3; absent: not within the guest's processor. */
  readonly ring?: 0 | 1 | 2 | 3;
  /** A key under `rings.who` in the locales. */
  readonly who: 'applications' | 'kernel' | 'kernelCompressed' | 'vmm' | 'vmmOutside' | 'nobody' | 'idle' | 'waiting';
  /** States of the load whose time is spent there. */
  readonly states: readonly LoadState[];
}

/** From the outermost ring inwards, then what is in none. */
export function places(technique: Technique | 'automatic'): Place[] {
  const full = technique === 'full';
  return [
    { ring: 3, who: 'applications', states: ['guestUser'] },
    { ring: 2, who: 'nobody', states: [] },
    { ring: 1, ...(full ? { who: 'kernelCompressed', states: ['guestKernel'] } : { who: 'nobody', states: [] }) },
    { ring: 0, ...(full ? { who: 'vmm', states: ['vmm'] } : { who: 'kernel', states: ['guestKernel'] }) },
    ...(full ? [] : [{ who: 'vmmOutside', states: ['vmm'] } as const]),
    { who: 'idle', states: ['halted'] },
    { who: 'waiting', states: ['ready', 'blocked'] },
  ];
}
